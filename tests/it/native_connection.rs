//! NTLM and Negotiate authenticate connections: each client has one of its own to the application, and nobody else's
//! request ever goes over it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use crate::support::{App, Ask, Recorded, Setup, answer};

/// An application that speaks NTLM: a challenge after the first message, and after the third the connection is somebody's.
fn speak_ntlm(app: &App) {
    let theirs: Arc<Mutex<BTreeSet<usize>>> = Arc::default();
    app.upstream.reply(move |asked: &Recorded| {
        let mut theirs = theirs.lock().unwrap();
        match asked.header("authorization") {
            Some("NTLM one") => answer(401, &[("WWW-Authenticate", "NTLM two")], ""),
            Some("NTLM three") => {
                theirs.insert(asked.connection);
                answer(200, &[], "alice")
            }
            _ if theirs.contains(&asked.connection) => answer(200, &[], "alice"),
            _ => answer(401, &[("WWW-Authenticate", "NTLM")], "who?"),
        }
    });
}

fn ntlm(token: &str) -> Ask {
    Ask::get("/api/a").with("Authorization", &format!("NTLM {token}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_runs_on_a_connection_of_the_clients_own_which_serves_nobody_else() {
    let app = App::start_with(Setup::new().replacing("workers = 2", "workers = 1")).await;
    speak_ntlm(&app);
    let session = app.cookie().await;
    // A connection that waits in the pool.
    assert_eq!(app.send(&Ask::get("/api/a").with("X-Api-Key", "k")).await.status, 401);
    let pooled = app.upstream.last().connection;

    let (mut alice, mut other) = (app.connect().await, app.connect().await);
    let first = alice.send(&ntlm("one")).await;
    assert_eq!((first.status, first.header("www-authenticate")), (401, Some("NTLM two")), "passed as it is");
    let hers = app.upstream.last().connection;
    assert_ne!(hers, pooled, "never the pool's");
    assert_eq!(other.send(&ntlm("one")).await.status, 401);
    let others = app.upstream.last().connection;
    assert!(others != hers && others != pooled);
    assert_eq!(alice.send(&ntlm("three")).await.text(), "alice");
    assert_eq!(app.upstream.last().connection, hers);

    // From now on her connection is her credential, on native routes alone.
    for _ in 0..2 {
        assert_eq!(alice.send(&Ask::get("/api/b").method("POST").body("x")).await.text(), "alice");
        assert_eq!(app.upstream.last().connection, hers);
        assert_eq!(app.upstream.last().header("x-forwarded-user"), None);
    }
    let count = app.upstream.count();
    assert_eq!(alice.send(&Ask::get("/reports")).await.reason(), "sign_in_required");
    for mut stranger in [other, app.connect().await] {
        let refused = stranger.send(&Ask::get("/api/a")).await;
        assert_eq!((refused.status, refused.reason()), (401, "credential_required"));
    }
    assert_eq!(app.upstream.count(), count);
    for ask in [
        Ask::get("/api/a").with("X-Api-Key", "k"),
        Ask::get("/public/a"),
        Ask::get("/reports").with("Cookie", &session),
        Ask::get("/api/a").with("Cookie", &session),
    ] {
        assert_eq!(alice.send(&ask).await.text(), "who?", "{ask:?}");
        assert_ne!(app.upstream.last().connection, hers, "{ask:?}");
    }
    assert_eq!(alice.send(&Ask::get("/api/b")).await.text(), "alice");
    drop(alice);
    for _ in 0..3 {
        assert_eq!(app.send(&Ask::get("/api/a").with("X-Api-Key", "k")).await.text(), "who?");
        assert_ne!(app.upstream.last().connection, hers, "it ended with its client");
    }
}

/// A proxy in front shares its connections among its clients: there, no request rides on another's handshake.
#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_the_connection_ends_with_its_handshake() {
    let trusting = Setup::new().replacing("workers = 2", "workers = 1\ntrusted_proxies = [\"127.0.0.1\"]");
    let app = App::start_with(trusting).await;
    speak_ntlm(&app);
    let mut proxy = app.connect().await;
    let alice = |ask: Ask| ask.with("X-Forwarded-For", "192.0.2.1");
    assert_eq!(proxy.send(&alice(ntlm("one"))).await.status, 401);
    let hers = app.upstream.last().connection;
    assert_eq!(proxy.send(&alice(ntlm("three"))).await.text(), "alice", "a handshake goes through");
    assert_eq!(app.upstream.last().connection, hers);
    let bob = |ask: Ask| ask.with("X-Forwarded-For", "198.51.100.1");
    assert_eq!(proxy.send(&bob(Ask::get("/api/a"))).await.reason(), "credential_required");
    assert_eq!(proxy.send(&bob(ntlm("one"))).await.status, 401);
    assert_ne!(app.upstream.last().connection, hers);
    let bobs = app.upstream.last().connection;
    assert_eq!(proxy.send(&bob(ntlm("garbage"))).await.text(), "who?");
    assert_eq!(app.upstream.last().connection, bobs);
    assert_eq!(proxy.send(&bob(ntlm("garbage"))).await.text(), "who?");
    assert_ne!(app.upstream.last().connection, bobs, "a refused one is over");
}

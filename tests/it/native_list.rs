//! Basic names of enabled domains (N05), and the list of native identities (R4, N08, N10).

use base64::Engine as _;
use serde_json::Value;

use crate::command_line::{anteroom, run};
use crate::native_sign_in::{login, setup, switch};
use crate::support::{App, Ask, answer};

fn basic(user: &str) -> Ask {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:canary-password"));
    Ask::get("/api/things").with("Authorization", &format!("Basic {pair}"))
}

/// What `native list` knows: app, kind, name, uses, whether it is shaped like an address.
async fn listed(app: &App, more: &[&str]) -> Vec<(String, String, u64, bool)> {
    let mut command = anteroom(&[&["native", "list", "--json"], more].concat());
    let (code, out, err) = run(command.arg("--socket").arg(&app.admin_socket)).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let list: Value = serde_json::from_str(&out).unwrap();
    let text = |seen: &Value, key: &str| seen[key].as_str().unwrap().to_owned();
    let mut found: Vec<_> = list["identities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|seen| {
            assert_eq!((&seen["app"], &seen["source"]), (&"portal".into(), &"127.0.0.1".into()), "{seen}");
            let count = seen["count"].as_u64().unwrap();
            (text(seen, "kind"), text(seen, "name"), count, seen["email_shaped"].as_bool().unwrap())
        })
        .collect();
    found.sort();
    found
}

/// N05, N02, N09
#[tokio::test(flavor = "multi_thread")]
async fn a_basic_name_of_an_enabled_domain_is_refused_and_other_credentials_pass() {
    let app = App::start().await;
    let cookie = app.cookie().await;
    for user in ["alice@acme.com", "ALICE@Acme.Com", "bob@globex.com", "alice\u{ff20}acme.com"] {
        for ask in [basic(user), basic(user).with("Cookie", &cookie), basic(user).with("X-Api-Key", "k")] {
            let before = app.before();
            let refused = app.send(&ask).await;
            app.refused(&before, &refused, 403, "sso_required", "native.denied", &["canary"]);
            assert!(refused.json()["message"].as_str().unwrap().contains("service identity"), "{refused:?}");
        }
    }
    let digest = |user: &str| Ask::get("/api/a").with("Authorization", &format!("Digest username=\"{user}\", nc=1"));
    assert_eq!(app.send(&digest("alice@acme.com")).await.status, 403);
    app.upstream.reply(|_| answer(401, &[("WWW-Authenticate", "Basic realm=\"theirs\"")], "who?"));
    for ask in [basic("svc-billing"), basic("carol@initech.example"), digest("alice"), basic("alice")] {
        let answered = app.send(&ask).await;
        assert_eq!((answered.status, answered.text().as_str(), answered.reason()), (401, "who?", ""));
        assert_eq!(answered.header("www-authenticate"), Some("Basic realm=\"theirs\""));
    }
    for value in ["Bearer alice@acme.com", "Token alice@acme.com"] {
        assert_eq!(app.send(&Ask::get("/api/a").with("Authorization", value)).await.text(), "who?");
    }
}

/// N08, N10
#[tokio::test(flavor = "multi_thread")]
async fn every_native_identity_that_was_let_in_is_listed_and_no_secret_is_kept() {
    let app = App::start_with(setup()).await;
    let get = |name: &str, value: &str| Ask::get("/api/a").with(name, value);
    for ask in [
        basic("svc-billing"),
        basic("svc-billing"),
        basic("carol@initech.example"),
        get("Authorization", "Bearer canary-token"),
        get("X-Api-Key", "canary-key"),
        get("x-api-key", "canary-key"),
        get("X-Api-Key", "canary-other"),
        get("Authorization", "Digest username=\"dora\", response=\"canary\""),
        get("Authorization", "Token canary"),
        login("svc-billing"),
        Ask::get("/mobile/token")
            .method("POST")
            .with("Content-Type", "application/json")
            .body(r#"{"user":"alice@acme.com","password":"canary-password"}"#),
    ] {
        assert_eq!(app.send(&ask).await.status, 200, "{ask:?}");
    }
    // Nobody's: refused here, refused there, or without a credential.
    app.send(&basic("alice@acme.com")).await;
    app.upstream.reply(|_| answer(401, &[], ""));
    app.send(&basic("mallory")).await;
    app.send(&Ask::get("/api/a").with("X-Api-Key", "canary-wrong")).await;
    app.send(&Ask::get("/api/a")).await;

    let found = listed(&app, &["--app", "portal"]).await;
    let known = |kind: &str| found.iter().filter(|seen| seen.0 == kind).map(|s| (&*s.1, s.2, s.3)).collect::<Vec<_>>();
    assert_eq!(known("basic"), [("carol@initech.example", 1, true), ("svc-billing", 2, false)]);
    assert_eq!(known("digest"), [("dora", 1, false)]);
    assert_eq!(known("other"), [("token", 1, false)]);
    assert_eq!(known("sign_in"), [("svc-billing", 1, false)]);
    assert_eq!(known("mobile"), [("alice@acme.com", 1, true)]);
    let keys = known("api_key");
    assert!(keys.len() == 2 && keys.iter().all(|(name, ..)| name.starts_with("key-")), "{keys:?}");
    assert_eq!(keys.iter().map(|(_, count, _)| count).sum::<u64>(), 3);
    let [(token, 1, false)] = known("bearer")[..] else { panic!("{found:?}") };
    assert!(token.starts_with("token-"), "{token}");
    assert_eq!(found.len(), 9);

    // The same names after a restart, and more uses of them.
    let app = app.restart().await;
    assert_eq!(listed(&app, &[]).await, found);
    assert_eq!(app.send(&Ask::get("/api/a").with("X-Api-Key", "canary-key")).await.status, 401);
    app.upstream.reply(|_| answer(204, &[], ""));
    app.send(&Ask::get("/api/a").with("X-Api-Key", "canary-key")).await;
    let again = listed(&app, &[]).await;
    assert_eq!(again.iter().map(|seen| seen.2).sum::<u64>(), found.iter().map(|seen| seen.2).sum::<u64>() + 1);
    let written = app.written();
    for secret in ["canary-password", "canary-token", "canary-key", "canary-other", "canary-wrong", "Y2FuYXJ5"] {
        assert!(memchr::memmem::find(&written, secret.as_bytes()).is_none(), "{secret}");
    }
    let mut command = anteroom(&["native", "list", "--app", "wiki"]);
    let (code, _, err) = run(command.arg("--socket").arg(&app.admin_socket)).await;
    assert!(code == 1 && err.contains("no app \"wiki\""), "{err}");
}

/// N06
#[tokio::test(flavor = "multi_thread")]
async fn a_deactivated_user_does_not_come_in_by_password() {
    let app = App::start().await;
    let person = app.signed_in().await;
    switch(&app, "disable").await;
    let lets_in = async |user: &str| app.send(&basic(user)).await;
    assert_eq!(lets_in("bob@acme.com").await.status, 200, "native again");
    let mut command = anteroom(&["user", "deactivate", "alice@acme.com"]);
    let (code, out, err) = run(command.arg("--socket").arg(&app.admin_socket)).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    drop(person);
    app.log.taken();
    for user in ["alice@acme.com", "Alice@ACME.com"] {
        let before = app.before();
        let refused = lets_in(user).await;
        app.refused(&before, &refused, 403, "user_deactivated", "native.denied", &["canary"]);
    }
    assert_eq!(lets_in("bob@acme.com").await.status, 200);
    let mut command = anteroom(&["user", "activate", "alice@acme.com"]);
    let (code, out, _) = run(command.arg("--socket").arg(&app.admin_socket)).await;
    assert_eq!(code, 0, "{out}");
    app.clock.advance(std::time::Duration::from_secs(30));
    assert_eq!(lets_in("alice@acme.com").await.status, 200);
}

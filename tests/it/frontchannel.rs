//! Front-channel logout (security cases L10, W01): a frame in the provider's sign-out page.

use anteroom::directory::Directory;
use serde_json::json;

use crate::support::{App, Ask, Browser, Setup, spoilable};

/// What the frame loads: cross-site, so without a cookie of ours.
fn frame(connector: &str, query: &[(&str, &str)]) -> Ask {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    Ask::page(&format!("/.anteroom/frontchannel-logout/{connector}?{query}"))
        .without("Sec-Fetch-Site")
        .without("Sec-Fetch-Dest")
        .with("Sec-Fetch-Site", "cross-site")
        .with("Sec-Fetch-Dest", "iframe")
}

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.visit("/").await.status == 200
}

async fn alice(app: &App, sid: &str) -> Browser {
    app.acme.script().claims["sid"] = json!(sid);
    app.signed_in().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_issuer_and_session_nobody_is_signed_out_l10() {
    let app = App::start().await;
    let mut browser = alice(&app, "sid-1").await;
    let mut bob = app.browser();
    app.globex.script().claims["sid"] = json!("sid-2");
    let to_provider = app.start_sign_in(&mut bob, "globex", "/", "bob@globex.com").await;
    let query = app.globex.sign_in(to_provider.location());
    assert_eq!(bob.send(App::callback("globex", &query)).await.status, 303);
    let (acme, globex) = (app.acme.script().issuer.clone(), app.globex.script().issuer.clone());
    let slash = format!("{acme}/");
    for (row, reason, query) in [
        ("nothing", "parameter_missing", &[][..]),
        ("no session", "parameter_missing", &[("iss", acme.as_str())]),
        ("an empty session", "parameter_missing", &[("iss", &acme), ("sid", "")]),
        ("no issuer", "parameter_missing", &[("sid", "sid-1")]),
        ("another issuer", "iss_mismatch", &[("iss", "https://evil.example"), ("sid", "sid-1")]),
        ("another connector's issuer", "iss_mismatch", &[("iss", &globex), ("sid", "sid-1")]),
        ("nearly the issuer", "iss_mismatch", &[("iss", &slash), ("sid", "sid-1")]),
        ("another session", "sid_unknown", &[("iss", &acme), ("sid", "sid-0")]),
        ("a session of another connector", "sid_unknown", &[("iss", &acme), ("sid", "sid-2")]),
        ("a part of it", "sid_unknown", &[("iss", &acme), ("sid", "sid-")]),
        ("two sessions", "duplicate_parameter", &[("iss", &acme), ("sid", "sid-1"), ("sid", "sid-0")]),
        ("two issuers", "duplicate_parameter", &[("iss", &acme), ("iss", "https://evil.example"), ("sid", "sid-1")]),
    ] {
        let before = app.before();
        let answer = browser.send(frame("acme", query)).await;
        app.refused(&before, &answer, 400, reason, "logout.rejected", &["sid-1\"", "<script"]);
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{row}");
        assert!(answer.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"), "{row}");
        assert!(is_signed_in(&mut browser).await && is_signed_in(&mut bob).await, "{row}");
    }
    for method in ["HEAD", "POST"] {
        let right = frame("acme", &[("iss", &acme), ("sid", "sid-1")]).method(method);
        assert_eq!(browser.send(right).await.status, 405);
        assert!(is_signed_in(&mut browser).await, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_ones_end_that_session_alone_and_ask_the_provider_nothing_l10() {
    let app = App::start().await;
    let (mut here, mut there) = (alice(&app, "sid-1").await, alice(&app, "sid-2").await);
    let issuer = app.acme.script().issuer.clone();
    let asked = app.acme.count("");
    app.log.taken();
    // The browser sends no cookie into the frame, and none is needed.
    let page = app.send(&frame("acme", &[("iss", &issuer), ("sid", "sid-1")])).await;
    assert_eq!((page.status, page.reason()), (200, "front_channel_logout"), "{page:?}");
    assert_eq!(page.header("cache-control"), Some("no-store"));
    // W01: only that provider's pages may frame it.
    let policy = page.header("content-security-policy").unwrap();
    let origin = format!("http://{}", app.acme.address);
    assert!(policy.ends_with(&format!("; frame-ancestors {origin}")), "{policy}");
    assert_eq!(page.header("x-frame-options"), None, "it knows no list");
    assert!(!page.text().contains("alice") && !page.text().contains("<form"));
    let events = app.events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((&events[0]["event"], &events[0]["reason"]), (&json!("session.ended"), &json!("front_channel_logout")));
    assert!(!is_signed_in(&mut here).await);
    assert!(is_signed_in(&mut there).await, "the other one is not concerned");
    assert_eq!(app.acme.count(""), asked, "no token is revoked, nothing is asked");
    // Once more: there is no such session any more.
    let again = app.send(&frame("acme", &[("iss", &issuer), ("sid", "sid-1")])).await;
    assert_eq!((again.status, again.reason()), (400, "sid_unknown"));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_counts_in_every_process_and_says_so_when_it_cannot() {
    let app = App::start_with(Setup::new().directory(Directory::in_memory())).await;
    let another = app.another().await;
    let mut browser = alice(&app, "sid-1").await;
    let issuer = app.acme.script().issuer.clone();
    let page = another.send(&frame("acme", &[("iss", &issuer), ("sid", "sid-1")])).await;
    assert_eq!(page.status, 200, "{page:?}");
    let copy = browser.clone();
    crate::support::until_async("the first process knows", || async { !is_signed_in(&mut copy.clone()).await }).await;

    let (directory, away) = spoilable();
    let app = App::start_with(Setup::new().directory(directory)).await;
    browser = alice(&app, "sid-1").await;
    let issuer = app.acme.script().issuer.clone();
    away.all(true);
    let page = app.send(&frame("acme", &[("iss", &issuer), ("sid", "sid-1")])).await;
    assert_eq!((page.status, page.reason()), (503, "directory_unavailable"));
    away.all(false);
    assert!(is_signed_in(&mut browser).await);
    let page = app.send(&frame("acme", &[("iss", &issuer), ("sid", "sid-1")])).await;
    assert_eq!(page.status, 200);
    assert!(!is_signed_in(&mut browser).await);
}

//! Sign-out (security cases L11–L14, E15): by whom, where, and what is left afterwards.

use anteroom::directory::{Directory, Page, Selector};
use serde_json::json;

use crate::support::{App, Ask, Browser, Setup, spoilable, until_async};

fn link(site: Option<&str>, mode: &str) -> Ask {
    let ask = Ask::get("/.anteroom/sign-out").with("Sec-Fetch-Mode", mode);
    match site {
        Some(site) => ask.with("Sec-Fetch-Site", site),
        None => ask.without("Sec-Fetch-Mode").with("Accept", "text/html"),
    }
}

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.visit("/").await.status == 200
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_page_signs_nobody_out_l11() {
    let app = App::start().await;
    let mut browser = app.signed_in().await;
    for (row, ask) in [
        ("an image", link(Some("cross-site"), "no-cors")),
        ("a link", link(Some("cross-site"), "navigate")),
        ("a page of the same site", link(Some("same-site"), "navigate")),
        ("no word about the site", link(None, "")),
        ("a strange word", link(Some("Same-Origin"), "navigate")),
    ] {
        let page = browser.send(ask).await;
        assert_eq!((page.status, page.reason()), (200, "sign_out_ask"), "{row}");
        assert!(page.text().contains("action=\"/.anteroom/sign-out\""), "{row}: the page asks");
        assert!(is_signed_in(&mut browser).await, "{row}");
    }
    // What a stranger wrote into a page of the application itself.
    for dest in ["image", "script", "style", "iframe", "object"] {
        let mode = if dest == "iframe" { "navigate" } else { "no-cors" };
        let page = browser.send(link(Some("same-origin"), mode).with("Sec-Fetch-Dest", dest)).await;
        assert_eq!(page.reason(), "sign_out_ask", "{dest}");
        assert!(is_signed_in(&mut browser).await, "{dest}");
    }
    app.log.taken();
    for (row, status, ask) in [
        ("a form of a foreign page", 403, ("Sec-Fetch-Site", "cross-site")),
        ("a form of the same site", 403, ("Sec-Fetch-Site", "same-site")),
        ("a form of nowhere", 403, ("Sec-Fetch-Site", "none")),
    ] {
        let form = Ask::form("/.anteroom/sign-out", &[]).without("Sec-Fetch-Site").with(ask.0, ask.1);
        let answer = browser.send(form).await;
        assert_eq!((answer.status, answer.reason()), (status, "cross_site_post"), "{row}");
        let events = app.events();
        assert_eq!(events.len(), 1, "{row}: {events:?}");
        assert_eq!((&events[0]["event"], &events[0]["reason"]), (&json!("logout.rejected"), &json!("cross_site_post")));
        assert!(is_signed_in(&mut browser).await, "{row}");
    }
    assert_eq!(browser.send(link(Some("same-origin"), "navigate").method("HEAD")).await.status, 405);
    assert!(is_signed_in(&mut browser).await, "HEAD is safe");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_pages_and_a_typed_address_sign_out_at_once_l11() {
    let app = App::start().await;
    for (row, ask) in [
        ("a link here", link(Some("same-origin"), "navigate")),
        ("a click", link(Some("same-origin"), "navigate").with("Sec-Fetch-Dest", "document")),
        ("fetch of our own script", link(Some("same-origin"), "cors").with("Sec-Fetch-Dest", "empty")),
        ("typed", link(Some("none"), "navigate")),
        ("the form", Ask::form("/.anteroom/sign-out", &[])),
    ] {
        let mut browser = app.signed_in().await;
        let mut copy = browser.clone();
        app.log.taken();
        let answer = browser.send(ask).await;
        assert_eq!(answer.status, 303, "{row}");
        assert_eq!(browser.session(), None, "{row}");
        let events = app.events();
        assert!(!is_signed_in(&mut copy).await, "{row}");
        assert_eq!(events.len(), 1, "{row}: {events:?}");
        assert_eq!(
            (&events[0]["event"], &events[0]["reason"]),
            (&json!("session.ended"), &json!("signed_out")),
            "{row}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_is_told_who_signs_out_and_where_to_come_back() {
    let app = App::start().await;
    let mut browser = app.signed_in().await;
    let out = browser.send(Ask::form("/.anteroom/sign-out", &[])).await;
    let url = url::Url::parse(out.location()).unwrap();
    let query: std::collections::BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(query["post_logout_redirect_uri"], "https://app.example.com/.anteroom/sign-out/done");
    assert_eq!(query["client_id"], "client");
    assert_eq!(query["id_token_hint"].split('.').count(), 3);
    assert!(!query["state"].is_empty());
    assert_eq!((out.header("cache-control"), out.header("referrer-policy")), (Some("no-store"), Some("no-referrer")));
}

#[tokio::test(flavor = "multi_thread")]
async fn coming_back_from_the_provider_is_a_page_and_nothing_else_l12() {
    let app = App::start().await;
    for query in [
        "",
        "?state=wrong",
        "?state=a&state=b",
        "?connector=evil",
        "?rd=https://evil.example",
        "?post_logout_redirect_uri=https://evil.example",
    ] {
        let mut browser = app.signed_in().await;
        let page = browser.visit(&format!("/.anteroom/sign-out/done{query}")).await;
        assert_eq!((page.status, page.reason()), (200, "signed_out"), "{query}");
        assert_eq!(page.header("location"), None, "{query}");
        assert!(!page.text().contains("evil"), "{query}");
        assert!(is_signed_in(&mut browser).await, "{query}: the page ends nothing by itself");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_from_before_is_worth_nothing_on_any_core_l13() {
    let app = App::start().await;
    let mut browser = app.signed_in().await;
    let cookie = format!("__Host-anteroom={}", browser.session().unwrap());
    // Each core has seen the session, on connections that stay.
    let page = Ask::page("/").with("Cookie", &cookie);
    let mut connections = vec![];
    for _ in 0..8 {
        let mut connection = app.connect().await;
        assert_eq!(connection.send(&page).await.status, 200);
        connections.push(connection);
    }
    assert_eq!(browser.send(Ask::form("/.anteroom/sign-out", &[])).await.status, 303);
    let reached = app.upstream.count();
    for connection in &mut connections {
        assert_eq!(connection.send(&page).await.status, 302);
        let script = Ask::get("/").with("Sec-Fetch-Mode", "cors").with("Cookie", &cookie);
        assert_eq!(connection.send(&script).await.status, 401);
    }
    assert_eq!(app.upstream.count(), reached);
    let me = app.send(&Ask::get("/.anteroom/me").with("Cookie", &cookie)).await;
    assert_eq!(me.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sign_in_page_is_no_way_around_a_sign_out_l13() {
    let app = App::start().await;
    let mut browser = app.signed_in().await;
    let mut copy = browser.clone();
    // With a session the page goes on at once; after sign-out the same cookie gets the page.
    let on = copy.visit("/.anteroom/sign-in?rd=/report").await;
    assert_eq!((on.status, on.location()), (303, "/report"));
    browser.send(Ask::form("/.anteroom/sign-out", &[])).await;
    let page = copy.visit("/.anteroom/sign-in?rd=/report").await;
    assert_eq!((page.status, page.reason()), (200, "sign_in"));
    assert!(!is_signed_in(&mut copy).await);
    // The applications' own sign-out link counts too.
    let mut browser = app.signed_in().await;
    let mut copy = browser.clone();
    assert_eq!(browser.visit("/logout").await.status, 200, "the application answers its own link");
    assert!(!is_signed_in(&mut copy).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_provider_the_session_here_ends_and_the_page_says_what_is_left_l14() {
    let app = App::start().await;
    app.acme.script().discovery["end_session_endpoint"] = serde_json::Value::Null;
    let mut browser = app.signed_in().await;
    let mut copy = browser.clone();
    let out = browser.send(Ask::form("/.anteroom/sign-out", &[])).await;
    assert_eq!(out.location(), "/.anteroom/sign-out/done?connector=acme");
    assert!(!is_signed_in(&mut copy).await);
    let page = browser.visit(out.location()).await;
    let without = browser.visit("/.anteroom/sign-out/done").await;
    assert!(page.text().contains("may still be signed in at Microsoft."), "{}", page.text());
    assert!(!without.text().contains("may still be signed in"));
    // Signing out twice is no mistake, and says nothing of a provider.
    let again = browser.send(Ask::form("/.anteroom/sign-out", &[])).await;
    assert_eq!((again.status, again.location()), (303, "/.anteroom/sign-out/done"));

    // A provider that is down keeps nobody signed in here.
    let app = App::start().await;
    let mut browser = app.signed_in().await;
    let mut copy = browser.clone();
    app.acme.script().down = true;
    assert_eq!(browser.send(Ask::form("/.anteroom/sign-out", &[])).await.status, 303);
    assert!(!is_signed_in(&mut copy).await);
}

/// A cookie that was copied before the sign-out, at every process of the deployment.
#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_from_before_is_worth_nothing_in_any_process_l13() {
    let app = App::start_with(Setup::new().directory(Directory::in_memory())).await;
    let another = app.another().await;
    for here in [&app, &another] {
        let (mut browser, mut other) = (app.signed_in().await, another.signed_in().await);
        let copy = browser.clone();
        for process in [&app, &another] {
            assert!(
                is_signed_in(&mut copy.at(process.address)).await && is_signed_in(&mut other.at(process.address)).await
            );
        }
        browser = browser.at(here.address);
        assert_eq!(browser.send(Ask::form("/.anteroom/sign-out", &[])).await.status, 303);
        assert!(!is_signed_in(&mut copy.at(here.address)).await, "at once where it was done");
        for process in [&app, &another] {
            let copy = copy.at(process.address);
            until_async("the other process knows", || async { !is_signed_in(&mut copy.clone()).await }).await;
            let cookie = format!("__Host-anteroom={}", copy.session().unwrap());
            let script = Ask::get("/").with("Sec-Fetch-Mode", "cors").with("Cookie", &cookie);
            assert_eq!(process.send(&script).await.status, 401);
            let page = copy.clone().visit("/.anteroom/sign-in?rd=/report").await;
            assert_eq!(page.reason(), "sign_in", "the sign-in page is no way around it");
        }
        assert!(is_signed_in(&mut other).await, "the honest twin");
    }
    // A process that starts afterwards.
    let mut browser = app.signed_in().await;
    let copy = browser.clone();
    browser.send(Ask::form("/.anteroom/sign-out", &[])).await;
    let later = app.another().await;
    assert!(!is_signed_in(&mut copy.at(later.address)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_out_everywhere_ends_every_session_of_that_person_and_no_other() {
    let (directory, away) = spoilable();
    let app = App::start_with(Setup::new().directory(directory)).await;
    let (mut here, mut phone) = (app.signed_in().await, app.signed_in().await);
    app.acme.script().claims["sub"] = json!("pairwise-carol");
    let mut carol = app.signed_in().await;
    app.acme.honest();
    // The page explains the choice; a link to it with `ask` always gets it.
    let page = here.visit("/.anteroom/sign-out?ask").await;
    assert_eq!((page.status, page.reason()), (200, "sign_out_ask"));
    assert!(page.text().contains("name=\"everywhere\" value=\"1\""), "{}", page.text());
    assert!(page.text().contains("on all your devices"));
    assert!(is_signed_in(&mut here).await);
    // Not for a form of somebody else's page, and not without the session.
    let form = || Ask::form("/.anteroom/sign-out", &[("everywhere", "1")]);
    let foreign = form().without("Sec-Fetch-Site").with("Sec-Fetch-Site", "cross-site");
    assert_eq!(here.send(foreign).await.status, 403);
    assert_eq!(app.send(&form()).await.location(), "/.anteroom/sign-out/done");
    for browser in [&mut here, &mut phone, &mut carol] {
        assert!(is_signed_in(browser).await);
    }
    // Without the directory it is not done, and the cookie is still there to try again.
    away.all(true);
    let answer = here.send(form()).await;
    assert_eq!((answer.status, answer.reason()), (503, "directory_unavailable"));
    assert!(here.session().is_some());
    away.all(false);
    assert!(is_signed_in(&mut phone).await);
    app.log.taken();
    let answer = here.send(form()).await;
    assert_eq!(answer.status, 303);
    assert!(answer.location().starts_with(&app.acme.script().issuer), "the provider is told too");
    let events = app.events();
    assert_eq!(events.len(), 2, "{events:?}");
    for event in &events {
        assert_eq!((&event["event"], &event["reason"]), (&json!("session.ended"), &json!("signed_out_everywhere")));
    }
    assert!(!is_signed_in(&mut here).await && !is_signed_in(&mut phone).await);
    assert!(is_signed_in(&mut carol).await);
    // What begins afterwards is a new session.
    assert!(is_signed_in(&mut app.signed_in().await).await);
}

/// A cookie whose session is over signs nobody out but itself.
#[tokio::test(flavor = "multi_thread")]
async fn an_expired_session_does_not_speak_for_its_person() {
    let app = App::start().await;
    let mut old = app.signed_in().await;
    app.advance(std::time::Duration::from_secs(25 * 3600));
    let mut new = app.signed_in().await;
    assert_eq!(old.send(Ask::form("/.anteroom/sign-out", &[("everywhere", "1")])).await.status, 303);
    assert!(is_signed_in(&mut new).await);
}

/// One of three, by its reference, as a list shows it.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_session_ends_alone_e15() {
    let app = App::start_with(Setup::new().directory(Directory::in_memory())).await;
    let mut browsers = [app.signed_in().await, app.signed_in().await, app.signed_in().await];
    let me = browsers[1].send(Ask::get("/.anteroom/me")).await.json();
    let reference: uuid::Uuid = me["session"]["id"].as_str().unwrap().parse().unwrap();
    let everybody = Selector::Email("alice@acme.com".to_owned());
    let listed = app.shared_directory().sessions.list(&everybody, &Page { limit: 10 }).await.unwrap();
    assert_eq!(listed.len(), 3);
    assert_eq!(listed.iter().filter(|row| row.reference == reference).count(), 1);
    app.log.taken();
    let ended = app.site.sign_in().revoke(&Selector::Reference(reference), "revoked").await.unwrap();
    assert_eq!(ended.count, 1);
    let events = app.events();
    assert_eq!((events.len(), &events[0]["session"]), (1, &me["session"]["id"]));
    for (number, browser) in browsers.iter_mut().enumerate() {
        assert_eq!(is_signed_in(browser).await, number != 1, "session {number}");
    }
}

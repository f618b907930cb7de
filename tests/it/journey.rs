//! The main road: from a first request to a signed-in one, and out again.

use crate::support::{App, Ask};

#[tokio::test(flavor = "multi_thread")]
async fn an_address_leads_to_the_provider_and_back_to_the_page_first_asked_for() {
    let app = App::start().await;
    let mut browser = app.browser();

    let refused = browser.visit("/report?month=5").await;
    assert_eq!(refused.status, 302);
    assert_eq!(refused.location(), "https://app.example.com/.anteroom/sign-in?rd=/report%3Fmonth%3D5");

    let page = browser.visit("/.anteroom/sign-in?rd=/report%3Fmonth%3D5").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.field("rd").as_deref(), Some("/report?month=5"));

    let fields = [("email", "Alice@ACME.com"), ("rd", "/report?month=5")];
    let choice = browser.send(Ask::form("/.anteroom/sign-in/start", &fields)).await;
    assert_eq!(choice.status, 200);
    assert!(choice.text().contains("Log in with Microsoft"), "{}", choice.text());
    let go = choice.links().into_iter().find(|link| link.contains("/sign-in/go?")).unwrap();

    let to_provider = browser.visit(&go).await;
    assert_eq!(to_provider.status, 303);
    assert!(to_provider.location().starts_with(&app.acme.script().issuer), "{}", to_provider.location());
    assert!(to_provider.location().contains("login_hint=Alice%40acme.com"), "{}", to_provider.location());
    assert_eq!(app.upstream.count(), 0, "nothing reaches the application before the sign-in");

    let query = app.acme.sign_in(to_provider.location());
    let back = browser.send(App::callback("acme", &query)).await;
    assert_eq!((back.status, back.location()), (303, "/report?month=5"), "{}", app.log.taken());
    assert_eq!(app.upstream.count(), 0);
    assert!(browser.attempts().is_empty(), "the attempt's cookie is gone");

    let report = browser.visit("/report?month=5").await;
    assert_eq!((report.status, report.text().as_str()), (200, "the application"));
    let seen = app.upstream.last();
    assert_eq!(seen.target, "/report?month=5");
    assert_eq!(seen.header("x-forwarded-email"), Some("alice@acme.com"));
    assert_eq!(seen.header("x-anteroom-role"), Some("Admin"));
    assert_eq!(seen.header("cookie"), None, "our cookies end here");
    assert!(seen.header("x-anteroom-assertion").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_out_ends_the_session_here_and_goes_on_to_the_provider() {
    let app = App::start().await;
    let mut browser = app.signed_in().await;
    let before = browser.clone();
    assert_eq!(browser.visit("/").await.status, 200);

    let out = browser.send(Ask::form("/.anteroom/sign-out", &[])).await;
    assert_eq!(out.status, 303);
    assert!(out.location().starts_with(&format!("{}/logout?", app.acme.script().issuer)), "{}", out.location());
    assert!(out.location().contains("id_token_hint="));
    assert!(browser.session().is_none());

    // L13: the old cookie is refused by the server, whatever the browser did with it.
    let replay = before.clone().visit("/").await;
    assert_eq!(replay.status, 302);
    assert_eq!(app.upstream.count(), 1);
}

/// R3. The typed address never decides: a page names both, and only its button signs in, once and in this browser.
#[tokio::test(flavor = "multi_thread")]
async fn another_address_than_the_one_typed_is_asked_about_and_confirmed_once() {
    let app = App::start().await;
    let mut browser = app.browser();
    let to_provider = app.start_sign_in(&mut browser, "acme", "/report?month=5", "dora@acme.com").await;
    let query = app.acme.sign_in(to_provider.location());
    let page = browser.send(App::callback("acme", &query)).await;
    assert_eq!((page.status, page.reason()), (200, "address_mismatch"));
    assert!(page.text().contains("dora@acme.com") && page.text().contains("Continue as alice@acme.com"));
    assert!(browser.session().is_none(), "nothing is decided yet");
    let attempt = page.field("attempt").unwrap();
    let confirm = || Ask::form("/.anteroom/sign-in/continue", &[("attempt", &attempt)]);

    let stranger = app.browser().send(confirm()).await;
    assert_eq!(stranger.status, 400);

    let mut copy = browser.clone();
    let confirmed = browser.send(confirm()).await;
    assert_eq!((confirmed.status, confirmed.location()), (303, "/report?month=5"), "{}", app.log.taken());
    assert!(browser.session().is_some() && browser.attempts().is_empty());
    assert_eq!(browser.visit("/report?month=5").await.status, 200);
    assert_eq!(app.upstream.last().header("x-forwarded-email"), Some("alice@acme.com"));

    let again = copy.send(confirm()).await;
    assert_eq!(again.status, 400);
    assert!(again.text().contains("each answer of your company can be used once"), "{}", again.text());
    assert!(copy.session().is_none());
    assert_eq!(app.upstream.count(), 1);
}

/// L14: a provider without an end-session endpoint keeps its session, and the page says whose.
#[tokio::test(flavor = "multi_thread")]
async fn sign_out_names_the_provider_that_could_not_be_told() {
    let app = App::start().await;
    app.acme.script().discovery.as_object_mut().unwrap().remove("end_session_endpoint");
    let mut browser = app.signed_in().await;
    let out = browser.send(Ask::form("/.anteroom/sign-out", &[])).await;
    assert_eq!((out.status, out.location()), (303, "/.anteroom/sign-out/done?connector=acme"));
    let done = browser.visit(out.location()).await;
    assert!(done.text().contains("You may still be signed in at Microsoft."), "{}", done.text());
    let unknown = browser.visit("/.anteroom/sign-out/done?provider=nobody").await;
    assert!(!unknown.text().contains("You may still be signed in"), "{}", unknown.text());
}

/// A refusal for the role says who was refused and what was missing, on the page and in the audit log.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_role_is_named_with_the_person_who_lacks_it() {
    let app = App::start().await;
    app.acme.script().claims["roles"] = serde_json::json!(["User"]);
    let mut browser = app.signed_in().await;
    app.events();
    let denied = browser.visit("/admin/").await;
    assert_eq!((denied.status, denied.reason()), (403, "role_missing"));
    assert!(
        denied.text().contains("alice@acme.com") && denied.text().contains("the role <strong>Admin</strong>"),
        "{}",
        denied.text()
    );
    let events = app.events();
    let [event] = &events[..] else { panic!("one event: {events:?}") };
    assert_eq!((event["event"].as_str(), event["user"].as_str()), (Some("browser.denied"), Some("alice@acme.com")));
    assert_eq!(app.upstream.count(), 0);
}

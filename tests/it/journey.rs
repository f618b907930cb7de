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

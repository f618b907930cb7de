//! Routes that ask for a newer or stronger sign-in than the session's (E13, O33).

use crate::support::{App, Ask, Setup};

/// `/pay/**` asks for a sign-in of the last five minutes, `/vault/**` for one of a class, `/report` for both when it
/// is sent to.
fn setup() -> Setup {
    Setup::new().replacing(
        "  { path = \"/health\"",
        "  { path = \"/pay/**\", max_age = \"5m\" },
  { path = \"/vault/**\", acr = [\"phr\", \"phrh\"] },
  { path = \"/sign/**\", methods = [\"POST\"], amr = [\"mfa\"] },
  { path = \"/pay-admin\", max_age = \"5m\", role = \"EnterpriseAdmin\" },
  { path = \"/health\"",
    )
}

/// A session that the provider said nothing about is good for everything that asks for nothing.
const ENOUGH: [&str; 4] = ["/", "/pay", "/sign/x", "/public/x"];

#[tokio::test(flavor = "multi_thread")]
async fn e13_a_navigation_is_sent_to_its_own_provider_and_the_application_hears_nothing() {
    let app = App::start_with(setup()).await;
    let mut alice = app.signed_in().await;
    for path in ENOUGH {
        assert_eq!(alice.visit(path).await.status, 200, "{path}");
    }
    for (target, missing) in [("/pay/all?x=1&y=2", "auth_too_old"), ("/vault/", "acr_insufficient")] {
        let watch = app.watch();
        let answer = alice.visit(target).await;
        let encoded = target.replace('?', "%3F").replace('=', "%3D").replace('&', "%26");
        let expected = format!("https://app.example.com/.anteroom/sign-in/go?connector=acme&rd={encoded}");
        assert_eq!(answer.location(), expected);
        let events = watch.quiet(&answer, 303, "step_up_required");
        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((&event["event"], &event["reason"]), (&"session.step_up".into(), &missing.into()));
        assert_eq!((&event["user"], &event["found"]), (&"alice@acme.com".into(), &"nothing said".into()));
        assert!(alice.session().is_some(), "the session is good for everything else");
    }
    assert_eq!(alice.visit("/").await.status, 200);
    // Whoever is not signed in at all just signs in.
    assert_eq!(app.browser().visit("/pay/all").await.reason(), "sign_in_required");
}

#[tokio::test(flavor = "multi_thread")]
async fn e13_everything_else_is_told_what_is_missing_and_where_to_go() {
    let app = App::start_with(setup()).await;
    let alice = app.signed_in().await;
    let go = |target: &str| format!("/.anteroom/sign-in/go?connector=acme&for={}", target.replace(' ', "%20"));

    let watch = app.watch();
    let script = alice.clone().send(Ask::get("/pay/all")).await;
    assert_eq!(watch.quiet(&script, 401, "step_up_required").len(), 1);
    let body = script.json();
    assert_eq!((&body["error"], &body["missing"]), (&"step_up_required".into(), &"auth_too_old".into()));
    assert_eq!(body["sign_in_url"], format!("https://app.example.com{}", go("GET /pay/all")));
    assert_eq!(body["reference"].as_str(), script.header("x-request-id"));
    assert_eq!(script.header("access-control-allow-origin"), None);
    let own = alice.clone().send(Ask::get("/pay/all").with("Origin", "https://app.example.com")).await;
    assert_eq!(own.header("access-control-allow-origin"), Some("https://app.example.com"));

    let watch = app.watch();
    let form = alice.clone().send(Ask::form("/sign/x", &[("amount", "100")])).await;
    assert_eq!(watch.quiet(&form, 401, "step_up_required").len(), 1);
    assert!(form.text().contains("This page asks you to sign in again") && form.text().contains("did not reach"));
    assert!(form.links().contains(&go("POST /sign/x")), "{:?}", form.links());
    assert_eq!(alice.clone().visit("/sign/x").await.status, 200, "its twin: only the POST asks for more");

    let watch = app.watch();
    let frame = Ask::page("/pay/all").without("Sec-Fetch-Dest").with("Sec-Fetch-Dest", "iframe");
    let frame = alice.clone().send(frame).await;
    assert_eq!(watch.quiet(&frame, 401, "step_up_required").len(), 1);
    assert!(!frame.text().contains("alice") && !frame.text().contains("<form"));
    assert!(frame.links().contains(&go("GET /pay/all")), "{:?}", frame.links());

    let watch = app.watch();
    let socket = Ask::get("/pay/live")
        .with("Connection", "Upgrade")
        .with("Upgrade", "websocket")
        .with("Sec-WebSocket-Version", "13")
        .with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .with("Origin", "https://app.example.com");
    assert_eq!(watch.quiet(&alice.clone().send(socket).await, 401, "step_up_required").len(), 1);
}

/// A provider that never says what is asked for would send its people round for ever.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_just_signed_in_again_gets_a_page_and_not_another_round() {
    let app = App::start_with(setup()).await;
    let mut alice = app.signed_in().await;
    assert_eq!(alice.visit("/pay/all").await.status, 303);
    app.sign_in_with(&mut alice, "/").await;
    let page = alice.visit("/pay/all").await;
    assert_eq!((page.status, page.reason()), (401, "step_up_required"));
    assert!(page.text().contains("You have just signed in"), "{}", page.text());
    assert!(
        page.links().contains(&"/.anteroom/sign-in/go?connector=acme&rd=/pay/all".to_owned()),
        "{:?}",
        page.links()
    );
    assert!(page.text().contains(page.header("x-request-id").unwrap()));
    app.advance(std::time::Duration::from_secs(61));
    assert_eq!(alice.visit("/pay/all").await.status, 303, "a minute later it is another matter");
}

/// Another sign-in would not give the role.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_role_is_said_first() {
    let app = App::start_with(setup()).await;
    let mut alice = app.signed_in().await;
    assert_eq!(alice.visit("/pay-admin").await.reason(), "role_missing");
    app.acme.script().claims["roles"] = serde_json::json!(["EnterpriseAdmin"]);
    let mut root = app.signed_in().await;
    assert_eq!(root.visit("/pay-admin").await.reason(), "step_up_required");
}

/// The honest twins: what the provider says of the sign-in opens the page, for as long as it is so.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_was_recent_and_strong_enough_opens_the_page() {
    let app = App::start_with(setup()).await;
    let now = app.acme.script().now();
    app.acme.script().claims["auth_time"] = (now - 60).into();
    app.acme.script().claims["acr"] = "phr".into();
    app.acme.script().claims["amr"] = serde_json::json!(["pwd", "mfa"]);
    let mut alice = app.signed_in().await;
    app.advance(std::time::Duration::from_secs(240));
    assert_eq!(alice.visit("/pay/all").await.status, 200, "five minutes ago");
    assert_eq!(alice.visit("/vault/").await.status, 200);
    assert_eq!(alice.send(Ask::form("/sign/x", &[("a", "b")])).await.status, 200);
    app.advance(std::time::Duration::from_secs(1));
    assert_eq!(alice.visit("/pay/all").await.status, 303, "five minutes and a second ago");
    assert_eq!(alice.visit("/vault/").await.status, 200, "a class does not grow old");
    // The wall clock set back makes nobody's sign-in newer (E08).
    let before = app.clock.now();
    app.clock.set_wall(anteroom::base::clock::Timestamp::from_secs(before.secs() - 86_400));
    assert_eq!(alice.visit("/pay/all").await.status, 303);

    app.clock.set_wall(before);
    app.acme.script().claims["acr"] = "pwd".into();
    app.acme.script().claims["amr"] = serde_json::json!(["pwd"]);
    let mut weak = app.signed_in().await;
    assert_eq!(weak.visit("/vault/").await.status, 303);
    assert_eq!(weak.send(Ask::form("/sign/x", &[("a", "b")])).await.status, 401);
    assert_eq!(weak.visit("/").await.status, 200);
}

//! Routes that ask for a newer or stronger sign-in than the session's (E13, O33).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{App, Ask, Browser, Setup, Watch, alice};

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

/// The parameters that the provider is asked with.
fn asked(location: &str) -> BTreeMap<String, String> {
    let pairs: Vec<_> = url::Url::parse(location).unwrap().query_pairs().into_owned().collect();
    let map: BTreeMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(map.len(), pairs.len(), "no parameter twice: {location}");
    map
}

/// What is asked of the sign-in itself, in this order: `max_age`, `acr_values`, `prompt`.
fn demands(location: &str) -> [Option<String>; 3] {
    let mut asked = asked(location);
    ["max_age", "acr_values", "prompt"].map(|name| asked.remove(name))
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// A claim that the provider makes of a sign-in at this moment, `secs` ago.
fn proved(app: &App, secs: i64) -> Value {
    json!(app.clock.now().secs() - secs)
}

/// Follows the step-up of a page through the provider; the callback's answer.
async fn through_the_provider(app: &App, browser: &mut Browser, target: &str) -> crate::support::Answer {
    let step_up = browser.visit(target).await;
    assert_eq!((step_up.status, step_up.reason()), (303, "step_up_required"), "{}", step_up.text());
    let go = step_up.location().strip_prefix("https://app.example.com").unwrap().to_owned();
    let to_provider = browser.visit(&go).await;
    assert_eq!((to_provider.status, to_provider.reason()), (303, "sign_in_started"), "{}", to_provider.text());
    browser.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await
}

/// E13, O33, E01: round through the provider and back, and the old session is no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_not_enough_becomes_one_that_is_at_the_provider_e13() {
    let app = App::start_with(setup()).await;
    let mut alice = app.signed_in().await;
    let old = alice.clone();
    app.acme.script().claims["auth_time"] = proved(&app, 10);
    let back = through_the_provider(&app, &mut alice, "/pay/all?x=1").await;
    assert_eq!((back.reason(), back.location()), ("signed_in", "/pay/all?x=1"), "{}", back.text());
    assert_ne!(alice.session(), old.session());
    assert_eq!(alice.visit("/pay/all?x=1").await.status, 200);
    assert_eq!(app.upstream.last().header("x-forwarded-email"), Some("alice@acme.com"));
    assert_eq!(old.clone().visit("/").await.reason(), "sign_in_required", "the new session replaces the old one");
    // It gets old, and the way round goes on for as long as it is worked with.
    app.advance(std::time::Duration::from_secs(300 + 60));
    app.acme.script().claims["auth_time"] = proved(&app, 0);
    let back = through_the_provider(&app, &mut alice, "/pay/all").await;
    assert_eq!(back.reason(), "signed_in");
    assert_eq!(alice.visit("/pay/all").await.status, 200);
}

/// O33: each demand of a route, what the provider is asked, what it answers, and the twin that is enough.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_for_a_route_is_asked_for_what_the_route_needs_and_held_to_it_o33() {
    let app = App::start_with(setup()).await;
    type Case = (&'static str, [Option<String>; 3], &'static str, &'static str, Vec<Value>, Value);
    let cases: [Case; 3] = [
        (
            "rd=/pay/all",
            [some("300"), None, None],
            "auth_time",
            "auth_too_old",
            vec![Value::Null, proved(&app, 361), proved(&app, 86_400)],
            proved(&app, 299),
        ),
        (
            "rd=/vault/",
            [None, some("phr phrh"), None],
            "acr",
            "acr_insufficient",
            vec![Value::Null, json!("low"), json!("PHR"), json!(["phr"])],
            json!("phrh"),
        ),
        (
            "for=POST%20/sign/x",
            [None, None, None],
            "amr",
            "amr_insufficient",
            vec![Value::Null, json!(["pwd"]), json!("mfa")],
            json!(["pwd", "mfa"]),
        ),
    ];
    for (link, expected, claim, reason, too_little, enough) in cases {
        let go = format!("/.anteroom/sign-in/go?connector=acme&login_hint=alice@acme.com&{link}");
        for found in too_little {
            let row = format!("{link} {claim} {found}");
            let mut browser = app.signed_in().await;
            let to_provider = browser.visit(&go).await;
            assert_eq!(demands(to_provider.location()), expected, "{row}");
            let query = app.acme.sign_in(to_provider.location());
            app.acme.script().claims[claim] = found;
            let watch = Watch::begin(&app, &browser, &query);
            let answer = browser.send(App::callback("acme", &query)).await;
            let event = watch.refused(&row, &browser, &answer, 400, reason);
            assert!(event["expected"].as_str().unwrap().starts_with(claim), "{event}");
            assert_eq!(browser.visit("/").await.status, 200, "{row}: the session that was there is there");
            app.acme.script().claims = alice();
        }
        let mut browser = app.browser();
        let to_provider = browser.visit(&go).await;
        app.acme.script().claims[claim] = enough;
        let answer = browser.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
        assert_eq!(answer.reason(), "signed_in", "{link}: {}", answer.text());
        let then = match link.split_once('=').unwrap() {
            ("rd", page) => browser.visit(page).await,
            _ => browser.send(Ask::form("/sign/x", &[("amount", "100")])).await,
        };
        assert_eq!(then.status, 200, "{link}: {}", then.text());
        app.acme.script().claims = alice();
    }
}

/// A provider that never says what is asked for: one page that says what is missing, and no way round by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_never_says_enough_ends_on_a_page_and_not_in_a_circle() {
    let app = App::start_with(setup()).await;
    let mut alice = app.signed_in().await;
    for (target, reason, words) in [
        ("/pay/all", "auth_too_old", "Microsoft did not ask who you are"),
        ("/vault/", "acr_insufficient", "Microsoft asks for an extra check"),
    ] {
        let page = through_the_provider(&app, &mut alice, target).await;
        assert_eq!((page.status, page.reason()), (400, reason));
        assert!(page.text().contains(words), "{}", page.text());
        assert_eq!(page.header("location"), None);
        assert!(page.header("refresh").is_none() && !page.text().contains("http-equiv=\"refresh\""));
        assert_eq!(alice.visit("/").await.status, 200);
    }
}

/// Whom the provider vouches for now is who is signed in now, as with any other sign-in: the application sees them, and
/// never the one before under the new one's proof.
#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_who_comes_back_from_a_step_up_is_signed_in_as_themselves() {
    let app = App::start_with(setup()).await;
    let mut browser = app.signed_in().await;
    let old = browser.clone();
    {
        let mut script = app.acme.script();
        script.claims["auth_time"] = proved(&app, 0);
        for (name, value) in [
            ("sub", "pairwise-carol"),
            ("oid", "cccccccc-0000-0000-0000-000000000003"),
            ("upn", "carol@acme.com"),
            ("preferred_username", "carol@acme.com"),
            ("email", "carol@acme.com"),
        ] {
            script.claims[name] = json!(value);
        }
    }
    let back = through_the_provider(&app, &mut browser, "/pay/all").await;
    assert_eq!((back.reason(), back.location()), ("signed_in", "/pay/all"), "{}", back.text());
    assert_eq!(browser.visit("/pay/all").await.status, 200);
    assert_eq!(app.upstream.last().header("x-forwarded-email"), Some("carol@acme.com"));
    assert_eq!(old.clone().visit("/").await.reason(), "sign_in_required", "Alice's session is over");
}

/// The provider may offer the person first who is signed in; a stranger's link names nobody.
#[tokio::test(flavor = "multi_thread")]
async fn the_provider_is_told_who_is_signed_in_and_no_other_provider_is() {
    let app = App::start_with(setup()).await;
    let alice = app.signed_in().await;
    let hint = async |mut browser: Browser, link: &str| {
        let to_provider = browser.visit(&format!("/.anteroom/sign-in/go?{link}")).await;
        asked(to_provider.location()).remove("login_hint")
    };
    assert_eq!(hint(alice.clone(), "connector=acme&rd=/pay/all").await, some("alice@acme.com"));
    assert_eq!(hint(alice.clone(), "connector=acme&login_hint=carol@acme.com").await, some("carol@acme.com"));
    assert_eq!(hint(alice.clone(), "connector=acme&select_account=1").await, None);
    assert_eq!(hint(alice.clone(), "connector=globex").await, None);
    assert_eq!(hint(app.browser(), "connector=acme&rd=/pay/all").await, None);
}

/// O33: what the connector asks of every sign-in and what the route asks of this one hold together.
#[tokio::test(flavor = "multi_thread")]
async fn a_connector_and_a_route_ask_together_o33() {
    let app = App::start_with(
        setup()
            .replacing("[connectors.globex]", "max_age = \"8h\"\nacr = [\"phrh\", \"other\"]\n\n[connectors.globex]"),
    )
    .await;
    let go = async |target: &str| {
        let go = format!("/.anteroom/sign-in/go?connector=acme&rd={target}");
        let mut browser = app.browser();
        let to_provider = browser.visit(&go).await;
        (to_provider, browser)
    };
    assert_eq!(demands(go("/").await.0.location()), [some("28800"), some("phrh other"), None]);
    assert_eq!(demands(go("/pay/all").await.0.location()), [some("300"), some("phrh other"), None]);
    let (to_provider, mut browser) = go("/vault/").await;
    assert_eq!(demands(to_provider.location()), [some("28800"), some("phrh"), None]);
    // Enough for the route, and not for the connector.
    let query = app.acme.sign_in(to_provider.location());
    app.acme.script().claims["auth_time"] = proved(&app, 0);
    app.acme.script().claims["acr"] = json!("phr");
    let watch = Watch::begin(&app, &browser, &query);
    let answer = browser.send(App::callback("acme", &query)).await;
    watch.refused("both", &browser, &answer, 400, "acr_insufficient");
    let (to_provider, mut browser) = go("/vault/").await;
    app.acme.script().claims["acr"] = json!("phrh");
    let answer = browser.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
    assert_eq!(answer.reason(), "signed_in");
    assert_eq!(browser.visit("/vault/").await.status, 200);
}

/// Nobody is sent to a provider for what no answer of it could be.
#[tokio::test(flavor = "multi_thread")]
async fn a_route_and_a_connector_with_no_class_in_common_are_told_at_once() {
    let app =
        App::start_with(setup().replacing("[connectors.globex]", "acr = [\"other\"]\n\n[connectors.globex]")).await;
    assert_eq!(app.browser().visit("/.anteroom/sign-in/go?connector=acme&rd=/").await.status, 303);
    let watch = app.watch();
    let page = app.browser().visit("/.anteroom/sign-in/go?connector=acme&rd=/vault/").await;
    watch.refused(&page, 400, "acr_insufficient", "login.rejected");
}

/// O41: a link says where to and who, and nothing of how.
#[tokio::test(flavor = "multi_thread")]
async fn no_link_chooses_what_the_provider_is_asked_o41() {
    let app = App::start_with(setup()).await;
    let extras = "max_age=999999&acr_values=none&acr=none&amr=x&prompt=none&scope=openid+admin&auth_request_params=x%3D1\
                  &response_type=token&claims=%7B%7D&id_token_hint=x&redirect_uri=https://evil.example/&renews=1&required=";
    for (link, expected) in [
        ("rd=/", [None, None, None]),
        ("rd=/pay/all", [some("300"), None, None]),
        ("for=GET%20/pay/all", [some("300"), None, None]),
        ("rd=/pay/all&for=GET%20/vault/", [some("300"), some("phr phrh"), None]),
        // The rule is that of the method.
        ("for=GET%20/sign/x", [None, None, None]),
    ] {
        let plain = app.browser().visit(&format!("/.anteroom/sign-in/go?connector=acme&{link}")).await;
        let more = app.browser().visit(&format!("/.anteroom/sign-in/go?connector=acme&{link}&{extras}")).await;
        assert_eq!(demands(more.location()), expected, "{link}");
        let fixed = |location: &str| {
            let mut asked = asked(location);
            asked.retain(|name, _| !["state", "nonce", "code_challenge"].contains(&name.as_str()));
            asked
        };
        assert_eq!(fixed(plain.location()), fixed(more.location()), "{link}");
    }
    for bad in [
        "x",
        "",
        "POST",
        "post /sign/x",
        "POST  /sign/x",
        "POST sign",
        "POST //evil.example/",
        "/sign/x",
        "P\u{d6}ST /x",
    ] {
        let encoded = url::form_urlencoded::Serializer::new(String::new()).append_pair("for", bad).finish();
        let watch = app.watch();
        let answer = app.browser().visit(&format!("/.anteroom/sign-in/go?connector=acme&rd=/pay&{encoded}")).await;
        watch.refused(&answer, 400, "purpose_malformed", "login.rejected");
    }
    let watch = app.watch();
    let twice = app.browser().visit("/.anteroom/sign-in/go?connector=acme&for=GET%20/a&for=GET%20/b").await;
    watch.refused(&twice, 400, "duplicate_parameter", "login.rejected");
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
    app.advance(std::time::Duration::from_secs(300));
    assert_eq!(alice.visit("/pay/all").await.status, 200, "five minutes ago, and clocks differ by a minute");
    assert_eq!(alice.visit("/vault/").await.status, 200);
    assert_eq!(alice.send(Ask::form("/sign/x", &[("a", "b")])).await.status, 200);
    app.advance(std::time::Duration::from_secs(1));
    assert_eq!(alice.visit("/pay/all").await.status, 303, "six minutes and a second ago");
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

/// The first link of the page that leads on to `path`.
fn link_to(page: &crate::support::Answer, path: &str) -> String {
    let links = page.links();
    let link = links.iter().find(|link| link.split('?').next() == Some(path));
    link.unwrap_or_else(|| panic!("{path}: {links:?}\n{}", page.text())).clone()
}

/// A request that nobody returns to: what it asks for is not forgotten when the sign-in begins again, with whatever link.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_sign_in_is_for_goes_along_until_it_is_done_e13() {
    let app = App::start_with(setup()).await;
    let mut browser = app.signed_in().await;
    let post = || Ask::form("/sign/x", &[("amount", "100")]);
    let step_up = browser.send(post()).await;
    let to_provider = browser.visit(&link_to(&step_up, "/.anteroom/sign-in/go")).await;
    let failed = browser.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
    assert_eq!((failed.status, failed.reason()), (400, "amr_insufficient"));
    let retry = link_to(&failed, "/.anteroom/sign-in");
    assert_eq!(retry, "/.anteroom/sign-in?for=POST%20/sign/x");

    // The session that there is would not do: the page asks.
    let page = browser.visit(&retry).await;
    assert_eq!((page.status, page.reason()), (200, "sign_in"), "{page:?}");
    assert_eq!(page.field("for").as_deref(), Some("POST /sign/x"));
    let typed = |email| Ask::form("/.anteroom/sign-in/start", &[("email", email), ("for", "POST /sign/x")]);
    assert_eq!(browser.send(typed("alice@")).await.field("for").as_deref(), Some("POST /sign/x"));
    let unknown = browser.send(typed("alice@elsewhere.com")).await;
    assert_eq!(link_to(&unknown, "/.anteroom/sign-in"), retry);
    let choice = browser.send(typed("carol@acme.com")).await;
    assert_eq!(link_to(&choice, "/.anteroom/sign-in"), retry);

    // Another person comes back than was typed, and "another account" is for the same thing.
    let go = link_to(&choice, "/.anteroom/sign-in/go");
    let to_provider = browser.visit(&go).await;
    app.acme.script().claims["amr"] = json!(["pwd", "mfa"]);
    let asks = browser.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
    assert_eq!(asks.reason(), "address_mismatch");
    let other = link_to(&asks, "/.anteroom/sign-in/go");
    assert!(other.ends_with("&for=POST%20/sign/x&select_account=1"), "{other}");
    app.acme.script().claims = alice();
    let to_provider = browser.visit(&other.replace("carol", "alice")).await;
    let failed = browser.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
    assert_eq!(failed.reason(), "amr_insufficient", "held to it by every link");
    assert_eq!(link_to(&failed, "/.anteroom/sign-in"), retry);

    // With enough it is done.
    app.acme.script().claims["amr"] = json!(["pwd", "mfa"]);
    let to_provider = browser.visit(&go.replace("carol", "alice")).await;
    let signed_in = browser.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
    assert_eq!(signed_in.reason(), "signed_in");
    assert_eq!(browser.send(post()).await.status, 200);
    assert_eq!(browser.visit(&retry).await.reason(), "already_signed_in", "a session that is enough goes on");
    assert_eq!(app.browser().visit("/.anteroom/sign-in?rd=/pay").await.field("for"), None, "for nothing else");
    // A known domain in the link skips the page.
    let hinted = app.browser().visit("/.anteroom/sign-in?domain_hint=acme.com&for=GET%20/pay/all").await;
    assert_eq!(demands(hinted.location()), [some("300"), None, None]);

    for bad in [Ask::page("/.anteroom/sign-in?for=x"), Ask::form("/.anteroom/sign-in/start", &[("for", "x")])] {
        let watch = app.watch();
        let answer = app.browser().send(bad).await;
        watch.refused(&answer, 400, "purpose_malformed", "login.rejected");
    }
}

/// A provider that is away, and an attempt whose cookie has no room for both: the way back comes first.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_sign_in_is_for_outlasts_an_outage_and_gives_way_to_where_it_goes() {
    let app = App::start_with(setup()).await;
    app.globex.script().down = true;
    let away = app.browser().visit("/.anteroom/sign-in/go?connector=globex&rd=/x&for=POST%20/sign/x").await;
    assert_eq!(away.status, 503, "{away:?}");
    assert_eq!(link_to(&away, "/.anteroom/sign-in"), "/.anteroom/sign-in?rd=/x&for=POST%20/sign/x");

    let long = |letter: &str| format!("/sign/{}", letter.repeat(1_800));
    let go = format!("/.anteroom/sign-in/go?connector=acme&rd={}&for=POST%20{}", long("a"), long("b"));
    for (enough, location) in [(false, None), (true, Some(long("a")))] {
        let mut browser = app.browser();
        let to_provider = browser.visit(&go).await;
        if enough {
            app.acme.script().claims["amr"] = json!(["mfa"]);
        }
        let back = browser.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
        assert_eq!(back.header("location"), location.as_deref(), "held to it all the same: {}", back.reason());
        if !enough {
            assert_eq!(link_to(&back, "/.anteroom/sign-in"), format!("/.anteroom/sign-in?rd={}", long("a")));
        }
    }
}

//! Silent renewal: connectors without refresh tokens, renewed on a navigation by `prompt=none`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Answer, App, Ask, Browser, PORTAL, SUITE, Setup, alice};

/// `acme` is renewed by a redirect, every quarter of an hour at most.
fn silently(setup: Setup) -> Setup {
    setup.replacing("[connectors.globex]", "renewal = \"prompt-none\"\n\n[connectors.globex]")
}

/// Past the interval, and the tenth that is added to it at random.
const DUE: Duration = Duration::from_secs(15 * 60 * 11 / 10 + 1);

async fn app() -> App {
    App::start_with(silently(Setup::new())).await
}

fn asked(location: &str) -> BTreeMap<String, String> {
    url::Url::parse(location).unwrap().query_pairs().into_owned().collect()
}

/// From a page whose session is due to the provider: the redirect there.
async fn to_provider(browser: &mut Browser, page: &str) -> Answer {
    let due = browser.open(page).await;
    assert_eq!((due.status, due.reason()), (303, "renewal_due"), "{due:?}");
    let started = browser.open(due.location()).await;
    assert_eq!((started.status, started.reason()), (303, "renewal_started"), "{started:?}");
    assert_eq!(asked(started.location()).get("prompt").map(String::as_str), Some("none"));
    started
}

/// The callback of the provider's refusal.
fn refused(location: &str, error: &str) -> Ask {
    let query = [("error", error), ("state", &asked(location)["state"]), ("error_description", "canary-words")];
    App::callback("acme", &query.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
}

/// The person whom the provider vouches for now is another one.
fn carol() -> Value {
    let mut claims = alice();
    for (name, value) in [
        ("sub", "pairwise-carol"),
        ("oid", "cccccccc-0000-0000-0000-000000000003"),
        ("upn", "carol@acme.com"),
        ("preferred_username", "carol@acme.com"),
        ("email", "carol@acme.com"),
    ] {
        claims[name] = json!(value);
    }
    claims
}

#[tokio::test(flavor = "multi_thread")]
async fn a_navigation_goes_round_by_the_provider_and_the_claims_are_new() {
    let app = app().await;
    let mut browser = app.signed_in().await;
    let cookie = browser.session().unwrap().to_owned();
    app.advance(Duration::from_secs(15 * 60 - 1));
    assert_eq!(browser.visit("/").await.status, 200, "not yet");
    app.advance(DUE);
    // Whatever is not a page that can be asked for again goes on as ever.
    for ask in [
        Ask::get("/report"),
        Ask::form("/report", &[("a", "b")]),
        Ask::page("/report").method("HEAD"),
        Ask::page("/report").without("Sec-Fetch-Dest").with("Sec-Fetch-Dest", "iframe"),
        Ask::page("/public/x"),
    ] {
        assert_eq!(browser.send(ask.clone()).await.status, 200, "{ask:?}");
    }
    app.log.taken();
    let before = app.upstream.count();
    let started = to_provider(&mut browser, &format!("{PORTAL}/report?month=5")).await;
    let query = asked(started.location());
    assert_eq!((query["login_hint"].as_str(), query.get("max_age")), ("alice@acme.com", None));
    assert!(!query["scope"].contains("offline_access"));
    assert_eq!(app.upstream.count(), before, "the application hears nothing of it");
    app.acme.script().claims["groups"] = json!(["board"]);
    let back = browser.send(App::callback("acme", &app.acme.sign_in(started.location()))).await;
    assert_eq!((back.status, back.reason(), back.location()), (303, "session_renewed", "/report?month=5"));
    assert_eq!(browser.session(), Some(cookie.as_str()), "the same session");
    assert!(browser.attempts().is_empty());
    assert_eq!(app.events(), Vec::<Value>::new(), "nothing happened that anybody has to know of");
    assert_eq!(browser.visit("/report?month=5").await.status, 200);
    assert_eq!(app.upstream.last().header("x-forwarded-groups"), Some("board"));
    // And again, as long as the session lasts.
    app.advance(DUE);
    to_provider(&mut browser, &format!("{PORTAL}/")).await;
}

/// One navigation goes round; the others, and those after one that never came back, go on.
#[tokio::test(flavor = "multi_thread")]
async fn of_navigations_at_once_one_goes_round() {
    let app = app().await;
    let browser = app.signed_in().await;
    app.advance(DUE);
    let tabs = (0..8).map(|_| {
        let mut tab = browser.clone();
        async move { tab.visit("/").await.status }
    });
    let mut statuses = futures_util::future::join_all(tabs).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 200, 303]);
    assert_eq!(browser.clone().visit("/").await.status, 200);
    app.advance(DUE);
    assert_eq!(browser.clone().visit("/").await.reason(), "renewal_due", "the next time it is tried again");
}

/// What the provider cannot answer without the person: the session is over, and the ordinary sign-in begins.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_over_at_the_provider_ends_here_and_its_person_signs_in() {
    for error in ["login_required", "interaction_required", "consent_required", "account_selection_required"] {
        let app = app().await;
        let mut browser = app.signed_in().await;
        let old = browser.clone();
        app.advance(DUE);
        let started = to_provider(&mut browser, &format!("{PORTAL}/report?month=5")).await;
        app.log.taken();
        let again = browser.send(refused(started.location(), error)).await;
        assert_eq!((again.status, again.reason()), (303, "sign_in_started"), "{error}: {again:?}");
        let [event] = <[Value; 1]>::try_from(app.events()).unwrap();
        assert_eq!((&event["event"], &event["reason"]), (&"session.ended".into(), &"provider_session_over".into()));
        assert_eq!(event["user"], "alice@acme.com");
        assert_eq!(
            old.clone().visit("/").await.reason(),
            "sign_in_required",
            "{error}: the old cookie is worth nothing"
        );
        let asked = asked(again.location());
        assert_eq!((asked.get("prompt"), asked["login_hint"].as_str()), (None, "alice@acme.com"));
        assert_eq!(browser.attempts().len(), 1, "the silent attempt is gone");
        let back = browser.send(App::callback("acme", &app.acme.sign_in(again.location()))).await;
        assert_eq!((back.reason(), back.location()), ("signed_in", "/report?month=5"));
        assert_eq!(browser.visit("/report?month=5").await.status, 200);
        let (story, _) = app.story(event["request_id"].as_str().unwrap()).await;
        assert!(story.contains(error) && !story.contains("canary-words"), "{story}");
    }
}

/// R5: an outage, an answer that cannot be used, an error that says nothing of the person: work goes on.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_says_nothing_of_the_person_ends_no_session() {
    let app = app().await;
    let mut browser = app.signed_in().await;
    let cookie = browser.session().unwrap().to_owned();
    for (reason, error) in [
        ("provider_refused", Some("server_error")),
        ("provider_refused", Some("temporarily_unavailable")),
        ("provider_refused", Some("invalid_request")),
        ("provider_unavailable", None),
        ("nonce_mismatch", None),
        ("invalid_grant", None),
    ] {
        app.advance(DUE);
        app.acme.honest();
        let started = to_provider(&mut browser, &format!("{PORTAL}/report")).await;
        let mut callback = App::callback("acme", &app.acme.sign_in(started.location()));
        match (reason, error) {
            (_, Some(error)) => callback = refused(started.location(), error),
            ("provider_unavailable", _) => app.acme.script().down = true,
            ("nonce_mismatch", _) => app.acme.script().claims["nonce"] = json!("another"),
            _ => {
                let refusal = json!({ "error": "invalid_grant" }).to_string();
                app.acme.script().token_answer = Some((400, "application/json", refusal));
            }
        }
        app.log.taken();
        let back = browser.send(callback).await;
        let row = format!("{reason} {error:?}");
        assert_eq!((back.status, back.reason(), back.location()), (303, "already_signed_in", "/report"), "{row}");
        let [event] = <[Value; 1]>::try_from(app.events()).unwrap_or_else(|events| panic!("{row}: {events:?}"));
        assert_eq!((&event["event"], &event["reason"]), (&"login.rejected".into(), &reason.into()), "{row}");
        assert_eq!(browser.session(), Some(cookie.as_str()), "{row}");
        assert_eq!(browser.visit("/report").await.status, 200, "{row}: and it is not tried again at once");
        assert_eq!(app.upstream.last().header("x-forwarded-email"), Some("alice@acme.com"), "{row}");
        assert!(browser.attempts().is_empty(), "{row}");
    }
}

/// O39: another person's answer never renews this one's session.
#[tokio::test(flavor = "multi_thread")]
async fn another_identity_ends_the_session_and_signs_in_as_itself_o39() {
    let other_tenant = {
        let mut claims = alice();
        claims["tid"] = json!("99999999-2222-3333-4444-555555555555");
        claims
    };
    let other_issuer = {
        let mut claims = alice();
        claims["iss"] = json!("https://evil.example");
        claims
    };
    let pairwise = {
        let mut claims = alice();
        claims["sub"] = json!("pairwise-other");
        claims
    };
    for claims in [carol(), other_tenant, other_issuer, pairwise] {
        let app = app().await;
        let mut browser = app.signed_in().await;
        let old = browser.clone();
        app.advance(DUE);
        let started = to_provider(&mut browser, &format!("{PORTAL}/report")).await;
        app.acme.script().claims = claims.clone();
        app.log.taken();
        let again = browser.send(App::callback("acme", &app.acme.sign_in(started.location()))).await;
        assert_eq!((again.status, again.reason()), (303, "sign_in_started"), "{claims}");
        let [event] = <[Value; 1]>::try_from(app.events()).unwrap();
        let expected = ("session.ended".into(), "refresh_identity_changed".into());
        assert_eq!((event["event"].clone(), event["reason"].clone()), expected, "{claims}");
        assert_eq!(old.clone().visit("/").await.reason(), "sign_in_required");
    }
    // Who it is now gets a session of their own, by a sign-in like any other.
    let app = app().await;
    let mut browser = app.signed_in().await;
    app.advance(DUE);
    let started = to_provider(&mut browser, &format!("{PORTAL}/report")).await;
    app.acme.script().claims = carol();
    let again = browser.send(App::callback("acme", &app.acme.sign_in(started.location()))).await;
    let back = browser.send(App::callback("acme", &app.acme.sign_in(again.location()))).await;
    assert_eq!((back.reason(), back.location()), ("signed_in", "/report"));
    assert_eq!(browser.visit("/report").await.status, 200);
    assert_eq!(app.upstream.last().header("x-forwarded-email"), Some("carol@acme.com"));
}

/// Somebody who may not sign in any more is told so, and is signed out; with the twin who may.
#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_was_disabled_at_the_provider_is_signed_out() {
    let app = app().await;
    let mut browser = app.signed_in().await;
    for (active, reason) in [(true, "session_renewed"), (false, "account_inactive")] {
        app.advance(DUE);
        let started = to_provider(&mut browser, &format!("{PORTAL}/report")).await;
        app.acme.script().claims["active"] = json!(active);
        let back = browser.send(App::callback("acme", &app.acme.sign_in(started.location()))).await;
        assert_eq!(back.reason(), reason, "{}", back.text());
        let next = browser.visit("/report").await;
        assert_eq!((next.status, next.reason()), if active { (200, "") } else { (302, "sign_in_required") });
    }
    let events = app.events();
    let ended = events.iter().find(|event| event["event"] == "session.ended").unwrap();
    assert_eq!(ended["reason"], "account_inactive");
}

/// Another session at the provider: its logout would name that one, so it is a session of its own here.
#[tokio::test(flavor = "multi_thread")]
async fn another_session_at_the_provider_is_another_session_here() {
    let app = app().await;
    app.acme.script().claims["sid"] = json!("sid-1");
    let mut browser = app.signed_in().await;
    let cookie = browser.session().unwrap().to_owned();
    for (sid, same) in [("sid-1", true), ("sid-2", false)] {
        app.advance(DUE);
        let started = to_provider(&mut browser, &format!("{PORTAL}/report")).await;
        app.acme.script().claims["sid"] = json!(sid);
        let back = browser.send(App::callback("acme", &app.acme.sign_in(started.location()))).await;
        assert_eq!((back.reason(), back.location()), (if same { "session_renewed" } else { "signed_in" }, "/report"));
        assert_eq!(browser.session() == Some(cookie.as_str()), same, "{sid}");
        assert_eq!(browser.visit("/report").await.status, 200);
    }
}

/// O41: no link of a stranger makes a browser ask anything, and a ticket is this session's, for a minute.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_elses_link_begins_a_renewal_o41() {
    let app = app().await;
    let mut browser = app.signed_in().await;
    let mut other = app.signed_in().await;
    app.advance(DUE);
    let link = browser.visit("/report").await.location().to_owned();
    let of_other = other.visit("/report").await.location().to_owned();
    let (plain, _) = link.split_once("&ticket=").unwrap();
    let forged = format!("{plain}&ticket=AAAA");
    let asked_before = app.acme.count("");
    for bad in [plain, &forged, &of_other] {
        let answer = browser.open(bad).await;
        assert_eq!((answer.status, answer.reason(), answer.location()), (303, "not_renewed", "/report"), "{bad}");
        assert!(browser.attempts().is_empty());
    }
    assert_eq!(app.browser().open(&link).await.reason(), "not_renewed", "a browser without the session");
    let script = Ask::get(link.strip_prefix(PORTAL).unwrap());
    let watch = app.watch();
    watch.refused(&browser.send(script).await, 400, "not_a_page", "login.rejected");
    let watch = app.watch();
    watch.refused(&browser.open(&format!("{link}&ticket=x")).await, 400, "duplicate_parameter", "login.rejected");
    let off_site = link.replace("rd=/report", "rd=https://evil.example/");
    assert_ne!(off_site, link);
    let answer = app.browser().open(&off_site).await;
    assert_eq!((answer.reason(), answer.location()), ("not_renewed", "/"));
    assert_eq!(app.acme.count(""), asked_before, "no provider was asked");
    assert_eq!(browser.open(&link).await.reason(), "renewal_started", "its twin");
    app.advance(Duration::from_secs(61));
    assert_eq!(browser.open(&link).await.reason(), "not_renewed");
}

/// Signed out while the browser was at the provider: what comes back renews nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_after_a_sign_out_makes_no_session() {
    let app = app().await;
    let mut browser = app.signed_in().await;
    app.advance(DUE);
    let started = to_provider(&mut browser, &format!("{PORTAL}/report")).await;
    let query = app.acme.sign_in(started.location());
    browser.visit("/.anteroom/sign-out").await;
    assert_eq!(browser.session(), None);
    let tokens = app.acme.count("/token");
    let back = browser.send(App::callback("acme", &query)).await;
    assert_eq!((back.reason(), back.location()), ("already_signed_in", "/report"));
    assert_eq!((browser.session(), app.acme.count("/token")), (None, tokens));
    assert_eq!(browser.visit("/report").await.reason(), "sign_in_required");
}

/// Signed in anew while the browser was at the provider, in another tab: what comes back is about a session that is no
/// more, and neither renews nor ends the one that there is.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_for_another_session_is_nothing_to_this_one() {
    let app = app().await;
    for (anew, error) in [(true, None), (true, Some("login_required")), (false, None), (false, Some("login_required"))]
    {
        let row = format!("{anew} {error:?}");
        let mut browser = app.signed_in().await;
        app.advance(DUE);
        let started = to_provider(&mut browser, &format!("{PORTAL}/report")).await;
        let callback = match error {
            Some(error) => refused(started.location(), error),
            None => App::callback("acme", &app.acme.sign_in(started.location())),
        };
        if anew {
            assert_eq!(app.sign_in_with(&mut browser, "/").await.reason(), "signed_in", "{row}");
        }
        let cookie = browser.session().unwrap().to_owned();
        let tokens = app.acme.count("/token");
        app.events();
        let back = browser.send(callback).await;
        let expected = match (anew, error) {
            (true, _) => "already_signed_in",
            (false, None) => "session_renewed",
            (false, Some(_)) => "sign_in_started",
        };
        assert_eq!(back.reason(), expected, "{row}: {back:?}");
        if anew {
            assert_eq!((back.location(), app.acme.count("/token")), ("/report", tokens), "{row}");
            assert_eq!(app.events(), Vec::<Value>::new(), "{row}: nothing has happened to anybody");
        }
        let good = browser.visit("/report").await.status == 200;
        assert_eq!(good, anew || error.is_none(), "{row}");
        assert_eq!(browser.session(), Some(cookie.as_str()), "{row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_nobody_goes_round() {
    for renewal in ["refresh", "off"] {
        let setting = format!("renewal = \"{renewal}\"\n\n[connectors.globex]");
        let app = App::start_with(Setup::new().replacing("[connectors.globex]", &setting)).await;
        let mut browser = app.signed_in().await;
        for _ in 0..4 {
            app.advance(Duration::from_secs(6 * 3_600));
            assert_eq!(browser.visit("/").await.status, 200, "{renewal}");
        }
    }
}

/// R17: from a page of another host, by way of the sign-in host, and back to it with the session of both.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_host_goes_round_too_r17() {
    let app = App::start_with(silently(Setup::suite())).await;
    let mut browser = app.signed_in().await;
    let page = format!("{SUITE}/report?month=5");
    assert_eq!(app.follow(&mut browser, &page).await.status, 200);
    app.advance(DUE);
    let started = to_provider(&mut browser, &page).await;
    app.acme.script().claims["groups"] = json!(["board"]);
    let back = browser.send(App::callback("acme", &app.acme.sign_in(started.location()))).await;
    assert_eq!(back.reason(), "session_renewed", "{}", back.text());
    let back = url::Url::parse(PORTAL).unwrap().join(back.location()).unwrap();
    let shown = app.follow(&mut browser, back.as_str()).await;
    assert_eq!(shown.status, 200);
    assert_eq!(app.upstream.last().target, "/report?month=5");
    // Over at the provider: over on every host.
    app.advance(DUE);
    let started = to_provider(&mut browser, &page).await;
    let again = browser.send(refused(started.location(), "login_required")).await;
    assert_eq!(again.reason(), "sign_in_started");
    assert_eq!(browser.clone().open(&page).await.reason(), "sign_in_required");
    let back = browser.send(App::callback("acme", &app.acme.sign_in(again.location()))).await;
    assert_eq!(back.reason(), "signed_in");
    let back = url::Url::parse(PORTAL).unwrap().join(back.location()).unwrap();
    assert_eq!(app.follow(&mut browser, back.as_str()).await.status, 200);
    assert_eq!(app.upstream.last().target, "/report?month=5");
}

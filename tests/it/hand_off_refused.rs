//! What a hand-off between hosts refuses (R17, G1 to G7): each with the honest one beside it.

use std::time::Duration;

use anteroom::directory::{Linking, NewCookie, SessionRow};
use anteroom::identity::headers::AuthMethod;
use anteroom::session::SessionId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::support::{Answer, App, Ask, Browser, PORTAL, SUITE, WIKI};

const SUITE_HOST: &str = "suite.example.org";
const PAGE: &str = "https://suite.example.org/report";

fn parameter(url: &str, name: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    url.query_pairs().find(|(known, _)| known == name).unwrap().1.into_owned()
}

fn link(origin: &str, path: &str, query: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    format!("{origin}/.anteroom/{path}?{query}")
}

fn session(code: &str, state: &str) -> String {
    link(SUITE, "session", &[("code", code), ("state", state)])
}

/// The refusal of `url` in `browser`: G1 to G6, nothing secret on the page, and the browser's session cookie unchanged.
async fn refused(app: &App, browser: &mut Browser, url: &str, reason: &str) -> Answer {
    let before = browser.session_at(SUITE_HOST).map(str::to_owned);
    let watch = app.watch();
    let answer = browser.open(url).await;
    let event = watch.refused(&answer, 400, reason, "login.rejected");
    let said = format!("{}{event}", answer.text());
    for (_, secret) in url::Url::parse(url).unwrap().query_pairs().filter(|(name, _)| *name == "code") {
        assert!(secret.len() < 10 || !said.contains(&*secret), "{reason}: the code is on the page or in the log");
    }
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{reason}");
    assert!(answer.text().contains("<h1"), "{reason}: a page for a person");
    assert_eq!(browser.session_at(SUITE_HOST), before.as_deref(), "{reason}");
    answer
}

/// The honest end of a hand-off.
async fn arrives(browser: &mut Browser, url: &str) {
    let answer = browser.open(url).await;
    assert_eq!((answer.status, answer.reason(), answer.location()), (303, "handed_off", "/report"), "{answer:?}");
    assert_eq!(browser.open(PAGE).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_works_once_and_for_thirty_seconds() {
    let app = App::suite().await;
    // O18's like: the same link again, by somebody who has all of the browser's cookies of before.
    let mut browser = app.signed_in().await;
    let end = app.code_for(&mut browser, PAGE).await;
    let mut copy = browser.clone();
    arrives(&mut browser, &end).await;
    refused(&app, &mut copy, &end, "hand_off_code_unknown").await;
    assert!(!copy.attempts_at(SUITE_HOST).is_empty(), "G7: what matches nothing uses nothing up");
    // At once, from many sides.
    let mut browser = app.signed_in().await;
    let end = app.code_for(&mut browser, PAGE).await;
    let (mut one, mut two) = (browser.clone(), browser.clone());
    let (one, two) = tokio::join!(one.open(&end), two.open(&end));
    let mut reasons = [one.reason(), two.reason()];
    reasons.sort_unstable();
    assert_eq!(reasons, ["hand_off_code_unknown", "handed_off"]);

    for (seconds, good) in [(29, true), (31, false)] {
        let mut browser = app.signed_in().await;
        let end = app.code_for(&mut browser, PAGE).await;
        app.advance(Duration::from_secs(seconds));
        match good {
            true => arrives(&mut browser, &end).await,
            false => drop(refused(&app, &mut browser, &end, "hand_off_code_unknown").await),
        }
    }
}

/// Login CSRF: an attacker's code is no good in the victim's browser, and uses nothing up there.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_another_browser_signs_nobody_in() {
    let app = App::suite().await;
    let mut attacker = app.signed_in().await;
    let theirs = app.code_for(&mut attacker, PAGE).await;
    // A victim who has started nothing.
    let mut stranger = app.browser();
    let answer = refused(&app, &mut stranger, &theirs, "hand_off_not_bound").await;
    assert!(answer.text().contains("was not started in this browser"), "{}", answer.text());

    // One who is about to sign in: with the attacker's code, with their own state, and with both made to fit.
    app.acme.script().claims["upn"] = "victim@acme.com".into();
    let mut victim = app.browser();
    let to_provider = app.start_sign_in(&mut victim, "acme", "/", "victim@acme.com").await;
    victim.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
    let honest = app.code_for(&mut victim, PAGE).await;
    let state = parameter(&honest, "state");
    refused(&app, &mut victim, &theirs, "hand_off_not_bound").await;
    refused(&app, &mut victim, &session(&parameter(&theirs, "code"), &state), "hand_off_other_attempt").await;
    // The attacker knows the victim's attempt (it is in links), but not its secret.
    let made_up = URL_SAFE_NO_PAD.encode([7; 32]);
    let ask = link(PORTAL, "hand-off", &[("host", SUITE_HOST), ("id", &state), ("c", &made_up)]);
    let fitting = attacker.open(&ask).await.location().to_owned();
    assert_eq!(parameter(&fitting, "state"), state);
    refused(&app, &mut victim, &fitting, "hand_off_other_browser").await;

    // G7: after all that the victim's own attempt is as good as before.
    arrives(&mut victim, &honest).await;
    assert_eq!(app.upstream.last().header("x-forwarded-email"), Some("victim@acme.com"));
    // And the attacker is nobody but themselves: that code was used up by then.
    refused(&app, &mut attacker, &theirs, "hand_off_code_unknown").await;
}

/// A code that somebody else read is worth nothing without the cookie.
#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_code_is_worth_nothing_without_the_cookie_and_is_not_used_up_by_the_thief() {
    let app = App::suite().await;
    let mut victim = app.signed_in().await;
    let end = app.code_for(&mut victim, PAGE).await;
    let mut thief = app.browser();
    refused(&app, &mut thief, &end, "hand_off_not_bound").await;
    thief.open(&format!("{SUITE}/.anteroom/sign-in")).await;
    arrives(&mut victim, &end).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_for_the_host_that_asked() {
    let app = App::suite().await;
    let mut browser = app.signed_in().await;
    let honest = app.code_for(&mut browser, PAGE).await;
    let (state, challenge) = {
        let started = browser.clone().open(&format!("{SUITE}/.anteroom/sign-in?rd=/report")).await;
        let rd = format!("{PORTAL}{}", parameter(started.location(), "rd"));
        (parameter(&rd, "id"), parameter(&rd, "c"))
    };
    let ask = link(PORTAL, "hand-off", &[("host", "wiki.example.com"), ("id", &state), ("c", &challenge)]);
    let for_wiki = browser.open(&ask).await.location().to_owned();
    assert!(for_wiki.starts_with(WIKI));
    let moved = session(&parameter(&for_wiki, "code"), &parameter(&honest, "state"));
    refused(&app, &mut browser, &moved, "hand_off_other_host").await;
    arrives(&mut browser, &honest).await;
    // E11: nor is a cookie of one host any good at another.
    for (from, to) in [(PORTAL, SUITE), (SUITE, PORTAL), (SUITE, WIKI)] {
        let cookie = match from {
            PORTAL => browser.session().unwrap(),
            _ => browser.session_at(SUITE_HOST).unwrap(),
        };
        let ask = |origin: &str| {
            let ask = Ask::page("/").host(origin.strip_prefix("https://").unwrap());
            ask.with("Cookie", &format!("__Host-anteroom={cookie}"))
        };
        assert_eq!(app.send(&ask(from)).await.status, 200, "{from}");
        let watch = app.watch();
        let events = watch.quiet(&app.send(&ask(to)).await, 302, "sign_in_required");
        assert_eq!((events.len(), &events[0]["reason"]), (1, &"session_unknown".into()), "{from} at {to}");
        let me = Ask::get("/.anteroom/me").host(to.strip_prefix("https://").unwrap());
        let me = me.with("Cookie", &format!("__Host-anteroom={cookie}"));
        assert_eq!(app.send(&me).await.status, 401, "{from} at {to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_is_too_old_of_another_kind_or_changed_is_refused() {
    let app = App::suite().await;
    let mut browser = app.signed_in().await;
    let end = app.code_for(&mut browser, PAGE).await;
    let name = browser.attempts_at(SUITE_HOST)[0].to_owned();
    let sealed = browser.jar(SUITE_HOST)[&name].clone();
    let mut twin = browser.clone();
    // E05: cut, changed, foreign, sealed for another attempt.
    for bad in [&sealed[..sealed.len() - 1], &sealed.replace(&sealed[20..24], "AAAA"), "x", "", &format!("{sealed}A")] {
        browser.jar(SUITE_HOST).insert(name.clone(), bad.to_owned());
        refused(&app, &mut browser, &end, "hand_off_not_bound").await;
    }
    browser.jar(SUITE_HOST).insert(name.clone(), sealed.clone());
    let other = name.replace(&name[name.len() - 4..], "0000");
    browser.jar(SUITE_HOST).insert(other.clone(), sealed.clone());
    let renamed = session(&parameter(&end, "code"), other.strip_prefix("__Host-anteroom-try-").unwrap());
    refused(&app, &mut browser, &renamed, "hand_off_not_bound").await;
    arrives(&mut twin, &end).await;

    // An attempt at a provider is none of a hand-off, and none of a hand-off is one at a provider.
    let mut browser = app.browser();
    app.start_sign_in(&mut browser, "acme", "/", "alice@acme.com").await;
    let id = browser.attempts()[0].strip_prefix("__Host-anteroom-try-").unwrap().to_owned();
    let here = link(PORTAL, "session", &[("code", "x"), ("state", &id)]);
    refused(&app, &mut browser, &here, "hand_off_other_step").await;
    assert_eq!(browser.attempts().len(), 1, "G7");
    let started = browser.open(&format!("{SUITE}/.anteroom/sign-in?rd=/report")).await;
    assert_eq!(started.reason(), "hand_off_started");
    let name = browser.attempts_at(SUITE_HOST)[0].to_owned();
    let id = name.strip_prefix("__Host-anteroom-try-").unwrap().to_owned();
    let sealed = browser.jar(SUITE_HOST)[&name].clone();
    browser.cookies.insert(name, sealed);
    let watch = app.watch();
    let query = [("code".to_owned(), "x".to_owned()), ("state".to_owned(), format!("{id}.x"))];
    let answer = browser.send(App::callback("acme", &query.into())).await;
    watch.refused(&answer, 400, "tx_not_bound", "login.rejected");

    // Ten minutes: the cookie is gone from the browser by then, unless somebody keeps it.
    let mut browser = app.signed_in().await;
    browser.open(&format!("{SUITE}/.anteroom/sign-in?rd=/report")).await;
    app.advance(Duration::from_secs(601));
    let id = browser.attempts_at(SUITE_HOST)[0].strip_prefix("__Host-anteroom-try-").unwrap().to_owned();
    refused(&app, &mut browser, &session("x", &id), "hand_off_expired").await;
    assert!(browser.attempts_at(SUITE_HOST).is_empty(), "it is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ended_on_the_way_is_not_handed_off() {
    let app = App::suite().await;
    let mut browser = app.signed_in().await;
    let end = app.code_for(&mut browser, PAGE).await;
    let mut twin = app.signed_in().await;
    let honest = app.code_for(&mut twin, PAGE).await;
    assert_eq!(browser.send(Ask::form("/.anteroom/sign-out", &[])).await.reason(), "signed_out");
    refused(&app, &mut browser, &end, "hand_off_session_ended").await;
    arrives(&mut twin, &honest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_are_no_hand_off_are_refused() {
    let app = App::suite().await;
    let mut browser = app.signed_in().await;
    let end = app.code_for(&mut browser, PAGE).await;
    let (code, state) = (parameter(&end, "code"), parameter(&end, "state"));
    let long = "0".repeat(300);
    for (query, reason) in [
        (vec![], "hand_off_malformed"),
        (vec![("code", code.as_str())], "hand_off_malformed"),
        (vec![("state", state.as_str())], "hand_off_malformed"),
        (vec![("code", &code), ("state", "../../x")], "hand_off_malformed"),
        (vec![("code", &code), ("state", &long)], "hand_off_malformed"),
        (vec![("code", &code), ("code", &code), ("state", &state)], "duplicate_parameter"),
        (vec![("code", &code), ("state", &state), ("state", "x")], "duplicate_parameter"),
        (vec![("code", ""), ("state", &state)], "hand_off_code_unknown"),
        (vec![("code", &long), ("state", &state)], "hand_off_code_unknown"),
    ] {
        refused(&app, &mut browser, &link(SUITE, "session", &query), reason).await;
    }
    arrives(&mut browser, &end).await;

    let mut browser = app.signed_in().await;
    let hash = URL_SAFE_NO_PAD.encode([1; 32]);
    let whole = [("host", SUITE_HOST), ("id", state.as_str()), ("c", hash.as_str())];
    let with = |name: &str, value: &'static str| {
        let changed = whole.map(|(known, old)| if known == name { (known, value) } else { (known, old) });
        link(PORTAL, "hand-off", &changed)
    };
    for (url, reason) in [
        (link(PORTAL, "hand-off", &[]), "hand_off_malformed"),
        (link(PORTAL, "hand-off", &whole[..2]), "hand_off_malformed"),
        (link(PORTAL, "hand-off", &[whole[0], whole[1], whole[2], whole[0]]), "duplicate_parameter"),
        (with("id", "../x"), "hand_off_malformed"),
        (with("c", "short"), "hand_off_malformed"),
        (with("c", "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!"), "hand_off_malformed"),
        // Open redirects: nothing but a host of the configuration, spelt as there.
        (with("host", "evil.example"), "hand_off_host_unknown"),
        (with("host", "app.example.com"), "hand_off_host_unknown"),
        (with("host", "suite.example.org.evil.example"), "hand_off_host_unknown"),
        (with("host", "suite.example.org:8443"), "hand_off_host_unknown"),
        (with("host", "evil@suite.example.org"), "hand_off_host_unknown"),
        (with("host", "suite.example.org/x"), "hand_off_host_unknown"),
        (with("host", "SUITE.example.org"), "hand_off_host_unknown"),
        (with("host", "https://suite.example.org"), "hand_off_host_unknown"),
        (with("host", ""), "hand_off_host_unknown"),
    ] {
        refused(&app, &mut browser, &url, reason).await;
    }
    let honest = browser.open(&link(PORTAL, "hand-off", &whole)).await;
    assert!(honest.location().starts_with("https://suite.example.org/.anteroom/session?"), "{}", honest.location());
}

/// Only a browser that navigates hands off: no script, frame or form of anybody's.
#[tokio::test(flavor = "multi_thread")]
async fn only_a_top_level_navigation_takes_part() {
    let app = App::suite().await;
    let mut browser = app.signed_in().await;
    let end = app.code_for(&mut browser, PAGE).await;
    let hash = URL_SAFE_NO_PAD.encode([1; 32]);
    let whole = [("host", SUITE_HOST), ("id", "0123456789abcdef0123"), ("c", hash.as_str())];
    let ask = link(PORTAL, "hand-off", &whole);
    for url in
        [end.clone(), ask.clone(), format!("{SUITE}/.anteroom/sign-in?rd=/x"), format!("{SUITE}/.anteroom/sign-in/go")]
    {
        let url = url::Url::parse(&url).unwrap();
        let target = &url[url::Position::BeforePath..];
        let host = url.host_str().unwrap();
        let frame = Ask::page(target).without("Sec-Fetch-Dest").with("Sec-Fetch-Dest", "iframe");
        for ask in [Ask::get(target), Ask::get(target).with("Sec-Fetch-Mode", "cors"), frame] {
            let watch = app.watch();
            let answer = browser.send(ask.host(host)).await;
            watch.refused(&answer, 400, "not_a_page", "login.rejected");
        }
        for method in ["POST", "HEAD", "PUT"] {
            let watch = app.watch();
            let answer = browser.send(Ask::page(target).method(method).host(host)).await;
            watch.refused(&answer, 405, "method_not_allowed", "login.rejected");
        }
    }
    assert_eq!(browser.open(&ask).await.reason(), "hand_off");
    arrives(&mut browser, &end).await;
}

/// Without a session that a provider vouched for, the sign-in comes first, and then the link again.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_application_vouched_for_stays_with_it() {
    let app = App::suite().await;
    let sign_in = app.signed_in().await;
    let key = SessionId::parse(sign_in.session().unwrap()).unwrap().key();
    let (row, _) = app.directory.sessions.by_cookie(key.bytes()).await.unwrap().unwrap();
    for (auth, handed_off) in [(AuthMethod::Adopted, false), (AuthMethod::Oidc, true)] {
        let id = SessionId::generate();
        let row = SessionRow {
            reference: uuid::Uuid::from_bytes(*id.key().bytes().first_chunk().unwrap()),
            auth,
            ..row.clone()
        };
        let cookie = NewCookie { key: *id.key().bytes(), host: "app.example.com".into() };
        app.directory.sessions.create(&row, &cookie, &Linking::default()).await.unwrap();
        let mut browser = app.browser();
        browser.cookies.insert("__Host-anteroom".into(), id.cookie_value());
        assert_eq!(browser.visit("/").await.status, 200, "it is good where it is");
        let page = app.follow(&mut browser, PAGE).await;
        let reason = if handed_off { "" } else { "sign_in" };
        assert_eq!((page.status, page.reason()), (200, reason), "{auth:?}: {page:?}");
        assert_eq!(browser.session_at(SUITE_HOST).is_some(), handed_off);
        // Nor by the link itself.
        let hash = URL_SAFE_NO_PAD.encode([1; 32]);
        let ask = [("host", SUITE_HOST), ("id", "0123456789abcdef0123"), ("c", hash.as_str())];
        let direct = browser.open(&link(PORTAL, "hand-off", &ask)).await;
        assert_eq!(direct.reason(), if handed_off { "hand_off" } else { "sign_in_required" });
    }
    // No session at all: there and back.
    let mut nobody = app.browser();
    let hash = URL_SAFE_NO_PAD.encode([1; 32]);
    let ask = link(PORTAL, "hand-off", &[("host", SUITE_HOST), ("id", "0123456789abcdef0123"), ("c", &hash)]);
    let first = nobody.open(&ask).await;
    assert_eq!((first.status, first.reason()), (303, "sign_in_required"));
    let back = parameter(&format!("{PORTAL}{}", first.location()), "rd");
    assert_eq!(app.sign_in_with(&mut nobody, &back).await.location(), back);
    assert_eq!(nobody.visit(&back).await.reason(), "hand_off");
}

//! Sessions and cookies (area E), and the attributes of every cookie in every flow.

use std::time::Duration;

use anteroom::base::clock::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::support::{Answer, App, Ask, Browser, Setup};

const SESSION: &str = "__Host-anteroom";

/// E01: whatever was planted before the sign-in is not what counts after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_planted_session_cookie_is_never_the_victims_session_e01() {
    let app = App::start().await;
    // Made up, and the attacker's own good session.
    let attackers = app.signed_in().await.session().unwrap().to_owned();
    for planted in [URL_SAFE_NO_PAD.encode([7; 32]), attackers, "x".to_owned()] {
        let mut victim = app.browser();
        victim.cookies.insert(SESSION.into(), planted.clone());
        app.acme.script().claims["upn"] = "victim@acme.com".into();
        let to_provider = app.start_sign_in(&mut victim, "acme", "/", "victim@acme.com").await;
        let back = victim.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
        assert_eq!(back.reason(), "signed_in");
        let fresh = victim.session().unwrap().to_owned();
        assert_ne!(fresh, planted);
        assert_eq!(victim.visit("/").await.status, 200);
        assert_eq!(app.upstream.last().header("x-forwarded-email"), Some("victim@acme.com"));
        // The planted one leads nowhere: not to the victim, and no longer to the attacker.
        let before = app.upstream.count();
        let mut attacker = app.browser();
        attacker.cookies.insert(SESSION.into(), planted);
        assert_eq!(attacker.visit("/").await.status, 302);
        assert_eq!(app.upstream.count(), before);
    }
    // A new sign-in of the same browser: a new id, and the old one ends.
    app.acme.script().claims["upn"] = "alice@acme.com".into();
    let mut browser = app.signed_in().await;
    let mut old = browser.clone();
    app.sign_in_with(&mut browser, "/").await;
    assert_ne!(browser.session(), old.session());
    assert_eq!(old.visit("/").await.status, 302);
}

/// Every `Set-Cookie` of a whole life: sign-in, mismatch, failure, too many attempts, sign-out.
async fn every_cookie(app: &App) -> Vec<String> {
    let mut all = Vec::new();
    let mut keep = |answer: &Answer| all.extend(answer.all("set-cookie").map(str::to_owned));
    let mut browser = Browser::new(app.address);
    for _ in 0..7 {
        keep(&app.start_sign_in(&mut browser, "acme", "/report", "alice@acme.com").await);
    }
    keep(&app.sign_in_with(&mut browser, "/").await);
    let to_provider = app.start_sign_in(&mut browser, "acme", "/", "somebody.else@acme.com").await;
    keep(&to_provider);
    let mismatch = browser.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
    assert_eq!(mismatch.reason(), "address_mismatch");
    keep(&mismatch);
    let attempt = mismatch.field("attempt").unwrap();
    let continued = browser.send(Ask::form("/.anteroom/sign-in/continue", &[("attempt", &attempt)])).await;
    assert_eq!(continued.reason(), "signed_in");
    keep(&continued);
    keep(&browser.clone().visit("/logout").await);
    let mut twin = app.signed_in().await;
    keep(&twin.send(Ask::form("/.anteroom/sign-out", &[])).await);
    let mut failing = app.browser();
    let to_provider = app.start_sign_in(&mut failing, "acme", "/", "alice@acme.com").await;
    let mut query = app.acme.sign_in(to_provider.location());
    query.remove("code");
    query.insert("error".into(), "access_denied".into());
    let failed = failing.send(App::callback("acme", &query)).await;
    assert_eq!(failed.reason(), "provider_refused");
    keep(&failed);
    let mut two = Ask::page("/");
    two.headers.push(("Cookie".into(), format!("{0}=a; {0}=b", app_session(&browser))));
    keep(&app.send(&two).await);
    assert!(all.len() > 20, "{all:?}");
    all
}

fn app_session(browser: &Browser) -> String {
    browser.cookies.keys().find(|name| name.ends_with("anteroom")).unwrap().clone()
}

fn attributes(line: &str) -> (&str, Vec<&str>) {
    let mut parts = line.split("; ");
    let name = parts.next().unwrap().split_once('=').unwrap().0;
    let mut attributes: Vec<&str> = parts.filter(|part| !part.starts_with("Max-Age=")).collect();
    attributes.sort_unstable();
    (name, attributes)
}

/// E02, with `sessions.same_site = "none"` as a variant: the session cookie alone changes.
#[tokio::test(flavor = "multi_thread")]
async fn every_cookie_is_host_only_secure_and_out_of_reach_of_scripts_e02() {
    for same_site in ["Lax", "None"] {
        let setting = format!("[sessions]\nsame_site = \"{}\"", same_site.to_lowercase());
        let app = App::start_with(Setup::new().with(&setting)).await;
        for line in every_cookie(&app).await {
            let (name, found) = attributes(&line);
            let expected = if name == SESSION { same_site } else { "Lax" };
            let expected = ["HttpOnly", "Path=/", &format!("SameSite={expected}"), "Secure"].map(str::to_owned);
            assert_eq!(found, expected, "{line}");
            let known = name == SESSION
                || name == "__Host-anteroom-done"
                || name.strip_prefix("__Host-anteroom-try-").is_some_and(|id| id.len() == 20);
            assert!(known, "{line}");
            assert!(line.len() < 4096, "E07: {}", line.len());
            if name == SESSION {
                assert_eq!(line.contains("Max-Age"), line.contains("Max-Age=0"), "until the browser closes: {line}");
            }
        }
    }
}

/// E02 on plain http off loopback, which the operator must ask for: no `Secure` and no `__Host-`, the rest stays, and
/// each page says so.
#[tokio::test(flavor = "multi_thread")]
async fn plain_http_off_loopback_takes_secure_and_the_prefix_away_and_nothing_else() {
    let plain = Setup::new().replacing(
        "public_url = \"https://app.example.com\"",
        "public_url = \"http://app.example.com\"\ninsecure_http = \"yes-for-testing-only\"",
    );
    let app = App::start_with(plain).await;
    let mut browser = app.browser();
    assert!(browser.visit("/.anteroom/sign-in").await.text().contains("Test mode."));
    let to_provider = app.start_sign_in(&mut browser, "acme", "/", "alice@acme.com").await;
    assert!(to_provider.location().contains("redirect_uri=http%3A%2F%2Fapp.example.com%2F"));
    let back = browser.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
    assert_eq!(back.reason(), "signed_in");
    let lines: Vec<&str> = to_provider.all("set-cookie").chain(back.all("set-cookie")).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    for line in lines {
        let (name, found) = attributes(line);
        assert_eq!(found, ["HttpOnly", "Path=/", "SameSite=Lax"], "{line}");
        assert!(name == "anteroom" || name.starts_with("anteroom-"), "{line}");
    }
    assert_eq!(browser.visit("/").await.status, 200);
    assert_eq!(app.upstream.last().header("cookie"), None);
}

/// A public URL on loopback is a secure context without TLS: browsers take `Secure` there.
#[tokio::test(flavor = "multi_thread")]
async fn plain_http_on_loopback_keeps_every_attribute() {
    let local = Setup::new()
        .replacing("public_url = \"https://app.example.com\"", "public_url = \"http://app.localhost:4180\"");
    let app = App::start_with(local).await;
    let go = Ask::page("/.anteroom/sign-in/go?connector=acme").host("app.localhost:4180");
    let answer = app.send(&go).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    let (name, found) = attributes(answer.header("set-cookie").unwrap());
    assert!(name.starts_with("__Host-anteroom-try-"));
    assert_eq!(found, ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"]);
}

/// E03, and its honest twin.
#[tokio::test(flavor = "multi_thread")]
async fn two_session_cookies_count_as_none_and_are_taken_back_e03() {
    let app = App::start().await;
    let good = app.signed_in().await.session().unwrap().to_owned();
    let other = app.signed_in().await.session().unwrap().to_owned();
    let one = app.send(&Ask::page("/").with("Cookie", &format!("a=b; {SESSION}={good}; c=d"))).await;
    assert_eq!(one.status, 200);
    assert_eq!(app.upstream.last().header("cookie"), Some("a=b; c=d"));
    for lines in [
        vec![format!("{SESSION}={good}; {SESSION}={other}")],
        vec![format!("{SESSION}={other}; x=y; {SESSION}={good}")],
        vec![format!("{SESSION}={good}; {SESSION}={good}")],
        vec![format!("{SESSION}={good}; {SESSION}=")],
        vec![format!("{SESSION}={good}"), format!("{SESSION}={other}")],
    ] {
        let watch = app.watch();
        let ask = lines.iter().fold(Ask::page("/"), |ask, line| ask.with("Cookie", line));
        let answer = app.send(&ask).await;
        let event = watch.quiet(&answer, 302, "sign_in_required");
        assert_eq!(event.len(), 1, "{event:?}");
        assert_eq!((&event[0]["event"], &event[0]["reason"]), (&"session.rejected".into(), &"cookie_duplicate".into()));
        let back: Vec<&str> = answer.all("set-cookie").collect();
        assert!(back.len() == 1 && back[0].starts_with(&format!("{SESSION}=;")) && back[0].contains("Max-Age=0"));
        let me = lines.iter().fold(Ask::get("/.anteroom/me"), |ask, line| ask.with("Cookie", line));
        assert_eq!(app.send(&me).await.status, 401);
    }
}

/// E04: what a lenient parser would read as our cookie is not ours, and never reaches the application either.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_exact_name_is_our_cookie_e04() {
    let app = App::start().await;
    let good = app.signed_in().await.session().unwrap().to_owned();
    for line in [
        format!("a=b;  {SESSION}={good}"),
        format!("a=b;\t{SESSION}={good}"),
        format!("a=b; \u{a0}{SESSION}={good}"),
        format!("a=b; {SESSION} ={good}"),
        format!("a=b; {SESSION}= {good}"),
        format!("a=b; \"{SESSION}\"={good}"),
        format!("a=b; {SESSION}=\"{good}\""),
        format!("$Version=1; ${SESSION}={good}"),
        format!("$Version=1; {SESSION}=\"{good}\"; $Path=/"),
        format!("a=b, {SESSION}={good}"),
        format!("=; ={SESSION}={good}"),
        format!("={SESSION}={good}"),
        format!("a=b; __host-anteroom={good}"),
        format!("a=b; __HOST-ANTEROOM={good}"),
        format!("a=b; __Secure-anteroom={good}"),
        format!("a=b; anteroom={good}"),
        format!("a=b; %5F%5FHost-anteroom={good}"),
        format!("a=b; {SESSION}[]={good}"),
        format!("a=b; {SESSION}={good}x"),
        format!("a=b; {SESSION}={}", &good[..42]),
        format!("a=b; x{SESSION}={good}"),
    ] {
        let watch = app.watch();
        let answer = app.send(&Ask::page("/").with("Cookie", &line)).await;
        watch.quiet(&answer, 302, "sign_in_required");
        let public = app.send(&Ask::page("/public/x").with("Cookie", &line)).await;
        assert_eq!(public.status, 200);
        let seen = app.upstream.last().header("cookie").unwrap_or_default().to_owned();
        // Another cookie that only ends or begins like ours is the application's own.
        let foreign = ["anteroom=", "__Secure-anteroom=", "x__Host-anteroom=", "a=b, "];
        let kept = foreign.iter().any(|name| line.contains(&format!("; {name}")) || line.starts_with(name));
        assert!(kept || !seen.contains("nteroom"), "{line:?} → {seen:?}");
    }
}

/// E05
#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_that_is_not_exactly_a_session_opens_nothing_e05() {
    let app = App::start().await;
    let good = app.signed_in().await.session().unwrap().to_owned();
    let mut flipped = URL_SAFE_NO_PAD.decode(&good).unwrap();
    flipped[31] ^= 1;
    let elsewhere = App::start().await.signed_in().await.session().unwrap().to_owned();
    let first_differs = if good.starts_with('A') { "B" } else { "A" };
    for (value, reason) in [
        (URL_SAFE_NO_PAD.encode(&flipped), "session_unknown"),
        (elsewhere, "session_unknown"),
        (URL_SAFE_NO_PAD.encode([0; 32]), "session_unknown"),
        (format!("{first_differs}{}", &good[1..]), "session_unknown"),
        (good[..42].to_owned(), "cookie_malformed"),
        (format!("{good}A"), "cookie_malformed"),
        (format!("{good}="), "cookie_malformed"),
        (good.chars().rev().collect(), ""),
        (String::new(), "cookie_malformed"),
        ("x".repeat(4000), "cookie_malformed"),
        ("%00%ff".to_owned(), "cookie_malformed"),
        ("é".repeat(20), ""),
        ("../../etc/passwd".to_owned(), "cookie_malformed"),
    ] {
        for script in [false, true] {
            let watch = app.watch();
            let ask = if script { Ask::get("/") } else { Ask::page("/") };
            let answer = app.send(&ask.with("Cookie", &format!("{SESSION}={value}"))).await;
            let events = watch.quiet(&answer, if script { 401 } else { 302 }, "sign_in_required");
            if !reason.is_empty() {
                assert_eq!(events.len(), 1, "{value}: {events:?}");
                assert_eq!((&events[0]["event"], &events[0]["reason"]), (&"session.rejected".into(), &reason.into()));
            }
        }
        assert_eq!(
            app.send(&Ask::get("/.anteroom/me").with("Cookie", &format!("{SESSION}={value}"))).await.status,
            401
        );
    }
    assert_eq!(app.send(&Ask::page("/").with("Cookie", &format!("{SESSION}={good}"))).await.status, 200, "honest twin");
}

/// E07 as far as it applies: our cookies are small whatever they remember, and the sign-in works with them.
#[tokio::test(flavor = "multi_thread")]
async fn no_cookie_is_larger_than_browsers_keep_e07() {
    let app = App::start().await;
    let hint = format!("{}@acme.com", "a".repeat(64));
    app.acme.script().claims["upn"] = hint.clone().into();
    for filling in ["x", "\"", "%22", "<", "'", "%C3%A9", "&", "{"] {
        let rd = format!("/?{}", filling.repeat((2048 - 2) / filling.len()));
        let mut browser = app.browser();
        let to_provider = app.start_sign_in(&mut browser, "acme", &rd, &hint).await;
        let lines: Vec<&str> = to_provider.all("set-cookie").collect();
        assert!(
            lines.len() == 1 && lines[0].len() < 4096,
            "{filling}: {:?}",
            lines.iter().map(|l| l.len()).collect::<Vec<_>>()
        );
        let back = browser.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
        assert_eq!((back.status, back.reason()), (303, "signed_in"), "{filling}");
        // A target that grows beyond the limit as browsers would write it is replaced by the root.
        assert_eq!(back.location(), if filling == "\"" { "/" } else { rd.as_str() });
        assert!(back.all("set-cookie").all(|line| line.len() < 4096));
    }
}

/// E08, with its honest twin within the limit.
#[tokio::test(flavor = "multi_thread")]
async fn neither_activity_nor_a_clock_set_back_carries_a_session_past_its_limits_e08() {
    let limits = Setup::new().with("[sessions]\nidle_timeout = \"30m\"\nabsolute_timeout = \"2h\"");
    let app = App::start_with(limits).await;
    let mut browser = app.signed_in().await;
    for minute in 1..120 {
        app.advance(Duration::from_secs(60));
        if minute == 60 {
            app.clock.set_wall(Timestamp::from_secs(1_700_000_000));
        }
        assert_eq!(browser.visit("/").await.status, 200, "minute {minute}");
    }
    app.advance(Duration::from_secs(60));
    assert_eq!(browser.visit("/").await.status, 302);
    let mut idle = app.signed_in().await;
    app.advance(Duration::from_secs(29 * 60));
    assert_eq!(idle.visit("/").await.status, 200);
    app.advance(Duration::from_secs(30 * 60));
    app.clock.set_wall(Timestamp::from_secs(1_700_000_000));
    assert_eq!(idle.visit("/").await.status, 302);
    assert_eq!(idle.visit("/").await.status, 302);
}

/// E09: what is known of a session outside the browser is no cookie.
#[tokio::test(flavor = "multi_thread")]
async fn neither_a_sessions_public_name_nor_its_key_in_the_store_opens_it_e09() {
    let app = App::start().await;
    let mut browser = app.signed_in().await;
    let me = browser.send(Ask::get("/.anteroom/me")).await.json();
    let name = me["session"]["id"].as_str().unwrap().to_owned();
    let cookie = browser.session().unwrap().to_owned();
    let bytes = URL_SAFE_NO_PAD.decode(&cookie).unwrap();
    let key = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
    let of_text = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, cookie.as_bytes());
    for value in [name, URL_SAFE_NO_PAD.encode(key), URL_SAFE_NO_PAD.encode(of_text)] {
        let watch = app.watch();
        let answer = app.send(&Ask::page("/").with("Cookie", &format!("{SESSION}={value}"))).await;
        watch.quiet(&answer, 302, "sign_in_required");
    }
    assert_eq!(browser.visit("/").await.status, 200, "honest twin");
}

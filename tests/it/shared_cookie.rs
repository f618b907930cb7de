//! `sessions.cookie_domain`: one session cookie for the hosts of a domain, and none other for those outside it.

use crate::support::{App, Ask, Browser, PORTAL, SUITE, Setup, WIKI};

const SHARED: &str = "__Secure-anteroom";
const DOMAIN: &str = "example.com";

async fn start() -> App {
    App::start_with(Setup::suite().with("[sessions]\ncookie_domain = \"shared-with-every-host-of:example.com\"")).await
}

fn shared(browser: &Browser) -> Option<&str> {
    browser.shared.get(&(DOMAIN.to_owned(), SHARED.to_owned())).map(String::as_str)
}

async fn signed_in(app: &App) -> Browser {
    let mut browser = app.browser();
    assert_eq!(app.sign_in_with(&mut browser, "/").await.reason(), "signed_in");
    assert!(shared(&browser).is_some());
    browser
}

fn ask(origin: &str, target: &str, cookie: &str) -> Ask {
    Ask::page(target).host(origin.strip_prefix("https://").unwrap()).with("Cookie", cookie)
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_of_the_domain_share_a_cookie_and_others_are_handed_the_session() {
    let app = start().await;
    let mut browser = app.browser();
    let refused = browser.open("https://wiki.example.com/report?x=1").await;
    assert_eq!(refused.location(), "https://wiki.example.com/.anteroom/sign-in?rd=/report%3Fx%3D1");
    let started = browser.open(refused.location()).await;
    assert_eq!(
        started.location(),
        "https://app.example.com/.anteroom/sign-in?rd=https%3A//wiki.example.com/report%3Fx%3D1"
    );
    assert_eq!(started.all("set-cookie").count(), 0, "no attempt: nothing is handed off");
    let rd = "https://wiki.example.com/report?x=1";
    let to_provider = app.start_sign_in(&mut browser, "acme", rd, "alice@acme.com").await;
    let attempt = to_provider.header("set-cookie").unwrap();
    assert!(attempt.starts_with("__Host-anteroom-try-") && !attempt.contains("Domain"), "{attempt}");
    let back = browser.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
    assert_eq!((back.reason(), back.location()), ("signed_in", rd), "straight there");
    // E02, with the one attribute that the setting adds.
    let set: Vec<&str> = back.all("set-cookie").filter(|line| line.starts_with(SHARED)).collect();
    let [line] = set[..] else { panic!("{set:?}") };
    let attributes = line.split_once("; ").unwrap().1;
    assert_eq!(attributes, "Path=/; HttpOnly; Domain=example.com; Secure; SameSite=Lax");

    let asked = app.acme.count("");
    for origin in [WIKI, PORTAL] {
        assert_eq!(browser.open(&format!("{origin}/")).await.status, 200, "{origin}");
        assert_eq!(app.upstream.last().header("cookie"), None, "{origin}");
    }
    assert_eq!(app.follow(&mut browser, &format!("{SUITE}/x")).await.status, 200);
    assert_eq!(app.acme.count(""), asked, "no second visit");
    let own = browser.session_at("suite.example.org").unwrap();
    assert_ne!(Some(own), shared(&browser));
    // E11: each cookie where it belongs, under either name.
    let both = [("shared", shared(&browser).unwrap().to_owned()), ("own", own.to_owned())];
    for (whose, value) in &both {
        for name in [SHARED, "__Host-anteroom"] {
            for origin in [PORTAL, WIKI, SUITE] {
                let good = match *whose {
                    "shared" => name == SHARED && origin != SUITE,
                    _ => name != SHARED && origin == SUITE,
                };
                let answer = app.send(&ask(origin, "/", &format!("{name}={value}"))).await;
                assert_eq!(answer.status, if good { 200 } else { 302 }, "{whose} as {name} at {origin}");
            }
        }
    }
    // Sign-out anywhere ends it everywhere.
    let mut before = browser.clone();
    let out = Ask::form("/.anteroom/sign-out", &[]).host("suite.example.org");
    assert_eq!(browser.send(out).await.reason(), "signed_out");
    for origin in [PORTAL, WIKI, SUITE] {
        assert_eq!(before.open(&format!("{origin}/")).await.status, 302, "{origin}");
    }
}

/// E03: a host of the domain may write a second cookie, in several ways. None counts, and all are taken back.
#[tokio::test(flavor = "multi_thread")]
async fn two_shared_cookies_count_as_none_and_are_taken_back_in_every_form_e03() {
    let app = start().await;
    let (one, two) = (signed_in(&app).await, signed_in(&app).await);
    let (one, two) = (shared(&one).unwrap(), shared(&two).unwrap());
    assert_eq!(app.send(&ask(WIKI, "/", &format!("{SHARED}={one}"))).await.status, 200);
    for cookies in [format!("{SHARED}={one}; {SHARED}={two}"), format!("{SHARED}={two}; a=b; {SHARED}=")] {
        let watch = app.watch();
        let answer = app.send(&ask(WIKI, "/", &cookies)).await;
        let events = watch.quiet(&answer, 302, "sign_in_required");
        assert_eq!((events.len(), &events[0]["reason"]), (1, &"cookie_duplicate".into()));
        let mut forms: Vec<String> = answer
            .all("set-cookie")
            .map(|line| {
                assert!(line.contains("=; ") && line.contains("Max-Age=0"), "{line}");
                let domain = line.split("; ").find(|attribute| attribute.starts_with("Domain")).unwrap_or("");
                format!("{} {domain}", line.split('=').next().unwrap())
            })
            .collect();
        forms.sort_unstable();
        assert_eq!(
            forms,
            [
                "__Host-anteroom ",
                "__Secure-anteroom ",
                "__Secure-anteroom Domain=example.com",
                "__Secure-anteroom Domain=wiki.example.com"
            ]
        );
    }
    let out = Ask::form("/.anteroom/sign-out", &[]).with("Cookie", &format!("{SHARED}={one}"));
    assert_eq!(app.send(&out).await.all("set-cookie").filter(|line| line.contains("Domain=example.com")).count(), 1);
}

/// Switching the setting on or off asks everybody to sign in again: a cookie of the other kind counts for nothing, and
/// reaches no application.
#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_of_before_the_setting_was_changed_counts_for_nothing() {
    let app = start().await;
    let mut browser = signed_in(&app).await;
    browser.cookies.insert("__Host-anteroom".into(), "of-before".into());
    assert_eq!(browser.visit("/").await.status, 200, "the one that counts is not doubted for it");
    assert_eq!(app.upstream.last().header("cookie"), None);
    app.sign_in_with(&mut browser, "/").await;
    assert_eq!(browser.cookies.get("__Host-anteroom"), None, "taken back at the next sign-in");

    let off = App::suite().await;
    let mut browser = off.signed_in().await;
    let good = browser.session().unwrap().to_owned();
    browser.shared.insert((DOMAIN.to_owned(), SHARED.to_owned()), good.clone());
    assert_eq!(browser.visit("/").await.status, 200);
    assert_eq!(off.upstream.last().header("cookie"), None);
    assert_eq!(off.send(&ask(PORTAL, "/", &format!("{SHARED}={good}"))).await.status, 302);
}

/// E14: nor can an application set the shared cookie.
#[tokio::test(flavor = "multi_thread")]
async fn an_application_sets_no_shared_cookie_e14() {
    for app in [start().await, App::suite().await] {
        app.upstream.reply(|_| {
            let forged = "__Secure-anteroom=forged; Domain=example.com; Secure";
            crate::support::answer(200, &[("Set-Cookie", forged), ("Set-Cookie", "a=1")], "x")
        });
        let answer = app.send(&Ask::page("/public/x")).await;
        assert_eq!(answer.all("set-cookie").collect::<Vec<_>>(), ["a=1"]);
    }
}

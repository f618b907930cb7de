//! Who asks decides the form of a refusal, never whether there is one (design section 3, W04).

use crate::support::{Answer, App, Ask, no_session};

const SIGN_IN: &str = "https://app.example.com/.anteroom/sign-in";
const OWN: &str = "https://app.example.com";

/// A request as a browser sends it for a fetch, a frame, an image…
fn browser(mode: &str, dest: &str, site: &str) -> Ask {
    Ask::get("/report?month=5")
        .with("Accept", "*/*")
        .with("Sec-Fetch-Mode", mode)
        .with("Sec-Fetch-Dest", dest)
        .with("Sec-Fetch-Site", site)
}

async fn refused(app: &App, ask: &Ask, status: u16, reason: &str) -> Answer {
    let watch = app.watch();
    let answer = app.send(ask).await;
    assert_eq!(watch.quiet(&answer, status, reason), Vec::<serde_json::Value>::new(), "{ask:?}");
    assert_eq!(answer.header("set-cookie"), None, "an answer that asks for a sign-in sets no cookie");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_top_level_get_is_redirected_to_the_sign_in_page() {
    let app = App::start().await;
    for ask in [
        Ask::page("/report?month=5"),
        browser("navigate", "document", "cross-site"),
        // Without Fetch Metadata the Accept header decides.
        Ask::get("/report?month=5").with("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
        // And where there is some, it does not.
        browser("navigate", "document", "none").with("X-Requested-With", "XMLHttpRequest"),
    ] {
        let answer = refused(&app, &ask, 302, "sign_in_required").await;
        assert_eq!(answer.location(), format!("{SIGN_IN}?rd=/report%3Fmonth%3D5"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_gets_a_page_that_says_that_it_was_not_sent() {
    let app = App::start().await;
    let form =
        |ask: Ask| ask.method("POST").with("Content-Type", "application/x-www-form-urlencoded").body("amount=100");
    for ask in [
        form(browser("navigate", "document", "same-origin")),
        form(browser("navigate", "document", "cross-site")),
        form(Ask::get("/report").with("Accept", "text/html")),
        form(Ask::page("/report")).method("PUT"),
    ] {
        let answer = refused(&app, &ask, 401, "not_sent").await;
        assert!(answer.text().contains("Not sent: sign in first"), "{}", answer.text());
        assert!(answer.links().contains(&"/.anteroom/sign-in".to_owned()), "{:?}", answer.links());
        assert!(!answer.text().contains("amount"), "what was sent does not come back");
        assert!(answer.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    }
    // The honest twin.
    let mut signed_in = app.signed_in().await;
    assert_eq!(signed_in.send(form(browser("navigate", "document", "same-origin"))).await.status, 200);
    assert_eq!(app.upstream.last().body, b"amount=100");
}

/// W01: the one page that may be framed; it names nobody, asks for nothing and has one way out, to the top.
#[tokio::test(flavor = "multi_thread")]
async fn a_frame_gets_the_fixed_page() {
    let app = App::start().await;
    let mut texts = vec![];
    for (dest, method, target) in [
        ("iframe", "GET", "/report"),
        ("frame", "GET", "/a?b=canary"),
        ("embed", "GET", "/"),
        ("object", "GET", "/"),
        ("iframe", "POST", "/"),
    ] {
        let mut ask = browser("navigate", dest, "cross-site").method(method);
        ask.target = target.into();
        let answer = refused(&app, &ask, 401, "sign_in_required").await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(!policy.contains("frame-ancestors"), "{policy}");
        assert!(policy.contains("default-src 'none'") && policy.contains("form-action 'none'"), "{policy}");
        assert_eq!(answer.header("x-frame-options"), None);
        assert_eq!(answer.links(), ["/.anteroom/sign-in"]);
        assert!(answer.text().contains("target=\"_top\""));
        assert!(!answer.text().contains("<form") && !answer.text().contains("<input"), "{}", answer.text());
        texts.push(answer.text());
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "the same for everybody");
    // Nothing else of ours may be framed, asked for by a frame or not.
    for target in ["/.anteroom/sign-in", "/.anteroom/sign-out", "/.anteroom/sign-out/done", "/.anteroom/nothing"] {
        let mut ask = browser("navigate", "iframe", "cross-site");
        ask.target = target.into();
        let answer = app.send(&ask).await;
        assert!(answer.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"), "{target}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{target}");
    }
}

/// W04
#[tokio::test(flavor = "multi_thread")]
async fn everything_else_gets_json_with_the_sign_in_url() {
    let app = App::start().await;
    let asks = [
        browser("cors", "empty", "same-origin"),
        browser("same-origin", "empty", "same-origin"),
        browser("no-cors", "image", "same-site"),
        browser("no-cors", "script", "cross-site"),
        browser("websocket", "websocket", "same-origin").with("Upgrade", "websocket").with("Connection", "Upgrade"),
        browser("cors", "empty", "same-origin")
            .with("X-Requested-With", "XMLHttpRequest")
            .without("Accept")
            .with("Accept", "text/html"),
        Ask::get("/report"),
        Ask::get("/report").with("Accept", "*/*"),
        Ask::get("/report").with("Accept", "application/json"),
        Ask::get("/report").with("Accept", "text/html").with("X-Requested-With", "XMLHttpRequest"),
        Ask::get("/report").method("POST").with("Content-Type", "application/json").body("{}"),
        Ask::get("/report").method("OPTIONS").with("Access-Control-Request-Method", "PUT"),
        Ask::get("/report").method("DELETE"),
    ];
    for ask in asks {
        let answer = refused(&app, &ask, 401, "sign_in_required").await;
        assert_eq!(answer.header("content-type"), Some("application/json"), "{ask:?}");
        let body = answer.json();
        assert_eq!((&body["error"], &body["sign_in_url"]), (&"sign_in_required".into(), &SIGN_IN.into()), "{ask:?}");
        assert_eq!(body["reference"].as_str(), answer.header("x-request-id"));
        assert_eq!(answer.header("location"), None);
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

/// W07: a configured application's own pages may read the answer; nobody else's.
#[tokio::test(flavor = "multi_thread")]
async fn only_a_configured_applications_origin_may_read_a_refusal_w07() {
    let app = App::start().await;
    let answer =
        refused(&app, &browser("cors", "empty", "same-origin").with("Origin", OWN), 401, "sign_in_required").await;
    assert_eq!(answer.header("access-control-allow-origin"), Some(OWN));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(answer.header("vary"), Some("Origin"));
    for origin in [
        "https://evil.example",
        "null",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com.evil.example",
        "https://app.example.co",
        "https://APP.example.com/",
        "*",
    ] {
        for target in ["/report", "/.anteroom/me"] {
            let mut ask = browser("cors", "empty", "cross-site").with("Origin", origin);
            ask.target = target.into();
            let answer = app.send(&ask).await;
            assert!([401, 403].contains(&answer.status), "{origin}");
            for name in ["access-control-allow-origin", "access-control-allow-credentials"] {
                assert_eq!(answer.header(name), None, "{origin} {target}");
            }
        }
    }
}

/// Whatever is no top-level GET starts no attempt and is given no cookie, at whichever door it knocks.
#[tokio::test(flavor = "multi_thread")]
async fn only_a_top_level_get_starts_an_attempt() {
    let app = App::start().await;
    let doors = [
        "/.anteroom/sign-in?login_hint=alice@acme.com",
        "/.anteroom/sign-in?domain_hint=acme.com",
        "/.anteroom/sign-in/go?connector=acme",
    ];
    for door in doors {
        for base in [
            browser("navigate", "iframe", "same-origin"),
            browser("cors", "empty", "same-origin"),
            browser("no-cors", "image", "cross-site"),
            browser("websocket", "websocket", "same-origin"),
            Ask::get("/"),
            Ask::page("/").method("HEAD"),
            Ask::page("/").method("POST").body(""),
        ] {
            let mut ask = base;
            ask.target = door.into();
            let watch_count = app.acme.count("");
            let answer = app.send(&ask).await;
            assert!([200, 400, 405].contains(&answer.status), "{door} {ask:?}: {answer:?}");
            assert_eq!((answer.header("location"), answer.header("set-cookie")), (None, None), "{door} {ask:?}");
            assert_eq!(app.acme.count(""), watch_count, "nobody was asked");
        }
        let honest = app.send(&Ask::page(door)).await;
        assert_eq!((honest.status, honest.reason()), (303, "sign_in_started"), "{door}");
    }
}

/// A callback that a script fetches redeems nothing, and the browser's own callback still works (G7).
#[tokio::test(flavor = "multi_thread")]
async fn a_callback_is_for_a_navigation_alone() {
    let app = App::start().await;
    let mut person = app.browser();
    let to_provider = app.start_sign_in(&mut person, "acme", "/", "alice@acme.com").await;
    let query = app.acme.sign_in(to_provider.location());
    let target = App::callback("acme", &query).target;
    for base in [browser("cors", "empty", "same-origin"), browser("no-cors", "image", "cross-site")] {
        let mut ask = base;
        ask.target = target.clone();
        let watch = app.watch();
        let answer = person.clone().send(ask).await;
        watch.refused(&answer, 400, "not_a_page", "login.rejected");
    }
    let head = person.clone().send(App::callback("acme", &query).method("HEAD")).await;
    assert_eq!((head.status, no_session(&head)), (405, ()));
    assert_eq!(app.acme.count("/token"), 0);
    let back = person.send(App::callback("acme", &query)).await;
    assert_eq!(back.reason(), "signed_in");
}

/// An expired session is asked for in the same forms.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_decides_the_form_for_a_session_that_is_over_too() {
    let app = App::start().await;
    let mut ended = app.signed_in().await;
    ended.clone().send(Ask::form("/.anteroom/sign-out", &[])).await;
    // The mark of a completed sign-in is for loops: not what this is about.
    ended.cookies.remove("__Host-anteroom-done");
    for (ask, status) in [
        (Ask::page("/x"), 302),
        (browser("cors", "empty", "same-origin"), 401),
        (browser("navigate", "iframe", "same-origin"), 401),
        (Ask::page("/x").method("POST").body("a=b"), 401),
    ] {
        let answer = ended.clone().send(ask).await;
        assert_eq!((answer.status, no_session(&answer)), (status, ()));
    }
    assert_eq!(app.upstream.count(), 0, "nothing of it is replayed, as GET or otherwise");
}

//! What shared caches and browsers may keep of the application's answers (W02).

use crate::support::{App, Ask, Browser, Connection, SharedCache, answer};

/// The application says who asked, with `headers`.
fn personal(app: &App, headers: &'static [(&'static str, &'static str)]) {
    app.upstream.reply(move |request| answer(200, headers, request.header("x-forwarded-email").unwrap_or("nobody")));
}

/// The same browser, through the cache.
fn through(cache: &SharedCache, browser: &Browser) -> Browser {
    let mut through = Browser::new(cache.address);
    through.cookies.clone_from(&browser.cookies);
    through
}

async fn bob(app: &App) -> Browser {
    let mut bob = app.browser();
    let to_provider = app.start_sign_in(&mut bob, "globex", "/", "bob@globex.com").await;
    let query = app.globex.sign_in(to_provider.location());
    assert_eq!(bob.send(App::callback("globex", &query)).await.status, 303);
    bob
}

const HTML: (&str, &str) = ("Content-Type", "text/html");
const CSS: (&str, &str) = ("Content-Type", "text/css");
const MODIFIED: (&str, &str) = ("Last-Modified", "Sun, 22 Nov 2026 00:00:00 GMT");

/// What applications say that never thought of a shared cache, and the paths by which a cache is deceived.
const CARELESS: [(&str, &[(&str, &str)]); 6] = [
    ("/account", &[HTML]),
    ("/account/x.css", &[HTML, MODIFIED]),
    ("/account/x.css?v=1", &[CSS, ("ETag", "\"1\"")]),
    ("/account;x.css", &[HTML, ("Expires", "Thu, 22 Nov 2046 00:00:00 GMT")]),
    ("/account.js", &[("Content-Type", "text/javascript"), ("Cache-Control", "max-age=600")]),
    ("/api/account", &[("Content-Type", "application/json"), MODIFIED]),
];

#[tokio::test(flavor = "multi_thread")]
async fn w02_a_shared_cache_gives_nobodys_answer_to_somebody_else() {
    let app = App::start().await;
    let cache = SharedCache::start(app.address).await;
    let mut alice = through(&cache, &app.signed_in().await);
    let mut bob = through(&cache, &bob(&app).await);
    for (path, headers) in CARELESS {
        personal(&app, headers);
        for whose in ["alice@acme.com", "bob@globex.com", "alice@acme.com"] {
            let browser = if whose == "bob@globex.com" { &mut bob } else { &mut alice };
            let page = browser.visit(path).await;
            assert_eq!((page.status, page.text().as_str()), (200, whose), "{path}: {page:?}");
            assert_ne!(page.header("x-cache"), Some("HIT"), "{path}");
        }
        let stranger = Connection::open(cache.address).await.send(&Ask::page(path)).await;
        assert!([302, 401].contains(&stranger.status) || stranger.text() == "nobody", "{path}: {stranger:?}");
        assert!(!stranger.text().contains('@'), "{path}: {stranger:?}");
        // Nor is the way to the sign-in kept for somebody who is signed in.
        assert_eq!(alice.visit(path).await.text(), "alice@acme.com", "{path}");
    }
}

/// The twin that shows that the cache is a real one: without Anteroom between, it gives away what it is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn w02_the_same_cache_before_the_bare_application_gives_everything_away() {
    let app = App::start().await;
    let cache = SharedCache::start(app.upstream.address).await;
    for (path, headers) in CARELESS {
        personal(&app, headers);
        let ask = |email: &str| Ask::page(path).with("X-Forwarded-Email", email);
        let alice = Connection::open(cache.address).await.send(&ask("alice@acme.com")).await;
        let bob = Connection::open(cache.address).await.send(&ask("bob@globex.com")).await;
        assert_eq!((alice.text().as_str(), bob.text().as_str()), ("alice@acme.com", "alice@acme.com"), "{path}");
        assert_eq!(bob.header("x-cache"), Some("HIT"), "{path}");
    }
}

/// What the application wants shared stays shared: what it says is public, and what its route says.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_public_is_cached_for_everybody() {
    let app = App::start().await;
    let cache = SharedCache::start(app.address).await;
    let mut alice = through(&cache, &app.signed_in().await);
    for (path, headers) in [
        ("/public/app.css", [CSS, MODIFIED].as_slice()),
        ("/public/page", &[HTML]),
        ("/logo.svg", &[("Content-Type", "image/svg+xml"), ("Cache-Control", "public, max-age=600")]),
    ] {
        app.upstream.reply(move |_| answer(200, headers, "the same for all"));
        assert_eq!(alice.visit(path).await.header("x-cache"), Some("MISS"), "{path}");
        let next = alice.visit(path).await;
        assert_eq!((next.header("x-cache"), next.text().as_str()), (Some("HIT"), "the same for all"), "{path}");
    }
}

/// A cookie is somebody's, on public routes too; and ours is nobody's business at all.
#[tokio::test(flavor = "multi_thread")]
async fn w02_no_cookie_is_given_to_somebody_else() {
    let app = App::start().await;
    let cache = SharedCache::start(app.address).await;
    for headers in [
        [CSS, ("Set-Cookie", "JSESSIONID=canary"), MODIFIED].as_slice(),
        &[CSS, ("Set-Cookie", "JSESSIONID=canary"), ("Cache-Control", "public, max-age=600")],
    ] {
        app.upstream.reply(move |_| answer(200, headers, "x"));
        for _ in 0..2 {
            let answer = Connection::open(cache.address).await.send(&Ask::page("/public/app.css")).await;
            assert_eq!((answer.status, answer.header("x-cache")), (200, Some("MISS")), "{answer:?}");
            // nginx keeps no Set-Cookie by itself; other caches go by this.
            assert!(answer.all("cache-control").any(|said| ["no-store", "private"].contains(&said)), "{answer:?}");
        }
    }
    // The application's sign-out page, which it lets everybody cache, takes our cookie back.
    app.upstream.reply(|_| answer(200, &[HTML, ("Cache-Control", "public, max-age=600")], "bye"));
    let bye = app.signed_in().await.visit("/logout").await;
    assert!(bye.all("set-cookie").any(|line| line.starts_with("__Host-anteroom=;")), "{bye:?}");
    assert_eq!(bye.header("cache-control"), Some("no-store"));
}

/// A browser keeps what its application lets it ask about, and asks each time: whoever has signed out gets nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_may_ask_whether_its_copy_is_still_good() {
    let app = App::start().await;
    let mut alice = app.signed_in().await;
    app.upstream.reply(|request| match request.header("if-none-match") {
        Some("\"1\"") => answer(304, &[("ETag", "\"1\"")], ""),
        _ => answer(200, &[CSS, ("ETag", "\"1\"")], "p{}"),
    });
    let first = alice.send(Ask::get("/app.css")).await;
    assert_eq!((first.status, first.header("cache-control")), (200, Some("private, no-cache")));
    let ask = || Ask::get("/app.css").with("If-None-Match", "\"1\"");
    let again = alice.send(ask()).await;
    assert_eq!((again.status, again.header("cache-control")), (304, Some("private, no-cache")));
    assert_eq!(app.send(&ask()).await.status, 401);
    // A page is not kept: after a sign-out the Back button shows nothing.
    app.upstream.reply(|_| answer(200, &[HTML, ("ETag", "\"1\"")], "<p>"));
    assert_eq!(alice.visit("/").await.header("cache-control"), Some("no-store"));
}

//! Credentials of the application itself on native routes (`/api/**`), in their plain form: N01–N03, N07, N09, N10.

use crate::support::{App, Ask, Recorded, Setup, answer, until};

const IDENTITY: &[&str] = &["x-forwarded-user", "x-forwarded-email", "x-anteroom-auth", "x-anteroom-assertion"];

fn assert_is_nobody(seen: &Recorded) {
    for name in IDENTITY {
        assert_eq!(seen.header(name), None, "{seen:?}");
    }
}

fn reasons(app: &App) -> Vec<String> {
    app.events().iter().map(|e| format!("{} {}", e["event"].as_str().unwrap(), e["reason"].as_str().unwrap())).collect()
}

/// N02, N03, N07: whatever the credential is, it is the application's to judge.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_native_route_a_credential_passes_byte_for_byte_and_as_nobody() {
    let app = App::start().await;
    let cookie = app.cookie().await;
    app.events();
    for (name, value) in [
        ("Authorization", "Basic c3ZjOmNhbmFyeS1wYXNzd29yZA=="),
        ("Authorization", "Bearer canary.token"),
        ("authorization", "bEaReR   two  spaces, and=\"odd\" \t things"),
        ("Authorization", "Basic c3ZjOnNlY3JldA"),
        ("Authorization", "Basic bfxsbGVyOng="),
        ("Authorization", "Token token=\"x\", odd"),
        ("Authorization", "Digest username=\"a\", realm=\"b\""),
        ("X-Api-Key", "key with spaces"),
    ] {
        // Alone; beside somebody's session; with Fetch Metadata, as a page's script sends it; with forged headers.
        let ask = Ask::get("/api/things?q=1").with(name, value);
        let with_session = ask.clone().with("Cookie", &format!("theirs=1; {cookie}"));
        let script = with_session.clone().with("Sec-Fetch-Mode", "cors").with("Sec-Fetch-Site", "same-origin");
        for ask in [ask.clone(), with_session, script, ask.method("POST").body("x")] {
            assert_eq!(app.send(&ask).await.status, 200, "{name}: {value}");
            let seen = app.upstream.last();
            assert_eq!(seen.header(name), Some(value));
            assert_is_nobody(&seen);
            assert!(matches!(seen.header("cookie"), None | Some("theirs=1")), "{seen:?}");
            assert_eq!(seen.target, "/api/things?q=1");
        }
        let forged =
            Ask::get("/api/things").with(name, value).with("X-Forwarded-User", "root").with("remote_user", "r");
        assert_eq!(reasons(&app), Vec::<String>::new());
        assert_eq!(app.send(&forged).await.status, 200);
        assert_is_nobody(&app.upstream.last());
        assert!(!format!("{:?}", app.upstream.last()).contains("root"));
        assert_eq!(reasons(&app), ["header.stripped header_spoof"]);
    }
}

/// N01: on a route for people it opens nothing, and goes on only where the route keeps it.
#[tokio::test(flavor = "multi_thread")]
async fn elsewhere_a_credential_opens_nothing_and_is_dropped_unless_the_route_keeps_it() {
    let app = App::start().await;
    let cookie = app.cookie().await;
    for value in ["Bearer canary-junk", "Basic Y2FuYXJ5OmNhbmFyeQ==", "Bearer "] {
        for target in ["/", "/admin/a", "/keep/a", "/apis/a", "/api", "/API/a"] {
            let before = app.before();
            let ask = Ask::get(target).with("Authorization", value).with("X-Api-Key", "canary-key");
            let refused = app.send(&ask).await;
            app.refused(&before, &refused, 401, "sign_in_required", "", &["canary"]);
        }
        let before = app.before();
        let refused = app.send(&Ask::page("/admin/a").with("Authorization", value)).await;
        app.refused(&before, &refused, 302, "sign_in_required", "", &["canary"]);

        app.events();
        let ask = Ask::get("/").with("Cookie", &cookie).with("Authorization", value);
        assert_eq!(app.send(&ask).await.status, 200);
        let seen = app.upstream.last();
        assert_eq!((seen.header("authorization"), seen.header("x-forwarded-user")), (None, Some("alice@acme.com")));
        assert_eq!(reasons(&app), ["header.stripped authorization_dropped"]);

        let ask = Ask::get("/keep/a").with("Cookie", &cookie).with("Authorization", value);
        assert_eq!(app.send(&ask).await.status, 200);
        let seen = app.upstream.last();
        assert_eq!(seen.header("authorization"), Some(value.trim_end()));
        assert_eq!(seen.header("x-forwarded-user"), Some("alice@acme.com"), "the cookie decides");
        assert_eq!(reasons(&app), Vec::<String>::new());
    }
    // A public route neither asks for it nor shows it.
    assert_eq!(app.send(&Ask::get("/public/a").with("Authorization", "Bearer x")).await.status, 200);
    assert_eq!(app.upstream.last().header("authorization"), None);
}

/// N07
#[tokio::test(flavor = "multi_thread")]
async fn two_credentials_of_one_kind_and_an_endless_one_are_refused() {
    let app = App::start().await;
    for names in [["Authorization", "Authorization"], ["Authorization", "AUTHORIZATION"], ["X-Api-Key", "x-api-key"]] {
        let before = app.before();
        let ask = Ask::get("/api/a").with(names[0], "Bearer canary-1").with(names[1], "Bearer canary-2");
        let refused = app.send(&ask).await;
        app.refused(&before, &refused, 400, "credential_ambiguous", "native.denied", &["canary"]);
    }
    let ask = Ask::get("/api/a").with("Authorization", "Bearer 1").with("X-Api-Key", "2");
    assert_eq!(app.send(&ask).await.status, 200, "one of each is the application's affair");

    for bad in ["Basic", "Basic not base64!", "Basic %zz", "Basic YTpi, Basic Yzpk", "Basic YWI=", "Digest realm=\"x\""]
    {
        let before = app.before();
        let refused = app.send(&Ask::get("/api/a").with("Authorization", bad)).await;
        app.refused(&before, &refused, 400, "credential_malformed", "native.denied", &["canary"]);
    }
    let before = app.upstream.count();
    let mut connection = app.connect().await;
    connection.write(b"GET /api/a HTTP/1.1\r\nHost: app.example.com\r\nAuthorization: Basic \xe4\xff\r\n\r\n").await;
    assert_eq!((connection.read(false).await.status, app.upstream.count()), (400, before));

    let long = Ask::get("/api/a").with("Authorization", &format!("Basic {}", "canary".repeat(17_000)));
    let before = app.upstream.count();
    let answer = app.send(&long).await;
    assert_eq!((answer.status, app.upstream.count()), (431, before));
    until("an event", || app.log.taken().contains("head_too_large")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_credential_a_program_gets_the_challenge_and_a_browser_the_usual_refusal() {
    let app = App::start().await;
    for method in ["GET", "POST", "OPTIONS"] {
        let before = app.before();
        let answer = app.send(&Ask::get("/api/a").method(method)).await;
        app.refused(&before, &answer, 401, "credential_required", "", &[]);
        assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"portal\""));
        assert_eq!(answer.header("location"), None);
    }
    // Even one that would take a page is not redirected: it is no browser.
    let before = app.before();
    let answer = app.send(&Ask::get("/api/a").with("Accept", "text/html")).await;
    app.refused(&before, &answer, 401, "credential_required", "", &[]);

    let script = Ask::get("/api/a").with("Sec-Fetch-Mode", "cors").with("Sec-Fetch-Site", "same-origin");
    let before = app.before();
    let answer = app.send(&script).await;
    app.refused(&before, &answer, 401, "sign_in_required", "", &[]);
    assert_eq!(answer.header("www-authenticate"), None, "a browser would ask for a password");
    let before = app.before();
    let answer = app.send(&Ask::page("/api/a")).await;
    app.refused(&before, &answer, 302, "sign_in_required", "", &[]);

    // A signed-in browser's page may use the API as its person.
    let cookie = app.cookie().await;
    assert_eq!(app.send(&script.with("Cookie", &cookie)).await.status, 200);
    assert_eq!(app.upstream.last().header("x-forwarded-user"), Some("alice@acme.com"));
}

#[tokio::test(flavor = "multi_thread")]
async fn ask_app_lets_the_application_ask_a_program_but_not_a_browser() {
    let setup = Setup::new().replacing("challenge = \"Basic realm=\\\"portal\\\"\"", "challenge = \"ask-app\"");
    let app = App::start_with(setup).await;
    app.upstream.reply(|_| answer(401, &[("WWW-Authenticate", "Digest realm=\"theirs\", nonce=\"1\"")], "who?"));
    let answer = app.send(&Ask::get("/api/a").with("X-Forwarded-User", "root")).await;
    assert_eq!((answer.status, answer.text().as_str(), answer.reason()), (401, "who?", ""));
    assert_eq!(answer.header("www-authenticate"), Some("Digest realm=\"theirs\", nonce=\"1\""));
    assert_is_nobody(&app.upstream.last());

    for browser in [Ask::page("/api/a"), Ask::get("/api/a").with("Sec-Fetch-Mode", "no-cors")] {
        let before = app.before();
        let refused = app.send(&browser).await;
        let status = if refused.status == 302 { 302 } else { 401 };
        app.refused(&before, &refused, status, "sign_in_required", "", &[]);
    }
}

/// N09
#[tokio::test(flavor = "multi_thread")]
async fn what_the_application_says_of_a_credential_passes_unchanged() {
    let app = App::start().await;
    let challenges =
        [("WWW-Authenticate", "Basic realm=\"x\""), ("WWW-Authenticate", "Bearer error=\"invalid_token\"")];
    app.upstream.reply(move |_| {
        let mut headers = challenges.to_vec();
        headers.extend([("Set-Cookie", "theirs=1"), ("Location", "/elsewhere"), ("Content-Type", "application/json")]);
        answer(401, &headers, "{\"no\":1}")
    });
    let answer = app.send(&Ask::get("/api/a").with("Authorization", "Basic eDp5")).await;
    assert_eq!((answer.status, answer.text().as_str(), answer.reason()), (401, "{\"no\":1}", ""));
    let seen: Vec<_> = answer.all("www-authenticate").collect();
    assert_eq!(seen, challenges.map(|(_, value)| value));
    assert_eq!(answer.header("set-cookie"), Some("theirs=1"));
    assert_eq!(answer.header("location"), Some("/elsewhere"));
}

/// N10, E10
#[tokio::test(flavor = "multi_thread")]
async fn no_credential_is_in_a_log_a_metric_or_an_error() {
    let app = App::start_with(Setup::new().replacing("workers = 2", "workers = 1")).await;
    let cookie = app.cookie().await;
    app.log.taken();
    let ask = |target: &str| {
        Ask::get(&format!("{target}?key=canary-query"))
            .method("POST")
            .with("Authorization", "Basic Y2FuYXJ5LWJhc2ljOmNhbmFyeS1zZWNyZXQ=")
            .with("X-Api-Key", "canary-key")
            .with("Cookie", &format!("theirs=canary-cookie; {cookie}"))
            .with("X-Forwarded-Access-Token", "canary-forged")
            .with("Proxy-Authorization", "Basic canary-proxy")
            .body("password=canary-body")
    };
    let broken = |_: &Recorded| b"HTTP/1.1 nonsense canary-answer\r\n\r\n".to_vec();
    for target in ["/api/a", "/", "/keep/a", "/admin/a", "/public/a", "/.anteroom/me", "/..", "/.anteroom/x"] {
        app.send(&ask(target)).await;
        app.upstream.reply(broken);
        app.send(&ask(target)).await;
        app.upstream.reply(|_| answer(200, &[], "canary-page"));
    }
    app.send(&ask("/").host("evil.example")).await;
    let metrics = crate::support::Connection::of(tokio::net::TcpStream::connect(app.ops).await.unwrap())
        .send(&Ask::get("/metrics"))
        .await
        .text();
    let mut log = String::new();
    until("the access log", || {
        log.push_str(&app.log.taken());
        log.contains("evil.example")
    })
    .await;
    let session = cookie.split('=').nth(1).unwrap();
    for canary in ["canary", "Y2FuYXJ5", session] {
        assert!(!log.contains(canary), "{log}");
        assert!(!metrics.contains(canary), "{metrics}");
    }
}

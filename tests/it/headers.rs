//! Identity and forwarding headers: what a client says of itself never reaches the application (X01–X16, E14).

use std::time::Duration;

use anteroom::config::{self, Overrides};
use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::{Answer, App, Ask, Backend, Recorded, Setup, answer};

/// What an application somewhere takes for proof of who is there.
const PROTECTED: &[&str] = &[
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Access-Token",
    "X-Auth-Request-User",
    "X-Auth-Request-Email",
    "X-Auth-Request-Access-Token",
    "Remote-User",
    "Remote-Groups",
    "X-Remote-User",
    "X-Remote-Group",
    "X-WEBAUTH-USER",
    "X-WEBAUTH-ROLE",
    "X-Anteroom-Role",
    "X-Anteroom-Account",
    "X-Anteroom-Properties",
    "X-Anteroom-Auth",
    "X-Anteroom-Connector",
    "X-Anteroom-Assertion",
    "X-Anteroom-Anything",
    "X-Custom-Person",
];

const FORGED: &str = "forged-canary";

async fn app() -> App {
    let custom = "[identity]\nheaders = [\"x-forwarded\", { name = \"X-Custom-Person\", value = \"{email}\" }]\n";
    App::start_with(Setup::new().with(custom)).await
}

/// Alice's identity is there, each header once, and nothing that was forged.
fn assert_is_alice(seen: &Recorded) {
    assert_carries_nothing_forged(seen);
    for (name, value) in [
        ("X-Forwarded-User", "alice@acme.com"),
        ("X-Forwarded-Email", "alice@acme.com"),
        ("X-Forwarded-Groups", "staff,x%2Cadmin"),
        ("X-Forwarded-Preferred-Username", "alice@acme.com"),
        ("X-Anteroom-Role", "Admin"),
        ("X-Anteroom-Auth", "oidc"),
        ("X-Anteroom-Connector", "acme"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name} in {seen:?}");
    }
    assert!(seen.header("X-Anteroom-Assertion").unwrap().split('.').count() == 3);
}

fn assert_carries_nothing_forged(seen: &Recorded) {
    let found = seen.headers.iter().find(|(name, value)| name.contains(FORGED) || value.contains(FORGED));
    assert_eq!(found, None, "{seen:?}");
    assert_eq!(seen.headers.iter().find(|(name, _)| name.contains('_')), None);
}

/// No identity at all.
fn assert_is_nobody(seen: &Recorded) {
    assert_carries_nothing_forged(seen);
    for name in PROTECTED {
        assert!(seen.all(name).is_empty(), "{name} in {seen:?}");
    }
}

fn forging(ask: Ask, names: impl IntoIterator<Item = String>) -> Ask {
    names.into_iter().fold(ask, |ask, name| ask.with(&name, FORGED))
}

/// Those of every application; `X-Custom-Person` is one by its configuration.
fn protected_anywhere() -> impl Iterator<Item = String> {
    protected().filter(|name| name != "X-Custom-Person")
}

fn protected() -> impl Iterator<Item = String> {
    PROTECTED.iter().map(ToString::to_string)
}

fn assert_one_event(app: &App, event: &str, reason: &str) {
    let events = app.events();
    let seen: Vec<_> = events.iter().map(|e| (e["event"].as_str().unwrap(), e["reason"].as_str().unwrap())).collect();
    assert_eq!(seen, [(event, reason)]);
}

/// X01: every protected name, sent by somebody who is signed in.
#[tokio::test(flavor = "multi_thread")]
async fn an_application_sees_our_identity_headers_once_and_never_the_clients() {
    let app = app().await;
    let cookie = app.cookie().await;
    app.events();
    let honest = Ask::get("/").with("Cookie", &cookie);

    assert_eq!(app.send(&honest).await.status, 200);
    assert_is_alice(&app.upstream.last());
    assert_eq!(app.events(), Vec::<Value>::new(), "an honest request is no event");

    assert_eq!(app.send(&forging(honest, protected())).await.status, 200);
    assert_is_alice(&app.upstream.last());
    assert_eq!(app.upstream.last().header("X-Custom-Person"), Some("alice@acme.com"));
    assert_one_event(&app, "header.stripped", "header_spoof");
}

/// X02, X03: underscores, odd case, several copies on lines of their own; before and after the honest headers.
#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_and_no_copy_of_a_protected_name_survives() {
    let app = app().await;
    let cookie = app.cookie().await;
    let spellings: [fn(&str) -> String; 6] = [
        |name| name.replace('-', "_"),
        |name| name.replacen('-', "_", 1),
        |name| name.to_uppercase(),
        |name| name.to_lowercase().replacen('-', "_", 1),
        |name| name.chars().rev().map(|c| c.to_ascii_uppercase()).rev().collect(),
        |name| format!("{name}_"),
    ];
    for spell in spellings {
        app.events();
        let names = PROTECTED.iter().map(|name| spell(name));
        let ask = forging(Ask::get("/"), names).with("Cookie", &cookie);
        assert_eq!(app.send(&ask).await.status, 200);
        assert_is_alice(&app.upstream.last());
        assert_one_event(&app, "header.stripped", "header_spoof");
    }
    for copies in 2..=5 {
        for name in ["X-Forwarded-User", "X-Anteroom-Role", "x_forwarded_email", "Remote-User"] {
            let names = std::iter::repeat_n(name.to_owned(), copies);
            let ask = forging(Ask::get("/"), names.clone()).with("Cookie", &cookie);
            let ask = forging(ask, names);
            assert_eq!(app.send(&ask).await.status, 200);
            assert_is_alice(&app.upstream.last());
        }
    }
}

/// X04: `Connection` cannot take away what is set after it was obeyed.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_header_that_names_identity_headers_removes_none() {
    let app = app().await;
    let cookie = app.cookie().await;
    let all = PROTECTED.join(", ");
    for lines in [
        vec![all.as_str()],
        vec!["close, X-FORWARDED-USER ,x-anteroom-role", "\tX-Forwarded-Email", "x-AnteRoom-Assertion,,"],
        vec!["keep-alive", "X-Forwarded-User", "X-Forwarded-For, X-Forwarded-Host, X-Request-Id"],
    ] {
        let ask = lines.iter().fold(Ask::get("/").with("Cookie", &cookie), |ask, line| ask.with("Connection", line));
        assert_eq!(app.send(&ask).await.status, 200, "{lines:?}");
        let seen = app.upstream.last();
        assert_is_alice(&seen);
        assert_eq!(seen.header("X-Forwarded-Host"), Some("app.example.com"));
        assert!(seen.header("X-Forwarded-For").is_some() && seen.header("X-Request-Id").is_some());
    }
    // The honest use of it works: a header of this hop ends here.
    let ask = Ask::get("/").with("Cookie", &cookie).with("Connection", "X-Hop").with("X-Hop", "1").with("X-End", "1");
    assert_eq!(app.send(&ask).await.status, 200);
    let seen = app.upstream.last();
    assert_eq!((seen.header("X-Hop"), seen.header("X-End"), seen.header("Connection")), (None, Some("1"), None));
}

/// X05
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_header_does_not_change_the_message() {
    let app = app().await;
    let cookie = format!("{}; theirs=1", app.cookie().await);
    let ask = Ask::get("/keep/a")
        .method("POST")
        .with("Cookie", &cookie)
        .with("Authorization", "Bearer theirs")
        .with("Content-Type", "text/x")
        .with("Origin", "https://app.example.com")
        .with(
            "Connection",
            "Host, Content-Length, Transfer-Encoding, Cookie, Authorization, content-type, Origin, keep-alive",
        )
        .body("GET /smuggled HTTP/1.1\r\n\r\n");
    let mut connection = app.connect().await;
    assert_eq!(connection.send(&ask).await.status, 200);
    let seen = app.upstream.last();
    assert_eq!(seen.header("Host"), Some("app.example.com"));
    assert_eq!(seen.header("Cookie"), Some("theirs=1"));
    assert_eq!(seen.header("Authorization"), Some("Bearer theirs"));
    assert_eq!(seen.header("Content-Type"), Some("text/x"));
    assert_eq!(seen.header("Origin"), Some("https://app.example.com"));
    assert_eq!(seen.body, b"GET /smuggled HTTP/1.1\r\n\r\n");
    assert_is_alice(&seen);
    assert_eq!(app.upstream.count(), 1);
}

/// X06
#[tokio::test(flavor = "multi_thread")]
async fn trailers_end_here_both_ways() {
    let app = app().await;
    let cookie = app.cookie().await;
    app.upstream.reply(|_| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Set-Cookie\r\n\r\n\
          5\r\nhello\r\n0\r\nSet-Cookie: __Host-anteroom=evil\r\nX-Anteroom: evil\r\n\r\n"
            .to_vec()
    });
    let mut connection = app.connect().await;
    let head = format!(
        "POST / HTTP/1.1\r\nHost: app.example.com\r\nCookie: {cookie}\r\nTE: trailers\r\nTrailer: X-Forwarded-User\r\n\
         Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n"
    );
    let trailers = PROTECTED.iter().fold(String::new(), |all, name| format!("{all}{name}: {FORGED}\r\n"));
    connection.write(format!("{head}{trailers}Host: evil\r\n\r\n").as_bytes()).await;
    let answer = connection.head().await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(!answer.to_lowercase().contains("trailer"), "{answer}");
    let body = String::from_utf8(connection.rest().await).unwrap();
    assert_eq!(body, "5\r\nhello\r\n0\r\n\r\n");
    let seen = app.upstream.last();
    assert_eq!(seen.body, b"body");
    assert_is_alice(&seen);
    assert!(!seen.headers.iter().any(|(name, _)| name.starts_with("trailer")), "{seen:?}");
    assert_eq!((seen.header("TE"), seen.header("Trailer")), (None, None));
}

/// X07: with a session too, a public route says nothing of anybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_public_route_is_reached_by_nobody() {
    let app = app().await;
    let cookie = app.cookie().await;
    let plain = Ask::get("/public/a");
    for ask in [plain.clone(), plain.clone().with("Cookie", &cookie)] {
        assert_eq!(app.send(&ask).await.status, 200);
        assert_is_nobody(&app.upstream.last());
        assert_eq!(app.send(&forging(ask, protected())).await.status, 200);
        let seen = app.upstream.last();
        assert_is_nobody(&seen);
        assert_eq!(seen.header("Cookie"), None, "our cookie ends here on public routes too");
    }
}

/// X08: pre-flights, HEAD, refused upgrades, errors; override headers change no decision.
#[tokio::test(flavor = "multi_thread")]
async fn every_method_and_path_through_the_proxy_strips_alike() {
    let app = app().await;
    let cookie = app.cookie().await;
    for method in ["OPTIONS", "HEAD", "POST", "PUT", "DELETE", "PATCH", "PROPFIND", "get"] {
        let ask = forging(Ask::get("/").method(method), protected())
            .with("X-HTTP-Method-Override", "GET")
            .with("Access-Control-Request-Method", "GET")
            .with("Origin", "https://evil.example")
            .with("Upgrade", "h2c")
            .with("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA")
            .with("Connection", "Upgrade, HTTP2-Settings");
        let before = app.before();
        let refused = app.send(&ask).await;
        app.refused(&before, &refused, 401, "sign_in_required", "", &[FORGED]);

        let answered = app.send(&ask.clone().with("Cookie", &cookie)).await;
        assert_eq!(answered.status, 200, "{method}");
        let seen = app.upstream.last();
        assert_is_alice(&seen);
        assert_eq!(seen.method, method);
        assert_eq!((seen.header("Upgrade"), seen.header("HTTP2-Settings")), (None, None));
    }
    // `/health` is public for GET alone.
    for over in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"] {
        let before = app.before();
        let refused = app.send(&Ask::get("/health").method("OPTIONS").with(over, "GET")).await;
        app.refused(&before, &refused, 401, "sign_in_required", "", &[]);
    }
    assert_eq!(app.send(&Ask::get("/health")).await.status, 200);
}

/// X08: a request that is sent again over another connection carries everything once.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_sent_again_carries_its_identity_once() {
    let backend = Backend::start().await;
    let app = App::start_with(Setup::new().upstream(backend.address).replacing("workers = 2", "workers = 1")).await;
    let cookie = app.cookie().await;
    let ask = forging(Ask::get("/").with("Cookie", &cookie), protected_anywhere());
    let mut client = app.connect().await;
    client.write(&ask.bytes()).await;
    let mut first = backend.accept().await;
    first.head().await;
    first.write(&answer(200, &[], "one")).await;
    client.head().await;
    client.expect(b"one").await;
    drop(first);

    client.write(&ask.bytes()).await;
    let mut second = backend.accept().await;
    let head = second.head().await;
    assert!(!head.contains(FORGED), "{head}");
    assert_eq!(head.to_lowercase().matches("x-forwarded-user: ").count(), 1, "{head}");
    assert_eq!(head.to_lowercase().matches("x-anteroom-assertion: ").count(), 1, "{head}");
    second.write(&answer(200, &[], "two")).await;
    assert!(client.head().await.starts_with("HTTP/1.1 200"));
}

/// X09, X10, X11: what a claim says arrives encoded as documented, or the sign-in is refused; never cut, never raw.
#[tokio::test(flavor = "multi_thread")]
async fn claims_arrive_encoded_and_empty_ones_leave_no_room_for_the_clients() {
    let app = App::start().await;
    app.acme.script().claims["groups"] =
        json!(["a\r\nX-Forwarded-User: evil", "nul\0", "grün", "😀", "x,admin", "50%", "\u{7f}", "plain"]);
    let cookie = app.cookie().await;
    let ask = forging(Ask::get("/").with("Cookie", &cookie), protected_anywhere());
    app.send(&ask).await;
    let groups = "a%0D%0AX-Forwarded-User: evil,nul%00,gr%C3%BCn,%F0%9F%98%80,x%2Cadmin,50%25,%7F,plain";
    assert_eq!(app.upstream.last().header("X-Forwarded-Groups"), Some(groups));
    assert_eq!(app.upstream.last().header("X-Forwarded-User"), Some("alice@acme.com"));

    app.acme.script().claims["groups"] = json!([]);
    app.acme.script().claims["roles"] = json!([]);
    app.acme.script().claims["preferred_username"] = json!("");
    let cookie = app.cookie().await;
    app.send(&forging(Ask::get("/").with("Cookie", &cookie), protected_anywhere())).await;
    let seen = app.upstream.last();
    assert_carries_nothing_forged(&seen);
    for name in ["X-Forwarded-Groups", "X-Anteroom-Role"] {
        assert!(seen.all(name).iter().all(|value| value.is_empty()), "{name}: {seen:?}");
    }

    // X09: 8 KB pass, more is refused.
    for (length, passes) in [(8 * 1024, true), (8 * 1024 + 1, false)] {
        app.acme.script().claims["groups"] = json!(["g".repeat(length)]);
        let mut browser = app.browser();
        let before = app.upstream.count();
        let answer = app.sign_in_with(&mut browser, "/").await;
        assert_eq!((answer.status == 303, browser.session().is_some()), (passes, passes), "{answer:?}");
        if passes {
            assert_eq!(browser.visit("/").await.status, 200);
            assert_eq!(app.upstream.last().header("X-Forwarded-Groups").unwrap().len(), length);
        } else {
            assert_eq!((answer.status, answer.reason()), (403, "header_too_long"));
            assert_eq!(app.upstream.count(), before);
        }
    }
}

/// X12: from a peer that nobody trusts (X13: an empty setting trusts nobody).
#[tokio::test(flavor = "multi_thread")]
async fn forwarding_headers_of_strangers_are_replaced_or_removed() {
    let app = App::start().await;
    let removed = [
        "X-Forwarded-Prefix",
        "X-Forwarded-Uri",
        "X-Forwarded-Method",
        "X-Forwarded-Scheme",
        "X-Forwarded-Ssl",
        "X-Forwarded-Server",
        "X-Forwarded-Client-Cert",
        "Forwarded",
        "X-Real-IP",
        "X-Client-IP",
        "X-Original-URL",
        "X-Original-Host",
        "X-Original-Method",
        "X-Rewrite-URL",
        "CF-Connecting-IP",
        "True-Client-IP",
        "X-Host",
    ];
    let replaced = [
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Host", "app.example.com"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Port", "443"),
    ];
    let names = removed.iter().chain(replaced.iter().map(|(name, _)| name)).map(ToString::to_string);
    let names: Vec<String> = names.chain(["X-Request-Id".to_owned()]).collect();
    let ask = forging(Ask::get("/public/a"), names.clone());
    // U03: nor can a client choose the id that logs are read by.
    let answer = app.send(&ask).await;
    let seen = app.upstream.last();
    assert_carries_nothing_forged(&seen);
    for name in removed {
        assert!(seen.all(name).is_empty(), "{name}: {seen:?}");
    }
    for (name, value) in replaced {
        assert_eq!(seen.header(name), Some(value));
    }
    assert_eq!(answer.header("x-request-id"), seen.header("X-Request-Id"));

    // No decision uses them: neither the path, nor the method, nor the host, nor where a person is sent.
    let ask = [
        ("X-Original-URL", "/public/a"),
        ("X-Rewrite-URL", "/public/a"),
        ("X-Forwarded-Uri", "/public/a"),
        ("X-Forwarded-Method", "GET"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "http"),
        ("Forwarded", "host=evil.example;proto=http"),
    ];
    let ask = ask.into_iter().fold(Ask::page("/admin"), |ask, (name, value)| ask.with(name, value));
    let before = app.before();
    let refused = app.send(&ask).await;
    app.refused(&before, &refused, 302, "sign_in_required", "", &["evil"]);
    assert_eq!(refused.location(), "https://app.example.com/.anteroom/sign-in?rd=/admin");
}

/// X13
#[tokio::test(flavor = "multi_thread")]
async fn trusting_the_whole_internet_is_refused_at_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("anteroom.toml");
    for (network, starts) in [("0.0.0.0/0", false), ("::/0", false), ("0.0.0.0/1", false), ("10.0.0.0/8", true)] {
        let toml = format!(
            "[server]\npublic_url = \"https://app.example.com\"\ntrusted_proxies = [\"{network}\"]\n\
             [apps.a]\nupstream = \"http://127.0.0.1:1\"\n"
        );
        std::fs::write(&file, toml).unwrap();
        let loaded = config::load(Some(&file), std::iter::empty(), &Overrides::default());
        assert_eq!(loaded.is_ok(), starts, "{network}: {:?}", loaded.err().map(|e| e.to_string()));
    }
}

/// X14: the right-most hop that is no trusted proxy is the client; what stands left of it is its own invention.
#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_the_right_most_stranger_is_the_client() {
    let setup =
        Setup::new().replacing("public_url =", "trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\npublic_url =");
    let app = App::start_with(setup).await;
    for (sent, chain, client) in [
        ("203.0.113.9", "203.0.113.9, 127.0.0.1", "203.0.113.9"),
        ("10.6.6.6, 203.0.113.9", "203.0.113.9, 127.0.0.1", "203.0.113.9"),
        ("127.0.0.1, 203.0.113.9:4711, 10.0.0.2", "203.0.113.9, 10.0.0.2, 127.0.0.1", "203.0.113.9"),
        ("::ffff:127.0.0.1, [2001:db8::1]:80, ::ffff:10.0.0.2", "2001:db8::1, 10.0.0.2, 127.0.0.1", "2001:db8::1"),
    ] {
        app.events();
        // The forged header makes an event, which names the client.
        let ask = Ask::get("/public/a").with("X-Forwarded-For", sent).with("Remote-User", FORGED);
        assert_eq!(app.send(&ask).await.status, 200, "{sent}");
        assert_eq!(app.upstream.last().header("X-Forwarded-For"), Some(chain), "{sent}");
        assert_eq!(app.events()[0]["client_ip"], client, "{sent}");
    }
    for bad in ["unknown", "1.2.3.4.5", "127.0.0.1, <script>", "010.0.0.1"] {
        let before = app.before();
        let refused = app.send(&Ask::get("/public/a").with("X-Forwarded-For", bad)).await;
        app.refused(&before, &refused, 400, "forwarded_malformed", "http.malformed", &[]);
    }
}

/// X15: an assertion is for one application and sixty seconds. That applications refuse the rest is what
/// `docs/` has test vectors for.
#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_is_ours_for_this_application_and_short() {
    let app = App::start().await;
    let cookie = app.cookie().await;
    let mut first = String::new();
    for _ in 0..2 {
        let ask = Ask::get("/").with("Cookie", &cookie).with("X-Anteroom-Assertion", &first);
        assert_eq!(app.send(&ask).await.status, 200);
        let assertion = app.upstream.last().header("X-Anteroom-Assertion").unwrap().to_owned();
        assert_ne!(assertion, first, "an old one, sent by the client, is replaced");
        let claims = assertion.split('.').nth(1).unwrap();
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!((&claims["aud"], &claims["iss"]), (&json!("portal"), &json!("https://app.example.com")));
        assert_eq!(claims["email"], "alice@acme.com");
        let (iat, exp) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
        assert_eq!((iat, exp - iat), (app.clock.now().secs(), 60));
        first = assertion;
        app.advance(Duration::from_secs(60));
    }
}

/// X16
#[tokio::test(flavor = "multi_thread")]
async fn nothing_on_the_data_listener_is_let_in_for_looking_like_a_health_check() {
    let app = App::start().await;
    for agent in ["kube-probe/1.30", "ELB-HealthChecker/2.0", "GoogleHC/1.0", "Prometheus/2.0", ""] {
        for path in ["/", "/ping", "/ready", "/livez", "/readyz", "/metrics", "/healthz", "/admin/ping", "/oauth2/auth"]
        {
            let before = app.before();
            let refused = app.send(&Ask::get(path).with("User-Agent", agent)).await;
            app.refused(&before, &refused, 401, "sign_in_required", "", &[]);
        }
    }
}

/// E14, both ways; on answers and on upgrades.
#[tokio::test(flavor = "multi_thread")]
async fn our_cookies_are_neither_shown_to_an_application_nor_set_by_it() {
    let app = App::start().await;
    let cookie = app.cookie().await;
    const COOKIES: &str = "Set-Cookie: __Host-anteroom=planted; Path=/; Secure\r\n\
         Set-Cookie: theirs=1; Path=/\r\n\
         set-cookie:  __host-anteroom-try-1=planted\r\n\
         Set-Cookie: \"__Host-anteroom\"=planted\r\n\
         Set-Cookie: __Host-anteroomy=theirs-too\r\n";
    let left = |answer: &Answer| answer.all("set-cookie").map(str::to_owned).collect::<Vec<_>>();
    app.upstream.reply(|asked| match asked.header("upgrade") {
        Some(_) => {
            let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
            format!("{switch}{COOKIES}\r\n").into_bytes()
        }
        None => format!("HTTP/1.1 200 OK\r\n{COOKIES}Content-Length: 0\r\n\r\n").into_bytes(),
    });
    app.events();
    let sent = format!("a=1; {cookie}; b=2;{cookie}x; __Host-anteroom-try-9=y; c=3");
    // Two of ours are none (E03), so the route is public.
    let answer = app.send(&Ask::get("/public/a").with("Cookie", &sent)).await;
    assert_eq!(left(&answer), ["theirs=1; Path=/", "__Host-anteroomy=theirs-too"]);
    assert_eq!(app.upstream.last().all("Cookie"), ["a=1; b=2; c=3"]);
    let reasons: Vec<_> = app.events().iter().map(|e| e["reason"].as_str().unwrap().to_owned()).collect();
    assert_eq!(reasons, ["cookie_duplicate", "upstream_set_our_cookie"]);

    let upgrade = Ask::get("/").with("Cookie", &cookie).with("Origin", "https://app.example.com");
    let answer = app.send(&upgrade.with("Upgrade", "websocket").with("Connection", "Upgrade")).await;
    assert_eq!(answer.status, 101);
    assert_eq!(left(&answer), ["theirs=1; Path=/", "__Host-anteroomy=theirs-too"]);
    assert_eq!(app.upstream.last().header("Cookie"), None);
    assert_one_event(&app, "header.stripped", "upstream_set_our_cookie");
}

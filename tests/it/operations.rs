//! Limits, logs, metrics, readiness, and how it stops.

use std::time::Duration;

use anteroom::app::Stop;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::support::{Answer, App, Ask, Backend, Connection, Setup, answer, until};

async fn ops(app: &App, target: &str) -> Answer {
    Connection::of(TcpStream::connect(app.ops).await.unwrap()).send(&Ask::get(target)).await
}

/// The value of a metric, 0 if it is not there.
async fn metric(app: &App, name: &str) -> i64 {
    let text = ops(app, "/metrics").await.text();
    assert!(text.ends_with("# EOF\n"), "{text}");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |value| value.parse().unwrap())
}

async fn until_metric(app: &App, name: &str, value: i64) {
    for _ in 0..2_000 {
        if metric(app, name).await == value {
            return;
        }
    }
    panic!("{name} is {}, not {value}", metric(app, name).await);
}

async fn by_hand() -> (App, Backend) {
    let backend = Backend::start().await;
    (App::start_with(Setup::new().upstream(backend.address)).await, backend)
}

/// Z01: 10 s for a head, however it drips; 75 s for a connection without a request.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_head_is_cut_off_and_an_idle_connection_later() {
    let app = App::start_with(Setup::new().replacing("workers = 2", "workers = 1")).await;
    let (mut slow, mut idle, mut fresh) = (app.connect().await, app.connect().await, app.connect().await);
    assert_eq!(idle.send(&Ask::get("/public/a")).await.status, 200);
    slow.write(b"GET /public/a HTTP/1.1\r\nHost: app.ex").await;
    let mut waited = 0;
    while slow.is_quiet() {
        // In steps, for the head's time begins when its first byte was seen.
        assert!(waited < 60, "a slow head was not cut off");
        waited += 6;
        app.advance(Duration::from_secs(6));
        slow.write(b"a").await;
        app.swept().await;
    }
    assert!(slow.is_closed().await);
    assert!(idle.is_quiet() && fresh.is_quiet(), "after {waited} s");
    assert_eq!(idle.send(&Ask::get("/public/a")).await.status, 200);
    app.advance(Duration::from_secs(76));
    assert!(idle.is_closed().await && fresh.is_closed().await);
    assert_eq!(app.upstream.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_listener_has_health_and_counts_and_the_data_listener_has_not() {
    let (app, backend) = by_hand().await;
    for target in ["/livez", "/readyz"] {
        assert_eq!(ops(&app, target).await.status, 200);
    }
    assert_eq!(ops(&app, "/").await.status, 404);
    assert_eq!(ops(&app, "/.anteroom/me").await.status, 404);
    let cookie = app.cookie().await;
    let before = metric(&app, "anteroom_requests_total{code=\"200\"}").await;
    let in_flight = "anteroom_requests_in_flight";
    until_metric(&app, in_flight, 0).await;
    let mut clients = Vec::new();
    for i in 1..=3 {
        let mut client = app.connect().await;
        client.write(&Ask::get("/").with("Cookie", &cookie).bytes()).await;
        let mut application = backend.accept().await;
        application.head().await;
        until_metric(&app, in_flight, i).await;
        application.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo").await;
        client.head().await;
        clients.push((client, application));
    }
    assert_eq!(metric(&app, in_flight).await, 3, "in flight until the body has ended");
    let (mut client, mut application) = clients.remove(0);
    application.write(b"dy").await;
    client.expect(b"body").await;
    until_metric(&app, in_flight, 2).await;
    let (client, application) = clients.remove(0);
    drop(client);
    until_metric(&app, in_flight, 1).await;
    drop((application, clients));
    until_metric(&app, in_flight, 0).await;
    assert_eq!(metric(&app, "anteroom_requests_total{code=\"200\"}").await, before + 3);
    app.send(&Ask::get("/")).await;
    assert_eq!(metric(&app, "anteroom_requests_total{code=\"401\"}").await, 1);
    assert_eq!(metric(&app, "anteroom_sessions_active").await, 1);
    assert_eq!(metric(&app, "anteroom_tunnels_active").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_one_line_of_the_access_log() {
    let app = App::start().await;
    let cookie = app.cookie().await;
    let mut log = String::new();
    until("the sign-in's lines", || {
        log.push_str(&app.log.taken());
        log.matches("\"kind\":\"access\"").count() == 2
    })
    .await;
    let asks = [
        (Ask::get("/a?secret=canary").with("Cookie", &cookie), "/a", "portal", "session", 200),
        (Ask::get("/public/b"), "/public/b", "portal", "anonymous", 200),
        (Ask::get("/api/c").with("Authorization", "Basic Y2FuYXJ5Og=="), "/api/c", "portal", "native", 200),
        (Ask::get("/d?canary"), "/d", "portal", "sign_in_required", 401),
        (Ask::get("/api/e"), "/api/e", "portal", "credential_required", 401),
        (Ask::get("/enterprise/f").with("Cookie", &cookie), "/enterprise/f", "portal", "role_missing", 403),
        (Ask::get("/.anteroom/me?canary").with("Cookie", &cookie), "/.anteroom/me", "", "own", 200),
        (Ask::get("/g").host("evil.example"), "/g", "", "unknown_host", 421),
        (Ask::get("/.."), "/..", "", "path_dot_segment", 400),
    ];
    let mut ids = Vec::new();
    for (ask, _, _, _, status) in &asks {
        let answer = app.send(ask).await;
        assert_eq!(answer.status, *status, "{ask:?}");
        ids.push(answer.header("x-request-id").unwrap().to_owned());
    }
    let mut log = String::new();
    until("the lines", || {
        log.push_str(&app.log.taken());
        log.matches("\"kind\":\"access\"").count() >= asks.len()
    })
    .await;
    assert!(
        !log.contains("canary") && !log.contains("Y2FuYXJ5") && !log.contains(cookie.split('=').nth(1).unwrap()),
        "{log}"
    );
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().filter(|line| line["kind"] == "access").count(), asks.len());
    for ((ask, path, by_app, by, status), id) in asks.iter().zip(&ids) {
        let of_this: Vec<_> =
            lines.iter().filter(|l| l["kind"] == "access" && l["request_id"] == id.as_str()).collect();
        let [line] = of_this.as_slice() else { panic!("{of_this:?}") };
        let seen = (&line["path"], &line["app"], &line["by"], &line["status"]);
        assert_eq!(seen, (&Value::from(*path), &Value::from(*by_app), &Value::from(*by), &Value::from(*status)));
        assert_eq!((&line["client_ip"], &line["method"]), (&Value::from("127.0.0.1"), &Value::from("GET")));
        assert_eq!(line["host"], ask.headers[0].1.as_str());
    }
}

/// A client that went away without a word is found out by the kernel: its connection has a keep-alive timer (2), which
/// the application's end, opened by the test's own listener, has not.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn the_kernel_probes_silent_clients() {
    let app = App::start().await;
    let mut client = app.connect().await;
    assert_eq!(client.send(&Ask::get("/public/a")).await.status, 200);
    let timers = |port: u16| {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let rows = table.lines().skip(1).map(|row| row.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let of_port = rows.filter(|row| row[1].ends_with(&format!(":{port:04X}")) && row[3] == "01");
        of_port.map(|row| row[5].split(':').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    until("a keep-alive timer", || timers(app.address.port()) == ["02"]).await;
    assert_eq!(timers(app.upstream.address.port()), ["00"]);
}

/// The application's own sign-out ends our session, whatever the application says to it.
#[tokio::test(flavor = "multi_thread")]
async fn the_applications_own_sign_out_ends_our_session_too() {
    let honest = answer(302, &[("Location", "/bye"), ("Set-Cookie", "theirs=; Max-Age=0")], "");
    for (target, reply) in [
        ("/logout?x=1", honest.clone()),
        ("//logout?x=1", honest.clone()),
        ("/logout;jsessionid=1", honest),
        ("/logout?x=1", b"broken\r\n\r\n".to_vec()),
    ] {
        let app = App::start().await;
        let (mut browser, mut other) = (app.signed_in().await, app.signed_in().await);
        let stolen = browser.clone();
        let status = if reply.starts_with(b"HTTP") { 302 } else { 502 };
        app.upstream.reply(move |asked| match asked.target.as_str() {
            "/logout?x=1" | "/logout;jsessionid=1" => reply.clone(),
            _ => answer(200, &[], "in"),
        });
        assert_eq!(browser.visit("/logoutx").await.status, 200);
        assert!(browser.session().is_some());
        app.events();
        let out = browser.visit(target).await;
        assert_eq!(out.status, status);
        assert!(app.upstream.last().header("x-forwarded-user").is_some(), "the application saw whose sign-out it is");
        assert_eq!(browser.session(), None);
        let events = app.events();
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!((&events[0]["event"], &events[0]["reason"]), (&"session.ended".into(), &"app_signed_out".into()));
        // On every core, at once: several connections reach both.
        for _ in 0..4 {
            assert_eq!(stolen.clone().visit("/").await.status, 302, "the cookie is worth nothing any more");
        }
        assert_eq!(other.visit("/").await.status, 200, "only that session ended");
    }
}

/// A client that goes away while the application is still at it has signed out all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_that_nobody_waits_for_ends_the_session_too() {
    let (app, backend) = by_hand().await;
    let cookie = app.cookie().await;
    let who = Ask::get("/.anteroom/me").with("Cookie", &cookie);
    assert_eq!(app.send(&who).await.status, 200);
    let mut leaving = app.connect().await;
    leaving.write(&Ask::page("/logout").with("Cookie", &cookie).bytes()).await;
    let _silent = backend.accept().await;
    drop(leaving);
    assert_eq!(app.send(&who).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_soon_finishes_requests_closes_idle_connections_and_takes_no_new_ones() {
    let (app, backend) = by_hand().await;
    let (mut idle, mut fresh, mut busy) = (app.connect().await, app.connect().await, app.connect().await);
    assert_eq!(idle.send(&Ask::get("/")).await.status, 401);
    busy.write(&Ask::get("/public/a").bytes()).await;
    let mut application = backend.accept().await;
    application.head().await;
    app.begin_stop(Stop::Soon);
    assert!(idle.is_closed().await);
    assert!(fresh.is_closed().await, "one that never asked anything");
    assert!(TcpStream::connect(app.address).await.is_err());
    assert_eq!(ops(&app, "/readyz").await.status, 503);
    assert_eq!(ops(&app, "/livez").await.status, 200);
    application.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo").await;
    let head = busy.head().await;
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("connection: close\r\n"), "{head}");
    application.write(b"dy").await;
    busy.expect(b"body").await;
    assert!(busy.is_closed().await);
    app.stop(Stop::Soon).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_now_ends_requests_and_tunnels() {
    let (app, backend) = by_hand().await;
    let mut busy = app.connect().await;
    busy.write(&Ask::get("/public/a").bytes()).await;
    let mut first = backend.accept().await;
    first.head().await;
    let mut tunnel = app.connect().await;
    let upgrade = Ask::get("/public/a").with("Connection", "Upgrade").with("Upgrade", "websocket");
    tunnel.write(&upgrade.bytes()).await;
    let mut second = backend.accept().await;
    second.head().await;
    second.write(b"HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello").await;
    tunnel.head().await;
    tunnel.expect(b"hello").await;
    until_metric(&app, "anteroom_tunnels_active", 1).await;

    // Soon waits for both; now does not.
    app.begin_stop(Stop::Soon);
    while TcpStream::connect(app.address).await.is_ok() {}
    assert!(busy.is_quiet() && tunnel.is_quiet());
    tunnel.write(b"still").await;
    second.expect(b"still").await;
    app.stop(Stop::Now).await.unwrap();
    assert!(busy.is_closed().await && tunnel.is_closed().await);
    assert!(first.is_closed().await && second.is_closed().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_gracefully_is_unready_at_once_and_still_takes_connections() {
    let app = App::start().await;
    let mut kept = app.connect().await;
    app.begin_stop(Stop::Gracefully);
    while ops(&app, "/readyz").await.status != 503 {}
    for _ in 0..4 {
        assert_eq!(app.send(&Ask::get("/public/a")).await.status, 200, "a new connection");
        assert_eq!(kept.send(&Ask::get("/public/a")).await.status, 200, "one from before");
    }
    app.stop(Stop::Soon).await.unwrap();
    assert!(kept.is_closed().await);
}

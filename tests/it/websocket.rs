//! WebSocket connections end to end (W05, F10, E14, X08).

use crate::support::{App, Ask, Backend, Connection, Setup};

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn handshake(target: &str) -> Ask {
    Ask::get(target)
        .with("Connection", "keep-alive, Upgrade")
        .with("Upgrade", "websocket")
        .with("Sec-WebSocket-Version", "13")
        .with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .with("Sec-Fetch-Mode", "websocket")
}

fn own(ask: Ask) -> Ask {
    ask.with("Origin", "https://app.example.com")
}

/// A tunnel: the client's end and the application's, with the head that the application got.
async fn tunnel(app: &App, backend: &Backend, ask: &Ask, early: &[u8]) -> (Connection, Connection, String) {
    let mut client = app.connect().await;
    client.write(&[ask.bytes().as_slice(), early].concat()).await;
    let mut application = backend.accept().await;
    let head = application.head().await;
    assert!(application.is_quiet(), "nothing behind the head before the application's 101 (F10)");
    application.write(SWITCH.as_bytes()).await;
    let answer = client.head().await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert!(answer.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
    assert!(answer.to_lowercase().contains("upgrade: websocket\r\n"), "{answer}");
    application.expect(early).await;
    (client, application, head)
}

async fn start() -> (App, Backend, String) {
    let backend = Backend::start().await;
    let app = App::start_with(Setup::new().upstream(backend.address)).await;
    let cookie = app.cookie().await;
    (app, backend, cookie)
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_pass_both_ways_and_the_handshake_says_who_is_there() {
    let (app, backend, cookie) = start().await;
    let ask = own(handshake("/socket?room=1")).with("Cookie", &format!("theirs=1; {cookie}"));
    let forged = ask.with("X-Forwarded-User", "root").with("Sec-WebSocket-Protocol", "chat");
    let (mut client, mut application, head) = tunnel(&app, &backend, &forged, b"\x81\x05early").await;
    assert!(head.starts_with("GET /socket?room=1 HTTP/1.1\r\n"), "{head}");
    for line in [
        "connection: upgrade\r\n",
        "upgrade: websocket\r\n",
        "cookie: theirs=1\r\n",
        "x-forwarded-user: alice@acme.com\r\n",
        "x-anteroom-assertion: ",
        "sec-websocket-protocol: chat\r\n",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "origin: https://app.example.com\r\n",
    ] {
        assert_eq!(head.matches(line).count(), 1, "{line}{head}");
    }
    assert!(!head.contains("root") && !head.contains("__Host-anteroom"), "{head}");
    for _ in 0..3 {
        client.write(b"\x82\x7e\x00\x02up").await;
        application.expect(b"\x82\x7e\x00\x02up").await;
        application.write(b"\x82\x04down").await;
        client.expect(b"\x82\x04down").await;
    }
    // What looks like a request is only bytes by now.
    client.write(&Ask::get("/public/a").bytes()).await;
    application.expect(&Ask::get("/public/a").bytes()).await;
    let big = vec![7; 3 << 20];
    let (_, ()) = tokio::join!(client.write(&big), application.expect(&big));
}

#[tokio::test(flavor = "multi_thread")]
async fn either_side_may_close_and_the_connection_serves_nobody_else() {
    let (app, backend, cookie) = start().await;
    let ask = own(handshake("/socket")).with("Cookie", &cookie);
    // The client closes.
    let (client, mut application, _) = tunnel(&app, &backend, &ask, b"").await;
    drop(client);
    assert!(application.is_closed().await);
    // The application closes.
    let (mut client, application, _) = tunnel(&app, &backend, &ask, b"").await;
    drop(application);
    assert!(client.is_closed().await);
    // The client is done, the application is not.
    let (mut client, mut application, _) = tunnel(&app, &backend, &ask, b"").await;
    client.finish().await;
    assert!(application.is_closed().await);
    application.write(b"last words").await;
    client.expect(b"last words").await;
    drop(application);
    assert!(client.is_closed().await);
    // A plain request gets a connection of its own.
    let mut client = app.connect().await;
    client.write(&Ask::get("/public/a").bytes()).await;
    let mut application = backend.accept().await;
    assert!(application.head().await.starts_with("GET /public/a "));
}

/// W06: what was let in by a session ends with it; what was let in by another, or by none, does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_and_a_stream_end_with_their_session() {
    let (app, backend, cookie) = start().await;
    let other = app.cookie().await;
    let ask = |cookie: &str| own(handshake("/socket")).with("Cookie", cookie);
    let (mut client, mut application, _) = tunnel(&app, &backend, &ask(&cookie), b"").await;
    let (mut another, mut theirs, _) = tunnel(&app, &backend, &ask(&other), b"").await;
    let (mut public, mut open, _) = tunnel(&app, &backend, &own(handshake("/public/s")), b"").await;
    let mut stream = app.connect().await;
    stream.write(&Ask::get("/events").with("Cookie", &cookie).bytes()).await;
    let mut events = backend.accept().await;
    events.head().await;
    events.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n").await;
    stream.head().await;
    stream.expect(b"2\r\nhi\r\n").await;

    let out = app.send(&Ask::form("/.anteroom/sign-out", &[]).with("Cookie", &cookie)).await;
    assert_eq!(out.status, 303);
    assert!(client.is_closed().await && application.is_closed().await);
    assert_eq!(stream.rest().await, b"", "broken off: no last chunk");
    assert!(events.is_closed().await);
    for (client, application) in [(&mut another, &mut theirs), (&mut public, &mut open)] {
        client.write(b"up").await;
        application.expect(b"up").await;
        application.write(b"down").await;
        client.expect(b"down").await;
    }
}

/// A handshake has no body: nobody could say where the tunnel begins.
#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_with_a_body_is_an_ordinary_request() {
    let app = App::start().await;
    let cookie = app.cookie().await;
    let ask = own(handshake("/socket")).with("Cookie", &cookie).body(*b"\x81\x05hello");
    assert_eq!(app.send(&ask).await.status, 200);
    let seen = app.upstream.last();
    assert_eq!((seen.header("upgrade"), seen.body.as_slice()), (None, b"\x81\x05hello".as_slice()));
}

/// W05
#[tokio::test(flavor = "multi_thread")]
async fn with_a_session_only_the_applications_own_origin_may_open_one() {
    let app = App::start().await;
    let cookie = app.cookie().await;
    let ask = handshake("/socket").with("Cookie", &cookie);
    let foreign = [
        "https://evil.example",
        "null",
        "",
        "https://app.example.com.evil.example",
        "https://app.example.co",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com/",
        "HTTPS://APP.EXAMPLE.COM",
        "https://app.example.com, https://evil.example",
    ];
    let mut asks: Vec<Ask> = foreign.iter().map(|origin| ask.clone().with("Origin", origin)).collect();
    asks.extend([ask.clone(), own(ask.clone()).with("Origin", "https://evil.example"), own(own(ask.clone()))]);
    for ask in asks {
        let before = app.before();
        let refused = app.send(&ask).await;
        app.refused(&before, &refused, 403, "websocket_origin", "browser.denied", &["evil"]);
    }
    // Without a session there is nobody to ride on, and nothing opens.
    for ask in [own(handshake("/socket")), handshake("/socket").with("Origin", "https://evil.example")] {
        let before = app.before();
        let refused = app.send(&ask).await;
        app.refused(&before, &refused, 401, "sign_in_required", "", &[]);
    }
    // The honest twin, and one on a public route, which is nobody's from anywhere.
    assert_eq!(app.send(&own(ask)).await.status, 200);
    assert_eq!(app.upstream.last().header("upgrade"), Some("websocket"));
    let public = handshake("/public/a").with("Origin", "https://evil.example").with("Cookie", &cookie);
    assert_eq!(app.send(&public).await.status, 200);
    assert_eq!(app.upstream.last().header("x-forwarded-user"), None);
}

/// A spelling of `Upgrade` that we do not take for a WebSocket is no way around the origin: it opens nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_exactly_a_websocket_is_not_upgraded() {
    let app = App::start().await;
    let cookie = app.cookie().await;
    app.upstream.reply(|_| SWITCH.as_bytes().to_vec());
    let plain = Ask::get("/socket").with("Cookie", &cookie).with("Origin", "https://evil.example");
    for (method, upgrade, connection) in [
        ("GET", "h2c", "Upgrade"),
        ("GET", "websocket, h2c", "Upgrade"),
        ("GET", "websocket/13", "Upgrade"),
        ("GET", "websocket", "keep-alive"),
        ("POST", "websocket", "Upgrade"),
    ] {
        let ask = plain.clone().method(method).with("Upgrade", upgrade).with("Connection", connection);
        let answer = app.send(&ask).await;
        assert_eq!((answer.status, answer.reason()), (502, "upstream_switched"), "{upgrade}");
        assert_eq!(app.upstream.last().header("upgrade"), None);
    }
    // The application speaks another protocol than was asked for.
    app.upstream.reply(|_| b"HTTP/1.1 101 Sure\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n".to_vec());
    let answer = app.send(&own(handshake("/socket")).with("Cookie", &cookie)).await;
    assert_eq!((answer.status, answer.reason()), (502, "upstream_switched"));
}

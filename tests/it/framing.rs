//! HTTP/1.1 byte by byte: what has two readings is refused, and nobody gets another's answer (F01–F16, Z06).

use crate::support::{App, Ask, Backend, Setup, answer, raw, until};

fn head(method: &str, target: &str, rest: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: app.example.com\r\n{rest}")
}

fn statuses(bytes: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(bytes);
    text.match_indices("HTTP/1.1 ").filter_map(|(at, _)| text[at + 9..at + 12].parse().ok()).collect()
}

/// 400 (or nothing) and a close; nothing reaches the application, and an honest request does afterwards.
async fn assert_is_refused(app: &App, bytes: &[u8]) {
    let before = app.upstream.count();
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
    let got = statuses(&raw(app.address, bytes).await);
    assert!(matches!(got.as_slice(), [] | [400] | [431] | [505]), "{got:?} for {shown:?}");
    assert_eq!(app.upstream.count(), before, "{shown:?}");
    assert_eq!(app.send(&Ask::get("/public/honest")).await.status, 200);
    assert_eq!((app.upstream.count(), app.upstream.last().target.as_str()), (before + 1, "/public/honest"));
}

/// F01, F02. hyper reads such a request by Transfer-Encoding alone and does not say that there was a Content-Length
/// (hyperium/hyper#4123), so it cannot be refused. What RFC 9112 section 6.1 asks for instead: one message, framed anew,
/// and not one byte more is heard on the connection.
#[tokio::test(flavor = "multi_thread")]
async fn of_content_length_beside_transfer_encoding_only_one_reading_is_left() {
    let app = App::start().await;
    let smuggled = "GET /public/smuggled HTTP/1.1\r\nHost: app.example.com\r\n\r\n";
    for lines in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        "content-length: 200\r\nTRANSFER-ENCODING: Chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
    ] {
        let before = app.upstream.count();
        let bytes = head("POST", "/public/a", &format!("{lines}\r\n0\r\n\r\n{smuggled}"));
        let got = raw(app.address, bytes.as_bytes()).await;
        assert!(matches!(statuses(&got).as_slice(), [200] | [400]), "{lines}");
        assert!(String::from_utf8_lossy(&got).to_lowercase().contains("connection: close"), "{lines}");
        let seen = &app.upstream.requests()[before..];
        assert!(seen.len() <= 1, "{lines}: {seen:?}");
        for request in seen {
            assert_eq!((request.target.as_str(), request.body.len()), ("/public/a", 0));
            assert!(request.all("content-length").len() + request.all("transfer-encoding").len() <= 1, "{request:?}");
        }
    }
}

/// F03
#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_encoding_that_is_not_just_chunked_is_refused() {
    let app = App::start().await;
    for lines in [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunkedx\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "\tTransfer-Encoding: chunked\r\n",
        "X: y\r\n Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: ,chunked\r\n",
    ] {
        let bytes = head("POST", "/public/a", &format!("{lines}\r\n3\r\nabc\r\n0\r\n\r\n"));
        assert_is_refused(&app, bytes.as_bytes()).await;
    }
    assert_is_refused(
        &app,
        b"POST /public/a HTTP/1.0\r\nHost: app.example.com\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    )
    .await;
    // The honest twin; hyper trims white space around a value, and both ends then read the same.
    for lines in ["Transfer-Encoding: chunked\r\n", "transfer-encoding:\tCHUNKED \r\n"] {
        let bytes = head("POST", "/public/a", &format!("{lines}\r\n3;ext=1\r\nabc\r\n0\r\n\r\n"));
        assert_eq!(statuses(&raw(app.address, bytes.as_bytes()).await), [200], "{lines}");
        assert_eq!(app.upstream.last().body, b"abc");
        assert_eq!(app.upstream.last().all("transfer-encoding"), ["chunked"]);
    }
}

/// F04
#[tokio::test(flavor = "multi_thread")]
async fn a_content_length_that_is_no_single_number_is_refused() {
    let app = App::start().await;
    for lines in [
        "Content-Length: +5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length:\r\n",
        "Content-Length: 1 1\r\n",
        "Content-Length: 5;\r\n",
        "Content-Length: five\r\n",
        "Content-Length: 5.0\r\n",
    ] {
        let bytes = head("POST", "/public/a", &format!("{lines}\r\nhello"));
        assert_is_refused(&app, bytes.as_bytes()).await;
    }
    // The same number twice is one number (RFC 9110, section 8.6), and is sent on as one.
    for lines in ["Content-Length: 05\r\n", "Content-Length: 5\r\nContent-Length: 5\r\n"] {
        let bytes = head("POST", "/public/a", &format!("Connection: close\r\n{lines}\r\nhello"));
        assert_eq!(statuses(&raw(app.address, bytes.as_bytes()).await), [200]);
        assert_eq!(app.upstream.last().body, b"hello");
        assert_eq!(app.upstream.last().all("content-length").len(), 1);
    }
}

/// F05, F06; the events of what hyper refuses by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_no_head_is_refused() {
    let app = App::start().await;
    for rest in [
        "X: a\r\n b\r\n\r\n",
        "X: a\r\n\tb\r\n\r\n",
        "X: a\rb\r\n\r\n",
        "X: a\0b\r\n\r\n",
        "X: a\x01b\r\n\r\n",
        "X: a\x7fb\r\n\r\n",
        "no colon\r\n\r\n",
        "X : a\r\n\r\n",
        ": a\r\n\r\n",
        "X(): a\r\n\r\n",
        "X\0: a\r\n\r\n",
        "X\u{e4}: a\r\n\r\n",
    ] {
        app.log.taken();
        assert_is_refused(&app, head("GET", "/public/a", rest).as_bytes()).await;
        until("an event", || app.log.taken().contains("head_malformed")).await;
    }
    for bytes in [
        "GET /public/a HTTP/1.1\r\n Host: app.example.com\r\n\r\n",
        "GET /public/a HTTP/1.1\r\n\r\nHost: app.example.com\r\n\r\n",
        "GET  /public/a HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
        "GET /public/a  HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
        "GET /public/a b HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
        "GET /public/\u{1} HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
        "GET\t/public/a\tHTTP/1.1\r\nHost: app.example.com\r\n\r\n",
        " GET /public/a HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
        "\0GET /public/a HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
        "GET public/a HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
        "GET /public/a\r\nHost: app.example.com\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01",
        "SSH-2.0-OpenSSH\r\n\r\n",
    ] {
        assert_is_refused(&app, bytes.as_bytes()).await;
    }
}

/// F07
#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_is_no_chunk_breaks_the_request_off() {
    let app = App::start().await;
    let extension = format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(1 << 20));
    for body in [
        "g\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "-3\r\nabc\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3;a\nb\r\nabc\r\n0\r\n\r\n",
        "\r\nabc\r\n0\r\n\r\n",
        extension.as_str(),
    ] {
        let before = app.upstream.count();
        let bytes = head("POST", "/public/a", &format!("Transfer-Encoding: chunked\r\n\r\n{body}"));
        let got = raw(app.address, bytes.as_bytes()).await;
        assert!(!statuses(&got).contains(&200), "{:?}", &body[..body.len().min(40)]);
        // The recording application counts whole requests: none became one.
        assert_eq!(app.upstream.count(), before, "{:?}", &body[..body.len().min(40)]);
    }
    let after = head("POST", "/public/a", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /public/b HTTP/1.1\r\n\r\n");
    assert_eq!(statuses(&raw(app.address, after.as_bytes()).await), [200], "what follows a chunked body is not heard");
}

/// F08: an early refusal of a large upload arrives whole, and what is left of the upload is never a request.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_refused_early_gets_its_answer_and_its_rest_is_no_request() {
    let app = App::start().await;
    let cookie = app.cookie().await;
    let filler = "GET /public/smuggled HTTP/1.1\r\nHost: app.example.com\r\n\r\n".repeat(100_000);
    for (target, cookie) in [("/", None), ("/.anteroom/me", None), ("/enterprise/a", Some(&cookie)), ("/..", None)] {
        let before = app.upstream.count();
        let ask = Ask::get(target).method("POST").body(filler.clone());
        let ask = cookie.into_iter().fold(ask, |ask, cookie| ask.with("Cookie", cookie));
        let mut connection = app.connect().await;
        connection.write(&ask.bytes()).await;
        let answer = connection.read(false).await;
        assert!((400..500).contains(&answer.status), "{answer:?}");
        assert!(!answer.text().is_empty());
        connection.finish().await;
        assert_eq!(statuses(&connection.rest().await), [0; 0]);
        assert_eq!(app.upstream.count(), before);
    }
    // A GET with a body is one message.
    let mut connection = app.connect().await;
    let ask = Ask::get("/public/a").body("GET /public/b HTTP/1.1\r\nHost: app.example.com\r\n\r\n");
    assert_eq!(connection.send(&ask).await.status, 200);
    assert_eq!(connection.send(&Ask::get("/public/c")).await.status, 200);
    let seen: Vec<_> = app.upstream.requests().into_iter().map(|r| r.target).collect();
    assert_eq!(seen, ["/public/a", "/public/c"]);
}

/// F09
#[tokio::test(flavor = "multi_thread")]
async fn an_expectation_neither_blocks_nor_shifts_a_connection() {
    let app = App::start().await;
    for value in ["100-continue", "100-Continue", "100-CONTINUE "] {
        let mut connection = app.connect().await;
        let ask = head("POST", "/public/a", &format!("Expect: {value}\r\nContent-Length: 5\r\n\r\n"));
        connection.write(ask.as_bytes()).await;
        assert!(connection.head().await.starts_with("HTTP/1.1 100"), "{value}");
        connection.write(b"hello").await;
        assert_eq!(connection.read(false).await.status, 200);
        assert_eq!(app.upstream.last().body, b"hello");
        assert_eq!(app.upstream.last().header("expect"), None, "it was met here");
        assert_eq!(connection.send(&Ask::get("/public/b")).await.status, 200);
    }
    for lines in
        ["Expect: magic\r\n", "Expect: 100-continue\r\nExpect: 100-continue\r\n", "Expect: 100-continue, x\r\n"]
    {
        let mut connection = app.connect().await;
        let ask = head("POST", "/public/a", &format!("{lines}Content-Length: 5\r\n\r\nhello"));
        connection.write(ask.as_bytes()).await;
        let mut answer = connection.head().await;
        if answer.starts_with("HTTP/1.1 100") {
            answer = connection.head().await;
        }
        assert!(answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.1 417"), "{answer}");
    }
    // Refused without the body being asked for: it is answered, and the connection ends, for nobody can tell whether
    // the body still comes.
    for target in ["/", "/.anteroom/me", "/enterprise/a"] {
        let before = app.upstream.count();
        let mut connection = app.connect().await;
        let ask = head("POST", target, "Expect: 100-continue\r\nContent-Length: 200000\r\n\r\n");
        connection.write(ask.as_bytes()).await;
        let answer = connection.read(false).await;
        assert!((400..500).contains(&answer.status), "{target}: {answer:?}");
        connection.write("GET /public/smuggled HTTP/1.1\r\nHost: app.example.com\r\n\r\n".as_bytes()).await;
        connection.finish().await;
        assert_eq!(connection.rest().await, b"");
        assert_eq!(app.upstream.count(), before);
    }
}

/// F10
#[tokio::test(flavor = "multi_thread")]
async fn bytes_behind_an_upgrade_that_is_not_granted_are_a_request_of_their_own() {
    let app = App::start().await;
    for protocol in ["websocket", "h2c", "TLS/1.0", "HTTP/2.0", "websocket, h2c", "anything"] {
        let before = app.upstream.count();
        let upgrade = head(
            "GET",
            "/public/a",
            &format!("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {protocol}\r\nHTTP2-Settings: AA\r\n\r\n"),
        );
        let smuggled = head("GET", "/admin", "X-Forwarded-User: root\r\nConnection: close\r\n\r\n");
        let got = raw(app.address, format!("{upgrade}{smuggled}").as_bytes()).await;
        assert!(matches!(statuses(&got).as_slice(), [200, 401] | [200]), "{protocol}: {got:?}");
        let seen = &app.upstream.requests()[before..];
        assert_eq!(seen.len(), 1, "{protocol}: judged by itself, and refused");
        let passed_on = protocol == "websocket";
        assert_eq!(seen[0].header("upgrade").is_some(), passed_on, "{protocol}");
        assert_eq!(seen[0].header("http2-settings"), None);
        assert_eq!(seen[0].body, b"");
    }
}

/// F13
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_missing_doubled_or_no_host_is_refused() {
    let app = App::start().await;
    let honest = Ask::get("/public/a");
    for host in [
        "",
        "app.example.com:80:80",
        "user@app.example.com",
        "app.example.com/public",
        "app.example.com, evil.example",
        "app.example.com evil.example",
        "app.example.com:",
        "app.example.com:x",
        "app..example.com",
        "http://app.example.com",
        "app.example.com\\@evil",
        "app.example.com#",
        "app%2eexample.com",
    ] {
        let before = app.before();
        let answer = app.send(&honest.clone().host(host)).await;
        app.refused(&before, &answer, 400, "host_malformed", "http.malformed", &[]);
        assert_eq!(answer.header("connection"), Some("close"));
    }
    for ask in
        [honest.clone().without("Host"), honest.clone().with("Host", "app.example.com"), honest.with("HOST", "evil")]
    {
        let before = app.before();
        let answer = app.send(&ask).await;
        app.refused(&before, &answer, 400, "host_malformed", "http.malformed", &["evil"]);
    }
}

/// F14
#[tokio::test(flavor = "multi_thread")]
async fn methods_and_versions_that_are_not_for_a_proxy_are_refused() {
    let app = App::start().await;
    let cookie = app.cookie().await;
    for method in ["TRACE", "TRACK", "PRI"] {
        let before = app.before();
        let answer = app.send(&Ask::get("/").method(method).with("Cookie", &cookie)).await;
        app.refused(&before, &answer, 405, "method_not_allowed", "http.malformed", &[]);
    }
    for target in ["app.example.com:443", "evil.example:22", "/"] {
        let before = app.upstream.count();
        let ask = Ask::get(target).method("CONNECT").with("Cookie", &cookie);
        let got = statuses(&raw(app.address, &ask.bytes()).await);
        assert!(matches!(got.as_slice(), [405] | [400]), "{target}: {got:?}");
        assert_eq!(app.upstream.count(), before);
    }
    for first in [
        "GE\0T /public/a HTTP/1.1",
        "G(T /public/a HTTP/1.1",
        "GET /public/a HTTP/3.0",
        "GET /public/a HTTP/2.0",
        "GET /public/a HTTP/1.2",
        "GET /public/a HTTP/0.9",
        "GET /public/a http/1.1",
        "GET /public/a HTTP/1.1x",
        "PRI * HTTP/2.0",
    ] {
        assert_is_refused(&app, format!("{first}\r\nHost: app.example.com\r\n\r\n").as_bytes()).await;
    }
    // A method is case-sensitive; another one is the application's affair.
    assert_eq!(app.send(&Ask::get("/").method("get").with("Cookie", &cookie)).await.status, 200);
    assert_eq!(app.upstream.last().method, "get");
    // HTTP/1.0 is spoken: no chunks, and a close.
    app.upstream.reply(|_| b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_vec());
    let got = raw(app.address, b"GET /public/a HTTP/1.0\r\nHost: app.example.com\r\n\r\n").await;
    let got = String::from_utf8(got).unwrap();
    assert!(got.starts_with("HTTP/1.0 200") && got.ends_with("\r\n\r\nabc"), "{got}");
    assert!(!got.to_lowercase().contains("transfer-encoding"), "{got}");
}

/// F15
#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_judged_each_for_itself() {
    let app = App::start().await;
    let cookie = app.cookie().await;
    app.upstream.reply(|asked| answer(200, &[], &format!("{}{}", asked.target, asked.all("x-forwarded-user").len())));
    let asks = [
        Ask::get("/1").with("Cookie", &cookie),
        Ask::get("/2"),
        Ask::get("/public/3").host("evil.example"),
        Ask::get("/public/4").with("Cookie", &cookie),
        Ask::get("/5").with("Cookie", "__Host-anteroom=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        Ask::get("/api/6").with("Authorization", "Basic eDp5").with("Cookie", &cookie),
        Ask::get("/7").with("Cookie", &cookie).method("POST").body("GET /public/x HTTP/1.1\r\n\r\n"),
        Ask::get("/.anteroom/me"),
        Ask::get("/9").with("Cookie", &cookie),
    ];
    let mut connection = app.connect().await;
    let all: Vec<u8> = asks.iter().flat_map(Ask::bytes).collect();
    connection.write(&all).await;
    let mut seen = Vec::new();
    for _ in &asks {
        let answer = connection.read(false).await;
        seen.push((answer.status, if answer.reason().is_empty() { answer.text() } else { answer.reason().to_owned() }));
    }
    let expected = [
        (200, "/11"),
        (401, "sign_in_required"),
        (421, "unknown_host"),
        (200, "/public/40"),
        (401, "sign_in_required"),
        (200, "/api/60"),
        (200, "/71"),
        (401, "sign_in_required"),
        (200, "/91"),
    ];
    assert_eq!(seen, expected.map(|(status, text)| (status, text.to_owned())));
}

/// F16
#[tokio::test(flavor = "multi_thread")]
async fn rubbish_from_an_application_is_a_502_and_its_connection_is_not_used_again() {
    let app = App::start_with(Setup::new().replacing("workers = 2", "workers = 1")).await;
    for rubbish in [
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n",
        "HTTP/1.1 99999 OK\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "<html>hello</html>\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
    ] {
        let first = rubbish.to_owned().into_bytes();
        let ends_early = rubbish.ends_with("-Le");
        app.upstream.reply(move |asked| match asked.target.as_str() {
            "/public/bad" => first.clone(),
            _ => answer(200, &[], "honest"),
        });
        app.log.taken();
        let mut connection = app.connect().await;
        connection.write(&Ask::get("/public/bad").with("Connection", "keep-alive").bytes()).await;
        if ends_early {
            // The application hangs within its head; nothing of it is an answer yet.
            until("the request", || app.upstream.count() > 0 && app.upstream.last().target == "/public/bad").await;
            assert!(connection.is_quiet());
            continue;
        }
        let got = connection.read(false).await;
        assert_eq!(got.status, 502, "{rubbish:?}: {got:?}");
        assert!(got.reason().starts_with("upstream_"), "{got:?}");
        let bad = app.upstream.last().connection;
        let good = connection.send(&Ask::get("/public/good")).await;
        assert_eq!((good.status, good.text().as_str()), (200, "honest"), "{rubbish:?}");
        assert_ne!(app.upstream.last().connection, bad, "{rubbish:?}");
    }
}

/// F16: bytes behind an answer are nobody's answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_answer_poisons_no_connection() {
    let poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    for first in [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none",
        "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n",
    ] {
        let backend = Backend::start().await;
        let app = App::start_with(Setup::new().upstream(backend.address).replacing("workers = 2", "workers = 1")).await;
        let mut client = app.connect().await;
        client.write(&Ask::get("/public/1").bytes()).await;
        let mut application = backend.accept().await;
        application.head().await;
        application.write(&[first.as_bytes(), poison].concat()).await;
        client.read(false).await;
        client.write(&Ask::get("/public/2").bytes()).await;
        // The first connection is dropped; the request goes over another.
        let mut second = backend.accept().await;
        assert!(second.head().await.starts_with("GET /public/2 "), "{first}");
        second.write(&answer(200, &[], "two")).await;
        assert_eq!(client.read(false).await.text(), "two", "{first}");
        assert!(application.is_closed().await);
    }
}

/// Z06
#[tokio::test(flavor = "multi_thread")]
async fn heads_beyond_the_limits_are_refused() {
    let app = App::start().await;
    let many = |count| (0..count).fold(Ask::get("/public/a"), |ask, i| ask.with(&format!("X-{i}"), "1"));
    assert_eq!(app.send(&many(90)).await.status, 200);
    assert_eq!(app.send(&Ask::get("/public/a").with("X", &"x".repeat(50_000))).await.status, 200);
    assert_eq!(app.send(&Ask::get(&format!("/public/{}", "x".repeat(50_000)))).await.status, 200);
    let count = app.upstream.count();
    for (ask, status) in [
        (many(200), 431),
        (many(2_000), 431),
        (Ask::get("/public/a").with("X", &"x".repeat(65 * 1024)), 431),
        (Ask::get("/public/a").with("Cookie", &"a=1; ".repeat(14_000)), 431),
        (Ask::get(&format!("/public/{}", "x".repeat(65_530))), 414),
    ] {
        app.log.taken();
        let got = statuses(&raw(app.address, &ask.bytes()).await);
        assert!(got == [status] || (status == 414 && got == [431]), "{got:?} for {status}");
        until("an event", || app.log.taken().contains("head_too_large")).await;
    }
    assert_eq!(app.upstream.count(), count);
}

//! Bodies and connections on their way through: streamed both ways, pooled only when they are free, never repeated.

use std::time::Duration;

use crate::support::{App, Ask, Backend, Connection, Setup, answer};

/// One worker, so that every request meets the same pool, in front of an application that the test writes by hand.
async fn by_hand() -> (App, Backend) {
    let backend = Backend::start().await;
    let app = App::start_with(Setup::new().upstream(backend.address).replacing("workers = 2", "workers = 1")).await;
    (app, backend)
}

/// An application that answers by itself, and one worker.
async fn one_worker() -> App {
    App::start_with(Setup::new().replacing("workers = 2", "workers = 1")).await
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|i| u8::try_from(i * 31 % 251).unwrap()).collect()
}

fn post(length: usize) -> String {
    format!("POST /public/a HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: {length}\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_reaches_the_application_before_it_is_complete() {
    let (app, backend) = by_hand().await;
    let mut client = app.connect().await;
    client.write(format!("{}first", post(10)).as_bytes()).await;
    let mut application = backend.accept().await;
    assert!(application.head().await.contains("content-length: 10\r\n"));
    application.expect(b"first").await;
    client.write(b"-last").await;
    application.expect(b"-last").await;
    application.write(&answer(200, &[], "thanks")).await;
    assert_eq!(client.read(false).await.text(), "thanks");

    // Chunked, chunk by chunk; sizes are ours, the bytes are theirs.
    let head = "POST /public/a HTTP/1.1\r\nHost: app.example.com\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.write(format!("{head}3\r\none\r\n").as_bytes()).await;
    assert!(application.head().await.contains("transfer-encoding: chunked\r\n"));
    application.expect(b"3\r\none\r\n").await;
    client.write(b"3\r\ntwo\r\n0\r\n\r\n").await;
    application.expect(b"3\r\ntwo\r\n0\r\n\r\n").await;
    application.write(&answer(200, &[], "thanks")).await;
    assert_eq!(client.read(false).await.text(), "thanks");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_reaches_the_client_before_it_is_complete() {
    let (app, backend) = by_hand().await;
    let mut client = app.connect().await;
    client.write(&Ask::get("/public/events").with("Accept", "text/event-stream").bytes()).await;
    let mut application = backend.accept().await;
    application.head().await;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    application.write(head.as_bytes()).await;
    assert!(client.head().await.contains("content-type: text/event-stream\r\n"));
    for event in ["data: 1\n\n", "data: two\n\n"] {
        let chunk = format!("{:x}\r\n{event}\r\n", event.len()).to_uppercase().replace("DATA", "data");
        application.write(chunk.as_bytes()).await;
        client.expect(chunk.as_bytes()).await;
    }
    // A day of silence is no reason to end it, as long as the client listens.
    app.advance(Duration::from_secs(80_000));
    app.swept().await;
    application.write(b"1\r\n.\r\n0\r\n\r\n").await;
    client.expect(b"1\r\n.\r\n0\r\n\r\n").await;

    // Without a length and without chunks: the application's close is the end of the body.
    client.write(&Ask::get("/public/old").bytes()).await;
    application.head().await;
    application.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nup to the end").await;
    drop(application);
    let answer = client.read(false).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "up to the end"));
    assert_eq!(
        answer.header("transfer-encoding"),
        Some("chunked"),
        "the client can tell a whole body from a broken one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_pass_unchanged_both_ways_over_one_connection() {
    let app = one_worker().await;
    app.upstream.reply(|asked| {
        let mut out = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", asked.body.len()).into_bytes();
        out.extend_from_slice(&asked.body);
        out
    });
    let cookie = app.cookie().await;
    let mut client = app.connect().await;
    for size in [0, 1, 100_000, 6 << 20] {
        let body = bytes(size);
        let ask = Ask::get("/").method("POST").with("Cookie", &cookie).body(body.clone());
        let answer = client.send(&ask).await;
        assert_eq!(answer.status, 200);
        assert!(answer.body == body, "{size} bytes came back changed");
        assert!(app.upstream.last().body == body, "{size} bytes arrived changed");
    }
    let connections: Vec<_> = app.upstream.requests().iter().map(|r| r.connection).collect();
    assert_eq!(connections, [1; 4], "one connection serves them all");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_body_keep_both_connections() {
    let app = one_worker().await;
    app.upstream.reply(|asked| match asked.target.as_str() {
        "/public/204" => b"HTTP/1.1 204 No Content\r\nX-Theirs: 1\r\n\r\n".to_vec(),
        "/public/304" => b"HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nContent-Length: 99\r\n\r\n".to_vec(),
        "/public/empty" => answer(200, &[], ""),
        "/public/chunks" => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
        _ if asked.method == "HEAD" => b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n".to_vec(),
        _ => answer(200, &[], "body"),
    });
    let mut client = app.connect().await;
    for _ in 0..2 {
        let head = client.send(&Ask::get("/public/a").method("HEAD")).await;
        assert_eq!((head.status, head.header("content-length")), (200, Some("1234")));
        let no_content = client.send(&Ask::get("/public/204")).await;
        assert_eq!((no_content.status, no_content.header("content-length")), (204, None));
        assert_eq!(no_content.header("x-theirs"), Some("1"));
        let unchanged = client.send(&Ask::get("/public/304")).await;
        assert_eq!((unchanged.status, unchanged.header("etag")), (304, Some("\"1\"")));
        assert_eq!(client.send(&Ask::get("/public/empty")).await.text(), "");
        assert_eq!(client.send(&Ask::get("/public/chunks")).await.text(), "");
        assert_eq!(client.send(&Ask::get("/public/a")).await.text(), "body");
    }
    assert!(app.upstream.requests().iter().all(|r| r.connection == 1), "{:?}", app.upstream.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_on_one_side_does_not_close_the_other() {
    let app = one_worker().await;
    app.upstream.reply(|asked| match asked.target.as_str() {
        "/public/close" => answer(200, &[("Connection", "close")], "last"),
        _ => answer(200, &[("Keep-Alive", "timeout=5"), ("Connection", "keep-alive")], "more"),
    });
    let mut client = app.connect().await;
    for target in ["/public/a", "/public/close", "/public/b"] {
        let answer = client.send(&Ask::get(target)).await;
        assert_eq!((answer.status, answer.header("connection"), answer.header("keep-alive")), (200, None, None));
    }
    let connections: Vec<_> = app.upstream.requests().iter().map(|r| r.connection).collect();
    assert_eq!(connections, [1, 1, 2]);

    let answer = client.send(&Ask::get("/public/c").with("Connection", "close")).await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(client.is_closed().await);
    assert_eq!(app.send(&Ask::get("/public/d")).await.status, 200);
    let last: Vec<_> = app.upstream.requests()[3..].iter().map(|r| (r.connection, r.all("connection").len())).collect();
    assert_eq!(last, [(2, 0), (2, 0)], "the client's close is not the application's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_free_only_when_its_answer_has_ended() {
    let (app, backend) = by_hand().await;
    let (mut slow, mut quick) = (app.connect().await, app.connect().await);
    slow.write(&Ask::get("/public/slow").bytes()).await;
    let mut first = backend.accept().await;
    first.head().await;
    first.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst").await;
    assert!(slow.head().await.starts_with("HTTP/1.1 200"));
    slow.expect(b"first").await;

    // While that one waits, another user's request goes over another connection.
    quick.write(&Ask::get("/public/quick").bytes()).await;
    let mut second = backend.accept().await;
    assert!(second.head().await.starts_with("GET /public/quick "));
    second.write(&answer(200, &[], "quick")).await;
    assert_eq!(quick.read(false).await.text(), "quick");
    assert!(first.is_quiet());

    first.write(b"-last").await;
    slow.expect(b"-last").await;
    // Both are free now: the next two requests open nothing.
    for _ in 0..2 {
        quick.write(&Ask::get("/public/next").bytes()).await;
        slow.write(&Ask::get("/public/next").bytes()).await;
        for application in [&mut first, &mut second] {
            application.head().await;
            application.write(&answer(200, &[], "next")).await;
        }
        assert_eq!((quick.read(false).await.text(), slow.read(false).await.text()), ("next".into(), "next".into()));
    }
    assert!(backend.is_alone().await);
}

/// An application that closed its idle connections: what was not sent goes over a new one, POST too, for nothing of it
/// had left; what was sent is never sent twice.
#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_not_sent_is_tried_again() {
    let (app, backend) = by_hand().await;
    let mut client = app.connect().await;
    for method in ["GET", "POST"] {
        client.write(&Ask::get("/public/a").bytes()).await;
        let mut application = backend.accept().await;
        application.head().await;
        application.write(&answer(200, &[], "one")).await;
        assert_eq!(client.read(false).await.text(), "one");
        drop(application);

        client.write(&Ask::get("/public/b").method(method).body("body").bytes()).await;
        let mut application = backend.accept().await;
        assert!(application.head().await.starts_with(&format!("{method} /public/b ")));
        application.expect(b"body").await;
        // It read the request and went away: nobody knows what it did.
        drop(application);
        let answer = client.read(false).await;
        assert_eq!((answer.status, answer.reason()), (502, "upstream_broken"));
        assert!(backend.is_alone().await, "{method} was not sent again");
    }
    // The same on a connection that was used before: it closes only after it has the request.
    client.write(&Ask::get("/public/a").bytes()).await;
    let mut application = backend.accept().await;
    application.head().await;
    application.write(&answer(200, &[], "one")).await;
    assert_eq!(client.read(false).await.text(), "one");
    client.write(&Ask::get("/public/b").method("POST").body("body").bytes()).await;
    application.head().await;
    application.expect(b"body").await;
    drop(application);
    assert_eq!(client.read(false).await.status, 502);
    assert!(backend.is_alone().await);
}

/// T24
#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_is_down_is_a_502_and_the_session_is_kept() {
    let backend = Backend::start().await;
    let address = backend.address;
    drop(backend);
    let app = App::start_with(Setup::new().upstream(address)).await;
    let mut browser = app.signed_in().await;
    let page = browser.visit("/").await;
    assert_eq!((page.status, page.reason()), (502, "upstream_unreachable"));
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.all("set-cookie").count(), 0);
    let answer = browser.send(Ask::get("/")).await;
    assert_eq!((answer.status, answer.header("content-type")), (502, Some("application/json")));
    assert_eq!(answer.json()["error"], "upstream_unreachable");
    assert!(!answer.text().contains(&address.port().to_string()), "{}", answer.text());
    let upload = browser.send(Ask::get("/").method("POST").body(bytes(3 << 20))).await;
    assert_eq!(upload.status, 502);
    assert_eq!(browser.send(Ask::get("/.anteroom/me")).await.status, 200, "the session is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_the_application_breaks_off_is_broken_for_the_client_too() {
    let (app, backend) = by_hand().await;
    for (head, part, end) in [
        ("Content-Length: 10", "first", "-last"),
        ("Transfer-Encoding: chunked", "5\r\nfirst\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked", "5\r\nfirst\r\nnonsense\r\n", "0\r\n\r\n"),
    ] {
        let mut client = app.connect().await;
        client.write(&Ask::get("/public/a").bytes()).await;
        let mut application = backend.accept().await;
        application.head().await;
        application.write(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{part}").as_bytes()).await;
        assert!(client.head().await.starts_with("HTTP/1.1 200"));
        drop(application);
        let body = String::from_utf8(client.rest().await).unwrap();
        assert!(body.contains("first"), "{body}");
        assert!(!body.ends_with(end) && body != "first-last", "{head}: {body:?} looks complete");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_takes_its_request_with_it() {
    let (app, backend) = by_hand().await;
    // In mid-download.
    let mut client = app.connect().await;
    client.write(&Ask::get("/public/a").bytes()).await;
    let mut application = backend.accept().await;
    application.head().await;
    application.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfirst").await;
    client.head().await;
    drop(client);
    application.rest().await;
    // While it waits for an answer.
    let mut client = app.connect().await;
    client.write(&Ask::get("/public/a").bytes()).await;
    let mut application = backend.accept().await;
    application.head().await;
    drop(client);
    assert!(application.is_closed().await);
    // In mid-upload: what the application has is not a whole request.
    let mut client = app.connect().await;
    client.write(format!("{}first", post(10)).as_bytes()).await;
    let mut application = backend.accept().await;
    application.head().await;
    application.expect(b"first").await;
    drop(client);
    assert_eq!(application.rest().await, b"");
    // A chunked one must not look complete either.
    let mut client = app.connect().await;
    client
        .write(b"POST /public/a HTTP/1.1\r\nHost: app.example.com\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        .await;
    let mut application = backend.accept().await;
    application.head().await;
    application.expect(b"5\r\nfirst\r\n").await;
    drop(client);
    assert_eq!(application.rest().await, b"");
    let mut in_flight = String::new();
    for _ in 0..400 {
        in_flight = metrics(&app).await;
        if in_flight.contains("anteroom_requests_in_flight 0\n") {
            break;
        }
    }
    assert!(in_flight.contains("anteroom_requests_in_flight 0\n"), "{in_flight}");
}

async fn metrics(app: &App) -> String {
    Connection::of(tokio::net::TcpStream::connect(app.ops).await.unwrap()).send(&Ask::get("/metrics")).await.text()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_to_an_upload_reaches_the_client() {
    let (app, backend) = by_hand().await;
    let mut client = app.connect().await;
    client.write(format!("{}first", post(10 << 20)).as_bytes()).await;
    let mut application = backend.accept().await;
    application.head().await;
    application.expect(b"first").await;
    application.write(&answer(413, &[("Connection", "close")], "too much")).await;
    let answer = client.read(false).await;
    assert_eq!((answer.status, answer.text().as_str()), (413, "too much"));
    // The rest of the upload is nobody's request.
    client.write(&Ask::get("/public/smuggled").bytes()).await;
    client.finish().await;
    assert_eq!(client.rest().await, b"");
    application.rest().await;
    assert!(backend.is_alone().await);
}

/// T24: the answer's head within 60 s; the next request is not the late answer's.
#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_does_not_answer_is_a_504() {
    let (app, backend) = by_hand().await;
    let mut client = app.connect().await;
    client.write(&Ask::get("/public/a").bytes()).await;
    let mut application = backend.accept().await;
    application.head().await;
    app.advance(Duration::from_secs(61));
    let late = client.read(false).await;
    assert_eq!((late.status, late.reason()), (504, "upstream_timeout"));
    application.write(&answer(200, &[], "late")).await;
    client.write(&Ask::get("/public/b").bytes()).await;
    let mut application = backend.accept().await;
    assert!(application.head().await.starts_with("GET /public/b "));
    application.write(&answer(200, &[], "in time")).await;
    assert_eq!(client.read(false).await.text(), "in time");
}

/// Z02
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_pauses_too_long_is_a_408_and_one_that_moves_is_not() {
    let (app, backend) = by_hand().await;
    let mut client = app.connect().await;
    client.write(post(100).as_bytes()).await;
    let mut application = backend.accept().await;
    application.head().await;
    for _ in 0..3 {
        // Three times two thirds of the limit, with a byte each time.
        app.advance(Duration::from_secs(40));
        client.write(b"x").await;
        application.expect(b"x").await;
        assert!(client.is_quiet());
        app.swept().await;
    }
    app.advance(Duration::from_secs(61));
    let late = client.read(false).await;
    assert_eq!((late.status, late.reason()), (408, "request_timeout"));
    application.rest().await;

    // One of our own forms, as slowly.
    let mut client = app.connect().await;
    client
        .write(
            b"POST /.anteroom/sign-in/start HTTP/1.1\r\nHost: app.example.com\r\nSec-Fetch-Site: same-origin\r\n\
              Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nemail=",
        )
        .await;
    let mut late = None;
    // The request must have begun before its time can run out.
    while late.is_none() {
        app.advance(Duration::from_secs(61));
        app.swept().await;
        if !client.is_quiet() {
            late = Some(client.read(false).await);
        }
    }
    let late = late.unwrap();
    assert_eq!((late.status, late.reason()), (408, "request_timeout"));
}

/// Z02: a client that takes nothing of its answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_is_let_go_and_one_that_reads_slowly_is_not() {
    let app = one_worker().await;
    let body = "x".repeat(30 << 20);
    app.upstream.reply(move |_| answer(200, &[], &body));
    let mut slow = app.connect().await;
    slow.write(&Ask::get("/public/a").bytes()).await;
    slow.head().await;
    for _ in 0..5 {
        app.advance(Duration::from_secs(40));
        slow.exactly(1 << 20).await;
        app.swept().await;
    }
    // Now it stops.
    app.advance(Duration::from_secs(61));
    app.swept().await;
    app.advance(Duration::from_secs(61));
    app.swept().await;
    assert!(slow.rest().await.len() < 25 << 20, "the rest was not sent");
}

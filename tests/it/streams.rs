//! What is open when a session ends is closed with it (security case W06): WebSockets, event streams, and requests that
//! wait for an answer; however the session ends, and wherever.

use anteroom::directory::{Directory, Selector};
use serde_json::json;

use crate::support::{App, Ask, Backend, Browser, Connection, Setup, SigningKey, sign_jwt};

/// What a browser has open, with the application's end of each.
struct Open {
    socket: (Connection, Connection),
    events: (Connection, Connection),
    poll: (Connection, Connection),
    upload: (Connection, Connection),
}

impl Open {
    async fn begin(app: &App, backend: &Backend, browser: &Browser) -> Self {
        let cookie = format!("__Host-anteroom={}", browser.session().unwrap());
        let ask = |target| Ask::get(target).with("Cookie", &cookie).with("Sec-Fetch-Mode", "cors");
        let handshake = Ask::get("/socket")
            .with("Cookie", &cookie)
            .with("Connection", "Upgrade")
            .with("Upgrade", "websocket")
            .with("Sec-WebSocket-Version", "13")
            .with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
            .with("Origin", "https://app.example.com");
        let mut socket = both(app, backend, &handshake.bytes()).await;
        socket.1.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n").await;
        assert!(socket.0.head().await.starts_with("HTTP/1.1 101"));
        let mut events = both(app, backend, &ask("/events").with("Accept", "text/event-stream").bytes()).await;
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        events.1.write(format!("{head}9\r\ndata: 1\n\n\r\n").as_bytes()).await;
        events.0.head().await;
        events.0.expect(b"9\r\ndata: 1\n\n\r\n").await;
        let poll = both(app, backend, &ask("/poll").bytes()).await;
        let upload = ask("/upload").method("POST").with("Content-Length", "10").bytes();
        let upload = both(app, backend, &[upload, b"12345".to_vec()].concat()).await;
        Self { socket, events, poll, upload }
    }

    /// Everything is closed, and whoever waited for an answer got one that says why.
    async fn ends(mut self, row: &str) {
        assert!(self.socket.0.is_closed().await && self.socket.1.is_closed().await, "{row}: the socket");
        assert_eq!(self.events.0.rest().await, b"", "{row}: broken off, no last chunk");
        assert!(self.events.1.is_closed().await, "{row}: the stream");
        for (mut client, mut application) in [self.poll, self.upload] {
            let answer = client.read(false).await;
            assert_eq!((answer.status, answer.reason()), (401, "session_ended"), "{row}: {answer:?}");
            assert_eq!(answer.json()["error"], "sign_in_required", "{row}");
            application.rest().await;
        }
    }

    /// Everything is as open as before.
    async fn goes_on(&mut self, row: &str) {
        self.socket.0.write(b"up").await;
        self.socket.1.expect(b"up").await;
        self.socket.1.write(b"down").await;
        self.socket.0.expect(b"down").await;
        self.events.1.write(b"9\r\ndata: 2\n\n\r\n").await;
        self.events.0.expect(b"9\r\ndata: 2\n\n\r\n").await;
        self.upload.0.write(b"67890").await;
        self.upload.1.expect(b"1234567890").await;
        for (client, application) in [&mut self.poll, &mut self.upload] {
            assert!(client.is_quiet(), "{row}");
            application.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnews").await;
            let answer = client.read(false).await;
            assert_eq!((answer.status, answer.text().as_str()), (200, "news"), "{row}");
        }
    }
}

/// Sends `bytes` on a new connection; both ends, with the head read at the application's.
async fn both(app: &App, backend: &Backend, bytes: &[u8]) -> (Connection, Connection) {
    let mut client = app.connect().await;
    client.write(bytes).await;
    let mut application = backend.accept().await;
    application.head().await;
    (client, application)
}

async fn alice(app: &App, sid: &str) -> Browser {
    app.advance(std::time::Duration::from_secs(1));
    app.acme.script().claims["sid"] = json!(sid);
    app.signed_in().await
}

fn logout_token(app: &App, sid: &str) -> Ask {
    let now = app.clock.now().secs();
    let claims = json!({
        "iss": app.acme.script().issuer, "aud": "client", "iat": now, "jti": format!("jti-{sid}"), "sid": sid,
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    });
    let header = json!({ "alg": "RS256", "kid": "k0", "typ": "logout+jwt" });
    let token = sign_jwt(SigningKey::number(0), &header, &claims);
    Ask::get("/.anteroom/backchannel-logout/acme")
        .method("POST")
        .with("Content-Type", "application/x-www-form-urlencoded")
        .body(format!("logout_token={token}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_ends_with_its_session_however_it_ends_and_nothing_else_does_w06() {
    let backend = Backend::start().await;
    let setup = Setup::new().upstream(backend.address).directory(Directory::in_memory());
    let app = App::start_with(setup).await;
    let another = app.another().await;
    let other = alice(&app, "other").await;
    let sign_out = || Ask::form("/.anteroom/sign-out", &[]);
    for row in [
        "signed out here",
        "signed out at another process",
        "by the provider, from server to server",
        "by the provider, at another process",
        "revoked by another process",
        "everything of one person revoked",
    ] {
        let mut browser = alice(&app, row).await;
        let theirs = Open::begin(&app, &backend, &browser).await;
        let mut others = Open::begin(&app, &backend, &other).await;
        // Whoever waits has waited for a while: the core has looked at its connections.
        let ended = match row {
            "signed out here" => browser.send(sign_out()).await.status,
            "signed out at another process" => browser.at(another.address).send(sign_out()).await.status,
            "by the provider, from server to server" => app.send(&logout_token(&app, row)).await.status,
            "by the provider, at another process" => another.send(&logout_token(&app, row)).await.status,
            "revoked by another process" => {
                let connector = "acme".parse().unwrap();
                let which = Selector::ProviderSession { connector, sid: row.to_owned() };
                let ended = app.shared_directory().sessions.end(&which, None, app.clock.now()).await.unwrap();
                assert_eq!(ended.count, 1);
                0
            }
            _ => 0,
        };
        assert!([0, 200, 303].contains(&ended), "{row}: {ended}");
        if row == "everything of one person revoked" {
            others.goes_on(row).await;
            let which = Selector::Email("alice@acme.com".to_owned());
            app.shared_directory().sessions.end(&which, None, app.clock.now()).await.unwrap();
            theirs.ends(row).await;
            return;
        }
        theirs.ends(row).await;
        others.goes_on(row).await;
    }
}

/// An answer that is on its way when the session ends, and says how long it is, is given to its end.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_known_length_is_not_cut_short() {
    let backend = Backend::start().await;
    let app = App::start_with(Setup::new().upstream(backend.address).replacing("workers = 2", "workers = 1")).await;
    let mut browser = app.signed_in().await;
    let cookie = format!("__Host-anteroom={}", browser.session().unwrap());
    let (mut client, mut application) =
        both(&app, &backend, &Ask::get("/report").with("Cookie", &cookie).bytes()).await;
    // It took its time: the core watches the wait.
    app.swept().await;
    application.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345").await;
    client.head().await;
    client.expect(b"12345").await;
    assert_eq!(browser.send(Ask::form("/.anteroom/sign-out", &[])).await.status, 303);
    app.swept().await;
    application.write(b"67890").await;
    client.expect(b"67890").await;
}

/// The application's own sign-out may take its time: its answer is the last that the session gets.
#[tokio::test(flavor = "multi_thread")]
async fn the_applications_own_sign_out_is_answered() {
    let backend = Backend::start().await;
    let app = App::start_with(Setup::new().upstream(backend.address).replacing("workers = 2", "workers = 1")).await;
    let browser = app.signed_in().await;
    let cookie = format!("__Host-anteroom={}", browser.session().unwrap());
    let (mut client, mut application) =
        both(&app, &backend, &Ask::get("/logout").with("Cookie", &cookie).bytes()).await;
    app.swept().await;
    application.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbye").await;
    let answer = client.read(false).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "bye"));
}

//! Thousands of sessions whose tokens expire in the same second, and a provider that is away for half an hour (T08,
//! T23): no herd, no storm, nobody signed out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anteroom::directory::{Directory, Linking, SessionRow};
use anteroom::session::{NewSession, ProviderTokens, SessionId};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::support::{App, Setup, until};

/// Renewals that one provider has to bear at once, and in a second (T08, T23).
const AT_ONCE: usize = 20;
const A_SECOND: usize = 50;

/// Sessions of one deployment, each with tokens of its own; which cookie is whose.
struct Crowd {
    app: App,
    cookies: Vec<String>,
}

impl Crowd {
    /// `count` people have signed in, and their tokens are all due `after` now.
    async fn signed_in(count: usize, after: Duration) -> Self {
        let upstream = short_answers().await;
        // Time passes faster here than news travels.
        let setup = Setup::new().directory(Directory::in_memory()).upstream(upstream);
        let app = App::start_with(setup.with("[sessions]\nrevocation_bound = \"60s\"\n[log]\naccess = false")).await;
        let alice = app.signed_in().await;
        let id = SessionId::parse(alice.session().unwrap()).unwrap();
        let (row, _) = app.directory.sessions.by_cookie(id.key().bytes()).await.unwrap().unwrap();
        app.acme.gives_refresh_tokens(7200);
        let renew_at = Some(app.clock.now().plus(after));
        let mut cookies = Vec::with_capacity(count);
        for number in 0..count {
            let reference = Uuid::from_u128(u128::try_from(number).unwrap() + 1);
            let (id_token, refresh_token) = app.acme.give();
            let tokens = ProviderTokens {
                name_id: None,
                id_token: Some(SecretString::from(id_token)),
                refresh_token: Some(SecretString::from(refresh_token)),
            };
            let row = SessionRow { reference, renew_at, ..row.clone() };
            let new = NewSession { row, tokens, linking: Linking::default() };
            let scope = app.sessions.scope("app.example.com").unwrap();
            cookies.push(app.sessions.create(new, scope).await.unwrap().id.cookie_value());
        }
        Self { app, cookies }
    }

    /// One request of each of these sessions, over `connections` that all ask for the same ones at the same time. Every
    /// answer is the application's.
    async fn ask(&self, sessions: impl Iterator<Item = usize> + Clone, connections: usize) {
        let mut requests = Vec::new();
        let mut count = 0;
        for number in sessions {
            let cookie = &self.cookies[number];
            let head = format!("GET / HTTP/1.1\r\nHost: app.example.com\r\nCookie: __Host-anteroom={cookie}\r\n\r\n");
            requests.extend_from_slice(head.as_bytes());
            count += 1;
        }
        let requests: Arc<[u8]> = requests.into();
        let asked = (0..connections).map(|_| tokio::spawn(exchange(self.app.address, requests.clone(), count)));
        for one in asked.collect::<Vec<_>>() {
            one.await.unwrap();
        }
    }

    /// Waits until the provider has answered all that it was asked.
    async fn settled(&self) {
        while self.app.acme.refreshes().under_way > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The provider had at no time more to bear than it can, no refresh token was used twice, and nobody is signed out.
    #[track_caller]
    fn is_well(&self) {
        let refreshes = self.app.acme.refreshes();
        assert_eq!(refreshes.reuses, 0);
        assert!(refreshes.most_under_way <= AT_ONCE, "{} at once", refreshes.most_under_way);
        assert!(refreshes.most_in_a_second() <= A_SECOND, "{} in a second", refreshes.most_in_a_second());
        drop(refreshes);
        assert!(self.app.events().iter().all(|event| event["event"] != "session.ended"), "nobody is signed out");
    }

    /// How many sessions were never renewed.
    fn left(&self) -> usize {
        self.app.acme.refreshes().counts().iter().filter(|count| **count == 0).count()
    }

    fn all(&self) -> std::ops::Range<usize> {
        0..self.cookies.len()
    }
}

/// Sends `requests` down one connection without waiting for answers, and reads `count` of them.
async fn exchange(address: SocketAddr, requests: Arc<[u8]>, count: usize) {
    let (mut read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
    let writing = tokio::spawn(async move {
        write.write_all(&requests).await.unwrap();
        write
    });
    let mut buffer = Vec::with_capacity(64 * 1024);
    let (mut answers, mut from) = (0, 0);
    while answers < count {
        assert!(read.read_buf(&mut buffer).await.unwrap() > 0, "closed after {answers} of {count}");
        while let Some(end) = memchr::memmem::find(&buffer[from..], b"\r\n\r\nok") {
            let head = &buffer[from..from + end];
            assert!(head.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(head));
            (answers, from) = (answers + 1, from + end + 6);
        }
        // A page of ours has another body.
        assert!(buffer.len() - from < 16 * 1024, "{}", String::from_utf8_lossy(&buffer[from..]));
        buffer.drain(..from);
        from = 0;
    }
    drop(writing.await.unwrap());
}

/// An application that says `ok` to everything.
async fn short_answers() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = Vec::with_capacity(16 * 1024);
                while stream.read_buf(&mut buffer).await.is_ok_and(|count| count > 0) {
                    if buffer.ends_with(b"\r\n\r\n") {
                        buffer.clear();
                        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
                    }
                }
            });
        }
    });
    address
}

/// T08: ten requests of each session in the second in which everybody's tokens are due.
#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_sessions_that_expire_in_one_second_are_renewed_once_each_t08() {
    let crowd = Crowd::signed_in(5_000, Duration::from_secs(60)).await;
    let app = &crowd.app;
    app.advance(Duration::from_secs(59));
    crowd.ask(0..50, 10).await;
    assert_eq!(app.acme.refreshes().arrivals.len(), 0, "nobody's tokens are due yet");
    app.advance(Duration::from_secs(1));
    crowd.ask(crowd.all(), 10).await;
    // People go on working, twenty of them a second.
    for round in 1.. {
        assert!(round <= 3, "{} sessions were still not renewed", crowd.left());
        for from in crowd.all().step_by(10) {
            app.advance(Duration::from_millis(500));
            crowd.ask(from..from + 10, 1).await;
            crowd.settled().await;
        }
        if crowd.left() == 0 {
            break;
        }
    }
    crowd.is_well();
    let refreshes = app.acme.refreshes();
    assert!(refreshes.counts().iter().all(|count| *count == 1), "exactly one each");
    assert_eq!(refreshes.arrivals.len(), 5_000, "and nothing in vain");
}

/// T08: a slow provider has no more than so many to bear, however many are due; and a sign-in does not wait for them.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_provider_is_not_asked_for_more_at_once_t08() {
    let crowd = Crowd::signed_in(300, Duration::from_secs(60)).await;
    let app = &crowd.app;
    let hold = Arc::new(Semaphore::new(0));
    app.acme.script().refresh.hold = Some(hold.clone());
    app.advance(Duration::from_secs(60));
    for _ in 0..3 {
        for from in crowd.all().step_by(10) {
            app.advance(Duration::from_millis(500));
            crowd.ask(from..from + 10, 1).await;
        }
    }
    until("the first of them", || app.acme.refreshes().under_way == AT_ONCE).await;
    assert!(app.signed_in().await.session().is_some());
    assert_eq!(app.acme.refreshes().arrivals.len(), AT_ONCE, "the others wait for better times, not for a place");
    hold.add_permits(1_000);
    for _ in 0..10 {
        for from in crowd.all().step_by(10) {
            app.advance(Duration::from_millis(500));
            crowd.ask(from..from + 10, 1).await;
            crowd.settled().await;
        }
    }
    crowd.is_well();
    let renewed = app.acme.refreshes().counts().iter().filter(|count| **count == 1).count();
    assert_eq!(renewed, 300, "all but the one who has just signed in");
}

/// T23: half an hour without the provider, then everybody at once, and at a hundred requests a second.
#[tokio::test(flavor = "multi_thread")]
async fn half_an_hour_without_the_provider_ends_no_session_and_its_return_is_no_storm_t23() {
    let crowd = Crowd::signed_in(1_000, Duration::from_secs(60)).await;
    let app = &crowd.app;
    app.advance(Duration::from_secs(60));
    app.acme.script().down = true;
    let away = app.clock.now();
    let pause = Duration::from_secs(310);
    for _ in 0..5 {
        // Twenty people a second, for fifty seconds; nobody for some minutes.
        for from in crowd.all().step_by(10) {
            app.advance(Duration::from_millis(500));
            crowd.ask(from..from + 10, 1).await;
        }
        crowd.settled().await;
        app.pass(pause).await;
    }
    assert_eq!(app.clock.now().since(away), Duration::from_secs(30 * 60));
    let tries = app.acme.refreshes().arrivals.len();
    assert!((1_000..=5_000).contains(&tries), "each is tried, and at most at each use: {tries}");
    assert_eq!(crowd.left(), 1_000);

    app.acme.honest();
    let back = app.clock.now();
    crowd.ask(crowd.all(), 1).await;
    for round in 1.. {
        assert!(round <= 20, "{} sessions were still not renewed", crowd.left());
        for from in crowd.all().step_by(25) {
            app.advance(Duration::from_millis(250));
            crowd.ask(from..from + 25, 1).await;
            crowd.settled().await;
        }
        if crowd.left() == 0 {
            break;
        }
    }
    crowd.is_well();
    let took = app.clock.now().since(back);
    assert!(took <= Duration::from_secs(300), "{took:?}");
    assert!(app.acme.refreshes().counts().iter().all(|count| *count == 1), "exactly one each");
}

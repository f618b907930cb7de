use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{assert_unavailable, assert_unreadable, in_full, refused};
use crate::directory::contract::postgres_server::{PASSWORD, server};
use crate::directory::contract::{NOW, create, session};
use crate::directory::{Directory, Linking, Location, OpenError, Probed, Selector, SwitchKind, open, probe};

fn location(url: impl Into<String>) -> Location {
    Location::Postgres(SecretString::from(url.into()))
}

/// The network between Anteroom and its database, which can stand still.
struct Network {
    port: u16,
    frozen: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

impl Network {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let socket: PathBuf = server().socket_dir().join(".s.PGSQL.5432");
        let (frozen, state) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = UnixStream::connect(&socket).await.unwrap().into_split();
                let (mut up, mut down) = (state.clone(), state.clone());
                connections.spawn(async move { carry(&mut from_client, &mut to_server, &mut up).await });
                connections.spawn(async move { carry(&mut from_server, &mut to_client, &mut down).await });
            }
        });
        Self { port, frozen, _tasks: tasks }
    }

    fn url(&self, database_url: &str) -> String {
        let database = database_url.split(['/', '?']).nth(3).unwrap();
        format!("postgres://anteroom:{PASSWORD}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }
}

async fn carry(
    from: &mut (impl tokio::io::AsyncRead + Unpin),
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
    frozen: &mut watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if frozen.wait_for(|frozen| !frozen).await.is_err() || to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_hangs_is_unavailable_within_its_limit_and_serves_again_afterwards() {
    let network = Network::new().await;
    let directory = open(&location(network.url(&server().database().await))).await.unwrap();
    let (row, key) = create(&directory, session("acme-entra")).await;
    network.frozen.send_replace(true);
    let limit = Duration::from_millis(5_500);
    let which = Selector::Cookie(key);
    let (one, two, three) = tokio::join!(
        tokio::time::timeout(limit, directory.sessions.by_cookie(&key)),
        tokio::time::timeout(limit, directory.sessions.end(&which, None, NOW)),
        tokio::time::timeout(limit, directory.switches.switch(SwitchKind::Domain, "acme.com", true, NOW)),
    );
    assert_unavailable(one.expect("a hang"), "");
    assert_unavailable(two.expect("a hang"), "");
    assert_unavailable(three.expect("a hang"), "");
    network.frozen.send_replace(false);
    let found = tokio::time::timeout(limit, directory.sessions.by_reference(row.reference)).await.unwrap();
    assert!(found.is_ok(), "{found:?}");
    create(&directory, session("acme-entra")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_the_server_closed_are_replaced_and_changes_are_heard_again() {
    let url = server().database().await;
    let (directory, other) = (open(&location(&*url)).await.unwrap(), open(&location(&*url)).await.unwrap());
    create(&directory, session("acme-entra")).await;
    let mut tool = PgConnection::connect(&server().url("postgres")).await.unwrap();
    let name = url.split(['/', '?']).nth(3).unwrap();
    let close = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    let closed = tool.fetch_all(AssertSqlSafe(close)).await.unwrap().len();
    assert!(closed >= 2, "{closed} connections");
    let mut failures = 0;
    while directory.changes.newest().await.is_err() {
        failures += 1;
        assert!(failures <= 11, "more failures than connections");
    }
    let mut hint = {
        let directory = directory.clone();
        tokio::spawn(async move { directory.changes.hint().await })
    };
    let heard = async {
        while tokio::time::timeout(Duration::from_millis(50), &mut hint).await.is_err() {
            let _ = other.switches.switch(SwitchKind::Domain, "acme.com", true, NOW).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), heard).await.expect("it listens again");
}

#[tokio::test]
async fn what_keeps_it_from_opening_is_said_without_the_password() {
    let right = server().database().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let cases = [
        (format!("postgres://anteroom:{PASSWORD}@{closed}/x?sslmode=disable"), "Unreachable", "cannot reach"),
        (right.replace("canary-", "canary-wrong-"), "Login", "refuses the user or the password"),
        (right.replace("anteroom:", "nobody:"), "Login", "refuses the user or the password"),
        (server().url("missing"), "NoDatabase", "no such database"),
        (format!("postgres://anteroom:{PASSWORD}@host:port/x"), "Url", "is no PostgreSQL URL"),
        (PASSWORD.to_owned(), "Url", "is no PostgreSQL URL"),
    ];
    for (url, kind, text) in cases {
        let location = location(&*url);
        let error = refused(open(&location).await);
        let told = in_full(&error);
        assert!(told.starts_with(kind) && told.contains(text), "{kind}: {told}");
        assert!(!told.contains("canary") && !format!("{location:?}").contains("canary"), "{told}");
    }
    open(&location(right)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_start_at_once_make_one_set_of_tables() {
    let url = server().database().await;
    let starts: Vec<_> = (0..5)
        .map(|_| {
            let location = location(&*url);
            tokio::spawn(async move { open(&location).await.map(drop) })
        })
        .collect();
    for start in starts {
        start.await.unwrap().unwrap();
    }
    let mut tool = PgConnection::connect(&url).await.unwrap();
    let counters = tool.fetch_all("SELECT number FROM change_counter").await.unwrap();
    assert_eq!(counters.len(), 1);
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99, \
                 'later', TRUE, '\\x00', 0)";
    tool.execute(newer).await.unwrap();
    let error = refused(open(&location(&*url)).await);
    assert!(matches!(error, OpenError::Newer { found: 99, known } if known == super::super::newest()), "{error:?}");
    let error = refused(probe(&location(url)).await);
    assert!(matches!(error, OpenError::Newer { found: 99, known } if known == super::super::newest()), "{error:?}");
}

#[tokio::test]
async fn a_look_at_a_database_makes_no_tables() {
    let url = server().database().await;
    for _ in 0..2 {
        assert_eq!(probe(&location(&*url)).await.unwrap(), Probed::Empty);
    }
    open(&location(&*url)).await.unwrap();
    assert_eq!(probe(&location(&*url)).await.unwrap(), Probed::Ready);
    let error = refused(probe(&location("postgres://anteroom:canary@127.0.0.1:1/x?sslmode=disable")).await);
    assert!(matches!(error, OpenError::Unreachable { .. }) && !in_full(&error).contains("canary"), "{error:?}");
}

#[tokio::test]
async fn a_user_who_may_not_make_tables_is_told_so_and_a_row_that_cannot_be_read_is_too() {
    let url = server().database().await;
    let directory = open(&location(&*url)).await.unwrap();
    let (row, key) = create(&directory, session("acme-entra")).await;
    let mut tool = PgConnection::connect(&url).await.unwrap();
    tool.execute("UPDATE sessions SET identity = '{}'").await.unwrap();
    assert_unreadable(directory.sessions.by_cookie(&key).await, &row.reference.to_string());
    assert_eq!(directory.sessions.end(&Selector::Cookie(key), None, NOW).await.unwrap().count, 1);

    let poor = server().database().await;
    let mut tool = PgConnection::connect(&poor).await.unwrap();
    let number =
        tool.fetch_one("SELECT oid::bigint FROM pg_database WHERE datname = current_database()").await.unwrap();
    let user = format!("poor_{}", number.get::<i64, _>(0));
    tool.execute(AssertSqlSafe(format!("CREATE USER {user} PASSWORD '{PASSWORD}'"))).await.unwrap();
    let error = refused(open(&location(poor.replace("anteroom:", &format!("{user}:")))).await);
    assert!(matches!(error, OpenError::NotAllowed { .. }), "{}", in_full(&error));
}

/// What a log at its most talkative would hold of a few calls, good and bad.
#[tokio::test]
async fn neither_statements_nor_values_nor_the_password_reach_the_log() {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    let url = server().database().await;
    let guard = tracing::subscriber::set_default(subscriber);
    tracing::info!("the log works");
    let directory: Directory = open(&location(url)).await.unwrap();
    let mut row = session("acme-entra");
    row.provider_sub = "canary-sub".to_owned();
    row.secrets = Some(b"canary-sealed".to_vec());
    create(&directory, row.clone()).await;
    let again = directory.sessions.create(&row, &crate::directory::contract::cookie(), &Linking::default()).await;
    assert!(!in_full(&again.unwrap_err()).contains("canary"));
    let location = location(
        format!("postgres://anteroom:{PASSWORD}@localhost/?host={}", server().socket_dir().display())
            .replace("password@", "wrong@"),
    );
    refused(open(&location).await);
    drop(guard);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the log works"));
    let reference = row.reference.to_string();
    for secret in ["canary", "INSERT INTO sessions", reference.as_str()] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

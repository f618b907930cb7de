//! Opening a PostgreSQL database, and listening to what other processes change in it.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgPool};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::migrations::{self, Dialect};
use super::{ACQUIRE_LIMIT, Engine, Failure, Sql};
use crate::directory::open::{OpenError, Probed};

/// Connections of one process, one of which listens.
const CONNECTIONS: u32 = 11;

/// The channel on which a change is announced.
pub(super) const CHANNEL: &str = "anteroom_changes";

/// What the server gives up by itself, should we have gone away: a statement, a wait for a row, a transaction that
/// nobody goes on with. In milliseconds.
const SERVER_LIMITS: &str = "SET statement_timeout = 5000; SET lock_timeout = 3000; \
                             SET idle_in_transaction_session_timeout = 10000";

/// How long the first connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long another process's migrations are waited for.
const MIGRATION_LIMIT: Duration = Duration::from_secs(60);

/// A connection that was idle for longer is asked before it is used.
const FRESH: Duration = Duration::from_secs(1);

const DIALECT: Dialect = Dialect { bytes: "BYTEA", identity: "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY" };

impl Sql {
    /// Opens the database at `url`. Both sides of every connection limit what a call may take.
    pub(in crate::directory) async fn open_postgres(url: &SecretString) -> Result<Self, OpenError> {
        let options = PgConnectOptions::from_str(url.expose_secret()).map_err(|_| OpenError::Url)?;
        let options = options.application_name("anteroom").disable_statement_logging();
        let late = || OpenError::Unreachable { source: Failure::text("it did not answer in time") };
        let first = timeout(CONNECT_LIMIT, options.connect()).await.map_err(|_| late())?;
        let mut first = first.map_err(|error| OpenError::postgres(&error))?;
        let migrated = timeout(MIGRATION_LIMIT, migrations::run(&mut first, &DIALECT)).await.map_err(|_| late())?;
        migrated.map_err(|error| OpenError::migration(error, |error| OpenError::postgres(&error)))?;
        // It has done its work; whether the server hears the farewell does not matter.
        let _ = timeout(ACQUIRE_LIMIT, first.close()).await;

        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE_LIMIT)
            .test_before_acquire(false)
            .before_acquire(|connection, about| {
                Box::pin(async move {
                    if about.idle_for > FRESH {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_connect(|connection, _| Box::pin(async move { connection.execute(SERVER_LIMITS).await.map(drop) }))
            .connect_lazy_with(options);
        let changed = Arc::new(Notify::new());
        let listener = Listener::start(pool.clone(), changed.clone());
        Ok(Self { engine: Engine::Postgres { pool, changed, _listener: listener } })
    }
}

impl Sql {
    /// Asks the server which version the tables are of.
    pub(in crate::directory) async fn probe_postgres(url: &SecretString) -> Result<Probed, OpenError> {
        let options = PgConnectOptions::from_str(url.expose_secret()).map_err(|_| OpenError::Url)?;
        let options = options.application_name("anteroom doctor").disable_statement_logging();
        let failed = |error: sqlx::Error| OpenError::postgres(&error);
        let asking = async {
            let mut connection = options.connect().await.map_err(failed)?;
            let version = migrations::applied(&mut connection).await.map_err(failed)?;
            let _ = connection.close().await;
            Ok(version)
        };
        let late = |_| OpenError::Unreachable { source: Failure::text("it did not answer in time") };
        match timeout(CONNECT_LIMIT, asking).await.map_err(late)?? {
            None => Ok(Probed::Empty),
            Some(found) if found > migrations::newest() => Err(OpenError::Newer { found, known: migrations::newest() }),
            Some(_) => Ok(Probed::Ready),
        }
    }
}

/// A task that listens until this is dropped.
pub(super) struct Listener(JoinHandle<()>);

impl Listener {
    fn start(pool: PgPool, changed: Arc<Notify>) -> Self {
        Self(tokio::spawn(async move {
            let mut pause = SHORTEST_PAUSE;
            while !pool.is_closed() {
                if listen(&pool, &changed).await {
                    pause = SHORTEST_PAUSE;
                }
                // Whatever was announced while nobody listened.
                changed.notify_waiters();
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Pauses between attempts to listen.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// How long silence is believed: a connection that a firewall forgot is silent too.
const SILENCE: Duration = Duration::from_secs(60);

/// Listens until the connection is lost. True: it did listen.
async fn listen(pool: &PgPool, changed: &Notify) -> bool {
    let begin = async {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        Ok::<_, sqlx::Error>(listener)
    };
    let mut listener = match timeout(ACQUIRE_LIMIT * 2, begin).await {
        Ok(Ok(listener)) => listener,
        Ok(Err(error)) => {
            tracing::debug!(error = %Failure::of(&error), "cannot listen for changes; asking for them instead");
            return false;
        }
        Err(_) => return false,
    };
    // Reconnecting is ours, with a pause: the listener's own would try without one.
    listener.eager_reconnect(false);
    changed.notify_waiters();
    loop {
        match timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(_))) => changed.notify_waiters(),
            Ok(Ok(None) | Err(_)) => return true,
            Err(_) => {
                if !matches!(timeout(ACQUIRE_LIMIT, listener.execute("SELECT 1")).await, Ok(Ok(_))) {
                    return true;
                }
            }
        }
    }
}

impl OpenError {
    fn postgres(error: &sqlx::Error) -> Self {
        let source = Failure::of(error);
        let code = error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned));
        match code.as_deref() {
            // invalid_authorization_specification, invalid_password
            Some("28000" | "28P01") => Self::Login { source },
            // invalid_catalog_name
            Some("3D000") => Self::NoDatabase { source },
            // insufficient_privilege
            Some("42501") => Self::NotAllowed { source },
            _ => Self::Unreachable { source },
        }
    }
}

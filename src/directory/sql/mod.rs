//! The directory in a database: one set of queries for SQLite and PostgreSQL.
//!
//! A [`Call`] is one connection with a time limit. Who may see a session at all is one condition ([`select`]), so that
//! no query can forget the epochs. Locks are taken in one order — session rows by their reference, then the change
//! counter — so that two processes never wait for each other.

mod call;
mod changes;
mod documents;
mod ending;
mod error;
mod kept;
mod migrations;
mod postgres;
mod records;
mod renewal;
mod select;
mod sessions;
mod sqlite;
mod value;

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{PgPool, SqlitePool};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::DirectoryError;
use call::{Call, Connection};
pub use error::Failure;
use error::{Fault, is_damaged};
pub(super) use migrations::{MigrationError, newest};
use postgres::Listener;

/// How long a call may take. A database that hangs is one that is not available.
const CALL_LIMIT: Duration = Duration::from_secs(4);

/// How long a call may wait for a connection.
const ACQUIRE_LIMIT: Duration = Duration::from_secs(2);

/// How often a call is tried that met another doing the same.
const TRIES: usize = 3;

/// Rows that one statement changes at most where many may have to: neither one long lock nor one large answer.
const BATCH: usize = 500;

/// All repositories over one database.
pub(super) struct Sql {
    engine: Engine,
}

enum Engine {
    Sqlite {
        /// One connection: SQLite has one writer at a time, and who waits here waits in line.
        writer: SqlitePool,
        readers: SqlitePool,
        /// Held for as long as this process uses the file; the system frees it with the process.
        _lock: File,
    },
    Postgres {
        pool: PgPool,
        changed: Arc<Notify>,
        _listener: Listener,
    },
}

/// The moment at which a call that begins now is over.
fn deadline() -> Instant {
    tokio::time::sleep(CALL_LIMIT).deadline()
}

impl Sql {
    /// For single statements that only read.
    async fn read(&self) -> Result<Call, Fault> {
        self.reader(deadline()).await
    }

    async fn reader(&self, deadline: Instant) -> Result<Call, Fault> {
        let connection = match &self.engine {
            Engine::Sqlite { readers, .. } => Connection::Sqlite(acquire(readers, deadline).await?),
            Engine::Postgres { pool, .. } => Connection::Postgres(acquire(pool, deadline).await?),
        };
        Ok(Call::new(connection, deadline))
    }

    /// For single statements that may write.
    async fn write(&self) -> Result<Call, Fault> {
        self.writer(deadline()).await
    }

    async fn writer(&self, deadline: Instant) -> Result<Call, Fault> {
        let connection = match &self.engine {
            Engine::Sqlite { writer, .. } => Connection::Sqlite(acquire(writer, deadline).await?),
            Engine::Postgres { pool, .. } => Connection::Postgres(acquire(pool, deadline).await?),
        };
        Ok(Call::new(connection, deadline))
    }

    /// A transaction.
    async fn begin(&self) -> Result<Call, Fault> {
        self.begin_until(deadline()).await
    }

    async fn begin_until(&self, deadline: Instant) -> Result<Call, Fault> {
        self.writer(deadline).await?.begin().await
    }

    /// Closes the connections, each once its call is over.
    pub(super) async fn close(&self) {
        match &self.engine {
            Engine::Sqlite { writer, readers, .. } => {
                readers.close().await;
                // Last: closing the last connection folds the write-ahead log into the file.
                writer.close().await;
            }
            Engine::Postgres { pool, .. } => pool.close().await,
        }
    }
}

async fn acquire<DB: sqlx::Database>(
    pool: &sqlx::Pool<DB>,
    deadline: Instant,
) -> Result<sqlx::pool::PoolConnection<DB>, Fault> {
    Ok(timeout_at(deadline, pool.acquire()).await.map_err(|_| Fault::late())??)
}

/// Tries a transaction again that met another doing the same.
async fn retried<T, F: Future<Output = Result<T, Fault>>>(mut attempt: impl FnMut() -> F) -> Result<T, DirectoryError> {
    for _ in 1..TRIES {
        match attempt().await {
            Err(Fault::Conflict(_)) => {}
            done => return Ok(done?),
        }
    }
    Ok(attempt().await?)
}

/// A count as the contract gives it.
fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

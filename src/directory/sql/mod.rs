//! The directory in a database: one set of queries for SQLite and PostgreSQL.
//!
//! A [`Call`] is one connection with a time limit. Who may see a session at all is one condition ([`select`]), so that
//! no query can forget the epochs. Locks are taken in one order — an address (`linking.rs`), users, session rows by their
//! reference, then the change counter — so that two processes hardly ever wait for each other.

mod call;
mod changes;
mod cutovers;
mod documents;
mod ending;
mod error;
mod kept;
mod ledger;
mod linking;
mod migrations;
mod native;
mod postgres;
mod records;
mod renewal;
mod select;
mod sessions;
mod sqlite;
#[cfg(test)]
mod tests;
mod users;
mod value;

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{PgPool, SqlitePool};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::DirectoryError;
use call::{Call, Connection, Durability};
pub use error::Failure;
use error::{Fault, is_damaged};
pub(super) use migrations::{MigrationError, newest};
use postgres::Listener;

/// How long a call may take. A database that hangs is one that is not available.
const CALL_LIMIT: Duration = Duration::from_secs(3);

/// How long a call may wait for a connection.
const ACQUIRE_LIMIT: Duration = Duration::from_secs(2);

/// How often a call is tried that met another doing the same.
const TRIES: usize = 3;

/// Rows that one statement changes at most where many may have to: neither one long lock nor one large answer.
const BATCH: usize = 500;

/// Batches that one call to forget something deletes at most; the next call goes on.
const BATCHES: usize = 20;

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
        let deadline = deadline();
        let connection = match &self.engine {
            Engine::Sqlite { readers, .. } => Connection::Sqlite(acquire(readers, deadline).await?),
            Engine::Postgres { pool, .. } => Connection::Postgres(acquire(pool, deadline).await?),
        };
        Ok(Call::new(connection, deadline))
    }

    /// For single statements that write.
    async fn write(&self, durability: Durability) -> Result<Call, Fault> {
        self.writer().await?.with(durability).await
    }

    /// A transaction.
    async fn begin(&self, durability: Durability) -> Result<Call, Fault> {
        self.writer().await?.begin(durability).await
    }

    async fn writer(&self) -> Result<Call, Fault> {
        let deadline = deadline();
        let connection = match &self.engine {
            Engine::Sqlite { writer, .. } => Connection::Sqlite(acquire(writer, deadline).await?),
            Engine::Postgres { pool, .. } => Connection::Postgres(acquire(pool, deadline).await?),
        };
        Ok(Call::new(connection, deadline))
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

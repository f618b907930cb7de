//! One call of the database: a connection, a time limit, and no way to give a connection back in the middle of
//! something.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Executor as _, Postgres, SqlSafeStr, SqlStr, Sqlite};
use tokio::time::{Instant, timeout, timeout_at};

use super::error::Fault;
use super::value::{Engine, Row, Value};

/// How long a connection may take to show that it is well before it is given back.
const RETURN_LIMIT: Duration = Duration::from_secs(2);

/// A connection of either engine.
pub(super) enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

/// What a power cut may do to what was acknowledged. The end of a process never does anything to it.
#[derive(Clone, Copy)]
pub(super) enum Durability {
    /// Nothing: it is on the disk.
    Durable,
    /// Take the last of it back. For what nobody misses: claims, uses, explanations, and that something was forgotten.
    Lazy,
}

/// A connection at work until its deadline: single statements, or those of one transaction.
pub(super) struct Call {
    connection: Option<Connection>,
    deadline: Instant,
    transaction: bool,
    /// Nothing is under way. If dropped otherwise — an error, a time limit, a caller that went away — the connection is
    /// closed: the database undoes what was begun, and a connection in an unknown state serves nobody else.
    clean: bool,
}

impl Call {
    /// Over `connection`, until `deadline`.
    pub(super) fn new(connection: Connection, deadline: Instant) -> Self {
        Self { connection: Some(connection), deadline, transaction: false, clean: true }
    }

    /// Begins a transaction that may write.
    pub(super) async fn begin(mut self, durability: Durability) -> Result<Self, Fault> {
        self.transaction = true;
        // SQLite: the write lock at once. A transaction that reads first and writes later could find the lock taken by
        // somebody who wrote in between, and would have to begin again.
        self.control(match (self.is_postgres(), durability) {
            (true, Durability::Durable) => "BEGIN",
            (true, Durability::Lazy) => "BEGIN; SET LOCAL synchronous_commit = OFF",
            (false, Durability::Durable) => "PRAGMA synchronous = FULL; BEGIN IMMEDIATE",
            (false, Durability::Lazy) => "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE",
        })
        .await?;
        Ok(self)
    }

    /// Says how durable the single statements that follow are. PostgreSQL's always are: it writes those of a moment to
    /// the disk together.
    pub(super) async fn with(mut self, durability: Durability) -> Result<Self, Fault> {
        if !self.is_postgres() {
            self.control(match durability {
                Durability::Durable => "PRAGMA synchronous = FULL",
                Durability::Lazy => "PRAGMA synchronous = NORMAL",
            })
            .await?;
            self.clean = true;
        }
        Ok(self)
    }

    /// Makes everything since [`begin`](Self::begin) durable.
    pub(super) async fn commit(mut self) -> Result<(), Fault> {
        self.control("COMMIT").await?;
        self.transaction = false;
        self.clean = true;
        Ok(())
    }

    /// Undoes everything since [`begin`](Self::begin).
    pub(super) async fn rollback(mut self) -> Result<(), Fault> {
        self.control("ROLLBACK").await?;
        self.transaction = false;
        self.clean = true;
        Ok(())
    }

    pub(super) fn is_postgres(&self) -> bool {
        matches!(self.connection, Some(Connection::Postgres(_)))
    }

    /// What a `SELECT` ends with that is to hold its rows until the commit. In SQLite the transaction holds them all.
    pub(super) fn for_update(&self) -> &'static str {
        if self.is_postgres() { " FOR UPDATE" } else { "" }
    }

    /// As [`for_update`](Self::for_update), without rows that somebody else holds: no waiting, so no deadlock.
    pub(super) fn for_update_of_free(&self) -> &'static str {
        if self.is_postgres() { " FOR UPDATE SKIP LOCKED" } else { "" }
    }

    /// Runs a statement. How many rows it changed.
    pub(super) async fn execute(&mut self, sql: impl SqlSafeStr, values: &[Value<'_>]) -> Result<u64, Fault> {
        let sql = sql.into_sql_str();
        self.clean = false;
        let deadline = self.deadline;
        let done = timeout_at(deadline, async {
            match self.connection.as_mut() {
                Some(Connection::Sqlite(connection)) => {
                    let query = Sqlite::bind(sqlx::query(sql), values);
                    query.execute(&mut **connection).await.map(|done| done.rows_affected())
                }
                Some(Connection::Postgres(connection)) => {
                    let query = Postgres::bind(sqlx::query(sql), values);
                    query.execute(&mut **connection).await.map(|done| done.rows_affected())
                }
                None => Err(sqlx::Error::PoolClosed),
            }
        });
        let changed = done.await.map_err(|_| Fault::late())??;
        self.clean = !self.transaction;
        Ok(changed)
    }

    /// Runs a statement for its rows.
    pub(super) async fn fetch(&mut self, sql: impl SqlSafeStr, values: &[Value<'_>]) -> Result<Vec<Row>, Fault> {
        let sql = sql.into_sql_str();
        self.clean = false;
        let deadline = self.deadline;
        let done = timeout_at(deadline, async {
            match self.connection.as_mut() {
                Some(Connection::Sqlite(connection)) => {
                    let rows = Sqlite::bind(sqlx::query(sql), values).fetch_all(&mut **connection).await?;
                    Ok::<_, sqlx::Error>(rows.into_iter().map(Row::Sqlite).collect())
                }
                Some(Connection::Postgres(connection)) => {
                    let rows = Postgres::bind(sqlx::query(sql), values).fetch_all(&mut **connection).await?;
                    Ok(rows.into_iter().map(Row::Postgres).collect())
                }
                None => Err(sqlx::Error::PoolClosed),
            }
        });
        let rows = done.await.map_err(|_| Fault::late())??;
        self.clean = !self.transaction;
        Ok(rows)
    }

    /// Runs a statement for its first row.
    pub(super) async fn fetch_one(&mut self, sql: impl SqlSafeStr, values: &[Value<'_>]) -> Result<Option<Row>, Fault> {
        Ok(self.fetch(sql, values).await?.into_iter().next())
    }

    async fn control(&mut self, sql: &'static str) -> Result<(), Fault> {
        self.clean = false;
        let sql: SqlStr = sql.into_sql_str();
        let deadline = self.deadline;
        let done = timeout_at(deadline, async {
            match self.connection.as_mut() {
                Some(Connection::Sqlite(connection)) => connection.execute(sqlx::raw_sql(sql)).await.map(drop),
                Some(Connection::Postgres(connection)) => connection.execute(sqlx::raw_sql(sql)).await.map(drop),
                None => Err(sqlx::Error::PoolClosed),
            }
        });
        done.await.map_err(|_| Fault::late())??;
        Ok(())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        match self.connection.take() {
            Some(Connection::Sqlite(connection)) => give_back(connection, self.clean),
            Some(Connection::Postgres(connection)) => give_back(connection, self.clean),
            None => {}
        }
    }
}

/// sqlx tests a connection before it is free again, and would wait for that without a limit: with the network gone, the
/// pool would stay empty for as long as TCP tries.
fn give_back<DB: sqlx::Database>(mut connection: PoolConnection<DB>, clean: bool) {
    if clean {
        let returned = connection.return_to_pool();
        tokio::spawn(async move { timeout(RETURN_LIMIT, returned).await.is_ok() });
    } else {
        connection.close_on_drop();
    }
}

//! Numbered changes and epochs.

use async_trait::async_trait;
use sqlx::AssertSqlSafe;
use tokio::time::timeout;

use super::call::Call;
use super::call::Durability::Durable;
use super::documents;
use super::ending::SWEEP_LIMIT;
use super::error::Fault;
use super::postgres::CHANNEL;
use super::value::{Row, Value};
use super::{BATCH, BATCHES, Engine, Sql};
use crate::base::clock::Timestamp;
use crate::directory::{Change, Changes, DirectoryError, Ended};

const INSERT: &str = "INSERT INTO changes (number, made_at, change) VALUES ($1, $2, $3)";

impl Call {
    /// Numbers changes, in the call's transaction; returns the last number, or none if there was nothing to number.
    /// The last thing before the commit: until then nobody else can number anything.
    pub(super) async fn number(&mut self, changes: &[Change], now: Timestamp) -> Result<Option<i64>, Fault> {
        let how_many = i64::try_from(changes.len()).unwrap_or(i64::MAX);
        if how_many == 0 {
            return Ok(None);
        }
        const COUNT: &str = "UPDATE change_counter SET number = number + $1 RETURNING number";
        let row = self.fetch_one(COUNT, &[Value::Int(how_many)]).await?;
        let last: i64 = row.ok_or_else(|| Fault::unreadable("change_counter: it has no row"))?.get(0)?;
        let texts = changes.iter().map(documents::change).collect::<Result<Vec<_>, _>>()?;
        let rows: Vec<(i64, String)> = (last - how_many + 1..).zip(texts).collect();
        for rows in rows.chunks(BATCH) {
            if let [(number, text)] = rows {
                let values = [Value::Int(*number), Value::Int(now.millis()), Value::Text(text)];
                self.execute(INSERT, &values).await?;
                continue;
            }
            let places: Vec<String> = (0..rows.len())
                .map(|row| row * 3)
                .map(|at| format!("(${}, ${}, ${})", at + 1, at + 2, at + 3))
                .collect();
            let sql = format!("INSERT INTO changes (number, made_at, change) VALUES {}", places.join(", "));
            let values: Vec<Value<'_>> = rows
                .iter()
                .flat_map(|(number, text)| [Value::Int(*number), Value::Int(now.millis()), Value::Text(text)])
                .collect();
            self.execute(AssertSqlSafe(sql), &values).await?;
        }
        if self.is_postgres() {
            // Delivered with the commit, or not at all.
            self.execute("SELECT pg_notify($1, '')", &[Value::Text(CHANNEL)]).await?;
        }
        Ok(Some(last))
    }
}

/// Reads a number and a change.
fn numbered(row: &Row) -> Result<(i64, Change), Fault> {
    let number = row.get(0)?;
    Ok((number, documents::read_change(row.get(1)?, number)?))
}

#[async_trait]
impl Changes for Sql {
    async fn since(&self, number: i64, limit: u32) -> Result<Vec<(i64, Change)>, DirectoryError> {
        const SQL: &str = "SELECT number, change FROM changes WHERE number > $1 ORDER BY number LIMIT $2";
        let values = [Value::Int(number), Value::Int(i64::from(limit))];
        let rows = self.read().await?.fetch(SQL, &values).await?;
        Ok(rows.iter().map(numbered).collect::<Result<_, _>>()?)
    }

    async fn newest(&self) -> Result<i64, DirectoryError> {
        let row = self.read().await?.fetch_one("SELECT number FROM change_counter", &[]).await?;
        Ok(row.ok_or_else(|| Fault::unreadable("change_counter: it has no row"))?.get(0)?)
    }

    async fn revoked(&self, from: Timestamp) -> Result<Vec<(i64, Change)>, DirectoryError> {
        const SQL: &str = "SELECT number, change FROM epochs WHERE made_at >= $1 ORDER BY number";
        let rows = self.read().await?.fetch(SQL, &[Value::Int(from.millis())]).await?;
        Ok(rows.iter().map(numbered).collect::<Result<_, _>>()?)
    }

    async fn hint(&self) {
        match &self.engine {
            Engine::Postgres { changed, .. } => changed.notified().await,
            // One process: whatever was changed, it did itself.
            Engine::Sqlite { .. } => std::future::pending().await,
        }
    }

    async fn purge(&self, before: Timestamp, epochs_before: Timestamp) -> Result<u64, DirectoryError> {
        const SQL: &str = "DELETE FROM changes WHERE number IN (SELECT number FROM changes WHERE made_at < $1 AND \
                           number < (SELECT number FROM change_counter) LIMIT $2)";
        let gone = self.delete_batches(SQL, &[Value::Int(before.millis())]).await?;
        Ok(gone + self.purge_epochs(epochs_before).await?)
    }
}

impl Sql {
    /// Forgets epochs made before `before`, each only once nothing is left that it keeps out.
    async fn purge_epochs(&self, before: Timestamp) -> Result<u64, Fault> {
        const FIND: &str = "SELECT number, change FROM epochs WHERE made_at < $1 ORDER BY number LIMIT $2";
        const DELETE: &str = "DELETE FROM epochs WHERE number = $1";
        let values = [Value::Int(before.millis()), Value::Int(i64::try_from(BATCHES).unwrap_or(i64::MAX))];
        let rows = self.read().await?.fetch(FIND, &values).await?;
        let mut gone = 0;
        for row in &rows {
            let (number, change) = numbered(row)?;
            let Change::Revoked(which) = change else { return Err(Fault::unreadable(format!("epochs {number}"))) };
            match timeout(SWEEP_LIMIT, self.sweep(&which, number, &mut Ended::default())).await {
                Ok(Ok(true)) => gone += self.write(Durable).await?.execute(DELETE, &[Value::Int(number)]).await?,
                Ok(Ok(false)) => {}
                Ok(Err(fault)) => return Err(fault),
                // The next call goes on.
                Err(_) => break,
            }
        }
        Ok(gone)
    }
}

//! Sealed records that wait to be taken.

use async_trait::async_trait;
use sqlx::AssertSqlSafe;

use super::call::Call;
use super::call::Durability::{Durable, Lazy};
use super::documents::{kept_kind, key};
use super::error::Fault;
use super::value::Value;
use super::{BATCH, BATCHES, Sql, retried};
use crate::base::clock::Timestamp;
use crate::directory::{DirectoryError, Kept, KeptKind};

/// Adds to the bytes of a kind. The last thing of a transaction: it holds the row that all of a kind share.
async fn add_bytes(call: &mut Call, kind: &str, bytes: i64) -> Result<(), Fault> {
    const SQL: &str = "INSERT INTO kept_bytes (kind, bytes) VALUES ($1, $2) ON CONFLICT (kind) DO UPDATE SET bytes = \
                       kept_bytes.bytes + excluded.bytes";
    if bytes != 0 {
        call.execute(SQL, &[Value::Text(kind), Value::Int(bytes)]).await?;
    }
    Ok(())
}

const DELETE: &str = "DELETE FROM kept WHERE kind = $1 AND id_key = $2 RETURNING size, good_until, sealed";

#[async_trait]
impl Kept for Sql {
    async fn keep(&self, kind: KeptKind, id: &str, sealed: &[u8], until: Timestamp) -> Result<(), DirectoryError> {
        retried(|| self.put(kind_and_key(kind, id), sealed, until)).await
    }

    async fn take(&self, kind: KeptKind, id: &str, now: Timestamp) -> Result<Option<Vec<u8>>, DirectoryError> {
        retried(|| self.take_out(kind_and_key(kind, id), now)).await
    }

    async fn peek(&self, kind: KeptKind, id: &str, now: Timestamp) -> Result<Option<Vec<u8>>, DirectoryError> {
        const SQL: &str = "SELECT sealed FROM kept WHERE kind = $1 AND id_key = $2 AND good_until > $3";
        let (kind, id) = kind_and_key(kind, id);
        let values = [Value::Text(kind), Value::Text(&id), Value::Int(now.millis())];
        let row = self.read().await?.fetch_one(SQL, &values).await?;
        Ok(row.map(|row| row.get(0)).transpose()?)
    }

    async fn bytes(&self, kind: KeptKind) -> Result<u64, DirectoryError> {
        const SQL: &str = "SELECT bytes FROM kept_bytes WHERE kind = $1";
        let row = self.read().await?.fetch_one(SQL, &[Value::Text(kept_kind(kind))]).await?;
        let bytes: i64 = row.map(|row| row.get(0)).transpose()?.unwrap_or_default();
        Ok(u64::try_from(bytes).unwrap_or_default())
    }

    async fn purge(&self, now: Timestamp) -> Result<u64, DirectoryError> {
        let mut gone = 0;
        for _ in 0..BATCHES {
            let batch = self.purge_batch(now).await?;
            gone += super::count(batch);
            if batch < BATCH {
                break;
            }
        }
        Ok(gone)
    }
}

fn kind_and_key(kind: KeptKind, id: &str) -> (&'static str, String) {
    (kept_kind(kind), key(id))
}

impl Sql {
    async fn put(&self, (kind, id): (&str, String), sealed: &[u8], until: Timestamp) -> Result<(), Fault> {
        const SQL: &str = "INSERT INTO kept (kind, id_key, sealed, size, good_until) VALUES ($1, $2, $3, $4, $5)";
        let mut call = self.begin(Durable).await?;
        let replaced = call.fetch_one(DELETE, &[Value::Text(kind), Value::Text(&id)]).await?;
        let old: i64 = replaced.map(|row| row.get(0)).transpose()?.unwrap_or_default();
        let size = i64::try_from(sealed.len()).unwrap_or(i64::MAX);
        let values =
            [Value::Text(kind), Value::Text(&id), Value::Bytes(sealed), Value::Int(size), Value::Int(until.millis())];
        call.execute(SQL, &values).await?;
        add_bytes(&mut call, kind, size - old).await?;
        call.commit().await
    }

    async fn take_out(&self, (kind, id): (&str, String), now: Timestamp) -> Result<Option<Vec<u8>>, Fault> {
        let mut call = self.begin(Durable).await?;
        let Some(row) = call.fetch_one(DELETE, &[Value::Text(kind), Value::Text(&id)]).await? else {
            call.rollback().await?;
            return Ok(None);
        };
        let (size, until): (i64, i64) = (row.get(0)?, row.get(1)?);
        add_bytes(&mut call, kind, -size).await?;
        call.commit().await?;
        if now.millis() < until { Ok(Some(row.get(2)?)) } else { Ok(None) }
    }

    async fn purge_batch(&self, now: Timestamp) -> Result<usize, Fault> {
        let mut call = self.begin(Lazy).await?;
        let sql = format!("SELECT kind, id_key FROM kept WHERE good_until <= $1 LIMIT $2{}", call.for_update_of_free());
        let values = [Value::Int(now.millis()), Value::Int(i64::try_from(BATCH).unwrap_or(i64::MAX))];
        let rows = call.fetch(AssertSqlSafe(sql), &values).await?;
        let mut sums = std::collections::BTreeMap::<String, i64>::new();
        for row in &rows {
            let (kind, id): (String, String) = (row.get(0)?, row.get(1)?);
            let deleted = call.fetch_one(DELETE, &[Value::Text(&kind), Value::Text(&id)]).await?;
            let size: i64 = deleted.map(|row| row.get(0)).transpose()?.unwrap_or_default();
            *sums.entry(kind).or_default() -= size;
        }
        for (kind, bytes) in &sums {
            add_bytes(&mut call, kind, *bytes).await?;
        }
        call.commit().await?;
        Ok(rows.len())
    }
}

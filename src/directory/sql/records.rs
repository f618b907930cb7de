//! Used-up ids, explanations, switches, key fingerprints, salts.

use async_trait::async_trait;

use super::call::Call;
use super::call::Durability::{Durable, Lazy};
use super::documents::{key, once_kind, read_switch_kind, switch_kind};
use super::error::Fault;
use super::value::Value;
use super::{BATCH, BATCHES, Sql, count, retried};
use crate::base::clock::Timestamp;
use crate::base::share::Salt;
use crate::directory::{
    Change, DirectoryError, Explained, Explanations, KeyIds, Once, OnceKind, Salts, Switch, SwitchKind, Switches,
};

impl Call {
    /// Uses `id` up. True: it was not used before.
    pub(super) async fn use_once(&mut self, kind: OnceKind, id: &str, until: Timestamp) -> Result<bool, Fault> {
        const SQL: &str = "INSERT INTO used_once (kind, id_key, good_until) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        let id = key(id);
        let values = [Value::Text(once_kind(kind)), Value::Text(&id), Value::Int(until.millis())];
        Ok(self.execute(SQL, &values).await? == 1)
    }
}

impl Sql {
    /// Runs a deletion of at most as many rows as the last of its values says, which is [`BATCH`], again and again.
    pub(super) async fn delete_batches(&self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, Fault> {
        let mut values = values.to_vec();
        values.push(Value::Int(i64::try_from(BATCH).unwrap_or(i64::MAX)));
        let mut gone = 0;
        for _ in 0..BATCHES {
            let batch = self.write(Lazy).await?.execute(sql, &values).await?;
            gone += batch;
            if batch < count(BATCH) {
                break;
            }
        }
        Ok(gone)
    }

    async fn insert_explanations(&self, records: &[Explained]) -> Result<(), Fault> {
        const SQL: &str = "INSERT INTO explanations (reference_key, made_at, record) VALUES ($1, $2, $3)";
        let mut call = self.begin(Lazy).await?;
        for record in records {
            let reference = key(&record.reference);
            let values = [Value::Text(&reference), Value::Int(record.at.millis()), Value::Text(&record.record)];
            call.execute(SQL, &values).await?;
        }
        call.commit().await
    }

    async fn purge_beyond(&self, max: u64) -> Result<u64, Fault> {
        const OLDEST_OF_EXCESS: &str =
            "SELECT made_at, id FROM explanations ORDER BY made_at DESC, id DESC LIMIT 1 OFFSET $1";
        const DELETE: &str = "DELETE FROM explanations WHERE id IN (SELECT id FROM explanations WHERE made_at < $1 OR \
                              (made_at = $1 AND id <= $2) LIMIT $3)";
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let Some(row) = self.read().await?.fetch_one(OLDEST_OF_EXCESS, &[Value::Int(max)]).await? else {
            return Ok(0);
        };
        self.delete_batches(DELETE, &[Value::Int(row.get(0)?), Value::Int(row.get(1)?)]).await
    }

    async fn write_switch(&self, kind: SwitchKind, name: &str, off: bool, now: Timestamp) -> Result<(), Fault> {
        const OFF: &str = "INSERT INTO switches (kind, name) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        const ON: &str = "DELETE FROM switches WHERE kind = $1 AND name = $2";
        let mut call = self.begin(Durable).await?;
        call.execute(if off { OFF } else { ON }, &[Value::Text(switch_kind(kind)), Value::Text(name)]).await?;
        call.number(&[Change::Switched(Switch { kind, name: name.to_owned(), off })], now).await?;
        call.commit().await
    }

    async fn write_key_ids(&self, fingerprints: &[String], now: Timestamp) -> Result<bool, Fault> {
        const LOCK: &str = "UPDATE change_counter SET number = number";
        const KNOWN: &str = "SELECT fingerprint FROM key_ids";
        const NOTE: &str = "INSERT INTO key_ids (fingerprint, noted_at) VALUES ($1, $2) ON CONFLICT (fingerprint) DO \
                            UPDATE SET noted_at = excluded.noted_at";
        let mut call = self.begin(Durable).await?;
        // Two processes that start at once with different keys: one of them is first.
        call.execute(LOCK, &[]).await?;
        let rows = call.fetch(KNOWN, &[]).await?;
        let known = rows.iter().map(|row| row.get(0)).collect::<Result<Vec<String>, _>>()?;
        if !known.is_empty() && !fingerprints.iter().any(|fingerprint| known.contains(fingerprint)) {
            call.rollback().await?;
            return Ok(false);
        }
        for fingerprint in fingerprints {
            call.execute(NOTE, &[Value::Text(fingerprint), Value::Int(now.millis())]).await?;
        }
        call.commit().await?;
        Ok(true)
    }
}

#[async_trait]
impl Once for Sql {
    async fn use_once(&self, kind: OnceKind, id: &str, until: Timestamp) -> Result<bool, DirectoryError> {
        Ok(self.write(Durable).await?.use_once(kind, id, until).await?)
    }

    async fn purge(&self, now: Timestamp) -> Result<u64, DirectoryError> {
        const SQL: &str = "DELETE FROM used_once WHERE (kind, id_key) IN (SELECT kind, id_key FROM used_once WHERE \
                           good_until <= $1 LIMIT $2)";
        Ok(self.delete_batches(SQL, &[Value::Int(now.millis())]).await?)
    }
}

#[async_trait]
impl Explanations for Sql {
    async fn keep(&self, records: &[Explained]) -> Result<(), DirectoryError> {
        for records in records.chunks(BATCH) {
            self.insert_explanations(records).await?;
        }
        Ok(())
    }

    async fn of(&self, reference: &str) -> Result<Vec<Explained>, DirectoryError> {
        const SQL: &str = "SELECT made_at, record FROM explanations WHERE reference_key = $1 ORDER BY made_at, id";
        let rows = self.read().await?.fetch(SQL, &[Value::Text(&key(reference))]).await?;
        let record = |row: &super::value::Row| {
            let at = Timestamp::from_millis(row.get(0)?);
            Ok::<_, Fault>(Explained { reference: reference.to_owned(), at, record: row.get(1)? })
        };
        Ok(rows.iter().map(record).collect::<Result<_, _>>()?)
    }

    async fn purge(&self, before: Timestamp, max: u64) -> Result<u64, DirectoryError> {
        const SQL: &str = "DELETE FROM explanations WHERE id IN (SELECT id FROM explanations WHERE made_at < $1 LIMIT \
                           $2)";
        let old = self.delete_batches(SQL, &[Value::Int(before.millis())]).await?;
        Ok(old + self.purge_beyond(max).await?)
    }
}

#[async_trait]
impl Switches for Sql {
    async fn off(&self) -> Result<Vec<Switch>, DirectoryError> {
        let rows = self.read().await?.fetch("SELECT kind, name FROM switches ORDER BY kind, name", &[]).await?;
        let switch = |row: &super::value::Row| {
            let kind: String = row.get(0)?;
            let kind = read_switch_kind(&kind).ok_or_else(|| Fault::unreadable("switches.kind"))?;
            Ok::<_, Fault>(Switch { kind, name: row.get(1)?, off: true })
        };
        Ok(rows.iter().map(switch).collect::<Result<_, _>>()?)
    }

    async fn switch(&self, kind: SwitchKind, name: &str, off: bool, now: Timestamp) -> Result<(), DirectoryError> {
        retried(|| self.write_switch(kind, name, off, now)).await
    }
}

#[async_trait]
impl KeyIds for Sql {
    async fn share(&self, fingerprints: &[String], now: Timestamp) -> Result<bool, DirectoryError> {
        retried(|| self.write_key_ids(fingerprints, now)).await
    }
}

#[async_trait]
impl Salts for Sql {
    async fn salt(&self, purpose: &str, fresh: &Salt) -> Result<Salt, DirectoryError> {
        const KEEP: &str = "INSERT INTO salts (purpose, salt) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        const READ: &str = "SELECT salt FROM salts WHERE purpose = $1";
        let fresh = [Value::Text(purpose), Value::Bytes(fresh)];
        self.write(Durable).await?.execute(KEEP, &fresh).await?;
        // On the writer's side: what another process was first with is there.
        let row = self.write(Durable).await?.fetch_one(READ, &[Value::Text(purpose)]).await?;
        let kept: Vec<u8> = row.ok_or_else(|| Fault::unreadable("salts: a row is gone"))?.get(0)?;
        Ok(kept.try_into().map_err(|_| Fault::unreadable("salts.salt"))?)
    }
}

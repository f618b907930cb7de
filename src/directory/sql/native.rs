//! Native identities and their cookies.

use async_trait::async_trait;
use sqlx::AssertSqlSafe;

use super::call::Durability::{Durable, Lazy};
use super::documents::key;
use super::error::Fault;
use super::value::{Row, Value};
use super::{BATCH, Sql, retried};
use crate::base::clock::Timestamp;
use crate::base::email::EmailAddress;
use crate::base::id::Id;
use crate::directory::{DirectoryError, NativeCookie, NativeIdentity, NativeKind, Natives};

const IDENTITIES: &str = "SELECT app, kind, name, first_seen, last_seen, uses, source, email_shaped FROM \
                          native_identities WHERE app = $1 OR $1 = '' ORDER BY last_seen DESC, app, kind, name_key LIMIT \
                          $2";

fn identity(row: &Row) -> Result<NativeIdentity, Fault> {
    let unreadable = |what: &str| Fault::unreadable(format!("native_identities.{what}"));
    let (app, kind, source): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(6)?);
    Ok(NativeIdentity {
        app: app.parse().map_err(|_| unreadable("app"))?,
        kind: NativeKind::of_word(&kind).ok_or_else(|| unreadable("kind"))?,
        name: row.get(2)?,
        first: Timestamp::from_millis(row.get(3)?),
        last: Timestamp::from_millis(row.get(4)?),
        count: u64::try_from(row.get::<i64>(5)?).unwrap_or_default(),
        source: source.parse().map_err(|_| unreadable("source"))?,
        email_shaped: row.get::<i64>(7)? != 0,
    })
}

fn cookie(row: &Row) -> Result<NativeCookie, Fault> {
    let unreadable = |what: &str| Fault::unreadable(format!("native_cookies.{what}"));
    let (bytes, app, person): (Vec<u8>, String, Option<String>) = (row.get(0)?, row.get(1)?, row.get(4)?);
    Ok(NativeCookie {
        key: bytes.try_into().map_err(|_| unreadable("cookie_key"))?,
        app: app.parse().map_err(|_| unreadable("app"))?,
        name: row.get(2)?,
        user_name: row.get(3)?,
        person: person.map(|person| person.parse()).transpose().map_err(|_| unreadable("person"))?,
        last_used: Timestamp::from_millis(row.get(5)?),
        until: Timestamp::from_millis(row.get(6)?),
    })
}

impl Sql {
    async fn add_uses(&self, uses: &[&NativeIdentity]) -> Result<(), Fault> {
        const SQL: &str = "INSERT INTO native_identities (app, kind, name_key, name, first_seen, last_seen, uses, source, \
                           email_shaped) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (app, kind, name_key) \
                           DO UPDATE SET uses = native_identities.uses + excluded.uses, first_seen = CASE WHEN \
                           excluded.first_seen < native_identities.first_seen THEN excluded.first_seen ELSE \
                           native_identities.first_seen END, source = CASE WHEN excluded.last_seen >= \
                           native_identities.last_seen THEN excluded.source ELSE native_identities.source END, last_seen \
                           = CASE WHEN excluded.last_seen > native_identities.last_seen THEN excluded.last_seen ELSE \
                           native_identities.last_seen END";
        let mut call = self.begin(Lazy).await?;
        for seen in uses {
            let (name_key, source) = (key(&seen.name), seen.source.to_string());
            let values = [
                Value::Text(seen.app.as_str()),
                Value::Text(seen.kind.word()),
                Value::Text(&name_key),
                Value::Text(&seen.name),
                Value::Int(seen.first.millis()),
                Value::Int(seen.last.millis()),
                Value::Int(i64::try_from(seen.count).unwrap_or(i64::MAX)),
                Value::Text(&source),
                Value::Int(seen.email_shaped.into()),
            ];
            call.execute(SQL, &values).await?;
        }
        call.commit().await
    }

    async fn put_cookies(&self, cookies: &[&NativeCookie]) -> Result<(), Fault> {
        // `good_until = last_used`: two were given it, and it counts no more.
        const SQL: &str = "INSERT INTO native_cookies (cookie_key, app, cookie_name, user_name, person, last_used, \
                           good_until) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (cookie_key) DO UPDATE SET \
                           good_until = CASE WHEN native_cookies.user_name <> excluded.user_name OR \
                           native_cookies.good_until <= native_cookies.last_used THEN native_cookies.last_used ELSE \
                           excluded.good_until END, person = excluded.person, last_used = CASE WHEN \
                           native_cookies.user_name <> excluded.user_name OR native_cookies.good_until <= \
                           native_cookies.last_used THEN native_cookies.last_used ELSE excluded.last_used END";
        let mut call = self.begin(Durable).await?;
        for cookie in cookies {
            let values = [
                Value::Bytes(&cookie.key),
                Value::Text(cookie.app.as_str()),
                Value::Text(&cookie.name),
                Value::Text(&cookie.user_name),
                Value::MaybeText(cookie.person.as_ref().map(EmailAddress::as_str)),
                Value::Int(cookie.last_used.millis()),
                Value::Int(cookie.until.millis()),
            ];
            call.execute(SQL, &values).await?;
        }
        call.commit().await
    }

    async fn use_cookies(&self, uses: &[([u8; 32], Timestamp)]) -> Result<(), Fault> {
        const SQL: &str = "UPDATE native_cookies SET last_used = $2 WHERE cookie_key = $1 AND last_used < $2 AND \
                           good_until > last_used";
        let mut call = self.begin(Lazy).await?;
        for (key, at) in uses {
            call.execute(SQL, &[Value::Bytes(key), Value::Int(at.millis())]).await?;
        }
        call.commit().await
    }

    async fn purge_identities_beyond(&self, max: u64) -> Result<u64, Fault> {
        const LAST_TO_GO: &str = "SELECT last_seen FROM native_identities ORDER BY last_seen DESC LIMIT 1 OFFSET $1";
        const DELETE: &str = "DELETE FROM native_identities WHERE (app, kind, name_key) IN (SELECT app, kind, name_key \
                              FROM native_identities WHERE last_seen <= $1 LIMIT $2)";
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        match self.read().await?.fetch_one(LAST_TO_GO, &[Value::Int(max)]).await? {
            Some(row) => self.delete_batches(DELETE, &[Value::Int(row.get(0)?)]).await,
            None => Ok(0),
        }
    }
}

#[async_trait]
impl Natives for Sql {
    async fn note(&self, uses: &[NativeIdentity]) -> Result<(), DirectoryError> {
        // In one order, so that two processes never wait for each other.
        let mut uses: Vec<&NativeIdentity> = uses.iter().collect();
        uses.sort_by(|a, b| (&a.app, a.kind, &a.name).cmp(&(&b.app, b.kind, &b.name)));
        for uses in uses.chunks(BATCH) {
            retried(|| self.add_uses(uses)).await?;
        }
        Ok(())
    }

    async fn list(&self, app: Option<&Id>, limit: u32) -> Result<Vec<NativeIdentity>, DirectoryError> {
        let values = [Value::Text(app.map_or("", Id::as_str)), Value::Int(limit.into())];
        let rows = self.read().await?.fetch(IDENTITIES, &values).await?;
        Ok(rows.iter().map(identity).collect::<Result<_, _>>()?)
    }

    async fn purge(&self, before: Timestamp, max: u64) -> Result<u64, DirectoryError> {
        const SQL: &str = "DELETE FROM native_identities WHERE (app, kind, name_key) IN (SELECT app, kind, name_key FROM \
                           native_identities WHERE last_seen < $1 LIMIT $2)";
        let old = self.delete_batches(SQL, &[Value::Int(before.millis())]).await?;
        Ok(old + self.purge_identities_beyond(max).await?)
    }

    async fn remember(&self, cookies: &[NativeCookie]) -> Result<(), DirectoryError> {
        if cookies.is_empty() {
            return Ok(());
        }
        let mut cookies: Vec<&NativeCookie> = cookies.iter().collect();
        cookies.sort_by_key(|cookie| cookie.key);
        retried(|| self.put_cookies(&cookies)).await
    }

    async fn cookies(&self, keys: &[[u8; 32]]) -> Result<Vec<NativeCookie>, DirectoryError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let places: Vec<String> = (1..=keys.len()).map(|place| format!("${place}")).collect();
        let sql = format!(
            "SELECT cookie_key, app, cookie_name, user_name, person, last_used, good_until FROM native_cookies WHERE \
             cookie_key IN ({})",
            places.join(", ")
        );
        let values: Vec<Value<'_>> = keys.iter().map(|key| Value::Bytes(key)).collect();
        let rows = self.read().await?.fetch(AssertSqlSafe(sql), &values).await?;
        Ok(rows.iter().map(cookie).collect::<Result<_, _>>()?)
    }

    async fn cookies_used(&self, uses: &[([u8; 32], Timestamp)]) -> Result<(), DirectoryError> {
        let mut uses = uses.to_vec();
        uses.sort_unstable();
        for uses in uses.chunks(BATCH) {
            retried(|| self.use_cookies(uses)).await?;
        }
        Ok(())
    }

    async fn purge_cookies(&self, used_before: Timestamp, now: Timestamp) -> Result<u64, DirectoryError> {
        const SQL: &str = "DELETE FROM native_cookies WHERE cookie_key IN (SELECT cookie_key FROM native_cookies WHERE \
                           last_used < $1 OR (good_until <= $2 AND good_until > last_used) LIMIT $3)";
        let values = [Value::Int(used_before.millis()), Value::Int(now.millis())];
        Ok(self.delete_batches(SQL, &values).await?)
    }
}

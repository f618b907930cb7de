//! Sessions and their cookies.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::call::Durability::{Durable, Lazy};
use super::documents::{self, key};
use super::error::Fault;
use super::linking::Linked;
use super::renewal::cookie_key;
use super::select::{AFTER_COLUMNS, Condition, all_columns, columns, live, session, session_with_secrets};
use super::value::Value;
use super::{BATCH, BATCHES, Sql, retried};
use crate::base::clock::Timestamp;
use crate::directory::{
    Change, CookieKey, Created, Creation, DirectoryError, Ended, Lease, Linking, NewCookie, OnceKind, Page, Renewed,
    Selector, SessionRow, Sessions, Used,
};

pub(super) const BY_COOKIE: &str = concat!(
    "SELECT ",
    all_columns!(),
    ", session_cookies.host FROM session_cookies JOIN sessions ON sessions.reference = session_cookies.session WHERE \
     session_cookies.cookie_key = $1 AND ",
    live!()
);

pub(super) const BY_REFERENCE: &str =
    concat!("SELECT ", all_columns!(), " FROM sessions WHERE sessions.reference = $1 AND ", live!());

const INSERT_COOKIE: &str = "INSERT INTO session_cookies (cookie_key, session, host) VALUES ($1, $2, $3)";

#[async_trait]
impl Sessions for Sql {
    async fn create(
        &self,
        session: &SessionRow,
        cookie: &NewCookie,
        linking: &Linking,
    ) -> Result<Creation, DirectoryError> {
        retried(|| self.insert(session, cookie, linking)).await
    }

    async fn add_cookie(&self, reference: Uuid, cookie: &NewCookie, now: Timestamp) -> Result<bool, DirectoryError> {
        retried(|| self.insert_cookie(reference, cookie, now)).await
    }

    async fn by_cookie(&self, key: &CookieKey) -> Result<Option<(SessionRow, String)>, DirectoryError> {
        let Some(row) = self.read().await?.fetch_one(BY_COOKIE, &[Value::Bytes(key)]).await? else { return Ok(None) };
        Ok(Some((session_with_secrets(&row)?, row.get(AFTER_COLUMNS)?)))
    }

    async fn by_reference(&self, reference: Uuid) -> Result<Option<SessionRow>, DirectoryError> {
        let name = reference.to_string();
        let row = self.read().await?.fetch_one(BY_REFERENCE, &[Value::Text(&name)]).await?;
        Ok(row.as_ref().map(session_with_secrets).transpose()?)
    }

    async fn list(&self, which: &Selector, page: &Page) -> Result<Vec<SessionRow>, DirectoryError> {
        let condition = Condition::of(which);
        let (mut values, next) = condition.values();
        values.push(Value::Int(i64::from(page.limit)));
        let sql = format!(
            "SELECT {} FROM sessions WHERE {} AND {} ORDER BY sessions.created_at DESC, sessions.reference DESC LIMIT \
             ${next}",
            columns!(),
            condition.sql,
            live!()
        );
        let rows = self.read().await?.fetch(AssertSqlSafe(sql), &values).await?;
        Ok(rows.iter().map(session).collect::<Result<_, _>>()?)
    }

    async fn end(
        &self,
        which: &Selector,
        once: Option<(OnceKind, &str, Timestamp)>,
        now: Timestamp,
    ) -> Result<Ended, DirectoryError> {
        match documents::scope(which) {
            Some(scope) => self.revoke(which, &scope, once, now).await,
            None => retried(|| self.end_selected(which, once, now)).await,
        }
    }

    async fn used(&self, uses: &[Used]) -> Result<(), DirectoryError> {
        // Each session once and all in one order, or two processes could wait for each other's rows.
        let mut latest = BTreeMap::new();
        for Used { reference, at } in uses {
            let known = latest.entry(reference.to_string()).or_insert(at.millis());
            *known = at.millis().max(*known);
        }
        let latest: Vec<(String, i64)> = latest.into_iter().collect();
        for uses in latest.chunks(BATCH) {
            retried(|| self.note_uses(uses)).await?;
        }
        Ok(())
    }

    async fn lease(
        &self,
        reference: Uuid,
        version: i64,
        owner: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Lease, DirectoryError> {
        retried(|| self.claim(reference, version, owner, now, until)).await
    }

    async fn renewed(
        &self,
        reference: Uuid,
        owner: Uuid,
        renewed: &Renewed,
        now: Timestamp,
    ) -> Result<bool, DirectoryError> {
        retried(|| self.write_renewal(reference, owner, renewed, now)).await
    }

    async fn release(&self, reference: Uuid, owner: Uuid, renew_at: Timestamp) -> Result<(), DirectoryError> {
        const SQL: &str = "UPDATE sessions SET claimed_by = NULL, claimed_until = NULL, renew_at = $3 WHERE reference \
                           = $1 AND claimed_by = $2";
        let (name, owner) = (reference.to_string(), owner.to_string());
        let values = [Value::Text(&name), Value::Text(&owner), Value::Int(renew_at.millis())];
        self.write(Lazy).await?.execute(SQL, &values).await?;
        Ok(())
    }

    async fn purge(
        &self,
        created_before: Timestamp,
        used_before: Timestamp,
        limit: u32,
    ) -> Result<u64, DirectoryError> {
        let limit = u64::from(limit);
        let mut gone = 0;
        // A batch of its own each: whoever creates a session meanwhile waits for one at most.
        for _ in 0..BATCHES {
            let batch = super::count(BATCH).min(limit - gone);
            let mut call = self.write(Lazy).await?;
            let sql = format!(
                "DELETE FROM sessions WHERE reference IN (SELECT reference FROM sessions WHERE created_at < $1 OR \
                 last_used < $2 LIMIT $3{})",
                call.for_update_of_free()
            );
            let values = [
                Value::Int(created_before.millis()),
                Value::Int(used_before.millis()),
                Value::Int(i64::try_from(batch).unwrap_or(i64::MAX)),
            ];
            let deleted = call.execute(AssertSqlSafe(sql), &values).await?;
            gone += deleted.min(batch);
            if gone == limit || deleted < batch {
                break;
            }
        }
        Ok(gone)
    }
}

impl Sql {
    async fn insert(&self, session: &SessionRow, cookie: &NewCookie, linking: &Linking) -> Result<Creation, Fault> {
        const SQL: &str = "INSERT INTO sessions (reference, connector, subject_key, provider_session_key, email, \
                           email_domain, identity, origin, created_at, last_used, renew_at, secrets, version, \
                           user_id, born) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, \
                           $14, CASE WHEN change_counter.number < $15 THEN change_counter.number ELSE $15 END FROM \
                           change_counter RETURNING born";
        let SessionRow { identity, auth_time, acr, amr, .. } = session;
        let name = session.reference.to_string();
        let person = documents::person(identity, *auth_time, acr.as_deref(), amr)?;
        let subject = key(&session.provider_sub);
        let provider_session = session.provider_sid.as_deref().map(key);
        let (email, domain) = (identity.email.as_str().to_ascii_lowercase(), identity.email.domain());
        let mut call = self.begin(Durable).await?;
        let linked = match call.link(session, linking).await? {
            Ok(linked) => linked,
            Err(refused) => {
                call.rollback().await?;
                return Ok(Creation::Refused(refused));
            }
        };
        let origin = documents::origin(session, &linked.native)?;
        let user = linked.user.to_string();
        let values = [
            Value::Text(&name),
            Value::Text(identity.connector.as_str()),
            Value::Text(&subject),
            Value::MaybeText(provider_session.as_deref()),
            Value::Text(&email),
            Value::Text(domain.as_str()),
            Value::Text(&person),
            Value::Text(&origin),
            Value::Int(session.created_at.millis()),
            Value::Int(session.last_used.millis()),
            Value::MaybeInt(session.renew_at.map(Timestamp::millis)),
            Value::MaybeBytes(session.secrets.as_deref()),
            Value::Int(session.version),
            Value::Text(&user),
            Value::Int(session.born),
        ];
        let row = call.fetch_one(SQL, &values).await?;
        let born = row.ok_or_else(|| Fault::unreadable("change_counter: it has no row"))?.get(0)?;
        let cookie = [Value::Bytes(&cookie.key), Value::Text(&name), Value::Text(&cookie.host)];
        call.execute(INSERT_COOKIE, &cookie).await?;
        let Linked { user, native, merged, changes } = linked;
        call.number(&changes, session.created_at).await?;
        call.commit().await?;
        Ok(Creation::Created(Created { born, user, native, merged }))
    }

    async fn insert_cookie(&self, reference: Uuid, cookie: &NewCookie, now: Timestamp) -> Result<bool, Fault> {
        const LIVE: &str = concat!("SELECT 1 FROM sessions WHERE sessions.reference = $1 AND ", live!());
        const KNOWN: &str = "SELECT session FROM session_cookies WHERE cookie_key = $1";
        const REPLACED: &str = "DELETE FROM session_cookies WHERE session = $1 AND host = $2 RETURNING cookie_key";
        let name = reference.to_string();
        let mut call = self.begin(Durable).await?;
        // Held until the commit: whoever ends the session meanwhile, or adds another cookie, comes before or after.
        let sql = format!("{LIVE}{}", call.for_update());
        if call.fetch_one(AssertSqlSafe(sql), &[Value::Text(&name)]).await?.is_none() {
            call.rollback().await?;
            return Ok(false);
        }
        if let Some(row) = call.fetch_one(KNOWN, &[Value::Bytes(&cookie.key)]).await?
            && row.get::<String>(0)? == name
        {
            // Asked for before, and the answer was lost.
            call.rollback().await?;
            return Ok(true);
        }
        let replaced = call.fetch(REPLACED, &[Value::Text(&name), Value::Text(&cookie.host)]).await?;
        let replaced = replaced.iter().map(|row| Ok(Change::CookieEnded(cookie_key(row.get(0)?)?)));
        let replaced = replaced.collect::<Result<Vec<_>, Fault>>()?;
        let values = [Value::Bytes(&cookie.key), Value::Text(&name), Value::Text(&cookie.host)];
        // One that leads to another session is a conflict.
        call.execute(INSERT_COOKIE, &values).await?;
        call.number(&replaced, now).await?;
        call.commit().await?;
        Ok(true)
    }

    /// Notes uses, sorted by reference.
    async fn note_uses(&self, uses: &[(String, i64)]) -> Result<(), Fault> {
        let mut call = self.begin(Lazy).await?;
        if call.is_postgres() {
            let sql = format!(
                "SELECT reference FROM sessions WHERE reference IN ({}) ORDER BY reference FOR UPDATE",
                places(1, uses.len())
            );
            let names: Vec<Value<'_>> = uses.iter().map(|(name, _)| Value::Text(name)).collect();
            call.fetch(AssertSqlSafe(sql), &names).await?;
        }
        let rows: Vec<String> = (0..uses.len()).map(|at| format!("(${}, ${})", at * 2 + 1, at * 2 + 2)).collect();
        let sql = format!(
            "UPDATE sessions SET last_used = uses.column2 FROM (VALUES {}) AS uses WHERE sessions.reference = \
             uses.column1 AND sessions.last_used < uses.column2",
            rows.join(", ")
        );
        let values: Vec<Value<'_>> = uses.iter().flat_map(|(name, at)| [Value::Text(name), Value::Int(*at)]).collect();
        call.execute(AssertSqlSafe(sql), &values).await?;
        call.commit().await
    }
}

/// `$from, …`: places for `count` values.
pub(super) fn places(from: usize, count: usize) -> String {
    let places: Vec<String> = (from..from + count).map(|at| format!("${at}")).collect();
    places.join(", ")
}

//! Endings.

use std::time::Duration;

use sqlx::AssertSqlSafe;
use tokio::time::timeout;

use super::call::Call;
use super::call::Durability::{Durable, Lazy};
use super::error::Fault;
use super::renewal::cookie_key;
use super::select::{Condition, columns, live, session};
use super::sessions::places;
use super::value::{Row, Value};
use super::{BATCH, Sql, count, documents, retried};
use crate::base::clock::Timestamp;
use crate::directory::{Change, CookieKey, DirectoryError, Ended, MAX_ENDED, OnceKind, Selector};

/// How long an ending of many sessions deletes rows, once it is in force.
pub(super) const SWEEP_LIMIT: Duration = Duration::from_millis(1_500);

/// How long it counts those that it did not come to.
const COUNT_LIMIT: Duration = Duration::from_millis(500);

type OnceId<'a> = Option<(OnceKind, &'a str, Timestamp)>;

impl Sql {
    /// Ends sessions that are few: each row deleted, each cookie numbered, all in one transaction.
    pub(super) async fn end_selected(
        &self,
        which: &Selector,
        once: OnceId<'_>,
        now: Timestamp,
    ) -> Result<Ended, Fault> {
        let mut call = self.begin(Durable).await?;
        if !use_up(&mut call, once).await? {
            call.rollback().await?;
            return Ok(Ended { replayed: true, ..Ended::default() });
        }
        let condition = Condition::of(which);
        let mut ended = Ended::default();
        loop {
            let (mut values, next) = condition.values();
            values.push(Value::Int(i64::try_from(BATCH).unwrap_or(i64::MAX)));
            let sql = format!(
                "SELECT {} FROM sessions WHERE {} AND {} ORDER BY sessions.reference LIMIT ${next}{}",
                columns!(),
                condition.sql,
                live!(),
                call.for_update()
            );
            let rows = call.fetch(AssertSqlSafe(sql), &values).await?;
            let cookies = delete(&mut call, &rows, &mut ended).await?;
            let changes: Vec<Change> = cookies.into_iter().map(Change::CookieEnded).collect();
            if let Some(number) = call.number(&changes, now).await? {
                ended.number = number;
            }
            if rows.len() < BATCH {
                break;
            }
        }
        call.commit().await?;
        Ok(ended)
    }

    /// Ends sessions that may be many. The epoch, which alone keeps them all out, is committed first; what it takes to
    /// delete their rows can then neither delay nor prevent it.
    pub(super) async fn revoke(
        &self,
        which: &Selector,
        scope: &str,
        once: OnceId<'_>,
        now: Timestamp,
    ) -> Result<Ended, DirectoryError> {
        let Some(number) = retried(|| self.write_epoch(which, scope, once, now)).await? else {
            return Ok(Ended { replayed: true, ..Ended::default() });
        };
        let mut ended = Ended { number, ..Ended::default() };
        self.sweep_within_limit(which, &mut ended).await;
        Ok(ended)
    }

    /// Deletes what the epoch `ended.number` of `which` has ended, as far as time allows.
    pub(super) async fn sweep_within_limit(&self, which: &Selector, ended: &mut Ended) {
        let number = ended.number;
        let swept = timeout(SWEEP_LIMIT, self.sweep(which, number, ended)).await;
        if !matches!(swept, Ok(Ok(true))) {
            let left = timeout(COUNT_LIMIT, self.count_left(which, number)).await;
            ended.count += left.ok().and_then(Result::ok).unwrap_or_default();
        }
    }

    /// None: `once` was used before.
    async fn write_epoch(
        &self,
        which: &Selector,
        scope: &str,
        once: OnceId<'_>,
        now: Timestamp,
    ) -> Result<Option<i64>, Fault> {
        let mut call = self.begin(Durable).await?;
        if !use_up(&mut call, once).await? {
            call.rollback().await?;
            return Ok(None);
        }
        let number = call.put_epoch(which, scope, Vec::new(), now).await?;
        call.commit().await?;
        Ok(Some(number))
    }

    /// Deletes the sessions that `which` selects and that were born before `number`, batch by batch. True: all of them.
    pub(super) async fn sweep(&self, which: &Selector, number: i64, ended: &mut Ended) -> Result<bool, Fault> {
        let condition = Condition::of(which);
        loop {
            let mut call = self.begin(Lazy).await?;
            let (mut values, next) = condition.values();
            values.extend([Value::Int(number), Value::Int(i64::try_from(BATCH).unwrap_or(i64::MAX))]);
            let sql = format!(
                "SELECT {} FROM sessions WHERE {} AND sessions.born < ${next} LIMIT ${}{}",
                columns!(),
                condition.sql,
                next + 1,
                call.for_update_of_free()
            );
            let rows = call.fetch(AssertSqlSafe(sql), &values).await?;
            let mut batch = Ended::default();
            delete(&mut call, &rows, &mut batch).await?;
            call.commit().await?;
            ended.count += batch.count;
            let room = MAX_ENDED.saturating_sub(ended.sessions.len());
            if room > 0 {
                ended.sessions.extend(batch.sessions.into_iter().take(room));
                ended.cookies.extend(batch.cookies);
            }
            if rows.len() < BATCH {
                // Rows that somebody else held were passed over.
                return Ok(self.count_left(which, number).await? == 0);
            }
        }
    }

    async fn count_left(&self, which: &Selector, number: i64) -> Result<u64, Fault> {
        let condition = Condition::of(which);
        let (mut values, next) = condition.values();
        values.push(Value::Int(number));
        let sql = format!("SELECT COUNT(*) FROM sessions WHERE {} AND sessions.born < ${next}", condition.sql);
        let row = self.read().await?.fetch_one(AssertSqlSafe(sql), &values).await?;
        let left: i64 = row.map(|row| row.get(0)).transpose()?.unwrap_or_default();
        Ok(u64::try_from(left).unwrap_or_default())
    }
}

impl Call {
    /// Writes the epoch of `which`, whose scope is `scope`, after `before`, in the call's transaction. Its number.
    pub(super) async fn put_epoch(
        &mut self,
        which: &Selector,
        scope: &str,
        before: Vec<Change>,
        now: Timestamp,
    ) -> Result<i64, Fault> {
        const SQL: &str = "INSERT INTO epochs (scope, number, made_at, change) VALUES ($1, $2, $3, $4) ON CONFLICT \
                           (scope) DO UPDATE SET number = excluded.number, made_at = excluded.made_at, change = \
                           excluded.change";
        let change = Change::Revoked(which.clone());
        let text = documents::change(&change)?;
        let changes: Vec<Change> = before.into_iter().chain([change]).collect();
        let number = self.number(&changes, now).await?.unwrap_or_default();
        let values = [Value::Text(scope), Value::Int(number), Value::Int(now.millis()), Value::Text(&text)];
        self.execute(SQL, &values).await?;
        Ok(number)
    }

    /// Deletes the sessions for which `condition` holds, with `values` as its values, and names them in `ended`. The
    /// changes that say so are the caller's to number: they come last.
    pub(super) async fn delete_where(
        &mut self,
        condition: &str,
        values: &[Value<'_>],
        ended: &mut Ended,
    ) -> Result<Vec<Change>, Fault> {
        let mut changes = Vec::new();
        let sql = format!(
            "SELECT {} FROM sessions WHERE {condition} ORDER BY sessions.reference LIMIT {BATCH}{}",
            columns!(),
            self.for_update()
        );
        loop {
            let rows = self.fetch(AssertSqlSafe(sql.clone()), values).await?;
            changes.extend(delete(self, &rows, ended).await?.into_iter().map(Change::CookieEnded));
            if rows.len() < BATCH {
                return Ok(changes);
            }
        }
    }
}

/// Uses up what may be used once. False: it was used before.
async fn use_up(call: &mut Call, once: OnceId<'_>) -> Result<bool, Fault> {
    match once {
        Some((kind, id, until)) => call.use_once(kind, id, until).await,
        None => Ok(true),
    }
}

/// Deletes sessions, read as `columns!`, with their cookies, which it returns; notes both in `ended`. A row that cannot
/// be read is deleted too: whoever ends sessions is not kept from it by a damaged one.
async fn delete(call: &mut Call, rows: &[Row], ended: &mut Ended) -> Result<Vec<CookieKey>, Fault> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let names = rows.iter().map(|row| row.get(0)).collect::<Result<Vec<String>, _>>()?;
    let values: Vec<Value<'_>> = names.iter().map(|name| Value::Text(name)).collect();
    let places = places(1, names.len());
    let sql = format!("SELECT cookie_key FROM session_cookies WHERE session IN ({places}) ORDER BY cookie_key");
    let found = call.fetch(AssertSqlSafe(sql), &values).await?;
    let cookies = found.iter().map(|row| cookie_key(row.get(0)?)).collect::<Result<Vec<_>, _>>()?;
    call.execute(AssertSqlSafe(format!("DELETE FROM sessions WHERE reference IN ({places})")), &values).await?;
    ended.count += count(names.len());
    if ended.sessions.len() < MAX_ENDED {
        let room = MAX_ENDED - ended.sessions.len();
        ended.sessions.extend(rows.iter().filter_map(|row| session(row).ok()).take(room));
        ended.cookies.extend(&cookies);
    }
    Ok(cookies)
}

//! Renewals: one process claims a session's, and what it brought is written only while it still holds the claim.

use uuid::Uuid;

use super::Sql;
use super::call::Durability::{Durable, Lazy};
use super::documents;
use super::error::Fault;
use super::select::{all_columns, live, session_with_secrets};
use super::sessions::BY_REFERENCE;
use super::value::{Row, Value};
use crate::base::clock::Timestamp;
use crate::directory::{Change, CookieKey, Lease, Renewed};

impl Sql {
    pub(super) async fn claim(
        &self,
        reference: Uuid,
        version: i64,
        owner: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Lease, Fault> {
        const CLAIM: &str = concat!(
            "UPDATE sessions SET claimed_by = $3, claimed_until = $5 WHERE reference = $1 AND version = $2 AND \
             (claimed_by IS NULL OR claimed_by = $3 OR claimed_until <= $4) AND ",
            live!(),
            " RETURNING ",
            all_columns!()
        );
        let (name, owner) = (reference.to_string(), owner.to_string());
        let mut call = self.write(Lazy).await?;
        let values = [
            Value::Text(&name),
            Value::Int(version),
            Value::Text(&owner),
            Value::Int(now.millis()),
            Value::Int(until.millis()),
        ];
        if let Some(row) = call.fetch_one(CLAIM, &values).await? {
            return Ok(Lease::Taken(Box::new(session_with_secrets(&row)?)));
        }
        let Some(row) = call.fetch_one(BY_REFERENCE, &[Value::Text(&name)]).await? else { return Ok(Lease::Gone) };
        let row = session_with_secrets(&row)?;
        if row.version == version { Ok(Lease::Busy) } else { Ok(Lease::Changed(Box::new(row))) }
    }

    pub(super) async fn write_renewal(
        &self,
        reference: Uuid,
        owner: Uuid,
        renewed: &Renewed,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        const SQL: &str = concat!(
            "UPDATE sessions SET identity = $3, email = $4, email_domain = $5, secrets = $6, renew_at = $7, version = \
             version + 1, claimed_by = NULL, claimed_until = NULL WHERE reference = $1 AND claimed_by = $2 AND ",
            live!()
        );
        const COOKIES: &str = "SELECT cookie_key, version FROM session_cookies JOIN sessions ON reference = session \
                               WHERE session = $1 ORDER BY cookie_key";
        let Renewed { identity, auth_time, acr, amr, secrets, renew_at } = renewed;
        let (name, owner) = (reference.to_string(), owner.to_string());
        let person = documents::person(identity, *auth_time, acr.as_deref(), amr)?;
        let (email, domain) = (identity.email.as_str().to_ascii_lowercase(), identity.email.domain());
        let mut call = self.begin(Durable).await?;
        let values = [
            Value::Text(&name),
            Value::Text(&owner),
            Value::Text(&person),
            Value::Text(&email),
            Value::Text(domain.as_str()),
            Value::MaybeBytes(secrets.as_deref()),
            Value::MaybeInt(renew_at.map(Timestamp::millis)),
        ];
        if call.execute(SQL, &values).await? == 0 {
            call.rollback().await?;
            return Ok(false);
        }
        let rows = call.fetch(COOKIES, &[Value::Text(&name)]).await?;
        let change = |row: &Row| Ok(Change::CookieRenewed(cookie_key(row.get(0)?)?, row.get(1)?));
        let changes = rows.iter().map(change).collect::<Result<Vec<_>, Fault>>()?;
        call.number(&changes, now).await?;
        call.commit().await?;
        Ok(true)
    }
}

/// The key in `session_cookies.cookie_key`.
pub(super) fn cookie_key(bytes: Vec<u8>) -> Result<CookieKey, Fault> {
    bytes.try_into().map_err(|_| Fault::unreadable("session_cookies.cookie_key"))
}

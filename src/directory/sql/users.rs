//! People, for administrators. Whose a session is: `linking.rs`.

use async_trait::async_trait;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::call::Call;
use super::call::Durability::Durable;
use super::documents::{self, read_membership};
use super::error::Fault;
use super::value::{Row, Value};
use super::{Sql, retried};
use crate::base::clock::Timestamp;
use crate::base::email::EmailAddress;
use crate::base::id::Id;
use crate::directory::{
    Change, DirectoryError, Ended, MAX_PARTS, Membership, Page, Selector, User, UserDetail, UserIdentity, UserSource,
    Users,
};

/// The columns of a [`User`], as [`user`] reads them.
macro_rules! columns {
    () => {
        "users.id, users.address, users.address_verified, users.active, users.address_released, users.source, \
         users.created_at"
    };
}

pub(super) use columns;

/// An address as `users.address` has it.
pub(super) fn address_of(email: &EmailAddress) -> String {
    email.as_str().to_ascii_lowercase()
}

/// Reads `columns!`.
pub(super) fn user(row: &Row) -> Result<User, Fault> {
    let source: String = row.get(5)?;
    Ok(User {
        id: row.get::<String>(0)?.parse().map_err(|_| Fault::unreadable("users.id"))?,
        address: row.get(1)?,
        address_verified: row.get::<i64>(2)? != 0,
        active: row.get::<i64>(3)? != 0,
        address_released: row.get::<i64>(4)? != 0,
        source: read_source(&source, "users.source")?,
        created_at: Timestamp::from_millis(row.get(6)?),
    })
}

fn read_source(text: &str, what: &str) -> Result<UserSource, Fault> {
    UserSource::ALL.into_iter().find(|source| source.name() == text).ok_or_else(|| Fault::unreadable(what))
}

#[async_trait]
impl Users for Sql {
    async fn list(&self, address: Option<&str>, page: &Page) -> Result<Vec<UserDetail>, DirectoryError> {
        let newest = "ORDER BY created_at DESC, id DESC LIMIT";
        let limit = Value::Int(i64::from(page.limit));
        let (sql, values) = match &address {
            Some(address) => {
                let sql = format!("SELECT {} FROM users WHERE address = $1 {newest} $2", columns!());
                (sql, vec![Value::Text(address), limit])
            }
            None => (format!("SELECT {} FROM users {newest} $1", columns!()), vec![limit]),
        };
        let mut call = self.read().await?;
        let rows = call.fetch(AssertSqlSafe(sql), &values).await?;
        let mut details = Vec::with_capacity(rows.len());
        for row in &rows {
            details.push(call.detail(user(row)?).await?);
        }
        Ok(details)
    }

    async fn user(&self, id: Uuid) -> Result<Option<UserDetail>, DirectoryError> {
        const SQL: &str = concat!("SELECT ", columns!(), " FROM users WHERE id = $1");
        let mut call = self.read().await?;
        let Some(row) = call.fetch_one(SQL, &[Value::Text(&id.to_string())]).await? else { return Ok(None) };
        Ok(Some(call.detail(user(&row)?).await?))
    }

    async fn deactivate(
        &self,
        id: Uuid,
        release_address: bool,
        now: Timestamp,
    ) -> Result<Option<Ended>, DirectoryError> {
        let ended = retried(|| self.write_inactive(id, release_address, now)).await?;
        self.swept(id, ended).await
    }

    async fn activate(&self, id: Uuid) -> Result<bool, DirectoryError> {
        const SQL: &str = "UPDATE users SET active = 1, address_released = 0 WHERE id = $1";
        Ok(self.write(Durable).await?.execute(SQL, &[Value::Text(&id.to_string())]).await? == 1)
    }

    async fn unlink(&self, id: Uuid, connector: &Id, now: Timestamp) -> Result<Option<Ended>, DirectoryError> {
        let ended = retried(|| self.forget_identities(id, connector, now)).await?;
        self.swept(id, ended).await
    }
}

impl Sql {
    async fn swept(&self, id: Uuid, ended: Option<Ended>) -> Result<Option<Ended>, DirectoryError> {
        let Some(mut ended) = ended else { return Ok(None) };
        self.sweep_within_limit(&Selector::User(id), &mut ended).await;
        Ok(Some(ended))
    }

    async fn write_inactive(&self, id: Uuid, release: bool, now: Timestamp) -> Result<Option<Ended>, Fault> {
        const SQL: &str = "UPDATE users SET active = 0, address_released = $2 WHERE id = $1 RETURNING address";
        let mut call = self.begin(Durable).await?;
        let values = [Value::Text(&id.to_string()), Value::Int(i64::from(release))];
        let Some(row) = call.fetch_one(SQL, &values).await? else {
            call.rollback().await?;
            return Ok(None);
        };
        let ended = call.end_user(id, row.get(0)?, now).await?;
        call.commit().await?;
        Ok(Some(ended))
    }

    async fn forget_identities(&self, id: Uuid, connector: &Id, now: Timestamp) -> Result<Option<Ended>, Fault> {
        const SQL: &str = "DELETE FROM identities WHERE user_id = $1 AND connector = $2";
        let mut call = self.begin(Durable).await?;
        let user = call.hold_user(id).await?;
        let values = [Value::Text(&id.to_string()), Value::Text(connector.as_str())];
        let gone = call.execute(SQL, &values).await?;
        let Some(user) = user.filter(|_| gone > 0) else {
            call.rollback().await?;
            return Ok(None);
        };
        let ended = call.end_user(id, &user.address, now).await?;
        call.commit().await?;
        Ok(Some(ended))
    }
}

impl Call {
    /// Writes the epoch of a user. Sessions that began before users were kept do not name theirs; they end too.
    async fn end_user(&mut self, id: Uuid, address: &str, now: Timestamp) -> Result<Ended, Fault> {
        const UNNAMED: &str = "sessions.user_id IS NULL AND sessions.email = $1";
        let which = Selector::User(id);
        let scope = documents::scope(&which).unwrap_or_default();
        let mut ended = Ended::default();
        let before: Vec<Change> = self.delete_where(UNNAMED, &[Value::Text(address)], &mut ended).await?;
        ended.number = self.put_epoch(&which, &scope, before, now).await?;
        Ok(ended)
    }

    async fn detail(&mut self, user: User) -> Result<UserDetail, Fault> {
        const IDENTITIES: &str = "SELECT connector, subject_key FROM identities WHERE user_id = $1 ORDER BY connector, \
                                  subject_key LIMIT $2";
        const MEMBERSHIPS: &str = "SELECT app, about, source FROM memberships WHERE user_id = $1 ORDER BY app, \
                                   native_user_key LIMIT $2";
        let id = user.id.to_string();
        let values = [Value::Text(&id), Value::Int(i64::from(MAX_PARTS))];
        let identity = |row: &Row| {
            let connector: String = row.get(0)?;
            let connector = Id::read_vouching(&connector).map_err(|_| Fault::unreadable("identities.connector"))?;
            Ok(UserIdentity { connector, subject: row.get(1)? })
        };
        let membership = |row: &Row| {
            let (user, role) = read_membership(row.get(0)?, row.get(1)?)?;
            let source: String = row.get(2)?;
            Ok(Membership { user, role, source: read_source(&source, "memberships.source")? })
        };
        let rows = self.fetch(IDENTITIES, &values).await?;
        let identities = rows.iter().map(identity).collect::<Result<_, Fault>>()?;
        let rows = self.fetch(MEMBERSHIPS, &values).await?;
        let memberships = rows.iter().map(membership).collect::<Result<_, Fault>>()?;
        Ok(UserDetail { user, identities, memberships })
    }
}

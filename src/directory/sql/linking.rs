//! Whose a new session is: the facts for `directory/users.rs`, and what it decides, within the transaction that makes the
//! session. SQLite has one writer. In PostgreSQL a user's row is held until the commit, and every change of what belongs
//! to a user holds it too; who comes with an address that may be new to us holds the address.

use uuid::Uuid;

use super::Failure;
use super::call::Call;
use super::documents::{key, membership, read_membership};
use super::error::Fault;
use super::users::{address_of, user};
use super::value::Value;
use crate::base::id::Id;
use crate::base::random;
use crate::directory::users::{Candidate, MAX_CANDIDATES, choose, native_users};
use crate::directory::{Change, Ended, LinkRefused, Linking, MAX_PARTS, Merged, SessionRow, User, UserSource};
use crate::identity::NativeUser;

/// Whose a session is.
pub(super) struct Linked {
    pub(super) user: Uuid,
    pub(super) native: Vec<NativeUser>,
    pub(super) merged: Option<Merged>,
    /// To be numbered, last of all.
    pub(super) changes: Vec<Change>,
}

/// Somebody else was faster: everything again.
fn raced() -> Fault {
    Fault::Conflict(Failure::text("another sign-in of the same person was faster"))
}

/// The app whose own user an identity is.
fn app_of(connector: &Id) -> Option<Id> {
    connector.app().and_then(|app| app.parse().ok())
}

impl Call {
    /// Finds or makes the user of `session`, and holds it until the commit.
    pub(super) async fn link(
        &mut self,
        session: &SessionRow,
        linking: &Linking,
    ) -> Result<Result<Linked, LinkRefused>, Fault> {
        let identity = &session.identity;
        let app = app_of(&identity.connector);
        let (subject, address) = (key(&identity.subject), address_of(&identity.email));
        if app.is_some() && self.is_deactivated(&address).await? {
            // A01. What an application says of its users makes nobody welcome, but it may make them unwelcome.
            return Ok(Err(LinkRefused::UserDeactivated));
        }
        let mut linked = Linked { user: identity.user_id(), native: Vec::new(), merged: None, changes: Vec::new() };
        let known = self.identified(&identity.connector, &subject).await?;
        linked.user = match known {
            Some(id) => match self.known(session, &subject, id, &address).await? {
                Ok(user) => user,
                Err(refused) => return Ok(Err(refused)),
            },
            None => match self.unknown(session, linking, &subject, &address).await? {
                Ok(user) => user,
                Err(refused) => return Ok(Err(refused)),
            },
        };
        match &app {
            Some(app) => self.put_membership(app, session, linked.user).await?,
            None => {
                let proven = linking.proof.filter(|proof| *proof != linked.user);
                if let Some(old) = proven.or(known.is_none().then_some(linked.user)) {
                    self.take_over(old, &address, session, &mut linked).await?;
                }
            }
        }
        let own = app.map(|app| NativeUser { app, id: identity.subject.clone() });
        linked.native = native_users(&self.native_users(linked.user).await?, own.as_ref());
        Ok(Ok(linked))
    }

    /// The user of an identity.
    async fn identified(&mut self, connector: &Id, subject: &str) -> Result<Option<Uuid>, Fault> {
        const SQL: &str = "SELECT user_id FROM identities WHERE connector = $1 AND subject_key = $2";
        let row = self.fetch_one(SQL, &[Value::Text(connector.as_str()), Value::Text(subject)]).await?;
        let Some(row) = row else { return Ok(None) };
        let id: String = row.get(0)?;
        id.parse().map(Some).map_err(|_| Fault::unreadable("identities.user_id"))
    }

    /// A user, held until the commit.
    pub(super) async fn hold_user(&mut self, id: Uuid) -> Result<Option<User>, Fault> {
        let sql = match self.is_postgres() {
            true => concat!("SELECT ", super::users::columns!(), " FROM users WHERE id = $1 FOR UPDATE"),
            false => concat!("SELECT ", super::users::columns!(), " FROM users WHERE id = $1"),
        };
        let row = self.fetch_one(sql, &[Value::Text(&id.to_string())]).await?;
        row.as_ref().map(user).transpose()
    }

    /// An identity that belongs to the user `id`: whatever its address is by now.
    async fn known(
        &mut self,
        session: &SessionRow,
        subject: &str,
        id: Uuid,
        address: &str,
    ) -> Result<Result<Uuid, LinkRefused>, Fault> {
        const ADDRESS: &str = "UPDATE users SET address = $2, address_verified = $3 WHERE id = $1";
        let connector = &session.identity.connector;
        let user = self.hold_user(id).await?.ok_or_else(raced)?;
        if self.is_postgres() && self.identified(connector, subject).await? != Some(id) {
            // Moved while its user was waited for.
            return Err(raced());
        }
        if !user.active {
            return Ok(Err(LinkRefused::UserDeactivated));
        }
        // What a connector verified counts for more than what an application says.
        let vouched = connector.app().is_none();
        if user.address != address && self.is_deactivated(address).await? {
            // I06. Applications that know people by their address would take them for the one who left.
            return Ok(Err(LinkRefused::UserDeactivated));
        }
        if (vouched || !user.address_verified) && (user.address != address || vouched && !user.address_verified) {
            let values = [Value::Text(&id.to_string()), Value::Text(address), Value::Int(i64::from(vouched))];
            self.execute(ADDRESS, &values).await?;
        }
        Ok(Ok(id))
    }

    /// An identity that nobody knows yet.
    async fn unknown(
        &mut self,
        session: &SessionRow,
        linking: &Linking,
        subject: &str,
        address: &str,
    ) -> Result<Result<Uuid, LinkRefused>, Fault> {
        const HOLD: &str = "SELECT pg_advisory_xact_lock(hashtextextended('anteroom address ' || $1, 0))";
        const VERIFIED: &str = "UPDATE users SET address_verified = 1 WHERE id = $1";
        const IDENTITY: &str = "INSERT INTO identities (connector, subject_key, user_id) VALUES ($1, $2, $3) ON \
                                CONFLICT DO NOTHING";
        let connector = &session.identity.connector;
        let vouched = connector.app().is_none();
        let known = if vouched {
            if self.is_postgres() {
                self.execute(HOLD, &[Value::Text(address)]).await?;
                if self.identified(connector, subject).await?.is_some() {
                    return Err(raced());
                }
            }
            match choose(&self.candidates(connector, address).await?, linking.proof) {
                Ok(known) => known,
                Err(refused) => return Ok(Err(refused)),
            }
        } else {
            None
        };
        let id = match known {
            Some(id) => id,
            None => self.make_user(session, address, vouched || linking.address_verified).await?,
        };
        let name = id.to_string();
        if vouched && known.is_some() {
            self.execute(VERIFIED, &[Value::Text(&name)]).await?;
        }
        let identity = [Value::Text(connector.as_str()), Value::Text(subject), Value::Text(&name)];
        if self.execute(IDENTITY, &identity).await? == 0 {
            return Err(raced());
        }
        Ok(Ok(id))
    }

    /// A record for the identity of `session`.
    async fn make_user(&mut self, session: &SessionRow, address: &str, verified: bool) -> Result<Uuid, Fault> {
        const SQL: &str = "INSERT INTO users (id, address, address_verified, active, address_released, source, \
                           created_at) VALUES ($1, $2, $3, 1, 0, $4, $5) ON CONFLICT DO NOTHING";
        let identity = &session.identity;
        let source = if identity.connector.app().is_some() { UserSource::Adopted } else { UserSource::Jit };
        let mut id = identity.user_id();
        for _ in 0..2 {
            let values = [
                Value::Text(&id.to_string()),
                Value::Text(address),
                Value::Int(i64::from(verified)),
                Value::Text(source.name()),
                Value::Int(session.created_at.millis()),
            ];
            if self.execute(SQL, &values).await? == 1 {
                return Ok(id);
            }
            if self.identified(&identity.connector, &key(&identity.subject)).await?.is_some() {
                return Err(raced());
            }
            // The record that once was this identity's is another's by now: it was unlinked.
            id = uuid::Builder::from_random_bytes(random::bytes()).into_uuid();
        }
        Err(raced())
    }

    /// The users of `address`, held until the commit; those who are deactivated first.
    async fn candidates(&mut self, connector: &Id, address: &str) -> Result<Vec<Candidate>, Fault> {
        const AT_CONNECTOR: &str = "SELECT 1 FROM identities WHERE user_id = $1 AND connector = $2 LIMIT 1";
        let sql = format!(
            "SELECT {} FROM users WHERE address = $1 AND address_released = 0 ORDER BY active, address_verified DESC, \
             id LIMIT {MAX_CANDIDATES}{}",
            super::users::columns!(),
            self.for_update()
        );
        let rows = self.fetch(sqlx::AssertSqlSafe(sql), &[Value::Text(address)]).await?;
        let mut candidates = Vec::with_capacity(rows.len());
        for row in &rows {
            let User { id, active, address_verified, .. } = user(row)?;
            let values = [Value::Text(&id.to_string()), Value::Text(connector.as_str())];
            let at_connector = self.fetch_one(AT_CONNECTOR, &values).await?.is_some();
            candidates.push(Candidate { id, active, address_verified, at_connector });
        }
        Ok(candidates)
    }

    /// Whether somebody who has the address is deactivated.
    async fn is_deactivated(&mut self, address: &str) -> Result<bool, Fault> {
        const SQL: &str = "SELECT 1 FROM users WHERE address = $1 AND active = 0 AND address_released = 0 LIMIT 1";
        Ok(self.fetch_one(SQL, &[Value::Text(address)]).await?.is_some())
    }

    async fn put_membership(&mut self, app: &Id, session: &SessionRow, user: Uuid) -> Result<(), Fault> {
        const SQL: &str = "INSERT INTO memberships (app, native_user_key, user_id, source, about) VALUES ($1, $2, $3, \
                           $4, $5) ON CONFLICT (app, native_user_key) DO UPDATE SET about = excluded.about WHERE \
                           memberships.about <> excluded.about";
        let identity = &session.identity;
        let about = membership(&identity.subject, identity.role)?;
        let values = [
            Value::Text(app.as_str()),
            Value::Text(&key(&identity.subject)),
            Value::Text(&user.to_string()),
            Value::Text(UserSource::Adopted.name()),
            Value::Text(&about),
        ];
        self.execute(SQL, &values).await?;
        Ok(())
    }

    async fn native_users(&mut self, user: Uuid) -> Result<Vec<NativeUser>, Fault> {
        const SQL: &str =
            "SELECT app, about FROM memberships WHERE user_id = $1 ORDER BY app, native_user_key LIMIT $2";
        let values = [Value::Text(&user.to_string()), Value::Int(i64::from(MAX_PARTS))];
        let rows = self.fetch(SQL, &values).await?;
        rows.iter().map(|row| Ok(read_membership(&row.get::<String>(0)?, row.get(1)?)?.0)).collect()
    }

    /// The app's own users of `old`, the user of `linked` or one of whom there is proof, are now known to be the person of
    /// `linked`. Their old sessions end.
    async fn take_over(
        &mut self,
        old: Uuid,
        address: &str,
        session: &SessionRow,
        linked: &mut Linked,
    ) -> Result<(), Fault> {
        const OTHER_CONNECTORS: &str = "SELECT 1 FROM identities WHERE user_id = $1 AND connector NOT LIKE 'app/%' AND \
                                        NOT (connector = $2 AND subject_key = $3) LIMIT 1";
        const MOVE_IDENTITIES: &str = "UPDATE identities SET user_id = $2 WHERE user_id = $1";
        const MOVE_MEMBERSHIPS: &str = "UPDATE memberships SET user_id = $2 WHERE user_id = $1";
        const FORGET: &str = "DELETE FROM users WHERE id = $1";
        const ADOPTED: &str = "sessions.user_id = $1 AND sessions.connector LIKE 'app/%'";
        let identity = &session.identity;
        if old != linked.user {
            let user = self.hold_user(old).await?;
            if user.is_none_or(|user| !user.active || user.address_released || user.address != address) {
                return Ok(());
            }
        }
        let (from, to) = (old.to_string(), linked.user.to_string());
        let subject = key(&identity.subject);
        let values = [Value::Text(&from), Value::Text(identity.connector.as_str()), Value::Text(&subject)];
        if self.fetch_one(OTHER_CONNECTORS, &values).await?.is_some() {
            // A connector vouches for them already: nothing new is known of their old sessions.
            return Ok(());
        }
        let native = self.native_users(old).await?;
        if native.is_empty() {
            return Ok(());
        }
        if old != linked.user {
            let own = self.native_users(linked.user).await?;
            if own.iter().any(|own| native.iter().any(|other| other.app == own.app)) {
                // Two users of one application stay two.
                return Ok(());
            }
            for sql in [MOVE_IDENTITIES, MOVE_MEMBERSHIPS] {
                self.execute(sql, &[Value::Text(&from), Value::Text(&to)]).await?;
            }
            self.execute(FORGET, &[Value::Text(&from)]).await?;
        }
        let mut ended = Ended::default();
        linked.changes = self.delete_where(ADOPTED, &[Value::Text(&from)], &mut ended).await?;
        linked.merged = Some(Merged { native, cookies: ended.cookies, ended: ended.count });
        Ok(())
    }
}

//! Which sessions a query sees, and what it reads of them.

use uuid::Uuid;

use super::documents::{self, Origin, key};
use super::error::Fault;
use super::value::{Row, Value};
use crate::base::clock::Timestamp;
use crate::directory::{Selector, SessionRow};

/// The columns of a [`SessionRow`] without the sealed tokens, as [`session`] reads them.
macro_rules! columns {
    () => {
        "sessions.reference, sessions.identity, sessions.origin, sessions.created_at, sessions.last_used, \
         sessions.renew_at, sessions.version, sessions.born, sessions.user_id"
    };
}

/// The same with the sealed tokens, as [`session_with_secrets`] reads them.
macro_rules! all_columns {
    () => {
        concat!($crate::directory::sql::select::columns!(), ", sessions.secrets")
    };
}

/// The condition that no epoch which fits the session is younger than it: six look-ups in the key of `epochs`.
/// [`documents::scope`] writes the same texts.
macro_rules! live {
    () => {
        "NOT EXISTS (SELECT 1 FROM epochs WHERE epochs.number > sessions.born AND epochs.scope IN ('all', \
         'connector:' || sessions.connector, 'domain:' || sessions.email_domain, 'email:' || sessions.email, \
         'user:' || sessions.user_id, 'subject:' || sessions.connector || ':' || sessions.subject_key))"
    };
}

pub(super) use {all_columns, columns, live};

/// How many columns `columns!` names.
const COLUMNS: usize = 9;

/// The first column after `all_columns!`.
pub(super) const AFTER_COLUMNS: usize = COLUMNS + 1;

/// A selector as a condition, with its values as `$1` and `$2`.
pub(super) struct Condition {
    pub(super) sql: &'static str,
    values: Vec<Given>,
}

enum Given {
    Text(String),
    Bytes(Vec<u8>),
}

impl Condition {
    /// The condition of `which`.
    pub(super) fn of(which: &Selector) -> Self {
        let text = |text: &str| Given::Text(text.to_owned());
        let (sql, values) = match which {
            Selector::Reference(reference) => ("sessions.reference = $1", vec![Given::Text(reference.to_string())]),
            Selector::Cookie(cookie) => (
                "sessions.reference IN (SELECT session FROM session_cookies WHERE cookie_key = $1)",
                vec![Given::Bytes(cookie.to_vec())],
            ),
            Selector::ProviderSession { connector, sid } => (
                "sessions.connector = $1 AND sessions.provider_session_key = $2",
                vec![text(connector.as_str()), Given::Text(key(sid))],
            ),
            Selector::Subject { connector, sub } => (
                "sessions.connector = $1 AND sessions.subject_key = $2",
                vec![text(connector.as_str()), Given::Text(key(sub))],
            ),
            Selector::Email(email) => ("sessions.email = $1", vec![Given::Text(email.to_ascii_lowercase())]),
            Selector::User(user) => ("sessions.user_id = $1", vec![Given::Text(user.to_string())]),
            Selector::Connector(connector) => ("sessions.connector = $1", vec![text(connector.as_str())]),
            Selector::Domain(domain) => ("sessions.email_domain = $1", vec![text(domain.as_str())]),
            Selector::All => ("1 = 1", Vec::new()),
        };
        Self { sql, values }
    }

    /// The values, and where the next of the statement has its place (`$n`).
    pub(super) fn values(&self) -> (Vec<Value<'_>>, usize) {
        let values = self.values.iter().map(|value| match value {
            Given::Text(text) => Value::Text(text),
            Given::Bytes(bytes) => Value::Bytes(bytes),
        });
        (values.collect(), self.values.len() + 1)
    }
}

/// Reads `columns!`.
pub(super) fn session(row: &Row) -> Result<SessionRow, Fault> {
    let name: String = row.get(0)?;
    let reference = name.parse::<Uuid>().map_err(|_| Fault::unreadable("sessions.reference"))?;
    let named = |fault: Fault| match fault {
        Fault::Final(crate::directory::DirectoryError::Unreadable(what)) => {
            Fault::unreadable(format!("{what} of session {reference}"))
        }
        other => other,
    };
    let read = || {
        let person = documents::read_person(row.get(1)?)?;
        let Origin { auth, provider_sub, provider_sid, ends_at, native } = documents::read_origin(row.get(2)?)?;
        let user = match row.get::<Option<String>>(8)? {
            Some(user) => user.parse().map_err(|_| Fault::unreadable("sessions.user_id"))?,
            None => person.identity.user_id(),
        };
        Ok(SessionRow {
            reference,
            identity: person.identity,
            user,
            native,
            auth,
            provider_sub,
            provider_sid,
            auth_time: person.auth_time,
            acr: person.acr,
            amr: person.amr,
            created_at: Timestamp::from_millis(row.get(3)?),
            last_used: Timestamp::from_millis(row.get(4)?),
            renew_at: row.get::<Option<i64>>(5)?.map(Timestamp::from_millis),
            ends_at,
            secrets: None,
            version: row.get(6)?,
            born: row.get(7)?,
        })
    };
    read().map_err(named)
}

/// Reads `all_columns!`.
pub(super) fn session_with_secrets(row: &Row) -> Result<SessionRow, Fault> {
    Ok(SessionRow { secrets: row.get(COLUMNS)?, ..session(row)? })
}

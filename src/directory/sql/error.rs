//! What went wrong in a database, without anything that was said to it: no address, no password, no value.

use crate::directory::DirectoryError;

/// Why a statement failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// Somebody else did the same at the same moment (unique key, deadlock): the whole transaction may be tried again.
    Conflict(Failure),
    /// Anything else.
    Final(DirectoryError),
}

/// A database's own error, as text and without values. The errors of sqlx themselves stay here: printed for debugging
/// they show parts of rows.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(String);

impl Failure {
    /// The text of `error`.
    pub(in crate::directory) fn of(error: &sqlx::Error) -> Self {
        Self(match error {
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default();
                format!("{} (code {code})", database.message())
            }
            sqlx::Error::Io(error) => error.to_string(),
            sqlx::Error::Tls(_) => "no TLS connection to the database server".to_owned(),
            sqlx::Error::PoolTimedOut => "no connection became free in time".to_owned(),
            sqlx::Error::PoolClosed => "the directory database was closed".to_owned(),
            sqlx::Error::WorkerCrashed => "the database's thread is gone".to_owned(),
            sqlx::Error::Configuration(_) => "the connection's settings cannot be used".to_owned(),
            _ => "the database answered something unexpected".to_owned(),
        })
    }

    /// A text of our own.
    pub(in crate::directory) fn text(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Fault {
    /// It took longer than a call may.
    pub(super) fn late() -> Self {
        Self::Final(DirectoryError::Unavailable(Box::new(Failure::text("the database did not answer in time"))))
    }

    /// A row that cannot be read: `what` names table, column and, as far as it is no secret, row.
    pub(super) fn unreadable(what: impl Into<String>) -> Self {
        Self::Final(DirectoryError::Unreadable(what.into()))
    }
}

/// SQLite's own codes (the low byte) for a damaged file.
const SQLITE_CORRUPT: i32 = 11;
const SQLITE_NOTADB: i32 = 26;

/// The primary result code of an SQLite error.
fn sqlite_code(error: &dyn sqlx::error::DatabaseError) -> Option<i32> {
    error.try_downcast_ref::<sqlx::sqlite::SqliteError>()?;
    error.code()?.parse::<i32>().ok().map(|code| code & 0xff)
}

/// Whether the error says that an SQLite file is damaged or none.
pub(super) fn is_damaged(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlite_code);
    matches!(code, Some(SQLITE_CORRUPT | SQLITE_NOTADB))
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        let failure = Failure::of(&error);
        if is_damaged(&error) {
            return Self::unreadable(failure.0);
        }
        if let sqlx::Error::ColumnDecode { index, .. } = &error {
            return Self::unreadable(format!("column {index} of an answer"));
        }
        let Some(database) = error.as_database_error() else {
            return Self::Final(DirectoryError::Unavailable(Box::new(failure)));
        };
        let code = database.code().unwrap_or_default();
        match &*code {
            // serialization_failure, deadlock_detected
            "40001" | "40P01" => Self::Conflict(failure),
            // data_corrupted, index_corrupted
            "XX001" | "XX002" => Self::unreadable(failure.0),
            _ if database.is_unique_violation() => Self::Conflict(failure),
            _ => Self::Final(DirectoryError::Unavailable(Box::new(failure))),
        }
    }
}

impl From<Fault> for DirectoryError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Conflict(failure) => Self::Unavailable(Box::new(failure)),
            Fault::Final(error) => error,
        }
    }
}

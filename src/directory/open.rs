//! Opening a directory.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;

use super::sql::{Failure, MigrationError, Sql, newest};
use super::{Closing, Directory};

/// Where the directory database is.
#[derive(Clone, Debug)]
pub enum Location {
    /// In this process: gone with it.
    Memory,
    /// An SQLite file on a local disk, for one process; made if there is none. Beside it lie its log (`-wal`), the log's
    /// index (`-shm`) and `.lock`.
    Sqlite(PathBuf),
    /// A PostgreSQL database by its URL, `postgres://…`, with the password.
    Postgres(SecretString),
}

/// Why the directory database could not be opened. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file's directory is missing or not writable.
    #[error(
        "cannot use {} for the directory database: its directory must exist, and Anteroom's user must be allowed to \
         write there", path.display()
    )]
    Folder { path: PathBuf, source: io::Error },
    /// Another process has the file open.
    #[error(
        "{} is in use by another process: SQLite serves one process at a time. Stop the other one, or let them share a \
         PostgreSQL database (directory.url = \"postgres://…\")", path.display()
    )]
    InUse { path: PathBuf },
    /// The file is damaged or something else.
    #[error(
        "{} is damaged or no SQLite database: restore it from a backup, or move it and the files beside it away; then \
         a new one is made and everybody signs in again", path.display()
    )]
    Damaged { path: PathBuf },
    /// The file cannot be opened.
    #[error("cannot open {}: Anteroom's user must be allowed to read and write it, and the disk must have room", path.display())]
    File { path: PathBuf, source: Failure },
    /// A newer version of Anteroom made the database.
    #[error(
        "the directory database was made by a newer version of Anteroom: it has migration {found}, and this version \
         knows {known}. Run that version again, or restore the backup made before the update"
    )]
    Newer { found: i64, known: i64 },
    /// The tables were made by something else.
    #[error("migration {version} of the directory database is not this program's: use a database of Anteroom's own")]
    OtherTables { version: i64 },
    /// The URL cannot be read.
    #[error("directory.url is no PostgreSQL URL: postgres://USER:PASSWORD@HOST:PORT/DATABASE, each part URL-encoded")]
    Url,
    /// Nobody answers.
    #[error("cannot reach the PostgreSQL server of directory.url: does it run, and is it reachable from here?")]
    Unreachable { source: Failure },
    /// The server does not let us in.
    #[error("the PostgreSQL server refuses the user or the password of directory.url")]
    Login { source: Failure },
    /// There is no such database.
    #[error("the PostgreSQL server has no such database: create it, or correct the name in directory.url")]
    NoDatabase { source: Failure },
    /// The user may not make tables.
    #[error("the user of directory.url may not make tables: let it own the database, or a schema in its search_path")]
    NotAllowed { source: Failure },
}

impl OpenError {
    pub(super) fn migration(error: MigrationError, failed: impl FnOnce(sqlx::Error) -> Self) -> Self {
        match error {
            MigrationError::Newer(found) => Self::Newer { found, known: newest() },
            MigrationError::Other(version) => Self::OtherTables { version },
            MigrationError::Failed(error) => failed(error),
        }
    }
}

/// Opens the directory database at `location` and brings its tables to this version. The connections belong to the
/// runtime that this is called on; it must live as long as the directory.
///
/// # Errors
/// It cannot be reached, is in use, is damaged, or is of a newer version.
pub async fn open(location: &Location) -> Result<Directory, OpenError> {
    let sql = match location {
        Location::Memory => return Ok(Directory::in_memory()),
        Location::Sqlite(path) => Sql::open_sqlite(path).await?,
        Location::Postgres(url) => Sql::open_postgres(url).await?,
    };
    Ok(Directory::of(Arc::new(sql)))
}

/// What a database is before it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probed {
    /// There is none yet, or it has no tables: the first start makes them.
    Empty,
    /// It has tables of this version, or of an older one, which the next start brings to this version.
    Ready,
}

/// Whether [`open`] would find the database, for `anteroom doctor`. Writes nothing: of an SQLite file the first bytes are
/// read, and a PostgreSQL server is asked for the version of the tables.
///
/// # Errors
/// As [`open`], but for what only writing would show.
pub async fn probe(location: &Location) -> Result<Probed, OpenError> {
    match location {
        Location::Memory => Ok(Probed::Empty),
        Location::Sqlite(path) => {
            let path = path.clone();
            let reading = tokio::task::spawn_blocking(move || Sql::probe_sqlite(&path));
            reading.await.unwrap_or(Ok(Probed::Empty))
        }
        Location::Postgres(url) => Sql::probe_postgres(url).await,
    }
}

#[async_trait::async_trait]
impl Closing for Sql {
    async fn close(&self) {
        self.close().await;
    }
}

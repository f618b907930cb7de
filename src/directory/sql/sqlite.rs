//! Opening an SQLite file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqlitePool};

use super::migrations::{self, Dialect};
use super::{ACQUIRE_LIMIT, Engine, Sql, is_damaged};
use crate::directory::open::{OpenError, Probed};

/// Readers beside the writer: reading a session takes some ten microseconds.
const READERS: u32 = 4;

/// How long to wait for a lock that somebody else's tool holds on the file (a backup).
const BUSY: Duration = Duration::from_secs(2);

const DIALECT: Dialect = Dialect { bytes: "BLOB", identity: "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT" };

impl Sql {
    /// Opens the file, which is made if there is none.
    pub(in crate::directory) async fn open_sqlite(path: &Path) -> Result<Self, OpenError> {
        Self::open_sqlite_with(path, |options| options).await
    }

    /// Opens the file with other options than we give it.
    pub(super) async fn open_sqlite_with(
        path: &Path,
        adjust: impl FnOnce(SqliteConnectOptions) -> SqliteConnectOptions,
    ) -> Result<Self, OpenError> {
        let path = real_path(path)?;
        let lock = lock(&path)?;
        make(&path)?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            // The log is on the disk before a commit is acknowledged. Calls that need less say so.
            .synchronous(SqliteSynchronous::Full)
            // Folding the log into the file costs two more waits for the disk: 16 MB at a time.
            .pragma("wal_autocheckpoint", "4000")
            .foreign_keys(true)
            .busy_timeout(BUSY)
            // What a burst made of the log is given back.
            .pragma("journal_size_limit", "67108864")
            .disable_statement_logging();
        let options = adjust(options);
        let failed = |error: sqlx::Error| OpenError::sqlite(&path, &error);
        let mut first = options.connect().await.map_err(failed)?;
        migrations::run(&mut first, &DIALECT).await.map_err(|error| OpenError::migration(error, failed))?;
        first.close().await.map_err(failed)?;
        let writer = pool(1, options.clone());
        let readers = pool(READERS, options.pragma("query_only", "ON"));
        Ok(Self { engine: Engine::Sqlite { writer, readers, _lock: lock } })
    }
}

/// What every SQLite file begins with (SQLite's "Database File Format", section 1.3).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

impl Sql {
    /// Looks at the file's beginning.
    pub(in crate::directory) fn probe_sqlite(path: &Path) -> Result<Probed, OpenError> {
        let path = real_path(path)?;
        let failed = |source| OpenError::Folder { path: path.clone(), source };
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Probed::Empty),
            file => file.map_err(failed)?,
        };
        let mut begins = Vec::with_capacity(MAGIC.len());
        file.by_ref().take(MAGIC.len() as u64).read_to_end(&mut begins).map_err(failed)?;
        if begins.is_empty() {
            return Ok(Probed::Empty);
        }
        if begins == MAGIC { Ok(Probed::Ready) } else { Err(OpenError::Damaged { path }) }
    }
}

fn pool(connections: u32, options: SqliteConnectOptions) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_LIMIT)
        // A connection to a file does not go stale, and opening it again costs its prepared statements.
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_lazy_with(options)
}

/// The file itself, whatever links lead to it: two names of one file are one file.
fn real_path(path: &Path) -> Result<PathBuf, OpenError> {
    let folder = |source| OpenError::Folder { path: path.to_owned(), source };
    match fs::canonicalize(path) {
        Ok(path) if path.is_dir() => Err(folder(ErrorKind::IsADirectory.into())),
        Ok(path) => Ok(path),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = fs::canonicalize(parent.unwrap_or(Path::new("."))).map_err(folder)?;
            Ok(parent.join(path.file_name().ok_or_else(|| folder(ErrorKind::InvalidFilename.into()))?))
        }
        Err(error) => Err(folder(error)),
    }
}

/// Locks the file for this process, by a lock on `<file>.lock`. Not on the file: closing any descriptor of it would
/// free SQLite's own locks. The system frees it when the process ends, however it ends. Across machines (NFS) it may
/// not hold: SQLite's file belongs on a local disk.
fn lock(path: &Path) -> Result<File, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let failed = |source| OpenError::Folder { path: PathBuf::from(&name), source };
    let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&name).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Makes the file for Anteroom's user alone, before SQLite would make it for everybody; its log and index take the
/// file's mode.
fn make(path: &Path) -> Result<(), OpenError> {
    match OpenOptions::new().create_new(true).write(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(OpenError::Folder { path: path.to_owned(), source }),
    }
}

impl OpenError {
    fn sqlite(path: &Path, error: &sqlx::Error) -> Self {
        let path = path.to_owned();
        if is_damaged(error) { Self::Damaged { path } } else { Self::File { path, source: super::Failure::of(error) } }
    }
}

//! The tables: what a database is brought to when it is opened.

use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, PgConnection, SqlSafeStr as _};

/// Every migration, oldest first: version, name, text.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "directory", include_str!("../../../migrations/0001_directory.sql")),
    (2, "salts", include_str!("../../../migrations/0002_salts.sql")),
    (3, "users", include_str!("../../../migrations/0003_users.sql")),
    (4, "native", include_str!("../../../migrations/0004_native.sql")),
    (5, "cutover", include_str!("../../../migrations/0005_cutover.sql")),
];

/// What an engine calls differently.
pub(super) struct Dialect {
    pub(super) bytes: &'static str,
    pub(super) identity: &'static str,
}

/// Why a database could not be brought to this version.
#[derive(Debug)]
pub(in crate::directory) enum MigrationError {
    /// It has a migration that this version does not know.
    Newer(i64),
    /// It has a migration of this number with another text.
    Other(i64),
    /// The database failed.
    Failed(sqlx::Error),
}

fn migrator(dialect: &Dialect) -> Migrator {
    let migration = |(version, name, text): &(i64, &'static str, &'static str)| {
        let text = text.replace("{BYTES}", dialect.bytes).replace("{IDENTITY}", dialect.identity);
        Migration::new(*version, (*name).into(), MigrationType::Simple, AssertSqlSafe(text).into_sql_str(), false)
    };
    Migrator::with_migrations(MIGRATIONS.iter().map(migration).collect())
}

/// The newest version that this program knows.
pub(in crate::directory) const fn newest() -> i64 {
    match MIGRATIONS {
        [.., (version, _, _)] => *version,
        [] => 0,
    }
}

/// Brings the database behind `connection` to this version. On PostgreSQL under an advisory lock: processes that start
/// at once wait for the first.
pub(super) async fn run<C: Migrate>(connection: &mut C, dialect: &Dialect) -> Result<(), MigrationError> {
    migrator(dialect).run_direct(None, connection, false).await.map_err(|error| match error {
        MigrateError::VersionMissing(version) => MigrationError::Newer(version),
        MigrateError::VersionMismatch(version) | MigrateError::Dirty(version) => MigrationError::Other(version),
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => MigrationError::Failed(error),
        _ => MigrationError::Other(0),
    })
}

/// The newest migration that a PostgreSQL database has. None: it has none.
pub(super) async fn applied(connection: &mut PgConnection) -> Result<Option<i64>, sqlx::Error> {
    let table = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
    if !sqlx::query_scalar::<_, bool>(table).fetch_one(&mut *connection).await? {
        return Ok(None);
    }
    sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(connection).await
}

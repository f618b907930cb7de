use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _};
use tempfile::TempDir;

use super::super::Sql;
use super::super::select::{Condition, columns, live};
use super::super::sessions::{BY_COOKIE, BY_REFERENCE};
use super::{assert_unavailable, assert_unreadable, in_full, refused};
use crate::base::clock::Clock;
use crate::base::keys::KeyRing;
use crate::base::seal::Sealer;
use crate::directory::contract::{NOW, cookie, create, make, secs, session, uuid};
use crate::directory::{
    Directory, KeptKind, Linking, Location, NewCookie, OnceKind, OpenError, Page, Probed, Selector, SessionRow,
    SwitchKind, open, probe,
};

fn file() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("anteroom.db");
    (folder, path)
}

async fn opened(path: &Path) -> Directory {
    open(&Location::Sqlite(path.to_owned())).await.unwrap()
}

/// A connection of somebody else's tool.
async fn tool(path: &Path) -> SqliteConnection {
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await.unwrap()
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let (_folder, path) = file();
    let directory = opened(&path).await;
    let (row, key) = create(&directory, session("acme-entra")).await;
    let (_, ended) = create(&directory, session("acme-entra")).await;
    directory.sessions.end(&Selector::Cookie(ended), None, NOW).await.unwrap();
    directory.once.use_once(OnceKind::Attempt, "a", secs(60)).await.unwrap();
    directory.kept.keep(KeptKind::Post, "form", b"sealed", secs(60)).await.unwrap();
    directory.switches.switch(SwitchKind::Domain, "acme.com", true, NOW).await.unwrap();
    directory.close().await;
    drop(directory);
    let directory = opened(&path).await;
    assert_eq!(directory.sessions.by_cookie(&key).await.unwrap().unwrap().0, row);
    assert_eq!(directory.sessions.by_cookie(&ended).await.unwrap(), None);
    assert!(!directory.once.use_once(OnceKind::Attempt, "a", secs(60)).await.unwrap());
    assert_eq!(directory.kept.take(KeptKind::Post, "form", NOW).await.unwrap(), Some(b"sealed".to_vec()));
    assert_eq!(directory.switches.off().await.unwrap().len(), 1);
    assert_eq!(directory.changes.newest().await.unwrap(), 2);
}

#[tokio::test]
async fn a_second_opener_is_refused_at_once_by_whatever_name_it_calls_the_file() {
    let (folder, path) = file();
    let first = opened(&path).await;
    let link = folder.path().join("link.db");
    symlink(&path, &link).unwrap();
    for name in [&path, &link] {
        let second = tokio::time::timeout(Duration::from_secs(1), open(&Location::Sqlite(name.clone()))).await;
        let error = refused(second.unwrap());
        assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
        assert!(error.to_string().contains("share a PostgreSQL database"), "{error}");
    }
    create(&first, session("acme-entra")).await;
    first.close().await;
    drop(first);
    opened(&link).await;
}

#[tokio::test]
async fn the_files_are_for_our_user_alone_and_their_directory_must_exist() {
    let (folder, path) = file();
    let directory = opened(&path).await;
    create(&directory, session("acme-entra")).await;
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["anteroom.db", "anteroom.db-shm", "anteroom.db-wal", "anteroom.db.lock"]);

    let error = refused(open(&Location::Sqlite(folder.path().join("missing/anteroom.db"))).await);
    assert!(matches!(error, OpenError::Folder { .. }), "{error:?}");
    assert!(in_full(&error).contains("its directory must exist"), "{error}");
    let error = refused(open(&Location::Sqlite(folder.path().to_owned())).await);
    assert!(matches!(error, OpenError::Folder { .. }), "{error:?}");
}

#[tokio::test]
async fn a_file_that_is_no_database_or_a_newer_ones_is_refused_and_left_as_it_is() {
    let (folder, path) = file();
    fs::write(&path, "not a database, but long enough to have a header ".repeat(40)).unwrap();
    let before = fs::metadata(&path).unwrap().len();
    let error = refused(open(&Location::Sqlite(path.clone())).await);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("restore it from a backup"), "{error}");
    assert_eq!(fs::metadata(&path).unwrap().len(), before);

    let path = folder.path().join("newer.db");
    let directory = opened(&path).await;
    directory.close().await;
    drop(directory);
    let mut tool = tool(&path).await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99, \
                 'later', TRUE, x'00', 0)";
    tool.execute(newer).await.unwrap();
    let error = refused(open(&Location::Sqlite(path.clone())).await);
    assert!(matches!(error, OpenError::Newer { found: 99, known } if known == super::super::newest()), "{error:?}");
    tool.execute("DELETE FROM _sqlx_migrations WHERE version = 99").await.unwrap();
    tool.close().await.unwrap();
    opened(&path).await;
}

#[tokio::test]
async fn a_file_cut_short_is_told_as_damaged() {
    let (_folder, path) = file();
    let directory = opened(&path).await;
    for _ in 0..50 {
        create(&directory, session("acme-entra")).await;
    }
    directory.close().await;
    drop(directory);
    let whole = fs::metadata(&path).unwrap().len();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(whole / 4).unwrap();
    let error = refused(open(&Location::Sqlite(path.clone())).await);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_told_and_can_still_be_ended() {
    let (_folder, path) = file();
    let directory = opened(&path).await;
    let mut tool = tool(&path).await;
    let spoil = [
        "identity = '{}'",
        "identity = replace(identity, '{\"v\":1', '{\"v\":2')",
        "identity = replace(identity, '\"Admin\"', '\"Root\"')",
        "identity = replace(identity, '\"acr\"', '\"risk\":9,\"acr\"')",
        "origin = replace(origin, 'oidc', 'oidd')",
        "born = 'x'",
    ];
    for spoiled in spoil {
        let (good, good_key) = create(&directory, session("acme-entra")).await;
        let (row, key) = create(&directory, session("acme-entra")).await;
        let sql = format!("UPDATE sessions SET {spoiled} WHERE reference = '{}'", row.reference);
        tool.execute(AssertSqlSafe(sql)).await.unwrap();
        let named = if spoiled.starts_with("born") { String::new() } else { row.reference.to_string() };
        assert_unreadable(directory.sessions.by_cookie(&key).await, &named);
        assert_unreadable(directory.sessions.by_reference(row.reference).await, &named);
        assert_unreadable(directory.sessions.list(&Selector::All, &Page { limit: 9 }).await, &named);
        assert_eq!(directory.sessions.by_cookie(&good_key).await.unwrap().unwrap().0, good);
        let ended = directory.sessions.end(&Selector::Cookie(key), None, NOW).await.unwrap();
        assert_eq!((ended.count, ended.sessions.len(), ended.cookies.as_slice()), (1, 0, [key].as_slice()));
        assert_eq!(directory.sessions.by_cookie(&key).await.unwrap(), None);
        directory.sessions.end(&Selector::Cookie(good_key), None, NOW).await.unwrap();
    }
    tool.execute("UPDATE changes SET change = '{\"v\":1,\"is\":\"more\"}' WHERE number = 2").await.unwrap();
    assert_unreadable(directory.changes.since(0, 9).await, "changes 2");
    assert_eq!(directory.changes.since(2, 1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_epoch_keeps_rows_out_that_nobody_has_deleted_yet_and_stays_until_they_are() {
    let (_folder, path) = file();
    let directory = opened(&path).await;
    let (row, key) = create(&directory, session("acme-entra")).await;
    let (other, other_key) = create(&directory, session("okta")).await;
    let owner = uuid();
    directory.sessions.lease(row.reference, 0, owner, NOW, secs(60)).await.unwrap();
    // As a process leaves it that is killed right after the epoch's commit.
    let mut tool = tool(&path).await;
    let connector = "{\"v\":1,\"is\":{\"revoked_connector\":\"acme-entra\"}}";
    let epoch = format!("INSERT INTO epochs VALUES ('connector:acme-entra', 1, {}, '{connector}')", NOW.millis());
    tool.execute("UPDATE change_counter SET number = 1").await.unwrap();
    tool.execute(AssertSqlSafe(epoch)).await.unwrap();

    let sessions = &directory.sessions;
    assert_eq!(sessions.by_cookie(&key).await.unwrap(), None);
    assert_eq!(sessions.by_reference(row.reference).await.unwrap(), None);
    assert!(!sessions.add_cookie(row.reference, &cookie(), NOW).await.unwrap());
    assert_eq!(sessions.end(&Selector::Reference(row.reference), None, NOW).await.unwrap().count, 0);
    assert_eq!(sessions.list(&Selector::All, &Page { limit: 9 }).await.unwrap().len(), 1);
    let lease = sessions.lease(row.reference, 0, owner, NOW, secs(60)).await.unwrap();
    assert_eq!(lease, crate::directory::Lease::Gone);
    assert_eq!(sessions.by_cookie(&other_key).await.unwrap().unwrap().0, other);

    assert_eq!(directory.changes.purge(NOW, secs(1)).await.unwrap(), 1, "the epoch, and before it its rows");
    let rows = tool.fetch_all("SELECT connector FROM sessions").await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>(), ["okta"]);
    assert_eq!(sessions.by_cookie(&key).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_database_is_unavailable_loses_nothing_and_works_again_with_room() {
    let (_folder, path) = file();
    let pages = |options: SqliteConnectOptions| options.pragma("max_page_count", "160");
    let directory = Directory::of(Arc::new(Sql::open_sqlite_with(&path, pages).await.unwrap()));
    let mut written = Vec::new();
    let full = loop {
        let (row, cookie) = (session("acme-entra"), cookie());
        match directory.sessions.create(&row, &cookie, &Linking::default()).await {
            Ok(_) => written.push((row.reference, cookie.key)),
            Err(error) => break error,
        }
    };
    assert_unavailable::<()>(Err(full), "full");
    assert!(written.len() > 10);
    for (reference, key) in &written {
        let (found, _) = directory.sessions.by_cookie(key).await.unwrap().unwrap();
        assert_eq!(found.reference, *reference);
    }
    assert!(directory.sessions.create(&session("acme-entra"), &cookie(), &Linking::default()).await.is_err());
    let (first, rest) = written.split_at(10);
    for (_, key) in first {
        assert_eq!(directory.sessions.end(&Selector::Cookie(*key), None, NOW).await.unwrap().count, 1);
    }
    create(&directory, session("acme-entra")).await;
    for (_, key) in rest {
        assert!(directory.sessions.by_cookie(key).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_file_that_another_tool_has_locked_is_unavailable_for_writing_until_it_lets_go() {
    let (_folder, path) = file();
    let directory = opened(&path).await;
    let (row, key) = create(&directory, session("acme-entra")).await;
    let mut tool = tool(&path).await;
    tool.execute("BEGIN IMMEDIATE").await.unwrap();
    let late = Duration::from_secs(5);
    let (another, its_cookie) = (session("acme-entra"), cookie());
    let linking = Linking::default();
    let create_now = directory.sessions.create(&another, &its_cookie, &linking);
    assert_unavailable(tokio::time::timeout(late, create_now).await.unwrap(), "locked");
    assert_eq!(directory.sessions.by_cookie(&key).await.unwrap().unwrap().0, row, "reading goes on");
    tool.execute("ROLLBACK").await.unwrap();
    create(&directory, session("acme-entra")).await;
}

#[tokio::test]
async fn a_closed_directory_is_unavailable() {
    let (_folder, path) = file();
    let directory = opened(&path).await;
    directory.close().await;
    assert_unavailable(directory.changes.newest().await, "closed");
    assert_unavailable(directory.once.use_once(OnceKind::Attempt, "a", NOW).await, "closed");
}

/// E09: what somebody reads who gets the files opens no session and calls no provider.
#[tokio::test]
async fn a_dump_of_the_files_shows_no_cookie_and_no_token() {
    let (folder, path) = file();
    let keys = tempfile::tempdir().unwrap();
    let sealer = Sealer::new(Arc::new(KeyRing::open(keys.path(), Duration::ZERO, Clock::manual(NOW)).unwrap()));
    let (value, token) = ("canary-cookie-value", "canary-refresh-token");
    let directory = opened(&path).await;
    let key = digest::digest(&digest::SHA256, value.as_bytes()).as_ref().try_into().unwrap();
    let secrets = Some(sealer.seal("tokens", token.as_bytes()).into_bytes());
    let row = SessionRow { secrets, ..session("acme-entra") };
    make(&directory, &row, &NewCookie { key, host: "portal.acme.com".to_owned() }).await;
    assert!(directory.sessions.by_cookie(&key).await.unwrap().is_some());
    let mut dump = Vec::new();
    for entry in fs::read_dir(folder.path()).unwrap() {
        dump.extend(
            fs::File::open(entry.unwrap().path())
                .and_then(|file| std::io::Read::bytes(file).collect::<Result<Vec<_>, _>>())
                .unwrap(),
        );
    }
    let holds = |text: &str| memchr::memmem::find(&dump, text.as_bytes()).is_some();
    assert!(holds(&row.reference.to_string()), "the dump is of this database");
    assert!(!holds(value) && !holds(token));
}

#[tokio::test]
async fn no_request_reads_a_whole_table() {
    let (_folder, path) = file();
    let directory = opened(&path).await;
    let mut tool = tool(&path).await;
    let mut statements = vec![BY_COOKIE.to_owned(), BY_REFERENCE.to_owned()];
    let connector = || "acme".parse().unwrap();
    let selectors = [
        Selector::Reference(uuid()),
        Selector::Cookie([0; 32]),
        Selector::ProviderSession { connector: connector(), sid: "s".to_owned() },
        Selector::Subject { connector: connector(), sub: "s".to_owned() },
        Selector::Email("a@acme.com".to_owned()),
        Selector::User(uuid()),
        Selector::Connector(connector()),
        Selector::Domain("acme.com".parse().unwrap()),
    ];
    for which in &selectors {
        statements.push(format!(
            "SELECT {} FROM sessions WHERE {} AND {}",
            columns!(),
            Condition::of(which).sql,
            live!()
        ));
    }
    statements.push("DELETE FROM sessions WHERE created_at < $1 OR last_used < $2".to_owned());
    statements.push("SELECT change FROM changes WHERE number > $1 ORDER BY number LIMIT 9".to_owned());
    let people = [
        "SELECT id FROM users WHERE address = $1 AND address_released = 0 ORDER BY active, address_verified DESC, id",
        "SELECT user_id FROM identities WHERE connector = $1 AND subject_key = $2",
        "SELECT 1 FROM identities WHERE user_id = $1 AND connector = $2",
        "SELECT app FROM memberships WHERE user_id = $1 ORDER BY app, native_user_key",
        "SELECT reference FROM sessions WHERE user_id IS NULL AND email = $1",
        "DELETE FROM users WHERE id = $1",
    ];
    statements.extend(people.map(str::to_owned));
    for sql in &statements {
        let plan = tool.fetch_all(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).await.unwrap();
        let steps: Vec<String> = plan.iter().map(|row| row.get(3)).collect();
        assert!(!steps.iter().any(|step| step.starts_with("SCAN")), "{sql}: {steps:#?}");
    }
    let whole = tool.fetch_all("EXPLAIN QUERY PLAN SELECT * FROM sessions WHERE version = 1").await.unwrap();
    assert!(whole.iter().any(|row| row.get::<String, _>(3).starts_with("SCAN")), "the test can see one");
    drop(directory);
}

#[tokio::test]
async fn a_look_at_a_file_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("anteroom.db");
    let look = || async { probe(&Location::Sqlite(path.clone())).await };
    assert_eq!(look().await.unwrap(), Probed::Empty);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let directory = opened(&path).await;
    assert_eq!(look().await.unwrap(), Probed::Ready, "also while a process has it");
    directory.close().await;
    drop(directory);
    fs::write(&path, "this is another file").unwrap();
    let error = refused(look().await);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    fs::write(&path, "").unwrap();
    assert_eq!(look().await.unwrap(), Probed::Empty);
}

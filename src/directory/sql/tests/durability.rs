//! SQLite when the process is killed and when the disk is full: nothing that was acknowledged is lost.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Executor as _, Row as _};
use uuid::Uuid;

use super::assert_unavailable;
use crate::base::random;
use crate::directory::contract::{NOW, cookie, create, session, uuid};
use crate::directory::{Directory, Linking, Location, OnceKind, Selector, open};

/// Names the directory to a child process that runs one of this file's helpers.
const FOLDER: &str = "ANTEROOM_TEST_FOLDER";

const ROUNDS: usize = 20;

fn child(helper: &str, folder: &Path, wrap: &[&str]) -> Command {
    let program = std::env::current_exe().unwrap();
    let mut command = match wrap.split_first() {
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
        None => Command::new(program),
    };
    let name = format!("directory::sql::tests::durability::{helper}");
    command.args(["--exact", &name, "--ignored", "--nocapture", "--test-threads=1"]).env(FOLDER, folder);
    command
}

async fn opened_by_child() -> Directory {
    let folder = PathBuf::from(std::env::var_os(FOLDER).expect("only started by its test"));
    open(&Location::Sqlite(folder.join("anteroom.db"))).await.unwrap()
}

/// A line of its own: the test harness has begun one.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}").unwrap();
    out.flush().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "the child of the test below"]
async fn child_that_creates_and_ends_sessions_until_it_is_killed() {
    let directory = opened_by_child().await;
    say("open");
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let directory = directory.clone();
            tokio::spawn(async move {
                // Far more than it lives for, but not for ever if nobody kills it.
                for _ in 0..2_000 {
                    let (row, _) = create(&directory, session("acme-entra")).await;
                    say(&format!("created {}", row.reference));
                    if random::bytes::<1>()[0].is_multiple_of(4) {
                        let which = Selector::Reference(row.reference);
                        // Said before it is asked for: whether it then happened is open until it is acknowledged.
                        say(&format!("ending {}", row.reference));
                        directory.sessions.end(&which, None, NOW).await.unwrap();
                        say(&format!("ended {}", row.reference));
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn whatever_was_acknowledged_before_a_kill_is_there_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("anteroom.db");
    let mut acknowledged = BTreeMap::<Uuid, String>::new();
    let mut lines_of = BTreeMap::<&str, usize>::new();
    for round in 0..ROUNDS {
        let mut command = child("child_that_creates_and_ends_sessions_until_it_is_killed", folder.path(), &[]);
        let mut running = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(running.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line == "open"), "round {round}: the lock was freed by the kill before");
        // Killed at some moment after that many lines; what it still wrote counts as well.
        let [low, high] = random::bytes::<2>().map(usize::from);
        let wait_for = (low + 256 * high) % 150;
        let mut note = |line: String| {
            if let Some((what, reference)) = line.split_once(' ')
                && let (true, Ok(reference)) = (["created", "ending", "ended"].contains(&what), reference.parse())
            {
                acknowledged.insert(reference, what.to_owned());
            }
        };
        lines.by_ref().take(wait_for).for_each(&mut note);
        running.kill().unwrap();
        lines.for_each(&mut note);
        running.wait().unwrap();

        let directory = open(&Location::Sqlite(path.clone())).await.unwrap();
        for (reference, what) in &acknowledged {
            let found = directory.sessions.by_reference(*reference).await.unwrap().is_some();
            match &**what {
                "created" => assert!(found, "round {round}: an acknowledged session is lost"),
                "ended" => assert!(!found, "round {round}: an ended session is back"),
                _ => {}
            }
        }
        directory.close().await;
        drop(directory);
        let options = SqliteConnectOptions::new().filename(&path);
        let mut tool = SqliteConnection::connect_with(&options).await.unwrap();
        let row = tool.fetch_one("PRAGMA integrity_check").await.unwrap();
        assert_eq!(row.get::<String, _>(0), "ok", "round {round}");
        let rows = tool.fetch_all("SELECT number FROM changes ORDER BY number").await.unwrap();
        let numbers: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        assert!(numbers.iter().zip(1..).all(|(number, expected)| *number == expected), "round {round}: a gap");
        tool.close().await.unwrap();
    }
    for what in acknowledged.values() {
        *lines_of.entry(if what == "ended" { "ended" } else { "created" }).or_default() += 1;
    }
    assert!(lines_of["created"] > ROUNDS && lines_of["ended"] > 0, "{lines_of:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of the test below"]
async fn child_on_a_disk_that_fills_up() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).expect("only started by its test"));
    // What somebody else keeps on the same disk, and will give up.
    let ballast = folder.join("ballast");
    std::fs::write(&ballast, vec![1; 4_000_000]).unwrap();
    let directory = opened_by_child().await;
    let mut written = Vec::new();
    let full = loop {
        let (row, cookie) = (session("acme-entra"), cookie());
        match directory.sessions.create(&row, &cookie, &Linking::default()).await {
            Ok(_) => written.push(cookie.key),
            Err(error) => break error,
        }
    };
    assert_unavailable::<()>(Err(full), "full");
    assert!(written.len() > 50, "{}", written.len());
    // What is too small for a session has room for less.
    while directory.once.use_once(OnceKind::Attempt, &uuid().to_string(), NOW).await.is_ok() {}
    for key in &written {
        assert!(directory.sessions.by_cookie(key).await.unwrap().is_some(), "reading goes on");
    }
    assert!(directory.sessions.end(&Selector::Cookie(written[0]), None, NOW).await.is_err());
    assert!(directory.sessions.by_cookie(&written[0]).await.unwrap().is_some(), "what was not done was not done");
    std::fs::remove_file(&ballast).unwrap();
    for _ in 0..20 {
        let (_, key) = create(&directory, session("acme-entra")).await;
        written.push(key);
    }
    directory.close().await;
    drop(directory);
    let directory = opened_by_child().await;
    for key in &written {
        assert!(directory.sessions.by_cookie(key).await.unwrap().is_some());
    }
    say("done");
}

/// On a file system of eight megabytes. Where this user may not mount one, `a_full_database_is_unavailable…` stands
/// alone.
#[test]
fn on_a_full_disk_nothing_acknowledged_is_lost_and_it_works_again_with_room() {
    let folder = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=8m none \"$ANTEROOM_TEST_FOLDER\" || exit 77; exec \"$@\"";
    let wrap = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh"];
    let done = child("child_on_a_disk_that_fills_up", folder.path(), &wrap).output();
    let done = match done {
        Ok(done) if done.status.code() == Some(77) => return,
        Ok(done) if String::from_utf8_lossy(&done.stderr).contains("unshare failed") => return,
        Ok(done) => done,
        Err(_) => return,
    };
    let (out, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && out.contains("done"), "{out}\n{errors}");
}

//! A PostgreSQL server of the tests' own: one plain process per test binary, in a fresh directory, reached over a Unix
//! socket there, gone with the test process however that ends. Each test has a database of its own.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

/// The password of the server's only user; whoever logs it is found by it.
pub const PASSWORD: &str = "canary-postgres-password";

const USER: &str = "anteroom";

/// Runs the server until its standard input closes, which it does with the test process, then removes the directory.
/// Immediate shutdown: nobody will need the data.
const KEEPER: &str = r#"
dir="$1"; shift
"$@" </dev/null >"$dir/log" 2>&1 &
cat >/dev/null
kill -QUIT $!
wait $!
rm -rf "$dir"
"#;

/// A running server.
pub struct Server {
    dir: PathBuf,
    /// Its standard input keeps the server running.
    _keeper: Child,
}

/// The server of this test process, started at the first call.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

impl Server {
    /// Starts a server.
    pub fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("anteroom-pg-").tempdir().unwrap().keep();
        let password_file = dir.join("password");
        fs::write(&password_file, PASSWORD).unwrap();
        let user = other_user();
        if let Some((uid, gid)) = user {
            chown(&dir, Some(uid), Some(gid)).unwrap();
            chown(&password_file, Some(uid), Some(gid)).unwrap();
        }
        let data = dir.join("data");
        let mut initdb = as_user(user, &program("initdb"));
        initdb.arg("--pgdata").arg(&data).arg("--pwfile").arg(&password_file);
        initdb.args(["--username", USER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync"]);
        let made = initdb.args(["--locale", "C"]).current_dir(&dir).output().unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));

        let mut keeper = as_user(user, Path::new("/bin/sh"));
        keeper.args(["-c", KEEPER, "keeper"]).arg(&dir).arg(program("postgres")).arg("-D").arg(&data);
        for setting in ["listen_addresses=", "fsync=off", "max_connections=400", "log_statement=none"] {
            keeper.args(["-c", setting]);
        }
        keeper.arg("-c").arg(format!("unix_socket_directories={}", dir.display()));
        let keeper = keeper.current_dir(&dir).stdin(Stdio::piped()).spawn().unwrap();
        let server = Self { dir, _keeper: keeper };
        server.wait_until_ready();
        server
    }

    /// The directory of its socket.
    pub fn socket_dir(&self) -> &Path {
        &self.dir
    }

    /// The URL of a database of this server.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD}@localhost/{database}?host={}", self.dir.display())
    }

    /// Makes an empty database. Its URL.
    pub async fn database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let options: PgConnectOptions = self.url("postgres").parse().unwrap();
        let mut connection = PgConnection::connect_with(&options).await.unwrap();
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        connection.close().await.unwrap();
        self.url(&name)
    }

    fn wait_until_ready(&self) {
        // `pg_isready` retries by itself only where it is asked to wait for an answer; starting takes well under a second.
        for _ in 0..300 {
            let ready = Command::new(program("pg_isready")).arg("-q").arg("-h").arg(&self.dir).status().unwrap();
            if ready.success() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let mut log = String::new();
        let _ = fs::File::open(self.dir.join("log")).and_then(|mut file| file.read_to_string(&mut log));
        panic!("PostgreSQL did not start: {log}");
    }
}

/// PostgreSQL does not run as root: then the user that Debian's package makes.
fn other_user() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().parse::<u32>().ok()
    };
    if id(&["-u"]) != Some(0) {
        return None;
    }
    let user = id(&["-u", "postgres"]).zip(id(&["-g", "postgres"]));
    Some(user.expect("PostgreSQL is missing, or its user `postgres`: run `ci/install test`"))
}

fn as_user(user: Option<(u32, u32)>, program: &Path) -> Command {
    let Some((uid, gid)) = user else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]).arg(program);
    command
}

/// A program of PostgreSQL: Debian keeps them out of the PATH, newest version first here.
fn program(name: &str) -> PathBuf {
    let mut versions: Vec<PathBuf> =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    versions.sort_by_key(|path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let elsewhere = std::env::split_paths(&path).collect::<Vec<_>>();
    let places = versions.iter().rev().map(|version| version.join("bin")).chain(elsewhere);
    let found = places.map(|place| place.join(name)).find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("PostgreSQL is missing ({name}): run `ci/install test`"))
}

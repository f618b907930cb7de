//! The program itself, from outside: exit codes, output, signals.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anteroom::base::clock::Clock;
use anteroom::config::{self, Overrides};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::support::{Answer, Ask, Connection, PATIENCE, Provider, TENANT, Upstream, alice, bob, configuration};

/// A directory with a configuration in it.
pub struct Place {
    pub dir: tempfile::TempDir,
    pub file: PathBuf,
}

impl Place {
    pub fn new(name: &str, text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(name);
        std::fs::write(&file, text).unwrap();
        Self { dir, file }
    }

    fn keys(&self) -> PathBuf {
        self.dir.path().join("keys")
    }
}

/// The program with these arguments.
pub fn anteroom(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anteroom"));
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Its exit code, output and error output.
pub async fn run(command: &mut Command) -> (i32, String, String) {
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends").unwrap();
    let Output { status, stdout, stderr } = output;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().expect("an exit, not a signal"), text(stdout), text(stderr))
}

async fn check(place: &Place, more: &[&str]) -> (i32, String, String) {
    run(anteroom(&["check", "--config", place.file.to_str().unwrap()]).args(more)).await
}

async fn serve_fails(place: &Place, more: &[&str]) -> (i32, String, String) {
    run(anteroom(&["serve", "--config", place.file.to_str().unwrap()]).args(more)).await
}

/// A running `anteroom serve` with an application and a provider of its own.
pub struct Binary {
    pub address: SocketAddr,
    pub ops: SocketAddr,
    pub upstream: Upstream,
    pub acme: Provider,
    child: Child,
    lines: Arc<Mutex<String>>,
    over: watch::Receiver<bool>,
    pub place: Place,
}

impl Binary {
    /// Starts it with the usual configuration, changed.
    pub async fn start(change: impl FnOnce(String) -> String) -> Self {
        Self::start_as("anteroom.toml", change, |_| {}).await
    }

    async fn start_as(name: &str, change: impl FnOnce(String) -> String, more: impl FnOnce(&mut Command)) -> Self {
        let upstream = Upstream::start().await;
        let acme = Provider::start(&format!("/{TENANT}/v2.0"), alice(), Clock::system()).await;
        let globex = Provider::start("", bob(), Clock::system()).await;
        let place = Place::new(name, &change(configuration(upstream.address, &acme, &globex)));
        let mut command = anteroom(&["serve", "--config", place.file.to_str().unwrap()]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        more(&mut command);
        let mut child = command.spawn().unwrap();
        let lines = Arc::new(Mutex::new(String::new()));
        let (begun, mut ready) = watch::channel(None);
        let (ending, over) = watch::channel(false);
        let (out, to) = (child.stdout.take().unwrap(), lines.clone());
        tokio::spawn(async move {
            let mut out = BufReader::new(out).lines();
            while let Ok(Some(line)) = out.next_line().await {
                if let Ok(line) = serde_json::from_str::<Value>(&line)
                    && line["message"] == "ready"
                {
                    let address = |key: &str| line[key].as_str().unwrap().parse::<SocketAddr>().unwrap();
                    begun.send_replace(Some((address("listen"), address("ops"))));
                }
                let mut lines = to.lock().unwrap();
                lines.push_str(&line);
                lines.push('\n');
            }
            ending.send_replace(true);
        });
        let started = tokio::time::timeout(PATIENCE, ready.wait_for(Option::is_some)).await.expect("ready in time");
        let Ok(Some((address, ops))) = started.map(|started| *started) else {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
            panic!("it did not start: {said}");
        };
        Self { address, ops, upstream, acme, child, lines, over, place }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        // The shell's own, which is there on every machine.
        let sent = std::process::Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().unwrap();
        assert!(sent.success());
    }

    async fn exit(&mut self) -> i32 {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap();
        tokio::time::timeout(PATIENCE, self.over.wait_for(|over| *over)).await.expect("its output ends").unwrap();
        status.code().expect("an exit, not a signal")
    }

    /// What was logged so far.
    pub fn log(&self) -> String {
        self.lines.lock().unwrap().clone()
    }

    /// Waits until a line holds `text`.
    async fn says(&self, text: &str) {
        tokio::time::timeout(PATIENCE, async {
            while !self.log().contains(text) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("nothing says {text:?}:\n{}", self.log()));
    }

    /// Ends it and gives back all that it logged.
    pub async fn stopped(mut self) -> String {
        self.signal("INT");
        assert_eq!(self.exit().await, 0, "{}", self.log());
        self.log()
    }

    async fn get(&self, target: &str) -> Answer {
        Connection::open(self.address).await.send(&Ask::get(target)).await
    }

    async fn probe(&self, path: &str) -> u16 {
        Connection::open(self.ops).await.send(&Ask::get(path)).await.status
    }
}

const GOOD: &str = r#"
[server]
listen = "127.0.0.1:0"
public_url = "https://app.example.com"
environment = "production"

[ops]
listen = "127.0.0.1:0"

[apps.portal]
upstream = "http://127.0.0.1:3000"

[connectors.acme]
kind = "entra"
tenant_id = "11111111-2222-3333-4444-555555555555"
client_id = "client"
client_secret = "canary-client-secret"

[domains."acme.com"]
connector = "acme"
environment = "production"
"#;

/// Every file below `dir` and what is in it.
pub fn tree(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = vec![];
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(tree(&path)),
            false => all.push((path.clone(), std::fs::read(&path).unwrap())),
        }
    }
    all.sort();
    all
}

#[tokio::test]
async fn check_says_what_start_up_would_find_and_writes_nothing() {
    let place = Place::new("anteroom.toml", GOOD);
    let before = tree(place.dir.path());
    let (code, out, err) = check(&place, &[]).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("ok: 1 app(s), 1 connector(s), 1 domain(s) at https://app.example.com"), "{out}");
    assert!(out.contains(&format!("keys will be made in {}", place.keys().display())), "{out}");
    assert_eq!(tree(place.dir.path()), before);
    assert!(!place.keys().exists());

    let risky = GOOD
        .replace("\"https://app.example.com\"", "\"http://app.example.com\"\ninsecure_http = \"yes-for-testing-only\"");
    let (code, out, _) = check(&Place::new("anteroom.toml", &risky), &[]).await;
    assert_eq!(code, 0);
    let warning = out.lines().find(|line| line.starts_with("warning: ")).expect("a warning");
    assert!(warning.contains("anteroom.toml:5: server.insecure_http: "), "{warning}");
}

#[tokio::test]
async fn check_reports_every_mistake_in_one_run() {
    let bad = GOOD
        .replace("environment = \"production\"\n\n[ops]", "environment = \"live\"\nworkrs = 3\n\n[ops]")
        .replace("http://127.0.0.1:3000", "ftp://127.0.0.1")
        .replace("client_id = \"client\"", "client_secret_file = \"/nowhere\"")
        .replace("connector = \"acme\"", "connector = \"acmee\"")
        + "[connectors.old]\nkind = \"ldap\"\n[sessions]\nidle_timeout = \"soon\"\n";
    let place = Place::new("anteroom.toml", &bad);
    for command in ["check", "serve"] {
        let (code, out, err) = run(&mut anteroom(&[command, "-c", place.file.to_str().unwrap()])).await;
        assert_eq!((code, out.as_str()), (1, ""), "{command}");
        for key in [
            "server.environment: found \"live\"",
            "server.workrs: ",
            "apps.portal.upstream: ",
            "connectors.acme.client_id: ",
            "connectors.acme.client_secret",
            "domains.\"acme.com\".connector: ",
            "connectors.old.kind: ",
            "sessions.idle_timeout: ",
        ] {
            assert!(err.contains(key), "{key} is not in\n{err}");
        }
        let heading = err.lines().next().unwrap();
        assert!(heading.starts_with("anteroom: the configuration has ") && heading.ends_with(" mistakes:"), "{err}");
        let each = err.lines().skip(1).all(|line| line.starts_with(&format!("{}:", place.file.display())));
        assert!(each, "file and line first:\n{err}");
        assert!(!err.contains("canary"), "{err}");
    }
    assert!(!place.keys().exists());
}

#[tokio::test]
async fn a_wrong_call_and_a_missing_file_are_told_apart() {
    for wrong in [&[][..], &["check"], &["serve", "--port", "80"], &["serve", "--config"], &["proxy"]] {
        let (code, out, err) = run(&mut anteroom(wrong)).await;
        assert_eq!((code, out.as_str()), (2, ""), "{wrong:?}");
        assert!(err.contains("--help"), "{wrong:?}: {err}");
    }
    let place = Place::new("anteroom.toml", GOOD);
    let (code, _, err) = check(&place, &["--set", "server.workers"]).await;
    assert_eq!(code, 2, "{err}");
    let (code, _, err) = check(&place, &["--set", "connectors.acme.client_secret=canary"]).await;
    assert!(code == 1 && err.contains("a secret on the command line") && !err.contains("canary"), "{err}");
    let (code, _, err) = check(&place, &["--set", "server.workers=0"]).await;
    assert!(code == 1 && err.contains("server.workers") && err.contains("--set"), "{err}");
    for (file, word) in [("/nowhere/anteroom.toml", "/nowhere/anteroom.toml"), ("anteroom.ini", "anteroom.ini")] {
        let (code, _, err) = run(&mut anteroom(&["check", "--config", file])).await;
        assert!(code == 1 && err.contains(word), "{err}");
    }
}

#[tokio::test]
async fn the_help_of_every_command_says_what_a_newcomer_needs() {
    for (command, words) in [
        (&[][..], &["serve", "check", "config", "examples/anteroom.toml", "make demo", "identity provider"][..]),
        (
            &["serve"],
            &[
                "--config <FILE>",
                "TOML or YAML",
                "SIGTERM",
                "Ctrl-C",
                "--listen",
                "--set",
                "ANTEROOM__SERVER__LISTEN",
                "/readyz",
                "config reference",
            ],
        ),
        (
            &["check"],
            &[
                "--config <FILE>",
                "TOML or YAML",
                "0 or 1",
                "fetches nothing",
                "ANTEROOM__SERVER__LISTEN",
                "config reference",
            ],
        ),
        (&["doctor"], &["--config <FILE>", "--json", "0 all is well, 1", "2 there are problems", "Changes nothing"]),
        (
            &["connector", "show"],
            &["--config <FILE>", "--json", "Reply URL", "redirect URI", "no process has to run", "Entra ID"],
        ),
        (&["config"], &["schema", "reference", "docs/configuration.md"]),
        (&["config", "schema"], &["JSON Schema"]),
        (&["config", "reference"], &["reference page"]),
    ] {
        let mut arguments = command.to_vec();
        arguments.push("--help");
        let (code, out, err) = run(&mut anteroom(&arguments)).await;
        assert_eq!((code, err.as_str()), (0, ""));
        let text = out.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            assert!(text.contains(word), "{command:?} does not mention {word}:\n{out}");
        }
    }
}

/// `make bench` measures the start exactly; here a busy machine may take its time.
#[tokio::test(flavor = "multi_thread")]
async fn serve_is_ready_soon_logs_json_and_makes_its_keys() {
    let binary = tokio::time::timeout(Duration::from_secs(5), Binary::start(|toml| toml)).await.expect("ready soon");
    assert_eq!(
        (binary.probe("/readyz").await, binary.probe("/livez").await, binary.probe("/metrics").await),
        (200, 200, 200)
    );
    assert_eq!(binary.get("/readyz").await.status, 401, "X16: not on the data listener");
    assert_eq!(binary.get("/public/x").await.status, 200);
    assert_eq!(binary.get("/.anteroom/oidc/acme/callback?code=x").await.status, 400);
    let keys: Vec<String> = tree(&binary.place.keys())
        .into_iter()
        .map(|(path, _)| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    for kind in ["sealing-", "assertion-"] {
        assert_eq!(keys.iter().filter(|name| name.starts_with(kind)).count(), 1, "{keys:?}");
    }
    let log = binary.stopped().await;
    let mut kinds = std::collections::BTreeSet::new();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["ts"].as_str().is_some_and(|ts| ts.ends_with('Z')), "{line}");
        kinds.insert(line["kind"].as_str().unwrap().to_owned());
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["access", "app", "audit"]);
    assert!(log.contains("\"message\":\"stopped\""), "{log}");
}

/// Holds back the application's answer until it is told.
fn slow(upstream: &Upstream) -> std::sync::mpsc::Sender<()> {
    let (go, wait) = std::sync::mpsc::channel();
    let wait = Mutex::new(wait);
    upstream.reply(move |_| {
        tokio::task::block_in_place(|| wait.lock().unwrap().recv().ok());
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow".to_vec()
    });
    go
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_what_was_begun_and_exits_with_0() {
    let mut binary = Binary::start(|toml| toml).await;
    let go = slow(&binary.upstream);
    let mut begun = Connection::open(binary.address).await;
    begun.write(&Ask::get("/public/slow").bytes()).await;
    // An answer on another connection shows that requests are being taken.
    assert_eq!(binary.get("/.anteroom/me").await.status, 401);
    binary.signal("TERM");
    binary.says("stopping").await;
    assert_eq!((binary.probe("/readyz").await, binary.probe("/livez").await), (503, 200));
    assert_eq!(binary.get("/.anteroom/me").await.status, 401, "connections are taken until everybody knows");
    go.send(()).unwrap();
    let answer = begun.read(false).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "slow"));
    assert_eq!(binary.exit().await, 0);
    assert!(TcpStream::connect(binary.address).await.is_err(), "nobody listens any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_ctrl_c_waits_for_requests_and_the_second_does_not() {
    let mut binary = Binary::start(|toml| toml).await;
    let _never = slow(&binary.upstream);
    let mut begun = Connection::open(binary.address).await;
    begun.write(&Ask::get("/public/slow").bytes()).await;
    assert_eq!(binary.get("/.anteroom/me").await.status, 401);
    binary.signal("INT");
    binary.says("stopping").await;
    assert!(binary.child.try_wait().unwrap().is_none(), "it waits for the request");
    binary.signal("INT");
    let end = tokio::time::timeout(Duration::from_secs(5), binary.exit()).await;
    assert_eq!(end.expect("at once, not after the drain's 20 s"), 0);
}

#[tokio::test]
async fn a_taken_port_is_named_with_its_key() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flag, key) in [("--listen", "server.listen"), ("--ops-listen", "ops.listen")] {
        let place = Place::new("anteroom.toml", GOOD);
        let (code, _, err) = serve_fails(&place, &[flag, &address]).await;
        assert_eq!(code, 1);
        assert!(err.contains(key) && err.contains(&address) && err.contains("in use"), "{err}");
        // Nothing was begun: no keys of a process that never ran.
        assert!(!place.keys().exists());
    }
}

#[tokio::test]
async fn a_keys_dir_that_cannot_be_made_is_refused_with_what_to_do() {
    // Not by permissions: root, as whom containers often run, may write everywhere.
    let config = GOOD.replace("[apps.portal]", "[keys]\ndir = \"anteroom.toml/keys\"\n\n[apps.portal]");
    let place = Place::new("anteroom.toml", &config);
    for command in ["check", "serve"] {
        let (code, _, err) = run(&mut anteroom(&[command, "-c", place.file.to_str().unwrap()])).await;
        assert_eq!(code, 1, "{command}: {err}");
        assert!(err.contains("keys.dir") && err.contains("anteroom.toml/keys"), "{command}: {err}");
    }
    assert_eq!(std::fs::read_to_string(&place.file).unwrap(), config);
}

#[tokio::test]
async fn a_damaged_key_is_refused_and_never_replaced() {
    for (name, text) in [
        ("sealing-1700000000.key", ""),
        ("sealing-1700000000.key", "c2hvcnQ="),
        ("assertion-1700000000.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        ("sealing-yesterday.key", "x"),
    ] {
        let place = Place::new("anteroom.toml", GOOD);
        std::fs::create_dir(place.keys()).unwrap();
        std::fs::write(place.keys().join(name), text).unwrap();
        let before = tree(place.dir.path());
        for command in ["check", "serve"] {
            let (code, _, err) = run(&mut anteroom(&[command, "-c", place.file.to_str().unwrap()])).await;
            assert!(code == 1 && err.contains(name), "{command} {name}: {err}");
        }
        assert_eq!(tree(place.dir.path()), before, "{name}: nothing was written");
    }
}

/// `127.0.0.2` and so on are loopback too: what was bound shows whose word counted.
#[tokio::test(flavor = "multi_thread")]
async fn environment_wins_over_the_file_and_flags_win_over_both() {
    let in_file = |toml: String| toml.replacen("listen = \"127.0.0.1:0\"", "listen = \"127.0.0.2:0\"", 1);
    let bound = |environment: bool, set: bool, flag: bool| async move {
        let binary = Binary::start_as("anteroom.toml", in_file, |command| {
            if environment {
                command.env("ANTEROOM__SERVER__LISTEN", "127.0.0.3:0");
            }
            if set {
                command.args(["--set", "server.listen=127.0.0.4:0"]);
            }
            if flag {
                command.args(["--listen", "127.0.0.5:0"]);
            }
        });
        let binary = binary.await;
        assert_eq!(binary.get("/public/x").await.status, 200);
        binary.address.ip().to_string()
    };
    assert_eq!(bound(false, false, false).await, "127.0.0.2");
    assert_eq!(bound(true, false, false).await, "127.0.0.3");
    assert_eq!(bound(true, true, false).await, "127.0.0.4");
    assert_eq!(bound(true, false, true).await, "127.0.0.5");
}

#[tokio::test(flavor = "multi_thread")]
async fn toml_and_yaml_give_the_same_configuration() {
    let value: Value = toml::from_str::<toml::Table>(GOOD).map(|table| serde_json::to_value(table).unwrap()).unwrap();
    let yaml = yaml(&value, 0);
    let (in_toml, in_yaml) = (Place::new("anteroom.toml", GOOD), Place::new("anteroom.yaml", &yaml));
    let load = |place: &Place| {
        let loaded = config::load(Some(&place.file), std::iter::empty(), &Overrides::default());
        let config = loaded.unwrap_or_else(|problems| panic!("{problems}\n{yaml}")).config;
        format!("{config:#?}").replace(place.dir.path().to_str().unwrap(), "DIR")
    };
    assert_eq!(load(&in_toml), load(&in_yaml));
    let (toml, yaml) = (check(&in_toml, &[]).await, check(&in_yaml, &[]).await);
    assert_eq!((toml.0, yaml.0), (0, 0), "{}", yaml.2);
    assert_eq!(toml.1.lines().next(), yaml.1.lines().next());
}

/// Block style, as people write it.
fn yaml(value: &Value, depth: usize) -> String {
    let Value::Object(map) = value else { return format!(" {value}\n") };
    let indent = "  ".repeat(depth);
    let entries = map.iter().map(|(key, value)| format!("{indent}{key}:{}", yaml(value, depth + 1)));
    let line_break = if depth > 0 { "\n" } else { "" };
    format!("{line_break}{}", entries.collect::<String>())
}

impl Binary {
    /// Runs another command with the configuration of the running one.
    pub async fn command(&self, arguments: &[&str]) -> (i32, String, String) {
        run(anteroom(arguments).arg("--config").arg(&self.place.file)).await
    }

    /// The directory of its configuration.
    pub fn place(&self) -> &Path {
        self.place.dir.path()
    }
}

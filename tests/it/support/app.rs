//! The whole of Anteroom in this process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anteroom::app::{Environment, Running, Stop, assemble, start_assembled};
use anteroom::base::clock::{Clock, Timestamp};
use anteroom::base::log::Log;
use anteroom::config::{self, Config, Overrides};
use anteroom::directory::{Directory, Selector};
use anteroom::explain::Recorder;
use anteroom::session::SessionStore;
use anteroom::web::Site;
use serde_json::{Value, json};
use uuid::Uuid;

use super::browser::Browser;
use super::http::{Answer, Ask, Connection};
use super::provider::Provider;
use super::upstream::Upstream;

/// The tenant of the Entra-shaped provider.
pub const TENANT: &str = "11111111-2222-3333-4444-555555555555";

/// What a test changes before Anteroom starts.
pub struct Setup {
    /// TOML added at the end: whole sections.
    pub more: String,
    /// Replaces a piece of the configuration.
    pub replace: Vec<(String, String)>,
    /// Stands where the recording application would; that one is then asked nothing.
    pub upstream: Option<SocketAddr>,
    /// In place of the configured directory.
    pub directory: Option<Directory>,
}

impl Setup {
    pub fn new() -> Self {
        Self { more: String::new(), replace: vec![], upstream: None, directory: None }
    }

    /// Adds sections.
    pub fn with(mut self, toml: &str) -> Self {
        self.more.push_str(toml);
        self.more.push('\n');
        self
    }

    /// Another application in place of the recording one.
    pub fn upstream(mut self, address: SocketAddr) -> Self {
        self.upstream = Some(address);
        self
    }

    /// A directory that the test can spoil, or that several processes share.
    pub fn directory(mut self, directory: Directory) -> Self {
        self.directory = Some(directory);
        self
    }

    /// Replaces a piece of the configuration, which must be there.
    pub fn replacing(mut self, from: &str, to: &str) -> Self {
        self.replace.push((from.to_owned(), to.to_owned()));
        self
    }
}

/// Anteroom at `https://app.example.com` (an ingress ends TLS), in front of one application, with two connectors: `acme`,
/// shaped like Entra ID, for `acme.com`, and `globex`, shaped like Google, for `globex.com`.
pub struct App {
    pub address: SocketAddr,
    pub ops: SocketAddr,
    pub upstream: Upstream,
    /// Entra-shaped; asserts `alice@acme.com`, role Admin.
    pub acme: Provider,
    /// Google-shaped; asserts `bob@globex.com`.
    pub globex: Provider,
    pub clock: Clock,
    pub log: Log,
    pub explain: Recorder,
    /// What an operator's command reaches.
    pub site: Arc<Site>,
    pub directory: Directory,
    /// The sessions in this process's memory, and the way to make some without a sign-in.
    pub sessions: SessionStore,
    /// Where commands reach it.
    pub admin_socket: PathBuf,
    config: Arc<Config>,
    running: Running,
    _dir: Arc<tempfile::TempDir>,
}

/// What is there before Anteroom starts.
struct Served {
    upstream: Upstream,
    acme: Provider,
    globex: Provider,
    clock: Clock,
    log: Log,
    config: Arc<Config>,
    dir: Arc<tempfile::TempDir>,
}

impl App {
    /// Starts with the usual configuration.
    pub async fn start() -> Self {
        Self::start_with(Setup::new()).await
    }

    /// Starts with changes.
    pub async fn start_with(setup: Setup) -> Self {
        let clock = Clock::manual(Timestamp::from_secs(1_800_000_000));
        let upstream = Upstream::start().await;
        let acme = Provider::start(&format!("/{TENANT}/v2.0"), alice(), clock.clone()).await;
        let globex = Provider::start("", bob(), clock.clone()).await;
        let dir = tempfile::tempdir().unwrap();
        let mut toml = configuration(setup.upstream.unwrap_or(upstream.address), &acme, &globex);
        for (from, to) in &setup.replace {
            assert!(toml.contains(from), "{from} is not in the configuration:\n{toml}");
            toml = toml.replace(from, to);
        }
        toml.push_str(&setup.more);
        // For more apps in front of the same application, and settings beside `issuer` that name the provider's origin.
        toml = toml.replace("$upstream", &format!("http://{}", setup.upstream.unwrap_or(upstream.address)));
        toml = toml.replace("$acme", &format!("http://{}", acme.address));
        let file = dir.path().join("anteroom.toml");
        std::fs::write(&file, &toml).unwrap();
        let loaded = config::load(Some(&file), std::iter::empty(), &Overrides::default());
        let config = loaded.unwrap_or_else(|problems| panic!("{problems}\n{toml}")).config;
        let log = Log::memory();
        let served = Served { upstream, acme, globex, clock, log, config: Arc::new(config), dir: Arc::new(dir) };
        Self::serve(served, setup.directory).await
    }

    /// Another process of the same deployment: the same configuration, keys and directory, a log of its own.
    pub async fn another(&self) -> Self {
        let served = Served {
            upstream: self.upstream.clone(),
            acme: self.acme.clone(),
            globex: self.globex.clone(),
            clock: self.clock.clone(),
            log: Log::memory(),
            config: self.config.clone(),
            dir: self._dir.clone(),
        };
        Self::serve(served, Some(self.directory.clone())).await
    }

    async fn serve(served: Served, directory: Option<Directory>) -> Self {
        let Served { upstream, acme, globex, clock, log, config, dir } = served;
        let environment = Environment { clock: clock.clone(), log: log.clone(), directory };
        let assembled = assemble(&config, &environment).await.unwrap();
        let site = assembled.shared.site.clone();
        let (explain, directory) = (assembled.shared.explain.clone(), assembled.directory.clone());
        let sessions = assembled.shared.sessions.clone();
        let running = start_assembled(&config, assembled).await.unwrap();
        let (address, ops) = (running.address(), running.ops_address());
        let admin_socket = config.ops.admin_socket.path.clone();
        Self {
            address,
            ops,
            upstream,
            acme,
            globex,
            clock,
            log,
            explain,
            site,
            directory,
            sessions,
            admin_socket,
            config,
            running,
            _dir: dir,
        }
    }

    /// The directory of all its processes.
    pub fn shared_directory(&self) -> &Directory {
        &self.directory
    }

    /// Sends a request without cookies, on a connection of its own.
    pub async fn send(&self, ask: &Ask) -> Answer {
        Connection::open(self.address).await.send(ask).await
    }

    /// A connection that is kept.
    pub async fn connect(&self) -> Connection {
        Connection::open(self.address).await
    }

    /// A browser without cookies.
    pub fn browser(&self) -> Browser {
        Browser::new(self.address)
    }

    /// A browser on its way to the provider: the answer is the redirect there.
    pub async fn start_sign_in(&self, browser: &mut Browser, connector: &str, rd: &str, hint: &str) -> Answer {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("connector", connector), ("rd", rd), ("login_hint", hint)])
            .finish();
        let answer = browser.visit(&format!("/.anteroom/sign-in/go?{query}")).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        answer
    }

    /// The callback of a provider's answer.
    pub fn callback(connector: &str, query: &std::collections::BTreeMap<String, String>) -> Ask {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        Ask::page(&format!("/.anteroom/oidc/{connector}/callback?{query}"))
            .without("Sec-Fetch-Site")
            .with("Sec-Fetch-Site", "cross-site")
    }

    /// A whole sign-in at `acme`, from the link to the callback's answer, in `browser`.
    pub async fn sign_in_with(&self, browser: &mut Browser, rd: &str) -> Answer {
        let to_provider = self.start_sign_in(browser, "acme", rd, "alice@acme.com").await;
        let query = self.acme.sign_in(to_provider.location());
        browser.send(Self::callback("acme", &query)).await
    }

    /// A browser signed in as Alice.
    pub async fn signed_in(&self) -> Browser {
        let mut browser = self.browser();
        let answer = self.sign_in_with(&mut browser, "/").await;
        assert_eq!(answer.status, 303, "{answer:?}\n{}", self.log.taken());
        assert!(browser.session().is_some(), "{answer:?}");
        browser
    }

    /// The audit events so far; empties the log.
    pub fn events(&self) -> Vec<Value> {
        let log = self.log.taken();
        let lines =
            log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}")));
        lines.filter(|line| line["kind"] == "audit").collect()
    }

    /// The story of an answer, as `anteroom explain` tells it: the text, and the records.
    pub async fn story(&self, reference: &str) -> (String, Value) {
        let story = self.explain.of(&self.directory, reference).await.unwrap();
        (anteroom::explain::render(&story), anteroom::explain::json(&story))
    }

    /// Stops at once and waits for the end.
    pub async fn stop(mut self, how: Stop) -> std::io::Result<()> {
        self.running.stop(how);
        self.running.ended().await
    }

    /// Tells it to stop, without waiting.
    pub fn begin_stop(&self, how: Stop) {
        self.running.stop(how);
    }

    /// Moves time for limits and tokens.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Moves time as it would pass: this process has read the directory's changes when it has. For a directory in
    /// memory.
    pub async fn pass(&self, by: Duration) {
        self.clock.advance(by);
        while !self.sessions.is_fresh(self.clock.tick()) {
            // The follower wakes up with every call that may have ended something.
            self.directory.sessions.end(&Selector::Reference(Uuid::nil()), None, self.clock.now()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// What the Entra-shaped provider asserts.
pub fn alice() -> Value {
    json!({
        "sub": "pairwise-alice", "tid": TENANT, "oid": "aaaaaaaa-0000-0000-0000-000000000001", "ver": "2.0",
        "upn": "alice@acme.com", "preferred_username": "alice@acme.com", "email": "alice@acme.com",
        "name": "Alice Archer", "roles": ["Admin"], "groups": ["staff", "x,admin"], "acct": 0,
    })
}

/// What the Google-shaped provider asserts.
pub fn bob() -> Value {
    json!({ "sub": "1234567890", "hd": "globex.com", "email": "bob@globex.com", "email_verified": true, "name": "Bob" })
}

/// The configuration that tests start from.
pub fn configuration(upstream: SocketAddr, acme: &Provider, globex: &Provider) -> String {
    let (acme, globex) = (&acme.script().issuer.clone(), &globex.script().issuer.clone());
    format!(
        r#"
[server]
listen = "127.0.0.1:0"
public_url = "https://app.example.com"
environment = "production"
workers = 2

[ops]
listen = "127.0.0.1:0"

[keys]
dir = "keys"

[apps.portal]
upstream = "http://{upstream}"
sign_out = "/logout"
routes = [
  {{ path = "/public/**", access = "public" }},
  {{ path = "/health", access = "public", methods = ["GET"] }},
  {{ path = "/api/**", access = "native" }},
  {{ path = "/admin/**", role = "Admin" }},
  {{ path = "/enterprise/**", role = "EnterpriseAdmin" }},
  {{ path = "/keep/**", authorization = "keep" }},
]

[apps.portal.native]
api_key_headers = ["X-Api-Key"]
challenge = "Basic realm=\"portal\""

[connectors.acme]
kind = "entra"
issuer = "{acme}"
client_id = "client"
client_secret = "canary-client-secret"

[connectors.globex]
kind = "google"
issuer = "{globex}"
client_id = "client"
client_secret = "canary-client-secret"

[domains."acme.com"]
connector = "acme"
environment = "production"

[domains."globex.com"]
connector = "globex"
environment = "production"
"#
    )
}

impl App {
    /// Every byte that it has written to its directory: database, keys and all.
    pub fn written(&self) -> Vec<u8> {
        let mut folders = vec![self._dir.path().to_owned()];
        let mut bytes = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.is_file() {
                    bytes.extend(std::fs::read(path).unwrap());
                }
            }
        }
        bytes
    }
}

impl App {
    /// Stops, and starts again with what it wrote: the same configuration, keys and directory on disk.
    pub async fn restart(mut self) -> Self {
        self.running.stop(Stop::Now);
        self.running.ended().await.unwrap();
        let served = Served {
            upstream: self.upstream.clone(),
            acme: self.acme.clone(),
            globex: self.globex.clone(),
            clock: self.clock.clone(),
            log: Log::memory(),
            config: self.config.clone(),
            dir: self._dir.clone(),
        };
        drop(self);
        Self::serve(served, None).await
    }
}

impl App {
    /// As [`restart`](Self::restart), with more sections in the configuration.
    pub async fn restart_with(self, more: &str) -> Self {
        let file = self._dir.path().join("anteroom.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{text}\n{more}\n")).unwrap();
        let loaded = config::load(Some(&file), std::iter::empty(), &Overrides::default());
        let config = Arc::new(loaded.unwrap_or_else(|problems| panic!("{problems}")).config);
        Self { config, ..self }.restart().await
    }
}

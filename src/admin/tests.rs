//! The socket, the server and the client together, over a control that remembers what it was told.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::*;
use crate::audit::Audit;
use crate::base::clock::{Clock, Timestamp};
use crate::base::email::EmailDomain;
use crate::base::log::Log;
use crate::config::AdminSocket;

/// Remembers what it was told and answers with fixed values.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>, Notify);

/// Whose sessions take their time to end: until the test says so.
const SLOW: &str = "slow@acme.com";

impl Notes {
    fn add(&self, note: String) {
        self.0.lock().unwrap().push(note);
    }

    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn session(number: u128) -> SessionView {
    SessionView {
        reference: Uuid::from_u128(number),
        user: "alice@acme.com".to_owned(),
        connector: "acme".to_owned(),
        created: "2027-01-15T08:00:00.000Z".to_owned(),
        last_used: "2027-01-15T08:00:00.000Z".to_owned(),
        idle_secs: 0,
        secs_left: 3600,
        acr: None,
        amr: vec!["pwd".to_owned()],
    }
}

fn key() -> KeyView {
    let word = str::to_owned;
    KeyView { kind: word("sealing"), id: word("00ff"), created: word("x"), stage: word("current"), until: None }
}

fn domain(name: &str) -> DomainView {
    let at = Timestamp::from_secs(1_800_000_000);
    DomainView::new(&name.parse().unwrap(), true, Some("acme".to_owned()), true, None, at)
}

#[async_trait]
impl Control for Notes {
    async fn status(&self) -> Result<Status, ControlError> {
        Ok(Status {
            version: "1".to_owned(),
            pid: 1,
            since: "x".to_owned(),
            up_secs: 2,
            sessions_held: 3,
            directory: "memory".to_owned(),
            keys: vec![key()],
            connectors: vec![SwitchView { name: "acme".to_owned(), on: true }],
            domains: vec![],
        })
    }

    async fn sessions(&self, which: &Selector, limit: u32) -> Result<Vec<SessionView>, ControlError> {
        self.add(format!("list {which:?} {limit}"));
        Ok((0..5).map(session).take(limit as usize).collect())
    }

    async fn revoke(&self, which: &Selector) -> Result<u64, ControlError> {
        self.add(format!("revoke {which:?}"));
        if *which == Selector::Email(SLOW.to_owned()) {
            self.1.notified().await;
        }
        Ok(2)
    }

    async fn users(&self, address: Option<&str>, limit: u32) -> Result<Vec<UserView>, ControlError> {
        self.add(format!("users {address:?} {limit}"));
        Ok(vec![])
    }

    async fn change_user(&self, name: &str, change: &UserChange) -> Result<UserDone, ControlError> {
        match name {
            "nobody@acme.com" => return Err(ControlError::NotFound("there is no user".to_owned())),
            "two@acme.com" => return Err(ControlError::Unclear("say which".to_owned())),
            name => self.add(format!("{change:?} {name}")),
        }
        Ok(UserDone { id: Uuid::nil(), address: name.to_owned(), ended: 3 })
    }

    async fn keys(&self) -> Result<Vec<KeyView>, ControlError> {
        Ok(vec![key()])
    }

    async fn rotate_keys(&self) -> Result<Vec<KeyView>, ControlError> {
        Err(ControlError::failed(std::io::Error::other("the disk is full")))
    }

    async fn native(&self, app: Option<&str>, limit: u32) -> Result<Vec<NativeView>, ControlError> {
        self.add(format!("native {app:?} {limit}"));
        Ok(Vec::new())
    }

    async fn explain(&self, reference: &str) -> Result<Vec<Explained>, ControlError> {
        self.add(format!("explain {reference}"));
        let record = json!({ "step": "callback", "kind": "denial", "reason": "state_missing" }).to_string();
        Ok(vec![Explained { reference: reference.to_owned(), at: Timestamp::from_secs(1_800_000_000), record }])
    }

    async fn domains(&self) -> Result<Vec<DomainView>, ControlError> {
        Ok(vec![domain("acme.com")])
    }

    async fn domain(&self, name: &EmailDomain) -> Result<DomainView, ControlError> {
        Ok(domain(name.as_str()))
    }

    async fn enable_domain(
        &self,
        name: &EmailDomain,
        extent: &Extent,
        from: Option<Timestamp>,
    ) -> Result<(), ControlError> {
        if from.is_some_and(|from| from.secs() == 0) {
            return Err(ControlError::Refused("that has passed".to_owned()));
        }
        self.add(format!("enable {name} {} {:?} {:?}", extent.percent, extent.users, from.map(Timestamp::secs)));
        Ok(())
    }

    async fn switch(
        &self,
        kind: SwitchKind,
        name: &str,
        off: bool,
        end_sessions: Option<bool>,
    ) -> Result<Option<u64>, ControlError> {
        if name == "nobody" {
            return Err(ControlError::NotFound("there is no connector \"nobody\"".to_owned()));
        }
        self.add(format!("switch {kind:?} {name} off={off} end={end_sessions:?}"));
        Ok(off.then_some(4))
    }
}

struct Running {
    path: PathBuf,
    notes: Arc<Notes>,
    log: Log,
    client: Client,
    task: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

async fn running() -> Running {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run/admin.sock");
    let (notes, log) = (Arc::new(Notes::default()), Log::memory());
    let audit = Arc::new(Audit::new(log.clone(), Clock::manual(Timestamp::from_secs(1_800_000_000))));
    let socket = Socket::bind(&path).await.unwrap();
    let task = tokio::spawn(serve(socket, notes.clone(), audit));
    Running { client: Client::new(&path), path, notes, log, task, _dir: dir }
}

impl Running {
    /// The audit events so far.
    fn events(&self) -> Vec<Value> {
        self.log.taken().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Sends bytes as they are and reads until the end.
    async fn raw(&self, request: &str) -> String {
        let mut stream = UnixStream::connect(&self.path).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
        let answer = self.raw(&(head + body)).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap())
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

fn names(dir: &Path) -> Vec<String> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn the_socket_is_private_and_gone_at_the_end() {
    let running = running().await;
    assert_eq!(mode(&running.path), 0o600);
    let dir = running.path.parent().unwrap();
    assert_eq!((mode(dir), names(dir)), (0o700, vec!["admin.sock".to_owned()]), "nothing else is left there");
    running.client.status().await.unwrap();
    running.task.abort();
    assert!(running.task.await.unwrap_err().is_cancelled());
    assert_eq!(names(dir), Vec::<String>::new());
    let error = running.client.status().await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ClientError::NobodyThere { .. }), "{text}");
    assert!(text.contains(running.path.to_str().unwrap()) && text.contains("--socket"), "{text}");
}

#[tokio::test]
async fn a_living_process_keeps_its_socket_and_a_dead_ones_is_replaced() {
    let living = running().await;
    let error = Socket::bind(&living.path).await.unwrap_err();
    assert!(matches!(error, SocketError::InUse { .. }) && error.to_string().contains("ops.admin_socket"), "{error}");
    living.client.status().await.unwrap();
    let configured = |is_written| AdminSocket { path: living.path.clone(), is_written };
    assert!(open(&configured(true)).await.is_err());
    assert!(open(&configured(false)).await.unwrap().is_none(), "the default place is no reason not to start");

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    // What a process that was killed leaves behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let socket = Socket::bind(&path).await.unwrap();
    assert_eq!(mode(&path), 0o600);
    drop(socket);
    assert!(!path.exists());
}

#[tokio::test]
async fn an_older_process_does_not_remove_the_socket_of_a_newer_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    let older = Socket::bind(&path).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let newer = Socket::bind(&path).await.unwrap();
    drop(older);
    assert!(path.exists());
    drop(newer);
    assert!(!path.exists());
}

#[tokio::test]
async fn what_is_no_socket_is_never_replaced_and_a_long_path_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    std::fs::write(&path, "mine").unwrap();
    let configured = |path: &Path| AdminSocket { path: path.to_owned(), is_written: true };
    for error in [Socket::bind(&path).await.unwrap_err(), check(&configured(&path)).unwrap_err()] {
        assert!(matches!(error, SocketError::NotASocket { .. }), "{error}");
    }
    assert!(path.is_file());
    let long = dir.path().join("a".repeat(108));
    for error in [Socket::bind(&long).await.unwrap_err(), check(&configured(&long)).unwrap_err()] {
        assert!(matches!(error, SocketError::TooLong { .. }) && error.to_string().contains("107"), "{error}");
    }
    // The longest that fits is one that works.
    let room = AdminSocket::MAX_DIR - dir.path().as_os_str().len() - 1;
    let longest = dir.path().join("d".repeat(room)).join("s".repeat(AdminSocket::MAX - AdminSocket::MAX_DIR - 1));
    assert_eq!(longest.as_os_str().len(), AdminSocket::MAX);
    check(&configured(&longest)).unwrap();
    assert!(!longest.parent().unwrap().exists(), "check writes nothing");
    Socket::bind(&longest).await.unwrap();
    // Not even root can write there.
    assert!(matches!(check(&configured(Path::new("/proc/self/s"))).unwrap_err(), SocketError::Io { .. }));
    assert!(matches!(Socket::bind(Path::new("/proc/self/s")).await.unwrap_err(), SocketError::Io { .. }));
}

#[tokio::test]
async fn lists_are_bounded_and_say_whether_there_are_more() {
    let running = running().await;
    let all = running.client.sessions(&Which::default(), 10).await.unwrap();
    assert_eq!((all.sessions.len(), all.more), (5, false));
    assert_eq!(all.sessions[1], session(1));
    let some = running.client.sessions(&Which::default(), 4).await.unwrap();
    assert_eq!((some.sessions.len(), some.more), (4, true));
    assert_eq!(running.notes.taken(), ["list All 11", "list All 5"]);
    for limit in [0, 10_001] {
        let error = running.client.sessions(&Which::default(), limit).await.unwrap_err();
        assert!(error.to_string().contains("allowed: 1 to 10000"), "{error}");
    }
    assert_eq!(running.events(), [] as [Value; 0], "asking changes nothing");
}

#[tokio::test]
async fn e15_sessions_are_named_in_one_way_at_a_time() {
    let running = running().await;
    let word = |text: &str| Some(text.to_owned());
    let honest = [
        (Which { reference: word(&Uuid::from_u128(7).to_string()), ..Which::default() }, "Reference(00000000-"),
        (Which { user: word("Alice@ACME.com"), ..Which::default() }, "Email(\"alice@acme.com\")"),
        (Which { connector: word("acme"), ..Which::default() }, "Connector("),
        (Which { connector: word("acme"), sub: word("A b&c"), ..Which::default() }, "sub: \"A b&c\""),
        (Which { domain: word("acme.com"), ..Which::default() }, "Domain("),
    ];
    for (which, says) in &honest {
        running.client.sessions(which, 5).await.unwrap();
        assert_eq!(running.client.revoke(which).await.unwrap(), Revoked { ended: 2 });
        let notes = running.notes.taken();
        assert!(notes[0].starts_with("list") && notes[1].starts_with("revoke"), "{notes:?}");
        assert!(notes.iter().all(|note| note.contains(says)), "{notes:?}");
    }
    running.client.revoke(&Which { all: true, ..Which::default() }).await.unwrap();
    assert_eq!(running.notes.taken(), ["revoke All"]);
    let _seen = running.events();
    let nobody = Which::default();
    let two = Which { user: word("alice@acme.com"), all: true, ..Which::default() };
    let alone = Which { sub: word("x"), ..Which::default() };
    let beside = Which { user: word("alice@acme.com"), sub: word("x"), ..Which::default() };
    let bad = Which { reference: word("7"), ..Which::default() };
    for which in [nobody, two, alone, beside, bad, Which { user: word("alice"), ..Which::default() }] {
        let error = running.client.revoke(&which).await.unwrap_err();
        assert!(matches!(error, ClientError::Refused(_)), "{which:?}: {error}");
    }
    assert_eq!((running.notes.taken(), running.events()), (vec![], vec![]), "nothing was done, so nothing is noted");
}

#[tokio::test]
async fn every_change_is_noted_with_who_made_it() {
    let running = running().await;
    let own = rustix::process::geteuid().as_raw().to_string();
    let user = Which { user: Some("alice@acme.com".to_owned()), ..Which::default() };
    running.client.revoke(&user).await.unwrap();
    let keep = SwitchOrder { end_sessions: Some(false) };
    let switched = running.client.switch_connector("acme", true, keep).await.unwrap();
    assert_eq!(switched, Switched { ended: Some(4) });
    let order = DomainOrder {
        at: Some("2027-01-15T08:00:00Z".to_owned()),
        percent: Some(10),
        users: vec!["Ann@acme.com".to_owned()],
    };
    running.client.enable_domain("ACME.com", &order).await.unwrap();
    let passed = DomainOrder { at: Some("1970-01-01T00:00:00Z".to_owned()), ..DomainOrder::default() };
    let error = running.client.enable_domain("acme.com", &passed).await.unwrap_err();
    assert_eq!(error.to_string(), "that has passed");
    let off = running.client.disable_domain("acme.com", SwitchOrder::default()).await.unwrap();
    assert_eq!((off.ended, off.domain.name.as_str()), (Some(4), "acme.com"));
    let error = running.client.rotate_keys().await.unwrap_err();
    assert!(error.to_string().contains("the disk is full"), "{error}");
    let error = running.client.switch_connector("nobody", true, keep).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no connector \"nobody\"");
    assert_eq!(
        running.notes.taken(),
        [
            "revoke Email(\"alice@acme.com\")",
            "switch Connector acme off=true end=Some(false)",
            "enable acme.com 10 {\"ann@acme.com\"} Some(1800000000)",
            "switch Domain acme.com off=true end=None"
        ]
    );
    let events = running.events();
    let seen: Vec<_> = events
        .iter()
        .map(|event| {
            assert_eq!((event["event"].as_str(), event["local_uid"].as_str()), (Some("admin.changed"), Some(&*own)));
            assert_eq!(event["local_pid"], std::process::id().to_string());
            (event["reason"].as_str().unwrap(), event["outcome"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("sessions_revoked", "AuthSuccess"),
            ("connector_disabled", "AuthSuccess"),
            ("domain_enabled", "AuthSuccess"),
            ("domain_enabled", "AuthFailure"),
            ("domain_disabled", "AuthSuccess"),
            ("keys_rotated", "AuthError"),
            ("connector_disabled", "AuthFailure"),
        ]
    );
    assert_eq!((&events[0]["sessions"], &events[0]["ended"]), (&json!("user alice@acme.com"), &json!("2")));
    assert_eq!((&events[2]["percent"], &events[2]["listed"]), (&json!("10"), &json!("1")));
    assert_eq!((&events[1]["connector"], &events[1]["ended"]), (&json!("acme"), &json!("4")));
}

#[tokio::test]
async fn names_in_paths_are_taken_as_they_are_meant() {
    let running = running().await;
    for reference in ["3f2a", "a/b", "x y%2F", "…"] {
        let story = running.client.explain(reference).await.unwrap();
        assert_eq!((story.reference.as_str(), &story.records[0]["reason"]), (reference, &json!("state_missing")));
        assert!(story.text.contains("back from the provider: refused, state_missing"), "{}", story.text);
    }
    assert_eq!(running.notes.taken(), ["explain 3f2a", "explain a/b", "explain x y%2F", "explain …"]);
    assert!(running.client.explain("").await.is_err());
    assert!(running.client.explain("a\nb").await.is_err());
    assert!(running.client.explain(&"a".repeat(256)).await.is_err());
    assert_eq!(running.notes.taken(), Vec::<String>::new());
}

#[tokio::test]
async fn requests_are_read_strictly() {
    let running = running().await;
    let one = r#"{"user":"alice@acme.com"}"#;
    assert_eq!(running.post("/sessions/revoke", one).await, (200, json!({ "ended": 2 })));
    assert_eq!(running.notes.taken().len(), 1);
    for (path, body, status) in [
        ("/sessions/revoke", "", 400),
        ("/sessions/revoke", "{", 400),
        ("/sessions/revoke", r#"{"user":"alice@acme.com","user":"bob@acme.com"}"#, 400),
        ("/sessions/revoke", r#"{"user":"alice@acme.com","force":true}"#, 400),
        ("/sessions/revoke", r#"{"all":"yes"}"#, 400),
        ("/sessions/revoke", &format!("{one}{}", " ".repeat(70_000)), 400),
        ("/sessions", one, 405),
        ("/sessions/revoke/", one, 404),
        ("/connectors/acme/remove", "", 404),
        ("/users/alice@acme.com/remove", "", 404),
        ("/users/alice@acme.com/unlink", "", 400),
        ("/users/alice@acme.com/unlink", r#"{"connector":"A B"}"#, 400),
        ("/users/alice@acme.com/activate", r#"{"release_address":true}"#, 400),
        ("/users/alice@acme.com/deactivate", r#"{"connector":"acme"}"#, 400),
        ("/users/two@acme.com/deactivate", "", 409),
        ("/users/nobody@acme.com/deactivate", "", 404),
        ("/connectors//disable", "", 400),
        ("/domains/acme/enable", "", 400),
        ("/domains/acme.com/enable", r#"{"percent":101}"#, 400),
        ("/domains/acme.com/enable", r#"{"users":["ann@acme.org"]}"#, 400),
        ("/domains/acme.com/enable", r#"{"user":[]}"#, 400),
        ("/", "", 404),
        ("//status", "", 404),
    ] {
        let (found, answer) = running.post(path, body).await;
        assert_eq!(found, status, "{path} {answer}");
        assert!(answer["message"].is_string(), "{answer}");
    }
    let twice =
        running.raw("GET /sessions?user=a@b.c&user=d@b.c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(twice.starts_with("HTTP/1.1 400 ") && twice.contains("given twice"), "{twice}");
    let get = running.raw("GET /keys/rotate HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(get.starts_with("HTTP/1.1 405 ") && get.contains("allow: POST"), "{get}");
    assert_eq!(running.notes.taken(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_let_go() {
    let running = running().await;
    let mut silent = UnixStream::connect(&running.path).await.unwrap();
    let mut rest = Vec::new();
    silent.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"");
    let mut slow = UnixStream::connect(&running.path).await.unwrap();
    slow.write_all(b"POST /sessions/revoke HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{").await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(running.notes.taken(), Vec::<String>::new());
}

#[tokio::test]
async fn something_else_at_the_other_end_is_said_to_be_that() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    for answer in ["SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", ""] {
        let client = Client::new(&path);
        let (asked, served) = tokio::join!(client.status(), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let () = served;
        assert!(matches!(asked.unwrap_err(), ClientError::Broken { .. }), "{answer:?}");
    }
}

/// The command was killed, and its server stops too: what was begun is still noted.
#[tokio::test]
async fn a_change_is_noted_although_nobody_waits_for_it() {
    let run = running().await;
    let order = json!({ "user": SLOW }).to_string();
    let mut stream = UnixStream::connect(&run.path).await.unwrap();
    let head = format!("POST /sessions/revoke HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", order.len());
    stream.write_all((head + &order).as_bytes()).await.unwrap();
    while run.notes.taken().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(stream);
    run.task.abort();
    while !run.task.is_finished() {
        tokio::task::yield_now().await;
    }
    run.notes.1.notify_one();
    let mut events = run.events();
    for _ in 0..10_000 {
        if !events.is_empty() {
            break;
        }
        tokio::task::yield_now().await;
        events = run.events();
    }
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((&events[0]["reason"], &events[0]["ended"]), (&json!("sessions_revoked"), &json!("2")));
}

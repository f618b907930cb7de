//! The socket, the server and the client together, over a control that remembers what it was told.

mod requests;
mod socket;

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

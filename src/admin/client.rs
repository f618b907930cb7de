//! The other end: what commands use.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixStream;

use super::domains::{DomainList, DomainOrder, DomainSwitched};
use super::types::{
    KeyList, NativeList, Revoked, SessionList, Status, Story, SwitchOrder, Switched, UserDone, UserList, UserOrder,
    Which,
};

/// How long the process may take to take the connection.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// How long it may take to answer: longer than it gives itself.
const ANSWER_TIME: Duration = Duration::from_secs(90);
/// Ten thousand sessions are far below this.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Why a command got no answer, or not the one it wanted. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody is there.
    #[error(
        "no process answers at {}: is `anteroom serve` running here, with the same configuration? If its socket is \
         elsewhere, name it with --socket", path.display()
    )]
    NobodyThere { path: PathBuf, source: io::Error },
    /// The file or the process refuses this user.
    #[error("{} may be used by Anteroom's own user and by root alone: run the command as one of them", path.display())]
    NotAllowed { path: PathBuf },
    /// It is no admin socket, or the process ended meanwhile.
    #[error("the process at {} gave no answer that makes sense", path.display())]
    Broken { path: PathBuf, source: Option<Box<dyn std::error::Error + Send + Sync>> },
    /// The process says why it cannot be done.
    #[error("{0}")]
    Refused(String),
}

/// A way to the process behind a socket. Each call is a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
}

impl Client {
    /// To the process whose admin socket is at `path`; nothing is asked yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// `GET /status`
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get("/status").await
    }

    /// `GET /sessions`: those that `which` names, everybody's if it names none; `limit` from 1 to 10,000.
    pub async fn sessions(&self, which: &Which, limit: u32) -> Result<SessionList, ClientError> {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let Which { reference, user, connector, sub, domain, all: _ } = which;
        for (key, value) in
            [("reference", reference), ("user", user), ("connector", connector), ("sub", sub), ("domain", domain)]
        {
            if let Some(value) = value {
                query.append_pair(key, value);
            }
        }
        query.append_pair("limit", &limit.to_string());
        self.get(&format!("/sessions?{}", query.finish())).await
    }

    /// `POST /sessions/revoke`
    pub async fn revoke(&self, which: &Which) -> Result<Revoked, ClientError> {
        self.post("/sessions/revoke", which).await
    }

    /// `GET /keys`
    pub async fn keys(&self) -> Result<KeyList, ClientError> {
        self.get("/keys").await
    }

    /// `POST /keys/rotate`
    pub async fn rotate_keys(&self) -> Result<KeyList, ClientError> {
        self.post("/keys/rotate", &Value::Object(serde_json::Map::new())).await
    }

    /// `GET /native`: of `app`, or of all; `limit` from 1 to 10,000.
    pub async fn native(&self, app: Option<&str>, limit: u32) -> Result<NativeList, ClientError> {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", &limit.to_string());
        if let Some(app) = app {
            query.append_pair("app", app);
        }
        self.get(&format!("/native?{}", query.finish())).await
    }

    /// `GET /explain/REFERENCE`
    pub async fn explain(&self, reference: &str) -> Result<Story, ClientError> {
        self.get(&format!("/explain/{}", utf8_percent_encode(reference, NON_ALPHANUMERIC))).await
    }

    /// `POST /connectors/ID/…`
    pub async fn switch_connector(&self, id: &str, off: bool, order: SwitchOrder) -> Result<Switched, ClientError> {
        let id = utf8_percent_encode(id, NON_ALPHANUMERIC);
        self.post(&format!("/connectors/{id}/{}", if off { "disable" } else { "enable" }), &order).await
    }

    /// `GET /domains`
    pub async fn domains(&self) -> Result<DomainList, ClientError> {
        self.get("/domains").await
    }

    /// `POST /domains/NAME/disable`
    pub async fn disable_domain(&self, name: &str, order: SwitchOrder) -> Result<DomainSwitched, ClientError> {
        self.post(&format!("/domains/{}/disable", utf8_percent_encode(name, NON_ALPHANUMERIC)), &order).await
    }

    /// `POST /domains/NAME/enable`
    pub async fn enable_domain(&self, name: &str, order: &DomainOrder) -> Result<DomainSwitched, ClientError> {
        self.post(&format!("/domains/{}/enable", utf8_percent_encode(name, NON_ALPHANUMERIC)), order).await
    }

    /// `GET /users`: those of `address`, everybody if there is none; `limit` from 1 to 1,000.
    pub async fn users(&self, address: Option<&str>, limit: u32) -> Result<UserList, ClientError> {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if let Some(address) = address {
            query.append_pair("address", address);
        }
        query.append_pair("limit", &limit.to_string());
        self.get(&format!("/users?{}", query.finish())).await
    }

    /// `POST /users/USER/WHAT`: an address or id, and `deactivate`, `activate` or `unlink`.
    pub async fn change_user(&self, user: &str, what: &str, order: &UserOrder) -> Result<UserDone, ClientError> {
        let user = utf8_percent_encode(user, NON_ALPHANUMERIC);
        self.post(&format!("/users/{user}/{what}"), order).await
    }

    async fn get<T: DeserializeOwned>(&self, target: &str) -> Result<T, ClientError> {
        self.ask(Method::GET, target, Vec::new()).await
    }

    async fn post<T: DeserializeOwned>(&self, target: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| self.broken(error))?;
        self.ask(Method::POST, target, body).await
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, target: &str, body: Vec<u8>) -> Result<T, ClientError> {
        let stream = self.connect().await?;
        let exchange = tokio::time::timeout(ANSWER_TIME, self.exchange(stream, method, target, body));
        let (status, body) = exchange.await.map_err(|error| self.broken(error))??;
        if status == StatusCode::OK {
            return serde_json::from_slice(&body).map_err(|error| self.broken(error));
        }
        if status == StatusCode::FORBIDDEN {
            return Err(ClientError::NotAllowed { path: self.path.clone() });
        }
        let problem: Value = serde_json::from_slice(&body).map_err(|error| self.broken(error))?;
        let message = problem.get("message").and_then(Value::as_str);
        let broken = || ClientError::Broken { path: self.path.clone(), source: None };
        Err(ClientError::Refused(message.ok_or_else(broken)?.to_owned()))
    }

    async fn connect(&self) -> Result<UnixStream, ClientError> {
        let path = self.path.clone();
        match tokio::time::timeout(CONNECT_TIME, UnixStream::connect(&self.path)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) if error.kind() == ErrorKind::PermissionDenied => Err(ClientError::NotAllowed { path }),
            Ok(Err(source)) => Err(ClientError::NobodyThere { path, source }),
            Err(_) => Err(ClientError::NobodyThere { path, source: ErrorKind::TimedOut.into() }),
        }
    }

    async fn exchange(
        &self,
        stream: UnixStream,
        method: Method,
        target: &str,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.broken(error))?;
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, "anteroom")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| self.broken(error))?;
        let talk = async {
            let answer = sender.send_request(request).await.map_err(|error| self.broken(error))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
            let body = body.map_err(|source| ClientError::Broken { path: self.path.clone(), source: Some(source) })?;
            Ok((status, body.to_bytes()))
        };
        tokio::pin!(talk);
        tokio::pin!(connection);
        // The connection ends when the answer is read, or is why there is none: then the talk says so.
        tokio::select! {
            result = &mut talk => result,
            _ = &mut connection => talk.await,
        }
    }

    fn broken(&self, source: impl std::error::Error + Send + Sync + 'static) -> ClientError {
        ClientError::Broken { path: self.path.clone(), source: Some(Box::new(source)) }
    }
}

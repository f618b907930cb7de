//! The local admin socket: how a command asks or changes the running process. HTTP/1.1 with JSON over a Unix socket that
//! only Anteroom's own user and root may use; nothing of it is reachable from the network.
//!
//! | request | what it does |
//! | --- | --- |
//! | `GET /status` | version, process, sessions, keys, switches |
//! | `GET /sessions?user=&connector=&sub=&domain=&reference=&limit=` | lists sessions |
//! | `POST /sessions/revoke` | ends the sessions that a [`Which`] names |
//! | `GET /keys`, `POST /keys/rotate` | lists keys, makes new ones |
//! | `GET /native?app=&limit=` | who uses the applications' own credentials |
//! | `GET /explain/REFERENCE` | what was decided under a reference |
//! | `GET /users?address=&limit=` | lists users |
//! | `POST /users/ADDRESS-OR-ID/{deactivate,activate,unlink}` | who may sign in |
//! | `POST /connectors/ID/{disable,enable}` | switches one off or on |
//! | `GET /domains`, `POST /domains/NAME/{disable,enable}` | lists domains, switches one off or on, for all or some |
//!
//! The server ([`serve`]) knows no store and no session: it hands what it read to a [`Control`], which `app` implements
//! on the running parts. Every change is an audit event, `admin.changed`, with the local user's id.

mod client;
mod domains;
mod routes;
mod server;
mod socket;
#[cfg(test)]
mod tests;
mod types;

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::email::EmailDomain;
use crate::directory::{Explained, Extent, Selector, SwitchKind};
use crate::signin::UserChange;

pub use client::{Client, ClientError};
pub use domains::{DomainList, DomainOrder, DomainSwitched, DomainView, ExtentView, LaterView};
pub use server::serve;
pub use socket::{Socket, SocketError, check, open};
pub use types::{
    IdentityView, KeyList, KeyView, MembershipView, NativeList, NativeView, Revoked, SessionList, SessionView, Status,
    Story, SwitchOrder, SwitchView, Switched, UserDone, UserList, UserOrder, UserView, Which,
};

/// What the running process can be asked and told. Each call may come from several connections at once.
#[async_trait]
pub trait Control: Send + Sync {
    /// How the process is.
    async fn status(&self) -> Result<Status, ControlError>;

    /// The sessions that `which` selects, newest first, at most `limit`.
    async fn sessions(&self, which: &Selector, limit: u32) -> Result<Vec<SessionView>, ControlError>;

    /// Ends the sessions that `which` selects, in every process. How many.
    async fn revoke(&self, which: &Selector) -> Result<u64, ControlError>;

    /// All keys: sealing keys first, each kind oldest first.
    async fn keys(&self) -> Result<Vec<KeyView>, ControlError>;

    /// Makes a new key of each kind, used once everybody knows it. All keys.
    async fn rotate_keys(&self) -> Result<Vec<KeyView>, ControlError>;

    /// The native identities of `app`, or of all, those used last first, at most `limit`.
    ///
    /// # Errors
    /// [`ControlError::NotFound`]: the configuration has no such app.
    async fn native(&self, app: Option<&str>, limit: u32) -> Result<Vec<NativeView>, ControlError>;

    /// What is kept under `reference`, oldest first; empty: nothing.
    async fn explain(&self, reference: &str) -> Result<Vec<Explained>, ControlError>;

    /// Users, newest first, at most `limit`; with `address` only those who have it.
    async fn users(&self, address: Option<&str>, limit: u32) -> Result<Vec<UserView>, ControlError>;

    /// Does what an administrator decided about the user `name`: an id or an address.
    ///
    /// # Errors
    /// [`ControlError::NotFound`]: there is no such user, or nothing to change; [`ControlError::Unclear`]: several.
    async fn change_user(&self, name: &str, change: &UserChange) -> Result<UserDone, ControlError>;

    /// The domains of the configuration and of the directory, by name.
    async fn domains(&self) -> Result<Vec<DomainView>, ControlError>;

    /// How one domain is, whether or not anything is known of it.
    async fn domain(&self, name: &EmailDomain) -> Result<DomainView, ControlError>;

    /// Switches a domain on in every process: for the people of `extent`, at once or from `from` on.
    ///
    /// # Errors
    /// [`ControlError::Refused`]: that moment has passed.
    async fn enable_domain(
        &self,
        name: &EmailDomain,
        extent: &Extent,
        from: Option<Timestamp>,
    ) -> Result<(), ControlError>;

    /// Switches a connector off or on, or a domain off, in every process. `end_sessions` over `sessions.on_disable`;
    /// without meaning when it is switched on. How many sessions ended; `None`: they were to be kept.
    ///
    /// # Errors
    /// [`ControlError::NotFound`]: the configuration has no such connector.
    async fn switch(
        &self,
        kind: SwitchKind,
        name: &str,
        off: bool,
        end_sessions: Option<bool>,
    ) -> Result<Option<u64>, ControlError>;
}

/// Why the process could not do what it was asked. The text is shown to the operator.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// What was named is not there.
    #[error("{0}")]
    NotFound(String),
    /// What was named may be several things.
    #[error("{0}")]
    Unclear(String),
    /// It makes no sense.
    #[error("{0}")]
    Refused(String),
    /// It did not work now: the directory is away, the keys' directory cannot be written.
    #[error("it could not be done")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ControlError {
    /// From whatever went wrong.
    pub fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Failed(Box::new(error))
    }
}

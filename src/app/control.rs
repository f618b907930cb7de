//! What the admin socket asks and tells the running parts.

use std::sync::Arc;

use async_trait::async_trait;

use crate::admin::{Control, ControlError, Explanation, KeyView, SessionView, Status, SwitchView};
use crate::base::clock::{Clock, Tick, Timestamp};
use crate::base::keys::KeyRing;
use crate::config::{Config, DirectoryLocation, SessionsStore};
use crate::directory::{Directory, Page, Selector, SessionRow, SwitchKind, Switchboard};
use crate::explain::Recorder;
use crate::session::{Limits, SessionStore, write_uses};
use crate::signin::SwitchError;
use crate::web::Site;

/// The running parts that commands reach.
pub(super) struct Running {
    pub(super) site: Arc<Site>,
    pub(super) sessions: SessionStore,
    pub(super) directory: Directory,
    pub(super) switchboard: Switchboard,
    pub(super) keys: Arc<KeyRing>,
    pub(super) explain: Recorder,
    pub(super) clock: Clock,
    pub(super) since: (Timestamp, Tick),
    /// `sqlite`, `postgres` or `memory`.
    pub(super) kind: &'static str,
    pub(super) connectors: Vec<String>,
    pub(super) domains: Vec<String>,
}

/// What kind of directory the configuration names.
pub(super) fn kind(config: &Config) -> &'static str {
    match (config.sessions.store, &config.directory.location) {
        (SessionsStore::Memory, _) => "memory",
        (SessionsStore::Directory, DirectoryLocation::Sqlite(_)) => "sqlite",
        (SessionsStore::Directory, DirectoryLocation::Postgres(_)) => "postgres",
    }
}

impl Running {
    fn switches(&self, kind: SwitchKind, names: &[String]) -> Vec<SwitchView> {
        let view = |name: &String| SwitchView { name: name.clone(), on: !self.switchboard.is_off(kind, name) };
        names.iter().map(view).collect()
    }

    fn view(&self, row: SessionRow) -> SessionView {
        let now = self.clock.now();
        let Limits { idle, absolute } = *self.sessions.limits();
        let unused = now.since(row.last_used);
        let left = idle.saturating_sub(unused).min(absolute.saturating_sub(now.since(row.created_at)));
        SessionView {
            reference: row.reference,
            user: row.identity.email.as_str().to_owned(),
            connector: row.identity.connector.to_string(),
            created: row.created_at.rfc3339(),
            last_used: row.last_used.rfc3339(),
            idle_secs: unused.as_secs(),
            secs_left: left.as_secs(),
            acr: row.acr,
            amr: row.amr,
        }
    }
}

#[async_trait]
impl Control for Running {
    async fn status(&self) -> Result<Status, ControlError> {
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            since: self.since.0.rfc3339(),
            up_secs: self.clock.tick().since(self.since.1).as_secs(),
            sessions_held: self.sessions.count(),
            directory: self.kind.to_owned(),
            keys: self.keys.list().iter().map(KeyView::from).collect(),
            connectors: self.switches(SwitchKind::Connector, &self.connectors),
            domains: self.switches(SwitchKind::Domain, &self.domains),
        })
    }

    async fn sessions(&self, which: &Selector, limit: u32) -> Result<Vec<SessionView>, ControlError> {
        // So that "last used" is true to the second.
        write_uses(&self.sessions).await;
        let rows = self.directory.sessions.list(which, &Page { limit }).await.map_err(ControlError::failed)?;
        // Those past their limits are there until they are forgotten.
        Ok(rows.into_iter().map(|row| self.view(row)).filter(|view| view.secs_left > 0).collect())
    }

    async fn revoke(&self, which: &Selector) -> Result<u64, ControlError> {
        let ended = self.site.sign_in().revoke(which, "revoked").await.map_err(ControlError::failed)?;
        Ok(ended.count)
    }

    async fn keys(&self) -> Result<Vec<KeyView>, ControlError> {
        Ok(self.keys.list().iter().map(KeyView::from).collect())
    }

    async fn rotate_keys(&self) -> Result<Vec<KeyView>, ControlError> {
        let keys = self.keys.clone();
        let rotated = tokio::task::spawn_blocking(move || keys.rotate_now()).await.map_err(ControlError::failed)?;
        let list = rotated.map_err(ControlError::failed)?;
        // A process that shares the database and starts with the new keys alone is still one of ours.
        let fingerprints = self.keys.fingerprints();
        self.directory.keys.share(&fingerprints, self.clock.now()).await.map_err(ControlError::failed)?;
        Ok(list.iter().map(KeyView::from).collect())
    }

    async fn explain(&self, reference: &str) -> Result<Vec<Explanation>, ControlError> {
        let story = self.explain.of(&self.directory, reference).await.map_err(ControlError::failed)?;
        Ok(story.iter().map(Explanation::from).collect())
    }

    async fn switch(
        &self,
        kind: SwitchKind,
        name: &str,
        off: bool,
        end_sessions: Option<bool>,
    ) -> Result<Option<u64>, ControlError> {
        let sign_in = self.site.sign_in();
        let result = match off {
            true => sign_in.disable(kind, name, end_sessions).await,
            false => sign_in.enable(kind, name).await.map(|()| None),
        };
        result.map_err(|error| match error {
            SwitchError::Unknown { .. } => ControlError::NotFound(error.to_string()),
            error => ControlError::failed(error),
        })
    }
}

//! What commands ask over the admin socket, answered from the running parts.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

use crate::admin::{
    Control, ControlError, DomainView, KeyView, NativeView, SessionView, Status, SwitchView, UserDone, UserView,
};
use crate::base::clock::{Clock, Timestamp};
use crate::base::email::EmailDomain;
use crate::base::id::Id;
use crate::base::keys::{KeyInfo, KeyRing};
use crate::config::{Config, DirectoryLocation, SessionsStore};
use crate::directory::{
    Directory, Explained, Extent, NativeIdentity, Page, Selector, SessionRow, SwitchKind, Switchboard,
};
use crate::explain::Recorder;
use crate::legacy::native::Native;
use crate::session::{SessionStore, write_uses};
use crate::signin::{SwitchError, UserChange, UserChanged, UserError};
use crate::web::Site;

use super::domains::Domains;

/// The running parts that commands reach.
pub(super) struct Reached {
    pub(super) directory: Directory,
    pub(super) sessions: SessionStore,
    pub(super) switchboard: Switchboard,
    pub(super) keys: Arc<KeyRing>,
    pub(super) site: Arc<Site>,
    pub(super) explain: Recorder,
    pub(super) native: Arc<Native>,
    pub(super) clock: Clock,
}

/// The running parts, as commands see them.
pub(super) struct Controls {
    reached: Reached,
    since: Timestamp,
    kind: &'static str,
    connectors: BTreeSet<String>,
    domains: Domains,
    apps: BTreeSet<Id>,
}

impl Controls {
    pub(super) fn new(config: &Config, reached: Reached) -> Self {
        let kind = match (config.sessions.store, &config.directory.location) {
            (SessionsStore::Memory, _) => "memory",
            (SessionsStore::Directory, DirectoryLocation::Sqlite(_)) => "sqlite",
            (SessionsStore::Directory, DirectoryLocation::Postgres(_)) => "postgres",
        };
        Self {
            since: reached.clock.now(),
            kind,
            connectors: config.connectors.keys().map(|id| id.as_str().to_owned()).collect(),
            apps: config.apps.keys().cloned().collect(),
            domains: Domains::new(config),
            reached,
        }
    }

    fn switches(&self, kind: SwitchKind, names: &BTreeSet<String>) -> Vec<SwitchView> {
        let view = |name: &String| SwitchView { name: name.clone(), on: !self.reached.switchboard.is_off(kind, name) };
        names.iter().map(view).collect()
    }

    /// None for a session that is over and not yet forgotten.
    fn view(&self, row: &SessionRow, now: Timestamp) -> Option<SessionView> {
        let limits = self.reached.sessions.limits();
        let ends = row.last_used.plus(limits.idle).min(row.created_at.plus(limits.absolute));
        (now < ends).then(|| SessionView {
            reference: row.reference,
            user: row.identity.email.as_str().to_owned(),
            connector: row.identity.connector.as_str().to_owned(),
            created: row.created_at.rfc3339(),
            last_used: row.last_used.rfc3339(),
            idle_secs: now.since(row.last_used).as_secs(),
            secs_left: ends.since(now).as_secs(),
            acr: row.acr.clone(),
            amr: row.amr.clone(),
        })
    }
}

fn views(keys: &[KeyInfo]) -> Vec<KeyView> {
    keys.iter().map(KeyView::from).collect()
}

#[async_trait]
impl Control for Controls {
    async fn status(&self) -> Result<Status, ControlError> {
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            since: self.since.rfc3339(),
            up_secs: self.reached.clock.now().since(self.since).as_secs(),
            sessions_held: self.reached.sessions.count(),
            directory: self.kind.to_owned(),
            keys: views(&self.reached.keys.list()),
            connectors: self.switches(SwitchKind::Connector, &self.connectors),
            domains: self.switches(SwitchKind::Domain, &self.domains.configured()),
        })
    }

    async fn sessions(&self, which: &Selector, limit: u32) -> Result<Vec<SessionView>, ControlError> {
        // So that "last used" is true to the second.
        write_uses(&self.reached.sessions).await;
        let rows = self.reached.directory.sessions.list(which, &Page { limit }).await.map_err(ControlError::failed)?;
        let now = self.reached.clock.now();
        Ok(rows.iter().filter_map(|row| self.view(row, now)).collect())
    }

    async fn revoke(&self, which: &Selector) -> Result<u64, ControlError> {
        let ended = self.reached.site.sign_in().revoke(which, "revoked").await;
        ended.map(|ended| ended.count).map_err(ControlError::failed)
    }

    async fn users(&self, address: Option<&str>, limit: u32) -> Result<Vec<UserView>, ControlError> {
        let found = self.reached.directory.users.list(address, &Page { limit }).await.map_err(ControlError::failed)?;
        Ok(found.iter().map(UserView::from).collect())
    }

    async fn change_user(&self, name: &str, change: &UserChange) -> Result<UserDone, ControlError> {
        let changed = self.reached.site.sign_in().change_user(name, change).await;
        let UserChanged { id, address, ended } = changed.map_err(|error| match error {
            UserError::Unknown(_) | UserError::NotLinked { .. } => ControlError::NotFound(error.to_string()),
            UserError::Several { .. } => ControlError::Unclear(error.to_string()),
            error @ UserError::Directory(_) => ControlError::failed(error),
        })?;
        Ok(UserDone { id, address, ended })
    }

    async fn keys(&self) -> Result<Vec<KeyView>, ControlError> {
        Ok(views(&self.reached.keys.list()))
    }

    async fn rotate_keys(&self) -> Result<Vec<KeyView>, ControlError> {
        let keys = self.reached.keys.clone();
        let rotated = tokio::task::spawn_blocking(move || keys.rotate_now()).await.map_err(ControlError::failed)?;
        let rotated = rotated.map_err(ControlError::failed)?;
        // The directory keeps the names of the keys it was used with.
        let names = self.reached.keys.fingerprints();
        self.reached.directory.keys.share(&names, self.reached.clock.now()).await.map_err(ControlError::failed)?;
        Ok(views(&rotated))
    }

    async fn native(&self, app: Option<&str>, limit: u32) -> Result<Vec<NativeView>, ControlError> {
        let unknown = |name: &str| ControlError::NotFound(format!("the configuration has no app {name:?}"));
        let app = app.map(|name| self.apps.get(name).ok_or_else(|| unknown(name))).transpose()?;
        let found = self.reached.native.list(app, limit).await.map_err(ControlError::failed)?;
        let now = self.reached.clock.now();
        let view = |kept: NativeIdentity| NativeView {
            app: kept.app.to_string(),
            kind: kept.kind.word().to_owned(),
            name: kept.name,
            first: kept.first.rfc3339(),
            last: kept.last.rfc3339(),
            count: kept.count,
            source: kept.source.to_string(),
            email_shaped: kept.email_shaped,
            idle_secs: now.since(kept.last).as_secs(),
        };
        Ok(found.into_iter().map(view).collect())
    }

    async fn explain(&self, reference: &str) -> Result<Vec<Explained>, ControlError> {
        self.reached.explain.of(&self.reached.directory, reference).await.map_err(ControlError::failed)
    }

    async fn domains(&self) -> Result<Vec<DomainView>, ControlError> {
        Ok(self.domains.views(&self.reached.switchboard, self.reached.clock.now()))
    }

    async fn domain(&self, name: &EmailDomain) -> Result<DomainView, ControlError> {
        Ok(self.domains.view(name, &self.reached.switchboard, self.reached.clock.now()))
    }

    async fn enable_domain(
        &self,
        name: &EmailDomain,
        extent: &Extent,
        from: Option<Timestamp>,
    ) -> Result<(), ControlError> {
        let done = self.reached.site.sign_in().enable_domain(name, extent, from).await;
        done.map(drop).map_err(switch_failed)
    }

    async fn switch(
        &self,
        kind: SwitchKind,
        name: &str,
        off: bool,
        end_sessions: Option<bool>,
    ) -> Result<Option<u64>, ControlError> {
        let sign_in = self.reached.site.sign_in();
        let result = match off {
            true => sign_in.disable(kind, name, end_sessions).await,
            false => sign_in.enable(kind, name).await.map(|()| None),
        };
        result.map_err(switch_failed)
    }
}

fn switch_failed(error: SwitchError) -> ControlError {
    match error {
        SwitchError::UnknownConnector { .. } | SwitchError::NoDomain { .. } => {
            ControlError::NotFound(error.to_string())
        }
        SwitchError::Passed { .. } => ControlError::Refused(error.to_string()),
        SwitchError::Directory(_) | SwitchError::Sessions(_) => ControlError::failed(error),
    }
}

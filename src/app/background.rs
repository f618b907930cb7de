//! What runs beside requests for as long as the process lives.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::admin::{self, Socket};
use crate::audit::Audit;
use crate::base::app_log::error_chain;
use crate::base::clock::Clock;
use crate::base::keys::{KeyRing, Rotation};
use crate::connector::SamlProvider;
use crate::directory::Directory;
use crate::explain::Recorder;
use crate::legacy::native::Native;
use crate::session::{DueRenewals, Follower, Renewals, SessionStore, look_after, write_uses};

use super::control::Controls;

/// How often keys are looked at: often enough that a key made by another process on the same directory is published
/// here before it signs there.
const KEYS_EVERY: Duration = Duration::from_secs(300);

/// How often a SAML provider's metadata is looked after: a file that was changed, a URL that is due, a warning.
const METADATA_EVERY: Duration = Duration::from_secs(10);

/// How long the last uses may take to be written at the end.
const LAST_WRITE: Duration = Duration::from_secs(2);

/// How long renewals under way may take to end at the end: the provider has taken their refresh tokens, perhaps, and
/// what it gave for them would be lost.
const LAST_RENEWALS: Duration = Duration::from_secs(3);

/// The parts of it.
pub(super) struct Background {
    pub(super) keys: Arc<KeyRing>,
    pub(super) sessions: SessionStore,
    pub(super) follower: Follower,
    pub(super) renewals: Renewals,
    pub(super) due: DueRenewals,
    pub(super) explain: (Recorder, Directory, Clock),
    pub(super) native: Arc<Native>,
    pub(super) saml: Vec<Arc<SamlProvider>>,
    /// The admin socket, if there is one, and who answers there.
    pub(super) admin: Option<(Socket, Arc<Controls>, Arc<Audit>)>,
}

/// The tasks, once they run.
pub(super) struct BackgroundTasks {
    tasks: JoinSet<()>,
    sessions: SessionStore,
    renewals: Renewals,
    explain: (Recorder, Directory),
    native: Arc<Native>,
}

impl Background {
    /// Whether sessions in memory are as new as they must be: what readiness depends on.
    pub(super) fn sessions(&self) -> SessionStore {
        self.sessions.clone()
    }

    pub(super) fn start(self) -> BackgroundTasks {
        let Self { keys, sessions, follower, renewals, due, explain, native, saml, admin } = self;
        let (recorder, directory, clock) = explain;
        let mut tasks = JoinSet::new();
        tasks.spawn(look_after_keys(keys));
        tasks.spawn(follower.run());
        tasks.spawn(look_after(sessions.clone()));
        tasks.spawn(renewals.clone().run(due));
        tasks.spawn(recorder.clone().run(directory.clone(), clock));
        tasks.spawn(native.clone().run());
        for provider in saml {
            tasks.spawn(look_after_metadata(provider));
        }
        if let Some((socket, controls, audit)) = admin {
            tasks.spawn(admin::serve(socket, controls, audit));
        }
        BackgroundTasks { tasks, sessions, renewals, explain: (recorder, directory), native }
    }
}

impl BackgroundTasks {
    /// Resolves when one of them has ended by itself, which none does: without it revocations would not be heard of, or
    /// tokens not renewed, and nobody would notice.
    pub(super) async fn failed(&mut self) -> io::Error {
        match self.tasks.join_next().await {
            Some(Err(error)) => io::Error::other(error),
            Some(Ok(())) | None => io::Error::other("a background task ended"),
        }
    }

    /// Ends them; what is only in memory is written first.
    pub(super) async fn stop(mut self) {
        self.tasks.abort_all();
        let written = tokio::time::timeout(LAST_WRITE, write_uses(&self.sessions));
        let renewed = tokio::time::timeout(LAST_RENEWALS, self.renewals.finished());
        let (written, renewed) = tokio::join!(written, renewed);
        if renewed.is_err() {
            tracing::warn!("renewals under way were cut off: some of their sessions may have to sign in again");
        }
        if written.is_err() {
            tracing::warn!("the last uses of sessions could not be written: they count as idle a minute longer");
        }
        let (recorder, directory) = &self.explain;
        if !matches!(tokio::time::timeout(LAST_WRITE, recorder.flush(directory)).await, Ok(Ok(()))) {
            tracing::warn!("the last refusals could not be kept for anteroom explain");
        }
        if !matches!(tokio::time::timeout(LAST_WRITE, self.native.flush()).await, Ok(Ok(()))) {
            tracing::warn!("the last uses of native credentials could not be listed");
        }
        // Nothing is lost without it; the next process finds a database that was put away.
        drop(tokio::time::timeout(LAST_WRITE, directory.close()).await);
    }
}

/// Keeps a SAML provider's metadata new: a certificate that is taken back counts no longer, whether or not anybody signs
/// in (S30).
async fn look_after_metadata(provider: Arc<SamlProvider>) {
    let mut often = tokio::time::interval(METADATA_EVERY);
    loop {
        often.tick().await;
        provider.source().refresh().await;
    }
}

/// Rotates the assertion key when it is due, and picks up keys that an operator put there.
async fn look_after_keys(keys: Arc<KeyRing>) {
    let mut often = tokio::time::interval(KEYS_EVERY);
    loop {
        often.tick().await;
        let keys = keys.clone();
        match tokio::task::spawn_blocking(move || keys.rotate_if_due()).await {
            Ok(Ok(Rotation::Unchanged)) => {}
            Ok(Ok(rotation)) => tracing::info!(rotation = ?rotation, "keys changed"),
            Ok(Err(error)) => {
                tracing::error!(error = error_chain(&error), "cannot look after the keys; those loaded stay in use");
            }
            Err(error) => tracing::error!(error = %error, "looking after the keys ended in a panic: please report it"),
        }
    }
}

//! Renewal of the provider's tokens, in the background of use: once per session however many requests and processes
//! race, and never the end of a session that is still good, unless the provider says that it is over (O39, O40).
//!
//! A session in use whose renewal is due is claimed here (`Session::claim_renewal`), then in the directory for this process
//! (`lease`). Nothing waits in a queue for better times: what cannot be renewed now is due again later, by the session's
//! own `renew_at`, the next time that it is used. So an outage leaves no storm behind it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use uuid::Uuid;

use crate::audit::{Audit, Event, Outcome};
use crate::base::app_log::error_chain;
use crate::base::id::Id;
use crate::base::random;
use crate::connector::{Before, Provider, ProviderError, RefreshFailed, Refreshed, RenewalPermit, TokenSet};
use crate::directory::{DirectoryError, Lease, Renewed, Selector, SessionRow};

use super::store::Due;
use super::{DueRenewals, ProviderTokens, SessionStore};

/// How long a claim counts. Longer than a call to a provider and the difference of clocks; who dies with a claim delays
/// a renewal by this.
const CLAIM: Duration = Duration::from_secs(180);
/// The least and the most between two tries while a provider does not answer.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(900));
/// When somebody else holds the claim.
const BUSY: Duration = Duration::from_secs(10);
/// How often what a provider gave is offered to a directory that does not take it, and the time between. A refresh token
/// works once: losing the new one ends the session.
const WRITES: u32 = 60;
const BETWEEN_WRITES: Duration = Duration::from_secs(1);
/// Never sooner than this after the last renewal.
const LEAST: Duration = Duration::from_secs(10);

/// Renews the tokens of sessions in use.
pub struct Renewals {
    store: SessionStore,
    providers: BTreeMap<Id, Arc<Provider>>,
    audit: Arc<Audit>,
    /// This process, in claims.
    owner: Uuid,
}

/// When tokens of this life should be renewed: at three quarters of it, less up to a tenth at random, so that sessions
/// of one minute do not meet again in one minute. None: they have no end.
pub fn renew_after(expires_in: Option<Duration>) -> Option<Duration> {
    let life = expires_in?;
    let quarters = life.mul_f64(0.75);
    Some(quarters.saturating_sub(jitter(life / 10)).max(LEAST.min(life)))
}

/// A random part of `most`.
fn jitter(most: Duration) -> Duration {
    most.mul_f64(f64::from(u32::from_le_bytes(random::bytes())) / f64::from(u32::MAX))
}

impl Renewals {
    /// Renews at `providers`.
    pub fn new(store: SessionStore, providers: BTreeMap<Id, Arc<Provider>>, audit: Arc<Audit>) -> Self {
        Self { store, providers, audit, owner: Uuid::from_bytes(random::bytes()) }
    }

    /// Renews what becomes due, until the store is gone.
    pub async fn run(self, mut due: DueRenewals) {
        let this = Arc::new(self);
        while let Some(due) = due.0.recv().await {
            let Some(provider) = this.providers.get(due.session.connector()) else {
                due.session.renew_next(None);
                continue;
            };
            // No more at a time, and no more a second, than the provider can bear: the rest comes again when it is used.
            match provider.begin_renewal() {
                Ok(permit) => {
                    let (this, provider) = (this.clone(), provider.clone());
                    tokio::spawn(async move { this.renew(&due, &provider, permit).boxed().await });
                }
                Err(wait) => this.later(&due, wait + jitter(wait)),
            }
        }
    }

    fn later(&self, due: &Due, wait: Duration) {
        due.session.renew_next(Some(self.store.now().plus(wait)));
    }

    async fn renew(&self, due: &Due, provider: &Provider, permit: RenewalPermit) {
        let session = &due.session;
        let (now, until) = (self.store.wall(), self.store.wall().plus(CLAIM));
        let sessions = &self.store.inner().directory.sessions;
        let row = match sessions.lease(session.reference(), session.version(), self.owner, now, until).await {
            Ok(Lease::Taken(row)) => *row,
            // Somebody was faster: theirs is what counts.
            Ok(Lease::Changed(row)) => return self.take_over(due, &row),
            Ok(Lease::Busy) => return self.later(due, BUSY + jitter(BUSY)),
            Ok(Lease::Gone) => return self.store.end_here(&due.key, session),
            Err(_) => return self.later(due, BACK_OFF.0 + jitter(BACK_OFF.0)),
        };
        let tokens = row.secrets.as_deref();
        let tokens = tokens.and_then(|sealed| ProviderTokens::open(row.reference, sealed, &self.store.inner().sealer));
        let tokens = tokens.and_then(|tokens| Some((tokens.refresh_token?, tokens.id_token?)));
        // Sealed with a key that is retired, or never there: the session lasts to its own limits.
        let Some((refresh_token, id_token)) = tokens else { return session.renew_next(None) };
        let before = Before {
            identity: &row.identity,
            provider_sub: &row.provider_sub,
            id_token: &id_token,
            auth_time: row.auth_time,
            acr: row.acr.as_deref(),
            amr: &row.amr,
        };
        match provider.refresh(permit, &refresh_token, &before).await {
            Ok(refreshed) => self.renewed(due, row, refreshed).await,
            Err(error) if error.ends_session() => self.over(due, &row, &error.cause).await,
            Err(RefreshFailed { cause, rotated: None }) => {
                let wait = self.back_off(due, &cause);
                // If this is not written, the claim runs out by itself.
                drop(sessions.release(row.reference, self.owner, now.plus(wait)).await);
                self.later(due, wait);
            }
            // The old refresh token is used up all the same.
            Err(RefreshFailed { cause, rotated: Some(rotated) }) => {
                let wait = self.back_off(due, &cause);
                let kept = ProviderTokens { id_token: Some(id_token), refresh_token: Some(rotated) };
                let renewed = Renewed {
                    identity: row.identity.clone(),
                    auth_time: row.auth_time,
                    acr: row.acr.clone(),
                    amr: row.amr.clone(),
                    secrets: kept.seal(row.reference, &self.store.inner().sealer),
                    renew_at: Some(now.plus(wait)),
                };
                self.write(due, row, renewed).await;
            }
        }
    }

    /// The provider gave new tokens and claims.
    async fn renewed(&self, due: &Due, row: SessionRow, refreshed: Refreshed) {
        let Refreshed { identity, tokens, auth_time, acr, amr } = refreshed;
        let TokenSet { id_token, refresh_token, expires_in } = tokens;
        let next = renew_after(expires_in).filter(|_| refresh_token.is_some());
        let kept = ProviderTokens { id_token: Some(id_token), refresh_token };
        let secrets = kept.seal(row.reference, &self.store.inner().sealer);
        let renew_at = next.map(|next| self.store.wall().plus(next));
        self.write(due, row, Renewed { identity, auth_time, acr, amr, secrets, renew_at }).await;
    }

    /// Writes what a provider gave, before anybody works with it.
    async fn write(&self, due: &Due, row: SessionRow, renewed: Renewed) {
        let sessions = &self.store.inner().directory.sessions;
        for _ in 0..WRITES {
            match sessions.renewed(row.reference, self.owner, &renewed, self.store.wall()).await {
                Ok(true) => {
                    let Renewed { identity, auth_time, acr, amr, secrets, renew_at } = renewed;
                    let version = row.version + 1;
                    let row = SessionRow { identity, auth_time, acr, amr, secrets, renew_at, version, ..row };
                    return self.take_over(due, &row);
                }
                // Somebody else has ended it, or has changed it after this claim ran out.
                Ok(false) => return self.store.outdated(&due.key, row.version + 1),
                Err(DirectoryError::Unavailable(_)) => tokio::time::sleep(BETWEEN_WRITES).await,
                Err(error @ DirectoryError::Unreadable(_)) => {
                    tracing::error!(session = %row.reference, error = error_chain(&error), "cannot keep renewed tokens");
                    break;
                }
            }
        }
        tracing::error!(session = %row.reference, "renewed tokens could not be kept: the session's next renewal will fail");
        self.later(due, BACK_OFF.1);
    }

    /// The session goes on by `row`, which the directory has.
    fn take_over(&self, due: &Due, row: &SessionRow) {
        if self.store.keep(&due.key, row, due.session.host()).is_err() {
            // Its headers no longer fit: what was good until now is not any more.
            self.store.end_here(&due.key, &due.session);
            tracing::warn!(session = %row.reference, "renewed claims fit into no header: the person must sign in again");
        }
    }

    /// The provider, or who the provider now says it is, ends the session.
    async fn over(&self, due: &Due, row: &SessionRow, error: &ProviderError) {
        let ended = self.store.end(&Selector::Reference(row.reference), None).await;
        self.store.end_here(&due.key, &due.session);
        let detail = error.detail();
        self.audit.record(
            Event::new("session.ended", Outcome::Failure, error.reason())
                .with("connector", row.identity.connector.as_str())
                .with("user", row.identity.email.as_str())
                .with("session", row.reference.to_string())
                .with_some("provider_error", error.provider_said())
                .with_some("expected", detail.map(|detail| detail.0))
                .with_some("found", detail.map(|detail| detail.1)),
        );
        if let Err(error) = ended {
            tracing::error!(session = %row.reference, error = error_chain(&error), "ended here; elsewhere when the directory is back");
        }
    }

    /// The provider does not answer as it should: later, less and less often. The session lasts to its own limits.
    fn back_off(&self, due: &Due, error: &ProviderError) -> Duration {
        let failures = due.session.renewal_failed();
        if failures == 1 {
            tracing::warn!(
                connector = due.session.connector().as_str(),
                session = %due.session.reference(),
                reason = error.reason(),
                "tokens were not renewed; the session lasts to its own limits meanwhile"
            );
        }
        let wait = BACK_OFF.0.saturating_mul(1 << u32::from(failures.min(10))).min(BACK_OFF.1);
        wait / 2 + jitter(wait / 2)
    }
}

//! Renewal of the provider's tokens, in the background of use: once per session however many requests and processes
//! race, and never the end of a session that is still good, unless the provider says that it is over (O39, O40).
//!
//! A session in use whose renewal is due is claimed here (`Session::claim_renewal`), then in the directory (`lease`), each
//! time under a new name: two cookies of one session are two records here, and race like two processes. Nothing waits in a
//! queue for better times: what cannot be renewed now is due again later, by the session's own `renew_at`, the next time
//! that it is used. So an outage leaves no storm behind it.
//!
//! A provider takes a refresh token once. Between its answer and the directory's word the new token is here alone, so
//! whoever got that far writes until the directory takes it, and a process that stops waits for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::audit::{Audit, Event, Outcome};
use crate::base::app_log::error_chain;
use crate::base::id::Id;
use crate::base::random;
use crate::connector::{
    Before, OidcProvider, Provider, ProviderError, Reason, RefreshFailed, Refreshed, Renewal, RenewalPermit, TokenSet,
};
use crate::directory::{DirectoryError, Lease, Renewed, Selector, SessionRow};

use super::uses::Due;
use super::{DueRenewals, Ending, ProviderTokens, SessionStore};

/// How long a claim counts. Longer than a call to a provider and the difference of clocks; who dies with a claim delays
/// a renewal by this.
const CLAIM: Duration = Duration::from_secs(180);
/// The least and the most between two tries while a provider does not answer.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(900));
/// When somebody else holds the claim.
const BUSY: Duration = Duration::from_secs(10);
/// The time between two offers of what a provider gave to a directory that does not take it.
const BETWEEN_WRITES: Duration = Duration::from_secs(1);
/// Never sooner than this after the last renewal.
const LEAST: Duration = Duration::from_secs(10);
/// The life of tokens of which the provider does not say it (RFC 6749 section 5.1 only recommends that).
const UNSAID: Duration = Duration::from_secs(3600);
/// Renewals under way at a time: more than the limits of all providers let begin.
const UNDER_WAY: u32 = 1 << 16;

/// Renews the tokens of sessions in use. Cheap to clone; clones share what is under way.
#[derive(Clone)]
pub struct Renewals(Arc<Inner>);

struct Inner {
    store: SessionStore,
    providers: BTreeMap<Id, Arc<OidcProvider>>,
    audit: Arc<Audit>,
    /// A place for each renewal under way.
    under_way: Arc<Semaphore>,
}

/// The renewal of a session that nobody else is at, as far as the directory knows.
struct Claim {
    owner: Uuid,
    /// The session as it was claimed.
    row: SessionRow,
}

/// After how long tokens of this life are renewed: at three quarters of it, less up to a tenth at random, so that
/// sessions of one minute do not meet again in one minute. None: the provider did not say.
pub fn renew_after(expires_in: Option<Duration>) -> Duration {
    let life = expires_in.unwrap_or(UNSAID);
    let quarters = life.mul_f64(0.75);
    quarters.saturating_sub(jitter(life / 10)).max(LEAST)
}

/// A random part of `most`.
pub(super) fn jitter(most: Duration) -> Duration {
    most.mul_f64(f64::from(u32::from_le_bytes(random::bytes())) / f64::from(u32::MAX))
}

impl Renewals {
    /// Renews at `providers`.
    pub fn new(store: SessionStore, providers: &BTreeMap<Id, Provider>, audit: Arc<Audit>) -> Self {
        let speaks = |(id, provider): (&Id, &Provider)| Some((id.clone(), provider.oidc()?.clone()));
        let providers = providers.iter().filter_map(speaks).collect();
        let under_way = Arc::new(Semaphore::new(UNDER_WAY as usize));
        Self(Arc::new(Inner { store, providers, audit, under_way }))
    }

    /// Begins what becomes due, until it is dropped; what has begun then goes on.
    pub async fn run(self, mut due: DueRenewals) {
        let inner = self.0;
        while let Some(due) = due.0.recv().await {
            // The configuration may have changed since the session began.
            let provider = inner.providers.get(due.session.connector());
            let Some(provider) = provider.filter(|provider| provider.renewal() == Renewal::Refresh) else {
                inner.store.put_off(&due, None);
                continue;
            };
            // No more at a time, and no more a second, than the provider can bear: the rest comes again when it is used.
            match (provider.begin_renewal(), inner.under_way.clone().try_acquire_owned()) {
                (Ok(permit), Ok(place)) => {
                    let (inner, provider) = (inner.clone(), provider.clone());
                    tokio::spawn(async move {
                        inner.renew(&due, &provider, permit).boxed().await;
                        drop(place);
                    });
                }
                (Err(wait), _) => inner.later(&due, wait + jitter(wait)),
                (Ok(_), Err(_)) => inner.later(&due, BUSY + jitter(BUSY)),
            }
        }
    }

    /// Waits until no renewal is under way. For the end, once [`run`](Self::run) is dropped.
    pub async fn finished(&self) {
        drop(self.0.under_way.acquire_many(UNDER_WAY).await);
    }
}

impl Inner {
    fn later(&self, due: &Due, wait: Duration) {
        self.store.put_off(due, Some(self.store.now().plus(wait)));
    }

    async fn renew(&self, due: &Due, provider: &OidcProvider, permit: RenewalPermit) {
        let session = &due.session;
        let (now, until) = (self.store.wall(), self.store.wall().plus(CLAIM));
        let owner = Uuid::from_bytes(random::bytes());
        let sessions = &self.store.inner().directory.sessions;
        let row = match sessions.lease(session.reference(), due.version, owner, now, until).await {
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
        let Some((refresh_token, id_token)) = tokens else { return self.store.put_off(due, None) };
        let before = Before {
            identity: &row.identity,
            provider_sub: &row.provider_sub,
            id_token: &id_token,
            auth_time: row.auth_time,
            acr: row.acr.as_deref(),
            amr: &row.amr,
        };
        let result = provider.refresh(permit, &refresh_token, &before).await;
        let claim = Claim { owner, row };
        match result {
            Ok(refreshed) => self.renewed(due, claim, refreshed).await,
            Err(error) if error.ends_session() => self.over(due, &claim.row, &error.cause).await,
            Err(RefreshFailed { cause, rotated: None }) => {
                let wait = self.back_off(due, &cause);
                // If this is not written, the claim runs out by itself.
                drop(sessions.release(claim.row.reference, owner, self.store.wall().plus(wait)).await);
                self.later(due, wait);
            }
            // The old refresh token is used up all the same.
            Err(RefreshFailed { cause, rotated: Some(rotated) }) => {
                let wait = self.back_off(due, &cause);
                let kept = ProviderTokens { id_token: Some(id_token), refresh_token: Some(rotated), name_id: None };
                let renewed = Renewed {
                    identity: claim.row.identity.clone(),
                    auth_time: claim.row.auth_time,
                    acr: claim.row.acr.clone(),
                    amr: claim.row.amr.clone(),
                    secrets: kept.seal(claim.row.reference, &self.store.inner().sealer),
                    renew_at: Some(self.store.wall().plus(wait)),
                };
                self.write(due, claim, renewed).await;
            }
        }
    }

    /// The provider gave new tokens and claims.
    async fn renewed(&self, due: &Due, claim: Claim, refreshed: Refreshed) {
        let Refreshed { identity, tokens, auth_time, acr, amr } = refreshed;
        let TokenSet { id_token, refresh_token, expires_in } = tokens;
        let next = refresh_token.is_some().then(|| renew_after(expires_in));
        let kept = ProviderTokens { id_token: Some(id_token), refresh_token, name_id: None };
        let secrets = kept.seal(claim.row.reference, &self.store.inner().sealer);
        let renew_at = next.map(|next| self.store.wall().plus(next));
        self.write(due, claim, Renewed { identity, auth_time, acr, amr, secrets, renew_at }).await;
    }

    /// Writes what a provider gave, before anybody works with it: for as long as it takes, or the refresh token, which
    /// works once, would be lost and the session with it.
    async fn write(&self, due: &Due, claim: Claim, renewed: Renewed) {
        let Claim { owner, row } = claim;
        let sessions = &self.store.inner().directory.sessions;
        loop {
            match sessions.renewed(row.reference, owner, &renewed, self.store.wall()).await {
                Ok(true) => {
                    let Renewed { identity, auth_time, acr, amr, secrets, renew_at } = renewed;
                    let version = row.version + 1;
                    let row = SessionRow { identity, auth_time, acr, amr, secrets, renew_at, version, ..row };
                    return self.take_over(due, &row);
                }
                // Somebody else has ended it, or has changed it after this claim ran out; or the answer to the last try
                // was lost, and it was written.
                Ok(false) => return self.store.outdated(&due.key, row.version + 1),
                Err(error @ DirectoryError::Unreadable(_)) => {
                    tracing::error!(session = %row.reference, error = error_chain(&error), "cannot keep renewed tokens");
                    return self.later(due, BACK_OFF.1);
                }
                Err(DirectoryError::Unavailable(_)) => {}
            }
            let over = due.session.check(self.store.limits(), self.store.now());
            if matches!(over, Err(Ending::Ended | Ending::Absolute)) {
                return;
            }
            tokio::time::sleep(BETWEEN_WRITES).await;
        }
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
        let store = &self.store;
        match store.inner().directory.sessions.by_reference(row.reference).await {
            // This process was held up for longer than its claim, and what it brought to the provider had been used by
            // another one: that is no end.
            Ok(Some(now)) if now.version != row.version && error.why() == Reason::InvalidGrant => {
                return self.take_over(due, &now);
            }
            Ok(None) => return store.end_here(&due.key, &due.session),
            Ok(Some(_)) | Err(_) => {}
        }
        let ended = store.end(&Selector::Reference(row.reference), None).await;
        store.end_here(&due.key, &due.session);
        if let Err(error) = &ended {
            tracing::error!(session = %row.reference, error = error_chain(error), "ended here; elsewhere when the directory is back");
        }
        if ended.is_ok_and(|ended| ended.count == 0) {
            // Signed out meanwhile: that was the end, and has its event.
            return;
        }
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

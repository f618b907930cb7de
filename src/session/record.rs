//! One session.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use secrecy::SecretString;
use uuid::Uuid;

use crate::base::clock::{Clock, Tick, Timestamp};
use crate::base::id::Id;
use crate::base::role::Role;
use crate::identity::headers::{AuthMethod, ReadyHeaders};
use crate::identity::{Identity, PackedIdentity};

use super::Limits;
use super::assertions::Held;
use super::assurance::Assurance;

/// The public name of a session: in assertions (`sid`), logs and lists. It opens nothing.
pub type SessionRef = Uuid;

/// Why a session is no longer good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Signed out or revoked here.
    Ended,
    /// Not used for `sessions.idle_timeout`.
    Idle,
    /// Older than `sessions.absolute_timeout`.
    Absolute,
}

/// A signed-in browser. Shared by every core; its ending flips one atomic that all of them see at once. A million of
/// them are held: `docs/benchmarks.md` counts the bytes.
pub struct Session {
    reference: SessionRef,
    identity: PackedIdentity,
    headers: ReadyHeaders,
    id_token: Option<Box<SecretString>>,
    assurance: Option<Arc<Assurance>>,
    /// The signed assertions in use, one per app. Beside the session, because whoever asks for them has it at hand.
    assertions: ArcSwapOption<Vec<Held>>,
    renewing: AtomicBool,
    created_at: Timestamp,
    created: Tick,
    last_used: AtomicU64,
    ended: AtomicBool,
}

impl Session {
    /// A session that starts now. `id_token` is kept for the provider's `id_token_hint` at sign-out.
    pub fn start(identity: &Identity, headers: ReadyHeaders, id_token: Option<String>, clock: &Clock) -> Self {
        let created = clock.tick();
        Self {
            reference: Uuid::from_bytes(crate::base::random::bytes()),
            identity: PackedIdentity::new(identity),
            headers,
            id_token: id_token.map(|token| Box::new(SecretString::from(token))),
            assurance: None,
            assertions: ArcSwapOption::empty(),
            renewing: AtomicBool::new(false),
            created_at: clock.now(),
            created,
            last_used: AtomicU64::new(created.millis()),
            ended: AtomicBool::new(false),
        }
    }

    /// The same session with what the provider said of the sign-in itself.
    #[must_use]
    pub fn with_assurance(mut self, assurance: Assurance) -> Self {
        self.assurance = (assurance != Assurance::default()).then(|| Arc::new(assurance));
        self
    }

    /// When the person signed in at the provider, if it said so.
    pub fn auth_time(&self) -> Option<Timestamp> {
        self.assurance.as_ref().and_then(|assurance| assurance.auth_time)
    }

    /// The class of the sign-in, if the provider named one.
    pub fn acr(&self) -> Option<&str> {
        self.assurance.as_ref().and_then(|assurance| assurance.acr.as_deref())
    }

    /// The methods that the sign-in used, as far as the provider named them.
    pub fn amr(&self) -> &[String] {
        self.assurance.as_ref().map_or(&[], |assurance| assurance.amr.as_slice())
    }

    /// The session's public name.
    pub fn reference(&self) -> SessionRef {
        self.reference
    }

    /// Who signed in. Unpacked at each call: not for the way of a request.
    pub fn identity(&self) -> Identity {
        self.identity.unpack()
    }

    /// The role of who signed in.
    pub fn role(&self) -> Option<Role> {
        self.identity.role()
    }

    /// The connector that vouched for them.
    pub fn connector(&self) -> &Id {
        self.identity.connector()
    }

    /// How they signed in.
    pub fn auth_method(&self) -> AuthMethod {
        AuthMethod::Oidc
    }

    /// The identity headers, ready to insert.
    pub fn headers(&self) -> &ReadyHeaders {
        &self.headers
    }

    /// The provider's ID token, for `id_token_hint` (OpenID Connect RP-Initiated Logout 1.0, section 2).
    pub fn id_token(&self) -> Option<&SecretString> {
        self.id_token.as_deref()
    }

    /// When the sign-in was completed.
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// Whether the session is good at `now`, and if not, why. Limits count monotonic time (E08).
    ///
    /// # Errors
    /// The [`Ending`].
    pub fn check(&self, limits: &Limits, now: Tick) -> Result<(), Ending> {
        if self.ended.load(Ordering::Acquire) {
            Err(Ending::Ended)
        } else if now.since(self.created) >= limits.absolute {
            Err(Ending::Absolute)
        } else if now.since(Tick::from_millis(self.last_used.load(Ordering::Relaxed))) >= limits.idle {
            Err(Ending::Idle)
        } else {
            Ok(())
        }
    }

    /// Time left at `now`: until the idle limit if unused, and until the absolute one.
    pub fn remaining(&self, limits: &Limits, now: Tick) -> (Duration, Duration) {
        let used = Tick::from_millis(self.last_used.load(Ordering::Relaxed));
        let absolute = limits.absolute.saturating_sub(now.since(self.created));
        (limits.idle.saturating_sub(now.since(used)).min(absolute), absolute)
    }

    /// Marks the session as used at `now`. Precise to a second: busy sessions do not share a cache line for writing.
    pub fn touch(&self, now: Tick) {
        if now.millis() >= self.last_used.load(Ordering::Relaxed) + 1000 {
            self.last_used.store(now.millis(), Ordering::Relaxed);
        }
    }

    /// The signed assertions that are held.
    pub(super) fn assertions(&self) -> &ArcSwapOption<Vec<Held>> {
        &self.assertions
    }

    /// Claims the renewal of an assertion. True for one caller until [`Self::renewed`].
    pub(super) fn claim_renewal(&self) -> bool {
        !self.renewing.load(Ordering::Relaxed) && !self.renewing.swap(true, Ordering::Relaxed)
    }

    /// Gives the claim back.
    pub(super) fn renewed(&self) {
        self.renewing.store(false, Ordering::Relaxed);
    }

    /// Drops assertions that are past their time at `now`.
    pub(super) fn drop_expired_assertions(&self, now: Timestamp) {
        let expired = |held: &Arc<Vec<Held>>| held.iter().all(|held| held.is_expired(now));
        // A new one that is put there in this moment is signed again: no harm.
        if self.assertions.load().as_ref().is_some_and(expired) {
            self.assertions.store(None);
        }
    }

    /// Ends the session for every core at once. True for the call that ended it.
    pub fn end(&self) -> bool {
        !self.ended.swap(true, Ordering::AcqRel)
    }
}

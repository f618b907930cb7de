//! One session.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use secrecy::SecretString;
use uuid::Uuid;

use crate::base::clock::{Clock, Tick, Timestamp};
use crate::identity::Identity;
use crate::identity::headers::{AuthMethod, ReadyHeaders};

use super::Limits;

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

/// A signed-in browser. Shared by every core; its ending flips one atomic that all of them see at once.
pub struct Session {
    reference: SessionRef,
    identity: Box<Identity>,
    headers: ReadyHeaders,
    id_token: Option<SecretString>,
    created_at: Timestamp,
    created: Tick,
    last_used: AtomicU64,
    ended: AtomicBool,
}

impl Session {
    /// A session that starts now. `id_token` is kept for the provider's `id_token_hint` at sign-out.
    pub fn start(identity: Identity, headers: ReadyHeaders, id_token: Option<String>, clock: &Clock) -> Self {
        let created = clock.tick();
        Self {
            reference: Uuid::from_bytes(crate::base::random::bytes()),
            identity: Box::new(identity),
            headers,
            id_token: id_token.map(SecretString::from),
            created_at: clock.now(),
            created,
            last_used: AtomicU64::new(created.millis()),
            ended: AtomicBool::new(false),
        }
    }

    /// The session's public name.
    pub fn reference(&self) -> SessionRef {
        self.reference
    }

    /// Who signed in.
    pub fn identity(&self) -> &Identity {
        &self.identity
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
        self.id_token.as_ref()
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

    /// Ends the session for every core at once. True for the call that ended it.
    pub fn end(&self) -> bool {
        !self.ended.swap(true, Ordering::AcqRel)
    }
}

//! Signed assertions of the sessions in use: one per session and app, renewed at half its life, so that a request
//! signs nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use moka::sync::Cache;

use crate::base::clock::Timestamp;
use crate::base::id::Id;
use crate::identity::assertion::{Assertion, AssertionSigner};

use super::{Session, SessionRef};

/// (Session, app) pairs held at most; an assertion that does not fit is signed again when needed.
const MAX_ASSERTIONS: u64 = 200_000;

/// The assertions of the sessions in use.
pub struct Assertions {
    signer: AssertionSigner,
    header: HeaderName,
    cache: Cache<(SessionRef, usize), Arc<Held>>,
}

struct Held {
    assertion: Assertion,
    renewing: AtomicBool,
}

/// What the cache has for a request.
pub enum Ready {
    /// Good, and no longer in the first half of its life: the caller that is told so has it renewed.
    Renew(HeaderValue),
    /// Good.
    Good(HeaderValue),
    /// None: it must be signed first.
    Missing,
}

impl Assertions {
    /// Assertions by `signer`, in `header`, each `lifetime` long.
    pub fn new(signer: AssertionSigner, header: HeaderName, lifetime: Duration) -> Self {
        let cache = Cache::builder().max_capacity(MAX_ASSERTIONS).time_to_live(lifetime).build();
        Self { signer, header, cache }
    }

    /// The header that carries the assertion.
    pub fn header(&self) -> &HeaderName {
        &self.header
    }

    /// The signer, for its published keys.
    pub fn signer(&self) -> &AssertionSigner {
        &self.signer
    }

    /// The assertion of `session` for the app at `index`, if one is good at `now`.
    pub fn ready(&self, session: &Session, index: usize, now: Timestamp) -> Ready {
        let Some(held) = self.cache.get(&(session.reference(), index)) else { return Ready::Missing };
        if now >= held.assertion.expires {
            Ready::Missing
        } else if now >= held.assertion.renew_at && !held.renewing.swap(true, Ordering::Relaxed) {
            Ready::Renew(held.assertion.value.clone())
        } else {
            Ready::Good(held.assertion.value.clone())
        }
    }

    /// Signs the assertion of `session` for `app` and keeps it. `None` when the identity cannot be put into a header.
    pub fn sign(&self, session: &Session, index: usize, app: &Id, now: Timestamp) -> Option<HeaderValue> {
        let reference = session.reference();
        match self.signer.sign(session.identity(), &reference.to_string(), app, now) {
            Ok(assertion) => {
                let value = assertion.value.clone();
                self.cache.insert((reference, index), Arc::new(Held { assertion, renewing: AtomicBool::new(false) }));
                Some(value)
            }
            Err(error) => {
                tracing::error!(error = %error, session = %reference, "cannot sign an assertion");
                None
            }
        }
    }
}

//! Signed assertions of the sessions in use: one per session and app, renewed at half its life, so that a request
//! signs nothing.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use crate::base::clock::Timestamp;
use crate::base::id::Id;
use crate::identity::assertion::{Assertion, AssertionSigner};

use super::Session;

/// Makes the assertions of sessions. Each session holds its own; [`SessionStore::sweep`](super::SessionStore::sweep)
/// frees those that nobody asks for any more.
pub struct Assertions {
    signer: AssertionSigner,
    header: HeaderName,
}

/// The assertion that a session holds for one app.
#[derive(Clone)]
pub(super) struct Held {
    app: usize,
    assertion: Assertion,
}

impl Held {
    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.assertion.expires
    }
}

/// What a session has for a request.
pub enum Ready {
    /// Good, and no longer in the first half of its life: the caller that is told so has it renewed.
    Renew(HeaderValue),
    /// Good.
    Good(HeaderValue),
    /// None: it must be signed first.
    Missing,
}

impl Assertions {
    /// Assertions by `signer`, in `header`.
    pub fn new(signer: AssertionSigner, header: HeaderName) -> Self {
        Self { signer, header }
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
        let all = session.assertions().load();
        let held = all.iter().flat_map(|all| all.iter()).find(|held| held.app == index);
        let Some(held) = held.filter(|held| !held.is_expired(now)) else { return Ready::Missing };
        let value = held.assertion.value.clone();
        if now >= held.assertion.renew_at && session.claim_renewal() { Ready::Renew(value) } else { Ready::Good(value) }
    }

    /// Signs the assertion of `session` for `app` and keeps it. `None` when the identity cannot be put into a header.
    pub fn sign(&self, session: &Session, index: usize, app: &Id, now: Timestamp) -> Option<HeaderValue> {
        let reference = session.reference();
        let signed = self.signer.sign(&session.identity(), &reference.to_string(), app, now);
        let value = match signed {
            Ok(assertion) => {
                let value = assertion.value.clone();
                let new = Held { app: index, assertion };
                session.assertions().rcu(|all| {
                    let others = all.iter().flat_map(|all| all.iter()).filter(|held| held.app != index).cloned();
                    Some(Arc::new(std::iter::once(new.clone()).chain(others).collect()))
                });
                Some(value)
            }
            Err(error) => {
                tracing::error!(error = %error, session = %reference, "cannot sign an assertion");
                None
            }
        };
        session.renewed();
        value
    }
}

//! Signed assertions of the sessions in use: one per session and app, renewed at half its life, so that a request
//! signs nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use http::{HeaderName, HeaderValue};

use crate::base::clock::Timestamp;
use crate::base::id::Id;
use crate::identity::Person;
use crate::identity::assertion::{Assertion, AssertionSigner};

use super::Session;

/// Makes the assertions of sessions. Each session holds its own, because whoever asks for them has it at hand.
pub struct Assertions {
    signer: AssertionSigner,
    header: HeaderName,
    /// Who was given one, by the time it expires: with each new one, those past their time are freed.
    given: Mutex<VecDeque<(Timestamp, Weak<Session>)>>,
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
        Self { signer, header, given: Mutex::default() }
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
        if now >= held.assertion.renew_at && session.claim_signing() { Ready::Renew(value) } else { Ready::Good(value) }
    }

    /// Signs the assertion of `session` for `app` and keeps it. `None` when the identity cannot be put into a header.
    pub fn sign(&self, session: &Arc<Session>, index: usize, app: &Id, now: Timestamp) -> Option<HeaderValue> {
        let reference = session.reference();
        let (identity, user) = (session.identity(), session.user());
        let who = Person { identity: &identity, user, native_user: None };
        let signed = self.signer.sign(who, &reference.to_string(), app, now);
        let value = match signed {
            Ok(assertion) => {
                let value = assertion.value.clone();
                self.free_expired(session, assertion.expires, now);
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
        session.signed();
        value
    }

    /// Notes that `session` is given one until `expires`, and frees those of others that nobody renewed.
    fn free_expired(&self, session: &Arc<Session>, expires: Timestamp, now: Timestamp) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.push_back((expires, Arc::downgrade(session)));
        // Two for each one, so that a flood of them is worked off without anybody waiting for it.
        for _ in 0..2 {
            let Some((_, session)) = given.pop_front_if(|(expires, _)| now >= *expires) else { return };
            if let Some(session) = session.upgrade() {
                session.drop_expired_assertions(now);
            }
        }
    }
}

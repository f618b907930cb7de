//! The last step: a verified person gets a session.

use std::sync::Arc;

use http::header::HeaderMap;

use crate::audit::{Event, Outcome};
use crate::base::cookie::Found;
use crate::base::return_to::ReturnTo;
use crate::connector::SignedIn;
use crate::identity::headers::AuthMethod;
use crate::session::{Session, SessionId, SessionKey};

use super::attempt::{Attempt, Step};
use super::callback::Failed;
use super::{Redirect, SignIn, Visitor};

/// What a provider verified, and where its person wants to go.
pub struct Verified {
    pub(super) signed_in: SignedIn,
    pub(super) return_to: ReturnTo,
}

impl SignIn {
    /// The person says that the verified address is theirs: the attempt `id` ends in a session. Works once.
    ///
    /// # Errors
    /// The attempt is not of this browser, has expired or was used.
    pub fn confirm(&self, id: &str, headers: &HeaderMap, visitor: Visitor<'_>) -> Result<Redirect, Failed> {
        let attempt = Attempt::open(id, headers, &self.cookies, &self.sealer);
        let verified = attempt.as_ref().filter(|attempt| !attempt.is_expired(&self.clock)).and_then(|attempt| {
            match &attempt.step {
                Step::Verified { key } => self.verified.remove(key),
                Step::Pending(_) => None,
            }
        });
        let result = match verified.and_then(Arc::into_inner) {
            Some(verified) => self.finish(verified, headers, visitor),
            None => Err(Failed::new("state_expired")),
        };
        match result {
            Ok(mut redirect) => {
                redirect.cookies.push(self.cookies.expire_attempt(id));
                Ok(redirect)
            }
            Err(failed) => {
                if let Some(connector) = attempt.and_then(|a| a.connector.parse().ok()) {
                    self.rejected(visitor, &connector, &failed);
                }
                Err(failed)
            }
        }
    }

    /// Makes the session: always a new id, and the browser's old session ends (E01).
    pub(super) fn finish(
        &self,
        verified: Verified,
        headers: &HeaderMap,
        visitor: Visitor<'_>,
    ) -> Result<Redirect, Failed> {
        let Verified { signed_in, return_to } = verified;
        let identity = signed_in.identity;
        // Refused rather than cut: a header that says less than the provider did is another identity (X09).
        let ready = self.plan.ready(&identity, AuthMethod::Oidc).map_err(|_| Failed::new("header_too_long"))?;
        let (connector, user) = (identity.connector.clone(), identity.email.clone());
        let session = Session::start(&identity, ready, Some(signed_in.id_token), &self.clock);
        let reference = session.reference();
        if let Some(old) = self.session_key(headers) {
            self.sessions.end(&old);
        }
        let id = self.sessions.insert(session);
        self.audit.record(
            Event::new("login.accepted", Outcome::Success, "signed_in")
                .from_client(visitor.client, visitor.request_id)
                .with("connector", connector.as_str())
                .with("user", user.as_str())
                .with("session", reference.to_string()),
        );
        self.count(&connector, "success", "");
        let cookies = vec![self.cookies.set_session(&id), self.cookies.set_done(headers, self.clock.now())];
        Ok(Redirect { location: return_to.as_str().to_owned(), cookies })
    }

    /// The store's key of the request's session cookie, if there is exactly one.
    pub fn session_key(&self, headers: &HeaderMap) -> Option<SessionKey> {
        match self.cookies.session(headers) {
            Found::One(value) => SessionId::parse(value).map(|id| id.key()),
            Found::None | Found::Many => None,
        }
    }
}

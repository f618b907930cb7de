//! The last step: a verified person gets a session.

use http::header::HeaderMap;
use secrecy::ExposeSecret as _;

use crate::audit::{Event, Outcome};
use crate::base::cookie::Found;
use crate::base::id::Id;
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

impl Verified {
    /// Bytes that it takes while it waits, about.
    pub(super) fn weight(&self) -> u32 {
        u32::try_from(self.signed_in.tokens.id_token.expose_secret().len() * 2).unwrap_or(u32::MAX).saturating_add(1024)
    }
}

impl SignIn {
    /// The person says that the verified address is theirs: the attempt `id` ends in a session. Works once.
    ///
    /// # Errors
    /// The attempt is not of this browser, is still on its way, has expired or was used.
    pub fn confirm(&self, id: &str, headers: &HeaderMap, visitor: Visitor<'_>) -> Result<Redirect, Failed> {
        let attempt = Attempt::open(id, headers, &self.cookies, &self.sealer);
        let connector: Option<Id> = attempt.as_ref().and_then(|attempt| attempt.connector.parse().ok());
        let result = self.confirmed(id, attempt.as_ref(), headers, visitor);
        if let Err(failed) = &result {
            self.rejected(visitor, connector.as_ref(), failed);
        }
        result
    }

    fn confirmed(
        &self,
        id: &str,
        attempt: Option<&Attempt>,
        headers: &HeaderMap,
        visitor: Visitor<'_>,
    ) -> Result<Redirect, Failed> {
        let attempt = attempt.ok_or_else(|| Failed::by_anybody("tx_not_bound"))?;
        let Step::Verified { key } = &attempt.step else { return Err(Failed::new("not_verified_yet")) };
        // Whatever comes now, the attempt is over.
        let verified = self.verified.remove(key);
        let over = |failed: Failed| failed.of(id, attempt, self);
        if attempt.is_expired(&self.clock) {
            return Err(over(Failed::new("state_expired")));
        }
        let verified = verified.ok_or_else(|| over(Failed::new("state_replayed")))?;
        let mut redirect = self.finish(&verified, headers, visitor).map_err(over)?;
        redirect.cookies.push(self.cookies.expire_attempt(id));
        Ok(redirect)
    }

    /// Makes the session: always a new id, and the browser's old session ends (E01).
    pub(super) fn finish(
        &self,
        verified: &Verified,
        headers: &HeaderMap,
        visitor: Visitor<'_>,
    ) -> Result<Redirect, Failed> {
        let Verified { signed_in, return_to } = verified;
        let SignedIn { identity, tokens, .. } = signed_in;
        // Refused rather than cut: a header that says less than the provider did is another identity (X09).
        let ready = self.plan.ready(identity, AuthMethod::Oidc).map_err(|_| Failed::new("header_too_long"))?;
        let (connector, user) = (identity.connector.clone(), identity.email.clone());
        let session = Session::start(identity, ready, Some(tokens.id_token.expose_secret().to_owned()), &self.clock);
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
        self.count(Some(&connector), "success", "");
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

//! Sign-out: ours first, then the provider's.

use std::net::IpAddr;

use http::header::HeaderMap;
use secrecy::ExposeSecret as _;

use crate::audit::{Event, Outcome};
use crate::base::id::Id;
use crate::base::random;
use crate::session::SessionKey;

use super::{SignIn, Visitor};

/// What is left to do after the session has ended here.
pub struct SignedOut {
    /// RP-initiated logout at the provider. `None`: there was no session, or its provider has no such endpoint or
    /// cannot be asked for it now.
    pub provider: Option<String>,
    /// The connector of the session that was here until now.
    pub connector: Option<Id>,
}

impl SignIn {
    /// Ends the session of `headers`. Depends on nobody: the provider comes second (L13, L14).
    pub async fn sign_out(&self, headers: &HeaderMap, visitor: Visitor<'_>) -> SignedOut {
        let Some(key) = self.session_key(headers) else { return SignedOut { provider: None, connector: None } };
        let session = self.sessions.find(&key);
        let was_signed_in = self.end(&key, "signed_out", visitor.client, visitor.request_id);
        let connector = session.as_ref().filter(|_| was_signed_in).map(|session| session.connector().clone());
        let Some((session, id_token)) = session.as_ref().and_then(|s| s.id_token().map(|token| (s, token))) else {
            return SignedOut { provider: None, connector };
        };
        let provider = match self.providers.get(session.connector()) {
            // State is for the provider to echo; nothing here depends on it (L12).
            Some(provider) => {
                provider.logout_url(id_token.expose_secret(), &self.sign_out_done, &random::token::<16>()).await
            }
            None => None,
        };
        SignedOut { provider, connector }
    }

    /// Ends the session of `key`. True if it was good until now.
    pub fn end(&self, key: &SessionKey, reason: &'static str, client: IpAddr, request_id: &str) -> bool {
        let Some(session) = self.sessions.find(key) else { return false };
        let ended = self.sessions.end(key);
        if ended {
            self.audit.record(
                Event::new("session.ended", Outcome::Success, reason)
                    .from_client(client, request_id)
                    .with("user", session.identity().email.as_str())
                    .with("session", session.reference().to_string()),
            );
        }
        ended
    }

    /// The origin beside ours at which this browser's sign-out ends: its own provider's, if it has a session. Nobody
    /// learns from the page which other providers there are.
    pub fn logout_origin(&self, headers: &HeaderMap) -> Option<String> {
        let session = self.session_key(headers).and_then(|key| self.sessions.find(&key))?;
        self.providers.get(session.connector())?.logout_origin()
    }
}

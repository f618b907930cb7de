//! Sign-out: ours first, then the provider's.

use http::header::HeaderMap;
use secrecy::ExposeSecret as _;

use crate::audit::{Event, Outcome};
use crate::base::clock::Timestamp;
use crate::base::id::Id;
use crate::base::random;
use crate::connector::{Provider, ToProvider};
use crate::directory::{DirectoryError, Ended, OnceKind, Selector, SessionRow};
use crate::session::{HeldTokens, SessionKey};

use super::{SignIn, Visitor};

/// What is left to do after the session has ended here.
pub struct SignedOut {
    /// RP-initiated logout at the provider. `None`: there was no session, or its provider has no such endpoint or
    /// cannot be asked for it now.
    pub provider: Option<ToProvider>,
    /// The connector of the session that was here until now.
    pub connector: Option<Id>,
}

impl SignIn {
    /// Ends the session of `headers`, on all hosts. Does not depend on the provider, which comes second (L13, L14).
    /// `everywhere`: all of that person's sessions at that connector.
    ///
    /// # Errors
    /// The directory is away: what this process knows of has ended, and trying again ends the rest.
    pub async fn sign_out(
        &self,
        headers: &HeaderMap,
        everywhere: bool,
        visitor: Visitor<'_>,
    ) -> Result<SignedOut, DirectoryError> {
        let Some(key) = self.session_key(headers, visitor.host) else {
            return Ok(SignedOut { provider: None, connector: None });
        };
        let held = self.sessions.tokens(&key).await;
        // All others before this one: while its cookie still works, a failure can be tried again. Only a session that is
        // still good speaks for its person.
        if everywhere
            && self.sessions.look_up(&key).await?.is_some()
            && let Some((row, _)) = self.directory.sessions.by_cookie(key.bytes()).await?
        {
            let connector = row.identity.connector;
            let which = Selector::Subject { connector: connector.clone(), sub: row.provider_sub };
            self.end(&which, None, "signed_out_everywhere", visitor).await?;
            return Ok(self.at_provider(connector, held.ok().flatten()).await);
        }
        let ended = self.end(&Selector::Cookie(*key.bytes()), None, "signed_out", visitor).await?;
        let Some(session) = ended.sessions.first() else { return Ok(SignedOut { provider: None, connector: None }) };
        Ok(self.at_provider(session.identity.connector.clone(), held.ok().flatten()).await)
    }

    /// What is left to do at the provider.
    async fn at_provider(&self, connector: Id, held: Option<HeldTokens>) -> SignedOut {
        let provider = match (self.providers.get(&connector), held) {
            (Some(Provider::Oidc(provider)), Some(HeldTokens { tokens, .. })) => match tokens.id_token {
                // State is for the provider to echo; nothing here depends on it (L12).
                Some(token) => {
                    let state = random::token::<16>();
                    let url = provider.logout_url(token.expose_secret(), &self.sign_out_done, &state).await;
                    url.map(ToProvider::Redirect)
                }
                None => None,
            },
            (Some(Provider::Saml(provider)), Some(HeldTokens { tokens, provider_sid })) => match tokens.name_id {
                Some(name_id) => self.single_logout(provider, &name_id, provider_sid.as_deref()).await,
                None => None,
            },
            _ => None,
        };
        SignedOut { provider, connector: Some(connector) }
    }

    /// Ends the sessions that `which` selects, with one event for each, because of `reason`.
    ///
    /// # Errors
    /// The directory is away; see [`SessionStore::end`](crate::session::SessionStore::end).
    pub async fn end(
        &self,
        which: &Selector,
        once: Option<(OnceKind, &str, Timestamp)>,
        reason: &'static str,
        visitor: Visitor<'_>,
    ) -> Result<Ended, DirectoryError> {
        let ended = self.sessions.end(which, once).await?;
        for session in &ended.sessions {
            let event = Event::new("session.ended", Outcome::Success, reason);
            self.record_ended(session, event.from_client(visitor.client, visitor.request_id));
        }
        Ok(ended)
    }

    /// Ends the sessions that `which` selects by an operator's word, with one event for each, because of `reason`.
    ///
    /// # Errors
    /// As [`Self::end`].
    pub async fn revoke(&self, which: &Selector, reason: &'static str) -> Result<Ended, DirectoryError> {
        let ended = self.sessions.end(which, None).await?;
        self.record_all_ended(&ended, reason);
        Ok(ended)
    }

    /// Records what ended because of `reason`.
    pub(super) fn record_all_ended(&self, ended: &Ended, reason: &'static str) {
        for session in &ended.sessions {
            self.record_ended(session, Event::new("session.ended", Outcome::Success, reason));
        }
        let more = ended.count.saturating_sub(u64::try_from(ended.sessions.len()).unwrap_or(0));
        if more > 0 {
            let event = Event::new("session.ended", Outcome::Success, reason);
            self.audit.record(event.with("more_sessions", more.to_string()));
        }
    }

    fn record_ended(&self, session: &SessionRow, event: Event) {
        self.audit.record(
            event
                .with("connector", session.identity.connector.as_str())
                .with("user", session.identity.email.as_str())
                .with("session", session.reference.to_string()),
        );
    }

    /// The application's own sign-out link was followed: our session ends too. It is the application's sign-out, which
    /// goes on whether or not the directory answers.
    pub async fn app_signed_out(&self, key: &SessionKey, visitor: Visitor<'_>) {
        if self.end(&Selector::Cookie(*key.bytes()), None, "app_signed_out", visitor).await.is_err() {
            tracing::error!(
                request_id = visitor.request_id,
                "the session ended in this process alone; elsewhere it ends when the directory is back"
            );
        }
    }

    /// The origin beside ours at which this browser's sign-out ends: its own provider's, if it has a session. Nobody
    /// learns from the page which other providers there are.
    pub async fn logout_origin(&self, headers: &HeaderMap, host: &str) -> Option<String> {
        let session = self.sessions.look_up(&self.session_key(headers, host)?).await.ok()??;
        self.providers.get(session.connector())?.logout_origin()
    }
}

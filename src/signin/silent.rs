//! Silent renewal: the browser is sent to the provider on a navigation and comes back without having shown anything
//! (`prompt=none`). Its session is good meanwhile, so whatever goes wrong leads on to the page that was asked for; only
//! what the provider says about this person ends the session.

use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderMap;

use crate::base::app_log::error_chain;
use crate::base::clock::Timestamp;
use crate::base::return_to::ReturnTo;
use crate::config::Requirement;
use crate::connector::{Kind, OidcProvider, Provider, ProviderError, Reason, Renewal};
use crate::directory::{Linking, Selector, SessionRow};
use crate::explain;
use crate::session::{NewSession, Session, SessionKey, SessionRef};

use super::attempt::{Attempt, Pending};
use super::query::Response;
use super::start::{Beginning, Started};
use super::verified::Verified;
use super::{Completed, Failed, Redirect, SignIn, Visitor, story};

/// How long a ticket is good: one redirect.
const TICKET_LIFETIME: Duration = Duration::from_secs(60);
const TICKET: &str = "silent renewal";

/// The provider cannot answer without a word to the person (OpenID Connect Core, section 3.1.2.6): it has no session of
/// theirs any more, or wants something of them.
const NEEDS_PERSON: [&str; 4] =
    ["login_required", "interaction_required", "consent_required", "account_selection_required"];

/// A browser that is back from a silent renewal. The attempt is used up.
pub(super) struct Back<'a> {
    pub(super) provider: &'a Arc<OidcProvider>,
    pub(super) id: &'a str,
    pub(super) attempt: &'a Attempt,
    pub(super) pending: &'a Pending,
    pub(super) response: Response,
    pub(super) headers: &'a HeaderMap,
}

impl SignIn {
    /// What the link says that sends the browser of `session` round: that we sent it, and when. Nobody else's link can.
    pub fn renewal_ticket(&self, session: &Session) -> String {
        let plain = format!("{} {}", self.clock.now().millis(), session.reference());
        self.sealer.seal(TICKET, plain.as_bytes())
    }

    /// Begins the silent renewal that `ticket` is for, of this browser's session. None: it is not for this browser or not
    /// any more, or the provider cannot be asked now; the session goes on.
    pub async fn begin_renewal(
        &self,
        ticket: &str,
        return_to: &ReturnTo,
        headers: &HeaderMap,
        visitor: Visitor<'_>,
    ) -> Option<(Provider, Started)> {
        let reference = self.read_ticket(ticket)?;
        let session = self.session(headers, visitor.host).await.ok()??;
        let provider = self.providers.get(session.connector())?;
        let silent = provider.oidc().is_some_and(|oidc| matches!(oidc.renewal(), Renewal::PromptNone { .. }));
        if session.reference() != reference || !silent || self.check_connector(provider.id()).is_err() {
            return None;
        }
        let beginning = Beginning {
            provider,
            return_to,
            purpose: None,
            typed: None,
            login_hint: Some(&session.identity().email),
            domain_hint: None,
            select_account: false,
            // The connector's own alone: the page was open to this session as it is.
            required: Requirement::default(),
            renews: Some(reference),
        };
        match self.begin(beginning, headers).await {
            Ok((_, started)) => Some((provider.clone(), started)),
            Err(error) => {
                let (connector, reason) = (provider.id().as_str(), error.reason());
                tracing::warn!(connector, reason, error = error_chain(&error), "a session was not renewed; it goes on");
                None
            }
        }
    }

    fn read_ticket(&self, ticket: &str) -> Option<SessionRef> {
        let plain = String::from_utf8(self.sealer.open(TICKET, ticket)?).ok()?;
        let (at, reference) = plain.split_once(' ')?;
        let at = Timestamp::from_millis(at.parse().ok()?);
        let now = self.clock.now();
        // Clocks of processes differ.
        let good = at <= now.plus(TICKET_LIFETIME) && now <= at.plus(TICKET_LIFETIME);
        reference.parse().ok().filter(|_| good)
    }

    /// Judges what a silent renewal brought.
    ///
    /// # Errors
    /// The provider says that this person may not sign in here: the session has ended.
    pub(super) async fn back_from_renewal(
        &self,
        back: Back<'_>,
        reference: SessionRef,
        visitor: Visitor<'_>,
    ) -> Result<Completed, Failed> {
        let Back { provider, id, attempt, pending, ref response, headers } = back;
        let current = self.session(headers, visitor.host).await.ok().flatten();
        let key = self.session_key(headers, visitor.host);
        let (Some(key), Some(session)) = (key, current.filter(|session| session.reference() == reference)) else {
            // Signed out meanwhile, or somebody else is signed in: there is nothing to renew.
            return Ok(self.goes_on(id, attempt, visitor));
        };
        if let Some(error) = response.error.as_deref() {
            if NEEDS_PERSON.contains(&error) {
                return Ok(self.over(&back, &session, "provider_session_over", visitor).await);
            }
            let words = response.error_description.as_deref().unwrap_or_default();
            let mut failed = Failed::new("provider_refused");
            failed.provider_error = Some(format!("{error}: {words}").chars().take(512).collect());
            return Ok(self.not_renewed(failed, &back, visitor));
        }
        let Some(code) = response.code.as_deref() else {
            return Ok(self.not_renewed(Failed::new("code_missing"), &back, visitor));
        };
        let born = match self.directory.changes.newest().await {
            Ok(born) => born,
            Err(error) => return Ok(self.not_renewed(Failed::directory(&error), &back, visitor)),
        };
        let started = Timestamp::from_millis(attempt.started);
        let redeemed = provider.redeem(code, &pending.verifier, &pending.nonce, &pending.required, started).await;
        let signed_in = match redeemed {
            Ok(signed_in) => signed_in,
            Err(cause) => return self.refused(cause, &back, &session, visitor).await,
        };
        let return_to = self.return_to(visitor.host, &attempt.return_to);
        let verified = Verified::new(signed_in, provider.renewal(), return_to, self.clock.now(), born);
        if let Err(reason) = self.check_enabled(&verified.row.identity) {
            return Ok(self.not_renewed(Failed::new(reason), &back, visitor));
        }
        self.take_in(verified, &back, (&key, &session), visitor).await
    }

    /// The provider vouches for somebody: if it is the same person, the session goes on as they are now.
    async fn take_in(
        &self,
        verified: Verified,
        back: &Back<'_>,
        (key, session): (&SessionKey, &Session),
        visitor: Visitor<'_>,
    ) -> Result<Completed, Failed> {
        let Back { id, attempt, headers, .. } = *back;
        let row = match self.directory.sessions.by_cookie(key.bytes()).await {
            Ok(Some((row, _))) => row,
            Ok(None) => return Ok(self.goes_on(id, attempt, visitor)),
            Err(error) => return Ok(self.not_renewed(Failed::directory(&error), back, visitor)),
        };
        let person = |row: &SessionRow| (row.identity.subject.clone(), row.provider_sub.clone());
        if person(&row) != person(&verified.row) {
            return Ok(self.over(back, session, "refresh_identity_changed", visitor).await);
        }
        if row.provider_sid != verified.row.provider_sid {
            // Another session at the provider, whose end would not be told to this one: a new one, in its own name.
            return match self.finish(verified, headers, visitor).await {
                Ok(mut redirect) => {
                    redirect.cookies.push(self.cookies.expire_attempt(id));
                    Ok(Completed::SignedIn(redirect))
                }
                Err(failed) => Ok(self.not_renewed(failed, back, visitor)),
            };
        }
        let Verified { row: new, tokens, .. } = verified;
        match self.sessions.renew(key, session, row, NewSession { row: new, tokens, linking: Linking::default() }).await
        {
            Ok(true) => Ok(Completed::Renewed(self.on(id, attempt, visitor))),
            Ok(false) => Ok(self.goes_on(id, attempt, visitor)),
            Err(error) => Ok(self.not_renewed(Failed::directory(&error), back, visitor)),
        }
    }

    /// The answer could not be taken. What it says about the person counts; anything else says nothing about them.
    async fn refused(
        &self,
        cause: ProviderError,
        back: &Back<'_>,
        session: &Session,
        visitor: Visitor<'_>,
    ) -> Result<Completed, Failed> {
        match cause.why() {
            Reason::IssMismatch | Reason::TenantMismatch | Reason::TenantNotAllowed => {
                Ok(self.over(back, session, "refresh_identity_changed", visitor).await)
            }
            // The connector asks for more than the provider's session is worth by now: its person has to prove it anew.
            Reason::AuthTooOld | Reason::AcrInsufficient | Reason::AmrInsufficient => {
                Ok(self.over(back, session, "provider_session_over", visitor).await)
            }
            _ if cause.kind() == Kind::NotAllowed => {
                self.end_renewed(session, cause.reason(), visitor).await;
                Err(Failed::because(cause).of(back.id, back.attempt, self, visitor))
            }
            _ => Ok(self.not_renewed(Failed::because(cause), back, visitor)),
        }
    }

    /// The session is over by the provider's word; its person is on a navigation and can sign in at once.
    async fn over(&self, back: &Back<'_>, session: &Session, reason: &'static str, visitor: Visitor<'_>) -> Completed {
        let person = session.identity().email;
        self.end_renewed(session, reason, visitor).await;
        self.explain.record(|| story::renewal_over(self, visitor, back, &person, reason));
        Completed::SignInAgain {
            person: Some(person),
            return_to: self.return_to(visitor.host, &back.attempt.return_to),
            cookies: vec![self.cookies.expire_attempt(back.id)],
        }
    }

    async fn end_renewed(&self, session: &Session, reason: &'static str, visitor: Visitor<'_>) {
        let which = Selector::Reference(session.reference());
        if let Err(error) = self.end(&which, None, reason, visitor).await {
            let session = session.reference();
            tracing::error!(%session, error = error_chain(&error), "ended here; elsewhere when the directory is back");
        }
    }

    /// The renewal did not work, which is recorded; the session goes on.
    fn not_renewed(&self, mut failed: Failed, back: &Back<'_>, visitor: Visitor<'_>) -> Completed {
        failed.attempt = Some(back.id.into());
        self.rejected(explain::Step::Renewal, visitor, Some(back.provider.id()), &failed);
        self.goes_on(back.id, back.attempt, visitor)
    }

    /// On to the page that was asked for, with the session as it is.
    pub(super) fn goes_on(&self, id: &str, attempt: &Attempt, visitor: Visitor<'_>) -> Completed {
        Completed::AlreadySignedIn(self.on(id, attempt, visitor))
    }

    fn on(&self, id: &str, attempt: &Attempt, visitor: Visitor<'_>) -> Redirect {
        let return_to = self.return_to(visitor.host, &attempt.return_to);
        Redirect { location: self.location(&return_to), cookies: vec![self.cookies.expire_attempt(id)] }
    }
}

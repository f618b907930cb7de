//! The browser comes back from the provider.

use std::sync::Arc;

use http::HeaderValue;
use http::header::HeaderMap;

use crate::audit::{Event, Outcome};
use crate::base::app_log::error_chain;
use crate::base::clock::Timestamp;
use crate::base::email::EmailAddress;
use crate::base::id::Id;
use crate::base::return_to::ReturnTo;
use crate::connector::{Kind, OidcProvider, ProviderError};
use crate::directory::{DirectoryError, KeptKind, LinkRefused, OnceKind};
use crate::explain;
use crate::identity::Identity;
use crate::session::{Found, Session};

use super::attempt::{Attempt, Step, Stray, Unfit, is_id, of_state};
use super::query::Response;
use super::silent::Back;
use super::verified::Verified;
use super::{Purpose, REMEMBERED, Redirect, SignIn, Visitor, root, story};

/// The request that the provider's redirect made.
pub struct Callback<'a> {
    pub provider: &'a Arc<OidcProvider>,
    pub query: &'a str,
    pub headers: &'a HeaderMap,
}

/// How a callback ended well.
pub enum Completed {
    /// Signed in: on to the page first asked for.
    SignedIn(Redirect),
    /// A stale callback in a browser that is signed in, or a silent renewal that brought nothing: on to its page, nothing
    /// else happens.
    AlreadySignedIn(Redirect),
    /// The session was renewed: on to the page that was asked for.
    Renewed(Redirect),
    /// The session has ended by the provider's word, and a sign-in of the ordinary kind is to begin.
    SignInAgain {
        /// Who was signed in, if anybody.
        person: Option<EmailAddress>,
        return_to: ReturnTo,
        cookies: Vec<HeaderValue>,
    },
    /// The provider verified another address than the one typed: a page asks.
    Mismatch {
        typed: EmailAddress,
        verified: EmailAddress,
        /// For the form that continues.
        attempt: String,
        return_to: ReturnTo,
        /// What the sign-in is for beside that.
        purpose: Option<Purpose>,
        cookies: Vec<HeaderValue>,
    },
}

/// How a callback ended badly. No session, no attempt cookie left of a redeemed attempt.
pub struct Failed {
    /// The stable code.
    pub reason: &'static str,
    /// The provider's own words: `error` and the start of `error_description`. For the log and the catalogue, never
    /// printed on a page.
    pub provider_error: Option<String>,
    pub cookies: Vec<HeaderValue>,
    /// Where a new attempt would go.
    pub return_to: ReturnTo,
    /// What it would be for beside that.
    pub purpose: Option<Purpose>,
    /// Any request of a stranger can cause this: no attempt of ours came with it.
    pub(super) anybody: bool,
    /// The attempt's id, as far as one is known.
    pub(super) attempt: Option<Box<str>>,
    pub(super) cause: Option<ProviderError>,
    /// Who was refused, where it is who they are that is wrong.
    pub(super) person: Option<EmailAddress>,
}

impl Failed {
    pub(super) fn new(reason: &'static str) -> Self {
        Self {
            reason,
            provider_error: None,
            cookies: Vec::new(),
            return_to: root(),
            purpose: None,
            anybody: false,
            attempt: None,
            cause: None,
            person: None,
        }
    }

    /// The person proved who they are, and may not sign in.
    pub(super) fn not_welcome(refused: LinkRefused, person: &EmailAddress) -> Self {
        Self { person: Some(person.clone()), ..Self::new(refused.reason()) }
    }

    /// For a message that no attempt of ours came with.
    pub(super) fn by_anybody(reason: &'static str) -> Self {
        Self { anybody: true, ..Self::new(reason) }
    }

    /// The directory is away: nothing is used up, trying again helps.
    pub(super) fn directory(error: &DirectoryError) -> Self {
        tracing::error!(error = error_chain(error), "a sign-in could not go on");
        Self::new("directory_unavailable")
    }

    pub(super) fn because(cause: ProviderError) -> Self {
        let (reason, provider_error) = (cause.reason(), cause.provider_said().map(str::to_owned));
        Self { provider_error, cause: Some(cause), ..Self::new(reason) }
    }

    pub(super) fn of(mut self, id: &str, attempt: &Attempt, sign_in: &SignIn, visitor: Visitor<'_>) -> Self {
        self.cookies.push(sign_in.cookies.expire_attempt(id));
        self.attempt = Some(id.into());
        self.towards(attempt, sign_in, visitor)
    }

    /// With what a new attempt in place of `attempt` would be for.
    pub(super) fn towards(mut self, attempt: &Attempt, sign_in: &SignIn, visitor: Visitor<'_>) -> Self {
        self.return_to = sign_in.return_to(visitor.host, &attempt.return_to);
        self.purpose.clone_from(&attempt.purpose);
        self
    }

    /// With the attempt's id, of a message whose attempt is not at hand.
    pub(super) fn named(mut self, state: Option<&str>) -> Self {
        let id = state.and_then(|state| state.split('.').next());
        self.attempt = self.attempt.or_else(|| id.filter(|id| is_id(id)).map(Into::into));
        self
    }

    /// What kind of answer this is.
    pub fn kind(&self) -> Kind {
        match (&self.cause, self.reason) {
            (Some(cause), _) => cause.kind(),
            (None, "provider_refused") => match self.provider_error.as_deref().and_then(|e| e.split(':').next()) {
                Some("temporarily_unavailable" | "server_error") => Kind::Unavailable,
                _ => Kind::NotAllowed,
            },
            (
                None,
                "header_too_long" | "connector_disabled" | "domain_disabled" | "user_deactivated" | "account_conflict",
            ) => Kind::NotAllowed,
            (None, "directory_unavailable") => Kind::Unavailable,
            (None, _) => Kind::Refused,
        }
    }

    /// Whether trying again may help: nothing was wrong with the message.
    pub fn unavailable(&self) -> bool {
        matches!(self.kind(), Kind::Unavailable | Kind::Misconfigured)
    }

    /// The address that the provider verified, where that or its person is what is wrong.
    pub fn address(&self) -> Option<&EmailAddress> {
        self.cause.as_ref().and_then(ProviderError::address).or(self.person.as_ref())
    }

    /// The names of the attributes that the provider did send, where one that it did not is what is wrong.
    pub fn arrived(&self) -> &[String] {
        self.cause.as_ref().map_or(&[], ProviderError::arrived)
    }

    /// What was expected and what was found, for the log.
    pub fn detail(&self) -> Option<(&str, &str)> {
        self.cause.as_ref().and_then(ProviderError::detail)
    }
}

impl SignIn {
    /// Judges a callback. One event is recorded for each refusal (G6).
    ///
    /// # Errors
    /// The message or the person is not acceptable, or the provider does not work.
    pub async fn callback(&self, callback: &Callback<'_>, visitor: Visitor<'_>) -> Result<Completed, Failed> {
        let result = self.judge(callback, visitor).await;
        if let Err(failed) = &result {
            self.rejected(explain::Step::Callback, visitor, Some(callback.provider.id()), failed);
        }
        result
    }

    async fn judge(&self, callback: &Callback<'_>, visitor: Visitor<'_>) -> Result<Completed, Failed> {
        let provider = callback.provider;
        let response = Response::parse(callback.query).map_err(Failed::by_anybody)?;
        let found = of_state(
            response.state.as_deref(),
            provider.id().as_str(),
            callback.headers,
            &self.cookies,
            &self.sealer,
            &self.clock,
        );
        let (id, attempt) = match found {
            Ok(found) => found,
            Err(stray) => {
                let stray = self.stray(*stray, provider.id(), callback.headers, visitor).await;
                return stray.map_err(|failed| failed.named(response.state.as_deref()));
            }
        };
        let Step::Pending(pending) = &attempt.step else { return Err(Failed::new("state_mismatch")) };
        // RFC 9207: judged before the code goes anywhere, and before the attempt is used up (O20, O21).
        if let Err(cause) = provider.check_issuer(response.iss.as_deref()).await {
            if pending.renews.is_some() && cause.kind() == Kind::Unavailable {
                return Ok(self.goes_on(&id, &attempt, visitor));
            }
            return Err(Failed::because(cause).towards(&attempt, self, visitor));
        }

        let away = |error| Failed::directory(&error).towards(&attempt, self, visitor);
        if let Some(reference) = pending.renews {
            // Whatever the provider says ends or renews a session: once.
            if !self.burn(&id).await.map_err(away)? {
                let stray = Stray { unfit: Unfit::Redeemed, attempt: Some((id, attempt)) };
                return self.stray(stray, provider.id(), callback.headers, visitor).await;
            }
            let headers = callback.headers;
            let back = Back { provider, id: &id, attempt: &attempt, pending, response, headers };
            return self.back_from_renewal(back, reference, visitor).await;
        }
        // What redeems nothing uses nothing up either: a stranger's messages are to cost no write. The cookie goes.
        if let Some(error) = response.error {
            let words = response.error_description.unwrap_or_default();
            let mut failed = Failed::new("provider_refused").of(&id, &attempt, self, visitor);
            failed.provider_error = Some(format!("{error}: {words}").chars().take(512).collect());
            return Err(failed);
        }
        let Some(code) = response.code else {
            return Err(Failed::new("code_missing").of(&id, &attempt, self, visitor));
        };
        self.check_connector(provider.id()).map_err(|reason| Failed::new(reason).of(&id, &attempt, self, visitor))?;

        // From here on the attempt is used up, however it ends: a second redemption, at once or later, here or at another
        // process, finds it burned. With the directory away nothing is used up: the same link works when it is back.
        // Read first: what is revoked from now on is not to become a session, however long a page asks meanwhile.
        let born = self.directory.changes.newest().await.map_err(away)?;
        if !self.burn(&id).await.map_err(away)? {
            let stray = Stray { unfit: Unfit::Redeemed, attempt: Some((id, attempt)) };
            return self.stray(stray, provider.id(), callback.headers, visitor).await;
        }
        let signed_in = provider
            .redeem(
                &code,
                &pending.verifier,
                &pending.nonce,
                &pending.required,
                Timestamp::from_millis(attempt.started),
            )
            .await
            .map_err(|cause| Failed::because(cause).of(&id, &attempt, self, visitor))?;

        let return_to = self.return_to(visitor.host, &attempt.return_to);
        let typed = pending.hint.as_ref().and_then(|hint| hint.parse::<EmailAddress>().ok());
        let verified = Verified::new(signed_in, provider.renewal(), return_to, self.clock.now(), born);
        self.check_enabled(&verified.row.identity)
            .map_err(|reason| Failed::new(reason).of(&id, &attempt, self, visitor))?;
        self.conclude(&id, &attempt, typed, verified, callback.headers, visitor).await
    }

    /// A verified person of the attempt `id`: asked, where the address is another than the typed one; otherwise signed in.
    pub(super) async fn conclude(
        &self,
        id: &str,
        attempt: &Attempt,
        typed: Option<EmailAddress>,
        verified: Verified,
        headers: &HeaderMap,
        visitor: Visitor<'_>,
    ) -> Result<Completed, Failed> {
        let Identity { connector, email, .. } = &verified.row.identity;
        let over = |failed: Failed| failed.of(id, attempt, self, visitor);
        match typed {
            Some(typed) if !typed.looks_like(email) => {
                self.mismatch(visitor, connector, &typed, email);
                self.explain.record(|| story::paused(self, visitor, id, connector, &typed, email));
                self.ask(id, attempt, typed, verified).await.map_err(over)
            }
            _ => {
                let mut redirect = self.finish(verified, headers, visitor).await.map_err(over)?;
                redirect.cookies.push(self.cookies.expire_attempt(id));
                let step = explain::Step::Callback;
                self.explain.record(|| story::signed_in(self, step, visitor, id, &attempt.connector));
                Ok(Completed::SignedIn(redirect))
            }
        }
    }

    /// Uses the attempt up. True for exactly one caller of all processes (O18).
    pub(super) async fn burn(&self, id: &str) -> Result<bool, DirectoryError> {
        let until = self.clock.now().plus(REMEMBERED);
        self.directory.once.use_once(OnceKind::Attempt, id, until).await
    }

    /// A callback that fits no attempt of this browser. In a browser that is signed in a stale one just goes on: the
    /// other tab was first. A cookie goes with an attempt that is over, never for a message that does not match it (G7).
    pub(super) async fn stray(
        &self,
        stray: Stray,
        connector: &Id,
        headers: &HeaderMap,
        visitor: Visitor<'_>,
    ) -> Result<Completed, Failed> {
        let Stray { unfit, attempt } = stray;
        let anybody = attempt.is_none();
        let over = match (unfit, &attempt) {
            (Unfit::Expired, Some((id, _))) | (Unfit::Redeemed, Some((id, Attempt { step: Step::Pending(_), .. }))) => {
                Some(id)
            }
            _ => None,
        };
        let cookies: Vec<HeaderValue> = over.map(|id| self.cookies.expire_attempt(id)).into_iter().collect();
        let stale = matches!(unfit, Unfit::NotBound | Unfit::Expired | Unfit::Redeemed);
        // Only such a callback was this attempt's own, and may go where it wanted.
        let own = attempt.filter(|_| stale);
        let (return_to, purpose) = own.map_or_else(
            || (root(), None),
            |(_, attempt)| (self.return_to(visitor.host, &attempt.return_to), attempt.purpose),
        );
        if stale && self.signed_in(headers, visitor.host).await {
            let location = self.location_from(visitor.host, &return_to, connector);
            return Ok(Completed::AlreadySignedIn(Redirect { location, cookies }));
        }
        let reason = match unfit {
            Unfit::Missing => "state_missing",
            Unfit::NotBound => "tx_not_bound",
            Unfit::Mismatch => "state_mismatch",
            Unfit::Redeemed => "state_replayed",
            Unfit::OtherConnector => "idp_mixup",
            Unfit::Expired => "state_expired",
        };
        Err(Failed { cookies, return_to, purpose, anybody, ..Failed::new(reason) })
    }

    /// The verified address is not the typed one: in the log too, where administrators look for it (R3).
    fn mismatch(&self, visitor: Visitor<'_>, connector: &Id, typed: &EmailAddress, verified: &EmailAddress) {
        self.audit.record(
            Event::new("login.paused", Outcome::Failure, "address_mismatch")
                .from_client(visitor.client, visitor.request_id)
                .with("connector", connector.as_str())
                .with("typed", typed.as_str())
                .with("user", verified.as_str()),
        );
    }

    /// Asks the person: the cookie moves on to *verified*, the rest waits in the directory.
    async fn ask(
        &self,
        id: &str,
        attempt: &Attempt,
        typed: EmailAddress,
        verified: Verified,
    ) -> Result<Completed, Failed> {
        let key = crate::base::random::token::<24>();
        let now = self.clock.now();
        let sealed = verified.seal(&key, &self.sealer);
        let kept = self.directory.kept.keep(KeptKind::Verified, &key, &sealed, now.plus(REMEMBERED)).await;
        kept.map_err(|error| Failed::directory(&error))?;
        let step = Step::Verified { key };
        let moved = Attempt {
            started: now.millis(),
            connector: attempt.connector.clone(),
            return_to: attempt.return_to.clone(),
            purpose: attempt.purpose.clone(),
            step,
        };
        let sealed = moved.seal(id, &self.cookies, &self.sealer);
        Ok(Completed::Mismatch {
            typed,
            verified: verified.row.identity.email,
            attempt: id.to_owned(),
            return_to: verified.return_to,
            purpose: attempt.purpose.clone(),
            cookies: vec![self.cookies.set_attempt(id, &sealed)],
        })
    }

    /// Whether the request comes with a session that is good on `host`.
    pub async fn signed_in(&self, headers: &HeaderMap, host: &str) -> bool {
        matches!(self.session(headers, host).await, Ok(Some(_)))
    }

    /// The session that the request comes with, if it is good on `host`.
    ///
    /// # Errors
    /// The directory is away.
    pub async fn session(&self, headers: &HeaderMap, host: &str) -> Result<Option<Arc<Session>>, DirectoryError> {
        let Some(key) = self.session_key(headers, host) else { return Ok(None) };
        Ok(match self.sessions.fetch(&key, host).await? {
            Found::Good(session) => Some(session),
            Found::Ended | Found::Unknown | Found::Ask => None,
        })
    }
}

//! Back from a SAML provider, in two steps. Its page posts the response to our assertion consumer service, a cross-site
//! POST that browsers send no Lax cookie with: there the response is judged and the attempt used up. The browser then
//! comes to `done` by a redirect of ours, with its session cookie: whatever depends on who is signed in happens there.

use http::HeaderValue;
use http::header::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::email::EmailAddress;
use crate::base::id::Id;
use crate::base::query::with_query;
use crate::base::random;
use crate::config::Requirement;
use crate::connector::{Asserted, Reason, SamlProvider};
use crate::directory::{KeptKind, OnceKind};
use crate::explain;

use super::attempt::{Attempt, Step, Stray, Unfit, new_id, of_state};
use super::verified::Verified;
use super::{Completed, Failed, REMEMBERED, Redirect, SignIn, Visitor, root};

/// How long the redirect to `done` may be on its way.
const NOTE_LIFETIME_MS: i64 = 60_000;
const NOTE: &str = "saml response";

/// What was posted to an assertion consumer service.
pub struct Posted<'a> {
    pub provider: &'a SamlProvider,
    /// `SAMLResponse`: Base64, as it came.
    pub response: &'a str,
    pub relay_state: Option<&'a str>,
    pub headers: &'a HeaderMap,
}

/// A posted response that was taken as far as it goes without a session.
pub struct Received {
    /// On to `done`.
    pub to: Redirect,
    /// It answers a request that this browser did not make.
    pub stray: bool,
}

/// A response that fits no attempt of this browser, on its way to `done`. Sealed: nobody else writes one.
#[derive(Serialize, Deserialize)]
struct Note {
    /// Milliseconds since the Unix epoch.
    at: i64,
    connector: String,
    /// The stable code; none: it answers no request, and a sign-in may begin for it.
    reason: Option<String>,
}

impl SignIn {
    /// Judges a posted response. Good, or of no attempt of this browser: on to `done`. One event is recorded for each
    /// refusal (G6).
    ///
    /// # Errors
    /// The response, or the person, is not acceptable; or the provider or the directory does not work.
    pub async fn assertion(&self, posted: &Posted<'_>, visitor: Visitor<'_>) -> Result<Received, Failed> {
        let result = self.judge_posted(posted, visitor).await;
        result.inspect_err(|failed| {
            self.rejected(explain::Step::Callback, visitor, Some(posted.provider.id()), failed);
        })
    }

    async fn judge_posted(&self, posted: &Posted<'_>, visitor: Visitor<'_>) -> Result<Received, Failed> {
        let Posted { provider, headers, .. } = posted;
        let connector = provider.id().as_str();
        let (cookies, sealer, clock) = (&self.cookies, &self.sealer, &self.clock);
        match of_state(posted.relay_state, connector, headers, cookies, sealer, clock) {
            Ok((id, attempt)) => Ok(Received { to: self.answered(posted, &id, attempt, visitor).await?, stray: false }),
            Err(stray) => self.unasked(posted, *stray, visitor).await,
        }
    }

    /// A response to the attempt `id` of this browser.
    async fn answered(
        &self,
        posted: &Posted<'_>,
        id: &str,
        attempt: Attempt,
        visitor: Visitor<'_>,
    ) -> Result<Redirect, Failed> {
        let provider = posted.provider;
        let over = |failed: Failed, attempt: &Attempt| failed.of(id, attempt, self, visitor);
        let Step::Pending(pending) = &attempt.step else { return Err(Failed::new("state_mismatch")) };
        self.check_connector(provider.id()).map_err(|reason| over(Failed::new(reason), &attempt))?;
        let away = |error| Failed::directory(&error).towards(&attempt, self, visitor);
        // Before the attempt is used up: without the provider's keys nothing can be judged, and the same post works again.
        let unready = |cause| Failed::because(cause).towards(&attempt, self, visitor);
        provider.ready().await.map_err(unready)?;
        // Read first: what is revoked from now on is not to become a session.
        let born = self.directory.changes.newest().await.map_err(away)?;
        // However it ends: one response to one attempt (S17, S19).
        if !self.burn(id).await.map_err(away)? {
            // The cookie stays: sent twice at once, this answer must not take away what the other one's `done` needs.
            return Err(Failed::new("saml_replay").towards(&attempt, self, visitor).named(Some(id)));
        }
        let asked_at = Timestamp::from_millis(attempt.started);
        let asserted =
            provider.response(posted.response, Some(&pending.request_id()), &pending.required, asked_at).await;
        let asserted = asserted.map_err(|cause| over(Failed::because(cause), &attempt))?;
        let hint = pending.hint.clone();
        let verified = self.used(asserted, &attempt.return_to, visitor, born).await;
        let verified = verified.map_err(|failed| over(failed, &attempt))?;
        let kept = self.receive(provider, id, Some(&attempt), hint, &verified).await;
        kept.map_err(|failed| over(failed, &attempt))
    }

    /// A response that no attempt of this browser waits for.
    async fn unasked(&self, posted: &Posted<'_>, stray: Stray, visitor: Visitor<'_>) -> Result<Received, Failed> {
        let provider = posted.provider;
        // Read without its signature, and for one thing alone: which page comes next.
        let peeked =
            provider.peek(posted.response).map_err(|cause| Failed { anybody: true, ..Failed::because(cause) })?;
        if peeked.in_response_to.is_some() {
            let reason = match stray.unfit {
                Unfit::Missing | Unfit::NotBound => "tx_not_bound",
                Unfit::Mismatch => "state_mismatch",
                Unfit::Redeemed => "saml_replay",
                Unfit::OtherConnector => "idp_mixup",
                Unfit::Expired => "state_expired",
            };
            return Ok(Received { to: self.to_done(provider, Some(reason)), stray: true });
        }
        if !provider.allows_idp_initiated() {
            return Ok(Received { to: self.to_done(provider, None), stray: false });
        }
        self.check_connector(provider.id()).map_err(Failed::by_anybody)?;
        let born = self.directory.changes.newest().await.map_err(|error| Failed::directory(&error))?;
        let now = self.clock.now();
        let asserted = provider.response(posted.response, None, &Requirement::default(), now).await;
        let asserted = asserted.map_err(|cause| Failed { anybody: true, ..Failed::because(cause) })?;
        // Whatever came as `RelayState` is nobody's word: the first page (S20).
        let verified = self.used(asserted, root().as_str(), visitor, born).await?;
        let to = self.receive(provider, &new_id(now), None, None, &verified).await?;
        Ok(Received { to, stray: false })
    }

    /// Whether an attempt of this browser waits for a response with this `RelayState`.
    pub fn expects(&self, connector: &Id, relay_state: Option<&str>, headers: &HeaderMap) -> bool {
        of_state(relay_state, connector.as_str(), headers, &self.cookies, &self.sealer, &self.clock).is_ok()
    }

    /// Uses the assertion up, in every process and whichever way it came (S19).
    async fn used(
        &self,
        asserted: Asserted,
        return_to: &str,
        visitor: Visitor<'_>,
        born: i64,
    ) -> Result<Verified, Failed> {
        self.check_enabled(&asserted.identity).map_err(Failed::new)?;
        // Ids have no blank: another connector's assertion cannot use up this one's.
        let once = format!("{} {}", asserted.identity.connector, asserted.assertion_id);
        let first = self.directory.once.use_once(OnceKind::Assertion, &once, asserted.expires).await;
        if !first.map_err(|error| Failed::directory(&error))? {
            return Err(Failed::because(Reason::SamlReplay.into()));
        }
        let return_to = self.return_to(visitor.host, return_to);
        Ok(Verified::asserted(asserted, return_to, self.clock.now(), born))
    }

    /// Keeps a verified person of `attempt`, or of none, until the browser comes to `done`, with the attempt's cookie that finds them.
    async fn receive(
        &self,
        provider: &SamlProvider,
        id: &str,
        attempt: Option<&Attempt>,
        hint: Option<String>,
        verified: &Verified,
    ) -> Result<Redirect, Failed> {
        let key = random::token::<24>();
        let now = self.clock.now();
        let sealed = verified.seal(&key, &self.sealer);
        let kept = self.directory.kept.keep(KeptKind::Verified, &key, &sealed, now.plus(REMEMBERED)).await;
        kept.map_err(|error| Failed::directory(&error))?;
        let moved = Attempt {
            started: now.millis(),
            connector: provider.id().to_string(),
            return_to: attempt.map_or_else(|| root().as_str().to_owned(), |attempt| attempt.return_to.clone()),
            purpose: attempt.and_then(|attempt| attempt.purpose.clone()),
            step: Step::Received { key, hint },
        };
        let cookie = self.cookies.set_attempt(id, &moved.seal(id, &self.cookies, &self.sealer));
        Ok(Redirect { location: self.done(provider, &[("attempt", id)]), cookies: vec![cookie] })
    }

    fn to_done(&self, provider: &SamlProvider, reason: Option<&str>) -> Redirect {
        let note = Note {
            at: self.clock.now().millis(),
            connector: provider.id().to_string(),
            reason: reason.map(str::to_owned),
        };
        let sealed = self.sealer.seal(NOTE, &serde_json::to_vec(&note).unwrap_or_default());
        Redirect { location: self.done(provider, &[("note", &sealed)]), cookies: vec![] }
    }

    fn done(&self, provider: &SamlProvider, query: &[(&str, &str)]) -> String {
        with_query(format!("{}/saml/{}/done", self.prefix, provider.id()), query)
    }

    /// The browser is back with its session cookie. One event is recorded for each refusal.
    ///
    /// # Errors
    /// It is not the browser that the response was posted by, or the response was of no use.
    pub async fn assertion_done(
        &self,
        provider: &SamlProvider,
        query: &str,
        headers: &HeaderMap,
        visitor: Visitor<'_>,
    ) -> Result<Completed, Failed> {
        let result = self.judge_done(provider, query, headers, visitor).await;
        result.inspect_err(|failed| self.rejected(explain::Step::Callback, visitor, Some(provider.id()), failed))
    }

    async fn judge_done(
        &self,
        provider: &SamlProvider,
        query: &str,
        headers: &HeaderMap,
        visitor: Visitor<'_>,
    ) -> Result<Completed, Failed> {
        let one = |wanted: &str| {
            let mut values = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == wanted);
            values.next().map(|(_, value)| value).filter(|_| values.next().is_none())
        };
        if let Some(note) = one("note") {
            return self.noted(provider, &note, headers, visitor).await;
        }
        let id = one("attempt").unwrap_or_default();
        let attempt = Attempt::open(&id, headers, &self.cookies, &self.sealer);
        let stray = |unfit| Stray { unfit, attempt: None };
        let Some(attempt) = attempt else {
            return self.stray(stray(Unfit::NotBound), provider.id(), headers, visitor).await;
        };
        let Step::Received { key, hint } = &attempt.step else {
            // The page was loaded again, and a page of ours has asked meanwhile.
            let stray = Stray { unfit: Unfit::Redeemed, attempt: Some((id.into_owned(), attempt)) };
            return self.stray(stray, provider.id(), headers, visitor).await;
        };
        if attempt.connector != provider.id().as_str() {
            return Err(Failed::new("idp_mixup"));
        }
        let over = |failed: Failed| failed.of(&id, &attempt, self, visitor);
        let away = |error| Failed::directory(&error).towards(&attempt, self, visitor);
        let waiting = self.directory.kept.take(KeptKind::Verified, key, self.clock.now()).await.map_err(away)?;
        if attempt.is_expired(&self.clock) {
            return Err(over(Failed::new("state_expired")));
        }
        let return_to = |text: &str| self.return_to(visitor.host, text);
        let verified = waiting.and_then(|sealed| Verified::open(key, &sealed, &self.sealer, return_to));
        let Some(verified) = verified else {
            let (id, hint) = (id.into_owned(), None);
            let moved = Attempt { step: Step::Received { key: String::new(), hint }, ..attempt };
            return self
                .stray(Stray { unfit: Unfit::Redeemed, attempt: Some((id, moved)) }, provider.id(), headers, visitor)
                .await;
        };
        self.check_enabled(&verified.row.identity).map_err(|reason| over(Failed::new(reason)))?;
        let typed = hint.as_ref().and_then(|hint| hint.parse::<EmailAddress>().ok());
        self.conclude(&id, &attempt, typed, verified, headers, visitor).await
    }

    /// A response that fitted no attempt. Somebody who is signed in just goes on. For a response that nobody had asked
    /// for (the provider's portal, "Test this application") a sign-in begins, once a minute (S20).
    async fn noted(
        &self,
        provider: &SamlProvider,
        note: &str,
        headers: &HeaderMap,
        visitor: Visitor<'_>,
    ) -> Result<Completed, Failed> {
        let plain = self.sealer.open(NOTE, note);
        let note: Option<Note> = plain.and_then(|plain| serde_json::from_slice(&plain).ok());
        let now = self.clock.now().millis();
        let note = note.filter(|note| (now - note.at).abs() < NOTE_LIFETIME_MS);
        let note = note.filter(|note| note.connector == provider.id().as_str());
        let note = note.ok_or_else(|| Failed::by_anybody("tx_not_bound"))?;
        if self.signed_in(headers, visitor.host).await {
            let location = self.location_from(visitor.host, &root(), provider.id());
            return Ok(Completed::AlreadySignedIn(Redirect { location, cookies: vec![] }));
        }
        let reason = match note.reason.as_deref() {
            None if self.cookies.unsolicited(headers) => "saml_unsolicited",
            None => {
                let cookies: Vec<HeaderValue> = vec![self.cookies.set_unsolicited()];
                return Ok(Completed::SignInAgain { person: None, return_to: root(), cookies });
            }
            Some("saml_replay") => "saml_replay",
            Some("state_mismatch") => "state_mismatch",
            Some("idp_mixup") => "idp_mixup",
            Some("state_expired") => "state_expired",
            Some(_) => "tx_not_bound",
        };
        Err(Failed::by_anybody(reason))
    }
}

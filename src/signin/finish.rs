//! The last step: a verified person gets a session.

use http::header::HeaderMap;

use crate::audit::{Event, Outcome};
use crate::base::clock::Timestamp;
use crate::base::cookie::Found;
use crate::base::id::Id;
use crate::directory::{KeptKind, Linking, Selector, SessionRow};
use crate::explain;
use crate::session::{Begun, CreateError, NewSession, Session, SessionId, SessionKey};

use super::attempt::{Attempt, Step};
use super::callback::Failed;
use super::verified::Verified;
use super::{Redirect, SignIn, Visitor, story};

impl SignIn {
    /// The person says that the verified address is theirs: the attempt `id` ends in a session. Works once.
    ///
    /// # Errors
    /// The attempt is not of this browser, is still on its way, has expired or was used.
    pub async fn confirm(&self, id: &str, headers: &HeaderMap, visitor: Visitor<'_>) -> Result<Redirect, Failed> {
        let attempt = Attempt::open(id, headers, &self.cookies, &self.sealer);
        let connector: Option<Id> = attempt.as_ref().and_then(|attempt| attempt.connector.parse().ok());
        let result = self.confirmed(id, attempt.as_ref(), headers, visitor).await;
        if let Err(failed) = &result {
            self.rejected(explain::Step::Confirm, visitor, connector.as_ref(), failed);
        }
        result
    }

    async fn confirmed(
        &self,
        id: &str,
        attempt: Option<&Attempt>,
        headers: &HeaderMap,
        visitor: Visitor<'_>,
    ) -> Result<Redirect, Failed> {
        let attempt = attempt.ok_or_else(|| Failed::by_anybody("tx_not_bound"))?;
        let Step::Verified { key } = &attempt.step else { return Err(Failed::new("not_verified_yet")) };
        // Whatever comes now, the attempt is over.
        let waiting = self.directory.kept.take(KeptKind::Verified, key, self.clock.now()).await;
        let waiting = waiting.map_err(|error| Failed::directory(&error))?;
        let over = |failed: Failed| failed.of(id, attempt, self, visitor);
        if attempt.is_expired(&self.clock) {
            return Err(over(Failed::new("state_expired")));
        }
        let return_to = |text: &str| self.return_to(visitor.host, text);
        let verified = waiting.and_then(|sealed| Verified::open(key, &sealed, &self.sealer, return_to));
        let verified = verified.ok_or_else(|| over(Failed::new("state_replayed")))?;
        self.check_enabled(&verified.row.identity).map_err(|reason| over(Failed::new(reason)))?;
        let mut redirect = self.finish(verified, headers, visitor).await.map_err(over)?;
        self.explain.record(|| story::signed_in(self, explain::Step::Confirm, visitor, id, &attempt.connector));
        redirect.cookies.push(self.cookies.expire_attempt(id));
        Ok(redirect)
    }

    /// Makes the session: always a new id, and the browser's old session ends (E01).
    pub(super) async fn finish(
        &self,
        verified: Verified,
        headers: &HeaderMap,
        visitor: Visitor<'_>,
    ) -> Result<Redirect, Failed> {
        let Verified { row, tokens, return_to, at: verified_at } = verified;
        let made = row.clone();
        let (connector, user) = (&made.identity.connector, &made.identity.email);
        let Some(scope) = self.sessions.scope(visitor.host) else { return Err(Failed::new("unknown_host")) };
        let linking = self.linking(&row, headers, visitor).await;
        let created = self.sessions.create(NewSession { row, tokens, linking }, scope).await;
        let Begun { id, reference, .. } = created.map_err(|error| match error {
            // Refused rather than cut: a header that says less than the provider did is another identity (X09).
            CreateError::HeaderTooLong(_) => Failed::new("header_too_long"),
            CreateError::Refused(refused) => Failed::not_welcome(refused, user),
            CreateError::Directory(error) => Failed::directory(&error),
        })?;
        if let Err(failed) = self.still_welcome(&made, verified_at).await {
            // Where the directory does not take this at once, it does later; the browser never gets the cookie.
            drop(self.sessions.end(&Selector::Reference(reference), None).await);
            return Err(failed);
        }
        if let Some(old) = self.session_key(headers, visitor.host) {
            // Where the directory does not take this at once, it does later: the browser has another cookie by then.
            drop(self.sessions.end(&Selector::Cookie(*old.bytes()), None).await);
        }
        self.audit.record(
            Event::new("login.accepted", Outcome::Success, "signed_in")
                .from_client(visitor.client, visitor.request_id)
                .with("connector", connector.as_str())
                .with("user", user.as_str())
                .with("session", reference.to_string()),
        );
        self.count(Some(connector), "success", "");
        let mut cookies = self.cookies.set_session(&id, visitor.host);
        cookies.push(self.cookies.set_done(headers, self.clock.now()));
        let location = self.location_from(visitor.host, &return_to, connector);
        Ok(Redirect { location, cookies })
    }

    /// What the browser's old session proves about the person of `row`: whoever holds a session of an application's own
    /// user, and has the same address verified by a connector, is that user (I07).
    async fn linking(&self, row: &SessionRow, headers: &HeaderMap, visitor: Visitor<'_>) -> Linking {
        let old = self.session(headers, visitor.host).await.ok().flatten();
        let proves = |old: &Session| {
            let same = old.identity().email.as_str().eq_ignore_ascii_case(row.identity.email.as_str());
            old.connector().app().is_some() && same
        };
        let proof = old.filter(|old| proves(old)).map(|old| old.user());
        Linking { proof, ..Linking::default() }
    }

    /// Whether the session of `row`, verified at `verified`, may stay now that it is made. Asked of the directory, not of
    /// memory, and after it was made: an ending that came before is seen here, and one that comes later ends it.
    async fn still_welcome(&self, row: &SessionRow, verified: Timestamp) -> Result<(), Failed> {
        let off = self.directory.switches.off().await.map_err(|error| Failed::directory(&error))?;
        let is_off =
            |kind, name: &str| off.iter().any(|switch| switch.off && switch.kind == kind && switch.name == name);
        self.check_enabled_by(&row.identity, is_off).map_err(Failed::new)?;
        match self.ended_at_provider(row, verified).await {
            Ok(false) => {}
            Ok(true) => return Err(Failed::new("provider_session_ended")),
            Err(error) => return Err(Failed::directory(&error)),
        }
        // Revoked after its code was redeemed, while a page asked say: then it was never good.
        let there = self.directory.sessions.by_reference(row.reference).await;
        there.map_err(|error| Failed::directory(&error))?.map(drop).ok_or_else(|| Failed::new("sign_in_revoked"))
    }

    /// The store's key of the session cookie of a request to `host`, if there is exactly one.
    pub fn session_key(&self, headers: &HeaderMap, host: &str) -> Option<SessionKey> {
        match self.cookies.session(headers, host) {
            Found::One(value) => SessionId::parse(value).map(|id| id.key()),
            Found::None | Found::Many => None,
        }
    }
}

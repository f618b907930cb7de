//! Endings that a provider announces: by logout token from server to server, or by a link in a frame of the browser
//! (`OpenID` Connect Back-Channel Logout 1.0, Front-Channel Logout 1.0).

use std::borrow::Cow;

use crate::audit::{Event, Outcome};
use crate::base::app_log::error_chain;
use crate::base::clock::Timestamp;
use crate::base::id::Id;
use crate::connector::{Kind, LogoutToken, OidcProvider, ProviderError};
use crate::directory::{DirectoryError, Ended, KeptKind, OnceKind, Page, Selector, SessionRow};

use super::{REMEMBERED, SignIn, Visitor};

/// Sessions of one `sid` that are held against the token's `sub`. A provider's session has one here, seldom two.
const LOOKED_AT: u32 = 100;
/// Sessions of one person that are looked through for those without a `sid`.
const OF_A_PERSON: u32 = 1_000;

/// Why nothing ended.
#[derive(Debug)]
pub struct LogoutRefused {
    /// The stable code.
    pub reason: &'static str,
    /// Nothing was wrong with the message: it should be sent again.
    pub again: bool,
    detail: Option<(String, String)>,
}

impl LogoutRefused {
    pub(super) const fn new(reason: &'static str) -> Self {
        Self { reason, again: false, detail: None }
    }

    fn saying(mut self, expected: impl Into<String>, found: impl Into<String>) -> Self {
        self.detail = Some((expected.into(), found.into()));
        self
    }

    pub(super) fn directory(error: &DirectoryError) -> Self {
        tracing::error!(error = error_chain(error), "a provider's logout could not be carried out everywhere");
        Self { again: true, ..Self::new("directory_unavailable") }
    }
}

impl From<ProviderError> for LogoutRefused {
    fn from(error: ProviderError) -> Self {
        // Without the provider's keys nobody can tell whether the token is good. Never an answer that sounds like yes.
        let again = matches!(error.kind(), Kind::Unavailable | Kind::Misconfigured);
        let detail = error.detail().map(|(expected, found)| (expected.to_owned(), found.to_owned()));
        Self { reason: error.reason(), again, detail }
    }
}

impl SignIn {
    /// Ends what a logout token names: the provider's session, or every session of its person (L01–L07, L09). Each token
    /// works once. `token`: none, the message had none.
    ///
    /// # Errors
    /// The token is not acceptable, or was used before; or, with [`again`](LogoutRefused::again), it could not be judged,
    /// or not be carried out in every process. One event is recorded.
    pub async fn back_channel_logout(
        &self,
        provider: &OidcProvider,
        token: Option<&str>,
        visitor: Visitor<'_>,
    ) -> Result<(), LogoutRefused> {
        let result = self.judge_logout_token(provider, token, visitor).await;
        result.inspect_err(|refused| self.logout_rejected(provider.id(), refused, visitor))
    }

    async fn judge_logout_token(
        &self,
        provider: &OidcProvider,
        token: Option<&str>,
        visitor: Visitor<'_>,
    ) -> Result<(), LogoutRefused> {
        let token = token.filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| LogoutRefused::new("logout_token_missing"))?;
        let LogoutToken { sub, sid, jti, iat, expires } = provider.logout_token(token).await?;
        let connector = provider.id().clone();
        // Ids have no blank: another connector's token cannot use up this one's.
        let once = format!("{connector} {jti}");
        let (which, nameless) = match (sid, sub) {
            (Some(sid), sub) => {
                let nameless = self.of_person(&connector, &sid, sub, "logout_token_sub_mismatch").await?;
                (Selector::ProviderSession { connector, sid }, nameless)
            }
            (None, Some(sub)) => (Selector::Subject { connector, sub }, Vec::new()),
            // The connector refuses it already (L05).
            (None, None) => return Err(LogoutRefused::new("logout_token_subject")),
        };
        let once = (OnceKind::LogoutToken, once.as_str(), expires);
        let ended = self.provider_ended(&which, iat, Some(once), "back_channel_logout", visitor).await;
        let ended = ended.map_err(|error| LogoutRefused::directory(&error))?;
        if ended.replayed {
            return Err(LogoutRefused::new("logout_token_replayed"));
        }
        // The token is used up: each is tried, and what the directory does not take now it does later.
        let mut count = ended.count;
        let mut failed = None;
        for which in &nameless {
            match self.end(which, None, "back_channel_logout", visitor).await {
                Ok(ended) => count += ended.count,
                Err(error) => failed = Some(LogoutRefused::directory(&error)),
            }
        }
        if let Some(failed) = failed {
            return Err(failed);
        }
        if count == 0 {
            tracing::info!(
                connector = provider.id().as_str(),
                request_id = visitor.request_id,
                "a logout token was good, and nobody it names was signed in here"
            );
        }
        Ok(())
    }

    /// What a message for `sid` ends besides: where nobody has that `sid`, the sessions of its person `sub` for which the
    /// provider named none. Fails with the reason `mismatch` if the sessions that have it are somebody else's: a provider
    /// that gives two people one `sid` must not throw out the one by naming the other.
    pub(super) async fn of_person(
        &self,
        connector: &Id,
        sid: &str,
        sub: Option<String>,
        mismatch: &'static str,
    ) -> Result<Vec<Selector>, LogoutRefused> {
        let Some(sub) = sub else { return Ok(Vec::new()) };
        let which = Selector::ProviderSession { connector: connector.clone(), sid: sid.to_owned() };
        // Without the directory it stays to be done as the token says, and `end` says that it was not.
        let list = async |which, limit| self.directory.sessions.list(which, &Page { limit }).await.unwrap_or_default();
        let rows = list(&which, LOOKED_AT).await;
        if rows.iter().any(|row| row.provider_sub != sub) {
            let expected = "the person of the session that is named";
            return Err(LogoutRefused::new(mismatch).saying(expected, "another one"));
        }
        if !rows.is_empty() {
            return Ok(Vec::new());
        }
        let rows = list(&Selector::Subject { connector: connector.clone(), sub }, OF_A_PERSON).await;
        let nameless = rows.into_iter().filter(|row| row.provider_sid.is_none());
        Ok(nameless.map(|row| Selector::Reference(row.reference)).collect())
    }

    /// Ends the one session that a front-channel logout names, by `iss` and `sid` alone: the browser sends no cookie into
    /// a frame of another site (L10). Tokens are not revoked. Works for a session that is there, once.
    ///
    /// # Errors
    /// A parameter is missing, given twice or wrong, or no session is known by it; or, with
    /// [`again`](LogoutRefused::again), the directory is away. One event is recorded.
    pub async fn front_channel_logout(
        &self,
        provider: &OidcProvider,
        query: &str,
        visitor: Visitor<'_>,
    ) -> Result<(), LogoutRefused> {
        let result = self.judge_front_channel(provider, query, visitor).await;
        result.inspect_err(|refused| self.logout_rejected(provider.id(), refused, visitor))
    }

    async fn judge_front_channel(
        &self,
        provider: &OidcProvider,
        query: &str,
        visitor: Visitor<'_>,
    ) -> Result<(), LogoutRefused> {
        let (iss, sid) = (parameter(query, "iss")?, parameter(query, "sid")?);
        if !provider.front_channel_issuer(&iss).await {
            return Err(LogoutRefused::new("iss_mismatch").saying("the connector's issuer", iss));
        }
        let which = Selector::ProviderSession { connector: provider.id().clone(), sid: sid.into_owned() };
        // Read first: a stranger's guess is to cost no transaction.
        let known = self.directory.sessions.list(&which, &Page { limit: 1 }).await;
        if known.map_err(|error| LogoutRefused::directory(&error))?.is_empty() {
            return Err(LogoutRefused::new("sid_unknown"));
        }
        let ended = self.end(&which, None, "front_channel_logout", visitor).await;
        ended.map(drop).map_err(|error| LogoutRefused::directory(&error))
    }

    /// Ends what a provider's message of the time `iat` names; also what is still on its way to a session.
    pub(super) async fn provider_ended(
        &self,
        which: &Selector,
        iat: Timestamp,
        once: Option<(OnceKind, &str, Timestamp)>,
        reason: &'static str,
        visitor: Visitor<'_>,
    ) -> Result<Ended, DirectoryError> {
        // Noted before: whoever makes a session meanwhile looks for the note afterwards. The token's own time, so that a
        // replay says nothing new.
        let noted = self.note_ending(which, iat).await;
        // Also without the note: what is in memory ends, and the rest as soon as the directory is back.
        let ended = self.end(which, once, reason, visitor).await?;
        noted.map(|()| ended)
    }

    /// Notes when the provider ended `which`: the latest time that any token gave, in whatever order they come.
    async fn note_ending(&self, which: &Selector, iat: Timestamp) -> Result<(), DirectoryError> {
        let (kept, id, now) = (&self.directory.kept, note_id(which), self.clock.now());
        let known = kept.peek(KeptKind::EndedAtProvider, &id, now).await?.and_then(noted_at);
        if known.is_some_and(|known| known >= iat) {
            return Ok(());
        }
        kept.keep(KeptKind::EndedAtProvider, &id, &iat.millis().to_be_bytes(), now.plus(REMEMBERED)).await
    }

    /// Whether a logout token came for what `row` would be while its person was still on the way here, after the
    /// provider's answer at `verified`: a page may have asked whether the address is right.
    pub(super) async fn ended_at_provider(
        &self,
        row: &SessionRow,
        verified: Timestamp,
    ) -> Result<bool, DirectoryError> {
        let connector = &row.identity.connector;
        let person = Selector::Subject { connector: connector.clone(), sub: row.provider_sub.clone() };
        let session =
            row.provider_sid.clone().map(|sid| Selector::ProviderSession { connector: connector.clone(), sid });
        for which in std::iter::once(person).chain(session) {
            let note = self.directory.kept.peek(KeptKind::EndedAtProvider, &note_id(&which), self.clock.now()).await?;
            // Tokens tell the time in whole seconds: of the same second, the ending counts.
            if note.and_then(noted_at).is_some_and(|at| verified.secs() <= at.secs()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn logout_rejected(&self, connector: &Id, refused: &LogoutRefused, visitor: Visitor<'_>) {
        let outcome = if refused.again { Outcome::Error } else { Outcome::Failure };
        let event = Event::new("logout.rejected", outcome, refused.reason)
            .from_client(visitor.client, visitor.request_id)
            .with("connector", connector.as_str())
            .with_some("expected", refused.detail.as_ref().map(|(expected, _)| expected))
            .with_some("found", refused.detail.as_ref().map(|(_, found)| found));
        // Anybody can send such a message (T65).
        self.audit.record_frequent(event);
    }
}

/// The one value of a query's parameter.
fn parameter<'a>(query: &'a str, name: &'static str) -> Result<Cow<'a, str>, LogoutRefused> {
    let mut values = url::form_urlencoded::parse(query.as_bytes()).filter(|(known, _)| known == name);
    match (values.next(), values.next()) {
        (Some((_, value)), None) if !value.is_empty() => Ok(value),
        (Some(_), Some(_)) => Err(LogoutRefused::new("duplicate_parameter").saying("one", name)),
        _ => Err(LogoutRefused::new("parameter_missing").saying(name, "")),
    }
}

/// The time that a note holds.
fn noted_at(note: Vec<u8>) -> Option<Timestamp> {
    note.try_into().ok().map(i64::from_be_bytes).map(Timestamp::from_millis)
}

/// Under which id it is noted that a provider has ended this.
fn note_id(which: &Selector) -> String {
    match which {
        Selector::ProviderSession { connector, sid } => format!("{connector} sid {sid}"),
        Selector::Subject { connector, sub } => format!("{connector} sub {sub}"),
        // No logout token names anything else.
        _ => String::new(),
    }
}

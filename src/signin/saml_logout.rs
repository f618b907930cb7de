//! Single logout over SAML (SAML 2.0 Profiles, section 4.4), through the browser in both directions: our sign-out goes on
//! to the provider's, and the provider's ends sessions here. What is signed decides; no cookie does.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::base::random;
use crate::connector::{LogoutMessage, LogoutRequest, NameId, Reason, SamlProvider, ToProvider};
use crate::directory::{OnceKind, Selector};

use super::{LogoutRefused, SignIn, Visitor};

/// What came to our single logout service.
pub enum LogoutPosted<'a> {
    /// By redirect: the query as it came, byte for byte, for its signature speaks of these bytes.
    Query(&'a str),
    /// By form: `SAMLRequest` or `SAMLResponse`, and `RelayState`.
    Form { request: Option<&'a str>, response: Option<&'a str>, relay_state: Option<&'a str> },
}

impl LogoutPosted<'_> {
    /// Whether it says to answer a request of ours, by its name alone.
    pub fn is_answer(&self) -> bool {
        match self {
            Self::Query(query) => query.split('&').any(|pair| pair.starts_with("SAMLResponse=")),
            Self::Form { response, .. } => response.is_some(),
        }
    }
}

/// How single logout goes on.
pub enum SingleLogout {
    /// The provider has asked, and gets an answer.
    Answer(ToProvider),
    /// The provider has answered us. `partial`: somebody may still be signed in elsewhere.
    Done { partial: bool },
}

impl SignIn {
    /// Takes the browser of a session that has ended here on to its provider. None: it has no single logout, or cannot
    /// be asked now.
    pub(super) async fn single_logout(
        &self,
        provider: &SamlProvider,
        name_id: &NameId,
        session_index: Option<&str>,
    ) -> Option<ToProvider> {
        let relay_state = random::token::<16>();
        provider.logout_request(&request_id(&relay_state), name_id, session_index, &relay_state).await
    }

    /// A message at our single logout service. Each request works once (S26).
    ///
    /// # Errors
    /// It is not acceptable, or was used before; or, with [`again`](LogoutRefused::again), it could not be judged or
    /// carried out everywhere. One event is recorded.
    pub async fn saml_logout(
        &self,
        provider: &SamlProvider,
        posted: &LogoutPosted<'_>,
        visitor: Visitor<'_>,
    ) -> Result<SingleLogout, LogoutRefused> {
        let result = self.judge_saml_logout(provider, posted, visitor).await;
        result.inspect_err(|refused| self.logout_rejected(provider.id(), refused, visitor))
    }

    async fn judge_saml_logout(
        &self,
        provider: &SamlProvider,
        posted: &LogoutPosted<'_>,
        visitor: Visitor<'_>,
    ) -> Result<SingleLogout, LogoutRefused> {
        let message = match posted {
            LogoutPosted::Query(query) => provider.logout_by_redirect(query, request_id).await?,
            LogoutPosted::Form { request, response, relay_state } => {
                provider.logout_by_form(*request, *response, *relay_state, request_id).await?
            }
        };
        match message {
            LogoutMessage::Response { partial } => Ok(SingleLogout::Done { partial }),
            LogoutMessage::Request(request) => {
                self.end_named(provider, &request, visitor).await?;
                let LogoutRequest { id, relay_state, .. } = &request;
                Ok(SingleLogout::Answer(provider.logout_response(id, relay_state.as_deref()).await?))
            }
        }
    }

    /// Ends what a request names: sessions of the provider, or all of one person.
    async fn end_named(
        &self,
        provider: &SamlProvider,
        request: &LogoutRequest,
        visitor: Visitor<'_>,
    ) -> Result<(), LogoutRefused> {
        let connector = provider.id().clone();
        let person = request.name_id.person();
        let mut selectors = if request.session_indexes.is_empty() {
            vec![Selector::Subject { connector: connector.clone(), sub: person.to_owned() }]
        } else {
            let of = |sid: &String| Selector::ProviderSession { connector: connector.clone(), sid: sid.clone() };
            request.session_indexes.iter().map(of).collect()
        };
        // A session for which the provider named none ends with any of its person.
        for sid in &request.session_indexes {
            let mismatch = Reason::SamlLogoutSubject.code();
            selectors.extend(self.of_person(&connector, sid, Some(person.to_owned()), mismatch).await?);
        }
        // Ids have no blank: another connector's request cannot use up this one's.
        let once = format!("{connector} {}", request.id);
        let first = self.directory.once.use_once(OnceKind::LogoutRequest, &once, request.expires).await;
        if !first.map_err(|error| LogoutRefused::directory(&error))? {
            return Err(LogoutRefused::new("saml_replay"));
        }
        let (mut failed, mut count) = (None, 0);
        for which in &selectors {
            // Each is tried: the request is used up, and what the directory does not take now it does later.
            match self
                .provider_ended(which, request.issued_at.min(self.clock.now()), None, "saml_logout", visitor)
                .await
            {
                Ok(ended) => count += ended.count,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if count == 0 {
            tracing::info!(
                connector = connector.as_str(),
                request_id = visitor.request_id,
                "a logout request was good, and nobody it names was signed in here"
            );
        }
        failed.map_or(Ok(()), |error| Err(LogoutRefused::directory(&error)))
    }
}

/// The ID of a request that goes with this `RelayState`, which comes back with the answer.
fn request_id(relay_state: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, relay_state.as_bytes());
    format!("_{}", URL_SAFE_NO_PAD.encode(digest))
}

//! Single logout of a SAML provider: our requests and answers, and the provider's, by redirect or by form.

use std::time::Duration;

use super::saml::binding::{self, Message, RelayState};
use super::saml::logout::{self, Expected, Outcome, Received};
use super::saml::metadata::{IdpMetadata, LogoutEndpoint};
use super::saml::request;
use super::saml::xml::trimmed;
use super::types::{LogoutMessage, LogoutRequest, PostForm, ToProvider};
use super::{NameId, ProviderError, Reason, SamlProvider};

/// How long a request of ours is good.
const REQUEST_LIFETIME: Duration = Duration::from_secs(300);

/// Where a message goes, and by which binding.
struct Way<'a> {
    endpoint: &'a LogoutEndpoint,
    by_form: bool,
}

/// By redirect where the provider takes it.
fn way(metadata: &IdpMetadata) -> Option<Way<'_>> {
    let redirect = metadata.logout.redirect.as_ref().map(|endpoint| Way { endpoint, by_form: false });
    redirect.or_else(|| metadata.logout.post.as_ref().map(|endpoint| Way { endpoint, by_form: true }))
}

impl SamlProvider {
    /// Asks the provider to end its session. None: it has no single logout, or its metadata or our keys cannot be had.
    pub async fn logout_request(
        &self,
        id: &str,
        name_id: &NameId,
        session_index: Option<&str>,
        relay_state: &str,
    ) -> Option<ToProvider> {
        let metadata = self.metadata().await.ok()?;
        let Way { endpoint, by_form } = way(&metadata)?;
        let now = self.clock.now();
        let session_indexes: Vec<String> = session_index.map(str::to_owned).into_iter().collect();
        let request = logout::LogoutRequest {
            id,
            issue_instant: now,
            destination: &endpoint.location,
            issuer: &self.connector.entity_id,
            name_id,
            session_indexes: &session_indexes,
            not_on_or_after: Some(now.plus(REQUEST_LIFETIME)),
        };
        // Always signed (SAML 2.0 Profiles, section 4.4.4.1).
        let key = self.keys.signing().ok()?;
        let relay_state = RelayState::new(relay_state);
        if by_form {
            let fields = binding::post_form(Message::Request, &request.write_signed(&key).ok()?, relay_state.as_ref());
            return Some(ToProvider::Post(PostForm { action: endpoint.location.clone(), fields }));
        }
        let xml = request.write();
        let state = relay_state.as_ref();
        let url = binding::redirect_url(&endpoint.location, Message::Request, &xml, state, Some(&key), &[]);
        url.ok().map(ToProvider::Redirect)
    }

    /// Answers a logout request that was carried out.
    ///
    /// # Errors
    /// The provider names no place for answers, or our own keys cannot be used.
    pub async fn logout_response(
        &self,
        in_response_to: &str,
        relay_state: Option<&str>,
    ) -> Result<ToProvider, ProviderError> {
        let metadata = self.metadata().await?;
        let none = || ProviderError::new(Reason::SamlMetadataRejected).saying("a single logout service", "none");
        let Way { endpoint, by_form } = way(&metadata).ok_or_else(none)?;
        let id = request::new_id();
        let response = logout::LogoutResponse {
            id: &id,
            issue_instant: self.clock.now(),
            destination: &endpoint.response,
            issuer: &self.connector.entity_id,
            in_response_to,
            outcome: Outcome::Complete,
        };
        let key = self.keys.signing()?;
        let relay_state = relay_state.and_then(RelayState::echoed);
        let state = relay_state.as_ref();
        if by_form {
            let fields = binding::post_form(Message::Response, &response.write_signed(&key)?, state);
            return Ok(ToProvider::Post(PostForm { action: endpoint.response.clone(), fields }));
        }
        let xml = response.write();
        binding::redirect_url(&endpoint.response, Message::Response, &xml, state, Some(&key), &[])
            .map(ToProvider::Redirect)
    }

    /// Verifies a logout message that came by redirect; `query` as it came. `request_id`: that of the request of ours that
    /// goes with a `RelayState`.
    ///
    /// # Errors
    /// It is not the provider's, not for us or not fresh (S26).
    pub async fn logout_by_redirect(
        &self,
        query: &str,
        request_id: impl Fn(&str) -> String,
    ) -> Result<LogoutMessage, ProviderError> {
        let redirected = binding::parse_redirect(query)?;
        let relay_state = redirected.relay_state.clone();
        self.judge_logout(Received::Redirect(&redirected), redirected.message, relay_state, request_id).await
    }

    /// Verifies a logout message that was posted: `SAMLRequest` or `SAMLResponse`, one of the two.
    ///
    /// # Errors
    /// As [`Self::logout_by_redirect`].
    pub async fn logout_by_form(
        &self,
        request: Option<&str>,
        response: Option<&str>,
        relay_state: Option<&str>,
        request_id: impl Fn(&str) -> String,
    ) -> Result<LogoutMessage, ProviderError> {
        let (message, xml) = binding::parse_post(request, response)?;
        self.judge_logout(Received::Post(&xml), message, relay_state.map(str::to_owned), request_id).await
    }

    async fn judge_logout(
        &self,
        received: Received<'_>,
        message: Message,
        relay_state: Option<String>,
        request_id: impl Fn(&str) -> String,
    ) -> Result<LogoutMessage, ProviderError> {
        let metadata = self.metadata().await?;
        let decryption = self.keys.decryption()?;
        let expected = Expected {
            slo_url: &self.slo_url,
            idp_entity_id: &metadata.entity_id,
            now: self.clock.now(),
            keys: &metadata.keys,
            decryption: &decryption,
            allow_cbc: self.connector.allow_aes_cbc,
        };
        Ok(match message {
            Message::Request => {
                let judged = logout::judge_request(received, &expected)?;
                LogoutMessage::Request(LogoutRequest {
                    id: judged.id,
                    name_id: judged.name_id,
                    session_indexes: judged.session_indexes.iter().map(|index| trimmed(index).to_owned()).collect(),
                    issued_at: judged.issued_at,
                    expires: judged.expires,
                    relay_state,
                })
            }
            Message::Response => {
                let request_id = request_id(relay_state.as_deref().unwrap_or_default());
                let outcome = logout::judge_response(received, &request_id, &expected)?;
                LogoutMessage::Response { partial: outcome == Outcome::Partial }
            }
        })
    }
}

//! Endings that the provider announces: logout tokens, and front-channel logout
//! (`OpenID` Connect Back-Channel Logout 1.0, Front-Channel Logout 1.0).

use url::Url;

use super::OidcProvider;
use super::error::{ProviderError, Reason};
use super::oidc::jws::Jws;
use super::oidc::logout_token::{self, Expected};
use super::types::LogoutToken;

impl OidcProvider {
    /// Verifies a logout token (L01–L05). That its `jti` is new is for the caller to see, and what the token's `sub`
    /// and `sid` name (L06, L07).
    ///
    /// # Errors
    /// It is not the provider's, not for this client, not a logout token or not fresh: 400 (section 2.8). Of kind
    /// unavailable: the provider's keys cannot be had, and the provider should send it again.
    pub async fn logout_token(&self, token: &str) -> Result<LogoutToken, ProviderError> {
        let jws = Jws::parse_typed(token, &self.connector.algorithms, logout_token::TYPES)?;
        let discovered = self.remote.discovered().await?;
        let keys = self.remote.keys(&discovered).await?;
        let document = discovered.metadata.issuer.as_str();
        let expected = Expected {
            issuer: &|iss, _| {
                if self.is_tokens_issuer(document, iss) {
                    return Ok(());
                }
                Err(ProviderError::new(Reason::IssMismatch).saying(document, iss))
            },
            client_id: &self.connector.client_id,
            now: self.clock.now(),
        };
        let judge = |keys: &_| logout_token::verify(&jws, keys, &expected);
        self.with_newer_keys(&discovered, keys, &jws, judge).await.map(|(token, _)| token)
    }

    /// Whether `iss` of a front-channel logout is this provider, character for character (L10). False too where the
    /// provider's document cannot be had.
    pub async fn front_channel_issuer(&self, iss: &str) -> bool {
        let Ok(discovered) = self.remote.discovered().await else { return false };
        self.is_tokens_issuer(&discovered.metadata.issuer, iss)
    }

    /// The origins that may frame the front-channel logout page: the issuer's, and that of the sign-out page it names.
    /// Empty where the provider's document cannot be had.
    pub async fn front_channel_origins(&self) -> Vec<String> {
        let Ok(discovered) = self.remote.discovered().await else { return Vec::new() };
        let issuer = Url::parse(&discovered.metadata.issuer).ok();
        let mut origins = Vec::new();
        for url in [issuer.as_ref(), discovered.metadata.end_session_endpoint.as_ref()].into_iter().flatten() {
            let origin = url.origin();
            if origin.is_tuple() && !origins.contains(&origin.ascii_serialization()) {
                origins.push(origin.ascii_serialization());
            }
        }
        origins
    }

    /// Whether tokens with this `iss` may be the provider's, as far as `iss` alone tells.
    fn is_tokens_issuer(&self, document: &str, iss: &str) -> bool {
        match &self.authority {
            Some(authority) => authority.is_tenants_issuer(document, iss),
            None => iss == document,
        }
    }
}

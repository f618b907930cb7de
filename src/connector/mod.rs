//! Connectors: the corporate identity providers. [`Provider`] is one of them at run time: it sends people there, and
//! turns the code they come back with into a verified [`Identity`].

mod attributes;
mod entra;
mod error;
mod google;
mod groups;
mod oidc;
mod remote;

use std::fmt;
use std::sync::Arc;

use http::Request;
use serde_json::{Map, Value};

use crate::base::clock::Clock;
use crate::base::email::EmailDomain;
use crate::base::id::Id;
use crate::base::outgoing::Outgoing;
use crate::config::{Connector, ConnectorKind};
use crate::identity::Identity;

use attributes::Reader;
use entra::Authority;
pub use error::{Kind, ProviderError, Reason};
use groups::{Groups, Person};
pub use oidc::authorize::{AuthorizationRequest, pkce_challenge};
use oidc::id_token::{Expected, IdToken};
use oidc::jwks::KeySet;
use oidc::jws::Jws;
use oidc::token::{Exchange, Tokens};
use oidc::{authorize, id_token, logout, metadata, token, userinfo};
use remote::{Accepts, Discovered, Remote};

/// One configured identity provider.
pub struct Provider {
    id: Id,
    connector: Connector,
    domains: Vec<EmailDomain>,
    redirect_uri: String,
    clock: Clock,
    /// For entra alone.
    authority: Option<Arc<Authority>>,
    remote: Arc<Remote>,
    groups: Groups,
}

/// A finished sign-in.
pub struct SignedIn {
    pub identity: Identity,
    /// For `id_token_hint` at sign-out. A credential: never printed.
    pub id_token: String,
}

impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedIn").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Provider {
    /// `redirect_uri` is absolute; `domains` are the e-mail domains of this connector enabled in this environment.
    /// Fetches nothing.
    pub fn new(
        id: Id,
        config: &Connector,
        domains: Vec<EmailDomain>,
        redirect_uri: String,
        outgoing: Outgoing,
        clock: Clock,
    ) -> Self {
        let authority = match &config.kind {
            ConnectorKind::Entra { tenant, allowed_tenants } => {
                Some(Arc::new(Authority::new(&config.issuer, tenant, allowed_tenants)))
            }
            ConnectorKind::Google { .. } | ConnectorKind::Oidc { .. } => None,
        };
        let accepts: Accepts = match authority.clone() {
            Some(authority) => Box::new(move |found| authority.accepts_document(found)),
            None => {
                let issuer = config.issuer.clone();
                Box::new(move |found| metadata::is_issuer(&issuer, found))
            }
        };
        let groups = Groups::new(config, &outgoing, &clock);
        let document_url = metadata::document_url(&config.issuer);
        let remote = Remote::new(id.clone(), document_url, accepts, outgoing, clock.clone());
        Self { id, connector: config.clone(), domains, redirect_uri, clock, authority, remote, groups }
    }

    /// The connector's id.
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// What stands on the button after "Log in with".
    pub fn button_name(&self) -> &str {
        &self.connector.name
    }

    /// The e-mail domains whose people sign in here.
    pub fn domains(&self) -> &[EmailDomain] {
        &self.domains
    }

    /// The origin that [`logout_url`](Self::logout_url) leads to, if the provider's document is at hand and names one.
    pub fn logout_origin(&self) -> Option<String> {
        let endpoint = self.remote.cached()?.metadata.end_session_endpoint.as_ref()?.origin();
        Some(endpoint.ascii_serialization())
    }

    /// The URL that starts a sign-in. Fetches the provider's document at first use.
    ///
    /// # Errors
    /// The document cannot be had or is not acceptable.
    pub async fn authorization_url(&self, request: &AuthorizationRequest<'_>) -> Result<String, ProviderError> {
        let discovered = self.remote.discovered().await?;
        let domain_hint = match &self.connector.kind {
            ConnectorKind::Google { hosted_domains } => match hosted_domains.as_slice() {
                [only] => ("hd", Some(only.as_str())),
                _ => ("hd", None),
            },
            ConnectorKind::Entra { .. } | ConnectorKind::Oidc { .. } => ("domain_hint", None),
        };
        let client = authorize::Client {
            client_id: &self.connector.client_id,
            redirect_uri: &self.redirect_uri,
            scopes: &self.connector.scopes,
            prompt: self.connector.prompt.as_deref(),
            // Optional for providers, unlike `login`: Keycloak signs the same person in again (OpenID Connect Core
            // section 3.1.2.1).
            prompt_for_another: match self.connector.kind {
                ConnectorKind::Entra { .. } | ConnectorKind::Google { .. } => "select_account",
                ConnectorKind::Oidc { .. } => "login",
            },
            domain_hint,
        };
        authorize::url(&discovered.metadata, &client, request)
    }

    /// Judges the `iss` of a callback (RFC 9207), before the code goes anywhere (O20, O21).
    ///
    /// # Errors
    /// It is another provider's, it is absent although promised, or the provider's document cannot be had.
    pub async fn check_issuer(&self, iss: Option<&str>) -> Result<(), ProviderError> {
        let discovered = self.remote.discovered().await?;
        let metadata = &discovered.metadata;
        let same = |iss: &str| match &self.authority {
            Some(authority) => authority.is_callback_issuer(&metadata.issuer, iss),
            None => iss == metadata.issuer,
        };
        match iss {
            Some(iss) if same(iss) => Ok(()),
            Some(iss) => Err(ProviderError::new(Reason::IdpMixup).saying(&metadata.issuer, iss)),
            None if metadata.promises_issuer => Err(Reason::IssParamMissing.into()),
            None => Ok(()),
        }
    }

    /// Redeems the code of a callback: code, tokens, verified identity. The code and its PKCE verifier are used up.
    ///
    /// # Errors
    /// Whatever makes the answer not this person's, not this attempt's, not fresh, or not allowed here.
    pub async fn redeem(&self, code: &str, pkce_verifier: &str, nonce: &str) -> Result<SignedIn, ProviderError> {
        let discovered = self.remote.discovered().await?;
        // Before the code is used up: without keys nothing could be done with its tokens.
        let keys = self.remote.keys(&discovered).await?;
        let request = self.token_request(&discovered, code, pkce_verifier)?;
        let answer = self.remote.send(&discovered, request, token::MAX_ANSWER, Reason::TokenResponseInvalid).await?;
        let tokens = token::read(&answer)?;
        let (id_token, keys) = self.verify(&discovered, keys, &tokens, nonce).await?;

        let single_tenant = self.authority.as_ref().is_some_and(|a| a.is_single_tenant(&discovered.metadata.issuer));
        let reader = Reader { connector: &self.connector, single_tenant };
        reader.check(&id_token)?;
        let claims = match &discovered.metadata.userinfo_endpoint {
            Some(endpoint) if reader.needs_userinfo(&id_token.claims) => {
                let request = userinfo::request(endpoint, &tokens.access_token)?;
                let answer =
                    self.remote.send(&discovered, request, userinfo::MAX_ANSWER, Reason::UserinfoInvalid).await?;
                let Connector { algorithms, client_id, .. } = &self.connector;
                let userinfo = userinfo::read(&answer, &id_token, &keys, algorithms, client_id)?;
                reader.complete(id_token.claims, userinfo)
            }
            _ => id_token.claims,
        };
        let identity = self.identity(&reader, id_token.subject, &claims, Some(&tokens.access_token)).await?;
        Ok(SignedIn { identity, id_token: tokens.id_token })
    }

    /// The person that verified claims speak of, with all groups: the same at a sign-in and at each renewal. Groups are
    /// asked for last, and only for somebody who may sign in here. `access_token` is the one that came with the claims.
    async fn identity(
        &self,
        reader: &Reader<'_>,
        subject: String,
        claims: &Map<String, Value>,
        access_token: Option<&str>,
    ) -> Result<Identity, ProviderError> {
        let attributes = reader.read(subject, claims, &self.domains)?;
        let groups = self.groups.of(&Person { claims, email: &attributes.email, access_token }).await?;
        Ok(Identity {
            connector: self.id.clone(),
            subject: attributes.subject,
            email: attributes.email,
            preferred_username: attributes.preferred_username,
            name: attributes.name,
            groups,
            role: attributes.role,
        })
    }

    /// The URL that ends the session at the provider too. None: it has none, or its document cannot be had.
    pub async fn logout_url(&self, id_token_hint: &str, post_logout_redirect_uri: &str, state: &str) -> Option<String> {
        let discovered = self.remote.discovered().await.ok()?;
        let endpoint = discovered.metadata.end_session_endpoint.as_ref()?;
        Some(logout::url(endpoint, &self.connector.client_id, id_token_hint, post_logout_redirect_uri, state))
    }

    fn token_request(
        &self,
        discovered: &Discovered,
        code: &str,
        pkce_verifier: &str,
    ) -> Result<Request<Vec<u8>>, ProviderError> {
        let unreadable = |e| ProviderError::new(Reason::ClientSecretUnreadable).caused_by(e);
        let client_secret = self.connector.client_secret.as_ref().map(|s| s.read().map_err(unreadable)).transpose()?;
        let (client_id, redirect_uri) = (self.connector.client_id.as_str(), self.redirect_uri.as_str());
        let exchange = Exchange { client_id, client_secret, redirect_uri, code, pkce_verifier };
        token::request(&discovered.metadata, exchange)
    }

    /// Verifies the ID token; with a newer key set if its key is not in the one at hand (O14).
    async fn verify(
        &self,
        discovered: &Discovered,
        keys: Arc<KeySet>,
        tokens: &Tokens,
        nonce: &str,
    ) -> Result<(IdToken, Arc<KeySet>), ProviderError> {
        let jws = Jws::parse(&tokens.id_token, &self.connector.algorithms)?;
        let refused = match self.judge(&jws, &keys, discovered, tokens, nonce) {
            Ok(id_token) => return Ok((id_token, keys)),
            Err(refused) => refused,
        };
        if !jws.could_be_rotated(refused.why()) {
            return Err(refused);
        }
        match self.remote.newer_keys(discovered, &keys).await {
            Ok(Some(newer)) => Ok((self.judge(&jws, &newer, discovered, tokens, nonce)?, newer)),
            Ok(None) => Err(refused),
            Err(failed) if failed.kind() == Kind::Unavailable => Err(failed),
            Err(failed) => Err(refused.caused_by(failed)),
        }
    }

    fn judge(
        &self,
        jws: &Jws<'_>,
        keys: &KeySet,
        discovered: &Discovered,
        tokens: &Tokens,
        nonce: &str,
    ) -> Result<IdToken, ProviderError> {
        let document = discovered.metadata.issuer.as_str();
        let expected = Expected {
            issuer: &|iss, claims| match &self.authority {
                Some(authority) => authority.check_issuer(document, iss, claims),
                None if iss == document => Ok(()),
                None => Err(ProviderError::new(Reason::IssMismatch).saying(document, iss)),
            },
            client_id: &self.connector.client_id,
            nonce,
            access_token: &tokens.access_token,
            now: self.clock.now(),
        };
        id_token::verify(jws, keys, &expected)
    }
}

#[cfg(test)]
mod tests;

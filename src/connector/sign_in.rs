//! Redeeming a code: tokens, their verification, and the identity that they tell.

use std::sync::Arc;

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::attributes::Reader;
use super::error::{Kind, ProviderError, Reason};
use super::groups::Person;
use super::oidc::client_auth::{self, ClientAuthentication};
use super::oidc::id_token::{self, Expected, IdToken};
use super::oidc::jwks::KeySet;
use super::oidc::jws::Jws;
use super::oidc::logout_token::is_name;
use super::oidc::requirement::Assurance;
use super::oidc::token::{self, Grant, Tokens};
use super::oidc::userinfo;
use super::remote::Discovered;
use super::types::{SignedIn, TokenSet};
use super::{OidcProvider, Renewal, Requirement};
use crate::base::client_certificate::Signing;
use crate::base::clock::Timestamp;
use crate::base::random;
use crate::config::{ConnectorKind, OidcConnector};
use crate::identity::Identity;

impl OidcProvider {
    /// Redeems the code of a callback: code, tokens, verified identity. The code and its PKCE verifier are used up.
    /// The sign-in must meet `required` and the connector's own requirement; its age counts from `asked_at`, when the
    /// browser was sent to the provider. Waits while other sign-ins are at the token endpoint, at most 10 s.
    ///
    /// # Errors
    /// Whatever makes the answer not this person's, not this attempt's, not fresh or not strong enough, or not allowed
    /// here.
    pub async fn redeem(
        &self,
        code: &str,
        pkce_verifier: &str,
        nonce: &str,
        required: &Requirement,
        asked_at: Timestamp,
    ) -> Result<SignedIn, ProviderError> {
        let discovered = self.remote.discovered().await?;
        // Before the code is used up: without keys nothing could be done with its tokens.
        let keys = self.remote.keys(&discovered).await?;
        let _turn = self.limits.sign_in().await?;
        let grant = Grant::Code { code, pkce_verifier, redirect_uri: &self.redirect_uri };
        let tokens = self.tokens(&discovered, &grant).await?;
        let raw = tokens.id_token()?;
        let (id_token, keys) = self.verify(&discovered, keys, raw, &tokens.access_token, Some(nonce)).await?;

        let assurance = Assurance::read(&id_token.claims, self.clock.now())?;
        assurance.check(&self.connector.requirement.and(required), asked_at)?;
        let provider_sub = id_token.subject.clone();
        let sid = id_token.claims.get("sid").and_then(Value::as_str);
        let provider_sid = sid.filter(|sid| is_name(sid)).map(str::to_owned);
        let identity = self.identify(&discovered, &keys, id_token, &tokens.access_token).await?;
        let Assurance { auth_time, acr, amr } = assurance;
        let id_token = SecretString::from(raw);
        // A credential that nobody uses is not kept.
        let refresh_token = tokens.refresh_token.filter(|_| self.connector.renewal == Renewal::Refresh);
        let tokens = TokenSet { id_token, refresh_token, expires_in: tokens.expires_in };
        Ok(SignedIn { identity, provider_sub, provider_sid, auth_time, acr, amr, tokens })
    }

    /// Asks the token endpoint.
    pub(super) async fn tokens(&self, discovered: &Discovered, grant: &Grant<'_>) -> Result<Tokens, ProviderError> {
        let authentication = self.client_authentication(discovered)?;
        let request = token::request(&discovered.metadata, &self.connector.client_id, &authentication, grant)?;
        let answer = self.remote.send(discovered, request, token::MAX_ANSWER, Reason::TokenResponseInvalid).await?;
        token::read(&answer)
    }

    /// How this client proves who it is at the provider's token endpoint now. Reads the secret, or the certificate, as
    /// it is in its file.
    pub(super) fn client_authentication(&self, discovered: &Discovered) -> Result<ClientAuthentication, ProviderError> {
        let OidcConnector { client_id, client_secret, client_certificate, kind, .. } = &self.connector;
        if let Some(certificate) = client_certificate {
            let unusable = |e| ProviderError::new(Reason::ClientKeyUnusable).caused_by(e);
            let pair = certificate.read().map_err(unusable)?;
            // Entra ID's document does not say what it takes; its manual does: PS256.
            let pss = matches!(kind, ConnectorKind::Entra { .. }) || discovered.metadata.assertions_by_pss;
            let rsa = if pss { Signing::PS256 } else { Signing::RS256 };
            let (audience, jti) = (discovered.metadata.token_endpoint.as_str(), random::token::<16>());
            let assertion = client_auth::assertion(&pair, rsa, client_id, audience, &jti, self.clock.now())?;
            return Ok(ClientAuthentication::Assertion(assertion));
        }
        let unreadable = |e| ProviderError::new(Reason::ClientSecretUnreadable).caused_by(e);
        let secret = client_secret.as_ref().map(|s| s.read().map_err(unreadable)).transpose()?;
        Ok(secret.map_or(ClientAuthentication::None, ClientAuthentication::Secret))
    }

    /// Reads who a verified ID token is about, with userinfo where the token does not say enough.
    pub(super) async fn identify(
        &self,
        discovered: &Discovered,
        keys: &KeySet,
        id_token: IdToken,
        access_token: &str,
    ) -> Result<Identity, ProviderError> {
        let reader = self.reader(discovered);
        reader.check(&id_token)?;
        let claims = match &discovered.metadata.userinfo_endpoint {
            Some(_) if reader.needs_userinfo(&id_token.claims) => {
                let userinfo = self.userinfo(discovered, keys, &id_token, access_token).await?;
                reader.complete(id_token.claims, userinfo.unwrap_or_default())
            }
            _ => id_token.claims,
        };
        self.identity(&reader, id_token.subject, &claims, Some(access_token)).await
    }

    pub(super) fn reader(&self, discovered: &Discovered) -> Reader<'_> {
        let single_tenant = self.authority.as_ref().is_some_and(|a| a.is_single_tenant(&discovered.metadata.issuer));
        Reader { connector: &self.connector, single_tenant }
    }

    /// The person that verified claims speak of, with all groups: the same at a sign-in and at each renewal. Groups are
    /// asked for last, and only for somebody who may sign in here. `access_token` is the one that came with the claims.
    pub(super) async fn identity(
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

    /// Asks userinfo about the person of `id_token`. None: the provider has no such endpoint.
    pub(super) async fn userinfo(
        &self,
        discovered: &Discovered,
        keys: &KeySet,
        id_token: &IdToken,
        access_token: &str,
    ) -> Result<Option<Map<String, Value>>, ProviderError> {
        let Some(endpoint) = &discovered.metadata.userinfo_endpoint else { return Ok(None) };
        let request = userinfo::request(endpoint, access_token)?;
        let answer = self.remote.send(discovered, request, userinfo::MAX_ANSWER, Reason::UserinfoInvalid).await?;
        let OidcConnector { algorithms, client_id, .. } = &self.connector;
        userinfo::read(&answer, id_token, keys, algorithms, client_id).map(Some)
    }

    /// Verifies an ID token; with a newer key set if its key is not in the one at hand (O14).
    pub(super) async fn verify(
        &self,
        discovered: &Discovered,
        keys: Arc<KeySet>,
        id_token: &str,
        access_token: &str,
        nonce: Option<&str>,
    ) -> Result<(IdToken, Arc<KeySet>), ProviderError> {
        let jws = Jws::parse(id_token, &self.connector.algorithms)?;
        let document = discovered.metadata.issuer.as_str();
        let expected = Expected {
            issuer: &|iss, claims| match &self.authority {
                Some(authority) => authority.check_issuer(document, iss, claims),
                None if iss == document => Ok(()),
                None => Err(ProviderError::new(Reason::IssMismatch).saying(document, iss)),
            },
            client_id: &self.connector.client_id,
            nonce,
            access_token,
            now: self.clock.now(),
        };
        self.with_newer_keys(discovered, keys, &jws, |keys| id_token::verify(&jws, keys, &expected)).await
    }

    /// Judges a token with the keys at hand, and again with newer ones if that could change the answer.
    pub(super) async fn with_newer_keys<T>(
        &self,
        discovered: &Discovered,
        keys: Arc<KeySet>,
        jws: &Jws<'_>,
        judge: impl Fn(&KeySet) -> Result<T, ProviderError>,
    ) -> Result<(T, Arc<KeySet>), ProviderError> {
        let refused = match judge(&keys) {
            Ok(good) => return Ok((good, keys)),
            Err(refused) => refused,
        };
        if !jws.could_be_rotated(refused.why()) {
            return Err(refused);
        }
        match self.remote.newer_keys(discovered, &keys).await {
            Ok(Some(newer)) => Ok((judge(&newer)?, newer)),
            Ok(None) => Err(refused),
            Err(failed) if failed.kind() == Kind::Unavailable => Err(failed),
            Err(failed) => Err(refused.caused_by(failed)),
        }
    }
}

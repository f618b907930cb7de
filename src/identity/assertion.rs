//! The signed assertion: who makes the request, in a form that the application can check (`docs/application-authors.md`
//! is its contract).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::HeaderValue;

use super::Person;
use crate::base::clock::Timestamp;
use crate::base::id::Id;
use crate::base::keys::{KeyRing, PublicJwk};
use crate::base::random;

/// How long a cache may keep `jwks.json`, for its `Cache-Control`. Shorter than
/// [`USE_AFTER`](crate::base::keys::plan::USE_AFTER), so that a key is in every cache before it signs.
pub const JWKS_MAX_AGE: Duration = Duration::from_secs(300);

/// Makes assertions: JWTs (RFC 7519) signed with ES256 by the ring's current key.
#[derive(Clone, Debug)]
pub struct AssertionSigner {
    ring: Arc<KeyRing>,
    issuer: Arc<str>,
    lifetime: Duration,
}

/// An assertion for one session at one application.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// The header's value, marked sensitive.
    pub value: HeaderValue,
    /// Half life: from here on another one should be made.
    pub renew_at: Timestamp,
    /// Its `exp`; never sent from here on.
    pub expires: Timestamp,
}

/// No assertion could be made.
#[derive(Debug, thiserror::Error)]
pub enum AssertionError {
    /// Claims that are no JSON.
    #[error("cannot write the assertion's claims")]
    Claims(#[from] serde_json::Error),
    /// The crypto library failed.
    #[error("cannot sign the assertion")]
    Sign,
}

#[derive(serde::Serialize)]
struct Header<'a> {
    alg: &'static str,
    kid: &'a str,
    typ: &'static str,
}

#[derive(serde::Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: uuid::Uuid,
    aud: &'a str,
    exp: i64,
    iat: i64,
    jti: String,
    email: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    groups: &'a [String],
    sid: &'a str,
}

#[derive(serde::Serialize)]
struct JwkSet<'a> {
    keys: Vec<&'a PublicJwk>,
}

impl AssertionSigner {
    /// `issuer` is the origin of `server.public_url`; `lifetime` is `identity.assertion.lifetime`.
    pub fn new(ring: Arc<KeyRing>, issuer: String, lifetime: Duration) -> Self {
        Self { ring, issuer: issuer.into(), lifetime }
    }

    /// An assertion that `who` makes a request to `app` within session `sid` (its public name, not its cookie). `sub` is
    /// the id of their record. Takes about 30 µs of one core: for the control plane, not per request.
    ///
    /// # Errors
    /// The crypto library fails. The request must then not go on without an assertion.
    pub fn sign<'a>(
        &self,
        who: impl Into<Person<'a>>,
        sid: &str,
        app: &Id,
        now: Timestamp,
    ) -> Result<Assertion, AssertionError> {
        let Person { identity, user, .. } = who.into();
        let key = self.ring.assertion_key(now);
        let expires = Timestamp::from_secs(now.plus(self.lifetime).secs());
        let header = Header { alg: "ES256", kid: key.kid(), typ: "JWT" };
        let claims = Claims {
            iss: &self.issuer,
            sub: user,
            aud: app.as_str(),
            exp: expires.secs(),
            iat: now.secs(),
            jti: random::token::<16>(),
            email: identity.email.as_str(),
            role: identity.role.map(crate::base::role::Role::name),
            groups: &identity.groups,
            sid,
        };
        // RFC 7515 section 3.1, by hand: jsonwebtoken would parse the private key again for every signature.
        let mut token = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header)?);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(&claims)?, &mut token);
        let signature = key.sign(token.as_bytes()).map_err(|_| AssertionError::Sign)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        let mut value = HeaderValue::try_from(token).map_err(|_| AssertionError::Sign)?;
        value.set_sensitive(true);
        Ok(Assertion { value, renew_at: now.plus(self.lifetime / 2), expires })
    }

    /// The body of `jwks.json` (RFC 7517 section 5): public keys only.
    ///
    /// # Errors
    /// Never in practice; the JSON writer's.
    pub fn jwks(&self, now: Timestamp) -> Result<Bytes, AssertionError> {
        let keys = self.ring.published_keys(now);
        let set = JwkSet { keys: keys.iter().map(|key| key.public_jwk()).collect() };
        Ok(serde_json::to_vec(&set)?.into())
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

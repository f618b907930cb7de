//! How the client proves who it is at the token endpoint (`OpenID` Connect Core section 9): not at all, by a secret, or
//! by an assertion that its certificate's key signs (RFC 7523 section 2.2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::base::client_certificate::{Signing, SigningPair};
use crate::base::clock::Timestamp;
use crate::connector::error::{ProviderError, Reason};

/// How long an assertion is good, in seconds: clocks differ, and it works for one request.
const LIFETIME: i64 = 300;

/// RFC 7523 section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What the client shows. Good for one request.
pub(crate) enum ClientAuthentication {
    /// A public client.
    None,
    Secret(SecretString),
    Assertion(SecretString),
}

impl ClientAuthentication {
    /// The form's parameters that a request for a client without a secret lacks.
    pub(crate) fn assertion_parameters(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Assertion(assertion) => vec![
                ("client_assertion_type", ASSERTION_TYPE.to_owned()),
                ("client_assertion", assertion.expose_secret().to_owned()),
            ],
            Self::None | Self::Secret(_) => Vec::new(),
        }
    }
}

/// A client assertion for the token endpoint `audience`. `jti` is new each time; an RSA key signs as `rsa` says.
///
/// The header names the certificate by `x5t#S256`, which Entra ID asks for, and no key by `kid`: a provider that was
/// given the certificate alone would look for a name that it does not have.
pub(crate) fn assertion(
    pair: &SigningPair,
    rsa: Signing,
    client_id: &str,
    audience: &str,
    jti: &str,
    now: Timestamp,
) -> Result<SecretString, ProviderError> {
    let header = json!({
        "alg": pair.signing(rsa).name(),
        "typ": "JWT",
        "x5t#S256": URL_SAFE_NO_PAD.encode(pair.thumbprint()),
    });
    let claims = json!({
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": jti,
        "iat": now.secs(),
        "nbf": now.secs(),
        "exp": now.secs().saturating_add(LIFETIME),
    });
    let signed =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = pair
        .sign(rsa, signed.as_bytes())
        .map_err(|e| ProviderError::new(Reason::ClientKeyUnusable).saying("a signature", "none").caused_by(e))?;
    Ok(SecretString::from(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

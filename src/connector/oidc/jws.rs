//! Signed tokens in compact form (RFC 7515), read strictly. The header chooses only among what the operator allows;
//! keys never come from it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::jwks::KeySet;
use crate::base::json;
use crate::config::SigningAlgorithm;
use crate::connector::error::{ProviderError, Reason};

/// Longest token that is looked at, in bytes.
pub(crate) const MAX_TOKEN: usize = 64 * 1024;

/// Longest `kid` that is looked up, in bytes. No provider comes near it (O11).
const MAX_KID: usize = 256;

/// A token in its three parts, with a header that may be acted on. Nothing in it is verified yet.
pub(crate) struct Jws<'t> {
    algorithm: SigningAlgorithm,
    kid: Option<String>,
    signed: &'t str,
    payload: &'t str,
    signature: &'t str,
}

/// What a verified token says.
pub(crate) struct Verified {
    pub(crate) algorithm: SigningAlgorithm,
    pub(crate) claims: Map<String, Value>,
}

impl<'t> Jws<'t> {
    /// Splits `token` and judges its header (O06, O08–O11, O35–O37). `allowed` are the connector's algorithms.
    pub(crate) fn parse(token: &'t str, allowed: &[SigningAlgorithm]) -> Result<Self, ProviderError> {
        Self::parse_typed(token, allowed, &["JWT"])
    }

    /// The same for a token of another kind, which its `typ`, if there is one, names (RFC 8725 section 3.11).
    pub(crate) fn parse_typed(
        token: &'t str,
        allowed: &[SigningAlgorithm],
        types: &[&str],
    ) -> Result<Self, ProviderError> {
        let malformed = |found: &str| ProviderError::new(Reason::Malformed).saying("a signed compact JWT", found);
        if token.len() > MAX_TOKEN {
            return Err(malformed("over 64 KB"));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or_else(|| malformed("no '.'"))?;
        let (header, payload) = signed.split_once('.').ok_or_else(|| malformed("two parts"))?;
        if payload.contains('.') {
            return Err(malformed("more than three parts"));
        }
        let header = decode(header).and_then(|bytes| json::parse_object(&bytes).ok());
        let header = header.ok_or_else(|| malformed("an unreadable header"))?;

        let algorithm = header.get("alg").and_then(Value::as_str).and_then(|name| by_name(allowed, name));
        let Some(algorithm) = algorithm.filter(|_| !signature.is_empty()) else {
            let found = match header.get("alg") {
                Some(Value::String(alg)) if signature.is_empty() => format!("{alg}, unsigned"),
                Some(Value::String(alg)) => alg.clone(),
                _ => String::from("none"),
            };
            let allowed: Vec<&str> = allowed.iter().map(|a| name(*a)).collect();
            return Err(ProviderError::new(Reason::AlgNotAllowed).saying(allowed.join(" "), found));
        };
        // RFC 7515 section 4.1.11: nothing that could be listed there is understood here. `b64` (RFC 7797) changes
        // what is signed.
        if header.contains_key("crit") || header.contains_key("b64") {
            return Err(Reason::CritUnsupported.into());
        }
        match header.get("typ") {
            None => {}
            Some(Value::String(typ)) if types.iter().any(|allowed| typ.eq_ignore_ascii_case(allowed)) => {}
            Some(typ) => return Err(ProviderError::new(Reason::WrongTokenType).saying(types.join(" "), typ)),
        }
        if decode(signature).is_none() {
            return Err(malformed("a signature that is not base64url"));
        }
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.clone()),
            Some(_) => return Err(malformed("a kid that is no string")),
        };
        Ok(Self { algorithm, kid, signed, payload, signature })
    }

    /// Whether a newer key set could change the answer `reason`: the token names a key that is not there, or names
    /// none and no key fits. Never for a `kid` that no provider would use.
    pub(crate) fn could_be_rotated(&self, reason: Reason) -> bool {
        match (&self.kid, reason) {
            (Some(kid), Reason::KeyUnknown) => kid.len() <= MAX_KID,
            (None, Reason::KeyUnknown | Reason::SigInvalid) => true,
            _ => false,
        }
    }

    /// Verifies the signature with the keys that fit and reads the claims (O05, O12).
    pub(crate) fn verify(&self, keys: &KeySet) -> Result<Verified, ProviderError> {
        let mut candidates = keys.candidates(self.algorithm, self.kid.as_deref()).peekable();
        if candidates.peek().is_none() {
            let found = self.kid.as_deref().unwrap_or("no kid");
            return Err(ProviderError::new(Reason::KeyUnknown).saying("a kid of the provider's key set", found));
        }
        let algorithm = library(self.algorithm);
        let signed = self.signed.as_bytes();
        let good = candidates
            .any(|key| matches!(jsonwebtoken::crypto::verify(self.signature, signed, key, algorithm), Ok(true)));
        if !good {
            return Err(Reason::SigInvalid.into());
        }
        let claims = decode(self.payload).and_then(|bytes| json::parse_object(&bytes).ok());
        let claims = claims.ok_or_else(|| ProviderError::new(Reason::Malformed).saying("claims", "unreadable JSON"))?;
        Ok(Verified { algorithm: self.algorithm, claims })
    }
}

/// Base64url without padding and without stray bits (RFC 7515 section 2).
fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

/// The allowed algorithm of that exact name.
fn by_name(allowed: &[SigningAlgorithm], alg: &str) -> Option<SigningAlgorithm> {
    allowed.iter().copied().find(|a| name(*a) == alg)
}

/// The registered name (RFC 7518 section 3.1, RFC 8037).
pub(crate) const fn name(algorithm: SigningAlgorithm) -> &'static str {
    match algorithm {
        SigningAlgorithm::RS256 => "RS256",
        SigningAlgorithm::RS384 => "RS384",
        SigningAlgorithm::RS512 => "RS512",
        SigningAlgorithm::PS256 => "PS256",
        SigningAlgorithm::PS384 => "PS384",
        SigningAlgorithm::PS512 => "PS512",
        SigningAlgorithm::ES256 => "ES256",
        SigningAlgorithm::ES384 => "ES384",
        SigningAlgorithm::EdDSA => "EdDSA",
    }
}

const fn library(algorithm: SigningAlgorithm) -> Algorithm {
    match algorithm {
        SigningAlgorithm::RS256 => Algorithm::RS256,
        SigningAlgorithm::RS384 => Algorithm::RS384,
        SigningAlgorithm::RS512 => Algorithm::RS512,
        SigningAlgorithm::PS256 => Algorithm::PS256,
        SigningAlgorithm::PS384 => Algorithm::PS384,
        SigningAlgorithm::PS512 => Algorithm::PS512,
        SigningAlgorithm::ES256 => Algorithm::ES256,
        SigningAlgorithm::ES384 => Algorithm::ES384,
        SigningAlgorithm::EdDSA => Algorithm::EdDSA,
    }
}

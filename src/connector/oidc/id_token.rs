//! What an ID token must say (`OpenID` Connect Core section 3.1.3.7). The signature has been judged by [`jws`];
//! claims can be reached only through [`verify`], which is given the nonce.
//!
//! [`jws`]: super::jws

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

use super::jwks::KeySet;
use super::jws::{Jws, Verified};
use crate::base::clock::Timestamp;
use crate::config::SigningAlgorithm;
use crate::connector::error::{ProviderError, Reason};

/// How far the provider's clock may be from ours, in seconds.
const LEEWAY: i64 = 60;

/// How long ago a token may have been issued, in seconds: a code is redeemed at once.
const MAX_AGE: i64 = 600;

/// Judges a token's `iss`, given all its claims.
pub(crate) type IssuerRule<'a> = dyn Fn(&str, &Map<String, Value>) -> Result<(), ProviderError> + Sync + 'a;

/// What a token is held against.
pub(crate) struct Expected<'a> {
    pub(crate) issuer: &'a IssuerRule<'a>,
    pub(crate) client_id: &'a str,
    /// None: a refreshed token, which need not have one; see [`continuity`](super::continuity).
    pub(crate) nonce: Option<&'a str>,
    pub(crate) access_token: &'a str,
    pub(crate) now: Timestamp,
}

/// The claims of a token that holds.
pub(crate) struct IdToken {
    pub(crate) subject: String,
    pub(crate) claims: Map<String, Value>,
}

/// Verifies the signature and every claim that makes the token this client's, this attempt's and newly issued.
pub(crate) fn verify(jws: &Jws<'_>, keys: &KeySet, expected: &Expected<'_>) -> Result<IdToken, ProviderError> {
    let Verified { algorithm, mut claims } = jws.verify(keys)?;
    // A claim that is null says nothing (Core section 5.3.2 has it left out).
    claims.retain(|_, value| !value.is_null());
    if claims.contains_key("events") {
        return Err(ProviderError::new(Reason::WrongTokenType).saying("an ID token", "events"));
    }
    for name in ["iss", "sub", "aud", "exp", "iat"] {
        if !claims.contains_key(name) {
            return Err(ProviderError::new(Reason::ClaimMissing).saying(name, ""));
        }
    }
    (expected.issuer)(string(&claims, "iss")?, &claims)?;
    check_audience(&claims, expected.client_id)?;
    check_times(&claims, expected.now)?;
    if let Some(nonce) = expected.nonce {
        check_nonce(&claims, nonce)?;
    }
    check_at_hash(&claims, algorithm, expected.access_token)?;
    let subject = subject(&claims)?;
    Ok(IdToken { subject, claims })
}

/// A claim that must be a string.
pub(crate) fn string<'c>(claims: &'c Map<String, Value>, name: &'static str) -> Result<&'c str, ProviderError> {
    match claims.get(name) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(ProviderError::new(Reason::Type).saying(format_args!("{name}: string"), kind_of(other))),
        None => Err(ProviderError::new(Reason::ClaimMissing).saying(name, "")),
    }
}

/// `aud` names us; with others beside us, `azp` has to be us; an `azp` is always us (O03, O04).
pub(crate) fn check_audience(claims: &Map<String, Value>, client_id: &str) -> Result<(), ProviderError> {
    let mismatch = || {
        let found = claims.get("aud").map(Value::to_string).unwrap_or_default();
        ProviderError::new(Reason::AudMismatch).saying(client_id, found)
    };
    let others = match claims.get("aud") {
        Some(Value::String(aud)) if aud == client_id => false,
        Some(Value::Array(audiences)) => {
            if !audiences.iter().all(Value::is_string) || !audiences.iter().any(|aud| aud == client_id) {
                return Err(mismatch());
            }
            audiences.iter().any(|aud| aud != client_id)
        }
        _ => return Err(mismatch()),
    };
    match claims.get("azp") {
        Some(azp) if azp == client_id => Ok(()),
        None if !others => Ok(()),
        azp => {
            let found = azp.map_or_else(|| String::from("absent, with several audiences"), Value::to_string);
            Err(ProviderError::new(Reason::Azp).saying(client_id, found))
        }
    }
}

fn check_times(claims: &Map<String, Value>, now: Timestamp) -> Result<(), ProviderError> {
    let late = |reason, what: &str, at: i64| {
        ProviderError::new(reason).saying(
            format_args!("our clock: {}", now.rfc3339()),
            format_args!("{what} {}", Timestamp::from_secs(at).rfc3339()),
        )
    };
    let now = now.secs();
    let exp = seconds(claims, "exp")?.unwrap_or(i64::MIN);
    let iat = seconds(claims, "iat")?.unwrap_or(i64::MIN);
    if exp.saturating_add(LEEWAY) < now {
        return Err(late(Reason::Expired, "exp", exp));
    }
    if iat > now.saturating_add(LEEWAY) {
        return Err(late(Reason::NotYetValid, "iat", iat));
    }
    if iat < now.saturating_sub(MAX_AGE) {
        return Err(late(Reason::Stale, "iat", iat));
    }
    match seconds(claims, "nbf")? {
        Some(nbf) if nbf > now.saturating_add(LEEWAY) => Err(late(Reason::NotYetValid, "nbf", nbf)),
        _ => Ok(()),
    }
}

/// A `NumericDate` (RFC 7519 section 2): a number, fractional allowed; whole seconds, rounded down. Saturates.
pub(crate) fn seconds(claims: &Map<String, Value>, name: &'static str) -> Result<Option<i64>, ProviderError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let whole = value.as_i64().or_else(|| {
        #[expect(clippy::cast_possible_truncation, reason = "float to integer casts saturate, which is what is wanted")]
        value.as_f64().map(|v| v.floor() as i64)
    });
    match whole {
        Some(whole) => Ok(Some(whole)),
        None => Err(ProviderError::new(Reason::Type).saying(format_args!("{name}: number"), kind_of(value))),
    }
}

fn check_nonce(claims: &Map<String, Value>, nonce: &str) -> Result<(), ProviderError> {
    match claims.get("nonce") {
        Some(Value::String(found)) if bool::from(found.as_bytes().ct_eq(nonce.as_bytes())) => Ok(()),
        Some(_) => Err(Reason::NonceMismatch.into()),
        None => Err(ProviderError::new(Reason::NonceMismatch).saying("a nonce", "none")),
    }
}

/// The left half of the access token's hash, by the hash of the token's own algorithm (Core section 3.1.3.6).
fn check_at_hash(
    claims: &Map<String, Value>,
    algorithm: SigningAlgorithm,
    access_token: &str,
) -> Result<(), ProviderError> {
    use SigningAlgorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    let Some(found) = claims.get("at_hash") else { return Ok(()) };
    let hash = match algorithm {
        RS256 | PS256 | ES256 => &digest::SHA256,
        RS384 | PS384 | ES384 => &digest::SHA384,
        RS512 | PS512 | EdDSA => &digest::SHA512,
    };
    let hash = digest::digest(hash, access_token.as_bytes());
    let half = hash.as_ref().split_at(hash.as_ref().len() / 2).0;
    if *found == URL_SAFE_NO_PAD.encode(half) { Ok(()) } else { Err(Reason::AtHash.into()) }
}

/// `sub`: 1 to 255 characters, compared byte for byte (O37, O38).
pub(crate) fn subject(claims: &Map<String, Value>) -> Result<String, ProviderError> {
    let sub = string(claims, "sub")?;
    if sub.chars().any(char::is_control) {
        return Err(ProviderError::new(Reason::Malformed).saying("sub", "control characters"));
    }
    if sub.trim().is_empty() || sub.chars().count() > 255 {
        return Err(ProviderError::new(Reason::SubInvalid).saying("sub: 1 to 255 characters", sub.chars().count()));
    }
    Ok(sub.to_owned())
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests;

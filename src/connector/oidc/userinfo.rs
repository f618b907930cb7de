//! The userinfo answer (`OpenID` Connect Core section 5.3). Counts only for the person the ID token is about (O29).

use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderValue, Request, StatusCode};
use serde_json::{Map, Value};
use url::Url;

use super::id_token::{IdToken, check_audience, string};
use super::jwks::KeySet;
use super::jws::Jws;
use crate::base::json;
use crate::base::outgoing::Answer;
use crate::config::SigningAlgorithm;
use crate::connector::error::{Kind, ProviderError, Reason};

/// Largest userinfo answer that is read, in bytes.
pub(crate) const MAX_ANSWER: usize = 256 * 1024;

/// The request: the access token in the header, nowhere else (RFC 6750 section 2.1).
pub(crate) fn request(endpoint: &Url, access_token: &str) -> Result<Request<Vec<u8>>, ProviderError> {
    let invalid = |expected: &str| ProviderError::new(Reason::TokenResponseInvalid).saying(expected, "");
    let mut bearer = HeaderValue::try_from(format!("Bearer {access_token}"))
        .map_err(|e| invalid("an access token of visible characters").caused_by(e))?;
    bearer.set_sensitive(true);
    Request::get(endpoint.as_str())
        .header(ACCEPT, "application/json, application/jwt")
        .header(AUTHORIZATION, bearer)
        .body(Vec::new())
        .map_err(|e| ProviderError::new(Reason::IdpConfigRejected).caused_by(e))
}

/// Reads the answer. A signed one is held to the provider's keys, the ID token's issuer and this client.
pub(crate) fn read(
    answer: &Answer,
    id_token: &IdToken,
    keys: &KeySet,
    algorithms: &[SigningAlgorithm],
    client_id: &str,
) -> Result<Map<String, Value>, ProviderError> {
    let invalid = |expected: &str, found: &str| ProviderError::new(Reason::UserinfoInvalid).saying(expected, found);
    if answer.status != StatusCode::OK {
        let reason = if answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS {
            Reason::ProviderUnavailable
        } else {
            Reason::UserinfoInvalid
        };
        return Err(ProviderError::new(reason).saying("200 from userinfo", answer.status));
    }
    let claims = match answer.content_type.as_deref() {
        Some("application/json") => {
            json::parse_object(&answer.body).map_err(|e| invalid("a JSON object", "").caused_by(e))?
        }
        Some("application/jwt") => signed(&answer.body, id_token, keys, algorithms, client_id).map_err(|cause| {
            debug_assert_eq!(cause.kind(), Kind::Refused);
            invalid("a signed answer for this client", cause.reason()).caused_by(cause)
        })?,
        other => return Err(invalid("application/json or application/jwt", other.unwrap_or("no content type"))),
    };
    match claims.get("sub") {
        Some(Value::String(sub)) if *sub == id_token.subject => Ok(claims),
        _ => Err(Reason::UserinfoSubMismatch.into()),
    }
}

fn signed(
    body: &[u8],
    id_token: &IdToken,
    keys: &KeySet,
    algorithms: &[SigningAlgorithm],
    client_id: &str,
) -> Result<Map<String, Value>, ProviderError> {
    let text = std::str::from_utf8(body).map_err(|e| ProviderError::new(Reason::Malformed).caused_by(e))?;
    let claims = Jws::parse(text, algorithms)?.verify(keys)?.claims;
    let (iss, expected) = (string(&claims, "iss")?, string(&id_token.claims, "iss")?);
    if iss != expected {
        return Err(ProviderError::new(Reason::IssMismatch).saying(expected, iss));
    }
    check_audience(&claims, client_id)?;
    Ok(claims)
}

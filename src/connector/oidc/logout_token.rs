//! Logout tokens (`OpenID` Connect Back-Channel Logout 1.0 sections 2.4 and 2.6; L01–L05).

use std::time::Duration;

use serde_json::{Map, Value};

use super::id_token::{IssuerRule, seconds, string, subject};
use super::jwks::KeySet;
use super::jws::Jws;
use crate::base::clock::Timestamp;
use crate::connector::error::{ProviderError, Reason};
use crate::connector::types::LogoutToken;

/// The member of `events` that makes a token a logout token.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// `typ` headers of logout tokens; older providers send the general one, or none.
pub(crate) const TYPES: &[&str] = &["logout+jwt", "JWT"];

/// How far the provider's clock may be from ours, in seconds.
const LEEWAY: i64 = 60;

/// How long ago a token may have been issued, in seconds.
const MAX_AGE: i64 = 300;

/// Longest `jti` and `sid`, in characters.
const MAX_NAME: usize = 255;

/// What a token is held against.
pub(crate) struct Expected<'a> {
    pub(crate) issuer: &'a IssuerRule<'a>,
    pub(crate) client_id: &'a str,
    pub(crate) now: Timestamp,
}

/// Verifies the signature and every claim. Whether its `jti` is new is for the caller to see (L06).
pub(crate) fn verify(jws: &Jws<'_>, keys: &KeySet, expected: &Expected<'_>) -> Result<LogoutToken, ProviderError> {
    let mut claims = jws.verify(keys)?.claims;
    claims.retain(|_, value| !value.is_null());
    for name in ["iss", "aud", "iat", "jti"] {
        if !claims.contains_key(name) {
            return Err(ProviderError::new(Reason::ClaimMissing).saying(name, ""));
        }
    }
    (expected.issuer)(string(&claims, "iss")?, &claims)?;
    check_audience(&claims, expected.client_id)?;
    check_event(&claims)?;
    if claims.contains_key("nonce") {
        return Err(ProviderError::new(Reason::LogoutTokenNonce).saying("no nonce", "a nonce"));
    }
    let iat = check_times(&claims, expected.now)?;
    let jti = string(&claims, "jti")?;
    if !is_name(jti) {
        let found = jti.chars().count();
        return Err(ProviderError::new(Reason::LogoutTokenJti).saying("1 to 255 visible characters", found));
    }
    let sub = if claims.contains_key("sub") { Some(subject(&claims)?) } else { None };
    let sid = if claims.contains_key("sid") { Some(string(&claims, "sid")?) } else { None };
    if let Some(sid) = sid.filter(|sid| !is_name(sid)) {
        let found = sid.chars().count();
        return Err(ProviderError::new(Reason::SidInvalid).saying("1 to 255 visible characters", found));
    }
    if sub.is_none() && sid.is_none() {
        return Err(ProviderError::new(Reason::LogoutTokenSubject).saying("sub or sid", "neither"));
    }
    let (jti, sid) = (jti.to_owned(), sid.map(str::to_owned));
    // One more second: whoever forgets at this very time must not be before whoever refuses.
    let remembered = u64::try_from(MAX_AGE + LEEWAY + 1).unwrap_or_default();
    Ok(LogoutToken { sub, sid, jti, iat, expires: iat.plus(Duration::from_secs(remembered)) })
}

/// The name of a session or token as a claim may have it: 1 to 255 characters, none of them a control or a blank at an
/// end.
pub(crate) fn is_name(text: &str) -> bool {
    let length = text.chars().count();
    (1..=MAX_NAME).contains(&length) && text.trim() == text && !text.chars().any(char::is_control)
}

/// `aud` names us. Beside us it may name others, as any security event token may (RFC 8417 section 2.2).
fn check_audience(claims: &Map<String, Value>, client_id: &str) -> Result<(), ProviderError> {
    let good = match claims.get("aud") {
        Some(Value::String(aud)) => aud == client_id,
        Some(Value::Array(all)) => all.iter().all(Value::is_string) && all.iter().any(|aud| aud == client_id),
        _ => false,
    };
    if good {
        return Ok(());
    }
    let found = claims.get("aud").map(Value::to_string).unwrap_or_default();
    Err(ProviderError::new(Reason::AudMismatch).saying(client_id, found))
}

fn check_event(claims: &Map<String, Value>) -> Result<(), ProviderError> {
    let wrong =
        |found: &str| ProviderError::new(Reason::LogoutTokenEvents).saying(format_args!("{EVENT}: {{}}"), found);
    match claims.get("events") {
        None => Err(wrong("no events")),
        Some(Value::Object(events)) => match events.get(EVENT) {
            Some(Value::Object(_)) => Ok(()),
            Some(_) => Err(wrong("not an object")),
            None => Err(wrong("other events")),
        },
        Some(_) => Err(wrong("events that are no object")),
    }
}

/// Issued lately, and not expired; `exp` may be absent (older providers).
fn check_times(claims: &Map<String, Value>, now: Timestamp) -> Result<Timestamp, ProviderError> {
    let late = |reason, what: &str, at: i64| {
        ProviderError::new(reason).saying(
            format_args!("our clock: {}", now.rfc3339()),
            format_args!("{what} {}", Timestamp::from_secs(at).rfc3339()),
        )
    };
    let now = now.secs();
    let iat = seconds(claims, "iat")?.unwrap_or(i64::MIN);
    if iat > now.saturating_add(LEEWAY) {
        return Err(late(Reason::NotYetValid, "iat", iat));
    }
    if iat < now.saturating_sub(MAX_AGE + LEEWAY) {
        return Err(late(Reason::Stale, "iat", iat));
    }
    match seconds(claims, "exp")? {
        Some(exp) if exp.saturating_add(LEEWAY) < now => Err(late(Reason::Expired, "exp", exp)),
        _ => Ok(Timestamp::from_secs(iat)),
    }
}

#[cfg(test)]
mod tests;

//! Whether a refreshed ID token is about the sign-in that it renews (`OpenID` Connect Core section 12.2; O39).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::requirement::Assurance;
use crate::base::json;
use crate::connector::error::{ProviderError, Reason};

/// The claims of an ID token that was verified when it came and was kept sealed since. None: it is none.
pub(crate) fn kept_claims(id_token: &str) -> Option<Map<String, Value>> {
    let payload = id_token.split('.').nth(1)?;
    let mut claims = json::parse_object(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    claims.retain(|_, value| !value.is_null());
    Some(claims)
}

/// Judges a verified, refreshed token's claims against those of the one before it: `iss`, `sub` and `azp` are the same,
/// `aud` names whom it named, and a `nonce`, which it need not have, is the same.
pub(crate) fn check(before: &Map<String, Value>, now: &Map<String, Value>) -> Result<(), ProviderError> {
    for name in ["iss", "sub", "azp"] {
        if before.get(name) != now.get(name) {
            return Err(changed(name, before.get(name), now.get(name)));
        }
    }
    let named = |claims: &Map<String, Value>, aud: &Value| match claims.get("aud") {
        Some(Value::Array(all)) => all.contains(aud),
        Some(one) => one == aud,
        None => false,
    };
    let all_named = match before.get("aud") {
        Some(Value::Array(all)) => all.iter().all(|aud| named(now, aud)),
        Some(one) => named(now, one),
        None => false,
    };
    if !all_named {
        return Err(changed("aud", before.get("aud"), now.get("aud")));
    }
    match now.get("nonce") {
        Some(nonce) if before.get("nonce") != Some(nonce) => Err(changed("nonce", None, None)),
        _ => Ok(()),
    }
}

/// A claim is not what it was.
pub(crate) fn changed(name: &str, before: Option<&Value>, now: Option<&Value>) -> ProviderError {
    let shown = |value: Option<&Value>| value.map_or_else(|| String::from("absent"), Value::to_string);
    ProviderError::new(Reason::RefreshIdentityChanged)
        .saying(format_args!("{name} {}", shown(before)), format_args!("{name} {}", shown(now)))
}

/// How the person signed in, after the renewal: what the refreshed token says, or what was. No renewal makes a sign-in
/// fresher than it was.
pub(crate) fn assurance(before: Assurance, now: Assurance) -> Assurance {
    Assurance {
        auth_time: before.auth_time.map(|before| now.auth_time.map_or(before, |now| now.min(before))),
        acr: now.acr.or(before.acr),
        amr: if now.amr.is_empty() { before.amr } else { now.amr },
    }
}

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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::clock::Timestamp;
    use crate::connector::oidc::fixture::{self, NONCE, NOW, rsa, sign, with};

    fn before() -> Value {
        with(fixture::claims(), "azp", json!(fixture::CLIENT))
    }

    fn judge(before: &Value, now: &Value) -> Result<(), &'static str> {
        check(before.as_object().unwrap(), now.as_object().unwrap()).map_err(|e| e.reason())
    }

    #[test]
    fn a_refreshed_token_is_about_the_same_sign_in_o39() {
        assert_eq!(judge(&before(), &before()), Ok(()));
        for (name, other) in [
            ("iss", json!("https://idp.example.com/")),
            ("sub", json!("eve")),
            ("sub", json!("Ann")),
            ("sub", Value::Null),
            ("aud", json!("other")),
            ("aud", json!(["other"])),
            ("aud", Value::Null),
            ("azp", json!("other")),
            ("azp", Value::Null),
            ("nonce", json!("another")),
        ] {
            let now = with(before(), name, other.clone());
            assert_eq!(judge(&before(), &now), Err("refresh_identity_changed"), "{name} {other}");
        }
        let without = with(before(), "azp", Value::Null);
        assert_eq!(judge(&without, &without), Ok(()));
        assert_eq!(judge(&without, &before()), Err("refresh_identity_changed"), "an azp that was not there");
    }

    #[test]
    fn a_refreshed_token_may_leave_out_the_nonce_and_write_aud_as_a_list_o39() {
        assert_eq!(judge(&before(), &with(before(), "nonce", Value::Null)), Ok(()));
        assert_eq!(judge(&before(), &with(before(), "aud", json!([fixture::CLIENT]))), Ok(()));
        let several = with(before(), "aud", json!([fixture::CLIENT, "api"]));
        assert_eq!(judge(&several, &several), Ok(()));
        assert_eq!(judge(&several, &before()), Err("refresh_identity_changed"), "one is missing");
        let nonceless = with(before(), "nonce", Value::Null);
        assert_eq!(judge(&nonceless, &with(before(), "nonce", json!(NONCE))), Err("refresh_identity_changed"));
    }

    #[test]
    fn the_kept_token_is_read_back_or_is_none() {
        let token = sign(rsa(0), &fixture::header("RS256", "k"), &with(before(), "null", json!(1)));
        assert_eq!(kept_claims(&token).unwrap()["sub"], "ann");
        for bad in ["", "a", "a.b.c", "..", "a.W10.c"] {
            assert_eq!(kept_claims(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_renewal_makes_no_sign_in_fresher() {
        let at = |secs: i64| Some(Timestamp::from_secs(NOW.secs() + secs));
        let of = |auth_time| Assurance { auth_time, ..Assurance::default() };
        assert_eq!(assurance(of(at(0)), of(at(60))).auth_time, at(0));
        assert_eq!(assurance(of(at(0)), of(at(-60))).auth_time, at(-60));
        assert_eq!(assurance(of(at(0)), of(None)).auth_time, at(0));
        assert_eq!(assurance(of(None), of(at(0))).auth_time, None);
        let strong = Assurance { acr: Some("gold".into()), amr: vec!["mfa".into()], ..Assurance::default() };
        let weak = Assurance { acr: Some("bronze".into()), amr: vec!["pwd".into()], ..Assurance::default() };
        assert_eq!(assurance(strong.clone(), Assurance::default()), strong);
        assert_eq!(assurance(strong, weak.clone()), weak, "what the provider says now");
    }
}

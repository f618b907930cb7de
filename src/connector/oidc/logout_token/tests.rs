//! Every case is one mutation over the honest token, which [`the_honest_token_is_accepted`] shows to be accepted.

use serde_json::json;

use super::*;
use crate::config::SigningAlgorithm;
use crate::connector::oidc::fixture::{self, CLIENT, ISSUER, NONCE, NOW, TestKey, b64, p256, rsa, sign, with};

fn honest() -> Value {
    json!({
        "iss": ISSUER,
        "aud": CLIENT,
        "iat": NOW.secs(),
        "exp": NOW.secs() + 120,
        "jti": "logout-1",
        "sub": "ann",
        "sid": "session-1",
        "events": { EVENT: {} },
    })
}

fn header() -> Value {
    json!({ "alg": "RS256", "kid": "k", "typ": "logout+jwt" })
}

fn judge_at(token: &str, now: Timestamp) -> Result<LogoutToken, &'static str> {
    let keys = KeySet::parse(json!({ "keys": [rsa(0).jwk("k"), p256().jwk("ec")] }).to_string().as_bytes()).unwrap();
    let issuer =
        |iss: &str, _: &Map<String, Value>| if iss == ISSUER { Ok(()) } else { Err(Reason::IssMismatch.into()) };
    let expected = Expected { issuer: &issuer, client_id: CLIENT, now };
    let judge = || verify(&Jws::parse_typed(token, &[SigningAlgorithm::RS256], TYPES)?, &keys, &expected);
    judge().map_err(|e: ProviderError| e.reason())
}

fn signed(key: &TestKey, header: &Value, claims: &Value) -> Result<LogoutToken, &'static str> {
    judge_at(&sign(key, header, claims), NOW)
}

/// The verdict on honest claims with one changed.
fn claim(name: &str, value: Value) -> Result<LogoutToken, &'static str> {
    signed(rsa(0), &header(), &with(honest(), name, value))
}

#[test]
fn the_honest_token_is_accepted() {
    let token = signed(rsa(0), &header(), &honest()).unwrap();
    assert_eq!((token.sub.as_deref(), token.sid.as_deref()), (Some("ann"), Some("session-1")));
    assert_eq!((token.jti.as_str(), token.iat), ("logout-1", NOW));
}

#[test]
fn a_signature_that_is_not_the_providers_is_refused_l01() {
    assert_eq!(signed(rsa(1), &header(), &honest()), Err("sig_invalid"));
    assert_eq!(signed(rsa(0), &with(header(), "kid", json!("other")), &honest()), Err("key_unknown"));
    for alg in ["none", "HS256", "PS256", "rs256"] {
        assert_eq!(signed(rsa(0), &with(header(), "alg", json!(alg)), &honest()), Err("alg_not_allowed"), "{alg}");
    }
    let es256 = with(with(header(), "alg", json!("ES256")), "kid", json!("ec"));
    assert_eq!(signed(&p256(), &es256, &honest()), Err("alg_not_allowed"));
    let unsigned = format!("{}.{}.", b64(header().to_string()), b64(honest().to_string()));
    assert_eq!(judge_at(&unsigned, NOW), Err("alg_not_allowed"));
    let token = sign(rsa(0), &header(), &honest());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (head, _) = signed.split_once('.').unwrap();
    let other = format!("{head}.{}.{signature}", b64(with(honest(), "sub", json!("eve")).to_string()));
    assert_eq!(judge_at(&other, NOW), Err("sig_invalid"));
}

#[test]
fn another_issuer_or_audience_is_refused_l02() {
    assert_eq!(claim("iss", json!("https://evil.example.com")), Err("iss_mismatch"));
    assert_eq!(claim("iss", json!([ISSUER])), Err("type"));
    assert_eq!(claim("iss", Value::Null), Err("claim_missing"));
    for aud in [json!("other"), json!(["other"]), json!([]), json!(1), json!([CLIENT, 1]), json!({ CLIENT: 1 })] {
        assert_eq!(claim("aud", aud.clone()), Err("aud_mismatch"), "{aud}");
    }
    assert_eq!(claim("aud", Value::Null), Err("claim_missing"));
    assert!(claim("aud", json!([CLIENT])).is_ok());
    assert!(claim("aud", json!([CLIENT, "other"])).is_ok(), "one token for all clients of a session");
}

#[test]
fn a_token_without_the_event_is_refused_l03() {
    for events in [
        Value::Null,
        json!({}),
        json!({ "http://schemas.openid.net/event/other": {} }),
        json!({ EVENT: [] }),
        json!({ EVENT: true }),
        json!({ EVENT: null }),
        json!({ EVENT: "{}" }),
        json!([EVENT]),
        json!(EVENT),
    ] {
        assert_eq!(claim("events", events.clone()), Err("logout_token_events"), "{events}");
    }
    assert!(claim("events", json!({ EVENT: { "why": "bored" }, "urn:other": {} })).is_ok());
}

#[test]
fn a_token_of_another_kind_is_refused_l04() {
    assert_eq!(claim("nonce", json!(NONCE)), Err("logout_token_nonce"));
    for typ in ["at+jwt", "secevent+jwt", "id_token+jwt", "", "JOSE"] {
        let header = with(header(), "typ", json!(typ));
        assert_eq!(signed(rsa(0), &header, &honest()), Err("wrong_token_type"), "{typ}");
    }
    for typ in [Value::Null, json!("JWT"), json!("jwt"), json!("Logout+JWT")] {
        assert!(signed(rsa(0), &with(header(), "typ", typ.clone()), &honest()).is_ok(), "{typ}");
    }
    let id_token = with(fixture::claims(), "jti", json!("an-id"));
    assert_eq!(signed(rsa(0), &fixture::header("RS256", "k"), &id_token), Err("logout_token_events"));
}

#[test]
fn a_token_that_names_nobody_or_could_be_replayed_forever_is_refused_l05() {
    let nobody = with(with(honest(), "sub", Value::Null), "sid", Value::Null);
    assert_eq!(signed(rsa(0), &header(), &nobody), Err("logout_token_subject"));
    assert_eq!(claim("sid", Value::Null).map(|t| t.sid), Ok(None));
    assert_eq!(claim("sub", Value::Null).map(|t| t.sub), Ok(None));
    for sub in ["", " ", &"a".repeat(256)] {
        assert_eq!(claim("sub", json!(sub)), Err("sub_invalid"), "{sub}");
    }
    for sid in ["", " s", "s\u{0}", &"a".repeat(256)] {
        assert_eq!(claim("sid", json!(sid)), Err("sid_invalid"), "{sid}");
        assert_eq!(claim("jti", json!(sid)), Err("logout_token_jti"), "{sid}");
    }
    assert!(claim("jti", json!("ü".repeat(255))).is_ok());
    for (name, of_another_type) in [("sub", json!(1)), ("sid", json!([])), ("jti", json!({})), ("iat", json!("1"))] {
        assert_eq!(claim(name, of_another_type), Err("type"), "{name}");
    }
    for name in ["jti", "iat"] {
        assert_eq!(claim(name, Value::Null), Err("claim_missing"), "{name}");
    }
}

#[test]
fn a_token_is_good_for_five_minutes_and_until_its_own_end_l05() {
    let ago = |secs: i64| claim("iat", json!(NOW.secs() - secs)).map(|_| ());
    assert_eq!((ago(300), ago(360), ago(361)), (Ok(()), Ok(()), Err("stale")));
    assert_eq!((ago(-60), ago(-61)), (Ok(()), Err("not_yet_valid")));
    assert_eq!(
        (claim("iat", json!(0)).map(|_| ()), claim("iat", json!(-1e300)).map(|_| ())),
        (Err("stale"), Err("stale"))
    );
    let ended = |secs: i64| claim("exp", json!(NOW.secs() - secs)).map(|_| ());
    assert_eq!((ended(60), ended(61)), (Ok(()), Err("expired")));
    assert_eq!(claim("exp", json!("never")), Err("type"));
    assert!(claim("exp", Value::Null).is_ok(), "older providers leave it out; iat bounds it");
    assert!(claim("exp", json!(1e300)).is_ok(), "and iat bounds it here too");
}

#[test]
fn a_jti_is_remembered_for_as_long_as_its_token_would_be_taken_l06() {
    let endless = with(honest(), "exp", Value::Null);
    let raw = sign(rsa(0), &header(), &endless);
    let token = judge_at(&raw, NOW).unwrap();
    let last = Timestamp::from_secs(token.expires.secs() - 1);
    assert!(judge_at(&raw, last).is_ok());
    assert_eq!(judge_at(&raw, token.expires), Err("stale"));
}

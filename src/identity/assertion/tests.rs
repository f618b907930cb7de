use serde_json::{Value, json};

use super::*;
use crate::base::clock::Clock;
use crate::base::keys::plan;
use crate::identity::Identity;
use crate::identity::tests::alice;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_700);

fn signer() -> (tempfile::TempDir, Clock, Arc<KeyRing>, AssertionSigner) {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(NOW);
    let ring = Arc::new(KeyRing::open(dir.path(), Duration::ZERO, clock.clone()).unwrap());
    let signer = AssertionSigner::new(Arc::clone(&ring), "https://app.example.com".into(), Duration::from_secs(60));
    (dir, clock, ring, signer)
}

pub(super) fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn sign(signer: &AssertionSigner, identity: &Identity, now: Timestamp) -> (String, Assertion) {
    let made = signer.sign(identity, "b5b0", &"portal".parse().unwrap(), now).unwrap();
    (made.value.to_str().unwrap().to_owned(), made)
}

#[test]
fn an_assertion_says_who_for_whom_and_for_how_long() {
    let (_dir, _clock, ring, signer) = signer();
    let (token, made) = sign(&signer, &alice(), NOW);
    assert_eq!(part(&token, 0), json!({"alg": "ES256", "typ": "JWT", "kid": ring.assertion_key(NOW).kid()}));
    let mut claims = part(&token, 1);
    let jti = claims.as_object_mut().unwrap().remove("jti").unwrap();
    assert_eq!(jti.as_str().unwrap().len(), 22);
    assert_eq!(
        claims,
        json!({
            "iss": "https://app.example.com", "sub": alice().user_id().to_string(), "aud": "portal",
            "iat": 1_800_000_000, "exp": 1_800_000_060, "email": "alice@acme.com", "role": "Admin",
            "groups": ["staff", "finance"], "sid": "b5b0",
        })
    );
    assert_eq!(made.expires.secs(), 1_800_000_060);
    assert_eq!(made.renew_at, NOW.plus(Duration::from_secs(30)));
    assert!(!format!("{made:?}").contains(&token), "logs do not show it");
    assert_ne!(part(&sign(&signer, &alice(), NOW).0, 1)["jti"], jti);
}

#[test]
fn claims_that_are_not_known_are_left_out() {
    let (_dir, _clock, _ring, signer) = signer();
    let nobody = Identity { role: None, groups: vec![], ..alice() };
    let claims = part(&sign(&signer, &nobody, NOW).0, 1);
    let names: Vec<&String> = claims.as_object().unwrap().keys().collect();
    assert_eq!(names, ["aud", "email", "exp", "iat", "iss", "jti", "sid", "sub"]);
}

#[test]
fn jwks_shows_what_verifies_before_during_and_after_a_rotation_and_nothing_private() {
    let (_dir, clock, ring, signer) = signer();
    let jwks = || -> Value { serde_json::from_slice(&signer.jwks(clock.now()).unwrap()).unwrap() };
    let verifies = |token: &str, set: &Value| {
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(set.clone()).unwrap();
        let kid = part(token, 0)["kid"].as_str().unwrap().to_owned();
        let key = jsonwebtoken::DecodingKey::from_jwk(set.find(&kid)?).unwrap();
        let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
        rules.validate_exp = false;
        rules.set_audience(&["portal"]);
        jsonwebtoken::decode::<Value>(token, &key, &rules).ok()
    };
    let first = jwks();
    let (token, _) = sign(&signer, &alice(), clock.now());
    assert!(verifies(&token, &first).is_some());
    let keys = first["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1);
    let members: Vec<&String> = keys[0].as_object().unwrap().keys().collect();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"], "no d");
    clock.advance(plan::ROTATE_AFTER);
    ring.rotate_if_due().unwrap();
    let cached = jwks();
    let (still_old, _) = sign(&signer, &alice(), clock.now());
    assert!(verifies(&still_old, &first).is_some(), "the new key waits until caches know it");
    clock.advance(plan::USE_AFTER);
    let (new, _) = sign(&signer, &alice(), clock.now());
    assert!(verifies(&new, &first).is_none());
    assert!(verifies(&new, &cached).is_some() && verifies(&still_old, &jwks()).is_some());
    assert!(JWKS_MAX_AGE < plan::USE_AFTER);
}

#[test]
fn a_thumbprint_is_the_one_of_rfc_7638() {
    // The same key through an independent implementation.
    let (_dir, clock, _ring, signer) = signer();
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_slice(&signer.jwks(clock.now()).unwrap()).unwrap();
    let key = &set.keys[0];
    let thumbprint = key.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap();
    assert_eq!(key.common.key_id.as_deref(), Some(thumbprint.as_str()));
}

//! A provider in miniature: keys made per run, an honest ID token, and every way to spoil it.

use std::sync::OnceLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::metadata::Metadata;
use crate::base::clock::Timestamp;

pub(crate) const ISSUER: &str = "https://idp.example.com";
pub(crate) const CLIENT: &str = "client";
pub(crate) const NONCE: &str = "the-nonce";
pub(crate) const ACCESS_TOKEN: &str = "the-access-token";
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

pub(crate) fn metadata() -> Metadata {
    let at = |path: &str| format!("{ISSUER}{path}").parse().unwrap();
    Metadata {
        issuer: ISSUER.into(),
        authorization_endpoint: at("/authorize"),
        token_endpoint: at("/token"),
        jwks_uri: at("/keys"),
        userinfo_endpoint: None,
        end_session_endpoint: None,
        secret_in_body: false,
        assertions_by_pss: false,
        promises_issuer: false,
    }
}

/// A signing key of a provider.
pub(crate) enum TestKey {
    Rsa(Box<RsaKeyPair>),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Two RSA keys, made once per run: making them takes a while.
pub(crate) fn rsa(which: usize) -> &'static TestKey {
    static KEYS: [OnceLock<TestKey>; 2] = [OnceLock::new(), OnceLock::new()];
    KEYS[which].get_or_init(|| TestKey::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())))
}

pub(crate) fn p256() -> TestKey {
    TestKey::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
}

pub(crate) fn ed25519() -> TestKey {
    TestKey::Ed25519(Ed25519KeyPair::generate().unwrap())
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl TestKey {
    pub(crate) fn sign(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                match alg {
                    "PS256" => key.sign(&RSA_PSS_SHA256, &random, message, &mut signature),
                    _ => key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature),
                }
                .unwrap();
                signature
            }
            Self::P256(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    pub(crate) fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(key) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(key.public_key());
                json!({ "kty": "RSA", "use": "sig", "kid": kid, "n": b64(public.n), "e": b64(public.e) })
            }
            Self::P256(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": b64(x), "y": b64(y) })
            }
            Self::Ed25519(key) => json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(key.public_key()) }),
        }
    }
}

/// The claims of an honest ID token, issued at [`NOW`].
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "sub": "ann",
        "aud": CLIENT,
        "exp": NOW.secs() + 300,
        "iat": NOW.secs(),
        "nonce": NONCE,
        "email": "ann@acme.com",
        "email_verified": true,
    })
}

/// An honest header.
pub(crate) fn header(alg: &str, kid: &str) -> Value {
    json!({ "alg": alg, "kid": kid, "typ": "JWT" })
}

/// Signs whatever it is given.
pub(crate) fn sign(key: &TestKey, header: &Value, claims: &Value) -> String {
    sign_text(key, &header.to_string(), &claims.to_string())
}

/// Signs whatever it is given, JSON or not.
pub(crate) fn sign_text(key: &TestKey, header: &str, claims: &str) -> String {
    let alg = serde_json::from_str::<Value>(header).ok().and_then(|h| h["alg"].as_str().map(str::to_owned));
    let signed = format!("{}.{}", b64(header), b64(claims));
    let signature = key.sign(&alg.unwrap_or_default(), signed.as_bytes());
    format!("{signed}.{}", b64(signature))
}

/// `value` with one member replaced, or removed if `to` is null.
pub(crate) fn with(mut value: Value, member: &str, to: Value) -> Value {
    if to.is_null() {
        value.as_object_mut().unwrap().remove(member);
    } else {
        value[member] = to;
    }
    value
}

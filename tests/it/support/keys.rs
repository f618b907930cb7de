//! Signing keys of the provider fixture, made once per run.

use std::sync::OnceLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// An RSA key. There are three of them: making one takes a while.
pub struct SigningKey(RsaKeyPair);

impl SigningKey {
    /// The key of this number, 0 to 2.
    pub fn number(which: usize) -> &'static Self {
        static KEYS: [OnceLock<SigningKey>; 3] = [OnceLock::new(), OnceLock::new(), OnceLock::new()];
        KEYS[which].get_or_init(|| Self(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    /// The public key as a JWK.
    pub fn jwk(&self, kid: &str) -> Value {
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(self.0.public_key());
        json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": b64(public.n), "e": b64(public.e) })
    }

    /// An RS256 signature.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }
}

/// `header.claims.signature`, whatever the header and claims say.
pub fn sign_jwt(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let signed = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
    let signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", b64(signature))
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

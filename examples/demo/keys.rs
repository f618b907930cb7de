//! A provider's signing key: RSA, 2048 bits, made at start and never written down.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Value, json};

pub(crate) struct SigningKey {
    pair: KeyPair,
    kid: String,
    jwk: Value,
}

impl SigningKey {
    /// A new key. The error is a sentence for the terminal.
    pub(crate) fn generate() -> Result<Self, String> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| "cannot make an RSA key".to_owned())?;
        let public = pair.public_key().as_ref();
        let kid = URL_SAFE_NO_PAD.encode(digest(&SHA256, public));
        let mut jwk = Jwk::from_decoding_key(&DecodingKey::from_rsa_der(public), Some(Algorithm::RS256))
            .and_then(|jwk| Ok(serde_json::to_value(jwk)?))
            .map_err(|cause| format!("cannot write an RSA key as JWK: {cause}"))?;
        if let Some(jwk) = jwk.as_object_mut() {
            jwk.insert("kid".to_owned(), json!(kid));
            jwk.insert("use".to_owned(), json!("sig"));
        }
        Ok(Self { pair, kid, jwk })
    }

    /// The JSON Web Key Set (RFC 7517 section 5).
    pub(crate) fn key_set(&self) -> Value {
        json!({ "keys": [self.jwk] })
    }

    /// A signed JWT (RFC 7519), RS256. `None` when signing failed.
    pub(crate) fn sign(&self, claims: &Value) -> Option<String> {
        let header = json!({ "typ": "JWT", "alg": "RS256", "kid": self.kid });
        let mut token =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature).ok()?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Some(token)
    }

    /// The claims of a token that this key signed, whatever their dates: an `id_token_hint` may have expired
    /// (OpenID Connect RP-Initiated Logout 1.0 section 2).
    pub(crate) fn claims_of_own(&self, token: &str) -> Option<Value> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.pair.public_key().as_ref())
            .verify(signed.as_bytes(), &signature)
            .ok()?;
        let (_, claims) = signed.split_once('.')?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }
}

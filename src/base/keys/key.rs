//! The two kinds of keys: made, parsed, used.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, Signature};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD, URL_SAFE_NO_PAD};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use zeroize::{Zeroize, Zeroizing};

use super::plan::KeyTimes;
use crate::base::clock::Timestamp;
use crate::base::random;

/// Base64 as people write it: padded or not.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Stands before the key's bytes where they are hashed to a public name, so that this hash is no other hash of the key.
const NAME_PREFIX: &[u8] = b"anteroom sealing key name v1\0";

/// An AES-256-GCM key (NIST SP 800-38D).
pub struct SealingKey {
    times: KeyTimes,
    fingerprint: [u8; 32],
    public_name: String,
    cipher: RandomizedNonceKey,
}

impl SealingKey {
    /// A new key as the text of its file.
    pub(super) fn make() -> Zeroizing<String> {
        let mut bytes = random::bytes::<32>();
        let text = Zeroizing::new(STANDARD.encode(bytes) + "\n");
        bytes.zeroize();
        text
    }

    pub(super) fn parse(created: Timestamp, text: &[u8]) -> Result<Self, &'static str> {
        const WHAT: &str = "it is not base64 of 32 bytes";
        let mut bytes = Zeroizing::new([0u8; 34]);
        let len = LENIENT.decode_slice(text.trim_ascii(), &mut *bytes).map_err(|_| WHAT)?;
        let bytes = bytes.get(..len).filter(|b| b.len() == 32).ok_or(WHAT)?;
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, bytes).as_ref());
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, bytes).map_err(|_| WHAT)?;
        let named = Zeroizing::new([NAME_PREFIX, bytes].concat());
        let public_name = digest(&SHA256, &named).as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { times: KeyTimes { created, published: created }, fingerprint, public_name, cipher })
    }

    /// Four bytes that tell keys apart in what they sealed: the start of the key's SHA-256.
    pub(in crate::base) fn id(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.fingerprint;
        [a, b, c, d]
    }

    pub(in crate::base) fn cipher(&self) -> &RandomizedNonceKey {
        &self.cipher
    }

    pub(super) fn fingerprint(&self) -> &[u8] {
        &self.fingerprint
    }

    /// A name that tells the key and gives nothing of it away, 16 hexadecimal digits. Unlike [`id`](Self::id) it is
    /// not part of what the key sealed.
    pub(super) fn public_name(&self) -> &str {
        &self.public_name
    }

    pub(super) fn same(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }

    pub(super) fn times(&self) -> KeyTimes {
        self.times
    }

    pub(super) fn set_published(&mut self, at: Timestamp) {
        self.times.published = at;
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKey").field("times", &self.times).finish_non_exhaustive()
    }
}

/// An ECDSA P-256 key that signs assertions (ES256, RFC 7518 section 3.4).
pub struct AssertionKey {
    times: KeyTimes,
    public: PublicJwk,
    pair: EcdsaKeyPair,
}

/// A public key as `jwks.json` shows it (RFC 7517, RFC 7518 section 6.2). It has no member for the private part.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PublicJwk {
    kty: &'static str,
    crv: &'static str,
    x: String,
    y: String,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
    kid: String,
}

impl PublicJwk {
    /// From an uncompressed P-256 point (SEC 1 section 2.3.3).
    fn from_point(point: &[u8]) -> Option<Self> {
        let (x, y) = point.strip_prefix(&[4])?.split_at_checked(32)?;
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        // RFC 7638 section 3: the required members alone, in this order, without spaces.
        let thumbprint = digest(&SHA256, format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#).as_bytes());
        let kid = URL_SAFE_NO_PAD.encode(thumbprint);
        Some(Self { kty: "EC", crv: "P-256", x, y, usage: "sig", alg: "ES256", kid })
    }
}

impl AssertionKey {
    /// A new key as the text of its file.
    ///
    /// # Errors
    /// The crypto library cannot make a key.
    pub(super) fn make() -> Result<Zeroizing<String>, aws_lc_rs::error::Unspecified> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())?;
        let base64 = Zeroizing::new(STANDARD.encode(document.as_ref()));
        let mut pem = Zeroizing::new(String::with_capacity(base64.len() + 80));
        pem.push_str("-----BEGIN PRIVATE KEY-----\n");
        let mut rest = base64.as_str();
        while !rest.is_empty() {
            let (line, tail) = rest.split_at_checked(64).unwrap_or((rest, ""));
            pem.push_str(line);
            pem.push('\n');
            rest = tail;
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        Ok(pem)
    }

    pub(super) fn parse(created: Timestamp, text: &[u8]) -> Result<Self, &'static str> {
        const WHAT: &str = "it is not an unencrypted PKCS#8 P-256 private key in PEM";
        let der = PrivatePkcs8KeyDer::from_pem_slice(text).map_err(|_| WHAT)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der());
        let pair = pair.map_err(|_| WHAT)?;
        let public = PublicJwk::from_point(pair.public_key().as_ref()).ok_or(WHAT)?;
        Ok(Self { times: KeyTimes { created, published: created }, public, pair })
    }

    /// The key id: its RFC 7638 thumbprint.
    pub fn kid(&self) -> &str {
        &self.public.kid
    }

    /// The public part.
    pub fn public_jwk(&self) -> &PublicJwk {
        &self.public
    }

    /// The ES256 signature of `message`: `r` and `s`, 32 bytes each.
    ///
    /// # Errors
    /// The crypto library fails, which it does only without memory or randomness.
    pub fn sign(&self, message: &[u8]) -> Result<Signature, aws_lc_rs::error::Unspecified> {
        self.pair.sign(&SystemRandom::new(), message)
    }

    pub(super) fn times(&self) -> KeyTimes {
        self.times
    }

    pub(super) fn set_published(&mut self, at: Timestamp) {
        self.times.published = at;
    }
}

impl fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssertionKey")
            .field("kid", &self.public.kid)
            .field("times", &self.times)
            .finish_non_exhaustive()
    }
}

//! The provider's key set (RFC 7517). Keys that cannot verify ID tokens are left out; a document that is out of all
//! proportion is refused whole (O13, Z08).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use super::jws::name;
use crate::base::json;
use crate::config::SigningAlgorithm;
use crate::connector::error::{ProviderError, Reason};

/// Largest key set document that is read, in bytes.
pub(crate) const MAX_DOCUMENT: usize = 512 * 1024;

/// Most keys in a document that is used.
const MAX_KEYS: usize = 100;

/// RSA moduli that are used, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The keys of a provider that can verify signatures.
pub(crate) struct KeySet(Vec<Key>);

struct Key {
    kid: Option<String>,
    family: Family,
    /// The one algorithm that the provider bound the key to.
    alg: Option<String>,
    key: DecodingKey,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl KeySet {
    /// Reads a key set document. Broken, foreign and too weak entries are skipped.
    pub(crate) fn parse(document: &[u8]) -> Result<Self, ProviderError> {
        let rejected = |found: &str| ProviderError::new(Reason::JwksRejected).saying("a key set", found);
        if document.len() > MAX_DOCUMENT {
            return Err(rejected("over 512 KB"));
        }
        let document = json::parse_object(document).map_err(|e| rejected("not strict JSON").caused_by(e))?;
        let Some(Value::Array(keys)) = document.get("keys") else {
            return Err(rejected("no array of keys"));
        };
        if keys.len() > MAX_KEYS {
            return Err(rejected("over 100 keys"));
        }
        Ok(Self(keys.iter().filter_map(Value::as_object).filter_map(Key::read).collect()))
    }

    /// How many keys there are.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// The keys that may verify a token with this algorithm and `kid`; without a `kid`, each that fits.
    pub(crate) fn candidates(
        &self,
        algorithm: SigningAlgorithm,
        kid: Option<&str>,
    ) -> impl Iterator<Item = &DecodingKey> {
        self.0
            .iter()
            .filter(move |key| key.family == family(algorithm))
            .filter(move |key| key.alg.as_deref().is_none_or(|alg| alg == name(algorithm)))
            .filter(move |key| kid.is_none() || key.kid.as_deref() == kid)
            .map(|key| &key.key)
    }
}

impl Key {
    fn read(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |member: &str| jwk.get(member).and_then(Value::as_str);
        let absent_or = |member: &str, good: &dyn Fn(&Value) -> bool| jwk.get(member).is_none_or(good);
        let lists_verify = |ops: &Value| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify"));
        if !absent_or("use", &|v| v == "sig") || !absent_or("key_ops", &lists_verify) {
            return None;
        }
        if !absent_or("kid", &Value::is_string) || !absent_or("alg", &Value::is_string) {
            return None;
        }
        let bytes = |member: &str| text(member).and_then(|v| URL_SAFE_NO_PAD.decode(v).ok());
        let (family, key) = match (text("kty")?, text("crv")) {
            ("RSA", _) => (Family::Rsa, rsa(&bytes("n")?, &bytes("e")?)?),
            ("EC", Some("P-256")) => (Family::P256, ec(&bytes("x")?, &bytes("y")?, 32)?),
            ("EC", Some("P-384")) => (Family::P384, ec(&bytes("x")?, &bytes("y")?, 48)?),
            ("OKP", Some("Ed25519")) => {
                let x = bytes("x").filter(|x| x.len() == 32)?;
                (Family::Ed25519, DecodingKey::from_ed_der(&x))
            }
            _ => return None,
        };
        Some(Self { kid: text("kid").map(str::to_owned), family, alg: text("alg").map(str::to_owned), key })
    }
}

fn rsa(n: &[u8], e: &[u8]) -> Option<DecodingKey> {
    let n = without_leading_zeros(n);
    let e = without_leading_zeros(e);
    let bits = n.len() * 8 - usize::try_from(n.first()?.leading_zeros()).ok()?;
    // A public exponent of more than 32 bits only makes verification slow; an even one, or 1, is none.
    let exponent = e.len() <= 4 && e.last()? & 1 == 1 && *e != [1];
    (RSA_BITS.contains(&bits) && exponent).then(|| DecodingKey::from_rsa_raw_components(n, e))
}

/// The uncompressed point (SEC 1 section 2.3.3); whether it is on the curve is judged when it is used.
fn ec(x: &[u8], y: &[u8], size: usize) -> Option<DecodingKey> {
    (x.len() == size && y.len() == size).then(|| DecodingKey::from_ec_der(&[&[4], x, y].concat()))
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

const fn family(algorithm: SigningAlgorithm) -> Family {
    use SigningAlgorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    match algorithm {
        RS256 | RS384 | RS512 | PS256 | PS384 | PS512 => Family::Rsa,
        ES256 => Family::P256,
        ES384 => Family::P384,
        EdDSA => Family::Ed25519,
    }
}

//! The test vectors for authors of applications (`docs/assertion-vectors`): written by the ignored test here, and held
//! to what [`AssertionSigner`] makes and to the verdicts that an ordinary verifier comes to.
//!
//! After a change to the table: `cargo test --lib write_the_vectors -- --ignored`.

use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
};
use aws_lc_rs::{digest, hmac};
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};

use super::tests::part;
use super::*;
use crate::base::clock::Clock;
use crate::identity::tests::alice;

const ISSUER: &str = "https://app.example.com";
const AUDIENCE: &str = "portal";
const SKEW: i64 = 30;
const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;

/// A vector as the file holds it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Vector {
    name: String,
    why: String,
    /// Unix seconds at which the verdict holds.
    now: i64,
    verdict: Verdict,
    assertion: String,
}

#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Accept,
    Refuse,
}
use Verdict::{Accept, Refuse};

#[derive(serde::Serialize, serde::Deserialize)]
struct Document {
    about: String,
    issuer: String,
    audience: String,
    algorithm: String,
    skew_seconds: i64,
    vectors: Vec<Vector>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/assertion-vectors")
}

#[expect(clippy::disallowed_methods, reason = "checked-in test data")]
fn file(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

fn document() -> Document {
    serde_json::from_str(&file("vectors.json")).unwrap()
}

/// Anteroom itself with the TEST keys: the previous one superseded a day ago, the current one signing.
fn anteroom() -> AssertionSigner {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(format!("assertion-{}.pem", NOW - 43 * DAY)), file("TEST-KEY-previous.pem"))
        .unwrap();
    std::fs::write(dir.path().join(format!("assertion-{}.pem", NOW - DAY)), file("TEST-KEY-current.pem")).unwrap();
    let ring = KeyRing::open(dir.path(), Duration::ZERO, Clock::manual(Timestamp::from_secs(NOW))).unwrap();
    AssertionSigner::new(Arc::new(ring), ISSUER.to_owned(), Duration::from_secs(60))
}

fn pair(name: &str, algorithm: &'static EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    let der = PrivatePkcs8KeyDer::from_pem_slice(file(name).as_bytes()).unwrap();
    EcdsaKeyPair::from_pkcs8(algorithm, der.secret_pkcs8_der()).unwrap()
}

/// The current key's public part as people have it in a file.
fn public_pem() -> String {
    let point = pair("TEST-KEY-current.pem", &ECDSA_P256_SHA256_FIXED_SIGNING);
    let prefix =
        b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
    let der = STANDARD.encode([prefix, point.public_key().as_ref()].concat());
    let (one, two) = der.split_at(64);
    format!("-----BEGIN PUBLIC KEY-----\n{one}\n{two}\n-----END PUBLIC KEY-----\n")
}

/// How a hand-made assertion is signed.
enum Signature {
    Current,
    Previous,
    Stranger,
    Der,
    Hmac(Vec<u8>),
    Bytes(Vec<u8>),
}

/// A hand-made assertion: what Anteroom makes, then bent.
struct Draft {
    header: Value,
    claims: Value,
    signature: Signature,
    /// Claims swapped in after signing.
    tampered: Option<Value>,
}

impl Draft {
    fn token(&self) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&self.header), encode(&self.claims));
        let ecdsa = |pair: EcdsaKeyPair| pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap().as_ref().to_vec();
        let signature = match &self.signature {
            Signature::Current => ecdsa(pair("TEST-KEY-current.pem", &ECDSA_P256_SHA256_FIXED_SIGNING)),
            Signature::Previous => ecdsa(pair("TEST-KEY-previous.pem", &ECDSA_P256_SHA256_FIXED_SIGNING)),
            Signature::Stranger => ecdsa(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()),
            Signature::Der => ecdsa(pair("TEST-KEY-current.pem", &ECDSA_P256_SHA256_ASN1_SIGNING)),
            Signature::Hmac(secret) => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes()).as_ref().to_vec()
            }
            Signature::Bytes(bytes) => bytes.clone(),
        };
        let claims = encode(self.tampered.as_ref().unwrap_or(&self.claims));
        format!("{}.{claims}.{}", encode(&self.header), URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The table.
fn made() -> Vec<Vector> {
    let signer = anteroom();
    let jwks: Value = serde_json::from_slice(&signer.jwks(Timestamp::from_secs(NOW)).unwrap()).unwrap();
    let kid = |index: usize| jwks["keys"][index]["kid"].clone();
    let real = signer.sign(&alice(), "5f1d6c1e", &AUDIENCE.parse().unwrap(), Timestamp::from_secs(NOW)).unwrap();
    let real = real.value.to_str().unwrap();
    let mut vectors = Vec::new();
    let mut add = |name: &str, why: &str, now: i64, verdict, assertion: String| {
        vectors.push(Vector { name: name.into(), why: why.into(), now, verdict, assertion });
    };
    add("made-by-anteroom", "what Anteroom sends, claims and all", NOW + 10, Accept, real.to_owned());

    let draft = |bend: &dyn Fn(&mut Draft)| {
        let mut claims = part(real, 1);
        claims["jti"] = json!("AAAAAAAAAAAAAAAAAAAAAA");
        let mut draft = Draft { header: part(real, 0), claims, signature: Signature::Current, tampered: None };
        bend(&mut draft);
        draft.token()
    };
    let claim = |name: &'static str, value: Value| draft(&move |d| d.claims[name] = value.clone());
    let header = |name: &'static str, value: Value| draft(&move |d| d.header[name] = value.clone());
    let without = |name: &'static str| draft(&move |d| drop(d.claims.as_object_mut().unwrap().remove(name)));
    let signed = |make: &dyn Fn() -> Signature| draft(&|d| d.signature = make());

    let optional = ["role", "groups", "email", "sid"];
    let minimal = draft(&|d| optional.iter().for_each(|name| drop(d.claims.as_object_mut().unwrap().remove(*name))));
    add("without-optional-claims", "role, groups, email and sid may be absent", NOW + 10, Accept, minimal);
    let previous = draft(&|d| {
        d.header["kid"] = kid(1);
        d.signature = Signature::Previous;
    });
    add("signed-by-the-previous-key", "a superseded key is in jwks.json for a week", NOW + 10, Accept, previous);
    add("unknown-claim", "claims may be added later", NOW + 10, Accept, claim("plan", json!("gold")));
    add("expired-within-the-skew", "29 s after exp, with 30 s allowed", NOW + 89, Accept, draft(&|_| {}));
    add("from-a-clock-ahead", "iat 29 s in the future", NOW - 29, Accept, draft(&|_| {}));

    add("expired", "31 s after exp", NOW + 91, Refuse, draft(&|_| {}));
    add("expired-long-ago", "a day after exp", NOW + DAY, Refuse, draft(&|_| {}));
    add("issued-in-the-future", "iat 31 s in the future", NOW - 31, Refuse, draft(&|_| {}));
    add("not-yet-valid", "nbf 60 s in the future", NOW + 10, Refuse, claim("nbf", json!(NOW + 70)));
    for name in ["exp", "iat", "iss", "aud", "sub"] {
        add(&format!("without-{name}"), "a required claim is missing", NOW + 10, Refuse, without(name));
    }
    for (name, aud) in [("another-app", "billing"), ("longer", "portal-admin"), ("shorter", "port"), ("case", "Portal")]
    {
        let why = "aud is compared whole: an assertion for another application is replayed";
        add(&format!("wrong-aud-{name}"), why, NOW + 10, Refuse, claim("aud", json!(aud)));
    }
    let suffixed = "https://app.example.com.evil.example";
    for (name, iss) in [("other", "https://evil.example"), ("suffix", suffixed), ("slash", "https://app.example.com/")]
    {
        add(&format!("wrong-iss-{name}"), "iss is compared whole", NOW + 10, Refuse, claim("iss", json!(iss)));
    }
    for alg in ["none", "None", "NONE"] {
        let unsigned = draft(&|d| {
            d.header["alg"] = json!(alg);
            d.signature = Signature::Bytes(vec![]);
        });
        add(&format!("alg-{alg}"), "no signature at all (RFC 8725 section 2.1)", NOW + 10, Refuse, unsigned);
    }
    add("no-signature", "ES256 with an empty signature", NOW + 10, Refuse, signed(&|| Signature::Bytes(vec![])));
    let key = jwks["keys"][0].to_string().into_bytes();
    for (name, secret) in [("pem", public_pem().into_bytes()), ("jwk", key), ("empty", vec![])] {
        let confused = draft(&|d| {
            d.header["alg"] = json!("HS256");
            d.signature = Signature::Hmac(secret.clone());
        });
        let why = "HMAC with what everybody knows as the secret (RFC 8725 section 2.1)";
        add(&format!("hs256-with-public-key-{name}"), why, NOW + 10, Refuse, confused);
    }
    for alg in ["ES384", "RS256"] {
        add(&format!("alg-says-{alg}"), "ES256 is the only algorithm", NOW + 10, Refuse, header("alg", json!(alg)));
    }
    add("other-key-same-kid", "signed by a stranger", NOW + 10, Refuse, signed(&|| Signature::Stranger));
    let unknown = draft(&|d| {
        d.header["kid"] = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        d.signature = Signature::Stranger;
    });
    add("unknown-kid", "a key that is not in jwks.json", NOW + 10, Refuse, unknown);
    let no_kid = draft(&|d| drop(d.header.as_object_mut().unwrap().remove("kid")));
    add("without-kid", "Anteroom always names the key", NOW + 10, Refuse, no_kid);
    let swapped = draft(&|d| d.header["kid"] = kid(1));
    add("kid-of-the-other-key", "kid and signature do not belong together", NOW + 10, Refuse, swapped);
    let embedded = draft(&|d| {
        let stranger = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = stranger.public_key().as_ref().to_vec();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        d.header["jwk"] = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y});
        let text = [&d.header, &d.claims].map(|v| URL_SAFE_NO_PAD.encode(v.to_string())).join(".");
        let signature = stranger.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        d.signature = Signature::Bytes(signature.as_ref().to_vec());
    });
    add("key-in-the-header", "jwk, jku and x5c in a header are the sender's word", NOW + 10, Refuse, embedded);
    let critical = draft(&|d| {
        d.header["crit"] = json!(["example"]);
        d.header["example"] = json!(true);
    });
    add("unknown-critical-header", "RFC 7515 section 4.1.11", NOW + 10, Refuse, critical);
    let tampered = draft(&|d| {
        let mut claims = d.claims.clone();
        claims["role"] = json!("EnterpriseAdmin");
        d.tampered = Some(claims);
    });
    add("tampered-claims", "the role was raised after signing", NOW + 10, Refuse, tampered);
    let zeros = signed(&|| Signature::Bytes(vec![0; 64]));
    add("zero-signature", "r = s = 0 (CVE-2022-21449)", NOW + 10, Refuse, zeros);
    add(
        "der-signature",
        "RFC 7518 section 3.4 asks for r and s, 32 bytes each",
        NOW + 10,
        Refuse,
        signed(&|| Signature::Der),
    );
    let half = signed(&|| Signature::Bytes(vec![1; 32]));
    add("half-a-signature", "32 bytes instead of 64", NOW + 10, Refuse, half);
    let two_parts = draft(&|_| {}).rsplit_once('.').unwrap().0.to_owned();
    add("two-parts", "the signature part is missing", NOW + 10, Refuse, two_parts);
    let garbage = ["", ".", "..", "...", "null", "e30.e30.", "not a token"];
    for (i, text) in garbage.iter().enumerate() {
        add(&format!("garbage-{}", i + 1), "no JWT", NOW + 10, Refuse, (*text).to_owned());
    }
    vectors
}

/// What an ordinary application does, with jsonwebtoken in place of its own library.
fn verdict(vector: &Vector) -> Verdict {
    let verify = || -> Option<Value> {
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&file("jwks.json")).unwrap();
        let header = jsonwebtoken::decode_header(&vector.assertion).ok()?;
        let key = jsonwebtoken::DecodingKey::from_jwk(set.find(header.kid.as_deref()?)?).ok()?;
        let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Its clock is the machine's; the vectors bring their own.
        rules.validate_exp = false;
        let claims = jsonwebtoken::decode::<Value>(&vector.assertion, &key, &rules).ok()?.claims;
        let fresh = claims["exp"].as_i64()? + SKEW > vector.now && claims["iat"].as_i64()? <= vector.now + SKEW;
        let begun = claims.get("nbf").is_none_or(|nbf| nbf.as_i64().is_some_and(|nbf| nbf <= vector.now + SKEW));
        let critical = part(&vector.assertion, 0).get("crit").is_some();
        (fresh && begun && !critical).then_some(claims)
    };
    if verify().is_some() { Accept } else { Refuse }
}

/// What does not differ from one run to the next: everything but signatures and fresh keys.
fn stable(vector: &Vector) -> (String, String, i64, Verdict, Vec<Value>) {
    let parts = vector.assertion.split('.').take(2).filter_map(|text| {
        let mut value: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        if let Some(members) = value.as_object_mut() {
            members.remove("jti");
            members.remove("jwk");
        }
        Some(value)
    });
    (vector.name.clone(), vector.why.clone(), vector.now, vector.verdict, parts.collect())
}

#[test]
fn the_checked_in_vectors_are_what_this_version_makes() {
    let (checked_in, made) = (document(), made());
    let stable = |vectors: &[Vector]| vectors.iter().map(stable).collect::<Vec<_>>();
    assert_eq!(stable(&checked_in.vectors), stable(&made), "run write_the_vectors (see the top of this file)");
    let mut names: Vec<&str> = made.iter().map(|v| v.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), made.len(), "names are unique");
    let jwks = anteroom().jwks(Timestamp::from_secs(NOW)).unwrap();
    let written: Value = serde_json::from_str(&file("jwks.json")).unwrap();
    assert_eq!(written, serde_json::from_slice::<Value>(&jwks).unwrap());
    assert_eq!((checked_in.issuer.as_str(), checked_in.audience.as_str()), (ISSUER, AUDIENCE));
    assert_eq!((checked_in.algorithm.as_str(), checked_in.skew_seconds), ("ES256", SKEW));
}

#[test]
fn x15_an_ordinary_verifier_comes_to_the_verdict_of_every_vector() {
    let vectors = document().vectors;
    for vector in &vectors {
        assert_eq!(verdict(vector), vector.verdict, "{}: {}", vector.name, vector.why);
    }
    let accepted = vectors.iter().filter(|v| v.verdict == Accept).count();
    assert!(accepted >= 6 && vectors.len() - accepted >= 40, "{accepted} of {}", vectors.len());
}

#[test]
fn the_test_keys_are_two_and_named_as_such() {
    let print =
        |name| digest::digest(&digest::SHA256, pair(name, &ECDSA_P256_SHA256_FIXED_SIGNING).public_key().as_ref());
    assert_ne!(print("TEST-KEY-current.pem").as_ref(), print("TEST-KEY-previous.pem").as_ref());
}

#[test]
#[ignore = "writes docs/assertion-vectors: for a change to the table"]
fn write_the_vectors() {
    let jwks = anteroom().jwks(Timestamp::from_secs(NOW)).unwrap();
    let jwks: Value = serde_json::from_slice(&jwks).unwrap();
    let document = Document {
        about:
            "Assertions as Anteroom makes them, and bent ones. At each vector's `now`, a verifier with this issuer, \
                audience, algorithm and skew and with the keys of jwks.json comes to its verdict. The TEST-KEY files \
                sign for nobody else."
                .to_owned(),
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        algorithm: "ES256".to_owned(),
        skew_seconds: SKEW,
        vectors: made(),
    };
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap() + "\n";
    std::fs::write(folder().join("jwks.json"), pretty(&jwks)).unwrap();
    std::fs::write(folder().join("vectors.json"), serde_json::to_string_pretty(&document).unwrap() + "\n").unwrap();
}

//! What a stranger can send over SAML, for the fuzzer (`fuzz/`) and for the tests that replay its corpus. Each function
//! holds more than that nothing panics.

use std::sync::LazyLock;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::saml::binding::{self, MAX_INFLATED};
use super::saml::dsig::TrustedKeys;
use super::saml::encryption::DecryptionKeys;
use super::saml::metadata::{self, IdpMetadata};
use super::saml::response::{self, Expected};
use crate::base::clock::Timestamp;

/// The certificate of who signed the honest documents of the corpus; its key is gone.
const CERTIFICATE: &[u8] = include_bytes!("../../fuzz/corpus/idp.crt.pem");
/// Whom they are about, and when they are good.
const NAME: &str = "anna@acme.example";
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

static KEYS: LazyLock<TrustedKeys> =
    LazyLock::new(|| TrustedKeys::new(CertificateDer::from_pem_slice(CERTIFICATE).ok()));

/// A key of nobody's: what is encrypted to another one fails late.
static OURS: LazyLock<DecryptionKeys> = LazyLock::new(|| {
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).ok();
    let pem = key.map(|key| key.serialize_pem());
    DecryptionKeys::from_pems(pem).unwrap_or_else(|_| std::process::abort())
});

/// A posted response, as XML and as the form's field.
pub fn saml_response(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    drop(binding::decode_post(text).and_then(|xml| response::peek(&xml)));
    drop(response::peek(text));
    for in_response_to in [Some("_request"), None] {
        let expected = Expected {
            acs_url: "https://app.example.com/.anteroom/saml/acme/acs",
            audience: "https://app.example.com/.anteroom/saml/acme/metadata",
            idp_entity_id: "https://idp.example.com/metadata",
            in_response_to,
            now: NOW,
            keys: &KEYS,
            decryption: &OURS,
            want_encrypted: false,
            allow_cbc: true,
        };
        if let Ok(assertion) = response::judge(text, &expected) {
            assert_eq!(assertion.name_id.value, NAME, "somebody else's name came out of a response");
        }
    }
}

/// A provider's metadata.
pub fn saml_metadata(data: &[u8]) {
    let expected = metadata::Expected { entity_id: None, pinned: None, insecure_http: false, now: NOW };
    let Ok(metadata) = IdpMetadata::parse(data, &expected) else { return };
    assert!(!metadata.keys.is_empty(), "metadata without a signing key was taken");
    let endpoints = [&metadata.sign_on.redirect, &metadata.sign_on.post];
    for endpoint in endpoints.into_iter().flatten() {
        let url = url::Url::parse(endpoint);
        assert!(url.is_ok_and(|url| matches!(url.scheme(), "https" | "http")), "an end point that is no web address");
    }
}

/// The query of a link with a message.
pub fn saml_redirect(data: &[u8]) {
    let Ok(query) = std::str::from_utf8(data) else { return };
    let Ok(redirected) = binding::parse_redirect(query) else { return };
    assert!(redirected.xml.len() <= MAX_INFLATED, "longer than the limit");
    assert!(redirected.verify(&KEYS).is_err(), "a signature that nobody can have made is good");
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::connector::saml::fixture;

    #[expect(clippy::disallowed_methods, reason = "the corpus of the tests")]
    fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let files = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
        let all: Vec<_> = files.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
        assert!(!all.is_empty(), "no corpus in {}", dir.display());
        all
    }

    #[test]
    fn the_corpus_finds_nothing() {
        for (target, run) in [
            ("saml_response", saml_response as fn(&[u8])),
            ("saml_metadata", saml_metadata),
            ("saml_redirect", saml_redirect),
        ] {
            for (_, data) in corpus(target) {
                run(&data);
            }
        }
    }

    /// The twin of the fuzzer's claim: the honest documents of the corpus are good, so that there is something to lose.
    #[test]
    fn the_honest_documents_of_the_corpus_are_good() {
        let mut good = 0;
        for (path, data) in corpus("saml_response") {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !name.starts_with("honest-") {
                continue;
            }
            let text = std::str::from_utf8(&data).unwrap();
            let expected = Expected {
                acs_url: fixture::ACS,
                audience: fixture::AUDIENCE,
                idp_entity_id: fixture::IDP,
                in_response_to: Some(fixture::REQUEST),
                now: fixture::NOW,
                keys: &KEYS,
                decryption: &OURS,
                want_encrypted: false,
                allow_cbc: false,
            };
            assert_eq!(response::judge(text, &expected).unwrap().name_id.value, NAME, "{name}");
            good += 1;
        }
        assert_eq!(good, 3);
    }

    /// Writes the honest part of the corpus, by a key that is forgotten afterwards.
    #[test]
    #[ignore = "a generator: run it by name when the profile changes"]
    fn write_the_corpus() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        std::fs::create_dir_all(dir.join("saml_response")).unwrap();
        std::fs::write(dir.join("idp.crt.pem"), &fixture::RSA.certificate_pem).unwrap();
        for how in fixture::How::ALL {
            let xml = fixture::sign(&fixture::honest(), how);
            let name = format!("honest-{how:?}.xml").to_lowercase();
            std::fs::write(dir.join("saml_response").join(name), xml).unwrap();
        }
    }
}

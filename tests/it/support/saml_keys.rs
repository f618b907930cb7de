//! Keys of SAML providers, made once per run, and what they sign. The signatures are made by the same library that the
//! product verifies with; that others make the same is for tests/interop.

use std::sync::OnceLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bergshamra::keys::loader::load_x509_cert_der;
use bergshamra::{DsigContext, Key, KeyData, KeyUsage, KeysManager};
use rcgen::{CertificateParams, DnType, PKCS_RSA_SHA256, RsaKeySize};

pub const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
pub const EXC_C14N: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
pub const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
pub const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

/// An RSA key of a provider and the certificate that its metadata names.
pub struct SamlKey {
    /// DER.
    pub certificate: Vec<u8>,
    pair: KeyPair,
    context: DsigContext,
}

impl SamlKey {
    /// The key of this number, 0 to 3: making one takes a while.
    pub fn number(which: usize) -> &'static Self {
        static KEYS: [OnceLock<SamlKey>; 4] = [const { OnceLock::new() }; 4];
        KEYS[which].get_or_init(|| Self::make(&format!("key {which} of a provider")))
    }

    fn make(name: &str) -> Self {
        let key = rcgen::KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2040, 1, 1);
        let certificate = params.self_signed(&key).unwrap().der().to_vec();
        let pair = KeyPair::from_pkcs8(key.serialized_der()).unwrap();
        let algorithm = load_x509_cert_der(&certificate).unwrap().data.algorithm();
        let data = KeyData::from_pkcs8_der(algorithm, key.serialized_der()).unwrap();
        Self { certificate, pair, context: context(data) }
    }

    /// The certificate in Base64, as metadata and signatures name it.
    pub fn base64(&self) -> String {
        STANDARD.encode(&self.certificate)
    }

    /// The public key: `SubjectPublicKeyInfo` in DER.
    pub fn public(&self) -> Vec<u8> {
        load_x509_cert_der(&self.certificate).unwrap().to_spki_der().unwrap()
    }

    /// `xml` with the digest and value of the first signature that stands in it.
    pub fn fill(&self, xml: String) -> String {
        bergshamra::dsig::sign::sign_owned(&self.context, xml).unwrap()
    }

    /// The same by a secret that both sides would share: HMAC.
    pub fn fill_by_secret(secret: &[u8], xml: String) -> String {
        let mut keys = KeysManager::new();
        keys.add_key(bergshamra::keys::loader::load_hmac_key(secret).unwrap());
        bergshamra::dsig::sign::sign_owned(&DsigContext::new(keys), xml).unwrap()
    }

    /// RSA-SHA256 over bytes, in Base64: what stands beside a message in a link.
    pub fn sign_bytes(&self, octets: &[u8]) -> String {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), octets, &mut signature).unwrap();
        STANDARD.encode(signature)
    }
}

fn context(data: KeyData) -> DsigContext {
    let mut keys = KeysManager::new();
    keys.add_key(Key::new(data, KeyUsage::Sign));
    DsigContext::new(keys)
}

/// What a signature is like. A test changes any of it; what it makes of it is signed all the same.
#[derive(Clone)]
pub struct SignatureForm {
    pub canonicalization: String,
    pub method: String,
    pub digest: String,
    /// `URI` of the reference; none: `#` and the element's id.
    pub uri: Option<String>,
    /// Inside of `Transforms`.
    pub transforms: String,
    /// Inside of `KeyInfo`; none: the certificate.
    pub key_info: Option<String>,
    /// Beside the one reference.
    pub more_references: String,
}

impl SignatureForm {
    pub fn honest() -> Self {
        Self {
            canonicalization: EXC_C14N.to_owned(),
            method: RSA_SHA256.to_owned(),
            digest: SHA256.to_owned(),
            uri: None,
            transforms: [ENVELOPED, EXC_C14N].map(transform).concat(),
            key_info: None,
            more_references: String::new(),
        }
    }

    /// A signature of the element `id`, without digest and value.
    pub fn template(&self, id: &str, key: &SamlKey) -> String {
        let Self { canonicalization, method, more_references, .. } = self;
        let reference = self.reference(&self.uri.clone().unwrap_or_else(|| format!("#{id}")));
        let certificate = || x509(&key.base64());
        let key_info = self.key_info.clone().unwrap_or_else(certificate);
        format!(
            "<ds:Signature xmlns:ds=\"{DS}\"><ds:SignedInfo><ds:CanonicalizationMethod \
             Algorithm=\"{canonicalization}\"/><ds:SignatureMethod Algorithm=\"{method}\"/>{reference}\
             {more_references}</ds:SignedInfo><ds:SignatureValue></ds:SignatureValue>\
             <ds:KeyInfo>{key_info}</ds:KeyInfo></ds:Signature>"
        )
    }

    /// One reference, without its digest.
    pub fn reference(&self, uri: &str) -> String {
        let Self { transforms, digest, .. } = self;
        format!(
            "<ds:Reference URI=\"{uri}\"><ds:Transforms>{transforms}</ds:Transforms><ds:DigestMethod \
             Algorithm=\"{digest}\"/><ds:DigestValue></ds:DigestValue></ds:Reference>"
        )
    }
}

/// A transform without parameters.
pub fn transform(algorithm: &str) -> String {
    format!("<ds:Transform Algorithm=\"{algorithm}\"/>")
}

/// What `KeyInfo` says of a certificate.
pub fn x509(certificate: &str) -> String {
    format!("<ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data>")
}

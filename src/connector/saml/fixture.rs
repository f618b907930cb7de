//! A provider in miniature: keys made per run, an honest response signed in each of the ways there are, and what is
//! needed to spoil it. Every other document of the tests is a change of this one.

use std::ops::Range;
use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_192, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPublicEncryptingKey, PublicEncryptingKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bergshamra::keys::loader::{load_hmac_key, load_pem_auto};
use bergshamra::{DsigContext, Key, KeysManager};
use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512,
    PKCS_RSA_SHA256, PublicKeyData as _, RsaKeySize, SignatureAlgorithm,
};
use rustix::time::{ClockId, clock_gettime};
use rustls_pki_types::CertificateDer;

use super::dsig::{SigningKey, TrustedKeys};
use super::encryption::DecryptionKeys;
use super::response::{Expected, Refusal, judge};
use super::types::Assertion;
use super::xml::{DS, Policy, SAML, SAMLP, Tree, XENC};
use crate::base::clock::Timestamp;
use crate::connector::error::{ProviderError, Reason};

pub(crate) const ACS: &str = "https://app.example.com/.anteroom/saml/acme/acs";
pub(crate) const AUDIENCE: &str = "https://app.example.com/.anteroom/saml/acme/metadata";
pub(crate) const IDP: &str = "https://idp.example.com/metadata";
pub(crate) const REQUEST: &str = "_request";
pub(crate) const NAME: &str = "anna@acme.example";
pub(crate) const EVIL: &str = "admin@acme.example";
/// 2023-11-14T22:13:20Z.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// Judges as a running process does, whose keys are at hand.
pub(crate) fn judged_by(
    keys: &TrustedKeys,
    decryption: &DecryptionKeys,
    xml: &str,
) -> Result<Assertion, ProviderError> {
    let expected = Expected {
        acs_url: ACS,
        audience: AUDIENCE,
        idp_entity_id: IDP,
        in_response_to: Some(REQUEST),
        now: NOW,
        keys,
        decryption,
        want_encrypted: false,
        allow_cbc: true,
    };
    judge(xml, &expected).map_err(|refusal| refusal.error)
}

/// The processor time that `work` takes of this thread: others on the machine do not count.
pub(crate) fn processor_time<T>(work: impl FnOnce() -> T) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let before = now();
    drop(std::hint::black_box(work()));
    now() - before
}

/// A provider's key and its certificate.
pub(crate) struct Pair {
    pub(crate) key_pem: String,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) certificate_pem: String,
    pub(crate) spki: Vec<u8>,
}

impl Pair {
    fn new(key: &KeyPair) -> Self {
        let certificate = CertificateParams::new(vec!["idp.example.com".into()]).unwrap().self_signed(key).unwrap();
        Self {
            key_pem: key.serialize_pem(),
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            spki: key.subject_public_key_info(),
        }
    }

    fn rsa() -> Self {
        Self::new(&KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap())
    }

    fn ec(algorithm: &'static SignatureAlgorithm) -> Self {
        Self::new(&KeyPair::generate_for(algorithm).unwrap())
    }

    pub(crate) fn trusted(&self) -> TrustedKeys {
        TrustedKeys::new([self.certificate.clone()])
    }

    pub(crate) fn signing(&self) -> SigningKey {
        SigningKey::from_pem(self.certificate_pem.as_bytes(), self.key_pem.as_bytes()).unwrap()
    }

    fn for_signing(&self) -> Key {
        load_pem_auto(self.key_pem.as_bytes(), None).unwrap()
    }
}

/// The provider's key.
pub(crate) static RSA: LazyLock<Pair> = LazyLock::new(Pair::rsa);
/// A stranger's key.
pub(crate) static STRANGER: LazyLock<Pair> = LazyLock::new(Pair::rsa);
/// Other keys of the provider.
pub(crate) static EC: LazyLock<Pair> = LazyLock::new(|| Pair::ec(&PKCS_ECDSA_P256_SHA256));
pub(crate) static EC_384: LazyLock<Pair> = LazyLock::new(|| Pair::ec(&PKCS_ECDSA_P384_SHA384));
pub(crate) static EC_521: LazyLock<Pair> = LazyLock::new(|| Pair::ec(&PKCS_ECDSA_P521_SHA512));
/// Our own key, that assertions are encrypted to.
pub(crate) static OURS: LazyLock<Pair> = LazyLock::new(Pair::rsa);

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Response,
    Assertion,
    Both,
}

impl How {
    pub(crate) const ALL: [Self; 3] = [Self::Response, Self::Assertion, Self::Both];
}

/// The honest response, not yet signed.
pub(crate) fn honest() -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<samlp:Response xmlns:samlp="{SAMLP}" ID="_response" Version="2.0" IssueInstant="2023-11-14T22:13:19.5Z" Destination="{ACS}" InResponseTo="{REQUEST}"><saml:Issuer xmlns:saml="{SAML}">{IDP}</saml:Issuer><samlp:Extensions><x:Note xmlns:x="urn:x">ext</x:Note></samlp:Extensions><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/><samlp:StatusDetail><x:Note xmlns:x="urn:x">detail</x:Note></samlp:StatusDetail></samlp:Status>
<saml:Assertion xmlns:saml="{SAML}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xs="http://www.w3.org/2001/XMLSchema" ID="_assertion" Version="2.0" IssueInstant="2023-11-14T22:13:19Z"><saml:Issuer>{IDP}</saml:Issuer><saml:Subject><saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent" NameQualifier="idp" SPNameQualifier="sp">{NAME}</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData InResponseTo="{REQUEST}" Recipient="{ACS}" NotOnOrAfter="2023-11-14T22:18:20Z"/></saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="2023-11-14T22:13:00Z" NotOnOrAfter="2023-11-14T23:13:20Z"><saml:AudienceRestriction><saml:Audience>{AUDIENCE}</saml:Audience></saml:AudienceRestriction></saml:Conditions><saml:Advice><x:Note xmlns:x="urn:x">advice</x:Note></saml:Advice><saml:AuthnStatement AuthnInstant="2023-11-14T22:10:00Z" SessionIndex="_session" SessionNotOnOrAfter="2023-11-15T06:13:20Z"><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement><saml:AttributeStatement><saml:Attribute Name="mail" FriendlyName="E-mail"><saml:AttributeValue xsi:type="xs:string">{NAME}</saml:AttributeValue></saml:Attribute><saml:Attribute Name="groups"><saml:AttributeValue xsi:type="xs:string">staff</saml:AttributeValue><saml:AttributeValue xsi:type="xs:string">ops &amp; dev</saml:AttributeValue></saml:Attribute></saml:AttributeStatement></saml:Assertion></samlp:Response>"#
    )
}

/// `xml` with the one `from` in it replaced: a change that finds nothing, or several places, is a broken test.
pub(crate) fn replace(xml: &str, from: &str, to: &str) -> String {
    assert_eq!(xml.matches(from).count(), 1, "{from} in {xml}");
    xml.replacen(from, to, 1)
}

/// Signs what `how` says, as our own signer does.
pub(crate) fn sign(xml: &str, how: How) -> String {
    sign_by(xml, how, &RSA.signing())
}

pub(crate) fn sign_by(xml: &str, how: How, key: &SigningKey) -> String {
    let mut xml = xml.to_owned();
    if how != How::Response {
        xml = super::dsig::sign(&xml, &id(&xml, "Assertion"), key).unwrap();
    }
    if how != How::Assertion {
        xml = super::dsig::sign(&xml, &id(&xml, "Response"), key).unwrap();
    }
    xml
}

fn id(xml: &str, name: &str) -> String {
    let start = xml.find(&format!(":{name} ")).unwrap();
    let (_, rest) = xml[start..].split_once(" ID=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

/// How a provider of another make signs.
pub(crate) struct Recipe<'a> {
    pub(crate) method: &'a str,
    pub(crate) digest: &'a str,
    /// Between the Reference's start and its DigestMethod.
    pub(crate) transforms: &'a str,
    pub(crate) canonicalization: &'a str,
    pub(crate) key_info: &'a str,
    pub(crate) prefix: &'a str,
}

pub(crate) const TRANSFORMS: &str = concat!(
    r#"<Transforms><Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>"#,
    r#"<Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></Transforms>"#
);

impl Default for Recipe<'_> {
    fn default() -> Self {
        Self {
            method: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            digest: "http://www.w3.org/2001/04/xmlenc#sha256",
            transforms: TRANSFORMS,
            canonicalization: r#"<CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>"#,
            key_info: "",
            prefix: "",
        }
    }
}

impl Recipe<'_> {
    /// Signs the assertion.
    pub(crate) fn sign(&self, xml: &str, pair: &Pair) -> String {
        self.sign_with(xml, pair.for_signing())
    }

    /// Signs the assertion with a MAC.
    pub(crate) fn mac(&self, xml: &str, secret: &[u8]) -> String {
        self.sign_with(xml, load_hmac_key(secret).unwrap())
    }

    fn sign_with(&self, xml: &str, key: Key) -> String {
        let Self { method, digest, transforms, canonicalization, key_info, prefix } = self;
        let id = id(xml, "Assertion");
        let template = format!(
            "<Signature xmlns=\"{DS}\"><SignedInfo>{canonicalization}<SignatureMethod Algorithm=\"{method}\"/>\
             <Reference URI=\"#{id}\">{transforms}<DigestMethod Algorithm=\"{digest}\"/><DigestValue></DigestValue>\
             </Reference></SignedInfo><SignatureValue></SignatureValue>{key_info}</Signature>"
        );
        let start = xml.find("<saml:Assertion").unwrap();
        let at = start + xml[start..].find("</saml:Issuer>").unwrap() + "</saml:Issuer>".len();
        let template = format!("{}{prefix}{template}{}", &xml[..at], &xml[at..]);
        let mut manager = KeysManager::new();
        manager.add_key(key);
        bergshamra::dsig::sign::sign(&DsigContext::new(manager), &template).unwrap()
    }
}

/// Where the only element called `name` (with prefix) stands.
pub(crate) fn range(xml: &str, namespace: &str, name: &str) -> Range<usize> {
    let tree = Tree::parse(xml, Policy::Message).unwrap();
    let found: Vec<_> = tree.root().descendants().filter(|e| e.is(namespace, name)).collect();
    assert_eq!(found.len(), 1, "{name}");
    found[0].range().unwrap()
}

/// How the assertion is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cipher {
    Gcm,
    Cbc,
}

/// What an encrypted assertion is made with; each part may be spoiled.
pub(crate) struct Encryption<'a> {
    pub(crate) cipher: Cipher,
    pub(crate) content_key: Vec<u8>,
    pub(crate) iv: [u8; 16],
    pub(crate) to: &'a Pair,
    pub(crate) oaep_256: bool,
    /// Beside the data rather than in its KeyInfo.
    pub(crate) key_beside: bool,
    /// Of the last block, if it is CBC. None: as it must be.
    pub(crate) padding: Option<u8>,
}

impl Encryption<'static> {
    pub(crate) fn new(cipher: Cipher) -> Self {
        Self {
            cipher,
            content_key: vec![7; 32],
            iv: [9; 16],
            to: &OURS,
            oaep_256: false,
            key_beside: false,
            padding: None,
        }
    }
}

impl Encryption<'_> {
    /// `xml` with its assertion encrypted.
    pub(crate) fn encrypt(&self, xml: &str) -> String {
        self.encrypt_raw(xml, "", "")
    }

    pub(crate) fn encrypted_assertion(&self, clear: &[u8]) -> String {
        let (key, data) = (STANDARD.encode(self.wrap()), STANDARD.encode(self.seal(clear)));
        let (method, oaep): (_, &str) = match (self.cipher, self.oaep_256) {
            (Cipher::Gcm, false) => ("http://www.w3.org/2009/xmlenc11#aes256-gcm", OAEP),
            (Cipher::Gcm, true) => ("http://www.w3.org/2009/xmlenc11#aes256-gcm", OAEP_256),
            (Cipher::Cbc, false) => ("http://www.w3.org/2001/04/xmlenc#aes256-cbc", OAEP),
            (Cipher::Cbc, true) => ("http://www.w3.org/2001/04/xmlenc#aes256-cbc", OAEP_256),
        };
        let key = format!(
            "<e:EncryptedKey xmlns:e=\"{XENC}\">{oaep}<e:CipherData><e:CipherValue>{key}</e:CipherValue></e:CipherData>\
             </e:EncryptedKey>"
        );
        let (inside, beside) = if self.key_beside { (String::new(), key) } else { (key, String::new()) };
        format!(
            "<saml:EncryptedAssertion xmlns:saml=\"{SAML}\"><e:EncryptedData xmlns:e=\"{XENC}\" \
             Type=\"{XENC}Element\"><e:EncryptionMethod Algorithm=\"{method}\"/><KeyInfo xmlns=\"{DS}\">{inside}\
             </KeyInfo><e:CipherData><e:CipherValue>{data}</e:CipherValue></e:CipherData></e:EncryptedData>{beside}\
             </saml:EncryptedAssertion>"
        )
    }

    /// `xml` with its assertion changed, then encrypted, whatever it is then.
    pub(crate) fn encrypt_raw(&self, xml: &str, from: &str, to: &str) -> String {
        let range = range(xml, SAML, "Assertion");
        let assertion = &xml[range.clone()];
        let clear = if from == to { assertion.to_owned() } else { replace(assertion, from, to) };
        let encrypted = self.encrypted_assertion(clear.as_bytes());
        format!("{}{encrypted}{}", &xml[..range.start], &xml[range.end..])
    }

    /// The content key, encrypted.
    pub(crate) fn wrap(&self) -> Vec<u8> {
        let algorithm: &'static OaepAlgorithm =
            if self.oaep_256 { &OAEP_SHA256_MGF1SHA256 } else { &OAEP_SHA1_MGF1SHA1 };
        let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&self.to.spki).unwrap()).unwrap();
        let mut out = vec![0; key.ciphertext_size()];
        key.encrypt(algorithm, &self.content_key, &mut out, None).unwrap().to_vec()
    }

    /// Which length of AES: 128, 192 or 256 bits.
    fn size(&self) -> usize {
        self.content_key.len() / 8 - 2
    }

    /// `clear`, encrypted with the content key.
    pub(crate) fn seal(&self, clear: &[u8]) -> Vec<u8> {
        let mut sealed = clear.to_vec();
        match self.cipher {
            Cipher::Gcm => {
                let nonce: [u8; NONCE_LEN] = self.iv[..NONCE_LEN].try_into().unwrap();
                let key = LessSafeKey::new(
                    UnboundKey::new([&AES_128_GCM, &AES_192_GCM, &AES_256_GCM][self.size()], &self.content_key)
                        .unwrap(),
                );
                key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed).unwrap();
                [&nonce[..], &sealed].concat()
            }
            Cipher::Cbc => {
                let pad = 16 - sealed.len() % 16;
                // The octets before the last may be anything (XML Encryption 1.1, section 5.2.1).
                sealed.extend(std::iter::repeat_n(0xa5, pad - 1));
                sealed.push(self.padding.unwrap_or(u8::try_from(pad).unwrap()));
                let key = EncryptingKey::cbc(
                    UnboundCipherKey::new([&AES_128, &AES_192, &AES_256][self.size()], &self.content_key).unwrap(),
                )
                .unwrap();
                let iv = EncryptionContext::Iv128(FixedLength::from(self.iv));
                key.less_safe_encrypt(&mut sealed, iv).unwrap();
                [&self.iv[..], &sealed].concat()
            }
        }
    }
}

/// As Entra writes it.
const OAEP: &str = concat!(
    r#"<e:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p">"#,
    r#"<DigestMethod xmlns="http://www.w3.org/2000/09/xmldsig#" "#,
    r#"Algorithm="http://www.w3.org/2000/09/xmldsig#sha1"/></e:EncryptionMethod>"#
);
/// As Keycloak writes it when it is told to use SHA-256.
const OAEP_256: &str = concat!(
    r#"<e:EncryptionMethod Algorithm="http://www.w3.org/2009/xmlenc11#rsa-oaep">"#,
    r#"<DigestMethod xmlns="http://www.w3.org/2000/09/xmldsig#" "#,
    r#"Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>"#,
    r#"<MGF xmlns="http://www.w3.org/2009/xmlenc11#" Algorithm="http://www.w3.org/2009/xmlenc11#mgf1sha256"/>"#,
    r#"</e:EncryptionMethod>"#
);

/// Judges under honest circumstances.
pub(crate) fn judged(xml: &str) -> Result<Assertion, ProviderError> {
    judged_with(xml, |_| {})
}

/// Judges under circumstances that `change` changes.
pub(crate) fn judged_with(xml: &str, change: impl FnOnce(&mut Expected<'_>)) -> Result<Assertion, ProviderError> {
    judged_wholly(xml, change).map_err(|refusal| refusal.error)
}

/// The same, with what the answer does not tell.
pub(crate) fn judged_wholly(xml: &str, change: impl FnOnce(&mut Expected<'_>)) -> Result<Assertion, Refusal> {
    let keys = TrustedKeys::new([&RSA, &EC, &EC_384, &EC_521].map(|pair| pair.certificate.clone()));
    let decryption = DecryptionKeys::from_pems([&STRANGER.key_pem, &OURS.key_pem]).unwrap();
    let mut expected = Expected {
        acs_url: ACS,
        audience: AUDIENCE,
        idp_entity_id: IDP,
        in_response_to: Some(REQUEST),
        now: NOW,
        keys: &keys,
        decryption: &decryption,
        want_encrypted: false,
        allow_cbc: true,
    };
    change(&mut expected);
    judge(xml, &expected)
}

/// `xml` is refused for `reason`.
#[track_caller]
pub(crate) fn refused(xml: &str, reason: Reason) {
    match judged(xml) {
        Ok(assertion) => panic!("taken as {}: {xml}", assertion.name_id.value),
        Err(error) => assert_eq!(error.why(), reason, "{error:?}\n{xml}"),
    }
}

/// `xml` is taken, and says who the honest response says.
#[track_caller]
pub(crate) fn taken(xml: &str) -> Assertion {
    let assertion = judged(xml).unwrap_or_else(|error| panic!("{error:?}\n{xml}"));
    assert_eq!(assertion.name_id.value, NAME);
    assertion
}

//! Signatures over XML: the one place that knows the library (docs/decisions/0015).

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, PublicEncryptingKey};
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bergshamra::crypto::sign::{from_uri, key_algorithm_matches_signature_uri};
use bergshamra::keys::loader::load_x509_cert_der;
use bergshamra::{DsigContext, Key, KeysManager, VerifyResult};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::shape::{self, ENVELOPED, EXC_C14N, RSA_SHA256, SHA256};
use super::xml::{DS, Element, Policy, SAML, Tree, escape};
use crate::connector::error::{ProviderError, Reason};

/// Shortest and longest RSA key that is taken, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The provider's signing keys, from certificates that its metadata or the configuration names. A certificate stands
/// for its key alone: neither its dates nor who issued it counts (SAML 2.0 Metadata Interoperability Profile, section
/// 2.6.1). Whoever has one of the keys is the provider.
pub(crate) struct TrustedKeys {
    context: DsigContext,
    unusable: Vec<UnusableKey>,
}

/// A certificate whose key verifies nothing here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnusableKey {
    /// SHA-256 of the certificate, hexadecimal.
    pub(crate) fingerprint: String,
    pub(crate) why: &'static str,
}

impl TrustedKeys {
    /// Keys of another kind than RSA of 2048 to 8192 bits or ECDSA over P-256, P-384 or P-521 are left out and named in
    /// [`unusable`](Self::unusable). The same certificate twice counts once.
    pub(crate) fn new<'c>(certificates: impl IntoIterator<Item = CertificateDer<'c>>) -> Self {
        let (mut manager, mut unusable, mut seen) = (KeysManager::new(), Vec::new(), Vec::new());
        for certificate in certificates {
            if seen.contains(&certificate) {
                continue;
            }
            match usable(&certificate) {
                Ok(key) => manager.add_key(key),
                Err(why) => unusable.push(UnusableKey { fingerprint: fingerprint(&certificate), why }),
            }
            seen.push(certificate);
        }
        // Only these keys, strict positions, and every digest; `insecure` means that no chain of certificates is built.
        Self { context: DsigContext::new(manager).with_insecure(true), unusable }
    }

    /// Whether nothing that the provider signs can be verified.
    pub(crate) fn is_empty(&self) -> bool {
        self.context.keys_manager.is_empty()
    }

    /// The certificates that were left out.
    pub(crate) fn unusable(&self) -> &[UnusableKey] {
        &self.unusable
    }

    /// Verifies a signature over bytes, as the redirect binding has it (SAML 2.0 Bindings, section 3.4.4.1).
    ///
    /// # Errors
    ///
    /// [`Reason::SamlAlg`]: an algorithm that is not taken. [`Reason::SamlKeyUntrusted`]: no key of that kind is
    /// trusted. [`Reason::SamlSig`]: none of the keys made it.
    pub(crate) fn verify_bytes(&self, algorithm: &str, octets: &[u8], signature: &[u8]) -> Result<(), ProviderError> {
        shape::signature_method(algorithm)?;
        let method = from_uri(algorithm).map_err(|_| Reason::SamlAlg)?;
        let mut keys = self
            .context
            .keys_manager
            .keys()
            .filter(|key| key_algorithm_matches_signature_uri(algorithm, key.data.algorithm()))
            .peekable();
        if keys.peek().is_none() {
            return Err(untrusted("no key of the algorithm's kind"));
        }
        let made = |key: &Key| {
            let key = key.to_signing_key().ok().flatten();
            key.is_some_and(|key| method.verify(&key, octets, signature).unwrap_or(false))
        };
        if keys.any(made) {
            return Ok(());
        }
        Err(ProviderError::new(Reason::SamlSig).saying("a signature by one of the provider's keys", "another one"))
    }

    fn knows(&self, certificate: &[u8]) -> bool {
        self.context.keys_manager.keys().any(|key| key.x509_chain.first().is_some_and(|known| known == certificate))
    }
}

impl std::fmt::Debug for TrustedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys = self.context.keys_manager.len();
        f.debug_struct("TrustedKeys").field("keys", &keys).field("unusable", &self.unusable).finish()
    }
}

fn usable(certificate: &CertificateDer<'_>) -> Result<Key, &'static str> {
    let key = load_x509_cert_der(certificate).map_err(|_| "no X.509 certificate with a known kind of key")?;
    if key_algorithm_matches_signature_uri(RSA_SHA256, key.data.algorithm()) {
        let public = key.to_spki_der().and_then(|spki| PublicEncryptingKey::from_der(&spki).ok());
        return match public.map(|key| RSA_BITS.contains(&key.key_size_bits())) {
            Some(true) => Ok(key),
            _ => Err("an RSA key of less than 2048 or more than 8192 bits"),
        };
    }
    if key.algorithm_name().starts_with("EC-") { Ok(key) } else { Err("a key that is neither RSA nor ECDSA") }
}

fn fingerprint(certificate: &[u8]) -> String {
    digest::digest(&digest::SHA256, certificate).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Verifies every signature of the document, and tells which elements they cover: the element around each, whole and
/// without that signature. Nothing else of the document is anybody's word.
///
/// # Errors
///
/// [`Reason::SamlUnsigned`]: there is no signature. [`Reason::SamlSig`] (S13) or [`Reason::SamlKeyUntrusted`] (S02):
/// one of them is not good. Those of the shape check, which comes before any cryptography.
pub(crate) fn verify<'t>(tree: &'t Tree<'_>, keys: &TrustedKeys) -> Result<Vec<Element<'t>>, ProviderError> {
    let signatures = shape::signatures(tree)?;
    if signatures.is_empty() {
        return Err(ProviderError::new(Reason::SamlUnsigned).saying("a signature", "none"));
    }
    if keys.is_empty() {
        return Err(untrusted("no key at all"));
    }
    let document = tree.document();
    let source = Some(document.input_text());
    let results = bergshamra::dsig::verify::verify_all_document_with_source(&keys.context, document, source)
        .map_err(|_| ProviderError::new(Reason::SamlSig).saying("a signature that can be computed", "another"))?;
    if results.len() != signatures.len() {
        return Err(Reason::SamlSignatureShape.into());
    }
    let covered = results.iter().zip(&signatures).map(|(result, signature)| covered(tree, keys, result, *signature));
    covered.collect()
}

/// The element that `result` stands for, if it stands for the parent of `signature` and for nothing else.
fn covered<'t>(
    tree: &'t Tree<'_>,
    keys: &TrustedKeys,
    result: &VerifyResult,
    signature: Element<'t>,
) -> Result<Element<'t>, ProviderError> {
    let VerifyResult::Valid { signature_node, references, .. } = result else { return Err(refusal(signature, keys)) };
    let [reference] = &references[..] else { return Err(Reason::SamlSignatureShape.into()) };
    let resolved = reference.resolved_node.filter(|_| reference.digest_verified).and_then(|id| tree.element(id));
    let around = signature.parent().filter(|around| *signature_node == signature.id() && resolved == Some(*around));
    around.ok_or_else(|| Reason::SamlSignatureShape.into())
}

/// Why a signature is not good, for an operator: a stranger's certificate in it is the usual sign of a key that was
/// changed at the provider. Decides nothing.
fn refusal(signature: Element<'_>, keys: &TrustedKeys) -> ProviderError {
    let named: Vec<_> = signature
        .descendants()
        .filter(|element| element.is(DS, "X509Certificate"))
        .filter_map(|element| STANDARD.decode(element.text().split_whitespace().collect::<String>()).ok())
        .collect();
    match named.first() {
        Some(stranger) if !named.iter().any(|certificate| keys.knows(certificate)) => {
            untrusted(format_args!("the certificate with SHA-256 {}", fingerprint(stranger)))
        }
        _ => ProviderError::new(Reason::SamlSig).saying("a digest and signature that fit", "others"),
    }
}

fn untrusted(found: impl std::fmt::Display) -> ProviderError {
    ProviderError::new(Reason::SamlKeyUntrusted).saying("a signing key of the provider", found)
}

/// Verifies that the document is signed as a whole, by the one signature in it: for logout messages and metadata.
///
/// # Errors
///
/// [`Reason::SamlUnsigned`]: it is not. [`Reason::SamlStructure`]: a signature elsewhere. Else as [`verify`], and
/// [`Reason::SamlDuplicateId`].
pub(crate) fn verify_root(tree: &Tree<'_>, keys: &TrustedKeys) -> Result<(), ProviderError> {
    let root = tree.root();
    shape::ids(tree)?;
    let misplaced = |element: &Element<'_>| element.name() == "Signature" && element.parent() != Some(root);
    if root.descendants().any(|element| misplaced(&element)) {
        return Err(ProviderError::new(Reason::SamlStructure).saying("one signature, of the root", "another"));
    }
    match &verify(tree, keys)?[..] {
        [covered] if *covered == root => Ok(()),
        _ => Err(Reason::SamlStructure.into()),
    }
}

/// Our own key to sign requests with: RSA of 2048 bits or more.
pub(crate) struct SigningKey {
    pair: KeyPair,
    context: DsigContext,
    certificate: CertificateDer<'static>,
}

impl SigningKey {
    /// From a certificate and its private key in PEM (PKCS #8 or PKCS #1).
    ///
    /// # Errors
    ///
    /// [`Reason::SamlKeyUnusable`]: not such a pair, or not RSA.
    pub(crate) fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, ProviderError> {
        let unusable = |found: &str| {
            ProviderError::new(Reason::SamlKeyUnusable)
                .saying("an RSA key of 2048 bits or more and its certificate", found)
        };
        let certificate = CertificateDer::from_pem_slice(certificate).map_err(|_| unusable("no certificate in PEM"))?;
        let pair = rsa_pair(key).ok_or_else(|| unusable("no RSA key in PEM"))?;
        let public = usable(&certificate).map_err(unusable)?;
        let ours = aws_lc_rs::signature::KeyPair::public_key(&pair);
        let ours = aws_lc_rs::encoding::AsDer::as_der(ours).map_err(|_| unusable("no public key"))?;
        if public.to_spki_der().as_deref() != Some(ours.as_ref()) {
            return Err(unusable("a certificate of another key"));
        }
        let pkcs8 = aws_lc_rs::encoding::AsDer::as_der(&pair).map_err(|_| unusable("no private key"))?;
        let data = bergshamra::KeyData::from_pkcs8_der(public.data.algorithm(), pkcs8.as_ref())
            .map_err(|_| unusable("a key that the library cannot use"))?;
        let mut manager = KeysManager::new();
        manager.add_key(Key::new(data, bergshamra::KeyUsage::Sign));
        Ok(Self { pair, context: DsigContext::new(manager), certificate: certificate.into_owned() })
    }

    /// The certificate, as metadata publishes it.
    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The algorithm of [`sign_bytes`](Self::sign_bytes), as messages name it.
    pub(crate) fn algorithm(&self) -> &'static str {
        RSA_SHA256
    }

    /// Signs `octets` with RSA-SHA256.
    ///
    /// # Errors
    ///
    /// [`Reason::SamlKeyUnusable`]: the key cannot sign.
    pub(crate) fn sign_bytes(&self, octets: &[u8]) -> Result<Vec<u8>, ProviderError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), octets, &mut signature)
            .map_err(|_| Reason::SamlKeyUnusable)?;
        Ok(signature)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").finish_non_exhaustive()
    }
}

/// An RSA key pair in PEM, PKCS #8 or PKCS #1.
pub(super) fn rsa_pair(pem: &[u8]) -> Option<KeyPair> {
    match PrivateKeyDer::from_pem_slice(pem).ok()? {
        PrivateKeyDer::Pkcs8(key) => KeyPair::from_pkcs8(key.secret_pkcs8_der()).ok(),
        PrivateKeyDer::Pkcs1(key) => KeyPair::from_der(key.secret_pkcs1_der()).ok(),
        _ => None,
    }
}

/// `xml` with a signature (enveloped, exclusive canonicalisation, RSA-SHA256) of the element whose `ID` is `id`: right
/// after its issuer, or as its first child if it has none. Other signatures may stand only after that place.
///
/// # Errors
///
/// [`Reason::SamlMalformed`]: `xml` is none, or has no such element with a child. [`Reason::SamlKeyUnusable`].
pub(crate) fn sign(xml: &str, id: &str, key: &SigningKey) -> Result<String, ProviderError> {
    let at = {
        let tree = Tree::parse(xml, Policy::Message)?;
        let root = tree.root();
        let element =
            std::iter::once(root).chain(root.descendants()).find(|element| element.attribute("ID") == Some(id));
        let first = element.and_then(|element| element.children().next()).ok_or(Reason::SamlMalformed)?;
        let range = first.range().ok_or(Reason::SamlMalformed)?;
        if first.is(SAML, "Issuer") { range.end } else { range.start }
    };
    let (before, after) = xml.split_at_checked(at).ok_or(Reason::SamlMalformed)?;
    let (id, certificate) = (escape(id), STANDARD.encode(&key.certificate));
    let template = format!(
        "{before}<ds:Signature xmlns:ds=\"{DS}\"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm=\"{EXC_C14N}\"/>\
         <ds:SignatureMethod Algorithm=\"{RSA_SHA256}\"/><ds:Reference URI=\"#{id}\"><ds:Transforms>\
         <ds:Transform Algorithm=\"{ENVELOPED}\"/><ds:Transform Algorithm=\"{EXC_C14N}\"/></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"{SHA256}\"/><ds:DigestValue></ds:DigestValue></ds:Reference></ds:SignedInfo>\
         <ds:SignatureValue></ds:SignatureValue><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}\
         </ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>{after}"
    );
    bergshamra::dsig::sign::sign_owned(&key.context, template).map_err(|_| Reason::SamlKeyUnusable.into())
}

#[cfg(test)]
mod tests;

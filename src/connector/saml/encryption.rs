//! Encrypted assertions and names (SAML 2.0 Core, sections 2.2.4 and 2.3.4; XML Encryption 1.1).
//!
//! Whoever may send responses may ask this code about ciphertexts. AES-CBC is not authentic, so that an answer that
//! depends on what came out is an oracle for the content of a captured assertion (S15). Therefore one error for
//! everything from the first Base64 on; a content key that does not open, whatever the cause, is replaced by a random
//! one, content that is no text by nothing, and what is bad is remembered and refused at the end, so that all ways to
//! fail take the same way. Where one of them ends before a signature is computed, [`response`](super::response) computes
//! another.

use std::ops::Range;

use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    self, AES_128, AES_192, AES_256, AES_CBC_IV_LEN, DecryptingKey, DecryptionContext, UnboundCipherKey,
};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand;
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512, OaepAlgorithm,
    OaepPrivateDecryptingKey, PrivateDecryptingKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::dsig::rsa_pair;
use super::xml::{DS, Element, SAML, Tree, XENC, trimmed};
use crate::connector::error::{ProviderError, Reason};

const XENC11: &str = "http://www.w3.org/2009/xmlenc11#";

/// Our own RSA keys that assertions may be encrypted to: the current one, and while it is rolled over the one before.
#[derive(Default)]
pub(crate) struct DecryptionKeys(Vec<OaepPrivateDecryptingKey>);

impl DecryptionKeys {
    /// From private keys in PEM (PKCS #8 or PKCS #1), RSA of 2048 bits or more.
    ///
    /// # Errors
    ///
    /// [`Reason::SamlKeyUnusable`]: one of them is none.
    pub(crate) fn from_pems<P: AsRef<[u8]>>(pems: impl IntoIterator<Item = P>) -> Result<Self, ProviderError> {
        let unusable =
            || ProviderError::new(Reason::SamlKeyUnusable).saying("an RSA key of 2048 bits or more in PEM", "another");
        let key = |pem: P| {
            let pair = rsa_pair(pem.as_ref())?;
            let pkcs8: Pkcs8V1Der<'_> = pair.as_der().ok()?;
            OaepPrivateDecryptingKey::new(PrivateDecryptingKey::from_pkcs8(pkcs8.as_ref()).ok()?).ok()
        };
        pems.into_iter().map(|pem| key(pem).ok_or_else(unusable)).collect::<Result<_, _>>().map(Self)
    }
}

impl std::fmt::Debug for DecryptionKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DecryptionKeys({})", self.0.len())
    }
}

/// A response with its encrypted assertion opened, to be parsed and judged as if it had just arrived.
pub(super) struct Opened {
    /// The response without a signature of its own, which was over the ciphertext, and with the assertion in clear
    /// where it was encrypted: in the same scope of namespaces.
    pub(super) xml: String,
    /// Where in [`xml`](Self::xml) the clear text stands. It must be exactly one assertion.
    pub(super) assertion: Range<usize>,
    /// Whether it is what the sender encrypted. Else it may be anything, and what is wrong with it is not told.
    pub(super) authentic: bool,
    /// Whether it opened, with good padding. If not, all of it is refused, at the end.
    pub(super) sound: bool,
}

/// Opens the encrypted assertion of a response whose shape is good.
///
/// # Errors
///
/// [`Reason::SamlStructure`] or [`Reason::SamlAlg`] for what is asked for in clear, before anything is opened: RSA-OAEP
/// (one hash for both of its uses), and AES-GCM or, if `allow_cbc`, AES-CBC. [`Reason::SamlDecrypt`] for all else.
pub(super) fn decrypt(tree: &Tree<'_>, keys: &DecryptionKeys, allow_cbc: bool) -> Result<Opened, ProviderError> {
    let root = tree.root();
    let encrypted = root.only_child(SAML, "EncryptedAssertion")?.ok_or(Reason::SamlStructure)?;
    let signature = root.children().find(|child| child.name() == "Signature").and_then(Element::range);
    let ranges: Vec<_> = encrypted.children().filter_map(Element::range).collect();
    let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else { return Err(structure("EncryptedData")) };
    let (start, end) = (first.start, last.end);
    // The schema has it before; what follows would move when it is taken out.
    if signature.as_ref().is_some_and(|signature| signature.end > start) {
        return Err(ProviderError::new(Reason::SamlStructure).saying("the signature before the assertion", "after it"));
    }
    let clear = open(encrypted, keys, allow_cbc)?;

    let mut xml = tree.document().input_text().to_owned();
    if xml.get(start..end).is_none() {
        return Err(refused());
    }
    xml.replace_range(start..end, &clear.text);
    let mut start = start;
    if let Some(signature) = signature.filter(|signature| xml.get(signature.clone()).is_some()) {
        start -= signature.len();
        xml.replace_range(signature, "");
    }
    let assertion = start..start + clear.text.len();
    Ok(Opened { xml, assertion, authentic: clear.authentic, sound: clear.sound })
}

/// Opens an `EncryptedID` of a message whose signature was verified: the clear text, XML that is yet to be parsed.
///
/// # Errors
///
/// As [`decrypt`].
pub(super) fn decrypt_id(
    encrypted: Element<'_>,
    keys: &DecryptionKeys,
    allow_cbc: bool,
) -> Result<String, ProviderError> {
    let clear = open(encrypted, keys, allow_cbc)?;
    if clear.sound { Ok(clear.text) } else { Err(refused()) }
}

/// The one error for everything that depends on a ciphertext (S15).
pub(super) fn refused() -> ProviderError {
    ProviderError::new(Reason::SamlDecrypt).saying("what one of our keys opens", "something else")
}

struct Clear {
    text: String,
    authentic: bool,
    sound: bool,
}

fn open(encrypted: Element<'_>, keys: &DecryptionKeys, allow_cbc: bool) -> Result<Clear, ProviderError> {
    let data = encrypted.only_child(XENC, "EncryptedData")?.ok_or_else(|| structure("EncryptedData"))?;
    let key_info = data.only_child(DS, "KeyInfo")?;
    // Beside the data, or in its KeyInfo. Addresses that lead from one to the other are not followed.
    let inside = key_info.into_iter().flat_map(|info| info.children_named(XENC, "EncryptedKey"));
    let [key] = &encrypted.children_named(XENC, "EncryptedKey").chain(inside).collect::<Vec<_>>()[..] else {
        return Err(structure("one EncryptedKey"));
    };
    let content = Content::of(method(data)?)?;
    if !content.authentic() && !allow_cbc {
        return Err(algorithm("AES-GCM", method(data)?.attribute("Algorithm").unwrap_or_default()));
    }
    let transport = transport(method(*key)?)?;
    let (wrapped, mut ciphertext) = (cipher_value(*key)?, cipher_value(data)?);
    let content_key = unwrap(&wrapped, transport, keys, content.key_len())?;
    let opened = content.open(&content_key, &mut ciphertext);
    let text = opened.and_then(|(clear, sound)| Some((std::str::from_utf8(clear).ok()?, sound)));
    let (text, sound) = text.unwrap_or_default();
    Ok(Clear { text: trimmed(text).to_owned(), authentic: content.authentic() && sound, sound })
}

/// The content key as one of our keys has it, else a random one: every key is tried, whichever fits.
fn unwrap(
    wrapped: &[u8],
    transport: &'static OaepAlgorithm,
    keys: &DecryptionKeys,
    len: usize,
) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
    let mut content_key = Zeroizing::new(vec![0; len]);
    rand::fill(&mut content_key).map_err(|_| refused())?;
    for key in &keys.0 {
        let mut clear = Zeroizing::new(vec![0; key.min_output_size()]);
        if let Ok(clear) = key.decrypt(transport, wrapped, &mut clear, None)
            && clear.len() == len
        {
            content_key.copy_from_slice(clear);
        }
    }
    Ok(content_key)
}

/// How the content is encrypted.
enum Content {
    Gcm(&'static aws_lc_rs::aead::Algorithm),
    Cbc(&'static cipher::Algorithm, usize),
}

impl Content {
    fn of(method: Element<'_>) -> Result<Self, ProviderError> {
        let uri = method.attribute("Algorithm").unwrap_or_default();
        Ok(match (uri.strip_prefix(XENC11), uri.strip_prefix(XENC)) {
            (Some("aes128-gcm"), _) => Self::Gcm(&AES_128_GCM),
            (Some("aes192-gcm"), _) => Self::Gcm(&AES_192_GCM),
            (Some("aes256-gcm"), _) => Self::Gcm(&AES_256_GCM),
            (_, Some("aes128-cbc")) => Self::Cbc(&AES_128, cipher::AES_128_KEY_LEN),
            (_, Some("aes192-cbc")) => Self::Cbc(&AES_192, cipher::AES_192_KEY_LEN),
            (_, Some("aes256-cbc")) => Self::Cbc(&AES_256, cipher::AES_256_KEY_LEN),
            _ => return Err(algorithm("AES-GCM or AES-CBC", uri)),
        })
    }

    const fn authentic(&self) -> bool {
        matches!(self, Self::Gcm(_))
    }

    fn key_len(&self) -> usize {
        match self {
            Self::Gcm(algorithm) => algorithm.key_len(),
            Self::Cbc(_, len) => *len,
        }
    }

    /// The clear text, and whether its padding is good.
    fn open<'c>(&self, key: &[u8], ciphertext: &'c mut [u8]) -> Option<(&'c [u8], bool)> {
        match self {
            Self::Gcm(algorithm) => {
                let (nonce, sealed) = ciphertext.split_at_mut_checked(NONCE_LEN)?;
                let key = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?);
                let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
                Some((key.open_in_place(nonce, Aad::empty(), sealed).ok()?, true))
            }
            Self::Cbc(algorithm, _) => {
                let (iv, blocks) = ciphertext.split_at_mut_checked(AES_CBC_IV_LEN)?;
                let iv = DecryptionContext::Iv128(FixedLength::from(<[u8; AES_CBC_IV_LEN]>::try_from(&*iv).ok()?));
                let key = DecryptingKey::cbc(UnboundCipherKey::new(algorithm, key).ok()?).ok()?;
                let clear = key.decrypt(blocks, iv).ok()?;
                // XML Encryption 1.1, section 5.2.1: the last octet counts the padding, the others may be anything.
                let padding = usize::from(*clear.last()?);
                let sound = (1..=AES_CBC_IV_LEN).contains(&padding);
                let len = clear.len() - if sound { padding } else { 0 };
                Some((clear.get(..len)?, sound))
            }
        }
    }
}

/// How the content key is encrypted: RSA-OAEP, with one hash for the digest and the mask. PKCS #1 v1.5 is not taken.
fn transport(method: Element<'_>) -> Result<&'static OaepAlgorithm, ProviderError> {
    let uri = method.attribute("Algorithm").unwrap_or_default();
    let is_11 = uri.strip_prefix(XENC11) == Some("rsa-oaep");
    if !is_11 && uri.strip_prefix(XENC) != Some("rsa-oaep-mgf1p") {
        return Err(algorithm("RSA-OAEP", uri));
    }
    if let Some(other) = method.children().find(|child| !child.is(DS, "DigestMethod") && !child.is(XENC11, "MGF")) {
        return Err(algorithm("RSA-OAEP with DigestMethod and MGF", other.name()));
    }
    let hash = method.only_child(DS, "DigestMethod")?.map_or("sha1", fragment);
    let mask = method.only_child(XENC11, "MGF")?.map_or("mgf1sha1", fragment);
    match (hash, mask) {
        ("sha1", "mgf1sha1") => Ok(&OAEP_SHA1_MGF1SHA1),
        ("sha256", "mgf1sha256") if is_11 => Ok(&OAEP_SHA256_MGF1SHA256),
        ("sha384", "mgf1sha384") if is_11 => Ok(&OAEP_SHA384_MGF1SHA384),
        ("sha512", "mgf1sha512") if is_11 => Ok(&OAEP_SHA512_MGF1SHA512),
        _ => Err(algorithm("RSA-OAEP with one hash for digest and mask", format_args!("{hash} and {mask}"))),
    }
}

/// The last part of an algorithm's address. What precedes it has changed from standard to standard, and says nothing.
fn fragment(element: Element<'_>) -> &str {
    element.attribute("Algorithm").and_then(|uri| uri.split_once('#')).map_or("", |(_, name)| name)
}

fn method(encrypted: Element<'_>) -> Result<Element<'_>, ProviderError> {
    encrypted.only_child(XENC, "EncryptionMethod")?.ok_or_else(|| structure("an EncryptionMethod"))
}

/// The ciphertext in the message itself; one that is elsewhere is not fetched (S03).
fn cipher_value(encrypted: Element<'_>) -> Result<Vec<u8>, ProviderError> {
    let value = encrypted.only_child(XENC, "CipherData")?.map(|data| data.only_child(XENC, "CipherValue"));
    let value = value.transpose()?.flatten().ok_or_else(|| structure("a CipherValue"))?;
    STANDARD.decode(value.text().split_ascii_whitespace().collect::<String>()).map_err(|_| refused())
}

fn structure(expected: &str) -> ProviderError {
    ProviderError::new(Reason::SamlStructure).saying(expected, "none or more")
}

fn algorithm(expected: &str, found: impl std::fmt::Display) -> ProviderError {
    ProviderError::new(Reason::SamlAlg).saying(expected, found)
}

#[cfg(test)]
mod tests;

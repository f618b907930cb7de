//! Assertions encrypted to us, as a provider does it (XML Encryption 1.1), by aws-lc alone.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, Pkcs1PublicEncryptingKey, PublicEncryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bergshamra::keys::loader::load_x509_cert_der;

use super::saml_keys::DS;

const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";

/// How an assertion is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// AES-256-GCM, its key by RSA-OAEP.
    Gcm,
    /// AES-128-CBC, its key by RSA-OAEP: as Entra does it.
    Cbc,
    /// AES-256-GCM, its key by RSA as PKCS #1 v1.5 has it.
    Rsa15,
}

/// Ciphertexts before Base64, and the way to make the element of them.
#[derive(Clone)]
pub struct Encrypted {
    pub cipher: Cipher,
    /// The content key.
    pub key: Vec<u8>,
    pub data: Vec<u8>,
}

impl Encrypted {
    /// `clear` for whoever has the key of `certificate` (DER).
    pub fn new(clear: &str, certificate: &[u8], cipher: Cipher) -> Self {
        let (key, data) = match cipher {
            Cipher::Gcm | Cipher::Rsa15 => {
                let key = fresh::<32>();
                let nonce = fresh::<12>();
                let mut sealed = clear.as_bytes().to_vec();
                let sealing = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap());
                let unique = Nonce::assume_unique_for_key(nonce);
                sealing.seal_in_place_append_tag(unique, Aad::empty(), &mut sealed).unwrap();
                (key.to_vec(), [nonce.to_vec(), sealed].concat())
            }
            Cipher::Cbc => {
                let key = fresh::<16>();
                let iv = fresh::<16>();
                let mut blocks = clear.as_bytes().to_vec();
                let padding = 16 - blocks.len() % 16;
                blocks.resize(blocks.len() + padding, 0);
                *blocks.last_mut().unwrap() = u8::try_from(padding).unwrap();
                let encrypting = EncryptingKey::cbc(UnboundCipherKey::new(&AES_128, &key).unwrap()).unwrap();
                let context = EncryptionContext::Iv128(FixedLength::from(iv));
                encrypting.less_safe_encrypt(&mut blocks, context).unwrap();
                (key.to_vec(), [iv.to_vec(), blocks].concat())
            }
        };
        Self { cipher, key: wrap(&key, certificate, cipher), data }
    }

    /// `EncryptedAssertion`.
    pub fn element(&self) -> String {
        let (transport, content) = match self.cipher {
            Cipher::Gcm => ("rsa-oaep-mgf1p", "http://www.w3.org/2009/xmlenc11#aes256-gcm".to_owned()),
            Cipher::Cbc => ("rsa-oaep-mgf1p", format!("{XENC}aes128-cbc")),
            Cipher::Rsa15 => ("rsa-1_5", "http://www.w3.org/2009/xmlenc11#aes256-gcm".to_owned()),
        };
        let (key, data) = (STANDARD.encode(&self.key), STANDARD.encode(&self.data));
        format!(
            "<saml:EncryptedAssertion><xenc:EncryptedData xmlns:xenc=\"{XENC}\" Type=\"{XENC}Element\">\
             <xenc:EncryptionMethod Algorithm=\"{content}\"/><ds:KeyInfo xmlns:ds=\"{DS}\"><xenc:EncryptedKey>\
             <xenc:EncryptionMethod Algorithm=\"{XENC}{transport}\"/><xenc:CipherData><xenc:CipherValue>{key}\
             </xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo><xenc:CipherData>\
             <xenc:CipherValue>{data}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>\
             </saml:EncryptedAssertion>"
        )
    }
}

fn wrap(key: &[u8], certificate: &[u8], cipher: Cipher) -> Vec<u8> {
    let spki = load_x509_cert_der(certificate).unwrap().to_spki_der().unwrap();
    let public = PublicEncryptingKey::from_der(&spki).unwrap();
    let mut wrapped = vec![0; public.key_size_bytes()];
    if cipher == Cipher::Rsa15 {
        Pkcs1PublicEncryptingKey::new(public).unwrap().encrypt(key, &mut wrapped).unwrap();
    } else {
        let public = OaepPublicEncryptingKey::new(public).unwrap();
        public.encrypt(&OAEP_SHA1_MGF1SHA1, key, &mut wrapped, None).unwrap();
    }
    wrapped
}

fn fresh<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).unwrap();
    bytes
}

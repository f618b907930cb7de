//! A certificate and its private key with which Anteroom says to a provider who it is (`private_key_jwt`, RFC 7523).

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::secret::{Secret, SecretError};

/// Smallest RSA modulus that signs, in bits (RFC 7518 section 3.3).
const MIN_RSA_BITS: usize = 2048;

/// A certificate file and the file of its key, both PEM. Read again at each use, so that they can be rotated; clones
/// share what was read last.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    file: PathBuf,
    certificate: Secret,
    key: Secret,
    last: Arc<Mutex<Option<Arc<SigningPair>>>>,
}

/// Why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientCertificateError {
    /// A file cannot be read, is empty or over 64 KB.
    #[error(transparent)]
    File(#[from] SecretError),
    /// The certificate file holds no PEM certificate.
    #[error("the certificate file holds no PEM certificate")]
    NoCertificate,
    /// The key file holds no PEM private key without a password.
    #[error("the key file holds no PEM private key (PKCS#8, PKCS#1 or SEC 1, without a password)")]
    NoKey,
    /// Neither RSA nor P-256, or an RSA key under 2048 bits.
    #[error("the key is neither RSA of 2048 to 8192 bits nor EC P-256")]
    KeyKind,
    /// The certificate is another key's.
    #[error("the certificate does not belong to the key")]
    Mismatch,
}

/// A certificate and its key, in use.
pub struct SigningPair {
    key: Key,
    thumbprint: [u8; 32],
    certificate_pem: SecretString,
    key_pem: SecretString,
}

enum Key {
    Rsa(Box<RsaKeyPair>),
    P256(Box<EcdsaKeyPair>),
}

/// How a [`SigningPair`] signs (RFC 7518 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    RS256,
    PS256,
    ES256,
}

impl Signing {
    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::PS256 => "PS256",
            Self::ES256 => "ES256",
        }
    }
}

impl ClientCertificate {
    /// Reads nothing yet.
    pub fn new(certificate_file: PathBuf, key_file: PathBuf) -> Self {
        let (certificate, key) = (Secret::File(certificate_file.clone()), Secret::File(key_file));
        Self { file: certificate_file, certificate, key, last: Arc::new(Mutex::new(None)) }
    }

    /// The certificate's file.
    pub fn certificate_file(&self) -> &Path {
        &self.file
    }

    /// The pair as it is in the files now. Of files that are being replaced one may be older than the other: then the
    /// pair that was read last stays in use.
    ///
    /// # Errors
    /// A file cannot be read or holds something else, or the two do not belong together and there is no earlier pair.
    pub fn read(&self) -> Result<Arc<SigningPair>, ClientCertificateError> {
        let texts = (self.certificate.read()?, self.key.read()?);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |a: &SecretString, b: &SecretString| a.expose_secret() == b.expose_secret();
        let unchanged =
            |pair: &&Arc<SigningPair>| same(&pair.certificate_pem, &texts.0) && same(&pair.key_pem, &texts.1);
        if let Some(pair) = last.as_ref().filter(unchanged) {
            return Ok(Arc::clone(pair));
        }
        match SigningPair::parse(texts.0.expose_secret(), texts.1.expose_secret()) {
            Ok(pair) => {
                let pair = Arc::new(pair);
                *last = Some(Arc::clone(&pair));
                Ok(pair)
            }
            Err(ClientCertificateError::Mismatch) => last.clone().ok_or(ClientCertificateError::Mismatch),
            Err(error) => Err(error),
        }
    }
}

impl SigningPair {
    /// From two PEM texts. The first certificate is the key's; others are its chain.
    ///
    /// # Errors
    /// See [`ClientCertificateError`].
    pub fn parse(certificate: &str, key: &str) -> Result<Self, ClientCertificateError> {
        let (certificate_pem, key_pem) = (SecretString::from(certificate), SecretString::from(key));
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(|_| ClientCertificateError::NoCertificate)?
            .into_owned();
        let der = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| ClientCertificateError::NoKey)?;
        let pair = Key::new(&der)?;
        // rustls compares the public keys; the chain is nobody's business here.
        let signer =
            rustls::crypto::aws_lc_rs::sign::any_supported_type(&der).map_err(|_| ClientCertificateError::KeyKind)?;
        let thumbprint = digest::digest(&digest::SHA256, &certificate);
        rustls::sign::CertifiedKey::new(vec![certificate], signer)
            .keys_match()
            .map_err(|_| ClientCertificateError::Mismatch)?;
        let thumbprint = thumbprint.as_ref().try_into().map_err(|_| ClientCertificateError::NoCertificate)?;
        Ok(Self { key: pair, thumbprint, certificate_pem, key_pem })
    }

    /// The SHA-256 of the certificate's DER (`x5t#S256`, RFC 7515 section 4.1.8).
    pub const fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }

    /// The texts that it was read from: certificate and key, for a library that reads them itself.
    pub const fn pems(&self) -> (&SecretString, &SecretString) {
        (&self.certificate_pem, &self.key_pem)
    }

    /// How this key signs; an RSA key as `rsa` says.
    pub const fn signing(&self, rsa: Signing) -> Signing {
        match (&self.key, rsa) {
            (Key::P256(_), _) => Signing::ES256,
            (Key::Rsa(_), Signing::PS256) => Signing::PS256,
            (Key::Rsa(_), Signing::RS256 | Signing::ES256) => Signing::RS256,
        }
    }

    /// Signs `message`; an RSA key as `rsa` says. The signature is in the form of RFC 7518.
    ///
    /// # Errors
    /// The library could not sign, which is no fault of the message.
    pub fn sign(&self, rsa: Signing, message: &[u8]) -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Rsa(key) => {
                let padding = if rsa == Signing::PS256 { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; key.public_modulus_len()];
                // Two arms: the paddings are of two types.
                key.sign(padding, &random, message, &mut signature)?;
                Ok(signature)
            }
            Key::P256(key) => Ok(key.sign(&random, message)?.as_ref().to_vec()),
        }
    }
}

impl Key {
    fn new(der: &PrivateKeyDer<'_>) -> Result<Self, ClientCertificateError> {
        let rsa = match der {
            PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()).ok(),
            PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).ok(),
            _ => None,
        };
        if let Some(key) = rsa {
            let strong = key.public_modulus_len() * 8 >= MIN_RSA_BITS;
            return if strong { Ok(Self::Rsa(Box::new(key))) } else { Err(ClientCertificateError::KeyKind) };
        }
        let bytes = Zeroizing::new(der.secret_der().to_vec());
        EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, &bytes)
            .map(|key| Self::P256(Box::new(key)))
            .map_err(|_| ClientCertificateError::KeyKind)
    }
}

impl std::fmt::Debug for SigningPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.key {
            Key::Rsa(_) => "RSA",
            Key::P256(_) => "P-256",
        };
        f.debug_tuple("SigningPair").field(&kind).finish()
    }
}

//! Our own keys: to sign requests with, and for assertions that are encrypted to us. From the files that the settings
//! name, or made once in `keys.dir`:
//!
//! | file | what it is |
//! | --- | --- |
//! | `saml-signing.pem` | PKCS#8 RSA key and its certificate; signs requests and logout messages |
//! | `saml-decryption.pem` | PKCS#8 RSA key and its certificate; opens assertions |
//! | `saml-signing-*.pem` | the next one: shown in our metadata, signs nothing yet |
//! | `saml-decryption-*.pem` | the one before: opens assertions, and is not shown any more |
//!
//! So a key is rolled over without a failed sign-in (T47). Signing: put the next one beside the one in use, register it
//! at the provider, then put it in its place. Decryption: rename the one in use to the one before, so that another is
//! made, register that, and remove the old one later. What the settings name stands in the place of the first two
//! files; a `saml-decryption.pem` beside it is one from before.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use secrecy::ExposeSecret as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::certificate::Certificate;
use super::dsig::SigningKey;
use super::encryption::DecryptionKeys;
use crate::base::client_certificate::{ClientCertificate, SigningPair};
use crate::base::clock::Timestamp;
use crate::base::keys::{KeyFile, KeyText};
use crate::connector::error::{ProviderError, Reason};

/// How long a certificate of ours lasts, in years. Providers pin the key and most never look at the date; those that do
/// should not make somebody roll keys over each year.
const YEARS: i16 = 10;

/// How long before a certificate of ours expires an operator is told, at the start (T47).
const AHEAD: Duration = Duration::from_secs(30 * 86_400);

/// Longest common name (RFC 5280, appendix A.1).
const MAX_COMMON_NAME: usize = 64;

/// The key in use for signing.
const SIGNING: KeyFile = KeyFile {
    name: "saml-signing.pem",
    recipe: "openssl req -x509 -newkey rsa:3072 -nodes -days 3650 -subj /CN=Anteroom -keyout key.pem -out cert.pem && \
             cat key.pem cert.pem > saml-signing.pem",
};

/// The key in use for decryption.
const DECRYPTION: KeyFile = KeyFile {
    name: "saml-decryption.pem",
    recipe: "openssl req -x509 -newkey rsa:3072 -nodes -days 3650 -subj /CN=Anteroom -keyout key.pem -out cert.pem && \
             cat key.pem cert.pem > saml-decryption.pem",
};

/// The keys of one connector.
pub(crate) struct OwnKeys {
    signing: Source<SigningKey>,
    /// Certificates of keys that will sign.
    next: Vec<CertificateDer<'static>>,
    decryption: Source<Decryption>,
}

/// What we publish.
pub(crate) struct Published {
    /// The one in use first.
    pub(crate) signing: Vec<CertificateDer<'static>>,
    pub(crate) encryption: CertificateDer<'static>,
}

/// The certificates as they are now, each with its file.
pub(crate) struct Look {
    /// None: there is none yet.
    pub(crate) signing: (PathBuf, Option<CertificateDer<'static>>),
    pub(crate) decryption: (PathBuf, Option<CertificateDer<'static>>),
    pub(crate) next: Vec<(PathBuf, CertificateDer<'static>)>,
}

/// A pair from `keys.dir`, or from files that are read again when they change.
enum Source<K> {
    Made(Arc<K>),
    Files { files: ClientCertificate, last: Last<K>, use_pair: UsePair<K> },
}

/// What was made of the pair that was read last.
type Last<K> = Mutex<Option<(Arc<SigningPair>, Arc<K>)>>;
type UsePair<K> = Box<dyn Fn(&SigningPair) -> Result<K, ProviderError> + Send + Sync>;

struct Decryption {
    keys: Arc<DecryptionKeys>,
    certificate: CertificateDer<'static>,
}

impl OwnKeys {
    /// The keys from the files of the settings, or those of `keys_dir`, which are made if there are none: RSA of 3072
    /// bits, with a certificate for `common_name` that is good from `now` on. Processes that start at once on one
    /// directory end with the same keys. Blocks on the file system.
    ///
    /// # Errors
    /// [`Reason::SamlKeyUnusable`]: a file cannot be read, made or used; the source says what to do.
    pub(crate) fn open(
        keys_dir: &Path,
        signing: Option<&ClientCertificate>,
        decryption: Option<&ClientCertificate>,
        common_name: &str,
        now: Timestamp,
    ) -> Result<Self, ProviderError> {
        let make = || make(common_name, now);
        let next = SIGNING.read_beside(keys_dir).map_err(unusable)?;
        let next = next.iter().map(|(path, text)| Ok(pair(path, text)?.certificate().clone()));
        let next = next.collect::<Result<_, ProviderError>>()?;
        let mut former: Vec<KeyText> = Vec::new();
        if decryption.is_some() {
            former.extend(DECRYPTION.read(keys_dir).map_err(unusable)?);
        }
        let beside = DECRYPTION.read_beside(keys_dir).map_err(unusable)?;
        former.extend(beside.into_iter().map(|(_, text)| text));
        let signing = match signing {
            Some(files) => Source::files(files, Box::new(signing_key)),
            None => {
                let text = SIGNING.read_or_make(keys_dir, make).map_err(unusable)?;
                Source::Made(Arc::new(pair(&keys_dir.join(SIGNING.name), &text)?))
            }
        };
        let decryption = match decryption {
            Some(files) => Source::files(
                files,
                Box::new(move |pair| {
                    let (certificate, key) = pair.pems();
                    Decryption::new(certificate.expose_secret().as_bytes(), key.expose_secret().as_bytes(), &former)
                }),
            ),
            None => {
                let text = DECRYPTION.read_or_make(keys_dir, make).map_err(unusable)?;
                pair(&keys_dir.join(DECRYPTION.name), &text)?;
                Source::Made(Arc::new(Decryption::new(&text, &text, &former)?))
            }
        };
        let keys = Self { signing, next, decryption };
        keys.published()?.warn(now);
        Ok(keys)
    }

    /// Whether [`open`](Self::open) would work, for `anteroom check`. Writes nothing.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub(crate) fn check(
        keys_dir: &Path,
        signing: Option<&ClientCertificate>,
        decryption: Option<&ClientCertificate>,
    ) -> Result<(), ProviderError> {
        for (file, configured) in [(SIGNING, signing), (DECRYPTION, decryption)] {
            match configured {
                Some(files) => drop(signing_key(&*read(files)?)?),
                None if file.check(keys_dir).map_err(unusable)? => {}
                None => {
                    let text = file.read(keys_dir).map_err(unusable)?;
                    if let Some(text) = text {
                        pair(&keys_dir.join(file.name), &text)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The certificates, for an operator. Makes none.
    ///
    /// # Errors
    /// [`Reason::SamlKeyUnusable`]: a file cannot be read or used.
    pub(crate) fn look(
        keys_dir: &Path,
        signing: Option<&ClientCertificate>,
        decryption: Option<&ClientCertificate>,
    ) -> Result<Look, ProviderError> {
        let one = |file: KeyFile, configured: Option<&ClientCertificate>| {
            let (path, key) = match configured {
                Some(files) => (files.certificate_file().to_owned(), Some(signing_key(&*read(files)?)?)),
                None => {
                    let (path, text) = (keys_dir.join(file.name), file.read(keys_dir).map_err(unusable)?);
                    let key = text.map(|text| pair(&path, &text)).transpose()?;
                    (path, key)
                }
            };
            Ok::<_, ProviderError>((path, key.map(|key| key.certificate().clone())))
        };
        let next = SIGNING.read_beside(keys_dir).map_err(unusable)?.into_iter();
        let next = next.map(|(path, text)| pair(&path, &text).map(|key| (path, key.certificate().clone())));
        Ok(Look {
            signing: one(SIGNING, signing)?,
            decryption: one(DECRYPTION, decryption)?,
            next: next.collect::<Result<_, ProviderError>>()?,
        })
    }

    /// The key that signs now.
    ///
    /// # Errors
    /// [`Reason::SamlKeyUnusable`]: the files of the settings cannot be read or used.
    pub(crate) fn signing(&self) -> Result<Arc<SigningKey>, ProviderError> {
        self.signing.get()
    }

    /// The keys that open what was encrypted to us: the one that is published, and those from before.
    ///
    /// # Errors
    /// As [`signing`](Self::signing).
    pub(crate) fn decryption(&self) -> Result<Arc<DecryptionKeys>, ProviderError> {
        self.decryption.get().map(|decryption| Arc::clone(&decryption.keys))
    }

    /// The certificates for our metadata.
    ///
    /// # Errors
    /// As [`signing`](Self::signing).
    pub(crate) fn published(&self) -> Result<Published, ProviderError> {
        let mut signing = vec![self.signing.get()?.certificate().clone()];
        signing.extend(self.next.iter().filter(|next| !signing.contains(next)).cloned().collect::<Vec<_>>());
        Ok(Published { signing, encryption: self.decryption.get()?.certificate.clone() })
    }
}

impl Published {
    /// Tells of certificates that expire soon: most providers do not look, and one that does refuses every sign-in then.
    fn warn(&self, now: Timestamp) {
        let certificates = self.signing.iter().chain([&self.encryption]).filter_map(|der| Certificate::parse(der));
        for certificate in certificates.filter(|certificate| certificate.not_after() <= now.plus(AHEAD)) {
            let (certificate, expires) = (certificate.fingerprint(), certificate.not_after().rfc3339());
            tracing::warn!(
                certificate,
                expires,
                "a certificate in our own SAML metadata expires soon: roll its key over"
            );
        }
    }
}

impl<K> Source<K> {
    fn files(files: &ClientCertificate, use_pair: UsePair<K>) -> Self {
        Self::Files { files: files.clone(), last: Mutex::new(None), use_pair }
    }

    fn get(&self) -> Result<Arc<K>, ProviderError> {
        let (files, last, use_pair) = match self {
            Self::Made(made) => return Ok(Arc::clone(made)),
            Self::Files { files, last, use_pair } => (files, last, use_pair),
        };
        let pair = read(files)?;
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, used)) = last.as_ref().filter(|(before, _)| Arc::ptr_eq(before, &pair)) {
            return Ok(Arc::clone(used));
        }
        let used = Arc::new(use_pair(&pair)?);
        *last = Some((pair, Arc::clone(&used)));
        Ok(used)
    }
}

impl Decryption {
    fn new(certificate: &[u8], key: &[u8], former: &[KeyText]) -> Result<Self, ProviderError> {
        let certificate = CertificateDer::from_pem_slice(certificate).map_err(unusable)?;
        let keys = DecryptionKeys::from_pems(std::iter::once(key).chain(former.iter().map(|text| text.as_slice())))?;
        Ok(Self { keys: Arc::new(keys), certificate })
    }
}

fn read(files: &ClientCertificate) -> Result<Arc<SigningPair>, ProviderError> {
    files.read().map_err(unusable)
}

fn signing_key(pair: &SigningPair) -> Result<SigningKey, ProviderError> {
    let (certificate, key) = pair.pems();
    SigningKey::from_pem(certificate.expose_secret().as_bytes(), key.expose_secret().as_bytes())
}

/// The key and certificate in one file of `keys.dir`.
fn pair(path: &Path, text: &[u8]) -> Result<SigningKey, ProviderError> {
    SigningKey::from_pem(text, text).map_err(|error| {
        let (expected, found) = error.detail().unwrap_or_default();
        let found = format_args!("{}: {found}. Anteroom never replaces a key", path.display());
        ProviderError::new(Reason::SamlKeyUnusable).saying(expected, found).caused_by(error.clone())
    })
}

fn unusable(cause: impl std::error::Error + Send + Sync + 'static) -> ProviderError {
    ProviderError::new(Reason::SamlKeyUnusable).saying("an RSA key and its certificate", &cause).caused_by(cause)
}

/// A new key with its certificate, as the text of its file. RSA, because every provider has it; 3072 bits, because it
/// lasts longer than 2048 are recommended for (NIST SP 800-57 part 1, table 4).
fn make(common_name: &str, now: Timestamp) -> Option<Zeroizing<String>> {
    let mut key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072).ok()?;
    let certificate = certificate(&key, common_name, now);
    let text = certificate.map(|certificate| Zeroizing::new(key.serialize_pem() + &certificate));
    key.zeroize();
    text
}

/// The same certificate for the same key, name and day.
fn certificate(key: &KeyPair, common_name: &str, now: Timestamp) -> Option<String> {
    // A provider's clock may be behind ours.
    let first =
        jiff::Timestamp::from_second(now.secs()).ok()?.to_zoned(jiff::tz::TimeZone::UTC).date().yesterday().ok()?;
    let last = first.checked_add(jiff::Span::new().years(YEARS)).ok()?;
    let day = |date: jiff::civil::Date| {
        let (month, day) = (u8::try_from(date.month()).ok()?, u8::try_from(date.day()).ok()?);
        Some(rcgen::date_time_ymd(i32::from(date.year()), month, day))
    };
    let mut params = CertificateParams::default();
    (params.not_before, params.not_after) = (day(first)?, day(last)?);
    params.distinguished_name = DistinguishedName::new();
    let name = if common_name.len() <= MAX_COMMON_NAME { common_name } else { "Anteroom" };
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    Some(params.self_signed(key).ok()?.pem())
}

#[cfg(test)]
mod tests;

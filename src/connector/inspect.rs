//! What an operator may see of a connector without a running process: for `anteroom connector show` and `anteroom
//! doctor`. Writes nothing, and shows no key.

use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::error::ProviderError;
use super::metadata_source::MetadataSource;
use super::oidc::metadata;
use super::saml::certificate::Certificate;
use super::saml::entra;
use super::saml::own_keys::OwnKeys;
use super::{OidcProvider, Reason};
use crate::base::client_certificate::ClientCertificate;
use crate::base::clock::{Clock, Timestamp};
use crate::base::id::Id;
use crate::base::outgoing::Outgoing;
use crate::config::{OidcConnector, SamlConnector};

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// SHA-256 of the certificate, hexadecimal.
    pub fingerprint: String,
    /// Whom it names; of a provider's, text of the provider.
    pub subject: String,
    /// When it expires.
    pub not_after: Timestamp,
}

/// A certificate of ours and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnCertificate {
    /// The file that it is in: PEM, in `keys.dir` with its key.
    pub file: PathBuf,
    /// None: the first start makes it.
    pub certificate: Option<CertificateFacts>,
}

/// The certificates by which a connector over SAML is known at its provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnCertificates {
    /// Of the key that signs requests and sign-outs.
    pub signing: OwnCertificate,
    /// Of the key that assertions are encrypted to.
    pub decryption: OwnCertificate,
    /// Of keys that will sign.
    pub next: Vec<OwnCertificate>,
}

/// What a provider's metadata says.
#[derive(Clone, Debug)]
pub struct MetadataFacts {
    pub entity_id: String,
    /// Where people are sent to sign in: the binding (`redirect`, `post`) and the URL. One at least.
    pub sign_on: Vec<(&'static str, String)>,
    /// Where they are sent to sign out; perhaps nowhere.
    pub logout: Vec<(&'static str, String)>,
    pub wants_signed_requests: bool,
    /// Those by which it is known; the keys of some may be unusable.
    pub certificates: Vec<CertificateFacts>,
    /// SHA-256 of the certificates whose keys verify nothing here, and why.
    pub unusable: Vec<(String, &'static str)>,
    /// After that nobody can sign in with it.
    pub valid_until: Option<Timestamp>,
    /// The Entra tenant that the entity id names.
    pub tenant: Option<String>,
}

/// What a provider's discovery document and key set say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveryFacts {
    pub issuer: String,
    /// Keys that can verify a token.
    pub keys: usize,
}

/// The certificates of ours as they are in the files of the settings, or in `keys_dir`. Blocks on the file system.
///
/// # Errors
/// [`Reason::SamlKeyUnusable`]: a file cannot be read, or holds something else.
pub fn own_certificates(config: &SamlConnector, keys_dir: &Path) -> Result<OwnCertificates, ProviderError> {
    let found = OwnKeys::look(keys_dir, config.signing.as_ref(), config.decryption.as_ref())?;
    let facts = |der: &CertificateDer<'_>| Certificate::parse(der).as_ref().map(CertificateFacts::from);
    let own = |(file, der): (PathBuf, Option<CertificateDer<'static>>)| match der {
        None => Ok(OwnCertificate { file, certificate: None }),
        Some(der) => match facts(&der) {
            Some(facts) => Ok(OwnCertificate { file, certificate: Some(facts) }),
            None => Err(ProviderError::new(Reason::SamlKeyUnusable).saying("an X.509 certificate", file.display())),
        },
    };
    let next = found.next.into_iter().map(|(file, der)| own((file, Some(der)))).collect::<Result<_, _>>()?;
    Ok(OwnCertificates { signing: own(found.signing)?, decryption: own(found.decryption)?, next })
}

/// Whether start-up could read or make the keys of a connector over SAML. Blocks on the file system.
///
/// # Errors
/// [`Reason::SamlKeyUnusable`]: a file cannot be read or used, or made.
pub fn check_own_keys(config: &SamlConnector, keys_dir: &Path) -> Result<(), ProviderError> {
    OwnKeys::check(keys_dir, config.signing.as_ref(), config.decryption.as_ref())
}

/// Reads a provider's metadata as sign-ins do: from its file, or from its URL.
///
/// # Errors
/// It cannot be had, or is not acceptable.
pub async fn saml_metadata(
    id: &Id,
    config: &SamlConnector,
    insecure_http: bool,
    outgoing: Outgoing,
    clock: Clock,
) -> Result<MetadataFacts, ProviderError> {
    let source = MetadataSource::new(id.clone(), config, insecure_http, outgoing, clock);
    let found = source.current().await?;
    let both = |redirect: Option<&String>, post: Option<&String>| {
        let both = [("redirect", redirect), ("post", post)];
        both.into_iter().filter_map(|(binding, url)| Some((binding, url?.clone()))).collect()
    };
    let (redirect, post) = (found.logout.redirect.as_ref(), found.logout.post.as_ref());
    let unusable = found.keys.unusable().iter().map(|key| (key.fingerprint.clone(), key.why));
    Ok(MetadataFacts {
        entity_id: found.entity_id.clone(),
        sign_on: both(found.sign_on.redirect.as_ref(), found.sign_on.post.as_ref()),
        logout: both(redirect.map(|endpoint| &endpoint.location), post.map(|endpoint| &endpoint.location)),
        wants_signed_requests: found.wants_signed_requests,
        certificates: found.certificates.iter().map(CertificateFacts::from).collect(),
        unusable: unusable.collect(),
        valid_until: found.valid_until,
        tenant: entra::tenant_of(&found.entity_id),
    })
}

/// Where the discovery document of a provider is.
pub fn discovery_url(config: &OidcConnector) -> String {
    metadata::document_url(&config.issuer)
}

/// The certificate that stands in a client secret's place.
///
/// # Errors
/// [`Reason::ConnectorMisconfigured`]: a file cannot be read, or holds something else.
pub fn client_certificate(pair: &ClientCertificate) -> Result<CertificateFacts, ProviderError> {
    let unusable = || ProviderError::new(Reason::ConnectorMisconfigured);
    let read = pair.read().map_err(|error| unusable().saying("a certificate and its key", &error).caused_by(error))?;
    let (pem, _) = read.pems();
    let der = CertificateDer::from_pem_slice(secrecy::ExposeSecret::expose_secret(pem).as_bytes()).ok();
    let parsed = der.and_then(|der| Certificate::parse(&der));
    parsed
        .as_ref()
        .map(CertificateFacts::from)
        .ok_or_else(|| unusable().saying("an X.509 certificate", "something else"))
}

impl OidcProvider {
    /// Fetches the provider's discovery document and key set, as the first sign-in does.
    ///
    /// # Errors
    /// One of them cannot be had, or is not acceptable.
    pub async fn probe(&self) -> Result<DiscoveryFacts, ProviderError> {
        let discovered = self.remote.discovered().await?;
        let keys = self.remote.keys(&discovered).await?;
        Ok(DiscoveryFacts { issuer: discovered.metadata.issuer.clone(), keys: keys.len() })
    }
}

impl From<&Certificate> for CertificateFacts {
    fn from(certificate: &Certificate) -> Self {
        Self {
            fingerprint: certificate.fingerprint(),
            subject: certificate.subject().to_owned(),
            not_after: certificate.not_after(),
        }
    }
}

//! The place of a document, and what is there.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use http::StatusCode;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::base::clock::Timestamp;
use crate::base::outgoing::{Limits, Outgoing, OutgoingError};
use crate::config::{MetadataFrom, SamlConnector};
use crate::connector::error::{ProviderError, Reason};
use crate::connector::saml::dsig::TrustedKeys;
use crate::connector::saml::metadata::{Expected, IdpMetadata, MAX_METADATA};

/// The whole of one look.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Longest file with a pinned certificate, in bytes.
const MAX_CERTIFICATE: usize = 64 * 1024;

/// What tells two documents apart, with the certificate that they are held against.
pub(super) type Digest = [u8; 32];

/// Where the document is, and what it is held against.
pub(super) struct Place {
    from: MetadataFrom,
    outgoing: Outgoing,
    judge: Arc<Judge>,
}

struct Judge {
    certificate: Option<PathBuf>,
    entity_id: Option<String>,
    insecure_http: bool,
}

impl Place {
    pub(super) fn new(config: &SamlConnector, insecure_http: bool, outgoing: Outgoing) -> Self {
        let judge = Judge {
            certificate: config.metadata_certificate.clone(),
            entity_id: config.idp_entity_id.clone(),
            insecure_http,
        };
        Self { from: config.metadata.clone(), outgoing, judge: Arc::new(judge) }
    }

    /// Whether it is a URL.
    pub(super) fn is_remote(&self) -> bool {
        matches!(self.from, MetadataFrom::Url(_))
    }

    /// What is there now. None: the same as was accepted before, by its digest.
    ///
    /// # Errors
    /// It cannot be had, or is not acceptable.
    pub(super) async fn read(
        &self,
        before: Option<&Digest>,
        now: Timestamp,
    ) -> Result<Option<(IdpMetadata, Digest)>, ProviderError> {
        let fetched = match &self.from {
            MetadataFrom::File(_) => None,
            MetadataFrom::Url(url) => Some(self.fetch(url.as_str()).await?),
        };
        let (from, judge, before) = (self.from.clone(), Arc::clone(&self.judge), before.copied());
        // Files and megabytes of XML keep others waiting where they are; a file system that hangs, only this look.
        let work = tokio::task::spawn_blocking(move || {
            let document = match (fetched, from) {
                (Some(document), _) => document,
                (None, MetadataFrom::File(path)) => read_file(&path, MAX_METADATA)?,
                (None, MetadataFrom::Url(_)) => Vec::new(),
            };
            judge.judge(&document, before, now)
        });
        let unavailable = |found: &str| ProviderError::new(Reason::SamlMetadataUnavailable).saying("metadata", found);
        match tokio::time::timeout(TIME_LIMIT, work).await {
            Ok(Ok(result)) => result,
            Ok(Err(panicked)) => Err(unavailable("reading it ended in a panic").caused_by(panicked)),
            Err(_) => Err(unavailable("no full answer in time")),
        }
    }

    async fn fetch(&self, url: &str) -> Result<Vec<u8>, ProviderError> {
        let limits = Limits { time: TIME_LIMIT, body: MAX_METADATA };
        let accept = "application/samlmetadata+xml, application/xml, text/xml";
        let answer = self.outgoing.get(url, accept, limits).await.map_err(failed)?;
        let status = answer.status;
        let reason = match status {
            StatusCode::OK => return Ok(answer.body.into()),
            StatusCode::TOO_MANY_REQUESTS => Reason::SamlMetadataUnavailable,
            _ if status.is_server_error() => Reason::SamlMetadataUnavailable,
            _ => Reason::SamlMetadataRejected,
        };
        Err(ProviderError::new(reason).saying(StatusCode::OK, status))
    }
}

impl Judge {
    fn judge(
        &self,
        document: &[u8],
        before: Option<Digest>,
        now: Timestamp,
    ) -> Result<Option<(IdpMetadata, Digest)>, ProviderError> {
        let certificate = match &self.certificate {
            Some(path) => Some(read_file(path, MAX_CERTIFICATE)?),
            None => None,
        };
        let digest = digest_of(document, certificate.as_deref());
        if before == Some(digest) {
            return Ok(None);
        }
        let pinned = certificate.as_deref().map(pinned).transpose()?;
        let (entity_id, insecure_http) = (self.entity_id.as_deref(), self.insecure_http);
        let expected = Expected { entity_id, pinned: pinned.as_ref(), insecure_http, now };
        Ok(Some((IdpMetadata::parse(document, &expected)?, digest)))
    }
}

/// The keys of a file with PEM certificates, or one in DER.
fn pinned(certificate: &[u8]) -> Result<TrustedKeys, ProviderError> {
    let refused = |found| ProviderError::new(Reason::SamlMetadataRejected).saying("metadata_certificate", found);
    let mut certificates: Vec<CertificateDer<'_>> =
        CertificateDer::pem_slice_iter(certificate).collect::<Result<_, _>>().map_err(|_| refused("broken PEM"))?;
    if certificates.is_empty() {
        certificates.push(CertificateDer::from(certificate));
    }
    let keys = TrustedKeys::new(certificates);
    if keys.is_empty() { Err(refused("no usable certificate")) } else { Ok(keys) }
}

fn digest_of(document: &[u8], certificate: Option<&[u8]>) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&document.len().to_le_bytes());
    context.update(document);
    context.update(certificate.unwrap_or_default());
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// The content of a file. Links are followed: mounted configuration is links.
fn read_file(path: &Path, most: usize) -> Result<Vec<u8>, ProviderError> {
    let read = || {
        let invalid = |why| io::Error::new(ErrorKind::InvalidData, why);
        // Asked before opening: opening a pipe would wait for its writer.
        if !fs::metadata(path)?.is_file() {
            return Err(invalid("it is not a regular file"));
        }
        let mut content = Vec::new();
        File::open(path)?.take(most as u64 + 1).read_to_end(&mut content)?;
        if content.len() > most { Err(invalid("the file is too large")) } else { Ok(content) }
    };
    read().map_err(|error| {
        let found = format_args!("{}: {error}", path.display());
        ProviderError::new(Reason::SamlMetadataUnavailable).saying("a file that can be read", found).caused_by(error)
    })
}

fn failed(error: OutgoingError) -> ProviderError {
    let reason = match &error {
        OutgoingError::Url | OutgoingError::PlainHttp { .. } | OutgoingError::AddressRefused { .. } => {
            Reason::SamlMetadataRejected
        }
        OutgoingError::TooLarge { .. } | OutgoingError::Encoded { .. } => Reason::SamlMetadataRejected,
        _ => Reason::SamlMetadataUnavailable,
    };
    ProviderError::new(reason).saying("", &error).caused_by(error)
}

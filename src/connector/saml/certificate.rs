//! A certificate in metadata: a key with dates and a name.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use x509_cert::der::Decode as _;

use crate::base::clock::Timestamp;

/// Longest certificate that is read, in bytes.
const MAX_CERTIFICATE: usize = 64 * 1024;

/// A certificate by which a provider is known.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    der: CertificateDer<'static>,
    subject: String,
    issuer: String,
    not_after: Timestamp,
}

impl Certificate {
    /// From DER. None: it is no X.509 certificate.
    pub(crate) fn parse(der: &[u8]) -> Option<Self> {
        let parsed = x509_cert::Certificate::from_der(der).ok()?.tbs_certificate;
        let not_after = parsed.validity.not_after.to_unix_duration().as_secs();
        Some(Self {
            der: CertificateDer::from(der.to_vec()),
            subject: parsed.subject.to_string(),
            issuer: parsed.issuer.to_string(),
            not_after: Timestamp::from_secs(i64::try_from(not_after).ok()?),
        })
    }

    /// From the text of an `X509Certificate` element: Base64 with white space.
    pub(super) fn from_base64(text: &str) -> Option<Self> {
        if text.len() > MAX_CERTIFICATE {
            return None;
        }
        let packed: String = text.split_ascii_whitespace().collect();
        Self::parse(&STANDARD.decode(packed).ok()?)
    }

    /// The certificate itself.
    pub(crate) const fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// Whom it names; text of the provider.
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// When it expires.
    pub(crate) const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// SHA-256 of the certificate, hexadecimal, as providers show it.
    pub(crate) fn fingerprint(&self) -> String {
        digest::digest(&digest::SHA256, &self.der).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether it is an authority's above `other` in a chain. Two that signed themselves may share a name: those are an
    /// old and a new one.
    pub(super) fn is_above(&self, other: &Self) -> bool {
        other.issuer == self.subject && other.subject != other.issuer
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { subject, not_after, .. } = self;
        f.debug_struct("Certificate").field("subject", subject).field("not_after", not_after).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(in crate::connector) mod fixtures;

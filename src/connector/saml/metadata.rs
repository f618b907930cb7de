//! The provider's metadata (SAML 2.0 Metadata): who it is, where people are sent, and by which keys it is known.
//!
//! Nothing in it switches a check off (S29): a document without a usable signing key, one that has expired, and one for
//! another provider are refused whole. A signature on it is neither needed nor trusted, unless the operator pinned a
//! certificate for it: then nothing else will do.
//!
//! The keys that it names are the trust. The dates of their certificates are for warnings alone: a certificate that has
//! expired is still the provider's word about its key, as long as the document that the operator named has it (T47).

use std::time::Duration;

use url::Url;

use super::certificate::Certificate;
use super::dsig::{self, TrustedKeys};
use super::xml::{self, DS, Element, MD, Policy, SAMLP, Tree};
use crate::base::clock::Timestamp;
use crate::base::net::is_loopback_host;
use crate::connector::error::{ProviderError, Reason};

pub(crate) use super::xml::MAX_METADATA;

const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
const POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";

/// Longest entity id (SAML 2.0 Core, section 8.3.6) and URL that is taken, in characters.
const MAX_ENTITY_ID: usize = 1024;
const MAX_URL: usize = 2048;

/// A provider, as far as its metadata is used.
#[derive(Debug)]
pub(crate) struct IdpMetadata {
    /// Compared byte by byte with the issuer of messages.
    pub(crate) entity_id: String,
    pub(crate) sign_on: SignOn,
    pub(crate) logout: Logout,
    pub(crate) wants_signed_requests: bool,
    /// Never empty.
    pub(crate) keys: TrustedKeys,
    /// The certificates of [`keys`](Self::keys), and those that were left out of them.
    pub(crate) certificates: Vec<Certificate>,
    /// The earliest `validUntil` on the provider and around it. From then on nothing in here counts.
    pub(crate) valid_until: Option<Timestamp>,
    /// The shortest `cacheDuration`: how long the provider wants this kept before it is read again.
    pub(crate) cache_duration: Option<Duration>,
}

/// Where people are sent to sign in; one of the two at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignOn {
    pub(crate) redirect: Option<String>,
    pub(crate) post: Option<String>,
}

/// Where people are sent to sign out; perhaps nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Logout {
    pub(crate) redirect: Option<LogoutEndpoint>,
    pub(crate) post: Option<LogoutEndpoint>,
}

/// One endpoint for sign-out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogoutEndpoint {
    /// For requests.
    pub(crate) location: String,
    /// For answers (`ResponseLocation`); the same, where the provider names none.
    pub(crate) response: String,
}

/// What a document is held against.
#[derive(Clone, Copy)]
pub(crate) struct Expected<'a> {
    /// The provider's entity id; none: the only one in the document.
    pub(crate) entity_id: Option<&'a str>,
    /// By whom the document has to be signed; none: by nobody.
    pub(crate) pinned: Option<&'a TrustedKeys>,
    /// Endpoints off loopback may be plain http.
    pub(crate) insecure_http: bool,
    pub(crate) now: Timestamp,
}

impl IdpMetadata {
    /// Reads a document: an `EntityDescriptor`, or an `EntitiesDescriptor` with the provider in it.
    ///
    /// # Errors
    /// [`Reason::SamlMetadataExpired`], [`Reason::SamlNoSigningKey`] (S01), and for everything else
    /// [`Reason::SamlMetadataRejected`] (S29).
    pub(crate) fn parse(document: &[u8], expected: &Expected<'_>) -> Result<Self, ProviderError> {
        let text =
            std::str::from_utf8(document).map_err(|e| rejected("UTF-8 text", "another encoding").caused_by(e))?;
        // Downloads from Microsoft begin with one.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let tree = Tree::parse(text, Policy::Metadata).map_err(unreadable)?;
        let root = tree.root();
        if !root.is(MD, "EntityDescriptor") && !root.is(MD, "EntitiesDescriptor") {
            return Err(rejected("an EntityDescriptor of SAML 2.0", format_args!("{root:?}")));
        }
        if let Some(pinned) = expected.pinned {
            dsig::verify_root(&tree, pinned).map_err(unreadable)?;
        }
        let (entity, entity_id) = entity(root, expected.entity_id)?;
        let provider = provider(entity).and_then(|mut all| match (all.next(), all.next()) {
            (Some(one), None) => Some(one),
            _ => None,
        });
        let provider = provider.ok_or_else(|| rejected("one IDPSSODescriptor of SAML 2.0", "none, or several"))?;
        let valid_until = valid_until(provider)?;
        if let Some(until) = valid_until.filter(|until| *until <= expected.now) {
            return Err(expired(until, expected.now));
        }
        let certificates = certificates(provider);
        let keys = TrustedKeys::new(certificates.iter().map(|certificate| certificate.der().clone()));
        if keys.is_empty() {
            let why = keys.unusable().first().map_or("no X509Certificate for signing", |unusable| unusable.why);
            return Err(ProviderError::new(Reason::SamlNoSigningKey).saying("a usable signing certificate", why));
        }
        let endpoints = Endpoints { insecure_http: expected.insecure_http };
        let sign_on = SignOn {
            redirect: endpoints.first(provider, "SingleSignOnService", REDIRECT)?.map(|endpoint| endpoint.location),
            post: endpoints.first(provider, "SingleSignOnService", POST)?.map(|endpoint| endpoint.location),
        };
        if sign_on.redirect.is_none() && sign_on.post.is_none() {
            return Err(rejected("a SingleSignOnService by HTTP-Redirect or HTTP-POST", "none"));
        }
        Ok(Self {
            entity_id,
            sign_on,
            logout: Logout {
                redirect: endpoints.first(provider, "SingleLogoutService", REDIRECT)?,
                post: endpoints.first(provider, "SingleLogoutService", POST)?,
            },
            wants_signed_requests: matches!(provider.attribute("WantAuthnRequestsSigned"), Some("true" | "1")),
            keys,
            certificates,
            valid_until,
            cache_duration: upwards(provider)
                .filter_map(|element| element.attribute("cacheDuration").and_then(duration))
                .min(),
        })
    }

    /// Whether it still counts at `now`.
    ///
    /// # Errors
    /// [`Reason::SamlMetadataExpired`].
    pub(crate) fn check_valid(&self, now: Timestamp) -> Result<(), ProviderError> {
        match self.valid_until {
            Some(until) if until <= now => Err(expired(until, now)),
            _ => Ok(()),
        }
    }

    /// What expires first: one of the certificates or the document. For a metric and for warnings.
    pub(crate) fn expires(&self) -> Option<Timestamp> {
        self.certificates.iter().map(Certificate::not_after).chain(self.valid_until).min()
    }
}

/// The provider's element, with its entity id.
fn entity<'t>(root: Element<'t>, wanted: Option<&str>) -> Result<(Element<'t>, String), ProviderError> {
    let all = std::iter::once(root).chain(root.descendants());
    let entities = all.filter(|element| element.is(MD, "EntityDescriptor") && is_within_entities(*element));
    let entities: Vec<Element<'_>> = entities.collect();
    let fits = |entity: &&Element<'_>| match wanted {
        Some(wanted) => entity.attribute("entityID") == Some(wanted),
        None => provider(**entity).is_some(),
    };
    let fitting: Vec<&Element<'_>> = entities.iter().filter(fits).collect();
    let expected = wanted.unwrap_or("one identity provider, or idp_entity_id");
    match fitting[..] {
        [one] => {
            let id = one.attribute("entityID").unwrap_or_default();
            let sound = !id.is_empty() && id.chars().count() <= MAX_ENTITY_ID && !id.contains(char::is_control);
            if sound { Ok((*one, id.to_owned())) } else { Err(rejected("an entityID", "absent, or too long")) }
        }
        [] => {
            let found: Vec<&str> = entities.iter().filter_map(|entity| entity.attribute("entityID")).take(3).collect();
            Err(rejected(expected, if found.is_empty() { String::from("none") } else { found.join(" ") }))
        }
        [..] => Err(rejected(expected, format_args!("{} of them", fitting.len()))),
    }
}

/// Whether nothing but `EntitiesDescriptor` is around it: an element within an extension is nobody's metadata.
fn is_within_entities(entity: Element<'_>) -> bool {
    std::iter::successors(entity.parent(), |above| above.parent()).all(|above| above.is(MD, "EntitiesDescriptor"))
}

/// The entity's roles as an identity provider over SAML 2.0. None: it has none.
fn provider(entity: Element<'_>) -> Option<impl Iterator<Item = Element<'_>>> {
    let speaks = |role: &Element<'_>| {
        let protocols = role.attribute("protocolSupportEnumeration").unwrap_or_default();
        protocols.split_ascii_whitespace().any(|protocol| protocol == SAMLP)
    };
    let mut roles = entity.children_named(MD, "IDPSSODescriptor").filter(speaks).peekable();
    roles.peek().is_some().then_some(roles)
}

/// The element and all that are around it: what they say of time is said of it too.
fn upwards(element: Element<'_>) -> impl Iterator<Item = Element<'_>> {
    std::iter::successors(Some(element), |element| element.parent())
}

fn valid_until(provider: Element<'_>) -> Result<Option<Timestamp>, ProviderError> {
    let mut earliest = None;
    for text in upwards(provider).filter_map(|element| element.attribute("validUntil")) {
        let until = xml::time(text).ok_or_else(|| rejected("validUntil: a time in UTC", text))?;
        earliest = Some(earliest.map_or(until, |earlier: Timestamp| earlier.min(until)));
    }
    Ok(earliest)
}

/// Keys that are read, and certificates of the chain of each: a bad signature is tried against them all. Nobody publishes
/// more than a handful.
const MAX_KEYS: usize = 16;

/// The certificates for signing: those of a `KeyDescriptor` with `use="signing"` and of one without `use` (S29). Of a
/// chain only the end: who issues a provider's certificate is no provider. What is no certificate is passed over; a
/// document that is left without any is refused.
fn certificates(provider: Element<'_>) -> Vec<Certificate> {
    let mut certificates: Vec<Certificate> = Vec::new();
    let signing = |key: &Element<'_>| matches!(key.attribute("use"), None | Some("signing"));
    for key in provider.children_named(MD, "KeyDescriptor").filter(signing).take(MAX_KEYS) {
        let data = key.children_named(DS, "KeyInfo").flat_map(|info| info.children_named(DS, "X509Data"));
        for data in data {
            let texts = data.children_named(DS, "X509Certificate").map(Element::text).take(MAX_KEYS);
            let chain: Vec<Certificate> = texts.filter_map(|text| Certificate::from_base64(&text)).collect();
            for certificate in &chain {
                let above = chain.iter().any(|other| certificate.is_above(other));
                if !above && !certificates.contains(certificate) {
                    certificates.push(certificate.clone());
                }
            }
        }
    }
    certificates
}

/// How endpoints are read: absolute https URLs without user information and fragment (S29). A browser goes there, with
/// a request that names us.
struct Endpoints {
    insecure_http: bool,
}

impl Endpoints {
    /// The first of `service` by `binding`. Bindings that are not used here are not judged either.
    fn first(
        &self,
        provider: Element<'_>,
        service: &str,
        binding: &str,
    ) -> Result<Option<LogoutEndpoint>, ProviderError> {
        let mut all = provider.children_named(MD, service);
        let Some(found) = all.find(|endpoint| endpoint.attribute("Binding") == Some(binding)) else {
            return Ok(None);
        };
        let location = self.url(service, found.attribute("Location").unwrap_or_default())?;
        let response = match found.attribute("ResponseLocation").map(str::trim) {
            None | Some("") => location.clone(),
            Some(other) => self.url(service, other)?,
        };
        Ok(Some(LogoutEndpoint { location, response }))
    }

    /// The URL as it is written: that is how the provider compares it with a request's `Destination`.
    fn url(&self, service: &str, text: &str) -> Result<String, ProviderError> {
        let refused = || rejected(format_args!("{service} by https"), text);
        let text = text.trim();
        let plain = text.len() <= MAX_URL && text.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b));
        let url = Url::parse(text).ok().filter(|_| plain).ok_or_else(refused)?;
        let host = url.host_str().ok_or_else(refused)?;
        let scheme = match url.scheme() {
            "https" => true,
            "http" => self.insecure_http || is_loopback_host(host),
            _ => false,
        };
        let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if scheme && bare { Ok(text.to_owned()) } else { Err(refused()) }
    }
}

/// An xs:duration, a month counting as 30 days. None: it is none, or not above zero; it is advice, so that is no reason
/// to refuse anything.
fn duration(text: &str) -> Option<Duration> {
    let span: jiff::Span = text.starts_with('P').then(|| text.parse().ok()).flatten()?;
    let days = i64::from(span.get_years()) * 365 + i64::from(span.get_months()) * 30;
    let days = days + i64::from(span.get_weeks()) * 7 + i64::from(span.get_days());
    let hours = days * 24 + i64::from(span.get_hours());
    let seconds = hours.checked_mul(3600)?.checked_add(span.get_minutes().checked_mul(60)?)?;
    let seconds = seconds.checked_add(span.get_seconds())?;
    u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

fn expired(until: Timestamp, now: Timestamp) -> ProviderError {
    let expected = format_args!("validUntil after {}", xml::write_time(now));
    ProviderError::new(Reason::SamlMetadataExpired).saying(expected, xml::write_time(until))
}

fn rejected(expected: impl std::fmt::Display, found: impl std::fmt::Display) -> ProviderError {
    ProviderError::new(Reason::SamlMetadataRejected).saying(expected, found)
}

/// A document that the XML or signature code refuses: what is a stranger's message there is our own setting here.
fn unreadable(error: ProviderError) -> ProviderError {
    let (expected, found) = error.detail().unwrap_or_default();
    let told = rejected(expected, format_args!("{}: {found}", error.reason()));
    told.caused_by(error)
}

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

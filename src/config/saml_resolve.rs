//! From the raw settings of a connector over SAML to those that hold.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use url::Url;

use super::connector_resolve::{Surroundings, hosted_domains_of};
use super::connector_values::{certificate_and_key, plain_text};
use super::connectors::RawConnector;
use super::kinds::{KINDS, Kind};
use super::parse::{Context, duplicate, is_plain_http_off_loopback, web_url, wrong};
use super::problem::{Place, Report, quoted};
use super::read::{At, Field};
use super::saml::{AttributeNames, MetadataFrom, SamlConnector, SamlPreset};
use super::saml_keys::{OneOrMore, Preset, RawAttributes};
use super::{acs, entra, requirement};
use crate::base::id::Id;

const METADATA_FILE: &str = "allowed: a file with the provider's metadata (Federation Metadata XML)";
const METADATA_URL: &str = "allowed: the https address of the provider's metadata, such as \
                            \"https://idp.example.com/metadata.xml\"";
const CERTIFICATE: &str = "allowed: a file with one certificate, PEM or DER";
/// SAML 2.0 Core section 8.3.6.
const MAX_ENTITY_ID: usize = 1024;
const ENTITY_ID: &str = "allowed: an entity id of 1 to 1024 characters without blanks";
const NAME_ID_FORMAT: &str = "allowed: \"persistent\", \"email\", \"transient\", \"unspecified\", or a URI";
const TRANSIENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";
const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
/// SAML 2.0 Core section 8.3.
const FORMATS: [(&str, &str); 4] = [
    ("persistent", PERSISTENT),
    ("email", "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"),
    ("transient", TRANSIENT),
    ("unspecified", "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"),
];
/// Most names of one attribute.
const MAX_NAMES: usize = 16;

pub(super) fn resolve(
    raw: RawConnector,
    id: &Id,
    place: &Place,
    around: &Surroundings<'_>,
    cx: &mut Context<'_>,
) -> Option<SamlConnector> {
    let kind = raw.kind.set().map(|at| at.value.0);
    let saml = raw.saml;
    if let (Some(kind), Some(url)) = (raw.kind.place(), around.public_url.filter(|url| !url.secure_cookies())) {
        let why = "SAML responses are posted across sites, and browsers keep the cookie of such a sign-in over https \
                   alone; use OpenID Connect for this test, or an https public_url";
        let text =
            format!("SAML does not work here: server.public_url is {:?}, plain http off loopback; {why}", url.origin);
        cx.report.problem(kind, text);
    }
    raw.kind.required(place, "kind", KINDS, cx.report);
    let preset = match kind {
        Some(Kind::Entra) => Some(Preset::Entra),
        Some(Kind::Google) => Some(Preset::Google),
        Some(Kind::Saml | Kind::Oidc) | None => saml.preset.word_or(Preset::Generic),
    };
    let name = raw.name.parse(cx.report, |text| plain_text(text, 60)).or_else(|| match preset {
        Some(Preset::Entra) => String::from("Microsoft"),
        Some(Preset::Google) => String::from("Google"),
        _ => id.as_str().to_owned(),
    });
    let tenants = entra::saml_tenants(raw.tenant_id, raw.allowed_tenants, place, cx);
    let hosted_domains = hosted_domains_of(raw.hosted_domains, id, around, cx);
    let metadata = metadata(saml.metadata_file, saml.metadata_url, place, around.insecure_http, cx);
    let metadata_certificate =
        cx.path(saml.metadata_certificate_file).parse(cx.report, |path| certificate(path)).optional();
    let idp_entity_id = saml.idp_entity_id.parse(cx.report, |text| entity_id(text)).optional();
    let own = around.public_url.zip(around.prefix);
    let own = own.map(|(url, prefix)| format!("{}{prefix}/saml/{id}/metadata", url.origin));
    let entity_id = match saml.entity_id.parse(cx.report, |text| entity_id(text)).optional() {
        Some(written) => written.or(own),
        None => None,
    };
    let acs = acs::resolve(saml.acs_url, id, around, cx);
    let format_place = saml.name_id_format.place().cloned();
    let name_id_format = saml.name_id_format.parse(cx.report, |text| name_id_format(text)).optional();
    let attributes = saml.attributes.section(place, "attributes").and_then(|at| attributes(at, cx.report));
    if let (Some(place), Some(Some(format)), Some(attributes), Some(preset)) =
        (&format_place, &name_id_format, &attributes, preset)
        && is_subject(attributes, preset)
    {
        judge_format(format, place, cx.report);
    }
    let requirement = requirement::resolve(raw.max_age, raw.acr, raw.amr, Duration::ZERO, cx);
    let names = ("signing_cert_file", "signing_key_file");
    let signing = certificate_and_key(saml.signing_cert_file, saml.signing_key_file, names, place, cx);
    let names = ("decryption_cert_file", "decryption_key_file");
    let decryption = certificate_and_key(saml.decryption_cert_file, saml.decryption_key_file, names, place, cx);
    let sign_requests = saml.sign_requests.optional();
    let request_binding = saml.request_binding.optional().map(|word| word.map(|word| word.0));
    let want_encrypted = saml.want_encrypted.or(false);
    let allow_aes_cbc = saml.allow_aes_cbc.or(preset == Some(Preset::Entra));
    let allow_idp_initiated = saml.allow_idp_initiated.or(false);
    kind?;
    Some(SamlConnector {
        preset: match preset? {
            Preset::Entra => SamlPreset::Entra { allowed_tenants: tenants? },
            Preset::Google => SamlPreset::Google { hosted_domains: hosted_domains? },
            Preset::Okta => SamlPreset::Okta,
            Preset::Adfs => SamlPreset::Adfs,
            Preset::Keycloak => SamlPreset::Keycloak,
            Preset::Shibboleth => SamlPreset::Shibboleth,
            Preset::Generic => SamlPreset::Generic,
        },
        name: name?,
        metadata: metadata?,
        metadata_certificate: metadata_certificate?,
        idp_entity_id: idp_entity_id?,
        entity_id: entity_id?,
        acs: acs?,
        sign_requests: sign_requests?,
        request_binding: request_binding?,
        want_encrypted: want_encrypted?,
        allow_aes_cbc: allow_aes_cbc?,
        allow_idp_initiated: allow_idp_initiated?,
        name_id_format: name_id_format?,
        attributes: attributes?,
        requirement: requirement?,
        signing: signing?,
        decryption: decryption?,
    })
}

/// Where the metadata comes from: a file that can be read now, or an address.
fn metadata(
    file: Field<String>,
    url: Field<String>,
    place: &Place,
    insecure_http: bool,
    cx: &mut Context<'_>,
) -> Option<MetadataFrom> {
    let twice = file.is_written() && url.is_written();
    let url_place = url.place_in(place, "metadata_url");
    let file = cx.path(file).parse(cx.report, |path| readable(path));
    let url = url.parse(cx.report, |text| metadata_url(text, insecure_http));
    if twice {
        let text = "the metadata is given twice: metadata_file is set too; allowed: one of the two";
        cx.report.problem(&url_place, text);
        return None;
    }
    match (file, url) {
        (Field::Set(file), _) => Some(MetadataFrom::File(file.value)),
        (_, Field::Set(url)) => Some(MetadataFrom::Url(url.value)),
        (Field::Absent, Field::Absent) => {
            let text = format!("missing; {METADATA_FILE}; or metadata_url in its place");
            cx.report.problem(&place.child("metadata_file"), text);
            None
        }
        (Field::Invalid, _) | (_, Field::Invalid) => None,
    }
}

/// A file that is there; what it says is for those who understand it.
fn readable(path: &Path) -> Result<PathBuf, String> {
    let show = path.display();
    let failed = |error: std::io::Error| format!("cannot read {show}: {error}; {METADATA_FILE}");
    // Asked before opening: opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(format!("{show} is no regular file; {METADATA_FILE}"));
    }
    std::fs::File::open(path).map(|_| path.to_owned()).map_err(failed)
}

/// An address, with a query where the provider has one: Entra ID tells registrations apart by it.
fn metadata_url(text: &str, insecure_http: bool) -> Result<Url, String> {
    let (before, query) = text.split_once('?').map_or((text, None), |(before, query)| (before, Some(query)));
    let mut url = web_url(before, METADATA_URL)?;
    if let Some(query) = query {
        if query.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#') {
            return Err(wrong(text, METADATA_URL));
        }
        url.set_query(Some(query));
    }
    if is_plain_http_off_loopback(&url) && !insecure_http {
        let text = wrong(
            text,
            "plain http off loopback; allowed: https, or for a test outgoing.insecure_http = \"yes-for-testing-only\"",
        );
        return Err(text);
    }
    Ok(url)
}

#[expect(clippy::disallowed_methods, reason = "a certificate that the configuration names, looked at once at start")]
fn certificate(path: &Path) -> Result<PathBuf, String> {
    let show = path.display();
    let bytes = std::fs::read(path).map_err(|error| format!("cannot read {show}: {error}; {CERTIFICATE}"))?;
    let der = match CertificateDer::from_pem_slice(&bytes) {
        Ok(certificate) => certificate,
        Err(_) => CertificateDer::from(bytes),
    };
    if is_one_sequence(&der) { Ok(path.to_owned()) } else { Err(format!("{show} holds no certificate; {CERTIFICATE}")) }
}

/// Whether the bytes are one DER SEQUENCE of more than 255 bytes, as every certificate is (X.690 section 8.1.3).
fn is_one_sequence(der: &[u8]) -> bool {
    match der {
        [0x30, 0x82, high, low, rest @ ..] => rest.len() == usize::from(u16::from_be_bytes([*high, *low])),
        _ => false,
    }
}

fn entity_id(text: &str) -> Result<String, String> {
    let fits = (1..=MAX_ENTITY_ID).contains(&text.chars().count());
    if fits && !text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Ok(text.to_owned());
    }
    Err(wrong(text, ENTITY_ID))
}

fn name_id_format(text: &str) -> Result<String, String> {
    if let Some((_, uri)) = FORMATS.iter().find(|(word, _)| *word == text) {
        return Ok((*uri).to_owned());
    }
    let is_uri = text.split_once(':').is_some_and(|(scheme, rest)| {
        !rest.is_empty()
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    if is_uri && text.len() <= MAX_ENTITY_ID && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err(format!("found {}; {NAME_ID_FORMAT}", quoted(text)))
}

/// Whether people are known by the assertion's `NameID`.
fn is_subject(attributes: &AttributeNames, preset: Preset) -> bool {
    match &attributes.subject {
        Some(name) => name == "NameID",
        None => !matches!(preset, Preset::Entra | Preset::Shibboleth),
    }
}

/// What it means that people are known by a name of this format (S24).
fn judge_format(format: &str, place: &Place, report: &mut Report) {
    if format == TRANSIENT {
        let text = "a transient name is another one at each sign-in, so nobody could be known again; name the attribute \
                    that lasts in attributes.subject, or leave name_id_format out";
        report.problem(place, text);
    } else if format != PERSISTENT {
        let text = "people are known by such a name, and it may be given to another person later, who would be taken for \
                    the one before; ask for \"persistent\", or name an attribute that is never given again in \
                    attributes.subject";
        report.warn(place, text);
    }
}

fn attributes(raw: At<RawAttributes>, report: &mut Report) -> Option<AttributeNames> {
    let RawAttributes { email, name, preferred_username, groups, roles, subject } = raw.value;
    let [email, name, preferred_username, groups, roles] =
        [email, name, preferred_username, groups, roles].map(|field| names(field, report));
    let subject = subject.parse(report, |text| plain_text(text, 255)).optional();
    Some(AttributeNames {
        email: email?,
        name: name?,
        preferred_username: preferred_username?,
        groups: groups?,
        roles: roles?,
        subject: subject?,
    })
}

/// Names of attributes; none where nothing is written.
fn names(raw: Field<OneOrMore>, report: &mut Report) -> Option<Vec<String>> {
    let raw = raw.list();
    let place = raw.place().cloned();
    let names = raw.parse_each(report, |text| plain_text(text, 255));
    if let (Some(place), Some(list)) = (place, names.set().map(|at| &at.value)) {
        let problem = match list.len() {
            0 => Some(String::from("found an empty list; leave it out for the preset's names")),
            1..=MAX_NAMES => None,
            count => Some(format!("found {count} names; allowed: at most {MAX_NAMES}")),
        };
        if let Some(text) = problem {
            report.problem(&place, text);
            return None;
        }
        if let Some(twice) = duplicate(list) {
            report.problem(&twice.place, format!("found {:?} twice; once is enough", twice.value));
        }
    }
    names.values_or(Vec::new)
}

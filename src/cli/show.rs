//! `anteroom connector show`: what the provider's administrator needs, in the words of their forms.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;

use crate::base::app_log::error_chain;
use crate::base::clock::{Clock, Timestamp};
use crate::base::id::Id;
use crate::base::outgoing::Outgoing;
use crate::config::{App, Config, Connector, ConnectorKind, MetadataFrom, OidcConnector, SamlConnector, SamlPreset};
use crate::connector::ProviderError;
use crate::connector::inspect::{self, CertificateFacts, MetadataFacts, OwnCertificate};

use super::table::clean;
use super::{Configured, Failure, json, print};

pub(super) const EXAMPLES: &str = "\
Examples:
  anteroom connector show --config anteroom.toml globex-saml
  anteroom connector show --config anteroom.toml --json acme-entra | jq -r .registration.acs_url

In Entra ID: Enterprise applications > the application > Single sign-on > SAML. In Google Workspace: Apps > Web and
mobile apps > Add custom SAML app. Providers that read metadata need its address alone, once Anteroom runs.";

/// What `anteroom connector show` is asked.
#[derive(Args)]
pub(super) struct Show {
    #[command(flatten)]
    configured: Configured,
    /// For programs.
    #[arg(long)]
    json: bool,
    /// Its id, as in the configuration.
    id: String,
}

/// What is shown.
#[derive(Serialize)]
struct Shown {
    id: String,
    name: String,
    protocol: &'static str,
    kind: &'static str,
    /// E-mail domains that lead to it.
    domains: Vec<String>,
    registration: Registration,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<ProviderShown>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Registration {
    Saml {
        entity_id: String,
        acs_url: String,
        /// The applications' own addresses first, then the one that begins at once.
        sign_on_urls: Vec<String>,
        logout_url: String,
        metadata_url: String,
        signing: Certificates,
        decryption: Certificates,
    },
    Oidc {
        redirect_uri: String,
        sign_on_urls: Vec<String>,
        back_channel_logout_uri: String,
        front_channel_logout_uri: String,
        post_logout_redirect_uri: String,
        client_id: String,
        issuer: String,
    },
}

/// A key's certificate, and those that will follow it.
#[derive(Serialize)]
struct Certificates {
    in_use: CertificateShown,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    next: Vec<CertificateShown>,
}

#[derive(Serialize)]
struct CertificateShown {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// None: the first start makes it.
    sha256: Option<String>,
    expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
}

/// What a provider's metadata says.
#[derive(Serialize)]
struct ProviderShown {
    /// The file or address.
    metadata: String,
    #[serde(flatten)]
    read: Read,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Read {
    Facts {
        entity_id: String,
        /// URLs by their binding.
        sign_on: BTreeMap<&'static str, String>,
        logout: BTreeMap<&'static str, String>,
        wants_signed_requests: bool,
        certificates: Vec<CertificateShown>,
        valid_until: Option<String>,
    },
    /// It is fetched, which this command does not do.
    NotFetched {
        not_read: &'static str,
    },
    Refused {
        problem: String,
    },
}

pub(super) fn run(Show { configured, json: as_json, id }: &Show) -> Result<(), Failure> {
    let config = configured.load()?.config;
    let Some((id, connector)) = config.connectors.iter().find(|(known, _)| known.as_str() == id) else {
        let known: Vec<&str> = config.connectors.keys().map(Id::as_str).collect();
        let known = if known.is_empty() { "none is configured".to_owned() } else { known.join(", ") };
        return Err(Failure::Other(format!("there is no connector {:?}; there are: {known}", clean(id))));
    };
    let shown = shown(&config, id, connector)?;
    if *as_json { print(&json(&shown)?) } else { print(&told(&shown)) }
}

fn shown(config: &Config, id: &Id, connector: &Connector) -> Result<Shown, Failure> {
    let domains = config.domains.iter().filter(|(_, domain)| domain.connector == *id);
    let (registration, provider) = match connector {
        Connector::Oidc(oidc) => (of_oidc(config, id, oidc), None),
        Connector::Saml(saml) => (of_saml(config, id, saml)?, Some(provider(config, id, saml)?)),
    };
    Ok(Shown {
        id: id.to_string(),
        name: connector.name().to_owned(),
        protocol: if connector.saml().is_some() { "saml" } else { "oidc" },
        kind: kind(connector),
        domains: domains.map(|(name, _)| name.to_string()).collect(),
        registration,
        provider,
    })
}

const fn kind(connector: &Connector) -> &'static str {
    match connector {
        Connector::Oidc(oidc) => match oidc.kind {
            ConnectorKind::Entra { .. } => "entra",
            ConnectorKind::Google { .. } => "google",
            ConnectorKind::Oidc { .. } => "generic",
        },
        Connector::Saml(saml) => match saml.preset {
            SamlPreset::Entra { .. } => "entra",
            SamlPreset::Google { .. } => "google",
            SamlPreset::Okta => "okta",
            SamlPreset::Adfs => "adfs",
            SamlPreset::Keycloak => "keycloak",
            SamlPreset::Shibboleth => "shibboleth",
            SamlPreset::Generic => "generic",
        },
    }
}

/// `<public_url><prefix>`, without a trailing slash.
fn base(config: &Config) -> String {
    format!("{}{}", config.server.public_url.origin, config.server.prefix)
}

/// What a provider's tile or test button opens: an application, which sends people without a session to sign in; or this
/// connector's sign-in itself.
fn sign_on_urls(config: &Config, id: &Id) -> Vec<String> {
    let sign_in = &config.server.public_url;
    let of_app = |app: &App| {
        let origin = app.public_url.as_ref().unwrap_or(sign_in);
        format!("{}/", origin.origin)
    };
    let mut urls: Vec<String> = config.apps.values().map(of_app).collect();
    urls.push(format!("{}/sign-in/go?connector={id}", base(config)));
    urls
}

fn of_oidc(config: &Config, id: &Id, oidc: &OidcConnector) -> Registration {
    let base = base(config);
    Registration::Oidc {
        redirect_uri: format!("{}{}", config.server.public_url.origin, oidc.callback_path),
        sign_on_urls: sign_on_urls(config, id),
        back_channel_logout_uri: format!("{base}/backchannel-logout/{id}"),
        front_channel_logout_uri: format!("{base}/frontchannel-logout/{id}"),
        post_logout_redirect_uri: format!("{base}/sign-out/done"),
        client_id: oidc.client_id.clone(),
        issuer: oidc.issuer.to_string(),
    }
}

fn of_saml(config: &Config, id: &Id, saml: &SamlConnector) -> Result<Registration, Failure> {
    let base = base(config);
    let own = inspect::own_certificates(saml, &config.keys.dir)
        .map_err(|error| Failure::Other(format!("the keys of connectors.{id}: {}", said(&error))))?;
    let of = |certificate: &OwnCertificate| CertificateShown::own(certificate);
    Ok(Registration::Saml {
        entity_id: saml.entity_id.clone(),
        acs_url: saml.acs.url.clone(),
        sign_on_urls: sign_on_urls(config, id),
        logout_url: format!("{base}/saml/{id}/slo"),
        metadata_url: format!("{base}/saml/{id}/metadata"),
        signing: Certificates { in_use: of(&own.signing), next: own.next.iter().map(of).collect() },
        decryption: Certificates { in_use: of(&own.decryption), next: vec![] },
    })
}

fn provider(config: &Config, id: &Id, saml: &SamlConnector) -> Result<ProviderShown, Failure> {
    let metadata = match &saml.metadata {
        MetadataFrom::File(file) => file.display().to_string(),
        MetadataFrom::Url(url) => url.to_string(),
    };
    let outgoing = Outgoing::new(&config.outgoing).map_err(|error| Failure::Other(error_chain(&error)))?;
    let read = match metadata_file(config, id, saml, outgoing)? {
        None => Read::NotFetched { not_read: "fetched when Anteroom runs; `anteroom doctor` reads it now" },
        Some(Ok(facts)) => Read::from(facts),
        Some(Err(error)) => Read::Refused { problem: said(&error) },
    };
    Ok(ProviderShown { metadata, read })
}

/// What the provider's metadata says, if it is in a file: nothing is fetched.
pub(super) fn metadata_file(
    config: &Config,
    id: &Id,
    saml: &SamlConnector,
    outgoing: Outgoing,
) -> Result<Option<Result<MetadataFacts, ProviderError>>, Failure> {
    let MetadataFrom::File(_) = &saml.metadata else { return Ok(None) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Other(format!("cannot start the runtime: {error}")))?;
    let read = inspect::saml_metadata(id, saml, config.outgoing.insecure_http, outgoing, Clock::system());
    Ok(Some(runtime.block_on(read)))
}

/// A provider's error, for an operator.
pub(super) fn said(error: &ProviderError) -> String {
    let reason = error.reason();
    match error.detail() {
        Some(("", found)) => format!("{reason}: {}", clean(found)),
        Some((expected, found)) => format!("{reason}: expected {}, found {}", clean(expected), clean(found)),
        None => reason.to_owned(),
    }
}

impl CertificateShown {
    fn own(OwnCertificate { file, certificate }: &OwnCertificate) -> Self {
        let file = Some(file.display().to_string());
        let (sha256, expires) = match certificate {
            Some(facts) => (Some(facts.fingerprint.clone()), Some(facts.not_after.rfc3339())),
            None => (None, None),
        };
        Self { file, sha256, expires, subject: None }
    }

    fn theirs(facts: &CertificateFacts) -> Self {
        let (sha256, expires) = (Some(facts.fingerprint.clone()), Some(facts.not_after.rfc3339()));
        Self { file: None, sha256, expires, subject: Some(facts.subject.clone()) }
    }
}

impl From<MetadataFacts> for Read {
    fn from(facts: MetadataFacts) -> Self {
        Self::Facts {
            entity_id: facts.entity_id,
            sign_on: facts.sign_on.into_iter().collect(),
            logout: facts.logout.into_iter().collect(),
            wants_signed_requests: facts.wants_signed_requests,
            certificates: facts.certificates.iter().map(CertificateShown::theirs).collect(),
            valid_until: facts.valid_until.map(Timestamp::rfc3339),
        }
    }
}

/// One line: what it is called, and its value. Without a name, more of the line before.
fn line(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "  {name:24}  {}", clean(value));
}

fn told(shown: &Shown) -> String {
    let Shown { id, name, protocol, kind, domains, registration, provider } = shown;
    let mut text = String::new();
    let protocol = if *protocol == "saml" { "SAML" } else { "OpenID Connect" };
    let domains = if domains.is_empty() { "none".to_owned() } else { domains.join(", ") };
    let _ = writeln!(text, "{id}: {protocol} ({kind}), \"Log in with {}\", domains: {domains}", clean(name));
    text.push_str("\nFor the registration at the provider:\n");
    match registration {
        Registration::Saml { entity_id, acs_url, sign_on_urls, logout_url, metadata_url, signing, decryption } => {
            line(&mut text, "Identifier (Entity ID)", entity_id);
            line(&mut text, "Reply URL (ACS URL)", acs_url);
            tell_sign_on(&mut text, "Sign-on URL", sign_on_urls);
            line(&mut text, "Logout URL", logout_url);
            line(&mut text, "Metadata of Anteroom", metadata_url);
            tell_certificate(&mut text, "Signing certificate", &signing.in_use);
            for next in &signing.next {
                tell_certificate(&mut text, "the next one", next);
            }
            tell_certificate(&mut text, "Encryption certificate", &decryption.in_use);
        }
        Registration::Oidc {
            redirect_uri,
            sign_on_urls,
            back_channel_logout_uri,
            front_channel_logout_uri,
            post_logout_redirect_uri,
            client_id,
            issuer,
        } => {
            line(&mut text, "Redirect URI (web)", redirect_uri);
            tell_sign_on(&mut text, "Home page or sign-on URL", sign_on_urls);
            line(&mut text, "Post-logout redirect URI", post_logout_redirect_uri);
            line(&mut text, "Back-channel logout URI", back_channel_logout_uri);
            line(&mut text, "Front-channel logout URI", front_channel_logout_uri);
            text.push_str("\nFrom the provider, as configured:\n");
            line(&mut text, "Client ID", client_id);
            line(&mut text, "Issuer", issuer);
        }
    }
    if let Some(ProviderShown { metadata, read }) = provider {
        let _ = writeln!(text, "\nThe provider's metadata, {}:", clean(metadata));
        tell_provider(&mut text, read);
    }
    text
}

fn tell_sign_on(text: &mut String, name: &str, urls: &[String]) {
    let last = urls.len().saturating_sub(1);
    for (at, url) in urls.iter().enumerate() {
        let name = if at == 0 { name } else { "" };
        let url = if at == last { format!("{url} (begins at once)") } else { url.clone() };
        line(text, name, &url);
    }
}

fn tell_certificate(text: &mut String, name: &str, shown: &CertificateShown) {
    let file = shown.file.as_deref().unwrap_or_default();
    match (&shown.sha256, &shown.expires) {
        (Some(sha256), Some(expires)) => {
            line(text, name, &format!("{file}, until {}", day(expires)));
            line(text, "", &format!("SHA-256 {sha256}"));
        }
        _ => line(text, name, &format!("{file}: not there yet, the first start makes it")),
    }
}

fn tell_provider(text: &mut String, read: &Read) {
    match read {
        Read::NotFetched { not_read } => line(text, "", not_read),
        Read::Refused { problem } => line(text, "not accepted", problem),
        Read::Facts { entity_id, sign_on, logout, wants_signed_requests, certificates, valid_until } => {
            line(text, "Entity ID", entity_id);
            for (name, endpoints) in [("Sign-on", sign_on), ("Logout", logout)] {
                for (binding, url) in endpoints {
                    line(text, &format!("{name} ({binding})"), url);
                }
            }
            line(text, "Wants signed requests", if *wants_signed_requests { "yes" } else { "no" });
            for shown in certificates {
                let expires = shown.expires.as_deref().map(day).unwrap_or_default();
                let subject = shown.subject.as_deref().unwrap_or_default();
                line(text, "Certificate", &format!("{subject}, until {expires}"));
                line(text, "", &format!("SHA-256 {}", shown.sha256.as_deref().unwrap_or_default()));
            }
            if let Some(until) = valid_until {
                line(text, "Valid until", day(until));
            }
        }
    }
}

/// `2027-01-15` of an RFC 3339 time in UTC.
fn day(time: &str) -> &str {
    time.get(..10).unwrap_or(time)
}

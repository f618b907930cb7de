//! A connector's SAML settings.

use std::path::PathBuf;

use url::Url;

use super::requirement::Requirement;
use super::server::PublicUrl;
use crate::base::client_certificate::ClientCertificate;
use crate::base::email::EmailDomain;

/// `[connectors.<id>]` with `kind = "saml"`, or with `protocol = "saml"`.
#[derive(Clone, Debug)]
pub struct SamlConnector {
    /// Whose attributes they are, with the checks that only that provider needs.
    pub preset: SamlPreset,
    /// Shown on the button, "Log in with NAME". 1 to 60 characters.
    pub name: String,
    /// Where the provider's metadata is.
    pub metadata: MetadataFrom,
    /// The certificate that signs the metadata (PEM or DER file); none: its place vouches for it.
    pub metadata_certificate: Option<PathBuf>,
    /// The provider's entity id, where its metadata holds several; none: the only one there.
    pub idp_entity_id: Option<String>,
    /// Our entity id. Default: the URL of our metadata.
    pub entity_id: String,
    /// Where responses are posted to. Default: `<public_url><prefix>/saml/<id>/acs`.
    pub acs: AcsUrl,
    /// Whether requests are signed; none: where the provider's metadata wants it.
    pub sign_requests: Option<bool>,
    /// How requests travel; none: by redirect where the provider takes it.
    pub request_binding: Option<RequestBinding>,
    /// Assertions that are not encrypted are refused.
    pub want_encrypted: bool,
    /// AES-CBC counts among the ciphers of encrypted assertions (S15). Default: for entra.
    pub allow_aes_cbc: bool,
    /// Responses that answer no request are taken.
    pub allow_idp_initiated: bool,
    /// The format of names that is asked for; none: none is asked for.
    pub name_id_format: Option<String>,
    /// Which attributes say what, over the preset.
    pub attributes: AttributeNames,
    /// What every sign-in must be: `max_age` (0: `ForceAuthn`), `acr` (authentication context classes), for entra `amr`.
    pub requirement: Requirement,
    /// The key that signs requests; none: made in `keys.dir`.
    pub signing: Option<ClientCertificate>,
    /// The key that assertions are encrypted to; none: made in `keys.dir`.
    pub decryption: Option<ClientCertificate>,
}

/// Whose SAML it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SamlPreset {
    /// Microsoft Entra ID.
    Entra {
        /// Tenant ids (lower case) that may sign in; empty: the tenant of the metadata's entity id.
        allowed_tenants: Vec<String>,
    },
    /// Google Workspace.
    Google {
        /// Domains of addresses that may sign in; default: the connector's domains.
        hosted_domains: Vec<EmailDomain>,
    },
    Okta,
    Adfs,
    Keycloak,
    Shibboleth,
    Generic,
}

/// Where metadata comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataFrom {
    /// Read again when it changes.
    File(PathBuf),
    /// Polled.
    Url(Url),
}

/// How a request reaches the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestBinding {
    Redirect,
    Post,
}

/// Our assertion consumer service.
#[derive(Clone, Debug)]
pub struct AcsUrl {
    /// As registered at the provider, and compared with what its responses say, byte by byte.
    pub url: String,
    /// The host that it is on, with its origin.
    pub host: PublicUrl,
    /// Its path there.
    pub path: String,
}

/// Names of attributes, tried in order; empty: the preset's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributeNames {
    pub email: Vec<String>,
    pub name: Vec<String>,
    pub preferred_username: Vec<String>,
    pub groups: Vec<String>,
    pub roles: Vec<String>,
    /// One: the subject must not depend on what arrives.
    pub subject: Option<String>,
}

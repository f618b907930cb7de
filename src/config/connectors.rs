//! `[connectors.<id>]`: the corporate identity providers.

use url::Url;

use super::groups::{self, GroupsFrom};
use super::kinds::{ByOperator, Kind, Protocol};
use super::node::{Node, Value};
use super::problem::Report;
use super::read::{At, Read, section};
use super::renewal::{Mode, Renewal};
use super::requirement::Requirement;
use super::saml::SamlConnector;
use super::saml_keys::RawSaml;
use super::secrets::SecretText;
use super::words::Choice;
use crate::base::client_certificate::ClientCertificate;
use crate::base::email::EmailDomain;
use crate::base::secret::Secret;

/// `[connectors.<id>]`, by its protocol.
#[derive(Clone, Debug)]
pub enum Connector {
    Oidc(Box<OidcConnector>),
    Saml(Box<SamlConnector>),
}

impl Connector {
    /// Shown on the button, "Log in with NAME".
    pub fn name(&self) -> &str {
        match self {
            Self::Oidc(oidc) => &oidc.name,
            Self::Saml(saml) => &saml.name,
        }
    }

    /// What every sign-in must be.
    pub fn requirement(&self) -> &Requirement {
        match self {
            Self::Oidc(oidc) => &oidc.requirement,
            Self::Saml(saml) => &saml.requirement,
        }
    }

    /// How its sessions are renewed. SAML knows nothing of the kind.
    pub fn renewal(&self) -> Renewal {
        match self {
            Self::Oidc(oidc) => oidc.renewal,
            Self::Saml(_) => Renewal::Off,
        }
    }

    /// If it speaks OpenID Connect.
    pub fn oidc(&self) -> Option<&OidcConnector> {
        match self {
            Self::Oidc(oidc) => Some(oidc),
            Self::Saml(_) => None,
        }
    }

    /// If it speaks SAML.
    pub fn saml(&self) -> Option<&SamlConnector> {
        match self {
            Self::Saml(saml) => Some(saml),
            Self::Oidc(_) => None,
        }
    }
}

/// A connector that speaks OpenID Connect.
#[derive(Clone, Debug)]
pub struct OidcConnector {
    /// Which provider, with what only that kind has.
    pub kind: ConnectorKind,
    /// Shown on the button, "Log in with NAME". Default: Microsoft, Google, or the id. 1 to 60 characters.
    pub name: String,
    /// Where discovery starts, without a trailing slash and without `/.well-known/…`. For entra always ending in
    /// `/v2.0`; its tenant segment is in [`ConnectorKind::Entra`]. (`Url` prints an origin alone with a slash.)
    pub issuer: Url,
    /// Our id at the provider.
    pub client_id: String,
    /// None: a public client.
    pub client_secret: Option<Secret>,
    /// The certificate that stands in the secret's place.
    pub client_certificate: Option<ClientCertificate>,
    /// Default `openid`, `profile`, `email`, and for a renewed Entra `offline_access`; `openid` is always there.
    pub scopes: Vec<String>,
    /// The claim that holds the address, where it is not the kind's own.
    pub email_claim: Option<String>,
    /// Default `groups`.
    pub groups_claim: String,
    /// Default: the groups claim.
    pub groups: GroupsFrom,
    /// Default `roles`.
    pub roles_claim: String,
    /// Signature algorithms of ID tokens that are accepted; default RS256 alone. Never `none`, never HMAC.
    pub algorithms: Vec<SigningAlgorithm>,
    /// `prompt` sent with every request, e.g. `select_account`.
    pub prompt: Option<String>,
    /// What every sign-in must be.
    pub requirement: Requirement,
    /// How sessions are renewed; default refresh, for google off.
    pub renewal: Renewal,
    /// Path of the redirect URI; default `<prefix>/oidc/<id>/callback`. No two connectors share one.
    pub callback_path: String,
}

/// The kinds of provider, each with its own checks.
#[derive(Clone, Debug)]
pub enum ConnectorKind {
    /// Microsoft Entra ID.
    Entra {
        /// The tenant segment of the authority: a tenant id (lower case) or domain; or `common`, `organizations`,
        /// `consumers`.
        tenant: String,
        /// Tenant ids (`tid`, lower case) that may sign in; never empty. For a single tenant given by its id: that
        /// one.
        allowed_tenants: Vec<String>,
    },
    /// Google Workspace.
    Google {
        /// Values of `hd` that may sign in; default: the connector's domains. Empty: nobody.
        hosted_domains: Vec<EmailDomain>,
    },
    /// Any other OpenID provider.
    Oidc {
        /// `email_is_verified = "by-operator"`: the operator vouches for the provider's addresses.
        email_is_verified_by_operator: bool,
    },
}

/// Signature algorithms of ID tokens (RFC 7518, RFC 8037).
#[expect(missing_docs, reason = "the names are the registry's")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

section! {
    /// A corporate identity provider, by its id.
    RawConnector {
        /// Required. `entra` (Microsoft Entra ID), `google` (Google Workspace), `oidc` (any other OpenID Connect
        /// provider) or `saml` (any other SAML 2.0 provider).
        kind: Choice<Kind>,
        /// entra, google: the protocol. `saml`: the settings that begin with saml hold, and of the others name, max_age,
        /// acr and those of the kind; the rest is for OpenID Connect alone. Default: `oidc`, and for kind = "saml" that.
        protocol: Choice<Protocol>,
        /// What the sign-in button says after "Log in with". Default: Microsoft, Google, or the id.
        name: String,
        /// The provider's issuer. Required for oidc. For entra the authority as administrators copy it, with or without
        /// `/v2.0`; left out where tenant_id is given. For google `https://accounts.google.com`.
        issuer: String,
        /// entra: the tenant's id, in place of issuer. `common`, `organizations` and `consumers` only with
        /// allowed_tenants. Over SAML the tenant's id alone, and not needed: the metadata names the tenant.
        tenant_id: String,
        /// entra: ids of the tenants whose users may sign in. Default: the tenant, where it is given by its id; over SAML
        /// also where the metadata names it.
        allowed_tenants: Vec<At<String>>,
        /// Required for OpenID Connect: Anteroom's id at the provider.
        client_id: String,
        /// Anteroom's secret at the provider. Without one it is a public client. Better in a file.
        client_secret: SecretText,
        /// A file that holds the secret; read again at each use, so that it can be rotated. Never beside
        /// client_secret.
        client_secret_file: String,
        /// In place of a secret: a PEM file with the certificate that is registered at the provider. Anteroom then
        /// proves who it is with tokens that the certificate's key signs (`private_key_jwt`). Read again when it
        /// changes.
        client_certificate_file: String,
        /// The certificate's private key: PEM without a password, RSA of at least 2048 bits or EC P-256.
        client_key_file: String,
        /// google: Workspace domains whose users may sign in: of the claim `hd`, over SAML of the address. Default: the
        /// connector's domains.
        hosted_domains: Vec<At<String>>,
        /// oidc: `by-operator` says that you vouch for the provider's addresses although it does not mark them as
        /// verified.
        email_is_verified: Choice<ByOperator>,
        /// Scopes asked for; openid is always among them. Default for entra with renewal = "refresh": offline_access
        /// too, without which Entra ID gives no refresh token; people consent to it with the first sign-in in any
        /// case. For oidc add it where the provider gives refresh tokens for it alone (Okta, Auth0, Ping; oidc-provider
        /// with prompt = "consent"), not for Keycloak, whose refresh tokens then outlive the sign-out.
        #[schemars(extend("default" = ["openid", "profile", "email"]))]
        scopes: Vec<At<String>>,
        /// The claim that holds the address. Default: what the kind uses.
        email_claim: String,
        /// The claim that holds the groups.
        #[schemars(extend("default" = "groups"))]
        groups_claim: String,
        /// entra: what happens when somebody is in more groups than a token holds (200), so that it only says that they
        /// are elsewhere. `refuse`: the sign-in is refused. `graph`: Microsoft Graph is asked for all groups of the
        /// person by object id, as in the token: nested ones too, and those without security (Microsoft 365, distribution
        /// lists). `always-graph`: it is asked at every sign-in, for registrations that assert no groups. Graph is asked
        /// in the person's own name, so that Anteroom can read nobody else's groups; the scope for it, `User.Read`, is
        /// added, and has to be consented to. When Graph does not answer, or with more than 10,000 groups, the sign-in is
        /// refused. Default: `refuse`.
        groups_overage: Choice<groups::Overage>,
        /// entra: the origin of Microsoft Graph, for national clouds. Default: `https://graph.microsoft.com`.
        graph_url: String,
        /// google: groups from the Directory API of the Admin SDK, asked for at each sign-in. A group is its e-mail
        /// address; groups that a person is in only through another group are not among them. When they cannot be had,
        /// or are more than 10,000, the sign-in is refused. Left out: no groups.
        directory: groups::RawDirectory,
        /// The claim that holds the roles.
        #[schemars(extend("default" = "roles"))]
        roles_claim: String,
        /// Signature algorithms of ID tokens that are accepted.
        #[schemars(extend("default" = ["RS256"]))]
        algorithms: Vec<At<Choice<SigningAlgorithm>>>,
        /// The provider is asked for this with every sign-in: `login`, `consent`, `select_account`, or several with
        /// blanks between.
        prompt: String,
        /// Every sign-in must rest on a proof (a password, a key) no older than this; the provider is asked for a new
        /// one otherwise. `0s`: a new one with every sign-in. The provider has to send auth_time (for entra an optional
        /// claim of the registration); over SAML it always says when it was.
        max_age: String,
        /// Every sign-in must have one of these authentication context classes (`acr`; over SAML
        /// `AuthnContextClassRef`).
        acr: Vec<At<String>>,
        /// Every sign-in must have used every one of these methods (`amr`), such as `mfa`. Over SAML only entra has it
        /// (`authnmethodsreferences`).
        amr: Vec<At<String>>,
        /// How a session in use is renewed at the provider, so that changed groups take effect and somebody who was
        /// disabled there is signed out. `refresh`: in the background, where the provider gives a refresh token.
        /// `prompt-none`: by a redirect to the provider that shows nothing, on a navigation. `off`: not at all.
        /// Default: refresh; for google off, since Google gives refresh tokens only after a consent page with every
        /// sign-in: that is what `refresh` means there.
        renewal: Choice<Mode>,
        /// With renewal = "prompt-none": how often at most. Default: 15m.
        renewal_interval: String,
        /// The path of the redirect URI, where a registration that exists needs another one. Default:
        /// `<prefix>/oidc/<id>/callback`.
        callback_path: String,
        ..saml: RawSaml,
    }
}

/// A connector whose kind is refused is not looked at further: its keys belong to something else.
#[derive(Debug)]
pub(super) enum MaybeConnector {
    Refused,
    Raw(Box<RawConnector>),
}

impl Read for MaybeConnector {
    fn read(mut node: Node, report: &mut Report) -> Option<Self> {
        if let Value::Table(entries) = &mut node.value
            && let Some(at) = entries.iter().position(|(key, _)| key == "kind")
            && let Some((_, Node { value: Value::Text(kind) | Value::Untyped(kind), .. })) = entries.get(at)
            && Kind::is_another_protocol(kind)
        {
            let (_, kind) = entries.swap_remove(at);
            let _: Option<Choice<Kind>> = Read::read(kind, report);
            return Some(Self::Refused);
        }
        RawConnector::read(node, report).map(|raw| Self::Raw(Box::new(raw)))
    }
}

impl schemars::JsonSchema for MaybeConnector {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawConnector::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawConnector::json_schema(generator)
    }

    fn inline_schema() -> bool {
        true
    }
}

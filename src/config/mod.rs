//! The configuration contract: one file per section, loaded by [`load`](load::load) into types that cannot be wrong.
//!
//! Everything here is the *resolved* form: paths are absolute, defaults are filled in, references between sections
//! hold. Code above this module never checks configuration again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::base::email::EmailDomain;
use crate::base::id::Id;
use crate::base::pattern::PathPattern;
use crate::base::role::RequiredRole;
use crate::base::secret::Secret;

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub server: Server,
    pub ops: Ops,
    pub outgoing: Outgoing,
    pub keys: Keys,
    pub apps: BTreeMap<Id, App>,
    pub connectors: BTreeMap<Id, Connector>,
    pub domains: BTreeMap<EmailDomain, Domain>,
    pub identity: Identity,
    pub sessions: Sessions,
    pub log: Log,
}

/// `[server]`
#[derive(Clone, Debug)]
pub struct Server {
    pub listen: SocketAddr,
    /// The sign-in host. Origin only: no path, query or user info.
    pub public_url: PublicUrl,
    /// Required once there are domains.
    pub environment: Option<Environment>,
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Data-plane threads; default: the CPU quota rounded up, at most 4.
    pub workers: usize,
    /// Own prefix without a trailing slash, default `/.anteroom`.
    pub prefix: String,
}

/// `https://app.example.com`: an origin, and how cookies behave on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    /// `scheme://host[:port]`, normal form, no trailing slash.
    pub origin: String,
    /// The host in lower case without port.
    pub host: String,
    /// The port, the scheme's own if none is written.
    pub port: u16,
    pub https: bool,
    /// `*.localhost` or a loopback address.
    pub loopback: bool,
}

impl PublicUrl {
    /// Whether cookies carry `Secure` and `__Host-`: everywhere but on plain http off loopback
    /// (`server.insecure_http`).
    pub fn secure_cookies(&self) -> bool {
        self.https || self.loopback
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    Production,
    Demo,
}

/// `[ops]`
#[derive(Clone, Debug)]
pub struct Ops {
    pub listen: SocketAddr,
}

/// `[outgoing]`: calls to providers.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    /// Corporate egress proxy, `http://host:port`.
    pub proxy: Option<url::Url>,
    /// Hosts reached without it: names, `.suffixes`, IP addresses, CIDRs.
    pub no_proxy: Vec<String>,
    /// PEM file with roots beside the system's.
    pub ca_file: Option<PathBuf>,
    /// A plain-http provider off loopback is let through.
    pub insecure_http: bool,
}

/// `[keys]`
#[derive(Clone, Debug)]
pub struct Keys {
    pub dir: PathBuf,
}

/// `[apps.<id>]`
#[derive(Clone, Debug)]
pub struct App {
    /// Lower case, without port or trailing dot; default: `public_url`'s host.
    pub hosts: Vec<String>,
    pub upstream: Upstream,
    /// The app's own sign-out path: forwarded, then our session ends too.
    pub sign_out: Option<String>,
    /// First match wins; nothing matches: signed-in, any role.
    pub routes: Vec<Route>,
    pub native: Native,
}

/// `http://host:port`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    pub host: String,
    pub port: u16,
}

/// One entry of `apps.<id>.routes`.
#[derive(Clone, Debug)]
pub struct Route {
    pub path: PathPattern,
    /// Upper-case methods; empty: all. Exact: `GET` does not include `HEAD`.
    pub methods: Vec<http::Method>,
    pub access: Access,
    pub role: RequiredRole,
    /// What happens to an `Authorization` header that is not ours, on other than native routes.
    pub authorization: Authorization,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    SignedIn,
    Public,
    Native,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Authorization {
    #[default]
    Drop,
    Keep,
}

/// `[apps.<id>.native]`
#[derive(Clone, Debug)]
pub struct Native {
    pub challenge: NativeChallenge,
    /// Header names that carry an API key of the app.
    pub api_key_headers: Vec<http::HeaderName>,
}

/// The answer to a native request without a credential and without Sec-Fetch headers.
#[derive(Clone, Debug)]
pub enum NativeChallenge {
    /// 401 with this `WWW-Authenticate`; default `Basic realm="<app id>"`.
    Header(http::HeaderValue),
    /// `"ask-app"`: the app answers.
    AskApp,
}

/// `[connectors.<id>]`, of one of the OIDC kinds.
#[derive(Clone, Debug)]
pub struct Connector {
    pub kind: ConnectorKind,
    /// Shown on the button, "Log in with NAME". Default: Microsoft, Google, or the id.
    pub name: String,
    /// Where discovery starts, without a trailing slash and without `/.well-known/…`. For entra always ending in
    /// `/v2.0`; its tenant segment is in [`ConnectorKind::Entra`].
    pub issuer: url::Url,
    pub client_id: String,
    /// None: a public client.
    pub client_secret: Option<Secret>,
    /// Default `openid`, `profile`, `email`; `openid` is always there.
    pub scopes: Vec<String>,
    pub email_claim: Option<String>,
    /// Default `groups`.
    pub groups_claim: String,
    /// Default `roles`.
    pub roles_claim: String,
    /// Signature algorithms of ID tokens that are accepted; default RS256 alone. Never `none`, never HMAC.
    pub algorithms: Vec<SigningAlgorithm>,
    /// `prompt` sent with every request, e.g. `select_account`.
    pub prompt: Option<String>,
    /// Path of the redirect URI; default `<prefix>/oidc/<id>/callback`.
    pub callback_path: String,
}

#[derive(Clone, Debug)]
pub enum ConnectorKind {
    Entra {
        /// The tenant segment of the authority: a tenant id or domain; or `common`, `organizations`.
        tenant: String,
        /// Tenant ids (`tid`) that may sign in. For a single tenant given by its id: that one.
        allowed_tenants: Vec<String>,
    },
    Google {
        /// Values of `hd` that may sign in; default: the connector's domains.
        hosted_domains: Vec<EmailDomain>,
    },
    Oidc {
        /// `email_is_verified = "by-operator"`: the operator vouches for the provider's addresses.
        email_is_verified_by_operator: bool,
    },
}

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

/// `[domains."acme.com"]`
#[derive(Clone, Debug)]
pub struct Domain {
    pub connector: Id,
    pub environment: Environment,
}

/// `[identity]`
#[derive(Clone, Debug)]
pub struct Identity {
    pub presets: Vec<HeaderPreset>,
    pub custom: Vec<CustomHeader>,
    /// None: `assertion = { enabled = false }`.
    pub assertion: Option<Assertion>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderPreset {
    /// `X-Forwarded-User`, `-Email`, `-Groups`, `-Preferred-Username`
    XForwarded,
    /// `X-Auth-Request-User`, `-Email`, `-Groups`, `-Preferred-Username`
    XAuthRequest,
    /// `Remote-User`, `-Groups`, `-Name`, `-Email`
    Remote,
}

/// `{ name = "X-Mail", value = "{email}" }`: fixed text with fields of the identity in braces.
#[derive(Clone, Debug)]
pub struct CustomHeader {
    pub name: http::HeaderName,
    pub value: Vec<TemplatePart>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplatePart {
    Text(String),
    Field(IdentityField),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityField {
    User,
    Email,
    PreferredUsername,
    Name,
    Groups,
    Role,
    Connector,
    Subject,
}

/// `identity.assertion`
#[derive(Clone, Debug)]
pub struct Assertion {
    /// Default `X-Anteroom-Assertion`.
    pub header: http::HeaderName,
    /// Default 60 s; 10 s to 10 min.
    pub lifetime: Duration,
}

/// `[sessions]`
#[derive(Clone, Debug)]
pub struct Sessions {
    pub idle_timeout: Duration,
    pub absolute_timeout: Duration,
    pub same_site: SameSite,
}

pub use crate::base::cookie::SameSite;

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// Default json.
    pub format: LogFormat,
    /// `error`, `warn`, `info` (default), `debug`, `trace`, or a tracing filter.
    pub level: String,
    /// A line per request; default true.
    pub access: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Json,
    Text,
}

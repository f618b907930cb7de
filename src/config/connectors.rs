//! `[connectors.<id>]`: the corporate identity providers.

use std::collections::BTreeMap;

use url::Url;

use super::connector_values::{ISSUER, SCOPE, issuer_url, plain_text, prompt};
use super::groups::{self, GroupsFrom};
use super::kinds::{ByOperator, KINDS, Kind, unvouched};
use super::node::{Node, Value};
use super::parse::{Context, duplicate, fixed_path, is_plain_http_off_loopback, wrong};
use super::problem::{Place, Report};
use super::read::{At, Field, Keyed, Read, section};
use super::secrets::SecretText;
use super::words::Choice;
use super::{entra, secrets};
use crate::base::email::EmailDomain;
use crate::base::id::Id;
use crate::base::secret::Secret;

/// `[connectors.<id>]`, of one of the OIDC kinds.
#[derive(Clone, Debug)]
pub struct Connector {
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
    /// Default `openid`, `profile`, `email`; `openid` is always there.
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
        /// Required. `entra` (Microsoft Entra ID), `google` (Google Workspace) or `oidc` (any other OpenID Connect
        /// provider).
        kind: Choice<Kind>,
        /// What the sign-in button says after "Log in with". Default: Microsoft, Google, or the id.
        name: String,
        /// The provider's issuer. Required for oidc. For entra the authority as administrators copy it, with or without
        /// `/v2.0`; left out where tenant_id is given. For google `https://accounts.google.com`.
        issuer: String,
        /// entra: the tenant's id, in place of issuer. `common`, `organizations` and `consumers` only with
        /// allowed_tenants.
        tenant_id: String,
        /// entra: ids of the tenants whose users may sign in. Default: the tenant, where it is given by its id.
        allowed_tenants: Vec<At<String>>,
        /// Required. Anteroom's id at the provider.
        client_id: String,
        /// Anteroom's secret at the provider. Without one it is a public client. Better in a file.
        client_secret: SecretText,
        /// A file that holds the secret; read again at each use, so that it can be rotated. Never beside
        /// client_secret.
        client_secret_file: String,
        /// google: Workspace domains (`hd`) whose users may sign in. Default: the connector's domains.
        hosted_domains: Vec<At<String>>,
        /// oidc: `by-operator` says that you vouch for the provider's addresses although it does not mark them as
        /// verified.
        email_is_verified: Choice<ByOperator>,
        /// Scopes asked for; openid is always among them.
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
        /// The path of the redirect URI, where a registration that exists needs another one. Default:
        /// `<prefix>/oidc/<id>/callback`.
        callback_path: String,
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

/// What connectors must fit to.
pub(super) struct Surroundings<'a> {
    pub(super) prefix: Option<&'a str>,
    pub(super) insecure_http: bool,
    /// Which connector each domain names.
    pub(super) domains: &'a [(EmailDomain, String)],
    /// Own-looking paths that are the application's: its sign-out paths.
    pub(super) sign_outs: Vec<&'a str>,
}

pub(super) fn resolve(
    raw: Field<Keyed<MaybeConnector>>,
    root: &Place,
    around: &Surroundings<'_>,
    cx: &mut Context<'_>,
) -> Option<BTreeMap<Id, Connector>> {
    let Keyed(entries) = raw.or_else(Keyed::default)?;
    if entries.is_empty() {
        cx.report.warn(&root.child("connectors"), "there are none, so nobody can sign in");
    }
    let count = entries.len();
    let mut connectors: BTreeMap<Id, Connector> = BTreeMap::new();
    for entry in entries {
        let id =
            entry.key.parse::<Id>().map_err(|e| cx.report.problem(&entry.place, wrong(&entry.key, &e.to_string())));
        let (Ok(id), Some(MaybeConnector::Raw(raw))) = (id, entry.value) else { continue };
        if around.domains.iter().all(|(_, connector)| connector != id.as_str()) {
            cx.report.warn(&entry.place, "no domain names it, so nobody can sign in with it");
        }
        let callback = raw.callback_path.set().map_or_else(|| entry.place.clone(), |at| at.place.clone());
        let Some(connector) = Resolving { id: &id, place: &entry.place, around, cx }.resolve(*raw) else { continue };
        if let Some((other, _)) = connectors.iter().find(|(_, c)| c.callback_path == connector.callback_path) {
            let text = format!(
                "found the callback path {:?}, which connectors.{other} has already; allowed: one of its own, so that \
                 an answer cannot be taken for another provider's",
                connector.callback_path
            );
            cx.report.problem(&callback, text);
        }
        connectors.insert(id, connector);
    }
    (connectors.len() == count).then_some(connectors)
}

struct Resolving<'a, 'b, 'c> {
    id: &'a Id,
    place: &'a Place,
    around: &'a Surroundings<'b>,
    cx: &'a mut Context<'c>,
}

const GOOGLE: &str = "https://accounts.google.com";

impl Resolving<'_, '_, '_> {
    fn resolve(mut self, raw: RawConnector) -> Option<Connector> {
        let id = self.id.as_str();
        let known = raw.kind.set().map(|at| at.value.0);
        if let Some(kind) = known {
            self.refuse_keys_of_other_kinds(kind, &raw);
        }
        let issuer_place = raw.issuer.set().map_or_else(|| self.place.child("issuer"), |at| at.place.clone());
        let kind_and_issuer = match known {
            Some(Kind::Entra) => entra::resolve(raw.issuer, raw.tenant_id, raw.allowed_tenants, self.place, self.cx),
            Some(Kind::Google) => self.google(raw.issuer, raw.hosted_domains),
            Some(Kind::Oidc) => self.oidc(raw.issuer, raw.email_is_verified),
            None => {
                raw.kind.required(self.place, "kind", KINDS, self.cx.report);
                None
            }
        };
        if let Some((_, issuer)) = &kind_and_issuer
            && is_plain_http_off_loopback(issuer)
            && !self.around.insecure_http
        {
            let text = format!(
                "found {:?}, plain http off loopback; allowed: https, or for a test outgoing.insecure_http = \
                 \"yes-for-testing-only\"",
                issuer.as_str()
            );
            self.cx.report.problem(&issuer_place, text);
        }
        let client_id = raw.client_id.parse(self.cx.report, |text| plain_text(text, 255));
        let client_id =
            client_id.required(self.place, "client_id", "allowed: the id the provider gave", self.cx.report);
        let client_secret = secrets::resolve("client_secret", raw.client_secret, raw.client_secret_file, self.cx);
        if let (Some(None), Some(Kind::Google)) = (&client_secret, known) {
            let text = "Google's web clients have a secret; without one sign-ins will be refused by Google";
            self.cx.report.warn(&self.place.child("client_secret_file"), text);
        }
        let groups = groups::Raw { overage: raw.groups_overage, graph_url: raw.graph_url, directory: raw.directory };
        let groups = groups.resolve(known, self.place, self.around.insecure_http, self.cx);
        let mut scopes = self.scopes(raw.scopes);
        if let (Some(scopes), Some(groups)) = (&mut scopes, &groups) {
            groups::complete_scopes(scopes, groups);
        }
        let algorithms = self.algorithms(raw.algorithms);
        let report = &mut *self.cx.report;
        let default_name = || match known {
            Some(Kind::Entra) => String::from("Microsoft"),
            Some(Kind::Google) => String::from("Google"),
            Some(Kind::Oidc) | None => id.to_owned(),
        };
        let name = raw.name.parse(report, |text| plain_text(text, 60)).or_else(default_name);
        let email_claim_place = raw.email_claim.set().map(|at| at.place.clone());
        let email_claim = raw.email_claim.parse(report, |text| plain_text(text, 255)).optional();
        let groups_claim = raw.groups_claim.parse(report, |text| plain_text(text, 255)).or_else(|| "groups".to_owned());
        let roles_claim = raw.roles_claim.parse(report, |text| plain_text(text, 255)).or_else(|| "roles".to_owned());
        let prompt = raw.prompt.parse(report, |text| prompt(text)).optional();
        let callback_path = self.callback_path(raw.callback_path);
        let (kind, issuer) = kind_and_issuer?;
        if let (Some(place), Some(Some(claim))) = (email_claim_place, &email_claim)
            && let Some(text) = unvouched(&kind, claim)
        {
            self.cx.report.problem(&place, text);
        }
        Some(Connector {
            kind,
            name: name?,
            issuer,
            client_id: client_id?,
            client_secret: client_secret?,
            scopes: scopes?,
            email_claim: email_claim?,
            groups_claim: groups_claim?,
            groups: groups?,
            roles_claim: roles_claim?,
            algorithms: algorithms?,
            prompt: prompt?,
            callback_path: callback_path?,
        })
    }

    fn google(
        &mut self,
        issuer: Field<String>,
        hosted_domains: Field<Vec<At<String>>>,
    ) -> Option<(ConnectorKind, Url)> {
        let issuer = issuer.parse(self.cx.report, |text| issuer_url(text)).optional();
        let hosted_domains = hosted_domains.parse_each(self.cx.report, |text| {
            text.parse::<EmailDomain>().map_err(|_| wrong(text, "allowed: a domain such as \"example.com\""))
        });
        let domains = self.around.domains.iter();
        let own = || domains.filter(|(_, c)| c == self.id.as_str()).map(|(domain, _)| domain.clone()).collect();
        let hosted_domains = hosted_domains.values_or(own)?;
        let issuer = match issuer? {
            Some(issuer) => issuer,
            None => Url::parse(GOOGLE).ok()?,
        };
        Some((ConnectorKind::Google { hosted_domains }, issuer))
    }

    fn oidc(&mut self, issuer: Field<String>, verified: Field<Choice<ByOperator>>) -> Option<(ConnectorKind, Url)> {
        let issuer = issuer.parse(self.cx.report, |text| issuer_url(text));
        let issuer = issuer.required(self.place, "issuer", ISSUER, self.cx.report);
        let email_is_verified_by_operator = verified.optional()?.is_some();
        Some((ConnectorKind::Oidc { email_is_verified_by_operator }, issuer?))
    }

    /// A key that another kind has would be read by nobody: as bad as an unknown one.
    fn refuse_keys_of_other_kinds(&mut self, kind: Kind, raw: &RawConnector) {
        let keys = [
            (Kind::Entra, "tenant_id", raw.tenant_id.set().map(|at| &at.place)),
            (Kind::Entra, "allowed_tenants", raw.allowed_tenants.set().map(|at| &at.place)),
            (Kind::Google, "hosted_domains", raw.hosted_domains.set().map(|at| &at.place)),
            (Kind::Oidc, "email_is_verified", raw.email_is_verified.set().map(|at| &at.place)),
        ];
        for (owner, key, place) in keys.into_iter().chain(groups::places(raw)) {
            if let (Some(place), true) = (place, owner != kind) {
                let text = format!(
                    "{key} belongs to kind = {:?}, and this connector is kind = {:?}; remove it",
                    owner.word(),
                    kind.word()
                );
                self.cx.report.problem(place, text);
            }
        }
    }

    /// RFC 6749 section 3.3.
    fn scopes(&mut self, raw: Field<Vec<At<String>>>) -> Option<Vec<String>> {
        let scopes = raw.parse_each(self.cx.report, |text| {
            let allowed = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            if !text.is_empty() && text.bytes().all(allowed) { Ok(text.clone()) } else { Err(wrong(text, SCOPE)) }
        });
        if let Some(twice) = scopes.set().and_then(|at| duplicate(&at.value)) {
            self.cx.report.problem(&twice.place, format!("found {:?} twice; once is enough", twice.value));
        }
        let mut scopes = scopes.values_or(|| ["openid", "profile", "email"].map(String::from).to_vec())?;
        if scopes.iter().all(|scope| scope != "openid") {
            scopes.insert(0, String::from("openid"));
        }
        Some(scopes)
    }

    fn algorithms(&mut self, raw: Field<Vec<At<Choice<SigningAlgorithm>>>>) -> Option<Vec<SigningAlgorithm>> {
        if let Some(at) = raw.set()
            && at.value.is_empty()
        {
            let text = "found an empty list, so every token would be refused; leave algorithms out for RS256";
            self.cx.report.problem(&at.place, text);
        }
        let mut algorithms = Vec::new();
        for item in raw.optional()?.unwrap_or_default() {
            let Choice(algorithm) = item.value;
            if !algorithms.contains(&algorithm) {
                algorithms.push(algorithm);
            }
        }
        Some(if algorithms.is_empty() { vec![SigningAlgorithm::RS256] } else { algorithms })
    }

    fn callback_path(&mut self, raw: Field<String>) -> Option<String> {
        let default = self.around.prefix.map(|prefix| format!("{prefix}/oidc/{}/callback", self.id));
        let parsed = raw.parse(self.cx.report, |text| {
            fixed_path(text)?;
            let below = |p: &str| text.strip_prefix(p).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            if self.around.prefix.is_some_and(below) && Some(text) != default.as_ref() {
                let default = default.as_deref().unwrap_or_default();
                return Err(wrong(
                    text,
                    &format!(
                        "Anteroom has other pages below its prefix; allowed: {default:?}, or a \
                                                 path outside the prefix"
                    ),
                ));
            }
            if self.around.sign_outs.contains(&text.as_str()) {
                return Err(wrong(text, "that is an app's sign_out; allowed: a path of its own"));
            }
            Ok(text.clone())
        });
        match parsed.optional()? {
            Some(path) => Some(path),
            None => default,
        }
    }
}

//! From the raw connectors to those that hold.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use super::apps::App;
use super::connector_values::{CLIENT_CERTIFICATE, ISSUER, certificate_and_key, issuer_url, plain_text, prompt};
use super::connectors::{Connector, ConnectorKind, MaybeConnector, OidcConnector, RawConnector, SigningAlgorithm};
use super::kinds::{ByOperator, KINDS, Kind, Protocol, unvouched};
use super::parse::{Context, fixed_path, is_plain_http_off_loopback, wrong};
use super::problem::Place;
use super::read::{At, Field, Keyed};
use super::renewal::Renewal;
use super::server::PublicUrl;
use super::words::Choice;
use super::{connector_keys, entra, groups, renewal, requirement, saml_resolve, secrets};
use crate::base::email::EmailDomain;
use crate::base::id::Id;

/// What connectors must fit to. `None`: not known, because it was reported.
pub(super) struct Surroundings<'a> {
    pub(super) public_url: Option<&'a PublicUrl>,
    pub(super) prefix: Option<&'a str>,
    /// Providers may be reached by plain http off loopback.
    pub(super) insecure_http: bool,
    /// Which connector each domain names.
    pub(super) domains: &'a [(EmailDomain, String)],
    pub(super) apps: Option<&'a BTreeMap<Id, App>>,
}

impl Surroundings<'_> {
    fn apps(&self) -> impl Iterator<Item = &App> {
        self.apps.into_iter().flat_map(BTreeMap::values)
    }

    /// The origin that a host of ours has already.
    pub(super) fn origin_of(&self, host: &str) -> Option<&str> {
        let urls = self.public_url.into_iter().chain(self.apps().filter_map(|app| app.public_url.as_ref()));
        urls.into_iter().find(|url| url.host == host).map(|url| url.origin.as_str())
    }

    /// What is wrong with a path of ours outside the usual place, `default`. `host`: where it is; none: on any.
    pub(super) fn check_own_path(
        &self,
        text: &str,
        path: &str,
        host: Option<&str>,
        default: &str,
    ) -> Result<(), String> {
        let below = |p: &str| path.strip_prefix(p).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if self.prefix.is_some_and(below) && path != default {
            let allowed = format!("allowed: {default:?}, or a path outside the prefix");
            return Err(wrong(text, &format!("Anteroom has other pages below its prefix; {allowed}")));
        }
        let mut apps = self.apps().filter(|app| host.is_none_or(|host| app.hosts.iter().any(|known| known == host)));
        if apps.any(|app| app.sign_out.as_deref() == Some(path)) {
            return Err(wrong(text, "that is an app's sign_out; allowed: a path of its own"));
        }
        Ok(())
    }
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
        let callback_place = raw.callback_path.place_in(&entry.place, "callback_path");
        let acs_place = raw.saml.acs_url.place_in(&entry.place, "acs_url");
        let Some(connector) = Resolving { id: &id, place: &entry.place, around, cx }.resolve(*raw) else { continue };
        let place = if connector.saml().is_some() { acs_place } else { callback_place };
        for (other_id, other) in &connectors {
            if let Some(text) = clash(&connector, other_id, other, around) {
                cx.report.problem(&place, text);
            }
            if indistinct(&connector, other) {
                let text = format!(
                    "connectors.{other_id} has it too, with the same provider: what that sends unasked (a tile, \"Test this \
                     application\") could be for either, and is refused; sign-ins that begin here work"
                );
                cx.report.warn(&place, text);
            }
        }
        connectors.insert(id, connector);
    }
    (connectors.len() == count).then_some(connectors)
}

/// Whether the two have one assertion consumer service and, as far as the settings say, one provider.
fn indistinct(connector: &Connector, other: &Connector) -> bool {
    connector.saml().zip(other.saml()).is_some_and(|(mine, theirs)| {
        let named = mine.idp_entity_id.is_some() && mine.idp_entity_id == theirs.idp_entity_id;
        mine.acs.url == theirs.acs.url && (named || mine.metadata == theirs.metadata)
    })
}

/// Why answers of the two could be taken for one another's.
fn clash(connector: &Connector, other_id: &Id, other: &Connector, around: &Surroundings<'_>) -> Option<String> {
    fn answered_at<'a>(connector: &'a Connector, around: &'a Surroundings<'_>) -> (Option<&'a str>, &'a str) {
        match connector {
            Connector::Oidc(oidc) => (around.public_url.map(|url| url.host.as_str()), &oidc.callback_path),
            Connector::Saml(saml) => (Some(&saml.acs.host.host), &saml.acs.path),
        }
    }
    let (mine, theirs) = (answered_at(connector, around), answered_at(other, around));
    // One registration of another product may be in many tenants. Their answers are told apart by the attempt that they
    // answer, and each is judged by the keys of the provider that was asked.
    let both_saml = connector.saml().zip(other.saml());
    let share = both_saml.is_some_and(|(mine, theirs)| mine.acs.url == theirs.acs.url);
    if mine == theirs && !share {
        let what = if connector.saml().is_some() { "path" } else { "callback path" };
        let or = if both_saml.is_some() { ", or the same acs_url to the letter" } else { "" };
        return Some(format!(
            "found the {what} {:?}, which connectors.{other_id} has already; allowed: one of its own{or}, so that an \
             answer cannot be taken for another provider's",
            mine.1
        ));
    }
    let (acs, other) = (&connector.saml()?.acs.host, &other.saml()?.acs.host);
    (acs.host == other.host && acs.origin != other.origin).then(|| {
        format!(
            "found the origin {:?}, and connectors.{other_id} has {:?} on that host; a host has one origin; allowed: \
             that one, or another host",
            acs.origin, other.origin
        )
    })
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
        let protocol = connector_keys::protocol(&raw, self.cx.report);
        match protocol {
            Protocol::Oidc => self.oidc_connector(raw).map(|oidc| Connector::Oidc(Box::new(oidc))),
            Protocol::Saml => {
                let Self { id, place, around, cx } = self;
                saml_resolve::resolve(raw, id, place, around, cx).map(|saml| Connector::Saml(Box::new(saml)))
            }
        }
    }

    fn oidc_connector(&mut self, raw: RawConnector) -> Option<OidcConnector> {
        let id = self.id.as_str();
        let known = raw.kind.set().map(|at| at.value.0);
        let issuer_place = raw.issuer.place_in(self.place, "issuer");
        let kind_and_issuer = match known {
            Some(Kind::Entra) => entra::resolve(raw.issuer, raw.tenant_id, raw.allowed_tenants, self.place, self.cx),
            Some(Kind::Google) => self.google(raw.issuer, raw.hosted_domains),
            Some(Kind::Oidc) => self.oidc(raw.issuer, raw.email_is_verified),
            Some(Kind::Saml) | None => {
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
        let has_secret = raw.client_secret.is_written() || raw.client_secret_file.is_written();
        if let (true, Some(at)) = (has_secret, raw.client_certificate_file.set().or(raw.client_key_file.set())) {
            let text = "there is a client secret too; allowed: one of the two";
            self.cx.report.problem(&at.place, text);
        }
        let client_certificate = certificate_and_key(
            raw.client_certificate_file,
            raw.client_key_file,
            CLIENT_CERTIFICATE,
            self.place,
            self.cx,
        );
        let client_secret = secrets::resolve("client_secret", raw.client_secret, raw.client_secret_file, self.cx);
        if let (Some(None), Some(None), Some(Kind::Google)) = (&client_secret, &client_certificate, known) {
            let text = "Google's web clients have a secret; without one sign-ins will be refused by Google";
            self.cx.report.warn(&self.place.child("client_secret_file"), text);
        }
        let renewal = renewal::resolve(known, raw.renewal, raw.renewal_interval, self.cx);
        let groups = groups::Raw { overage: raw.groups_overage, graph_url: raw.graph_url, directory: raw.directory };
        let groups = groups.resolve(known, self.place, self.around.insecure_http, self.cx);
        let mut scopes = renewal::scopes(known, renewal, raw.scopes, self.place, self.cx);
        if let (Some(scopes), Some(groups)) = (&mut scopes, &groups) {
            groups::complete_scopes(scopes, groups);
        }
        let max_age_place = raw.max_age.set().map(|at| at.place.clone());
        let requirement = requirement::resolve(raw.max_age, raw.acr, raw.amr, Duration::ZERO, self.cx);
        if let (Some(Renewal::PromptNone { .. }), Some(requirement), Some(place)) =
            (renewal, &requirement, max_age_place)
            && requirement.max_age.is_some_and(|age| age.is_zero())
        {
            let text = "found \"0s\": the provider has to ask the person each time, and renewal = \"prompt-none\" forbids \
                        it to; change one of the two";
            self.cx.report.problem(&place, text);
        }
        let algorithms = self.algorithms(raw.algorithms);
        let report = &mut *self.cx.report;
        let default_name = || match known {
            Some(Kind::Entra) => String::from("Microsoft"),
            Some(Kind::Google) => String::from("Google"),
            Some(Kind::Oidc | Kind::Saml) | None => id.to_owned(),
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
        Some(OidcConnector {
            kind,
            name: name?,
            issuer,
            client_id: client_id?,
            client_secret: client_secret?,
            client_certificate: client_certificate?,
            scopes: scopes?,
            email_claim: email_claim?,
            groups_claim: groups_claim?,
            groups: groups?,
            roles_claim: roles_claim?,
            algorithms: algorithms?,
            prompt: prompt?,
            requirement: requirement?,
            renewal: renewal?,
            callback_path: callback_path?,
        })
    }

    fn google(
        &mut self,
        issuer: Field<String>,
        hosted_domains: Field<Vec<At<String>>>,
    ) -> Option<(ConnectorKind, Url)> {
        let issuer = issuer.parse(self.cx.report, |text| issuer_url(text)).optional();
        let hosted_domains = hosted_domains_of(hosted_domains, self.id, self.around, self.cx)?;
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
            self.around.check_own_path(text, text, None, default.as_deref().unwrap_or_default())?;
            Ok(text.clone())
        });
        match parsed.optional()? {
            Some(path) => Some(path),
            None => default,
        }
    }
}

/// google: the domains whose people may sign in; default: the connector's.
pub(super) fn hosted_domains_of(
    raw: Field<Vec<At<String>>>,
    id: &Id,
    around: &Surroundings<'_>,
    cx: &mut Context<'_>,
) -> Option<Vec<EmailDomain>> {
    let parsed = raw.parse_each(cx.report, |text| {
        text.parse::<EmailDomain>().map_err(|_| wrong(text, "allowed: a domain such as \"example.com\""))
    });
    let domains = around.domains.iter();
    parsed.values_or(|| domains.filter(|(_, c)| c == id.as_str()).map(|(domain, _)| domain.clone()).collect())
}

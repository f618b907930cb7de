//! From the raw connectors to those that hold.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use super::connector_values::{ISSUER, client_certificate, issuer_url, plain_text, prompt};
use super::connectors::{Connector, ConnectorKind, MaybeConnector, OidcConnector, RawConnector, SigningAlgorithm};
use super::kinds::{ByOperator, KINDS, Kind, unvouched};
use super::parse::{Context, fixed_path, is_plain_http_off_loopback, wrong};
use super::problem::Place;
use super::read::{At, Field, Keyed};
use super::renewal::Renewal;
use super::words::Choice;
use super::{entra, groups, renewal, requirement, secrets};
use crate::base::email::EmailDomain;
use crate::base::id::Id;

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
        let path = |connector: &Connector| match connector {
            Connector::Oidc(oidc) => oidc.callback_path.clone(),
            Connector::Saml(saml) => saml.acs.path.clone(),
        };
        let mine = path(&connector);
        if let Some((other, _)) = connectors.iter().find(|(_, other)| path(other) == mine) {
            let text = format!(
                "found the callback path {mine:?}, which connectors.{other} has already; allowed: one of its own, so that \
                 an answer cannot be taken for another provider's"
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
        let has_secret = raw.client_secret.is_written() || raw.client_secret_file.is_written();
        if let (true, Some(at)) = (has_secret, raw.client_certificate_file.set().or(raw.client_key_file.set())) {
            let text = "there is a client secret too; allowed: one of the two";
            self.cx.report.problem(&at.place, text);
        }
        let client_certificate =
            client_certificate(raw.client_certificate_file, raw.client_key_file, self.place, self.cx);
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
        Some(Connector::Oidc(Box::new(OidcConnector {
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
        })))
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

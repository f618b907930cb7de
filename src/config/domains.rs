//! `[domains."acme.com"]`: which connector signs in the users of an e-mail domain.

use std::collections::BTreeMap;

use super::parse::wrong;
use super::problem::{Place, Report, hint};
use super::read::{At, Field, Keyed, section};
use super::server::Environment;
use super::words::Choice;
use crate::base::email::EmailDomain;
use crate::base::id::Id;

/// `[domains."acme.com"]`
#[derive(Clone, Debug)]
pub struct Domain {
    /// A connector of the configuration.
    pub connector: Id,
    /// One of the other environment than `server.environment` is treated as not enabled (design R7).
    pub environment: Environment,
}

section! {
    /// An e-mail domain, by its name.
    RawDomain {
        /// Required. The id of the connector that signs its users in.
        connector: String,
        /// Required. The environment it is enabled in; an Anteroom of the other one treats it as not enabled.
        environment: Choice<Environment>,
    }
}

/// Each domain that holds and the connector it names, for connectors that want to know their domains.
pub(super) fn connectors(raw: &Field<Keyed<RawDomain>>) -> Vec<(EmailDomain, String)> {
    let entries = raw.set().map(|at| at.value.0.as_slice()).unwrap_or_default();
    let named = |raw: &RawDomain| raw.connector.set().map(|at| at.value.clone());
    entries.iter().filter_map(|e| Some((e.key.parse().ok()?, e.value.as_ref().and_then(named)?))).collect()
}

/// `connectors`: the ids that are written, also of connectors that do not hold. `environment`: the server's, and where
/// it stands or is missing; outer `None` if it was reported.
pub(super) fn resolve(
    raw: Field<Keyed<RawDomain>>,
    root: &Place,
    connectors: &[String],
    environment: &At<Option<Option<Environment>>>,
    report: &mut Report,
) -> Option<BTreeMap<EmailDomain, Domain>> {
    let Keyed(entries) = raw.or_else(Keyed::default)?;
    if entries.is_empty() {
        report.warn(&root.child("domains"), "there are none, so nobody can sign in");
    } else if environment.value == Some(None) {
        let text =
            "missing, and there are domains; allowed: \"production\" or \"demo\", whichever this Anteroom serves";
        report.problem(&environment.place, text);
    }
    let count = entries.len();
    let mut domains: BTreeMap<EmailDomain, Domain> = BTreeMap::new();
    for entry in entries {
        let name = entry.key.parse::<EmailDomain>();
        if name.is_err() {
            let text =
                wrong(&entry.key, "allowed: an e-mail domain such as \"acme.com\", in one script and without '@'");
            report.problem(&entry.place, text);
        }
        let domain = entry.value.and_then(|raw| raw.resolve(&entry.place, connectors, report));
        let (Ok(name), Some(domain)) = (name, domain) else { continue };
        if environment.value.flatten().is_some_and(|ours| ours != domain.environment) {
            let text = "belongs to the other environment than server.environment: it is treated as not enabled here";
            report.warn(&entry.place, text);
        }
        if domains.contains_key(&name) {
            let text = format!("duplicate key; the domain {name} is already there in another spelling");
            report.problem(&entry.place, text);
        }
        domains.insert(name, domain);
    }
    (domains.len() == count).then_some(domains)
}

impl RawDomain {
    fn resolve(self, place: &Place, connectors: &[String], report: &mut Report) -> Option<Domain> {
        let connector = self.connector.parse(report, |text| {
            let known = connectors.iter().map(String::as_str);
            match text.parse::<Id>() {
                Ok(id) if connectors.contains(text) => Ok(id),
                _ if connectors.is_empty() => Err(wrong(text, "no connector is configured; allowed: the id of one")),
                Ok(_) | Err(_) => Err(format!("found {text:?}, and no connector is called that{}", hint(text, known))),
            }
        });
        let connector = connector.required(place, "connector", "allowed: the id of a connector", report);
        let allowed = "allowed: \"production\" or \"demo\"";
        let environment = self.environment.required(place, "environment", allowed, report);
        Some(Domain { connector: connector?, environment: environment?.0 })
    }
}

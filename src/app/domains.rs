//! E-mail domains as commands see them: what the configuration says, and the directory over it.

use std::collections::{BTreeMap, BTreeSet};

use crate::admin::DomainView;
use crate::base::clock::Timestamp;
use crate::base::email::EmailDomain;
use crate::base::id::Id;
use crate::config::Config;
use crate::directory::{SwitchKind, Switchboard};

/// The configuration's domains.
pub(super) struct Domains {
    /// Each with its connector, and whether it is of this environment.
    configured: BTreeMap<EmailDomain, (Id, bool)>,
}

impl Domains {
    pub(super) fn new(config: &Config) -> Self {
        let here = |environment| config.server.environment == Some(environment);
        let domains = config.domains.iter();
        let configured = domains.map(|(name, d)| (name.clone(), (d.connector.clone(), here(d.environment))));
        Self { configured: configured.collect() }
    }

    /// All that are known, by name.
    pub(super) fn views(&self, switchboard: &Switchboard, now: Timestamp) -> Vec<DomainView> {
        let names: BTreeSet<EmailDomain> = switchboard.domains().into_iter().chain(self.names().cloned()).collect();
        names.iter().map(|name| self.view(name, switchboard, now)).collect()
    }

    /// One of them, or one of which nothing is known.
    pub(super) fn view(&self, name: &EmailDomain, switchboard: &Switchboard, now: Timestamp) -> DomainView {
        let configured = self.configured.get(name);
        let here = configured.filter(|(_, here)| *here).map(|(connector, _)| connector);
        let on = !switchboard.is_off(SwitchKind::Domain, name.as_str());
        let cut_over = switchboard.cut_over(name);
        let connector = here.map(Id::to_string);
        let mut view = DomainView::new(name, configured.is_some(), connector, on, cut_over.as_deref(), now);
        match (configured, here) {
            (None, _) => view.notes.push(format!(
                "the configuration has no [domains.\"{name}\"] yet; until it has, its people sign in as they do now"
            )),
            (Some(_), None) => {
                view.notes.push("it belongs to the other environment: it is not enabled here".to_owned());
            }
            (Some(_), Some(connector)) if switchboard.is_off(SwitchKind::Connector, connector.as_str()) => {
                let text = format!("its connector {connector} is switched off: anteroom connector enable {connector}");
                view.notes.push(text);
            }
            (Some(_), Some(_)) => {}
        }
        view
    }

    /// The configuration's, by name.
    pub(super) fn configured(&self) -> BTreeSet<String> {
        self.names().map(EmailDomain::to_string).collect()
    }

    fn names(&self) -> impl Iterator<Item = &EmailDomain> {
        self.configured.keys()
    }
}

//! For whom corporate sign-in is switched on.

use std::collections::HashMap;

use super::UserName;
use crate::base::email::{EmailAddress, EmailDomain};
use crate::base::id::Id;
use crate::config::Config;
use crate::directory::{SwitchKind, Switchboard};

/// Answers for whom corporate sign-in is switched on at this moment.
pub struct Enforced {
    /// The domains of this environment, each with its connector.
    domains: HashMap<EmailDomain, Id>,
    switchboard: Switchboard,
}

impl Enforced {
    /// By the configuration, and by what was switched off over it.
    pub fn new(config: &Config, switchboard: Switchboard) -> Self {
        let here = |environment| config.server.environment == Some(environment);
        let mine = config.domains.iter().filter(|(_, domain)| here(domain.environment));
        Self { domains: mine.map(|(name, domain)| (name.clone(), domain.connector.clone())).collect(), switchboard }
    }

    /// Whether the person of `address` signs in at a provider, and so not with a password of the application.
    pub fn is_enforced(&self, address: &EmailAddress) -> bool {
        self.is_enabled(&address.domain())
    }

    /// The same of a user name: it is such an address, or a lenient reader would take it for one.
    pub fn refuses(&self, name: &UserName) -> bool {
        name.address().is_some_and(|address| self.is_enforced(address))
            || name.resembled().iter().any(|domain| self.is_enabled(domain))
    }

    /// Whether it is so for anybody at all.
    pub fn is_anywhere(&self) -> bool {
        self.domains.keys().any(|domain| self.is_enabled(domain))
    }

    fn is_enabled(&self, domain: &EmailDomain) -> bool {
        self.domains.get(domain).is_some_and(|connector| {
            !self.switchboard.is_off(SwitchKind::Connector, connector.as_str())
                && !self.switchboard.is_off(SwitchKind::Domain, domain.as_str())
        })
    }
}

//! Where the people of an address sign in: at a provider, or at the application by itself.

use std::collections::HashMap;

use super::UserName;
use crate::base::clock::Clock;
use crate::base::email::{EmailAddress, EmailDomain};
use crate::base::id::Id;
use crate::config::Config;
use crate::directory::{SwitchKind, Switchboard};

/// Answers for whom corporate sign-in is switched on at this moment.
pub struct Enforced {
    /// The domains of this environment, each with its connector.
    domains: HashMap<EmailDomain, Id>,
    switchboard: Switchboard,
    clock: Clock,
}

/// Where somebody signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// At the provider of this connector.
    Provider(&'a Id),
    /// At the application.
    App(AtApp),
}

/// Why somebody signs in at the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtApp {
    /// Their domain has no connector here.
    NoConnector,
    /// Their domain's connector is switched off.
    ConnectorOff,
    /// Their domain is switched off.
    DomainOff,
    /// The cut-over of their domain has not come to them yet.
    NotYet,
}

impl AtApp {
    /// A stable code.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoConnector => "domain_unknown",
            Self::ConnectorOff => "connector_disabled",
            Self::DomainOff => "domain_disabled",
            Self::NotYet => "not_in_cut_over",
        }
    }
}

impl Enforced {
    /// By the configuration, and by what the directory says over it.
    pub fn new(config: &Config, switchboard: Switchboard, clock: Clock) -> Self {
        let here = |environment| config.server.environment == Some(environment);
        let mine = config.domains.iter().filter(|(_, domain)| here(domain.environment));
        let domains = mine.map(|(name, domain)| (name.clone(), domain.connector.clone())).collect();
        Self { domains, switchboard, clock }
    }

    /// Where the person of `address` signs in. An exact match of domains: a sub-domain is another one (I09).
    pub fn standing(&self, address: &EmailAddress) -> Standing<'_> {
        match self.serving(&address.domain()) {
            Err(why) => Standing::App(why),
            Ok(_) if !self.switchboard.takes_in(address, self.clock.now()) => Standing::App(AtApp::NotYet),
            Ok(connector) => Standing::Provider(connector),
        }
    }

    /// The connector of `domain`, if neither is switched off, however far the cut-over has come: for who comes by
    /// themselves.
    ///
    /// # Errors
    /// Nobody of it signs in at a provider.
    pub fn serving(&self, domain: &EmailDomain) -> Result<&Id, AtApp> {
        let connector = self.domains.get(domain).ok_or(AtApp::NoConnector)?;
        let is_off = |kind, name: &str| self.switchboard.is_off(kind, name);
        match () {
            () if is_off(SwitchKind::Domain, domain.as_str()) => Err(AtApp::DomainOff),
            () if is_off(SwitchKind::Connector, connector.as_str()) => Err(AtApp::ConnectorOff),
            () => Ok(connector),
        }
    }

    /// The connector of `domain`, if everybody there signs in at its provider.
    pub fn for_everybody(&self, domain: &EmailDomain) -> Option<&Id> {
        let now = self.clock.now();
        let all = self.switchboard.cut_over(domain).is_none_or(|cut_over| cut_over.at(now).is_everybody());
        self.serving(domain).ok().filter(|_| all)
    }

    /// Whether the person of `address` signs in at a provider, and so not with a password of the application.
    pub fn is_enforced(&self, address: &EmailAddress) -> bool {
        matches!(self.standing(address), Standing::Provider(_))
    }

    /// The same of a user name: it is such an address, or a lenient reader would take it for one.
    pub fn refuses(&self, name: &UserName) -> bool {
        name.address().is_some_and(|address| self.is_enforced(address))
            || name.resembled().iter().any(|domain| self.is_begun(domain))
    }

    /// Whether it is so for anybody at all.
    pub fn is_anywhere(&self) -> bool {
        self.domains.keys().any(|domain| self.is_begun(domain))
    }

    /// Whether anybody of `domain` signs in at its provider.
    fn is_begun(&self, domain: &EmailDomain) -> bool {
        let now = self.clock.now();
        let begun = || self.switchboard.cut_over(domain).is_none_or(|cut_over| !cut_over.at(now).is_nobody());
        self.serving(domain).is_ok() && begun()
    }
}

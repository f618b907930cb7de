//! A provider that speaks SAML 2.0: where people are sent, and whether what comes back is its word.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};
use url::Url;

use super::metadata_source::MetadataSource;
use super::oidc::logout_token::is_name;
use super::oidc::requirement::Assurance;
use super::saml::attributes::Reader;
use super::saml::binding::{self, Message, RelayState};
use super::saml::metadata::IdpMetadata;
use super::saml::own_keys::OwnKeys;
use super::saml::own_metadata::OwnMetadata;
use super::saml::request::AuthnRequest;
use super::saml::response::{self, Peek};
use super::saml::xml::trimmed;
use super::types::Asserted;
use super::{ProviderError, Reason, Requirement, ToProvider};
use crate::base::clock::{Clock, Timestamp};
use crate::base::email::EmailDomain;
use crate::base::id::Id;
use crate::base::outgoing::Outgoing;
use crate::config::{RequestBinding, SamlConnector};
use crate::connector::PostForm;
use crate::identity::Identity;

/// Messages of one provider that are judged at a time: some wait for the directory or for the provider's metadata, and
/// each takes up to a few MB of memory.
const JUDGING: usize = 16;

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

/// What is around a provider.
#[derive(Clone)]
pub struct SamlSurroundings {
    pub outgoing: Outgoing,
    /// `outgoing.insecure_http`: end points of metadata may be plain http.
    pub insecure_http: bool,
    /// Where our own keys are made, unless the settings name files.
    pub keys_dir: PathBuf,
    /// `server.public_url` with the prefix, without a trailing slash.
    pub base_url: String,
    pub clock: Clock,
}

/// One configured provider that speaks SAML.
pub struct SamlProvider {
    id: Id,
    pub(super) connector: SamlConnector,
    domains: Vec<EmailDomain>,
    source: MetadataSource,
    pub(super) keys: OwnKeys,
    pub(super) slo_url: String,
    pub(super) clock: Clock,
    judging: Semaphore,
    told_of_reassignable: AtomicBool,
}

impl SamlProvider {
    /// `domains` are the e-mail domains of this connector enabled in this environment. Fetches nothing; makes our own keys
    /// where the settings name none and there are none yet.
    ///
    /// # Errors
    /// Our own keys cannot be read or made.
    pub fn new(
        id: Id,
        config: &SamlConnector,
        domains: Vec<EmailDomain>,
        around: SamlSurroundings,
    ) -> Result<Self, ProviderError> {
        let SamlSurroundings { outgoing, insecure_http, keys_dir, base_url, clock } = around;
        let (signing, decryption) = (config.signing.as_ref(), config.decryption.as_ref());
        let host = Url::parse(&base_url).ok().and_then(|url| url.host_str().map(str::to_owned));
        let keys = OwnKeys::open(&keys_dir, signing, decryption, host.as_deref().unwrap_or("Anteroom"), clock.now())?;
        let source = MetadataSource::new(id.clone(), config, insecure_http, outgoing, clock.clone());
        let slo_url = format!("{base_url}/saml/{id}/slo");
        Ok(Self {
            id,
            connector: config.clone(),
            domains,
            source,
            keys,
            slo_url,
            clock,
            judging: Semaphore::new(JUDGING),
            told_of_reassignable: AtomicBool::new(false),
        })
    }

    /// Whether our own keys are good, or could be made, for `anteroom check`. Writes nothing.
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn check(config: &SamlConnector, keys_dir: &Path) -> Result<(), ProviderError> {
        OwnKeys::check(keys_dir, config.signing.as_ref(), config.decryption.as_ref())
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

    /// The host that responses are posted to.
    pub fn acs_host(&self) -> &str {
        &self.connector.acs.host.host
    }

    /// Where responses are posted to. Several connectors may have the same one.
    pub fn acs_url(&self) -> &str {
        &self.connector.acs.url
    }

    /// What the provider calls itself.
    ///
    /// # Errors
    /// Its metadata cannot be had, or is not acceptable.
    pub(crate) async fn idp_entity_id(&self) -> Result<String, ProviderError> {
        Ok(self.metadata().await?.entity_id.clone())
    }

    /// Whether responses that answer no request are taken.
    pub fn allows_idp_initiated(&self) -> bool {
        self.connector.allow_idp_initiated
    }

    /// Waits until a message of this provider may be judged. Each has its own turns: one whose metadata is slow to be had
    /// keeps nobody waiting who comes from another (T22).
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed.
        self.judging.acquire().await.ok()
    }

    /// Whether responses can be judged: the provider's metadata and its keys are at hand. Fetches them at first use.
    ///
    /// # Errors
    /// They cannot be had, or are not acceptable.
    pub async fn ready(&self) -> Result<(), ProviderError> {
        self.metadata().await.map(drop)
    }

    pub(super) async fn metadata(&self) -> Result<Arc<IdpMetadata>, ProviderError> {
        self.source.current().await
    }

    /// The provider's metadata: for those who look after it.
    pub fn source(&self) -> &MetadataSource {
        &self.source
    }

    /// Sends a browser to the provider for a sign-in.
    ///
    /// # Errors
    /// The provider's metadata or our own keys cannot be had.
    pub async fn authn_request(&self, asked: &SamlRequest<'_>) -> Result<ToProvider, ProviderError> {
        let metadata = self.metadata().await?;
        let required = self.connector.requirement.and(asked.requirement);
        let wanted = self.connector.request_binding;
        let (redirect, post) = (metadata.sign_on.redirect.as_deref(), metadata.sign_on.post.as_deref());
        let (destination, by_form) = match (redirect, post, wanted) {
            (Some(redirect), _, None | Some(RequestBinding::Redirect)) => (redirect, false),
            (_, Some(post), None | Some(RequestBinding::Post)) => (post, true),
            _ => {
                let expected = "a single sign-on service of the binding that is configured";
                return Err(ProviderError::new(Reason::SamlMetadataRejected).saying(expected, "none"));
            }
        };
        let request = AuthnRequest {
            id: asked.id,
            issue_instant: self.clock.now(),
            destination,
            acs_url: &self.connector.acs.url,
            issuer: &self.connector.entity_id,
            // SAML has no word for an age: whoever needs a recent proof gets a new one.
            force_authn: asked.another_account || required.max_age.is_some(),
            is_passive: false,
            name_id_format: self.connector.name_id_format.as_deref(),
            allow_create: true,
            requested_contexts: required.acr.as_deref().unwrap_or_default(),
            subject: None,
        };
        let relay_state = RelayState::new(asked.relay_state);
        let key = self.connector.sign_requests.unwrap_or(metadata.wants_signed_requests);
        let key = if key { Some(self.keys.signing()?) } else { None };
        if by_form {
            let xml = match &key {
                Some(key) => request.write_signed(key)?,
                None => request.write(),
            };
            let fields = binding::post_form(Message::Request, &xml, relay_state.as_ref());
            return Ok(ToProvider::Post(PostForm { action: destination.to_owned(), fields }));
        }
        // Entra ID and Keycloak know these; others leave them alone.
        let hints = [("login_hint", asked.login_hint), ("domain_hint", asked.domain_hint)];
        let hints: Vec<(&str, &str)> = hints.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let xml = request.write();
        let url =
            binding::redirect_url(destination, Message::Request, &xml, relay_state.as_ref(), key.as_deref(), &hints)?;
        Ok(ToProvider::Redirect(url))
    }

    /// The request that a response (Base64) says to answer, and whom it says to be from. Nothing of it is verified: it
    /// chooses a page or who judges, and nothing else.
    ///
    /// # Errors
    /// It is no response.
    pub(crate) fn peek(&self, response: &str) -> Result<Peek, ProviderError> {
        response::peek(&binding::decode_post(response)?)
    }

    /// Judges a posted response (Base64) to the request `in_response_to`, which the browser was sent with at `asked_at`.
    /// None: to no request.
    ///
    /// # Errors
    /// Whatever makes it not the provider's word, not for us, not fresh, not strong enough; or the person may not sign in
    /// here.
    pub async fn response(
        &self,
        response: &str,
        in_response_to: Option<&str>,
        required: &Requirement,
        asked_at: Timestamp,
    ) -> Result<Asserted, ProviderError> {
        let mut metadata = self.metadata().await?;
        let xml = binding::decode_post(response)?;
        let decryption = self.keys.decryption()?;
        let now = self.clock.now();
        let judge = |metadata: &IdpMetadata| {
            let expected = response::Expected {
                acs_url: &self.connector.acs.url,
                audience: &self.connector.entity_id,
                idp_entity_id: &metadata.entity_id,
                in_response_to,
                now,
                keys: &metadata.keys,
                decryption: &decryption,
                want_encrypted: self.connector.want_encrypted,
                allow_cbc: self.connector.allow_aes_cbc,
            };
            response::judge(&xml, &expected)
        };
        let mut judged = judge(&metadata);
        // A certificate that the provider has changed since its metadata were read.
        if judged.as_ref().is_err_and(|refusal| refusal.look_for_key)
            && let Some(newer) = self.source.look_for_key(&metadata).await
        {
            metadata = newer;
            judged = judge(&metadata);
        }
        let assertion = judged.map_err(|refusal| refusal.error)?;
        let reader = Reader {
            preset: &self.connector.preset,
            names: &self.connector.attributes,
            domains: &self.domains,
            idp_entity_id: &metadata.entity_id,
        };
        let assurance = Assurance {
            auth_time: Some(assertion.authn_instant.min(now)),
            acr: assertion.authn_context_class.clone(),
            amr: reader.methods(&assertion),
        };
        assurance.check(&self.connector.requirement.and(required), asked_at)?;
        let person = reader.read(&assertion)?;
        if let Some(format) = &person.reassignable {
            self.tell_of_reassignable(format);
        }
        let attributes = person.attributes;
        let identity = Identity {
            connector: self.id.clone(),
            subject: attributes.subject,
            email: attributes.email,
            preferred_username: attributes.preferred_username,
            name: attributes.name,
            groups: person.groups,
            role: attributes.role,
        };
        Ok(Asserted {
            identity,
            name_id: assertion.name_id,
            session_index: assertion
                .session_index
                .map(|index| trimmed(&index).to_owned())
                .filter(|index| is_name(index)),
            authn_instant: assertion.authn_instant.min(now),
            authn_context_class: assertion.authn_context_class,
            amr: assurance.amr,
            session_not_on_or_after: assertion.session_not_on_or_after,
            assertion_id: assertion.id,
            expires: assertion.expires,
        })
    }

    /// Tells once that people are known by names which the provider may give to others: whoever gets such a name later
    /// would be taken for the one before.
    fn tell_of_reassignable(&self, format: &str) {
        if self.told_of_reassignable.swap(true, Ordering::Relaxed) {
            return;
        }
        tracing::warn!(
            connector = self.id.as_str(),
            format,
            "people of this connector are known by a NameID of a format that may be given to another person later: let the \
             provider send a persistent one, or name an attribute that is never given again in attributes.subject. \
             Either makes new users of everybody"
        );
    }

    /// Our metadata for the provider's administrator.
    ///
    /// # Errors
    /// Our own keys cannot be used.
    pub fn own_metadata(&self) -> Result<String, ProviderError> {
        let keys = self.keys.published()?;
        let own = OwnMetadata {
            entity_id: &self.connector.entity_id,
            acs_url: &self.connector.acs.url,
            slo_url: &self.slo_url,
            signing: &keys.signing,
            encryption: &keys.encryption,
            signs_requests: self.connector.sign_requests == Some(true),
            name_id_format: self.connector.name_id_format.as_deref(),
        };
        Ok(own.write())
    }

    /// The origin that a sign-out goes on to, if the provider's metadata is at hand and names one.
    pub fn logout_origin(&self) -> Option<String> {
        let metadata = self.source.cached()?;
        let endpoint = metadata.logout.redirect.as_ref().or(metadata.logout.post.as_ref())?;
        Some(Url::parse(&endpoint.location).ok()?.origin().ascii_serialization())
    }
}

#[cfg(test)]
mod tests;

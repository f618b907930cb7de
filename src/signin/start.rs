//! Sending a browser to its provider.

use http::HeaderValue;
use http::header::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::base::email::{EmailAddress, EmailDomain};
use crate::base::return_to::ReturnTo;
use crate::config::Requirement;
use crate::connector::{AuthorizationRequest, Provider, ProviderError, SamlRequest, ToProvider, pkce_challenge};
use crate::explain;
use crate::session::{Cookies, SessionRef};

use super::attempt::{Attempt, Pending, Step, new_id, surplus};
use super::{Failed, LeadsTo, SignIn, Visitor, root, story};

/// Longest sealed attempt, in bytes: with its name it has to fit into the 4096 that browsers keep of a cookie.
const MAX_SEALED_ATTEMPT: usize = 4000;

/// What an attempt starts with.
pub struct Start<'a> {
    pub provider: &'a Provider,
    pub return_to: ReturnTo,
    /// What the sign-in is for beside [`return_to`](Self::return_to): a request of another method.
    pub purpose: Option<Purpose>,
    /// The address as typed or linked. If the provider verifies another, a page asks.
    pub hint: Option<EmailAddress>,
    /// Whom the provider may offer first, where nobody was typed; another person is welcome.
    pub person: Option<EmailAddress>,
    /// `domain_hint` as linked; without one, the hinted address's domain.
    pub domain_hint: Option<&'a str>,
    /// Ask the provider to let the person choose an account.
    pub select_account: bool,
}

/// A request that a sign-in is for and does not return to: `POST /transfer`. It chooses among the rules of our own
/// routes and nothing else (O41).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purpose(String);

impl Purpose {
    /// Reads `METHOD TARGET`: capitals, one blank, a path with or without a query.
    pub fn parse(text: &str, own_prefix: &str) -> Option<Self> {
        let (method, target) = text.split_once(' ')?;
        let named = (1..=16).contains(&method.len()) && method.bytes().all(|b| b.is_ascii_uppercase());
        let target = ReturnTo::path(target, own_prefix).ok().filter(|_| named)?;
        Some(Self(format!("{method} {target}")))
    }

    /// As a link or a form carries it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A browser on its way to the provider.
#[derive(Debug)]
pub struct Started {
    pub to: ToProvider,
    pub cookies: Vec<HeaderValue>,
}

/// One attempt as it begins.
pub(super) struct Beginning<'a> {
    pub(super) provider: &'a Provider,
    pub(super) return_to: &'a ReturnTo,
    pub(super) purpose: Option<&'a Purpose>,
    pub(super) typed: Option<&'a EmailAddress>,
    pub(super) login_hint: Option<&'a EmailAddress>,
    pub(super) domain_hint: Option<&'a str>,
    pub(super) select_account: bool,
    pub(super) required: Requirement,
    pub(super) renews: Option<SessionRef>,
}

impl SignIn {
    /// Starts an attempt: a redirect to the provider, with the attempt's sealed cookie. What the sign-in must be is read
    /// from the rules of what it is for.
    ///
    /// # Errors
    /// The provider's metadata cannot be had or is not acceptable, or no sign-in there could be what is asked for. No
    /// cookie is left behind.
    pub async fn start(
        &self,
        start: &Start<'_>,
        headers: &HeaderMap,
        visitor: Visitor<'_>,
    ) -> Result<Started, ProviderError> {
        let person = match (&start.hint, &start.person, start.select_account) {
            (None, None, false) => self.known_at(start.provider, headers, visitor.host).await,
            (_, person, _) => person.clone(),
        };
        let hinted_domain = start.hint.as_ref().map(EmailAddress::domain);
        let beginning = Beginning {
            provider: start.provider,
            return_to: &start.return_to,
            purpose: start.purpose.as_ref(),
            typed: start.hint.as_ref(),
            login_hint: start.hint.as_ref().or(person.as_ref()),
            domain_hint: start.domain_hint.or(hinted_domain.as_ref().map(EmailDomain::as_str)),
            select_account: start.select_account,
            required: self.required_for(&start.return_to, start.purpose.as_ref()),
            renews: None,
        };
        let (id, started) = self.begin(beginning, headers).await?;
        self.explain.record(|| story::started(self, visitor, &id, start));
        Ok(started)
    }

    /// An attempt's redirect to the provider, and its id.
    pub(super) async fn begin(
        &self,
        beginning: Beginning<'_>,
        headers: &HeaderMap,
    ) -> Result<(String, Started), ProviderError> {
        let Beginning {
            provider,
            return_to,
            purpose,
            typed,
            login_hint,
            domain_hint,
            select_account,
            required,
            renews,
        } = beginning;
        let now = self.clock.now();
        let id = new_id(now);
        let pending = Pending::new(typed.map(|typed| typed.as_str().to_owned()), required, renews);
        let state = pending.state(&id);
        let login_hint = login_hint.map(EmailAddress::as_str);
        let to = match provider {
            Provider::Oidc(oidc) => {
                let request = AuthorizationRequest {
                    state: &state,
                    nonce: &pending.nonce,
                    pkce_challenge: &pkce_challenge(&pending.verifier),
                    login_hint,
                    domain_hint,
                    select_account,
                    requirement: &pending.required,
                    prompt_none: renews.is_some(),
                };
                ToProvider::Redirect(oidc.authorization_url(&request).await?)
            }
            Provider::Saml(saml) => {
                let request = SamlRequest {
                    id: &pending.request_id(),
                    relay_state: &state,
                    login_hint,
                    domain_hint,
                    another_account: select_account,
                    requirement: &pending.required,
                };
                saml.authn_request(&request).await?
            }
        };
        let attempt = Attempt {
            started: now.millis(),
            connector: provider.id().to_string(),
            return_to: return_to.as_str().to_owned(),
            purpose: purpose.cloned(),
            step: Step::Pending(pending),
        };
        let cookies = self.remember(&id, attempt, headers, provider.saml().is_some());
        Ok((id, Started { to, cookies }))
    }

    /// The cookies by which the browser remembers a new attempt; the oldest are recycled. `posted`: the answer comes by a
    /// form from another site.
    pub(super) fn remember(
        &self,
        id: &str,
        mut attempt: Attempt,
        headers: &HeaderMap,
        posted: bool,
    ) -> Vec<HeaderValue> {
        let mut sealed = attempt.seal(id, &self.cookies, &self.sealer);
        // A target full of characters that JSON escapes, or one that asks for much, gets here. No browser would keep the
        // cookie. What the sign-in must be is beside its purpose already, which a second one alone would miss.
        if sealed.len() > MAX_SEALED_ATTEMPT && attempt.purpose.take().is_some() {
            sealed = attempt.seal(id, &self.cookies, &self.sealer);
        }
        if sealed.len() > MAX_SEALED_ATTEMPT {
            root().as_str().clone_into(&mut attempt.return_to);
            sealed = attempt.seal(id, &self.cookies, &self.sealer);
        }
        let recycled = surplus(sealed.len(), headers, &self.cookies);
        let mut cookies: Vec<_> = recycled.iter().map(|old| self.cookies.expire_attempt(old)).collect();
        let set = if posted { Cookies::set_posted_attempt } else { Cookies::set_attempt };
        cookies.push(set(&self.cookies, id, &sealed));
        cookies
    }

    /// What the rules here ask of a sign-in for `return_to` and for `purpose`. Nothing of a link says it (O41).
    fn required_for(&self, return_to: &ReturnTo, purpose: Option<&Purpose>) -> Requirement {
        let LeadsTo { host, target } = self.leads_to(return_to);
        let required = self.snapshot.requirement_for(host, &target);
        match purpose {
            Some(Purpose(purpose)) => required.and(&self.snapshot.requirement_for(host, purpose)),
            None => required,
        }
    }

    /// Who is signed in in this browser, if `provider` vouched for them: it may offer them first.
    async fn known_at(&self, provider: &Provider, headers: &HeaderMap, host: &str) -> Option<EmailAddress> {
        let session = self.session(headers, host).await.ok()??;
        (session.connector() == provider.id()).then(|| session.identity().email)
    }

    /// Why no attempt may start at the provider, if it is switched off; recorded.
    pub fn start_refused(&self, start: &Start<'_>, visitor: Visitor<'_>) -> Option<Failed> {
        let reason = self.check_connector(start.provider.id()).err()?;
        let mut failed = Failed::by_anybody(reason);
        (failed.return_to, failed.purpose) = (start.return_to.clone(), start.purpose.clone());
        self.rejected(explain::Step::Start, visitor, Some(start.provider.id()), &failed);
        Some(failed)
    }

    /// An attempt that could not start, recorded: the provider does not answer, or is not set up as it should be.
    pub fn start_failed(&self, cause: ProviderError, start: &Start<'_>, visitor: Visitor<'_>) -> Failed {
        let mut failed = Failed::because(cause);
        (failed.return_to, failed.purpose) = (start.return_to.clone(), start.purpose.clone());
        self.rejected(explain::Step::Start, visitor, Some(start.provider.id()), &failed);
        failed
    }
}

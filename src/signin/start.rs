//! Sending a browser to its provider.

use http::HeaderValue;
use http::header::HeaderMap;

use crate::base::email::EmailAddress;
use crate::base::return_to::ReturnTo;
use crate::connector::{AuthorizationRequest, Provider, ProviderError, pkce_challenge};
use crate::explain;

use super::attempt::{Attempt, Pending, Step, new_id, surplus};
use super::{Failed, Redirect, SignIn, Visitor, root, story};

/// Longest sealed attempt, in bytes: with its name it has to fit into the 4096 that browsers keep of a cookie.
const MAX_SEALED_ATTEMPT: usize = 4000;

/// What an attempt starts with.
pub struct Start<'a> {
    pub provider: &'a Provider,
    pub return_to: ReturnTo,
    /// The address as typed or linked.
    pub hint: Option<EmailAddress>,
    /// `domain_hint` as linked; without one, the hinted address's domain.
    pub domain_hint: Option<&'a str>,
    /// Ask the provider to let the person choose an account.
    pub select_account: bool,
}

/// The redirect to the provider.
pub type Started = Redirect;

impl SignIn {
    /// Starts an attempt: a redirect to the provider, with the attempt's sealed cookie.
    ///
    /// # Errors
    /// The provider's metadata cannot be had or is not acceptable. No cookie is left behind.
    pub async fn start(
        &self,
        start: &Start<'_>,
        headers: &HeaderMap,
        visitor: Visitor<'_>,
    ) -> Result<Started, ProviderError> {
        let now = self.clock.now();
        let id = new_id(now);
        let hint = start.hint.as_ref().map(|hint| hint.as_str().to_owned());
        let hinted_domain = start.hint.as_ref().map(|hint| hint.domain().as_str().to_owned());
        let pending = Pending::new(hint);
        let location = start
            .provider
            .authorization_url(&AuthorizationRequest {
                state: &pending.state(&id),
                nonce: &pending.nonce,
                pkce_challenge: &pkce_challenge(&pending.verifier),
                login_hint: pending.hint.as_deref(),
                domain_hint: start.domain_hint.or(hinted_domain.as_deref()),
                select_account: start.select_account,
                max_age: None,
                acr_values: &[],
                prompt_none: false,
            })
            .await?;
        let attempt = Attempt {
            started: now.millis(),
            connector: start.provider.id().to_string(),
            return_to: start.return_to.as_str().to_owned(),
            step: Step::Pending(pending),
        };
        let cookies = self.remember(&id, attempt, headers);
        self.explain.record(|| story::started(self, visitor, &id, start));
        Ok(Redirect { location, cookies })
    }

    /// The cookies by which the browser remembers a new attempt; the oldest are recycled.
    pub(super) fn remember(&self, id: &str, mut attempt: Attempt, headers: &HeaderMap) -> Vec<HeaderValue> {
        let mut sealed = attempt.seal(id, &self.cookies, &self.sealer);
        if sealed.len() > MAX_SEALED_ATTEMPT {
            // Only a target full of characters that JSON escapes gets here. No browser would keep the cookie.
            root().as_str().clone_into(&mut attempt.return_to);
            sealed = attempt.seal(id, &self.cookies, &self.sealer);
        }
        let recycled = surplus(sealed.len(), headers, &self.cookies);
        let mut cookies: Vec<_> = recycled.iter().map(|old| self.cookies.expire_attempt(old)).collect();
        cookies.push(self.cookies.set_attempt(id, &sealed));
        cookies
    }

    /// Why no attempt may start at the provider, if it is switched off; recorded.
    pub fn start_refused(&self, start: &Start<'_>, visitor: Visitor<'_>) -> Option<Failed> {
        let reason = self.check_connector(start.provider.id()).err()?;
        let mut failed = Failed::by_anybody(reason);
        failed.return_to = start.return_to.clone();
        self.rejected(explain::Step::Start, visitor, Some(start.provider.id()), &failed);
        Some(failed)
    }

    /// An attempt that could not start, recorded: the provider does not answer, or is not set up as it should be.
    pub fn start_failed(&self, cause: ProviderError, start: &Start<'_>, visitor: Visitor<'_>) -> Failed {
        let mut failed = Failed::because(cause);
        failed.return_to = start.return_to.clone();
        self.rejected(explain::Step::Start, visitor, Some(start.provider.id()), &failed);
        failed
    }
}

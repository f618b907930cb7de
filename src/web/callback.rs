//! Back from the provider, in pages.

use bytes::Bytes;
use http::header::HeaderMap;
use http::request::Parts;
use http::{Response, StatusCode};
use hyper::body::Incoming;

use crate::connector::Provider;
use crate::gate::Asker;
use crate::signin::{Callback, Completed, Failed, Start};

use super::discovery::{shown, written};
use super::form::{BadForm, Form};
use super::pages::catalogue::{Cause, aadsts, words};
use super::pages::{Mismatch, SignInFailed};
use super::router::Visit;
use super::site::{Site, redirect, with_cookies};

/// Whether a browser says that this is no navigation. Clients without Fetch Metadata say nothing.
pub(super) fn fetched(visit: &Visit, headers: &HeaderMap) -> bool {
    visit.asker == Asker::Script && Asker::is_browser(headers)
}

impl Site {
    /// `oidc/<connector>/callback`: the redirect URI.
    pub(super) async fn callback(&self, visit: &Visit, connector: &str, parts: &Parts) -> Response<Bytes> {
        let Some(known @ Provider::Oidc(provider)) = self.sign_in.provider(connector) else {
            return self.refusal(StatusCode::NOT_FOUND, "own_path_unknown", visit.asker, &visit.request_id);
        };
        // A session is for a browser that navigates: nobody's script redeems an attempt. Nothing is used up.
        if fetched(visit, &parts.headers) {
            return self.reject(visit, StatusCode::BAD_REQUEST, "not_a_page");
        }
        let query = parts.uri.query().unwrap_or_default();
        let callback = Callback { provider, query, headers: &parts.headers };
        let result = self.sign_in.callback(&callback, visit.visitor()).await;
        self.completed(visit, parts, known, result).await
    }

    /// The end of a way back from a provider.
    pub(super) async fn completed(
        &self,
        visit: &Visit,
        parts: &Parts,
        provider: &Provider,
        result: Result<Completed, Failed>,
    ) -> Response<Bytes> {
        match result {
            Ok(Completed::SignedIn(to)) => redirect(&to.location, "signed_in", to.cookies),
            Ok(Completed::AlreadySignedIn(to)) => redirect(&to.location, "already_signed_in", to.cookies),
            Ok(Completed::Renewed(to)) => redirect(&to.location, "session_renewed", to.cookies),
            Ok(Completed::SignInAgain { person, return_to, cookies }) => {
                let start = Start {
                    provider,
                    return_to,
                    purpose: None,
                    hint: None,
                    person,
                    domain_hint: None,
                    select_account: false,
                };
                with_cookies(self.start(visit, parts, &start).await, cookies)
            }
            Ok(Completed::Mismatch { typed, verified, attempt, return_to, purpose, cookies }) => {
                let other = [
                    ("connector", provider.id().as_str()),
                    ("login_hint", typed.as_str()),
                    ("rd", shown(&return_to)),
                    ("for", written(purpose.as_ref())),
                    ("select_account", "1"),
                ];
                let page = Mismatch {
                    setting: self.setting(&visit.request_id),
                    typed: typed.as_str(),
                    verified: verified.as_str(),
                    connector: provider.button_name(),
                    attempt: &attempt,
                    other_account_href: &self.link("sign-in/go", &other),
                };
                // Its form may end on another host of ours.
                let elsewhere = self.sign_in.origins_on_the_way(&visit.host, &return_to);
                with_cookies(page.render(&elsewhere).into_response(), cookies)
            }
            Err(failed) => self.failed_page(visit, provider, &failed),
        }
    }

    /// `sign-in/continue`: the person says that the verified address is theirs.
    pub(super) async fn sign_in_continue(&self, visit: &Visit, parts: &Parts, body: Incoming) -> Response<Bytes> {
        let form = match Form::read(&parts.headers, body, self.origin(&visit.host)).await {
            Ok(form) => form,
            Err(bad) => return self.bad_form(visit, bad),
        };
        if fetched(visit, &parts.headers) {
            return self.reject(visit, StatusCode::BAD_REQUEST, "not_a_page");
        }
        let attempt = form.get("attempt").unwrap_or_default();
        match self.sign_in.confirm(attempt, &parts.headers, visit.visitor()).await {
            Ok(to) => redirect(&to.location, "signed_in", to.cookies),
            Err(failed) => self.failed(visit, "your company", &failed),
        }
    }

    /// The page of a failed sign-in.
    pub(super) fn failed_page(&self, visit: &Visit, provider: &Provider, failed: &Failed) -> Response<Bytes> {
        self.failed(visit, provider.button_name(), failed)
    }

    pub(super) fn failed(&self, visit: &Visit, provider: &str, failed: &Failed) -> Response<Bytes> {
        let said = failed.provider_error.as_deref();
        let words = words(&Cause {
            reason: failed.reason,
            provider_error: said.and_then(|said| said.split(':').next()),
            aadsts: said.and_then(aadsts),
            provider,
            cookie: &self.cookies().attempt_name("…"),
        });
        // To the first page, not to the provider: another account may be the answer.
        let retry_href =
            self.link("sign-in", &[("rd", shown(&failed.return_to)), ("for", written(failed.purpose.as_ref()))]);
        let setting = self.setting(&visit.request_id);
        let page = SignInFailed { setting, words, retry_href: &retry_href, arrived: failed.arrived() };
        with_cookies(page.render(failed.reason).into_response(), failed.cookies.clone())
    }

    /// The answer to a post that was not taken.
    pub(super) fn bad_form(&self, visit: &Visit, bad: BadForm) -> Response<Bytes> {
        self.reject(visit, bad.status, bad.reason)
    }
}

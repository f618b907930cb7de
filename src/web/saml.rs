//! `saml/<connector>/…`: our metadata, the assertion consumer service, what follows it, and single logout.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;

use crate::audit::{Event, Outcome};
use crate::connector::{Kind, Provider, Reason, SamlProvider};
use crate::gate::Asker;
use crate::signin::{Failed, LogoutPosted, Posted, Received, SingleLogout, Started};

use super::callback::fetched;
use super::form::{BadForm, Form};
use super::limit::Failures;
use super::pages::{LogoutRefused, TooManyTries};
use super::router::Visit;
use super::site::{Site, json, redirect};

/// Bytes of a posted message: what is read of one as XML, in Base64 that a form has escaped, with some room.
const MAX_POST: usize = 512 * 1024;

/// What the metadata is sent as (SAML 2.0 Metadata, section 4.1.1).
const METADATA: &str = "application/samlmetadata+xml";

/// The pages of one connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SamlPage {
    Metadata,
    Acs,
    Done,
    Slo,
}

impl SamlPage {
    pub(super) fn of(path: &str) -> Option<Self> {
        Some(match path {
            "metadata" => Self::Metadata,
            "acs" => Self::Acs,
            "done" => Self::Done,
            "slo" => Self::Slo,
            _ => return None,
        })
    }

    pub(super) const fn methods(self) -> &'static [Method] {
        match self {
            Self::Metadata => &[Method::GET, Method::HEAD],
            Self::Acs => &[Method::POST],
            Self::Done => &[Method::GET],
            Self::Slo => &[Method::GET, Method::POST],
        }
    }
}

impl Site {
    pub(super) async fn saml(
        &self,
        visit: &Visit,
        provider: &Provider,
        page: SamlPage,
        parts: &Parts,
        body: Incoming,
    ) -> Response<Bytes> {
        let Provider::Saml(saml) = provider else {
            return self.reject(visit, StatusCode::NOT_FOUND, "own_path_unknown");
        };
        match page {
            SamlPage::Metadata => self.saml_metadata(visit, saml),
            SamlPage::Acs => self.saml_acs(visit, saml, parts, body).await,
            SamlPage::Done => self.saml_done(visit, provider, saml, parts).await,
            SamlPage::Slo => self.saml_slo(visit, provider, saml, parts, body).await,
        }
    }

    /// `saml/<connector>/metadata`, for the provider's administrator. Nothing in it is secret.
    fn saml_metadata(&self, visit: &Visit, provider: &SamlProvider) -> Response<Bytes> {
        match provider.own_metadata() {
            Ok(xml) => {
                let mut response = json(StatusCode::OK, "saml_metadata", &serde_json::Value::Null);
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(METADATA));
                *response.body_mut() = Bytes::from(xml);
                response
            }
            Err(error) => {
                tracing::error!(connector = provider.id().as_str(), reason = error.reason(), "no metadata of ours");
                self.reject(visit, StatusCode::SERVICE_UNAVAILABLE, error.reason())
            }
        }
    }

    /// `saml/<connector>/acs`: the provider's page posts a response (SAML 2.0 Bindings, section 3.5). A good one, and one
    /// that depends on who is signed in, is answered with 303 to `done`; a bad one at once.
    async fn saml_acs(&self, visit: &Visit, saml: &SamlProvider, parts: &Parts, body: Incoming) -> Response<Bytes> {
        // A session is for a browser that navigates. Nothing is used up.
        if fetched(visit, &parts.headers) {
            return self.reject(visit, StatusCode::BAD_REQUEST, "not_a_page");
        }
        let form = match self.read_message(visit, parts, body).await {
            Ok(form) => form,
            Err(bad) => return self.bad_message(visit, saml, "login.rejected", &self.bad_messages, bad),
        };
        let relay_state = form.get("RelayState");
        let saml = self.sign_in.began_at(saml, relay_state, &parts.headers);
        // Only the browser's own person can have begun what is waited for: what any page makes it send (S15) must not
        // keep that from being heard.
        let expected = self.sign_in.expects(saml.id(), relay_state, &parts.headers);
        if !expected && visit.asker == Asker::Frame {
            return self.reject(visit, StatusCode::BAD_REQUEST, "not_a_page");
        }
        let failures = if expected { &self.bad_answers } else { &self.bad_messages };
        if let Some(response) = self.silenced(visit, failures) {
            return response;
        }
        let Some(response) = form.get("SAMLResponse") else {
            let bad = BadForm { status: StatusCode::BAD_REQUEST, reason: "saml_response_missing" };
            return self.bad_message(visit, saml, "login.rejected", failures, bad);
        };
        let named = if expected { Ok(saml) } else { self.sign_in.named_by(saml, response, visit.visitor()).await };
        let saml = match named {
            Ok(saml) => saml,
            Err(failed) => return self.bad_response(visit, "your company", failures, &failed),
        };
        // Judged on this very thread. The limits on a message (`connector::saml::xml`) hold the worst of them to less than a
        // hundred honest ones of 8 KB, which should be some ten milliseconds where the code is optimised; these threads are
        // the control plane's, and no proxied request waits for one.
        let _turn = saml.turn().await;
        let posted = Posted { provider: saml, response, relay_state, headers: &parts.headers };
        match self.sign_in.assertion(&posted, visit.visitor()).await {
            Ok(Received { to, stray }) => {
                if stray {
                    failures.count(visit.client);
                }
                redirect(&to.location, "saml_received", to.cookies)
            }
            Err(failed) => self.bad_response(visit, saml.button_name(), failures, &failed),
        }
    }

    /// A response that was not taken, counted among the `failures` of its kind if that is its own fault.
    fn bad_response(&self, visit: &Visit, provider: &str, failures: &Failures, failed: &Failed) -> Response<Bytes> {
        if failed.kind() == Kind::Refused {
            failures.count(visit.client);
        }
        self.failed(visit, provider, failed)
    }

    /// `saml/<connector>/done`: the browser is back on our own site, with its session cookie.
    async fn saml_done(
        &self,
        visit: &Visit,
        provider: &Provider,
        saml: &SamlProvider,
        parts: &Parts,
    ) -> Response<Bytes> {
        if fetched(visit, &parts.headers) {
            return self.reject(visit, StatusCode::BAD_REQUEST, "not_a_page");
        }
        let query = parts.uri.query().unwrap_or_default();
        let result = self.sign_in.assertion_done(saml, query, &parts.headers, visit.visitor()).await;
        self.completed(visit, parts, provider, result).await
    }

    /// `saml/<connector>/slo`: single logout, by redirect or by form.
    async fn saml_slo(
        &self,
        visit: &Visit,
        provider: &Provider,
        saml: &SamlProvider,
        parts: &Parts,
        body: Incoming,
    ) -> Response<Bytes> {
        // An image or a script on somebody's page is no sign-out, and says nothing of who loads it.
        if fetched(visit, &parts.headers) {
            return self.reject(visit, StatusCode::BAD_REQUEST, "not_a_page");
        }
        if let Some(response) = self.silenced(visit, &self.bad_logouts) {
            return response;
        }
        let form;
        let posted = if parts.method == Method::POST {
            form = match self.read_message(visit, parts, body).await {
                Ok(form) => form,
                Err(bad) => return self.bad_message(visit, saml, "logout.rejected", &self.bad_logouts, bad),
            };
            let (request, response) = (form.get("SAMLRequest"), form.get("SAMLResponse"));
            LogoutPosted::Form { request, response, relay_state: form.get("RelayState") }
        } else {
            LogoutPosted::Query(parts.uri.query().unwrap_or_default())
        };
        let _turn = saml.turn().await;
        match self.sign_in.saml_logout(saml, &posted, visit.visitor()).await {
            Ok(SingleLogout::Answer(to)) => self.to_provider(provider, Started { to, cookies: vec![] }, "saml_logout"),
            Ok(SingleLogout::Done { partial }) => {
                let connector = if partial { saml.id().as_str() } else { "" };
                redirect(&self.link("sign-out/done", &[("connector", connector)]), "signed_out", vec![])
            }
            Err(refused) if refused.again => self.directory_away(visit),
            Err(refused) => {
                self.bad_logouts.count(visit.client);
                self.logout_refused(visit, saml, posted.is_answer(), refused.reason)
            }
        }
    }

    fn logout_refused(
        &self,
        visit: &Visit,
        saml: &SamlProvider,
        is_answer: bool,
        reason: &'static str,
    ) -> Response<Bytes> {
        if visit.asker == Asker::Script {
            return self.refusal(StatusCode::BAD_REQUEST, reason, visit.asker, &visit.request_id);
        }
        let (provider, sign_out) = (saml.button_name(), self.link("sign-out", &[]));
        let setting = self.setting(&visit.request_id);
        let mut page =
            LogoutRefused { setting, is_answer, provider, sign_out_href: &sign_out }.render(reason).into_response();
        if reason == Reason::SamlTooLarge.code() {
            *page.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        }
        page
    }

    /// The answer to a source whose messages were bad too often.
    fn silenced(&self, visit: &Visit, failures: &Failures) -> Option<Response<Bytes>> {
        let retry_after_secs = failures.check(visit.client).err()?;
        let event = Event::new("limit.hit", Outcome::Failure, "rate_limited");
        self.audit.record_frequent(event.from_client(visit.client, &visit.request_id));
        let setting = self.setting(&visit.request_id);
        let page = TooManyTries { setting, retry_after_secs, retry_href: &self.link("sign-in", &[]) };
        Some(page.render().into_response())
    }

    /// Reads a posted message. Few of one source at a time: whoever sends slowly keeps nobody else waiting.
    async fn read_message(&self, visit: &Visit, parts: &Parts, body: Incoming) -> Result<Form, BadForm> {
        let busy = BadForm { status: StatusCode::SERVICE_UNAVAILABLE, reason: "too_many_uploads" };
        let _upload = self.uploads.begin(visit.client).ok_or(busy)?;
        Form::read_up_to(MAX_POST, &parts.headers, body).await
    }

    /// A post that is no message at all, counted among the `failures` of its kind.
    fn bad_message(
        &self,
        visit: &Visit,
        saml: &SamlProvider,
        event: &'static str,
        failures: &Failures,
        bad: BadForm,
    ) -> Response<Bytes> {
        // That others send too is nobody's fault.
        if bad.status != StatusCode::SERVICE_UNAVAILABLE {
            failures.count(visit.client);
        }
        let event = Event::new(event, Outcome::Failure, bad.reason)
            .from_client(visit.client, &visit.request_id)
            .with("connector", saml.id().as_str());
        self.audit.record_frequent(event);
        let mut response = self.refusal(bad.status, bad.reason, visit.asker, &visit.request_id);
        if bad.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}

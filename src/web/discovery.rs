//! From an e-mail address to the button of its provider, and on to the provider.

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;

use crate::audit::{Event, Outcome};
use crate::base::email::{EmailAddress, EmailDomain};
use crate::base::return_to::ReturnTo;
use crate::connector::{PostForm, Provider, ToProvider};
use crate::gate::Asker;
use crate::signin::{Purpose, Start, Started};

use super::form::Form;
use super::pages::{self, ConnectorChoice, EmailError, TooManyTries, UnknownDomain};
use super::router::Visit;
use super::site::{Site, redirect, with_cookies};

/// Bytes of a typed address, or of a hint in a link, that are looked at (D04).
const MAX_HINT: usize = 320;

/// The parameters of a link to the sign-in.
#[derive(Default)]
pub(super) struct Link {
    pub(super) rd: Option<String>,
    pub(super) login_hint: Option<String>,
    pub(super) domain_hint: Option<String>,
    pub(super) connector: Option<String>,
    /// The request that the sign-in is for, where the way back is another (`for`).
    pub(super) request: Option<String>,
    /// The provider, as one that sends its people here names itself (OpenID Connect Core, section 4).
    pub(super) iss: Option<String>,
    pub(super) select_account: bool,
}

impl Link {
    /// Reads the query; a parameter given twice, or a hint that is too long, is a reason to refuse it.
    pub(super) fn parse(query: &str) -> Result<Self, &'static str> {
        let mut link = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let slot = match &*name {
                // What others call it, `target_link_uri`, is the same: both at once are one too many.
                "rd" | "target_link_uri" => &mut link.rd,
                "login_hint" => &mut link.login_hint,
                "domain_hint" => &mut link.domain_hint,
                "connector" => &mut link.connector,
                "for" => &mut link.request,
                "iss" => &mut link.iss,
                "select_account" => {
                    link.select_account = value == "1";
                    continue;
                }
                // A link never chooses scopes, prompts, `max_age` or anything else that goes to the provider (O41).
                _ => continue,
            };
            if slot.replace(value.into_owned()).is_some() {
                return Err("duplicate_parameter");
            }
        }
        let too_long = |hint: &Option<String>| hint.as_ref().is_some_and(|hint| hint.len() > MAX_HINT);
        if too_long(&link.login_hint) || too_long(&link.domain_hint) { Err("hint_too_long") } else { Ok(link) }
    }

    fn address(&self) -> Option<EmailAddress> {
        self.login_hint.as_ref().and_then(|hint| hint.parse().ok())
    }
}

impl Site {
    /// `sign-in`: the page that asks for the address, or straight on where the link says enough.
    pub(super) async fn sign_in_page(&self, visit: &Visit, parts: &Parts) -> Response<Bytes> {
        let link = match Link::parse(parts.uri.query().unwrap_or_default()) {
            Ok(link) => link,
            Err(reason) => return self.reject(visit, StatusCode::BAD_REQUEST, reason),
        };
        let purpose = match self.purpose(link.request.as_deref()) {
            Ok(purpose) => purpose,
            Err(reason) => return self.reject(visit, StatusCode::BAD_REQUEST, reason),
        };
        let return_to = self.return_to(link.rd.as_deref(), visit.visitor());
        let address = link.address();
        let hinted = link.domain_hint.as_ref().and_then(|hint| hint.parse::<EmailDomain>().ok());
        let may_go_on =
            async || self.sign_in.may_go_on(&return_to, purpose.as_ref(), &parts.headers, &visit.host).await;
        if address.is_none() && hinted.is_none() && may_go_on().await {
            return redirect(&self.sign_in.location(&return_to), "already_signed_in", vec![]);
        }
        // A single known domain in the link skips the page; only a top-level GET starts an attempt.
        if (address.is_some() || hinted.is_some()) && visit.asker == Asker::Page && parts.method == Method::GET {
            if let Some(response) = self.too_many(visit) {
                return response;
            }
            let provider = match (&address, &hinted) {
                (Some(address), _) => self.sign_in.discover(address).ok(),
                (None, Some(domain)) => self.sign_in.discover_domain(domain),
                (None, None) => None,
            };
            if let Some(provider) = provider {
                let (domain_hint, select_account) = (link.domain_hint.as_deref(), link.select_account);
                let (hint, person) = (address, None);
                let start = Start { provider, return_to, purpose, hint, person, domain_hint, select_account };
                return self.start(visit, parts, &start).await;
            }
        }
        let email = link.login_hint.as_deref().unwrap_or_default();
        let (rd, purpose) = (shown(&return_to), written(purpose.as_ref()));
        let page = pages::SignIn { setting: self.setting(""), email, rd, purpose, error: None };
        page.render(&[]).into_response()
    }

    /// `sign-in/start`: the typed address leads to a button, or to a page that says that its domain is not known.
    pub(super) async fn sign_in_start(&self, visit: &Visit, parts: &Parts, body: Incoming) -> Response<Bytes> {
        let form = match Form::read(&parts.headers, body, self.origin(&visit.host)).await {
            Ok(form) => form,
            Err(bad) => return self.bad_form(visit, bad),
        };
        if let Some(response) = self.too_many(visit) {
            return response;
        }
        let return_to = self.return_to(form.get("rd"), visit.visitor());
        let purpose = match self.purpose(form.get("for")) {
            Ok(purpose) => purpose,
            Err(reason) => return self.reject(visit, StatusCode::BAD_REQUEST, reason),
        };
        let (rd, purpose) = (shown(&return_to), written(purpose.as_ref()));
        let typed = form.get("email").unwrap_or_default().trim_matches([' ', '\t', '\r', '\n']);
        let again = |error| {
            let email = if typed.len() > MAX_HINT { "" } else { typed };
            let page = pages::SignIn { setting: self.setting(""), email, rd, purpose, error: Some(error) };
            page.render(&[]).into_response()
        };
        if typed.is_empty() {
            return again(EmailError::Empty);
        }
        let Ok(address) = typed.parse::<EmailAddress>() else { return again(EmailError::Invalid) };
        let change = self.link("sign-in", &[("rd", rd), ("for", purpose)]);
        let domain = address.domain();
        match self.sign_in.discover(&address) {
            Ok(provider) => {
                let query = [
                    ("connector", provider.id().as_str()),
                    ("login_hint", address.as_str()),
                    ("rd", rd),
                    ("for", purpose),
                ];
                ConnectorChoice {
                    setting: self.setting(""),
                    email: address.as_str(),
                    connector: provider.button_name(),
                    href: &self.link("sign-in/go", &query),
                    change_address_href: &change,
                }
                .render()
                .into_response()
            }
            Err(_) => {
                let event = Event::new("login.rejected", Outcome::Failure, "domain_unknown");
                let event = event.from_client(visit.client, &visit.request_id).with("domain", domain.as_str());
                self.audit.record_frequent(event);
                UnknownDomain {
                    setting: self.setting(&visit.request_id),
                    domain: domain.as_str(),
                    change_address_href: &change,
                }
                .render()
                .into_response()
            }
        }
    }

    /// `sign-in/go?connector=ID`: the sign-on URL. Starts an attempt at that connector; or at the one whose provider is
    /// `iss`, for providers that send people here themselves.
    pub(super) async fn sign_in_go(&self, visit: &Visit, parts: &Parts) -> Response<Bytes> {
        let refuse = |status, reason| self.reject(visit, status, reason);
        let link = match Link::parse(parts.uri.query().unwrap_or_default()) {
            Ok(link) => link,
            Err(reason) => return refuse(StatusCode::BAD_REQUEST, reason),
        };
        if visit.asker != Asker::Page {
            return refuse(StatusCode::BAD_REQUEST, "not_a_page");
        }
        let purpose = match self.purpose(link.request.as_deref()) {
            Ok(purpose) => purpose,
            Err(reason) => return refuse(StatusCode::BAD_REQUEST, reason),
        };
        let hint = link.address();
        let provider = match self.linked_provider(&link, hint.as_ref()) {
            Ok(Some(provider)) => provider,
            // Several connectors of one provider: the address decides.
            Ok(None) => {
                let return_to = self.return_to(link.rd.as_deref(), visit.visitor());
                let ask = self.link("sign-in", &[("rd", shown(&return_to)), ("for", written(purpose.as_ref()))]);
                return redirect(&ask, "address_needed", vec![]);
            }
            Err(reason) => return refuse(StatusCode::BAD_REQUEST, reason),
        };
        // Not counted as a look-up: it tells nothing, and one stranger must not use up what a whole network signs in by.
        let return_to = self.return_to(link.rd.as_deref(), visit.visitor());
        let (domain_hint, select_account) = (link.domain_hint.as_deref(), link.select_account);
        let start = Start { provider, return_to, purpose, hint, person: None, domain_hint, select_account };
        self.start(visit, parts, &start).await
    }

    /// What a link or a form says, in `for`, that the sign-in is for beside the page it returns to.
    pub(super) fn purpose(&self, text: Option<&str>) -> Result<Option<Purpose>, &'static str> {
        let read = |text| Purpose::parse(text, self.prefix()).ok_or("purpose_malformed");
        text.map(read).transpose()
    }

    /// The provider that `link` names. None: several are of its issuer.
    fn linked_provider(&self, link: &Link, hint: Option<&EmailAddress>) -> Result<Option<&Provider>, &'static str> {
        let of_issuer = |provider: &Provider| {
            link.iss.as_deref().is_none_or(|iss| provider.oidc().is_some_and(|oidc| oidc.is_issuer(iss)))
        };
        if let Some(id) = &link.connector {
            let provider = self.sign_in.provider(id).ok_or("connector_unknown")?;
            return if of_issuer(provider) { Ok(Some(provider)) } else { Err("issuer_unknown") };
        }
        if link.iss.is_none() {
            return Err("connector_unknown");
        }
        let mut found = self.sign_in.providers().filter(|provider| of_issuer(provider));
        match (found.next(), found.next()) {
            (None, _) => Err("issuer_unknown"),
            (Some(only), None) => Ok(Some(only)),
            (Some(_), Some(_)) => {
                let hinted = hint.and_then(|hint| self.sign_in.serving(&hint.domain()));
                Ok(hinted.filter(|provider| of_issuer(provider)))
            }
        }
    }

    pub(super) async fn start(&self, visit: &Visit, parts: &Parts, start: &Start<'_>) -> Response<Bytes> {
        if let Some(failed) = self.sign_in.start_refused(start, visit.visitor()) {
            return self.failed_page(visit, start.provider, &failed);
        }
        // Nothing is there where it would end: it begins where the first page is.
        if let Some(away) = self.sign_in.away_from(&visit.host, &start.return_to, start.provider.id()) {
            return redirect(&away, "hand_off_started", vec![]);
        }
        if let Some((there, to)) = self.sign_in.begins_elsewhere(start, &visit.host, &parts.headers) {
            let query = [
                ("connector", start.provider.id().as_str()),
                ("login_hint", start.hint.as_ref().map_or("", EmailAddress::as_str)),
                ("domain_hint", start.domain_hint.unwrap_or_default()),
                ("rd", &to.location),
                ("select_account", if start.select_account { "1" } else { "" }),
            ];
            let location = format!("{}{}", there.origin(), self.link("sign-in/go", &query));
            return redirect(&location, "hand_off_started", to.cookies);
        }
        match self.sign_in.start(start, &parts.headers, visit.visitor()).await {
            Ok(started) => self.to_provider(start.provider, started, "sign_in_started"),
            Err(error) => {
                let provider: &Provider = start.provider;
                let failed = self.sign_in.start_failed(error, start, visit.visitor());
                self.failed_page(visit, provider, &failed)
            }
        }
    }

    /// Sends the browser to a provider.
    pub(super) fn to_provider(&self, provider: &Provider, started: Started, reason: &'static str) -> Response<Bytes> {
        let Started { to, cookies } = started;
        match to {
            ToProvider::Redirect(location) => redirect(&location, reason, cookies),
            ToProvider::Post(PostForm { action, fields }) => {
                let (setting, connector) = (self.setting(""), provider.button_name());
                let page = pages::ToProvider { setting, connector, action: &action, fields: &fields };
                with_cookies(page.render(reason).into_response(), cookies)
            }
        }
    }

    /// The page for a source that looks up too often.
    fn too_many(&self, visit: &Visit) -> Option<Response<Bytes>> {
        let retry_after_secs = self.lookups.check(visit.client).err()?;
        let event = Event::new("limit.hit", Outcome::Failure, "rate_limited");
        self.audit.record_frequent(event.from_client(visit.client, &visit.request_id));
        let retry_href = self.link("sign-in", &[]);
        let page = TooManyTries { setting: self.setting(&visit.request_id), retry_after_secs, retry_href: &retry_href };
        Some(page.render().into_response())
    }
}

/// The target as a link or form carries it: the root goes without saying.
pub(super) fn shown(return_to: &ReturnTo) -> &str {
    Some(return_to.as_str()).filter(|to| *to != "/").unwrap_or_default()
}

/// The purpose as a link or form carries it; empty: none.
pub(super) fn written(purpose: Option<&Purpose>) -> &str {
    purpose.map_or("", Purpose::as_str)
}

//! Who am I, sign-out, and the keys for applications.

use bytes::Bytes;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::request::Parts;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use crate::base::id::Id;
use crate::base::role::Role;

use crate::signin::Started;

use super::form::Form;
use super::pages::{SignOutAsk, SignedOut};
use super::router::Visit;
use super::site::{Site, json, redirect};

impl Site {
    /// `me`: who the browser's session belongs to, and how long it lasts. Does not count as use.
    pub(super) async fn me(&self, visit: &Visit, parts: &Parts) -> Response<Bytes> {
        let site = parts.headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
        if site.is_some_and(|site| site != b"same-origin" && site != b"none") {
            return self.reject(visit, StatusCode::FORBIDDEN, "cross_site");
        }
        let limits = *self.sessions.limits();
        let now = self.sessions.now();
        let session = match self.sign_in.session_key(&parts.headers, &visit.host) {
            Some(key) => match self.sessions.look_up(&key).await {
                Ok(session) => session.filter(|session| self.sessions.counts_on(session, &visit.host)),
                Err(_) => return self.directory_away(visit),
            },
            None => None,
        };
        let Some(session) = session else {
            return self.not_signed_in(&parts.headers, &visit.host, &visit.request_id);
        };
        let identity = session.identity();
        let (idle, absolute) = session.remaining(&limits, now);
        let body = json!({
            "email": identity.email.as_str(),
            "preferred_username": identity.preferred_username,
            "name": identity.name,
            "groups": identity.groups,
            "role": identity.role.map(Role::name),
            "connector": identity.connector.as_str(),
            "auth": session.auth_method().name(),
            "session": {
                "id": session.reference().to_string(),
                "created": session.created_at().rfc3339(),
                "idle_seconds_left": idle.as_secs(),
                "seconds_left": absolute.as_secs(),
            },
        });
        json(StatusCode::OK, "me", &body)
    }

    /// `sign-out` by link: at once from our own pages or a typed address, otherwise a page asks (L11); with `ask` in the
    /// query it always does: there somebody can sign out everywhere. What somebody
    /// wrote into a page of the application, an image say, is no click.
    pub(super) async fn sign_out_get(&self, visit: &Visit, parts: &Parts) -> Response<Bytes> {
        let one = |name: &str| parts.headers.get(name).map(HeaderValue::as_bytes);
        let here = matches!(one("sec-fetch-site"), Some(b"same-origin" | b"none"));
        let chosen = matches!(one("sec-fetch-dest"), None | Some(b"document" | b"empty"));
        // Browsers fetch ahead what somebody has only begun to type, and what a page says may be next.
        let ahead = parts.headers.contains_key("sec-purpose");
        let query = parts.uri.query().unwrap_or_default();
        let asks = url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "ask");
        if here && chosen && !ahead && !asks {
            return self.signed_out(visit, parts, false).await;
        }
        let provider = self.sign_in.logout_origin(&parts.headers, &visit.host).await;
        // The provider sends the browser on to the sign-in host.
        let hosts = self.sign_in.hosts();
        let back = hosts.other(&visit.host).and(provider.as_ref()).map(|_| hosts.sign_in().origin());
        let origins: Vec<&str> = provider.as_deref().into_iter().chain(back).collect();
        SignOutAsk { setting: self.setting(""), stay_href: "/" }.render(&origins).into_response()
    }

    /// `sign-out` by form.
    pub(super) async fn sign_out_post(&self, visit: &Visit, parts: &Parts, body: Incoming) -> Response<Bytes> {
        match Form::read(&parts.headers, body, self.origin(&visit.host)).await {
            Ok(form) => self.signed_out(visit, parts, form.get("everywhere") == Some("1")).await,
            Err(bad) => self.bad_form(visit, bad),
        }
    }

    async fn signed_out(&self, visit: &Visit, parts: &Parts, everywhere: bool) -> Response<Bytes> {
        // The cookie stays where the directory is away: with it the person can try again.
        let Ok(signed_out) = self.sign_in.sign_out(&parts.headers, everywhere, visit.visitor()).await else {
            return self.directory_away(visit);
        };
        let connector = signed_out.connector.as_ref().map(Id::as_str).unwrap_or_default();
        // Nor does the next person at this browser find what the last one entered.
        let mut cookies = self.sign_in.give_up_posts(&parts.headers, 0);
        cookies.push(self.cookies().expire_done());
        let mut response = match (signed_out.provider, self.sign_in.provider(connector)) {
            (Some(to), Some(provider)) => self.to_provider(provider, Started { to, cookies }, "signed_out"),
            // The page then says that the provider's own session may live on (L14).
            _ => redirect(&self.link("sign-out/done", &[("connector", connector)]), "signed_out", cookies),
        };
        self.cookies().expire_session(response.headers_mut(), &visit.host);
        response
    }

    /// `sign-out/done`: the post-logout redirect URI. A neutral page, whatever `state` comes with it (L12).
    pub(super) fn sign_out_done(&self, visit: &Visit, parts: &Parts) -> Response<Bytes> {
        let query = parts.uri.query().unwrap_or_default();
        let mut query = url::form_urlencoded::parse(query.as_bytes());
        let connector = query.find(|(name, _)| name == "connector").map(|(_, id)| id);
        let provider = connector.and_then(|id| self.sign_in.provider(&id));
        let page = SignedOut {
            setting: self.setting(&visit.request_id),
            provider_may_be_live: provider.is_some(),
            provider: provider.map_or("", |provider| provider.button_name()),
            sign_in_href: &self.link("sign-in", &[]),
        };
        page.render().into_response()
    }

    /// The directory cannot be asked or told: 503, and the browser keeps what it has.
    pub(super) fn directory_away(&self, visit: &Visit) -> Response<Bytes> {
        let reason = "directory_unavailable";
        let mut response = self.refusal(StatusCode::SERVICE_UNAVAILABLE, reason, visit.asker, &visit.request_id);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
        response
    }

    /// `jwks.json`: the public keys of the signed assertion (RFC 7517).
    pub(super) fn jwks(&self) -> Response<Bytes> {
        let keys = self.assertions().map(|assertions| assertions.signer().jwks(self.clock.now()));
        let body = match keys {
            Some(Ok(keys)) => keys,
            Some(Err(error)) => {
                tracing::error!(error = %error, "cannot write jwks.json");
                return self.internal_error("");
            }
            None => Bytes::from_static(b"{\"keys\":[]}"),
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
        headers.insert(http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // New keys are published ten minutes before they sign.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(super::pages::X_ANTEROOM, HeaderValue::from_static("jwks"));
        response
    }
}

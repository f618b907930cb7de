//! Every answer in place of the application: the form depends on who asks, the decision never does.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, HeaderMap, HeaderValue, ORIGIN, VARY,
    WWW_AUTHENTICATE,
};
use http::{Method, Response, StatusCode, Uri};
use serde_json::json;

use crate::audit::{Event, Outcome};
use crate::base::cookie::Found;
use crate::base::return_to::ReturnTo;
use crate::base::role::RequiredRole;
use crate::config::NativeChallenge;
use crate::gate::Asker;
use crate::session::Session;

use super::pages::{
    BadRequest, CrossSite, Denied, FrameNotice, Loop, Misdirected, NotFound, NotSent, ServerError, Unavailable,
    UpstreamTrouble,
};
use super::router::Visit;
use super::site::{Site, json, redirect, with_cookies};

/// A request that needs a sign-in.
pub struct Asked<'a> {
    pub asker: Asker,
    pub method: &'a Method,
    pub uri: &'a Uri,
    pub headers: &'a HeaderMap,
    /// The host that was asked, lower case.
    pub host: &'a str,
    pub client: IpAddr,
    pub request_id: &'a str,
}

impl Site {
    /// Asks for a sign-in, in the form that fits who asks (design section 3).
    pub fn challenge(&self, asked: &Asked<'_>) -> Response<Bytes> {
        let target = asked.uri.path_and_query().map_or("/", |target| target.as_str());
        let return_to = ReturnTo::path(target, self.prefix()).unwrap_or_else(|_| ReturnTo::root());
        let sign_in = self.link("sign-in", &[("rd", return_to.as_str())]);
        match asked.asker {
            Asker::Page => match self.broken_loop(asked, &sign_in) {
                Some(page) => page,
                None => self.to_sign_in(asked.host, &sign_in),
            },
            Asker::Form => self.not_sent(asked, false),
            // Fixed: it names nobody and says nothing of what was asked for.
            Asker::Frame => {
                let href = self.link("sign-in", &[]);
                FrameNotice { setting: self.setting(""), href: &href }.render("sign_in_required").into_response()
            }
            Asker::Script => self.not_signed_in(asked.headers, asked.host, asked.request_id),
        }
    }

    /// A form that nobody keeps: the browser still has it. `too_large`: for that alone.
    pub(super) fn not_sent(&self, asked: &Asked<'_>, too_large: bool) -> Response<Bytes> {
        let sign_in = self.link("sign-in", &[]);
        let setting = self.setting(asked.request_id);
        NotSent { setting, too_large, sign_in_href: &sign_in }.render().into_response()
    }

    /// To the sign-in page: 302, since only a GET gets here.
    fn to_sign_in(&self, host: &str, link: &str) -> Response<Bytes> {
        let mut response = redirect(&format!("{}{link}", self.origin(host)), "sign_in_required", vec![]);
        *response.status_mut() = StatusCode::FOUND;
        response
    }

    /// A browser that has just signed in and comes back without a session would go round for ever: on the second pass
    /// it gets a page that names what is missing.
    fn broken_loop(&self, asked: &Asked<'_>, retry_href: &str) -> Option<Response<Bytes>> {
        if self.cookies().completed(asked.headers, self.clock.now()) < 2 {
            return None;
        }
        let came_back = match self.cookies().session(asked.headers, asked.host) {
            Found::None => "session_cookie_missing",
            Found::One(_) => "session_unknown",
            Found::Many => "session_cookie_twice",
        };
        let event = Event::new("session.rejected", Outcome::Error, came_back);
        self.audit.record_frequent(event.from_client(asked.client, asked.request_id));
        let cookie = self.cookies().session_name(asked.host);
        let page = Loop { setting: self.setting(asked.request_id), cookie, retry_href };
        let mut response = page.render().into_response();
        if came_back != "session_cookie_missing" {
            self.cookies().expire_session(response.headers_mut(), asked.host);
        }
        Some(with_cookies(response, vec![]))
    }

    /// 401 for everything that is not a navigation: JSON with the sign-in URL. Readable across origins only by an
    /// application's own pages.
    pub(super) fn not_signed_in(&self, headers: &HeaderMap, host: &str, request_id: &str) -> Response<Bytes> {
        let body = json!({
            "error": "sign_in_required",
            "message": "Sign in first: send the browser to sign_in_url.",
            "sign_in_url": format!("{}{}", self.origin(host), self.link("sign-in", &[])),
            "reference": request_id,
        });
        let mut response = json(StatusCode::UNAUTHORIZED, "sign_in_required", &body);
        self.readable_by_own_pages(headers, response.headers_mut());
        response
    }

    /// Lets the applications' own pages read an answer across origins, and nobody else.
    pub(super) fn readable_by_own_pages(&self, asked: &HeaderMap, out: &mut HeaderMap) {
        let hosts = self.sign_in.hosts();
        if let Some(origin) = asked.get(ORIGIN).filter(|origin| hosts.is_origin(origin.as_bytes())) {
            out.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            out.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            out.insert(VARY, HeaderValue::from_static("Origin"));
        }
    }

    /// 401: the session ended while the application took its time. Nobody knows what it did by then.
    pub fn session_over(&self, asker: Asker, host: &str, request_id: &str) -> Response<Bytes> {
        const REASON: &str = "session_ended";
        let mut response = match asker {
            Asker::Script => self.not_signed_in(&HeaderMap::new(), host, request_id),
            Asker::Page | Asker::Form | Asker::Frame => {
                let href = self.link("sign-in", &[]);
                FrameNotice { setting: self.setting(""), href: &href }.render(REASON).into_response()
            }
        };
        response.headers_mut().insert(super::pages::X_ANTEROOM, HeaderValue::from_static(REASON));
        response
    }

    /// 401 with the application's own challenge, for clients that are no browsers. Never a redirect.
    pub fn native_challenge(&self, challenge: &NativeChallenge, request_id: &str) -> Response<Bytes> {
        let body = json!({
            "error": "credential_required",
            "message": "Send the application's own credential.",
            "reference": request_id,
        });
        let mut response = json(StatusCode::UNAUTHORIZED, "credential_required", &body);
        if let NativeChallenge::Header(value) = challenge {
            response.headers_mut().insert(WWW_AUTHENTICATE, value.clone());
        }
        response
    }

    /// 403: `session`'s role is below the one that the route asks for. The page names both.
    pub fn role_missing(
        &self,
        session: &Session,
        needed: RequiredRole,
        asker: Asker,
        request_id: &str,
    ) -> Response<Bytes> {
        const REASON: &str = "role_missing";
        if asker == Asker::Script {
            return self.refusal(StatusCode::FORBIDDEN, REASON, asker, request_id);
        }
        let identity = session.identity();
        let page = Denied {
            setting: self.setting(request_id),
            email: identity.email.as_str(),
            role: needed.name().unwrap_or_default(),
            other_account_href: &self.link("sign-out", &[]),
        };
        page.render(REASON).into_response()
    }

    /// A refusal that signing in would not change: a page for a person, JSON for everybody else.
    pub fn refusal(&self, status: StatusCode, reason: &'static str, asker: Asker, request_id: &str) -> Response<Bytes> {
        let mut response = match asker {
            Asker::Script => {
                let message = status.canonical_reason().unwrap_or("Refused");
                json(status, reason, &json!({ "error": reason, "message": message, "reference": request_id }))
            }
            Asker::Page | Asker::Form | Asker::Frame => self.refusal_page(status, reason, request_id),
        };
        *response.status_mut() = status;
        response.headers_mut().insert(super::pages::X_ANTEROOM, HeaderValue::from_static(reason));
        response
    }

    fn refusal_page(&self, status: StatusCode, reason: &'static str, request_id: &str) -> Response<Bytes> {
        let setting = self.setting(request_id);
        let trouble = |why| Unavailable { setting, why, retry_href: "" }.render();
        let page = match status {
            StatusCode::NOT_FOUND => NotFound { setting }.render(),
            StatusCode::FORBIDDEN => CrossSite { setting }.render(reason),
            StatusCode::MISDIRECTED_REQUEST => Misdirected { setting }.render(),
            StatusCode::BAD_GATEWAY => trouble(UpstreamTrouble::Unreachable),
            StatusCode::GATEWAY_TIMEOUT => trouble(UpstreamTrouble::Timeout),
            StatusCode::SERVICE_UNAVAILABLE => trouble(UpstreamTrouble::Busy),
            status if status.is_server_error() => ServerError { setting, retry_href: "/" }.render(),
            _ => BadRequest { setting }.render(reason),
        };
        page.into_response()
    }

    /// A refusal at an own path, recorded.
    pub(super) fn reject(&self, visit: &Visit, status: StatusCode, reason: &'static str) -> Response<Bytes> {
        let name = match visit.path.as_str() {
            _ if status == StatusCode::NOT_FOUND => "path.denied",
            "sign-out" => "logout.rejected",
            path if path.starts_with(super::provider_logout::BACK)
                || path.starts_with(super::provider_logout::FRONT) =>
            {
                "logout.rejected"
            }
            "me" => "browser.denied",
            _ => "login.rejected",
        };
        let event = Event::new(name, Outcome::Failure, reason).from_client(visit.client, &visit.request_id);
        self.audit.record_frequent(event);
        self.refusal(status, reason, visit.asker, &visit.request_id)
    }

    /// 500: a mistake of ours. The log has the cause.
    pub fn internal_error(&self, request_id: &str) -> Response<Bytes> {
        ServerError { setting: self.setting(request_id), retry_href: "/" }.render().into_response()
    }
}

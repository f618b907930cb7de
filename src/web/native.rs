//! Refusals of the application's own credentials and sign-in.

use bytes::Bytes;
use http::header::{HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use serde_json::json;

use crate::gate::Asker;
use crate::legacy::UserName;

use super::pages::{NativeRefused, TooManyTries};
use super::site::{Site, json};

/// Why a credential of the application, or a sign-in there, does not go on.
#[derive(Clone, Debug)]
pub struct NativeRefusal {
    pub status: StatusCode,
    /// A stable code.
    pub reason: &'static str,
    /// Whose it is, if that could be read.
    pub name: Option<UserName>,
    /// Seconds until another try.
    pub retry_after: Option<u64>,
}

impl NativeRefusal {
    /// A refusal of nobody known.
    pub const fn new(status: StatusCode, reason: &'static str) -> Self {
        Self { status, reason, name: None, retry_after: None }
    }
}

impl Site {
    /// The answer to a refused credential or sign-in: for a person a page, with a way to the sign-in where there is one.
    pub fn native_refused(
        &self,
        refusal: &NativeRefusal,
        asker: Asker,
        host: &str,
        request_id: &str,
    ) -> Response<Bytes> {
        let NativeRefusal { status, reason, name, retry_after } = refusal;
        let (setting, browser) = (self.setting(request_id), asker != Asker::Script);
        let hint = name.as_ref().and_then(UserName::address).map_or("", |address| address.as_str());
        let sign_in = format!("{}{}", self.origin(host), self.link("sign-in", &[("login_hint", hint)]));
        let mut response = match (*status, browser) {
            (StatusCode::FORBIDDEN, true) => {
                let deactivated = *reason == "user_deactivated";
                let page = NativeRefused { setting, deactivated, sign_in_href: &sign_in };
                page.render(reason).into_response()
            }
            (StatusCode::TOO_MANY_REQUESTS, true) => {
                let secs = u32::try_from(retry_after.unwrap_or(1)).unwrap_or(u32::MAX);
                TooManyTries { setting, retry_after_secs: secs, retry_href: "/" }.render().into_response()
            }
            (status, true) => self.refusal(status, reason, asker, request_id),
            (status, false) => {
                let message = match *reason {
                    "sso_required" => {
                        "This user signs in at their company's identity provider: send the browser to sign_in_url. A \
                         program needs a service identity of its own, whose user name is no e-mail address."
                    }
                    "user_deactivated" => "This user was deactivated.",
                    "credential_malformed" => "The Authorization header can be read in two ways, or in none.",
                    "sign_in_throttled" => "Too many failed sign-ins from this network. No account is locked.",
                    _ => "The sign-in can be read in two ways, or in none.",
                };
                let mut body = json!({ "error": reason, "message": message, "reference": request_id });
                if *reason == "sso_required"
                    && let Some(body) = body.as_object_mut()
                {
                    body.insert("sign_in_url".to_owned(), sign_in.into());
                }
                json(status, reason, &body)
            }
        };
        response.headers_mut().insert(super::pages::X_ANTEROOM, HeaderValue::from_static(reason));
        if let Some(secs) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(*secs));
        }
        response
    }
}

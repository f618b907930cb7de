//! Answers: the few shapes that the application and the providers need.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, SET_COOKIE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;
pub(crate) type Reply = Response<Body>;

/// `Content-Security-Policy` of a page without scripts and without a form that leaves its origin.
pub(crate) const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                                      base-uri 'none'; frame-ancestors 'none'";

/// An answer with a body held in memory, never cached unless the caller says so.
pub(crate) fn bytes(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()).boxed_unsync());
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

pub(crate) fn html(status: StatusCode, page: String) -> Reply {
    bytes(status, "text/html; charset=utf-8", page)
        .with(CONTENT_SECURITY_POLICY, PAGE_POLICY)
        .with(REFERRER_POLICY, "same-origin")
}

pub(crate) fn json(status: StatusCode, value: &serde_json::Value) -> Reply {
    bytes(status, "application/json", value.to_string())
}

pub(crate) fn text(status: StatusCode, text: &str) -> Reply {
    bytes(status, "text/plain; charset=utf-8", format!("{text}\n"))
}

/// A stylesheet or script that is part of the program.
pub(crate) fn asset(content_type: &'static str, body: &'static str) -> Reply {
    bytes(StatusCode::OK, content_type, body).with(CACHE_CONTROL, "max-age=60")
}

/// 303: whatever the method was, the next request is a GET.
pub(crate) fn see_other(location: &str) -> Reply {
    bytes(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", Bytes::new()).with(LOCATION, location)
}

/// Small additions to an answer. A value that is no header value is left out: the demo builds all of them from
/// text that has been through a URL or HTML writer.
pub(crate) trait With: Sized {
    fn with(self, name: HeaderName, value: &str) -> Self;
    fn with_cookie(self, name: &str, value: &str) -> Self;
    fn without_cookie(self, name: &str) -> Self;
}

impl With for Reply {
    fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers_mut().insert(name, value);
        }
        self
    }

    fn with_cookie(mut self, name: &str, value: &str) -> Self {
        // No `Secure`: the demo speaks plain http, and not every client takes loopback for a secure origin.
        if let Ok(cookie) = HeaderValue::from_str(&format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax")) {
            self.headers_mut().append(SET_COOKIE, cookie);
        }
        self
    }

    fn without_cookie(mut self, name: &str) -> Self {
        if let Ok(cookie) = HeaderValue::from_str(&format!("{name}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0")) {
            self.headers_mut().append(SET_COOKIE, cookie);
        }
        self
    }
}

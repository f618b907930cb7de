//! "Portal": the legacy application. It has its own users, its own sign-in page and its own session cookie, and one
//! line that was added for the sidecar: where `X-Forwarded-User` is present, that is who is there.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::{ALLOW, CONTENT_SECURITY_POLICY, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use crate::app_pages;
use crate::memory::Memory;
use crate::reply::{self, Reply, With as _};
use crate::request::{self, Asked, Params};
use crate::server::Site;

pub(crate) const SESSION_COOKIE: &str = "LEGACYSESSID";
/// The service identity of the API, and its password.
pub(crate) const SERVICE: (&str, &str) = ("svc-billing", "demo-billing-password");
/// The application's own users: name, password, whether an administrator.
pub(crate) const NATIVE_USERS: [(&str, &str, bool); 2] = [("aarcher", "portal", true), ("bbaker", "portal", false)];

const SESSION_LIFE: u64 = 8 * 3600;
const STYLE: &str = include_str!("portal.css");
const SCRIPT: &str = include_str!("portal.js");
/// Events of `/events`, one a second.
const POSTINGS: [&str; 5] = [
    "2041 Northwind, 1 250.00, posted",
    "2042 Contoso, 89.90, posted",
    "2043 Fabrikam, 12 400.00, waiting for approval",
    "2044 Tailspin, 310.50, posted",
    "Day closed",
];

pub(crate) struct App {
    /// Index into [`NATIVE_USERS`].
    sessions: Memory<usize>,
}

/// Who looks at a page, and how the application knows.
pub(crate) struct Viewer {
    pub(crate) name: String,
    pub(crate) is_admin: bool,
    pub(crate) known_by: KnownBy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KnownBy {
    /// Identity headers of the sidecar in front.
    Headers,
    /// The application's own session cookie.
    OwnSession,
}

impl App {
    pub(crate) fn new() -> Self {
        Self { sessions: Memory::new(SESSION_LIFE) }
    }

    /// The application trusts the header without a look at anything else: whoever can reach its port can claim to be
    /// anybody. That is why only the sidecar may reach it.
    fn viewer(&self, asked: &Asked, now: u64) -> Option<Viewer> {
        let headers = asked.headers();
        if let Some(user) = request::header(headers, "x-forwarded-user") {
            let role = request::header(headers, "x-anteroom-role").unwrap_or_default();
            return Some(Viewer {
                // Bytes beyond ASCII arrive percent-encoded.
                name: percent_decode_str(user).decode_utf8_lossy().into_owned(),
                is_admin: matches!(role, "Admin" | "EnterpriseAdmin"),
                known_by: KnownBy::Headers,
            });
        }
        let index = self.sessions.get(request::cookie(headers, SESSION_COOKIE)?, now)?;
        let (name, _, is_admin) = NATIVE_USERS.get(index)?;
        Some(Viewer { name: (*name).to_owned(), is_admin: *is_admin, known_by: KnownBy::OwnSession })
    }

    /// The application's own sign-in page. Somebody whom it knows already has no business there.
    fn sign_in_page(&self, asked: &Asked, now: u64) -> Reply {
        if self.viewer(asked, now).is_some() {
            return reply::see_other("/");
        }
        reply::html(StatusCode::OK, app_pages::sign_in(None))
    }

    fn sign_in(&self, asked: &Asked, now: u64) -> Reply {
        let form = Params::parse(asked.body()).unwrap_or_default();
        let (user, password) = (form.get("username").unwrap_or_default(), form.get("password").unwrap_or_default());
        let found = NATIVE_USERS.iter().position(|(name, secret, _)| *name == user && same(password, secret));
        match found.and_then(|index| self.sessions.put(index, now)) {
            Some(session) => reply::see_other("/").with_cookie(SESSION_COOKIE, &session),
            None => reply::html(StatusCode::UNAUTHORIZED, app_pages::sign_in(Some("User name or password is wrong."))),
        }
    }

    fn sign_out(&self, asked: &Asked, now: u64) -> Reply {
        if let Some(session) = request::cookie(asked.headers(), SESSION_COOKIE) {
            self.sessions.take(session, now);
        }
        reply::see_other("/login").without_cookie(SESSION_COOKIE)
    }

    fn api(&self, asked: &Asked, now: u64) -> Reply {
        let by_password = request::basic(asked.headers())
            .filter(|(user, password)| user == SERVICE.0 && same(password, SERVICE.1))
            .map(|(user, _)| user);
        // Credentials that are wrong do not fall back to a session.
        let caller = if asked.headers().contains_key("authorization") {
            by_password
        } else {
            self.viewer(asked, now).map(|viewer| viewer.name)
        };
        let Some(caller) = caller else {
            return reply::json(StatusCode::UNAUTHORIZED, &json!({ "error": "credentials missing or wrong" }))
                .with(WWW_AUTHENTICATE, "Basic realm=\"portal\"");
        };
        match asked.uri().path() {
            "/api/invoices" => reply::json(
                StatusCode::OK,
                &json!({ "caller": caller, "invoices": [
                    { "number": 2041, "customer": "Northwind", "amount": "1250.00" },
                    { "number": 2042, "customer": "Contoso", "amount": "89.90" },
                ] }),
            ),
            _ => reply::json(StatusCode::NOT_FOUND, &json!({ "error": "no such resource" })),
        }
    }

    /// Pages for people: without a session of its own or identity headers, the application's own sign-in page.
    fn page(&self, asked: &Asked, now: u64) -> Reply {
        let Some(viewer) = self.viewer(asked, now) else {
            return reply::see_other("/login");
        };
        match asked.uri().path() {
            "/" => {
                let policy = format!("{}; script-src 'self'; connect-src 'self'", reply::PAGE_POLICY);
                reply::html(StatusCode::OK, app_pages::home(&viewer, asked.headers()))
                    .with(CONTENT_SECURITY_POLICY, &policy)
            }
            "/admin/" if viewer.is_admin => reply::html(StatusCode::OK, app_pages::admin(&viewer)),
            "/admin/" => reply::html(StatusCode::FORBIDDEN, app_pages::problem("That page is for administrators.")),
            "/events" => events(),
            _ => reply::html(StatusCode::NOT_FOUND, app_pages::problem("There is no such page.")),
        }
    }
}

impl Site for App {
    fn answer(&self, asked: &Asked, now: u64) -> Reply {
        match (asked.method(), asked.uri().path()) {
            (&Method::GET, "/assets/portal.css") => reply::asset("text/css; charset=utf-8", STYLE),
            (&Method::GET, "/assets/portal.js") => reply::asset("text/javascript; charset=utf-8", SCRIPT),
            (&Method::GET, "/login") => self.sign_in_page(asked, now),
            (&Method::POST, "/login") => self.sign_in(asked, now),
            (&Method::GET | &Method::POST, "/logout") => self.sign_out(asked, now),
            (_, path) if path.starts_with("/api/") => self.api(asked, now),
            (&Method::GET, _) => self.page(asked, now),
            _ => reply::text(StatusCode::METHOD_NOT_ALLOWED, "Only GET.").with(ALLOW, "GET"),
        }
    }
}

/// Server-sent events: shows that answers are streamed through the proxy and not collected.
fn events() -> Reply {
    let body = stream::unfold(0, |sent| async move {
        let posting = POSTINGS.get(sent)?;
        if sent > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let next = sent.saturating_add(1);
        let kind = if next == POSTINGS.len() { "close" } else { "posting" };
        let event = Bytes::from(format!("event: {kind}\ndata: {posting}\n\n"));
        Some((Ok::<_, Infallible>(Frame::data(event)), next))
    });
    let mut reply = reply::bytes(StatusCode::OK, "text/event-stream", Bytes::new());
    *reply.body_mut() = StreamBody::new(body).boxed_unsync();
    reply
}

fn same(given: &str, expected: &str) -> bool {
    given.as_bytes().ct_eq(expected.as_bytes()).into()
}

/// The claims inside the signed assertion, for display. A real application verifies the signature first, with the
/// keys at `/.anteroom/jwks.json`.
pub(crate) fn claims_unverified(assertion: &str) -> Option<Value> {
    use base64::Engine as _;
    let payload = assertion.split('.').nth(1)?;
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

#[cfg(test)]
mod tests;

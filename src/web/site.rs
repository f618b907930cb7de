//! What all own answers are made with.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::header::{HeaderValue, LOCATION, REFERRER_POLICY, SET_COOKIE};
use http::{Response, StatusCode};
use tokio::sync::Semaphore;

use crate::audit::{Audit, Event, Outcome};
use crate::base::clock::Clock;
use crate::base::query::with_query;
use crate::base::return_to::ReturnTo;
use crate::config::{Config, OwnHost};
use crate::session::{Assertions, Cookies, SessionKey, SessionStore};
use crate::signin::{SignIn, Visitor};

use super::limit::{BAD_ANSWERS, BAD_MESSAGES, Failures, KEPT_POSTS, LOOKUPS, Limit, UnderWay};
use super::pages::{Setting, X_ANTEROOM};

/// Forms that are read at a time to be kept: each takes up to 64 KB of memory, from anybody who asks.
const READING: usize = 64;

/// SAML messages that are read at a time, of one source (an office behind one address, each for a fraction of a second)
/// and of all: each may be half a MB.
const UPLOADS_OF_ONE: usize = 32;
const UPLOADS: usize = 512;

/// The own site of one Anteroom.
pub struct Site {
    pub(super) sign_in: SignIn,
    pub(super) sessions: SessionStore,
    pub(super) audit: Arc<Audit>,
    pub(super) clock: Clock,
    pub(super) lookups: Limit,
    pub(super) kept_posts: Limit,
    /// Forms that are read to be kept, at a time.
    pub(super) reading: Semaphore,
    /// SAML messages that are read at a time, by source.
    pub(super) uploads: UnderWay,
    pub(super) bad_messages: Failures,
    pub(super) bad_answers: Failures,
    pub(super) bad_logouts: Failures,
    cookies: Cookies,
    assertions: Option<Arc<Assertions>>,
    prefix: String,
    insecure_http: bool,
}

impl Site {
    /// Puts the site together.
    pub fn new(
        config: &Config,
        sign_in: SignIn,
        cookies: Cookies,
        sessions: SessionStore,
        assertions: Option<Arc<Assertions>>,
        audit: Arc<Audit>,
        clock: Clock,
    ) -> Self {
        Self {
            sign_in,
            sessions,
            audit,
            lookups: Limit::new(LOOKUPS, clock.clone()),
            kept_posts: Limit::new(KEPT_POSTS, clock.clone()),
            reading: Semaphore::new(READING),
            uploads: UnderWay::new(UPLOADS_OF_ONE, UPLOADS),
            bad_messages: Failures::new(BAD_MESSAGES, clock.clone()),
            bad_answers: Failures::new(BAD_ANSWERS, clock.clone()),
            bad_logouts: Failures::new(BAD_MESSAGES, clock.clone()),
            clock,
            cookies,
            assertions,
            prefix: config.server.prefix.clone(),
            // All hosts are alike in this.
            insecure_http: !config.server.public_url.secure_cookies(),
        }
    }

    /// Sign-in and sign-out as moves.
    pub fn sign_in(&self) -> &SignIn {
        &self.sign_in
    }

    /// Our cookies.
    pub fn cookies(&self) -> &Cookies {
        &self.cookies
    }

    /// The signed assertions, unless they are switched off.
    pub fn assertions(&self) -> Option<&Arc<Assertions>> {
        self.assertions.as_ref()
    }

    /// What is known of the host that was asked.
    pub fn host(&self, name: &str) -> &OwnHost {
        self.sign_in.host(name)
    }

    /// `scheme://host[:port]` of the host that was asked.
    pub(super) fn origin(&self, host: &str) -> &str {
        self.host(host).origin()
    }

    /// The application's own sign-out link was followed: our session ends too.
    pub async fn app_signed_out(&self, key: &SessionKey, visitor: Visitor<'_>) {
        self.sign_in.app_signed_out(key, visitor).await;
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn setting<'a>(&'a self, reference: &'a str) -> Setting<'a> {
        Setting { prefix: &self.prefix, reference, insecure_http: self.insecure_http }
    }

    /// The target of `rd`, or the root; a refused one is recorded (R01–R08).
    pub(super) fn return_to(&self, rd: Option<&str>, visitor: Visitor<'_>) -> ReturnTo {
        let Some(rd) = rd else { return ReturnTo::root() };
        self.sign_in.read_target(visitor.host, rd).unwrap_or_else(|rejected| {
            self.audit.record_frequent(
                Event::new("redirect.rejected", Outcome::Failure, rejected.reason())
                    .from_client(visitor.client, visitor.request_id),
            );
            ReturnTo::root()
        })
    }

    /// `<prefix>/<path>?<name>=<value>…`, values escaped; empty values are left out.
    pub(super) fn link(&self, path: &str, query: &[(&str, &str)]) -> String {
        with_query(format!("{}/{path}", self.prefix), query)
    }
}

/// A redirect that no cache keeps and no referrer leaks (R10); 303, so that a POST is never repeated elsewhere.
pub(super) fn redirect(location: &str, reason: &'static str, cookies: Vec<HeaderValue>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(LOCATION, HeaderValue::from_str(location).unwrap_or(HeaderValue::from_static("/")));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_ANTEROOM, HeaderValue::from_static(reason));
    with_cookies(response, cookies)
}

/// A JSON answer that no cache keeps.
pub(super) fn json(status: StatusCode, reason: &'static str, body: &serde_json::Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_ANTEROOM, HeaderValue::from_static(reason));
    response
}

/// The answer with cookies added.
pub(super) fn with_cookies(mut response: Response<Bytes>, cookies: Vec<HeaderValue>) -> Response<Bytes> {
    for cookie in cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

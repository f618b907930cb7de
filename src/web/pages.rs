//! HTML pages. Every page is a struct with public fields and `render`, which gives a [`Page`]: fixed template, everything
//! inserted is escaped, one inline style sheet that the policy names by its hash, and no script but the one that posts a form (security cases G5, W01, W06).

use std::sync::LazyLock;

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use url::Url;

pub mod catalogue;
mod refusals;
mod signing_in;

pub use refusals::{
    BadRequest, CrossSite, Denied, FrameNotice, LogoutRefused, Misdirected, NativeRefused, NotFound, NotSent, PostKept,
    ServerError, SignInAgain, Unavailable, UpstreamTrouble,
};
pub use signing_in::{
    ConnectorChoice, EmailError, FrontChannelDone, KeptGone, Loop, Mismatch, Resend, SignIn, SignInFailed, SignOutAsk,
    SignedOut, ToProvider, TooManyTries, UnknownDomain,
};

/// Why Anteroom answered by itself: `X-Anteroom: <reason>`.
pub const X_ANTEROOM: HeaderName = HeaderName::from_static("x-anteroom");

/// The style sheet, inline in every page.
pub(crate) const STYLE: &str = include_str!("../../templates/style.css");

/// Posts the page's one form. Without scripts its button does.
pub(crate) const POST_AT_ONCE: &str = "document.forms[0].submit()";

/// What every page is told of its surroundings.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// The own prefix without a slash at its end.
    pub prefix: &'a str,
    /// The request id, shown on pages of failure so that support finds the log line; empty: not shown.
    pub reference: &'a str,
    /// `server.insecure_http`: the page warns.
    pub insecure_http: bool,
}

/// A rendered page, not yet a response.
#[derive(Debug)]
pub struct Page {
    status: StatusCode,
    reason: &'static str,
    html: String,
    /// None: no form. Otherwise the origins beside our own at which one may end.
    form: Option<Vec<String>>,
    script: bool,
    frames: Frames,
    retry_after: Option<u32>,
}

/// Whose pages may have this one in a frame (W01).
#[derive(Debug)]
enum Frames {
    Nobody,
    Anybody,
    Origins(Vec<String>),
}

impl Page {
    fn new(template: &impl Template, status: StatusCode, reason: &'static str) -> Self {
        // Writing into a String cannot fail; should a template ever do, its visitor still gets an answer.
        let html =
            template.render().unwrap_or_else(|_| String::from("<!doctype html><title>Error</title><h1>Error</h1>"));
        Self { status, reason, html, form: None, script: false, frames: Frames::Nobody, retry_after: None }
    }

    /// The page has a form. It posts to an own path, and the answer may redirect to `origins`: Chromium holds
    /// `form-action` against the whole chain.
    fn with_form(mut self, origins: &[&str]) -> Self {
        self.form = Some(origins.iter().filter(|o| is_origin(o)).map(|o| (*o).to_owned()).collect());
        self
    }

    /// The page has a form that goes to the application, whose answer may redirect anywhere: to a payment page, say.
    /// Chromium would stop that redirect, and the person would send a second time.
    fn with_form_to_app(mut self) -> Self {
        self.form = Some(vec!["https:".to_owned()]);
        self
    }

    /// The same for a form that goes to `url`, also where that is plain http.
    fn with_form_to(mut self, url: &str) -> Self {
        let origin = Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        self.form = Some(std::iter::once("https:".to_owned()).chain(Some(origin).filter(|o| is_origin(o))).collect());
        self
    }

    /// The page has the one script that there is.
    fn posting_itself(mut self) -> Self {
        self.script = true;
        self
    }

    fn framable(mut self) -> Self {
        self.frames = Frames::Anybody;
        self
    }

    /// Pages of `origins` alone may frame it; of none: nobody.
    fn framable_by(mut self, origins: &[String]) -> Self {
        let origins: Vec<String> = origins.iter().filter(|origin| is_origin(origin)).cloned().collect();
        self.frames = if origins.is_empty() { Frames::Nobody } else { Frames::Origins(origins) };
        self
    }

    fn retry_after(mut self, secs: Option<u32>) -> Self {
        self.retry_after = secs;
        self
    }

    /// The status that the page goes out with.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The reason code in `X-Anteroom`.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// The page's HTML.
    pub fn html(&self) -> &str {
        &self.html
    }

    /// The complete answer. A caller may add cookies and the request id; it takes nothing away.
    pub fn into_response(self) -> Response<Bytes> {
        let policy = self.policy();
        let mut response = Response::new(Bytes::from(self.html));
        *response.status_mut() = self.status;
        let headers: &mut HeaderMap = response.headers_mut();
        let fixed = |headers: &mut HeaderMap, name: HeaderName, value| {
            headers.insert(name, HeaderValue::from_static(value));
        };
        fixed(headers, header::CONTENT_TYPE, "text/html; charset=utf-8");
        fixed(headers, header::CACHE_CONTROL, "no-store");
        fixed(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        // no-referrer would make a form's Origin null, and our own POSTs are accepted by Origin.
        fixed(headers, header::REFERRER_POLICY, if self.form.is_some() { "same-origin" } else { "no-referrer" });
        fixed(headers, X_ANTEROOM, self.reason);
        // Knows no list of origins; browsers that know frame-ancestors look at that alone.
        if matches!(self.frames, Frames::Nobody) {
            fixed(headers, header::X_FRAME_OPTIONS, "DENY");
        }
        if let Ok(policy) = HeaderValue::from_maybe_shared(Bytes::from(policy)) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        if let Some(secs) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        response
    }

    fn policy(&self) -> String {
        static STYLE_HASH: LazyLock<String> = LazyLock::new(|| hash(STYLE));
        let mut policy = format!("default-src 'none'; style-src 'sha256-{}'; base-uri 'none'", *STYLE_HASH);
        if self.script {
            static SCRIPT_HASH: LazyLock<String> = LazyLock::new(|| hash(POST_AT_ONCE));
            policy.push_str(&format!("; script-src 'sha256-{}'", *SCRIPT_HASH));
        }
        match &self.form {
            None => policy.push_str("; form-action 'none'"),
            Some(origins) => {
                policy.push_str("; form-action 'self'");
                for origin in origins {
                    policy.push(' ');
                    policy.push_str(origin);
                }
            }
        }
        match &self.frames {
            Frames::Nobody => policy.push_str("; frame-ancestors 'none'"),
            Frames::Anybody => {}
            Frames::Origins(origins) => {
                policy.push_str("; frame-ancestors");
                for origin in origins {
                    policy.push(' ');
                    policy.push_str(origin);
                }
            }
        }
        policy
    }
}

fn hash(text: &str) -> String {
    STANDARD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()))
}

/// `https://host[:port]`, and nothing that would end a directive or begin another. Origins of end points come from a
/// provider's metadata.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|h| !h.is_empty() && h.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b)))
}

/// A link that is a path here or a web address; anything else (`javascript:`, `//host`) becomes `/`. Callers pass links
/// that they made themselves, so this is the second lock on the door.
pub(crate) fn href(link: &str) -> &str {
    let bytes = link.as_bytes();
    let path = bytes.first() == Some(&b'/') && !matches!(bytes.get(1), Some(b'/' | b'\\'));
    let web = link.starts_with("https://") || link.starts_with("http://");
    let clean = bytes.iter().all(|b| b.is_ascii_graphic() && *b != b'\\');
    if clean && (path || web) { link } else { "/" }
}

#[cfg(test)]
mod tests;

//! Pages that answer a request in place of the application.

use askama::Template;
use http::StatusCode;

use super::{Page, Setting};

/// A form arrived without a session: it was not passed on, and is not replayed (W04).
#[derive(Template)]
#[template(path = "not_sent.html")]
pub struct NotSent<'a> {
    pub setting: Setting<'a>,
    /// It would have been kept, had it been smaller.
    pub too_large: bool,
    pub sign_in_href: &'a str,
}

impl NotSent<'_> {
    /// 401
    pub fn render(&self) -> Page {
        Page::new(self, StatusCode::UNAUTHORIZED, "not_sent")
    }
}

/// A form arrived without a session, and is kept: after the sign-in [`Resend`] sends it.
#[derive(Template)]
#[template(path = "post_kept.html")]
pub struct PostKept<'a> {
    pub setting: Setting<'a>,
    /// How long it is kept.
    pub minutes: u64,
    /// There is a session, and the route asks for more.
    pub again: bool,
    pub sign_in_href: &'a str,
}

impl PostKept<'_> {
    /// 401
    pub fn render(&self) -> Page {
        Page::new(self, StatusCode::UNAUTHORIZED, "post_kept")
    }
}

/// The only page that anybody may frame (W01): fixed, names nobody, takes no input, has one link to the top.
#[derive(Template)]
#[template(path = "frame_notice.html")]
pub struct FrameNotice<'a> {
    pub setting: Setting<'a>,
    pub href: &'a str,
}

impl FrameNotice<'_> {
    /// 401
    pub fn render(&self, reason: &'static str) -> Page {
        Page::new(self, StatusCode::UNAUTHORIZED, reason).framable()
    }
}

/// Signed in, and the route asks for a newer or stronger sign-in (E13).
#[derive(Template)]
#[template(path = "sign_in_again.html")]
pub struct SignInAgain<'a> {
    pub setting: Setting<'a>,
    /// The sign-in is too long ago; otherwise it was not strong enough.
    pub too_old: bool,
    /// There was a sign-in just now, and it was not enough.
    pub again: bool,
    /// A form was sent, which is still in this tab.
    pub sent: bool,
    pub sign_in_href: &'a str,
}

impl SignInAgain<'_> {
    /// 401
    pub fn render(&self) -> Page {
        Page::new(self, StatusCode::UNAUTHORIZED, "step_up_required")
    }
}

/// Signed in, and the route asks for more.
#[derive(Template)]
#[template(path = "denied.html")]
pub struct Denied<'a> {
    pub setting: Setting<'a>,
    pub email: &'a str,
    /// The role that the route asks for; empty: not said.
    pub role: &'a str,
    pub other_account_href: &'a str,
}

impl Denied<'_> {
    /// 403
    pub fn render(&self, reason: &'static str) -> Page {
        Page::new(self, StatusCode::FORBIDDEN, reason)
    }
}

/// A sign-in with a password of the application, of somebody who has another way in, or none (N05, N06).
#[derive(Template)]
#[template(path = "native_refused.html")]
pub struct NativeRefused<'a> {
    pub setting: Setting<'a>,
    /// The person was deactivated; otherwise they sign in at a provider.
    pub deactivated: bool,
    pub sign_in_href: &'a str,
}

impl NativeRefused<'_> {
    /// 403
    pub fn render(&self, reason: &'static str) -> Page {
        Page::new(self, StatusCode::FORBIDDEN, reason)
    }

    fn headline(&self) -> &'static str {
        if self.deactivated { "This account is deactivated" } else { "Sign in with your company" }
    }
}

/// A form or link of somebody else's page: what it asked for was not done.
#[derive(Template)]
#[template(path = "cross_site.html")]
pub struct CrossSite<'a> {
    pub setting: Setting<'a>,
}

impl CrossSite<'_> {
    /// 403
    pub fn render(&self, reason: &'static str) -> Page {
        Page::new(self, StatusCode::FORBIDDEN, reason)
    }
}

/// Nothing at this own path (P09).
#[derive(Template)]
#[template(path = "not_found.html")]
pub struct NotFound<'a> {
    pub setting: Setting<'a>,
}

impl NotFound<'_> {
    /// 404
    pub fn render(&self) -> Page {
        Page::new(self, StatusCode::NOT_FOUND, "not_found")
    }
}

/// The request was refused for its form.
#[derive(Template)]
#[template(path = "bad_request.html")]
pub struct BadRequest<'a> {
    pub setting: Setting<'a>,
}

impl BadRequest<'_> {
    /// 400
    pub fn render(&self, reason: &'static str) -> Page {
        Page::new(self, StatusCode::BAD_REQUEST, reason)
    }
}

/// A message of single logout was refused.
#[derive(Template)]
#[template(path = "logout_refused.html")]
pub struct LogoutRefused<'a> {
    pub setting: Setting<'a>,
    /// It answers our own request: the session here is over. Otherwise the provider has asked for its end.
    pub is_answer: bool,
    pub provider: &'a str,
    pub sign_out_href: &'a str,
}

impl LogoutRefused<'_> {
    /// 400
    pub fn render(&self, reason: &'static str) -> Page {
        Page::new(self, StatusCode::BAD_REQUEST, reason)
    }
}

/// The host belongs to no application.
#[derive(Template)]
#[template(path = "misdirected.html")]
pub struct Misdirected<'a> {
    pub setting: Setting<'a>,
}

impl Misdirected<'_> {
    /// 421
    pub fn render(&self) -> Page {
        Page::new(self, StatusCode::MISDIRECTED_REQUEST, "misdirected")
    }
}

/// The upstream gave no answer that could be passed on.
#[derive(Template)]
#[template(path = "unavailable.html")]
pub struct Unavailable<'a> {
    pub setting: Setting<'a>,
    pub why: UpstreamTrouble,
    /// The page that was asked for; only of a GET.
    pub retry_href: &'a str,
}

/// What was wrong with the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamTrouble {
    /// 502: no connection, or an answer that is no HTTP.
    Unreachable,
    /// 503: something that the answer depends on is away for the moment.
    Busy,
    /// 504: no answer in time.
    Timeout,
}

impl UpstreamTrouble {
    fn text(self) -> &'static str {
        match self {
            Self::Unreachable => "We asked the application behind this page and got no usable answer.",
            Self::Busy => "The application cannot be served at the moment. It may be starting, or very busy.",
            Self::Timeout => "The application behind this page took too long to answer.",
        }
    }
}

impl Unavailable<'_> {
    /// 502, 503 with Retry-After, or 504.
    pub fn render(&self) -> Page {
        let (status, reason, retry) = match self.why {
            UpstreamTrouble::Unreachable => (StatusCode::BAD_GATEWAY, "upstream_unreachable", None),
            UpstreamTrouble::Busy => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", Some(5)),
            UpstreamTrouble::Timeout => (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", None),
        };
        Page::new(self, status, reason).retry_after(retry)
    }
}

/// A mistake of ours. The log has the cause, the page only the reference.
#[derive(Template)]
#[template(path = "server_error.html")]
pub struct ServerError<'a> {
    pub setting: Setting<'a>,
    pub retry_href: &'a str,
}

impl ServerError<'_> {
    /// 500
    pub fn render(&self) -> Page {
        Page::new(self, StatusCode::INTERNAL_SERVER_ERROR, "internal_error")
    }
}

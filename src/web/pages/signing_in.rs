//! The pages of signing in and out.

use askama::Template;
use http::StatusCode;

use super::catalogue::Words;
use super::{Page, Setting};

/// The first page: asks for the e-mail address. Posts `email`, `rd` and `for` to `<prefix>/sign-in/start`.
#[derive(Template)]
#[template(path = "sign_in.html")]
pub struct SignIn<'a> {
    pub setting: Setting<'a>,
    /// What the field holds already.
    pub email: &'a str,
    /// Where to go afterwards; empty: left out.
    pub rd: &'a str,
    /// What the sign-in is for beside that; empty: left out.
    pub purpose: &'a str,
    /// What was wrong with the address typed before.
    pub error: Option<EmailError>,
}

/// What was wrong with a typed address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailError {
    Empty,
    Invalid,
}

impl EmailError {
    fn text(self) -> &'static str {
        match self {
            Self::Empty => "Enter your e-mail address.",
            Self::Invalid => "This is not an e-mail address. It should look like name@company.com.",
        }
    }
}

impl SignIn<'_> {
    /// 200, or 400 with an error. `origins`: where the form may end, beside here.
    pub fn render(&self, origins: &[&str]) -> Page {
        let (status, reason) = match self.error {
            None => (StatusCode::OK, "sign_in"),
            Some(_) => (StatusCode::BAD_REQUEST, "email_invalid"),
        };
        Page::new(self, status, reason).with_form(origins)
    }
}

/// The second page: a button to the connector. The button is a link.
#[derive(Template)]
#[template(path = "connector_choice.html")]
pub struct ConnectorChoice<'a> {
    pub setting: Setting<'a>,
    pub email: &'a str,
    /// The connector's display name: "Microsoft" makes "Log in with Microsoft".
    pub connector: &'a str,
    pub href: &'a str,
    pub change_address_href: &'a str,
}

impl ConnectorChoice<'_> {
    /// 200
    pub fn render(&self) -> Page {
        Page::new(self, StatusCode::OK, "connector_choice")
    }
}

/// No connector for this domain. Names the domain alone, so it says nothing of single addresses (D01).
#[derive(Template)]
#[template(path = "unknown_domain.html")]
pub struct UnknownDomain<'a> {
    pub setting: Setting<'a>,
    pub domain: &'a str,
    pub change_address_href: &'a str,
}

impl UnknownDomain<'_> {
    /// 200: an answer to what was asked, like the page for a known domain.
    pub fn render(&self) -> Page {
        Page::new(self, StatusCode::OK, "domain_unknown")
    }
}

/// The limit of tries was hit (D05).
#[derive(Template)]
#[template(path = "too_many_tries.html")]
pub struct TooManyTries<'a> {
    pub setting: Setting<'a>,
    pub retry_after_secs: u32,
    pub retry_href: &'a str,
}

impl TooManyTries<'_> {
    /// 429 with Retry-After.
    pub fn render(&self) -> Page {
        Page::new(self, StatusCode::TOO_MANY_REQUESTS, "rate_limited").retry_after(Some(self.retry_after_secs))
    }

    fn wait(&self) -> String {
        match self.retry_after_secs {
            0..=1 => String::from("a second"),
            secs @ 2..=90 => format!("{secs} seconds"),
            secs => format!("{} minutes", secs.div_ceil(60)),
        }
    }
}

/// The provider signed in somebody else than was typed (R3). Nothing is decided yet. Posts `attempt` to
/// `<prefix>/sign-in/continue`.
#[derive(Template)]
#[template(path = "mismatch.html")]
pub struct Mismatch<'a> {
    pub setting: Setting<'a>,
    pub typed: &'a str,
    pub verified: &'a str,
    /// The connector's display name.
    pub connector: &'a str,
    /// The attempt's public id; empty: left out.
    pub attempt: &'a str,
    pub other_account_href: &'a str,
}

impl Mismatch<'_> {
    /// 200. `origins`: where the form may end, beside here.
    pub fn render(&self, origins: &[&str]) -> Page {
        Page::new(self, StatusCode::OK, "address_mismatch").with_form(origins)
    }
}

/// The sign-in ended without a session; [`catalogue`](super::catalogue) has the words.
#[derive(Template)]
#[template(path = "sign_in_failed.html")]
pub struct SignInFailed<'a> {
    pub setting: Setting<'a>,
    pub words: Words,
    /// Starts afresh.
    pub retry_href: &'a str,
    /// Names of attributes that did arrive, for the administrator who set the provider up; never a value.
    pub arrived: &'a [String],
}

impl SignInFailed<'_> {
    /// The status that the words carry: 400, 403 or 503. `reason` is the log's stable code.
    pub fn render(&self, reason: &'static str) -> Page {
        let retry_after = (self.words.status == StatusCode::SERVICE_UNAVAILABLE).then_some(10);
        Page::new(self, self.words.status, reason).retry_after(retry_after)
    }
}

/// The redirect loop was broken on its second pass.
#[derive(Template)]
#[template(path = "redirect_loop.html")]
pub struct Loop<'a> {
    pub setting: Setting<'a>,
    /// The name of the cookie that did not come back.
    pub cookie: &'a str,
    pub retry_href: &'a str,
}

impl Loop<'_> {
    /// 400
    pub fn render(&self) -> Page {
        Page::new(self, StatusCode::BAD_REQUEST, "redirect_loop")
    }
}

/// A form that takes the browser to a provider, by itself where scripts run.
#[derive(Template)]
#[template(path = "to_provider.html")]
pub struct ToProvider<'a> {
    pub setting: Setting<'a>,
    /// The connector's display name.
    pub connector: &'a str,
    /// An absolute URL.
    pub action: &'a str,
    pub fields: &'a [(&'static str, String)],
}

impl ToProvider<'_> {
    /// 200
    pub fn render(&self, reason: &'static str) -> Page {
        // Providers send a browser on to wherever their people sign in.
        Page::new(self, StatusCode::OK, reason).with_form_to(self.action).posting_itself()
    }
}

/// The end of a sign-out.
#[derive(Template)]
#[template(path = "signed_out.html")]
pub struct SignedOut<'a> {
    pub setting: Setting<'a>,
    /// The provider was not told, or did not answer (L14).
    pub provider_may_be_live: bool,
    /// The connector's display name; used only if `provider_may_be_live`.
    pub provider: &'a str,
    pub sign_in_href: &'a str,
}

impl SignedOut<'_> {
    /// 200
    pub fn render(&self) -> Page {
        Page::new(self, StatusCode::OK, "signed_out")
    }
}

/// The provider's sign-out page asked for the end of a session, in a frame of its own (front-channel logout). Says
/// nothing of whose.
#[derive(Template)]
#[template(path = "front_channel_done.html")]
pub struct FrontChannelDone<'a> {
    pub setting: Setting<'a>,
}

impl FrontChannelDone<'_> {
    /// 200. `origins`: those of the provider, which alone may frame the page (W01).
    pub fn render(&self, origins: &[String]) -> Page {
        Page::new(self, StatusCode::OK, "front_channel_logout").framable_by(origins)
    }
}

/// Asks before signing out: the request came from another site, or asks for the choice (L11). Posts to
/// `<prefix>/sign-out`, `everywhere=1` by the second button.
#[derive(Template)]
#[template(path = "sign_out_ask.html")]
pub struct SignOutAsk<'a> {
    pub setting: Setting<'a>,
    pub stay_href: &'a str,
}

impl SignOutAsk<'_> {
    /// 200. `origins`: the providers' end-session end points, to which the form's answer redirects.
    pub fn render(&self, origins: &[&str]) -> Page {
        Page::new(self, StatusCode::OK, "sign_out_ask").with_form(origins)
    }
}

/// After the sign-in: a kept form, and the button that sends it to the application.
#[derive(Template)]
#[template(path = "resend.html")]
pub struct Resend<'a> {
    pub setting: Setting<'a>,
    /// Where it goes, as the person reads it: without the query.
    pub path: &'a str,
    /// Where it goes.
    pub action: &'a str,
    /// Its fields in their order; the page counts them and shows none.
    pub fields: &'a [(String, String)],
    /// As whom it is sent.
    pub email: &'a str,
    /// Another person was signed in when it was entered.
    pub of_another: bool,
}

impl Resend<'_> {
    /// 200
    pub fn render(&self) -> Page {
        Page::new(self, StatusCode::OK, "resend").with_form_to_app()
    }
}

/// There is no kept form of this id for this browser, or not any more.
#[derive(Template)]
#[template(path = "kept_gone.html")]
pub struct KeptGone<'a> {
    pub setting: Setting<'a>,
}

impl KeptGone<'_> {
    /// 404
    pub fn render(&self, reason: &'static str) -> Page {
        Page::new(self, StatusCode::NOT_FOUND, reason)
    }
}

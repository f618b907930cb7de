//! Forms that arrive without a good session on a route that keeps them: what their sender is told, and the page that
//! sends them again after the sign-in (W04).
//!
//! Only a form that a page of the same origin sent is kept: one from elsewhere arrives without a session because no Lax
//! cookie comes with it, and to keep it would be to let anybody post in the person's name.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, REFERER};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::audit::{Event, Outcome};
use crate::base::app_log::error_chain;
use crate::base::clock::Timestamp;
use crate::base::id::Id;
use crate::base::return_to::{RESEND, ReturnTo};
use crate::gate::StepUp;
use crate::signin::{Kept, NotKept, POST_LIFETIME, PostClaim, UnsentPost, Visitor};

use super::form::{BadForm, collect};
use super::pages::{KeptGone, PostKept, Resend};
use super::refusal::Asked;
use super::router::Visit;
use super::site::{Site, with_cookies};

/// Bytes of a form that is kept.
const MAX_POST: usize = 64 * 1024;

/// A form that came to a route which keeps forms, from somebody who first has to sign in.
pub struct Unsent {
    pub app: Id,
    /// What else the route asks of the session that there is; none: there is no good session.
    pub step_up: Option<StepUp>,
    pub visit: Visit,
    pub at: Timestamp,
}

/// Why a form is not kept: the event's reason.
struct Refused(&'static str);

impl Site {
    /// Keeps the form if it may be kept, and tells its sender to sign in. The page is a 401 either way.
    pub async fn keep_post(&self, unsent: Unsent, request: Request<Incoming>) -> Response<Bytes> {
        let (parts, body) = request.into_parts();
        let visit = &unsent.visit;
        let kept = match self.kept(&unsent, &parts, body).await {
            Ok(kept) => kept,
            Err(Refused(reason)) => return self.not_kept(&unsent, &parts, reason),
        };
        self.audit.record(
            Event::new("browser.kept", Outcome::Success, "post_kept")
                .from_client(visit.client, &visit.request_id)
                .with("app", unsent.app.as_str())
                .with("post", kept.id.as_str()),
        );
        let back = self.link(RESEND, &[("id", &kept.id)]);
        // What the sign-in has to be is read from the rule of the form's own target.
        let target = format!("{} {}", parts.method, parts.uri.path());
        let sign_in = match &unsent.step_up {
            None => self.link("sign-in", &[("rd", &back), ("for", &target)]),
            Some(StepUp { session, .. }) => {
                let connector = session.connector().as_str();
                self.link("sign-in/go", &[("connector", connector), ("rd", &back), ("for", &target)])
            }
        };
        let page = PostKept {
            setting: self.setting(&visit.request_id),
            minutes: POST_LIFETIME.as_secs() / 60,
            again: unsent.step_up.is_some(),
            sign_in_href: &sign_in,
        };
        with_cookies(page.render().into_response(), kept.cookies)
    }

    async fn kept(&self, unsent: &Unsent, parts: &Parts, body: Incoming) -> Result<Kept, Refused> {
        let Unsent { visit, step_up, .. } = unsent;
        check_head(&parts.headers)?;
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let target = ReturnTo::path(target, self.prefix()).map_err(|_| Refused("post_target"))?;
        // A stranger can say anything in a head: what is read and written for one source, and at a time, is bounded.
        self.kept_posts.check(visit.client).map_err(|_| Refused("rate_limited"))?;
        let _reading = self.reading.try_acquire().map_err(|_| Refused("kept_posts_busy"))?;
        let body = collect(body, MAX_POST).await.map_err(|bad| Refused(of_form(bad)))?;
        let sender = step_up.as_ref().map(|step_up| step_up.session.identity());
        let post = UnsentPost {
            target: &target,
            body: &body,
            sender: sender.as_ref(),
            headers: &parts.headers,
            host: &visit.host,
        };
        self.sign_in.keep_post(&post).await.map_err(|why| {
            if let NotKept::Directory(error) = &why {
                tracing::error!(request_id = visit.request_id, error = error_chain(error), "a form could not be kept");
            }
            Refused(why.reason())
        })
    }

    fn not_kept(&self, unsent: &Unsent, parts: &Parts, reason: &'static str) -> Response<Bytes> {
        let Unsent { app, step_up, visit, at } = unsent;
        self.audit.record_frequent(
            Event::new("browser.not_kept", Outcome::Failure, reason)
                .from_client(visit.client, &visit.request_id)
                .with("app", app.as_str()),
        );
        let asked = asked(visit, parts);
        match step_up {
            Some(step_up) => self.step_up(&asked, step_up, *at),
            None => self.not_sent(&asked, reason == "post_too_large"),
        }
    }

    /// `sign-in/resend`: shows the person who signed in what waits to be sent, and the button that sends it. The form
    /// goes straight to the application, as if its own page had sent it. Loading the page changes nothing.
    pub(super) async fn resend(&self, visit: &Visit, parts: &Parts) -> Response<Bytes> {
        let person = match self.sign_in.session(&parts.headers, &visit.host).await {
            Ok(Some(session)) => session.identity(),
            Ok(None) => return self.challenge(&asked(visit, parts)),
            Err(_) => return self.directory_away(visit),
        };
        let query = parts.uri.query().unwrap_or_default();
        let id = query.strip_prefix("id=").unwrap_or_default();
        let waiting = match self.sign_in.post_claim(id, &parts.headers) {
            Some(claim) => self.sign_in.waiting_post(&claim, &visit.host, &person).await,
            None => Ok(None),
        };
        match waiting {
            Ok(Some(waiting)) => {
                let target = waiting.target.as_str();
                let page = Resend {
                    setting: self.setting(""),
                    path: target.split('?').next().unwrap_or_default(),
                    action: target,
                    fields: &waiting.fields,
                    email: person.email.as_str(),
                    of_another: waiting.of_another,
                };
                page.render().into_response()
            }
            // Whether it never was, was sent, is over or is another browser's: nobody is told which.
            Ok(None) => {
                let reason = "kept_post_unknown";
                self.audit.record_frequent(
                    Event::new("browser.denied", Outcome::Failure, reason)
                        .from_client(visit.client, &visit.request_id)
                        .with("user", person.email.as_str()),
                );
                KeptGone { setting: self.setting(&visit.request_id) }.render(reason).into_response()
            }
            Err(_) => self.directory_away(visit),
        }
    }

    /// The claim of a form that the page of [`resend`](Self::resend) sends at this moment, by its `Referer`.
    pub fn resent(&self, headers: &HeaderMap) -> Option<PostClaim> {
        let referer = headers.get(REFERER)?.to_str().ok()?;
        let (_, id) = referer.rsplit_once("/sign-in/resend?id=")?;
        self.sign_in.post_claim(id, headers)
    }

    /// The application took the form: it is not kept any longer.
    pub async fn post_resent(&self, claim: &PostClaim, app: &Id, visitor: Visitor<'_>) {
        match self.sign_in.forget_post(claim, visitor.host).await {
            Ok(true) => self.audit.record(
                Event::new("browser.resent", Outcome::Success, "post_resent")
                    .from_client(visitor.client, visitor.request_id)
                    .with("app", app.as_str())
                    .with("post", claim.id()),
            ),
            Ok(false) => {}
            // It goes by itself, in a while.
            Err(error) => tracing::warn!(
                request_id = visitor.request_id,
                error = error_chain(&error),
                "a form that was sent again is still kept"
            ),
        }
    }
}

fn asked<'a>(visit: &'a Visit, parts: &'a Parts) -> Asked<'a> {
    Asked {
        asker: visit.asker,
        method: &parts.method,
        uri: &parts.uri,
        headers: &parts.headers,
        host: &visit.host,
        client: visit.client,
        request_id: &visit.request_id,
    }
}

/// Whether the head is that of a form which a page of the same origin sent, and not too large.
fn check_head(headers: &HeaderMap) -> Result<(), Refused> {
    // Browsers say it of every request and let no page change it; whoever does not say it is not believed.
    if one(headers, "sec-fetch-site") != Some(b"same-origin") {
        return Err(Refused("post_cross_site"));
    }
    let kind = one(headers, CONTENT_TYPE.as_str()).and_then(|kind| std::str::from_utf8(kind).ok());
    if !kind.is_some_and(is_utf8_form) || headers.contains_key(CONTENT_ENCODING) {
        return Err(Refused("post_no_form"));
    }
    let declared = one(headers, CONTENT_LENGTH.as_str()).and_then(|length| std::str::from_utf8(length).ok());
    match declared.and_then(|length| length.parse::<u64>().ok()) {
        Some(length) if length > MAX_POST as u64 => Err(Refused("post_too_large")),
        _ => Ok(()),
    }
}

/// The header's value, if it is there once.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}

/// `application/x-www-form-urlencoded`, in UTF-8 where it says.
fn is_utf8_form(kind: &str) -> bool {
    let mut parts = kind.split(';').map(str::trim);
    let form = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/x-www-form-urlencoded"));
    form && parts.all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        name.eq_ignore_ascii_case("charset") && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    })
}

fn of_form(bad: BadForm) -> &'static str {
    match bad.status {
        StatusCode::PAYLOAD_TOO_LARGE => "post_too_large",
        StatusCode::REQUEST_TIMEOUT => "post_too_slow",
        _ => "post_broken_off",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_in_utf_8_is_kept_and_nothing_else() {
        for kind in [
            "application/x-www-form-urlencoded",
            "Application/X-WWW-Form-URLencoded",
            "application/x-www-form-urlencoded; charset=UTF-8",
            "application/x-www-form-urlencoded;charset=\"utf-8\"",
        ] {
            assert!(is_utf8_form(kind), "{kind}");
        }
        for kind in [
            "",
            "multipart/form-data; boundary=x",
            "application/json",
            "text/plain",
            "application/x-www-form-urlencoded; charset=iso-8859-1",
            "application/x-www-form-urlencoded; charset",
            "application/x-www-form-urlencoded; q=1",
            "application/x-www-form-urlencodedx",
            "application/x-www-form-urlencoded, application/json",
        ] {
            assert!(!is_utf8_form(kind), "{kind}");
        }
    }
}

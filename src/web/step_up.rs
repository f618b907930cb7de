//! What somebody gets who is signed in, on a route that asks for a newer or stronger sign-in (E13).

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde_json::json;

use crate::audit::{Event, Outcome};
use crate::base::clock::Timestamp;
use crate::base::return_to::ReturnTo;
use crate::config::Unmet;
use crate::gate::{Asker, StepUp};

use super::pages::{FrameNotice, SignInAgain};
use super::refusal::Asked;
use super::site::{Site, json, redirect};

const REASON: &str = "step_up_required";

/// Sign-ins within a minute after which a browser is not sent round again by itself.
const ROUNDS: u8 = 2;

impl Site {
    /// Asks for another sign-in, in the form that fits who asks. What it will be asked to be is not in the link: the
    /// sign-in reads it from the route of `rd`, or of `for` where the way back is another.
    pub fn step_up(&self, asked: &Asked<'_>, step_up: &StepUp, now: Timestamp) -> Response<Bytes> {
        let (expected, found) = step_up.detail(now);
        let StepUp { session, unmet, .. } = step_up;
        self.audit.record_frequent(
            Event::new("session.step_up", Outcome::Failure, unmet.reason())
                .from_client(asked.client, asked.request_id)
                .with("user", session.identity().email.as_str())
                .with("session", session.reference().to_string())
                .with("expected", expected)
                .with("found", found),
        );
        let target = asked.uri.path_and_query().map_or("/", |target| target.as_str());
        let return_to = ReturnTo::path(target, self.prefix()).unwrap_or_else(|_| ReturnTo::root());
        let connector = session.connector().as_str();
        let back = self.link("sign-in/go", &[("connector", connector), ("rd", return_to.as_str())]);
        let target = format!("{} {}", asked.method, return_to.as_str());
        let elsewhere = self.link("sign-in/go", &[("connector", connector), ("for", &target)]);
        // Whoever has just signed in and is asked again would go round for ever.
        let again = self.cookies().completed(asked.headers, now) >= ROUNDS;
        match asked.asker {
            Asker::Page if *asked.method == Method::GET && !again => {
                redirect(&format!("{}{back}", self.origin(asked.host)), REASON, vec![])
            }
            Asker::Page => self.sign_in_again(asked, *unmet, &back, again, false),
            Asker::Form => self.sign_in_again(asked, *unmet, &elsewhere, again, true),
            // Fixed: it names nobody and says nothing of what was asked for.
            Asker::Frame => FrameNotice { setting: self.setting(""), href: &elsewhere }.render(REASON).into_response(),
            Asker::Script => {
                let body = json!({
                    "error": REASON,
                    "message": "Sign in again: send the browser to sign_in_url, with &rd= and the page to come back to.",
                    "missing": unmet.reason(),
                    "sign_in_url": format!("{}{elsewhere}", self.origin(asked.host)),
                    "reference": asked.request_id,
                });
                let mut response = json(StatusCode::UNAUTHORIZED, REASON, &body);
                self.readable_by_own_pages(asked.headers, response.headers_mut());
                response
            }
        }
    }

    fn sign_in_again(&self, asked: &Asked<'_>, unmet: Unmet, href: &str, again: bool, sent: bool) -> Response<Bytes> {
        let too_old = unmet == Unmet::AuthTooOld;
        let setting = self.setting(asked.request_id);
        SignInAgain { setting, too_old, again, sent, sign_in_href: href }.render().into_response()
    }
}

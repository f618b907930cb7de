//! The way round by which a session is renewed that has no refresh token: from the page that was asked for to the sign-in
//! host, to the provider, and back.

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};

use crate::base::return_to::ReturnTo;
use crate::gate::Asker;
use crate::session::Session;

use super::refusal::Asked;
use super::router::Visit;
use super::site::{Site, redirect};

impl Site {
    /// Sends the browser of `session`, which asks for a page, round by way of its provider.
    pub fn renew(&self, asked: &Asked<'_>, session: &Session) -> Response<Bytes> {
        let target = asked.uri.path_and_query().map_or("/", |target| target.as_str());
        let return_to = ReturnTo::path(target, self.prefix()).unwrap_or_else(|_| ReturnTo::root());
        let sign_in = self.sign_in.hosts().sign_in();
        let here = Some(self.origin(asked.host)).filter(|here| *here != sign_in.origin()).unwrap_or_default();
        let (rd, ticket) = (format!("{here}{return_to}"), self.sign_in.renewal_ticket(session));
        let link = self.link("sign-in/renew", &[("rd", &rd), ("ticket", &ticket)]);
        redirect(&format!("{}{link}", sign_in.origin()), "renewal_due", vec![])
    }

    /// `sign-in/renew`: on to the provider, or where that cannot be, to the page that was asked for.
    pub(super) async fn begin_renewal(&self, visit: &Visit, parts: &Parts) -> Response<Bytes> {
        let (mut rd, mut ticket) = (None, None);
        for (name, value) in url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            let slot = match &*name {
                "rd" => &mut rd,
                "ticket" => &mut ticket,
                _ => continue,
            };
            if slot.replace(value.into_owned()).is_some() {
                return self.reject(visit, StatusCode::BAD_REQUEST, "duplicate_parameter");
            }
        }
        if visit.asker != Asker::Page {
            return self.reject(visit, StatusCode::BAD_REQUEST, "not_a_page");
        }
        let return_to = self.return_to(rd.as_deref(), visit.visitor());
        let ticket = ticket.unwrap_or_default();
        match self.sign_in.begin_renewal(&ticket, &return_to, &parts.headers, visit.visitor()).await {
            Some((provider, started)) => self.to_provider(&provider, started, "renewal_started"),
            None => redirect(&self.sign_in.location(&return_to), "not_renewed", vec![]),
        }
    }
}

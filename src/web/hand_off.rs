//! Signing in on a host other than the sign-in host: there, and back with a session.

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};

use crate::base::return_to::MAX_LEN;
use crate::gate::Asker;
use crate::signin::{Asked, HandOff, Joined, Redirect};

use super::discovery::Link;
use super::router::Visit;
use super::site::{Site, redirect};

impl Site {
    /// `sign-in` and `sign-in/go` on another host: on to the same path on the sign-in host, with what the link says. What
    /// brings the browser back is remembered here first.
    pub(super) async fn to_sign_in_host(&self, visit: &Visit, parts: &Parts) -> Response<Bytes> {
        let query = parts.uri.query().unwrap_or_default();
        let link = match Link::parse(query) {
            Ok(link) => link,
            Err(reason) => return self.reject(visit, StatusCode::BAD_REQUEST, reason),
        };
        if visit.asker != Asker::Page {
            return self.reject(visit, StatusCode::BAD_REQUEST, "not_a_page");
        }
        if let Err(reason) = self.purpose(link.request.as_deref()) {
            return self.reject(visit, StatusCode::BAD_REQUEST, reason);
        }
        let return_to = self.return_to(link.rd.as_deref(), visit.visitor());
        // The sign-in host judges whether the session is enough for what the sign-in is for.
        let says_more = link.login_hint.is_some()
            || link.domain_hint.is_some()
            || link.request.is_some()
            || visit.path != "sign-in";
        if !says_more && self.sign_in.signed_in(&parts.headers, &visit.host).await {
            return redirect(return_to.as_str(), "already_signed_in", vec![]);
        }
        let host = self.host(&visit.host);
        let Redirect { location: rd, cookies } = if host.shares_cookie() {
            // The session will be good here as it is.
            let whole = format!("{}{return_to}", host.origin());
            let location = if whole.len() > MAX_LEN { format!("{}/", host.origin()) } else { whole };
            Redirect { location, cookies: vec![] }
        } else {
            let asked = Asked { host, rule_of: None, target: link.request.as_deref() };
            self.sign_in.start_hand_off(&asked, &return_to, &parts.headers)
        };
        let given = |value: &Option<String>| value.clone().unwrap_or_default();
        let (connector, login_hint, domain_hint) =
            (given(&link.connector), given(&link.login_hint), given(&link.domain_hint));
        let query = [
            ("connector", connector.as_str()),
            ("iss", link.iss.as_deref().unwrap_or_default()),
            ("login_hint", &login_hint),
            ("domain_hint", &domain_hint),
            ("rd", &rd),
            ("for", link.request.as_deref().filter(|_| host.shares_cookie()).unwrap_or_default()),
            ("select_account", if link.select_account { "1" } else { "" }),
        ];
        let sign_in = self.sign_in.hosts().sign_in().origin();
        redirect(&format!("{sign_in}{}", self.link(&visit.path, &query)), "hand_off_started", cookies)
    }

    /// `hand-off`: from the sign-in host to the host that asked, with a code.
    pub(super) async fn hand_off(&self, visit: &Visit, parts: &Parts) -> Response<Bytes> {
        if visit.asker != Asker::Page {
            return self.reject(visit, StatusCode::BAD_REQUEST, "not_a_page");
        }
        let query = parts.uri.query().unwrap_or_default();
        match self.sign_in.hand_off(query, &parts.headers, visit.visitor()).await {
            Ok(HandOff::Code(to)) => redirect(&to.location, "hand_off", to.cookies),
            Ok(HandOff::SignIn(rd)) => redirect(&self.link("sign-in", &[("rd", &rd)]), "sign_in_required", vec![]),
            Err(failed) => self.failed(visit, "", &failed),
        }
    }

    /// `session`: the host that asked takes the code, and the browser gets its cookie there.
    pub(super) async fn end_hand_off(&self, visit: &Visit, parts: &Parts) -> Response<Bytes> {
        if visit.asker != Asker::Page {
            return self.reject(visit, StatusCode::BAD_REQUEST, "not_a_page");
        }
        let query = parts.uri.query().unwrap_or_default();
        match self.sign_in.end_hand_off(query, &parts.headers, visit.visitor()).await {
            Ok(Joined::HandedOff(to)) => redirect(&to.location, "handed_off", to.cookies),
            Ok(Joined::AlreadySignedIn(to)) => redirect(&to.location, "already_signed_in", to.cookies),
            Err(failed) => self.failed(visit, "", &failed),
        }
    }
}

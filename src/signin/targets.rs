//! Where a sign-in leads: on the host that asks, on another of ours by a hand-off, or with a shared cookie straight there.

use std::borrow::Cow;

use http::header::HeaderMap;

use crate::base::id::Id;
use crate::base::query::with_query;
use crate::base::return_to::{MAX_LEN, Places, Rejected, ReturnTo};
use crate::config::{OwnHost, OwnHosts};
use crate::identity::headers::AuthMethod;

use super::hand_off::{Asked, Link};
use super::start::Start;
use super::{Purpose, Redirect, SignIn};

/// The host and the request that a sign-in is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeadsTo<'a> {
    /// Lower case, without port.
    pub host: &'a str,
    /// A path with or without a query, for a GET; or the method and a blank before it.
    pub target: Cow<'a, str>,
}

impl SignIn {
    /// The hosts of ours.
    pub fn hosts(&self) -> &OwnHosts {
        &self.hosts
    }

    /// The host called `name`. Requests to others do not get this far.
    pub fn host(&self, name: &str) -> &OwnHost {
        self.hosts.get(name).unwrap_or_else(|| self.hosts.sign_in())
    }

    /// Reads a target that a link or form to `host` carries. On the sign-in host it may be on any origin of ours (R01 to
    /// R08), and so where SAML responses are posted to; elsewhere it is on that host's own.
    ///
    /// # Errors
    /// It leads to no page of an application of ours.
    pub fn read_target(&self, host: &str, text: &str) -> Result<ReturnTo, Rejected> {
        let asked = self.host(host);
        let leads_on = asked.name() == self.hosts.sign_in().name() || asked.receives_saml();
        let is_page = |other: &&OwnHost| other.name() != asked.name() && !self.hosts.is_acs_alone(other.name());
        let others = || self.hosts.all().filter(|_| leads_on).filter(is_page);
        let elsewhere: Vec<&str> = others().map(OwnHost::origin).collect();
        let hand_off = others().any(|other| !other.shares_cookie());
        ReturnTo::parse(text, &Places { here: asked.origin(), elsewhere: &elsewhere, prefix: &self.prefix, hand_off })
    }

    /// A target that was checked when the attempt started at `host`, read again: a new configuration in between may make
    /// it the root.
    pub(super) fn return_to(&self, host: &str, text: &str) -> ReturnTo {
        self.read_target(host, text).unwrap_or_else(|_| ReturnTo::root())
    }

    /// What a target on the sign-in host leads to in the end, so that what its rule asks for can be asked of the provider.
    pub fn leads_to<'a>(&'a self, return_to: &'a ReturnTo) -> LeadsTo<'a> {
        let here = self.hosts.sign_in().name();
        if let Some(query) = return_to.hand_off() {
            let link = Link::parse(query).ok().and_then(|link| {
                let host = link.rule_of.as_ref().unwrap_or(&link.host);
                Some((self.hosts.get(host)?, link.target))
            });
            return match link {
                Some((host, target)) => LeadsTo { host: host.name(), target: target.into() },
                None => LeadsTo { host: here, target: "/".into() },
            };
        }
        let elsewhere = return_to.elsewhere().and_then(|origin| self.by_origin(origin));
        LeadsTo { host: elsewhere.map_or(here, OwnHost::name), target: return_to.on_its_origin().into() }
    }

    /// `Location` for a browser at the sign-in host that has a session now.
    pub fn location(&self, return_to: &ReturnTo) -> String {
        let home = match return_to.as_str() {
            // Nothing was asked for, and there may be no application here.
            "/" => self.read_target(self.hosts.sign_in().name(), self.hosts.home()).ok(),
            _ => None,
        };
        let to = home.as_ref().unwrap_or(return_to);
        match to.elsewhere().and_then(|origin| self.by_origin(origin)) {
            // It has a cookie of its own: it starts what ends with one (hand-off).
            Some(host) if !host.shares_cookie() => {
                with_query(format!("{}{}/sign-in", host.origin(), self.prefix), &[("rd", to.on_its_origin())])
            }
            Some(_) | None => to.as_str().to_owned(),
        }
    }

    /// Where a browser goes on to that nothing was asked for with, on a host that is there for SAML responses alone: to
    /// the sign-on URL of `connector` on the sign-in host, which knows the way to the application. Its provider answers at
    /// once. None: the host has pages, or one was asked for.
    pub fn away_from(&self, host: &str, return_to: &ReturnTo, connector: &Id) -> Option<String> {
        let nothing_here = self.hosts.is_acs_alone(host) && return_to.as_str() == "/";
        let sign_on = || format!("{}{}/sign-in/go", self.hosts.sign_in().origin(), self.prefix);
        nothing_here.then(|| with_query(sign_on(), &[("connector", connector.as_str())]))
    }

    /// As [`location`](Self::location), for a browser that is on `host` by a sign-in at `connector`.
    pub(super) fn location_from(&self, host: &str, return_to: &ReturnTo, connector: &Id) -> String {
        self.away_from(host, return_to, connector).unwrap_or_else(|| self.location(return_to))
    }

    /// The origins, beside that of `host`, that a browser may get to on the way from there to `return_to`.
    pub fn origins_on_the_way<'a>(&'a self, host: &str, return_to: &'a ReturnTo) -> Vec<&'a str> {
        let sign_in = self.hosts.sign_in();
        let last = self.hosts.get(self.leads_to(return_to).host);
        let way = std::iter::once(sign_in).chain(last).filter(|other| other.name() != host);
        way.map(OwnHost::origin).collect()
    }

    /// Where a sign-in at `provider` that was asked for on `host` has to begin: its responses are posted to another host.
    /// The origin there, the target there, and the cookies by which `host` remembers what comes back.
    pub fn begins_elsewhere(&self, start: &Start<'_>, host: &str, headers: &HeaderMap) -> Option<(&OwnHost, Redirect)> {
        let acs = start.provider.saml()?.acs_host();
        let there = self.hosts.get(acs).filter(|there| there.name() != host)?;
        let here = self.host(host);
        let target = start.return_to.as_str();
        if here.shares_cookie() && there.shares_cookie() {
            // The session will be good here as it is.
            let whole = if target.starts_with('/') { format!("{}{target}", here.origin()) } else { target.to_owned() };
            let location = if whole.len() > MAX_LEN { format!("{}/", here.origin()) } else { whole };
            return Some((there, Redirect { location, cookies: vec![] }));
        }
        let LeadsTo { host: rule_of, target } = self.leads_to(&start.return_to);
        let purpose = start.purpose.as_ref().map(Purpose::as_str);
        let target = purpose.unwrap_or_else(|| target.split(['?', '#']).next().unwrap_or_default());
        let asked =
            Asked { host: here, rule_of: Some(rule_of).filter(|rule_of| *rule_of != host), target: Some(target) };
        Some((there, self.start_hand_off(&asked, &start.return_to, headers)))
    }

    /// Whether a browser with these headers may go on to `return_to` without signing in: it has a session that is good on
    /// `host`, where that leads to another host one that a provider vouched for, and enough for `purpose`. A page asks for
    /// more by itself; a request that is not returned to cannot.
    pub async fn may_go_on(
        &self,
        return_to: &ReturnTo,
        purpose: Option<&Purpose>,
        headers: &HeaderMap,
        host: &str,
    ) -> bool {
        let Some(session) = self.session(headers, host).await.ok().flatten() else { return false };
        let LeadsTo { host, target } = self.leads_to(return_to);
        // A hand-off has its purpose in its link.
        let handed_on = Some(&*target).filter(|target| target.contains(' '));
        let enough = purpose.map(Purpose::as_str).or(handed_on).is_none_or(|request| {
            let required = self.snapshot.requirement_for(host, request);
            required.check(session.auth_time(), session.acr(), session.amr(), self.clock.now()).is_ok()
        });
        enough && (return_to.hand_off().is_none() || session.auth_method() != AuthMethod::Adopted)
    }

    fn by_origin(&self, origin: &str) -> Option<&OwnHost> {
        self.hosts.all().find(|host| host.origin() == origin)
    }
}

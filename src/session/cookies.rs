//! Our cookies: their names and attributes, in one place (E02).

use std::time::Duration;

use http::header::{HeaderMap, HeaderValue, SET_COOKIE};

use crate::base::clock::Timestamp;
use crate::base::cookie::{self, Found, SameSite, SetCookie};
use crate::base::net::is_inside;
use crate::config::{PublicUrl, Sessions};

use super::SessionId;

/// How long a sign-in attempt may take.
pub const ATTEMPT_LIFETIME: Duration = Duration::from_secs(600);
/// How long after a sign-in a missing session cookie counts as a loop.
const DONE_SECS: i64 = 60;

const HOST_ONLY: &str = "__Host-anteroom";
const SHARED: &str = "__Secure-anteroom";
const PLAIN: &str = "anteroom";

/// Names and attributes of our cookies. Every one is `HttpOnly` and `Path=/`, and but for plain-http testing off loopback
/// `Secure`; and host-only, with the `__Host-` prefix, which no other host can write (RFC 6265bis, 4.1.3.2). The session
/// cookie of the hosts in `sessions.cookie_domain` alone has a Domain.
#[derive(Clone, Debug)]
pub struct Cookies {
    secure: bool,
    same_site: SameSite,
    domain: Option<Box<str>>,
    session: &'static str,
    attempt_prefix: String,
    post_prefix: String,
    done: String,
    unsolicited: String,
}

impl Cookies {
    /// For hosts that are as `public_url`, the sign-in host's.
    pub fn new(public_url: &PublicUrl, sessions: &Sessions) -> Self {
        let secure = public_url.secure_cookies();
        let session = if secure { HOST_ONLY } else { PLAIN };
        Self {
            secure,
            same_site: sessions.same_site,
            domain: sessions.cookie_domain.as_deref().map(Box::from),
            session,
            attempt_prefix: format!("{session}-try-"),
            post_prefix: format!("{session}-post-"),
            done: format!("{session}-done"),
            unsolicited: format!("{session}-unsolicited"),
        }
    }

    /// What the names of all our cookies start with: these never reach an application. That of shared session cookies
    /// too where none are shared (any more).
    pub fn own_prefixes(&self) -> &'static [&'static str] {
        if self.secure { &[HOST_ONLY, SHARED] } else { &[PLAIN] }
    }

    /// The Domain of `host`'s session cookie.
    fn domain(&self, host: &str) -> Option<&str> {
        self.domain.as_deref().filter(|domain| is_inside(host, domain))
    }

    /// The name of `host`'s session cookie, as pages show it.
    pub fn session_name(&self, host: &str) -> &'static str {
        if self.domain(host).is_some() { SHARED } else { self.session }
    }

    /// The session cookie of a request to `host`. Two of them count as none (E03).
    pub fn session<'a>(&self, headers: &'a HeaderMap, host: &str) -> Found<'a> {
        cookie::find(headers, self.session_name(host))
    }

    /// The `Set-Cookie`s of a new session at `host`, for the browser session: limits are kept here, not in the browser.
    pub fn set_session(&self, id: &SessionId, host: &str) -> Vec<HeaderValue> {
        let domain = self.domain(host);
        let mut cookies = vec![self.cookie(self.session_name(host), &id.cookie_value(), domain, None, self.same_site)];
        // From before the cookie was shared: it leads nowhere.
        cookies.extend(domain.map(|_| self.expired(self.session, self.same_site)));
        cookies
    }

    /// Takes `host`'s session cookie back, also as another host below a shared domain may have written it (E03).
    pub fn expire_session(&self, headers: &mut HeaderMap, host: &str) {
        headers.append(SET_COOKIE, self.expired(self.session, self.same_site));
        let Some(shared) = self.domain(host) else { return };
        headers.append(SET_COOKIE, self.expired(SHARED, self.same_site));
        let dots = host.match_indices('.').filter_map(|(dot, _)| host.get(dot + 1..));
        for domain in std::iter::once(host).chain(dots).filter(|domain| is_inside(domain, shared)) {
            headers.append(SET_COOKIE, self.cookie(SHARED, "", Some(domain), Some(Duration::ZERO), self.same_site));
        }
    }

    /// The name of the attempt cookie `id`.
    pub fn attempt_name(&self, id: &str) -> String {
        format!("{}{id}", self.attempt_prefix)
    }

    /// The attempt cookies of a request: id and sealed value.
    pub fn attempts<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = (&'a str, &'a str)> {
        let pairs = cookie::with_prefix(headers, &self.attempt_prefix);
        pairs.filter_map(|(name, value)| Some((name.strip_prefix(self.attempt_prefix.as_str())?, value)))
    }

    /// The `Set-Cookie` of an attempt: comes back on the provider's redirect, a top-level cross-site GET, so Lax.
    pub fn set_attempt(&self, id: &str, sealed: &str) -> HeaderValue {
        let name = self.attempt_name(id);
        self.cookie(&name, sealed, None, Some(ATTEMPT_LIFETIME), SameSite::Lax)
    }

    /// The same for an attempt whose provider posts its answer from its own pages: the one cookie that is `None` (E02).
    pub fn set_posted_attempt(&self, id: &str, sealed: &str) -> HeaderValue {
        let name = self.attempt_name(id);
        self.cookie(&name, sealed, None, Some(ATTEMPT_LIFETIME), SameSite::None)
    }

    /// Marks that a sign-in began for a response that nobody had asked for: one a minute, or a provider that sends
    /// nothing else keeps a browser in a circle.
    pub fn set_unsolicited(&self) -> HeaderValue {
        self.cookie(&self.unsolicited, "1", None, Some(Duration::from_secs(DONE_SECS.unsigned_abs())), SameSite::Lax)
    }

    /// Whether that mark is there.
    pub fn unsolicited(&self, headers: &HeaderMap) -> bool {
        !matches!(cookie::find(headers, &self.unsolicited), Found::None)
    }

    /// Takes an attempt cookie back.
    pub fn expire_attempt(&self, id: &str) -> HeaderValue {
        self.expired(&self.attempt_name(id), SameSite::Lax)
    }

    /// The cookies of the forms that are kept for a browser: id and secret.
    pub fn posts<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = (&'a str, &'a str)> {
        let pairs = cookie::with_prefix(headers, &self.post_prefix);
        pairs.filter_map(|(name, value)| Some((name.strip_prefix(self.post_prefix.as_str())?, value)))
    }

    /// The `Set-Cookie` of a kept form: has to be there after the provider's redirect, so Lax.
    pub fn set_post(&self, id: &str, secret: &str, lifetime: Duration) -> HeaderValue {
        self.cookie(&format!("{}{id}", self.post_prefix), secret, None, Some(lifetime), SameSite::Lax)
    }

    /// Takes a kept form's cookie back.
    pub fn expire_post(&self, id: &str) -> HeaderValue {
        self.expired(&format!("{}{id}", self.post_prefix), SameSite::Lax)
    }

    /// Marks that this browser completed a sign-in `now`, and how many within the last minute: two, and still no
    /// session, is a loop.
    pub fn set_done(&self, headers: &HeaderMap, now: Timestamp) -> HeaderValue {
        let value = format!("{}.{}", now.secs(), self.completed(headers, now).saturating_add(1));
        self.cookie(&self.done, &value, None, Some(Duration::from_secs(DONE_SECS.unsigned_abs())), SameSite::Lax)
    }

    /// How many sign-ins this browser completed, each within a minute of the one before; by its own word, which only
    /// chooses between two refusals.
    pub fn completed(&self, headers: &HeaderMap, now: Timestamp) -> u8 {
        let Found::One(mark) = cookie::find(headers, &self.done) else { return 0 };
        let Some((at, count)) = mark.split_once('.') else { return 0 };
        let fresh = at.parse::<i64>().is_ok_and(|at| (0..DONE_SECS).contains(&now.secs().saturating_sub(at)));
        if fresh { count.parse().unwrap_or(0) } else { 0 }
    }

    /// Takes the mark back.
    pub fn expire_done(&self) -> HeaderValue {
        self.expired(&self.done, SameSite::Lax)
    }

    fn expired(&self, name: &str, same_site: SameSite) -> HeaderValue {
        self.cookie(name, "", None, Some(Duration::ZERO), same_site)
    }

    fn cookie(
        &self,
        name: &str,
        value: &str,
        domain: Option<&str>,
        max_age: Option<Duration>,
        same_site: SameSite,
    ) -> HeaderValue {
        // Names and values are ours and short but for a sealed attempt; one that no browser would keep is not sent, and
        // the callback then says that it did not come back.
        SetCookie { name, value, domain, max_age, same_site, secure: self.secure }.header().unwrap_or_else(|_| {
            tracing::error!(cookie = name, "a cookie of ours is too long to set");
            HeaderValue::from_static("")
        })
    }
}

//! `[sessions]`: how long a sign-in lasts.

use crate::base::cookie::SameSite;
use std::time::Duration;

use super::parse::{Context, duration, shown};
use super::problem::{Place, quoted};
use super::read::{At, section};
use super::server::PublicUrl;
use super::words::{Choice, Word};
use crate::base::net::is_inside;

/// `[sessions]`
#[derive(Clone, Debug)]
pub struct Sessions {
    /// A session ends this long after its last request; 1 s to 365 d, default 24 h. At most `absolute_timeout`.
    pub idle_timeout: Duration,
    /// A session ends this long after sign-in, used or not; 1 s to 365 d, default 7 d.
    pub absolute_timeout: Duration,
    /// The session cookie's SameSite attribute.
    pub same_site: SameSite,
    /// Where sessions are kept.
    pub store: SessionsStore,
    /// An ending at one process is seen by the others within this; 1 s to 60 s, default 5 s.
    pub revocation_bound: Duration,
    /// What happens to the sessions of a connector or domain that is switched off.
    pub on_disable: OnDisable,
    /// The domain whose hosts share the session cookie, lower case: public_url's host or a parent of it, and no public
    /// suffix. None: every host has a cookie of its own.
    pub cookie_domain: Option<String>,
}

impl Sessions {
    /// Whether `host` (lower case) has the session cookie of `cookie_domain`, rather than one of its own.
    pub fn shares_cookie(&self, host: &str) -> bool {
        self.cookie_domain.as_ref().is_some_and(|domain| is_inside(host, domain))
    }
}

/// Where sessions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionsStore {
    /// In the directory database.
    Directory,
    /// In this process alone.
    Memory,
}

impl Word for SessionsStore {
    const WORDS: &'static [(&'static str, Self)] = &[("directory", Self::Directory), ("memory", Self::Memory)];

    fn refusal(word: &str) -> Option<String> {
        let text = "found \"redis\", which this version does not have yet; allowed: \"directory\", with a PostgreSQL \
                    URL in directory.url for several processes";
        (word == "redis").then(|| text.to_owned())
    }
}

/// What happens to the sessions of a connector or domain that is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDisable {
    /// Those of a connector end. Those of a domain go on until their limits: a cut-over is undone that way.
    EndConnectors,
    /// They end.
    End,
    /// They go on until their limits; nobody signs in anew.
    Keep,
}

impl Word for OnDisable {
    const WORDS: &'static [(&'static str, Self)] =
        &[("end-connectors", Self::EndConnectors), ("end", Self::End), ("keep", Self::Keep)];
}

impl Word for SameSite {
    const WORDS: &'static [(&'static str, Self)] = &[("lax", Self::Lax), ("none", Self::None)];
}

section! {
    /// How long a sign-in lasts.
    RawSessions {
        /// A session ends this long after its last request. Longer than a night, or every morning is a spike at the
        /// provider.
        #[schemars(extend("default" = "24h"))]
        idle_timeout: String,
        /// A session ends this long after sign-in, used or not. At least idle_timeout.
        #[schemars(extend("default" = "7d"))]
        absolute_timeout: String,
        /// SameSite of the session cookie; `none` is for applications embedded in other sites, and needs cookies that
        /// are Secure.
        #[schemars(extend("default" = "lax"))]
        same_site: Choice<SameSite>,
        /// Where sessions are kept: in the directory database, so that a restart signs nobody out, or in memory, for
        /// tests.
        #[schemars(extend("default" = "directory"))]
        store: Choice<SessionsStore>,
        /// The longest that a session ended at one process may still be served by another, from 1s to 60s. Without
        /// the directory for that long, nobody is served.
        #[schemars(extend("default" = "5s"))]
        revocation_bound: String,
        /// What happens to the sessions of a connector or domain that `anteroom connector disable` or `anteroom domain
        /// disable` switches off: they end, or are kept until their limits. "end-connectors" ends those of connectors and
        /// keeps those of domains, so that a domain's cut-over is undone without signing anybody out.
        #[schemars(extend("default" = "end-connectors"))]
        on_disable: Choice<OnDisable>,
        /// One session cookie for all hosts of a domain, instead of one for each host: "shared-with-every-host-of:"
        /// and the domain. Every host of it can then read and replace the cookie, also those that are not Anteroom's;
        /// leave it out unless you trust them all.
        cookie_domain: String,
    }
}

/// The warning that stands before the domain.
const SHARED: &str = "shared-with-every-host-of:";
const BOUND: Duration = Duration::from_secs(5);
const BOUND_MAX: Duration = Duration::from_secs(60);
const MIN: Duration = Duration::from_secs(1);
const MAX: Duration = Duration::from_secs(365 * 86_400);
const IDLE: Duration = Duration::from_secs(86_400);
const ABSOLUTE: Duration = Duration::from_secs(7 * 86_400);

impl RawSessions {
    /// `public_url`: if it is known.
    pub(super) fn resolve(raw: At<Self>, public_url: Option<&PublicUrl>, cx: &mut Context<'_>) -> Option<Sessions> {
        let At { value: raw, place } = raw;
        let at = |field: Option<&Place>, key| field.cloned().unwrap_or_else(|| place.child(key));
        let idle_place = at(raw.idle_timeout.set().map(|at| &at.place), "idle_timeout");
        let site_place = at(raw.same_site.set().map(|at| &at.place), "same_site");
        let idle = raw.idle_timeout.parse(cx.report, |text| duration(text, MIN, MAX)).or(IDLE);
        let absolute = raw.absolute_timeout.parse(cx.report, |text| duration(text, MIN, MAX)).or(ABSOLUTE);
        let same_site = raw.same_site.word_or(SameSite::Lax);
        if let (Some(idle), Some(absolute)) = (idle, absolute)
            && idle > absolute
        {
            let (idle, absolute) = (shown(idle), shown(absolute));
            let text =
                format!("found {idle}, longer than sessions.absolute_timeout ({absolute}); allowed: at most that");
            cx.report.problem(&idle_place, text);
        }
        if same_site == Some(SameSite::None) && public_url.is_some_and(|url| !url.secure_cookies()) {
            let text = "found \"none\"; browsers take it only on Secure cookies, and public_url is plain http; \
                        allowed: \"lax\", or an https public_url";
            cx.report.problem(&site_place, text);
        }
        if let Some(store) = raw.store.set()
            && store.value.0 == SessionsStore::Memory
        {
            let text = "sessions are kept in memory: a restart signs everybody out, and two processes know nothing of \
                        each other's sessions";
            cx.report.warn(&store.place, text);
        }
        let bound = raw.revocation_bound.parse(cx.report, |text| duration(text, MIN, BOUND_MAX)).or(BOUND);
        let store = raw.store.word_or(SessionsStore::Directory);
        let on_disable = raw.on_disable.word_or(OnDisable::EndConnectors);
        let cookie_domain = raw.cookie_domain.parse(cx.report, |text| cookie_domain(text, public_url)).optional();
        Some(Sessions {
            idle_timeout: idle?,
            absolute_timeout: absolute?,
            same_site: same_site?,
            store: store?,
            revocation_bound: bound?,
            on_disable: on_disable?,
            cookie_domain: cookie_domain?,
        })
    }
}

/// The domain behind the warning. Browsers keep no cookie for a public suffix that they know; those that they do not
/// know belong to strangers all the same (`github.io`), so the list is looked at here.
fn cookie_domain(text: &str, public_url: Option<&PublicUrl>) -> Result<String, String> {
    let fail = |why: &str| {
        let example = "allowed: \"shared-with-every-host-of:\" and the domain, such as \
                       \"shared-with-every-host-of:example.com\"";
        Err(format!("found {}{why}; {example}", quoted(text)))
    };
    let Some(written) = text.strip_prefix(SHARED) else { return fail("") };
    let domain = match idna::domain_to_ascii_strict(written) {
        Ok(domain) if domain.split('.').count() > 1 && domain.split('.').all(|label| !label.is_empty()) => domain,
        Ok(_) | Err(_) => return fail(", which names no domain of two labels or more"),
    };
    // Browsers read a name that ends in a number as an address (WHATWG URL, 3.5).
    if domain.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit())) {
        return fail(", an address");
    }
    if psl::domain(domain.as_bytes()).is_none() {
        return fail(", a public suffix: hosts below it belong to strangers");
    }
    let Some(url) = public_url else { return Ok(domain) };
    if !url.https {
        return fail(", and public_url is plain http: such a cookie could be read and set by anybody on the way");
    }
    if is_inside(&url.host, &domain) {
        Ok(domain)
    } else {
        fail(&format!(", and public_url's host {} is not in it", url.host))
    }
}

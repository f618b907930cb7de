//! `[sessions]`: how long a sign-in lasts.

use crate::base::cookie::SameSite;
use std::time::Duration;

use super::parse::{Context, duration, shown};
use super::problem::Place;
use super::read::{At, section};
use super::words::{Choice, Word};

/// `[sessions]`
#[derive(Clone, Debug)]
pub struct Sessions {
    /// A session ends this long after its last request; 1 s to 365 d, default 24 h. At most `absolute_timeout`.
    pub idle_timeout: Duration,
    /// A session ends this long after sign-in, used or not; 1 s to 365 d, default 7 d.
    pub absolute_timeout: Duration,
    /// The session cookie's SameSite attribute.
    pub same_site: SameSite,
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
    }
}

const MIN: Duration = Duration::from_secs(1);
const MAX: Duration = Duration::from_secs(365 * 86_400);
const IDLE: Duration = Duration::from_secs(86_400);
const ABSOLUTE: Duration = Duration::from_secs(7 * 86_400);

impl RawSessions {
    /// `secure_cookies`: whether cookies on public_url are Secure, if that is known.
    pub(super) fn resolve(raw: At<Self>, secure_cookies: Option<bool>, cx: &mut Context<'_>) -> Option<Sessions> {
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
        if same_site == Some(SameSite::None) && secure_cookies == Some(false) {
            let text = "found \"none\"; browsers take it only on Secure cookies, and public_url is plain http; \
                        allowed: \"lax\", or an https public_url";
            cx.report.problem(&site_place, text);
        }
        Some(Sessions { idle_timeout: idle?, absolute_timeout: absolute?, same_site: same_site? })
    }
}

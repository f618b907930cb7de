//! How fresh and how strong a sign-in must be: `max_age`, `acr` and `amr` of a connector or of a route. They mean the
//! same in both places, and what both ask for is asked for together.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::parse::{Context, duplicate, duration, wrong};
use super::read::{At, Field};
use crate::base::clock::Timestamp;

/// What a sign-in must be beyond genuine (O33, E13): asked of the provider, judged when it answers, judged again at each
/// request of a route. The default asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// The person proved who they are at most this long ago (`auth_time`, OpenID Connect Core section 2); 0 s to 365 d.
    pub max_age: Option<Duration>,
    /// The sign-in was of one of these classes (`acr`); `None`: any. Nothing meets the empty list: two that ask together
    /// have no class in common.
    pub acr: Option<Vec<String>>,
    /// The sign-in used every one of these methods (`amr`, RFC 8176); empty: any.
    pub amr: Vec<String>,
}

/// What a sign-in does not meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// It is too long ago, or nobody knows when it was (O33).
    AuthTooOld,
    /// Its class is none of those asked for, or unknown (O33).
    AcrInsufficient,
    /// A method asked for was not used, or is not known to have been (O33).
    AmrInsufficient,
}

impl Unmet {
    /// A stable code.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::AuthTooOld => "auth_too_old",
            Self::AcrInsufficient => "acr_insufficient",
            Self::AmrInsufficient => "amr_insufficient",
        }
    }

    /// The claim that it is about.
    pub const fn claim(self) -> &'static str {
        match self {
            Self::AuthTooOld => "auth_time",
            Self::AcrInsufficient => "acr",
            Self::AmrInsufficient => "amr",
        }
    }
}

/// How far a provider's clock may be from ours. A sign-in may look so much older than it is, and no older than that when
/// the provider thinks it fresh enough not to ask again: else its person would be sent round. An `auth_time` further in
/// the future says nothing of how long ago it was: a clock was set back.
const LEEWAY: Duration = Duration::from_secs(60);

impl Requirement {
    /// Whether any sign-in is enough.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What asks for all that both ask for.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let max_age = match (self.max_age, other.max_age) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        let acr = match (&self.acr, &other.acr) {
            (Some(one), Some(two)) => Some(one.iter().filter(|class| two.contains(class)).cloned().collect()),
            (one, two) => one.clone().or_else(|| two.clone()),
        };
        let mut amr = self.amr.clone();
        amr.extend(other.amr.iter().filter(|method| !self.amr.contains(method)).cloned());
        Self { max_age, acr, amr }
    }

    /// Judges what a provider said of a sign-in. What it did not say is not met.
    ///
    /// # Errors
    /// The first thing that is not met, in the order of [`Unmet`].
    pub fn check(
        &self,
        auth_time: Option<Timestamp>,
        acr: Option<&str>,
        amr: &[String],
        now: Timestamp,
    ) -> Result<(), Unmet> {
        if let Some(max_age) = self.max_age
            && !auth_time.is_some_and(|at| at <= now.plus(LEEWAY) && now <= at.plus(max_age).plus(LEEWAY))
        {
            return Err(Unmet::AuthTooOld);
        }
        if let Some(classes) = &self.acr
            && !acr.is_some_and(|acr| classes.iter().any(|class| class == acr))
        {
            return Err(Unmet::AcrInsufficient);
        }
        if self.amr.iter().all(|method| amr.contains(method)) { Ok(()) } else { Err(Unmet::AmrInsufficient) }
    }

    /// What was asked for and what was found, for a log.
    pub fn detail(
        &self,
        unmet: Unmet,
        auth_time: Option<Timestamp>,
        acr: Option<&str>,
        amr: &[String],
        now: Timestamp,
    ) -> (String, String) {
        let said = |text: String| if text.is_empty() { String::from("nothing said") } else { text };
        match unmet {
            Unmet::AuthTooOld => {
                let age = |at: Timestamp| format!("{} s ago", now.millis().saturating_sub(at.millis()) / 1000);
                let max_age = self.max_age.map_or(0, |max_age| max_age.as_secs());
                (format!("at most {max_age} s ago"), said(auth_time.map_or_else(String::new, age)))
            }
            Unmet::AcrInsufficient => {
                let classes = self.acr.as_deref().unwrap_or_default().join(" ");
                let expected =
                    if classes.is_empty() { String::from("one that all who ask want: none") } else { classes };
                (format!("one of: {expected}"), said(acr.unwrap_or_default().to_owned()))
            }
            Unmet::AmrInsufficient => (format!("all of: {}", self.amr.join(" ")), said(amr.join(" "))),
        }
    }
}

const MAX: Duration = Duration::from_secs(365 * 86_400);
/// Most values of one list, the longest of them, and the longest list: it travels in a URL, and in a cookie.
const MAX_VALUES: usize = 16;
const MAX_VALUE_LEN: usize = 255;
const MAX_LIST_LEN: usize = 512;

/// Reads the three settings of a section; `min_age` is the least `max_age`.
pub(super) fn resolve(
    max_age: Field<String>,
    acr: Field<Vec<At<String>>>,
    amr: Field<Vec<At<String>>>,
    min_age: Duration,
    cx: &mut Context<'_>,
) -> Option<Requirement> {
    let max_age = max_age.parse(cx.report, |text| duration(text, min_age, MAX)).optional();
    let (acr, amr) = (values(acr, "acr", cx), values(amr, "amr", cx));
    Some(Requirement { max_age: max_age?, acr: acr?, amr: amr?.unwrap_or_default() })
}

/// A list of `acr` or `amr` values. A blank separates them in `acr_values` (OpenID Connect Core section 3.1.2.1). Outer
/// `None`: reported.
fn values(raw: Field<Vec<At<String>>>, key: &str, cx: &mut Context<'_>) -> Option<Option<Vec<String>>> {
    let place = raw.set().map(|at| at.place.clone());
    let values = raw.parse_each(cx.report, |text: &String| {
        if (1..=MAX_VALUE_LEN).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
            return Ok(text.clone());
        }
        let allowed = format!(
            "allowed: a value as the provider asserts it, 1 to {MAX_VALUE_LEN} visible ASCII characters without blanks"
        );
        Err(wrong(text, &allowed))
    });
    if let (Some(place), Some(list)) = (place, values.set().map(|at| &at.value)) {
        let len: usize = list.iter().map(|at| at.value.len()).sum();
        let problem = if list.is_empty() {
            Some(format!("found an empty list, which nobody could meet; leave {key} out if it does not matter"))
        } else if list.len() > MAX_VALUES || len > MAX_LIST_LEN {
            let count = list.len();
            let allowed = format!("allowed: at most {MAX_VALUES}, of {MAX_LIST_LEN} characters together");
            Some(format!("found {count} values of {len} characters together; {allowed}"))
        } else {
            None
        };
        if let Some(text) = problem {
            cx.report.problem(&place, text);
            return None;
        }
        if let Some(twice) = duplicate(list) {
            cx.report.problem(&twice.place, format!("found {:?} twice; once is enough", twice.value));
        }
    }
    values.optional().map(|list| list.map(|list| list.into_iter().map(|at| at.value).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn asks(max_age: u64, acr: &[&str], amr: &[&str]) -> Requirement {
        let max_age = (max_age > 0).then(|| Duration::from_secs(max_age));
        Requirement { max_age, acr: (!acr.is_empty()).then(|| strings(acr)), amr: strings(amr) }
    }

    fn ago(secs: i64) -> Option<Timestamp> {
        Some(Timestamp::from_secs(NOW.secs() - secs))
    }

    /// O33
    #[test]
    fn what_the_provider_did_not_say_is_not_met() {
        let (old, acr, amr) = (Err(Unmet::AuthTooOld), Err(Unmet::AcrInsufficient), Err(Unmet::AmrInsufficient));
        let both: &[&str] = &["pwd", "mfa"];
        for (asked, at, class, methods, expected) in [
            (asks(0, &[], &[]), None, None, &[][..], Ok(())),
            (asks(300, &[], &[]), ago(300), None, &[], Ok(())),
            // Clocks differ, by less than a minute.
            (asks(300, &[], &[]), ago(360), None, &[], Ok(())),
            (asks(300, &[], &[]), ago(361), None, &[], old),
            (asks(300, &[], &[]), ago(-60), None, &[], Ok(())),
            // Ours was set back by an hour.
            (asks(300, &[], &[]), ago(-3600), None, &[], old),
            (asks(300, &[], &[]), None, Some("high"), both, old),
            (asks(0, &["high", "higher"], &[]), None, Some("higher"), &[], Ok(())),
            (asks(0, &["high", "higher"], &[]), None, Some("low"), &[], acr),
            (asks(0, &["high", "higher"], &[]), None, Some("HIGH"), &[], acr),
            (asks(0, &["high"], &[]), ago(0), None, both, acr),
            (asks(0, &[], both), None, None, &["mfa", "pwd", "otp"], Ok(())),
            (asks(0, &[], both), None, None, &["pwd"], amr),
            (asks(0, &[], both), ago(0), Some("high"), &[], amr),
            (asks(300, &["high"], both), ago(0), Some("high"), both, Ok(())),
        ] {
            assert_eq!(
                asked.check(at, class, &strings(methods), NOW),
                expected,
                "{asked:?} {at:?} {class:?} {methods:?}"
            );
        }
    }

    #[test]
    fn two_that_ask_together_ask_for_all_that_either_does() {
        let none = asks(0, &[], &[]);
        let one = asks(300, &["a", "b"], &["pwd"]);
        let two = asks(60, &["b", "c"], &["mfa", "pwd"]);
        assert_eq!(one.and(&two), asks(60, &["b"], &["pwd", "mfa"]));
        assert_eq!((none.and(&one), one.and(&none)), (one.clone(), one.clone()));
        assert!(none.and(&none).is_empty() && !one.is_empty());
        let never = asks(0, &["a"], &[]).and(&asks(0, &["c"], &[]));
        assert!(!never.is_empty());
        for class in ["a", "c", ""] {
            assert_eq!(never.check(None, Some(class), &[], NOW), Err(Unmet::AcrInsufficient), "{class:?}");
        }
    }

    #[test]
    fn a_log_is_told_what_was_asked_for_and_what_was_found() {
        let asked = asks(300, &["a", "b"], &["pwd", "mfa"]);
        let told = |unmet| asked.detail(unmet, ago(400), Some("c"), &strings(&["pwd"]), NOW);
        assert_eq!(told(Unmet::AuthTooOld), ("at most 300 s ago".into(), "400 s ago".into()));
        assert_eq!(told(Unmet::AcrInsufficient), ("one of: a b".into(), "c".into()));
        assert_eq!(told(Unmet::AmrInsufficient), ("all of: pwd mfa".into(), "pwd".into()));
        for unmet in [Unmet::AuthTooOld, Unmet::AcrInsufficient, Unmet::AmrInsufficient] {
            assert_eq!(asked.detail(unmet, None, None, &[], NOW).1, "nothing said");
        }
    }
}

//! What a route asks of the sign-in itself (step-up).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::config;
use crate::session::Session;

/// How far a provider's clock may be ahead of ours. An `auth_time` further in the future says nothing of how long ago
/// it was: a clock was set back.
const AHEAD: Duration = Duration::from_secs(60);

/// What a sign-in must have been: asked of the provider, judged when it answers, judged again at each request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// The person signed in at the provider at most this long ago.
    pub max_age: Option<Duration>,
    /// One of these classes; `None`: any. Nothing meets the empty list: two readings of a request ask for classes that
    /// have none in common.
    pub acr: Option<Vec<String>>,
    /// One of these methods; as `acr`.
    pub amr: Option<Vec<String>>,
}

/// What a session does not meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// The sign-in is too long ago, or nobody knows when it was (O33).
    AuthTooOld,
    /// Its class is none of those asked for, or unknown (O33).
    AcrInsufficient,
    /// None of the methods asked for was used, or is known to have been (O33).
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

impl Requirement {
    pub(super) fn new(asked: &config::Requirement) -> Self {
        let config::Requirement { max_age, acr, amr } = asked.clone();
        let some = |values: Vec<String>| (!values.is_empty()).then_some(values);
        Self { max_age, acr: some(acr), amr: some(amr) }
    }

    /// As a connector asks for it. What nothing meets cannot be asked for.
    pub fn for_provider(&self) -> config::Requirement {
        let Self { max_age, acr, amr } = self.clone();
        config::Requirement { max_age, acr: acr.unwrap_or_default(), amr: amr.unwrap_or_default() }
    }

    /// Whether a session is enough.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What asks for all that both ask for.
    pub(super) fn and(&self, other: &Self) -> Self {
        let max_age = match (self.max_age, other.max_age) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        let both = |one: &Option<Vec<String>>, two: &Option<Vec<String>>| match (one, two) {
            (Some(one), Some(two)) => Some(one.iter().filter(|value| two.contains(value)).cloned().collect()),
            (one, two) => one.clone().or_else(|| two.clone()),
        };
        Self { max_age, acr: both(&self.acr, &other.acr), amr: both(&self.amr, &other.amr) }
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
            && !auth_time.is_some_and(|at| at <= now.plus(AHEAD) && now <= at.plus(max_age))
        {
            return Err(Unmet::AuthTooOld);
        }
        if let Some(classes) = &self.acr
            && !acr.is_some_and(|acr| classes.iter().any(|class| class == acr))
        {
            return Err(Unmet::AcrInsufficient);
        }
        match &self.amr {
            Some(methods) if !methods.iter().any(|method| amr.contains(method)) => Err(Unmet::AmrInsufficient),
            _ => Ok(()),
        }
    }

    /// Judges a session (E13). One of which the provider said nothing meets nothing.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_session(&self, session: &Session, now: Timestamp) -> Result<(), Unmet> {
        self.check(session.auth_time(), session.acr(), session.amr(), now)
    }

    /// What was asked for and what was found, for a log.
    pub fn detail(&self, unmet: Unmet, session: &Session, now: Timestamp) -> (String, String) {
        let said = |text: &str| if text.is_empty() { "nothing said".to_owned() } else { text.to_owned() };
        let one_of =
            |values: &Option<Vec<String>>| format!("one of: {}", values.as_deref().unwrap_or_default().join(" "));
        match unmet {
            Unmet::AuthTooOld => {
                let age = |at: Timestamp| format!("{} s ago", now.millis().saturating_sub(at.millis()) / 1000);
                let max_age = self.max_age.map_or(0, |max_age| max_age.as_secs());
                (format!("at most {max_age} s ago"), session.auth_time().map_or_else(|| said(""), age))
            }
            Unmet::AcrInsufficient => (one_of(&self.acr), said(session.acr().unwrap_or_default())),
            Unmet::AmrInsufficient => (one_of(&self.amr), said(&session.amr().join(" "))),
        }
    }
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
        Requirement::new(&config::Requirement { max_age, acr: strings(acr), amr: strings(amr) })
    }

    /// O33
    #[test]
    fn what_the_provider_did_not_say_is_not_met() {
        let ago = |secs: i64| Some(Timestamp::from_secs(NOW.secs() - secs));
        let (old, acr, amr) = (Err(Unmet::AuthTooOld), Err(Unmet::AcrInsufficient), Err(Unmet::AmrInsufficient));
        let both: &[&str] = &["pwd", "mfa"];
        for (asked, at, class, methods, expected) in [
            (asks(0, &[], &[]), None, None, &[][..], Ok(())),
            (asks(300, &[], &[]), ago(300), None, &[], Ok(())),
            (asks(300, &[], &[]), ago(301), None, &[], old),
            (asks(300, &[], &[]), None, Some("high"), both, old),
            // The provider's clock is a little ahead; or ours was set back by an hour.
            (asks(300, &[], &[]), ago(-60), None, &[], Ok(())),
            (asks(300, &[], &[]), ago(-3600), None, &[], old),
            (asks(0, &["high", "higher"], &[]), None, Some("higher"), &[], Ok(())),
            (asks(0, &["high", "higher"], &[]), None, Some("low"), &[], acr),
            (asks(0, &["high", "higher"], &[]), None, Some("HIGH"), &[], acr),
            (asks(0, &["high"], &[]), ago(0), None, both, acr),
            (asks(0, &[], both), None, None, &["otp", "mfa"], Ok(())),
            (asks(0, &[], both), None, None, &["otp"], amr),
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
    fn two_readings_together_ask_for_all_that_either_does() {
        let none = asks(0, &[], &[]);
        let one = asks(300, &["a", "b"], &["pwd"]);
        let two = asks(60, &["b", "c"], &["mfa", "pwd"]);
        assert_eq!(one.and(&two), asks(60, &["b"], &["pwd"]));
        assert_eq!((none.and(&one), one.and(&none)), (one.clone(), one.clone()));
        assert!(none.and(&none).is_empty() && !one.is_empty());
        let never = asks(0, &["a"], &[]).and(&asks(0, &["c"], &[]));
        assert!(!never.is_empty());
        for class in ["a", "c", ""] {
            assert_eq!(never.check(None, Some(class), &[], NOW), Err(Unmet::AcrInsufficient), "{class:?}");
        }
    }
}

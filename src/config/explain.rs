//! `[explain]`: what is kept for `anteroom explain REFERENCE`.

use std::time::Duration;

use super::parse::{Context, duration};
use super::read::{At, section};
use super::words::{Choice, Word};

/// `[explain]`
#[derive(Clone, Debug)]
pub struct Explain {
    /// Whether anything is kept; default true.
    pub enabled: bool,
    /// How long; 1 m to 30 d, default 24 h.
    pub keep: Duration,
    /// How many records at most; 100 to 1,000,000, default 10,000. Beyond it the oldest go.
    pub max: u64,
    /// Default masked.
    pub personal_data: PersonalData,
}

/// How much records say of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum PersonalData {
    /// `a***@acme.com`, and networks instead of addresses (/24, /48).
    #[default]
    Masked,
    /// As it was.
    Shown,
}

impl Word for PersonalData {
    const WORDS: &'static [(&'static str, Self)] = &[("masked", Self::Masked), ("shown", Self::Shown)];
}

section! {
    /// What is kept of refused requests and of sign-ins, so that `anteroom explain REFERENCE` can tell their story. Requests
    /// that were let through are never kept.
    RawExplain {
        /// Whether anything is kept.
        #[schemars(extend("default" = true))]
        enabled: bool,
        /// How long a record is kept.
        #[schemars(extend("default" = "24h"))]
        keep: String,
        /// Records kept at most; beyond it the oldest go.
        #[schemars(extend("default" = 10000))]
        max: u32,
        /// `masked`: `a***@acme.com` for an address, a network (/24, /48) for a client. `shown`: as they are.
        #[schemars(extend("default" = "masked"))]
        personal_data: Choice<PersonalData>,
    }
}

const MIN: Duration = Duration::from_secs(60);
const MAX: Duration = Duration::from_secs(30 * 86_400);
const KEEP: Duration = Duration::from_secs(86_400);
const COUNT: std::ops::RangeInclusive<u32> = 100..=1_000_000;

impl RawExplain {
    pub(super) fn resolve(raw: At<Self>, cx: &mut Context<'_>) -> Option<Explain> {
        let raw = raw.value;
        let keep = raw.keep.parse(cx.report, |text| duration(text, MIN, MAX)).or(KEEP);
        let max = raw.max.parse(cx.report, |count| match COUNT.contains(count) {
            true => Ok(*count),
            false => Err(format!("found {count}; allowed: a number from {} to {}", COUNT.start(), COUNT.end())),
        });
        let personal_data = raw.personal_data.word_or(PersonalData::Masked);
        Some(Explain {
            enabled: raw.enabled.or(true)?,
            keep: keep?,
            max: u64::from(max.or(10_000)?),
            personal_data: personal_data?,
        })
    }
}

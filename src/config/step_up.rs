//! What a route asks of the sign-in itself: how long ago, how strong, by which methods.

use std::time::Duration;

use super::parse::{Context, duplicate, duration, wrong};
use super::read::{At, Field};

/// `max_age`, `acr` and `amr` of a route. Empty: a session is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepUp {
    /// The person signed in at the provider at most this long ago (OpenID Connect Core, section 2, `auth_time`); 1 m to
    /// 365 d.
    pub max_age: Option<Duration>,
    /// The sign-in was of one of these classes (`acr`); empty: any.
    pub acr: Vec<String>,
    /// The sign-in used every one of these methods (`amr`, RFC 8176); empty: any.
    pub amr: Vec<String>,
}

/// A minute: whoever comes back from the provider needs a moment, and clocks differ.
const MIN: Duration = Duration::from_secs(60);
const MAX: Duration = Duration::from_secs(365 * 86_400);

/// More would not fit a link to the provider well.
const MAX_VALUES: usize = 16;
const MAX_VALUE_LEN: usize = 128;

impl StepUp {
    /// The three settings as they were written.
    pub(super) fn resolve(
        max_age: Field<String>,
        acr: Field<Vec<At<String>>>,
        amr: Field<Vec<At<String>>>,
        cx: &mut Context<'_>,
    ) -> Option<Self> {
        let max_age = max_age.parse(cx.report, |text| duration(text, MIN, MAX)).optional();
        let acr = values(acr, cx);
        let amr = values(amr, cx);
        Some(Self { max_age: max_age?, acr: acr?, amr: amr? })
    }
}

/// A list of `acr` or `amr` values. They travel in lists joined by blanks (OpenID Connect Core, section 3.1.2.1).
fn values(field: Field<Vec<At<String>>>, cx: &mut Context<'_>) -> Option<Vec<String>> {
    let place = field.set().map(|at| at.place.clone());
    let field = field.parse_each(cx.report, |text: &String| {
        if !text.is_empty() && text.len() <= MAX_VALUE_LEN && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(text.clone())
        } else {
            let allowed = format!("allowed: a value as the provider asserts it, at most {MAX_VALUE_LEN} visible ASCII characters without blanks");
            Err(wrong(text, &allowed))
        }
    });
    if let (Some(place), Some(list)) = (place, field.set().map(|at| &at.value)) {
        if list.is_empty() {
            cx.report.problem(&place, "found an empty list; leave it out, or name what the sign-in must have been");
        }
        if list.len() > MAX_VALUES {
            cx.report.problem(&place, format!("found {} values; allowed: at most {MAX_VALUES}", list.len()));
        }
        if let Some(twice) = duplicate(list) {
            cx.report.problem(&twice.place, format!("found {:?} twice; once is enough", twice.value));
        }
    }
    field.values_or(Vec::new)
}

//! How fresh and how strong a sign-in must be: `max_age`, `acr`, `amr`.

use std::time::Duration;

use super::connector_values::plain_text;
use super::parse::{Context, duplicate, duration};
use super::read::{At, Field};

/// What a sign-in must be beyond genuine (O33). Empty: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirement {
    /// The person proved who they are at most this long ago; 0 s to 365 d.
    pub max_age: Option<Duration>,
    /// The provider's `acr` is one of these; empty: any, or none.
    pub acr: Vec<String>,
    /// The provider's `amr` has one of these; empty: any, or none.
    pub amr: Vec<String>,
}

const MAX: Duration = Duration::from_secs(365 * 86_400);

/// Reads the three settings of a section.
pub(super) fn resolve(
    max_age: Field<String>,
    acr: Field<Vec<At<String>>>,
    amr: Field<Vec<At<String>>>,
    cx: &mut Context<'_>,
) -> Option<Requirement> {
    let max_age = max_age.parse(cx.report, |text| duration(text, Duration::ZERO, MAX)).optional();
    let (acr, amr) = (values(acr, "acr", cx), values(amr, "amr", cx));
    Some(Requirement { max_age: max_age?, acr: acr?, amr: amr? })
}

fn values(raw: Field<Vec<At<String>>>, key: &str, cx: &mut Context<'_>) -> Option<Vec<String>> {
    if let Some(at) = raw.set()
        && at.value.is_empty()
    {
        let text = format!("found an empty list, which nobody could meet; leave {key} out if it does not matter");
        cx.report.problem(&at.place, text);
        return None;
    }
    // A blank separates values in `acr_values` (OpenID Connect Core section 3.1.2.1).
    let values = raw.parse_each(cx.report, |text| match plain_text(text, 255) {
        Ok(text) if !text.contains(char::is_whitespace) => Ok(text),
        Ok(_) | Err(_) => Err(super::parse::wrong(text, "allowed: 1 to 255 characters without blanks")),
    });
    if let Some(twice) = values.set().and_then(|at| duplicate(&at.value)) {
        cx.report.problem(&twice.place, format!("found {:?} twice; once is enough", twice.value));
    }
    values.values_or(Vec::new)
}

//! `anteroom explain`: why somebody was not let in.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::admin::Explained;

use super::reach::Reach;
use super::table::clean;
use super::{Failure, json, print};

/// What comes first in a record; the rest follows by name.
const FIRST: [&str; 3] = ["step", "reason", "kind"];

#[derive(Args)]
pub(super) struct Explain {
    #[command(flatten)]
    reach: Reach,
    /// The reference: what the page shows, the X-Request-Id of an answer, or the request_id of a log line.
    reference: String,
    /// How to print it.
    #[arg(long, value_enum, default_value = "text")]
    format: TextFormat,
}

/// How a text is printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TextFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

pub(super) fn run(Explain { reach, reference, format }: &Explain) -> Result<(), Failure> {
    let found = reach.talk(async |client| client.explain(reference).await)?;
    if found.records.is_empty() {
        return Err(Failure::Other(format!(
            "nothing is kept under {}: only sign-ins, challenges and refusals are, and only for a time",
            clean(reference)
        )));
    }
    if *format == TextFormat::Json { print(&json(&found)?) } else { print(&told(&found)) }
}

/// Each decision under its time, one fact a line.
fn told(found: &Explained) -> String {
    let mut text = String::new();
    for record in &found.records {
        let _ = writeln!(text, "{}", clean(&record.at));
        let Value::Object(facts) = &record.record else {
            let _ = writeln!(text, "  {}", shown(&record.record));
            continue;
        };
        let width = facts.keys().map(|key| key.chars().count()).max().unwrap_or_default();
        let first = FIRST.iter().filter_map(|key| facts.get_key_value(*key));
        let rest = facts.iter().filter(|(key, _)| !FIRST.contains(&key.as_str()));
        for (key, value) in first.chain(rest) {
            let _ = writeln!(text, "  {:width$}  {}", clean(key), shown(value));
        }
    }
    text
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => clean(text),
        other => clean(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::Explanation;

    #[test]
    fn a_record_begins_with_what_happened_and_cannot_move_the_cursor() {
        let record =
            serde_json::json!({ "client": "10.0.0.1", "reason": "nonce", "found": "\u{1b}[2J", "step": "callback" });
        let records = vec![Explanation { at: "2027-01-15T08:00:00.000Z".to_owned(), record }];
        let text = told(&Explained { reference: "r".to_owned(), records });
        assert_eq!(
            text,
            "2027-01-15T08:00:00.000Z\n  step    callback\n  reason  nonce\n  client  10.0.0.1\n  found   \u{fffd}[2J\n"
        );
    }
}

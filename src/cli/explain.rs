//! `anteroom explain`: why somebody was not let in.

use clap::{Args, ValueEnum};

use super::reach::Reach;
use super::{Failure, json, print};

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
        return Err(Failure::Other(found.text.trim_end().to_owned()));
    }
    match format {
        TextFormat::Text => print(&found.text),
        TextFormat::Json => print(&json(&found.records)?),
    }
}

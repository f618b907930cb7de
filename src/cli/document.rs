//! `anteroom config`: the configuration's schema and reference, from the types.

use std::io::Write as _;

use clap::Subcommand;

use crate::config;

use super::Failure;

#[derive(Subcommand, Clone, Copy)]
pub(super) enum Document {
    /// The JSON Schema, for editors: docs/anteroom.schema.json.
    Schema,
    /// The reference page: docs/configuration.md.
    Reference,
}

pub(super) fn run(what: Document) -> Result<(), Failure> {
    let text = match what {
        Document::Schema => config::schema(),
        Document::Reference => config::reference(),
    };
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| Failure::Other(format!("cannot write: {error}")))
}

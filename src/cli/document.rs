//! `anteroom config`: the configuration's schema and reference, from the types.

use clap::Subcommand;

use crate::config;

use super::{Failure, print};

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
    print(&text)
}

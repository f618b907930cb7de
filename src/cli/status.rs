//! `anteroom status`: how the running process is.

use std::fmt::Write as _;

use clap::Args;

use crate::admin::{Status as Found, SwitchView};

use super::reach::Reach;
use super::session::TableFormat;
use super::table::{clean, count, length, minute};
use super::{Failure, json, keys, print};

#[derive(Args)]
pub(super) struct Status {
    #[command(flatten)]
    reach: Reach,
    /// How to print it.
    #[arg(long, value_enum, default_value = "table")]
    format: TableFormat,
}

pub(super) fn run(Status { reach, format }: &Status) -> Result<(), Failure> {
    let found = reach.talk(async |client| client.status().await)?;
    if *format == TableFormat::Json { print(&json(&found)?) } else { print(&told(&found)) }
}

fn told(found: &Found) -> String {
    let mut text = String::new();
    let Found { version, pid, since, up_secs, sessions_held, directory, keys, connectors, domains } = found;
    let (since, up) = (minute(since), length(*up_secs));
    let _ = writeln!(text, "anteroom {version}, process {pid}, since {since} UTC ({up})");
    let _ = writeln!(text, "{} in memory, directory: {directory}", count(*sessions_held, "session"));
    let _ = writeln!(text, "connectors: {}", switches(connectors));
    let _ = writeln!(text, "domains: {}", switches(domains));
    let _ = write!(text, "\n{}", keys::listed(keys));
    text
}

fn switches(all: &[SwitchView]) -> String {
    let shown = |view: &SwitchView| format!("{}{}", clean(&view.name), if view.on { "" } else { " (off)" });
    if all.is_empty() { "none".to_owned() } else { all.iter().map(shown).collect::<Vec<_>>().join(", ") }
}

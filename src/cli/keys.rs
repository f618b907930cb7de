//! `anteroom keys`: which keys there are, and new ones.

use clap::{Args, Subcommand};

use crate::admin::KeyView;

use super::reach::{Reach, WHERE};
use super::session::TableFormat;
use super::table::{minute, table};
use super::{Failure, json, print};

#[derive(Subcommand)]
pub(super) enum Keys {
    /// List the keys of keys.dir and what each does now; nothing of a key itself is shown.
    ///
    /// waiting: known to every process, not used yet. current: seals or signs. superseded: opens what it sealed, or is
    /// still in jwks.json. retired: neither; its file may be removed. Times are UTC.
    #[command(after_help = format!("Example: anteroom keys list --config anteroom.toml\n\n{WHERE}"))]
    List(List),
    /// Make a new sealing key and a new assertion key.
    ///
    /// Nobody is signed out and no sign-in is lost: the new keys are used ten minutes later, when every process on
    /// keys.dir and every application that reads jwks.json knows them, and the old ones are good for what they sealed
    /// and signed until they retire. Asked again meanwhile, it makes no others.
    #[command(after_help = format!("Example: anteroom keys rotate --config anteroom.toml\n\n{WHERE}"))]
    Rotate(Rotate),
}

#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    reach: Reach,
    /// How to print them.
    #[arg(long, value_enum, default_value = "table")]
    format: TableFormat,
}

#[derive(Args)]
pub(super) struct Rotate {
    #[command(flatten)]
    reach: Reach,
}

pub(super) fn run(what: &Keys) -> Result<(), Failure> {
    match what {
        Keys::List(List { reach, format }) => {
            let found = reach.talk(async |client| client.keys().await)?;
            if *format == TableFormat::Json { print(&json(&found)?) } else { print(&listed(&found.keys)) }
        }
        Keys::Rotate(Rotate { reach }) => {
            let found = reach.talk(async |client| client.rotate_keys().await)?;
            let from = found.keys.iter().filter(|key| key.stage == "waiting").filter_map(|key| key.until.as_deref());
            let from = from.max().map(|time| format!("the new keys are used from {} UTC\n", minute(time)));
            print(&format!("{}{}", listed(&found.keys), from.unwrap_or_default()))
        }
    }
}

/// The keys as a table.
pub(super) fn listed(keys: &[KeyView]) -> String {
    let row = |key: &KeyView| {
        let until = key.until.as_deref().map(minute).unwrap_or_default();
        let created = key.created.get(..10).unwrap_or_default().to_owned();
        [key.kind.clone(), key.id.clone(), key.stage.clone(), created, until]
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    table([("KIND", 9), ("ID", 43), ("STAGE", 10), ("CREATED", 10), ("UNTIL", 16)], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_fit_a_hundred_columns_with_their_whole_ids() {
        let key = KeyView {
            kind: "assertion".to_owned(),
            id: "k".repeat(43),
            created: "2027-01-15T08:00:00.000Z".to_owned(),
            stage: "superseded".to_owned(),
            until: Some("2027-01-22T08:10:00.000Z".to_owned()),
        };
        let text = listed(&[key]);
        let expected = format!("assertion  {}  superseded  2027-01-15  2027-01-22 08:10", "k".repeat(43));
        assert_eq!(text.lines().nth(1), Some(expected.as_str()));
        assert!(expected.len() <= 100);
    }
}

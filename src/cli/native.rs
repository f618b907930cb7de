//! `anteroom native`: who uses the applications' own credentials.

use clap::{Args, Subcommand};

use crate::admin::{NativeList, NativeView};

use super::reach::{Reach, WHERE};
use super::table::{length, table};
use super::{Failure, json, print};

#[derive(Subcommand)]
pub(super) enum Native {
    /// List native identities: programs and people that the applications let in by their own means, used last first.
    ///
    /// NAME is the user name; of an API key or a token it is a label that stands for it. One with ! beside it is an e-mail
    /// address, and stops working when its domain is switched on: such a program needs a service identity (native.allow).
    #[command(after_help = format!("Example: anteroom native list --config anteroom.toml --app portal\n\n{WHERE}"))]
    List(List),
}

#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    reach: Reach,
    /// Only those of this application.
    #[arg(long, value_name = "ID")]
    app: Option<String>,
    /// At most so many, up to 10000.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Print JSON, with everything.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(what: &Native) -> Result<(), Failure> {
    let Native::List(List { reach, app, limit, json: as_json }) = what;
    let found = reach.talk(async |client| client.native(app.as_deref(), *limit).await)?;
    if *as_json {
        return print(&json(&found)?);
    }
    print(&listed(&found))
}

fn listed(found: &NativeList) -> String {
    let row = |seen: &NativeView| {
        let shaped = if seen.email_shaped { "!" } else { "" };
        let (count, ago) = (seen.count.to_string(), length(seen.idle_secs));
        [seen.app.clone(), seen.kind.clone(), shaped.to_owned(), seen.name.clone(), count, ago, seen.source.clone()]
    };
    let rows: Vec<_> = found.identities.iter().map(row).collect();
    let columns = [("APP", 14), ("KIND", 7), ("", 1), ("NAME", 28), ("USES", 9), ("AGO", 7), ("SOURCE", 22)];
    let mut text = table(columns, &rows);
    if found.more {
        text.push_str("there are more: see --limit and --app\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_fits_a_hundred_columns_and_marks_addresses() {
        let seen = |name: &str| NativeView {
            app: "p".repeat(64),
            kind: "api_key".to_owned(),
            name: name.to_owned(),
            first: String::new(),
            last: String::new(),
            count: u64::MAX,
            source: "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff".to_owned(),
            email_shaped: name.contains('@'),
            idle_secs: 172_799,
        };
        let identities = vec![seen("svc-billing"), seen(&format!("{}@acme.com", "a".repeat(64)))];
        let text = listed(&NativeList { identities, more: true });
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest.is_some_and(|widest| widest <= 100), "{text}");
        let marked: Vec<bool> = text.lines().skip(1).take(2).map(|line| line.contains("  !  ")).collect();
        assert_eq!(marked, [false, true], "{text}");
        assert!(text.ends_with("--app\n"), "{text}");
    }
}

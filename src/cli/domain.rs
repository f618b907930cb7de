//! `anteroom domain`: whose people sign in at their provider, and from when.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::admin::{DomainOrder, DomainView, ExtentView};

use super::reach::{Reach, WHERE};
use super::switch::Disable;
use super::table::{clean, count, table};
use super::{Failure, json, print};

const ENABLE: &str = "\
Examples, in the order of a careful cut-over:
  anteroom domain enable --config anteroom.toml acme.com --user ann@acme.com --users-file pilot.txt
  anteroom domain enable --config anteroom.toml acme.com --percent 10
  anteroom domain enable --config anteroom.toml acme.com --at 2026-12-01T06:00:00Z
  anteroom domain disable --config anteroom.toml acme.com      # undo: nobody is signed out";

#[derive(Subcommand)]
pub(super) enum Domain {
    /// List e-mail domains: for whom each is on, and from when.
    #[command(after_help = format!("Example: anteroom domain list --config anteroom.toml\n\n{WHERE}"))]
    List(List),
    /// Switch an e-mail domain off, in every process: the undo of a cut-over.
    ///
    /// The e-mail page knows no provider of theirs any more, the application takes their passwords again, and a sign-in at
    /// the provider that is under way ends with a page that says so. Anteroom stays in the path, and sessions go on until
    /// their limits unless sessions.on_disable or a flag says otherwise. It stays off over restarts. A domain that the
    /// configuration does not have yet may be switched off before it gets there.
    #[command(after_help = format!("Example: anteroom domain disable --config anteroom.toml acme.com --end-sessions\n\n{WHERE}"))]
    Disable(Disable),
    /// Switch an e-mail domain on, in every process: for everybody, or for some first.
    ///
    /// Each call says all of it: for whom, and from when. Without a flag it is on for everybody at once. The share and the
    /// list say whom the e-mail page sends to the provider, and whose password the application no longer takes; who comes
    /// from the provider by themselves is let in, part of the share or not. A domain without a word here is on for
    /// everybody as soon as the configuration has it, so speak before you add it.
    #[command(after_help = format!("{ENABLE}\n\n{WHERE}"))]
    Enable(Enable),
}

#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    reach: Reach,
    /// Print JSON, with the addresses that are listed.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Enable {
    #[command(flatten)]
    reach: Reach,
    /// The domain, such as acme.com; also one that the configuration does not have yet.
    name: String,
    /// From this moment on (RFC 3339). Until then it stays on for whom it is, and for nobody if nothing was said before.
    #[arg(long, value_name = "MOMENT")]
    at: Option<String>,
    /// For this share of its people, each chosen by a keyed hash of the address: who is among 10 is among 50.
    #[arg(long, value_name = "0-100", value_parser = clap::value_parser!(u8).range(0..=100))]
    percent: Option<u8>,
    /// For this address, whatever the share; as often as needed.
    #[arg(long, value_name = "ADDRESS")]
    user: Vec<String>,
    /// For the addresses in this file: one on a line; empty lines and those that begin with # do not count.
    #[arg(long, value_name = "FILE")]
    users_file: Option<PathBuf>,
}

pub(super) fn run(what: &Domain) -> Result<(), Failure> {
    match what {
        Domain::List(List { reach, json: as_json }) => {
            let found = reach.talk(async |client| client.domains().await)?;
            print(&if *as_json { json(&found)? } else { listed(&found.domains) })
        }
        Domain::Disable(order) => {
            let switched = order.reach.talk(async |client| client.disable_domain(&order.name, order.order()).await)?;
            print(&format!(
                "{} is off; {}\n{}",
                switched.domain.name,
                order.ended(switched.ended),
                notes(&switched.domain)
            ))
        }
        Domain::Enable(enable) => {
            let mut users = enable.user.clone();
            if let Some(file) = &enable.users_file {
                users.extend(addresses(file)?);
            }
            let order = DomainOrder { at: enable.at.clone(), percent: enable.percent, users };
            let switched = enable.reach.talk(async |client| client.enable_domain(&enable.name, &order).await)?;
            print(&told(&switched.domain))
        }
    }
}

/// The addresses of a file. An empty one is a mistake: without a list the domain would be on for everybody.
#[expect(clippy::disallowed_methods, reason = "a command reads the file that it is given, once")]
fn addresses(file: &Path) -> Result<Vec<String>, Failure> {
    let failed = |why: &str| Failure::Other(format!("cannot use {}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| failed(&error.to_string()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let lines: Vec<String> = lines.map(str::to_owned).collect();
    if lines.is_empty() { Err(failed("it has no address")) } else { Ok(lines) }
}

/// For whom, in words.
fn whom(ExtentView { percent, users }: &ExtentView) -> String {
    let listed = u64::try_from(users.len()).unwrap_or(u64::MAX);
    match (percent, listed) {
        (100.., _) => "everybody".to_owned(),
        (0, 0) => "nobody".to_owned(),
        (0, 1) => "1 listed person".to_owned(),
        (0, listed) => format!("{listed} listed people"),
        (percent, 0) => format!("{percent} of 100"),
        (percent, listed) => format!("{percent} of 100 and {listed} listed"),
    }
}

fn told(domain: &DomainView) -> String {
    let name = clean(&domain.name);
    let later = domain.later.as_ref().map(|later| format!("; for {} from {} on", whom(&later.extent), later.at));
    format!("{name} is on for {}{}\n{}", whom(&domain.now), later.unwrap_or_default(), notes(domain))
}

fn notes(domain: &DomainView) -> String {
    domain.notes.iter().fold(String::new(), |mut text, note| {
        let _ = writeln!(text, "note: {}", clean(note));
        text
    })
}

fn listed(domains: &[DomainView]) -> String {
    let row = |domain: &DomainView| {
        let state = if domain.on { whom(&domain.now) } else { "off".to_owned() };
        let later = domain.later.as_ref().map(|later| format!("{} from {}", whom(&later.extent), later.at));
        let connector = domain.connector.clone().unwrap_or_else(|| "none".to_owned());
        [domain.name.clone(), connector, state, later.unwrap_or_default()]
    };
    let rows: Vec<_> = domains.iter().map(row).collect();
    let mut text = table([("DOMAIN", 30), ("CONNECTOR", 18), ("ON FOR", 24), ("LATER", 22)], &rows);
    for domain in domains {
        for note in &domain.notes {
            let _ = writeln!(text, "{}: {}", clean(&domain.name), clean(note));
        }
    }
    if domains.is_empty() {
        let _ = writeln!(text, "{}", count(0, "domain"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::LaterView;

    fn view(percent: u8, users: usize) -> DomainView {
        DomainView {
            name: "acme.com".to_owned(),
            configured: true,
            connector: Some("acme".to_owned()),
            on: true,
            now: ExtentView { percent, users: vec!["a@acme.com".to_owned(); users] },
            later: None,
            notes: vec![],
        }
    }

    #[test]
    fn an_answer_says_for_whom_and_from_when() {
        for (percent, users, says) in [
            (100, 2, "everybody"),
            (0, 0, "nobody"),
            (0, 1, "1 listed person"),
            (10, 0, "10 of 100"),
            (10, 2, "10 of 100 and 2 listed"),
        ] {
            assert_eq!(told(&view(percent, users)), format!("acme.com is on for {says}\n"));
        }
        let extent = ExtentView { percent: 100, users: vec![] };
        let later = Some(LaterView { at: "2026-12-01T06:00:00.000Z".to_owned(), extent });
        let scheduled = DomainView { later, notes: vec!["so it is".to_owned()], ..view(10, 0) };
        let expected = "acme.com is on for 10 of 100; for everybody from 2026-12-01T06:00:00.000Z on\nnote: so it is\n";
        assert_eq!(told(&scheduled), expected);
        let widest = listed(&[scheduled]).lines().map(|line| line.chars().count()).max();
        assert!(widest.is_some_and(|widest| widest <= 100));
    }

    #[test]
    fn a_file_of_addresses_has_comments_and_is_never_empty() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pilot.txt");
        std::fs::write(&file, "# the first ones\r\nann@acme.com \r\n\n  bob@acme.com").unwrap();
        assert_eq!(addresses(&file).ok(), Some(vec!["ann@acme.com".to_owned(), "bob@acme.com".to_owned()]));
        std::fs::write(&file, "# nobody\n\n").unwrap();
        assert!(addresses(&file).is_err());
        assert!(addresses(&dir.path().join("none.txt")).is_err());
    }
}

//! `anteroom session`: who is signed in, and ending it.

use std::io::{IsTerminal as _, Write as _};

use clap::{Args, Subcommand, ValueEnum};

use crate::admin::{SessionList, Which};

use super::reach::{Reach, WHERE};
use super::table::{clean, count, length, table};
use super::{Failure, json, print};

/// Sessions that are counted before asking; "more than" beyond it.
const COUNTED: u32 = 1_000;

#[derive(Subcommand)]
pub(super) enum Session {
    /// List sessions, newest first.
    ///
    /// IDLE is the time since the last use, LEFT the time until the session ends if nobody uses it. `--format json` has
    /// everything else: when it began, acr and amr of the sign-in.
    #[command(after_help = format!("Example: anteroom session list --config anteroom.toml --user alice@acme.com\n\n{WHERE}"))]
    List(List),
    /// End sessions, in every process of the deployment. The person's next request has to sign in again.
    ///
    /// Their WebSockets and event streams close within a second. The sessions of the application itself, if it has any,
    /// are its own affair; so is the session at the identity provider.
    #[command(after_help = format!("Examples:\n  \
        anteroom session revoke --config anteroom.toml 1c3f0a52-6b0e-4d0c-9f57-0f3b9e6c1d7a\n  \
        anteroom session revoke --config anteroom.toml --user alice@acme.com\n\n{WHERE}"))]
    Revoke(Revoke),
}

#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    which: Selected,
    /// At most so many, up to 10000.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// How to print them.
    #[arg(long, value_enum, default_value = "table")]
    format: TableFormat,
}

#[derive(Args)]
#[group(multiple = false)]
struct Selected {
    /// Only sessions of this address.
    #[arg(long, value_name = "ADDRESS")]
    user: Option<String>,
    /// Only sessions that began at this connector.
    #[arg(long, value_name = "ID")]
    connector: Option<String>,
    /// Only sessions of addresses in this e-mail domain.
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
}

#[derive(Args)]
pub(super) struct Revoke {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    which: Revoked,
    /// Do not ask before ending more than one.
    #[arg(long)]
    yes: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Revoked {
    /// The session, as `session list` names it.
    reference: Option<String>,
    /// All sessions of this address.
    #[arg(long, value_name = "ADDRESS")]
    user: Option<String>,
    /// All sessions that began at this connector.
    #[arg(long, value_name = "ID")]
    connector: Option<String>,
    /// All sessions of addresses in this e-mail domain.
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// Everybody's sessions.
    #[arg(long)]
    all: bool,
}

/// How a list is printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TableFormat {
    /// For people, at most 100 columns wide.
    Table,
    /// For programs, with everything.
    Json,
}

pub(super) fn run(what: &Session) -> Result<(), Failure> {
    match what {
        Session::List(list) => run_list(list),
        Session::Revoke(revoke) => run_revoke(revoke),
    }
}

fn run_list(List { reach, which, limit, format }: &List) -> Result<(), Failure> {
    let Selected { user, connector, domain } = which;
    let (user, connector, domain) = (user.clone(), connector.clone(), domain.clone());
    let which = Which { user, connector, domain, ..Which::default() };
    let found = reach.talk(async |client| client.sessions(&which, *limit).await)?;
    if *format == TableFormat::Json {
        return print(&json(&found)?);
    }
    print(&listed(&found))
}

fn listed(found: &SessionList) -> String {
    let row = |session: &crate::admin::SessionView| {
        let (idle, left) = (length(session.idle_secs), length(session.secs_left));
        [session.reference.to_string(), session.user.clone(), session.connector.clone(), idle, left]
    };
    let rows: Vec<_> = found.sessions.iter().map(row).collect();
    let columns = [("REFERENCE", 36), ("USER", 28), ("CONNECTOR", 14), ("IDLE", 7), ("LEFT", 7)];
    let mut text = table(columns, &rows);
    if found.more {
        text.push_str("there are more: see --limit, --user, --connector and --domain\n");
    }
    text
}

fn run_revoke(Revoke { reach, which, yes }: &Revoke) -> Result<(), Failure> {
    let Revoked { reference, user, connector, domain, all } = which;
    let which = Which {
        reference: reference.clone(),
        user: user.clone(),
        connector: connector.clone(),
        domain: domain.clone(),
        sub: None,
        all: *all,
    };
    if reference.is_none() && !yes {
        let found = reach.talk(async |client| client.sessions(&which, COUNTED).await)?;
        ask(&found)?;
    }
    let ended = reach.talk(async |client| client.revoke(&which).await)?.ended;
    match reference {
        Some(reference) if ended == 0 => Err(Failure::Other(format!(
            "there is no session {}: it has ended already, or `anteroom session list` names it otherwise",
            clean(reference)
        ))),
        Some(_) | None => print(&format!("{} ended\n", count(ended, "session"))),
    }
}

/// Asks before more than one session ends.
fn ask(found: &SessionList) -> Result<(), Failure> {
    let n = found.sessions.len() as u64;
    if n < 2 {
        return Ok(());
    }
    let these = if found.more { format!("more than {n} sessions") } else { count(n, "session") };
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(format!("this ends {these}, and there is no terminal to ask on: say --yes")));
    }
    let failed = |error| Failure::Other(format!("cannot ask: {error}"));
    let mut err = std::io::stderr();
    write!(err, "End {these}? [y/N] ").and_then(|()| err.flush()).map_err(failed)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(failed)?;
    let agreed = ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str());
    if agreed { Ok(()) } else { Err(Failure::Other("no session was ended".to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::SessionView;

    #[test]
    fn a_list_fits_a_hundred_columns_and_says_that_there_is_more() {
        let session = SessionView {
            reference: uuid::Uuid::from_u128(u128::MAX),
            user: format!("{}@acme.com", "a".repeat(64)),
            connector: "c".repeat(64),
            created: String::new(),
            last_used: String::new(),
            idle_secs: 172_799,
            secs_left: 31_536_000,
            acr: None,
            amr: vec![],
        };
        let text = listed(&SessionList { sessions: vec![session], more: true });
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest.is_some_and(|widest| widest <= 100), "{text}");
        assert!(text.contains("ffffffff-ffff-ffff-ffff-ffffffffffff") && text.contains("47h59m"), "{text}");
        assert!(text.ends_with("and --domain\n"), "{text}");
        let none = listed(&SessionList { sessions: vec![], more: false });
        assert_eq!(none.lines().count(), 1, "{none}");
    }
}

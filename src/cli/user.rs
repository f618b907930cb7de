//! `anteroom user`: who there is, and who may sign in.

use clap::{Args, Subcommand};

use crate::admin::{UserList, UserOrder, UserView};

use super::reach::{Reach, WHERE};
use super::session::TableFormat;
use super::table::{count, table};
use super::{Failure, json, print};

#[derive(Subcommand)]
pub(super) enum User {
    /// List users, newest first: everybody who ever signed in, or was known to an application.
    ///
    /// SOURCE is how the record came to be: `jit` at the first sign-in, `adopted` from an application's own user.
    /// `--format json` has everything else: what vouches for them, and what the applications call them.
    #[command(after_help = format!("Example: anteroom user list --config anteroom.toml --address alice@acme.com\n\n{WHERE}"))]
    List(List),
    /// Let nobody sign in as a user any more, and end all their sessions, in every process of the deployment.
    ///
    /// Nobody else gets in with their address either, whoever vouches for it, unless it is released. It stays so over
    /// restarts.
    #[command(after_help = format!("Example: anteroom user deactivate --config anteroom.toml alice@acme.com\n\n{WHERE}"))]
    Deactivate(Deactivate),
    /// Let a user sign in again.
    #[command(after_help = format!("Example: anteroom user activate --config anteroom.toml alice@acme.com\n\n{WHERE}"))]
    Activate(Named),
    /// Forget by what name a connector knows a user, and end all their sessions: the answer to `account_conflict`, if it
    /// is the same person.
    ///
    /// A sign-in is refused with `account_conflict` when a connector vouches for a known address under a new subject:
    /// somebody was hired again, or the address or its domain has another owner. After this command the next who comes
    /// with the address is this user. If it is another person, use `user deactivate --release-address` instead.
    #[command(after_help = format!("Example: anteroom user unlink --config anteroom.toml alice@acme.com --connector acme-entra\n\n{WHERE}"))]
    Unlink(Unlink),
}

#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    reach: Reach,
    /// Only users who have this address.
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// At most so many, up to 1000.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    /// How to print them.
    #[arg(long, value_enum, default_value = "table")]
    format: TableFormat,
    /// The same as `--format json`.
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Args)]
pub(super) struct Named {
    #[command(flatten)]
    reach: Reach,
    /// The user's address, or their id if several have it.
    #[arg(value_name = "ADDRESS|ID")]
    user: String,
}

#[derive(Args)]
pub(super) struct Deactivate {
    #[command(flatten)]
    named: Named,
    /// The address is free for another person from now on.
    #[arg(long)]
    release_address: bool,
}

#[derive(Args)]
pub(super) struct Unlink {
    #[command(flatten)]
    named: Named,
    /// The connector, by its id in the configuration.
    #[arg(long, value_name = "ID")]
    connector: String,
}

pub(super) fn run(what: &User) -> Result<(), Failure> {
    match what {
        User::List(asked) => list(asked),
        User::Deactivate(Deactivate { named, release_address }) => {
            let order = UserOrder { release_address: *release_address, connector: None };
            change(named, "deactivate", &order, "is deactivated")
        }
        User::Activate(named) => change(named, "activate", &UserOrder::default(), "may sign in again"),
        User::Unlink(Unlink { named, connector }) => {
            let order = UserOrder { connector: Some(connector.clone()), ..UserOrder::default() };
            change(named, "unlink", &order, "is linked again at the next sign-in")
        }
    }
}

fn change(Named { reach, user }: &Named, what: &str, order: &UserOrder, done: &str) -> Result<(), Failure> {
    let changed = reach.talk(async |client| client.change_user(user, what, order).await)?;
    let ended = match what {
        "activate" => String::new(),
        _ => format!("; {} ended", count(changed.ended, "session")),
    };
    print(&format!("{} ({}) {done}{ended}\n", super::table::clean(&changed.address), changed.id))
}

fn list(List { reach, address, limit, format, json: as_json }: &List) -> Result<(), Failure> {
    let found = reach.talk(async |client| client.users(address.as_deref(), *limit).await)?;
    if *as_json || *format == TableFormat::Json {
        return print(&json(&found)?);
    }
    print(&listed(&found))
}

fn listed(found: &UserList) -> String {
    let row = |user: &UserView| {
        let state = match (user.active, user.address_released) {
            (true, _) => "active",
            (false, false) => "deactivated",
            (false, true) => "released",
        };
        [user.id.to_string(), user.address.clone(), state.to_owned(), user.source.clone(), user.connectors()]
    };
    let rows: Vec<_> = found.users.iter().map(row).collect();
    let columns = [("ID", 36), ("ADDRESS", 24), ("STATE", 11), ("SOURCE", 7), ("VOUCHED BY", 14)];
    let mut text = table(columns, &rows);
    if found.more {
        text.push_str("there are more: see --limit and --address\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{IdentityView, MembershipView};

    #[test]
    fn a_list_fits_a_hundred_columns_and_says_that_there_is_more() {
        let user = UserView {
            id: uuid::Uuid::from_u128(u128::MAX),
            address: format!("{}@acme.com", "a".repeat(64)),
            address_verified: true,
            active: false,
            address_released: false,
            source: "adopted".to_owned(),
            created: String::new(),
            identities: vec![IdentityView { connector: "c".repeat(63), subject: "1".to_owned() }],
            memberships: vec![MembershipView {
                app: "portal".to_owned(),
                native_user: "42".to_owned(),
                role: None,
                source: "adopted".to_owned(),
            }],
        };
        let text = listed(&UserList { users: vec![user.clone()], more: true });
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest.is_some_and(|widest| widest <= 100), "{text}");
        assert!(text.contains("deactivated") && text.ends_with("and --address\n"), "{text}");
        let released = UserView { address_released: true, ..user };
        assert!(listed(&UserList { users: vec![released], more: false }).contains("released"));
    }
}

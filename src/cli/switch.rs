//! `anteroom connector` and `anteroom domain`: what is there, and off and on again over what the configuration says.

use clap::{Args, Subcommand};

use crate::admin::SwitchOrder;
use crate::directory::SwitchKind;

use super::reach::{Reach, WHERE};
use super::show::{self, Show};
use super::table::count;
use super::{Failure, print};

#[derive(Subcommand)]
pub(super) enum Connector {
    /// Show what the provider's administrator needs to register a connector, and what the provider said of itself.
    ///
    /// Over SAML: Identifier (Entity ID), Reply URL (ACS URL), Sign-on URL, Logout URL, the address of Anteroom's own
    /// metadata and its certificates. Over OpenID Connect: redirect URI, logout URLs and sign-on URL. Needs the
    /// configuration alone: no process has to run, and nothing is written or fetched.
    #[command(after_help = show::EXAMPLES)]
    Show(Box<Show>),
    /// Switch a connector off, in every process: nobody signs in through it until it is enabled again.
    ///
    /// Sign-ins that are under way end with a page that says so. What happens to the sessions that began there stands
    /// in sessions.on_disable, unless a flag says otherwise. It stays off over restarts.
    #[command(after_help = format!("Example: anteroom connector disable --config anteroom.toml acme-entra --keep-sessions\n\n{WHERE}"))]
    Disable(Disable),
    /// Switch a connector on again.
    #[command(after_help = format!("Example: anteroom connector enable --config anteroom.toml acme-entra\n\n{WHERE}"))]
    Enable(Enable),
}

#[derive(Subcommand)]
pub(super) enum Domain {
    /// Switch an e-mail domain off, in every process: its people cannot sign in until it is enabled again.
    ///
    /// Sign-ins that are under way end with a page that says so. What happens to their sessions stands in
    /// sessions.on_disable, unless a flag says otherwise. It stays off over restarts.
    #[command(after_help = format!("Example: anteroom domain disable --config anteroom.toml acme.com --end-sessions\n\n{WHERE}"))]
    Disable(Disable),
    /// Switch an e-mail domain on again.
    #[command(after_help = format!("Example: anteroom domain enable --config anteroom.toml acme.com\n\n{WHERE}"))]
    Enable(Enable),
}

#[derive(Args)]
pub(super) struct Disable {
    #[command(flatten)]
    reach: Reach,
    /// Its id or name, as in the configuration.
    name: String,
    /// End its sessions, whatever sessions.on_disable says.
    #[arg(long)]
    end_sessions: bool,
    /// Keep its sessions until their limits, whatever sessions.on_disable says.
    #[arg(long, conflicts_with = "end_sessions")]
    keep_sessions: bool,
}

#[derive(Args)]
pub(super) struct Enable {
    #[command(flatten)]
    reach: Reach,
    /// Its id or name, as in the configuration.
    name: String,
}

pub(super) fn connector(what: &Connector) -> Result<(), Failure> {
    match what {
        Connector::Disable(order) => disable(SwitchKind::Connector, order),
        Connector::Enable(order) => enable(SwitchKind::Connector, order),
        Connector::Show(asked) => show::run(asked),
    }
}

pub(super) fn domain(what: &Domain) -> Result<(), Failure> {
    match what {
        Domain::Disable(order) => disable(SwitchKind::Domain, order),
        Domain::Enable(order) => enable(SwitchKind::Domain, order),
    }
}

fn disable(kind: SwitchKind, order: &Disable) -> Result<(), Failure> {
    let Disable { reach, name, end_sessions, keep_sessions } = order;
    let order = SwitchOrder { end_sessions: (*end_sessions || *keep_sessions).then_some(*end_sessions) };
    let switched = reach.talk(async |client| client.switch(kind, name, true, order).await)?;
    let sessions = match switched.ended {
        Some(ended) => format!("{} ended", count(ended, "session")),
        None => "its sessions go on until their limits".to_owned(),
    };
    print(&format!("{name} is off; {sessions}\n"))
}

fn enable(kind: SwitchKind, Enable { reach, name }: &Enable) -> Result<(), Failure> {
    reach.talk(async |client| client.switch(kind, name, false, SwitchOrder::default()).await)?;
    print(&format!("{name} is on\n"))
}

//! `anteroom connector`: what is there, and off and on again over what the configuration says.

use clap::{Args, Subcommand};

use super::reach::{Reach, WHERE};
use super::show::{self, Show};
use super::table::count;
use super::{Failure, print};
use crate::admin::SwitchOrder;

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

#[derive(Args)]
pub(super) struct Disable {
    #[command(flatten)]
    pub(super) reach: Reach,
    /// Its id or name, as in the configuration.
    pub(super) name: String,
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
        Connector::Disable(order) => disable(order),
        Connector::Enable(order) => enable(order),
        Connector::Show(asked) => show::run(asked),
    }
}

fn disable(order: &Disable) -> Result<(), Failure> {
    let switched = order.reach.talk(async |client| client.switch_connector(&order.name, true, order.order()).await)?;
    print(&format!("{} is off; {}\n", order.name, order.ended(switched.ended)))
}

fn enable(Enable { reach, name }: &Enable) -> Result<(), Failure> {
    reach.talk(async |client| client.switch_connector(name, false, SwitchOrder::default()).await)?;
    print(&format!("{name} is on\n"))
}

impl Disable {
    /// What is to happen to the sessions.
    pub(super) fn order(&self) -> SwitchOrder {
        SwitchOrder { end_sessions: (self.end_sessions || self.keep_sessions).then_some(self.end_sessions) }
    }

    /// What happened to them.
    pub(super) fn ended(&self, ended: Option<u64>) -> String {
        match ended {
            Some(ended) => format!("{} ended", count(ended, "session")),
            None => "its sessions go on until their limits".to_owned(),
        }
    }
}

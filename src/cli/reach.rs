//! How a command reaches the running process.

use std::path::PathBuf;

use clap::Args;

use crate::admin::{Client, ClientError};
use crate::base::app_log::error_chain;
use crate::config::{self, Overrides};

use super::Failure;

/// What the help of every command that talks to the running process ends with.
pub(super) const WHERE: &str = "\
The command talks to the process over its admin socket (ops.admin_socket), so it runs on the same
machine or in the same container, as Anteroom's user or as root:
  kubectl exec deploy/portal -c anteroom -- anteroom status --config /etc/anteroom/anteroom.toml";

/// Which running process.
#[derive(Args)]
pub(super) struct Reach {
    /// The configuration that the process was started with; it says where the admin socket is.
    #[arg(long, short, value_name = "FILE", required_unless_present = "socket")]
    config: Option<PathBuf>,
    /// The admin socket itself, if the configuration cannot be read here or was overridden with flags.
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    socket: Option<PathBuf>,
}

impl Reach {
    /// Talks to the process.
    pub(super) fn talk<T>(&self, talk: impl AsyncFnOnce(&Client) -> Result<T, ClientError>) -> Result<T, Failure> {
        let path = match (&self.socket, &self.config) {
            (Some(socket), _) => socket.clone(),
            (None, file) => {
                let loaded = config::load(file.as_deref(), config::environment(), &Overrides::default());
                loaded.map_err(Failure::Config)?.config.ops.admin_socket.path
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::Other(format!("cannot start the runtime: {error}")))?;
        runtime.block_on(talk(&Client::new(&path))).map_err(|error| Failure::Other(error_chain(&error)))
    }
}

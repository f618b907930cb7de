//! `anteroom check`: start-up's judgements, without starting.

use crate::admin;
use crate::base::app_log::error_chain;
use crate::base::keys::KeyRing;
use crate::base::outgoing::Outgoing;
use crate::config::SessionsStore;
use crate::connector::SamlProvider;

use super::{Configured, Failure, print};

pub(super) fn run(configured: &Configured) -> Result<(), Failure> {
    let loaded = configured.load()?;
    let config = &loaded.config;
    let keys = KeyRing::check(&config.keys.dir)
        .map_err(|error| Failure::Other(format!("keys.dir: {}", error_chain(&error))))?;
    for (id, saml) in config.connectors.iter().filter_map(|(id, connector)| Some((id, connector.saml()?))) {
        SamlProvider::check(saml, &config.keys.dir)
            .map_err(|error| Failure::Other(format!("connectors.{id}: {}", error_chain(&error))))?;
    }
    Outgoing::new(&config.outgoing).map_err(|error| Failure::Other(format!("outgoing: {}", error_chain(&error))))?;
    if config.sessions.store == SessionsStore::Directory {
        config.directory.location.check().map_err(|error| Failure::Other(error_chain(&error)))?;
    }
    let no_socket = match (admin::check(&config.ops.admin_socket), config.ops.admin_socket.is_written) {
        (Err(error), true) => return Err(Failure::Other(format!("ops.admin_socket: {}", error_chain(&error)))),
        (result, _) => result.err(),
    };
    let mut text = String::new();
    for warning in &loaded.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    if let Some(error) = no_socket {
        text.push_str(&format!("warning: no command will reach the process: {}\n", error_chain(&error)));
    }
    text.push_str(&format!(
        "ok: {} app(s), {} connector(s), {} domain(s) at {}\n",
        config.apps.len(),
        config.connectors.len(),
        config.domains.len(),
        config.server.public_url.origin,
    ));
    if !keys.will_make.is_empty() {
        text.push_str(&format!("keys will be made in {} at the first start\n", config.keys.dir.display()));
    }
    print(&text)
}

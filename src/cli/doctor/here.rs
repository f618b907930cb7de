//! What is on this machine, and the applications.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use crate::admin::{Client, ClientError, Status};
use crate::base::app_log::error_chain;
use crate::base::id::Id;
use crate::base::keys::KeyRing;
use crate::config::{Config, DirectoryLocation, SessionsStore, Upstream, Warning};
use crate::directory::{self, Location, Probed};
use crate::proxy;

use super::super::table::{count, minute};
use super::{Finding, Room, State};

/// It loads: else nothing is looked at.
pub(super) fn configuration(config: &Config, warnings: &[Warning]) -> Vec<Finding> {
    let (apps, connectors, domains) = (config.apps.len(), config.connectors.len(), config.domains.len());
    let counts = [(apps, "app"), (connectors, "connector"), (domains, "domain")];
    let counts = counts.map(|(n, what)| count(n as u64, what)).join(", ");
    let ok = Finding::ok("configuration", format!("{counts} at {}", config.server.public_url.origin));
    let warning = |warning: &Warning| {
        let about = format!("configuration {}", warning.place);
        Finding { state: State::Warning, ..Finding::ok(&about, &warning.text) }
    };
    std::iter::once(ok).chain(warnings.iter().map(warning)).collect()
}

pub(super) fn keys(dir: &Path) -> Vec<Finding> {
    let report = match KeyRing::check(dir) {
        Ok(report) => report,
        Err(error) => return vec![Finding::error("keys.dir", &error)],
    };
    let show = dir.display();
    let text = if report.will_make.is_empty() {
        let (sealing, assertion) = (report.sealing as u64, report.assertion as u64);
        format!("{} and {} in {show}", count(sealing, "sealing key"), count(assertion, "assertion key"))
    } else {
        format!("keys will be made in {show} at the first start")
    };
    let open = report.readable_by_others.iter().map(|file| {
        let text = format!("{} is readable by every user of this machine", file.display());
        Finding::warning("keys.dir", text, format!("chmod 600 {}", file.display()))
    });
    std::iter::once(Finding::ok("keys.dir", text)).chain(open).collect()
}

/// The process that runs here, if one does.
pub(super) async fn process(client: &Client) -> (Option<Status>, Finding) {
    let about = "process";
    let own = env!("CARGO_PKG_VERSION");
    match client.status().await {
        Ok(status) => {
            let Status { version, pid, since, .. } = &status;
            let text = format!("version {version} runs as process {pid} since {} UTC", minute(since));
            let finding = if version == own {
                Finding::ok(about, text)
            } else {
                Finding::warning(about, format!("{text}, and this program is {own}"), "restart it when that suits")
            };
            (Some(status), finding)
        }
        Err(ClientError::NobodyThere { path, .. }) => {
            let text = format!("none runs here: nobody answers at {} (ops.admin_socket)", path.display());
            (None, Finding::ok(about, text))
        }
        Err(error) => (None, Finding { state: State::Warning, ..Finding::ok(about, error_chain(&error)) }),
    }
}

pub(super) fn listeners(room: &Room<'_>) -> Vec<Finding> {
    let listeners = [("server.listen", room.config.server.listen), ("ops.listen", room.config.ops.listen)];
    listeners.into_iter().map(|(key, address)| listener(key, address, room.process)).collect()
}

/// Binds for a moment, which nobody notices who is not there.
fn listener(key: &str, address: SocketAddr, process: Option<&Status>) -> Finding {
    match (TcpListener::bind(address), process) {
        (Ok(_), _) => Finding::ok(key, format!("{address} is free")),
        (Err(error), Some(process)) if error.kind() == ErrorKind::AddrInUse => {
            Finding::ok(key, format!("{address} is taken, and Anteroom runs as process {}", process.pid))
        }
        (Err(error), _) => {
            let advice = match error.kind() {
                ErrorKind::AddrInUse => format!("another program listens there: stop it, or change {key}"),
                ErrorKind::PermissionDenied => {
                    format!("ports below 1024 take a privilege: give it, or change {key} and map the port")
                }
                ErrorKind::AddrNotAvailable => format!("this machine has no such address: change {key}"),
                _ => format!("change {key}"),
            };
            Finding::problem(key, format!("{address} cannot be listened on: {error}"), advice)
        }
    }
}

pub(super) async fn directory(config: &Config) -> Vec<Finding> {
    let about = "directory.url";
    if config.sessions.store == SessionsStore::Memory {
        return vec![Finding::ok(about, "not used: sessions.store is \"memory\"")];
    }
    if let Err(error) = config.directory.location.check() {
        return vec![Finding::error(about, &error)];
    }
    let (what, location) = match &config.directory.location {
        DirectoryLocation::Sqlite(path) => (path.display().to_string(), Location::Sqlite(path.clone())),
        DirectoryLocation::Postgres(url) => match url.read() {
            Ok(url) => ("the PostgreSQL database".to_owned(), Location::Postgres(url)),
            Err(error) => return vec![Finding::error("directory.url_file", &error)],
        },
    };
    vec![match directory::probe(&location).await {
        Ok(Probed::Ready) => Finding::ok(about, format!("{what} is there")),
        Ok(Probed::Empty) => Finding::ok(about, format!("{what} is empty: its tables are made at the first start")),
        Err(error) => Finding::error(about, &error),
    }]
}

pub(super) async fn upstream(id: &Id, upstream: &Upstream) -> Vec<Finding> {
    let about = format!("apps.{id}.upstream");
    let Upstream { host, port } = upstream;
    vec![match proxy::reach(upstream).await {
        Ok(()) => Finding::ok(&about, format!("{host} takes connections on port {port}")),
        Err(error) => {
            let text = format!("{host} takes no connection on port {port}: {error}");
            Finding::problem(&about, text, "start the application, or correct the setting")
        }
    }]
}

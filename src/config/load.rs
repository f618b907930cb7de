//! From file, environment and flags to a configuration, or to everything that is wrong with it.

use std::path::{Path, PathBuf};

use super::Config;
use super::apps::{self, RawApp};
use super::connector_resolve;
use super::connectors::MaybeConnector;
use super::directory::{DirectoryLocation, RawDirectory};
use super::domains::{self, RawDomain};
use super::explain::RawExplain;
use super::file;
use super::identity::RawIdentity;
use super::keys::RawKeys;
use super::log::RawLog;
use super::node::Node;
use super::ops::RawOps;
use super::outgoing::RawOutgoing;
use super::overlay::{Overrides, apply_environment, apply_flags};
use super::parse::Context;
use super::problem::{Place, Problem, Problems, Report, Source, Warning};
use super::read::{At, Field, Keyed, Read as _, section};
use super::server::{self, Parts, RawServer};
use super::sessions::RawSessions;

section! {
    /// Configuration of Anteroom.
    RawConfig {
        /// Where Anteroom listens and who it is.
        server: RawServer,
        /// For those who run Anteroom: probes, metrics, the admin socket.
        ops: RawOps,
        /// Calls to providers.
        outgoing: RawOutgoing,
        /// Where the keys live that Anteroom makes itself.
        keys: RawKeys,
        /// The applications behind Anteroom, each by an id of `[a-z0-9-]`. At least one.
        apps: Keyed<RawApp>,
        /// The corporate identity providers, each by an id of `[a-z0-9-]`.
        connectors: Keyed<MaybeConnector>,
        /// E-mail domains and the connector of each. Only in the file.
        domains: Keyed<RawDomain>,
        /// How the application is told who asks.
        identity: RawIdentity,
        /// How long a sign-in lasts.
        sessions: RawSessions,
        /// The database of sessions and of everything else that must outlive a process.
        directory: RawDirectory,
        /// What is logged, and how.
        log: RawLog,
        /// What is kept for `anteroom explain`.
        explain: RawExplain,
    }
}

/// A configuration without mistakes.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What was configured.
    pub config: Config,
    /// What an operator should know about it.
    pub warnings: Vec<Warning>,
}

/// The process's environment. Values that are not UTF-8 are marked, and [`load`] refuses them where they are ours.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
}

/// Reads `file` (TOML or YAML by its ending), puts `environment` over it and `flags` over both, and checks all of it.
/// Reads the files that it names (secrets, roots), and writes, binds and fetches nothing.
///
/// # Errors
/// Every mistake of the run, in the order of the file; syntax errors may hide what follows them. No secret is in them.
pub fn load(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
    flags: &Overrides,
) -> Result<Loaded, Problems> {
    let mut report = Report::default();
    let working_dir = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let root = match file {
        Some(path) => file::read(path, &mut report),
        None => Some(Node::root(Source::Nowhere)),
    };
    // What a broken file holds is not known, so nothing can be said about the rest.
    let Some(mut root) = root else { return Err(sorted(report.problems)) };
    apply_environment(&mut root, environment, &mut report);
    apply_flags(&mut root, flags, &mut report);
    let file_dir = file.and_then(Path::parent).map_or_else(|| working_dir.clone(), |dir| working_dir.join(dir));
    let place = root.place.clone();
    let raw = RawConfig::read(root, &mut report);
    let mut cx = Context { report: &mut report, file_dir, working_dir };
    let config = raw.and_then(|raw| raw.resolve(&place, &mut cx));
    match config {
        Some(config) if report.problems.is_empty() => Ok(Loaded { config, warnings: report.warnings }),
        Some(_) | None => Err(sorted(report.problems)),
    }
}

/// In the order of the file, then environment, then flags.
fn sorted(mut problems: Vec<Problem>) -> Problems {
    problems.sort_by(|a, b| a.place.source.cmp(&b.place.source));
    Problems(problems)
}

impl RawConfig {
    fn resolve(self, root: &Place, cx: &mut Context<'_>) -> Option<Config> {
        let server = self.server.section(root, "server");
        let server_place = server.as_ref().map_or_else(|| root.child("server"), |at| at.place.clone());
        let server = server.map(|raw| RawServer::resolve(raw, cx));
        let outgoing = self.outgoing.section(root, "outgoing").and_then(|raw| RawOutgoing::resolve(raw, cx));
        let keys = self.keys.section(root, "keys").and_then(|raw| RawKeys::resolve(raw, cx));
        let directory = self.directory.section(root, "directory").and_then(|raw| RawDirectory::resolve(raw, cx));
        let beside = match directory.as_ref().map(|directory| &directory.location) {
            Some(DirectoryLocation::Sqlite(file)) => file.parent(),
            Some(DirectoryLocation::Postgres(_)) => keys.as_ref().map(|keys| keys.dir.as_path()),
            None => None,
        };
        let ops = self.ops.section(root, "ops").and_then(|raw| RawOps::resolve(raw, beside, cx));
        let public_url = server.as_ref().and_then(|s| s.public_url.as_ref());
        let prefix = server.as_ref().and_then(|s| s.prefix.as_deref());
        let listen = server.as_ref().and_then(|s| s.listen);
        if let (Some(data), Some(ops)) = (listen, &ops) {
            server::check_listeners(data, ops.value.listen, &ops.place, cx.report);
        }
        let insecure_http = server.as_ref().is_none_or(|s| s.insecure_http);
        let around = apps::Surroundings { public_url, insecure_http, prefix, listen };
        let apps = apps::resolve(self.apps, root, &around, cx);
        let ids = ids(&self.connectors);
        let of_domains = domains::connectors(&self.domains);
        let around = connector_resolve::Surroundings {
            public_url,
            prefix,
            // Not known: nothing is said that might not be so.
            insecure_http: outgoing.as_ref().is_none_or(|o| o.insecure_http),
            domains: &of_domains,
            apps: apps.as_ref(),
        };
        let connectors = connector_resolve::resolve(self.connectors, root, &around, cx);
        if connectors.as_ref().is_some_and(|all| !all.is_empty()) && server.as_ref().is_some_and(Parts::hides_clients) {
            let text = "it is empty, so all clients behind the proxy that speaks https for public_url are one source to \
                        the limits of sign-ins, and bad messages of one keep everybody out; list the proxy's addresses";
            cx.report.warn(&server_place.child("trusted_proxies"), text);
        }
        let environment = server.as_ref().and_then(|s| s.environment);
        let environment = At { value: environment, place: server_place.child("environment") };
        let domains = domains::resolve(self.domains, root, &ids, &environment, cx.report);
        let identity = self.identity.section(root, "identity").and_then(|raw| RawIdentity::resolve(raw, cx));
        let sessions = self.sessions.section(root, "sessions");
        let sessions = sessions.and_then(|raw| RawSessions::resolve(raw, public_url, cx));
        let log = self.log.section(root, "log").and_then(|raw| RawLog::resolve(raw, cx));
        let explain = self.explain.section(root, "explain").and_then(|raw| RawExplain::resolve(raw, cx));
        Some(Config {
            server: server.and_then(Parts::complete)?,
            ops: ops?.value,
            outgoing: outgoing?,
            keys: keys?,
            apps: apps?,
            connectors: connectors?,
            domains: domains?,
            identity: identity?,
            sessions: sessions?,
            directory: directory?,
            log: log?,
            explain: explain?,
        })
    }
}

/// The ids of the connectors that are written, also of those that do not hold.
fn ids(connectors: &Field<Keyed<MaybeConnector>>) -> Vec<String> {
    let entries: Option<&At<Keyed<MaybeConnector>>> = connectors.set();
    entries.map(|at| at.value.0.iter().map(|entry| entry.key.clone()).collect()).unwrap_or_default()
}

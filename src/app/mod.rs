//! The composition root: puts the parts together, listens, and shuts down. The only place that knows them all.

mod background;
mod control;
mod domains;
mod lifecycle;
mod ops;
mod persons;
mod runtime;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::admin;
use crate::audit::Audit;
use crate::base::clock::Clock;
use crate::base::email::EmailDomain;
use crate::base::id::Id;
use crate::base::keys::{KeyRing, KeysError};
use crate::base::log::Log;
use crate::base::metrics::Metrics;
use crate::base::outgoing::{Outgoing, OutgoingSetupError};
use crate::base::random;
use crate::base::seal::Sealer;
use crate::base::secret::SecretError;
use crate::config::{Config, Connector, DirectoryLocation, OnDisable, Renewal, SessionsStore};
use crate::connector::{OidcProvider, Provider, ProviderError, SamlProvider, SamlSurroundings};
use crate::directory::{self, Directory, DirectoryError, Location, OpenError, Switchboard};
use crate::explain::Recorder;
use crate::gate::Snapshot;
use crate::identity::assertion::AssertionSigner;
use crate::identity::headers::HeaderPlan;
use crate::legacy::Enforced;
use crate::legacy::native::Native;
use crate::proxy::{DataPlane, Shared};
use crate::session::{Assertions, Cookies, Follower, Hosts, Limits, Renewals, Serves, SessionStore, StoreParts};
use crate::signin::{Parts, SignIn};
use crate::web::Site;

use background::Background;
use control::{Controls, Reached};

pub use lifecycle::{Running, Stop};
pub use runtime::control_runtime;

/// Why Anteroom cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address} ({key})")]
    Listen {
        key: &'static str,
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("the keys for SAML cannot be used")]
    SamlKeys(#[source] ProviderError),
    #[error("cannot use the keys in {}", dir.display())]
    Keys {
        dir: PathBuf,
        #[source]
        source: KeysError,
    },
    #[error("cannot read directory.url_file")]
    DirectoryUrl(#[source] SecretError),
    #[error("cannot open the directory database (directory.url)")]
    OpenDirectory(#[source] OpenError),
    #[error("cannot read the directory database (directory.url)")]
    Directory(#[source] DirectoryError),
    #[error(
        "the keys in {} (keys.dir) are not those that the directory database was used with, so nothing sealed there could \
         be opened; give every process of one deployment the same keys, or a new database",
        dir.display()
    )]
    OtherKeys { dir: PathBuf },
    #[error("cannot open the admin socket (ops.admin_socket)")]
    AdminSocket(#[source] admin::SocketError),
    #[error("cannot set up calls to providers")]
    Outgoing(#[source] OutgoingSetupError),
    #[error("cannot start the data plane")]
    DataPlane(#[source] io::Error),
}

/// What a test may replace.
pub struct Environment {
    pub clock: Clock,
    pub log: Log,
    /// In place of the configured directory: what several processes of one deployment would share.
    pub directory: Option<Directory>,
}

/// The parts that answer requests, before anything listens.
pub struct Assembled {
    pub shared: Arc<Shared>,
    pub metrics: Arc<Metrics>,
    pub directory: Directory,
    background: Background,
    controls: Arc<Controls>,
}

/// Puts the parts together. Own paths are answered on the runtime that calls.
///
/// # Errors
/// The keys cannot be read or made, the directory database cannot be opened, or the roots for calls to providers cannot
/// be read.
pub async fn assemble(config: &Config, environment: &Environment) -> Result<Assembled, StartError> {
    let clock = environment.clock.clone();
    let keys_failed = |source| StartError::Keys { dir: config.keys.dir.clone(), source };
    let keys = KeyRing::open(&config.keys.dir, config.sessions.absolute_timeout, clock.clone()).map_err(keys_failed)?;
    let keys = Arc::new(keys);
    let sealer = Sealer::new(keys.clone());
    let outgoing = Outgoing::new(&config.outgoing).map_err(StartError::Outgoing)?;
    let directory = open_directory(config, environment, &keys).await?;
    let plan = Arc::new(HeaderPlan::new(&config.identity));
    let (sessions, due) = SessionStore::new(StoreParts {
        directory: directory.clone(),
        limits: Limits { idle: config.sessions.idle_timeout, absolute: config.sessions.absolute_timeout },
        bound: config.sessions.revocation_bound,
        hosts: Hosts::new(own_hosts(config), config.sessions.cookie_domain.as_deref()),
        silent: renewed_silently(config),
        plan: plan.clone(),
        sealer: sealer.clone(),
        serves: serves(config),
        clock: clock.clone(),
    });
    let salt = directory.salts.salt(Switchboard::PURPOSE, &random::bytes()).await.map_err(StartError::Directory)?;
    let switchboard = Switchboard::new(&salt);
    let follower = Follower::begin(sessions.clone(), switchboard.clone()).await.map_err(StartError::Directory)?;
    let counted = sessions.clone();
    let metrics = Arc::new(Metrics::new(Box::new(move || counted.count())));
    let explain = Recorder::new(&config.explain);
    let audit = Arc::new(Audit::new(environment.log.clone(), clock.clone()));
    let origin = &config.server.public_url.origin;
    let saml = SamlSurroundings {
        outgoing: outgoing.clone(),
        insecure_http: config.outgoing.insecure_http,
        keys_dir: config.keys.dir.clone(),
        base_url: format!("{origin}{}", config.server.prefix),
        clock: clock.clone(),
    };
    let providers: Result<BTreeMap<Id, Provider>, StartError> = config
        .connectors
        .iter()
        .map(|(id, connector)| {
            let domains = SignIn::enabled_domains(config, id);
            let (outgoing, clock) = (outgoing.clone(), clock.clone());
            let provider = match connector {
                Connector::Oidc(oidc) => {
                    let redirect_uri = format!("{origin}{}", oidc.callback_path);
                    let provider = OidcProvider::new(id.clone(), oidc, domains, redirect_uri, outgoing, clock);
                    Provider::Oidc(Arc::new(provider))
                }
                Connector::Saml(connector) => {
                    let provider = SamlProvider::new(id.clone(), connector, domains, saml.clone());
                    Provider::Saml(Arc::new(provider.map_err(StartError::SamlKeys)?))
                }
            };
            Ok((id.clone(), provider))
        })
        .collect();
    let providers = providers?;
    let saml: Vec<Arc<SamlProvider>> = providers.values().filter_map(Provider::saml).cloned().collect();
    let watched = saml.clone();
    metrics.watch_metadata(Box::new(move || {
        let expiry =
            |provider: &Arc<SamlProvider>| Some((provider.id().to_string(), provider.source().expires()?.secs()));
        watched.iter().filter_map(expiry).collect()
    }));
    let renewals = Renewals::new(sessions.clone(), &providers, audit.clone());
    let cookies = Cookies::new(&config.server.public_url, &config.sessions);
    let snapshot = Arc::new(Snapshot::new(config));
    let enforced = Arc::new(Enforced::new(config, switchboard.clone(), clock.clone()));
    let persons = Arc::new(persons::Records(directory.clone()));
    let native = Native::open(config, directory.clone(), enforced.clone(), Some(persons), clock.clone()).await;
    let native = Arc::new(native.map_err(StartError::Directory)?);
    let sign_in = SignIn::new(
        config,
        Parts {
            providers,
            snapshot: snapshot.clone(),
            directory: directory.clone(),
            switchboard: switchboard.clone(),
            enforced,
            sealer,
            cookies: cookies.clone(),
            sessions: sessions.clone(),
            audit: audit.clone(),
            explain: explain.clone(),
            metrics: metrics.clone(),
            clock: clock.clone(),
        },
    );
    let assertions = config.identity.assertion.as_ref().map(|assertion| {
        let signer = AssertionSigner::new(keys.clone(), origin.clone(), assertion.lifetime);
        Arc::new(Assertions::new(signer, assertion.header.clone()))
    });
    let site = Site::new(config, sign_in, cookies, sessions.clone(), assertions, audit.clone(), clock.clone());
    let site = Arc::new(site);
    let reached = Reached {
        directory: directory.clone(),
        sessions: sessions.clone(),
        switchboard,
        keys: keys.clone(),
        site: site.clone(),
        explain: explain.clone(),
        native: native.clone(),
        clock: clock.clone(),
    };
    let controls = Controls::new(config, reached);
    let explain_to = (explain.clone(), directory.clone(), clock.clone());
    let background = Background {
        keys,
        sessions: sessions.clone(),
        follower,
        renewals,
        due,
        explain: explain_to,
        native: native.clone(),
        saml,
        admin: None,
    };
    let shared = Arc::new(Shared {
        snapshot,
        sessions,
        plan,
        site,
        audit,
        explain,
        native,
        clock,
        log: environment.log.clone(),
        control: tokio::runtime::Handle::current(),
        trusted_proxies: config.server.trusted_proxies.clone(),
        access_log: config.log.access,
    });
    Ok(Assembled { shared, metrics, directory, background, controls: Arc::new(controls) })
}

async fn open_directory(config: &Config, environment: &Environment, keys: &KeyRing) -> Result<Directory, StartError> {
    let directory = match &environment.directory {
        Some(directory) => directory.clone(),
        None => directory::open(&location(config)?).await.map_err(StartError::OpenDirectory)?,
    };
    let shared =
        directory.keys.share(&keys.fingerprints(), environment.clock.now()).await.map_err(StartError::Directory)?;
    if shared { Ok(directory) } else { Err(StartError::OtherKeys { dir: config.keys.dir.clone() }) }
}

fn location(config: &Config) -> Result<Location, StartError> {
    Ok(match (config.sessions.store, &config.directory.location) {
        (SessionsStore::Memory, _) => Location::Memory,
        (SessionsStore::Directory, DirectoryLocation::Sqlite(path)) => Location::Sqlite(path.clone()),
        (SessionsStore::Directory, DirectoryLocation::Postgres(url)) => {
            Location::Postgres(url.read().map_err(StartError::DirectoryUrl)?)
        }
    })
}

/// Whose sessions count: what left the configuration is switched off too, and so are its sessions unless they are kept. A
/// domain too: a cut-over is undone by the command, and a file without the domain means that it belongs elsewhere.
fn serves(config: &Config) -> Option<Serves> {
    let connectors = config.connectors.keys();
    let served: BTreeMap<Id, Vec<EmailDomain>> =
        connectors.map(|id| (id.clone(), SignIn::enabled_domains(config, id))).collect();
    (config.sessions.on_disable != OnDisable::Keep).then(|| -> Serves {
        Box::new(move |who| served.get(&who.connector).is_some_and(|domains| domains.contains(&who.email.domain())))
    })
}

/// The connectors whose sessions are renewed by a redirect, and how often at most.
fn renewed_silently(config: &Config) -> BTreeMap<Id, Duration> {
    let silent = |(id, connector): (&Id, &Connector)| match connector.renewal() {
        Renewal::PromptNone { interval } => Some((id.clone(), interval)),
        Renewal::Refresh | Renewal::Off => None,
    };
    config.connectors.iter().filter_map(silent).collect()
}

/// The hosts that session cookies may be set on.
fn own_hosts(config: &Config) -> impl Iterator<Item = &str> {
    let apps = config.apps.values().flat_map(|app| app.hosts.iter().map(String::as_str));
    let acs = config.connectors.values().filter_map(|connector| Some(connector.saml()?.acs.host.host.as_str()));
    apps.chain(std::iter::once(config.server.public_url.host.as_str())).chain(acs)
}

/// Starts Anteroom: listens, and answers until told to stop.
///
/// # Errors
/// See [`StartError`]; nothing is left running.
pub async fn start(config: &Config, environment: &Environment) -> Result<Running, StartError> {
    let listeners = listeners(config).await?;
    run(config, listeners, assemble(config, environment).await?).await
}

/// Starts what [`assemble`] made, for a caller that fills it first: the benchmark.
///
/// # Errors
/// See [`StartError`]; nothing is left running.
pub async fn start_assembled(config: &Config, assembled: Assembled) -> Result<Running, StartError> {
    run(config, listeners(config).await?, assembled).await
}

/// The data listener and the operators'.
type Listeners = (TcpListener, TcpListener);

async fn listeners(config: &Config) -> Result<Listeners, StartError> {
    Ok((listen("server.listen", config.server.listen).await?, listen("ops.listen", config.ops.listen).await?))
}

async fn run(config: &Config, listeners: Listeners, assembled: Assembled) -> Result<Running, StartError> {
    let (listener, ops_listener) = listeners;
    let Assembled { shared, metrics, mut background, controls, .. } = assembled;
    let socket = admin::open(&config.ops.admin_socket).await.map_err(StartError::AdminSocket)?;
    background.admin = socket.map(|socket| (socket, controls, shared.audit.clone()));
    let plane = DataPlane::start(&shared, &metrics, config.server.workers).map_err(StartError::DataPlane)?;
    Ok(Running::begin(listener, ops_listener, plane, metrics, background))
}

async fn listen(key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { key, address, source })
}

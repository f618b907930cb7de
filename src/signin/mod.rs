//! Sign-in and sign-out, as moves of state machines: discover, start, callback, finish. What comes in are parsed
//! values, what goes out are outcomes; `web` turns them into pages.

mod attempt;
mod callback;
mod disable;
mod finish;
mod hand_off;
mod keep_post;
mod provider_logout;
mod query;
mod saml;
mod saml_logout;
mod shared_acs;
mod sign_out;
mod silent;
mod start;
mod story;
mod targets;
mod users;
mod verified;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use crate::audit::{Audit, Event, Outcome};
use crate::base::clock::Clock;
use crate::base::email::{EmailAddress, EmailDomain};
use crate::base::id::Id;
use crate::base::metrics::{Login, Metrics};
use crate::base::return_to::ReturnTo;
use crate::base::seal::Sealer;
use crate::config::{Config, Environment, OnDisable, OwnHosts};
use crate::connector::Provider;
use crate::directory::{Directory, SwitchKind, Switchboard};
use crate::explain::{Recorder, Step};
use crate::gate::Snapshot;
use crate::identity::Identity;
use crate::legacy::{AtApp, Enforced, Standing};
use crate::session::{ATTEMPT_LIFETIME, Cookies, SessionStore};

pub use callback::{Callback, Completed, Failed};
pub use disable::SwitchError;
pub use hand_off::{Asked, HandOff, Joined};
pub use keep_post::{Fields, Kept, NotKept, POST_LIFETIME, PostClaim, UnsentPost, Waiting};
pub use provider_logout::LogoutRefused;
pub use saml::{Posted, Received};
pub use saml_logout::{LogoutPosted, SingleLogout};
pub use sign_out::SignedOut;
pub use start::{Purpose, Start, Started};
pub use targets::LeadsTo;
pub use users::{UserChange, UserChanged, UserError};

/// How long a used attempt is remembered: its life, and the clock difference between processes that it is allowed.
const REMEMBERED: Duration = ATTEMPT_LIFETIME.saturating_add(Duration::from_secs(120));

/// Everything a sign-in needs.
pub struct SignIn {
    providers: BTreeMap<Id, Provider>,
    sealer: Sealer,
    cookies: Cookies,
    sessions: SessionStore,
    audit: Arc<Audit>,
    explain: Recorder,
    metrics: Arc<Metrics>,
    clock: Clock,
    /// Remembers what works once (O18) and keeps what waits for a person.
    directory: Directory,
    switchboard: Switchboard,
    enforced: Arc<Enforced>,
    hosts: OwnHosts,
    on_disable: OnDisable,
    sign_out_done: String,
    prefix: String,
    /// What the routes ask of a sign-in.
    snapshot: Arc<Snapshot>,
}

/// The parts that [`SignIn`] is made of.
pub struct Parts {
    pub providers: BTreeMap<Id, Provider>,
    pub snapshot: Arc<Snapshot>,
    pub directory: Directory,
    pub switchboard: Switchboard,
    pub enforced: Arc<Enforced>,
    pub sealer: Sealer,
    pub cookies: Cookies,
    pub sessions: SessionStore,
    pub audit: Arc<Audit>,
    pub explain: Recorder,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
}

/// Who is asking, for the log.
#[derive(Clone, Copy, Debug)]
pub struct Visitor<'a> {
    pub client: IpAddr,
    pub request_id: &'a str,
    /// The host that was asked, lower case: a session is for it alone.
    pub host: &'a str,
}

impl SignIn {
    /// Puts the parts together.
    pub fn new(config: &Config, parts: Parts) -> Self {
        Self {
            sealer: parts.sealer,
            cookies: parts.cookies,
            sessions: parts.sessions,
            audit: parts.audit,
            explain: parts.explain,
            metrics: parts.metrics,
            directory: parts.directory,
            switchboard: parts.switchboard,
            enforced: parts.enforced,
            on_disable: config.sessions.on_disable,
            clock: parts.clock,
            snapshot: parts.snapshot,
            sign_out_done: format!("{}{}/sign-out/done", config.server.public_url.origin, config.server.prefix),
            hosts: OwnHosts::new(config),
            prefix: config.server.prefix.clone(),
            providers: parts.providers,
        }
    }

    /// The e-mail domains that `connector` serves in this environment.
    pub fn enabled_domains(config: &Config, connector: &Id) -> Vec<EmailDomain> {
        let here = config.server.environment;
        let enabled = |e: Environment| here == Some(e);
        let mine = config.domains.iter().filter(|(_, d)| d.connector == *connector && enabled(d.environment));
        mine.map(|(name, _)| name.clone()).collect()
    }

    /// The provider that the person of `address` is to sign in at.
    ///
    /// # Errors
    /// They sign in at the application.
    pub fn discover(&self, address: &EmailAddress) -> Result<&Provider, AtApp> {
        match self.enforced.standing(address) {
            Standing::Provider(id) => self.providers.get(id).ok_or(AtApp::NoConnector),
            Standing::App(why) => Err(why),
        }
    }

    /// The provider that everybody of `domain` is to sign in at.
    pub fn discover_domain(&self, domain: &EmailDomain) -> Option<&Provider> {
        self.enforced.for_everybody(domain).and_then(|id| self.providers.get(id))
    }

    /// The provider of `domain`, for people that it sent here by itself: whether the cut-over has come to them does not
    /// matter.
    pub fn serving(&self, domain: &EmailDomain) -> Option<&Provider> {
        self.enforced.serving(domain).ok().and_then(|id| self.providers.get(id))
    }

    /// Whether people of `identity`'s connector and domain may sign in at this moment: what was switched off meanwhile
    /// ends attempts in flight.
    fn check_enabled(&self, identity: &Identity) -> Result<(), &'static str> {
        self.check_enabled_by(identity, |kind, name| self.switchboard.is_off(kind, name))
    }

    /// The same by another's word on what is off.
    fn check_enabled_by(
        &self,
        identity: &Identity,
        is_off: impl Fn(SwitchKind, &str) -> bool,
    ) -> Result<(), &'static str> {
        if is_off(SwitchKind::Connector, identity.connector.as_str()) {
            Err("connector_disabled")
        } else if is_off(SwitchKind::Domain, identity.email.domain().as_str()) {
            Err("domain_disabled")
        } else {
            Ok(())
        }
    }

    /// Whether anybody may sign in at `connector` at this moment: where not, no provider is asked anything.
    fn check_connector(&self, connector: &Id) -> Result<(), &'static str> {
        let off = self.switchboard.is_off(SwitchKind::Connector, connector.as_str());
        if off { Err("connector_disabled") } else { Ok(()) }
    }

    /// The provider configured as `connector`.
    pub fn provider(&self, connector: &str) -> Option<&Provider> {
        self.providers.get(connector)
    }

    /// All of them.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.providers.values()
    }

    fn count(&self, idp: Option<&Id>, outcome: &'static str, reason: &'static str) {
        self.metrics.login(&Login {
            idp: idp.map_or_else(String::new, Id::to_string),
            protocol: idp.and_then(|id| self.providers.get(id)).map_or("oidc", Provider::protocol),
            outcome,
            reason,
        });
    }

    /// Records a refused sign-in: one event, and the counter.
    fn rejected(&self, step: Step, visitor: Visitor<'_>, connector: Option<&Id>, failed: &Failed) {
        let outcome = if failed.unavailable() { Outcome::Error } else { Outcome::Failure };
        let detail = failed.detail();
        let event = Event::new("login.rejected", outcome, failed.reason)
            .from_client(visitor.client, visitor.request_id)
            .with_some("connector", connector.map(Id::as_str))
            .with_some("user", failed.address().map(EmailAddress::as_str))
            .with_some("provider_error", failed.provider_error.as_deref())
            .with_some("expected", detail.map(|d| d.0))
            .with_some("found", detail.map(|d| d.1));
        if failed.anybody {
            self.audit.record_frequent(event);
        } else {
            self.audit.record(event);
        }
        self.explain.record(|| story::rejected(self, step, visitor, connector, failed));
        self.count(connector, if failed.unavailable() { "error" } else { "failure" }, failed.reason);
    }
}

/// A redirect with the cookies that go with it.
#[derive(Debug)]
pub struct Redirect {
    pub location: String,
    pub cookies: Vec<HeaderValue>,
}

/// Where a sign-in goes when the target was refused or forgotten.
fn root() -> ReturnTo {
    ReturnTo::root()
}

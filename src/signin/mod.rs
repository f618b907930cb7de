//! Sign-in and sign-out, as moves of state machines: discover, start, callback, finish. What comes in are parsed
//! values, what goes out are outcomes; `web` turns them into pages.

mod attempt;
mod burned;
mod callback;
mod finish;
mod query;
mod sign_out;
mod start;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::audit::{Audit, Event, Outcome};
use crate::base::clock::Clock;
use crate::base::email::{EmailAddress, EmailDomain};
use crate::base::id::Id;
use crate::base::metrics::{Login, Metrics};
use crate::base::return_to::ReturnTo;
use crate::base::seal::Sealer;
use crate::config::{Config, Environment};
use crate::connector::Provider;
use crate::identity::headers::HeaderPlan;
use crate::session::{ATTEMPT_LIFETIME, Cookies, SessionStore};

use burned::Burned;

pub use callback::{Callback, Completed, Failed};
pub use finish::Verified;
pub use sign_out::SignedOut;
pub use start::{Start, Started};

/// Bytes, about, of people asked whether they are who the provider says.
const MAX_ASKED_BYTES: u64 = 64 * 1024 * 1024;

/// How long a used attempt is remembered: its life, and the clock difference between processes that it is allowed.
const REMEMBERED: Duration = ATTEMPT_LIFETIME.saturating_add(Duration::from_secs(120));

/// Everything a sign-in needs.
pub struct SignIn {
    providers: BTreeMap<Id, Arc<Provider>>,
    by_domain: HashMap<EmailDomain, Id>,
    sealer: Sealer,
    cookies: Cookies,
    sessions: SessionStore,
    plan: Arc<HeaderPlan>,
    audit: Arc<Audit>,
    metrics: Arc<Metrics>,
    clock: Clock,
    /// Attempts that were redeemed: a code and state work once (O18).
    burned: Burned,
    /// Verified people who have not yet said that they are who the provider says.
    verified: Cache<String, Arc<Verified>>,
    sign_out_done: String,
    prefix: String,
}

/// The parts that [`SignIn`] is made of.
pub struct Parts {
    pub providers: Vec<Provider>,
    pub sealer: Sealer,
    pub cookies: Cookies,
    pub sessions: SessionStore,
    pub plan: Arc<HeaderPlan>,
    pub audit: Arc<Audit>,
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
        let by_domain = parts.providers.iter().flat_map(|p| p.domains().iter().map(|d| (d.clone(), p.id().clone())));
        Self {
            by_domain: by_domain.collect(),
            sealer: parts.sealer,
            cookies: parts.cookies,
            sessions: parts.sessions,
            plan: parts.plan,
            audit: parts.audit,
            metrics: parts.metrics,
            burned: Burned::new(parts.clock.clone()),
            clock: parts.clock,
            // Least recently used, not least frequently: under pressure the newest must be the last to go.
            verified: Cache::builder()
                .max_capacity(MAX_ASKED_BYTES)
                .weigher(|_, verified: &Arc<Verified>| verified.weight())
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(REMEMBERED)
                .build(),
            sign_out_done: format!("{}{}/sign-out/done", config.server.public_url.origin, config.server.prefix),
            prefix: config.server.prefix.clone(),
            providers: parts.providers.into_iter().map(|p| (p.id().clone(), Arc::new(p))).collect(),
        }
    }

    /// The e-mail domains that `connector` serves in this environment.
    pub fn enabled_domains(config: &Config, connector: &Id) -> Vec<EmailDomain> {
        let here = config.server.environment;
        let enabled = |e: Environment| here == Some(e);
        let mine = config.domains.iter().filter(|(_, d)| d.connector == *connector && enabled(d.environment));
        mine.map(|(name, _)| name.clone()).collect()
    }

    /// The provider of `domain`, if it is enabled here. An exact match: a sub-domain is another domain (I09).
    pub fn discover(&self, domain: &EmailDomain) -> Option<&Arc<Provider>> {
        self.by_domain.get(domain).and_then(|id| self.providers.get(id))
    }

    /// The provider configured as `connector`.
    pub fn provider(&self, connector: &str) -> Option<&Arc<Provider>> {
        self.providers.get(connector)
    }

    fn count(&self, idp: Option<&Id>, outcome: &'static str, reason: &'static str) {
        self.metrics.login(&Login {
            idp: idp.map_or_else(String::new, Id::to_string),
            protocol: "oidc",
            outcome,
            reason,
        });
    }

    /// Records a refused sign-in: one event, and the counter.
    fn rejected(&self, visitor: Visitor<'_>, connector: Option<&Id>, failed: &Failed) {
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

//! The sessions of this process: moka in front of the directory. What is in memory is a copy that every change of the
//! directory corrects (`follow.rs`); what is not is read from there. Limits decide who is signed in; moka's own times and
//! bounds only free memory.
//!
//! Looking up is in `lookup.rs`, what puts a session there in `keep.rs`, what ends it in `end.rs`, and what its use makes
//! due in `uses.rs`.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::{Semaphore, mpsc};

use crate::base::clock::{Clock, Tick, Timestamp};
use crate::base::id::Id;
use crate::base::seal::Sealer;
use crate::directory::{Directory, Selector};
use crate::identity::Identity;
use crate::identity::headers::HeaderPlan;

use super::epochs::Epochs;
use super::hosts::Hosts;
use super::id::BuildKeyHasher;
use super::lookup::LOOKUPS;
use super::uses::{Due, DueRenewals};
use super::{Session, SessionKey, SessionRef};

/// Sessions held in memory at most: a bound of a few GB, far above what one sidecar serves. Beyond it those used least
/// recently are read from the directory when they come back.
const MAX_SESSIONS: u64 = 5_000_000;
/// Use that moka may miss: longer than any core trusts what it looked up.
const UNSEEN: Duration = Duration::from_secs(60);
/// How long, and of how many, it is remembered that a cookie's session was ended: its next request is told so.
const ENDED_FOR: Duration = Duration::from_secs(600);
const MAX_ENDED: u64 = 1_000_000;
/// How long sessions last: `sessions.idle_timeout` and `sessions.absolute_timeout`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub idle: Duration,
    pub absolute: Duration,
}

/// What a store is made with.
pub struct StoreParts {
    pub directory: Directory,
    pub limits: Limits,
    /// `sessions.revocation_bound`
    pub bound: Duration,
    pub hosts: Hosts,
    /// The connectors whose sessions are renewed by a redirect on a navigation, and how often at most.
    pub silent: BTreeMap<Id, Duration>,
    pub plan: Arc<HeaderPlan>,
    pub sealer: Sealer,
    /// Whose sessions count by the configuration; none: everybody's.
    pub serves: Option<Serves>,
    pub clock: Clock,
}

/// Whether a person's connector and domain are still served here.
pub type Serves = Box<dyn Fn(&Identity) -> bool + Send + Sync>;

/// All sessions. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct SessionStore(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) live: Cache<SessionKey, Arc<Session>, BuildKeyHasher>,
    pub(super) ended: Cache<SessionKey, (), BuildKeyHasher>,
    /// Held while a session is put into `live` or goes on there, so that a cookie has one record here and not two.
    pub(super) keeping: Mutex<()>,
    pub(super) directory: Directory,
    pub(super) limits: Limits,
    pub(super) bound: Duration,
    pub(super) hosts: Hosts,
    pub(super) silent: BTreeMap<Id, Duration>,
    pub(super) plan: Arc<HeaderPlan>,
    pub(super) sealer: Sealer,
    pub(super) clock: Clock,
    /// When the directory's changes were last read to their end.
    pub(super) refreshed: AtomicU64,
    pub(super) epochs: Mutex<Epochs>,
    pub(super) uses: Mutex<HashMap<SessionRef, Timestamp>>,
    pub(super) note_every: Duration,
    pub(super) looking: Semaphore,
    pub(super) away: AtomicBool,
    pub(super) probing: Semaphore,
    /// The least version that a cookie's session has by now, for a short time: what is older was read before a renewal.
    pub(super) renewed: Cache<SessionKey, i64, BuildKeyHasher>,
    pub(super) serves: Option<Serves>,
    pub(super) due: mpsc::UnboundedSender<Due>,
    pub(super) unfinished: Mutex<Vec<Selector>>,
}

impl SessionStore {
    /// A store in front of `parts.directory`, which answers nothing from memory until [`follow`](super::follow) has
    /// read the changes.
    pub fn new(parts: StoreParts) -> (Self, DueRenewals) {
        let StoreParts { directory, limits, bound, hosts, silent, plan, sealer, serves, clock } = parts;
        let live = Cache::builder()
            .max_capacity(MAX_SESSIONS)
            .eviction_policy(EvictionPolicy::lru())
            // A core answers from its own memory for a few seconds, which moka does not see.
            .time_to_idle(limits.idle.saturating_add(UNSEEN))
            .build_with_hasher(BuildKeyHasher::default());
        let ended = Cache::builder()
            .max_capacity(MAX_ENDED)
            .time_to_live(ENDED_FOR)
            .build_with_hasher(BuildKeyHasher::default());
        let (due, renewals) = mpsc::unbounded_channel();
        let inner = Inner {
            live,
            ended,
            keeping: Mutex::default(),
            directory,
            note_every: (limits.idle / 10).clamp(Duration::from_millis(100), UNSEEN),
            limits,
            bound,
            hosts,
            silent,
            plan,
            sealer,
            clock,
            refreshed: AtomicU64::new(0),
            epochs: Mutex::default(),
            uses: Mutex::default(),
            looking: Semaphore::new(LOOKUPS),
            away: AtomicBool::new(false),
            probing: Semaphore::new(1),
            renewed: Cache::builder()
                .max_capacity(MAX_ENDED)
                .time_to_live(UNSEEN)
                .build_with_hasher(BuildKeyHasher::default()),
            serves,
            due,
            unfinished: Mutex::default(),
        };
        (Self(Arc::new(inner)), DueRenewals(renewals))
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.0
    }

    /// The limits that sessions are held to.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Monotonic time by the store's clock.
    pub fn now(&self) -> Tick {
        self.0.clock.tick()
    }

    /// Wall-clock time by the store's clock.
    pub(super) fn wall(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Sessions held in memory, about: moka counts in the background.
    pub fn count(&self) -> u64 {
        self.0.live.run_pending_tasks();
        self.0.live.entry_count()
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The sessions of this process: moka in front of the directory. What is in memory is a copy that every change of the
//! directory corrects (`follow.rs`); what is not is read from there (`fetch`). Limits decide who is signed in; moka's own
//! times and bounds only free memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use uuid::Uuid;

use crate::base::clock::{Clock, Tick, Timestamp};
use crate::base::id::Id;
use crate::base::seal::Sealer;
use crate::directory::{Directory, DirectoryError, NewCookie, SessionRow, Used};
use crate::identity::Identity;
use crate::identity::headers::{HeaderPlan, HeaderTooLong};

use super::epochs::Epochs;
use super::hosts::{HostScope, Hosts};
use super::id::BuildKeyHasher;
use super::tokens::{HeldTokens, ProviderTokens};
use super::{Ending, Session, SessionId, SessionKey, SessionRef};

/// Sessions held in memory at most: a bound of a few GB, far above what one sidecar serves. Beyond it those used least
/// recently are read from the directory when they come back.
const MAX_SESSIONS: u64 = 5_000_000;
/// Use that moka may miss: longer than any core trusts what it looked up.
const UNSEEN: Duration = Duration::from_secs(60);
/// How long, and of how many, it is remembered that a cookie's session was ended: its next request is told so.
const ENDED_FOR: Duration = Duration::from_secs(600);
const MAX_ENDED: u64 = 1_000_000;
/// Look-ups in the directory at a time; a flood of unknown cookies waits, others do not.
const LOOKUPS: usize = 64;
/// How long one waits for its turn.
const LONGEST_TURN: Duration = Duration::from_secs(1);

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

/// A session that begins.
pub struct NewSession {
    /// As [`SessionRow`]; `created_at`, `last_used`, `version` and `secrets` are set here, and `born` is a bound: what was
    /// revoked after it is over before it begins.
    pub row: SessionRow,
    pub tokens: ProviderTokens,
}

/// What a cookie's key leads to in memory.
pub enum Found {
    Good(Arc<Session>),
    /// It was ended: signed out or revoked.
    Ended,
    /// None, and nobody needs to be asked.
    Unknown,
    /// Not known here, or not for certain: [`SessionStore::fetch`].
    Ask,
}

/// A session could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    #[error(transparent)]
    HeaderTooLong(#[from] HeaderTooLong),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// All sessions. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct SessionStore(Arc<Inner>);

pub(super) struct Inner {
    live: Cache<SessionKey, Arc<Session>, BuildKeyHasher>,
    ended: Cache<SessionKey, (), BuildKeyHasher>,
    /// Held while a session is put into `live`, so that a cookie has one record here and not two.
    keeping: Mutex<()>,
    pub(super) directory: Directory,
    pub(super) limits: Limits,
    bound: Duration,
    hosts: Hosts,
    pub(super) silent: BTreeMap<Id, Duration>,
    plan: Arc<HeaderPlan>,
    pub(super) sealer: Sealer,
    pub(super) clock: Clock,
    /// When the directory's changes were last read to their end.
    refreshed: AtomicU64,
    pub(super) epochs: Mutex<Epochs>,
    uses: Mutex<HashMap<SessionRef, Timestamp>>,
    note_every: Duration,
    looking: Semaphore,
    away: AtomicBool,
    probing: Semaphore,
    /// The least version that a cookie's session has by now, for a short time: what is older was read before a renewal.
    renewed: Cache<SessionKey, i64, BuildKeyHasher>,
    serves: Option<Serves>,
    due: mpsc::UnboundedSender<Due>,
    pub(super) unfinished: Mutex<Vec<crate::directory::Selector>>,
}

/// A session whose tokens should be renewed, and the cookie that it was in use with.
pub(super) struct Due {
    pub(super) key: SessionKey,
    pub(super) session: Arc<Session>,
}

/// The sessions that wait for their renewal: for the one who renews them.
pub struct DueRenewals(pub(super) mpsc::UnboundedReceiver<Due>);

impl Inner {
    pub(super) const fn bound(&self) -> Duration {
        self.bound
    }
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

    /// The session of `key` on `host`, if memory can tell; marks it as used.
    pub fn find(&self, key: &SessionKey, host: &str, now: Tick) -> Found {
        let Some(session) = self.0.live.get(key) else {
            return if self.0.ended.contains_key(key) { Found::Ended } else { Found::Ask };
        };
        match session.check(&self.0.limits, now) {
            Ok(()) if !self.0.hosts.counts(session.host(), host) => Found::Unknown,
            Ok(()) if !self.is_fresh(now) => Found::Ask,
            Ok(()) => {
                self.used(key, &session, now);
                Found::Good(session)
            }
            Err(Ending::Ended) => Found::Ended,
            // It may have been used through another process meanwhile.
            Err(Ending::Idle | Ending::Replaced) => Found::Ask,
            Err(Ending::Absolute) => {
                self.0.live.invalidate(key);
                Found::Unknown
            }
        }
    }

    /// Whether memory is as new as `sessions.revocation_bound` asks.
    pub fn is_fresh(&self, now: Tick) -> bool {
        now.since(Tick::from_millis(self.0.refreshed.load(Ordering::Acquire))) < self.0.bound
    }

    pub(super) fn refreshed_at(&self, at: Tick) {
        self.0.refreshed.store(at.millis(), Ordering::Release);
    }

    /// Whether the session's cookie counts on `host` (E11).
    pub fn counts_on(&self, session: &Session, host: &str) -> bool {
        self.0.hosts.counts(session.host(), host)
    }

    /// Marks `session` as used, and sees to what its use makes due.
    pub fn used(&self, key: &SessionKey, session: &Arc<Session>, now: Tick) {
        if session.touch(now) {
            self.see_to(key, session, now);
        }
    }

    #[cold]
    fn see_to(&self, key: &SessionKey, session: &Arc<Session>, now: Tick) {
        if session.claim_note(now, self.0.note_every) {
            lock(&self.0.uses).insert(session.reference(), self.0.clock.now());
        }
        // What is renewed by a redirect waits for a navigation (`silent.rs`).
        let silently = || self.0.silent.contains_key(session.connector());
        if session.is_renewal_due(now) && !silently() && session.claim_renewal() {
            // Without anybody who renews, sessions last to their own limits.
            drop(self.0.due.send(Due { key: *key, session: session.clone() }));
        }
    }

    /// The session of `key` on `host` by the directory's word; marks it as used.
    ///
    /// # Errors
    /// The directory is away: nobody knows.
    pub async fn fetch(&self, key: &SessionKey, host: &str) -> Result<Found, DirectoryError> {
        let found = self.look_up(key).await?;
        let now = self.now();
        let Some(session) = found else {
            return Ok(if self.0.ended.contains_key(key) { Found::Ended } else { Found::Unknown });
        };
        if !self.0.hosts.counts(session.host(), host) {
            return Ok(Found::Unknown);
        }
        self.used(key, &session, now);
        Ok(Found::Good(session))
    }

    /// The session of `key`, good on whatever host; does not count as use.
    ///
    /// # Errors
    /// The directory is away.
    pub async fn look_up(&self, key: &SessionKey) -> Result<Option<Arc<Session>>, DirectoryError> {
        let now = self.now();
        if let Some(session) = self.0.live.get(key)
            && self.is_fresh(now)
            && session.check(&self.0.limits, now).is_ok()
        {
            return Ok(Some(session));
        }
        let _turn = self.turn().await?;
        let Some((row, host)) = self.0.directory.sessions.by_cookie(key.bytes()).await? else {
            match self.0.live.get(key) {
                // Past its limits, and forgotten.
                Some(session) if matches!(session.check(&self.0.limits, now), Err(Ending::Idle | Ending::Absolute)) => {
                    self.0.live.invalidate(key);
                }
                Some(session) => self.end_here(key, &session),
                None => {}
            }
            return Ok(None);
        };
        let Some(scope) = self.0.hosts.written(&host) else { return Ok(None) };
        if self.0.serves.as_ref().is_some_and(|serves| !serves(&row.identity)) {
            return Ok(None);
        }
        // The configuration may have changed since: headers that do not fit any more mean a new sign-in.
        Ok(self.keep(key, &row, scope).ok().filter(|session| session.check(&self.0.limits, self.now()).is_ok()))
    }

    /// A turn to ask the directory. While it is away nobody waits but one at a time, who finds out whether it is back.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, DirectoryError> {
        let busy = |why: &'static str| DirectoryError::Unavailable(why.into());
        if self.0.away.load(Ordering::Relaxed) {
            return self.0.probing.try_acquire().map_err(|_| busy("it was away a moment ago"));
        }
        let turn = tokio::time::timeout(LONGEST_TURN, self.0.looking.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or_else(|| busy("too many look-ups wait for it"))
    }

    /// Says whether the directory answers.
    pub(super) fn set_away(&self, away: bool) {
        self.0.away.store(away, Ordering::Relaxed);
    }

    /// Puts the directory's `row` into memory, over what is there of an older version.
    ///
    /// # Errors
    /// The identity fits into no header: there is no session here then (X09).
    pub fn keep(&self, key: &SessionKey, row: &SessionRow, host: HostScope) -> Result<Arc<Session>, HeaderTooLong> {
        let headers = self.0.plan.ready(&row.identity, row.auth)?;
        let kept = {
            let _one = lock(&self.0.keeping);
            let old = self.0.live.get(key).filter(|old| old.reference() == row.reference);
            let new = Arc::new(Session::new(row, headers, host, old.as_deref(), &self.0.clock));
            if self.0.renewed.get(key).is_some_and(|least| row.version < least) {
                new.replace();
            }
            if self.is_over(key, &new, row) {
                // Signed out while it was renewed, say: not good for a moment.
                new.end();
            }
            match old {
                Some(old)
                    if old.version() >= row.version
                        && old.check(&self.0.limits, self.now()) != Err(Ending::Replaced) =>
                {
                    old.used_as(&new);
                    old
                }
                old => {
                    self.0.live.insert(*key, new.clone());
                    if let Some(old) = old {
                        new.used_as(&old);
                        old.replace();
                    }
                    new
                }
            }
        };
        // Its ending may have come between reading the row and this line: then nobody else would find it here.
        if self.is_over(key, &kept, row) {
            self.end_here(key, &kept);
        }
        Ok(kept)
    }

    /// Whether an ending that this process knows of is the session's.
    fn is_over(&self, key: &SessionKey, session: &Session, row: &SessionRow) -> bool {
        // Those that the directory has not taken yet count here already.
        self.0.ended.contains_key(key)
            || lock(&self.0.epochs).end(session, &row.provider_sub)
            || lock(&self.0.unfinished).iter().any(|which| which.fits(row))
    }

    /// Makes a session, durable when this returns; the id is the cookie for `host`.
    ///
    /// # Errors
    /// The identity fits into no header (X09), or the directory is away: there is no session then.
    pub async fn create(&self, new: NewSession, host: HostScope) -> Result<(SessionId, SessionRef), CreateError> {
        let NewSession { mut row, tokens } = new;
        let headers = self.0.plan.ready(&row.identity, row.auth)?;
        let now = self.0.clock.now();
        (row.created_at, row.last_used, row.version) = (now, now, 0);
        row.secrets = tokens.seal(row.reference, &self.0.sealer);
        let id = SessionId::generate();
        let cookie = NewCookie { key: *id.key().bytes(), host: self.0.hosts.name(host).to_owned() };
        row.born = self.0.directory.sessions.create(&row, &cookie).await?;
        drop(headers);
        self.keep(&id.key(), &row, host)?;
        Ok((id, row.reference))
    }

    /// One more cookie for a session, for another host. None: the session is gone.
    ///
    /// # Errors
    /// The directory is away.
    pub async fn add_cookie(&self, reference: Uuid, host: HostScope) -> Result<Option<SessionId>, DirectoryError> {
        let id = SessionId::generate();
        let cookie = NewCookie { key: *id.key().bytes(), host: self.0.hosts.name(host).to_owned() };
        Ok(self.0.directory.sessions.add_cookie(reference, &cookie, self.0.clock.now()).await?.then_some(id))
    }

    /// Where a cookie set on `host` counts. None: no host of ours.
    pub fn scope(&self, host: &str) -> Option<HostScope> {
        self.0.hosts.of(host)
    }

    /// What the provider gave for the session that `key` leads to. None: no session, nothing, or sealed with a key that is
    /// retired.
    ///
    /// # Errors
    /// The directory is away.
    pub async fn tokens(&self, key: &SessionKey) -> Result<Option<HeldTokens>, DirectoryError> {
        let Some((row, _)) = self.0.directory.sessions.by_cookie(key.bytes()).await? else { return Ok(None) };
        let tokens = row.secrets.as_deref().and_then(|s| ProviderTokens::open(row.reference, s, &self.0.sealer));
        Ok(tokens.map(|tokens| HeldTokens { tokens, provider_sid: row.provider_sid }))
    }

    /// Ends `session` in this process: for every core at once.
    pub(super) fn end_here(&self, key: &SessionKey, session: &Session) {
        session.end();
        self.end_cookie_here(key);
    }

    /// The cookie leads nowhere any more: here.
    pub(super) fn end_cookie_here(&self, key: &SessionKey) {
        // The mark first: who puts a session there at this moment looks for it afterwards.
        self.0.ended.insert(*key, ());
        if let Some(session) = self.0.live.remove(key) {
            session.end();
        }
    }

    /// Ends those sessions in memory that `which` fits.
    pub(super) fn end_where(&self, which: impl Fn(&Session) -> bool) {
        for (key, session) in &self.0.live {
            if which(&session) {
                self.end_here(&key, &session);
            }
        }
    }

    /// A renewal elsewhere made what is known of `key` here old: it is read again when it is asked for.
    pub(super) fn outdated(&self, key: &SessionKey, version: i64) {
        self.0.renewed.insert(*key, version);
        if let Some(session) = self.0.live.get(key)
            && session.version() < version
        {
            session.replace();
        }
    }

    /// Memory is not to be trusted any more: everything is read again when it is asked for.
    pub(super) fn distrust(&self) {
        for (_, session) in &self.0.live {
            session.replace();
        }
    }

    /// The record that goes on for one that was replaced.
    pub fn successor(&self, key: &SessionKey) -> Option<Arc<Session>> {
        self.0.live.get(key)
    }

    pub(super) fn take_uses(&self) -> Vec<Used> {
        let uses = std::mem::take(&mut *lock(&self.0.uses));
        uses.into_iter().map(|(reference, at)| Used { reference, at }).collect()
    }

    pub(super) fn put_back(&self, uses: Vec<Used>) {
        let mut waiting = lock(&self.0.uses);
        for Used { reference, at } in uses {
            waiting.entry(reference).or_insert(at);
        }
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

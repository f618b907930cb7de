//! The session store: moka, in memory. Limits decide who is signed in; moka's own times only free the memory.

use std::sync::Arc;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::base::clock::{Clock, Tick};

use super::id::BuildKeyHasher;
use super::{Ending, Session, SessionId, SessionKey};

/// Sessions held at most: a bound on memory (a few GB), far above what one sidecar serves. Beyond it the sessions
/// used least recently end.
const MAX_SESSIONS: u64 = 5_000_000;

/// Use that moka may miss: longer than any core trusts what it looked up.
const UNSEEN: Duration = Duration::from_secs(60);

/// How long sessions last: `sessions.idle_timeout` and `sessions.absolute_timeout`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub idle: Duration,
    pub absolute: Duration,
}

/// All sessions of this process. Cheap to clone; clones share the sessions.
#[derive(Clone)]
pub struct SessionStore {
    cache: Cache<SessionKey, Arc<Session>, BuildKeyHasher>,
    limits: Limits,
    clock: Clock,
}

impl SessionStore {
    /// An empty store.
    pub fn new(limits: Limits, clock: Clock) -> Self {
        let cache = Cache::builder()
            .max_capacity(MAX_SESSIONS)
            .eviction_policy(EvictionPolicy::lru())
            // A session in use past its absolute limit is removed when it is asked for; one that is not in use goes here. A
            // core answers from its own memory for a few seconds, which moka does not see.
            .time_to_idle(limits.idle.saturating_add(UNSEEN))
            .build_with_hasher(BuildKeyHasher::default());
        Self { cache, limits, clock }
    }

    /// Keeps `session` under a new id, which is returned: the cookie.
    pub fn insert(&self, session: Session) -> SessionId {
        let id = SessionId::generate();
        self.cache.insert(id.key(), Arc::new(session));
        id
    }

    /// The session of `key`, good or not; `None` if there is none.
    pub fn find(&self, key: &SessionKey) -> Option<Arc<Session>> {
        self.cache.get(key)
    }

    /// The session of `key` if it is good now; marks it as used. One past its limits is removed.
    pub fn current(&self, key: &SessionKey) -> Option<Arc<Session>> {
        let session = self.find(key)?;
        let now = self.now();
        match session.check(&self.limits, now) {
            Ok(()) => {
                session.touch(now);
                Some(session)
            }
            Err(ending) => {
                self.remove(key, &session, ending);
                None
            }
        }
    }

    /// Ends the session of `key` for every core at once. True if it was good until now.
    pub fn end(&self, key: &SessionKey) -> bool {
        match self.find(key) {
            Some(session) => {
                let good = session.check(&self.limits, self.now()).is_ok();
                self.cache.invalidate(key);
                session.end() && good
            }
            None => false,
        }
    }

    /// Forgets a session that is past its limits.
    pub fn remove(&self, key: &SessionKey, session: &Session, _: Ending) {
        session.end();
        self.cache.invalidate(key);
    }

    /// The limits that sessions are held to.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Monotonic time by the store's clock.
    pub fn now(&self) -> Tick {
        self.clock.tick()
    }

    /// Sessions held, about: moka counts in the background.
    pub fn count(&self) -> u64 {
        self.cache.run_pending_tasks();
        self.cache.entry_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::identity::Identity;
    use crate::identity::headers::ReadyHeaders;

    const HOUR: Duration = Duration::from_secs(3600);

    fn store() -> (SessionStore, Clock) {
        let clock = Clock::manual(Timestamp::from_secs(1_800_000_000));
        let limits = Limits { idle: HOUR, absolute: 4 * HOUR };
        (SessionStore::new(limits, clock.clone()), clock)
    }

    fn session(clock: &Clock) -> Session {
        let identity = Identity {
            connector: "acme".parse().unwrap(),
            subject: "1".into(),
            email: "alice@acme.com".parse().unwrap(),
            preferred_username: None,
            name: None,
            groups: vec![],
            role: None,
        };
        Session::start(&identity, ReadyHeaders::default(), None, clock)
    }

    #[test]
    fn an_unused_session_ends_at_its_idle_limit_and_a_used_one_does_not() {
        let (store, clock) = store();
        let (idle, used) = (store.insert(session(&clock)), store.insert(session(&clock)));
        clock.advance(HOUR - Duration::from_secs(1));
        assert!(store.current(&used.key()).is_some());
        clock.advance(Duration::from_secs(1));
        assert!(store.current(&idle.key()).is_none());
        assert!(store.current(&used.key()).is_some());
    }

    /// E08: activity every minute, and the wall clock set back by a day.
    #[test]
    fn no_activity_and_no_clock_step_carries_a_session_past_its_absolute_limit() {
        let (store, clock) = store();
        let id = store.insert(session(&clock));
        for minute in 0..4 * 60 {
            assert!(store.current(&id.key()).is_some(), "minute {minute}");
            clock.advance(Duration::from_secs(60));
            clock.set_wall(Timestamp::from_secs(1_800_000_000 - 86_400));
        }
        assert!(store.current(&id.key()).is_none());
        assert!(store.find(&id.key()).is_none(), "a session past its limit is forgotten");
    }

    #[test]
    fn an_ended_session_is_seen_as_ended_by_whoever_still_holds_it() {
        let (store, clock) = store();
        let (id, other) = (store.insert(session(&clock)), store.insert(session(&clock)));
        let held = store.find(&id.key()).unwrap();
        assert!(store.end(&id.key()));
        assert_eq!(held.check(store.limits(), clock.tick()), Err(Ending::Ended));
        assert!(store.current(&id.key()).is_none());
        assert!(!store.end(&id.key()), "ended once");
        assert!(store.current(&other.key()).is_some(), "only that one ends");
    }
}

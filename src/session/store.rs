//! The session store, in memory. Limits decide who is signed in; the sweep only frees memory.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use crate::base::clock::{Clock, Tick};

use super::id::BuildKeyHasher;
use super::{Ending, Session, SessionId, SessionKey};

/// A power of two. Many, so that a sweep holds each only for a moment: of a million sessions each has a thousand.
const SHARDS: usize = 1024;

/// Sessions held at most in one shard: a bound on memory (five million sessions are some 3 GB), far above what one
/// sidecar serves. Beyond it the session of the shard that was not used for the longest time ends.
const MAX_IN_SHARD: usize = 5_000_000 / SHARDS;

/// How often [`SessionStore::sweep`] should be called.
pub const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// How long sessions last: `sessions.idle_timeout` and `sessions.absolute_timeout`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub idle: Duration,
    pub absolute: Duration,
}

/// All sessions of this process. Cheap to clone; clones share the sessions.
///
/// Maps and not a cache with a policy: sessions have limits of their own, so a cache's order of use is kept for nothing,
/// and it cost 400 bytes a session and a microsecond a look-up (`docs/decisions/0020-session-store.md`).
#[derive(Clone)]
pub struct SessionStore {
    shards: Arc<[Shard]>,
    limits: Limits,
    clock: Clock,
}

type Sessions = HashMap<SessionKey, Arc<Session>, BuildKeyHasher>;

#[derive(Default)]
struct Shard(RwLock<Sessions>);

impl Shard {
    // Nothing in here panics between two changes that belong together, so a poisoned lock guards what it should.
    fn read(&self) -> RwLockReadGuard<'_, Sessions> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Sessions> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionStore {
    /// An empty store.
    pub fn new(limits: Limits, clock: Clock) -> Self {
        let shards = std::iter::repeat_with(Shard::default).take(SHARDS).collect();
        Self { shards, limits, clock }
    }

    /// Keeps `session` under a new id, which is returned: the cookie.
    pub fn insert(&self, session: Session) -> SessionId {
        let id = SessionId::generate();
        let key = id.key();
        let mut ended = None;
        if let Some(shard) = self.shard(&key) {
            let mut sessions = shard.write();
            if sessions.len() >= MAX_IN_SHARD {
                let unused = sessions.iter().min_by_key(|(_, session)| session.last_used()).map(|(key, _)| *key);
                ended = unused.and_then(|key| sessions.remove(&key));
            }
            sessions.insert(key, Arc::new(session));
        }
        if let Some(session) = ended {
            tracing::warn!(session = %session.reference(), "too many sessions: one that was long unused ended");
            session.end();
        }
        id
    }

    /// The session of `key`, good or not; `None` if there is none.
    pub fn find(&self, key: &SessionKey) -> Option<Arc<Session>> {
        self.shard(key)?.read().get(key).cloned()
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
                self.forget(key);
                session.end() && good
            }
            None => false,
        }
    }

    /// Forgets a session that is past its limits.
    pub fn remove(&self, key: &SessionKey, session: &Session, _: Ending) {
        session.end();
        self.forget(key);
    }

    fn forget(&self, key: &SessionKey) {
        let forgotten = self.shard(key).and_then(|shard| shard.write().remove(key));
        // Freed after the lock.
        drop(forgotten);
    }

    /// Forgets every session past its limits, and assertions past their time. Looks at all sessions, shard by shard,
    /// and keeps nobody from reading while it looks: some 0.1 s for a million, on a thread that may block.
    pub fn sweep(&self) {
        for shard in self.shards.iter() {
            let (now, wall) = (self.now(), self.clock.now());
            let past = |session: &Arc<Session>| session.check(&self.limits, now).is_err();
            let mut over = Vec::new();
            for (key, session) in shard.read().iter() {
                session.drop_expired_assertions(wall);
                if past(session) {
                    over.push(*key);
                }
            }
            if over.is_empty() {
                continue;
            }
            let mut sessions = shard.write();
            // One that was used in between is past its limits all the same: nothing prolongs it any more.
            let forgotten: Vec<_> = over.iter().filter_map(|key| sessions.remove(key)).collect();
            if sessions.capacity() > 4 * sessions.len() {
                sessions.shrink_to_fit();
            }
            drop(sessions);
            for session in forgotten {
                session.end();
            }
        }
    }

    /// The limits that sessions are held to.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Monotonic time by the store's clock.
    pub fn now(&self) -> Tick {
        self.clock.tick()
    }

    /// Sessions held; those past their limits count until they are asked for or swept.
    pub fn count(&self) -> u64 {
        self.shards.iter().map(|shard| shard.read().len() as u64).sum()
    }

    fn shard(&self, key: &SessionKey) -> Option<&Shard> {
        // Other bits than those by which a map places the key.
        usize::try_from(key.prefix() >> 32).ok().and_then(|bits| self.shards.get(bits % SHARDS))
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

    #[test]
    fn a_sweep_frees_sessions_past_their_limits_and_no_others() {
        let (store, clock) = store();
        let old: Vec<_> = (0..5_000).map(|_| store.insert(session(&clock))).collect();
        clock.advance(HOUR - Duration::from_secs(1));
        let used = old.first().unwrap();
        assert!(store.current(&used.key()).is_some());
        let young = store.insert(session(&clock));
        clock.advance(Duration::from_secs(1));
        let held = store.find(&old[1].key()).unwrap();
        store.sweep();
        assert_eq!(store.count(), 2);
        assert!(store.current(&used.key()).is_some());
        assert!(store.current(&young.key()).is_some());
        assert_eq!(held.check(store.limits(), clock.tick()), Err(Ending::Ended), "whoever still holds it sees it");
    }

    /// The shard is filled with keys of anywhere; only the one that is inserted must belong to it.
    #[test]
    fn a_full_shard_lets_the_longest_unused_session_go() {
        let (store, clock) = store();
        let shard = &store.shards[0];
        let mut keys = Vec::new();
        while keys.len() < MAX_IN_SHARD {
            let id = SessionId::generate().key();
            keys.push(id);
            shard.write().insert(id, Arc::new(session(&clock)));
        }
        clock.advance(Duration::from_secs(60));
        for key in keys.iter().filter(|key| **key != keys[7]) {
            shard.read()[key].touch(clock.tick());
        }
        let before = store.count();
        while store.count() == before && shard.read().contains_key(&keys[7]) {
            // The ones that fall into other shards are taken out again.
            let id = store.insert(session(&clock));
            if store.count() > before {
                store.forget(&id.key());
            }
        }
        assert_eq!(shard.read().len(), MAX_IN_SHARD);
        assert!(keys.iter().all(|key| shard.read().contains_key(key) == (*key != keys[7])));
    }
}

//! The sessions that a core used lately, so that a busy session does not pay for the shared cache.

use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Tick;
use crate::session::{Found, Session, SessionKey, SessionStore};

/// A power of two; at 24 bytes and more a slot, some 100 KB a core.
const SLOTS: usize = 2048;
/// How long an entry is trusted before the store is asked again. An ending is seen at once all the same: it flips an
/// atomic in the shared session.
const TRUSTED: Duration = Duration::from_secs(5);

/// A direct-mapped table: a session has one place, and the next one that maps there takes it.
pub(super) struct Recent {
    slots: Vec<Option<Slot>>,
}

struct Slot {
    key: SessionKey,
    session: Arc<Session>,
    checked: Tick,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| None).collect() }
    }

    /// The session of `key` on `host`, if memory can tell at `now`; marks it as used.
    pub(super) fn lookup(&mut self, store: &SessionStore, key: &SessionKey, host: &str, now: Tick) -> Found {
        let Some(slot) = self.slots.get_mut(place(key)) else { return Found::Ask };
        if let Some(recent) = slot
            && recent.key == *key
            && now.since(recent.checked) < TRUSTED
            && recent.session.check(store.limits(), now).is_ok()
            && store.is_fresh(now)
            && store.counts_on(&recent.session, host)
        {
            store.used(key, &recent.session, now);
            return Found::Good(recent.session.clone());
        }
        let found = store.find(key, host, now);
        *slot = match &found {
            Found::Good(session) => Some(Slot { key: *key, session: session.clone(), checked: now }),
            Found::Ended | Found::Unknown | Found::Ask => None,
        };
        found
    }

    /// Takes in what the directory said of `key`.
    pub(super) fn learn(&mut self, key: &SessionKey, session: &Arc<Session>, now: Tick) {
        if let Some(slot) = self.slots.get_mut(place(key)) {
            *slot = Some(Slot { key: *key, session: session.clone(), checked: now });
        }
    }
}

fn place(key: &SessionKey) -> usize {
    usize::try_from(key.prefix() % SLOTS as u64).unwrap_or(0)
}

//! The sessions that a core used lately, so that a busy session does not pay for the shared cache.

use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Tick;
use crate::session::{Session, SessionKey, SessionStore};

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

/// What a session cookie's key leads to.
pub(super) enum Lookup {
    Good(Arc<Session>),
    /// It was ended here.
    Ended,
    Unknown,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| None).collect() }
    }

    /// The session of `key`, if it is good at `now`; marks it as used.
    pub(super) fn lookup(&mut self, store: &SessionStore, key: &SessionKey, now: Tick) -> Lookup {
        let place = usize::try_from(key.prefix() % SLOTS as u64).unwrap_or(0);
        let Some(slot) = self.slots.get_mut(place) else { return Lookup::Unknown };
        if let Some(recent) = slot
            && recent.key == *key
            && now.since(recent.checked) < TRUSTED
        {
            match recent.session.check(store.limits(), now) {
                Ok(()) => {
                    recent.session.touch(now);
                    return Lookup::Good(recent.session.clone());
                }
                Err(ending) => {
                    store.remove(key, &recent.session, ending);
                    *slot = None;
                    return if ending == crate::session::Ending::Ended { Lookup::Ended } else { Lookup::Unknown };
                }
            }
        }
        match store.current(key) {
            Some(session) => {
                *slot = Some(Slot { key: *key, session: session.clone(), checked: now });
                Lookup::Good(session)
            }
            None => Lookup::Unknown,
        }
    }
}

//! What the use of a session makes due: that the directory is told of it, and that its tokens are renewed.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::base::clock::Tick;
use crate::directory::Used;

use super::store::lock;
use super::{Session, SessionKey, SessionStore};

/// A session whose tokens should be renewed, and the cookie that it was in use with.
pub(super) struct Due {
    pub(super) key: SessionKey,
    pub(super) session: Arc<Session>,
    /// The session's version when its renewal was claimed.
    pub(super) version: i64,
}

/// The sessions that wait for their renewal: for the one who renews them.
pub struct DueRenewals(pub(super) mpsc::UnboundedReceiver<Due>);

impl SessionStore {
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
        if session.is_renewal_due(now)
            && !silently()
            && let Some(version) = session.claim_renewal(now)
        {
            // Without anybody who renews, sessions last to their own limits.
            drop(self.0.due.send(Due { key: *key, session: session.clone(), version }));
        }
    }

    /// Gives the claim of `due` back; the next renewal is due at `at`, or never. Not if the session was renewed meanwhile,
    /// elsewhere say: then that claim is over, and what was renewed has its own time.
    pub(super) fn put_off(&self, due: &Due, at: Option<Tick>) {
        let _nobody_renews = lock(&self.0.keeping);
        if due.session.version() == due.version {
            due.session.renew_next(at);
        }
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
}

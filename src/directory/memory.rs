//! The directory in this process's memory: one lock around plain collections, which makes every call a transaction.
//! What strangers can fill is bounded; beyond it the oldest is forgotten.

mod cutovers;
mod ledger;
mod native;
mod records;
mod users;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    Change, Changes, CookieKey, Created, Creation, CutOver, DirectoryError, Ended, Lease, Linking, MAX_ENDED,
    NewCookie, OnceKind, Page, Renewed, Selector, SessionRow, Sessions, SwitchKind, Used,
};
use crate::base::clock::Timestamp;
use crate::base::email::EmailDomain;
use crate::base::share::Salt;
use ledger::LedgerRows;
use native::NativeRecords;
use records::{ExplainedRecords, KeptRecords, UsedIds};
use users::People;

/// Changes remembered at most; a follower that is later than that finds a gap in the numbers.
const MAX_CHANGES: usize = 100_000;

/// All repositories over one lock.
#[derive(Default)]
pub(super) struct Memory {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    sessions: HashMap<Uuid, Stored>,
    cookies: HashMap<CookieKey, (Uuid, String)>,
    newest: i64,
    changes: VecDeque<(i64, Timestamp, Change)>,
    epochs: Vec<(i64, Timestamp, Selector)>,
    used: UsedIds,
    kept: KeptRecords,
    explained: ExplainedRecords,
    off: BTreeSet<(SwitchKind, String)>,
    keys: BTreeMap<String, Timestamp>,
    salts: BTreeMap<String, Salt>,
    people: People,
    natives: NativeRecords,
    cut_overs: BTreeMap<EmailDomain, CutOver>,
    ledger: LedgerRows,
}

struct Stored {
    row: SessionRow,
    cookies: Vec<CookieKey>,
    claim: Option<Claim>,
}

struct Claim {
    owner: Uuid,
    until: Timestamp,
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn number(&mut self, change: Change, now: Timestamp) -> i64 {
        self.newest += 1;
        self.changes.push_back((self.newest, now, change));
        if self.changes.len() > MAX_CHANGES {
            self.changes.pop_front();
        }
        self.newest
    }

    /// Takes a session out, with its cookies.
    fn remove(&mut self, reference: Uuid) -> Option<Stored> {
        let stored = self.sessions.remove(&reference)?;
        for key in &stored.cookies {
            self.cookies.remove(key);
        }
        Some(stored)
    }

    /// The references of those that `which` selects, newest first.
    fn selected(&self, which: &Selector) -> Vec<Uuid> {
        let one = match which {
            Selector::Reference(reference) => Some(*reference),
            Selector::Cookie(key) => match self.cookies.get(key) {
                Some((reference, _)) => Some(*reference),
                None => return Vec::new(),
            },
            _ => None,
        };
        if let Some(reference) = one {
            return self.sessions.contains_key(&reference).then_some(reference).into_iter().collect();
        }
        let mut found: Vec<&SessionRow> =
            self.sessions.values().map(|stored| &stored.row).filter(|row| which.fits(row)).collect();
        found.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.reference)));
        found.into_iter().map(|row| row.reference).collect()
    }

    /// Ends the sessions that `which` selects.
    fn end(&mut self, which: &Selector, now: Timestamp) -> Ended {
        let mut ended = Ended::default();
        if which.is_epoch() {
            ended.number = self.number(Change::Revoked(which.clone()), now);
            self.epochs.retain(|(_, _, other)| other != which);
            self.epochs.push((ended.number, now, which.clone()));
        }
        for reference in self.selected(which) {
            let Some(stored) = self.remove(reference) else { continue };
            ended.count += 1;
            if !which.is_epoch() {
                for key in &stored.cookies {
                    ended.number = self.number(Change::CookieEnded(*key), now);
                }
            }
            if ended.sessions.len() < MAX_ENDED {
                ended.sessions.push(without_secrets(&stored.row));
                ended.cookies.extend(stored.cookies);
            }
        }
        ended
    }

    /// The session that `owner` has claimed.
    fn claimed_by(&mut self, reference: Uuid, owner: Uuid) -> Option<&mut Stored> {
        let claimed = |claim: &Claim| claim.owner == owner;
        self.sessions.get_mut(&reference).filter(|stored| stored.claim.as_ref().is_some_and(claimed))
    }
}

fn without_secrets(row: &SessionRow) -> SessionRow {
    SessionRow { secrets: None, ..row.clone() }
}

fn taken(what: &'static str) -> DirectoryError {
    DirectoryError::Unavailable(what.into())
}

#[async_trait]
impl Sessions for Memory {
    async fn create(
        &self,
        session: &SessionRow,
        cookie: &NewCookie,
        linking: &Linking,
    ) -> Result<Creation, DirectoryError> {
        let mut state = self.state();
        if state.sessions.contains_key(&session.reference) || state.cookies.contains_key(&cookie.key) {
            return Err(taken("a session of this reference or cookie is there already"));
        }
        let born = state.newest.min(session.born);
        let linked = match state.people.link(session, linking) {
            Ok(linked) => linked,
            Err(refused) => return Ok(Creation::Refused(refused)),
        };
        let (user, native) = (linked.user, linked.native);
        let merged = linked.merged.map(|(old, native)| state.end_merged(old, native, session.created_at));
        let row = SessionRow { born, user, native: native.clone(), ..session.clone() };
        // Revoked since it was begun: over before it is there.
        if !state.epochs.iter().any(|(number, _, which)| *number > born && which.fits(&row)) {
            state.cookies.insert(cookie.key, (row.reference, cookie.host.clone()));
            state.sessions.insert(row.reference, Stored { row, cookies: vec![cookie.key], claim: None });
        }
        drop(state);
        if merged.is_some() {
            self.changed.notify_waiters();
        }
        Ok(Creation::Created(Created { born, user, native, merged }))
    }

    async fn add_cookie(&self, reference: Uuid, cookie: &NewCookie, now: Timestamp) -> Result<bool, DirectoryError> {
        let mut state = self.state();
        let State { sessions, cookies, .. } = &mut *state;
        let Some(stored) = sessions.get_mut(&reference) else { return Ok(false) };
        match cookies.get(&cookie.key) {
            Some((other, _)) if *other != reference => return Err(taken("the cookie leads to another session")),
            Some(_) => return Ok(true),
            None => {}
        }
        let replaced = |key: &CookieKey| cookies.get(key).is_some_and(|(_, host)| *host == cookie.host);
        let (old, mut kept): (Vec<CookieKey>, Vec<CookieKey>) = stored.cookies.iter().partition(|key| replaced(key));
        kept.push(cookie.key);
        stored.cookies = kept;
        cookies.insert(cookie.key, (reference, cookie.host.clone()));
        for key in &old {
            state.cookies.remove(key);
            state.number(Change::CookieEnded(*key), now);
        }
        drop(state);
        if !old.is_empty() {
            self.changed.notify_waiters();
        }
        Ok(true)
    }

    async fn by_cookie(&self, key: &CookieKey) -> Result<Option<(SessionRow, String)>, DirectoryError> {
        let state = self.state();
        let found = state.cookies.get(key);
        Ok(found.and_then(|(reference, host)| Some((state.sessions.get(reference)?.row.clone(), host.clone()))))
    }

    async fn by_reference(&self, reference: Uuid) -> Result<Option<SessionRow>, DirectoryError> {
        Ok(self.state().sessions.get(&reference).map(|stored| stored.row.clone()))
    }

    async fn list(&self, which: &Selector, page: &Page) -> Result<Vec<SessionRow>, DirectoryError> {
        let state = self.state();
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let rows = state
            .selected(which)
            .into_iter()
            .take(limit)
            .filter_map(|reference| state.sessions.get(&reference).map(|stored| without_secrets(&stored.row)));
        Ok(rows.collect())
    }

    async fn end(
        &self,
        which: &Selector,
        once: Option<(OnceKind, &str, Timestamp)>,
        now: Timestamp,
    ) -> Result<Ended, DirectoryError> {
        let mut state = self.state();
        if let Some((kind, id, until)) = once
            && !state.used.add(kind, id, until)
        {
            return Ok(Ended { replayed: true, ..Ended::default() });
        }
        let ended = state.end(which, now);
        drop(state);
        self.changed.notify_waiters();
        Ok(ended)
    }

    async fn used(&self, uses: &[Used]) -> Result<(), DirectoryError> {
        let mut state = self.state();
        for Used { reference, at } in uses {
            if let Some(stored) = state.sessions.get_mut(reference) {
                stored.row.last_used = stored.row.last_used.max(*at);
            }
        }
        Ok(())
    }

    async fn lease(
        &self,
        reference: Uuid,
        version: i64,
        owner: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Lease, DirectoryError> {
        let mut state = self.state();
        let Some(stored) = state.sessions.get_mut(&reference) else { return Ok(Lease::Gone) };
        if stored.row.version != version {
            return Ok(Lease::Changed(Box::new(stored.row.clone())));
        }
        if stored.claim.as_ref().is_some_and(|claim| claim.owner != owner && claim.until > now) {
            return Ok(Lease::Busy);
        }
        stored.claim = Some(Claim { owner, until });
        Ok(Lease::Taken(Box::new(stored.row.clone())))
    }

    async fn renewed(
        &self,
        reference: Uuid,
        owner: Uuid,
        renewed: &Renewed,
        now: Timestamp,
    ) -> Result<bool, DirectoryError> {
        let mut state = self.state();
        let Some(stored) = state.claimed_by(reference, owner) else { return Ok(false) };
        let Renewed { identity, auth_time, acr, amr, secrets, renew_at } = renewed.clone();
        let row = &mut stored.row;
        (row.identity, row.auth_time, row.acr, row.amr) = (identity, auth_time, acr, amr);
        (row.secrets, row.renew_at) = (secrets, renew_at);
        row.version += 1;
        let version = row.version;
        stored.claim = None;
        for key in stored.cookies.clone() {
            state.number(Change::CookieRenewed(key, version), now);
        }
        drop(state);
        self.changed.notify_waiters();
        Ok(true)
    }

    async fn release(&self, reference: Uuid, owner: Uuid, renew_at: Timestamp) -> Result<(), DirectoryError> {
        if let Some(stored) = self.state().claimed_by(reference, owner) {
            stored.claim = None;
            stored.row.renew_at = Some(renew_at);
        }
        Ok(())
    }

    async fn purge(
        &self,
        created_before: Timestamp,
        used_before: Timestamp,
        limit: u32,
    ) -> Result<u64, DirectoryError> {
        let mut state = self.state();
        let old = |row: &SessionRow| row.created_at < created_before || row.last_used < used_before;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let rows = state.sessions.values().map(|stored| &stored.row).filter(|row| old(row));
        let references: Vec<Uuid> = rows.map(|row| row.reference).take(limit).collect();
        let gone = references.into_iter().filter_map(|reference| state.remove(reference)).count();
        Ok(u64::try_from(gone).unwrap_or(u64::MAX))
    }
}

#[async_trait]
impl Changes for Memory {
    async fn since(&self, number: i64, limit: u32) -> Result<Vec<(i64, Change)>, DirectoryError> {
        let state = self.state();
        let from = state.changes.partition_point(|(known, _, _)| *known <= number);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let after = state.changes.iter().skip(from).take(limit);
        Ok(after.map(|(number, _, change)| (*number, change.clone())).collect())
    }

    async fn newest(&self) -> Result<i64, DirectoryError> {
        Ok(self.state().newest)
    }

    async fn revoked(&self, from: Timestamp) -> Result<Vec<(i64, Change)>, DirectoryError> {
        let state = self.state();
        let recent = state.epochs.iter().filter(|(_, at, _)| *at >= from);
        Ok(recent.map(|(number, _, which)| (*number, Change::Revoked(which.clone()))).collect())
    }

    /// Directories that share this memory are one process's, but may stand for several in a test.
    async fn hint(&self) {
        self.changed.notified().await;
    }

    async fn purge(&self, before: Timestamp, epochs_before: Timestamp) -> Result<u64, DirectoryError> {
        let mut state = self.state();
        let newest = state.newest;
        let count = state.changes.len() + state.epochs.len();
        state.changes.retain(|(number, at, _)| *at >= before || *number == newest);
        state.epochs.retain(|(_, at, _)| *at >= epochs_before);
        Ok(u64::try_from(count - state.changes.len() - state.epochs.len()).unwrap_or(u64::MAX))
    }
}

//! The short-lived records of the memory directory, each kind with its bound.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use async_trait::async_trait;

use super::Memory;
use crate::base::clock::Timestamp;
use crate::base::share::Salt;
use crate::directory::Closing;
use crate::directory::{
    Change, DirectoryError, Explained, Explanations, Kept, KeptKind, KeyIds, Once, OnceKind, Salts, Switch, SwitchKind,
    Switches,
};

/// Used ids remembered at most. Beyond it the oldest is forgotten: an attempt's code was used up at the provider too.
const MAX_USED: usize = 100_000;

/// Bytes of sealed records of one kind at most. Beyond it those that end first are forgotten.
const MAX_KEPT_BYTES: u64 = 64 * 1024 * 1024;

/// What a record costs beside its bytes, so that a flood of empty ones meets the bound too.
const RECORD_COST: u64 = 256;

/// Explained records at most; beyond it the oldest is forgotten.
const MAX_EXPLAINED: usize = 50_000;

/// Ids that are used up.
#[derive(Default)]
pub(super) struct UsedIds {
    until: HashMap<(OnceKind, String), Timestamp>,
    by_age: VecDeque<(OnceKind, String)>,
}

impl UsedIds {
    /// True: it was not used before.
    pub(super) fn add(&mut self, kind: OnceKind, id: &str, until: Timestamp) -> bool {
        let key = (kind, id.to_owned());
        if self.until.contains_key(&key) {
            return false;
        }
        if self.by_age.len() >= MAX_USED
            && let Some(oldest) = self.by_age.pop_front()
        {
            self.until.remove(&oldest);
        }
        self.by_age.push_back(key.clone());
        self.until.insert(key, until);
        true
    }

    fn purge(&mut self, now: Timestamp) -> usize {
        let before = self.until.len();
        self.until.retain(|_, until| *until > now);
        self.by_age.retain(|key| self.until.contains_key(key));
        before - self.until.len()
    }
}

/// Sealed records.
#[derive(Default)]
pub(super) struct KeptRecords {
    records: HashMap<(KeptKind, String), (Vec<u8>, Timestamp)>,
    by_end: BTreeSet<(KeptKind, Timestamp, String)>,
    bytes: BTreeMap<KeptKind, u64>,
    records_of: BTreeMap<KeptKind, u64>,
}

fn size(sealed: &[u8]) -> u64 {
    u64::try_from(sealed.len()).unwrap_or(u64::MAX)
}

impl KeptRecords {
    fn keep(&mut self, kind: KeptKind, id: &str, sealed: &[u8], until: Timestamp) {
        self.take(kind, id);
        let room = |kept: &Self| {
            let cost = kept.bytes_of(kind) + size(sealed);
            cost + (kept.records_of.get(&kind).copied().unwrap_or_default() + 1) * RECORD_COST <= MAX_KEPT_BYTES
        };
        while !room(self)
            && let Some(first) = self.first_to_end(kind)
        {
            self.take(kind, &first);
        }
        *self.bytes.entry(kind).or_default() += size(sealed);
        *self.records_of.entry(kind).or_default() += 1;
        self.by_end.insert((kind, until, id.to_owned()));
        self.records.insert((kind, id.to_owned()), (sealed.to_vec(), until));
    }

    fn first_to_end(&self, kind: KeptKind) -> Option<String> {
        let from = (kind, Timestamp::from_millis(i64::MIN), String::new());
        let (found, _, id) = self.by_end.range(from..).next()?;
        (*found == kind).then(|| id.clone())
    }

    fn take(&mut self, kind: KeptKind, id: &str) -> Option<(Vec<u8>, Timestamp)> {
        let (sealed, until) = self.records.remove(&(kind, id.to_owned()))?;
        self.by_end.remove(&(kind, until, id.to_owned()));
        if let Some(bytes) = self.bytes.get_mut(&kind) {
            *bytes = bytes.saturating_sub(size(&sealed));
        }
        if let Some(records) = self.records_of.get_mut(&kind) {
            *records = records.saturating_sub(1);
        }
        Some((sealed, until))
    }

    fn bytes_of(&self, kind: KeptKind) -> u64 {
        self.bytes.get(&kind).copied().unwrap_or_default()
    }

    fn purge(&mut self, now: Timestamp) -> usize {
        let old: Vec<_> = self.by_end.iter().filter(|(_, until, _)| *until <= now).cloned().collect();
        old.iter().filter_map(|(kind, _, id)| self.take(*kind, id)).count()
    }
}

/// Explained records, oldest first.
#[derive(Default)]
pub(super) struct ExplainedRecords(VecDeque<Explained>);

#[async_trait]
impl Once for Memory {
    async fn use_once(&self, kind: OnceKind, id: &str, until: Timestamp) -> Result<bool, DirectoryError> {
        Ok(self.state().used.add(kind, id, until))
    }

    async fn purge(&self, now: Timestamp) -> Result<u64, DirectoryError> {
        Ok(u64::try_from(self.state().used.purge(now)).unwrap_or(u64::MAX))
    }
}

#[async_trait]
impl Kept for Memory {
    async fn keep(&self, kind: KeptKind, id: &str, sealed: &[u8], until: Timestamp) -> Result<(), DirectoryError> {
        self.state().kept.keep(kind, id, sealed, until);
        Ok(())
    }

    async fn take(&self, kind: KeptKind, id: &str, now: Timestamp) -> Result<Option<Vec<u8>>, DirectoryError> {
        let taken = self.state().kept.take(kind, id);
        Ok(taken.and_then(|(sealed, until)| (now < until).then_some(sealed)))
    }

    async fn peek(&self, kind: KeptKind, id: &str, now: Timestamp) -> Result<Option<Vec<u8>>, DirectoryError> {
        let state = self.state();
        let found = state.kept.records.get(&(kind, id.to_owned()));
        Ok(found.and_then(|(sealed, until)| (now < *until).then(|| sealed.clone())))
    }

    async fn bytes(&self, kind: KeptKind) -> Result<u64, DirectoryError> {
        Ok(self.state().kept.bytes_of(kind))
    }

    async fn purge(&self, now: Timestamp) -> Result<u64, DirectoryError> {
        Ok(u64::try_from(self.state().kept.purge(now)).unwrap_or(u64::MAX))
    }
}

#[async_trait]
impl Explanations for Memory {
    async fn keep(&self, records: &[Explained]) -> Result<(), DirectoryError> {
        let mut state = self.state();
        let all = &mut state.explained.0;
        all.extend(records.iter().cloned());
        let excess = all.len().saturating_sub(MAX_EXPLAINED);
        all.drain(..excess);
        Ok(())
    }

    async fn of(&self, reference: &str) -> Result<Vec<Explained>, DirectoryError> {
        let state = self.state();
        let mut found: Vec<Explained> =
            state.explained.0.iter().filter(|record| record.reference == reference).cloned().collect();
        found.sort_by_key(|record| record.at);
        Ok(found)
    }

    async fn purge(&self, before: Timestamp, max: u64) -> Result<u64, DirectoryError> {
        let mut state = self.state();
        let all = &mut state.explained.0;
        let count = all.len();
        all.retain(|record| record.at >= before);
        all.make_contiguous().sort_by_key(|record| record.at);
        let excess = all.len().saturating_sub(usize::try_from(max).unwrap_or(usize::MAX));
        all.drain(..excess);
        Ok(u64::try_from(count - all.len()).unwrap_or(u64::MAX))
    }
}

#[async_trait]
impl Switches for Memory {
    async fn off(&self) -> Result<Vec<Switch>, DirectoryError> {
        let state = self.state();
        Ok(state.off.iter().map(|(kind, name)| Switch { kind: *kind, name: name.clone(), off: true }).collect())
    }

    async fn switch(&self, kind: SwitchKind, name: &str, off: bool, now: Timestamp) -> Result<(), DirectoryError> {
        let mut state = self.state();
        let key = (kind, name.to_owned());
        if off {
            state.off.insert(key)
        } else {
            state.off.remove(&key)
        };
        state.number(Change::Switched(Switch { kind, name: name.to_owned(), off }), now);
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }
}

#[async_trait]
impl KeyIds for Memory {
    async fn share(&self, fingerprints: &[String], now: Timestamp) -> Result<bool, DirectoryError> {
        let keys = &mut self.state().keys;
        if !keys.is_empty() && !fingerprints.iter().any(|fingerprint| keys.contains_key(fingerprint)) {
            return Ok(false);
        }
        keys.extend(fingerprints.iter().map(|fingerprint| (fingerprint.clone(), now)));
        Ok(true)
    }
}

#[async_trait]
impl Salts for Memory {
    async fn salt(&self, purpose: &str, fresh: &Salt) -> Result<Salt, DirectoryError> {
        Ok(*self.state().salts.entry(purpose.to_owned()).or_insert(*fresh))
    }
}

#[async_trait]
impl Closing for Memory {
    async fn close(&self) {}
}

//! Which native identities are in use, gathered in memory and written every few seconds.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crate::base::clock::Timestamp;
use crate::base::id::Id;
use crate::directory::{Directory, DirectoryError, NativeIdentity, NativeKind};

/// Identities that wait to be written at most. More than that in a few seconds is nobody's integrations.
const MAX_WAITING: usize = 10_000;

/// Identities of native credentials that the application has accepted.
#[derive(Default)]
pub(super) struct Seen {
    waiting: Mutex<Waiting>,
    /// Held while uses are on their way to the directory, so that whoever asks sees them.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    by_kind: HashMap<(Id, NativeKind), HashMap<String, NativeIdentity>>,
    count: usize,
}

/// One use.
pub(super) struct Use<'a> {
    pub(super) app: &'a Id,
    pub(super) kind: NativeKind,
    pub(super) name: &'a str,
    pub(super) email_shaped: bool,
    pub(super) source: IpAddr,
    pub(super) at: Timestamp,
}

impl Waiting {
    fn add(&mut self, seen: NativeIdentity) {
        let names = self.by_kind.entry((seen.app.clone(), seen.kind)).or_default();
        if let Some(known) = names.get_mut(&seen.name) {
            known.count = known.count.saturating_add(seen.count);
            known.first = known.first.min(seen.first);
            if seen.last >= known.last {
                (known.last, known.source) = (seen.last, seen.source);
            }
        } else if self.count < MAX_WAITING {
            self.count += 1;
            names.insert(seen.name.clone(), seen);
        }
    }
}

impl Seen {
    /// Counts a use. Never waits for the directory.
    pub(super) fn note(&self, seen: &Use<'_>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (seen.app.clone(), seen.kind);
        if let Some(known) = waiting.by_kind.get_mut(&key).and_then(|names| names.get_mut(seen.name)) {
            known.count += 1;
            if seen.at >= known.last {
                (known.last, known.source) = (seen.at, seen.source);
            }
            return;
        }
        waiting.add(NativeIdentity {
            app: seen.app.clone(),
            kind: seen.kind,
            name: seen.name.to_owned(),
            first: seen.at,
            last: seen.at,
            count: 1,
            source: seen.source,
            email_shaped: seen.email_shaped,
        });
    }

    /// Writes what waits. What cannot be written goes on waiting.
    pub(super) async fn flush(&self, directory: &Directory) -> Result<(), DirectoryError> {
        let _writing = self.writing.lock().await;
        let taken = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let uses: Vec<NativeIdentity> = taken.by_kind.into_values().flat_map(HashMap::into_values).collect();
        if uses.is_empty() {
            return Ok(());
        }
        let written = directory.natives.note(&uses).await;
        if written.is_err() {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            uses.into_iter().for_each(|seen| waiting.add(seen));
        }
        written
    }
}

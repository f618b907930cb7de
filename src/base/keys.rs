//! The key ring: what `keys.dir` holds.
//!
//! | file | what it is |
//! | --- | --- |
//! | `sealing-<unix seconds>.key` | base64 of 32 random bytes; seals cookies ([`Sealer`](super::seal::Sealer)) |
//! | `assertion-<unix seconds>.pem` | PKCS#8 P-256 private key; signs assertions for the application |
//! | others ([`KeyFile`]) | keys of other modules, each in one file with a fixed name |
//!
//! The number is the key's time of creation, so rotation needs no index, and an operator rotates by putting a file
//! there or with `anteroom keys rotate`. Rotation overlaps: a new key is known to everybody before it is used, and a
//! superseded one is still good for what it sealed or signed ([`plan`]). A key on disk is never replaced and never deleted by Anteroom; one that cannot be read is an error, because
//! going on with a fresh key would quietly break whatever the old one sealed or signed.

mod dir;
mod file;
mod key;
pub mod plan;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::clock::{Clock, Timestamp};
pub use dir::{KeyKind, KeysError, KeysReport};
pub use file::{KeyFile, KeyFileError, KeyText};
pub use key::{AssertionKey, PublicJwk, SealingKey};
use plan::{KeyTimes, Stage};

/// The keys of this deployment. One per process, shared; reading from it never waits.
#[derive(Debug)]
pub struct KeyRing {
    dir: PathBuf,
    clock: Clock,
    /// How long a superseded sealing key opens.
    open_for: Duration,
    keys: ArcSwap<Keys>,
    /// Held while the directory is read again, so that an older view never replaces a newer one.
    turning: Mutex<()>,
}

/// One view of the directory. Each list is never empty, oldest first.
#[derive(Debug)]
struct Keys {
    sealing: Vec<Arc<SealingKey>>,
    assertion: Vec<Arc<AssertionKey>>,
}

/// What [`KeyRing::rotate_if_due`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The same keys as before.
    Unchanged,
    /// Keys came or went in the directory.
    Reread,
    /// A new assertion key was made and is now published.
    Made {
        /// Its key id.
        kid: String,
    },
}

/// One key, as an operator may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    pub kind: KeyKind,
    /// The `kid` of an assertion key, the [fingerprint](KeyRing::fingerprints) of a sealing key.
    pub id: String,
    /// From its file name.
    pub created: Timestamp,
    pub stage: Stage,
    /// When the stage ends, if that is known.
    pub until: Option<Timestamp>,
}

impl KeyRing {
    /// Reads `dir`; on the first start makes the directory (0700) and the keys (0600). Processes that start at once on
    /// one directory end with the same keys. A superseded sealing key opens for `open_for` (and [`plan::OPEN_SLACK`])
    /// more: as long as anything sealed may be needed. Blocks on the file system.
    ///
    /// # Errors
    /// A key is unreadable, empty or no key; or one is missing and cannot be made. Nothing on disk is ever replaced.
    pub fn open(dir: &Path, open_for: Duration, clock: Clock) -> Result<Self, KeysError> {
        let now = clock.now();
        let mut files = dir::read(dir)?;
        for file in &files.readable_by_others {
            tracing::warn!(file = %file.display(), "key file is readable by every user of this machine; make it 0600");
        }
        if files.missing().next().is_some() {
            files = dir::make_missing(dir, now)?;
        }
        let keys = Keys::new(files, None, now);
        let open_for = open_for.saturating_add(plan::OPEN_SLACK);
        Ok(Self { dir: dir.to_owned(), clock, open_for, keys: ArcSwap::from_pointee(keys), turning: Mutex::new(()) })
    }

    /// Whether [`open`](Self::open) would work, for `anteroom check`. Writes nothing.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn check(dir: &Path) -> Result<KeysReport, KeysError> {
        let files = dir::read(dir)?;
        let will_make: Vec<KeyKind> = files.missing().collect();
        if !will_make.is_empty() {
            dir::check_writable(dir)?;
        }
        Ok(KeysReport {
            sealing: files.sealing.len(),
            assertion: files.assertion.len(),
            will_make,
            readable_by_others: files.readable_by_others,
        })
    }

    /// Reads the directory again and, when the newest assertion key is [due](plan::ROTATE_AFTER), makes another. To be
    /// called every few minutes, more often than [`plan::USE_AFTER`]: processes that share the directory learn of each
    /// other's keys this way before those are used. Blocks on the file system.
    ///
    /// # Errors
    /// The directory lost all keys of a kind, holds a file that is no key, or a key is due and cannot be made. What was
    /// loaded before stays in use.
    pub fn rotate_if_due(&self) -> Result<Rotation, KeysError> {
        let _turn = self.turning.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let old = self.keys.load_full();
        let reread = self.adopt(dir::read(&self.dir)?, &old, now)?;
        if !plan::is_due(&reread.assertion_times(), now) {
            return Ok(if reread.ids().eq(old.ids()) { Rotation::Unchanged } else { Rotation::Reread });
        }
        let files = dir::make_if(&self.dir, &[KeyKind::Assertion], now, |times| plan::is_due(times, now))?;
        let rotated = self.adopt(files, &old, now)?;
        let made = rotated.assertion.iter().find(|key| reread.assertion.iter().all(|old| old.kid() != key.kid()));
        Ok(made.map_or(Rotation::Reread, |key| Rotation::Made { kid: key.kid().to_owned() }))
    }

    /// Makes a new sealing key and a new assertion key at once, for an operator who wants to. They are used after
    /// [`plan::USE_AFTER`], so nothing sealed or signed is lost. A kind of which a key was made less than that ago is
    /// on its way already and gets no other: asking twice is asking once. Gives all keys. Blocks on the file system.
    ///
    /// # Errors
    /// Those of [`rotate_if_due`](Self::rotate_if_due); what was loaded before stays in use.
    pub fn rotate_now(&self) -> Result<Vec<KeyInfo>, KeysError> {
        let _turn = self.turning.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let old = self.keys.load_full();
        // Refused before anything is made if the directory is not the one we know.
        self.adopt(dir::read(&self.dir)?, &old, now)?;
        let files = dir::make_if(&self.dir, &KeyKind::ALL, now, |times| !plan::is_turning(times, now))?;
        self.adopt(files, &old, now)?;
        Ok(self.list())
    }

    /// Takes over what the directory holds now.
    fn adopt(&self, files: dir::Files, old: &Keys, now: Timestamp) -> Result<Arc<Keys>, KeysError> {
        // A volume that went away looks like a first start. Fresh keys would cut off what the old ones serve.
        if let Some(kind) = files.missing().next() {
            return Err(KeysError::Gone { dir: self.dir.clone(), kind });
        }
        let keys = Arc::new(Keys::new(files, Some(old), now));
        self.keys.store(Arc::clone(&keys));
        Ok(keys)
    }

    /// All keys with what they do now: sealing keys first, each kind oldest first.
    pub fn list(&self) -> Vec<KeyInfo> {
        let (keys, now) = (self.keys.load(), self.clock.now());
        let (sealing_times, assertion_times) = (keys.sealing_times(), keys.assertion_times());
        let info = |kind, i, id: &str, times: &[KeyTimes], kept, created| {
            let (stage, until) = plan::stage(times, i, kept, now);
            KeyInfo { kind, id: id.to_owned(), created, stage, until }
        };
        let sealing = keys.sealing.iter().enumerate().map(|(i, key)| {
            info(KeyKind::Sealing, i, key.public_name(), &sealing_times, self.open_for, key.times().created)
        });
        let assertion = keys.assertion.iter().enumerate().map(|(i, key)| {
            info(KeyKind::Assertion, i, key.kid(), &assertion_times, plan::PUBLISH_FOR, key.times().created)
        });
        sealing.chain(assertion).collect()
    }

    /// The public name of each sealing key, oldest first: hexadecimal digits that tell keys apart and give nothing of
    /// them away. Two processes can open each other's records if they have a name in common.
    pub fn fingerprints(&self) -> Vec<String> {
        self.keys.load().sealing.iter().map(|key| key.public_name().to_owned()).collect()
    }

    /// The key that signs assertions at `now`.
    pub fn assertion_key(&self, now: Timestamp) -> Arc<AssertionKey> {
        let keys = self.keys.load();
        current(&keys.assertion, &keys.assertion_times(), now)
    }

    /// The keys that `jwks.json` shows at `now`, newest first: the next one, the current one, and superseded ones for
    /// [`plan::PUBLISH_FOR`] after they stopped signing.
    pub fn published_keys(&self, now: Timestamp) -> Vec<Arc<AssertionKey>> {
        let keys = self.keys.load();
        let times = keys.assertion_times();
        plan::published(&times, now).filter_map(|i| keys.assertion.get(i).cloned()).rev().collect()
    }

    /// The key that seals now.
    pub(super) fn sealing_key(&self) -> Arc<SealingKey> {
        let keys = self.keys.load();
        current(&keys.sealing, &keys.sealing_times(), self.clock.now())
    }

    /// The keys whose id is `id` and that still open what they sealed.
    pub(super) fn sealing_keys_with_id(&self, id: [u8; 4]) -> Vec<Arc<SealingKey>> {
        let (keys, now) = (self.keys.load(), self.clock.now());
        let times = keys.sealing_times();
        let opens = |i| plan::stage(&times, i, self.open_for, now).0 != Stage::Retired;
        let fits = keys.sealing.iter().enumerate().filter(|(i, key)| key.id() == id && opens(*i));
        fits.map(|(_, key)| Arc::clone(key)).collect()
    }
}

impl Keys {
    /// From what the directory holds; `before` tells since when each key has been known here.
    fn new(files: dir::Files, before: Option<&Self>, now: Timestamp) -> Self {
        let since = |created: Timestamp, known: Option<Timestamp>| match (before, known) {
            (None, _) => created,
            (Some(_), Some(known)) => known,
            (Some(_), None) => created.max(now),
        };
        let sealing = files.sealing.into_iter().map(|mut key| {
            let known = before.and_then(|b| b.sealing.iter().find(|k| k.same(&key))).map(|k| k.times().published);
            key.set_published(since(key.times().created, known));
            Arc::new(key)
        });
        let assertion = files.assertion.into_iter().map(|mut key| {
            let known = before.and_then(|b| b.assertion.iter().find(|k| k.kid() == key.kid()));
            key.set_published(since(key.times().created, known.map(|k| k.times().published)));
            Arc::new(key)
        });
        Self { sealing: sealing.collect(), assertion: assertion.collect() }
    }

    fn sealing_times(&self) -> Vec<KeyTimes> {
        self.sealing.iter().map(|key| key.times()).collect()
    }

    fn assertion_times(&self) -> Vec<KeyTimes> {
        self.assertion.iter().map(|key| key.times()).collect()
    }

    fn ids(&self) -> impl Iterator<Item = (Timestamp, &[u8])> {
        let sealing = self.sealing.iter().map(|k| (k.times().created, k.fingerprint()));
        sealing.chain(self.assertion.iter().map(|k| (k.times().created, k.kid().as_bytes())))
    }
}

#[expect(clippy::indexing_slicing, reason = "the plan names an entry of the list it was given, which is never empty")]
fn current<K>(keys: &[Arc<K>], times: &[KeyTimes], now: Timestamp) -> Arc<K> {
    Arc::clone(&keys[plan::current(times, now)])
}

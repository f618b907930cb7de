//! The directory database: what must outlive a process and be the same for all processes of one deployment. SQLite
//! for one process, PostgreSQL for several, and memory for tests, each held to one contract (`contract.rs`).
//!
//! What is written here is durable when the call returns; a power cut, but no end of a process, may take the last uses,
//! claims and explanations back. What the processes must learn from each other — an ended
//! session, a revoked person, a switched-off connector — is a numbered [`Change`]: numbers have no gaps and become
//! visible in their order, so a process that has read number *n* has missed nothing before it.
//!
//! Nothing here reads a clock: times are the caller's. Nothing here opens a session: cookies are known by their
//! SHA-256 and tokens arrive sealed (E09).

#[cfg(test)]
mod contract;
mod cutovers;
mod ledger;
mod memory;
mod native;
mod open;
mod sql;
mod switchboard;
mod types;
mod users;

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use crate::base::clock::Timestamp;
use crate::base::share::Salt;

pub use cutovers::{CutOver, CutOvers, Extent, MAX_LISTED};
pub use ledger::{Ledger, LedgerEntry, LedgerKind, LedgerRow, day as ledger_day};
pub use native::{NativeCookie, NativeIdentity, NativeKind, Natives};
pub use open::{Location, OpenError, Probed, open, probe};
pub use sql::Failure;
pub use switchboard::Switchboard;
pub use types::{
    Change, CookieKey, Ended, Explained, KeptKind, Lease, MAX_ENDED, NewCookie, OnceKind, Page, Renewed, Selector,
    SessionRow, Switch, SwitchKind, Used,
};
pub use users::{
    Created, Creation, LinkRefused, Linking, MAX_PARTS, Membership, Merged, User, UserDetail, UserIdentity, UserSource,
    Users,
};

/// Why the directory could not do what it was asked. Nothing of it happened, or, where the answer alone was lost, all
/// of it; asking again is safe.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It cannot be reached, is full, locked or read-only, or took too long: worth another try.
    #[error("the directory database is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A row cannot be read: written by another version, or damaged.
    #[error("the directory database holds what this version cannot read: {0}")]
    Unreadable(String),
}

/// The repositories of one database. Cheap to clone.
#[derive(Clone)]
pub struct Directory {
    pub sessions: Arc<dyn Sessions>,
    pub changes: Arc<dyn Changes>,
    pub once: Arc<dyn Once>,
    pub kept: Arc<dyn Kept>,
    pub explanations: Arc<dyn Explanations>,
    pub switches: Arc<dyn Switches>,
    pub cut_overs: Arc<dyn CutOvers>,
    pub keys: Arc<dyn KeyIds>,
    pub salts: Arc<dyn Salts>,
    pub users: Arc<dyn Users>,
    pub natives: Arc<dyn Natives>,
    pub ledger: Arc<dyn Ledger>,
    closing: Arc<dyn Closing>,
}

/// A database that can be closed.
#[async_trait]
trait Closing: Send + Sync {
    async fn close(&self);
}

impl Directory {
    /// A directory in this process's memory: gone with it. For tests and `sessions.store = "memory"`.
    pub fn in_memory() -> Self {
        Self::of(Arc::new(memory::Memory::default()))
    }

    fn of<D>(all: Arc<D>) -> Self
    where
        D: Sessions + Changes + Once + Kept + Explanations + Switches + KeyIds + Salts,
        D: Users + Natives + CutOvers + Ledger + Closing + 'static,
    {
        Self {
            sessions: all.clone(),
            changes: all.clone(),
            once: all.clone(),
            kept: all.clone(),
            explanations: all.clone(),
            switches: all.clone(),
            cut_overs: all.clone(),
            keys: all.clone(),
            salts: all.clone(),
            users: all.clone(),
            natives: all.clone(),
            ledger: all.clone(),
            closing: all,
        }
    }

    /// Closes the connections once their calls are over; later calls find it unavailable. Nothing is lost without it.
    pub async fn close(&self) {
        self.closing.close().await;
    }
}

/// Sessions and the cookies that lead to them. One session may have several cookies, at most one per host (hand-off).
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Keeps a session with its first cookie, and finds or makes the record of its person, in one transaction (design
    /// section 2, "Linking"): an identity that is known belongs to its user; one that is not to the one user who has the
    /// verified address, if that may be linked, or else to a new one. An app's own user ([`Id::of_app`](crate::base::id::Id::of_app))
    /// is never linked by address. An ending with a higher number than the session's `born` that fits it ends it too, even if neither
    /// knew of the other.
    async fn create(
        &self,
        session: &SessionRow,
        cookie: &NewCookie,
        linking: &Linking,
    ) -> Result<Creation, DirectoryError>;

    /// A cookie for a session on one more host. On a host that has one already the new one takes its place, so that
    /// nobody piles cookies up; the old one is numbered as [`Change::CookieEnded`] at `now`, in the same transaction.
    /// False: the session is gone.
    async fn add_cookie(&self, reference: Uuid, cookie: &NewCookie, now: Timestamp) -> Result<bool, DirectoryError>;

    /// The session that a cookie leads to, and the cookie's host. None: no such cookie, or the session was revoked.
    async fn by_cookie(&self, key: &CookieKey) -> Result<Option<(SessionRow, String)>, DirectoryError>;

    /// A session by its reference. None: gone or revoked.
    async fn by_reference(&self, reference: Uuid) -> Result<Option<SessionRow>, DirectoryError>;

    /// Sessions that `which` selects, newest first, without `secrets`; at most `page.limit`.
    async fn list(&self, which: &Selector, page: &Page) -> Result<Vec<SessionRow>, DirectoryError>;

    /// Ends the sessions that `which` selects, in one transaction. For one session (reference, cookie, the provider's
    /// session): rows deleted, their cookies numbered as [`Change::CookieEnded`]. For a
    /// [selector of many](Selector::is_epoch): an epoch, numbered as [`Change::Revoked`], which also ends what is
    /// written later but was born before; from its commit on no row that it fits is given out, and the rows are deleted
    /// after it, as far as time allows. With `once`, the id is used up in the same transaction; if it was used before,
    /// nothing happens and `replayed` is set (L06).
    async fn end(
        &self,
        which: &Selector,
        once: Option<(OnceKind, &str, Timestamp)>,
        now: Timestamp,
    ) -> Result<Ended, DirectoryError>;

    /// Notes uses; a time earlier than the one kept changes nothing.
    async fn used(&self, uses: &[Used]) -> Result<(), DirectoryError>;

    /// Claims the renewal of a session for `owner` until `until`, if it still has `version` and nobody else's claim is
    /// good at `now`.
    async fn lease(
        &self,
        reference: Uuid,
        version: i64,
        owner: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Lease, DirectoryError>;

    /// Writes what a renewal brought, if `owner` still holds the claim; gives the claim back; numbers the session's
    /// cookies as [`Change::CookieRenewed`]. False: somebody else has changed or ended the session.
    async fn renewed(
        &self,
        reference: Uuid,
        owner: Uuid,
        renewed: &Renewed,
        now: Timestamp,
    ) -> Result<bool, DirectoryError>;

    /// Gives a claim back without a renewal; the next is due at `renew_at`.
    async fn release(&self, reference: Uuid, owner: Uuid, renew_at: Timestamp) -> Result<(), DirectoryError>;

    /// Forgets at most `limit` sessions created before `created_before` or last used before `used_before`. How many.
    async fn purge(&self, created_before: Timestamp, used_before: Timestamp, limit: u32)
    -> Result<u64, DirectoryError>;
}

/// What the processes of one deployment tell each other, in order.
#[async_trait]
pub trait Changes: Send + Sync {
    /// Changes after `number`, oldest first, at most `limit`. If the first is not `number + 1`, what came between was
    /// purged: whoever reads so late knows nothing any more.
    async fn since(&self, number: i64, limit: u32) -> Result<Vec<(i64, Change)>, DirectoryError>;

    /// The number of the newest change; 0 if there never was one. Never goes back.
    async fn newest(&self) -> Result<i64, DirectoryError>;

    /// The epochs in force: every [`Change::Revoked`] made at or after `from`, oldest first. Of two with one selector
    /// the newer alone.
    async fn revoked(&self, from: Timestamp) -> Result<Vec<(i64, Change)>, DirectoryError>;

    /// Resolves when another process may have made a change, or never where that cannot be known. A hint: whoever
    /// waits also asks from time to time.
    async fn hint(&self);

    /// Forgets changes made before `before` (never the newest), and epochs made before `epochs_before` that have no
    /// session left to keep out. How many.
    async fn purge(&self, before: Timestamp, epochs_before: Timestamp) -> Result<u64, DirectoryError>;
}

/// Things that work once: attempts, logout tokens.
#[async_trait]
pub trait Once: Send + Sync {
    /// Uses `id` up; remembered until `until` at least. True for exactly one caller of all processes.
    async fn use_once(&self, kind: OnceKind, id: &str, until: Timestamp) -> Result<bool, DirectoryError>;

    /// Forgets what need not be remembered any more at `now`.
    async fn purge(&self, now: Timestamp) -> Result<u64, DirectoryError>;
}

/// Sealed records that wait for a short time to be taken: verified people, kept POSTs, hand-off codes.
#[async_trait]
pub trait Kept: Send + Sync {
    /// Keeps `sealed` under `id` until `until`. A record of the same kind and id is replaced.
    async fn keep(&self, kind: KeptKind, id: &str, sealed: &[u8], until: Timestamp) -> Result<(), DirectoryError>;

    /// Takes a record out: exactly one caller of all processes gets it. None: none, or too old at `now`.
    async fn take(&self, kind: KeptKind, id: &str, now: Timestamp) -> Result<Option<Vec<u8>>, DirectoryError>;

    /// Reads a record without taking it.
    async fn peek(&self, kind: KeptKind, id: &str, now: Timestamp) -> Result<Option<Vec<u8>>, DirectoryError>;

    /// Bytes kept of one kind: a bound for whoever keeps what strangers send.
    async fn bytes(&self, kind: KeptKind) -> Result<u64, DirectoryError>;

    /// Forgets what is too old at `now`.
    async fn purge(&self, now: Timestamp) -> Result<u64, DirectoryError>;
}

/// What was decided, by reference id, for `anteroom explain`.
#[async_trait]
pub trait Explanations: Send + Sync {
    /// Keeps records; several may have one reference.
    async fn keep(&self, records: &[Explained]) -> Result<(), DirectoryError>;

    /// The records of `reference`, oldest first.
    async fn of(&self, reference: &str) -> Result<Vec<Explained>, DirectoryError>;

    /// Forgets records made before `before`, and the oldest beyond `max`.
    async fn purge(&self, before: Timestamp, max: u64) -> Result<u64, DirectoryError>;
}

/// Connectors and domains that were switched off here, over what the configuration says.
#[async_trait]
pub trait Switches: Send + Sync {
    /// All that are off.
    async fn off(&self) -> Result<Vec<Switch>, DirectoryError>;

    /// Switches one off or on again, and numbers that as [`Change::Switched`].
    async fn switch(&self, kind: SwitchKind, name: &str, off: bool, now: Timestamp) -> Result<(), DirectoryError>;
}

/// Which sealing keys this database was used with, by fingerprint: a process with other keys could open nothing here.
#[async_trait]
pub trait KeyIds: Send + Sync {
    /// Notes the fingerprints. False, and nothing noted: some are known here and none of these is among them.
    async fn share(&self, fingerprints: &[String], now: Timestamp) -> Result<bool, DirectoryError>;
}

/// Keys of keyed hashes that are the same in every process of a deployment, for as long as its database lives.
#[async_trait]
pub trait Salts: Send + Sync {
    /// The salt of `purpose`: the one that is kept, or else `fresh`, which is kept from then on. Whoever asks at the same
    /// time gets the same.
    async fn salt(&self, purpose: &str, fresh: &Salt) -> Result<Salt, DirectoryError>;
}

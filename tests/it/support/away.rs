//! A directory that a test takes away and brings back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anteroom::base::clock::Timestamp;
use anteroom::directory::{
    Change, Changes, CookieKey, Creation, Directory, DirectoryError, Ended, Kept, KeptKind, Lease, Linking, NewCookie,
    Once, OnceKind, Page, Renewed, Selector, SessionRow, Sessions, Switch, SwitchKind, Switches, Used,
};
use async_trait::async_trait;
use uuid::Uuid;

/// What does not answer at the moment.
#[derive(Clone, Default)]
pub struct Away(Arc<Flags>);

#[derive(Default)]
struct Flags {
    all: AtomicBool,
    changes: AtomicBool,
}

impl Away {
    /// Nothing of the directory answers, or all of it does again.
    pub fn all(&self, away: bool) {
        self.0.all.store(away, Ordering::SeqCst);
    }

    /// Changes cannot be read, as if their news were slow.
    pub fn changes(&self, away: bool) {
        self.0.changes.store(away, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), DirectoryError> {
        let away = self.0.all.load(Ordering::SeqCst);
        if away { Err(DirectoryError::Unavailable("taken away by the test".into())) } else { Ok(()) }
    }

    fn check_changes(&self) -> Result<(), DirectoryError> {
        let away = self.0.changes.load(Ordering::SeqCst);
        if away { Err(DirectoryError::Unavailable("taken away by the test".into())) } else { self.check() }
    }
}

/// A directory in memory, and the means to take it away.
pub fn spoilable() -> (Directory, Away) {
    let (inner, away) = (Directory::in_memory(), Away::default());
    let spoiled = Arc::new(Spoiled { inner: inner.clone(), away: away.clone() });
    let mut directory = inner;
    directory.sessions = spoiled.clone();
    directory.changes = spoiled.clone();
    directory.once = spoiled.clone();
    directory.kept = spoiled.clone();
    directory.switches = spoiled;
    (directory, away)
}

struct Spoiled {
    inner: Directory,
    away: Away,
}

type Answer<T> = Result<T, DirectoryError>;

#[async_trait]
impl Sessions for Spoiled {
    async fn create(&self, session: &SessionRow, cookie: &NewCookie, linking: &Linking) -> Answer<Creation> {
        self.away.check()?;
        self.inner.sessions.create(session, cookie, linking).await
    }
    async fn add_cookie(&self, reference: Uuid, cookie: &NewCookie, now: Timestamp) -> Answer<bool> {
        self.away.check()?;
        self.inner.sessions.add_cookie(reference, cookie, now).await
    }
    async fn by_cookie(&self, key: &CookieKey) -> Answer<Option<(SessionRow, String)>> {
        self.away.check()?;
        self.inner.sessions.by_cookie(key).await
    }
    async fn by_reference(&self, reference: Uuid) -> Answer<Option<SessionRow>> {
        self.away.check()?;
        self.inner.sessions.by_reference(reference).await
    }
    async fn list(&self, which: &Selector, page: &Page) -> Answer<Vec<SessionRow>> {
        self.away.check()?;
        self.inner.sessions.list(which, page).await
    }
    async fn end(&self, which: &Selector, once: Option<(OnceKind, &str, Timestamp)>, now: Timestamp) -> Answer<Ended> {
        self.away.check()?;
        self.inner.sessions.end(which, once, now).await
    }
    async fn used(&self, uses: &[Used]) -> Answer<()> {
        self.away.check()?;
        self.inner.sessions.used(uses).await
    }
    async fn lease(
        &self,
        reference: Uuid,
        version: i64,
        owner: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Answer<Lease> {
        self.away.check()?;
        self.inner.sessions.lease(reference, version, owner, now, until).await
    }
    async fn renewed(&self, reference: Uuid, owner: Uuid, renewed: &Renewed, now: Timestamp) -> Answer<bool> {
        self.away.check()?;
        self.inner.sessions.renewed(reference, owner, renewed, now).await
    }
    async fn release(&self, reference: Uuid, owner: Uuid, renew_at: Timestamp) -> Answer<()> {
        self.away.check()?;
        self.inner.sessions.release(reference, owner, renew_at).await
    }
    async fn purge(&self, created_before: Timestamp, used_before: Timestamp, limit: u32) -> Answer<u64> {
        self.away.check()?;
        self.inner.sessions.purge(created_before, used_before, limit).await
    }
}

#[async_trait]
impl Changes for Spoiled {
    async fn since(&self, number: i64, limit: u32) -> Answer<Vec<(i64, Change)>> {
        self.away.check_changes()?;
        self.inner.changes.since(number, limit).await
    }
    async fn newest(&self) -> Answer<i64> {
        // A sign-in needs it: what is away is the news that processes follow.
        self.inner.changes.newest().await
    }
    async fn revoked(&self, from: Timestamp) -> Answer<Vec<(i64, Change)>> {
        self.away.check_changes()?;
        self.inner.changes.revoked(from).await
    }
    async fn hint(&self) {
        self.inner.changes.hint().await;
    }
    async fn purge(&self, before: Timestamp, epochs_before: Timestamp) -> Answer<u64> {
        self.away.check_changes()?;
        self.inner.changes.purge(before, epochs_before).await
    }
}

#[async_trait]
impl Once for Spoiled {
    async fn use_once(&self, kind: OnceKind, id: &str, until: Timestamp) -> Answer<bool> {
        self.away.check()?;
        self.inner.once.use_once(kind, id, until).await
    }
    async fn purge(&self, now: Timestamp) -> Answer<u64> {
        self.away.check()?;
        self.inner.once.purge(now).await
    }
}

#[async_trait]
impl Kept for Spoiled {
    async fn keep(&self, kind: KeptKind, id: &str, sealed: &[u8], until: Timestamp) -> Answer<()> {
        self.away.check()?;
        self.inner.kept.keep(kind, id, sealed, until).await
    }
    async fn take(&self, kind: KeptKind, id: &str, now: Timestamp) -> Answer<Option<Vec<u8>>> {
        self.away.check()?;
        self.inner.kept.take(kind, id, now).await
    }
    async fn peek(&self, kind: KeptKind, id: &str, now: Timestamp) -> Answer<Option<Vec<u8>>> {
        self.away.check()?;
        self.inner.kept.peek(kind, id, now).await
    }
    async fn bytes(&self, kind: KeptKind) -> Answer<u64> {
        self.away.check()?;
        self.inner.kept.bytes(kind).await
    }
    async fn purge(&self, now: Timestamp) -> Answer<u64> {
        self.away.check()?;
        self.inner.kept.purge(now).await
    }
}

#[async_trait]
impl Switches for Spoiled {
    async fn off(&self) -> Answer<Vec<Switch>> {
        self.away.check()?;
        self.inner.switches.off().await
    }
    async fn switch(&self, kind: SwitchKind, name: &str, off: bool, now: Timestamp) -> Answer<()> {
        self.away.check()?;
        self.inner.switches.switch(kind, name, off, now).await
    }
}

//! A directory whose renewals fail, and whose renewals and endings take their time, as a test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anteroom::base::clock::Timestamp;
use anteroom::directory::{
    CookieKey, Creation, Directory, DirectoryError, Ended, Lease, Linking, NewCookie, OnceKind, Page, Renewed,
    Selector, SessionRow, Sessions, Used,
};
use async_trait::async_trait;
use tokio::sync::Semaphore;
use uuid::Uuid;

/// What goes wrong with renewals, and how often they were tried.
pub struct Faults {
    /// How many of the next `renewed` are refused.
    pub refuse: AtomicUsize,
    /// How many `renewed` were asked for.
    pub written: AtomicUsize,
    /// How many `lease` were done.
    pub leased: AtomicUsize,
    /// How many `release` were done: renewals that failed and are over.
    pub released: AtomicUsize,
    /// How many of the next `lease` are answered only for a permit of `go_on`, after they were done.
    pub hold_up: AtomicUsize,
    pub go_on: Semaphore,
    /// How many of the next `end` wait for a permit of `go_on` before they are done, and how many wait or did.
    pub hold_end: AtomicUsize,
    pub ending: AtomicUsize,
}

impl Faults {
    /// `directory` with faults, of which there are none at first.
    pub fn over(directory: &Directory) -> (Directory, Arc<Self>) {
        let none = AtomicUsize::default;
        let faults = Arc::new(Self {
            refuse: none(),
            written: none(),
            leased: none(),
            released: none(),
            hold_up: none(),
            go_on: Semaphore::new(0),
            hold_end: none(),
            ending: none(),
        });
        let mut directory = directory.clone();
        directory.sessions = Arc::new(Faulty { real: directory.sessions.clone(), faults: faults.clone() });
        (directory, faults)
    }
}

struct Faulty {
    real: Arc<dyn Sessions>,
    faults: Arc<Faults>,
}

/// Counts `count` down; whether there was something left of it.
fn one_of(count: &AtomicUsize) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

#[async_trait]
impl Sessions for Faulty {
    async fn create(
        &self,
        session: &SessionRow,
        cookie: &NewCookie,
        linking: &Linking,
    ) -> Result<Creation, DirectoryError> {
        self.real.create(session, cookie, linking).await
    }

    async fn add_cookie(&self, reference: Uuid, cookie: &NewCookie, now: Timestamp) -> Result<bool, DirectoryError> {
        self.real.add_cookie(reference, cookie, now).await
    }

    async fn by_cookie(&self, key: &CookieKey) -> Result<Option<(SessionRow, String)>, DirectoryError> {
        self.real.by_cookie(key).await
    }

    async fn by_reference(&self, reference: Uuid) -> Result<Option<SessionRow>, DirectoryError> {
        self.real.by_reference(reference).await
    }

    async fn list(&self, which: &Selector, page: &Page) -> Result<Vec<SessionRow>, DirectoryError> {
        self.real.list(which, page).await
    }

    async fn end(
        &self,
        which: &Selector,
        once: Option<(OnceKind, &str, Timestamp)>,
        now: Timestamp,
    ) -> Result<Ended, DirectoryError> {
        if one_of(&self.faults.hold_end) {
            self.faults.ending.fetch_add(1, Ordering::SeqCst);
            self.faults.go_on.acquire().await.unwrap().forget();
        }
        self.real.end(which, once, now).await
    }

    async fn used(&self, uses: &[Used]) -> Result<(), DirectoryError> {
        self.real.used(uses).await
    }

    async fn lease(
        &self,
        reference: Uuid,
        version: i64,
        owner: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Lease, DirectoryError> {
        let lease = self.real.lease(reference, version, owner, now, until).await;
        self.faults.leased.fetch_add(1, Ordering::SeqCst);
        if one_of(&self.faults.hold_up) {
            self.faults.go_on.acquire().await.unwrap().forget();
        }
        lease
    }

    async fn renewed(
        &self,
        reference: Uuid,
        owner: Uuid,
        renewed: &Renewed,
        now: Timestamp,
    ) -> Result<bool, DirectoryError> {
        self.faults.written.fetch_add(1, Ordering::SeqCst);
        if one_of(&self.faults.refuse) {
            return Err(DirectoryError::Unavailable("the disk is full".into()));
        }
        self.real.renewed(reference, owner, renewed, now).await
    }

    async fn release(&self, reference: Uuid, owner: Uuid, renew_at: Timestamp) -> Result<(), DirectoryError> {
        let released = self.real.release(reference, owner, renew_at).await;
        self.faults.released.fetch_add(1, Ordering::SeqCst);
        released
    }

    async fn purge(
        &self,
        created_before: Timestamp,
        used_before: Timestamp,
        limit: u32,
    ) -> Result<u64, DirectoryError> {
        self.real.purge(created_before, used_before, limit).await
    }
}

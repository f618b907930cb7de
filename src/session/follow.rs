//! What runs beside the sessions: follows the directory's changes, tells it of uses, and forgets what is over.

use std::time::Duration;

use futures_util::FutureExt as _;

use crate::base::app_log::error_chain;
use crate::base::clock::Timestamp;
use crate::directory::{Change, DirectoryError, Switchboard};

use super::store::lock;
use super::{SessionKey, SessionStore};

/// How often the changes are asked for. PostgreSQL tells of them at once; correctness does not rest on it.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often uses are written.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// How often what is over is forgotten, about.
const TIDY_EVERY: Duration = Duration::from_secs(300);
/// Changes read at a time.
const CHANGES: u32 = 1000;
/// In how many looks once it is asked whether the database's numbers went back.
const COMPARE_EVERY: u32 = 20;
/// Uses written at a time.
const USES: usize = 500;
/// How long changes are kept, so that a process that lost the directory can catch up: longer, and it starts anew.
const CHANGES_KEPT: Duration = Duration::from_secs(2 * 3600);
/// Sessions forgotten at a time.
const TIDIED: u32 = 1000;
/// Clocks of processes differ; who forgets sessions leaves them that much longer.
const CLOCKS_DIFFER: Duration = Duration::from_secs(600);

/// Follows the directory's changes for one store.
pub struct Follower {
    store: SessionStore,
    switchboard: Switchboard,
    /// The last change taken in.
    seen: i64,
    away: bool,
    looks: u32,
}

impl Follower {
    /// Begins where the directory is now: epochs and switches in force are read.
    ///
    /// # Errors
    /// The directory is away.
    pub async fn begin(store: SessionStore, switchboard: Switchboard) -> Result<Self, DirectoryError> {
        let mut follower = Self { store, switchboard, seen: 0, away: false, looks: 0 };
        follower.begin_anew().await?;
        Ok(follower)
    }

    async fn begin_anew(&mut self) -> Result<(), DirectoryError> {
        let before = self.store.now();
        let directory = &self.store.inner().directory;
        let newest = directory.changes.newest().await?;
        // From here on nothing in memory counts: all of it is read again when it is asked for.
        self.store.distrust();
        let from = self.epochs_from();
        let revoked = directory.changes.revoked(from).await?;
        let off = directory.switches.off().await?;
        let cut_overs = directory.cut_overs.all().await?;
        {
            let mut epochs = lock(&self.store.inner().epochs);
            epochs.clear();
            for (number, change) in &revoked {
                if let Change::Revoked(which) = change {
                    epochs.add(which, *number);
                }
            }
        }
        self.switchboard.replace(off, cut_overs);
        self.seen = newest;
        self.store.refreshed_at(before);
        Ok(())
    }

    /// Epochs older than any session that may still be good end nothing.
    fn epochs_from(&self) -> Timestamp {
        self.store.wall().minus(self.store.limits().absolute).minus(CLOCKS_DIFFER)
    }

    /// Follows until it is dropped.
    pub async fn run(mut self) {
        let changes = self.store.inner().directory.changes.clone();
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = changes.hint() => {}
            }
            let result = self.catch_up().await;
            self.store.set_away(result.is_err());
            match result {
                Ok(()) if self.away => {
                    self.away = false;
                    tracing::info!("the directory database is back");
                }
                Err(error) if !self.away => {
                    self.away = true;
                    let bound = self.store.inner().bound;
                    tracing::error!(
                        error = error_chain(&error),
                        "the directory database is away; sessions in memory are served for {bound:?} more, then requests get 503"
                    );
                }
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// Takes in everything that is new.
    ///
    /// # Errors
    /// The directory is away.
    pub async fn catch_up(&mut self) -> Result<(), DirectoryError> {
        self.store.finish_endings().await;
        let directory = self.store.inner().directory.clone();
        loop {
            let before = self.store.now();
            let changes = directory.changes.since(self.seen, CHANGES).await?;
            let more = changes.len() == CHANGES as usize;
            for (number, change) in changes {
                if number != self.seen + 1 {
                    // What came in between is forgotten there.
                    return self.begin_anew().await;
                }
                self.take_in(number, change).await?;
                self.seen = number;
            }
            self.looks = self.looks.wrapping_add(1);
            if !more && self.looks.is_multiple_of(COMPARE_EVERY) && directory.changes.newest().await? < self.seen {
                // The database is an older one than before: a backup, or the survivor of a fail-over.
                tracing::warn!("the directory database has lost changes: sessions are read again");
                return self.begin_anew().await;
            }
            if !more {
                self.store.refreshed_at(before);
                return Ok(());
            }
        }
    }

    async fn take_in(&self, number: i64, change: Change) -> Result<(), DirectoryError> {
        match change {
            Change::CookieEnded(key) => self.store.end_cookie_here(&SessionKey::from(key)),
            // Read again when it is next asked for.
            Change::CookieRenewed(key, version) => self.store.outdated(&SessionKey::from(key), version),
            Change::Revoked(which) => self.store.revoke_here(&which, number),
            Change::Switched(switch) => self.switchboard.set(&switch),
            Change::CutOver(domain) => {
                let cut_over = self.store.inner().directory.cut_overs.of(&domain).await?;
                self.switchboard.set_cut_over(&domain, cut_over);
            }
        }
        Ok(())
    }
}

/// Writes uses and forgets what is over, until it is dropped.
pub async fn look_after(store: SessionStore) {
    let mut write = tokio::time::interval(WRITE_EVERY);
    let mut tidy = tokio::time::interval(TIDY_EVERY);
    loop {
        tokio::select! {
            _ = write.tick() => write_uses(&store).await,
            _ = tidy.tick() => forget(&store).await,
        }
    }
}

/// Writes the uses that the directory does not know of yet. What it does not take waits for the next time.
pub async fn write_uses(store: &SessionStore) {
    let mut uses = store.take_uses();
    while !uses.is_empty() {
        let rest = uses.split_off(uses.len().min(USES));
        if store.inner().directory.sessions.used(&uses).await.is_err() {
            uses.extend(rest);
            store.put_back(uses);
            return;
        }
        uses = rest;
    }
}

/// Forgets what is over, a little at a time: another request may wait for the same database.
pub async fn forget(store: &SessionStore) {
    let directory = &store.inner().directory;
    let now = store.wall();
    let limits = store.limits();
    let slack = CLOCKS_DIFFER;
    let (created, used) = (now.minus(limits.absolute).minus(slack), now.minus(limits.idle).minus(slack));
    let (changes, epochs) = (now.minus(CHANGES_KEPT), created.minus(slack));
    let result = async {
        while directory.sessions.purge(created, used, TIDIED).await? > 0 {}
        while directory.once.purge(now.minus(slack)).await? > 0 {}
        while directory.kept.purge(now.minus(slack)).await? > 0 {}
        while directory.changes.purge(changes, epochs).await? > 0 {}
        Ok::<(), DirectoryError>(())
    };
    if let Err(error) = result.boxed().await {
        tracing::warn!(error = error_chain(&error), "cannot forget what is over; trying again in five minutes");
    }
}

//! Which session a cookie leads to: by memory alone (`find`), or by the directory's word (`fetch`).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use moka::Entry;
use moka::ops::compute::Op;
use tokio::sync::SemaphorePermit;

use crate::base::clock::Tick;
use crate::directory::DirectoryError;

use super::hosts::HostScope;
use super::tokens::{HeldTokens, ProviderTokens};
use super::{Ending, Session, SessionKey, SessionStore};

/// Look-ups in the directory at a time; a flood of unknown cookies waits, others do not.
pub(super) const LOOKUPS: usize = 64;
/// How often a row is read at most that was old when it came: a session is renewed once in ten seconds.
const READS: usize = 3;
/// How long one waits for its turn.
const LONGEST_TURN: Duration = Duration::from_secs(1);

/// What a cookie's key leads to in memory.
pub enum Found {
    Good(Arc<Session>),
    /// It was ended: signed out or revoked.
    Ended,
    /// None, and nobody needs to be asked.
    Unknown,
    /// Not known here, or not for certain: [`SessionStore::fetch`].
    Ask,
}

impl SessionStore {
    /// The session of `key` on `host`, if memory can tell; marks it as used.
    pub fn find(&self, key: &SessionKey, host: &str, now: Tick) -> Found {
        let Some(session) = self.0.live.get(key) else {
            return if self.0.ended.contains_key(key) { Found::Ended } else { Found::Ask };
        };
        match session.check(&self.0.limits, now) {
            Ok(()) if !self.0.hosts.counts(session.host(), host) => Found::Unknown,
            Ok(()) if !self.is_fresh(now) => Found::Ask,
            Ok(()) => {
                self.used(key, &session, now);
                Found::Good(session)
            }
            Err(Ending::Ended) => Found::Ended,
            // It may have been used through another process meanwhile.
            Err(Ending::Idle | Ending::Replaced) => Found::Ask,
            Err(Ending::Absolute) => {
                self.0.live.invalidate(key);
                Found::Unknown
            }
        }
    }

    /// The session of `key` on `host` by the directory's word; marks it as used.
    ///
    /// # Errors
    /// The directory is away: nobody knows.
    pub async fn fetch(&self, key: &SessionKey, host: &str) -> Result<Found, DirectoryError> {
        let found = self.look_up(key).await?;
        let now = self.now();
        let Some(session) = found else {
            return Ok(if self.0.ended.contains_key(key) { Found::Ended } else { Found::Unknown });
        };
        if !self.0.hosts.counts(session.host(), host) {
            return Ok(Found::Unknown);
        }
        self.used(key, &session, now);
        Ok(Found::Good(session))
    }

    /// The session of `key`, good on whatever host; does not count as use.
    ///
    /// # Errors
    /// The directory is away.
    pub async fn look_up(&self, key: &SessionKey) -> Result<Option<Arc<Session>>, DirectoryError> {
        let now = self.now();
        if let Some(session) = self.0.live.get(key)
            && self.is_fresh(now)
            && session.check(&self.0.limits, now).is_ok()
        {
            return Ok(Some(session));
        }
        let _turn = self.turn().await?;
        for _ in 0..READS {
            let told = self.0.renewed.get(key);
            let Some((row, host)) = self.0.directory.sessions.by_cookie(key.bytes()).await? else {
                self.gone(key, now);
                return Ok(None);
            };
            let Some(scope) = self.0.hosts.written(&host) else { return Ok(None) };
            if self.0.serves.as_ref().is_some_and(|serves| !serves(&row.identity)) {
                return Ok(None);
            }
            if let Some(told) = told.filter(|told| row.version < *told) {
                // This was read after the news: the directory knows better.
                self.forget_news(key, told);
            }
            // The configuration may have changed since: headers that do not fit any more mean a new sign-in.
            let Ok(session) = self.keep(key, &row, scope) else { return Ok(None) };
            match session.check(&self.0.limits, self.now()) {
                Ok(()) => return Ok(Some(session)),
                // News came meanwhile. That is no reason to sign anybody out.
                Err(Ending::Replaced) => {}
                Err(_) => return Ok(None),
            }
        }
        Err(DirectoryError::Unavailable("the session changes faster than it can be read".into()))
    }

    /// The directory does not know the session of `key` (any more).
    fn gone(&self, key: &SessionKey, now: Tick) {
        match self.0.live.get(key) {
            // Past its limits, and forgotten.
            Some(session) if matches!(session.check(&self.0.limits, now), Err(Ending::Idle | Ending::Absolute)) => {
                self.0.live.invalidate(key);
            }
            Some(session) => self.end_here(key, &session),
            None => {}
        }
    }

    /// Forgets that the session of `key` was said to be of the version `told`, unless there is newer news.
    fn forget_news(&self, key: &SessionKey, told: i64) {
        let same = |entry: Option<Entry<SessionKey, i64>>| entry.is_some_and(|entry| *entry.value() == told);
        self.0.renewed.entry(*key).and_compute_with(|entry| if same(entry) { Op::Remove } else { Op::Nop });
    }

    /// A turn to ask the directory. While it is away nobody waits but one at a time, who finds out whether it is back.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, DirectoryError> {
        let busy = |why: &'static str| DirectoryError::Unavailable(why.into());
        if self.0.away.load(Ordering::Relaxed) {
            return self.0.probing.try_acquire().map_err(|_| busy("it was away a moment ago"));
        }
        let turn = tokio::time::timeout(LONGEST_TURN, self.0.looking.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or_else(|| busy("too many look-ups wait for it"))
    }

    /// Says whether the directory answers.
    pub(super) fn set_away(&self, away: bool) {
        self.0.away.store(away, Ordering::Relaxed);
    }

    /// What the provider gave for the session that `key` leads to. None: no session, nothing, or sealed with a key that is
    /// retired.
    ///
    /// # Errors
    /// The directory is away.
    pub async fn tokens(&self, key: &SessionKey) -> Result<Option<HeldTokens>, DirectoryError> {
        let Some((row, _)) = self.inner().directory.sessions.by_cookie(key.bytes()).await? else { return Ok(None) };
        let tokens = row.secrets.as_deref().and_then(|s| ProviderTokens::open(row.reference, s, &self.inner().sealer));
        Ok(tokens.map(|tokens| HeldTokens { tokens, provider_sid: row.provider_sid }))
    }

    /// The record that goes on for one that was replaced.
    pub fn successor(&self, key: &SessionKey) -> Option<Arc<Session>> {
        self.0.live.get(key)
    }

    /// Whether memory is as new as `sessions.revocation_bound` asks.
    pub fn is_fresh(&self, now: Tick) -> bool {
        now.since(Tick::from_millis(self.0.refreshed.load(Ordering::Acquire))) < self.0.bound
    }

    pub(super) fn refreshed_at(&self, at: Tick) {
        self.0.refreshed.store(at.millis(), Ordering::Release);
    }

    /// Whether the session's cookie counts on `host` (E11).
    pub fn counts_on(&self, session: &Session, host: &str) -> bool {
        self.0.hosts.counts(session.host(), host)
    }

    /// Where a cookie set on `host` counts. None: no host of ours.
    pub fn scope(&self, host: &str) -> Option<HostScope> {
        self.0.hosts.of(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{Clock, Timestamp};
    use crate::base::random;
    use crate::directory::{Directory, Lease, Renewed};
    use crate::session::tests::Process;
    use uuid::Uuid;

    const HOST: &str = "app.example.com";

    async fn process() -> Process {
        let clock = Clock::manual(Timestamp::from_secs(1_800_000_000));
        Process::start(&Directory::in_memory(), &clock).await
    }

    /// A process that lost its claim guesses what another one has made of the session meanwhile.
    #[tokio::test]
    async fn news_that_the_directory_does_not_know_of_sign_nobody_out() {
        let process = process().await;
        let (id, _) = process.sign_in().await;
        process.store.outdated(&id.key(), 1);
        assert!(matches!(process.store.find(&id.key(), HOST, process.store.now()), Found::Ask));
        assert!(matches!(process.store.fetch(&id.key(), HOST).await, Ok(Found::Good(_))));
        assert!(matches!(process.store.find(&id.key(), HOST, process.store.now()), Found::Good(_)));
        // News that are newer than the row stay.
        process.store.outdated(&id.key(), 2);
        process.store.forget_news(&id.key(), 1);
        assert_eq!(process.store.0.renewed.get(&id.key()), Some(2));
        process.store.forget_news(&id.key(), 2);
        assert_eq!(process.store.0.renewed.get(&id.key()), None);
    }

    /// Another process renews, and the news of it come while the row is read that they are about.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whoever_is_looked_up_while_news_come_is_signed_in() {
        let process = process().await;
        let (id, reference) = process.sign_in().await;
        let (key, store) = (id.key(), process.store.clone());
        let renewing = {
            let (store, now) = (store.clone(), process.clock.now());
            tokio::spawn(async move {
                for version in 0..3_000 {
                    let owner = Uuid::from_bytes(random::bytes());
                    let sessions = &store.0.directory.sessions;
                    let Ok(Lease::Taken(row)) = sessions.lease(reference, version, owner, now, now).await else {
                        panic!("{version}")
                    };
                    let renewed = Renewed {
                        identity: row.identity.clone(),
                        auth_time: None,
                        acr: None,
                        amr: vec![],
                        secrets: None,
                        renew_at: None,
                    };
                    assert!(sessions.renewed(reference, owner, &renewed, now).await.unwrap());
                    store.outdated(&key, version + 1);
                    tokio::task::yield_now().await;
                }
            })
        };
        while !renewing.is_finished() {
            // Nobody renews that fast: it may be too fast for the reader, who then says so.
            if let Ok(found) = store.look_up(&key).await {
                assert!(found.is_some(), "signed out");
            }
        }
        renewing.await.unwrap();
        assert_eq!(store.look_up(&key).await.unwrap().unwrap().version(), 3_000);
    }
}

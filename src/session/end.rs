//! Endings: durable and for every process first; and if the directory is away, in this process at once and there as
//! soon as it is back. Whoever asked for it is told the difference.

use std::sync::Arc;

use uuid::Uuid;

use crate::base::clock::Timestamp;
use crate::base::id::Id;
use crate::directory::{DirectoryError, Ended, OnceKind, Selector};

use super::epochs::Epochs;
use super::store::lock;
use super::{Session, SessionKey, SessionStore};

/// Endings that wait for the directory at most. Beyond it the oldest is given up: it was answered with an error.
const MAX_UNFINISHED: usize = 10_000;

impl SessionStore {
    /// Ends the sessions that `which` selects, here at once and in other processes within the revocation bound. With
    /// `once`, only if that id was never used before (L06).
    ///
    /// # Errors
    /// The directory is away. The sessions that are in this process's memory have ended all the same, and the rest is
    /// tried again until the directory is back, as long as this process lives.
    pub async fn end(
        &self,
        which: &Selector,
        once: Option<(OnceKind, &str, Timestamp)>,
    ) -> Result<Ended, DirectoryError> {
        let result = self.inner().directory.sessions.end(which, once, self.wall()).await;
        match &result {
            Ok(ended) if ended.replayed => {}
            Ok(ended) => {
                ended.cookies.iter().for_each(|key| self.end_cookie_here(&SessionKey::from(*key)));
                self.revoke_here(which, ended.number);
                // Also what the directory does not know any more.
                if let Selector::Cookie(key) = which {
                    self.end_cookie_here(&SessionKey::from(*key));
                }
            }
            Err(_) => self.end_without_directory(which).await,
        }
        result
    }

    /// Deactivates the user `user`, whose sessions end as with [`end`](Self::end). None: there is no such user.
    ///
    /// # Errors
    /// The directory is away: who has the user's sessions in this process's memory is signed out all the same.
    pub async fn deactivate(&self, user: Uuid, release_address: bool) -> Result<Option<Ended>, DirectoryError> {
        let result = self.inner().directory.users.deactivate(user, release_address, self.wall()).await;
        self.user_ended(user, result).await
    }

    /// Forgets what `connector` calls the user `user`, whose sessions end. None: nothing to forget.
    ///
    /// # Errors
    /// As with [`deactivate`](Self::deactivate).
    pub async fn unlink(&self, user: Uuid, connector: &Id) -> Result<Option<Ended>, DirectoryError> {
        let result = self.inner().directory.users.unlink(user, connector, self.wall()).await;
        self.user_ended(user, result).await
    }

    async fn user_ended(
        &self,
        user: Uuid,
        result: Result<Option<Ended>, DirectoryError>,
    ) -> Result<Option<Ended>, DirectoryError> {
        let which = Selector::User(user);
        match &result {
            Ok(Some(ended)) => {
                ended.cookies.iter().for_each(|key| self.end_cookie_here(&SessionKey::from(*key)));
                self.revoke_here(&which, ended.number);
            }
            Ok(None) => {}
            Err(_) => self.end_without_directory(&which).await,
        }
        result
    }

    /// Ends what memory has, and remembers to end the rest.
    async fn end_without_directory(&self, which: &Selector) {
        let which = match which {
            // One cookie of a session stands for all of them. One that leads nowhere is no reason to remember anything: a
            // stranger may have made it up.
            Selector::Cookie(key) => match self.known(&SessionKey::from(*key)).await {
                Some(session) => Selector::Reference(session.reference()),
                None => return,
            },
            which => which.clone(),
        };
        {
            let mut unfinished = lock(&self.inner().unfinished);
            if unfinished.len() >= MAX_UNFINISHED {
                unfinished.remove(0);
            }
            // First, so that what is read from the directory at this moment is held against it.
            unfinished.push(which.clone());
        }
        self.end_where(|session| Epochs::fits(&which, session));
    }

    /// The session of `key` in memory, or in a directory that can be read though not written.
    async fn known(&self, key: &SessionKey) -> Option<Arc<Session>> {
        match self.successor(key) {
            Some(session) => Some(session),
            None => self.look_up(key).await.ok()?,
        }
    }

    /// Tries the endings again that the directory has not taken yet.
    pub(super) async fn finish_endings(&self) {
        loop {
            let Some(which) = lock(&self.inner().unfinished).first().cloned() else { return };
            if self.inner().directory.sessions.end(&which, None, self.wall()).await.is_err() {
                return;
            }
            let mut unfinished = lock(&self.inner().unfinished);
            if unfinished.first() == Some(&which) {
                unfinished.remove(0);
            }
        }
    }

    /// Takes in an epoch: what begun before `number` ends.
    pub(super) fn revoke_here(&self, which: &Selector, number: i64) {
        if !which.is_epoch() {
            return;
        }
        lock(&self.inner().epochs).add(which, number);
        self.end_where(|session| session.born() < number && Epochs::fits(which, session));
    }

    /// Ends `session` in this process: for every core at once.
    pub(super) fn end_here(&self, key: &SessionKey, session: &Session) {
        session.end();
        self.end_cookie_here(key);
    }

    /// The cookie leads nowhere any more: here.
    pub(super) fn end_cookie_here(&self, key: &SessionKey) {
        // The mark first: who puts a session there at this moment looks for it afterwards.
        self.0.ended.insert(*key, ());
        if let Some(session) = self.0.live.remove(key) {
            session.end();
        }
    }

    /// Ends those sessions in memory that `which` fits.
    pub(super) fn end_where(&self, which: impl Fn(&Session) -> bool) {
        for (key, session) in &self.0.live {
            if which(&session) {
                self.end_here(&key, &session);
            }
        }
    }

    /// A renewal elsewhere made what is known of `key` here old: it is read again when it is asked for.
    pub(super) fn outdated(&self, key: &SessionKey, version: i64) {
        self.0.renewed.insert(*key, version);
        if let Some(session) = self.0.live.get(key)
            && session.version() < version
        {
            session.replace();
        }
    }

    /// Memory is not to be trusted any more: everything is read again when it is asked for.
    pub(super) fn distrust(&self) {
        for (_, session) in &self.0.live {
            session.replace();
        }
    }
}

//! What puts a session into memory: its beginning, and what the directory has of it by now.

use std::sync::Arc;

use uuid::Uuid;

use crate::directory::{Created, Creation, DirectoryError, LinkRefused, Linking, Merged, NewCookie, SessionRow};
use crate::identity::Person;
use crate::identity::headers::HeaderTooLong;

use super::hosts::HostScope;
use super::store::lock;
use super::tokens::ProviderTokens;
use super::{Ending, Session, SessionHeaders, SessionId, SessionKey, SessionRef, SessionStore};

/// A session that begins.
pub struct NewSession {
    /// As [`SessionRow`]; `created_at`, `last_used`, `version` and `secrets` are set here, and `born` is a bound: what was
    /// revoked after it is over before it begins.
    pub row: SessionRow,
    pub tokens: ProviderTokens,
    /// What is known beside it of whose it is.
    pub linking: Linking,
}

/// A session has begun.
pub struct Begun {
    /// The cookie.
    pub id: SessionId,
    pub reference: SessionRef,
    /// The id of the person's record.
    pub user: Uuid,
    /// An application's own user became this person: a tombstone for that user is due.
    pub merged: Option<Merged>,
}

/// A session could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    #[error(transparent)]
    HeaderTooLong(#[from] HeaderTooLong),
    #[error(transparent)]
    Refused(#[from] LinkRefused),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl SessionStore {
    /// Puts the directory's `row` into memory, over what is there of an older version.
    ///
    /// # Errors
    /// The identity fits into no header: there is no session here then (X09).
    pub fn keep(&self, key: &SessionKey, row: &SessionRow, host: HostScope) -> Result<Arc<Session>, HeaderTooLong> {
        let headers = self.headers(row)?;
        let kept = {
            let _one = lock(&self.0.keeping);
            let old = self.0.live.get(key).filter(|old| old.reference() == row.reference);
            let new = Arc::new(Session::new(row, headers, host, old.as_deref(), &self.0.clock));
            if self.0.renewed.get(key).is_some_and(|least| row.version < least) {
                new.replace();
            }
            if self.is_over(key, &new, row) {
                // Signed out while it was renewed, say: not good for a moment.
                new.end();
            }
            match old {
                Some(old)
                    if old.version() >= row.version
                        && old.check(&self.0.limits, self.now()) != Err(Ending::Replaced) =>
                {
                    old.used_as(&new);
                    old
                }
                Some(old) if old.go_on(&new) => old,
                old => {
                    self.0.live.insert(*key, new.clone());
                    if let Some(old) = old {
                        new.used_as(&old);
                        old.replace();
                    }
                    new
                }
            }
        };
        // Its ending, or a newer row, may have come between reading this one and here: then nobody else would find it.
        if self.0.renewed.get(key).is_some_and(|least| kept.version() < least) {
            kept.replace();
        }
        if self.is_over(key, &kept, row) {
            self.end_here(key, &kept);
        }
        Ok(kept)
    }

    fn headers(&self, row: &SessionRow) -> Result<SessionHeaders, HeaderTooLong> {
        let SessionRow { identity, user, auth, .. } = row;
        let ready = |native_user| self.0.plan.ready(Person { identity, user: *user, native_user }, *auth);
        let native = row.native.iter().map(|native| Ok((native.app.clone(), ready(Some(&native.id))?)));
        Ok(SessionHeaders { general: ready(None)?, native: native.collect::<Result<_, _>>()? })
    }

    /// Whether an ending that this process knows of is the session's.
    fn is_over(&self, key: &SessionKey, session: &Session, row: &SessionRow) -> bool {
        // Those that the directory has not taken yet count here already.
        self.0.ended.contains_key(key)
            || lock(&self.0.epochs).end(session, &row.provider_sub)
            || lock(&self.0.unfinished).iter().any(|which| which.fits(row))
    }

    /// Makes a session, durable when this returns; the id is the cookie for `host`.
    ///
    /// # Errors
    /// The identity fits into no header (X09), the person may not sign in, or the directory is away: there is no session
    /// then.
    pub async fn create(&self, new: NewSession, host: HostScope) -> Result<Begun, CreateError> {
        let NewSession { mut row, tokens, linking } = new;
        drop(self.headers(&row)?);
        let now = self.0.clock.now();
        (row.created_at, row.last_used, row.version) = (now, now, 0);
        row.secrets = tokens.seal(row.reference, &self.0.sealer);
        let id = SessionId::generate();
        let cookie = NewCookie { key: *id.key().bytes(), host: self.0.hosts.name(host).to_owned() };
        let created = match self.0.directory.sessions.create(&row, &cookie, &linking).await? {
            Creation::Created(created) => created,
            Creation::Refused(refused) => return Err(refused.into()),
        };
        let Created { born, user, native, merged } = created;
        (row.born, row.user, row.native) = (born, user, native);
        for key in merged.iter().flat_map(|merged| &merged.cookies) {
            self.end_cookie_here(&SessionKey::from(*key));
        }
        self.keep(&id.key(), &row, host)?;
        Ok(Begun { id, reference: row.reference, user, merged })
    }

    /// One more cookie for a session, for another host. None: the session is gone.
    ///
    /// # Errors
    /// The directory is away.
    pub async fn add_cookie(&self, reference: Uuid, host: HostScope) -> Result<Option<SessionId>, DirectoryError> {
        let id = SessionId::generate();
        let cookie = NewCookie { key: *id.key().bytes(), host: self.0.hosts.name(host).to_owned() };
        Ok(self.0.directory.sessions.add_cookie(reference, &cookie, self.0.clock.now()).await?.then_some(id))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::time::Duration;

    use super::*;
    use crate::base::clock::{Clock, Timestamp};
    use crate::directory::{Directory, Selector};
    use crate::session::Found;
    use crate::session::tests::{Process, row};

    const HOST: &str = "app.example.com";
    const HOUR: Duration = Duration::from_secs(3600);

    /// A process, a cookie of a session whose renewal is due, and what the directory would have of it.
    async fn due() -> (Process, SessionKey, SessionRow, Arc<Session>) {
        let clock = Clock::manual(Timestamp::from_secs(1_800_000_000));
        let process = Process::start(&Directory::in_memory(), &clock).await;
        let row = SessionRow { renew_at: Some(clock.now()), ..row(&clock) };
        let (key, kept) = kept(&process, &row);
        clock.advance(Duration::from_secs(2));
        (process, key, row, kept)
    }

    /// As [`SessionStore::keep`], for a new cookie.
    fn kept(process: &Process, row: &SessionRow) -> (SessionKey, Arc<Session>) {
        let key = SessionId::generate().key();
        (key, keep(process, &key, row))
    }

    fn keep(process: &Process, key: &SessionKey, row: &SessionRow) -> Arc<Session> {
        process.store.keep(key, row, process.store.scope(HOST).unwrap()).unwrap()
    }

    fn check(process: &Process, session: &Session) -> Result<(), Ending> {
        session.check(process.store.limits(), process.store.now())
    }

    fn renewed(row: &SessionRow, clock: &Clock) -> SessionRow {
        SessionRow { version: row.version + 1, renew_at: Some(clock.now().plus(HOUR)), ..row.clone() }
    }

    #[tokio::test]
    async fn a_renewal_of_tokens_alone_leaves_the_record_where_it_is_and_one_of_claims_does_not() {
        let (process, key, row, held) = due().await;
        let tokens = renewed(&row, &process.clock);
        assert!(Arc::ptr_eq(&keep(&process, &key, &tokens), &held));
        assert_eq!((held.version(), check(&process, &held)), (1, Ok(())));
        let mut claims = renewed(&tokens, &process.clock);
        claims.identity.groups.push("new".to_owned());
        let next = keep(&process, &key, &claims);
        assert_eq!((check(&process, &held), check(&process, &next)), (Err(Ending::Replaced), Ok(())));
        assert_eq!(next.identity().groups, ["new"]);
    }

    #[tokio::test]
    async fn what_was_read_before_a_renewal_does_not_make_a_record_good_again() {
        let (process, key, row, held) = due().await;
        let (first, second) = (renewed(&row, &process.clock), renewed(&renewed(&row, &process.clock), &process.clock));
        process.store.outdated(&key, 2);
        assert_eq!(check(&process, &held), Err(Ending::Replaced));
        assert_eq!(check(&process, &keep(&process, &key, &first)), Err(Ending::Replaced));
        assert_eq!(check(&process, &keep(&process, &key, &second)), Ok(()));
    }

    #[tokio::test]
    async fn a_session_that_ended_while_it_was_renewed_stays_ended() {
        let (process, key, row, held) = due().await;
        process.store.end_cookie_here(&key);
        let kept = keep(&process, &key, &renewed(&row, &process.clock));
        assert_eq!((check(&process, &kept), check(&process, &held)), (Err(Ending::Ended), Err(Ending::Ended)));
        assert!(matches!(process.store.find(&key, HOST, process.store.now()), Found::Ended));

        // The same for one that an epoch ends which the record was made before.
        let (key, held) = self::kept(&process, &SessionRow { born: 1, ..row.clone() });
        let next = renewed(&SessionRow { born: 1, ..row }, &process.clock);
        process.store.revoke_here(&Selector::All, 2);
        let kept = keep(&process, &key, &next);
        assert_eq!((check(&process, &kept), check(&process, &held)), (Err(Ending::Ended), Err(Ending::Ended)));
    }

    /// Another process was faster, and this one hears of it before its own attempt has come to its end.
    #[tokio::test]
    async fn an_attempt_that_comes_too_late_does_not_bring_the_next_renewal_forward() {
        let (mut process, key, row, held) = due().await;
        let now = process.store.now();
        let soon = now.plus(Duration::from_secs(10));
        process.store.used(&key, &held, now);
        let claimed = process.due.0.try_recv().unwrap();
        process.store.put_off(&claimed, Some(soon));
        assert!(held.is_renewal_due(soon), "the honest twin: nobody renewed it meanwhile");

        process.clock.advance(Duration::from_secs(10));
        process.store.used(&key, &held, soon);
        let claimed = process.due.0.try_recv().unwrap();
        keep(&process, &key, &renewed(&row, &process.clock));
        process.store.put_off(&claimed, Some(soon));
        assert!(!held.is_renewal_due(soon.plus(Duration::from_secs(60))));
        assert!(held.is_renewal_due(soon.plus(HOUR)));
    }

    /// Each in the same moment: a row is kept, and what is newer than it is told of.
    #[tokio::test]
    async fn of_a_row_and_the_news_that_it_is_old_the_news_is_the_last_word() {
        let (process, _, row, _) = due().await;
        let next = renewed(&row, &process.clock);
        for round in 0..2_000 {
            let (key, held) = kept(&process, &row);
            let together = Barrier::new(2);
            let last = std::thread::scope(|threads| {
                threads.spawn(|| {
                    together.wait();
                    process.store.outdated(&key, 2);
                });
                together.wait();
                keep(&process, &key, &next)
            });
            let told = check(&process, &last);
            assert_eq!((told, last.version()), (Err(Ending::Replaced), 1), "round {round}");
            assert_ne!(check(&process, &held), Ok(()), "round {round}");
        }
    }

    /// Each in the same moment: a session is renewed, and signed out.
    #[tokio::test]
    async fn of_a_renewal_and_an_ending_the_ending_is_the_last_word() {
        let (process, _, row, _) = due().await;
        let next = renewed(&row, &process.clock);
        for round in 0..2_000 {
            let (key, held) = kept(&process, &row);
            if round % 2 == 0 {
                held.replace();
            }
            let together = Barrier::new(2);
            let last = std::thread::scope(|threads| {
                threads.spawn(|| {
                    together.wait();
                    process.store.end_cookie_here(&key);
                });
                together.wait();
                keep(&process, &key, &next)
            });
            assert_eq!(check(&process, &last), Err(Ending::Ended), "round {round}");
            assert!(matches!(process.store.find(&key, HOST, process.store.now()), Found::Ended), "round {round}");
        }
    }
}

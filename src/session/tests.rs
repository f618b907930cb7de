//! The store as a whole, in front of a directory in memory.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::base::clock::{Clock, Timestamp};
use crate::base::email::EmailAddress;
use crate::base::keys::KeyRing;
use crate::base::seal::Sealer;
use crate::directory::{Change, Directory, Linking, Selector, SessionRow, Switchboard};
use crate::identity::Identity;
use crate::identity::headers::{AuthMethod, HeaderPlan};

const HOUR: Duration = Duration::from_secs(3600);
const HOST: &str = "app.example.com";

/// What a directory would hold of somebody who signs in now.
pub(crate) fn row(clock: &Clock) -> SessionRow {
    let identity = Identity {
        connector: "acme".parse().unwrap(),
        subject: "1".into(),
        email: "alice@acme.com".parse::<EmailAddress>().unwrap(),
        preferred_username: None,
        name: None,
        groups: vec![],
        role: None,
    };
    SessionRow {
        reference: Uuid::from_bytes(crate::base::random::bytes()),
        user: identity.user_id(),
        native: vec![],
        identity,
        auth: AuthMethod::Oidc,
        provider_sub: "sub-1".into(),
        provider_sid: None,
        auth_time: None,
        acr: None,
        amr: vec![],
        created_at: clock.now(),
        last_used: clock.now(),
        renew_at: None,
        ends_at: None,
        secrets: None,
        version: 0,
        born: i64::MAX,
    }
}

/// A session that is in no store.
pub(crate) fn session(row: &SessionRow, clock: &Clock) -> Session {
    Session::new(row, SessionHeaders::default(), HostScope::Shared, None, clock)
}

/// One process of a deployment.
pub(super) struct Process {
    pub(super) store: SessionStore,
    follower: Follower,
    pub(super) clock: Clock,
    pub(super) due: DueRenewals,
    _dir: tempfile::TempDir,
}

impl Process {
    pub(super) async fn start(directory: &Directory, clock: &Clock) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keys = Arc::new(KeyRing::open(dir.path(), Duration::ZERO, clock.clone()).unwrap());
        let plan =
            Arc::new(HeaderPlan::new(&crate::config::Identity { presets: vec![], custom: vec![], assertion: None }));
        let (store, due) = SessionStore::new(StoreParts {
            directory: directory.clone(),
            limits: Limits { idle: HOUR, absolute: 4 * HOUR },
            bound: Duration::from_secs(5),
            hosts: Hosts::new([HOST, "other.example.com"].into_iter(), None),
            silent: std::collections::BTreeMap::new(),
            plan,
            sealer: Sealer::new(keys),
            serves: None,
            clock: clock.clone(),
        });
        let follower = Follower::begin(store.clone(), Switchboard::default()).await.unwrap();
        Self { store, follower, clock: clock.clone(), due, _dir: dir }
    }

    pub(super) async fn sign_in(&self) -> (SessionId, SessionRef) {
        let tokens = ProviderTokens::default();
        let new = NewSession { row: row(&self.clock), tokens, linking: Linking::default() };
        let begun = self.store.create(new, self.store.scope(HOST).unwrap()).await.unwrap();
        (begun.id, begun.reference)
    }

    /// What a request with the cookie gets.
    async fn ask(&self, id: &SessionId, host: &str) -> &'static str {
        let found = match self.store.find(&id.key(), host, self.store.now()) {
            Found::Ask => self.store.fetch(&id.key(), host).await.unwrap(),
            found => found,
        };
        match found {
            Found::Good(_) => "good",
            Found::Ended => "ended",
            Found::Unknown => "unknown",
            Found::Ask => "ask",
        }
    }
}

async fn two() -> (Process, Process, Clock, Directory) {
    let clock = Clock::manual(Timestamp::from_secs(1_800_000_000));
    let directory = Directory::in_memory();
    (Process::start(&directory, &clock).await, Process::start(&directory, &clock).await, clock, directory)
}

#[tokio::test]
async fn an_unused_session_ends_at_its_idle_limit_and_a_used_one_does_not() {
    let (one, _, clock, _) = two().await;
    let ((idle, _), (used, _)) = (one.sign_in().await, one.sign_in().await);
    clock.advance(HOUR - Duration::from_secs(1));
    assert_eq!(one.ask(&used, HOST).await, "good");
    clock.advance(Duration::from_secs(1));
    assert_eq!(one.ask(&idle, HOST).await, "unknown");
    assert_eq!(one.ask(&used, HOST).await, "good");
}

/// E08: activity every minute, and the wall clock set back by a day.
#[tokio::test]
async fn no_activity_and_no_clock_step_carries_a_session_past_its_absolute_limit() {
    let (mut one, _, clock, _) = two().await;
    let (id, _) = one.sign_in().await;
    for minute in 0..4 * 60 {
        assert_eq!(one.ask(&id, HOST).await, "good", "minute {minute}");
        clock.advance(Duration::from_secs(60));
        clock.set_wall(Timestamp::from_secs(1_800_000_000 - 86_400));
        one.follower.catch_up().await.unwrap();
    }
    assert_eq!(one.ask(&id, HOST).await, "unknown");
}

#[tokio::test]
async fn an_ended_session_is_seen_as_ended_by_whoever_still_holds_it() {
    let (one, _, clock, _) = two().await;
    let ((id, _), (other, _)) = (one.sign_in().await, one.sign_in().await);
    let held = one.store.look_up(&id.key()).await.unwrap().unwrap();
    let ended = one.store.end(&Selector::Cookie(*id.key().bytes()), None).await.unwrap();
    assert_eq!(ended.sessions.len(), 1);
    assert_eq!(held.check(one.store.limits(), clock.tick()), Err(Ending::Ended));
    assert_eq!(one.ask(&id, HOST).await, "ended");
    assert_eq!(
        one.store.end(&Selector::Cookie(*id.key().bytes()), None).await.unwrap().sessions.len(),
        0,
        "ended once"
    );
    assert_eq!(one.ask(&other, HOST).await, "good", "only that one ends");
}

/// T30, T31: what one process made, another serves; and so does the same one after a restart.
#[tokio::test]
async fn a_session_is_good_in_every_process_and_outlives_its_own() {
    let (one, two, clock, directory) = two().await;
    let (id, reference) = one.sign_in().await;
    drop(one);
    assert_eq!(two.ask(&id, HOST).await, "good");
    clock.advance(HOUR / 2);
    let later = Process::start(&directory, &clock).await;
    assert_eq!(later.ask(&id, HOST).await, "good");
    let session = later.store.look_up(&id.key()).await.unwrap().unwrap();
    assert_eq!(session.reference(), reference);
    assert_eq!(session.remaining(later.store.limits(), later.store.now()).1, 4 * HOUR - HOUR / 2, "its age goes on");
}

/// L13
#[tokio::test]
async fn a_sign_out_here_is_a_sign_out_there_as_soon_as_the_changes_are_read() {
    let (mut one, mut two, ..) = two().await;
    let ((id, _), (other, _)) = (one.sign_in().await, one.sign_in().await);
    assert_eq!((two.ask(&id, HOST).await, two.ask(&other, HOST).await), ("good", "good"));
    one.store.end(&Selector::Cookie(*id.key().bytes()), None).await.unwrap();
    two.follower.catch_up().await.unwrap();
    one.follower.catch_up().await.unwrap();
    assert_eq!((one.ask(&id, HOST).await, two.ask(&id, HOST).await), ("ended", "ended"));
    assert_eq!((one.ask(&other, HOST).await, two.ask(&other, HOST).await), ("good", "good"));
}

/// Revocation that nobody heard of: past the bound memory alone lets nobody in.
#[tokio::test]
async fn a_process_that_has_not_read_the_changes_within_the_bound_asks_the_directory() {
    let (one, two, clock, _) = two().await;
    let (id, _) = one.sign_in().await;
    assert_eq!(two.ask(&id, HOST).await, "good");
    one.store.end(&Selector::Cookie(*id.key().bytes()), None).await.unwrap();
    clock.advance(Duration::from_secs(4));
    assert_eq!(two.ask(&id, HOST).await, "good", "within the bound, as documented");
    clock.advance(Duration::from_secs(1));
    assert_eq!(two.ask(&id, HOST).await, "ended");
}

/// L07, E15: everything of one person, and nothing of another.
#[tokio::test]
async fn an_epoch_ends_what_was_begun_before_it_and_nothing_after_it() {
    let (mut one, mut two, ..) = two().await;
    let ((first, _), (second, _)) = (one.sign_in().await, two.sign_in().await);
    assert_eq!((one.ask(&second, HOST).await, two.ask(&first, HOST).await), ("good", "good"));
    let which = Selector::Subject { connector: "acme".parse().unwrap(), sub: "sub-1".into() };
    let elsewhere = Selector::Subject { connector: "globex".parse().unwrap(), sub: "sub-1".into() };
    one.store.end(&elsewhere, None).await.unwrap();
    assert_eq!(one.ask(&first, HOST).await, "good", "another provider's person of that name");
    one.store.end(&which, None).await.unwrap();
    let (third, _) = two.sign_in().await;
    two.follower.catch_up().await.unwrap();
    one.follower.catch_up().await.unwrap();
    for process in [&one, &two] {
        assert_eq!((process.ask(&first, HOST).await, process.ask(&second, HOST).await), ("ended", "ended"));
        assert_eq!(process.ask(&third, HOST).await, "good");
    }
}

/// A session that was being made while its person was revoked: neither knew of the other.
#[tokio::test]
async fn an_epoch_ends_a_session_that_reaches_memory_after_it() {
    let (one, _, clock, directory) = two().await;
    let which = Selector::Email("alice@acme.com".into());
    let row = row(&clock);
    let number = directory.sessions.end(&which, None, clock.now()).await.unwrap().number;
    assert!(
        matches!(directory.changes.since(0, 10).await.unwrap().last(), Some((n, Change::Revoked(_))) if *n == number)
    );
    one.store.revoke_here(&which, number);
    let id = SessionId::generate();
    let kept = one.store.keep(&id.key(), &SessionRow { born: number - 1, ..row.clone() }, HostScope::Shared).unwrap();
    assert_eq!(kept.check(one.store.limits(), clock.tick()), Err(Ending::Ended));
    let id = SessionId::generate();
    let kept = one.store.keep(&id.key(), &SessionRow { born: number, ..row }, HostScope::Shared).unwrap();
    assert_eq!(kept.check(one.store.limits(), clock.tick()), Ok(()), "begun after it");
}

/// E11
#[tokio::test]
async fn a_cookie_of_one_host_is_nothing_on_another() {
    let (one, two, ..) = two().await;
    let (id, reference) = one.sign_in().await;
    assert_eq!(
        (one.ask(&id, "other.example.com").await, two.ask(&id, "other.example.com").await),
        ("unknown", "unknown")
    );
    assert_eq!(one.ask(&id, HOST).await, "good");
    let other = one.store.add_cookie(reference, one.store.scope("other.example.com").unwrap()).await.unwrap().unwrap();
    assert_eq!((one.ask(&other, "other.example.com").await, one.ask(&other, HOST).await), ("good", "unknown"));
    one.store.end(&Selector::Cookie(*other.key().bytes()), None).await.unwrap();
    assert_eq!(one.ask(&id, HOST).await, "ended", "one session, all hosts");
}

#[tokio::test]
async fn a_use_is_known_to_other_processes_and_to_the_next_one() {
    let (one, two, clock, directory) = two().await;
    let (id, _) = one.sign_in().await;
    for _ in 0..3 {
        clock.advance(HOUR / 2);
        assert_eq!(one.ask(&id, HOST).await, "good");
        write_uses(&one.store).await;
    }
    assert_eq!(two.ask(&id, HOST).await, "good");
    drop((one, two));
    assert_eq!(Process::start(&directory, &clock).await.ask(&id, HOST).await, "good");
    clock.advance(HOUR);
    assert_eq!(Process::start(&directory, &clock).await.ask(&id, HOST).await, "unknown");
}

#[tokio::test]
async fn what_is_over_is_forgotten_and_what_is_not_is_kept() {
    let (one, _, clock, directory) = two().await;
    let ((old, _), page) = (one.sign_in().await, crate::directory::Page { limit: 10 });
    clock.advance(3 * HOUR);
    let (new, _) = one.sign_in().await;
    forget(&one.store).await;
    assert_eq!(directory.sessions.list(&Selector::All, &page).await.unwrap().len(), 1);
    assert_eq!((one.ask(&old, HOST).await, one.ask(&new, HOST).await), ("unknown", "good"));
}

#[tokio::test]
async fn tokens_open_for_their_session_and_are_not_there_in_the_clear() {
    use secrecy::{ExposeSecret as _, SecretString};
    let (one, _, clock, directory) = two().await;
    let tokens = ProviderTokens { id_token: Some(SecretString::from("canary-id-token")), ..ProviderTokens::default() };
    let new = NewSession { row: row(&clock), tokens, linking: Linking::default() };
    let Begun { id, reference, .. } = one.store.create(new, one.store.scope(HOST).unwrap()).await.unwrap();
    let opened = one.store.tokens(&id.key()).await.unwrap().unwrap().tokens.id_token.unwrap();
    assert_eq!(opened.expose_secret(), "canary-id-token");
    let sealed = directory.sessions.by_reference(reference).await.unwrap().unwrap().secrets.unwrap();
    assert!(!sealed.windows(6).any(|bytes| bytes == b"canary"));
}

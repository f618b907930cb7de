//! One session, as this process holds it.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use uuid::Uuid;

use crate::base::clock::{Clock, Tick, Timestamp};
use crate::base::id::Id;
use crate::base::role::Role;
use crate::directory::SessionRow;
use crate::identity::headers::{AuthMethod, ReadyHeaders};
use crate::identity::{Identity, PackedIdentity};

use super::Limits;
use super::assertions::Held;
use super::assurance::Assurance;
use super::hosts::HostScope;
use super::particulars::{Particulars, SessionHeaders};

/// The public name of a session: in assertions (`sid`), logs and lists. It opens nothing.
pub type SessionRef = Uuid;

/// Why a session is no longer good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Signed out or revoked.
    Ended,
    /// Not used for `sessions.idle_timeout`, as far as this process knows.
    Idle,
    /// Older than `sessions.absolute_timeout`.
    Absolute,
    /// It goes on as another record: its person's claims were renewed.
    Replaced,
}

const LIVE: u8 = 0;
const ENDED: u8 = 1;
const REPLACED: u8 = 2;

/// A session that is never renewed.
const NEVER: u32 = u32::MAX;

/// A signed-in browser. Shared by every core; its ending flips one atomic that all of them see at once. A million of
/// them are held: `docs/benchmarks.md` counts the bytes. The provider's tokens are not here but sealed in the directory.
pub struct Session {
    reference: SessionRef,
    identity: PackedIdentity,
    headers: ReadyHeaders,
    /// The signed assertions in use, one per app. Beside the session, because whoever asks for them has it at hand.
    assertions: ArcSwapOption<Vec<Held>>,
    /// How well the person was authenticated, and who else they are.
    particulars: Option<Box<Particulars>>,
    created_at: Timestamp,
    created: Tick,
    last_used: AtomicU64,
    /// The number of the newest change when the session was created.
    born: i64,
    /// Counts renewals.
    version: AtomicU32,
    /// The use that the directory was last told of, in [`tenths`].
    noted: AtomicU32,
    /// When the next renewal is due, in [`tenths`]; [`NEVER`].
    renew_at: AtomicU32,
    /// Of the ID token's `sub` and of its `sid`: to be found by, when everything of one person or of one session at the
    /// provider ends.
    subject_hash: u64,
    provider_session_hash: u64,
    auth: AuthMethod,
    host: HostScope,
    signing: AtomicBool,
    renewing: AtomicBool,
    failures: AtomicU8,
    state: AtomicU8,
}

impl Session {
    /// The session of `row`, whose cookie counts for `host`. Times before this process are kept on its monotonic clock;
    /// `before`: the record of the same session that this one replaces, whose beginning is known there already.
    pub fn new(
        row: &SessionRow,
        headers: SessionHeaders,
        host: HostScope,
        before: Option<&Self>,
        clock: &Clock,
    ) -> Self {
        let (now, tick) = (clock.now(), clock.tick());
        let created = before.map_or_else(|| tick.minus(now.since(row.created_at)), |before| before.created);
        let ahead = |at: Timestamp| tenths(created, tick.plus(at.since(now)).minus(now.since(at)));
        let last_used = created.plus(row.last_used.since(row.created_at)).min(tick).millis();
        Self {
            reference: row.reference,
            identity: PackedIdentity::new(&row.identity),
            headers: headers.general,
            assertions: ArcSwapOption::empty(),
            particulars: Particulars::of(row, headers.native),
            created_at: row.created_at,
            created,
            last_used: AtomicU64::new(last_used),
            born: row.born,
            version: AtomicU32::new(u32::try_from(row.version).unwrap_or(u32::MAX)),
            noted: AtomicU32::new(tenths(created, Tick::from_millis(last_used))),
            renew_at: AtomicU32::new(row.renew_at.map_or(NEVER, ahead)),
            subject_hash: name_hash(&row.provider_sub),
            provider_session_hash: row.provider_sid.as_deref().map_or(0, name_hash),
            auth: row.auth,
            host,
            signing: AtomicBool::new(false),
            renewing: AtomicBool::new(false),
            failures: AtomicU8::new(0),
            state: AtomicU8::new(LIVE),
        }
    }

    /// The session's public name.
    pub fn reference(&self) -> SessionRef {
        self.reference
    }

    /// Who signed in. Unpacked at each call: not for the way of a request.
    pub fn identity(&self) -> Identity {
        self.identity.unpack()
    }

    /// The role of who signed in.
    pub fn role(&self) -> Option<Role> {
        self.identity.role()
    }

    /// The connector that vouched for them.
    pub fn connector(&self) -> &Id {
        self.identity.connector()
    }

    /// How they signed in.
    pub fn auth_method(&self) -> AuthMethod {
        self.auth
    }

    /// When they signed in at the provider, as far as it said.
    pub fn auth_time(&self) -> Option<Timestamp> {
        self.assurance()?.auth_time
    }

    /// The class of that sign-in, as far as the provider said.
    pub fn acr(&self) -> Option<&str> {
        self.assurance()?.acr.as_deref()
    }

    /// The methods of that sign-in, as far as the provider said.
    pub fn amr(&self) -> &[String] {
        self.assurance().map_or(&[], |assurance| &assurance.amr)
    }

    /// What the provider said of the authentication.
    fn assurance(&self) -> Option<&Assurance> {
        self.particulars.as_ref().map(|particulars| &particulars.assurance)
    }

    /// The id of the person's record. Worked out at each call: not for the way of a request.
    pub fn user(&self) -> Uuid {
        let other = self.particulars.as_ref().and_then(|particulars| particulars.user);
        other.unwrap_or_else(|| self.identity.unpack().user_id())
    }

    /// The identity headers for `app`, ready to insert.
    pub fn headers(&self, app: &Id) -> &ReadyHeaders {
        let Some(particulars) = &self.particulars else { return &self.headers };
        let own = particulars.native.iter().find(|(id, _)| id == app);
        own.map_or(&self.headers, |(_, headers)| headers)
    }

    /// Where the cookie that led here counts.
    pub(super) fn host(&self) -> HostScope {
        self.host
    }

    /// When the sign-in was completed.
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    pub(super) fn born(&self) -> i64 {
        self.born
    }

    /// How often the session was renewed.
    pub fn version(&self) -> i64 {
        i64::from(self.version.load(Ordering::Acquire))
    }

    /// Whether this is a session of the person whom the provider calls `sub`.
    pub(super) fn is_of_subject(&self, hash: u64) -> bool {
        self.subject_hash == hash
    }

    /// Whether this is the session that the provider calls `sid`.
    pub(super) fn is_of_provider_session(&self, hash: u64) -> bool {
        self.provider_session_hash == hash
    }

    /// Whether the session is good at `now`, and if not, why. Limits count monotonic time (E08).
    ///
    /// # Errors
    /// The [`Ending`].
    pub fn check(&self, limits: &Limits, now: Tick) -> Result<(), Ending> {
        match self.state.load(Ordering::Acquire) {
            // What was replaced ends no later than what replaced it.
            LIVE | REPLACED if now.since(self.created) >= self.longest(limits) => Err(Ending::Absolute),
            LIVE if now.since(Tick::from_millis(self.last_used.load(Ordering::Relaxed))) >= limits.idle => {
                Err(Ending::Idle)
            }
            LIVE => Ok(()),
            REPLACED => Err(Ending::Replaced),
            _ => Err(Ending::Ended),
        }
    }

    /// How long it lasts from its beginning: to our limit, or to the provider's if that is sooner.
    fn longest(&self, limits: &Limits) -> Duration {
        let theirs = self.assurance().and_then(|assurance| assurance.lasts);
        theirs.map_or(limits.absolute, |theirs| limits.absolute.min(theirs))
    }

    /// Time left at `now`: until the idle limit if unused, and until the absolute one.
    pub fn remaining(&self, limits: &Limits, now: Tick) -> (Duration, Duration) {
        let used = Tick::from_millis(self.last_used.load(Ordering::Relaxed));
        let absolute = self.longest(limits).saturating_sub(now.since(self.created));
        (limits.idle.saturating_sub(now.since(used)).min(absolute), absolute)
    }

    /// Marks the session as used at `now`, precise to a second: busy sessions do not share a cache line for writing.
    /// True once a second: for what has to be looked at now and then.
    pub(super) fn touch(&self, now: Tick) -> bool {
        let due = now.millis() >= self.last_used.load(Ordering::Relaxed) + 1000;
        if due {
            self.last_used.store(now.millis(), Ordering::Relaxed);
        }
        due
    }

    /// Takes over the use that `other`, a record of the same session, has seen: through another process, say.
    pub(super) fn used_as(&self, other: &Self) {
        self.last_used.fetch_max(other.last_used.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Goes on for `new`, made from this record by what the directory has now, if nothing but the tokens has changed:
    /// whoever holds this record need not look for another one, and its assertions are still right. False: `new` takes
    /// its place. For one caller at a time.
    pub(super) fn go_on(&self, new: &Self) -> bool {
        let (version, renewed) = (self.version(), new.version());
        let same = self.identity == new.identity
            && self.assurance() == new.assurance()
            && self.auth == new.auth
            && self.host == new.host;
        let state = |session: &Self| session.state.load(Ordering::Acquire);
        if !same || renewed < version || state(new) != LIVE || state(self) == ENDED {
            return false;
        }
        self.used_as(new);
        if renewed > version {
            self.failures.store(0, Ordering::Relaxed);
            self.renew_at.store(new.renew_at.load(Ordering::Relaxed), Ordering::Relaxed);
            // Before the claim is free, and after the next renewal has its time: see `claim_renewal`.
            self.version.store(new.version.load(Ordering::Relaxed), Ordering::Release);
            self.renewing.store(false, Ordering::Release);
        }
        // What has ended meanwhile stays ended.
        self.state.compare_exchange(REPLACED, LIVE, Ordering::AcqRel, Ordering::Relaxed).ok();
        true
    }

    /// Claims to tell the directory of a use: true for one caller each `every`.
    pub(super) fn claim_note(&self, now: Tick, every: Duration) -> bool {
        let (noted, now) = (self.noted.load(Ordering::Relaxed), tenths(self.created, now));
        u128::from(now.saturating_sub(noted)) * 100 >= every.as_millis()
            && self.noted.compare_exchange(noted, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Whether the provider's tokens should be renewed at `now`.
    pub(super) fn is_renewal_due(&self, now: Tick) -> bool {
        tenths(self.created, now) >= self.renew_at.load(Ordering::Relaxed)
    }

    /// Takes what is due at `now`, and puts the next off until `next`: true for one caller.
    pub(super) fn take_due(&self, now: Tick, next: Tick) -> bool {
        let due = self.renew_at.load(Ordering::Relaxed);
        let taken =
            || self.renew_at.compare_exchange(due, tenths(self.created, next), Ordering::Relaxed, Ordering::Relaxed);
        tenths(self.created, now) >= due && taken().is_ok()
    }

    /// Claims the renewal of the tokens, if it is due at `now`: of this version, for one caller until
    /// [`Self::renew_next`] or [`Self::go_on`].
    pub(super) fn claim_renewal(&self, now: Tick) -> Option<i64> {
        if self.renewing.load(Ordering::Relaxed) || self.renewing.swap(true, Ordering::AcqRel) {
            return None;
        }
        let version = self.version();
        if !self.is_renewal_due(now) {
            // Renewed between the caller's look and its claim.
            self.renewing.store(false, Ordering::Release);
            return None;
        }
        Some(version)
    }

    /// Gives that claim back; the next renewal is due at `at`, or never.
    pub(super) fn renew_next(&self, at: Option<Tick>) {
        self.renew_at.store(at.map_or(NEVER, |at| tenths(self.created, at)), Ordering::Relaxed);
        self.renewing.store(false, Ordering::Release);
    }

    /// Counts a renewal that failed; how many did, one after the other.
    pub(super) fn renewal_failed(&self) -> u8 {
        let failures = self.failures.load(Ordering::Relaxed).saturating_add(1);
        // Whoever counts has claimed the renewal.
        self.failures.store(failures, Ordering::Relaxed);
        failures
    }

    /// The signed assertions that are held.
    pub(super) fn assertions(&self) -> &ArcSwapOption<Vec<Held>> {
        &self.assertions
    }

    /// Claims the signing of an assertion. True for one caller until [`Self::signed`].
    pub(super) fn claim_signing(&self) -> bool {
        !self.signing.load(Ordering::Relaxed) && !self.signing.swap(true, Ordering::Relaxed)
    }

    /// Gives the claim back.
    pub(super) fn signed(&self) {
        self.signing.store(false, Ordering::Relaxed);
    }

    /// Drops assertions that are past their time at `now`.
    pub(super) fn drop_expired_assertions(&self, now: Timestamp) {
        let expired = |held: &Arc<Vec<Held>>| held.iter().all(|held| held.is_expired(now));
        // A new one that is put there in this moment is signed again: no harm.
        if self.assertions.load().as_ref().is_some_and(expired) {
            self.assertions.store(None);
        }
    }

    /// Ends the session for every core at once. True for the call that ended it.
    pub(super) fn end(&self) -> bool {
        self.state.swap(ENDED, Ordering::AcqRel) != ENDED
    }

    /// Says that another record goes on for this one. What has ended stays ended.
    pub(super) fn replace(&self) {
        self.state.compare_exchange(LIVE, REPLACED, Ordering::AcqRel, Ordering::Relaxed).ok();
    }
}

/// Tenths of a second that have passed from `from` to `at`: thirteen years in half the room of a tick.
fn tenths(from: Tick, at: Tick) -> u32 {
    u32::try_from(at.since(from).as_millis() / 100).unwrap_or(NEVER).min(NEVER - 1)
}

/// A hash of a provider's `sub` or `sid`. Two of one connector with the same one are thrown out together: no harm.
pub(super) fn name_hash(name: &str) -> u64 {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, name.as_bytes());
    u64::from_le_bytes(*digest.as_ref().first_chunk::<8>().unwrap_or(&[0; 8]))
}

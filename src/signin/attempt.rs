//! One attempt to sign in, in a sealed cookie of its own: tabs do not race, and the server holds nothing for a
//! stranger (Z07). An attempt moves from *pending* (on its way to the provider) to *verified* (waiting for the person
//! to confirm); what does not match the state it is in is refused here.

use http::header::HeaderMap;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::base::clock::{Clock, Timestamp};
use crate::base::random;
use crate::base::seal::Sealer;
use crate::session::{ATTEMPT_LIFETIME, Cookies};

/// Attempts of one browser at a time; beyond it the oldest is recycled.
pub(super) const MAX_ATTEMPTS: usize = 5;

/// What a sealed attempt cookie holds.
#[derive(Serialize, Deserialize)]
pub(super) struct Attempt {
    /// Milliseconds since the Unix epoch.
    pub(super) started: i64,
    pub(super) connector: String,
    /// Where to go afterwards: a path.
    pub(super) return_to: String,
    pub(super) step: Step,
}

/// How far an attempt is.
#[derive(Serialize, Deserialize)]
pub(super) enum Step {
    /// The browser is at the provider.
    Pending(Pending),
    /// The provider has said who it is; the person has yet to say that this is right. `key` finds the rest here.
    Verified { key: String },
}

/// What must match when the browser comes back.
#[derive(Serialize, Deserialize)]
pub(super) struct Pending {
    /// The second half of `state`; the first is the attempt's id.
    secret: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
    /// The address as typed or linked; it never decides.
    pub(super) hint: Option<String>,
}

/// Why an attempt does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// No `state`, or not one of ours (O18).
    Missing,
    /// No attempt cookie of that id, or it cannot be opened (O17).
    NotBound,
    /// The cookie is there and the state is another (O18).
    Mismatch,
    /// Started at another connector (O20, O22).
    OtherConnector,
    /// Older than ten minutes (O18).
    Expired,
}

impl Pending {
    /// A fresh state, nonce and PKCE verifier (O23).
    pub(super) fn new(hint: Option<String>) -> Self {
        Self { secret: random::token::<24>(), nonce: random::token::<24>(), verifier: random::token::<32>(), hint }
    }

    /// The `state` parameter.
    pub(super) fn state(&self, id: &str) -> String {
        format!("{id}.{}", self.secret)
    }
}

/// A new attempt's id: sorts by time, so that the oldest can be recycled without opening any.
pub(super) fn new_id(now: Timestamp) -> String {
    format!("{:012x}{}", now.millis().unsigned_abs() & 0xffff_ffff_ffff, hex8())
}

fn hex8() -> String {
    random::bytes::<4>().iter().map(|b| format!("{b:02x}")).collect()
}

/// Whether `id` has the form of ours: nothing else goes into a cookie name.
fn is_id(id: &str) -> bool {
    id.len() == 20 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

impl Attempt {
    /// Opens the attempt `id` of this browser. Two cookies of one name count as none.
    pub(super) fn open(id: &str, headers: &HeaderMap, cookies: &Cookies, sealer: &Sealer) -> Option<Self> {
        let mut values = cookies.attempts(headers).filter(|(name, _)| *name == id);
        let (Some((_, sealed)), None) = (values.next(), values.next()) else { return None };
        let plain = sealer.open(&cookies.attempt_name(id), sealed)?;
        serde_json::from_slice(&plain).ok()
    }

    /// The attempt sealed for its cookie.
    pub(super) fn seal(&self, id: &str, cookies: &Cookies, sealer: &Sealer) -> String {
        let plain = serde_json::to_vec(self).unwrap_or_default();
        sealer.seal(&cookies.attempt_name(id), &plain)
    }

    /// Whether the attempt is too old at `now`, by our wall clock: it crosses processes.
    pub(super) fn is_expired(&self, clock: &Clock) -> bool {
        let age = clock.now().millis().saturating_sub(self.started);
        // A minute of clock difference between processes may make it look made in the future.
        !(-60_000..i64::try_from(ATTEMPT_LIFETIME.as_millis()).unwrap_or(0)).contains(&age)
    }
}

/// The attempt that a callback's `state` belongs to, as far as it can be told. `Err` carries where the attempt wanted
/// to go, if it could be opened.
pub(super) fn of_state(
    state: Option<&str>,
    connector: &str,
    headers: &HeaderMap,
    cookies: &Cookies,
    sealer: &Sealer,
    clock: &Clock,
) -> Result<(String, Attempt), (Unfit, Option<String>)> {
    let state = state.ok_or((Unfit::Missing, None))?;
    let (id, secret) = state.split_once('.').filter(|(id, _)| is_id(id)).ok_or((Unfit::Missing, None))?;
    let attempt = Attempt::open(id, headers, cookies, sealer).ok_or((Unfit::NotBound, None))?;
    let fits = match &attempt.step {
        Step::Pending(pending) => bool::from(pending.secret.as_bytes().ct_eq(secret.as_bytes())),
        // It was redeemed already; its state means nothing any more.
        Step::Verified { .. } => false,
    };
    if !fits {
        Err((Unfit::Mismatch, None))
    } else if attempt.connector != connector {
        Err((Unfit::OtherConnector, None))
    } else if attempt.is_expired(clock) {
        Err((Unfit::Expired, Some(attempt.return_to)))
    } else {
        Ok((id.to_owned(), attempt))
    }
}

/// The ids of attempts to recycle so that one more fits.
pub(super) fn surplus(headers: &HeaderMap, cookies: &Cookies) -> Vec<String> {
    let mut ids: Vec<&str> = cookies.attempts(headers).map(|(id, _)| id).collect();
    ids.sort_unstable();
    ids.dedup();
    // What has not the form of an id of ours is not ours to keep.
    let (ours, strange): (Vec<&str>, Vec<&str>) = ids.into_iter().partition(|id| is_id(id));
    let over = (ours.len() + 1).saturating_sub(MAX_ATTEMPTS);
    let strange = strange.into_iter().filter(|id| id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    ours.into_iter().take(over).chain(strange).map(str::to_owned).collect()
}

//! One attempt to sign in, in a sealed cookie of its own: tabs do not race, and the server holds nothing for a
//! stranger (Z07). An attempt moves from *pending* (on its way to the provider) to *verified* (waiting for the person
//! to confirm); what does not match the state it is in is refused here.

use http::header::HeaderMap;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::base::clock::{Clock, Timestamp};
use crate::base::random;
use crate::base::seal::Sealer;
use crate::config::Requirement;
use crate::session::{ATTEMPT_LIFETIME, Cookies, SessionRef};

use super::start::Purpose;

/// Attempts of one browser at a time; beyond it the oldest is recycled.
const MAX_ATTEMPTS: usize = 5;

/// Bytes of all attempt cookies of one browser together. Links with long targets must not fill a browser with cookies
/// until no proxy takes its requests any more: many stop at 8 KB of headers.
const MAX_ATTEMPT_BYTES: usize = 6 * 1024;

/// What a sealed attempt cookie holds.
#[derive(Serialize, Deserialize)]
pub(super) struct Attempt {
    /// Milliseconds since the Unix epoch.
    pub(super) started: i64,
    pub(super) connector: String,
    /// Where to go afterwards: a path.
    pub(super) return_to: String,
    /// What the sign-in is for beside it: for whoever begins again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) purpose: Option<Purpose>,
    pub(super) step: Step,
}

/// How far an attempt is.
#[derive(Serialize, Deserialize)]
pub(super) enum Step {
    /// The browser is at the provider.
    Pending(Pending),
    /// The provider has said who it is; the person has yet to say that this is right. `key` finds the rest here.
    Verified { key: String },
    /// A SAML assertion was posted and is good; the browser has yet to come by a navigation of ours, which its session
    /// cookie goes with. `key` finds the rest here.
    Received { key: String, hint: Option<String> },
    /// The browser is at the sign-in host, which knows the secret's hash. The answer's code needs both.
    HandOff { secret: String },
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
    /// What the sign-in must be for the sake of what it is for; beside what the connector asks of every one (O33).
    #[serde(default, skip_serializing_if = "Requirement::is_empty")]
    pub(super) required: Requirement,
    /// The session that is to be renewed without a word to its person, if it is not a sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) renews: Option<SessionRef>,
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
    /// Redeemed before: it waits for the person's word (O18).
    Redeemed,
    /// Started at another connector (O20, O22).
    OtherConnector,
    /// Older than ten minutes (O18).
    Expired,
}

impl Pending {
    /// A fresh state, nonce and PKCE verifier (O23).
    pub(super) fn new(hint: Option<String>, required: Requirement, renews: Option<SessionRef>) -> Self {
        let (secret, nonce, verifier) = (random::token::<24>(), random::token::<24>(), random::token::<32>());
        Self { secret, nonce, verifier, hint, required, renews }
    }

    /// The ID of a SAML request: what the response has to answer (S17). An XML name cannot begin with a digit.
    pub(super) fn request_id(&self) -> String {
        format!("_{}", self.nonce)
    }

    /// The `state` parameter, or SAML's `RelayState`: 53 bytes of at most 80 (SAML 2.0 Bindings section 3.4.3).
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
pub(super) fn is_id(id: &str) -> bool {
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

/// A callback that fits no attempt: why, and the attempt as far as there is one.
pub(super) struct Stray {
    pub(super) unfit: Unfit,
    pub(super) attempt: Option<(String, Attempt)>,
}

/// The connector of the attempt that `state` names, if this browser has it: to choose who judges, and nothing else.
pub(super) fn connector_of(state: &str, headers: &HeaderMap, cookies: &Cookies, sealer: &Sealer) -> Option<String> {
    let (id, _) = state.split_once('.').filter(|(id, _)| is_id(id))?;
    Attempt::open(id, headers, cookies, sealer).map(|attempt| attempt.connector)
}

/// The attempt that a callback's `state` belongs to.
pub(super) fn of_state(
    state: Option<&str>,
    connector: &str,
    headers: &HeaderMap,
    cookies: &Cookies,
    sealer: &Sealer,
    clock: &Clock,
) -> Result<(String, Attempt), Box<Stray>> {
    let none = |unfit| Box::new(Stray { unfit, attempt: None });
    let state = state.ok_or_else(|| none(Unfit::Missing))?;
    let (id, secret) = state.split_once('.').filter(|(id, _)| is_id(id)).ok_or_else(|| none(Unfit::Missing))?;
    let attempt = Attempt::open(id, headers, cookies, sealer).ok_or_else(|| none(Unfit::NotBound))?;
    let unfit = match &attempt.step {
        // No provider was asked.
        Step::HandOff { .. } => return Err(none(Unfit::NotBound)),
        // Its state means nothing any more, right or wrong.
        Step::Verified { .. } | Step::Received { .. } => Some(Unfit::Redeemed),
        Step::Pending(pending) if !bool::from(pending.secret.as_bytes().ct_eq(secret.as_bytes())) => {
            Some(Unfit::Mismatch)
        }
        Step::Pending(_) if attempt.connector != connector => Some(Unfit::OtherConnector),
        Step::Pending(_) => attempt.is_expired(clock).then_some(Unfit::Expired),
    };
    let found = (id.to_owned(), attempt);
    match unfit {
        None => Ok(found),
        Some(unfit) => Err(Box::new(Stray { unfit, attempt: Some(found) })),
    }
}

/// The ids of attempts to recycle so that one of `size` bytes more fits.
pub(super) fn surplus(size: usize, headers: &HeaderMap, cookies: &Cookies) -> Vec<String> {
    let mut attempts: Vec<(&str, usize)> = cookies.attempts(headers).map(|(id, sealed)| (id, sealed.len())).collect();
    attempts.sort_unstable();
    // What has not the form of an id of ours is not ours to keep.
    let (ours, strange): (Vec<_>, Vec<_>) = attempts.into_iter().partition(|(id, _)| is_id(id));
    let mut surplus: Vec<String> = strange
        .into_iter()
        .map(|(id, _)| id)
        .filter(|id| id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
        .map(str::to_owned)
        .collect();
    // The newest first: ids sort by time.
    let (mut count, mut bytes) = (1, size);
    for (id, size) in ours.into_iter().rev() {
        (count, bytes) = (count + 1, bytes + size);
        if count > MAX_ATTEMPTS || bytes > MAX_ATTEMPT_BYTES {
            surplus.push(id.to_owned());
        }
    }
    surplus.sort_unstable();
    surplus.dedup();
    surplus
}

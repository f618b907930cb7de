//! Limits by source: on look-ups, so that nobody harvests which domains are known (D05), and on forms to be kept. They
//! limit the source alone, never the person who is named.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use moka::sync::Cache;

use crate::base::client_addr::network;
use crate::base::clock::{Clock, Timestamp};

/// Look-ups of one source at once, and per minute: an office behind one address on a Monday morning fits.
pub(super) const LOOKUPS: NonZeroU32 = NonZeroU32::MIN.saturating_add(119);
/// Forms of one source that are kept at once, and per minute.
pub(super) const KEPT_POSTS: NonZeroU32 = NonZeroU32::MIN.saturating_add(29);
/// SAML messages of one source that are refused, at once and per minute: of those that no attempt of the browser waits
/// for, which any page can make it send.
pub(super) const BAD_MESSAGES: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);
/// And of those that an attempt waits for, which only the browser's person can have begun.
pub(super) const BAD_ANSWERS: NonZeroU32 = NonZeroU32::MIN.saturating_add(299);
/// How long a source is not heard at most, and how many sources are remembered.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);
const MAX_SILENCED: u64 = 100_000;
/// How many checks between clean-ups of sources that are quiet again.
const CLEAN_EVERY: u32 = 1024;

/// A limiter by source: an IPv4 /24 or an IPv6 /64.
pub(super) struct Limit {
    limiter: RateLimiter<IpAddr, DashMapStateStore<IpAddr>, Ours, NoOpMiddleware<Nanos>>,
    checks: AtomicU32,
}

impl Limit {
    pub(super) fn new(per_minute: NonZeroU32, clock: Clock) -> Self {
        let quota = Quota::per_minute(per_minute);
        Self {
            limiter: RateLimiter::new(quota, DashMapStateStore::default(), Ours(Arc::new(clock))),
            checks: AtomicU32::new(0),
        }
    }

    /// Whether `client` may do it once more.
    ///
    /// # Errors
    /// Seconds until it may.
    pub(super) fn check(&self, client: IpAddr) -> Result<(), u32> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % CLEAN_EVERY == CLEAN_EVERY - 1 {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(&network(client)).map_err(|until| {
            let wait = until.wait_time_from(GovernorClock::now(&self.limiter_clock()));
            u32::try_from(wait.as_secs()).unwrap_or(60).saturating_add(1)
        })
    }

    fn limiter_clock(&self) -> Ours {
        self.limiter.clock().clone()
    }
}

/// A limiter of what goes wrong: whoever fails too often is not heard for a while, whatever they send (S15).
pub(super) struct Failures {
    limit: Limit,
    /// Until when a source is not heard.
    silenced: Cache<IpAddr, Timestamp>,
    clock: Clock,
}

impl Failures {
    pub(super) fn new(per_minute: NonZeroU32, clock: Clock) -> Self {
        let silenced = Cache::builder().max_capacity(MAX_SILENCED).time_to_live(LONGEST_SILENCE).build();
        Self { limit: Limit::new(per_minute, clock.clone()), silenced, clock }
    }

    /// Whether `client` is heard.
    ///
    /// # Errors
    /// Seconds until it is.
    pub(super) fn check(&self, client: IpAddr) -> Result<(), u32> {
        let Some(until) = self.silenced.get(&network(client)) else { return Ok(()) };
        let wait = until.since(self.clock.now());
        if wait.is_zero() { Ok(()) } else { Err(u32::try_from(wait.as_secs()).unwrap_or(60).saturating_add(1)) }
    }

    /// Counts a failure of `client`.
    pub(super) fn count(&self, client: IpAddr) {
        if let Err(secs) = self.limit.check(client) {
            let silence = Duration::from_secs(secs.into()).min(LONGEST_SILENCE);
            self.silenced.insert(network(client), self.clock.now().plus(silence));
        }
    }
}

/// How much is under way at a time: of one source, so that a slow one keeps nobody else waiting, and of all.
pub(super) struct UnderWay {
    of_one: usize,
    of_all: usize,
    now: Mutex<HashMap<IpAddr, usize>>,
}

/// One of them, until it is dropped.
pub(super) struct Turn<'a> {
    all: &'a UnderWay,
    source: IpAddr,
}

impl UnderWay {
    pub(super) fn new(of_one: usize, of_all: usize) -> Self {
        Self { of_one, of_all, now: Mutex::default() }
    }

    /// One more of `client`, unless there are as many as there may be.
    pub(super) fn begin(&self, client: IpAddr) -> Option<Turn<'_>> {
        let source = network(client);
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.values().sum::<usize>() >= self.of_all || now.get(&source).is_some_and(|count| *count >= self.of_one) {
            return None;
        }
        *now.entry(source).or_default() += 1;
        Some(Turn { all: self, source })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut now = self.all.now.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = now.entry(self.source) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// Our clock for the limiter, so that tests move its time too.
#[derive(Clone, Debug)]
struct Ours(Arc<Clock>);

impl GovernorClock for Ours {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        // The limiter subtracts from now: far enough from zero.
        Nanos::from(self.0.elapsed() + Duration::from_secs(86_400))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;

    /// D05
    #[test]
    fn a_network_that_looks_up_too_often_waits_and_its_neighbour_does_not() {
        let clock = Clock::manual(Timestamp::from_secs(1_800_000_000));
        let limit = Limit::new(LOOKUPS, clock.clone());
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let first_refused = (0..200).position(|i| limit.check(ip(&format!("192.0.2.{}", i % 256))).is_err());
        assert_eq!(first_refused, Some(120));
        let wait = limit.check(ip("192.0.2.9")).unwrap_err();
        assert!((1..=60).contains(&wait), "{wait}");
        assert_eq!(limit.check(ip("192.0.3.9")), Ok(()));
        clock.advance(Duration::from_secs(wait.into()));
        assert_eq!(limit.check(ip("192.0.2.9")), Ok(()));
        let v6 = (0..200).position(|i| limit.check(ip(&format!("2001:db8::{i}"))).is_err());
        assert_eq!(v6, Some(120), "a /64 is one source");
        assert_eq!(limit.check(ip("2001:db8:0:1::1")), Ok(()));
    }

    #[test]
    fn one_source_and_all_together_have_no_more_under_way_than_they_may() {
        let under_way = UnderWay::new(2, 3);
        let of = |last: u8| under_way.begin(IpAddr::from([192, 0, last, 1]));
        let (first, second) = (of(1), of(1));
        assert!(first.is_some() && second.is_some() && of(1).is_none(), "two of one source");
        let third = of(2);
        assert!(third.is_some() && of(3).is_none(), "three of all");
        drop(first);
        assert!(of(3).is_some() && of(1).is_some(), "whoever is done makes room");
        drop((second, third));
        assert!(under_way.now.lock().unwrap().is_empty(), "nothing is remembered of who is done");
    }
}

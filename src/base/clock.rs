//! The only place that reads a clock. Everything else is handed a [`Clock`], so that tests move time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall-clock time in milliseconds since the Unix epoch. For what other machines see: token times, cookies, logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From whole seconds since the Unix epoch (RFC 7519 `NumericDate`).
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// This time moved forward by `by`; saturates.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This time moved back by `by`; saturates.
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Time from `earlier` to this; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 in UTC with milliseconds, as logs print it.
    pub fn rfc3339(self) -> String {
        jiff::Timestamp::from_millisecond(self.0).map_or_else(|_| String::from("invalid"), |t| format!("{t:.3}"))
    }
}

/// Monotonic time in milliseconds, counted from [`BEFORE_START`] before this process started, so that what began under
/// an earlier process has a tick too. For intervals: no change of the wall clock makes a session immortal or ends it
/// early (security case E08).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tick(u64);

/// Longer than any session lasts (a year at most).
const BEFORE_START: Duration = Duration::from_secs(2 * 366 * 86_400);

impl Tick {
    /// From [`millis`](Self::millis).
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// As a number, to be kept in an atomic.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to this tick; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This tick moved forward by `by`; saturates.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }

    /// This tick moved back by `by`; saturates.
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl From<Duration> for Tick {
    /// From the time since the process started.
    fn from(elapsed: Duration) -> Self {
        let since = elapsed.saturating_add(BEFORE_START);
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A clock: the machine's, or one that a test moves. Cheap to clone; clones share their time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { start: Instant },
    Manual { wall: Arc<AtomicI64>, elapsed: Arc<AtomicI64> },
}

impl Clock {
    /// The machine's clock; ticks count from this call.
    #[expect(clippy::disallowed_methods, reason = "the one place that may read the machine's clock")]
    pub fn system() -> Self {
        Self(Source::System { start: Instant::now() })
    }

    /// A clock that stands still until moved, starting at `wall`. For tests.
    pub fn manual(wall: Timestamp) -> Self {
        Self(Source::Manual { wall: Arc::new(AtomicI64::new(wall.millis())), elapsed: Arc::new(AtomicI64::new(0)) })
    }

    /// Wall-clock time now.
    #[expect(clippy::disallowed_methods, reason = "the one place that may read the machine's clock")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System { .. } => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
            Source::Manual { wall, .. } => Timestamp(wall.load(Ordering::Relaxed)),
        }
    }

    /// Monotonic time now.
    pub fn tick(&self) -> Tick {
        Tick::from(self.elapsed())
    }

    /// Monotonic time since this clock was made, as precise as the machine gives it: for measuring one request.
    pub fn elapsed(&self) -> Duration {
        match &self.0 {
            Source::System { start } => start.elapsed(),
            Source::Manual { elapsed, .. } => {
                Duration::from_millis(u64::try_from(elapsed.load(Ordering::Relaxed)).unwrap_or(0))
            }
        }
    }

    /// Moves a manual clock forward, wall and monotonic together. Does nothing to the machine's clock.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual { wall, elapsed } = &self.0 {
            let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            wall.fetch_add(millis, Ordering::Relaxed);
            elapsed.fetch_add(millis, Ordering::Relaxed);
        }
    }

    /// Sets a manual clock's wall time alone, as an operator or NTP step would. Monotonic time does not move.
    pub fn set_wall(&self, to: Timestamp) {
        if let Source::Manual { wall, .. } = &self.0 {
            wall.store(to.millis(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_step_does_not_move_ticks() {
        let clock = Clock::manual(Timestamp::from_secs(1_000));
        let before = clock.tick();
        clock.set_wall(Timestamp::from_secs(10));
        assert_eq!(clock.now().secs(), 10);
        assert_eq!(clock.tick(), before);
        clock.advance(Duration::from_secs(2));
        assert_eq!(clock.now().secs(), 12);
        assert_eq!(clock.tick().since(before), Duration::from_secs(2));
    }

    #[test]
    fn timestamps_print_as_rfc_3339() {
        assert_eq!(Timestamp::from_millis(1_700_000_000_123).rfc3339(), "2023-11-14T22:13:20.123Z");
    }
}

//! How much one provider is asked at once (T08, T22, T23): a bulkhead of two halves, so that renewals never make a
//! sign-in wait, and a rate for renewals.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::{ProviderError, Reason};
use crate::base::clock::{Clock, Tick};

/// Sign-ins that talk to the token endpoint at once. With [`RENEWALS`] 50 calls in flight per provider.
const SIGN_INS: usize = 30;

/// Renewals that talk to the token endpoint at once.
const RENEWALS: usize = 20;

/// Sign-ins that wait for their turn, at most. Each is a browser that waits.
const WAITING: usize = 200;

/// How long a sign-in waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Renewals may begin this close after each other, on average; with [`BURST`] at most 50 in any second.
const SPACING: u64 = 25;

/// Renewals that may begin at once after a quiet time.
const BURST: u64 = 10;

/// The limits of one provider.
pub(crate) struct CallLimits {
    sign_ins: Arc<Semaphore>,
    /// Places in the queue for `sign_ins`.
    waiting: Semaphore,
    renewals: Arc<Semaphore>,
    rate: Mutex<Rate>,
}

/// A sign-in's turn, until it is dropped.
pub(crate) struct Turn(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// The right to one renewal; see [`Provider::begin_renewal`](super::Provider::begin_renewal).
#[derive(Debug)]
pub struct RenewalPermit(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// The rate in milliseconds of the clock: the generic cell rate algorithm (ITU-T I.371), and the time promised to the
/// last one that was sent away.
#[derive(Default)]
struct Rate {
    arrival: u64,
    promised: u64,
}

impl CallLimits {
    pub(crate) fn new() -> Self {
        let (sign_ins, renewals) = (Arc::new(Semaphore::new(SIGN_INS)), Arc::new(Semaphore::new(RENEWALS)));
        Self { sign_ins, waiting: Semaphore::new(WAITING), renewals, rate: Mutex::default() }
    }

    /// Waits for a sign-in's turn, among sign-ins alone.
    pub(crate) async fn sign_in(&self) -> Result<Turn, ProviderError> {
        let busy = |found| ProviderError::new(Reason::ProviderBusy).saying("a free call to the token endpoint", found);
        if let Ok(permit) = Arc::clone(&self.sign_ins).try_acquire_owned() {
            return Ok(Turn(permit));
        }
        let _place = self.waiting.try_acquire().map_err(|_| busy("too many sign-ins that wait"))?;
        let turn = Arc::clone(&self.sign_ins).acquire_owned();
        match tokio::time::timeout(PATIENCE, turn).await {
            Ok(Ok(permit)) => Ok(Turn(permit)),
            Ok(Err(_)) | Err(_) => Err(busy("none in 10 s")),
        }
    }

    /// A renewal's turn, or after how long to ask again. Whoever is sent away is given a time of their own, so that
    /// they do not come back together.
    pub(crate) fn renewal(&self, clock: &Clock) -> Result<RenewalPermit, Duration> {
        let now = clock.tick();
        let permit = Arc::clone(&self.renewals).try_acquire_owned();
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        match permit {
            Ok(permit) if rate.admits(now) => Ok(RenewalPermit(permit)),
            Ok(_) | Err(_) => Err(rate.promise(now)),
        }
    }
}

impl Rate {
    /// Whether one may begin now; if so it has.
    fn admits(&mut self, now: Tick) -> bool {
        let admits = self.arrival <= now.millis() + SPACING * (BURST - 1);
        if admits {
            self.arrival = self.arrival.max(now.millis()) + SPACING;
        }
        admits
    }

    /// A time for one that may not begin now, after everybody's who was sent away before.
    fn promise(&mut self, now: Tick) -> Duration {
        let free = self.arrival.saturating_sub(SPACING * (BURST - 1));
        self.promised = (self.promised + SPACING).max(free).max(now.millis() + SPACING);
        Duration::from_millis(self.promised - now.millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;

    fn clock() -> Clock {
        Clock::manual(Timestamp::from_secs(1_800_000_000))
    }

    #[tokio::test]
    async fn a_flood_of_renewals_leaves_sign_ins_their_places_t08_t22() {
        let (limits, clock) = (CallLimits::new(), clock());
        let mut under_way = Vec::new();
        for _ in 0..1_000 {
            under_way.extend(limits.renewal(&clock));
            clock.advance(Duration::from_millis(SPACING));
        }
        assert_eq!(under_way.len(), RENEWALS);
        let mut turns = Vec::new();
        for _ in 0..SIGN_INS {
            turns.push(limits.sign_in().await.unwrap());
        }
        assert_eq!(turns.len() + under_way.len(), 50, "never more at once");
        under_way.pop();
        assert!(limits.renewal(&clock).is_ok(), "a place that is given back is taken again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_sign_in_waits_for_a_turn_but_not_forever_t22() {
        let limits = Arc::new(CallLimits::new());
        let mut turns = Vec::new();
        for _ in 0..SIGN_INS {
            turns.push(limits.sign_in().await.unwrap());
        }
        let waiting = tokio::spawn({
            let limits = Arc::clone(&limits);
            async move { limits.sign_in().await.map(|_| ()).map_err(|e| e.reason()) }
        });
        tokio::task::yield_now().await;
        turns.pop();
        assert_eq!(waiting.await.unwrap(), Ok(()));
        turns.push(limits.sign_in().await.unwrap());
        assert_eq!(limits.sign_in().await.map(|_| ()).map_err(|e| e.reason()), Err("provider_busy"));
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_can_wait_are_sent_away_at_once_t22() {
        let limits = CallLimits::new();
        let mut turns = Vec::new();
        for _ in 0..SIGN_INS {
            turns.push(limits.sign_in().await.unwrap());
        }
        let mut queue: Vec<_> = (0..WAITING).map(|_| Box::pin(limits.sign_in())).collect();
        for waiting in &mut queue {
            assert!(futures_util::poll!(waiting).is_pending());
        }
        let sent_away = futures_util::poll!(Box::pin(limits.sign_in()));
        assert!(sent_away.is_ready(), "the place after the last");
        turns.pop();
        assert!(queue.remove(0).await.is_ok(), "the first in the queue is the first served");
    }

    /// Everybody asks at once and comes back when told: at most 50 begin in any second, and all get their turn (T23).
    #[test]
    fn after_an_outage_renewals_come_back_in_a_line_t23() {
        let (limits, clock) = (CallLimits::new(), clock());
        let start = clock.tick();
        let mut due: std::collections::BTreeMap<u64, u32> = [(0, 5_000)].into();
        let (mut begun, mut asked) = (Vec::new(), 0);
        while let Some((at, count)) = due.pop_first() {
            clock.advance(Duration::from_millis(at).saturating_sub(clock.tick().since(start)));
            for _ in 0..count {
                asked += 1;
                match limits.renewal(&clock) {
                    Ok(_) => begun.push(at),
                    Err(after) => *due.entry(at + u64::try_from(after.as_millis()).unwrap()).or_default() += 1,
                }
            }
        }
        assert_eq!(begun.len(), 5_000);
        assert!(asked <= 2 * 5_000, "each was sent away once: {asked}");
        assert!(begun.last().unwrap() / 1_000 <= 125, "at the full rate: {:?}", begun.last());
        for window in begun.windows(51) {
            assert!(window[50] - window[0] >= 1_000, "{window:?}");
        }
    }
}

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

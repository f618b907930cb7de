//! The edge to a SAML provider's metadata: a file that is read again when it changes, or a URL that is polled. A source
//! that is away stops neither start-up nor a provider whose document is at hand, and is not hammered. A document that is
//! refused does not take the place of a good one; a key that a good one no longer names is refused from then on (S30).

mod document;
mod schedule;
mod warnings;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;

use super::error::ProviderError;
use super::saml::metadata::IdpMetadata;
use crate::base::clock::{Clock, Tick, Timestamp};
use crate::base::id::Id;
use crate::base::outgoing::Outgoing;
use crate::config::SamlConnector;

use document::{Digest, Place};
use warnings::Reporter;

/// One provider's metadata and the way there. Cheap to clone; clones share the document.
#[derive(Clone)]
pub struct MetadataSource(Arc<Inner>);

struct Inner {
    place: Place,
    clock: Clock,
    good: ArcSwapOption<Good>,
    /// The tick, in milliseconds, from which the place has to be looked at again.
    due: AtomicU64,
    flight: Mutex<Flight>,
}

/// The last document that was accepted.
struct Good {
    metadata: Arc<IdpMetadata>,
    digest: Digest,
}

/// The place is looked at for unknown keys at most once in this time.
const UNKNOWN_KEY_FLOOR: Duration = Duration::from_secs(30);

/// Whoever looks at the place: one at a time.
struct Flight {
    /// When it was last looked at for a key that the document does not name.
    for_unknown_key: Option<Tick>,
    /// Failures in a row.
    failures: u32,
    /// What the last look came to, if that was nothing good.
    failed: Option<ProviderError>,
    reporter: Reporter,
}

impl MetadataSource {
    /// Reads nothing yet. `insecure_http`: end points off loopback may be plain http.
    pub(crate) fn new(id: Id, config: &SamlConnector, insecure_http: bool, outgoing: Outgoing, clock: Clock) -> Self {
        let reporter = Reporter::new(id);
        Self(Arc::new(Inner {
            place: Place::new(config, insecure_http, outgoing),
            clock,
            good: ArcSwapOption::empty(),
            due: AtomicU64::new(0),
            flight: Mutex::new(Flight { for_unknown_key: None, failures: 0, failed: None, reporter }),
        }))
    }

    /// The document, if one is at hand and has not expired. Waits for nothing.
    pub(crate) fn cached(&self) -> Option<Arc<IdpMetadata>> {
        let good = self.0.good.load();
        good.as_ref().map(|good| Arc::clone(&good.metadata)).filter(|m| m.check_valid(self.0.clock.now()).is_ok())
    }

    /// The document. Fetched at the first use; a file is looked at again at each use, at most every few seconds, and a
    /// URL that is due behind a use.
    ///
    /// # Errors
    /// The document cannot be had or is not acceptable, and there is no earlier one, or it has expired.
    pub(crate) async fn current(&self) -> Result<Arc<IdpMetadata>, ProviderError> {
        match self.cached() {
            Some(metadata) if !self.0.is_due() => Ok(metadata),
            Some(metadata) if self.0.place.is_remote() => {
                let this = self.clone();
                tokio::spawn(async move { this.refresh().await });
                Ok(metadata)
            }
            _ => self.look().await,
        }
    }

    /// Looks at the place ahead of time, for something that a key signed which `known` does not name: a provider may change
    /// its certificate from one moment to the next. The document, if it is another one now.
    pub(crate) async fn look_for_key(&self, known: &Arc<IdpMetadata>) -> Option<Arc<IdpMetadata>> {
        let mut flight = self.0.flight.lock().await;
        let other = || self.cached().filter(|now| !Arc::ptr_eq(now, known));
        // Somebody may have looked while we waited.
        if let Some(other) = other() {
            return Some(other);
        }
        let tick = self.0.clock.tick();
        if flight.for_unknown_key.is_some_and(|at| tick.since(at) < UNKNOWN_KEY_FLOOR) {
            return None;
        }
        flight.for_unknown_key = Some(tick);
        self.0.look(&mut flight).await;
        other()
    }

    /// Looks at the place if that is due: to be called every few seconds by a background task, so that a change is seen
    /// without a sign-in, and warnings are given. Failures are logged, and the last good document stays in use.
    pub async fn refresh(&self) {
        // Whoever holds it is looking.
        let Ok(mut flight) = self.0.flight.try_lock() else { return };
        if self.0.is_due() {
            self.0.look(&mut flight).await;
        } else {
            let good = self.0.good.load_full();
            flight.reporter.remind(good.as_ref().map(|good| &*good.metadata), self.0.clock.now());
        }
    }

    /// What expires first of what is in use: a certificate or the document itself. For a metric. None: nothing is at hand.
    pub fn expires(&self) -> Option<Timestamp> {
        self.0.good.load().as_ref().and_then(|good| good.metadata.expires())
    }

    async fn look(&self) -> Result<Arc<IdpMetadata>, ProviderError> {
        let mut flight = self.0.flight.lock().await;
        let expired_since = self.cached().is_none() && flight.failed.is_none();
        // Somebody may have looked while we waited.
        if self.0.is_due() || expired_since {
            self.0.look(&mut flight).await;
        }
        if let Some(metadata) = self.cached() {
            return Ok(metadata);
        }
        if let Some(good) = &*self.0.good.load() {
            good.metadata.check_valid(self.0.clock.now())?;
        }
        Err(flight.failed.clone().unwrap_or_else(|| super::Reason::SamlMetadataUnavailable.into()))
    }
}

impl Inner {
    fn is_due(&self) -> bool {
        self.clock.tick().millis() >= self.due.load(Ordering::Relaxed)
    }

    /// Reads and judges what is there now. The caller holds the flight.
    async fn look(&self, flight: &mut Flight) {
        let good = self.good.load_full();
        // What is read is as old as the beginning of the read.
        let began = self.clock.tick();
        let read = self.place.read(good.as_ref().map(|good| &good.digest), self.clock.now()).await;
        let (now, tick) = (self.clock.now(), self.clock.tick());
        let due = match read {
            Ok(read) => {
                if let Some((metadata, digest)) = read {
                    let metadata = Arc::new(metadata);
                    flight.reporter.accepted(good.as_ref().map(|good| &*good.metadata), &metadata);
                    self.good.store(Some(Arc::new(Good { metadata, digest })));
                }
                (flight.failures, flight.failed) = (0, None);
                flight.reporter.recovered();
                let good = self.good.load();
                let metadata = good.as_ref().map(|good| &*good.metadata);
                flight.reporter.remind(metadata, now);
                began.plus(schedule::after_success(self.place.is_remote(), metadata, now))
            }
            Err(error) => {
                flight.reporter.failed(&error, good.is_some(), tick);
                flight.failures = flight.failures.saturating_add(1);
                flight.failed = Some(error);
                tick.plus(schedule::after_failure(self.place.is_remote(), flight.failures, good.is_some()))
            }
        };
        self.set_due(due);
    }

    fn set_due(&self, at: Tick) {
        self.due.store(at.millis(), Ordering::Relaxed);
    }
}

#[cfg(test)]
pub(super) mod tests;

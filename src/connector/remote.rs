//! The edge to the provider: fetches its discovery document and key set and keeps them. A provider that is away stops
//! neither start-up nor those whose documents are at hand, and is not hammered.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::{Request, StatusCode};
use tokio::sync::Mutex;

use super::error::{ProviderError, Reason};
use super::oidc::jwks::{self, KeySet};
use super::oidc::metadata::{self, Metadata};
use crate::base::clock::{Clock, Tick};
use crate::base::id::Id;
use crate::base::outgoing::{AddressClass, Answer, Limits, Outgoing, OutgoingError, Reach};

/// The whole of one call.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// A document older than this is fetched again in the background of a use.
const FRESH: Duration = Duration::from_secs(3_600);

/// How long a failed fetch is the answer to everybody.
const FAILURE: Duration = Duration::from_secs(5);

/// A key set is fetched for unknown keys at most once in this time (O15).
const UNKNOWN_KEY_FLOOR: Duration = Duration::from_secs(30);

/// Judges the issuer that a discovery document names.
pub(crate) type Accepts = Box<dyn Fn(&str) -> Result<(), ProviderError> + Send + Sync>;

/// One provider's documents and the way there.
pub(crate) struct Remote {
    id: Id,
    outgoing: Outgoing,
    clock: Clock,
    document_url: String,
    accepts: Accepts,
    discovered: Slot<Discovered>,
    keys: Slot<KeySet>,
}

/// A discovery document, and a client that goes only where it may lead.
pub(crate) struct Discovered {
    pub(crate) metadata: Metadata,
    from: AddressClass,
    endpoints: Outgoing,
}

/// The last good document, and whoever is fetching the next.
struct Slot<T> {
    good: ArcSwapOption<Good<T>>,
    flight: Mutex<Flight>,
}

struct Good<T> {
    value: Arc<T>,
    at: Tick,
}

#[derive(Default)]
struct Flight {
    failed: Option<(Tick, ProviderError)>,
    for_unknown_key: Option<Tick>,
}

impl<T> Slot<T> {
    fn new() -> Self {
        Self { good: ArcSwapOption::empty(), flight: Mutex::new(Flight::default()) }
    }

    fn get(&self) -> Option<Arc<T>> {
        self.good.load().as_ref().map(|good| Arc::clone(&good.value))
    }

    fn is_old(&self, now: Tick) -> bool {
        self.good.load().as_ref().is_none_or(|good| now.since(good.at) >= FRESH)
    }

    /// Runs `fetch` and keeps its value, or remembers its failure. The caller holds the flight: one fetch at a time.
    async fn fetch(
        &self,
        flight: &mut Flight,
        clock: &Clock,
        fetch: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<Arc<T>, ProviderError> {
        // What is fetched is as old as the beginning of the fetch.
        let at = clock.tick();
        match fetch.await {
            Ok(value) => {
                let value = Arc::new(value);
                self.good.store(Some(Arc::new(Good { value: Arc::clone(&value), at })));
                flight.failed = None;
                Ok(value)
            }
            Err(error) => {
                flight.failed = Some((clock.tick(), error.clone()));
                Err(error)
            }
        }
    }
}

impl Flight {
    fn recent_failure(&self, now: Tick) -> Option<ProviderError> {
        self.failed.as_ref().filter(|(at, _)| now.since(*at) < FAILURE).map(|(_, error)| error.clone())
    }
}

impl Remote {
    pub(crate) fn new(id: Id, document_url: String, accepts: Accepts, outgoing: Outgoing, clock: Clock) -> Arc<Self> {
        let (discovered, keys) = (Slot::new(), Slot::new());
        Arc::new(Self { id, outgoing, clock, document_url, accepts, discovered, keys })
    }

    /// The discovery document, if it is at hand.
    pub(crate) fn cached(&self) -> Option<Arc<Discovered>> {
        self.discovered.get()
    }

    /// The discovery document; fetched at the first use.
    pub(crate) async fn discovered(self: &Arc<Self>) -> Result<Arc<Discovered>, ProviderError> {
        if let Some(discovered) = self.discovered.get() {
            if self.discovered.is_old(self.clock.tick()) {
                let this = Arc::clone(self);
                tokio::spawn(async move { this.refresh_discovered().await });
            }
            return Ok(discovered);
        }
        let mut flight = self.discovered.flight.lock().await;
        if let Some(discovered) = self.discovered.get() {
            return Ok(discovered);
        }
        if let Some(error) = flight.recent_failure(self.clock.tick()) {
            return Err(error);
        }
        self.discovered.fetch(&mut flight, &self.clock, self.fetch_discovered()).await
    }

    /// The key set; fetched at the first use.
    pub(crate) async fn keys(self: &Arc<Self>, discovered: &Arc<Discovered>) -> Result<Arc<KeySet>, ProviderError> {
        if let Some(keys) = self.keys.get() {
            if self.keys.is_old(self.clock.tick()) {
                let (this, discovered) = (Arc::clone(self), Arc::clone(discovered));
                tokio::spawn(async move { this.refresh_keys(&discovered).await });
            }
            return Ok(keys);
        }
        let mut flight = self.keys.flight.lock().await;
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        if let Some(error) = flight.recent_failure(self.clock.tick()) {
            return Err(error);
        }
        self.keys.fetch(&mut flight, &self.clock, self.fetch_keys(discovered)).await
    }

    /// A key set other than `seen`, in which a key was not found. None: there has been no newer one to have lately
    /// (O14, O15).
    pub(crate) async fn newer_keys(
        &self,
        discovered: &Discovered,
        seen: &Arc<KeySet>,
    ) -> Result<Option<Arc<KeySet>>, ProviderError> {
        let mut flight = self.keys.flight.lock().await;
        if let Some(keys) = self.keys.get().filter(|keys| !Arc::ptr_eq(keys, seen)) {
            return Ok(Some(keys));
        }
        let now = self.clock.tick();
        if flight.for_unknown_key.is_some_and(|at| now.since(at) < UNKNOWN_KEY_FLOOR) {
            return Ok(None);
        }
        // Before the fetch: one that is given up half-way counts.
        flight.for_unknown_key = Some(now);
        let newer = self.keys.fetch(&mut flight, &self.clock, self.fetch_keys(discovered)).await;
        // The sign-in ends for its unknown key; that the new set was refused is the operator's clue (O13).
        self.report(newer.as_ref().err());
        newer.map(Some)
    }

    /// Sends a request to an endpoint that the document names. `invalid` is the reason when the answer cannot be read.
    pub(crate) async fn send(
        &self,
        discovered: &Discovered,
        request: Request<Vec<u8>>,
        body: usize,
        invalid: Reason,
    ) -> Result<Answer, ProviderError> {
        let limits = Limits { time: TIME_LIMIT, body };
        discovered.endpoints.send(request, limits).await.map_err(|e| failed(e, invalid))
    }

    async fn refresh_discovered(&self) {
        let Ok(mut flight) = self.discovered.flight.try_lock() else { return };
        let now = self.clock.tick();
        if self.discovered.is_old(now) && flight.recent_failure(now).is_none() {
            let result = self.discovered.fetch(&mut flight, &self.clock, self.fetch_discovered()).await;
            self.report(result.as_ref().err());
        }
    }

    async fn refresh_keys(&self, discovered: &Discovered) {
        let Ok(mut flight) = self.keys.flight.try_lock() else { return };
        let now = self.clock.tick();
        if self.keys.is_old(now) && flight.recent_failure(now).is_none() {
            let result = self.keys.fetch(&mut flight, &self.clock, self.fetch_keys(discovered)).await;
            self.report(result.as_ref().err());
        }
    }

    /// A failure that no answer names: the last good document stays in use.
    fn report(&self, error: Option<&ProviderError>) {
        if let Some(error) = error {
            let (expected, found) = error.detail().unwrap_or_default();
            tracing::warn!(
                connector = %self.id,
                reason = error.reason(),
                ?expected,
                ?found,
                "the provider's documents could not be renewed; the old ones stay in use"
            );
        }
    }

    async fn fetch_discovered(&self) -> Result<Discovered, ProviderError> {
        let limits = Limits { time: TIME_LIMIT, body: metadata::MAX_DOCUMENT };
        let answer = self.outgoing.get(&self.document_url, "application/json", limits).await;
        let answer = answer.map_err(|e| failed(e, Reason::IdpConfigRejected))?;
        expect_ok(&answer, Reason::IdpConfigRejected)?;
        let metadata = Metadata::parse(&answer.body, &self.accepts)?;
        let from = answer.from;
        let endpoints = match self.discovered.get().filter(|old| old.from == from) {
            Some(old) => old.endpoints.clone(),
            None => self.outgoing.reaching(Reach::NamedFrom(from)),
        };
        Ok(Discovered { metadata, from, endpoints })
    }

    async fn fetch_keys(&self, discovered: &Discovered) -> Result<KeySet, ProviderError> {
        let limits = Limits { time: TIME_LIMIT, body: jwks::MAX_DOCUMENT };
        let url = discovered.metadata.jwks_uri.as_str();
        let answer = discovered.endpoints.get(url, "application/jwk-set+json, application/json", limits).await;
        let answer = answer.map_err(|e| failed(e, Reason::JwksRejected))?;
        expect_ok(&answer, Reason::JwksRejected)?;
        KeySet::parse(&answer.body)
    }
}

fn expect_ok(answer: &Answer, invalid: Reason) -> Result<(), ProviderError> {
    let status = answer.status;
    let reason = match status {
        StatusCode::OK => return Ok(()),
        StatusCode::TOO_MANY_REQUESTS => Reason::ProviderUnavailable,
        _ if status.is_server_error() => Reason::ProviderUnavailable,
        _ => invalid,
    };
    Err(ProviderError::new(reason).saying(StatusCode::OK, status))
}

fn failed(error: OutgoingError, invalid: Reason) -> ProviderError {
    let reason = match &error {
        OutgoingError::Url | OutgoingError::PlainHttp { .. } | OutgoingError::AddressRefused { .. } => {
            Reason::IdpConfigRejected
        }
        _ if error.answered() => invalid,
        _ => Reason::ProviderUnreachable,
    };
    ProviderError::new(reason).saying("", &error).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;

    #[tokio::test]
    async fn a_document_is_as_old_as_the_beginning_of_its_fetch() {
        let (slot, clock) = (Slot::new(), Clock::manual(Timestamp::from_secs(1_800_000_000)));
        let mut flight = slot.flight.lock().await;
        let slow = async {
            clock.advance(FRESH / 2);
            Ok(7)
        };
        assert_eq!(*slot.fetch(&mut flight, &clock, slow).await.unwrap(), 7);
        assert!(!slot.is_old(clock.tick()));
        clock.advance(FRESH / 2 - Duration::from_millis(1));
        assert!(!slot.is_old(clock.tick()));
        clock.advance(Duration::from_millis(1));
        assert!(slot.is_old(clock.tick()));
    }
}

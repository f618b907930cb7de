//! What one data-plane thread has for itself, and what all of them share.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderValue;
use ipnet::IpNet;
use tokio::sync::{Notify, watch};

use crate::audit::Audit;
use crate::base::client_addr::Peer;
use crate::base::clock::{Clock, Tick};
use crate::base::log::Log;
use crate::base::metrics::CoreMetrics;
use crate::base::random;
use crate::gate::Snapshot;
use crate::identity::headers::HeaderPlan;
use crate::session::SessionStore;
use crate::web::Site;

use super::access_log::AccessLog;
use super::listen::Phase;
use super::recent::Recent;
use super::sanitize::Scrubber;
use super::upstream::Pool;

/// What every core reads and none changes.
pub struct Shared {
    pub snapshot: Arc<Snapshot>,
    pub sessions: SessionStore,
    pub plan: Arc<HeaderPlan>,
    pub site: Arc<Site>,
    pub audit: Arc<Audit>,
    pub clock: Clock,
    pub log: Log,
    /// Where own paths are answered.
    pub control: tokio::runtime::Handle,
    pub trusted_proxies: Vec<IpNet>,
    pub access_log: bool,
}

/// One data-plane thread.
pub(super) struct Core {
    pub(super) shared: Arc<Shared>,
    pub(super) scrubber: Scrubber,
    pub(super) pools: RefCell<Vec<Pool>>,
    pub(super) recent: RefCell<Recent>,
    pub(super) access_log: RefCell<AccessLog>,
    pub(super) metrics: Arc<CoreMetrics>,
    pub(super) connections: RefCell<Vec<std::rc::Weak<Connection>>>,
    /// Connections and tunnels open here; the accept loop gives the next one to the core with the fewest.
    open: Arc<AtomicUsize>,
    phase: watch::Receiver<Phase>,
    /// Coarse time, renewed by the sweep: for limits counted in seconds.
    coarse: Cell<Tick>,
    id_prefix: u64,
    id_next: Cell<u64>,
}

impl Core {
    pub(super) fn new(
        shared: Arc<Shared>,
        metrics: Arc<CoreMetrics>,
        open: Arc<AtomicUsize>,
        phase: watch::Receiver<Phase>,
    ) -> Rc<Self> {
        let pools = shared.snapshot.apps().iter().map(|_| Pool::default()).collect();
        Rc::new(Self {
            scrubber: Scrubber::new(&shared.plan),
            pools: RefCell::new(pools),
            recent: RefCell::new(Recent::new()),
            access_log: RefCell::new(AccessLog::new(shared.log.clone())),
            metrics,
            connections: RefCell::default(),
            open,
            phase,
            coarse: Cell::new(shared.clock.tick()),
            id_prefix: u64::from_le_bytes(random::bytes()),
            id_next: Cell::new(0),
            shared,
        })
    }

    /// Monotonic time.
    pub(super) fn now(&self) -> Tick {
        self.shared.clock.tick()
    }

    /// Monotonic time as of the last sweep, at most a second ago.
    pub(super) fn coarse_now(&self) -> Tick {
        self.coarse.get()
    }

    pub(super) fn set_coarse_now(&self, now: Tick) {
        self.coarse.set(now);
    }

    /// A request id: unique, not secret.
    pub(super) fn request_id(&self) -> RequestId {
        let count = self.id_next.get();
        self.id_next.set(count.wrapping_add(1));
        RequestId::new(self.id_prefix, count)
    }

    /// Resolves when open tunnels must end.
    pub(super) fn closing(&self) -> PhaseWatch {
        PhaseWatch { phase: self.phase.clone(), until: Phase::Closing }
    }

    /// Resolves when connections finish what they are doing and close.
    pub(super) fn draining(&self) -> PhaseWatch {
        PhaseWatch { phase: self.phase.clone(), until: Phase::Draining }
    }

    /// Counts a connection or tunnel as open until the guard is dropped.
    pub(super) fn opened(&self) -> OpenGuard {
        OpenGuard::new(self.open.clone())
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

/// Waits for a phase of the process.
pub(super) struct PhaseWatch {
    phase: watch::Receiver<Phase>,
    until: Phase,
}

impl PhaseWatch {
    pub(super) async fn wait(&mut self) {
        let until = self.until;
        // The sender is gone only when the process ends: then everything closes.
        drop(self.phase.wait_for(|phase| *phase >= until).await);
    }
}

/// One place taken on a core.
pub(super) struct OpenGuard(Arc<AtomicUsize>);

impl OpenGuard {
    pub(super) fn new(open: Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(open)
    }
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a client connection is doing, for the sweep that closes slow and idle ones (Z01): hyper's own timer would cost
/// an allocation and a timer for every request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Doing {
    /// Nothing of the next request has arrived.
    Waiting,
    /// A part of a head has arrived.
    ReadingHead,
    /// A request is being answered.
    Answering,
}

/// One client connection.
pub(super) struct Connection {
    pub(super) peer: Peer,
    /// The peer's address as text, for the access log.
    pub(super) peer_text: String,
    doing: Cell<Doing>,
    since: Cell<Tick>,
    pub(super) close: Notify,
}

impl Connection {
    pub(super) fn new(peer: SocketAddr, trusted: &[IpNet], now: Tick) -> Rc<Self> {
        let peer = Peer::new(peer.ip(), trusted);
        Rc::new(Self {
            peer_text: peer.ip().to_string(),
            peer,
            doing: Cell::new(Doing::Waiting),
            since: Cell::new(now),
            close: Notify::new(),
        })
    }

    pub(super) fn set(&self, doing: Doing, now: Tick) {
        self.doing.set(doing);
        self.since.set(now);
    }

    pub(super) fn doing(&self) -> (Doing, Tick) {
        (self.doing.get(), self.since.get())
    }
}

/// One request and its answer: in flight until the answer's body is dropped.
pub(super) struct Exchange {
    core: Rc<Core>,
    connection: Rc<Connection>,
}

impl Exchange {
    pub(super) fn begin(core: &Rc<Core>, connection: &Rc<Connection>) -> Self {
        core.metrics.in_flight(1);
        connection.set(Doing::Answering, core.coarse_now());
        Self { core: core.clone(), connection: connection.clone() }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.core.metrics.in_flight(-1);
        self.connection.set(Doing::Waiting, self.core.coarse_now());
    }
}

/// A request's reference: on every answer, in every log line about it.
#[derive(Clone, Copy)]
pub(super) struct RequestId([u8; 24]);

impl RequestId {
    fn new(prefix: u64, count: u64) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'0'; 24];
        let nibble = |value: u64| HEX.get(usize::try_from(value & 15).unwrap_or(0)).copied().unwrap_or(b'0');
        for (i, byte) in text.iter_mut().enumerate() {
            *byte = if i < 12 { nibble(prefix >> (i * 4)) } else { nibble(count >> ((23 - i) * 4)) };
        }
        Self(text)
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub(super) fn value(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).unwrap_or(HeaderValue::from_static("0"))
    }
}

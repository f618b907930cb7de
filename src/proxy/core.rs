//! What one data-plane thread has for itself, and what all of them share.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use http::HeaderValue;
use ipnet::IpNet;
use tokio::sync::watch;

use crate::audit::{Audit, Event, Outcome};
use crate::base::client_addr::Peer;
use crate::base::clock::{Clock, Tick};
use crate::base::log::Log;
use crate::base::metrics::CoreMetrics;
use crate::base::random;
use crate::gate::Snapshot;
use crate::identity::headers::HeaderPlan;
use crate::session::{Session, SessionStore};
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
    pub(super) connections: RefCell<Vec<Weak<Connection>>>,
    living: RefCell<Vec<Living>>,
    phase: watch::Receiver<Phase>,
    /// Coarse time, renewed by the sweep: for limits counted in seconds.
    coarse: Arc<AtomicU64>,
    id_prefix: u64,
    id_next: Cell<u64>,
}

impl Core {
    pub(super) fn new(shared: Arc<Shared>, metrics: Arc<CoreMetrics>, phase: watch::Receiver<Phase>) -> Rc<Self> {
        let pools = shared.snapshot.apps().iter().map(|_| Pool::default()).collect();
        Rc::new(Self {
            scrubber: Scrubber::new(&shared.plan),
            pools: RefCell::new(pools),
            recent: RefCell::new(Recent::new()),
            access_log: RefCell::new(AccessLog::new(shared.log.clone())),
            metrics,
            connections: RefCell::default(),
            living: RefCell::default(),
            phase,
            coarse: Arc::new(AtomicU64::new(shared.clock.tick().millis())),
            id_prefix: u64::from_le_bytes(random::bytes()),
            id_next: Cell::new(0),
            shared,
        })
    }

    /// Monotonic time.
    pub(super) fn now(&self) -> Tick {
        self.shared.clock.tick()
    }

    /// Monotonic time as of the last request or sweep, at most a second ago.
    pub(super) fn coarse_now(&self) -> Tick {
        Tick::from_millis(self.coarse.load(Ordering::Relaxed))
    }

    pub(super) fn set_coarse_now(&self, now: Tick) {
        self.coarse.store(now.millis(), Ordering::Relaxed);
    }

    /// A request id: unique, not secret.
    pub(super) fn request_id(&self) -> RequestId {
        let count = self.id_next.get();
        self.id_next.set(count.wrapping_add(1));
        RequestId::new(self.id_prefix, count)
    }

    /// Ends what `connection` does at this moment when `session` ends (W06): a tunnel, or an answer without an end in
    /// sight.
    pub(super) fn ends_with(&self, connection: &Arc<Connection>, session: Arc<Session>) {
        let exchange = connection.exchanges.load(Ordering::Relaxed);
        self.living.borrow_mut().push(Living { connection: Arc::downgrade(connection), exchange, session });
    }

    /// Closes what has outlived its session, and forgets what has ended by itself.
    pub(super) fn end_outlived(&self, now: Tick) {
        let limits = self.shared.sessions.limits();
        self.living.borrow_mut().retain(|living| {
            let Some(connection) = living.connection.upgrade() else { return false };
            let between = matches!(connection.doing().0, Doing::Waiting | Doing::ReadingHead | Doing::Lingering);
            if between || connection.exchanges.load(Ordering::Relaxed) != living.exchange {
                return false;
            }
            let good = living.session.check(limits, now).is_ok();
            if !good {
                connection.tell(Told::Close);
            }
            good
        });
    }

    /// What a client sent was no HTTP, or too much of it (F03 to F07, Z06): hyper has answered and closed.
    pub(super) fn malformed(&self, connection: &Connection, error: &hyper::Error) {
        let reason = match error {
            error if error.is_parse_too_large() => "head_too_large",
            error if error.is_parse() => "head_malformed",
            _ => return,
        };
        let event = Event::new("http.malformed", Outcome::Failure, reason);
        self.shared.audit.record_frequent(event.with("client_ip", &connection.peer_text));
    }

    /// Resolves when open tunnels must end.
    pub(super) fn closing(&self) -> PhaseWatch {
        PhaseWatch::new(self.phase.clone(), Phase::Closing)
    }

    /// Resolves when connections finish what they are doing and close.
    pub(super) fn draining(&self) -> PhaseWatch {
        PhaseWatch::new(self.phase.clone(), Phase::Draining)
    }

    /// Tells every connection.
    pub(super) fn tell_all(&self, what: Told) {
        self.connections.borrow().iter().filter_map(Weak::upgrade).for_each(|connection| connection.tell(what));
    }

    /// A client connection from `peer`.
    pub(super) fn connection(&self, peer: SocketAddr, open: OpenGuard) -> Arc<Connection> {
        // What begins now must not look as if it had begun at the last sweep: a clock may have jumped in between.
        self.set_coarse_now(self.now());
        let peer = Peer::new(peer.ip(), &self.shared.trusted_proxies);
        let connection = Arc::new(Connection {
            peer_text: peer.ip().to_string(),
            peer,
            doing: AtomicU8::new(Doing::Waiting as u8),
            since: AtomicU64::new(self.coarse_now().millis()),
            stuck: AtomicU64::new(0),
            unread: AtomicBool::new(false),
            exchanges: AtomicU64::new(0),
            coarse: self.coarse.clone(),
            told: AtomicU8::new(0),
            waker: AtomicWaker::new(),
            _open: open,
        });
        if *self.phase.borrow() >= Phase::Draining {
            connection.tell(Told::Drain);
        }
        self.connections.borrow_mut().push(Arc::downgrade(&connection));
        connection
    }
}

/// Waits for a phase of the process.
pub(super) struct PhaseWatch {
    phase: watch::Receiver<Phase>,
    until: Phase,
}

impl PhaseWatch {
    pub(super) fn new(phase: watch::Receiver<Phase>, until: Phase) -> Self {
        Self { phase, until }
    }

    pub(super) async fn wait(&mut self) {
        let until = self.until;
        // The sender is gone only when the process ends: then everything closes.
        drop(self.phase.wait_for(|phase| *phase >= until).await);
    }
}

/// A tunnel or a long answer, and the session it was let in by.
struct Living {
    connection: Weak<Connection>,
    /// Which of the connection's requests it belongs to.
    exchange: u64,
    session: Arc<Session>,
}

/// One place taken on a core; the accept loop gives the next connection to the core with the fewest.
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

/// What a client connection is doing, for the sweep that ends what takes too long (Z01, Z02, T24): timers would cost
/// every request an allocation or a place in the timer wheel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Doing {
    /// Nothing of the next request has arrived.
    Waiting,
    /// A part of a head has arrived.
    ReadingHead,
    /// A request's body is still coming; each part of it starts the time again.
    Uploading,
    /// The request is complete, the head of its answer is not there yet.
    Answering,
    /// The answer is on its way.
    Streaming,
    /// Both sides have left HTTP.
    Tunnel,
    /// We have closed our side and drop what still comes, so that the client can read its answer.
    Lingering,
}

/// What the sweep and the process's phase say to a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Told {
    /// The request takes longer than it may; said with each sweep, forgotten with the next request.
    Overdue = 1,
    /// Finish what is there.
    Drain = 2,
    /// The connection ends.
    Close = 4,
}

/// One client connection. Only its core changes it; hyper asks for `Send` where a connection may be upgraded.
pub(super) struct Connection {
    pub(super) peer: Peer,
    /// The peer's address as text, for the access log.
    pub(super) peer_text: String,
    doing: AtomicU8,
    since: AtomicU64,
    /// Since when the client takes nothing of what we write; 0: it does.
    stuck: AtomicU64,
    /// The body of the last request was not read to its end.
    unread: AtomicBool,
    /// Requests so far.
    exchanges: AtomicU64,
    coarse: Arc<AtomicU64>,
    /// What the connection's task was told from outside, bits of [`Told`]. One atomic and one waker, looked at with each
    /// wake-up anyway: a notification and a channel would be asked, and registered with, each time.
    told: AtomicU8,
    waker: AtomicWaker,
    _open: OpenGuard,
}

impl Connection {
    pub(super) fn set(&self, doing: Doing) {
        self.doing.store(doing as u8, Ordering::Relaxed);
        self.since.store(self.coarse.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// A byte arrived: the first one of a request begins its head.
    pub(super) fn heard(&self) {
        if self.doing.load(Ordering::Relaxed) == Doing::Waiting as u8 {
            self.set(Doing::ReadingHead);
        }
    }

    pub(super) fn tell(&self, what: Told) {
        self.told.fetch_or(what as u8, Ordering::Release);
        self.waker.wake();
    }

    pub(super) fn is_told(&self, what: Told) -> bool {
        self.told.load(Ordering::Acquire) & what as u8 != 0
    }

    /// The task of `cx` is woken when there is something to tell; then ask [`Self::is_told`].
    pub(super) fn listen(&self, cx: &Context<'_>) {
        self.waker.register(cx.waker());
    }

    /// Resolves when the connection must end; for a tunnel, which has a task of its own.
    pub(super) async fn closed(&self) {
        poll_fn(|cx| {
            self.listen(cx);
            if self.is_told(Told::Close) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Resolves when the request takes too long. Wakes nobody by itself: requests are answered in the connection's
    /// task, which listens.
    pub(super) async fn overdue(&self) {
        poll_fn(|_| if self.is_told(Told::Overdue) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    fn is(&self, doing: Doing) -> bool {
        self.doing.load(Ordering::Relaxed) == doing as u8
    }

    /// A part of the request's body arrived.
    pub(super) fn uploading(&self) {
        if self.is(Doing::Uploading) {
            self.set(Doing::Uploading);
        }
    }

    /// The request's body is complete.
    pub(super) fn uploaded(&self) {
        self.unread.store(false, Ordering::Relaxed);
        if self.is(Doing::Uploading) {
            self.set(Doing::Answering);
        }
    }

    /// Whether the client still owes a part of the request.
    pub(super) fn is_uploading(&self) -> bool {
        self.is(Doing::Uploading)
    }

    /// Whether we close while the client may still be sending: it is heard out for a while (RFC 9112, section 9.6).
    pub(super) fn begins_to_linger(&self) -> bool {
        let lingers = self.unread.load(Ordering::Relaxed) && !self.is(Doing::Tunnel);
        if lingers && !self.is(Doing::Lingering) {
            self.set(Doing::Lingering);
        }
        lingers
    }

    /// What became of a write.
    pub(super) fn wrote(&self, taken: bool) {
        let stuck = self.stuck.load(Ordering::Relaxed);
        if taken && stuck != 0 {
            self.stuck.store(0, Ordering::Relaxed);
        } else if !taken && stuck == 0 {
            self.stuck.store(self.coarse.load(Ordering::Relaxed).max(1), Ordering::Relaxed);
        }
    }

    /// Since when the client takes nothing, if so.
    pub(super) fn stuck(&self) -> Option<Tick> {
        Some(self.stuck.load(Ordering::Relaxed)).filter(|since| *since != 0).map(Tick::from_millis)
    }

    pub(super) fn doing(&self) -> (Doing, Tick) {
        let doing = match self.doing.load(Ordering::Relaxed) {
            0 => Doing::Waiting,
            1 => Doing::ReadingHead,
            2 => Doing::Uploading,
            3 => Doing::Answering,
            4 => Doing::Streaming,
            5 => Doing::Tunnel,
            _ => Doing::Lingering,
        };
        (doing, Tick::from_millis(self.since.load(Ordering::Relaxed)))
    }
}

/// One request and its answer: in flight until the answer's body is dropped.
pub(super) struct Exchange {
    core: Rc<Core>,
    connection: Arc<Connection>,
}

impl Exchange {
    /// `complete`: nothing of the request is to come.
    pub(super) fn begin(core: &Rc<Core>, connection: &Arc<Connection>, complete: bool) -> Self {
        core.metrics.in_flight(1);
        connection.unread.store(!complete, Ordering::Relaxed);
        connection.exchanges.store(connection.exchanges.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        if connection.is_told(Told::Overdue) {
            connection.told.fetch_and(!(Told::Overdue as u8), Ordering::Release);
        }
        connection.set(if complete { Doing::Answering } else { Doing::Uploading });
        Self { core: core.clone(), connection: connection.clone() }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.core.metrics.in_flight(-1);
        self.connection.set(Doing::Waiting);
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

//! What one data-plane thread has for itself, and what all of them share.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::HeaderValue;
use ipnet::IpNet;
use tokio::sync::watch;

use crate::audit::{Audit, Event, Outcome};
use crate::base::client_addr::Peer;
use crate::base::clock::{Clock, Tick};
use crate::base::log::Log;
use crate::base::metrics::CoreMetrics;
use crate::base::random;
use crate::explain::Recorder;
use crate::gate::Snapshot;
use crate::identity::headers::HeaderPlan;
use crate::legacy::native::Native;
use crate::session::{Ending, Session, SessionKey, SessionStore};
use crate::web::Site;

use super::access_log::AccessLog;
use super::connection::{Connection, Doing, OpenGuard, Told};
use super::phase::{Phase, PhaseWatch};
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
    pub explain: Recorder,
    pub native: Arc<Native>,
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
    pub(super) fn ends_with(&self, connection: &Arc<Connection>, key: SessionKey, session: Arc<Session>) {
        self.outlives(connection, key, session, false);
    }

    /// Ends the wait for an answer when `session` ends; not the answer, once it has begun.
    pub(super) fn waits_with(&self, connection: &Arc<Connection>, key: SessionKey, session: Arc<Session>) {
        self.outlives(connection, key, session, true);
    }

    fn outlives(&self, connection: &Arc<Connection>, key: SessionKey, session: Arc<Session>, waits: bool) {
        let exchange = connection.exchange();
        self.living.borrow_mut().push(Living {
            connection: Arc::downgrade(connection),
            exchange,
            key,
            session,
            waits,
            asked: None,
        });
    }

    /// Closes what has outlived its session, and forgets what has ended by itself.
    pub(super) fn end_outlived(&self, now: Tick) {
        let sessions = &self.shared.sessions;
        let limits = sessions.limits();
        self.living.borrow_mut().retain_mut(|living| {
            let Some(connection) = living.connection.upgrade() else { return false };
            let over = match connection.doing().0 {
                Doing::Waiting | Doing::ReadingHead | Doing::Lingering => true,
                Doing::Uploading | Doing::Answering => false,
                Doing::Streaming | Doing::Tunnel => living.waits,
            };
            if over || connection.exchange() != living.exchange {
                return false;
            }
            let good = match living.session.check(limits, now) {
                Ok(()) => true,
                Err(Ending::Ended | Ending::Idle | Ending::Absolute) => false,
                Err(Ending::Replaced) => match sessions.successor(&living.key) {
                    Some(successor) if successor.check(limits, now) != Err(Ending::Replaced) => {
                        living.session = successor;
                        living.session.check(limits, now).is_ok()
                    }
                    // Changed elsewhere, and nobody has read it here yet: the directory knows. Until it answers it is not
                    // over.
                    Some(_) => {
                        living.ask(&self.shared, now);
                        true
                    }
                    None => false,
                },
            };
            if !good {
                // Who waits can be answered; of an answer that has begun, there is nothing but its end.
                connection.tell(if living.waits { Told::Outlived } else { Told::Close });
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
        let connection = Arc::new(Connection::new(peer, self.coarse.clone(), open));
        if *self.phase.borrow() >= Phase::Draining {
            connection.tell(Told::Drain);
        }
        self.connections.borrow_mut().push(Arc::downgrade(&connection));
        connection
    }
}

/// A tunnel or a long answer, and the session it was let in by.
struct Living {
    connection: Weak<Connection>,
    /// Which of the connection's requests it belongs to.
    exchange: u64,
    key: SessionKey,
    session: Arc<Session>,
    /// It is the wait for an answer.
    waits: bool,
    /// When the directory was asked about the session.
    asked: Option<Tick>,
}

/// How often the directory is asked about one of them.
const ASK_EVERY: Duration = Duration::from_secs(5);

impl Living {
    /// Has the session read from the directory: the next sweep finds what it says.
    fn ask(&mut self, shared: &Arc<Shared>, now: Tick) {
        if self.asked.is_none_or(|asked| now.since(asked) >= ASK_EVERY) {
            self.asked = Some(now);
            let (sessions, key) = (shared.sessions.clone(), self.key);
            drop(shared.control.spawn(async move { drop(sessions.look_up(&key).await) }));
        }
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
        connection.begin(complete);
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

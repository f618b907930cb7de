//! One client connection: what it is doing and since when, and what it is told from outside.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

use crate::base::client_addr::Peer;
use crate::base::clock::Tick;

use super::upstream::Sender;

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
    /// The request takes longer than most: forgotten with the next one.
    Lasting = 8,
    /// The session that the request was let in by has ended: forgotten with the next one.
    Outlived = 16,
}

/// What is said of one request alone.
const OF_REQUEST: u8 = Told::Overdue as u8 | Told::Lasting as u8 | Told::Outlived as u8;

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
    /// The application's connection that a handshake of this client's runs on, or was made on.
    bound: Mutex<Option<Bound>>,
    _open: OpenGuard,
}

/// A connection to the application that belongs to one client connection: NTLM and Negotiate authenticate connections, so
/// it must never carry anybody else's request.
struct Bound {
    /// Of which app, by its place in the snapshot.
    app: usize,
    sender: Sender,
    /// The application has let somebody in on it.
    authenticated: bool,
}

impl Connection {
    /// A connection of which nothing has arrived. `coarse` is its core's coarse time.
    pub(super) fn new(peer: Peer, coarse: Arc<AtomicU64>, open: OpenGuard) -> Self {
        Self {
            peer_text: peer.ip().to_string(),
            peer,
            doing: AtomicU8::new(Doing::Waiting as u8),
            since: AtomicU64::new(coarse.load(Ordering::Relaxed)),
            stuck: AtomicU64::new(0),
            unread: AtomicBool::new(false),
            exchanges: AtomicU64::new(0),
            coarse,
            told: AtomicU8::new(0),
            waker: AtomicWaker::new(),
            bound: Mutex::new(None),
            _open: open,
        }
    }

    /// Keeps `sender` for later requests of this connection to the same app.
    pub(super) fn bind(&self, app: usize, sender: Sender, authenticated: bool) {
        *self.bound.lock().unwrap_or_else(PoisonError::into_inner) = Some(Bound { app, sender, authenticated });
    }

    /// The connection to `app` that was kept, which this takes out.
    pub(super) fn take_bound(&self, app: usize) -> Option<Sender> {
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        bound.take_if(|bound| bound.app == app).map(|bound| bound.sender)
    }

    /// Whether the application `app` has authenticated this client by its connection. Never behind a proxy, which shares
    /// its connections among its clients.
    pub(super) fn is_authenticated(&self, app: usize) -> bool {
        let bound = || self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        let good = |bound: &Bound| bound.app == app && bound.authenticated && !bound.sender.is_closed();
        !self.peer.is_trusted() && bound().as_ref().is_some_and(good)
    }

    /// A request begins; `complete`: nothing of it is to come.
    pub(super) fn begin(&self, complete: bool) {
        self.unread.store(!complete, Ordering::Relaxed);
        self.exchanges.store(self.exchange().wrapping_add(1), Ordering::Relaxed);
        if self.told.load(Ordering::Acquire) & OF_REQUEST != 0 {
            self.told.fetch_and(!OF_REQUEST, Ordering::Release);
        }
        self.set(if complete { Doing::Answering } else { Doing::Uploading });
    }

    /// Which request it is, counted from the connection's first.
    pub(super) fn exchange(&self) -> u64 {
        self.exchanges.load(Ordering::Relaxed)
    }

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

    /// Resolves when the request takes too long.
    pub(super) async fn overdue(&self) {
        self.hears(Told::Overdue).await;
    }

    /// Resolves when this is said. Wakes nobody by itself: requests are answered in the connection's task, which listens.
    pub(super) async fn hears(&self, what: Told) {
        poll_fn(|_| if self.is_told(what) { Poll::Ready(()) } else { Poll::Pending }).await;
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

//! One accept loop in front of one single-threaded runtime per core.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::base::metrics::Metrics;

use super::connection::{Connection, Doing, OpenGuard, Told};
use super::core::{Core, Shared};
use super::entry;
use super::phase::{Phase, PhaseWatch};

/// A head must be complete this long after its first byte (Z01).
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// A connection without a request is closed after this long: above the 60 s that ingress controllers keep theirs.
const IDLE_LIMIT: Duration = Duration::from_secs(75);
/// How long the application may take to begin its answer once the request is with it (T24), and a client may pause
/// within a request's body (Z02).
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// How long a client may take nothing of what is there for it (Z02).
const STUCK_LIMIT: Duration = Duration::from_secs(60);
/// How long a client is heard out after an answer that came before the end of its request.
const LINGER_LIMIT: Duration = Duration::from_secs(10);
/// TCP probes to a silent client: first, then, and how many without an answer before the connection is given up.
const PROBE_AFTER: Duration = Duration::from_secs(60);
const PROBE_EVERY: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;
/// How often each core looks for slow and idle connections, and hands on its access log.
const SWEEP: Duration = Duration::from_millis(500);
/// Bytes of a request's head; more are answered 431 (Z06). Header fields are at most 100, by hyper's default: asking for
/// the same number makes it build its tables on the heap.
const MAX_HEAD: usize = 64 * 1024;

/// The data plane's threads.
pub struct DataPlane {
    cores: Vec<Handle>,
    threads: Vec<std::thread::JoinHandle<()>>,
    phase: watch::Sender<Phase>,
    ended: mpsc::UnboundedReceiver<()>,
}

/// A connection on its way to its core.
type Arrived = (std::net::TcpStream, SocketAddr, OpenGuard);

struct Handle {
    sender: mpsc::UnboundedSender<Arrived>,
    open: Arc<AtomicUsize>,
}

impl DataPlane {
    /// Starts `workers` threads.
    ///
    /// # Errors
    /// A thread or its runtime cannot be made.
    pub fn start(shared: &Arc<Shared>, metrics: &Metrics, workers: usize) -> io::Result<Self> {
        let (phase, watched) = watch::channel(Phase::Serving);
        let (alive, ended) = mpsc::unbounded_channel();
        let mut plane = Self { cores: Vec::new(), threads: Vec::new(), phase, ended };
        for index in 0..workers.max(1) {
            let (sender, receiver) = mpsc::unbounded_channel();
            let open = Arc::new(AtomicUsize::new(0));
            let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default());
            let (shared, core_metrics) = (shared.clone(), metrics.core());
            let (core_phase, alive) = (watched.clone(), alive.clone());
            let thread = std::thread::Builder::new().name(format!("data-{index}")).spawn(move || {
                // Dropped however the thread ends; the process does not go on without it.
                let _alive = AliveGuard(alive);
                match runtime() {
                    Ok(runtime) => {
                        let core = Core::new(shared, core_metrics, core_phase);
                        runtime.block_on(run(core, receiver));
                    }
                    Err(error) => tracing::error!(error = %error, "cannot start a data-plane runtime"),
                }
            })?;
            plane.cores.push(Handle { sender, open });
            plane.threads.push(thread);
        }
        Ok(plane)
    }

    /// Takes connections from `listener` until the phase is past serving, or a data-plane thread has ended.
    ///
    /// # Errors
    /// A data-plane thread ended by itself: the process should end too.
    pub async fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        let mut draining = PhaseWatch::new(self.phase.subscribe(), Phase::Draining);
        let mut turn = 0;
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        turn += 1;
                        self.hand_over(stream, peer, turn);
                    }
                    // Out of file descriptors, mostly: those in use will be free again.
                    Err(error) => {
                        tracing::warn!(error = %error, "cannot take a connection");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
                () = draining.wait() => return Ok(()),
                _ = self.ended.recv() => return Err(io::Error::other("a data-plane thread ended")),
            }
        }
    }

    /// Gives the connection to the core with the fewest; ties go round.
    fn hand_over(&self, stream: TcpStream, peer: SocketAddr, turn: usize) {
        let count = self.cores.len();
        let order = (0..count).filter_map(|i| self.cores.get((turn + i) % count));
        let Some(core) = order.min_by_key(|core| core.open.load(Ordering::Relaxed)) else { return };
        if let Ok(stream) = stream.into_std() {
            drop(core.sender.send((stream, peer, OpenGuard::new(core.open.clone()))));
        }
    }

    /// Moves to `phase`.
    pub fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// Connections and tunnels that are open.
    pub fn open(&self) -> usize {
        self.cores.iter().map(|core| core.open.load(Ordering::Relaxed)).sum()
    }

    /// Waits for the threads; call after [`Phase::Closing`].
    pub fn join(self) {
        drop(self.cores);
        for thread in self.threads {
            // A panic of the thread was reported when it happened.
            drop(thread.join());
        }
    }
}

struct AliveGuard(mpsc::UnboundedSender<()>);

impl Drop for AliveGuard {
    fn drop(&mut self) {
        // Nobody listens when the process ends anyway.
        self.0.send(()).ok();
    }
}

/// One core's life.
async fn run(core: Rc<Core>, mut connections: mpsc::UnboundedReceiver<Arrived>) {
    let sweeper = tokio::task::spawn_local(sweep(core.clone()));
    let (mut draining, mut closing) = (core.draining(), core.closing());
    let (mut draining, mut closing) = (pin!(draining.wait()), pin!(closing.wait()));
    let mut drained = false;
    loop {
        tokio::select! {
            connection = connections.recv() => match connection {
                Some((stream, peer, open)) => {
                    tokio::task::spawn_local(serve(core.clone(), stream, peer, open));
                }
                None => break,
            },
            () = &mut draining, if !drained => {
                drained = true;
                core.tell_all(Told::Drain);
            }
            () = &mut closing => break,
        }
    }
    core.tell_all(Told::Close);
    // One turn for connections that see the phase now.
    tokio::time::sleep(Duration::from_millis(20)).await;
    sweeper.abort();
    core.access_log.borrow_mut().flush();
}

async fn serve(core: Rc<Core>, stream: std::net::TcpStream, peer: SocketAddr, open: OpenGuard) {
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    drop(stream.set_nodelay(true));
    keep_alive(&stream).ok();
    let connection = core.connection(peer, open);
    let watched = Watched { stream, connection: connection.clone() };
    let service = {
        let (core, connection) = (core.clone(), connection.clone());
        service_fn(move |request| entry::serve(core.clone(), connection.clone(), request))
    };
    let http = http1::Builder::new()
        .max_header_size(MAX_HEAD)
        .serve_connection(TokioIo::new(watched), service)
        .with_upgrades();
    let mut http = pin!(http);
    let mut drained = false;
    let ended = poll_fn(|cx| {
        connection.listen(cx);
        if connection.is_told(Told::Close) {
            return Poll::Ready(Ok(()));
        }
        if !drained && connection.is_told(Told::Drain) {
            drained = true;
            http.as_mut().graceful_shutdown();
        }
        http.as_mut().poll(cx)
    });
    // What went wrong on a client's connection is the client's; what was no HTTP is worth a line.
    if let Err(error) = ended.await {
        core.malformed(&connection, &error);
    }
}

/// Has the kernel ask whether an idle client is still there: a tunnel or a silent stream to a machine that went away
/// without a word would be kept for ever. A socket that cannot do it works without.
fn keep_alive(stream: &TcpStream) -> rustix::io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, PROBE_AFTER)?;
    sockopt::set_tcp_keepintvl(stream, PROBE_EVERY)?;
    sockopt::set_tcp_keepcnt(stream, PROBES)
}

/// Looks after what has a limit in seconds.
async fn sweep(core: Rc<Core>) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        ticks.tick().await;
        let now = core.now();
        core.set_coarse_now(now);
        core.end_outlived(now);
        core.pools.borrow_mut().iter_mut().for_each(|pool| pool.prune(now));
        core.access_log.borrow_mut().flush();
        core.connections.borrow_mut().retain(|connection| {
            let Some(connection) = connection.upgrade() else { return false };
            let (doing, since) = connection.doing();
            let over = |limit| now.since(since) >= limit;
            let close = match doing {
                Doing::Waiting => over(IDLE_LIMIT),
                Doing::ReadingHead => over(HEAD_LIMIT),
                Doing::Lingering => over(LINGER_LIMIT),
                Doing::Uploading | Doing::Answering => {
                    if over(ANSWER_LIMIT) {
                        connection.tell(Told::Overdue);
                    }
                    if !connection.is_told(Told::Lasting) {
                        connection.tell(Told::Lasting);
                    }
                    false
                }
                Doing::Streaming | Doing::Tunnel => false,
            };
            if close || connection.stuck().is_some_and(|since| now.since(since) >= STUCK_LIMIT) {
                connection.tell(Told::Close);
            }
            true
        });
    }
}

/// A client's stream that notes when the first byte of a request arrives and when the client takes nothing, and that
/// hears a client out that is still sending when we close: a reset would take the answer from it.
struct Watched {
    stream: TcpStream,
    connection: Arc<Connection>,
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.connection.heard();
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.connection.wrote(polled.is_ready());
        polled
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.connection.wrote(polled.is_ready());
        polled
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        while self.connection.begins_to_linger() {
            let mut dropped = [std::mem::MaybeUninit::uninit(); 4096];
            let mut dropped = ReadBuf::uninit(&mut dropped);
            let read = std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, &mut dropped));
            if read.is_err() || dropped.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

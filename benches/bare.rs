//! The yardstick: a bare reverse proxy on hyper, one current-thread runtime per worker, upstream connections that never
//! leave their core, no authentication. What Anteroom costs more than this is what it does, not what it stands on.
//!
//! Streams bodies both ways and removes hop-by-hop fields (RFC 9110 section 7.6.1). It has no upgrades, no timeouts
//! and no limits: it is measured, never deployed.

use std::cell::RefCell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use http_body_util::{Either, Empty};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONNECTION, HeaderMap, HeaderName, TRANSFER_ENCODING, UPGRADE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use tokio::task::spawn_local;

/// How long a connection whose answer came before its request ended may take to become usable again.
const SETTLE: Duration = Duration::from_secs(5);
/// Idle upstream connections kept per worker.
const IDLE: usize = 256;

#[derive(Parser)]
struct Flags {
    /// Where clients connect.
    #[arg(long)]
    listen: SocketAddr,
    /// Where requests go.
    #[arg(long)]
    upstream: SocketAddr,
    /// Threads that forward, each with a runtime of its own.
    #[arg(long, default_value_t = 1)]
    workers: usize,
}

type Problem = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Problem> {
    let flags = Flags::parse();
    let workers: Vec<Worker> = (0..flags.workers).map(|_| Worker::start(flags.upstream)).collect::<Result<_, _>>()?;
    Builder::new_current_thread().enable_io().build_local(LocalOptions::default())?.block_on(async {
        let listener = TcpListener::bind(flags.listen).await?;
        let mut turn = 0;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            turn += 1;
            // The core with the fewest connections; ties rotate.
            let fewest = (0..workers.len())
                .filter_map(|i| workers.get((turn + i) % workers.len()))
                .min_by_key(|worker| worker.connections.load(Ordering::Relaxed));
            let worker = fewest.ok_or("no workers")?;
            let counted = Counted::new(&worker.connections);
            worker.hand_over.send((stream.into_std()?, counted)).map_err(|_| "a worker ended")?;
        }
    })
}

/// A thread that forwards, as the accept loop sees it.
struct Worker {
    hand_over: mpsc::UnboundedSender<(std::net::TcpStream, Counted)>,
    connections: Arc<AtomicUsize>,
}

impl Worker {
    fn start(upstream: SocketAddr) -> std::io::Result<Self> {
        let (hand_over, mut incoming) = mpsc::unbounded_channel::<(std::net::TcpStream, Counted)>();
        std::thread::Builder::new().name("worker".into()).spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
            runtime.block_on(async move {
                let pool = Rc::new(Pool { upstream, idle: RefCell::default() });
                while let Some((stream, counted)) = incoming.recv().await {
                    let stream = TcpStream::from_std(stream)?;
                    spawn_local(serve(stream, Rc::clone(&pool), counted));
                }
                Ok::<_, std::io::Error>(())
            })
        })?;
        Ok(Self { hand_over, connections: Arc::default() })
    }
}

/// One connection in a worker's count, until dropped.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn serve(stream: TcpStream, pool: Rc<Pool>, _counted: Counted) {
    let service = service_fn(move |request| {
        let pool = Rc::clone(&pool);
        async move { Ok::<_, Infallible>(forward(&pool, request).await) }
    });
    // An error here is a client that went away.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn forward(pool: &Rc<Pool>, mut request: Request<Incoming>) -> Response<Either<Pooled, Empty<Bytes>>> {
    strip_hop_by_hop(request.headers_mut());
    *request.version_mut() = Version::HTTP_11;
    match pool.send(request).await {
        Ok((mut response, connection)) => {
            strip_hop_by_hop(response.headers_mut());
            *response.version_mut() = Version::HTTP_11;
            response.map(|body| Either::Left(Pooled::new(body, connection, Rc::clone(pool))))
        }
        Err(_) => {
            let mut response = Response::new(Either::Right(Empty::new()));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    }
}

/// Transfer-Encoding stays: hyper frames the body anew and reads from the field only that there is one.
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if let Some(connection) = headers.remove(CONNECTION) {
        for name in connection.to_str().unwrap_or_default().split(',') {
            match HeaderName::try_from(name.trim()) {
                Ok(name) if name != TRANSFER_ENCODING => headers.remove(name),
                _ => None,
            };
        }
    }
    headers.remove(UPGRADE);
}

/// The upstream connections of one worker that are ready for a request; the one used last is used next.
struct Pool {
    upstream: SocketAddr,
    idle: RefCell<Vec<SendRequest<Incoming>>>,
}

impl Pool {
    /// Sends on an idle connection, and on the next if that one turns out closed before anything was written; on a
    /// new one when there is none.
    async fn send(
        &self,
        mut request: Request<Incoming>,
    ) -> Result<(Response<Incoming>, SendRequest<Incoming>), Problem> {
        loop {
            let idle = self.idle.borrow_mut().pop();
            let Some(mut connection) = idle else { break };
            match connection.try_send_request(request).await {
                Ok(response) => return Ok((response, connection)),
                Err(mut unsent) => match unsent.take_message() {
                    Some(given_back) => request = given_back,
                    None => return Err(unsent.into_error().into()),
                },
            }
        }
        let mut connection = self.connect().await?;
        let response = connection.send_request(request).await?;
        Ok((response, connection))
    }

    async fn connect(&self) -> Result<SendRequest<Incoming>, Problem> {
        let stream = TcpStream::connect(self.upstream).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        spawn_local(connection);
        Ok(sender)
    }

    /// Takes back a connection whose answer has ended. One whose request body is still on its way is waited for
    /// outside the pool: at check-out it would stall somebody else's request.
    fn put_back(self: &Rc<Self>, mut connection: SendRequest<Incoming>) {
        if connection.is_ready() {
            self.keep(connection);
        } else if !connection.is_closed() {
            let pool = Rc::clone(self);
            spawn_local(async move {
                if let Ok(Ok(())) = tokio::time::timeout(SETTLE, connection.ready()).await {
                    pool.keep(connection);
                }
            });
        }
    }

    fn keep(&self, connection: SendRequest<Incoming>) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < IDLE {
            idle.push(connection);
        }
    }
}

/// An answer's body that gives its connection back when it has ended, and drops it when it is dropped earlier.
struct Pooled {
    body: Incoming,
    held: Option<(SendRequest<Incoming>, Rc<Pool>)>,
}

impl Pooled {
    fn new(body: Incoming, connection: SendRequest<Incoming>, pool: Rc<Pool>) -> Self {
        let mut pooled = Self { body, held: Some((connection, pool)) };
        // An empty body may never be polled.
        if pooled.body.is_end_stream() {
            pooled.release();
        }
        pooled
    }

    fn release(&mut self) {
        if let Some((connection, pool)) = self.held.take() {
            pool.put_back(connection);
        }
    }
}

impl Body for Pooled {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            // A body of known length is not polled again after its last frame.
            Poll::Ready(Some(Ok(_))) if self.body.is_end_stream() => self.release(),
            Poll::Ready(None) => self.release(),
            Poll::Ready(Some(Err(_))) => self.held = None,
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

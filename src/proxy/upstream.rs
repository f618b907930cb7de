//! Connections to the application: each core keeps its own, and nothing is shared between cores.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::base::clock::Tick;
use crate::base::net::is_localhost_name;
use crate::config::Upstream;

use super::body::RequestBody;
use super::connection::Connection;
use super::core::Core;

/// Time to connect to the application (T24).
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// How long an unused connection is kept. Short: the application's own limit may be as low as 5 s.
const IDLE_LIMIT: Duration = Duration::from_secs(30);
/// Unused connections kept per core and app.
const MAX_IDLE: usize = 128;
/// How long a connection may take to be ready again after its answer's body has ended: an upload that is still
/// running may hold it.
const READY_LIMIT: Duration = Duration::from_secs(5);

pub(super) type Sender = SendRequest<RequestBody>;

/// The unused connections of one core to one app, the one used last on top.
#[derive(Default)]
pub(super) struct Pool {
    idle: Vec<(Sender, Tick)>,
}

impl Pool {
    /// A connection that looks alive.
    pub(super) fn take(&mut self, now: Tick) -> Option<Sender> {
        while let Some((sender, since)) = self.idle.pop() {
            if sender.is_ready() && now.since(since) < IDLE_LIMIT {
                return Some(sender);
            }
        }
        None
    }

    fn put(&mut self, sender: Sender, now: Tick) {
        if self.idle.len() < MAX_IDLE {
            self.idle.push((sender, now));
        }
    }

    /// Closes connections that were not used lately.
    pub(super) fn prune(&mut self, now: Tick) {
        self.idle.retain(|(sender, since)| !sender.is_closed() && now.since(*since) < IDLE_LIMIT);
    }
}

/// A connection in use; it goes back to its pool only through [`Lease::give_back`], when the answer's body has ended.
pub(super) struct Lease {
    pub(super) core: Rc<Core>,
    pub(super) app: usize,
    pub(super) sender: Sender,
    /// The client connection that it belongs to, in place of the pool, and whether it is authenticated.
    pub(super) bound: Option<(Arc<Connection>, bool)>,
}

impl Lease {
    /// Back to the pool, now or as soon as the connection can take a request again.
    pub(super) fn give_back(mut self) {
        if let Some((connection, authenticated)) = self.bound {
            // At once: the client's next step of the handshake may be here already, and waits until it is ready.
            connection.bind(self.app, self.sender, authenticated);
        } else if self.sender.is_ready() {
            self.put();
        } else if !self.sender.is_closed() {
            tokio::task::spawn_local(async move {
                if let Ok(Ok(())) = tokio::time::timeout(READY_LIMIT, self.sender.ready()).await {
                    self.put();
                }
            });
        }
    }

    fn put(self) {
        let now = self.core.coarse_now();
        if let Some(pool) = self.core.pools.borrow_mut().get_mut(self.app) {
            pool.put(self.sender, now);
        }
    }
}

/// The connection that belongs to this client connection, once it can take a request.
pub(super) async fn bound(connection: &Connection, app: usize) -> Option<Sender> {
    let mut sender = connection.take_bound(app)?;
    let ready = tokio::time::timeout(READY_LIMIT, sender.ready()).await;
    matches!(ready, Ok(Ok(()))).then_some(sender)
}

/// A new connection to `upstream`, driven by a task of this core. With `upgrade`, the connection can leave HTTP.
///
/// # Errors
/// It cannot be reached within three seconds.
pub(super) async fn connect(upstream: &Upstream, upgrade: bool) -> io::Result<Sender> {
    let stream = tokio::time::timeout(CONNECT_LIMIT, dial(upstream))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer within 3 s"))??;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::Builder::new().handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // Errors of the connection reach whoever waits for its answer.
    if upgrade {
        tokio::task::spawn_local(async move { drop(connection.with_upgrades().await) });
    } else {
        tokio::task::spawn_local(async move { drop(connection.await) });
    }
    Ok(sender)
}

/// Connects to `upstream` as requests do, and hangs up: for `anteroom doctor`.
///
/// # Errors
/// It cannot be reached within three seconds.
pub async fn reach(upstream: &Upstream) -> io::Result<()> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer within 3 s");
    tokio::time::timeout(CONNECT_LIMIT, dial(upstream)).await.map_err(late)?.map(drop)
}

async fn dial(upstream: &Upstream) -> io::Result<TcpStream> {
    if let Ok(ip) = upstream.host.parse::<IpAddr>() {
        return TcpStream::connect(SocketAddr::new(ip, upstream.port)).await;
    }
    if is_localhost_name(&upstream.host) {
        // RFC 6761: by ourselves; not every resolver knows `*.localhost`.
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        return TcpStream::connect(&loopback.map(|ip| SocketAddr::new(ip, upstream.port))[..]).await;
    }
    TcpStream::connect((upstream.host.as_str(), upstream.port)).await
}

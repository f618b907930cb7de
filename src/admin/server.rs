//! Takes connections on the socket, from those who may.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::audit::Audit;

use super::{Control, Socket, routes};

/// Connections at once. People type commands; a script that opens more waits.
const MAX_CONNECTIONS: usize = 16;
/// How long a client may take to say what it wants.
const HEADER_TIME: Duration = Duration::from_secs(5);
/// How long a connection lives at most.
const CONNECTION_TIME: Duration = Duration::from_secs(120);

/// What every connection is served with.
pub(super) struct Served {
    pub(super) control: Arc<dyn Control>,
    pub(super) audit: Arc<Audit>,
}

/// Who is at the other end, as the kernel says (unix(7), `SO_PEERCRED`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) uid: u32,
    pub(super) pid: Option<i32>,
}

/// Answers until it is dropped; then the socket's file is gone, and commands that were waiting for an answer get none.
pub async fn serve(socket: Socket, control: Arc<dyn Control>, audit: Arc<Audit>) {
    let served = Arc::new(Served { control, audit });
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        // Never closed, so there always comes a slot.
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        match socket.listener.accept().await {
            Ok((stream, _)) => {
                let served = served.clone();
                connections.spawn(async move {
                    // A client that goes away or is too slow is its own affair.
                    drop(tokio::time::timeout(CONNECTION_TIME, connection(stream, served)).await);
                    drop(slot);
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn connection(stream: UnixStream, served: Arc<Served>) {
    let peer = peer(&stream);
    let allowed = peer.as_ref().is_ok_and(|peer| may(peer.uid, rustix::process::geteuid().as_raw()));
    if !allowed {
        tracing::warn!(peer = ?peer, "admin socket: refused a user who is neither ours nor root");
    }
    let service = service_fn(move |request: Request<Incoming>| {
        let served = served.clone();
        let peer = peer.as_ref().ok().copied().filter(|_| allowed);
        async move {
            let answer = match peer {
                Some(peer) => routes::answer(served, peer, request).await,
                None => refused(),
            };
            Ok::<_, Infallible>(answer)
        }
    });
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    drop(http.await);
}

/// The file's mode keeps others away already; this holds also where somebody changed it.
fn may(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

fn peer(stream: &UnixStream) -> io::Result<Peer> {
    let found = stream.peer_cred()?;
    Ok(Peer { uid: found.uid(), pid: found.pid() })
}

fn refused() -> Response<Full<Bytes>> {
    let own = rustix::process::geteuid().as_raw();
    routes::problem(StatusCode::FORBIDDEN, "not_allowed", &format!("only user {own} and root may ask this process"))
}

#[cfg(test)]
mod tests {
    use super::may;

    #[test]
    fn our_own_user_and_root_may_and_nobody_else() {
        assert!(may(1000, 1000) && may(0, 1000) && may(0, 0));
        assert!(!may(1001, 1000) && !may(65534, 1000) && !may(1000, 0));
    }
}

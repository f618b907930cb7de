//! Listening: one accept loop per site, HTTP/1.1, plain http on loopback.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::clock::unix_now;
use crate::reply::{self, Reply};
use crate::request::Asked;

/// Nothing in the demo is posted that is larger.
const BODY_LIMIT: usize = 64 * 1024;

/// Something that answers requests. `now` is in seconds since 1970.
pub(crate) trait Site: Send + Sync + 'static {
    fn answer(&self, request: &Asked, now: u64) -> Reply;
}

/// Accepts until the runtime ends.
pub(crate) async fn serve(listener: TcpListener, site: Arc<dyn Site>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: give connections time to end.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(&*site, request));
            // A connection that breaks is its client's business; there is nobody to tell.
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(site: &dyn Site, request: Request<Incoming>) -> Result<Reply, Infallible> {
    let (parts, body) = request.into_parts();
    Ok(match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => site.answer(&Request::from_parts(parts, body.to_bytes()), unix_now()),
        Err(_) => reply::text(StatusCode::PAYLOAD_TOO_LARGE, "The body is incomplete or larger than 64 KB."),
    })
}

/// Binds, or says in a sentence which port is in the way and what to do.
pub(crate) async fn bind(address: SocketAddr, purpose: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|cause| port_problem(address, purpose, &cause))
}

/// Finds out whether somebody else could bind: Anteroom, in a moment.
pub(crate) async fn probe(address: SocketAddr, purpose: &str) -> Result<(), String> {
    bind(address, purpose).await.map(drop)
}

fn port_problem(address: SocketAddr, purpose: &str, cause: &io::Error) -> String {
    let port = address.port();
    let what = if cause.kind() == io::ErrorKind::AddrInUse {
        format!("Port {port} ({purpose}) is taken by another program.")
    } else {
        format!("Cannot listen on {address} ({purpose}): {cause}.")
    };
    let flag = "--port-base 5180";
    format!(
        "{what}\nEnd that program, or move the whole demo: {}=5180 in the environment, or the flag {flag}.",
        crate::args::PORT_VARIABLE
    )
}

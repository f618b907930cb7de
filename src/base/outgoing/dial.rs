//! Opens connections: resolves names, judges the resolved addresses, tunnels through the proxy. The judgement falls
//! on the address that is connected to, so a name that changes its address between two look-ups gains nothing.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::address::{AddressClass, Reach, literal};
use super::proxy::Proxy;
use crate::base::net::is_localhost_name;

/// One address that does not answer must not use up the time of the call.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// Why no connection was made.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("the URL has no host")]
    NoHost,
    #[error("the name has only {0} addresses")]
    Forbidden(AddressClass),
    #[error("the name cannot be resolved")]
    Resolve(#[source] io::Error),
    #[error("no connection")]
    Connect(#[source] io::Error),
    #[error("no connection through the proxy")]
    Proxy(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Opens connections for a client. `reach` and `proxy` hold for every connection in that client's pool.
#[derive(Clone)]
pub(super) struct Dialer {
    pub(super) reach: Reach,
    pub(super) proxy: Option<Arc<Proxy>>,
}

type Dialing = Pin<Box<dyn Future<Output = Result<Dialed, DialError>> + Send>>;

impl Service<Uri> for Dialer {
    type Response = Dialed;
    type Error = DialError;
    type Future = Dialing;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Dialing {
        let Self { reach, proxy } = self.clone();
        Box::pin(async move {
            let host = target.host().ok_or(DialError::NoHost)?;
            match proxy.filter(|proxy| proxy.serves(host)) {
                None => connect(&target, reach).await,
                Some(proxy) => through(&proxy, target, reach).await,
            }
        })
    }
}

/// Through the proxy: CONNECT for https, absolute-form (RFC 9112 section 3.2.2) for http. The proxy resolves names,
/// so only addresses that are written out can be judged here; for names, the proxy's own rules have to do it.
async fn through(proxy: &Proxy, target: Uri, reach: Reach) -> Result<Dialed, DialError> {
    let class = match target.host().and_then(literal) {
        Some(ip) if !reach.allows(ip) => return Err(DialError::Forbidden(AddressClass::of(ip))),
        Some(ip) => AddressClass::of(ip),
        None => AddressClass::Public,
    };
    if target.scheme() == Some(&Scheme::HTTPS) {
        let mut tunnel = Tunnel::new(proxy.uri.clone(), Dialer { reach: Reach::AsWritten, proxy: None });
        if let Some(authorization) = &proxy.authorization {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        let stream = tunnel.call(target).await.map_err(|e| DialError::Proxy(Box::new(e)))?;
        return Ok(Dialed { class, ..stream });
    }
    let stream = connect(&proxy.uri, Reach::AsWritten).await.map_err(|e| DialError::Proxy(Box::new(e)))?;
    Ok(Dialed { class, absolute_form: true, ..stream })
}

async fn connect(target: &Uri, reach: Reach) -> Result<Dialed, DialError> {
    let host = target.host().ok_or(DialError::NoHost)?;
    let port = target.port_u16().unwrap_or(if target.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 });
    let mut refused = DialError::Resolve(io::Error::new(io::ErrorKind::NotFound, "no address"));
    for address in resolve(host, port).await? {
        if !reach.allows(address.ip()) {
            refused = DialError::Forbidden(AddressClass::of(address.ip()));
            continue;
        }
        match tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(DialError::Connect)?;
                let class = AddressClass::of(address.ip());
                return Ok(Dialed { io: TokioIo::new(stream), class, absolute_form: false });
            }
            Ok(Err(e)) => refused = DialError::Connect(e),
            Err(_) => refused = DialError::Connect(io::ErrorKind::TimedOut.into()),
        }
    }
    Err(refused)
}

/// `localhost` and its subdomains are this machine whatever the resolver says (RFC 6761 section 6.3).
async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
    let at = |ip: IpAddr| SocketAddr::new(ip, port);
    if let Some(ip) = literal(host) {
        return Ok(vec![at(ip)]);
    }
    if is_localhost_name(host) {
        return Ok(vec![at(Ipv4Addr::LOCALHOST.into()), at(Ipv6Addr::LOCALHOST.into())]);
    }
    Ok(tokio::net::lookup_host((host, port)).await.map_err(DialError::Resolve)?.collect())
}

/// A connection, and what the client has to know of it.
pub(super) struct Dialed {
    io: TokioIo<TcpStream>,
    class: AddressClass,
    absolute_form: bool,
}

/// The class of the address that answered, as an extension of the response.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeerClass(pub(super) AddressClass);

impl Connection for Dialed {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.absolute_form).extra(PeerClass(self.class))
    }
}

impl Read for Dialed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Dialed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}

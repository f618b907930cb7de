//! Calls to identity providers. Bounded in time and size, never following a redirect, never keeping a cookie, and
//! never led by a document from a public issuer into the network that Anteroom stands in.

mod address;
mod dial;
mod proxy;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, DATE, PROXY_AUTHORIZATION, USER_AGENT};
use http::uri::Scheme;
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::clock::Timestamp;
use super::net::is_loopback_host;
pub use address::{AddressClass, Reach};
use dial::{DialError, Dialer, PeerClass};
use proxy::Proxy;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What the operator configured under `[outgoing]`.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Egress proxy, `http://[user:password@]host:port`.
    pub proxy: Option<url::Url>,
    /// Hosts reached without it: names, `.suffixes`, IP addresses, CIDRs, `*`. Loopback hosts always are.
    pub no_proxy: Vec<String>,
    /// PEM file with roots beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Lets plain http off loopback through.
    pub insecure_http: bool,
}

/// The `[outgoing]` section cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OutgoingSetupError {
    /// The proxy's URL is not `http://host:port`.
    #[error("the proxy is not http://host:port")]
    Proxy,
    /// The file cannot be read or is not PEM.
    #[error("cannot read certificates from {}", path.display())]
    CaFile {
        path: PathBuf,
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// A certificate in the file cannot be a root, or there is none.
    #[error("no usable root certificate in {}", path.display())]
    CaCertificate { path: PathBuf },
    /// The TLS library refused its own defaults.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// Why a call gave no answer. Names hosts, never paths or queries.
#[derive(Debug, thiserror::Error)]
pub enum OutgoingError {
    /// Not an absolute http or https URL.
    #[error("not an absolute http or https URL")]
    Url,
    /// Plain http off loopback, without `outgoing.insecure_http`.
    #[error("{host}: plain http is refused")]
    PlainHttp { host: String },
    /// The host's addresses are none that the document naming it may lead to (O34).
    #[error("{host}: an address of class {class} is refused")]
    AddressRefused { host: String, class: AddressClass },
    /// No connection, or it broke before an answer came.
    #[error("{host}: no answer")]
    Unreachable {
        host: String,
        #[source]
        source: BoxError,
    },
    /// Time ran out.
    #[error("{host}: no full answer in time")]
    TimedOut { host: String, answered: bool },
    /// The body is larger than the caller reads.
    #[error("{host}: the answer is too large")]
    TooLarge { host: String },
    /// The body is compressed although that was not asked for; it could be a bomb.
    #[error("{host}: the answer has a content encoding")]
    Encoded { host: String },
    /// The connection broke within the body.
    #[error("{host}: the answer broke off")]
    BrokenOff {
        host: String,
        #[source]
        source: BoxError,
    },
}

impl OutgoingError {
    /// Whether the server had begun to answer: then the answer was bad, rather than the way there.
    pub fn answered(&self) -> bool {
        match self {
            Self::TimedOut { answered, .. } => *answered,
            Self::TooLarge { .. } | Self::Encoded { .. } | Self::BrokenOff { .. } => true,
            Self::Url | Self::PlainHttp { .. } | Self::AddressRefused { .. } | Self::Unreachable { .. } => false,
        }
    }
}

/// Limits of one call.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the look-up of the name to the last byte.
    pub time: Duration,
    /// Bytes of body that are read.
    pub body: usize,
}

/// An answer, read whole.
#[derive(Clone)]
pub struct Answer {
    /// As sent; a redirect is an answer like others.
    pub status: StatusCode,
    /// The media type in lower case, without parameters.
    pub content_type: Option<String>,
    pub body: Bytes,
    /// The `Date` header: the server's clock, in whole seconds. None: it has none that can be read.
    pub date: Option<Timestamp>,
    /// Where it came from. Behind the egress proxy a name counts as public.
    pub from: AddressClass,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { status, content_type, body, date: _, from } = self;
        write!(f, "Answer({status}, {content_type:?}, {} bytes, {from})", body.len())
    }
}

/// The client for calls to providers. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Outgoing {
    shared: Arc<Shared>,
    client: Client<HttpsConnector<Dialer>, Full<Bytes>>,
}

struct Shared {
    tls: Arc<rustls::ClientConfig>,
    proxy: Option<Arc<Proxy>>,
    insecure_http: bool,
}

impl Outgoing {
    /// A client that goes wherever it is told ([`Reach::AsWritten`]).
    ///
    /// # Errors
    /// The proxy's URL or the certificate file cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, OutgoingSetupError> {
        let proxy = match &settings.proxy {
            Some(url) => Some(Arc::new(Proxy::new(url, &settings.no_proxy)?)),
            None => None,
        };
        let tls = Arc::new(tls(settings.ca_file.as_ref())?);
        let shared = Arc::new(Shared { tls, proxy, insecure_http: settings.insecure_http });
        Ok(Self { client: client(&shared, Reach::AsWritten), shared })
    }

    /// The same client for calls to where a document named. It has connections of its own: one that was opened for
    /// an address the operator wrote must not carry a call that may not go there.
    #[must_use]
    pub fn reaching(&self, reach: Reach) -> Self {
        Self { client: client(&self.shared, reach), shared: Arc::clone(&self.shared) }
    }

    /// Gets `url`, asking for the media type `accept`.
    ///
    /// # Errors
    /// See [`OutgoingError`]. An answer of any status is no error.
    pub async fn get(&self, url: &str, accept: &'static str, limits: Limits) -> Result<Answer, OutgoingError> {
        let request = Request::get(url).header(ACCEPT, accept).body(Vec::new()).map_err(|_| OutgoingError::Url)?;
        self.send(request, limits).await
    }

    /// Sends `request`, whose URI is absolute.
    ///
    /// # Errors
    /// See [`OutgoingError`]. An answer of any status is no error.
    pub async fn send(&self, request: Request<Vec<u8>>, limits: Limits) -> Result<Answer, OutgoingError> {
        let mut request = request.map(|body| Full::new(Bytes::from(body)));
        let host = self.judge(request.uri())?.to_owned();
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("anteroom"));
        if let Some(proxy) = self.shared.proxy.as_deref()
            && request.uri().scheme() == Some(&Scheme::HTTP)
            && proxy.serves(&host)
            && let Some(authorization) = &proxy.authorization
        {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        let mut answered = false;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|e| unreachable(&host, e))?;
            answered = true;
            read(response, &host, limits.body).await
        };
        match tokio::time::timeout(limits.time, exchange).await {
            Ok(result) => result,
            Err(_) => Err(OutgoingError::TimedOut { host, answered }),
        }
    }

    fn judge<'u>(&self, uri: &'u Uri) -> Result<&'u str, OutgoingError> {
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(OutgoingError::Url)?;
        match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => Ok(host),
            Some(scheme) if *scheme == Scheme::HTTP => {
                if self.shared.insecure_http || is_loopback_host(host) {
                    Ok(host)
                } else {
                    Err(OutgoingError::PlainHttp { host: host.to_owned() })
                }
            }
            _ => Err(OutgoingError::Url),
        }
    }
}

async fn read(
    response: http::Response<hyper::body::Incoming>,
    host: &str,
    limit: usize,
) -> Result<Answer, OutgoingError> {
    let host = || host.to_owned();
    let (head, body) = response.into_parts();
    let identity = |v: &HeaderValue| v.as_bytes().eq_ignore_ascii_case(b"identity");
    if !head.headers.get_all(CONTENT_ENCODING).iter().all(identity) {
        return Err(OutgoingError::Encoded { host: host() });
    }
    let body = Limited::new(body, limit).collect().await.map_err(|source| {
        if source.is::<LengthLimitError>() {
            OutgoingError::TooLarge { host: host() }
        } else {
            OutgoingError::BrokenOff { host: host(), source }
        }
    })?;
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).map(|v| {
        let media_type = v.split_once(';').map_or(v, |(media_type, _)| media_type);
        media_type.trim().to_ascii_lowercase()
    });
    let from = head.extensions.get::<PeerClass>().map_or(AddressClass::Public, |peer| peer.0);
    let date = head.headers.get(DATE).and_then(|value| http_date(value.to_str().ok()?));
    Ok(Answer { status: head.status, content_type, body: body.to_bytes(), date, from })
}

/// An HTTP date (RFC 9110 section 5.6.7) in the form that servers have to send.
fn http_date(text: &str) -> Option<Timestamp> {
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Timestamp::from_secs(at.as_second()))
}

fn unreachable(host: &str, error: hyper_util::client::legacy::Error) -> OutgoingError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(e) = cause {
        if let Some(DialError::Forbidden(class)) = e.downcast_ref() {
            return OutgoingError::AddressRefused { host: host.to_owned(), class: *class };
        }
        cause = e.source();
    }
    OutgoingError::Unreachable { host: host.to_owned(), source: Box::new(error) }
}

fn client(shared: &Shared, reach: Reach) -> Client<HttpsConnector<Dialer>, Full<Bytes>> {
    let dialer = Dialer { reach, proxy: shared.proxy.clone() };
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(8)
        .http1_max_buf_size(64 * 1024)
        .build(HttpsConnector::from((dialer, Arc::clone(&shared.tls))))
}

/// The system's roots and those of `ca_file`; an image without system roots has the ones compiled in.
fn tls(ca_file: Option<&PathBuf>) -> Result<rustls::ClientConfig, OutgoingSetupError> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if let Some(path) = ca_file {
        let unreadable = |source| OutgoingSetupError::CaFile { path: path.clone(), source };
        let unusable = || OutgoingSetupError::CaCertificate { path: path.clone() };
        let before = roots.len();
        for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
            roots.add(certificate.map_err(unreadable)?).map_err(|_| unusable())?;
        }
        if roots.len() == before {
            return Err(unusable());
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(OutgoingSetupError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests;

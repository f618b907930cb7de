//! An API on loopback that answers what a test tells it to.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use url::Url;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) query: BTreeMap<String, String>,
    pub(super) authorization: Option<String>,
    pub(super) form: BTreeMap<String, String>,
}

/// An answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
    /// The body never ends, and nothing more comes.
    pub(super) open: bool,
}

impl Reply {
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<String>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status, headers, body: body.into(), open: false }
    }

    pub(super) fn json(body: &Value) -> Self {
        Self::new(200, "application/json", body.to_string())
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(super) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(super) fn open(mut self) -> Self {
        self.open = true;
        self
    }
}

type Answering = Box<dyn FnMut(&Seen) -> Reply + Send>;

pub(super) struct Fake {
    pub(super) url: Url,
    answering: Arc<Mutex<Answering>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Fake {
    pub(super) async fn start(answering: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let answering: Arc<Mutex<Answering>> = Arc::new(Mutex::new(Box::new(answering)));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let fake = Self { url, answering: Arc::clone(&answering), seen: Arc::clone(&seen) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answering, seen) = (Arc::clone(&answering), Arc::clone(&seen));
                let service = service_fn(move |request| serve(request, Arc::clone(&answering), Arc::clone(&seen)));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        fake
    }

    /// From now on it answers this.
    pub(super) fn answers(&self, answering: impl FnMut(&Seen) -> Reply + Send + 'static) {
        *self.answering.lock().unwrap() = Box::new(answering);
    }

    /// What it was asked so far; forgets it.
    pub(super) fn taken(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

async fn serve(
    request: Request<Incoming>,
    answering: Arc<Mutex<Answering>>,
    seen: Arc<Mutex<Vec<Seen>>>,
) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, Infallible> {
    let pairs = |text: &[u8]| url::form_urlencoded::parse(text).into_owned().collect();
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let request = Seen {
        path: head.uri.path().to_owned(),
        query: pairs(head.uri.query().unwrap_or_default().as_bytes()),
        authorization: head.headers.get("authorization").map(|v| v.to_str().unwrap().to_owned()),
        form: pairs(&body),
    };
    let reply = (answering.lock().unwrap())(&request);
    seen.lock().unwrap().push(request);
    let mut response = Response::builder().status(StatusCode::from_u16(reply.status).unwrap());
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    let body = if reply.open {
        let parts = futures_util::stream::unfold(Some(reply.body), |part| async {
            match part {
                Some(part) => Some((Ok(Frame::data(Bytes::from(part))), None)),
                None => std::future::pending().await,
            }
        });
        StreamBody::new(parts).boxed_unsync()
    } else {
        Full::from(reply.body).boxed_unsync()
    };
    Ok(response.body(body).unwrap())
}

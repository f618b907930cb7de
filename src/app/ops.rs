//! The operators' listener: `/livez`, `/readyz`, `/metrics`. Never the data listener, where a request could choose to
//! look like a health check (X16).

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::base::metrics::Metrics;
use crate::session::SessionStore;

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers until it is dropped.
pub(super) async fn serve(
    listener: TcpListener,
    ready: Arc<AtomicBool>,
    sessions: SessionStore,
    metrics: Arc<Metrics>,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (ready, sessions, metrics) = (ready.clone(), sessions.clone(), metrics.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let ready = match (ready.load(Ordering::Acquire), sessions.is_fresh(sessions.now())) {
                    (false, _) => Err("stopping\n"),
                    (true, false) => Err("the directory database is away\n"),
                    (true, true) => Ok(()),
                };
                let answer = answer(request.method(), request.uri().path(), ready, &metrics);
                async move { Ok::<_, Infallible>(answer) }
            });
            let http = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .serve_connection(TokioIo::new(stream), service);
            // A scraper that goes away is its own affair.
            drop(http.await);
        });
    }
}

fn answer(method: &Method, path: &str, ready: Result<(), &'static str>, metrics: &Metrics) -> Response<Full<Bytes>> {
    let (status, kind, body) = match (method, path) {
        (&Method::GET | &Method::HEAD, "/livez") => (StatusCode::OK, TEXT, "ok\n".to_owned()),
        (&Method::GET | &Method::HEAD, "/readyz") => match ready {
            Ok(()) => (StatusCode::OK, TEXT, "ok\n".to_owned()),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, why.to_owned()),
        },
        (&Method::GET | &Method::HEAD, "/metrics") => (StatusCode::OK, OPEN_METRICS, metrics.render()),
        (_, "/livez" | "/readyz" | "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET only\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, TEXT, "here are /livez, /readyz and /metrics\n".to_owned()),
    };
    let builder = Response::builder().status(status).header(CONTENT_TYPE, kind).header(CACHE_CONTROL, "no-store");
    builder.body(Full::new(Bytes::from(body))).unwrap_or_default()
}

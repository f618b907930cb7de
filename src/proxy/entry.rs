//! One request, from its head to its answer. Read this first.

use std::convert::Infallible;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::FutureExt as _;
use http::header::{self, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode, Uri};
use hyper::body::{Body as _, Incoming};

use crate::audit::{Event, Outcome};
use crate::base::clock::Tick;
use crate::base::path::{self, Own};
use crate::explain;
use crate::gate::Asker;
use crate::web::Visit;

use super::access_log::Line;
use super::answer::{Answer, Arrived};
use super::body::Body;
use super::connection::{Connection, Doing};
use super::control::{self, Abandoned};
use super::core::{Core, Exchange};
use super::head::head_problem;
use super::judge::{Aim, judge};
use super::story::{self};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Answers one request. A panic costs this request, not the thread.
pub(super) async fn serve(
    core: Rc<Core>,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let started = core.shared.clock.elapsed();
    core.set_coarse_now(Tick::from(started));
    let exchange = Exchange::begin(&core, &connection, request.body().is_end_stream());
    let (id, at) = (core.request_id(), core.shared.clock.now());
    let asker = Asker::of(request.method(), request.headers());
    let arrived = Arrived { id, tick: Tick::from(started), at, asker };
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let host = request.headers().get(header::HOST).cloned();

    let answered = AssertUnwindSafe(answer(&core, &connection, &uri, request, arrived)).catch_unwind().await;
    let mut answer = answered.unwrap_or_else(|_| {
        tracing::error!(request_id = id.as_str(), "a request ended in a panic: please report it");
        Answer::own(core.shared.site.internal_error(id.as_str()), "internal_error")
    });

    connection.set(Doing::Streaming);
    answer.response.headers_mut().insert(X_REQUEST_ID, id.value());
    let took = core.shared.clock.elapsed().saturating_sub(started);
    core.metrics.answered(answer.response.status().as_u16(), took);
    if core.shared.access_log {
        let behind = answer.client.filter(|client| *client != connection.peer.ip()).map(|client| client.to_string());
        core.access_log.borrow_mut().add(&Line {
            at: at.plus(took),
            request_id: id.as_str(),
            client: behind.as_deref().unwrap_or(&connection.peer_text),
            method: &method,
            host: host.as_ref().and_then(|h| h.to_str().ok()).unwrap_or_default(),
            path: uri.path(),
            app: answer.app,
            by: answer.by,
            status: answer.response.status().as_u16(),
            micros: took.as_micros(),
        });
    }
    Ok(answer.response.map(|body| body.during(exchange)))
}

async fn answer<'a>(
    core: &'a Rc<Core>,
    connection: &Arc<Connection>,
    uri: &Uri,
    request: Request<Incoming>,
    arrived: Arrived,
) -> Answer<'a> {
    let Arrived { id, asker, .. } = arrived;
    let refuse = |event: &'static str, status: StatusCode, reason: &'static str, client: IpAddr| {
        let event = Event::new(event, Outcome::Failure, reason).from_client(client, id.as_str());
        core.shared.audit.record_frequent(event);
        let asked = explain::Asked { at: arrived.at, client, request_id: id.as_str() };
        core.shared.explain.record(|| explain::Record::denial(explain::Step::Request, reason, true, asked));
        let mut answer = Answer::own(core.shared.site.refusal(status, reason, asker, id.as_str()), reason);
        answer.client = Some(client);
        answer
    };
    let authority = match head_problem(&request) {
        Ok(authority) => authority,
        Err((status, reason)) => {
            let mut answer = refuse("http.malformed", status, reason, connection.peer.ip());
            // What follows on this connection may be what somebody hid in it.
            close_after(&mut answer.response);
            return answer;
        }
    };
    let chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    let Ok(forwarded) = connection.peer.forwarded(request.headers(), &core.shared.trusted_proxies) else {
        return refuse("http.malformed", StatusCode::BAD_REQUEST, "forwarded_malformed", connection.peer.ip());
    };
    let client = forwarded.client;

    let snapshot = &core.shared.snapshot;
    let normal = match path::normalize(uri.path()) {
        Ok(normal) => normal,
        Err(error) => return refuse("path.denied", StatusCode::BAD_REQUEST, error.reason(), client),
    };
    if !snapshot.is_own_host(authority.host()) {
        return refuse("http.malformed", StatusCode::MISDIRECTED_REQUEST, "unknown_host", client);
    }
    let own = match path::own(uri.path(), &normal, snapshot.prefix()) {
        Own::Exact(rest) => Some(rest.to_owned()),
        Own::Confusable => return refuse("path.denied", StatusCode::NOT_FOUND, "own_path_unknown", client),
        Own::No => snapshot.own_path(authority.host(), &normal).map(str::to_owned),
    };
    if let Some(rest) = own {
        let host = authority.host().to_owned();
        let visit = Visit { path: rest, host, client, request_id: id.as_str().to_owned(), asker };
        let mut answer = own_path(core, connection, visit, request).await;
        if chunked {
            close_after(&mut answer.response);
        }
        return answer;
    }
    let Some((app, host)) = snapshot.app_of_host(authority.host()).zip(snapshot.known_host(authority.host())) else {
        return refuse("http.malformed", StatusCode::MISDIRECTED_REQUEST, "unknown_host", client);
    };
    let mut answer = judge(core, connection, Aim { app, host, normal: &normal }, forwarded, request, arrived).await;
    if chunked {
        close_after(&mut answer.response);
    }
    answer.app = app.id.as_str();
    answer.client = Some(client);
    answer
}

/// Ends the connection with this answer.
///
/// Beside heads with a problem, every chunked request gets it: hyper drops a Content-Length that stands beside
/// Transfer-Encoding without saying so (hyperium/hyper#4123), and whoever sends both must not be heard further on the
/// same connection (F01; RFC 9112, section 6.1). Requests with Content-Length, nearly all uploads, keep theirs.
fn close_after(response: &mut Response<Body>) {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
}

/// An own path: answered by the control plane.
async fn own_path(
    core: &Rc<Core>,
    connection: &Arc<Connection>,
    visit: Visit,
    request: Request<Incoming>,
) -> Answer<'static> {
    let (site, path) = (core.shared.site.clone(), visit.path.clone());
    let (client, asker, id) = (visit.client, visit.asker, visit.request_id.clone());
    let abandoned = if visit.ends_sessions() { Abandoned::Finished } else { Abandoned::Dropped };
    let answering = async move { site.answer(visit, request).await };
    let response = control::answer(core, connection, asker, &id, abandoned, answering).await;
    let at = core.shared.clock.now();
    story::own_path(&core.shared.explain, &path, &response, explain::Asked { at, client, request_id: &id });
    let mut answer = Answer::own(response, "own");
    answer.client = Some(client);
    answer
}

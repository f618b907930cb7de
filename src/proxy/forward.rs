//! Forwarding a request that has a permit, and streaming the answer back.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use http::header::{AUTHORIZATION, EXPECT, HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode, Version};
use hyper::body::{Body as _, Incoming};
use hyper::upgrade::OnUpgrade;

use crate::audit::{Event, Outcome};
use crate::base::client_addr::Forwarded;
use crate::base::clock::Timestamp;
use crate::base::cookie;
use crate::config::OwnHost;
use crate::gate::{AppRules, Grant, Permit, Rule};
use crate::session::{Assertions, Ready, Session, SessionKey};

use super::body::{Body, RequestBody};
use super::caching;
use super::connection::{Connection, Told};
use super::core::{Core, RequestId};
use super::upgrade;
use super::upstream::{Lease, Sender, bound, connect};

/// Pooled connections tried before a new one: the application may have closed them all at once.
const MAX_STALE: usize = 3;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Why there is no answer of the application. Whatever it is, the session is kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpstreamError {
    #[error("cannot connect to the application")]
    Connect(#[source] io::Error),
    #[error("the application did not answer within 60 s")]
    TimedOut,
    #[error("the client paused for 60 s within the request's body")]
    Stalled,
    #[error("the session ended before the application answered")]
    SessionEnded,
    #[error("the request target is too long in its normal form")]
    Target,
    #[error("the application broke off or answered with something that is not HTTP")]
    Broken(#[source] hyper::Error),
    #[error("the application's answer can be read in two ways")]
    Framing,
    #[error("the application switched to a protocol that nobody asked for")]
    Switched,
    #[error("the signed assertion cannot be made")]
    Assertion,
    #[error("the session's identity headers were made for another configuration")]
    Identity,
}

impl UpstreamError {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Connect(error) if error.kind() == io::ErrorKind::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::Stalled => StatusCode::REQUEST_TIMEOUT,
            Self::SessionEnded => StatusCode::UNAUTHORIZED,
            Self::Target => StatusCode::URI_TOO_LONG,
            Self::Connect(_) | Self::Broken(_) | Self::Framing | Self::Switched => StatusCode::BAD_GATEWAY,
            Self::Assertion | Self::Identity => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Connect(_) => "upstream_unreachable",
            Self::TimedOut => "upstream_timeout",
            Self::Stalled => "request_timeout",
            Self::SessionEnded => "session_ended",
            Self::Target => "target_too_long",
            Self::Broken(_) => "upstream_broken",
            Self::Framing => "upstream_framing",
            Self::Switched => "upstream_switched",
            Self::Assertion => "assertion_unavailable",
            Self::Identity => "identity_unavailable",
        }
    }
}

/// A request that was judged.
pub(super) struct Judged<'a> {
    pub(super) app: &'a AppRules,
    /// The host that was asked.
    pub(super) host: &'a OwnHost,
    pub(super) connection: &'a Arc<Connection>,
    pub(super) rule: Rule,
    /// Of the session cookie, if it counted.
    pub(super) key: Option<SessionKey>,
    /// The normal form that was judged; what is forwarded.
    pub(super) path: &'a str,
    pub(super) forwarded: Forwarded,
    pub(super) id: RequestId,
    /// The application's own sign-out: the session ends with this request, the answer still goes to its end.
    pub(super) signs_out: bool,
    /// When the request arrived.
    pub(super) at: Timestamp,
    /// Asks for a WebSocket.
    pub(super) websocket: bool,
    /// Goes over a connection of this client's own: its credential is the connection's (NTLM, Negotiate).
    pub(super) bound: bool,
}

/// Sends the request on. The only way to an application, and it takes a permit.
///
/// # Errors
/// The application gave no answer.
pub(super) async fn forward(
    core: &Rc<Core>,
    permit: Permit,
    judged: &Judged<'_>,
    mut request: Request<RequestBody>,
) -> Result<Response<Body>, UpstreamError> {
    let client_upgrade = judged.websocket.then(|| hyper::upgrade::on(&mut request));
    let (mut parts, body) = request.into_parts();
    if parts.uri.authority().is_some() || parts.uri.path() != judged.path {
        parts.uri = judged_uri(&parts.uri, judged.path)?;
    }
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
    head(core, &permit, judged, &mut parts.headers).await?;
    let request = Request::from_parts(parts, body);
    let sent = tokio::select! {
        biased;
        sent = exchange(core, judged, request) => sent,
        () = outlived(core, permit.grant(), judged) => Err(UpstreamError::SessionEnded),
        () = judged.connection.overdue() => {
            Err(if judged.connection.is_uploading() { UpstreamError::Stalled } else { UpstreamError::TimedOut })
        }
    };
    let (sender, response) = sent?;
    answer(core, permit.grant(), judged, sender, response, client_upgrade)
}

/// Resolves when the session ends while the application takes its time, as it does with a long poll (W06). Most answers
/// are there before anybody has to look.
async fn outlived(core: &Core, grant: &Grant, judged: &Judged<'_>) {
    if let Some(key) = judged.key
        && let Grant::Session(session) = grant
        && !judged.signs_out
    {
        judged.connection.hears(Told::Lasting).await;
        core.waits_with(judged.connection, key, session.clone());
        judged.connection.hears(Told::Outlived).await;
    } else {
        std::future::pending::<()>().await;
    }
}

/// The request target as judged.
///
/// # Errors
/// Its escapes make it longer than a target may be. What was not judged is never sent in its place.
fn judged_uri(uri: &http::Uri, path: &str) -> Result<http::Uri, UpstreamError> {
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    http::Uri::try_from(target).map_err(|_| UpstreamError::Target)
}

/// Rewrites the head: what the client may not say is gone already; now what is true is set, identity last.
async fn head(
    core: &Rc<Core>,
    permit: &Permit,
    judged: &Judged<'_>,
    headers: &mut HeaderMap,
) -> Result<(), UpstreamError> {
    // We have answered `100-continue` ourselves; the body follows.
    headers.remove(EXPECT);
    if !judged.rule.keeps_authorization() && headers.remove(AUTHORIZATION).is_some() {
        core.shared.audit.record_frequent(
            Event::new("header.stripped", Outcome::Failure, "authorization_dropped")
                .with("app", judged.app.id.as_str())
                .with("request_id", judged.id.as_str()),
        );
    }
    cookie::strip_own(headers, core.shared.site.cookies().own_prefixes());
    judged.forwarded.set(headers, judged.host.forwarded());
    headers.insert(X_REQUEST_ID, judged.id.value());
    if judged.websocket {
        upgrade::ask(headers);
    }
    if let Grant::Session(session) = permit.grant() {
        // A plan of before a reload: the request must not go on as nobody.
        session.headers(&judged.app.id).apply(&core.shared.plan, headers).map_err(|_| UpstreamError::Identity)?;
        if let Some(assertions) = core.shared.site.assertions() {
            let value = assertion(core, assertions, session, judged).await?;
            headers.insert(assertions.header(), value);
        }
    }
    Ok(())
}

/// The assertion of this session for this app. Signing is the control plane's; a request waits for it only when there
/// is none that is still good.
async fn assertion(
    core: &Rc<Core>,
    assertions: &Arc<Assertions>,
    session: &Arc<Session>,
    judged: &Judged<'_>,
) -> Result<HeaderValue, UpstreamError> {
    let (app, now) = (judged.app, judged.at);
    let sign = || {
        let (assertions, session, id, index) = (assertions.clone(), session.clone(), app.id.clone(), app.index);
        core.shared.control.spawn(async move { assertions.sign(&session, index, &id, now) })
    };
    match assertions.ready(session, app.index, now) {
        Ready::Good(value) => Ok(value),
        Ready::Renew(value) => {
            drop(sign());
            Ok(value)
        }
        Ready::Missing => sign().await.ok().flatten().ok_or(UpstreamError::Assertion),
    }
}

/// Sends the request over a connection of this core. Tried again only when the connection gave the request back unsent.
async fn exchange(
    core: &Rc<Core>,
    judged: &Judged<'_>,
    mut request: Request<RequestBody>,
) -> Result<(Sender, Response<Incoming>), UpstreamError> {
    let mut stale = 0;
    loop {
        let pooled = match () {
            () if judged.websocket || stale >= MAX_STALE => None,
            () if judged.bound => bound(judged.connection, judged.app.index).await,
            () => take(core, judged.app.index),
        };
        let reused = pooled.is_some();
        let mut sender = match pooled {
            Some(sender) => sender,
            None => connect(&judged.app.upstream, judged.websocket).await.map_err(UpstreamError::Connect)?,
        };
        match sender.try_send_request(request).await {
            Ok(response) => return Ok((sender, response)),
            Err(mut error) => match error.take_message() {
                Some(unsent) if reused => {
                    stale += 1;
                    request = unsent;
                }
                _ => return Err(UpstreamError::Broken(error.into_error())),
            },
        }
    }
}

/// Whether the application asks for the next step of a handshake: a challenge with a token.
fn is_handshake(status: StatusCode, headers: &HeaderMap) -> bool {
    let step = |value: &HeaderValue| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        let known = scheme.eq_ignore_ascii_case("ntlm") || scheme.eq_ignore_ascii_case("negotiate");
        (known && !token.trim().is_empty()).then_some(())
    };
    status == StatusCode::UNAUTHORIZED && headers.get_all(WWW_AUTHENTICATE).iter().any(|value| step(value).is_some())
}

fn take(core: &Core, app: usize) -> Option<Sender> {
    let now = core.coarse_now();
    core.pools.borrow_mut().get_mut(app).and_then(|pool| pool.take(now))
}

/// The application's answer on its way back.
fn answer(
    core: &Rc<Core>,
    grant: &Grant,
    judged: &Judged<'_>,
    sender: Sender,
    mut response: Response<Incoming>,
    client_upgrade: Option<OnUpgrade>,
) -> Result<Response<Body>, UpstreamError> {
    let session = match grant {
        Grant::Session(session) => Some(session),
        Grant::Anonymous | Grant::Native => None,
    };
    // An old application's HTTP/1.0 is its own: the client is told HTTP/1.1, and the end of a body is marked.
    *response.version_mut() = Version::HTTP_11;
    let switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    core.scrubber.answer(response.headers_mut(), switching).map_err(|_| UpstreamError::Framing)?;
    let own = core.shared.site.cookies().own_prefixes();
    if cookie::drop_own_set_cookies(response.headers_mut(), own) > 0 {
        // E14: only we may give out our cookies.
        core.shared.audit.record_frequent(
            Event::new("header.stripped", Outcome::Failure, "upstream_set_our_cookie")
                .with("app", judged.app.id.as_str())
                .with("request_id", judged.id.as_str()),
        );
    }
    if switching {
        let client = client_upgrade.filter(|_| upgrade::is_to_websocket(response.headers()));
        let client = client.ok_or(UpstreamError::Switched)?;
        let session = judged.key.zip(session.cloned());
        upgrade::join(core, judged.connection, session, client, hyper::upgrade::on(&mut response));
        return Ok(response.map(|_| Body::empty()));
    }
    let status = response.status();
    caching::keep_private(response.headers_mut(), status, session.is_some());
    if let Some((key, session)) = judged.key.zip(session)
        && !judged.signs_out
        && response.body().size_hint().exact().is_none()
    {
        core.ends_with(judged.connection, key, session.clone());
    }
    // A connection that may be upgraded is never pooled.
    let (app, core) = (judged.app.index, core.clone());
    let lease = match judged.bound {
        _ if judged.websocket => None,
        false => Some(Lease { core, app, sender, bound: None }),
        true => {
            let authenticated = status != StatusCode::UNAUTHORIZED;
            // Behind a proxy the next request may be somebody else's: only a handshake goes on.
            let kept = !judged.connection.peer.is_trusted() || is_handshake(status, response.headers());
            let bound = Some((judged.connection.clone(), authenticated));
            kept.then(|| Lease { core, app, sender, bound })
        }
    };
    Ok(response.map(|body| Body::streamed(body, lease)))
}

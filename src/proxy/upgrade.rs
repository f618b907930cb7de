//! WebSocket upgrades: after the application's 101, bytes go both ways until either side ends.

use std::rc::Rc;
use std::sync::Arc;

use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, ORIGIN, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::session::{Session, SessionKey};

use super::connection::{Connection, Doing};
use super::core::Core;

/// Whether the request asks for a WebSocket. Any other protocol in `Upgrade` (h2c above all) is not passed on: the
/// application would speak past us on a connection that we no longer judge (F10).
pub(super) fn wants_websocket(method: &http::Method, headers: &HeaderMap) -> bool {
    let has = |name: HeaderName, token: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
            .any(|t| t.trim().eq_ignore_ascii_case(token))
    };
    method == http::Method::GET && is_to_websocket(headers) && has(CONNECTION, "upgrade")
}

/// Whether `Upgrade` names the WebSocket protocol and nothing else.
pub(super) fn is_to_websocket(headers: &HeaderMap) -> bool {
    let mut protocols = headers.get_all(UPGRADE).iter();
    matches!((protocols.next(), protocols.next()), (Some(p), None) if p.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Whether a handshake that carries a session comes from the application's own pages: exactly its origin (W05).
pub(super) fn from_own_origin(headers: &HeaderMap, origin: &str) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    matches!((origins.next(), origins.next()), (Some(o), None) if o.as_bytes() == origin.as_bytes())
}

/// The hop-by-hop pair that asks the application for the upgrade.
pub(super) fn ask(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// Joins both sides once both have switched. Nothing is sent before the application's 101: bytes that the client
/// sent early wait in its connection's buffer.
/// With `session` the tunnel ends when the session does (W06).
pub(super) fn join(
    core: &Rc<Core>,
    connection: &Arc<Connection>,
    session: Option<(SessionKey, Arc<Session>)>,
    client: OnUpgrade,
    application: OnUpgrade,
) {
    let (core, connection) = (core.clone(), connection.clone());
    tokio::task::spawn_local(async move {
        let Ok((client, application)) = futures_util::future::try_join(client, application).await else { return };
        connection.set(Doing::Tunnel);
        if let Some((key, session)) = session {
            core.ends_with(&connection, key, session);
        }
        core.metrics.tunnels(1);
        let mut client = TokioIo::new(client);
        let mut application = TokioIo::new(application);
        let mut closing = core.closing();
        tokio::select! {
            // How either side ended is theirs to know.
            _ = tokio::io::copy_bidirectional(&mut client, &mut application) => {}
            // The client has taken nothing for too long, or its session has ended.
            () = connection.closed() => {}
            () = closing.wait() => {}
        }
        core.metrics.tunnels(-1);
    });
}

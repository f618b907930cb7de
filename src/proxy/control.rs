//! What the data plane hands to the control plane.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::gate::{AppRules, Asker};
use crate::session::SessionKey;
use crate::signin::{PostClaim, Visitor};
use crate::web::Unsent;

use super::connection::Connection;
use super::core::{Core, RequestId};

/// What becomes of an answer that nobody waits for any more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Abandoned {
    /// It is given up.
    Dropped,
    /// It is made all the same: it ends something, and half an ending, or one without its event, would be none.
    Finished,
}

/// An answer that the control plane makes; `abandoned` if the client goes away, or the time is over.
pub(super) async fn answer(
    core: &Rc<Core>,
    connection: &Arc<Connection>,
    asker: Asker,
    id: &str,
    abandoned: Abandoned,
    answering: impl Future<Output = Response<Bytes>> + Send + 'static,
) -> Response<Bytes> {
    let mut task = core.shared.control.spawn(answering);
    let _given_up = (abandoned == Abandoned::Dropped).then(|| AbortOnDrop(task.abort_handle()));
    let answered = tokio::select! {
        answered = &mut task => answered,
        () = connection.overdue() => {
            let (status, reason) = match connection.is_uploading() {
                true => (StatusCode::REQUEST_TIMEOUT, "request_timeout"),
                false => (StatusCode::SERVICE_UNAVAILABLE, "answer_timeout"),
            };
            Ok(core.shared.site.refusal(status, reason, asker, id))
        }
    };
    answered.unwrap_or_else(|error| {
        tracing::error!(request_id = id, error = %error, "an answer of ours ended in a panic: please report it");
        core.shared.site.internal_error(id)
    })
}

/// Ends a task with whoever waits for it.
pub(super) struct AbortOnDrop(pub(super) tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A form that needs a sign-in first: kept, if it may be (W04).
pub(super) async fn keep_post(
    core: &Rc<Core>,
    connection: &Arc<Connection>,
    unsent: Unsent,
    request: Request<Incoming>,
) -> Response<Bytes> {
    let (site, asker, id) = (core.shared.site.clone(), unsent.visit.asker, unsent.visit.request_id.clone());
    let keeping = async move { site.keep_post(unsent, request).await };
    answer(core, connection, asker, &id, Abandoned::Dropped, keeping).await
}

/// The application took a form that was kept: it is forgotten.
pub(super) async fn post_resent(
    core: &Rc<Core>,
    claim: PostClaim,
    app: &AppRules,
    host: &str,
    client: IpAddr,
    id: RequestId,
) {
    let (site, app, host) = (core.shared.site.clone(), app.id.clone(), host.to_owned());
    let forgotten = core.shared.control.spawn(async move {
        site.post_resent(&claim, &app, Visitor { client, request_id: id.as_str(), host: &host }).await;
    });
    if let Err(error) = forgotten.await {
        tracing::error!(request_id = id.as_str(), error = %error, "forgetting a form ended in a panic: please report it");
    }
}

/// Ends the session of `key` on the control plane, which goes on with it if this client goes away.
pub(super) async fn app_signed_out(core: &Rc<Core>, key: SessionKey, host: &str, client: IpAddr, id: RequestId) {
    let (site, host) = (core.shared.site.clone(), host.to_owned());
    let ended = core.shared.control.spawn(async move {
        site.app_signed_out(&key, Visitor { client, request_id: id.as_str(), host: &host }).await;
    });
    if let Err(error) = ended.await {
        tracing::error!(request_id = id.as_str(), error = %error, "ending a session ended in a panic: please report it");
    }
}

//! The application's own credentials and sign-in on their way through: judged by name, counted by outcome, otherwise left
//! alone.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, COOKIE, HeaderMap, HeaderValue, LOCATION, SET_COOKIE,
};
use http::{Request, Response, StatusCode, response};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::sync::Semaphore;

use crate::audit::{Event, Outcome};
use crate::base::cookie;
use crate::config::{NativeSignIn, SignInFailure};
use crate::directory::{NativeCookie, NativeKind};
use crate::gate::{AppRules, Asker, NativeCredential};
use crate::legacy::UserName;
use crate::legacy::guard;
use crate::legacy::native::{AppNative, Credential, Native, Spray, Ticket, Verdict};
use crate::web::NativeRefusal;

use super::answer::Answer;
use super::body::{Body, RequestBody};
use super::connection::Connection;
use super::control::AbortOnDrop;
use super::core::{Core, RequestId};
use super::judge::DirectoryAway;

/// How long a sign-in's body may take in all: each is up to 64 KB of memory.
const BODY_LIMIT: Duration = Duration::from_secs(10);
/// How many are read at a time.
static READING: Semaphore = Semaphore::const_new(512);
/// How much of an answer is looked at for the text of a failure, and for how long that is waited for.
const LOOKED_AT: usize = 64 * 1024;
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// A request that has a permit.
pub(super) struct Arriving<'a> {
    pub(super) app: &'a AppRules,
    pub(super) connection: &'a Arc<Connection>,
    pub(super) native: NativeCredential,
    /// The application's sign-in endpoint that it signs in at.
    pub(super) signs_in: Option<usize>,
    /// Remembered cookies that it brings.
    pub(super) remembered: Vec<Arc<NativeCookie>>,
    pub(super) client: IpAddr,
}

/// A native credential, or a sign-in, that goes on to the application.
pub(super) struct Attempt<'a> {
    native: &'a Arc<Native>,
    app: &'a AppNative,
    /// None: a remembered cookie alone.
    who: Option<(NativeKind, String)>,
    name: Option<UserName>,
    sign_in: Option<&'a NativeSignIn>,
    ticket: Option<Ticket<'a>>,
    remembered: Vec<Arc<NativeCookie>>,
    /// The application's cookies that a sign-in brings.
    brought: HeaderMap,
    /// Its credential is the connection's.
    bound: bool,
    client: IpAddr,
}

/// Why an answer does not reach the client.
pub(super) enum Unsettled {
    Refused(NativeRefusal),
    Broken(hyper::Error),
}

/// A refusal, and the head of the request for its story.
type Refused = (NativeRefusal, Request<()>);

/// The remembered cookies of a program's request that has no other way in.
pub(super) async fn remembered(
    core: &Rc<Core>,
    app: &AppRules,
    headers: &HeaderMap,
) -> Result<Vec<Arc<NativeCookie>>, DirectoryAway> {
    if !headers.contains_key(COOKIE) {
        return Ok(Vec::new());
    }
    let (native, index, headers) = (core.shared.native.clone(), app.index, headers.clone());
    let asking = core.shared.control.spawn(async move {
        match native.of(index) {
            Some(own) => native.remembered(own, &headers).await,
            None => Ok(Vec::new()),
        }
    });
    let _given_up = AbortOnDrop(asking.abort_handle());
    asking.await.map_err(|_| DirectoryAway)?.map_err(|_| DirectoryAway)
}

/// Whether a request that has a permit is of any concern here.
pub(super) fn is_concerned(native: NativeCredential, signs_in: Option<usize>) -> bool {
    use NativeCredential::{Absent, Ambiguous, Connection, Present, Remembered};
    match native {
        Present | Remembered | Connection => true,
        Absent | Ambiguous => signs_in.is_some(),
    }
}

/// Judges whose credential or sign-in it is, before anything of it goes on.
///
/// # Errors
/// It does not.
pub(super) async fn judge<'a>(
    core: &'a Rc<Core>,
    arriving: Arriving<'a>,
    request: Request<Incoming>,
) -> Result<(Request<RequestBody>, Option<Box<Attempt<'a>>>), Box<Refused>> {
    let Arriving { app, connection, native, signs_in, remembered, client } = arriving;
    let Some(own) = core.shared.native.of(app.index) else {
        return Ok((request.map(|body| RequestBody::new(body, connection.clone())), None));
    };
    let (parts, body) = request.into_parts();
    let mut head = Request::from_parts(parts, ());
    let mut attempt = Attempt {
        native: &core.shared.native,
        app: own,
        who: None,
        name: None,
        sign_in: signs_in.and_then(|index| own.sign_in(index)),
        ticket: None,
        remembered,
        brought: HeaderMap::new(),
        bound: native == NativeCredential::Connection,
        client,
    };
    let judged = match attempt.sign_in {
        Some(rule) => attempt.sign_in(core, connection, rule, &mut head, body).await,
        None => attempt.credential(core, native, &head).await.map(|()| RequestBody::new(body, connection.clone())),
    };
    match judged {
        Ok(body) => Ok((head.map(|()| body), Some(Box::new(attempt)))),
        Err(refusal) => Err(Box::new((refusal, head))),
    }
}

/// The answer to a refused credential or sign-in, and its event.
pub(super) fn refused(
    core: &Core,
    app: &AppRules,
    refusal: &NativeRefusal,
    asker: Asker,
    host: &str,
    client: IpAddr,
    id: RequestId,
) -> Answer<'static> {
    let event = Event::new("native.denied", Outcome::Failure, refusal.reason).from_client(client, id.as_str());
    let event = event.with("app", app.id.as_str()).with_some("user", refusal.name.as_ref().map(UserName::as_str));
    core.shared.audit.record_frequent(event);
    Answer::own(core.shared.site.native_refused(refusal, asker, host, id.as_str()), refusal.reason)
}

impl<'a> Attempt<'a> {
    /// A credential on a native route, which passes byte for byte unless its name may not.
    async fn credential(
        &mut self,
        core: &Core,
        native: NativeCredential,
        head: &Request<()>,
    ) -> Result<(), NativeRefusal> {
        if matches!(native, NativeCredential::Remembered | NativeCredential::Connection) {
            return Ok(());
        }
        let authorization = head.headers().get(AUTHORIZATION).map(Credential::read).transpose();
        let malformed = |_| NativeRefusal::new(StatusCode::BAD_REQUEST, "credential_malformed");
        let credential = authorization.map_err(malformed)?;
        self.bound = matches!(credential, Some(Credential::Connection(_)));
        self.who = Some(self.native.label(self.app, head.headers(), credential.as_ref()));
        let Some(name) = credential.as_ref().and_then(Credential::user_name) else { return Ok(()) };
        self.name = Some(name.clone());
        self.may_sign_in(core, name, true, true).await
    }

    /// A sign-in: read whole, judged, and forwarded as it came.
    async fn sign_in(
        &mut self,
        core: &Core,
        connection: &Arc<Connection>,
        rule: &NativeSignIn,
        head: &mut Request<()>,
        body: Incoming,
    ) -> Result<RequestBody, NativeRefusal> {
        let refuse = |why: guard::Refused| NativeRefusal::new(why.status(), why.reason());
        guard::check_head(&rule.user_name, head.headers()).map_err(refuse)?;
        let length = head.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|length| length > guard::MAX_BODY) {
            return Err(refuse(guard::Refused::TooLarge));
        }
        let body = read(connection, body).await?;
        let name = guard::judge(&rule.user_name, head.uri().query(), &body).map_err(refuse)?;
        self.name = Some(name.clone());
        let kind = if rule.mobile { NativeKind::Mobile } else { NativeKind::SignIn };
        self.who = Some((kind, name.as_str().to_owned()));
        self.may_sign_in(core, &name, false, !rule.mobile).await?;
        for line in head.headers().get_all(COOKIE) {
            self.brought.append(COOKIE, line.clone());
        }
        cookie::strip_own(&mut self.brought, core.shared.site.cookies().own_prefixes());
        if let SignInFailure::Body(_) = rule.failure {
            // What is compressed could not be looked at.
            head.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        Ok(RequestBody::whole(body))
    }

    /// Whether whoever has this name may sign in with a password, now. `parallel`: several tries with one password may be
    /// under way. `refused`: people who sign in at a provider may not.
    async fn may_sign_in(
        &mut self,
        core: &Core,
        name: &UserName,
        parallel: bool,
        refused: bool,
    ) -> Result<(), NativeRefusal> {
        let refuse =
            |status, reason, retry_after| Err(NativeRefusal { status, reason, name: Some(name.clone()), retry_after });
        if refused && self.native.refuses(self.app, name) {
            return refuse(StatusCode::FORBIDDEN, "sso_required", None);
        }
        // Before the directory is asked: who makes names up is held up here.
        match self.native.begin(self.app, self.client, name, parallel) {
            Ok(ticket) => self.ticket = Some(ticket),
            Err(too_many) => return refuse(StatusCode::TOO_MANY_REQUESTS, "sign_in_throttled", Some(too_many.0)),
        }
        let deactivated = match self.native.is_known_deactivated(self.app, name) {
            Some(known) => Ok(known),
            None => is_deactivated(core, self.app, name).await,
        };
        match deactivated {
            Ok(false) => {}
            Ok(true) => return refuse(StatusCode::FORBIDDEN, "user_deactivated", None),
            Err(DirectoryAway) => {
                return refuse(StatusCode::SERVICE_UNAVAILABLE, "directory_unavailable", Some(DIRECTORY_RETRY));
            }
        }
        Ok(())
    }

    /// Whether it goes over a connection of its client's own.
    pub(super) const fn is_bound(&self) -> bool {
        self.bound
    }

    /// The application has answered: counts, lists, remembers; and passes the answer on.
    ///
    /// # Errors
    /// The answer is not for this client, or it broke off where it had to be looked at.
    pub(super) async fn settle(
        mut self,
        core: &Rc<Core>,
        id: RequestId,
        response: Response<Body>,
    ) -> Result<Response<Body>, Unsettled> {
        let (failed, response) = match self.sign_in {
            Some(rule) => is_failure(&rule.failure, response).await.map_err(Unsettled::Broken)?,
            None => (response.status() == StatusCode::UNAUTHORIZED, response),
        };
        // An application that says no in another way than its rule names has not said yes either.
        let failed = failed || (self.sign_in.is_some() && response.status().is_client_error());
        let spray = self.ticket.take().and_then(|ticket| ticket.finish(failed));
        if let Some(spray) = spray {
            self.sprayed(core, spray, id);
        }
        if failed {
            return Ok(response);
        }
        if let (Some((kind, label)), true) = (&self.who, response.status().as_u16() < 400) {
            let shaped = self.name.as_ref().is_some_and(UserName::is_email_shaped);
            self.native.saw(self.app, *kind, label, shaped, self.client);
        }
        if let (Some(rule), Some(name)) = (self.sign_in, self.name.clone()) {
            if let Verdict::Withhold(reason) = self.signed_in(core, &name, rule.mobile, &response).await {
                let name = Some(name);
                let status = StatusCode::FORBIDDEN;
                return Err(Unsettled::Refused(NativeRefusal { status, reason, name, retry_after: None }));
            }
        } else if !self.remembered.is_empty() && response.headers().contains_key(SET_COOKIE) {
            followed(core, self.app, std::mem::take(&mut self.remembered), response.headers().clone()).await;
        }
        Ok(response)
    }

    /// On the control plane, which goes on with it if this client goes away.
    async fn signed_in(&mut self, core: &Core, name: &UserName, mobile: bool, response: &Response<Body>) -> Verdict {
        let (native, index, name) = (core.shared.native.clone(), self.app.index(), name.clone());
        let (brought, answer) = (std::mem::take(&mut self.brought), head_of(response));
        let asking = core.shared.control.spawn(async move {
            match native.of(index) {
                Some(own) => native.signed_in(own, &name, mobile, &brought, &answer).await,
                None => Verdict::Keep(None),
            }
        });
        asking.await.unwrap_or(Verdict::Withhold("internal_error"))
    }

    fn sprayed(&self, core: &Core, spray: Spray, id: RequestId) {
        let event = Event::new("native.denied", Outcome::Failure, "spray_detected");
        let event = event.from_client(self.client, id.as_str()).with("app", self.app.id().as_str());
        let network = match spray {
            Spray::OfSource(network) => network.to_string(),
            Spray::OfApp => "several".to_owned(),
        };
        core.shared.audit.record(event.with("network", network));
    }
}

/// Reads a sign-in's body, at most as much as one may have.
async fn read(connection: &Connection, mut body: Incoming) -> Result<Bytes, NativeRefusal> {
    let slow = || NativeRefusal::new(StatusCode::REQUEST_TIMEOUT, "request_timeout");
    let too_large = || NativeRefusal::new(guard::Refused::TooLarge.status(), guard::Refused::TooLarge.reason());
    let reading = async {
        let Ok(_turn) = READING.acquire().await else { return Err(slow()) };
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let broken = |_| NativeRefusal::new(StatusCode::BAD_REQUEST, "body_broken");
            if let Ok(data) = frame.map_err(broken)?.into_data() {
                if whole.len() + data.len() > guard::MAX_BODY {
                    return Err(too_large());
                }
                whole.extend_from_slice(&data);
            }
        }
        Ok(whole.freeze())
    };
    let whole = tokio::select! {
        biased;
        read = tokio::time::timeout(BODY_LIMIT, reading) => read.map_err(|_| slow())??,
        () = connection.overdue() => return Err(slow()),
    };
    if body.is_end_stream() {
        connection.uploaded();
    }
    Ok(whole)
}

/// Whether the application said no to the password, and the answer as it is to go on.
async fn is_failure(failure: &SignInFailure, response: Response<Body>) -> Result<(bool, Response<Body>), hyper::Error> {
    match failure {
        SignInFailure::Status(status) => Ok((response.status() == *status, response)),
        SignInFailure::Location(path) => Ok((leads_to(&response, path), response)),
        SignInFailure::Body(text) => {
            let (parts, body) = response.into_parts();
            let (body, seen) = body.begun(LOOKED_AT, LOOK_LIMIT).await?;
            let found = memchr::memmem::find(&seen, text.as_bytes()).is_some();
            Ok((found, Response::from_parts(parts, body)))
        }
    }
}

/// Whether the answer redirects to `path`, here or with an origin before it.
fn leads_to<B>(response: &Response<B>, path: &str) -> bool {
    let Some(to) = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()) else { return false };
    let to = to.split_once("://").map_or(to, |(_, rest)| rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"));
    let to = to.split(['?', '#', ';']).next().unwrap_or_default();
    response.status().is_redirection() && to == path
}

/// When to ask again while the directory is away, in seconds.
const DIRECTORY_RETRY: u64 = 5;

/// Whether the name belongs to somebody who was deactivated, by the directory's word.
async fn is_deactivated(core: &Core, app: &AppNative, name: &UserName) -> Result<bool, DirectoryAway> {
    let (native, index, name) = (core.shared.native.clone(), app.index(), name.clone());
    let asking = core.shared.control.spawn(async move {
        match native.of(index) {
            Some(own) => native.is_deactivated(own, &name).await,
            None => Ok(false),
        }
    });
    // A mistake of ours must not let somebody in.
    asking.await.map_err(|_| DirectoryAway)?.map_err(|_| DirectoryAway)
}

async fn followed(core: &Core, app: &AppNative, known: Vec<Arc<NativeCookie>>, answer: HeaderMap) {
    let (native, index) = (core.shared.native.clone(), app.index());
    let following = core.shared.control.spawn(async move {
        if let Some(own) = native.of(index) {
            native.followed(own, &known, &answer).await;
        }
    });
    if let Err(error) = following.await {
        tracing::error!(error = %error, "following a native session ended in a panic: please report it");
    }
}

fn head_of(response: &Response<Body>) -> response::Parts {
    let mut head = Response::new(());
    *head.status_mut() = response.status();
    *head.headers_mut() = response.headers().clone();
    head.into_parts().0
}

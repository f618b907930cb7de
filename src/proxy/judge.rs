//! A request for an application, from its credentials to the application's answer. The decision itself is `gate`'s.

use std::rc::Rc;
use std::sync::Arc;

use http::header::{self, HeaderValue};
use http::{Method, Request, StatusCode};
use hyper::body::{Body as _, Incoming};

use crate::audit::{Event, Outcome};
use crate::base::app_log::error_chain;
use crate::base::client_addr::Forwarded;
use crate::base::clock::Tick;
use crate::base::cookie::Found as Cookie;
use crate::base::path::{self};
use crate::config::Access;
use crate::gate::{
    AppRules, Asker, Challenge, Decision, Denial, Grant, NativeCredential, SessionCredential, decide, wants_session,
};
use crate::session::{Found, SessionId, SessionKey};
use crate::web::{Asked, Unsent, Visit};

use super::answer::{Answer, Arrived};
use super::body::RequestBody;
use super::caching;
use super::connection::Connection;
use super::control::{self, AbortOnDrop};
use super::core::{Core, RequestId};
use super::forward::{Judged, UpstreamError, forward};
use super::native;
use super::story::{self, Story};
use super::upgrade;

/// What a request is for: an app, at one of its hosts, and a path in normal form.
pub(super) struct Aim<'a> {
    pub(super) app: &'a AppRules,
    pub(super) host: &'a str,
    pub(super) normal: &'a str,
}

/// A request for an app: rule, credentials, decision; then on, or not.
pub(super) async fn judge(
    core: &Rc<Core>,
    connection: &Arc<Connection>,
    aim: Aim<'_>,
    forwarded: Forwarded,
    mut request: Request<Incoming>,
    arrived: Arrived,
) -> Answer<'static> {
    let Arrived { id, asker, .. } = arrived;
    let Aim { app, host, normal } = aim;
    let site = &core.shared.site;
    let own_host = site.host(host);
    let client = forwarded.client;
    let rule = app.rule(request.method(), request.headers(), normal);
    let signs_in = app.signs_in(request.method(), request.headers(), normal);
    let mut native = match rule.access {
        Access::Native => NativeCredential::of(request.headers(), &app.api_key_headers),
        Access::Public | Access::SignedIn => NativeCredential::Absent,
    };
    // A servlet container signs out at `/logout;x` too.
    let signs_out = app
        .sign_out
        .as_deref()
        .is_some_and(|path| path == normal || path::without_parameters(normal).is_some_and(|plain| plain == path));
    let cookie = site.cookies().session(request.headers(), host);
    let twice = matches!(cookie, Cookie::Many);
    let wanted = wants_session(&rule, native);
    // A hash, and a public route needs none.
    let key = match &cookie {
        Cookie::One(value) if wanted || signs_out => SessionId::parse(value).map(|id| id.key()),
        _ => None,
    };
    let session = match &key {
        Some(key) if wanted => session_credential(core, key, host, arrived.tick).await,
        _ => Ok(SessionCredential::NotRequested),
    };
    let Ok(session) = session else {
        return directory_away(core, asker, id);
    };
    let rejected = match (&cookie, &key, &session) {
        (Cookie::Many, ..) => Some("cookie_duplicate"),
        (Cookie::One(_), None, _) if wanted => Some("cookie_malformed"),
        (Cookie::One(_), _, SessionCredential::NotRequested) if wanted => Some("session_unknown"),
        (Cookie::One(_), _, SessionCredential::Failed) => Some("session_ended"),
        _ => None,
    };
    if let Some(reason) = rejected {
        let event = Event::new("session.rejected", Outcome::Failure, reason).from_client(client, id.as_str());
        core.shared.audit.record_frequent(event);
    }

    let mut remembered = Vec::new();
    if native == NativeCredential::Absent
        && rule.access != Access::Public
        && matches!(session, SessionCredential::NotRequested)
        && !Asker::is_browser(request.headers())
    {
        if app.has_sign_in() {
            match Box::pin(native::remembered(core, app, request.headers())).await {
                Ok(found) => remembered = found,
                Err(DirectoryAway) => return directory_away(core, asker, id),
            }
        }
        if !remembered.is_empty() {
            native = NativeCredential::Remembered;
        } else if rule.access == Access::Native && connection.is_authenticated(app.index) {
            native = NativeCredential::Connection;
        }
    }

    let story = || Story {
        recorder: &core.shared.explain,
        at: arrived.at,
        id: id.as_str(),
        client,
        asker,
        app,
        host,
        path: normal,
        rule: &rule,
        cookie: story::cookie_word(key.is_some(), wanted, rejected),
    };
    let decision = decide(app, &rule, native, session, request.headers(), arrived.at);
    let posts = rule.keep_post && *request.method() == Method::POST;
    let permit = match decision {
        Decision::Permit(permit) => permit,
        Decision::Challenge(challenge @ (Challenge::SignIn | Challenge::StepUp(_)))
            if posts && asker == Asker::Form =>
        {
            story().challenged(&request, &challenge, StatusCode::UNAUTHORIZED);
            let by = if matches!(challenge, Challenge::SignIn) { "sign_in_required" } else { "step_up_required" };
            let step_up = if let Challenge::StepUp(step_up) = challenge { Some(step_up) } else { None };
            let visit =
                Visit { path: String::new(), host: host.to_owned(), client, request_id: id.as_str().to_owned(), asker };
            let unsent = Unsent { app: app.id.clone(), step_up, visit, at: arrived.at };
            let mut response = control::keep_post(core, connection, unsent, request).await;
            if twice {
                site.cookies().expire_session(response.headers_mut(), host);
            }
            return Answer::own(response, by);
        }
        Decision::Challenge(challenge) => {
            let (method, uri, headers) = (request.method(), request.uri(), request.headers());
            let asked = Asked { asker, method, uri, headers, host, client, request_id: id.as_str() };
            let (mut response, by) = match &challenge {
                Challenge::SignIn => (site.challenge(&asked), "sign_in_required"),
                Challenge::Native => (site.native_challenge(&app.native_challenge, id.as_str()), "credential_required"),
                Challenge::StepUp(step_up) => (site.step_up(&asked, step_up, arrived.at), "step_up_required"),
            };
            story().challenged(&request, &challenge, response.status());
            if twice {
                site.cookies().expire_session(response.headers_mut(), host);
            }
            return Answer::own(response, by);
        }
        Decision::Deny(denial) => {
            let (event, reason, response) = match &denial {
                Denial::Role(session) => {
                    let event = Event::new("browser.denied", Outcome::Failure, "role_missing")
                        .with("user", session.identity().email.as_str());
                    (event, "role_missing", site.role_missing(session, rule.role, arrived.asker, id.as_str()))
                }
                Denial::AmbiguousCredential => {
                    let reason = "credential_ambiguous";
                    let event = Event::new("native.denied", Outcome::Failure, reason);
                    (event, reason, site.refusal(StatusCode::BAD_REQUEST, reason, arrived.asker, id.as_str()))
                }
            };
            let event = event.from_client(client, id.as_str()).with("app", app.id.as_str());
            core.shared.audit.record_frequent(event);
            story().denied(&request, &denial, reason, response.status());
            return Answer::own(response, reason);
        }
    };
    // Where nothing is lost by it: a page that is asked for is asked for again when the browser is back.
    if let Grant::Session(session) = permit.grant()
        && asker == Asker::Page
        && *request.method() == Method::GET
        && !signs_out
        && core.shared.sessions.take_silent(session, arrived.tick)
    {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let asked = Asked { asker, method, uri, headers, host, client, request_id: id.as_str() };
        return Answer::own(site.renew(&asked, session), "renewal_due");
    }
    let by = match permit.grant() {
        Grant::Anonymous => "anonymous",
        Grant::Session(_) => "session",
        Grant::Native => "native",
    };

    // A handshake has no body; of one that has, nobody could say where the tunnel begins.
    let websocket = upgrade::wants_websocket(request.method(), request.headers()) && request.body().is_end_stream();
    if websocket
        && matches!(permit.grant(), Grant::Session(_))
        && !upgrade::from_own_origin(request.headers(), own_host.origin())
    {
        story().foreign_websocket(&request, own_host.origin(), StatusCode::FORBIDDEN);
        let event = Event::new("browser.denied", Outcome::Failure, "websocket_origin");
        core.shared.audit.record_frequent(event.from_client(client, id.as_str()).with("app", app.id.as_str()));
        return Answer::own(
            site.refusal(StatusCode::FORBIDDEN, "websocket_origin", Asker::Script, id.as_str()),
            "websocket_origin",
        );
    }
    if let Some(name) = core.scrubber.request(request.headers_mut()).spoofed {
        let event = Event::new("header.stripped", Outcome::Failure, "header_spoof");
        let event = event.from_client(client, id.as_str()).with("app", app.id.as_str()).with("header", name.as_str());
        core.shared.audit.record_frequent(event);
    }
    let ending = key.filter(|_| signs_out);
    if let Some(key) = &ending {
        // Before the application is asked: neither its answer nor a client that goes away meanwhile can keep a session.
        control::app_signed_out(core, *key, host, client, id).await;
    }
    let resent = if posts { site.resent(request.headers()) } else { None };
    let (request, attempt) = if native::is_concerned(native, signs_in) {
        let arriving = native::Arriving { app, connection, native, signs_in, remembered, client };
        match Box::pin(native::judge(core, arriving, request)).await {
            Ok(judged) => judged,
            Err(refused) => {
                let (refusal, head) = *refused;
                story().native(&head, refusal.reason, refusal.status);
                return native::refused(core, app, &refusal, asker, host, client, id);
            }
        }
    } else {
        (request.map(|body| RequestBody::new(body, connection.clone())), None)
    };
    let judged = Judged {
        app,
        host: own_host,
        connection,
        rule,
        key,
        path: normal,
        forwarded,
        id,
        at: arrived.at,
        signs_out,
        websocket,
        bound: attempt.as_ref().is_some_and(|attempt| attempt.is_bound()),
    };
    let forwarded = match (forward(core, permit, &judged, request).await, attempt) {
        (Ok(response), Some(attempt)) => match Box::pin(attempt.settle(core, id, response)).await {
            Ok(response) => Ok(response),
            Err(native::Unsettled::Refused(refusal)) => {
                return native::refused(core, app, &refusal, asker, host, client, id);
            }
            Err(native::Unsettled::Broken(error)) => Err(UpstreamError::Broken(error)),
        },
        (forwarded, _) => forwarded,
    };
    let mut answer = match forwarded {
        Ok(response) => Answer { response, app: "", by, client: None },
        Err(UpstreamError::SessionEnded) => {
            let event = Event::new("session.rejected", Outcome::Failure, "session_ended");
            core.shared.audit.record_frequent(event.from_client(client, id.as_str()));
            Answer::own(site.session_over(asker, host, id.as_str()), "session_ended")
        }
        Err(error) => {
            tracing::warn!(
                request_id = id.as_str(),
                app = app.id.as_str(),
                reason = error.reason(),
                error = error_chain(&error),
                "no answer from the application"
            );
            Answer::own(site.refusal(error.status(), error.reason(), asker, id.as_str()), error.reason())
        }
    };
    let status = answer.response.status();
    if let Some(claim) = resent.filter(|_| status.is_success() || status.is_redirection()) {
        answer.response.headers_mut().append(header::SET_COOKIE, site.cookies().expire_post(claim.id()));
        control::post_resent(core, claim, app, host, client, id).await;
    }
    if ending.is_some() {
        site.cookies().expire_session(answer.response.headers_mut(), host);
        answer.response.headers_mut().append(header::SET_COOKIE, site.cookies().expire_done());
        caching::forbid(answer.response.headers_mut());
    }
    answer
}

/// What the session cookie is worth: by memory, or where that cannot tell by the directory, which the control plane asks.
async fn session_credential(
    core: &Rc<Core>,
    key: &SessionKey,
    host: &str,
    now: Tick,
) -> Result<SessionCredential, DirectoryAway> {
    let mut found = core.recent.borrow_mut().lookup(&core.shared.sessions, key, host, now);
    if let Found::Ask = found {
        let (sessions, host, key) = (core.shared.sessions.clone(), host.to_owned(), *key);
        // A client that goes away asks no more.
        let asked = core.shared.control.spawn(async move { sessions.fetch(&key, &host).await });
        let _given_up = AbortOnDrop(asked.abort_handle());
        found = asked.await.map_err(|_| DirectoryAway)?.map_err(|_| DirectoryAway)?;
        if let Found::Good(session) = &found {
            core.recent.borrow_mut().learn(&key, session, now);
        }
    }
    Ok(match found {
        Found::Good(session) => SessionCredential::Authenticated(session),
        Found::Ended => SessionCredential::Failed,
        Found::Unknown | Found::Ask => SessionCredential::NotRequested,
    })
}

/// The directory cannot be asked.
pub(super) struct DirectoryAway;

/// Nobody knows whether a session is good. Its cookie is kept: it will be, when the directory is back (T10).
fn directory_away(core: &Core, asker: Asker, id: RequestId) -> Answer<'static> {
    let reason = "directory_unavailable";
    let refusal = core.shared.site.refusal(StatusCode::SERVICE_UNAVAILABLE, reason, asker, id.as_str());
    let mut answer = Answer::own(refusal, reason);
    answer.response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    answer
}

//! One request: read strictly, handed to [`Control`](super::Control), answered as JSON, noted if it changed something.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::audit::{Event, Outcome};
use crate::base::app_log::error_chain;
use crate::base::clock::Timestamp;
use crate::base::email::{EmailAddress, EmailDomain};
use crate::base::json;
use crate::directory::{Selector, SwitchKind};
use crate::explain;
use crate::signin::UserChange;

use super::ControlError;
use super::domains::{DomainList, DomainOrder, DomainSwitched};
use super::server::{Peer, Served};
use super::types::{
    KeyList, NativeList, Revoked, SessionList, Story, SwitchOrder, Switched, UserList, UserOrder, Which,
};

/// Nothing that is sent here is near this long, but a list of people.
const MAX_BODY: usize = 64 * 1024;
/// The longest of those.
const MAX_ORDER: usize = 4 * 1024 * 1024;
/// How long a body may take.
const BODY_TIME: Duration = Duration::from_secs(5);
/// How long an answer may take.
const ANSWER_TIME: Duration = Duration::from_secs(60);
/// Sessions in one list, if nothing is said.
const LIMIT: u32 = 100;
/// Sessions in one list at most.
const MAX_LIMIT: u32 = 10_000;
/// Users in one list at most: each costs two more queries.
const MAX_USERS: u32 = 1_000;
/// Longest reference, id or name in a path.
const MAX_NAME: usize = 255;

type Answer = Response<Full<Bytes>>;

/// Why there is no answer of the usual kind.
enum Refusal {
    Request(String),
    NoSuchPath,
    Method(&'static str),
    Control(ControlError),
    TooSlow,
}

impl From<ControlError> for Refusal {
    fn from(error: ControlError) -> Self {
        Self::Control(error)
    }
}

pub(super) async fn answer(served: Arc<Served>, peer: Peer, request: Request<Incoming>) -> Answer {
    // A task of its own: a command that goes away, or an answer that takes too long, leaves no change without its event.
    let answering = tokio::spawn(async move { route(&served, peer, request).await });
    let answer = match tokio::time::timeout(ANSWER_TIME, answering).await {
        Ok(answer) => answer.unwrap_or_else(|error| Err(ControlError::failed(error).into())),
        Err(_) => Err(Refusal::TooSlow),
    };
    answer.unwrap_or_else(|refusal| match refusal {
        Refusal::Request(text) => problem(StatusCode::BAD_REQUEST, "bad_request", &text),
        Refusal::NoSuchPath => problem(StatusCode::NOT_FOUND, "no_such_path", "this process knows no such request"),
        Refusal::Method(allowed) => {
            let text = format!("only {allowed} here");
            let mut answer = problem(StatusCode::METHOD_NOT_ALLOWED, "method", &text);
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            answer
        }
        Refusal::Control(ControlError::Refused(text)) => problem(StatusCode::BAD_REQUEST, "refused", &text),
        Refusal::Control(ControlError::NotFound(text)) => problem(StatusCode::NOT_FOUND, "not_found", &text),
        Refusal::Control(ControlError::Unclear(text)) => problem(StatusCode::CONFLICT, "unclear", &text),
        Refusal::Control(error) => problem(StatusCode::SERVICE_UNAVAILABLE, "failed", &error_chain(&error)),
        Refusal::TooSlow => problem(StatusCode::SERVICE_UNAVAILABLE, "too_slow", "it took longer than a minute"),
    })
}

async fn route(served: &Served, peer: Peer, request: Request<Incoming>) -> Result<Answer, Refusal> {
    let (head, body) = request.into_parts();
    let path: Vec<&str> = head.uri.path().split('/').skip(1).collect();
    let query = head.uri.query().unwrap_or_default();
    let control = served.control.as_ref();
    let get = || if head.method == Method::GET { Ok(()) } else { Err(Refusal::Method("GET")) };
    let post = || if head.method == Method::POST { Ok(()) } else { Err(Refusal::Method("POST")) };
    match path.as_slice() {
        ["status"] => {
            get()?;
            Ok(answered(&control.status().await?))
        }
        ["sessions"] => {
            get()?;
            let (which, limit) = listed(query).map_err(Refusal::Request)?;
            // One more than asked for, to know whether there are more.
            let mut sessions = control.sessions(&which, limit.saturating_add(1)).await?;
            let more = sessions.len() > limit as usize;
            sessions.truncate(limit as usize);
            Ok(answered(&SessionList { sessions, more }))
        }
        ["sessions", "revoke"] => {
            post()?;
            let which = read::<Which>(body, MAX_BODY).await?.selector().map_err(Refusal::Request)?;
            let event = Change::new("sessions_revoked").with("sessions", &words(&which));
            let ended = event
                .noted(served, peer, control.revoke(&which), |event, ended| event.with("ended", ended.to_string()));
            Ok(answered(&Revoked { ended: ended.await? }))
        }
        ["keys"] => {
            get()?;
            Ok(answered(&KeyList { keys: control.keys().await? }))
        }
        ["keys", "rotate"] => {
            post()?;
            let keys = Change::new("keys_rotated").noted(served, peer, control.rotate_keys(), |event, _| event).await?;
            Ok(answered(&KeyList { keys }))
        }
        ["native"] => {
            get()?;
            let (app, limit) = native_listed(query).map_err(Refusal::Request)?;
            let mut identities = control.native(app.as_deref(), limit.saturating_add(1)).await?;
            let more = identities.len() > limit as usize;
            identities.truncate(limit as usize);
            Ok(answered(&NativeList { identities, more }))
        }
        ["explain", reference] => {
            get()?;
            let reference = name(reference)?;
            let story = control.explain(&reference).await?;
            let (records, text) = (explain::json(&story), explain::render(&story));
            let records = records.as_array().cloned().unwrap_or_default();
            Ok(answered(&Story { reference, records, text }))
        }
        ["users"] => {
            get()?;
            let (address, limit) = listed_users(query).map_err(Refusal::Request)?;
            let mut users = control.users(address.as_deref(), limit.saturating_add(1)).await?;
            let more = users.len() > limit as usize;
            users.truncate(limit as usize);
            Ok(answered(&UserList { users, more }))
        }
        ["users", user, what @ ("deactivate" | "activate" | "unlink")] => {
            post()?;
            let (user, order) = (name(user)?, read::<UserOrder>(body, MAX_BODY).await?);
            let (reason, change) = decided(what, &order).map_err(Refusal::Request)?;
            let done = Change::new(reason).with("user", &user).noted(
                served,
                peer,
                control.change_user(&user, &change),
                |event, done| event.with("user_id", done.id.to_string()).with("ended", done.ended.to_string()),
            );
            Ok(answered(&done.await?))
        }
        ["connectors", id, what @ ("disable" | "enable")] => {
            post()?;
            let ended = switch(served, peer, SwitchKind::Connector, &name(id)?, *what == "disable", body).await?;
            Ok(answered(&Switched { ended }))
        }
        ["domains"] => {
            get()?;
            Ok(answered(&DomainList { domains: control.domains().await? }))
        }
        ["domains", named, "disable"] => {
            post()?;
            let named = domain(named)?;
            let ended = switch(served, peer, SwitchKind::Domain, named.as_str(), true, body).await?;
            Ok(answered(&DomainSwitched { ended, domain: control.domain(&named).await? }))
        }
        ["domains", named, "enable"] => {
            post()?;
            enable_domain(served, peer, &domain(named)?, body).await
        }
        _ => Err(Refusal::NoSuchPath),
    }
}

/// What an order about a user means, and the reason of its event.
fn decided(what: &str, order: &UserOrder) -> Result<(&'static str, UserChange), String> {
    let UserOrder { release_address, connector } = order.clone();
    match (what, connector) {
        ("deactivate", None) => Ok(("user_deactivated", UserChange::Deactivate { release_address })),
        ("activate", None) if !release_address => Ok(("user_activated", UserChange::Activate)),
        ("unlink", Some(connector)) if !release_address => {
            let connector = connector.parse().map_err(|_| format!("{connector:?} is no connector's id"))?;
            Ok(("identity_unlinked", UserChange::Unlink { connector }))
        }
        _ => Err(format!("{what}: the order says too little or too much")),
    }
}

async fn switch(
    served: &Served,
    peer: Peer,
    kind: SwitchKind,
    name: &str,
    off: bool,
    body: Incoming,
) -> Result<Option<u64>, Refusal> {
    let order: SwitchOrder = read(body, MAX_BODY).await?;
    let (reason, field) = match (kind, off) {
        (SwitchKind::Connector, true) => ("connector_disabled", "connector"),
        (SwitchKind::Connector, false) => ("connector_enabled", "connector"),
        (SwitchKind::Domain, true) => ("domain_disabled", "domain"),
        (SwitchKind::Domain, false) => ("domain_enabled", "domain"),
    };
    let done = served.control.switch(kind, name, off, order.end_sessions);
    let event = Change::new(reason).with(field, name);
    let ended = event.noted(served, peer, done, |event, ended| event.with_some("ended", ended.map(|n| n.to_string())));
    Ok(ended.await?)
}

async fn enable_domain(served: &Served, peer: Peer, named: &EmailDomain, body: Incoming) -> Result<Answer, Refusal> {
    let order: DomainOrder = read(body, MAX_ORDER).await?;
    let (extent, from) = order.read(named).map_err(Refusal::Request)?;
    let done = served.control.enable_domain(named, &extent, from);
    let change = Change::new("domain_enabled").with("domain", named.as_str());
    let said = |event: Event, (): &()| {
        event
            .with("percent", extent.percent.to_string())
            .with("listed", extent.users.len().to_string())
            .with_some("at", from.map(Timestamp::rfc3339))
    };
    change.noted(served, peer, done, said).await?;
    Ok(answered(&DomainSwitched { ended: None, domain: served.control.domain(named).await? }))
}

/// A change that is noted, well or badly ended.
struct Change {
    reason: &'static str,
    field: Option<(&'static str, String)>,
}

impl Change {
    const fn new(reason: &'static str) -> Self {
        Self { reason, field: None }
    }

    fn with(self, key: &'static str, value: &str) -> Self {
        Self { field: Some((key, value.to_owned())), ..self }
    }

    /// Waits for the change and records it with who asked for it.
    async fn noted<T>(
        self,
        served: &Served,
        peer: Peer,
        change: impl Future<Output = Result<T, ControlError>>,
        more: impl FnOnce(Event, &T) -> Event,
    ) -> Result<T, ControlError> {
        let result = change.await;
        let outcome = match &result {
            Ok(_) => Outcome::Success,
            Err(ControlError::NotFound(_) | ControlError::Unclear(_) | ControlError::Refused(_)) => Outcome::Failure,
            Err(_) => Outcome::Error,
        };
        let event = Event::new("admin.changed", outcome, self.reason)
            .with("local_uid", peer.uid.to_string())
            .with_some("local_pid", peer.pid.map(|pid| pid.to_string()));
        let event = match self.field {
            Some((key, value)) => event.with(key, value),
            None => event,
        };
        served.audit.record(match &result {
            Ok(done) => more(event, done),
            Err(error) => event.with("error", error_chain(error)),
        });
        result
    }
}

/// What was selected, for the log.
fn words(which: &Selector) -> String {
    match which {
        Selector::Reference(reference) => format!("reference {reference}"),
        Selector::Cookie(_) => "a cookie".to_owned(),
        Selector::ProviderSession { connector, sid } => format!("provider session {sid} at {connector}"),
        Selector::Subject { connector, sub } => format!("sub {sub} at {connector}"),
        Selector::Email(address) => format!("user {address}"),
        Selector::User(user) => format!("user {user}"),
        Selector::Connector(connector) => format!("connector {connector}"),
        Selector::Domain(domain) => format!("domain {domain}"),
        Selector::All => "all".to_owned(),
    }
}

/// Which users a list is to hold. Without a word: all.
fn listed_users(query: &str) -> Result<(Option<String>, u32), String> {
    let (mut address, mut limit) = (None, LIMIT);
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "address" if address.is_none() => {
                let parsed: EmailAddress = value.parse().map_err(|_| format!("{value:?} is no address"))?;
                address = Some(parsed.as_str().to_ascii_lowercase());
            }
            "limit" => {
                let within = |limit: &u32| (1..=MAX_USERS).contains(limit);
                limit = value.parse().ok().filter(within).ok_or_else(|| format!("limit is from 1 to {MAX_USERS}"))?;
            }
            _ => return Err(format!("{key}: unknown, or twice")),
        }
    }
    Ok((address, limit))
}

/// What a list is to hold. Without a word: everybody's.
fn listed(query: &str) -> Result<(Selector, u32), String> {
    let mut which = Which::default();
    let mut limit = None;
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let slot = match &*key {
            "reference" => &mut which.reference,
            "user" => &mut which.user,
            "connector" => &mut which.connector,
            "sub" => &mut which.sub,
            "domain" => &mut which.domain,
            "limit" => &mut limit,
            other => return Err(format!("unknown parameter {other:?}")),
        };
        if slot.replace(value.into_owned()).is_some() {
            return Err(format!("{key} is given twice"));
        }
    }
    which.all = which == Which::default();
    Ok((which.selector()?, limit_of(limit)?))
}

/// Of which app, and how many.
fn native_listed(query: &str) -> Result<(Option<String>, u32), String> {
    let (mut app, mut limit) = (None, None);
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let slot = match &*key {
            "app" => &mut app,
            "limit" => &mut limit,
            other => return Err(format!("unknown parameter {other:?}")),
        };
        if slot.replace(value.into_owned()).is_some() {
            return Err(format!("{key} is given twice"));
        }
    }
    Ok((app, limit_of(limit)?))
}

fn limit_of(written: Option<String>) -> Result<u32, String> {
    let Some(text) = written else { return Ok(LIMIT) };
    let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| format!("limit: found {text:?}; allowed: 1 to {MAX_LIMIT}"))
}

/// A part of the path that names something.
fn name(part: &str) -> Result<String, Refusal> {
    let decoded = percent_decode_str(part).decode_utf8().ok();
    let name = decoded.filter(|name| (1..=MAX_NAME).contains(&name.len()) && !name.contains(char::is_control));
    name.map(std::borrow::Cow::into_owned).ok_or_else(|| Refusal::Request("the path holds no name".to_owned()))
}

/// A part of the path that names an e-mail domain.
fn domain(part: &str) -> Result<EmailDomain, Refusal> {
    let name = name(part)?;
    name.parse().map_err(|_| Refusal::Request(format!("{name:?} is no e-mail domain")))
}

/// The body, of `max` bytes at most, as strict JSON; an empty one counts as `{}`.
async fn read<T: DeserializeOwned>(body: Incoming, max: usize) -> Result<T, Refusal> {
    let bad = |text: &str| Refusal::Request(text.to_owned());
    let body = tokio::time::timeout(BODY_TIME, Limited::new(body, max).collect()).await;
    let body = body.map_err(|_| bad("the body took too long"))?.map_err(|_| bad("the body is too large"))?;
    let body = body.to_bytes();
    let value = if body.is_empty() { Ok(serde_json::json!({})) } else { json::parse(&body) };
    let value = value.map_err(|error| Refusal::Request(error.to_string()))?;
    serde_json::from_value(value).map_err(|error| Refusal::Request(error.to_string()))
}

fn answered(value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => json_answer(StatusCode::OK, body),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, "unexpected", &error.to_string()),
    }
}

/// An error: a stable code and a sentence.
pub(super) fn problem(status: StatusCode, code: &str, message: &str) -> Answer {
    json_answer(status, serde_json::json!({ "error": code, "message": message }).to_string().into_bytes())
}

fn json_answer(status: StatusCode, body: Vec<u8>) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

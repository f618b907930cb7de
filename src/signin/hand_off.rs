//! A session of the sign-in host reaches another host of ours. That host starts an attempt, whose secret stays in its
//! cookie there; the sign-in host, which sees only the secret's hash, answers with a code that works once, for 30 seconds
//! and together with that cookie. So nobody's code is any good in somebody else's browser.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use http::header::HeaderMap;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use crate::audit::{Event, Outcome};
use crate::base::query::with_query;
use crate::base::random;
use crate::base::return_to::{HAND_OFF, MAX_LEN, ReturnTo};
use crate::config::OwnHost;
use crate::directory::{KeptKind, Selector};
use crate::explain;
use crate::identity::headers::AuthMethod;

use super::attempt::{Attempt, Step, is_id, new_id};
use super::{Failed, Purpose, Redirect, SignIn, Visitor, story};

/// How long a code may be on its way: one redirect.
const CODE_LIFETIME: Duration = Duration::from_secs(30);

/// What an application's host asks the sign-in host for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) host: String,
    /// The attempt there.
    id: String,
    /// Base64url SHA-256 of the attempt's secret.
    challenge: String,
    /// What was asked for there: a path for a GET, or with the method and a blank before it.
    pub(super) target: String,
    /// The host whose rule for the target counts, if it is a third one.
    pub(super) rule_of: Option<String>,
}

/// What a host asks for when it starts a hand-off.
pub struct Asked<'a> {
    pub host: &'a OwnHost,
    /// The host whose rule counts, if it is a third one.
    pub rule_of: Option<&'a str>,
    /// What the sign-in is for, if it is another request than a GET of the page to return to.
    pub target: Option<&'a str>,
}

/// What a code stands for.
#[derive(Serialize, Deserialize)]
struct Record {
    session: Uuid,
    connector: String,
    user: String,
    host: String,
    id: String,
    challenge: String,
}

/// How the sign-in host answers.
pub enum HandOff {
    /// On to the host that asked, with a code.
    Code(Redirect),
    /// There is no session to hand off: a sign-in first, then this link again.
    SignIn(String),
}

/// How a hand-off ended well.
pub enum Joined {
    /// The session is good on this host now: on to the page first asked for.
    HandedOff(Redirect),
    /// A stale link in a browser that is signed in: nothing else happens.
    AlreadySignedIn(Redirect),
}

impl Link {
    /// Reads the query of a hand-off.
    pub(super) fn parse(query: &str) -> Result<Self, &'static str> {
        const MALFORMED: &str = "hand_off_malformed";
        let [host, id, challenge, target, rule_of] = parameters(query, ["host", "id", "c", "for", "at"])?;
        let (Some(host), Some(id), Some(challenge)) = (host, id, challenge) else { return Err(MALFORMED) };
        let is_hash = challenge.len() == 43 && URL_SAFE_NO_PAD.decode(&challenge).is_ok();
        let target = target.unwrap_or_else(|| String::from("/"));
        if is_id(&id) && is_hash && target.len() <= MAX_LEN {
            Ok(Self { host, id, challenge, target, rule_of })
        } else {
            Err(MALFORMED)
        }
    }

    /// As a target on the sign-in host. A target too long to be carried is left out: its rule is then judged there alone.
    fn write(&self, prefix: &str) -> String {
        let link = |target| {
            let rule_of = self.rule_of.as_deref().unwrap_or_default();
            let host = self.host.as_str();
            let query = [("host", host), ("id", &self.id), ("c", &self.challenge), ("for", target), ("at", rule_of)];
            with_query(format!("{prefix}/{HAND_OFF}"), &query)
        };
        Some(link(&self.target)).filter(|link| link.len() <= MAX_LEN).unwrap_or_else(|| link(""))
    }
}

/// The parameters of these names. One that is given twice is a reason to refuse the query.
fn parameters<const N: usize>(query: &str, names: [&str; N]) -> Result<[Option<String>; N], &'static str> {
    let mut found = [const { None }; N];
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let slot = names.iter().position(|known| *known == name).and_then(|at| found.get_mut(at));
        if let Some(slot) = slot
            && slot.replace(value.into_owned()).is_some()
        {
            return Err("duplicate_parameter");
        }
    }
    Ok(found)
}

/// Base64url SHA-256.
fn hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()))
}

fn purpose(id: &str) -> String {
    format!("hand-off {id}")
}

fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

impl SignIn {
    /// Starts an attempt at the host that asks: its target on the host where the sign-in is, and the cookies to set here.
    pub fn start_hand_off(&self, asked: &Asked<'_>, return_to: &ReturnTo, headers: &HeaderMap) -> Redirect {
        let now = self.clock.now();
        let (id, secret) = (new_id(now), random::token::<32>());
        let path = return_to.as_str().split(['?', '#']).next().unwrap_or_default();
        let link = Link {
            host: asked.host.name().to_owned(),
            id: id.clone(),
            challenge: hash(&secret),
            target: asked.target.unwrap_or(path).to_owned(),
            rule_of: asked.rule_of.map(str::to_owned),
        };
        let attempt = Attempt {
            started: now.millis(),
            connector: String::new(),
            return_to: return_to.as_str().to_owned(),
            purpose: asked.target.and_then(|target| Purpose::parse(target, &self.prefix)),
            step: Step::HandOff { secret },
        };
        Redirect { location: link.write(&self.prefix), cookies: self.remember(&id, attempt, headers, false) }
    }

    /// The sign-in host's part: a code for the host and the attempt that `query` names.
    ///
    /// # Errors
    /// No host of ours asked, or the directory is away. Recorded.
    pub async fn hand_off(&self, query: &str, headers: &HeaderMap, visitor: Visitor<'_>) -> Result<HandOff, Failed> {
        let result = self.handed_off(query, headers, visitor).await;
        result.inspect_err(|failed| self.rejected(explain::Step::HandOff, visitor, None, failed))
    }

    async fn handed_off(&self, query: &str, headers: &HeaderMap, visitor: Visitor<'_>) -> Result<HandOff, Failed> {
        let link = Link::parse(query).map_err(Failed::by_anybody)?;
        let host = self.hosts.get(&link.host).filter(|host| host.name() != visitor.host && !host.shares_cookie());
        let Some(host) = host else { return Err(Failed::by_anybody("hand_off_host_unknown")) };
        let session = self.session(headers, visitor.host).await.map_err(|error| Failed::directory(&error))?;
        // What an application vouched for stays with it: another one trusts only a provider.
        let Some(session) = session.filter(|session| session.auth_method() != AuthMethod::Adopted) else {
            return Ok(HandOff::SignIn(link.write(&self.prefix)));
        };
        let identity = session.identity();
        let record = Record {
            session: session.reference(),
            connector: identity.connector.to_string(),
            user: identity.email.as_str().to_owned(),
            host: link.host,
            id: link.id,
            challenge: link.challenge,
        };
        let code = random::token::<32>();
        let id = hash(&code);
        let plain = serde_json::to_vec(&record).unwrap_or_default();
        let sealed = self.sealer.seal_bytes(&purpose(&id), &plain);
        let until = self.clock.now().plus(CODE_LIFETIME);
        let kept = self.directory.kept.keep(KeptKind::HandOff, &id, &sealed, until).await;
        kept.map_err(|error| Failed::directory(&error))?;
        let to = format!("{}{}/session", host.origin(), self.prefix);
        let location = with_query(to, &[("code", &code), ("state", &record.id)]);
        Ok(HandOff::Code(Redirect { location, cookies: vec![] }))
    }

    /// The end, on the host that asked: a cookie of its own for the session. Works once, in the browser that started it.
    ///
    /// # Errors
    /// The message is not the answer to an attempt of this browser, the session has ended meanwhile, or the directory is
    /// away. Recorded.
    pub async fn end_hand_off(&self, query: &str, headers: &HeaderMap, visitor: Visitor<'_>) -> Result<Joined, Failed> {
        let result = self.redeem_code(query, headers, visitor).await;
        result.inspect_err(|failed| self.rejected(explain::Step::HandOff, visitor, None, failed))
    }

    async fn redeem_code(&self, query: &str, headers: &HeaderMap, visitor: Visitor<'_>) -> Result<Joined, Failed> {
        let [code, state] = parameters(query, ["code", "state"]).map_err(Failed::by_anybody)?;
        let (Some(code), Some(id)) = (code, state.filter(|state| is_id(state))) else {
            return Err(Failed::by_anybody("hand_off_malformed"));
        };
        let Some(attempt) = Attempt::open(&id, headers, &self.cookies, &self.sealer) else {
            // The other tab was first, or the page was loaded again.
            return match self.signed_in(headers, visitor.host).await {
                true => Ok(Joined::AlreadySignedIn(Redirect { location: "/".into(), cookies: vec![] })),
                false => Err(Failed::by_anybody("hand_off_not_bound").named(Some(&id))),
            };
        };
        let Step::HandOff { secret } = &attempt.step else {
            return Err(Failed::new("hand_off_other_step").named(Some(&id)));
        };
        let return_to = self.return_to(visitor.host, &attempt.return_to);
        if attempt.is_expired(&self.clock) {
            return Err(Failed::new("hand_off_expired").of(&id, &attempt, self, visitor));
        }
        // Until the code is the right one, the attempt stays: what does not match it must not use it up (G7).
        let failed = |reason| {
            let mut failed = Failed::new(reason);
            failed.return_to = return_to.clone();
            failed.named(Some(&id))
        };
        let record = self.take_record(&code).await?.ok_or_else(|| failed("hand_off_code_unknown"))?;
        if !same(&record.host, visitor.host) {
            return Err(failed("hand_off_other_host"));
        }
        if !same(&record.id, &id) {
            return Err(failed("hand_off_other_attempt"));
        }
        if !same(&record.challenge, &hash(secret)) {
            return Err(failed("hand_off_other_browser"));
        }
        let mut cookies =
            self.join(&record, headers, visitor).await?.ok_or_else(|| failed("hand_off_session_ended"))?;
        cookies.push(self.cookies.expire_attempt(&id));
        self.explain.record(|| story::handed_off(self, visitor, &id, &record.connector));
        // The sign-in host leads on to the others.
        let leads_on = self.hosts.sign_in().name() == visitor.host;
        let location = if leads_on { self.location(&return_to) } else { return_to.as_str().to_owned() };
        Ok(Joined::HandedOff(Redirect { location, cookies }))
    }

    /// What `code` stands for; from now on nothing.
    async fn take_record(&self, code: &str) -> Result<Option<Record>, Failed> {
        let id = hash(code);
        let taken = self.directory.kept.take(KeptKind::HandOff, &id, self.clock.now()).await;
        let sealed = taken.map_err(|error| Failed::directory(&error))?;
        let plain = sealed.and_then(|sealed| self.sealer.open_bytes(&purpose(&id), &sealed));
        Ok(plain.and_then(|plain| serde_json::from_slice(&plain).ok()))
    }

    /// Makes the session good on the visitor's host; the host's old one ends (E01). None: it has ended itself.
    async fn join(
        &self,
        record: &Record,
        headers: &HeaderMap,
        visitor: Visitor<'_>,
    ) -> Result<Option<Vec<HeaderValue>>, Failed> {
        let old = self.session(headers, visitor.host).await.map_err(|error| Failed::directory(&error))?;
        let mut cookies = vec![self.cookies.set_done(headers, self.clock.now())];
        // Two tabs, one session: the cookie that is there stays.
        if old.as_ref().is_none_or(|old| old.reference() != record.session) {
            let Some(scope) = self.sessions.scope(visitor.host) else { return Err(Failed::new("unknown_host")) };
            let added = self.sessions.add_cookie(record.session, scope).await;
            let Some(id) = added.map_err(|error| Failed::directory(&error))? else { return Ok(None) };
            if let Some(old) = self.session_key(headers, visitor.host) {
                // Where the directory does not take this at once, it does later: the browser has another cookie by then.
                drop(self.sessions.end(&Selector::Cookie(*old.bytes()), None).await);
            }
            cookies.extend(self.cookies.set_session(&id, visitor.host));
        }
        self.audit.record(
            Event::new("session.handed_off", Outcome::Success, "handed_off")
                .from_client(visitor.client, visitor.request_id)
                .with("connector", record.connector.as_str())
                .with("user", record.user.as_str())
                .with("session", record.session.to_string())
                .with("host", visitor.host),
        );
        Ok(Some(cookies))
    }
}

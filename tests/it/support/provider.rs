//! An OpenID provider on loopback that is honest until a test spoils one of its answers.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anteroom::base::clock::{Clock, Timestamp};
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::keys::{SigningKey, sign_text};
use super::refresh::{Refreshes, Refreshing};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A change to a text that is about to be sent.
pub type Edit = Arc<dyn Fn(String) -> String + Send + Sync>;

/// What the provider says. A test changes any of it, at any time.
#[derive(Clone)]
pub struct Script {
    pub issuer: String,
    pub discovery: Value,
    /// The body of the key set.
    pub jwks: String,
    pub key: &'static SigningKey,
    /// The ID token's header.
    pub header: Value,
    /// The ID token's claims; `aud`, `iat`, `exp` and `nonce` are filled in where they are absent.
    pub claims: Value,
    /// Claims to leave out although they would be filled in.
    pub leave_out: Vec<&'static str>,
    /// Replaces the signed ID token.
    pub id_token: Option<String>,
    /// Replaces the token endpoint's answer: status, content type, body.
    pub token_answer: Option<(u16, &'static str, String)>,
    /// Further headers of the token endpoint's answer.
    pub token_headers: Vec<(&'static str, String)>,
    /// The userinfo endpoint's answer.
    pub userinfo: (u16, &'static str, String),
    /// What Microsoft Graph, at the provider's own origin, answers to each question.
    pub graph: (u16, &'static str, String),
    /// Answers 503 to everything.
    pub down: bool,
    pub access_token: String,
    /// Changes the text of the ID token's header before it is signed.
    pub edit_header: Option<Edit>,
    /// Changes the text of the ID token's claims before they are signed.
    pub edit_claims: Option<Edit>,
    /// Changes the signed ID token.
    pub edit_id_token: Option<Edit>,
    /// Changes the body of the honest token answer.
    pub edit_token_answer: Option<Edit>,
    /// The key set from the next token on: the provider rotates just before it signs.
    pub jwks_from_next_token: Option<String>,
    /// Status and content type of the honest token answer.
    pub token_head: (u16, &'static str),
    /// The token endpoint's body never ends: a space every 100 ms follows it.
    pub drip: bool,
    /// Replaces the discovery document's answer: status, content type, body.
    pub discovery_answer: Option<(u16, &'static str, String)>,
    /// `Location` of the discovery document's answer.
    pub discovery_location: Option<String>,
    /// The refresh grant.
    pub refresh: Refreshing,
    /// Codes given out, with the nonce of their request. A code works once.
    codes: BTreeMap<String, String>,
    issued: usize,
    clock: Clock,
    seen: Vec<(String, String)>,
    /// The ID token given out last.
    pub last_id_token: Option<String>,
    /// What was signed last, and how: thousands of sessions of one person get the same ID token within a second.
    signed: Option<(String, String)>,
}

/// A provider; it ends with the test's runtime.
#[derive(Clone)]
pub struct Provider {
    pub address: SocketAddr,
    script: Arc<Mutex<Script>>,
    honest: Arc<Mutex<Script>>,
    pub(super) refreshes: Arc<Mutex<Refreshes>>,
}

impl Provider {
    /// A provider whose issuer is `http://127.0.0.1:PORT<path>`, asserting `claims` (at least `sub`).
    pub async fn start(path: &str, claims: Value, clock: Clock) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let base = format!("http://{address}{path}");
        let discovery = json!({
            "issuer": base,
            "authorization_endpoint": format!("{base}/authorize"),
            "token_endpoint": format!("{base}/token"),
            "jwks_uri": format!("{base}/keys"),
            "userinfo_endpoint": format!("{base}/userinfo"),
            "end_session_endpoint": format!("{base}/logout"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
        });
        let script = Script {
            issuer: base,
            discovery,
            jwks: json!({ "keys": [SigningKey::number(0).jwk("k0")] }).to_string(),
            key: SigningKey::number(0),
            header: json!({ "alg": "RS256", "kid": "k0", "typ": "JWT" }),
            claims,
            leave_out: vec![],
            id_token: None,
            token_answer: None,
            token_headers: vec![],
            userinfo: (200, "application/json", json!({ "sub": "nobody" }).to_string()),
            graph: (200, "application/json", json!({ "value": [] }).to_string()),
            down: false,
            access_token: "canary-access-token".to_owned(),
            edit_header: None,
            edit_claims: None,
            edit_id_token: None,
            edit_token_answer: None,
            jwks_from_next_token: None,
            token_head: (200, "application/json"),
            drip: false,
            discovery_answer: None,
            discovery_location: None,
            refresh: Refreshing::default(),
            codes: BTreeMap::new(),
            issued: 0,
            clock,
            seen: vec![],
            last_id_token: None,
            signed: None,
        };
        let provider = Self {
            address,
            honest: Arc::new(Mutex::new(script.clone())),
            script: Arc::new(Mutex::new(script)),
            refreshes: Arc::default(),
        };
        let serving = provider.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let provider = serving.clone();
                let service = service_fn(move |request| provider.clone().serve(request));
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move { connection.await.ok() });
            }
        });
        provider
    }

    /// What the provider says, to read or change.
    pub fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    /// Makes the provider honest again. What it gave out and was asked stays.
    pub fn honest(&self) {
        let mut script = self.script();
        let (codes, seen) = (std::mem::take(&mut script.codes), std::mem::take(&mut script.seen));
        *script = Script { codes, seen, issued: script.issued, ..self.honest.lock().unwrap().clone() };
    }

    /// From now on `change` is part of what an honest provider says.
    pub fn always(&self, change: impl Fn(&mut Script)) {
        change(&mut self.honest.lock().unwrap());
        self.honest();
    }

    /// How often an endpoint was asked: `/token`, `/keys`, `/userinfo`, `/.well-known/openid-configuration`.
    pub fn count(&self, endpoint: &str) -> usize {
        self.script().seen.iter().filter(|(path, _)| path.ends_with(endpoint)).count()
    }

    /// The body of the last request to an endpoint, as form fields.
    pub fn last_form(&self, endpoint: &str) -> BTreeMap<String, String> {
        let script = self.script();
        let (_, body) = script.seen.iter().rev().find(|(path, _)| path.ends_with(endpoint)).expect("it was asked");
        url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
    }

    /// The person signs in: the provider's answer to the authorization request at `url`, as the query of the callback.
    pub fn sign_in(&self, url: &str) -> BTreeMap<String, String> {
        let query: BTreeMap<String, String> = url::Url::parse(url).unwrap().query_pairs().into_owned().collect();
        let mut script = self.script();
        script.issued += 1;
        let code = format!("code-{}-{}", script.issued, self.address.port());
        script.codes.insert(code.clone(), query["nonce"].clone());
        let mut answer = BTreeMap::from([("code".to_owned(), code), ("state".to_owned(), query["state"].clone())]);
        if script.discovery["authorization_response_iss_parameter_supported"] == json!(true) {
            answer.insert("iss".to_owned(), script.issuer.clone());
        }
        answer
    }

    async fn serve(self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let body = String::from_utf8_lossy(&body).into_owned();
        let held = {
            let mut script = self.script();
            let form: BTreeMap<_, _> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
            let refresh = path.ends_with("/token") && form.get("grant_type").is_some_and(|g| g == "refresh_token");
            if refresh {
                script.seen.push((path.clone(), body.clone()));
            }
            refresh.then(|| self.refresh(&mut script, &form["refresh_token"]))
        };
        if let Some(held) = held {
            let ((status, kind, text), drip) = held.ready().await;
            let body = if drip { dripping(text) } else { Full::new(Bytes::from(text)).boxed_unsync() };
            return Ok(Response::builder().status(status).header("content-type", kind).body(body).unwrap());
        }
        let mut script = self.script();
        script.seen.push((path.clone(), body.clone()));
        let mut headers = vec![];
        let mut drip = false;
        let (status, kind, text) = if script.down {
            (503, "text/plain", "away".to_owned())
        } else if path.ends_with("/.well-known/openid-configuration") {
            headers.extend(script.discovery_location.clone().map(|to| ("location", to)));
            let honest = || (200, "application/json", script.discovery.to_string());
            script.discovery_answer.clone().unwrap_or_else(honest)
        } else if path.ends_with("/keys") {
            (200, "application/json", script.jwks.clone())
        } else if path.ends_with("/token") {
            headers.clone_from(&script.token_headers);
            drip = script.drip;
            let refresh_token = self.first_refresh_token(&script);
            script.token(&body, refresh_token)
        } else if path.ends_with("/userinfo") {
            script.userinfo.clone()
        } else if path.starts_with("/v1.0/") {
            script.graph.clone()
        } else {
            (404, "text/plain", "no such thing here".to_owned())
        };
        let mut response = Response::builder().status(status).header("content-type", kind);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        let body = if drip { dripping(text) } else { Full::new(Bytes::from(text)).boxed_unsync() };
        Ok(response.body(body).unwrap())
    }
}

/// A body that goes on for ever, slowly.
fn dripping(first: String) -> Body {
    let drops = futures_util::stream::unfold(Some(first), |first| async {
        let part = match first {
            Some(first) => first,
            None => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                " ".to_owned()
            }
        };
        Some((Ok(Frame::data(Bytes::from(part))), None))
    });
    StreamBody::new(drops).boxed_unsync()
}

impl Script {
    /// The provider's time, in seconds.
    pub fn now(&self) -> i64 {
        self.clock.now().secs()
    }

    /// The provider's time.
    pub(super) fn time(&self) -> Timestamp {
        self.clock.now()
    }

    fn token(&mut self, body: &str, refresh_token: Option<String>) -> (u16, &'static str, String) {
        if let Some(answer) = &self.token_answer {
            return answer.clone();
        }
        let form: BTreeMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let Some(nonce) = form.get("code").and_then(|code| self.codes.remove(code)) else {
            return (400, "application/json", json!({ "error": "invalid_grant" }).to_string());
        };
        if let Some(jwks) = self.jwks_from_next_token.take() {
            self.jwks = jwks;
        }
        let id_token = self.id_token(&nonce, &json!({}));
        let mut answer = json!({
            "access_token": self.access_token, "token_type": "Bearer", "expires_in": 300, "id_token": id_token,
        });
        if let Some(refresh_token) = refresh_token {
            answer["refresh_token"] = refresh_token.into();
            answer["expires_in"] = json!(self.refresh.expires_in);
        }
        let (status, kind) = self.token_head;
        (status, kind, edited(self.edit_token_answer.as_ref(), answer.to_string()))
    }

    /// An ID token: of a sign-in, or, without a nonce, of a refresh, with `changed` claims.
    pub(super) fn id_token(&mut self, nonce: &str, changed: &Value) -> String {
        let mut claims = self.claims.clone();
        let now = self.now();
        let defaults = [
            ("iss", json!(self.issuer)),
            ("aud", json!("client")),
            ("iat", json!(now)),
            ("exp", json!(now + 300)),
            ("nonce", json!(nonce)),
        ];
        for (name, value) in defaults {
            if claims.get(name).is_none() && !self.leave_out.contains(&name) && value != "" {
                claims[name] = value;
            }
        }
        for (name, value) in changed.as_object().into_iter().flatten() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        let header = edited(self.edit_header.as_ref(), self.header.to_string());
        let claims = edited(self.edit_claims.as_ref(), claims.to_string());
        let text = format!("{header} {claims} {:p}", self.key);
        let signed = match &self.signed {
            Some((known, signed)) if *known == text => signed.clone(),
            _ => sign_text(self.key, &header, &claims),
        };
        self.signed = Some((text, signed.clone()));
        let signed = edited(self.edit_id_token.as_ref(), signed);
        let id_token = self.id_token.clone().unwrap_or(signed);
        self.last_id_token = Some(id_token.clone());
        id_token
    }
}

fn edited(edit: Option<&Edit>, text: String) -> String {
    edit.map_or(text.clone(), |edit| edit(text))
}

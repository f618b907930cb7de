//! An OpenID provider on loopback that is honest until a test spoils one of its answers.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use anteroom::base::clock::Clock;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::keys::{SigningKey, sign_jwt};

/// What the provider says. A test changes any of it, at any time.
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
    /// Answers 503 to everything.
    pub down: bool,
    /// Codes given out, with the nonce of their request. A code works once.
    codes: BTreeMap<String, String>,
    clock: Clock,
    seen: Vec<(String, String)>,
}

/// A provider; it ends with the test's runtime.
#[derive(Clone)]
pub struct Provider {
    pub address: SocketAddr,
    script: Arc<Mutex<Script>>,
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
            down: false,
            codes: BTreeMap::new(),
            clock,
            seen: vec![],
        };
        let provider = Self { address, script: Arc::new(Mutex::new(script)) };
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
        let code = format!("code-{}-{}", script.codes.len(), self.address.port());
        script.codes.insert(code.clone(), query["nonce"].clone());
        let mut answer = BTreeMap::from([("code".to_owned(), code), ("state".to_owned(), query["state"].clone())]);
        if script.discovery["authorization_response_iss_parameter_supported"] == json!(true) {
            answer.insert("iss".to_owned(), script.issuer.clone());
        }
        answer
    }

    async fn serve(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let body = String::from_utf8_lossy(&body).into_owned();
        let mut script = self.script();
        script.seen.push((path.clone(), body.clone()));
        let (status, kind, text) = if script.down {
            (503, "text/plain", "away".to_owned())
        } else if path.ends_with("/.well-known/openid-configuration") {
            (200, "application/json", script.discovery.to_string())
        } else if path.ends_with("/keys") {
            (200, "application/json", script.jwks.clone())
        } else if path.ends_with("/token") {
            script.token(&body)
        } else if path.ends_with("/userinfo") {
            script.userinfo.clone()
        } else {
            (404, "text/plain", "no such thing here".to_owned())
        };
        let mut response = Response::builder().status(status).header("content-type", kind);
        if path.ends_with("/token") {
            for (name, value) in &script.token_headers {
                response = response.header(*name, value);
            }
        }
        Ok(response.body(Full::new(Bytes::from(text))).unwrap())
    }
}

impl Script {
    fn token(&mut self, body: &str) -> (u16, &'static str, String) {
        if let Some(answer) = &self.token_answer {
            return answer.clone();
        }
        let form: BTreeMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let Some(nonce) = form.get("code").and_then(|code| self.codes.remove(code)) else {
            return (400, "application/json", json!({ "error": "invalid_grant" }).to_string());
        };
        let mut claims = self.claims.clone();
        let now = self.clock.now().secs();
        let defaults = [
            ("iss", json!(self.issuer)),
            ("aud", json!("client")),
            ("iat", json!(now)),
            ("exp", json!(now + 300)),
            ("nonce", json!(nonce)),
        ];
        for (name, value) in defaults {
            if claims.get(name).is_none() && !self.leave_out.contains(&name) {
                claims[name] = value;
            }
        }
        let id_token = self.id_token.clone().unwrap_or_else(|| sign_jwt(self.key, &self.header, &claims));
        let answer = json!({ "access_token": "at", "token_type": "Bearer", "expires_in": 300, "id_token": id_token });
        (200, "application/json", answer.to_string())
    }
}

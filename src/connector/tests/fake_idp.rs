//! A provider on loopback that counts what it is asked and answers what a test tells it to.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::connector::oidc::fixture::{self, ACCESS_TOKEN, TestKey, rsa, sign, with};

/// What the provider answers; tests change it between requests.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) discovery: (StatusCode, Value),
    pub(super) keys: (StatusCode, String),
    pub(super) token_key: &'static TestKey,
    pub(super) token_header: Value,
    pub(super) claims: Value,
    /// Members of the honest token answer that are added or replaced, or, if null, left out.
    pub(super) token_members: Value,
    /// Replaces the honest token answer.
    pub(super) token_answer: Option<(StatusCode, &'static str, String)>,
    pub(super) userinfo: (&'static str, String),
}

pub(super) struct FakeIdp {
    pub(super) address: SocketAddr,
    pub(super) script: Arc<Mutex<Script>>,
    /// Requests by path, and the last body of each.
    pub(super) seen: Arc<Mutex<BTreeMap<String, (usize, String)>>>,
}

impl FakeIdp {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let issuer = format!("http://{address}");
        let discovery = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/keys"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "end_session_endpoint": format!("{issuer}/end"),
        });
        let script = Arc::new(Mutex::new(Script {
            discovery: (StatusCode::OK, discovery),
            keys: (StatusCode::OK, json!({ "keys": [rsa(0).jwk("k0")] }).to_string()),
            token_key: rsa(0),
            token_header: fixture::header("RS256", "k0"),
            claims: with(fixture::claims(), "iss", json!(issuer)),
            token_members: json!({}),
            token_answer: None,
            userinfo: ("application/json", json!({ "sub": "ann" }).to_string()),
        }));
        let seen = Arc::new(Mutex::new(BTreeMap::new()));
        let idp = Self { address, script: Arc::clone(&script), seen: Arc::clone(&seen) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
                let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                    let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
                    async move {
                        // A tenant's path before it makes no difference.
                        let path = request.uri().path();
                        let path = path.find("/.well-known").map_or(path, |at| &path[at..]).to_owned();
                        let body = request.into_body().collect().await.unwrap().to_bytes();
                        {
                            let mut seen = seen.lock().unwrap();
                            let entry = seen.entry(path.clone()).or_default();
                            *entry = (entry.0 + 1, String::from_utf8_lossy(&body).into_owned());
                        }
                        let script = script.lock().unwrap().clone();
                        Ok::<_, Infallible>(answer(&path, script))
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        idp
    }

    pub(super) fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn asked(&self, path: &str) -> usize {
        self.seen.lock().unwrap().get(path).map_or(0, |entry| entry.0)
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }

    pub(super) fn claim(&self, name: &str, value: Value) {
        self.change(|s| s.claims = with(s.claims.clone(), name, value));
    }

    /// The last body that was sent to `path`, as a form.
    pub(super) fn form(&self, path: &str) -> BTreeMap<String, String> {
        let body = self.seen.lock().unwrap()[path].1.clone();
        url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
    }

    pub(super) fn rotate(&self) {
        self.change(|s| {
            s.keys.1 = json!({ "keys": [rsa(1).jwk("k1")] }).to_string();
            (s.token_key, s.token_header) = (rsa(1), fixture::header("RS256", "k1"));
        });
    }
}

fn answer(path: &str, script: Script) -> Response<Full<Bytes>> {
    let (status, content_type, body) = match path {
        "/.well-known/openid-configuration" => (script.discovery.0, "application/json", script.discovery.1.to_string()),
        "/keys" => (script.keys.0, "application/json", script.keys.1),
        "/token" => script.token_answer.unwrap_or_else(|| {
            let id_token = sign(script.token_key, &script.token_header, &script.claims);
            let mut body = json!({ "id_token": id_token, "access_token": ACCESS_TOKEN, "token_type": "Bearer" });
            for (name, value) in script.token_members.as_object().unwrap() {
                body = with(body, name, value.clone());
            }
            (StatusCode::OK, "application/json", body.to_string())
        }),
        "/userinfo" => (StatusCode::OK, script.userinfo.0, script.userinfo.1),
        _ => (StatusCode::NOT_FOUND, "text/plain", String::new()),
    };
    Response::builder().status(status).header("content-type", content_type).body(Full::from(body)).unwrap()
}

//! The providers behind a measured Anteroom: any number of issuers on one port, told apart by the first segment of the
//! path. They know one answer each to a refresh, and sign it anew every few seconds, so that they cost little beside
//! what is measured. `GET /count` says how many refreshes there were.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Parser;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::spawn_local;

/// How long an ID token is given to everybody who asks.
const SIGNED_FOR: Duration = Duration::from_secs(5);
/// The longest request read, in bytes.
const REQUEST: usize = 64 * 1024;

#[derive(Parser)]
struct Flags {
    /// Where Anteroom connects.
    #[arg(long)]
    listen: SocketAddr,
    /// `expires_in` of every answer, in seconds: Anteroom renews a session at most every ten.
    #[arg(long, default_value_t = 1)]
    expires_in: u64,
}

type Problem = Box<dyn std::error::Error>;

/// What all issuers share.
struct Issuers {
    address: SocketAddr,
    expires_in: u64,
    key: RsaKeyPair,
    signed: RefCell<HashMap<String, (Duration, String)>>,
    refreshes: RefCell<u64>,
}

fn main() -> Result<(), Problem> {
    let flags = Flags::parse();
    let issuers = Rc::new(Issuers {
        address: flags.listen,
        expires_in: flags.expires_in,
        key: RsaKeyPair::generate(KeySize::Rsa2048)?,
        signed: RefCell::default(),
        refreshes: RefCell::new(0),
    });
    Builder::new_current_thread().enable_io().build_local(LocalOptions::default())?.block_on(async {
        let listener = TcpListener::bind(flags.listen).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            // An error here is a client that closed the connection.
            let issuers = Rc::clone(&issuers);
            spawn_local(async move { serve(stream, &issuers).await.is_ok() });
        }
    })
}

async fn serve(mut stream: TcpStream, issuers: &Issuers) -> Result<(), Problem> {
    let mut received = Vec::with_capacity(REQUEST);
    loop {
        while let Some((path, length)) = request(&received)? {
            received.drain(..length);
            let body = issuers.answer(&path)?.to_string();
            let length = body.len();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all(&[head.into_bytes(), body.into_bytes()].concat()).await?;
        }
        if received.len() >= REQUEST || stream.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
    }
}

/// The path of the first whole request, and that request's length.
fn request(received: &[u8]) -> Result<Option<(String, usize)>, Problem> {
    let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(received.get(..end).unwrap_or_default())?.to_ascii_lowercase();
    let mut lines = head.split("\r\n");
    let path = lines.next().and_then(|line| line.split(' ').nth(1)).ok_or("no request line")?.to_owned();
    let length =
        lines.find_map(|line| line.strip_prefix("content-length:")).map_or(Ok(0), |text| text.trim().parse())?;
    let whole = end + 4 + length;
    Ok((received.len() >= whole).then_some((path, whole)))
}

impl Issuers {
    fn answer(&self, path: &str) -> Result<Value, Problem> {
        if path == "/count" {
            return Ok(json!(*self.refreshes.borrow()));
        }
        let (name, endpoint) = path.trim_start_matches('/').split_once('/').ok_or("no issuer in the path")?;
        let issuer = format!("http://{}/{name}", self.address);
        Ok(match endpoint {
            ".well-known/openid-configuration" => json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{issuer}/token"),
                "jwks_uri": format!("{issuer}/keys"),
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }),
            "keys" => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(self.key.public_key());
                let (n, e) = (URL_SAFE_NO_PAD.encode(public.n), URL_SAFE_NO_PAD.encode(public.e));
                json!({ "keys": [{ "kty": "RSA", "use": "sig", "kid": "k", "alg": "RS256", "n": n, "e": e }] })
            }
            "token" => {
                let refreshes = {
                    let mut refreshes = self.refreshes.borrow_mut();
                    *refreshes += 1;
                    *refreshes
                };
                json!({
                    "access_token": "an-access-token-of-some-length-that-nobody-uses-for-anything",
                    "token_type": "Bearer",
                    "expires_in": self.expires_in,
                    "refresh_token": format!("refresh-token-{refreshes}"),
                    "id_token": self.id_token(name, &issuer)?,
                })
            }
            _ => json!({}),
        })
    }

    /// What every session of an issuer is told: it is of the person `person-<name>`.
    fn id_token(&self, name: &str, issuer: &str) -> Result<String, Problem> {
        #[expect(clippy::disallowed_methods, reason = "the provider's own time; no part of the product")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        if let Some((at, token)) = self.signed.borrow().get(name)
            && now.saturating_sub(*at) < SIGNED_FOR
        {
            return Ok(token.clone());
        }
        let claims = json!({
            "iss": issuer, "aud": "bench", "sub": format!("person-{name}"), "iat": now.as_secs(),
            "exp": now.as_secs() + 3600, "email": format!("person@{name}.example"), "email_verified": true,
            "name": "Person Somebody", "preferred_username": format!("person@{name}.example"),
            "groups": ["staff", "finance"], "roles": ["User"],
        });
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", encoded(&json!({ "alg": "RS256", "kid": "k", "typ": "JWT" })), encoded(&claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)?;
        let token = format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature));
        self.signed.borrow_mut().insert(name.to_owned(), (now, token.clone()));
        Ok(token)
    }
}

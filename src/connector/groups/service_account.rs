//! Access tokens for a Google service account, by an assertion that its key signs (RFC 7523 section 2.1).

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use http::header::{ACCEPT, CONTENT_TYPE};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::list::{invalid, object, send};
use crate::base::clock::{Clock, Tick, Timestamp};
use crate::base::outgoing::Outgoing;
use crate::base::service_account::ServiceAccount;
use crate::config::GoogleDirectory;
use crate::connector::error::{ProviderError, Reason};

const SCOPE: &str = "https://www.googleapis.com/auth/admin.directory.group.readonly";

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// How long an assertion is valid, in seconds; Google allows an hour.
const ASSERTION_LIFETIME: i64 = 600;

/// A token is renewed this long before its end.
const EARLY: Duration = Duration::from_secs(60);

/// A token is used no longer than this, whatever its answer says.
const LONGEST: u64 = 3_600;

/// Largest token answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Gets tokens, and keeps one as long as it lasts and its key file stays the same.
pub(super) struct TokenSource {
    config: GoogleDirectory,
    outgoing: Outgoing,
    clock: Clock,
    /// Held while one is fetched: many sign-ins are one fetch.
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    token: SecretString,
    until: Tick,
    /// The SHA-256 of the key file it was made with.
    file: [u8; 32],
}

impl TokenSource {
    pub(super) fn new(config: GoogleDirectory, outgoing: Outgoing, clock: Clock) -> Self {
        Self { config, outgoing, clock, kept: Mutex::new(None) }
    }

    /// A token that is valid for a minute at least.
    pub(super) async fn token(&self) -> Result<SecretString, ProviderError> {
        let unreadable = |e| ProviderError::new(Reason::ServiceAccountUnreadable).caused_by(e);
        let text = self.config.service_account.read().map_err(unreadable)?;
        let mut file = [0; 32];
        file.copy_from_slice(digest(&SHA256, text.expose_secret().as_bytes()).as_ref());
        let mut kept = self.kept.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| kept.file == file && self.clock.tick() < kept.until) {
            return Ok(kept.token.clone());
        }
        let invalid_file =
            |e| ProviderError::new(Reason::ServiceAccountUnreadable).saying("a key file", e).caused_by(e);
        let account = ServiceAccount::parse(text.expose_secret()).map_err(invalid_file)?;
        let request = self.request(&account)?;
        let answer = send(&self.outgoing, request, MAX_ANSWER).await?;
        let (token, lifetime) = read(&object(&answer)?)?;
        let until = self.clock.tick().plus(lifetime.saturating_sub(EARLY));
        *kept = Some(Kept { token: token.clone(), until, file });
        Ok(token)
    }

    /// Uses `token` no more.
    pub(super) async fn forget(&self, token: &SecretString) {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_some_and(|kept| kept.token.expose_secret() == token.expose_secret()) {
            *kept = None;
        }
    }

    fn request(&self, account: &ServiceAccount) -> Result<Request<Vec<u8>>, ProviderError> {
        let (subject, audience) = (self.config.subject.as_str(), self.config.token_url.as_str());
        let assertion = assertion(account, subject, audience, self.clock.now())?;
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", GRANT)
            .append_pair("assertion", &assertion)
            .finish();
        Request::post(audience)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.into_bytes())
            .map_err(|e| ProviderError::new(Reason::ConnectorMisconfigured).caused_by(e))
    }
}

/// The assertion, a JWT signed with RS256: that `account` asks in the name of `subject`.
fn assertion(account: &ServiceAccount, subject: &str, audience: &str, now: Timestamp) -> Result<String, ProviderError> {
    let mut header = json!({ "alg": "RS256", "typ": "JWT" });
    if let (Some(kid), Some(header)) = (account.key_id(), header.as_object_mut()) {
        header.insert("kid".to_owned(), Value::from(kid));
    }
    let (iat, exp) = (now.secs(), now.secs().saturating_add(ASSERTION_LIFETIME));
    let claims = json!({
        "iss": account.email(), "sub": subject, "scope": SCOPE, "aud": audience, "iat": iat, "exp": exp,
    });
    let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims.to_string(), &mut token);
    let signature = account.sign(token.as_bytes());
    let signature = signature.map_err(|e| ProviderError::new(Reason::ServiceAccountUnreadable).caused_by(e))?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

/// Reads the token and how long it lasts (RFC 6749 section 5.1).
fn read(body: &Map<String, Value>) -> Result<(SecretString, Duration), ProviderError> {
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let bearer = text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
    let token = text("access_token").filter(|token| !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic()));
    let seconds = body.get("expires_in").and_then(Value::as_u64);
    match (token, seconds) {
        (Some(token), Some(seconds)) if bearer => {
            Ok((SecretString::from(token), Duration::from_secs(seconds.min(LONGEST))))
        }
        _ => Err(invalid("a bearer token with its lifetime", "")),
    }
}

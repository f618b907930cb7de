//! The token requests and their answers (`OpenID` Connect Core sections 3.1.3 and 12, RFC 6749 sections 5 and 6).
//!
//! The library writes the request. The answer is read here: the library's parser takes bytes after the value and
//! answers without a content type, and its errors hold the body (O27).

use std::time::Duration;

use http::{Request, StatusCode};
use openidconnect::core::CoreClient;
use openidconnect::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, HttpRequest, HttpResponse, IssuerUrl, JsonWebKeySet,
    PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, TokenUrl,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};

use super::client_auth::ClientAuthentication;
use super::metadata::Metadata;
use crate::base::json;
use crate::base::outgoing::Answer;
use crate::connector::error::{ProviderError, Reason, microsoft_number};

/// Largest token answer that is read, in bytes.
pub(crate) const MAX_ANSWER: usize = 1024 * 1024;

/// Longest refresh token that is kept, in bytes.
const MAX_REFRESH_TOKEN: usize = 64 * 1024;

/// Longest life that an access token is taken to have.
const MAX_LIFE: Duration = Duration::from_secs(365 * 86_400);

/// What tokens are given for.
pub(crate) enum Grant<'a> {
    Code { code: &'a str, pkce_verifier: &'a str, redirect_uri: &'a str },
    Refresh(&'a SecretString),
}

/// The tokens of an answer. Never printed.
pub(crate) struct Tokens {
    /// Always there for a code; a refresh may give none (Core section 12.2).
    pub(crate) id_token: Option<String>,
    pub(crate) access_token: String,
    pub(crate) refresh_token: Option<SecretString>,
    pub(crate) expires_in: Option<Duration>,
}

/// The request that the library would have sent.
#[derive(Debug, thiserror::Error)]
#[error("the request is written")]
struct Written(Box<HttpRequest>);

/// Writes the token request: `client_secret_basic` unless only `client_secret_post` is offered; a public client, and
/// one with an assertion, names itself in the body; with a code the PKCE verifier always (O23).
pub(crate) fn request(
    metadata: &Metadata,
    client_id: &str,
    authentication: &ClientAuthentication,
    grant: &Grant<'_>,
) -> Result<Request<Vec<u8>>, ProviderError> {
    let invalid = |e: url::ParseError| ProviderError::new(Reason::ConnectorMisconfigured).caused_by(e);
    let issuer = IssuerUrl::new(metadata.issuer.clone()).map_err(invalid)?;
    let auth = if metadata.secret_in_body { AuthType::RequestBody } else { AuthType::BasicAuth };
    let mut client = CoreClient::new(ClientId::new(client_id.to_owned()), issuer, JsonWebKeySet::default())
        .set_token_uri(TokenUrl::from_url(metadata.token_endpoint.clone()))
        .set_auth_type(auth);
    if let ClientAuthentication::Secret(secret) = authentication {
        client = client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()));
    }
    // The library cannot hand its request out, only give it to a client: this one keeps it.
    let keep = |request: HttpRequest| Err::<HttpResponse, _>(Written(Box::new(request)));
    let more = authentication.assertion_parameters();
    let written = match grant {
        Grant::Code { code, pkce_verifier, redirect_uri } => {
            let client = client.set_redirect_uri(RedirectUrl::new((*redirect_uri).to_owned()).map_err(invalid)?);
            let request = client
                .exchange_code(AuthorizationCode::new((*code).to_owned()))
                .set_pkce_verifier(PkceCodeVerifier::new((*pkce_verifier).to_owned()));
            more.into_iter().fold(request, |r, (name, value)| r.add_extra_param(name, value)).request(&keep)
        }
        Grant::Refresh(token) => {
            let token = RefreshToken::new(token.expose_secret().to_owned());
            let request = client.exchange_refresh_token(&token);
            more.into_iter().fold(request, |r, (name, value)| r.add_extra_param(name, value)).request(&keep)
        }
    };
    match written {
        Err(RequestTokenError::Request(Written(request))) => Ok(*request),
        _ => Err(Reason::ConnectorMisconfigured.into()),
    }
}

/// Reads the answer of the token endpoint (O27, O28).
pub(crate) fn read(answer: &Answer) -> Result<Tokens, ProviderError> {
    let json = answer.content_type.as_deref() == Some("application/json");
    if answer.status != StatusCode::OK {
        let body = if json { json::parse_object(&answer.body).ok() } else { None };
        return Err(refusal(answer.status, body.as_ref()));
    }
    if !json {
        return Err(invalid("application/json", answer.content_type.as_deref().unwrap_or("no content type")));
    }
    let body = json::parse_object(&answer.body).map_err(|e| invalid("strict JSON", "").caused_by(e))?;
    let optional = |name: &'static str| match body.get(name) {
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(Value::Null) | None => Ok(None),
        Some(_) => Err(invalid(name, "not a string")),
    };
    let text = |name: &'static str| optional(name)?.ok_or_else(|| invalid(name, "absent"));
    if !text("token_type")?.eq_ignore_ascii_case("bearer") {
        return Err(invalid("token_type bearer", text("token_type")?));
    }
    let refresh_token = optional("refresh_token")?.filter(|token| !token.is_empty());
    if refresh_token.is_some_and(|token| token.len() > MAX_REFRESH_TOKEN) {
        return Err(invalid("a refresh token of at most 64 KB", "a longer one"));
    }
    Ok(Tokens {
        id_token: optional("id_token")?.map(str::to_owned),
        access_token: text("access_token")?.to_owned(),
        refresh_token: refresh_token.map(SecretString::from),
        expires_in: body.get("expires_in").and_then(life),
    })
}

impl Tokens {
    /// The ID token, which the answer to a code must have.
    pub(crate) fn id_token(&self) -> Result<&str, ProviderError> {
        self.id_token.as_deref().ok_or_else(|| invalid("id_token", "absent"))
    }
}

fn invalid(expected: &str, found: &str) -> ProviderError {
    ProviderError::new(Reason::TokenResponseInvalid).saying(expected, found)
}

/// Whole seconds, as a number or, as some providers send it, in quotes. Anything else says nothing.
fn life(value: &Value) -> Option<Duration> {
    let secs = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    Some(Duration::from_secs(secs).min(MAX_LIFE))
}

/// What an answer other than 200 means (RFC 6749 section 5.2).
fn refusal(status: StatusCode, body: Option<&Map<String, Value>>) -> ProviderError {
    let text = |name: &str| body.and_then(|b| b.get(name)).and_then(Value::as_str);
    let Some(code) = text("error") else {
        let reason = if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            Reason::ProviderUnavailable
        } else {
            Reason::TokenResponseInvalid
        };
        return ProviderError::new(reason).saying("200 or an OAuth error", status);
    };
    let reason = match code {
        // A refusal is a client error (RFC 6749 section 5.2). A server in trouble has judged nothing.
        _ if status.is_server_error() => Reason::ProviderUnavailable,
        "invalid_client" | "unauthorized_client" => Reason::InvalidClient,
        "invalid_grant" => Reason::InvalidGrant,
        "server_error" | "temporarily_unavailable" => Reason::ProviderUnavailable,
        _ => Reason::ProviderError,
    };
    // The description may repeat what we sent, so only Microsoft's error number is taken from it.
    let number = text("error_description").and_then(microsoft_number).unwrap_or_default();
    ProviderError::new(reason).saying("", format_args!("{code}: {number}"))
}

#[cfg(test)]
mod tests;

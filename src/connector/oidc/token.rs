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
use crate::connector::error::{ProviderError, Reason};

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

/// `AADSTS` and its digits, which administrators look up.
fn microsoft_number(description: &str) -> Option<&str> {
    let from = description.get(description.find("AADSTS")?..)?;
    let digits = from.bytes().skip(6).take_while(u8::is_ascii_digit).take(10).count();
    from.get(..6 + digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::outgoing::AddressClass;
    use crate::connector::oidc::fixture;

    fn answer(status: u16, content_type: &str, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            content_type: Some(content_type.into()),
            body: body.to_owned().into(),
            from: AddressClass::Public,
        }
    }

    fn reason(answer: &Answer) -> &'static str {
        read(answer).map(|_| ()).unwrap_err().reason()
    }

    const HONEST: &str = r#"{"id_token":"i","access_token":"a","token_type":"Bearer"}"#;

    #[test]
    fn an_honest_answer_gives_its_tokens_o28() {
        let tokens = read(&answer(200, "application/json", HONEST)).unwrap();
        assert_eq!((tokens.id_token.as_str(), tokens.access_token.as_str()), ("i", "a"));
        for kind in ["bearer", "BEARER", "bEARER"] {
            assert!(read(&answer(200, "application/json", &HONEST.replace("Bearer", kind))).is_ok());
        }
    }

    #[test]
    fn an_answer_that_is_not_exactly_that_is_refused_o27_o28() {
        let mac = HONEST.replace("Bearer", "mac");
        let twice = HONEST.replacen('{', r#"{"id_token":"x","#, 1);
        for body in [
            &mac,
            &twice,
            "[]",
            "{",
            "",
            "{} {}",
            r#"{"id_token":"i","token_type":"Bearer"}"#,
            r#"{"id_token":["i"],"access_token":"a","token_type":"Bearer"}"#,
        ] {
            assert_eq!(reason(&answer(200, "application/json", body)), "token_response_invalid", "{body}");
        }
        assert_eq!(reason(&answer(200, "text/html", HONEST)), "token_response_invalid");
        assert_eq!(reason(&answer(201, "application/json", HONEST)), "token_response_invalid");
        assert_eq!(reason(&answer(302, "application/json", HONEST)), "token_response_invalid");
    }

    #[test]
    fn an_oauth_error_says_whose_fault_it_is() {
        let error = |status, code: &str| {
            let body = format!(r#"{{"error":"{code}","error_description":"AADSTS7000215: the code was canary"}}"#);
            read(&answer(status, "application/json", &body)).map(|_| ()).unwrap_err()
        };
        use crate::connector::error::Kind;
        assert_eq!(error(401, "invalid_client").kind(), Kind::Misconfigured);
        assert_eq!(error(400, "invalid_grant").kind(), Kind::Refused);
        assert_eq!(error(400, "invalid_grant").reason(), "invalid_grant");
        assert_eq!(error(400, "temporarily_unavailable").kind(), Kind::Unavailable);
        assert_eq!(error(400, "invalid_request").reason(), "provider_error");
        assert_eq!(error(400, "invalid_grant").detail(), Some(("", "invalid_grant: AADSTS7000215")));
        assert!(!format!("{:?}", error(400, "invalid_grant")).contains("canary"));
        assert_eq!(reason(&answer(503, "text/html", "away")), "provider_unavailable");
        assert_eq!(reason(&answer(404, "text/html", "?")), "token_response_invalid");
    }

    fn exchange(secret: Option<&str>) -> Exchange<'static> {
        Exchange {
            client_id: "the:client",
            client_secret: secret.map(SecretString::from),
            redirect_uri: "https://app.example.com/cb",
            code: "the code",
            pkce_verifier: "the-verifier",
        }
    }

    #[test]
    fn the_secret_goes_where_the_provider_takes_it_o23() {
        let mut metadata = fixture::metadata();
        let basic = request(&metadata, exchange(Some("s+ cret"))).unwrap();
        assert_eq!(basic.uri(), "https://idp.example.com/token");
        assert_eq!(basic.headers()["authorization"], "Basic dGhlJTNBY2xpZW50OnMlMkIrY3JldA==");
        let body = "grant_type=authorization_code&code=the+code&code_verifier=the-verifier&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcb";
        assert_eq!(String::from_utf8_lossy(basic.body()), body);

        metadata.secret_in_body = true;
        let post = request(&metadata, exchange(Some("s+ cret"))).unwrap();
        assert!(!post.headers().contains_key("authorization"));
        assert!(String::from_utf8_lossy(post.body()).contains("client_id=the%3Aclient&client_secret=s%2B+cret"));
    }

    #[test]
    fn a_public_client_names_itself_in_the_body() {
        let request = request(&fixture::metadata(), exchange(None)).unwrap();
        assert!(!request.headers().contains_key("authorization"));
        let body = String::from_utf8_lossy(request.body()).into_owned();
        assert!(body.contains("client_id=the%3Aclient") && !body.contains("client_secret"));
        assert!(body.contains("code_verifier=the-verifier"));
    }
}

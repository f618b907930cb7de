//! The authorization request (RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2.1), judged.

use crate::profile::Profile;
use crate::request::Params;

/// A request that may go on to the sign-in page.
#[derive(Debug)]
pub(crate) struct AuthorizeRequest {
    pub(crate) redirect_uri: String,
    pub(crate) state: Option<String>,
    pub(crate) nonce: Option<String>,
    pub(crate) scope: String,
    /// SHA-256 of the verifier, base64url (RFC 7636).
    pub(crate) code_challenge: String,
    /// `prompt=none`: no page may be shown.
    pub(crate) prompt_none: bool,
    /// `prompt=login`, `select_account` or `consent`: a page must be shown.
    pub(crate) prompt_page: bool,
    pub(crate) login_hint: Option<String>,
    /// The organisation asked for: Entra's `domain_hint`, Google's `hd`.
    pub(crate) domain: Option<String>,
    /// Seconds.
    pub(crate) max_age: Option<u64>,
}

/// A request that may not.
#[derive(Debug)]
pub(crate) enum Rejected {
    /// Told on a page: there is no redirect URI to be trusted.
    Here(String),
    /// Told to the client.
    Back { redirect_uri: String, state: Option<String>, error: &'static str, description: String },
}

impl AuthorizeRequest {
    pub(crate) fn parse(profile: &Profile, encoded: &[u8]) -> Result<Self, Rejected> {
        let params =
            Params::parse(encoded).map_err(|name| Rejected::Here(format!("The parameter {name} appears twice.")))?;
        if params.get("client_id") != Some(profile.client.id) {
            return Err(Rejected::Here("client_id names no registered application.".to_owned()));
        }
        let redirect_uri = params.get("redirect_uri").unwrap_or_default();
        // Byte for byte (RFC 9700 section 2.1).
        if redirect_uri != profile.client.redirect_uri {
            return Err(Rejected::Here(format!("The redirect URI \"{redirect_uri}\" is not registered.")));
        }
        let text = |name: &str| params.get(name).map(str::to_owned);
        let prompts: Vec<&str> = params.get("prompt").unwrap_or_default().split_whitespace().collect();
        let request = Self {
            redirect_uri: redirect_uri.to_owned(),
            state: text("state"),
            nonce: text("nonce"),
            scope: text("scope").unwrap_or_default(),
            code_challenge: text("code_challenge").unwrap_or_default(),
            prompt_none: prompts.contains(&"none"),
            prompt_page: prompts.iter().any(|prompt| matches!(*prompt, "login" | "select_account" | "consent")),
            login_hint: text("login_hint"),
            domain: text(profile.domain_parameter),
            max_age: params.get("max_age").and_then(|seconds| seconds.parse().ok()),
        };
        let wrong = if params.get("response_type") != Some("code") {
            Some(("unsupported_response_type", "response_type must be code."))
        } else if params.get("request").is_some() {
            Some(("request_not_supported", "request objects are not supported."))
        } else if params.get("request_uri").is_some() {
            Some(("request_uri_not_supported", "request_uri is not supported."))
        } else if params.get("response_mode").is_some_and(|mode| mode != "query") {
            Some(("invalid_request", "response_mode must be query."))
        } else if !request.scope.split_whitespace().any(|scope| scope == "openid") {
            Some(("invalid_scope", "scope must contain openid."))
        } else if params.get("code_challenge_method") != Some("S256") || request.code_challenge.len() != 43 {
            Some(("invalid_request", "PKCE is required: code_challenge, with code_challenge_method=S256."))
        } else if request.prompt_none && prompts.len() > 1 {
            Some(("invalid_request", "prompt=none stands alone."))
        } else if params.get("max_age").is_some() && request.max_age.is_none() {
            Some(("invalid_request", "max_age is a number of seconds."))
        } else {
            None
        };
        match wrong {
            Some((error, description)) => Err(request.rejected(error, description)),
            None => Ok(request),
        }
    }

    /// An error for the client.
    pub(crate) fn rejected(&self, error: &'static str, description: &str) -> Rejected {
        Rejected::Back {
            redirect_uri: self.redirect_uri.clone(),
            state: self.state.clone(),
            error,
            description: description.to_owned(),
        }
    }
}

//! Token endpoint and userinfo (RFC 6749 section 4.1.3, OpenID Connect Core sections 3.1.3 and 5.3).

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use http::header::{AUTHORIZATION, PRAGMA, WWW_AUTHENTICATE};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq as _;

use crate::profile::{Person, object};
use crate::provider::{Access, Grant, Provider, TOKEN_LIFE};
use crate::reply::{self, Reply, With as _};
use crate::request::{self, Asked, Params};

/// An error answer of the token endpoint (RFC 6749 section 5.2).
struct Refused {
    error: &'static str,
    why: &'static str,
}

const fn refused(error: &'static str, why: &'static str) -> Refused {
    Refused { error, why }
}

impl Provider {
    pub(crate) fn token(&self, asked: &Asked, now: u64) -> Reply {
        match self.exchange(asked, now) {
            Ok(tokens) => reply::json(StatusCode::OK, &tokens).with(PRAGMA, "no-cache"),
            Err(Refused { error, why }) => {
                let body = json!({ "error": error, "error_description": why });
                if error == "invalid_client" {
                    reply::json(StatusCode::UNAUTHORIZED, &body).with(WWW_AUTHENTICATE, "Basic realm=\"token\"")
                } else {
                    reply::json(StatusCode::BAD_REQUEST, &body)
                }
            }
        }
    }

    fn exchange(&self, asked: &Asked, now: u64) -> Result<Value, Refused> {
        if !request::is_form(asked.headers()) {
            return Err(refused("invalid_request", "The body must be a form."));
        }
        let form = Params::parse(asked.body()).map_err(|_| refused("invalid_request", "A parameter appears twice."))?;
        self.authenticate_client(asked, &form)?;
        if form.get("grant_type") != Some("authorization_code") {
            return Err(refused("unsupported_grant_type", "grant_type must be authorization_code."));
        }
        // Taken before it is judged: whoever presents a code badly has had their one try.
        let grant = form
            .get("code")
            .and_then(|code| self.codes.take(code, now))
            .ok_or(refused("invalid_grant", "The code is unknown, used or older than 60 seconds."))?;
        if form.get("redirect_uri") != Some(grant.redirect_uri.as_str()) {
            return Err(refused("invalid_grant", "redirect_uri is not the one of the authorization request."));
        }
        if !verifier_fits(form.get("code_verifier").unwrap_or_default(), &grant.code_challenge) {
            return Err(refused("invalid_grant", "code_verifier does not fit code_challenge."));
        }
        let failed = || refused("server_error", "The token could not be made.");
        let person = self.person(grant.person).ok_or_else(failed)?;
        let access = Access { person: grant.person, scope: grant.scope.clone() };
        let access_token = self.access_tokens.put(access, now).ok_or_else(failed)?;
        let id_token = self.key.sign(&self.id_claims(person, &grant, &access_token, now)).ok_or_else(failed)?;
        Ok(json!({
            "token_type": "Bearer",
            "scope": grant.scope,
            "expires_in": TOKEN_LIFE,
            "access_token": access_token,
            "id_token": id_token,
        }))
    }

    /// `client_secret_basic` or `client_secret_post`, never both (RFC 6749 section 2.3).
    fn authenticate_client(&self, asked: &Asked, form: &Params) -> Result<(), Refused> {
        let (id, secret) = if asked.headers().contains_key(AUTHORIZATION) {
            if form.get("client_secret").is_some() {
                return Err(refused("invalid_request", "The client authenticates in two ways at once."));
            }
            let (id, secret) = request::basic(asked.headers()).unwrap_or_default();
            // Both are form-encoded before they go into the header (RFC 6749 section 2.3.1).
            (form_decoded(&id), form_decoded(&secret))
        } else {
            let text = |name: &str| form.get(name).unwrap_or_default().to_owned();
            (text("client_id"), text("client_secret"))
        };
        let client = &self.profile.client;
        let known = id == client.id && bool::from(secret.as_bytes().ct_eq(client.secret.as_bytes()));
        if known { Ok(()) } else { Err(refused("invalid_client", "Client id or secret is wrong.")) }
    }

    fn id_claims(&self, person: &Person, grant: &Grant, access_token: &str, now: u64) -> Value {
        let mut claims = object(json!({
            "iss": self.profile.issuer,
            "aud": self.profile.client.id,
            "iat": now,
            "nbf": now,
            "exp": now.saturating_add(TOKEN_LIFE),
            "at_hash": half_hash(access_token),
        }));
        claims.extend(allowed(&person.claims, &grant.scope));
        if let Some(nonce) = &grant.nonce {
            claims.insert("nonce".to_owned(), json!(nonce));
        }
        if let Some(auth_time) = grant.auth_time {
            claims.insert("auth_time".to_owned(), json!(auth_time));
        }
        claims.into()
    }

    pub(crate) fn userinfo(&self, asked: &Asked, now: u64) -> Reply {
        let token = request::header(asked.headers(), "authorization").and_then(|value| value.strip_prefix("Bearer "));
        let access = token.and_then(|token| self.access_tokens.get(token, now));
        let Some((access, person)) =
            access.and_then(|access| Some((self.person(access.person)?, access))).map(|(p, a)| (a, p))
        else {
            return reply::json(StatusCode::UNAUTHORIZED, &json!({ "error": "invalid_token" }))
                .with(WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"");
        };
        let told = allowed(&person.claims, &access.scope)
            .into_iter()
            .filter(|(name, _)| name == "sub" || self.profile.userinfo_claims.contains(&name.as_str()));
        reply::json(StatusCode::OK, &told.collect::<Map<_, _>>().into())
    }
}

/// The claims that a scope opens (OpenID Connect Core section 5.4); what belongs to no scope is always told.
fn allowed(claims: &Map<String, Value>, scope: &str) -> Map<String, Value> {
    let has = |wanted: &str| scope.split_whitespace().any(|scope| scope == wanted);
    let (profile, email) = (has("profile"), has("email"));
    claims
        .iter()
        .filter(|(name, _)| match name.as_str() {
            "email" | "email_verified" => email,
            "name" | "given_name" | "family_name" | "preferred_username" => profile,
            _ => true,
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// RFC 7636 section 4.6, method S256.
fn verifier_fits(verifier: &str, challenge: &str) -> bool {
    (43..=128).contains(&verifier.len()) && URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())) == challenge
}

/// `at_hash`: the left half of the SHA-256 (OpenID Connect Core section 3.1.3.6).
fn half_hash(token: &str) -> String {
    let hash = digest(&SHA256, token.as_bytes());
    URL_SAFE_NO_PAD.encode(hash.as_ref().get(..16).unwrap_or_default())
}

fn form_decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

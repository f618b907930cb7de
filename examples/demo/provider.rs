//! An OpenID provider, small but real: code flow with PKCE, one registered client, sessions of its own.
//!
//! OpenID Connect Core 1.0, RFC 6749, RFC 7636, RFC 9207, RP-Initiated Logout 1.0. The token endpoint is in `token`,
//! the authorization request in `authorize`.

use http::header::CONTENT_SECURITY_POLICY;
use http::{Method, StatusCode};
use serde_json::json;
use url::Url;

use crate::authorize::{AuthorizeRequest, Rejected};
use crate::keys::SigningKey;
use crate::memory::Memory;
use crate::pages;
use crate::profile::{Person, Profile, object};
use crate::reply::{self, Reply, With as _};
use crate::request::{self, Asked, Params};
use crate::server::Site;

/// Seconds that an authorization code lives.
pub(crate) const CODE_LIFE: u64 = 60;
/// Seconds that an ID token and an access token live.
pub(crate) const TOKEN_LIFE: u64 = 3600;
/// Seconds that somebody stays signed in at the provider.
const SESSION_LIFE: u64 = 8 * 3600;

const STYLE: &str = include_str!("provider.css");

pub(crate) struct Provider {
    pub(crate) profile: Profile,
    pub(crate) key: SigningKey,
    pub(crate) codes: Memory<Grant>,
    pub(crate) access_tokens: Memory<Access>,
    sessions: Memory<Session>,
}

/// What a code stands for.
#[derive(Clone)]
pub(crate) struct Grant {
    /// Index into the profile's people.
    pub(crate) person: usize,
    pub(crate) redirect_uri: String,
    pub(crate) scope: String,
    pub(crate) nonce: Option<String>,
    pub(crate) code_challenge: String,
    /// Told in the ID token when `max_age` was asked for.
    pub(crate) auth_time: Option<u64>,
}

/// What an access token opens: userinfo.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) person: usize,
    pub(crate) scope: String,
}

/// Somebody is signed in at the provider.
#[derive(Clone, Copy)]
struct Session {
    person: usize,
    since: u64,
}

impl Provider {
    /// The error is a sentence for the terminal.
    pub(crate) fn new(profile: Profile) -> Result<Self, String> {
        Ok(Self {
            profile,
            key: SigningKey::generate()?,
            codes: Memory::new(CODE_LIFE),
            access_tokens: Memory::new(TOKEN_LIFE),
            sessions: Memory::new(SESSION_LIFE),
        })
    }

    pub(crate) fn person(&self, index: usize) -> Option<&Person> {
        self.profile.people.get(index)
    }

    fn session(&self, asked: &Asked, now: u64) -> Option<Session> {
        self.sessions.get(request::cookie(asked.headers(), self.profile.cookie)?, now)
    }

    fn discovery(&self) -> Reply {
        let Profile { issuer, paths, .. } = &self.profile;
        let mut document = object(json!({
            "issuer": issuer,
            "authorization_endpoint": self.profile.url(&paths.authorize),
            "token_endpoint": self.profile.url(&paths.token),
            "jwks_uri": self.profile.url(&paths.keys),
            "userinfo_endpoint": self.profile.url(&paths.userinfo),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["openid", "profile", "email"],
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nonce", "name", "email"],
            "request_parameter_supported": false,
            "request_uri_parameter_supported": false,
        }));
        if paths.rp_initiated_logout {
            document.insert("end_session_endpoint".to_owned(), json!(self.profile.url(&paths.sign_out)));
        }
        document.extend(self.profile.discovery.clone());
        reply::json(StatusCode::OK, &document.into())
    }

    /// The authorization endpoint: answer at once for somebody who is signed in here, else show the sign-in page.
    fn authorize(&self, asked: &Asked, now: u64) -> Reply {
        let encoded = match *asked.method() {
            Method::POST => String::from_utf8_lossy(asked.body()).into_owned(),
            _ => asked.uri().query().unwrap_or_default().to_owned(),
        };
        let wanted = match AuthorizeRequest::parse(&self.profile, encoded.as_bytes()) {
            Ok(wanted) => wanted,
            Err(rejected) => return self.reject(rejected),
        };
        let session = self.session(asked, now);
        if let Some(session) = session.filter(|session| self.serves(&wanted, *session, now)) {
            return self.issue_code(&wanted, session, now);
        }
        if wanted.prompt_none {
            let description = "Nobody is signed in here, and the request said prompt=none.";
            return self.reject(wanted.rejected("login_required", description));
        }
        let signed_in = session.map(|session| session.person);
        let origin = Url::parse(&wanted.redirect_uri).map(|uri| uri.origin().ascii_serialization()).unwrap_or_default();
        // Chromium holds form-action against the redirect that follows a form, too.
        let policy = reply::PAGE_POLICY.replace("form-action 'self'", &format!("form-action 'self' {origin}"));
        reply::html(StatusCode::OK, pages::sign_in(&self.profile, &wanted, signed_in, &encoded))
            .with(CONTENT_SECURITY_POLICY, &policy)
    }

    /// Whether single sign-on answers for this session, without a page.
    fn serves(&self, wanted: &AuthorizeRequest, session: Session, now: u64) -> bool {
        let hinted_at_another = wanted
            .login_hint
            .as_deref()
            .zip(self.person(session.person))
            .is_some_and(|(hint, person)| !hint.eq_ignore_ascii_case(person.address));
        let too_old = wanted.max_age.is_some_and(|limit| now.saturating_sub(session.since) > limit);
        !wanted.prompt_page && !hinted_at_another && !too_old
    }

    /// The form of the sign-in page. It carries the authorization request, which is judged again from the start.
    fn sign_in(&self, asked: &Asked, now: u64) -> Reply {
        if request::is_cross_site(asked.headers()) || !request::is_form(asked.headers()) {
            return self.problem(StatusCode::FORBIDDEN, "This form was sent from another site.");
        }
        let Ok(form) = Params::parse(asked.body()) else {
            return self.problem(StatusCode::BAD_REQUEST, "The form is damaged.");
        };
        let wanted = match AuthorizeRequest::parse(&self.profile, form.get("request").unwrap_or_default().as_bytes()) {
            Ok(wanted) => wanted,
            Err(rejected) => return self.reject(rejected),
        };
        if form.get("cancel").is_some() {
            return self.reject(wanted.rejected("access_denied", "The user pressed Cancel."));
        }
        let chosen = form.get("person").and_then(|index| index.parse().ok());
        let Some((index, person)) = chosen.and_then(|index| Some((index, self.person(index)?))) else {
            return self.problem(StatusCode::BAD_REQUEST, "No such person.");
        };
        if let Some(refusal) = &person.refusal {
            return self.reject(wanted.rejected(refusal.error, &refusal.description));
        }
        let session = Session { person: index, since: now };
        // A new sign-in gets a new name, and the old one is forgotten.
        if let Some(old) = request::cookie(asked.headers(), self.profile.cookie) {
            self.sessions.take(old, now);
        }
        match self.sessions.put(session, now) {
            Some(name) => self.issue_code(&wanted, session, now).with_cookie(self.profile.cookie, &name),
            None => self.reject(wanted.rejected("server_error", "No randomness.")),
        }
    }

    fn issue_code(&self, wanted: &AuthorizeRequest, session: Session, now: u64) -> Reply {
        let grant = Grant {
            person: session.person,
            redirect_uri: wanted.redirect_uri.clone(),
            scope: wanted.scope.clone(),
            nonce: wanted.nonce.clone(),
            code_challenge: wanted.code_challenge.clone(),
            auth_time: wanted.max_age.map(|_| session.since),
        };
        match self.codes.put(grant, now) {
            Some(code) => self.back(&wanted.redirect_uri, wanted.state.as_deref(), &[("code", &code)]),
            None => self.reject(wanted.rejected("server_error", "No randomness.")),
        }
    }

    fn reject(&self, rejected: Rejected) -> Reply {
        match rejected {
            Rejected::Here(why) => self.problem(StatusCode::BAD_REQUEST, &why),
            Rejected::Back { redirect_uri, state, error, description } => {
                let parameters = [("error", error), ("error_description", description.as_str())];
                self.back(&redirect_uri, state.as_deref(), &parameters)
            }
        }
    }

    /// Back to the client with the parameters of an authorization response.
    fn back(&self, redirect_uri: &str, state: Option<&str>, parameters: &[(&str, &str)]) -> Reply {
        let Ok(mut target) = Url::parse(redirect_uri) else {
            return self.problem(StatusCode::BAD_REQUEST, "redirect_uri is no URL.");
        };
        {
            let mut query = target.query_pairs_mut();
            query.extend_pairs(parameters);
            query.extend_pairs(state.map(|state| ("state", state)));
            if self.profile.sends_iss {
                query.append_pair("iss", &self.profile.issuer);
            }
        }
        reply::see_other(target.as_str())
    }

    /// RP-Initiated Logout where the profile has it; else a plain "you are signed out".
    fn sign_out(&self, asked: &Asked, now: u64) -> Reply {
        let encoded = match *asked.method() {
            Method::POST => asked.body().as_ref(),
            _ => asked.uri().query().unwrap_or_default().as_bytes(),
        };
        let Ok(params) = Params::parse(encoded) else {
            return self.problem(StatusCode::BAD_REQUEST, "A parameter appears twice.");
        };
        let known = |uri: &str| uri == self.profile.client.post_logout_redirect_uri;
        let target = params.get("post_logout_redirect_uri").filter(|_| self.profile.paths.rp_initiated_logout);
        if target.is_some_and(|uri| !known(uri)) {
            return self.problem(StatusCode::BAD_REQUEST, "post_logout_redirect_uri is not registered.");
        }
        let session = self.session(asked, now);
        let by_form = *asked.method() == Method::POST && !request::is_cross_site(asked.headers());
        let hinted = params.get("id_token_hint").and_then(|token| self.person_of(token));
        let is_theirs = session.is_none_or(|session| Some(session.person) == hinted);
        if !by_form && !is_theirs {
            // Anybody can link here: without proof that the client signed this person in, ask.
            let person = session.and_then(|session| self.person(session.person));
            return reply::html(StatusCode::OK, pages::confirm_sign_out(&self.profile, person, &params));
        }
        if let Some(name) = request::cookie(asked.headers(), self.profile.cookie) {
            self.sessions.take(name, now);
        }
        let answer = match target.map(Url::parse) {
            Some(Ok(mut target)) => {
                if let Some(state) = params.get("state") {
                    target.query_pairs_mut().append_pair("state", state);
                }
                reply::see_other(target.as_str())
            }
            _ => reply::html(StatusCode::OK, pages::signed_out(&self.profile)),
        };
        answer.without_cookie(self.profile.cookie)
    }

    /// Whom an ID token of ours, made for the client, is about.
    fn person_of(&self, id_token: &str) -> Option<usize> {
        let claims = self.key.claims_of_own(id_token)?;
        let ours = claims.get("aud").and_then(|aud| aud.as_str()) == Some(self.profile.client.id);
        let sub = claims.get("sub").filter(|_| ours)?;
        self.profile.people.iter().position(|person| person.claims.get("sub") == Some(sub))
    }

    fn problem(&self, status: StatusCode, why: &str) -> Reply {
        reply::html(status, pages::provider_problem(&self.profile, why))
    }
}

impl Site for Provider {
    fn answer(&self, asked: &Asked, now: u64) -> Reply {
        // Under another name the cookies, and with them single sign-on, would differ from what the demo shows.
        if request::header(asked.headers(), "host") != Some(self.profile.authority()) {
            return reply::text(StatusCode::MISDIRECTED_REQUEST, &format!("This is {}.", self.profile.origin));
        }
        let paths = &self.profile.paths;
        let path = asked.uri().path();
        match *asked.method() {
            Method::GET if path == paths.discovery => self.discovery(),
            Method::GET if path == paths.keys => reply::json(StatusCode::OK, &self.key.key_set()),
            Method::GET | Method::POST if path == paths.authorize => self.authorize(asked, now),
            Method::POST if path == paths.sign_in => self.sign_in(asked, now),
            Method::POST if path == paths.token => self.token(asked, now),
            Method::GET | Method::POST if path == paths.userinfo => self.userinfo(asked, now),
            Method::GET | Method::POST if path == paths.sign_out => self.sign_out(asked, now),
            Method::GET if path == "/provider.css" => reply::asset("text/css; charset=utf-8", STYLE),
            Method::GET if path == "/" => {
                let person = self.session(asked, now).and_then(|session| self.person(session.person));
                reply::html(StatusCode::OK, pages::provider_home(&self.profile, person))
            }
            _ => self.problem(StatusCode::NOT_FOUND, "There is nothing here."),
        }
    }
}

#[cfg(test)]
mod tests;

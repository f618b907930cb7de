//! `[apps.<id>.native]`: the application's own credentials and its own sign-in.

use http::{HeaderName, HeaderValue, Method, StatusCode};
use schemars::JsonSchema;

use super::headers::header_name;
use super::node::{Node, Value};
use super::parse::{Context, duplicate, fixed_path, wrong};
use super::problem::{Place, Report, hint, quoted};
use super::read::{At, Field, Read, section};
use crate::base::email::EmailAddress;

/// `[apps.<id>.native]`
#[derive(Clone, Debug)]
pub struct Native {
    /// The answer to a native request without a credential and without Sec-Fetch headers.
    pub challenge: NativeChallenge,
    /// Header names that carry an API key of the app.
    pub api_key_headers: Vec<HeaderName>,
    /// Where the app signs in by itself. No two share a path and a method.
    pub sign_in: Vec<NativeSignIn>,
    /// The service identities: user names, none an address, none twice. Their contacts differ.
    pub allow: Vec<ServiceIdentity>,
}

/// The answer to a native request without a credential and without Sec-Fetch headers.
#[derive(Clone, Debug)]
pub enum NativeChallenge {
    /// 401 with this `WWW-Authenticate`; default `Basic realm="<app id>"`.
    Header(HeaderValue),
    /// `"ask-app"`: the app answers.
    AskApp,
}

/// One of the app's own sign-in endpoints.
#[derive(Clone, Debug)]
pub struct NativeSignIn {
    /// In normal form; not `/`, no pattern.
    pub path: String,
    /// The methods that sign in: `POST` by default, never `GET` or `HEAD`.
    pub methods: Vec<Method>,
    /// Where the user name stands in the body.
    pub user_name: UserNameAt,
    /// What the app's answer to a wrong password looks like; any other answer is a success.
    pub failure: SignInFailure,
    /// An endpoint of a mobile app: listed as such, allowed and counted.
    pub mobile: bool,
}

/// Where the user name stands in the body of a sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserNameAt {
    /// In this field of a form.
    Form(String),
    /// At this JSON pointer (RFC 6901), its parts unescaped; at least one.
    Json(Vec<String>),
}

/// What the app's answer to a wrong password looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignInFailure {
    /// This status.
    Status(StatusCode),
    /// A redirect to this path, whatever its query.
    Location(String),
    /// This text in the first 64 KB of the body.
    Body(String),
}

/// A program's own identity in the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceIdentity {
    /// The user name; no e-mail address.
    pub name: String,
    /// Whom to write to about it.
    pub contact: Option<EmailAddress>,
}

section! {
    /// The application's own credentials and its own sign-in.
    RawNative {
        /// The WWW-Authenticate header of the answer to a client (not a browser) that sends no credential on a native
        /// route, or `ask-app` to let the application answer. Default: `Basic realm="<app id>"`.
        challenge: String,
        /// Names of headers that carry an API key of the application.
        #[schemars(extend("default" = []))]
        api_key_headers: Vec<At<String>>,
        /// Where the application signs in by itself. Each path is reached without a session, and who signs in there is
        /// judged by name before the application is asked.
        #[schemars(extend("default" = []))]
        sign_in: Vec<At<RawSignIn>>,
        /// Service identities: user names of programs, which go on with the application's own credentials when their
        /// people's domain has been switched on. A name, or `{ name, contact }`.
        #[schemars(extend("default" = []))]
        allow: Vec<At<RawServiceIdentity>>,
    }
}

section! {
    /// One of the application's own sign-in endpoints.
    RawSignIn {
        /// Required. Its path, such as /login; no pattern.
        path: String,
        /// Required. Where the user name stands: `form:FIELD`, or `json:POINTER` (RFC 6901) such as json:/user.
        username: String,
        /// Required. How the application answers a wrong password: `status:401`, `location:/login` (a redirect there), or
        /// `body:TEXT` (somewhere in the first 64 KB).
        failure: String,
        /// The methods that sign in: POST, PUT or PATCH.
        #[schemars(extend("default" = ["POST"]))]
        methods: Vec<At<String>>,
        /// An endpoint of a mobile app: its users are listed as such, and let in also where their domain is switched on.
        #[schemars(extend("default" = false))]
        mobile: bool,
    }
}

section! {
    /// A program's identity in the application.
    RawService {
        /// Required. The user name, which is no e-mail address.
        name: String,
        /// The address of whoever looks after it. Each service identity has its own.
        contact: String,
    }
}

/// A user name, or a table with its contact.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum RawServiceIdentity {
    /// The user name.
    Name(String),
    /// With a contact.
    Service(RawService),
}

impl Read for RawServiceIdentity {
    fn read(node: Node, report: &mut Report) -> Option<Self> {
        match node.value {
            Value::Table(_) => RawService::read(node, report).map(Self::Service),
            Value::Text(_) | Value::Untyped(_) => String::read(node, report).map(Self::Name),
            _ => {
                let text =
                    format!("found {}; allowed: a user name, or a table with name and contact", node.value.shown());
                report.problem(&node.place, text);
                None
            }
        }
    }
}

impl RawNative {
    /// Resolves the section of app `id`. `prefix`: the own paths.
    pub(super) fn resolve(raw: Self, id: &str, prefix: Option<&str>, cx: &mut Context<'_>) -> Option<Native> {
        let challenge = raw.challenge.parse(cx.report, |text| challenge(text));
        let headers = raw.api_key_headers.parse_each(cx.report, |text| api_key_header(text));
        if let Some(twice) = headers.set().and_then(|at| duplicate(&at.value)) {
            cx.report.problem(&twice.place, format!("found \"{}\" twice; once is enough", twice.value));
        }
        let sign_in = raw.sign_in.or_else(Vec::new).and_then(|list| sign_ins(list, prefix, cx));
        let allow = raw.allow.or_else(Vec::new).and_then(|list| services(list, cx));
        let challenge = match challenge.optional()? {
            Some(challenge) => challenge,
            None => NativeChallenge::Header(HeaderValue::from_str(&format!("Basic realm=\"{id}\"")).ok()?),
        };
        let api_key_headers = headers.values_or(Vec::new)?;
        Some(Native { challenge, api_key_headers, sign_in: sign_in?, allow: allow? })
    }
}

fn sign_ins(raw: Vec<At<RawSignIn>>, prefix: Option<&str>, cx: &mut Context<'_>) -> Option<Vec<NativeSignIn>> {
    let count = raw.len();
    let mut found: Vec<(NativeSignIn, Place)> = Vec::with_capacity(count);
    for At { value, place } in raw {
        let Some(sign_in) = RawSignIn::resolve(value, &place, prefix, cx) else { continue };
        let same = |earlier: &NativeSignIn| {
            earlier.path == sign_in.path && earlier.methods.iter().any(|method| sign_in.methods.contains(method))
        };
        if let Some((_, earlier)) = found.iter().find(|(earlier, _)| same(earlier)) {
            let text = format!("found {:?}, which {} has already; allowed: each path once", sign_in.path, earlier.key);
            cx.report.problem(&place.child("path"), text);
        }
        found.push((sign_in, place));
    }
    (found.len() == count).then(|| found.into_iter().map(|(sign_in, _)| sign_in).collect())
}

impl RawSignIn {
    fn resolve(raw: Self, place: &Place, prefix: Option<&str>, cx: &mut Context<'_>) -> Option<NativeSignIn> {
        let path = raw.path.parse(cx.report, |text| {
            fixed_path(text)?;
            let own = prefix.is_some_and(|p| text.strip_prefix(p).is_some_and(|rest| rest.starts_with('/')));
            if own { Err(wrong(text, "allowed: the application's own sign-in path")) } else { Ok(text.clone()) }
        });
        let path =
            path.required(place, "path", "allowed: the application's own sign-in path, such as /login", cx.report);
        let user_name = raw.username.parse(cx.report, |text| user_name_at(text));
        let user_name = user_name.required(place, "username", USER_NAME, cx.report);
        let failure = raw.failure.parse(cx.report, |text| sign_in_failure(text));
        let failure = failure.required(place, "failure", FAILURE, cx.report);
        let methods_place = raw.methods.place().cloned();
        let methods = raw.methods.parse_each(cx.report, |text| sign_in_method(text));
        if let (Some(place), Some([])) = (methods_place, methods.set().map(|at| at.value.as_slice())) {
            cx.report.problem(&place, "found an empty list, so nobody signs in there; leave methods out for POST");
        }
        if let Some(twice) = methods.set().and_then(|at| duplicate(&at.value)) {
            cx.report.problem(&twice.place, format!("found \"{}\" twice; once is enough", twice.value));
        }
        let mobile = raw.mobile.or(false);
        Some(NativeSignIn {
            path: path?,
            methods: methods.values_or(|| vec![Method::POST])?,
            user_name: user_name?,
            failure: failure?,
            mobile: mobile?,
        })
    }
}

const USER_NAME: &str = "allowed: form:FIELD such as form:username, or json:POINTER such as json:/user";
const FAILURE: &str = "allowed: status:401, location:/login, or body:TEXT";

/// Longest name or text in a rule, in bytes.
const MAX_RULE: usize = 200;

fn user_name_at(text: &str) -> Result<UserNameAt, String> {
    let fail = || wrong(text, USER_NAME);
    if text.len() > MAX_RULE || text.chars().any(char::is_control) {
        return Err(fail());
    }
    if let Some(field) = text.strip_prefix("form:").filter(|field| !field.is_empty()) {
        return Ok(UserNameAt::Form(field.to_owned()));
    }
    let pointer = text.strip_prefix("json:").and_then(|rest| rest.strip_prefix('/')).ok_or_else(fail)?;
    let parts = pointer.split('/').map(|part| {
        // RFC 6901 section 3: `~` stands before 0 or 1 only.
        let escaped = part.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        (escaped && !part.is_empty()).then(|| part.replace("~1", "/").replace("~0", "~"))
    });
    parts.collect::<Option<Vec<_>>>().map(UserNameAt::Json).ok_or_else(fail)
}

fn sign_in_failure(text: &str) -> Result<SignInFailure, String> {
    let fail = || wrong(text, FAILURE);
    match text.split_once(':') {
        _ if text.len() > MAX_RULE => Err(fail()),
        Some(("status", code)) => {
            let status = code.parse::<u16>().ok().and_then(|code| StatusCode::from_u16(code).ok());
            let usual = status.filter(|status| !status.is_informational() && status.as_u16() < 600);
            usual.map(SignInFailure::Status).ok_or_else(fail)
        }
        Some(("location", path)) if path.starts_with('/') && !path.contains(['?', '#']) && !path.starts_with("//") => {
            Ok(SignInFailure::Location(path.to_owned()))
        }
        Some(("body", part)) if !part.trim().is_empty() => Ok(SignInFailure::Body(part.to_owned())),
        _ => Err(fail()),
    }
}

fn sign_in_method(text: &str) -> Result<Method, String> {
    let known = [("POST", Method::POST), ("PUT", Method::PUT), ("PATCH", Method::PATCH)];
    let found = known.iter().find(|(name, _)| *name == text).map(|(_, method)| method.clone());
    found.ok_or_else(|| format!("found {}{}", quoted(text), hint(text, known.map(|(name, _)| name))))
}

fn services(raw: Vec<At<RawServiceIdentity>>, cx: &mut Context<'_>) -> Option<Vec<ServiceIdentity>> {
    let count = raw.len();
    let mut found: Vec<ServiceIdentity> = Vec::with_capacity(count);
    for At { value, place } in raw {
        let (name, contact) = match value {
            RawServiceIdentity::Name(name) => (Field::Set(At { value: name, place: place.clone() }), Field::Absent),
            RawServiceIdentity::Service(service) => (service.name, service.contact),
        };
        let (name_place, contact_place) = (name.place_in(&place, "name"), contact.place_in(&place, "contact"));
        let name = name.parse(cx.report, |text| service_name(text)).required(&place, "name", NAME, cx.report);
        let contact = contact.parse(cx.report, |text| {
            text.parse::<EmailAddress>().map_err(|_| wrong(text, "allowed: an e-mail address"))
        });
        let (Some(name), Some(contact)) = (name, contact.optional()) else { continue };
        if found.iter().any(|earlier| earlier.name == name) {
            cx.report.problem(&name_place, format!("found {} twice; once is enough", quoted(&name)));
        }
        match &contact {
            None => cx.report.warn(
                &name_place,
                format!(
                    "nobody is named who looks after {}; write {{ name = {}, contact = \"team@example.com\" }}",
                    quoted(&name),
                    quoted(&name)
                ),
            ),
            Some(address) => {
                let same = |earlier: &&ServiceIdentity| earlier.contact.as_ref().is_some_and(|c| c.looks_like(address));
                if let Some(other) = found.iter().find(same) {
                    let text = format!(
                        "found {address:?}, which is the contact of {} already; allowed: an address of its own",
                        quoted(&other.name)
                    );
                    cx.report.problem(&contact_place, text);
                }
            }
        }
        found.push(ServiceIdentity { name, contact });
    }
    (found.len() == count).then_some(found)
}

const NAME: &str = "allowed: the user name of a program, such as \"svc-billing\"";

fn service_name(text: &str) -> Result<String, String> {
    if text.contains('@') {
        return Err(wrong(text, "a service identity has a user name that is no e-mail address; allowed: svc-billing"));
    }
    let plain = !text.is_empty() && text.len() <= MAX_RULE && text.trim() == text;
    if plain && !text.chars().any(char::is_control) { Ok(text.to_owned()) } else { Err(wrong(text, NAME)) }
}

/// Identity headers are removed from every request before anybody looks for a key in them.
fn api_key_header(text: &str) -> Result<HeaderName, String> {
    let name = header_name(text)?;
    if ["x-forwarded-", "x-auth-request-", "remote-"].iter().any(|family| name.as_str().starts_with(family)) {
        return Err(wrong(text, "identity headers are removed from every request; allowed: the header of an API key"));
    }
    Ok(name)
}

/// RFC 9110 section 11.6.1: a scheme and its parameters. A lone word is refused, because it is more likely a slip in
/// `ask-app` than a scheme.
fn challenge(text: &str) -> Result<NativeChallenge, String> {
    let allowed = "allowed: ask-app, or a scheme with parameters such as Basic realm=\"portal\"";
    if text == "ask-app" {
        return Ok(NativeChallenge::AskApp);
    }
    let token =
        |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    let shaped = text.split_once(' ').is_some_and(|(scheme, rest)| token(scheme) && rest.contains('='));
    match HeaderValue::from_str(text) {
        Ok(value) if shaped && text.is_ascii() => Ok(NativeChallenge::Header(value)),
        Ok(_) | Err(_) => Err(wrong(text, allowed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_a_scheme_with_parameters_or_ask_app() {
        assert!(matches!(challenge("ask-app"), Ok(NativeChallenge::AskApp)));
        assert!(matches!(challenge("Basic realm=\"portal\""), Ok(NativeChallenge::Header(_))));
        for bad in ["ask_app", "Basic", "", "Basic realm=\"a\"\r\nX: y", "Basic realm=\"ä\""] {
            assert!(challenge(bad).is_err(), "{bad}");
        }
    }
}

//! One decision, on its way to be kept.

use std::borrow::Cow;
use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::base::clock::Timestamp;
use crate::config::PersonalData;
use crate::directory::Explained;

use super::mask;

/// Longest value kept, in characters: a record is a few lines, not a copy of its cause.
const MAX_VALUE: usize = 256;

/// What kind of decision it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Asked for a sign-in or another credential.
    Challenge,
    /// Refused.
    Denial,
    /// A step of a sign-in, well or badly.
    Attempt,
}

impl Kind {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Challenge => "challenge",
            Self::Denial => "denial",
            Self::Attempt => "attempt",
        }
    }
}

/// Where in the life of a request or of a sign-in it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A request for an application.
    Request,
    /// A request for an own path.
    OwnPath,
    /// Sending the browser to its provider.
    Start,
    /// The browser came back.
    Callback,
    /// The person was asked whether the address is theirs.
    Confirm,
    /// The sign-in reached another host.
    HandOff,
    /// The provider's tokens were renewed.
    Renewal,
    /// A sign-out, here or at the provider.
    SignOut,
}

impl Step {
    pub(super) const ALL: [Self; 8] = [
        Self::Request,
        Self::OwnPath,
        Self::Start,
        Self::Callback,
        Self::Confirm,
        Self::HandOff,
        Self::Renewal,
        Self::SignOut,
    ];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::OwnPath => "own_path",
            Self::Start => "start",
            Self::Callback => "callback",
            Self::Confirm => "confirm",
            Self::HandOff => "hand_off",
            Self::Renewal => "renewal",
            Self::SignOut => "sign_out",
        }
    }
}

/// What a record may say beside its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The request's method.
    Method,
    /// The request's host, without port.
    Host,
    /// The request's path in normal form. Never the query.
    Path,
    /// Who asked: a page, a form, a frame, a script.
    Asker,
    /// The status of the answer.
    Status,
    /// The app that the host belongs to.
    App,
    /// The route that matched, in words.
    Route,
    /// What the route asks for: access, role, step-up.
    Asks,
    /// What the session cookie answered.
    Cookie,
    /// What the application's own credential answered.
    Credential,
    /// The cookie that was missing, by name.
    MissingCookie,
    /// The connector.
    Connector,
    /// The claim, parameter or header that did not fit.
    Claim,
    /// What was expected of it.
    Expected,
    /// What was found.
    Found,
    /// The provider's own words.
    ProviderError,
    /// The address as it was typed.
    Typed,
    /// The address that was verified, or whose session it is.
    User,
    /// The session's public reference.
    Session,
    /// The role of whose session it is.
    Role,
}

impl Field {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Host => "host",
            Self::Path => "path",
            Self::Asker => "asker",
            Self::Status => "status",
            Self::App => "app",
            Self::Route => "route",
            Self::Asks => "asks",
            Self::Cookie => "cookie",
            Self::Credential => "credential",
            Self::MissingCookie => "missing_cookie",
            Self::Connector => "connector",
            Self::Claim => "claim",
            Self::Expected => "expected",
            Self::Found => "found",
            Self::ProviderError => "provider_error",
            Self::Typed => "typed",
            Self::User => "user",
            Self::Session => "session",
            Self::Role => "role",
        }
    }
}

/// One decision.
#[derive(Debug)]
pub struct Record {
    kind: Kind,
    step: Step,
    reason: Cow<'static, str>,
    at: Timestamp,
    client: IpAddr,
    request_id: String,
    attempt: Option<String>,
    anybody: bool,
    fields: Vec<(Field, String)>,
}

/// Who asked, when, and under which request id.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub at: Timestamp,
    pub client: IpAddr,
    pub request_id: &'a str,
}

impl Record {
    fn new(kind: Kind, step: Step, reason: Cow<'static, str>, asked: Asked<'_>) -> Self {
        let Asked { at, client, request_id } = asked;
        let request_id = request_id.to_owned();
        Self { kind, step, reason, at, client, request_id, attempt: None, anybody: false, fields: Vec::new() }
    }

    /// A request that needs a credential that it does not bring. `anybody`: a stranger can cause it at will.
    pub fn challenge(step: Step, reason: impl Into<Cow<'static, str>>, anybody: bool, asked: Asked<'_>) -> Self {
        Self { anybody, ..Self::new(Kind::Challenge, step, reason.into(), asked) }
    }

    /// A request that was refused. `anybody`: a stranger can cause it at will.
    pub fn denial(step: Step, reason: impl Into<Cow<'static, str>>, anybody: bool, asked: Asked<'_>) -> Self {
        Self { anybody, ..Self::new(Kind::Denial, step, reason.into(), asked) }
    }

    /// A step of a sign-in; `reason` is how it ended. `anybody`: no attempt of ours came with it.
    pub fn attempt(step: Step, reason: impl Into<Cow<'static, str>>, anybody: bool, asked: Asked<'_>) -> Self {
        Self { anybody, ..Self::new(Kind::Attempt, step, reason.into(), asked) }
    }

    /// The id of the sign-in attempt, under which the record is found too. The id alone, never the state.
    #[must_use]
    pub fn of_attempt(mut self, id: &str) -> Self {
        self.attempt = Some(id.to_owned());
        self
    }

    /// Says something more. Empty values say nothing; long ones are cut to 256 characters.
    #[must_use]
    pub fn with(mut self, field: Field, value: impl AsRef<str>) -> Self {
        let value = value.as_ref();
        if !value.is_empty() {
            let end = value.char_indices().nth(MAX_VALUE).map_or(value.len(), |(at, _)| at);
            self.fields.push((field, value.get(..end).unwrap_or_default().to_owned()));
        }
        self
    }

    /// Says something more if there is something.
    #[must_use]
    pub fn with_some(self, field: Field, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.with(field, value),
            None => self,
        }
    }

    /// How gladly it is given up when there are too many: the lowest first.
    pub(super) const fn rank(&self) -> usize {
        match (self.kind, self.anybody) {
            (Kind::Challenge, true) => 0,
            (_, true) => 1,
            (_, false) => 2,
        }
    }

    /// How many rows it becomes.
    pub(super) fn rows(&self) -> usize {
        1 + usize::from(self.attempt.is_some())
    }

    /// The rows of the directory: one under the request's id and, of a sign-in, one under the attempt's.
    pub(super) fn into_rows(self, personal_data: PersonalData) -> Vec<Explained> {
        let masked = personal_data == PersonalData::Masked;
        let mut record = Map::new();
        record.insert("kind".into(), self.kind.word().into());
        record.insert("step".into(), self.step.word().into());
        record.insert("reason".into(), self.reason.into_owned().into());
        record.insert("request_id".into(), self.request_id.as_str().into());
        if let Some(attempt) = &self.attempt {
            record.insert("attempt".into(), attempt.as_str().into());
        }
        let client = if masked { mask::network(self.client) } else { self.client.to_string() };
        record.insert("client_ip".into(), client.into());
        for (field, value) in self.fields {
            let value = if masked { mask::addresses(&value).into_owned() } else { value };
            record.insert(field.word().into(), value.into());
        }
        let record = Value::Object(record).to_string();
        let row = |reference| Explained { reference, at: self.at, record: record.clone() };
        std::iter::once(self.request_id).chain(self.attempt).map(row).collect()
    }
}

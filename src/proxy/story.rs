//! What a request that did not go on leaves for `anteroom explain`.

use std::net::IpAddr;

use bytes::Bytes;
use http::{Request, Response, StatusCode};

use crate::base::clock::Timestamp;
use crate::explain::{Asked, Field, Record, Recorder, Step};
use crate::gate::{AppRules, Asker, Challenge, Denial, Rule};
use crate::session::Session;
use crate::web::pages::X_ANTEROOM;

/// What a request for an app was judged by.
pub(super) struct Story<'a> {
    pub(super) recorder: &'a Recorder,
    pub(super) at: Timestamp,
    pub(super) id: &'a str,
    pub(super) client: IpAddr,
    pub(super) asker: Asker,
    pub(super) app: &'a AppRules,
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) rule: &'a Rule,
    /// What the session cookie answered: a word that `explain` knows.
    pub(super) cookie: &'static str,
}

/// The answer of the session cookie in the word that `explain` knows: `rejected` is why it counts for nothing.
pub(super) fn cookie_word(came: bool, wanted: bool, rejected: Option<&'static str>) -> &'static str {
    match rejected {
        Some("cookie_duplicate") => "twice",
        Some("cookie_malformed") => "malformed",
        Some("session_unknown") => "unknown",
        Some("session_ended") => "ended",
        Some(other) => other,
        None if !wanted => "not_asked",
        None if came => "good",
        None => "none",
    }
}

impl Story<'_> {
    /// A credential was asked for.
    pub(super) fn challenged<B>(&self, request: &Request<B>, challenge: &Challenge, status: StatusCode) {
        self.recorder.record(|| match challenge {
            Challenge::SignIn => {
                self.told(Record::challenge(Step::Request, "sign_in_required", true, self.asked()), request, status)
            }
            Challenge::Native => {
                let record = Record::challenge(Step::Request, "credential_required", true, self.asked());
                self.told(record, request, status).with(Field::Credential, "no credential of the application came")
            }
            Challenge::StepUp(step_up) => {
                let session = &step_up.session;
                let (expected, found) = step_up.detail(self.at);
                let record = Record::challenge(Step::Request, step_up.unmet.reason(), false, self.asked());
                let record = self.told(record, request, status).with(Field::Claim, step_up.unmet.claim());
                of(session, record).with(Field::Expected, expected).with(Field::Found, found)
            }
        });
    }

    /// The request was refused, and signing in would not help.
    pub(super) fn denied<B>(&self, request: &Request<B>, denial: &Denial, reason: &'static str, status: StatusCode) {
        self.recorder.record(|| match denial {
            Denial::Role(session) => {
                let record = Record::denial(Step::Request, reason, false, self.asked());
                of(session, self.told(record, request, status))
            }
            Denial::AmbiguousCredential => {
                let record = Record::denial(Step::Request, reason, true, self.asked());
                self.told(record, request, status).with(Field::Credential, "two of one kind came")
            }
        });
    }

    /// A WebSocket that another site's page wanted to open with this person's session.
    pub(super) fn foreign_websocket<B>(&self, request: &Request<B>, own: &str, status: StatusCode) {
        self.recorder.record(|| {
            let record = Record::denial(Step::Request, "websocket_origin", false, self.asked());
            let origin = request.headers().get(http::header::ORIGIN).and_then(|origin| origin.to_str().ok());
            let record = self.told(record, request, status).with(Field::Claim, "Origin").with(Field::Expected, own);
            record.with(Field::Found, origin.unwrap_or("none"))
        });
    }

    /// A credential of the application, or a sign-in there, was refused.
    pub(super) fn native<B>(&self, request: &Request<B>, reason: &'static str, status: StatusCode) {
        self.recorder.record(|| {
            let record = Record::denial(Step::Request, reason, true, self.asked());
            self.told(record, request, status)
        });
    }

    fn asked(&self) -> Asked<'_> {
        Asked { at: self.at, client: self.client, request_id: self.id }
    }

    fn told<B>(&self, record: Record, request: &Request<B>, status: StatusCode) -> Record {
        let asker = match self.asker {
            Asker::Page => "page",
            Asker::Form => "form",
            Asker::Frame => "frame",
            Asker::Script => "script or another program",
        };
        record
            .with(Field::Method, request.method().as_str())
            .with(Field::Host, self.host)
            .with(Field::Path, self.path)
            .with(Field::Asker, asker)
            .with(Field::Status, status.as_str())
            .with(Field::App, self.app.id.as_str())
            .with(Field::Route, self.app.matched(request.method(), request.headers(), self.path))
            .with(Field::Asks, self.rule.in_words())
            .with(Field::Cookie, self.cookie)
    }
}

/// An own path that was answered with an error: the sign-in has told the rest, if it was one.
pub(super) fn own_path(recorder: &Recorder, path: &str, response: &Response<Bytes>, asked: Asked<'_>) {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return;
    }
    recorder.record(|| {
        let reason = response.headers().get(X_ANTEROOM).and_then(|reason| reason.to_str().ok());
        let reason = reason.unwrap_or_default().to_owned();
        let record = match status {
            StatusCode::UNAUTHORIZED => Record::challenge(Step::OwnPath, reason, true, asked),
            _ => Record::denial(Step::OwnPath, reason, true, asked),
        };
        record.with(Field::Path, path).with(Field::Status, status.as_str())
    });
}

/// Whose session it is.
fn of(session: &Session, record: Record) -> Record {
    let role = session.role().map_or("none", |role| role.name());
    record
        .with(Field::Session, session.reference().to_string())
        .with(Field::User, session.identity().email.as_str())
        .with(Field::Connector, session.connector().as_str())
        .with(Field::Role, role)
}

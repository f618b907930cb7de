//! The decision.

use std::sync::Arc;

use http::header::HeaderMap;

use crate::base::role::RequiredRole;
use crate::config::{Access, Authorization, NativeChallenge};
use crate::session::Session;

use super::{AppRules, Asker, NativeCredential, Rule, SessionCredential};

/// Leave to forward one request. Only [`decide`] makes one, and forwarding takes it as an argument.
#[must_use]
pub struct Permit(Grant);

/// As whom a request goes on.
pub enum Grant {
    /// As nobody: identity headers are stripped and none is set, even with a good session.
    Anonymous,
    /// As the session's user: the session's identity headers are set.
    Session(Arc<Session>),
    /// With the application's own credential, which passes byte for byte; without identity headers.
    Native,
}

/// What a request gets.
pub enum Decision {
    /// It goes on.
    Permit(Permit),
    /// It needs a credential that it does not bring.
    Challenge(Challenge),
    /// It does not go on, and signing in would not help.
    Deny(Denial),
}

/// How a credential is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// A sign-in; the form depends on who asks.
    SignIn,
    /// The application's own credential, by the configured `WWW-Authenticate`.
    Native,
}

/// Why a request does not go on.
pub enum Denial {
    /// This session's role is below the route's.
    Role(Arc<Session>),
    /// Two credentials of one kind.
    AmbiguousCredential,
}

impl Permit {
    /// As whom the request goes on.
    pub fn grant(&self) -> &Grant {
        &self.0
    }
}

/// Whether the session cookie counts for this request: not on public routes, and not beside a native credential,
/// which is judged alone (N02).
pub fn wants_session(rule: &Rule, native: NativeCredential) -> bool {
    match rule.access {
        Access::Public => false,
        Access::SignedIn => true,
        Access::Native => native == NativeCredential::Absent,
    }
}

/// Judges one request: the route's rule against what the credentials answered.
pub fn decide(
    app: &AppRules,
    rule: &Rule,
    native: NativeCredential,
    session: SessionCredential,
    headers: &HeaderMap,
) -> Decision {
    match (rule.access, native) {
        (Access::Public, _) => return Decision::Permit(Permit(Grant::Anonymous)),
        (Access::Native, NativeCredential::Present) => return Decision::Permit(Permit(Grant::Native)),
        (Access::Native, NativeCredential::Ambiguous) => return Decision::Deny(Denial::AmbiguousCredential),
        (Access::Native, NativeCredential::Absent) | (Access::SignedIn, _) => {}
    }
    match session {
        SessionCredential::Authenticated(session) if meets(rule.role, &session) => {
            Decision::Permit(Permit(Grant::Session(session)))
        }
        SessionCredential::Authenticated(session) => Decision::Deny(Denial::Role(session)),
        SessionCredential::NotRequested if rule.access == Access::Native && !Asker::is_browser(headers) => {
            match app.native_challenge {
                NativeChallenge::AskApp => Decision::Permit(Permit(Grant::Anonymous)),
                NativeChallenge::Header(_) => Decision::Challenge(Challenge::Native),
            }
        }
        SessionCredential::NotRequested | SessionCredential::Failed => Decision::Challenge(Challenge::SignIn),
    }
}

fn meets(role: RequiredRole, session: &Session) -> bool {
    role.is_met_by(session.role())
}

/// Whether a request that goes on keeps its `Authorization` header: on native routes always, elsewhere by the
/// route's setting (N01, N02).
impl Rule {
    pub fn keeps_authorization(&self) -> bool {
        self.access == Access::Native || self.authorization == Authorization::Keep
    }
}

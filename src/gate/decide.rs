//! The decision.

use std::sync::Arc;

use http::header::HeaderMap;

use crate::base::clock::Timestamp;
use crate::base::role::RequiredRole;
use crate::config::{Access, NativeChallenge, Requirement, Unmet};
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
pub enum Challenge {
    /// A sign-in; the form depends on who asks.
    SignIn,
    /// The application's own credential, by the configured `WWW-Authenticate`.
    Native,
    /// Another sign-in: there is a session, and the route asks for more (E13).
    StepUp(StepUp),
}

/// A session that a route asks more of.
pub struct StepUp {
    pub session: Arc<Session>,
    pub requirement: Arc<Requirement>,
    /// What it does not meet.
    pub unmet: Unmet,
}

impl StepUp {
    /// What was asked for and what was found at `now`, for a log.
    pub fn detail(&self, now: Timestamp) -> (String, String) {
        let Self { session, requirement, unmet } = self;
        requirement.detail(*unmet, session.auth_time(), session.acr(), session.amr(), now)
    }
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

/// Judges one request that arrived at `now`: the route's rule against what the credentials answered.
pub fn decide(
    app: &AppRules,
    rule: &Rule,
    native: NativeCredential,
    session: SessionCredential,
    headers: &HeaderMap,
    now: Timestamp,
) -> Decision {
    match (rule.access, native) {
        (Access::Public, _) => return Decision::Permit(Permit(Grant::Anonymous)),
        (Access::Native, NativeCredential::Present) => return Decision::Permit(Permit(Grant::Native)),
        (Access::Native, NativeCredential::Ambiguous) => return Decision::Deny(Denial::AmbiguousCredential),
        // Of whom nothing is known but that the application lets them in: nothing more may be asked of them.
        (Access::Native | Access::SignedIn, NativeCredential::Remembered)
            if matches!(session, SessionCredential::NotRequested)
                && rule.role == RequiredRole::Any
                && rule.step_up.is_none() =>
        {
            return Decision::Permit(Permit(Grant::Native));
        }
        (Access::Native, NativeCredential::Connection) if matches!(session, SessionCredential::NotRequested) => {
            return Decision::Permit(Permit(Grant::Native));
        }
        (Access::Native, NativeCredential::Absent | NativeCredential::Remembered | NativeCredential::Connection)
        | (Access::SignedIn, _) => {}
    }
    match session {
        SessionCredential::Authenticated(session) => of_session(rule, session, now),
        SessionCredential::NotRequested if rule.access == Access::Native && !Asker::is_browser(headers) => {
            match app.native_challenge {
                NativeChallenge::AskApp => Decision::Permit(Permit(Grant::Anonymous)),
                NativeChallenge::Header(_) => Decision::Challenge(Challenge::Native),
            }
        }
        SessionCredential::NotRequested | SessionCredential::Failed => Decision::Challenge(Challenge::SignIn),
    }
}

fn of_session(rule: &Rule, session: Arc<Session>, now: Timestamp) -> Decision {
    // First, because another sign-in would not change it.
    if !rule.role.is_met_by(session.role()) {
        return Decision::Deny(Denial::Role(session));
    }
    // A session of which the provider said nothing meets nothing.
    let check = |asked: &Requirement| asked.check(session.auth_time(), session.acr(), session.amr(), now);
    let unmet = rule.step_up.as_ref().and_then(|asked| Some((asked, check(asked).err()?)));
    match unmet {
        None => Decision::Permit(Permit(Grant::Session(session))),
        Some((asked, unmet)) => {
            Decision::Challenge(Challenge::StepUp(StepUp { session, requirement: asked.clone(), unmet }))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::clock::Clock;
    use crate::base::role::Role;
    use crate::config::{App, Native, Route, Upstream};
    use crate::session::tests::row;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn app(role: RequiredRole, max_age: Duration) -> AppRules {
        let route = Route {
            path: "/pay/**".parse().unwrap(),
            methods: vec![],
            access: Access::SignedIn,
            role,
            authorization: crate::config::Authorization::Drop,
            step_up: Requirement { max_age: Some(max_age), ..Requirement::default() },
            keep_post: false,
        };
        let app = App {
            hosts: vec!["app.example.com".into()],
            upstream: Upstream { host: "127.0.0.1".into(), port: 1 },
            public_url: None,
            sign_out: None,
            routes: vec![route],
            native: Native {
                challenge: NativeChallenge::AskApp,
                api_key_headers: vec![],
                sign_in: vec![],
                allow: vec![],
            },
        };
        AppRules::new(&"portal".parse().unwrap(), 0, &app)
    }

    fn session(auth_time: Option<Timestamp>) -> Arc<Session> {
        let clock = Clock::manual(NOW);
        let mut row = row(&clock);
        row.identity.role = Some(Role::User);
        row.auth_time = auth_time;
        Arc::new(crate::session::tests::session(&row, &clock))
    }

    fn outcome(app: &AppRules, path: &str, session: Arc<Session>) -> &'static str {
        let headers = HeaderMap::new();
        let rule = app.rule(&http::Method::GET, &headers, path);
        let session = SessionCredential::Authenticated(session);
        match decide(app, &rule, NativeCredential::Absent, session, &headers, NOW) {
            Decision::Permit(permit) if matches!(permit.grant(), Grant::Session(_)) => "permit",
            Decision::Challenge(Challenge::StepUp(step_up)) => step_up.unmet.reason(),
            Decision::Deny(Denial::Role(_)) => "role",
            _ => "something else",
        }
    }

    /// E13
    #[test]
    fn a_session_that_is_not_enough_is_asked_to_step_up() {
        let app = app(RequiredRole::Any, Duration::from_secs(300));
        let ago = |secs: i64| session(Some(Timestamp::from_secs(NOW.secs() - secs)));
        assert_eq!(outcome(&app, "/pay/all", ago(300)), "permit");
        assert_eq!(outcome(&app, "/pay/all", ago(361)), "auth_too_old", "clocks differ by a minute");
        // As an adopted session, or one of a provider that does not say when the person signed in.
        assert_eq!(outcome(&app, "/pay/all", session(None)), "auth_too_old");
        assert_eq!(outcome(&app, "/else", session(None)), "permit");
    }

    #[test]
    fn nobody_is_sent_round_for_a_page_that_a_new_sign_in_would_not_open() {
        let app = app(RequiredRole::AtLeast(Role::Admin), Duration::from_secs(300));
        assert_eq!(outcome(&app, "/pay/all", session(None)), "role");
    }
}

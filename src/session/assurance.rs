//! How well a person was authenticated, and for how long that is to count, in the provider's words.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::directory::SessionRow;

/// What the ID token or the assertion said of the authentication (OpenID Connect Core, section 2; SAML 2.0 Core, section
/// 2.7.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assurance {
    /// When the person authenticated (`auth_time`), by the provider's clock.
    pub auth_time: Option<Timestamp>,
    /// The authentication context class reference.
    pub acr: Option<String>,
    /// The authentication methods.
    pub amr: Vec<String>,
    /// How long the provider lets the session last, from its beginning.
    pub lasts: Option<Duration>,
}

impl Assurance {
    /// What `row` holds of it. None: nothing.
    pub(super) fn of(row: &SessionRow) -> Option<Self> {
        let lasts = row.ends_at.map(|ends_at| ends_at.since(row.created_at));
        let assurance = Self { auth_time: row.auth_time, acr: row.acr.clone(), amr: row.amr.clone(), lasts };
        (assurance != Self::default()).then_some(assurance)
    }
}

//! How well a person was authenticated, in the provider's words.

use crate::base::clock::Timestamp;
use crate::directory::SessionRow;

/// What the ID token said of the authentication (OpenID Connect Core, section 2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assurance {
    /// When the person authenticated (`auth_time`), by the provider's clock.
    pub auth_time: Option<Timestamp>,
    /// The authentication context class reference.
    pub acr: Option<String>,
    /// The authentication methods.
    pub amr: Vec<String>,
}

impl Assurance {
    /// What `row` holds of it. None: nothing.
    pub(super) fn of(row: &SessionRow) -> Option<Self> {
        let assurance = Self { auth_time: row.auth_time, acr: row.acr.clone(), amr: row.amr.clone() };
        (assurance != Self::default()).then_some(assurance)
    }
}

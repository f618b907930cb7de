//! How a person signed in at the provider, as far as it said.

use crate::base::clock::Timestamp;

/// What the ID token said of the sign-in itself (OpenID Connect Core, section 2). Kept apart from the session: most
/// have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assurance {
    /// `auth_time`: when the person signed in at the provider.
    pub auth_time: Option<Timestamp>,
    /// `acr`: the class of the sign-in.
    pub acr: Option<String>,
    /// `amr`: the methods that were used.
    pub amr: Vec<String>,
}

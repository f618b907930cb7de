//! What a verified assertion says.

use crate::base::clock::Timestamp;

/// A person's name at the provider (SAML 2.0 Core section 2.2.3), kept whole: at sign-out it is sent back as it came.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NameId {
    pub value: String,
    /// A URI; none counts as unspecified.
    pub format: Option<String>,
    pub name_qualifier: Option<String>,
    pub sp_name_qualifier: Option<String>,
}

/// One attribute with its values, in the order of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    pub name: String,
    pub friendly_name: Option<String>,
    pub values: Vec<String>,
}

/// A verified assertion: read from the very node that the signature covers.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// Its ID: works once (S19).
    pub id: String,
    pub name_id: NameId,
    pub session_index: Option<String>,
    /// Until when the provider lets a session last.
    pub session_not_on_or_after: Option<Timestamp>,
    pub authn_instant: Timestamp,
    pub authn_context_class: Option<String>,
    pub attributes: Vec<Attribute>,
    /// Until when [`id`](Self::id) must be remembered: after it the assertion is refused for its age. Includes the clock
    /// difference that is allowed.
    pub expires: Timestamp,
}

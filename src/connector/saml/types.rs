//! What a verified assertion says.

use super::xml::{Element, trimmed};
use crate::base::clock::Timestamp;
use crate::connector::error::{ProviderError, Reason};

/// Longest name of a person, in bytes. A persistent one has at most 256 characters (SAML 2.0 Core, section 8.3.7).
const MAX_NAME: usize = 1024;

/// A person's name at the provider (SAML 2.0 Core section 2.2.3), kept whole: at sign-out it is sent back as it came.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NameId {
    pub value: String,
    /// A URI; none counts as unspecified.
    pub format: Option<String>,
    pub name_qualifier: Option<String>,
    pub sp_name_qualifier: Option<String>,
}

impl NameId {
    /// Whom it names: without the white space that the document is laid out with.
    pub fn person(&self) -> &str {
        trimmed(&self.value)
    }

    /// From a `NameID` of an assertion or a logout request: the same name reads the same in both.
    ///
    /// # Errors
    /// [`Reason::SamlSubject`]: it is blank, too long, or holds elements.
    pub(super) fn read(name: Element<'_>) -> Result<Self, ProviderError> {
        // As it came: at sign-out it is sent back.
        let value = name.text();
        if trimmed(&value).is_empty() || !name.is_plain_text() {
            return Err(ProviderError::new(Reason::SamlSubject).saying("a NameID with text", "none"));
        }
        if value.len() > MAX_NAME {
            let expected = format_args!("a NameID of at most {MAX_NAME} bytes").to_string();
            return Err(ProviderError::new(Reason::SamlSubject).saying(expected, value.len()));
        }
        let attribute = |local| name.attribute(local).map(str::to_owned);
        Ok(Self {
            value,
            format: attribute("Format"),
            name_qualifier: attribute("NameQualifier"),
            sp_name_qualifier: attribute("SPNameQualifier"),
        })
    }
}

/// One attribute with its values, in the order of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub name: String,
    pub friendly_name: Option<String>,
    pub values: Vec<String>,
}

/// A verified assertion: read from the very node that the signature covers.
#[derive(Clone, Debug)]
pub(crate) struct Assertion {
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

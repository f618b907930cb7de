//! The attributes of an assertion, looked up by name.

use super::types::{Assertion, NameId};
use super::xml::trimmed;
use crate::connector::error::{ProviderError, Reason};

/// In a connector's settings the name of no attribute, but of the assertion's `NameID`.
pub(super) const NAME_ID: &str = "NameID";

/// What a verified assertion says, by the names of its attributes. A name is compared byte by byte; a `FriendlyName` is
/// for people and never looked at (SAML 2.0 Core, section 2.7.3.1). Values have no white space around them, and an
/// empty one is none.
pub(super) struct Statement<'a>(&'a Assertion);

impl<'a> Statement<'a> {
    pub(super) const fn of(assertion: &'a Assertion) -> Self {
        Self(assertion)
    }

    pub(super) const fn name_id(&self) -> &'a NameId {
        &self.0.name_id
    }

    /// The values of `name` without repetition, from one attribute or, as Keycloak sends it, from several of that name.
    pub(super) fn values(&self, name: &str) -> Vec<&'a str> {
        let mut values: Vec<&'a str> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        let attributes = self.0.attributes.iter().filter(|attribute| attribute.name == name);
        let name_id = (name == NAME_ID).then_some(&self.0.name_id.value);
        for value in attributes.flat_map(|attribute| &attribute.values).chain(name_id) {
            let value = trimmed(value);
            if !value.is_empty() && seen.insert(value) {
                values.push(value);
            }
        }
        values
    }

    /// The one value of `name`.
    ///
    /// # Errors
    /// There are several that differ: neither the first nor the last is the right one (S25).
    pub(super) fn value(&self, name: &str) -> Result<Option<&'a str>, ProviderError> {
        match *self.values(name) {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            [..] => Err(ProviderError::new(Reason::SamlAttributeAmbiguous)
                .saying(format_args!("one value of {name}"), self.values(name).len())),
        }
    }

    /// The one value of `name`, which the provider always sends.
    ///
    /// # Errors
    /// It is not there, or there are several.
    pub(super) fn required(&self, name: &str) -> Result<&'a str, ProviderError> {
        let absent = || self.absent(Reason::SamlSubject, &[name]);
        self.value(name)?.ok_or_else(absent)
    }

    /// The one value of the first of `names` that is there.
    ///
    /// # Errors
    /// There are several values of that name.
    pub(super) fn first<S: AsRef<str>>(&self, names: &[S]) -> Result<Option<&'a str>, ProviderError> {
        names.iter().find_map(|name| self.value(name.as_ref()).transpose()).transpose()
    }

    /// The values of the first of `names` that is there.
    pub(super) fn all<S: AsRef<str>>(&self, names: &[S]) -> Vec<&'a str> {
        names.iter().map(|name| self.values(name.as_ref())).find(|values| !values.is_empty()).unwrap_or_default()
    }

    /// Whether there is such an attribute, with a value or without.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.attributes.iter().any(|attribute| attribute.name == name)
    }

    /// None of `names` is there. Tells which are, by name alone.
    pub(super) fn absent<S: AsRef<str>>(&self, reason: Reason, names: &[S]) -> ProviderError {
        let mut arrived: Vec<&str> = self.0.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
        arrived.sort_unstable();
        arrived.dedup();
        let expected: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let found = if arrived.is_empty() { String::from("no attributes") } else { arrived.join(" ") };
        ProviderError::new(reason).saying(expected.join(" or "), found).with_arrived(arrived)
    }
}

//! How a field is written into a header: printable ASCII, reversible by percent-decoding, never ambiguous.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::config::{IdentityField, TemplatePart};
use crate::identity::Person;

/// Everything outside 0x20–0x7E (bytes above 0x7F are always encoded) and `%` itself (X09).
const VALUE: &AsciiSet = &CONTROLS.add(b'%');

/// In lists the separator too, so that a group called `x,admin` stays one group (X10).
const ITEM: &AsciiSet = &VALUE.add(b',');

/// Every field.
pub(super) const ALL_FIELDS: [IdentityField; 8] = [
    IdentityField::User,
    IdentityField::Email,
    IdentityField::PreferredUsername,
    IdentityField::Name,
    IdentityField::Groups,
    IdentityField::Role,
    IdentityField::Connector,
    IdentityField::Subject,
];

/// The field, encoded; `None` when it is absent or empty.
pub(super) fn field(who: &Person<'_>, field: IdentityField) -> Option<String> {
    let Person { identity, user, native_user } = who;
    let text = |text: &str| encode(text, VALUE);
    let value = match field {
        IdentityField::User => text(native_user.unwrap_or(identity.email.as_str())),
        IdentityField::Email => text(identity.email.as_str()),
        IdentityField::PreferredUsername => text(identity.preferred_username.as_deref()?),
        IdentityField::Name => text(identity.name.as_deref()?),
        IdentityField::Groups => {
            let items = identity.groups.iter().filter(|group| !group.is_empty()).map(|group| encode(group, ITEM));
            items.collect::<Vec<_>>().join(",")
        }
        IdentityField::Role => text(identity.role?.name()),
        IdentityField::Connector => text(identity.connector.as_str()),
        IdentityField::Subject => text(&user.to_string()),
    };
    Some(value).filter(|value| !value.is_empty())
}

/// A custom header's value; `None` when any of its fields is absent or empty: half a value would be another value.
pub(super) fn template(who: &Person<'_>, parts: &[TemplatePart]) -> Option<String> {
    let parts = parts.iter().map(|part| match part {
        // The operator's own text: a `%` there is meant.
        TemplatePart::Text(text) => Some(Cow::from(utf8_percent_encode(text, CONTROLS))),
        TemplatePart::Field(name) => field(who, *name).map(Cow::from),
    });
    parts.collect::<Option<String>>()
}

/// Also encodes a space at either end: HTTP drops it there (RFC 9110 section 5.5), and people trim list items, which
/// would make ` admin` another name.
fn encode(text: &str, set: &'static AsciiSet) -> String {
    let inner = text.trim_matches(' ');
    let spaces = |n: usize| "%20".repeat(n);
    let lead = text.len() - text.trim_start_matches(' ').len();
    let trail = text.len() - inner.len() - lead;
    format!("{}{}{}", spaces(lead), utf8_percent_encode(inner, set), spaces(trail))
}

//! An identity as sessions hold it: a million of them are in memory, and few are read. One allocation instead of eight.

use super::Identity;
use crate::base::email::EmailAddress;
use crate::base::id::Id;
use crate::base::role::Role;

/// An [`Identity`] in one buffer. What every request needs is beside it; the rest is unpacked when somebody asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedIdentity {
    connector: Id,
    role: Option<Role>,
    /// Subject, address, preferred user name, display name, groups: each its length and its UTF-8 bytes. The two that
    /// may be missing have a [`Presence`] before them.
    fields: Box<[u8]>,
}

/// Whether an optional field is there. Most people's preferred user name is their address: it is kept once.
#[repr(u8)]
enum Presence {
    Absent = 0,
    Own = 1,
    SameAsEmail = 2,
}

impl PackedIdentity {
    /// Packs `identity`.
    pub fn new(identity: &Identity) -> Self {
        let Identity { connector, subject, email, preferred_username, name, groups, role } = identity;
        let mut fields = Vec::with_capacity(256);
        push(&mut fields, subject);
        push(&mut fields, email.as_str());
        match preferred_username.as_deref() {
            Some(user) if user == email.as_str() => fields.push(Presence::SameAsEmail as u8),
            user => push_optional(&mut fields, user),
        }
        push_optional(&mut fields, name.as_deref());
        for group in groups {
            push(&mut fields, group);
        }
        Self { connector: connector.clone(), role: *role, fields: fields.into() }
    }

    /// The connector that vouched for the identity.
    pub const fn connector(&self) -> &Id {
        &self.connector
    }

    /// The role, which routes ask for.
    pub const fn role(&self) -> Option<Role> {
        self.role
    }

    /// The identity as it was packed.
    pub fn unpack(&self) -> Identity {
        let mut rest = &*self.fields;
        let subject = take(&mut rest).to_owned();
        let email = EmailAddress::from_own_text(take(&mut rest));
        let preferred_username = take_optional(&mut rest, Some(email.as_str()));
        let name = take_optional(&mut rest, None);
        let mut groups = Vec::new();
        while !rest.is_empty() {
            groups.push(take(&mut rest).to_owned());
        }
        Identity {
            connector: self.connector.clone(),
            subject,
            email,
            preferred_username,
            name,
            groups,
            role: self.role,
        }
    }
}

/// Appends the length in base 128, lowest digit first, the high bit set on all but the last; then the bytes.
fn push(fields: &mut Vec<u8>, text: &str) {
    let mut length = text.len();
    while length >= 0x80 {
        fields.push(0x80 | (length & 0x7f) as u8);
        length >>= 7;
    }
    fields.push((length & 0x7f) as u8);
    fields.extend_from_slice(text.as_bytes());
}

fn push_optional(fields: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => {
            fields.push(Presence::Own as u8);
            push(fields, text);
        }
        None => fields.push(Presence::Absent as u8),
    }
}

/// What [`push`] appended. Only [`PackedIdentity::new`] writes fields, so there is always something to take.
fn take<'a>(rest: &mut &'a [u8]) -> &'a str {
    let (mut length, mut shift) = (0usize, 0);
    while let Some((&byte, after)) = rest.split_first() {
        *rest = after;
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            break;
        }
    }
    let (text, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
    *rest = after;
    std::str::from_utf8(text).unwrap_or_default()
}

fn take_optional(rest: &mut &[u8], email: Option<&str>) -> Option<String> {
    let (&presence, after) = rest.split_first()?;
    *rest = after;
    match presence {
        1 => Some(take(rest).to_owned()),
        2 => email.map(str::to_owned),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::identity::tests::alice;

    #[test]
    fn the_role_is_there_without_unpacking() {
        assert_eq!(PackedIdentity::new(&alice()).role(), alice().role);
    }

    #[test]
    fn a_preferred_user_name_that_is_the_address_is_held_once() {
        let other = Identity { preferred_username: Some("alice@acme.net".to_owned()), ..alice() };
        let size = |identity| PackedIdentity::new(identity).fields.len();
        assert_eq!(size(&other) - size(&alice()), 1 + "alice@acme.net".len());
    }

    proptest! {
        #[test]
        fn what_is_packed_is_what_comes_out(
            subject in ".{0,200}",
            preferred_username in proptest::option::of(prop_oneof![Just("alice@acme.com".to_owned()), ".{0,20}".boxed()]),
            name in proptest::option::of(".{0,40}"),
            groups in proptest::collection::vec(".{0,150}", 0..4),
            role in proptest::option::of(proptest::sample::select(Role::ALL.to_vec())),
        ) {
            let identity = Identity { subject, preferred_username, name, groups, role, ..alice() };
            prop_assert_eq!(PackedIdentity::new(&identity).unpack(), identity);
        }
    }

    /// Lengths of one, two and three digits.
    #[test]
    fn fields_of_any_length_come_out_whole() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 100_000] {
            let identity = Identity { subject: "s".repeat(length), groups: vec!["g".repeat(length); 2], ..alice() };
            assert_eq!(PackedIdentity::new(&identity).unpack(), identity, "{length}");
        }
    }
}

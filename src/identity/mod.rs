//! Who somebody is, and how the application is told: headers and a signed assertion.

pub mod assertion;
pub mod headers;
mod packed;

use uuid::Uuid;

use crate::base::email::EmailAddress;
use crate::base::id::Id;
use crate::base::role::Role;

pub use packed::PackedIdentity;

/// What a connector verified about a person at sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub connector: Id,
    /// The provider's name for the person: Entra `tid` + `.` + `oid`; else `sub`. Compared byte for byte.
    pub subject: String,
    /// The connector-verified address (design section 2, Linking).
    pub email: EmailAddress,
    pub preferred_username: Option<String>,
    /// The display name.
    pub name: Option<String>,
    pub groups: Vec<String>,
    /// The highest of the four roles named in the roles claim.
    pub role: Option<Role>,
}

/// What an application itself calls a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeUser {
    pub app: Id,
    /// The application's own user id.
    pub id: String,
}

/// Somebody as an application is told of them.
#[derive(Clone, Copy, Debug)]
pub struct Person<'a> {
    pub identity: &'a Identity,
    /// The id of their record.
    pub user: Uuid,
    /// What the application itself calls them, if that is known.
    pub native_user: Option<&'a str>,
}

impl<'a> From<&'a Identity> for Person<'a> {
    /// Somebody whose record was made for this identity, and whom the application calls nothing else.
    fn from(identity: &'a Identity) -> Self {
        Self { identity, user: identity.user_id(), native_user: None }
    }
}

/// The namespace of [`Identity::user_id`]. Never changes: it names people in the databases of applications.
pub const USER_ID_NAMESPACE: Uuid = Uuid::from_u128(0x24e1_b083_c389_4c37_9962_3ca6_bccc_26b8);

impl Identity {
    /// The id of a person's record that is made at a sign-in by this identity, and `sub` of assertions: UUIDv5 (RFC 9562
    /// section 5.5) in [`USER_ID_NAMESPACE`] of the UTF-8 bytes `<connector id>:<subject>`. An id has no colon, so no
    /// two pairs share a name. It survives a change of address and of our keys.
    pub fn user_id(&self) -> Uuid {
        let name = format!("{}:{}", self.connector, self.subject);
        Uuid::new_v5(&USER_ID_NAMESPACE, name.as_bytes())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn alice() -> Identity {
        Identity {
            connector: "acme-entra".parse().unwrap(),
            subject: "9188040d-6c67-4c5b-b112-36a304b66dad.00000000-0000-0000-66f3-3332eca7ea81".to_owned(),
            email: "alice@acme.com".parse().unwrap(),
            preferred_username: Some("alice@acme.com".to_owned()),
            name: Some("Alice Example".to_owned()),
            groups: vec!["staff".to_owned(), "finance".to_owned()],
            role: Some(Role::Admin),
        }
    }

    #[test]
    fn a_user_id_depends_on_connector_and_subject_alone_and_never_changes() {
        let alice = alice();
        // Reproducible elsewhere: python3 -c "import uuid; print(uuid.uuid5(uuid.UUID('24e1…'), 'acme-entra:9188…'))"
        assert_eq!(alice.user_id().to_string(), "24e2d40b-5e5c-5876-b820-8030dc74ca6f");
        let renamed = Identity { email: "a.smith@acme.com".parse().unwrap(), groups: vec![], ..alice.clone() };
        assert_eq!(renamed.user_id(), alice.user_id());
        let elsewhere = Identity { connector: "acme".parse().unwrap(), ..alice.clone() };
        assert_ne!(elsewhere.user_id(), alice.user_id());
        let other = Identity { subject: alice.subject.to_uppercase(), ..alice.clone() };
        assert_ne!(other.user_id(), alice.user_id(), "compared byte for byte");
    }
}

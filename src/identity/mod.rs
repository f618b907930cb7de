//! Who somebody is, and how the application is told: headers and a signed assertion.

use crate::base::email::EmailAddress;
use crate::base::id::Id;
use crate::base::role::Role;

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

//! The four roles an application knows, and what a route may ask for (design: R14).

/// A user's role, lowest first; a higher one meets what a lower one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// May look, not change.
    ReadOnly,
    /// An ordinary user.
    User,
    /// An administrator of an account.
    Admin,
    /// An administrator of everything.
    EnterpriseAdmin,
}

impl Role {
    /// Every role, lowest first.
    pub const ALL: [Self; 4] = [Self::ReadOnly, Self::User, Self::Admin, Self::EnterpriseAdmin];

    /// The name that configuration, tokens and headers use. Case counts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "ReadOnly",
            Self::User => "User",
            Self::Admin => "Admin",
            Self::EnterpriseAdmin => "EnterpriseAdmin",
        }
    }

    /// The role of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.name() == name)
    }
}

/// What a route asks of a signed-in user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum RequiredRole {
    /// Being signed in is enough.
    #[default]
    Any,
    /// At least this role; `web` in the configuration is `AtLeast(ReadOnly)`, since any of the four will do.
    AtLeast(Role),
}

impl RequiredRole {
    /// Whether a user with `role` may pass.
    pub fn is_met_by(self, role: Option<Role>) -> bool {
        match self {
            Self::Any => true,
            Self::AtLeast(needed) => role.is_some_and(|r| r >= needed),
        }
    }

    /// The name of the lowest role that meets it; `None`: nothing but a sign-in is asked for.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Any => None,
            Self::AtLeast(role) => Some(role.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_role_meets_what_a_lower_one_does() {
        assert!(RequiredRole::AtLeast(Role::Admin).is_met_by(Some(Role::EnterpriseAdmin)));
        assert!(!RequiredRole::AtLeast(Role::Admin).is_met_by(Some(Role::User)));
        assert!(!RequiredRole::AtLeast(Role::ReadOnly).is_met_by(None));
        assert!(RequiredRole::Any.is_met_by(None));
        assert_eq!(Role::from_name("admin"), None, "case counts");
    }
}

//! People: their records, what vouches for them (identities), and what the applications call them (memberships). Which
//! record a sign-in belongs to is decided here, by [`choose`]; each engine brings it the facts, in the transaction that
//! makes the session (design section 2, "Linking").

use async_trait::async_trait;
use uuid::Uuid;

use super::{CookieKey, DirectoryError, Ended, Page};
use crate::base::clock::Timestamp;
use crate::base::id::Id;
use crate::base::role::Role;
use crate::identity::NativeUser;

/// A person's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Never changes: what applications know the person by (`sub`).
    pub id: Uuid,
    /// Lower case. Of a person whom a connector vouches for, the address that it last verified.
    pub address: String,
    /// A connector vouched for the address, or the operator does for an application's. A sign-in is linked by address
    /// to such a record alone (I07).
    pub address_verified: bool,
    /// Nobody signs in as somebody who is not.
    pub active: bool,
    /// A sign-in with this address has nothing to do with this record.
    pub address_released: bool,
    pub source: UserSource,
    pub created_at: Timestamp,
}

/// How a record came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserSource {
    /// At the first sign-in ("just in time").
    Jit,
    /// From an application's own user.
    Adopted,
}

impl UserSource {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Jit, Self::Adopted];

    /// The name in the database and in lists.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jit => "jit",
            Self::Adopted => "adopted",
        }
    }
}

/// What vouches for a person.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserIdentity {
    /// A connector, or an app that vouches ([`Id::of_app`]).
    pub connector: Id,
    /// The [identity's](crate::identity::Identity) subject; a long one as its SHA-256.
    pub subject: String,
}

/// What an application calls a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    pub user: NativeUser,
    /// The role that the application said.
    pub role: Option<Role>,
    pub source: UserSource,
}

/// A record with everything that belongs to it, at most [`MAX_PARTS`] of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserDetail {
    pub user: User,
    /// Sorted.
    pub identities: Vec<UserIdentity>,
    /// By app and the app's own user id.
    pub memberships: Vec<Membership>,
}

/// Identities or memberships of one record that are looked at, at most.
pub const MAX_PARTS: u32 = 100;

/// Records of one address that a sign-in looks at, at most. One of more people is linked to none of them.
pub(super) const MAX_CANDIDATES: u32 = 50;

/// What a sign-in says beside the session about whose it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Linking {
    /// The user of the adopted session that the same browser held at this sign-in, if its address is the verified one:
    /// the proof that both are one person (I07). Without meaning for an adopted session.
    pub proof: Option<Uuid>,
    /// Of an adopted session: the operator vouches for the addresses of that application (`email_is_verified`).
    pub address_verified: bool,
}

/// What [`create`](super::Sessions::create) did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creation {
    Created(Created),
    /// There is no session.
    Refused(LinkRefused),
}

impl Creation {
    /// What was made; none: it was refused.
    pub fn created(self) -> Option<Created> {
        match self {
            Self::Created(created) => Some(created),
            Self::Refused(_) => None,
        }
    }
}

/// A session was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The session's `born`: the number of the newest change at that moment, or the one that was given if that is lower.
    pub born: i64,
    /// Whose session it is.
    pub user: Uuid,
    /// What the applications call them.
    pub native: Vec<NativeUser>,
    /// With this sign-in an application's own user became somebody for whom a connector vouches.
    pub merged: Option<Merged>,
}

/// An application's own users became one with somebody for whom a connector vouches. Whoever else held their old
/// sessions may not have been the same person, so these have ended, and the application's own sessions of these users
/// must not be adopted again unless they began later (I07: a tombstone is due).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    pub native: Vec<NativeUser>,
    /// The cookies of the adopted sessions that ended.
    pub cookies: Vec<CookieKey>,
    /// How many ended.
    pub ended: u64,
}

/// Why a person who proved who they are gets no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum LinkRefused {
    /// An administrator deactivated them, or the record that has their address (I06).
    #[error("the user is deactivated")]
    UserDeactivated,
    /// The connector vouched for this address before, under another subject: a re-registered domain, somebody who was
    /// hired again. An administrator decides who that is (I05).
    #[error("the address belongs to somebody whom the connector calls otherwise")]
    AccountConflict,
}

impl LinkRefused {
    /// The stable code.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::UserDeactivated => "user_deactivated",
            Self::AccountConflict => "account_conflict",
        }
    }
}

/// A record that has the address of a sign-in by a connector's identity that nobody knows yet. Released addresses are not
/// among them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) id: Uuid,
    pub(super) active: bool,
    pub(super) address_verified: bool,
    /// The connector vouches for them under another subject.
    pub(super) at_connector: bool,
}

/// Whom an identity that nobody knows yet is linked to. None: a record of its own.
///
/// # Errors
/// The person gets no session.
pub(super) fn choose(candidates: &[Candidate], proof: Option<Uuid>) -> Result<Option<Uuid>, LinkRefused> {
    if candidates.iter().any(|candidate| !candidate.active) {
        return Err(LinkRefused::UserDeactivated);
    }
    if candidates.iter().any(|candidate| candidate.at_connector) {
        return Err(LinkRefused::AccountConflict);
    }
    if let Some(proven) = candidates.iter().find(|candidate| Some(candidate.id) == proof) {
        return Ok(Some(proven.id));
    }
    if candidates.len() >= MAX_CANDIDATES as usize {
        return Ok(None);
    }
    let mut verified = candidates.iter().filter(|candidate| candidate.address_verified);
    Ok(verified.next().filter(|_| verified.next().is_none()).map(|candidate| candidate.id))
}

/// What the headers of a session of `own` say of these memberships: an app's own user id only where there is no doubt
/// which. An adopted session is one of the user that was adopted.
pub(super) fn native_users(memberships: &[NativeUser], own: Option<&NativeUser>) -> Vec<NativeUser> {
    let one = |user: &NativeUser| memberships.iter().filter(|other| other.app == user.app).count() == 1;
    let others = memberships.iter().filter(|user| one(user) && own.is_none_or(|own| own.app != user.app));
    own.into_iter().chain(others).cloned().collect()
}

/// People.
#[async_trait]
pub trait Users: Send + Sync {
    /// Records, newest first; with `address` (lower case) only those that have it. At most `page.limit`.
    async fn list(&self, address: Option<&str>, page: &Page) -> Result<Vec<UserDetail>, DirectoryError>;

    /// One record.
    async fn user(&self, id: Uuid) -> Result<Option<UserDetail>, DirectoryError>;

    /// Deactivates somebody and ends their sessions, as an epoch of [`Selector::User`](super::Selector::User), in one
    /// transaction: who signs in at this moment comes before it, and is signed out, or after it, and is refused. With
    /// `release_address`, somebody else may come to have the address. None: no such user. Again is safe.
    async fn deactivate(
        &self,
        id: Uuid,
        release_address: bool,
        now: Timestamp,
    ) -> Result<Option<Ended>, DirectoryError>;

    /// Lets somebody sign in again, and has their address theirs. False: no such user.
    async fn activate(&self, id: Uuid) -> Result<bool, DirectoryError>;

    /// Forgets what `connector` calls somebody, and ends all their sessions: whoever comes next with their address may be
    /// linked to the record under another subject. None: no such user, or nothing to forget.
    async fn unlink(&self, id: Uuid, connector: &Id, now: Timestamp) -> Result<Option<Ended>, DirectoryError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(id: u128) -> Candidate {
        Candidate { id: Uuid::from_u128(id), active: true, address_verified: true, at_connector: false }
    }

    #[test]
    fn an_identity_is_linked_to_the_one_user_whose_address_was_verified() {
        let one = Ok(Some(Uuid::from_u128(1)));
        assert_eq!(choose(&[], None), Ok(None));
        assert_eq!(choose(&[candidate(1)], None), one);
        assert_eq!(choose(&[candidate(1), candidate(2)], None), Ok(None), "several: no link");
        // A14, I07: an address that an application's user said of themselves links nobody.
        let said = Candidate { address_verified: false, ..candidate(2) };
        assert_eq!(choose(&[said], None), Ok(None));
        assert_eq!(choose(&[candidate(1), said], None), one);
        assert_eq!(choose(&[said, candidate(1)], None), one);
    }

    #[test]
    fn a_proof_links_to_a_user_of_the_same_address_alone() {
        let said = Candidate { address_verified: false, ..candidate(2) };
        assert_eq!(choose(&[said], Some(said.id)), Ok(Some(said.id)));
        assert_eq!(choose(&[candidate(1), said], Some(said.id)), Ok(Some(said.id)));
        assert_eq!(choose(&[said], Some(Uuid::from_u128(3))), Ok(None));
    }

    #[test]
    fn neither_proof_nor_others_help_against_a_deactivation_or_a_conflict_i05_i06() {
        let gone = Candidate { active: false, address_verified: false, ..candidate(1) };
        let known = Candidate { at_connector: true, ..candidate(3) };
        let proof = Some(Uuid::from_u128(2));
        assert_eq!(choose(&[candidate(2), gone], proof), Err(LinkRefused::UserDeactivated));
        assert_eq!(choose(&[candidate(2), known], proof), Err(LinkRefused::AccountConflict));
        assert_eq!(choose(&[known, gone], proof), Err(LinkRefused::UserDeactivated));
    }

    #[test]
    fn of_two_ids_in_one_app_none_is_told_unless_the_session_is_of_one_of_them() {
        let user = |app: &str, id: &str| NativeUser { app: app.parse().unwrap(), id: id.to_owned() };
        let all = vec![user("crm", "7"), user("portal", "42"), user("portal", "43")];
        assert_eq!(native_users(&all, None), [user("crm", "7")]);
        assert_eq!(native_users(&all, Some(&user("portal", "43"))), [user("portal", "43"), user("crm", "7")]);
    }
}

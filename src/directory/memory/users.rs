//! People in the memory directory: one for each who ever signed in to this process.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use uuid::Uuid;

use super::{Memory, State};
use crate::base::clock::Timestamp;
use crate::base::id::Id;
use crate::base::random;
use crate::directory::users::{Candidate, choose, native_users};
use crate::directory::{
    Change, DirectoryError, Ended, LinkRefused, Linking, Membership, Merged, Page, Selector, SessionRow, User,
    UserDetail, UserIdentity, UserSource, Users,
};
use crate::identity::NativeUser;

#[derive(Default)]
pub(super) struct People {
    users: HashMap<Uuid, User>,
    identities: BTreeMap<UserIdentity, Uuid>,
    /// By app and native user.
    memberships: BTreeMap<(Id, String), (Uuid, Membership)>,
}

/// Whose a session is.
pub(super) struct Linked {
    pub(super) user: Uuid,
    pub(super) native: Vec<NativeUser>,
    /// The user whose adopted sessions end, and what the applications call them.
    pub(super) merged: Option<(Uuid, Vec<NativeUser>)>,
}

impl People {
    /// Finds or makes the user of `session`.
    pub(super) fn link(&mut self, session: &SessionRow, linking: &Linking) -> Result<Linked, LinkRefused> {
        let identity = &session.identity;
        let app: Option<Id> = identity.connector.app().and_then(|app| app.parse().ok());
        let address = identity.email.as_str().to_ascii_lowercase();
        if app.is_some() && self.of_address(&address).any(|user| !user.active) {
            return Err(LinkRefused::UserDeactivated);
        }
        let name = UserIdentity { connector: identity.connector.clone(), subject: identity.subject.clone() };
        let known = self.identities.get(&name).copied();
        let user = match known {
            // I06. Applications that know people by their address would take them for the one who left.
            Some(id) if self.takes_address_of_another(id, &address) => return Err(LinkRefused::UserDeactivated),
            Some(id) => id,
            None if app.is_some() => self.make(session, &address, linking.address_verified),
            None => match choose(&self.candidates(&identity.connector, &address), linking.proof)? {
                Some(id) => id,
                None => self.make(session, &address, true),
            },
        };
        if let Some(user) = self.users.get_mut(&user) {
            if !user.active {
                return Err(LinkRefused::UserDeactivated);
            }
            if app.is_none() || !user.address_verified {
                (user.address, user.address_verified) = (address.clone(), user.address_verified || app.is_none());
            }
        }
        self.identities.insert(name, user);
        if let Some(app) = &app {
            let native = NativeUser { app: app.clone(), id: identity.subject.clone() };
            let membership = Membership { user: native, role: identity.role, source: UserSource::Adopted };
            self.memberships.insert((app.clone(), identity.subject.clone()), (user, membership));
        }
        let proven = linking.proof.filter(|proof| *proof != user).or(known.is_none().then_some(user));
        let merged = proven.filter(|_| app.is_none()).and_then(|old| self.take_over(old, user, session, &address));
        let own = app.map(|app| NativeUser { app, id: identity.subject.clone() });
        Ok(Linked { user, native: native_users(&self.native(user), own.as_ref()), merged })
    }

    /// Whether the user `id` comes with an address that is new for them and belongs to somebody who is deactivated.
    fn takes_address_of_another(&self, id: Uuid, address: &str) -> bool {
        let renamed = self.users.get(&id).is_some_and(|user| user.address != address);
        renamed && self.of_address(address).any(|user| !user.active)
    }

    fn of_address(&self, address: &str) -> impl Iterator<Item = &User> {
        self.users.values().filter(move |user| user.address == address && !user.address_released)
    }

    fn candidates(&self, connector: &Id, address: &str) -> Vec<Candidate> {
        let candidate = |user: &User| Candidate {
            id: user.id,
            active: user.active,
            address_verified: user.address_verified,
            at_connector: self.identities.iter().any(|(of, id)| *id == user.id && of.connector == *connector),
        };
        self.of_address(address).map(candidate).collect()
    }

    fn make(&mut self, session: &SessionRow, address: &str, address_verified: bool) -> Uuid {
        let identity = &session.identity;
        let mut id = identity.user_id();
        if self.users.contains_key(&id) {
            // Another's by now: it was unlinked.
            id = uuid::Builder::from_random_bytes(random::bytes()).into_uuid();
        }
        let user = User {
            id,
            address: address.to_owned(),
            address_verified,
            active: true,
            address_released: false,
            source: if identity.connector.app().is_some() { UserSource::Adopted } else { UserSource::Jit },
            created_at: session.created_at,
        };
        self.users.insert(id, user);
        id
    }

    fn native(&self, user: Uuid) -> Vec<NativeUser> {
        let own = self.memberships.values().filter(|(of, _)| *of == user);
        own.map(|(_, membership)| membership.user.clone()).collect()
    }

    fn take_over(
        &mut self,
        old: Uuid,
        user: Uuid,
        session: &SessionRow,
        address: &str,
    ) -> Option<(Uuid, Vec<NativeUser>)> {
        let identity = &session.identity;
        let record = self.users.get(&old)?;
        if !record.active || record.address_released || record.address != address {
            return None;
        }
        let own = |of: &UserIdentity| of.connector == identity.connector && of.subject == identity.subject;
        let vouched = |of: &UserIdentity| of.connector.app().is_none() && !own(of);
        if self.identities.iter().any(|(of, id)| *id == old && vouched(of)) {
            return None;
        }
        let native = self.native(old);
        let same_app = |one: &NativeUser| native.iter().any(|other| other.app == one.app);
        if native.is_empty() || old != user && self.native(user).iter().any(same_app) {
            return None;
        }
        if old != user {
            self.identities.values_mut().filter(|id| **id == old).for_each(|id| *id = user);
            self.memberships.values_mut().filter(|(id, _)| *id == old).for_each(|(id, _)| *id = user);
            self.users.remove(&old);
        }
        Some((old, native))
    }

    fn detail(&self, user: &User) -> UserDetail {
        let own = self.identities.iter().filter(|(_, id)| **id == user.id);
        let memberships = self.memberships.values().filter(|(id, _)| *id == user.id);
        UserDetail {
            user: user.clone(),
            identities: own.map(|(identity, _)| identity.clone()).collect(),
            memberships: memberships.map(|(_, membership)| membership.clone()).collect(),
        }
    }
}

impl State {
    /// Ends the adopted sessions of a user that was merged.
    pub(super) fn end_merged(&mut self, user: Uuid, native: Vec<NativeUser>, now: Timestamp) -> Merged {
        let mut merged = Merged { native, ..Merged::default() };
        for reference in self.selected(&Selector::User(user)) {
            let adopted = |state: &Self| state.sessions.get(&reference)?.row.identity.connector.app().map(drop);
            if adopted(self).is_none() {
                continue;
            }
            let Some(stored) = self.remove(reference) else { continue };
            merged.ended += 1;
            for key in stored.cookies {
                self.number(Change::CookieEnded(key), now);
                merged.cookies.push(key);
            }
        }
        merged
    }
}

impl Memory {
    /// Ends a user's sessions if `change`, in the same moment, finds something to change.
    fn end_user(&self, id: Uuid, now: Timestamp, change: impl FnOnce(&mut People) -> bool) -> Option<Ended> {
        let mut state = self.state();
        if !change(&mut state.people) {
            return None;
        }
        let ended = state.end(&Selector::User(id), now);
        drop(state);
        self.changed.notify_waiters();
        Some(ended)
    }
}

#[async_trait]
impl Users for Memory {
    async fn list(&self, address: Option<&str>, page: &Page) -> Result<Vec<UserDetail>, DirectoryError> {
        let state = self.state();
        let of_address = |user: &&User| address.is_none_or(|address| user.address == address);
        let mut found: Vec<&User> = state.people.users.values().filter(of_address).collect();
        found.sort_by_key(|user| std::cmp::Reverse((user.created_at, user.id)));
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        Ok(found.into_iter().take(limit).map(|user| state.people.detail(user)).collect())
    }

    async fn user(&self, id: Uuid) -> Result<Option<UserDetail>, DirectoryError> {
        let state = self.state();
        Ok(state.people.users.get(&id).map(|user| state.people.detail(user)))
    }

    async fn deactivate(
        &self,
        id: Uuid,
        release_address: bool,
        now: Timestamp,
    ) -> Result<Option<Ended>, DirectoryError> {
        Ok(self.end_user(id, now, |people| {
            let Some(user) = people.users.get_mut(&id) else { return false };
            (user.active, user.address_released) = (false, release_address);
            true
        }))
    }

    async fn activate(&self, id: Uuid) -> Result<bool, DirectoryError> {
        let mut state = self.state();
        let Some(user) = state.people.users.get_mut(&id) else { return Ok(false) };
        (user.active, user.address_released) = (true, false);
        Ok(true)
    }

    async fn unlink(&self, id: Uuid, connector: &Id, now: Timestamp) -> Result<Option<Ended>, DirectoryError> {
        Ok(self.end_user(id, now, |people| {
            let before = people.identities.len();
            people.identities.retain(|of, user| *user != id || of.connector != *connector);
            people.identities.len() < before
        }))
    }
}

//! What an administrator decides about somebody: deactivated, active again, or that a connector's old name for them no
//! longer counts.

use uuid::Uuid;

use crate::base::email::EmailAddress;
use crate::base::id::Id;
use crate::directory::{DirectoryError, Ended, Page, User};

use super::SignIn;

/// Records that are named where several have one address.
const NAMED: u32 = 10;

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserChange {
    /// Nobody signs in as this user any more, and all their sessions end. With `release_address`, another person may come
    /// to have the address.
    Deactivate { release_address: bool },
    /// They may sign in again.
    Activate,
    /// What the connector calls them no longer counts, and all their sessions end: whoever it vouches for next with their
    /// address is this user (I05).
    Unlink { connector: Id },
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserChanged {
    pub id: Uuid,
    pub address: String,
    /// How many sessions ended.
    pub ended: u64,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// There is none.
    #[error("there is no user {0:?}: `anteroom user list` shows who there is")]
    Unknown(String),
    /// Which of them was meant nobody can know.
    #[error("several users have the address {address}; say which by its id: {ids}")]
    Several { address: String, ids: String },
    /// The connector vouches for them by no name.
    #[error("{connector} does not vouch for {address}: `anteroom user list --format json` shows what does")]
    NotLinked { connector: Id, address: String },
    /// It is as it was, but in this process the sessions may have ended.
    #[error("the directory did not take it; try again")]
    Directory(#[from] DirectoryError),
}

impl SignIn {
    /// Does what an administrator decided about the user `name`: an id or an address.
    ///
    /// # Errors
    /// See [`UserError`].
    pub async fn change_user(&self, name: &str, change: &UserChange) -> Result<UserChanged, UserError> {
        let User { id, address, .. } = self.named_user(name).await?;
        let unknown = || UserError::Unknown(name.to_owned());
        let ended = match change {
            UserChange::Deactivate { release_address } => {
                let ended = self.sessions.deactivate(id, *release_address).await?.ok_or_else(unknown)?;
                self.record_all_ended(&ended, "user_deactivated");
                ended
            }
            UserChange::Unlink { connector } => {
                let not_linked = || UserError::NotLinked { connector: connector.clone(), address: address.clone() };
                let ended = self.sessions.unlink(id, connector).await?.ok_or_else(not_linked)?;
                self.record_all_ended(&ended, "identity_unlinked");
                ended
            }
            UserChange::Activate => {
                self.directory.users.activate(id).await?.then_some(()).ok_or_else(unknown)?;
                Ended::default()
            }
        };
        Ok(UserChanged { id, address, ended: ended.count })
    }

    /// The one user of that id or address.
    async fn named_user(&self, name: &str) -> Result<User, UserError> {
        let unknown = || UserError::Unknown(name.to_owned());
        if let Ok(id) = name.parse::<Uuid>() {
            return Ok(self.directory.users.user(id).await?.ok_or_else(unknown)?.user);
        }
        let address = name.parse::<EmailAddress>().map_err(|_| unknown())?.as_str().to_ascii_lowercase();
        let page = Page { limit: NAMED };
        let mut found = self.directory.users.list(Some(&address), &page).await?.into_iter().map(|detail| detail.user);
        match (found.next(), found.next()) {
            (None, _) => Err(unknown()),
            (Some(user), None) => Ok(user),
            (Some(first), Some(second)) => {
                let ids = [first, second].into_iter().chain(found).map(|user| user.id.to_string());
                Err(UserError::Several { address, ids: ids.collect::<Vec<_>>().join(", ") })
            }
        }
    }
}

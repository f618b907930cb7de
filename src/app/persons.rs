//! What the directory knows of those who use an application's own credentials.

use async_trait::async_trait;
use http::response;

use crate::base::id::Id;
use crate::directory::{Directory, DirectoryError, Page};
use crate::legacy::UserName;
use crate::legacy::native::{Persons, Verdict};

/// Records of one address that are looked at.
const RECORDS: Page = Page { limit: 50 };

/// The records of the directory, by address.
pub(super) struct Records(pub(super) Directory);

#[async_trait]
impl Persons for Records {
    async fn is_deactivated(&self, _: &Id, name: &UserName) -> Result<bool, DirectoryError> {
        let Some(address) = name.address() else { return Ok(false) };
        let address = address.as_str().to_ascii_lowercase();
        let records = self.0.users.list(Some(&address), &RECORDS).await?;
        Ok(records.iter().any(|record| !record.user.active && !record.user.address_released))
    }

    async fn after_native_sign_in(&self, _: &Id, name: &UserName, _: &response::Parts) -> Verdict {
        Verdict::Keep(name.address().cloned())
    }
}

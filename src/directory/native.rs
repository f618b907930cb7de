//! The applications' own credentials: who uses them, and which session cookies came of a sign-in with one.

use std::net::IpAddr;

use async_trait::async_trait;

use super::DirectoryError;
use crate::base::clock::Timestamp;
use crate::base::email::EmailAddress;
use crate::base::id::Id;

/// What kind of credential an application's own is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NativeKind {
    /// A user name in a Basic header.
    Basic,
    /// A user name in a Digest header.
    Digest,
    /// A configured API-key header; the name is a keyed hash.
    ApiKey,
    /// A bearer token; the name is a keyed hash.
    Bearer,
    /// Another scheme, NTLM and Negotiate among them; the name is the scheme's.
    Other,
    /// A user name at the application's own sign-in.
    SignIn,
    /// A user name at the sign-in of its mobile app.
    Mobile,
}

impl NativeKind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Basic, Self::Digest, Self::ApiKey, Self::Bearer, Self::Other, Self::SignIn, Self::Mobile];

    /// A stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Digest => "digest",
            Self::ApiKey => "api_key",
            Self::Bearer => "bearer",
            Self::Other => "other",
            Self::SignIn => "sign_in",
            Self::Mobile => "mobile",
        }
    }

    /// The kind of a word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// A native identity, and its uses: all of them, or those that are to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeIdentity {
    pub app: Id,
    pub kind: NativeKind,
    /// The user name; of an opaque key a label made of its keyed hash.
    pub name: String,
    pub first: Timestamp,
    pub last: Timestamp,
    pub count: u64,
    /// Where it came from last.
    pub source: IpAddr,
    /// The name is an address or looks like one.
    pub email_shaped: bool,
}

/// A session cookie that an application set in a native sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeCookie {
    /// A keyed hash of app, name and value.
    pub key: [u8; 32],
    pub app: Id,
    /// The cookie's name.
    pub name: String,
    /// Who signed in.
    pub user_name: String,
    /// The person's address, where the application was asked for it.
    pub person: Option<EmailAddress>,
    pub last_used: Timestamp,
    /// It counts until then at most.
    pub until: Timestamp,
}

/// The native identities and their cookies.
#[async_trait]
pub trait Natives: Send + Sync {
    /// Adds uses, in one transaction: counts are summed, the earliest first and the latest last are kept, the source is
    /// that of the latest.
    async fn note(&self, uses: &[NativeIdentity]) -> Result<(), DirectoryError>;

    /// The identities of `app`, or all, those used last first; at most `limit`.
    async fn list(&self, app: Option<&Id>, limit: u32) -> Result<Vec<NativeIdentity>, DirectoryError>;

    /// Forgets identities not seen since `before`, and of all those last used longest ago beyond `max`. How many.
    async fn purge(&self, before: Timestamp, max: u64) -> Result<u64, DirectoryError>;

    /// Remembers cookies, or changes how long they are remembered, in one transaction. One that was set for somebody else
    /// before is no secret of either and never counts again: its `until` becomes its `last_used`, for good.
    async fn remember(&self, cookies: &[NativeCookie]) -> Result<(), DirectoryError>;

    /// Those of `keys` that are remembered, whether or not they still count.
    async fn cookies(&self, keys: &[[u8; 32]]) -> Result<Vec<NativeCookie>, DirectoryError>;

    /// Notes uses of cookies; a time earlier than the one kept changes nothing.
    async fn cookies_used(&self, uses: &[([u8; 32], Timestamp)]) -> Result<(), DirectoryError>;

    /// Forgets cookies that were not used since `used_before`, or do not count at `now`. How many.
    async fn purge_cookies(&self, used_before: Timestamp, now: Timestamp) -> Result<u64, DirectoryError>;
}

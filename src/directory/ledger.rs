//! The ledger of a cut-over: what moving in has done to people so far, summed by day. It names nobody.

use async_trait::async_trait;

use super::DirectoryError;
use crate::base::clock::Timestamp;
use crate::base::email::EmailDomain;
use crate::base::id::Id;

/// What happened, or under observation would have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LedgerKind {
    /// Somebody who was signed in to the application went on with a session of ours.
    Adopted,
    /// Somebody signed in at a provider.
    Reauthenticated,
    /// Somebody was refused. The reason is the audit event's.
    Refused,
    /// Somebody was sent to the application's own sign-in page. The reason says why.
    SentToApp,
    /// Observed: would have been adopted.
    WouldAdopt,
    /// Observed: would have been asked for a credential.
    WouldChallenge,
    /// Observed: would have been denied.
    WouldDeny,
    /// Observed: would have been sent to a provider by the e-mail page.
    WouldRedirect,
}

impl LedgerKind {
    /// Each of them.
    pub const ALL: [Self; 8] = [
        Self::Adopted,
        Self::Reauthenticated,
        Self::Refused,
        Self::SentToApp,
        Self::WouldAdopt,
        Self::WouldChallenge,
        Self::WouldDeny,
        Self::WouldRedirect,
    ];

    /// Its name in databases, metrics and lists.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Adopted => "adopted",
            Self::Reauthenticated => "reauthenticated",
            Self::Refused => "refused",
            Self::SentToApp => "sent_to_app",
            Self::WouldAdopt => "would_adopt",
            Self::WouldChallenge => "would_challenge",
            Self::WouldDeny => "would_deny",
            Self::WouldRedirect => "would_redirect",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LedgerEntry {
    pub app: Id,
    /// Of the person's address; none: nobody knows it.
    pub domain: Option<EmailDomain>,
    pub what: LedgerKind,
    /// A stable code; may be empty.
    pub reason: &'static str,
}

/// Things of one kind on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRow {
    pub app: Id,
    pub domain: Option<EmailDomain>,
    pub what: LedgerKind,
    pub reason: String,
    /// See [`day`].
    pub day: i64,
    pub count: u64,
}

/// The day of `at`: days since the Unix epoch, UTC.
pub fn day(at: Timestamp) -> i64 {
    at.secs().div_euclid(86_400)
}

/// The ledger of all processes.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Adds to the sums: all of `rows` or none. Where only the answer was lost, asking again counts them twice.
    async fn add(&self, rows: &[LedgerRow]) -> Result<(), DirectoryError>;

    /// The sums of the days from `from` on, of one domain or of all and of nobody's, by day, app, domain, kind, reason.
    async fn since(&self, from: i64, domain: Option<&EmailDomain>) -> Result<Vec<LedgerRow>, DirectoryError>;

    /// Forgets the days before `before`. How many sums.
    async fn purge(&self, before: i64) -> Result<u64, DirectoryError>;
}

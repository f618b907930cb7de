//! The readiness check (design R3, R4, R6): what will happen to each of the application's users when a domain is
//! switched on, from two lists: the application's users, and the provider's accounts.
//!
//! Nothing here opens a file or reads a clock: lists are readers, and [`Question`] says what time it is.

mod accounts;
mod calendar;
mod columns;
mod compare;
mod finding;
mod print;
mod sheet;
#[cfg(test)]
mod tests;
mod text;
mod users;
mod when;

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::email::EmailDomain;

pub use accounts::{Accounts, read_accounts};
pub use calendar::Calendar;
pub use columns::{Columns, InvalidColumn};
pub use compare::{Provider, Report, compare};
pub use finding::{Code, Detail, Finding, Outcome, Severity};
pub use print::{Lists, write_csv, write_json, write_table};
pub use sheet::{ReadError, Where};
pub use when::DateOrder;

/// What is asked of the two lists.
#[derive(Clone, Debug)]
pub struct Question {
    /// The domain that is to be switched on.
    pub domain: EmailDomain,
    /// Other domains of its connector: the provider may assert addresses of those too.
    pub also: Vec<EmailDomain>,
    /// Which address of an account the provider asserts.
    pub asserted: Asserted,
    /// Sessions that end within so many calendar days (UTC, today is the first) are listed; 1 to 366.
    pub days: u16,
    /// How long after a sign-in a session ends, for lists that know the last sign-in alone.
    pub absolute_timeout: Duration,
    /// The time of the check.
    pub now: Timestamp,
    /// The application takes addresses that differ in case for one: such a difference is a note then.
    pub ignore_case: bool,
    /// How dates with slashes are read; without it they are refused.
    pub dates: Option<DateOrder>,
}

/// Which address the provider asserts (design.md section 2, "Linking").
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asserted {
    /// Entra ID, one tenant: the user principal name of a member. A guest's is never taken.
    UserPrincipalName,
    /// Entra ID, several tenants or `email_claim = "email"`: the mail address.
    EntraEmail,
    /// Google Workspace: the primary address.
    Primary,
    /// Any other OpenID provider, or SAML: the mapped address, in a column of the claim's name if one is given.
    Email {
        /// `email_claim` of the connector.
        claim: Option<String>,
    },
}

impl Asserted {
    /// What people call it.
    pub fn words(&self) -> &'static str {
        match self {
            Self::UserPrincipalName => "Microsoft Entra ID asserts the UPN of members",
            Self::EntraEmail => "Microsoft Entra ID asserts the mail address",
            Self::Primary => "Google Workspace asserts the primary address",
            Self::Email { .. } => "the provider asserts the e-mail address",
        }
    }
}

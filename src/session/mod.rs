//! Sessions: what a signed-in browser has here. The browser holds 256 random bits and nothing else; we hold the rest
//! under their SHA-256, so that a dump of the store is no cookie (E09). The directory database has every session, and
//! memory a copy of those in use (`store.rs`).

mod assertions;
mod assurance;
mod cookies;
mod end;
mod epochs;
mod follow;
mod hosts;
mod id;
mod keep;
mod lookup;
mod particulars;
mod record;
mod renewal;
mod silent;
mod store;
#[cfg(test)]
pub(crate) mod tests;
mod tokens;
mod uses;

pub use assertions::{Assertions, Ready};
pub use assurance::Assurance;
pub use cookies::{ATTEMPT_LIFETIME, Cookies};
pub use follow::{Follower, forget, look_after, write_uses};
pub use hosts::{HostScope, Hosts};
pub use id::{SessionId, SessionKey};
pub use keep::{Begun, CreateError, NewSession};
pub use lookup::Found;
pub use particulars::SessionHeaders;
pub use record::{Ending, Session, SessionRef};
pub use renewal::{Renewals, renew_after};
pub use silent::silent_after;
pub use store::{Limits, Serves, SessionStore, StoreParts};
pub use tokens::{HeldTokens, ProviderTokens};
pub use uses::DueRenewals;

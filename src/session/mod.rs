//! Sessions: what a signed-in browser has here. The browser holds 256 random bits and nothing else; we hold the rest
//! under their SHA-256, so that a dump of the store is no cookie (E09).

mod assertions;
mod assurance;
mod cookies;
mod id;
mod record;
mod store;

pub use assertions::{Assertions, Ready};
pub use assurance::Assurance;
pub use cookies::{ATTEMPT_LIFETIME, Cookies};
pub use id::{SessionId, SessionKey};
pub use record::{Ending, Session, SessionRef};
pub use store::{Limits, SessionStore};

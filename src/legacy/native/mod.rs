//! Credentials of the application itself.

mod credential;

pub use credential::{Credential, InvalidCredential};

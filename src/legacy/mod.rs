//! Moving in without a big bang: what the application's own sessions, credentials and sign-in count for beside ours.

mod enforced;
pub mod guard;
pub mod native;
mod user_name;

pub use enforced::{AtApp, Enforced, Standing};
pub use user_name::{InvalidName, UserName};

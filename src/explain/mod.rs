//! The story of a refused request or of a sign-in, by its reference id, for `anteroom explain REFERENCE`.
//!
//! Who decides something that a person may ask about makes a [`Record`] and hands it to the [`Recorder`], which never
//! waits and never fails. Only challenges, denials and attempts are recorded, never a request that was let through; for
//! a bounded time and count. No record holds a secret, cookie value, token, code or state: what may be said is the
//! list of [`Field`]s. Addresses of people and of machines are masked by setting before anything is written.

mod advice;
mod mask;
mod queue;
mod record;
mod recorder;
mod render;

pub use record::{Asked, Field, Record, Step};
pub use recorder::Recorder;
pub use render::{json, render};

#[cfg(test)]
mod tests;

/// What an operator can do about a stable reason.
pub fn advice(reason: &str) -> &'static str {
    advice::advice(reason, "")
}

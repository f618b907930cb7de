//! The gate: who may pass. Pure: it reads values and answers with one, and only it can make a [`Permit`], without
//! which nothing is forwarded.

mod asker;
mod credential;
mod decide;
mod in_words;
mod rules;

pub use asker::Asker;
pub use credential::{NativeCredential, SessionCredential};
pub use decide::{Challenge, Decision, Denial, Grant, Permit, StepUp, decide, wants_session};
pub use rules::{AppRules, Rule, Snapshot};

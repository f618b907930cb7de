//! What tests are made of. Start with [`App::start`].

mod app;
mod browser;
mod http;
mod keys;
mod provider;
mod refusal;
mod upstream;

pub use app::{App, Setup, TENANT};
pub use browser::Browser;
pub use http::{Answer, Ask, Connection, raw};
pub use keys::{SigningKey, sign_jwt};
pub use provider::{Provider, Script};
pub use refusal::until;
pub use upstream::{Backend, Recorded, Upstream, answer};

//! What tests are made of. Start with [`App::start`].

mod app;
mod away;
mod before;
mod browser;
mod cache;
mod faults;
mod http;
mod keys;
mod provider;
mod refresh;
mod refusal;
mod refused;
mod suite;
mod upstream;

pub use app::{App, Setup, TENANT, alice, bob, configuration};
pub use away::spoilable;
pub use before::no_session;
pub use browser::Browser;
pub use cache::SharedCache;
pub use faults::Faults;
pub use http::{Answer, Ask, Connection, PATIENCE, raw};
pub use keys::{SigningKey, b64, sign_jwt};
pub use provider::{Edit, Provider, Script};
pub use refusal::{Trial, Watch};
pub use refused::{until, until_async};
pub use suite::{PORTAL, SUITE, WIKI};
pub use upstream::{Backend, Recorded, Upstream, answer};

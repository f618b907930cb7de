//! The data plane: one single-threaded runtime per core, connections to the application kept by each core, and
//! nothing shared on the way of a signed-in request but the session cache.
//!
//! The life of a request is in [`entry`]: sanitize, own path or app, rule, credentials, `gate::decide`, then
//! [`forward`] with the permit, or an answer of our own.

mod access_log;
mod answer;
mod body;
mod caching;
mod connection;
mod control;
mod core;
mod entry;
mod forward;
mod head;
mod judge;
mod listen;
mod native;
mod phase;
mod recent;
mod sanitize;
mod story;
mod upgrade;
mod upstream;

pub use self::core::Shared;
pub use body::Body;
pub use listen::DataPlane;
pub use phase::Phase;
pub use upstream::reach;

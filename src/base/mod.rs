//! Small building blocks that know nothing of sign-in: clock, randomness, secrets, keys, e-mail addresses, paths,
//! cookies, outgoing HTTP, logs and metrics.

pub mod app_log;
pub mod authority;
pub mod client_addr;
pub mod client_certificate;
pub mod clock;
pub mod cookie;
pub mod email;
pub mod id;
pub mod json;
pub mod keys;
pub mod log;
pub mod metrics;
pub mod net;
pub mod outgoing;
pub mod path;
pub mod pattern;
pub mod place;
pub mod query;
pub mod random;
pub mod return_to;
pub mod role;
pub mod seal;
pub mod secret;
pub mod service_account;
pub mod share;

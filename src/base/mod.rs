//! Small, pure building blocks that know nothing of sign-in: clock, randomness, secrets, e-mail addresses,
//! paths, cookies, outgoing HTTP, telemetry.

pub mod client_addr;
pub mod clock;
pub mod cookie;
pub mod email;
pub mod id;
pub mod path;
pub mod pattern;
pub mod random;
pub mod return_to;
pub mod role;
pub mod secret;

//! Small, pure building blocks that know nothing of sign-in: clock, randomness, secrets, e-mail addresses,
//! paths, cookies, outgoing HTTP, telemetry.

pub mod clock;
pub mod email;
pub mod id;
pub mod json;
pub mod outgoing;
pub mod pattern;
pub mod random;
pub mod role;
pub mod secret;

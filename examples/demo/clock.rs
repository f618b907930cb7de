//! The only place of the demo that reads the system clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970-01-01T00:00:00Z.
#[expect(clippy::disallowed_methods, reason = "the demo is not linked to Anteroom, so it has a clock of its own")]
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

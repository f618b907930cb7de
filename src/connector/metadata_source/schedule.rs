//! When a source is looked at again.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::random;
use crate::connector::saml::metadata::IdpMetadata;

/// How long what a file said is not doubted.
pub(super) const FILE_EVERY: Duration = Duration::from_secs(5);

/// How often a URL is fetched whose document has no opinion.
pub(super) const URL_EVERY: Duration = Duration::from_secs(3_600);

/// Bounds for the opinion of one that has (`cacheDuration`).
pub(super) const URL_AT_MOST_EVERY: Duration = Duration::from_secs(300);
pub(super) const URL_AT_LEAST_EVERY: Duration = Duration::from_secs(86_400);

/// The wait after a first failure; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(5);

/// The longest wait after failures: without a document nobody can sign in.
const LAST_RETRY: Duration = Duration::from_secs(60);
const LAST_RETRY_WITH_DOCUMENT: Duration = Duration::from_secs(600);

/// After the document was had.
pub(super) fn after_success(remote: bool, metadata: Option<&IdpMetadata>, now: Timestamp) -> Duration {
    if !remote {
        return FILE_EVERY;
    }
    let wished = metadata.and_then(|metadata| metadata.cache_duration);
    let every = wished.map_or(URL_EVERY, |wished| wished.clamp(URL_AT_MOST_EVERY, URL_AT_LEAST_EVERY));
    // One that will expire is replaced before.
    let left = metadata.and_then(|metadata| metadata.valid_until).map(|until| until.since(now) / 2);
    spread(left.map_or(every, |left| every.min(left.max(URL_AT_MOST_EVERY))), 10)
}

/// After `failures` in a row.
pub(super) fn after_failure(remote: bool, failures: u32, has_document: bool) -> Duration {
    if !remote {
        return FILE_EVERY;
    }
    let longest = if has_document { LAST_RETRY_WITH_DOCUMENT } else { LAST_RETRY };
    let doubled = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    spread(doubled.min(longest), 25)
}

/// Up to `percent` less, so that processes that began together do not ask together.
fn spread(wait: Duration, percent: u32) -> Duration {
    let [a, b] = random::bytes::<2>();
    wait.saturating_sub(wait * percent / 100 * u32::from(u16::from_le_bytes([a, b])) / u32::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(wait: Duration, least: u64, most: u64) -> bool {
        (Duration::from_secs(least)..=Duration::from_secs(most)).contains(&wait)
    }

    #[test]
    fn failures_are_followed_by_longer_and_longer_waits() {
        for (failures, least, most) in [(1, 3, 5), (2, 7, 10), (4, 30, 40), (5, 45, 60), (1_000, 45, 60)] {
            assert!(between(after_failure(true, failures, false), least, most), "{failures}");
        }
        assert!(between(after_failure(true, 1_000, true), 450, 600));
        assert_eq!(after_failure(false, 1_000, false), FILE_EVERY);
    }

    #[test]
    fn waits_differ() {
        let waits: std::collections::HashSet<_> = (0..50).map(|_| after_failure(true, 5, false)).collect();
        assert!(waits.len() > 10);
    }
}

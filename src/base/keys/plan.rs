//! When a key is made, used and shown. Pure: times in, indices out.

use std::time::Duration;

use crate::base::clock::Timestamp;

const DAY: Duration = Duration::from_secs(86_400);

/// An assertion key is followed by another at this age. Six weeks, as comparable products do.
pub const ROTATE_AFTER: Duration = Duration::from_secs(42 * DAY.as_secs());

/// A new key is used once it has been known for this long, so that other processes on the same directory, and caches
/// of `jwks.json`, have it before the first thing it signed or sealed reaches them.
pub const USE_AFTER: Duration = Duration::from_secs(600);

/// A superseded assertion key stays in `jwks.json` for this long after it stopped signing.
pub const PUBLISH_FOR: Duration = Duration::from_secs(7 * DAY.as_secs());

/// The times of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyTimes {
    /// From its file name.
    pub created: Timestamp,
    /// Since when it has been shown to others: its creation, or when this process first saw it if that is later.
    pub published: Timestamp,
}

impl KeyTimes {
    fn used_from(self) -> Timestamp {
        self.published.plus(USE_AFTER)
    }
}

/// Which of `keys` (oldest first) signs or seals: the newest that has been known long enough, else the oldest.
/// 0 for an empty list.
pub fn current(keys: &[KeyTimes], now: Timestamp) -> usize {
    keys.iter().rposition(|key| key.used_from() <= now).unwrap_or(0)
}

/// Which of `keys` (oldest first) are shown: the current one, newer ones, and older ones for [`PUBLISH_FOR`].
pub fn published(keys: &[KeyTimes], now: Timestamp) -> impl DoubleEndedIterator<Item = usize> {
    let current = current(keys, now);
    (0..keys.len()).filter(move |&i| {
        let stopped = keys.iter().skip(i + 1).map(|newer| newer.used_from()).min();
        i >= current || stopped.is_none_or(|at| now < at.plus(PUBLISH_FOR))
    })
}

/// Whether it is time for another key: none is younger than [`ROTATE_AFTER`].
pub fn is_due(keys: &[KeyTimes], now: Timestamp) -> bool {
    keys.iter().all(|key| key.created.plus(ROTATE_AFTER) <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn key(created: Timestamp) -> KeyTimes {
        KeyTimes { created, published: created }
    }

    fn shown(keys: &[KeyTimes], now: Timestamp) -> Vec<usize> {
        published(keys, now).collect()
    }

    fn minutes(n: u64) -> Duration {
        Duration::from_secs(60 * n)
    }

    #[test]
    fn the_only_key_is_used_at_once_and_a_second_one_ten_minutes_after_it_is_shown() {
        let mut keys = vec![key(T0)];
        assert_eq!((current(&keys, T0), shown(&keys, T0)), (0, vec![0]));
        let second = T0.plus(ROTATE_AFTER);
        keys.push(key(second));
        assert_eq!(shown(&keys, second), [0, 1], "shown at once");
        assert_eq!(current(&keys, second.plus(minutes(10)).minus_a_milli()), 0);
        assert_eq!(current(&keys, second.plus(minutes(10))), 1);
    }

    #[test]
    fn a_superseded_key_is_shown_for_seven_days_after_it_stopped_signing() {
        let second = T0.plus(ROTATE_AFTER);
        let keys = [key(T0), key(second)];
        let gone = second.plus(USE_AFTER).plus(PUBLISH_FOR);
        assert_eq!(shown(&keys, gone.minus_a_milli()), [0, 1]);
        assert_eq!(shown(&keys, gone), [1]);
    }

    #[test]
    fn a_new_key_is_due_after_six_weeks_and_not_while_a_younger_one_exists() {
        let keys = [key(T0)];
        assert!(!is_due(&keys, T0.plus(ROTATE_AFTER).minus_a_milli()));
        assert!(is_due(&keys, T0.plus(ROTATE_AFTER)));
        assert!(!is_due(&[key(T0), key(T0.plus(ROTATE_AFTER))], T0.plus(ROTATE_AFTER)));
    }

    #[test]
    fn a_key_found_later_than_it_was_made_waits_from_when_it_was_found() {
        let found = T0.plus(minutes(120));
        let keys = [key(T0), KeyTimes { created: T0.plus(minutes(1)), published: found }];
        assert_eq!(current(&keys, found.plus(minutes(9))), 0);
        assert_eq!(current(&keys, found.plus(minutes(10))), 1);
    }

    #[test]
    fn a_clock_set_back_goes_on_with_a_key_that_is_shown() {
        let second = T0.plus(ROTATE_AFTER);
        let keys = [key(T0), key(second)];
        for now in [second.plus(minutes(1)), T0, Timestamp::from_secs(0)] {
            assert!(shown(&keys, now).contains(&current(&keys, now)), "{now:?}");
            assert_eq!(shown(&keys, now), [0, 1]);
        }
    }

    impl Timestamp {
        fn minus_a_milli(self) -> Self {
            Self::from_millis(self.millis() - 1)
        }
    }
}

//! When a key is made, used and shown. Pure: times in, indices out.

use std::cmp::Ordering;
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

/// A superseded sealing key opens for this much longer than the caller asks for. Other processes on the directory learn
/// of the newer key up to [`USE_AFTER`] later and seal with the old one until then, and a sign-in that was begun under
/// it needs another ten minutes.
pub const OPEN_SLACK: Duration = Duration::from_secs(3600);

/// The times of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyTimes {
    /// From its file name.
    pub created: Timestamp,
    /// Since when it has been shown to others: its creation, or when this process first saw it if that is later.
    pub published: Timestamp,
}

impl KeyTimes {
    /// From when the key signs or seals, unless it is the only one.
    pub fn used_from(self) -> Timestamp {
        self.published.plus(USE_AFTER)
    }
}

/// What a key does at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Known to others, not used yet.
    Waiting,
    /// Signs or seals.
    Current,
    /// Followed by a newer one; still published, still opens.
    Superseded,
    /// Neither published any more nor opening anything.
    Retired,
}

/// The stage of the key at `i` of `keys` (oldest first), and when the next stage begins if that is known. `kept` is how
/// long it is superseded before it is retired.
pub fn stage(keys: &[KeyTimes], i: usize, kept: Duration, now: Timestamp) -> (Stage, Option<Timestamp>) {
    let retires = stopped(keys, i).map(|at| at.plus(kept));
    match i.cmp(&current(keys, now)) {
        Ordering::Greater => (Stage::Waiting, keys.get(i).map(|key| key.used_from())),
        Ordering::Equal => (Stage::Current, stopped(keys, i)),
        Ordering::Less if retires.is_none_or(|at| now < at) => (Stage::Superseded, retires),
        Ordering::Less => (Stage::Retired, None),
    }
}

/// When the key at `i` stops being used: the first of the newer ones takes over.
fn stopped(keys: &[KeyTimes], i: usize) -> Option<Timestamp> {
    keys.iter().skip(i + 1).map(|newer| newer.used_from()).min()
}

/// Which of `keys` (oldest first) signs or seals: the newest that has been known long enough, else the oldest.
/// 0 for an empty list.
pub fn current(keys: &[KeyTimes], now: Timestamp) -> usize {
    keys.iter().rposition(|key| key.used_from() <= now).unwrap_or(0)
}

/// Which of `keys` (oldest first) are shown: the current one, newer ones, and older ones for [`PUBLISH_FOR`].
pub fn published(keys: &[KeyTimes], now: Timestamp) -> impl DoubleEndedIterator<Item = usize> {
    (0..keys.len()).filter(move |&i| stage(keys, i, PUBLISH_FOR, now).0 != Stage::Retired)
}

/// Whether a key is on its way already: one made less than [`USE_AFTER`] ago. Asking for a rotation again then makes no
/// other.
pub fn is_turning(keys: &[KeyTimes], now: Timestamp) -> bool {
    let lately = |key: &KeyTimes| key.created < now.plus(USE_AFTER) && now < key.created.plus(USE_AFTER);
    keys.len() > 1 && keys.last().is_some_and(lately)
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
    fn a_key_is_superseded_for_as_long_as_it_is_kept_and_then_retired() {
        let second = T0.plus(ROTATE_AFTER);
        let keys = [key(T0), key(second)];
        let at = |now: Timestamp| (stage(&keys, 0, minutes(60), now), stage(&keys, 1, minutes(60), now));
        let (turns, retires) = (second.plus(USE_AFTER), second.plus(USE_AFTER).plus(minutes(60)));
        let waiting = ((Stage::Current, Some(turns)), (Stage::Waiting, Some(turns)));
        assert_eq!(at(turns.minus_a_milli()), waiting);
        assert_eq!(at(turns), ((Stage::Superseded, Some(retires)), (Stage::Current, None)));
        assert_eq!(at(retires.minus_a_milli()).0, (Stage::Superseded, Some(retires)));
        assert_eq!(at(retires).0, (Stage::Retired, None));
    }

    #[test]
    fn a_second_rotation_is_not_begun_while_one_is_on_its_way() {
        assert!(!is_turning(&[key(T0)], T0), "the only key is no rotation");
        let keys = [key(T0), key(T0.plus(minutes(30)))];
        assert!(is_turning(&keys, T0.plus(minutes(30))) && is_turning(&keys, T0.plus(minutes(29))));
        assert!(!is_turning(&keys, T0.plus(minutes(40))) && !is_turning(&keys, T0.plus(minutes(20))));
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

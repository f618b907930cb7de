//! Attempts that were redeemed: a code and state work once (O18).

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::base::clock::{Clock, Tick};
use crate::session::ATTEMPT_LIFETIME;

/// Attempts remembered at most. Beyond it the oldest is forgotten: its code was used up at the provider too.
const MAX_BURNED: usize = 100_000;

/// The ids of redeemed attempts, for as long as an attempt lives. One lock around a set: whether an id is new must have
/// one answer, which a cache's insert-if-absent did not give to callers of the same moment.
pub(super) struct Burned {
    clock: Clock,
    ids: Mutex<Ids>,
}

#[derive(Default)]
struct Ids {
    known: HashSet<String>,
    by_age: VecDeque<(Tick, String)>,
}

impl Burned {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, ids: Mutex::default() }
    }

    /// Uses the attempt up. True for exactly one caller.
    pub(super) fn burn(&self, id: &str) -> bool {
        let now = self.clock.tick();
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let Ids { known, by_age } = &mut *ids;
        while let Some((at, _)) = by_age.front()
            && (now.since(*at) >= ATTEMPT_LIFETIME * 2 || by_age.len() >= MAX_BURNED)
            && let Some((_, old)) = by_age.pop_front()
        {
            known.remove(&old);
        }
        let first = known.insert(id.to_owned());
        if first {
            by_age.push_back((now, id.to_owned()));
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::time::Duration;

    use super::*;
    use crate::base::clock::Timestamp;

    #[test]
    fn of_callers_at_the_same_moment_one_is_first_o18() {
        let burned = Burned::new(Clock::manual(Timestamp::from_secs(0)));
        for round in 0..200 {
            let barrier = Barrier::new(4);
            let firsts: usize = std::thread::scope(|scope| {
                let caller = || {
                    barrier.wait();
                    usize::from(burned.burn(&format!("attempt-{round}")))
                };
                let callers: Vec<_> = (0..4).map(|_| scope.spawn(caller)).collect();
                callers.into_iter().map(|caller| caller.join().unwrap()).sum()
            });
            assert_eq!(firsts, 1, "round {round}");
        }
    }

    #[test]
    fn an_id_is_remembered_longer_than_its_attempt_lives_and_then_forgotten() {
        let clock = Clock::manual(Timestamp::from_secs(0));
        let burned = Burned::new(clock.clone());
        assert!(burned.burn("a"));
        clock.advance(ATTEMPT_LIFETIME + Duration::from_secs(60));
        assert!(!burned.burn("a"));
        clock.advance(ATTEMPT_LIFETIME);
        assert!(burned.burn("b"));
        assert_eq!(burned.ids.lock().unwrap().known.len(), 1);
    }

    #[test]
    fn a_flood_forgets_the_oldest_alone() {
        let burned = Burned::new(Clock::manual(Timestamp::from_secs(0)));
        (0..MAX_BURNED + 10).for_each(|i| assert!(burned.burn(&i.to_string())));
        assert_eq!(burned.ids.lock().unwrap().known.len(), MAX_BURNED);
        assert!(!burned.burn(&(MAX_BURNED + 9).to_string()));
    }
}

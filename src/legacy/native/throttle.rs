//! Failed passwords are throttled by where they come from, never by the name alone: whoever sprays is held up, and the
//! people whose names they use are not (N04, T66).
//!
//! A source is an IPv4 /24 or an IPv6 /64. In ten minutes it may fail with twenty names, and with one name twenty times.
//! A name that signed in from a source before is not held up by what others do there. All of it is memory of this process:
//! after a restart, and in every process of several, counting begins anew.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;

use crate::base::client_addr::network;
use crate::base::clock::{Clock, Tick};

/// Over which failures count.
const WINDOW: Duration = Duration::from_secs(600);
/// Names that a source may fail with, and failures of one name from it.
const MAX_NAMES: usize = 20;
const MAX_OF_NAME: usize = 20;
/// Names that failed from one source, or at one application from everywhere, before that is called spraying.
const SPRAY_OF_SOURCE: usize = 10;
const SPRAY_OF_APP: usize = 40;
/// Sources, and names of one source, that are remembered.
const MAX_SOURCES: u64 = 50_000;
const MAX_REMEMBERED: usize = 256;
/// Pairs of source and name that signed in, and for how long at most after the last time.
const MAX_USUAL: u64 = 200_000;
const USUAL_FOR: Duration = Duration::from_secs(30 * 86_400);
/// Failed names of one application that are remembered.
const MAX_FAILED_NAMES: usize = 1_000;
/// When a source that is held up only by tries under way may come again.
const SOON: u64 = 1;

/// A keyed hash of application and name.
type Name = u64;

/// Counts sign-ins with a password of the application.
pub struct Throttle {
    clock: Clock,
    sources: Cache<(usize, IpAddr), Arc<Mutex<Source>>>,
    usual: Cache<(IpAddr, Name), ()>,
    apps: Vec<Mutex<Failed>>,
}

/// What came from one source to one application.
#[derive(Default)]
struct Source {
    names: HashMap<Name, Tries>,
    told: Option<Tick>,
}

#[derive(Default)]
struct Tries {
    failed: VecDeque<Tick>,
    under_way: usize,
    usual: bool,
}

/// Names that failed at one application.
#[derive(Default)]
struct Failed {
    names: HashMap<Name, Tick>,
    told: Option<Tick>,
}

/// A try that was let through. Dropped without [`finish`](Ticket::finish) it counts for nothing.
pub struct Ticket<'a> {
    throttle: &'a Throttle,
    app: usize,
    source: IpAddr,
    name: Name,
    usual: bool,
    entry: Arc<Mutex<Source>>,
}

/// One try too many: seconds until another may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many failed sign-ins")]
pub struct TooMany(pub u64);

/// Somebody tries many names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spray {
    /// From this network.
    OfSource(IpAddr),
    /// From several.
    OfApp,
}

impl Throttle {
    /// For so many applications.
    pub fn new(apps: usize, clock: Clock) -> Self {
        Self {
            clock,
            sources: Cache::new(MAX_SOURCES),
            usual: Cache::builder().max_capacity(MAX_USUAL).time_to_idle(USUAL_FOR).build(),
            apps: (0..apps).map(|_| Mutex::default()).collect(),
        }
    }

    /// Begins a try. `parallel`: several with one password may be under way, as a program's are.
    ///
    /// # Errors
    /// See [`TooMany`].
    pub fn begin(&self, app: usize, client: IpAddr, name: Name, parallel: bool) -> Result<Ticket<'_>, TooMany> {
        let (source, now) = (network(client), self.clock.tick());
        let usual = self.usual.get(&(source, name)).is_some();
        let entry = self.sources.get_with((app, source), Arc::default);
        let mut counted = lock(&entry);
        counted.forget(now);
        let tries = counted.names.get(&name);
        let of_name = tries.map_or(0, |tries| tries.failed.len() + if parallel { 0 } else { tries.under_way });
        if of_name >= MAX_OF_NAME {
            return Err(TooMany(wait(tries.and_then(|tries| tries.failed.front()), now)));
        }
        let strangers = || counted.names.values().filter(|tries| !tries.usual);
        if !usual && tries.is_none() && strangers().count() >= MAX_NAMES {
            return Err(TooMany(wait(strangers().filter_map(|tries| tries.failed.back()).min(), now)));
        }
        if tries.is_some() || counted.names.len() < MAX_REMEMBERED {
            let tries = counted.names.entry(name).or_default();
            tries.usual = usual;
            tries.under_way += 1;
        }
        drop(counted);
        Ok(Ticket { throttle: self, app, source, name, usual, entry })
    }

    fn failed(&self, app: usize, name: Name, now: Tick) -> bool {
        let Some(failed) = self.apps.get(app) else { return false };
        let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.names.retain(|_, at| now.since(*at) < WINDOW);
        if failed.names.len() < MAX_FAILED_NAMES {
            failed.names.insert(name, now);
        }
        failed.names.len() >= SPRAY_OF_APP && first_in_window(&mut failed.told, now)
    }
}

impl Source {
    fn forget(&mut self, now: Tick) {
        self.names.retain(|_, tries| {
            tries.failed.retain(|at| now.since(*at) < WINDOW);
            !tries.failed.is_empty() || tries.under_way > 0
        });
    }
}

impl Ticket<'_> {
    /// The application has judged the password. Somebody sprays, if this failure shows it: said once in ten minutes.
    pub fn finish(self, failed: bool) -> Option<Spray> {
        let now = self.throttle.clock.tick();
        if !failed {
            self.throttle.usual.insert((self.source, self.name), ());
            if let Some(tries) = lock(&self.entry).names.get_mut(&self.name) {
                tries.failed.clear();
            }
            return None;
        }
        let mut counted = lock(&self.entry);
        if let Some(tries) = counted.names.get_mut(&self.name) {
            tries.failed.push_back(now);
        }
        // Who has signed in from there before has mistyped.
        if self.usual {
            return None;
        }
        let names = counted.names.values().filter(|tries| !tries.usual && !tries.failed.is_empty()).count();
        let of_source = names >= SPRAY_OF_SOURCE && first_in_window(&mut counted.told, now);
        drop(counted);
        let of_app = self.throttle.failed(self.app, self.name, now);
        match (of_source, of_app) {
            (true, _) => Some(Spray::OfSource(self.source)),
            (false, true) => Some(Spray::OfApp),
            (false, false) => None,
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut counted = lock(&self.entry);
        if let Some(tries) = counted.names.get_mut(&self.name) {
            tries.under_way = tries.under_way.saturating_sub(1);
            if tries.under_way == 0 && tries.failed.is_empty() {
                counted.names.remove(&self.name);
            }
        }
    }
}

fn lock(entry: &Mutex<Source>) -> std::sync::MutexGuard<'_, Source> {
    entry.lock().unwrap_or_else(PoisonError::into_inner)
}

fn first_in_window(told: &mut Option<Tick>, now: Tick) -> bool {
    let first = told.is_none_or(|told| now.since(told) >= WINDOW);
    if first {
        *told = Some(now);
    }
    first
}

/// Seconds until what happened at `at` counts no more.
fn wait(at: Option<&Tick>, now: Tick) -> u64 {
    at.map_or(SOON, |at| WINDOW.saturating_sub(now.since(*at)).as_secs().saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;

    fn throttle() -> (Throttle, Clock) {
        let clock = Clock::manual(Timestamp::from_secs(1_800_000_000));
        (Throttle::new(1, clock.clone()), clock)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// One try that is let through or not, and what it showed.
    fn attempt(throttle: &Throttle, from: &str, name: Name, failed: bool) -> Result<Option<Spray>, TooMany> {
        throttle.begin(0, ip(from), name, false).map(|ticket| ticket.finish(failed))
    }

    /// N04, T66
    #[test]
    fn one_password_for_many_names_is_held_up_and_the_people_are_not() {
        let (throttle, clock) = throttle();
        // The victim has signed in from the same network as some of the attackers, and from elsewhere.
        for usual in ["192.0.2.77", "198.51.100.5"] {
            attempt(&throttle, usual, 7, false).unwrap();
        }
        let (mut tries, mut told) = (HashMap::<u8, usize>::new(), vec![]);
        for name in 0..500u64 {
            let network = u8::try_from(name % 5).unwrap();
            let from = format!("192.0.{network}.{}", name % 10);
            if let Ok(spray) = attempt(&throttle, &from, name, true) {
                *tries.entry(network).or_default() += 1;
                told.extend(spray.map(|spray| (spray, name)));
            }
            clock.advance(Duration::from_millis(1_200));
        }
        // The usual pair's own mistake is beside the twenty.
        assert!(tries.values().all(|count| *count <= MAX_NAMES + 1), "{tries:?}");
        assert!(told.iter().any(|(spray, at)| *spray == Spray::OfSource(ip("192.0.1.0")) && *at <= 50), "{told:?}");
        assert!(told.iter().any(|(spray, at)| *spray == Spray::OfApp && *at <= 50), "within a minute: {told:?}");
        assert_eq!(told.iter().filter(|(spray, _)| *spray == Spray::OfApp).count(), 1, "said once");
        for usual in ["192.0.2.77", "198.51.100.5"] {
            assert_eq!(attempt(&throttle, usual, 7, false), Ok(None), "{usual}");
        }
        let TooMany(secs) = attempt(&throttle, "192.0.2.1", 9_999, false).unwrap_err();
        assert!((1..=600).contains(&secs), "{secs}");
        clock.advance(Duration::from_secs(secs));
        assert_eq!(attempt(&throttle, "192.0.2.1", 9_999, false), Ok(None), "it says when to come again");
    }

    #[test]
    fn a_name_is_guessed_at_twenty_times_from_one_source_and_goes_on_from_another() {
        let (throttle, clock) = throttle();
        let let_through = (0..100).filter(|_| attempt(&throttle, "2001:db8::1", 1, true).is_ok()).count();
        assert_eq!(let_through, MAX_OF_NAME);
        assert!(attempt(&throttle, "2001:db8::ffff", 1, true).is_err(), "a /64 is one source");
        assert_eq!(attempt(&throttle, "2001:db8:0:1::1", 1, false), Ok(None));
        assert_eq!(attempt(&throttle, "2001:db8::1", 2, false), Ok(None), "others go on there");
        clock.advance(WINDOW);
        assert_eq!(attempt(&throttle, "2001:db8::1", 1, false), Ok(None));
    }

    #[test]
    fn tries_under_way_count_until_the_application_has_judged_them() {
        let (throttle, _) = throttle();
        let from = ip("192.0.2.1");
        let under_way: Vec<_> = (0..100).filter_map(|name| throttle.begin(0, from, name, false).ok()).collect();
        assert_eq!(under_way.len(), MAX_NAMES);
        assert_eq!(throttle.begin(0, from, 99, false).err(), Some(TooMany(SOON)));
        drop(under_way);
        // A program's many connections with one good password.
        let program: Vec<_> = (0..100).filter_map(|_| throttle.begin(0, from, 5, true).ok()).collect();
        assert_eq!(program.len(), 100);
        assert!(program.into_iter().all(|ticket| ticket.finish(false).is_none()));
        assert!(lock(&throttle.sources.get(&(0, network(from))).unwrap()).names.is_empty(), "nothing is left of it");
    }
}

//! What a provider remembers: its own sessions, codes and access tokens.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::random;

/// More than anybody at one keyboard needs; beyond it, the oldest go.
const CAPACITY: usize = 1000;

/// Values under unguessable names, each for a limited time.
pub(crate) struct Memory<T> {
    /// Seconds that a value lives.
    life: u64,
    kept: Mutex<HashMap<String, Kept<T>>>,
}

struct Kept<T> {
    value: T,
    /// Seconds since 1970; gone from this second on.
    ends: u64,
}

impl<T: Clone> Memory<T> {
    pub(crate) fn new(life: u64) -> Self {
        Self { life, kept: Mutex::default() }
    }

    /// Keeps a value and names it. `None` without randomness.
    pub(crate) fn put(&self, value: T, now: u64) -> Option<String> {
        let name = random::token()?;
        self.with(now, |kept| {
            if kept.len() >= CAPACITY
                && let Some(oldest) = kept.iter().min_by_key(|(_, kept)| kept.ends).map(|(name, _)| name.clone())
            {
                kept.remove(&oldest);
            }
            kept.insert(name.clone(), Kept { value, ends: now.saturating_add(self.life) });
        });
        Some(name)
    }

    pub(crate) fn get(&self, name: &str, now: u64) -> Option<T> {
        self.with(now, |kept| kept.get(name).map(|kept| kept.value.clone()))
    }

    /// The value, this one time.
    pub(crate) fn take(&self, name: &str, now: u64) -> Option<T> {
        self.with(now, |kept| kept.remove(name).map(|kept| kept.value))
    }

    fn with<R>(&self, now: u64, act: impl FnOnce(&mut HashMap<String, Kept<T>>) -> R) -> R {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, kept| kept.ends > now);
        act(&mut kept)
    }
}

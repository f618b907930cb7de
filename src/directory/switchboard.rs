//! Which connectors and domains are switched off, in memory.

use std::collections::HashSet;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{Switch, SwitchKind};

/// A mirror of the directory's switches. Cheap to clone; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Switchboard(Arc<ArcSwap<HashSet<(SwitchKind, String)>>>);

impl Switchboard {
    /// Whether it is off.
    pub fn is_off(&self, kind: SwitchKind, name: &str) -> bool {
        let off = self.0.load();
        // Nearly always nothing is off.
        !off.is_empty() && off.contains(&(kind, name.to_owned()))
    }

    /// Takes in one switch.
    pub fn set(&self, switch: &Switch) {
        self.0.rcu(|off| {
            let mut off = HashSet::clone(off);
            let key = (switch.kind, switch.name.clone());
            if switch.off {
                off.insert(key)
            } else {
                off.remove(&key)
            };
            off
        });
    }

    /// Takes in all that are off.
    pub fn replace(&self, off: Vec<Switch>) {
        let off = off.into_iter().filter(|switch| switch.off).map(|switch| (switch.kind, switch.name));
        self.0.store(Arc::new(off.collect()));
    }
}

//! Which connectors and domains are switched off, and how far each cut-over has come, in memory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{CutOver, Switch, SwitchKind};
use crate::base::clock::Timestamp;
use crate::base::email::{EmailAddress, EmailDomain};
use crate::base::share::{Salt, Shares};

/// A mirror of the directory's switches and cut-overs. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Switchboard(Arc<Board>);

struct Board {
    off: ArcSwap<HashSet<(SwitchKind, String)>>,
    cut_overs: ArcSwap<HashMap<EmailDomain, Arc<CutOver>>>,
    shares: Shares,
}

impl Switchboard {
    /// What the directory calls the salt that chooses people for a share.
    pub const PURPOSE: &'static str = "cut-over";

    /// Everything on, for everybody. `salt` chooses the people of a share, and is the same in every process.
    pub fn new(salt: &Salt) -> Self {
        Self(Arc::new(Board { off: ArcSwap::default(), cut_overs: ArcSwap::default(), shares: Shares::new(salt) }))
    }

    /// Whether it is off.
    pub fn is_off(&self, kind: SwitchKind, name: &str) -> bool {
        let off = self.0.off.load();
        // Nearly always nothing is off.
        !off.is_empty() && off.contains(&(kind, name.to_owned()))
    }

    /// Whether the cut-over of their domain has come to the person of `address` by `now`: nobody's that is off.
    pub fn takes_in(&self, address: &EmailAddress, now: Timestamp) -> bool {
        let domain = address.domain();
        if self.is_off(SwitchKind::Domain, domain.as_str()) {
            return false;
        }
        let cut_overs = self.0.cut_overs.load();
        cut_overs.get(&domain).is_none_or(|cut_over| cut_over.takes_in(address, &self.0.shares, now))
    }

    /// How far the cut-over of `domain` has come. None: the directory has no entry, so everybody is in it.
    pub fn cut_over(&self, domain: &EmailDomain) -> Option<Arc<CutOver>> {
        self.0.cut_overs.load().get(domain).cloned()
    }

    /// The domains that the directory has an entry of, and those that are off.
    pub fn domains(&self) -> HashSet<EmailDomain> {
        let off = self.0.off.load();
        let off = off.iter().filter(|(kind, _)| *kind == SwitchKind::Domain).filter_map(|(_, name)| name.parse().ok());
        off.chain(self.0.cut_overs.load().keys().cloned()).collect()
    }

    /// Takes in one switch.
    pub fn set(&self, switch: &Switch) {
        self.0.off.rcu(|off| {
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

    /// Takes in the entry of one domain.
    pub fn set_cut_over(&self, domain: &EmailDomain, cut_over: Option<CutOver>) {
        let cut_over = cut_over.map(Arc::new);
        self.0.cut_overs.rcu(|all| {
            let mut all = HashMap::clone(all);
            match &cut_over {
                Some(cut_over) => all.insert(domain.clone(), cut_over.clone()),
                None => all.remove(domain),
            };
            all
        });
    }

    /// Takes in all that are off, and every cut-over.
    pub fn replace(&self, off: Vec<Switch>, cut_overs: Vec<(EmailDomain, CutOver)>) {
        let off = off.into_iter().filter(|switch| switch.off).map(|switch| (switch.kind, switch.name));
        self.0.off.store(Arc::new(off.collect()));
        let cut_overs = cut_overs.into_iter().map(|(domain, cut_over)| (domain, Arc::new(cut_over)));
        self.0.cut_overs.store(Arc::new(cut_overs.collect()));
    }
}

/// Without a deployment's salt: for what never asks for a share.
impl Default for Switchboard {
    fn default() -> Self {
        Self::new(&Salt::default())
    }
}

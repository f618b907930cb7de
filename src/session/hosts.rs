//! Where a session cookie counts (E11): on the host that set it, or with `sessions.cookie_domain` on all of ours.

use std::sync::Arc;

/// The hosts of this deployment, so that a session holds a number instead of a name.
#[derive(Clone, Debug)]
pub struct Hosts(Arc<[Box<str>]>);

/// Where one cookie counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostScope {
    /// On the host with this number.
    One(u16),
    /// On every host of ours: the cookie has a Domain.
    All,
}

/// How the directory writes [`HostScope::All`]. No host has this name.
const ALL: &str = "*";

impl Hosts {
    /// Of lower-case host names; the first 65,535.
    pub fn new<'a>(hosts: impl Iterator<Item = &'a str>) -> Self {
        let mut hosts: Vec<Box<str>> = hosts.map(Box::from).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts.truncate(usize::from(u16::MAX));
        Self(hosts.into())
    }

    /// The scope of a cookie that the directory holds for `host`. None: no host of ours any more.
    pub(super) fn scope(&self, host: &str) -> Option<HostScope> {
        if host == ALL {
            return Some(HostScope::All);
        }
        let number = self.0.binary_search_by(|known| (**known).cmp(host)).ok()?;
        u16::try_from(number).ok().map(HostScope::One)
    }

    /// How the directory writes it.
    pub(super) fn name(&self, scope: HostScope) -> &str {
        match scope {
            HostScope::All => ALL,
            HostScope::One(number) => self.0.get(usize::from(number)).map_or("", |host| host),
        }
    }

    /// Whether a cookie of this scope counts on `host`.
    pub(super) fn counts(&self, scope: HostScope, host: &str) -> bool {
        match scope {
            HostScope::All => true,
            HostScope::One(number) => self.0.get(usize::from(number)).is_some_and(|known| **known == *host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_counts_on_its_host_alone_e11() {
        let hosts = Hosts::new(["b.example.com", "a.example.com"].into_iter());
        let a = hosts.scope("a.example.com").unwrap();
        assert_eq!(hosts.name(a), "a.example.com");
        assert!(hosts.counts(a, "a.example.com"));
        assert!(!hosts.counts(a, "b.example.com"));
        assert!(hosts.counts(hosts.scope("*").unwrap(), "b.example.com"));
        assert_eq!(hosts.scope("c.example.com"), None, "no host of ours any more");
    }
}

//! Where a session cookie counts (E11): on the host that set it, or with `sessions.cookie_domain` on all that share it.

use std::sync::Arc;

use crate::base::net::is_inside;

/// The hosts of this deployment, so that a session holds a number instead of a name.
#[derive(Clone, Debug)]
pub struct Hosts {
    /// Sorted; with each, whether it shares its cookie.
    names: Arc<[(Box<str>, bool)]>,
    /// How the directory writes [`HostScope::Shared`]: no host has such a name. None: no host shares its cookie.
    shared: Option<Arc<str>>,
}

/// Where one cookie counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostScope {
    /// On the host with this number.
    One(u16),
    /// On every host of `sessions.cookie_domain`: the cookie has a Domain.
    Shared,
}

impl Hosts {
    /// Of lower-case host names; the first 65,535. Those at or below `cookie_domain` share their cookie.
    pub fn new<'a>(hosts: impl Iterator<Item = &'a str>, cookie_domain: Option<&str>) -> Self {
        let shares = |host: &str| cookie_domain.is_some_and(|domain| is_inside(host, domain));
        let mut names: Vec<(Box<str>, bool)> = hosts.map(|host| (host.into(), shares(host))).collect();
        names.sort_unstable();
        names.dedup();
        names.truncate(usize::from(u16::MAX));
        Self { names: names.into(), shared: cookie_domain.map(|domain| format!("*.{domain}").into()) }
    }

    /// The scope of a cookie set on `host`. None: no host of ours.
    pub(super) fn of(&self, host: &str) -> Option<HostScope> {
        let number = self.names.binary_search_by(|(known, _)| (**known).cmp(host)).ok()?;
        match self.names.get(number)? {
            (_, true) => Some(HostScope::Shared),
            (_, false) => u16::try_from(number).ok().map(HostScope::One),
        }
    }

    /// The scope of a cookie that the directory has as `written`. None: no host of ours any more, or the domain that was
    /// shared is not shared any more.
    pub(super) fn written(&self, written: &str) -> Option<HostScope> {
        if self.shared.as_deref() == Some(written) {
            return Some(HostScope::Shared);
        }
        self.of(written).filter(|scope| *scope != HostScope::Shared)
    }

    /// How the directory writes it.
    pub(super) fn name(&self, scope: HostScope) -> &str {
        match scope {
            HostScope::Shared => self.shared.as_deref().unwrap_or_default(),
            HostScope::One(number) => self.names.get(usize::from(number)).map_or("", |(host, _)| host),
        }
    }

    /// Whether a cookie of this scope counts on `host`.
    pub(super) fn counts(&self, scope: HostScope, host: &str) -> bool {
        match scope {
            HostScope::Shared => self.of(host) == Some(HostScope::Shared),
            HostScope::One(number) => self.names.get(usize::from(number)).is_some_and(|(known, _)| **known == *host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["b.example.com", "a.example.com", "suite.example.org"];

    #[test]
    fn a_cookie_counts_on_its_host_alone_e11() {
        let hosts = Hosts::new(NAMES.into_iter(), None);
        let a = hosts.of("a.example.com").unwrap();
        assert_eq!(hosts.name(a), "a.example.com");
        assert_eq!(hosts.written("a.example.com"), Some(a));
        assert!(hosts.counts(a, "a.example.com"));
        assert!(!hosts.counts(a, "b.example.com"));
        assert_eq!(hosts.of("c.example.com"), None, "no host of ours any more");
        assert_eq!(hosts.written("*.example.com"), None, "shared no more");
    }

    #[test]
    fn a_shared_cookie_counts_on_the_hosts_of_its_domain_alone_e11() {
        let hosts = Hosts::new(NAMES.into_iter(), Some("example.com"));
        let a = hosts.of("a.example.com").unwrap();
        assert_eq!((a, hosts.name(a)), (HostScope::Shared, "*.example.com"));
        assert_eq!(hosts.written("*.example.com"), Some(a));
        assert!(hosts.counts(a, "a.example.com") && hosts.counts(a, "b.example.com"));
        assert!(!hosts.counts(a, "suite.example.org") && !hosts.counts(a, "c.example.com"));
        let suite = hosts.of("suite.example.org").unwrap();
        assert!(hosts.counts(suite, "suite.example.org") && !hosts.counts(suite, "a.example.com"));
        assert_eq!(hosts.written("a.example.com"), None, "a cookie of that host alone, of before it was shared");
        assert_eq!(hosts.written("*.example.net"), None, "of another domain that was shared");
    }
}

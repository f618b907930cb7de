//! The hosts of this deployment, each with its one origin: the sign-in host, those of the applications, and those that SAML
//! responses are posted to.

use std::sync::Arc;

use http::HeaderValue;

use super::{Config, PublicUrl};
use crate::base::client_addr::OwnOrigin;

/// All hosts of ours. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OwnHosts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sign_in: OwnHost,
    /// The others, sorted by name. Few as a rule, so that comparing beats hashing.
    others: Box<[OwnHost]>,
    /// Where somebody goes who signs in without having asked for anything.
    home: Box<str>,
}

/// One host of ours.
#[derive(Clone, Debug)]
pub struct OwnHost {
    url: PublicUrl,
    forwarded: OwnOrigin,
    shares_cookie: bool,
    receives_saml: bool,
    has_app: bool,
}

impl OwnHosts {
    /// Those of `config`.
    pub fn new(config: &Config) -> Self {
        let acs = || config.connectors.values().filter_map(|connector| Some(&connector.saml()?.acs.host));
        let own = |url: &PublicUrl| OwnHost {
            receives_saml: acs().any(|host| host.host == url.host),
            has_app: config.apps.values().any(|app| app.hosts.contains(&url.host)),
            ..OwnHost::new(url, config.sessions.shares_cookie(&url.host))
        };
        let sign_in = own(&config.server.public_url);
        let urls = config.apps.values().filter_map(|app| app.public_url.as_ref()).chain(acs());
        let mut others: Vec<OwnHost> = urls.filter(|url| url.host != sign_in.url.host).map(own).collect();
        others.sort_by(|a, b| a.name().cmp(b.name()));
        others.dedup_by(|a, b| a.name() == b.name());
        let is_app = config.apps.values().any(|app| app.hosts.contains(&sign_in.url.host));
        let first = config.apps.values().find_map(|app| app.public_url.as_ref()).filter(|_| !is_app);
        let home = first.map_or("/".into(), |url| format!("{}/", url.origin).into_boxed_str());
        Self(Arc::new(Inner { sign_in, others: others.into(), home }))
    }

    /// The host of `server.public_url`: pages, callbacks, and the session that the other hosts' come from.
    pub fn sign_in(&self) -> &OwnHost {
        &self.0.sign_in
    }

    /// The host called `name`: lower case, without port or trailing dot. None: not ours.
    pub fn get(&self, name: &str) -> Option<&OwnHost> {
        if self.0.sign_in.name() == name { Some(&self.0.sign_in) } else { self.other(name) }
    }

    /// As [`get`](Self::get), for a host other than the sign-in host.
    pub fn other(&self, name: &str) -> Option<&OwnHost> {
        let others = &self.0.others;
        others.get(others.binary_search_by(|host| host.name().cmp(name)).ok()?)
    }

    /// All but the sign-in host.
    pub fn others(&self) -> &[OwnHost] {
        &self.0.others
    }

    /// All of them, the sign-in host first.
    pub fn all(&self) -> impl Iterator<Item = &OwnHost> {
        std::iter::once(&self.0.sign_in).chain(&self.0.others)
    }

    /// Those where SAML responses are posted to and nothing else is: neither the sign-in host nor an application's.
    pub fn acs_alone(&self) -> impl Iterator<Item = &OwnHost> {
        self.0.others.iter().filter(|host| !host.has_app)
    }

    /// Whether the host called `name` is one of those.
    pub fn is_acs_alone(&self, name: &str) -> bool {
        self.other(name).is_some_and(|host| !host.has_app)
    }

    /// Whether `origin` is exactly that of the sign-in host or of an application.
    pub fn is_origin(&self, origin: &[u8]) -> bool {
        let apps = self.0.others.iter().filter(|host| host.has_app);
        std::iter::once(&self.0.sign_in).chain(apps).any(|host| host.origin().as_bytes() == origin)
    }

    /// `/`, or where the sign-in host has no application the first application's page: a target as
    /// [`ReturnTo`](crate::base::return_to::ReturnTo) reads it on the sign-in host.
    pub fn home(&self) -> &str {
        &self.0.home
    }
}

impl OwnHost {
    fn new(url: &PublicUrl, shares_cookie: bool) -> Self {
        let authority = url.origin.split_once("://").map_or("", |(_, authority)| authority);
        let forwarded = OwnOrigin {
            proto: HeaderValue::from_static(if url.https { "https" } else { "http" }),
            host: HeaderValue::from_str(authority).unwrap_or(HeaderValue::from_static("")),
            port: HeaderValue::from(url.port),
        };
        Self { url: url.clone(), forwarded, shares_cookie, receives_saml: false, has_app: false }
    }

    /// As in a Host header: lower case, without port.
    pub fn name(&self) -> &str {
        &self.url.host
    }

    /// `scheme://host[:port]`
    pub fn origin(&self) -> &str {
        &self.url.origin
    }

    /// `X-Forwarded-Proto`, `-Host` and `-Port` of requests to it.
    pub fn forwarded(&self) -> &OwnOrigin {
        &self.forwarded
    }

    /// Whether SAML responses are posted to it: sign-ins of those connectors begin and end there.
    pub fn receives_saml(&self) -> bool {
        self.receives_saml
    }

    /// Whether its session cookie is that of all hosts of `sessions.cookie_domain`.
    pub fn shares_cookie(&self) -> bool {
        self.shares_cookie
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, load};

    fn of(text: &str) -> OwnHosts {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("anteroom.toml");
        std::fs::write(&file, text).unwrap();
        let loaded = load(Some(&file), std::iter::empty(), &Overrides::default());
        OwnHosts::new(&loaded.unwrap_or_else(|problems| panic!("{problems}")).config)
    }

    const SIGN_IN: &str = "[server]\npublic_url = \"https://login.example.com\"\n";
    const SUITE: &str = "[apps.suite]\nupstream = \"http://b:1\"\npublic_url = \"https://suite.example.org:8443\"\n";
    const WIKI: &str = "[apps.wiki]\nupstream = \"http://b:2\"\npublic_url = \"https://wiki.example.com\"\n";

    #[test]
    fn every_host_has_its_origin() {
        let hosts = of(&format!("{SIGN_IN}{SUITE}{WIKI}"));
        let origin = |name: &str| hosts.get(name).map(OwnHost::origin);
        assert_eq!(origin("login.example.com"), Some("https://login.example.com"));
        assert_eq!(origin("suite.example.org"), Some("https://suite.example.org:8443"));
        assert_eq!((origin("suite.example.org:8443"), origin("example.org")), (None, None));
        assert!(hosts.other("login.example.com").is_none() && hosts.other("wiki.example.com").is_some());
        let suite = hosts.get("suite.example.org").unwrap().forwarded();
        assert_eq!(
            (suite.host.as_bytes(), suite.port.as_bytes()),
            (b"suite.example.org:8443".as_slice(), b"8443".as_slice())
        );
        assert!(hosts.is_origin(b"https://wiki.example.com"));
        for other in
            ["https://suite.example.org", "http://wiki.example.com", "https://wiki.example.com.evil", "null", ""]
        {
            assert!(!hosts.is_origin(other.as_bytes()), "{other}");
        }
        assert!(hosts.all().all(|host| !host.shares_cookie()));
        assert_eq!(hosts.home(), "https://suite.example.org:8443/", "no app on the sign-in host: the first one");
        assert_eq!(of(&format!("{SIGN_IN}[apps.portal]\nupstream = \"http://b:3\"\n{SUITE}")).home(), "/");
    }

    /// Pages of an application may ask across origins; those of a host without one do not exist.
    #[test]
    fn the_host_of_an_acs_alone_is_ours_but_has_no_pages() {
        let saml = |id: &str, acs: &str| {
            let from = "metadata_url = \"https://idp.example/m\"";
            format!("[connectors.{id}]\nkind = \"saml\"\n{from}\nacs_url = \"{acs}\"\n")
        };
        let connectors = [
            saml("a", "https://wiki.example.com/saml2/acs"),
            saml("b", "https://acs.example.net:8443/saml2/acs"),
            saml("c", "https://acs.example.net:8443/saml2/other"),
            saml("d", "https://login.example.com/saml2/acs"),
        ];
        let hosts = of(&format!("{SIGN_IN}{WIKI}{}", connectors.concat()));
        let alone: Vec<&str> = hosts.acs_alone().map(OwnHost::name).collect();
        assert_eq!(alone, ["acs.example.net"]);
        assert!(hosts.all().all(|host| hosts.is_acs_alone(host.name()) == alone.contains(&host.name())));
        assert!(!hosts.is_acs_alone("example.net"));
        let acs = hosts.get("acs.example.net").unwrap();
        assert_eq!(
            (acs.origin(), acs.forwarded().port.as_bytes()),
            ("https://acs.example.net:8443", b"8443".as_slice())
        );
        assert!(hosts.other("acs.example.net").is_some() && hosts.other("wiki.example.com").is_some());
        let receive = |name: &str| hosts.get(name).unwrap().receives_saml();
        assert!(receive("acs.example.net") && receive("wiki.example.com") && receive("login.example.com"));
        assert_eq!(hosts.all().count(), 3);
        assert!(hosts.is_origin(b"https://wiki.example.com") && !hosts.is_origin(b"https://acs.example.net:8443"));
        assert_eq!(hosts.home(), "https://wiki.example.com/");
    }

    #[test]
    fn hosts_of_the_cookie_domain_share_their_cookie() {
        let shared = "[sessions]\ncookie_domain = \"shared-with-every-host-of:example.com\"\n";
        let hosts = of(&format!("{SIGN_IN}{SUITE}{WIKI}{shared}"));
        let shares = |name: &str| hosts.get(name).unwrap().shares_cookie();
        assert!(shares("login.example.com") && shares("wiki.example.com") && !shares("suite.example.org"));
    }
}

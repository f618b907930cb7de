//! Which calls go through the egress proxy, and how it is told who asks.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;

use super::OutgoingSetupError;
use super::address::literal;
use crate::base::net::is_loopback_host;

/// The egress proxy and the hosts that are reached without it.
pub(super) struct Proxy {
    /// `http://host:port`, without user information.
    pub(super) uri: Uri,
    /// `Proxy-Authorization`, if the proxy's URL carries a user name.
    pub(super) authorization: Option<HeaderValue>,
    exempt: Vec<Exempt>,
}

enum Exempt {
    All,
    Name(String),
    /// With its leading dot.
    Suffix(String),
    Net(ipnet::IpNet),
}

impl Proxy {
    pub(super) fn new(url: &url::Url, no_proxy: &[String]) -> Result<Self, OutgoingSetupError> {
        let host = url.host_str().filter(|_| url.scheme() == "http").ok_or(OutgoingSetupError::Proxy)?;
        let port = url.port_or_known_default().ok_or(OutgoingSetupError::Proxy)?;
        let uri = format!("http://{host}:{port}").parse().map_err(|_| OutgoingSetupError::Proxy)?;
        let authorization = if url.username().is_empty() {
            None
        } else {
            let plain = |part| percent_decode_str(part).collect::<Vec<u8>>();
            let pair = [plain(url.username()), b":".to_vec(), plain(url.password().unwrap_or_default())].concat();
            let value = format!("Basic {}", STANDARD.encode(pair));
            let mut value = HeaderValue::from_str(&value).map_err(|_| OutgoingSetupError::Proxy)?;
            value.set_sensitive(true);
            Some(value)
        };
        Ok(Self { uri, authorization, exempt: no_proxy.iter().map(|entry| Exempt::parse(entry)).collect() })
    }

    /// Whether a call to `host` goes through the proxy. This machine is always reached directly.
    pub(super) fn serves(&self, host: &str) -> bool {
        if is_loopback_host(host) {
            return false;
        }
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let ip = literal(host);
        !self.exempt.iter().any(|exempt| exempt.covers(&name, ip))
    }
}

impl Exempt {
    fn parse(entry: &str) -> Self {
        let entry = entry.trim().to_ascii_lowercase();
        if entry == "*" {
            return Self::All;
        }
        if let Ok(net) = entry.parse::<ipnet::IpNet>() {
            return Self::Net(net);
        }
        if let Some(ip) = literal(&entry) {
            return Self::Net(ip.into());
        }
        if entry.starts_with('.') { Self::Suffix(entry) } else { Self::Name(entry) }
    }

    fn covers(&self, name: &str, ip: Option<IpAddr>) -> bool {
        match self {
            Self::All => true,
            Self::Name(exempt) => name == exempt,
            Self::Suffix(suffix) => name.ends_with(suffix.as_str()),
            Self::Net(net) => ip.is_some_and(|ip| net.contains(&ip)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_takes_names_suffixes_addresses_and_networks() {
        let url = "http://proxy.corp:3128".parse().unwrap();
        let exempt = ["idp.corp", ".inner.corp", "10.0.0.0/8", "192.168.1.1"].map(String::from);
        let proxy = Proxy::new(&url, &exempt).unwrap();
        for direct in ["idp.corp", "IDP.corp.", "a.inner.corp", "10.9.8.7", "192.168.1.1", "localhost", "[::1]"] {
            assert!(!proxy.serves(direct), "{direct}");
        }
        for proxied in ["a.idp.corp", "inner.corp", "notinner.corp", "11.0.0.1", "192.168.1.2", "login.example.com"] {
            assert!(proxy.serves(proxied), "{proxied}");
        }
        assert!(!Proxy::new(&url, &["*".into()]).unwrap().serves("login.example.com"));
    }

    #[test]
    fn the_proxys_password_becomes_a_header_and_leaves_the_url() {
        let proxy = Proxy::new(&"http://me:p%40ss@proxy.corp".parse().unwrap(), &[]).unwrap();
        assert_eq!(proxy.uri, "http://proxy.corp:80");
        assert_eq!(proxy.authorization.unwrap(), format!("Basic {}", STANDARD.encode("me:p@ss")));
        assert!(Proxy::new(&"https://proxy.corp".parse().unwrap(), &[]).is_err());
    }
}

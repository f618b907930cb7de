//! `[server]`: where Anteroom listens and who it is.

use std::net::SocketAddr;

use super::parse::{Context, Insecure, socket, web_url, wrong};
use super::problem::Report;
use super::read::{At, section};
use super::words::{Choice, Word};
use crate::base::net::{InvalidNetwork, is_loopback_host, is_too_wide, parse_network};

/// `[server]`
#[derive(Clone, Debug)]
pub struct Server {
    /// The data listener: pages, callbacks and the application.
    pub listen: SocketAddr,
    /// The sign-in host. Origin only: no path, query or user info.
    pub public_url: PublicUrl,
    /// Required once there are domains.
    pub environment: Option<Environment>,
    /// Networks whose `X-Forwarded-*` count. Empty: nobody's. Never as wide as the internet (security case X13).
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Data-plane threads, 1 to 256; default: the CPU quota rounded up, at most 4.
    pub workers: usize,
    /// Own prefix without a trailing slash, default `/.anteroom`. One segment of unreserved characters.
    pub prefix: String,
}

/// `https://app.example.com`: an origin, and how cookies behave on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    /// `scheme://host[:port]`, normal form, no trailing slash.
    pub origin: String,
    /// The host in lower case without port; an IPv6 address stands in brackets, as in a Host header.
    pub host: String,
    /// The port, the scheme's own if none is written.
    pub port: u16,
    /// Whether browsers speak TLS to the sign-in host.
    pub https: bool,
    /// `*.localhost` or a loopback address.
    pub loopback: bool,
}

impl PublicUrl {
    /// Whether cookies carry `Secure` and `__Host-`: everywhere but on plain http off loopback
    /// (`server.insecure_http`).
    pub fn secure_cookies(&self) -> bool {
        self.https || self.loopback
    }

    /// What is wrong with it unless `server.insecure_http` is set.
    pub(super) fn is_safe(&self) -> Result<(), String> {
        if self.secure_cookies() {
            return Ok(());
        }
        Err(format!(
            "found {:?}, plain http off loopback; allowed: https, or for a test server.insecure_http = \
             \"yes-for-testing-only\"",
            self.origin
        ))
    }
}

/// Which of its two environments an Anteroom, or a domain, belongs to (design R7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// The customers' own data.
    Production,
    /// Where a domain is tried before.
    Demo,
}

impl Word for Environment {
    const WORDS: &'static [(&'static str, Self)] = &[("production", Self::Production), ("demo", Self::Demo)];
}

section! {
    /// Where Anteroom listens and who it is.
    RawServer {
        /// Address and port of the data listener: pages, callbacks and the application.
        #[schemars(extend("default" = "0.0.0.0:4180"))]
        listen: String,
        /// Required. The origin that browsers use: scheme, host and, if it is not the scheme's own, port. Pages and
        /// redirect URIs are made from it.
        public_url: String,
        /// Which environment this Anteroom serves; domains of the other one are treated as not enabled. Required once
        /// there are domains.
        environment: Choice<Environment>,
        /// Addresses and CIDRs whose X-Forwarded-* headers count; empty: nobody's. Ranges shorter than /8 (IPv4) or
        /// /16 (IPv6, private ranges excepted) are refused.
        #[schemars(extend("default" = []))]
        trusted_proxies: Vec<At<String>>,
        /// Threads of the data plane, 1 to 256. Default: the CPU quota rounded up, at most 4.
        workers: u32,
        /// The first path segment of everything that is Anteroom's own.
        #[schemars(extend("default" = "/.anteroom"))]
        prefix: String,
        /// Lets public_url be plain http off loopback: cookies lose `__Host-` and `Secure`.
        insecure_http: Choice<Insecure>,
    }
}

pub(super) const PUBLIC_URL: &str = "allowed: an origin without path or query, such as \"https://app.example.com\"";
const WORKERS_MAX: u32 = 256;

impl RawServer {
    /// Also says what is wrong with values that other sections need; those that hold are in the parts.
    pub(super) fn resolve(raw: At<Self>, cx: &mut Context<'_>) -> Parts {
        let At { value: raw, place } = raw;
        let insecure = raw.insecure_http.set().cloned();
        let url_place = raw.public_url.set().map_or_else(|| place.child("public_url"), |at| at.place.clone());
        let public_url = raw.public_url.parse(cx.report, |text| public_url(text));
        let public_url = public_url.required(&place, "public_url", PUBLIC_URL, cx.report);
        if let (Some(url), None) = (&public_url, &insecure)
            && let Err(text) = url.is_safe()
        {
            cx.report.problem(&url_place, text);
        }
        if let Some(insecure) = &insecure {
            let text = "plain http is let through: session cookies can be read and set by anybody on the way";
            cx.report.warn(&insecure.place, text);
        }
        let listen = raw.listen.parse(cx.report, |text| socket(text));
        let listen = listen.or(SocketAddr::from(([0, 0, 0, 0], 4180)));
        let environment = raw.environment.optional().map(|choice| choice.map(|c| c.0));
        let trusted_proxies = raw.trusted_proxies.parse_each(cx.report, |text| trusted(text));
        let workers = raw.workers.parse(cx.report, |count| match count {
            1..=WORKERS_MAX => Ok(*count as usize),
            _ => Err(format!("found {count}; allowed: 1 to {WORKERS_MAX}")),
        });
        let prefix = raw.prefix.parse(cx.report, |text| prefix(text)).or_else(|| String::from("/.anteroom"));
        Parts {
            listen,
            insecure_http: insecure.is_some(),
            public_url,
            environment,
            prefix,
            trusted_proxies: trusted_proxies.values_or(Vec::new),
            workers: workers.or_else(default_workers),
        }
    }
}

/// What of the section holds. `None`: reported.
pub(super) struct Parts {
    pub(super) listen: Option<SocketAddr>,
    pub(super) insecure_http: bool,
    pub(super) public_url: Option<PublicUrl>,
    pub(super) environment: Option<Option<Environment>>,
    pub(super) prefix: Option<String>,
    trusted_proxies: Option<Vec<ipnet::IpNet>>,
    workers: Option<usize>,
}

impl Parts {
    /// Whether every client will look like one: somebody in front speaks https for us, on another machine, and their
    /// word for who asks counts for nothing.
    pub(super) fn hides_clients(&self) -> bool {
        let (Some(url), Some(listen), Some(trusted)) = (&self.public_url, self.listen, &self.trusted_proxies) else {
            return false;
        };
        url.https && !listen.ip().is_loopback() && trusted.is_empty()
    }

    pub(super) fn complete(self) -> Option<Server> {
        Some(Server {
            listen: self.listen?,
            public_url: self.public_url?,
            environment: self.environment?,
            trusted_proxies: self.trusted_proxies?,
            workers: self.workers?,
            prefix: self.prefix?,
        })
    }
}

pub(super) fn public_url(text: &str) -> Result<PublicUrl, String> {
    let url = web_url(text, PUBLIC_URL)?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(wrong(text, PUBLIC_URL));
    };
    if url.path() != "/" {
        return Err(wrong(text, PUBLIC_URL));
    }
    Ok(PublicUrl {
        origin: url.origin().ascii_serialization(),
        host: host.to_owned(),
        port,
        https: url.scheme() == "https",
        loopback: is_loopback_host(host),
    })
}

fn trusted(text: &str) -> Result<ipnet::IpNet, String> {
    let network = parse_network(text).map_err(|error| match error {
        InvalidNetwork::Syntax => wrong(text, "allowed: an IP address or a CIDR such as 10.0.0.0/8"),
        InvalidNetwork::HostBits { .. } => wrong(text, &error.to_string()),
    })?;
    if is_too_wide(&network) {
        let text = wrong(
            text,
            "that trusts strangers to say who a request came from; allowed: the networks of your own proxies, \
             /8 or longer in IPv4, /16 or longer in IPv6 (fc00::/7 and fe80::/10 too)",
        );
        return Err(text);
    }
    Ok(network)
}

fn prefix(text: &str) -> Result<String, String> {
    let segment = text.strip_prefix('/').unwrap_or_default();
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    if segment.is_empty() || segment == "." || segment == ".." || !segment.bytes().all(unreserved) {
        let allowed = "allowed: '/' and one segment of letters, digits, '-', '.', '_' and '~', without a slash at the \
                       end, such as \"/.anteroom\"";
        return Err(wrong(text, allowed));
    }
    Ok(text.to_owned())
}

/// The CPU quota rounded up, at most 4.
#[expect(clippy::disallowed_methods, reason = "a line of /sys, read once at start")]
fn default_workers() -> usize {
    let available = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let quota = std::fs::read_to_string("/sys/fs/cgroup/cpu.max").ok();
    workers(available, quota.as_deref())
}

/// `available` already knows the quota, but rounded down: 1.5 CPUs count as one. `cpu_max` is `"150000 100000"`, quota
/// and period in microseconds, or `"max 100000"` (cgroup v2).
fn workers(available: usize, cpu_max: Option<&str>) -> usize {
    let quota = cpu_max.and_then(|line| {
        let (quota, period) = line.trim().split_once(' ')?;
        let (quota, period) = (quota.parse::<usize>().ok()?, period.parse::<usize>().ok()?);
        Some((quota.checked_div(period)?.max(1), quota.div_ceil(period)))
    });
    let count = match quota {
        Some((rounded_down, rounded_up)) if rounded_down == available => rounded_up,
        Some(_) | None => available,
    };
    count.clamp(1, 4)
}

/// Two listeners that cannot both be opened.
pub(super) fn listeners_clash(one: SocketAddr, other: SocketAddr) -> bool {
    let same_ip = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && same_ip
}

pub(super) fn check_listeners(data: SocketAddr, ops: SocketAddr, place: &super::problem::Place, report: &mut Report) {
    if listeners_clash(data, ops) {
        let text = format!("found \"{ops}\", which server.listen (\"{data}\") takes; allowed: another port");
        report.problem(place, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_the_quota_rounded_up_and_at_most_four() {
        assert_eq!(workers(1, Some("150000 100000\n")), 2);
        assert_eq!(workers(2, Some("200000 100000")), 2);
        assert_eq!(workers(2, Some("max 100000")), 2);
        assert_eq!(workers(16, Some("max 100000")), 4);
        assert_eq!(workers(1, Some("10000 100000")), 1);
        assert_eq!(workers(2, Some("800000 100000")), 2, "fewer CPUs than the quota");
        assert_eq!(workers(3, None), 3);
        assert_eq!(workers(1, Some("nonsense")), 1);
    }

    #[test]
    fn a_public_url_is_an_origin() {
        let url = public_url("https://App.Example.com:443/").unwrap();
        assert_eq!(
            (url.origin.as_str(), url.host.as_str(), url.port),
            ("https://app.example.com", "app.example.com", 443)
        );
        let url = public_url("http://app.localhost:4180").unwrap();
        assert_eq!((url.origin.as_str(), url.port), ("http://app.localhost:4180", 4180));
        assert!(url.loopback && !url.https && url.secure_cookies());
        assert!(!public_url("http://app.example.com").unwrap().secure_cookies());
        for bad in ["https://app.example.com/app", "https://app.example.com?x", "app.example.com", "https://a@b"] {
            assert!(public_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_prefix_is_one_plain_segment() {
        assert_eq!(prefix("/.anteroom"), Ok(String::from("/.anteroom")));
        for bad in ["/", "", "x", "/a/", "/a/b", "/..", "/.", "/a%2f", "/a b"] {
            assert!(prefix(bad).is_err(), "{bad}");
        }
    }
}

//! Who is at the other end, and under which scheme and host they see us: `X-Forwarded-*`, believed only from configured
//! proxies (security cases X12 to X14). Decisions use what is found here and never the headers themselves.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::Authority;
use ipnet::IpNet;

/// `X-Forwarded-For`
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// `X-Forwarded-Proto`
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// `X-Forwarded-Host`
pub const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// `X-Forwarded-Port`
pub const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

/// Other headers by which proxies pass on addresses, hosts, schemes and paths, in lower case. Anteroom neither reads nor
/// writes them, and an application may: from an untrusted peer they are removed (X12).
pub const OTHER_FORWARDING: [&str; 25] = [
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "fastly-client-ip",
    "forwarded",
    "front-end-https",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded",
    "x-forwarded-by",
    "x-forwarded-client-cert",
    "x-forwarded-method",
    "x-forwarded-path",
    "x-forwarded-prefix",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-forwarded-uri",
    "x-host",
    "x-original-host",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
    "x-url-scheme",
];

/// Most hops that `X-Forwarded-For` may name.
const MAX_HOPS: usize = 32;

/// The network that a client's address stands for where sources are counted: IPv4 by /24, IPv6 by /64, which one customer
/// of a provider has as a rule.
pub fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, 0))
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// A trusted proxy sent forwarding headers that cannot be read. It would be wrong to guess whom it meant: 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadForwarded {
    #[error("a trusted proxy sent an X-Forwarded-For that is no list of addresses")]
    For,
    #[error("a trusted proxy sent an X-Forwarded-Proto other than http or https, or several")]
    Proto,
    #[error("a trusted proxy sent an X-Forwarded-Host that is no host, or several")]
    Host,
    #[error("a trusted proxy sent an X-Forwarded-Port that is no port, or several")]
    Port,
}

/// The scheme that a browser used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    const fn default_port(self) -> &'static str {
        match self {
            Self::Http => "80",
            Self::Https => "443",
        }
    }
}

/// The other end of one connection. Made once per connection, so that a request from an untrusted peer costs a
/// reference count and no parsing.
#[derive(Debug, Clone)]
pub struct Peer {
    ip: IpAddr,
    text: HeaderValue,
    trusted: bool,
}

impl Peer {
    /// The peer at `ip`, an IPv4-mapped IPv6 address counting as IPv4. An empty `trusted` means nobody (X13).
    pub fn new(ip: IpAddr, trusted: &[IpNet]) -> Self {
        let ip = ip.to_canonical();
        Self { ip, text: text_of(ip), trusted: is_trusted(ip, trusted) }
    }

    /// The peer's own address.
    pub const fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Whether its forwarding headers count.
    pub const fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// What is known of the client behind this peer. Headers are looked at only if the peer is trusted.
    ///
    /// # Errors
    /// A trusted peer sent something unreadable.
    pub fn forwarded(&self, headers: &HeaderMap, trusted: &[IpNet]) -> Result<Forwarded, BadForwarded> {
        let nothing = Forwarded { client: self.ip, chain: self.text.clone(), scheme: None, host: None, port: None };
        if !self.trusted {
            return Ok(nothing);
        }
        let (client, chain) = self.chain(headers, trusted)?;
        let proto = single(headers, &X_FORWARDED_PROTO).map_err(|()| BadForwarded::Proto)?;
        let scheme = proto.map(scheme_of).transpose()?;
        let host = single(headers, &X_FORWARDED_HOST).map_err(|()| BadForwarded::Host)?.map(host_of).transpose()?;
        let port = single(headers, &X_FORWARDED_PORT).map_err(|()| BadForwarded::Port)?;
        let port = match (port, &host) {
            (Some(port), _) => Some(port.parse().ok().filter(|&p| p != 0).ok_or(BadForwarded::Port)?),
            (None, Some(host)) => host.port_u16(),
            (None, None) => None,
        };
        Ok(Forwarded { client, chain, scheme, host, port })
    }

    /// The client and the chain that leads to it: from the right, hops are believed as long as they are trusted proxies;
    /// the first that is not is the client. What stands left of it is the client's own invention and goes no further.
    fn chain(&self, headers: &HeaderMap, trusted: &[IpNet]) -> Result<(IpAddr, HeaderValue), BadForwarded> {
        let mut hops = Vec::new();
        'lines: for line in headers.get_all(X_FORWARDED_FOR).iter().rev() {
            let line = line.to_str().map_err(|_| BadForwarded::For)?;
            for entry in line.rsplit(',').map(str::trim).filter(|e| !e.is_empty()) {
                let hop = address_of(entry).ok_or(BadForwarded::For)?;
                if hops.len() == MAX_HOPS {
                    return Err(BadForwarded::For);
                }
                hops.push(hop);
                if !is_trusted(hop, trusted) {
                    break 'lines;
                }
            }
        }
        let Some(&client) = hops.last() else { return Ok((self.ip, self.text.clone())) };
        let mut chain = String::with_capacity(16 * (hops.len() + 1));
        for hop in hops.iter().rev() {
            chain.push_str(&hop.to_string());
            chain.push_str(", ");
        }
        chain.push_str(self.text.to_str().unwrap_or_default());
        let chain = HeaderValue::from_maybe_shared(bytes::Bytes::from(chain)).map_err(|_| BadForwarded::For)?;
        Ok((client, chain))
    }
}

/// A request's client, and what a trusted proxy said of the way it came.
#[derive(Debug, Clone)]
pub struct Forwarded {
    /// The right-most address that is no trusted proxy.
    pub client: IpAddr,
    /// `X-Forwarded-For` towards the upstream: the client, trusted hops, the peer.
    pub chain: HeaderValue,
    /// None: nobody trusted said; the listener's own holds.
    pub scheme: Option<Scheme>,
    /// As above; host and port if written, never user info.
    pub host: Option<Authority>,
    /// As above; from `X-Forwarded-Port`, else from `host`.
    pub port: Option<u16>,
}

/// `X-Forwarded-Proto`, `-Host` and `-Port` when no trusted proxy says otherwise: ready-made once per host from
/// `public_url`.
#[derive(Debug, Clone)]
pub struct OwnOrigin {
    pub proto: HeaderValue,
    pub host: HeaderValue,
    pub port: HeaderValue,
}

impl Forwarded {
    /// Sets the four headers towards the upstream; whatever the client sent under these names is gone (X12).
    pub fn set(&self, headers: &mut HeaderMap, own: &OwnOrigin) {
        let port = match (self.port, self.scheme) {
            (Some(port), _) => HeaderValue::from(port),
            (None, Some(scheme)) => HeaderValue::from_static(scheme.default_port()),
            (None, None) => own.port.clone(),
        };
        let proto = self.scheme.map_or_else(|| own.proto.clone(), |s| HeaderValue::from_static(s.as_str()));
        let host = self.host.as_ref().and_then(|h| HeaderValue::from_str(h.as_str()).ok());
        headers.insert(X_FORWARDED_FOR, self.chain.clone());
        headers.insert(X_FORWARDED_PROTO, proto);
        headers.insert(X_FORWARDED_HOST, host.unwrap_or_else(|| own.host.clone()));
        headers.insert(X_FORWARDED_PORT, port);
    }
}

/// An address as a header value.
fn text_of(ip: IpAddr) -> HeaderValue {
    HeaderValue::from_maybe_shared(bytes::Bytes::from(ip.to_string()))
        .unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

fn is_trusted(ip: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&ip))
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`; mapped IPv6 becomes IPv4. Names,
/// `unknown`, zones and octets with leading zeros are nothing.
fn address_of(text: &str) -> Option<IpAddr> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(ip.to_canonical());
    }
    let ip = if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
            return None;
        }
        IpAddr::V6(host.parse::<Ipv6Addr>().ok()?)
    } else {
        let (host, port) = text.split_once(':')?;
        if !is_port(port) {
            return None;
        }
        IpAddr::V4(host.parse::<Ipv4Addr>().ok()?)
    };
    Some(ip.to_canonical())
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// The one value of a header: proxies in a row may repeat it, but may not disagree.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ()> {
    let mut found = None;
    for line in headers.get_all(name) {
        for value in line.to_str().map_err(|_| ())?.split(',').map(str::trim) {
            if value.is_empty() || found.is_some_and(|earlier: &str| !earlier.eq_ignore_ascii_case(value)) {
                return Err(());
            }
            found = Some(value);
        }
    }
    Ok(found)
}

/// `ws` and `wss` are what some proxies say of a WebSocket's handshake.
fn scheme_of(text: &str) -> Result<Scheme, BadForwarded> {
    let is = |names: [&str; 2]| names.iter().any(|n| text.eq_ignore_ascii_case(n));
    match () {
        () if is(["https", "wss"]) => Ok(Scheme::Https),
        () if is(["http", "ws"]) => Ok(Scheme::Http),
        () => Err(BadForwarded::Proto),
    }
}

fn host_of(text: &str) -> Result<Authority, BadForwarded> {
    let host = text.parse::<Authority>().map_err(|_| BadForwarded::Host)?;
    let plain = !host.host().is_empty() && !text.contains(['@', '%', '\\', '/']);
    // port() is None for ":99999" as well as for no port at all.
    let port_ok = host.host().len() == text.len() || host.port_u16().is_some_and(|p| p != 0);
    if plain && port_ok { Ok(host) } else { Err(BadForwarded::Host) }
}

#[cfg(test)]
mod tests;

//! Host names and networks: what counts as this machine, and which address ranges a setting names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

/// Whether a URL's host means this machine: `localhost` and `*.localhost` (RFC 6761 section 6.3; we resolve them
/// ourselves), `127.0.0.0/8`, `::1`, and the IPv4 range written as IPv6. An IPv6 address may stand in brackets.
pub fn is_loopback_host(host: &str) -> bool {
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    host.parse::<IpAddr>().map_or_else(|_| is_localhost_name(host), is_loopback_address)
}

/// Whether a name is `localhost` or ends in `.localhost`, in any case, with or without the root's dot.
pub fn is_localhost_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or_default();
    last.eq_ignore_ascii_case("localhost") && name.split('.').all(|label| !label.is_empty())
}

/// Whether an address is a loopback one, also in its IPv4-mapped form.
pub fn is_loopback_address(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// A text that names no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNetwork {
    /// Neither an address nor a CIDR.
    #[error("not an IP address or CIDR such as 10.0.0.0/8")]
    Syntax,
    /// Bits are set to the right of the prefix: a slip of the pen in the address or in the length.
    #[error("the address has bits beyond its prefix; for the network write {network}, for the one address {address}")]
    HostBits {
        /// The network that the prefix leaves.
        network: IpNet,
        /// The address alone.
        address: IpAddr,
    },
}

/// A network from a CIDR, or from an address, which stands for itself alone. IPv4 written as IPv6
/// (`::ffff:10.0.0.0/104`) becomes IPv4, so that one range has one form.
///
/// # Errors
/// The text is neither, or has bits beyond its prefix.
pub fn parse_network(text: &str) -> Result<IpNet, InvalidNetwork> {
    let network = match text.parse::<IpNet>() {
        Ok(network) => network,
        Err(_) => IpNet::from(text.parse::<IpAddr>().map_err(|_| InvalidNetwork::Syntax)?),
    };
    if network.trunc() != network {
        return Err(InvalidNetwork::HostBits { network: network.trunc(), address: network.addr() });
    }
    Ok(unmapped(network))
}

fn unmapped(network: IpNet) -> IpNet {
    let mapped = match network {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => v6.addr().to_ipv4_mapped().map(|ip| (ip, v6.prefix_len() - 96)),
        IpNet::V6(_) | IpNet::V4(_) => None,
    };
    mapped.and_then(|(ip, len)| Ipv4Net::new(ip, len).ok()).map_or(network, IpNet::V4)
}

/// Whether a range is too wide to be somebody's proxies: shorter than /8 in IPv4, shorter than /16 in IPv6 outside
/// the ranges that are never on the internet (`fc00::/7`, `fe80::/10`). Refuses `0.0.0.0/0`, its halves and
/// quarters, and the IPv6 ranges that hold all of IPv4 (security case X13).
pub fn is_too_wide(network: &IpNet) -> bool {
    match network {
        IpNet::V4(v4) => v4.prefix_len() < 8,
        IpNet::V6(v6) => {
            let holds_ipv4 = v6.contains(&Ipv4Addr::UNSPECIFIED.to_ipv6_mapped());
            let private = |first: Ipv6Addr| first.is_unique_local() || first.is_unicast_link_local();
            let never_public = v6.prefix_len() >= 7 && private(v6.addr());
            holds_ipv4 || (v6.prefix_len() < 16 && !never_public)
        }
    }
}

/// Whether `host` is `domain` or below it; both in lower case.
pub fn is_inside(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_names_and_loopback_addresses_are_this_machine() {
        for ours in ["localhost", "app.localhost", "A.B.LocalHost.", "127.0.0.1", "127.9.9.9", "::1", "[::1]"] {
            assert!(is_loopback_host(ours), "{ours}");
        }
        assert!(is_loopback_host("::ffff:127.0.0.1"));
        for other in ["localhost.example.com", "mylocalhost", "example.com", "10.0.0.1", "::2", ".localhost", ""] {
            assert!(!is_loopback_host(other), "{other}");
        }
    }

    #[test]
    fn a_network_is_a_cidr_or_one_address() {
        assert_eq!(parse_network("10.1.2.3").unwrap().to_string(), "10.1.2.3/32");
        assert_eq!(parse_network("fd00::/8").unwrap().to_string(), "fd00::/8");
        assert_eq!(parse_network("::ffff:10.0.0.0/104").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(parse_network("10.0.0"), Err(InvalidNetwork::Syntax));
        assert!(parse_network("10.0.0.1/8").unwrap_err().to_string().contains("10.0.0.0/8"));
    }

    #[test]
    fn x13_ranges_as_wide_as_the_internet_are_seen() {
        for wide in ["0.0.0.0/0", "128.0.0.0/1", "10.0.0.0/7", "::/0", "2000::/3", "::ffff:0:0/96", "::/16"] {
            assert!(is_too_wide(&parse_network(wide).unwrap()), "{wide}");
        }
        for fine in ["10.0.0.0/8", "172.16.0.0/12", "fc00::/7", "fe80::/10", "2001:db8::/32", "::1/128"] {
            assert!(!is_too_wide(&parse_network(fine).unwrap()), "{fine}");
        }
    }
}

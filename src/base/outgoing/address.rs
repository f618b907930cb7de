//! What kind of address a host name leads to. Decides whether a provider's document may send us there.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The reach of an IP address (IANA special-purpose registries, RFC 6890).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressClass {
    /// Reachable from the whole internet.
    Public,
    /// Inside an organisation: RFC 1918, carrier-grade NAT (RFC 6598), unique local IPv6 (RFC 4193).
    Private,
    /// This machine.
    Loopback,
    /// This link, which is where cloud metadata services live.
    LinkLocal,
    /// `0.0.0.0/8` and `::`, which some systems take for this machine.
    Unspecified,
    /// Multicast, broadcast, documentation, benchmarking and other ranges where no provider can be.
    Reserved,
}

impl AddressClass {
    /// The class of `address`. An IPv6 address that carries an IPv4 address (mapped, compatible, NAT64, 6to4) has
    /// the class of that one.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => Self::of_v6(v6),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let [a, b, c, _] = address.octets();
        match (a, b, c) {
            (0, ..) => Self::Unspecified,
            (127, ..) => Self::Loopback,
            (169, 254, _) => Self::LinkLocal,
            (100, 64..=127, _) => Self::Private,
            _ if address.is_private() => Self::Private,
            (192, 0, 0 | 2) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) | (224.., ..) => Self::Reserved,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let segments = address.segments();
        let embedded = |high: u16, low: u16| {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Self::of_v4(Ipv4Addr::new(a, b, c, d))
        };
        match segments {
            [0, 0, 0, 0, 0, 0, 0, 0] => Self::Unspecified,
            [0, 0, 0, 0, 0, 0, 0, 1] => Self::Loopback,
            [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
            | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
            | [0x2002, high, low, ..] => embedded(high, low),
            [first, ..] if first & 0xffc0 == 0xfe80 => Self::LinkLocal,
            // Unique local, and site-local, which RFC 3879 took back but old networks still use.
            [first, ..] if first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfec0 => Self::Private,
            [0x2001, 0xdb8, ..] | [0x2001, 0..=0x1ff, ..] | [0x3fff, 0..=0xfff, ..] => Self::Reserved,
            // Global unicast is 2000::/3; nothing outside it has been handed out.
            [first, ..] if first & 0xe000 == 0x2000 => Self::Public,
            _ => Self::Reserved,
        }
    }
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Loopback => "loopback",
            Self::LinkLocal => "link-local",
            Self::Unspecified => "unspecified",
            Self::Reserved => "reserved",
        })
    }
}

/// Where a call may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The operator wrote this address: anywhere.
    AsWritten,
    /// A document named it: to public addresses, and to the class of address the document itself came from.
    /// So nothing leads from a public issuer into the network that Anteroom stands in (security case O34).
    NamedFrom(AddressClass),
}

impl Reach {
    /// Whether a connection to `address` may be made.
    pub fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::AsWritten => true,
            Self::NamedFrom(issuer) => {
                let class = AddressClass::of(address);
                class == AddressClass::Public || class == issuer
            }
        }
    }
}

/// The IP address that `host` is, if it is one.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(text: &str) -> AddressClass {
        AddressClass::of(text.parse().unwrap())
    }

    #[test]
    fn every_spelling_of_an_inner_address_has_its_class_o34() {
        use AddressClass::*;
        for (text, want) in [
            ("8.8.8.8", Public),
            ("100.63.255.255", Public),
            ("172.32.0.1", Public),
            ("2a00:1450:4001::1", Public),
            ("10.1.2.3", Private),
            ("172.16.0.1", Private),
            ("192.168.1.1", Private),
            ("100.64.0.1", Private),
            ("fd00:ec2::254", Private),
            ("fec0::1", Private),
            ("127.0.0.1", Loopback),
            ("127.255.0.9", Loopback),
            ("::1", Loopback),
            ("169.254.169.254", LinkLocal),
            ("fe80::1", LinkLocal),
            ("0.0.0.0", Unspecified),
            ("0.1.2.3", Unspecified),
            ("::", Unspecified),
            ("::ffff:127.0.0.1", Loopback),
            ("::ffff:169.254.169.254", LinkLocal),
            ("::ffff:8.8.8.8", Public),
            ("::127.0.0.1", Loopback),
            ("64:ff9b::10.0.0.1", Private),
            ("2002:a00:1::", Private),
            ("2001:db8::1", Reserved),
            ("224.0.0.1", Reserved),
            ("255.255.255.255", Reserved),
            ("198.18.0.1", Reserved),
            ("ff02::1", Reserved),
        ] {
            assert_eq!(class(text), want, "{text}");
        }
    }

    #[test]
    fn a_document_leads_to_public_addresses_or_to_its_own_class_o34() {
        let allows = |from, to: &str| Reach::NamedFrom(from).allows(to.parse().unwrap());
        assert!(allows(AddressClass::Public, "8.8.8.8"));
        assert!(!allows(AddressClass::Public, "10.0.0.1"));
        assert!(!allows(AddressClass::Public, "127.0.0.1"));
        assert!(!allows(AddressClass::Public, "169.254.169.254"));
        assert!(allows(AddressClass::Private, "10.0.0.1"));
        assert!(!allows(AddressClass::Private, "127.0.0.1"));
        assert!(allows(AddressClass::Loopback, "127.0.0.1"));
        assert!(Reach::AsWritten.allows("10.0.0.1".parse().unwrap()));
    }
}

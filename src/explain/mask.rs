//! Personal data made unrecognisable, and still of use to somebody who knows whom to look for.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The network of `address`: /24, or /48 of IPv6.
pub(super) fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{}/24", Ipv4Addr::new(a, b, c, 0))
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    }
}

/// `text` with the e-mail addresses in it masked: `alice@acme.com` is `a***@acme.com`. Also where the `@` is
/// percent-encoded, as in a path.
pub(super) fn addresses(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, at, after)) = next_at(rest) {
        // The local part: back to what stands in none, nor in its escapes.
        let start = before.rfind(|c: char| !(c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c)));
        let start = start.map_or(0, |i| i + before.get(i..).and_then(|c| c.chars().next()).map_or(0, char::len_utf8));
        // In a path or a list of parameters the name before it is not part of it.
        let start =
            before.get(start..).and_then(|local| local.rfind(['/', '=', '?', '&'])).map_or(start, |i| start + i + 1);
        let local = before.get(start..).unwrap_or_default();
        out.push_str(before.get(..start).unwrap_or_default());
        if local.is_empty() || !after.starts_with(char::is_alphanumeric) {
            out.push_str(local);
        } else {
            out.extend(local.chars().next());
            out.push_str("***");
        }
        out.push_str(at);
        rest = after;
    }
    if out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// What stands before the next `@`, the sign as it was written, and the rest.
fn next_at(text: &str) -> Option<(&str, &str, &str)> {
    let plain = text.find('@').map(|i| (i, 1));
    let escaped = text.find("%40").map(|i| (i, 3));
    let (at, length) = [plain, escaped].into_iter().flatten().min()?;
    Some((text.get(..at)?, text.get(at..at + length)?, text.get(at + length..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_first_letter_and_its_domain() {
        for (text, masked) in [
            ("alice@acme.com", "a***@acme.com"),
            ("a@b", "a***@b"),
            (
                "Alice Archer <alice.archer+x@acme.com>, bob@globex.com.",
                "Alice Archer <a***@acme.com>, b***@globex.com.",
            ),
            ("/users/alice@acme.com/edit", "/users/a***@acme.com/edit"),
            ("/users/alice%40acme.com", "/users/a***%40acme.com"),
            ("/x?email=alice@acme.com&b=1", "/x?email=a***@acme.com&b=1"),
            ("upn: \"ünal@acme.com\"", "upn: \"ü***@acme.com\""),
            ("live.com#alice@acme.com", "l***@acme.com"),
            ("a@b@c.com", "a***@b***@c.com"),
        ] {
            assert_eq!(addresses(text), masked, "{text}");
        }
        for same in ["", "no address", "@handle", "a @ b", "x@", "7f3c9a2e41d8b605", "/a/b%41c"] {
            assert_eq!(addresses(same), same);
        }
    }

    #[test]
    fn a_client_is_known_by_its_network() {
        for (address, masked) in [
            ("203.0.113.77", "203.0.113.0/24"),
            ("::ffff:203.0.113.77", "203.0.113.0/24"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
            ("::1", "::/48"),
        ] {
            assert_eq!(network(address.parse().unwrap()), masked);
        }
    }
}

//! The `Host` of a request.

use std::borrow::Cow;
use std::net::Ipv6Addr;

/// A host and port as a client names them: the host in lower case, without port and trailing dot, so that every
/// spelling of one host is judged alike (P10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    host: Cow<'a, str>,
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads `host[:port]`: a DNS name, an IPv4 address or an IPv6 address in brackets. User info, empty parts, two
    /// ports and anything else is `None` (F13). Nothing is copied of a name that is in lower case.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (address, after) = rest.split_once(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            (Cow::Owned(format!("[{address}]")), after)
        } else {
            let end = text.bytes().position(|b| b == b':').unwrap_or(text.len());
            let (host, after) = text.split_at_checked(end)?;
            (Cow::Borrowed(host.strip_suffix('.').unwrap_or(host)), after)
        };
        let named = host.starts_with('[') || is_name(host.as_bytes());
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            _ => return None,
        };
        let lower = if host.bytes().any(|b| b.is_ascii_uppercase()) { host.to_ascii_lowercase().into() } else { host };
        named.then_some(Self { host: lower, port })
    }

    /// The host, in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, if one was named.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

/// Labels of letters, digits, `-` and `_`, none empty; at most 253 bytes.
fn is_name(host: &[u8]) -> bool {
    let mut before = b'.';
    for &byte in host {
        match byte {
            b'.' if before == b'.' => return false,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => before = byte,
            _ => return false,
        }
    }
    before != b'.' && host.len() <= 253
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P10: the same host in all spellings.
    #[test]
    fn every_spelling_of_a_host_is_one_host() {
        for text in
            ["app.example.com", "APP.example.com", "app.example.com.", "app.example.com:80", "App.Example.Com.:8443"]
        {
            assert_eq!(Authority::parse(text.as_bytes()).unwrap().host(), "app.example.com", "{text}");
        }
        assert_eq!(Authority::parse(b"[::1]:80").unwrap().host(), "[::1]");
        assert_eq!(Authority::parse(b"a:8080").unwrap().port(), Some(8080));
    }

    /// F13
    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for text in [
            "",
            ".",
            "a..b",
            "a:",
            "a:80:80",
            "a:x",
            "a:99999",
            "user@a",
            "a/b",
            "a b",
            "a,b",
            "[::1",
            "[x]",
            "[::1]x",
            "a..",
            "ä.example",
            "a\\b",
            "a?b",
            "a#b",
            "a%2e",
        ] {
            assert_eq!(Authority::parse(text.as_bytes()), None, "{text}");
        }
    }
}

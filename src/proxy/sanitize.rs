//! What a client may not say, and what ends at this hop: header names dropped in one pass before anything of ours is
//! set (X01–X16). Identity is injected last, so nothing here can remove it (X04).

use http::header::{self, HeaderMap, HeaderName};

use crate::base::client_addr::{
    OTHER_FORWARDING, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PORT, X_FORWARDED_PROTO,
};
use crate::identity::headers::HeaderPlan;

/// What only we and trusted proxies say of a request's way, beside [`OTHER_FORWARDING`]; set again afterwards (X12).
const FORWARDING: [HeaderName; 6] = [
    X_FORWARDED_FOR,
    X_FORWARDED_HOST,
    X_FORWARDED_PROTO,
    X_FORWARDED_PORT,
    HeaderName::from_static("x-original-method"),
    HeaderName::from_static("x-request-id"),
];

/// Hop-by-hop by definition (RFC 9110, section 7.6.1); framing is the sender's own at each hop.
const HOP_BY_HOP: [HeaderName; 10] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];

/// What `Connection` may not name away: framing, routing, and what the decision was made by (X05).
const NOT_HOP_BY_HOP: [HeaderName; 9] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::COOKIE,
    header::AUTHORIZATION,
    header::ORIGIN,
    header::SET_COOKIE,
    header::LOCATION,
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Identity,
    Forwarding,
    HopByHop,
}

/// Names to drop, compiled once.
pub(super) struct Scrubber {
    /// By the length of the name, all from 63 bytes on together. With each length the first letters of its names: most
    /// headers of a request are passed by on them.
    by_length: [(u32, Vec<(HeaderName, Class)>); 64],
    prefixes: &'static [&'static str],
    /// The first letters that `prefixes` has.
    prefix_letters: u32,
    own_answer: HeaderName,
}

/// What a request's scrub found.
#[derive(Default)]
pub(super) struct Scrubbed {
    /// A name that only we may set was there: somebody tried (X01, X02).
    pub(super) spoofed: Option<HeaderName>,
}

impl Scrubber {
    pub(super) fn new(plan: &HeaderPlan) -> Self {
        let mut scrubber = Self {
            by_length: std::array::from_fn(|_| (0, Vec::new())),
            prefixes: plan.protected_prefixes(),
            prefix_letters: plan
                .protected_prefixes()
                .iter()
                .filter_map(|p| p.bytes().next())
                .fold(0, |l, b| l | 1 << (b & 31)),
            own_answer: HeaderName::from_static("x-anteroom"),
        };
        HOP_BY_HOP.iter().for_each(|name| scrubber.add(name, Class::HopByHop));
        FORWARDING.iter().for_each(|name| scrubber.add(name, Class::Forwarding));
        for name in OTHER_FORWARDING {
            scrubber.add(&HeaderName::from_static(name), Class::Forwarding);
        }
        plan.protected_names().for_each(|name| scrubber.add(name, Class::Identity));
        scrubber
    }

    fn add(&mut self, name: &HeaderName, class: Class) {
        let text = name.as_str();
        if let (Some((letters, names)), Some(first)) = (self.by_length.get_mut(text.len().min(63)), text.bytes().next())
        {
            *letters |= 1 << (first & 31);
            names.retain(|(known, _)| known != name);
            names.push((name.clone(), class));
        }
    }

    fn class(&self, name: &HeaderName) -> Option<Class> {
        let text = name.as_str();
        let first = text.bytes().next().unwrap_or(0);
        if let Some((letters, names)) = self.by_length.get(text.len().min(63))
            && letters & (1 << (first & 31)) != 0
            && let Some((_, class)) = names.iter().find(|(known, _)| known == name)
        {
            return Some(*class);
        }
        // CGI and its heirs read `_`, and some `.` or any other mark, as `-`; no name of the standards has one (X02).
        let folds = || text.bytes().any(|b| !b.is_ascii_alphanumeric() && b != b'-');
        let family = self.prefix_letters & (1 << (first & 31)) != 0;
        let family = family && self.prefixes.iter().any(|prefix| text.starts_with(prefix));
        if family || folds() { Some(Class::Identity) } else { None }
    }

    /// Drops from a client's request everything it may not say and everything that ends here.
    pub(super) fn request(&self, headers: &mut HeaderMap) -> Scrubbed {
        let mut out = Scrubbed::default();
        let mut drop_names: Vec<HeaderName> = Vec::new();
        for name in headers.keys() {
            match self.class(name) {
                None => {}
                Some(class) => {
                    if class == Class::Identity && out.spoofed.is_none() {
                        out.spoofed = Some(name.clone());
                    }
                    drop_names.push(name.clone());
                }
            }
        }
        named_by_connection(headers, &mut drop_names);
        for name in drop_names {
            headers.remove(name);
        }
        out
    }

    /// Drops from an application's answer what ends at this hop, and our own marks, which only we may set.
    ///
    /// # Errors
    /// Its framing can be read in two ways; nothing of it may go on (F16).
    pub(super) fn answer(&self, headers: &mut HeaderMap, upgrade: bool) -> Result<(), AmbiguousFraming> {
        if headers.contains_key(header::TRANSFER_ENCODING) {
            // We ask for no other coding and would strip its name from it.
            if !is_chunked(headers) || headers.contains_key(header::CONTENT_LENGTH) {
                return Err(AmbiguousFraming);
            }
        } else {
            let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
            let one = lengths.next().is_none_or(|length| length.as_bytes().iter().all(u8::is_ascii_digit));
            if !one || lengths.next().is_some() {
                return Err(AmbiguousFraming);
            }
        }
        let mut drop_names: Vec<HeaderName> = Vec::new();
        for name in headers.keys() {
            let hop = self.class(name) == Some(Class::HopByHop);
            let kept = upgrade && (*name == header::CONNECTION || *name == header::UPGRADE);
            if (hop && !kept) || *name == self.own_answer {
                drop_names.push(name.clone());
            }
        }
        if !upgrade {
            named_by_connection(headers, &mut drop_names);
        }
        for name in drop_names {
            headers.remove(name);
        }
        Ok(())
    }
}

/// The length of a message can be read in two ways.
pub(super) struct AmbiguousFraming;

/// Whether `Transfer-Encoding` is `chunked`, once, and nothing else (F03). hyper looks at the last coding only.
pub(super) fn is_chunked(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    matches!((codings.next(), codings.next()), (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"chunked"))
}

/// The names that `Connection` lists, but for those that it may not take away.
fn named_by_connection(headers: &HeaderMap, names: &mut Vec<HeaderName>) {
    for value in headers.get_all(header::CONNECTION) {
        if matches!(value.as_bytes(), b"keep-alive" | b"close") {
            continue;
        }
        for token in value.as_bytes().split(|b| *b == b',') {
            if let Ok(name) = HeaderName::from_bytes(token.trim_ascii())
                && !NOT_HOP_BY_HOP.contains(&name)
            {
                names.push(name);
            }
        }
    }
}

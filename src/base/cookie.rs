//! Cookies, read byte for byte (security cases E02 to E04, E14): what we do not write ourselves is not ours, while
//! whatever a careless parser behind us could take for ours never gets there.

use std::time::Duration;

use bytes::Bytes;
use http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use percent_encoding::percent_decode;

/// Largest name and value together (RFC 6265 section 6.1).
pub const MAX_LEN: usize = 4096;

/// What a request holds under a cookie name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// Nothing, or a value that is not ASCII and so was never ours.
    None,
    /// Exactly one.
    One(&'a str),
    /// More than one: somebody planted a second. None counts (E03).
    Many,
}

/// The cookie of exactly this name.
pub fn find<'a>(headers: &'a HeaderMap, name: &str) -> Found<'a> {
    let mut found = None;
    // Loops, not iterators in iterators: runs on every request.
    for line in headers.get_all(COOKIE) {
        for (i, pair) in (Pairs { rest: Some(line.as_bytes()) }).enumerate() {
            let pair = if i == 0 { pair } else { pair.strip_prefix(b" ").unwrap_or(pair) };
            if let Some(value) = strip_name(pair, name.as_bytes())
                && found.replace(value).is_some()
            {
                return Found::Many;
            }
        }
    }
    found.and_then(ascii).map_or(Found::None, Found::One)
}

/// Names and values of all cookies whose name starts with exactly `prefix`, in order; attempt cookies are found so.
pub fn with_prefix<'a>(headers: &'a HeaderMap, prefix: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    pairs(headers)
        .filter(move |pair| pair.starts_with(prefix.as_bytes()))
        .filter_map(|pair| ascii(pair).and_then(|pair| pair.split_once('=')))
}

/// The parts of a line between its semicolons, found many bytes at a time.
struct Pairs<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let Some((pair, after)) = memchr::memchr(b';', rest).and_then(|at| rest.split_at_checked(at)) else {
            return self.rest.take();
        };
        self.rest = after.get(1..);
        Some(pair)
    }
}

/// `name=value` texts of all `Cookie` lines. Browsers write `; ` between them: one space goes, nothing else is trimmed,
/// and quotes and `$Version` mean nothing.
fn pairs(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers.get_all(COOKIE).iter().flat_map(|line| {
        let pairs = Pairs { rest: Some(line.as_bytes()) }.enumerate();
        pairs.map(|(i, pair)| if i == 0 { pair } else { pair.strip_prefix(b" ").unwrap_or(pair) })
    })
}

fn strip_name<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    pair.strip_prefix(name)?.strip_prefix(b"=")
}

fn ascii(bytes: &[u8]) -> Option<&str> {
    if bytes.is_ascii() { std::str::from_utf8(bytes).ok() } else { None }
}

/// Removes from a request every cookie that is ours or could be taken for ours, so that the upstream sees neither. All
/// other bytes stay as they are; a line with nothing left is removed. Returns how many cookies went.
///
/// `names` are the session cookie's (`__Host-anteroom`); names that go on with `-` are ours too. Nothing is copied when
/// there is nothing to remove.
pub fn strip_own(headers: &mut HeaderMap, names: &[&str]) -> usize {
    let mut lines = headers.get_all(COOKIE).iter();
    match (lines.next(), lines.next()) {
        (None, _) => 0,
        // As HTTP/1.1 browsers send it (RFC 6265 section 5.4).
        (Some(line), None) => {
            let Some((own, rest)) = without_own(line, names) else { return 0 };
            match rest {
                Some(rest) => drop(headers.insert(COOKIE, rest)),
                None => drop(headers.remove(COOKIE)),
            }
            own
        }
        (Some(_), Some(_)) => {
            let mut own = 0;
            let mut kept = Vec::new();
            for line in headers.get_all(COOKIE) {
                match without_own(line, names) {
                    None => kept.push(line.clone()),
                    Some((count, rest)) => {
                        own += count;
                        kept.extend(rest);
                    }
                }
            }
            if own > 0 {
                headers.remove(COOKIE);
                for line in kept {
                    headers.append(COOKIE, line);
                }
            }
            own
        }
    }
}

/// How many pairs of `line` are ours or could be taken for ours, and the line without them; `None` if there is none.
fn without_own(line: &HeaderValue, names: &[&str]) -> Option<(usize, Option<HeaderValue>)> {
    let line = line.as_bytes();
    let (mut own, mut out) = (0, Vec::new());
    // Where the pairs end that were looked at and are kept as they stand.
    let mut seen = 0usize;
    for pair in (Pairs { rest: Some(line) }) {
        if resembles(pair, names) {
            if own == 0 {
                out.reserve_exact(line.len());
                out.extend_from_slice(line.get(..seen.saturating_sub(1)).unwrap_or_default());
            }
            own += 1;
        } else if own > 0 {
            if out.is_empty() {
                out.extend_from_slice(pair.strip_prefix(b" ").unwrap_or(pair));
            } else {
                out.push(b';');
                out.extend_from_slice(pair);
            }
        }
        seen += pair.len() + 1;
    }
    if own == 0 {
        return None;
    }
    let rest = Some(out).filter(|out| !out.is_empty());
    Some((own, rest.and_then(|rest| HeaderValue::from_maybe_shared(Bytes::from(rest)).ok())))
}

/// Removes from an upstream's answer every `Set-Cookie` of a name that is ours or could be taken for ours: an upstream
/// makes no sessions here (E14). Returns how many went.
pub fn drop_own_set_cookies(headers: &mut HeaderMap, names: &[&str]) -> usize {
    let is_own = |line: &HeaderValue| resembles(line.as_bytes(), names);
    let own = headers.get_all(SET_COOKIE).iter().filter(|line| is_own(line)).count();
    if own > 0 {
        let kept: Vec<_> = headers.get_all(SET_COOKIE).iter().filter(|line| !is_own(line)).cloned().collect();
        headers.remove(SET_COOKIE);
        for line in kept {
            headers.append(SET_COOKIE, line);
        }
    }
    own
}

/// Whether some parser could take this pair's name for ours: after white space, control and non-ASCII bytes (which
/// frameworks trim as Unicode spaces), quotes, a `=` of a nameless cookie, or in other case or escaped (E04).
fn resembles(pair: &[u8], names: &[&str]) -> bool {
    let junk = |b: u8| !b.is_ascii_alphanumeric() && b != b'_' && b != b'%';
    let mut pair = pair;
    while let Some((&first, rest)) = pair.split_first()
        && junk(first)
    {
        pair = rest;
    }
    names.iter().any(|name| {
        let reach = pair.get(..3 * name.len()).unwrap_or(pair);
        if let Some(at) = memchr::memchr2(b'%', b'=', reach)
            && reach.get(at) == Some(&b'%')
        {
            let decoded: Vec<u8> = percent_decode(pair).take(name.len() + 1).collect();
            return starts_like(&decoded, name);
        }
        starts_like(pair, name)
    })
}

fn starts_like(pair: &[u8], name: &str) -> bool {
    let Some((head, rest)) = pair.split_at_checked(name.len()) else { return false };
    let ends = rest.first().is_none_or(|b| !b.is_ascii_alphanumeric() && *b != b'_');
    ends && head.eq_ignore_ascii_case(name.as_bytes())
}

/// When a browser sends a cookie along from another site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    Lax,
    None,
}

/// A cookie to set: `Path=/`, `HttpOnly`, always (E02).
#[derive(Clone, Copy, Debug)]
pub struct SetCookie<'a> {
    /// Complete, with `__Host-` where `secure` is set.
    pub name: &'a str,
    pub value: &'a str,
    /// None: for this host alone.
    pub domain: Option<&'a str>,
    /// None: until the browser closes.
    pub max_age: Option<Duration>,
    /// `None` needs `secure`; without it browsers would drop the cookie, so it becomes `Lax`.
    pub same_site: SameSite,
    /// False only on plain http off loopback (`server.insecure_http`).
    pub secure: bool,
}

/// A name or value that no cookie may have, or more than [`MAX_LEN`]. A mistake of the caller; the value is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cookie that a browser would take back unchanged")]
pub struct InvalidCookie;

impl SetCookie<'_> {
    /// The `Set-Cookie` value, marked sensitive.
    ///
    /// # Errors
    /// See [`InvalidCookie`].
    pub fn header(&self) -> Result<HeaderValue, InvalidCookie> {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let octet = |b: u8| b.is_ascii_graphic() && !b"\",;\\".contains(&b);
        let named = !self.name.is_empty() && self.name.bytes().all(token);
        let prefixed = self.secure || !self.name.starts_with("__");
        let host_only = self.name.starts_with("__Host-");
        let shared =
            |domain: &str| !host_only && domain.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
        let valued = self.value.bytes().all(octet) && self.name.len() + self.value.len() <= MAX_LEN;
        if !named || !prefixed || !self.domain.is_none_or(shared) || !valued {
            return Err(InvalidCookie);
        }
        let mut text = format!("{}={}; Path=/; HttpOnly", self.name, self.value);
        if let Some(domain) = self.domain {
            text.push_str("; Domain=");
            text.push_str(domain);
        }
        if self.secure {
            text.push_str("; Secure");
        }
        text.push_str(match (self.same_site, self.secure) {
            (SameSite::None, true) => "; SameSite=None",
            _ => "; SameSite=Lax",
        });
        if let Some(age) = self.max_age {
            text.push_str("; Max-Age=");
            text.push_str(itoa::Buffer::new().format(age.as_secs()));
        }
        let mut value = HeaderValue::from_maybe_shared(Bytes::from(text)).map_err(|_| InvalidCookie)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// The `Set-Cookie` value that makes a browser forget the host-only cookie `name`. A `__Host-` name needs `secure`.
///
/// # Errors
/// See [`InvalidCookie`].
pub fn expire(name: &str, secure: bool) -> Result<HeaderValue, InvalidCookie> {
    SetCookie { name, value: "", domain: None, max_age: Some(Duration::ZERO), same_site: SameSite::Lax, secure }
        .header()
}

#[cfg(test)]
mod tests;

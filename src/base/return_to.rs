//! Where a browser goes after sign-in: the one parser for `rd`, RelayState targets and `target_link_uri` (security cases
//! R01 to R08).

use std::fmt;

use crate::base::path::{self, Own};

/// Longest accepted text, in bytes.
pub const MAX_LEN: usize = 2048;

/// Own pages that a sign-in may lead to, below the own prefix: each goes on to an application.
const OWN_PAGES: [&str; 1] = ["sign-in/resend"];

/// A place on the origin that asks: path and query, and a fragment if one was given. Starts with exactly one `/`, is
/// visible ASCII without backslash, and its path is in normal form, so no browser reads another host out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTo(String);

/// Why a target was not taken. The caller goes to [`ReturnTo::root`] and logs `redirect_rejected` with
/// [`reason`](Self::reason).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Nothing, or more than [`MAX_LEN`].
    #[error("the target is empty or longer than {MAX_LEN} bytes")]
    Length,
    /// A space, a control, a backslash or a non-ASCII character, raw.
    #[error("the target has a character that no target may have")]
    Character,
    /// Neither `/…` nor one of our origins: another host or scheme, `//host`, user info, another port.
    #[error("the target is on another origin")]
    Origin,
    /// The path has no normal form, or a script's scheme for a first segment.
    #[error("the target's path is not acceptable")]
    Path,
    /// A page of our own, but for the few that go on from a sign-in.
    #[error("the target is an own page")]
    OwnPath,
}

impl Rejected {
    /// A stable code for logs.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Character => "character",
            Self::Origin => "origin",
            Self::Path => "path",
            Self::OwnPath => "own_path",
        }
    }
}

impl ReturnTo {
    /// `/`
    pub fn root() -> Self {
        Self(String::from("/"))
    }

    /// Reads `text`, once percent-decoded if it came in a query: a path, or a URL on one of `origins`
    /// (`scheme://host[:port]` in normal form), which is cut to its path. Pass the origins whose paths mean the same
    /// place: with applications on several hosts, those of one host at a time.
    ///
    /// # Errors
    /// See [`Rejected`].
    pub fn parse(text: &str, origins: &[&str], own_prefix: &str) -> Result<Self, Rejected> {
        if text.is_empty() || text.len() > MAX_LEN {
            return Err(Rejected::Length);
        }
        if !text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
            return Err(Rejected::Character);
        }
        let target = if text.starts_with('/') {
            text
        } else {
            origins.iter().find_map(|origin| after_origin(text, origin)).ok_or(Rejected::Origin)?
        };
        let (before_fragment, fragment) = split_before(target, '#');
        let (raw_path, query) = split_before(before_fragment, '?');
        // Only "https://host" and "https://host?x" have no path.
        let raw_path = if raw_path.is_empty() { "/" } else { raw_path };
        // Merging slashes is for requests, which have reached us already; here "//host" is a host.
        if raw_path.starts_with("//") {
            return Err(Rejected::Origin);
        }
        let normal = path::normalize(raw_path).map_err(|_| Rejected::Path)?;
        if looks_like_script(&normal) {
            return Err(Rejected::Path);
        }
        match path::own(&normal, &normal, own_prefix) {
            Own::No => {}
            Own::Exact(page) if OWN_PAGES.contains(&page) => {}
            Own::Exact(_) | Own::Confusable => return Err(Rejected::OwnPath),
        }
        // As a browser would write it; and it is sealed as JSON, where a quote would take twice its room.
        let target = format!("{normal}{query}{fragment}").replace('"', "%22");
        if target.len() > MAX_LEN { Err(Rejected::Length) } else { Ok(Self(target)) }
    }

    /// The target as a relative reference, fit for `Location`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReturnTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What follows `origin` in `text`, if `text` is a URL on it. Scheme and host have no case; the origin ends where a
/// path or query begins, so `https://app.example.com.evil` and `…com:444` are not on it.
fn after_origin<'a>(text: &'a str, origin: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(origin.len())?;
    let ends = rest.is_empty() || rest.starts_with(['/', '?', '#']);
    (head.eq_ignore_ascii_case(origin) && ends).then_some(rest)
}

/// `text` cut before the first `mark`; the mark stays with the second part.
fn split_before(text: &str, mark: char) -> (&str, &str) {
    text.split_at_checked(text.find(mark).unwrap_or(text.len())).unwrap_or((text, ""))
}

/// `/javascript:…` and `/%20…`: harmless as they stand, but one careless cut of the slash away from a script or a host.
fn looks_like_script(path: &str) -> bool {
    let first = path.trim_start_matches('/');
    let scheme = first.split(':').next().unwrap_or_default();
    let named =
        first.contains(':') && ["javascript", "data", "vbscript"].iter().any(|s| scheme.eq_ignore_ascii_case(s));
    named || first.starts_with("%20")
}

#[cfg(test)]
mod tests;

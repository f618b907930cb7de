//! Where a browser goes after sign-in: the one parser for `rd`, RelayState targets and `target_link_uri` (security cases
//! R01 to R08).

use std::fmt;

use crate::base::path::{self, Own};

/// Longest accepted text, in bytes.
pub const MAX_LEN: usize = 2048;

/// An own page that a sign-in may lead to, on any host of ours: it sends a form that waits to an application.
pub const RESEND: &str = "sign-in/resend";

/// The own path beside which no own page is a target: a sign-in for an application on another host ends there.
pub const HAND_OFF: &str = "hand-off";

/// A place on the origin that asks, as path and query, and a fragment if one was given; or the same on another origin of
/// ours. The path starts with exactly one `/`, all of it is visible ASCII without backslash, and the path is in normal
/// form, so no browser reads another host out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTo {
    /// Origin, path, query and fragment.
    text: Box<str>,
    /// Where the path begins: 0 on the origin that asks.
    path_at: u16,
    hand_off: bool,
}

/// What a target is read against.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// The origin that asks (`scheme://host[:port]` in normal form): its URLs are cut to their paths. Empty: paths only.
    pub here: &'a str,
    /// Other origins of ours that a target may be on.
    pub elsewhere: &'a [&'a str],
    /// Own prefix without a trailing slash.
    pub prefix: &'a str,
    /// Whether a sign-in may end at [`HAND_OFF`].
    pub hand_off: bool,
}

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
        Self { text: "/".into(), path_at: 0, hand_off: false }
    }

    /// Reads a path, once percent-decoded if it came in a query.
    ///
    /// # Errors
    /// See [`Rejected`].
    pub fn path(text: &str, prefix: &str) -> Result<Self, Rejected> {
        Self::parse(text, &Places { here: "", elsewhere: &[], prefix, hand_off: false })
    }

    /// Reads `text`, once percent-decoded if it came in a query: a path, or a URL on an origin of ours.
    ///
    /// # Errors
    /// See [`Rejected`].
    pub fn parse(text: &str, places: &Places<'_>) -> Result<Self, Rejected> {
        if text.is_empty() || text.len() > MAX_LEN {
            return Err(Rejected::Length);
        }
        if !text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
            return Err(Rejected::Character);
        }
        let (origin, target) = split_origin(text, places).ok_or(Rejected::Origin)?;
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
        let hand_off = match path::own(raw_path, &normal, places.prefix) {
            Own::No | Own::Exact(RESEND) => false,
            Own::Exact(HAND_OFF) if places.hand_off && origin.is_empty() && fragment.is_empty() => true,
            Own::Exact(_) | Own::Confusable => return Err(Rejected::OwnPath),
        };
        // As a browser would write it; and it is sealed as JSON, where a quote would take twice its room.
        let text = format!("{origin}{normal}{query}{fragment}").replace('"', "%22");
        match u16::try_from(origin.len()) {
            Ok(path_at) if text.len() <= MAX_LEN => Ok(Self { text: text.into(), path_at, hand_off }),
            Ok(_) | Err(_) => Err(Rejected::Length),
        }
    }

    /// The target: a relative reference, or a URL on another origin of ours.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Path, query and fragment: a relative reference on its own origin, fit for `Location` there.
    pub fn on_its_origin(&self) -> &str {
        self.text.get(usize::from(self.path_at)..).unwrap_or("/")
    }

    /// The origin, if it is another than the one that asks.
    pub fn elsewhere(&self) -> Option<&str> {
        self.text.get(..usize::from(self.path_at)).filter(|origin| !origin.is_empty())
    }

    /// The query of the hand-off that it is.
    pub fn hand_off(&self) -> Option<&str> {
        self.hand_off.then(|| self.text.split_once('?').map_or("", |(_, query)| query))
    }
}

impl fmt::Display for ReturnTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The origin of `text`, empty if it is the one that asks, and the rest.
fn split_origin<'a>(text: &'a str, places: &Places<'a>) -> Option<(&'a str, &'a str)> {
    if text.starts_with('/') {
        return Some(("", text));
    }
    let here = Some(places.here).filter(|here| !here.is_empty()).and_then(|here| after_origin(text, here));
    let on = |origin: &&'a str| Some((*origin, after_origin(text, origin)?));
    here.map(|rest| ("", rest)).or_else(|| places.elsewhere.iter().find_map(on))
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

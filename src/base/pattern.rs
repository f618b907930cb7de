//! Path patterns of routes.

use std::str::FromStr;

/// `/a/*/b` or `/a/**`: `*` is one segment, `**` zero or more at the end; `/a/**` matches `/a/` and below, not `/a`.
/// Case-sensitive; matched on the path's normal form, which is also what is forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    segments: Vec<Segment>,
    open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Exact(String),
    Any,
}

/// A text that is no path pattern, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    #[error("a path pattern starts with '/'")]
    NoSlash,
    #[error("'**' stands only at the end, and a '*' is a whole segment: '/a/*/b', '/a/**'")]
    Wildcard,
    #[error("a path pattern is in normal form: no empty, '.' or '..' segments, no '%', '?', '#', ';' or backslash")]
    NotNormal,
}

impl FromStr for PathPattern {
    type Err = InvalidPattern;

    fn from_str(s: &str) -> Result<Self, InvalidPattern> {
        let rest = s.strip_prefix('/').ok_or(InvalidPattern::NoSlash)?;
        let mut segments = Vec::new();
        let mut open = false;
        let count = rest.split('/').count();
        for (i, part) in rest.split('/').enumerate() {
            let last = i + 1 == count;
            match part {
                "**" if last => open = true,
                "*" => segments.push(Segment::Any),
                _ if part.contains('*') => return Err(InvalidPattern::Wildcard),
                "." | ".." => return Err(InvalidPattern::NotNormal),
                "" if !last => return Err(InvalidPattern::NotNormal),
                _ if part.bytes().any(|b| b.is_ascii_control() || b" %?#;\\".contains(&b)) => {
                    return Err(InvalidPattern::NotNormal);
                }
                _ => segments.push(Segment::Exact(part.to_owned())),
            }
        }
        Ok(Self { segments, open })
    }
}

impl PathPattern {
    /// Whether `path`, in normal form, matches.
    pub fn matches(&self, path: &str) -> bool {
        let Some(rest) = path.strip_prefix('/') else { return false };
        let mut parts = rest.split('/');
        for segment in &self.segments {
            match (segment, parts.next()) {
                (Segment::Exact(want), Some(have)) if want == have => {}
                (Segment::Any, Some(have)) if !have.is_empty() => {}
                _ => return false,
            }
        }
        if self.open { parts.next().is_some() } else { parts.next().is_none() }
    }
}

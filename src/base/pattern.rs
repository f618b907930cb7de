//! Path patterns of routes.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use crate::base::path;

/// `/a/*/b` or `/a/**`: `*` is one segment that is not empty, `**` zero or more at the end; `/a/**` matches `/a/` and
/// below, not `/a`. Anchored at both ends, case-sensitive, matched on the path's normal form, which is also what is
/// forwarded (P04).
///
/// Segments are compared decoded: an upstream reads `/a%40b` and `/a@b` as one name, so a rule for one holds for both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    segments: Vec<Segment>,
    open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// A name: in normal form, and decoded if that differs.
    Exact {
        normal: String,
        decoded: Option<Vec<u8>>,
    },
    Any,
}

/// A text that is no path pattern, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    #[error("a path pattern starts with '/'")]
    NoSlash,
    #[error("'**' stands only at the end, and a '*' is a whole segment: '/a/*/b', '/a/**'")]
    Wildcard,
    #[error("a path pattern has no empty, '.' or '..' segments, no space, '?', '#', ';' or backslash")]
    NotNormal,
    #[error(
        "a path pattern is no regular expression and no URL template: '*' is one segment, '**' is the rest; write a literal ( ) $ | ^ [ ] {{ }} or a leading ':' percent-encoded"
    )]
    Foreign,
}

impl FromStr for PathPattern {
    type Err = InvalidPattern;

    fn from_str(s: &str) -> Result<Self, InvalidPattern> {
        let rest = s.strip_prefix('/').ok_or(InvalidPattern::NoSlash)?;
        let mut segments = Vec::new();
        let mut open = false;
        let mut parts = rest.split('/').peekable();
        while let Some(part) = parts.next() {
            let last = parts.peek().is_none();
            match part {
                "**" if last => open = true,
                "*" => segments.push(Segment::Any),
                "" if !last => return Err(InvalidPattern::NotNormal),
                _ => segments.push(literal(part)?),
            }
        }
        Ok(Self { segments, open })
    }
}

/// A segment without wildcards. Non-ASCII characters and escapes are taken in any spelling.
fn literal(part: &str) -> Result<Segment, InvalidPattern> {
    if part.starts_with(':') || part.contains(['(', ')', '$', '|', '^', '[', ']', '{', '}']) {
        return Err(InvalidPattern::Foreign);
    }
    if part.contains('*') {
        return Err(InvalidPattern::Wildcard);
    }
    if part.contains([';', '"', '<', '>', '`']) {
        return Err(InvalidPattern::NotNormal);
    }
    let rooted = format!("/{part}");
    let normal = path::normalize(&rooted).map_err(|_| InvalidPattern::NotNormal)?;
    let normal = normal.strip_prefix('/').unwrap_or_default().to_owned();
    let decoded = normal.contains('%').then(|| percent_decode_str(&normal).collect());
    Ok(Segment::Exact { normal, decoded })
}

impl fmt::Display for PathPattern {
    /// In normal form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            let name = match segment {
                Segment::Exact { normal, .. } => normal,
                Segment::Any => "*",
            };
            write!(f, "/{name}")?;
        }
        if self.open { f.write_str("/**") } else { Ok(()) }
    }
}

impl Segment {
    fn is(&self, have: &str) -> bool {
        match self {
            Self::Any => !have.is_empty(),
            Self::Exact { normal, .. } if normal == have => true,
            Self::Exact { decoded: Some(want), .. } => percent_decode_str(have).eq(want.iter().copied()),
            Self::Exact { normal, decoded: None } => have.contains('%') && percent_decode_str(have).eq(normal.bytes()),
        }
    }
}

impl PathPattern {
    /// Whether `path`, in normal form, matches.
    pub fn matches(&self, path: &str) -> bool {
        let Some(rest) = path.strip_prefix('/') else { return false };
        // Most paths differ from most patterns in their first byte.
        if let Some(Segment::Exact { normal, decoded: None }) = self.segments.first()
            && let (Some(want), Some(have)) = (normal.bytes().next(), rest.bytes().next())
            && want != have
            && have != b'%'
        {
            return false;
        }
        let mut parts = rest.split('/');
        for segment in &self.segments {
            if !parts.next().is_some_and(|have| segment.is(have)) {
                return false;
            }
        }
        parts.next().is_some() == self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> PathPattern {
        text.parse().unwrap_or_else(|e| panic!("{text:?}: {e}"))
    }

    /// P04
    #[test]
    fn patterns_match_whole_segments_from_the_root_to_the_end() {
        let table: [(&str, &[&str], &[&str]); 9] = [
            ("/", &["/"], &["/a", "/a/"]),
            ("/**", &["/", "/a", "/a/", "/a/b/c", "/*"], &[]),
            ("/a/**", &["/a/", "/a/b", "/a/b/", "/a/b/c.css"], &["/a", "/", "/A/", "/A/b", "/ab/", "/x/a/b", "/a;x/b"]),
            ("/public", &["/public"], &["/public/", "/publicadmin", "/x/public", "/Public", "/publi", "/public.css"]),
            ("/public/", &["/public/"], &["/public", "/public/x"]),
            ("/a/*/b", &["/a/x/b", "/a/.x/b"], &["/a//b", "/a/b", "/a/x/y/b", "/a/x/b/", "/a/x/bc"]),
            ("/*", &["/a", "/a@b"], &["/", "/a/", "/a/b"]),
            ("/*/**", &["/a/", "/a/b"], &["/", "/a"]),
            ("/a.b/**", &["/a.b/c"], &["/axb/c"]),
        ];
        for (text, yes, no) in table {
            let pattern = pattern(text);
            assert_eq!(pattern.to_string(), text);
            for path in yes {
                assert!(pattern.matches(path), "{text} should match {path}");
            }
            for path in no {
                assert!(!pattern.matches(path), "{text} should not match {path}");
            }
        }
    }

    #[test]
    fn a_name_matches_in_every_spelling_that_an_upstream_reads_as_it() {
        for (text, paths) in [
            ("/größe/**", ["/gr%C3%B6%C3%9Fe/", "/gr%C3%B6%C3%9Fe/x"].as_slice()),
            ("/gr%c3%b6%c3%9fe/**", &["/gr%C3%B6%C3%9Fe/x"]),
            ("/my%20docs/x", &["/my%20docs/x"]),
            ("/user@corp/**", &["/user@corp/x", "/user%40corp/x"]),
            ("/user%40corp/**", &["/user@corp/x", "/user%40corp/x"]),
            ("/c++/x", &["/c++/x", "/c%2B%2B/x", "/c+%2B/x"]),
            ("/a%28b%29", &["/a(b)", "/a%28b%29"]),
            ("/%61dmin", &["/admin"]),
        ] {
            for path in paths {
                assert!(pattern(text).matches(path), "{text} should match {path}");
            }
        }
        assert!(!pattern("/user@corp/**").matches("/user%41corp/x"));
        assert!(!pattern("/größe/**").matches("/gr%C3%B6%C3%9F/"));
    }

    /// P04
    #[test]
    fn what_is_no_pattern_is_refused_with_its_reason() {
        use InvalidPattern::{Foreign, NoSlash, NotNormal, Wildcard};
        for (text, why) in [
            ("", NoSlash),
            ("a/**", NoSlash),
            ("^/public", NoSlash),
            ("*", NoSlash),
            ("http://x/", NoSlash),
            ("/**/a", Wildcard),
            ("/a*", Wildcard),
            ("/a/*.css", Wildcard),
            ("/a/**x", Wildcard),
            ("/***", Wildcard),
            ("/public.*", Wildcard),
            ("/public$", Foreign),
            ("/(a|b)", Foreign),
            ("/{id}", Foreign),
            ("/users/:id", Foreign),
            ("/[a-z]", Foreign),
            ("/a^", Foreign),
            ("/(.*)", Foreign),
            ("//a", NotNormal),
            ("/a//b", NotNormal),
            ("/./a", NotNormal),
            ("/a/..", NotNormal),
            ("/a?x", NotNormal),
            ("/a#x", NotNormal),
            ("/a;x", NotNormal),
            ("/a b", NotNormal),
            ("/a\\d", NotNormal),
            ("/a%2fb", NotNormal),
            ("/a%2", NotNormal),
            ("/%2e%2e/a", NotNormal),
            ("/a\n", NotNormal),
            ("/%252e", NotNormal),
        ] {
            assert_eq!(text.parse::<PathPattern>(), Err(why), "{text:?}");
        }
    }
}

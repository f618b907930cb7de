//! The one normal form of a request path. Routes are judged on it and it is what the upstream receives, so the two can
//! never see different paths (security cases P01 to P03, P06 to P09). What has two readings is refused, not repaired.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Why a path has no normal form. Each is answered with 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Not `/…`: an asterisk, an authority, or nothing.
    #[error("a path starts with '/'")]
    NotAbsolute,
    /// A space, a control character or `? #`, raw; or a control character, escaped.
    #[error("the path has a character that no path may have")]
    Character,
    /// `\`, raw or escaped, or an escaped `/ ; ? #`: some servers take it for the real one.
    #[error("the path has an escaped delimiter or a backslash")]
    Delimiter,
    /// `.` or `..`, raw, escaped or with parameters (`..;x`).
    #[error("the path has a dot segment")]
    DotSegment,
    /// `%` without two hexadecimal digits.
    #[error("the path has a malformed percent-escape")]
    Escape,
    /// `%25` before what would then be an escape.
    #[error("the path is percent-encoded twice")]
    EncodedTwice,
    /// Escapes that decode to no UTF-8: overlong forms, lone surrogates, Latin-1.
    #[error("the path is not UTF-8")]
    NotUtf8,
    /// A character that some systems turn into path syntax.
    #[error("the path has a character that looks like path syntax")]
    LookAlike,
}

impl PathError {
    /// A stable code for logs.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotAbsolute => "path_not_absolute",
            Self::Character => "path_character",
            Self::Delimiter => "path_delimiter",
            Self::DotSegment => "path_dot_segment",
            Self::Escape => "path_escape",
            Self::EncodedTwice => "path_encoded_twice",
            Self::NotUtf8 => "path_not_utf8",
            Self::LookAlike => "path_look_alike",
        }
    }
}

/// What a byte is in a path that is as it should be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// RFC 3986 `unreserved`: an escape of it means the same.
    Unreserved,
    /// The rest of RFC 3986 `pchar`, and `/`: stands raw, and its escape is something else.
    Reserved,
    /// Visible, but always escaped in a path: `" < > [ ] ^ ` { | }` and `%` itself, and bytes from 0x80.
    Escaped,
    /// Never in a path: controls, the space, `? # \`.
    Never,
}

const fn classify(byte: u8) -> Class {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => Class::Unreserved,
        b'/' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@' => {
            Class::Reserved
        }
        0..=b' ' | 0x7f | b'?' | b'#' | b'\\' => Class::Never,
        _ => Class::Escaped,
    }
}

/// True for bytes that a normal path holds as they are.
static PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0usize;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, clippy::indexing_slicing, reason = "evaluated at compile time")]
        {
            table[byte] = matches!(classify(byte as u8), Class::Unreserved | Class::Reserved);
        }
        byte += 1;
    }
    table
};

/// The normal form of `path`, the raw path of a request target without its query.
///
/// Escapes of unreserved characters are decoded, all others are kept in upper case; characters that may not stand raw
/// (`{`, `|`, non-ASCII) are escaped; repeated slashes are one. Applying it twice changes nothing.
///
/// Runs on every request: a path that is normal already is returned as it came after one scan.
///
/// # Errors
/// See [`PathError`].
pub fn normalize(path: &str) -> Result<Cow<'_, str>, PathError> {
    if !path.starts_with('/') {
        return Err(PathError::NotAbsolute);
    }
    let mut plain = true;
    let mut before = 0u8;
    for &byte in path.as_bytes() {
        let in_table = PLAIN.get(usize::from(byte)).is_some_and(|&p| p);
        // "//" is merged and a segment that starts with a dot is looked at.
        plain &= in_table & !((before == b'/') & ((byte == b'/') | (byte == b'.')));
        before = byte;
    }
    if plain {
        return Ok(Cow::Borrowed(path));
    }
    let normal = rewrite(path)?;
    Ok(if normal == path { Cow::Borrowed(path) } else { Cow::Owned(normal) })
}

fn rewrite(path: &str) -> Result<String, PathError> {
    let mut out = String::with_capacity(path.len() + 16);
    let mut wide = Vec::new(); // the run of bytes from 0x80 that ends at this point
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        let (value, escaped) = match byte {
            b'%' => (hex(rest.next())? << 4 | hex(rest.next())?, true),
            raw => (raw, false),
        };
        if value >= 0x80 {
            wide.push(value);
            push_escape(&mut out, value);
            continue;
        }
        check_wide(&mut wide)?;
        match (classify(value), escaped) {
            (Class::Reserved, true) if matches!(value, b'/' | b';') => return Err(PathError::Delimiter),
            (Class::Never, true) if value == b' ' => push_escape(&mut out, value),
            (Class::Never, true) if matches!(value, b'?' | b'#') => return Err(PathError::Delimiter),
            (Class::Never, _) if value == b'\\' => return Err(PathError::Delimiter),
            (Class::Never, _) => return Err(PathError::Character),
            (Class::Reserved, false) if value == b'/' && out.ends_with('/') => {}
            (Class::Unreserved, _) | (Class::Reserved, false) => out.push(char::from(value)),
            (Class::Reserved | Class::Escaped, _) => push_escape(&mut out, value),
        }
    }
    check_wide(&mut wide)?;
    if out.split('/').any(is_dot_segment) {
        return Err(PathError::DotSegment);
    }
    if out.match_indices("%25").any(|(at, _)| starts_like_escape(out.as_bytes().get(at + 3..).unwrap_or_default())) {
        return Err(PathError::EncodedTwice);
    }
    Ok(out)
}

fn hex(digit: Option<u8>) -> Result<u8, PathError> {
    match digit {
        Some(d @ b'0'..=b'9') => Ok(d - b'0'),
        Some(d @ b'a'..=b'f') => Ok(d - b'a' + 10),
        Some(d @ b'A'..=b'F') => Ok(d - b'A' + 10),
        _ => Err(PathError::Escape),
    }
}

fn push_escape(out: &mut String, byte: u8) {
    out.push('%');
    for nibble in [byte >> 4, byte & 15] {
        out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase());
    }
}

/// `.` and `..`, also with path parameters (`..;x`, which servlet containers cut) and with spaces behind (which
/// Windows cuts).
fn is_dot_segment(segment: &str) -> bool {
    let name = segment.split(';').next().unwrap_or_default();
    matches!(name.trim_end_matches("%20"), "." | "..")
}

/// Whether these bytes after a percent sign would make an escape: two digits, or `u` and four (IIS).
fn starts_like_escape(bytes: &[u8]) -> bool {
    let digits = |from: usize, n: usize| bytes.get(from..from + n).is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit));
    digits(0, 2) || (matches!(bytes.first(), Some(b'u' | b'U')) && digits(1, 4))
}

/// Ends a run of bytes from 0x80: it must be UTF-8 without characters that turn into path syntax.
fn check_wide(run: &mut Vec<u8>) -> Result<(), PathError> {
    if run.is_empty() {
        return Ok(());
    }
    let text = std::str::from_utf8(run).map_err(|_| PathError::NotUtf8)?;
    if text.chars().any(char::is_control) {
        return Err(PathError::Character);
    }
    if text.chars().any(is_look_alike) {
        return Err(PathError::LookAlike);
    }
    run.clear();
    Ok(())
}

/// Characters that compatibility normalisation (NFKC), canonical equivalence (U+037E) or the best-fit tables of Windows
/// code pages turn into `. / \ ; ? # %`. The yen and won signs are the backslash of Japanese and Korean code pages.
/// Left out on purpose: U+2026 and U+3002, which become no dot segment and do occur in file names.
const fn is_look_alike(c: char) -> bool {
    matches!(
        c,
        '\u{2024}' | '\u{2025}' | '\u{fe30}' | '\u{fe52}' | '\u{ff0e}'                  // . and ..
        | '\u{2044}' | '\u{2215}' | '\u{29f8}' | '\u{ff0f}'                             // /
        | '\u{2100}' | '\u{2101}' | '\u{2105}' | '\u{2106}'                             // a/c a/s c/o c/u
        | '\u{2216}' | '\u{29f5}' | '\u{29f9}' | '\u{fe68}' | '\u{ff3c}' | '\u{a5}' | '\u{20a9}' | '\u{ffe6}' // \
        | '\u{37e}' | '\u{fe14}' | '\u{fe54}' | '\u{ff1b}'                              // ;
        | '\u{2047}' | '\u{2048}' | '\u{2049}' | '\u{fe16}' | '\u{fe56}' | '\u{ff1f}'   // ?
        | '\u{fe5f}' | '\u{ff03}'                                                       // #
        | '\u{fe6a}' | '\u{ff05}' // %
    )
}

/// The path as a servlet container sees it: each segment of the normal form `path` cut at its first `;`, empty
/// segments merged. None when there is no `;`. A route is judged on both and the stricter verdict counts (P02).
pub fn without_parameters(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains(';') {
        return None;
    }
    let mut out = String::with_capacity(path.len());
    for segment in path.split('/').skip(1) {
        if !out.ends_with('/') {
            out.push('/');
        }
        out.push_str(segment.split(';').next().unwrap_or_default());
    }
    // "/a;x" has one part and no slash behind; "/a/;x" ends in the slash that the loop pushed.
    Some(Cow::Owned(out))
}

/// How a path stands to the prefix of the product's own pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own<'a> {
    /// An application's path.
    No,
    /// An own path; what follows the prefix and its slash, possibly empty.
    Exact(&'a str),
    /// The own prefix in other case, escaped, with parameters, without its slash: 404, never proxied (P09).
    Confusable,
}

/// Judges a path against `prefix`, the configured own prefix (`/.anteroom`, with or without a slash at its end). `raw` is
/// the path as it came and `path` its normal form: an own path that had to be rewritten is another spelling.
pub fn own<'a>(raw: &str, path: &'a str, prefix: &str) -> Own<'a> {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    // Decides nearly every request: whatever is folded, a letter or digit in the first place stays the same but for case.
    if let ([b'/', have, ..], [b'/', want, ..]) = (path.as_bytes(), prefix.as_bytes())
        && have.is_ascii_alphanumeric()
        && want.is_ascii()
        && !have.eq_ignore_ascii_case(want)
    {
        return Own::No;
    }
    if let Some(rest) = path.strip_prefix(prefix) {
        if let Some(rest) = rest.strip_prefix('/') {
            return if raw == path { Own::Exact(rest) } else { Own::Confusable };
        }
        if rest.is_empty() {
            return Own::Confusable;
        }
    }
    let is_name = |path: &str| {
        let depth = prefix.matches('/').count();
        let end = path.match_indices('/').nth(depth).map_or(path.len(), |(at, _)| at);
        let head = path.get(..end).unwrap_or_default();
        // Not the same length and nothing that could stand for something else: it cannot be the prefix.
        let suspect = head.len() == prefix.len() || head.bytes().any(|b| matches!(b, b'%' | b'.'));
        suspect && folded(head) == folded(prefix)
    };
    let cut = without_parameters(path);
    if is_name(path) || cut.is_some_and(|cut| is_name(&cut)) { Own::Confusable } else { Own::No }
}

/// What a careless file system or router makes of a path: escapes decoded, letters folded in case and width, dots and
/// spaces cut from the ends of segments.
fn folded(path: &str) -> String {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let narrow = decoded.chars().map(|c| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{17f}' => 's',
        _ => c,
    });
    let lower: String = narrow.flat_map(char::to_lowercase).collect();
    lower.split('/').map(|segment| segment.trim_end_matches(['.', ' '])).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests;

//! E-mail addresses and their domains. One normaliser for configuration, the typed address and provider claims
//! (security cases D02, D03, I08, I09).

use std::fmt;
use std::str::FromStr;

/// An e-mail domain in normal form: lower-case A-labels without a trailing dot. Two spellings that a mail server
/// treats as one compare equal; look-alikes (full-width letters, the Kelvin sign, ideographic dots) are refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailDomain(String);

/// A text that is no e-mail domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail domain")]
pub struct InvalidDomain;

impl EmailDomain {
    /// The domain in normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EmailDomain {
    type Err = InvalidDomain;

    /// Takes the domain in upper or lower case, as U-labels or A-labels, with at most one trailing dot.
    fn from_str(s: &str) -> Result<Self, InvalidDomain> {
        let written = s.strip_suffix('.').unwrap_or(s);
        // UTS 46 also maps what only looks alike (full-width letters, ideographic dots, invisible characters) onto the
        // characters of a domain that somebody else owns. Whatever it changed beyond letter case is refused, not
        // repaired. Lower-casing first, character by character, must itself not make ASCII of anything (Kelvin sign,
        // dotted capital I).
        let made_ascii = |c: char| !c.is_ascii() && c.to_lowercase().any(|l| l.is_ascii());
        if written.len() > 253 || written.chars().any(made_ascii) {
            return Err(InvalidDomain);
        }
        let lower: String = written.chars().flat_map(char::to_lowercase).collect();
        let ascii = idna::domain_to_ascii_strict(&lower).map_err(|_| InvalidDomain)?;
        let (unicode, valid) = idna::domain_to_unicode(&ascii);
        if valid.is_err() || (lower != ascii && lower != unicode) {
            return Err(InvalidDomain);
        }
        // At least two labels, and a last one that no parser reads as a part of an IP address.
        let (_, top) = ascii.rsplit_once('.').ok_or(InvalidDomain)?;
        let top_level = top.bytes().all(|b| b.is_ascii_lowercase()) || top.starts_with("xn--");
        if top.is_empty() || !top_level { Err(InvalidDomain) } else { Ok(Self(ascii)) }
    }
}

impl fmt::Display for EmailDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Longest address in bytes (RFC 5321 section 4.5.3.1.3 without the angle brackets).
const MAX_ADDRESS: usize = 254;

/// An e-mail address: a dot-atom local part of ASCII characters, kept as written, and a normal domain.
/// Quoted local parts, comments, IP literals and more than one `@` are refused (I08).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress {
    text: String,
    at: usize,
}

/// A text that is no e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address")]
pub struct InvalidAddress;

impl EmailAddress {
    /// The address: the local part as written, `@`, the normal domain.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address whose [`as_str`](Self::as_str) this text was: it was judged then and is not judged again.
    pub(crate) fn from_own_text(text: &str) -> Self {
        Self { text: text.to_owned(), at: text.find('@').unwrap_or(text.len()) }
    }

    /// What stands before the `@`. Never folded: dots, plus tags and case may tell two people apart (D03).
    pub fn local(&self) -> &str {
        self.text.get(..self.at).unwrap_or_default()
    }

    /// The domain's text in normal form.
    pub fn domain(&self) -> EmailDomain {
        EmailDomain(self.text.get(self.at + 1..).unwrap_or_default().to_owned())
    }

    /// Whether a person would take both for the same address: the local parts differ in ASCII case at most. For the
    /// hint on a page only; identity compares exactly.
    pub fn looks_like(&self, other: &Self) -> bool {
        self.text.eq_ignore_ascii_case(&other.text)
    }

    /// The text that two addresses share exactly if they [look alike](Self::looks_like): a key for finding the one by
    /// the other, never an identity.
    pub fn look_alike_key(&self) -> String {
        self.text.to_ascii_lowercase()
    }
}

impl FromStr for EmailAddress {
    type Err = InvalidAddress;

    fn from_str(s: &str) -> Result<Self, InvalidAddress> {
        if s.len() > MAX_ADDRESS {
            return Err(InvalidAddress);
        }
        let (local, domain) = s.split_once('@').ok_or(InvalidAddress)?;
        let atext = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
        if local.len() > 64 || !local.split('.').all(|part| !part.is_empty() && part.bytes().all(atext)) {
            return Err(InvalidAddress);
        }
        let domain: EmailDomain = domain.parse().map_err(|_| InvalidAddress)?;
        let text = format!("{local}@{domain}");
        if text.len() > MAX_ADDRESS { Err(InvalidAddress) } else { Ok(Self { text, at: local.len() }) }
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests;

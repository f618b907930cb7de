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

    fn from_str(s: &str) -> Result<Self, InvalidDomain> {
        let s = s.strip_suffix('.').unwrap_or(s);
        if s.is_empty() || s.len() > 253 {
            return Err(InvalidDomain);
        }
        // UTS 46 maps many characters onto others. A mapping other than of letter case means that the text only
        // looks like a domain that somebody owns: refused, not repaired.
        let lower = s.to_lowercase();
        let ascii = idna::domain_to_ascii_strict(&lower).map_err(|_| InvalidDomain)?;
        let (unicode, valid) = idna::domain_to_unicode(&ascii);
        valid.map_err(|_| InvalidDomain)?;
        let unmapped = lower == ascii || lower == unicode;
        let case_only = !s.bytes().all(|b| b.is_ascii()) || s.to_ascii_lowercase() == lower;
        let non_ascii_stays = s.is_ascii()
            || s.chars().filter(|c| !c.is_ascii()).count() == unicode.chars().filter(|c| !c.is_ascii()).count();
        let named = ascii.split('.').count() >= 2 && ascii.split('.').all(|l| !l.is_empty());
        let ip = ascii.parse::<std::net::Ipv4Addr>().is_ok()
            || ascii.split('.').next_back().is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit()));
        if unmapped && case_only && non_ascii_stays && named && !ip { Ok(Self(ascii)) } else { Err(InvalidDomain) }
    }
}

impl fmt::Display for EmailDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

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
}

impl FromStr for EmailAddress {
    type Err = InvalidAddress;

    fn from_str(s: &str) -> Result<Self, InvalidAddress> {
        let (local, domain) = s.split_once('@').ok_or(InvalidAddress)?;
        let atext = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
        let dot_atom = local.len() <= 64 && local.split('.').all(|part| !part.is_empty() && part.bytes().all(atext));
        if s.len() > 254 || !dot_atom {
            return Err(InvalidAddress);
        }
        let domain: EmailDomain = domain.parse().map_err(|_| InvalidAddress)?;
        Ok(Self { text: format!("{local}@{domain}"), at: local.len() })
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

//! User names of the application, and the addresses that some of them are. An application may read a name more
//! leniently than we do, so what only resembles an address is seen too.

use crate::base::email::{EmailAddress, EmailDomain};

/// Longest user name, in bytes: twice the longest address.
const MAX_NAME: usize = 512;

/// A user name as the application will read it, without white space around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserName {
    text: String,
    is: Is,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Is {
    /// No address, whoever reads it.
    Plain,
    Address(EmailAddress),
    /// No address by our reading, and for a lenient reader an address of one of these domains.
    Resembles(Vec<EmailDomain>),
}

/// A text that no user name is: too long, or with control characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a user name")]
pub struct InvalidName;

impl UserName {
    /// Reads a user name. An empty one is one: the application will say what is missing.
    ///
    /// # Errors
    /// See [`InvalidName`].
    pub fn read(text: &str) -> Result<Self, InvalidName> {
        let text = text.trim();
        if text.len() > MAX_NAME || text.chars().any(char::is_control) {
            return Err(InvalidName);
        }
        let is = match text.parse() {
            Ok(address) => Is::Address(address),
            Err(_) if text.contains(AT_SIGNS) => Is::Resembles(domains_in(text)),
            Err(_) => Is::Plain,
        };
        Ok(Self { text: text.to_owned(), is })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address that it is, in normal form.
    pub fn address(&self) -> Option<&EmailAddress> {
        match &self.is {
            Is::Address(address) => Some(address),
            Is::Plain | Is::Resembles(_) => None,
        }
    }

    /// The domains of addresses that it resembles without being one.
    pub fn resembled(&self) -> &[EmailDomain] {
        match &self.is {
            Is::Resembles(domains) => domains,
            Is::Plain | Is::Address(_) => &[],
        }
    }

    /// Whether it is an address, or looks like one.
    pub fn is_email_shaped(&self) -> bool {
        self.is != Is::Plain
    }
}

/// `@` and the characters that compatibility normalisation (NFKC) makes it of, which some applications apply to names.
const AT_SIGNS: [char; 3] = ['@', '\u{ff20}', '\u{fe6b}'];

/// What follows each at sign, where it names a domain after the mapping of UTS 46.
fn domains_in(text: &str) -> Vec<EmailDomain> {
    let parts = text.split(AT_SIGNS).skip(1);
    let domain = |part: &str| {
        let of_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}');
        let start = part.trim_start_matches(|c: char| !of_name(c));
        let name = start.split(|c: char| !of_name(c)).next().unwrap_or_default();
        idna::domain_to_ascii(name).ok()?.parse().ok()
    };
    parts.filter_map(domain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_an_address_or_resembles_one_or_neither() {
        for plain in ["svc-billing", "alice", "ACME\\alice", "", "müller", "a.b"] {
            let name = UserName::read(plain).unwrap();
            assert!(!name.is_email_shaped() && name.address().is_none(), "{plain}");
        }
        for (text, normal) in [
            ("alice@acme.com", "alice@acme.com"),
            (" Alice@ACME.com\t", "Alice@acme.com"),
            ("alice@acme.com.", "alice@acme.com"),
        ] {
            assert_eq!(UserName::read(text).unwrap().address().map(EmailAddress::as_str), Some(normal), "{text}");
        }
        for lenient in [
            "\"alice\"@acme.com",
            "alice\u{ff20}acme.com",
            "alice@\u{ff41}cme.com",
            "alice@acme\u{3002}com",
            "alice@ acme.com",
            "<alice@acme.com>",
            "alice@acme.com@x",
            "x@y@acme.com",
            "al ice@acme.com",
            "alice..x@acme.com",
        ] {
            let name = UserName::read(lenient).unwrap();
            assert!(name.address().is_none() && name.is_email_shaped(), "{lenient}");
            assert!(name.resembled().iter().any(|domain| domain.as_str() == "acme.com"), "{lenient}: {name:?}");
        }
        assert_eq!(UserName::read("me@home").unwrap().resembled(), []);
    }

    /// N07
    #[test]
    fn what_no_name_is_is_refused() {
        for bad in ["a\0b", "alice@acme.com\u{7f}", "a\u{85}b", &"x".repeat(513)] {
            assert_eq!(UserName::read(bad), Err(InvalidName), "{bad:?}");
        }
        assert!(UserName::read(&"x".repeat(512)).is_ok());
    }
}

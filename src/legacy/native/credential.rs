//! An `Authorization` of the application: which scheme, and whose name stands in it. Never its secret.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderValue;

use crate::base::json;
use crate::legacy::UserName;

/// What an `Authorization` header brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A user name and a password (RFC 7617).
    Basic(UserName),
    /// A digest with its user name (RFC 7616).
    Digest(UserName),
    /// A token (RFC 6750).
    Bearer,
    /// `ntlm` or `negotiate`: it authenticates the connection, not the request.
    Connection(&'static str),
    /// Another scheme, in lower case.
    Other(String),
}

/// A credential that readers would read differently, or not at all (N07). Never quotes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a credential that everybody would read alike")]
pub struct InvalidCredential;

/// The alphabet is exact; whether the padding is there makes no difference to anybody's reading.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Longest token that is looked into, in bytes.
const MAX_JWT: usize = 8 * 1024;

/// Longest name of a scheme that is kept.
const MAX_SCHEME: usize = 32;

impl Credential {
    /// Reads an `Authorization` header.
    ///
    /// # Errors
    /// See [`InvalidCredential`]: of Basic and Digest, whose names count, and of headers that begin with no scheme.
    pub fn read(value: &HeaderValue) -> Result<Self, InvalidCredential> {
        let bytes = value.as_bytes().trim_ascii();
        let end = bytes.iter().position(|b| matches!(b, b' ' | b'\t')).unwrap_or(bytes.len());
        let (scheme, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
        let token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
        let is = |name: &str| scheme.eq_ignore_ascii_case(name.as_bytes());
        // Some look only at how the header begins.
        let begins = |name: &str| scheme.get(..name.len()).is_some_and(|s| s.eq_ignore_ascii_case(name.as_bytes()));
        let rest = rest.trim_ascii();
        if is("basic") {
            return basic(rest).map(Self::Basic);
        }
        if is("digest") {
            return digest(rest).map(Self::Digest);
        }
        if scheme.is_empty() || !scheme.iter().all(token) || begins("basic") || begins("digest") {
            return Err(InvalidCredential);
        }
        Ok(match () {
            () if is("bearer") => Self::Bearer,
            () if is("ntlm") => Self::Connection("ntlm"),
            () if is("negotiate") => Self::Connection("negotiate"),
            () => {
                let name = scheme.iter().take(MAX_SCHEME).map(|b| char::from(b.to_ascii_lowercase()));
                Self::Other(name.collect())
            }
        })
    }

    /// The user name, where it has one in the clear.
    pub const fn user_name(&self) -> Option<&UserName> {
        match self {
            Self::Basic(name) | Self::Digest(name) => Some(name),
            Self::Bearer | Self::Connection(_) | Self::Other(_) => None,
        }
    }
}

/// Whom a bearer token that is a JWT says that it is of: what stays the same when the client gets a new one. Nobody has
/// verified it: it serves a list of what the application has accepted.
pub(super) fn bearer_of(authorization: &[u8]) -> Option<String> {
    let token = authorization.rsplit(|b| *b == b' ').next().filter(|token| token.len() <= MAX_JWT)?;
    let mut parts = token.split(|b| *b == b'.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let claims = json::parse_object(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    let text = |name: &str| claims.get(name).and_then(|value| value.as_str()).unwrap_or_default();
    let subject = text("sub");
    (!subject.is_empty()).then(|| [text("iss"), subject, text("azp"), text("client_id")].join("\0"))
}

fn basic(token: &[u8]) -> Result<UserName, InvalidCredential> {
    let pair = BASE64.decode(token).map_err(|_| InvalidCredential)?;
    let colon = pair.iter().position(|b| *b == b':').ok_or(InvalidCredential)?;
    let name = pair.get(..colon).unwrap_or_default();
    let name = match std::str::from_utf8(name) {
        Ok(name) => name.to_owned(),
        // Before RFC 7617 most clients sent Latin-1, and some still do.
        Err(_) => name.iter().map(|b| char::from(*b)).collect(),
    };
    UserName::read(&name).map_err(|_| InvalidCredential)
}

/// The one `username` of a digest; `username*` (RFC 8187) and hashed names are refused: nobody could judge them.
fn digest(parameters: &[u8]) -> Result<UserName, InvalidCredential> {
    let text = std::str::from_utf8(parameters).map_err(|_| InvalidCredential)?;
    let mut name = None;
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or(InvalidCredential)?;
        let (key, after) = (key.trim(), after.trim_start());
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let end = after.find(',').unwrap_or(after.len());
                let (value, after) = after.split_at_checked(end).ok_or(InvalidCredential)?;
                (value.trim().to_owned(), after)
            }
        };
        if key.eq_ignore_ascii_case("username") && name.replace(value.clone()).is_some() {
            return Err(InvalidCredential);
        }
        let hashed = key.eq_ignore_ascii_case("userhash") && !value.eq_ignore_ascii_case("false");
        if hashed || key.eq_ignore_ascii_case("username*") {
            return Err(InvalidCredential);
        }
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(rest) => rest.trim_start(),
            None if after.is_empty() => after,
            None => return Err(InvalidCredential),
        };
    }
    UserName::read(&name.ok_or(InvalidCredential)?).map_err(|_| InvalidCredential)
}

/// The text up to the closing quotation mark, and what follows it.
fn unquoted(text: &str) -> Result<(String, &str), InvalidCredential> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((out, text.get(at + 1..).unwrap_or_default())),
            '\\' => out.push(chars.next().ok_or(InvalidCredential)?.1),
            c => out.push(c),
        }
    }
    Err(InvalidCredential)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Credential, InvalidCredential> {
        Credential::read(&HeaderValue::from_bytes(text.as_bytes()).unwrap())
    }

    fn name(text: &str) -> String {
        read(text).unwrap().user_name().unwrap().as_str().to_owned()
    }

    #[test]
    fn a_credential_is_known_by_its_scheme_and_its_user_name() {
        // svc:secret, with and without padding; a colon in the password; Latin-1; a name with a blank.
        assert_eq!(name("Basic c3ZjOnNlY3JldA=="), "svc");
        assert_eq!(name("bAsIc  c3ZjOnNlY3JldA"), "svc");
        assert_eq!(name("Basic c3ZjOmE6Yg=="), "svc");
        assert_eq!(name("Basic bfxsbGVyOng="), "müller");
        assert_eq!(name("Basic Og=="), "");
        assert_eq!(name("Digest realm=\"a, b\", username=\"s\\\"vc\", qop=auth, nc=1"), "s\"vc");
        assert_eq!(read("Bearer a.b.c"), Ok(Credential::Bearer));
        assert_eq!(read("NTLM TlRMTVNTUAAB"), Ok(Credential::Connection("ntlm")));
        assert_eq!(read("Negotiate"), Ok(Credential::Connection("negotiate")));
        assert_eq!(read("Token token=x"), Ok(Credential::Other("token".to_owned())));
    }

    #[test]
    fn a_new_token_of_the_same_client_is_no_new_identity() {
        let jwt = |claims: &str| format!("Bearer e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims)).into_bytes();
        let of = |claims| bearer_of(&jwt(claims));
        let one = of(r#"{"iss":"a","sub":"svc","exp":1}"#);
        assert!(one.is_some());
        assert_eq!(of(r#"{"iss":"a","sub":"svc","exp":2}"#), one);
        for other in [r#"{"iss":"b","sub":"svc"}"#, r#"{"iss":"a","sub":"svc2"}"#] {
            assert!(of(other).is_some() && of(other) != one, "{other}");
        }
        for opaque in ["Bearer abc", "Bearer a.b", "Bearer a.!.c"] {
            assert_eq!(bearer_of(opaque.as_bytes()), None, "{opaque}");
        }
        assert_eq!(of(r#"{"iss":"a"}"#), None);
    }

    /// N07
    #[test]
    fn what_cannot_be_read_one_way_is_refused() {
        for bad in [
            "Basic",
            "Basic not base64!",
            "Basic %zz",
            "Basic YTpi, Basic Yzpk",
            "Basic YTpi YTpi",
            "Basic YWI=",
            "Basic YTpi\u{e4}",
            "Basic c3Zj_-pz",
            "Basic YQA6Yg==",
            "Basicx YTpi",
            "basic, YTpi",
            "Digest realm=\"x\"",
            "Digest username=\"a\", username=\"b\"",
            "Digest username*=UTF-8''a",
            "Digest username=\"a\", userhash=true",
            "Digest username=\"a",
            "",
            "\"x\" y",
        ] {
            assert_eq!(read(bad), Err(InvalidCredential), "{bad}");
        }
    }
}

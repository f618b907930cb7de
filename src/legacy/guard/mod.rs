//! The guard on the application's own sign-in: whose name does this request sign in? Judged before anything of it goes
//! on, and only where every reader would find the same name.

mod form;
mod json;
#[cfg(test)]
mod tests;

use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};

use super::UserName;
use crate::config::UserNameAt;

/// Largest body of a sign-in, in bytes.
pub const MAX_BODY: usize = 64 * 1024;

/// Why a sign-in does not go on, whoever it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the sign-in is of another content type than its rule reads, or of none, or of two")]
    ContentType,
    #[error("the sign-in is compressed")]
    Encoding,
    #[error("the sign-in is larger than 64 KB")]
    TooLarge,
    #[error("the sign-in can be read in two ways, or in none")]
    Malformed,
    #[error("the sign-in has no user name where its rule says")]
    NameMissing,
    #[error("the sign-in has more than one user name")]
    NameTwice,
    #[error("the sign-in's user name is none")]
    NameMalformed,
}

impl Refused {
    /// The answer's status.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::ContentType | Self::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Malformed | Self::NameMissing | Self::NameTwice | Self::NameMalformed => StatusCode::BAD_REQUEST,
        }
    }

    /// A stable code.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::ContentType => "sign_in_content_type",
            Self::Encoding => "sign_in_encoding",
            Self::TooLarge => "sign_in_too_large",
            Self::Malformed => "sign_in_malformed",
            Self::NameMissing => "sign_in_name_missing",
            Self::NameTwice => "sign_in_name_twice",
            Self::NameMalformed => "sign_in_name_malformed",
        }
    }
}

/// Judges a sign-in's head: only what `rule` reads goes on, in UTF-8 and not compressed.
///
/// # Errors
/// See [`Refused`].
pub fn check_head(rule: &UserNameAt, headers: &HeaderMap) -> Result<(), Refused> {
    // `identity` means nothing, and nobody sends it.
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(Refused::Encoding);
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(kind), None) = (types.next(), types.next()) else { return Err(Refused::ContentType) };
    let kind = kind.to_str().map_err(|_| Refused::ContentType)?;
    let mut parts = kind.split(';').map(str::trim);
    let expected = match rule {
        UserNameAt::Form(_) => "application/x-www-form-urlencoded",
        UserNameAt::Json(_) => "application/json",
    };
    // In another character set the same bytes are another name for an application that obeys it.
    let plain = |parameter: &str| {
        let parameter = parameter.to_ascii_lowercase();
        matches!(parameter.as_str(), "" | "charset=utf-8" | "charset=\"utf-8\"")
    };
    let fits = parts.next().is_some_and(|mime| mime.eq_ignore_ascii_case(expected)) && parts.all(plain);
    if fits { Ok(()) } else { Err(Refused::ContentType) }
}

/// The one user name of a sign-in with this query and body.
///
/// # Errors
/// See [`Refused`].
pub fn judge(rule: &UserNameAt, query: Option<&str>, body: &[u8]) -> Result<UserName, Refused> {
    if body.len() > MAX_BODY {
        return Err(Refused::TooLarge);
    }
    let name = match rule {
        UserNameAt::Form(field) => {
            not_in_query(query, field)?;
            form::user_name(field, body)?
        }
        UserNameAt::Json(pointer) => {
            not_in_query(query, pointer.last().map_or("", String::as_str))?;
            json::user_name(pointer, body)?
        }
    };
    UserName::read(&name).map_err(|_| Refused::NameMalformed)
}

/// Many frameworks put query and body into one bag, and which of two wins differs.
fn not_in_query(query: Option<&str>, field: &str) -> Result<(), Refused> {
    match form::names(query.unwrap_or_default().as_bytes()).any(|name| form::resembles(&name, field)) {
        true => Err(Refused::NameTwice),
        false => Ok(()),
    }
}

/// The text with letters that only case tells apart made one, as readers do that ignore case.
fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

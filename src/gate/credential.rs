//! What a request brings to prove who it is from. Each credential answers NotRequested, Authenticated or Failed;
//! Failed ends the search.

use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName};

use crate::session::Session;

/// The session cookie's answer.
#[derive(Clone)]
pub enum SessionCredential {
    /// No cookie, two of them (E03), or one that leads to no session.
    NotRequested,
    /// A session that is good now.
    Authenticated(Arc<Session>),
    /// A session that was ended here.
    Failed,
}

/// The answer of a credential of the application itself: an `Authorization` or API-key header on a native route.
/// Only the application can judge it; we only see that there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeCredential {
    /// None there.
    Absent,
    /// Exactly one `Authorization` header, or API-key headers each given once.
    Present,
    /// Two of one kind: the application and we could read different ones (N07).
    Ambiguous,
    /// A session cookie that the application set in a native sign-in, from a program.
    Remembered,
    /// A connection of the client's own that the application has authenticated (NTLM, Negotiate).
    Connection,
}

impl NativeCredential {
    /// Reads it from the request.
    pub fn of(headers: &HeaderMap, api_key_headers: &[HeaderName]) -> Self {
        let names = std::iter::once(&AUTHORIZATION).chain(api_key_headers);
        let counts = names.map(|name| headers.get_all(name).iter().count());
        match counts.max() {
            Some(0) | None => Self::Absent,
            Some(1) => Self::Present,
            Some(_) => Self::Ambiguous,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_credential_is_present_and_two_of_a_kind_are_ambiguous() {
        let key = [HeaderName::from_static("x-api-key")];
        let mut headers = HeaderMap::new();
        assert_eq!(NativeCredential::of(&headers, &key), NativeCredential::Absent);
        headers.append("x-api-key", "k".parse().unwrap());
        assert_eq!(NativeCredential::of(&headers, &key), NativeCredential::Present);
        assert_eq!(NativeCredential::of(&headers, &[]), NativeCredential::Absent, "not a configured header");
        headers.append(AUTHORIZATION, "Basic YTpi".parse().unwrap());
        assert_eq!(NativeCredential::of(&headers, &key), NativeCredential::Present);
        headers.append(AUTHORIZATION, "Basic Yzpk".parse().unwrap());
        assert_eq!(NativeCredential::of(&headers, &key), NativeCredential::Ambiguous);
    }
}

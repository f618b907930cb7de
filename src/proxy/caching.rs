//! What a cache may keep of the application's answers (W02; `docs/decisions/0010-caching.md`).

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, HeaderMap, HeaderValue, LAST_MODIFIED, SET_COOKIE};

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const PRIVATE: HeaderValue = HeaderValue::from_static("private");
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("private, no-cache");

/// Sees to it that no shared cache gives one person's answer to another. `identity`: the request went on as somebody.
///
/// Other answers stay as they are, unless they set a cookie: that is somebody's too. What the application says itself
/// counts, and where it says nothing of shared caches, nothing is what they get. Where it says nothing at all, pages and
/// data are not stored, so that the Back button shows nothing after a sign-out; style sheets, scripts, fonts and
/// images that have a validator may wait in the person's own browser, which asks about them at each use.
pub(super) fn keep_private(headers: &mut HeaderMap, status: StatusCode, identity: bool) {
    let sets_cookie = headers.contains_key(SET_COOKIE);
    if !identity && !sets_cookie {
        return;
    }
    match headers.get(CACHE_CONTROL) {
        None => {
            let value = match status {
                // Of a copy that the browser has: kept at a time when it was allowed, and asked about from now on.
                StatusCode::NOT_MODIFIED => ASK_AGAIN,
                _ if headers.contains_key(EXPIRES) => PRIVATE,
                _ if !sets_cookie && is_asset(headers) => ASK_AGAIN,
                _ => NO_STORE,
            };
            headers.insert(CACHE_CONTROL, value);
        }
        Some(_) => {
            let said = Said::of(headers);
            if !said.private && (sets_cookie || !said.shared) {
                // Beside what it said: field lines are one list (RFC 9110, section 5.3), of which the most restrictive
                // directive counts (RFC 9111, section 4.2.1).
                headers.append(CACHE_CONTROL, PRIVATE);
            }
        }
    }
}

/// Puts an answer that carries a cookie of ours in no cache at all, whatever the application said.
pub(super) fn forbid(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, NO_STORE);
}

/// What the application's `Cache-Control` says of shared caches.
struct Said {
    /// None may keep it.
    private: bool,
    /// They may: it says so of them, not only of caches.
    shared: bool,
}

impl Said {
    fn of(headers: &HeaderMap) -> Self {
        let mut said = Self { private: false, shared: false };
        for directive in headers.get_all(CACHE_CONTROL).iter().flat_map(|line| line.as_bytes().split(|b| *b == b',')) {
            let directive = directive.trim_ascii();
            let is = |name: &str| directive.eq_ignore_ascii_case(name.as_bytes());
            let begins =
                |name: &str| directive.get(..name.len()).is_some_and(|d| d.eq_ignore_ascii_case(name.as_bytes()));
            // `private="Set-Cookie"` is about that field alone.
            said.private |= is("private") || is("no-store");
            said.shared |= is("public") || begins("s-maxage=");
        }
        said
    }
}

/// Whether it is a part of a page that its application lets a cache ask about.
fn is_asset(headers: &HeaderMap) -> bool {
    const KINDS: [&[u8]; 6] =
        [b"text/css", b"text/javascript", b"application/javascript", b"application/wasm", b"font/", b"image/"];
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let begins = |name: &&[u8]| kind.get(..name.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(name));
    KINDS.iter().any(begins) && (headers.contains_key(ETAG) || headers.contains_key(LAST_MODIFIED))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(status: u16, identity: bool, pairs: &[(&str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
        }
        keep_private(&mut headers, StatusCode::from_u16(status).unwrap(), identity);
        headers.get_all(CACHE_CONTROL).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>().join("; ")
    }

    /// W02
    #[test]
    fn a_signed_in_answer_is_nobody_elses() {
        let (css, html) = (("content-type", "text/css; charset=utf-8"), ("content-type", "text/html"));
        let (etag, modified) = (("etag", "\"1\""), ("last-modified", "Sun, 22 Nov 2026 00:00:00 GMT"));
        let (cookie, expires) = (("set-cookie", "a=b"), ("expires", "Sun, 22 Nov 2037 00:00:00 GMT"));
        let said = |value| ("cache-control", value);
        for (status, pairs, expected) in [
            (200, vec![], "no-store"),
            (200, vec![html, etag], "no-store"),
            (404, vec![html], "no-store"),
            (200, vec![("content-type", "application/json"), etag], "no-store"),
            (200, vec![css], "no-store"),
            (200, vec![css, etag], "private, no-cache"),
            (200, vec![("content-type", "IMAGE/png"), modified], "private, no-cache"),
            (200, vec![css, etag, cookie], "no-store"),
            (304, vec![etag], "private, no-cache"),
            (200, vec![html, expires], "private"),
            // Its own word, where it says one of shared caches.
            (200, vec![said("public, max-age=60")], "public, max-age=60"),
            (200, vec![said("S-MaxAge=60")], "S-MaxAge=60"),
            (200, vec![said("private, max-age=60")], "private, max-age=60"),
            (200, vec![said("max-age=60,No-Store")], "max-age=60,No-Store"),
            (200, vec![said("max-age=60"), said("private")], "max-age=60; private"),
            // It does not.
            (200, vec![said("max-age=60")], "max-age=60; private"),
            (200, vec![said("no-cache")], "no-cache; private"),
            (200, vec![said("max-age=60, private=\"set-cookie\"")], "max-age=60, private=\"set-cookie\"; private"),
            (200, vec![said("publicly")], "publicly; private"),
            (200, vec![said("")], "; private"),
            // A cookie is somebody's, whatever it says.
            (200, vec![said("public, max-age=60"), cookie], "public, max-age=60; private"),
        ] {
            assert_eq!(after(status, true, &pairs), expected, "{status} {pairs:?}");
        }
    }

    #[test]
    fn an_answer_to_nobody_is_left_alone_unless_it_sets_a_cookie() {
        let cookie = ("set-cookie", "JSESSIONID=x");
        for (pairs, expected) in [
            (vec![], ""),
            (vec![("etag", "\"1\"")], ""),
            (vec![("cache-control", "max-age=60")], "max-age=60"),
            (vec![cookie], "no-store"),
            (vec![("content-type", "text/css"), ("etag", "\"1\""), cookie], "no-store"),
            (vec![("cache-control", "public, max-age=60"), cookie], "public, max-age=60; private"),
            (vec![("cache-control", "no-store"), cookie], "no-store"),
        ] {
            assert_eq!(after(200, false, &pairs), expected, "{pairs:?}");
        }
    }
}

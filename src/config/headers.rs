//! Names of headers that identity or an API key may travel in.

use http::HeaderName;

use super::parse::wrong;

/// Names that a header of the operator's must not have: they frame the message, end at each hop, carry credentials,
/// say where the request came from, or are set by Anteroom itself.
const REFUSED: [&str; 33] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "cookie2",
    "date",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "origin",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
];
const REFUSED_PREFIXES: [&str; 3] = ["x-anteroom", "sec-", "proxy-"];

/// The name of a header that identity or an API key may travel in.
pub(super) fn header_name(text: &str) -> Result<HeaderName, String> {
    let name: HeaderName = text.parse().map_err(|_| wrong(text, "allowed: a header name such as \"X-User-Mail\""))?;
    if !name.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        // CGI and WSGI cannot tell X_User or X.User from X-User, so requests lose every such name (X02).
        return Err(wrong(
            text,
            "names with '_', '.' and other marks are dropped from requests, because applications mix them up with '-'; \
                               allowed: letters, digits and '-'",
        ));
    }
    let refused = REFUSED.contains(&name.as_str()) || REFUSED_PREFIXES.iter().any(|p| name.as_str().starts_with(p));
    if refused {
        let text = wrong(
            text,
            "that header frames the message, carries credentials or is set by the proxy itself; \
             allowed: a name of its own, such as \"X-User-Mail\"",
        );
        return Err(text);
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x01_headers_that_frame_or_authenticate_are_refused() {
        for bad in [
            "Host",
            "cookie",
            "Authorization",
            "Connection",
            "Content-Length",
            "Transfer-Encoding",
            "TE",
            "Upgrade",
            "X-Forwarded-For",
            "X-Anteroom-Role",
            "X-Anteroom",
            "Sec-Fetch-Mode",
            "Proxy-Foo",
            "X_User",
            "",
            "a b",
            "ä",
        ] {
            assert!(header_name(bad).is_err(), "{bad}");
        }
        for good in ["X-Mail", "X-Forwarded-User", "X-WEBAUTH-USER", "x-api-key"] {
            assert!(header_name(good).is_ok(), "{good}");
        }
    }
}

//! Who asks: a person whose browser navigates, a frame, a form, or a script. It decides the form of a refusal, never
//! whether there is one (design section 3).

use http::Method;
use http::header::{ACCEPT, HeaderMap, HeaderName};

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// The kind of request that would be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A top-level GET of a browser: may be redirected, and alone may start a sign-in.
    Page,
    /// A form sent by a navigation (any method but GET and HEAD): its content would be lost in a redirect.
    Form,
    /// A navigation inside a frame.
    Frame,
    /// Everything else: fetch, XHR, WebSocket, assets, other programs.
    Script,
}

impl Asker {
    /// Reads it from the request. Fetch Metadata decides where there is any (W3C Fetch Metadata Request Headers);
    /// without, `Accept: …text/html…` and no `X-Requested-With` is a navigation.
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
        let navigates = match text(SEC_FETCH_MODE) {
            Some(mode) => mode == "navigate",
            None => text(ACCEPT).is_some_and(|a| a.contains("text/html")) && !headers.contains_key(X_REQUESTED_WITH),
        };
        let framed = matches!(text(SEC_FETCH_DEST), Some("iframe" | "frame" | "embed" | "object" | "fencedframe"));
        match (navigates, framed, method) {
            (false, ..) => Self::Script,
            (true, true, _) => Self::Frame,
            (true, false, &Method::GET | &Method::HEAD) => Self::Page,
            (true, false, _) => Self::Form,
        }
    }

    /// Whether the request carries Fetch Metadata: then a browser sent it.
    pub fn is_browser(headers: &HeaderMap) -> bool {
        [SEC_FETCH_MODE, SEC_FETCH_DEST, SEC_FETCH_SITE].iter().any(|name| headers.contains_key(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(method: &str, pairs: &[(&str, &str)]) -> Asker {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        Asker::of(&method.parse().unwrap(), &headers)
    }

    #[test]
    fn fetch_metadata_decides_where_there_is_any() {
        let html = ("accept", "text/html,*/*");
        assert_eq!(asker("GET", &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]), Asker::Page);
        assert_eq!(asker("GET", &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe"), html]), Asker::Frame);
        assert_eq!(asker("POST", &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]), Asker::Form);
        assert_eq!(asker("GET", &[("sec-fetch-mode", "cors"), html]), Asker::Script);
        assert_eq!(asker("GET", &[("sec-fetch-mode", "websocket"), html]), Asker::Script);
    }

    #[test]
    fn without_it_the_accept_header_does() {
        assert_eq!(asker("GET", &[("accept", "text/html,application/xhtml+xml")]), Asker::Page);
        assert_eq!(asker("POST", &[("accept", "text/html")]), Asker::Form);
        assert_eq!(asker("GET", &[("accept", "*/*")]), Asker::Script);
        assert_eq!(asker("GET", &[("accept", "text/html"), ("x-requested-with", "XMLHttpRequest")]), Asker::Script);
        assert_eq!(asker("GET", &[]), Asker::Script);
    }
}

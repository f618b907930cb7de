//! Reading a request: cookies, forms, Basic credentials.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use http::{HeaderMap, Request};

/// A request whose body, at most 64 KB, has arrived.
pub(crate) type Asked = Request<Bytes>;

/// Parameters of a query or a form, each given once.
#[derive(Debug, Default)]
pub(crate) struct Params(BTreeMap<String, String>);

impl Params {
    /// Reads `a=b&c=d`. RFC 6749 section 3.1: a parameter must not appear twice; the error is its name.
    pub(crate) fn parse(encoded: &[u8]) -> Result<Self, String> {
        let mut params = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(encoded) {
            if params.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                return Err(name.into_owned());
            }
        }
        Ok(Self(params))
    }

    /// The value, where there is one that is not empty (RFC 6749 section 3.1: empty counts as left out).
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// Every cookie of the request, in order.
pub(crate) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
}

pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    cookies(headers).find(|(found, _)| *found == name).map(|(_, value)| value)
}

pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// Whether a browser says that another site sent this. Clients without `Sec-Fetch-Site` are believed.
pub(crate) fn is_cross_site(headers: &HeaderMap) -> bool {
    header(headers, "sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none")
}

/// User name and password of `Authorization: Basic` (RFC 7617).
pub(crate) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    decoded.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

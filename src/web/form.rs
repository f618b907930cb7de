//! Posts to own paths: only small forms, and but for those of a provider only from our own pages.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, ORIGIN};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body;

/// Bytes of a form that are read.
const MAX_FORM: usize = 16 * 1024;

/// Fields of a form: ours have three, a provider's two. Each is compared with each.
const MAX_FIELDS: usize = 32;

/// How long a form may take to arrive: the smallest of ours fits into one packet.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// The fields of a form, each once.
pub(super) struct Form(Vec<(String, String)>);

/// Why a post was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadForm {
    pub(super) status: StatusCode,
    pub(super) reason: &'static str,
}

const fn bad(status: StatusCode, reason: &'static str) -> BadForm {
    BadForm { status, reason }
}

impl Form {
    /// Reads a form that was posted from our own pages.
    ///
    /// # Errors
    /// It came from elsewhere (403), is no urlencoded form (415), is too large (413), too slow (408), names a field twice
    /// or has too many (400).
    pub(super) async fn read<B>(headers: &HeaderMap, body: B, origin: &str) -> Result<Self, BadForm>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>,
    {
        if !is_same_origin(headers, origin) {
            return Err(bad(StatusCode::FORBIDDEN, "cross_site_post"));
        }
        Self::read_from_anywhere(headers, body).await
    }

    /// Reads a form that a provider's server posts: it proves by what it says where it comes from.
    ///
    /// # Errors
    /// As [`Self::read`], but for the origin.
    pub(super) async fn read_from_anywhere<B>(headers: &HeaderMap, body: B) -> Result<Self, BadForm>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>,
    {
        Self::read_up_to(MAX_FORM, headers, body).await
    }

    /// The same, of at most `max` bytes.
    pub(super) async fn read_up_to<B>(max: usize, headers: &HeaderMap, body: B) -> Result<Self, BadForm>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>,
    {
        let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") || headers.contains_key(CONTENT_ENCODING) {
            return Err(bad(StatusCode::UNSUPPORTED_MEDIA_TYPE, "form_expected"));
        }
        Self::parse(&collect(body, max).await?)
    }

    fn parse(body: &Bytes) -> Result<Self, BadForm> {
        let mut fields: Vec<(String, String)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(body) {
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(bad(StatusCode::BAD_REQUEST, "duplicate_parameter"));
            }
            if fields.len() == MAX_FIELDS {
                return Err(bad(StatusCode::BAD_REQUEST, "form_too_many_fields"));
            }
            fields.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(fields))
    }

    /// The field's value, if the form has it.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A form's bytes, `max` at most.
///
/// # Errors
/// It is too large (413), too slow (408) or does not come to its end (400).
pub(super) async fn collect<B>(body: B, max: usize) -> Result<Bytes, BadForm>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>,
{
    let body = tokio::time::timeout(TIME_LIMIT, Limited::new(body, max).collect());
    let body = body.await.map_err(|_| bad(StatusCode::REQUEST_TIMEOUT, "form_too_slow"))?.map_err(|error| {
        if error.downcast_ref::<LengthLimitError>().is_some() {
            bad(StatusCode::PAYLOAD_TOO_LARGE, "form_too_large")
        } else {
            bad(StatusCode::BAD_REQUEST, "form_broken_off")
        }
    })?;
    Ok(body.to_bytes())
}

/// Whether a post comes from our own pages: by `Sec-Fetch-Site`, or without Fetch Metadata by our own `Origin`.
pub(super) fn is_same_origin(headers: &HeaderMap, origin: &str) -> bool {
    let one = |name: &str| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (value, None) => Ok(value.map(http::HeaderValue::as_bytes)),
            _ => Err(()),
        }
    };
    match (one("sec-fetch-site"), one(ORIGIN.as_str())) {
        (Ok(Some(site)), _) => site == b"same-origin",
        (Ok(None), Ok(Some(sent))) => sent == origin.as_bytes(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn a_post_counts_only_from_our_own_pages() {
        let own = "https://app.example.com";
        assert!(is_same_origin(&headers(&[("sec-fetch-site", "same-origin"), ("origin", own)]), own));
        assert!(is_same_origin(&headers(&[("origin", own)]), own));
        for foreign in [
            &[("sec-fetch-site", "cross-site"), ("origin", own)][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
            &[("origin", "null")],
            &[("origin", "https://app.example.co")],
            &[("origin", "https://app.example.com.evil")],
            &[("origin", own), ("origin", own)],
            &[],
        ] {
            assert!(!is_same_origin(&headers(foreign), own), "{foreign:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_form_that_never_ends_is_given_up() {
        let own = "https://app.example.com";
        let headers = headers(&[("origin", own), ("content-type", "application/x-www-form-urlencoded")]);
        let whole = Full::new(Bytes::from_static(b"email=a"));
        assert_eq!(Form::read(&headers, whole, own).await.map(|form| form.get("email") == Some("a")), Ok(true));
        let part = Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"email=a")));
        let endless = StreamBody::new(stream::once(async { part }).chain(stream::pending()));
        let late = Form::read(&headers, endless, own).await.map(|_| ());
        assert_eq!(late, Err(bad(StatusCode::REQUEST_TIMEOUT, "form_too_slow")));
    }

    #[test]
    fn a_field_given_twice_is_refused() {
        let form = Form::parse(&Bytes::from_static(b"email=a%40b.c&rd=%2F")).unwrap_or_else(|_| Form(vec![]));
        assert_eq!(form.get("email"), Some("a@b.c"));
        assert!(Form::parse(&Bytes::from_static(b"email=a&email=b")).is_err());
    }

    /// S28: half a megabyte has room for 80,000 names, of which each would be compared with each.
    #[test]
    fn a_form_has_no_more_fields_than_can_be_compared() {
        let form = |fields: usize| (0..fields).map(|i| format!("{i:x}&")).collect::<String>();
        let parsed = |fields| Form::parse(&form(fields).into()).map(|form| form.0.len());
        assert_eq!(parsed(MAX_FIELDS), Ok(MAX_FIELDS));
        for many in [MAX_FIELDS + 1, 80_000] {
            assert_eq!(parsed(many), Err(bad(StatusCode::BAD_REQUEST, "form_too_many_fields")), "{many}");
        }
    }
}

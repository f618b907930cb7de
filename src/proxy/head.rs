//! What is judged of a request before anything is looked up.

use http::header::{self, HeaderName};
use http::{Method, Request, StatusCode, Version};
use hyper::body::Incoming;

use crate::base::authority::Authority;

use super::sanitize::is_chunked;

/// What is wrong with the head itself, before anything is looked up: its framing, its method, its host.
pub(super) fn head_problem(request: &Request<Incoming>) -> Result<Authority<'_>, (StatusCode, &'static str)> {
    let headers = request.headers();
    let count = |name: HeaderName| headers.get_all(name).iter().count();
    if headers.contains_key(header::TRANSFER_ENCODING)
        && (!is_chunked(headers)
            || headers.contains_key(header::CONTENT_LENGTH)
            || request.version() != Version::HTTP_11)
    {
        return Err((StatusCode::BAD_REQUEST, "framing_ambiguous"));
    }
    if count(header::CONTENT_LENGTH) > 1 {
        return Err((StatusCode::BAD_REQUEST, "framing_ambiguous"));
    }
    if matches!(*request.method(), Method::CONNECT | Method::TRACE)
        || ["TRACK", "PRI"].contains(&request.method().as_str())
    {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"));
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err((StatusCode::BAD_REQUEST, "host_malformed"));
    };
    let authority = Authority::parse(host.as_bytes()).ok_or((StatusCode::BAD_REQUEST, "host_malformed"))?;
    // Absolute form: both say the same, or somebody wants two readers to disagree (F13, P06).
    if let Some(target) = request.uri().authority()
        && Authority::parse(target.as_str().as_bytes()).as_ref() != Some(&authority)
    {
        return Err((StatusCode::BAD_REQUEST, "host_conflict"));
    }
    Ok(authority)
}

//! A list that comes in pages. Whoever answers, reading it ends: pages, bytes and groups are bounded, and the caller
//! bounds the time.

use std::collections::HashSet;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderValue, Request, StatusCode};
use serde_json::{Map, Value};
use url::Url;

use super::TIME_LIMIT;
use crate::base::json;
use crate::base::outgoing::{Answer, Limits, Outgoing, OutgoingError};
use crate::connector::error::{ProviderError, Reason};

/// More groups than this are refused, not cut (I10).
const MAX_GROUPS: usize = 10_000;

/// Pages of 200 groups and more; a list of empty pages must end too.
const MAX_PAGES: usize = 100;

/// Largest page that is read, in bytes: 999 ids with their types are about 100 KB.
const MAX_PAGE: usize = 1024 * 1024;

/// All pages of one look-up, in bytes.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// What a token endpoint says with 400 when it does not accept an account, its key or its rights (RFC 6749 section 5.2).
const NOT_ACCEPTED: [&str; 4] = ["invalid_grant", "invalid_client", "unauthorized_client", "invalid_scope"];

/// One page.
pub(super) struct Page {
    pub(super) groups: Vec<String>,
    /// Where the next one is; none: this was the last.
    pub(super) next: Option<Url>,
}

/// Reads the list that begins at `first`. `read` makes sense of a page.
pub(super) async fn read_all(
    outgoing: &Outgoing,
    first: Url,
    access_token: &str,
    read: impl Fn(&Map<String, Value>) -> Result<Page, ProviderError>,
) -> Result<Vec<String>, ProviderError> {
    let mut bearer = HeaderValue::try_from(format!("Bearer {access_token}"))
        .map_err(|e| invalid("an access token of visible characters", "").caused_by(e))?;
    bearer.set_sensitive(true);
    let (mut groups, mut seen) = (Vec::new(), HashSet::new());
    let (mut url, mut left) = (first, MAX_BYTES);
    for _ in 0..MAX_PAGES {
        let request = Request::get(url.as_str()).header(ACCEPT, "application/json").header(AUTHORIZATION, &bearer);
        let request = request.body(Vec::new()).map_err(|e| invalid("a URL", "").caused_by(e))?;
        let answer = send(outgoing, request, MAX_PAGE.min(left)).await?;
        left = left.saturating_sub(answer.body.len());
        let page = read(&object(&answer)?)?;
        groups.extend(page.groups.into_iter().filter(|group| seen.insert(group.clone())));
        if groups.len() > MAX_GROUPS {
            return Err(too_many(MAX_GROUPS, groups.len()));
        }
        match page.next {
            Some(next) => url = next,
            None => return Ok(groups),
        }
    }
    Err(invalid(&format!("at most {MAX_PAGES} pages"), "more"))
}

/// Sends one request of a look-up.
pub(super) async fn send(outgoing: &Outgoing, request: Request<Vec<u8>>, body: usize) -> Result<Answer, ProviderError> {
    // The look-up as a whole has a limit, which comes first.
    let limits = Limits { time: TIME_LIMIT + Duration::from_secs(1), body };
    outgoing.send(request, limits).await.map_err(failed)
}

/// The object that an answer with status 200 holds.
pub(super) fn object(answer: &Answer) -> Result<Map<String, Value>, ProviderError> {
    let json = answer.content_type.as_deref() == Some("application/json");
    let body = if json { json::parse_object(&answer.body) } else { Ok(Map::new()) };
    if answer.status != StatusCode::OK {
        return Err(refusal(answer.status, &body.unwrap_or_default()));
    }
    if !json {
        return Err(invalid("application/json", answer.content_type.as_deref().unwrap_or("no content type")));
    }
    body.map_err(|e| invalid("strict JSON", "").caused_by(e))
}

/// What an answer other than 200 means.
fn refusal(status: StatusCode, body: &Map<String, Value>) -> ProviderError {
    let code = error_code(body).unwrap_or_default();
    // Google says this with 403 too.
    let busy = code.contains("ateLimitExceeded") || code.contains("uotaExceeded");
    let reason = match status {
        StatusCode::TOO_MANY_REQUESTS => Reason::GroupsUnavailable,
        _ if status.is_server_error() || busy => Reason::GroupsUnavailable,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Reason::GroupsDenied,
        StatusCode::BAD_REQUEST if NOT_ACCEPTED.contains(&code) => Reason::GroupsDenied,
        _ => Reason::GroupsInvalid,
    };
    ProviderError::new(reason).saying(StatusCode::OK, format_args!("{status} {code}"))
}

/// The word for an error: Graph's `error.code`, Google's `error.errors[0].reason`, OAuth's `error`. Their messages are
/// not taken: they may repeat what we sent.
fn error_code(body: &Map<String, Value>) -> Option<&str> {
    let error = body.get("error")?;
    let code = error.as_str().or_else(|| error.get("code")?.as_str());
    let code = code.or_else(|| error.get("errors")?.get(0)?.get("reason")?.as_str())?;
    let plain = code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    plain.then_some(code)
}

pub(super) fn invalid(expected: &str, found: &str) -> ProviderError {
    ProviderError::new(Reason::GroupsInvalid).saying(expected, found)
}

pub(super) fn too_many(limit: usize, found: usize) -> ProviderError {
    ProviderError::new(Reason::GroupsTooMany).saying(format_args!("at most {limit}"), found)
}

fn failed(error: OutgoingError) -> ProviderError {
    let reason = if error.answered() { Reason::GroupsInvalid } else { Reason::GroupsUnavailable };
    ProviderError::new(reason).saying("", &error).caused_by(error)
}

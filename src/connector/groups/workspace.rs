//! Groups from Google Workspace: the Directory API of the Admin SDK, `groups.list` by member.

use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};
use url::Url;

use super::list::{self, Page, invalid};
use super::service_account::TokenSource;
use crate::base::clock::Clock;
use crate::base::email::EmailAddress;
use crate::base::outgoing::Outgoing;
use crate::config::GoogleDirectory;
use crate::connector::error::{ProviderError, Reason};

const PATH: &str = "/admin/directory/v1/groups";

/// 200 is the API's largest page.
const PAGE_SIZE: &str = "200";

/// What is asked for of a page.
const FIELDS: &str = "nextPageToken,groups/email";

/// Longest address or page token that is taken, in bytes.
const MAX_TEXT: usize = 2_048;

/// The Directory API, and the service account's way in.
pub(super) struct Workspace {
    url: Url,
    tokens: TokenSource,
    outgoing: Outgoing,
}

impl Workspace {
    pub(super) fn new(config: GoogleDirectory, outgoing: Outgoing, clock: Clock) -> Self {
        let mut url = config.url.clone();
        url.set_path(PATH);
        let tokens = TokenSource::new(config, outgoing.clone(), clock);
        Self { url, tokens, outgoing }
    }

    /// The e-mail addresses of the groups that a person is a direct member of.
    pub(super) async fn groups(&self, person: &EmailAddress) -> Result<Vec<String>, ProviderError> {
        let token = self.tokens.token().await?;
        let url = |page: Option<&str>| {
            let mut url = self.url.clone();
            url.query_pairs_mut()
                .append_pair("userKey", person.as_str())
                .append_pair("maxResults", PAGE_SIZE)
                .append_pair("fields", FIELDS)
                .extend_pairs(page.map(|page| ("pageToken", page)));
            url
        };
        let read = |body: &Map<String, Value>| {
            let next = match body.get("nextPageToken") {
                None => None,
                Some(Value::String(page)) if (1..=MAX_TEXT).contains(&page.len()) => Some(url(Some(page))),
                Some(_) => return Err(invalid("nextPageToken: text", "")),
            };
            Ok(Page { groups: addresses(body)?, next })
        };
        let found = list::read_all(&self.outgoing, url(None), token.expose_secret(), read).await;
        if let Err(error) = &found
            && error.why() == Reason::GroupsDenied
        {
            // It may have been taken back before its time: the next sign-in gets another.
            self.tokens.forget(&token).await;
        }
        found
    }
}

/// The groups' addresses; somebody without groups has no `groups`.
fn addresses(body: &Map<String, Value>) -> Result<Vec<String>, ProviderError> {
    let entries = match body.get("groups") {
        None => return Ok(Vec::new()),
        Some(Value::Array(entries)) => entries,
        Some(_) => return Err(invalid("groups: a list", "")),
    };
    let address = |entry: &Value| match entry.get("email") {
        Some(Value::String(email)) if (1..=MAX_TEXT).contains(&email.len()) => Ok(email.clone()),
        _ => Err(invalid("email: an address", "")),
    };
    entries.iter().map(address).collect()
}

//! Groups from Microsoft Graph.
//!
//! Asked in the person's own name, with the access token that came with the sign-in: `User.Read` is enough for one's own
//! memberships and lets us read nobody else's, while the app's own token would need an administrator's consent to read
//! everybody's. It also works for each tenant of a connector of several, and without a client secret.

use serde_json::{Map, Value};
use url::Url;

use super::list::{self, Page, invalid};
use crate::base::outgoing::Outgoing;
use crate::connector::entra;
use crate::connector::error::{ProviderError, Reason};

/// Memberships through other groups count, as in the token. The cast leaves out directory roles and administrative
/// units, which are no groups.
const PATH: &str = "/v1.0/me/transitiveMemberOf/microsoft.graph.group";

/// 999 is Graph's largest page.
const QUERY: &str = "$select=id&$top=999";

/// Microsoft Graph in one cloud.
pub(super) struct Graph {
    base: Url,
    always: bool,
    outgoing: Outgoing,
}

impl Graph {
    /// `base` is an origin.
    pub(super) fn new(base: Url, always: bool, outgoing: Outgoing) -> Self {
        Self { base, always, outgoing }
    }

    /// Whether it is asked although the token says nothing of groups elsewhere.
    pub(super) fn always(&self) -> bool {
        self.always
    }

    /// The object ids of all groups of the person whose access token this is.
    pub(super) async fn groups(&self, access_token: Option<&str>) -> Result<Vec<String>, ProviderError> {
        let missing = || ProviderError::new(Reason::GroupsUnavailable).saying("an access token", "none");
        let access_token = access_token.ok_or_else(missing)?;
        let mut first = self.base.clone();
        first.set_path(PATH);
        first.set_query(Some(QUERY));
        list::read_all(&self.outgoing, first, access_token, |body| page(body, &self.base)).await
    }
}

/// Reads a page. The next one must be at the same origin: the token goes there.
fn page(body: &Map<String, Value>, base: &Url) -> Result<Page, ProviderError> {
    let Some(Value::Array(entries)) = body.get("value") else { return Err(invalid("value: a list", "")) };
    let id = |entry: &Value| match entry.get("id") {
        Some(Value::String(id)) if entra::is_id(id) => Ok(id.clone()),
        _ => Err(invalid("id: an object id", "")),
    };
    let groups = entries.iter().map(id).collect::<Result<_, _>>()?;
    let next = match body.get("@odata.nextLink") {
        None => None,
        Some(Value::String(link)) => Some(next(link, base)?),
        Some(_) => return Err(invalid("@odata.nextLink: text", "")),
    };
    Ok(Page { groups, next })
}

fn next(link: &str, base: &Url) -> Result<Url, ProviderError> {
    let link = Url::parse(link).map_err(|e| invalid("@odata.nextLink: a URL", "").caused_by(e))?;
    let plain = link.username().is_empty() && link.password().is_none();
    if plain && link.origin() == base.origin() {
        return Ok(link);
    }
    let (expected, found) = (base.origin().ascii_serialization(), link.origin().ascii_serialization());
    Err(invalid(&expected, if plain { &found } else { "a URL with user information" }))
}

//! The groups of a person: from the token, from Microsoft Graph, or from Google's Directory API.
//!
//! Nobody is signed in with fewer groups than they have: an application may use a group to keep somebody out. A list that
//! is elsewhere and may not be fetched, cannot be had or is too long is a refusal (I10). The addresses in a token's
//! `_claim_sources` are never fetched: where calls go is the operator's to say, and Entra's still name an API that is
//! retired.

mod graph;
mod list;
mod service_account;
mod workspace;

use std::time::Duration;

use serde_json::{Map, Value};

use super::error::{ProviderError, Reason};
use crate::base::clock::Clock;
use crate::base::email::EmailAddress;
use crate::base::outgoing::Outgoing;
use crate::config::{GroupsFrom, OidcConnector};

use graph::Graph;
use workspace::Workspace;

/// The whole of one look-up, whatever is slow in it.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// More groups than this are refused; that many in a token are no provider's habit (Entra puts 200 there).
const MAX_IN_TOKEN: usize = 1_000;

type Claims = Map<String, Value>;

/// Where one connector's groups come from.
pub(crate) struct Groups {
    claim: String,
    source: Source,
}

enum Source {
    Token,
    Graph(Box<Graph>),
    Workspace(Box<Workspace>),
}

/// Who is asked about. All of it is verified.
pub(crate) struct Person<'a> {
    pub(crate) claims: &'a Claims,
    pub(crate) email: &'a EmailAddress,
    /// The person's own, from the answer that brought the claims.
    pub(crate) access_token: Option<&'a str>,
}

impl Groups {
    /// Fetches nothing.
    pub(crate) fn new(config: &OidcConnector, outgoing: &Outgoing, clock: &Clock) -> Self {
        let source = match &config.groups {
            GroupsFrom::Token => Source::Token,
            GroupsFrom::Graph { url, always } => {
                Source::Graph(Box::new(Graph::new(url.clone(), *always, outgoing.clone())))
            }
            GroupsFrom::Directory(directory) => {
                Source::Workspace(Box::new(Workspace::new(directory.clone(), outgoing.clone(), clock.clone())))
            }
        };
        Self { claim: config.groups_claim.clone(), source }
    }

    /// All groups of a person, without repetition.
    ///
    /// # Errors
    /// They are elsewhere and may not be fetched, cannot be had, or are too many.
    pub(crate) async fn of(&self, person: &Person<'_>) -> Result<Vec<String>, ProviderError> {
        let look_up = async {
            match &self.source {
                Source::Graph(graph) if graph.always() || is_elsewhere(person.claims, &self.claim) => {
                    graph.groups(person.access_token).await
                }
                Source::Workspace(workspace) => workspace.groups(person.email).await,
                Source::Token | Source::Graph(_) => in_token(person.claims, &self.claim),
            }
        };
        match tokio::time::timeout(TIME_LIMIT, look_up).await {
            Ok(result) => result,
            Err(_) => {
                let found = "no full answer in time";
                Err(ProviderError::new(Reason::GroupsUnavailable).saying(format_args!("{TIME_LIMIT:?}"), found))
            }
        }
    }
}

/// The groups claim: a list of strings, or one.
fn in_token(claims: &Claims, claim: &str) -> Result<Vec<String>, ProviderError> {
    if is_elsewhere(claims, claim) {
        return Err(
            ProviderError::new(Reason::GroupsElsewhere).saying(format_args!("{claim} in the token"), "elsewhere")
        );
    }
    match claims.get(claim) {
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(many)) if many.len() > MAX_IN_TOKEN => Err(list::too_many(MAX_IN_TOKEN, many.len())),
        Some(Value::Array(many)) => Ok(many.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        _ => Ok(Vec::new()),
    }
}

/// Whether the token says that a claim is kept elsewhere (OpenID Connect Core section 5.6.2), as Entra does for groups
/// over its limit; `hasgroups` is Entra's word for it where a token has to be short.
pub(crate) fn is_elsewhere(claims: &Claims, claim: &str) -> bool {
    let named = claims.get("_claim_names").and_then(Value::as_object).is_some_and(|names| names.contains_key(claim));
    let has_groups = match claims.get("hasgroups") {
        Some(Value::Bool(has)) => *has,
        Some(Value::String(has)) => has == "true",
        _ => false,
    };
    named || (claim == "groups" && has_groups)
}

#[cfg(test)]
mod tests;

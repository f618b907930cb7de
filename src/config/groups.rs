//! Where a connector's groups come from, when the token does not hold them.

use std::path::Path;

use url::Url;

use super::kinds::Kind;
use super::parse::{Context, is_plain_http_off_loopback, web_url, wrong};
use super::problem::Place;
use super::read::{Field, section};
use super::words::{Choice, Word};
use crate::base::email::EmailAddress;
use crate::base::secret::Secret;
use crate::base::service_account::ServiceAccount;

/// Where the groups of a connector's people come from.
#[derive(Clone, Debug)]
pub enum GroupsFrom {
    /// The groups claim alone. Somebody whose token says that the groups are elsewhere is refused.
    Token,
    /// entra: Microsoft Graph, with the signed-in person's access token.
    Graph {
        /// An origin, such as `https://graph.microsoft.com`.
        url: Url,
        /// At every sign-in; else when the token says that the groups are elsewhere.
        always: bool,
    },
    /// google: the Directory API of the Admin SDK.
    Directory(GoogleDirectory),
}

/// `[connectors.<id>.directory]`
#[derive(Clone, Debug)]
pub struct GoogleDirectory {
    /// The service account's key file. It was one at start; it is read again at each use.
    pub service_account: Secret,
    /// The administrator in whose name the service account asks.
    pub subject: EmailAddress,
    /// An origin; default `https://admin.googleapis.com`.
    pub url: Url,
    /// The token endpoint; default `https://oauth2.googleapis.com/token`.
    pub token_url: Url,
}

/// `groups_overage` as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overage {
    Refuse,
    Graph,
    AlwaysGraph,
}

impl Word for Overage {
    const WORDS: &'static [(&'static str, Self)] =
        &[("refuse", Self::Refuse), ("graph", Self::Graph), ("always-graph", Self::AlwaysGraph)];
}

section! {
    /// Groups of Google Workspace.
    RawDirectory {
        /// Required. The key file (JSON) of a service account that may use the scope
        /// `https://www.googleapis.com/auth/admin.directory.group.readonly` by domain-wide delegation. Read again when
        /// it changes. Its `token_uri` is not followed.
        service_account_file: String,
        /// Required. The administrator in whose name the service account asks, by e-mail address. A role that
        /// may read groups is enough.
        subject: String,
        /// The Directory API's origin.
        #[schemars(extend("default" = "https://admin.googleapis.com"))]
        url: String,
        /// Where the service account gets its access tokens.
        #[schemars(extend("default" = "https://oauth2.googleapis.com/token"))]
        token_url: String,
    }
}

const GRAPH: &str = "https://graph.microsoft.com";
const DIRECTORY: &str = "https://admin.googleapis.com";
const TOKEN: &str = "https://oauth2.googleapis.com/token";
const ORIGIN: &str = "allowed: an origin such as \"https://graph.microsoft.com\", without a path";
const ENDPOINT: &str = "allowed: a URL such as \"https://oauth2.googleapis.com/token\"";
const KEY_FILE: &str = "allowed: a service account's key file, in JSON";

/// What a connector's table says about groups.
pub(super) struct Raw {
    pub(super) overage: Field<Choice<Overage>>,
    pub(super) graph_url: Field<String>,
    pub(super) directory: Field<RawDirectory>,
}

impl Raw {
    /// Keys of another kind are reported elsewhere.
    pub(super) fn resolve(
        self,
        kind: Option<Kind>,
        place: &Place,
        insecure_http: bool,
        cx: &mut Context<'_>,
    ) -> Option<GroupsFrom> {
        let graph_place = self.graph_url.set().map(|at| at.place.clone());
        let graph_url = endpoint(self.graph_url, GRAPH, ORIGIN, insecure_http, cx);
        let always = match self.overage.word_or(Overage::Refuse)? {
            Overage::Graph => false,
            Overage::AlwaysGraph => true,
            Overage::Refuse => {
                if let (Some(place), Some(Kind::Entra)) = (graph_place, kind) {
                    let text = "is not used, because groups_overage is \"refuse\"; remove it, or choose \"graph\"";
                    cx.report.problem(&place, text);
                    return None;
                }
                let Some(directory) = self.directory.optional()? else { return Some(GroupsFrom::Token) };
                let place = place.child("directory");
                return directory.resolve(&place, insecure_http, cx).map(GroupsFrom::Directory);
            }
        };
        Some(GroupsFrom::Graph { url: graph_url?, always })
    }
}

impl RawDirectory {
    fn resolve(self, place: &Place, insecure_http: bool, cx: &mut Context<'_>) -> Option<GoogleDirectory> {
        let file = cx.path(self.service_account_file).parse(cx.report, |path| key_file(path));
        let service_account = file.required(place, "service_account_file", KEY_FILE, cx.report);
        let allowed = "allowed: an administrator's e-mail address";
        let subject = self.subject.parse(cx.report, |text| text.parse().map_err(|_| wrong(text, allowed)));
        let subject = subject.required(place, "subject", allowed, cx.report);
        let url = endpoint(self.url, DIRECTORY, ORIGIN, insecure_http, cx);
        let token_url = endpoint(self.token_url, TOKEN, ENDPOINT, insecure_http, cx);
        Some(GoogleDirectory { service_account: service_account?, subject: subject?, url: url?, token_url: token_url? })
    }
}

/// A key file that can be used now.
fn key_file(path: &Path) -> Result<Secret, String> {
    let secret = Secret::File(path.to_owned());
    let text = secret.read().map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{error}{cause}; {KEY_FILE}")
    })?;
    match ServiceAccount::parse(secrecy::ExposeSecret::expose_secret(&text)) {
        Ok(_) => Ok(secret),
        Err(error) => Err(format!("{} cannot be used: {error}; {KEY_FILE}", path.display())),
    }
}

/// A URL that calls with a token go to.
fn endpoint(
    field: Field<String>,
    default: &str,
    allowed: &str,
    insecure_http: bool,
    cx: &mut Context<'_>,
) -> Option<Url> {
    let parsed = field.parse(cx.report, |text| {
        let url = web_url(text, allowed)?;
        if allowed == ORIGIN && url.path() != "/" {
            return Err(wrong(text, allowed));
        }
        if is_plain_http_off_loopback(&url) && !insecure_http {
            return Err(wrong(text, "plain http off loopback; allowed: https"));
        }
        Ok(url)
    });
    match parsed.optional()? {
        Some(url) => Some(url),
        None => Url::parse(default).ok(),
    }
}

/// Adds what the provider has to be asked for at sign-in: reading one's own groups takes `User.Read`, which every user
/// may consent to and new registrations have. Graph refuses other permissions alone.
pub(super) fn complete_scopes(scopes: &mut Vec<String>, groups: &GroupsFrom) {
    let GroupsFrom::Graph { url, .. } = groups else { return };
    let origin = url.as_str().trim_end_matches('/');
    let full = format!("{origin}/User.Read");
    let default = format!("{origin}/.default");
    if !scopes.iter().any(|scope| scope.eq_ignore_ascii_case("User.Read") || *scope == full || *scope == default) {
        // Without its resource a scope means Microsoft Graph of the global cloud.
        scopes.push(if origin == GRAPH { String::from("User.Read") } else { full });
    }
}

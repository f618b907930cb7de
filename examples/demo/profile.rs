//! What makes one provider different from another. Everything here is data; `provider` does the work.

use serde_json::{Map, Value};

/// One demo provider.
pub(crate) struct Profile {
    /// As the sign-in page calls it.
    pub(crate) name: &'static str,
    /// Class of the page's `<body>`.
    pub(crate) theme: &'static str,
    /// `scheme://host:port`, where every endpoint is.
    pub(crate) origin: String,
    pub(crate) issuer: String,
    pub(crate) paths: Paths,
    /// Whether the authorization response carries `iss` (RFC 9207).
    pub(crate) sends_iss: bool,
    /// Name of the cookie that remembers who is signed in here.
    pub(crate) cookie: &'static str,
    /// The parameter that narrows sign-in to one organisation.
    pub(crate) domain_parameter: &'static str,
    /// Members of the discovery document beside those every provider has.
    pub(crate) discovery: Map<String, Value>,
    /// Claims that `userinfo` tells, as far as the scope allows.
    pub(crate) userinfo_claims: &'static [&'static str],
    pub(crate) client: Client,
    pub(crate) people: Vec<Person>,
}

/// Paths of the endpoints, from the origin.
pub(crate) struct Paths {
    pub(crate) discovery: String,
    pub(crate) authorize: String,
    /// Where the form of the sign-in page goes.
    pub(crate) sign_in: String,
    pub(crate) token: String,
    pub(crate) keys: String,
    pub(crate) userinfo: String,
    pub(crate) sign_out: String,
    /// Whether `sign_out` is an `end_session_endpoint`: Entra has one, Google has not.
    pub(crate) rp_initiated_logout: bool,
}

/// The application registered at the provider: Anteroom.
pub(crate) struct Client {
    pub(crate) id: &'static str,
    pub(crate) secret: &'static str,
    pub(crate) redirect_uri: String,
    pub(crate) post_logout_redirect_uri: String,
}

/// Somebody who can sign in here, or try.
pub(crate) struct Person {
    /// What `login_hint` is compared with, without regard to case.
    pub(crate) address: &'static str,
    pub(crate) name: &'static str,
    /// What happens when this person signs in, in one line.
    pub(crate) expect: &'static str,
    /// Every claim about the person, `sub` included.
    pub(crate) claims: Map<String, Value>,
    /// Sign-in ends with this error instead of a code.
    pub(crate) refusal: Option<Refusal>,
}

/// `error` and `error_description` of an authorization response.
pub(crate) struct Refusal {
    pub(crate) error: &'static str,
    pub(crate) description: String,
}

impl Profile {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// The host and port that requests must name.
    pub(crate) fn authority(&self) -> &str {
        self.origin.strip_prefix("http://").unwrap_or(&self.origin)
    }
}

/// The object of a `json!({…})`.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

//! The provider's discovery document (`OpenID` Connect Discovery 1.0 section 4). Nothing in it is trusted further than
//! the issuer that the operator wrote (O34).

use serde_json::{Map, Value};
use url::Url;

use crate::base::json;
use crate::connector::error::{ProviderError, Reason};

/// Largest discovery document that is read, in bytes.
pub(crate) const MAX_DOCUMENT: usize = 256 * 1024;

/// What the provider says of itself, as far as it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// Exactly as written in the document: what ID tokens and callbacks are compared to. For a multi-tenant Entra
    /// authority a template with `{tenantid}`.
    pub(crate) issuer: String,
    pub(crate) authorization_endpoint: Url,
    pub(crate) token_endpoint: Url,
    pub(crate) jwks_uri: Url,
    pub(crate) userinfo_endpoint: Option<Url>,
    pub(crate) end_session_endpoint: Option<Url>,
    /// `client_secret_post` is listed and `client_secret_basic` is not.
    pub(crate) secret_in_body: bool,
    /// Client assertions are taken with PS256 and not with RS256.
    pub(crate) assertions_by_pss: bool,
    /// The callback always carries `iss` (RFC 9207).
    pub(crate) promises_issuer: bool,
}

impl Metadata {
    /// Reads a discovery document. `accepts` judges its issuer.
    pub(crate) fn parse(
        document: &[u8],
        accepts: impl Fn(&str) -> Result<(), ProviderError>,
    ) -> Result<Self, ProviderError> {
        let document = json::parse_object(document)
            .map_err(|e| rejected("a discovery document", "no strict JSON object").caused_by(e))?;
        let issuer = text(&document, "issuer")?.ok_or_else(|| rejected("issuer", "absent"))?;
        accepts(issuer)?;
        let plain_http = issuer.starts_with("http://");
        let endpoint = |name: &'static str| match text(&document, name)? {
            None => Ok(None),
            Some(url) => endpoint(url, plain_http).map(Some).ok_or_else(|| rejected(name, url)),
        };
        let required = |name: &'static str| endpoint(name)?.ok_or_else(|| rejected(name, "absent"));
        let lists = |name: &str, value: &str| {
            document.get(name).and_then(Value::as_array).is_some_and(|all| all.iter().any(|v| v == value))
        };
        let method = |method: &str| lists("token_endpoint_auth_methods_supported", method);
        let algorithm = |alg: &str| lists("token_endpoint_auth_signing_alg_values_supported", alg);
        Ok(Self {
            authorization_endpoint: required("authorization_endpoint")?,
            token_endpoint: required("token_endpoint")?,
            jwks_uri: required("jwks_uri")?,
            userinfo_endpoint: endpoint("userinfo_endpoint")?,
            end_session_endpoint: endpoint("end_session_endpoint")?,
            secret_in_body: method("client_secret_post") && !method("client_secret_basic"),
            assertions_by_pss: algorithm("PS256") && !algorithm("RS256"),
            promises_issuer: document.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true)),
            issuer: issuer.to_owned(),
        })
    }
}

/// Where the document of `issuer` is (Discovery section 4.1).
pub(crate) fn document_url(issuer: &Url) -> String {
    format!("{}/.well-known/openid-configuration", without_slash(issuer.as_str()))
}

/// Whether the document's issuer is the one the operator wrote; one trailing slash more or less is the same.
pub(crate) fn is_issuer(configured: &Url, found: &str) -> Result<(), ProviderError> {
    let configured = without_slash(configured.as_str());
    if without_slash(found) == configured { Ok(()) } else { Err(rejected(configured, found)) }
}

pub(crate) fn without_slash(url: &str) -> &str {
    url.strip_suffix('/').unwrap_or(url)
}

pub(crate) fn rejected(expected: &str, found: &str) -> ProviderError {
    ProviderError::new(Reason::IdpConfigRejected).saying(expected, found)
}

fn text<'d>(document: &'d Map<String, Value>, name: &'static str) -> Result<Option<&'d str>, ProviderError> {
    match document.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(rejected(name, "not a string")),
    }
}

/// An endpoint is absolute, has no user information and no fragment, and is https unless the issuer is not.
fn endpoint(url: &str, plain_http: bool) -> Option<Url> {
    let url = Url::parse(url).ok()?;
    let scheme = url.scheme() == "https" || (plain_http && url.scheme() == "http");
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none() && url.has_host();
    (scheme && plain).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn honest() -> Value {
        json!({
            "issuer": "https://idp.example.com",
            "authorization_endpoint": "https://idp.example.com/authorize?tenant=1",
            "token_endpoint": "https://tokens.example.com/token",
            "jwks_uri": "https://idp.example.com/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "authorization_response_iss_parameter_supported": true,
        })
    }

    fn read(configured: &str, document: &Value) -> Result<Metadata, ProviderError> {
        let configured: Url = configured.parse().unwrap();
        Metadata::parse(document.to_string().as_bytes(), |found| is_issuer(&configured, found))
    }

    fn with(member: &str, value: Value) -> Value {
        let mut document = honest();
        document[member] = value;
        document
    }

    #[test]
    fn an_honest_document_is_read_o34() {
        let metadata = read("https://idp.example.com", &honest()).unwrap();
        assert_eq!(metadata.issuer, "https://idp.example.com");
        assert_eq!(metadata.authorization_endpoint.as_str(), "https://idp.example.com/authorize?tenant=1");
        assert!(metadata.secret_in_body && metadata.promises_issuer);
        assert_eq!((metadata.userinfo_endpoint, metadata.end_session_endpoint), (None, None));
    }

    #[test]
    fn the_issuer_must_be_the_one_the_operator_wrote_o34() {
        for other in [
            "https://idp.example.com.evil.com",
            "http://idp.example.com",
            "https://idp.example.com//",
            "https://IDP.example.com",
            "https://idp.example.com/a",
            "",
        ] {
            let error = read("https://idp.example.com", &with("issuer", json!(other))).unwrap_err();
            assert_eq!(error.reason(), "idp_config_rejected", "{other}");
        }
        assert!(read("https://idp.example.com", &with("issuer", json!(1))).is_err());
    }

    #[test]
    fn one_trailing_slash_is_the_same_issuer_and_tokens_follow_the_document() {
        let slashed = read("https://idp.example.com", &with("issuer", json!("https://idp.example.com/"))).unwrap();
        assert_eq!(slashed.issuer, "https://idp.example.com/");
        let realm = with("issuer", json!("https://idp.example.com/realms/a"));
        assert!(read("https://idp.example.com/realms/a/", &realm).is_ok());
        assert!(read("https://idp.example.com/realms", &realm).is_err());
    }

    #[test]
    fn endpoints_are_absolute_https_without_user_or_fragment_o34() {
        for member in
            ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "end_session_endpoint"]
        {
            assert!(read("https://idp.example.com", &with(member, json!("https://other.example.com/x"))).is_ok());
            for bad in [
                "http://idp.example.com/x",
                "/x",
                "file:///etc/passwd",
                "https://u@idp.example.com/",
                "https://idp.example.com/#x",
                "javascript:alert(1)",
                "https:///x y",
            ] {
                let error = read("https://idp.example.com", &with(member, json!(bad))).unwrap_err();
                assert_eq!(error.reason(), "idp_config_rejected", "{member} {bad}");
            }
        }
        let mut local = with("issuer", json!("http://idp.localhost:9000"));
        local["token_endpoint"] = json!("http://idp.localhost:9000/token");
        assert!(read("http://idp.localhost:9000", &local).is_ok());
    }

    #[test]
    fn required_endpoints_are_required() {
        for member in ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"] {
            assert!(read("https://idp.example.com", &with(member, Value::Null)).is_err(), "{member}");
        }
        let twice = honest().to_string().replacen('{', r#"{"issuer":"https://idp.example.com","#, 1);
        assert!(Metadata::parse(twice.as_bytes(), |_| Ok(())).is_err());
    }

    #[test]
    fn the_document_is_below_the_issuer() {
        let at = |issuer: &str| document_url(&issuer.parse().unwrap());
        assert_eq!(at("https://idp.example.com"), "https://idp.example.com/.well-known/openid-configuration");
        assert_eq!(at("https://idp.example.com/a"), "https://idp.example.com/a/.well-known/openid-configuration");
    }
}

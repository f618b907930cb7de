//! Google Workspace. `hd` in the token, not in the request, says which organisation an account belongs to; an address
//! alone does not, since anybody may open a consumer account with a work address (I04).

use serde_json::{Map, Value};

use super::error::{ProviderError, Reason};
use crate::base::email::EmailDomain;

/// The token's `hd` is one of `hosted_domains`.
pub(crate) fn check_organisation(
    claims: &Map<String, Value>,
    hosted_domains: &[EmailDomain],
) -> Result<(), ProviderError> {
    let hd = claims.get("hd").and_then(Value::as_str);
    if hd.and_then(|hd| hd.parse().ok()).is_some_and(|hd: EmailDomain| hosted_domains.contains(&hd)) {
        return Ok(());
    }
    let expected: Vec<&str> = hosted_domains.iter().map(EmailDomain::as_str).collect();
    Err(ProviderError::new(Reason::HdMismatch).saying(expected.join(" "), hd.unwrap_or("no hd")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(claims: &Value) -> Result<(), &'static str> {
        let hosted = ["acme.com", "acme.de"].map(|d| d.parse().unwrap());
        check_organisation(claims.as_object().unwrap(), &hosted).map_err(|e| e.reason())
    }

    #[test]
    fn the_organisation_is_the_tokens_hd_i04() {
        assert_eq!(check(&serde_json::json!({ "hd": "acme.com" })), Ok(()));
        assert_eq!(check(&serde_json::json!({ "hd": "ACME.de" })), Ok(()));
        for bad in [
            serde_json::json!({}),
            serde_json::json!({ "hd": "other.com", "email": "a@acme.com" }),
            serde_json::json!({ "hd": "notacme.com" }),
            serde_json::json!({ "hd": "sub.acme.com" }),
            serde_json::json!({ "hd": ["acme.com"] }),
            serde_json::json!({ "hd": "" }),
        ] {
            assert_eq!(check(&bad), Err("hd_mismatch"), "{bad}");
        }
    }
}

//! Sign-out at the provider (`OpenID` Connect RP-Initiated Logout 1.0 section 2).

use url::Url;

/// The URL that ends the session at the provider and brings the browser back.
pub(crate) fn url(
    end_session_endpoint: &Url,
    client_id: &str,
    id_token_hint: &str,
    post_logout_redirect_uri: &str,
    state: &str,
) -> String {
    let mut url = end_session_endpoint.clone();
    url.query_pairs_mut()
        .append_pair("id_token_hint", id_token_hint)
        .append_pair("client_id", client_id)
        .append_pair("post_logout_redirect_uri", post_logout_redirect_uri)
        .append_pair("state", state);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_providers_own_query_is_kept_and_values_are_encoded() {
        let endpoint = "https://idp.example.com/end?p=1".parse().unwrap();
        let url = url(&endpoint, "me", "a.b.c", "https://app.example.com/.anteroom/sign-out/done", "s&t");
        assert_eq!(
            url,
            "https://idp.example.com/end?p=1&id_token_hint=a.b.c&client_id=me&post_logout_redirect_uri=\
             https%3A%2F%2Fapp.example.com%2F.anteroom%2Fsign-out%2Fdone&state=s%26t"
        );
    }
}

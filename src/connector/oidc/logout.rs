//! Sign-out at the provider (`OpenID` Connect RP-Initiated Logout 1.0 section 2).

use url::Url;

/// Longest `id_token_hint`, in bytes. Common proxies take 4 KB of response headers, and a sign-out that is lost on its
/// way would leave our cookie in the browser; without the hint, the provider asks the person.
const MAX_HINT: usize = 3 * 1024;

/// The URL that ends the session at the provider and brings the browser back.
pub(crate) fn url(
    end_session_endpoint: &Url,
    client_id: &str,
    id_token_hint: &str,
    post_logout_redirect_uri: &str,
    state: &str,
) -> String {
    let mut url = end_session_endpoint.clone();
    if id_token_hint.len() <= MAX_HINT {
        url.query_pairs_mut().append_pair("id_token_hint", id_token_hint);
    }
    url.query_pairs_mut()
        .append_pair("client_id", client_id)
        .append_pair("post_logout_redirect_uri", post_logout_redirect_uri)
        .append_pair("state", state);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_that_proxies_would_not_pass_is_left_out() {
        let endpoint = "https://idp.example.com/end".parse().unwrap();
        let url = |length: usize| url(&endpoint, "me", &"a".repeat(length), "https://app.example.com/", "s");
        assert!(url(MAX_HINT).contains("id_token_hint=") && url(MAX_HINT).len() < 4096);
        assert!(!url(MAX_HINT + 1).contains("id_token_hint") && url(MAX_HINT + 1).contains("client_id=me"));
    }

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

//! The authorization request (`OpenID` Connect Core section 3.1.2.1, RFC 7636).

use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{CoreAuthenticationFlow, CoreClient};
use openidconnect::{AuthUrl, ClientId, CsrfToken, IssuerUrl, JsonWebKeySet, LoginHint, Nonce, RedirectUrl, Scope};

use super::metadata::Metadata;
use crate::config::Requirement;
use crate::connector::error::{ProviderError, Reason};

/// One sign-in attempt's part of the request.
#[derive(Clone, Copy)]
pub struct AuthorizationRequest<'a> {
    pub state: &'a str,
    pub nonce: &'a str,
    /// From [`pkce_challenge`].
    pub pkce_challenge: &'a str,
    pub login_hint: Option<&'a str>,
    /// An e-mail domain; Google calls it `hd`.
    pub domain_hint: Option<&'a str>,
    /// The person wants to choose another account.
    pub select_account: bool,
    /// What the sign-in must be, beside what the connector asks of every one: the person proves who they are unless they
    /// did within `max_age` (zero: in any case), and the classes of `acr` are asked for, best first. `amr` cannot be asked
    /// for. A provider may ignore all of it: it is judged when the code is redeemed.
    pub requirement: &'a Requirement,
    /// The provider shows nothing: it answers with a code or with an error such as `login_required`.
    pub prompt_none: bool,
}

/// The connector's part of the request.
pub(crate) struct Client<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) redirect_uri: &'a str,
    pub(crate) scopes: &'a [String],
    pub(crate) prompt: Option<&'a str>,
    pub(crate) requirement: &'a Requirement,
    /// Google: give a refresh token, which takes the consent page.
    pub(crate) offline: bool,
    /// The `prompt` that lets a person choose another account.
    pub(crate) prompt_for_another: &'static str,
    /// The name of the parameter that takes the domain hint, and the hint when the attempt has none.
    pub(crate) domain_hint: (&'static str, Option<&'a str>),
}

/// The S256 challenge of `verifier` (RFC 7636 section 4.2).
pub fn pkce_challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

/// The URL that the browser is sent to.
pub(crate) fn url(
    metadata: &Metadata,
    client: &Client<'_>,
    request: &AuthorizationRequest<'_>,
) -> Result<String, ProviderError> {
    let invalid = |e: url::ParseError| ProviderError::new(Reason::ConnectorMisconfigured).caused_by(e);
    let issuer = IssuerUrl::new(metadata.issuer.clone()).map_err(invalid)?;
    let library = CoreClient::new(ClientId::new(client.client_id.to_owned()), issuer, JsonWebKeySet::default())
        .set_auth_uri(AuthUrl::from_url(metadata.authorization_endpoint.clone()))
        .set_redirect_uri(RedirectUrl::new(client.redirect_uri.to_owned()).map_err(invalid)?);
    let (state, nonce) = (CsrfToken::new(request.state.to_owned()), Nonce::new(request.nonce.to_owned()));
    let mut library = library
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, move || state, move || nonce)
        // `openid` is always there; the library adds it.
        .add_scopes(client.scopes.iter().filter(|s| *s != "openid").map(|s| Scope::new(s.clone())))
        .add_extra_param("code_challenge", request.pkce_challenge)
        .add_extra_param("code_challenge_method", "S256");
    if let Some(hint) = request.login_hint {
        library = library.set_login_hint(LoginHint::new(hint.to_owned()));
    }
    let (parameter, fallback) = client.domain_hint;
    if let Some(hint) = request.domain_hint.or(fallback) {
        library = library.add_extra_param(parameter, hint);
    }
    let Requirement { max_age, acr, .. } = client.requirement.and(request.requirement);
    if let Some(max_age) = max_age {
        library = library.set_max_age(max_age);
    }
    match acr {
        None => {}
        // Nobody is sent to a provider for what no answer could meet.
        Some(classes) if classes.is_empty() => {
            let (own, asked) = (&client.requirement.acr, &request.requirement.acr);
            let words = |classes: &Option<Vec<String>>| classes.as_deref().unwrap_or_default().join(" ");
            return Err(ProviderError::new(Reason::AcrInsufficient).saying(
                format_args!("acr: one of: {}", words(asked)),
                format_args!("the connector asks for: {}", words(own)),
            ));
        }
        Some(classes) => library = library.add_extra_param("acr_values", classes.join(" ")),
    }
    if client.offline && !request.prompt_none {
        library = library.add_extra_param("access_type", "offline");
    }
    if let Some(prompt) = prompt(client, request, max_age) {
        library = library.add_extra_param("prompt", prompt);
    }
    let (url, _, _) = library.url();
    Ok(url.into())
}

/// `prompt` (Core section 3.1.2.1): `none` stands alone; a `max_age` of 0 is `login`, which more providers know.
fn prompt(client: &Client<'_>, request: &AuthorizationRequest<'_>, max_age: Option<Duration>) -> Option<String> {
    if request.prompt_none {
        return Some(String::from("none"));
    }
    let written = client.prompt.unwrap_or_default();
    let own = if request.select_account { client.prompt_for_another } else { written };
    let login = (max_age == Some(Duration::ZERO)).then_some("login");
    // Without the consent page there would be no refresh token, whoever signs in.
    let consent = (client.offline || written.contains("consent")).then_some("consent");
    let mut words: Vec<&str> = Vec::new();
    for word in own.split(' ').chain(login).chain(consent).filter(|word| !word.is_empty()) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    (!words.is_empty()).then(|| words.join(" "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::connector::oidc::fixture;

    const REQUEST: AuthorizationRequest<'_> = AuthorizationRequest {
        state: "the-state",
        nonce: "the-nonce",
        pkce_challenge: "the-challenge",
        login_hint: Some("ann@acme.com"),
        domain_hint: None,
        select_account: false,
        requirement: &NOTHING,
        prompt_none: false,
    };

    fn query(client: &Client<'_>, request: &AuthorizationRequest<'_>) -> BTreeMap<String, String> {
        let url: url::Url = url(&fixture::metadata(), client, request).unwrap().parse().unwrap();
        assert!(url.as_str().starts_with("https://idp.example.com/authorize?"));
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        let map: BTreeMap<_, _> = pairs.iter().cloned().collect();
        assert_eq!(map.len(), pairs.len(), "no parameter twice");
        map
    }

    static NOTHING: Requirement = Requirement { max_age: None, acr: None, amr: Vec::new() };

    fn client<'a>(scopes: &'a [String]) -> Client<'a> {
        Client {
            requirement: &NOTHING,
            offline: false,
            client_id: "client",
            redirect_uri: "https://app.example.com/.anteroom/oidc/acme/callback",
            scopes,
            prompt: None,
            prompt_for_another: "select_account",
            domain_hint: ("domain_hint", None),
        }
    }

    #[test]
    fn every_request_has_state_nonce_and_s256_o23() {
        let scopes = ["openid", "email"].map(String::from);
        let query = query(&client(&scopes), &REQUEST);
        let want = [
            ("client_id", "client"),
            ("code_challenge", "the-challenge"),
            ("code_challenge_method", "S256"),
            ("login_hint", "ann@acme.com"),
            ("nonce", "the-nonce"),
            ("redirect_uri", "https://app.example.com/.anteroom/oidc/acme/callback"),
            ("response_type", "code"),
            ("scope", "openid email"),
            ("state", "the-state"),
        ];
        assert_eq!(query, want.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    }

    #[test]
    fn hints_and_prompts_are_passed_on() {
        let client = Client { prompt: Some("login"), domain_hint: ("hd", Some("acme.com")), ..client(&[]) };
        assert_eq!(query(&client, &REQUEST)["hd"], "acme.com");
        assert_eq!(query(&client, &REQUEST)["prompt"], "login");
        let request = AuthorizationRequest { domain_hint: Some("b.com"), select_account: true, ..REQUEST };
        assert_eq!(query(&client, &request)["hd"], "b.com");
        assert_eq!(query(&client, &request)["prompt"], "select_account");
    }

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        assert_eq!(
            pkce_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }
}

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use url::Url;
use url::form_urlencoded::Serializer;

use super::Provider;
use crate::args::Ports;
use crate::reply::Reply;
use crate::request::Asked;
use crate::server::Site as _;
use crate::{entra, google};

const NOW: u64 = 1_800_000_000;
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn entra() -> Provider {
    Provider::new(entra::profile(Ports::standard())).unwrap()
}

fn google() -> Provider {
    Provider::new(google::profile(Ports::standard())).unwrap()
}

fn encode(pairs: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// An honest authorization request with some parameters replaced or added.
fn authorization(provider: &Provider, changes: &[(&str, &str)]) -> String {
    let client = &provider.profile.client;
    let mut pairs = vec![
        ("response_type", "code"),
        ("client_id", client.id),
        ("redirect_uri", client.redirect_uri.as_str()),
        ("scope", "openid profile email"),
        ("state", "the-state"),
        ("nonce", "the-nonce"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    pairs.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    pairs.extend_from_slice(changes);
    encode(&pairs)
}

fn get(provider: &Provider, target: &str, cookie: &str) -> Asked {
    Request::get(target)
        .header("host", provider.profile.authority())
        .header("cookie", cookie)
        .body(Bytes::new())
        .unwrap()
}

fn post(provider: &Provider, target: &str, form: &[(&str, &str)]) -> Asked {
    Request::post(target)
        .header("host", provider.profile.authority())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from(encode(form)))
        .unwrap()
}

fn authorize(provider: &Provider, changes: &[(&str, &str)], cookie: &str) -> Reply {
    let target = format!("{}?{}", provider.profile.paths.authorize, authorization(provider, changes));
    provider.answer(&get(provider, &target, cookie), NOW)
}

/// Presses the button of the person with this address.
fn press(provider: &Provider, address: &str, changes: &[(&str, &str)]) -> Reply {
    let index = provider.profile.people.iter().position(|person| person.address == address).unwrap().to_string();
    let request = authorization(provider, changes);
    let form = [("person", index.as_str()), ("request", request.as_str())];
    provider.answer(&post(provider, &provider.profile.paths.sign_in, &form), NOW)
}

fn location(reply: &Reply) -> Url {
    assert_eq!(reply.status(), StatusCode::SEE_OTHER);
    Url::parse(reply.headers()["location"].to_str().unwrap()).unwrap()
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

fn code(reply: &Reply) -> String {
    parameter(&location(reply), "code").unwrap()
}

fn cookie_of(reply: &Reply) -> String {
    reply.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

async fn body(reply: Reply) -> String {
    String::from_utf8(reply.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

async fn json(reply: Reply) -> Value {
    serde_json::from_str(&body(reply).await).unwrap()
}

/// An honest token request with some parameters replaced.
fn exchange(provider: &Provider, code: &str, changes: &[(&str, &str)], now: u64) -> Reply {
    let client = &provider.profile.client;
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", client.redirect_uri.as_str()),
        ("code_verifier", VERIFIER),
        ("client_id", client.id),
        ("client_secret", client.secret),
    ];
    form.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    form.extend_from_slice(changes);
    provider.answer(&post(provider, &provider.profile.paths.token, &form), now)
}

async fn error_of(reply: Reply) -> String {
    assert!(reply.status().is_client_error());
    json(reply).await["error"].as_str().unwrap().to_owned()
}

async fn claims_of(provider: &Provider, reply: Reply) -> Value {
    assert_eq!(reply.status(), StatusCode::OK);
    let token = json(reply).await["id_token"].as_str().unwrap().to_owned();
    provider.key.claims_of_own(&token).expect("the ID token is signed by the provider's key")
}

#[tokio::test]
async fn an_entra_member_gets_the_claims_of_a_version_2_token() {
    let provider = entra();
    let code = code(&press(&provider, "alice@acme.com", &[]));
    let claims = claims_of(&provider, exchange(&provider, &code, &[], NOW)).await;
    assert_eq!(claims["iss"], format!("http://login.entra.localhost:4182/{}/v2.0", entra::TENANT));
    assert_eq!(claims["aud"], entra::CLIENT_ID);
    assert_eq!(claims["nonce"], "the-nonce");
    assert_eq!(claims["tid"], entra::TENANT);
    assert_eq!(claims["ver"], "2.0");
    assert_eq!(claims["acct"], 0);
    assert_eq!(claims["upn"], "alice@acme.com");
    assert_eq!(claims["roles"], serde_json::json!(["Admin"]));
    assert_ne!(claims["sub"], claims["oid"]);
    assert_eq!(claims["exp"], NOW + 3600);
}

#[tokio::test]
async fn an_entra_guest_is_marked_as_one() {
    let provider = entra();
    let code = code(&press(&provider, "dana@partner.example", &[]));
    let claims = claims_of(&provider, exchange(&provider, &code, &[], NOW)).await;
    assert_eq!(claims["acct"], 1);
    assert!(claims["upn"].as_str().unwrap().contains("#EXT#"));
}

#[tokio::test]
async fn only_a_workspace_account_has_hd() {
    let provider = google();
    let workspace = code(&press(&provider, "hana@globex.com", &[]));
    assert_eq!(claims_of(&provider, exchange(&provider, &workspace, &[], NOW)).await["hd"], "globex.com");
    let private = code(&press(&provider, "kim.home@gmail.com", &[]));
    assert_eq!(claims_of(&provider, exchange(&provider, &private, &[], NOW)).await.get("hd"), None);
}

#[tokio::test]
async fn claims_of_a_scope_that_was_not_asked_for_are_not_told() {
    let provider = google();
    let code = code(&press(&provider, "hana@globex.com", &[("scope", "openid")]));
    let claims = claims_of(&provider, exchange(&provider, &code, &[], NOW)).await;
    assert_eq!((claims.get("email"), claims.get("name")), (None, None));
}

#[tokio::test]
async fn a_wrong_pkce_verifier_is_refused_and_the_right_one_is_not() {
    let provider = entra();
    let wrong = "a".repeat(43);
    let first = code(&press(&provider, "alice@acme.com", &[]));
    assert_eq!(error_of(exchange(&provider, &first, &[("code_verifier", &wrong)], NOW)).await, "invalid_grant");
    let second = code(&press(&provider, "alice@acme.com", &[]));
    assert_eq!(exchange(&provider, &second, &[], NOW).status(), StatusCode::OK);
}

#[tokio::test]
async fn a_code_works_once() {
    let provider = entra();
    let code = code(&press(&provider, "alice@acme.com", &[]));
    assert_eq!(exchange(&provider, &code, &[], NOW).status(), StatusCode::OK);
    assert_eq!(error_of(exchange(&provider, &code, &[], NOW)).await, "invalid_grant");
}

#[tokio::test]
async fn a_code_lives_for_less_than_sixty_seconds() {
    let provider = entra();
    let fresh = code(&press(&provider, "alice@acme.com", &[]));
    assert_eq!(exchange(&provider, &fresh, &[], NOW + 59).status(), StatusCode::OK);
    let stale = code(&press(&provider, "alice@acme.com", &[]));
    assert_eq!(error_of(exchange(&provider, &stale, &[], NOW + 60)).await, "invalid_grant");
}

#[tokio::test]
async fn an_unregistered_redirect_uri_gets_a_page_and_never_a_redirect() {
    let provider = entra();
    let registered = provider.profile.client.redirect_uri.clone();
    for wrong in [format!("{registered}/"), format!("{registered}?x=1"), "http://evil.localhost/".to_owned()] {
        let reply = authorize(&provider, &[("redirect_uri", &wrong)], "");
        assert_eq!(reply.status(), StatusCode::BAD_REQUEST);
        assert!(!reply.headers().contains_key("location"));
    }
    assert_eq!(authorize(&provider, &[], "").status(), StatusCode::OK);
}

#[tokio::test]
async fn the_token_request_must_repeat_the_redirect_uri() {
    let provider = entra();
    let code = code(&press(&provider, "alice@acme.com", &[]));
    let reply = exchange(&provider, &code, &[("redirect_uri", "http://portal.localhost:4180/")], NOW);
    assert_eq!(error_of(reply).await, "invalid_grant");
}

#[tokio::test]
async fn a_client_authenticates_by_form_or_header_with_the_right_secret() {
    let provider = google();
    let wrong = code(&press(&provider, "hana@globex.com", &[]));
    let reply = exchange(&provider, &wrong, &[("client_secret", "guess")], NOW);
    assert_eq!(reply.status(), StatusCode::UNAUTHORIZED);

    // The failed client did not use up the code; the honest one takes it, this time with the header.
    let client = &provider.profile.client;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", wrong.as_str()),
        ("redirect_uri", client.redirect_uri.as_str()),
        ("code_verifier", VERIFIER),
    ];
    let mut asked = post(&provider, &provider.profile.paths.token, &form);
    let credentials = STANDARD.encode(format!("{}:{}", client.id, client.secret));
    asked.headers_mut().insert("authorization", format!("Basic {credentials}").parse().unwrap());
    assert_eq!(provider.answer(&asked, NOW).status(), StatusCode::OK);
}

#[tokio::test]
async fn a_request_without_pkce_goes_back_with_an_error() {
    let provider = entra();
    let back = location(&authorize(&provider, &[("code_challenge_method", "plain")], ""));
    assert_eq!(parameter(&back, "error").as_deref(), Some("invalid_request"));
    assert_eq!(parameter(&back, "state").as_deref(), Some("the-state"));
}

#[tokio::test]
async fn iss_comes_from_google_and_not_from_entra() {
    let from_google = location(&press(&google(), "hana@globex.com", &[]));
    assert_eq!(parameter(&from_google, "iss").as_deref(), Some("http://accounts.google.localhost:4183"));
    let from_entra = location(&press(&entra(), "alice@acme.com", &[]));
    assert_eq!(parameter(&from_entra, "iss"), None);
    assert_eq!(parameter(&from_entra, "state").as_deref(), Some("the-state"));
}

#[tokio::test]
async fn somebody_not_assigned_is_refused_in_entras_words() {
    let back = location(&press(&entra(), "erin@acme.com", &[]));
    assert_eq!(parameter(&back, "error").as_deref(), Some("access_denied"));
    assert!(parameter(&back, "error_description").unwrap().starts_with("AADSTS50105: "));
    assert_eq!(parameter(&back, "code"), None);
}

#[tokio::test]
async fn single_sign_on_answers_without_a_page_unless_the_request_wants_one() {
    let provider = entra();
    let cookie = cookie_of(&press(&provider, "alice@acme.com", &[]));
    assert!(parameter(&location(&authorize(&provider, &[], &cookie)), "code").is_some());
    assert!(parameter(&location(&authorize(&provider, &[("prompt", "none")], &cookie)), "code").is_some());
    for wants_a_page in [("prompt", "select_account"), ("prompt", "login"), ("login_hint", "bob@acme.com")] {
        assert_eq!(authorize(&provider, &[wants_a_page], &cookie).status(), StatusCode::OK, "{wants_a_page:?}");
    }
    let nobody = location(&authorize(&provider, &[("prompt", "none")], ""));
    assert_eq!(parameter(&nobody, "error").as_deref(), Some("login_required"));
}

#[tokio::test]
async fn the_person_hinted_at_comes_first_and_what_was_sent_is_escaped() {
    let provider = entra();
    let page = body(authorize(&provider, &[("login_hint", "bob@acme.com")], "")).await;
    assert!(page.find("bob@acme.com<br>").unwrap() < page.find("alice@acme.com<br>").unwrap());
    let page = body(authorize(&provider, &[("login_hint", "<script>")], "")).await;
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"));
}

#[tokio::test]
async fn a_sign_in_form_from_another_site_is_refused() {
    let provider = entra();
    let request = authorization(&provider, &[]);
    let mut asked = post(&provider, &provider.profile.paths.sign_in, &[("person", "0"), ("request", &request)]);
    assert_eq!(provider.answer(&asked, NOW).status(), StatusCode::SEE_OTHER);
    asked.headers_mut().insert("sec-fetch-site", "cross-site".parse().unwrap());
    assert_eq!(provider.answer(&asked, NOW).status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn sign_out_with_a_hint_returns_with_the_state_and_ends_single_sign_on() {
    let provider = entra();
    let pressed = press(&provider, "alice@acme.com", &[]);
    let cookie = cookie_of(&pressed);
    let id_token = json(exchange(&provider, &code(&pressed), &[], NOW)).await["id_token"].as_str().unwrap().to_owned();
    let target = |hint: &str, uri: &str| {
        let pairs = [("id_token_hint", hint), ("post_logout_redirect_uri", uri), ("state", "s")];
        format!("{}?{}", provider.profile.paths.sign_out, encode(&pairs))
    };
    let registered = provider.profile.client.post_logout_redirect_uri.as_str();

    let elsewhere = provider.answer(&get(&provider, &target(&id_token, "http://evil.localhost/"), &cookie), NOW);
    assert_eq!(elsewhere.status(), StatusCode::BAD_REQUEST);
    let unproven = provider.answer(&get(&provider, &target("no.id.token", registered), &cookie), NOW);
    assert!(body(unproven).await.contains("Sign out?"));
    assert!(parameter(&location(&authorize(&provider, &[], &cookie)), "code").is_some(), "still signed in");

    let back = location(&provider.answer(&get(&provider, &target(&id_token, registered), &cookie), NOW));
    assert_eq!(back.as_str(), format!("{registered}?state=s"));
    assert_eq!(authorize(&provider, &[], &cookie).status(), StatusCode::OK, "asked again");
}

#[tokio::test]
async fn userinfo_needs_the_access_token() {
    let provider = google();
    let code = code(&press(&provider, "hana@globex.com", &[]));
    let token = json(exchange(&provider, &code, &[], NOW)).await["access_token"].as_str().unwrap().to_owned();
    let mut asked = get(&provider, &provider.profile.paths.userinfo, "");
    assert_eq!(provider.answer(&asked, NOW).status(), StatusCode::UNAUTHORIZED);
    asked.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let told = json(provider.answer(&asked, NOW)).await;
    assert_eq!((told["email"].as_str(), told["hd"].as_str()), (Some("hana@globex.com"), Some("globex.com")));
}

#[tokio::test]
async fn the_key_set_has_a_2048_bit_key_and_discovery_names_the_issuer() {
    let provider = entra();
    let keys = json(provider.answer(&get(&provider, &provider.profile.paths.keys, ""), NOW)).await;
    assert_eq!((keys["keys"][0]["kty"].as_str(), keys["keys"][0]["alg"].as_str()), (Some("RSA"), Some("RS256")));
    assert_eq!(URL_SAFE_NO_PAD.decode(keys["keys"][0]["n"].as_str().unwrap()).unwrap().len(), 256);
    let document = json(provider.answer(&get(&provider, &provider.profile.paths.discovery, ""), NOW)).await;
    assert_eq!(document["issuer"], provider.profile.issuer);
    assert!(provider.profile.paths.discovery.ends_with("/v2.0/.well-known/openid-configuration"));
}

#[test]
fn the_shipped_configuration_names_what_the_providers_registered() {
    let config: toml::Table = toml::from_str(include_str!("../anteroom.toml")).unwrap();
    let ports = Ports::standard();
    assert_eq!(config["server"]["public_url"].as_str(), Some(ports.portal_url().as_str()));
    assert_eq!(config["ops"]["listen"].as_str(), Some(format!("127.0.0.1:{}", ports.ops()).as_str()));
    assert_eq!(
        config["apps"]["portal"]["upstream"].as_str(),
        Some(format!("http://127.0.0.1:{}", ports.app()).as_str())
    );
    for (connector, profile) in [("acme-entra", entra::profile(ports)), ("globex-google", google::profile(ports))] {
        let section = &config["connectors"][connector];
        assert_eq!(section["issuer"].as_str(), Some(profile.issuer.as_str()));
        assert_eq!(section["client_id"].as_str(), Some(profile.client.id));
        assert_eq!(section["client_secret"].as_str(), Some(profile.client.secret));
        assert!(profile.client.redirect_uri.contains(connector));
    }
}

//! The whole connector against a provider on loopback that counts what it is asked and lies where it is told to.

use std::time::Duration;

use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::oidc::fixture::{self, CLIENT, NONCE, NOW, TestKey, rsa, sign, with};
use super::*;
use crate::base::clock::Clock;
use crate::base::outgoing::{Outgoing, Settings};
use crate::base::secret::Secret;
use crate::config::{ConnectorKind, OidcConnector, SigningAlgorithm};

mod credentials;
mod endings;
mod fake_idp;
mod groups;
mod renewals;
mod requirements;

use fake_idp::FakeIdp;

fn connector(issuer: &str, kind: ConnectorKind) -> OidcConnector {
    OidcConnector {
        kind,
        name: "Acme".into(),
        issuer: issuer.parse().unwrap(),
        client_id: CLIENT.into(),
        client_secret: Some(Secret::Value(SecretString::from("canary-secret"))),
        scopes: ["openid", "email"].map(String::from).into(),
        email_claim: None,
        groups_claim: "groups".into(),
        groups: crate::config::GroupsFrom::Token,
        roles_claim: "roles".into(),
        algorithms: vec![SigningAlgorithm::RS256],
        prompt: None,
        client_certificate: None,
        requirement: Requirement::default(),
        renewal: Renewal::Refresh,
        callback_path: "/cb".into(),
    }
}

fn provider(config: &OidcConnector, clock: &Clock) -> OidcProvider {
    let outgoing = Outgoing::new(&Settings::default()).unwrap();
    let domains = vec!["acme.com".parse().unwrap()];
    let redirect_uri = "https://app.example.com/.anteroom/oidc/acme/callback".into();
    OidcProvider::new("acme".parse().unwrap(), config, domains, redirect_uri, outgoing, clock.clone())
}

/// A provider on loopback, an OIDC connector to it, and the clock of both.
async fn setup() -> (FakeIdp, OidcProvider, Clock) {
    let idp = FakeIdp::start().await;
    let clock = Clock::manual(NOW);
    let kind = ConnectorKind::Oidc { email_is_verified_by_operator: false };
    let provider = provider(&connector(&idp.issuer(), kind), &clock);
    (idp, provider, clock)
}

async fn redeem(provider: &OidcProvider) -> Result<SignedIn, ProviderError> {
    provider.redeem("the-code", "the-verifier", NONCE, &Requirement::default(), NOW).await
}

async fn verdict(provider: &OidcProvider) -> Result<String, &'static str> {
    redeem(provider).await.map(|s| s.identity.subject).map_err(|e| e.reason())
}

/// Waits for what happens behind a use.
async fn until(happened: impl Fn() -> bool) {
    let wait = async {
        while !happened() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("it happens behind the use");
}

fn ann() -> Result<String, &'static str> {
    Ok("ann".into())
}

#[tokio::test]
async fn an_honest_code_becomes_an_identity() {
    let (idp, provider, _) = setup().await;
    let signed_in = redeem(&provider).await.unwrap();
    assert_eq!(signed_in.identity.email.as_str(), "ann@acme.com");
    assert_eq!(signed_in.identity.connector.as_str(), "acme");
    assert_eq!(idp.asked("/userinfo"), 0, "nothing was missing");
    let body = idp.seen.lock().unwrap()["/token"].1.clone();
    assert!(body.contains("code=the-code") && body.contains("code_verifier=the-verifier"));
    assert!(!format!("{signed_in:?}").contains(signed_in.tokens.id_token.expose_secret()), "Debug hides the token");
}

#[tokio::test]
async fn a_spoilt_token_stops_everything_after_it_o01_o16() {
    let (idp, provider, _) = setup().await;
    idp.claim("email", Value::Null);
    idp.claim("iss", json!("https://evil.example.com"));
    assert_eq!(verdict(&provider).await, Err("iss_mismatch"));
    assert_eq!(idp.asked("/userinfo"), 0);
    idp.claim("iss", json!(idp.issuer()));
    idp.claim("email", json!("ann@acme.com"));
    assert_eq!(verdict(&provider).await, ann());
    idp.claim("nonce", json!("another"));
    assert_eq!(verdict(&provider).await, Err("nonce_mismatch"));
}

#[tokio::test]
async fn documents_are_fetched_once_and_renewed_behind_a_use() {
    let (idp, provider, clock) = setup().await;
    for _ in 0..3 {
        assert_eq!(verdict(&provider).await, ann());
    }
    let counts = || (idp.asked("/.well-known/openid-configuration"), idp.asked("/keys"));
    assert_eq!(counts(), (1, 1));
    clock.advance(Duration::from_secs(3_601));
    idp.claim("iat", json!(clock.now().secs()));
    idp.claim("exp", json!(clock.now().secs() + 60));
    assert_eq!(verdict(&provider).await, ann());
    until(|| counts() == (2, 2)).await;
}

#[tokio::test]
async fn many_first_uses_are_one_fetch() {
    let (idp, provider, _) = setup().await;
    let all = futures_util::future::join_all((0..20).map(|_| verdict(&provider))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert_eq!((idp.asked("/.well-known/openid-configuration"), idp.asked("/keys")), (1, 1));
}

#[tokio::test]
async fn a_rotated_key_costs_exactly_one_fetch_o14() {
    let (idp, provider, _) = setup().await;
    assert_eq!(verdict(&provider).await, ann());
    idp.rotate();
    assert_eq!(verdict(&provider).await, ann());
    assert_eq!(verdict(&provider).await, ann());
    assert_eq!(idp.asked("/keys"), 2);
}

#[tokio::test]
async fn a_key_rotated_without_kids_is_found_too_o12_o14() {
    let (idp, provider, _) = setup().await;
    assert_eq!(verdict(&provider).await, ann());
    idp.rotate();
    idp.change(|s| s.token_header = json!({ "alg": "RS256" }));
    assert_eq!(verdict(&provider).await, ann());
    assert_eq!(idp.asked("/keys"), 2);
}

#[tokio::test]
async fn random_kids_cost_one_fetch_in_thirty_seconds_o15() {
    let (idp, provider, clock) = setup().await;
    assert_eq!(verdict(&provider).await, ann());
    let honest = fixture::header("RS256", "k0");
    for i in 0..20 {
        idp.change(|s| s.token_header = fixture::header("RS256", &format!("random-{i}")));
        let at_once = futures_util::future::join_all((0..5).map(|_| verdict(&provider))).await;
        assert!(at_once.iter().all(|v| *v == Err("key_unknown")), "{at_once:?}");
    }
    assert_eq!(idp.asked("/keys"), 2, "the first, and one for all the unknown kids");
    idp.change(|s| s.token_header = honest);
    assert_eq!(verdict(&provider).await, ann());
    clock.advance(Duration::from_secs(30));
    idp.change(|s| s.token_header = fixture::header("RS256", "random"));
    assert_eq!(verdict(&provider).await, Err("key_unknown"));
    assert_eq!(idp.asked("/keys"), 3);
}

#[tokio::test]
async fn a_bad_newer_key_set_leaves_the_old_one_in_use_o13() {
    let (idp, provider, _) = setup().await;
    assert_eq!(verdict(&provider).await, ann());
    let keys: Vec<Value> = (0..5_000).map(|i| json!({ "kty": "oct", "kid": i.to_string() })).collect();
    idp.change(|s| {
        s.keys.1 = json!({ "keys": keys }).to_string();
        s.token_header = fixture::header("RS256", "new");
    });
    let error = redeem(&provider).await.unwrap_err();
    assert_eq!(error.reason(), "key_unknown");
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("jwks_rejected"));
    idp.change(|s| s.token_header = fixture::header("RS256", "k0"));
    assert_eq!(verdict(&provider).await, ann());
    idp.change(|s| s.keys.1 = " ".repeat(10 * 1024 * 1024));
    assert_eq!(verdict(&provider).await, ann());
}

#[tokio::test]
async fn a_dead_provider_is_asked_once_in_five_seconds_and_is_welcome_back() {
    let (idp, provider, clock) = setup().await;
    idp.change(|s| s.discovery.0 = StatusCode::BAD_GATEWAY);
    for _ in 0..3 {
        let error = redeem(&provider).await.unwrap_err();
        assert_eq!((error.reason(), error.kind()), ("provider_unavailable", Kind::Unavailable));
    }
    assert_eq!(idp.asked("/.well-known/openid-configuration"), 1);
    assert_eq!(provider.logout_url("t", "https://app.example.com/", "s").await, None);
    idp.change(|s| s.discovery.0 = StatusCode::OK);
    clock.advance(Duration::from_secs(5));
    assert_eq!(verdict(&provider).await, ann());
}

#[tokio::test]
async fn a_provider_that_nobody_listens_for_is_unreachable() {
    let kind = ConnectorKind::Oidc { email_is_verified_by_operator: false };
    let provider = provider(&connector("http://127.0.0.1:1", kind), &Clock::manual(NOW));
    let error = redeem(&provider).await.unwrap_err();
    assert_eq!((error.reason(), error.kind()), ("provider_unreachable", Kind::Unavailable));
    assert_eq!(provider.logout_origin(), None, "nobody has said where sign-out is");
}

#[tokio::test]
async fn a_document_of_another_issuer_is_refused_o34() {
    let (idp, provider, clock) = setup().await;
    idp.change(|s| s.discovery.1["issuer"] = json!("http://127.0.0.1:1"));
    let error = redeem(&provider).await.unwrap_err();
    assert_eq!((error.reason(), error.kind()), ("idp_config_rejected", Kind::Misconfigured));
    idp.change(|s| s.discovery.1["issuer"] = json!(idp.issuer()));
    clock.advance(Duration::from_secs(5));
    assert_eq!(verdict(&provider).await, ann());
    idp.change(|s| s.discovery.1["issuer"] = json!("http://127.0.0.1:1"));
    clock.advance(Duration::from_secs(3_601));
    idp.claim("iat", json!(clock.now().secs()));
    idp.claim("exp", json!(clock.now().secs() + 60));
    assert_eq!(verdict(&provider).await, ann(), "the last good one stays");
    until(|| idp.asked("/.well-known/openid-configuration") == 3).await;
    assert_eq!(verdict(&provider).await, ann(), "the last good one stays after the new one was refused");
}

#[tokio::test]
async fn endpoints_lead_to_no_address_of_another_class_o34() {
    let (idp, provider, _) = setup().await;
    for inner in ["http://169.254.169.254/keys", "http://10.0.0.1/keys", "http://0.0.0.0/keys"] {
        idp.change(|s| s.discovery.1["jwks_uri"] = json!(inner.replace("http:", "https:")));
        let fresh = OidcProvider::new(
            provider.id.clone(),
            &provider.connector,
            Vec::new(),
            String::new(),
            Outgoing::new(&Settings::default()).unwrap(),
            provider.clock.clone(),
        );
        assert_eq!(verdict(&fresh).await, Err("idp_config_rejected"), "{inner}");
    }
    assert_eq!(idp.asked("/token"), 0, "no code is used up");
}

#[tokio::test]
async fn bad_token_answers_are_refused_o27() {
    let (idp, provider, _) = setup().await;
    let honest = json!({ "id_token": "x", "access_token": "a", "token_type": "Bearer" }).to_string();
    for (status, content_type, body) in [
        (StatusCode::FOUND, "application/json", honest.clone()),
        (StatusCode::OK, "text/html", honest.clone()),
        (StatusCode::OK, "application/json", "[]".into()),
        (StatusCode::OK, "application/json", honest.replacen('{', "{\"id_token\":\"y\",", 1)),
        (StatusCode::OK, "application/json", format!("{honest}{}", " ".repeat(5 * 1024 * 1024))),
    ] {
        idp.change(|s| s.token_answer = Some((status, content_type, body)));
        assert_eq!(verdict(&provider).await, Err("token_response_invalid"), "{status} {content_type}");
    }
    let refused = json!({ "error": "invalid_client" }).to_string();
    idp.change(|s| s.token_answer = Some((StatusCode::UNAUTHORIZED, "application/json", refused)));
    assert_eq!(redeem(&provider).await.unwrap_err().kind(), Kind::Misconfigured);
    idp.change(|s| s.token_answer = None);
    assert_eq!(verdict(&provider).await, ann());
}

#[tokio::test]
async fn userinfo_counts_only_for_the_same_person_o29() {
    let (idp, provider, _) = setup().await;
    idp.claim("email", Value::Null);
    let json_answer = |value: &Value| ("application/json", value.to_string());
    let honest = json!({ "sub": "ann", "email": "ann@acme.com", "email_verified": true });
    idp.change(|s| s.userinfo = json_answer(&honest));
    assert_eq!(verdict(&provider).await, ann());
    for (bad, reason) in [
        (with(honest.clone(), "sub", json!("eve")), "userinfo_sub_mismatch"),
        (with(honest.clone(), "sub", Value::Null), "userinfo_sub_mismatch"),
        (with(honest.clone(), "sub", json!(["ann"])), "userinfo_sub_mismatch"),
        (json!([honest.clone()]), "userinfo_invalid"),
        (with(honest.clone(), "email_verified", Value::Null), "email_unverified"),
        (with(honest.clone(), "email", Value::Null), "email_missing"),
    ] {
        idp.change(|s| s.userinfo = json_answer(&bad));
        assert_eq!(verdict(&provider).await, Err(reason), "{bad}");
    }
    idp.change(|s| s.userinfo = ("text/html", honest.to_string()));
    assert_eq!(verdict(&provider).await, Err("userinfo_invalid"));
}

#[tokio::test]
async fn signed_userinfo_is_verified_like_an_id_token_o29() {
    let (idp, provider, _) = setup().await;
    idp.claim("email", Value::Null);
    let header = fixture::header("RS256", "k0");
    let honest = json!({
        "iss": idp.issuer(), "aud": CLIENT, "sub": "ann", "email": "ann@acme.com", "email_verified": true,
    });
    let jwt = |key: &TestKey, claims: &Value| ("application/jwt", sign(key, &header, claims));
    idp.change(|s| s.userinfo = jwt(rsa(0), &honest));
    assert_eq!(verdict(&provider).await, ann());
    for (key, claims) in [
        (rsa(1), honest.clone()),
        (rsa(0), with(honest.clone(), "iss", json!("https://evil.example.com"))),
        (rsa(0), with(honest.clone(), "iss", Value::Null)),
        (rsa(0), with(honest.clone(), "aud", json!("other"))),
        (rsa(0), with(honest.clone(), "aud", Value::Null)),
    ] {
        idp.change(|s| s.userinfo = jwt(key, &claims));
        assert_eq!(verdict(&provider).await, Err("userinfo_invalid"), "{claims}");
    }
    idp.change(|s| s.userinfo = jwt(rsa(0), &with(honest, "sub", json!("eve"))));
    assert_eq!(verdict(&provider).await, Err("userinfo_sub_mismatch"));
}

#[tokio::test]
async fn the_callbacks_issuer_is_this_provider_o20_o21() {
    let (idp, provider, clock) = setup().await;
    let check = async |iss: Option<&str>| provider.check_issuer(iss).await.map_err(|e| e.reason());
    assert_eq!(check(None).await, Ok(()));
    assert_eq!(check(Some(&idp.issuer())).await, Ok(()));
    assert_eq!(check(Some(&format!("{}/", idp.issuer()))).await, Err("idp_mixup"));
    assert_eq!(check(Some("https://other.example.com")).await, Err("idp_mixup"));
    assert_eq!(check(Some("")).await, Err("idp_mixup"));
    idp.change(|s| s.discovery.1["authorization_response_iss_parameter_supported"] = json!(true));
    let promising = self::provider(&provider.connector, &clock);
    assert_eq!(promising.check_issuer(None).await.map_err(|e| e.reason()), Err("iss_param_missing"));
    assert_eq!(promising.check_issuer(Some(&idp.issuer())).await.map_err(|e| e.reason()), Ok(()));
    assert_eq!(idp.asked("/token"), 0, "the code went nowhere");
}

#[tokio::test]
async fn a_google_account_needs_its_organisation_i04() {
    let idp = FakeIdp::start().await;
    let kind = ConnectorKind::Google { hosted_domains: vec!["acme.com".parse().unwrap()] };
    let provider = provider(&connector(&idp.issuer(), kind), &Clock::manual(NOW));
    assert_eq!(verdict(&provider).await, Err("hd_mismatch"));
    idp.claim("hd", json!("other.com"));
    assert_eq!(verdict(&provider).await, Err("hd_mismatch"));
    idp.claim("hd", json!("acme.com"));
    assert_eq!(verdict(&provider).await, ann());
    let request = AuthorizationRequest {
        state: "s",
        nonce: NONCE,
        pkce_challenge: "c",
        login_hint: None,
        domain_hint: None,
        select_account: false,
        requirement: &Requirement::default(),
        prompt_none: false,
    };
    let url = provider.authorization_url(&request).await.unwrap();
    assert!(url.starts_with(&format!("{}/authorize?", idp.issuer())) && url.contains("&hd=acme.com"), "{url}");
}

#[tokio::test]
async fn an_entra_identity_is_tenant_and_object_i01_i02() {
    const TENANT: &str = "11111111-2222-4333-8444-555555555555";
    const OBJECT: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
    let idp = FakeIdp::start().await;
    let clock = Clock::manual(NOW);
    let issuer = format!("{}/{TENANT}/v2.0", idp.issuer());
    let kind = ConnectorKind::Entra { tenant: TENANT.into(), allowed_tenants: vec![TENANT.into()] };
    let config = connector(&issuer, kind);
    assert_eq!(verdict(&provider(&config, &clock)).await, Err("idp_config_rejected"), "no tenant in its issuer");
    idp.change(|s| s.discovery.1["issuer"] = json!(issuer));
    let provider = provider(&config, &clock);
    idp.claim("iss", json!(issuer));
    idp.claim("email", Value::Null);
    idp.claim("preferred_username", json!("ann@acme.com"));
    idp.claim("tid", json!(TENANT));
    idp.claim("oid", json!(OBJECT));
    assert_eq!(verdict(&provider).await, Ok(format!("{TENANT}.{OBJECT}")));
    idp.claim("tid", json!("99999999-2222-4333-8444-555555555555"));
    assert_eq!(verdict(&provider).await, Err("tenant_mismatch"));
}

#[tokio::test]
async fn sign_out_goes_to_the_provider_if_it_offers_that() {
    let (idp, provider, clock) = setup().await;
    let url = provider.logout_url("hint", "https://app.example.com/done", "s").await.unwrap();
    assert!(url.starts_with(&format!("{}/end?id_token_hint=hint&client_id=client&", idp.issuer())), "{url}");
    idp.change(|s| s.discovery.1["end_session_endpoint"] = Value::Null);
    let without = self::provider(&provider.connector, &clock);
    assert_eq!(without.logout_url("hint", "https://app.example.com/done", "s").await, None);
}

#[tokio::test]
async fn a_sign_in_may_run_on_any_thread() {
    let (_idp, provider, _) = setup().await;
    let provider = Arc::new(provider);
    let task = tokio::spawn(async move {
        provider.check_issuer(None).await?;
        redeem(&provider).await
    });
    assert!(task.await.unwrap().is_ok());
}

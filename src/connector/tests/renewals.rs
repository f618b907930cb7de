//! Renewing a session: what goes on, what ends, and what is tried again.

use super::*;
use crate::base::clock::Timestamp;
use crate::identity::Identity;

/// A session that the honest provider made: signed in an hour ago, with a refresh token.
async fn session(idp: &FakeIdp, provider: &OidcProvider, clock: &Clock) -> SignedIn {
    idp.claim("auth_time", json!(NOW.secs()));
    idp.claim("acr", json!("gold"));
    idp.claim("amr", json!(["mfa"]));
    idp.claim("groups", json!(["staff"]));
    idp.change(|s| s.token_members = json!({ "refresh_token": "canary-refresh-1", "expires_in": 3600 }));
    let signed_in = redeem(provider).await.unwrap();
    assert_eq!(signed_in.tokens.expires_in, Some(Duration::from_secs(3_600)));
    clock.advance(Duration::from_secs(3_600));
    idp.claim("nonce", Value::Null);
    idp.claim("iat", json!(clock.now().secs()));
    idp.claim("exp", json!(clock.now().secs() + 300));
    idp.change(|s| s.token_members = json!({ "refresh_token": "canary-refresh-2", "expires_in": 1800 }));
    signed_in
}

async fn started() -> (FakeIdp, OidcProvider, Clock, SignedIn) {
    let (idp, provider, clock) = setup().await;
    let signed_in = session(&idp, &provider, &clock).await;
    (idp, provider, clock, signed_in)
}

async fn refresh(provider: &OidcProvider, session: &SignedIn) -> Result<Refreshed, RefreshFailed> {
    let before = Before {
        identity: &session.identity,
        provider_sub: &session.provider_sub,
        id_token: &session.tokens.id_token,
        auth_time: session.auth_time,
        acr: session.acr.as_deref(),
        amr: &session.amr,
    };
    // Renewals have a rate.
    provider.clock.advance(Duration::from_millis(25));
    let permit = provider.begin_renewal().unwrap();
    provider.refresh(permit, session.tokens.refresh_token.as_ref().unwrap(), &before).await
}

/// The reason, and whether the session is over.
async fn refusal(provider: &OidcProvider, session: &SignedIn) -> (&'static str, bool) {
    let failed = refresh(provider, session).await.unwrap_err();
    (failed.cause.reason(), failed.ends_session())
}

fn text(secret: Option<&SecretString>) -> Option<&str> {
    secret.map(ExposeSecret::expose_secret)
}

#[tokio::test]
async fn a_refresh_brings_new_tokens_and_claims() {
    let (idp, provider, _, session) = started().await;
    idp.claim("groups", json!(["staff", "admins"]));
    idp.claim("roles", json!(["Admin"]));
    let refreshed = refresh(&provider, &session).await.unwrap();
    assert_eq!(refreshed.identity.groups, ["staff", "admins"]);
    assert_eq!(refreshed.identity.role, Some(crate::base::role::Role::Admin));
    assert_eq!(text(refreshed.tokens.refresh_token.as_ref()), Some("canary-refresh-2"), "the rotated one");
    assert_eq!(refreshed.tokens.expires_in, Some(Duration::from_secs(1_800)));
    assert_ne!(refreshed.tokens.id_token.expose_secret(), session.tokens.id_token.expose_secret());
    assert_eq!((refreshed.auth_time, refreshed.acr.as_deref()), (Some(NOW), Some("gold")));
    let form = idp.form("/token");
    assert_eq!((form["grant_type"].as_str(), form["refresh_token"].as_str()), ("refresh_token", "canary-refresh-1"));
    assert!(!form.contains_key("scope"), "what was granted goes on");
    assert!(!format!("{refreshed:?}{session:?}").contains("canary"), "Debug hides the tokens");
}

#[tokio::test]
async fn a_provider_that_does_not_rotate_keeps_its_refresh_token() {
    let (idp, provider, _, session) = started().await;
    idp.change(|s| s.token_members = json!({}));
    let refreshed = refresh(&provider, &session).await.unwrap();
    assert_eq!(text(refreshed.tokens.refresh_token.as_ref()), Some("canary-refresh-1"));
    assert_eq!(refreshed.tokens.expires_in, None);
}

#[tokio::test]
async fn a_refreshed_token_about_something_else_ends_the_session_o39() {
    let (idp, provider, _, session) = started().await;
    assert!(refresh(&provider, &session).await.is_ok());
    let honest = idp.script.lock().unwrap().claims.clone();
    for (name, other) in [
        ("iss", json!("https://evil.example.com")),
        ("sub", json!("eve")),
        ("aud", json!("other")),
        ("azp", json!("other")),
        ("azp", json!(CLIENT)),
        ("nonce", json!("another")),
    ] {
        idp.change(|s| s.claims = with(honest.clone(), name, other.clone()));
        assert_eq!(refusal(&provider, &session).await, ("refresh_identity_changed", true), "{name} {other}");
    }
    idp.change(|s| s.claims = with(honest, "nonce", json!(NONCE)));
    assert!(refresh(&provider, &session).await.is_ok(), "the nonce of the sign-in may come again");
}

#[tokio::test]
async fn a_token_that_proves_nothing_says_nothing_about_the_person_o39_o40() {
    let (idp, provider, clock, session) = started().await;
    let honest = idp.script.lock().unwrap().claims.clone();
    idp.claim("sub", json!("eve"));
    idp.change(|s| s.token_key = rsa(1));
    assert_eq!(refusal(&provider, &session).await, ("sig_invalid", false), "an unproved sub is nobody's");
    idp.change(|s| (s.token_key, s.claims) = (rsa(0), with(honest.clone(), "exp", json!(NOW.secs()))));
    assert_eq!(refusal(&provider, &session).await, ("expired", false));
    idp.change(|s| s.claims = with(honest.clone(), "at_hash", json!("x")));
    assert_eq!(refusal(&provider, &session).await, ("at_hash", false));
    idp.change(|s| s.claims = honest.clone());
    clock.advance(Duration::from_secs(30));
    assert!(refresh(&provider, &session).await.is_ok());
}

#[tokio::test]
async fn only_the_providers_own_word_ends_a_session_o40() {
    let (idp, provider, _, session) = started().await;
    let error = |code: &str| json!({ "error": code, "error_description": "AADSTS700082: canary" }).to_string();
    for (status, body, reason, ends) in [
        (400, error("invalid_grant"), "invalid_grant", true),
        (503, error("invalid_grant"), "provider_unavailable", false),
        (500, String::new(), "provider_unavailable", false),
        (429, String::new(), "provider_unavailable", false),
        (400, error("temporarily_unavailable"), "provider_unavailable", false),
        (401, error("invalid_client"), "invalid_client", false),
        (400, error("unauthorized_client"), "invalid_client", false),
        (400, error("invalid_scope"), "provider_error", false),
        (400, error("interaction_required"), "provider_error", false),
        (404, String::new(), "token_response_invalid", false),
        (200, String::from("{"), "token_response_invalid", false),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        idp.change(|s| s.token_answer = Some((status, "application/json", body.clone())));
        assert_eq!(refusal(&provider, &session).await, (reason, ends), "{status} {body}");
    }
    idp.change(|s| s.token_answer = None);
    assert!(refresh(&provider, &session).await.is_ok(), "and then it is back");
}

#[tokio::test]
async fn a_provider_that_is_gone_ends_nothing_o40() {
    let (idp, provider, clock, session) = started().await;
    idp.change(|s| s.discovery.1["token_endpoint"] = json!("http://127.0.0.1:1/token"));
    let fresh = self::provider(&provider.connector, &clock);
    assert_eq!(refusal(&fresh, &session).await, ("provider_unreachable", false));
    idp.change(|s| s.discovery.0 = StatusCode::BAD_GATEWAY);
    let fresh = self::provider(&provider.connector, &clock);
    let asked = idp.asked("/token");
    assert_eq!(refusal(&fresh, &session).await, ("provider_unavailable", false));
    assert_eq!(idp.asked("/token"), asked, "the refresh token is not used up for nothing");
}

#[tokio::test]
async fn somebody_who_may_not_sign_in_any_more_is_out() {
    let (idp, provider, _, session) = started().await;
    for (name, value, reason) in [
        ("active", json!(false), "account_inactive"),
        ("email", json!("ann@elsewhere.example"), "domain_not_allowed"),
        ("email_verified", json!(false), "email_unverified"),
    ] {
        let honest = idp.script.lock().unwrap().claims.clone();
        idp.claim(name, value);
        assert_eq!(refusal(&provider, &session).await, (reason, true));
        idp.change(|s| s.claims = honest);
        assert!(refresh(&provider, &session).await.is_ok(), "without {name}");
    }
    idp.claim("active", json!(true));
    assert!(refresh(&provider, &session).await.is_ok());
}

#[tokio::test]
async fn a_rotated_refresh_token_survives_whatever_goes_wrong_after_it() {
    let (idp, provider, _, session) = started().await;
    idp.claim("email", Value::Null);
    idp.change(|s| s.userinfo = ("text/html", String::from("away")));
    let failed = refresh(&provider, &session).await.unwrap_err();
    assert_eq!((failed.cause.reason(), failed.ends_session()), ("userinfo_invalid", false));
    assert_eq!(text(failed.rotated.as_ref()), Some("canary-refresh-2"));
    assert!(!format!("{failed:?}").contains("canary"));
    idp.change(|s| s.token_answer = Some((StatusCode::SERVICE_UNAVAILABLE, "text/plain", String::new())));
    assert!(refresh(&provider, &session).await.unwrap_err().rotated.is_none(), "nothing was rotated");
}

#[tokio::test]
async fn an_answer_without_an_id_token_leaves_it_to_userinfo_o39() {
    let (idp, provider, _, session) = started().await;
    idp.change(|s| s.token_members = json!({ "id_token": null, "refresh_token": "canary-refresh-2" }));
    let answer = |value: Value| ("application/json", value.to_string());
    idp.change(|s| s.userinfo = answer(json!({ "sub": "ann", "groups": ["admins"], "name": "Ann Lee" })));
    let refreshed = refresh(&provider, &session).await.unwrap();
    assert_eq!(
        (refreshed.identity.groups.as_slice(), refreshed.identity.name.as_deref()),
        (["admins".to_owned()].as_slice(), Some("Ann Lee"))
    );
    assert_eq!(refreshed.identity.email.as_str(), "ann@acme.com", "what userinfo does not say stays");
    assert_eq!(refreshed.tokens.id_token.expose_secret(), session.tokens.id_token.expose_secret());
    assert_eq!((refreshed.acr.as_deref(), refreshed.amr.as_slice()), (Some("gold"), ["mfa".to_owned()].as_slice()));

    for (userinfo, reason, ends) in [
        (json!({ "sub": "eve" }), "refresh_identity_changed", true),
        (json!({ "groups": [] }), "refresh_identity_changed", true),
        (json!({ "sub": "ann", "active": false }), "account_inactive", true),
        (json!({ "sub": "ann", "email": "ann@acme.com", "email_verified": false }), "email_unverified", true),
        (json!({ "sub": "ann", "email": "lee@acme.com" }), "email_unverified", true),
        (json!([]), "userinfo_invalid", false),
    ] {
        idp.change(|s| s.userinfo = answer(userinfo.clone()));
        assert_eq!(refusal(&provider, &session).await, (reason, ends), "{userinfo}");
    }
    let renamed = json!({ "sub": "ann", "email": "lee@acme.com", "email_verified": true });
    idp.change(|s| s.userinfo = answer(renamed));
    assert_eq!(refresh(&provider, &session).await.unwrap().identity.email.as_str(), "lee@acme.com");
}

#[tokio::test]
async fn without_id_token_and_userinfo_the_person_stays_as_they_were() {
    let (idp, provider, clock, session) = started().await;
    idp.change(|s| s.discovery.1["userinfo_endpoint"] = Value::Null);
    idp.change(|s| s.token_members = json!({ "id_token": null }));
    let provider = self::provider(&provider.connector, &clock);
    let refreshed = refresh(&provider, &session).await.unwrap();
    assert_eq!(refreshed.identity, session.identity);
    assert_eq!(refreshed.auth_time, session.auth_time);
}

#[tokio::test]
async fn a_rotated_signing_key_is_fetched_for_a_refresh_too_o14() {
    let (idp, provider, _, session) = started().await;
    idp.rotate();
    assert!(refresh(&provider, &session).await.is_ok());
    assert_eq!(idp.asked("/keys"), 2);
}

#[tokio::test]
async fn an_entra_refresh_is_about_the_same_tenant_and_object_o39() {
    const TENANT: &str = "11111111-2222-4333-8444-555555555555";
    let idp = FakeIdp::start().await;
    let clock = Clock::manual(NOW);
    let issuer = format!("{}/{TENANT}/v2.0", idp.issuer());
    idp.change(|s| s.discovery.1["issuer"] = json!(issuer));
    let kind = ConnectorKind::Entra { tenant: TENANT.into(), allowed_tenants: vec![TENANT.into()] };
    let provider = provider(&connector(&issuer, kind), &clock);
    idp.claim("iss", json!(issuer));
    idp.claim("preferred_username", json!("ann@acme.com"));
    idp.claim("tid", json!(TENANT));
    idp.claim("oid", json!("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"));
    let session = session(&idp, &provider, &clock).await;
    assert_eq!(session.provider_sub, "ann", "not the identity's subject");
    assert!(refresh(&provider, &session).await.is_ok());
    idp.claim("oid", json!("aaaaaaaa-bbbb-4ccc-8ddd-ffffffffffff"));
    assert_eq!(refusal(&provider, &session).await, ("refresh_identity_changed", true));
    idp.claim("tid", json!("99999999-2222-4333-8444-555555555555"));
    assert_eq!(refusal(&provider, &session).await, ("refresh_identity_changed", true));
}

#[tokio::test]
async fn a_refresh_token_that_nobody_will_use_is_not_kept() {
    let (idp, provider, clock) = setup().await;
    idp.change(|s| s.token_members = json!({ "refresh_token": "canary-refresh-1" }));
    assert!(redeem(&provider).await.unwrap().tokens.refresh_token.is_some());
    for renewal in [Renewal::Off, Renewal::PromptNone { interval: Duration::from_secs(900) }] {
        let config = OidcConnector { renewal, ..provider.connector.clone() };
        let signed_in = redeem(&self::provider(&config, &clock)).await.unwrap();
        assert!(signed_in.tokens.refresh_token.is_none(), "{renewal:?}");
    }
}

#[tokio::test]
async fn a_renewal_may_run_on_any_thread_and_gives_its_place_back() {
    let (_idp, provider, clock, session) = started().await;
    let provider = Arc::new(provider);
    let owned: (Identity, SignedIn, Option<Timestamp>) = (session.identity.clone(), session, None);
    for _ in 0..100 {
        clock.advance(Duration::from_millis(25));
        assert!(provider.begin_renewal().is_ok());
    }
    let task = tokio::spawn(async move { refresh(&provider, &owned.1).await.map(|r| r.identity == owned.0) });
    assert!(task.await.unwrap().unwrap());
}

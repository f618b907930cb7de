//! Logout tokens against the provider's own keys; the rules themselves are in `oidc/logout_token/tests.rs`.

use super::*;

fn logout_token(idp: &FakeIdp) -> Value {
    json!({
        "iss": idp.issuer(),
        "aud": CLIENT,
        "iat": NOW.secs(),
        "jti": "logout-1",
        "sub": "ann",
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    })
}

fn header(kid: &str) -> Value {
    json!({ "alg": "RS256", "kid": kid, "typ": "logout+jwt" })
}

async fn judge(provider: &OidcProvider, token: &str) -> Result<Option<String>, &'static str> {
    provider.logout_token(token).await.map(|token| token.sub).map_err(|e| e.reason())
}

#[tokio::test]
async fn an_honest_logout_token_names_its_person_l01_l02() {
    let (idp, provider, _) = setup().await;
    let honest = logout_token(&idp);
    assert_eq!(judge(&provider, &sign(rsa(0), &header("k0"), &honest)).await, Ok(Some("ann".into())));
    assert_eq!(judge(&provider, &sign(rsa(1), &header("k0"), &honest)).await, Err("sig_invalid"));
    let other = with(honest.clone(), "iss", json!("https://evil.example.com"));
    assert_eq!(judge(&provider, &sign(rsa(0), &header("k0"), &other)).await, Err("iss_mismatch"));
    let other = with(honest, "aud", json!("other"));
    assert_eq!(judge(&provider, &sign(rsa(0), &header("k0"), &other)).await, Err("aud_mismatch"));
}

#[tokio::test]
async fn an_id_token_ends_no_session_l04() {
    let (idp, provider, _) = setup().await;
    let id_token = redeem(&provider).await.unwrap().tokens.id_token;
    assert_eq!(judge(&provider, id_token.expose_secret()).await, Err("claim_missing"));
    idp.claim("jti", json!("an-id"));
    let id_token = redeem(&provider).await.unwrap().tokens.id_token;
    assert_eq!(judge(&provider, id_token.expose_secret()).await, Err("logout_token_events"));
}

#[tokio::test]
async fn a_logout_token_is_no_id_token_o35() {
    let (idp, provider, _) = setup().await;
    let events = logout_token(&idp)["events"].clone();
    idp.claim("events", events);
    assert_eq!(verdict(&provider).await, Err("wrong_token_type"));
    idp.claim("events", Value::Null);
    idp.change(|s| s.token_header = header("k0"));
    assert_eq!(verdict(&provider).await, Err("wrong_token_type"));
}

#[tokio::test]
async fn an_unknown_key_costs_one_fetch_l01_o14_o15() {
    let (idp, provider, _) = setup().await;
    let honest = logout_token(&idp);
    assert!(judge(&provider, &sign(rsa(0), &header("k0"), &honest)).await.is_ok());
    idp.rotate();
    assert!(judge(&provider, &sign(rsa(1), &header("k1"), &honest)).await.is_ok());
    for i in 0..10 {
        let header = header(&format!("random-{i}"));
        assert_eq!(judge(&provider, &sign(rsa(1), &header, &honest)).await, Err("key_unknown"));
    }
    assert_eq!(idp.asked("/keys"), 2);
}

#[tokio::test]
async fn nonsense_costs_no_call_l01() {
    let (idp, provider, _) = setup().await;
    for nonsense in ["", "a.b.c", "not a token", &"a".repeat(100_000)] {
        assert_eq!(judge(&provider, nonsense).await, Err("malformed"));
    }
    assert_eq!(idp.asked("/.well-known/openid-configuration"), 0);
    assert!(judge(&provider, &sign(rsa(0), &header("k0"), &logout_token(&idp))).await.is_ok());
}

#[tokio::test]
async fn a_token_whose_keys_cannot_be_had_is_to_be_sent_again_l09() {
    let (idp, provider, clock) = setup().await;
    let token = sign(rsa(0), &header("k0"), &logout_token(&idp));
    idp.change(|s| s.keys.0 = StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(provider.logout_token(&token).await.unwrap_err().kind(), Kind::Unavailable);
    idp.change(|s| s.keys.0 = StatusCode::OK);
    clock.advance(Duration::from_secs(5));
    assert!(judge(&provider, &token).await.is_ok());
}

#[tokio::test]
async fn the_front_channel_names_its_issuer_exactly_l10() {
    let (idp, provider, _) = setup().await;
    assert!(provider.front_channel_issuer(&idp.issuer()).await);
    for other in ["", "https://evil.example.com", &format!("{}/", idp.issuer()), &idp.issuer().to_uppercase()] {
        assert!(!provider.front_channel_issuer(other).await, "{other}");
    }
    assert_eq!(provider.front_channel_origins().await, [idp.issuer()]);
    idp.change(|s| s.discovery.1["end_session_endpoint"] = json!("http://127.0.0.1:1/end?a=b"));
    let other = self::provider(&provider.connector, &provider.clock);
    assert_eq!(other.front_channel_origins().await, [idp.issuer(), "http://127.0.0.1:1".into()]);
}

#[tokio::test]
async fn a_tenant_ends_its_own_sessions_alone_l02() {
    const OURS: &str = "11111111-2222-4333-8444-555555555555";
    const THEIRS: &str = "99999999-2222-4333-8444-555555555555";
    let idp = FakeIdp::start().await;
    let document = format!("{}/{{tenantid}}/v2.0", idp.issuer());
    idp.change(|s| s.discovery.1["issuer"] = json!(document));
    let kind = ConnectorKind::Entra { tenant: "organizations".into(), allowed_tenants: vec![OURS.into()] };
    let config = connector(&format!("{}/organizations/v2.0", idp.issuer()), kind);
    let provider = provider(&config, &Clock::manual(NOW));
    let from = |iss: &str| sign(rsa(0), &header("k0"), &with(logout_token(&idp), "iss", json!(iss)));
    assert!(judge(&provider, &from(&document.replace("{tenantid}", OURS))).await.is_ok());
    for other in [document.replace("{tenantid}", THEIRS), document.clone(), idp.issuer()] {
        assert_eq!(judge(&provider, &from(&other)).await, Err("iss_mismatch"), "{other}");
        assert!(!provider.front_channel_issuer(&other).await);
    }
}

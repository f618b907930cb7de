//! What a sign-in must be beyond genuine (O33): asked for in the request, held against the token.

use super::*;

async fn judge(provider: &OidcProvider, required: &Requirement) -> Result<String, &'static str> {
    let signed_in = provider.redeem("the-code", "the-verifier", NONCE, required, NOW).await;
    signed_in.map(|s| s.identity.subject).map_err(|e| e.reason())
}

fn required() -> Requirement {
    Requirement {
        max_age: Some(Duration::from_secs(600)),
        acr: Some(vec!["gold".into()]),
        amr: vec!["mfa".into(), "hwk".into()],
    }
}

#[tokio::test]
async fn a_sign_in_that_is_not_enough_is_refused_o33() {
    let (idp, provider, clock) = setup().await;
    let config = OidcConnector { requirement: required(), ..provider.connector.clone() };
    let strict = self::provider(&config, &clock);
    assert_eq!(judge(&provider, &Requirement::default()).await, ann(), "nobody asked for more");
    // Once for this sign-in, once for every sign-in of the connector.
    for (provider, required) in [(&provider, required()), (&strict, Requirement::default())] {
        idp.claim("auth_time", json!(NOW.secs() - 601 - 60));
        idp.claim("acr", json!("silver"));
        idp.claim("amr", json!(["pwd"]));
        assert_eq!(judge(provider, &required).await, Err("auth_too_old"));
        idp.claim("auth_time", Value::Null);
        assert_eq!(judge(provider, &required).await, Err("auth_too_old"));
        idp.claim("auth_time", json!(NOW.secs() - 600));
        assert_eq!(judge(provider, &required).await, Err("acr_insufficient"));
        idp.claim("acr", json!("gold"));
        assert_eq!(judge(provider, &required).await, Err("amr_insufficient"));
        idp.claim("amr", json!(["pwd", "hwk"]));
        assert_eq!(judge(provider, &required).await, Err("amr_insufficient"));
        idp.claim("amr", json!(["pwd", "hwk", "mfa"]));
        assert_eq!(judge(provider, &required).await, ann());
    }
    assert_eq!(idp.asked("/userinfo"), 0);
}

#[tokio::test]
async fn a_sign_in_must_meet_both_its_own_and_the_connectors_requirement_o33() {
    let (idp, provider, clock) = setup().await;
    let config = OidcConnector { requirement: required(), ..provider.connector.clone() };
    let provider = self::provider(&config, &clock);
    let looser = Requirement { max_age: Some(Duration::from_secs(86_400)), ..Requirement::default() };
    idp.claim("acr", json!("gold"));
    idp.claim("amr", json!(["hwk", "mfa"]));
    idp.claim("auth_time", json!(NOW.secs() - 3_600));
    assert_eq!(judge(&provider, &looser).await, Err("auth_too_old"), "nobody asks for less than the connector");
    idp.claim("auth_time", json!(NOW.secs()));
    assert_eq!(judge(&provider, &looser).await, ann());
    let other = Requirement { acr: Some(vec!["silver".into()]), ..Requirement::default() };
    assert_eq!(judge(&provider, &other).await, Err("acr_insufficient"));
}

#[tokio::test]
async fn how_somebody_signed_in_is_told() {
    let (idp, provider, _) = setup().await;
    let plain = redeem(&provider).await.unwrap();
    assert_eq!((plain.auth_time, plain.acr, plain.amr.len(), plain.provider_sid), (None, None, 0, None));
    idp.claim("auth_time", json!(NOW.secs() - 5));
    idp.claim("acr", json!("gold"));
    idp.claim("amr", json!(["pwd", "otp"]));
    idp.claim("sid", json!("the-session"));
    let told = redeem(&provider).await.unwrap();
    assert_eq!(told.auth_time.map(crate::base::clock::Timestamp::secs), Some(NOW.secs() - 5));
    assert_eq!((told.acr.as_deref(), told.amr.as_slice()), (Some("gold"), ["pwd".to_owned(), "otp".into()].as_slice()));
    assert_eq!((told.provider_sub.as_str(), told.provider_sid.as_deref()), ("ann", Some("the-session")));
    for odd in [json!(1), json!(""), json!("a".repeat(256)), json!("a\u{7}")] {
        idp.claim("sid", odd);
        assert_eq!(redeem(&provider).await.unwrap().provider_sid, None);
    }
}

#[tokio::test]
async fn the_request_asks_for_what_will_be_required_o33() {
    let (_idp, provider, clock) = setup().await;
    let nothing = Requirement::default();
    let plain = AuthorizationRequest {
        state: "s",
        nonce: NONCE,
        pkce_challenge: "c",
        login_hint: None,
        domain_hint: None,
        select_account: false,
        requirement: &nothing,
        prompt_none: false,
    };
    let query = async |provider: &OidcProvider, request: &AuthorizationRequest<'_>| {
        let url: url::Url = provider.authorization_url(request).await.unwrap().parse().unwrap();
        let get = |name: &str| url.query_pairs().find(|(k, _)| k == name).map(|(_, v)| v.into_owned());
        (get("max_age"), get("acr_values"), get("prompt"))
    };
    let text = |text: &str| Some(String::from(text));
    assert_eq!(query(&provider, &plain).await, (None, None, None));
    let asks = |secs, acr: &[&str]| Requirement {
        max_age: Some(Duration::from_secs(secs)),
        acr: (!acr.is_empty()).then(|| acr.iter().map(|acr| (*acr).to_owned()).collect()),
        amr: vec![],
    };
    let (gold, at_once, longer) = (asks(300, &["gold"]), asks(0, &[]), asks(9_999, &["bronze", "gold"]));
    let step_up = AuthorizationRequest { requirement: &gold, ..plain };
    assert_eq!(query(&provider, &step_up).await, (text("300"), text("gold"), None));
    let now = AuthorizationRequest { requirement: &at_once, ..plain };
    assert_eq!(query(&provider, &now).await, (text("0"), None, text("login")));
    let silent = AuthorizationRequest { prompt_none: true, select_account: true, ..plain };
    assert_eq!(query(&provider, &silent).await, (None, None, text("none")));

    let config = OidcConnector { requirement: required(), prompt: text("consent"), ..provider.connector.clone() };
    let strict = self::provider(&config, &clock);
    assert_eq!(query(&strict, &plain).await, (text("600"), text("gold"), text("consent")));
    assert_eq!(query(&strict, &step_up).await, (text("300"), text("gold"), text("consent")), "the stricter");
    let older = AuthorizationRequest { requirement: &longer, ..plain };
    assert_eq!(query(&strict, &older).await, (text("600"), text("gold"), text("consent")), "what both want");
    assert_eq!(query(&strict, &now).await, (text("0"), text("gold"), text("consent login")));
    assert_eq!(query(&strict, &silent).await, (text("600"), text("gold"), text("none")));
    let silver = asks(300, &["silver"]);
    let refused = strict.authorization_url(&AuthorizationRequest { requirement: &silver, ..plain }).await;
    assert_eq!(refused.map_err(|error| error.reason()), Err("acr_insufficient"), "no answer could meet both");
}

#[tokio::test]
async fn google_is_asked_for_a_refresh_token_only_where_somebody_wants_one() {
    let idp = FakeIdp::start().await;
    let kind = ConnectorKind::Google { hosted_domains: vec!["acme.com".parse().unwrap()] };
    let refresh = connector(&idp.issuer(), kind);
    let off = OidcConnector { renewal: Renewal::Off, ..refresh.clone() };
    let url = async |config: &OidcConnector, prompt_none| {
        let request = AuthorizationRequest {
            state: "s",
            nonce: NONCE,
            pkce_challenge: "c",
            login_hint: None,
            domain_hint: None,
            select_account: true,
            requirement: &Requirement::default(),
            prompt_none,
        };
        provider(config, &Clock::manual(NOW)).authorization_url(&request).await.unwrap()
    };
    let asked = url(&refresh, false).await;
    assert!(asked.contains("&access_type=offline") && asked.contains("&prompt=select_account+consent"), "{asked}");
    let silent = url(&refresh, true).await;
    assert!(silent.contains("&prompt=none") && !silent.contains("access_type"), "{silent}");
    let without = url(&off, false).await;
    assert!(!without.contains("access_type") && without.contains("&prompt=select_account&"), "{without}");
}

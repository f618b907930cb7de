//! What the application is told: headers in their encodings (X09 to X11), presets, and the signed assertion against the
//! published keys (X15).

use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};

use crate::support::{App, Ask, Browser, Recorded, Setup, TENANT};

async fn jwks(app: &App) -> JwkSet {
    let answer = app.send(&Ask::get("/.anteroom/jwks.json")).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/jwk-set+json")));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert!(!answer.text().contains("\"d\""), "public keys only");
    serde_json::from_slice(&answer.body).unwrap()
}

/// The claims, checked as docs/application-authors.md tells applications to; expiry is judged by the test's clock.
fn verify(keys: &JwkSet, token: &str, audience: &str) -> Result<Value, jsonwebtoken::errors::Error> {
    let header = decode_header(token)?;
    assert_eq!((header.alg, header.typ.as_deref()), (Algorithm::ES256, Some("JWT")));
    let key = keys.find(header.kid.as_deref().unwrap()).expect("the key is published");
    let mut validation = Validation::new(Algorithm::ES256);
    validation.validate_exp = false;
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.set_issuer(&["https://app.example.com"]);
    validation.set_audience(&[audience]);
    Ok(decode::<Value>(token, &DecodingKey::from_jwk(key)?, &validation)?.claims)
}

/// What reaches the application with the next request.
async fn seen(app: &App, browser: &mut Browser, host: &str) -> Recorded {
    let answer = browser.send(Ask::page("/").host(host)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    app.upstream.last()
}

fn token(request: &Recorded) -> String {
    request.header("x-anteroom-assertion").expect("an assertion").to_owned()
}

const HOST: &str = "app.example.com";

/// X15
#[tokio::test(flavor = "multi_thread")]
async fn the_assertion_verifies_against_the_published_keys_x15() {
    let app = App::start().await;
    let mut alice = app.signed_in().await;
    let me = alice.send(Ask::get("/.anteroom/me")).await.json();
    let token = token(&seen(&app, &mut alice, HOST).await);
    let keys = jwks(&app).await;
    let claims = verify(&keys, &token, "portal").unwrap();
    let now = app.clock.now().secs();
    assert_eq!(claims["email"], "alice@acme.com");
    assert_eq!((&claims["role"], &claims["groups"]), (&json!("Admin"), &json!(["staff", "x,admin"])));
    assert_eq!(claims["sid"], me["session"]["id"]);
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(now), &json!(now + 60)));
    assert_eq!(claims["sub"].as_str().unwrap().len(), 36);
    assert!(claims["jti"].as_str().unwrap().len() >= 16);
    // Replayed at another application it has the wrong audience; changed, it has no signature.
    assert!(verify(&keys, &token, "other").is_err());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    use base64::Engine as _;
    let mut forged = claims.clone();
    forged["role"] = json!("EnterpriseAdmin");
    let forged = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(forged.to_string());
    assert!(verify(&keys, &format!("{header}.{forged}.{signature}"), "portal").is_err());
    // A copy from the client never arrives.
    let answer =
        alice.send(Ask::page("/").with("X-Anteroom-Assertion", "forged").with("x_anteroom_assertion", "f")).await;
    assert_eq!(answer.status, 200);
    assert!(verify(&keys, &self::token(&app.upstream.last()), "portal").is_ok());
    let public = alice.send(Ask::page("/public/x").with("X-Anteroom-Assertion", "forged")).await;
    assert_eq!((public.status, app.upstream.last().header("x-anteroom-assertion")), (200, None));
}

/// X15: one assertion per (session, app), never sent past its expiry, and another one from half life on.
#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_is_renewed_at_half_life_and_never_sent_when_it_is_over() {
    let app = App::start_with(Setup::new().with("[identity]\nassertion = { lifetime = \"60s\" }")).await;
    let mut alice = app.signed_in().await;
    let keys = jwks(&app).await;
    let first = token(&seen(&app, &mut alice, HOST).await);
    app.advance(Duration::from_secs(29));
    assert_eq!(token(&seen(&app, &mut alice, HOST).await), first, "not signed again for each request");
    app.advance(Duration::from_secs(2));
    // The request that finds it at half life goes on with it; the next ones have another.
    assert_eq!(token(&seen(&app, &mut alice, HOST).await), first);
    let renewed = loop {
        let next = token(&seen(&app, &mut alice, HOST).await);
        if next != first {
            break next;
        }
    };
    let expires = |token: &str| verify(&keys, token, "portal").unwrap()["exp"].as_i64().unwrap();
    assert_eq!(expires(&renewed), expires(&first) + 31);
    // Long unused: nothing stale is sent, the request waits for a fresh one.
    app.advance(Duration::from_secs(3600));
    let fresh = token(&seen(&app, &mut alice, HOST).await);
    assert_eq!(expires(&fresh), app.clock.now().secs() + 60);
    let other = token(&seen(&app, &mut app.signed_in().await, HOST).await);
    assert_ne!(other, fresh, "each session its own");
}

/// X15: each application its own audience.
#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_is_for_one_application() {
    let app = App::start().await;
    let second = App::start_with(
        Setup::new().replacing("[apps.portal]", "[apps.wiki]").replacing("[apps.portal.native]", "[apps.wiki.native]"),
    )
    .await;
    let wiki = token(&seen(&second, &mut second.signed_in().await, HOST).await);
    let portal = token(&seen(&app, &mut app.signed_in().await, HOST).await);
    assert!(verify(&jwks(&second).await, &wiki, "wiki").is_ok());
    assert!(verify(&jwks(&second).await, &wiki, "portal").is_err());
    assert!(verify(&jwks(&app).await, &portal, "portal").is_ok());
}

/// The ring looks at its keys by tokio's time, and decides by ours.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_overlaps_with_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let clock = anteroom::base::clock::Clock::manual(anteroom::base::clock::Timestamp::from_secs(1_800_000_000));
    let ring =
        std::sync::Arc::new(anteroom::base::keys::KeyRing::open(dir.path(), Duration::ZERO, clock.clone()).unwrap());
    let signer = anteroom::identity::assertion::AssertionSigner::new(
        ring.clone(),
        "https://app.example.com".into(),
        Duration::from_secs(60),
    );
    let alice = anteroom::identity::Identity {
        connector: "acme".parse().unwrap(),
        subject: format!("{TENANT}.1"),
        email: "alice@acme.com".parse().unwrap(),
        preferred_username: None,
        name: None,
        groups: vec![],
        role: None,
    };
    let portal = "portal".parse().unwrap();
    let sign = || signer.sign(&alice, "sid", &portal, clock.now()).unwrap().value.to_str().unwrap().to_owned();
    let published = || serde_json::from_slice::<JwkSet>(&signer.jwks(clock.now()).unwrap()).unwrap();

    let old = sign();
    assert_eq!(published().keys.len(), 1);
    clock.advance(anteroom::base::keys::plan::ROTATE_AFTER);
    ring.rotate_if_due().unwrap();
    // Published before it signs: applications that keep the set for a while know it in time.
    assert_eq!(published().keys.len(), 2);
    let between = sign();
    assert_eq!(decode_header(&between).unwrap().kid, decode_header(&old).unwrap().kid);
    clock.advance(anteroom::base::keys::plan::USE_AFTER);
    let new = sign();
    assert_ne!(decode_header(&new).unwrap().kid, decode_header(&old).unwrap().kid);
    for token in [&old, &between, &new] {
        verify(&published(), token, "portal").unwrap();
    }
}

/// A session goes on with whatever key is current; a key put into keys.dir by another process is published.
#[tokio::test(flavor = "multi_thread")]
async fn presets_and_custom_headers_say_the_same() {
    let presets = Setup::new().with(
        "[identity]\nheaders = [\"x-forwarded\", \"x-auth-request\", \"remote\", \
         { name = \"X-Mail\", value = \"mail={email}; role={role}\" }, { name = \"X-Subject\", value = \"{subject}\" }]\n\
         assertion = { enabled = false }",
    );
    let app = App::start_with(presets).await;
    let mut alice = app.signed_in().await;
    let seen = seen(&app, &mut alice, HOST).await;
    for (name, value) in [
        ("x-forwarded-user", "alice@acme.com"),
        ("x-forwarded-email", "alice@acme.com"),
        ("x-forwarded-groups", "staff,x%2Cadmin"),
        ("x-forwarded-preferred-username", "alice@acme.com"),
        ("x-auth-request-user", "alice@acme.com"),
        ("x-auth-request-email", "alice@acme.com"),
        ("x-auth-request-groups", "staff,x%2Cadmin"),
        ("x-auth-request-preferred-username", "alice@acme.com"),
        ("remote-user", "alice@acme.com"),
        ("remote-groups", "staff,x%2Cadmin"),
        ("remote-name", "Alice Archer"),
        ("remote-email", "alice@acme.com"),
        ("x-anteroom-role", "Admin"),
        ("x-anteroom-auth", "oidc"),
        ("x-anteroom-connector", "acme"),
        ("x-mail", "mail=alice@acme.com; role=Admin"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    let subject = uuid::Uuid::parse_str(seen.header("x-subject").unwrap()).unwrap();
    assert_eq!(subject.get_version_num(), 5, "our user id, as the assertion calls it");
    assert_eq!(seen.header("x-anteroom-assertion"), None, "switched off");
    assert_eq!(jwks(&app).await.keys.len(), 0);
    // By default one family and no other.
    let plain = App::start().await;
    let seen = self::seen(&plain, &mut plain.signed_in().await, HOST).await;
    let foreign = |name: &str| name.starts_with("X-Auth-Request") || name.to_lowercase().starts_with("remote-");
    assert!(!seen.headers.iter().any(|(name, _)| foreign(name)), "{:?}", seen.headers);
}

/// X09 to X11: claims from the provider, encoded end to end and read back by the documented rule.
#[tokio::test(flavor = "multi_thread")]
async fn claims_arrive_encoded_whole_and_once_x09_x10_x11() {
    let app = App::start_with(Setup::new().with("[identity]\nheaders = [\"x-forwarded\", \"remote\"]")).await;
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    for (name, groups) in [
        ("Zoë Ångström 🦀", vec!["staff"]),
        ("a\r\nX-Anteroom-Role: EnterpriseAdmin", vec!["x,admin", "%2C", "a b"]),
        ("nul\0tab\tbell\u{7}del\u{7f}", vec![" lead", "trail ", "\u{202e}rtl", "ünïcode,comma"]),
        ("100% \"quoted\" \\ ; = ,", vec![",", ",,", "%"]),
        ("Ž", vec!["é"; 40]),
    ] {
        app.acme.script().claims["name"] = json!(name);
        app.acme.script().claims["groups"] = json!(groups);
        let mut browser = app.signed_in().await;
        let forged = Ask::page("/").with("Remote-Name", "Mallory").with("X-Forwarded-Groups", "root");
        assert_eq!(browser.send(forged).await.status, 200);
        let seen = app.upstream.last();
        let value = seen.header("remote-name").unwrap();
        assert!(value.bytes().all(|b| (0x20..0x7f).contains(&b)), "{value:?}");
        assert_eq!(decode(value), name);
        let list = seen.header("x-forwarded-groups").unwrap();
        assert!(list.bytes().all(|b| (0x20..0x7f).contains(&b)), "{list:?}");
        assert_eq!(list.split(',').map(decode).collect::<Vec<_>>(), groups, "{list}");
        assert_eq!(seen.header("x-anteroom-role"), Some("Admin"));
        let claims = verify(&jwks(&app).await, &token(&seen), "portal").unwrap();
        assert_eq!(claims["groups"], json!(groups));
    }
    // X11: an empty or absent claim is no header, and never the client's copy.
    for empty in [json!(""), Value::Null, json!([]), json!(7)] {
        for claim in ["name", "groups", "roles"] {
            app.acme.script().claims[claim] = empty.clone();
        }
        let mut browser = app.signed_in().await;
        let forged = Ask::page("/")
            .with("Remote-Name", "Mallory")
            .with("X-Forwarded-Groups", "root")
            .with("X-Anteroom-Role", "Admin");
        assert_eq!(browser.send(forged).await.status, 200);
        let seen = app.upstream.last();
        for header in ["remote-name", "x-forwarded-groups", "x-anteroom-role"] {
            assert_eq!(seen.header(header), None, "{empty} {header}");
        }
    }
}

/// X09: what does not fit is refused or left out whole, never cut.
#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_does_not_fit_into_headers_is_refused_x09() {
    let app = App::start_with(Setup::new().with("[identity]\nheaders = [\"x-forwarded\", \"remote\"]")).await;
    let honest = app.acme.script().claims["groups"].clone();
    for groups in [vec!["é".repeat(2000)], vec!["g".repeat(100); 100]] {
        app.acme.script().claims["groups"] = json!(groups);
        let mut browser = app.browser();
        app.log.taken();
        let answer = app.sign_in_with(&mut browser, "/").await;
        assert_eq!((answer.status, browser.session()), (403, None), "{}", answer.text());
        assert!(browser.attempts().is_empty(), "no attempt is left behind");
        let events = app.events();
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0]["event"], "login.rejected");
        assert_eq!(events[0]["reason"].as_str(), Some(answer.reason()));
        assert_eq!(app.upstream.count(), 0);
    }
    app.acme.script().claims["groups"] = honest;
    // A display name decides nothing: one that is no name is none.
    for (name, expected) in [("n".repeat(100), Some("n".repeat(100))), ("n".repeat(9000), None)] {
        app.acme.script().claims["name"] = json!(name);
        let mut browser = app.signed_in().await;
        assert_eq!(browser.visit("/").await.status, 200);
        assert_eq!(app.upstream.last().header("remote-name"), expected.as_deref());
    }
}

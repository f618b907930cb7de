//! A provider's documents and endpoints (security cases O13–O15, O27–O29, O34): what is used, what is refused, and what
//! is kept when the next is refused.

use std::sync::Arc;
use std::time::Duration;

use anteroom::base::clock::Clock;
use serde_json::{Value, json};

use crate::support::{App, Ask, Edit, PATIENCE, Provider, Script, Setup, SigningKey, Trial, Watch, b64, sign_jwt};

const HOUR: Duration = Duration::from_secs(3600);

fn edit(change: impl Fn(String) -> String + Send + Sync + 'static) -> Option<Edit> {
    Some(Arc::new(change))
}

fn jwks(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

fn rotated(script: &mut Script) {
    script.key = SigningKey::number(1);
    script.header["kid"] = json!("k1");
    script.jwks = jwks(&[SigningKey::number(1).jwk("k1")]);
}

/// Waits until the provider was asked this often; it is asked in the background.
async fn until_asked(provider: &Provider, endpoint: &str, count: usize) {
    let asked = async {
        while provider.count(endpoint) < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("the provider is asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_cannot_be_used_do_not_stop_the_good_one_o13() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    let good = SigningKey::number(0).jwk("k0");
    let weak = json!({ "kty": "RSA", "use": "sig", "kid": "weak", "n": b64([0xc5; 128]), "e": "AQAB" });
    let octets = json!({ "kty": "oct", "kid": "oct", "k": b64("canary-shared-secret-of-32-octets!"), "alg": "HS256" });
    let junk = [
        json!({ "kty": "AKP", "kid": "new" }),
        json!({ "kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB" }),
        json!({ "kid": "nothing" }),
        json!("not even an object"),
        json!({ "kty": "EC", "crv": "P-256", "kid": "k0", "x": "AA", "y": "AA" }),
        weak,
        octets,
        good,
    ];
    let set = jwks(&junk);
    app.acme.always(move |script| script.jwks.clone_from(&set));
    acme.honest("the good one", &mut app.browser()).await;
    for (kid, reason) in [("weak", "key_unknown"), ("broken", "key_unknown"), ("new", "key_unknown")] {
        acme.refuses(kid, 400, reason, |script| script.header["kid"] = json!(kid)).await;
    }
    acme.refuses("oct", 400, "alg_not_allowed", |script| script.header = json!({ "alg": "HS256", "kid": "oct" })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_set_out_of_all_proportion_is_refused_and_the_old_one_stays_o13() {
    let good = SigningKey::number(0).jwk("k0");
    let many: Vec<Value> =
        (0..5_000).map(|n| json!({ "kty": "RSA", "kid": n.to_string() })).chain([good.clone()]).collect();
    let mut fat = good.clone();
    fat["x5c"] = json!("A".repeat(10 * 1024 * 1024));
    let twice = jwks(std::slice::from_ref(&good)).replacen('{', "{\"keys\":[],", 1);
    for (row, set) in [
        ("5,000 keys", jwks(&many)),
        ("10 MB", jwks(&[fat])),
        ("no set", good.to_string()),
        ("no JSON", "<html>".to_owned()),
        ("a member twice", twice),
    ] {
        let app = App::start().await;
        let acme = Trial::acme(&app);
        // At first use there is nothing else to go by.
        app.acme.script().jwks.clone_from(&set);
        let mut browser = app.browser();
        let query = acme.begin(&mut browser).await;
        let watch = Watch::begin(&app, &browser, &query);
        let answer = browser.send(App::callback("acme", &query)).await;
        watch.refused(row, &browser, &answer, 400, "jwks_rejected");
        assert_eq!(app.acme.count("/token"), 0, "{row}: the code was not used up");
        app.advance(Duration::from_secs(5));
        acme.honest(row, &mut browser).await;
        // Later the old set stays: when a key is unknown, and when it is time for a new set.
        let bad = set.clone();
        acme.refuses(row, 400, "key_unknown", move |script| {
            script.jwks = bad;
            script.header["kid"] = json!("k9");
        })
        .await;
        app.advance(HOUR);
        let asked = app.acme.count("/keys");
        acme.accepts(row, move |script| script.jwks = set).await;
        until_asked(&app.acme, "/keys", asked + 1).await;
        acme.honest(row, &mut browser).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_is_found_with_one_more_look_o14() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    acme.honest("before", &mut app.browser()).await;
    assert_eq!(app.acme.count("/keys"), 1);
    app.acme.always(rotated);
    acme.honest("after", &mut app.browser()).await;
    assert_eq!(app.acme.count("/keys"), 2);
    acme.honest("and again", &mut app.browser()).await;
    assert_eq!(app.acme.count("/keys"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_rotated_just_before_the_signature_is_found_o14() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    acme.accepts("rotated between keys and token", |script| {
        rotated(script);
        script.jwks_from_next_token =
            Some(std::mem::replace(&mut script.jwks, jwks(&[SigningKey::number(0).jwk("k0")])));
    })
    .await;
    assert_eq!(app.acme.count("/keys"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_random_kids_cost_one_look_at_the_keys_o15() {
    // An ingress tells the clients' addresses: look-ups are limited by source.
    let app =
        App::start_with(Setup::new().replacing("workers = 2", "workers = 2\ntrusted_proxies = [\"127.0.0.1/32\"]"))
            .await;
    let acme = Trial::acme(&app);
    acme.honest("before", &mut app.browser()).await;
    // Whatever its kid, the token is never looked at further.
    let kid = std::sync::atomic::AtomicUsize::new(0);
    app.acme.script().edit_id_token = edit(move |_| {
        let kid = kid.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        format!("{}.e30.AAAA", b64(json!({ "alg": "RS256", "kid": format!("random-{kid}") }).to_string()))
    });
    let from = |n: usize| format!("10.{}.{}.1", n / 250, n % 250);
    let (keys, tokens) = (app.acme.count("/keys"), app.acme.count("/token"));
    for batch in 0..20 {
        let all = (0..50).map(|n| {
            let (app, source) = (&app, from(batch * 50 + n));
            async move {
                let go = Ask::page("/.anteroom/sign-in/go?connector=acme").with("X-Forwarded-For", &source);
                let mut browser = app.browser();
                let to_provider = browser.send(go).await;
                let query = app.acme.sign_in(to_provider.location());
                let answer = browser.send(App::callback("acme", &query).with("X-Forwarded-For", &source)).await;
                (answer.status, answer.reason().to_owned())
            }
        });
        for answer in futures_util::future::join_all(all).await {
            assert_eq!(answer, (400, "key_unknown".to_owned()));
        }
        app.advance(Duration::from_millis(500));
    }
    assert_eq!((app.acme.count("/token"), app.acme.count("/keys")), (tokens + 1_000, keys + 1));
    // 30 seconds later there is another look; the good key works all along.
    app.advance(Duration::from_secs(30));
    let mut browser = app.browser();
    assert_eq!(acme.sign_in(&mut browser).await.status, 400);
    assert_eq!(app.acme.count("/keys"), keys + 2);
    acme.honest("afterwards", &mut browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_answer_that_is_not_exactly_that_is_refused_o27_o28() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    let elsewhere = format!("http://{}/token", app.globex.address);
    let body = |change: fn(String) -> String| move |script: &mut Script| script.edit_token_answer = edit(change);
    for (row, spoil) in [
        (
            "HTML",
            Box::new(|script: &mut Script| script.token_head = (200, "text/html")) as Box<dyn Fn(&mut Script) + Send>,
        ),
        ("no media type of JSON", Box::new(|script| script.token_head = (200, "text/json"))),
        ("201", Box::new(|script| script.token_head = (201, "application/json"))),
        ("404", Box::new(|script| script.token_head = (404, "application/json"))),
        ("broken JSON", Box::new(body(|text| text[..text.len() - 1].to_owned()))),
        ("an array", Box::new(body(|text| format!("[{text}]")))),
        ("bytes after it", Box::new(body(|text| format!("{text}{{}}")))),
        ("byte order mark", Box::new(body(|text| format!("\u{feff}{text}")))),
        ("empty", Box::new(body(|_| String::new()))),
        ("id_token twice", Box::new(body(|text| text.replacen('{', "{\"id_token\":\"a.b.c\",", 1)))),
        ("no id_token", Box::new(body(|text| text.replace("id_token", "no_token")))),
        ("no access_token", Box::new(body(|text| text.replace("access_token", "no_token")))),
        ("id_token an array", Box::new(body(|text| text.replace("\"id_token\":", "\"id_token\":[],\"x\":")))),
        ("5 MB", Box::new(body(|text| text.replacen('{', &format!("{{\"x\":\"{}\",", "A".repeat(5 << 20)), 1)))),
        ("gzip", Box::new(|script| script.token_headers = vec![("content-encoding", "gzip".to_owned())])),
        ("mac", Box::new(body(|text| text.replace("Bearer", "mac")))),
        ("no token_type", Box::new(body(|text| text.replace("token_type", "x")))),
    ] {
        acme.refuses(row, 400, "token_response_invalid", spoil).await;
    }
    for status in [301, 302, 303, 307, 308] {
        let to = elsewhere.clone();
        acme.refuses("redirect", 400, "token_response_invalid", move |script| {
            script.token_head = (status, "application/json");
            script.token_headers = vec![("location", to)];
        })
        .await;
    }
    assert_eq!(app.globex.count("/token"), 0, "no redirect is followed");
    acme.refuses("500", 503, "provider_unavailable", |script| script.token_head = (500, "text/html")).await;
    acme.accepts("bEARER", body(|text| text.replace("Bearer", "bEARER"))).await;
    acme.accepts("no expires_in", body(|text| text.replace("expires_in", "x"))).await;
    acme.accepts("a charset", |script| script.token_head = (200, "application/json; charset=utf-8")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_answer_without_end_is_given_up_after_ten_seconds_o27() {
    let app = App::start().await;
    let began = Clock::system();
    Trial::acme(&app).refuses("drip", 400, "token_response_invalid", |script| script.drip = true).await;
    assert!((9..15).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

/// Globex as any OpenID provider whose address is only at userinfo.
async fn with_userinfo() -> App {
    let kind = "[connectors.globex]\nkind = \"google\"";
    let app = App::start_with(Setup::new().replacing(kind, "[connectors.globex]\nkind = \"oidc\"")).await;
    app.globex.always(|script| {
        script.claims = json!({ "sub": "1234567890" });
        let userinfo = json!({ "sub": "1234567890", "email": "bob@globex.com", "email_verified": true });
        script.userinfo = (200, "application/json", userinfo.to_string());
    });
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn userinfo_counts_only_for_the_tokens_person_o29() {
    let app = with_userinfo().await;
    let globex = Trial::globex(&app);
    let person = json!({ "sub": "1234567890", "email": "bob@globex.com", "email_verified": true });
    let with = |name: &str, value: Value| {
        let mut person = person.clone();
        person[name] = value;
        person.to_string()
    };
    for (row, reason, body) in [
        ("another sub", "userinfo_sub_mismatch", with("sub", json!("another"))),
        ("another case", "userinfo_sub_mismatch", with("sub", json!("1234567890 "))),
        ("sub a number", "userinfo_sub_mismatch", with("sub", json!(1_234_567_890))),
        ("no sub", "userinfo_sub_mismatch", json!({ "email": "bob@globex.com", "email_verified": true }).to_string()),
        ("an array", "userinfo_invalid", json!([person]).to_string()),
        ("a member twice", "userinfo_invalid", person.to_string().replacen('{', "{\"sub\":\"1234567890\",", 1)),
        ("not JSON", "userinfo_invalid", "x".to_owned()),
        ("5 MB", "userinfo_invalid", with("x", json!("A".repeat(5 << 20)))),
    ] {
        globex.refuses(row, 400, reason, move |script| script.userinfo.2 = body).await;
    }
    globex.refuses("HTML", 400, "userinfo_invalid", |script| script.userinfo.1 = "text/html").await;
    globex.refuses("403", 400, "userinfo_invalid", |script| script.userinfo.0 = 403).await;
    globex.refuses("503", 503, "provider_unavailable", |script| script.userinfo.0 = 503).await;
    globex
        .refuses("unverified", 403, "email_unverified", |script| {
            script.userinfo.2 = with("email_verified", json!(false));
        })
        .await;
    // An address in the ID token is not verified by a word at userinfo.
    globex.refuses("mixed", 403, "email_unverified", |script| script.claims["email"] = json!("boss@globex.com")).await;
    // The tenant is asked with the token in a header.
    assert!(app.globex.count("/userinfo") > 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_userinfo_is_held_to_key_issuer_and_audience_o29() {
    let app = with_userinfo().await;
    let globex = Trial::globex(&app);
    let issuer = app.globex.script().issuer.clone();
    let claims = json!({
        "iss": issuer, "aud": "client", "sub": "1234567890", "email": "bob@globex.com", "email_verified": true,
    });
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    let header = json!({ "alg": "RS256", "kid": "k0" });
    let good = sign_jwt(SigningKey::number(0), &header, &claims);
    globex.accepts("signed", |script| script.userinfo = (200, "application/jwt", good)).await;
    for (row, key, header, claims) in [
        ("a foreign key", 1, header.clone(), claims.clone()),
        ("another issuer", 0, header.clone(), with("iss", json!("http://127.0.0.1:1"))),
        ("no issuer", 0, header.clone(), with("iss", Value::Null)),
        ("another client", 0, header.clone(), with("aud", json!("another"))),
        ("unsigned", 0, json!({ "alg": "none" }), claims.clone()),
    ] {
        let text = sign_jwt(SigningKey::number(key), &header, &claims);
        globex.refuses(row, 400, "userinfo_invalid", |script| script.userinfo = (200, "application/jwt", text)).await;
    }
    let other = sign_jwt(SigningKey::number(0), &header, &with("sub", json!("another")));
    globex
        .refuses("another person", 400, "userinfo_sub_mismatch", |script| {
            script.userinfo = (200, "application/jwt", other);
        })
        .await;
}

/// The first visit to the sign-on URL while the provider's document is spoiled: a page and no attempt. Then the honest
/// document, in the same browser.
async fn document_refused(row: &str, reason: &str, status: u16, spoil: impl FnOnce(&App, &mut Script)) {
    let app = App::start().await;
    spoil(&app, &mut app.acme.script());
    let mut browser = app.browser();
    let watch = Watch::begin(&app, &browser, &std::collections::BTreeMap::new());
    let answer = browser.visit("/.anteroom/sign-in/go?connector=acme&rd=/report").await;
    watch.refused(row, &browser, &answer, status, reason);
    assert!(browser.attempts().is_empty(), "{row}: an attempt that could not start left a cookie");
    for endpoint in ["/token", "/keys", "/.well-known/openid-configuration"] {
        assert_eq!(app.globex.count(endpoint), 0, "{row}: led elsewhere");
    }
    // Nobody hammers a provider that just failed.
    browser.visit("/.anteroom/sign-in/go?connector=acme").await;
    assert_eq!(app.acme.count("/.well-known/openid-configuration"), 1, "{row}");
    app.advance(Duration::from_secs(5));
    Trial::acme(&app).honest(row, &mut browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_of_another_issuer_or_with_strange_endpoints_is_refused_o34() {
    let rejected = "idp_config_rejected";
    document_refused("another issuer", rejected, 400, |app, script| {
        script.discovery["issuer"] = json!(app.globex.script().issuer);
    })
    .await;
    document_refused("another tenant", rejected, 400, |_, script| {
        script.discovery["issuer"] = json!(script.issuer.replace("1111", "2222"));
    })
    .await;
    document_refused("no issuer", rejected, 400, |_, script| script.discovery["issuer"] = Value::Null).await;
    document_refused("redirect", rejected, 400, |app, script| {
        script.discovery_answer = Some((302, "application/json", script.discovery.to_string()));
        script.discovery_location = Some(format!("http://{}/.well-known/openid-configuration", app.globex.address));
    })
    .await;
    document_refused("not found", rejected, 400, |_, script| {
        script.discovery_answer = Some((404, "application/json", script.discovery.to_string()));
    })
    .await;
    document_refused("HTML", rejected, 400, |_, script| {
        script.discovery_answer = Some((200, "text/html", "<html>".into()));
    })
    .await;
    document_refused("1 MB", rejected, 400, |_, script| script.discovery["x"] = json!("A".repeat(1 << 20))).await;
    document_refused("a member twice", rejected, 400, |_, script| {
        let twice = script.discovery.to_string().replacen('{', "{\"jwks_uri\":\"http://127.0.0.1:1/\",", 1);
        script.discovery_answer = Some((200, "application/json", twice));
    })
    .await;
    document_refused("away", "provider_unavailable", 503, |_, script| script.down = true).await;
    for endpoint in
        ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "end_session_endpoint"]
    {
        for url in ["file:///etc/passwd", "javascript:alert(1)", "/relative", "http://user@127.0.0.1/x"] {
            document_refused(endpoint, rejected, 400, |_, script| script.discovery[endpoint] = json!(url)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_leads_neither_into_the_network_nor_to_plain_http_o34() {
    for (endpoint, url) in [
        ("jwks_uri", "https://169.254.169.254/keys"),
        ("jwks_uri", "https://10.0.0.1/keys"),
        ("jwks_uri", "http://10.0.0.1/keys"),
        ("jwks_uri", "https://[fe80::1]/keys"),
        ("token_endpoint", "https://169.254.169.254/token"),
        ("token_endpoint", "https://192.168.1.1/token"),
        ("token_endpoint", "http://203.0.113.1/token"),
    ] {
        let app = App::start().await;
        app.acme.script().discovery[endpoint] = json!(url);
        let mut browser = app.browser();
        let query = Trial::acme(&app).begin(&mut browser).await;
        let watch = Watch::begin(&app, &browser, &query);
        let answer = browser.send(App::callback("acme", &query)).await;
        watch.refused(url, &browser, &answer, 400, "idp_config_rejected");
        assert!(browser.attempts().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_good_document_stays_when_the_next_is_refused_o34() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    let mut browser = app.browser();
    acme.honest("before", &mut browser).await;
    app.advance(HOUR);
    let asked = app.acme.count("/.well-known/openid-configuration");
    acme.accepts("while the next is fetched", |script| script.discovery["issuer"] = json!("http://127.0.0.1:1")).await;
    until_asked(&app.acme, "/.well-known/openid-configuration", asked + 1).await;
    acme.accepts("after it was refused", |script| script.discovery["issuer"] = json!("http://127.0.0.1:1")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_away_stops_only_its_own_sign_ins() {
    let app = App::start().await;
    let mut signed_in = app.signed_in().await;
    app.acme.script().down = true;
    assert_eq!(signed_in.visit("/").await.status, 200);
    Trial::globex(&app).honest("the other provider", &mut app.browser()).await;
    Trial::acme(&app).refuses("down", 503, "provider_unavailable", |script| script.down = true).await;
}

//! What an ID token must be (security cases O01–O12, O16, O30–O32, O35–O38), through the whole of Anteroom.

use std::sync::Arc;

use anteroom::base::clock::Clock;
use serde_json::{Value, json};

use crate::support::{App, Edit, Script, Setup, SigningKey, TENANT, Trial, Watch, b64, sign_jwt};

fn edit(change: impl Fn(String) -> String + Send + Sync + 'static) -> Option<Edit> {
    Some(Arc::new(change))
}

/// A row of a table: name, reason, and what the provider does wrong.
type Row<'a> = (&'a str, &'a str, Box<dyn Fn(&mut Script) + Send + Sync>);

fn row<'a>(name: &'a str, reason: &'a str, spoil: impl Fn(&mut Script) + Send + Sync + 'static) -> Row<'a> {
    (name, reason, Box::new(spoil))
}

fn claim(name: &'static str, value: Value) -> impl Fn(&mut Script) {
    move |script| script.claims[name] = value.clone()
}

async fn refused(trial: &Trial<'_>, rows: Vec<Row<'_>>) {
    for (name, reason, spoil) in rows {
        trial.refuses(name, 400, reason, |script| spoil(script)).await;
    }
}

/// Three parts, the second changed by `change`, signed again.
fn header(change: impl Fn(&mut Value) + Send + Sync + 'static) -> impl Fn(&mut Script) {
    move |script| change(&mut script.header)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_issuer_is_compared_exactly_o01() {
    let app = App::start().await;
    let google = Trial::globex(&app);
    let issuer = app.globex.script().issuer.clone();
    for wrong in [
        format!("{issuer}/"),
        issuer.replace("http:", "https:"),
        issuer.replace("http:", "HTTP:"),
        issuer.replace("127.0.0.1", "127.0.0.2"),
        format!("{issuer}x"),
        issuer[..issuer.len() - 1].to_owned(),
        format!("{issuer} "),
    ] {
        google.refuses(&wrong, 400, "iss_mismatch", |script| script.claims["iss"] = json!(wrong)).await;
    }
    assert_eq!(app.globex.count("/userinfo"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_claim_that_is_absent_is_named_o02() {
    let app = App::start().await;
    let google = Trial::globex(&app);
    for name in ["iss", "sub", "aud", "exp", "iat"] {
        let event = google
            .refuses(name, 400, "claim_missing", |script| {
                script.claims.as_object_mut().unwrap().remove(name);
                script.leave_out.push(name);
            })
            .await;
        assert_eq!(event["expected"], name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audience_is_this_client_o03_o04() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    let wrong = [
        json!("another"),
        json!(["another"]),
        json!([]),
        json!("clien"),
        json!("CLIENT"),
        json!(7),
        json!({ "client": true }),
        json!(["client", 7]),
    ];
    for aud in wrong {
        acme.refuses(&aud.to_string(), 400, "aud_mismatch", claim("aud", aud.clone())).await;
    }
    let strangers = json!(["client", "stranger"]);
    acme.refuses("no azp", 400, "azp", claim("aud", strangers.clone())).await;
    for azp in [json!("stranger"), json!(["client"]), json!("")] {
        let (row, aud) = (format!("azp {azp}"), strangers.clone());
        acme.refuses(&row, 400, "azp", move |script| {
            script.claims["aud"] = aud;
            script.claims["azp"] = azp;
        })
        .await;
    }
    acme.refuses("azp beside one audience", 400, "azp", claim("azp", json!("stranger"))).await;

    acme.accepts("an array with us alone", claim("aud", json!(["client"]))).await;
    acme.accepts("two audiences and our azp", |script| {
        script.claims["aud"] = json!(["client", "stranger"]);
        script.claims["azp"] = json!("client");
    })
    .await;
}

/// Another algorithm in the provider's hands: the key, its JWK and the header.
fn sign_with(script: &mut Script, alg: &str, key: &'static SigningKey) {
    script.key = key;
    script.header["alg"] = json!(alg);
}

fn flip_last_signature_bit(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, signature).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    format!("{signed}.{}", b64(bytes))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_flipped_bit_of_a_signature_is_refused_for_every_algorithm_o05() {
    let setup = Setup::new().replacing(
        "[connectors.globex]\nkind = \"google\"",
        "[connectors.globex]\nkind = \"google\"\nalgorithms = [\"RS256\", \"PS256\", \"ES256\", \"EdDSA\"]",
    );
    let app = App::start_with(setup).await;
    let globex = Trial::globex(&app);
    let keys = [
        ("RS256", SigningKey::number(0)),
        ("PS256", SigningKey::number(0)),
        ("ES256", SigningKey::p256()),
        ("EdDSA", SigningKey::ed25519()),
    ];
    for (alg, key) in keys {
        let with = move |script: &mut Script| {
            sign_with(script, alg, key);
            script.header["kid"] = json!(alg);
        };
        // One key set for all of them: it is fetched once.
        app.advance(std::time::Duration::from_secs(31));
        let all: Vec<Value> =
            keys.iter().map(|(alg, key)| key.jwk(alg)).chain([SigningKey::number(0).jwk("k0")]).collect();
        app.globex.script().jwks = json!({ "keys": all }).to_string();
        let jwks = json!({ "keys": all }).to_string();
        let set = jwks.clone();
        globex
            .accepts(alg, move |script| {
                script.jwks = jwks;
                with(script);
            })
            .await;
        globex
            .refuses(alg, 400, "sig_invalid", move |script| {
                script.jwks = set;
                with(script);
                script.edit_id_token = edit(|token| flip_last_signature_bit(&token));
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_unsigned_or_signed_otherwise_is_refused_o06_o07_o08() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    let unsigned = |token: String| format!("{}.", token.rsplit_once('.').unwrap().0);
    let rows = ["none", "None", "nOnE", "HS256", "RS512", "rs256", "PS256", "ES256", "EdDSA", ""]
        .map(|alg| row(alg, "alg_not_allowed", header(move |header| header["alg"] = json!(alg))));
    refused(&acme, rows.into()).await;
    let rows = vec![
        row("none, and no signature", "alg_not_allowed", move |script| {
            script.header["alg"] = json!("none");
            script.edit_id_token = edit(unsigned);
        }),
        row("RS256, and no signature", "alg_not_allowed", move |script| script.edit_id_token = edit(unsigned)),
        row("no alg", "alg_not_allowed", header(|header| drop(header.as_object_mut().unwrap().remove("alg")))),
        row("an alg that is no text", "alg_not_allowed", header(|header| header["alg"] = json!(["RS256"]))),
    ];
    refused(&acme, rows).await;
    // O07: what is public as the key of an HMAC.
    for what in ["n", "e", "kid"] {
        let secret = SigningKey::number(0).jwk("k0")[what].as_str().unwrap().to_owned();
        acme.refuses(what, 400, "alg_not_allowed", move |script| {
            script.header["alg"] = json!("HS256");
            script.edit_id_token = edit(move |token| {
                let signed = token.rsplit_once('.').unwrap().0;
                let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
                format!("{signed}.{}", b64(aws_lc_rs::hmac::sign(&key, signed.as_bytes())))
            });
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_never_comes_from_the_token_o09() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    // The second provider of the test stands for the attacker's server.
    let url = format!("http://{}/keys", app.globex.address);
    let foreign = SigningKey::number(1);
    for (name, value) in
        [("jwk", foreign.jwk("mine")), ("jku", json!(url)), ("x5u", json!(url)), ("x5c", json!([b64("certificate")]))]
    {
        acme.refuses(name, 400, "key_unknown", move |script| {
            script.key = foreign;
            script.header["kid"] = json!("mine");
            script.header[name] = value;
        })
        .await;
    }
    acme.refuses("a foreign key under a known name", 400, "sig_invalid", move |script| script.key = foreign).await;
    assert_eq!(app.globex.count("/keys"), 0, "nothing the token names is fetched");
    acme.accepts("such a header beside the right key", header(move |header| header["jku"] = json!(url))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_must_be_understood_is_refused_o10() {
    let app = App::start().await;
    let rows = vec![
        row("crit", "crit_unsupported", header(|header| header["crit"] = json!(["exp"]))),
        row("empty crit", "crit_unsupported", header(|header| header["crit"] = json!([]))),
        row("b64", "crit_unsupported", header(|header| header["b64"] = json!(false))),
    ];
    refused(&Trial::acme(&app), rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strange_kid_costs_no_more_than_one_look_at_the_keys_o11() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    acme.honest("first", &mut app.browser()).await;
    let before = app.acme.count("/keys");
    for kid in [
        "x".repeat(10_000),
        "../../../../etc/passwd".to_owned(),
        "' OR 1=1 --".to_owned(),
        "k0\0".to_owned(),
        "a\r\nb".to_owned(),
        "K0".to_owned(),
        String::new(),
    ] {
        let sent = kid.clone();
        let event = acme.refuses(&kid, 400, "key_unknown", header(move |header| header["kid"] = json!(sent))).await;
        assert!(event["found"].as_str().unwrap().chars().count() <= 201, "cut in the log");
    }
    assert_eq!(app.acme.count("/keys"), before + 1);
    acme.refuses("a kid that is a number", 400, "malformed", header(|header| header["kid"] = json!(7))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_kid_finds_its_key_or_none_o12() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    fn nameless(script: &mut Script) {
        script.header.as_object_mut().unwrap().remove("kid");
    }
    acme.accepts("one key", nameless).await;
    app.advance(std::time::Duration::from_secs(3_600));
    let two = json!({ "keys": [SigningKey::number(1).jwk("k1"), SigningKey::number(0).jwk("k0")] }).to_string();
    let set = two.clone();
    acme.accepts("two keys, of which one fits", move |script| {
        script.jwks = set;
        nameless(script);
    })
    .await;
    acme.refuses("two keys, of which none fits", 400, "sig_invalid", move |script| {
        script.jwks = two;
        script.key = SigningKey::number(2);
        nameless(script);
    })
    .await;

    // Each Anteroom has keys of its own to remember.
    let app = App::start().await;
    let mut encrypts = SigningKey::number(0).jwk("k0");
    encrypts["use"] = json!("enc");
    app.acme.script().jwks = json!({ "keys": [encrypts] }).to_string();
    let mut browser = app.browser();
    let query = Trial::acme(&app).begin(&mut browser).await;
    let watch = Watch::begin(&app, &browser, &query);
    let answer = browser.send(App::callback("acme", &query)).await;
    watch.refused("a key for encryption alone", &browser, &answer, 400, "key_unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nonce_is_this_attempts_o16() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    // One from another attempt, genuine otherwise.
    let other = acme.begin(&mut app.browser()).await;
    let rows = vec![
        row("none", "nonce_mismatch", |script| script.leave_out.push("nonce")),
        row("wrong", "nonce_mismatch", claim("nonce", json!("x"))),
        row("empty", "nonce_mismatch", claim("nonce", json!(""))),
        row("null", "nonce_mismatch", claim("nonce", Value::Null)),
        row("no text", "nonce_mismatch", claim("nonce", json!(["x"]))),
        row("the state of another", "nonce_mismatch", claim("nonce", json!(other["state"]))),
        row("another case", "nonce_mismatch", |script| {
            script.edit_claims = edit(|claims| {
                let mut claims: Value = serde_json::from_str(&claims).unwrap();
                let nonce = claims["nonce"].as_str().unwrap();
                let swap =
                    |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
                claims["nonce"] = nonce.chars().map(swap).collect::<String>().into();
                claims.to_string()
            });
        }),
    ];
    refused(&acme, rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_injected_from_another_attempt_brings_a_foreign_nonce_o16() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    let attackers = acme.begin(&mut app.browser()).await;
    let mut victim = app.browser();
    let mut query = acme.begin(&mut victim).await;
    query.insert("code".into(), attackers["code"].clone());
    let watch = Watch::begin(&app, &victim, &query);
    let answer = victim.send(App::callback("acme", &query)).await;
    watch.refused("the attacker's code", &victim, &answer, 400, "nonce_mismatch");
    assert!(victim.attempts().is_empty());
    acme.honest("afterwards", &mut victim).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_hash_fits_the_access_token_o30() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    let hash =
        |token: &str| b64(&aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes()).as_ref()[..16]);
    let right = hash("canary-access-token");
    acme.accepts("the right one", claim("at_hash", json!(right))).await;
    for wrong in [json!(hash("another")), json!(""), json!(7), json!(format!("{right}=")), json!(&right[..10])] {
        acme.refuses(&wrong.to_string(), 400, "at_hash", claim("at_hash", wrong.clone())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exp_iat_and_nbf_are_held_to_our_clock_o31_o32() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    let at =
        |name: &'static str, offset: i64| move |script: &mut Script| script.claims[name] = json!(script.now() + offset);
    for (name, offset, reason) in
        [("exp", -61, "expired"), ("iat", 61, "not_yet_valid"), ("nbf", 61, "not_yet_valid"), ("iat", -601, "stale")]
    {
        let event = acme.refuses(&format!("{name} {offset}"), 400, reason, at(name, offset)).await;
        assert!(event["expected"].as_str().unwrap().starts_with("our clock: "), "{event}");
    }
    for (name, offset) in [("exp", -59), ("iat", 59), ("nbf", 59), ("iat", -599)] {
        acme.accepts(&format!("{name} {offset}"), at(name, offset)).await;
    }
    for (value, reason) in [
        (json!("1900000000"), "type"),
        (json!([1_900_000_000]), "type"),
        (json!(true), "type"),
        (json!(-1), "expired"),
        (json!(-1e300), "expired"),
        (json!(0.5), "expired"),
    ] {
        acme.refuses(&value.to_string(), 400, reason, claim("exp", value.clone())).await;
    }
    acme.accepts("fractional", |script| script.claims["exp"] = json!(script.now() as f64 + 300.5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_exp_outlives_the_absolute_limit_o31() {
    let app = App::start_with(Setup::new().with("[sessions]\nidle_timeout = \"4h\"\nabsolute_timeout = \"4h\"")).await;
    app.acme.script().claims["exp"] = json!(1e300);
    let mut browser = app.signed_in().await;
    app.advance(std::time::Duration::from_secs(4 * 3600 - 1));
    assert_eq!(browser.visit("/").await.status, 200);
    app.advance(std::time::Duration::from_secs(1));
    assert_eq!(browser.visit("/").await.status, 302);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_kind_of_token_is_no_id_token_o35() {
    let app = App::start().await;
    let rows = vec![
        row("access token", "wrong_token_type", header(|header| header["typ"] = json!("at+jwt"))),
        row("logout token", "wrong_token_type", header(|header| header["typ"] = json!("logout+jwt"))),
        row("full media type", "wrong_token_type", header(|header| header["typ"] = json!("application/at+jwt"))),
        row("events", "wrong_token_type", claim("events", json!({}))),
        row(
            "a logout token without typ",
            "wrong_token_type",
            claim("events", json!({ "http://schemas.openid.net/event/backchannel-logout": {} })),
        ),
    ];
    refused(&Trial::acme(&app), rows).await;
    let acme = Trial::acme(&app);
    acme.accepts("no typ", header(|header| drop(header.as_object_mut().unwrap().remove("typ")))).await;
    acme.accepts("jwt", header(|header| header["typ"] = json!("jwt"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_token_is_refused_before_work_o36() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    for (name, header) in [
        ("zip", json!({ "alg": "RSA-OAEP", "enc": "A256GCM", "zip": "DEF", "kid": "k0" })),
        ("pbes2", json!({ "alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 1_000_000_000, "p2s": "c2FsdA" })),
    ] {
        for size in [1024, 60 * 1024, 700 * 1024] {
            let jwe = format!("{}.a.b.{}.c", b64(header.to_string()), "A".repeat(size));
            let began = Clock::system();
            acme.refuses(name, 400, "malformed", move |script| script.id_token = Some(jwe)).await;
            assert!(began.elapsed().as_secs() < 5, "a bomb costs nothing");
        }
        // In three parts it is still no algorithm of ours.
        let jws = sign_jwt(SigningKey::number(0), &header, &json!({}));
        acme.refuses(name, 400, "alg_not_allowed", move |script| script.id_token = Some(jws)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_parsers_read_differently_is_refused_o37() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    fn claims(change: impl Fn(String) -> String + Send + Sync + 'static) -> impl Fn(&mut Script) {
        let change: Edit = Arc::new(change);
        move |script| script.edit_claims = Some(change.clone())
    }
    fn token(change: impl Fn(String) -> String + Send + Sync + 'static) -> impl Fn(&mut Script) {
        let change: Edit = Arc::new(change);
        move |script| script.edit_id_token = Some(change.clone())
    }
    fn head(change: impl Fn(String) -> String + Send + Sync + 'static) -> impl Fn(&mut Script) {
        let change: Edit = Arc::new(change);
        move |script| script.edit_header = Some(change.clone())
    }
    let rows = vec![
        row("a claim twice", "malformed", claims(|text| text.replacen('{', r#"{"sub":"other","#, 1))),
        row("a claim twice, escaped", "malformed", claims(|text| text.replacen('{', r#"{"\u0073ub":"other","#, 1))),
        row("a claim twice, deep", "malformed", claims(|text| text.replacen('{', r#"{"x":{"a":1,"a":1},"#, 1))),
        row("a header twice", "malformed", head(|text| text.replacen('{', r#"{"alg":"none","#, 1))),
        row("byte order mark", "malformed", claims(|text| format!("\u{feff}{text}"))),
        row("byte order mark before the header", "malformed", head(|text| format!("\u{feff}{text}"))),
        row("bytes after the claims", "malformed", claims(|text| format!("{text} x"))),
        row("two objects", "malformed", claims(|text| format!("{text}{text}"))),
        row("an array", "malformed", claims(|text| format!("[{text}]"))),
        row(
            "nested",
            "malformed",
            claims(|text| text.replacen('{', &format!(r#"{{"x":{}{},"#, "[".repeat(10_000), "]".repeat(10_000)), 1)),
        ),
        row("NUL in sub", "malformed", claim("sub", json!("a\0b"))),
        row("padding", "malformed", token(|token| format!("{token}=="))),
        row(
            "standard base64",
            "malformed",
            token(|token| {
                let (signed, signature) = token.rsplit_once('.').unwrap();
                format!("{signed}.+/{}", &signature[2..])
            }),
        ),
        row("a space after it", "malformed", token(|token| format!("{token} "))),
        row("a line end", "malformed", token(|token| format!("{token}\n"))),
        row("four parts", "malformed", token(|token| format!("{token}.x"))),
        row("two parts", "malformed", token(|token| token.rsplit_once('.').unwrap().0.to_owned())),
        row("empty", "malformed", token(|_| String::new())),
        row("dots", "malformed", token(|_| "..".to_owned())),
    ];
    refused(&acme, rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subjects_are_bounded_and_compared_byte_for_byte_o38() {
    let setup =
        Setup::new().replacing("[connectors.globex]\nkind = \"google\"", "[connectors.globex]\nkind = \"oidc\"");
    let app = App::start_with(setup).await;
    let globex = Trial::globex(&app);
    for sub in [String::new(), "  ".to_owned(), "x".repeat(256)] {
        globex.refuses(&sub, 400, "sub_invalid", claim("sub", json!(sub))).await;
    }
    globex.refuses("a number", 400, "type", claim("sub", json!(7))).await;
    let somebody = |sub: String, email: &'static str| {
        move |script: &mut Script| {
            script.claims["sub"] = json!(sub);
            script.claims["email"] = json!(email);
        }
    };
    let long = Trial { hint: "long@globex.com", ..Trial::globex(&app) };
    long.accepts("255 characters", somebody("ä".repeat(255), long.hint)).await;

    // The application sees two people.
    let mut seen = vec![];
    for (sub, hint) in [("Abc", "upper@globex.com"), ("abc", "lower@globex.com")] {
        app.globex.honest();
        somebody(sub.to_owned(), hint)(&mut app.globex.script());
        let mut browser = app.browser();
        let trial = Trial { hint, ..Trial::globex(&app) };
        assert_eq!(trial.sign_in(&mut browser).await.status, 303);
        assert_eq!(browser.visit("/").await.status, 200);
        let assertion = app.upstream.last().header("x-anteroom-assertion").unwrap().to_owned();
        let claims = assertion.split('.').nth(1).unwrap();
        let claims = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims).unwrap();
        seen.push(serde_json::from_slice::<Value>(&claims).unwrap()["sub"].clone());
    }
    assert_ne!(seen[0], seen[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_object_id_is_an_entra_users_subject_o38() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    acme.refuses("no oid", 400, "claim_missing", claim("oid", Value::Null)).await;
    acme.refuses("an empty oid", 400, "sub_invalid", claim("oid", json!(""))).await;
    acme.refuses("no uuid", 400, "sub_invalid", claim("oid", json!("alice"))).await;
    acme.accepts("another pairwise sub", claim("sub", json!(format!("x-{TENANT}")))).await;
}

//! Canaries (E10, U01, U02): secrets go through every flow and every failure, and come out nowhere but where the
//! protocol wants them.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::command_line::Binary;
use crate::support::{Answer, App, Ask, Browser, Setup, sign_jwt};

/// Every secret that a run has seen, by name.
#[derive(Default)]
struct Canaries(BTreeSet<(&'static str, String)>);

impl Canaries {
    fn add(&mut self, name: &'static str, value: impl Into<String>) {
        let value = value.into();
        assert!(value.len() >= 8, "{name} is too short to be looked for: {value:?}");
        self.0.insert((name, value));
    }

    /// State, nonce and challenge of an authorization request; the code that answers it.
    fn request(&mut self, location: &str, query: &std::collections::BTreeMap<String, String>) {
        let url = url::Url::parse(location).unwrap();
        for (name, value) in url.query_pairs() {
            match &*name {
                "state" => self.add("state", value),
                "nonce" => self.add("nonce", value),
                _ => {}
            }
        }
        if let Some(code) = query.get("code") {
            self.add("code", code);
        }
    }

    fn cookies(&mut self, browser: &Browser) {
        for (name, value) in &browser.cookies {
            if !name.ends_with("-done") {
                self.add("cookie", value);
            }
        }
    }

    #[track_caller]
    fn absent(&self, text: &str, place: &str) {
        for (name, value) in &self.0 {
            assert!(!text.contains(value.as_str()), "the {name} is in {place}:\n{text}");
        }
    }

    /// Body and headers but `Set-Cookie`, whose value is for the browser.
    #[track_caller]
    fn absent_from(&self, answer: &Answer, place: &str) {
        self.absent(&answer.text(), place);
        for (name, value) in answer.headers.iter().filter(|(name, _)| name != "set-cookie") {
            self.absent(value, &format!("{place}, {name}"));
        }
    }
}

const CLIENT_SECRET: &str = "canary-client-secret";
const ACCESS_TOKEN: &str = "canary-access-token";
const REFRESH_TOKEN: &str = "canary-refresh-token";
const PASSWORD: &str = "canary-password";
const API_KEY: &str = "canary-api-key";
const BEARER: &str = "canary-bearer";

/// The provider signs its ID token over the canaries, with `claims` changed.
fn spoil(app: &App, claims: &[(&str, Value)]) {
    let mut script = app.acme.script();
    for (name, value) in claims {
        script.claims[*name] = value.clone();
    }
}

/// One sign-in, from the link to the callback's answer; everything secret of it becomes a canary.
async fn sign_in(app: &App, canaries: &mut Canaries, browser: &mut Browser, hint: &str) -> Answer {
    let to_provider = app.start_sign_in(browser, "acme", "/report", hint).await;
    let query = app.acme.sign_in(to_provider.location());
    canaries.request(to_provider.location(), &query);
    canaries.cookies(browser);
    let back = browser.send(App::callback("acme", &query)).await;
    canaries.cookies(browser);
    if app.acme.count("/token") > 0 {
        canaries.add("PKCE verifier", &app.acme.last_form("/token")["code_verifier"]);
    }
    back
}

/// Every flow and every failure that can be had from outside, with the answers that a browser saw.
async fn every_flow(app: &App, canaries: &mut Canaries) -> Vec<Answer> {
    let mut answers = vec![];
    let basic = STANDARD.encode(format!("svc:{PASSWORD}"));
    for (name, value) in [
        ("client secret", CLIENT_SECRET),
        ("access token", ACCESS_TOKEN),
        ("refresh token", REFRESH_TOKEN),
        ("password", PASSWORD),
        ("Basic credentials", basic.as_str()),
        ("API key", API_KEY),
        ("bearer", BEARER),
    ] {
        canaries.add(name, value);
    }

    // A good sign-in, and what a session does.
    let mut alice = app.browser();
    answers.push(sign_in(app, canaries, &mut alice, "alice@acme.com").await);
    assert_eq!(answers[0].reason(), "signed_in");
    let id_token = app.acme.script().last_id_token.clone().expect("an ID token was given out");
    canaries.add("ID token", id_token.clone());
    for path in ["/report", "/admin/x", "/enterprise/x", "/.anteroom/me", "/.anteroom/jwks.json", "/.anteroom/nothing"]
    {
        answers.push(alice.visit(path).await);
        answers.push(alice.send(Ask::get(path).with("Authorization", &format!("Bearer {BEARER}"))).await);
    }
    canaries.add(
        "assertion",
        app.upstream.requests().iter().find_map(|r| r.header("x-anteroom-assertion").map(str::to_owned)).unwrap(),
    );

    // Native credentials, good, ambiguous and in the wrong place.
    for path in ["/api/x", "/report", "/public/x", "/keep/x", "/.anteroom/me"] {
        for ask in [
            Ask::get(path).with("Authorization", &format!("Basic {basic}")),
            Ask::get(path)
                .with("Authorization", &format!("Basic {basic}"))
                .with("Authorization", &format!("Basic {basic}")),
            Ask::get(path).with("X-Api-Key", API_KEY),
            Ask::page(path).with("Authorization", &format!("Bearer {BEARER}")).with("X_Api_Key", API_KEY),
        ] {
            answers.push(app.send(&ask).await);
        }
    }

    // The callback: replayed, in another browser, at another connector, with a changed state, refused by the provider.
    let mut other = app.browser();
    let to_provider = app.start_sign_in(&mut other, "acme", "/", "alice@acme.com").await;
    let query = app.acme.sign_in(to_provider.location());
    canaries.request(to_provider.location(), &query);
    canaries.cookies(&other);
    answers.push(app.send(&App::callback("acme", &query)).await);
    answers.push(other.clone().send(App::callback("globex", &query)).await);
    let mut changed = query.clone();
    changed.insert("state".into(), format!("{}x", query["state"]));
    answers.push(other.clone().send(App::callback("acme", &changed)).await);
    let mut refused = query.clone();
    let code = refused.remove("code").unwrap();
    refused.insert("error".into(), "access_denied".into());
    refused.insert("error_description".into(), "AADSTS50105: \u{1b}[31m\u{202e}not assigned\r\n".into());
    answers.push(other.send(App::callback("acme", &refused)).await);
    refused.insert("code".into(), code);
    answers.push(other.send(App::callback("acme", &refused)).await);
    answers.push(other.send(App::callback("acme", &query)).await);

    // What the provider may do wrong with the token answer.
    let honest = app.acme.script().claims.clone();
    for claims in [
        vec![("aud", json!("another-client"))],
        vec![("nonce", json!("canary-another-nonce"))],
        vec![("exp", json!(1))],
        vec![("iss", json!("https://evil.example/"))],
        vec![("tid", json!("99999999-2222-3333-4444-555555555555"))],
        vec![("upn", json!("mallory@evil.example"))],
        vec![("groups", json!(vec!["g".repeat(100); 100]))],
    ] {
        spoil(app, &claims);
        answers.push(sign_in(app, canaries, &mut app.browser(), "alice@acme.com").await);
        app.acme.script().claims = honest.clone();
    }
    for answer in [
        (
            400,
            "application/json",
            json!({ "error": "invalid_grant", "error_description": format!("AADSTS70008: {ACCESS_TOKEN}") })
                .to_string(),
        ),
        (
            200,
            "application/json",
            format!("{{\"access_token\":\"{ACCESS_TOKEN}\",\"refresh_token\":\"{REFRESH_TOKEN}\"}}"),
        ),
        (
            200,
            "application/json",
            format!("{{\"access_token\":\"{ACCESS_TOKEN}\",\"id_token\":\"{id_token}x\",\"token_type\":\"Bearer\"}}"),
        ),
        (200, "text/html", format!("<p>{ACCESS_TOKEN} {id_token}</p>")),
        (500, "application/json", format!("{{\"access_token\":\"{ACCESS_TOKEN}\"")),
        (302, "text/plain", ACCESS_TOKEN.to_owned()),
    ] {
        app.acme.script().token_answer = Some(answer);
        answers.push(sign_in(app, canaries, &mut app.browser(), "alice@acme.com").await);
    }
    app.acme.script().token_answer = None;
    let forged =
        sign_jwt(crate::support::SigningKey::number(2), &json!({ "alg": "RS256", "kid": "canary-kid" }), &honest);
    canaries.add("forged ID token", forged.clone());
    app.acme.script().id_token = Some(forged);
    answers.push(sign_in(app, canaries, &mut app.browser(), "alice@acme.com").await);
    app.acme.script().id_token = None;
    app.acme.script().down = true;
    answers.push(sign_in(app, canaries, &mut app.browser(), "alice@acme.com").await);
    app.acme.script().down = false;

    // Another address than the typed one: asked, and confirmed twice.
    let mut mistaken = app.browser();
    let mismatch = sign_in(app, canaries, &mut mistaken, "somebody@acme.com").await;
    let attempt = mismatch.field("attempt").unwrap_or_default();
    answers.push(mismatch);
    for _ in 0..2 {
        answers.push(mistaken.send(Ask::form("/.anteroom/sign-in/continue", &[("attempt", &attempt)])).await);
        canaries.cookies(&mistaken);
    }

    // Cookies that open nothing, requests that cannot be read, an application that is away, loops, sign-out.
    for ask in [
        Ask::page("/").with("Cookie", &format!("__Host-anteroom={}; __Host-anteroom=x", alice.session().unwrap())),
        Ask::page("/a/../b").with("Cookie", &format!("__Host-anteroom={}", alice.session().unwrap())),
        Ask::page("/").host("evil.example").with("Authorization", &format!("Basic {basic}")),
        Ask::get("/").with("Transfer-Encoding", "chunked").with("Content-Length", "0").with("X-Api-Key", API_KEY),
    ] {
        answers.push(app.send(&ask).await);
    }
    app.upstream.reply(|_| vec![]);
    answers.push(alice.visit("/report").await);
    let mut looping = alice.clone();
    looping.cookies.insert("__Host-anteroom-done".into(), format!("{}.5", app.clock.now().secs()));
    let session = looping.cookies.remove("__Host-anteroom").unwrap();
    answers.push(looping.visit("/report").await);
    answers.push(looping.visit("/.anteroom/sign-out").await);
    looping.cookies.insert("__Host-anteroom".into(), session);
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_a_log_a_page_or_a_url_whatever_happens_e10_u02() {
    let app = App::start_with(Setup::new().replacing("workers = 2", "workers = 1")).await;
    app.acme.script().access_token = ACCESS_TOKEN.into();
    let mut canaries = Canaries::default();
    let answers = every_flow(&app, &mut canaries).await;
    assert!(answers.len() > 60 && canaries.0.len() > 40, "{} answers, {} canaries", answers.len(), canaries.0.len());
    let places: BTreeSet<&str> = canaries.0.iter().map(|(name, _)| *name).collect();
    for name in ["state", "nonce", "code", "cookie", "ID token", "PKCE verifier", "assertion"] {
        assert!(places.contains(name), "{name} was never seen: {places:?}");
    }
    for (i, answer) in answers.iter().enumerate() {
        canaries.absent_from(answer, &format!("answer {i} ({} {})", answer.status, answer.reason()));
    }
    // The session's ID token goes to the provider that made it, once, when its person signs out (RP-Initiated Logout).
    let mut leaving = app.signed_in().await;
    let hint = app.acme.script().last_id_token.clone().unwrap();
    let out = leaving.send(Ask::form("/.anteroom/sign-out", &[])).await;
    assert!(out.location().contains(&format!("id_token_hint={hint}")), "{}", out.location());
    canaries.add("ID token of the one who left", hint);

    let log = app.log.clone();
    app.stop(anteroom::app::Stop::Now).await.unwrap();
    let log = log.taken();
    for kind in ["audit", "access"] {
        assert!(log.contains(&format!("\"kind\":\"{kind}\"")), "{kind} lines are there");
    }
    canaries.absent(&log, "the log");
    // U01: one event, one line, no matter what it carries.
    for line in log.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line.chars().all(|c| !c.is_control() && !('\u{2028}'..='\u{202e}').contains(&c)), "{line:?}");
    }
    let refused = log.lines().find(|line| line.contains("provider_refused")).expect("the refusal was recorded");
    assert!(refused.contains("\\u001b[31m\\u202enot assigned"), "{refused}");
}

/// U02: the same of the real program at its most talkative, dependencies included.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_the_log_at_trace_level_u02() {
    let binary = Binary::start(|toml| toml + "\n[log]\nlevel = \"trace\"\n").await;
    let mut canaries = Canaries::default();
    let mut browser = Browser::new(binary.address);
    binary.acme.script().access_token = ACCESS_TOKEN.into();
    let go = browser.visit("/.anteroom/sign-in/go?connector=acme&login_hint=alice@acme.com").await;
    let query = binary.acme.sign_in(go.location());
    canaries.request(go.location(), &query);
    canaries.cookies(&browser);
    let back = browser.send(App::callback("acme", &query)).await;
    assert_eq!(back.reason(), "signed_in");
    canaries.cookies(&browser);
    assert_eq!(browser.visit("/report").await.status, 200);
    let basic = STANDARD.encode(format!("svc:{PASSWORD}"));
    let native = Ask::get("/api/x").with("Authorization", &format!("Basic {basic}")).with("X-Api-Key", API_KEY);
    assert_eq!(browser.send(native).await.status, 200);
    canaries.add("assertion", binary.upstream.requests()[0].header("x-anteroom-assertion").unwrap());
    canaries.add("ID token", binary.acme.script().last_id_token.clone().unwrap());
    for (name, value) in [
        ("client secret", CLIENT_SECRET),
        ("access token", ACCESS_TOKEN),
        ("password", PASSWORD),
        ("Basic", &basic),
        ("API key", API_KEY),
    ] {
        canaries.add(name, value);
    }
    browser.send(App::callback("acme", &query)).await;
    browser.send(Ask::form("/.anteroom/sign-out", &[])).await;
    let log = binary.stopped().await;
    assert!(log.contains("\"level\":\"trace\""), "trace lines are there");
    canaries.absent(&log, "the trace log");
    assert!(log.contains("\"target\":\"rustls") && !log.contains("log.file"), "libraries are named, not their sources");
}

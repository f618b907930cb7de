//! Back-channel logout (security cases L01–L09, T65): what a provider's server may end, and what nobody else may.

use std::sync::atomic::{AtomicU32, Ordering};

use anteroom::directory::{Directory, Page, Selector};
use serde_json::{Value, json};

use crate::support::{
    Answer, App, Ask, Browser, Connection, Faults, Setup, SigningKey, sign_jwt, spoilable, until, until_async,
};

const PATH: &str = "/.anteroom/backchannel-logout/acme";
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// A logout token before it is signed.
struct Token {
    header: Value,
    claims: Value,
    key: &'static SigningKey,
}

impl Token {
    /// An honest one of `acme` that names the provider's session.
    fn of_session(app: &App, sid: &str) -> Self {
        Self::naming(app, &json!({ "sid": sid }))
    }

    /// An honest one of `acme` that names the person.
    fn of_person(app: &App, sub: &str) -> Self {
        Self::naming(app, &json!({ "sub": sub }))
    }

    fn naming(app: &App, who: &Value) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let now = app.clock.now().secs();
        let mut claims = json!({
            "iss": app.acme.script().issuer, "aud": "client", "iat": now, "exp": now + 120,
            "jti": format!("canary-jti-{}", NEXT.fetch_add(1, Ordering::Relaxed)), "events": { EVENT: {} },
        });
        for (name, value) in who.as_object().unwrap() {
            claims[name] = value.clone();
        }
        Self { header: json!({ "alg": "RS256", "kid": "k0", "typ": "logout+jwt" }), claims, key: SigningKey::number(0) }
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.claims[name] = value;
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.claims.as_object_mut().unwrap().remove(name);
        self
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.header[name] = json!(value);
        self
    }

    fn signed(&self) -> String {
        sign_jwt(self.key, &self.header, &self.claims)
    }
}

/// What a provider's server sends.
fn post(token: &str) -> Ask {
    let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("logout_token", token).finish();
    Ask::get(PATH).method("POST").with("Content-Type", "application/x-www-form-urlencoded").body(form)
}

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.visit("/").await.status == 200
}

/// Alice, whose provider calls her session `sid`.
async fn alice(app: &App, sid: &str) -> Browser {
    // Look-ups from one source are limited; time heals that.
    app.advance(std::time::Duration::from_secs(1));
    app.acme.script().claims["sid"] = json!(sid);
    app.signed_in().await
}

/// 200 without a word (section 2.8).
#[track_caller]
fn accepted(row: &str, answer: &Answer) {
    assert_eq!((answer.status, answer.reason()), (200, "back_channel_logout"), "{row}: {answer:?}");
    assert_eq!((answer.text().as_str(), answer.header("content-length")), ("", Some("0")), "{row}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{row}");
    assert_eq!(answer.header("set-cookie"), None, "{row}");
}

/// Tokens that differ from an honest one in one thing: each is refused and ends nothing, and its twin ends the session.
/// What is refused: its name, the reason, and what spoils the token.
type Row = (&'static str, &'static str, fn(Token) -> Token);

async fn refused(rows: Vec<Row>) {
    let app = App::start().await;
    for (row, reason, spoil) in rows {
        let mut browser = alice(&app, "sid-of-alice").await;
        let token = || Token::naming(&app, &json!({ "sub": "pairwise-alice", "sid": "sid-of-alice" }));
        let before = app.before();
        let signed = spoil(token()).signed();
        let answer = app.send(&post(&signed)).await;
        if row.contains("[asks for keys]") {
            // A key that is not known may be new: that is worth one question.
            app.log.taken();
        } else {
            app.refused(&before, &answer, 400, reason, "logout.rejected", &["canary", &signed]);
        }
        assert_eq!((answer.status, answer.reason()), (400, reason), "{row}: {answer:?}");
        assert_eq!(answer.json()["error"], "invalid_request", "{row}");
        assert!(is_signed_in(&mut browser).await, "{row}");
        accepted(row, &app.send(&post(&token().signed())).await);
        assert!(!is_signed_in(&mut browser).await, "{row}: the honest twin");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_provider_did_not_sign_ends_nothing_l01() {
    refused(vec![
        ("no algorithm", "alg_not_allowed", |token| token.header("alg", "none")),
        ("a symmetric algorithm", "alg_not_allowed", |token| token.header("alg", "HS256")),
        ("another key under the same name", "sig_invalid", |token| Token { key: SigningKey::number(1), ..token }),
        ("an unknown key [asks for keys]", "key_unknown", |token| {
            Token { key: SigningKey::number(1), ..token }.header("kid", "nobody's")
        }),
    ])
    .await;
    let app = App::start().await;
    let mut browser = alice(&app, "s").await;
    let signed = Token::of_session(&app, "s").signed();
    let (head, signature) = signed.rsplit_once('.').unwrap();
    let (first, rest) = signature.split_at(1);
    let broken = format!("{head}.{}{rest}", if first == "A" { "B" } else { "A" });
    for (row, reason, token) in [
        ("a broken signature", "sig_invalid", broken.as_str()),
        ("no signature", "malformed", head),
        ("an empty signature", "alg_not_allowed", &format!("{head}.")),
        ("no token at all", "logout_token_missing", ""),
    ] {
        let before = app.before();
        let answer = app.send(&post(token)).await;
        assert_eq!(answer.reason(), reason, "{row}");
        app.refused(&before, &answer, 400, reason, "logout.rejected", &["canary"]);
        assert!(is_signed_in(&mut browser).await, "{row}");
    }
    accepted("", &app.send(&post(&signed)).await);
    assert!(!is_signed_in(&mut browser).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_issuer_or_for_another_client_ends_nothing_l02() {
    refused(vec![
        ("another issuer", "iss_mismatch", |token| token.with("iss", json!("https://evil.example"))),
        ("no issuer", "claim_missing", |token| token.without("iss")),
        ("another client", "aud_mismatch", |token| token.with("aud", json!("another"))),
        ("clients without us", "aud_mismatch", |token| token.with("aud", json!(["another", "third"]))),
        ("nobody", "claim_missing", |token| token.without("aud")),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_the_event_of_a_logout_ends_nothing_l03() {
    refused(vec![
        ("no events", "logout_token_events", |token| token.without("events")),
        ("another event", "logout_token_events", |token| token.with("events", json!({ "https://evil.example": {} }))),
        ("the event is a text", "logout_token_events", |token| token.with("events", json!({ EVENT: "" }))),
        ("the event is a list", "logout_token_events", |token| token.with("events", json!([EVENT]))),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_kind_ends_nothing_l04() {
    refused(vec![
        ("a nonce", "logout_token_nonce", |token| token.with("nonce", json!("n"))),
        ("the type of an access token", "wrong_token_type", |token| token.header("typ", "at+jwt")),
        ("the type of an event token", "wrong_token_type", |token| token.header("typ", "secevent+jwt")),
    ])
    .await;
    // The very ID token that signed her in.
    let app = App::start().await;
    let mut browser = alice(&app, "s").await;
    let id_token = app.acme.script().last_id_token.clone().unwrap();
    let before = app.before();
    let answer = app.send(&post(&id_token)).await;
    // An ID token has neither `jti` nor `events`; which is missed first does not matter.
    app.refused(&before, &answer, 400, "claim_missing", "logout.rejected", &[&id_token]);
    assert!(is_signed_in(&mut browser).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_names_nobody_or_no_time_ends_nothing_l05() {
    refused(vec![
        ("neither sub nor sid", "logout_token_subject", |token| token.without("sub").without("sid")),
        ("no iat", "claim_missing", |token| token.without("iat")),
        ("no jti", "claim_missing", |token| token.without("jti")),
        ("an empty jti", "logout_token_jti", |token| token.with("jti", json!(""))),
        ("expired", "expired", |token| {
            let iat = token.claims["iat"].as_i64().unwrap();
            token.with("exp", json!(iat - 61))
        }),
        ("issued six minutes ago", "stale", |token| {
            let iat = token.claims["iat"].as_i64().unwrap();
            token.with("iat", json!(iat - 361))
        }),
        ("issued in the future", "not_yet_valid", |token| {
            let iat = token.claims["iat"].as_i64().unwrap();
            token.with("iat", json!(iat + 61))
        }),
        ("the sub of somebody else", "logout_token_sub_mismatch", |token| token.with("sub", json!("pairwise-eve"))),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_works_once_in_all_processes_l06() {
    let app = App::start_with(Setup::new().directory(Directory::in_memory())).await;
    let another = app.another().await;
    // It knows the provider's keys by now.
    accepted("", &another.send(&post(&Token::of_person(&app, "nobody").signed())).await);
    for token in [
        Token::of_person(&app, "pairwise-alice"),
        Token::of_session(&app, "one-sid-for-ever"),
        Token::naming(&app, &json!({ "sub": "pairwise-alice", "sid": "one-sid-for-ever" })),
    ] {
        let mut browser = alice(&app, "one-sid-for-ever").await;
        // Time went by since the token was made: it is still young enough.
        let signed = token.signed();
        accepted("", &app.send(&post(&signed)).await);
        assert!(!is_signed_in(&mut browser).await);
        // The person signs in again; the provider's session has the same name.
        let mut browser = alice(&app, "one-sid-for-ever").await;
        for process in [&app, &another] {
            let before = process.before();
            let answer = process.send(&post(&signed)).await;
            process.refused(&before, &answer, 400, "logout_token_replayed", "logout.rejected", &["canary"]);
            assert!(is_signed_in(&mut browser).await, "the new session stays");
        }
    }
    // One connector cannot use up the ids of another: the same `jti`, from another provider.
    let mut bob = app.browser();
    let to_provider = app.start_sign_in(&mut bob, "globex", "/", "bob@globex.com").await;
    let query = app.globex.sign_in(to_provider.location());
    assert_eq!(bob.send(App::callback("globex", &query)).await.status, 303);
    let jti = json!("shared-jti");
    accepted("acme", &app.send(&post(&Token::of_person(&app, "nobody").with("jti", jti.clone()).signed())).await);
    let issuer = json!(app.globex.script().issuer);
    let theirs = Token::of_person(&app, "1234567890").with("jti", jti).with("iss", issuer).signed();
    accepted("globex", &app.send(&post(&theirs).to("/.anteroom/backchannel-logout/globex")).await);
    assert!(!is_signed_in(&mut bob).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_posted_many_times_at_once_counts_once_l06() {
    let app = App::start().await;
    let mut browser = alice(&app, "s").await;
    let ask = post(&Token::of_session(&app, "s").signed());
    let answers = futures_util::future::join_all((0..8).map(|_| app.send(&ask))).await;
    let count = |reason| answers.iter().filter(|answer| answer.reason() == reason).count();
    assert_eq!((count("back_channel_logout"), count("logout_token_replayed")), (1, 7));
    assert!(!is_signed_in(&mut browser).await);
}

/// By `sub` alone everything of one person at one provider ends, in every process; and nobody else's.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_signed_out_everywhere_and_nobody_else_is_l07() {
    let app = App::start_with(Setup::new().directory(Directory::in_memory())).await;
    let another = app.another().await;
    // Another provider calls somebody by the same name.
    app.globex.always(|script| script.claims["sub"] = json!("pairwise-alice"));
    let mut bob = app.browser();
    let to_provider = app.start_sign_in(&mut bob, "globex", "/", "bob@globex.com").await;
    let query = app.globex.sign_in(to_provider.location());
    assert_eq!(bob.send(App::callback("globex", &query)).await.status, 303);
    // And a colleague at the same one.
    let mut alices = vec![alice(&app, "a").await, alice(&another, "b").await, alice(&another, "c").await];
    app.acme.script().claims["sub"] = json!("pairwise-carol");
    let mut carol = alice(&app, "d").await;
    for browser in alices.iter_mut().chain([&mut bob, &mut carol]) {
        assert!(is_signed_in(browser).await);
        assert!(is_signed_in(&mut browser.at(another.address)).await, "in the other process too");
    }
    app.log.taken();
    accepted("", &app.send(&post(&Token::of_person(&app, "pairwise-alice").signed())).await);
    let events = app.events();
    assert_eq!(events.len(), 3, "{events:?}");
    for event in &events {
        assert_eq!((&event["event"], &event["reason"]), (&json!("session.ended"), &json!("back_channel_logout")));
    }
    for browser in &mut alices {
        for process in [&app, &another] {
            let copy = browser.at(process.address);
            until_async("the other process knows", || async { !is_signed_in(&mut copy.clone()).await }).await;
        }
    }
    for browser in [&mut bob, &mut carol] {
        assert!(is_signed_in(browser).await);
        assert!(is_signed_in(&mut browser.at(another.address)).await);
    }
}

/// By `sid` that session alone ends, also where the token names the person too.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_the_provider_ends_alone() {
    let app = App::start().await;
    for who in [json!({ "sid": "here" }), json!({ "sid": "here", "sub": "pairwise-alice" })] {
        let (mut here, mut there) = (alice(&app, "here").await, alice(&app, "there").await);
        accepted("", &app.send(&post(&Token::naming(&app, &who).signed())).await);
        assert!(!is_signed_in(&mut here).await);
        assert!(is_signed_in(&mut there).await);
    }
    // Another provider's session of that name is another session.
    let mut here = alice(&app, "here").await;
    let issuer = json!(app.globex.script().issuer);
    let theirs = Token::of_session(&app, "here").with("iss", issuer).signed();
    accepted("globex", &app.send(&post(&theirs).to("/.anteroom/backchannel-logout/globex")).await);
    assert!(is_signed_in(&mut here).await);
    // Nobody is signed in by that name: that is what was wanted.
    accepted("", &app.send(&post(&Token::of_session(&app, "long gone").signed())).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_small_form_is_read_l08() {
    let app = App::start().await;
    let mut browser = alice(&app, "s").await;
    let token = Token::of_session(&app, "s").signed();
    let form = format!("logout_token={token}");
    for (row, status, reason, ask) in [
        ("GET", 405, "method_not_allowed", Ask::get(&format!("{PATH}?{form}"))),
        ("HEAD", 405, "method_not_allowed", Ask::get(PATH).method("HEAD")),
        ("PUT", 405, "method_not_allowed", post(&token).method("PUT")),
        (
            "JSON",
            415,
            "form_expected",
            post(&token)
                .without("Content-Type")
                .with("Content-Type", "application/json")
                .body(json!({ "logout_token": token }).to_string()),
        ),
        ("no type", 415, "form_expected", post(&token).without("Content-Type")),
        ("compressed", 415, "form_expected", post(&token).with("Content-Encoding", "gzip")),
        ("twice", 400, "duplicate_parameter", post(&token).body(format!("{form}&{form}"))),
        ("in the query alone", 400, "logout_token_missing", post("").to(&format!("{PATH}?{form}")).body("")),
        ("a megabyte", 413, "form_too_large", post(&token).body(format!("{form}&x={}", "a".repeat(1 << 20)))),
        ("nobody's connector", 404, "own_path_unknown", post(&token).to("/.anteroom/backchannel-logout/nobody")),
        ("a path below", 404, "own_path_unknown", post(&token).to(&format!("{PATH}/x"))),
    ] {
        let before = app.before();
        let answer = app.send(&ask).await;
        let event = if status == 404 { "path.denied" } else { "logout.rejected" };
        app.refused(&before, &answer, status, reason, event, &["canary", &token]);
        if status == 405 {
            assert_eq!(answer.header("allow"), Some("POST"), "{row}");
        }
        assert!(is_signed_in(&mut browser).await, "{row}");
    }
    // No cookie, no origin and no page of ours counts: the provider's server has none of them.
    let foreign = post(&token).with("Origin", "https://evil.example").with("Sec-Fetch-Site", "cross-site");
    accepted("", &app.send(&foreign).await);
    assert!(!is_signed_in(&mut browser).await);
}

/// Never 200 while it is not done: the provider may send the token again. And what was asked is done without that, as
/// soon as the directory is back.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_directory_the_provider_is_told_to_try_again_l09() {
    for (row, who, again) in [
        ("a session, and the provider tries again", json!({ "sid": "s" }), true),
        ("a session, and it does not", json!({ "sid": "s", "sub": "pairwise-alice" }), false),
        ("a person, and the provider tries again", json!({ "sub": "pairwise-alice" }), true),
        ("a person, and it does not", json!({ "sub": "pairwise-alice" }), false),
    ] {
        let (directory, away) = spoilable();
        let app = App::start_with(Setup::new().directory(directory)).await;
        let mut browser = alice(&app, "s").await;
        let token = Token::naming(&app, &who).signed();
        app.log.taken();
        away.all(true);
        let answer = app.send(&post(&token)).await;
        assert_eq!((answer.status, answer.reason()), (503, "directory_unavailable"), "{row}: {answer:?}");
        assert_eq!((answer.header("retry-after"), answer.header("cache-control")), (Some("5"), Some("no-store")));
        let events = app.events();
        assert_eq!(events.len(), 1, "{row}: {events:?}");
        assert_eq!(
            (&events[0]["event"], &events[0]["outcome"]),
            (&json!("logout.rejected"), &json!("AuthError")),
            "{row}"
        );
        if who.get("sid").is_none() {
            assert!(!is_signed_in(&mut browser).await, "{row}: what memory knows of has ended at once");
        }
        away.all(false);
        if again {
            accepted(row, &app.send(&post(&token)).await);
        }
        let copy = browser.clone();
        until_async(row, || async { !is_signed_in(&mut copy.clone()).await }).await;
    }
}

/// Without the provider's keys nobody knows whether the token is good.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_providers_keys_it_is_told_to_try_again_l09() {
    let app = App::start().await;
    let token = Token::of_person(&app, "pairwise-alice").signed();
    app.acme.script().down = true;
    let answer = app.send(&post(&token)).await;
    assert_eq!((answer.status, answer.reason()), (503, "provider_unavailable"), "{answer:?}");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    app.acme.script().down = false;
    // A provider that failed is left alone for a while.
    app.advance(std::time::Duration::from_secs(60));
    accepted("", &app.send(&post(&token)).await);
}

/// Between the provider's answer and the session a page may ask whether the address is right: who was signed out
/// meanwhile does not get in by its button.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_waits_for_its_person_ends_with_the_providers_session() {
    let app = App::start_with(Setup::new().directory(Directory::in_memory())).await;
    for (row, who, stays) in [
        ("nobody", json!({ "sid": "somebody else's" }), true),
        ("the session", json!({ "sid": "waiting" }), false),
        ("the person", json!({ "sub": "pairwise-alice" }), false),
        ("both", json!({ "sub": "pairwise-alice", "sid": "waiting" }), false),
    ] {
        app.advance(std::time::Duration::from_secs(10));
        app.acme.script().claims["sid"] = json!("waiting");
        let mut browser = app.browser();
        let to_provider = app.start_sign_in(&mut browser, "acme", "/", "other@acme.com").await;
        let query = app.acme.sign_in(to_provider.location());
        let page = browser.send(App::callback("acme", &query)).await;
        assert_eq!(page.reason(), "address_mismatch", "{row}");
        app.advance(std::time::Duration::from_secs(2));
        accepted(row, &app.send(&post(&Token::naming(&app, &who).signed())).await);
        app.advance(std::time::Duration::from_secs(2));
        let form = Ask::form("/.anteroom/sign-in/continue", &[("attempt", &page.field("attempt").unwrap())]);
        let before = app.before();
        let answer = browser.send(form).await;
        if stays {
            assert_eq!((answer.status, answer.reason()), (303, "signed_in"), "{row}");
            assert!(is_signed_in(&mut browser).await, "{row}");
        } else {
            app.refused(&before, &answer, 400, "provider_session_ended", "login.rejected", &[]);
            assert!(browser.session().is_none(), "{row}");
        }
        // A sign-in that begins afterwards is a new one, whatever the provider calls its session.
        let mut browser = alice(&app, "waiting").await;
        assert!(is_signed_in(&mut browser).await, "{row}");
        let everybody = Selector::Email("alice@acme.com".to_owned());
        let ended = app.shared_directory().sessions.list(&everybody, &Page { limit: 100 }).await.unwrap();
        assert_eq!(ended.len(), if stays { 2 } else { 1 }, "{row}: nothing is left of the refused one");
        app.send(&post(&Token::of_person(&app, "pairwise-alice").signed())).await;
    }
}

/// A browser whose person is asked about the address; the provider calls the session `sid`. And the answer that goes on.
async fn waiting(app: &App, sid: &str) -> (Browser, Ask) {
    app.acme.script().claims["sid"] = json!(sid);
    let mut browser = app.browser();
    let to_provider = app.start_sign_in(&mut browser, "acme", "/", "other@acme.com").await;
    let query = app.acme.sign_in(to_provider.location());
    let page = browser.send(App::callback("acme", &query)).await;
    assert_eq!(page.reason(), "address_mismatch");
    (browser, Ask::form("/.anteroom/sign-in/continue", &[("attempt", &page.field("attempt").unwrap())]))
}

/// Tokens come late, twice or in the second of the sign-in: what the newest of them ended stays ended.
#[tokio::test(flavor = "multi_thread")]
async fn no_older_token_takes_back_what_a_newer_one_ended() {
    let second = std::time::Duration::from_secs(1);
    let app = App::start().await;
    app.advance(second / 2);
    let older = Token::of_session(&app, "waiting");
    let (mut browser, go_on) = waiting(&app, "waiting").await;
    app.advance(second * 2);
    accepted("the newer", &app.send(&post(&Token::of_session(&app, "waiting").signed())).await);
    let signed = older.with("iat", json!(app.clock.now().secs() - 30)).signed();
    accepted("the older", &app.send(&post(&signed)).await);
    let answer = app.send(&post(&signed)).await;
    assert_eq!(answer.reason(), "logout_token_replayed");
    let before = app.before();
    app.refused(&before, &browser.send(go_on).await, 400, "provider_session_ended", "login.rejected", &[]);

    app.advance(second * 10);
    let (mut browser, go_on) = waiting(&app, "of this second").await;
    accepted("of this second", &app.send(&post(&Token::of_session(&app, "of this second").signed())).await);
    let before = app.before();
    app.refused(&before, &browser.send(go_on).await, 400, "provider_session_ended", "login.rejected", &[]);

    app.advance(second * 10);
    let (mut browser, go_on) = waiting(&app, "later").await;
    let earlier = Token::of_session(&app, "later").with("iat", json!(app.clock.now().secs() - 1));
    accepted("before the sign-in", &app.send(&post(&earlier.signed())).await);
    assert_eq!(browser.send(go_on).await.reason(), "signed_in", "the honest twin");
}

/// A provider may name its session in a logout token and not in the ID token: the person is known all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_a_sid_ends_with_its_person_if_nobody_has_the_tokens_sid() {
    let app = App::start().await;
    let both = |sid: &str| Token::naming(&app, &json!({ "sub": "pairwise-alice", "sid": sid })).signed();
    let mut named = alice(&app, "named").await;
    app.acme.script().claims["sub"] = json!("pairwise-carol");
    app.acme.script().claims.as_object_mut().unwrap().remove("sid");
    app.advance(std::time::Duration::from_secs(1));
    let mut carol = app.signed_in().await;
    app.acme.script().claims["sub"] = json!("pairwise-alice");
    app.acme.script().claims.as_object_mut().unwrap().remove("sid");
    app.advance(std::time::Duration::from_secs(1));
    let mut nameless = app.signed_in().await;

    accepted("a sid alone", &app.send(&post(&Token::of_session(&app, "unknown").signed())).await);
    assert!(is_signed_in(&mut nameless).await);
    app.log.taken();
    let token = both("unknown");
    accepted("both", &app.send(&post(&token)).await);
    assert!(!is_signed_in(&mut nameless).await);
    assert!(is_signed_in(&mut named).await, "a session of another name");
    assert!(is_signed_in(&mut carol).await, "somebody else's");
    let ended = app.events().into_iter().filter(|event| event["event"] == "session.ended").count();
    assert_eq!(ended, 1);

    app.acme.script().claims.as_object_mut().unwrap().remove("sid");
    app.advance(std::time::Duration::from_secs(1));
    let mut nameless = app.signed_in().await;
    assert_eq!(app.send(&post(&token)).await.reason(), "logout_token_replayed");
    assert!(is_signed_in(&mut nameless).await, "the token works once");
    accepted("a known sid", &app.send(&post(&both("named"))).await);
    assert!(!is_signed_in(&mut named).await);
    assert!(is_signed_in(&mut nameless).await, "the token meant another session");
}

/// Whoever hangs up in the middle cannot keep the ending from being carried out, nor from the log.
#[tokio::test(flavor = "multi_thread")]
async fn an_ending_is_finished_and_noted_although_its_client_is_gone() {
    let (directory, faults) = Faults::over(&Directory::in_memory());
    let app = App::start_with(Setup::new().directory(directory)).await;
    for reason in ["signed_out", "back_channel_logout", "front_channel_logout"] {
        let mut browser = alice(&app, "s").await;
        let cookie = format!("__Host-anteroom={}", browser.session().unwrap());
        let issuer = app.acme.script().issuer.clone();
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("iss", &issuer).finish();
        let ask = match reason {
            "signed_out" => Ask::page("/.anteroom/sign-out").with("Cookie", &cookie),
            "back_channel_logout" => post(&Token::of_session(&app, "s").signed()),
            _ => Ask::get(&format!("/.anteroom/frontchannel-logout/acme?sid=s&{query}")),
        };
        app.log.taken();
        faults.ending.store(0, Ordering::SeqCst);
        faults.hold_end.store(1, Ordering::SeqCst);
        let mut connection = app.connect().await;
        connection.write(&ask.bytes()).await;
        until("the ending", || faults.ending.load(Ordering::SeqCst) == 1).await;
        drop(connection);
        until_async("nobody waits for an answer", || async {
            let metrics = Connection::open(app.ops).await.send(&Ask::get("/metrics")).await;
            metrics.text().contains("anteroom_requests_in_flight 0")
        })
        .await;
        faults.go_on.add_permits(1);
        until(reason, || app.events().iter().any(|event| event["reason"] == reason)).await;
        assert!(!is_signed_in(&mut browser).await, "{reason}");
    }
}

/// T65: a flood of tokens that anybody can make ends nothing and fills no log.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_bad_tokens_is_counted_and_ends_nothing_t65() {
    let app = App::start().await;
    let mut browser = alice(&app, "s").await;
    let bad = post(&Token { key: SigningKey::number(1), ..Token::of_session(&app, "s") }.signed());
    let asked = app.acme.count("");
    app.log.taken();
    let mut connection = app.connect().await;
    for _ in 0..200 {
        assert_eq!(connection.send(&bad).await.reason(), "sig_invalid");
    }
    assert_eq!(app.events().len(), 50);
    assert_eq!(app.acme.count(""), asked, "a wrong signature is no reason to fetch keys");
    app.advance(std::time::Duration::from_secs(1));
    connection.send(&bad).await;
    assert_eq!(app.events()[0]["more_not_written"], json!(150));
    assert!(is_signed_in(&mut browser).await);
    accepted("", &app.send(&post(&Token::of_session(&app, "s").signed())).await);
    assert!(!is_signed_in(&mut browser).await);
}

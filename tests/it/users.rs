//! Users in the directory: who is linked to whom, who is deactivated, and whose an address is (A01, A14, D01, I05–I07).

use std::time::Duration;

use anteroom::base::id::Id;
use anteroom::directory::{Directory, Linking, SessionRow};
use anteroom::identity::Identity;
use anteroom::identity::headers::AuthMethod;
use anteroom::session::{NewSession, ProviderTokens, SessionId};
use serde_json::{Value, json};

use crate::command_line::{anteroom, run};
use crate::support::{
    Answer, App, Ask, Browser, PORTAL, SUITE, SamlProvider, SamlTrial, Script, Setup, Trial, Watch, until_async,
};

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.visit("/").await.status == 200
}

/// Runs a command against the product: exit code, output and error output together.
async fn command(app: &App, arguments: &[&str]) -> (i32, String) {
    let (code, out, err) = run(anteroom(&[&["user"], arguments].concat()).arg("--socket").arg(&app.admin_socket)).await;
    (code, out + &err)
}

/// A command that succeeds; what it says.
async fn says(app: &App, arguments: &[&str]) -> String {
    let (code, text) = command(app, arguments).await;
    assert_eq!(code, 0, "{arguments:?}: {text}");
    text
}

async fn users(app: &App, more: &[&str]) -> Vec<Value> {
    let list = says(app, &[&["list", "--json"], more].concat()).await;
    serde_json::from_str::<Value>(&list).unwrap()["users"].as_array().unwrap().clone()
}

/// Alice as she was hired again: the same address, another object.
fn hired_again(script: &mut Script) {
    script.claims["oid"] = json!("aaaaaaaa-0000-0000-0000-000000000009");
    script.claims["sub"] = json!("pairwise-alice-again");
}

/// The page says why, in words.
#[track_caller]
fn is_told(answer: &Answer, reason: &str, words: &str) {
    assert_eq!((answer.status, answer.reason()), (403, reason), "{answer:?}");
    assert!(answer.text().contains(words), "{}", answer.text());
}

/// The claims of the assertion that the application got last.
fn told(app: &App) -> Value {
    let assertion = app.upstream.last().header("x-anteroom-assertion").unwrap().to_owned();
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let claims = base64::Engine::decode(&engine, assertion.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deactivated_user_is_out_in_every_process_and_comes_in_by_no_other_name_i06() {
    let app = App::start_with(Setup::new().directory(Directory::in_memory())).await;
    let another = app.another().await;
    let acme = Trial::acme(&app);
    let mut alice = app.signed_in().await;
    let mut there = alice.at(another.address);
    assert!(is_signed_in(&mut there).await);
    app.log.taken();

    let done = says(&app, &["deactivate", "Alice@Acme.com"]).await;
    assert!(done.starts_with("alice@acme.com (") && done.ends_with(") is deactivated; 1 session ended\n"), "{done}");
    let events = app.events();
    let reasons: Vec<_> = events.iter().map(|event| (event["event"].as_str(), event["reason"].as_str())).collect();
    assert_eq!(
        reasons,
        [(Some("session.ended"), Some("user_deactivated")), (Some("admin.changed"), Some("user_deactivated"))]
    );
    assert!(!is_signed_in(&mut alice).await);
    until_async("the other process knows", || async { !is_signed_in(&mut there.clone()).await }).await;

    // Neither as they were, nor under another subject; each refused as the rules say.
    for spoil in [(|_| {}) as fn(&mut Script), hired_again] {
        app.acme.honest();
        let mut browser = app.browser();
        let query = acme.begin(&mut browser).await;
        spoil(&mut app.acme.script());
        let watch = Watch::begin(&app, &browser, &query);
        let answer = browser.send(App::callback("acme", &query)).await;
        is_told(&answer, "user_deactivated", "switched off");
        let event = watch.refused("deactivated", &browser, &answer, 403, "user_deactivated");
        assert_eq!(event["user"], "alice@acme.com");
        let (story, _) = app.story(answer.header("x-request-id").unwrap()).await;
        assert!(story.contains("anteroom user activate"), "{story}");
    }
    app.acme.honest();
    // The honest twin.
    let done = says(&app, &["activate", "alice@acme.com"]).await;
    assert!(done.ends_with("may sign in again\n"), "{done}");
    acme.honest("active again", &mut app.browser()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_saml_a_deactivated_user_is_refused_and_an_active_one_is_not_i06() {
    let idp = SamlProvider::new("initech", "carol");
    let app = App::start_with(Setup::new().with(&idp.connector(""))).await;
    let trial = SamlTrial::new(&app, &idp);
    let mut carol = trial.signed_in().await;
    says(&app, &["deactivate", "carol@initech.com"]).await;
    assert!(!is_signed_in(&mut carol).await);
    let mut browser = app.browser();
    for name in ["persistent-carol", "persistent-carol-2"] {
        let answer = trial.sign_in(&mut browser, |words| words.name_id.1 = name.to_owned()).await;
        is_told(&answer, "user_deactivated", "switched off");
        assert!(browser.session().is_none() && browser.attempts().is_empty());
    }
    says(&app, &["activate", "carol@initech.com"]).await;
    let answer = trial.sign_in(&mut browser, |words| words.name_id.1 = "persistent-carol-2".to_owned()).await;
    is_told(&answer, "account_conflict", "another account");
    trial.accepts("active again", |_| {}).await;
}

/// At the callback, on the page that asks, on the way to another host, on the way of a silent renewal.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_under_way_ends_with_the_deactivation() {
    let silent = ("[connectors.globex]", "renewal = \"prompt-none\"\n\n[connectors.globex]");
    let app = App::start_with(Setup::suite().replacing(silent.0, silent.1)).await;
    let mut alice = app.signed_in().await;

    app.advance(Duration::from_secs(15 * 60 * 11 / 10 + 1));
    let due = alice.open(&format!("{PORTAL}/report")).await;
    assert_eq!(due.reason(), "renewal_due");
    let renewing = alice.open(due.location()).await;
    assert_eq!(renewing.reason(), "renewal_started");
    let renewed = App::callback("acme", &app.acme.sign_in(renewing.location()));
    let mut at_provider = app.browser();
    let to_provider = app.start_sign_in(&mut at_provider, "acme", "/", "alice@acme.com").await;
    let callback = App::callback("acme", &app.acme.sign_in(to_provider.location()));
    let mut asked = app.browser();
    let to_provider = app.start_sign_in(&mut asked, "acme", "/", "other@acme.com").await;
    let page = asked.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
    assert_eq!(page.reason(), "address_mismatch");
    let mut handed = app.signed_in().await;
    let code = app.code_for(&mut handed, &format!("{SUITE}/page")).await;

    says(&app, &["deactivate", "alice@acme.com"]).await;
    is_told(&at_provider.send(callback).await, "user_deactivated", "switched off");
    let form = Ask::form("/.anteroom/sign-in/continue", &[("attempt", &page.field("attempt").unwrap())]);
    assert_ne!(asked.send(form).await.reason(), "signed_in");
    handed.open(&code).await;
    assert_eq!(handed.session_at("suite.example.org"), None);
    assert_ne!(alice.send(renewed).await.reason(), "session_renewed");
    for browser in [&mut at_provider, &mut asked, &mut handed, &mut alice] {
        assert!(!is_signed_in(browser).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_address_under_a_new_subject_is_an_administrators_to_decide_i05() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    let mut alice = app.signed_in().await;
    assert!(is_signed_in(&mut alice).await);
    let before = told(&app)["sub"].clone();
    // The same person: their account, under the new name alone.
    acme.refuses("hired again", 403, "account_conflict", hired_again).await;
    let (code, text) = command(&app, &["unlink", "alice@acme.com", "--connector", "globex"]).await;
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("does not vouch for"), "{text}");
    let done = says(&app, &["unlink", "alice@acme.com", "--connector", "acme"]).await;
    assert!(done.contains("is linked again at the next sign-in; 2 sessions ended"), "{done}");
    assert!(!is_signed_in(&mut alice).await);
    let signed_in = async || {
        let mut browser = app.browser();
        let answer = acme.sign_in(&mut browser).await;
        assert_eq!(answer.reason(), "signed_in", "{answer:?}");
        assert!(is_signed_in(&mut browser).await);
        told(&app)["sub"].clone()
    };
    hired_again(&mut app.acme.script());
    assert_eq!(signed_in().await, before);
    app.acme.honest();
    let mut old = app.browser();
    let refused = acme.sign_in(&mut old).await;
    is_told(&refused, "account_conflict", "another account");

    // Another person: a new account, and the old one is out.
    says(&app, &["deactivate", "alice@acme.com", "--release-address"]).await;
    let next = signed_in().await;
    assert_ne!(next, before);
    hired_again(&mut app.acme.script());
    is_told(&acme.sign_in(&mut app.browser()).await, "user_deactivated", "switched off");
}

/// D01: before anybody proved who they are, nothing tells the known from the unknown and the deactivated.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_learn_nothing_of_who_is_known_d01() {
    let app = App::start().await;
    app.signed_in().await;
    app.acme.script().claims["upn"] = json!("dora@acme.com");
    hired_again(&mut app.acme.script());
    let dora = Trial { hint: "dora@acme.com", ..Trial::acme(&app) };
    assert_eq!(dora.sign_in(&mut app.browser()).await.reason(), "signed_in");
    says(&app, &["deactivate", "dora@acme.com"]).await;
    let mut seen = Vec::new();
    for address in ["alice@acme.com", "dora1@acme.com", "dora2@acme.com", "dora@acme.com"] {
        app.advance(Duration::from_secs(1));
        let answer = app.send(&Ask::form("/.anteroom/sign-in/start", &[("email", address)])).await;
        let unlike = ["x-request-id", "content-security-policy", "content-length", "date"];
        let headers = answer.headers.iter().filter(|(name, _)| !unlike.contains(&name.to_lowercase().as_str()));
        let headers: Vec<_> = headers.cloned().collect();
        let reference = answer.header("x-request-id").unwrap().to_owned();
        let encoded = address.replace('@', "%40");
        let text = answer.text().replace(address, "").replace(&encoded, "").replace(&reference, "");
        seen.push((answer.status, answer.reason().to_owned(), headers, text.len()));
    }
    assert!(seen.iter().all(|answer| *answer == seen[0]), "{seen:#?}");
    assert_eq!(seen[0].1, "connector_choice");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_listed_named_and_still_there_after_a_restart() {
    let app = App::start().await;
    app.signed_in().await;
    let [user] = &users(&app, &["--address", "ALICE@acme.com"]).await[..] else { panic!("one") };
    assert_eq!(
        (&user["address"], &user["source"], &user["active"]),
        (&json!("alice@acme.com"), &json!("jit"), &json!(true))
    );
    assert_eq!(user["identities"][0]["connector"], "acme");
    let table = says(&app, &["list"]).await;
    assert!(table.starts_with("ID ") && table.contains("alice@acme.com") && table.contains("active"), "{table}");
    let id = user["id"].as_str().unwrap().to_owned();
    says(&app, &["deactivate", &id]).await;

    let app = app.restart().await;
    assert_eq!(users(&app, &[]).await[0]["active"], false);
    is_told(&app.sign_in_with(&mut app.browser(), "/").await, "user_deactivated", "switched off");
    for nobody in ["nobody@acme.com", "00000000-0000-0000-0000-000000000000", "alice"] {
        let (code, text) = command(&app, &["activate", nobody]).await;
        assert_eq!(code, 1, "{nobody:?}: {text}");
        assert!(text.contains("there is no user"), "{nobody:?}: {text}");
    }
    // Of two with one address nobody knows which was meant.
    app.log.taken();
    let carol = legacy(&app, "42", "alice@acme.com").await;
    assert!(carol.is_none(), "A01: nobody is adopted whose address is a deactivated user's");
    says(&app, &["activate", &id]).await;
    legacy(&app, "42", "alice@acme.com").await.unwrap();
    let (code, text) = command(&app, &["deactivate", "alice@acme.com"]).await;
    assert_eq!(code, 1);
    assert!(text.contains("several users") && text.contains(&id), "{text}");
    says(&app, &["deactivate", &id]).await;
}

/// The session of one of the application's own users, as adoption makes it; none: refused.
async fn legacy(app: &App, id: &str, email: &str) -> Option<Browser> {
    let identity = Identity {
        connector: Id::of_app(&"portal".parse().unwrap()),
        subject: id.to_owned(),
        email: email.parse().unwrap(),
        preferred_username: None,
        name: None,
        groups: vec![],
        role: None,
    };
    let row = SessionRow {
        reference: uuid::Uuid::from_bytes(*SessionId::generate().key().bytes().first_chunk().unwrap()),
        user: identity.user_id(),
        native: vec![],
        identity,
        auth: AuthMethod::Adopted,
        provider_sub: id.to_owned(),
        provider_sid: None,
        auth_time: None,
        acr: None,
        amr: vec![],
        created_at: app.clock.now(),
        last_used: app.clock.now(),
        renew_at: None,
        ends_at: None,
        secrets: None,
        version: 0,
        born: i64::MAX,
    };
    let new = NewSession { row, tokens: ProviderTokens::default(), linking: Linking::default() };
    let begun = app.sessions.create(new, app.sessions.scope("app.example.com").unwrap()).await.ok()?;
    let mut browser = app.browser();
    browser.cookies.insert("__Host-anteroom".into(), begun.id.cookie_value());
    Some(browser)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_hears_its_own_user_id_before_and_after_the_first_sign_in_i07() {
    let app = App::suite().await;
    let mut alice = legacy(&app, "42", "Alice@acme.com").await.unwrap();
    let mut elsewhere = legacy(&app, "42", "Alice@acme.com").await.unwrap();
    let mut mallory = legacy(&app, "66", "alice@acme.com").await.unwrap();
    assert!(is_signed_in(&mut alice).await);
    let seen = app.upstream.last();
    assert_eq!(
        (seen.header("x-forwarded-user"), seen.header("x-forwarded-email")),
        (Some("42"), Some("Alice@acme.com"))
    );
    let sub = told(&app)["sub"].clone();
    assert!(is_signed_in(&mut elsewhere).await && is_signed_in(&mut mallory).await);
    assert_ne!(told(&app)["sub"], sub, "A14: the same address, another user");

    // Whoever signs in without the session of the application's user is not merged with anybody.
    let mut fresh = app.signed_in().await;
    assert!(is_signed_in(&mut fresh).await);
    assert_eq!(app.upstream.last().header("x-forwarded-user"), Some("alice@acme.com"));
    assert!(is_signed_in(&mut elsewhere).await);

    // With it, they are one, and the application's old sessions are void.
    assert_eq!(app.sign_in_with(&mut alice, "/").await.reason(), "signed_in");
    assert!(is_signed_in(&mut alice).await);
    assert_eq!(app.upstream.last().header("x-forwarded-user"), Some("42"));
    assert_eq!(told(&app)["email"], "alice@acme.com");
    assert!(!is_signed_in(&mut elsewhere).await, "somebody else may have held it");
    assert!(is_signed_in(&mut mallory).await, "another user of the application");
    // Another application knows no name of its own for them.
    assert_eq!(app.follow(&mut alice, &format!("{SUITE}/page")).await.status, 200);
    assert_eq!(app.upstream.last().header("x-forwarded-user"), Some("alice@acme.com"));
    // And the next time, in whatever browser.
    let mut fresh = app.signed_in().await;
    assert!(is_signed_in(&mut fresh).await);
    assert_eq!(app.upstream.last().header("x-forwarded-user"), Some("42"));
}

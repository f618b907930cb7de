//! Connectors and domains that are switched off: attempts in flight end, and by setting their sessions.

use std::time::Duration;

use anteroom::directory::{Directory, Page, Selector, SwitchKind};
use anteroom::signin::SwitchError;
use serde_json::{Value, json};

use crate::support::{Answer, App, Ask, Browser, Setup, spoilable, until_async};

const CONNECTOR: SwitchKind = SwitchKind::Connector;
const DOMAIN: SwitchKind = SwitchKind::Domain;

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.visit("/").await.status == 200
}

async fn bob(app: &App) -> Browser {
    let mut browser = app.browser();
    let to_provider = app.start_sign_in(&mut browser, "globex", "/", "bob@globex.com").await;
    let query = app.globex.sign_in(to_provider.location());
    assert_eq!(browser.send(App::callback("globex", &query)).await.status, 303);
    browser
}

/// A browser at the provider, and the callback that its answer makes.
async fn under_way(app: &App) -> (Browser, Ask) {
    let mut browser = app.browser();
    let to_provider = app.start_sign_in(&mut browser, "acme", "/report", "alice@acme.com").await;
    let query = app.acme.sign_in(to_provider.location());
    (browser, App::callback("acme", &query))
}

/// The page says why, nothing else happened, and the attempt is over.
#[track_caller]
fn is_refused(app: &App, browser: &Browser, answer: &Answer, reason: &str) {
    assert_eq!((answer.status, answer.reason()), (403, reason), "{answer:?}");
    assert!(answer.text().contains("switched off"), "in words: {}", answer.text());
    assert_eq!((browser.session(), browser.attempts()), (None, vec![]));
    let events: Vec<Value> = app.events().into_iter().filter(|event| event["event"] == "login.rejected").collect();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((&events[0]["reason"], &events[0]["connector"]), (&json!(reason), &json!("acme")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_is_switched_off_signs_nobody_in_until_it_is_on_again() {
    let app = App::start_with(Setup::new().directory(Directory::in_memory())).await;
    let another = app.another().await;
    let mut alice = app.signed_in().await;
    let mut bob = bob(&app).await;
    let (mut waiting, callback) = under_way(&app).await;
    let (mut elsewhere, at_another) = under_way(&another).await;
    app.log.taken();
    let ended = app.site.sign_in().disable(CONNECTOR, "acme", None).await.unwrap();
    assert_eq!(ended, Some(1));
    let events = app.events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((&events[0]["event"], &events[0]["reason"]), (&json!("session.ended"), &json!("connector_disabled")));
    // Attempts in flight, here and there; the provider is asked nothing.
    let (upstream, asked) = (app.upstream.count(), app.acme.count(""));
    let answer = waiting.send(callback).await;
    is_refused(&app, &waiting, &answer, "connector_disabled");
    assert_eq!(app.acme.count(""), asked, "the code is not redeemed");
    let answer = elsewhere.send(at_another).await;
    is_refused(&another, &elsewhere, &answer, "connector_disabled");
    assert_eq!(app.upstream.count(), upstream);
    // No new ones: by link a page says so, by address nobody learns that there was a way in.
    let link = app.browser().visit("/.anteroom/sign-in/go?connector=acme").await;
    assert_eq!((link.status, link.reason()), (403, "connector_disabled"));
    assert_eq!(link.all("set-cookie").count(), 0);
    let typed = app.send(&Ask::form("/.anteroom/sign-in/start", &[("email", "alice@acme.com")])).await;
    assert_eq!((typed.status, typed.reason()), (200, "domain_unknown"));
    // Its sessions are over in every process; those of others go on.
    assert!(!is_signed_in(&mut alice).await);
    let copy = alice.at(another.address);
    until_async("the other process knows", || async { !is_signed_in(&mut copy.clone()).await }).await;
    assert!(is_signed_in(&mut bob).await && is_signed_in(&mut bob.at(another.address)).await);
    // The honest twin.
    app.site.sign_in().enable(CONNECTOR, "acme").await.unwrap();
    let mut alice = app.signed_in().await;
    assert!(is_signed_in(&mut alice).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_what_is_switched_off_end_by_setting_or_by_word() {
    let (keep, end) = ("[sessions]\non_disable = \"keep\"", "[sessions]\non_disable = \"end\"");
    for (row, kind, setting, word, ends) in [
        ("the default", CONNECTOR, "", None, true),
        ("the setting", CONNECTOR, keep, None, false),
        ("a word over the setting", CONNECTOR, keep, Some(true), true),
        ("a word over the default", CONNECTOR, "", Some(false), false),
        ("the default undoes a cut-over", DOMAIN, "", None, false),
        ("the setting for a domain", DOMAIN, end, None, true),
        ("a word for a domain", DOMAIN, "", Some(true), true),
    ] {
        let name = if kind == CONNECTOR { "acme" } else { "acme.com" };
        let app = App::start_with(Setup::new().with(setting)).await;
        let mut alice = app.signed_in().await;
        let ended = app.site.sign_in().disable(kind, name, word).await.unwrap();
        assert_eq!(ended, ends.then_some(1), "{row}");
        assert_eq!(is_signed_in(&mut alice).await, !ends, "{row}");
        // Later they may end all the same.
        assert_eq!(app.site.sign_in().disable(kind, name, Some(true)).await.unwrap(), Some(u64::from(!ends)));
        assert!(!is_signed_in(&mut alice).await, "{row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_is_switched_off_stops_its_people_and_no_others() {
    let more = "[domains.\"acme.org\"]\nconnector = \"acme\"\nenvironment = \"production\"";
    let app = App::start_with(Setup::new().with(more)).await;
    let mut alice = app.signed_in().await;
    app.acme.script().claims["upn"] = json!("olga@acme.org");
    app.acme.script().claims["oid"] = json!("aaaaaaaa-0000-0000-0000-000000000002");
    app.acme.script().claims["sub"] = json!("pairwise-olga");
    let olga = async || {
        let mut browser = app.browser();
        let to_provider = app.start_sign_in(&mut browser, "acme", "/", "olga@acme.org").await;
        let query = app.acme.sign_in(to_provider.location());
        let answer = browser.send(App::callback("acme", &query)).await;
        (browser, answer)
    };
    let (mut her, _) = olga().await;
    assert!(is_signed_in(&mut her).await);
    assert_eq!(app.site.sign_in().disable(DOMAIN, "ACME.org", Some(true)).await.unwrap(), Some(1));
    assert!(!is_signed_in(&mut her).await);
    assert!(is_signed_in(&mut alice).await);
    app.log.taken();
    let (her, answer) = olga().await;
    is_refused(&app, &her, &answer, "domain_disabled");
    let typed = app.send(&Ask::form("/.anteroom/sign-in/start", &[("email", "olga@acme.org")])).await;
    assert_eq!(typed.reason(), "domain_unknown");
    let typed = app.send(&Ask::form("/.anteroom/sign-in/start", &[("email", "alice@acme.com")])).await;
    assert_eq!(typed.reason(), "connector_choice");
    app.site.sign_in().enable(DOMAIN, "acme.org").await.unwrap();
    let (mut her, _) = olga().await;
    assert!(is_signed_in(&mut her).await);
}

/// The page that asks whether the address is right has a button: it is no way in.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_waits_for_its_person_ends_too() {
    let app = App::start().await;
    for (kind, name, reason) in [(CONNECTOR, "acme", "connector_disabled"), (DOMAIN, "acme.com", "domain_disabled")] {
        let mut browser = app.browser();
        let to_provider = app.start_sign_in(&mut browser, "acme", "/", "other@acme.com").await;
        let query = app.acme.sign_in(to_provider.location());
        let page = browser.send(App::callback("acme", &query)).await;
        assert_eq!(page.reason(), "address_mismatch");
        app.site.sign_in().disable(kind, name, None).await.unwrap();
        app.log.taken();
        let form = Ask::form("/.anteroom/sign-in/continue", &[("attempt", &page.field("attempt").unwrap())]);
        let answer = browser.send(form).await;
        is_refused(&app, &browser, &answer, reason);
        app.site.sign_in().enable(kind, name).await.unwrap();
        assert!(is_signed_in(&mut app.signed_in().await).await, "the honest twin");
    }
}

/// A process to which the news has not come yet asks the directory before it gives a session out.
#[tokio::test(flavor = "multi_thread")]
async fn slow_news_let_nobody_in() {
    let (directory, away) = spoilable();
    let app = App::start_with(Setup::new().directory(directory.clone())).await;
    let (mut browser, callback) = under_way(&app).await;
    away.changes(true);
    directory.switches.switch(CONNECTOR, "acme", true, app.clock.now()).await.unwrap();
    app.log.taken();
    let answer = browser.send(callback).await;
    is_refused(&app, &browser, &answer, "connector_disabled");
    let left = directory.sessions.list(&Selector::All, &Page { limit: 10 }).await.unwrap();
    assert_eq!(left, vec![], "the session that was made for a moment is gone");
    // The honest twin: as little news, and nothing to tell.
    directory.switches.switch(CONNECTOR, "acme", false, app.clock.now()).await.unwrap();
    let (mut browser, callback) = under_way(&app).await;
    assert_eq!(browser.send(callback).await.reason(), "signed_in");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_connectors_of_the_configuration_and_domains_can_be_switched_and_a_failure_is_told() {
    let (directory, away) = spoilable();
    let app = App::start_with(Setup::new().directory(directory.clone())).await;
    let mut alice = app.signed_in().await;
    for (kind, name) in [
        (CONNECTOR, "nobody"),
        (CONNECTOR, "ACME"),
        (CONNECTOR, ""),
        (CONNECTOR, "acme.com"),
        (DOMAIN, "acme"),
        (DOMAIN, "alice@acme.com"),
        (DOMAIN, ""),
    ] {
        for off in [true, false] {
            let result = match off {
                true => app.site.sign_in().disable(kind, name, Some(true)).await.map(drop),
                false => app.site.sign_in().enable(kind, name).await,
            };
            let refused = match kind {
                CONNECTOR => matches!(result, Err(SwitchError::UnknownConnector { .. })),
                _ => matches!(result, Err(SwitchError::NoDomain { .. })),
            };
            assert!(refused, "{name:?}: {result:?}");
        }
    }
    assert_eq!(directory.switches.off().await.unwrap(), vec![]);
    away.all(true);
    let result = app.site.sign_in().disable(CONNECTOR, "acme", Some(true)).await;
    assert!(matches!(result, Err(SwitchError::Directory(_))), "{result:?}");
    away.all(false);
    assert!(is_signed_in(&mut alice).await, "nothing happened");
    app.advance(Duration::from_secs(1));
    let (mut browser, callback) = under_way(&app).await;
    assert_eq!(browser.send(callback).await.reason(), "signed_in");
}

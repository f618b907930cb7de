//! A provider that says no, in words (R10; security case O24), and an address that is not the typed one (R3).

use std::time::Duration;

use anteroom::directory::{Page, Selector};
use serde_json::json;

use crate::support::{Answer, App, Ask, Browser, Setup, Trial, Watch, spoilable};

/// The provider answers with an error. Returns the page and the event.
async fn refused_by_provider(app: &App, error: &str, description: &str, status: u16) -> (Answer, serde_json::Value) {
    let trial = Trial::acme(app);
    let mut browser = app.browser();
    let mut query = trial.begin(&mut browser).await;
    let tokens = app.acme.count("/token");
    query.remove("code");
    query.insert("error".into(), error.into());
    query.insert("error_description".into(), description.into());
    query.insert("error_uri".into(), "javascript:alert(1)".into());
    let watch = Watch::begin(app, &browser, &query);
    let answer = browser.send(App::callback("acme", &query)).await;
    let event = watch.refused(error, &browser, &answer, status, "provider_refused");
    assert_eq!(app.acme.count("/token"), tokens);
    assert!(browser.attempts().is_empty(), "{error}: the attempt is over");
    assert!(!answer.text().contains("javascript:") && !answer.text().contains("<script"), "{error}");
    // Used up: the same state does not come again.
    let again = browser.send(App::callback("acme", &query)).await;
    assert_eq!((again.status, again.reason()), (400, "tx_not_bound"));
    trial.honest(error, &mut browser).await;
    (answer, event)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_refuses_becomes_a_page_in_words() {
    let app = App::start().await;
    for (error, description, status, headline, code) in [
        ("access_denied", "the user cancelled", 400, "Microsoft did not let you in", "access_denied"),
        (
            "access_denied",
            "AADSTS50105: Your administrator has configured the application to block users.",
            400,
            "You are not assigned to this application",
            "AADSTS50105",
        ),
        (
            "consent_required",
            "AADSTS65001: The user or administrator has not consented.",
            400,
            "Your company has not approved this application yet",
            "AADSTS65001",
        ),
        ("consent_required", "", 400, "Your company has not approved this application yet", "consent_required"),
        (
            "interaction_required",
            "AADSTS50076: Due to a configuration change you must use multi-factor authentication.",
            400,
            "Microsoft asks for an extra check",
            "AADSTS50076",
        ),
        ("temporarily_unavailable", "", 503, "Microsoft cannot be reached", "temporarily_unavailable"),
    ] {
        let (answer, event) = refused_by_provider(&app, error, description, status).await;
        let text = answer.text();
        assert!(text.contains(headline), "{error} {description}: {text}");
        assert!(text.contains(code), "{error}: {text}");
        assert!(description.is_empty() || !text.contains(description), "the words are ours");
        assert!(event["provider_error"].as_str().unwrap().starts_with(error), "{event}");
        assert_eq!(answer.header("retry-after").is_some(), status == 503);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_error_is_not_repeated_on_the_page_o24() {
    let app = App::start().await;
    let script = "<script>alert(1)</script>";
    let (answer, event) = refused_by_provider(&app, script, &script.repeat(100), 400).await;
    assert!(!answer.text().contains("alert("), "{}", answer.text());
    assert!(event["provider_error"].as_str().unwrap().len() <= 256, "cut in the log");
    let (_, event) = refused_by_provider(&app, "a\r\nb", "line\r\n{\"kind\":\"audit\"}", 400).await;
    assert_eq!(event["provider_error"], "a\r\nb: line\r\n{\"kind\":\"audit\"}");

    // A link that claims an error, with no attempt behind it.
    let browser = app.browser();
    let link = "error=access_denied&error_description=AADSTS50105:+call+0900+123";
    let query = [("error", "access_denied"), ("error_description", "AADSTS50105: call 0900 123")];
    let query = query.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let watch = Watch::begin(&app, &browser, &query);
    let answer = app.send(&App::callback("acme", &query)).await;
    watch.refused(link, &browser, &answer, 400, "state_missing");
    assert!(!answer.text().contains("assigned") && !answer.text().contains("0900"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_token_endpoint_says_whom_to_ask() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    for (error, description, status, reason, words) in [
        ("invalid_client", "AADSTS7000215: Invalid client secret canary", 400, "invalid_client", "client secret"),
        ("invalid_client", "", 400, "invalid_client", "not set up correctly"),
        ("invalid_grant", "AADSTS54005: redeemed", 400, "invalid_grant", "took too long"),
        ("invalid_grant", "", 400, "invalid_grant", "took too long"),
        ("invalid_request", "", 400, "provider_error", "not set up correctly"),
        ("server_error", "", 503, "provider_unavailable", "cannot be reached"),
    ] {
        app.acme.honest();
        let body = json!({ "error": error, "error_description": description }).to_string();
        app.acme.script().token_answer = Some((400, "application/json", body));
        let mut browser = app.browser();
        let query = acme.begin(&mut browser).await;
        let watch = Watch::begin(&app, &browser, &query);
        let answer = browser.send(App::callback("acme", &query)).await;
        watch.refused(error, &browser, &answer, status, reason);
        assert!(answer.text().contains(words), "{error} {description}: {}", answer.text());
        assert!(browser.attempts().is_empty());
        acme.honest(error, &mut browser).await;
    }
}

/// Typed as Carol, and the provider says Alice.
async fn asked(app: &App, browser: &mut Browser) -> Answer {
    let trial = Trial { hint: "carol@acme.com", ..Trial::acme(app) };
    let answer = trial.sign_in(browser).await;
    assert_eq!((answer.status, answer.reason()), (200, "address_mismatch"), "{answer:?}");
    answer
}

fn go_on(page: &Answer) -> Ask {
    Ask::form("/.anteroom/sign-in/continue", &[("attempt", &page.field("attempt").unwrap())])
}

#[tokio::test(flavor = "multi_thread")]
async fn another_address_than_the_typed_one_is_named_and_waits_for_a_word_r3() {
    let app = App::start().await;
    let mut browser = app.browser();
    let page = asked(&app, &mut browser).await;
    assert!(page.text().contains("carol@acme.com") && page.text().contains("alice@acme.com"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(browser.session(), None, "nothing is decided yet");
    assert_eq!(browser.visit("/report").await.status, 302);
    assert_eq!(app.upstream.count(), 0);
    let events = app.events();
    let paused: Vec<_> = events.iter().filter(|event| event["reason"] == "address_mismatch").collect();
    assert_eq!(paused.len(), 1, "{events:?}");
    assert_eq!((&paused[0]["typed"], &paused[0]["user"]), (&json!("carol@acme.com"), &json!("alice@acme.com")));

    let answer = browser.send(go_on(&page)).await;
    assert_eq!((answer.status, answer.location()), (303, "/report"));
    assert!(browser.attempts().is_empty());
    assert_eq!(browser.visit("/report").await.status, 200);
    assert_eq!(app.upstream.last().header("x-forwarded-email"), Some("alice@acme.com"), "the verified one counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_account_may_be_chosen_instead_r3() {
    let app = App::start().await;
    let mut browser = app.browser();
    let page = asked(&app, &mut browser).await;
    let other = page.links().into_iter().find(|link| link.contains("select_account=1")).unwrap();
    let to_provider = browser.visit(&other).await;
    assert_eq!(to_provider.status, 303);
    let sent = to_provider.location();
    assert!(sent.contains("prompt=select_account") && sent.contains("login_hint=carol%40acme.com"), "{sent}");
    app.acme.script().claims["upn"] = json!("carol@acme.com");
    let query = app.acme.sign_in(sent);
    let answer = browser.send(App::callback("acme", &query)).await;
    assert_eq!((answer.status, answer.location()), (303, "/report"));
    assert_eq!(browser.visit("/report").await.status, 200);
    assert_eq!(app.upstream.last().header("x-forwarded-email"), Some("carol@acme.com"));
}

#[tokio::test(flavor = "multi_thread")]
async fn letter_case_is_no_other_address_r3() {
    let app = App::start().await;
    let trial = Trial { hint: "ALICE@Acme.com", ..Trial::acme(&app) };
    trial.honest("another case", &mut app.browser()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_word_counts_once_in_the_browser_that_was_asked_and_in_time_r3() {
    let app = App::start().await;
    let refused = async |row: &str, browser: &mut Browser, ask: Ask, status: u16, reason: &str| {
        let watch = Watch::begin(&app, browser, &std::collections::BTreeMap::new());
        let answer = browser.send(ask).await;
        watch.refused(row, browser, &answer, status, reason);
    };

    let mut browser = app.browser();
    let page = asked(&app, &mut browser).await;
    refused("another browser", &mut app.browser(), go_on(&page), 400, "tx_not_bound").await;
    refused("no attempt", &mut browser, Ask::form("/.anteroom/sign-in/continue", &[]), 400, "tx_not_bound").await;
    let odd = Ask::form("/.anteroom/sign-in/continue", &[("attempt", "x; Domain=example.com\r\nA: b")]);
    refused("a hostile attempt", &mut browser, odd, 400, "tx_not_bound").await;
    // From another site: refused, and the attempt stays.
    let foreign = go_on(&page).without("Sec-Fetch-Site").with("Sec-Fetch-Site", "cross-site");
    let answer = browser.send(foreign).await;
    assert_eq!((answer.status, answer.reason()), (403, "cross_site_post"));
    assert_eq!(app.events().last().unwrap()["reason"], "cross_site_post");
    assert_eq!(browser.visit("/.anteroom/sign-in/continue").await.status, 405);
    let mut copy = browser.clone();
    assert_eq!(browser.send(go_on(&page)).await.status, 303, "the honest word");
    refused("again", &mut browser, go_on(&page), 400, "tx_not_bound").await;
    refused("again, with the cookie kept", &mut copy, go_on(&page), 400, "state_replayed").await;
    assert!(copy.attempts().is_empty());

    let mut late = app.browser();
    let page = asked(&app, &mut late).await;
    app.advance(Duration::from_secs(600));
    refused("late", &mut late, go_on(&page), 400, "state_expired").await;
    assert!(late.attempts().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_to_an_attempt_that_is_still_on_its_way_changes_nothing_r3() {
    let app = App::start().await;
    let trial = Trial::acme(&app);
    let mut browser = app.browser();
    let query = trial.begin(&mut browser).await;
    let id = browser.attempts()[0].strip_prefix("__Host-anteroom-try-").unwrap().to_owned();
    let watch = Watch::begin(&app, &browser, &query);
    let answer = browser.send(Ask::form("/.anteroom/sign-in/continue", &[("attempt", &id)])).await;
    watch.refused("on its way", &browser, &answer, 400, "not_verified_yet");
    assert_eq!(browser.send(App::callback("acme", &query)).await.status, 303, "the answer is still taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_repeated_while_the_word_is_awaited_is_refused_and_the_word_still_counts_r3() {
    let app = App::start().await;
    let trial = Trial { hint: "carol@acme.com", ..Trial::acme(&app) };
    let mut browser = app.browser();
    let query = trial.begin(&mut browser).await;
    let page = browser.send(App::callback("acme", &query)).await;
    assert_eq!(page.reason(), "address_mismatch");
    let tokens = app.acme.count("/token");
    let watch = Watch::begin(&app, &browser, &query);
    let answer = browser.send(App::callback("acme", &query)).await;
    watch.refused("reload", &browser, &answer, 400, "state_replayed");
    assert_eq!(app.acme.count("/token"), tokens);
    assert_eq!(browser.send(go_on(&page)).await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_words_at_the_same_moment_one_counts_r3() {
    let app = App::start().await;
    let mut browser = app.browser();
    let page = asked(&app, &mut browser).await;
    let all = (0..16).map(|_| {
        let (mut copy, ask) = (browser.clone(), go_on(&page));
        async move {
            let answer = copy.send(ask).await;
            (answer.status, copy.session().is_some())
        }
    });
    let answers = futures_util::future::join_all(all).await;
    assert_eq!(answers.iter().filter(|(_, session)| *session).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|(status, _)| [303, 400].contains(status)));
}

/// Whoever is revoked while the page asks gets in neither by its button nor by a session that was begun before.
#[tokio::test(flavor = "multi_thread")]
async fn a_word_after_a_revocation_makes_no_session() {
    let app = App::start().await;
    let email = |address: &str| Selector::Email(address.to_owned());
    let connector = || "acme".parse().unwrap();
    for (which, stays) in [
        (email("somebody@acme.com"), true),
        (email("alice@acme.com"), false),
        (Selector::Subject { connector: connector(), sub: "pairwise-alice".to_owned() }, false),
        (Selector::Connector(connector()), false),
        (Selector::All, false),
    ] {
        app.advance(Duration::from_secs(2));
        let mut browser = app.browser();
        let page = asked(&app, &mut browser).await;
        app.site.sign_in().revoke(&which, "revoked").await.unwrap();
        let before = app.before();
        let answer = browser.send(go_on(&page)).await;
        if stays {
            assert_eq!(answer.reason(), "signed_in", "{which:?}");
            assert_eq!(browser.visit("/").await.status, 200);
            continue;
        }
        app.refused(&before, &answer, 400, "sign_in_revoked", "login.rejected", &[]);
        assert_eq!((browser.session(), browser.attempts()), (None, vec![]), "{which:?}");
        let left = app.directory.sessions.list(&email("alice@acme.com"), &Page { limit: 9 }).await.unwrap();
        assert_eq!(left, [], "{which:?}");
        let mut browser = app.signed_in().await;
        assert_eq!(browser.visit("/").await.status, 200, "{which:?}: a sign-in that begins afterwards is a new one");
        app.site.sign_in().revoke(&Selector::All, "revoked").await.unwrap();
    }
}

/// What redeems nothing writes nothing, or strangers could make the directory write as often as they like.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_provider_is_answered_without_the_directory() {
    let (directory, away) = spoilable();
    let app = App::start_with(Setup::new().directory(directory)).await;
    for (error, reason) in [(Some("access_denied"), "provider_refused"), (None, "code_missing")] {
        let mut browser = app.browser();
        let honest = Trial::acme(&app).begin(&mut browser).await;
        let mut query = honest.clone();
        query.remove("code");
        if let Some(error) = error {
            query.insert("error".into(), error.into());
        }
        let mut other_tab = browser.clone();
        away.all(true);
        let answer = browser.send(App::callback("acme", &query)).await;
        assert_eq!((answer.status, answer.reason()), (400, reason), "{answer:?}");
        assert!(browser.attempts().is_empty(), "{reason}");
        assert_eq!(other_tab.send(App::callback("acme", &honest)).await.status, 503, "{reason}: a code needs it");
        away.all(false);
    }
}

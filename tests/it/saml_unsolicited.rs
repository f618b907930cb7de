//! Responses that nobody here asked for (security cases S19, S20).

use std::time::Duration;

use crate::saml_replay::{start, unasked};
use crate::support::{Asked, SamlTrial, Signing, Words};

/// The provider's portal, or "Test this application": where this is off a sign-in begins, once a minute (R10).
#[tokio::test(flavor = "multi_thread")]
async fn an_unasked_response_begins_a_sign_in_where_it_is_not_taken_s20() {
    let (app, idp) = start("").await;
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        app.advance(Duration::from_secs(60));
        for relay_state in [None, Some("https://evil.example/"), Some("canary"), Some("")] {
            let mut browser = app.browser();
            let ask = || trial.ask(&unasked(&trial).response(), relay_state);
            app.log.taken();
            let posted = browser.send_from_elsewhere(ask()).await;
            assert_eq!((posted.status, posted.reason()), (303, "saml_received"), "{relay_state:?}: {posted:?}");
            assert_eq!(posted.all("set-cookie").count(), 0, "nothing is kept of it");
            let started = trial.follow(&mut browser, posted).await;
            assert_eq!((started.status, started.reason()), (303, "sign_in_started"), "{started:?}");
            assert_eq!(browser.session(), None, "no session from it");
            assert!(!app.log.taken().contains("canary"));
            let asked = Asked::read(&started);
            assert_ne!(asked.relay_state.as_deref(), relay_state);
            // The provider that sends nothing else does not keep the browser in a circle.
            let posted = browser.send_from_elsewhere(ask()).await;
            let watch = trial.watch(&browser, &asked, "");
            let second = trial.follow(&mut browser, posted).await;
            watch.refused("again", &browser, &second, 400, "saml_unsolicited");
            // The one that was begun ends as always, and on the first page.
            let done = trial.answer(&mut browser, &asked, &trial.words(&asked)).await;
            assert_eq!((done.status, done.reason(), done.location()), (303, "signed_in", "/"), "{done:?}");
            // Whoever is signed in just goes on.
            let posted = browser.send_from_elsewhere(ask()).await;
            let on = trial.follow(&mut browser, posted).await;
            assert_eq!((on.status, on.reason(), on.location()), (303, "already_signed_in", "/"), "{on:?}");
            assert_eq!(app.upstream.count(), 0);
        }
    }
}

/// It is not judged at all there: a forged one gets no further than an honest one, and a broken one not even that.
#[tokio::test(flavor = "multi_thread")]
async fn an_unasked_response_is_looked_at_for_one_thing_alone_s20() {
    let (app, idp) = start("").await;
    let trial = SamlTrial::new(&app, &idp);
    let mut browser = app.browser();
    let mut forged = unasked(&trial);
    forged.signing = Signing::Nothing;
    let posted = browser.send_from_elsewhere(trial.ask(&forged.response(), None)).await;
    assert_eq!(trial.follow(&mut browser, posted).await.reason(), "sign_in_started");
    let mut browser = app.browser();
    for (row, reason, xml) in [
        ("broken", "saml_malformed", "<samlp:Response"),
        ("a document type", "xml_doctype", "<!DOCTYPE x><x/>"),
        ("another document", "saml_structure", "<x/>"),
    ] {
        let watch = trial.watch(&browser, &Asked::default(), "");
        let answer = browser.send_from_elsewhere(trial.ask(xml, None)).await;
        watch.refused(row, &browser, &answer, 400, reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_request_that_nobody_here_made_is_a_page_s20() {
    for settings in ["", "allow_idp_initiated = true"] {
        let (app, idp) = start(settings).await;
        for signing in Signing::ALL {
            let trial = SamlTrial::new(&app, &idp).signing(signing);
            for relay_state in [None, Some("https://evil.example/"), Some("00000000000000000000.x")] {
                let words = Words { in_response_to: Some("_nobody".to_owned()), ..unasked(&trial) };
                let mut browser = app.browser();
                let posted = browser.send_from_elsewhere(trial.ask(&words.response(), relay_state)).await;
                assert_eq!((posted.status, posted.reason()), (303, "saml_received"), "{posted:?}");
                let watch = trial.watch(&browser, &Asked::default(), "");
                let page = trial.follow(&mut browser, posted).await;
                watch.refused("a page", &browser, &page, 400, "tx_not_bound");
                assert!(browser.cookies.is_empty());
            }
            // In a browser that is signed in it is a stale tab's: on it goes.
            let mut browser = trial.signed_in().await;
            let words = Words { in_response_to: Some("_nobody".to_owned()), ..unasked(&trial) };
            let posted = browser.send_from_elsewhere(trial.ask(&words.response(), None)).await;
            let on = trial.follow(&mut browser, posted).await;
            assert_eq!((on.status, on.reason(), on.location()), (303, "already_signed_in", "/"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_unasked_responses_are_taken_they_lead_to_the_first_page_s20() {
    let (app, idp) = start("allow_idp_initiated = true").await;
    let another = app.another().await;
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        for relay_state in
            [None, Some("https://evil.example/"), Some("/admin/"), Some("//evil.example"), Some("javascript:x")]
        {
            let ask = trial.ask(&unasked(&trial).response(), relay_state);
            let mut browser = app.browser();
            let posted = browser.send_from_elsewhere(ask.clone()).await;
            let done = trial.follow(&mut browser, posted).await;
            assert_eq!(
                (done.status, done.reason(), done.location()),
                (303, "signed_in", "/"),
                "{relay_state:?}: {done:?}"
            );
            assert!(browser.session().is_some() && browser.attempts().is_empty());
            // S19 on this path: one store for all ways and processes.
            for process in [&app, &another] {
                let trial = SamlTrial { app: process, ..trial };
                let mut browser = process.browser();
                let watch = trial.watch(&browser, &Asked::default(), "");
                let again = browser.send_from_elsewhere(ask.clone()).await;
                watch.refused("again", &browser, &again, 400, "saml_replay");
            }
            app.advance(Duration::from_secs(2));
        }
        // Every rule counts here too.
        for (row, reason, spoil) in [
            ("unsigned", "saml_unsigned", (|words| words.signing = Signing::Nothing) as fn(&mut Words)),
            ("another audience", "saml_audience", |words| words.audience.push('x')),
            ("sent elsewhere", "saml_recipient", |words| words.recipient.push('x')),
            ("another issuer", "idp_mixup", |words| words.issuer.push('x')),
        ] {
            let mut words = unasked(&trial);
            spoil(&mut words);
            let mut browser = app.browser();
            let watch = trial.watch(&browser, &Asked::default(), "");
            let answer = browser.send_from_elsewhere(trial.ask(&words.response(), None)).await;
            watch.refused(row, &browser, &answer, 400, reason);
            app.advance(Duration::from_secs(1));
        }
    }
}

/// The same assertion first in answer to a request and then as if unasked: it says whom it answers.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_does_not_become_an_unasked_response_s19() {
    let (app, idp) = start("allow_idp_initiated = true").await;
    let trial = SamlTrial::new(&app, &idp).signing(Signing::Assertion);
    let mut browser = app.browser();
    let asked = trial.begin(&mut browser).await;
    let xml = trial.words(&asked).response();
    // The response's own attribute is not signed here: a thief takes it off.
    let (front, rest) = xml.split_once(" InResponseTo=\"").unwrap();
    let stolen = format!("{front}{}", rest.split_once('"').unwrap().1);
    let mut thief = app.browser();
    let watch = trial.watch(&thief, &asked, &xml);
    let answer = thief.send_from_elsewhere(trial.ask(&stolen, None)).await;
    watch.refused("stolen", &thief, &answer, 400, "saml_in_response_to");
    let done = browser.send_from_elsewhere(trial.ask(&xml, asked.relay_state.as_deref())).await;
    assert_eq!(trial.follow(&mut browser, done).await.reason(), "signed_in");
}

//! One response, one session (security cases S19–S21): again, elsewhere, at once, unasked, in another browser.

use std::collections::BTreeSet;
use std::time::Duration;

use anteroom::directory::Directory;

use crate::support::{Answer, App, Ask, Asked, Browser, SamlProvider, SamlTrial, Setup, Signing, Words};

async fn start(settings: &str) -> (App, SamlProvider) {
    let idp = SamlProvider::new("initech", "carol");
    let setup = Setup::new().with(&idp.connector(settings)).directory(Directory::in_memory());
    (App::start_with(setup).await, idp)
}

/// A browser at the provider, and the post that its page makes.
async fn under_way(trial: &SamlTrial<'_>) -> (Browser, Ask) {
    let mut browser = trial.app.browser();
    let asked = trial.begin(&mut browser).await;
    let ask = trial.ask(&trial.words(&asked).response(), asked.relay_state.as_deref());
    (browser, ask)
}

/// A response that answers nothing.
fn unasked(trial: &SamlTrial<'_>) -> Words {
    let asked = Asked {
        xml: String::new(),
        to: String::new(),
        id: String::new(),
        issuer: format!("https://app.example.com/.anteroom/saml/{}/metadata", trial.idp.name),
        acs_url: format!("https://app.example.com/.anteroom/saml/{}/acs", trial.idp.name),
        relay_state: None,
        parameters: Default::default(),
    };
    Words { in_response_to: None, ..trial.words(&asked) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_works_once_in_every_process_s19() {
    let (app, idp) = start("").await;
    let another = app.another().await;
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        let (mut browser, ask) = under_way(&trial).await;
        // Copies of the browser from before: they still have the attempt's cookie, and no session.
        let (mut here, mut there) = (browser.clone(), browser.at(another.address));
        let posted = browser.send_from_elsewhere(ask.clone()).await;
        let done = trial.follow(&mut browser, posted.clone()).await;
        assert_eq!((done.status, done.reason()), (303, "signed_in"), "{done:?}");
        app.log.taken();
        for (row, process, browser) in
            [("the same process", &app, &mut here), ("another process", &another, &mut there)]
        {
            let trial = SamlTrial { app: process, ..trial };
            let watch = trial.watch(browser, &empty(), "");
            let again = browser.send_from_elsewhere(ask.clone()).await;
            watch.refused(row, browser, &again, 400, "saml_replay");
            assert!(browser.attempts().is_empty(), "{row}: the used attempt's cookie goes");
        }
        // `done` with the cookie that the post set, in a copy: the person was taken from where they waited.
        let mut copy = app.browser();
        for line in posted.all("set-cookie") {
            let (name, value) = line.split_once(';').unwrap().0.split_once('=').unwrap();
            copy.cookies.insert(name.to_owned(), value.to_owned());
        }
        let again = copy.send(Ask::page(posted.location())).await;
        assert_eq!((again.status, again.reason()), (400, "state_replayed"), "{again:?}");
        assert_eq!(copy.session(), None);
        // Whoever is signed in just goes on.
        let again = browser.send(Ask::page(posted.location())).await;
        assert_eq!((again.status, again.reason()), (303, "already_signed_in"), "{again:?}");
    }
}

fn empty() -> Asked {
    Asked {
        xml: String::new(),
        to: String::new(),
        id: String::new(),
        issuer: String::new(),
        acs_url: String::new(),
        relay_state: None,
        parameters: Default::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_at_once_one_signs_in_s19() {
    let (app, idp) = start("").await;
    let another = app.another().await;
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        let (browser, ask) = under_way(&trial).await;
        let name = idp.name;
        let all = (0..50).map(|n| {
            let address = if n % 2 == 0 { app.address } else { another.address };
            let (mut browser, ask) = (browser.at(address), ask.clone());
            tokio::spawn(async move {
                let posted = browser.send_from_elsewhere(ask).await;
                if posted.status != 303 {
                    return posted;
                }
                assert!(posted.location().starts_with(&format!("/.anteroom/saml/{name}/done?")));
                browser.send(Ask::page(posted.location())).await
            })
        });
        let mut outcomes = vec![];
        for one in all.collect::<Vec<_>>() {
            let answer: Answer = one.await.unwrap();
            outcomes.push((answer.status, answer.reason().to_owned()));
        }
        let good = outcomes.iter().filter(|(status, reason)| (*status, reason.as_str()) == (303, "signed_in")).count();
        assert_eq!(good, 1, "{outcomes:?}");
        let others: BTreeSet<_> = outcomes.into_iter().filter(|(_, reason)| reason != "signed_in").collect();
        assert_eq!(others, BTreeSet::from([(400, "saml_replay".to_owned())]));
        app.advance(Duration::from_secs(60));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_forgets_no_response_s19() {
    let idp = SamlProvider::new("initech", "carol");
    // The directory in a file, as it is by default: what was used stays used.
    let app = App::start_with(Setup::new().with(&idp.connector("allow_idp_initiated = true"))).await;
    let trial = SamlTrial::new(&app, &idp);
    let (mut browser, ask) = under_way(&trial).await;
    let unsolicited = trial.ask(&unasked(&trial).response(), None);
    let mut copy = browser.clone();
    for ask in [&ask, &unsolicited] {
        let posted = browser.send_from_elsewhere(ask.clone()).await;
        assert_eq!(trial.follow(&mut browser, posted).await.reason(), "signed_in");
    }
    let after = app.restart().await;
    let trial = SamlTrial::new(&after, &idp);
    for (row, ask, browser) in
        [("asked for", ask, &mut copy.at(after.address)), ("unasked", unsolicited, &mut after.browser())]
    {
        let watch = trial.watch(browser, &empty(), "");
        let again = browser.send_from_elsewhere(ask).await;
        watch.refused(row, browser, &again, 400, "saml_replay");
    }
    assert_eq!(browser.at(after.address).visit("/").await.status, 200, "and nobody is signed out");
    copy.cookies.clear();
    trial.accepts("a new one", |_| {}).await;
}

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
        let watch = trial.watch(&browser, &empty(), "");
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
                let watch = trial.watch(&browser, &empty(), "");
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
                let watch = trial.watch(&browser, &empty(), "");
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
            let watch = trial.watch(&browser, &empty(), "");
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

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_another_browsers_request_signs_nobody_in_s21() {
    for settings in ["", "allow_idp_initiated = true"] {
        let (app, idp) = start(settings).await;
        for signing in Signing::ALL {
            let trial = SamlTrial::new(&app, &idp).signing(signing);
            // The attacker's genuine answer, posted by the attacker's page in the victim's browser.
            let mut attacker = app.browser();
            let asked = trial.begin(&mut attacker).await;
            let (xml, state) = (trial.words(&asked).response(), asked.relay_state.clone());
            let mut victim = app.browser();
            let own = trial.begin(&mut victim).await;
            for (row, ask, reason) in [
                ("the attacker's attempt", trial.ask(&xml, state.as_deref()), "tx_not_bound"),
                ("no attempt", trial.ask(&xml, None), "tx_not_bound"),
            ] {
                let posted = victim.send_from_elsewhere(ask).await;
                let watch = trial.watch(&victim, &asked, &xml);
                let page = trial.follow(&mut victim, posted).await;
                watch.refused(row, &victim, &page, 400, reason);
            }
            // With the victim's own attempt: it answers another request. That attempt was redeemed, badly (G7).
            let mut copy = victim.clone();
            let watch = trial.watch(&copy, &asked, &xml);
            let page = copy.send_from_elsewhere(trial.ask(&xml, own.relay_state.as_deref())).await;
            watch.refused("the victim's attempt", &copy, &page, 400, "saml_in_response_to");
            // `done` of the attacker's browser is nothing in the victim's.
            let posted = attacker.send_from_elsewhere(trial.ask(&xml, state.as_deref())).await;
            assert_eq!(posted.reason(), "saml_received");
            let mut stranger = app.browser();
            let watch = trial.watch(&stranger, &asked, &xml);
            let page = stranger.send(Ask::page(posted.location())).await;
            watch.refused("a link to done", &stranger, &page, 400, "tx_not_bound");
            // The twin.
            let done = trial.follow(&mut attacker, posted).await;
            assert_eq!((done.status, done.reason()), (303, "signed_in"), "{done:?}");
        }
    }
}

/// An attempt at one connector is not answered at another's address (S22).
#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_is_of_its_connector_s22() {
    let (initech, hooli) = (SamlProvider::new("initech", "carol"), SamlProvider::new("hooli", "dave"));
    let app = App::start_with(Setup::new().with(&initech.connector("")).with(&hooli.connector(""))).await;
    for signing in Signing::ALL {
        let [at_initech, at_hooli] = [&initech, &hooli].map(|idp| SamlTrial::new(&app, idp).signing(signing));
        let mut browser = app.browser();
        let asked = at_initech.begin(&mut browser).await;
        // Hooli's provider answers initech's request, at its own address.
        let mut words = at_hooli.words(&asked);
        words.destination = words.destination.replace("initech", "hooli");
        words.recipient.clone_from(&words.destination);
        words.audience = words.audience.replace("initech", "hooli");
        let ask = at_hooli.ask(&words.response(), asked.relay_state.as_deref());
        let posted = browser.send_from_elsewhere(ask).await;
        let watch = at_hooli.watch(&browser, &asked, "");
        let page = at_hooli.follow(&mut browser, posted).await;
        watch.refused("at hooli", &browser, &page, 400, "idp_mixup");
        // It did not use the browser's attempt up (G7).
        let done = at_initech.answer(&mut browser, &asked, &at_initech.words(&asked)).await;
        assert_eq!((done.status, done.reason()), (303, "signed_in"), "{done:?}");
        // `done` is of its connector too.
        let mut browser = app.browser();
        let asked = at_initech.begin(&mut browser).await;
        let posted = at_initech.post(&mut browser, &asked, &at_initech.words(&asked)).await;
        let watch = at_initech.watch(&browser, &asked, "");
        let page = browser.send(Ask::page(&posted.location().replace("initech", "hooli"))).await;
        watch.refused("done at hooli", &browser, &page, 400, "idp_mixup");
    }
}

/// L13 with SAML.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_sign_out_neither_cookie_nor_response_is_worth_anything_l13() {
    let (app, idp) = start("").await;
    let trial = SamlTrial::new(&app, &idp);
    let (mut browser, ask) = under_way(&trial).await;
    let before = browser.clone();
    let posted = browser.send_from_elsewhere(ask.clone()).await;
    trial.follow(&mut browser, posted).await;
    let mut copy = browser.clone();
    assert_eq!(copy.visit("/").await.status, 200);
    browser.send(Ask::form("/.anteroom/sign-out", &[])).await;
    assert_eq!(browser.session(), None);
    assert_eq!(copy.visit("/").await.status, 302);
    let mut replayed = before.clone();
    assert_eq!(replayed.send_from_elsewhere(ask).await.reason(), "saml_replay");
    assert_eq!(replayed.session(), None);
}

/// A source whose messages are bad too often is not listened to for a while, but for what an attempt of its waits for; its
/// neighbours are.
#[tokio::test(flavor = "multi_thread")]
async fn more_than_sixty_bad_messages_a_minute_are_not_judged_s15() {
    let idp = SamlProvider::new("initech", "carol");
    let setup = Setup::new().with(&idp.connector("")).replacing(
        "environment = \"production\"\nworkers",
        "environment = \"production\"\ntrusted_proxies = [\"127.0.0.0/8\"]\nworkers",
    );
    let app = App::start_with(setup).await;
    let trial = SamlTrial::new(&app, &idp);
    let (browser, honest) = under_way(&trial).await;
    let from = |ask: &Ask, client: &str| ask.clone().with("X-Forwarded-For", client);
    let bad = trial.ask("<x/>", None);
    let mut counts = (0, 0);
    for _ in 0..80 {
        let answer = app.send(&from(&bad, "192.0.2.1")).await;
        match (answer.status, answer.reason()) {
            (400, "saml_structure") => counts.0 += 1,
            (429, _) => {
                assert!(answer.header("retry-after").is_some(), "{answer:?}");
                counts.1 += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(counts, (61, 19), "the one too many is the last that is judged");
    let events = app.events();
    assert!(events.iter().any(|event| event["event"] == "limit.hit"), "{events:?}");
    // Any page can make a browser send what nobody waits for: it must not keep an office from signing in.
    let mut colleague = browser;
    let posted = colleague.send_from_elsewhere(from(&honest, "192.0.2.1")).await;
    assert_eq!(posted.reason(), "saml_received", "{posted:?}");
    let neighbour = app.send(&from(&bad, "198.51.100.1")).await;
    assert_eq!((neighbour.status, neighbour.reason()), (400, "saml_structure"), "another source is heard");
    app.advance(Duration::from_secs(61));
    assert_eq!(app.send(&from(&bad, "192.0.2.1")).await.status, 400, "heard again");
}

/// Bad answers to attempts of one's own, which is what it takes to ask about a ciphertext, have a limit too (S15).
#[tokio::test(flavor = "multi_thread")]
async fn bad_answers_to_ones_own_attempts_have_a_limit_of_their_own_s15() {
    let idp = SamlProvider::new("initech", "carol");
    let behind = "environment = \"production\"\ntrusted_proxies = [\"127.0.0.0/8\"]\nworkers";
    let setup = Setup::new().with(&idp.connector("")).replacing("environment = \"production\"\nworkers", behind);
    let app = App::start_with(setup.directory(Directory::in_memory())).await;
    let trial = SamlTrial::new(&app, &idp);
    let from = |ask: Ask, client: &str| ask.with("X-Forwarded-For", client);
    let (mut browser, honest) = under_way(&trial).await;
    let mut answers = vec![];
    for _ in 0..310 {
        let mut browser = app.browser();
        let started = browser.visit("/.anteroom/sign-in/go?connector=initech").await;
        let ask = trial.ask("<x/>", Asked::read(&started).relay_state.as_deref());
        answers.push(browser.send_from_elsewhere(from(ask, "203.0.113.1")).await.status);
    }
    let count = |wanted: u16| answers.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(400), count(429)), (301, 9), "the one too many is the last that is judged");
    let waits = browser.clone().send_from_elsewhere(from(honest.clone(), "203.0.113.1")).await;
    assert_eq!(waits.status, 429, "good ones of that source wait too, and are not used up");
    let posted = browser.send_from_elsewhere(from(honest, "198.51.100.1")).await;
    assert_eq!(posted.reason(), "saml_received", "{posted:?}");
}

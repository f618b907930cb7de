//! One response, one session (security cases S19, S21, L13): again, elsewhere, at once, in another browser.

use std::collections::BTreeSet;
use std::time::Duration;

use anteroom::directory::Directory;

use crate::support::{Answer, App, Ask, Asked, Browser, SamlProvider, SamlTrial, Setup, Signing, Words};

pub async fn start(settings: &str) -> (App, SamlProvider) {
    let idp = SamlProvider::new("initech", "carol");
    let setup = Setup::new().with(&idp.connector(settings)).directory(Directory::in_memory());
    (App::start_with(setup).await, idp)
}

/// A browser at the provider, and the post that its page makes.
pub async fn under_way(trial: &SamlTrial<'_>) -> (Browser, Ask) {
    let mut browser = trial.app.browser();
    let asked = trial.begin(&mut browser).await;
    let ask = trial.ask(&trial.words(&asked).response(), asked.relay_state.as_deref());
    (browser, ask)
}

/// A response that answers nothing.
pub fn unasked(trial: &SamlTrial<'_>) -> Words {
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
            let watch = trial.watch(browser, &Asked::default(), "");
            let again = browser.send_from_elsewhere(ask.clone()).await;
            watch.refused(row, browser, &again, 400, "saml_replay");
            assert_eq!(browser.attempts().len(), 1, "{row}: of two answers at once, the good one needs the cookie");
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
                    // The browser that sent it twice needs its attempt for the other answer.
                    assert_eq!(posted.all("set-cookie").next(), None, "{posted:?}");
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
        let watch = trial.watch(browser, &Asked::default(), "");
        let again = browser.send_from_elsewhere(ask).await;
        watch.refused(row, browser, &again, 400, "saml_replay");
    }
    assert_eq!(browser.at(after.address).visit("/").await.status, 200, "and nobody is signed out");
    copy.cookies.clear();
    trial.accepts("a new one", |_| {}).await;
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

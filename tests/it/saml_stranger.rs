//! What somebody tries who has a part of what it takes: an attempt's id without its secret, a note of the way back to
//! another connector or from long ago, a genuine response with something of it hidden (security cases S09, S20–S22).

use std::time::Duration;

use anteroom::directory::Directory;

use crate::support::{App, Ask, Asked, SamlProvider, SamlTrial, Setup, Signing, Words};

async fn start() -> (App, SamlProvider, SamlProvider) {
    let (initech, hooli) = (SamlProvider::new("initech", "carol"), SamlProvider::new("hooli", "dave"));
    let setup = Setup::new().with(&initech.connector("")).with(&hooli.connector("")).directory(Directory::in_memory());
    (App::start_with(setup).await, initech, hooli)
}

/// The id of an attempt stands in the name of its cookie; what comes with it in `RelayState` is the provider's to know.
#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_is_answered_with_its_secret_alone_s21() {
    let (app, idp, _) = start().await;
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        let mut browser = app.browser();
        let asked = trial.begin(&mut browser).await;
        let other = trial.begin(&mut app.browser()).await;
        let xml = trial.words(&asked).response();
        let secret = |asked: &Asked| asked.relay_state.clone().unwrap().split_once('.').unwrap().1.to_owned();
        let state = asked.relay_state.clone().unwrap();
        let (id, own) = state.split_once('.').unwrap();
        for wrong in [String::new(), own[1..].to_owned(), format!("{own}x"), secret(&other)] {
            let posted = browser.send_from_elsewhere(trial.ask(&xml, Some(&format!("{id}.{wrong}")))).await;
            assert_eq!((posted.status, posted.reason()), (303, "saml_received"), "{wrong}: {posted:?}");
            let watch = trial.watch(&browser, &asked, &xml);
            let page = trial.follow(&mut browser, posted).await;
            watch.refused(&wrong, &browser, &page, 400, "state_mismatch");
        }
        // It used nothing up (G7).
        let done = trial.answer(&mut browser, &asked, &trial.words(&asked)).await;
        assert_eq!((done.status, done.reason()), (303, "signed_in"), "{done:?}");
    }
}

/// What leads from the assertion consumer service to `done` is good for a minute and for its connector.
#[tokio::test(flavor = "multi_thread")]
async fn a_note_is_of_its_connector_and_of_its_minute_s20() {
    let (app, initech, hooli) = start().await;
    let (trial, at_hooli) = (SamlTrial::new(&app, &initech), SamlTrial::new(&app, &hooli));
    let asked = trial.begin(&mut app.browser()).await;
    let unasked = Words { in_response_to: None, ..trial.words(&asked) }.response();
    let note = async || app.browser().send_from_elsewhere(trial.ask(&unasked, None)).await.location().to_owned();
    let (fresh, foreign, old) = (note().await, note().await.replace("/saml/initech/", "/saml/hooli/"), note().await);
    let forged = format!("{}A", &fresh[..fresh.len() - 1]);
    let twin = app.browser().send(Ask::page(&fresh)).await;
    assert_eq!((twin.status, twin.reason()), (303, "sign_in_started"), "{twin:?}");
    for (row, trial, target) in [("another's", at_hooli, foreign), ("forged", trial, forged)] {
        let mut browser = app.browser();
        let watch = trial.watch(&browser, &asked, "");
        let page = browser.send(Ask::page(&target)).await;
        watch.refused(row, &browser, &page, 400, "tx_not_bound");
    }
    app.advance(Duration::from_secs(61));
    let mut browser = app.browser();
    let watch = trial.watch(&browser, &asked, "");
    let page = browser.send(Ask::page(&old)).await;
    watch.refused("an old one", &browser, &page, 400, "tx_not_bound");
}

/// What was posted waits for its browser as long as an attempt lasts.
#[tokio::test(flavor = "multi_thread")]
async fn who_comes_to_done_too_late_is_not_signed_in_s20() {
    let (app, idp, _) = start().await;
    let trial = SamlTrial::new(&app, &idp);
    for (wait, good) in [(599, true), (601, false)] {
        let mut browser = app.browser();
        let asked = trial.begin(&mut browser).await;
        let posted = trial.post(&mut browser, &asked, &trial.words(&asked)).await;
        app.advance(Duration::from_secs(wait));
        let watch = trial.watch(&browser, &asked, "");
        let page = trial.follow(&mut browser, posted).await;
        if good {
            assert_eq!((page.status, page.reason()), (303, "signed_in"), "{page:?}");
        } else {
            watch.refused("too late", &browser, &page, 400, "state_expired");
        }
    }
}

/// What is signed cannot be hidden from who reads it: not by a prefix that is taken back, of which a signature says
/// nothing. Here it would hide the second of two addresses (S25).
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_signed_response_can_be_hidden_s09() {
    let (app, idp, _) = start().await;
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        let two = |words: &mut Words| words.attributes[0].1.push("boss@initech.com".to_owned());
        trial.refuses("two addresses", 400, "saml_attribute_ambiguous", two).await;
        trial
            .refuses("the first of them is hidden", 400, "saml_malformed", |words| {
                two(words);
                let address = ">carol@initech.com<";
                words.after(move |xml| {
                    xml.replacen(
                        &format!("<saml:AttributeValue{address}"),
                        &format!("<saml:AttributeValue xmlns:saml=\"\"{address}"),
                        1,
                    )
                });
            })
            .await;
    }
}

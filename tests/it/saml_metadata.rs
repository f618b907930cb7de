//! What a connector trusts and when (security case S30), and what it does while that is away or switched off.

use std::time::Duration;

use anteroom::directory::{Directory, SwitchKind};
use tokio::net::TcpStream;

use crate::support::{App, Ask, Asked, Connection, SamlKey, SamlProvider, SamlTrial, Setup, Signing, spoilable};

async fn start(settings: &str) -> (App, SamlProvider) {
    let idp = SamlProvider::new("initech", "carol");
    let setup = Setup::new().with(&idp.connector(settings)).directory(Directory::in_memory());
    (App::start_with(setup).await, idp)
}

/// A file is looked at again after a few seconds.
const A_LOOK: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn keys_roll_over_with_the_metadata_and_the_old_one_is_refused_at_once_s30() {
    let (app, idp) = start("").await;
    let (old, new) = (SamlKey::number(0), SamlKey::number(1));
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        let publish = |keys: Vec<&'static SamlKey>| {
            idp.publish(move |metadata| metadata.keys = keys);
            app.advance(A_LOOK);
        };
        publish(vec![old]);
        trial.accepts("the old one", |_| {}).await;
        trial.refuses("the new one, too early", 400, "saml_key_untrusted", |words| words.key = new).await;
        publish(vec![old, new]);
        trial.accepts("the old one of two", |_| {}).await;
        trial.accepts("the new one of two", |words| words.key = new).await;
        publish(vec![new]);
        let mut browser = app.browser();
        let asked = trial.begin(&mut browser).await;
        let watch = trial.watch(&browser, &asked, "");
        let answer = trial.post(&mut browser, &asked, &trial.words(&asked)).await;
        watch.refused("the old one afterwards", &browser, &answer, 400, "saml_key_untrusted");
        trial.accepts("the new one alone", |words| words.key = new).await;
        // A document that is none does not take the place of a good one, and trusts nobody.
        for bad in ["", "<x/>", "<!DOCTYPE x><x/>"] {
            idp.publish_text(bad);
            app.advance(A_LOOK);
            trial.accepts("while the file is broken", |words| words.key = new).await;
        }
    }
}

/// The metadata is away when the response comes: nothing is used up, and the same post works afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn without_metadata_a_sign_in_waits_and_nothing_is_used_up() {
    let (app, idp) = start("").await;
    for signing in Signing::ALL {
        let mut browser = app.browser();
        let asked = SamlTrial::new(&app, &idp).begin(&mut browser).await;
        // A process that never could read it: it looks as soon as it runs.
        idp.withdraw();
        let another = app.another().await;
        let trial = SamlTrial::new(&another, &idp).signing(signing);
        let mut browser = browser.at(another.address);
        let ask = trial.ask(&trial.words(&asked).response(), asked.relay_state.as_deref());
        another.log.taken();
        let upstream = app.upstream.count();
        let away = browser.send_from_elsewhere(ask.clone()).await;
        assert_eq!((away.status, away.reason()), (503, "saml_metadata_unavailable"), "{away:?}");
        assert!(away.header("retry-after").is_some());
        assert_eq!((browser.session(), browser.attempts().len(), app.upstream.count()), (None, 1, upstream));
        let events = another.events();
        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(
            (&event["event"], &event["reason"]),
            (&"login.rejected".into(), &"saml_metadata_unavailable".into())
        );
        // Nor does one begin there.
        let begun = another.browser().visit("/.anteroom/sign-in/go?connector=initech").await;
        assert_eq!((begun.status, begun.reason()), (503, "saml_metadata_unavailable"), "{begun:?}");
        assert!(begun.all("set-cookie").next().is_none());
        idp.publish(|_| {});
        app.advance(A_LOOK);
        let posted = browser.send_from_elsewhere(ask).await;
        let done = trial.follow(&mut browser, posted).await;
        assert_eq!((done.status, done.reason(), done.location()), (303, "signed_in", "/report"), "{done:?}");
        another.stop(anteroom::app::Stop::Now).await.unwrap();
    }
}

/// What has expired is not trusted, by its own word.
#[tokio::test(flavor = "multi_thread")]
async fn expired_metadata_signs_nobody_in_s29() {
    let (app, idp) = start("").await;
    let trial = SamlTrial::new(&app, &idp);
    let mut browser = app.browser();
    let until = |after: Duration| format!("validUntil=\"{}\"", app.clock.now().plus(after).rfc3339());
    let attributes = until(Duration::from_secs(120));
    idp.publish(|metadata| metadata.attributes = attributes);
    trial.accepts("before", |_| {}).await;
    app.advance(A_LOOK);
    let asked = trial.begin(&mut browser).await;
    app.advance(Duration::from_secs(120));
    let words = trial.words(&asked);
    let answer = trial.post(&mut browser, &asked, &words).await;
    assert_eq!(answer.reason(), "saml_metadata_expired", "{answer:?}");
    assert_eq!(browser.session(), None);
    let begun = app.browser().visit("/.anteroom/sign-in/go?connector=initech").await;
    assert_eq!(begun.reason(), "saml_metadata_expired");
    idp.publish(|_| {});
    app.advance(A_LOOK);
    trial.accepts("renewed", |_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_directory_nothing_is_used_up() {
    let idp = SamlProvider::new("initech", "carol");
    let (directory, away) = spoilable();
    let app =
        App::start_with(Setup::new().with(&idp.connector("allow_idp_initiated = true")).directory(directory)).await;
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        let mut browser = app.browser();
        let asked = trial.begin(&mut browser).await;
        let ask = trial.ask(&trial.words(&asked).response(), asked.relay_state.as_deref());
        app.log.taken();
        away.all(true);
        let refused = browser.send_from_elsewhere(ask.clone()).await;
        assert_eq!((refused.status, refused.reason()), (503, "directory_unavailable"), "{refused:?}");
        assert_eq!(browser.attempts().len(), 1, "the attempt is kept");
        let events = app.events();
        assert_eq!(events.iter().filter(|event| event["event"] == "login.rejected").count(), 1, "{events:?}");
        away.all(false);
        let posted = browser.send_from_elsewhere(ask).await;
        assert_eq!((posted.status, posted.reason()), (303, "saml_received"), "{posted:?}");
        // And on the second step.
        let done = posted.location().to_owned();
        away.all(true);
        let refused = browser.visit(&done).await;
        assert_eq!((refused.status, refused.reason()), (503, "directory_unavailable"), "{refused:?}");
        assert_eq!(browser.session(), None);
        away.all(false);
        let done = browser.visit(&done).await;
        assert_eq!((done.status, done.reason(), done.location()), (303, "signed_in", "/report"), "{done:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_is_switched_off_takes_no_response() {
    let (app, idp) = start("allow_idp_initiated = true").await;
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        for (kind, name, reason) in [
            (SwitchKind::Connector, "initech", "connector_disabled"),
            (SwitchKind::Domain, "initech.com", "domain_disabled"),
        ] {
            let mut browser = app.browser();
            let asked = trial.begin(&mut browser).await;
            let mut at_done = app.browser();
            let other = trial.begin(&mut at_done).await;
            let posted = trial.post(&mut at_done, &other, &trial.words(&other)).await;
            assert_eq!(posted.reason(), "saml_received");
            app.site.sign_in().disable(kind, name, None).await.unwrap();
            let watch = trial.watch(&browser, &asked, "");
            let answer = trial.post(&mut browser, &asked, &trial.words(&asked)).await;
            watch.refused(reason, &browser, &answer, 403, reason);
            assert!(answer.text().contains("switched off"), "in words: {}", answer.text());
            let watch = trial.watch(&at_done, &other, "");
            let answer = trial.follow(&mut at_done, posted).await;
            watch.refused("between post and done", &at_done, &answer, 403, reason);
            app.site.sign_in().enable(kind, name).await.unwrap();
            trial.accepts("on again", |_| {}).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_are_counted_by_protocol() {
    let (app, idp) = start("").await;
    let trial = SamlTrial::new(&app, &idp);
    trial.refuses("unsigned", 400, "saml_unsigned", |words| words.signing = Signing::Nothing).await;
    let metrics = Connection::of(TcpStream::connect(app.ops).await.unwrap()).send(&Ask::get("/metrics")).await.text();
    let saml: Vec<&str> = metrics.lines().filter(|line| line.contains("protocol=\"saml\"")).collect();
    assert!(saml.iter().any(|line| line.contains("outcome=\"success\"") && line.ends_with(" 1")), "{metrics}");
    assert!(saml.iter().any(|line| line.contains("saml_unsigned") && line.ends_with(" 1")), "{saml:#?}");
}

/// The attempt lives for ten minutes, at the provider and on the way to `done`.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_attempt_is_over() {
    let (app, idp) = start("").await;
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        let mut browser = app.browser();
        let asked = trial.begin(&mut browser).await;
        app.advance(Duration::from_secs(601));
        let posted = trial.post(&mut browser, &asked, &trial.words(&asked)).await;
        let watch = trial.watch(&browser, &asked, "");
        let page = trial.follow(&mut browser, posted).await;
        watch.refused("at the provider", &browser, &page, 400, "state_expired");
        let asked = Asked::read(&app.start_sign_in(&mut browser, "initech", "/report", "carol@initech.com").await);
        app.advance(Duration::from_secs(599));
        let done = trial.answer(&mut browser, &asked, &trial.words(&asked)).await;
        assert_eq!((done.status, done.reason()), (303, "signed_in"), "{done:?}");
    }
}

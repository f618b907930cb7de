//! One provider's word is not another's (security case S22).

use anteroom::directory::Directory;

use crate::saml_response::{start, trials};
use crate::support::{App, Ask, SamlKey, SamlProvider, SamlTrial, Setup, Signing, Words};

#[tokio::test(flavor = "multi_thread")]
async fn another_providers_word_is_not_this_ones_s22() {
    let (app, initech, _) = start("").await;
    for trial in trials(&app, &initech) {
        let theirs = |words: &mut Words| {
            words.issuer = "https://idp.hooli.example/metadata".to_owned();
            words.key = SamlKey::number(1);
        };
        let event = trial.refuses("hooli's word at initech's", 400, "idp_mixup", theirs).await;
        assert_eq!(event["found"], "https://idp.hooli.example/metadata");
        trial
            .refuses("initech's name, hooli's key", 400, "saml_key_untrusted", |words| words.key = SamlKey::number(1))
            .await;
        trial
            .refuses("hooli's key, without a word of it", 400, "saml_sig", |words| {
                words.key = SamlKey::number(1);
                words.form.key_info = Some("<ds:KeyName>key</ds:KeyName>".to_owned());
            })
            .await;
        // The response says one thing, the assertion the other.
        let first = |words: &mut Words| {
            words.before(|xml| {
                xml.replacen("https://idp.initech.example/metadata", "https://idp.hooli.example/metadata", 1)
            });
        };
        trial.refuses("another issuer of the response", 400, "idp_mixup", first).await;
        let last = |words: &mut Words| {
            words.before(|xml| {
                let at = xml.rfind("<saml:Issuer>").unwrap();
                format!("{}{}", &xml[..at], xml[at..].replacen("initech", "hooli", 1))
            });
        };
        trial.refuses("another issuer of the assertion", 400, "idp_mixup", last).await;
        let without = |words: &mut Words| {
            words.signing = Signing::Response;
            words.before(|xml| {
                let at = xml.rfind("<saml:Issuer>").unwrap();
                format!("{}{}", &xml[..at], xml[at..].split_once("</saml:Issuer>").unwrap().1)
            });
        };
        trial.refuses("no issuer of the assertion", 400, "idp_mixup", without).await;
    }
}

/// Two connectors whose providers call themselves the same: the keys of each stay its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_shared_entity_id_shares_no_trust_s22() {
    let (initech, mut hooli) = (SamlProvider::new("initech", "carol"), SamlProvider::new("hooli", "dave"));
    hooli.entity_id.clone_from(&initech.entity_id);
    hooli.publish(|metadata| metadata.keys = vec![SamlKey::number(1)]);
    let app = App::start_with(
        Setup::new().with(&initech.connector("")).with(&hooli.connector("")).directory(Directory::in_memory()),
    )
    .await;
    for signing in Signing::ALL {
        let [at_initech, at_hooli] = [&initech, &hooli].map(|idp| SamlTrial::new(&app, idp).signing(signing));
        let key = SamlKey::number(1);
        at_initech.refuses("hooli's key", 400, "saml_key_untrusted", |words| words.key = key).await;
        at_hooli.accepts("hooli's key", |words| words.key = key).await;
        let mut browser = app.browser();
        let asked = at_hooli.begin(&mut browser).await;
        let words = at_hooli.words(&asked);
        let watch = at_hooli.watch(&browser, &asked, &words.response());
        let answer = at_hooli.post(&mut browser, &asked, &words).await;
        watch.refused("initech's key", &browser, &answer, 400, "saml_key_untrusted");
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

//! One registration in two tenants (R8): both providers post to one address, and say the same audience. Who judges is
//! chosen by what a browser's attempt began with, or by what a response says of itself; nobody vouches for another's
//! people (S22).

use crate::saml_flow::travel;
use crate::support::{
    Answer, App, Ask, Asked, Browser, PORTAL, SamlKey, SamlProvider, SamlTrial, Setup, Signing, Words,
};

const ENTITY_ID: &str = "urn:amazon:cognito:sp:us-east-1_x";
const ACS: &str = "/saml2/idpresponse";

/// Two tenants, each with further settings, whose providers sign with keys of their own.
async fn tenants(host: &str, settings: [&str; 2]) -> (App, [SamlProvider; 2]) {
    let idps = [SamlProvider::new("initech", "carol"), SamlProvider::new("hooli", "dave")];
    for idp in &idps {
        idp.publish(|metadata| metadata.keys = vec![key_of(idp)]);
    }
    (start(host, &idps, settings).await, idps)
}

async fn start(host: &str, idps: &[SamlProvider; 2], settings: [&str; 2]) -> App {
    let shared = format!("entity_id = \"{ENTITY_ID}\"\nacs_url = \"https://{host}{ACS}\"\n");
    let [one, other] = [0, 1].map(|which| idps[which].connector(&format!("{shared}{}", settings[which])));
    App::start_with(Setup::new().with(&one).with(&other)).await
}

fn key_of(idp: &SamlProvider) -> &'static SamlKey {
    SamlKey::number(if idp.name == "initech" { 1 } else { 2 })
}

/// What a tenant's provider honestly says to `asked`.
fn words(trial: &SamlTrial<'_>, asked: &Asked) -> Words {
    Words { key: key_of(trial.idp), ..trial.words(asked) }
}

/// What it says unasked.
fn unasked(trial: &SamlTrial<'_>) -> Words {
    let asked = Asked { issuer: ENTITY_ID.to_owned(), acs_url: format!("{PORTAL}{ACS}"), ..Asked::default() };
    Words { in_response_to: None, ..words(trial, &asked) }
}

/// The post of `xml` at the shared address, from the page of this tenant's provider.
fn ask(trial: &SamlTrial<'_>, xml: &str, relay_state: Option<&str>) -> Ask {
    trial.ask(xml, relay_state).to(ACS)
}

async fn post(trial: &SamlTrial<'_>, browser: &mut Browser, words: &Words, relay_state: Option<&str>) -> Answer {
    browser.send_from_elsewhere(ask(trial, &words.response(), relay_state)).await
}

/// An honest sign-in in this browser, to its end.
async fn signs_in(row: &str, trial: &SamlTrial<'_>, browser: &mut Browser) {
    let asked = trial.begin(browser).await;
    let posted = post(trial, browser, &words(trial, &asked), asked.relay_state.as_deref()).await;
    let done = trial.follow(browser, posted).await;
    assert_eq!((done.status, done.reason(), done.location()), (303, "signed_in", "/report"), "{row}: {done:?}");
    is_seen_as(row, trial, browser).await;
}

/// The application is told of this tenant's person.
async fn is_seen_as(row: &str, trial: &SamlTrial<'_>, browser: &mut Browser) {
    assert_eq!(browser.visit("/report").await.status, 200, "{row}");
    let seen = trial.app.upstream.last();
    assert_eq!(seen.header("x-forwarded-email"), Some(trial.idp.email.as_str()), "{row}");
    assert_eq!(seen.header("x-anteroom-connector"), Some(trial.idp.name), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_of_every_tenant_sign_in_at_one_address_r8() {
    let (app, idps) = tenants("app.example.com", ["", ""]).await;
    for signing in Signing::ALL {
        // One browser: the attempts of two tabs are told apart too.
        let mut browser = app.browser();
        let trials = [&idps[0], &idps[1]].map(|idp| SamlTrial::new(&app, idp).signing(signing));
        let tabs = [trials[0].begin(&mut browser).await, trials[1].begin(&mut browser).await];
        for asked in &tabs {
            assert_eq!((asked.issuer.as_str(), asked.acs_url.as_str()), (ENTITY_ID, &*format!("{PORTAL}{ACS}")));
        }
        for (trial, asked) in trials.iter().zip(&tabs) {
            let posted = post(trial, &mut browser, &words(trial, asked), asked.relay_state.as_deref()).await;
            let done = trial.follow(&mut browser, posted).await;
            assert_eq!((done.status, done.reason()), (303, "signed_in"), "{done:?}\n{}", app.log.taken());
            is_seen_as("a tab", trial, &mut browser).await;
        }
    }
}

/// What is tried, the reason that it is refused for, and what makes it of an honest answer.
type Row<'a> = (&'a str, &'a str, &'a dyn Fn(&mut Words));

/// Audience, destination and recipient are right in all of these: only the provider is another.
#[tokio::test(flavor = "multi_thread")]
async fn one_tenants_provider_signs_nobody_in_at_the_other_s22() {
    let (app, [initech, hooli]) = tenants("app.example.com", ["", ""]).await;
    let names = [initech.entity_id.clone(), hooli.entity_id.clone()];
    for signing in Signing::ALL {
        let [victim, attacker] = [&initech, &hooli].map(|idp| SamlTrial::new(&app, idp).signing(signing));
        let swapped = |words: &mut Words| words.issuer.clone_from(&names[0]);
        let half = |words: &mut Words| {
            let names = names.clone();
            words.before(move |xml| xml.replacen(&names[1], &names[0], 1));
        };
        let other_half = |words: &mut Words| {
            let names = names.clone();
            words.before(move |xml| xml.replacen(&names[1], &names[0], 2).replacen(&names[0], &names[1], 1));
        };
        let rows: [Row<'_>; 4] = [
            ("its own honest answer", "idp_mixup", &|_| {}),
            ("under the other's name", "saml_key_untrusted", &swapped),
            ("under the other's name outside", "idp_mixup", &half),
            ("under the other's name inside", "idp_mixup", &other_half),
        ];
        for (row, reason, spoil) in rows {
            let mut browser = app.browser();
            let asked = victim.begin(&mut browser).await;
            // To the letter what the victim's provider would say, but for who says it.
            let theirs = words(&attacker, &asked);
            let mut words = Words { attributes: words(&victim, &asked).attributes, ..theirs };
            spoil(&mut words);
            let xml = words.response();
            let watch = victim.watch(&browser, &asked, &xml);
            let answer = browser.send_from_elsewhere(ask(&attacker, &xml, asked.relay_state.as_deref())).await;
            let event = watch.refused(row, &browser, &answer, 400, reason);
            assert_eq!(event["connector"], "initech", "{row}: whose attempt it is judges");
            assert!(browser.attempts().is_empty(), "{row}: it answered the attempt, badly");
            signs_in(row, &victim, &mut browser).await;
        }
        // In answer to its own request it speaks of its own people alone (I12).
        let mut browser = app.browser();
        let asked = attacker.begin(&mut browser).await;
        let mut words = words(&attacker, &asked);
        words.attributes = victim.words(&asked).attributes;
        let watch = attacker.watch(&browser, &asked, "");
        let answer = post(&attacker, &mut browser, &words, asked.relay_state.as_deref()).await;
        watch.refused("the other's person", &browser, &answer, 403, "domain_not_allowed");
        signs_in("its own person", &attacker, &mut browser).await;
    }
}

/// The one takes responses that nobody asked for, the other does not.
#[tokio::test(flavor = "multi_thread")]
async fn an_unasked_response_is_for_the_tenant_whose_provider_sent_it_s20_s22() {
    let (app, [initech, hooli]) = tenants("app.example.com", ["allow_idp_initiated = true", ""]).await;
    for signing in Signing::ALL {
        let [taken, begun] = [&initech, &hooli].map(|idp| SamlTrial::new(&app, idp).signing(signing));
        let mut browser = app.browser();
        let posted = post(&taken, &mut browser, &unasked(&taken), None).await;
        let done = taken.follow(&mut browser, posted).await;
        assert_eq!((done.status, done.reason(), done.location()), (303, "signed_in", "/"), "{done:?}");
        is_seen_as("taken", &taken, &mut browser).await;

        // Whoever says to be the other begins a sign-in there and is not judged at all, whatever key signed.
        for key in [key_of(&hooli), key_of(&initech)] {
            let mut browser = app.browser();
            let posted = post(&begun, &mut browser, &Words { key, ..unasked(&begun) }, None).await;
            let started = begun.follow(&mut browser, posted).await;
            assert_eq!((started.status, started.reason()), (303, "sign_in_started"), "{started:?}");
            assert_eq!(browser.session(), None);
            let asked = Asked::read(&started);
            assert_eq!(asked.to, "https://idp.hooli.example/sign-on");
            let posted = post(&begun, &mut browser, &words(&begun, &asked), asked.relay_state.as_deref()).await;
            let done = begun.follow(&mut browser, posted).await;
            assert_eq!((done.status, done.reason(), done.location()), (303, "signed_in", "/"), "{done:?}");
            is_seen_as("begun", &begun, &mut browser).await;
        }

        // What the other's provider sends is never taken by the one that would take it.
        let as_taken = Words { key: key_of(&hooli), ..unasked(&taken) };
        for (row, reason, connector, words) in [
            ("another's key", "saml_key_untrusted", Some("initech"), as_taken),
            ("nobody's name", "idp_mixup", None, Words { issuer: "https://evil.example".into(), ..unasked(&taken) }),
            ("no name", "idp_mixup", None, Words { issuer: String::new(), ..unasked(&taken) }),
        ] {
            app.advance(std::time::Duration::from_secs(1));
            let mut browser = app.browser();
            let watch = taken.watch(&browser, &Asked::default(), "");
            let answer = post(&begun, &mut browser, &words, None).await;
            let event = watch.refused(row, &browser, &answer, 400, reason);
            assert_eq!(event["connector"].as_str(), connector, "{row}");
        }
        // With an attempt under way at the one, that is what the other's unasked response would have to answer.
        let mut browser = app.browser();
        let asked = taken.begin(&mut browser).await;
        let watch = taken.watch(&browser, &asked, "");
        let answer = post(&begun, &mut browser, &unasked(&begun), asked.relay_state.as_deref()).await;
        let event = watch.refused("with the other's attempt", &browser, &answer, 400, "idp_mixup");
        assert_eq!(event["connector"], "initech");
    }
}

/// One provider behind both: what it sends unasked could be for either. Answers say which attempt they are for.
#[tokio::test(flavor = "multi_thread")]
async fn what_could_be_for_two_tenants_is_for_none_s22() {
    let idps = [SamlProvider::new("initech", "carol"), SamlProvider::new("hooli", "dave")];
    for idp in &idps {
        idp.publish(|metadata| metadata.entity_id.clone_from(&idps[0].entity_id));
    }
    let taken = "allow_idp_initiated = true";
    let app = start("app.example.com", &idps, [taken, taken]).await;
    for signing in Signing::ALL {
        let trials = [&idps[0], &idps[1]].map(|idp| SamlTrial::new(&app, idp).signing(signing));
        let one = |trial: &SamlTrial<'_>, words: Words| Words {
            issuer: idps[0].entity_id.clone(),
            key: SamlKey::number(0),
            signing: trial.signing,
            ..words
        };
        for trial in &trials {
            let mut browser = app.browser();
            let watch = trial.watch(&browser, &Asked::default(), "");
            let answer = post(trial, &mut browser, &one(trial, unasked(trial)), None).await;
            let event = watch.refused("unasked", &browser, &answer, 400, "saml_unsolicited");
            assert_eq!(event["found"].as_str(), Some(idps[0].entity_id.as_str()));
            // An answer to the other's attempt is none to this one.
            let other = trials.iter().find(|other| other.idp.name != trial.idp.name).unwrap();
            let (asked, theirs) = (trial.begin(&mut browser).await, other.begin(&mut app.browser()).await);
            let watch = trial.watch(&browser, &asked, "");
            let words = Words { attributes: trial.words(&asked).attributes, ..trial.words(&theirs) };
            let answer = post(trial, &mut browser, &one(trial, words), asked.relay_state.as_deref()).await;
            watch.refused("the other's", &browser, &answer, 400, "saml_in_response_to");
            let asked = trial.begin(&mut browser).await;
            let words = one(trial, trial.words(&asked));
            let posted = post(trial, &mut browser, &words, asked.relay_state.as_deref()).await;
            let done = trial.follow(&mut browser, posted).await;
            assert_eq!((done.status, done.reason()), (303, "signed_in"), "{done:?}");
            is_seen_as("its own", trial, &mut browser).await;
        }
    }
}

/// A tenant whose metadata are of no use is the only one that has to wait.
#[tokio::test(flavor = "multi_thread")]
async fn one_tenants_bad_metadata_are_not_the_others_trouble() {
    let idps = [SamlProvider::new("initech", "carol"), SamlProvider::new("hooli", "dave")];
    idps[0].publish(|metadata| metadata.keys = vec![key_of(&idps[0])]);
    idps[1].publish_text("<x/>");
    let taken = "allow_idp_initiated = true";
    let app = start("app.example.com", &idps, [taken, taken]).await;
    let [good, bad] = [&idps[0], &idps[1]].map(|idp| SamlTrial::new(&app, idp));
    let mut browser = app.browser();
    let posted = post(&good, &mut browser, &unasked(&good), None).await;
    assert_eq!(good.follow(&mut browser, posted).await.reason(), "signed_in");
    let mut browser = app.browser();
    let watch = bad.watch(&browser, &Asked::default(), "");
    let answer = post(&bad, &mut browser, &unasked(&bad), None).await;
    watch.refused("bad metadata", &browser, &answer, 400, "saml_metadata_rejected");
}

/// What is stale is that, whichever tenant's it was.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_no_attempt_of_this_browser_is_a_page_s21() {
    let (app, idps) = tenants("app.example.com", ["allow_idp_initiated = true", ""]).await;
    for idp in &idps {
        let trial = SamlTrial::new(&app, idp);
        let mut elsewhere = app.browser();
        let asked = trial.begin(&mut elsewhere).await;
        let mut victim = app.browser();
        let posted = post(&trial, &mut victim, &words(&trial, &asked), asked.relay_state.as_deref()).await;
        let watch = trial.watch(&victim, &asked, "");
        let page = trial.follow(&mut victim, posted).await;
        let event = watch.refused("another browser's", &victim, &page, 400, "tx_not_bound");
        assert_eq!(event["connector"], idp.name);
        let posted = post(&trial, &mut elsewhere, &words(&trial, &asked), asked.relay_state.as_deref()).await;
        assert_eq!(trial.follow(&mut elsewhere, posted).await.reason(), "signed_in", "its own");
    }
}

/// What is noted at one tenant's response says nothing at the other's `done`.
#[tokio::test(flavor = "multi_thread")]
async fn a_note_of_one_connector_counts_for_nothing_at_another_s22() {
    let (app, [initech, hooli]) = tenants("app.example.com", ["", ""]).await;
    let [here, there] = [&initech, &hooli].map(|idp| SamlTrial::new(&app, idp));
    let mut browser = app.browser();
    let posted = post(&here, &mut browser, &unasked(&here), None).await;
    let (own, other) = ("/.anteroom/saml/initech/done?note=", "/.anteroom/saml/hooli/done?note=");
    assert!(posted.location().starts_with(own), "{posted:?}");
    let watch = there.watch(&browser, &Asked::default(), "");
    let elsewhere = browser.visit(&posted.location().replacen(own, other, 1)).await;
    watch.refused("at the other's", &browser, &elsewhere, 400, "tx_not_bound");
    assert!(browser.attempts().is_empty(), "no sign-in begins there");
    let started = here.follow(&mut browser, posted).await;
    assert_eq!((started.status, started.reason()), (303, "sign_in_started"), "{started:?}");
    assert_eq!(Asked::read(&started).to, "https://idp.initech.example/sign-on");
}

/// R8, R10, S20: tiles of both tenants, with the address on a host that has no application.
#[tokio::test(flavor = "multi_thread")]
async fn tiles_lead_to_the_application_by_a_shared_address_on_a_host_without_one_s20() {
    const LOGIN: &str = "login.example.com";
    let (app, idps) = tenants(LOGIN, ["allow_idp_initiated = true", ""]).await;
    for idp in &idps {
        let trial = SamlTrial::new(&app, idp);
        let send = async |browser: &mut Browser, words: &Words, relay_state: Option<&str>| {
            let posted = browser.send_from_elsewhere(ask(&trial, &words.response(), relay_state).host(LOGIN)).await;
            assert_eq!((posted.status, posted.reason()), (303, "saml_received"), "{posted:?}\n{}", app.log.taken());
            let next = url::Url::parse(&format!("https://{LOGIN}")).unwrap().join(posted.location()).unwrap();
            travel(browser, next.as_str()).await
        };
        let acs = format!("https://{LOGIN}{ACS}");
        let tile = Words { destination: acs.clone(), recipient: acs, ..unasked(&trial) };
        let mut browser = app.browser();
        // Its provider is asked in either case: here by the sign-in that begins, or on the way to the application.
        let to_provider = send(&mut browser, &tile, None).await;
        let asked = Asked::read(&to_provider);
        assert_eq!(asked.to, format!("https://idp.{}.example/sign-on", idp.name));
        let page = send(&mut browser, &words(&trial, &asked), asked.relay_state.as_deref()).await;
        assert_eq!((page.status, page.text().as_str()), (200, "the application"), "{page:?}");
        is_seen_as("by a tile", &trial, &mut browser).await;
    }
}

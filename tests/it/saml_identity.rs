//! From an assertion to a person (security cases I12, I13 over SAML): whose domain, which identity, what is missing.

use anteroom::directory::Directory;
use serde_json::Value;

use crate::support::{App, SamlKey, SamlProvider, SamlTrial, Setup, Signing, Words};

async fn start(settings: &str) -> (App, SamlProvider, SamlProvider) {
    let (initech, hooli) = (SamlProvider::new("initech", "carol"), SamlProvider::new("hooli", "carol"));
    hooli.publish(|metadata| metadata.keys = vec![SamlKey::number(1)]);
    let setup =
        Setup::new().with(&initech.connector(settings)).with(&hooli.connector("")).directory(Directory::in_memory());
    (App::start_with(setup).await, initech, hooli)
}

/// What the application is told of whoever is signed in in this browser.
async fn told(app: &App, browser: &mut crate::support::Browser) -> Value {
    assert_eq!(browser.visit("/").await.status, 200);
    let assertion = app.upstream.last().header("x-anteroom-assertion").unwrap().to_owned();
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let claims = base64::Engine::decode(&engine, assertion.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

fn address(email: &str) -> impl Fn(&mut Words) + use<> {
    let email = email.to_owned();
    move |words| words.attributes[0].1 = vec![email.clone()]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_vouches_for_its_own_domains_alone_i12() {
    let (app, idp, _) = start("").await;
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        for email in [
            "alice@acme.com",
            "carol@hooli.com",
            "carol@notinitech.com",
            "carol@initech.com.evil.example",
            "carol@sub.initech.com",
        ] {
            let mut browser = app.browser();
            let asked = trial.begin(&mut browser).await;
            let mut words = trial.words(&asked);
            address(email)(&mut words);
            let watch = trial.watch(&browser, &asked, "");
            let answer = trial.post(&mut browser, &asked, &words).await;
            let event = watch.refused(email, &browser, &answer, 403, "domain_not_allowed");
            assert_eq!(event["user"], email);
        }
        for email in [
            "carol@evil@initech.com",
            "\"a@initech.com\"@evil.example",
            "carol",
            "carol@[127.0.0.1]",
            "carol@initech.com, boss@initech.com",
        ] {
            trial.refuses(email, 400, "email_invalid", address(email)).await;
        }
    }
}

/// The same name from two providers is two people, whatever else they say.
#[tokio::test(flavor = "multi_thread")]
async fn one_name_at_two_providers_is_two_people_i13() {
    let (app, initech, hooli) = start("").await;
    let named = |words: &mut Words| words.name_id.1 = "the-same-for-both".to_owned();
    let mut people = vec![];
    for (idp, key) in [(&initech, 0), (&hooli, 1), (&initech, 0)] {
        let trial = SamlTrial::new(&app, idp);
        let mut browser = app.browser();
        trial
            .accepted(idp.name, &mut browser, |words| {
                named(words);
                words.key = SamlKey::number(key);
            })
            .await;
        let told = told(&app, &mut browser).await;
        people.push((
            told["sub"].clone(),
            told["email"].clone(),
            app.upstream.last().header("x-anteroom-account").map(str::to_owned),
        ));
    }
    assert_eq!(people[0], people[2], "the same person again");
    assert_ne!(people[0].0, people[1].0, "another subject");
    assert!(people[0].2.is_none() || people[0].2 != people[1].2, "another account: {people:?}");
}

/// Who somebody is does not depend on the address, and another name is another person.
#[tokio::test(flavor = "multi_thread")]
async fn the_name_is_who_somebody_is_and_not_the_address() {
    let (app, idp, _) = start("").await;
    let trial = SamlTrial::new(&app, &idp);
    let mut subjects = vec![];
    for (name, email) in [
        ("one", "carol@initech.com"),
        ("two", "carl@initech.com"),
        ("one", "carol.jones@initech.com"),
        ("two", "carol@initech.com"),
    ] {
        let mut browser = app.browser();
        let asked = crate::support::Asked::read(&app.start_sign_in(&mut browser, "initech", "/report", email).await);
        let mut words = trial.words(&asked);
        words.name_id.1 = name.to_owned();
        address(email)(&mut words);
        assert_eq!(trial.answer(&mut browser, &asked, &words).await.reason(), "signed_in");
        subjects.push(told(&app, &mut browser).await["sub"].clone());
    }
    assert_eq!((&subjects[0], &subjects[1]), (&subjects[2], &subjects[3]));
    assert_ne!(subjects[0], subjects[1]);
}

/// An administrator who reads the page learns which attributes did arrive, and nobody learns what they say.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_address_is_told_with_the_names_of_what_arrived() {
    let (app, idp, _) = start("").await;
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        let without = |words: &mut Words| {
            words.attributes.remove(0);
            words.attributes.push(("urn:x:<script>".replace('<', "&lt;"), vec!["canary".to_owned()]));
            words.attributes.push(("eMail".to_owned(), vec!["canary@initech.com".to_owned()]));
        };
        let mut browser = app.browser();
        let asked = trial.begin(&mut browser).await;
        let mut words = trial.words(&asked);
        without(&mut words);
        let watch = trial.watch(&browser, &asked, "");
        let answer = trial.post(&mut browser, &asked, &words).await;
        watch.refused("no address", &browser, &answer, 403, "email_missing");
        let text = answer.text();
        for name in ["displayName", "eMail", "role"] {
            assert!(text.contains(name), "{name}: {text}");
        }
        assert!(text.contains("urn:x:&#60;script") || text.contains("urn:x:&lt;script"), "{text}");
        assert!(!text.contains("<script"), "{text}");
        trial.refuses("an empty one", 403, "email_missing", address("")).await;
        trial.refuses("a blank one", 403, "email_missing", address("  ")).await;
    }
}

/// Control characters and quotes of a provider stand in one line of the log, and nowhere as markup (U01).
#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_writes_breaks_no_line_of_the_log_u01() {
    let (app, idp, _) = start("").await;
    let trial = SamlTrial::new(&app, &idp);
    for spoiled in ["x\u{202e}\u{85}\"y", "x&#10;{\"kind\":\"audit\"}", "&lt;script&gt;@initech.com"] {
        let mut browser = app.browser();
        let asked = trial.begin(&mut browser).await;
        let mut words = trial.words(&asked);
        words.audience = spoiled.to_owned();
        app.log.taken();
        let answer = trial.post(&mut browser, &asked, &words).await;
        assert_eq!((answer.status, answer.reason()), (400, "saml_audience"), "{answer:?}");
        assert!(!answer.text().contains("<script>@"), "{}", answer.text());
        assert_eq!(app.events().len(), 1, "one event, one line");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_become_headers_by_the_names_that_the_operator_gave() {
    let settings = "attributes = { email = [\"urn:mail\", \"NameID\"], name = \"cn\", groups = [\"teams\", \"units\"], \
                    roles = \"urn:role\", subject = \"uid\" }";
    let (app, idp, _) = start(settings).await;
    let trial = SamlTrial::new(&app, &idp);
    let attribute = |name: &str, values: &[&str]| (name.to_owned(), values.iter().map(|v| (*v).to_owned()).collect());
    let mut browser = app.browser();
    trial
        .accepted("mapped", &mut browser, |words| {
            words.attributes = vec![
                attribute("urn:mail", &["carol@initech.com"]),
                attribute("email", &["boss@initech.com"]),
                attribute("cn", &["Carol &amp; Co"]),
                attribute("teams", &["red", "blue"]),
                attribute("urn:role", &["Admin", "Emperor"]),
                attribute("role", &["EnterpriseAdmin"]),
                attribute("uid", &["42"]),
            ];
        })
        .await;
    browser.visit("/").await;
    let seen = app.upstream.last();
    assert_eq!(seen.header("x-forwarded-email"), Some("carol@initech.com"));
    assert_eq!(seen.header("x-forwarded-groups"), Some("red,blue"));
    assert_eq!(seen.header("x-anteroom-role"), Some("Admin"));
}

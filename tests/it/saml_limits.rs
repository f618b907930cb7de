//! Who sends bad messages too often is not listened to for a while (security case S15).

use std::time::Duration;

use anteroom::directory::Directory;

use crate::saml_replay::under_way;
use crate::support::{App, Ask, Asked, SamlProvider, SamlTrial, Setup};

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

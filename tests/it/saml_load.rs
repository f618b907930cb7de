//! Many at once over SAML (T04, T22, T63), and certificates that run out (T47). Counts of what happened, not times: the
//! machine is whatever it is. What a response costs is for `make bench`.

use std::collections::BTreeMap;
use std::time::Duration;

use anteroom::directory::Directory;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{Answer, App, Ask, Browser, SamlKey, SamlProvider, SamlTrial, Setup, Signing};

const DAY: Duration = Duration::from_secs(86_400);

/// A browser at the provider, and the honest post that its page makes.
async fn under_way(trial: &SamlTrial<'_>) -> (Browser, Ask) {
    let mut browser = trial.app.browser();
    let asked = trial.begin(&mut browser).await;
    let ask = trial.ask(&trial.words(&asked).response(), asked.relay_state.as_deref());
    (browser, ask)
}

/// The post, and what its redirect leads to.
async fn arrive(mut browser: Browser, ask: Ask) -> (Browser, Answer) {
    let posted = browser.send_from_elsewhere(ask).await;
    if posted.status != 303 {
        return (browser, posted);
    }
    let done = browser.send(Ask::page(posted.location())).await;
    (browser, done)
}

fn behind_an_ingress(setup: Setup) -> Setup {
    setup.replacing(
        "environment = \"production\"\nworkers",
        "environment = \"production\"\ntrusted_proxies = [\"127.0.0.0/8\"]\nworkers",
    )
}

/// T04: a hundred people in the same moment, from one office, each get a session of their own.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_at_once_each_get_their_session_t04() {
    let idp = SamlProvider::new("initech", "carol");
    let app = App::start_with(Setup::new().with(&idp.connector("")).directory(Directory::in_memory())).await;
    let mut people = vec![];
    for n in 0..100 {
        let trial = SamlTrial::new(&app, &idp).signing(Signing::ALL[n % 3]);
        people.push(under_way(&trial).await);
    }
    app.log.taken();
    let all: Vec<_> = people.into_iter().map(|(browser, ask)| tokio::spawn(arrive(browser, ask))).collect();
    let mut sessions = std::collections::BTreeSet::new();
    for one in all {
        let (browser, answer) = one.await.unwrap();
        assert_eq!((answer.status, answer.reason()), (303, "signed_in"), "{answer:?}");
        sessions.insert(browser.session().unwrap().to_owned());
    }
    assert_eq!(sessions.len(), 100);
    let events = app.events();
    assert_eq!(events.iter().filter(|event| event["event"] == "login.accepted").count(), 100);
    assert!(!events.iter().any(|event| event["event"] == "login.rejected"), "{events:?}");
}

/// T63: while bad posts come from many places, people sign in and work, and none of it gets anywhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_bad_posts_keeps_nobody_from_signing_in_t63() {
    let idp = SamlProvider::new("initech", "carol");
    let setup = behind_an_ingress(Setup::new().with(&idp.connector("")).directory(Directory::in_memory()));
    let app = App::start_with(setup).await;
    let trial = SamlTrial::new(&app, &idp);
    let mut worker = trial.signed_in().await;
    let mut honest = vec![];
    for _ in 0..20 {
        let (browser, ask) = under_way(&trial).await;
        honest.push((browser, ask.with("X-Forwarded-For", "198.51.100.7")));
    }
    let mut asked = trial.begin(&mut app.browser()).await;
    asked.relay_state = None;
    let mut forged = trial.words(&asked);
    forged.key = SamlKey::number(1);
    let stranger = forged.response();
    let large = format!("<x>{}</x>", "y".repeat(200_000));
    let wide = (0..20_000).map(|n| format!("{n:x}&")).collect::<String>();
    let bad = [
        trial.ask(&stranger, Some("no-state.of-ours")),
        trial.ask("<x/>", None),
        trial.ask(&large, None),
        trial.ask("", None).body(wide),
        trial.ask(&stranger.replace("InResponseTo", "InResponseTX"), None),
    ];
    let upstream = app.upstream.count();
    app.log.taken();
    let flood: Vec<_> = (0..10)
        .map(|source| {
            let (browser, bad) = (app.browser(), bad.clone());
            tokio::spawn(async move {
                let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
                for n in 0..100 {
                    let mut browser = browser.clone();
                    let ask = bad[n % bad.len()].clone().with("X-Forwarded-For", &format!("203.0.{source}.1"));
                    let answer = browser.send_from_elsewhere(ask).await;
                    assert_eq!(browser.session(), None, "{answer:?}");
                    *counts.entry(answer.status).or_default() += 1;
                }
                counts
            })
        })
        .collect();
    let arriving: Vec<_> = honest.into_iter().map(|(browser, ask)| tokio::spawn(arrive(browser, ask))).collect();
    for _ in 0..20 {
        assert_eq!(worker.visit("/").await.status, 200);
    }
    for one in arriving {
        let (browser, answer) = one.await.unwrap();
        assert_eq!((answer.status, answer.reason()), (303, "signed_in"), "{answer:?}");
        assert!(browser.session().is_some());
    }
    for one in flood {
        let counts = one.await.unwrap();
        // A stray answer and one that nobody asked for lead to `done`, which says what is wrong.
        let known = [303, 400, 429];
        assert!(counts.keys().all(|status| known.contains(status)), "{counts:?}");
        assert!(counts[&429] > 0, "a source that goes on is not heard: {counts:?}");
    }
    assert_eq!(app.upstream.count(), upstream + 20, "what reached the application was the worker's");
    let accepted = app.events().iter().filter(|event| event["event"] == "login.accepted").count();
    assert_eq!(accepted, 20);
}

/// T22: a provider whose metadata is slow to be had keeps its own people waiting, and no others.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_provider_keeps_nobody_of_another_waiting_t22() {
    let (initech, hooli) = (SamlProvider::new("initech", "carol"), SamlProvider::new("hooli", "dave"));
    // Answers once, and then never.
    let place = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metadata", place.local_addr().unwrap());
    let document = hooli.published();
    let (asked_again, looked) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let (mut first, _) = place.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = first.read(&mut request).await.unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", document.len());
        first.write_all(format!("{head}{document}").as_bytes()).await.unwrap();
        first.shutdown().await.unwrap();
        let (second, _) = place.accept().await.unwrap();
        asked_again.send(()).unwrap();
        std::future::pending::<()>().await;
        drop(second);
    });
    let setup = Setup::new().with(&initech.connector("")).with(&hooli.connector_at(&url));
    let app = App::start_with(setup.directory(Directory::in_memory())).await;
    let (honest, slow) = (SamlTrial::new(&app, &initech), SamlTrial::new(&app, &hooli));
    let mut strange = vec![];
    for _ in 0..20 {
        let mut browser = app.browser();
        let asked = slow.begin(&mut browser).await;
        let mut words = slow.words(&asked);
        words.key = SamlKey::number(2);
        strange.push((browser, slow.ask(&words.response(), asked.relay_state.as_deref())));
    }
    let mut people = vec![];
    for _ in 0..5 {
        people.push(under_way(&honest).await);
    }
    let waiting: Vec<_> = strange.into_iter().map(|(browser, ask)| tokio::spawn(arrive(browser, ask))).collect();
    looked.await.unwrap();
    for (browser, ask) in people {
        let (_, answer) = arrive(browser, ask).await;
        assert_eq!((answer.status, answer.reason()), (303, "signed_in"), "{answer:?}");
    }
    assert!(waiting.iter().any(|one| !one.is_finished()), "the others were over before: this says nothing");
    // They would wait until the look is given up.
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

/// T47: a certificate of a provider that has run out is still its word about its key, and rolling it over later costs no
/// sign-in.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_has_run_out_stops_nobody_t47() {
    let idp = SamlProvider::new("initech", "carol");
    let app = App::start_with(Setup::new().with(&idp.connector("")).directory(Directory::in_memory())).await;
    let trial = SamlTrial::new(&app, &idp);
    let (old, new) = (SamlKey::number(0), SamlKey::number(1));
    // 2040-01-01: see `SamlKey`.
    let end = 2_208_988_800;
    for days in [-31, -1, 1] {
        let at = end + days * 86_400;
        app.advance(Duration::from_secs(u64::try_from(at - app.clock.now().secs()).unwrap()));
        trial.accepts(&format!("{days} days"), |_| {}).await;
    }
    idp.publish(|metadata| metadata.keys = vec![old, new]);
    app.advance(DAY);
    trial.accepts("the old one of two", |_| {}).await;
    trial.accepts("the new one of two", |words| words.key = new).await;
    idp.publish(|metadata| metadata.keys = vec![new]);
    app.advance(DAY);
    trial.accepts("the new one alone", |words| words.key = new).await;
    trial.signing(Signing::Response).refuses("the old one", 400, "saml_key_untrusted", |words| words.key = old).await;
}

//! Failed passwords are held up by where they come from (N04, T66).

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;

use crate::native_sign_in::{login, setup};
use crate::support::{App, Ask, Setup, answer};

/// Behind a proxy that says where requests come from.
fn behind_a_proxy(setup: Setup) -> Setup {
    setup.replacing("workers = 2", "workers = 2\ntrusted_proxies = [\"127.0.0.1\"]")
}

fn from(ask: &Ask, address: &str) -> Ask {
    ask.clone().with("X-Forwarded-For", address)
}

/// The application knows one password, the victim's.
fn judge(app: &App) {
    app.upstream.reply(|asked| match asked.header("x-right") {
        Some(_) => answer(302, &[("Location", "/")], ""),
        None => answer(302, &[("Location", "/login?error")], ""),
    });
}

/// N04, T66
#[tokio::test(flavor = "multi_thread")]
async fn one_password_for_five_hundred_users_is_held_up_and_the_victim_gets_through() {
    let app = App::start_with(behind_a_proxy(setup())).await;
    judge(&app);
    let victim = login("user-250").with("X-Right", "1");
    assert_eq!(app.send(&from(&victim, "192.0.2.200")).await.status, 302);
    app.events();
    let (mut reached, mut sprays) = (BTreeMap::<u32, usize>::new(), vec![]);
    for user in 0..500u32 {
        // Fifty addresses in five networks.
        let (network, host) = (user % 5, user / 5 % 10);
        let before = app.upstream.count();
        let ask = from(&login(&format!("user-{user}")), &format!("192.0.{network}.{host}"));
        let answered = app.send(&ask).await;
        if answered.status == 429 {
            assert_eq!((answered.reason(), app.upstream.count()), ("sign_in_throttled", before));
            let secs: u64 = answered.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=601).contains(&secs), "{secs}");
        } else {
            *reached.entry(network).or_default() += 1;
        }
        sprays.extend(app.events().into_iter().filter(|e| e["reason"] == "spray_detected").map(|_| user));
        app.advance(Duration::from_millis(1_200));
    }
    assert!(reached.values().all(|tries| *tries <= 20), "per network: {reached:?}");
    assert!(sprays.first().is_some_and(|user| *user <= 50), "within 60 s: {sprays:?}");
    // From the usual network, while others spray there; and from one that nobody has misused.
    assert_eq!(app.send(&from(&victim, "192.0.2.200")).await.status, 302);
    assert_eq!(app.send(&from(&victim, "203.0.113.5")).await.status, 302);
    let page = from(&Ask::form("/login", &[("username", "somebody")]), "192.0.2.1");
    let page = app.send(&page).await;
    assert!(page.status == 429 && page.text().contains("No account is locked"), "{page:?}");
    app.advance(Duration::from_secs(600));
    assert_eq!(app.send(&from(&login("user-1").with("X-Right", "1"), "192.0.1.1")).await.status, 302);
}

/// A wrong Basic password counts as well, and a program with a good one is not held up however many connections it has.
#[tokio::test(flavor = "multi_thread")]
async fn guessing_at_one_basic_name_ends_and_the_program_itself_goes_on() {
    let app = App::start_with(behind_a_proxy(Setup::new())).await;
    app.upstream.reply(|asked| answer(if asked.header("x-right").is_some() { 200 } else { 401 }, &[], ""));
    let pair = base64::engine::general_purpose::STANDARD.encode("svc-billing:guess");
    let basic = Ask::get("/api/a").with("Authorization", &format!("Basic {pair}"));
    let mut statuses = BTreeMap::<u16, usize>::new();
    for _ in 0..30 {
        *statuses.entry(app.send(&from(&basic, "192.0.2.1")).await.status).or_default() += 1;
    }
    assert_eq!(statuses, BTreeMap::from([(401, 20), (429, 10)]));
    let right = from(&basic.clone().with("X-Right", "1"), "198.51.100.1");
    let many = futures_util::future::join_all((0..40).map(|_| app.send(&right))).await;
    assert!(many.iter().all(|answered| answered.status == 200), "{many:?}");
    // Keys have no names, and nobody guesses at them.
    for _ in 0..30 {
        let key = from(&Ask::get("/api/a").with("X-Api-Key", "wrong"), "192.0.2.1");
        assert_eq!(app.send(&key).await.status, 401);
    }
}

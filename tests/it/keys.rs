//! Keys rotate while people sign in and work (E12, T45).

use std::time::Duration;

use anteroom::base::keys::plan;
use serde_json::Value;

use crate::command_line::{anteroom, run};
use crate::support::{App, Browser};

async fn rotate(app: &App) -> String {
    let (code, out, err) = run(anteroom(&["keys", "rotate"]).arg("--socket").arg(&app.admin_socket)).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    out
}

async fn published(app: &App) -> usize {
    let jwks: Value = serde_json::from_str(&app.browser().visit("/.anteroom/jwks.json").await.text()).unwrap();
    jwks["keys"].as_array().unwrap().len()
}

async fn status(browser: &mut Browser) -> u16 {
    browser.visit("/inside").await.status
}

/// A sign-in that was begun, with the provider's answer to it.
async fn begun(app: &App) -> (Browser, std::collections::BTreeMap<String, String>) {
    let mut browser = app.browser();
    let to_provider = app.start_sign_in(&mut browser, "acme", "/", "alice@acme.com").await;
    let query = app.acme.sign_in(to_provider.location());
    (browser, query)
}

async fn ended(begun: (Browser, std::collections::BTreeMap<String, String>)) -> Browser {
    let (mut browser, query) = begun;
    let answer = browser.send(App::callback("acme", &query)).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    assert_eq!(status(&mut browser).await, 200);
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn t45_a_rotation_signs_nobody_out_and_loses_no_sign_in() {
    let app = App::start().await;
    let mut signed_in = app.signed_in().await;
    app.advance(Duration::from_secs(60));
    assert_eq!(published(&app).await, 1);
    let before = begun(&app).await;
    let text = rotate(&app).await;
    assert!(text.contains("waiting") && text.contains("the new keys are used from "), "{text}");
    assert_eq!(published(&app).await, 2, "shown before it signs");
    let during = begun(&app).await;
    assert_eq!(status(&mut signed_in).await, 200);
    ended(before).await;
    app.advance(plan::USE_AFTER - Duration::from_secs(1));
    let last_with_the_old = begun(&app).await;
    let mut people = vec![ended(during).await];
    app.advance(Duration::from_secs(60));
    let text = listed(&app).await;
    assert!(text.contains("superseded"), "{text}");
    people.push(ended(last_with_the_old).await);
    people.push(ended(begun(&app).await).await);
    people.push(signed_in);
    for browser in &mut people {
        assert_eq!(status(browser).await, 200);
    }
    assert_eq!(published(&app).await, 2, "what the old one signed can still be verified");
}

async fn listed(app: &App) -> String {
    let (code, out, _) = run(anteroom(&["keys", "list"]).arg("--socket").arg(&app.admin_socket)).await;
    assert_eq!(code, 0);
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_rotation_in_a_row_makes_no_other_keys() {
    let app = App::start().await;
    let first = rotate(&app).await;
    assert_eq!(rotate(&app).await, first);
    assert_eq!(first.lines().filter(|line| line.starts_with("sealing")).count(), 2);
}

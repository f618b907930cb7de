//! The story of what was refused, by the reference on the page.

use serde_json::{Value, json};

use crate::support::{Answer, App, Ask, Setup};

fn reference(answer: &Answer) -> &str {
    answer.header("x-request-id").unwrap()
}

/// The only record of this answer.
async fn record(app: &App, answer: &Answer) -> Value {
    let (text, records) = app.story(reference(answer)).await;
    let [record] = records.as_array().unwrap().as_slice() else { panic!("not one record: {text}") };
    record.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_says_which_route_asked_for_what_and_what_the_cookie_answered() {
    let app = App::start().await;
    let stranger = app.send(&Ask::page("/admin/users?token=canary-query")).await;
    let told = record(&app, &stranger).await;
    let expected = json!({
        "kind": "challenge", "step": "request", "reason": "sign_in_required", "method": "GET", "host": "app.example.com",
        "path": "/admin/users", "asker": "page", "status": "302", "app": "portal", "route": "/admin/** (all methods)",
        "asks": "signed-in, role Admin or higher", "cookie": "none", "client_ip": "127.0.0.0/24",
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(told[key], *value, "{key}: {told}");
    }
    let cookie = |value: &str| Ask::page("/").with("Cookie", &format!("__Host-anteroom={value}"));
    let unknown = "canary".to_owned() + &"A".repeat(37);
    for (ask, answered) in [
        (cookie("canary"), "malformed"),
        (cookie(&unknown), "unknown"),
        (cookie("canary").with("Cookie", "__Host-anteroom=canary2"), "twice"),
    ] {
        let told = record(&app, &app.send(&ask).await).await;
        assert_eq!(told["cookie"], answered);
        assert!(!told.to_string().contains("canary"), "{told}");
    }
    // Its honest twins: what was let through leaves nothing.
    let mut alice = app.signed_in().await;
    for answer in [alice.visit("/admin/users").await, app.send(&Ask::page("/public/x")).await] {
        assert_eq!(answer.status, 200);
        assert_eq!(app.story(reference(&answer)).await.1, json!([]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_says_whose_session_was_not_enough_and_for_what() {
    let app = App::start_with(
        Setup::new()
            .replacing("  { path = \"/health\"", "  { path = \"/pay/**\", max_age = \"5m\" },\n  { path = \"/health\""),
    )
    .await;
    app.acme.script().claims["roles"] = json!(["User"]);
    let mut alice = app.signed_in().await;
    let denied = record(&app, &alice.visit("/admin/users").await).await;
    assert_eq!((&denied["reason"], &denied["user"]), (&json!("role_missing"), &json!("a***@acme.com")));
    assert_eq!(
        (&denied["role"], &denied["cookie"], &denied["status"]),
        (&json!("User"), &json!("good"), &json!("403"))
    );

    let paying = alice.visit("/pay/all").await;
    let stepped = record(&app, &paying).await;
    assert_eq!((&stepped["reason"], &stepped["claim"]), (&json!("auth_too_old"), &json!("auth_time")));
    assert_eq!((&stepped["expected"], &stepped["found"]), (&json!("at most 300 s ago"), &json!("nothing said")));
    assert!(app.story(reference(&paying)).await.0.contains("asks for signed-in, signed in at most 300 s ago"));

    let key = Ask::get("/api/x").with("X-Api-Key", "canary-1").with("X-Api-Key", "canary-2");
    let two = record(&app, &app.send(&key).await).await;
    assert_eq!((&two["reason"], &two["credential"]), (&json!("credential_ambiguous"), &json!("two of one kind came")));
    assert!(!two.to_string().contains("canary"), "{two}");

    let dots = record(&app, &app.send(&Ask::page("/a/%2e%2e/b")).await).await;
    assert_eq!((&dots["kind"], &dots["reason"]), (&json!("denial"), &json!("path_dot_segment")));
    let own = record(&app, &app.send(&Ask::page("/.anteroom/nothing")).await).await;
    assert_eq!(
        (&own["step"], &own["reason"], &own["path"]),
        (&json!("own_path"), &json!("own_path_unknown"), &json!("nothing"))
    );
}

/// Of each step and each way to fail: nothing in the records opens anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_is_told_from_start_to_end_and_gives_nothing_away() {
    let app = App::start().await;
    let mut secrets: Vec<String> = vec!["canary".to_owned()];
    let mut stories = String::new();
    let mut honest = app.browser();
    // Refused for a claim, refused by the provider, and well.
    for (spoil, reasons) in [
        ("upn", vec!["sign_in_started", "domain_not_allowed", "domain_not_allowed"]),
        ("error", vec!["sign_in_started", "provider_refused", "provider_refused"]),
        ("nothing", vec!["sign_in_started", "signed_in"]),
    ] {
        app.acme.honest();
        let mut browser = app.browser();
        let to_provider = app.start_sign_in(&mut browser, "acme", "/report?canary=1", "alice@acme.com").await;
        let mut query = app.acme.sign_in(to_provider.location());
        match spoil {
            "upn" => app.acme.script().claims["upn"] = "alice@partner.example".into(),
            "error" => {
                query.remove("code");
                query.insert("error".into(), "access_denied".into());
                query.insert("error_description".into(), "AADSTS50105: alice@acme.com is not assigned".into());
            }
            _ => {}
        }
        secrets.extend(query.get("code").cloned());
        secrets.push(query["state"].split_once('.').unwrap().1.to_owned());
        secrets.extend(browser.cookies.values().cloned());
        app.advance(std::time::Duration::from_secs(1));
        let back = browser.send(App::callback("acme", &query)).await;
        let (text, records) = app.story(reference(&back)).await;
        let found: Vec<&str> =
            records.as_array().unwrap().iter().map(|told| told["reason"].as_str().unwrap()).collect();
        assert_eq!(found, reasons, "{text}");
        secrets.extend(browser.session().map(str::to_owned));
        let started = app.story(reference(&to_provider)).await;
        assert!(started.0.contains(reasons[1]), "the start leads to the end: {}", started.0);
        stories += &(text + &records.to_string() + &started.0);
        honest = browser;
    }
    assert_eq!(honest.visit("/").await.status, 200);
    assert!(stories.contains("a***@partner.example") && stories.contains("a***@acme.com is not assigned"), "{stories}");

    // The cookie of the attempt did not come back: it is named.
    app.acme.honest();
    let mut lost = app.browser();
    let to_provider = app.start_sign_in(&mut lost, "acme", "/", "alice@acme.com").await;
    let query = app.acme.sign_in(to_provider.location());
    let cookie = lost.attempts()[0].to_owned();
    secrets.push(query["state"].split_once('.').unwrap().1.to_owned());
    let back = app.browser().send(App::callback("acme", &query)).await;
    let (text, _) = app.story(reference(&back)).await;
    assert!(text.contains("tx_not_bound") && text.contains(&format!("cookie {cookie}")), "{text}");
    assert!(text.contains("sign_in_started"), "{text}");
    stories += &text;
    for secret in &secrets {
        assert!(!stories.contains(secret.as_str()), "{secret} is in\n{stories}");
    }
    assert!(!stories.contains("alice@"), "{stories}");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_shown_where_the_setting_says_so_and_nothing_is_kept_where_it_is_off() {
    for (setting, count) in [("personal_data = \"shown\"", 1), ("enabled = false", 0)] {
        let app = App::start_with(Setup::new().with(&format!("[explain]\n{setting}"))).await;
        let mut alice = app.signed_in().await;
        let denied = alice.visit("/enterprise/x").await;
        assert_eq!(denied.status, 403);
        let (text, records) = app.story(reference(&denied)).await;
        assert_eq!(records.as_array().unwrap().len(), count, "{text}");
        assert_eq!(text.contains("alice@acme.com") && text.contains("127.0.0.1"), count == 1, "{text}");
    }
}

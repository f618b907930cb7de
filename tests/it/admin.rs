//! Commands against the running product, over its admin socket.

use std::time::Duration;

use serde_json::Value;

use crate::command_line::{anteroom, run};
use crate::support::{App, Browser, Setup};

/// Runs a command against the product: exit code, output, error output.
async fn command(app: &App, arguments: &[&str]) -> (i32, String, String) {
    run(anteroom(arguments).arg("--socket").arg(&app.admin_socket)).await
}

/// A command that succeeds; what it says.
async fn says(app: &App, arguments: &[&str]) -> String {
    let (code, out, err) = command(app, arguments).await;
    assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}: {out}");
    out
}

/// What `session list` knows.
async fn sessions(app: &App, more: &[&str]) -> Vec<Value> {
    let list = says(app, &[&["session", "list", "--format", "json"], more].concat()).await;
    serde_json::from_str::<Value>(&list).unwrap()["sessions"].as_array().unwrap().clone()
}

/// The audit events of changes so far: reason and outcome.
fn changes(app: &App) -> Vec<(String, String)> {
    let text = |event: &Value, key: &str| event[key].as_str().unwrap().to_owned();
    let events = app.events().into_iter().filter(|event| event["event"] == "admin.changed");
    events.map(|event| (text(&event, "reason"), text(&event, "outcome"))).collect()
}

async fn status(browser: &mut Browser) -> u16 {
    browser.visit("/inside").await.status
}

/// A browser signed in as Bob, at the other connector.
async fn bob(app: &App) -> Browser {
    let mut browser = app.browser();
    let to_provider = app.start_sign_in(&mut browser, "globex", "/", "bob@globex.com").await;
    let query = app.globex.sign_in(to_provider.location());
    assert_eq!(browser.send(App::callback("globex", &query)).await.status, 303);
    assert_eq!(status(&mut browser).await, 200);
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn e15_of_three_sessions_the_revoked_one_ends_and_no_other() {
    let app = App::start().await;
    let mut browsers = vec![];
    for _ in 0..3 {
        browsers.push(app.signed_in().await);
        app.advance(Duration::from_secs(1));
    }
    let before = sessions(&app, &[]).await;
    assert_eq!(before.len(), 3);
    assert!(before.iter().all(|session| session["user"] == "alice@acme.com" && session["connector"] == "acme"));
    for browser in &browsers {
        let cookie = browser.session().unwrap();
        assert!(before.iter().all(|session| !session.to_string().contains(cookie)), "what is listed opens nothing");
    }
    // Newest first, so this is the second one's.
    let reference = before[1]["reference"].as_str().unwrap().to_owned();
    assert_eq!(says(&app, &["session", "revoke", &reference]).await, "1 session ended\n");
    let mut found = vec![];
    for browser in &mut browsers {
        found.push(status(browser).await);
    }
    assert_eq!(found, [200, 302, 200]);
    let after = sessions(&app, &[]).await;
    assert!(after.len() == 2 && after.iter().all(|session| session["reference"] != reference.as_str()), "{after:?}");
    let (code, _, err) = command(&app, &["session", "revoke", &reference]).await;
    assert!(code == 1 && err.contains(&reference), "{err}");
    let done = |reason: &str| (reason.to_owned(), "AuthSuccess".to_owned());
    assert_eq!(changes(&app), [done("sessions_revoked"), done("sessions_revoked")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_a_connector_a_domain_or_everybody_is_signed_out() {
    let app = App::start().await;
    for (named, bob_goes_on) in [
        (&["--user", "Alice@ACME.com"][..], true),
        (&["--connector", "acme"], true),
        (&["--domain", "acme.com"], true),
        (&["--all"], false),
    ] {
        let (mut one, mut two, mut bob) = (app.signed_in().await, app.signed_in().await, bob(&app).await);
        let (code, _, err) = command(&app, &[&["session", "revoke"], named].concat()).await;
        assert!(code == 2 && err.contains("--yes"), "{named:?}: more than one, and nobody to ask: {err}");
        assert_eq!((status(&mut one).await, status(&mut bob).await), (200, 200));
        says(&app, &[&["session", "revoke", "--yes"], named].concat()).await;
        assert_eq!((status(&mut one).await, status(&mut two).await), (302, 302), "{named:?}");
        assert_eq!(status(&mut bob).await == 200, bob_goes_on, "{named:?}");
        says(&app, &["session", "revoke", "--all", "--yes"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_for_people_or_for_programs() {
    let app = App::start().await;
    let (_alice, _bob) = (app.signed_in().await, bob(&app).await);
    let text = says(&app, &["session", "list"]).await;
    assert!(text.starts_with("REFERENCE ") && text.contains("bob@globex.com"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert_eq!(text.lines().count(), 3);
    for (filter, user) in [("--connector=globex", "bob@globex.com"), ("--domain=acme.com", "alice@acme.com")] {
        let found = sessions(&app, &[filter]).await;
        assert!(found.len() == 1 && found[0]["user"] == user, "{filter}: {found:?}");
    }
    let one = says(&app, &["session", "list", "--limit", "1"]).await;
    assert!(one.lines().count() == 3 && one.contains("there are more"), "{one}");
    app.advance(Duration::from_secs(3600));
    let found = sessions(&app, &["--user", "alice@acme.com"]).await;
    assert_eq!((&found[0]["idle_secs"], &found[0]["secs_left"]), (&Value::from(3600), &Value::from(23 * 3600)));
    app.advance(Duration::from_secs(23 * 3600));
    assert_eq!(sessions(&app, &[]).await.len(), 0, "what is over is not listed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_is_switched_off_signs_nobody_in_until_it_is_on_again() {
    let app = App::start().await;
    let (mut alice, mut bob) = (app.signed_in().await, bob(&app).await);
    let off = says(&app, &["connector", "disable", "acme", "--keep-sessions"]).await;
    assert_eq!(off, "acme is off; its sessions go on until their limits\n");
    assert_eq!(status(&mut alice).await, 200);
    let go = "/.anteroom/sign-in/go?connector=acme&rd=%2F";
    let refused = app.browser().visit(go).await;
    assert_eq!((refused.status, refused.header("x-anteroom")), (403, Some("connector_disabled")));
    assert!(says(&app, &["status"]).await.contains("acme (off)"));
    assert_eq!(says(&app, &["connector", "enable", "acme"]).await, "acme is on\n");
    let mut alice_again = app.signed_in().await;
    let off = says(&app, &["domain", "disable", "acme.com", "--end-sessions"]).await;
    assert_eq!(off, "acme.com is off; 2 sessions ended\n");
    assert_eq!((status(&mut alice).await, status(&mut alice_again).await, status(&mut bob).await), (302, 302, 200));
    assert_eq!(says(&app, &["domain", "enable", "acme.com"]).await, "acme.com is on for everybody\n");
    let (code, _, err) = command(&app, &["connector", "disable", "nobody"]).await;
    assert!(code == 1 && err.contains("no connector \"nobody\""), "{err}");
    let outcomes: Vec<String> = changes(&app).into_iter().map(|(reason, _)| reason).collect();
    let expected =
        ["connector_disabled", "connector_enabled", "domain_disabled", "domain_enabled", "connector_disabled"];
    assert_eq!(outcomes, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_on_disable_says_what_happens_to_sessions_and_a_flag_says_otherwise() {
    let app = App::start_with(Setup::new().with("[sessions]\non_disable = \"keep\"")).await;
    let mut alice = app.signed_in().await;
    let off = says(&app, &["connector", "disable", "acme"]).await;
    assert!(off.contains("go on"), "{off}");
    assert_eq!(status(&mut alice).await, 200);
    let off = says(&app, &["connector", "disable", "acme", "--end-sessions"]).await;
    assert_eq!(off, "acme is off; 1 session ended\n");
    assert_eq!(status(&mut alice).await, 302);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_process_a_command_says_where_it_looked_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("none.sock");
    let path = socket.to_str().unwrap();
    for arguments in [
        &["status"][..],
        &["session", "list"],
        &["session", "revoke", "--all", "--yes"],
        &["keys", "list"],
        &["keys", "rotate"],
        &["connector", "disable", "acme"],
        &["domain", "enable", "acme.com"],
        &["explain", "x"],
    ] {
        let (code, out, err) = run(anteroom(arguments).args(["--socket", path])).await;
        assert_eq!((code, out.as_str()), (1, ""), "{arguments:?}");
        assert!(err.contains(path) && err.contains("anteroom serve") && err.contains("--socket"), "{err}");
    }
    for wrong in [
        &["status"][..],
        &["session", "revoke", "--socket", path],
        &["session", "revoke", "--all", "--user", "a@b.c", "--socket", path],
        &["session", "list", "--limit", "0", "--socket", path],
        &["status", "--socket", path, "--config", "x.toml"],
    ] {
        let (code, _, err) = run(&mut anteroom(wrong)).await;
        assert!(code == 2 && err.contains("--help"), "{wrong:?}: {err}");
    }
}

#[tokio::test]
async fn the_help_of_every_command_teaches_with_an_example() {
    for command in [
        &["status"][..],
        &["session", "list"],
        &["session", "revoke"],
        &["keys", "list"],
        &["keys", "rotate"],
        &["connector", "disable"],
        &["connector", "enable"],
        &["domain", "disable"],
        &["domain", "enable"],
        &["explain"],
    ] {
        let (code, out, _) = run(anteroom(command).arg("--help")).await;
        assert_eq!(code, 0);
        let example = format!("anteroom {} --config anteroom.toml", command.join(" "));
        assert!(out.contains(&example) && out.contains("kubectl exec"), "{command:?}:\n{out}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_find_the_process_by_its_configuration() {
    let binary = crate::command_line::Binary::start(|toml| toml).await;
    let found = binary.command(&["status"]).await;
    assert_eq!(found.0, 0, "{found:?}");
    assert!(found.1.contains("directory: sqlite") && found.1.contains("sealing"), "{found:?}");
    let socket = binary.place().join("anteroom.sock");
    assert!(socket.exists());
    let place = binary.place().to_owned();
    drop(binary.stopped().await);
    assert!(!place.join("anteroom.sock").exists(), "gone with its process");
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_tells_what_was_decided_under_the_reference_that_the_page_shows() {
    let app = App::start().await;
    let refused = app.browser().visit("/.anteroom/oidc/acme/callback?code=x&state=y").await;
    assert_eq!(refused.status, 400);
    let reference = refused.header("x-request-id").unwrap();
    assert!(refused.text().contains(reference), "{}", refused.text());
    let reason = refused.header("x-anteroom").unwrap();
    let text = says(&app, &["explain", reference]).await;
    assert!(text.contains(reason) && text.contains("what to do"), "{text}");
    let story: Value = serde_json::from_str(&says(&app, &["explain", "--format", "json", reference]).await).unwrap();
    assert_eq!(story[0]["reason"], reason);
    let (code, out, err) = command(&app, &["explain", "nothing-of-that-name"]).await;
    assert!((code, out.as_str()) == (1, "") && err.contains("Nothing is kept"), "{err}");
}

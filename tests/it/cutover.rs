//! The cut-over of a domain: for whom and from when people are asked to sign in at their provider, and its undo.

use std::time::Duration;

use anteroom::base::clock::Timestamp;
use anteroom::directory::Directory;
use serde_json::{Value, json};

use crate::command_line::{anteroom, run};
use crate::support::{App, Ask, Setup, until_async};

/// A command against the product: exit code, output, error output.
async fn command(app: &App, arguments: &[&str]) -> (i32, String, String) {
    run(anteroom(arguments).arg("--socket").arg(&app.admin_socket)).await
}

/// A command that succeeds; what it says.
async fn says(app: &App, arguments: &[&str]) -> String {
    let (code, out, err) = command(app, arguments).await;
    assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}: {out}");
    out
}

/// What `domain list` knows of a domain.
async fn domain(app: &App, name: &str) -> Value {
    let list: Value = serde_json::from_str(&says(app, &["domain", "list", "--json"]).await).unwrap();
    list["domains"].as_array().unwrap().iter().find(|domain| domain["name"] == name).cloned().unwrap_or_default()
}

/// Whether the e-mail page sends this person to a provider.
async fn is_asked(app: &App, email: &str) -> bool {
    // Look-ups of one source are limited.
    app.advance(Duration::from_secs(2));
    let answer = app.send(&Ask::form("/.anteroom/sign-in/start", &[("email", email)])).await;
    match (answer.status, answer.reason()) {
        (200, "connector_choice") => true,
        (200, "domain_unknown") => false,
        _ => panic!("{answer:?}"),
    }
}

/// Those of a crowd who are asked.
async fn asked(app: &App) -> Vec<usize> {
    let mut asked = vec![];
    for number in 0..60 {
        if is_asked(app, &format!("user{number}@acme.com")).await {
            asked.push(number);
        }
    }
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_is_the_same_people_everywhere_and_grows_without_leaving_anybody_out() {
    let app = App::start().await;
    assert_eq!(asked(&app).await.len(), 60, "nothing was said: everybody");
    let said = says(&app, &["domain", "enable", "acme.com", "--percent", "20"]).await;
    assert_eq!(said, "acme.com is on for 20 of 100\n");
    let some = asked(&app).await;
    assert!((1..40).contains(&some.len()), "{some:?}");
    assert!(is_asked(&app, "bob@globex.com").await, "another domain");
    // However the address is written; and after a restart.
    for number in 0..20 {
        assert_eq!(is_asked(&app, &format!("USER{number}@ACME.com.")).await, some.contains(&number), "{number}");
    }
    let app = app.restart().await;
    assert_eq!(asked(&app).await, some);
    says(&app, &["domain", "enable", "acme.com", "--percent", "60"]).await;
    let more = asked(&app).await;
    assert!(more.len() > some.len() && some.iter().all(|number| more.contains(number)), "{some:?} {more:?}");
    says(&app, &["domain", "enable", "acme.com", "--percent", "0"]).await;
    assert_eq!(asked(&app).await, Vec::<usize>::new());
    assert_eq!(says(&app, &["domain", "enable", "acme.com"]).await, "acme.com is on for everybody\n");
    assert_eq!(asked(&app).await.len(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn listed_people_are_asked_in_every_process_and_nobody_else() {
    let app = App::start_with(Setup::new().directory(Directory::in_memory())).await;
    let another = app.another().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pilot.txt");
    std::fs::write(&file, "# pilot\nCarol@acme.com\ndora@acme.com\n").unwrap();
    let list = ["domain", "enable", "acme.com", "--user", "ann@acme.com", "--users-file", file.to_str().unwrap()];
    assert_eq!(says(&app, &list).await, "acme.com is on for 3 listed people\n");
    until_async("the other process knows", || async { !is_asked(&another, "bob@acme.com").await }).await;
    for app in [&app, &another] {
        for (email, expected) in [
            ("ann@acme.com", true),
            ("carol@acme.com", true),
            ("DORA@acme.com", true),
            ("bob@acme.com", false),
            ("ann+x@acme.com", false),
            ("a.nn@acme.com", false),
            ("bob@globex.com", true),
        ] {
            assert_eq!(is_asked(app, email).await, expected, "{email}");
        }
        // A link with the address of somebody who is not part of it asks as the page does.
        for (hint, status, reason) in [
            ("login_hint=ann%40acme.com", 303, "sign_in_started"),
            ("login_hint=bob%40acme.com", 200, "sign_in"),
            ("domain_hint=acme.com", 200, "sign_in"),
            ("domain_hint=globex.com", 303, "sign_in_started"),
        ] {
            let answer = app.browser().visit(&format!("/.anteroom/sign-in?{hint}")).await;
            assert_eq!((answer.status, answer.reason()), (status, reason), "{hint}");
        }
    }
    let view = domain(&another, "acme.com").await;
    let users = json!(["ann@acme.com", "carol@acme.com", "dora@acme.com"]);
    assert_eq!(view["now"], json!({ "percent": 0, "users": users }));
    // What makes no sense is refused, and nothing of it holds.
    std::fs::write(&file, "# nobody\n").unwrap();
    for (more, says) in [
        (&["--user", "ann@acme.org"][..], "@acme.com"),
        (&["--users-file", file.to_str().unwrap()], "no address"),
        (&["--percent", "101"], "101"),
        (&["--at", "tomorrow"], "2026-12-01T06:00:00Z"),
        (&["--at", "2020-01-01T00:00:00Z"], "has passed"),
    ] {
        let (code, out, err) = command(&app, &[&["domain", "enable", "acme.com"], more].concat()).await;
        assert!(code > 0 && out.is_empty() && err.contains(says), "{more:?}: {err}");
    }
    assert_eq!(domain(&app, "acme.com").await, view);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_begins_by_itself_and_until_then_holds_what_held() {
    let app = App::start_with(Setup::new().directory(Directory::in_memory())).await;
    let another = app.another().await;
    let at = |secs: u64| app.clock.now().plus(Duration::from_secs(secs));
    let first = at(3_600);
    let said = says(&app, &["domain", "enable", "acme.com", "--at", &first.rfc3339()]).await;
    assert_eq!(said, format!("acme.com is on for nobody; for everybody from {} on\n", first.rfc3339()));
    until_async("the other process knows", || async { !is_asked(&another, "bob@acme.com").await }).await;
    app.clock.set_wall(Timestamp::from_millis(first.millis() - 2_001));
    assert!(!is_asked(&app, "bob@acme.com").await, "a moment before");
    for app in [&app, &another] {
        assert!(is_asked(app, "bob@acme.com").await, "without another word");
    }
    // The next step of a ramp leaves those where they are who are part of it.
    says(&app, &["domain", "enable", "acme.com", "--user", "ann@acme.com"]).await;
    let second = at(3_600);
    says(&app, &["domain", "enable", "acme.com", "--at", &second.rfc3339()]).await;
    assert!(is_asked(&app, "ann@acme.com").await && !is_asked(&app, "bob@acme.com").await);
    app.clock.set_wall(second);
    assert!(is_asked(&app, "bob@acme.com").await);
    // What is off stays off, whatever was to come.
    says(&app, &["domain", "enable", "acme.com", "--at", &at(3_600).rfc3339()]).await;
    says(&app, &["domain", "disable", "acme.com"]).await;
    app.advance(Duration::from_secs(7_200));
    assert!(!is_asked(&app, "bob@acme.com").await);
}

/// Who is not part of the share yet is not asked to go to the provider; who comes from there is let in.
#[tokio::test(flavor = "multi_thread")]
async fn a_verified_person_is_let_in_before_their_turn_and_refused_when_it_is_off() {
    let app = App::start().await;
    says(&app, &["domain", "enable", "acme.com", "--user", "ann@acme.com"]).await;
    assert!(!is_asked(&app, "alice@acme.com").await);
    let mut alice = app.signed_in().await;
    assert_eq!(alice.visit("/").await.status, 200);
    // Undo: nobody is signed out, and nobody signs in.
    let off = says(&app, &["domain", "disable", "acme.com"]).await;
    assert_eq!(off, "acme.com is off; its sessions go on until their limits\n");
    assert_eq!(alice.visit("/").await.status, 200);
    let before = app.upstream.count();
    let mut again = app.browser();
    let refused = app.sign_in_with(&mut again, "/").await;
    assert_eq!((refused.status, refused.reason(), again.session()), (403, "domain_disabled", None));
    assert_eq!(app.upstream.count(), before);
    let app = app.restart().await;
    assert_eq!(alice.at(app.address).visit("/").await.status, 200, "after a restart too");
    assert!(!is_asked(&app, "ann@acme.com").await, "what was switched off stays off");
    says(&app, &["domain", "enable", "acme.com"]).await;
    app.signed_in().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_may_be_spoken_of_before_the_configuration_has_it() {
    let app = App::start().await;
    let off = says(&app, &["domain", "disable", "Initech.example"]).await;
    let note = "note: the configuration has no [domains.\"initech.example\"] yet";
    assert!(off.starts_with("initech.example is off; ") && off.contains(note), "{off}");
    let on = says(&app, &["domain", "enable", "umbrella.example", "--user", "ann@umbrella.example"]).await;
    assert!(on.starts_with("umbrella.example is on for 1 listed person\nnote: "), "{on}");
    let known = domain(&app, "umbrella.example").await;
    assert_eq!((&known["configured"], &known["connector"]), (&json!(false), &Value::Null));
    assert!(!is_asked(&app, "ann@umbrella.example").await, "it has no connector");
    let section = |name: &str| format!("[domains.\"{name}\"]\nconnector = \"acme\"\nenvironment = \"production\"\n");
    let app = app.restart_with(&(section("initech.example") + &section("umbrella.example"))).await;
    for (email, expected) in
        [("ann@initech.example", false), ("ann@umbrella.example", true), ("bob@umbrella.example", false)]
    {
        assert_eq!(is_asked(&app, email).await, expected, "{email}");
    }
    says(&app, &["domain", "enable", "initech.example"]).await;
    assert!(is_asked(&app, "ann@initech.example").await);
    for bad in ["initech", "a@initech.example", "initech..example"] {
        for what in ["enable", "disable"] {
            let (code, out, err) = command(&app, &["domain", what, bad]).await;
            assert!(code == 1 && out.is_empty() && err.contains("no e-mail domain"), "{bad}: {err}");
        }
    }
}

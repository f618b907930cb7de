//! What is asked over it, and what is noted of that.

use super::*;

#[tokio::test]
async fn lists_are_bounded_and_say_whether_there_are_more() {
    let running = running().await;
    let all = running.client.sessions(&Which::default(), 10).await.unwrap();
    assert_eq!((all.sessions.len(), all.more), (5, false));
    assert_eq!(all.sessions[1], session(1));
    let some = running.client.sessions(&Which::default(), 4).await.unwrap();
    assert_eq!((some.sessions.len(), some.more), (4, true));
    assert_eq!(running.notes.taken(), ["list All 11", "list All 5"]);
    for limit in [0, 10_001] {
        let error = running.client.sessions(&Which::default(), limit).await.unwrap_err();
        assert!(error.to_string().contains("allowed: 1 to 10000"), "{error}");
    }
    assert_eq!(running.events(), [] as [Value; 0], "asking changes nothing");
}

#[tokio::test]
async fn e15_sessions_are_named_in_one_way_at_a_time() {
    let running = running().await;
    let word = |text: &str| Some(text.to_owned());
    let honest = [
        (Which { reference: word(&Uuid::from_u128(7).to_string()), ..Which::default() }, "Reference(00000000-"),
        (Which { user: word("Alice@ACME.com"), ..Which::default() }, "Email(\"alice@acme.com\")"),
        (Which { connector: word("acme"), ..Which::default() }, "Connector("),
        (Which { connector: word("acme"), sub: word("A b&c"), ..Which::default() }, "sub: \"A b&c\""),
        (Which { domain: word("acme.com"), ..Which::default() }, "Domain("),
    ];
    for (which, says) in &honest {
        running.client.sessions(which, 5).await.unwrap();
        assert_eq!(running.client.revoke(which).await.unwrap(), Revoked { ended: 2 });
        let notes = running.notes.taken();
        assert!(notes[0].starts_with("list") && notes[1].starts_with("revoke"), "{notes:?}");
        assert!(notes.iter().all(|note| note.contains(says)), "{notes:?}");
    }
    running.client.revoke(&Which { all: true, ..Which::default() }).await.unwrap();
    assert_eq!(running.notes.taken(), ["revoke All"]);
    let _seen = running.events();
    let nobody = Which::default();
    let two = Which { user: word("alice@acme.com"), all: true, ..Which::default() };
    let alone = Which { sub: word("x"), ..Which::default() };
    let beside = Which { user: word("alice@acme.com"), sub: word("x"), ..Which::default() };
    let bad = Which { reference: word("7"), ..Which::default() };
    for which in [nobody, two, alone, beside, bad, Which { user: word("alice"), ..Which::default() }] {
        let error = running.client.revoke(&which).await.unwrap_err();
        assert!(matches!(error, ClientError::Refused(_)), "{which:?}: {error}");
    }
    assert_eq!((running.notes.taken(), running.events()), (vec![], vec![]), "nothing was done, so nothing is noted");
}

#[tokio::test]
async fn every_change_is_noted_with_who_made_it() {
    let running = running().await;
    let own = rustix::process::geteuid().as_raw().to_string();
    let user = Which { user: Some("alice@acme.com".to_owned()), ..Which::default() };
    running.client.revoke(&user).await.unwrap();
    let keep = SwitchOrder { end_sessions: Some(false) };
    let switched = running.client.switch_connector("acme", true, keep).await.unwrap();
    assert_eq!(switched, Switched { ended: Some(4) });
    let order = DomainOrder {
        at: Some("2027-01-15T08:00:00Z".to_owned()),
        percent: Some(10),
        users: vec!["Ann@acme.com".to_owned()],
    };
    running.client.enable_domain("ACME.com", &order).await.unwrap();
    let passed = DomainOrder { at: Some("1970-01-01T00:00:00Z".to_owned()), ..DomainOrder::default() };
    let error = running.client.enable_domain("acme.com", &passed).await.unwrap_err();
    assert_eq!(error.to_string(), "that has passed");
    let off = running.client.disable_domain("acme.com", SwitchOrder::default()).await.unwrap();
    assert_eq!((off.ended, off.domain.name.as_str()), (Some(4), "acme.com"));
    let error = running.client.rotate_keys().await.unwrap_err();
    assert!(error.to_string().contains("the disk is full"), "{error}");
    let error = running.client.switch_connector("nobody", true, keep).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no connector \"nobody\"");
    assert_eq!(
        running.notes.taken(),
        [
            "revoke Email(\"alice@acme.com\")",
            "switch Connector acme off=true end=Some(false)",
            "enable acme.com 10 {\"ann@acme.com\"} Some(1800000000)",
            "switch Domain acme.com off=true end=None"
        ]
    );
    let events = running.events();
    let seen: Vec<_> = events
        .iter()
        .map(|event| {
            assert_eq!((event["event"].as_str(), event["local_uid"].as_str()), (Some("admin.changed"), Some(&*own)));
            assert_eq!(event["local_pid"], std::process::id().to_string());
            (event["reason"].as_str().unwrap(), event["outcome"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("sessions_revoked", "AuthSuccess"),
            ("connector_disabled", "AuthSuccess"),
            ("domain_enabled", "AuthSuccess"),
            ("domain_enabled", "AuthFailure"),
            ("domain_disabled", "AuthSuccess"),
            ("keys_rotated", "AuthError"),
            ("connector_disabled", "AuthFailure"),
        ]
    );
    assert_eq!((&events[0]["sessions"], &events[0]["ended"]), (&json!("user alice@acme.com"), &json!("2")));
    assert_eq!((&events[2]["percent"], &events[2]["listed"]), (&json!("10"), &json!("1")));
    assert_eq!((&events[1]["connector"], &events[1]["ended"]), (&json!("acme"), &json!("4")));
}

#[tokio::test]
async fn names_in_paths_are_taken_as_they_are_meant() {
    let running = running().await;
    for reference in ["3f2a", "a/b", "x y%2F", "…"] {
        let story = running.client.explain(reference).await.unwrap();
        assert_eq!((story.reference.as_str(), &story.records[0]["reason"]), (reference, &json!("state_missing")));
        assert!(story.text.contains("back from the provider: refused, state_missing"), "{}", story.text);
    }
    assert_eq!(running.notes.taken(), ["explain 3f2a", "explain a/b", "explain x y%2F", "explain …"]);
    assert!(running.client.explain("").await.is_err());
    assert!(running.client.explain("a\nb").await.is_err());
    assert!(running.client.explain(&"a".repeat(256)).await.is_err());
    assert_eq!(running.notes.taken(), Vec::<String>::new());
}

#[tokio::test]
async fn requests_are_read_strictly() {
    let running = running().await;
    let one = r#"{"user":"alice@acme.com"}"#;
    assert_eq!(running.post("/sessions/revoke", one).await, (200, json!({ "ended": 2 })));
    assert_eq!(running.notes.taken().len(), 1);
    for (path, body, status) in [
        ("/sessions/revoke", "", 400),
        ("/sessions/revoke", "{", 400),
        ("/sessions/revoke", r#"{"user":"alice@acme.com","user":"bob@acme.com"}"#, 400),
        ("/sessions/revoke", r#"{"user":"alice@acme.com","force":true}"#, 400),
        ("/sessions/revoke", r#"{"all":"yes"}"#, 400),
        ("/sessions/revoke", &format!("{one}{}", " ".repeat(70_000)), 400),
        ("/sessions", one, 405),
        ("/sessions/revoke/", one, 404),
        ("/connectors/acme/remove", "", 404),
        ("/users/alice@acme.com/remove", "", 404),
        ("/users/alice@acme.com/unlink", "", 400),
        ("/users/alice@acme.com/unlink", r#"{"connector":"A B"}"#, 400),
        ("/users/alice@acme.com/activate", r#"{"release_address":true}"#, 400),
        ("/users/alice@acme.com/deactivate", r#"{"connector":"acme"}"#, 400),
        ("/users/two@acme.com/deactivate", "", 409),
        ("/users/nobody@acme.com/deactivate", "", 404),
        ("/connectors//disable", "", 400),
        ("/domains/acme/enable", "", 400),
        ("/domains/acme.com/enable", r#"{"percent":101}"#, 400),
        ("/domains/acme.com/enable", r#"{"users":["ann@acme.org"]}"#, 400),
        ("/domains/acme.com/enable", r#"{"user":[]}"#, 400),
        ("/", "", 404),
        ("//status", "", 404),
    ] {
        let (found, answer) = running.post(path, body).await;
        assert_eq!(found, status, "{path} {answer}");
        assert!(answer["message"].is_string(), "{answer}");
    }
    let twice =
        running.raw("GET /sessions?user=a@b.c&user=d@b.c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(twice.starts_with("HTTP/1.1 400 ") && twice.contains("given twice"), "{twice}");
    let get = running.raw("GET /keys/rotate HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(get.starts_with("HTTP/1.1 405 ") && get.contains("allow: POST"), "{get}");
    assert_eq!(running.notes.taken(), Vec::<String>::new());
}

//! One normal form of a path: judged, and forwarded (P01–P10). Public are `/public/**` and, for GET, `/health`.

use anteroom::base::path;

use crate::support::{App, Ask, Connection};

/// Without a session: refused as malformed, or asked to sign in; never served.
async fn assert_is_not_served(app: &App, targets: &[&str]) {
    for target in targets {
        let before = app.before();
        let answer = app.send(&Ask::get(target)).await;
        match answer.status {
            400 => {
                let reason = answer.reason().to_owned();
                assert!(reason.starts_with("path_"), "{target}: {answer:?}");
                app.refused(&before, &answer, 400, &reason, "path.denied", &[]);
            }
            _ => app.refused(&before, &answer, 401, "sign_in_required", "", &[]),
        }
    }
}

async fn assert_is_malformed(app: &App, targets: &[&str]) {
    for target in targets {
        let before = app.before();
        let answer = app.send(&Ask::get(target)).await;
        assert_eq!(answer.status, 400, "{target}");
        let reason = answer.reason().to_owned();
        app.refused(&before, &answer, 400, &reason, "path.denied", &[]);
        assert!(reason.starts_with("path_"), "{reason}");
    }
}

/// P01, P07, and their honest twins.
#[tokio::test(flavor = "multi_thread")]
async fn a_path_with_two_readings_is_refused() {
    let app = App::start().await;
    assert_is_malformed(
        &app,
        &[
            "/public/../admin",
            "/public/%2e%2e/admin",
            "/public/%2E./admin",
            "/public/%2e%2e%2fadmin",
            "/public/..%2fadmin",
            "/public/..%5cadmin",
            "/public/..\\admin",
            "/public\\..\\admin",
            "/public/..;/admin",
            "/public/..;x=1/admin",
            "/public/%252e%252e/admin",
            "/public/%252e%252e%252fadmin",
            "/public/./admin",
            "/public/..",
            "/public/%00",
            "/public/%0d%0aX:y",
            "/public/%3f",
            "/public/%23",
            // P07
            "/public/%c0%ae%c0%ae/admin",
            "/public/%e0%80%af",
            "/public/%u002e",
            "/public/%ef%bc%8e%ef%bc%8e/admin",
            "/public/%ed%a0%80",
            "/public/%",
            "/public/%2",
            "/public/%zz",
            "/public/%ff",
        ],
    )
    .await;
    assert_is_not_served(&app, &["/public;/../admin", "/public/a;/../../admin", "/public;x/a", "/public;/a"]).await;
    for (target, seen) in [
        ("/public/a", "/public/a"),
        ("/public//a", "/public/a"),
        ("/public/...", "/public/..."),
        ("/public/a..b", "/public/a..b"),
        ("/public/a;v=1", "/public/a;v=1"),
        ("/public/;/admin", "/public/;/admin"),
        ("/public/gr%c3%bcn?..%2f=/../", "/public/gr%C3%BCn?..%2f=/../"),
        ("/%70ublic/%7Ea", "/public/~a"),
    ] {
        assert_eq!(app.send(&Ask::get(target)).await.status, 200, "{target}");
        assert_eq!(app.upstream.last().target, seen);
    }
}

/// P02, P03, P04
#[tokio::test(flavor = "multi_thread")]
async fn what_matches_no_public_rule_needs_a_session() {
    let app = App::start().await;
    assert_is_not_served(
        &app,
        &[
            "//admin",
            "///public/a",
            "/./admin",
            "/ADMIN",
            "/%61dmin",
            "/admin%2f",
            "/admin;x",
            "/admin;/public/a",
            "/admin.",
            "/admin%00",
            "/admin%20",
            "/admin/x.css",
            "/admin/public/a",
            // P03
            "/admin?x=/public/",
            "/admin?/public/a",
            "/admin%3f/public",
            "/admin#/public",
            "/admin%23/public",
            "/?/public/a",
            // P04
            "/publicadmin",
            "/public",
            "/public.css",
            "/publi/a",
            "/Public/a",
            "/PUBLIC/a",
            "/x/public/a",
            "/public%2fa",
            "/health/",
            "/healthz",
            "/health/x",
        ]
        // `///public/a` is `/public/a` in normal form, and that is what would be sent on: see the next test.
        .iter()
        .copied()
        .filter(|target| *target != "///public/a")
        .collect::<Vec<_>>(),
    )
    .await;
}

/// P05
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_for_get_is_not_one_for_other_methods() {
    let app = App::start().await;
    assert_eq!(app.send(&Ask::get("/health")).await.status, 200);
    for method in ["HEAD", "POST", "OPTIONS", "DELETE", "get", "Get", "GETX"] {
        let before = app.before();
        let answer = app.send(&Ask::get("/health").method(method)).await;
        app.refused(&before, &answer, 401, "sign_in_required", "", &[]);
    }
    for over in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"] {
        let before = app.before();
        let answer = app.send(&Ask::get("/health").with(over, "POST")).await;
        app.refused(&before, &answer, 401, "sign_in_required", "", &[]);
    }
}

/// P06
#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_a_target_is_judged_on_the_same_path() {
    let app = App::start().await;
    let cookie = app.cookie().await;
    for (target, status, seen) in [
        ("http://app.example.com/public/a?q", 200, Some("/public/a?q")),
        ("https://APP.example.com:443/public/a", 200, Some("/public/a")),
        ("http://app.example.com/admin", 401, None),
        ("http://app.example.com", 401, None),
        ("//app.example.com/public/a", 401, None),
        ("///public//a", 200, Some("/public/a")),
    ] {
        let before = app.upstream.count();
        let answer = app
            .send(&Ask::get(target).host(if target.contains(":443") {
                "app.example.com:443"
            } else {
                "app.example.com"
            }))
            .await;
        assert_eq!(answer.status, status, "{target}");
        assert_eq!(app.upstream.count() - before, usize::from(seen.is_some()), "{target}");
        if let Some(seen) = seen {
            assert_eq!(app.upstream.last().target, seen);
            assert!(app.upstream.last().header("Host").unwrap().starts_with("app.example.com"));
        }
    }
    for (target, reason, event) in [
        ("http://evil.example/public/a", "host_conflict", "http.malformed"),
        ("http://user@app.example.com/public/a", "host_conflict", "http.malformed"),
        ("http://app.example.com:81/public/a", "host_conflict", "http.malformed"),
    ] {
        let before = app.before();
        let answer = app.send(&Ask::get(target).with("Cookie", &cookie)).await;
        app.refused(&before, &answer, 400, reason, event, &["evil"]);
    }
    let before = app.before();
    let answer = app.send(&Ask::get("*").method("OPTIONS").with("Cookie", &cookie)).await;
    app.refused(&before, &answer, 400, "path_not_absolute", "path.denied", &[]);
}

/// P08: a deterministic walk through what paths are made of.
#[tokio::test(flavor = "multi_thread")]
async fn the_path_that_was_judged_is_the_path_that_is_sent() {
    const PARTS: &[&str] = &[
        "/",
        "/",
        "/",
        "//",
        "public",
        "admin",
        "a",
        "b.css",
        ".",
        "..",
        "...",
        "%2e",
        "%2E%2e",
        "%2f",
        "%2F",
        "%5c",
        "%61",
        "%41",
        "%7e",
        "~",
        "%20",
        "+",
        "%2b",
        "%2B",
        ";",
        ";x=1",
        "%3b",
        "=",
        "&",
        ",",
        ":",
        "@",
        "!",
        "*",
        "'",
        "(",
        "%28",
        "$",
        "-",
        "_",
        "%25",
        "%2541",
        "%25zz",
        "%",
        "%c3%b6",
        "%C3%B6",
        "%c0%af",
        "%ff",
        "%e2%80%a6",
        "{",
        "}",
        "%7B",
        "|",
        "\"",
        "^",
        "`",
        "[",
        "]",
        "%5B",
        "%00",
        "%0a",
        "%7f",
        "%3f",
        "%23",
        ".anteroom",
        ".Anteroom",
        "%2eanteroom",
        "?",
        "?q=%2e%2e/..",
        "?a=%zz&b={|}",
        "#f",
    ];
    let app = App::start().await;
    let cookie = app.cookie().await;
    app.upstream.reply(|asked| crate::support::answer(200, &[], &asked.target));
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).unwrap()
    };
    let (mut forwarded, mut public, mut refused, mut unreadable) = (0, 0, 0, 0);
    let mut signed_in: Connection = app.connect().await;
    let mut anonymous = app.connect().await;
    for round in 0..10_000 {
        let start = ["/", "/public/", "/admin/", "/public"][next(4)];
        let target = (0..next(7)).fold(start.to_owned(), |target, _| target + PARTS[next(PARTS.len())]);
        // Nothing after a fragment mark belongs to a request.
        let whole = target.split('#').next().unwrap();
        let (raw, query) = whole.split_once('?').map_or((whole, None), |(path, query)| (path, Some(query)));
        let normal = path::normalize(raw);
        let expected = normal.as_deref().ok().map(|path| match query {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        });
        let own = normal.as_deref().is_ok_and(|path| path::own(raw, path, "/.anteroom") != path::Own::No);

        let answer = signed_in.send(&Ask::get(&target).with("Cookie", &cookie)).await;
        if answer.header("x-request-id").is_none() {
            // hyper takes no backquote in a target and no quote in a query: it answers and closes by itself.
            unreadable += 1;
            assert_eq!((answer.status, target.contains(['`', '"'])), (400, true), "{target}");
            signed_in = app.connect().await;
            continue;
        }
        let sent = (answer.reason().is_empty()).then(|| answer.text());
        match (&expected, own) {
            (Some(expected), false) if sent.is_some() => {
                forwarded += 1;
                assert_eq!(sent.as_ref(), Some(expected), "{round}: {target}");
                assert!(
                    path::normalize(expected.split('?').next().unwrap()).unwrap()
                        == expected.split('?').next().unwrap()
                );
            }
            // A role may be missing, but nothing else.
            (Some(_), false) => assert_eq!((answer.status, answer.reason()), (403, "role_missing"), "{target}"),
            (Some(_), true) => assert_eq!((answer.status, sent), (404, None), "{target}"),
            (None, _) => {
                refused += 1;
                assert_eq!((answer.status, sent), (400, None), "{target}");
            }
        }

        if round % 2 == 0 {
            continue;
        }
        let answer = anonymous.send(&Ask::get(&target)).await;
        if answer.reason().is_empty() {
            public += 1;
            let text = answer.text();
            assert_eq!(Some(&text), expected.as_ref(), "{target}");
            let path = text.split('?').next().unwrap();
            assert!(path.starts_with("/public/") || path == "/health", "{target} was served as {path}");
        }
    }
    let counts = (forwarded, public, refused, unreadable);
    assert!(forwarded > 2_000 && public > 200 && refused > 2_000 && unreadable < 1_000, "{counts:?}");
    assert_eq!(app.upstream.count(), forwarded + public);
}

/// P08: an escaped target that is longer than a target may be is refused, not sent as it came.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_too_long_in_its_normal_form_is_refused() {
    let app = App::start().await;
    let before = app.before();
    let answer = app.send(&Ask::get(&format!("//public/{}", "{".repeat(30_000)))).await;
    app.refused(&before, &answer, 414, "target_too_long", "", &[]);
    let answer = app.send(&Ask::get(&format!("//public/{}", "{".repeat(3_000)))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(app.upstream.last().target, format!("/public/{}", "%7B".repeat(3_000)));
}

/// P09: with a session too, and whatever the application would answer there.
#[tokio::test(flavor = "multi_thread")]
async fn our_own_paths_in_another_spelling_are_not_found_and_never_proxied() {
    let app = App::start().await;
    let cookie = app.cookie().await;
    for target in [
        "/.Anteroom/me",
        "/.ANTEROOM/sign-in",
        "/.anteroom",
        "/.anteroom;x/me",
        "/.anteroom;/me",
        "/%2eanteroom/me",
        "/.%61nteroom/me",
        "//.anteroom/me",
        "/.anteroom//me",
        "/.anteroom%20/me",
        "/.anteroom./me",
        "/.anteroom/",
        "/.anteroom/me/",
        "/.anteroom/me;x",
        "/.anteroom/ME",
        "/.anteroom/me.css",
        "/.anteroom/m%65",
        "/.anteroom/unknown",
        "/.anteroom/oidc/nobody/callback",
        "/.anteroom/oidc/acme/callback/x",
        "/.anteroom/admin/users",
    ] {
        let before = app.before();
        let answer = app.send(&Ask::get(target).with("Cookie", &cookie)).await;
        assert_eq!((answer.status, answer.reason()), (404, "own_path_unknown"), "{target}");
        let events: Vec<_> = app.events();
        assert_eq!(events.len(), 1, "{target}: {events:?}");
        assert_eq!((&events[0]["event"], &events[0]["reason"]), (&"path.denied".into(), &"own_path_unknown".into()));
        assert_eq!(app.before(), before, "{target}");
    }
    assert_eq!(app.send(&Ask::get("/.anteroom/me").with("Cookie", &cookie)).await.status, 200);
    assert_eq!(app.send(&Ask::get("/.anteroomy/me").with("Cookie", &cookie)).await.text(), "the application");
    assert_eq!(app.upstream.last().target, "/.anteroomy/me");
}

/// P10: one host in all its spellings; others are nobody's (421).
#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_the_same_in_every_spelling_and_others_are_misdirected() {
    let app = App::start().await;
    for host in
        ["app.example.com", "APP.EXAMPLE.COM", "app.example.com.", "app.example.com:80", "App.Example.Com.:8443"]
    {
        assert_eq!(app.send(&Ask::get("/public/a").host(host)).await.status, 200, "{host}");
        assert_eq!(app.upstream.last().header("Host"), Some(host), "Host is kept");
        let before = app.before();
        let answer = app.send(&Ask::get("/admin").host(host)).await;
        app.refused(&before, &answer, 401, "sign_in_required", "", &[]);
        assert_eq!(app.send(&Ask::get("/.anteroom/jwks.json").host(host)).await.status, 200, "{host}");
    }
    for host in
        ["evil.example", "example.com", "app.example.com.evil.example", "127.0.0.1", "localhost", "xapp.example.com"]
    {
        for target in ["/public/a", "/.anteroom/me", "/"] {
            let before = app.before();
            let answer = app.send(&Ask::get(target).host(host)).await;
            app.refused(&before, &answer, 421, "unknown_host", "http.malformed", &[]);
        }
    }
}

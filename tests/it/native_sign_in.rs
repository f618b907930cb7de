//! The application's own sign-in behind the guard (N05), and what its session cookies open for programs.

use std::time::Duration;

use crate::command_line::{anteroom, run};
use crate::support::{App, Ask, Recorded, Setup, answer};

/// The application signs in at `/login`, and its mobile app at `/mobile/token`.
pub(super) const NATIVE: &str = r#"api_key_headers = ["X-Api-Key"]
allow = [{ name = "svc-billing", contact = "billing@acme.com" }]
sign_in = [
  { path = "/login", username = "form:username", failure = "location:/login" },
  { path = "/api/token", username = "json:/login/user", failure = "status:401", methods = ["POST", "PUT"] },
  { path = "/mobile/token", username = "json:/user", failure = "status:401", mobile = true },
  { path = "/old", username = "form:u", failure = "body:Wrong password" },
]"#;

pub(super) fn setup() -> Setup {
    Setup::new().replacing("api_key_headers = [\"X-Api-Key\"]", NATIVE)
}

/// What a program posts to sign in.
pub(super) fn login(user: &str) -> Ask {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([("username", user), ("password", "canary-password")]);
    Ask::get("/login").method("POST").with("Content-Type", "application/x-www-form-urlencoded").body(form.finish())
}

/// The address of an enabled domain signs in natively again: its domain is switched off, or on.
pub(crate) async fn switch(app: &App, what: &str) {
    let mut command = anteroom(&["domain", what, "acme.com"]);
    let (code, out, err) = run(command.arg("--socket").arg(&app.admin_socket)).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    app.log.taken();
}

fn assert_is_nobody(seen: &Recorded) {
    for name in ["x-forwarded-user", "x-forwarded-email", "x-anteroom-auth", "x-anteroom-assertion"] {
        assert_eq!(seen.header(name), None, "{seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sign_in_is_reached_without_a_session_and_passes_byte_for_byte() {
    let app = App::start_with(setup()).await;
    for ask in [Ask::page("/login"), Ask::get("/login?next=/a").method("HEAD"), Ask::page("/mobile/token")] {
        assert_eq!(app.send(&ask).await.status, 200, "{ask:?}");
        assert_is_nobody(&app.upstream.last());
    }
    let body = "x=1&username=svc%2Dbilling&password=100%&&";
    let form = Ask::get("/login?next=/a")
        .method("POST")
        .with("Content-Type", "application/x-www-form-urlencoded")
        .with("X-Forwarded-User", "root");
    let mut cookie = app.cookie().await;
    cookie.push_str("; LEGACY=1");
    let chunks = format!("5\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n", &body[..5], body.len() - 5, &body[5..]);
    let chunked = Ask { body: chunks.into_bytes(), ..form.clone().with("Transfer-Encoding", "chunked") };
    for ask in [form.clone().body(body), form.with("Cookie", &cookie).body(body), chunked] {
        let answered = app.send(&ask).await;
        assert_eq!(answered.status, 200, "{answered:?}");
        let seen = app.upstream.last();
        assert_eq!((seen.target.as_str(), String::from_utf8_lossy(&seen.body).as_ref()), ("/login?next=/a", body));
        assert_is_nobody(&seen);
        assert!(matches!(seen.header("cookie"), None | Some("LEGACY=1")), "{seen:?}");
    }
    let json = r#"{"login":{"user":"svc"},"p":"x"}"#;
    for method in ["POST", "PUT"] {
        let ask = Ask::get("/api/token").method(method).with("Content-Type", "application/json").body(json);
        assert_eq!(app.send(&ask).await.status, 200);
        assert_eq!(app.upstream.last().body, json.as_bytes());
    }
    // Other methods are what the routes make of them.
    let before = app.before();
    let refused = app.send(&Ask::get("/login").method("DELETE")).await;
    app.refused(&before, &refused, 401, "sign_in_required", "", &[]);
}

/// N05
#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_an_enabled_domain_is_sent_to_its_company_and_others_go_on() {
    let app = App::start_with(setup()).await;
    for user in ["alice@acme.com", " Alice@ACME.com ", "alice@acme.com.", "\"alice\"@acme.com", "alice@\u{ff41}cme.com"]
    {
        let before = app.before();
        let refused = app.send(&login(user)).await;
        app.refused(&before, &refused, 403, "sso_required", "native.denied", &["canary"]);
        assert_eq!(refused.json()["error"], "sso_required");
        assert!(
            refused.json()["sign_in_url"].as_str().unwrap().starts_with("https://app.example.com/.anteroom/sign-in")
        );
    }
    let before = app.before();
    let form = Ask::form("/login", &[("username", "alice@acme.com"), ("password", "canary")]);
    let page = app.send(&form).await;
    app.refused(&before, &page, 403, "sso_required", "native.denied", &["canary"]);
    let link = "https://app.example.com/.anteroom/sign-in?login_hint=alice%40acme.com";
    assert!(page.links().iter().any(|href| href == link), "{page:?}");

    let json =
        |target: &str, body: &str| Ask::get(target).method("POST").with("Content-Type", "application/json").body(body);
    let before = app.before();
    let refused = app.send(&json("/api/token", r#"{"login":{"user":"bob@globex.com"}}"#)).await;
    app.refused(&before, &refused, 403, "sso_required", "native.denied", &[]);

    // Honest twins: another domain, a service, somebody without an address, the mobile app, the domain switched off.
    for user in ["carol@initech.example", "svc-billing", "alice", "me@home"] {
        assert_eq!(app.send(&login(user)).await.status, 200, "{user}");
    }
    assert_eq!(app.send(&json("/mobile/token", r#"{"user":"alice@acme.com"}"#)).await.status, 200);
    switch(&app, "disable").await;
    assert_eq!(app.send(&login("alice@acme.com")).await.status, 200);
    switch(&app, "enable").await;
    assert_eq!(app.send(&login("alice@acme.com")).await.status, 403);
}

/// N05, N07: what two readers could read differently does not pass here, and everywhere else it does.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_could_name_somebody_else_is_refused_on_its_path_alone() {
    let app = App::start_with(setup()).await;
    let of = |kind: &str, body: &str| Ask::get("/login").method("POST").with("Content-Type", kind).body(body);
    let form = "application/x-www-form-urlencoded";
    let twice = "username=svc&username=alice@acme.com";
    let large = format!("username=svc&x={}", "y".repeat(64 * 1024));
    for (ask, status, reason) in [
        (of(form, twice), 400, "sign_in_name_twice"),
        (of(form, "username=svc").to("/login?username=alice@acme.com"), 400, "sign_in_name_twice"),
        (of(form, "user=svc"), 400, "sign_in_name_missing"),
        (of(form, "username=%zz"), 400, "sign_in_name_malformed"),
        (of("multipart/form-data; boundary=x", twice), 415, "sign_in_content_type"),
        (of("text/plain", "username=svc"), 415, "sign_in_content_type"),
        (of("application/json", "{}"), 415, "sign_in_content_type"),
        (of(form, "username=svc").with("Content-Type", form), 415, "sign_in_content_type"),
        (of(form, "username=svc").with("Content-Encoding", "gzip"), 415, "sign_in_encoding"),
        (of(form, &large), 413, "sign_in_too_large"),
        (of(form, "").without("Content-Type"), 415, "sign_in_content_type"),
        (
            of("application/json", "{\"login\":{\"user\":\"a\",\"user\":\"b\"}}").to("/api/token"),
            400,
            "sign_in_malformed",
        ),
    ] {
        let before = app.before();
        let refused = app.send(&ask).await;
        app.refused(&before, &refused, status, reason, "native.denied", &[]);
        // The same elsewhere is the application's affair.
        let ask = ask.to("/api/things").with("X-Api-Key", "k");
        assert_eq!(app.send(&ask).await.status, 200, "{reason}");
    }
    // Without a length nobody knows how much comes until it has come.
    let before = app.before();
    let chunks = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    let chunked = Ask { body: chunks.into_bytes(), ..of(form, "").without("Content-Length") };
    let refused = app.send(&chunked.with("Transfer-Encoding", "chunked")).await;
    app.refused(&before, &refused, 413, "sign_in_too_large", "native.denied", &[]);
    // A browser gets a page.
    let before = app.before();
    let page = app.send(&Ask::form("/login", &[("username", "a"), ("username", "b")])).await;
    app.refused(&before, &page, 400, "sign_in_name_twice", "native.denied", &[]);
    assert!(page.text().contains("<h1>"), "{page:?}");
}

/// Applications read paths leniently, and frameworks obey override headers: the guard does not look away.
#[tokio::test(flavor = "multi_thread")]
async fn the_guard_stands_at_every_spelling_of_the_path_where_routes_let_it_through() {
    let routes = "{ path = \"/keep/**\", authorization = \"keep\" },";
    let open = format!("{routes}\n  {{ path = \"/**\", access = \"public\" }},");
    let app = App::start_with(setup().replacing(routes, &open)).await;
    for target in ["/login", "/login/", "/Login", "/login;x=1", "/LOGIN;a/"] {
        let before = app.before();
        let refused = app.send(&login("alice@acme.com").to(target)).await;
        assert_eq!((refused.status, refused.reason()), (403, "sso_required"), "{target}");
        assert_eq!(app.before(), before);
        assert_eq!(app.send(&login("svc-billing").to(target)).await.status, 200, "{target}");
    }
    let overriding = login("alice@acme.com").method("DELETE").with("X-HTTP-Method-Override", "POST");
    assert_eq!(app.send(&overriding).await.status, 403);
    assert_eq!(app.send(&login("alice@acme.com").to("/login2")).await.status, 200, "another path");
}

const COOKIE: &str = "LEGACYSESSID=0123456789abcdef0123";

/// The application signs in whoever has the right password, and knows its own cookie.
fn sign_in_at(app: &App) {
    app.upstream.reply(|asked| match (asked.method.as_str(), asked.target.as_str()) {
        ("POST", "/login") if asked.body.ends_with(b"wrong") => answer(302, &[("Location", "/login?error=1")], ""),
        ("POST", "/login") => {
            let cookie = format!("{COOKIE}; Path=/; HttpOnly");
            answer(302, &[("Location", "/"), ("Set-Cookie", &cookie), ("Set-Cookie", "lang=en; Path=/")], "")
        }
        (_, "/rotate") => answer(200, &[("Set-Cookie", "LEGACYSESSID=fedcba98765432100000; Path=/")], "rotated"),
        (_, "/logout-there") => answer(200, &[("Set-Cookie", "LEGACYSESSID=; Max-Age=0; Path=/")], "bye"),
        _ => answer(200, &[], "the application"),
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_signs_in_goes_on_with_its_cookie_and_is_not_sent_to_a_provider() {
    let app = App::start_with(setup()).await;
    sign_in_at(&app);
    let with = |target: &str, cookie: &str| Ask::get(target).with("Cookie", cookie);
    let refused = app.send(&with("/reports", COOKIE)).await;
    assert_eq!((refused.status, refused.reason()), (401, "sign_in_required"), "before the sign-in it is nobody's");
    app.advance(Duration::from_secs(11));
    let answered = app.send(&login("svc-billing")).await;
    assert_eq!((answered.status, answered.all("set-cookie").count()), (302, 2));
    let theirs = format!("lang=en; {COOKIE}");
    for target in ["/reports", "/api/things", "/keep/a"] {
        let answered = app.send(&with(target, &theirs).with("X-Forwarded-User", "root")).await;
        assert_eq!((answered.status, answered.text().as_str()), (200, "the application"), "{target}");
        let seen = app.upstream.last();
        assert_eq!(seen.header("cookie"), Some(theirs.as_str()));
        assert_is_nobody(&seen);
    }
    // What nobody can vouch for it; what a browser sends; what is no secret; another's; a wrong password's.
    for (ask, reason) in [
        (with("/admin/a", &theirs), "sign_in_required"),
        (with("/reports", &theirs).with("Sec-Fetch-Mode", "cors"), "sign_in_required"),
        (with("/reports", "lang=en"), "sign_in_required"),
        (with("/reports", "LEGACYSESSID=0123456789abcdef0124"), "sign_in_required"),
        (with("/api/things", "OTHERSESSID=0123456789abcdef0123"), "credential_required"),
    ] {
        let before = app.before();
        let refused = app.send(&ask).await;
        app.refused(&before, &refused, 401, reason, "", &[]);
    }
    let page = app.send(&Ask::page("/reports").with("Cookie", COOKIE)).await;
    assert_eq!(page.status, 302, "people are asked to sign in");

    // It is remembered over a restart, by its hash alone.
    let app = app.restart().await;
    sign_in_at(&app);
    assert_eq!(app.send(&with("/reports", COOKIE)).await.status, 200);
    let written = app.written();
    assert!(memchr::memmem::find(&written, b"0123456789abcdef0123").is_none(), "N08");
    assert!(memchr::memmem::find(&written, b"canary-password").is_none());
    // While it is used; a day without a use is its end.
    app.advance(Duration::from_secs(20 * 3600));
    assert_eq!(app.send(&with("/reports", COOKIE)).await.status, 200);
    app.advance(Duration::from_secs(20 * 3600));
    assert_eq!(app.send(&with("/reports", COOKIE)).await.status, 200);
    app.advance(Duration::from_secs(24 * 3600));
    assert_eq!(app.send(&with("/reports", COOKIE)).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_cookie_takes_the_place_of_the_old_one_which_counts_for_a_minute_more() {
    let app = App::start_with(setup()).await;
    sign_in_at(&app);
    let new = "LEGACYSESSID=fedcba98765432100000";
    let status = async |cookie: &str| app.send(&Ask::get("/reports").with("Cookie", cookie)).await.status;
    app.send(&login("svc-billing")).await;
    assert_eq!(status(new).await, 401);
    app.advance(Duration::from_secs(11));
    assert_eq!(app.send(&Ask::get("/rotate").with("Cookie", COOKIE)).await.status, 200);
    assert_eq!((status(new).await, status(COOKIE).await), (200, 200));
    app.advance(Duration::from_secs(59));
    assert_eq!((status(new).await, status(COOKIE).await), (200, 200));
    app.advance(Duration::from_secs(1));
    assert_eq!((status(new).await, status(COOKIE).await), (200, 401));
    assert_eq!(app.send(&Ask::get("/logout-there").with("Cookie", new)).await.status, 200);
    app.advance(Duration::from_secs(60));
    assert_eq!(status(new).await, 401, "the application took it back");
}

/// What was remembered of people ends where their domain is switched on.
#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_of_somebody_whose_domain_is_switched_on_counts_no_more() {
    let app = App::start_with(setup()).await;
    sign_in_at(&app);
    switch(&app, "disable").await;
    assert_eq!(app.send(&login("alice@acme.com")).await.status, 302);
    let reports = Ask::get("/reports").with("Cookie", COOKIE);
    assert_eq!(app.send(&reports).await.status, 200);
    switch(&app, "enable").await;
    assert_eq!(app.send(&reports).await.status, 401);
    switch(&app, "disable").await;
    assert_eq!(app.send(&reports).await.status, 200);
}

/// A failure is seen by its redirect, its status or its text, however it is compressed.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_makes_no_session_of_a_program() {
    let app = App::start_with(setup()).await;
    let cookie = format!("{COOKIE}; Path=/");
    let headers = move |more: &[(&'static str, &'static str)]| {
        let mut headers = vec![("Set-Cookie".to_owned(), cookie.clone())];
        headers.extend(more.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
        headers
    };
    let replies = [
        ("/login", 302, vec![("Location", "https://app.example.com/login?again")], ""),
        ("/login", 302, vec![("Location", "/login;x#y")], ""),
        ("/login", 403, vec![], ""),
        ("/old", 200, vec![("Content-Type", "text/html")], "<p>Wrong password</p>"),
    ];
    for (path, status, more, body) in replies {
        let all = headers(&more);
        app.upstream.reply(move |_| {
            let all: Vec<(&str, &str)> = all.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            answer(status, &all, body)
        });
        let field = if path == "/old" { "u" } else { "username" };
        let ask = Ask::get(path)
            .method("POST")
            .with("Content-Type", "application/x-www-form-urlencoded")
            .with("Accept-Encoding", "gzip")
            .body(format!("{field}=svc-billing&password=wrong"));
        let answered = app.send(&ask).await;
        assert_eq!((answered.status, answered.text().as_str()), (status, body), "the answer passes as it is");
        assert!(answered.header("set-cookie").is_some());
        let encoding = if path == "/old" { "identity" } else { "gzip" };
        assert_eq!(app.upstream.last().header("accept-encoding"), Some(encoding));
        let refused = app.send(&Ask::get("/reports").with("Cookie", COOKIE)).await;
        assert_eq!(refused.status, 401, "{path}");
        app.advance(Duration::from_secs(11));
    }
    // Honest twin: the same cookie after the right one.
    let all = headers(&[("Content-Type", "text/html")]);
    app.upstream.reply(move |_| {
        let all: Vec<(&str, &str)> = all.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        answer(200, &all, "<p>Welcome</p>")
    });
    let ask = Ask::get("/old").method("POST").with("Content-Type", "application/x-www-form-urlencoded");
    assert_eq!(app.send(&ask.body("u=svc-billing&password=right")).await.text(), "<p>Welcome</p>");
    assert_eq!(app.send(&Ask::get("/reports").with("Cookie", COOKIE)).await.status, 200);
}

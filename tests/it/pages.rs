//! Own pages and own data (area W as far as it concerns them): headers by kind of page, forms from our own pages
//! alone, claims as text, and who may read `me`.

use std::time::Duration;

use crate::support::{Answer, App, Ask, Setup, no_session};

/// Every kind of answer of ours that a person sees, by name.
async fn every_page(app: &App) -> Vec<(&'static str, Answer)> {
    let mut all = vec![];
    let mut person = app.browser();
    all.push(("sign_in", person.visit("/.anteroom/sign-in").await));
    for (name, email) in
        [("connector_choice", "alice@acme.com"), ("domain_unknown", "a@else.example"), ("email_invalid", "a@")]
    {
        let form = Ask::form("/.anteroom/sign-in/start", &[("email", email), ("rd", "/report")]);
        all.push((name, person.send(form).await));
    }
    all.push(("not_sent", person.send(Ask::page("/x").method("POST").body("a=b")).await));
    all.push((
        "cross_site_post",
        app.send(&Ask::form("/.anteroom/sign-out", &[]).without("Sec-Fetch-Site").with("Sec-Fetch-Site", "cross-site"))
            .await,
    ));
    all.push((
        "sign_out_ask",
        person
            .send(Ask::page("/.anteroom/sign-out").without("Sec-Fetch-Site").with("Sec-Fetch-Site", "cross-site"))
            .await,
    ));
    all.push(("signed_out", person.visit("/.anteroom/sign-out/done?state=x").await));
    all.push(("own_path_unknown", person.visit("/.anteroom/nothing").await));
    all.push(("unknown_host", app.send(&Ask::page("/").host("other.example")).await));
    all.push((
        "tx_not_bound",
        app.send(&Ask::page("/.anteroom/oidc/acme/callback?code=c&state=0123456789abcdef0123.x")).await,
    ));
    let to_provider = app.start_sign_in(&mut person, "acme", "/", "somebody@acme.com").await;
    let mismatch = person.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
    all.push(("address_mismatch", mismatch));
    let mut reader = app.signed_in().await;
    all.push(("role_missing", reader.visit("/enterprise/x").await));
    all.push(("path_dot_segment", reader.visit("/a/../b").await));
    app.upstream.reply(|_| vec![]);
    all.push(("upstream_broken", reader.visit("/").await));
    let mut looping = app.browser();
    for _ in 0..2 {
        looping.cookies.remove("__Host-anteroom");
        app.sign_in_with(&mut looping, "/").await;
    }
    looping.cookies.remove("__Host-anteroom");
    all.push(("redirect_loop", looping.visit("/").await));
    for _ in 0..130 {
        all.retain(|(name, _)| *name != "rate_limited");
        all.push((
            "rate_limited",
            person.send(Ask::form("/.anteroom/sign-in/start", &[("email", "a@b.example")])).await,
        ));
    }
    all
}

/// W01, W02, W08, G5
#[tokio::test(flavor = "multi_thread")]
async fn every_page_carries_the_headers_that_keep_it_safe() {
    let app = App::start().await;
    let pages = every_page(&app).await;
    assert!(pages.len() > 15);
    for (name, page) in pages {
        let found = if name == "upstream_broken" { name } else { page.reason() };
        assert_eq!(found, name, "{page:?}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{name}");
        assert_eq!(page.header("cache-control"), Some("no-store"), "{name}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"), "{name}");
        assert_eq!(page.header("x-frame-options"), Some("DENY"), "{name}");
        assert!(page.header("x-request-id").is_some(), "{name}");
        let text = page.text();
        let has_form = text.contains("<form");
        let referrer = if has_form { "same-origin" } else { "no-referrer" };
        assert_eq!(page.header("referrer-policy"), Some(referrer), "{name}");
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{name}: {policy}");
        assert!(
            policy.contains("; base-uri 'none'") && policy.contains("; frame-ancestors 'none'"),
            "{name}: {policy}"
        );
        assert!(
            !policy.contains("unsafe") && !policy.contains("script-src") && !policy.contains('*'),
            "{name}: {policy}"
        );
        let action = if has_form { "form-action 'self'" } else { "form-action 'none'" };
        assert!(policy.contains(action), "{name}: {policy}");
        for banned in ["<script", "javascript:", " on", "style=\"", "http-equiv", "<base"] {
            let inert = banned != " on";
            let found = text.contains(banned) && (inert || text.contains(" onclick=") || text.contains(" onload="));
            assert!(!found, "{name} has {banned}");
        }
        assert_eq!(page.header("access-control-allow-origin"), None, "{name}");
    }
}

/// The sign-out page's form ends at the provider: its origin, and nobody else's, is where the form may go. Whoever is
/// not signed in is told of no provider.
#[tokio::test(flavor = "multi_thread")]
async fn the_sign_out_form_may_end_at_this_browsers_provider_alone() {
    let app = App::start().await;
    let elsewhere = "https://sign-out.acme-idp.example";
    app.acme.script().discovery["end_session_endpoint"] = format!("{elsewhere}/end").into();
    let ask = || Ask::page("/.anteroom/sign-out").without("Sec-Fetch-Site").with("Sec-Fetch-Site", "cross-site");
    let mut alice = app.signed_in().await;
    let page = alice.send(ask()).await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains(&format!("form-action 'self' {elsewhere};")), "{policy}");
    let out = alice.send(Ask::form("/.anteroom/sign-out", &[])).await;
    assert!(out.location().starts_with(elsewhere), "{}", out.location());
    let stranger = app.send(&ask()).await;
    assert!(stranger.header("content-security-policy").unwrap().contains("form-action 'self';"), "{stranger:?}");
}

/// What a browser fetches ahead of its person signs nobody out.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_fetched_ahead_signs_nobody_out() {
    let app = App::start().await;
    let mut alice = app.signed_in().await;
    for purpose in ["prefetch", "prefetch;prerender"] {
        let answer = alice.send(Ask::page("/.anteroom/sign-out").with("Sec-Purpose", purpose)).await;
        assert_eq!((answer.status, answer.reason()), (200, "sign_out_ask"));
    }
    assert_eq!(alice.send(Ask::page("/.anteroom/sign-out").method("HEAD")).await.status, 405);
    assert_eq!(alice.visit("/").await.status, 200);
    assert_eq!(alice.visit("/.anteroom/sign-out").await.reason(), "signed_out");
}

/// Posts to own paths, each with the honest form as its twin.
#[tokio::test(flavor = "multi_thread")]
async fn a_post_counts_only_from_our_own_pages() {
    let app = App::start().await;
    let alice = app.signed_in().await;
    for path in ["/.anteroom/sign-in/start", "/.anteroom/sign-in/continue", "/.anteroom/sign-out"] {
        let event = if path.ends_with("sign-out") { "logout.rejected" } else { "login.rejected" };
        let form = || Ask::form(path, &[("email", "alice@acme.com"), ("attempt", "x")]);
        let bare = || form().without("Sec-Fetch-Site").without("Sec-Fetch-Mode").without("Sec-Fetch-Dest");
        let site = |value: &str| form().without("Sec-Fetch-Site").with("Sec-Fetch-Site", value);
        let origin = |value: &str| bare().without("Origin").with("Origin", value);
        for ask in [
            site("cross-site"),
            site("same-site"),
            site("none"),
            site("same-origin").with("Sec-Fetch-Site", "cross-site"),
            origin("https://evil.example"),
            origin("null"),
            origin("http://app.example.com"),
            origin("https://app.example.com.evil.example"),
            origin("https://app.example.com:444"),
            bare().without("Origin"),
            bare().without("Origin").with("Referer", "https://app.example.com/"),
        ] {
            let watch = app.watch();
            let answer = alice.clone().send(ask.clone()).await;
            watch.refused(&answer, 403, "cross_site_post", event);
        }
        for (ask, status, reason) in [
            (form().without("Content-Type").with("Content-Type", "text/plain"), 415, "form_expected"),
            (
                form().without("Content-Type").with("Content-Type", "multipart/form-data; boundary=x"),
                415,
                "form_expected",
            ),
            (form().with("Content-Encoding", "gzip"), 415, "form_expected"),
            (form().body("x=".to_owned() + &"a".repeat(17 * 1024)), 413, "form_too_large"),
            (form().body("email=a&email=b&attempt=a&attempt=b"), 400, "duplicate_parameter"),
        ] {
            let watch = app.watch();
            let answer = alice.clone().send(ask).await;
            watch.refused(&answer, status, reason, event);
        }
    }
    assert_eq!(alice.clone().visit("/").await.status, 200, "still signed in after all that");
    // The honest twins: by Fetch Metadata, and without by Origin.
    let form = Ask::form("/.anteroom/sign-in/start", &[("email", "alice@acme.com")]);
    assert_eq!(app.send(&form).await.reason(), "connector_choice");
    let bare = form.without("Sec-Fetch-Site").without("Sec-Fetch-Mode").without("Sec-Fetch-Dest");
    assert_eq!(app.send(&bare).await.reason(), "connector_choice");
    let out = Ask::form("/.anteroom/sign-out", &[]).without("Sec-Fetch-Site");
    assert_eq!(alice.clone().send(out).await.reason(), "signed_out");
}

/// W08: what a provider or a link says becomes text.
#[tokio::test(flavor = "multi_thread")]
async fn claims_and_links_are_text_on_pages_w08() {
    let app = App::start().await;
    let markup = "\"'><script>canary()</script><img src=x onerror=canary()>";
    let encoded: String = url::form_urlencoded::byte_serialize(markup.as_bytes()).collect();
    for ask in [
        Ask::page(&format!("/.anteroom/sign-in?login_hint={encoded}&rd=/{encoded}")),
        Ask::page(&format!("/.anteroom/sign-in?rd=/x?{encoded}")),
        Ask::form("/.anteroom/sign-in/start", &[("email", markup), ("rd", markup)]),
        Ask::form("/.anteroom/sign-in/start", &[("email", "a@b.example"), ("rd", "/?\"><script>")]),
        Ask::page(&format!("/.anteroom/sign-out/done?state={encoded}&provider={encoded}")),
        Ask::page(&format!("/.anteroom/{encoded}")),
        Ask::page(&format!(
            "/.anteroom/oidc/acme/callback?error={encoded}&error_description={encoded}&state={encoded}"
        )),
    ] {
        let text = app.send(&ask).await.text();
        for raw in ["<script", "<img", "onerror=canary()>", "\"'>"] {
            assert!(!text.contains(raw), "{}: {raw} in {text}", ask.target);
        }
    }
    // The provider's own words, in an answer that is really this browser's.
    let mut person = app.browser();
    let to_provider = app.start_sign_in(&mut person, "acme", "/", "alice@acme.com").await;
    let mut query = app.acme.sign_in(to_provider.location());
    query.remove("code");
    query.insert("error".into(), markup.into());
    query.insert("error_description".into(), format!("AADSTS50105: {markup}"));
    let failed = person.send(App::callback("acme", &query)).await;
    assert_eq!((failed.status, failed.reason()), (400, "provider_refused"));
    assert!(!failed.text().contains("canary"), "{}", failed.text());
    // An address with every character that one may have.
    let strange = "a&b'c`{|}=?^~/*+%25#!$@acme.com";
    app.acme.script().claims["upn"] = strange.into();
    let to_provider = app.start_sign_in(&mut person, "acme", "/", "alice@acme.com").await;
    let mismatch = person.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
    assert_eq!(mismatch.reason(), "address_mismatch");
    assert!(mismatch.text().contains("a&#38;b&#39;c`{|}=?^~/*+%25#!$@acme.com"), "{}", mismatch.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn me_says_who_the_session_belongs_to_and_how_long_it_lasts() {
    let app = App::start().await;
    let mut alice = app.signed_in().await;
    app.advance(Duration::from_secs(3600));
    let answer = alice.send(Ask::get("/.anteroom/me")).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let me = answer.json();
    let session = me["session"].clone();
    let expected = serde_json::json!({
        "email": "alice@acme.com", "preferred_username": "alice@acme.com", "name": "Alice Archer",
        "groups": ["staff", "x,admin"], "role": "Admin", "connector": "acme", "auth": "oidc", "session": session,
    });
    assert_eq!(me, expected);
    assert_eq!(session["seconds_left"], 7 * 86_400 - 3600);
    assert_eq!(session["idle_seconds_left"], 86_400 - 3600);
    assert_eq!(session["created"], "2027-01-15T08:00:00.000Z");
    assert!(!answer.text().contains(alice.session().unwrap()), "E10: the cookie is not in it");
    for ask in [Ask::get("/.anteroom/me"), Ask::page("/.anteroom/me")] {
        let watch = app.watch();
        let nobody = app.send(&ask).await;
        watch.quiet(&nobody, 401, "sign_in_required");
        assert_eq!(nobody.json()["sign_in_url"], "https://app.example.com/.anteroom/sign-in");
    }
    assert_eq!(alice.send(Ask::get("/.anteroom/me").method("POST").body("")).await.status, 405);
}

/// W07
#[tokio::test(flavor = "multi_thread")]
async fn me_is_read_by_nobody_elses_pages_w07() {
    let app = App::start().await;
    let alice = app.signed_in().await;
    for site in ["cross-site", "same-site"] {
        for mode in ["cors", "no-cors", "navigate"] {
            let ask = Ask::get("/.anteroom/me").with("Sec-Fetch-Site", site).with("Sec-Fetch-Mode", mode);
            let watch = app.watch();
            let answer = alice.clone().send(ask.with("Origin", "https://evil.example")).await;
            watch.refused(&answer, 403, "cross_site", "browser.denied");
            assert!(!answer.text().contains("alice"));
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
    for site in ["same-origin", "none"] {
        let answer = alice.clone().send(Ask::get("/.anteroom/me").with("Sec-Fetch-Site", site)).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, None));
    }
}

/// A page that polls `me` keeps nobody signed in.
#[tokio::test(flavor = "multi_thread")]
async fn me_does_not_count_as_use() {
    let app = App::start_with(Setup::new().with("[sessions]\nidle_timeout = \"10m\"")).await;
    let mut alice = app.signed_in().await;
    for minute in 1..10 {
        app.advance(Duration::from_secs(60));
        let me = alice.send(Ask::get("/.anteroom/me")).await;
        assert_eq!(me.json()["session"]["idle_seconds_left"], 600 - 60 * minute);
    }
    app.advance(Duration::from_secs(60));
    let over = alice.send(Ask::get("/.anteroom/me")).await;
    assert_eq!((over.status, no_session(&over)), (401, ()));
    assert_eq!(alice.visit("/").await.status, 302);
}

/// Roles: the page says who is signed in and what is missing, the script gets a code.
#[tokio::test(flavor = "multi_thread")]
async fn a_route_with_a_role_is_for_that_role_and_higher_ones() {
    let app = App::start().await;
    for (role, admin, enterprise) in [
        ("ReadOnly", 403, 403),
        ("User", 403, 403),
        ("Admin", 200, 403),
        ("EnterpriseAdmin", 200, 200),
        ("admin", 403, 403),
        ("", 403, 403),
    ] {
        app.acme.script().claims["roles"] = serde_json::json!([role, "Something"]);
        let browser = app.signed_in().await;
        for (path, expected, needed) in
            [("/admin/users", admin, "Admin"), ("/enterprise/x", enterprise, "EnterpriseAdmin")]
        {
            let before = app.upstream.count();
            let page = browser.clone().visit(path).await;
            assert_eq!(page.status, expected, "{role} {path}");
            assert_eq!(app.upstream.count() - before, usize::from(expected == 200));
            if expected == 403 {
                let text = page.text();
                assert!(
                    text.contains("alice@acme.com") && text.contains(&format!("<strong>{needed}</strong>")),
                    "{text}"
                );
                let watch = app.watch();
                let script = browser.clone().send(Ask::get(path)).await;
                watch.refused(&script, 403, "role_missing", "browser.denied");
                assert_eq!(script.json()["error"], "role_missing");
            }
        }
        assert_eq!(browser.clone().visit("/").await.status, 200, "{role}: any role will do elsewhere");
    }
}

//! One sign-in for applications on several hosts (R17): the whole way, there and back.

use crate::support::{App, Ask, PORTAL, SUITE, Setup, WIKI};

const SUITE_HOST: &str = "suite.example.org";

fn parameters(url: &str) -> std::collections::BTreeMap<String, String> {
    url::Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

fn encoded(text: &str) -> String {
    text.replace('?', "%3F").replace('=', "%3D").replace('&', "%26")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_for_another_host_ends_there_and_every_step_says_no_more_than_it_must() {
    let app = App::suite().await;
    let mut browser = app.browser();

    let refused = browser.open("https://suite.example.org/report?month=5").await;
    assert_eq!((refused.status, refused.reason()), (302, "sign_in_required"));
    assert_eq!(refused.location(), "https://suite.example.org/.anteroom/sign-in?rd=/report%3Fmonth%3D5");

    let started = browser.open(refused.location()).await;
    assert_eq!((started.status, started.reason()), (303, "hand_off_started"));
    let [attempt] = browser.attempts_at(SUITE_HOST)[..] else { panic!("one attempt: {:?}", browser.elsewhere) };
    let id = attempt.strip_prefix("__Host-anteroom-try-").unwrap().to_owned();
    let rd = &parameters(started.location())["rd"];
    assert!(
        started
            .location()
            .starts_with("https://app.example.com/.anteroom/sign-in?rd=/.anteroom/hand-off%3Fhost%3Dsuite")
    );
    let link = parameters(&format!("{PORTAL}{rd}"));
    assert_eq!((&link["host"], &link["id"], &link["for"]), (&SUITE_HOST.into(), &id, &"/report".into()));
    assert_eq!(link["c"].len(), 43);

    let page = browser.open(started.location()).await;
    assert_eq!((page.status, page.reason()), (200, "sign_in"));
    let rd = page.field("rd").unwrap().replace("&#38;", "&");
    let fields = [("email", "alice@acme.com"), ("rd", rd.as_str())];
    let choice = browser.send(Ask::form("/.anteroom/sign-in/start", &fields)).await;
    let go = choice.links().into_iter().find(|link| link.contains("/sign-in/go?")).unwrap();
    let to_provider = browser.visit(&go).await;
    assert!(to_provider.location().contains("redirect_uri=https%3A%2F%2Fapp.example.com%2F.anteroom%2Foidc%2Facme"));
    let back = browser.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
    assert_eq!((back.status, back.reason(), back.location()), (303, "signed_in", rd.as_str()), "{}", app.log.taken());

    app.log.taken();
    let code = browser.open(&format!("{PORTAL}{}", back.location())).await;
    assert_eq!((code.status, code.reason()), (303, "hand_off"));
    assert!(code.location().starts_with("https://suite.example.org/.anteroom/session?code="), "{}", code.location());
    let sent = parameters(code.location());
    assert_eq!((&sent["state"], sent["code"].len(), sent.len()), (&id, 43, 2));
    assert_eq!(app.upstream.count(), 0, "nothing reaches an application before the sign-in");

    let done = browser.open(code.location()).await;
    assert_eq!((done.status, done.reason(), done.location()), (303, "handed_off", "/report?month=5"));
    // R10, on the new paths.
    for answer in [&started, &code, &done] {
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    assert!(browser.attempts_at(SUITE_HOST).is_empty(), "the attempt's cookie is gone");
    let (here, there) = (browser.session().unwrap(), browser.session_at(SUITE_HOST).unwrap());
    assert_ne!(here, there, "each host has a cookie of its own");
    let [event] = <[serde_json::Value; 1]>::try_from(app.events()).unwrap();
    assert_eq!((&event["event"], &event["reason"]), (&"session.handed_off".into(), &"handed_off".into()));
    assert_eq!((&event["user"], &event["host"]), (&"alice@acme.com".into(), &SUITE_HOST.into()));
    assert!(!event.to_string().contains(&sent["code"]));

    let report = browser.open("https://suite.example.org/report?month=5").await;
    assert_eq!(report.status, 200);
    let seen = app.upstream.last();
    assert_eq!((seen.target.as_str(), seen.header("x-forwarded-email")), ("/report?month=5", Some("alice@acme.com")));
    assert_eq!((seen.header("host"), seen.header("x-forwarded-host")), (Some(SUITE_HOST), Some(SUITE_HOST)));
    assert_eq!((seen.header("x-forwarded-proto"), seen.header("x-forwarded-port")), (Some("https"), Some("443")));
    assert_eq!(seen.header("cookie"), None);

    let (story, _) = app.story(&id).await;
    assert!(story.contains("on to another host"), "{story}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_signed_in_at_one_application_is_so_at_the_others_without_the_provider() {
    let app = App::suite().await;
    let mut browser = app.signed_in().await;
    let asked = app.acme.count("");
    for origin in [SUITE, WIKI] {
        let page = app.follow(&mut browser, &format!("{origin}/x")).await;
        assert_eq!((page.status, page.text().as_str()), (200, "the application"), "{origin}: {page:?}");
        assert_eq!(app.upstream.last().header("x-forwarded-email"), Some("alice@acme.com"));
    }
    assert_eq!(app.acme.count(""), asked, "no second visit");
    // One session: the same public reference everywhere.
    let mut references = Vec::new();
    for host in ["app.example.com", SUITE_HOST, "wiki.example.com"] {
        let me = browser.send(Ask::get("/.anteroom/me").host(host)).await;
        assert_eq!(me.status, 200, "{host}");
        references.push(me.json()["session"]["id"].clone());
    }
    references.dedup();
    assert_eq!(references.len(), 1, "{references:?}");
    // Whoever is signed in on the host is not sent away to sign in.
    let again = browser.open("https://suite.example.org/.anteroom/sign-in?rd=/y").await;
    assert_eq!((again.status, again.reason(), again.location()), (303, "already_signed_in", "/y"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_the_sign_in_host_may_lead_to_any_application() {
    let app = App::suite().await;
    let rd = "/.anteroom/sign-in?rd=https://suite.example.org/x%3Fa%3D1%23top";
    let mut browser = app.browser();
    assert_eq!(browser.visit(rd).await.field("rd").as_deref(), Some("https://suite.example.org/x?a=1#top"));
    let back = app.sign_in_with(&mut browser, "https://suite.example.org/x?a=1#top").await;
    assert_eq!(back.location(), "https://suite.example.org/.anteroom/sign-in?rd=/x%3Fa%3D1%23top");
    let there = app.code_for_link(&mut browser, back.location()).await;
    assert_eq!(browser.open(&there).await.location(), "/x?a=1#top");
    // With a session the same way, from the start.
    let mut again = app.signed_in().await;
    let page = app.follow(&mut again, &format!("{PORTAL}{rd}")).await;
    assert_eq!((page.status, app.upstream.last().target.as_str()), (200, "/x?a=1"));
}

impl App {
    /// From the sign-in link of another host to the link that ends its hand-off.
    async fn code_for_link(&self, browser: &mut crate::support::Browser, link: &str) -> String {
        let started = browser.open(link).await;
        let signed_in = browser.open(started.location()).await;
        assert_eq!(signed_in.reason(), "already_signed_in", "{signed_in:?}");
        browser.open(&format!("{PORTAL}{}", signed_in.location())).await.location().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_and_the_connector_go_along_to_the_sign_in_host() {
    let app = App::suite().await;
    let mut browser = app.browser();
    let go = "/.anteroom/sign-in/go?connector=acme&login_hint=alice%40acme.com&select_account=1&rd=/x&scope=evil";
    let started = browser.open(&format!("{SUITE}{go}")).await;
    let sent = parameters(started.location());
    assert!(started.location().starts_with("https://app.example.com/.anteroom/sign-in/go?"), "{}", started.location());
    assert_eq!((&sent["connector"], &sent["login_hint"]), (&"acme".into(), &"alice@acme.com".into()));
    assert_eq!((&sent["select_account"], sent.len()), (&"1".into(), 4));
    let to_provider = browser.open(started.location()).await;
    assert_eq!(to_provider.reason(), "sign_in_started");
    let back = browser.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
    let page = app.follow(&mut browser, &format!("{PORTAL}{}", back.location())).await;
    assert_eq!((page.status, app.upstream.last().target.as_str()), (200, "/x"));
    for (query, reason) in
        [("rd=/a&rd=/b", "duplicate_parameter"), ("login_hint=a&login_hint=b", "duplicate_parameter")]
    {
        let watch = app.watch();
        let twice = browser.clone().open(&format!("{SUITE}/.anteroom/sign-in/go?{query}")).await;
        watch.refused(&twice, 400, reason, "login.rejected");
    }
}

/// L13: a session ends on all of its hosts, wherever it is ended.
#[tokio::test(flavor = "multi_thread")]
async fn sign_out_on_one_host_ends_the_session_on_all() {
    let app = App::suite().await;
    for out in [PORTAL, SUITE, WIKI] {
        let mut browser = app.signed_in().await;
        let mut other = app.signed_in().await;
        for browser in [&mut browser, &mut other] {
            for origin in [SUITE, WIKI] {
                assert_eq!(app.follow(browser, &format!("{origin}/")).await.status, 200);
            }
        }
        let mut before = browser.clone();
        let form = Ask::form("/.anteroom/sign-out", &[]).without("Origin").with("Origin", out);
        let ended = browser.send(form.host(out.strip_prefix("https://").unwrap())).await;
        assert_eq!((ended.status, ended.reason()), (303, "signed_out"), "{out}");
        let back = parameters(ended.location()).remove("post_logout_redirect_uri");
        assert_eq!(back.as_deref(), Some("https://app.example.com/.anteroom/sign-out/done"), "registered once");
        for origin in [PORTAL, SUITE, WIKI] {
            assert_eq!(before.open(&format!("{origin}/")).await.status, 302, "out at {out}, asked at {origin}");
            assert_eq!(other.open(&format!("{origin}/")).await.status, 200, "another session of the same person");
        }
    }
    // The application's own link, on its host.
    let mut browser = app.signed_in().await;
    assert_eq!(app.follow(&mut browser, &format!("{SUITE}/")).await.status, 200);
    assert_eq!(browser.open(&format!("{SUITE}/logout")).await.status, 200);
    assert_eq!(browser.session_at(SUITE_HOST), None);
    assert_eq!(browser.open(&format!("{PORTAL}/")).await.status, 302);
}

/// E01: the browser's old session at the other host ends when another one takes its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_session_takes_the_place_of_the_old_one_on_every_host() {
    let app = App::suite().await;
    let mut browser = app.signed_in().await;
    app.follow(&mut browser, &format!("{SUITE}/")).await;
    let mut old = browser.clone();
    // Planted by somebody else: their own good session.
    let mut attacker = app.signed_in().await;
    app.follow(&mut attacker, &format!("{WIKI}/")).await;
    let planted = attacker.session_at("wiki.example.com").unwrap().to_owned();

    app.acme.script().claims["upn"] = "victim@acme.com".into();
    let to_provider = app.start_sign_in(&mut browser, "acme", "/", "victim@acme.com").await;
    browser.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
    for origin in [PORTAL, SUITE] {
        assert_eq!(old.open(&format!("{origin}/")).await.status, 302, "{origin}: it ended with the new sign-in");
    }
    browser.jar("wiki.example.com").clear();
    let end = app.code_for(&mut browser, &format!("{WIKI}/")).await;
    browser.jar("wiki.example.com").insert("__Host-anteroom".into(), planted.clone());
    assert_eq!(browser.open(&end).await.reason(), "handed_off");
    assert_ne!(browser.session_at("wiki.example.com"), Some(planted.as_str()));
    assert_eq!(browser.open(&format!("{WIKI}/")).await.status, 200);
    assert_eq!(app.upstream.last().header("x-forwarded-email"), Some("victim@acme.com"));
    assert_eq!(attacker.open(&format!("{WIKI}/")).await.status, 302, "the planted one leads nowhere");
}

/// Two tabs of one browser at one host.
#[tokio::test(flavor = "multi_thread")]
async fn two_tabs_arrive_at_their_own_pages_and_a_stale_link_does_no_harm() {
    let app = App::suite().await;
    let mut browser = app.signed_in().await;
    let one = app.code_for(&mut browser, &format!("{SUITE}/one")).await;
    let two = app.code_for(&mut browser, &format!("{SUITE}/two")).await;
    assert_eq!(browser.attempts_at(SUITE_HOST).len(), 2);
    assert_eq!(browser.open(&one).await.location(), "/one");
    let cookie = browser.session_at(SUITE_HOST).unwrap().to_owned();
    let second = browser.open(&two).await;
    assert_eq!((second.reason(), second.location()), ("handed_off", "/two"));
    assert_eq!(browser.session_at(SUITE_HOST), Some(cookie.as_str()), "one session, one cookie");
    assert_eq!(browser.open(&format!("{SUITE}/")).await.status, 200);
    // The back button.
    let stale = browser.open(&one).await;
    assert_eq!((stale.status, stale.reason(), stale.location()), (303, "already_signed_in", "/"));
    assert_eq!(stale.all("set-cookie").count(), 0);
}

/// Attempts of many tabs do not fill a browser with cookies; there too.
#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_attempts_of_a_host_are_recycled() {
    let app = App::suite().await;
    let mut browser = app.browser();
    for number in 0..9 {
        app.advance(std::time::Duration::from_millis(5));
        browser.open(&format!("{SUITE}/.anteroom/sign-in?rd=/{number}")).await;
    }
    assert_eq!(browser.attempts_at(SUITE_HOST).len(), 5);
    assert!(browser.attempts().is_empty(), "none at the sign-in host");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_answers_for_itself_and_only_what_is_its_own() {
    let app = App::suite().await;
    let mut browser = app.signed_in().await;
    app.follow(&mut browser, &format!("{SUITE}/")).await;
    for path in ["sign-in/start", "sign-in/continue", "oidc/acme/callback?code=x", "hand-off?host=x", "nothing"] {
        let method = if path.contains('?') || path == "nothing" { "GET" } else { "POST" };
        let watch = app.watch();
        let answer = app.send(&Ask::page(&format!("/.anteroom/{path}")).method(method).host(SUITE_HOST)).await;
        watch.refused(&answer, 404, "own_path_unknown", "path.denied");
    }
    let head = app.send(&Ask::page("/.anteroom/sign-in").method("HEAD").host(SUITE_HOST)).await;
    assert_eq!((head.status, head.header("allow")), (405, Some("GET")), "HEAD has to be safe");
    let keys = app.send(&Ask::get("/.anteroom/jwks.json").host(SUITE_HOST)).await;
    assert_eq!((keys.status, &keys.body), (200, &app.send(&Ask::get("/.anteroom/jwks.json")).await.body));

    // W04, W07: a script is told where this host's sign-in is; every application's own pages may read that.
    for (origin, allowed) in
        [(SUITE, true), (PORTAL, true), ("https://evil.example", false), ("http://suite.example.org", false)]
    {
        let answer = app.send(&Ask::get("/data").host(SUITE_HOST).with("Origin", origin)).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.json()["sign_in_url"], "https://suite.example.org/.anteroom/sign-in");
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin).filter(|_| allowed));
    }
    // A form counts by the origin of its own host.
    for (origin, status) in [(PORTAL, 403), ("https://evil.example", 403), (SUITE, 303)] {
        let ask = Ask::form("/.anteroom/sign-out", &[]).host(SUITE_HOST).without("Sec-Fetch-Site").without("Origin");
        assert_eq!(app.send(&ask.with("Origin", origin)).await.status, status, "{origin}");
    }
    // W05
    let socket = |origin: &str| {
        Ask::get("/live")
            .host(SUITE_HOST)
            .with("Connection", "Upgrade")
            .with("Upgrade", "websocket")
            .with("Sec-WebSocket-Version", "13")
            .with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
            .with("Origin", origin)
    };
    let foreign = browser.send(socket(PORTAL)).await;
    assert_eq!((foreign.status, foreign.reason()), (403, "websocket_origin"));
    assert_eq!(browser.send(socket(SUITE)).await.status, 200, "its own pages' handshake reaches the application");
    // L11: another of our hosts is another site.
    let ask =
        Ask::page("/.anteroom/sign-out").host(SUITE_HOST).without("Sec-Fetch-Site").with("Sec-Fetch-Site", "same-site");
    let page = browser.send(ask).await;
    assert_eq!((page.status, page.reason()), (200, "sign_out_ask"));
    let policy = page.header("content-security-policy").unwrap();
    let provider = &app.acme.script().issuer.clone();
    let provider = url::Url::parse(provider).unwrap().origin().ascii_serialization();
    assert!(policy.contains(&format!("form-action 'self' {provider} {PORTAL};")), "{policy}");
}

/// R3: the form of the page that asks ends on another host, which its policy has to allow.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_for_another_address_may_lead_to_the_host_that_asked() {
    let app = App::suite().await;
    let mut browser = app.browser();
    let started =
        browser.open(&format!("{SUITE}/.anteroom/sign-in/go?connector=acme&login_hint=dora@acme.com&rd=/x")).await;
    let to_provider = browser.open(started.location()).await;
    let page = browser.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
    assert_eq!(page.reason(), "address_mismatch");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains(&format!("form-action 'self' {SUITE};")), "{policy}");
    let attempt = page.field("attempt").unwrap();
    let confirmed = browser.send(Ask::form("/.anteroom/sign-in/continue", &[("attempt", &attempt)])).await;
    let arrived = app.follow(&mut browser, &format!("{PORTAL}{}", confirmed.location())).await;
    assert_eq!((arrived.status, app.upstream.last().target.as_str()), (200, "/x"));
}

/// A browser that keeps no cookies of the other host would go round for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_loop_between_hosts_ends_in_a_page_that_names_the_cookie() {
    let app = App::suite().await;
    let mut browser = app.signed_in().await;
    for _ in 0..2 {
        let end = app.code_for(&mut browser, &format!("{SUITE}/x")).await;
        assert_eq!(browser.open(&end).await.reason(), "handed_off");
        browser.jar(SUITE_HOST).remove("__Host-anteroom");
    }
    let page = browser.open(&format!("{SUITE}/x")).await;
    assert_eq!((page.status, page.reason()), (400, "redirect_loop"));
    assert!(page.text().contains("__Host-anteroom"));
}

/// Nobody is asked for anything at a sign-in host without an application.
#[tokio::test(flavor = "multi_thread")]
async fn without_an_application_on_the_sign_in_host_a_bare_sign_in_leads_to_the_first() {
    let elsewhere = Setup::new()
        .replacing("[apps.portal]\n", "[apps.portal]\npublic_url = \"https://portal.example.org\"\n")
        .with("[apps.wiki]\npublic_url = \"https://wiki.example.com\"\nupstream = \"$upstream\"");
    let app = App::start_with(elsewhere).await;
    let mut browser = app.browser();
    let back = app.sign_in_with(&mut browser, "/").await;
    assert_eq!(back.location(), "https://portal.example.org/.anteroom/sign-in?rd=/");
    assert_eq!(app.follow(&mut browser, back.location()).await.status, 200);
    assert_eq!(browser.visit("/").await.status, 421);
}

/// E13: a route of another host asks the sign-in for more.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_up_of_another_host_goes_through_its_own_hand_off() {
    let app = App::start_with(Setup::suite().replacing(
        "[connectors.acme]",
        "[apps.bank]\npublic_url = \"https://bank.example.net\"\nupstream = \"$upstream\"\n\
         routes = [{ path = \"/pay/**\", max_age = \"5m\" }]\n\n[connectors.acme]",
    ))
    .await;
    let mut browser = app.signed_in().await;
    assert_eq!(app.follow(&mut browser, "https://bank.example.net/").await.status, 200);
    let more = browser.open("https://bank.example.net/pay/all").await;
    assert_eq!(more.location(), "https://bank.example.net/.anteroom/sign-in/go?connector=acme&rd=/pay/all");
    let started = browser.open(more.location()).await;
    let link = parameters(&format!("{PORTAL}{}", parameters(started.location())["rd"]));
    assert_eq!((&link["host"], &link["for"]), (&"bank.example.net".into(), &"/pay/all".into()));
    let to_provider = browser.open(started.location()).await;
    assert_eq!(to_provider.reason(), "sign_in_started", "to the provider, whatever session there is");
    let now = app.acme.script().now();
    app.acme.script().claims["auth_time"] = now.into();
    let old = browser.session_at("bank.example.net").unwrap().to_owned();
    let back = browser.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
    let paid = app.follow(&mut browser, &format!("{PORTAL}{}", back.location())).await;
    assert_eq!((paid.status, app.upstream.last().target.as_str()), (200, "/pay/all"), "{paid:?}");
    assert_ne!(browser.session_at("bank.example.net"), Some(old.as_str()), "the newer session");
    // A request that is no page to come back to says what the sign-in is for by itself.
    let form = Ask::form("/pay/x", &[]).host("bank.example.net");
    app.advance(std::time::Duration::from_secs(600));
    let asked = browser.send(form).await;
    let go = asked.links().into_iter().find(|link| link.contains("for=")).unwrap_or_else(|| panic!("{asked:?}"));
    let started = browser.open(&format!("https://bank.example.net{go}")).await;
    let link = parameters(&format!("{PORTAL}{}", parameters(started.location())["rd"]));
    assert_eq!(link["for"], "POST /pay/x", "{}", encoded(&go));
    // By the page that asks for the address, too, where the session that there is would not do.
    let page = format!("https://bank.example.net{}", go.replace("/go?connector=acme&", "?"));
    let asks = app.follow(&mut browser, &page).await;
    assert_eq!((asks.status, asks.reason()), (200, "sign_in"), "{asks:?}");
    let link = parameters(&format!("{PORTAL}{}", asks.field("rd").unwrap().replace("&#38;", "&")));
    assert_eq!(link["for"], "POST /pay/x");
    let now = app.acme.script().now();
    app.acme.script().claims["auth_time"] = now.into();
    app.sign_in_with(&mut browser, "/").await;
    assert_eq!(app.follow(&mut browser, &page).await.status, 200);
    assert_eq!(app.upstream.last().target, "/", "a session that is enough goes on, and to the host that asked");
    assert_eq!(app.upstream.last().header("host"), Some("bank.example.net"));
}

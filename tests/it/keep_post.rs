//! Forms that arrive without a good session on a route that keeps them (W04: no silent replay, no lost write).

use std::time::Duration;

use anteroom::base::clock::Timestamp;
use anteroom::directory::KeptKind;

use crate::support::{Answer, App, Ask, Browser, SUITE, Setup, answer, no_session};

/// What somebody typed, and what must be found nowhere but in the page that sends it again and in the application.
const CANARY: &str = "canary-typed";
const FORM: &str =
    "amount=100&to=canary-typed&to=b&note=a%0D%0A%22%3E%3Cb%3E+%26amp%3B&%C3%BCber=%F0%9F%8C%8A&amount=200&empty=";
const MINUTE: Duration = Duration::from_secs(60);

/// `/pay/**` keeps forms, `/pay/fresh` also asks for a sign-in of the last five minutes; nothing else does.
fn setup() -> Setup {
    Setup::new().replacing(
        "  { path = \"/health\"",
        "  { path = \"/pay/fresh\", max_age = \"5m\", keep_post = true },
  { path = \"/pay/**\", keep_post = true },
  { path = \"/health\"",
    )
}

/// A form that a page of the application sends.
fn form(target: &str) -> Ask {
    Ask::form(target, &[]).body(FORM)
}

/// A form whose head differs from the honest one in a single header.
fn but(name: &str, value: &str) -> Ask {
    form("/pay/all").without(name).with(name, value)
}

/// The hidden fields of the page that sends a form again, as a browser would read them, written as it would send them.
fn encoded(page: &Answer) -> String {
    let text = page.text();
    let unescaped = |text: &str| {
        let text = text.replace("\r\n", "\n").replace("&#34;", "\"").replace("&#39;", "'");
        text.replace("&#60;", "<").replace("&#62;", ">").replace("&#38;", "&").replace('\n', "\r\n")
    };
    let mut fields = url::form_urlencoded::Serializer::new(String::new());
    for input in text.split("<input type=\"hidden\" name=\"").skip(1) {
        let (name, rest) = input.split_once("\" value=\"").unwrap();
        let (value, _) = rest.split_once("\">").unwrap();
        fields.append_pair(&unescaped(name), &unescaped(value));
    }
    fields.finish()
}

/// Where the page's form goes.
fn action(page: &Answer) -> String {
    let text = page.text();
    let (_, form) = text.split_once("<form ").unwrap();
    let (_, action) = form.split_once("action=\"").unwrap();
    action.split('"').next().unwrap().replace("&#38;", "&")
}

/// The page that sends a form again, by the link that the sender was given.
fn resend(kept: &Answer) -> String {
    let link = kept.links().into_iter().find(|link| link.contains("resend")).unwrap();
    let (_, query) = link.split_once('?').unwrap();
    let rd = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "rd").unwrap();
    rd.1.into_owned()
}

/// Somebody whose form is kept: the browser, and the path of the page that sends it again.
async fn kept(app: &App, target: &str) -> (Browser, String) {
    let mut browser = app.browser();
    let answer = browser.send(form(target)).await;
    assert_eq!((answer.status, answer.reason()), (401, "post_kept"), "{answer:?}");
    (browser, resend(&answer))
}

/// What pressing the page's button sends.
fn pressed(page: &Answer, at: &str) -> Ask {
    Ask::form(&action(page), &[]).body(encoded(page)).with("Referer", &format!("https://app.example.com{at}"))
}

fn posts(browser: &Browser) -> Vec<&str> {
    browser.cookies.keys().filter(|name| name.starts_with("__Host-anteroom-post-")).map(String::as_str).collect()
}

async fn bytes_kept(app: &App) -> u64 {
    app.directory.kept.bytes(KeptKind::Post).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn w04_a_form_is_kept_and_sent_by_its_sender_after_the_sign_in() {
    let app = App::start_with(setup()).await;
    let mut alice = app.browser();
    let target = "/pay/all?a=1&b=%22x%22";
    let before = app.acme.count("");
    app.log.taken();

    let answer = alice.send(form(target)).await;
    assert_eq!((answer.status, answer.reason()), (401, "post_kept"), "{answer:?}");
    assert!(answer.text().contains("kept for 20 minutes"), "{}", answer.text());
    assert!(!answer.text().contains(CANARY), "what was typed does not come back before the sign-in");
    assert!(answer.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-anteroom-post-"), "{cookie}");
    for attribute in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=1200"] {
        assert!(cookie.contains(attribute), "{attribute}: {cookie}");
    }
    let events = app.events();
    let [event] = events.as_slice() else { panic!("one event: {events:?}") };
    assert_eq!(
        (&event["event"], &event["reason"], &event["app"]),
        (&"browser.kept".into(), &"post_kept".into(), &"portal".into())
    );
    assert_eq!((app.upstream.count(), app.acme.count("")), (0, before));

    // The link on the page, and then the whole sign-in.
    let link = answer.links().into_iter().find(|link| link.contains("resend")).unwrap();
    let sign_in = alice.visit(&link).await;
    let again = resend(&answer);
    assert_eq!(sign_in.field("rd").as_deref(), Some(again.as_str()));
    let choice =
        alice.send(Ask::form("/.anteroom/sign-in/start", &[("email", "alice@acme.com"), ("rd", &again)])).await;
    let go = choice.links().into_iter().find(|link| link.contains("/sign-in/go?")).unwrap();
    let to_provider = alice.visit(&go).await;
    let back = alice.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
    assert_eq!((back.status, back.location()), (303, again.as_str()), "{back:?}");

    let page = alice.visit(&again).await;
    assert_eq!((page.status, page.reason()), (200, "resend"), "{page:?}");
    assert_eq!(app.upstream.count(), 0, "nothing is sent before the person says so");
    let words = page.text();
    assert!(
        words.contains("<dd>/pay/all</dd>")
            && words.contains("<dd>7 fields</dd>")
            && words.contains("Send as alice@acme.com")
    );
    assert!(!words.contains("Somebody else"), "{words}");
    assert_eq!(page.header("referrer-policy"), Some("same-origin"));
    assert_eq!(alice.visit(&again).await.text(), words, "a reload loses nothing");

    let sent = alice.send(pressed(&page, &again)).await;
    assert_eq!((sent.status, sent.text().as_str()), (200, "the application"));
    let seen = app.upstream.last();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", target));
    assert_eq!(String::from_utf8_lossy(&seen.body), FORM, "byte for byte, in order, duplicates and all");
    assert_eq!(seen.header("x-forwarded-email"), Some("alice@acme.com"));
    assert_eq!(seen.header("cookie"), None, "our cookies end here");
    assert_eq!(app.upstream.count(), 1);
    assert_eq!((posts(&alice).len(), bytes_kept(&app).await), (0, 0), "it does not live on");

    let gone = alice.visit(&again).await;
    assert_eq!((gone.status, gone.reason()), (404, "kept_post_unknown"));
    let log = app.log.taken();
    assert!(!log.contains(CANARY) && !log.contains("amount"), "{log}");
    assert!(log.contains("\"browser.resent\""), "{log}");
}

/// What strangers and other sites send is never kept (each differs from the honest form in one thing).
#[tokio::test(flavor = "multi_thread")]
async fn w04_only_a_small_form_of_the_same_origin_is_kept() {
    let app = App::start_with(setup()).await;
    let body = |body: &str| form("/pay/all").body(body);
    let long = |length: usize| format!("a={}", "x".repeat(length - 2));
    for (ask, reason) in [
        (but("Sec-Fetch-Site", "cross-site"), "post_cross_site"),
        (but("Sec-Fetch-Site", "same-site"), "post_cross_site"),
        (but("Sec-Fetch-Site", "none"), "post_cross_site"),
        (but("Sec-Fetch-Site", "Same-Origin"), "post_cross_site"),
        (form("/pay/all").without("Sec-Fetch-Site"), "post_cross_site"),
        (form("/pay/all").with("Sec-Fetch-Site", "same-origin"), "post_cross_site"),
        (but("Content-Type", "multipart/form-data; boundary=x"), "post_no_form"),
        (but("Content-Type", "text/plain"), "post_no_form"),
        (but("Content-Type", "application/json"), "post_no_form"),
        (but("Content-Type", "application/x-www-form-urlencoded; charset=iso-8859-1"), "post_no_form"),
        (form("/pay/all").without("Content-Type"), "post_no_form"),
        (form("/pay/all").with("Content-Type", "application/x-www-form-urlencoded"), "post_no_form"),
        (form("/pay/all").with("Content-Encoding", "gzip"), "post_no_form"),
        (body(&long(64 * 1024 + 1)), "post_too_large"),
        (body("a=%FC"), "post_not_plain"),
        (body("a=%00"), "post_not_plain"),
        (body("a=x%0Ay"), "post_not_plain"),
        (body("a"), "post_not_plain"),
        (body("_charset_=windows-1252"), "post_not_plain"),
        (body(&"a=&".repeat(1_001)), "post_not_plain"),
        (form(&format!("/pay/{}", "x".repeat(2048))), "post_target"),
        (form("/pay/javascript:x").to("/pay/all?x=\u{e9}"), "post_target"),
    ] {
        let watch = app.watch();
        let answer = app.send(&ask).await;
        let name = format!("{reason}: {:.200}", format!("{ask:?}"));
        let events = watch.quiet(&answer, 401, "not_sent");
        let [event] = events.as_slice() else { panic!("{name}: one event: {events:?}") };
        assert_eq!((&event["event"], &event["reason"]), (&"browser.not_kept".into(), &reason.into()), "{name}");
        assert_eq!(answer.text().contains("too large to be kept"), reason == "post_too_large", "{name}");
        assert!(!answer.links().iter().any(|link| link.contains("resend")), "{name}");
        assert_eq!(bytes_kept(&app).await, 0, "{name}");
    }
    for ask in [
        form("/pay/all"),
        body(""),
        body(&long(64 * 1024)),
        but("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8"),
    ] {
        assert_eq!(app.send(&ask).await.reason(), "post_kept", "the honest twins");
    }
}

/// A chunked form says nothing of its length; it is counted.
#[tokio::test(flavor = "multi_thread")]
async fn w04_a_form_of_unknown_length_is_counted() {
    let app = App::start_with(setup()).await;
    for (size, reason) in [(1000, "post_kept"), (64 * 1024 - 1, "not_sent")] {
        let mut ask = form("/pay/all").without("Content-Length").with("Transfer-Encoding", "chunked");
        ask.body = format!("{:x}\r\na={}\r\n0\r\n\r\n", size + 2, "x".repeat(size)).into_bytes();
        assert_eq!(app.send(&ask).await.reason(), reason, "{size}");
    }
}

/// Whatever is no form of a person at a route that keeps forms is refused as it always was.
#[tokio::test(flavor = "multi_thread")]
async fn w04_other_requests_and_other_routes_are_refused_as_ever() {
    let app = App::start_with(setup()).await;
    let get = Ask::page("/pay/all").without("Sec-Fetch-Site").with("Sec-Fetch-Site", "same-origin");
    for (ask, status, reason) in [
        (form("/report"), 401, "not_sent"),
        (form("/pay"), 401, "not_sent"),
        (form("/pay/all").method("PUT"), 401, "not_sent"),
        (but("Sec-Fetch-Dest", "iframe"), 401, "sign_in_required"),
        (but("Sec-Fetch-Mode", "cors"), 401, "sign_in_required"),
        (but("Sec-Fetch-Mode", "no-cors"), 401, "sign_in_required"),
        (get, 302, "sign_in_required"),
    ] {
        let watch = app.watch();
        let answer = app.send(&ask).await;
        assert_eq!(watch.quiet(&answer, status, reason).len(), 0, "{ask:?}");
        assert_eq!(bytes_kept(&app).await, 0, "{ask:?}");
    }
    // With a good session a form just goes through, and nothing of it stays.
    let mut alice = app.signed_in().await;
    assert_eq!(alice.send(form("/pay/all")).await.status, 200);
    assert_eq!((app.upstream.last().body.as_slice(), bytes_kept(&app).await), (FORM.as_bytes(), 0));
}

/// Another browser, another form, another host, too late, or nobody: all are told the same, and nothing is shown.
#[tokio::test(flavor = "multi_thread")]
async fn w04_a_kept_form_is_for_its_own_browser_for_a_while() {
    let app = App::start_with(setup()).await;
    let (mut alice, at) = kept(&app, "/pay/all").await;
    let refused = |answer: Answer, case: &str| {
        assert_eq!((answer.status, answer.reason()), (404, "kept_post_unknown"), "{case}: {answer:?}");
        assert!(!answer.text().contains(CANARY), "{case}");
        no_session(&answer);
    };

    // Without a session: to the sign-in, and back here.
    let stranger = alice.visit(&at).await;
    assert_eq!((stranger.status, stranger.reason()), (302, "sign_in_required"));
    let escaped = at.replace('?', "%3F").replace('=', "%3D");
    assert_eq!(stranger.location(), format!("https://app.example.com/.anteroom/sign-in?rd={escaped}"));
    assert!(!stranger.text().contains(CANARY));

    app.sign_in_with(&mut alice, "/").await;
    app.log.taken();
    let mut other = app.signed_in().await;
    app.log.taken();
    refused(other.visit(&at).await, "another browser");
    let events = app.events();
    let [event] = events.as_slice() else { panic!("one event: {events:?}") };
    assert_eq!((&event["event"], &event["reason"]), (&"browser.denied".into(), &"kept_post_unknown".into()));

    // The cookie's name alone, another secret, and two cookies of one name.
    let name = posts(&alice)[0].to_owned();
    let secret = alice.cookies[&name].clone();
    other.cookies.insert(name.clone(), secret.chars().rev().collect());
    refused(other.visit(&at).await, "another secret");
    other.cookies.insert(name.clone(), String::new());
    refused(other.visit(&at).await, "no secret");
    let (_, theirs) = kept(&app, "/pay/all").await;
    refused(alice.visit(&theirs).await, "somebody else's form");
    let (_, id) = at.split_once("id=").unwrap();
    for query in
        ["", "?", "?id=", "?id=x", "?id=../x", &format!("?id={id}&id={id}"), &format!("?id={id}x"), &format!("?x={id}")]
    {
        refused(alice.visit(&format!("/.anteroom/sign-in/resend{query}")).await, query);
    }
    let twice = format!("{name}=x; {name}={secret}; __Host-anteroom={}", alice.session().unwrap());
    refused(app.send(&Ask::page(&at).with("Cookie", &twice)).await, "two cookies");
    let post = alice.send(Ask::form(&at, &[])).await;
    assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD")));

    // The honest twin, until its time is over.
    app.advance(19 * MINUTE);
    assert_eq!(alice.visit(&at).await.status, 200);
    app.advance(2 * MINUTE);
    refused(alice.visit(&at).await, "too late");
    assert_eq!(app.upstream.count(), 0);
}

/// The record is sealed; nothing of it is in the database, the log or the explanations.
#[tokio::test(flavor = "multi_thread")]
async fn w04_what_was_typed_is_nowhere_to_be_read() {
    let app = App::start_with(setup()).await;
    let (mut alice, at) = kept(&app, "/pay/all").await;
    let (_, id) = at.split_once("id=").unwrap();
    let record =
        app.directory.kept.peek(KeptKind::Post, id, Timestamp::from_secs(1_800_000_000)).await.unwrap().unwrap();
    let within = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    app.explain.flush(&app.directory).await.unwrap();
    let written = app.written();
    assert!(written.len() > 10_000 && within(&written, "SQLite"), "the database is there");
    for secret in [CANARY, "amount", &alice.cookies[posts(&alice)[0]]] {
        assert!(!within(&record, secret), "{secret} is in the record");
        assert!(!within(&written, secret), "{secret} is in a file");
        assert!(!app.log.taken().contains(secret), "{secret} is in the log");
    }
    // Its twin: the browser reads it.
    app.sign_in_with(&mut alice, &at).await;
    assert!(alice.visit(&at).await.text().contains(CANARY));
}

/// A form that another person's session was ended under may hold that person's words.
#[tokio::test(flavor = "multi_thread")]
async fn w04_somebody_else_is_warned_and_named_before_anything_is_sent() {
    let app = App::start_with(setup()).await;
    for (person, warned) in [("bob", true), ("alice", false)] {
        let mut browser = app.signed_in().await;
        app.advance(Duration::from_secs(25 * 3600));
        let answer = browser.send(form("/pay/all")).await;
        assert_eq!(answer.reason(), "post_kept", "{answer:?}");
        let at = resend(&answer);
        if person == "bob" {
            let to_provider = app.start_sign_in(&mut browser, "globex", &at, "bob@globex.com").await;
            browser.send(App::callback("globex", &app.globex.sign_in(to_provider.location()))).await;
        } else {
            app.sign_in_with(&mut browser, &at).await;
        }
        let page = browser.visit(&at).await;
        assert_eq!(page.status, 200, "{page:?}");
        assert_eq!(page.text().contains("Somebody else was signed in"), warned, "{person}");
        assert!(page.text().contains(&format!("Send as {person}@")), "{}", page.text());
        assert_eq!(page.text().contains("alice@"), !warned, "the earlier person is not named");
    }
}

/// It goes only when the application has taken it.
#[tokio::test(flavor = "multi_thread")]
async fn w04_a_form_that_the_application_did_not_take_is_still_there() {
    let app = App::start_with(setup()).await;
    let (mut alice, at) = kept(&app, "/pay/all").await;
    app.sign_in_with(&mut alice, &at).await;
    let page = alice.visit(&at).await;
    for status in [500, 403, 422] {
        app.upstream.reply(move |_| answer(status, &[], "no"));
        assert_eq!(alice.send(pressed(&page, &at)).await.status, status);
        assert_eq!(alice.visit(&at).await.status, 200, "{status}");
    }
    app.upstream.reply(|_| vec![]);
    assert_eq!(alice.send(pressed(&page, &at)).await.status, 502);
    assert_eq!(alice.visit(&at).await.status, 200);
    // Another form to the same place is another form, and a wrong browser's word takes nothing away.
    app.upstream.reply(|_| answer(200, &[], "taken"));
    assert_eq!(alice.send(form("/pay/all")).await.status, 200);
    let mut bob = app.signed_in().await;
    assert_eq!(bob.send(pressed(&page, &at)).await.status, 200);
    assert_eq!(alice.visit(&at).await.status, 200);
    app.upstream.reply(|_| answer(303, &[("Location", "/done")], ""));
    assert_eq!(alice.send(pressed(&page, &at)).await.status, 303);
    assert_eq!(alice.visit(&at).await.status, 404);
}

/// A session that ends between the page and the button: the form is kept once more, never lost.
#[tokio::test(flavor = "multi_thread")]
async fn w04_a_session_that_ends_meanwhile_costs_another_sign_in_and_no_words() {
    let app = App::start_with(setup()).await;
    let (mut alice, at) = kept(&app, "/pay/all").await;
    app.sign_in_with(&mut alice, &at).await;
    let page = alice.visit(&at).await;
    alice.cookies.remove("__Host-anteroom");
    let again = alice.send(pressed(&page, &at)).await;
    assert_eq!(again.reason(), "post_kept", "{again:?}");
    let at = resend(&again);
    app.sign_in_with(&mut alice, &at).await;
    assert_eq!(encoded(&alice.visit(&at).await), FORM);
}

/// A route may ask for more than the session has, and keep the form until there is more.
#[tokio::test(flavor = "multi_thread")]
async fn e13_a_form_that_needs_a_newer_sign_in_is_kept_too() {
    let app = App::start_with(setup()).await;
    app.acme.script().claims["auth_time"] = 1_800_000_000_i64.into();
    let mut alice = app.signed_in().await;
    assert_eq!(alice.send(form("/pay/fresh")).await.status, 200, "new enough");
    app.advance(7 * MINUTE);
    app.log.taken();
    let answer = alice.send(form("/pay/fresh")).await;
    assert_eq!((answer.status, answer.reason()), (401, "post_kept"), "{answer:?}");
    assert!(answer.text().contains("asks you to sign in again"), "{}", answer.text());
    assert_eq!(app.events().len(), 1);
    let link = answer.links().into_iter().find(|link| link.contains("resend")).unwrap();
    assert!(link.starts_with("/.anteroom/sign-in/go?connector=acme&rd=/.anteroom/sign-in/resend%3Fid%3D"), "{link}");
    assert!(link.ends_with("&for=POST%20/pay/fresh"), "{link}");
    let at = resend(&answer);
    app.acme.script().claims["auth_time"] = 1_800_000_420_i64.into();
    let to_provider = alice.visit(&link).await;
    assert!(to_provider.location().contains("max_age=300"), "by the form's own rule: {}", to_provider.location());
    let back = alice.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
    assert_eq!((back.status, back.location()), (303, at.as_str()), "{back:?}");
    let page = alice.visit(&at).await;
    assert_eq!(alice.send(pressed(&page, &at)).await.status, 200);
    assert_eq!(app.upstream.count(), 2);
    // From elsewhere it is not kept, and is asked as ever.
    app.advance(7 * MINUTE);
    let foreign = form("/pay/fresh").without("Sec-Fetch-Site").with("Sec-Fetch-Site", "cross-site");
    assert_eq!(alice.send(foreign).await.reason(), "step_up_required");
}

/// Somebody else comes back from the provider than the one whose form waits: it goes out in nobody's name unasked.
#[tokio::test(flavor = "multi_thread")]
async fn e13_a_form_kept_for_a_step_up_is_its_senders_whoever_comes_back() {
    let app = App::start_with(setup()).await;
    for (person, warned) in [("carol", true), ("alice", false)] {
        app.acme.honest();
        let mut browser = app.signed_in().await;
        let before = app.upstream.count();
        let kept = browser.send(form("/pay/fresh")).await;
        assert_eq!((kept.status, kept.reason()), (401, "post_kept"), "{kept:?}");
        let link = kept.links().into_iter().find(|link| link.contains("resend")).unwrap();
        let to_provider = browser.visit(&link).await;
        let now = app.acme.script().now();
        app.acme.script().claims["auth_time"] = now.into();
        if person == "carol" {
            for (name, value) in [
                ("sub", "pairwise-carol"),
                ("oid", "cccccccc-0000-0000-0000-000000000003"),
                ("upn", "carol@acme.com"),
                ("preferred_username", "carol@acme.com"),
                ("email", "carol@acme.com"),
            ] {
                app.acme.script().claims[name] = value.into();
            }
        }
        let back = browser.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
        let at = resend(&kept);
        assert_eq!((back.reason(), back.location()), ("signed_in", at.as_str()), "{}", back.text());
        let page = browser.visit(&at).await;
        assert_eq!((page.status, app.upstream.count()), (200, before), "{person}: nothing goes by itself");
        assert_eq!(page.text().contains("Somebody else was signed in"), warned, "{person}");
        assert!(page.text().contains(&format!("Send as {person}@acme.com")), "{}", page.text());
        assert_eq!(page.text().contains("alice@"), !warned, "the one before is not named");
    }
}

/// Nobody is signed in: the page that asks for the address knows what the form will need.
#[tokio::test(flavor = "multi_thread")]
async fn e13_a_sign_in_for_a_kept_form_is_what_the_form_needs() {
    let app = App::start_with(setup()).await;
    for (target, max_age) in [("/pay/fresh", true), ("/pay/all", false)] {
        let mut browser = app.browser();
        let kept = browser.send(form(target)).await;
        let link = kept.links().into_iter().find(|link| link.contains("resend")).unwrap();
        let asks = browser.visit(&link).await;
        let purpose = asks.field("for").unwrap();
        assert_eq!(purpose, format!("POST {target}"));
        let typed = [("email", "alice@acme.com"), ("rd", &resend(&kept)), ("for", &purpose)];
        let choice = browser.send(Ask::form("/.anteroom/sign-in/start", &typed)).await;
        let go = choice.links().into_iter().find(|link| link.contains("/sign-in/go?")).unwrap();
        let to_provider = browser.visit(&go).await;
        assert_eq!(to_provider.location().contains("max_age=300"), max_age, "{target}: {}", to_provider.location());
    }
}

/// Strangers fill neither the database nor a browser.
#[tokio::test(flavor = "multi_thread")]
async fn z07_what_is_kept_is_bounded() {
    let app = App::start_with(setup()).await;
    let mut browser = app.browser();
    let mut first = None;
    for _ in 0..5 {
        app.advance(Duration::from_millis(10));
        let answer = browser.send(form("/pay/all")).await;
        assert_eq!(answer.reason(), "post_kept");
        first.get_or_insert_with(|| resend(&answer));
    }
    assert_eq!(posts(&browser).len(), 3, "the oldest is given up");
    app.sign_in_with(&mut browser, "/").await;
    assert_eq!(browser.visit(&first.unwrap()).await.status, 404);

    let reasons = async || {
        app.log.taken();
        let answer = app.send(&form("/pay/all")).await;
        (answer.reason().to_owned(), app.events().last().unwrap()["reason"].as_str().unwrap().to_owned())
    };
    for _ in 5..30 {
        assert_eq!(reasons().await.0, "post_kept");
    }
    assert_eq!(reasons().await, ("not_sent".to_owned(), "rate_limited".to_owned()), "one source");
    app.advance(2 * MINUTE);
    assert_eq!(reasons().await.0, "post_kept");

    let room = 64 * 1024 * 1024 - bytes_kept(&app).await;
    let filler = vec![0; usize::try_from(room).unwrap() - 100];
    let until = Timestamp::from_secs(1_900_000_000);
    app.directory.kept.keep(KeptKind::Post, "filler", &filler, until).await.unwrap();
    assert_eq!(reasons().await, ("not_sent".to_owned(), "kept_posts_full".to_owned()));
    app.directory.kept.take(KeptKind::Post, "filler", until).await.unwrap();
    assert_eq!(reasons().await.0, "post_kept", "the honest twin");
}

/// Whoever signs out leaves nothing for the next person at the browser.
#[tokio::test(flavor = "multi_thread")]
async fn w04_signing_out_gives_kept_forms_up() {
    let app = App::start_with(setup()).await;
    let (mut alice, at) = kept(&app, "/pay/all").await;
    app.sign_in_with(&mut alice, &at).await;
    assert_eq!(posts(&alice).len(), 1);
    alice.send(Ask::form("/.anteroom/sign-out", &[])).await;
    assert_eq!(posts(&alice).len(), 0);
    app.sign_in_with(&mut alice, &at).await;
    assert_eq!(alice.visit(&at).await.status, 404);
}

/// R17: on a host of its own an application's form waits there, and comes back after the hand-off.
#[tokio::test(flavor = "multi_thread")]
async fn w04_a_form_for_another_host_waits_there() {
    let suite = "[apps.suite]\npublic_url = \"https://suite.example.org\"\nupstream = \"$upstream\"
routes = [{ path = \"/pay/**\", keep_post = true }]";
    let app = App::start_with(setup().with(suite)).await;
    let host = "suite.example.org";
    let mut alice = app.signed_in().await;
    let posts = |browser: &Browser| {
        let jar = browser.elsewhere.get(host).into_iter().flat_map(|jar| jar.keys());
        jar.filter(|name| name.starts_with("__Host-anteroom-post-")).count()
    };
    let answer = alice.send(form("/pay/all").host(host)).await;
    assert_eq!((answer.status, answer.reason(), posts(&alice)), (401, "post_kept", 1), "{answer:?}");
    let (link, at) = (answer.links().into_iter().find(|link| link.contains("resend")).unwrap(), resend(&answer));

    let page = app.follow(&mut alice, &format!("{SUITE}{link}")).await;
    assert_eq!((page.status, page.reason(), encoded(&page).as_str()), (200, "resend", FORM), "{page:?}");
    assert_eq!(alice.visit(&at).await.status, 404, "nothing of it on another host");
    // Not even with the cookie: what is sealed for one host opens on no other.
    let (name, secret) = alice.elsewhere[host].iter().find(|(name, _)| name.contains("-post-")).unwrap();
    let cookie = format!("{name}={secret}; __Host-anteroom={}", alice.session().unwrap());
    assert_eq!(app.send(&Ask::page(&at).with("Cookie", &cookie)).await.status, 404);

    let sent = Ask::form(&action(&page), &[]).host(host).without("Origin").with("Origin", SUITE);
    let sent = sent.body(encoded(&page)).with("Referer", &format!("{SUITE}{at}"));
    assert_eq!(alice.send(sent).await.status, 200);
    assert_eq!((app.upstream.last().body.as_slice(), posts(&alice)), (FORM.as_bytes(), 0));
    assert_eq!(app.upstream.count(), 1);
}

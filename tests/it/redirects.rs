//! Where a sign-in may end (area R), through whole sign-ins.

use std::time::Duration;

use crate::support::{App, Ask, Browser, PORTAL, SUITE, Setup};

const OURS: &str = "app.example.com";
const EVIL: &str = "evil.example";

/// tests/data/redirects.txt: one target a line.
fn listed() -> Vec<String> {
    let hosts = |line: &str| line.replace('A', OURS).replace('E', EVIL);
    let lines = include_str!("../data/redirects.txt").lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("# ") && *line != "#");
    lines.map(|line| unescape(&hosts(line))).collect()
}

fn unescape(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match (c, if c == '\\' { rest.next() } else { None }) {
            ('\\', Some('t')) => out.push('\t'),
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some('\\')) => out.push('\\'),
            ('\\', Some('u')) => {
                let digits: String = rest.by_ref().skip(1).take_while(|c| *c != '}').collect();
                out.push(char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap());
            }
            (c, None) => out.push(c),
            other => panic!("unknown escape {other:?} in {line}"),
        }
    }
    out
}

fn query(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// What a browser at our origin makes of `Location`.
#[track_caller]
fn stays_here(location: &str) {
    let base = url::Url::parse("https://app.example.com/.anteroom/oidc/acme/callback").unwrap();
    let target = base.join(location).unwrap();
    assert_eq!((target.scheme(), target.host_str(), target.port()), ("https", Some(OURS), None), "{location:?}");
    let plain = location.starts_with('/') && !location.starts_with("//") && !location.contains('\\');
    assert!(plain && location.bytes().all(|b| b.is_ascii_graphic()), "{location:?}");
}

/// The callback's answer after a sign-in that the link `go` starts.
async fn sign_in_by(app: &App, go: &str) -> (Browser, String) {
    // Look-ups of one source are limited.
    app.advance(Duration::from_secs(2));
    let mut browser = app.browser();
    let to_provider = browser.visit(go).await;
    assert_eq!((to_provider.status, to_provider.reason()), (303, "sign_in_started"), "{go}");
    let back = browser.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
    assert_eq!((back.status, back.reason()), (303, "signed_in"), "{go}: {}", back.text());
    (browser, back.location().to_owned())
}

/// R01 to R08 through `sign-in/go` and the whole sign-in: every listed target is replaced by `/`, with its event, or
/// is a path of ours.
#[tokio::test(flavor = "multi_thread")]
async fn no_listed_target_leads_a_signed_in_browser_away_r01_to_r08() {
    let app = App::start().await;
    let targets = listed();
    assert!(targets.len() > 200, "the list is there: {}", targets.len());
    let mut replaced = 0;
    for target in &targets {
        app.log.taken();
        let (_, location) =
            sign_in_by(&app, &format!("/.anteroom/sign-in/go?connector=acme&{}", query(&[("rd", target)]))).await;
        stays_here(&location);
        let events = app.events();
        let rejected = events.iter().filter(|event| event["event"] == "redirect.rejected").count();
        if rejected > 0 {
            assert_eq!((location.as_str(), rejected), ("/", 1), "{target:?}");
            replaced += 1;
        } else {
            assert!(target.starts_with('/') || target.starts_with("https://app.example.com"), "{target:?} was taken");
        }
        assert_eq!(app.upstream.count(), 0);
    }
    assert!(replaced > 180, "{replaced} of {}", targets.len());
}

/// R01 to R08 through the e-mail page and its form, as they appear on the page and in the button's link.
#[tokio::test(flavor = "multi_thread")]
async fn no_listed_target_gets_into_the_pages_of_a_sign_in_r01_to_r08() {
    let app = App::start().await;
    for target in listed() {
        app.advance(Duration::from_secs(2));
        let mut browser = app.browser();
        let page = browser.visit(&format!("/.anteroom/sign-in?{}", query(&[("rd", &target)]))).await;
        assert_eq!(page.status, 200, "{target:?}");
        let field = page.field("rd").unwrap_or_default().replace("&#38;", "&").replace("&#34;", "\"");
        if !field.is_empty() {
            stays_here(&field);
        }
        let fields = [("email", "alice@acme.com"), ("rd", target.as_str())];
        let choice = browser.send(Ask::form("/.anteroom/sign-in/start", &fields)).await;
        assert_eq!((choice.status, choice.reason()), (200, "connector_choice"), "{target:?}");
        let base = url::Url::parse("https://app.example.com/.anteroom/sign-in/start").unwrap();
        for link in choice.links() {
            let link = base.join(&link).unwrap();
            assert_eq!(link.host_str(), Some(OURS));
            if let Some((_, rd)) = link.query_pairs().find(|(name, _)| name == "rd") {
                stays_here(&rd);
            }
        }
    }
}

/// R01 to R08 with applications on several hosts: whatever is listed, and the same with another of our hosts in the place
/// of the sign-in host, leads to an application of ours or to the root.
#[tokio::test(flavor = "multi_thread")]
async fn no_listed_target_leads_away_from_the_applications_on_several_hosts_r01_to_r08() {
    let app = App::suite().await;
    let mut targets = listed();
    targets.extend(listed().iter().map(|target| target.replace(OURS, "suite.example.org")));
    let at_suite = |location: &str| {
        let url = url::Url::parse(SUITE).unwrap().join(location).unwrap();
        assert_eq!((url.origin().ascii_serialization().as_str(), url.username()), (SUITE, ""), "{location:?}");
        assert!(location.starts_with('/') && !location.starts_with("//") && !location.contains('\\'), "{location:?}");
    };
    let mut browser = app.signed_in().await;
    let (mut refused, mut elsewhere) = (0, 0);
    for target in &targets {
        app.log.taken();
        // Repeated events are counted together; time separates them.
        app.advance(Duration::from_secs(1));
        let link = query(&[("rd", target)]);
        // At the sign-in host.
        let answer = browser.open(&format!("{PORTAL}/.anteroom/sign-in?{link}")).await;
        assert_eq!((answer.status, answer.reason()), (303, "already_signed_in"), "{target:?}");
        match answer.location().strip_prefix("https://suite.example.org/.anteroom/sign-in?") {
            None => stays_here(answer.location()),
            Some(on) => {
                assert!(target.to_ascii_lowercase().starts_with("https://suite.example.org"), "{target:?} was taken");
                let rd = url::form_urlencoded::parse(on.as_bytes()).next().unwrap();
                assert_eq!(rd.0, "rd");
                at_suite(&rd.1);
                elsewhere += 1;
            }
        }
        // At the other host, to the end of the hand-off.
        browser.jar("suite.example.org").clear();
        let started = browser.open(&format!("{SUITE}/.anteroom/sign-in?{link}")).await;
        assert_eq!(started.reason(), "hand_off_started", "{target:?}");
        let on = browser.open(started.location()).await;
        let code = browser.open(&format!("{PORTAL}{}", on.location())).await;
        let done = browser.open(code.location()).await;
        assert_eq!(done.reason(), "handed_off", "{target:?}");
        at_suite(done.location());
        refused += app.events().iter().filter(|event| event["event"] == "redirect.rejected").count();
    }
    assert!(refused > 600 && elsewhere > 2, "{refused} were refused, {elsewhere} led to the other host");
}

/// A hand-off is the one own page that a sign-in leads to, and it leads to our hosts alone.
#[tokio::test(flavor = "multi_thread")]
async fn of_the_own_pages_only_the_hand_off_is_a_target() {
    let (one, several) = (App::start().await, App::suite().await);
    for (app, rd, taken) in [
        (&several, "/.anteroom/hand-off?host=evil.example", true),
        (&one, "/.anteroom/hand-off?host=evil.example", false),
        (&several, "/.anteroom/hand-off/../sign-out", false),
        (&several, "/.anteroom/Hand-Off", false),
        (&several, "/.anteroom/session?code=x&state=y", false),
        (&several, "https://suite.example.org/.anteroom/sign-out", false),
        (&several, "https://suite.example.org/.anteroom/hand-off", false),
    ] {
        let link = format!("/.anteroom/sign-in/go?connector=acme&{}", query(&[("rd", rd)]));
        let (mut browser, location) = sign_in_by(app, &link).await;
        assert_eq!(location, if taken { rd } else { "/" }, "{rd}");
        if taken {
            let answer = browser.visit(&location).await;
            assert_eq!((answer.status, answer.header("location")), (400, None), "and is refused there");
        }
    }
}

/// R09 at another host: the way there and back is by the configuration, whatever the headers say.
#[tokio::test(flavor = "multi_thread")]
async fn no_header_changes_the_way_between_hosts_r09() {
    let trusting = Setup::suite().replacing("workers = 2", "workers = 2\ntrusted_proxies = [\"127.0.0.1\"]");
    let app = App::start_with(trusting).await;
    let fixed = |location: &str| {
        let at = location.find("%26id%3D").unwrap_or(location.len());
        location[..at].to_owned()
    };
    let go = Ask::page("/.anteroom/sign-in/go?connector=acme&rd=/x").host("suite.example.org");
    let expected = fixed(app.send(&go).await.location());
    assert!(expected.starts_with("https://app.example.com/.anteroom/sign-in/go?connector=acme&rd="), "{expected}");
    for (name, value) in FORWARDING {
        let answer = app.send(&go.clone().with(name, value)).await;
        assert_eq!(fixed(answer.location()), expected, "{name}");
        let mut browser = app.signed_in().await;
        let started = browser.send(go.clone().with(name, value)).await;
        let on = browser.open(started.location()).await;
        assert!(on.location().contains("redirect_uri=https%3A%2F%2Fapp.example.com%2F"), "{}", on.location());
        let link = app.code_for(&mut browser, &format!("{SUITE}/x")).await;
        assert!(link.starts_with("https://suite.example.org/.anteroom/session?"), "{link}");
    }
    for host in ["SUITE.example.org:443", "suite.example.org."] {
        assert_eq!(fixed(app.send(&go.clone().host(host)).await.location()), expected, "{host}");
    }
    for host in ["evil.example", "suite.example.org.evil.example", "x.suite.example.org"] {
        let watch = app.watch();
        watch.quiet(&app.send(&go.clone().host(host)).await, 421, "unknown_host");
    }
}

/// The honest twins, and R08: 8 KB, nothing, and what is a query alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_ours_is_returned_to_whole_and_everything_else_means_the_root() {
    let app = App::start().await;
    let long = format!("/{}", "x/".repeat(4096));
    for (rd, expected) in [
        ("/report?month=5&next=%2F%2Fevil.example#top", "/report?month=5&next=%2F%2Fevil.example#top"),
        ("https://app.example.com/report", "/report"),
        ("HTTPS://APP.example.com?x", "/?x"),
        ("/x?quote=\"", "/x?quote=%22"),
        ("", "/"),
        ("?", "/"),
        (long.as_str(), "/"),
        // To sign out at once, or to go round: an own page is no place to return to.
        ("/.anteroom/sign-out", "/"),
        ("/.Anteroom/sign-out", "/"),
    ] {
        let (mut browser, location) =
            sign_in_by(&app, &format!("/.anteroom/sign-in/go?connector=acme&{}", query(&[("rd", rd)]))).await;
        assert_eq!(location, expected, "{rd:?}");
        let target = location.split('#').next().unwrap();
        assert_eq!(browser.visit(target).await.status, 200, "signed in");
        assert_eq!(app.upstream.last().target, target);
    }
    let twice = app.browser().visit("/.anteroom/sign-in/go?connector=acme&rd=/a&rd=/b").await;
    assert_eq!((twice.status, twice.reason()), (400, "duplicate_parameter"));
}

/// R01 to R03 in the request itself: what is asked for without a session is where the sign-in leads back to.
#[tokio::test(flavor = "multi_thread")]
async fn the_request_that_was_stopped_leads_nowhere_else() {
    let app = App::start().await;
    for (target, rd) in [
        ("/report?month=5&x=//evil.example", "/report%3Fmonth%3D5%26x%3D//evil.example"),
        ("//evil.example/x", "/"),
        ("/javascript:alert(1)", "/"),
    ] {
        let answer = app.browser().visit(target).await;
        assert_eq!(answer.status, 302, "{target}");
        assert_eq!(answer.location(), format!("https://app.example.com/.anteroom/sign-in?rd={rd}"), "{target}");
    }
    assert_eq!(app.upstream.count(), 0);
}

const FORWARDING: [(&str, &str); 9] = [
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Port", "8080"),
    ("X-Forwarded-Prefix", "/evil.example"),
    ("Forwarded", "host=evil.example;proto=http"),
    ("X-Original-Host", "evil.example"),
    ("X-Original-URL", "https://evil.example/"),
    ("X-Host", "evil.example"),
    ("Origin", "https://evil.example"),
];

/// R09, W03: neither a trusted proxy nor anybody else chooses where the provider sends the code, or what pages say.
#[tokio::test(flavor = "multi_thread")]
async fn no_header_changes_the_redirect_uri_or_a_page_r09() {
    let trusting = Setup::new().replacing("workers = 2", "workers = 2\ntrusted_proxies = [\"127.0.0.1\"]");
    for app in [App::start().await, App::start_with(trusting).await] {
        let go = "/.anteroom/sign-in/go?connector=acme&login_hint=alice@acme.com";
        let honest = app.browser().visit(go).await;
        let expected = parameters(honest.location());
        assert_eq!(expected["redirect_uri"], "https://app.example.com/.anteroom/oidc/acme/callback");
        for (name, value) in FORWARDING {
            let answer = app.browser().send(Ask::page(go).with(name, value)).await;
            assert_eq!(answer.status, 303, "{name}");
            let mut found = parameters(answer.location());
            for fresh in ["state", "nonce", "code_challenge"] {
                found.insert(fresh.into(), expected[fresh].clone());
            }
            assert_eq!(found, expected, "{name}");
            for path in
                ["/.anteroom/sign-in", "/.anteroom/sign-out", "/.anteroom/sign-out/done", "/secret", "/.anteroom/no"]
            {
                let answer = app.browser().send(Ask::page(path).with(name, value)).await;
                assert!(!format!("{answer:?}{}", answer.text()).contains("evil"), "{name} {path}");
            }
        }
    }
}

/// R09: another Host starts nothing.
#[tokio::test(flavor = "multi_thread")]
async fn another_host_starts_no_sign_in_r09() {
    let app = App::start().await;
    let go = "/.anteroom/sign-in/go?connector=acme";
    for host in ["evil.example", "app.example.com.evil.example", "evil.app.example.com", "127.0.0.1"] {
        let watch = app.watch();
        let answer = app.send(&Ask::page(go).host(host)).await;
        watch.quiet(&answer, 421, "unknown_host");
        assert!(!answer.text().contains(host), "{host}");
    }
    for host in ["app.example.com", "APP.example.com:443", "app.example.com."] {
        let answer = app.send(&Ask::page(go).host(host)).await;
        assert_eq!(answer.status, 303, "{host}");
        let uri = &parameters(answer.location())["redirect_uri"];
        assert_eq!(uri, "https://app.example.com/.anteroom/oidc/acme/callback");
    }
}

/// R10: neither the next URL nor a Referer carries the code, however the callback ends.
#[tokio::test(flavor = "multi_thread")]
async fn the_code_ends_at_the_callback_r10() {
    let app = App::start().await;
    let mut browser = app.browser();
    let to_provider = app.start_sign_in(&mut browser, "acme", "/report", "alice@acme.com").await;
    assert_eq!(to_provider.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(to_provider.header("cache-control"), Some("no-store"));
    let query = app.acme.sign_in(to_provider.location());
    let stranger = app.browser().send(App::callback("acme", &query)).await;
    let back = browser.send(App::callback("acme", &query)).await;
    let replayed = browser.send(App::callback("acme", &query)).await;
    for (answer, status) in [(&stranger, 400), (&back, 303), (&replayed, 303)] {
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let all = format!("{answer:?}{}", answer.text());
        assert!(!all.contains(&query["code"]) && !all.contains(&query["state"]), "{all}");
    }
    assert_eq!(back.location(), "/report");
}

fn parameters(location: &str) -> std::collections::BTreeMap<String, String> {
    url::Url::parse(location).unwrap().query_pairs().into_owned().collect()
}

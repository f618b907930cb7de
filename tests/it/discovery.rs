//! The e-mail page: from an address to a provider (area D).

use std::time::Duration;

use crate::support::{Answer, App, Ask, Setup, no_session};

async fn typed(app: &App, email: &str) -> Answer {
    // Look-ups of one source are limited.
    app.advance(Duration::from_secs(2));
    app.send(&Ask::form("/.anteroom/sign-in/start", &[("email", email)])).await
}

/// `kiwi.com` beside `acme.com`: its letters have look-alikes that lower-casing makes ASCII of.
async fn with_kiwi() -> App {
    App::start_with(Setup::new().with("[domains.\"kiwi.com\"]\nconnector = \"acme\"\nenvironment = \"production\""))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn case_spaces_around_and_one_trailing_dot_lead_to_the_domains_provider_d02() {
    let app = with_kiwi().await;
    for email in [
        "alice@acme.com",
        "alice@ACME.com",
        "alice@acme.com.",
        " alice@acme.com\t",
        "alice@KIWI.com",
        "Alice@aCmE.CoM.",
    ] {
        let answer = typed(&app, email).await;
        assert_eq!((answer.status, answer.reason()), (200, "connector_choice"), "{email:?}");
        assert!(answer.links()[0].contains("connector=acme"), "{email:?}: {:?}", answer.links());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_alike_never_reaches_the_provider_d02() {
    let app = with_kiwi().await;
    for email in [
        "alice@ａｃｍｅ.com",     // full-width
        "alice@acme。com",        // ideographic full stop
        "alice@acme．com",        // full-width full stop
        "alice@acme｡com",         // half-width ideographic full stop
        "alice@\u{212a}iwi.com",  // Kelvin sign
        "alice@k\u{131}wi.com",   // dotless i
        "alice@K\u{130}WI.com",   // dotted capital I
        "alice@\u{430}cme.com",   // Cyrillic a
        "alice@acme\u{ad}.com",   // soft hyphen
        "alice@ac\u{200b}me.com", // zero-width space
        "alice@xn--acme-.com",
        "alice@xn--acme.com",
        "alice@acme.com..",
        "alice@.acme.com",
        "alice@acme .com",
        "alice@sub.acme.com",
        "alice@notacme.com",
        "alice@acme.com.evil.example",
        "alice@evil.example@acme.com",
        "\"alice@acme.com\"@evil.example",
        "alice@[acme.com]",
        "alice@acme.com\0.evil.example",
        "alice@acme.com%00",
        "alice@acme.com/evil",
    ] {
        let answer = typed(&app, email).await;
        let expected = if answer.status == 200 { "domain_unknown" } else { "email_invalid" };
        assert_eq!((answer.reason(), no_session(&answer)), (expected, ()), "{email:?}");
        assert!(answer.links().iter().all(|link| !link.contains("sign-in/go")), "{email:?}");
        // The same in a link, where a known domain would go straight on.
        for name in ["login_hint", "domain_hint"] {
            let hint = if name == "login_hint" { email } else { email.split_once('@').unwrap().1 };
            let query = url::form_urlencoded::Serializer::new(String::new()).append_pair(name, hint).finish();
            let answer = app.browser().visit(&format!("/.anteroom/sign-in?{query}")).await;
            assert_eq!((answer.status, answer.reason()), (200, "sign_in"), "{name} {hint:?}");
        }
    }
    assert_eq!(app.acme.count(""), 0, "nobody was asked");
    // The honest twins of the links.
    for query in ["login_hint=alice%40KIWI.com.", "domain_hint=ACME.com"] {
        let answer = app.browser().visit(&format!("/.anteroom/sign-in?{query}")).await;
        assert_eq!((answer.status, answer.reason()), (303, "sign_in_started"), "{query}");
    }
}

/// D03: three people, whatever their addresses look like.
#[tokio::test(flavor = "multi_thread")]
async fn the_local_part_is_never_folded_d03() {
    let app = App::start().await;
    for address in ["a.lice@acme.com", "alice+tag@acme.com", "ALICE@acme.com", "alice@acme.com"] {
        app.acme.script().claims["upn"] = address.into();
        let mut browser = app.browser();
        let to_provider = app.start_sign_in(&mut browser, "acme", "/", address).await;
        let hint = url::Url::parse(to_provider.location()).unwrap();
        let hint = hint.query_pairs().find(|(name, _)| name == "login_hint").unwrap().1.into_owned();
        assert_eq!(hint, address, "as typed");
        let back = browser.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
        assert_eq!(back.reason(), "signed_in", "{address}");
        browser.visit("/").await;
        assert_eq!(app.upstream.last().header("x-forwarded-email"), Some(address));
    }
    // A dot or a tag is another person: the page asks. Letter case alone is no reason to.
    for (typed, reason) in [
        ("al.ice@acme.com", "address_mismatch"),
        ("alice+x@acme.com", "address_mismatch"),
        ("Alice@acme.com", "signed_in"),
    ] {
        let mut browser = app.browser();
        let to_provider = app.start_sign_in(&mut browser, "acme", "/", typed).await;
        let back = browser.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
        assert_eq!(back.reason(), reason, "{typed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_address_is_refused_and_shown_as_text_d04() {
    let app = App::start().await;
    for (email, shown) in [
        (format!("{}@acme.com", "a".repeat(10 * 1024)), None),
        ("alice@acme.com\r\nSet-Cookie: a=b".to_owned(), Some("alice@acme.com")),
        ("<script>alert(1)</script>@acme.com".to_owned(), Some("&#60;script&#62;alert(1)&#60;/script&#62;@acme.com")),
        ("\" autofocus onfocus=\"x".to_owned(), Some("&#34; autofocus onfocus=&#34;x")),
        ("\u{202e}moc.emca@ecila".to_owned(), Some("")),
        (String::new(), Some("")),
    ] {
        let watch = app.watch();
        let answer = typed(&app, &email).await;
        watch.quiet(&answer, 400, "email_invalid");
        let page = answer.text();
        match shown {
            Some(text) => assert!(page.contains(text), "{page}"),
            None => assert!(page.len() < 10 * 1024, "10 KB do not come back"),
        }
        assert!(!page.contains("<script") && !page.contains("onfocus=\"x"), "{page}");
        assert_eq!(answer.header("set-cookie"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_in_a_link_is_encoded_or_refused_d04() {
    let app = App::start().await;
    for name in ["login_hint", "domain_hint"] {
        for path in ["/.anteroom/sign-in?", "/.anteroom/sign-in/go?connector=acme&"] {
            let watch = app.watch();
            let answer = app.browser().visit(&format!("{path}{name}={}", "a".repeat(10 * 1024))).await;
            watch.refused(&answer, 400, "hint_too_long", "login.rejected");
        }
    }
    // What is no address is not passed on; what is a domain hint is one encoded value of one parameter.
    for hint in [
        "%0d%0aLocation:%20https://evil.example",
        "%3Cscript%3E",
        "%ed%a0%80@acme.com",
        "a%26prompt=none",
        "x%23y",
        "%00",
    ] {
        for name in ["login_hint", "domain_hint"] {
            let answer = app.browser().visit(&format!("/.anteroom/sign-in/go?connector=acme&{name}={hint}")).await;
            assert_eq!(answer.status, 303, "{hint}");
            let url = url::Url::parse(answer.location()).unwrap();
            let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
            assert_eq!(pairs.iter().filter(|(known, _)| known == name).count(), usize::from(name == "domain_hint"));
            assert!(pairs.iter().all(|(name, _)| name != "prompt"), "{pairs:?}");
            assert_eq!(url.fragment(), None, "{hint}");
        }
        let page = app.browser().visit(&format!("/.anteroom/sign-in?login_hint={hint}")).await;
        assert_eq!(page.status, 200);
        assert!(!page.text().contains("<script"), "{}", page.text());
    }
    let honest = app.browser().visit("/.anteroom/sign-in/go?connector=acme&login_hint=a%26b%2Bc@acme.com").await;
    assert!(honest.location().contains("login_hint=a%26b%2Bc%40acme.com"), "{}", honest.location());
    // RFC 5321: more than an address may have is no address, and is not passed on.
    let long = app
        .browser()
        .visit(&format!("/.anteroom/sign-in/go?connector=acme&login_hint={}@acme.com", "a".repeat(65)))
        .await;
    assert!(!long.location().contains("login_hint"), "{}", long.location());
}

/// D05: the source waits; the person who is named does not, and neither does another network.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_looks_up_too_often_waits_d05() {
    let trusting = Setup::new().replacing("workers = 2", "workers = 2\ntrusted_proxies = [\"127.0.0.1\"]");
    let app = App::start_with(trusting).await;
    let look_up = |client: String, email: &'static str| {
        let form = Ask::form("/.anteroom/sign-in/start", &[("email", email)]).with("X-Forwarded-For", &client);
        let app = &app;
        async move { app.send(&form).await }
    };
    for (network, other) in [("192.0.2.", "192.0.3.1"), ("2001:db8:1:1::", "2001:db8:1:2::1")] {
        let mut refused = 0;
        for i in 0..200 {
            let answer = look_up(format!("{network}{}", i % 250), "alice@acme.com").await;
            if answer.status != 429 {
                assert_eq!(answer.status, 200);
                continue;
            }
            refused += 1;
            let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=60).contains(&wait), "{wait}");
            assert_eq!(answer.reason(), "rate_limited");
        }
        assert!((50..=100).contains(&refused), "{refused} of 200");
        // The other door to the same knowledge is closed with it; the way to a provider that is known is not.
        let from_there = |path: &str| Ask::page(path).with("X-Forwarded-For", &format!("{network}7"));
        let answer = app.send(&from_there("/.anteroom/sign-in?login_hint=alice@acme.com")).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (429, None));
        assert_eq!(app.send(&from_there("/.anteroom/sign-in/go?connector=acme")).await.status, 303);
        // Nobody is locked out by it.
        assert_eq!(look_up(other.to_owned(), "alice@acme.com").await.status, 200);
        app.advance(Duration::from_secs(60));
        assert_eq!(look_up(format!("{network}7"), "alice@acme.com").await.status, 200);
    }
    let events = app.events();
    assert!(events.iter().any(|e| e["event"] == "limit.hit" && e["reason"] == "rate_limited"), "{events:?}");
}

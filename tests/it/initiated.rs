//! Providers that send their people here themselves (OpenID Connect Core, section 4; O41).

use crate::support::{Answer, App, Setup, TENANT};

fn go(pairs: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    format!("/.anteroom/sign-in/go?{query}")
}

/// The origin that the browser was sent to, and one parameter of what the provider is asked.
fn sent(answer: &Answer, parameter: &str) -> (String, Option<String>) {
    assert_eq!((answer.status, answer.reason()), (303, "sign_in_started"), "{}", answer.text());
    let url = url::Url::parse(answer.location()).unwrap();
    let value = url.query_pairs().find(|(name, _)| name == parameter).map(|(_, value)| value.into_owned());
    (url.origin().ascii_serialization(), value)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_issuer_finds_the_connector_and_the_target_is_kept_o41() {
    let app = App::start().await;
    let (acme, globex) = (format!("http://{}", app.acme.address), format!("http://{}", app.globex.address));
    for (iss, provider) in [
        (format!("{acme}/{TENANT}/v2.0"), &acme),
        (format!("{acme}/{TENANT}/v2.0/"), &acme),
        (format!("{acme}/{TENANT}"), &acme),
        (format!("https://sts.windows.net/{TENANT}/"), &acme),
        (globex.clone(), &globex),
    ] {
        let answer = app.browser().visit(&go(&[("iss", &iss), ("login_hint", "x@acme.com")])).await;
        assert_eq!(sent(&answer, "login_hint"), (provider.clone(), Some("x@acme.com".to_owned())), "{iss}");
    }
    // To the end: the page that the provider named.
    let iss = format!("{acme}/{TENANT}/v2.0");
    for target in ["https://app.example.com/report?x=1", "/report?x=1"] {
        let mut browser = app.browser();
        let link = go(&[("iss", &iss), ("login_hint", "alice@acme.com"), ("target_link_uri", target)]);
        let to_provider = browser.visit(&link).await;
        let back = browser.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
        assert_eq!((back.reason(), back.location()), ("signed_in", "/report?x=1"), "{target}");
        assert!(browser.session().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_issuer_is_refused_and_nobody_is_asked_o41() {
    let app = App::start().await;
    let acme = format!("http://{}/{TENANT}/v2.0", app.acme.address);
    for bad in [
        "https://evil.example",
        "",
        "acme",
        &acme.to_ascii_uppercase(),
        &format!("{acme}/x"),
        &format!("{acme}?x"),
        &format!(" {acme}"),
        &acme.replace(TENANT, "99999999-2222-3333-4444-555555555555"),
        "https://sts.windows.net/99999999-2222-3333-4444-555555555555/",
    ] {
        let watch = app.watch();
        let answer = app.browser().visit(&go(&[("iss", bad), ("login_hint", "alice@acme.com")])).await;
        watch.refused(&answer, 400, "issuer_unknown", "login.rejected");
    }
    let watch = app.watch();
    let other = app.browser().visit(&go(&[("iss", &acme), ("connector", "globex")])).await;
    watch.refused(&other, 400, "issuer_unknown", "login.rejected");
    sent(&app.browser().visit(&go(&[("iss", &acme), ("connector", "acme")])).await, "state");
    for twice in [[("iss", acme.as_str()), ("iss", &acme)], [("target_link_uri", "/a"), ("rd", "/b")]] {
        let watch = app.watch();
        let link = go(&[&[("iss", acme.as_str())][..], &twice[..]].concat());
        watch.refused(&app.browser().visit(&link).await, 400, "duplicate_parameter", "login.rejected");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_off_site_target_is_replaced_and_what_else_the_link_says_is_ignored_o41() {
    let app = App::start().await;
    let acme = format!("http://{}/{TENANT}/v2.0", app.acme.address);
    for target in ["https://evil.example/", "//evil.example/", "https://app.example.com.evil.example/", "javascript:x"]
    {
        let mut browser = app.browser();
        app.log.taken();
        let link = go(&[
            ("iss", &acme),
            ("target_link_uri", target),
            ("scope", "openid admin"),
            ("prompt", "none"),
            ("auth_request_params", "resource=x"),
        ]);
        let to_provider = browser.visit(&link).await;
        let events = app.events();
        assert_eq!(events.iter().filter(|event| event["event"] == "redirect.rejected").count(), 1, "{events:?}");
        assert_eq!(sent(&to_provider, "scope").1.as_deref(), Some("openid profile email offline_access"));
        for absent in ["prompt", "auth_request_params", "resource"] {
            assert_eq!(sent(&to_provider, absent).1, None);
        }
        let back = browser.send(App::callback("acme", &app.acme.sign_in(to_provider.location()))).await;
        assert_eq!((back.reason(), back.location()), ("signed_in", "/"), "{target}");
    }
}

/// Two registrations at one provider: the address chooses, or its person is asked for it.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_connectors_with_one_issuer_the_address_chooses() {
    let second = "[connectors.second]\nkind = \"entra\"\nissuer = \"$acme/TENANT/v2.0\"\nclient_id = \"second\"\n\
                  client_secret = \"canary-second\"\n\n[domains.\"second.com\"]\nconnector = \"second\"\n\
                  environment = \"production\"\n";
    let app = App::start_with(Setup::new().with(&second.replace("TENANT", TENANT))).await;
    let acme = format!("http://{}/{TENANT}/v2.0", app.acme.address);
    for (hint, client) in [("a@acme.com", "client"), ("a@second.com", "second")] {
        let answer = app.browser().visit(&go(&[("iss", &acme), ("login_hint", hint)])).await;
        assert_eq!(sent(&answer, "client_id").1.as_deref(), Some(client));
    }
    for hint in ["a@globex.com", "a@nowhere.com", ""] {
        let link = go(&[("iss", &acme), ("login_hint", hint), ("target_link_uri", "https://app.example.com/report")]);
        let answer = app.browser().visit(&link).await;
        assert_eq!((answer.status, answer.reason()), (303, "address_needed"), "{hint}");
        assert_eq!(answer.location(), "/.anteroom/sign-in?rd=/report");
    }
}

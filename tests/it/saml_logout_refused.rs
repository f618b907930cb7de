//! Messages of single logout that nobody obeys (security cases S26, S27): unsigned, changed, stale, another's, too large.

use std::time::Duration;

use anteroom::directory::Directory;
use serde_json::json;

use crate::support::{
    App, Ask, Asked, Browser, LogoutWords, SamlKey, SamlProvider, SamlTrial, Setup, Way, deflated, escape, name_id,
};

async fn start() -> (App, SamlProvider) {
    let (initech, hooli) = (SamlProvider::new("initech", "carol"), SamlProvider::new("hooli", "dave"));
    hooli.publish(|metadata| metadata.keys = vec![SamlKey::number(1)]);
    let setup = Setup::new().with(&initech.connector("")).with(&hooli.connector("")).directory(Directory::in_memory());
    (App::start_with(setup).await, initech)
}

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.visit("/").await.status == 200
}

/// The message is refused: 400 unless told otherwise, one event, nothing upstream, nobody asked, and the session lives.
async fn refused(app: &App, browser: &mut Browser, row: &str, reason: &str, ask: Ask) {
    app.advance(Duration::from_secs(1));
    let before = app.before();
    let answer = browser.clone().send_from_elsewhere(ask).await;
    let status = if reason == "saml_too_large" { 413 } else { 400 };
    assert_eq!((answer.status, answer.reason()), (status, reason), "{row}: {answer:?}\n{}", app.log.taken());
    app.refused(&before, &answer, status, reason, "logout.rejected", &["canary"]);
    assert!(is_signed_in(browser).await, "{row}");
}

type Change = Box<dyn Fn(&mut LogoutWords)>;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_not_the_providers_ends_nothing_s26() {
    let (app, idp) = start().await;
    let mut browser = SamlTrial::new(&app, &idp).signed_in().await;
    app.advance(Duration::from_secs(1));
    const HOUR: Duration = Duration::from_secs(3600);
    let rows: Vec<(&str, &str, Change)> = vec![
        (
            "another issuer",
            "idp_mixup",
            Box::new(|words| words.issuer = "https://idp.hooli.example/metadata".to_owned()),
        ),
        ("no issuer", "idp_mixup", Box::new(|words| words.issuer = String::new())),
        (
            "another destination",
            "saml_destination",
            Box::new(|words| words.destination = words.destination.replace("initech", "hooli")),
        ),
        ("no destination", "saml_destination", Box::new(|words| words.destination = String::new())),
        (
            "our assertion consumer service",
            "saml_destination",
            Box::new(|words| words.destination = words.destination.replace("slo", "acs")),
        ),
        ("stale", "saml_time", Box::new(|words| words.now = words.now.minus(Duration::from_secs(301)))),
        ("ahead", "saml_time", Box::new(|words| words.now = words.now.plus(Duration::from_secs(62)))),
        ("over", "saml_time", Box::new(|words| words.not_on_or_after = Some(words.now.minus(HOUR)))),
        ("nobody", "saml_structure", Box::new(|words| words.name_id = String::new())),
        ("two people", "saml_structure", Box::new(|words| words.name_id = words.name_id.repeat(2))),
        ("an empty name", "saml_subject", Box::new(|words| words.name_id = name_id(""))),
        ("an empty index", "saml_structure", Box::new(|words| words.session_indexes = vec![String::new()])),
        (
            "another person's name with her session",
            "saml_logout_subject",
            Box::new(|words| words.name_id = name_id("persistent-erin")),
        ),
        (
            "a comment in the name",
            "saml_content",
            Box::new(|words| words.name_id = name_id("persistent-carol<!-- -->x")),
        ),
    ];
    for way in [Way::Link, Way::Form] {
        for (row, reason, change) in &rows {
            let mut words = idp.logout_words(app.clock.now());
            change(&mut words);
            let ask = idp.brings(way, &words, "SAMLRequest", &words.request(), Some("state"));
            refused(&app, &mut browser, &format!("{row} {way:?}"), reason, ask).await;
        }
        let words = idp.logout_words(app.clock.now());
        let typed = format!("<!DOCTYPE x>{}", words.request());
        let ask = match way {
            Way::Link => idp.link(&words.query("SAMLRequest", &typed, None)),
            Way::Form => idp.form("SAMLRequest", &typed, None),
        };
        refused(&app, &mut browser, "a document type", "xml_doctype", ask).await;
    }
    // The twin; and nobody else's name alone ends anything of hers.
    let mut words = idp.logout_words(app.clock.now());
    words.name_id = name_id("persistent-erin");
    words.session_indexes.clear();
    let ask = idp.brings(Way::Link, &words, "SAMLRequest", &words.request(), None);
    assert_eq!(app.send(&ask).await.reason(), "saml_logout", "a person who has no session here");
    assert!(is_signed_in(&mut browser).await);
    let words = idp.logout_words(app.clock.now());
    let ask = idp.brings(Way::Link, &words, "SAMLRequest", &words.request(), None);
    assert_eq!(app.send(&ask).await.reason(), "saml_logout");
    assert!(!is_signed_in(&mut browser).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_in_a_link_is_over_what_came_and_nothing_else_s26() {
    let (app, idp) = start().await;
    let mut browser = SamlTrial::new(&app, &idp).signed_in().await;
    app.advance(Duration::from_secs(1));
    let words = idp.logout_words(app.clock.now());
    let xml = words.request();
    let state = Some("a state");
    let honest = words.query("SAMLRequest", &xml, state);
    let parts: Vec<String> = honest.split('&').map(str::to_owned).collect();
    let [message, relay_state, algorithm, signature] = &parts[..] else { panic!("{honest}") };
    let other = LogoutWords { key: SamlKey::number(1), ..words.clone() };
    let hmac = escape("http://www.w3.org/2001/04/xmldsig-more#hmac-sha256");
    let sha1 = escape("http://www.w3.org/2000/09/xmldsig#rsa-sha1");
    let within = words.sign(&xml);
    let rows = [
        ("unsigned", "saml_unsigned", format!("{message}&{relay_state}")),
        ("no signature", "saml_unsigned", format!("{message}&{relay_state}&{algorithm}")),
        ("no algorithm", "saml_unsigned", format!("{message}&{relay_state}&{signature}")),
        (
            "signed within alone",
            "saml_signature_shape",
            format!("SAMLRequest={}", escape(&deflated(within.as_bytes()))),
        ),
        ("signed within too", "saml_signature_shape", words.query("SAMLRequest", &within, state)),
        ("another key", "saml_sig", other.query("SAMLRequest", &xml, state)),
        ("HMAC", "saml_alg", format!("{message}&{relay_state}&SigAlg={hmac}&{signature}")),
        ("SHA-1", "saml_alg", format!("{message}&{relay_state}&SigAlg={sha1}&{signature}")),
        ("an empty signature", "saml_sig", format!("{message}&{relay_state}&{algorithm}&Signature=")),
        ("half a signature", "saml_sig", honest[..honest.len() - 40].to_owned()),
        ("another state", "saml_sig", honest.replace("a%20state", "b%20state")),
        ("no state", "saml_sig", format!("{message}&{algorithm}&{signature}")),
        ("re-encoded", "saml_sig", honest.replace("a%20state", "a+state")),
        ("re-encoded in lower case", "saml_sig", format!("{}&{relay_state}&{algorithm}&{signature}", lower(message))),
        ("re-ordered", "saml_sig", format!("{relay_state}&{message}&{algorithm}&{signature}")),
        ("the algorithm first", "saml_sig", format!("{algorithm}&{message}&{relay_state}&{signature}")),
        ("two messages", "saml_malformed", format!("{message}&{honest}")),
        ("two states", "saml_malformed", format!("{honest}&RelayState=x")),
        ("two signatures", "saml_malformed", format!("{honest}&Signature=x")),
        ("request and response", "saml_malformed", format!("{honest}&SAMLResponse=x")),
        ("an escaped name", "saml_malformed", honest.replace("SAMLRequest=", "SAMLReques%74=")),
        ("another encoding", "saml_malformed", format!("{honest}&SAMLEncoding=urn%3Ax")),
        ("a response's parameter", "saml_malformed", honest.replace("SAMLRequest=", "SAMLResponse=")),
        ("no Base64", "saml_malformed", format!("SAMLRequest=!&{algorithm}&{signature}")),
        ("not deflated", "saml_malformed", format!("SAMLRequest=PHg%2BPC94Pg%3D%3D&{algorithm}&{signature}")),
        ("nothing", "saml_malformed", String::new()),
    ];
    for (row, reason, query) in rows {
        refused(&app, &mut browser, row, reason, idp.link(&query)).await;
    }
    assert_eq!(app.send(&idp.link(&honest)).await.reason(), "saml_logout", "the twin");
    assert!(!is_signed_in(&mut browser).await);
}

/// Escapes in lower case, everything else as it is.
fn lower(value: &str) -> String {
    let mut parts = value.split('%');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |out, part| format!("{out}%{}{}", part[..2].to_lowercase(), &part[2..]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_in_a_form_is_of_the_whole_message_s26() {
    let (app, idp) = start().await;
    let mut browser = SamlTrial::new(&app, &idp).signed_in().await;
    app.advance(Duration::from_secs(1));
    let words = idp.logout_words(app.clock.now());
    let honest = words.sign(&words.request());
    let other = LogoutWords { key: SamlKey::number(1), ..words.clone() };
    let evil = honest.replace("persistent-carol", "persistent-erin");
    let wrapped = words.request().replace(&words.id, "_forged").replace(
        "</samlp:LogoutRequest>",
        &format!("<samlp:Extensions>{honest}</samlp:Extensions></samlp:LogoutRequest>"),
    );
    for (row, reason, xml) in [
        ("unsigned", "saml_unsigned", words.request()),
        ("another key", "saml_key_untrusted", other.sign(&words.request())),
        ("changed", "saml_sig", evil),
        ("wrapped", "saml_structure", wrapped),
        ("another document", "saml_malformed", "<x/>".to_owned()),
    ] {
        refused(&app, &mut browser, row, reason, idp.form("SAMLRequest", &xml, None)).await;
    }
    let form = idp.form("SAMLRequest", &honest, None);
    for (row, status, reason, ask) in [
        ("twice", 400, "duplicate_parameter", {
            let body = String::from_utf8(form.body.clone()).unwrap();
            form.clone().body(format!("{body}&{body}"))
        }),
        ("JSON", 415, "form_expected", form.clone().without("Content-Type").with("Content-Type", "application/json")),
        ("too large", 413, "form_too_large", form.clone().body("A".repeat(2 * 1024 * 1024))),
        ("nothing", 400, "saml_malformed", form.clone().body("RelayState=x")),
    ] {
        let before = app.before();
        let answer = app.send(&ask).await;
        app.refused(&before, &answer, status, reason, "logout.rejected", &["canary"]);
        assert!(is_signed_in(&mut browser).await, "{row}");
    }
    assert_eq!(app.send(&form).await.reason(), "saml_logout", "the twin");
    assert!(!is_signed_in(&mut browser).await);
}

/// S27: a link of 10 KB that would be megabytes is inflated no further than any message is long.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_would_be_enormous_is_not_inflated_s27() {
    let (app, idp) = start().await;
    let mut browser = SamlTrial::new(&app, &idp).signed_in().await;
    let words = idp.logout_words(app.clock.now());
    let blanks = |count: usize| words.request().replacen('>', &format!("{}>", " ".repeat(count)), 1);
    for size in [100_000, 5_000_000] {
        let query = words.query("SAMLRequest", &blanks(size), None);
        assert!(query.len() < 20_000, "{}", query.len());
        refused(&app, &mut browser, &format!("{size}"), "saml_too_large", idp.link(&query)).await;
    }
    let answer = app.send(&idp.link(&words.query("SAMLRequest", &blanks(1_000), None))).await;
    assert_eq!(answer.reason(), "saml_logout", "the twin: {answer:?}");
}

/// What comes back from our own request decides nothing but the last page, and even that not by a stranger's word.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_request_that_was_not_made_is_refused_s26() {
    let (app, idp) = start().await;
    let mut bystander = SamlTrial::new(&app, &idp).signed_in().await;
    let mut browser = SamlTrial::new(&app, &idp).signed_in().await;
    let asked = Asked::read(&browser.send(Ask::form("/.anteroom/sign-out", &[])).await);
    let state = asked.relay_state.clone().unwrap();
    for way in [Way::Link, Way::Form] {
        let honest = idp.logout_words(app.clock.now());
        let answer = |words: &LogoutWords, id: &str, top: Option<&str>, state: Option<&str>| {
            idp.brings(way, words, "SAMLResponse", &words.response(id, top, None), state)
        };
        let issuer = LogoutWords { issuer: "https://idp.hooli.example/metadata".to_owned(), ..honest.clone() };
        let elsewhere = LogoutWords { destination: "https://evil.example/".to_owned(), ..honest.clone() };
        let key = LogoutWords { key: SamlKey::number(1), ..honest.clone() };
        let failed = "urn:oasis:names:tc:SAML:2.0:status:Responder";
        let by_key = if way == Way::Link { "saml_sig" } else { "saml_key_untrusted" };
        for (row, reason, ask) in [
            ("another request", "saml_in_response_to", answer(&honest, "_another", None, Some(&state))),
            ("another state", "saml_in_response_to", answer(&honest, &asked.id, None, Some("another"))),
            ("no state", "saml_in_response_to", answer(&honest, &asked.id, None, None)),
            ("another issuer", "idp_mixup", answer(&issuer, &asked.id, None, Some(&state))),
            ("another destination", "saml_destination", answer(&elsewhere, &asked.id, None, Some(&state))),
            ("another key", by_key, answer(&key, &asked.id, None, Some(&state))),
            ("a failure", "saml_status", answer(&honest, &asked.id, Some(failed), Some(&state))),
        ] {
            refused(&app, &mut bystander, &format!("{row} {way:?}"), reason, ask).await;
        }
        let back = app.send(&answer(&honest, &asked.id, None, Some(&state))).await;
        assert_eq!((back.status, back.reason()), (303, "signed_out"), "the twin");
        assert!(is_signed_in(&mut bystander).await, "it ends nothing by itself");
    }
}

/// Bad messages here count as those at the assertion consumer service do.
#[tokio::test(flavor = "multi_thread")]
async fn more_than_sixty_a_minute_are_not_judged_s15() {
    let (app, idp) = start().await;
    let answers: Vec<u16> = {
        let mut answers = vec![];
        for _ in 0..70 {
            answers.push(app.send(&idp.link("SAMLRequest=x")).await.status);
        }
        answers
    };
    assert_eq!(answers.iter().filter(|status| **status == 400).count(), 61);
    assert_eq!(answers.iter().filter(|status| **status == 429).count(), 9);
    let events = app.events();
    assert!(events.iter().any(|event| event["event"] == json!("limit.hit")), "{events:?}");
}

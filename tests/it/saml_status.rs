//! What a provider says in the place of an assertion (security case S23).

use serde_json::Value;

use crate::saml_response::{start, trials};
use crate::support::{Answer, SUCCESS, SamlTrial, Signing, Words, assertion, status};

/// A status of these codes, by their last words.
fn said(top: &str, sub: Option<&str>, message: Option<&str>) -> String {
    let code = |name: &str| format!("urn:oasis:names:tc:SAML:2.0:status:{name}");
    status(&code(top), sub.map(code).as_deref(), message)
}

/// The provider's words as `spoil` makes them are refused as its refusal, 400, and in an attempt of their own; then the
/// same browser signs in honestly. The event and the page.
async fn refused(trial: &SamlTrial<'_>, row: &str, spoil: impl FnOnce(&mut Words)) -> (Value, Answer) {
    let mut browser = trial.app.browser();
    let asked = trial.begin(&mut browser).await;
    let mut words = trial.words(&asked);
    spoil(&mut words);
    let xml = words.response();
    let watch = trial.watch(&browser, &asked, &xml);
    let ask = trial.ask(&xml, asked.relay_state.as_deref());
    let answer = browser.send_from_elsewhere(ask).await;
    let event = watch.refused(row, &browser, &answer, 400, "saml_status");
    assert!(browser.attempts().is_empty(), "{row}: the attempt is used up");
    trial.accepted(row, &mut browser, |_| {}).await;
    (event, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_other_than_success_is_refused_and_told_in_words_whatever_came_with_it_s23() {
    let (app, idp, _) = start("").await;
    // Codes, message; headline of the page, the code that it shows, and what the event keeps.
    type Row<'a> = (&'a str, Option<&'a str>, Option<&'a str>, &'a str, &'a str, &'a str);
    let rows: [Row<'_>; 8] = [
        (
            "Responder",
            Some("AuthnFailed"),
            None,
            "initech could not confirm who you are",
            "AuthnFailed",
            "AuthnFailed: Responder",
        ),
        ("Responder", Some("NoPassive"), None, "initech needs you to sign in", "NoPassive", "NoPassive: Responder"),
        (
            "Requester",
            Some("RequestDenied"),
            None,
            "initech did not let you in",
            "RequestDenied",
            "RequestDenied: Requester",
        ),
        (
            "Responder",
            Some("UnknownPrincipal"),
            None,
            "initech does not know this account",
            "UnknownPrincipal",
            "UnknownPrincipal: Responder",
        ),
        (
            "Responder",
            Some("NoAuthnContext"),
            None,
            "Your way of signing in does not fit here",
            "NoAuthnContext",
            "NoAuthnContext: Responder",
        ),
        ("Responder", None, None, "initech did not sign you in", "Responder", "Responder: Responder"),
        (
            "Responder",
            None,
            Some("AADSTS50105: canary is not assigned to a role"),
            "You are not assigned to this application",
            "AADSTS50105",
            "Responder: Responder AADSTS50105",
        ),
        (
            "Requester",
            None,
            Some("AADSTS75011: canary"),
            "Your way of signing in does not fit here",
            "AADSTS75011",
            "Requester: Requester AADSTS75011",
        ),
    ];
    for trial in trials(&app, &idp) {
        for (top, sub, message, headline, code, found) in rows {
            // An honest assertion, honestly signed, is inside: it signs nobody in.
            let inside = |words: &mut Words| words.status = said(top, sub, message);
            // As most providers send it: nobody signs an error.
            let alone = |words: &mut Words| {
                words.status = said(top, sub, message);
                words.signing = Signing::Nothing;
                words.before(|xml| xml.replace(assertion(&xml), ""));
            };
            let mut both = vec![refused(&trial, &format!("{found} with an assertion"), inside).await];
            // Nothing is signed in it, so that it is the same for each way to sign.
            if trial.signing == Signing::Both {
                both.push(refused(&trial, &format!("{found} alone"), alone).await);
            }
            for (event, page) in both {
                assert_eq!(event["provider_error"], found);
                assert!(page.text().contains(headline), "{found}: {}", page.text());
                assert!(page.text().contains(code), "{found}: {}", page.text());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_one_status_of_the_response_is_success_s23() {
    let (app, idp, _) = start("").await;
    for trial in trials(&app, &idp) {
        for (row, status) in [
            ("unknown", status("urn:x:success", None, None)),
            ("another case", status(&SUCCESS.replace("Success", "success"), None, None)),
            ("success as a sub-code", said("Responder", Some("Success"), None)),
            ("success in the message", said("Responder", None, Some(SUCCESS))),
        ] {
            let (event, page) = refused(&trial, row, |words| words.status = status).await;
            assert!(event["provider_error"].is_string(), "{row}: {event}");
            assert!(page.text().contains("did not sign you in"), "{row}: {}", page.text());
        }
        trial.refuses("two", 400, "saml_structure", |words| words.status = words.status.repeat(2)).await;
        trial.refuses("none", 400, "saml_structure", |words| words.status = String::new()).await;
        // A sub-code does not take success back.
        let partly = |words: &mut Words| words.status = said("Success", Some("PartialLogout"), None);
        trial.accepts("success with a sub-code", partly).await;
    }
}

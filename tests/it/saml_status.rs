//! What a provider says in the place of an assertion (security case S23).

use crate::saml_response::{start, trials};
use crate::support::{SUCCESS, Signing, Words, status};

#[tokio::test(flavor = "multi_thread")]
async fn a_status_other_than_success_is_told_in_words_whatever_came_with_it_s23() {
    let (app, idp, _) = start("").await;
    let code = |name: &str| format!("urn:oasis:names:tc:SAML:2.0:status:{name}");
    let rows = [
        ("Responder", Some("AuthnFailed"), None, "could not confirm who you are", "AuthnFailed: Responder"),
        ("Responder", Some("NoPassive"), None, "", "NoPassive: Responder"),
        ("Requester", Some("RequestDenied"), None, "", "RequestDenied: Requester"),
        ("Responder", Some("UnknownPrincipal"), None, "does not know this account", "UnknownPrincipal: Responder"),
        ("Responder", Some("NoAuthnContext"), None, "Your way of signing in does not fit", "NoAuthnContext: Responder"),
        ("Responder", None, None, "did not sign you in", "Responder: Responder"),
        (
            "Responder",
            None,
            Some("AADSTS50105: canary is not assigned to a role"),
            "",
            "Responder: Responder AADSTS50105",
        ),
        (
            "Requester",
            None,
            Some("AADSTS75011: canary"),
            "Your way of signing in does not fit",
            "Requester: Requester AADSTS75011",
        ),
    ];
    for trial in trials(&app, &idp) {
        for (top, sub, message, words, found) in rows {
            let spoil = |said: &mut Words| {
                said.status = status(&code(top), sub.map(code).as_deref(), message);
            };
            let mut browser = app.browser();
            let asked = trial.begin(&mut browser).await;
            let mut said = trial.words(&asked);
            spoil(&mut said);
            for (row, said) in [
                ("with an assertion", said.clone()),
                ("alone, and unsigned as most are", {
                    let mut alone = Words { signing: Signing::Nothing, ..said.clone() };
                    alone.before(|xml| xml.replace(crate::support::assertion(&xml), ""));
                    alone
                }),
            ] {
                let mut browser = browser.clone();
                let watch = trial.watch(&browser, &asked, "");
                let answer = trial.post(&mut browser, &asked, &said).await;
                if row.starts_with("alone") {
                    // The first one has used the attempt up.
                    assert_eq!(answer.reason(), "saml_replay", "{row}");
                    continue;
                }
                let event = watch.refused(&format!("{row} {found}"), &browser, &answer, answer.status, "saml_status");
                assert!(matches!(answer.status, 400 | 403), "{found}: {answer:?}");
                assert_eq!(event["provider_error"], found);
                assert!(answer.text().contains(words), "{found}: {}", answer.text());
            }
        }
        // Unsigned and without an assertion, in an attempt of its own.
        let mut browser = app.browser();
        let asked = trial.begin(&mut browser).await;
        let mut said = Words {
            signing: Signing::Nothing,
            status: status(&code("Responder"), Some(&code("AuthnFailed")), None),
            ..trial.words(&asked)
        };
        said.before(|xml| xml.replace(crate::support::assertion(&xml), ""));
        let watch = trial.watch(&browser, &asked, "");
        let answer = trial.post(&mut browser, &asked, &said).await;
        watch.refused("alone", &browser, &answer, answer.status, "saml_status");
        assert!(answer.text().contains("could not confirm who you are"));
        // A code of nobody's, and success that is only said below.
        trial.refuses("unknown", 400, "saml_status", |words| words.status = status("urn:x:success", None, None)).await;
        trial
            .refuses("success as a sub-code", 400, "saml_status", |words| {
                words.status = status(&code("Responder"), Some(SUCCESS), None);
            })
            .await;
        trial.refuses("two", 400, "saml_structure", |words| words.status = words.status.repeat(2)).await;
        trial.refuses("none", 400, "saml_structure", |words| words.status = String::new()).await;
    }
}

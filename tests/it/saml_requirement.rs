//! How recent and how strong a sign-in over SAML is (security case O33).

use std::time::Duration;

use crate::saml_response::{start, value};
use crate::support::{PASSWORD, SamlTrial, Signing, Words};

/// What the application asks of the sign-in goes into the request, and the answer is held against it (O33 over SAML).
#[tokio::test(flavor = "multi_thread")]
async fn a_recent_and_strong_sign_in_is_asked_for_and_checked_o33() {
    const MFA: &str = "https://refeds.org/profile/mfa";
    let (app, idp, _) = start(&format!("max_age = \"5m\"\nacr = [{MFA:?}]")).await;
    let asked = SamlTrial::new(&app, &idp).begin(&mut app.browser()).await;
    assert!(asked.xml.contains(" ForceAuthn=\"true\""), "{}", asked.xml);
    let context = format!(
        "<samlp:RequestedAuthnContext Comparison=\"exact\"><saml:AuthnContextClassRef>{MFA}</saml:AuthnContextClassRef>"
    );
    assert!(asked.xml.contains(&context), "{}", asked.xml);
    let plain = start("").await;
    let other = SamlTrial::new(&plain.0, &plain.1).begin(&mut plain.0.browser()).await;
    assert!(!other.xml.contains("ForceAuthn") && !other.xml.contains("RequestedAuthnContext"), "{}", other.xml);
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        for (row, status, reason, class, age) in
            [("a password alone", 400, "acr_insufficient", PASSWORD, 0), ("long ago", 400, "auth_too_old", MFA, 3600)]
        {
            let mut browser = app.browser();
            let asked = trial.begin(&mut browser).await;
            let mut words = Words { class: class.to_owned(), ..trial.words(&asked) };
            value("<saml:AuthnStatement", "AuthnInstant", move |now| {
                Some(now.minus(Duration::from_secs(age)).rfc3339())
            })(&mut words);
            let watch = trial.watch(&browser, &asked, "");
            let answer = trial.post(&mut browser, &asked, &words).await;
            watch.refused(row, &browser, &answer, status, reason);
        }
        trial.accepts("as asked", |words| words.class = MFA.to_owned()).await;
    }
}

//! How recent and how strong a sign-in over SAML is (security case O33).

use std::time::Duration;

use anteroom::directory::Directory;

use crate::saml_response::{start, value};
use crate::support::{App, PASSWORD, SamlProvider, SamlTrial, Setup, Signing, Words};

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

/// Entra says by which means somebody signed in, in an attribute that no administrator can map: a connector and a route
/// can ask for `amr` as over OpenID Connect (O33).
#[tokio::test(flavor = "multi_thread")]
async fn entras_methods_are_held_against_what_connector_and_route_ask_for_o33() {
    const TENANT: &str = "11111111-2222-4333-8444-555555555555";
    const OBJECT: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
    const MFA: &str = "http://schemas.microsoft.com/claims/multipleauthn";
    const BY_PASSWORD: &str = "http://schemas.microsoft.com/ws/2008/06/identity/authenticationmethod/password";
    let of_entra = |words: &mut Words, methods: &[&str]| {
        let claim = |name: &str, values: &[&str]| {
            (format!("http://schemas.microsoft.com/{name}"), values.iter().map(|v| (*v).to_owned()).collect())
        };
        words.attributes = vec![
            claim("identity/claims/tenantid", &[TENANT]),
            claim("identity/claims/objectidentifier", &[OBJECT]),
            claim("claims/authnmethodsreferences", methods),
            ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name".into(), vec!["carol@initech.com".into()]),
        ];
    };
    for (asked, by_connector) in [("", false), ("\namr = [\"mfa\"]", true)] {
        let mut idp = SamlProvider::new("initech", "carol");
        idp.entity_id = format!("https://sts.windows.net/{TENANT}/");
        idp.publish(|_| {});
        let setup = Setup::new()
            .with(&idp.connector(&format!("preset = \"entra\"{asked}")))
            .replacing("routes = [", "routes = [\n  { path = \"/vault/**\", amr = [\"mfa\"] },");
        let app = App::start_with(setup.directory(Directory::in_memory())).await;
        for signing in Signing::ALL {
            let trial = SamlTrial::new(&app, &idp).signing(signing);
            if by_connector {
                for methods in [&[BY_PASSWORD][..], &[], &["http://evil.example/claims/multipleauthn"]] {
                    let mut browser = app.browser();
                    let begun = trial.begin(&mut browser).await;
                    let mut words = trial.words(&begun);
                    of_entra(&mut words, methods);
                    let watch = trial.watch(&browser, &begun, "");
                    let answer = trial.post(&mut browser, &begun, &words).await;
                    watch.refused(&format!("{methods:?}"), &browser, &answer, 400, "amr_insufficient");
                }
                trial.accepts("with a second factor", |words| of_entra(words, &[BY_PASSWORD, MFA])).await;
                continue;
            }
            for (methods, passes) in [(&[BY_PASSWORD][..], false), (&[BY_PASSWORD, MFA], true)] {
                let mut browser = app.browser();
                trial.accepted("signed in", &mut browser, |words| of_entra(words, methods)).await;
                assert_eq!(browser.visit("/").await.status, 200, "{methods:?}");
                assert_eq!(browser.visit("/vault/door").await.status == 200, passes, "{methods:?}");
            }
        }
    }
}

//! The story of a refused SAML response: which check failed, what was expected and found, and nothing of the person.

use crate::support::{App, SamlProvider, SamlTrial, Setup, Words};

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_response_is_told_by_its_check_and_nothing_of_the_person() {
    let idp = SamlProvider::new("initech", "carol");
    let app = App::start_with(Setup::new().with(&idp.connector(""))).await;
    let trial = SamlTrial::new(&app, &idp);
    let secret = |words: &mut Words| {
        words.name_id.1 = "canary-name-0815".to_owned();
        words.session_index = Some("canary-session".to_owned());
        words.attributes.push(("employeeNumber".to_owned(), vec!["canary-4711".to_owned()]));
    };
    let own = "https://app.example.com/.anteroom/saml/initech/metadata";
    type Spoil = fn(&mut Words);
    let rows: [(Spoil, &str, &str, &str); 4] = [
        (|words| words.audience = "https://other.example.com".to_owned(), "saml_audience", own, "other.example.com"),
        (
            |words| words.destination = "https://other.example.com/acs".to_owned(),
            "saml_destination",
            "/acs",
            "other.example",
        ),
        (|words| words.after(|xml| xml.replace("canary-4711", "canary-4712")), "saml_sig", "", ""),
        (
            |words| words.issuer = "https://other.example.com/idp".to_owned(),
            "idp_mixup",
            "initech",
            "other.example.com/idp",
        ),
    ];
    for (spoil, reason, expected, found) in &rows {
        let mut browser = app.browser();
        let answer = trial
            .sign_in(&mut browser, |words| {
                secret(words);
                spoil(words);
            })
            .await;
        assert_eq!((answer.status, answer.reason()), (400, *reason), "{answer:?}");
        let (text, records) = app.story(answer.header("x-request-id").unwrap()).await;
        let refused = records.as_array().unwrap().iter().find(|record| record["reason"] == *reason);
        let record = refused.unwrap_or_else(|| panic!("{reason} is not told: {text}"));
        assert_eq!(record["connector"], "initech", "{record}");
        assert_eq!(record["step"], "callback");
        let said = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
        assert!(!said("expected").is_empty() && said("expected").contains(*expected), "{record}");
        assert!(!said("found").is_empty() && said("found").contains(*found), "{record}");
        // In Base64 the assertion's element begins with one of these.
        for told in [text, records.to_string()] {
            for hidden in ["canary", "carol@", "PHNhbWxwOl", "samlp:", "SignatureValue"] {
                assert!(!told.contains(hidden), "{reason}: {hidden} is told: {told}");
            }
        }
    }
    // The honest twin: the same person is let in, and leaves no refusal.
    let mut browser = app.browser();
    let done = trial.sign_in(&mut browser, secret).await;
    assert_eq!((done.status, done.reason()), (303, "signed_in"), "{done:?}");
    let told = app.story(done.header("x-request-id").unwrap()).await.1;
    assert!(told.as_array().unwrap().iter().all(|record| !rows.iter().any(|row| record["reason"] == row.1)), "{told}");
    assert!(!told.to_string().contains("canary"), "{told}");
}

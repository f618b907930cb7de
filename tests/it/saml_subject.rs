//! Who is asserted: somebody who was signed in and named, with one address (security cases S24, S25).

use crate::saml_response::{piece, start, trials};
use crate::support::Words;

#[tokio::test(flavor = "multi_thread")]
async fn somebody_must_have_been_signed_in_and_named_s24() {
    let (app, idp, _) = start("").await;
    const METHOD: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
    for trial in trials(&app, &idp) {
        let refuses = async |row: &str, spoil: &dyn Fn(&mut Words)| {
            trial.refuses(row, 400, "saml_subject", spoil).await;
        };
        for method in ["holder-of-key", "sender-vouches", "bearer2"] {
            refuses(method, &piece(METHOD, &format!("urn:oasis:names:tc:SAML:2.0:cm:{method}"))).await;
        }
        refuses("no confirmation", &cut("<saml:SubjectConfirmation ", "</saml:SubjectConfirmation>")).await;
        refuses("no confirmation data", &cut("<saml:SubjectConfirmationData", "/>")).await;
        refuses("no statement", &cut("<saml:AuthnStatement", "</saml:AuthnStatement>")).await;
        refuses("no subject", &cut("<saml:Subject>", "</saml:Subject>")).await;
        refuses("no name", &cut("<saml:NameID", "</saml:NameID>")).await;
        refuses("an empty name", &|words| words.name_id.1 = String::new()).await;
        refuses("a blank name", &|words| words.name_id.1 = "  \n ".to_owned()).await;
        let transient = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";
        refuses("a name of today", &|words| words.name_id.0 = transient.to_owned()).await;
        refuses("nobody's format", &|words| words.name_id.0 = "urn:x:other".to_owned()).await;
        refuses("a name without end", &|words| words.name_id.1 = "a".repeat(257)).await;
        // One bearer confirmation among others is enough.
        let other = "<saml:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:sender-vouches\"/>";
        trial
            .accepts(
                "another beside",
                piece("<saml:SubjectConfirmation ", &format!("{other}<saml:SubjectConfirmation ")),
            )
            .await;
        let unspecified = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified";
        trial.accepts("unspecified", |words| words.name_id.0 = unspecified.to_owned()).await;
    }
}

/// Removes a piece of the unsigned response, marks and all.
fn cut(from: &'static str, to: &'static str) -> impl Fn(&mut Words) {
    move |words| {
        words.before(move |xml| {
            let (front, rest) = xml.split_once(from).expect("the piece");
            format!("{front}{}", rest.split_once(to).expect("its end").1)
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_addresses_neither_is_taken_s25() {
    let (app, idp, _) = start("attributes = { preferred_username = \"uid\", roles = \"role\" }").await;
    let named =
        |name: &str, values: &[&str]| (name.to_owned(), values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>());
    for trial in trials(&app, &idp) {
        const REASON: &str = "saml_attribute_ambiguous";
        for (row, first, second) in
            [("first", "carol@initech.com", "boss@initech.com"), ("last", "boss@initech.com", "carol@initech.com")]
        {
            let two = |words: &mut Words| words.attributes[0] = named("email", &[first, second]);
            trial.refuses(row, 400, REASON, two).await;
            let twice = |words: &mut Words| {
                words.attributes.retain(|(name, _)| name != "email");
                words.attributes.insert(0, named("email", &[first]));
                words.attributes.push(named("email", &[second]));
            };
            trial.refuses(row, 400, REASON, twice).await;
        }
        trial.refuses("user name", 400, REASON, |words| words.attributes.push(named("uid", &["carol", "boss"]))).await;
        trial.refuses("name", 400, REASON, |words| words.attributes.push(named("displayName", &["Somebody"]))).await;
        // Said twice is said once; of several roles the highest that is known counts, as over OpenID Connect.
        trial.accepts("the same twice", |words| words.attributes[0].1.push("carol@initech.com".to_owned())).await;
        let mut browser = app.browser();
        let two_roles = |words: &mut Words| words.attributes.push(named("role", &["Admin"]));
        trial.accepted("two roles", &mut browser, two_roles).await;
        assert_eq!(browser.visit("/").await.status, 200);
        assert_eq!(app.upstream.last().header("x-anteroom-role"), Some("Admin"));
    }
}

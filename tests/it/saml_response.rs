//! For whom, where and when a response is good (security cases S16–S18). Each defect with each of the three ways to sign,
//! and signed: the provider itself says it.

use std::time::Duration;

use anteroom::base::clock::Timestamp;
use anteroom::directory::Directory;

use crate::support::{App, SamlKey, SamlProvider, SamlTrial, Setup, Signing, Words};

/// Initech's provider, and hooli's, with a key of its own.
pub async fn start(settings: &str) -> (App, SamlProvider, SamlProvider) {
    let (initech, hooli) = (SamlProvider::new("initech", "carol"), SamlProvider::new("hooli", "dave"));
    hooli.publish(|metadata| metadata.keys = vec![SamlKey::number(1)]);
    let setup =
        Setup::new().with(&initech.connector(settings)).with(&hooli.connector("")).directory(Directory::in_memory());
    (App::start_with(setup).await, initech, hooli)
}

/// The three ways to sign.
pub fn trials<'a>(app: &'a App, idp: &'a SamlProvider) -> [SamlTrial<'a>; 3] {
    Signing::ALL.map(|signing| SamlTrial::new(app, idp).signing(signing))
}

/// Replaces a piece of the unsigned response, which must be there.
pub fn piece(from: &str, to: &str) -> impl Fn(&mut Words) + use<> {
    let (from, to) = (from.to_owned(), to.to_owned());
    move |words| {
        let (from, to) = (from.clone(), to.clone());
        words.before(move |xml| {
            assert!(xml.contains(&from), "{from} is not in {xml}");
            xml.replace(&from, &to)
        });
    }
}

/// Replaces the value of the attribute that follows this text; none removes it.
pub fn value(
    after: &'static str,
    name: &'static str,
    new: impl Fn(Timestamp) -> Option<String> + 'static,
) -> impl Fn(&mut Words) {
    move |words| {
        let new = new(words.now);
        words.before(move |xml| {
            let at = xml.find(after).expect("the element");
            let (before, rest) = xml.split_at(at);
            let (front, back) = rest.split_once(&format!(" {name}=\"")).expect("the attribute");
            let (_, back) = back.split_once('"').unwrap();
            let new = new.as_ref().map(|new| format!(" {name}=\"{new}\"")).unwrap_or_default();
            format!("{before}{front}{new}{back}")
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_for_another_service_is_refused_s16() {
    let (app, idp, _) = start("").await;
    const RESTRICTION: &str = "<saml:AudienceRestriction>";
    for trial in trials(&app, &idp) {
        let refuses = async |row: &str, spoil: &dyn Fn(&mut Words)| {
            trial.refuses(row, 400, "saml_audience", spoil).await;
        };
        refuses("another", &|words| words.audience = "https://other.example.com".to_owned()).await;
        refuses("longer", &|words| words.audience.push('/')).await;
        refuses("other case", &|words| words.audience = words.audience.to_uppercase()).await;
        refuses("empty", &|words| words.audience = String::new()).await;
        let other = "<saml:AudienceRestriction><saml:Audience>https://other.example.com</saml:Audience></saml:AudienceRestriction>";
        refuses("two restrictions, the first excludes us", &piece(RESTRICTION, &format!("{other}{RESTRICTION}"))).await;
        let end = "</saml:AudienceRestriction>";
        refuses("two restrictions, the second excludes us", &piece(end, &format!("{end}{other}"))).await;
        let drop_restriction = |words: &mut Words| {
            words.before(|xml| {
                let (front, rest) = xml.split_once(RESTRICTION).unwrap();
                format!("{front}{}", rest.split_once("</saml:AudienceRestriction>").unwrap().1)
            });
        };
        refuses("no restriction", &drop_restriction).await;
        let drop_conditions = |words: &mut Words| {
            words.before(|xml| {
                let (front, rest) = xml.split_once("<saml:Conditions").unwrap();
                format!("{front}{}", rest.split_once("</saml:Conditions>").unwrap().1)
            });
        };
        refuses("no conditions", &drop_conditions).await;
        // The twins: any audience of a restriction is enough, and blanks are the printer's.
        let more = "<saml:Audience>https://other.example.com</saml:Audience>";
        trial.accepts("two audiences", piece("<saml:Audience>", &format!("{more}<saml:Audience>"))).await;
        trial.accepts("on lines of their own", |words| words.audience = format!("\n  {}\n", words.audience)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_was_sent_elsewhere_is_refused_s17() {
    let (app, idp, hooli) = start("").await;
    let others = [
        "https://evil.example/acs",
        "https://app.example.com/.anteroom/saml/hooli/acs",
        "http://app.example.com/.anteroom/saml/initech/acs",
        "",
    ];
    for trial in trials(&app, &idp) {
        for other in others {
            trial.refuses(other, 400, "saml_destination", |words| words.destination = other.to_owned()).await;
            trial.refuses(other, 400, "saml_recipient", |words| words.recipient = other.to_owned()).await;
        }
        trial
            .refuses("no Destination", 400, "saml_destination", value("<samlp:Response", "Destination", |_| None))
            .await;
        let none = value("<saml:SubjectConfirmationData", "Recipient", |_| None);
        trial.refuses("no Recipient", 400, "saml_recipient", none).await;
        let longer = |words: &mut Words| words.recipient.push_str("?x=1");
        trial.refuses("with a query", 400, "saml_recipient", longer).await;
    }
    drop(hooli);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_to_another_request_is_refused_s17() {
    let (app, idp, _) = start("").await;
    for trial in trials(&app, &idp) {
        const REASON: &str = "saml_in_response_to";
        let other = |_: Timestamp| Some("_another-request".to_owned());
        trial.refuses("another", 400, REASON, |words| words.in_response_to = Some("_another".to_owned())).await;
        trial.refuses("none", 400, REASON, |words| words.in_response_to = None).await;
        trial.refuses("another in the response", 400, REASON, value("<samlp:Response", "InResponseTo", other)).await;
        trial.refuses("none in the response", 400, REASON, value("<samlp:Response", "InResponseTo", |_| None)).await;
        let confirmation = "<saml:SubjectConfirmationData";
        trial.refuses("another in the confirmation", 400, REASON, value(confirmation, "InResponseTo", other)).await;
        trial.refuses("none in the confirmation", 400, REASON, value(confirmation, "InResponseTo", |_| None)).await;
        trial
            .refuses("its case", 400, REASON, |words| {
                words.in_response_to = words.in_response_to.as_ref().map(|id| id.to_uppercase());
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_counts_at_its_time_alone_s18() {
    let (app, idp, _) = start("").await;
    const CONFIRMATION: &str = "<saml:SubjectConfirmationData";
    const CONDITIONS: &str = "<saml:Conditions";
    const STATEMENT: &str = "<saml:AuthnStatement";
    // Clocks may differ by a minute.
    let ahead = |secs: u64| move |now: Timestamp| Some(now.plus(Duration::from_secs(secs)).rfc3339());
    let ago = |secs: u64| move |now: Timestamp| Some(now.minus(Duration::from_secs(secs)).rfc3339());
    for trial in trials(&app, &idp) {
        let refuses = async |row: &str, spoil: Box<dyn Fn(&mut Words)>| {
            trial.refuses(row, 400, "saml_time", spoil).await;
        };
        refuses("confirmation over", Box::new(value(CONFIRMATION, "NotOnOrAfter", ago(60)))).await;
        refuses("confirmation without an end", Box::new(value(CONFIRMATION, "NotOnOrAfter", |_| None))).await;
        let begins = piece(CONFIRMATION, &format!("{CONFIRMATION} NotBefore=\"2020-01-01T00:00:00Z\""));
        refuses("confirmation with a beginning", Box::new(begins)).await;
        refuses("conditions not yet", Box::new(value(CONDITIONS, "NotBefore", ahead(61)))).await;
        refuses("conditions over", Box::new(value(CONDITIONS, "NotOnOrAfter", ago(60)))).await;
        let ended = |words: &mut Words| {
            let end = words.now.minus(Duration::from_secs(60)).rfc3339();
            piece(STATEMENT, &format!("{STATEMENT} SessionNotOnOrAfter=\"{end}\""))(words);
        };
        refuses("session over", Box::new(ended)).await;
        refuses("issued ahead", Box::new(value("<samlp:Response", "IssueInstant", ahead(61)))).await;
        refuses("asserted ahead", Box::new(value("<saml:Assertion", "IssueInstant", ahead(61)))).await;
        refuses("authenticated ahead", Box::new(value(STATEMENT, "AuthnInstant", ahead(61)))).await;
        for (row, text) in [
            ("no zone", "2027-01-15T08:30:00"),
            ("another zone", "2027-01-15T08:30:00+05:00"),
            ("words", "tomorrow"),
            ("empty", ""),
            ("a year without end", "999999999-01-01T00:00:00Z"),
        ] {
            refuses(row, Box::new(value(CONFIRMATION, "NotOnOrAfter", move |_| Some(text.to_owned())))).await;
        }
        trial.accepts("confirmation over for 59 s", value(CONFIRMATION, "NotOnOrAfter", ago(59))).await;
        trial.accepts("conditions in 60 s", value(CONDITIONS, "NotBefore", ahead(60))).await;
        trial.accepts("conditions over for 59 s", value(CONDITIONS, "NotOnOrAfter", ago(59))).await;
        trial
            .accepts(
                "whole seconds",
                value(CONFIRMATION, "NotOnOrAfter", |now| {
                    Some(now.plus(Duration::from_secs(9)).rfc3339().replace(".000", ""))
                }),
            )
            .await;
    }
}

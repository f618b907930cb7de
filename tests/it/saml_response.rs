//! What a response must say (security cases S16–S18, S22–S25): for whom, where, when, by whom, about whom. Each defect
//! with each of the three ways to sign, and signed: the provider itself says it.

use std::time::Duration;

use anteroom::base::clock::Timestamp;
use anteroom::directory::Directory;

use crate::support::{App, PASSWORD, SUCCESS, SamlKey, SamlProvider, SamlTrial, Setup, Signing, Words, status};

/// Initech's provider, and hooli's, with a key of its own.
async fn start(settings: &str) -> (App, SamlProvider, SamlProvider) {
    let (initech, hooli) = (SamlProvider::new("initech", "carol"), SamlProvider::new("hooli", "dave"));
    hooli.publish(|metadata| metadata.keys = vec![SamlKey::number(1)]);
    let setup =
        Setup::new().with(&initech.connector(settings)).with(&hooli.connector("")).directory(Directory::in_memory());
    (App::start_with(setup).await, initech, hooli)
}

/// The three ways to sign.
fn trials<'a>(app: &'a App, idp: &'a SamlProvider) -> [SamlTrial<'a>; 3] {
    Signing::ALL.map(|signing| SamlTrial::new(app, idp).signing(signing))
}

/// Replaces a piece of the unsigned response, which must be there.
fn piece(from: &str, to: &str) -> impl Fn(&mut Words) + use<> {
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
fn value(
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

#[tokio::test(flavor = "multi_thread")]
async fn another_providers_word_is_not_this_ones_s22() {
    let (app, initech, _) = start("").await;
    for trial in trials(&app, &initech) {
        let theirs = |words: &mut Words| {
            words.issuer = "https://idp.hooli.example/metadata".to_owned();
            words.key = SamlKey::number(1);
        };
        let event = trial.refuses("hooli's word at initech's", 400, "idp_mixup", theirs).await;
        assert_eq!(event["found"], "https://idp.hooli.example/metadata");
        trial
            .refuses("initech's name, hooli's key", 400, "saml_key_untrusted", |words| words.key = SamlKey::number(1))
            .await;
        trial
            .refuses("hooli's key, without a word of it", 400, "saml_sig", |words| {
                words.key = SamlKey::number(1);
                words.form.key_info = Some("<ds:KeyName>key</ds:KeyName>".to_owned());
            })
            .await;
        // The response says one thing, the assertion the other.
        let first = |words: &mut Words| {
            words.before(|xml| {
                xml.replacen("https://idp.initech.example/metadata", "https://idp.hooli.example/metadata", 1)
            });
        };
        trial.refuses("another issuer of the response", 400, "idp_mixup", first).await;
        let last = |words: &mut Words| {
            words.before(|xml| {
                let at = xml.rfind("<saml:Issuer>").unwrap();
                format!("{}{}", &xml[..at], xml[at..].replacen("initech", "hooli", 1))
            });
        };
        trial.refuses("another issuer of the assertion", 400, "idp_mixup", last).await;
        let without = |words: &mut Words| {
            words.signing = Signing::Response;
            words.before(|xml| {
                let at = xml.rfind("<saml:Issuer>").unwrap();
                format!("{}{}", &xml[..at], xml[at..].split_once("</saml:Issuer>").unwrap().1)
            });
        };
        trial.refuses("no issuer of the assertion", 400, "idp_mixup", without).await;
    }
}

/// Two connectors whose providers call themselves the same: the keys of each stay its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_shared_entity_id_shares_no_trust_s22() {
    let (initech, mut hooli) = (SamlProvider::new("initech", "carol"), SamlProvider::new("hooli", "dave"));
    hooli.entity_id.clone_from(&initech.entity_id);
    hooli.publish(|metadata| metadata.keys = vec![SamlKey::number(1)]);
    let app = App::start_with(
        Setup::new().with(&initech.connector("")).with(&hooli.connector("")).directory(Directory::in_memory()),
    )
    .await;
    for signing in Signing::ALL {
        let [at_initech, at_hooli] = [&initech, &hooli].map(|idp| SamlTrial::new(&app, idp).signing(signing));
        let key = SamlKey::number(1);
        at_initech.refuses("hooli's key", 400, "saml_key_untrusted", |words| words.key = key).await;
        at_hooli.accepts("hooli's key", |words| words.key = key).await;
        let mut browser = app.browser();
        let asked = at_hooli.begin(&mut browser).await;
        let words = at_hooli.words(&asked);
        let watch = at_hooli.watch(&browser, &asked, &words.response());
        let answer = at_hooli.post(&mut browser, &asked, &words).await;
        watch.refused("initech's key", &browser, &answer, 400, "saml_key_untrusted");
    }
}

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
    let (app, idp, _) = start("attributes = { preferred_username = \"uid\" }").await;
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
        trial.accepts("two roles", |words| words.attributes.push(named("role", &["ReadOnly"]))).await;
    }
}

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

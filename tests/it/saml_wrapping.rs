//! Signature wrapping (security cases S04, S05): a genuine signature, and beside what it signs something that nobody
//! signed and that a careless reader would take.

use crate::support::{App, SamlProvider, SamlTrial, Setup, Signing, Words, assertion};

const SIGNATURE: (&str, &str) = ("<ds:Signature xmlns", "</ds:Signature>");

/// The text without its first signature, and that signature.
fn unsigned(xml: &str) -> (String, String) {
    let start = xml.find(SIGNATURE.0).expect("a signature");
    let end = xml[start..].find(SIGNATURE.1).unwrap() + start + SIGNATURE.1.len();
    (format!("{}{}", &xml[..start], &xml[end..]), xml[start..end].to_owned())
}

/// The text without any.
fn bare(xml: &str) -> String {
    let mut xml = xml.to_owned();
    while xml.contains(SIGNATURE.0) {
        xml = unsigned(&xml).0;
    }
    xml
}

/// Another person's, unsigned and under another ID.
fn forged(xml: &str, words: &Words) -> String {
    let renamed = bare(xml).replace("carol", "mallory");
    renamed.replace(&words.assertion_id, "_forged-assertion").replace(&words.response_id, "_forged-response")
}

/// Behind the first child of `parent`.
fn behind_issuer(parent: &str, what: &str) -> String {
    parent.replacen("</saml:Issuer>", &format!("</saml:Issuer>{what}"), 1)
}

/// As the last child of `parent`.
fn at_the_end(parent: &str, what: &str) -> String {
    let at = parent.rfind("</").unwrap();
    format!("{}{what}{}", &parent[..at], &parent[at..])
}

/// The eight documents of Somorovsky and others ("On Breaking SAML", 2012), made of a signed response.
fn wrapped(which: usize, xml: &str, words: &Words) -> String {
    let genuine = assertion(xml);
    let evil = forged(genuine, words);
    let with_signature = |inside: &str| {
        // Of the assertion where it has one, else of the response.
        let (rest, signature) = if genuine.contains(SIGNATURE.0) { unsigned(genuine) } else { (genuine.to_owned(), unsigned(xml).1) };
        (rest, signature.replace(SIGNATURE.1, &format!("{inside}{}", SIGNATURE.1)))
    };
    match which {
        1 => {
            let (rest, signature) = unsigned(xml);
            let around = signature.replace(SIGNATURE.1, &format!("{rest}{}", SIGNATURE.1));
            behind_issuer(&forged(xml, words), &around)
        }
        2 => {
            let (rest, signature) = unsigned(xml);
            behind_issuer(&forged(xml, words), &format!("{rest}{signature}"))
        }
        3 => xml.replace(genuine, &format!("{evil}{genuine}")),
        4 => xml.replace(genuine, &at_the_end(&evil, genuine)),
        5 => {
            let (rest, signature) = with_signature("");
            xml.replace(genuine, &format!("{}{rest}", behind_issuer(&evil, &signature)))
        }
        6 => {
            let (rest, _) = with_signature("");
            xml.replace(genuine, &behind_issuer(&evil, &with_signature(&rest).1))
        }
        7 => xml.replacen("</saml:Issuer>", &format!("</saml:Issuer><samlp:Extensions>{evil}</samlp:Extensions>"), 1),
        _ => {
            let (rest, _) = with_signature("");
            let object = format!("<ds:Object>{rest}</ds:Object>");
            xml.replace(genuine, &behind_issuer(&evil, &with_signature(&object).1))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapped_response_is_refused_for_its_structure_s04() {
    let idp = SamlProvider::new("initech", "carol");
    let app = App::start_with(Setup::new().with(&idp.connector(""))).await;
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        for which in 1..=8 {
            trial.refuses(&format!("XSW{which}"), 400, "saml_structure", |words| {
                let copy = words.clone();
                words.after(move |xml| {
                    let spoiled = wrapped(which, &xml, &copy);
                    assert!(spoiled.contains("mallory") && spoiled.contains("carol"), "{spoiled}");
                    spoiled
                });
            })
            .await;
        }
    }
}

/// Before it is signed too: then all of it is the provider's word, and still of two minds.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_assertions_none_is_taken_s05() {
    let idp = SamlProvider::new("initech", "carol");
    let app = App::start_with(Setup::new().with(&idp.connector(""))).await;
    type Place = fn(&str, &str) -> String;
    let places: [(&str, Place); 9] = [
        ("before", |xml, evil| xml.replace(assertion(xml), &format!("{evil}{}", assertion(xml)))),
        ("after", |xml, evil| at_the_end(xml, evil)),
        ("in Extensions", |xml, evil| behind_issuer(xml, &format!("<samlp:Extensions>{evil}</samlp:Extensions>"))),
        ("in StatusDetail", |xml, evil| {
            xml.replace("</samlp:Status>", &format!("<samlp:StatusDetail>{evil}</samlp:StatusDetail></samlp:Status>"))
        }),
        ("in Advice", |xml, evil| {
            xml.replace("<saml:AuthnStatement", &format!("<saml:Advice>{evil}</saml:Advice><saml:AuthnStatement"))
        }),
        ("in an attribute", |xml, evil| {
            xml.replacen("carol@initech.com</saml:AttributeValue>", &format!("{evil}</saml:AttributeValue>"), 1)
        }),
        ("in the name", |xml, evil| xml.replace("persistent-carol</saml:NameID>", &format!("{evil}</saml:NameID>"))),
        ("in the confirmation", |xml, evil| {
            xml.replace("</saml:SubjectConfirmation>", &format!("{evil}</saml:SubjectConfirmation>"))
        }),
        ("of SAML 1", |xml, evil| {
            at_the_end(xml, &evil.replace("names:tc:SAML:2.0:assertion", "names:tc:SAML:1.0:assertion"))
        }),
    ];
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        for (row, place) in places {
            trial.refuses(&format!("{row}, behind the provider's back"), 400, "saml_structure", |words| {
                let copy = words.clone();
                words.after(move |xml| place(&xml, &forged(assertion(&xml), &copy)));
            })
            .await;
            // An ID first: what is signed is found by it.
            trial.refuses(&format!("{row}, signed"), 400, "saml_structure", |words| {
                let copy = words.clone();
                words.signing = Signing::Response;
                words.before(move |xml| place(&xml, &forged(assertion(&xml), &copy)));
            })
            .await;
        }
        // In the signature's own object, which it does not sign.
        trial.refuses("in Object", 400, "saml_structure", |words| {
            let copy = words.clone();
            words.after(move |xml| {
                let evil = forged(assertion(&xml), &copy);
                xml.replacen("</ds:KeyInfo>", &format!("</ds:KeyInfo><ds:Object>{evil}</ds:Object>"), 1)
            });
        })
        .await;
        // A word of the provider that is no assertion harms nobody.
        trial.accepts("Advice of another kind", |words| {
            let advice = "<saml:Advice><saml:AssertionIDRef>_another</saml:AssertionIDRef></saml:Advice><saml:AuthnStatement";
            words.before(|xml| xml.replace("<saml:AuthnStatement", advice));
        })
        .await;
    }
}

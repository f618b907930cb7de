//! Signature wrapping and assertions in strange places (S04, S05): the signature is good, and over something else than
//! what a careless reader would use.

use super::*;

/// What an attacker has: a response that was signed for somebody, and its pieces.
struct Captured {
    response: String,
    assertion: String,
    of_response: Option<String>,
    of_assertion: Option<String>,
}

impl Captured {
    fn new(how: How) -> Self {
        let response = sign(&honest(), how);
        let tree = Tree::parse(&response, Policy::Message).unwrap();
        let text = |element: Element<'_>| response[element.range().unwrap()].to_owned();
        let assertion = tree.root().child(SAML, "Assertion").unwrap();
        let signature = |element: Element<'_>| element.child(DS, "Signature").map(text);
        let (of_response, of_assertion) = (signature(tree.root()), signature(assertion));
        let assertion = text(assertion);
        Self { assertion, of_response, of_assertion, response: response.clone() }
    }

    /// The assertion without its signature, as it was signed.
    fn original(&self) -> String {
        self.of_assertion.iter().fold(self.assertion.clone(), |xml, signature| replace(&xml, signature, ""))
    }

    /// The response without its signature and declaration.
    fn original_response(&self) -> String {
        let xml = self.response.split_once("?>").unwrap().1.trim();
        self.of_response.iter().fold(xml.to_owned(), |xml, signature| replace(&xml, signature, ""))
    }

    /// The response with another assertion.
    fn with(&self, assertion: &str) -> String {
        replace(&self.response, &self.assertion, assertion)
    }

    /// The first signature there is, with `inner` in it.
    fn signature_with(&self, inner: &str) -> (&String, String) {
        let signature = self.of_response.as_ref().or(self.of_assertion.as_ref()).unwrap();
        (signature, replace(signature, "</ds:Signature>", &format!("{inner}</ds:Signature>")))
    }
}

/// The same assertion about somebody else, under another ID and without signature.
fn evil(assertion: &str) -> String {
    replace(&assertion.replace(NAME, EVIL), "ID=\"_assertion\"", "ID=\"_evil\"")
}

fn object(inner: &str) -> String {
    format!("<ds:Object xmlns:ds=\"{DS}\">{inner}</ds:Object>")
}

/// S04: the eight of "On Breaking SAML: Be Whoever You Want to Be" (Somorovsky and others, 2012, section 4).
#[test]
fn no_wrapping_of_a_signature_is_taken() {
    for how in How::ALL {
        let captured = Captured::new(how);
        taken(&captured.response);
        let Captured { response, assertion, of_assertion, .. } = &captured;
        let (original, evil_one) = (captured.original(), evil(&captured.original()));
        let signature = of_assertion.clone().unwrap_or_default();
        // The root of the evil response, which keeps the signature of the original one.
        let evil_root = replace(&response.replace(NAME, EVIL), "ID=\"_response\"", "ID=\"_evil_root\"");
        let inside = |inner: &str| {
            let (whole, spoiled) = captured.signature_with(inner);
            (whole.clone(), spoiled)
        };
        let swallowed = |xml: &str, inner: &str| {
            let (whole, spoiled) = inside(inner);
            replace(xml, &whole, &spoiled)
        };
        let issuer_end = evil_one.find("</saml:Issuer>").unwrap() + "</saml:Issuer>".len();
        let (head, tail) = evil_one.split_at(issuer_end);
        let evil_signed = |signature: &str| format!("{head}{signature}{tail}");
        let in_signature = |inner: &str| {
            if signature.is_empty() {
                object(inner)
            } else {
                replace(&signature, "</ds:Signature>", &format!("{inner}</ds:Signature>"))
            }
        };
        let wrapped = [
            // 1: the original response in the signature of the evil one.
            swallowed(&evil_root, &object(&captured.original_response())),
            // 2: beside it.
            replace(&evil_root, "<samlp:Extensions>", &format!("{}<samlp:Extensions>", captured.original_response())),
            // 3: the evil assertion before the original one.
            captured.with(&format!("{evil_one}{assertion}")),
            // 4: the original assertion in the evil one.
            captured.with(&replace(&evil_one, "</saml:Assertion>", &format!("{assertion}</saml:Assertion>"))),
            // 5: the evil assertion with the signature, the original one behind it.
            captured.with(&format!("{}{original}", evil_signed(&signature))),
            // 6: the evil assertion with the signature, and in that the original one.
            captured.with(&evil_signed(&in_signature(&original))),
            // 7: an assertion of the same ID in the extensions, whose content schemas do not check.
            replace(
                response,
                "<x:Note xmlns:x=\"urn:x\">ext</x:Note>",
                &evil_one.replace("_evil", "_assertion").replace("saml:", "s:").replace(":saml=", ":s="),
            ),
            // 8: as 6, in an object.
            captured.with(&evil_signed(&in_signature(&object(&original)))),
        ];
        for (number, xml) in wrapped.iter().enumerate() {
            match judged(xml) {
                Ok(assertion) => panic!("{how:?} XSW{} taken as {}", number + 1, assertion.name_id.value),
                // With nothing but the response signed, 5, 6 and 8 leave a lone evil assertion or an object.
                Err(error) => assert_eq!(error.why(), Reason::SamlStructure, "{how:?} XSW{}: {error:?}", number + 1),
            }
        }
    }
}

/// S05: wherever there is room for anything, an assertion is not anything. The honest twin has something harmless there.
#[test]
fn an_assertion_elsewhere_is_refused_even_if_it_is_signed() {
    let harmless = r#"<x:Thing xmlns:x="urn:x">thing</x:Thing>"#;
    let stranger = format!("<x:Assertion xmlns:x=\"urn:x\"><x:NameID>{EVIL}</x:NameID></x:Assertion>");
    let rooms = [
        "<x:Note xmlns:x=\"urn:x\">ext</x:Note>",
        "<x:Note xmlns:x=\"urn:x\">detail</x:Note>",
        "<x:Note xmlns:x=\"urn:x\">advice</x:Note>",
        "staff",
    ];
    for how in How::ALL {
        let evil_one = evil(&Captured::new(How::Response).original());
        for room in rooms {
            let with = |inner: &str| sign(&replace(&honest(), room, inner), how);
            taken(&with(harmless));
            for inner in [
                &evil_one,
                &stranger,
                &format!("<x:Deep xmlns:x=\"urn:x\"><x:Deeper>{evil_one}</x:Deeper></x:Deep>"),
                "<saml:EncryptedAssertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"/>",
                "<x:EncryptedAssertion xmlns:x=\"urn:x\"/>",
                "<x:Response xmlns:x=\"urn:x\"/>",
                "<Signature/>",
            ] {
                // Signed as it is, and put in afterwards.
                if !inner.contains("Assertion ") || !inner.contains(SAML) {
                    refused(&with(inner), Reason::SamlStructure);
                }
                refused(&replace(&sign(&honest(), how), room, inner), Reason::SamlStructure);
            }
        }
    }
}

/// S05.
#[test]
fn there_is_exactly_one_assertion() {
    for how in How::ALL {
        let captured = Captured::new(how);
        let evil_one = evil(&captured.original());
        let Captured { assertion, response, .. } = &captured;
        for xml in [
            captured.with(&format!("{assertion}{evil_one}")),
            captured.with(&format!("{evil_one}{assertion}")),
            captured.with(&format!("{assertion}{}", assertion.replace("_assertion", "_copy"))),
            captured.with(&format!("{assertion}{assertion}")),
            captured.with(""),
            captured.with(&format!("{assertion}<saml:EncryptedAssertion xmlns:saml=\"{SAML}\"/>")),
            captured.with(&format!("<x:Assertion xmlns:x=\"urn:x\"/>{assertion}")),
            captured.with(&assertion.replace("saml:", "saml2:").replace("xmlns:saml=", "xmlns:saml2=")),
        ] {
            let error = judged(&xml).map(|a| a.name_id.value).unwrap_err().why();
            // The last one only has another prefix: to a parser the same names, to the signature another text.
            let expected = if xml.contains("<saml2:") { Reason::SamlSig } else { Reason::SamlStructure };
            assert_eq!(error, expected, "{xml}");
        }
        taken(response);
    }
}

/// The children of a response and an assertion are those of the schema, each as often as the schema has it.
#[test]
fn nothing_foreign_stands_beside_what_is_used() {
    for how in How::ALL {
        for (place, more) in [
            ("<samlp:Status>", "<x:Status xmlns:x=\"urn:x\"/><samlp:Status>"),
            ("<samlp:Status>", "<samlp:Status/><samlp:Status>"),
            ("<saml:Subject>", "<x:Subject xmlns:x=\"urn:x\"/><saml:Subject>"),
            ("<saml:Subject>", "<saml:Subject/><saml:Subject>"),
            ("<saml:Conditions ", "<saml:Conditions/><saml:Conditions "),
            ("<saml:Advice>", "<saml:NameID>x</saml:NameID><saml:Advice>"),
        ] {
            refused(&sign(&replace(&honest(), place, more), how), Reason::SamlStructure);
        }
    }
}

/// A prefix that is taken back (`xmlns:saml=""`, which namespaces in XML 1.0 do not have) is not written when an element
/// is canonicalised, so that no signature notices: what was signed as an element of SAML would be one of nobody's, and
/// be passed over. That would hide what speaks against somebody.
#[test]
fn nothing_that_is_signed_can_be_hidden_by_taking_its_prefix_back() {
    for how in How::ALL {
        let xml = sign(&honest(), how);
        taken(&xml);
        for (from, to) in [
            (
                "<saml:AttributeValue xsi:type=\"xs:string\">staff<",
                "<saml:AttributeValue xmlns:saml=\"\" xsi:type=\"xs:string\">staff<",
            ),
            ("<saml:Attribute Name=\"groups\">", "<saml:Attribute xmlns:saml=\"\" Name=\"groups\">"),
            ("<saml:AuthnContext>", "<saml:AuthnContext xmlns:saml=''>"),
        ] {
            refused(&replace(&xml, from, to), Reason::SamlMalformed);
        }
    }
}

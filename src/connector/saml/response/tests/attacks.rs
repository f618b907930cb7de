//! Forgeries that leave the structure as it is.

use super::*;

/// S01.
#[test]
fn an_unsigned_response_is_refused() {
    refused(&honest(), Reason::SamlUnsigned);
    for how in How::ALL {
        let xml = sign(&honest(), how);
        taken(&xml);
        // A provider without keys has signed nothing.
        let none = dsig::TrustedKeys::new([]);
        assert!(none.is_empty());
        let error = judged_with(&xml, |expected| expected.keys = Box::leak(Box::new(none))).unwrap_err();
        assert_eq!(error.why(), Reason::SamlKeyUntrusted);
    }
}

/// S02: the key is in the message, and is not the provider's.
#[test]
fn a_strangers_signature_is_refused_whatever_key_it_brings() {
    for how in How::ALL {
        let xml = sign_by(&honest(), how, &STRANGER.signing());
        refused(&xml, Reason::SamlKeyUntrusted);
        let stranger = STRANGER.trusted();
        let theirs = judged_with(&xml, |expected| expected.keys = Box::leak(Box::new(stranger)));
        assert_eq!(theirs.unwrap().name_id.value, NAME);
        // With the provider's certificate in place of the stranger's.
        let certificate =
            |pair: &Pair| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &pair.certificate);
        refused(&xml.replace(&certificate(&STRANGER), &certificate(&RSA)), Reason::SamlSig);
    }
    let half = dsig::sign(&sign(&honest(), How::Assertion), "_response", &STRANGER.signing()).unwrap();
    refused(&half, Reason::SamlKeyUntrusted);
    taken(&dsig::sign(&sign(&honest(), How::Assertion), "_response", &RSA.signing()).unwrap());
}

/// S06.
#[test]
fn an_id_is_there_once_and_under_one_name() {
    let room = "<x:Note xmlns:x=\"urn:x\">ext</x:Note>";
    for how in How::ALL {
        for note in [
            r#"<x:Note xmlns:x="urn:x" ID="_assertion"/>"#,
            r#"<x:Note xmlns:x="urn:x" ID="_response"/>"#,
            r#"<x:Note xmlns:x="urn:x" Id="_other"/>"#,
            r#"<x:Note xmlns:x="urn:x" id="_other"/>"#,
            r#"<x:Note xmlns:x="urn:x" x:ID="_other"/>"#,
            r#"<x:Note xmlns:x="urn:x" xml:id="_other"/>"#,
            r#"<x:Note xmlns:x="urn:x" AssertionID="_other"/>"#,
        ] {
            // Where the signature does not reach, and where it does: the library refuses to sign some of these.
            refused(&replace(&sign(&honest(), how), room, note), Reason::SamlDuplicateId);
        }
        let same = replace(&honest(), "ID=\"_assertion\"", "ID=\"_response\"");
        refused(&same, Reason::SamlDuplicateId);
        for name in ["Id", "id", "xml:id"] {
            let xml = replace(&sign(&honest(), how), " ID=\"_assertion\"", &format!(" {name}=\"_assertion\""));
            refused(&xml, Reason::SamlDuplicateId);
            let more = format!(" ID=\"_assertion\" {name}=\"_second\"");
            refused(&replace(&sign(&honest(), how), " ID=\"_assertion\"", &more), Reason::SamlDuplicateId);
        }
        taken(&sign(&replace(&honest(), room, r#"<x:Note xmlns:x="urn:x" ID="_other"/>"#), how));
    }
    for id in ["xpointer(/)", "1", "", "a:b", "a b", "ä\u{301}"] {
        refused(&replace(&honest(), "\"_assertion\"", &format!("\"{id}\"")), Reason::SamlMalformed);
    }
    taken(&sign(&replace(&honest(), "\"_assertion\"", "\"Ä-1.x_\""), How::Assertion));
}

/// S09: the comment is not in what was signed, and a careless reader stops at it.
#[test]
fn a_name_with_a_comment_is_refused_and_never_cut() {
    for how in How::ALL {
        let long = honest().replace(NAME, "anna@acme.example.evil.example");
        let xml = sign(&long, how);
        assert_eq!(judged(&xml).unwrap().name_id.value, "anna@acme.example.evil.example");
        for inner in ["<!---->", "<?p?>", "<![CDATA[]]>"] {
            let spoiled = xml.replace("anna@acme.example.evil", &format!("anna@acme.example{inner}.evil"));
            refused(&spoiled, Reason::SamlContent);
        }
    }
}

/// S10.
#[test]
fn a_response_with_a_document_type_is_refused() {
    for how in How::ALL {
        let xml = sign(&honest(), how);
        let body = xml.split_once("?>").unwrap().1;
        for doctype in [
            "<!DOCTYPE samlp:Response>",
            "<!DOCTYPE r SYSTEM \"http://evil.example/\">",
            "<!DOCTYPE r [<!ENTITY % p SYSTEM \"http://evil.example/\"> %p;]>",
            "<!DOCTYPE r [<!ATTLIST saml:Assertion ID ID #IMPLIED>]>",
        ] {
            refused(&format!("{doctype}{body}"), Reason::XmlDoctype);
        }
        taken(body.trim());
    }
}

/// S13.
#[test]
fn a_change_of_what_is_signed_is_refused() {
    for how in How::ALL {
        let xml = sign(&honest(), how);
        refused(&xml.replace(NAME, EVIL), Reason::SamlSig);
        refused(&replace(&xml, ">staff<", ">root<"), Reason::SamlSig);
        refused(&replace(&xml, "SessionIndex=\"_session\"", "SessionIndex=\"_evil\""), Reason::SamlSig);
        refused(&replace(&xml, ">advice<", "> advice<"), Reason::SamlSig);
    }
    // Only what is signed counts, and the profile's rules hold for the rest.
    let xml = sign(&honest(), How::Assertion);
    taken(&replace(&xml, ">detail<", ">another<"));
    refused(&replace(&xml, ">detail<", ">another<").replace(ACS, "https://other.example/"), Reason::SamlSig);
    refused(&replace(&sign(&honest(), How::Response), ">detail<", ">another<"), Reason::SamlSig);
}

/// The namespaces around an assertion are no part of what is signed; what its names mean must not depend on them.
#[test]
fn namespaces_around_an_assertion_do_not_change_it() {
    let xml = sign(&honest(), How::Assertion);
    taken(&replace(&xml, "ID=\"_response\"", "xmlns=\"urn:x\" xmlns:ds=\"urn:y\" ID=\"_response\""));
    refused(
        &xml.replace(
            "xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" xmlns:xsi",
            "xmlns:saml=\"urn:x\" xmlns:xsi",
        ),
        Reason::SamlStructure,
    );
}

/// S28, S31.
#[test]
fn what_is_too_large_or_no_xml_is_refused_before_its_signature() {
    let xml = sign(&honest(), How::Both);
    refused(&replace(&xml, ">ext<", &format!(">{}<", "x".repeat(20 << 20))), Reason::SamlTooLarge);
    let many = (0..100_000).map(|i| format!(" a{i}=''")).collect::<String>();
    refused(&replace(&xml, ">ext<", &format!("><x:a{many}/><")), Reason::SamlTooLarge);
    refused(&replace(&xml, ">ext<", &format!(">{}<", "<x:a>".repeat(10_000))), Reason::SamlTooLarge);
    refused(&replace(&xml, "UTF-8", "UTF-16"), Reason::SamlMalformed);
    refused(&replace(&xml, ">ext<", ">\0<"), Reason::SamlMalformed);
    refused("", Reason::SamlMalformed);
}

/// Random changes of single bytes: whatever is still taken says what was signed.
#[test]
fn no_change_of_a_byte_changes_who_signs_in() {
    use proptest::prelude::*;
    let documents = How::ALL.map(|how| sign(&honest(), how));
    let honest = documents.each_ref().map(|xml| taken(xml));
    let strategy = (0..3_usize, any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[ -~]{0,3}");
    proptest!(ProptestConfig::with_cases(800), |((which, from, len, text) in strategy)| {
        let xml = &documents[which];
        let from = from.index(xml.len());
        let to = (from + len.index(4)).min(xml.len());
        let changed = format!("{}{text}{}", &xml[..from], &xml[to..]);
        if let Ok(assertion) = judged(&changed) {
            let honest = &honest[which];
            prop_assert_eq!(&assertion.name_id, &honest.name_id);
            prop_assert_eq!(&assertion.attributes, &honest.attributes);
            prop_assert_eq!((&assertion.id, assertion.expires), (&honest.id, honest.expires));
        }
    });
}

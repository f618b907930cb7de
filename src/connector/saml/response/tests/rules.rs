//! What an honest signer may not say. Each row is signed after the change, in each of the three ways.

use std::time::Duration;

use super::*;

/// Signed in every way, the changed response is refused for `reason`.
#[track_caller]
fn rule(reason: Reason, changes: &[(&str, &str)]) {
    for how in How::ALL {
        refused(&changed(changes, how), reason);
    }
}

#[track_caller]
fn allowed(changes: &[(&str, &str)]) {
    for how in How::ALL {
        taken(&changed(changes, how));
    }
}

fn changed(changes: &[(&str, &str)], how: How) -> String {
    sign(&changes.iter().fold(honest(), |xml, (from, to)| replace(&xml, from, to)), how)
}

#[test]
fn an_honest_response_is_taken_and_read_whole() {
    for how in How::ALL {
        let assertion = taken(&sign(&honest(), how));
        assert_eq!(assertion.id, "_assertion");
        assert_eq!(
            assertion.name_id,
            NameId {
                value: NAME.into(),
                format: Some("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent".into()),
                name_qualifier: Some("idp".into()),
                sp_name_qualifier: Some("sp".into()),
            }
        );
        assert_eq!(assertion.session_index.as_deref(), Some("_session"));
        assert_eq!(assertion.session_not_on_or_after, Some(NOW.plus(Duration::from_secs(8 * 3600))));
        assert_eq!(assertion.authn_instant, NOW.minus(Duration::from_secs(200)));
        let class = Some("urn:oasis:names:tc:SAML:2.0:ac:classes:Password");
        assert_eq!(assertion.authn_context_class.as_deref(), class);
        // The confirmation's five minutes, which end before the conditions' hour.
        assert_eq!(assertion.expires, NOW.plus(Duration::from_secs(300) + SKEW));
        let [mail, groups] = &assertion.attributes[..] else { panic!("{:?}", assertion.attributes) };
        assert_eq!((mail.name.as_str(), mail.friendly_name.as_deref()), ("mail", Some("E-mail")));
        assert_eq!(mail.values, [NAME]);
        assert_eq!((groups.name.as_str(), groups.friendly_name.as_deref()), ("groups", None));
        assert_eq!(groups.values, ["staff", "ops & dev"]);
    }
}

/// S16.
#[test]
fn the_assertion_must_be_for_us() {
    let ours = &format!("<saml:Audience>{AUDIENCE}</saml:Audience>");
    let restriction = &format!("<saml:AudienceRestriction>{ours}</saml:AudienceRestriction>");
    let other =
        "<saml:AudienceRestriction><saml:Audience>https://other.example</saml:Audience></saml:AudienceRestriction>";
    rule(Reason::SamlAudience, &[(restriction, "")]);
    rule(Reason::SamlAudience, &[(ours, "")]);
    rule(Reason::SamlAudience, &[(ours, "<saml:Audience>https://other.example</saml:Audience>")]);
    rule(Reason::SamlAudience, &[(ours, &format!("<saml:Audience>{AUDIENCE}/</saml:Audience>"))]);
    rule(Reason::SamlAudience, &[(restriction, &format!("{restriction}{other}"))]);
    rule(Reason::SamlAudience, &[(restriction, &format!("{other}{restriction}"))]);
    allowed(&[(ours, &format!("<saml:Audience>https://other.example</saml:Audience>{ours}"))]);
    allowed(&[(restriction, &format!("{restriction}{restriction}"))]);
    allowed(&[(ours, &format!("<saml:Audience>\n {AUDIENCE}\n</saml:Audience>"))]);
    let start = r#"<saml:Conditions NotBefore="2023-11-14T22:13:00Z" NotOnOrAfter="2023-11-14T23:13:20Z">"#;
    rule(Reason::SamlAudience, &[(&format!("{start}{restriction}</saml:Conditions>"), "")]);
}

#[test]
fn conditions_must_be_known() {
    let end = "</saml:Conditions>";
    allowed(&[(end, "<saml:OneTimeUse/><saml:ProxyRestriction Count=\"0\"/></saml:Conditions>")]);
    rule(Reason::SamlStructure, &[(end, "<saml:Condition xsi:type=\"xs:string\"/></saml:Conditions>")]);
    rule(Reason::SamlStructure, &[(end, "<x:OneTimeUse xmlns:x=\"urn:x\"/></saml:Conditions>")]);
}

/// S17.
#[test]
fn the_response_must_be_sent_here() {
    let destination = &format!("Destination=\"{ACS}\"");
    rule(Reason::SamlDestination, &[(destination, "")]);
    rule(Reason::SamlDestination, &[(destination, "Destination=\"\"")]);
    rule(Reason::SamlDestination, &[(destination, "Destination=\"https://other.example/acs\"")]);
    rule(Reason::SamlDestination, &[(destination, &format!("Destination=\"{ACS}/\""))]);
    rule(Reason::SamlDestination, &[(destination, &format!("Destination=\"{}\"", ACS.replace("https", "HTTPS")))]);
    let recipient = &format!("Recipient=\"{ACS}\"");
    rule(Reason::SamlRecipient, &[(recipient, "")]);
    rule(Reason::SamlRecipient, &[(recipient, "Recipient=\"https://other.example/acs\"")]);
    rule(Reason::SamlRecipient, &[(recipient, &format!("Recipient=\"{ACS}?x\""))]);
}

/// S17, S20.
#[test]
fn the_response_must_answer_the_request_or_none() {
    let on_response = &format!("Destination=\"{ACS}\" InResponseTo=\"{REQUEST}\"");
    let on_confirmation = &format!("<saml:SubjectConfirmationData InResponseTo=\"{REQUEST}\"");
    let off_response = &format!("Destination=\"{ACS}\"");
    let off_confirmation = "<saml:SubjectConfirmationData";
    rule(Reason::SamlInResponseTo, &[(on_response, off_response)]);
    rule(Reason::SamlInResponseTo, &[(on_confirmation, off_confirmation)]);
    rule(Reason::SamlInResponseTo, &[(on_response, &format!("{off_response} InResponseTo=\"_other\""))]);
    rule(Reason::SamlInResponseTo, &[(on_confirmation, &format!("{off_confirmation} InResponseTo=\"_other\""))]);

    for how in How::ALL {
        let unsolicited = |xml: &str| judged_with(xml, |expected| expected.in_response_to = None).map_err(|e| e.why());
        let answer = |changes| unsolicited(&changed(changes, how)).map(|a| a.name_id.value);
        let neither = [(on_response.as_str(), off_response.as_str()), (on_confirmation.as_str(), off_confirmation)];
        assert_eq!(answer(&neither), Ok(NAME.into()));
        assert_eq!(answer(&neither[..1]), Err(Reason::SamlInResponseTo));
        assert_eq!(answer(&neither[1..]), Err(Reason::SamlInResponseTo));
        assert_eq!(answer(&[]), Err(Reason::SamlInResponseTo));
        refused(&changed(&neither, how), Reason::SamlInResponseTo);
    }
}

/// S18.
#[test]
fn times_are_held_with_a_minute_for_the_clocks() {
    let confirmation = r#"NotOnOrAfter="2023-11-14T22:18:20Z""#;
    let not_before = r#"NotBefore="2023-11-14T22:13:00Z""#;
    let conditions = r#"NotOnOrAfter="2023-11-14T23:13:20Z""#;
    let session = r#"SessionNotOnOrAfter="2023-11-15T06:13:20Z""#;
    let (issued, asserted) = (r#"IssueInstant="2023-11-14T22:13:19.5Z""#, r#"IssueInstant="2023-11-14T22:13:19Z""#);
    let instant = r#"AuthnInstant="2023-11-14T22:10:00Z""#;
    let to = |attribute: &str, time: &str| format!("{}=\"{time}\"", attribute.split_once('=').unwrap().0);

    for until in [confirmation, conditions, session] {
        allowed(&[(until, &to(until, "2023-11-14T22:12:20.001Z"))]);
        rule(Reason::SamlTime, &[(until, &to(until, "2023-11-14T22:12:20Z"))]);
        rule(Reason::SamlTime, &[(until, &to(until, "2023-11-14T22:20:20+01:00"))]);
        rule(Reason::SamlTime, &[(until, &to(until, "tomorrow"))]);
    }
    for from in [not_before, issued, asserted, instant] {
        allowed(&[(from, &to(from, "2023-11-14T22:14:20Z"))]);
        rule(Reason::SamlTime, &[(from, &to(from, "2023-11-14T22:14:20.001Z"))]);
        rule(Reason::SamlTime, &[(from, &to(from, ""))]);
    }
    for required in [confirmation, issued, asserted, instant] {
        rule(Reason::SamlTime, &[(required, "")]);
    }
    for optional in [not_before, conditions, session] {
        allowed(&[(optional, "")]);
    }
    rule(Reason::SamlTime, &[(confirmation, &format!("{confirmation} {not_before}"))]);
}

/// S19: what is remembered until then cannot come again.
#[test]
fn an_assertion_is_refused_from_when_it_is_said_to_expire() {
    let xml = sign(&honest(), How::Assertion);
    let expires = taken(&xml).expires;
    let at = |now: Timestamp| judged_with(&xml, |expected| expected.now = now).map(|a| a.id).map_err(|e| e.why());
    assert_eq!(at(expires.minus(Duration::from_millis(1))), Ok("_assertion".into()));
    assert_eq!(at(expires), Err(Reason::SamlTime));
}

/// S24.
#[test]
fn one_bearer_confirmation_must_hold() {
    let method = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
    rule(Reason::SamlSubject, &[(method, "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key")]);
    rule(Reason::SamlSubject, &[(method, "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches")]);
    let start = &format!("<saml:SubjectConfirmation Method=\"{method}\">");
    let others = |recipient: &str, until: &str| {
        format!(
            "<saml:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:sender-vouches\"/>{start}\
             <saml:SubjectConfirmationData InResponseTo=\"{REQUEST}\" Recipient=\"{recipient}\" \
             NotOnOrAfter=\"{until}\"/></saml:SubjectConfirmation>{start}"
        )
    };
    let elsewhere = others("https://other.example/acs", "2023-11-14T22:28:20Z");
    allowed(&[(start, &elsewhere)]);
    // Remembered as long as any of them lasts.
    let later = taken(&changed(&[(start, &elsewhere)], How::Both)).expires;
    assert_eq!(later, NOW.plus(Duration::from_secs(900) + SKEW));
    let recipient = &format!("Recipient=\"{ACS}\" NotOnOrAfter=\"2023-11-14T22:18:20Z\"");
    rule(Reason::SamlRecipient, &[(recipient, "NotOnOrAfter=\"2023-11-14T22:18:20Z\""), (start, &elsewhere)]);
    let data = &format!("<saml:SubjectConfirmationData InResponseTo=\"{REQUEST}\" {recipient}/>");
    rule(Reason::SamlSubject, &[(data, "")]);
    rule(Reason::SamlStructure, &[(data, &format!("{data}{data}"))]);
}

/// S24.
#[test]
fn there_must_be_a_name_and_an_authentication() {
    let name = &format!(
        "<saml:NameID Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:persistent\" NameQualifier=\"idp\" \
         SPNameQualifier=\"sp\">{NAME}</saml:NameID>"
    );
    rule(Reason::SamlSubject, &[(name, "")]);
    rule(Reason::SamlSubject, &[(name, "<saml:NameID/>")]);
    rule(Reason::SamlSubject, &[(name, "<saml:NameID> \n\t</saml:NameID>")]);
    rule(Reason::SamlSubject, &[(name, &format!("<saml:NameID>{}</saml:NameID>", "n".repeat(1025)))]);
    rule(Reason::SamlSubject, &[(name, &format!("<saml:BaseID>{NAME}</saml:BaseID>"))]);
    rule(Reason::SamlStructure, &[(name, &format!("{name}{name}"))]);
    allowed(&[(name, &format!("<saml:NameID>{NAME}</saml:NameID>"))]);

    let xml = honest();
    let cut = |from: &str, to: &str| {
        let (start, end) = (xml.find(from).unwrap(), xml.find(to).unwrap() + to.len());
        &xml[start..end]
    };
    rule(Reason::SamlSubject, &[(cut("<saml:Subject>", "</saml:Subject>"), "")]);
    let statement = cut("<saml:AuthnStatement", "</saml:AuthnStatement>");
    rule(Reason::SamlSubject, &[(statement, "")]);
    allowed(&[(statement, r#"<saml:AuthnStatement AuthnInstant="2023-11-14T22:10:00Z"/>"#)]);
    let sooner = statement.replace("2023-11-15T06", "2023-11-14T23").replace("_session", "_other");
    let assertion = taken(&changed(&[(statement, &format!("{statement}{sooner}"))], How::Response));
    assert_eq!(assertion.session_index.as_deref(), Some("_session"));
    assert_eq!(assertion.session_not_on_or_after, Some(NOW.plus(Duration::from_secs(3600))));
    allowed(&[(cut("<saml:AttributeStatement>", "</saml:AttributeStatement>"), "")]);
}

/// S22: another provider's word is not this one's, whoever signed it.
#[test]
fn the_issuer_must_be_the_provider() {
    let issuer = &format!("<saml:Issuer>{IDP}</saml:Issuer>");
    let of_response = &format!("<saml:Issuer xmlns:saml=\"{SAML}\">{IDP}</saml:Issuer>");
    let other = "<saml:Issuer>https://other.example/metadata</saml:Issuer>";
    rule(Reason::IdpMixup, &[(issuer, other)]);
    rule(Reason::IdpMixup, &[(of_response, &other.replace("Issuer>h", &format!("Issuer xmlns:saml=\"{SAML}\">h")))]);
    rule(Reason::IdpMixup, &[(issuer, "")]);
    rule(Reason::IdpMixup, &[(issuer, "<saml:Issuer/>")]);
    rule(Reason::SamlStructure, &[(issuer, &format!("{issuer}{issuer}"))]);
    allowed(&[(of_response, "")]);
    for how in How::ALL {
        let both = honest().replace(IDP, "https://other.example/metadata");
        refused(&sign_by(&both, how, &STRANGER.signing()), Reason::IdpMixup);
    }
}

/// S23.
#[test]
fn a_status_other_than_success_is_refused_whatever_else_is_inside() {
    let success = r#"<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/>"#;
    let code = |inner: &str| {
        format!(r#"<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Responder">{inner}</samlp:StatusCode>"#)
    };
    let sub = r#"<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:RequestDenied"/>"#;
    for how in How::ALL {
        for (inner, word) in [
            ("", "Responder: Responder"),
            (sub, "RequestDenied: Responder"),
            (r#"<samlp:StatusCode Value="urn:x:&lt;script&gt;"/>"#, "Responder: Responder"),
        ] {
            let error = judged(&changed(&[(success, &code(inner))], how)).unwrap_err();
            assert_eq!((error.why(), error.detail()), (Reason::SamlStatus, Some(("Success", word))), "{inner}");
        }
        // Nobody signs an error, and it has no assertion.
        let xml = replace(&honest(), success, &code(sub));
        let assertion = range(&xml, SAML, "Assertion");
        refused(&replace(&xml, &xml[assertion], ""), Reason::SamlStatus);
    }
    let status = r#"<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:success"/>"#;
    rule(Reason::SamlStatus, &[(success, status)]);
    rule(Reason::SamlStructure, &[(success, "<samlp:StatusCode/>")]);
    rule(Reason::SamlStructure, &[(success, "")]);
    rule(Reason::SamlStructure, &[(success, &format!("{success}{success}"))]);
}

#[test]
fn the_version_is_two() {
    rule(Reason::SamlMalformed, &[(r#"ID="_response" Version="2.0""#, r#"ID="_response" Version="1.1""#)]);
    rule(Reason::SamlMalformed, &[(r#"ID="_assertion" Version="2.0""#, r#"ID="_assertion""#)]);
    refused("<a/>", Reason::SamlStructure);
    refused(&honest().replace("samlp:Response", "samlp:LogoutResponse"), Reason::SamlStructure);
}

/// S25: nothing is lost here, so that whoever needs one value sees two.
#[test]
fn an_attribute_that_is_there_twice_is_read_twice() {
    let mail = r#"<saml:Attribute Name="mail" FriendlyName="E-mail">"#;
    let twice = format!(
        "<saml:Attribute Name=\"mail\"><saml:AttributeValue>{EVIL}</saml:AttributeValue><saml:AttributeValue/>\
         <saml:AttributeValue xsi:nil=\"true\"/></saml:Attribute>{mail}"
    );
    let assertion = taken(&changed(&[(mail, &twice)], How::Assertion));
    let values = assertion.attributes.iter().filter(|a| a.name == "mail").map(|a| a.values.join(" "));
    assert_eq!(values.collect::<Vec<_>>(), [format!("{EVIL} "), NAME.into()]);
    rule(Reason::SamlStructure, &[(mail, "<saml:Attribute>")]);
}

/// An attribute whose value has elements, as eduPersonTargetedID.
#[test]
fn an_attributes_text_is_all_of_its_text() {
    let value = r#"<saml:AttributeValue xsi:type="xs:string">staff</saml:AttributeValue>"#;
    let nested =
        "<saml:AttributeValue> <saml:NameID>sta</saml:NameID><saml:NameID>ff</saml:NameID></saml:AttributeValue>";
    let assertion = taken(&changed(&[(value, nested)], How::Both));
    assert_eq!(assertion.attributes[1].values, [" staff", "ops & dev"]);
}

#[test]
fn peeking_reads_the_request_and_nothing_else() {
    let read = |xml: &str| peek(xml).map(|peek| peek.in_response_to).map_err(|e| e.why());
    assert_eq!(read(&honest()), Ok(Some(REQUEST.into())));
    assert_eq!(read(&honest().replace(&format!(" InResponseTo=\"{REQUEST}\""), "")), Ok(None));
    assert_eq!(read("<a/>"), Err(Reason::SamlStructure));
    assert_eq!(read("a"), Err(Reason::SamlMalformed));
}

/// Whom a response says to be from: of its own issuer, or where it has none of its assertion's (S22).
#[test]
fn peeking_reads_one_issuer_or_none() {
    let read = |xml: &str| peek(xml).unwrap().issuer;
    let issuer = format!("<saml:Issuer>{IDP}</saml:Issuer>");
    let of_response = format!("<saml:Issuer xmlns:saml=\"{SAML}\">{IDP}</saml:Issuer>");
    let named = |name: &str| of_response.replace(IDP, name);
    let first = |by: &str| honest().replacen(&of_response, by, 1);
    assert_eq!(read(&honest()).as_deref(), Some(IDP));
    assert_eq!(read(&first(&named(" a "))).as_deref(), Some("a"), "the response's, as judged");
    assert_eq!(read(&first("")).as_deref(), Some(IDP), "the assertion's");
    assert_eq!(read(&first(&format!("{}{}", named("a"), named("b")))), None);
    assert_eq!(read(&first("").replace(&issuer, "")), None);
}

use super::*;
use crate::connector::saml::xml::{Element, Policy, Tree};

/// Of a kind that could break out of an attribute or an element.
const ODD: &str = "https://x.example/?a=1&b=\"2\"'<x>";

fn request() -> AuthnRequest<'static> {
    AuthnRequest {
        id: "_id",
        issue_instant: Timestamp::from_millis(1_700_000_000_999),
        destination: "https://idp.example/sso?a=1&b=2",
        acs_url: "https://app.example/.anteroom/saml/x/acs",
        issuer: "urn:amazon:cognito:sp:x",
        force_authn: false,
        is_passive: false,
        name_id_format: None,
        allow_create: false,
        requested_contexts: &[],
        subject: None,
    }
}

fn names<'t>(element: Element<'t>) -> Vec<&'t str> {
    element.children().map(Element::name).collect()
}

#[test]
fn the_plainest_request_asks_for_nothing() {
    let xml = request().write();
    let tree = Tree::parse(&xml, Policy::Message).unwrap();
    let root = tree.root();
    assert!(root.is(SAMLP, "AuthnRequest"));
    let attributes: Vec<_> = root.attributes().map(|(_, name, value)| (name, value)).collect();
    assert_eq!(
        attributes,
        [
            ("ID", "_id"),
            ("Version", "2.0"),
            ("IssueInstant", "2023-11-14T22:13:20Z"),
            ("Destination", "https://idp.example/sso?a=1&b=2"),
            ("AssertionConsumerServiceURL", "https://app.example/.anteroom/saml/x/acs"),
            ("ProtocolBinding", "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"),
        ]
    );
    assert_eq!(names(root), ["Issuer"]);
    assert_eq!(root.child(SAML, "Issuer").unwrap().text(), "urn:amazon:cognito:sp:x");
}

/// In the order of the schema: a provider that validates refuses another.
#[test]
fn what_is_asked_for_stands_where_the_schema_has_it() {
    let subject = NameId {
        value: "a&b@x.example".into(),
        format: Some("urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress".into()),
        name_qualifier: None,
        sp_name_qualifier: Some("\"q\"".into()),
    };
    let contexts = ["urn:a".to_owned(), "urn:b&c".to_owned()];
    let xml = AuthnRequest {
        force_authn: true,
        is_passive: true,
        name_id_format: Some("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"),
        allow_create: true,
        requested_contexts: &contexts,
        subject: Some(&subject),
        ..request()
    }
    .write();
    let tree = Tree::parse(&xml, Policy::Message).unwrap();
    let root = tree.root();
    assert_eq!(names(root), ["Issuer", "Subject", "NameIDPolicy", "RequestedAuthnContext"]);
    assert_eq!((root.attribute("ForceAuthn"), root.attribute("IsPassive")), (Some("true"), Some("true")));
    let name = root.child(SAML, "Subject").and_then(|s| s.child(SAML, "NameID")).unwrap();
    assert_eq!(name.text(), "a&b@x.example");
    assert_eq!((name.attribute("SPNameQualifier"), name.attribute("NameQualifier")), (Some("\"q\""), None));
    let policy = root.child(SAMLP, "NameIDPolicy").unwrap();
    assert_eq!(policy.attribute("Format"), Some("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"));
    assert_eq!(policy.attribute("AllowCreate"), Some("true"));
    let context = root.child(SAMLP, "RequestedAuthnContext").unwrap();
    assert_eq!(context.attribute("Comparison"), Some("exact"));
    let classes: Vec<_> = context.children_named(SAML, "AuthnContextClassRef").map(Element::text).collect();
    assert_eq!(classes, contexts);
}

#[test]
fn no_value_becomes_markup() {
    let contexts = [ODD.to_owned()];
    let name = NameId {
        value: ODD.into(),
        format: Some(ODD.into()),
        name_qualifier: Some(ODD.into()),
        sp_name_qualifier: Some(ODD.into()),
    };
    let xml = AuthnRequest {
        id: ODD,
        destination: ODD,
        acs_url: ODD,
        issuer: ODD,
        name_id_format: Some(ODD),
        requested_contexts: &contexts,
        subject: Some(&name),
        ..request()
    }
    .write();
    let tree = Tree::parse(&xml, Policy::Message).unwrap();
    let all: Vec<_> = tree.root().descendants().chain([tree.root()]).collect();
    let values = all.iter().copied().flat_map(Element::attributes).filter(|(_, _, value)| *value == ODD).count();
    assert_eq!(values, 7);
    let texts = all.iter().filter(|e| e.children().next().is_none() && e.text() == ODD).count();
    assert_eq!(texts, 3);
}

#[test]
fn an_id_is_a_name_of_xml_and_new_each_time() {
    let (one, two) = (new_id(), new_id());
    assert_ne!(one, two);
    assert!(one.starts_with('_') && one.len() == 28, "{one}");
    assert!(one.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')), "{one}");
}

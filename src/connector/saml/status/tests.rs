use super::*;
use crate::connector::saml::xml::{Policy, Tree};

fn uri(name: &str) -> String {
    format!("urn:oasis:names:tc:SAML:2.0:status:{name}")
}

/// A response whose status has these codes, outermost first, and this after them.
fn response(codes: &[&str], after: &str) -> String {
    let nested = codes
        .iter()
        .rev()
        .fold(String::new(), |inner, code| format!("<p:StatusCode Value=\"{code}\">{inner}</p:StatusCode>"));
    format!("<p:Response xmlns:p=\"{SAMLP}\"><p:Status>{nested}{after}</p:Status></p:Response>")
}

fn read(xml: &str) -> Result<Status, ProviderError> {
    Status::read(Tree::parse(xml, Policy::Message).unwrap().root())
}

/// What the page and the log get.
fn found(xml: &str) -> String {
    let error = read(xml).unwrap().demand_success().unwrap_err();
    assert_eq!(error.reason(), "saml_status");
    error.provider_said().unwrap().to_owned()
}

#[test]
fn every_code_is_read_by_its_uri_and_no_other() {
    for code in Code::ALL {
        assert_eq!(Code::read(&code.uri()), Some(*code));
        assert_eq!(Code::read(code.name()), None);
        assert_eq!(Code::read(&format!("{} ", code.uri())), None);
        assert_eq!(Code::read(&code.uri().replace(":2.0:", ":1.0:")), None);
    }
}

/// S23
#[test]
fn success_alone_is_success() {
    assert_eq!(read(&response(&[&uri("Success")], "")).unwrap().demand_success().err().map(|e| e.reason()), None);
    for other in ["Requester", "Responder", "VersionMismatch", "AuthnFailed", "success"] {
        let status = read(&response(&[&uri(other)], "")).unwrap();
        assert!(!status.is_success() && status.demand_success().is_err(), "{other}");
        let under = read(&response(&[&uri(other), &uri("Success")], "")).unwrap();
        assert!(!under.is_success(), "success below {other} is none");
    }
    assert!(!read(&response(&["urn:other:Success"], "")).unwrap().is_success());
}

#[test]
fn the_code_that_says_most_comes_first() {
    assert_eq!(found(&response(&[&uri("Responder"), &uri("NoPassive")], "")), "NoPassive: Responder");
    assert_eq!(
        found(&response(&[&uri("Requester"), &uri("InvalidNameIDPolicy")], "")),
        "InvalidNameIDPolicy: Requester"
    );
    assert_eq!(found(&response(&[&uri("Responder")], "")), "Responder: Responder");
    assert_eq!(found(&response(&[&uri("Responder"), "urn:vendor:code"], "")), "Responder: Responder");
    assert_eq!(found(&response(&["<x>".replace(['<', '>'], ":").as_str()], "")), "unknown: unknown");
}

#[test]
fn microsofts_number_is_taken_and_the_rest_of_its_message_is_not() {
    let message = "<p:StatusMessage>AADSTS50105: The signed in user 'canary@x.example' is not assigned to a role for \
                   the application 'x'.</p:StatusMessage>";
    let said = found(&response(&[&uri("Responder")], message));
    assert_eq!(said, "Responder: Responder AADSTS50105");
    let both = found(&response(&[&uri("Responder"), &uri("NoAuthnContext")], &message.replace("50105", "75011")));
    assert_eq!(both, "NoAuthnContext: Responder AADSTS75011");
    let plain = found(&response(&[&uri("Responder")], "<p:StatusMessage>canary</p:StatusMessage>"));
    assert_eq!(plain, "Responder: Responder");
}

#[test]
fn a_partial_logout_is_seen_below_any_code() {
    for top in ["Success", "Responder", "Requester"] {
        assert!(read(&response(&[&uri(top), &uri("PartialLogout")], "")).unwrap().is_partial_logout(), "{top}");
        assert!(!read(&response(&[&uri(top)], "")).unwrap().is_partial_logout(), "{top}");
    }
}

#[test]
fn a_response_has_one_status_with_one_code() {
    let code = format!("<p:StatusCode Value=\"{}\"/>", uri("Success"));
    let whole = |inner: &str| format!("<p:Response xmlns:p=\"{SAMLP}\">{inner}</p:Response>");
    assert!(read(&whole(&format!("<p:Status>{code}</p:Status>"))).is_ok());
    for bad in [
        String::new(),
        String::from("<p:Status/>"),
        String::from("<p:Status><p:StatusCode/></p:Status>"),
        format!("<p:Status>{code}{code}</p:Status>"),
        format!("<p:Status>{code}</p:Status><p:Status>{code}</p:Status>"),
        format!("<p:Status><p:StatusCode Value=\"{}\">{code}{code}</p:StatusCode></p:Status>", uri("Responder")),
        format!("<Status xmlns=\"urn:other\">{code}</Status>"),
        format!("<p:Status>{code}<p:StatusMessage>a</p:StatusMessage><p:StatusMessage>b</p:StatusMessage></p:Status>"),
    ] {
        assert_eq!(read(&whole(&bad)).unwrap_err().reason(), "saml_structure", "{bad}");
    }
}

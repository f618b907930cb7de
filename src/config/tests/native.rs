//! `[apps.<id>.native]`: the application's own sign-in, and service identities.

use http::{Method, StatusCode};

use super::*;

const KEYS: &str = "api_key_headers = [\"X-Api-Key\"]";
const LOGIN: &str = "{ path = \"/login\", username = \"form:user[name]\", failure = \"location:/login\" }";

/// The honest configuration with more lines in its native section.
fn with(lines: &str) -> String {
    format!("{KEYS}\n{lines}")
}

#[test]
fn a_sign_in_names_its_path_its_user_name_and_its_failure() {
    let lines = format!(
        "sign_in = [{LOGIN}, {{ path = \"/api/token\", username = \"json:/a~1b/m~0n\", failure = \"status:401\", \
         methods = [\"PUT\"], mobile = true }}]"
    );
    let loaded = accepted(&[(KEYS, &with(&lines))]);
    let native = &loaded.config.apps["portal"].native;
    let [form, json] = native.sign_in.as_slice() else { panic!("{native:?}") };
    assert_eq!((form.path.as_str(), form.methods.as_slice(), form.mobile), ("/login", &[Method::POST][..], false));
    assert_eq!(form.user_name, UserNameAt::Form("user[name]".to_owned()));
    assert_eq!(form.failure, SignInFailure::Location("/login".to_owned()));
    assert_eq!(json.user_name, UserNameAt::Json(vec!["a/b".to_owned(), "m~n".to_owned()]));
    assert_eq!((json.failure.clone(), json.mobile), (SignInFailure::Status(StatusCode::UNAUTHORIZED), true));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn each_mistake_in_a_sign_in_is_named_with_what_is_allowed() {
    let at = |key: &str| format!("apps.portal.native.sign_in[0]{key}");
    for (from, to, key, says) in [
        ("/login\", u", "/\", u", ".path", "home page"),
        ("/login\", u", "/a/**\", u", ".path", "without '*'"),
        ("/login\", u", "/.anteroom/x\", u", ".path", "own sign-in path"),
        ("path = \"/login\", ", "", ".path", "missing"),
        ("form:user[name]", "user", ".username", "form:FIELD"),
        ("form:user[name]", "form:", ".username", "form:FIELD"),
        ("form:user[name]", "json:user", ".username", "json:/user"),
        ("form:user[name]", "json:/a//b", ".username", "json:/user"),
        ("form:user[name]", "json:/a~2", ".username", "json:/user"),
        ("location:/login", "location:https://x", ".failure", "location:/login"),
        ("location:/login", "status:42", ".failure", "status:401"),
        ("location:/login", "body:  ", ".failure", "body:TEXT"),
        ("location:/login", "401", ".failure", "status:401"),
        ("failure = \"location:/login\"", "failure = \"status:401\", methods = []", ".methods", "empty list"),
        ("failure = \"location:/login\"", "failure = \"status:401\", methods = [\"GET\"]", ".methods[0]", "\"POST\""),
    ] {
        assert!(LOGIN.contains(from), "{from}");
        refused(&[(KEYS, &with(&format!("sign_in = [{}]", LOGIN.replace(from, to))))], &at(key), says);
    }
    let twice = with(&format!("sign_in = [{LOGIN}, {LOGIN}]"));
    refused(&[(KEYS, &twice)], "apps.portal.native.sign_in[1].path", "sign_in[0] has already");
    let split = with(&format!("sign_in = [{LOGIN}, {}]", LOGIN.replace("failure", "methods = [\"PUT\"], failure")));
    accepted(&[(KEYS, &split)]);
}

/// R4: a user name that is no address, and a contact of its own.
#[test]
fn a_service_identity_has_a_name_that_is_no_address_and_a_contact_of_its_own() {
    let billing = "{ name = \"svc-billing\", contact = \"billing@acme.com\" }";
    let loaded = accepted(&[(KEYS, &with(&format!("allow = [{billing}, \"svc-print\"]")))]);
    let names: Vec<_> = loaded.config.apps["portal"].native.allow.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["svc-billing", "svc-print"]);
    let warned: Vec<_> = loaded.warnings.iter().map(|w| (w.place.key.as_str(), w.text.contains("svc-print"))).collect();
    assert_eq!(warned, [("apps.portal.native.allow[1]", true)]);
    for (entries, key, says) in [
        ("\"alice@acme.com\"".to_owned(), "allow[0]", "no e-mail address"),
        ("\" svc\"".to_owned(), "allow[0]", "svc-billing"),
        ("5".to_owned(), "allow[0]", "a table with name and contact"),
        ("{ contact = \"a@acme.com\" }".to_owned(), "allow[0].name", "missing"),
        (format!("{billing}, {billing}").replacen("billing@", "other@", 1), "allow[1].name", "twice"),
        (format!("{billing}, {billing}").replacen("svc-billing", "svc-a", 1), "allow[1].contact", "svc-a"),
        ("{ name = \"svc\", contact = \"nobody\" }".to_owned(), "allow[0].contact", "e-mail address"),
    ] {
        let key = format!("apps.portal.native.{key}");
        refused(&[(KEYS, &with(&format!("allow = [{entries}]")))], &key, says);
    }
}

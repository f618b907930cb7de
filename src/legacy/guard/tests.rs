//! N05, N07: one name for every reader, or none.

use http::HeaderValue;

use super::*;

fn form(query: &str, body: &str) -> Result<String, Refused> {
    let rule = UserNameAt::Form("username".to_owned());
    judge(&rule, Some(query), body.as_bytes()).map(|name| name.as_str().to_owned())
}

fn json(body: &str) -> Result<String, Refused> {
    let rule = UserNameAt::Json(vec!["login".to_owned(), "user".to_owned()]);
    judge(&rule, None, body.as_bytes()).map(|name| name.as_str().to_owned())
}

#[test]
fn a_forms_one_user_name_is_found_as_the_application_decodes_it() {
    for (body, name) in [
        ("username=svc-billing&password=x", "svc-billing"),
        ("password=100%&username=alice%40acme.com", "alice@acme.com"),
        ("user%6eame=a%2Bb+c", "a+b c"),
        ("csrf=;x&username=m%C3%BCller", "müller"),
        ("username=&password=", ""),
        ("username", ""),
        ("name=x&username=+alice%09", "alice"),
    ] {
        assert_eq!(form("next=/", body).as_deref(), Ok(name), "{body}");
    }
}

#[test]
fn a_form_that_two_readers_could_read_differently_is_refused() {
    use Refused::{Malformed, NameMalformed, NameMissing, NameTwice};
    for (query, body, why) in [
        ("", "username=svc&username=alice@acme.com", NameTwice),
        ("", "username=svc&USERNAME=alice@acme.com", NameTwice),
        ("", "username=svc&user%6Eame=alice@acme.com", NameTwice),
        ("", "username=svc&username%5B%5D=alice@acme.com", NameTwice),
        ("", "username=svc&username[0]=alice@acme.com", NameTwice),
        ("", "username=svc&+username=alice@acme.com", NameTwice),
        ("", "username=svc&username%00x=alice@acme.com", NameTwice),
        ("", "username=svc&x=1;username=alice@acme.com", NameTwice),
        ("", "username=svc;alice@acme.com", NameMalformed),
        ("username=alice@acme.com", "username=svc", NameTwice),
        ("a=b;User%6eame=x", "username=svc", NameTwice),
        ("", "Username=svc", NameTwice),
        ("", "username[]=svc", NameTwice),
        ("", "user=svc", NameMissing),
        ("", "", NameMissing),
        ("", "username=a%zzb", NameMalformed),
        ("", "username=a%u0040b", NameMalformed),
        ("", "username=%ff", NameMalformed),
        ("", "username=a%00b", NameMalformed),
        ("", "username=svc&%u0075sername=alice@acme.com", Malformed),
    ] {
        assert_eq!(form(query, body), Err(why), "{query} {body}");
    }
    assert_eq!(form("", &format!("username=a&x={}", "y".repeat(MAX_BODY))), Err(Refused::TooLarge));
}

#[test]
fn jsons_one_user_name_is_found_at_its_pointer() {
    for (body, name) in [
        (r#"{"login":{"user":"svc","password":"x"}}"#, "svc"),
        (r#"{"a":[],"login":{"us\u0065r":"alice\u0040acme.com"}}"#, "alice@acme.com"),
        (r#"{"login":{"user":17}}"#, "17"),
    ] {
        assert_eq!(json(body).as_deref(), Ok(name), "{body}");
    }
    let first = UserNameAt::Json(vec!["0".to_owned(), "user".to_owned()]);
    assert_eq!(judge(&first, None, br#"[{"user":"a"}]"#).unwrap().as_str(), "a");
}

#[test]
fn json_that_two_readers_could_read_differently_is_refused() {
    use Refused::{Malformed, NameMalformed, NameMissing, NameTwice};
    for (body, why) in [
        (r#"{"login":{"user":"svc","user":"alice@acme.com"}}"#, Malformed),
        (r#"{"login":{"user":"svc"},"login":{"user":"alice@acme.com"}}"#, Malformed),
        (r#"{"login":{"user":"svc","us\u0065r":"alice@acme.com"}}"#, Malformed),
        (r#"{"login":{"user":"svc","USER":"alice@acme.com"}}"#, NameTwice),
        ("{\"login\":{\"user\":\"svc\",\"u\u{17f}er\":\"alice@acme.com\"}}", NameTwice),
        (r#"{"login":{"user":"svc"},"Login":{"user":"alice@acme.com"}}"#, NameTwice),
        (r#"{"login":{"user":["svc"]}}"#, NameMalformed),
        (r#"{"login":{"user":null}}"#, NameMalformed),
        (r#"{"login":{"user":"a\u0000"}}"#, NameMalformed),
        (r#"{"login":{"user":"\ud800"}}"#, Malformed),
        (r#"{"login":{}}"#, NameMissing),
        (r#"{"login":"user"}"#, NameMissing),
        (r#"{"login":{"user":"svc"}} {}"#, Malformed),
        ("\u{feff}{\"login\":{\"user\":\"svc\"}}", Malformed),
        ("", Malformed),
    ] {
        assert_eq!(json(body), Err(why), "{body}");
    }
    let rule = UserNameAt::Json(vec!["user".to_owned()]);
    assert_eq!(judge(&rule, Some("user=alice@acme.com"), br#"{"user":"svc"}"#), Err(NameTwice));
    assert!(judge(&rule, Some("tenant=1"), br#"{"user":"svc"}"#).is_ok());
}

#[test]
fn only_the_content_type_of_the_rule_goes_on() {
    let rules = [UserNameAt::Form("u".to_owned()), UserNameAt::Json(vec!["u".to_owned()])];
    let check = |rule: &UserNameAt, kinds: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for kind in kinds {
            headers.append(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        check_head(rule, &headers)
    };
    let good = [
        ["application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded ; charset=UTF-8"],
        ["application/json", "application/json;charset=\"utf-8\";"],
    ];
    for (rule, good) in rules.iter().zip(good) {
        for kind in good {
            assert_eq!(check(rule, &[kind]), Ok(()), "{kind}");
            assert_eq!(check(rule, &[kind, kind]), Err(Refused::ContentType), "twice");
        }
        for kind in [
            "text/plain",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencoded; charset=ibm037",
            "application/json; charset=utf-16",
            "application/json, application/x-www-form-urlencoded",
            "application/vnd.api+json",
            "",
        ] {
            assert_eq!(check(rule, &[kind]), Err(Refused::ContentType), "{kind}");
        }
        assert_eq!(check(rule, &[]), Err(Refused::ContentType));
    }
    let [rule, _] = &rules;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    assert_eq!(check_head(rule, &headers), Err(Refused::Encoding));
}

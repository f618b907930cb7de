use std::time::Duration;

use super::*;
use crate::config::{Assertion, CustomHeader};
use crate::identity::Identity;
use crate::identity::tests::alice;
use proptest::prelude::*;

fn config(presets: &[HeaderPreset], custom: Vec<(&'static str, Vec<TemplatePart>)>) -> config::Identity {
    config::Identity {
        presets: presets.to_vec(),
        custom: custom
            .into_iter()
            .map(|(name, value)| CustomHeader { name: HeaderName::from_static(name), value })
            .collect(),
        assertion: Some(Assertion { header: HeaderName::from_static("x-proof"), lifetime: Duration::from_secs(60) }),
    }
}

fn sent(plan: &HeaderPlan, identity: &Identity) -> HeaderMap {
    let mut headers = HeaderMap::new();
    plan.ready(identity, AuthMethod::Oidc).unwrap().apply(plan, &mut headers).unwrap();
    headers
}

fn listed(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<_> = headers.iter().map(|(k, v)| format!("{k}: {}", v.to_str().unwrap())).collect();
    lines.sort();
    lines
}

fn decoded(value: &HeaderValue) -> String {
    percent_encoding::percent_decode(value.as_bytes()).decode_utf8().unwrap().into_owned()
}

#[test]
fn each_preset_sends_its_family_beside_our_own_headers() {
    let own = ["x-anteroom-auth: oidc", "x-anteroom-connector: acme-entra", "x-anteroom-role: Admin"];
    let plan = HeaderPlan::new(&config(&[HeaderPreset::XForwarded], vec![]));
    let family = [
        "x-forwarded-email: alice@acme.com",
        "x-forwarded-groups: staff,finance",
        "x-forwarded-preferred-username: alice@acme.com",
        "x-forwarded-user: alice@acme.com",
    ];
    assert_eq!(listed(&sent(&plan, &alice())), [own.as_slice(), &family].concat());
    let plan = HeaderPlan::new(&config(&[HeaderPreset::Remote], vec![]));
    let family = [
        "remote-email: alice@acme.com",
        "remote-groups: staff,finance",
        "remote-name: Alice Example",
        "remote-user: alice@acme.com",
    ];
    assert_eq!(listed(&sent(&plan, &alice())), [family.as_slice(), &own].concat());
    let plan = HeaderPlan::new(&config(&PRESETS, vec![]));
    assert_eq!(sent(&plan, &alice()).len(), 3 + 3 * 4);
    assert_eq!(listed(&sent(&HeaderPlan::new(&config(&[], vec![])), &alice())), own);
    assert_eq!(plan.assertion_header().unwrap(), "x-proof");
}

#[test]
fn custom_headers_mix_text_and_fields_and_replace_a_presets_header() {
    let field = TemplatePart::Field;
    let text = |t: &str| TemplatePart::Text(t.to_owned());
    let custom = vec![
        ("x-mail", vec![field(IdentityField::Name), text(" <"), field(IdentityField::Email), text(">")]),
        ("x-source", vec![text("anteroom 100%\r\n\u{e9}")]),
        ("x-forwarded-user", vec![field(IdentityField::Subject)]),
    ];
    let plan = HeaderPlan::new(&config(&[HeaderPreset::XForwarded], custom));
    let headers = sent(&plan, &alice());
    assert_eq!(headers["x-mail"], "Alice Example <alice@acme.com>");
    assert_eq!(headers["x-source"], "anteroom 100%%0D%0A%C3%A9", "never a raw line break, whoever wrote it");
    assert_eq!(headers["x-forwarded-user"], alice().user_id().to_string().as_str(), "what the assertion calls sub");
    let nameless = sent(&plan, &Identity { name: None, ..alice() });
    assert!(!nameless.contains_key("x-mail"), "half a value is another value");
    assert!(nameless.contains_key("x-source"));
}

#[test]
fn x01_every_identity_header_of_every_family_is_protected_whatever_is_switched_on() {
    let plan = HeaderPlan::new(&config(&[], vec![("x-mail", vec![TemplatePart::Field(IdentityField::Email)])]));
    let spoofed = "X-Forwarded-User X-Forwarded-Email X-Forwarded-Groups X-Forwarded-Preferred-Username \
        X-Forwarded-Access-Token X-Auth-Request-User X-Auth-Request-Access-Token X-Auth-Request-Anything Remote-User \
        Remote-Groups REMOTE-NAME Remote-Email X-Remote-User X-Remote-Group X-WEBAUTH-USER X-Webauth-Role \
        X-Anteroom-Account X-Anteroom-Role X-Anteroom-Properties X-Anteroom-Auth X-Anteroom-Connector \
        X-Anteroom-Assertion X-Anteroom-Future x-mail X-Proof X-authentik-username X-Pomerium-Jwt-Assertion";
    for name in spoofed.split_whitespace() {
        assert!(plan.is_protected(&name.parse().unwrap()), "{name}");
    }
    let honest = "Host Cookie Authorization Accept X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host \
        X-Forwarded-Port X-Request-Id X-Api-Key X-Requested-With X-Auth-Token X-Mail-Id Remote";
    for name in honest.split_whitespace() {
        assert!(!plan.is_protected(&name.parse().unwrap()), "{name}");
    }
    let everything = HeaderPlan::new(&config(&PRESETS, vec![("x-mail", vec![])]));
    for (name, _) in &everything.by_address.headers {
        assert!(plan.is_protected(name), "{name} is set, so it is protected");
    }
    for name in plan.protected_names().chain([plan.assertion_header().unwrap()]) {
        assert!(plan.is_protected(name), "{name}");
    }
    assert!(plan.protected_prefixes().contains(&"x-anteroom-"));
}

#[test]
fn x03_x11_setting_replaces_every_copy_and_an_absent_value_leaves_none() {
    let plan = HeaderPlan::new(&config(&[HeaderPreset::XForwarded], vec![]));
    let nobody = Identity { preferred_username: None, groups: vec![String::new()], role: None, ..alice() };
    let mut headers = HeaderMap::new();
    for (name, _) in &plan.by_address.headers {
        headers.append(name, HeaderValue::from_static("forged"));
        headers.append(name, HeaderValue::from_static("forged too"));
    }
    headers.append("x-request-id", HeaderValue::from_static("kept"));
    plan.ready(&nobody, AuthMethod::Adopted).unwrap().apply(&plan, &mut headers).unwrap();
    let expected = [
        "x-anteroom-auth: adopted",
        "x-anteroom-connector: acme-entra",
        "x-forwarded-email: alice@acme.com",
        "x-forwarded-user: alice@acme.com",
        "x-request-id: kept",
    ];
    assert_eq!(listed(&headers), expected);
}

/// The same before and after adoption, whatever else is known of the person.
#[test]
fn the_user_is_the_applications_own_id_where_that_is_known() {
    let mixed = vec![TemplatePart::Field(IdentityField::User), TemplatePart::Text("/".to_owned())];
    let subject = vec![TemplatePart::Field(IdentityField::Subject)];
    let plan = HeaderPlan::new(&config(&PRESETS, vec![("x-mixed", mixed), ("x-subject", subject)]));
    let alice = alice();
    let user = uuid::Uuid::from_u128(7);
    let who = |native_user| Person { identity: &alice, user, native_user };
    let sent = |native_user| {
        let mut headers = HeaderMap::new();
        plan.ready(who(native_user), AuthMethod::Saml).unwrap().apply(&plan, &mut headers).unwrap();
        headers
    };
    let (known, unknown) = (sent(Some("4,2 %")), sent(None));
    for name in ["x-forwarded-user", "x-auth-request-user", "remote-user"] {
        assert_eq!(
            (known[name].to_str().unwrap(), unknown[name].to_str().unwrap()),
            ("4,2 %25", "alice@acme.com"),
            "{name}"
        );
    }
    assert_eq!(
        (&known["x-mixed"], &unknown["x-mixed"]),
        (&HeaderValue::from_static("4,2 %25/"), &HeaderValue::from_static("alice@acme.com/"))
    );
    for name in ["x-forwarded-email", "remote-email", "x-subject", "x-anteroom-role"] {
        assert_eq!(known[name], unknown[name], "{name}");
    }
    assert_eq!(known["x-subject"], user.to_string().as_str());
    assert_eq!(known.len(), unknown.len());
    plan.ready(who(Some(&"x".repeat(MAX_VALUE + 1))), AuthMethod::Saml).unwrap_err();
}

#[test]
fn values_of_another_plan_are_never_sent_under_this_ones_names() {
    let before = HeaderPlan::new(&config(&[HeaderPreset::XForwarded], vec![]));
    let after = HeaderPlan::new(&config(&[HeaderPreset::Remote], vec![]));
    let ready = before.ready(&alice(), AuthMethod::Oidc).unwrap();
    for ready in [ready, ReadyHeaders::default()] {
        let mut headers = HeaderMap::new();
        headers.append("remote-user", HeaderValue::from_static("forged"));
        assert_eq!(ready.apply(&after, &mut headers), Err(OtherPlan));
        assert!(headers.is_empty());
    }
    let same = HeaderPlan::new(&config(&[HeaderPreset::Remote], vec![]));
    let ready = after.ready(&alice(), AuthMethod::Oidc).unwrap();
    assert_eq!(ready.apply(&same, &mut HeaderMap::new()), Ok(()), "a reload that changes nothing keeps them");
}

#[test]
fn x09_control_bytes_and_other_scripts_are_encoded_and_ends_keep_their_spaces() {
    let plan = HeaderPlan::new(&config(&[HeaderPreset::Remote], vec![]));
    for (name, expected) in [
        ("a\r\nX-Anteroom-Role: EnterpriseAdmin", "a%0D%0AX-Anteroom-Role: EnterpriseAdmin"),
        ("nul\0 tab\t del\x7f", "nul%00 tab%09 del%7F"),
        ("Zo\u{eb} \u{1f600}", "Zo%C3%AB %F0%9F%98%80"),
        ("100%, \"sure\"", "100%25, \"sure\""),
        (" admin ", "%20admin%20"),
        ("  ", "%20%20"),
    ] {
        let headers = sent(&plan, &Identity { name: Some(name.to_owned()), ..alice() });
        assert_eq!(headers["remote-name"], expected);
        assert_eq!(decoded(&headers["remote-name"]), name);
    }
}

#[test]
fn x10_a_group_with_a_comma_stays_one_group() {
    let plan = HeaderPlan::new(&config(&[HeaderPreset::XForwarded], vec![]));
    let groups = ["x,admin", "", " admin", "50%", "%2C", "B\u{fc}ro"].map(str::to_owned).to_vec();
    let headers = sent(&plan, &Identity { groups, ..alice() });
    assert_eq!(headers["x-forwarded-groups"], "x%2Cadmin,%20admin,50%25,%252C,B%C3%BCro");
}

#[test]
fn x09_a_value_over_8_kb_refuses_the_sign_in_and_one_of_8_kb_arrives_whole() {
    for presets in [&[][..], &[HeaderPreset::Remote]] {
        let plan = HeaderPlan::new(&config(presets, vec![]));
        let named = |n: usize| Identity { name: Some("n".repeat(n)), ..alice() };
        plan.ready(&named(MAX_VALUE), AuthMethod::Oidc).unwrap();
        let error = plan.ready(&named(MAX_VALUE + 1), AuthMethod::Oidc).unwrap_err();
        assert!(error.to_string().contains("Name"), "{error}: measured even if it is not sent");
        let umlauts = Identity { name: Some("\u{fc}".repeat(MAX_VALUE / 6 + 1)), ..alice() };
        plan.ready(&umlauts, AuthMethod::Oidc).unwrap_err();
        let many = Identity { groups: vec!["group".to_owned(); 2000], ..alice() };
        plan.ready(&many, AuthMethod::Oidc).unwrap_err();
    }
    let plan = HeaderPlan::new(&config(&[HeaderPreset::Remote], vec![]));
    let long = Identity { name: Some("n".repeat(MAX_VALUE)), ..alice() };
    assert_eq!(sent(&plan, &long)["remote-name"].len(), MAX_VALUE);
    let twice = vec![TemplatePart::Field(IdentityField::Name); 2];
    let plan = HeaderPlan::new(&config(&[], vec![("x-twice", twice)]));
    assert_eq!(plan.ready(&long, AuthMethod::Oidc).unwrap_err().what, "x-twice");
    let once = |text: &str| vec![TemplatePart::Text(text.to_owned()), TemplatePart::Field(IdentityField::Name)];
    let names = ["x-a", "x-b", "x-c", "x-d", "x-e"];
    let plan = HeaderPlan::new(&config(&[], names.map(|name| (name, once(name))).to_vec()));
    let long = Identity { name: Some("n".repeat(MAX_VALUE - 3)), ..alice() };
    assert_eq!(plan.ready(&long, AuthMethod::Oidc).unwrap_err().what, "values together");
}

#[test]
fn a_session_holds_its_values_in_less_than_200_bytes() {
    let plan = HeaderPlan::new(&config(&[HeaderPreset::XForwarded], vec![]));
    let ready = plan.ready(&alice(), AuthMethod::Oidc).unwrap();
    // What bytes allocates beside the buffer at the first clone: pointer, capacity, count, and the allocator's header.
    let shared = 32;
    let total = size_of::<ReadyHeaders>() + ready.buffer.len() + shared;
    assert!(total <= 200, "{total}");
    assert_eq!(ready.buffer.len(), ready.buffer.to_vec().capacity());
    let mut headers = HeaderMap::new();
    ready.apply(&plan, &mut headers).unwrap();
    assert_eq!(headers["x-forwarded-user"].as_bytes().as_ptr(), headers["x-forwarded-email"].as_bytes().as_ptr());
}

proptest! {
    #[test]
    fn x09_any_claim_arrives_as_it_was_or_not_at_all(name in any::<String>(), groups in prop::collection::vec(any::<String>(), 0..6)) {
        let plan = HeaderPlan::new(&config(&[HeaderPreset::Remote], vec![]));
        let headers = sent(&plan, &Identity { name: Some(name.clone()), groups: groups.clone(), ..alice() });
        for value in headers.values() {
            prop_assert!(value.as_bytes().iter().all(|b| (0x20..=0x7e).contains(b)));
            prop_assert_eq!(value.as_bytes().trim_ascii(), value.as_bytes());
        }
        prop_assert_eq!(headers.get("remote-name").map(decoded), Some(name).filter(|n| !n.is_empty()));
        let arrived = headers.get("remote-groups").map_or(vec![], |v| {
            v.to_str().unwrap().split(',').map(|g| decoded(&HeaderValue::from_str(g).unwrap())).collect()
        });
        prop_assert_eq!(arrived, groups.into_iter().filter(|g| !g.is_empty()).collect::<Vec<_>>());
    }
}

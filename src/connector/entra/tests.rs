use serde_json::json;

use super::*;
use crate::connector::oidc::fixture::with;

const TENANT: &str = "11111111-2222-4333-8444-555555555555";
const OTHER: &str = "99999999-2222-4333-8444-555555555555";
const OBJECT: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
const HOST: &str = "https://login.microsoftonline.com";

fn issuer(tenant: &str) -> String {
    format!("{HOST}/{tenant}/v2.0")
}

fn authority(tenant: &str, allowed: &[&str]) -> Authority {
    let allowed: Vec<String> = allowed.iter().map(|t| (*t).to_owned()).collect();
    Authority::new(&issuer(tenant).parse().unwrap(), tenant, &allowed)
}

fn claims() -> Value {
    json!({ "iss": issuer(TENANT), "tid": TENANT, "oid": OBJECT, "preferred_username": "ann@acme.com" })
}

fn check(authority: &Authority, document: &str, iss: &str, claims: &Value) -> Result<(), &'static str> {
    authority.check_issuer(document, iss, claims.as_object().unwrap()).map_err(|e| e.reason())
}

#[test]
fn the_documents_issuer_fits_the_authority_o34() {
    let accepts = |authority: &Authority, found: &str| authority.accepts_document(found).map_err(|e| e.reason());
    let single = authority(TENANT, &[]);
    assert_eq!(accepts(&single, &issuer(TENANT)), Ok(()));
    for bad in [
        issuer(OTHER),
        issuer(TEMPLATE),
        format!("{HOST}/{TENANT}/v2.0/"),
        format!("https://sts.windows.net/{TENANT}/"),
        issuer("a/b"),
        issuer(""),
    ] {
        assert_eq!(accepts(&single, &bad), Err("idp_config_rejected"), "{bad}");
    }
    let common = authority("common", &[TENANT]);
    assert_eq!(accepts(&common, &issuer(TEMPLATE)), Ok(()));
    assert_eq!(accepts(&common, &issuer(TENANT)), Err("idp_config_rejected"));
    let domain = authority("acme.com", &[]);
    assert_eq!(accepts(&domain, &issuer(TENANT)), Ok(()));
    assert_eq!(accepts(&domain, &issuer("acme.com")), Err("idp_config_rejected"));
    assert_eq!(accepts(&domain, &issuer(TEMPLATE)), Err("idp_config_rejected"));
}

#[test]
fn the_issuer_is_bound_to_the_tokens_own_tenant_i02() {
    let common = authority("common", &[TENANT, OTHER]);
    let document = issuer(TEMPLATE);
    assert_eq!(check(&common, &document, &issuer(TENANT), &claims()), Ok(()));
    let tid = |tid: &str| with(claims(), "tid", json!(tid));
    assert_eq!(check(&common, &document, &issuer(TENANT), &tid(OTHER)), Err("tenant_mismatch"));
    assert_eq!(check(&common, &document, &issuer(TEMPLATE), &claims()), Err("tenant_mismatch"));
    assert_eq!(check(&common, &document, &issuer(TEMPLATE), &tid(TEMPLATE)), Err("tenant_mismatch"));
    let v1 = format!("https://sts.windows.net/{TENANT}/");
    assert_eq!(check(&common, &document, &v1, &claims()), Err("tenant_mismatch"));
    let consumer = authority("common", &[CONSUMERS]);
    assert_eq!(check(&consumer, &document, &issuer(CONSUMERS), &tid(CONSUMERS)), Err("tenant_mismatch"));
    assert_eq!(check(&common, &document, &issuer("x"), &tid("x")), Err("tenant_mismatch"));
    assert_eq!(check(&common, &document, &issuer(TENANT), &with(claims(), "tid", Value::Null)), Err("claim_missing"));
}

#[test]
fn an_issuer_of_no_tenant_is_another_issuer_o01() {
    let single = authority(TENANT, &[]);
    let document = issuer(TENANT);
    assert_eq!(check(&single, &document, &document, &claims()), Ok(()));
    for bad in [
        format!("{document}/"),
        document.replace("https", "http"),
        document.replace("login", "evil"),
        document.replace("v2.0", "V2.0"),
    ] {
        assert_eq!(check(&single, &document, &bad, &claims()), Err("iss_mismatch"), "{bad}");
    }
    let foreign = with(claims(), "tid", json!(OTHER));
    assert_eq!(check(&single, &document, &issuer(OTHER), &foreign), Err("tenant_mismatch"));
    assert_eq!(check(&single, &document, &document, &foreign), Err("tenant_mismatch"));
}

#[test]
fn only_listed_tenants_sign_in_i01() {
    let document = issuer(TEMPLATE);
    let common = authority("organizations", &[TENANT]);
    let foreign = with(claims(), "tid", json!(OTHER));
    assert_eq!(check(&common, &document, &issuer(TENANT), &claims()), Ok(()));
    assert_eq!(check(&common, &document, &issuer(OTHER), &foreign), Err("tenant_not_allowed"));
    let nobody = authority("common", &[]);
    assert_eq!(check(&nobody, &document, &issuer(TENANT), &claims()), Err("tenant_not_allowed"));
}

#[test]
fn a_tenant_given_by_domain_is_learnt_from_the_document() {
    let domain = authority("acme.com", &[]);
    let document = issuer(TENANT);
    assert_eq!(check(&domain, &document, &document, &claims()), Ok(()));
    assert!(domain.is_single_tenant(&document));
    let foreign = with(claims(), "tid", json!(OTHER));
    assert_eq!(check(&domain, &document, &issuer(OTHER), &foreign), Err("tenant_mismatch"));
    let listed = authority("acme.com", &[OTHER]);
    assert_eq!(check(&listed, &document, &document, &claims()), Err("tenant_not_allowed"));
}

#[test]
fn a_callback_may_come_from_an_allowed_tenant_only_o20() {
    let common = authority("common", &[TENANT]);
    let document = issuer(TEMPLATE);
    assert!(common.is_callback_issuer(&document, &issuer(TENANT)));
    assert!(!common.is_callback_issuer(&document, &issuer(OTHER)));
    assert!(!common.is_callback_issuer(&document, "https://idp.example.com"));
}

#[test]
fn the_subject_is_tenant_and_object() {
    let of = |claims: &Value| subject(claims.as_object().unwrap()).map_err(|e| e.reason());
    assert_eq!(of(&claims()), Ok(format!("{TENANT}.{OBJECT}")));
    assert_eq!(of(&with(claims(), "oid", Value::Null)), Err("claim_missing"));
    assert_eq!(of(&with(claims(), "oid", json!("x.y"))), Err("sub_invalid"));
}

fn address_of(claims: &Value, single: bool, claim: Option<&str>) -> Result<Option<String>, &'static str> {
    let found = address(claims.as_object().unwrap(), single, claim).map_err(|e| e.reason())?;
    Ok(found.map(|v| v.as_str().unwrap().to_owned()))
}

#[test]
fn a_members_user_name_is_verified_in_a_single_tenant_alone() {
    assert_eq!(address_of(&claims(), true, None), Ok(Some("ann@acme.com".into())));
    let upn = with(claims(), "upn", json!("ann2@acme.com"));
    assert_eq!(address_of(&upn, true, None), Ok(Some("ann2@acme.com".into())));
    assert_eq!(address_of(&upn, true, Some("preferred_username")), Ok(Some("ann@acme.com".into())));
    assert_eq!(address_of(&with(claims(), "acct", json!(0)), true, None), Ok(Some("ann@acme.com".into())));
    assert_eq!(address_of(&with(claims(), "idp", json!(issuer(TENANT))), true, None), Ok(Some("ann@acme.com".into())));
    assert_eq!(address_of(&claims(), false, None), Ok(None), "several tenants");
    assert_eq!(address_of(&claims(), false, Some("upn")), Err("email_unverified"));
}

#[test]
fn a_guests_address_needs_a_verified_domain_i03() {
    for guest in [
        with(claims(), "acct", json!(1)),
        with(claims(), "acct", json!("1")),
        with(claims(), "idp", json!("live.com")),
        with(claims(), "preferred_username", json!("ann_b.com#EXT#@acme.onmicrosoft.com")),
        with(claims(), "upn", json!("ann_b.com#ext#@acme.onmicrosoft.com")),
    ] {
        assert_eq!(address_of(&guest, true, None), Ok(None), "{guest}");
        let mut with_email = with(guest, "email", json!("victim@acme.com"));
        assert_eq!(address_of(&with_email, true, None), Err("email_unverified"));
        for no in [json!(false), json!(0), json!("0"), json!("false"), json!([true])] {
            with_email["xms_edov"] = no.clone();
            assert_eq!(address_of(&with_email, true, None), Err("email_unverified"), "{no}");
        }
        for yes in [json!(true), json!(1), json!("1"), json!("true")] {
            with_email["xms_edov"] = yes;
            assert_eq!(address_of(&with_email, true, None), Ok(Some("victim@acme.com".into())));
        }
    }
}

#[test]
fn a_claim_that_entra_does_not_verify_is_no_address() {
    let mut set = with(claims(), "mail", json!("victim@acme.com"));
    set["xms_edov"] = json!(true);
    assert_eq!(address_of(&set, true, Some("mail")), Err("email_unverified"));
}

/// O41
#[test]
fn a_link_may_name_a_tenant_in_each_of_its_forms() {
    let upper = TENANT.to_ascii_uppercase();
    let forms = |tenant: &str| {
        [
            issuer(tenant),
            format!("{HOST}/{tenant}"),
            format!("{HOST}/{tenant}/"),
            format!("{HOST}/{tenant}/v2.0/"),
            format!("https://sts.windows.net/{tenant}/"),
        ]
    };
    let common = authority("common", &[TENANT]);
    for authority in [&authority(TENANT, &[]), &common] {
        for iss in forms(TENANT).iter().chain(&forms(&upper)) {
            assert!(authority.names_tenant(None, iss), "{iss}");
        }
        for iss in forms(OTHER).into_iter().chain([
            String::new(),
            format!("{HOST}/"),
            format!("{HOST}.evil.example/{TENANT}/v2.0"),
            format!("{HOST}/{TENANT}/{OTHER}"),
            format!("http://sts.windows.net/{TENANT}/"),
        ]) {
            assert!(!authority.names_tenant(None, &iss), "{iss}");
        }
    }
    let domain = authority("acme.com", &[]);
    assert!(!domain.names_tenant(None, &issuer(TENANT)), "nobody has said its id yet");
    assert!(domain.names_tenant(Some(&issuer(TENANT)), &issuer(TENANT)));
    assert!(!domain.names_tenant(Some(&issuer(TENANT)), &issuer(OTHER)));
}

//! Microsoft Entra ID: whose people, and under which address.

use super::*;

#[test]
fn entra_names_the_same_person_over_both_protocols() {
    let saml = Setup::entra().read(&assertion(&entra())).unwrap().attributes.subject;
    let claims = json!({ "tid": TENANT, "oid": OBJECT });
    assert_eq!(saml, crate::connector::entra::subject(claims.as_object().unwrap()).unwrap());
}

#[test]
fn only_the_tenant_whose_keys_signed_and_that_may_sign_in_does_i01_i02() {
    let honest = assertion(&entra());
    let mut setup = Setup::entra();
    assert_eq!(setup.why(&honest), "accepted");
    let of = |tenant: &str| with(honest.clone(), presets::TENANT, &[tenant]);
    assert_eq!(setup.why(&of(OTHER)), "tenant_mismatch");
    assert_eq!(setup.why(&of("acme")), "tenant_mismatch");
    assert_eq!(setup.why(&without(honest.clone(), &[presets::TENANT])), "saml_subject");
    assert_eq!(setup.why(&with(honest.clone(), presets::TENANT, &[TENANT, OTHER])), "saml_attribute_ambiguous");

    setup.preset = SamlPreset::Entra { allowed_tenants: vec![OTHER.into()] };
    assert_eq!(setup.why(&honest), "tenant_not_allowed");
    setup.preset = SamlPreset::Entra { allowed_tenants: vec![OTHER.into(), TENANT.into()] };
    assert_eq!(setup.why(&honest), "accepted");
    assert_eq!(setup.why(&of(OTHER)), "tenant_mismatch", "allowed, but signed by another");

    // An issuer of the application's own names no tenant: then the operator has to.
    setup.idp = "urn:acme:entra".into();
    assert_eq!(setup.why(&honest), "accepted");
    setup.preset = SamlPreset::Entra { allowed_tenants: Vec::new() };
    assert_eq!(setup.why(&honest), "tenant_not_allowed");
    setup.idp = format!("{}{OBJECT}", sts(TENANT));
    assert_eq!(setup.why(&honest), "accepted", "with the application's id behind the tenant");

    // A tenant's id in the path of somebody else's host is nobody's word for the tenant.
    setup.idp = format!("https://evil.example/{TENANT}/");
    assert_eq!(setup.why(&honest), "tenant_not_allowed");
    setup.idp = format!("https://login.microsoftonline.us/{TENANT}/");
    assert_eq!(setup.why(&honest), "accepted", "another of Microsoft's clouds");

    setup = Setup { idp: sts(CONSUMERS), ..Setup::entra() };
    assert_eq!(setup.why(&of(CONSUMERS)), "tenant_mismatch", "nobody's organisation");
}

#[test]
fn a_guest_of_the_tenant_has_no_address_here_i03() {
    let honest = assertion(&entra());
    let setup = Setup::entra();
    for idp in ["live.com", "google.com", "mail", &sts(OTHER)] {
        let guest = with(honest.clone(), presets::IDENTITY_PROVIDER, &[idp]);
        assert_eq!(setup.why(&guest), "email_unverified", "{idp}");
    }
    let forged = with(honest.clone(), presets::IDENTITY_PROVIDER, &[&format!("https://evil.example/{TENANT}/")]);
    assert_eq!(setup.why(&forged), "email_unverified", "the tenant's id on a host that is not Microsoft's");
    let external = "ann_acme.de#EXT#@acme.com";
    assert_eq!(setup.why(&with(honest.clone(), presets::NAME, &[external])), "email_unverified");
    assert_eq!(setup.why(&also(honest.clone(), presets::UPN, &[external])), "email_unverified");
    assert_eq!(setup.why(&named(honest.clone(), None, &external.to_lowercase())), "email_unverified");
    let silent = without(honest, &[presets::IDENTITY_PROVIDER]);
    assert_eq!(setup.why(&silent), "accepted", "as over OpenID Connect");
}

#[test]
fn entras_user_principal_name_comes_before_the_mailbox_r3() {
    let honest = assertion(&entra());
    let mut setup = Setup::entra();
    let upn = also(honest.clone(), presets::UPN, &["ann.upn@acme.com"]);
    assert_eq!(setup.email(&upn), Ok("ann.upn@acme.com".into()));
    let display = with(honest.clone(), presets::NAME, &["Ann Example"]);
    assert_eq!(setup.email(&display), Ok("ann.example@acme.com".into()), "no user principal name any more");
    let neither = without(honest.clone(), &[presets::NAME, EMAIL_CLAIM]);
    assert_eq!(setup.email(&neither), Ok("ann@acme.com".into()), "the NameID");
    setup.names.email = owned(&[EMAIL_CLAIM]);
    assert_eq!(setup.email(&honest), Ok("ann.example@acme.com".into()));
}

#[test]
fn entras_object_id_is_one() {
    let setup = Setup::entra();
    assert_eq!(setup.why(&with(assertion(&entra()), presets::OBJECT, &["ann"])), "sub_invalid");
    assert_eq!(setup.why(&without(assertion(&entra()), &[presets::OBJECT])), "saml_subject");
}

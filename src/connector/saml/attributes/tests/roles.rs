//! Who is an administrator of the application: whom an administrator of the provider made one for it.

use super::*;

#[test]
fn more_roles_than_any_application_has_are_none() {
    let okta = Setup::of(SamlPreset::Okta);
    let role = |roles: &[&str]| okta.read(&with(assertion(OKTA), "roles", roles)).unwrap().attributes.role;
    assert_eq!(role(&["User", "admin", "root"]), Some(Role::User), "case counts");
    let many: Vec<String> = (0..MAX_ROLES).map(|i| format!("r{i}")).chain([String::from("Admin")]).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(role(&many), None);
    assert_eq!(role(&many[1..]), Some(Role::Admin));
}

/// Attributes that people edit themselves, and roles of other applications, are in none of the defaults.
#[test]
fn only_what_the_preset_documents_or_the_operator_names_is_a_role_i12() {
    const WINDOWS: &str = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role";
    const ENTITLEMENT: &str = "urn:oid:1.3.6.1.4.1.5923.1.1.1.7";
    let names = ["role", "roles", "Role", "Roles", WINDOWS, ENTITLEMENT, "eduPersonEntitlement", "groups", "memberOf"];
    let okta: &[&str] = &["roles", "role"];
    for (preset, xml, documented) in [
        (SamlPreset::Entra { allowed_tenants: Vec::new() }, entra(), &[WINDOWS][..]),
        (hosted(&["acme.com"]), GOOGLE.to_owned(), &["role", "roles"]),
        (SamlPreset::Okta, OKTA.to_owned(), okta),
        (SamlPreset::Adfs, ADFS.to_owned(), &[WINDOWS]),
        (SamlPreset::Keycloak, KEYCLOAK.to_owned(), &[]),
        (SamlPreset::Shibboleth, SHIBBOLETH.to_owned(), &[]),
        (SamlPreset::Generic, OKTA.to_owned(), &[]),
    ] {
        let mut setup = Setup::of(preset.clone());
        let bare = without(assertion(&xml), &names);
        for name in names {
            let said = also(bare.clone(), name, &["Admin"]);
            let role = setup.read(&said).unwrap().attributes.role;
            assert_eq!(role, documented.contains(&name).then_some(Role::Admin), "{preset:?} {name}");
            setup.names.roles = owned(&[name]);
            assert_eq!(setup.read(&said).unwrap().attributes.role, Some(Role::Admin), "{preset:?} {name} is named");
            setup.names.roles.clear();
        }
    }
}

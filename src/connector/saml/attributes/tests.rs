use serde_json::json;

use super::fixtures::{ADFS, GOOGLE, KEYCLOAK, OBJECT, OKTA, SHIBBOLETH, TENANT, assertion, entra};
use super::*;
use crate::connector::entra::CONSUMERS;
use crate::connector::saml::types::Attribute;

mod entra;
mod roles;
mod subject;

const OTHER: &str = "99999999-2222-4333-8444-555555555555";
const EMAIL_CLAIM: &str = presets::EMAIL_ADDRESS;

fn sts(tenant: &str) -> String {
    format!("https://sts.windows.net/{tenant}/")
}

/// A connector for the people of acme.com.
struct Setup {
    preset: SamlPreset,
    names: AttributeNames,
    idp: String,
}

impl Setup {
    fn of(preset: SamlPreset) -> Self {
        Self { preset, names: AttributeNames::default(), idp: sts(TENANT) }
    }

    fn entra() -> Self {
        Self::of(SamlPreset::Entra { allowed_tenants: Vec::new() })
    }

    fn read(&self, assertion: &Assertion) -> Result<Person, ProviderError> {
        let domains = ["acme.com".parse().unwrap(), "acme.de".parse().unwrap()];
        let reader = Reader { preset: &self.preset, names: &self.names, domains: &domains, idp_entity_id: &self.idp };
        reader.read(assertion)
    }

    fn why(&self, assertion: &Assertion) -> &'static str {
        self.read(assertion).err().map_or("accepted", |e| e.reason())
    }

    fn email(&self, assertion: &Assertion) -> Result<String, &'static str> {
        self.read(assertion).map(|person| person.attributes.email.to_string()).map_err(|e| e.reason())
    }
}

/// `assertion` with these values of `name` and no others.
fn with(mut assertion: Assertion, name: &str, values: &[&str]) -> Assertion {
    assertion.attributes.retain(|attribute| attribute.name != name);
    also(assertion, name, values)
}

/// `assertion` with one attribute more.
fn also(mut assertion: Assertion, name: &str, values: &[&str]) -> Assertion {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    assertion.attributes.push(Attribute { name: name.into(), friendly_name: None, values });
    assertion
}

fn without(mut assertion: Assertion, names: &[&str]) -> Assertion {
    assertion.attributes.retain(|attribute| !names.contains(&attribute.name.as_str()));
    assertion
}

fn named(mut assertion: Assertion, format: Option<&str>, value: &str) -> Assertion {
    (assertion.name_id.format, assertion.name_id.value) = (format.map(str::to_owned), value.to_owned());
    assertion
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

const fn google() -> SamlPreset {
    SamlPreset::Google { hosted_domains: Vec::new() }
}

fn hosted(domains: &[&str]) -> SamlPreset {
    SamlPreset::Google { hosted_domains: domains.iter().map(|domain| domain.parse().unwrap()).collect() }
}

/// What a product sends, and subject, user name, groups and role that are read from it.
type Expected<'a> = (SamlPreset, &'a str, &'a str, Option<&'a str>, &'a [&'a str], Option<Role>);

#[test]
fn what_each_product_sends_by_default_is_a_person() {
    let entra = entra();
    let all: [Expected<'_>; 7] = [
        (
            SamlPreset::Entra { allowed_tenants: Vec::new() },
            &entra,
            "11111111-2222-4333-8444-555555555555.aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
            Some("ann@acme.com"),
            &["0a000000-0000-4000-8000-000000000001", "0a000000-0000-4000-8000-000000000002"],
            Some(Role::Admin),
        ),
        (hosted(&["acme.com"]), GOOGLE, "ann@acme.com", None, &["Staff", "Finance"], None),
        (SamlPreset::Okta, OKTA, "ann.example", Some("ann.example"), &["Everyone", "Finance"], None),
        // `ann@corp.acme.local` is somebody's address that no domain of the connector vouches for.
        (SamlPreset::Adfs, ADFS, "ann@acme.com", None, &["Domain Users", "Finance"], Some(Role::Admin)),
        (SamlPreset::Keycloak, KEYCLOAK, "G-3e1c8f0a-0000-4000-8000-000000000001", None, &["/staff", "/finance"], None),
        (
            SamlPreset::Shibboleth,
            SHIBBOLETH,
            "0f3c9a@acme.com",
            Some("aexample@acme.com"),
            &["urn:mace:acme.com:staff"],
            None,
        ),
        (SamlPreset::Generic, OKTA, "ann.example", Some("ann.example"), &["Everyone", "Finance"], None),
    ];
    for (preset, xml, subject, username, groups, role) in all {
        let person = Setup::of(preset.clone()).read(&assertion(xml)).unwrap();
        let read = &person.attributes;
        assert_eq!(read.subject, subject, "{preset:?}");
        assert_eq!(read.email.as_str(), "ann@acme.com", "{preset:?}");
        assert_eq!(read.name.as_deref(), Some("Ann Example"), "{preset:?}");
        assert_eq!(read.preferred_username.as_deref(), username, "{preset:?}");
        assert_eq!(person.groups, groups, "{preset:?}");
        assert_eq!(read.role, role, "{preset:?}");
    }
}

#[test]
fn the_operators_names_stand_over_the_presets() {
    let xml = assertion(OKTA);
    let xml = also(xml, "workMail", &["ann.work@acme.com"]);
    let xml = also(also(xml, "nick", &["annie"]), "team", &["blue"]);
    let xml = also(also(xml, "level", &["EnterpriseAdmin"]), "personnelNumber", &["4711"]);
    let mut setup = Setup::of(SamlPreset::Okta);
    setup.names = AttributeNames {
        email: owned(&["absent", "workMail"]),
        name: owned(&["nick"]),
        preferred_username: owned(&["nick"]),
        groups: owned(&["team"]),
        roles: owned(&["level"]),
        subject: Some("personnelNumber".into()),
    };
    let person = setup.read(&xml).unwrap();
    let Attributes { subject, email, preferred_username, name, role } = person.attributes;
    assert_eq!((subject.as_str(), email.as_str()), ("4711", "ann.work@acme.com"));
    assert_eq!((preferred_username.as_deref(), name.as_deref()), (Some("annie"), Some("annie")));
    assert_eq!((person.groups, role), (owned(&["blue"]), Some(Role::EnterpriseAdmin)));

    // Of groups and roles all that are named, together.
    let xml = also(also(xml, "crew", &["green", "blue"]), "rank", &["User"]);
    (setup.names.groups, setup.names.roles) = (owned(&["absent", "crew", "team"]), owned(&["rank", "level"]));
    let person = setup.read(&xml).unwrap();
    assert_eq!((person.groups, person.attributes.role), (owned(&["green", "blue"]), Some(Role::EnterpriseAdmin)));

    // And nothing else then: an address from elsewhere would be one that the operator did not choose.
    setup.names.email = owned(&["absent"]);
    assert_eq!(setup.why(&xml), "email_missing");
    setup.names.email = owned(&["NameID"]);
    assert_eq!(setup.email(&named(xml, Some("urn:x"), "ann@acme.de")), Ok("ann@acme.de".into()));
}

#[test]
fn a_missing_address_names_the_attributes_that_arrived_and_no_value() {
    let xml = without(assertion(OKTA), &["email"]);
    let error = Setup::of(SamlPreset::Okta).read(&xml).err().unwrap();
    assert_eq!(error.reason(), "email_missing");
    assert_eq!(error.arrived(), ["firstName", "groups", "lastName", "login"]);
    let (expected, found) = error.detail().unwrap();
    assert!(expected.starts_with("email or Email or mail"), "{expected}");
    assert_eq!(found, "firstName groups lastName login");
    assert!(!format!("{error:?}").contains("Ann"));
    let nothing = Assertion { attributes: Vec::new(), ..xml };
    let error = Setup::of(SamlPreset::Okta).read(&nothing).err().unwrap();
    assert_eq!(error.detail().unwrap().1, "no attributes");
    // An attribute without a value is none.
    assert_eq!(Setup::of(SamlPreset::Okta).why(&with(assertion(OKTA), "email", &["", " \n"])), "email_missing");
}

#[test]
fn a_name_counts_as_an_address_only_where_the_preset_says_so() {
    const EMAIL: Option<&str> = Some("urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress");
    const UNSPECIFIED: Option<&str> = Some("urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified");
    const PERSISTENT: Option<&str> = Some("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent");
    let bare = Assertion { attributes: Vec::new(), ..assertion(OKTA) };
    for preset in
        [SamlPreset::Okta, SamlPreset::Adfs, SamlPreset::Keycloak, SamlPreset::Shibboleth, SamlPreset::Generic]
    {
        let mut setup = Setup::of(preset);
        setup.names.subject = Some("NameID".into());
        assert_eq!(setup.email(&named(bare.clone(), EMAIL, "ann@acme.com")), Ok("ann@acme.com".into()));
        for format in [UNSPECIFIED, PERSISTENT, None] {
            assert_eq!(setup.why(&named(bare.clone(), format, "ann@acme.com")), "email_missing", "{format:?}");
        }
    }
    let google = Setup::of(hosted(&["acme.com"]));
    for format in [EMAIL, UNSPECIFIED, None] {
        assert_eq!(google.email(&named(bare.clone(), format, "ann@acme.com")), Ok("ann@acme.com".into()));
    }
    assert_eq!(google.why(&named(bare.clone(), PERSISTENT, "ann@acme.com")), "email_missing");
    // The attribute comes first.
    let both = also(named(bare, EMAIL, "ann@acme.com"), "email", &["a.example@acme.com"]);
    assert_eq!(google.email(&both), Ok("a.example@acme.com".into()));
}

#[test]
fn an_address_is_one_and_of_the_connectors_domains_i08_i12() {
    let setup = Setup::of(SamlPreset::Okta);
    for (value, want) in [
        (" ann@acme.com\n", Ok("ann@acme.com")),
        ("ann@ACME.de", Ok("ann@acme.de")),
        ("ann@evil.com", Err("domain_not_allowed")),
        ("ann@sub.acme.com", Err("domain_not_allowed")),
        ("ann@acme.com.evil.com", Err("domain_not_allowed")),
        ("Ann Example", Err("email_invalid")),
        ("ann@acme.com ann@evil.com", Err("email_invalid")),
        ("\"ann@acme.com\"@evil.com", Err("email_invalid")),
        ("Ann <ann@acme.com>", Err("email_invalid")),
        // To the provider another address than Ann's, so that she has to be asked for nothing.
        ("ann@acme.com\u{a0}", Err("email_invalid")),
        ("\u{2003}ann@acme.com", Err("email_invalid")),
    ] {
        let found = setup.email(&with(assertion(OKTA), "email", &[value]));
        assert_eq!(found.as_deref().map_err(|e| *e), want, "{value}");
    }
    let error = setup.read(&with(assertion(OKTA), "email", &["ann@evil.com"])).err().unwrap();
    assert_eq!(error.address().unwrap().as_str(), "ann@evil.com");
    assert_eq!(error.detail(), Some(("acme.com acme.de", "evil.com")));
}

/// S09: a blank that the provider counts is not cut off, or two of its people would be one here.
#[test]
fn only_white_space_of_the_layout_is_not_part_of_a_name_s09() {
    let setup = Setup::of(SamlPreset::Generic);
    let mail = || with(assertion(OKTA), "email", &["ann@acme.com"]);
    let subject = |name: &str| setup.read(&named(mail(), None, name)).map(|person| person.attributes.subject);
    assert_eq!(subject("\r\n\t ann \n").unwrap(), "ann");
    for other in ["ann\u{a0}", "\u{3000}ann", "ann\u{2028}"] {
        assert_eq!(subject(other).unwrap(), other);
    }
}

#[test]
fn a_single_value_given_twice_with_different_values_is_refused_s25() {
    let setup = Setup::of(SamlPreset::Okta);
    let mut by_personnel = Setup::of(SamlPreset::Okta);
    by_personnel.names.subject = Some("personnelNumber".into());
    let with_number = also(assertion(OKTA), "personnelNumber", &["4711"]);
    for (setup, honest, name) in [
        (&setup, assertion(OKTA), "email"),
        (&setup, assertion(OKTA), "login"),
        (&setup, also(assertion(OKTA), "displayName", &["Ann"]), "displayName"),
        (&by_personnel, with_number, "personnelNumber"),
    ] {
        let value = honest.attributes.iter().find(|a| a.name == name).unwrap().values[0].clone();
        // Twice the same is one value: in one attribute, or in two of one name.
        assert_eq!(setup.why(&with(honest.clone(), name, &[&value, &value])), "accepted", "{name}");
        assert_eq!(setup.why(&also(honest.clone(), name, &[&value])), "accepted", "{name}");
        let other = format!("x{value}");
        for spoilt in [
            with(honest.clone(), name, &[&value, &other]),
            with(honest.clone(), name, &[&other, &value]),
            also(honest.clone(), name, &[&other]),
        ] {
            let error = setup.read(&spoilt).err().unwrap();
            assert_eq!(error.reason(), "saml_attribute_ambiguous", "{name}");
            assert_eq!(error.detail().unwrap().1, "2", "the number of values, and none of them");
        }
    }
    // Under another name it is another attribute: the first that is there counts, and its value alone.
    let two_names = also(assertion(OKTA), "mail", &["other@acme.com"]);
    assert_eq!(setup.email(&two_names), Ok("ann@acme.com".into()));
    // A display name made of parts is a courtesy: several given names are no reason to keep somebody out.
    let person = setup.read(&with(assertion(OKTA), "firstName", &["Ann", "Beth"])).unwrap();
    assert_eq!(person.attributes.name.as_deref(), Some("Example"));
}

#[test]
fn a_google_account_is_in_an_organisation_that_may_sign_in_i04() {
    assert_eq!(Setup::of(hosted(&["acme.com", "acme.de"])).why(&assertion(GOOGLE)), "accepted");
    for preset in [hosted(&["acme.de"]), hosted(&["sub.acme.com"]), google()] {
        let error = Setup::of(preset.clone()).read(&assertion(GOOGLE)).err().unwrap();
        assert_eq!(error.reason(), "hd_mismatch", "{preset:?}");
        assert_eq!(error.detail().unwrap().1, "acme.com");
    }
}

#[test]
fn groups_that_are_elsewhere_or_too_many_are_a_refusal_i10() {
    let mut setup = Setup::entra();
    let without_groups = without(assertion(&entra()), &[presets::GROUPS]);
    assert_eq!(setup.read(&without_groups).unwrap().groups, [""; 0]);
    let link = format!("https://graph.windows.net/{TENANT}/users/{OBJECT}/getMemberObjects");
    let overage = also(without_groups, presets::GROUPS_LINK, &[&link]);
    let error = setup.read(&overage).err().unwrap();
    assert_eq!(error.reason(), "groups_elsewhere");
    assert!(!format!("{error:?}").contains("graph.windows.net"));
    setup.names.groups = owned(&["team"]);
    assert_eq!(setup.why(&overage), "accepted", "the operator takes groups from elsewhere");

    let okta = Setup::of(SamlPreset::Okta);
    let groups: Vec<String> = (0..=MAX_GROUPS).map(|i| format!("group-{i}")).collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    assert_eq!(okta.why(&with(assertion(OKTA), "groups", &groups)), "groups_too_many");
    let most = okta.read(&with(assertion(OKTA), "groups", &groups[1..])).unwrap();
    assert_eq!(most.groups.len(), MAX_GROUPS);
    let repeated = okta.read(&with(assertion(OKTA), "groups", &["a", "b", " a ", "", "b"])).unwrap();
    assert_eq!(repeated.groups, ["a", "b"]);
}

#[test]
fn names_too_long_to_pass_on_are_left_out() {
    let okta = Setup::of(SamlPreset::Okta);
    let long = "x".repeat(MAX_NAME + 1);
    let xml = with(also(assertion(OKTA), "displayName", &[&long]), "login", &[&long]);
    let read = okta.read(&xml).unwrap().attributes;
    assert_eq!((read.name, read.preferred_username), (None, None));
    // A user name that looks like somebody else's address is none (see `is_own_name`).
    let stranger = okta.read(&with(assertion(OKTA), "login", &["eve@evil.com"])).unwrap();
    assert_eq!(stranger.attributes.preferred_username, None);
    let own = okta.read(&with(assertion(OKTA), "login", &["ann@acme.de"])).unwrap();
    assert_eq!(own.attributes.preferred_username.as_deref(), Some("ann@acme.de"));
}

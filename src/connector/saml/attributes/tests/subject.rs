//! Who somebody is: by one name, which lasts.

use super::*;
use crate::connector::saml::attributes::fixtures::entra as entra_sends;

const SUBJECT_ID: &str = "urn:oasis:names:tc:SAML:attribute:subject-id";
const PAIRWISE_ID: &str = "urn:oasis:names:tc:SAML:attribute:pairwise-id";
const EMAIL: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress";
const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";

#[test]
fn a_name_that_changes_is_nobodys_subject_s24() {
    const TRANSIENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";
    let mut setup = Setup::of(SamlPreset::Okta);
    let transient = named(assertion(OKTA), Some(TRANSIENT), "_91c3");
    for format in [
        TRANSIENT,
        "urn:oasis:names:tc:SAML:2.0:nameid-format:entity",
        "urn:oasis:names:tc:SAML:2.0:nameid-format:encrypted",
        "urn:acme:whatever",
        "",
    ] {
        assert_eq!(setup.why(&named(assertion(OKTA), Some(format), "_91c3")), "saml_subject", "{format}");
    }
    for format in LASTING_FORMATS {
        assert_eq!(setup.why(&named(assertion(OKTA), Some(format), "ann")), "accepted", "{format}");
    }
    assert_eq!(setup.why(&named(assertion(OKTA), None, "ann")), "accepted");
    for value in ["", " ", "a\nb", &"a".repeat(257)] {
        assert_eq!(setup.why(&named(assertion(OKTA), None, value)), "saml_subject", "{value}");
    }
    // With a mapped attribute it does not matter; without that attribute nothing stands in for it.
    setup.names.subject = Some("personnelNumber".into());
    let mapped = also(transient.clone(), "personnelNumber", &["4711"]);
    assert_eq!(setup.read(&mapped).unwrap().attributes.subject, "4711");
    assert_eq!(setup.why(&transient), "saml_subject");
    assert_eq!(setup.why(&assertion(OKTA)), "saml_subject");
    // By name it has to last too.
    setup.names.subject = Some("NameID".into());
    assert_eq!(setup.why(&transient), "saml_subject");
    assert_eq!(setup.read(&assertion(OKTA)).unwrap().attributes.subject, "ann.example");
}

/// Another attribute that is released tomorrow changes nobody, and no attribute's value passes for another's.
#[test]
fn a_subject_is_of_one_attribute_whatever_else_arrives_s24() {
    let mut setup = Setup::of(SamlPreset::Shibboleth);
    let subject =
        |setup: &Setup, said: &Assertion| setup.read(said).map(|p| p.attributes.subject).map_err(|e| e.reason());
    let honest = assertion(SHIBBOLETH);
    assert_eq!(subject(&setup, &honest), Ok("0f3c9a@acme.com".into()));
    let others = [
        PAIRWISE_ID,
        "urn:oid:1.3.6.1.4.1.5923.1.1.1.13",
        "urn:oid:1.3.6.1.4.1.5923.1.1.1.10",
        "urn:oid:1.3.6.1.4.1.5923.1.1.1.6",
    ];
    let bare = named(without(honest.clone(), &[SUBJECT_ID]), Some(PERSISTENT), "boss@acme.com");
    for name in others {
        let more = with(honest.clone(), name, &["boss@acme.com"]);
        assert_eq!(subject(&setup, &named(more, Some(PERSISTENT), "boss")), Ok("0f3c9a@acme.com".into()), "{name}");
        // Nothing stands in for it: the error names what is wanted, and what arrived.
        let instead = with(bare.clone(), name, &["boss@acme.com"]);
        assert_eq!(subject(&setup, &instead), Err("saml_subject"), "{name}");
        let error = setup.read(&instead).err().unwrap();
        assert_eq!(error.detail().unwrap().0, SUBJECT_ID);
        assert!(error.arrived().iter().any(|arrived| arrived == name), "{name}");
    }
    // The operator may name another one; then that alone counts.
    setup.names.subject = Some(PAIRWISE_ID.into());
    assert_eq!(subject(&setup, &honest), Err("saml_subject"));
    assert_eq!(subject(&setup, &with(honest, PAIRWISE_ID, &["K3JW@acme.com"])), Ok("k3jw@acme.com".into()));
    setup.names.subject = Some("NameID".into());
    assert_eq!(subject(&setup, &bare), Ok("boss@acme.com".into()));
}

/// The two identifiers of the profile have no case; whatever else is named has one.
#[test]
fn subject_identifiers_are_compared_without_case() {
    let mut setup = Setup::of(SamlPreset::Shibboleth);
    let subject = |setup: &Setup, said: &Assertion| setup.read(said).unwrap().attributes.subject;
    assert_eq!(subject(&setup, &with(assertion(SHIBBOLETH), SUBJECT_ID, &["0F3C9A@Acme.com"])), "0f3c9a@acme.com");
    setup.names.subject = Some("employeeNumber".into());
    assert_eq!(subject(&setup, &also(assertion(SHIBBOLETH), "employeeNumber", &["AbC"])), "AbC");
}

#[test]
fn a_name_that_may_be_given_to_another_person_is_told_of_s24() {
    let reassignable = |setup: &Setup, said: &Assertion| setup.read(said).unwrap().reassignable;
    let okta = Setup::of(SamlPreset::Okta);
    for format in LASTING_FORMATS {
        let told = (format != PERSISTENT).then(|| format.to_owned());
        assert_eq!(reassignable(&okta, &named(assertion(OKTA), Some(format), "ann")), told, "{format}");
    }
    let unspecified = Some(presets::UNSPECIFIED.to_owned());
    assert_eq!(reassignable(&okta, &named(assertion(OKTA), None, "ann")), unspecified);
    // Only where it is the subject.
    let by_address = |xml: &str| named(assertion(xml), Some(EMAIL), "ann@acme.com");
    assert_eq!(reassignable(&Setup::entra(), &by_address(&entra_sends())), None);
    assert_eq!(reassignable(&Setup::of(SamlPreset::Shibboleth), &by_address(SHIBBOLETH)), None);
    let mut mapped = Setup::of(SamlPreset::Okta);
    mapped.names.subject = Some("login".into());
    assert_eq!(reassignable(&mapped, &by_address(OKTA)), None);
    let mut entra = Setup::entra();
    entra.names.subject = Some("NameID".into());
    assert_eq!(reassignable(&entra, &by_address(&entra_sends())), Some(EMAIL.to_owned()));
}

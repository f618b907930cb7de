//! Connectors over SAML: what loads, and what each mistake is answered with.

use super::*;

mod protocols;

const SAML: &str = r#"
[server]
public_url = "https://app.example.com"
environment = "production"
trusted_proxies = ["10.0.0.0/8"]

[apps.portal]
upstream = "http://127.0.0.1:3000"
sign_out = "/logout"

[apps.wiki]
public_url = "https://wiki.example.net:8443"
upstream = "http://127.0.0.1:3001"
sign_out = "/bye"

[connectors.initech]
kind = "saml"
metadata_file = "initech.xml"

[connectors.globex]
kind = "google"
protocol = "saml"
metadata_url = "https://idp.globex.example/metadata.xml"

[connectors.acme]
kind = "entra"
protocol = "saml"
metadata_url = "https://login.microsoftonline.com/1/federationmetadata.xml?appid=2"

[connectors.hooli]
kind = "oidc"
issuer = "https://idp.hooli.example"
client_id = "hooli-client"

[domains."initech.example"]
connector = "initech"
environment = "production"

[domains."globex.example"]
connector = "globex"
environment = "production"

[domains."acme.com"]
connector = "acme"
environment = "production"

[domains."hooli.example"]
connector = "hooli"
environment = "production"
"#;

const INITECH: &str = "metadata_file = \"initech.xml\"";
const GLOBEX: &str = "metadata_url = \"https://idp.globex.example/metadata.xml\"";
const ACME: &str = "metadata_url = \"https://login.microsoftonline.com/1/federationmetadata.xml?appid=2\"";
const HOOLI: &str = "client_id = \"hooli-client\"";

/// A directory with the metadata and with `files`, and the configuration with the changes in it.
fn load_beside(files: &[(&str, &[u8])], changes: &[(&str, &str)]) -> (tempfile::TempDir, Result<Loaded, Problems>) {
    let mut text = SAML.to_owned();
    for (from, to) in changes {
        assert_eq!(text.matches(from).count(), 1, "{from:?} stands once in the honest configuration");
        text = text.replace(from, to);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("anteroom.toml");
    for (name, bytes) in
        [("anteroom.toml", text.as_bytes()), ("initech.xml", b"<EntityDescriptor/>")].iter().chain(files)
    {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    let loaded = load(Some(&path), std::iter::empty(), &Overrides::default());
    (dir, loaded)
}

#[track_caller]
fn good(changes: &[(&str, &str)]) -> Loaded {
    load_beside(&[], changes).1.unwrap_or_else(|problems| panic!("{problems}"))
}

/// Lines added to a connector hold.
#[track_caller]
fn more(line: &str, added: &str) -> Config {
    good(&[(line, &format!("{line}\n{added}"))]).config
}

fn connector<'a>(config: &'a Config, id: &str) -> &'a SamlConnector {
    config.connectors[id].saml().unwrap()
}

#[track_caller]
fn bad_change(files: &[(&str, &[u8])], changes: &[(&str, &str)], key: &str, says: &str) {
    let problems = load_beside(files, changes).1.expect_err("the change is a mistake").0;
    assert_eq!(problems.len(), 1, "one mistake: {}", Problems(problems.clone()));
    assert_eq!(problems[0].place.key, key, "{}", problems[0]);
    assert!(problems[0].text.contains(says), "{}", problems[0]);
}

/// Lines added to a connector are one mistake.
#[track_caller]
fn bad(line: &str, added: &str, key: &str, says: &str) {
    bad_change(&[], &[(line, &format!("{line}\n{added}"))], key, says);
}

#[test]
fn the_honest_connectors_have_their_defaults() {
    let (dir, loaded) = load_beside(&[], &[]);
    let Loaded { config, warnings } = loaded.unwrap();
    assert_eq!(warnings, []);
    let initech = connector(&config, "initech");
    assert_eq!((initech.name.as_str(), &initech.preset), ("initech", &SamlPreset::Generic));
    assert_eq!(initech.metadata, MetadataFrom::File(dir.path().join("initech.xml")));
    assert_eq!(initech.entity_id, "https://app.example.com/.anteroom/saml/initech/metadata");
    assert_eq!(initech.acs.url, "https://app.example.com/.anteroom/saml/initech/acs");
    assert_eq!(
        (initech.acs.host.host.as_str(), initech.acs.path.as_str()),
        ("app.example.com", "/.anteroom/saml/initech/acs")
    );
    assert_eq!((initech.sign_requests, initech.request_binding, initech.want_encrypted), (None, None, false));
    assert!(!initech.allow_aes_cbc && !initech.allow_idp_initiated && initech.name_id_format.is_none());
    assert_eq!((&initech.attributes, &initech.requirement), (&AttributeNames::default(), &Requirement::default()));
    assert!(initech.signing.is_none() && initech.decryption.is_none() && initech.metadata_certificate.is_none());
    let globex = connector(&config, "globex");
    let own = SamlPreset::Google { hosted_domains: vec!["globex.example".parse().unwrap()] };
    assert_eq!((globex.name.as_str(), &globex.preset, globex.allow_aes_cbc), ("Google", &own, false));
    let acme = connector(&config, "acme");
    let any = SamlPreset::Entra { allowed_tenants: vec![] };
    assert_eq!((acme.name.as_str(), &acme.preset, acme.allow_aes_cbc), ("Microsoft", &any, true));
    let MetadataFrom::Url(url) = &acme.metadata else { panic!("an address") };
    assert_eq!(url.query(), Some("appid=2"), "Entra has a certificate for each registration");
    assert_eq!(config.connectors["acme"].renewal(), Renewal::Off);
}

#[test]
fn every_setting_is_read() {
    let lines = r#"
        preset = "keycloak"
        name = "Initech"
        idp_entity_id = "urn:initech"
        entity_id = "urn:amazon:cognito:sp:us-east-1_x"
        acs_url = "https://login.example.org/saml2/idpresponse"
        sign_requests = false
        request_binding = "post"
        want_encrypted = true
        allow_aes_cbc = true
        allow_idp_initiated = true
        name_id_format = "persistent"
        attributes = { email = "mail", groups = ["a", "b"], subject = "NameID" }
        max_age = "0s"
        acr = ["urn:oasis:names:tc:SAML:2.0:ac:classes:X509"]
    "#;
    let config = more(INITECH, lines);
    let found = connector(&config, "initech");
    assert_eq!((found.name.as_str(), &found.preset), ("Initech", &SamlPreset::Keycloak));
    assert_eq!(
        (found.idp_entity_id.as_deref(), found.entity_id.as_str()),
        (Some("urn:initech"), "urn:amazon:cognito:sp:us-east-1_x")
    );
    let AcsUrl { url, host, path } = &found.acs;
    let expected = ("https://login.example.org/saml2/idpresponse", "https://login.example.org", "/saml2/idpresponse");
    assert_eq!((url.as_str(), host.origin.as_str(), path.as_str()), expected);
    assert_eq!((found.sign_requests, found.request_binding), (Some(false), Some(RequestBinding::Post)));
    assert!(found.want_encrypted && found.allow_aes_cbc && found.allow_idp_initiated);
    assert_eq!(found.name_id_format.as_deref(), Some("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"));
    assert_eq!((found.attributes.email.join(","), found.attributes.groups.join(",")), ("mail".into(), "a,b".into()));
    assert_eq!((found.attributes.subject.as_deref(), found.attributes.name.is_empty()), (Some("NameID"), true));
    assert_eq!(found.requirement.max_age, Some(Duration::ZERO));
    assert_eq!(found.requirement.acr.as_ref().unwrap().len(), 1);
    assert_eq!(more(INITECH, "protocol = \"saml\"").connectors.len(), 4, "says it twice");
}

#[test]
fn the_environment_sets_attributes_too() {
    let (dir, _) = load_beside(&[], &[]);
    let variables = [
        ("ANTEROOM__CONNECTORS__INITECH__ATTRIBUTES__EMAIL", "urn:oid:1, mail"),
        ("ANTEROOM__CONNECTORS__INITECH__WANT_ENCRYPTED", "true"),
    ];
    let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let loaded = load(Some(&dir.path().join("anteroom.toml")), variables, &Overrides::default());
    let config = loaded.unwrap_or_else(|problems| panic!("{problems}")).config;
    let found = connector(&config, "initech");
    assert_eq!(
        (found.attributes.email.as_slice(), found.want_encrypted),
        (["urn:oid:1".into(), "mail".into()].as_slice(), true)
    );
}

#[test]
fn the_metadata_is_given_once() {
    let key = "connectors.initech.metadata_file";
    bad_change(&[], &[(INITECH, "")], key, "missing; allowed: a file with the provider's metadata");
    bad_change(&[], &[(INITECH, "metadata_file = \"none.xml\"")], key, "none.xml: No such file");
    bad_change(&[], &[(INITECH, "metadata_file = \"/dev/null\"")], key, "is no regular file");
    bad_change(&[], &[(INITECH, "metadata_file = \".\"")], key, "is no regular file");
    let key = "connectors.initech.metadata_url";
    bad(INITECH, "metadata_url = \"https://a.example/m\"", key, "given twice");
    for (url, says) in [
        ("http://idp.example.com/m", "plain http off loopback"),
        ("file:///m.xml", "https address"),
        ("https://bob:canary@idp.example.com/m?x", "user information"),
        ("https://idp.example.com/m?a b", "https address"),
        ("https://idp.example.com/m?a#b", "https address"),
    ] {
        bad_change(&[], &[(INITECH, &format!("metadata_url = \"{url}\""))], key, says);
    }
    good(&[(INITECH, "metadata_url = \"http://idp.localhost:8080/m\"")]);
    let insecure = "[outgoing]\ninsecure_http = \"yes-for-testing-only\"\n[apps.portal]";
    good(&[(INITECH, "metadata_url = \"http://idp.example.com/m\""), ("[apps.portal]", insecure)]);
}

#[test]
fn a_pinned_certificate_is_one() {
    let made = rcgen::generate_simple_self_signed(vec!["idp".into()]).unwrap();
    let line = format!("{INITECH}\nmetadata_certificate_file = \"pin\"");
    for bytes in [made.cert.pem().into_bytes(), made.cert.der().to_vec()] {
        let (dir, loaded) = load_beside(&[("pin", &bytes)], &[(INITECH, &line)]);
        assert_eq!(connector(&loaded.unwrap().config, "initech").metadata_certificate, Some(dir.path().join("pin")));
        let cut = &bytes[..bytes.len() / 2];
        bad_change(
            &[("pin", cut)],
            &[(INITECH, &line)],
            "connectors.initech.metadata_certificate_file",
            "no certificate",
        );
    }
    bad_change(&[], &[(INITECH, &line)], "connectors.initech.metadata_certificate_file", "cannot read");
}

/// P09: a path of ours shadows nothing and is shadowed by nothing.
#[test]
fn p09_an_acs_has_an_address_of_its_own() {
    let acs = |url: &str| format!("acs_url = \"{url}\"");
    let key = "connectors.initech.acs_url";
    for (url, says) in [
        ("http://login.example.org/acs", "plain http off loopback"),
        ("https://login.example.org", "a URL with a path"),
        ("https://login.example.org/", "a URL with a path"),
        ("https://login.example.org/acs?x=1", "a URL with a path"),
        ("https://login.example.org/a/../acs", "a URL with a path"),
        ("https://login.example.org/a%63s", "a URL with a path"),
        ("https://login.example.org/*", "a URL with a path"),
        ("/saml2/acs", "a URL with a path"),
        ("https://app.example.com:8443/acs", "has the origin \\\"https://app.example.com\\\" already"),
        ("https://wiki.example.net/acs", "has the origin \\\"https://wiki.example.net:8443\\\" already"),
        ("https://app.example.com/logout", "an app's sign_out"),
        ("https://wiki.example.net:8443/bye", "an app's sign_out"),
        ("https://app.example.com/.anteroom/sign-in", "other pages below its prefix"),
        ("https://login.example.org/.anteroom/saml/globex/acs", "other pages below its prefix"),
    ] {
        bad(INITECH, &acs(url), key, &says.replace("\\\"", "\""));
    }
    for url in [
        "https://login.example.org/saml2/idpresponse",
        "https://LOGIN.example.org/saml2/idpresponse",
        "https://app.example.com:443/saml2/acs",
        "https://wiki.example.net:8443/logout",
        "https://login.example.org/logout",
        "https://login.example.org/.anteroom/saml/initech/acs",
        "https://app.example.com/.anteroom/saml/initech/acs",
        "http://login.localhost:4180/acs",
    ] {
        assert_eq!(connector(&more(INITECH, &acs(url)), "initech").acs.url, url, "as it is registered");
    }
}

/// S22: an answer cannot be taken for another provider's. R8: one registration may be in many tenants.
#[test]
fn s22_connectors_share_an_address_only_if_it_is_the_same_acs() {
    let both = |one: &str, other: &str| {
        [format!("{INITECH}\nacs_url = \"{one}\""), format!("{GLOBEX}\nacs_url = \"{other}\"")]
    };
    let key = "connectors.globex.acs_url";
    let same = both("https://login.example.org/acs", "https://login.example.org/acs");
    good(&[(INITECH, &same[0]), (GLOBEX, &same[1])]);
    let with = |more: [&str; 2]| [0, 1].map(|which| format!("{}\n{}", same[which], more[which]));
    let warned = |more: [&str; 2]| {
        let changed = with(more);
        let warnings = load_beside(&[], &[(INITECH, &changed[0]), (GLOBEX, &changed[1])]).1.unwrap().warnings;
        warnings
            .iter()
            .any(|warning| warning.place.key == key && warning.text.contains("connectors.initech has it too"))
    };
    assert!(warned(["idp_entity_id = \"urn:x\"", "idp_entity_id = \"urn:x\""]), "nothing tells them apart");
    assert!(!warned(["idp_entity_id = \"urn:x\"", "idp_entity_id = \"urn:y\""]));
    assert!(!warned(["", ""]));
    let spelt = both("https://login.example.org/acs", "https://LOGIN.example.org/acs");
    bad_change(&[], &[(INITECH, &spelt[0]), (GLOBEX, &spelt[1])], key, "which connectors.initech has already");
    let ports = both("https://login.example.org/a", "https://login.example.org:8443/b");
    bad_change(&[], &[(INITECH, &ports[0]), (GLOBEX, &ports[1])], key, "a host has one origin");
    let apart = both("https://login.example.org/acs", "https://login.example.com/acs");
    good(&[(INITECH, &apart[0]), (GLOBEX, &apart[1])]);
    let callback = format!("{HOOLI}\ncallback_path = \"/callback\"");
    let acs = format!("{INITECH}\nacs_url = \"https://app.example.com/callback\"");
    let key = "connectors.hooli.callback_path";
    bad_change(&[], &[(HOOLI, &callback), (INITECH, &acs)], key, "which connectors.initech has already");
    good(&[(HOOLI, &callback), (INITECH, &acs.replace("app.example.com", "other.example.com"))]);
}

/// Browsers keep SameSite=None cookies on Secure ones alone.
#[test]
fn saml_needs_cookies_that_are_secure() {
    let http = "public_url = \"http://app.example.com\"\ninsecure_http = \"yes-for-testing-only\"";
    let wiki = "[apps.wiki]\npublic_url = \"https://wiki.example.net:8443\"";
    let bare = [
        ("public_url = \"https://app.example.com\"", http),
        (wiki, "[apps.wiki]\npublic_url = \"http://wiki.example.net\""),
    ];
    let problems = load_beside(&[], &bare).1.unwrap_err().0;
    let keys: Vec<&str> = problems.iter().map(|problem| problem.place.key.as_str()).collect();
    assert_eq!(keys, ["connectors.initech.kind", "connectors.globex.kind", "connectors.acme.kind"]);
    assert!(problems.iter().all(|problem| problem.text.contains("use OpenID Connect for this test")));
    good(&[("public_url = \"https://app.example.com\"", "public_url = \"http://app.localhost:4180\"")]);
}

#[test]
fn single_values_are_checked() {
    for (line, key, says) in [
        ("entity_id = \"a b\"", "entity_id", "without blanks"),
        ("entity_id = \"\"", "entity_id", "without blanks"),
        ("idp_entity_id = \"a\\nb\"", "idp_entity_id", "without blanks"),
        ("preset = \"onelogin\"", "preset", "\"shibboleth\""),
        ("request_binding = \"artifact\"", "request_binding", "not supported"),
        ("request_binding = \"psot\"", "request_binding", "did you mean \"post\""),
        ("want_encrypted = \"yes\"", "want_encrypted", "true or false"),
        ("name_id_format = \"mail\"", "name_id_format", "\"email\""),
        ("name_id_format = \"urn:a b\"", "name_id_format", "or a URI"),
        ("max_age = \"366d\"", "max_age", "a length of time"),
        ("acr = [\"a b\"]", "acr[0]", "without blanks"),
        ("attributes = { mail = \"mail\" }", "attributes.mail", "did you mean \"email\""),
        ("attributes = { email = 5 }", "attributes.email", "text, or a list of texts"),
        ("attributes = { email = [] }", "attributes.email", "empty list"),
        ("attributes = { email = \"\" }", "attributes.email", "1 to 255"),
        ("attributes = { subject = [\"uid\", \"mail\"] }", "attributes.subject", "found a list; allowed: text"),
        ("attributes = { subject = \"\" }", "attributes.subject", "1 to 255"),
        ("attributes = { groups = [\"a\", \"a\"] }", "attributes.groups[1]", "twice"),
        ("attributes = { groups = [\"a\", \" b\"] }", "attributes.groups[1]", "1 to 255"),
    ] {
        bad(INITECH, line, &format!("connectors.initech.{key}"), says);
    }
    let uri = "urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos";
    let config = more(INITECH, &format!("name_id_format = \"{uri}\""));
    assert_eq!(connector(&config, "initech").name_id_format.as_deref(), Some(uri));
}

/// S24
#[test]
fn s24_a_transient_name_needs_something_that_lasts_beside_it() {
    let transient = "name_id_format = \"transient\"";
    bad(INITECH, transient, "connectors.initech.name_id_format", "attributes.subject");
    for added in
        ["attributes = { subject = \"NameID\" }", "preset = \"shibboleth\"\nattributes = { subject = \"NameID\" }"]
    {
        let line = format!("{transient}\n{added}");
        bad(INITECH, &line, "connectors.initech.name_id_format", "attributes.subject");
    }
    for added in ["attributes = { subject = \"uid\" }", "preset = \"shibboleth\"", "preset = \"entra\""] {
        more(INITECH, &format!("{transient}\n{added}"));
    }
}

/// S24: an address or a user name may be given to another person.
#[test]
fn s24_a_name_that_may_be_given_again_is_a_warning_where_people_are_known_by_it() {
    let warned = |added: &str| {
        let warnings = good(&[(INITECH, &format!("{INITECH}\n{added}"))]).warnings;
        assert!(warnings.iter().all(|w| w.place.key == "connectors.initech.name_id_format"), "{warnings:?}");
        assert!(warnings.iter().all(|w| w.text.contains("attributes.subject")), "{warnings:?}");
        warnings.len()
    };
    for format in ["email", "unspecified", "urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName"] {
        let format = format!("name_id_format = {format:?}");
        assert_eq!(warned(&format), 1, "{format}");
        assert_eq!(warned(&format!("{format}\nattributes = {{ subject = \"NameID\" }}")), 1, "{format}");
        for known in ["attributes = { subject = \"uid\" }", "preset = \"shibboleth\"", "preset = \"entra\""] {
            assert_eq!(warned(&format!("{format}\n{known}")), 0, "{format} {known}");
        }
    }
    assert_eq!(warned("name_id_format = \"persistent\""), 0);
    assert_eq!(warned(""), 0, "the provider decides, and the log says what it was");
}

#[test]
fn keys_and_their_certificates_are_rsa_and_belong_together() {
    let made = |algorithm| {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["anteroom".into()]).unwrap().self_signed(&key).unwrap();
        (certificate.pem().into_bytes(), key.serialize_pem().into_bytes())
    };
    let (certificate, key) = made(&rcgen::PKCS_RSA_SHA256);
    let (ec_certificate, ec_key) = made(&rcgen::PKCS_ECDSA_P256_SHA256);
    for what in ["signing", "decryption"] {
        let lines = format!("{INITECH}\n{what}_cert_file = \"c.pem\"\n{what}_key_file = \"k.pem\"");
        let files: [(&str, &[u8]); 2] = [("c.pem", &certificate), ("k.pem", &key)];
        let loaded = load_beside(&files, &[(INITECH, &lines)]).1.unwrap();
        let found = connector(&loaded.config, "initech");
        assert_eq!((found.signing.is_some(), found.decryption.is_some()), (what == "signing", what == "decryption"));
        let ec: [(&str, &[u8]); 2] = [("c.pem", &ec_certificate), ("k.pem", &ec_key)];
        bad_change(&ec, &[(INITECH, &lines)], &format!("connectors.initech.{what}_key_file"), "allowed: an RSA key");
        let mixed: [(&str, &[u8]); 2] = [("c.pem", &ec_certificate), ("k.pem", &key)];
        let says = format!("allowed: the key of {what}_cert_file");
        bad_change(&mixed, &[(INITECH, &lines)], &format!("connectors.initech.{what}_key_file"), &says);
        for (half, missing) in [("cert", "key"), ("key", "cert")] {
            let lines = format!("{INITECH}\n{what}_{half}_file = \"c.pem\"");
            bad_change(&files, &[(INITECH, &lines)], &format!("connectors.initech.{what}_{missing}_file"), "missing");
        }
    }
}

//! Which key belongs to which kind and protocol.

use super::*;

#[test]
fn keys_of_openid_connect_are_mistakes_over_saml() {
    for (line, says) in [
        ("issuer = \"https://idp.initech.example\"", "metadata_file or metadata_url"),
        ("client_id = \"x\"", "entity_id"),
        ("client_secret = \"canary\"", "signing_key_file"),
        ("client_secret_file = \"x\"", "signing_key_file"),
        ("client_certificate_file = \"x\"", "signing_cert_file"),
        ("client_key_file = \"x\"", "signing_key_file"),
        ("email_is_verified = \"by-operator\"", "belongs to OpenID Connect"),
        ("scopes = [\"openid\"]", "belongs to OpenID Connect"),
        ("email_claim = \"mail\"", "attributes.email"),
        ("groups_claim = \"g\"", "attributes.groups"),
        ("groups_overage = \"graph\"", "attributes.groups"),
        ("graph_url = \"https://graph.microsoft.us\"", "attributes.groups"),
        ("directory = { subject = \"a@b.example\" }", "attributes.groups"),
        ("roles_claim = \"r\"", "attributes.roles"),
        ("algorithms = [\"RS256\"]", "the metadata"),
        ("prompt = \"login\"", "max_age"),
        ("amr = [\"mfa\"]", "only Entra ID names methods over SAML"),
        ("renewal = \"refresh\"", "SAML renews no session"),
        ("renewal_interval = \"15m\"", "SAML renews no session"),
        ("callback_path = \"/x\"", "acs_url"),
    ] {
        let key = line.split(' ').next().unwrap();
        for (connector, of) in [(INITECH, "initech"), (GLOBEX, "globex"), (ACME, "acme")] {
            if (key, of) == ("amr", "acme") {
                let config = more(ACME, line);
                assert_eq!(super::connector(&config, "acme").requirement.amr, ["mfa"]);
                continue;
            }
            bad(connector, line, &format!("connectors.{of}.{key}"), says);
        }
    }
}

#[test]
fn keys_of_saml_are_mistakes_over_openid_connect() {
    for (line, says) in [
        ("preset = \"okta\"", "write kind = \"saml\""),
        ("metadata_file = \"initech2.xml\"", "has issuer"),
        ("metadata_url = \"https://a.example/m\"", "has issuer"),
        ("metadata_certificate_file = \"x\"", "belongs to SAML"),
        ("idp_entity_id = \"x\"", "has issuer"),
        ("entity_id = \"x\"", "has client_id"),
        ("acs_url = \"https://a.example/acs\"", "has callback_path"),
        ("sign_requests = true", "belongs to SAML"),
        ("request_binding = \"post\"", "belongs to SAML"),
        ("want_encrypted = false", "belongs to SAML"),
        ("allow_aes_cbc = false", "belongs to SAML"),
        ("allow_idp_initiated = false", "belongs to SAML"),
        ("name_id_format = \"email\"", "belongs to SAML"),
        ("attributes = { email = \"mail\" }", "has email_claim"),
        ("signing_key_file = \"x\"", "has client_key_file"),
        ("signing_cert_file = \"x\"", "has client_certificate_file"),
        ("decryption_key_file = \"x\"", "belongs to SAML"),
        ("decryption_cert_file = \"x\"", "belongs to SAML"),
    ] {
        let key = line.split(' ').next().unwrap();
        bad(HOOLI, line, &format!("connectors.hooli.{key}"), says);
    }
    let entra = "kind = \"entra\"\ntenant_id = \"11111111-2222-3333-4444-555555555555\"\nclient_id = \"x\"";
    let acme = format!("kind = \"entra\"\nprotocol = \"saml\"\n{ACME}");
    good(&[(&acme, entra)]);
    let mixed = format!("{entra}\nwant_encrypted = true");
    bad_change(&[], &[(&acme, &mixed)], "connectors.acme.want_encrypted", "write protocol = \"saml\"");
}

#[test]
fn a_kind_has_its_protocol() {
    bad(INITECH, "protocol = \"oidc\"", "connectors.initech.protocol", "speaks SAML; remove it");
    bad(HOOLI, "protocol = \"saml\"", "connectors.hooli.protocol", "for SAML write kind = \"saml\"");
    let mut told = good(&[(HOOLI, &format!("{HOOLI}\nprotocol = \"oidc\""))]).config.connectors;
    assert!(told.remove("hooli").unwrap().oidc().is_some());
    bad_change(
        &[],
        &[("kind = \"google\"\nprotocol = \"saml\"", "kind = \"google\"\nprotocol = \"sml\"")],
        "connectors.globex.protocol",
        "did you mean \"saml\"",
    );
    bad_change(&[], &[("kind = \"saml\"", "kind = \"saml2\"")], "connectors.initech.kind", "did you mean \"saml\"");
    bad_change(&[], &[("kind = \"saml\"\n", "")], "connectors.initech.kind", "missing; allowed: \"entra\"");
    bad_change(&[], &[("kind = \"saml\"", "kind = \"adfs\"")], "connectors.initech.kind", "preset = \"adfs\"");
    let preset = "preset = \"entra\"";
    bad(ACME, preset, "connectors.acme.preset", "is one itself");
    bad(GLOBEX, preset, "connectors.globex.preset", "is one itself");
}

#[test]
fn a_preset_brings_the_settings_of_its_product() {
    const ONE: &str = "11111111-2222-3333-4444-555555555555";
    const TWO: &str = "AAAAAAAA-2222-3333-4444-555555555555";
    let tenants = |config: &Config, id: &str| match &connector(config, id).preset {
        SamlPreset::Entra { allowed_tenants } => allowed_tenants.join(" "),
        other => panic!("{other:?}"),
    };
    let one = format!("tenant_id = \"{ONE}\"");
    assert_eq!(tenants(&more(ACME, &one), "acme"), ONE);
    assert_eq!(tenants(&more(ACME, &format!("allowed_tenants = [\"{TWO}\"]")), "acme"), TWO.to_lowercase());
    let both = format!("{one}\nallowed_tenants = [\"{ONE}\", \"{TWO}\"]");
    assert_eq!(tenants(&more(ACME, &both), "acme"), format!("{ONE} {}", TWO.to_lowercase()));
    let config = more(INITECH, &format!("preset = \"entra\"\n{one}"));
    assert_eq!((tenants(&config, "initech").as_str(), connector(&config, "initech").allow_aes_cbc), (ONE, true));
    assert!(!connector(&more(ACME, "allow_aes_cbc = false"), "acme").allow_aes_cbc);
    bad(ACME, "tenant_id = \"acme.onmicrosoft.com\"", "connectors.acme.tenant_id", "which is a GUID");
    bad(ACME, "tenant_id = \"common\"", "connectors.acme.tenant_id", "which is a GUID");
    bad(ACME, "allowed_tenants = []", "connectors.acme.allowed_tenants", "nobody could sign in");
    bad(ACME, &format!("{one}\nallowed_tenants = [\"{TWO}\"]"), "connectors.acme.allowed_tenants", "does not contain");
    bad(INITECH, &one, "connectors.initech.tenant_id", "or write preset = \"entra\"");
    bad(INITECH, "hosted_domains = [\"a.example\"]", "connectors.initech.hosted_domains", "preset = \"google\"");
    bad(ACME, "hosted_domains = [\"a.example\"]", "connectors.acme.hosted_domains", "belongs to kind = \"google\"");
    bad(GLOBEX, "hosted_domains = [\"@\"]", "connectors.globex.hosted_domains[0]", "a domain");
    let google = more(INITECH, "preset = \"google\"\nhosted_domains = [\"a.example\"]");
    let expected = SamlPreset::Google { hosted_domains: vec!["a.example".parse().unwrap()] };
    assert_eq!(connector(&google, "initech").preset, expected);
}

//! Mistakes in connectors, secrets and outgoing.

use super::*;

const ENTRA: &str = "issuer = \"https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/\"";

#[test]
fn r1_on_premise_directories_are_refused_with_what_to_use() {
    let ldap = "kind = \"ldap\"\nhost = \"dc.acme.com\"\nbind_password = \"canary\"";
    refused(&[("kind = \"oidc\"", ldap)], "connectors.initech.kind", "on-premise directories");
    refused(&[("kind = \"oidc\"", "kind = \"active-directory\"")], "connectors.initech.kind", "\"entra\"");
    refused(&[("kind = \"oidc\"", "kind = \"okta\"")], "connectors.initech.kind", "which is \"oidc\"");
    refused(&[("kind = \"oidc\"\n", "")], "connectors.initech.kind", "missing; allowed: \"entra\"");
}

#[test]
fn a_shared_authority_needs_the_tenants_it_may_let_in() {
    for tenant in ["common", "organizations", "consumers"] {
        let id = format!("tenant_id = {tenant:?}");
        let issuer = format!("issuer = \"https://login.microsoftonline.com/{tenant}/v2.0\"");
        for written in [id, issuer] {
            refused(&[(ENTRA, &written)], "connectors.acme-entra.allowed_tenants", "lets users of any tenant in");
            let with = format!("{written}\nallowed_tenants = [\"AAAAAAAA-2222-3333-4444-555555555555\"]");
            let connector = accepted(&[(ENTRA, &with)]).config.connectors["acme-entra"].oidc().unwrap().clone();
            let ConnectorKind::Entra { tenant: found, allowed_tenants } = connector.kind else { panic!("entra") };
            assert_eq!(
                (found.as_str(), allowed_tenants),
                (tenant, vec![String::from("aaaaaaaa-2222-3333-4444-555555555555")])
            );
            assert!(connector.issuer.path().ends_with("/v2.0"));
        }
    }
    refused(&[(ENTRA, "tenant_id = \"acme.onmicrosoft.com\"")], "connectors.acme-entra.allowed_tenants", "by a domain");
    let empty = "tenant_id = \"common\"\nallowed_tenants = []";
    refused(&[(ENTRA, empty)], "connectors.acme-entra.allowed_tenants", "missing");
}

#[test]
fn an_entra_tenant_is_named_once_and_rightly() {
    refused(&[(ENTRA, "")], "connectors.acme-entra.issuer", "or tenant_id in its place");
    let both = format!("{ENTRA}\ntenant_id = \"11111111-2222-3333-4444-555555555555\"");
    refused(&[(ENTRA, &both)], "connectors.acme-entra.tenant_id", "given twice");
    refused(&[(ENTRA, "tenant_id = \"acme\"")], "connectors.acme-entra.tenant_id", "a GUID");
    let other = format!("{ENTRA}\nallowed_tenants = [\"99999999-2222-3333-4444-555555555555\"]");
    refused(&[(ENTRA, &other)], "connectors.acme-entra.allowed_tenants", "does not contain");
    let name = format!("{ENTRA}\nallowed_tenants = [\"acme.com\"]");
    refused(&[(ENTRA, &name)], "connectors.acme-entra.allowed_tenants[0]", "a tenant id");
}

#[test]
fn keys_of_another_kind_are_mistakes() {
    let add = |key: &str| format!("client_id = \"oidc-client\"\n{key}");
    for (key, name, kind) in [
        ("tenant_id = \"common\"", "tenant_id", "entra"),
        ("allowed_tenants = []", "allowed_tenants", "entra"),
        ("hosted_domains = []", "hosted_domains", "google"),
    ] {
        let says = format!("{name} belongs to kind = {kind:?}");
        refused(&[("client_id = \"oidc-client\"", &add(key))], &format!("connectors.initech.{name}"), &says);
    }
    let add = "client_id = \"google-client\"\nemail_is_verified = \"by-operator\"";
    refused(
        &[("client_id = \"google-client\"", add)],
        "connectors.globex.email_is_verified",
        "belongs to kind = \"oidc\"",
    );
    let add = "client_id = \"oidc-client\"\nemail_is_verified = \"by-operator\"";
    let kind =
        accepted(&[("client_id = \"oidc-client\"", add)]).config.connectors["initech"].oidc().unwrap().kind.clone();
    assert!(matches!(kind, ConnectorKind::Oidc { email_is_verified_by_operator: true }));
}

#[test]
fn an_address_is_read_only_from_a_claim_that_somebody_vouches_for() {
    let add =
        |id: &str, keys: &str| (format!("client_id = \"{id}-client\""), format!("client_id = \"{id}-client\"\n{keys}"));
    for (id, name, claim, says) in [
        ("oidc", "initech", "mail", "email_verified speaks of"),
        ("google", "globex", "mail", "leave email_claim out"),
        ("entra", "acme-entra", "mail", "vouches for no address"),
    ] {
        let (from, to) = add(id, &format!("email_claim = {claim:?}"));
        refused(&[(&from, &to)], &format!("connectors.{name}.email_claim"), says);
    }
    let (from, to) = add("oidc", "email_claim = \"mail\"\nemail_is_verified = \"by-operator\"");
    assert_eq!(
        accepted(&[(&from, &to)]).config.connectors["initech"].oidc().unwrap().email_claim.as_deref(),
        Some("mail")
    );
    let (from, to) = add("oidc", "email_claim = \"email\"");
    accepted(&[(&from, &to)]);
}

#[test]
fn issuers_are_https_off_loopback() {
    let issuer = "\"https://idp.initech.example/realms/main\"";
    refused(&[(issuer, "\"http://idp.initech.example\"")], "connectors.initech.issuer", "outgoing.insecure_http");
    accepted(&[(issuer, "\"http://idp.localhost:7000/realms/main\"")]);
    let outgoing = "[outgoing]\ninsecure_http = \"yes-for-testing-only\"\n[log]";
    let loaded = accepted(&[(issuer, "\"http://idp.initech.example\""), ("[log]", outgoing)]);
    assert_eq!(loaded.warnings[0].place.key, "outgoing.insecure_http");
    refused(
        &[(issuer, "\"https://idp.initech.example/.well-known/openid-configuration\"")],
        "connectors.initech.issuer",
        "discovery document",
    );
    refused(&[("issuer = \"https://idp.initech.example/realms/main\"\n", "")], "connectors.initech.issuer", "missing");
}

#[test]
fn a_secret_is_given_once_and_never_shown() {
    let secret = "client_secret = \"canary-google\"";
    let twice = format!("{secret}\nclient_secret_file = \"/nowhere/x\"");
    refused(&[(secret, &twice)], "connectors.globex.client_secret_file", "the secret is given twice");
    refused(
        &[(secret, "client_secret_file = \"no-such-file\"")],
        "connectors.globex.client_secret_file",
        "no-such-file: No such file",
    );
    refused(&[(secret, "client_secret = 987654321")], "connectors.globex.client_secret", "found a number");
    let problems = load_toml(&changed(&[(secret, "client_secret = 987654321")])).unwrap_err();
    assert!(!problems.to_string().contains("987654321"));
    refused(&[(secret, "client_secret = [\"canary\"]")], "connectors.globex.client_secret", "found a list");
    refused(&[(secret, "client_secret = \"\"")], "connectors.globex.client_secret", "empty secret");
    refused(
        &[(secret, "client_secrets = \"canary\"\nclient_secret = \"x\"")],
        "connectors.globex.client_secrets",
        "did you mean",
    );
    let wrong_and_twice = "client_secret = 5\nclient_secret_file = \"/nowhere\"";
    assert_eq!(load_toml(&changed(&[(secret, wrong_and_twice)])).unwrap_err().0.len(), 2);
    refused(&[("client_id = \"google-client\"\n", "")], "connectors.globex.client_id", "missing");
    let public = accepted(&[(secret, "")]);
    assert!(public.config.connectors["globex"].oidc().unwrap().client_secret.is_none());
    assert_eq!(public.warnings[0].place.key, "connectors.globex.client_secret_file");
}

#[test]
fn a_broken_line_does_not_show_the_secret_in_it() {
    let secret = "client_secret = \"canary-google\"";
    for broken in
        ["client_secret = \"canary-google", "client_secret = canary-google", "client_secret \"canary-google\""]
    {
        let problems = load_toml(&changed(&[(secret, broken)])).unwrap_err();
        assert!(problems.to_string().contains("not TOML"), "{problems}");
        assert!(!problems.to_string().contains("canary"), "{problems}");
    }
    let yaml = "connectors:\n  a:\n    client_secret: \"canary-google\n    b: [}\n";
    let problems = load_as("yaml", yaml, &[], &Overrides::default()).unwrap_err();
    assert!(problems.to_string().contains("not YAML") && !problems.to_string().contains("canary"), "{problems}");
    assert!(matches!(problems.0[0].place.source, Source::File { line: Some(_), .. }), "{problems}");
}

#[test]
fn o06_algorithms_that_prove_nothing_are_refused() {
    let add = |list: &str| format!("client_id = \"oidc-client\"\nalgorithms = {list}");
    let key = "connectors.initech.algorithms";
    refused(&[("client_id = \"oidc-client\"", &add("[\"none\"]"))], &format!("{key}[0]"), "unsigned");
    refused(&[("client_id = \"oidc-client\"", &add("[\"RS256\", \"HS256\"]"))], &format!("{key}[1]"), "HMAC");
    refused(&[("client_id = \"oidc-client\"", &add("[\"ES521\"]"))], &format!("{key}[0]"), "did you mean");
    refused(&[("client_id = \"oidc-client\"", &add("[]"))], key, "leave algorithms out");
    let loaded = accepted(&[("client_id = \"oidc-client\"", &add("[\"ES256\", \"EdDSA\"]"))]);
    assert_eq!(
        loaded.config.connectors["initech"].oidc().unwrap().algorithms,
        [SigningAlgorithm::ES256, SigningAlgorithm::EdDSA]
    );
}

#[test]
fn callback_paths_do_not_clash() {
    let add = |path: &str| format!("client_id = \"oidc-client\"\ncallback_path = {path:?}");
    let refused = |path: &str, says: &str| {
        refused(&[("client_id = \"oidc-client\"", &add(path))], "connectors.initech.callback_path", says);
    };
    refused("callback", "allowed: a path");
    refused("/", "home page");
    refused("/a/*", "without '*'");
    refused("/logout", "sign_out");
    refused("/.anteroom/sign-in", "other pages below its prefix");
    refused("/.anteroom/oidc/globex/callback", "other pages below its prefix");
    let loaded = accepted(&[("client_id = \"oidc-client\"", &add("/oauth2/callback"))]);
    assert_eq!(loaded.config.connectors["initech"].oidc().unwrap().callback_path, "/oauth2/callback");
    let both = [
        ("client_id = \"oidc-client\"", add("/cb")),
        ("client_id = \"google-client\"", add("/cb").replace("oidc-c", "google-c")),
    ];
    let both: Vec<(&str, &str)> = both.iter().map(|(a, b)| (*a, b.as_str())).collect();
    super::refused(&both, "connectors.initech.callback_path", "which connectors.globex has already");
}

#[test]
fn scopes_claims_and_prompt_are_checked() {
    let add = |line: &str| format!("client_id = \"oidc-client\"\n{line}");
    let from = "client_id = \"oidc-client\"";
    refused(&[(from, &add("scopes = [\"email profile\"]"))], "connectors.initech.scopes[0]", "without blanks");
    refused(&[(from, &add("prompt = \"none\""))], "connectors.initech.prompt", "\"login\"");
    refused(&[(from, &add("email_claim = \"\""))], "connectors.initech.email_claim", "1 to 255");
    refused(&[(from, &add("name = \"a\\nb\""))], "connectors.initech.name", "1 to 60");
    refused(
        &[("client_id = \"google-client\"", "client_id = \"google-client\"\nhosted_domains = [\"@x\"]")],
        "connectors.globex.hosted_domains[0]",
        "a domain",
    );
    let loaded = accepted(&[(from, &add("scopes = [\"groups\"]\nprompt = \"select_account\""))]);
    assert_eq!(loaded.config.connectors["initech"].oidc().unwrap().scopes, ["openid", "groups"]);
}

#[test]
fn outgoing_is_checked() {
    let add = |line: &str| format!("[outgoing]\n{line}\n[log]");
    refused(&[("[log]", &add("proxy = \"http://bob:canary@proxy:3128\""))], "outgoing.proxy", "user information");
    refused(&[("[log]", &add("proxy = \"proxy:3128\""))], "outgoing.proxy", "http://host:port");
    refused(&[("[log]", &add("no_proxy = [\"*\"]"))], "outgoing.no_proxy[0]", "allowed: a host name");
    refused(&[("[log]", &add("ca_file = \"nowhere.pem\""))], "outgoing.ca_file", "cannot read");
    let loaded = accepted(&[("[log]", &add("proxy = \"http://proxy:3128\"\nno_proxy = [\".corp\", \"10.0.0.0/8\"]"))]);
    assert_eq!(loaded.config.outgoing.proxy.unwrap().port(), Some(3128));
}

#[test]
fn a_connector_that_nobody_uses_is_a_warning() {
    let domain = "[domains.\"initech.example\"]\nconnector = \"initech\"\nenvironment = \"production\"\n";
    let loaded = accepted(&[(domain, "")]);
    assert_eq!(loaded.warnings.len(), 1);
    assert_eq!(loaded.warnings[0].place.key, "connectors.initech");
    let bare = "[server]\npublic_url = \"https://a.example\"\n[apps.a]\nupstream = \"http://b:1\"\n";
    let keys: Vec<String> = load_toml(bare).unwrap().warnings.into_iter().map(|w| w.place.key).collect();
    assert_eq!(keys, ["connectors", "domains"]);
}

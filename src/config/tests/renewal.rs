//! Settings of connectors for sessions that last: what a sign-in must be, how it is renewed, and the certificate in the
//! secret's place.

use super::*;

const OIDC: &str = "client_id = \"oidc-client\"";
const ENTRA: &str = "client_secret = \"canary-entra\"";
const GOOGLE: &str = "client_secret = \"canary-google\"";

/// The honest configuration with lines added after `line`.
fn more(line: &str, added: &str) -> Loaded {
    accepted(&[(line, &format!("{line}\n{added}"))])
}

#[track_caller]
fn wrong(line: &str, added: &str, key: &str, says: &str) {
    refused(&[(line, &format!("{line}\n{added}"))], key, says);
}

#[test]
fn o33_what_every_sign_in_must_be_is_read() {
    let loaded = more(OIDC, "max_age = \"8h\"\nacr = [\"gold\", \"urn:mace:incommon:iap:silver\"]\namr = [\"mfa\"]");
    let requirement = &loaded.config.connectors["initech"].oidc().unwrap().requirement;
    assert_eq!(requirement.max_age, Some(Duration::from_secs(8 * 3_600)));
    assert_eq!(requirement.acr.as_deref().unwrap(), ["gold", "urn:mace:incommon:iap:silver"]);
    assert_eq!(requirement.amr, ["mfa"]);
    let each_time = more(OIDC, "max_age = \"0s\"").config.connectors["initech"].oidc().unwrap().requirement.clone();
    assert_eq!(each_time.max_age, Some(Duration::ZERO));
    wrong(OIDC, "max_age = \"366d\"", "connectors.initech.max_age", "allowed: a length of time");
    wrong(OIDC, "acr = []", "connectors.initech.acr", "leave acr out");
    wrong(OIDC, "amr = []", "connectors.initech.amr", "leave amr out");
    wrong(OIDC, "acr = [\"gold silver\"]", "connectors.initech.acr[0]", "without blanks");
    wrong(OIDC, "amr = [\"mfa\", \"mfa\"]", "connectors.initech.amr[1]", "twice");
    let long = |count: usize| {
        let values: Vec<String> = (0..count).map(|n| format!("\"{n:0>200}\"")).collect();
        format!("acr = [{}]", values.join(", "))
    };
    wrong(OIDC, &long(3), "connectors.initech.acr", "512 characters together");
    assert_eq!(
        more(OIDC, &long(2)).config.connectors["initech"].oidc().unwrap().requirement.acr.as_ref().unwrap().len(),
        2
    );
}

#[test]
fn how_sessions_are_renewed_is_read() {
    let renewal = |added: &str| more(OIDC, added).config.connectors["initech"].oidc().unwrap().renewal;
    assert_eq!(renewal("renewal = \"off\""), Renewal::Off);
    let interval = |secs| Renewal::PromptNone { interval: Duration::from_secs(secs) };
    assert_eq!(renewal("renewal = \"prompt-none\""), interval(900));
    assert_eq!(renewal("renewal = \"prompt-none\"\nrenewal_interval = \"1h\""), interval(3_600));
    wrong(OIDC, "renewal = \"silent\"", "connectors.initech.renewal", "prompt-none");
    wrong(OIDC, "renewal_interval = \"1h\"", "connectors.initech.renewal_interval", "has no effect");
    let short = "renewal = \"prompt-none\"\nrenewal_interval = \"1s\"";
    wrong(OIDC, short, "connectors.initech.renewal_interval", "from 1m to 1d");
    assert_eq!(
        more(GOOGLE, "renewal = \"refresh\"").config.connectors["globex"].oidc().unwrap().renewal,
        Renewal::Refresh
    );
}

#[test]
fn a_sign_in_each_time_cannot_be_silent() {
    let both = "renewal = \"prompt-none\"\nmax_age = \"0s\"";
    wrong(OIDC, both, "connectors.initech.max_age", "prompt-none");
    assert!(more(OIDC, "renewal = \"prompt-none\"\nmax_age = \"8h\"").warnings.is_empty());
}

#[test]
fn entra_is_asked_for_a_refresh_token_unless_somebody_says_otherwise() {
    let scopes = |added: &str| {
        let loaded = more(ENTRA, added);
        let warned: Vec<_> = loaded.warnings.iter().map(|w| w.place.key.clone()).collect();
        (loaded.config.connectors["acme-entra"].oidc().unwrap().scopes.join(" "), warned)
    };
    let with = "openid profile email offline_access".to_owned();
    let without = "openid profile email".to_owned();
    assert_eq!(scopes(""), (with, vec![]));
    assert_eq!(scopes("renewal = \"off\""), (without, vec![]));
    let written = scopes("scopes = [\"email\"]");
    assert_eq!(written, ("openid email".into(), vec!["connectors.acme-entra.scopes".to_owned()]));
    assert_eq!(scopes("scopes = [\"email\"]\nrenewal = \"off\"").1, Vec::<String>::new());
    assert_eq!(scopes("scopes = [\"offline_access\"]"), ("openid offline_access".into(), vec![]));
}

#[test]
fn google_takes_no_scope_for_refresh_tokens() {
    let says = "renewal = \"refresh\"";
    wrong(GOOGLE, "scopes = [\"email\", \"offline_access\"]", "connectors.globex.scopes[1]", says);
    assert!(more(OIDC, "scopes = [\"email\", \"offline_access\"]").warnings.is_empty());
}

#[test]
fn a_certificate_and_its_key_stand_in_the_secrets_place() {
    let dir = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        let made = rcgen::generate_simple_self_signed(vec!["anteroom".into()]).unwrap();
        std::fs::write(dir.path().join(format!("{name}.pem")), made.cert.pem()).unwrap();
        std::fs::write(dir.path().join(format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
    };
    make("one");
    make("two");
    let line = |key: &str, file: &str| format!("{key} = {:?}\n", dir.path().join(file));
    let (certificate, key) = (line("client_certificate_file", "one.pem"), line("client_key_file", "one.key"));
    let both = format!("{certificate}{key}");
    assert!(more(OIDC, &both).config.connectors["initech"].oidc().unwrap().client_certificate.is_some());
    assert!(accepted(&[(ENTRA, &both)]).config.connectors["acme-entra"].oidc().unwrap().client_secret.is_none());

    wrong(ENTRA, &both, "connectors.acme-entra.client_certificate_file", "a client secret too");
    let at = |key: &str| format!("connectors.initech.{key}");
    let other = format!("{certificate}{}", line("client_key_file", "two.key"));
    wrong(OIDC, &other, &at("client_key_file"), "does not belong to the key");
    let missing = format!("{certificate}{}", line("client_key_file", "three.key"));
    wrong(OIDC, &missing, &at("client_key_file"), "cannot read");
    let swapped = format!("{}{key}", line("client_certificate_file", "one.key"));
    wrong(OIDC, &swapped, &at("client_key_file"), "no PEM certificate");
    for (alone, key) in [(&certificate, "client_key_file"), (&key, "client_certificate_file")] {
        let text = changed(&[(OIDC, &format!("{OIDC}\n{alone}"))]);
        let problems = load_toml(&text).unwrap_err().0;
        assert_eq!((problems.len(), problems[0].place.key.as_str()), (1, at(key).as_str()));
    }
}

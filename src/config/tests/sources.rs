//! File, environment and flags: what wins, what is converted, where mistakes are placed.

use super::*;

const MINIMAL: &str = "[server]\npublic_url = \"https://a.example\"\n[apps.a]\nupstream = \"http://b:1\"\n";

fn with_env(env: &[(&str, &str)]) -> Result<Loaded, Problems> {
    load_as("toml", HONEST, env, &Overrides::default())
}

#[test]
fn environment_wins_over_the_file_and_flags_over_both() {
    let env = [("ANTEROOM__SERVER__LISTEN", "127.0.0.1:1111"), ("ANTEROOM__LOG__LEVEL", "debug")];
    let mut flags = Overrides::default();
    flags.set("--listen", "server.listen", "127.0.0.1:2222");
    let config = load_as("toml", HONEST, &env, &flags).unwrap().config;
    assert_eq!(config.server.listen.port(), 2222);
    assert_eq!(config.log.level, "debug");
    assert_eq!(with_env(&env).unwrap().config.server.listen.port(), 1111);
}

#[test]
fn environment_values_are_converted_by_the_type_of_the_setting() {
    for secret in ["12345678", "true", "\"quoted\"", "a,b", "null"] {
        let env = [("ANTEROOM__CONNECTORS__ACME_ENTRA__CLIENT_SECRET", secret)];
        let config = with_env(&env).unwrap().config;
        let Some(Secret::Value(found)) = &config.connectors["acme-entra"].oidc().unwrap().client_secret else {
            panic!("a secret")
        };
        assert_eq!(found.expose_secret(), secret);
    }
    let env = [
        ("ANTEROOM__SERVER__TRUSTED_PROXIES", "10.0.0.0/8, 192.168.0.0/16"),
        ("ANTEROOM__SERVER__WORKERS", "3"),
        ("ANTEROOM__LOG__ACCESS", "false"),
        ("ANTEROOM__IDENTITY__HEADERS", ""),
        ("ANTEROOM__IDENTITY__ASSERTION__ENABLED", "false"),
    ];
    let config = with_env(&env).unwrap().config;
    assert_eq!(config.server.trusted_proxies.len(), 2);
    assert_eq!((config.server.workers, config.log.access), (3, false));
    assert!(config.identity.presets.is_empty() && config.identity.assertion.is_none());
}

#[test]
fn a_mistake_from_the_environment_names_the_variable() {
    for (name, value, says) in [
        ("ANTEROOM__SERVER__LISTN", "x", "server.listn: unknown key; did you mean \"listen\""),
        ("ANTEROOM__SERVR__LISTEN", "x", "servr: unknown key; did you mean \"server\""),
        ("ANTEROOM__SERVER__WORKERS", "many", "server.workers: found \"many\"; allowed: a whole number"),
        ("ANTEROOM__LOG__ACCESS", "yes", "log.access: found \"yes\"; allowed: true or false"),
        ("ANTEROOM__SERVER__TRUSTED_PROXIES", "10.0.0.0/8,0.0.0.0/0", "server.trusted_proxies[1]: found \"0.0.0.0/0\""),
        ("ANTEROOM__SERVER__LISTEN__PORT", "1", "server.listen: found a table; allowed: text"),
        ("ANTEROOM__APPS__PORTAL__ROUTES__0__ACCESS", "public", "lists are replaced as a whole"),
        ("ANTEROOM__APPS__PORTAL__ROUTES", "/x", "apps.portal.routes[0]: found text; allowed: a table"),
        ("ANTEROOM__DOMAINS__ACME_COM__CONNECTOR", "globex", "domains cannot be set from the environment"),
        ("ANTEROOM__server__listen", "x", "names are in capitals: ANTEROOM__SERVER__LISTEN"),
        ("ANTEROOM__SERVER", "canary", "server: found text; allowed: a table"),
        ("ANTEROOM__LOG__LEVEL", "\u{fffd}", "not UTF-8"),
    ] {
        let problems = with_env(&[(name, value)]).expect_err(name);
        assert_eq!(problems.0.len(), 1, "{problems}");
        let shown = problems.to_string();
        assert!(shown.starts_with(&format!("environment variable {name}: ")), "{shown}");
        assert!(shown.contains(says) && !shown.contains("canary"), "{shown}");
    }
}

#[test]
fn variables_of_others_are_not_looked_at() {
    let env =
        [("ANTEROOM_SERVICE_HOST", "10.0.0.1"), ("ANTEROOM_PORT", "tcp://x"), ("PATH", "/bin"), ("anteroom__x", "1")];
    assert!(with_env(&env).is_ok());
}

#[test]
fn two_variables_that_cannot_both_hold_are_a_mistake() {
    let env = [("ANTEROOM__LOG__LEVEL", "info"), ("ANTEROOM__LOG__LEVEL__X", "info")];
    let problems = with_env(&env).unwrap_err();
    assert!(problems.to_string().contains("log.level is not a table"), "{problems}");
}

#[test]
fn a_connector_can_come_from_the_environment_alone() {
    let env = [
        ("ANTEROOM__CONNECTORS__NEW_ONE__KIND", "oidc"),
        ("ANTEROOM__CONNECTORS__NEW_ONE__ISSUER", "https://idp.example"),
        ("ANTEROOM__CONNECTORS__NEW_ONE__CLIENT_ID", "x"),
    ];
    let config = with_env(&env).unwrap().config;
    assert_eq!(config.connectors["new-one"].oidc().unwrap().client_id, "x");
    let problems = with_env(&env[..2]).unwrap_err();
    let shown = problems.to_string();
    assert!(shown.contains("environment variable ANTEROOM__CONNECTORS__NEW_ONE__"), "{shown}");
    assert!(shown.contains("connectors.new-one.client_id: missing"), "{shown}");
}

#[test]
fn without_a_file_everything_comes_from_outside() {
    let env = [("ANTEROOM__SERVER__PUBLIC_URL", "https://a.example"), ("ANTEROOM__APPS__A__UPSTREAM", "http://b:1")];
    let env = || env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    let loaded = load(None, env(), &Overrides::default()).unwrap();
    assert_eq!(loaded.config.apps["a"].upstream.host, "b");
    let problems = load(None, env().skip(1), &Overrides::default()).unwrap_err();
    assert_eq!(
        problems.to_string().lines().next().unwrap().split("; ").next(),
        Some("configuration: server.public_url: missing")
    );
}

#[test]
fn relative_paths_count_from_the_file_or_from_the_working_directory() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("anteroom.toml");
    std::fs::write(&file, format!("{MINIMAL}[keys]\ndir = \"sub/keys\"\n")).unwrap();
    let read = |env: &[(&str, &str)]| {
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        load(Some(&file), env, &Overrides::default()).unwrap().config.keys.dir
    };
    assert_eq!(read(&[]), dir.path().join("sub/keys"));
    assert_eq!(read(&[("ANTEROOM__KEYS__DIR", "k")]), std::env::current_dir().unwrap().join("k"));
    assert_eq!(read(&[("ANTEROOM__KEYS__DIR", "/k")]), std::path::Path::new("/k"));
}

#[test]
fn a_secret_file_beside_the_configuration_is_found_and_not_beside_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("anteroom.toml");
    std::fs::write(dir.path().join("google"), "canary-file\n").unwrap();
    let text = changed(&[("client_secret = \"canary-google\"", "client_secret_file = \"google\"")]);
    std::fs::write(&file, text).unwrap();
    let config = load(Some(&file), std::iter::empty(), &Overrides::default()).unwrap().config;
    let secret = config.connectors["globex"].oidc().unwrap().client_secret.clone().unwrap();
    assert_eq!(secret.read().unwrap().expose_secret(), "canary-file");
    let env = [(String::from("ANTEROOM__CONNECTORS__GLOBEX__CLIENT_SECRET"), String::from("canary-env"))];
    let problems = load(Some(&file), env.into_iter(), &Overrides::default()).unwrap_err().to_string();
    assert!(problems.contains("given twice: client_secret is set too (environment variable ANTEROOM__"), "{problems}");
    assert!(!problems.contains("canary"));
}

#[test]
fn flags_are_named_and_take_no_secrets() {
    let load_with = |assignment: &str| {
        let mut flags = Overrides::default();
        flags.assign("--set", assignment).unwrap();
        load_as("toml", HONEST, &[], &flags)
    };
    let problems = load_with("log.level=loud").unwrap_err().to_string();
    assert!(problems.starts_with("flag --set: log.level: found \"loud\""), "{problems}");
    let problems = load_with("connectors.globex.client_secret=canary").unwrap_err().to_string();
    assert!(problems.contains("can be read by every user") && !problems.contains("canary"), "{problems}");
    let config = load_with("domains.\"acme.com\".connector=globex").unwrap().config;
    assert_eq!(config.domains[&"acme.com".parse().unwrap()].connector.as_str(), "globex");
}

#[test]
fn yaml_and_toml_say_the_same() {
    let tree: serde_json::Value = toml::from_str(HONEST).unwrap();
    let yaml = serde_saphyr::to_string(&tree).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let read = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        format!("{:?}", load(Some(&path), std::iter::empty(), &Overrides::default()).unwrap().config)
    };
    assert_eq!(read("a.yaml", &yaml), read("a.toml", HONEST));
    assert_eq!(read("a.yml", &yaml), read("a.toml", HONEST));
}

#[test]
fn yaml_mistakes_have_their_lines() {
    let yaml = "server:\n  public_url: https://a.example\n  workers: two\napps:\n  a:\n    upstream: http://b:1\n    \
                routes:\n      - path: /x\n        role: Root\n      - path: /y\n        path: /z\nlog:\n  level: info\n  \
                acess: true\nkeys:\n";
    let problems = load_as("yaml", yaml, &[], &Overrides::default()).unwrap_err();
    let found: Vec<(String, Option<usize>)> = problems
        .0
        .iter()
        .map(|p| {
            let Source::File { line, .. } = p.place.source else { panic!("{p}") };
            (p.place.key.clone(), line)
        })
        .collect();
    let expected = [
        ("server.workers", 3),
        ("apps.a.routes[0].role", 9),
        ("apps.a.routes[1].path", 11),
        ("log.acess", 14),
        ("keys", 15),
    ];
    assert_eq!(found, expected.map(|(key, line)| (key.to_owned(), Some(line))), "{problems}");
    assert!(problems.0[2].text.contains("duplicate key"));
}

#[test]
fn yaml_reads_yes_and_octal_looking_text_as_written() {
    let yaml = "server: {public_url: 'https://a.example'}\napps: {a: {upstream: 'http://b:1'}}\n\
                connectors: {c: {kind: oidc, issuer: 'https://i.example', client_id: 007, client_secret: no}}\n";
    let config = load_as("yaml", yaml, &[], &Overrides::default()).unwrap().config;
    assert_eq!(config.connectors["c"].oidc().unwrap().client_id, "007");
}

#[test]
fn a_file_that_cannot_be_read_is_one_mistake() {
    let dir = tempfile::tempdir().unwrap();
    for (name, content, says) in [
        ("missing.toml", None, "cannot read the file"),
        ("a.json", Some("{}".as_bytes()), "allowed: .toml, .yaml, .yml"),
        ("latin.toml", Some(b"# \xe4".as_slice()), "not UTF-8"),
        ("large.yaml", Some([b'#'; 1_100_000].as_slice()), "larger than 1 MiB"),
        ("list.yaml", Some(b"- a\n".as_slice()), "found a list; allowed: a table"),
        ("two.yaml", Some(b"a: 1\n---\nb: 2\n".as_slice()), "more than one document"),
    ] {
        let path = dir.path().join(name);
        content.into_iter().for_each(|bytes| std::fs::write(&path, bytes).unwrap());
        let problems = load(Some(&path), std::iter::empty(), &Overrides::default()).unwrap_err();
        assert_eq!(problems.0.len(), 1, "{problems}");
        assert!(problems.to_string().contains(says), "{problems}");
    }
}

#[test]
fn m09_a_yaml_bomb_is_refused() {
    let mut yaml = String::from("a: &a [x,x,x,x,x,x,x,x,x,x]\n");
    for (name, of) in ["b", "c", "d", "e", "f", "g", "h", "i"].iter().zip(["a", "b", "c", "d", "e", "f", "g", "h"]) {
        yaml.push_str(&format!("{name}: &{name} [{}]\n", vec![format!("*{of}"); 10].join(",")));
    }
    let problems = load_as("yaml", &yaml, &[], &Overrides::default()).unwrap_err();
    assert_eq!(problems.0.len(), 1, "{problems}");
    assert!(problems.to_string().contains("not YAML"), "{problems}");
}

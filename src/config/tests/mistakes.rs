//! Mistakes in server, apps, routes, identity, sessions and log.

use super::*;

#[test]
fn every_mistake_is_reported_in_one_run_in_the_order_of_the_file() {
    let text = changed(&[
        ("environment = \"production\"\ntrusted_proxies", "environment = \"staging\"\ntrusted_proxies"),
        ("role = \"Admin\"", "role = \"admin\""),
        ("client_id = \"google-client\"", "# no client id"),
        ("idle_timeout = \"12h\"", "idle_timeout = \"8d\"\nidle_timout = \"1h\""),
        ("format = \"text\"", "format = \"text\"\nformat = \"json\""),
    ]);
    let problems = load_toml(&text).unwrap_err();
    let keys: Vec<&str> = problems.0.iter().map(|p| p.place.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "server.environment",
            "apps.portal.routes[2].role",
            "connectors.globex.client_id",
            "sessions.idle_timeout",
            "sessions.idle_timout",
            "", // the duplicate key: the TOML parser names the key alone
        ]
    );
    let lines: Vec<&str> = text.lines().collect();
    for problem in &problems.0 {
        let Source::File { line: Some(line), .. } = &problem.place.source else { panic!("{problem}") };
        let key = problem.place.key.rsplit('.').next().unwrap();
        // What is missing is placed at the section's header.
        let expected = if key == "client_id" {
            "[connectors.globex]"
        } else if key.is_empty() {
            "format"
        } else {
            key
        };
        assert!(lines[line - 1].contains(expected), "{problem}");
    }
    let shown = problems.to_string();
    assert_eq!(shown.lines().count(), 6);
    assert!(shown.contains("anteroom.toml:13: apps.portal.routes[2].role: found \"admin\"; did you mean \"Admin\"?"));
}

#[test]
fn unknown_keys_are_mistakes_and_near_ones_are_suggested() {
    refused(&[("sign_out", "sign-out")], "apps.portal.sign-out", "did you mean \"sign_out\"?");
    refused(&[("[log]", "[logs]")], "logs", "did you mean \"log\"?");
    refused(&[("[log]", "[scim]\nurl = \"x\"\n[log]")], "scim", "unknown key");
    refused(&[("[log]", "tls = {}\n[log]")], "sessions.tls", "unknown key");
    refused(&[("lifetime = \"30s\"", "lifetime = \"30s\", ttl = 1")], "identity.assertion.ttl", "allowed: \"header\"");
}

#[test]
fn values_of_another_type_are_refused() {
    refused(&[("sign_out = \"/logout\"", "sign_out = 5")], "apps.portal.sign_out", "found 5; allowed: text, in quotes");
    refused(&[("[\"10.0.0.0/8\"]", "\"10.0.0.0/8\"")], "server.trusted_proxies", "found text; allowed: a list");
    refused(&[("format = \"text\"", "access = \"yes\"")], "log.access", "found \"yes\"; allowed: true or false");
    refused(&[("[server]", "workers = 2\n[server]")], "workers", "unknown key");
    refused(&[("trusted_proxies", "workers = 0\ntrusted_proxies")], "server.workers", "found 0; allowed: 1 to 256");
    refused(&[("trusted_proxies", "workers = -1\ntrusted_proxies")], "server.workers", "a whole number");
    refused(&[("[log]", "[log]\nlevel = 2020-01-01\n")], "log.level", "found a date");
}

#[test]
fn the_public_url_is_an_https_origin() {
    let with = |url: &str| format!("\"{url}\"");
    let from = "\"https://app.example.com\"";
    refused(&[("public_url = \"https://app.example.com\"", "")], "server.public_url", "missing; allowed: an origin");
    refused(&[(from, &with("https://app.example.com/app"))], "server.public_url", "without path or query");
    refused(&[(from, &with("http://app.example.com"))], "server.public_url", "plain http off loopback");
    accepted(&[(from, &with("http://app.localhost:4180"))]);
    let insecure = "\"http://app.example.com\"\ninsecure_http = \"yes-for-testing-only\"";
    let loaded = accepted(&[(from, insecure)]);
    assert!(!loaded.config.server.public_url.secure_cookies());
    assert_eq!(loaded.warnings[0].place.key, "server.insecure_http");
    let other = "\"http://app.example.com\"\ninsecure_http = true";
    let problems = load_toml(&changed(&[(from, other)])).unwrap_err().0;
    assert!(problems.iter().any(|p| p.place.key == "server.insecure_http" && p.text.contains("yes-for-testing-only")));
}

#[test]
fn x13_the_whole_internet_is_no_trusted_proxy() {
    for wide in ["0.0.0.0/0", "::/0", "0.0.0.0/1", "::ffff:0:0/96"] {
        refused(&[("10.0.0.0/8", wide)], "server.trusted_proxies[0]", "trusts strangers");
    }
    refused(&[("10.0.0.0/8", "10.0.0.1/8")], "server.trusted_proxies[0]", "for the network write 10.0.0.0/8");
    refused(&[("10.0.0.0/8", "proxy.example")], "server.trusted_proxies[0]", "allowed: an IP address or a CIDR");
    assert!(accepted(&[("[\"10.0.0.0/8\"]", "[]")]).config.server.trusted_proxies.is_empty());
}

/// Limits by the client's address are one limit for all then.
#[test]
fn nobody_in_front_who_counts_is_a_warning_where_somebody_is_in_front() {
    let keys = |changes: &[(&str, &str)]| -> Vec<String> {
        accepted(changes).warnings.into_iter().map(|warning| warning.place.key).collect()
    };
    let nobody = ("trusted_proxies = [\"10.0.0.0/8\"]", "");
    assert_eq!(keys(&[nobody]), ["server.trusted_proxies"]);
    assert_eq!(keys(&[("[\"10.0.0.0/8\"]", "[]")]), ["server.trusted_proxies"]);
    assert_eq!(keys(&[]), [""; 0]);
    assert_eq!(keys(&[(nobody.0, "listen = \"127.0.0.1:4180\"")]), [""; 0], "only this machine gets here");
    assert_eq!(keys(&[(nobody.0, "listen = \"[::]:4180\"")]), ["server.trusted_proxies"]);
}

#[test]
fn the_two_listeners_have_ports_of_their_own() {
    let ops = |listen: &str| format!("[ops]\nlisten = \"{listen}\"\n[log]");
    refused(&[("[log]", &ops("127.0.0.1:4180"))], "ops.listen", "which server.listen");
    refused(&[("[log]", &ops("localhost:9090"))], "ops.listen", "an IP address and a port");
    accepted(&[("[log]", &ops("[::1]:9191"))]);
}

#[test]
fn the_environment_is_required_once_there_are_domains() {
    refused(
        &[("environment = \"production\"\ntrusted", "trusted")],
        "server.environment",
        "missing, and there are domains",
    );
    let demo = accepted(&[("environment = \"production\"\ntrusted", "environment = \"demo\"\ntrusted")]);
    assert_eq!(demo.warnings.len(), 3, "a domain of the other environment loads with a warning");
    assert!(demo.warnings.iter().all(|w| w.text.contains("not enabled")));
}

#[test]
fn a_domain_names_a_connector_that_is_there() {
    refused(
        &[("connector = \"globex\"", "connector = \"globx\"")],
        "domains.\"globex.example\".connector",
        "did you mean \"globex\"",
    );
    refused(
        &[("connector = \"globex\"\nenvironment", "environment")],
        "domains.\"globex.example\".connector",
        "missing",
    );
    refused(&[("\"acme.com\"", "\"acme\"")], "domains.acme", "e-mail domain");
    let twice = "[domains.\"ACME.com\"]\nconnector = \"globex\"\nenvironment = \"demo\"\n[identity]";
    refused(&[("[identity]", twice)], "domains.\"ACME.com\"", "another spelling");
}

#[test]
fn apps_are_there_and_have_their_own_host() {
    refused(
        &[("sign_out", "hosts = [\"app.example.com\", \"b.example.com\"]\nsign_out")],
        "apps.portal.hosts[1]",
        "such as public_url = \"https://b.example.com\"",
    );
    refused(
        &[("sign_out", "hosts = [\"*.example.com\"]\nsign_out")],
        "apps.portal.hosts[0]",
        "without scheme, port, path or wildcard",
    );
    refused(&[("sign_out", "hosts = [\"app.example.com:443\"]\nsign_out")], "apps.portal.hosts[0]", "port");
    refused(&[("sign_out", "hosts = []\nsign_out")], "apps.portal.hosts", "leave hosts out");
    assert_eq!(
        accepted(&[("sign_out", "hosts = [\"App.Example.COM.\"]\nsign_out")]).config.apps["portal"].hosts,
        ["app.example.com"]
    );
    let second = "[apps.second]\nupstream = \"http://127.0.0.1:3001\"\n[log]";
    refused(&[("[log]", second)], "apps.second.hosts", "the host of apps.portal already");
    refused(&[("[log]", "[apps.Second]\nupstream = \"http://b:1\"\n[log]")], "apps.Second", "an id is");
    let problems = load_toml("[server]\npublic_url = \"https://a.example\"\n").unwrap_err().0;
    assert_eq!((problems.len(), problems[0].place.key.as_str()), (1, "apps"));
}

/// One app more, reached by an origin of its own.
fn second(settings: &str) -> String {
    format!("[apps.second]\nupstream = \"http://127.0.0.1:3001\"\n{settings}\n[log]")
}

#[test]
fn an_app_on_another_host_has_an_origin_of_its_own() {
    let hosts = |more: &str| {
        let config = accepted(&[("[log]", &second(more))]).config;
        let app = config.apps["second"].clone();
        (app.hosts, app.public_url.map(|url| url.origin))
    };
    let suite = (vec!["suite.example.org".to_owned()], Some("https://suite.example.org:8443".to_owned()));
    assert_eq!(hosts("public_url = \"https://Suite.example.org:8443/\""), suite);
    assert_eq!(hosts("public_url = \"https://suite.example.org:8443\"\nhosts = [\"suite.example.org\"]"), suite);
    let both = "public_url = \"https://b.example.com\"\nhosts = [\"app.example.com\", \"b.example.com\"]\nsign_out";
    let both = accepted(&[("sign_out", both)]).config;
    assert_eq!(both.apps["portal"].hosts, ["app.example.com", "b.example.com"]);
    let same = accepted(&[("sign_out", "public_url = \"https://app.example.com\"\nsign_out")]).config;
    assert_eq!(same.apps["portal"].hosts, ["app.example.com"]);

    for (settings, key, says) in [
        ("public_url = \"suite.example.org\"", "public_url", "an origin without path or query"),
        ("public_url = \"https://suite.example.org/app\"", "public_url", "an origin without path or query"),
        ("public_url = \"http://suite.example.org\"", "public_url", "plain http off loopback"),
        ("public_url = \"https://app.example.com:8443\"", "public_url", "a host has one origin"),
        (
            "public_url = \"https://suite.example.org\"\nhosts = [\"suite.example.org\", \"c.example.org\"]",
            "hosts[1]",
            "public_url = \"https://c.example.org\"",
        ),
        (
            "public_url = \"https://suite.example.org\"\nhosts = [\"app.example.com\"]",
            "public_url",
            "not among the app's hosts",
        ),
    ] {
        let problems = load_toml(&changed(&[("[log]", &second(settings))])).unwrap_err().0;
        let found = problems.iter().find(|problem| problem.place.key == format!("apps.second.{key}"));
        assert!(found.is_some_and(|problem| problem.text.contains(says)), "{settings}: {}", Problems(problems.clone()));
    }
    let taken = second("public_url = \"https://app.example.com\"");
    refused(&[("[log]", &taken)], "apps.second.hosts", "the host of apps.portal already");
}

#[test]
fn origins_agree_on_whether_cookies_are_secure() {
    let plain = [
        (
            "public_url = \"https://app.example.com\"",
            "public_url = \"http://app.example.com\"\ninsecure_http = \"yes-for-testing-only\"",
        ),
        ("[log]", &second("public_url = \"http://suite.example.org\"")),
    ];
    assert!(!accepted(&plain).config.apps["second"].public_url.as_ref().unwrap().secure_cookies());
    let mixed = second("public_url = \"https://suite.example.org\"");
    refused(&[plain[0], ("[log]", &mixed)], "apps.second.public_url", "plain http for both");
    let mixed = second("public_url = \"http://suite.example.org\"");
    let secure = (
        "public_url = \"https://app.example.com\"",
        "public_url = \"https://app.example.com\"\ninsecure_http = \"yes-for-testing-only\"",
    );
    refused(&[secure, ("[log]", &mixed)], "apps.second.public_url", "https for both");
    let local = second("public_url = \"http://suite.localhost:4180\"");
    accepted(&[("[log]", &local)]);
}

#[test]
fn upstreams_and_sign_out_are_of_the_form_that_this_version_serves() {
    let upstream = "\"http://127.0.0.1:3000\"";
    refused(&[(upstream, "\"unix:/run/app.sock\"")], "apps.portal.upstream", "not supported by this version");
    refused(&[(upstream, "\"https://app:3000\"")], "apps.portal.upstream", "not supported by this version");
    refused(&[(upstream, "\"http://app:3000/base\"")], "apps.portal.upstream", "without path");
    refused(&[(upstream, "\"http://bob:canary@app:3000\"")], "apps.portal.upstream", "user information");
    refused(&[("upstream = \"http://127.0.0.1:3000\"", "")], "apps.portal.upstream", "missing");
    for bad in ["logout", "/logout?x=1", "/a/../b", "/", "/out/*"] {
        refused(&[("\"/logout\"", &format!("{bad:?}"))], "apps.portal.sign_out", "allowed: a path");
    }
    refused(&[("\"/logout\"", "\"/.anteroom/sign-out\"")], "apps.portal.sign_out", "the application's own");
}

#[test]
fn routes_have_known_words_and_normal_patterns() {
    let path = "\"/admin/**\"";
    refused(&[(path, "\"admin\"")], "apps.portal.routes[2].path", "starts with '/'");
    refused(&[(path, "\"/admin*\"")], "apps.portal.routes[2].path", "'**' stands only at the end");
    refused(&[(path, "\"/a/../b\"")], "apps.portal.routes[2].path", "no empty");
    refused(&[(path, "\"/.anteroom/x\"")], "apps.portal.routes[2].path", "own paths");
    refused(&[("path = \"/admin/**\", ", "")], "apps.portal.routes[2].path", "missing");
    refused(
        &[("\"public\"", "\"open\"")],
        "apps.portal.routes[0].access",
        "allowed: \"signed-in\", \"public\", \"native\"",
    );
    refused(&[("\"Admin\"", "\"Root\"")], "apps.portal.routes[2].role", "allowed: \"any\", \"web\", \"ReadOnly\"");
    refused(&[("\"POST\"]", "\"post\"]")], "apps.portal.routes[1].methods[1]", "did you mean \"POST\"");
    refused(&[("\"POST\"]", "\"PSOT\"]")], "apps.portal.routes[1].methods[1]", "allowed: \"GET\"");
    refused(&[("\"POST\"]", "\"GET\"]")], "apps.portal.routes[1].methods[1]", "twice");
    refused(&[("[\"GET\", \"POST\"]", "[]")], "apps.portal.routes[1].methods", "leave methods out");
    accepted(&[("\"Admin\"", "\"web\", authorization = \"keep\"")]);
}

#[test]
fn a_setting_that_can_have_no_effect_on_its_route_is_a_mistake() {
    refused(
        &[("access = \"public\"", "access = \"public\", role = \"User\"")],
        "apps.portal.routes[0].role",
        "signed-in",
    );
    refused(
        &[("access = \"native\"", "access = \"native\", role = \"User\"")],
        "apps.portal.routes[1].role",
        "signed-in",
    );
    refused(
        &[("access = \"native\"", "access = \"native\", authorization = \"drop\"")],
        "apps.portal.routes[1].authorization",
        "always passes",
    );
    accepted(&[("access = \"public\"", "access = \"public\", authorization = \"keep\"")]);
    for setting in ["max_age = \"5m\"", "acr = [\"high\"]", "amr = [\"mfa\"]", "keep_post = true"] {
        let key = setting.split(' ').next().unwrap();
        for (index, access) in ["access = \"public\"", "access = \"native\""].into_iter().enumerate() {
            let place = format!("apps.portal.routes[{index}].{key}");
            refused(&[(access, &format!("{access}, {setting}"))], &place, "signed-in");
        }
        accepted(&[("role = \"Admin\"", &format!("role = \"Admin\", {setting}"))]);
    }
    let keep = |methods: &str| format!("methods = [{methods}], keep_post = true");
    refused(&[("role = \"Admin\"", &keep("\"GET\", \"PUT\""))], "apps.portal.routes[2].keep_post", "have no POST");
    accepted(&[("role = \"Admin\"", &keep("\"GET\", \"POST\""))]);
}

#[test]
fn what_a_route_asks_of_the_sign_in_is_told_apart_from_mistakes() {
    let at = |key: &str| format!("apps.portal.routes[2].{key}");
    for (setting, key, text) in [
        ("max_age = \"30s\"", "max_age", "from 1m to 365d"),
        ("max_age = 300", "max_age", "text, in quotes"),
        ("acr = []", "acr", "empty list"),
        ("acr = \"high\"", "acr", "a list"),
        ("acr = [\"high low\"]", "acr[0]", "without blanks"),
        ("amr = [\"mfa\", \"\"]", "amr[1]", "without blanks"),
        ("amr = [\"mfa\", \"mfa\"]", "amr[1]", "twice"),
    ] {
        refused(&[("role = \"Admin\"", setting)], &at(key), text);
    }
    let loaded = accepted(&[("role = \"Admin\"", "max_age = \"15m\", acr = [\"urn:x:2\", \"c1\"], amr = [\"mfa\"]")]);
    let app = loaded.config.apps.values().next().unwrap();
    let step_up = &app.routes[2].step_up;
    assert_eq!(step_up.max_age, Some(Duration::from_secs(900)));
    assert_eq!(
        (step_up.acr.as_deref().unwrap(), step_up.amr.as_slice()),
        (["urn:x:2".into(), "c1".into()].as_slice(), ["mfa".into()].as_slice())
    );
    assert_eq!(app.routes[0].step_up, Requirement::default());
}

#[test]
fn p04_a_route_that_an_earlier_one_covers_is_a_mistake() {
    refused(
        &[("\"/admin/**\"", "\"/assets/app.js\"")],
        "apps.portal.routes[2]",
        "never matches: apps.portal.routes[0]",
    );
    let narrower = "{ path = \"/api/users\", methods = [\"GET\"] }";
    refused(
        &[("{ path = \"/admin/**\", role = \"Admin\" }", narrower)],
        "apps.portal.routes[2]",
        "apps.portal.routes[1]",
    );
    accepted(&[("{ path = \"/admin/**\", role = \"Admin\" }", "{ path = \"/api/users\", methods = [\"PUT\"] }")]);
    accepted(&[("{ path = \"/admin/**\", role = \"Admin\" }", "{ path = \"/api/users\" }")]);
}

#[test]
fn a_route_that_makes_everything_public_is_a_warning() {
    let loaded = accepted(&[("{ path = \"/admin/**\", role = \"Admin\" }", "{ path = \"/**\", access = \"public\" }")]);
    assert_eq!(loaded.warnings.len(), 1);
    assert_eq!(loaded.warnings[0].place.key, "apps.portal.routes[2]");
}

#[test]
fn x01_identity_headers_have_names_of_their_own() {
    for name in
        ["Host", "Cookie", "Authorization", "Connection", "Content-Length", "Transfer-Encoding", "X-Anteroom-Role"]
    {
        refused(&[("\"X-Mail\"", &format!("{name:?}"))], "identity.headers[1].name", "a name of its own");
    }
    refused(&[("\"X-Mail\"", "\"X-Forwarded-Email\"")], "identity.headers[1]", "set by identity.headers[0] already");
    refused(
        &[("\"x-forwarded\", {", "\"x-forwarded\", \"remote\", \"x-forwarded\", {")],
        "identity.headers[2]",
        "already",
    );
    refused(&[("\"x-forwarded\", {", "\"x-forwardet\", {")], "identity.headers[0]", "did you mean \"x-forwarded\"");
    refused(&[("\"x-forwarded\", {", "5, {")], "identity.headers[0]", "or a table with name and value");
    refused(&[("{email}", "{mail}")], "identity.headers[1].value", "no field is called");
    refused(&[("lifetime = \"30s\"", "lifetime = \"1h\"")], "identity.assertion.lifetime", "from 10s to 10m");
    refused(&[("lifetime = \"30s\"", "header = \"X-Mail\"")], "identity.assertion.header", "already");
    assert!(accepted(&[("lifetime = \"30s\"", "enabled = false")]).config.identity.assertion.is_none());
    assert!(accepted(&[("\"x-forwarded\", {", "{")]).config.identity.presets.is_empty());
}

#[test]
fn native_settings_cannot_touch_identity() {
    for name in ["Authorization", "X-Forwarded-User", "Remote-User", "Cookie"] {
        refused(&[("X-Api-Key", name)], "apps.portal.native.api_key_headers[0]", "allowed");
    }
    refused(&[("\"Basic realm=\\\"portal\\\"\"", "\"ask_app\"")], "apps.portal.native.challenge", "ask-app");
    let ask = accepted(&[("\"Basic realm=\\\"portal\\\"\"", "\"ask-app\"")]);
    assert!(matches!(ask.config.apps["portal"].native.challenge, NativeChallenge::AskApp));
}

#[test]
fn sessions_and_log_hold_together() {
    refused(&[("\"12h\"", "\"8d\"")], "sessions.idle_timeout", "longer than sessions.absolute_timeout (7d)");
    refused(&[("\"12h\"", "\"12\"")], "sessions.idle_timeout", "a length of time");
    accepted(&[("\"12h\"", "\"7d\"\nsame_site = \"none\"")]);
    refused(&[("\"12h\"", "\"12h\"\nsame_site = \"strict\"")], "sessions.same_site", "allowed: \"lax\", \"none\"");
    let insecure = "\"http://app.example.com\"\ninsecure_http = \"yes-for-testing-only\"";
    refused(
        &[("\"https://app.example.com\"", insecure), ("\"12h\"", "\"12h\"\nsame_site = \"none\"")],
        "sessions.same_site",
        "Secure",
    );
    refused(&[("format = \"text\"", "level = \"inof\"")], "log.level", "did you mean \"info\"");
}

use std::time::Duration;

use super::*;
use crate::base::role::Role;

fn app(routes: &[(&str, &[Method], Access, RequiredRole)]) -> AppRules {
    let routes = routes.iter().map(|(path, methods, access, role)| config::Route {
        path: path.parse().unwrap(),
        methods: methods.to_vec(),
        access: *access,
        role: *role,
        authorization: Authorization::Drop,
        step_up: Requirement::default(),
        keep_post: false,
    });
    app_of(routes.collect())
}

fn app_of(routes: Vec<config::Route>) -> AppRules {
    let app = config::App {
        hosts: vec!["app.example.com".into()],
        public_url: None,
        upstream: config::Upstream { host: "127.0.0.1".into(), port: 1 },
        sign_out: None,
        routes,
        native: config::Native {
            challenge: NativeChallenge::AskApp,
            api_key_headers: vec![],
            sign_in: vec![],
            allow: vec![],
        },
    };
    AppRules::new(&"portal".parse().unwrap(), 0, &app)
}

fn access(app: &AppRules, method: &str, path: &str, over: Option<&str>) -> Access {
    let mut headers = HeaderMap::new();
    if let Some(over) = over {
        headers.insert("x-http-method-override", over.parse().unwrap());
    }
    app.rule(&method.parse().unwrap(), &headers, path).access
}

#[test]
fn the_first_match_wins_and_nothing_matching_means_signed_in() {
    let any = RequiredRole::Any;
    let app = app(&[("/public/secret", &[], Access::SignedIn, any), ("/public/**", &[], Access::Public, any)]);
    assert_eq!(access(&app, "GET", "/public/a", None), Access::Public);
    assert_eq!(access(&app, "GET", "/public/secret", None), Access::SignedIn);
    // P04
    assert_eq!(access(&app, "GET", "/publicadmin", None), Access::SignedIn);
    assert_eq!(access(&app, "GET", "/x/public/a", None), Access::SignedIn);
    assert_eq!(access(&app, "GET", "/public", None), Access::SignedIn);
}

/// P05, and its honest twin: a public route open to all methods stays public with an override header.
#[test]
fn a_rule_for_get_is_for_get_alone_whatever_override_headers_say() {
    let any = RequiredRole::Any;
    let app = app(&[("/page", &[Method::GET], Access::Public, any), ("/open/**", &[], Access::Public, any)]);
    assert_eq!(access(&app, "GET", "/page", None), Access::Public);
    for method in ["HEAD", "POST", "get"] {
        assert_eq!(access(&app, method, "/page", None), Access::SignedIn, "{method}");
    }
    for over in ["POST", "delete", " PUT ", "no such"] {
        assert_eq!(access(&app, "GET", "/page", Some(over)), Access::SignedIn, "{over}");
    }
    assert_eq!(access(&app, "GET", "/page", Some("get")), Access::Public);
    assert_eq!(access(&app, "GET", "/open/x", Some("DELETE")), Access::Public);
}

/// P02: a container that drops `;parameters` serves /admin/x for /admin;p/x.
#[test]
fn path_parameters_never_lower_what_is_asked_for() {
    let admin = RequiredRole::AtLeast(Role::Admin);
    let app =
        app(&[("/admin/**", &[], Access::SignedIn, admin), ("/public/**", &[], Access::Public, RequiredRole::Any)]);
    let rule = |path| app.rule(&Method::GET, &HeaderMap::new(), path);
    assert_eq!(rule("/admin;x=1/users").role, admin);
    assert_eq!(rule("/admin/users;x=1").role, admin);
    assert_eq!(rule("/public;x/a").access, Access::SignedIn);
    assert_eq!(rule("/public/a;v=2").access, Access::Public);
    assert_eq!(rule("/other;x").role, RequiredRole::Any);
}
/// P02, E13: whichever way the application reads the request, nothing is lost of what that reading asks for.
#[test]
fn of_two_readings_what_either_asks_for_holds() {
    let route = |path: &str, role, authorization, max_age: u64, keep_post| config::Route {
        path: path.parse().unwrap(),
        methods: vec![],
        access: Access::SignedIn,
        role,
        authorization,
        step_up: Requirement { max_age: Some(Duration::from_secs(max_age)), ..Requirement::default() },
        keep_post,
    };
    let (admin, any) = (RequiredRole::AtLeast(Role::Admin), RequiredRole::Any);
    let app = app_of(vec![
        route("/pay/*", admin, Authorization::Keep, 600, true),
        route("/*/all", any, Authorization::Drop, 60, false),
        config::Route {
            access: Access::Public,
            step_up: Requirement::default(),
            ..route("/**", any, Authorization::Keep, 1, true)
        },
    ]);
    let rule = |path| app.rule(&Method::GET, &HeaderMap::new(), path);
    let max_age = |rule: &Rule| rule.step_up.as_ref().and_then(|asked| asked.max_age).map(|age| age.as_secs());
    let plain = rule("/pay/most");
    assert_eq!(
        (plain.role, max_age(&plain), plain.keeps_authorization(), plain.keep_post),
        (admin, Some(600), true, true)
    );
    let both = rule("/pay;v=1/all");
    assert_eq!(
        (both.role, max_age(&both), both.keeps_authorization(), both.keep_post),
        (admin, Some(60), false, false)
    );
    let public = rule("/pay;x/most");
    assert_eq!((public.access, max_age(&public)), (Access::SignedIn, Some(600)));
    let open = rule("/open;x");
    assert_eq!((open.access, open.step_up.is_none(), open.keeps_authorization()), (Access::Public, true, true));
}

/// What the provider is asked for comes from the rules here, never from the link (O41).
#[test]
fn a_target_says_which_rule_the_sign_in_is_for() {
    let route = |path: &str, methods: &[Method], acr: &str| config::Route {
        path: path.parse().unwrap(),
        methods: methods.to_vec(),
        access: Access::SignedIn,
        role: RequiredRole::Any,
        authorization: Authorization::Drop,
        step_up: Requirement { acr: Some(vec![acr.to_owned()]), ..Requirement::default() },
        keep_post: false,
    };
    let app = app_of(vec![route("/pay", &[Method::POST], "post"), route("/pay", &[], "any")]);
    let snapshot = Snapshot {
        apps: vec![app],
        by_host: vec![("app.example.com".into(), 0)],
        sign_in_host: "app.example.com".into(),
        prefix: "/.anteroom".into(),
        acs_hosts: vec![],
        own_paths: HashMap::new(),
    };
    let acr = |host: &str, target: &str| snapshot.requirement_for(host, target).acr.unwrap_or_default().join(",");
    for target in ["/pay", "/pay?x=1", "/pay#there", "GET /pay", "//pay", "/%70ay", "/pay;x=1"] {
        assert_eq!(acr("app.example.com", target), "any", "{target}");
    }
    assert_eq!(acr("app.example.com", "POST /pay?x"), "post");
    for target in ["/", "/pay/", "", "/a/../pay", "https://app.example.com/pay", "a b c", "/.anteroom/me"] {
        assert_eq!(acr("app.example.com", target), "", "{target:?}");
    }
    assert_eq!(acr("other.example.com", "/pay"), "");
}

/// P09: a configured path is ours on its host alone; beside it, a host without an application has own paths and no more.
#[test]
fn p09_a_configured_path_is_an_own_path_on_its_host() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("anteroom.toml");
    let saml = |id: &str, acs: &str| {
        format!("[connectors.{id}]\nkind = \"saml\"\nmetadata_url = \"https://idp.example/m\"\nacs_url = \"{acs}\"\n")
    };
    let text = [
        "[server]\npublic_url = \"https://login.example.com\"\n".to_owned(),
        "[apps.a]\nupstream = \"http://b:1\"\npublic_url = \"https://app.example.com\"\n".to_owned(),
        "[connectors.hooli]\nkind = \"oidc\"\nissuer = \"https://i.example\"\nclient_id = \"c\"\n".to_owned(),
        "callback_path = \"/answer\"\n".to_owned(),
        saml("initech", "https://app.example.com/answer"),
        saml("globex", "https://acs.example.net/answer"),
        saml("acme", "https://login.example.com/.anteroom/saml/acme/acs"),
    ];
    std::fs::write(&file, text.concat()).unwrap();
    let loaded = config::load(Some(&file), std::iter::empty(), &config::Overrides::default());
    let snapshot = Snapshot::new(&loaded.unwrap_or_else(|problems| panic!("{problems}")).config);
    for (host, own) in [
        ("login.example.com", Some("oidc/hooli/callback")),
        ("app.example.com", Some("saml/initech/acs")),
        ("acs.example.net", Some("saml/globex/acs")),
        ("example.net", None),
    ] {
        assert_eq!(snapshot.own_path(host, "/answer"), own, "{host}");
        assert_eq!(snapshot.is_own_host(host), own.is_some(), "{host}");
        for other in ["/", "/answer/", "/Answer", "/answer/x", "/.anteroom/saml/acme/acs"] {
            assert_eq!(snapshot.own_path(host, other), None, "{host}{other}");
        }
    }
    assert!(snapshot.app_of_host("acs.example.net").is_none() && snapshot.app_of_host("app.example.com").is_some());
}

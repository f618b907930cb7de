//! Hosts, routes and what each asks for, compiled from the configuration.

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::base::id::Id;
use crate::base::path;
use crate::base::pattern::PathPattern;
use crate::base::role::RequiredRole;
use crate::config::{self, Access, Authorization, Config, NativeChallenge, Requirement};

/// Headers by which frameworks let a request stand for another method.
const METHOD_OVERRIDES: [HeaderName; 3] = [
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-method-override"),
];

/// Everything a request is judged by: apps by host, routes by app. One request sees one snapshot.
pub struct Snapshot {
    apps: Vec<AppRules>,
    /// Sorted. Few as a rule, so that comparing beats hashing.
    by_host: Vec<(Box<str>, usize)>,
    /// The host of `public_url`: pages and callbacks live there.
    sign_in_host: Box<str>,
    /// Own prefix, `/.anteroom`.
    prefix: Box<str>,
    /// Configured callback paths outside the prefix: own paths too.
    callbacks: HashMap<Box<str>, Id>,
}

/// What one app's requests are judged by.
pub struct AppRules {
    pub id: Id,
    /// The app's place in the snapshot: cores keep their connections to it by this.
    pub index: usize,
    pub upstream: config::Upstream,
    /// The app's own sign-out path.
    pub sign_out: Option<String>,
    pub native_challenge: NativeChallenge,
    pub api_key_headers: Vec<HeaderName>,
    rules: Vec<(PathPattern, Vec<Method>, Rule)>,
}

/// What a route asks for. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub access: Access,
    pub role: RequiredRole,
    pub authorization: Authorization,
    /// What is asked of the sign-in itself, of signed-in routes alone. None: nothing.
    pub step_up: Option<Arc<Requirement>>,
    /// A form that arrives without a good session is kept for after the sign-in.
    pub keep_post: bool,
}

static DEFAULT: Rule = Rule::DEFAULT;

impl Rule {
    /// What holds where no route matches: signed in, any role.
    pub const DEFAULT: Self = Self {
        access: Access::SignedIn,
        role: RequiredRole::Any,
        authorization: Authorization::Drop,
        step_up: None,
        keep_post: false,
    };

    fn new(route: &config::Route) -> Self {
        Self {
            access: route.access,
            role: route.role,
            authorization: route.authorization,
            step_up: (!route.step_up.is_empty()).then(|| Arc::new(route.step_up.clone())),
            keep_post: route.keep_post,
        }
    }

    /// Whether a request that goes on keeps its `Authorization` header: on native routes always, elsewhere by the
    /// route's setting (N01, N02).
    pub fn keeps_authorization(&self) -> bool {
        self.access == Access::Native || self.authorization == Authorization::Keep
    }

    /// What holds where a request may be read in two ways: all that either asks for, and only what both allow.
    fn and(self, other: &Self) -> Self {
        if self == *other {
            return self;
        }
        let access = match (self.access, other.access) {
            (Access::SignedIn, _) | (_, Access::SignedIn) => Access::SignedIn,
            (Access::Native, _) | (_, Access::Native) => Access::Native,
            (Access::Public, Access::Public) => Access::Public,
        };
        let keeps = self.keeps_authorization() && other.keeps_authorization();
        Self {
            access,
            role: self.role.max(other.role),
            authorization: if keeps { Authorization::Keep } else { Authorization::Drop },
            step_up: match (self.step_up, &other.step_up) {
                (Some(one), Some(two)) => Some(Arc::new(one.and(two))),
                (one, two) => one.or_else(|| two.clone()),
            },
            keep_post: self.keep_post && other.keep_post,
        }
    }
}

impl Snapshot {
    /// Compiles `config`.
    pub fn new(config: &Config) -> Self {
        let apps: Vec<AppRules> =
            config.apps.iter().enumerate().map(|(index, (id, app))| AppRules::new(id, index, app)).collect();
        let mut by_host: Vec<(Box<str>, usize)> = config
            .apps
            .values()
            .enumerate()
            .flat_map(|(index, app)| app.hosts.iter().map(move |host| (host.as_str().into(), index)))
            .collect();
        by_host.sort_unstable();
        let inside = format!("{}/", config.server.prefix);
        let callbacks = config
            .connectors
            .iter()
            .filter(|(_, connector)| !connector.callback_path.starts_with(&inside))
            .map(|(id, connector)| (connector.callback_path.as_str().into(), id.clone()))
            .collect();
        Self {
            apps,
            by_host,
            sign_in_host: config.server.public_url.host.as_str().into(),
            prefix: config.server.prefix.as_str().into(),
            callbacks,
        }
    }

    /// The apps, by their index.
    pub fn apps(&self) -> &[AppRules] {
        &self.apps
    }

    /// The app of `host`, given in lower case without port or trailing dot (P10).
    pub fn app_of_host(&self, host: &str) -> Option<&AppRules> {
        let at = self.by_host.binary_search_by(|(known, _)| (**known).cmp(host)).ok()?;
        self.by_host.get(at).and_then(|(_, index)| self.apps.get(*index))
    }

    /// The snapshot's own copy of an app's host.
    pub fn known_host(&self, host: &str) -> Option<&str> {
        let at = self.by_host.binary_search_by(|(known, _)| (**known).cmp(host)).ok()?;
        self.by_host.get(at).map(|(known, _)| &**known)
    }

    /// Whether own paths are answered on `host`.
    pub fn is_own_host(&self, host: &str) -> bool {
        *self.sign_in_host == *host || self.app_of_host(host).is_some()
    }

    /// What a request to `target` at `host` will ask of the sign-in itself, so that a sign-in on the way there can ask
    /// the provider for it. `target` is a path with or without a query, for a GET, or has the method before it and a
    /// blank between: `POST /transfer`. Empty for what leads to no application.
    pub fn requirement_for(&self, host: &str, target: &str) -> Requirement {
        let (method, target) = target.split_once(' ').unwrap_or(("GET", target));
        let path = target.split(['?', '#']).next().unwrap_or_default();
        let rule = || {
            let app = self.app_of_host(host)?;
            let method = Method::from_bytes(method.as_bytes()).ok()?;
            let normal = path::normalize(path).ok()?;
            app.rule(&method, &HeaderMap::new(), &normal).step_up
        };
        rule().map(Arc::unwrap_or_clone).unwrap_or_default()
    }

    /// Own prefix without a trailing slash.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The connector whose configured callback path outside the prefix is `path`, on the sign-in host.
    pub fn callback(&self, host: &str, path: &str) -> Option<&Id> {
        if self.callbacks.is_empty() || *self.sign_in_host != *host { None } else { self.callbacks.get(path) }
    }
}

impl AppRules {
    pub(super) fn new(id: &Id, index: usize, app: &config::App) -> Self {
        let rules = app.routes.iter().map(|route| (route.path.clone(), route.methods.clone(), Rule::new(route)));
        Self {
            id: id.clone(),
            index,
            upstream: app.upstream.clone(),
            sign_out: app.sign_out.clone(),
            native_challenge: app.native.challenge.clone(),
            api_key_headers: app.native.api_key_headers.clone(),
            rules: rules.collect(),
        }
    }

    /// The rule for a request to `path` (normal form, no query). Where an application may read the request in two
    /// ways — a servlet container drops `;parameters`, a framework obeys a method-override header — it is judged in
    /// both, and what either asks for holds (P05).
    pub fn rule(&self, method: &Method, headers: &HeaderMap, path: &str) -> Rule {
        let mut rule: Option<Rule> = None;
        self.each_reading(method, headers, path, |method, path| {
            let found = self.first_match(method, path).map_or(&DEFAULT, |(_, _, rule)| rule);
            rule = Some(rule.take().map_or_else(|| found.clone(), |rule| rule.and(found)));
        });
        rule.unwrap_or(Rule::DEFAULT)
    }

    /// Shows `see` each method and path that a request may be read as.
    pub(super) fn each_reading(
        &self,
        method: &Method,
        headers: &HeaderMap,
        path: &str,
        mut see: impl FnMut(&Method, &str),
    ) {
        see(method, path);
        let plain = path::without_parameters(path);
        if let Some(plain) = &plain {
            see(method, plain);
        }
        for name in METHOD_OVERRIDES {
            for value in headers.get_all(name) {
                let overridden = overriding_method(value);
                see(&overridden, path);
                if let Some(plain) = &plain {
                    see(&overridden, plain);
                }
            }
        }
    }

    pub(super) fn first_match(&self, method: &Method, path: &str) -> Option<&(PathPattern, Vec<Method>, Rule)> {
        self.rules
            .iter()
            .find(|(pattern, methods, _)| (methods.is_empty() || methods.contains(method)) && pattern.matches(path))
    }
}

/// The method that an override header names, as a lenient framework would read it.
fn overriding_method(value: &HeaderValue) -> Method {
    let name = value.to_str().unwrap_or_default().trim().to_ascii_uppercase();
    Method::from_bytes(name.as_bytes()).unwrap_or(Method::POST)
}

#[cfg(test)]
<<<<<<< HEAD
mod tests {
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
            upstream: config::Upstream { host: "127.0.0.1".into(), port: 1 },
            public_url: None,
            sign_out: None,
            routes,
            native: config::Native { challenge: NativeChallenge::AskApp, api_key_headers: vec![] },
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
            callbacks: HashMap::new(),
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
}
=======
mod tests;
>>>>>>> h3-gate

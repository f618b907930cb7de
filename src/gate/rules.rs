//! Hosts, routes and what each asks for, compiled from the configuration.

use std::borrow::Cow;
use std::collections::HashMap;

use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::base::id::Id;
use crate::base::path;
use crate::base::pattern::PathPattern;
use crate::base::role::RequiredRole;
use crate::config::{self, Access, Authorization, Config, NativeChallenge};

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

/// What a route asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    pub access: Access,
    pub role: RequiredRole,
    pub authorization: Authorization,
}

impl Rule {
    /// What holds where no route matches: signed in, any role.
    pub const DEFAULT: Self =
        Self { access: Access::SignedIn, role: RequiredRole::Any, authorization: Authorization::Drop };

    /// How much the rule asks for; of two readings of one request the higher holds.
    fn strictness(&self) -> (u8, RequiredRole) {
        let access = match self.access {
            Access::Public => 0,
            Access::Native => 1,
            Access::SignedIn => 2,
        };
        (access, self.role)
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
    fn new(id: &Id, index: usize, app: &config::App) -> Self {
        let rules = app.routes.iter().map(|route| {
            let rule = Rule { access: route.access, role: route.role, authorization: route.authorization };
            (route.path.clone(), route.methods.clone(), rule)
        });
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
    /// both, and the stricter rule holds (P05).
    pub fn rule(&self, method: &Method, headers: &HeaderMap, path: &str) -> Rule {
        let plain = path::without_parameters(path);
        let mut rule = self.first_match(method, path);
        if let Some(plain) = &plain {
            rule = rule.max_by_strictness(self.first_match(method, plain));
        }
        for name in METHOD_OVERRIDES {
            for value in headers.get_all(name) {
                let overridden = overriding_method(value);
                let plain = plain.as_ref().map_or(Cow::Borrowed(path), |p| Cow::Borrowed(p.as_ref()));
                rule = rule
                    .max_by_strictness(self.first_match(&overridden, path))
                    .max_by_strictness(self.first_match(&overridden, &plain));
            }
        }
        rule
    }

    fn first_match(&self, method: &Method, path: &str) -> Rule {
        self.rules
            .iter()
            .find(|(pattern, methods, _)| (methods.is_empty() || methods.contains(method)) && pattern.matches(path))
            .map_or(Rule::DEFAULT, |(_, _, rule)| *rule)
    }
}

impl Rule {
    fn max_by_strictness(self, other: Self) -> Self {
        if other.strictness() > self.strictness() { other } else { self }
    }
}

/// The method that an override header names, as a lenient framework would read it.
fn overriding_method(value: &HeaderValue) -> Method {
    let name = value.to_str().unwrap_or_default().trim().to_ascii_uppercase();
    Method::from_bytes(name.as_bytes()).unwrap_or(Method::POST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::role::Role;

    fn app(routes: &[(&str, &[Method], Access, RequiredRole)]) -> AppRules {
        let routes = routes.iter().map(|(path, methods, access, role)| config::Route {
            path: path.parse().unwrap(),
            methods: methods.to_vec(),
            access: *access,
            role: *role,
            authorization: Authorization::Drop,
        });
        let app = config::App {
            hosts: vec!["app.example.com".into()],
            upstream: config::Upstream { host: "127.0.0.1".into(), port: 1 },
            sign_out: None,
            routes: routes.collect(),
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
}

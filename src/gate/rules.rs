//! Hosts, routes and what each asks for, compiled from the configuration.

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::base::id::Id;
use crate::base::path;
use crate::base::pattern::PathPattern;
use crate::base::role::RequiredRole;
use crate::config::{self, Access, Authorization, Config, Connector, NativeChallenge, OwnHosts, Requirement};

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
    /// Hosts that have no application, only a connector's `acs_url`.
    acs_hosts: Vec<Box<str>>,
    own_paths: OwnPaths,
}

/// Configured paths outside the prefix, each with its hosts and the own path that it stands for there.
type OwnPaths = HashMap<Box<str>, Vec<(Box<str>, Box<str>)>>;

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
    /// The app's own sign-in endpoints, in the order of the configuration: paths and the methods that sign in.
    sign_in: Vec<(String, Vec<Method>)>,
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

/// What holds at the application's own sign-in: nobody is known there yet.
static SIGN_IN: Rule = Rule { access: Access::Public, ..Rule::DEFAULT };

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
        let sign_in_host = config.server.public_url.host.as_str();
        let inside = format!("{}/", config.server.prefix);
        let mut own_paths = OwnPaths::new();
        for (id, connector) in &config.connectors {
            let (host, path, own) = match connector {
                Connector::Oidc(oidc) => (sign_in_host, &oidc.callback_path, format!("oidc/{id}/callback")),
                Connector::Saml(saml) => (saml.acs.host.host.as_str(), &saml.acs.path, format!("saml/{id}/acs")),
            };
            if !path.starts_with(&inside) {
                own_paths.entry(path.as_str().into()).or_default().push((host.into(), own.into()));
            }
        }
        let hosts = OwnHosts::new(config);
        Self {
            apps,
            by_host,
            sign_in_host: sign_in_host.into(),
            prefix: config.server.prefix.as_str().into(),
            acs_hosts: hosts.acs_alone().map(|host| host.name().into()).collect(),
            own_paths,
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

    /// Whether own paths are answered on `host`: it is the sign-in host's, an application's, or that of an `acs_url`.
    pub fn is_own_host(&self, host: &str) -> bool {
        *self.sign_in_host == *host
            || self.app_of_host(host).is_some()
            || self.acs_hosts.iter().any(|known| **known == *host)
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

    /// The own path, below the prefix, that a configured path outside it stands for on this host: `oidc/ID/callback` for
    /// a `callback_path` on the sign-in host, `saml/ID/acs` for the path of an `acs_url` on its host.
    pub fn own_path(&self, host: &str, path: &str) -> Option<&str> {
        if self.own_paths.is_empty() {
            return None;
        }
        let (_, own) = self.own_paths.get(path)?.iter().find(|(known, _)| **known == *host)?;
        Some(own)
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
            sign_in: app.native.sign_in.iter().map(|rule| (rule.path.clone(), rule.methods.clone())).collect(),
            rules: rules.collect(),
        }
    }

    /// The rule for a request to `path` (normal form, no query). Where an application may read the request in two
    /// ways — a servlet container drops `;parameters`, a framework obeys a method-override header — it is judged in
    /// both, and what either asks for holds (P05).
    pub fn rule(&self, method: &Method, headers: &HeaderMap, path: &str) -> Rule {
        let mut rule: Option<Rule> = None;
        self.each_reading(method, headers, path, |method, path| {
            let routed = || self.first_match(method, path).map_or(&DEFAULT, |(_, _, rule)| rule);
            let found = if self.opens_sign_in(method, path) { &SIGN_IN } else { routed() };
            rule = Some(rule.take().map_or_else(|| found.clone(), |rule| rule.and(found)));
        });
        rule.unwrap_or(Rule::DEFAULT)
    }

    /// Whether this is the application's own sign-in, its page or the sign-in itself: reached without a session.
    fn opens_sign_in(&self, method: &Method, path: &str) -> bool {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        self.sign_in.iter().any(|(known, methods)| known == path && (reads || methods.contains(method)))
    }

    /// Whether the app signs in by itself anywhere.
    pub fn has_sign_in(&self) -> bool {
        !self.sign_in.is_empty()
    }

    /// The sign-in endpoint that this request signs in at, by its place in the configuration: however an application may
    /// read it, in other case or with a slash at its end too.
    pub fn signs_in(&self, method: &Method, headers: &HeaderMap, path: &str) -> Option<usize> {
        if self.sign_in.is_empty() {
            return None;
        }
        fn plain(path: &str) -> &str {
            path.strip_suffix('/').unwrap_or(path)
        }
        let mut found = None;
        self.each_reading(method, headers, path, |method, path| {
            // Methods first: most requests of an application read.
            let signs_in = |(known, methods): &(String, Vec<Method>)| {
                methods.contains(method) && plain(known).eq_ignore_ascii_case(plain(path))
            };
            found = found.or_else(|| self.sign_in.iter().position(signs_in));
        });
        found
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
mod tests;

//! `apps.<id>.routes`: who may reach which path.

use std::time::Duration;

use http::Method;

use super::parse::{Context, duplicate, wrong};
use super::problem::{Place, hint, quoted};
use super::read::{At, Field, section};
use super::requirement::{self, Requirement};
use super::words::{Choice, Word};
use crate::base::pattern::PathPattern;
use crate::base::role::{RequiredRole, Role};

/// One entry of `apps.<id>.routes`.
#[derive(Clone, Debug)]
pub struct Route {
    /// Which paths.
    pub path: PathPattern,
    /// Upper-case methods; empty: all. Exact: `GET` does not include `HEAD`.
    pub methods: Vec<Method>,
    /// What a request needs.
    pub access: Access,
    /// What a signed-in user needs. `Any` unless `access` is `SignedIn`.
    pub role: RequiredRole,
    /// What happens to an `Authorization` header that is not ours, on other than native routes.
    pub authorization: Authorization,
    /// What is asked of the sign-in itself. Empty unless `access` is `SignedIn`.
    pub step_up: Requirement,
    /// A form that arrives without a session is kept and can be sent again after the sign-in.
    pub keep_post: bool,
}

/// What a request needs to pass a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A session.
    SignedIn,
    /// Nothing; no identity is passed on, even with a session.
    Public,
    /// The application's own credential, or a session.
    Native,
}

impl Word for Access {
    const WORDS: &'static [(&'static str, Self)] =
        &[("signed-in", Self::SignedIn), ("public", Self::Public), ("native", Self::Native)];
}

/// What happens to an `Authorization` header that is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Authorization {
    /// The application does not see it.
    #[default]
    Drop,
    /// The application sees it as it came.
    Keep,
}

impl Word for Authorization {
    const WORDS: &'static [(&'static str, Self)] = &[("drop", Self::Drop), ("keep", Self::Keep)];
}

impl Word for RequiredRole {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("any", Self::Any),
        ("web", Self::AtLeast(Role::ReadOnly)),
        ("ReadOnly", Self::AtLeast(Role::ReadOnly)),
        ("User", Self::AtLeast(Role::User)),
        ("Admin", Self::AtLeast(Role::Admin)),
        ("EnterpriseAdmin", Self::AtLeast(Role::EnterpriseAdmin)),
    ];
}

section! {
    /// One route. The first that matches decides; if none does, a session is needed, with any role.
    RawRoute {
        /// Required. A path pattern: `*` is one segment, `**` at the end is zero or more. `/a/**` matches `/a/` and
        /// below, not `/a`. Case counts.
        path: String,
        /// Methods in capitals; left out: all. Exact: `GET` does not include `HEAD`.
        methods: Vec<At<String>>,
        /// `signed-in`: a session. `public`: nothing, and no identity is passed on. `native`: the application's own
        /// credential passes untouched; without one, as `signed-in`.
        #[schemars(extend("default" = "signed-in"))]
        access: Choice<Access>,
        /// On signed-in routes: `any`, `web` (any of the four), or one of ReadOnly < User < Admin < EnterpriseAdmin,
        /// met by that one or a higher one.
        #[schemars(extend("default" = "any"))]
        role: Choice<RequiredRole>,
        /// Whether an Authorization header that is not Anteroom's reaches the application. Not on native routes,
        /// where it always does.
        #[schemars(extend("default" = "drop"))]
        authorization: Choice<Authorization>,
        /// On signed-in routes: the person signed in at the provider at most this long ago (the claim `auth_time`), at
        /// least 1m. Whoever did so longer ago, or nobody knows when, is sent there again.
        max_age: String,
        /// On signed-in routes: the sign-in was of one of these classes (the claim `acr`).
        acr: Vec<At<String>>,
        /// On signed-in routes: the sign-in used every one of these methods (the claim `amr`).
        amr: Vec<At<String>>,
        /// On signed-in routes: a form of our own pages' origin (at most 64 KB, form-encoded) that arrives without a good
        /// session is kept, sealed, and can be sent again after the sign-in.
        #[schemars(extend("default" = false))]
        keep_post: bool,
    }
}

/// Below it, a sign-in would be too old before its person is back, for ever.
const MIN_MAX_AGE: Duration = Duration::from_secs(60);

/// RFC 9110 and WebDAV (RFC 4918, 3253, 5323). A closed list: a route for `PSOT` would match nothing, and what it
/// was meant to guard would fall to the next one.
const METHODS: [&str; 17] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "SEARCH",
    "QUERY",
];

/// Resolves a list of routes. `prefix`: the own paths, which are never routed.
pub(super) fn resolve(raw: Vec<At<RawRoute>>, prefix: Option<&str>, cx: &mut Context<'_>) -> Option<Vec<Route>> {
    let count = raw.len();
    let mut routes: Vec<Route> = Vec::with_capacity(count);
    let mut earlier: Vec<Shape> = Vec::with_capacity(count);
    for route in raw {
        let shape = Shape::of(&route);
        let route = RawRoute::resolve(route, prefix, cx);
        if let Some(shape) = shape {
            if let Some(cover) = earlier.iter().find(|e| e.covers(&shape)) {
                let text = format!(
                    "never matches: {} ({:?}) comes first and covers it, and the first match decides; put the \
                     narrower route first, or remove it",
                    cover.place.key, cover.path
                );
                cx.report.problem(&shape.place, text);
            }
            let public = route.as_ref().is_some_and(|route| route.access == Access::Public);
            if public && shape.path == "/**" && shape.methods.is_empty() {
                cx.report.warn(&shape.place, "every path that no route before this one matches is public");
            }
            earlier.push(shape);
        }
        routes.extend(route);
    }
    (routes.len() == count).then_some(routes)
}

impl RawRoute {
    fn resolve(raw: At<Self>, prefix: Option<&str>, cx: &mut Context<'_>) -> Option<Route> {
        let At { value: raw, place } = raw;
        let path = raw.path.parse(cx.report, |text| {
            let pattern = text.parse::<PathPattern>().map_err(|error| wrong(text, &error.to_string()))?;
            let own = prefix.is_some_and(|p| text.strip_prefix(p).is_some_and(|r| r.is_empty() || r.starts_with('/')));
            if own {
                return Err(wrong(text, "these are Anteroom's own paths (server.prefix), which no route decides"));
            }
            Ok(pattern)
        });
        let path = path.required(&place, "path", "allowed: a path pattern such as \"/admin/**\"", cx.report);
        let methods_place = raw.methods.set().map(|at| at.place.clone());
        let methods = raw.methods.parse_each(cx.report, |text| method(text));
        if let (Some(place), Some(items)) = (methods_place, methods.set().map(|at| &at.value)) {
            check_methods(&place, items, cx);
        }
        let access = raw.access.word_or(Access::SignedIn);
        let of_sessions = [
            raw.role.set().map(|at| &at.place),
            raw.max_age.set().map(|at| &at.place),
            raw.acr.set().map(|at| &at.place),
            raw.amr.set().map(|at| &at.place),
            raw.keep_post.set().filter(|at| at.value).map(|at| &at.place),
        ];
        for place in of_sessions.into_iter().flatten() {
            check_signed_in(place, access, cx);
        }
        if let (Some(keep), Some(methods)) = (raw.keep_post.set(), methods.set())
            && keep.value
            && methods.value.iter().all(|method| method.value != Method::POST)
        {
            cx.report.problem(&keep.place, "has no effect: the route's methods have no POST; add it, or remove this");
        }
        if let (Some(authorization), Some(Access::Native)) = (raw.authorization.set(), access) {
            let text = "has no effect on a native route, where the application's own Authorization header always \
                        passes; remove it";
            cx.report.problem(&authorization.place, text);
        }
        let role = raw.role.word_or(RequiredRole::Any);
        let authorization = raw.authorization.word_or(Authorization::Drop);
        let step_up = requirement::resolve(raw.max_age, raw.acr, raw.amr, MIN_MAX_AGE, cx);
        let keep_post = raw.keep_post.or(false);
        Some(Route {
            path: path?,
            methods: methods.values_or(Vec::new)?,
            access: access?,
            role: role?,
            authorization: authorization?,
            step_up: step_up?,
            keep_post: keep_post?,
        })
    }
}

/// Refuses a setting about sessions on a route that asks for none.
fn check_signed_in(place: &Place, access: Option<Access>, cx: &mut Context<'_>) {
    let why = match access {
        Some(Access::Public) => "a public route, where nobody is known",
        Some(Access::Native) => "a native route, where the application's own credential passes",
        Some(Access::SignedIn) | None => return,
    };
    cx.report.problem(place, format!("has no effect on {why}; remove it, or write access = \"signed-in\""));
}

fn method(text: &str) -> Result<Method, String> {
    if METHODS.contains(&text) {
        return Method::from_bytes(text.as_bytes()).map_err(|_| quoted(text));
    }
    Err(format!("found {}{}", quoted(text), hint(text, METHODS)))
}

fn check_methods(place: &Place, methods: &[At<Method>], cx: &mut Context<'_>) {
    if methods.is_empty() {
        cx.report
            .problem(place, "found an empty list, so the route matches nothing; leave methods out for all of them");
    }
    if let Some(twice) = duplicate(methods) {
        cx.report.problem(&twice.place, format!("found \"{}\" twice; once is enough", twice.value));
    }
}

/// What a route matches.
struct Shape {
    path: String,
    methods: Vec<String>,
    place: Place,
}

impl Shape {
    /// Known also where something else about the route is wrong.
    fn of(raw: &At<RawRoute>) -> Option<Self> {
        let path = raw.value.path.set()?.value.clone();
        path.parse::<PathPattern>().ok()?;
        let methods = match &raw.value.methods {
            Field::Absent => Vec::new(),
            Field::Invalid => return None,
            Field::Set(list) => list.value.iter().map(|method| method.value.clone()).collect(),
        };
        Some(Self { path, methods, place: raw.place.clone() })
    }

    /// Whether every request that `later` matches is matched by this one.
    fn covers(&self, later: &Self) -> bool {
        let all = self.methods.is_empty();
        let methods = all || (!later.methods.is_empty() && later.methods.iter().all(|m| self.methods.contains(m)));
        methods && path_covers(&self.path, &later.path)
    }
}

fn path_covers(wide: &str, narrow: &str) -> bool {
    let split = |path: &str| {
        let (fixed, open) = path.strip_suffix("**").map_or((path, false), |fixed| (fixed, true));
        let fixed = if open { fixed.strip_suffix('/').unwrap_or(fixed) } else { fixed };
        let parts: Vec<String> = fixed.split('/').skip(1).map(str::to_owned).collect();
        (parts, open)
    };
    let ((wide, wide_open), (narrow, narrow_open)) = (split(wide), split(narrow));
    let segments = wide.iter().zip(&narrow).all(|(w, n)| w == n || (w == "*" && !n.is_empty()));
    let lengths = if wide_open {
        narrow.len() > wide.len() || (narrow.len() == wide.len() && narrow_open)
    } else {
        narrow.len() == wide.len() && !narrow_open
    };
    segments && lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wider_pattern_covers_a_narrower_one() {
        for (wide, narrow) in [
            ("/**", "/admin/**"),
            ("/**", "/"),
            ("/a/**", "/a/"),
            ("/a/**", "/a/b/*/c"),
            ("/a/*", "/a/b"),
            ("/a", "/a"),
            ("/*/b/**", "/a/b/c"),
            ("/a/**", "/a/**"),
        ] {
            assert!(path_covers(wide, narrow), "{wide} covers {narrow}");
        }
        for (wide, narrow) in [
            ("/admin/**", "/**"),
            ("/a/**", "/a"),
            ("/a/*", "/a/"),
            ("/a/*", "/a/b/c"),
            ("/a", "/ab"),
            ("/a/b", "/a/*"),
            ("/a/*", "/a/**"),
            ("/A", "/a"),
        ] {
            assert!(!path_covers(wide, narrow), "{wide} does not cover {narrow}");
        }
    }
}

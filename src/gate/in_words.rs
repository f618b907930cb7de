//! Routes and what they ask for, in words: for whoever wants to know why a request did not go on.

use http::Method;
use http::header::HeaderMap;

use crate::base::role::RequiredRole;
use crate::config::{Access, Requirement};

use super::{AppRules, Rule};

impl AppRules {
    /// The routes that a request to `path` (normal form) is judged by: one, or more where it may be read in several
    /// ways.
    pub fn matched(&self, method: &Method, headers: &HeaderMap, path: &str) -> String {
        let mut found: Vec<String> = Vec::new();
        self.each_reading(method, headers, path, |method, path| {
            let route = match self.first_match(method, path) {
                Some((pattern, methods, _)) if methods.is_empty() => format!("{pattern} (all methods)"),
                Some((pattern, methods, _)) => {
                    let methods: Vec<&str> = methods.iter().map(Method::as_str).collect();
                    format!("{pattern} ({})", methods.join(", "))
                }
                None => "no route matches".to_owned(),
            };
            if !found.contains(&route) {
                found.push(route);
            }
        });
        found.join(" and, as the application may read it, ")
    }
}

impl Rule {
    /// What it asks for.
    pub fn in_words(&self) -> String {
        let mut words = match self.access {
            Access::SignedIn => "signed-in",
            Access::Native => "native: the application's own credential, or a session",
            Access::Public => "public",
        }
        .to_owned();
        if let RequiredRole::AtLeast(role) = self.role {
            words.push_str(&format!(", role {} or higher", role.name()));
        }
        if let Some(Requirement { max_age, acr, amr }) = self.step_up.as_deref() {
            if let Some(max_age) = max_age {
                words.push_str(&format!(", signed in at most {} s ago", max_age.as_secs()));
            }
            if let Some(classes) = acr {
                words.push_str(&format!(", acr one of: {}", classes.join(" ")));
            }
            if !amr.is_empty() {
                words.push_str(&format!(", amr all of: {}", amr.join(" ")));
            }
        }
        words
    }
}

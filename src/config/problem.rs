//! Mistakes and warnings, and where each value came from.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// In the configuration file.
    File {
        /// The file as it was named.
        path: Arc<PathBuf>,
        /// Counted from 1, where known.
        line: Option<usize>,
    },
    /// In this environment variable.
    Environment(String),
    /// With this command-line flag.
    Flag(String),
    /// Nowhere: there is no file, and nothing set it.
    Nowhere,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Environment(variable) => write!(f, "environment variable {variable}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
            Self::Nowhere => f.write_str("configuration"),
        }
    }
}

/// A setting's key path and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Such as `apps.portal.routes[2].role`; empty for the whole configuration.
    pub key: String,
    /// Where it stands.
    pub source: Source,
}

impl Place {
    /// The place of `key` inside this one, with this one's source: for keys that are not written.
    pub(super) fn child(&self, key: &str) -> Self {
        self.child_at(key, self.source.clone())
    }

    pub(super) fn child_at(&self, key: &str, source: Source) -> Self {
        let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        let part = if plain { key.to_owned() } else { format!("{key:?}") };
        let key = if self.key.is_empty() { part } else { format!("{}.{part}", self.key) };
        Self { key, source }
    }

    pub(super) fn index(&self, index: usize, source: Source) -> Self {
        Self { key: format!("{}[{index}]", self.key), source }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, source } = self;
        if key.is_empty() { write!(f, "{source}") } else { write!(f, "{source}: {key}") }
    }
}

/// One mistake in the configuration. Never holds the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What it is about.
    pub place: Place,
    /// What was found and what is allowed.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// Every mistake of one run, in the order of the file; one a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            let line_break = if i == 0 { "" } else { "\n" };
            write!(f, "{line_break}{problem}")?;
        }
        Ok(())
    }
}

/// Something that is allowed and that an operator should know about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What it is about.
    pub place: Place,
    /// What it means.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// Collects what a run finds.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Warning>,
}

impl Report {
    pub(super) fn problem(&mut self, place: &Place, text: impl Into<String>) {
        self.problems.push(Problem { place: place.clone(), text: text.into() });
    }

    pub(super) fn warn(&mut self, place: &Place, text: impl Into<String>) {
        self.warnings.push(Warning { place: place.clone(), text: text.into() });
    }
}

/// A text in quotes for a message: one line, at most 80 characters, and never a URL with a password in it.
pub(super) fn quoted(text: &str) -> String {
    if text.contains('@') && text.contains("//") {
        return String::from("a URL with user information");
    }
    if text.chars().count() > 80 {
        let start: String = text.chars().take(77).collect();
        return format!("{:?}", start + "...");
    }
    format!("{text:?}")
}

/// The words, in quotes, joined by comma.
pub(super) fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(|w| format!("{w:?}")).collect::<Vec<_>>().join(", ")
}

/// `; did you mean "x"?` where something is near, and what is allowed.
pub(super) fn hint<'a>(found: &str, allowed: impl IntoIterator<Item = &'a str>) -> String {
    let allowed: Vec<&str> = allowed.into_iter().collect();
    let near = nearest(found, allowed.iter().copied()).map(|near| format!("; did you mean {near:?}?"));
    let before = near.as_deref().unwrap_or(";");
    format!("{before} allowed: {}", list(allowed))
}

/// The word that `found` was probably meant to be: at most two slips away, one in a short word.
pub(super) fn nearest<'a>(found: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |s: &str| s.to_ascii_lowercase().replace('-', "_");
    let found = plain(found);
    let limit = if found.chars().count() < 5 { 1 } else { 2 };
    let scored = words.into_iter().map(|word| (distance(&found, &plain(word)), word));
    scored.filter(|(d, _)| *d <= limit).min_by_key(|(d, _)| *d).map(|(_, word)| word)
}

/// Optimal string alignment: letters that are missing, extra, wrong, or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let width = b.len() + 1;
    // Rows of a table: `at(i, j)` is the distance of the first i letters of a from the first j of b.
    let mut table: Vec<usize> = (0..width).collect();
    let at = |table: &[usize], i: usize, j: usize| table.get(i * width + j).copied().unwrap_or(usize::MAX - 1);
    let mut previous = None;
    for (i, ca) in a.chars().enumerate() {
        table.push(i + 1);
        let mut left = None;
        for (j, cb) in b.iter().copied().enumerate() {
            let replaced = at(&table, i, j) + usize::from(ca != cb);
            let mut best = replaced.min(at(&table, i, j + 1) + 1).min(at(&table, i + 1, j) + 1);
            if previous == Some(cb) && left == Some(ca) {
                best = best.min(at(&table, i - 1, j - 1) + 1);
            }
            table.push(best);
            left = Some(cb);
        }
        previous = Some(ca);
    }
    table.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_answered_with_the_word_that_was_meant() {
        assert_eq!(nearest("listn", ["listen", "workers"]), Some("listen"));
        assert_eq!(nearest("sign-out", ["sign_out", "routes"]), Some("sign_out"));
        assert_eq!(nearest("inof", ["info", "off"]), Some("info"));
        assert_eq!(nearest("admin", ["Admin", "any"]), Some("Admin"));
        assert_eq!(nearest("tls", ["listen", "workers"]), None);
    }

    #[test]
    fn a_url_with_a_password_is_never_shown() {
        assert_eq!(quoted("http://bob:canary@host"), "a URL with user information");
        assert_eq!(quoted("http://host"), "\"http://host\"");
        assert!(quoted(&"x".repeat(500)).len() < 90);
    }

    #[test]
    fn keys_that_are_no_plain_words_are_quoted_in_a_path() {
        let root = Place { key: String::new(), source: Source::Nowhere };
        let place = root.child("domains").child("acme.com").child("connector").index(2, Source::Nowhere);
        assert_eq!(place.to_string(), "configuration: domains.\"acme.com\".connector[2]");
    }
}

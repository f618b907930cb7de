//! Environment and flags over the file. Their values stay text until the setting's type says what they mean, so a
//! secret of digits stays a secret of digits.

use super::node::{Node, Value};
use super::problem::{Place, Report, Source};

/// What every variable of ours starts with. Two underscores, so that the variables Kubernetes makes for a service
/// called `anteroom` (`ANTEROOM_SERVICE_HOST`) are not ours.
pub const ENV_PREFIX: &str = "ANTEROOM__";

/// Tables keyed by an id. Ids have dashes and no underscores, names of settings the other way round.
const KEYED_BY_ID: [&str; 2] = ["apps", "connectors"];

/// Settings from the command line; they win over environment and file.
#[derive(Clone, Debug, Default)]
pub struct Overrides(Vec<Override>);

#[derive(Clone)]
struct Override {
    flag: String,
    path: Vec<String>,
    value: String,
}

impl std::fmt::Debug for Override {
    /// Without the value, which may be a secret that was given by mistake.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.flag, self.path.join("."))
    }
}

/// A text that is no `KEY=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("allowed: KEY=VALUE, such as server.listen=127.0.0.1:4180")]
pub struct InvalidAssignment;

impl Overrides {
    /// Sets the key path `key` (`server.listen`, `domains."acme.com".connector`) to `value`; `flag` is the name that
    /// messages use (`--listen`). The last one for a key wins.
    pub fn set(&mut self, flag: &str, key: &str, value: &str) {
        self.0.push(Override { flag: flag.to_owned(), path: split_key(key), value: value.to_owned() });
    }

    /// Sets from `KEY=VALUE`, as a general `--set` takes it.
    ///
    /// # Errors
    /// There is no `=`, or nothing before it.
    pub fn assign(&mut self, flag: &str, assignment: &str) -> Result<(), InvalidAssignment> {
        let (key, value) = assignment.split_once('=').ok_or(InvalidAssignment)?;
        if key.trim().is_empty() {
            return Err(InvalidAssignment);
        }
        self.set(flag, key.trim(), value);
        Ok(())
    }
}

/// Splits at dots that are not in quotes.
fn split_key(key: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut in_quotes = false;
    for c in key.chars() {
        match c {
            '"' => in_quotes = !in_quotes,
            '.' if !in_quotes => parts.push(String::new()),
            _ => parts.last_mut().into_iter().for_each(|part| part.push(c)),
        }
    }
    parts
}

/// Puts the variables that are ours into the tree.
pub(super) fn apply_environment(
    root: &mut Node,
    variables: impl Iterator<Item = (String, String)>,
    report: &mut Report,
) {
    let ours = variables.filter(|(name, _)| name.starts_with(ENV_PREFIX));
    let mut ours: Vec<(String, String)> = ours.collect();
    // Sorted, so that of two variables of which one is the other's parent always the same is reported.
    ours.sort();
    for (name, value) in ours {
        let source = Source::Environment(name.clone());
        let here = Place { key: String::new(), source: source.clone() };
        match key_of(&name) {
            Err(text) => report.problem(&here, text),
            Ok(_) if value.contains(char::REPLACEMENT_CHARACTER) => report.problem(&here, "the value is not UTF-8"),
            Ok(path) => put(root, &path, value, source, report),
        }
    }
}

/// Puts the flags' settings into the tree.
pub(super) fn apply_flags(root: &mut Node, flags: &Overrides, report: &mut Report) {
    for Override { flag, path, value } in &flags.0 {
        let source = Source::Flag(flag.clone());
        // Of the directory's URLs only those of a file hold no password.
        let is_directory = path.iter().eq(["directory", "url"]) && !value.starts_with("sqlite:");
        if let Some(key) = path.last().filter(|key| *key == "client_secret" || is_directory) {
            let text = format!(
                "a secret on the command line can be read by every user of the machine; use {key}_file, or the \
                 environment"
            );
            report.problem(&Place { key: path.join("."), source }, text);
            continue;
        }
        put(root, path, value.clone(), source, report);
    }
}

fn put(root: &mut Node, path: &[String], value: String, source: Source, report: &mut Report) {
    if let Err(on_the_way) = root.set(path, Value::Untyped(value), &source) {
        let text = format!(
            "{} is not a table, so nothing inside it can be set; lists are replaced as a whole",
            on_the_way.key
        );
        report.problem(&Place { key: path.join("."), source }, text);
    }
}

/// The key path that a variable names.
fn key_of(name: &str) -> Result<Vec<String>, String> {
    let rest = name.strip_prefix(ENV_PREFIX).unwrap_or(name);
    if rest.bytes().any(|b| b.is_ascii_lowercase()) {
        return Err(format!("names are in capitals: {}", name.to_ascii_uppercase()));
    }
    let lower = rest.to_ascii_lowercase();
    let parts: Vec<&str> = lower.split("__").collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(String::from("two underscores separate the parts of a key path, and no part is empty"));
    }
    let first = parts.first().copied().unwrap_or_default();
    if first == "domains" {
        return Err(String::from("domains cannot be set from the environment; write them in the file"));
    }
    let keyed = KEYED_BY_ID.contains(&first);
    let part = |(i, part): (usize, &str)| if keyed && i == 1 { part.replace('_', "-") } else { part.to_owned() };
    Ok(parts.into_iter().enumerate().map(part).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn underscores_are_dashes_in_ids_and_underscores_in_names() {
        let key = |name: &str| key_of(name).map(|path| path.join("."));
        assert_eq!(
            key("ANTEROOM__CONNECTORS__ACME_ENTRA__CLIENT_SECRET_FILE").unwrap(),
            "connectors.acme-entra.client_secret_file"
        );
        assert_eq!(key("ANTEROOM__SERVER__PUBLIC_URL").unwrap(), "server.public_url");
        assert!(key("ANTEROOM__SERVER__").is_err());
        assert!(key("ANTEROOM____LISTEN").is_err());
        assert!(key("ANTEROOM__server__listen").unwrap_err().contains("ANTEROOM__SERVER__LISTEN"));
        assert!(key("ANTEROOM__DOMAINS__ACME_COM__CONNECTOR").unwrap_err().contains("file"));
    }

    #[test]
    fn a_key_path_keeps_dots_in_quotes() {
        assert_eq!(split_key("domains.\"acme.com\".connector"), ["domains", "acme.com", "connector"]);
        let mut flags = Overrides::default();
        assert_eq!(flags.assign("--set", "server.listen"), Err(InvalidAssignment));
        assert_eq!(flags.assign("--set", "=x"), Err(InvalidAssignment));
        assert_eq!(flags.assign("--set", "server.prefix=/a=b"), Ok(()));
        assert_eq!(flags.0[0].value, "/a=b");
    }
}

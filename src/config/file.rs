//! The configuration file, TOML or YAML by its ending, as a tree with line numbers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::node::Node;
use super::problem::{Place, Report, Source};
use super::{from_toml, from_yaml};

/// Larger files are refused: no configuration is that long.
const MAX_BYTES: usize = 1_048_576;

/// Reads the file into a tree. `None` if its syntax is so wrong that what follows would be guessing; the problems say
/// why.
#[expect(clippy::disallowed_methods, reason = "this is where the configuration file is read, once at start")]
pub(super) fn read(path: &Path, report: &mut Report) -> Option<Node> {
    let source = File(Arc::new(path.to_owned()));
    let root = Place { key: String::new(), source: source.line(None) };
    let parse = match path.extension().and_then(|e| e.to_str()) {
        Some("toml") => from_toml::parse,
        Some("yaml" | "yml") => from_yaml::parse,
        _ => {
            report.problem(&root, "the file's ending says what it is; allowed: .toml, .yaml, .yml");
            return None;
        }
    };
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            report.problem(&root, format!("cannot read the file: {error}"));
            return None;
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) if text.len() <= MAX_BYTES => parse(&text, &source, report),
        Ok(_) => {
            report.problem(&root, "the file is larger than 1 MiB");
            None
        }
        Err(_) => {
            report.problem(&root, "the file is not UTF-8");
            None
        }
    }
}

/// The file's name, for places in it.
pub(super) struct File(Arc<PathBuf>);

impl File {
    pub(super) fn line(&self, line: Option<usize>) -> Source {
        Source::File { path: Arc::clone(&self.0), line }
    }

    pub(super) fn root(&self) -> Place {
        Place { key: String::new(), source: self.line(None) }
    }
}

//! Files that are made from the code are as the code makes them, and every shipped configuration loads.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "helpers of tests, which read files")]

use std::path::{Path, PathBuf};

use anteroom::config::{self, Overrides};

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn assert_checked_in(file: &str, made: &str, command: &str) {
    let found = std::fs::read_to_string(project().join(file)).unwrap_or_default();
    assert!(found == made, "{file} is not what the code makes; run `{command} > {file}` and commit it");
}

#[test]
fn the_schema_is_checked_in() {
    assert_checked_in("docs/anteroom.schema.json", &config::schema(), "cargo run -- config schema");
}

#[test]
fn the_reference_is_checked_in() {
    assert_checked_in("docs/configuration.md", &config::reference(), "cargo run -- config reference");
}

#[test]
fn every_shipped_configuration_loads() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "placeholder").unwrap();
    let examples = configurations(&project().join("examples"));
    assert!(examples.iter().any(|file| file.ends_with("examples/anteroom.toml")), "{examples:?}");
    for file in examples {
        // Secrets that a deployment mounts are not here: the environment points to a placeholder instead.
        let variables = mounted_secrets(&file).into_iter();
        let variables = variables.map(|name| (name, secret.path().to_string_lossy().into_owned()));
        let loaded = config::load(Some(&file), variables, &Overrides::default());
        let loaded = loaded.unwrap_or_else(|problems| panic!("a shipped configuration does not load:\n{problems}"));
        if file.ends_with("examples/anteroom.toml") {
            assert_eq!(loaded.warnings, [], "the example for production has no warnings");
        }
    }
}

/// Every TOML and YAML file below `dir` but package manifests.
fn configurations(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() && !["node_modules", "target"].contains(&&*name) {
            found.extend(configurations(&path));
        } else if [".toml", ".yaml", ".yml"].iter().any(|end| name.ends_with(end)) && name != "Cargo.toml" {
            found.push(path);
        }
    }
    found
}

/// The variables of the connectors whose secret is a file outside the project.
fn mounted_secrets(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let tree: serde_json::Value = match file.extension().unwrap().to_str() {
        Some("toml") => toml::from_str(&text).unwrap(),
        _ => serde_saphyr::from_str(&text).unwrap(),
    };
    let connectors = tree.get("connectors").and_then(|c| c.as_object()).into_iter().flatten();
    let mounted = connectors.filter(|(_, c)| {
        c.get("client_secret_file").and_then(|f| f.as_str()).is_some_and(|f| Path::new(f).is_absolute())
    });
    let variable = |id: &str| id.to_uppercase().replace('-', "_");
    mounted.map(|(id, _)| format!("ANTEROOM__CONNECTORS__{}__CLIENT_SECRET_FILE", variable(id))).collect()
}

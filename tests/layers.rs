//! A module uses only those below it, in the order in which `src/lib.rs` lists them.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "helpers of tests, which read files")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The modules from the top of the house to its base.
fn order() -> Vec<String> {
    let lib = std::fs::read_to_string(source().join("lib.rs")).unwrap();
    let modules = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    modules.map(str::to_owned).collect()
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            out.push(path);
        }
    }
}

/// The modules of this crate that `text` names: `crate::x`, and those of `use crate::{x, y::…}`.
fn used(text: &str) -> BTreeSet<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    // A path of a macro, `$crate::x`, counts too.
    for rest in text.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            None => drop(found.insert(name(rest))),
            Some(group) => {
                let (mut depth, mut begins) = (0, true);
                for (at, c) in group.char_indices() {
                    match c {
                        '}' if depth == 0 => break,
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 0 => begins = true,
                        c if begins && !c.is_whitespace() => {
                            found.insert(name(group.get(at..).unwrap_or_default()));
                            begins = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

/// The module of `src/` that a file belongs to; `None` for lib.rs and main.rs, which stand above all.
fn module_of(file: &Path) -> Option<String> {
    let inside = file.strip_prefix(source()).unwrap();
    let first = inside.iter().next().unwrap().to_str().unwrap();
    let module = first.strip_suffix(".rs").unwrap_or(first);
    (!["lib", "main"].contains(&module)).then(|| module.to_owned())
}

#[test]
fn a_module_uses_only_those_below_it() {
    let order = order();
    let rank = |module: &str| order.iter().position(|known| known == module);
    let mut all = Vec::new();
    files(&source(), &mut all);
    all.sort();
    assert!(all.len() > 50, "src/ was read: {}", all.len());
    let mut wrong = Vec::new();
    for file in &all {
        let Some(module) = module_of(file) else { continue };
        let Some(own) = rank(&module) else {
            wrong.push(format!("{} is in no module that src/lib.rs lists", file.display()));
            continue;
        };
        for used in used(&std::fs::read_to_string(file).unwrap()) {
            // What is no module is an item of lib.rs, which has none.
            let Some(other) = rank(&used) else {
                wrong.push(format!("{} names crate::{used}, which src/lib.rs does not list", file.display()));
                continue;
            };
            if other < own {
                wrong.push(format!("{} ({module}) uses crate::{used}, which stands above it", file.display()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\n\nThe order, from the top: {}.\nMove what is shared down into the lower module (types and pure functions \
         usually belong to `base`), or pass it in as a value or a trait from `app`, which knows all parts. If the order \
         itself is wrong, change it in src/lib.rs and ARCHITECTURE.md together.",
        wrong.join("\n"),
        order.join(", "),
    );
}

#[test]
fn the_order_is_the_one_that_was_agreed() {
    let expected = "cli app readiness admin proxy web signin legacy gate session explain directory audit connector identity config base";
    assert_eq!(order().join(" "), expected, "rustfmt sorts modules that no empty line keeps apart");
}

#[test]
fn every_way_of_naming_a_module_is_seen() {
    let text = "use crate::base::x;\nuse crate::{web, config::{a, b}, gate::c as d};\nfn f() { crate::app::go(); $crate::proxy!() }";
    let found: Vec<String> = used(text).into_iter().collect();
    assert_eq!(found, ["app", "base", "config", "gate", "proxy", "web"]);
}

//! YAML 1.2 into a tree.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Spanned, options};

use super::file::File;
use super::node::{Node, Value};
use super::problem::{Place, Report};

/// The first syntax error ends the reading; duplicate keys do not.
pub(super) fn parse(text: &str, file: &File, report: &mut Report) -> Option<Node> {
    let options = options! {
        // Passed through, so that each is reported with its key.
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
        merge_keys: options::MergeKeyPolicy::Error,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        // A snippet of the source may hold a secret.
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Spanned<Yaml>>(text, options) {
        Ok(tree) => {
            let mut root = node(file.root(), tree, file, report);
            if matches!(root.value, Value::Empty) {
                root.value = Value::Table(Vec::new());
            }
            Some(root)
        }
        Err(error) => {
            let line = error.location().and_then(|at| usize::try_from(at.line()).ok());
            let place = Place { key: String::new(), source: file.line(line) };
            let text = match error.without_snippet() {
                serde_saphyr::Error::MultipleDocuments { .. } => String::from("there is more than one document"),
                error => error.to_string(),
            };
            report.problem(&place, format!("not YAML: {text}"));
            None
        }
    }
}

/// What the parser makes of a value without a type to guide it.
enum Yaml {
    Scalar(Value),
    List(Vec<Spanned<Yaml>>),
    Table(Vec<(Spanned<String>, Spanned<Yaml>)>),
}

fn line<T>(spanned: &Spanned<T>) -> Option<usize> {
    usize::try_from(spanned.referenced.line()).ok().filter(|line| *line > 0)
}

fn node(place: Place, tree: Spanned<Yaml>, file: &File, report: &mut Report) -> Node {
    let value = match tree.value {
        Yaml::Scalar(value) => value,
        Yaml::List(items) => {
            let item = |(i, item): (usize, Spanned<Yaml>)| {
                let place = place.index(i, file.line(line(&item)));
                node(place, item, file, report)
            };
            Value::List(items.into_iter().enumerate().map(item).collect())
        }
        Yaml::Table(entries) => {
            let mut table: Vec<(String, Node)> = Vec::with_capacity(entries.len());
            for (key, item) in entries {
                let place = place.child_at(&key.value, file.line(line(&key)));
                if table.iter().any(|(known, _)| *known == key.value) {
                    report.problem(&place, "duplicate key; it is already set above");
                    continue;
                }
                let child = node(place, item, file, report);
                table.push((key.value, child));
            }
            Value::Table(table)
        }
    };
    Node { place, value }
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(YamlVisitor)
    }
}

struct YamlVisitor;

impl<'de> Visitor<'de> for YamlVisitor {
    type Value = Yaml;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(Value::Empty))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(Value::Number(value.to_string())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(Value::Number(value.to_string())))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(Value::Number(value.to_string())))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(Value::Number(value.to_string())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(Value::Number(value.to_string())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(Value::Text(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Yaml, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Yaml::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Yaml, A::Error> {
        let mut table = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            table.push(entry);
        }
        Ok(Yaml::Table(table))
    }
}

//! Settings that are secrets: each `x` has a twin `x_file`.

use std::borrow::Cow;
use std::error::Error as _;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret as _, SecretString};

use super::node::{Node, Value};
use super::parse::Context;
use super::problem::Report;
use super::read::{Field, Read};
use crate::base::secret::Secret;

/// A secret's value. A mistake about it never shows what was found.
#[derive(Debug)]
pub(super) struct SecretText(pub(super) SecretString);

impl Read for SecretText {
    fn read(node: Node, report: &mut Report) -> Option<Self> {
        match node.value {
            Value::Text(text) | Value::Untyped(text) => Some(Self(SecretString::from(text))),
            _ => {
                report.problem(&node.place, format!("found {}; allowed: text, in quotes", node.value.kind()));
                None
            }
        }
    }
}

impl JsonSchema for SecretText {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Secret")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "writeOnly": true })
    }

    fn inline_schema() -> bool {
        true
    }
}

/// The secret called `key`, written or in a file that can be read now. `Some(None)`: there is none; `None`: reported.
pub(super) fn resolve(
    key: &str,
    value: Field<SecretText>,
    file: Field<String>,
    cx: &mut Context<'_>,
) -> Option<Option<Secret>> {
    let file = cx.path(file);
    let places = (value.set().map(|at| &at.place), file.set().map(|at| &at.place));
    if let (true, true, Some(place)) = (value.is_written(), file.is_written(), places.1.or(places.0)) {
        let other = places.0.map(|place| format!(" ({})", place.source)).unwrap_or_default();
        let text = format!("the secret is given twice: {key} is set too{other}; allowed: one of the two");
        cx.report.problem(place, text);
        return None;
    }
    let file = file.parse(cx.report, |path| {
        let secret = Secret::File(path.clone());
        secret.read().map(|_| secret).map_err(|error| {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("{error}{cause}; allowed: a file that holds the secret alone")
        })
    });
    let value = value.parse(cx.report, |SecretText(text)| {
        if text.expose_secret().trim().is_empty() {
            return Err(format!("found an empty secret; leave {key} out if there is none"));
        }
        Ok(Secret::Value(text.clone()))
    });
    match (value, file) {
        (Field::Invalid, _) | (_, Field::Invalid) => None,
        (Field::Set(at), _) | (_, Field::Set(at)) => Some(Some(at.value)),
        (Field::Absent, Field::Absent) => Some(None),
    }
}

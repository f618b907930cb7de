//! From the tree to the raw sections: every mistake of shape is reported, and reading goes on.
//!
//! `serde` would stop at the first mistake and forget where a value was written, so sections are declared with
//! [`section!`] instead, which makes the struct, its reader and its schema from one list of fields
//! (`docs/decisions/0008-configuration-reader.md`).

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::node::{Node, Value};
use super::problem::{Place, Report, hint, list};

/// What can be read from a node. `None` once a problem is reported.
pub(super) trait Read: Sized {
    fn read(node: Node, report: &mut Report) -> Option<Self>;
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

impl<T: Read> At<T> {
    fn read(node: Node, report: &mut Report) -> Option<Self> {
        let place = node.place.clone();
        Some(Self { value: T::read(node, report)?, place })
    }
}

/// A setting of a section.
#[derive(Clone, Debug, Default)]
pub(super) enum Field<T> {
    /// Not written.
    #[default]
    Absent,
    /// Written wrongly, and reported.
    Invalid,
    Set(At<T>),
}

impl<T> Field<T> {
    pub(super) const fn is_written(&self) -> bool {
        !matches!(self, Self::Absent)
    }

    pub(super) const fn set(&self) -> Option<&At<T>> {
        match self {
            Self::Set(at) => Some(at),
            Self::Absent | Self::Invalid => None,
        }
    }

    /// Where it was written; none where it was not, or wrongly.
    pub(super) const fn place(&self) -> Option<&Place> {
        match self {
            Self::Set(at) => Some(&at.place),
            Self::Absent | Self::Invalid => None,
        }
    }

    /// Where it was written, or else where it would stand in `section`.
    pub(super) fn place_in(&self, section: &Place, key: &str) -> Place {
        self.place().cloned().unwrap_or_else(|| section.child(key))
    }

    /// The value, or the default if it is not written. `None`: reported.
    pub(super) fn or(self, default: T) -> Option<T> {
        self.or_else(|| default)
    }

    pub(super) fn or_else(self, default: impl FnOnce() -> T) -> Option<T> {
        match self {
            Self::Absent => Some(default()),
            Self::Invalid => None,
            Self::Set(at) => Some(at.value),
        }
    }

    /// The value if it is written. Outer `None`: reported.
    pub(super) fn optional(self) -> Option<Option<T>> {
        match self {
            Self::Absent => Some(None),
            Self::Invalid => None,
            Self::Set(at) => Some(Some(at.value)),
        }
    }

    /// The value; it is a mistake to leave it out.
    pub(super) fn required(self, section: &Place, key: &str, allowed: &str, report: &mut Report) -> Option<T> {
        match self {
            Self::Absent => {
                report.problem(&section.child(key), format!("missing; {allowed}"));
                None
            }
            Self::Invalid => None,
            Self::Set(at) => Some(at.value),
        }
    }

    /// The section, empty if it is not written.
    pub(super) fn section(self, parent: &Place, key: &str) -> Option<At<T>>
    where
        T: Default,
    {
        match self {
            Self::Absent => Some(At { value: T::default(), place: parent.child(key) }),
            Self::Invalid => None,
            Self::Set(at) => Some(at),
        }
    }

    /// Turns the value into what it stands for. The parser answers what is wrong with it, in words.
    pub(super) fn parse<U>(self, report: &mut Report, parser: impl FnOnce(&T) -> Result<U, String>) -> Field<U> {
        match self {
            Self::Absent => Field::Absent,
            Self::Invalid => Field::Invalid,
            Self::Set(At { value, place }) => match parser(&value) {
                Ok(value) => Field::Set(At { value, place }),
                Err(text) => {
                    report.problem(&place, text);
                    Field::Invalid
                }
            },
        }
    }
}

impl<T> Field<Vec<At<T>>> {
    /// Turns each value of the list into what it stands for.
    pub(super) fn parse_each<U>(
        self,
        report: &mut Report,
        mut parser: impl FnMut(&T) -> Result<U, String>,
    ) -> Field<Vec<At<U>>> {
        let Self::Set(At { value: items, place }) = self else {
            return if self.is_written() { Field::Invalid } else { Field::Absent };
        };
        let mut parsed = Vec::with_capacity(items.len());
        let mut valid = true;
        for item in items {
            match parser(&item.value) {
                Ok(value) => parsed.push(At { value, place: item.place }),
                Err(text) => {
                    report.problem(&item.place, text);
                    valid = false;
                }
            }
        }
        if valid { Field::Set(At { value: parsed, place }) } else { Field::Invalid }
    }

    /// The values alone, or the default.
    pub(super) fn values_or(self, default: impl FnOnce() -> Vec<T>) -> Option<Vec<T>> {
        self.optional().map(|items| match items {
            Some(items) => items.into_iter().map(|item| item.value).collect(),
            None => default(),
        })
    }
}

/// A table being read: each key is taken once, and what nobody takes is unknown.
pub(super) struct Table {
    entries: Vec<(String, Node)>,
}

impl Table {
    /// Opens a table and reports the keys that are not among `known`: a section's own, and those of the sections that
    /// share its table.
    pub(super) fn open(node: Node, known: &[&[&'static str]], report: &mut Report) -> Option<Self> {
        let known: Vec<&'static str> = known.concat();
        let Value::Table(mut entries) = node.value else {
            let found = node.value.kind();
            report
                .problem(&node.place, format!("found {found}; allowed: a table with {}", list(known.iter().copied())));
            return None;
        };
        entries.retain(|(key, value)| {
            let is_known = known.contains(&key.as_str());
            if !is_known {
                report.problem(&value.place, format!("unknown key{}", hint(key, known.iter().copied())));
            }
            is_known
        });
        Some(Self { entries })
    }

    pub(super) fn take<T: Read>(&mut self, key: &str, report: &mut Report) -> Field<T> {
        let Some(at) = self.entries.iter().position(|(known, _)| known == key) else { return Field::Absent };
        let (_, node) = self.entries.swap_remove(at);
        At::read(node, report).map_or(Field::Invalid, Field::Set)
    }
}

/// Declares a section: its raw struct, whose doc comments are the schema's and the reference's text, and its reader. After
/// `..` may follow a section whose keys stand in the same table.
macro_rules! section {
    (
        $(#[$meta:meta])* $name:ident {
            $($(#[$field_meta:meta])* $field:ident: $type:ty,)*
            $(..$rest:ident: $rest_type:ty,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Default, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub(super) struct $name {
            $($(#[$field_meta])* #[schemars(default)] pub(super) $field: $crate::config::read::Field<$type>,)*
            $(#[schemars(flatten)] pub(super) $rest: $rest_type,)?
        }

        impl $name {
            pub(super) const KEYS: &[&'static str] = &[$(stringify!($field)),*];

            /// Takes the section's keys out of a table that was opened with them.
            pub(super) fn take(
                table: &mut $crate::config::read::Table,
                report: &mut $crate::config::problem::Report,
            ) -> Self {
                Self {
                    $($field: table.take(stringify!($field), report),)*
                    $($rest: <$rest_type>::take(table, report),)?
                }
            }
        }

        impl $crate::config::read::Read for $name {
            fn read(
                node: $crate::config::node::Node,
                report: &mut $crate::config::problem::Report,
            ) -> Option<Self> {
                let known = [Self::KEYS, $(<$rest_type>::KEYS,)?];
                let mut table = $crate::config::read::Table::open(node, &known, report)?;
                Some(Self::take(&mut table, report))
            }
        }
    };
}
pub(super) use section;

impl<T: JsonSchema> JsonSchema for Field<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }

    fn inline_schema() -> bool {
        true
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }

    fn inline_schema() -> bool {
        true
    }
}

pub(super) fn wrong_kind(node: &Node, allowed: &str, report: &mut Report) {
    report.problem(&node.place, format!("found {}; allowed: {allowed}", node.value.shown()));
}

impl Read for String {
    fn read(node: Node, report: &mut Report) -> Option<Self> {
        match node.value {
            Value::Text(text) | Value::Untyped(text) => Some(text),
            Value::Bool(_) | Value::Number(_) => {
                wrong_kind(&node, "text, in quotes", report);
                None
            }
            Value::Empty | Value::Date | Value::List(_) | Value::Table(_) => {
                wrong_kind(&node, "text", report);
                None
            }
        }
    }
}

impl Read for bool {
    fn read(node: Node, report: &mut Report) -> Option<Self> {
        match &node.value {
            Value::Bool(value) => return Some(*value),
            Value::Untyped(text) if text == "true" => return Some(true),
            Value::Untyped(text) if text == "false" => return Some(false),
            _ => wrong_kind(&node, "true or false", report),
        }
        None
    }
}

impl Read for u32 {
    fn read(node: Node, report: &mut Report) -> Option<Self> {
        let number = match &node.value {
            Value::Number(text) | Value::Untyped(text) => text.parse().ok(),
            _ => None,
        };
        if number.is_none() {
            wrong_kind(&node, "a whole number", report);
        }
        number
    }
}

impl<T: Read> Read for Vec<At<T>> {
    /// From the environment or a flag, a list is its values joined by comma; nothing at all is the empty list.
    fn read(node: Node, report: &mut Report) -> Option<Self> {
        let items = match node.value {
            Value::List(items) => items,
            Value::Untyped(text) if text.trim().is_empty() => Vec::new(),
            Value::Untyped(text) => {
                let item = |(i, part): (usize, &str)| Node {
                    place: node.place.index(i, node.place.source.clone()),
                    value: Value::Untyped(part.trim().to_owned()),
                };
                text.split(',').enumerate().map(item).collect()
            }
            _ => {
                report.problem(&node.place, format!("found {}; allowed: a list", node.value.kind()));
                return None;
            }
        };
        let count = items.len();
        let items: Self = items.into_iter().filter_map(|item| At::read(item, report)).collect();
        (items.len() == count).then_some(items)
    }
}

/// A table whose keys are ids or names: what each holds, `None` if that was reported.
#[derive(Debug)]
pub(super) struct Keyed<T>(pub(super) Vec<KeyedEntry<T>>);

#[derive(Debug)]
pub(super) struct KeyedEntry<T> {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) value: Option<T>,
}

impl<T> Default for Keyed<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Read> Read for Keyed<T> {
    fn read(node: Node, report: &mut Report) -> Option<Self> {
        let Value::Table(entries) = node.value else {
            report.problem(&node.place, format!("found {}; allowed: a table", node.value.kind()));
            return None;
        };
        let entry =
            |(key, node): (String, Node)| KeyedEntry { key, place: node.place.clone(), value: T::read(node, report) };
        Some(Self(entries.into_iter().map(entry).collect()))
    }
}

impl<T: JsonSchema> JsonSchema for Keyed<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let entry = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "additionalProperties": entry })
    }

    fn inline_schema() -> bool {
        true
    }
}

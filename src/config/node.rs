//! The configuration as a tree of values that know where they were written.

use super::problem::{Place, Source, quoted};

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Clone)]
pub(super) enum Value {
    Empty,
    Bool(bool),
    /// As written.
    Number(String),
    Text(String),
    /// From the environment or a flag: what it stands for is for the setting's type to say.
    Untyped(String),
    /// A TOML date or time.
    Date,
    List(Vec<Node>),
    /// In the order of the file; keys are unique.
    Table(Vec<(String, Node)>),
}

impl std::fmt::Debug for Value {
    /// The kind alone: a tree holds secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind())
    }
}

impl Value {
    /// What kind of value it is, for a message that must not show it.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Empty => "nothing",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) | Self::Untyped(_) => "text",
            Self::Date => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }

    /// The value itself if it is a small one, else its kind. Not for secrets.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Number(text) => text.clone(),
            Self::Text(text) | Self::Untyped(text) => quoted(text),
            Self::Empty | Self::Date | Self::List(_) | Self::Table(_) => self.kind().to_owned(),
        }
    }
}

impl Node {
    /// An empty table that stands for the whole configuration.
    pub(super) fn root(source: Source) -> Self {
        Self { place: Place { key: String::new(), source }, value: Value::Table(Vec::new()) }
    }

    /// Puts `value` at `path`, replacing what was there and making the tables on the way.
    ///
    /// # Errors
    /// The place of the value on the way that is no table.
    pub(super) fn set(&mut self, path: &[String], value: Value, source: &Source) -> Result<(), Place> {
        let Some((key, rest)) = path.split_first() else {
            self.value = value;
            self.place.source = source.clone();
            return Ok(());
        };
        let place = self.place.child_at(key, source.clone());
        let Value::Table(entries) = &mut self.value else { return Err(self.place.clone()) };
        if let Some((_, node)) = entries.iter_mut().find(|(k, _)| k == key) {
            return node.set(rest, value, source);
        }
        let mut node = Self { place, value: Value::Table(Vec::new()) };
        node.set(rest, value, source)?;
        entries.push((key.clone(), node));
        Ok(())
    }
}

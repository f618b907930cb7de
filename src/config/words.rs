//! Settings that are one of a few words.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::node::{Node, Value};
use super::problem::{Report, hint, list};
use super::read::{Field, Read, wrong_kind};

/// A setting that is one of a few words.
pub(super) trait Word: Copy + 'static {
    /// Each word and what it stands for.
    const WORDS: &'static [(&'static str, Self)];

    /// What to say to a word that needs more than the list of those allowed.
    fn refusal(_word: &str) -> Option<String> {
        None
    }
}

/// One of the words of `T`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice<T>(pub(super) T);

impl<T: Word> Read for Choice<T> {
    fn read(node: Node, report: &mut Report) -> Option<Self> {
        let words = || T::WORDS.iter().map(|(word, _)| *word);
        let (Value::Text(text) | Value::Untyped(text)) = &node.value else {
            wrong_kind(&node, &list(words()), report);
            return None;
        };
        if let Some((_, value)) = T::WORDS.iter().find(|(word, _)| word == text) {
            return Some(Self(*value));
        }
        let text = T::refusal(text).unwrap_or_else(|| format!("found {}{}", node.value.shown(), hint(text, words())));
        report.problem(&node.place, text);
        None
    }
}

impl<T: Word> JsonSchema for Choice<T> {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Choice")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = T::WORDS.iter().map(|(word, _)| *word).collect();
        json_schema!({ "type": "string", "enum": words })
    }

    fn inline_schema() -> bool {
        true
    }
}

impl<T> Field<Choice<T>> {
    /// What the word stands for, or the default.
    pub(super) fn word_or(self, default: T) -> Option<T> {
        self.or(Choice(default)).map(|choice| choice.0)
    }
}

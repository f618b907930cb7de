//! TOML into a tree.

use toml::de::{DeTable, DeValue};

use super::file::File;
use super::node::{Node, Value};
use super::problem::{Place, Report};

/// Every syntax error is reported; duplicate keys do not hide the rest.
pub(super) fn parse(text: &str, file: &File, report: &mut Report) -> Option<Node> {
    let lines = Lines::of(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut broken = false;
    for error in &errors {
        let line = error.span().map(|span| lines.at(span.start));
        let place = Place { key: String::new(), source: file.line(line) };
        // The parser's own display quotes the line, which may hold a secret; its message names no values. The text
        // decides only whether more mistakes are looked for after this one.
        if error.message() == "duplicate key" {
            let key = error.span().and_then(|span| text.get(span)).unwrap_or_default();
            report.problem(&place, format!("{key}: duplicate key; it is already set above"));
        } else {
            report.problem(&place, format!("not TOML: {}", error.message().replace('\n', "; ")));
            broken = true;
        }
    }
    (!broken).then(|| table(file.root(), document.get_ref(), file, &lines))
}

fn table(place: Place, table: &DeTable<'_>, file: &File, lines: &Lines) -> Node {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        let key_text: &std::borrow::Cow<'_, str> = key.get_ref();
        let place = place.child_at(key_text, file.line(Some(lines.at(key.span().start))));
        (key_text.to_string(), value_at(place, value.get_ref(), file, lines))
    };
    let entries = entries.into_iter().map(entry).collect();
    Node { place, value: Value::Table(entries) }
}

fn value_at(place: Place, value: &DeValue<'_>, file: &File, lines: &Lines) -> Node {
    let value = match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => Value::Number(number.to_string()),
        DeValue::Float(number) => Value::Number(number.as_str().to_owned()),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(items) => {
            let item = |(i, item): (usize, &toml::Spanned<DeValue<'_>>)| {
                let place = place.index(i, file.line(Some(lines.at(item.span().start))));
                value_at(place, item.get_ref(), file, lines)
            };
            Value::List(items.iter().enumerate().map(item).collect())
        }
        DeValue::Table(inner) => return table(place, inner, file, lines),
    };
    Node { place, value }
}

/// Where lines start, as byte offsets.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    /// The line of a byte, counted from 1.
    fn at(&self, byte: usize) -> usize {
        self.0.partition_point(|start| *start <= byte)
    }
}

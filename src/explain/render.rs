//! The story of a reference, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::directory::Explained;

use super::advice::advice;
use super::record::{Field, Step};

/// A record as it was kept. Every value is a text; what is not there is empty.
struct Told(Map<String, Value>);

impl Told {
    fn read(row: &Explained) -> Option<Self> {
        serde_json::from_str(&row.record).ok().map(Self)
    }

    fn text(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn field(&self, field: Field) -> &str {
        self.text(field.word())
    }
}

/// The attempt that a row belongs to.
pub(super) fn attempt_of(row: &Explained) -> Option<String> {
    Told::read(row).map(|told| told.text("attempt").to_owned()).filter(|attempt| !attempt.is_empty())
}

/// The story as text, oldest first: of each decision what was checked, what was found and what to do. Nothing in it
/// can move a terminal's cursor.
pub fn render(story: &[Explained]) -> String {
    if story.is_empty() {
        return "Nothing is kept under this reference. Only challenges, denials and sign-ins are, for as long as \
                explain.keep says and at most explain.max of them.\n"
            .to_owned();
    }
    let mut out = String::new();
    let mut advised = String::new();
    for row in story {
        if !out.is_empty() {
            out.push('\n');
        }
        let _ = writeln!(out, "{}  {}", row.at.rfc3339(), headline(row));
        let Some(told) = Told::read(row) else {
            line(&mut out, "record", "cannot be read: written by another version");
            continue;
        };
        for (name, text) in lines(&told) {
            line(&mut out, name, &text);
        }
        // One request may leave two records, of the sign-in and of its answer: once is enough.
        let advice = advice(told.text("reason"), told.field(Field::Cookie));
        if advice != advised {
            line(&mut out, "what to do", advice);
            advice.clone_into(&mut advised);
        }
    }
    out
}

/// The story as JSON: a list of records, oldest first, each with its time and reference.
pub fn json(story: &[Explained]) -> Value {
    let record = |row: &Explained| {
        let mut record = json!({ "at": row.at.rfc3339(), "reference": row.reference });
        match (Told::read(row), record.as_object_mut()) {
            (Some(told), Some(record)) => record.extend(told.0),
            (_, Some(record)) => drop(record.insert("unreadable".into(), true.into())),
            (_, None) => {}
        }
        record
    };
    Value::Array(story.iter().map(record).collect())
}

fn headline(row: &Explained) -> String {
    let Some(told) = Told::read(row) else { return "a decision".to_owned() };
    let step = match Step::ALL.into_iter().find(|step| step.word() == told.text("step")) {
        Some(Step::Request) => "a request for the application",
        Some(Step::OwnPath) => "a request for one of Anteroom's own pages",
        Some(Step::Start) => "sign-in, on the way to the provider",
        Some(Step::Callback) => "sign-in, back from the provider",
        Some(Step::Confirm) => "sign-in, the person confirms the address",
        Some(Step::HandOff) => "sign-in, on to another host",
        Some(Step::Renewal) => "renewal of the session",
        Some(Step::SignOut) => "sign-out",
        None => "a decision",
    };
    let outcome = match told.text("kind") {
        "challenge" => "held up,",
        "denial" => "refused,",
        _ => "ended with",
    };
    clean(&format!("{step}: {outcome} {}", told.text("reason")))
}

/// What is said of one decision, line by line.
fn lines(told: &Told) -> Vec<(&'static str, String)> {
    let field = |field| told.field(field);
    let joined = |parts: &[(&str, &str)]| {
        let parts = parts.iter().filter(|(_, value)| !value.is_empty());
        parts.map(|(name, value)| format!("{name}{value}")).collect::<Vec<_>>().join(", ")
    };
    let target = format!("{} {}{}", field(Field::Method), field(Field::Host), field(Field::Path));
    let cookie = match field(Field::Cookie) {
        "none" => "no session cookie came",
        "good" => "the session cookie leads to a good session",
        "unknown" => "the session cookie leads to no session",
        "ended" => "the session cookie leads to a session that was ended",
        "malformed" => "the session cookie does not have the form of ours",
        "twice" => "two session cookies came, and neither counts",
        "not_asked" => "the session cookie was not looked at",
        other => other,
    };
    let fits = match (field(Field::Expected), field(Field::Found)) {
        ("", "") => String::new(),
        (expected, found) => format!("expected {expected}; found {found}"),
    };
    let said = |name: &'static str, parts: &[(&str, &str)]| (name, joined(parts));
    let all = [
        said("request", &[("", target.trim()), ("by a ", field(Field::Asker)), ("answered ", field(Field::Status))]),
        said("from", &[("", told.text("client_ip")), ("request ", told.text("request_id"))]),
        said("attempt", &[("", told.text("attempt"))]),
        said("route", &[("app ", field(Field::App)), ("", field(Field::Route)), ("asks for ", field(Field::Asks))]),
        said("session", &[("", cookie), ("reference ", field(Field::Session))]),
        said("person", &[("", field(Field::User)), ("role ", field(Field::Role))]),
        said("credential", &[("", field(Field::Credential))]),
        said("provider", &[("connector ", field(Field::Connector)), ("said: ", field(Field::ProviderError))]),
        said("typed", &[("", field(Field::Typed))]),
        said("missing", &[("cookie ", field(Field::MissingCookie))]),
        said("checked", &[("", field(Field::Claim)), ("", &fits)]),
    ];
    all.into_iter().filter(|(_, text)| !text.is_empty()).collect()
}

fn line(out: &mut String, name: &str, text: &str) {
    let _ = writeln!(out, "    {name:<11} {}", clean(text));
}

/// Without characters that act: what strangers wrote stands in the records.
fn clean(text: &str) -> String {
    let acts = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().flat_map(|c| if acts(c) { c.escape_default().collect() } else { vec![c] }).collect()
}

//! `[identity]`: how the application is told who asks.

use std::time::Duration;

use http::HeaderName;
use schemars::JsonSchema;

use super::headers::header_name;
use super::node::{Node, Value};
use super::parse::{Context, duration, wrong};
use super::problem::{Place, Report, hint, list, quoted};
use super::read::{At, Field, Read, section};
use super::words::{Choice, Word};

/// `[identity]`
#[derive(Clone, Debug)]
pub struct Identity {
    /// Families of header names that other proxies use.
    pub presets: Vec<HeaderPreset>,
    /// Headers of the operator's own.
    pub custom: Vec<CustomHeader>,
    /// None: `assertion = { enabled = false }`.
    pub assertion: Option<Assertion>,
}

/// A family of header names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderPreset {
    /// `X-Forwarded-User`, `-Email`, `-Groups`, `-Preferred-Username`
    XForwarded,
    /// `X-Auth-Request-User`, `-Email`, `-Groups`, `-Preferred-Username`
    XAuthRequest,
    /// `Remote-User`, `-Groups`, `-Name`, `-Email`
    Remote,
}

impl HeaderPreset {
    /// The names of the family, lower case.
    const fn names(self) -> [&'static str; 4] {
        match self {
            Self::XForwarded => {
                ["x-forwarded-user", "x-forwarded-email", "x-forwarded-groups", "x-forwarded-preferred-username"]
            }
            Self::XAuthRequest => [
                "x-auth-request-user",
                "x-auth-request-email",
                "x-auth-request-groups",
                "x-auth-request-preferred-username",
            ],
            Self::Remote => ["remote-user", "remote-groups", "remote-name", "remote-email"],
        }
    }
}

impl Word for HeaderPreset {
    const WORDS: &'static [(&'static str, Self)] =
        &[("x-forwarded", Self::XForwarded), ("x-auth-request", Self::XAuthRequest), ("remote", Self::Remote)];
}

/// `{ name = "X-Mail", value = "{email}" }`: fixed text with fields of the identity in braces.
#[derive(Clone, Debug)]
pub struct CustomHeader {
    /// None of those that frame a message, carry credentials or are Anteroom's own.
    pub name: HeaderName,
    /// Text (printable ASCII) and fields, in order; not empty.
    pub value: Vec<TemplatePart>,
}

/// A piece of a custom header's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplatePart {
    /// Sent as it is.
    Text(String),
    /// Replaced for each identity.
    Field(IdentityField),
}

/// What a custom header can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityField {
    /// The app's own user id if known, else the address.
    User,
    /// The verified address.
    Email,
    /// The provider's preferred username.
    PreferredUsername,
    /// The display name.
    Name,
    /// The groups, joined by comma.
    Groups,
    /// The role.
    Role,
    /// The connector's id.
    Connector,
    /// The user id that the assertion calls `sub`.
    Subject,
}

impl Word for IdentityField {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("user", Self::User),
        ("email", Self::Email),
        ("preferred_username", Self::PreferredUsername),
        ("name", Self::Name),
        ("groups", Self::Groups),
        ("role", Self::Role),
        ("connector", Self::Connector),
        ("subject", Self::Subject),
    ];
}

/// `identity.assertion`
#[derive(Clone, Debug)]
pub struct Assertion {
    /// Default `X-Anteroom-Assertion`.
    pub header: HeaderName,
    /// Default 60 s; 10 s to 10 min.
    pub lifetime: Duration,
}

section! {
    /// How the application is told who asks.
    RawIdentity {
        /// Presets (`x-forwarded`, `x-auth-request`, `remote`) and headers of your own, as `{ name, value }`. Beside
        /// them the X-Anteroom-* headers are always sent.
        #[schemars(extend("default" = ["x-forwarded"]))]
        headers: Vec<At<RawHeader>>,
        /// The signed assertion, a JWT that the application can check against `/.anteroom/jwks.json`.
        assertion: RawAssertion,
    }
}

section! {
    /// The signed assertion.
    RawAssertion {
        /// The header that carries it.
        #[schemars(extend("default" = "X-Anteroom-Assertion"))]
        header: String,
        /// How long one is valid, from 10s to 10m. It is renewed at half of it.
        #[schemars(extend("default" = "60s"))]
        lifetime: String,
        /// Whether it is sent.
        #[schemars(extend("default" = true))]
        enabled: bool,
    }
}

section! {
    /// A header of your own.
    RawCustomHeader {
        /// Required. The header's name.
        name: String,
        /// Required. Text with `{user}`, `{email}`, `{preferred_username}`, `{name}`, `{groups}`, `{role}`,
        /// `{connector}` or `{subject}` in it; `{{` and `}}` are braces.
        value: String,
    }
}

/// A preset's name, or a header of the operator's own.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum RawHeader {
    /// A family of headers.
    Preset(Choice<HeaderPreset>),
    /// A header of your own.
    Custom(RawCustomHeader),
}

impl Read for RawHeader {
    fn read(node: Node, report: &mut Report) -> Option<Self> {
        if matches!(node.value, Value::Table(_)) {
            return RawCustomHeader::read(node, report).map(Self::Custom);
        }
        if !matches!(node.value, Value::Text(_) | Value::Untyped(_)) {
            let words = list(HeaderPreset::WORDS.iter().map(|(word, _)| *word));
            let text = format!("found {}; allowed: {words}, or a table with name and value", node.value.shown());
            report.problem(&node.place, text);
            return None;
        }
        Choice::read(node, report).map(Self::Preset)
    }
}

const LIFETIME: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(600));
const ASSERTION_HEADER: HeaderName = HeaderName::from_static("x-anteroom-assertion");

impl RawIdentity {
    pub(super) fn resolve(raw: At<Self>, cx: &mut Context<'_>) -> Option<Identity> {
        let At { value: raw, place } = raw;
        let mut taken: Vec<(HeaderName, Place)> = Vec::new();
        let (mut presets, mut custom) = (Vec::new(), Vec::new());
        let mut valid = true;
        let written = raw.headers.is_written();
        for header in raw.headers.or_else(Vec::new)? {
            match header.value {
                RawHeader::Preset(Choice(preset)) => {
                    take(preset.names().map(HeaderName::from_static), &header.place, &mut taken, cx.report);
                    presets.push(preset);
                }
                RawHeader::Custom(raw) => match raw.resolve(&header.place, cx) {
                    Some(own) => {
                        take([own.name.clone()], &header.place, &mut taken, cx.report);
                        custom.push(own);
                    }
                    None => valid = false,
                },
            }
        }
        if !written {
            presets.push(HeaderPreset::XForwarded);
        }
        let raw = raw.assertion.section(&place, "assertion")?;
        let header_place = raw.value.header.set().map_or_else(|| raw.place.child("header"), |at| at.place.clone());
        let header = raw.value.header.parse(cx.report, |text| {
            if text.eq_ignore_ascii_case(ASSERTION_HEADER.as_str()) { Ok(ASSERTION_HEADER) } else { header_name(text) }
        });
        let header = header.or(ASSERTION_HEADER);
        let lifetime = raw.value.lifetime.parse(cx.report, |text| duration(text, LIFETIME.0, LIFETIME.1));
        let lifetime = lifetime.or(Duration::from_secs(60));
        let enabled = raw.value.enabled.or(true)?;
        if let (Some(header), true) = (&header, enabled) {
            take([header.clone()], &header_place, &mut taken, cx.report);
        }
        let assertion = Assertion { header: header?, lifetime: lifetime? };
        valid.then(|| Identity { presets, custom, assertion: enabled.then_some(assertion) })
    }
}

/// Each header has one sender. One message is enough for a family.
fn take(
    names: impl IntoIterator<Item = HeaderName>,
    place: &Place,
    taken: &mut Vec<(HeaderName, Place)>,
    report: &mut Report,
) {
    for name in names {
        if let Some((_, earlier)) = taken.iter().find(|(known, _)| *known == name) {
            let earlier = &earlier.key;
            report.problem(place, format!("the header {name} is set by {earlier} already; allowed: each header once"));
            return;
        }
        taken.push((name, place.clone()));
    }
}

impl RawCustomHeader {
    fn resolve(self, place: &Place, cx: &mut Context<'_>) -> Option<CustomHeader> {
        let name = self.name.parse(cx.report, |text| header_name(text));
        let name = name.required(place, "name", "allowed: a header name", cx.report);
        let value: Field<Vec<TemplatePart>> = self.value.parse(cx.report, |text| template(text));
        let value = value.required(place, "value", "allowed: text with fields, such as \"{email}\"", cx.report);
        Some(CustomHeader { name: name?, value: value? })
    }
}

/// Splits at `{field}`.
fn template(text: &str) -> Result<Vec<TemplatePart>, String> {
    let allowed = || {
        let fields: Vec<String> = IdentityField::WORDS.iter().map(|(word, _)| format!("{{{word}}}")).collect();
        format!("allowed: printable ASCII with the fields {}; {{{{ and }}}} are braces", fields.join(" "))
    };
    let fail = || wrong(text, &allowed());
    if text.trim() != text || text.is_empty() || !text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Err(fail());
    }
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("{{") {
            plain.push('{');
            rest = after;
        } else if let Some(after) = rest.strip_prefix("}}") {
            plain.push('}');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let (word, after) = after.split_once('}').ok_or_else(fail)?;
            let words = IdentityField::WORDS.iter().map(|(word, _)| *word);
            let Some((_, field)) = IdentityField::WORDS.iter().find(|(known, _)| *known == word) else {
                return Err(format!(
                    "found {}: no field is called {}{}",
                    quoted(text),
                    quoted(word),
                    hint(word, words)
                ));
            };
            if !plain.is_empty() {
                parts.push(TemplatePart::Text(std::mem::take(&mut plain)));
            }
            parts.push(TemplatePart::Field(*field));
            rest = after;
        } else if c == '}' {
            return Err(fail());
        } else {
            plain.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    if !plain.is_empty() {
        parts.push(TemplatePart::Text(plain));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_text_and_fields() {
        let text = |t: &str| TemplatePart::Text(t.to_owned());
        assert_eq!(template("{email}"), Ok(vec![TemplatePart::Field(IdentityField::Email)]));
        assert_eq!(
            template("u={user};{{{role}}}"),
            Ok(vec![
                text("u="),
                TemplatePart::Field(IdentityField::User),
                text(";{"),
                TemplatePart::Field(IdentityField::Role),
                text("}"),
            ])
        );
        for bad in ["", "{emial}", "{email", "email}", "ä", "a\r\nb", " a", "{}"] {
            assert!(template(bad).is_err(), "{bad}");
        }
        assert!(template("{emial}").unwrap_err().contains("did you mean \"email\""));
    }
}

//! The JSON schema and the reference page, both made from the raw sections.

use std::fmt::Write as _;

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::load::RawConfig;

/// The page's hand-written beginning.
const HEAD: &str = include_str!("reference.md");

/// The order of the page: what everybody sets comes first. A section that is not named here comes last.
const ORDER: [&str; 5] = ["server", "apps", "connectors", "domains", "identity"];

fn tree() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<RawConfig>().to_value();
    if let Value::Object(object) = &mut schema {
        object.insert(String::from("title"), Value::from("Anteroom configuration"));
    }
    schema
}

/// The JSON schema of the configuration file (draft 2020-12), for editors. It knows shapes; [`super::load`] knows
/// the rest.
pub fn schema() -> String {
    format!("{:#}\n", tree())
}

/// The reference page: every setting with its type, default and meaning, in Markdown.
pub fn reference() -> String {
    let mut page = String::from(HEAD);
    let tree = tree();
    let mut sections: Vec<_> = properties(&tree).collect();
    sections.sort_by_key(|(name, _)| ORDER.iter().position(|known| known == name).unwrap_or(ORDER.len()));
    for (name, section) in sections {
        let title = section.get("additionalProperties").filter(|entry| entry.is_object());
        match title {
            Some(entry) => {
                let key = if name == "domains" { "\"<domain>\"" } else { "<id>" };
                heading(&mut page, 2, &format!("{name}.{key}"), section);
                settings(&mut page, &format!("{name}.{key}"), entry);
            }
            None => {
                heading(&mut page, 2, name, section);
                settings(&mut page, name, section);
            }
        }
    }
    page
}

fn properties(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

fn heading(page: &mut String, level: usize, name: &str, schema: &Value) {
    let hashes = "#".repeat(level);
    let _ = write!(page, "\n{hashes} `{name}`\n\n{}\n", description(schema));
}

fn description(schema: &Value) -> String {
    schema.get("description").and_then(Value::as_str).unwrap_or_default().replace('\n', " ")
}

/// A table of the section's settings, and a part of its own for each table inside it.
fn settings(page: &mut String, section: &str, schema: &Value) {
    page.push_str("\n| Setting | Type | Default | Meaning |\n| --- | --- | --- | --- |\n");
    let mut inner = Vec::new();
    for (key, setting) in properties(schema) {
        let nested = tables_in(setting);
        let meaning = description(setting);
        let (required, meaning) = match meaning.strip_prefix("Required. ") {
            Some(rest) => (true, rest.to_owned()),
            None => (false, meaning),
        };
        let default = match setting.get("default") {
            Some(default) => format!("`{default}`"),
            None if required => String::from("required"),
            None => String::new(),
        };
        let _ = writeln!(page, "| `{key}` | {} | {} | {} |", kind(setting), cell(&default), cell(&meaning));
        inner.extend(nested.map(|table| (key.to_owned(), setting, table)));
    }
    for (key, setting, table) in inner {
        let list = if setting.get("items").is_some() { "[]" } else { "" };
        let name = format!("{section}.{key}{list}");
        heading(page, 3, &name, table);
        settings(page, &name, table);
    }
}

/// The table that a setting is or lists, if it is or does.
fn tables_in(setting: &Value) -> Option<&Value> {
    let item = setting.get("items").unwrap_or(setting);
    let variants = item.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    std::iter::once(item).chain(variants).find(|schema| schema.get("properties").is_some())
}

fn kind(schema: &Value) -> String {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return words.iter().filter_map(Value::as_str).map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", ");
    }
    if let Some(variants) = schema.get("anyOf").and_then(Value::as_array) {
        return variants.iter().map(kind).collect::<Vec<_>>().join(", or ");
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("array") => {
            let item = schema.get("items").map(kind).unwrap_or_default();
            format!("list of {}", if item == "table" { "tables" } else { item.as_str() })
        }
        Some("object") => String::from("table"),
        Some("string") if schema.get("writeOnly").is_some() => String::from("secret text"),
        Some("string") => String::from("text"),
        Some("integer") => String::from("whole number"),
        Some("boolean") => String::from("true or false"),
        Some(_) | None => String::new(),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

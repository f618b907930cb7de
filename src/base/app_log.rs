//! `kind = app` log lines: what this process does and what goes wrong, from `tracing` events.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use super::clock::Clock;
use super::log::{Log, json_line};

/// The level setting is not a tracing filter.
#[derive(Debug, thiserror::Error)]
#[error("log.level is not a level or a tracing filter")]
pub struct BadFilter(#[from] tracing_subscriber::filter::ParseError);

/// Sends this process's `tracing` events to `log`, as JSON or as text for people.
///
/// # Errors
/// `filter` is neither a level nor a tracing filter.
pub fn install(log: Log, clock: Clock, filter: &str, json: bool) -> Result<(), BadFilter> {
    let filter = EnvFilter::builder().parse(filter)?;
    // A second call (tests in one process) leaves the first in place.
    drop(tracing_subscriber::registry().with(Lines { log, clock, json }.with_filter(filter)).try_init());
    Ok(())
}

struct Lines {
    log: Log,
    clock: Clock,
    json: bool,
}

impl<S: tracing::Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields(Map::new());
        let meta = event.metadata();
        fields.0.insert("ts".into(), self.clock.now().rfc3339().into());
        fields.0.insert("kind".into(), "app".into());
        fields.0.insert("level".into(), meta.level().as_str().to_lowercase().into());
        fields.0.insert("target".into(), meta.target().into());
        event.record(&mut fields);
        // Of a library that logs by the `log` crate: its place in a source tree helps nobody, its name does.
        let target = fields.0.remove("log.target");
        fields.0.retain(|key, _| !key.starts_with("log."));
        if let Some(target) = target {
            fields.0.insert("target".into(), target);
        }
        self.log.line(if self.json { json_line(&fields.0) } else { text(&fields.0).into_bytes() });
    }
}

/// One event as text: time, level, message, then the other fields.
fn text(fields: &Map<String, Value>) -> String {
    let get = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default().escape_debug().to_string();
    let mut out = format!("{} {:5} {}", get("ts"), get("level").to_uppercase(), get("message"));
    for (key, value) in
        fields.iter().filter(|(k, _)| !["ts", "kind", "level", "target", "message"].contains(&k.as_str()))
    {
        out.push_str(&format!(" {key}={value}"));
    }
    out
}

struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().into(), format!("{value:?}").into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().into(), value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().into(), value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().into(), value.into());
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.0.insert(field.name().into(), error_chain(value).into());
    }
}

/// An error with its causes, in one line: `cannot start: cannot listen on …: address in use`.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !out.ends_with(&text) {
            out.push_str(": ");
            out.push_str(&text);
        }
        next = cause.source();
    }
    out
}

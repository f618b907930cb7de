//! `[log]`: what is logged, and how.

use tracing_subscriber::EnvFilter;

use super::parse::{Context, wrong};
use super::problem::hint;
use super::read::{At, section};
use super::words::{Choice, Word};

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// Default json.
    pub format: LogFormat,
    /// `error`, `warn`, `info` (default), `debug`, `trace`, or a tracing filter.
    pub level: String,
    /// A line per request; default true.
    pub access: bool,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Word for LogFormat {
    const WORDS: &'static [(&'static str, Self)] = &[("json", Self::Json), ("text", Self::Text)];
}

section! {
    /// What is logged, and how.
    RawLog {
        /// One JSON object a line, or text for people.
        #[schemars(extend("default" = "json"))]
        format: Choice<LogFormat>,
        /// `off`, `error`, `warn`, `info`, `debug`, `trace`, or a tracing filter such as `info,anteroom::signin=debug`.
        #[schemars(extend("default" = "info"))]
        level: String,
        /// Whether each request leaves a line.
        #[schemars(extend("default" = true))]
        access: bool,
    }
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl RawLog {
    pub(super) fn resolve(raw: At<Self>, cx: &mut Context<'_>) -> Option<Log> {
        let raw = raw.value;
        let format = raw.format.word_or(LogFormat::Json);
        let level = raw.level.parse(cx.report, |text| level(text)).or_else(|| String::from("info"));
        Some(Log { format: format?, level: level?, access: raw.access.or(true)? })
    }
}

fn level(text: &str) -> Result<String, String> {
    // A filter takes any lone word for a module's name: `inof` would silence everything else.
    let lone_word = text.bytes().all(|b| b.is_ascii_alphanumeric());
    if lone_word && !LEVELS.contains(&text) {
        return Err(format!("found {text:?}{}", hint(text, LEVELS)));
    }
    EnvFilter::builder().parse(text).map_err(|_| {
        wrong(text, "allowed: off, error, warn, info, debug, trace, or a filter such as info,anteroom::signin=debug")
    })?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_level_is_no_filter() {
        assert!(level("info").is_ok() && level("info,anteroom::signin=debug").is_ok());
        assert!(level("inof").unwrap_err().contains("did you mean"));
        assert!(level("").is_err());
        assert!(level("anteroom=loud").is_err());
    }
}

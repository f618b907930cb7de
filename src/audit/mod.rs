//! Security events: one JSON line each (`kind = audit`), never a secret, and a counter beside it.
//!
//! Event names are by area (security cases 0.1): `login.accepted`, `login.rejected`, `login.paused`, `session.ended`,
//! `session.rejected`, `logout.rejected`, `header.stripped`, `path.denied`, `redirect.rejected`, `browser.denied`,
//! `browser.kept`, `browser.not_kept`, `browser.resent`,
//! `native.denied`, `limit.hit`, `admin.changed`. Two different causes never share a `reason`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::base::clock::{Clock, Tick};
use crate::base::log::{Log, json_line};

/// How the thing that is recorded ended, in the words dashboards of this field use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Let in, or done as asked.
    Success,
    /// Refused: the message or the person is not acceptable.
    Failure,
    /// Neither: something of ours or of a provider's did not work.
    Error,
}

impl Outcome {
    const fn word(self) -> &'static str {
        match self {
            Self::Success => "AuthSuccess",
            Self::Failure => "AuthFailure",
            Self::Error => "AuthError",
        }
    }
}

/// One event on its way to the log.
#[derive(Debug)]
pub struct Event {
    name: &'static str,
    reason: &'static str,
    fields: Map<String, Value>,
}

impl Event {
    /// An event `name` because of `reason`, a stable code.
    pub fn new(name: &'static str, outcome: Outcome, reason: &'static str) -> Self {
        let mut fields = Map::new();
        fields.insert("outcome".into(), outcome.word().into());
        Self { name, reason, fields }
    }

    /// Adds a field. Long values are cut to 256 characters: an event is a line, not a copy of its cause.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl AsRef<str>) -> Self {
        let value = value.as_ref();
        let cut: String = value.chars().take(256).collect();
        self.fields.insert(key.into(), cut.into());
        self
    }

    /// Adds a field if there is a value for it.
    #[must_use]
    pub fn with_some(self, key: &'static str, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// Who asked, and under which request id.
    #[must_use]
    pub fn from_client(self, client: IpAddr, request_id: &str) -> Self {
        self.with("client_ip", client.to_string()).with("request_id", request_id)
    }
}

/// Where events go.
pub struct Audit {
    log: Log,
    clock: Clock,
    floods: Mutex<HashMap<(&'static str, &'static str), Flood>>,
}

/// Events of one name and reason within one second.
struct Flood {
    since: Tick,
    written: u32,
    suppressed: u64,
}

/// Lines per second for one kind of event that anybody can cause at will; more are counted in the next line.
const FLOOD_LIMIT: u32 = 50;

impl Audit {
    /// Events written to `log` as JSON lines.
    pub fn new(log: Log, clock: Clock) -> Self {
        Self { log, clock, floods: Mutex::default() }
    }

    /// Writes `event`. Never dropped: sign-ins, sign-outs, refusals of a protocol message.
    pub fn record(&self, event: Event) {
        self.write(event, 0);
    }

    /// Writes `event`, at most 50 a second of its name and reason; the next line written counts the others. For
    /// events that a stranger can cause with any request.
    pub fn record_frequent(&self, event: Event) {
        let now = self.clock.tick();
        let mut floods = self.floods.lock().unwrap_or_else(PoisonError::into_inner);
        let flood = floods.entry((event.name, event.reason)).or_insert(Flood { since: now, written: 0, suppressed: 0 });
        if now.since(flood.since).as_millis() >= 1000 {
            flood.since = now;
            flood.written = 0;
        }
        if flood.written >= FLOOD_LIMIT {
            flood.suppressed += 1;
            return;
        }
        flood.written += 1;
        let suppressed = std::mem::take(&mut flood.suppressed);
        drop(floods);
        self.write(event, suppressed);
    }

    fn write(&self, event: Event, suppressed: u64) {
        let mut line = Map::new();
        line.insert("ts".into(), self.clock.now().rfc3339().into());
        line.insert("kind".into(), "audit".into());
        line.insert("event".into(), event.name.into());
        line.insert("reason".into(), event.reason.into());
        line.extend(event.fields);
        if suppressed > 0 {
            line.insert("more_not_written".into(), suppressed.into());
        }
        self.log.line(json_line(&line));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::clock::Timestamp;

    fn audit() -> (Audit, Log, Clock) {
        let (log, clock) = (Log::memory(), Clock::manual(Timestamp::from_secs(1_000_000)));
        (Audit::new(log.clone(), clock.clone()), log, clock)
    }

    #[test]
    fn one_event_is_one_json_line_whatever_it_carries() {
        let (audit, log, _) = audit();
        audit.record(
            Event::new("login.rejected", Outcome::Failure, "state_missing").with("user", "a\"\r\n{\"event\":1}"),
        );
        let text = log.taken();
        assert_eq!(text.lines().count(), 1);
        let line: Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(line["event"], "login.rejected");
        assert_eq!(line["reason"], "state_missing");
        assert_eq!(line["outcome"], "AuthFailure");
        assert_eq!(line["user"], "a\"\r\n{\"event\":1}");
    }

    #[test]
    fn a_flood_is_counted_not_written() {
        let (audit, log, clock) = audit();
        let event = || Event::new("header.stripped", Outcome::Failure, "header_spoof");
        (0..1000).for_each(|_| audit.record_frequent(event()));
        assert_eq!(log.taken().lines().count(), 50);
        clock.advance(Duration::from_secs(1));
        audit.record_frequent(event());
        assert!(log.taken().contains("\"more_not_written\":950"));
    }
}

//! `kind = access` lines: one per request, without query, cookies or credentials (N10, E10). Lines gather in a buffer
//! of the core and leave it a few times a second.

use http::Method;

use crate::base::clock::Timestamp;
use crate::base::log::{Log, escape_json};

/// Bytes gathered before a core hands its lines on.
const BUFFER: usize = 32 * 1024;

pub(super) struct AccessLog {
    log: Log,
    buffer: Vec<u8>,
    /// The second that `second_text` shows, so that a busy core formats it once.
    second: i64,
    second_text: String,
}

/// One request.
pub(super) struct Line<'a> {
    pub(super) at: Timestamp,
    pub(super) request_id: &'a str,
    pub(super) client: &'a str,
    pub(super) method: &'a Method,
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) app: &'a str,
    /// `session`, `anonymous`, `native`, `own`, or the reason of our own answer.
    pub(super) by: &'a str,
    pub(super) status: u16,
    /// Until the answer's head was ready.
    pub(super) micros: u128,
}

impl AccessLog {
    pub(super) fn new(log: Log) -> Self {
        Self { log, buffer: Vec::with_capacity(BUFFER), second: i64::MIN, second_text: String::new() }
    }

    pub(super) fn add(&mut self, line: &Line<'_>) {
        let second = line.at.secs();
        if second != self.second {
            self.second = second;
            let text = Timestamp::from_secs(second).rfc3339();
            self.second_text = text.split('.').next().unwrap_or_default().to_owned();
        }
        let mut digits = itoa::Buffer::new();
        let out = &mut self.buffer;
        out.extend_from_slice(b"{\"ts\":\"");
        out.extend_from_slice(self.second_text.as_bytes());
        let millis = digits.format(1000 + line.at.millis().rem_euclid(1000));
        out.push(b'.');
        out.extend_from_slice(millis.get(1..).unwrap_or_default().as_bytes());
        out.extend_from_slice(b"Z\",\"kind\":\"access\"");
        // What the client chose is escaped; a method is a token (RFC 9110 section 9.1), which needs none.
        for (key, text, chosen) in [
            (",\"request_id\":\"", line.request_id, false),
            ("\",\"client_ip\":\"", line.client, false),
            ("\",\"method\":\"", line.method.as_str(), false),
            ("\",\"host\":\"", line.host, true),
            ("\",\"path\":\"", line.path, true),
            ("\",\"app\":\"", line.app, false),
            ("\",\"by\":\"", line.by, false),
        ] {
            out.extend_from_slice(key.as_bytes());
            let special = |b: u8| !(0x20..0x7f).contains(&b) || b == b'"' || b == b'\\';
            // Without an early end, so that the compiler looks at many bytes at once.
            if chosen && text.bytes().fold(false, |found, b| found | special(b)) {
                escape_json(text, out);
            } else {
                out.extend_from_slice(text.as_bytes());
            }
        }
        out.extend_from_slice(b"\",\"status\":");
        out.extend_from_slice(digits.format(line.status).as_bytes());
        out.extend_from_slice(b",\"duration_us\":");
        out.extend_from_slice(digits.format(line.micros).as_bytes());
        out.extend_from_slice(b"}\n");
        if out.len() + 1024 > BUFFER {
            self.flush();
        }
    }

    /// Hands on what was gathered.
    pub(super) fn flush(&mut self) {
        if !self.buffer.is_empty() {
            self.log.bulk(&self.buffer);
            self.buffer.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_json_line_whatever_its_path_carries() {
        let log = Log::memory();
        let mut access = AccessLog::new(log.clone());
        access.add(&Line {
            at: Timestamp::from_millis(1_700_000_000_007),
            request_id: "abc",
            client: "127.0.0.1",
            method: &Method::GET,
            host: "app\"\u{202e}",
            path: "/a\n\"b\\",
            app: "portal",
            by: "session",
            status: 200,
            micros: 15,
        });
        access.flush();
        let text = log.taken();
        assert_eq!(text.lines().count(), 1);
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(line["ts"], "2023-11-14T22:13:20.007Z");
        assert_eq!(line["path"], "/a\n\"b\\");
        assert_eq!(line["status"], 200);
        assert_eq!(line["duration_us"], 15);
    }
}

//! Log lines on their way to standard output. Every line is one JSON object (or one line of text) and carries a
//! `kind`: `app`, `access` or `audit`. A thread of its own writes, so that a slow reader of our output delays nobody.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Audit and app lines kept while nobody reads our output; beyond it the newest are dropped and counted.
const MAX_QUEUED_LINES: usize = 100_000;
/// Bytes of access lines kept while nobody reads our output.
const MAX_QUEUED_BULK: usize = 8 << 20;

/// Where lines go. Cheap to clone; clones write to the same place.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    keep: bool,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    bulk: Vec<u8>,
    dropped: u64,
    writing: bool,
}

impl Log {
    /// A log that a background thread writes to standard output.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn stdout() -> std::io::Result<Self> {
        let log = Self(Arc::new(Shared { state: Mutex::default(), wake: Condvar::new(), keep: false }));
        let writer = log.clone();
        std::thread::Builder::new().name("log".into()).spawn(move || writer.write_forever())?;
        Ok(log)
    }

    /// A log that keeps its lines for [`Log::taken`]. For tests.
    pub fn memory() -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), wake: Condvar::new(), keep: true }))
    }

    /// Adds one line, without its line break. Kept even when access lines are dropped.
    pub fn line(&self, mut line: Vec<u8>) {
        line.push(b'\n');
        let mut state = self.lock();
        if state.lines.len() >= MAX_QUEUED_LINES && !self.0.keep {
            state.dropped += 1;
        } else {
            state.lines.push_back(line);
        }
        drop(state);
        self.0.wake.notify_one();
    }

    /// Adds whole lines of the access log, each with its line break. They are dropped, and counted, while more than
    /// 8 MB wait.
    pub fn bulk(&self, lines: &[u8]) {
        let mut state = self.lock();
        if state.bulk.len() + lines.len() > MAX_QUEUED_BULK && !self.0.keep {
            state.dropped += 1;
        } else {
            state.bulk.extend_from_slice(lines);
        }
        drop(state);
        self.0.wake.notify_one();
    }

    /// All lines so far of a [`Log::memory`], audit and app lines first; empties it.
    pub fn taken(&self) -> String {
        let mut state = self.lock();
        let mut out: Vec<u8> = state.lines.drain(..).flatten().collect();
        out.append(&mut state.bulk);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Waits until what was logged so far is written, at most two seconds: the last lines before an exit.
    pub fn flush(&self) {
        let mut state = self.lock();
        for _ in 0..20 {
            if self.0.keep || (state.lines.is_empty() && state.bulk.is_empty() && !state.writing) {
                return;
            }
            state = match self.0.wake.wait_timeout(state, std::time::Duration::from_millis(100)) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_forever(&self) {
        loop {
            let mut state = self.lock();
            while state.lines.is_empty() && state.bulk.is_empty() {
                state = self.0.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let lines = std::mem::take(&mut state.lines);
            let bulk = std::mem::take(&mut state.bulk);
            let dropped = std::mem::take(&mut state.dropped);
            state.writing = true;
            drop(state);
            let mut out = std::io::stdout().lock();
            let mut all: Vec<u8> = lines.into_iter().flatten().collect();
            all.extend_from_slice(&bulk);
            if dropped > 0 {
                all.extend_from_slice(
                    format!("{{\"kind\":\"app\",\"level\":\"warn\",\"message\":\"log lines dropped: standard output is not read fast enough\",\"count\":{dropped}}}\n").as_bytes(),
                );
            }
            // A full disk or a closed pipe must not stop the proxy; there is nowhere left to say so.
            drop(out.write_all(&all).and_then(|()| out.flush()));
            drop(out);
            self.lock().writing = false;
            self.0.wake.notify_all();
        }
    }
}

/// One event as a line of JSON. No terminal obeys what a field carries: controls and marks that turn text around are
/// escaped beyond what JSON asks for (U01).
pub fn json_line(fields: &serde_json::Map<String, serde_json::Value>) -> Vec<u8> {
    let line = serde_json::to_string(fields).unwrap_or_default();
    let mut out = Vec::with_capacity(line.len());
    // Outside its strings JSON is printable ASCII, and inside, what needs a backslash has one already.
    for c in line.chars() {
        push_visible(c, &mut out);
    }
    out
}

/// Escapes `text` as the inside of a JSON string: one event stays one line whatever it carries (U01).
pub fn escape_json(text: &str, out: &mut Vec<u8>) {
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            c => push_visible(c, out),
        }
    }
}

/// Adds `c`, or its escape if it is a control or a mark that cannot be seen and turns or breaks text.
fn push_visible(c: char, out: &mut Vec<u8>) {
    let unseen = matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    if c.is_control() || unseen {
        out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes());
    } else {
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn escaped_text_is_one_json_string() {
        let hostile = "a\"b\\c\r\n\u{1b}[31m\u{202e}\0é";
        let mut out = vec![b'"'];
        escape_json(hostile, &mut out);
        out.push(b'"');
        assert!(!out.contains(&b'\n') && !out.contains(&0x1b));
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), hostile);
    }

    #[test]
    fn a_line_of_json_carries_no_control_and_no_mark_that_turns_text() {
        let hostile = "a\"b\\c\r\n\u{1b}[31m\u{9b}31m\u{7f}\u{202e}\u{2066}\u{200f}\u{2028}\0é";
        let fields = serde_json::json!({ "user": hostile });
        let line = String::from_utf8(json_line(fields.as_object().unwrap())).unwrap();
        assert!(line.chars().all(|c| c.is_ascii_graphic() || c == 'é'), "{line}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), fields);
    }

    #[test]
    fn a_memory_log_gives_its_lines_once() {
        let log = Log::memory();
        log.line(b"one".to_vec());
        log.bulk(b"two\nthree\n");
        assert_eq!(log.taken(), "one\ntwo\nthree\n");
        assert_eq!(log.taken(), "");
    }
}

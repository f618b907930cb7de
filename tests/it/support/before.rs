//! What every refusal must leave as it was (security-cases.md, 0.1).

use serde_json::Value;

use super::app::App;
use super::http::Answer;

/// How things were before a request that is to be refused.
pub struct Before<'a> {
    app: &'a App,
    upstream: usize,
    provider: usize,
}

impl App {
    /// Remembers how things are; empties the log.
    pub fn watch(&self) -> Before<'_> {
        self.log.taken();
        Before { app: self, upstream: self.upstream.count(), provider: self.acme.count("") + self.globex.count("") }
    }
}

impl Before<'_> {
    /// G1 to G6: no session given, nothing reached the application or a provider, the status, the reason on the answer
    /// and in exactly one security event, which is returned.
    #[track_caller]
    pub fn refused(self, answer: &Answer, status: u16, reason: &str, event: &str) -> Value {
        let events = self.quiet(answer, status, reason);
        assert_eq!(events.len(), 1, "exactly one event: {events:?}");
        let [found] = <[Value; 1]>::try_from(events).unwrap();
        assert_eq!((found["event"].as_str(), found["reason"].as_str()), (Some(event), Some(reason)), "{found}");
        found
    }

    /// The same for an ordinary request that needs a sign-in: the events are the caller's to judge.
    #[track_caller]
    pub fn quiet(self, answer: &Answer, status: u16, reason: &str) -> Vec<Value> {
        assert_eq!((answer.status, answer.reason()), (status, reason), "{answer:?}\n{}", answer.text());
        no_session(answer);
        assert_eq!(self.app.upstream.count(), self.upstream, "nothing reaches the application");
        let asked = self.app.acme.count("") + self.app.globex.count("");
        assert_eq!(asked, self.provider, "no provider is asked");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        self.app.events()
    }
}

/// G1: no cookie but those that take one back.
#[track_caller]
pub fn no_session(answer: &Answer) {
    for line in answer.all("set-cookie") {
        assert!(line.contains("Max-Age=0"), "a refusal sets no cookie: {line}");
    }
}

//! What every refusal has in common (security cases 0.1, G1 to G6).

use std::time::Duration;

use serde_json::Value;

use super::app::App;
use super::http::{Answer, Ask, PATIENCE};

/// How things stood before a request that is to be refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Before {
    upstream: usize,
    providers: usize,
}

impl App {
    /// Notes how things stand, and empties the log.
    pub fn before(&self) -> Before {
        self.log.taken();
        self.now()
    }

    fn now(&self) -> Before {
        Before { upstream: self.upstream.count(), providers: self.acme.count("") + self.globex.count("") }
    }

    /// The request was refused for `reason`: no session, nothing upstream, nobody asked, and exactly one event `name` of
    /// that reason (or none, for a mere challenge). `canaries` are in neither page nor log.
    pub fn refused(&self, before: &Before, answer: &Answer, status: u16, reason: &str, name: &str, canaries: &[&str]) {
        assert_eq!((answer.status, answer.reason()), (status, reason), "{answer:?}");
        for cookie in answer.all("set-cookie") {
            assert!(!cookie.starts_with("__Host-anteroom=") || cookie.contains("Max-Age=0"), "G1: {cookie}");
        }
        assert_eq!(self.now(), *before, "G2, G3");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "G5");
        assert!(answer.header("x-request-id").is_some());
        let log = self.log.taken();
        for canary in canaries {
            assert!(!log.contains(canary), "{canary} is in the log: {log}");
            assert!(!answer.text().contains(canary), "{canary} is on the page: {}", answer.text());
        }
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let events: Vec<Value> = lines.filter(|line| line["kind"] == "audit").collect();
        match events.as_slice() {
            [] if name.is_empty() => {}
            [event] => assert_eq!((&event["event"], &event["reason"]), (&name.into(), &reason.into()), "G6: {event}"),
            _ => panic!("G6: {events:?}"),
        }
    }

    /// Waits until the one core of an Anteroom with one worker has looked at its connections with the time that is now:
    /// it hands on its access log in the same pass. Empties the log.
    pub async fn swept(&self) {
        for _ in 0..2 {
            self.log.taken();
            self.send(&Ask::get("/.anteroom/jwks.json")).await;
            until("a sweep", || self.log.taken().contains("\"path\":\"/.anteroom/jwks.json\"")).await;
        }
    }

    /// A signed-in person's `Cookie` value.
    pub async fn cookie(&self) -> String {
        let browser = self.signed_in().await;
        format!("__Host-anteroom={}", browser.session().unwrap())
    }
}

/// Waits until `done`: for what the product does after it has answered.
pub async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("in vain: {what}"));
}

/// The same for what has to be asked.
pub async fn until_async<F: Future<Output = bool>>(what: &str, mut done: impl FnMut() -> F) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("in vain: {what}"));
}

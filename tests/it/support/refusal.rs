//! What must hold of every refused sign-in (security cases 0.1), and tables of spoiled sign-ins, each with its honest
//! twin.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::app::App;
use super::browser::Browser;
use super::http::Answer;
use super::provider::{Provider, Script};

/// The state before a message that must be refused.
pub struct Watch<'a> {
    app: &'a App,
    upstream: usize,
    session: Option<String>,
    secrets: Vec<String>,
}

impl<'a> Watch<'a> {
    /// Begins to watch; empties the log. `query` is the message; its code and state must not be repeated anywhere.
    pub fn begin(app: &'a App, browser: &Browser, query: &BTreeMap<String, String>) -> Self {
        app.log.taken();
        let mut secrets: Vec<String> = browser.cookies.values().filter(|value| value.len() > 8).cloned().collect();
        secrets.extend(["code", "state"].iter().filter_map(|name| query.get(*name)).filter(|v| v.len() > 8).cloned());
        secrets.push("canary".to_owned());
        Self { app, upstream: app.upstream.count(), session: browser.session().map(str::to_owned), secrets }
    }

    /// The answer is this refusal and nothing else happened. Returns the event.
    pub fn refused(self, row: &str, browser: &Browser, answer: &Answer, status: u16, reason: &str) -> Value {
        let log = self.app.log.taken();
        assert_eq!((answer.status, answer.reason()), (status, reason), "{row}: {answer:?}\n{log}");
        // G1, G2
        let session =
            answer.all("set-cookie").find(|line| line.starts_with("__Host-anteroom=") && !line.contains("Max-Age=0"));
        assert_eq!(session, None, "{row}: a session was made");
        assert_eq!(browser.session(), self.session.as_deref(), "{row}: the session changed");
        assert_eq!(self.app.upstream.count(), self.upstream, "{row}: something reached the application");
        // G5
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{row}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{row}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{row}");
        assert!(
            answer.header("content-security-policy").is_some_and(|csp| csp.contains("default-src 'none'")),
            "{row}"
        );
        assert!(answer.text().contains(answer.header("x-request-id").unwrap()), "{row}: no reference on the page");
        for secret in &self.secrets {
            assert!(!answer.text().contains(secret.as_str()), "{row}: {secret} is on the page");
            assert!(!log.contains(secret.as_str()), "{row}: {secret} is in the log\n{log}");
        }
        // G6
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let events: Vec<Value> = lines.filter(|line| line["kind"] == "audit").collect();
        let [event] = events.as_slice() else { panic!("{row}: not exactly one event: {events:?}") };
        assert_eq!(
            (event["event"].as_str(), event["reason"].as_str()),
            (Some("login.rejected"), Some(reason)),
            "{row}"
        );
        assert_eq!(event["request_id"].as_str(), answer.header("x-request-id"), "{row}");
        assert!(event["client_ip"].is_string(), "{row}");
        event.clone()
    }
}

/// Sign-ins at one connector, spoiled one after the other.
pub struct Trial<'a> {
    pub app: &'a App,
    pub provider: &'a Provider,
    pub connector: &'static str,
    /// The address that is typed: the one that the honest provider verifies.
    pub hint: &'static str,
}

impl<'a> Trial<'a> {
    /// At the Entra-shaped provider.
    pub fn acme(app: &'a App) -> Self {
        Self { app, provider: &app.acme, connector: "acme", hint: "alice@acme.com" }
    }

    /// At the Google-shaped provider, or whatever the test made of it.
    pub fn globex(app: &'a App) -> Self {
        Self { app, provider: &app.globex, connector: "globex", hint: "bob@globex.com" }
    }

    /// A browser that starts a sign-in and the provider's answer to it.
    pub async fn begin(&self, browser: &mut Browser) -> BTreeMap<String, String> {
        // Look-ups from one source are limited; time heals that.
        self.app.advance(Duration::from_secs(1));
        let to_provider = self.app.start_sign_in(browser, self.connector, "/report", self.hint).await;
        self.provider.sign_in(to_provider.location())
    }

    /// A sign-in while the provider does as the script says now.
    pub async fn sign_in(&self, browser: &mut Browser) -> Answer {
        let query = self.begin(browser).await;
        browser.send(App::callback(self.connector, &query)).await
    }

    /// The sign-in that an honest provider answers ends in a session.
    pub async fn honest(&self, row: &str, browser: &mut Browser) {
        self.provider.honest();
        self.accepted(row, browser).await;
    }

    /// The sign-in ends in a session, and leaves no attempt behind.
    async fn accepted(&self, row: &str, browser: &mut Browser) {
        let before = browser.session().map(str::to_owned);
        let answer = self.sign_in(browser).await;
        let log = self.app.log.taken();
        assert_eq!((answer.status, answer.reason()), (303, "signed_in"), "{row}: {answer:?}\n{log}");
        assert_eq!(answer.location(), "/report", "{row}");
        assert!(browser.session().is_some() && browser.session() != before.as_deref(), "{row}");
        assert_eq!(browser.attempts(), Vec::<&str>::new(), "{row}: an attempt is left");
    }

    /// The provider answers as `spoil` makes it, and the sign-in is refused; then the same browser signs in at the
    /// honest provider. Returns the event.
    pub async fn refuses(&self, row: &str, status: u16, reason: &str, spoil: impl FnOnce(&mut Script)) -> Value {
        self.provider.honest();
        let mut browser = self.app.browser();
        let query = self.begin(&mut browser).await;
        spoil(&mut self.provider.script());
        let watch = Watch::begin(self.app, &browser, &query);
        let answer = browser.send(App::callback(self.connector, &query)).await;
        let event = watch.refused(row, &browser, &answer, status, reason);
        assert_eq!(browser.attempts(), Vec::<&str>::new(), "{row}: a redeemed attempt leaves no cookie");
        self.honest(row, &mut browser).await;
        event
    }

    /// The provider answers as `change` makes it, and the sign-in is accepted.
    pub async fn accepts(&self, row: &str, change: impl FnOnce(&mut Script)) {
        self.provider.honest();
        change(&mut self.provider.script());
        self.accepted(row, &mut self.app.browser()).await;
        self.provider.honest();
    }
}

//! Sign-ins at a SAML provider, honest ones and spoiled ones, as a browser makes them: the provider's page posts to us
//! across sites, and a redirect of ours leads on.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::app::App;
use super::browser::Browser;
use super::http::{Answer, Ask};
use super::refusal::Watch;
use super::saml::{Asked, SamlProvider, Signing, Words, between};

/// Sign-ins at one connector.
#[derive(Clone, Copy)]
pub struct SamlTrial<'a> {
    pub app: &'a App,
    pub idp: &'a SamlProvider,
    pub signing: Signing,
}

impl<'a> SamlTrial<'a> {
    /// At a provider that signs response and assertion.
    pub fn new(app: &'a App, idp: &'a SamlProvider) -> Self {
        Self { app, idp, signing: Signing::Both }
    }

    /// The same where the provider signs this.
    pub fn signing(self, signing: Signing) -> Self {
        Self { signing, ..self }
    }

    /// A browser starts a sign-in; what the provider is asked.
    pub async fn begin(&self, browser: &mut Browser) -> Asked {
        // Look-ups and refusals from one source are limited; time heals that.
        self.app.advance(Duration::from_secs(1));
        Asked::read(&self.app.start_sign_in(browser, self.idp.name, "/report", &self.idp.email).await)
    }

    /// What the provider honestly says to it.
    pub fn words(&self, asked: &Asked) -> Words {
        Words { signing: self.signing, ..self.idp.words(asked, self.app.clock.now()) }
    }

    /// The post of this text as a response.
    pub fn ask(&self, xml: &str, relay_state: Option<&str>) -> Ask {
        let response = STANDARD.encode(xml);
        let mut fields = vec![("SAMLResponse", response.as_str())];
        fields.extend(relay_state.map(|state| ("RelayState", state)));
        Ask::posted_from(&self.idp.origin(), &format!("/.anteroom/saml/{}/acs", self.idp.name), &fields)
    }

    /// The provider's page posts `words` in answer to `asked`.
    pub async fn post(&self, browser: &mut Browser, asked: &Asked, words: &Words) -> Answer {
        browser.send_from_elsewhere(self.ask(&words.response(), asked.relay_state.as_deref())).await
    }

    /// The same, and the browser follows the redirect to `done` if there is one.
    pub async fn answer(&self, browser: &mut Browser, asked: &Asked, words: &Words) -> Answer {
        let answer = self.post(browser, asked, words).await;
        self.follow(browser, answer).await
    }

    /// On to `done`, if `answer` leads there. A redirect within a cross-site navigation stays one.
    pub async fn follow(&self, browser: &mut Browser, answer: Answer) -> Answer {
        if answer.status != 303 || answer.reason() != "saml_received" {
            return answer;
        }
        let location = answer.location();
        assert!(location.starts_with(&format!("/.anteroom/saml/{}/done?", self.idp.name)), "{location}");
        let done = Ask::page(location).without("Sec-Fetch-Site").with("Sec-Fetch-Site", "cross-site");
        browser.send(done).await
    }

    /// A whole sign-in, with the provider's words as `change` makes them.
    pub async fn sign_in(&self, browser: &mut Browser, change: impl FnOnce(&mut Words)) -> Answer {
        let asked = self.begin(browser).await;
        let mut words = self.words(&asked);
        change(&mut words);
        self.answer(browser, &asked, &words).await
    }

    /// A browser in which the provider's person is signed in.
    pub async fn signed_in(&self) -> Browser {
        let mut browser = self.app.browser();
        self.accepted("signed in", &mut browser, |_| {}).await;
        browser
    }

    /// The sign-in ends in a session, and leaves no attempt behind.
    pub async fn accepted(&self, row: &str, browser: &mut Browser, change: impl FnOnce(&mut Words)) {
        let before = browser.session().map(str::to_owned);
        let answer = self.sign_in(browser, change).await;
        let log = self.app.log.taken();
        assert_eq!((answer.status, answer.reason()), (303, "signed_in"), "{row} {:?}: {answer:?}\n{log}", self.signing);
        assert_eq!(answer.location(), "/report", "{row}");
        assert!(browser.session().is_some() && browser.session() != before.as_deref(), "{row}");
        assert_eq!(browser.attempts(), Vec::<&str>::new(), "{row}: an attempt is left");
    }

    /// The same in a new browser.
    pub async fn accepts(&self, row: &str, change: impl FnOnce(&mut Words)) {
        self.accepted(row, &mut self.app.browser(), change).await;
    }

    /// Begins to watch for a refusal of a message to `asked`.
    pub fn watch(&self, browser: &Browser, asked: &Asked, xml: &str) -> Watch<'a> {
        let signature = between(xml, "<ds:SignatureValue>", "</ds:SignatureValue>").unwrap_or_default();
        let secrets = [("state", asked.relay_state.clone().unwrap_or_default()), ("code", signature.to_owned())];
        let secrets: BTreeMap<String, String> = secrets.into_iter().map(|(name, v)| (name.to_owned(), v)).collect();
        Watch::begin(self.app, browser, &secrets)
    }

    /// The provider's words as `spoil` makes them are refused at once; then the same browser signs in honestly. Returns
    /// the event.
    pub async fn refuses(&self, row: &str, status: u16, reason: &str, spoil: impl FnOnce(&mut Words)) -> Value {
        let row = format!("{row} {:?}", self.signing);
        let mut browser = self.app.browser();
        let asked = self.begin(&mut browser).await;
        let mut words = self.words(&asked);
        spoil(&mut words);
        let xml = words.response();
        let watch = self.watch(&browser, &asked, &xml);
        let asks = self.asks();
        let answer = browser.send_from_elsewhere(self.ask(&xml, asked.relay_state.as_deref())).await;
        let event = watch.refused(&row, &browser, &answer, status, reason);
        assert_eq!(self.asks(), asks, "{row}: somebody was asked (G3)");
        assert_eq!(event["connector"], self.idp.name, "{row}");
        assert_eq!(browser.attempts(), Vec::<&str>::new(), "{row}: a redeemed attempt leaves no cookie");
        self.accepted(&row, &mut browser, |_| {}).await;
        event
    }

    /// Requests to any provider that we know of.
    fn asks(&self) -> usize {
        self.app.acme.count("") + self.app.globex.count("")
    }
}

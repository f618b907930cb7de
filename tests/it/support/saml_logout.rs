//! Single logout as the provider speaks it, by link and by form.

use std::io::Write as _;
use std::time::Duration;

use anteroom::base::clock::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::http::Ask;
use super::saml::{NAMESPACES, PERSISTENT, SUCCESS, SamlProvider, new_id, status};
use super::saml_keys::{RSA_SHA256, SamlKey, SignatureForm};

/// What a provider asks for. A test changes any of it.
#[derive(Clone)]
pub struct LogoutWords {
    pub issuer: String,
    pub destination: String,
    pub id: String,
    pub now: Timestamp,
    pub not_on_or_after: Option<Timestamp>,
    /// The element that names the person.
    pub name_id: String,
    pub session_indexes: Vec<String>,
    pub key: &'static SamlKey,
    pub form: SignatureForm,
}

/// How a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Link,
    Form,
}

/// A `NameID` of the usual format.
pub fn name_id(name: &str) -> String {
    format!("<saml:NameID Format=\"{PERSISTENT}\">{name}</saml:NameID>")
}

impl SamlProvider {
    /// An honest request to end the one session that its person has.
    pub fn logout_words(&self, now: Timestamp) -> LogoutWords {
        let person = self.email.split('@').next().unwrap();
        LogoutWords {
            issuer: self.entity_id.clone(),
            destination: format!("https://app.example.com/.anteroom/saml/{}/slo", self.name),
            id: new_id(),
            now,
            not_on_or_after: Some(now.plus(Duration::from_secs(300))),
            name_id: name_id(&format!("persistent-{person}")),
            session_indexes: vec![format!("session-of-{person}")],
            key: SamlKey::number(0),
            form: SignatureForm::honest(),
        }
    }

    /// The message as the browser brings it: signed beside it in a link, within it in a form.
    pub fn brings(&self, way: Way, words: &LogoutWords, parameter: &str, xml: &str, relay_state: Option<&str>) -> Ask {
        match way {
            Way::Link => self.link(&words.query(parameter, xml, relay_state)),
            Way::Form => self.form(parameter, &words.sign(xml), relay_state),
        }
    }

    /// The link with this query.
    pub fn link(&self, query: &str) -> Ask {
        let target = format!("/.anteroom/saml/{}/slo?{query}", self.name);
        Ask::page(&target).without("Sec-Fetch-Site").with("Sec-Fetch-Site", "cross-site")
    }

    /// The form with this message.
    pub fn form(&self, parameter: &str, xml: &str, relay_state: Option<&str>) -> Ask {
        let message = STANDARD.encode(xml);
        let mut fields = vec![(parameter, message.as_str())];
        fields.extend(relay_state.map(|state| ("RelayState", state)));
        Ask::posted_from(&self.origin(), &format!("/.anteroom/saml/{}/slo", self.name), &fields)
    }
}

impl LogoutWords {
    /// The request without a signature.
    pub fn request(&self) -> String {
        let Self { issuer, name_id, .. } = self;
        let head = self.head("LogoutRequest");
        let until = self.not_on_or_after.map(|until| format!(" NotOnOrAfter=\"{}\"", until.rfc3339()));
        let index = |index: &String| format!("<samlp:SessionIndex>{index}</samlp:SessionIndex>");
        let indexes: String = self.session_indexes.iter().map(index).collect();
        let until = until.unwrap_or_default();
        format!("{head}{until}><saml:Issuer>{issuer}</saml:Issuer>{name_id}{indexes}</samlp:LogoutRequest>")
    }

    /// The answer to our request, without a signature. `sub`: a sub-code.
    pub fn response(&self, in_response_to: &str, top: Option<&str>, sub: Option<&str>) -> String {
        let (head, issuer) = (self.head("LogoutResponse"), &self.issuer);
        let status = status(top.unwrap_or(SUCCESS), sub, None);
        format!(
            "{head} InResponseTo=\"{in_response_to}\"><saml:Issuer>{issuer}</saml:Issuer>{status}</samlp:LogoutResponse>"
        )
    }

    fn head(&self, name: &str) -> String {
        let Self { destination, id, .. } = self;
        let now = self.now.rfc3339();
        format!(
            "<samlp:{name} {NAMESPACES} ID=\"{id}\" Version=\"2.0\" IssueInstant=\"{now}\" Destination=\"{destination}\""
        )
    }

    /// `xml` with a signature of the root, behind its issuer.
    pub fn sign(&self, xml: &str) -> String {
        let template = self.form.template(&self.id, self.key);
        let issuer = "</saml:Issuer>";
        self.key.fill(xml.replacen(issuer, &format!("{issuer}{template}"), 1))
    }

    /// The query of a link with a signature over it (SAML 2.0 Bindings, section 3.4.4.1).
    pub fn query(&self, parameter: &str, xml: &str, relay_state: Option<&str>) -> String {
        let mut query = format!("{parameter}={}", escape(&deflated(xml.as_bytes())));
        if let Some(state) = relay_state {
            query.push_str(&format!("&RelayState={}", escape(state)));
        }
        query.push_str(&format!("&SigAlg={}", escape(RSA_SHA256)));
        let signature = self.key.sign_bytes(query.as_bytes());
        format!("{query}&Signature={}", escape(&signature))
    }
}

/// Percent-encoded as far as that goes.
pub fn escape(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// DEFLATE in Base64.
pub fn deflated(bytes: &[u8]) -> String {
    let mut deflating = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    deflating.write_all(bytes).unwrap();
    STANDARD.encode(deflating.finish().unwrap())
}

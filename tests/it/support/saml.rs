//! A SAML identity provider of ours, for what real ones cannot be made to do: it reads our requests and gives an honest
//! response from values that a test changes, or a text that a test spoils before or after it is signed.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anteroom::base::clock::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::http::Answer;
use super::provider::Edit;
use super::saml_encryption::{Cipher, Encrypted};
use super::saml_keys::{SamlKey, SignatureForm, x509};

pub const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
pub const PASSWORD: &str = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport";
pub const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";
const BINDINGS: &str = "urn:oasis:names:tc:SAML:2.0:bindings";

/// Namespaces of every message, and of every assertion, so that it means the same wherever it stands.
pub const NAMESPACES: &str = "xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" \
                              xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"";

/// A provider, whose metadata is in a file.
pub struct SamlProvider {
    /// The connector's id in our configuration, and the name of its host.
    pub name: &'static str,
    pub entity_id: String,
    /// The only person who signs in there.
    pub email: String,
    file: PathBuf,
    _dir: tempfile::TempDir,
}

/// What the provider publishes.
pub struct Metadata {
    pub entity_id: String,
    pub keys: Vec<&'static SamlKey>,
    pub wants_signed: bool,
    /// Bindings of the single sign-on and the single logout service: `HTTP-Redirect`, `HTTP-POST`.
    pub sign_on: Vec<&'static str>,
    pub logout: Vec<&'static str>,
    /// Further attributes of the document element.
    pub attributes: String,
}

impl SamlProvider {
    /// A provider of `<name>.com` that signs with key 0.
    pub fn new(name: &'static str, person: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("metadata.xml");
        let (entity_id, email) = (format!("https://idp.{name}.example/metadata"), format!("{person}@{name}.com"));
        let provider = Self { name, entity_id, email, file, _dir: dir };
        provider.publish(|_| {});
        provider
    }

    /// Writes its metadata anew, as `change` makes it of the honest one.
    pub fn publish(&self, change: impl FnOnce(&mut Metadata)) {
        let mut metadata = Metadata {
            entity_id: self.entity_id.clone(),
            keys: vec![SamlKey::number(0)],
            wants_signed: false,
            sign_on: vec!["HTTP-Redirect", "HTTP-POST"],
            logout: vec!["HTTP-Redirect", "HTTP-POST"],
            attributes: String::new(),
        };
        change(&mut metadata);
        self.publish_text(&metadata.write(self.name));
    }

    /// Writes anything into the place of its metadata, at once.
    pub fn publish_text(&self, text: &str) {
        let beside = self.file.with_extension("new");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(beside, &self.file).unwrap();
    }

    /// Takes the metadata away.
    pub fn withdraw(&self) {
        std::fs::remove_file(&self.file).unwrap();
    }

    /// Its connector, with further settings, and its domain. Roles are in `role`, unless `more` has attributes.
    pub fn connector(&self, more: &str) -> String {
        let (name, file) = (self.name, self.file.display());
        let roles = if more.contains("attributes") { "" } else { "attributes = { roles = \"role\" }" };
        format!(
            "[connectors.{name}]\nkind = \"saml\"\nname = \"{name}\"\nmetadata_file = {:?}\n{roles}\n{more}\n\
             [domains.\"{name}.com\"]\nconnector = \"{name}\"\nenvironment = \"production\"\n",
            file.to_string()
        )
    }

    /// What it publishes now.
    pub fn published(&self) -> String {
        std::fs::read_to_string(&self.file).unwrap()
    }

    /// Its connector with metadata at this address, in place of the file.
    pub fn connector_at(&self, url: &str) -> String {
        let file = format!("metadata_file = {:?}", self.file.to_string_lossy());
        self.connector("").replace(&file, &format!("metadata_url = {url:?}"))
    }

    /// Where its pages are.
    pub fn origin(&self) -> String {
        format!("https://idp.{}.example", self.name)
    }

    /// What an honest provider says to `asked` at `now`.
    pub fn words(&self, asked: &Asked, now: Timestamp) -> Words {
        let email = self.email.clone();
        let person = email.split('@').next().unwrap().to_owned();
        Words {
            issuer: self.entity_id.clone(),
            audience: asked.issuer.clone(),
            destination: asked.acs_url.clone(),
            recipient: asked.acs_url.clone(),
            in_response_to: Some(asked.id.clone()),
            now,
            response_id: new_id(),
            assertion_id: new_id(),
            name_id: (PERSISTENT.to_owned(), format!("persistent-{person}")),
            session_index: Some(format!("session-of-{person}")),
            class: PASSWORD.to_owned(),
            attributes: vec![
                ("email".to_owned(), vec![email]),
                ("displayName".to_owned(), vec![format!("{person} of canary")]),
                ("role".to_owned(), vec!["User".to_owned()]),
            ],
            status: status(SUCCESS, None, None),
            signing: Signing::Both,
            key: SamlKey::number(0),
            form: SignatureForm::honest(),
            secret: None,
            before: None,
            after: None,
            encrypted: None,
        }
    }
}

impl Metadata {
    fn write(&self, name: &str) -> String {
        let keys = self.keys.iter().map(|key| {
            let key = x509(&key.base64());
            format!("<md:KeyDescriptor use=\"signing\"><ds:KeyInfo>{key}</ds:KeyInfo></md:KeyDescriptor>")
        });
        let endpoints = |service: &str, path: &str, bindings: &[&str]| -> String {
            let one = |binding: &&str| {
                let location = format!("https://idp.{name}.example/{path}");
                format!("<md:{service} Binding=\"{BINDINGS}:{binding}\" Location=\"{location}\"/>")
            };
            bindings.iter().map(one).collect()
        };
        let (entity_id, more, keys) = (&self.entity_id, &self.attributes, keys.collect::<String>());
        let (logout, sign_on) = (
            endpoints("SingleLogoutService", "logout", &self.logout),
            endpoints("SingleSignOnService", "sign-on", &self.sign_on),
        );
        format!(
            "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" \
             xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" entityID=\"{entity_id}\" {more}><md:IDPSSODescriptor \
             WantAuthnRequestsSigned=\"{}\" protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">{keys}\
             {logout}{sign_on}</md:IDPSSODescriptor></md:EntityDescriptor>",
            self.wants_signed
        )
    }
}

/// A request of ours as a provider reads it. The default: none, for messages that answer nothing.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub xml: String,
    /// Where the browser takes it.
    pub to: String,
    pub id: String,
    pub issuer: String,
    pub acs_url: String,
    pub relay_state: Option<String>,
    /// The parameters of the link or the fields of the form.
    pub parameters: BTreeMap<String, String>,
}

impl Asked {
    /// Reads the answer that sends the browser to the provider: a redirect, or a page whose form posts itself.
    pub fn read(answer: &Answer) -> Self {
        Self::read_message(answer, "SAMLRequest")
    }

    /// The same for a message in this parameter.
    pub fn read_message(answer: &Answer, parameter: &str) -> Self {
        let (xml, to, parameters): (_, _, BTreeMap<String, String>) = if answer.status == 303 {
            let url = url::Url::parse(answer.location()).unwrap();
            let parameters: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
            let deflated = STANDARD.decode(&parameters[parameter]).unwrap();
            let mut xml = String::new();
            flate2::read::DeflateDecoder::new(&deflated[..]).read_to_string(&mut xml).unwrap();
            (xml, url[..url::Position::AfterPath].to_owned(), parameters)
        } else {
            assert_eq!(answer.status, 200, "{answer:?}");
            let names = [parameter, "RelayState"].into_iter();
            let plain = |html: String| {
                let marks = [("&#38;", "&"), ("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">")];
                marks.iter().fold(html, |text, (mark, plain)| text.replace(mark, plain))
            };
            let fields = names.filter_map(|name| Some((name.to_owned(), plain(answer.field(name)?)))).collect();
            let text = answer.text();
            let action = between(&text, "action=\"", "\"").expect("a form").to_owned();
            let xml = STANDARD.decode(answer.field(parameter).unwrap()).unwrap();
            (String::from_utf8(xml).unwrap(), action, fields)
        };
        let attribute = |name: &str| attribute(&xml, name).unwrap_or_default();
        Self {
            id: attribute("ID"),
            acs_url: attribute("AssertionConsumerServiceURL"),
            issuer: between(&xml, "<saml:Issuer>", "</saml:Issuer>").unwrap().to_owned(),
            relay_state: parameters.get("RelayState").cloned(),
            to,
            parameters,
            xml,
        }
    }
}

/// The first attribute of this name in a text of XML.
pub fn attribute(xml: &str, name: &str) -> Option<String> {
    between(xml, &format!(" {name}=\""), "\"").map(str::to_owned)
}

/// What stands between two marks.
pub fn between<'t>(text: &'t str, from: &str, to: &str) -> Option<&'t str> {
    text.split_once(from)?.1.split_once(to).map(|(inside, _)| inside)
}

/// What is signed of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    Response,
    Assertion,
    Both,
    /// Nothing at all.
    Nothing,
}

impl Signing {
    /// The three honest ones.
    pub const ALL: [Self; 3] = [Self::Response, Self::Assertion, Self::Both];
}

/// What a provider says. A test changes any of it.
#[derive(Clone)]
pub struct Words {
    pub issuer: String,
    pub audience: String,
    pub destination: String,
    pub recipient: String,
    pub in_response_to: Option<String>,
    /// The provider's time.
    pub now: Timestamp,
    pub response_id: String,
    pub assertion_id: String,
    /// Format and value.
    pub name_id: (String, String),
    pub session_index: Option<String>,
    pub class: String,
    pub attributes: Vec<(String, Vec<String>)>,
    /// The element.
    pub status: String,
    pub signing: Signing,
    pub key: &'static SamlKey,
    pub form: SignatureForm,
    /// Signs by HMAC with this, in place of the key.
    pub secret: Option<Vec<u8>>,
    /// Changes the text before anything is signed.
    pub before: Option<Edit>,
    /// Changes the signed text.
    pub after: Option<Edit>,
    /// Encrypts the assertion to this certificate (DER), after it was signed and before the response is.
    pub encrypted: Option<(Cipher, Vec<u8>)>,
}

impl Words {
    /// Changes the text before anything is signed.
    pub fn before(&mut self, edit: impl Fn(String) -> String + Send + Sync + 'static) {
        self.before = Some(Arc::new(edit));
    }

    /// Changes the signed text.
    pub fn after(&mut self, edit: impl Fn(String) -> String + Send + Sync + 'static) {
        self.after = Some(Arc::new(edit));
    }

    /// The response as it is sent.
    pub fn response(&self) -> String {
        let xml = self.unsigned();
        let mut xml = self.before.as_ref().map_or(xml.clone(), |edit| edit(xml));
        if matches!(self.signing, Signing::Assertion | Signing::Both) {
            xml = self.sign(&xml, &self.assertion_id);
        }
        if let Some((cipher, certificate)) = &self.encrypted {
            let clear = assertion(&xml).to_owned();
            xml = xml.replace(&clear, &Encrypted::new(&clear, certificate, *cipher).element());
        }
        if matches!(self.signing, Signing::Response | Signing::Both) {
            xml = self.sign(&xml, &self.response_id);
        }
        self.after.as_ref().map_or(xml.clone(), |edit| edit(xml))
    }

    /// `xml` with a signature of the element `id`, behind its issuer.
    pub fn sign(&self, xml: &str, id: &str) -> String {
        let element = xml.find(&format!(" ID=\"{id}\"")).expect("the element");
        let issuer = "</saml:Issuer>";
        let at = element + xml[element..].find(issuer).expect("its issuer") + issuer.len();
        let (before, after) = xml.split_at(at);
        let xml = format!("{before}{}{after}", self.form.template(id, self.key));
        match &self.secret {
            Some(secret) => SamlKey::fill_by_secret(secret, xml),
            None => self.key.fill(xml),
        }
    }

    fn unsigned(&self) -> String {
        let Self { response_id, issuer, destination, status, .. } = self;
        let (now, answers) = (self.now.rfc3339(), self.answers());
        format!(
            "<samlp:Response {NAMESPACES} ID=\"{response_id}\" Version=\"2.0\" IssueInstant=\"{now}\" \
             Destination=\"{destination}\"{answers}><saml:Issuer>{issuer}</saml:Issuer>{status}{}</samlp:Response>",
            self.assertion()
        )
    }

    fn answers(&self) -> String {
        self.in_response_to.as_ref().map(|id| format!(" InResponseTo=\"{id}\"")).unwrap_or_default()
    }

    /// The assertion without a signature.
    pub fn assertion(&self) -> String {
        let Self { assertion_id, issuer, audience, recipient, class, name_id: (format, name), .. } = self;
        let (now, until) = (self.now.rfc3339(), self.now.plus(Duration::from_secs(300)).rfc3339());
        let (before, answers) = (self.now.minus(Duration::from_secs(30)).rfc3339(), self.answers());
        let index = self.session_index.as_ref().map(|index| format!(" SessionIndex=\"{index}\"")).unwrap_or_default();
        let attributes = self.attributes.iter().map(|(name, values)| {
            let value = |value: &String| format!("<saml:AttributeValue>{value}</saml:AttributeValue>");
            let values: String = values.iter().map(value).collect();
            format!("<saml:Attribute Name=\"{name}\">{values}</saml:Attribute>")
        });
        let attributes: String = attributes.collect();
        format!(
            "<saml:Assertion {NAMESPACES} ID=\"{assertion_id}\" Version=\"2.0\" IssueInstant=\"{now}\">\
             <saml:Issuer>{issuer}</saml:Issuer><saml:Subject><saml:NameID Format=\"{format}\">{name}</saml:NameID>\
             <saml:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\"><saml:SubjectConfirmationData \
             NotOnOrAfter=\"{until}\" Recipient=\"{recipient}\"{answers}/></saml:SubjectConfirmation></saml:Subject>\
             <saml:Conditions NotBefore=\"{before}\" NotOnOrAfter=\"{until}\"><saml:AudienceRestriction>\
             <saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions>\
             <saml:AuthnStatement AuthnInstant=\"{now}\"{index}><saml:AuthnContext><saml:AuthnContextClassRef>{class}\
             </saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>\
             <saml:AttributeStatement>{attributes}</saml:AttributeStatement></saml:Assertion>"
        )
    }
}

/// The one assertion in a text, tags and all.
pub fn assertion(xml: &str) -> &str {
    let (start, end) = (xml.find("<saml:Assertion").unwrap(), "</saml:Assertion>");
    &xml[start..xml.rfind(end).unwrap() + end.len()]
}

/// A status; `top` and `sub` as URIs.
pub fn status(top: &str, sub: Option<&str>, message: Option<&str>) -> String {
    let sub = sub.map(|sub| format!("<samlp:StatusCode Value=\"{sub}\"/>")).unwrap_or_default();
    let message = message.map(|text| format!("<samlp:StatusMessage>{text}</samlp:StatusMessage>")).unwrap_or_default();
    format!("<samlp:Status><samlp:StatusCode Value=\"{top}\">{sub}</samlp:StatusCode>{message}</samlp:Status>")
}

/// An ID that nobody used before in this run.
pub fn new_id() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    format!("_id-{}", LAST.fetch_add(1, Ordering::Relaxed))
}

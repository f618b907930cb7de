//! What a sign-in tells the operator.

use std::io::Write;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::metadata_source::tests::config;
use super::super::saml::fixture::{ACS, AUDIENCE, How, IDP, NOW, REQUEST, RSA, honest, replace, sign};
use super::*;
use crate::base::outgoing::Settings;
use crate::config::MetadataFrom;

const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
const EMAIL: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn provider(dir: &Path, subject: Option<&str>) -> SamlProvider {
    let file = dir.join("metadata.xml");
    let certificate = STANDARD.encode(&RSA.certificate);
    let metadata = format!(
        "<EntityDescriptor xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"{IDP}\"><IDPSSODescriptor \
         protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\"><KeyDescriptor><KeyInfo \
         xmlns=\"http://www.w3.org/2000/09/xmldsig#\"><X509Data><X509Certificate>{certificate}</X509Certificate>\
         </X509Data></KeyInfo></KeyDescriptor><SingleSignOnService \
         Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=\"https://idp.example.com/sso\"/>\
         </IDPSSODescriptor></EntityDescriptor>"
    );
    std::fs::write(&file, metadata).unwrap();
    let mut config = config(MetadataFrom::File(file), None);
    (config.entity_id, config.acs.url) = (AUDIENCE.into(), ACS.into());
    config.attributes.subject = subject.map(str::to_owned);
    let around = SamlSurroundings {
        outgoing: Outgoing::new(&Settings::default()).unwrap(),
        insecure_http: false,
        keys_dir: dir.to_owned(),
        base_url: "https://app.example.com/.anteroom".into(),
        clock: Clock::manual(NOW),
    };
    SamlProvider::new("acme".parse().unwrap(), &config, vec!["acme.example".parse().unwrap()], around).unwrap()
}

/// S24: the sign-in works, and the log says once that the name may be given to another person.
#[tokio::test]
async fn people_known_by_a_name_that_may_be_given_again_are_told_of_once() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let dir = tempfile::tempdir().unwrap();
    let sign_in = async |provider: &SamlProvider, format: &str| {
        let response = STANDARD.encode(sign(&replace(&honest(), PERSISTENT, format), How::Both));
        provider.response(&response, Some(REQUEST), &Requirement::default(), NOW).await.map(drop).unwrap();
        let lines = String::from_utf8(std::mem::take(&mut *log.0.lock().unwrap())).unwrap();
        assert!(!lines.contains("anna@"), "{lines}");
        lines.matches("may be given to another person later").count()
    };
    let by_name = provider(dir.path(), None);
    assert_eq!(sign_in(&by_name, PERSISTENT).await, 0);
    assert_eq!(sign_in(&by_name, EMAIL).await, 1);
    assert_eq!(sign_in(&by_name, EMAIL).await, 0, "once");
    let by_attribute = provider(dir.path(), Some("mail"));
    assert_eq!(sign_in(&by_attribute, EMAIL).await, 0, "the name is not the subject");
}

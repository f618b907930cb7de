//! Our metadata, as an administrator registers it at the provider (SAML 2.0 Metadata, section 2.4.4).

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;

use super::xml::{DS, MD, SAMLP, escape};

const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
const POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";

/// What we open, best first: a provider that reads this (Shibboleth does) takes the first one that it has.
const CIPHERS: [&str; 3] = [
    "http://www.w3.org/2009/xmlenc11#aes256-gcm",
    "http://www.w3.org/2009/xmlenc11#aes128-gcm",
    "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p",
];

/// A service provider over SAML: one connector of ours.
pub(crate) struct OwnMetadata<'a> {
    pub(crate) entity_id: &'a str,
    /// Where responses are posted to.
    pub(crate) acs_url: &'a str,
    /// Where logout messages go, by redirect or form.
    pub(crate) slo_url: &'a str,
    /// Certificates of the keys that sign our messages: the one in use, and while it is rolled over the next one.
    pub(crate) signing: &'a [CertificateDer<'static>],
    /// The certificate that assertions are encrypted to.
    pub(crate) encryption: &'a CertificateDer<'static>,
    /// Requests for a sign-in are signed, whatever the provider wants.
    pub(crate) signs_requests: bool,
    /// The format of names that is asked for.
    pub(crate) name_id_format: Option<&'a str>,
}

impl OwnMetadata<'_> {
    /// An `EntityDescriptor`. The same for the same connector and keys, to the byte.
    pub(crate) fn write(&self) -> String {
        let Self { entity_id, acs_url, slo_url, signing, encryption, signs_requests, name_id_format } = self;
        let (entity_id, acs_url, slo_url) = (escape(entity_id), escape(acs_url), escape(slo_url));
        let mut keys = String::new();
        for certificate in *signing {
            key(&mut keys, "signing", certificate, "");
        }
        let methods: String =
            CIPHERS.iter().map(|cipher| format!("      <md:EncryptionMethod Algorithm=\"{cipher}\"/>\n")).collect();
        key(&mut keys, "encryption", encryption, &methods);
        let format = name_id_format
            .map(|format| format!("    <md:NameIDFormat>{}</md:NameIDFormat>\n", escape(format)))
            .unwrap_or_default();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <md:EntityDescriptor xmlns:md=\"{MD}\" xmlns:ds=\"{DS}\" entityID=\"{entity_id}\">\n  \
             <md:SPSSODescriptor AuthnRequestsSigned=\"{signs_requests}\" WantAssertionsSigned=\"true\" \
             protocolSupportEnumeration=\"{SAMLP}\">\n{keys}    \
             <md:SingleLogoutService Binding=\"{REDIRECT}\" Location=\"{slo_url}\"/>\n    \
             <md:SingleLogoutService Binding=\"{POST}\" Location=\"{slo_url}\"/>\n{format}    \
             <md:AssertionConsumerService Binding=\"{POST}\" Location=\"{acs_url}\" index=\"0\" isDefault=\"true\"/>\n  \
             </md:SPSSODescriptor>\n</md:EntityDescriptor>\n"
        )
    }
}

fn key(out: &mut String, usage: &str, certificate: &CertificateDer<'_>, methods: &str) {
    let certificate = STANDARD.encode(certificate);
    // Writing to a string does not fail.
    let _infallible = write!(
        out,
        "    <md:KeyDescriptor use=\"{usage}\">\n      <ds:KeyInfo>\n        <ds:X509Data>\n          \
         <ds:X509Certificate>{certificate}</ds:X509Certificate>\n        </ds:X509Data>\n      </ds:KeyInfo>\n\
         {methods}    </md:KeyDescriptor>\n"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::saml::certificate::fixtures::Made;
    use crate::connector::saml::xml::{Element, Policy, Tree};

    fn written(name_id_format: Option<&str>, signs_requests: bool) -> (String, Made, Made) {
        let (signing, encryption) = (Made::new("signing", 2030), Made::new("encryption", 2030));
        let own = OwnMetadata {
            entity_id: "urn:amazon:cognito:sp:us-east-1_x\"&<",
            acs_url: "https://login.example.com/saml2/idpresponse?a=1&b=2",
            slo_url: "https://app.example.com/.anteroom/saml/acme/slo",
            signing: &[signing.der.clone(), encryption.der.clone()],
            encryption: &encryption.der,
            signs_requests,
            name_id_format,
        };
        (own.write(), signing, encryption)
    }

    #[test]
    fn what_a_provider_reads_is_what_we_are_r8() {
        let format = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
        let (text, signing, encryption) = written(Some(format), true);
        let tree = Tree::parse(&text, Policy::Metadata).unwrap();
        let role = tree.root().only_child(MD, "SPSSODescriptor").unwrap().unwrap();
        assert_eq!(tree.root().attribute("entityID"), Some("urn:amazon:cognito:sp:us-east-1_x\"&<"));
        assert_eq!(role.attribute("AuthnRequestsSigned"), Some("true"));
        assert_eq!(role.attribute("WantAssertionsSigned"), Some("true"));
        let acs = role.only_child(MD, "AssertionConsumerService").unwrap().unwrap();
        assert_eq!(acs.attribute("Location"), Some("https://login.example.com/saml2/idpresponse?a=1&b=2"));
        assert_eq!(acs.attribute("Binding"), Some(POST));
        let keys: Vec<_> = role
            .children_named(MD, "KeyDescriptor")
            .map(|key| (key.attribute("use").unwrap(), key.child(DS, "KeyInfo").unwrap().text().trim().to_owned()))
            .collect();
        let (signing, encryption) = (signing.base64(), encryption.base64());
        assert_eq!(keys, [("signing", signing), ("signing", encryption.clone()), ("encryption", encryption)]);
        assert_eq!(role.child(MD, "NameIDFormat").unwrap().text(), format);
        // The order is the schema's.
        let order: Vec<&str> = role.children().map(Element::name).collect();
        let expected = "KeyDescriptor KeyDescriptor KeyDescriptor SingleLogoutService SingleLogoutService NameIDFormat \
                        AssertionConsumerService";
        assert_eq!(order.join(" "), expected);
    }

    #[test]
    fn without_a_format_none_is_asked_for() {
        let (text, ..) = written(None, false);
        assert!(!text.contains("NameIDFormat") && text.contains("AuthnRequestsSigned=\"false\""));
    }
}

//! The request that starts a sign-in (SAML 2.0 Core, section 3.4.1).

use std::fmt::Write as _;

use super::NameId;
use super::dsig::{self, SigningKey};
use super::xml::{SAML, SAMLP, escape, write_time};
use crate::base::clock::Timestamp;
use crate::base::random;
use crate::connector::ProviderError;

/// How the answer shall come: always by POST, since a response with its signature is too long for a link.
pub(crate) const POST_BINDING: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";

/// A fresh message ID: an `xs:ID` begins with a letter or an underscore (160 random bits; Core, section 1.3.4).
pub(crate) fn new_id() -> String {
    format!("_{}", random::token::<20>())
}

/// An authentication request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AuthnRequest<'a> {
    /// From [`new_id`]: what the answer's `InResponseTo` must be.
    pub(crate) id: &'a str,
    pub(crate) issue_instant: Timestamp,
    /// The provider's endpoint to which it goes.
    pub(crate) destination: &'a str,
    /// Where the answer shall come.
    pub(crate) acs_url: &'a str,
    /// Our entity id.
    pub(crate) issuer: &'a str,
    /// Ask the person again even when the provider knows them.
    pub(crate) force_authn: bool,
    /// Ask the person nothing.
    pub(crate) is_passive: bool,
    /// The format of the name; none leaves it to the provider.
    pub(crate) name_id_format: Option<&'a str>,
    /// Whether the provider may make a name for a person who has none yet. Written with a format only.
    pub(crate) allow_create: bool,
    /// Class references, of which the provider shall use one exactly: Entra knows no other comparison, and what comes back
    /// is held against this list. Empty asks for none. Entra then refuses who came by another way, a security key in
    /// place of a password for instance (AADSTS75011).
    pub(crate) requested_contexts: &'a [String],
    /// The person to be asked for. Entra refuses a request that has one, and takes `login_hint` in the link instead.
    pub(crate) subject: Option<&'a NameId>,
}

impl AuthnRequest<'_> {
    /// The request as XML, without a signature: one goes beside it into the link.
    pub(crate) fn write(&self) -> String {
        let mut xml = format!(
            "<samlp:AuthnRequest xmlns:samlp=\"{SAMLP}\" xmlns:saml=\"{SAML}\" ID=\"{}\" Version=\"2.0\" \
             IssueInstant=\"{}\" Destination=\"{}\" AssertionConsumerServiceURL=\"{}\" ProtocolBinding=\"{POST_BINDING}\"",
            escape(self.id),
            write_time(self.issue_instant),
            escape(self.destination),
            escape(self.acs_url),
        );
        for (asked, name) in [(self.force_authn, "ForceAuthn"), (self.is_passive, "IsPassive")] {
            if asked {
                push(&mut xml, format_args!(" {name}=\"true\""));
            }
        }
        push(&mut xml, format_args!("><saml:Issuer>{}</saml:Issuer>", escape(self.issuer)));
        if let Some(subject) = self.subject {
            push(&mut xml, format_args!("<saml:Subject>{}</saml:Subject>", name_id(subject)));
        }
        if let Some(format) = self.name_id_format {
            let create = if self.allow_create { " AllowCreate=\"true\"" } else { "" };
            push(&mut xml, format_args!("<samlp:NameIDPolicy Format=\"{}\"{create}/>", escape(format)));
        }
        if !self.requested_contexts.is_empty() {
            xml.push_str("<samlp:RequestedAuthnContext Comparison=\"exact\">");
            for class in self.requested_contexts {
                let class = escape(class);
                push(&mut xml, format_args!("<saml:AuthnContextClassRef>{class}</saml:AuthnContextClassRef>"));
            }
            xml.push_str("</samlp:RequestedAuthnContext>");
        }
        xml.push_str("</samlp:AuthnRequest>");
        xml
    }

    /// The request with a signature in it, as the POST binding wants it.
    ///
    /// # Errors
    /// What signing gives.
    pub(crate) fn write_signed(&self, key: &SigningKey) -> Result<String, ProviderError> {
        dsig::sign(&self.write(), self.id, key)
    }
}

/// A name with its qualifiers (Core, section 2.2.3).
pub(super) fn name_id(name: &NameId) -> String {
    let mut xml = String::from("<saml:NameID");
    let attributes = [
        ("NameQualifier", &name.name_qualifier),
        ("SPNameQualifier", &name.sp_name_qualifier),
        ("Format", &name.format),
    ];
    for (attribute, value) in attributes {
        if let Some(value) = value {
            push(&mut xml, format_args!(" {attribute}=\"{}\"", escape(value)));
        }
    }
    push(&mut xml, format_args!(">{}</saml:NameID>", escape(&name.value)));
    xml
}

/// Writing to a string cannot fail.
pub(super) fn push(xml: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = xml.write_fmt(text);
}

#[cfg(test)]
mod tests;

//! Single logout: requests and answers, in both directions (SAML 2.0 Profiles, section 4.4). Every message is signed:
//! an unsigned one would let anybody sign anybody out (S26).

use std::time::Duration;

use super::NameId;
use super::binding::{Message, Redirected};
use super::dsig::{self, SigningKey, TrustedKeys};
use super::encryption::{self, DecryptionKeys};
use super::request::{name_id, push};
use super::status::{Code, Status};
use super::xml::{self, DS, Element, Policy, SAML, SAMLP, Tree, escape, trimmed, write_time};
use crate::base::clock::Timestamp;
use crate::connector::{ProviderError, Reason};

/// Oldest request that is taken.
const MAX_AGE: Duration = Duration::from_secs(5 * 60);

/// Clock difference that is allowed.
const SKEW: Duration = Duration::from_secs(60);

/// Longest message ID that is taken, in bytes.
const MAX_ID: usize = 256;

/// Why a session ends (Core, section 3.7.3): by the person's wish.
const REASON_USER: &str = "urn:oasis:names:tc:SAML:2.0:logout:user";

/// A request to the provider to end a person's session there and everywhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogoutRequest<'a> {
    pub(crate) id: &'a str,
    pub(crate) issue_instant: Timestamp,
    /// The provider's single logout service.
    pub(crate) destination: &'a str,
    /// Our entity id.
    pub(crate) issuer: &'a str,
    /// As it came in the assertion, with its qualifiers: providers find the session by it.
    pub(crate) name_id: &'a NameId,
    /// Those of the sessions to end; empty ends all of the person's.
    pub(crate) session_indexes: &'a [String],
    /// After which the provider refuses the request.
    pub(crate) not_on_or_after: Option<Timestamp>,
}

impl LogoutRequest<'_> {
    /// The request as XML, without a signature: one goes beside it into the link.
    pub(crate) fn write(&self) -> String {
        let mut xml = head("LogoutRequest", self.id, self.issue_instant, self.destination);
        push(&mut xml, format_args!(" Reason=\"{REASON_USER}\""));
        if let Some(limit) = self.not_on_or_after {
            push(&mut xml, format_args!(" NotOnOrAfter=\"{}\"", write_time(limit)));
        }
        push(&mut xml, format_args!("><saml:Issuer>{}</saml:Issuer>{}", escape(self.issuer), name_id(self.name_id)));
        for index in self.session_indexes {
            push(&mut xml, format_args!("<samlp:SessionIndex>{}</samlp:SessionIndex>", escape(index)));
        }
        xml.push_str("</samlp:LogoutRequest>");
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

/// How far a request to end sessions got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Every session of the person is over.
    Complete,
    /// Some are not, here or at another service.
    Partial,
}

/// The answer to a provider's request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogoutResponse<'a> {
    pub(crate) id: &'a str,
    pub(crate) issue_instant: Timestamp,
    /// The provider's single logout service, or where it wants answers.
    pub(crate) destination: &'a str,
    /// Our entity id.
    pub(crate) issuer: &'a str,
    /// [`ProviderLogout::id`] of the request.
    pub(crate) in_response_to: &'a str,
    pub(crate) outcome: Outcome,
}

impl LogoutResponse<'_> {
    /// The answer as XML, without a signature: one goes beside it into the link.
    pub(crate) fn write(&self) -> String {
        let mut xml = head("LogoutResponse", self.id, self.issue_instant, self.destination);
        let (to, issuer) = (escape(self.in_response_to), escape(self.issuer));
        push(&mut xml, format_args!(" InResponseTo=\"{to}\"><saml:Issuer>{issuer}</saml:Issuer><samlp:Status>"));
        // PartialLogout is a sub-code (Core, section 3.7.3.2), and of success: what was asked for here is done.
        let success = Code::Success.uri();
        match self.outcome {
            Outcome::Complete => push(&mut xml, format_args!("<samlp:StatusCode Value=\"{success}\"/>")),
            Outcome::Partial => {
                let partial = Code::PartialLogout.uri();
                let sub = format!("<samlp:StatusCode Value=\"{partial}\"/>");
                push(&mut xml, format_args!("<samlp:StatusCode Value=\"{success}\">{sub}</samlp:StatusCode>"));
            }
        }
        xml.push_str("</samlp:Status></samlp:LogoutResponse>");
        xml
    }

    /// The answer with a signature in it, as the POST binding wants it.
    ///
    /// # Errors
    /// What signing gives.
    pub(crate) fn write_signed(&self, key: &SigningKey) -> Result<String, ProviderError> {
        dsig::sign(&self.write(), self.id, key)
    }
}

/// The open start tag of a message.
fn head(name: &str, id: &str, issue_instant: Timestamp, destination: &str) -> String {
    format!(
        "<samlp:{name} xmlns:samlp=\"{SAMLP}\" xmlns:saml=\"{SAML}\" ID=\"{}\" Version=\"2.0\" IssueInstant=\"{}\" \
         Destination=\"{}\"",
        escape(id),
        write_time(issue_instant),
        escape(destination),
    )
}

/// A message of the provider, as its binding brought it.
#[derive(Clone, Copy)]
pub(crate) enum Received<'a> {
    /// In a link: the signature stands beside it.
    Redirect(&'a Redirected),
    /// In a form, decoded: the signature is in it.
    Post(&'a str),
}

/// What a provider's message is judged by.
#[derive(Clone, Copy)]
pub(crate) struct Expected<'a> {
    /// Our single logout URL for this provider.
    pub(crate) slo_url: &'a str,
    pub(crate) idp_entity_id: &'a str,
    pub(crate) now: Timestamp,
    /// The provider's.
    pub(crate) keys: &'a TrustedKeys,
    /// Ours, for a name that is encrypted.
    pub(crate) decryption: &'a DecryptionKeys,
    pub(crate) allow_cbc: bool,
}

/// A verified request of the provider: the person, and which of their sessions shall end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProviderLogout {
    /// Its ID: works once (S26).
    pub(crate) id: String,
    pub(crate) name_id: NameId,
    /// Empty: all of the person's sessions.
    pub(crate) session_indexes: Vec<String>,
    pub(crate) issued_at: Timestamp,
    /// Until when [`id`](Self::id) must be remembered: from then on the request is refused for its age.
    pub(crate) expires: Timestamp,
}

/// Judges a request of the provider to end sessions (S26).
///
/// # Errors
/// `saml_unsigned` and the other reasons of signatures; `idp_mixup`: from another provider; `saml_destination`;
/// `saml_time`: older than five minutes, ahead of our clock, or past its own limit; `saml_subject`: no name;
/// `saml_structure`: two names, or what has no place in a request; `saml_decrypt`; `saml_malformed`.
pub(crate) fn judge_request(received: Received<'_>, expected: &Expected<'_>) -> Result<ProviderLogout, ProviderError> {
    let tree = parse(received)?;
    let root = tree.root();
    verify(&tree, Message::Request, received, expected)?;
    only_children(root, &[(SAML, "NameID"), (SAML, "BaseID"), (SAML, "EncryptedID"), (SAMLP, "SessionIndex")])?;
    let (issued_at, expires) = judge_time(root, expected.now)?;
    let mut session_indexes = Vec::new();
    for index in root.children_named(SAMLP, "SessionIndex") {
        let text = index.text();
        // To pass over an empty one could end more sessions than were meant: none named means all.
        if trimmed(&text).is_empty() || !index.is_plain_text() {
            return Err(ProviderError::new(Reason::SamlStructure).saying("a SessionIndex", "an empty one"));
        }
        session_indexes.push(text);
    }
    let name_id = subject(root, expected)?;
    Ok(ProviderLogout { id: id(root)?, name_id, session_indexes, issued_at, expires })
}

/// Judges the provider's answer to our request whose ID is `request_id`.
///
/// # Errors
/// `saml_status`: the provider did not do it; `saml_in_response_to`: it answers another request, or none; and those of
/// [`judge_request`] that are not about names and times.
pub(crate) fn judge_response(
    received: Received<'_>,
    request_id: &str,
    expected: &Expected<'_>,
) -> Result<Outcome, ProviderError> {
    let tree = parse(received)?;
    let root = tree.root();
    verify(&tree, Message::Response, received, expected)?;
    only_children(root, &[(SAMLP, "Status")])?;
    let answers = root.attribute("InResponseTo").unwrap_or("none");
    if answers != request_id {
        return Err(ProviderError::new(Reason::SamlInResponseTo).saying(request_id, answers));
    }
    let status = Status::read(root)?;
    if status.is_partial_logout() {
        return Ok(Outcome::Partial);
    }
    status.demand_success().map(|()| Outcome::Complete)
}

fn parse<'x>(received: Received<'x>) -> Result<Tree<'x>, ProviderError> {
    let text = match received {
        Received::Redirect(redirected) => &redirected.xml,
        Received::Post(text) => text,
    };
    Tree::parse(text, Policy::Message)
}

/// What every message must be: of this kind and provider, signed by it, and sent here.
fn verify(
    tree: &Tree<'_>,
    kind: Message,
    received: Received<'_>,
    expected: &Expected<'_>,
) -> Result<(), ProviderError> {
    let root = tree.root();
    let name = match kind {
        Message::Request => "LogoutRequest",
        Message::Response => "LogoutResponse",
    };
    if !root.is(SAMLP, name) || root.attribute("Version") != Some("2.0") {
        return Err(ProviderError::new(Reason::SamlMalformed).saying(format_args!("{name} 2.0"), "another document"));
    }
    let issuer = root.only_child(SAML, "Issuer")?.map(Element::text).unwrap_or_default();
    let issuer = trimmed(&issuer);
    if issuer != expected.idp_entity_id {
        return Err(ProviderError::new(Reason::IdpMixup).saying(expected.idp_entity_id, issuer));
    }
    match received {
        Received::Redirect(redirected) => {
            if redirected.message != kind {
                let found = redirected.message.parameter();
                return Err(ProviderError::new(Reason::SamlMalformed).saying(kind.parameter(), found));
            }
            // The binding wants it removed (Bindings, section 3.4.4.1): two signatures, two readings.
            if root.child(DS, "Signature").is_some() {
                let expected = "a signature beside the message";
                return Err(ProviderError::new(Reason::SamlSignatureShape).saying(expected, "one in it"));
            }
            redirected.verify(expected.keys)?;
        }
        Received::Post(_) => dsig::verify_root(tree, expected.keys)?,
    }
    match root.attribute("Destination") {
        Some(destination) if destination == expected.slo_url => Ok(()),
        destination => {
            let found = destination.unwrap_or_default();
            Err(ProviderError::new(Reason::SamlDestination).saying(expected.slo_url, found))
        }
    }
}

/// Refuses children that have no place in a message: beside `own`, those that every message may have.
fn only_children(root: Element<'_>, own: &[(&str, &str)]) -> Result<(), ProviderError> {
    let common = [(SAML, "Issuer"), (DS, "Signature"), (SAMLP, "Extensions")];
    let known = |child: Element<'_>| common.iter().chain(own).any(|(namespace, name)| child.is(namespace, name));
    match root.children().find(|child| !known(*child)) {
        None => Ok(()),
        Some(_) => {
            let expected = format_args!("what a {} may have", root.name()).to_string();
            Err(ProviderError::new(Reason::SamlStructure).saying(expected, "another element"))
        }
    }
}

/// Whether the request is of now: when it was issued, and until when it is taken.
fn judge_time(root: Element<'_>, now: Timestamp) -> Result<(Timestamp, Timestamp), ProviderError> {
    let read = |name| match root.attribute(name) {
        None => Ok(None),
        Some(text) => xml::time(text)
            .map(Some)
            .ok_or_else(|| ProviderError::new(Reason::SamlTime).saying(format_args!("{name} in UTC"), text)),
    };
    let issued =
        read("IssueInstant")?.ok_or_else(|| ProviderError::new(Reason::SamlTime).saying("an IssueInstant", "none"))?;
    let limit = read("NotOnOrAfter")?.map_or(Timestamp::from_millis(i64::MAX), |limit| limit.plus(SKEW));
    let expires = issued.plus(MAX_AGE).min(limit);
    if issued > now.plus(SKEW) || now >= expires {
        let (from, to) = (issued.minus(SKEW).rfc3339(), expires.rfc3339());
        return Err(ProviderError::new(Reason::SamlTime).saying(format_args!("from {from} to {to}"), now.rfc3339()));
    }
    Ok((issued, expires))
}

fn id(root: Element<'_>) -> Result<String, ProviderError> {
    let id = root.attribute("ID").unwrap_or_default();
    if id.is_empty() || id.len() > MAX_ID {
        let expected = format_args!("an ID of 1 to {MAX_ID} bytes").to_string();
        return Err(ProviderError::new(Reason::SamlMalformed).saying(expected, id.len()));
    }
    Ok(id.to_owned())
}

/// The one name of a request, decrypted if need be.
fn subject(root: Element<'_>, expected: &Expected<'_>) -> Result<NameId, ProviderError> {
    let names: Vec<_> = ["NameID", "BaseID", "EncryptedID"].iter().flat_map(|n| root.children_named(SAML, n)).collect();
    match names.as_slice() {
        [name] if name.name() == "NameID" => NameId::read(*name),
        [name] if name.name() == "EncryptedID" => {
            let clear = encryption::decrypt_id(*name, expected.decryption, expected.allow_cbc)?;
            let tree = Tree::parse(&clear, Policy::Message)?;
            let name = Some(tree.root()).filter(|root| root.is(SAML, "NameID"));
            NameId::read(name.ok_or_else(encryption::refused)?)
        }
        [_] => Err(ProviderError::new(Reason::SamlStructure).saying("a NameID", "a BaseID")),
        names => Err(ProviderError::new(Reason::SamlStructure).saying("one NameID", names.len())),
    }
}

#[cfg(test)]
mod tests;

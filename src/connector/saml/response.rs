//! A response, judged.

use super::conditions::{self, Delivery, SKEW};
use super::encryption::{self, DecryptionKeys, Opened};
use super::status::Status;
use super::types::{Assertion, Attribute, NameId};
use super::xml::{Element, Policy, SAML, SAMLP, Tree, trimmed};
use super::{dsig, shape};
use crate::base::clock::Timestamp;
use crate::connector::error::{ProviderError, Reason};

const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// What a response must be.
pub(crate) struct Expected<'a> {
    /// Our assertion consumer service, exactly as the provider knows it.
    pub(crate) acs_url: &'a str,
    /// Our entity id.
    pub(crate) audience: &'a str,
    pub(crate) idp_entity_id: &'a str,
    /// The request that it answers. None: it must answer none.
    pub(crate) in_response_to: Option<&'a str>,
    pub(crate) now: Timestamp,
    pub(crate) keys: &'a dsig::TrustedKeys,
    pub(crate) decryption: &'a DecryptionKeys,
    /// Only encrypted assertions.
    pub(crate) want_encrypted: bool,
    /// Encrypted with AES-CBC too.
    pub(crate) allow_cbc: bool,
}

/// What an unverified response says of itself: enough to choose a page and who judges, and for nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peek {
    pub(crate) in_response_to: Option<String>,
    /// The entity id of the provider. None: it has none, or several.
    pub(crate) issuer: Option<String>,
}

/// Reads which request a response claims to answer, and whose it claims to be. Anybody may have written it.
///
/// # Errors
///
/// As [`Tree::parse`]; [`Reason::SamlStructure`]: no response.
pub(crate) fn peek(xml: &str) -> Result<Peek, ProviderError> {
    let tree = Tree::parse(xml, Policy::Message)?;
    let root = tree.root();
    if !root.is(SAMLP, "Response") {
        return Err(ProviderError::new(Reason::SamlStructure).saying("a Response", root.name()));
    }
    // Of the assertion, where the response itself says nothing (SAML 2.0 Profiles, section 4.1.4.2).
    let says = |element: &Element<'_>| element.child(SAML, "Issuer").is_some();
    let issued = Some(root).filter(says).or_else(|| root.child(SAML, "Assertion"));
    let issuer = issued.and_then(|issued| issued.only_child(SAML, "Issuer").ok().flatten());
    Ok(Peek {
        in_response_to: root.attribute("InResponseTo").map(str::to_owned),
        issuer: issuer.map(|issuer| trimmed(&issuer.text()).to_owned()),
    })
}

/// Why a response is refused, and what the answer must not tell of it.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The answer.
    pub(crate) error: ProviderError,
    /// Newer metadata may know the key that made the signature. So it is said of a key that is not trusted, and of
    /// everything that did not open: that one who guesses at AES-CBC content hit an unknown key would else be told by
    /// the time that looking takes (S15).
    pub(crate) look_for_key: bool,
}

impl From<ProviderError> for Refusal {
    fn from(error: ProviderError) -> Self {
        Self { look_for_key: matches!(error.why(), Reason::SamlKeyUntrusted | Reason::SamlDecrypt), error }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        ProviderError::from(reason).into()
    }
}

/// Judges a response (SAML 2.0 Profiles, section 4.1.4.3; security cases S01–S18, S22–S24): what is returned was read
/// from the very element that a trusted signature covers. Whether its [`id`](Assertion::id) was used before (S19) is for
/// the caller to ask, last of all.
///
/// # Errors
///
/// The first thing that is wrong, with what was expected and found. A status other than success comes before all but
/// the document's shape ([`Reason::SamlStatus`], as [`Status`] tells it).
pub(crate) fn judge(xml: &str, expected: &Expected<'_>) -> Result<Assertion, Refusal> {
    let tree = Tree::parse(xml, Policy::Message)?;
    let shape = shape::response(&tree)?;
    // A refusal may come without any signature.
    Status::read(shape.root)?.demand_success()?;
    // A stranger's response is refused for that, not for its key (S22).
    if let Some(issuer) = shape.root.only_child(SAML, "Issuer")? {
        check_issuer(issuer, expected)?;
    }
    match (shape.assertion, shape.encrypted) {
        (Some(_), _) if expected.want_encrypted => {
            Err(ProviderError::new(Reason::SamlNotEncrypted).saying("an EncryptedAssertion", "an Assertion").into())
        }
        (Some(assertion), _) => {
            check_issuer_of(assertion, expected)?;
            verify(&tree, assertion, expected)?;
            Ok(read(shape.root, assertion, expected)?)
        }
        (None, Some(_)) => judge_encrypted(&tree, expected),
        (None, None) => Err(ProviderError::new(Reason::SamlStructure).saying("one assertion", "none").into()),
    }
}

/// Every signature must be good, and one of them must cover the assertion.
fn verify(tree: &Tree<'_>, assertion: Element<'_>, expected: &Expected<'_>) -> Result<(), ProviderError> {
    let covered = dsig::verify(tree, expected.keys)?;
    if covered.iter().any(|element| *element == assertion || *element == tree.root()) {
        return Ok(());
    }
    Err(ProviderError::new(Reason::SamlUnsigned).saying("a signature over the assertion", "none"))
}

fn judge_encrypted(tree: &Tree<'_>, expected: &Expected<'_>) -> Result<Assertion, Refusal> {
    // A signature over the response is over the encrypted assertion: it is judged now, or never.
    let signed = !shape::signatures(tree)?.is_empty();
    if signed {
        dsig::verify(tree, expected.keys)?;
    }
    let opened = encryption::decrypt(tree, expected.decryption, expected.allow_cbc)?;
    let mut computed = false;
    let judged = judge_opened(&opened, signed, expected, &mut computed);
    if !signed && !computed {
        // As long as what the ciphertext held, whatever came out of it.
        compute_another(tree.document().input_text().len() / 4 * 3, expected);
    }
    match judged {
        Ok(assertion) if opened.sound => Ok(assertion),
        Err(error) if opened.sound && (signed || opened.authentic) => Err(error.into()),
        // Unless the ciphertext is authentic, what is wrong with its content is told to nobody (S15).
        _ => Err(encryption::refused().into()),
    }
}

/// `computed`: whether signatures of what was opened were computed.
fn judge_opened(
    opened: &Opened,
    signed: bool,
    expected: &Expected<'_>,
    computed: &mut bool,
) -> Result<Assertion, ProviderError> {
    let tree = Tree::parse(&opened.xml, Policy::Message).map_err(|_| encryption::refused())?;
    let shape = shape::opened_response(&tree)?;
    let assertion = shape.assertion.filter(|assertion| assertion.range().as_ref() == Some(&opened.assertion));
    let assertion = assertion.ok_or_else(encryption::refused)?;
    check_issuer_of(assertion, expected)?;
    // Signed as a whole before: a signature of its own is then one more, and must be good.
    *computed = !shape::signatures(&tree)?.is_empty();
    if !signed || *computed {
        verify(&tree, assertion, expected)?;
    }
    read(shape.root, assertion, expected)
}

/// The work that a message of `len` bytes with a signature makes, for one that ends before it: how long an answer takes
/// is not to tell whether a ciphertext opened to XML (S15).
fn compute_another(len: usize, expected: &Expected<'_>) {
    let attributes = STAND_IN_ATTRIBUTE.repeat(len.saturating_sub(STAND_IN.len()) / STAND_IN_ATTRIBUTE.len());
    let text = STAND_IN.replace("<AttributeStatement/>", &attributes);
    if let Ok(tree) = Tree::parse(&text, Policy::Message) {
        drop(dsig::verify(&tree, expected.keys));
    }
}

/// With a digest that nothing has.
const STAND_IN: &str = concat!(
    r#"<Assertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion" ID="_a">"#,
    r#"<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo>"#,
    r#"<CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>"#,
    r#"<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>"#,
    r##"<Reference URI="#_a"><Transforms>"##,
    r#"<Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>"#,
    r#"<Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></Transforms>"#,
    r#"<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><DigestValue>AAAA</DigestValue></Reference>"#,
    r#"</SignedInfo><SignatureValue>AAAA</SignatureValue></Signature><AttributeStatement/></Assertion>"#,
);
/// Long enough that the longest message has not too many.
const STAND_IN_ATTRIBUTE: &str = concat!(
    r#"<Attribute Name="http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"><AttributeValue>"#,
    "0123456789012345678901234567890123456789</AttributeValue></Attribute>",
);

/// Everything that the profile asks of a response whose signatures are good.
fn read(root: Element<'_>, assertion: Element<'_>, expected: &Expected<'_>) -> Result<Assertion, ProviderError> {
    let delivery = Delivery { acs_url: expected.acs_url, in_response_to: expected.in_response_to, now: expected.now };
    let destination = root.attribute("Destination");
    if destination != Some(expected.acs_url) {
        let found = destination.unwrap_or("no Destination");
        return Err(ProviderError::new(Reason::SamlDestination).saying(expected.acs_url, found));
    }
    delivery.answers(root)?;
    check_head(root, &delivery)?;
    let id = check_head(assertion, &delivery)?;

    let until = conditions::check(assertion, expected.audience, &delivery)?;
    let subject = assertion.only_child(SAML, "Subject")?.ok_or_else(|| no_subject("a Subject"))?;
    let confirmed_until = conditions::confirm(subject, &delivery)?;
    let session = read_session(assertion, &delivery)?;
    Ok(Assertion {
        id: id.to_owned(),
        name_id: read_name(subject)?,
        session_index: session.index,
        session_not_on_or_after: session.not_on_or_after,
        authn_instant: session.instant,
        authn_context_class: session.context_class,
        attributes: read_attributes(assertion)?,
        expires: until.map_or(confirmed_until, |until| until.min(confirmed_until)).plus(SKEW),
    })
}

fn check_issuer_of(assertion: Element<'_>, expected: &Expected<'_>) -> Result<(), ProviderError> {
    match assertion.only_child(SAML, "Issuer")? {
        Some(issuer) => check_issuer(issuer, expected),
        None => Err(ProviderError::new(Reason::IdpMixup).saying(expected.idp_entity_id, "no Issuer")),
    }
}

fn check_issuer(issuer: Element<'_>, expected: &Expected<'_>) -> Result<(), ProviderError> {
    let found = issuer.text();
    if trimmed(&found) == expected.idp_entity_id {
        return Ok(());
    }
    Err(ProviderError::new(Reason::IdpMixup).saying(expected.idp_entity_id, trimmed(&found)))
}

/// Version, time of issue, and an ID, which is returned.
fn check_head<'t>(element: Element<'t>, delivery: &Delivery<'_>) -> Result<&'t str, ProviderError> {
    if element.attribute("Version") != Some("2.0") {
        let found = element.attribute("Version").unwrap_or("none");
        return Err(ProviderError::new(Reason::SamlMalformed).saying("Version 2.0", found));
    }
    delivery.has_begun("IssueInstant", conditions::required_time(element, "IssueInstant")?)?;
    element.attribute("ID").ok_or_else(|| ProviderError::new(Reason::SamlMalformed).saying("an ID", "none"))
}

fn read_name(subject: Element<'_>) -> Result<NameId, ProviderError> {
    NameId::read(subject.only_child(SAML, "NameID")?.ok_or_else(|| no_subject("a NameID"))?)
}

struct Session {
    index: Option<String>,
    not_on_or_after: Option<Timestamp>,
    instant: Timestamp,
    context_class: Option<String>,
}

/// The authentication statements: the session and its context from the first, its end from whichever is earliest.
fn read_session(assertion: Element<'_>, delivery: &Delivery<'_>) -> Result<Session, ProviderError> {
    let mut session: Option<Session> = None;
    for statement in assertion.children_named(SAML, "AuthnStatement") {
        let instant = conditions::required_time(statement, "AuthnInstant")?;
        delivery.has_begun("AuthnInstant", instant)?;
        let not_on_or_after = conditions::time(statement, "SessionNotOnOrAfter")?;
        if let Some(end) = not_on_or_after {
            delivery.has_not_ended("SessionNotOnOrAfter", end)?;
        }
        if let Some(session) = &mut session {
            session.not_on_or_after = session.not_on_or_after.into_iter().chain(not_on_or_after).min();
            continue;
        }
        let context = statement.only_child(SAML, "AuthnContext")?;
        let class = context.map(|context| context.only_child(SAML, "AuthnContextClassRef")).transpose()?.flatten();
        session = Some(Session {
            index: statement.attribute("SessionIndex").filter(|index| !index.is_empty()).map(str::to_owned),
            not_on_or_after,
            instant,
            context_class: class.map(|class| trimmed(&class.text()).to_owned()).filter(|class| !class.is_empty()),
        });
    }
    session.ok_or_else(|| no_subject("an AuthnStatement"))
}

fn read_attributes(assertion: Element<'_>) -> Result<Vec<Attribute>, ProviderError> {
    let statements = assertion.children_named(SAML, "AttributeStatement");
    let attributes = statements.flat_map(|statement| statement.children_named(SAML, "Attribute"));
    attributes.map(read_attribute).collect()
}

fn read_attribute(attribute: Element<'_>) -> Result<Attribute, ProviderError> {
    let Some(name) = attribute.attribute("Name").filter(|name| !name.is_empty()) else {
        return Err(ProviderError::new(Reason::SamlStructure).saying("an Attribute with a Name", "one without"));
    };
    let nil = |value: &Element<'_>| {
        value.attributes().any(|(ns, local, nil)| ns == XSI && local == "nil" && matches!(nil.trim(), "true" | "1"))
    };
    let values = attribute.children_named(SAML, "AttributeValue").filter(|value| !nil(value)).map(Element::text);
    Ok(Attribute {
        name: name.to_owned(),
        friendly_name: attribute.attribute("FriendlyName").map(str::to_owned),
        values: values.collect(),
    })
}

fn no_subject(expected: &str) -> ProviderError {
    ProviderError::new(Reason::SamlSubject).saying(expected, "none")
}

#[cfg(test)]
mod tests;

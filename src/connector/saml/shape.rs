//! What a message may look like, before any of its signatures is computed. The library resolves references, runs
//! transforms and takes attributes by their local name before it knows whether a signature is good: what it is given
//! has one meaning only.

use std::collections::HashSet;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::xml::{DS, Element, SAML, SAMLP, Tree, XENC};
use crate::connector::error::{ProviderError, Reason};

/// Exclusive canonicalisation without comments.
pub(super) const EXC_C14N: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
/// The signature itself is left out of what it signs.
pub(super) const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

/// Signature algorithms that are taken (S11, S12): the library would take SHA-1 and HMAC too.
const SIGNATURE_METHODS: [&str; 9] = [
    RSA_SHA256,
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
    "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
    "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1",
    "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
];
/// What we sign with.
pub(super) const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
/// The digest of what we sign.
pub(super) const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
const SHA384: &str = "http://www.w3.org/2001/04/xmldsig-more#sha384";
const SHA512: &str = "http://www.w3.org/2001/04/xmlenc#sha512";
/// Most prefixes in a list of inclusive namespaces: each is looked up for each element.
const MAX_PREFIXES: usize = 8;
/// Longest such list, in bytes: the library copies it for each element.
const MAX_PREFIX_LIST: usize = 128;

/// A response whose shape is the profile's. Says nothing yet about who made it.
pub(super) struct ResponseShape<'t> {
    pub(super) root: Element<'t>,
    /// At most one, plain or encrypted, and always a child of the root.
    pub(super) assertion: Option<Element<'t>>,
    pub(super) encrypted: Option<Element<'t>>,
}

/// The shape of a response (S04–S08, S12): the only elements called `Response`, `Assertion`, `EncryptedAssertion` and
/// `Signature`, in whatever namespace, are those of the profile, in their places.
///
/// # Errors
///
/// [`Reason::SamlStructure`], [`Reason::SamlDuplicateId`], and those of [`signatures`].
pub(super) fn response<'t>(tree: &'t Tree<'_>) -> Result<ResponseShape<'t>, ProviderError> {
    check_response(tree, false)
}

/// The same shape for a response whose encrypted assertion was opened: it stands in clear where it was encrypted.
///
/// # Errors
///
/// As [`response`].
pub(super) fn opened_response<'t>(tree: &'t Tree<'_>) -> Result<ResponseShape<'t>, ProviderError> {
    check_response(tree, true)
}

fn check_response<'t>(tree: &'t Tree<'_>, opened: bool) -> Result<ResponseShape<'t>, ProviderError> {
    let root = tree.root();
    if !root.is(SAMLP, "Response") {
        return Err(structure("a Response", root));
    }
    let only = |names: &[(&str, &str)], element: Element<'_>| names.iter().any(|(ns, name)| element.is(ns, name));
    let in_response = [
        (SAML, "Issuer"),
        (DS, "Signature"),
        (SAMLP, "Extensions"),
        (SAMLP, "Status"),
        (SAML, "Assertion"),
        (SAML, "EncryptedAssertion"),
    ];
    if let Some(stranger) = root.children().find(|child| !only(&in_response, *child)) {
        return Err(structure("the children of a Response", stranger));
    }
    let assertion = root.only_child(SAML, "Assertion")?;
    let encrypted = root.only_child(SAML, "EncryptedAssertion")?;
    if let (Some(_), Some(encrypted)) = (assertion, encrypted) {
        return Err(structure("one assertion", encrypted));
    }
    let assertion = match encrypted.filter(|_| opened) {
        Some(encrypted) => encrypted.only_child(SAML, "Assertion")?,
        None => assertion,
    };
    for element in root.descendants() {
        let in_place = match element.name() {
            "Response" => false,
            "Assertion" => Some(element) == assertion,
            "EncryptedAssertion" => Some(element) == encrypted,
            "Signature" => {
                element.is(DS, "Signature")
                    && element.parent().is_some_and(|parent| parent == root || Some(parent) == assertion)
            }
            _ => true,
        };
        if !in_place {
            return Err(structure("each element in its place", element));
        }
    }
    let in_assertion =
        ["Issuer", "Subject", "Conditions", "Advice", "AuthnStatement", "AttributeStatement", "AuthzDecisionStatement"];
    if let Some(stranger) = assertion
        .iter()
        .flat_map(|assertion| assertion.children())
        .find(|child| !child.is(DS, "Signature") && !in_assertion.iter().any(|name| child.is(SAML, name)))
    {
        return Err(structure("the children of an Assertion", stranger));
    }
    ids(tree)?;
    signatures(tree)?;
    Ok(ResponseShape { root, assertion, encrypted })
}

/// Each ID once, and under the name that its element's schema has (S06): `ID`, for signatures and encryption `Id`.
/// Neither another name (`id`, `xml:id`, `wsu:Id`) nor a value that is no XML name.
///
/// # Errors
///
/// [`Reason::SamlDuplicateId`], or [`Reason::SamlMalformed`] for such a value.
pub(super) fn ids(tree: &Tree<'_>) -> Result<(), ProviderError> {
    let root = tree.root();
    let mut seen = HashSet::new();
    for element in std::iter::once(root).chain(root.descendants()) {
        let name = if [DS, XENC].contains(&element.namespace()) { "Id" } else { "ID" };
        for (namespace, local, value) in element.attributes() {
            if !local.eq_ignore_ascii_case("id") {
                // The library takes these for IDs too. They are SAML 1's.
                if matches!(local, "AssertionID" | "ResponseID" | "RequestID") {
                    return Err(duplicate_id("IDs named ID", local));
                }
                continue;
            }
            if local != name || !namespace.is_empty() {
                return Err(duplicate_id(format_args!("IDs named {name}"), local));
            }
            if !is_id(value) {
                return Err(ProviderError::new(Reason::SamlMalformed).saying("an ID that is an XML name", value));
            }
            if !seen.insert(value) {
                return Err(duplicate_id("each ID once", value));
            }
        }
    }
    Ok(())
}

/// Every `ds:Signature` of the document, each of the one form that the profile has (SAML 2.0 Core, section 5.4).
///
/// # Errors
///
/// [`Reason::SamlSignatureShape`] (S07), [`Reason::SamlTransform`] (S08), [`Reason::SamlAlg`] (S11, S12).
pub(super) fn signatures<'t>(tree: &'t Tree<'_>) -> Result<Vec<Element<'t>>, ProviderError> {
    let root = tree.root();
    // A root that is a signature itself would be found by the library and not here.
    if root.name() == "Signature" {
        return Err(shape("a signature in what it signs", root));
    }
    let named: Vec<_> = root.descendants().filter(|element| element.name() == "Signature").collect();
    for signature in &named {
        let parent = signature.parent().ok_or(Reason::SamlSignatureShape)?;
        if parent.children_named(DS, "Signature").count() != 1 {
            return Err(shape("one signature of an element", *signature));
        }
        form(*signature, parent)?;
    }
    // In whatever signature or none (S05).
    if let Some(object) = root.descendants().find(|element| element.is(DS, "Object")) {
        return Err(shape("no ds:Object", object));
    }
    Ok(named)
}

/// Whether `algorithm` is one of those that are taken.
///
/// # Errors
///
/// [`Reason::SamlAlg`].
pub(super) fn signature_method(algorithm: &str) -> Result<(), ProviderError> {
    if SIGNATURE_METHODS.contains(&algorithm) {
        return Ok(());
    }
    Err(ProviderError::new(Reason::SamlAlg).saying("RSA or ECDSA with SHA-256, SHA-384 or SHA-512", algorithm))
}

fn form(signature: Element<'_>, parent: Element<'_>) -> Result<(), ProviderError> {
    let [info, value, key_info @ ..] = &children(signature, "Signature", &[])?[..] else {
        return Err(shape("SignedInfo and SignatureValue", signature));
    };
    expect(*info, "SignedInfo")?;
    plain_text(*value, "SignatureValue")?;
    match key_info {
        [] => {}
        [key_info] => check_key_info(*key_info)?,
        [_, other, ..] => return Err(shape("SignedInfo, SignatureValue and KeyInfo", *other)),
    }

    let [canonicalization, method, reference] = &children(*info, "SignedInfo", &[])?[..] else {
        return Err(shape("one CanonicalizationMethod, SignatureMethod and Reference", *info));
    };
    exclusive(*canonicalization, "CanonicalizationMethod")?;
    children_none(*method, "SignatureMethod", &["Algorithm"])?;
    signature_method(algorithm(*method)?)?;

    let [transforms, digest_method, digest_value] = &children(*reference, "Reference", &["URI", "Type"])?[..] else {
        return Err(shape("Transforms, DigestMethod and DigestValue", *reference));
    };
    // Empty, absent, an XPointer or an address elsewhere is never equal: IDs are XML names.
    let target = parent.attribute("ID").filter(|id| is_id(id));
    let uri = reference.attribute("URI");
    if target.is_none() || uri.and_then(|uri| uri.strip_prefix('#')) != target {
        let expected = format_args!("the ID of the element around it: #{}", target.unwrap_or_default());
        return Err(ProviderError::new(Reason::SamlSignatureShape).saying(expected, uri.unwrap_or_default()));
    }
    check_transforms(*transforms)?;
    children_none(*digest_method, "DigestMethod", &["Algorithm"])?;
    plain_text(*digest_value, "DigestValue")?;
    check_digest(algorithm(*digest_method)?, &digest_value.text())
}

/// Exactly the enveloped-signature transform, and exclusive canonicalisation after it (S08).
fn check_transforms(transforms: Element<'_>) -> Result<(), ProviderError> {
    let transforms = children(transforms, "Transforms", &[])?;
    for transform in &transforms {
        expect(*transform, "Transform")?;
    }
    let (first, rest) = transforms.split_first().ok_or(Reason::SamlTransform)?;
    if algorithm(*first)? != ENVELOPED || first.children().next().is_some() {
        return Err(transform("the enveloped-signature transform first", algorithm(*first)?));
    }
    match rest {
        [] => Ok(()),
        [second] => exclusive(*second, "Transform"),
        [_, third, ..] => Err(transform("at most two transforms", algorithm(*third)?)),
    }
}

fn exclusive(method: Element<'_>, name: &str) -> Result<(), ProviderError> {
    let algorithm = algorithm(method)?;
    if algorithm != EXC_C14N {
        return Err(transform("exclusive canonicalisation without comments", algorithm));
    }
    expect(method, name)?;
    attributes(method, &["Algorithm"])?;
    match &method.children().collect::<Vec<_>>()[..] {
        [] => Ok(()),
        [list] if list.is(EXC_C14N, "InclusiveNamespaces") && list.children().next().is_none() => {
            attributes(*list, &["PrefixList"])?;
            let list = list.attribute("PrefixList").unwrap_or_default();
            let prefixes = list.split_whitespace().count();
            if prefixes > MAX_PREFIXES || list.len() > MAX_PREFIX_LIST {
                let expected = format_args!("at most {MAX_PREFIXES} prefixes in {MAX_PREFIX_LIST} bytes");
                return Err(transform(expected, format_args!("{prefixes} in {}", list.len())));
            }
            Ok(())
        }
        [other, ..] => Err(transform("InclusiveNamespaces or nothing", other.name())),
    }
}

/// Whatever stands in it is a hint and never a key; what names an address or another element is not even that (S03).
fn check_key_info(key_info: Element<'_>) -> Result<(), ProviderError> {
    expect(key_info, "KeyInfo")?;
    let known = |child: &Element<'_>| ["KeyName", "KeyValue", "X509Data"].iter().any(|name| child.is(DS, name));
    match key_info.children().find(|child| !known(child)) {
        None => Ok(()),
        Some(other) => Err(shape("KeyName, KeyValue or X509Data", other)),
    }
}

fn check_digest(algorithm: &str, value: &str) -> Result<(), ProviderError> {
    let hash = match algorithm {
        SHA256 => &digest::SHA256,
        SHA384 => &digest::SHA384,
        SHA512 => &digest::SHA512,
        _ => return Err(ProviderError::new(Reason::SamlAlg).saying("SHA-256, SHA-384 or SHA-512", algorithm)),
    };
    // What canonicalises to nothing is signed as nothing, and anything can be made of that.
    let value: String = value.split_whitespace().collect();
    if STANDARD.decode(value).is_ok_and(|value| value == digest::digest(hash, b"").as_ref()) {
        return Err(ProviderError::new(Reason::SamlSig).saying("a digest of something", "the digest of nothing"));
    }
    Ok(())
}

/// The children of the `ds` element called `name`, which has none but these attributes. All of them are `ds` elements.
fn children<'t>(element: Element<'t>, name: &str, known: &[&str]) -> Result<Vec<Element<'t>>, ProviderError> {
    expect(element, name)?;
    // Signature, SignedInfo and Reference may have one; its value was judged with the other IDs.
    let known: Vec<_> = known.iter().copied().chain(["Id"]).collect();
    attributes(element, &known)?;
    let children: Vec<_> = element.children().collect();
    match children.iter().find(|child| child.namespace() != DS) {
        None => Ok(children),
        Some(other) => Err(shape("elements of signatures", *other)),
    }
}

fn children_none(element: Element<'_>, name: &str, known: &[&str]) -> Result<(), ProviderError> {
    expect(element, name)?;
    attributes(element, known)?;
    match element.children().next() {
        None => Ok(()),
        Some(parameter) => Err(shape("an algorithm without parameters", parameter)),
    }
}

/// The library looks attributes up by their local name: a second one in another namespace would answer in its place.
fn attributes(element: Element<'_>, known: &[&str]) -> Result<(), ProviderError> {
    match element.attributes().find(|(namespace, local, _)| !namespace.is_empty() || !known.contains(local)) {
        None => Ok(()),
        Some((_, local, _)) => {
            let expected = format_args!("no such attribute of {}", element.name());
            Err(ProviderError::new(Reason::SamlSignatureShape).saying(expected, local))
        }
    }
}

fn algorithm<'t>(element: Element<'t>) -> Result<&'t str, ProviderError> {
    attributes(element, &["Algorithm"])?;
    element.attribute("Algorithm").ok_or_else(|| shape("an Algorithm", element))
}

fn plain_text(element: Element<'_>, name: &str) -> Result<(), ProviderError> {
    expect(element, name)?;
    // The library takes the first piece of text.
    if element.is_plain_text() { Ok(()) } else { Err(shape("one piece of text", element)) }
}

fn expect(element: Element<'_>, name: &str) -> Result<(), ProviderError> {
    if element.is(DS, name) { Ok(()) } else { Err(shape(name, element)) }
}

/// An XML name without colon (xs:ID), of at most 256 bytes.
fn is_id(value: &str) -> bool {
    let start = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii() && c.is_alphabetic();
    let rest = |c: char| start(c) || c.is_ascii_digit() || matches!(c, '-' | '.');
    value.len() <= 256 && value.starts_with(start) && value.chars().all(rest)
}

fn structure(expected: &str, found: Element<'_>) -> ProviderError {
    ProviderError::new(Reason::SamlStructure).saying(expected, path(found))
}

fn shape(expected: &str, found: Element<'_>) -> ProviderError {
    ProviderError::new(Reason::SamlSignatureShape).saying(expected, path(found))
}

fn transform(expected: impl std::fmt::Display, found: impl std::fmt::Display) -> ProviderError {
    ProviderError::new(Reason::SamlTransform).saying(expected, found)
}

fn duplicate_id(expected: impl std::fmt::Display, found: &str) -> ProviderError {
    ProviderError::new(Reason::SamlDuplicateId).saying(expected, found)
}

/// The element's name and the one around it.
fn path(element: Element<'_>) -> String {
    let around = element.parent().map_or("", Element::name);
    format!("{around}/{}", element.name())
}

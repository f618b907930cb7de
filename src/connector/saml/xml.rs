//! XML as it is read here: one parser with limits, and elements that know their namespace.

use std::borrow::Cow;
use std::fmt::Write as _;

use memchr::{memchr_iter, memmem};
use uppsala::{Document, NodeId, NodeKind, Parser};

use crate::base::clock::Timestamp;
use crate::connector::error::{ProviderError, Reason};

/// Assertions (SAML 2.0 Core, section 2).
pub(crate) const SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
/// Protocol messages (SAML 2.0 Core, section 3).
pub(crate) const SAMLP: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
/// XML signatures.
pub(crate) const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
/// XML encryption.
pub(crate) const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";
/// SAML 2.0 metadata.
pub(crate) const MD: &str = "urn:oasis:names:tc:SAML:2.0:metadata";

/// Longest message, in bytes (S28).
pub(crate) const MAX_MESSAGE: usize = 256 * 1024;
/// Longest metadata document, in bytes.
pub(crate) const MAX_METADATA: usize = 4 * 1024 * 1024;
/// Deepest nesting of elements (S28). A signed assertion in a response has nine.
const MAX_DEPTH: u32 = 20;
/// Most attributes, namespace declarations among them, that a tag may have. The parser compares each with each.
const MAX_ATTRIBUTES: usize = 32;
/// Most namespace declarations in scope at one element: canonicalisation looks at them for every element.
const MAX_NAMESPACES: usize = 128;
/// Longest namespace declaration, from `xmlns` to the quote after its value, in bytes. The parser may copy the value for
/// every element in that namespace, and canonicalisation writes it for each whose parent is in another: without this, a
/// message of 256 KB becomes gigabytes.
const MAX_DECLARATION: usize = 320;

/// What a document is, and so what it may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// A protocol message, written by a program: comments, processing instructions, CDATA sections and text beside
    /// elements are refused (S09), so that no two readers see different text in it.
    Message,
    /// Metadata, that people write too: these are allowed and ignored.
    Metadata,
}

impl Policy {
    const fn max_bytes(self) -> usize {
        match self {
            Self::Message => MAX_MESSAGE,
            Self::Metadata => MAX_METADATA,
        }
    }

    /// Namespace declarations of a tag. For every prefix the parser looks through all that are in scope, so this and the
    /// depth bound what a byte can cost. Federations declare some twenty at the root of their metadata.
    const fn max_declarations(self) -> usize {
        match self {
            Self::Message => 12,
            Self::Metadata => 32,
        }
    }

    /// Attributes of all tags, namespace declarations among them: some providers have three with each value.
    const fn max_attributes(self) -> usize {
        match self {
            Self::Message => 10_000,
            Self::Metadata => 80_000,
        }
    }

    /// Elements, and comments and the like. A person with 2000 groups has 2000, or 4000 if each is an attribute of its
    /// own.
    const fn max_nodes(self) -> usize {
        match self {
            Self::Message => 5_000,
            Self::Metadata => 40_000,
        }
    }
}

/// A document, parsed once. Everything that is verified or used is a node of it.
pub(crate) struct Tree<'x> {
    document: Document<'x>,
    root: NodeId,
}

impl<'x> Tree<'x> {
    /// Parses `text`.
    ///
    /// # Errors
    ///
    /// [`Reason::SamlTooLarge`]: a limit, found before the parser works. [`Reason::XmlDoctype`]: a document type (S10).
    /// [`Reason::SamlContent`]: what [`Policy::Message`] refuses. [`Reason::SamlMalformed`]: no XML 1.0 with namespaces
    /// in UTF-8, or an entity other than the five of XML.
    pub(crate) fn parse(text: &'x str, policy: Policy) -> Result<Self, ProviderError> {
        if text.len() > policy.max_bytes() {
            return Err(too_large("bytes", policy.max_bytes(), text.len()));
        }
        // In a comment or CDATA section it would be harmless; nobody who means well has it there.
        if memmem::find(text.as_bytes(), b"<!DOCTYPE").is_some() {
            return Err(ProviderError::new(Reason::XmlDoctype).saying("no document type", "<!DOCTYPE"));
        }
        scan(text.as_bytes(), policy)?;
        // A position in the text is not worth the risk of quoting it.
        let malformed =
            |_| ProviderError::new(Reason::SamlMalformed).saying("XML 1.0 with namespaces", "something else");
        let document = Parser::new()
            .with_forbid_dtd(true)
            .with_forbid_entities(true)
            .with_max_entity_expansion(0)
            .with_max_depth(MAX_DEPTH)
            .parse(text)
            .map_err(malformed)?;
        let root = document.document_element().ok_or(Reason::SamlMalformed)?;
        let tree = Self { document, root };
        tree.check_declaration()?;
        tree.check_nodes(policy)?;
        Ok(tree)
    }

    /// The document element.
    pub(crate) fn root(&self) -> Element<'_> {
        Element { document: &self.document, id: self.root }
    }

    /// The element at `id`, a node of this very tree.
    pub(super) fn element(&self, id: NodeId) -> Option<Element<'_>> {
        self.document.element(id).map(|_| Element { document: &self.document, id })
    }

    /// The parsed document, for [`dsig`](super::dsig) and nobody else.
    pub(super) fn document(&self) -> &Document<'x> {
        &self.document
    }

    fn check_declaration(&self) -> Result<(), ProviderError> {
        let Some(declaration) = &self.document.xml_declaration else { return Ok(()) };
        let encoding = declaration.encoding.as_deref().unwrap_or("UTF-8");
        // The text was UTF-8 when it came here: another name means that somebody else may read other characters (S31).
        if declaration.version != "1.0" || !encoding.eq_ignore_ascii_case("UTF-8") {
            let found = format_args!("XML {} in {encoding}", declaration.version);
            return Err(ProviderError::new(Reason::SamlMalformed).saying("XML 1.0 in UTF-8", found));
        }
        Ok(())
    }

    fn check_nodes(&self, policy: Policy) -> Result<(), ProviderError> {
        let document = &self.document;
        // Elements still to be visited, with the number of namespaces in scope at their parent.
        let mut ahead = vec![(document.root(), 0)];
        while let Some((id, in_scope)) = ahead.pop() {
            let declared = document.element(id).map_or(0, |e| e.namespace_declarations.len());
            let in_scope = in_scope + declared;
            if in_scope > MAX_NAMESPACES {
                return Err(too_large("namespaces in scope", MAX_NAMESPACES, in_scope));
            }
            let (mut text, mut elements) = (false, false);
            for child in document.children_iter(id) {
                match document.node_kind(child) {
                    Some(NodeKind::Element(element)) => {
                        check_names(element)?;
                        elements = true;
                        ahead.push((child, in_scope));
                    }
                    Some(NodeKind::Text(content)) => text |= !content.chars().all(is_space),
                    _ if policy == Policy::Message => {
                        return Err(ProviderError::new(Reason::SamlContent)
                            .saying("elements and text", "a comment, processing instruction or CDATA section"));
                    }
                    _ => {}
                }
            }
            if policy == Policy::Message && text && elements {
                return Err(ProviderError::new(Reason::SamlContent).saying("elements or text", "text beside elements"));
            }
        }
        Ok(())
    }
}

/// The limits that the parser itself has not, in one pass over the bytes. No `<` may stand in an attribute's value, so
/// what lies between two of them holds at most one tag.
fn scan(text: &[u8], policy: Policy) -> Result<(), ProviderError> {
    let (mut nodes, mut attributes, mut depth) = (0, 0, 0_u32);
    let mut starts = memchr_iter(b'<', text).peekable();
    while let Some(start) = starts.next() {
        let piece = text.get(start + 1..starts.peek().copied().unwrap_or(text.len())).unwrap_or_default();
        if piece.first() == Some(&b'/') {
            depth = depth.saturating_sub(1);
            continue;
        }
        nodes += 1;
        if nodes > policy.max_nodes() {
            return Err(too_large("elements", policy.max_nodes(), "more"));
        }
        let tag = tag(piece);
        let values = memchr_iter(b'=', tag).filter(|&at| begins_value(tag.get(at + 1..).unwrap_or_default()));
        let values = values.take(MAX_ATTRIBUTES + 1).count();
        if values > MAX_ATTRIBUTES {
            return Err(too_large("attributes of a tag", MAX_ATTRIBUTES, "more"));
        }
        attributes += values;
        if attributes > policy.max_attributes() {
            return Err(too_large("attributes", policy.max_attributes(), "more"));
        }
        scan_declarations(tag, policy)?;
        match piece.first() {
            Some(b'!' | b'?') | None => {}
            // Only for the right word: the parser counts too, and a value with `/>` in it deceives this line alone.
            Some(_) if memmem::find(piece, b"/>").is_some() => {}
            Some(_) => depth += 1,
        }
        if depth > MAX_DEPTH {
            return Err(too_large("nested elements", MAX_DEPTH, "more"));
        }
    }
    Ok(())
}

/// The tag that `piece` begins with, without the text behind it: in Base64 there may stand anything. A `>` in a value does
/// not end it.
fn tag(piece: &[u8]) -> &[u8] {
    let mut quote = None;
    let end = piece.iter().position(|&byte| {
        match quote {
            Some(open) if byte == open => quote = None,
            Some(_) => {}
            None if matches!(byte, b'"' | b'\'') => quote = Some(byte),
            None => return byte == b'>',
        }
        false
    });
    end.and_then(|end| piece.get(..end)).unwrap_or(piece)
}

/// The namespaces of one tag. A value that looks like a declaration counts as one.
fn scan_declarations(tag: &[u8], policy: Policy) -> Result<(), ProviderError> {
    for (nth, at) in memmem::find_iter(tag, b"xmlns").enumerate() {
        if nth == policy.max_declarations() {
            return Err(too_large("namespaces of a tag", policy.max_declarations(), "more"));
        }
        // Enough of it to tell: its closing quote is in it or it is too long.
        let rest = tag.get(at..).unwrap_or_default();
        let rest = rest.get(..MAX_DECLARATION).unwrap_or(rest);
        let quotes = |b: &u8| matches!(b, b'"' | b'\'');
        let value = rest.iter().position(quotes).map(|open| rest.get(open..).unwrap_or_default());
        let ends = value.and_then(<[u8]>::split_first).is_some_and(|(quote, value)| value.contains(quote));
        if !ends && rest.len() == MAX_DECLARATION {
            return Err(too_large("bytes of a namespace declaration", MAX_DECLARATION, "more"));
        }
    }
    Ok(())
}

fn begins_value(after_equals: &[u8]) -> bool {
    matches!(after_equals.iter().find(|b| !b.is_ascii_whitespace()), Some(b'"' | b'\''))
}

/// What is well-formed but has no meaning under namespaces, which the parser lets pass: names with more colons than one,
/// and a prefix that is taken back (`xmlns:saml=""`). Canonicalisation does not write the latter, so that no signature
/// would notice that an element is in no namespace any more, and is passed over.
fn check_names(element: &uppsala::Element<'_>) -> Result<(), ProviderError> {
    if element.namespace_declarations.iter().any(|(prefix, uri)| !prefix.is_empty() && uri.is_empty()) {
        return Err(ProviderError::new(Reason::SamlMalformed).saying("prefixes of namespaces", "one of none"));
    }
    let names = std::iter::once(&element.name).chain(element.attributes.iter().map(|a| &a.name));
    if names.into_iter().any(|name| name.local_name.contains(':')) {
        return Err(ProviderError::new(Reason::SamlMalformed).saying("names with one prefix", "more colons"));
    }
    Ok(())
}

fn too_large(what: &str, most: impl std::fmt::Display, found: impl std::fmt::Display) -> ProviderError {
    ProviderError::new(Reason::SamlTooLarge).saying(format_args!("at most {most} {what}"), found)
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// An element of a [`Tree`]. Two are equal if they are the same node.
#[derive(Clone, Copy)]
pub(crate) struct Element<'t> {
    document: &'t Document<'t>,
    id: NodeId,
}

impl<'t> Element<'t> {
    /// The local name.
    pub(crate) fn name(self) -> &'t str {
        self.document.element(self.id).map_or("", |e| &*e.name.local_name)
    }

    /// The namespace; empty if it has none.
    pub(crate) fn namespace(self) -> &'t str {
        self.document.element(self.id).and_then(|e| e.name.namespace_uri.as_deref()).unwrap_or_default()
    }

    /// Whether it is this element.
    pub(crate) fn is(self, namespace: &str, local: &str) -> bool {
        self.name() == local && self.namespace() == namespace
    }

    /// An attribute without namespace.
    pub(crate) fn attribute(self, local: &str) -> Option<&'t str> {
        self.attributes().find(|(namespace, name, _)| namespace.is_empty() && *name == local).map(|(_, _, value)| value)
    }

    /// Namespace (empty: none), local name and value of each attribute; namespace declarations are none.
    pub(crate) fn attributes(self) -> impl Iterator<Item = (&'t str, &'t str, &'t str)> {
        let attributes = self.document.element(self.id).map(|e| e.attributes.as_slice()).unwrap_or_default();
        attributes.iter().map(|a| (a.name.namespace_uri.as_deref().unwrap_or_default(), &*a.name.local_name, &*a.value))
    }

    /// The elements directly below, in their order.
    pub(crate) fn children(self) -> impl Iterator<Item = Self> {
        let document = self.document;
        document
            .children_iter(self.id)
            .filter(|&id| document.element(id).is_some())
            .map(move |id| Self { document, id })
    }

    /// Those of the [`children`](Self::children) with this name.
    pub(crate) fn children_named(self, namespace: &str, local: &str) -> impl Iterator<Item = Self> {
        self.children().filter(move |child| child.is(namespace, local))
    }

    /// The first of the [`children_named`](Self::children_named).
    pub(crate) fn child(self, namespace: &str, local: &str) -> Option<Self> {
        self.children_named(namespace, local).next()
    }

    /// The one child with this name, if there is any.
    ///
    /// # Errors
    ///
    /// [`Reason::SamlStructure`]: more than one.
    pub(crate) fn only_child(self, namespace: &str, local: &str) -> Result<Option<Self>, ProviderError> {
        let mut children = self.children_named(namespace, local);
        let first = children.next();
        if children.next().is_some() {
            let expected = format_args!("at most one {local} in {}", self.name());
            return Err(ProviderError::new(Reason::SamlStructure).saying(expected, "more"));
        }
        Ok(first)
    }

    /// All text in it, however deep and in however many pieces: never the first piece alone (S09).
    pub(crate) fn text(self) -> String {
        self.document.text_content_deep(self.id)
    }

    /// The element around it; none for the root.
    pub(crate) fn parent(self) -> Option<Self> {
        let id = self.document.parent(self.id)?;
        self.document.element(id).map(|_| Self { document: self.document, id })
    }

    /// Every element below it, in the order of the document.
    pub(crate) fn descendants(self) -> impl Iterator<Item = Self> + Clone {
        let document = self.document;
        let below = document.descendants(self.id).into_iter();
        below.filter(|&id| document.element(id).is_some()).map(move |id| Self { document, id })
    }

    /// Its number in the tree.
    pub(super) fn id(self) -> NodeId {
        self.id
    }

    /// Whether its content is one piece of text, or none at all.
    pub(super) fn is_plain_text(self) -> bool {
        let mut nodes = self.document.children_iter(self.id).map(|id| self.document.node_kind(id));
        matches!(nodes.next(), None | Some(Some(NodeKind::Text(_)))) && nodes.next().is_none()
    }

    /// Where it stands in the text that was parsed, in bytes.
    pub(super) fn range(self) -> Option<std::ops::Range<usize>> {
        self.document.node_range(self.id)
    }
}

impl PartialEq for Element<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.document, other.document) && self.id == other.id
    }
}

impl std::fmt::Debug for Element<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{{{}}}{}", self.namespace(), self.name())
    }
}

/// `text` as it may stand between tags and in an attribute's value of either quote.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    let special = |c: char| matches!(c, '&' | '<' | '>' | '"' | '\'' | '\u{fffe}' | '\u{ffff}') || c < ' ';
    if !text.contains(special) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' | '\r' => drop(write!(out, "&#{};", u32::from(c))),
            // XML 1.0 has no way to write it.
            c if special(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// `text` without the white space of XML around it, with which providers lay their documents out. Other blanks belong to
/// it: a provider that tells `anna` from `anna` with a no-break space knows two people.
pub(crate) fn trimmed(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// A time of a message: xs:dateTime in UTC (SAML 2.0 Core, section 1.3.3). `+00:00` for `Z` is taken, another time zone
/// or none is not. What is finer than a millisecond is cut. The last day of the year 9999, which is how some write that
/// something never ends, is the last moment that a [`Timestamp`] can be printed with; later years are no times here.
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim_matches(is_space);
    let local = ["Z", "+00:00", "-00:00"].iter().find_map(|zone| text.strip_suffix(zone))?;
    let (seconds, fraction) = local.split_once('.').unwrap_or((local, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let shaped = seconds.bytes().map(|b| if b.is_ascii_digit() { b'0' } else { b }).eq(*b"0000-00-00T00:00:00");
    if !shaped || !digits(fraction) {
        return None;
    }
    let seconds: jiff::civil::DateTime = seconds.parse().ok()?;
    let millis: i64 = format!("{fraction:0<3.3}").parse().ok()?;
    let last = jiff::Timestamp::MAX;
    let Ok(seconds) = jiff::tz::Offset::UTC.to_timestamp(seconds) else {
        // Nor is the first day of the year -9999 one, which has another shape.
        return Some(Timestamp::from_millis(last.as_millisecond()));
    };
    let millis = seconds.as_millisecond().checked_add(millis)?;
    Some(Timestamp::from_millis(millis.min(last.as_millisecond())))
}

/// `time` as messages have it: UTC, whole seconds.
pub(crate) fn write_time(time: Timestamp) -> String {
    Timestamp::from_secs(time.secs()).rfc3339().replace(".000", "")
}

#[cfg(test)]
mod tests;

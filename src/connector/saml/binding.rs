//! How messages travel: HTTP-Redirect and HTTP-POST (SAML 2.0 Bindings, sections 3.4 and 3.5).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

use super::dsig::{SigningKey, TrustedKeys};
use super::xml::MAX_MESSAGE;
use crate::connector::{ProviderError, Reason};

/// Longest message that a link may hold, in bytes after inflating: what is longer is not inflated further (S27).
pub(crate) const MAX_INFLATED: usize = 64 * 1024;

/// Longest RelayState that may be sent, in bytes (Bindings, section 3.4.3).
pub(crate) const MAX_RELAY_STATE: usize = 80;

/// Longest foreign RelayState that goes back with an answer, in bytes: providers send more than the 80 they may.
const MAX_ECHOED: usize = 1024;

/// Longest Base64 text of a message: four characters for three bytes, and a line break for each line of 64.
const MAX_BASE64: usize = (MAX_MESSAGE / 3 + 1) * 4 + MAX_MESSAGE / 24 + 2;

/// The one encoding of the redirect binding; it need not be named.
const DEFLATE: &str = "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE";

/// What a value in a link keeps as it is: unreserved characters (RFC 3986 section 2.3).
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Which of the two a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Request,
    Response,
}

impl Message {
    /// Its parameter or form field.
    pub(crate) const fn parameter(self) -> &'static str {
        match self {
            Self::Request => "SAMLRequest",
            Self::Response => "SAMLResponse",
        }
    }
}

/// What goes with a message and comes back with its answer. Opaque to whom it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RelayState(String);

impl RelayState {
    /// A reference of ours; none when it is empty or longer than [`MAX_RELAY_STATE`].
    pub(crate) fn new(reference: &str) -> Option<Self> {
        (1..=MAX_RELAY_STATE).contains(&reference.len()).then(|| Self(reference.to_owned()))
    }

    /// The provider's own, to go back as it came (section 3.4.3). None when it is empty or longer than 1024 bytes.
    pub(crate) fn echoed(received: &str) -> Option<Self> {
        (1..=MAX_ECHOED).contains(&received.len()).then(|| Self(received.to_owned()))
    }
}

/// The link that carries a message: `endpoint?SAMLRequest=…&RelayState=…&SigAlg=…&Signature=…`, then `more` parameters,
/// which no signature covers (`login_hint`, `domain_hint`, `whr`). Parameters that `endpoint` has stay.
///
/// # Errors
/// What signing gives; `connector_misconfigured` when the message cannot be deflated.
pub(crate) fn redirect_url(
    endpoint: &str,
    message: Message,
    xml: &str,
    relay_state: Option<&RelayState>,
    key: Option<&SigningKey>,
    more: &[(&str, &str)],
) -> Result<String, ProviderError> {
    let mut query = String::new();
    append(&mut query, message.parameter(), &STANDARD.encode(deflate(xml.as_bytes())?));
    if let Some(RelayState(state)) = relay_state {
        append(&mut query, "RelayState", state);
    }
    if let Some(key) = key {
        append(&mut query, "SigAlg", key.algorithm());
        let signature = key.sign_bytes(query.as_bytes())?;
        append(&mut query, "Signature", &STANDARD.encode(signature));
    }
    for (name, value) in more {
        append(&mut query, name, value);
    }
    let endpoint = endpoint.split('#').next().unwrap_or_default();
    let glue = if endpoint.contains('?') { '&' } else { '?' };
    Ok(format!("{endpoint}{glue}{query}"))
}

fn append(query: &mut String, name: &str, value: &str) {
    if !query.is_empty() {
        query.push('&');
    }
    query.push_str(name);
    query.push('=');
    query.extend(utf8_percent_encode(value, VALUE));
}

/// The fields of the form that carries a message by POST. A signature is in the message itself.
pub(crate) fn post_form(message: Message, xml: &str, relay_state: Option<&RelayState>) -> Vec<(&'static str, String)> {
    let mut fields = vec![(message.parameter(), STANDARD.encode(xml))];
    fields.extend(relay_state.map(|RelayState(state)| ("RelayState", state.clone())));
    fields
}

/// A message that came in a link. Nothing in it is true before [`verify`](Self::verify).
pub(crate) struct Redirected {
    pub(crate) message: Message,
    pub(crate) xml: String,
    pub(crate) relay_state: Option<String>,
    signature: Option<Signature>,
}

/// A detached signature (section 3.4.4.1).
struct Signature {
    algorithm: String,
    /// Base64.
    value: String,
    /// What is signed: the parameters as they came, escapes and all. None when they came in another order than the one
    /// in which they are signed.
    octets: Option<String>,
}

impl Redirected {
    /// Checks the signature over the octets as they came: no parser stands between what was signed and what is checked
    /// (S26). Providers differ in how they escape (Entra and AD FS in lower case) and in where they put `Signature`.
    ///
    /// # Errors
    /// `saml_unsigned`, `saml_alg`, `saml_sig`, `saml_key_untrusted`
    pub(crate) fn verify(&self, keys: &TrustedKeys) -> Result<(), ProviderError> {
        let Some(Signature { algorithm, value, octets }) = &self.signature else {
            return Err(ProviderError::new(Reason::SamlUnsigned).saying("SigAlg and Signature", "not both"));
        };
        let octets = octets.as_deref().ok_or_else(|| {
            let expected = format!("{}, RelayState, SigAlg in this order", self.message.parameter());
            ProviderError::new(Reason::SamlSig).saying(expected, "another order")
        })?;
        let value = base64(value)
            .ok_or_else(|| ProviderError::new(Reason::SamlSig).saying("a signature in Base64", "something else"))?;
        keys.verify_bytes(algorithm, octets.as_bytes(), &value)
    }
}

/// One parameter: as it came, its value decoded, and its place in the query.
struct Sent<'q> {
    raw: &'q str,
    value: Cow<'q, str>,
    at: usize,
}

#[derive(Default)]
struct Query<'q> {
    request: Option<Sent<'q>>,
    response: Option<Sent<'q>>,
    relay_state: Option<Sent<'q>>,
    algorithm: Option<Sent<'q>>,
    signature: Option<Sent<'q>>,
    encoding: Option<Sent<'q>>,
}

impl<'q> Query<'q> {
    /// Each parameter of the binding once, under its own name (S31); those of others are left alone.
    fn parse(query: &'q str) -> Result<Self, ProviderError> {
        let mut all = Self::default();
        for (at, raw) in query.split('&').enumerate() {
            let (name, value) = raw.split_once('=').unwrap_or((raw, ""));
            let decoded_name = decode(name).unwrap_or_default();
            let place = match &*decoded_name {
                "SAMLRequest" => &mut all.request,
                "SAMLResponse" => &mut all.response,
                "RelayState" => &mut all.relay_state,
                "SigAlg" => &mut all.algorithm,
                "Signature" => &mut all.signature,
                "SAMLEncoding" => &mut all.encoding,
                _ => continue,
            };
            let value = decode(value).ok_or_else(|| malformed("UTF-8", "something else"))?;
            if decoded_name != name {
                return Err(malformed(&decoded_name, "its name with escapes"));
            }
            if place.replace(Sent { raw, value, at }).is_some() {
                return Err(malformed(format_args!("one {name}"), "two"));
            }
        }
        Ok(all)
    }
}

/// Reads the query of a link: the message, inflated up to [`MAX_INFLATED`] bytes, and what its signature covers.
///
/// # Errors
/// `saml_malformed`: a parameter twice or under an escaped name, no message or two, or one that is no DEFLATE of UTF-8
/// in Base64; `saml_too_large`.
pub(crate) fn parse_redirect(query: &str) -> Result<Redirected, ProviderError> {
    let Query { request, response, relay_state, algorithm, signature, encoding } = Query::parse(query)?;
    let (message, sent) = one_of(request, response)?;
    if encoding.is_some_and(|encoding| encoding.value != DEFLATE) {
        return Err(malformed(DEFLATE, "another encoding"));
    }
    if sent.value.len() > MAX_BASE64 {
        return Err(too_large(MAX_BASE64));
    }
    let deflated = base64(&sent.value).ok_or_else(|| malformed("Base64", "something else"))?;
    let xml = document(inflate(&deflated)?)?;
    let signature = algorithm.zip(signature).map(|(algorithm, signature)| {
        let parts = [Some(&sent), relay_state.as_ref(), Some(&algorithm)].into_iter().flatten();
        let octets = parts.clone().is_sorted_by_key(|part| part.at).then(|| {
            let raw: Vec<_> = parts.map(|part| part.raw).collect();
            raw.join("&")
        });
        Signature { algorithm: algorithm.value.into_owned(), value: signature.value.into_owned(), octets }
    });
    Ok(Redirected { message, xml, relay_state: relay_state.map(|state| state.value.into_owned()), signature })
}

/// The one message in a form that may have either.
///
/// # Errors
/// As [`decode_post`]; `saml_malformed` for both and for neither.
pub(crate) fn parse_post(request: Option<&str>, response: Option<&str>) -> Result<(Message, String), ProviderError> {
    let (message, field) = one_of(request, response)?;
    decode_post(field).map(|xml| (message, xml))
}

fn one_of<T>(request: Option<T>, response: Option<T>) -> Result<(Message, T), ProviderError> {
    match (request, response) {
        (Some(request), None) => Ok((Message::Request, request)),
        (None, Some(response)) => Ok((Message::Response, response)),
        (Some(_), Some(_)) => Err(malformed("SAMLRequest or SAMLResponse", "both")),
        (None, None) => Err(malformed("SAMLRequest or SAMLResponse", "neither")),
    }
}

/// The message in a form field: Base64, in which providers break lines, of UTF-8.
///
/// # Errors
/// `saml_malformed`; `saml_too_large` before anything is decoded (S28).
pub(crate) fn decode_post(field: &str) -> Result<String, ProviderError> {
    if field.len() > MAX_BASE64 {
        return Err(too_large(MAX_BASE64));
    }
    let decoded = base64(field).ok_or_else(|| malformed("Base64", "something else"))?;
    if decoded.len() > MAX_MESSAGE {
        return Err(too_large(MAX_MESSAGE));
    }
    document(decoded)
}

fn malformed(expected: impl std::fmt::Display, found: &str) -> ProviderError {
    ProviderError::new(Reason::SamlMalformed).saying(expected, found)
}

fn too_large(limit: usize) -> ProviderError {
    ProviderError::new(Reason::SamlTooLarge).saying(format_args!("at most {limit} bytes"), "more")
}

/// A name or value of a query, as forms write it. None when it is not UTF-8.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8().ok()?;
    Some(Cow::Owned(decoded.into_owned()))
}

/// Strict Base64 (RFC 4648 section 4) but for line breaks.
fn base64(text: &str) -> Option<Vec<u8>> {
    let joined = if text.contains(['\r', '\n']) { Cow::Owned(text.replace(['\r', '\n'], "")) } else { text.into() };
    STANDARD.decode(&*joined).ok().filter(|decoded| !decoded.is_empty())
}

/// Text in UTF-8 (S31). That it does not claim another encoding is for the parser to see.
fn document(bytes: Vec<u8>) -> Result<String, ProviderError> {
    let text = String::from_utf8(bytes).map_err(|_| malformed("UTF-8", "something else"))?;
    let text = match text.strip_prefix('\u{feff}') {
        Some(unmarked) => unmarked.to_owned(),
        None => text,
    };
    if text.contains('\0') {
        return Err(malformed("UTF-8", "a NUL"));
    }
    Ok(text)
}

/// Raw DEFLATE (RFC 1951).
fn deflate(data: &[u8]) -> Result<Vec<u8>, ProviderError> {
    let failed =
        || ProviderError::new(Reason::ConnectorMisconfigured).saying("a message", "one that cannot be deflated");
    // What cannot be compressed grows by five bytes for each block of 65535.
    let mut out = Vec::with_capacity(data.len() + data.len() / 1024 + 64);
    let status = Compress::new(Compression::default(), false).compress_vec(data, &mut out, FlushCompress::Finish);
    matches!(status, Ok(Status::StreamEnd)).then_some(out).ok_or_else(failed)
}

/// Undoes [`deflate`]; never holds more than [`MAX_INFLATED`] bytes and one, whatever the stream promises (S27).
fn inflate(deflated: &[u8]) -> Result<Vec<u8>, ProviderError> {
    let mut out = Vec::with_capacity(MAX_INFLATED + 1);
    let mut inflater = Decompress::new(false);
    let status = inflater.decompress_vec(deflated, &mut out, FlushDecompress::Finish);
    let all_read = usize::try_from(inflater.total_in()).is_ok_and(|read| read == deflated.len());
    match status {
        _ if out.len() > MAX_INFLATED => Err(too_large(MAX_INFLATED)),
        Ok(Status::StreamEnd) if all_read => Ok(out),
        _ => Err(malformed("DEFLATE", "something else")),
    }
}

#[cfg(test)]
mod tests;

//! The settings that only connectors over SAML have, as they are written.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::node::{Node, Value};
use super::problem::{Place, Report, quoted};
use super::read::{At, Field, Read, section};
use super::saml::RequestBinding;
use super::words::{Choice, Word};

/// `preset` as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preset {
    Entra,
    Google,
    Okta,
    Adfs,
    Keycloak,
    Shibboleth,
    Generic,
}

impl Word for Preset {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("entra", Self::Entra),
        ("google", Self::Google),
        ("okta", Self::Okta),
        ("adfs", Self::Adfs),
        ("keycloak", Self::Keycloak),
        ("shibboleth", Self::Shibboleth),
        ("generic", Self::Generic),
    ];
}

impl Word for RequestBinding {
    const WORDS: &'static [(&'static str, Self)] = &[("redirect", Self::Redirect), ("post", Self::Post)];

    fn refusal(word: &str) -> Option<String> {
        let text = "artifacts are fetched from the provider, which is not supported; allowed: \"redirect\", \"post\"";
        (word == "artifact").then(|| format!("found {}; {text}", quoted(word)))
    }
}

section! {
    /// Settings of a connector over SAML.
    RawSaml {
        /// saml: whose attributes they are, for kind = "saml"; the kinds entra and google are presets themselves. Sets the
        /// names that `attributes` may change, and checks that only that product needs: entra has tenant_id and
        /// allowed_tenants too, google hosted_domains. Default: `generic`.
        preset: Choice<Preset>,
        /// saml: the provider's metadata (Federation Metadata XML) in a file; read again when it changes. This or
        /// metadata_url is required.
        metadata_file: String,
        /// saml: where the provider publishes its metadata. It is polled, so that new signing certificates are known
        /// before they are used. For Entra ID with `?appid=…` as the portal shows it: without, it names the certificates
        /// of the tenant, and a registration has its own.
        metadata_url: String,
        /// saml: a certificate (PEM or DER) whose key has to have signed the metadata. Left out: the file, or the https
        /// address, vouches for it.
        metadata_certificate_file: String,
        /// saml: the provider's entity id, where the metadata describes several providers.
        idp_entity_id: String,
        /// saml: Anteroom's entity id (Identifier, Audience URI). Default: the URL of its metadata,
        /// `<public_url><prefix>/saml/<id>/metadata`. One that a registration has already stays as it is.
        entity_id: String,
        /// saml: where the provider posts its responses (Reply URL, Assertion Consumer Service URL), exactly as it is
        /// registered there. Default: `<public_url><prefix>/saml/<id>/acs`. It may be on another host than public_url,
        /// which then has to lead to Anteroom too: people sign in there, and a hand-off takes them on to the application.
        /// Several connectors may have the same one, where one registration was given to the administrators of many.
        acs_url: String,
        /// saml: whether requests are signed. Default: where the provider's metadata wants it.
        sign_requests: bool,
        /// saml: how requests travel to the provider. Default: by redirect where it takes that.
        request_binding: Choice<RequestBinding>,
        /// saml: assertions that are not encrypted are refused. Default: false.
        want_encrypted: bool,
        /// saml: takes assertions that are encrypted with AES-CBC, which does not protect against changes; AES-GCM does.
        /// Default: true with the preset entra, since Entra ID sends nothing else, and false otherwise.
        allow_aes_cbc: bool,
        /// saml: takes responses that answer no request of Anteroom's. Somebody can then sign another person's browser in
        /// as themselves. Without it such a response begins a sign-in as usual, so that tiles and test buttons of the
        /// provider work all the same. Default: false.
        allow_idp_initiated: bool,
        /// saml: the format of name that is asked for: `persistent`, `email`, `transient`, `unspecified`, or a URI.
        /// Default: none is asked for, and the provider's registration decides.
        name_id_format: String,
        /// saml: the attributes that say who somebody is: the full name of one, or a list of names of which the first that
        /// is there counts. `NameID` stands for the assertion's own name of the person. What is left out is the preset's.
        attributes: RawAttributes,
        /// saml: the private key (PEM, RSA of at least 2048 bits, without a password) that signs requests. Default: one
        /// that is made in keys.dir at the first start.
        signing_key_file: String,
        /// saml: the certificate of signing_key_file (PEM).
        signing_cert_file: String,
        /// saml: the private key (PEM, RSA of at least 2048 bits, without a password) that assertions are encrypted to.
        /// Default: one that is made in keys.dir at the first start.
        decryption_key_file: String,
        /// saml: the certificate of decryption_key_file (PEM).
        decryption_cert_file: String,
    }
}

section! {
    /// The attributes that say who somebody is.
    RawAttributes {
        /// The address.
        email: OneOrMore,
        /// The display name.
        name: OneOrMore,
        /// The user name.
        preferred_username: OneOrMore,
        /// The groups; of several names, all values together.
        groups: OneOrMore,
        /// The roles; of several names, all values together. The presets keycloak, shibboleth and generic have none: name
        /// one that only an administrator of the provider can fill, for this application.
        roles: OneOrMore,
        /// What never changes for a person and is never given to another: the full name of one attribute, or `NameID`.
        /// Where the assertion has none, the sign-in is refused. Changing it makes new users of everybody. Default: for
        /// entra tenant and object id, for shibboleth `urn:oasis:names:tc:SAML:attribute:subject-id`, otherwise `NameID`.
        subject: String,
    }
}

impl RawSaml {
    /// The keys that are written, and where.
    pub(super) fn places(&self) -> impl Iterator<Item = (&'static str, &Place)> {
        let Self {
            preset,
            metadata_file,
            metadata_url,
            metadata_certificate_file,
            idp_entity_id,
            entity_id,
            acs_url,
            sign_requests,
            request_binding,
            want_encrypted,
            allow_aes_cbc,
            allow_idp_initiated,
            name_id_format,
            attributes,
            signing_key_file,
            signing_cert_file,
            decryption_key_file,
            decryption_cert_file,
        } = self;
        let places = [
            preset.place(),
            metadata_file.place(),
            metadata_url.place(),
            metadata_certificate_file.place(),
            idp_entity_id.place(),
            entity_id.place(),
            acs_url.place(),
            sign_requests.place(),
            request_binding.place(),
            want_encrypted.place(),
            allow_aes_cbc.place(),
            allow_idp_initiated.place(),
            name_id_format.place(),
            attributes.place(),
            signing_key_file.place(),
            signing_cert_file.place(),
            decryption_key_file.place(),
            decryption_cert_file.place(),
        ];
        Self::KEYS.iter().zip(places).filter_map(|(key, place)| Some((*key, place?)))
    }
}

/// One text, or a list.
#[derive(Debug)]
pub(super) struct OneOrMore(pub(super) Vec<At<String>>);

impl Read for OneOrMore {
    fn read(node: Node, report: &mut Report) -> Option<Self> {
        match node.value {
            Value::Text(value) => Some(Self(vec![At { value, place: node.place }])),
            Value::List(_) | Value::Untyped(_) => Read::read(node, report).map(Self),
            _ => {
                report.problem(&node.place, format!("found {}; allowed: text, or a list of texts", node.value.kind()));
                None
            }
        }
    }
}

impl JsonSchema for OneOrMore {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("OneOrMore")
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (one, more) = (generator.subschema_for::<String>(), generator.subschema_for::<Vec<String>>());
        json_schema!({ "anyOf": [one, more] })
    }

    fn inline_schema() -> bool {
        true
    }
}

impl Field<OneOrMore> {
    /// The list alone.
    pub(super) fn list(self) -> Field<Vec<At<String>>> {
        match self {
            Self::Absent => Field::Absent,
            Self::Invalid => Field::Invalid,
            Self::Set(At { value: OneOrMore(value), place }) => Field::Set(At { value, place }),
        }
    }
}

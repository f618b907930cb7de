//! SAML 2.0, the service provider's side. Protocol code: bytes, keys and `now` go in, verified values come out; nothing
//! here fetches, sleeps or reads a clock. One parser reads a document ([`xml`]), signatures are verified over the tree
//! that it read ([`dsig`]), and what is used is read from the node that was verified.

pub(super) mod attributes;
pub(super) mod binding;
pub(super) mod certificate;
pub(super) mod conditions;
pub(super) mod dsig;
pub(super) mod encryption;
pub(super) mod entra;
#[cfg(test)]
pub(super) mod fixture;
pub(super) mod logout;
pub(super) mod metadata;
pub(super) mod own_keys;
pub(super) mod own_metadata;
pub(super) mod presets;
pub(super) mod request;
pub(super) mod response;
pub(super) mod shape;
pub(super) mod statement;
pub(super) mod status;
pub(super) mod types;
pub(super) mod xml;

pub use types::NameId;

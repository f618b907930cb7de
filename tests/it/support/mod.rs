//! What tests are made of. Start with [`App::start`].

mod app;
mod away;
mod before;
mod browser;
mod cache;
mod faults;
mod http;
mod keys;
mod provider;
mod refresh;
mod refusal;
mod refused;
mod saml;
mod saml_encryption;
mod saml_keys;
mod saml_logout;
mod saml_trial;
mod suite;
mod upstream;

pub use app::{App, Setup, TENANT, alice, bob, configuration};
pub use away::spoilable;
pub use before::no_session;
pub use browser::Browser;
pub use cache::SharedCache;
pub use faults::Faults;
pub use http::{Answer, Ask, Connection, PATIENCE, raw};
pub use keys::{SigningKey, b64, sign_jwt};
pub use provider::{Edit, Provider, Script};
pub use refusal::{Trial, Watch};
pub use refused::{until, until_async};
pub use saml::{
    Asked, PASSWORD, SUCCESS, SamlProvider, Signing, Words, assertion, attribute, between, status,
};
pub use saml_encryption::{Cipher, Encrypted};
pub use saml_keys::{DS, ENVELOPED, EXC_C14N, RSA_SHA256, SHA256, SamlKey, SignatureForm, transform, x509};
pub use saml_logout::{LogoutWords, Way, deflated, escape, name_id};
pub use saml_trial::SamlTrial;
pub use suite::{PORTAL, SUITE, WIKI};
pub use upstream::{Backend, Recorded, Upstream, answer};

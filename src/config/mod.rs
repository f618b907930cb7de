//! The configuration contract: one file per section, loaded by [`load`] into types that cannot be wrong.
//!
//! Everything public here is the *resolved* form: paths are absolute, defaults are filled in, references between
//! sections hold. Code above this module never checks configuration again. Each section's file holds the raw form
//! (whose doc comments become the schema and the reference page), the resolved form, and the checks between the two.

mod acs;
mod apps;
mod connector_keys;
mod connector_resolve;
mod connector_values;
mod connectors;
mod directory;
mod domains;
mod entra;
mod explain;
mod file;
mod from_toml;
mod from_yaml;
mod groups;
mod headers;
mod identity;
mod keys;
mod kinds;
mod load;
mod log;
mod native;
mod node;
mod ops;
mod outgoing;
mod overlay;
mod own_hosts;
mod parse;
mod problem;
mod read;
mod renewal;
mod requirement;
mod routes;
mod saml;
mod saml_keys;
mod saml_resolve;
mod schema;
mod secrets;
mod server;
mod sessions;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;

use crate::base::email::EmailDomain;
use crate::base::id::Id;

pub use apps::{App, Upstream};
pub use connectors::{Connector, ConnectorKind, OidcConnector, SigningAlgorithm};
pub use directory::{Directory, DirectoryLocation, DirectoryPathError};
pub use domains::Domain;
pub use explain::{Explain, PersonalData};
pub use groups::{GoogleDirectory, GroupsFrom};
pub use identity::{Assertion, CustomHeader, HeaderPreset, Identity, IdentityField, TemplatePart};
pub use keys::Keys;
pub use load::{Loaded, environment, load};
pub use log::{Log, LogFormat};
pub use native::{Native, NativeChallenge, NativeSignIn, ServiceIdentity, SignInFailure, UserNameAt};
pub use ops::{AdminSocket, Ops};
pub use outgoing::Outgoing;
pub use overlay::{ENV_PREFIX, InvalidAssignment, Overrides};
pub use own_hosts::{OwnHost, OwnHosts};
pub use problem::{Place, Problem, Problems, Source, Warning};
pub use renewal::Renewal;
pub use requirement::{Requirement, Unmet};
pub use routes::{Access, Authorization, Route};
pub use saml::{AcsUrl, AttributeNames, MetadataFrom, RequestBinding, SamlConnector, SamlPreset};
pub use schema::{reference, schema};
pub use server::{Environment, PublicUrl, Server};
pub use sessions::{OnDisable, Sessions, SessionsStore};

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where Anteroom listens and who it is.
    pub server: Server,
    /// For those who run Anteroom: probes, metrics, the admin socket.
    pub ops: Ops,
    /// Calls to providers.
    pub outgoing: Outgoing,
    /// Where the keys live that Anteroom makes itself.
    pub keys: Keys,
    /// The applications; at least one.
    pub apps: BTreeMap<Id, App>,
    /// The identity providers.
    pub connectors: BTreeMap<Id, Connector>,
    /// Each names a connector that is there.
    pub domains: BTreeMap<EmailDomain, Domain>,
    /// How the application is told who asks.
    pub identity: Identity,
    /// How long a sign-in lasts.
    pub sessions: Sessions,
    /// The database of what must outlive a process.
    pub directory: Directory,
    /// What is logged, and how.
    pub log: Log,
    /// What is kept for `anteroom explain`.
    pub explain: Explain,
}

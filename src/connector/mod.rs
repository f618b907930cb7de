//! Connectors: the corporate identity providers. A [`Provider`] is one of them at run time: it sends people there, and
//! turns what they come back with into a verified [`Identity`](crate::identity::Identity).

mod attributes;
mod endings;
mod entra;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod google;
mod groups;
mod limits;
mod metadata_source;
mod oidc;
mod oidc_provider;
mod remote;
mod renew;
mod saml;
mod saml_logout;
mod saml_provider;
mod sign_in;
mod types;

use std::sync::Arc;

use crate::base::email::EmailDomain;
use crate::base::id::Id;

pub use error::{Kind, ProviderError, Reason};
pub use limits::RenewalPermit;
pub use oidc::authorize::{AuthorizationRequest, pkce_challenge};
pub use oidc_provider::OidcProvider;
pub use saml::NameId;
pub use saml_provider::{SamlProvider, SamlRequest, SamlSurroundings};
pub use types::{
    Asserted, Before, LogoutMessage, LogoutRequest, LogoutToken, PostForm, RefreshFailed, Refreshed, SignedIn,
    ToProvider, TokenSet,
};

pub use crate::config::{Renewal, Requirement};

/// One configured identity provider, by its protocol. Cheap to clone.
#[derive(Clone)]
pub enum Provider {
    Oidc(Arc<OidcProvider>),
    Saml(Arc<SamlProvider>),
}

impl Provider {
    /// The connector's id.
    pub fn id(&self) -> &Id {
        match self {
            Self::Oidc(oidc) => oidc.id(),
            Self::Saml(saml) => saml.id(),
        }
    }

    /// What stands on the button after "Log in with".
    pub fn button_name(&self) -> &str {
        match self {
            Self::Oidc(oidc) => oidc.button_name(),
            Self::Saml(saml) => saml.button_name(),
        }
    }

    /// The e-mail domains whose people sign in here.
    pub fn domains(&self) -> &[EmailDomain] {
        match self {
            Self::Oidc(oidc) => oidc.domains(),
            Self::Saml(saml) => saml.domains(),
        }
    }

    /// What every sign-in must be, whatever it is for.
    pub fn requirement(&self) -> &Requirement {
        match self {
            Self::Oidc(oidc) => oidc.requirement(),
            Self::Saml(saml) => saml.requirement(),
        }
    }

    /// The protocol's name in metrics.
    pub const fn protocol(&self) -> &'static str {
        match self {
            Self::Oidc(_) => "oidc",
            Self::Saml(_) => "saml",
        }
    }

    /// If it speaks `OpenID` Connect.
    pub const fn oidc(&self) -> Option<&Arc<OidcProvider>> {
        match self {
            Self::Oidc(oidc) => Some(oidc),
            Self::Saml(_) => None,
        }
    }

    /// If it speaks SAML.
    pub const fn saml(&self) -> Option<&Arc<SamlProvider>> {
        match self {
            Self::Saml(saml) => Some(saml),
            Self::Oidc(_) => None,
        }
    }

    /// The origin that a sign-out goes on to, if it is known now.
    pub fn logout_origin(&self) -> Option<String> {
        match self {
            Self::Oidc(oidc) => oidc.logout_origin(),
            Self::Saml(saml) => saml.logout_origin(),
        }
    }
}

#[cfg(test)]
mod tests;

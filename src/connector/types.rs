//! What goes into a connector and what comes out of it.

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;

use super::error::ProviderError;
use crate::base::clock::Timestamp;
use crate::identity::Identity;

use super::saml::NameId;

/// A finished sign-in.
#[derive(Debug)]
pub struct SignedIn {
    pub identity: Identity,
    /// The ID token's own `sub`, by which the provider's logout tokens name the person. For Entra not the identity's
    /// subject.
    pub provider_sub: String,
    /// The provider's session (`sid`), if it named one of at most 255 visible characters.
    pub provider_sid: Option<String>,
    /// When the person last proved who they are (`auth_time`), if the provider said so.
    pub auth_time: Option<Timestamp>,
    /// How well (`acr`), if the provider said so.
    pub acr: Option<String>,
    /// By which means (`amr`); empty if the provider did not say.
    pub amr: Vec<String>,
    pub tokens: TokenSet,
}

/// A person whom a SAML assertion vouches for.
#[derive(Clone, Debug)]
pub struct Asserted {
    pub identity: Identity,
    pub name_id: NameId,
    /// The provider's session, if it named one of at most 255 visible characters.
    pub session_index: Option<String>,
    pub authn_instant: Timestamp,
    pub authn_context_class: Option<String>,
    /// By which means, as `amr` has it; empty if the provider did not say.
    pub amr: Vec<String>,
    /// Until when the provider lets the session last, if it said so.
    pub session_not_on_or_after: Option<Timestamp>,
    /// Works once, until [`expires`](Self::expires) (S19).
    pub assertion_id: String,
    pub expires: Timestamp,
}

/// A verified message of single logout.
#[derive(Debug)]
pub enum LogoutMessage {
    /// The provider wants sessions ended.
    Request(LogoutRequest),
    /// The provider has answered a request of ours.
    Response {
        /// Not everybody could be told.
        partial: bool,
    },
}

/// A provider's verified logout request. Its id has to be new.
#[derive(Debug)]
pub struct LogoutRequest {
    pub id: String,
    pub name_id: NameId,
    /// The provider's sessions that end; none: all of that person.
    pub session_indexes: Vec<String>,
    pub issued_at: Timestamp,
    /// Until when `id` must be remembered.
    pub expires: Timestamp,
    /// Goes back with the answer.
    pub relay_state: Option<String>,
}

/// How a browser gets to the provider.
#[derive(Debug)]
pub enum ToProvider {
    /// By a redirect to this URL.
    Redirect(String),
    /// By a form that posts itself.
    Post(PostForm),
}

/// A form for the provider: nothing in it is secret from the browser.
#[derive(Debug)]
pub struct PostForm {
    /// An absolute URL.
    pub action: String,
    /// Names and values of its fields, unescaped.
    pub fields: Vec<(&'static str, String)>,
}

/// The provider's tokens that a session keeps. Credentials: never printed.
#[derive(Clone)]
pub struct TokenSet {
    /// For `id_token_hint` at sign-out, and what a refreshed one is held against.
    pub id_token: SecretString,
    /// None: the provider gave none, or the connector's `renewal` is not `refresh`.
    pub refresh_token: Option<SecretString>,
    /// How long the access token is good (`expires_in`), at most a year; none: the provider did not say.
    pub expires_in: Option<Duration>,
}

impl fmt::Debug for TokenSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { refresh_token, expires_in, .. } = self;
        f.debug_struct("TokenSet")
            .field("refresh_token", &refresh_token.is_some())
            .field("expires_in", expires_in)
            .finish_non_exhaustive()
    }
}

/// A session before its renewal.
#[derive(Clone, Copy)]
pub struct Before<'a> {
    pub identity: &'a Identity,
    /// [`SignedIn::provider_sub`].
    pub provider_sub: &'a str,
    /// The session's last ID token.
    pub id_token: &'a SecretString,
    pub auth_time: Option<Timestamp>,
    pub acr: Option<&'a str>,
    pub amr: &'a [String],
}

/// What a session is after its renewal: whole, so that it replaces what was.
#[derive(Debug)]
pub struct Refreshed {
    /// The claims read again; connector and subject are the same as before.
    pub identity: Identity,
    /// The refresh token is the rotated one, or the old one goes on. The ID token is the newer one, or the old one.
    pub tokens: TokenSet,
    /// Never later than before: a renewal is not a proof of who somebody is (`OpenID` Connect Core section 12.2).
    pub auth_time: Option<Timestamp>,
    /// As the refreshed ID token says, or as before.
    pub acr: Option<String>,
    /// As the refreshed ID token says, or as before.
    pub amr: Vec<String>,
}

/// A renewal that did not work.
#[derive(Debug, thiserror::Error)]
#[error("the session could not be renewed")]
pub struct RefreshFailed {
    #[source]
    pub cause: ProviderError,
    /// The provider took the refresh token and gave this one in its place before things went wrong. Keep it, or the
    /// next renewal looks like the use of a stolen token, and the provider ends the session.
    pub rotated: Option<SecretString>,
}

impl RefreshFailed {
    /// [`ProviderError::ends_session`] of the cause.
    pub fn ends_session(&self) -> bool {
        self.cause.ends_session()
    }
}

impl From<ProviderError> for RefreshFailed {
    fn from(cause: ProviderError) -> Self {
        Self { cause, rotated: None }
    }
}

/// A verified logout token (`OpenID` Connect Back-Channel Logout 1.0 section 2.4). Its `jti` has to be new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutToken {
    /// The ID token's `sub` of the person; with `sid` absent, every session of theirs ends.
    pub sub: Option<String>,
    /// The provider's session that ends.
    pub sid: Option<String>,
    /// At most 255 characters. Works once (L06).
    pub jti: String,
    pub iat: Timestamp,
    /// Until when `jti` must be remembered: after it the token is refused for its age.
    pub expires: Timestamp,
}

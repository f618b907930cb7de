//! `OpenID` Connect as a client (`OpenID` Connect Core 1.0, Discovery 1.0, RP-Initiated Logout 1.0,
//! Back-Channel Logout 1.0; RFC 6749, 7523, 7636, 9207).
//! Everything here takes bytes, keys and the time, and returns values: nothing fetches, sleeps or reads a clock.

pub(crate) mod authorize;
pub(crate) mod client_auth;
pub(crate) mod continuity;
pub(crate) mod id_token;
pub(crate) mod jwks;
pub(crate) mod jws;
pub(crate) mod logout;
pub(crate) mod logout_token;
pub(crate) mod metadata;
pub(crate) mod requirement;
pub(crate) mod token;
pub(crate) mod userinfo;

#[cfg(test)]
pub(crate) mod fixture;

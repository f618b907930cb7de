//! Renewing a session with the provider's refresh token (RFC 6749 section 6, `OpenID` Connect Core section 12; O39,
//! O40).

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};

use super::OidcProvider;
use super::error::{ProviderError, Reason};
use super::limits::RenewalPermit;
use super::oidc::continuity::{self, kept_claims};
use super::oidc::id_token::IdToken;
use super::oidc::jwks::KeySet;
use super::oidc::requirement::Assurance;
use super::oidc::token::{Grant, Tokens};
use super::remote::Discovered;
use super::types::{Before, RefreshFailed, Refreshed, TokenSet};
use crate::identity::Identity;

impl OidcProvider {
    /// The right to renew one session now: at most 20 renewals of a provider are under way at once, and at most 50
    /// begin in a second (T08, T23). None of them makes a sign-in wait. Given back when dropped.
    ///
    /// # Errors
    /// After how long to ask again. Each that is sent away gets a later time than the one before.
    pub fn begin_renewal(&self) -> Result<RenewalPermit, Duration> {
        self.limits.renewal(&self.clock)
    }

    /// Renews a session: the refresh token for new tokens, and the claims read again. The refreshed ID token must be
    /// about the same sign-in; an answer without one leaves it to userinfo, which must be about the same person, to
    /// say what has changed.
    ///
    /// # Errors
    /// See [`ProviderError::ends_session`] for what ends the session and what is to be tried again. Either way a
    /// refresh token in [`RefreshFailed::rotated`] replaces the old one.
    pub async fn refresh(
        &self,
        permit: RenewalPermit,
        refresh_token: &SecretString,
        before: &Before<'_>,
    ) -> Result<Refreshed, RefreshFailed> {
        let kept = kept_claims(before.id_token.expose_secret());
        let kept =
            kept.ok_or_else(|| ProviderError::new(Reason::Malformed).saying("the session's ID token", "none"))?;
        let discovered = self.remote.discovered().await?;
        // Before the refresh token is used up: without keys nothing could be done with what comes for it.
        let keys = self.remote.keys(&discovered).await?;
        let tokens = self.tokens(&discovered, &Grant::Refresh(refresh_token)).await?;
        let rotated = tokens.refresh_token.clone();
        let result = match &tokens.id_token {
            Some(id_token) => self.refreshed_token(&discovered, keys, id_token, &tokens, kept, before).await,
            None => self.refreshed_userinfo(&discovered, &keys, &tokens, kept, before).await,
        };
        drop(permit);
        match result {
            Ok((identity, assurance)) => {
                let Assurance { auth_time, acr, amr } = assurance;
                let id_token = tokens.id_token.map_or_else(|| before.id_token.clone(), SecretString::from);
                let refresh_token = Some(rotated.unwrap_or_else(|| refresh_token.clone()));
                let tokens = TokenSet { id_token, refresh_token, expires_in: tokens.expires_in };
                Ok(Refreshed { identity, tokens, auth_time, acr, amr })
            }
            Err(cause) => Err(RefreshFailed { cause, rotated }),
        }
    }

    async fn refreshed_token(
        &self,
        discovered: &Discovered,
        keys: Arc<KeySet>,
        id_token: &str,
        tokens: &Tokens,
        kept: Map<String, Value>,
        before: &Before<'_>,
    ) -> Result<(Identity, Assurance), ProviderError> {
        let verified = self.verify(discovered, keys, id_token, &tokens.access_token, None).await;
        let (id_token, keys) = verified.map_err(|refused| match refused.why() {
            // Genuine, and about something else (O39).
            Reason::IssMismatch | Reason::TenantMismatch | Reason::AudMismatch | Reason::Azp => {
                let (expected, found) = refused.detail().unwrap_or_default();
                ProviderError::new(Reason::RefreshIdentityChanged).saying(expected, found).caused_by(refused.clone())
            }
            _ => refused,
        })?;
        continuity::check(&kept, &id_token.claims)?;
        let now = Assurance::read(&id_token.claims, self.clock.now())?;
        let identity = self.identify(discovered, &keys, id_token, &tokens.access_token).await?;
        same_person(before.identity, &identity)?;
        Ok((identity, continuity::assurance(of(before), now)))
    }

    async fn refreshed_userinfo(
        &self,
        discovered: &Discovered,
        keys: &KeySet,
        tokens: &Tokens,
        kept: Map<String, Value>,
        before: &Before<'_>,
    ) -> Result<(Identity, Assurance), ProviderError> {
        let id_token = IdToken { subject: before.provider_sub.to_owned(), claims: kept };
        let userinfo = self.userinfo(discovered, keys, &id_token, &tokens.access_token).await;
        let userinfo = userinfo.map_err(|refused| match refused.why() {
            Reason::UserinfoSubMismatch => ProviderError::new(Reason::RefreshIdentityChanged).caused_by(refused),
            _ => refused,
        })?;
        let reader = self.reader(discovered);
        reader.check(&id_token)?;
        let claims = match userinfo {
            Some(userinfo) => reader.renew(id_token.claims, userinfo),
            None => id_token.claims,
        };
        let identity = self.identity(&reader, id_token.subject, &claims, Some(&tokens.access_token)).await?;
        same_person(before.identity, &identity)?;
        Ok((identity, of(before)))
    }
}

fn of(before: &Before<'_>) -> Assurance {
    let Before { auth_time, acr, amr, .. } = *before;
    Assurance { auth_time, acr: acr.map(str::to_owned), amr: amr.to_vec() }
}

/// The person by our own name for them: for Entra more than `sub`.
fn same_person(before: &Identity, now: &Identity) -> Result<(), ProviderError> {
    if before.subject == now.subject {
        return Ok(());
    }
    Err(ProviderError::new(Reason::RefreshIdentityChanged).saying(&before.subject, &now.subject))
}

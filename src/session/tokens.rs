//! The provider's tokens of a session: sealed in the directory, never in a log, opened where they are used.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::base::seal::Sealer;

/// What a provider gave for a session.
#[derive(Clone)]
pub struct ProviderTokens {
    /// For `id_token_hint` at sign-out (OpenID Connect RP-Initiated Logout 1.0, section 2).
    pub id_token: Option<SecretString>,
    /// For renewal (RFC 6749, section 6).
    pub refresh_token: Option<SecretString>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    id_token: Option<String>,
    refresh_token: Option<String>,
}

impl ProviderTokens {
    /// Sealed for the session `reference` alone. None: there are none.
    pub(super) fn seal(&self, reference: Uuid, sealer: &Sealer) -> Option<Vec<u8>> {
        let text = |secret: &Option<SecretString>| secret.as_ref().map(|secret| secret.expose_secret().to_owned());
        let written = Written { id_token: text(&self.id_token), refresh_token: text(&self.refresh_token) };
        if written.id_token.is_none() && written.refresh_token.is_none() {
            return None;
        }
        let plain = Zeroizing::new(serde_json::to_vec(&written).unwrap_or_default());
        Some(sealer.seal_bytes(&purpose(reference), &plain))
    }

    /// Opens what was sealed for the session `reference`.
    pub(super) fn open(reference: Uuid, sealed: &[u8], sealer: &Sealer) -> Option<Self> {
        let plain = Zeroizing::new(sealer.open_bytes(&purpose(reference), sealed)?);
        let written: Written = serde_json::from_slice(&plain).ok()?;
        Some(Self {
            id_token: written.id_token.map(SecretString::from),
            refresh_token: written.refresh_token.map(SecretString::from),
        })
    }
}

fn purpose(reference: Uuid) -> String {
    format!("session {reference}")
}

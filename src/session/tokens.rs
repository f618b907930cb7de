//! The provider's tokens of a session: sealed in the directory, never in a log, opened where they are used.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::base::seal::Sealer;
use crate::connector::NameId;

/// What a provider gave for a session.
#[derive(Clone, Default)]
pub struct ProviderTokens {
    /// For `id_token_hint` at sign-out (OpenID Connect RP-Initiated Logout 1.0, section 2).
    pub id_token: Option<SecretString>,
    /// For renewal (RFC 6749, section 6).
    pub refresh_token: Option<SecretString>,
    /// The person's name at a SAML provider, sent back as it came at sign-out (SAML 2.0 Profiles, section 4.4.4.1).
    pub name_id: Option<NameId>,
}

/// What ends a session at its provider.
pub struct HeldTokens {
    pub tokens: ProviderTokens,
    /// The provider's name of its session: `sid`, or SAML's session index.
    pub provider_sid: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    id_token: Option<String>,
    refresh_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name_id: Option<NameId>,
}

impl ProviderTokens {
    /// Sealed for the session `reference` alone. None: there are none.
    pub(super) fn seal(&self, reference: Uuid, sealer: &Sealer) -> Option<Vec<u8>> {
        let text = |secret: &Option<SecretString>| secret.as_ref().map(|secret| secret.expose_secret().to_owned());
        let name_id = self.name_id.clone();
        let written = Written { id_token: text(&self.id_token), refresh_token: text(&self.refresh_token), name_id };
        if written.id_token.is_none() && written.refresh_token.is_none() && written.name_id.is_none() {
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
            name_id: written.name_id,
        })
    }
}

fn purpose(reference: Uuid) -> String {
    format!("session {reference}")
}

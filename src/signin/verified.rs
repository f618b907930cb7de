//! A person whom a provider verified, on the way to a session: at once, or after the page that asks whether the address
//! is right, which any process may answer.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::base::clock::Timestamp;
use crate::base::random;
use crate::base::return_to::ReturnTo;
use crate::base::role::Role;
use crate::base::seal::Sealer;
use crate::connector::{Asserted, NameId, Renewal, SignedIn, TokenSet};
use crate::directory::SessionRow;
use crate::identity::Identity;
use crate::identity::headers::AuthMethod;
use crate::session::{ProviderTokens, renew_after, silent_after};

/// What a provider verified, and where its person wants to go.
pub(super) struct Verified {
    /// The session to be; its times are those of its creation, and what was revoked since `born` does not become one.
    pub(super) row: SessionRow,
    pub(super) tokens: ProviderTokens,
    pub(super) return_to: ReturnTo,
    /// When the provider vouched for them.
    pub(super) at: Timestamp,
}

/// As it is kept, sealed, while the person is asked.
#[derive(Serialize, Deserialize)]
struct Written {
    connector: String,
    subject: String,
    email: String,
    preferred_username: Option<String>,
    name: Option<String>,
    groups: Vec<String>,
    role: Option<String>,
    provider_sub: String,
    provider_sid: Option<String>,
    auth_time: Option<i64>,
    acr: Option<String>,
    amr: Vec<String>,
    renew_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends_at: Option<i64>,
    id_token: Option<String>,
    refresh_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name_id: Option<NameId>,
    return_to: String,
    at: i64,
    born: i64,
}

impl Verified {
    /// Of a redeemed code, at `now`. `born`: the newest change before the provider was asked.
    pub(super) fn new(signed_in: SignedIn, renewal: Renewal, return_to: ReturnTo, now: Timestamp, born: i64) -> Self {
        let SignedIn { identity, provider_sub, provider_sid, auth_time, acr, amr, tokens } = signed_in;
        let TokenSet { id_token, refresh_token, expires_in } = tokens;
        let next = match renewal {
            Renewal::PromptNone { interval } => Some(silent_after(interval)),
            Renewal::Refresh | Renewal::Off => refresh_token.is_some().then(|| renew_after(expires_in)),
        };
        let row = SessionRow {
            reference: Uuid::from_bytes(random::bytes()),
            user: identity.user_id(),
            native: Vec::new(),
            identity,
            auth: AuthMethod::Oidc,
            provider_sub,
            provider_sid,
            auth_time,
            acr,
            amr,
            created_at: now,
            last_used: now,
            renew_at: next.map(|next| now.plus(next)),
            ends_at: None,
            secrets: None,
            version: 0,
            born,
        };
        let tokens = ProviderTokens { id_token: Some(id_token), refresh_token, name_id: None };
        Self { row, tokens, return_to, at: now }
    }

    /// Of a SAML assertion, at `now`. `born` as above.
    pub(super) fn asserted(asserted: Asserted, return_to: ReturnTo, now: Timestamp, born: i64) -> Self {
        let row = SessionRow {
            reference: Uuid::from_bytes(random::bytes()),
            user: asserted.identity.user_id(),
            native: Vec::new(),
            identity: asserted.identity,
            auth: AuthMethod::Saml,
            provider_sub: asserted.name_id.person().to_owned(),
            provider_sid: asserted.session_index,
            auth_time: Some(asserted.authn_instant),
            acr: asserted.authn_context_class,
            amr: asserted.amr,
            created_at: now,
            last_used: now,
            renew_at: None,
            ends_at: asserted.session_not_on_or_after,
            secrets: None,
            version: 0,
            born,
        };
        let tokens = ProviderTokens { name_id: Some(asserted.name_id), ..ProviderTokens::default() };
        Self { row, tokens, return_to, at: now }
    }

    /// Sealed to be kept under `key`.
    pub(super) fn seal(&self, key: &str, sealer: &Sealer) -> Vec<u8> {
        let Identity { connector, subject, email, preferred_username, name, groups, role } = &self.row.identity;
        let text = |secret: &Option<SecretString>| secret.as_ref().map(|secret| secret.expose_secret().to_owned());
        let written = Written {
            connector: connector.to_string(),
            subject: subject.clone(),
            email: email.as_str().to_owned(),
            preferred_username: preferred_username.clone(),
            name: name.clone(),
            groups: groups.clone(),
            role: role.map(|role| role.name().to_owned()),
            provider_sub: self.row.provider_sub.clone(),
            provider_sid: self.row.provider_sid.clone(),
            auth_time: self.row.auth_time.map(Timestamp::millis),
            acr: self.row.acr.clone(),
            amr: self.row.amr.clone(),
            renew_at: self.row.renew_at.map(Timestamp::millis),
            ends_at: self.row.ends_at.map(Timestamp::millis),
            id_token: text(&self.tokens.id_token),
            refresh_token: text(&self.tokens.refresh_token),
            name_id: self.tokens.name_id.clone(),
            return_to: self.return_to.as_str().to_owned(),
            at: self.at.millis(),
            born: self.row.born,
        };
        let plain = Zeroizing::new(serde_json::to_vec(&written).unwrap_or_default());
        sealer.seal_bytes(&purpose(key), &plain)
    }

    /// Opens what was kept under `key`. `return_to` reads the target again.
    pub(super) fn open(
        key: &str,
        sealed: &[u8],
        sealer: &Sealer,
        return_to: impl Fn(&str) -> ReturnTo,
    ) -> Option<Self> {
        let plain = Zeroizing::new(sealer.open_bytes(&purpose(key), sealed)?);
        let written: Written = serde_json::from_slice(&plain).ok()?;
        let identity = Identity {
            connector: written.connector.parse().ok()?,
            subject: written.subject,
            email: written.email.parse().ok()?,
            preferred_username: written.preferred_username,
            name: written.name,
            groups: written.groups,
            role: written.role.and_then(|name| Role::ALL.into_iter().find(|role| role.name() == name)),
        };
        let row = SessionRow {
            reference: Uuid::from_bytes(random::bytes()),
            user: identity.user_id(),
            native: Vec::new(),
            identity,
            // Who has a name of SAML's came over SAML.
            auth: if written.name_id.is_some() { AuthMethod::Saml } else { AuthMethod::Oidc },
            provider_sub: written.provider_sub,
            provider_sid: written.provider_sid,
            auth_time: written.auth_time.map(Timestamp::from_millis),
            acr: written.acr,
            amr: written.amr,
            created_at: Timestamp::default(),
            last_used: Timestamp::default(),
            renew_at: written.renew_at.map(Timestamp::from_millis),
            ends_at: written.ends_at.map(Timestamp::from_millis),
            secrets: None,
            version: 0,
            born: written.born,
        };
        let tokens = ProviderTokens {
            id_token: written.id_token.map(SecretString::from),
            refresh_token: written.refresh_token.map(SecretString::from),
            name_id: written.name_id,
        };
        let at = Timestamp::from_millis(written.at);
        Some(Self { row, tokens, return_to: return_to(&written.return_to), at })
    }
}

fn purpose(key: &str) -> String {
    format!("verified {key}")
}

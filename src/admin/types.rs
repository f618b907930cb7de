//! What goes over the socket. Times are RFC 3339 in UTC.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::base::clock::Timestamp;
use crate::base::email::EmailAddress;
use crate::base::keys::plan::Stage;
use crate::base::keys::{KeyInfo, KeyKind};
use crate::directory::{Membership, Selector, UserDetail, UserIdentity};

/// How the process is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    pub pid: u32,
    /// When it started.
    pub since: String,
    /// For how long it has run, in seconds.
    pub up_secs: u64,
    /// Sessions in this process's memory.
    pub sessions_held: u64,
    /// `sqlite`, `postgres` or `memory`.
    pub directory: String,
    pub keys: Vec<KeyView>,
    pub connectors: Vec<SwitchView>,
    pub domains: Vec<SwitchView>,
}

/// A connector or domain of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchView {
    pub name: String,
    pub on: bool,
}

/// A key, without anything of the key itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// `sealing` or `assertion`.
    pub kind: String,
    /// The `kid` of an assertion key; of a sealing key its fingerprint.
    pub id: String,
    pub created: String,
    /// `waiting`, `current`, `superseded` or `retired`.
    pub stage: String,
    /// When the stage ends, if that is known.
    pub until: Option<String>,
}

impl From<&KeyInfo> for KeyView {
    fn from(key: &KeyInfo) -> Self {
        let kind = match key.kind {
            KeyKind::Sealing => "sealing",
            KeyKind::Assertion => "assertion",
        };
        let stage = match key.stage {
            Stage::Waiting => "waiting",
            Stage::Current => "current",
            Stage::Superseded => "superseded",
            Stage::Retired => "retired",
        };
        Self {
            kind: kind.to_owned(),
            id: key.id.clone(),
            created: key.created.rfc3339(),
            stage: stage.to_owned(),
            until: key.until.map(Timestamp::rfc3339),
        }
    }
}

/// The answer of `GET /keys` and `POST /keys/rotate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyList {
    pub keys: Vec<KeyView>,
}

/// A session, without anything that opens it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionView {
    pub reference: Uuid,
    /// The address.
    pub user: String,
    pub connector: String,
    pub created: String,
    pub last_used: String,
    /// Seconds since its last use, for people.
    pub idle_secs: u64,
    /// Seconds until it ends if nobody uses it.
    pub secs_left: u64,
    pub acr: Option<String>,
    pub amr: Vec<String>,
}

/// The answer of `GET /sessions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionList {
    /// Newest first.
    pub sessions: Vec<SessionView>,
    /// Whether there are more than were asked for.
    pub more: bool,
}

/// The answer of `POST /sessions/revoke`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    pub ended: u64,
}

/// The answer of `GET /explain/REFERENCE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Story {
    pub reference: String,
    /// What was decided, oldest first; empty if nothing is kept.
    pub records: Vec<serde_json::Value>,
    /// The same in words.
    pub text: String,
}

/// A native identity and its uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NativeView {
    pub app: String,
    /// `basic`, `digest`, `api_key`, `bearer`, `other`, `sign_in` or `mobile`.
    pub kind: String,
    /// The user name; of an opaque key a label that stands for it.
    pub name: String,
    pub first: String,
    pub last: String,
    pub count: u64,
    /// Where it came from last.
    pub source: String,
    /// The name is an address, or looks like one.
    pub email_shaped: bool,
    /// Seconds since its last use, for people.
    pub idle_secs: u64,
}

/// The answer of `GET /native`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NativeList {
    /// Used last first.
    pub identities: Vec<NativeView>,
    /// Whether there are more than were asked for.
    pub more: bool,
}

/// The body of `POST …/disable`; may be left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchOrder {
    /// Over `sessions.on_disable`.
    #[serde(default)]
    pub end_sessions: Option<bool>,
}

/// The answer of `POST …/disable` and `…/enable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switched {
    /// How many sessions ended; none if they were to be kept.
    pub ended: Option<u64>,
}

/// What vouches for a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityView {
    /// A connector, or `app/ID` of an application whose own user it is.
    pub connector: String,
    /// The connector's name for the person; a long one as its SHA-256.
    pub subject: String,
}

/// What an application calls a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipView {
    pub app: String,
    /// The application's own user id.
    pub native_user: String,
    pub role: Option<String>,
    /// As of a user.
    pub source: String,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserView {
    pub id: Uuid,
    pub address: String,
    /// Whether a connector vouched for the address, or the operator does.
    pub address_verified: bool,
    pub active: bool,
    /// Whether somebody else may come to have the address.
    pub address_released: bool,
    /// `jit` or `adopted`.
    pub source: String,
    pub created: String,
    pub identities: Vec<IdentityView>,
    pub memberships: Vec<MembershipView>,
}

impl UserView {
    /// What vouches for them, for people.
    pub fn connectors(&self) -> String {
        self.identities.iter().map(|identity| &*identity.connector).collect::<Vec<_>>().join(" ")
    }
}

impl From<&UserDetail> for UserView {
    fn from(UserDetail { user, identities, memberships }: &UserDetail) -> Self {
        let identity = |of: &UserIdentity| IdentityView {
            connector: of.connector.as_str().to_owned(),
            subject: of.subject.clone(),
        };
        let membership = |of: &Membership| MembershipView {
            app: of.user.app.as_str().to_owned(),
            native_user: of.user.id.clone(),
            role: of.role.map(|role| role.name().to_owned()),
            source: of.source.name().to_owned(),
        };
        Self {
            id: user.id,
            address: user.address.clone(),
            address_verified: user.address_verified,
            active: user.active,
            address_released: user.address_released,
            source: user.source.name().to_owned(),
            created: user.created_at.rfc3339(),
            identities: identities.iter().map(identity).collect(),
            memberships: memberships.iter().map(membership).collect(),
        }
    }
}

/// The answer of `GET /users`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserList {
    /// Newest first.
    pub users: Vec<UserView>,
    /// Whether there are more than were asked for.
    pub more: bool,
}

/// The body of `POST /users/…`; may be left out, but for `unlink`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserOrder {
    /// `deactivate`: somebody else may come to have the address.
    #[serde(default)]
    pub release_address: bool,
    /// `unlink`: whose name for them is forgotten.
    #[serde(default)]
    pub connector: Option<String>,
}

/// The answer of `POST /users/…`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserDone {
    pub id: Uuid,
    pub address: String,
    /// How many sessions ended.
    pub ended: u64,
}

/// Which sessions: one of these, but `sub` beside its connector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Which {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// An e-mail address; its case does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connector: Option<String>,
    /// The ID token's `sub` at that connector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
}

/// Longest `sub` (OpenID Connect Core section 2).
const MAX_SUB: usize = 255;

impl Which {
    /// What it selects.
    ///
    /// # Errors
    /// In words: nothing or more than one thing is named, or a name is none.
    pub fn selector(&self) -> Result<Selector, String> {
        let Self { reference, user, connector, sub, domain, all } = self;
        let named = [reference.is_some(), user.is_some(), connector.is_some(), domain.is_some(), *all];
        if named.into_iter().filter(|named| *named).count() != 1 {
            return Err("name exactly one of reference, user, connector, domain and all".to_owned());
        }
        if sub.is_some() && connector.is_none() {
            return Err("sub stands beside its connector".to_owned());
        }
        if let Some(reference) = reference {
            let parsed = Uuid::try_parse(reference).map(Selector::Reference);
            return parsed.map_err(|_| format!("{reference:?} is no session's reference"));
        }
        if let Some(user) = user {
            let address: EmailAddress = user.parse().map_err(|_| format!("{user:?} is no e-mail address"))?;
            return Ok(Selector::Email(address.as_str().to_ascii_lowercase()));
        }
        if let Some(domain) = domain {
            return domain.parse().map(Selector::Domain).map_err(|_| format!("{domain:?} is no e-mail domain"));
        }
        let Some(connector) = connector else { return Ok(Selector::All) };
        let id = connector.parse().map_err(|_| format!("{connector:?} is no connector's id"))?;
        match sub {
            Some(sub) if sub.is_empty() || sub.len() > MAX_SUB => Err("sub has 1 to 255 bytes".to_owned()),
            Some(sub) => Ok(Selector::Subject { connector: id, sub: sub.clone() }),
            None => Ok(Selector::Connector(id)),
        }
    }
}

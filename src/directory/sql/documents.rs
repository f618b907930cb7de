//! What is stored as one text: JSON with the version of its form. Reading is strict: a field that this version does not
//! know may say something that it must not overlook.

use aws_lc_rs::digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::Fault;
use crate::base::clock::Timestamp;
use crate::base::email::EmailAddress;
use crate::base::id::Id;
use crate::base::role::Role;
use crate::directory::{Change, CookieKey, KeptKind, OnceKind, Renewed, Selector, SessionRow, Switch, SwitchKind};
use crate::identity::headers::AuthMethod;
use crate::identity::{Identity, NativeUser};

/// The version of every form here.
const FORM: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<T> {
    v: u32,
    is: T,
}

/// Writes a document.
pub(super) fn write<T: Serialize>(is: T) -> Result<String, Fault> {
    serde_json::to_string(&Document { v: FORM, is }).map_err(|_| Fault::unreadable("a value that JSON cannot hold"))
}

/// Reads a document; `what` names it in the error.
pub(super) fn read<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, Fault> {
    let document: Document<T> = serde_json::from_str(text).map_err(|_| Fault::unreadable(what))?;
    if document.v == FORM { Ok(document.is) } else { Err(Fault::unreadable(format!("{what}: form {}", document.v))) }
}

/// What a renewal may change about a session.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonDocument {
    connector: String,
    subject: String,
    email: String,
    preferred_username: Option<String>,
    name: Option<String>,
    groups: Vec<String>,
    role: Option<String>,
    auth_time: Option<i64>,
    acr: Option<String>,
    amr: Vec<String>,
}

/// What never changes about a session.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OriginDocument {
    auth: String,
    provider_sub: String,
    provider_sid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    native: Vec<NativeDocument>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NativeDocument {
    app: String,
    id: String,
}

/// The person of a session as it is written.
pub(super) fn person(
    identity: &Identity,
    auth_time: Option<Timestamp>,
    acr: Option<&str>,
    amr: &[String],
) -> Result<String, Fault> {
    write(PersonDocument {
        connector: identity.connector.to_string(),
        subject: identity.subject.clone(),
        email: identity.email.to_string(),
        preferred_username: identity.preferred_username.clone(),
        name: identity.name.clone(),
        groups: identity.groups.clone(),
        role: identity.role.map(|role| role.name().to_owned()),
        auth_time: auth_time.map(Timestamp::millis),
        acr: acr.map(str::to_owned),
        amr: amr.to_vec(),
    })
}

/// Reads what [`person`] wrote. The rest of a [`Renewed`] is empty.
pub(super) fn read_person(text: &str) -> Result<Renewed, Fault> {
    const WHAT: &str = "sessions.identity";
    let unreadable = || Fault::unreadable(WHAT);
    let person: PersonDocument = read(text, WHAT)?;
    let role = person.role.map(|name| Role::from_name(&name).ok_or_else(unreadable)).transpose()?;
    Ok(Renewed {
        identity: Identity {
            connector: Id::read_vouching(&person.connector).map_err(|_| unreadable())?,
            subject: person.subject,
            email: person.email.parse::<EmailAddress>().map_err(|_| unreadable())?,
            preferred_username: person.preferred_username,
            name: person.name,
            groups: person.groups,
            role,
        },
        auth_time: person.auth_time.map(Timestamp::from_millis),
        acr: person.acr,
        amr: person.amr,
        secrets: None,
        renew_at: None,
    })
}

/// Where a session came from, as it is written; `native`: what the applications call its person.
pub(super) fn origin(session: &SessionRow, native: &[NativeUser]) -> Result<String, Fault> {
    write(OriginDocument {
        auth: session.auth.name().to_owned(),
        provider_sub: session.provider_sub.clone(),
        provider_sid: session.provider_sid.clone(),
        ends_at: session.ends_at.map(Timestamp::millis),
        native: native.iter().map(|user| NativeDocument { app: user.app.to_string(), id: user.id.clone() }).collect(),
    })
}

/// Where a session came from.
pub(super) struct Origin {
    pub(super) auth: AuthMethod,
    pub(super) provider_sub: String,
    pub(super) provider_sid: Option<String>,
    pub(super) ends_at: Option<Timestamp>,
    pub(super) native: Vec<NativeUser>,
}

/// Reads what [`origin`] wrote.
pub(super) fn read_origin(text: &str) -> Result<Origin, Fault> {
    const WHAT: &str = "sessions.origin";
    let origin: OriginDocument = read(text, WHAT)?;
    let known = [AuthMethod::Oidc, AuthMethod::Saml, AuthMethod::Adopted];
    let auth = known.into_iter().find(|method| method.name() == origin.auth);
    let native = |NativeDocument { app, id }| Ok(NativeUser { app: app_id(&app, WHAT)?, id });
    Ok(Origin {
        auth: auth.ok_or_else(|| Fault::unreadable(WHAT))?,
        provider_sub: origin.provider_sub,
        provider_sid: origin.provider_sid,
        ends_at: origin.ends_at.map(Timestamp::from_millis),
        native: origin.native.into_iter().map(native).collect::<Result<_, Fault>>()?,
    })
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MembershipDocument {
    native_user: String,
    role: Option<String>,
}

/// A membership as it is written, beside its app.
pub(super) fn membership(native_user: &str, role: Option<Role>) -> Result<String, Fault> {
    let role = role.map(|role| role.name().to_owned());
    write(MembershipDocument { native_user: native_user.to_owned(), role })
}

/// Reads what [`membership`] wrote of somebody in `app`.
pub(super) fn read_membership(app: &str, text: &str) -> Result<(NativeUser, Option<Role>), Fault> {
    const WHAT: &str = "memberships.about";
    let MembershipDocument { native_user: id, role } = read(text, WHAT)?;
    let role = role.map(|name| Role::from_name(&name).ok_or_else(|| Fault::unreadable(WHAT))).transpose()?;
    Ok((NativeUser { app: app_id(app, "memberships.app")?, id }, role))
}

fn app_id(app: &str, what: &str) -> Result<Id, Fault> {
    app.parse().map_err(|_| Fault::unreadable(what))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum ChangeDocument {
    CookieEnded(String),
    CookieRenewed(String, i64),
    RevokedSubject { connector: String, sub: String },
    RevokedEmail(String),
    RevokedUser(String),
    RevokedConnector(String),
    RevokedDomain(String),
    RevokedAll,
    Switched { kind: String, name: String, off: bool },
    CutOver(String),
}

/// A change as it is written. A selector of one session cannot be revoked.
pub(super) fn change(change: &Change) -> Result<String, Fault> {
    write(match change {
        Change::CookieEnded(key) => ChangeDocument::CookieEnded(hex(key)),
        Change::CookieRenewed(key, version) => ChangeDocument::CookieRenewed(hex(key), *version),
        Change::Revoked(which) => match which {
            Selector::Subject { connector, sub } => {
                ChangeDocument::RevokedSubject { connector: connector.to_string(), sub: sub.clone() }
            }
            Selector::Email(email) => ChangeDocument::RevokedEmail(email.clone()),
            Selector::User(user) => ChangeDocument::RevokedUser(user.to_string()),
            Selector::Connector(connector) => ChangeDocument::RevokedConnector(connector.to_string()),
            Selector::Domain(domain) => ChangeDocument::RevokedDomain(domain.to_string()),
            Selector::All => ChangeDocument::RevokedAll,
            Selector::Reference(_) | Selector::Cookie(_) | Selector::ProviderSession { .. } => {
                return Err(Fault::unreadable("a revocation of one session"));
            }
        },
        Change::Switched(Switch { kind, name, off }) => {
            ChangeDocument::Switched { kind: switch_kind(*kind).to_owned(), name: name.clone(), off: *off }
        }
        Change::CutOver(domain) => ChangeDocument::CutOver(domain.to_string()),
    })
}

/// Reads what [`change`] wrote under `number`.
pub(super) fn read_change(text: &str, number: i64) -> Result<Change, Fault> {
    let what = format!("changes {number}");
    let unreadable = || Fault::unreadable(&*what);
    Ok(match read(text, &what)? {
        ChangeDocument::CookieEnded(key) => Change::CookieEnded(unhex(&key).ok_or_else(unreadable)?),
        ChangeDocument::CookieRenewed(key, version) => {
            Change::CookieRenewed(unhex(&key).ok_or_else(unreadable)?, version)
        }
        ChangeDocument::RevokedSubject { connector, sub } => Change::Revoked(Selector::Subject {
            connector: Id::read_vouching(&connector).map_err(|_| unreadable())?,
            sub,
        }),
        ChangeDocument::RevokedEmail(email) => Change::Revoked(Selector::Email(email)),
        ChangeDocument::RevokedUser(user) => Change::Revoked(Selector::User(user.parse().map_err(|_| unreadable())?)),
        ChangeDocument::RevokedConnector(connector) => {
            Change::Revoked(Selector::Connector(Id::read_vouching(&connector).map_err(|_| unreadable())?))
        }
        ChangeDocument::RevokedDomain(domain) => {
            Change::Revoked(Selector::Domain(domain.parse().map_err(|_| unreadable())?))
        }
        ChangeDocument::RevokedAll => Change::Revoked(Selector::All),
        ChangeDocument::Switched { kind, name, off } => {
            Change::Switched(Switch { kind: read_switch_kind(&kind).ok_or_else(unreadable)?, name, off })
        }
        ChangeDocument::CutOver(domain) => Change::CutOver(domain.parse().map_err(|_| unreadable())?),
    })
}

/// The name of a kind in `switches.kind`.
pub(super) const fn switch_kind(kind: SwitchKind) -> &'static str {
    match kind {
        SwitchKind::Connector => "connector",
        SwitchKind::Domain => "domain",
    }
}

/// The kind of that name.
pub(super) fn read_switch_kind(name: &str) -> Option<SwitchKind> {
    [SwitchKind::Connector, SwitchKind::Domain].into_iter().find(|kind| switch_kind(*kind) == name)
}

/// The name of a kind in `used_once.kind`.
pub(super) const fn once_kind(kind: OnceKind) -> &'static str {
    match kind {
        OnceKind::Attempt => "attempt",
        OnceKind::LogoutToken => "logout_token",
        OnceKind::Assertion => "assertion",
        OnceKind::LogoutRequest => "logout_request",
    }
}

/// The name of a kind in `kept.kind`.
pub(super) const fn kept_kind(kind: KeptKind) -> &'static str {
    match kind {
        KeptKind::Verified => "verified",
        KeptKind::Post => "post",
        KeptKind::HandOff => "hand_off",
        KeptKind::EndedAtProvider => "ended_at_provider",
    }
}

/// How long a text may be in an index; PostgreSQL refuses rows of more than a third of a page there.
const MAX_KEY: usize = 256;
const DIGEST: &str = "sha256:";

/// A text that somebody else chose, as it stands in an index: itself, or its SHA-256 if it is long or has characters
/// that no database holds. No two texts share a key.
pub(super) fn key(text: &str) -> String {
    if text.len() <= MAX_KEY && !text.contains(char::is_control) && !text.starts_with(DIGEST) {
        return text.to_owned();
    }
    format!("{DIGEST}{}", hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref()))
}

/// The text by which an epoch and the sessions that it fits find each other (`epochs.scope`); `live!` makes the same of a
/// session. None: the selector makes no epoch.
pub(super) fn scope(which: &Selector) -> Option<String> {
    match which {
        Selector::Subject { connector, sub } => Some(format!("subject:{connector}:{}", key(sub))),
        Selector::Email(email) => Some(format!("email:{}", email.to_ascii_lowercase())),
        Selector::User(user) => Some(format!("user:{user}")),
        Selector::Connector(connector) => Some(format!("connector:{connector}")),
        Selector::Domain(domain) => Some(format!("domain:{domain}")),
        Selector::All => Some("all".to_owned()),
        Selector::Reference(_) | Selector::Cookie(_) | Selector::ProviderSession { .. } => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<CookieKey> {
    let mut key = CookieKey::default();
    if text.len() != key.len() * 2 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(key)
}

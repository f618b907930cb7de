//! What the repositories hold.

use uuid::Uuid;

use crate::base::clock::Timestamp;
use crate::base::email::EmailDomain;
use crate::base::id::Id;
use crate::identity::headers::AuthMethod;
use crate::identity::{Identity, NativeUser};

/// The SHA-256 of a session cookie's value.
pub type CookieKey = [u8; 32];

/// A session as the directory holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// The public name: in assertions (`sid`), logs and lists. It opens nothing.
    pub reference: Uuid,
    pub identity: Identity,
    /// Whose record it belongs to. For [`create`](super::Sessions::create) without meaning: it is found there.
    pub user: Uuid,
    /// What the applications call them, as known when it began. For `create` as `user`.
    pub native: Vec<NativeUser>,
    pub auth: AuthMethod,
    /// The ID token's own `sub`, by which the provider's logout tokens name the person (for Entra not the identity's
    /// subject).
    pub provider_sub: String,
    /// The provider's session (`sid`), if it named one.
    pub provider_sid: Option<String>,
    /// When the person signed in at the provider (`auth_time`), if it said so.
    pub auth_time: Option<Timestamp>,
    pub acr: Option<String>,
    pub amr: Vec<String>,
    pub created_at: Timestamp,
    pub last_used: Timestamp,
    /// When the provider's tokens should be renewed; none: never.
    pub renew_at: Option<Timestamp>,
    /// When the provider wants it to end, whatever our own limits are (SAML's `SessionNotOnOrAfter`).
    pub ends_at: Option<Timestamp>,
    /// The provider's tokens, sealed. Lists leave them out.
    pub secrets: Option<Vec<u8>>,
    /// Counts renewals, so that of two of the same moment one is first. Starts at 0.
    pub version: i64,
    /// The number of the newest change when the session was begun: a revocation after it ends the session. For
    /// [`create`](super::Sessions::create) an upper bound, `i64::MAX` where nothing was begun before.
    pub born: i64,
}

/// A cookie for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCookie {
    pub key: CookieKey,
    /// The host that it counts for (E11), lower case.
    pub host: String,
}

/// Which sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    Reference(Uuid),
    Cookie(CookieKey),
    /// The session of a provider's `sid`.
    ProviderSession {
        connector: Id,
        sid: String,
    },
    /// Everybody's sessions of one person at one connector, by the ID token's `sub`.
    Subject {
        connector: Id,
        sub: String,
    },
    /// All sessions with an address, lower case; across connectors.
    Email(String),
    /// All sessions of a person's record.
    User(Uuid),
    Connector(Id),
    /// All sessions whose address is in this domain.
    Domain(EmailDomain),
    All,
}

impl Selector {
    /// Whether an ending of this selector is an epoch: it also ends what is written later, but was begun before.
    pub fn is_epoch(&self) -> bool {
        match self {
            Self::Subject { .. }
            | Self::Email(_)
            | Self::User(_)
            | Self::Connector(_)
            | Self::Domain(_)
            | Self::All => true,
            Self::Reference(_) | Self::Cookie(_) | Self::ProviderSession { .. } => false,
        }
    }

    /// Whether it selects `session`. A cookie's selector selects none: a session does not know its cookies.
    pub fn fits(&self, session: &SessionRow) -> bool {
        let at = |connector: &Id| session.identity.connector == *connector;
        match self {
            Self::Reference(reference) => session.reference == *reference,
            Self::Cookie(_) => false,
            Self::ProviderSession { connector, sid } => at(connector) && session.provider_sid.as_ref() == Some(sid),
            Self::Subject { connector, sub } => at(connector) && session.provider_sub == *sub,
            Self::Email(email) => session.identity.email.as_str().eq_ignore_ascii_case(email),
            Self::User(user) => session.user == *user,
            Self::Connector(connector) => at(connector),
            Self::Domain(domain) => session.identity.email.domain() == *domain,
            Self::All => true,
        }
    }
}

/// How much of a list.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    pub limit: u32,
}

/// Sessions that one [`Ended`] names at most.
pub const MAX_ENDED: usize = 1_000;

/// What [`end`](super::Sessions::end) did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// The sessions that ended, without `secrets`; at most [`MAX_ENDED`].
    pub sessions: Vec<SessionRow>,
    /// The cookies of [`sessions`](Self::sessions).
    pub cookies: Vec<CookieKey>,
    /// How many sessions ended.
    pub count: u64,
    /// The number of the last change that this made; 0: none was made.
    pub number: i64,
    /// `once` was used before: nothing else happened.
    pub replayed: bool,
}

/// A session was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    pub reference: Uuid,
    pub at: Timestamp,
}

/// The answer to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lease {
    /// Claimed; with the session's sealed tokens as they are now.
    Taken(Box<SessionRow>),
    /// Somebody else is at it.
    Busy,
    /// The session has changed meanwhile: this is how it is now.
    Changed(Box<SessionRow>),
    /// There is no such session any more.
    Gone,
}

/// What a renewal changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    pub identity: Identity,
    pub auth_time: Option<Timestamp>,
    pub acr: Option<String>,
    pub amr: Vec<String>,
    pub secrets: Option<Vec<u8>>,
    pub renew_at: Option<Timestamp>,
}

/// Something that every process must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The cookie leads nowhere any more.
    CookieEnded(CookieKey),
    /// What the cookie leads to is now of this version: read it again.
    CookieRenewed(CookieKey, i64),
    /// Everything begun before this change's number that the selector fits is over: an epoch. Only
    /// [selectors of many](Selector::is_epoch).
    Revoked(Selector),
    /// A connector or domain was switched off or on.
    Switched(Switch),
    /// The cut-over of a domain is another now: read it again.
    CutOver(EmailDomain),
}

/// What works once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OnceKind {
    /// A sign-in attempt (O18).
    Attempt,
    /// The `jti` of a logout token (L06).
    LogoutToken,
    /// The ID of a SAML assertion (S19).
    Assertion,
    /// The ID of a SAML logout request (S26).
    LogoutRequest,
}

/// What is kept for a short time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeptKind {
    /// A verified person who is asked whether the address is right.
    Verified,
    /// A form that waits for its sender to sign in.
    Post,
    /// The one-use code of a hand-off.
    HandOff,
    /// When a provider ended a person or session: what is on its way to one then comes too late. Not sealed, no secret.
    EndedAtProvider,
}

/// One record of what was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The request id, or the attempt's.
    pub reference: String,
    pub at: Timestamp,
    /// JSON.
    pub record: String,
}

/// What can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SwitchKind {
    Connector,
    Domain,
}

/// A switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    pub kind: SwitchKind,
    pub name: String,
    pub off: bool,
}

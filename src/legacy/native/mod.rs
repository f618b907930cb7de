//! Credentials of the application itself: who uses them, who may, and how often they may fail.

mod cookies;
mod credential;
mod questions;
mod seen;
#[cfg(test)]
mod tests;
mod throttle;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use http::response;
use moka::sync::Cache;
use tokio::time::MissedTickBehavior;

use super::{Enforced, UserName};
use crate::base::app_log::error_chain;
use crate::base::clock::{Clock, Timestamp};
use crate::base::email::EmailAddress;
use crate::base::id::Id;
use crate::base::random;
use crate::base::share::Shares;
use crate::config::{Config, NativeSignIn};
use crate::directory::{Directory, DirectoryError, NativeCookie, NativeIdentity, NativeKind};

use cookies::Cookies;
pub use credential::{Credential, InvalidCredential};
use questions::Questions;
use seen::{Seen, Use};
pub use throttle::{Spray, Throttle, Ticket, TooMany};

/// How often what was seen is written.
const WRITE_EVERY: Duration = Duration::from_secs(5);
/// Old identities and cookies are forgotten once in so many writes.
const PURGE_EVERY: u32 = 120;
/// Identities that were not seen for so long are forgotten, and beyond so many those seen longest ago.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(400 * 86_400);
const MAX_IDENTITIES: u64 = 100_000;
/// How long it is believed whether a user is deactivated (N06).
const ACTIVE_TRUSTED: Duration = Duration::from_secs(30);
/// The same while the directory cannot be asked.
const ACTIVE_BOUND: Duration = Duration::from_secs(60);

/// What others know of the application's users.
#[async_trait]
pub trait Persons: Send + Sync {
    /// Whether this user name of `app` belongs to somebody who was deactivated (N06).
    ///
    /// # Errors
    /// Nobody knows.
    async fn is_deactivated(&self, app: &Id, name: &UserName) -> Result<bool, DirectoryError>;

    /// The application has let `name` in, and this is its answer: whether its cookies may go to the client.
    async fn after_native_sign_in(&self, app: &Id, name: &UserName, answer: &response::Parts) -> Verdict;
}

/// What becomes of the cookies of a native sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They go on. The person's address, if it is known.
    Keep(Option<EmailAddress>),
    /// They do not, for this reason.
    Withhold(&'static str),
}

/// The native credentials of all applications.
pub struct Native {
    apps: Vec<Option<AppNative>>,
    enforced: Arc<Enforced>,
    directory: Directory,
    shares: Shares,
    throttle: Throttle,
    seen: Seen,
    cookies: Cookies,
    questions: Questions,
    persons: Option<Arc<dyn Persons>>,
    deactivated: Cache<(Id, String), (bool, Timestamp)>,
    clock: Clock,
}

/// What one application's native credentials are judged by.
pub struct AppNative {
    id: Id,
    index: usize,
    sign_in: Vec<NativeSignIn>,
    allow: HashSet<String>,
    api_key_headers: Vec<HeaderName>,
}

impl AppNative {
    /// The application.
    pub const fn id(&self) -> &Id {
        &self.id
    }

    /// Its place in the snapshot.
    pub const fn index(&self) -> usize {
        self.index
    }

    /// The rule of a sign-in endpoint, by its place in the configuration.
    pub fn sign_in(&self, index: usize) -> Option<&NativeSignIn> {
        self.sign_in.get(index)
    }
}

impl Native {
    /// Puts it together. `persons`: where others know the applications' users.
    ///
    /// # Errors
    /// The directory is not available.
    pub async fn open(
        config: &Config,
        directory: Directory,
        enforced: Arc<Enforced>,
        persons: Option<Arc<dyn Persons>>,
        clock: Clock,
    ) -> Result<Self, DirectoryError> {
        let salt = directory.salts.salt("native", &random::bytes()).await?;
        let app = |(index, (id, app)): (usize, (&Id, &crate::config::App))| {
            let native = app.routes.iter().any(|route| route.access == crate::config::Access::Native);
            (native || !app.native.sign_in.is_empty()).then(|| AppNative {
                id: id.clone(),
                index,
                sign_in: app.native.sign_in.clone(),
                allow: app.native.allow.iter().map(|service| service.name.clone()).collect(),
                api_key_headers: app.native.api_key_headers.clone(),
            })
        };
        Ok(Self {
            apps: config.apps.iter().enumerate().map(app).collect(),
            enforced,
            directory,
            shares: Shares::new(&salt),
            throttle: Throttle::new(config.apps.len(), clock.clone()),
            seen: Seen::default(),
            cookies: Cookies::new(),
            questions: Questions::new(),
            persons,
            deactivated: Cache::new(MAX_IDENTITIES),
            clock,
        })
    }

    /// The application at this place of the snapshot, if anything of it is native.
    pub fn of(&self, index: usize) -> Option<&AppNative> {
        self.apps.get(index)?.as_ref()
    }

    /// Whether whoever has this user name signs in at a provider, and is no service identity.
    pub fn refuses(&self, app: &AppNative, name: &UserName) -> bool {
        self.enforced.refuses(name) && !app.allow.contains(name.as_str())
    }

    /// Whether the name belongs to somebody who was deactivated (N06), as far as that was asked in the last half minute.
    pub fn is_known_deactivated(&self, app: &AppNative, name: &UserName) -> Option<bool> {
        if self.persons.is_none() {
            return Some(false);
        }
        self.asked_within(ACTIVE_TRUSTED, &(app.id.clone(), name.as_str().to_owned()))
    }

    /// The same by the directory's word. While it is away, what it said within the last minute counts.
    ///
    /// # Errors
    /// It is away for longer: nobody knows.
    pub async fn is_deactivated(&self, app: &AppNative, name: &UserName) -> Result<bool, DirectoryError> {
        let Some(persons) = &self.persons else { return Ok(false) };
        let key = (app.id.clone(), name.as_str().to_owned());
        if let Some(known) = self.asked_within(ACTIVE_TRUSTED, &key) {
            return Ok(known);
        }
        let asking = async {
            let _turn = self.questions.turn().await?;
            persons.is_deactivated(&app.id, name).await
        };
        match asking.await {
            Ok(deactivated) => {
                self.deactivated.insert(key, (deactivated, self.clock.now()));
                Ok(deactivated)
            }
            Err(error) => self.asked_within(ACTIVE_BOUND, &key).ok_or(error),
        }
    }

    fn asked_within(&self, time: Duration, key: &(Id, String)) -> Option<bool> {
        let (known, asked) = self.deactivated.get(key)?;
        (self.clock.now().since(asked) < time).then_some(known)
    }

    /// Begins a try with a password. `parallel`: see [`Throttle::begin`].
    ///
    /// # Errors
    /// There were too many.
    pub fn begin(
        &self,
        app: &AppNative,
        client: IpAddr,
        name: &UserName,
        parallel: bool,
    ) -> Result<Ticket<'_>, TooMany> {
        let name = self.shares.of(&format!("name\0{}\0{}", app.id, name.as_str().to_lowercase()));
        self.throttle.begin(app.index, client, name, parallel)
    }

    /// The kind and label of the credential in `headers`, of whose name `credential` knows: that of an opaque one is made
    /// of a keyed hash.
    pub fn label(&self, app: &AppNative, headers: &HeaderMap, credential: Option<&Credential>) -> (NativeKind, String) {
        let hashed = |kind: &str, value: &[u8]| {
            let text = String::from_utf8_lossy(value);
            let [a, b, c, d, e, f, g, h, ..] = self.shares.hash(&format!("{kind}\0{}\0{text}", app.id));
            format!("{kind}-{:016x}", u64::from_be_bytes([a, b, c, d, e, f, g, h]))
        };
        match credential {
            Some(Credential::Basic(name)) => (NativeKind::Basic, name.as_str().to_owned()),
            Some(Credential::Digest(name)) => (NativeKind::Digest, name.as_str().to_owned()),
            Some(Credential::Bearer) => {
                let value = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
                let label = credential::bearer_of(value).map(|of| hashed("jwt", of.as_bytes()));
                (NativeKind::Bearer, label.unwrap_or_else(|| hashed("token", value)))
            }
            Some(Credential::Connection(scheme)) => (NativeKind::Other, (*scheme).to_owned()),
            Some(Credential::Other(scheme)) => (NativeKind::Other, scheme.clone()),
            None => {
                let key = app.api_key_headers.iter().find_map(|name| headers.get(name));
                (NativeKind::ApiKey, hashed("key", key.map(HeaderValue::as_bytes).unwrap_or_default()))
            }
        }
    }

    /// Lists a use of a credential that the application has accepted.
    pub fn saw(&self, app: &AppNative, kind: NativeKind, name: &str, email_shaped: bool, source: IpAddr) {
        let at = self.clock.now();
        self.seen.note(&Use { app: &app.id, kind, name, email_shaped, source, at });
    }

    /// The remembered cookies that a request brings, of those who may still use them.
    ///
    /// # Errors
    /// The directory is not available.
    pub async fn remembered(
        &self,
        app: &AppNative,
        request: &HeaderMap,
    ) -> Result<Vec<Arc<NativeCookie>>, DirectoryError> {
        let keys = cookies::keys(&self.shares, &app.id, request);
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = self.cookies.find(&self.directory, &self.questions, &keys, self.clock.now()).await?;
        found.retain(|cookie| self.may_use(app, cookie));
        Ok(found)
    }

    fn may_use(&self, app: &AppNative, cookie: &NativeCookie) -> bool {
        let enforced = |person: &EmailAddress| self.enforced.is_enforced(person);
        let name = UserName::read(&cookie.user_name);
        cookie.app == app.id
            && (app.allow.contains(&cookie.user_name)
                || (!cookie.person.as_ref().is_some_and(enforced) && name.is_ok_and(|n| !self.enforced.refuses(&n))))
    }

    /// The application has let `name` in. Remembers the session cookies that its answer sets, unless somebody else has to
    /// withhold them; where it sets none, those that the request `brought`, which an application that keeps its session's
    /// id has just let in.
    pub async fn signed_in(
        &self,
        app: &AppNative,
        name: &UserName,
        mobile: bool,
        brought: &HeaderMap,
        answer: &response::Parts,
    ) -> Verdict {
        let asked = !mobile && !app.allow.contains(name.as_str()) && self.enforced.is_anywhere();
        let verdict = match &self.persons {
            Some(persons) if asked => persons.after_native_sign_in(&app.id, name, answer).await,
            _ => Verdict::Keep(None),
        };
        if let Verdict::Keep(person) = &verdict
            && answer.status.as_u16() < 400
        {
            let now = self.clock.now();
            let mut set = Cookies::of_sign_in(&self.shares, &app.id, name.as_str(), brought, &answer.headers, now);
            set.iter_mut().for_each(|cookie| cookie.person.clone_from(person));
            self.remember(&set).await;
        }
        verdict
    }

    /// Follows the application where it changes the `known` cookies of a request in its answer.
    pub async fn followed(&self, app: &AppNative, known: &[Arc<NativeCookie>], answer: &HeaderMap) {
        let changes = Cookies::changed(&self.shares, &app.id, known, answer, self.clock.now());
        self.remember(&changes).await;
    }

    async fn remember(&self, cookies: &[NativeCookie]) {
        if !cookies.is_empty()
            && let Err(error) = self.cookies.remember(&self.directory, cookies).await
        {
            tracing::warn!(
                error = error_chain(&error),
                "a native session could not be remembered: its program will be asked to sign in again"
            );
        }
    }

    /// The native identities of `app`, or all, those used last first; at most `limit`.
    ///
    /// # Errors
    /// The directory is not available.
    pub async fn list(&self, app: Option<&Id>, limit: u32) -> Result<Vec<NativeIdentity>, DirectoryError> {
        self.flush().await?;
        self.directory.natives.list(app, limit).await
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// The directory is not available; it goes on waiting.
    pub async fn flush(&self) -> Result<(), DirectoryError> {
        self.seen.flush(&self.directory).await?;
        self.cookies.flush(&self.directory).await
    }

    /// Writes what was seen every few seconds and forgets what is old, until dropped. Whoever drops it
    /// [`flush`](Self::flush)es.
    pub async fn run(self: Arc<Self>) {
        let mut every = tokio::time::interval(WRITE_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut writes: u32 = 0;
        let mut away = false;
        loop {
            every.tick().await;
            let mut result = self.seen.flush(&self.directory).await;
            if result.is_ok()
                && u64::from(writes).is_multiple_of(cookies::FLUSH_EVERY.as_secs() / WRITE_EVERY.as_secs())
            {
                result = self.cookies.flush(&self.directory).await;
            }
            if result.is_ok() && writes.is_multiple_of(PURGE_EVERY) {
                result = self.purge().await;
            }
            writes = writes.wrapping_add(1);
            match &result {
                Ok(()) => away = false,
                Err(error) if !away => {
                    away = true;
                    tracing::warn!(error = error_chain(error), "native identities wait to be listed");
                }
                Err(_) => {}
            }
        }
    }

    async fn purge(&self) -> Result<(), DirectoryError> {
        let now = self.clock.now();
        self.directory.natives.purge(now.minus(FORGOTTEN_AFTER), MAX_IDENTITIES).await?;
        self.directory.natives.purge_cookies(now.minus(cookies::IDLE), now).await.map(drop)
    }
}

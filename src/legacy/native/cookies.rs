//! Session cookies of the application's native sign-ins: a program that signs in there and goes on with the cookie
//! is not sent to a provider. Known by keyed hashes alone (N08).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{COOKIE, HeaderMap, SET_COOKIE};
use moka::sync::Cache;

use super::questions::Questions;
use crate::base::clock::Timestamp;
use crate::base::id::Id;
use crate::base::share::Shares;
use crate::directory::{Directory, DirectoryError, NativeCookie};

/// A cookie is forgotten when it was not used for so long; the application's own limit is shorter as a rule.
pub(super) const IDLE: Duration = Duration::from_secs(86_400);
/// It counts for so long at most after its sign-in.
const LIFETIME: Duration = Duration::from_secs(7 * 86_400);
/// For how long one still counts that the application has replaced: requests on their way bring it.
const REPLACED: Duration = Duration::from_secs(60);
/// How long an answer of the directory is believed (N08): another process may have changed it.
const TRUSTED: Duration = Duration::from_secs(60);
/// And how long the answer that it knows no such cookie.
const TRUSTED_UNKNOWN: Duration = Duration::from_secs(10);
/// How often a use is noted.
const NOTED_EVERY: Duration = Duration::from_secs(60);
/// Cookies of a request that are looked at, and of an answer that are remembered.
const MAX_LOOKED_AT: usize = 32;
const MAX_SET: usize = 8;
/// A shorter value is no secret: a language, a colour, a flag.
const MIN_VALUE: usize = 16;
/// Nor is one with fewer different characters.
const MIN_DIFFERENT: usize = 8;
/// Cookies in memory.
const MAX_CACHED: u64 = 100_000;

/// Remembered cookies, with a memory of this process in front of the directory.
pub(super) struct Cookies {
    cache: Cache<[u8; 32], Known>,
    used: Mutex<HashMap<[u8; 32], Timestamp>>,
}

#[derive(Clone)]
struct Known {
    /// None: the directory knows no such cookie.
    cookie: Option<Arc<NativeCookie>>,
    asked: Timestamp,
}

/// A cookie that an answer sets.
struct Set<'a> {
    name: &'a str,
    value: &'a str,
    /// It takes the cookie back.
    expires: bool,
}

impl Cookies {
    pub(super) fn new() -> Self {
        Self { cache: Cache::new(MAX_CACHED), used: Mutex::default() }
    }

    /// Those of the request's cookies that are remembered and count at `now`.
    pub(super) async fn find(
        &self,
        directory: &Directory,
        questions: &Questions,
        keys: &[[u8; 32]],
        now: Timestamp,
    ) -> Result<Vec<Arc<NativeCookie>>, DirectoryError> {
        let mut found = Vec::new();
        let mut unknown = Vec::new();
        for key in keys {
            match self.cache.get(key).filter(|known| now.since(known.asked) < known.trusted()) {
                Some(known) => found.extend(known.cookie),
                None => unknown.push(*key),
            }
        }
        if !unknown.is_empty() {
            let _turn = questions.turn().await?;
            let mut kept = directory.natives.cookies(&unknown).await?;
            for key in unknown {
                let at = kept.iter().position(|cookie| cookie.key == key);
                let cookie = at.map(|at| Arc::new(kept.swap_remove(at)));
                found.extend(cookie.clone());
                self.cache.insert(key, Known { cookie, asked: now });
            }
        }
        found.retain(|cookie| now < cookie.until && now.since(self.last_used(cookie)) < IDLE);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        for cookie in &found {
            used.insert(cookie.key, now);
        }
        Ok(found)
    }

    fn last_used(&self, cookie: &NativeCookie) -> Timestamp {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.get(&cookie.key).copied().unwrap_or(cookie.last_used).max(cookie.last_used)
    }

    /// The session cookies of a native sign-in of `user_name`: those that its answer sets, or else those that it brought.
    pub(super) fn of_sign_in(
        shares: &Shares,
        app: &Id,
        user_name: &str,
        brought: &HeaderMap,
        answer: &HeaderMap,
        now: Timestamp,
    ) -> Vec<NativeCookie> {
        let cookie = |set: Set<'_>| NativeCookie {
            key: key(shares, app, set.name, set.value),
            app: app.clone(),
            name: set.name.to_owned(),
            user_name: user_name.to_owned(),
            person: None,
            last_used: now,
            until: now.plus(LIFETIME),
        };
        let set: Vec<_> = sets(answer).filter(Set::is_secret).take(MAX_SET).map(cookie).collect();
        if !set.is_empty() {
            return set;
        }
        let brought = pairs(brought).map(|(name, value)| Set { name, value, expires: false });
        brought.filter(Set::is_secret).take(MAX_SET).map(cookie).collect()
    }

    /// What the answer to a request with `known` cookies changes about them: a new value of the same name takes the place
    /// of the old one, which counts for a minute more.
    pub(super) fn changed(
        shares: &Shares,
        app: &Id,
        known: &[Arc<NativeCookie>],
        answer: &HeaderMap,
        now: Timestamp,
    ) -> Vec<NativeCookie> {
        let mut changes = Vec::new();
        for set in sets(answer).take(MAX_SET) {
            let Some(old) = known.iter().find(|known| known.name == set.name) else { continue };
            let new = key(shares, app, set.name, set.value);
            if new == old.key {
                continue;
            }
            if set.is_secret() {
                // A value that changes with every answer must not live for ever: the sign-in's end stays.
                changes.push(NativeCookie { key: new, last_used: now, ..NativeCookie::clone(old) });
            }
            changes.push(NativeCookie { last_used: now, until: old.until.min(now.plus(REPLACED)), ..(**old).clone() });
        }
        changes
    }

    /// Remembers `cookies`, here and in the directory.
    pub(super) async fn remember(&self, directory: &Directory, cookies: &[NativeCookie]) -> Result<(), DirectoryError> {
        directory.natives.remember(cookies).await?;
        // As the directory sees them: one may have been set for somebody else before.
        for cookie in cookies {
            self.cache.invalidate(&cookie.key);
        }
        Ok(())
    }

    /// Writes the uses that wait.
    pub(super) async fn flush(&self, directory: &Directory) -> Result<(), DirectoryError> {
        let uses: Vec<([u8; 32], Timestamp)> = {
            let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            used.iter().map(|(key, at)| (*key, *at)).collect()
        };
        if uses.is_empty() {
            return Ok(());
        }
        directory.natives.cookies_used(&uses).await?;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, at) in uses {
            // So that what is believed of the directory knows of it too.
            if let Some(known) = self.cache.get(&key)
                && let Some(cookie) = &known.cookie
            {
                let cookie = NativeCookie { last_used: cookie.last_used.max(at), ..NativeCookie::clone(cookie) };
                self.cache.insert(key, Known { cookie: Some(Arc::new(cookie)), ..known });
            }
            if used.get(&key) == Some(&at) {
                used.remove(&key);
            }
        }
        Ok(())
    }
}

/// How often uses are written.
pub(super) const FLUSH_EVERY: Duration = NOTED_EVERY;

impl Known {
    fn trusted(&self) -> Duration {
        if self.cookie.is_some() { TRUSTED } else { TRUSTED_UNKNOWN }
    }
}

/// The keys of the request's cookies that could be remembered ones.
pub(super) fn keys(shares: &Shares, app: &Id, request: &HeaderMap) -> Vec<[u8; 32]> {
    let could_be = pairs(request).filter(|(_, value)| value.len() >= MIN_VALUE);
    could_be.take(MAX_LOOKED_AT).map(|(name, value)| key(shares, app, name, value)).collect()
}

/// Names and values of a request's cookies.
fn pairs(request: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = request.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

fn key(shares: &Shares, app: &Id, name: &str, value: &str) -> [u8; 32] {
    shares.hash(&format!("cookie\0{app}\0{name}\0{value}"))
}

/// The cookies that an answer sets.
fn sets(answer: &HeaderMap) -> impl Iterator<Item = Set<'_>> {
    answer.get_all(SET_COOKIE).iter().filter_map(|line| {
        let mut parts = line.to_str().ok()?.split(';');
        let (name, value) = parts.next()?.split_once('=')?;
        let expires = parts.any(|part| {
            let (attribute, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim();
            match attribute.trim().to_ascii_lowercase().as_str() {
                "max-age" => value.starts_with('-') || value.parse() == Ok(0u64),
                // What frameworks take a cookie back with: the epoch.
                "expires" => value.contains("1970"),
                _ => false,
            }
        });
        Some(Set { name: name.trim(), value: value.trim(), expires })
    })
}

impl Set<'_> {
    /// Whether only whoever was given the cookie can know its value.
    fn is_secret(&self) -> bool {
        let mut different: Vec<u8> = self.value.bytes().collect();
        different.sort_unstable();
        different.dedup();
        !self.expires && self.value.len() >= MIN_VALUE && different.len() >= MIN_DIFFERENT
    }
}

//! The provider's side of a renewal: refresh tokens that work once, and a count of what happened to each.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anteroom::base::clock::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::provider::{Provider, Script};

/// How the provider answers the refresh grant. It is part of the [`Script`]; what it gave out is not, and stays.
#[derive(Clone)]
pub struct Refreshing {
    /// Gives a refresh token with each sign-in.
    pub gives: bool,
    /// Gives a new one with each refresh; the old one is used up, and its second use ends the family (RFC 9700 section
    /// 4.14.2).
    pub rotates: bool,
    /// `expires_in` of every token answer.
    pub expires_in: Option<u64>,
    /// Replaces the answer before the refresh token is looked at: status, content type, body.
    pub answer: Option<(u16, &'static str, String)>,
    /// Members of the refreshed ID token's claims that are replaced, or, if null, left out.
    pub claims: Value,
    /// The second use of a used-up token is refused, and nothing else: the newer tokens of the family stay good.
    pub forgives_reuse: bool,
    /// Answers without an ID token.
    pub without_id_token: bool,
    /// The body of an honest answer never ends.
    pub drip: bool,
    /// An honest answer takes a permit, after the refresh token is used up and before it is sent: the provider is slow.
    pub hold: Option<Arc<Semaphore>>,
    /// An honest answer takes this long.
    pub takes: Duration,
}

impl Default for Refreshing {
    fn default() -> Self {
        Self {
            gives: false,
            rotates: true,
            expires_in: Some(300),
            answer: None,
            claims: json!({}),
            forgives_reuse: false,
            without_id_token: false,
            drip: false,
            hold: None,
            takes: Duration::ZERO,
        }
    }
}

/// What became of the refresh tokens.
#[derive(Default)]
pub struct Refreshes {
    /// By token: its family, and whether it was used.
    tokens: HashMap<String, (usize, bool)>,
    /// How often each family was refreshed with success.
    families: Vec<usize>,
    /// Families that were taken back.
    revoked: HashSet<usize>,
    /// Refresh requests, whatever their answer, by the provider's clock.
    pub arrivals: Vec<Timestamp>,
    /// Uses of a token that was used before.
    pub reuses: usize,
    /// Requests under way at this moment, and the most there ever were.
    pub under_way: usize,
    pub most_under_way: usize,
}

impl Refreshes {
    /// A refresh token of a new family.
    fn begin(&mut self) -> String {
        self.families.push(0);
        self.give(self.families.len() - 1)
    }

    fn give(&mut self, family: usize) -> String {
        let token = format!("canary-refresh-{family}-{}", self.tokens.len());
        self.tokens.insert(token.clone(), (family, false));
        token
    }

    /// How often each sign-in's tokens were refreshed, in the order of the sign-ins.
    pub fn counts(&self) -> &[usize] {
        &self.families
    }

    /// How many refreshes succeeded.
    pub fn succeeded(&self) -> usize {
        self.families.iter().sum()
    }

    /// The provider takes back everything that it gave: a person was disabled.
    pub fn revoke_all(&mut self) {
        self.revoked = (0..self.families.len()).collect();
    }

    /// Uses `token`: its family, or none for `invalid_grant`.
    fn take(&mut self, token: &str, rotates: bool, forgives_reuse: bool) -> Option<usize> {
        let (family, used) = self.tokens.get_mut(token)?;
        let family = *family;
        if *used {
            self.reuses += 1;
            if !forgives_reuse {
                self.revoked.insert(family);
            }
            return None;
        }
        *used |= rotates;
        (!self.revoked.contains(&family)).then_some(family)
    }

    /// The most requests that arrived in any second.
    pub fn most_in_a_second(&self) -> usize {
        let mut arrivals: Vec<i64> = self.arrivals.iter().map(|at| at.millis()).collect();
        arrivals.sort_unstable();
        let until = |from: i64| arrivals.partition_point(|at| *at < from + 1000);
        arrivals.iter().enumerate().map(|(at, from)| until(*from) - at).max().unwrap_or(0)
    }
}

/// One request under way, until it is answered or given up.
pub(super) struct UnderWay(Arc<Mutex<Refreshes>>);

impl UnderWay {
    fn begin(refreshes: &Arc<Mutex<Refreshes>>, now: Timestamp) -> Self {
        let mut all = refreshes.lock().unwrap();
        all.arrivals.push(now);
        all.under_way += 1;
        all.most_under_way = all.most_under_way.max(all.under_way);
        Self(Arc::clone(refreshes))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.lock().unwrap().under_way -= 1;
    }
}

/// The answer to a refresh, and what has to happen before it is sent.
pub(super) struct Held {
    pub(super) answer: (u16, &'static str, String),
    pub(super) drip: bool,
    hold: Option<Arc<Semaphore>>,
    takes: Duration,
    _under_way: UnderWay,
}

impl Held {
    /// Waits until the answer may go.
    pub(super) async fn ready(self) -> ((u16, &'static str, String), bool) {
        if let Some(hold) = &self.hold {
            hold.acquire().await.unwrap().forget();
        }
        if !self.takes.is_zero() {
            tokio::time::sleep(self.takes).await;
        }
        (self.answer, self.drip)
    }
}

impl Provider {
    /// What became of the refresh tokens.
    pub fn refreshes(&self) -> MutexGuard<'_, Refreshes> {
        self.refreshes.lock().unwrap()
    }

    /// From now on sign-ins come with refresh tokens, and tokens last `expires_in` seconds.
    pub fn gives_refresh_tokens(&self, expires_in: u64) {
        self.always(|script| {
            script.refresh = Refreshing { gives: true, expires_in: Some(expires_in), ..script.refresh.clone() }
        });
    }

    /// What a sign-in would have given: ID token and refresh token. For sessions that a test puts into the store.
    pub fn give(&self) -> (String, String) {
        let id_token = self.script().id_token("a-nonce", &json!({}));
        (id_token, self.refreshes().begin())
    }

    /// The refresh token of a redeemed code, if this provider gives one.
    pub(super) fn first_refresh_token(&self, script: &Script) -> Option<String> {
        script.refresh.gives.then(|| self.refreshes().begin())
    }

    /// Answers the refresh grant.
    pub(super) fn refresh(&self, script: &mut Script, token: &str) -> Held {
        let under_way = UnderWay::begin(&self.refreshes, script.time());
        let Refreshing { answer, rotates, expires_in, claims, without_id_token, drip, hold, takes, .. } =
            script.refresh.clone();
        let held = |answer, drip, hold, takes| Held { answer, drip, hold, takes, _under_way: under_way };
        let down = script.down.then(|| (503, "text/plain", "away".to_owned()));
        if let Some(answer) = down.or(answer) {
            return held(answer, false, None, takes);
        }
        let Some(family) = self.refreshes().take(token, rotates, script.refresh.forgives_reuse) else {
            let body = json!({ "error": "invalid_grant", "error_description": "AADSTS700082: expired" });
            return held((400, "application/json", body.to_string()), false, hold, takes);
        };
        let mut body = json!({ "access_token": "canary-access-token", "token_type": "Bearer" });
        if let Some(expires_in) = expires_in {
            body["expires_in"] = json!(expires_in);
        }
        if !without_id_token {
            body["id_token"] = script.id_token("", &claims).into();
        }
        let mut refreshes = self.refreshes();
        refreshes.families[family] += 1;
        if rotates {
            body["refresh_token"] = refreshes.give(family).into();
        }
        drop(refreshes);
        held((200, "application/json", body.to_string()), drip, hold, takes)
    }
}

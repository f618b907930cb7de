//! How fresh and how strong a sign-in is, and whether that is enough (O33; `OpenID` Connect Core section 3.1.3.7,
//! steps 12 and 13; RFC 8176).

use serde_json::{Map, Value};

use super::id_token::seconds;
use crate::base::clock::Timestamp;
use crate::config::Requirement;
use crate::connector::error::{ProviderError, Reason};

/// How far the provider's clock may be from ours, in seconds.
const LEEWAY: i64 = 60;

/// Most methods that are kept, and the longest name of one or of a context class, in characters. No provider comes
/// near.
const MAX_METHODS: usize = 50;
const MAX_NAME: usize = 255;

/// What an ID token says of how its person signed in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Assurance {
    pub(crate) auth_time: Option<Timestamp>,
    pub(crate) acr: Option<String>,
    pub(crate) amr: Vec<String>,
}

impl Assurance {
    /// Reads the claims. One of another type says nothing, but a wrong `auth_time` is an error: somebody may rely on it.
    /// One that lies ahead is `now`: nothing stays fresh for longer because a clock is wrong.
    pub(crate) fn read(claims: &Map<String, Value>, now: Timestamp) -> Result<Self, ProviderError> {
        let name = |value: &Value| value.as_str().filter(|v| v.chars().count() <= MAX_NAME).map(str::to_owned);
        let amr = claims.get("amr").and_then(Value::as_array).filter(|amr| amr.len() <= MAX_METHODS);
        Ok(Self {
            auth_time: seconds(claims, "auth_time")?.map(|at| Timestamp::from_secs(at).min(now)),
            acr: claims.get("acr").and_then(name),
            amr: amr.into_iter().flatten().filter_map(name).collect(),
        })
    }

    /// Judges them. The age is that at `asked_at`, when the provider was asked: people may take their time.
    pub(crate) fn check(&self, required: &Requirement, asked_at: Timestamp) -> Result<(), ProviderError> {
        if let Some(max_age) = required.max_age {
            let max_age = i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX);
            let oldest = asked_at.secs().saturating_sub(max_age).saturating_sub(LEEWAY);
            let too_old = |found| {
                ProviderError::new(Reason::AuthTooOld).saying(format_args!("auth_time: at most {max_age} s ago"), found)
            };
            match self.auth_time {
                Some(at) if at.secs() >= oldest => {}
                Some(at) => return Err(too_old(at.rfc3339())),
                None => return Err(too_old(String::from("no auth_time"))),
            }
        }
        if !required.acr.is_empty() && !self.acr.as_ref().is_some_and(|acr| required.acr.contains(acr)) {
            let found = self.acr.as_deref().unwrap_or("no acr");
            return Err(ProviderError::new(Reason::AcrInsufficient).saying(required.acr.join(" "), found));
        }
        if !required.amr.is_empty() && !self.amr.iter().any(|amr| required.amr.contains(amr)) {
            let found = if self.amr.is_empty() { String::from("no amr") } else { self.amr.join(" ") };
            return Err(ProviderError::new(Reason::AmrInsufficient).saying(required.amr.join(" "), found));
        }
        Ok(())
    }
}

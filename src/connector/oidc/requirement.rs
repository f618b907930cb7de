//! How fresh and how strong a sign-in is, and whether that is enough (O33; `OpenID` Connect Core section 3.1.3.7,
//! steps 12 and 13; RFC 8176).

use serde_json::{Map, Value};

use super::id_token::seconds;
use crate::base::clock::Timestamp;
use crate::config::{Requirement, Unmet};
use crate::connector::error::{ProviderError, Reason};

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

/// The methods that are kept of those which a SAML assertion names: by the same bounds as the claim's.
pub(crate) fn methods(named: impl Iterator<Item = String>) -> Vec<String> {
    let named: Vec<String> = named.collect();
    if named.len() > MAX_METHODS {
        return Vec::new();
    }
    named.into_iter().filter(|name| name.chars().count() <= MAX_NAME).collect()
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
        // What was proved since then is of then: a reading has no time ahead of its own.
        let auth_time = self.auth_time.map(|at| at.min(asked_at));
        required.check(auth_time, self.acr.as_deref(), &self.amr, asked_at).map_err(|unmet| {
            let reason = match unmet {
                Unmet::AuthTooOld => Reason::AuthTooOld,
                Unmet::AcrInsufficient => Reason::AcrInsufficient,
                Unmet::AmrInsufficient => Reason::AmrInsufficient,
            };
            let (expected, found) = required.detail(unmet, auth_time, self.acr.as_deref(), &self.amr, asked_at);
            ProviderError::new(reason).saying(format_args!("{}: {expected}", unmet.claim()), found)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::connector::oidc::fixture::NOW;

    fn judge(claims: &Value, required: &Requirement) -> Result<(), &'static str> {
        let assurance = Assurance::read(claims.as_object().unwrap(), NOW).map_err(|e| e.reason())?;
        assurance.check(required, NOW).map_err(|e| e.reason())
    }

    fn within(secs: u64) -> Requirement {
        Requirement { max_age: Some(Duration::from_secs(secs)), ..Requirement::default() }
    }

    #[test]
    fn a_proof_that_is_too_old_or_of_no_known_age_is_refused_o33() {
        let proved = |ago: i64| json!({ "auth_time": NOW.secs() - ago });
        assert_eq!(judge(&proved(3_600), &within(3_600)), Ok(()));
        assert_eq!(judge(&proved(3_660), &within(3_600)), Ok(()), "clocks differ");
        assert_eq!(judge(&proved(3_661), &within(3_600)), Err("auth_too_old"));
        assert_eq!(judge(&proved(60), &within(0)), Ok(()));
        assert_eq!(judge(&proved(61), &within(0)), Err("auth_too_old"));
        assert_eq!(judge(&json!({}), &within(3_600)), Err("auth_too_old"), "absent");
        assert_eq!(judge(&json!({}), &Requirement::default()), Ok(()), "nobody asked");
        assert_eq!(judge(&json!({ "auth_time": NOW.secs().to_string() }), &within(3_600)), Err("type"));
        assert_eq!(judge(&proved(i64::MAX / 2), &within(3_600)), Err("auth_too_old"), "nothing overflows");
    }

    #[test]
    fn a_proof_from_the_future_counts_as_of_now_o33() {
        let ahead = json!({ "auth_time": NOW.secs() + 86_400 });
        assert_eq!(judge(&ahead, &within(0)), Ok(()));
        let read = Assurance::read(ahead.as_object().unwrap(), NOW).unwrap();
        assert_eq!(read.auth_time, Some(NOW), "it gets old like any other");
    }

    #[test]
    fn the_age_is_that_at_the_time_of_asking_o33() {
        let proved = Assurance { auth_time: Some(NOW), ..Assurance::default() };
        let later = NOW.plus(Duration::from_secs(300));
        assert!(proved.check(&within(0), NOW).is_ok(), "five minutes with the consent page are nobody's fault");
        assert_eq!(proved.check(&within(0), later).map_err(|e| e.reason()), Err("auth_too_old"));
    }

    #[test]
    fn a_context_class_or_method_that_is_not_wanted_is_refused_o33() {
        let acr = Requirement { acr: Some(vec!["gold".into(), "silver".into()]), ..Requirement::default() };
        let amr = Requirement { amr: vec!["mfa".into(), "hwk".into()], ..Requirement::default() };
        assert_eq!(judge(&json!({ "acr": "silver" }), &acr), Ok(()));
        for bad in [json!({}), json!({ "acr": "bronze" }), json!({ "acr": "GOLD" }), json!({ "acr": ["gold"] })] {
            assert_eq!(judge(&bad, &acr), Err("acr_insufficient"), "{bad}");
        }
        assert_eq!(judge(&json!({ "amr": ["pwd", "hwk", "mfa"] }), &amr), Ok(()));
        for bad in [json!({}), json!({ "amr": ["pwd", "hwk"] }), json!({ "amr": "mfa" }), json!({ "amr": [["mfa"]] })] {
            assert_eq!(judge(&bad, &amr), Err("amr_insufficient"), "{bad}");
        }
    }
}

//! What goes over the socket about e-mail domains and their cut-over.

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::email::{EmailAddress, EmailDomain};
use crate::directory::{CutOver, Extent, MAX_LISTED};

/// The body of `POST /domains/NAME/enable`; may be left out: on for everybody at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DomainOrder {
    /// From when, RFC 3339; until then it is on for whom it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// For so many of a hundred, 0 to 100. Default: 100; with `users`, 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// For these addresses, whatever the share.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
}

impl DomainOrder {
    /// For whom, and from when.
    ///
    /// # Errors
    /// In words: what is wrong with it.
    pub fn read(&self, domain: &EmailDomain) -> Result<(Extent, Option<Timestamp>), String> {
        let Self { at, percent, users } = self;
        let moment = |text: &String| {
            let read = text.trim().parse::<jiff::Timestamp>();
            let read = read.map(|read| Timestamp::from_millis(read.as_millisecond()));
            read.map_err(|_| format!("at: found {text:?}; allowed: a moment such as 2026-12-01T06:00:00Z"))
        };
        let at = at.as_ref().map(moment).transpose()?;
        if let Some(percent) = percent.filter(|percent| *percent > 100) {
            return Err(format!("percent: found {percent}; allowed: 0 to 100"));
        }
        if users.len() > MAX_LISTED {
            let count = users.len();
            return Err(format!("users: found {count} addresses; allowed: {MAX_LISTED}. For more people, use a share"));
        }
        let key = |text: &String| {
            let wrong = || format!("users: found {text:?}; allowed: addresses @{domain}");
            let address: EmailAddress = text.trim().parse().map_err(|_| wrong())?;
            if address.domain() == *domain { Ok(address.look_alike_key()) } else { Err(wrong()) }
        };
        let percent = percent.unwrap_or(if users.is_empty() { 100 } else { 0 });
        Ok((Extent { percent, users: users.iter().map(key).collect::<Result<_, _>>()? }, at))
    }
}

/// For whom a domain is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtentView {
    /// So many of a hundred.
    pub percent: u8,
    /// And these, lower case.
    pub users: Vec<String>,
}

impl From<&Extent> for ExtentView {
    fn from(extent: &Extent) -> Self {
        Self { percent: extent.percent, users: extent.users.iter().cloned().collect() }
    }
}

/// What is to hold from a moment on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaterView {
    /// RFC 3339 in UTC.
    pub at: String,
    #[serde(flatten)]
    pub extent: ExtentView,
}

/// An e-mail domain of the configuration or of the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainView {
    pub name: String,
    /// Whether the configuration has it; without that nobody is sent anywhere.
    pub configured: bool,
    /// Its connector, if it has one in this environment.
    pub connector: Option<String>,
    /// Whether it is on, for whomever.
    pub on: bool,
    /// For whom, if it is on.
    pub now: ExtentView,
    pub later: Option<LaterView>,
    /// What an operator should know, in sentences.
    pub notes: Vec<String>,
}

impl DomainView {
    /// The view of `name`, of which the directory says `cut_over`, at `now`.
    pub fn new(
        name: &EmailDomain,
        configured: bool,
        connector: Option<String>,
        on: bool,
        cut_over: Option<&CutOver>,
        now: Timestamp,
    ) -> Self {
        let (everybody, nobody) = (Extent::everybody(), Extent::nobody());
        let current = cut_over.map_or(&everybody, |cut_over| cut_over.at(now));
        let later = cut_over.and_then(|cut_over| cut_over.later.as_ref()).filter(|(at, _)| on && *at > now);
        Self {
            name: name.to_string(),
            configured,
            connector,
            on,
            now: ExtentView::from(if on { current } else { &nobody }),
            later: later.map(|(at, extent)| LaterView { at: at.rfc3339(), extent: extent.into() }),
            notes: Vec::new(),
        }
    }
}

/// The answer of `GET /domains`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainList {
    /// By name.
    pub domains: Vec<DomainView>,
}

/// The answer of `POST /domains/NAME/…`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainSwitched {
    /// How many sessions ended; none if they were to be kept.
    pub ended: Option<u64>,
    pub domain: DomainView,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(at: Option<&str>, percent: Option<u8>, users: &[&str]) -> DomainOrder {
        let users = users.iter().map(|user| (*user).to_owned()).collect();
        DomainOrder { at: at.map(str::to_owned), percent, users }
    }

    fn read(order: &DomainOrder) -> Result<(u8, Vec<String>, Option<i64>), String> {
        let (extent, at) = order.read(&"acme.com".parse().unwrap())?;
        Ok((extent.percent, extent.users.into_iter().collect(), at.map(Timestamp::secs)))
    }

    #[test]
    fn an_order_without_a_word_is_for_everybody_and_a_list_is_for_its_people() {
        assert_eq!(read(&order(None, None, &[])), Ok((100, vec![], None)));
        assert_eq!(read(&order(None, None, &[" Ann@ACME.com "])), Ok((0, vec!["ann@acme.com".to_owned()], None)));
        let both = order(Some("2026-12-01T07:00:00+01:00"), Some(10), &["b@acme.com", "B@acme.com."]);
        assert_eq!(read(&both), Ok((10, vec!["b@acme.com".to_owned()], Some(1_796_104_800))));
    }

    #[test]
    fn an_order_that_means_nothing_is_refused_in_words() {
        for (order, says) in [
            (order(Some("tomorrow"), None, &[]), "2026-12-01T06:00:00Z"),
            (order(Some("2026-12-01"), None, &[]), "2026-12-01T06:00:00Z"),
            (order(None, Some(101), &[]), "0 to 100"),
            (order(None, None, &["ann"]), "@acme.com"),
            (order(None, None, &["ann@acme.org"]), "@acme.com"),
            (order(None, None, &["ann@sub.acme.com"]), "@acme.com"),
            (order(None, None, &["a@acme.com"; MAX_LISTED + 1]), "use a share"),
        ] {
            let error = read(&order).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}

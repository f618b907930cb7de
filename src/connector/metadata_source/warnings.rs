//! What an operator is told about a provider's metadata, once for each occasion.

use std::time::Duration;

use crate::base::clock::{Tick, Timestamp};
use crate::base::id::Id;
use crate::connector::error::ProviderError;
use crate::connector::saml::certificate::Certificate;
use crate::connector::saml::metadata::IdpMetadata;

/// How long before something expires an operator is told (T47).
const AHEAD: Duration = Duration::from_secs(30 * 86_400);

/// How often they are told.
const REMIND_EVERY: Duration = Duration::from_secs(86_400);

/// How often the same failure is told.
const REPEAT_EVERY: Duration = Duration::from_secs(3_600);

/// Tells about one connector.
pub(super) struct Reporter {
    id: Id,
    failed: Option<(String, Tick)>,
    reminded: Option<Timestamp>,
}

impl Reporter {
    pub(super) const fn new(id: Id) -> Self {
        Self { id, failed: None, reminded: None }
    }

    /// A new document is in use.
    pub(super) fn accepted(&mut self, before: Option<&IdpMetadata>, now: &IdpMetadata) {
        self.reminded = None;
        let names = |metadata: &IdpMetadata| metadata.certificates.iter().map(Certificate::fingerprint).collect();
        let (old, new): (Vec<String>, Vec<String>) = (before.map(names).unwrap_or_default(), names(now));
        let others = |these: &[String], those: &[String]| {
            let others: Vec<&str> = these.iter().filter(|name| !those.contains(name)).map(String::as_str).collect();
            others.join(" ")
        };
        tracing::info!(
            connector = %self.id,
            entity_id = ?now.entity_id,
            certificates = new.len(),
            added = others(&new, &old),
            removed = others(&old, &new),
            "the provider's metadata was read"
        );
        for unusable in now.keys.unusable() {
            tracing::warn!(
                connector = %self.id,
                certificate = unusable.fingerprint,
                reason = unusable.why,
                "a signing certificate in the provider's metadata cannot be used: nothing that it signs is accepted"
            );
        }
    }

    /// The place could not be read, or what is there was refused.
    pub(super) fn failed(&mut self, error: &ProviderError, has_document: bool, now: Tick) {
        if self.is_news(error, now) {
            let (expected, found) = error.detail().unwrap_or_default();
            let (reason, in_use) = (error.reason(), if has_document { "the last good one" } else { "none" });
            let connector = &self.id;
            tracing::warn!(%connector, reason, ?expected, ?found, in_use, "the provider's metadata was not accepted");
        }
    }

    fn is_news(&mut self, error: &ProviderError, now: Tick) -> bool {
        // What was expected may hold the time of day.
        let text = format!("{} {}", error.reason(), error.detail().unwrap_or_default().1);
        if self.failed.as_ref().is_some_and(|(last, at)| *last == text && now.since(*at) < REPEAT_EVERY) {
            return false;
        }
        self.failed = Some((text, now));
        true
    }

    /// The place was read after all: the next failure is news.
    pub(super) fn recovered(&mut self) {
        self.failed = None;
    }

    /// What expires soon, once a day.
    pub(super) fn remind(&mut self, metadata: Option<&IdpMetadata>, now: Timestamp) {
        for reminder in metadata.map(|metadata| self.reminders(metadata, now)).unwrap_or_default() {
            reminder.tell(&self.id, now);
        }
    }

    fn reminders<'m>(&mut self, metadata: &'m IdpMetadata, now: Timestamp) -> Vec<Reminder<'m>> {
        if self.reminded.is_some_and(|at| now.since(at) < REMIND_EVERY) {
            return Vec::new();
        }
        self.reminded = Some(now);
        let certificates = metadata.certificates.iter().map(Reminder::Certificate);
        let all = certificates.chain(metadata.valid_until.map(Reminder::Document));
        all.filter(|reminder| reminder.expires() <= now.plus(AHEAD)).collect()
    }
}

/// Something that expires soon.
#[derive(Debug, PartialEq, Eq)]
enum Reminder<'m> {
    Certificate(&'m Certificate),
    Document(Timestamp),
}

impl Reminder<'_> {
    const fn expires(&self) -> Timestamp {
        match self {
            Self::Certificate(certificate) => certificate.not_after(),
            Self::Document(until) => *until,
        }
    }

    fn tell(&self, connector: &Id, now: Timestamp) {
        let expires = self.expires().rfc3339();
        match self {
            Self::Certificate(certificate) => {
                let (fingerprint, subject) = (certificate.fingerprint(), certificate.subject());
                // The key is trusted because the metadata names it (T47).
                let text = if self.expires() <= now {
                    "a signing certificate in the provider's metadata has expired; what it signs is still accepted"
                } else {
                    "a signing certificate in the provider's metadata expires soon: the provider will sign with another"
                };
                tracing::warn!(%connector, certificate = fingerprint, ?subject, expires, "{text}");
            }
            Self::Document(_) => tracing::warn!(
                %connector,
                expires,
                "the provider's metadata expires soon: after that nobody can sign in with it"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::error::Reason;
    use crate::connector::saml::certificate::fixtures::Made;
    use crate::connector::saml::metadata::Expected;

    const DAY: Duration = Duration::from_secs(86_400);

    fn reporter() -> Reporter {
        Reporter::new("acme".parse().unwrap())
    }

    /// 2026-11-22T12:00:00Z
    fn now() -> Timestamp {
        Timestamp::from_secs(1_795_348_800)
    }

    fn metadata(certificates: &[&Made], attributes: &str) -> IdpMetadata {
        let document = super::super::tests::document(certificates, attributes);
        let expected = Expected { entity_id: None, pinned: None, insecure_http: false, now: now() };
        IdpMetadata::parse(document.as_bytes(), &expected).unwrap()
    }

    #[test]
    fn what_expires_is_told_thirty_days_ahead_and_once_a_day_t47() {
        // Until 2026-12-31T00:00:00Z, 38.5 days ahead.
        let metadata = metadata(&[&Made::new("soon", 2026), &Made::new("later", 2030)], "");
        let mut reporter = reporter();
        let soon = [Reminder::Certificate(&metadata.certificates[0])];
        assert_eq!(reporter.reminders(&metadata, now()), []);
        assert_eq!(reporter.reminders(&metadata, now().plus(8 * DAY)), []);
        assert_eq!(reporter.reminders(&metadata, now().plus(9 * DAY)), soon);
        assert_eq!(reporter.reminders(&metadata, now().plus(9 * DAY + DAY / 2)), [], "once a day");
        assert_eq!(reporter.reminders(&metadata, now().plus(10 * DAY)), soon);
        assert_eq!(reporter.reminders(&metadata, now().plus(50 * DAY)), soon, "expired: told on");
        // A new document is judged anew.
        reporter.accepted(None, &metadata);
        assert_eq!(reporter.reminders(&metadata, now().plus(50 * DAY)), soon);
    }

    #[test]
    fn that_the_document_itself_expires_is_told() {
        let metadata = metadata(&[&Made::new("later", 2030)], "validUntil=\"2026-12-22T12:00:00Z\"");
        let until = Reminder::Document(metadata.valid_until.unwrap());
        assert_eq!(reporter().reminders(&metadata, now().minus(Duration::from_millis(1))), []);
        assert_eq!(reporter().reminders(&metadata, now()), [until]);
    }

    #[test]
    fn one_failure_is_told_once_an_hour_and_another_at_once() {
        let (mut reporter, start) = (reporter(), Tick::from_millis(0));
        let expired = |at: u64| {
            ProviderError::new(Reason::SamlMetadataExpired).saying(format_args!("validUntil after {at}"), "yesterday")
        };
        let other = ProviderError::from(Reason::SamlNoSigningKey);
        assert!(reporter.is_news(&expired(1), start));
        assert!(!reporter.is_news(&expired(2), start.plus(Duration::from_secs(5))));
        assert!(reporter.is_news(&expired(3), start.plus(REPEAT_EVERY)));
        assert!(reporter.is_news(&other, start.plus(REPEAT_EVERY)));
        assert!(!reporter.is_news(&other, start.plus(REPEAT_EVERY)));
        reporter.recovered();
        assert!(reporter.is_news(&other, start.plus(REPEAT_EVERY)));
    }
}

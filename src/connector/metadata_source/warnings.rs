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
        let (expected, found) = error.detail().unwrap_or_default();
        let text = format!("{} {expected} {found}", error.reason());
        if self.failed.as_ref().is_some_and(|(last, at)| *last == text && now.since(*at) < REPEAT_EVERY) {
            return;
        }
        self.failed = Some((text, now));
        let (reason, in_use) = (error.reason(), if has_document { "the last good one" } else { "none" });
        tracing::warn!(connector = %self.id, reason, ?expected, ?found, in_use, "the provider's metadata was not accepted");
    }

    /// The place was read after all: the next failure is news.
    pub(super) fn recovered(&mut self) {
        self.failed = None;
    }

    /// What expires soon, once a day.
    pub(super) fn remind(&mut self, metadata: Option<&IdpMetadata>, now: Timestamp) {
        let Some(metadata) = metadata else { return };
        if self.reminded.is_some_and(|at| now.since(at) < REMIND_EVERY) {
            return;
        }
        self.reminded = Some(now);
        for certificate in &metadata.certificates {
            let (expires, fingerprint) = (certificate.not_after(), certificate.fingerprint());
            if expires <= now {
                // The key is trusted because the metadata names it.
                tracing::warn!(
                    connector = %self.id,
                    certificate = fingerprint,
                    expired = expires.rfc3339(),
                    "a signing certificate in the provider's metadata has expired; what it signs is still accepted"
                );
            } else if expires <= now.plus(AHEAD) {
                tracing::warn!(
                    connector = %self.id,
                    certificate = fingerprint,
                    expires = expires.rfc3339(),
                    "a signing certificate in the provider's metadata expires soon: the provider will sign with another"
                );
            }
        }
        if let Some(until) = metadata.valid_until.filter(|until| *until <= now.plus(AHEAD)) {
            tracing::warn!(
                connector = %self.id,
                expires = until.rfc3339(),
                "the provider's metadata expires soon: after that nobody can sign in with it"
            );
        }
    }
}

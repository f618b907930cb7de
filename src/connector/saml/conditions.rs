//! When, for whom and where an assertion counts (SAML 2.0 Profiles, section 4.1.4.3).

use std::time::Duration;

use super::xml::{self, Element, SAML, trimmed};
use crate::base::clock::Timestamp;
use crate::connector::error::{ProviderError, Reason};

/// By how much the provider's clock may differ from ours.
pub(super) const SKEW: Duration = Duration::from_secs(60);

/// Confirmed by whoever brings it.
const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";

/// Where, when and in answer to what an assertion may come.
pub(super) struct Delivery<'a> {
    pub(super) acs_url: &'a str,
    /// None: it answers no request.
    pub(super) in_response_to: Option<&'a str>,
    pub(super) now: Timestamp,
}

impl Delivery<'_> {
    /// A time that must have come, but for the clocks' difference.
    ///
    /// # Errors
    ///
    /// [`Reason::SamlTime`].
    pub(super) fn has_begun(&self, name: &str, time: Timestamp) -> Result<(), ProviderError> {
        if time <= self.now.plus(SKEW) {
            return Ok(());
        }
        Err(self.bad_time(format_args!("{name} of at most now"), xml::write_time(time)))
    }

    /// A time that must not have come, but for the clocks' difference.
    ///
    /// # Errors
    ///
    /// [`Reason::SamlTime`].
    pub(super) fn has_not_ended(&self, name: &str, time: Timestamp) -> Result<(), ProviderError> {
        if self.now < time.plus(SKEW) {
            return Ok(());
        }
        Err(self.bad_time(format_args!("{name} after now"), xml::write_time(time)))
    }

    /// Whether the message or confirmation answers what it must.
    ///
    /// # Errors
    ///
    /// [`Reason::SamlInResponseTo`] (S17).
    pub(super) fn answers(&self, element: Element<'_>) -> Result<(), ProviderError> {
        let found = element.attribute("InResponseTo");
        if found == self.in_response_to {
            return Ok(());
        }
        let expected = self.in_response_to.unwrap_or("no InResponseTo");
        let found = format_args!("{} in {}", found.unwrap_or("none"), element.name());
        Err(ProviderError::new(Reason::SamlInResponseTo).saying(expected, found))
    }

    fn bad_time(&self, expected: impl std::fmt::Display, found: impl std::fmt::Display) -> ProviderError {
        let expected = format_args!("{expected} ({})", xml::write_time(self.now));
        ProviderError::new(Reason::SamlTime).saying(expected, found)
    }
}

/// The attribute `name` as a time; none if it is absent.
///
/// # Errors
///
/// [`Reason::SamlTime`]: it is no time in UTC.
pub(super) fn time(element: Element<'_>, name: &str) -> Result<Option<Timestamp>, ProviderError> {
    let Some(text) = element.attribute(name) else { return Ok(None) };
    match xml::time(text) {
        Some(time) => Ok(Some(time)),
        None => Err(ProviderError::new(Reason::SamlTime).saying(format_args!("{name} in UTC"), text)),
    }
}

/// The attribute `name` as a time that must be there.
///
/// # Errors
///
/// [`Reason::SamlTime`].
pub(super) fn required_time(element: Element<'_>, name: &str) -> Result<Timestamp, ProviderError> {
    let absent = || ProviderError::new(Reason::SamlTime).saying(format_args!("{name} in {}", element.name()), "none");
    time(element, name)?.ok_or_else(absent)
}

/// One of the subject's bearer confirmations must be for this delivery (S17, S18, S24). Returns until when any of them
/// might be.
///
/// # Errors
///
/// [`Reason::SamlSubject`]: there is none. Else why the first of them is not: [`Reason::SamlRecipient`],
/// [`Reason::SamlTime`], [`Reason::SamlInResponseTo`].
pub(super) fn confirm(subject: Element<'_>, delivery: &Delivery<'_>) -> Result<Timestamp, ProviderError> {
    let mut refusal = None;
    let mut confirmed = false;
    let mut until: Option<Timestamp> = None;
    for confirmation in subject.children_named(SAML, "SubjectConfirmation") {
        if confirmation.attribute("Method") != Some(BEARER) {
            continue;
        }
        match confirm_bearer(confirmation, delivery) {
            Ok(()) => confirmed = true,
            Err(error) => refusal = refusal.or(Some(error)),
        }
        let data = confirmation.only_child(SAML, "SubjectConfirmationData")?;
        until = until.max(data.map(|data| time(data, "NotOnOrAfter")).transpose()?.flatten());
    }
    match (until, refusal) {
        (Some(until), _) if confirmed => Ok(until),
        (_, Some(refusal)) => Err(refusal),
        _ => Err(ProviderError::new(Reason::SamlSubject).saying("a bearer confirmation", "none")),
    }
}

fn confirm_bearer(confirmation: Element<'_>, delivery: &Delivery<'_>) -> Result<(), ProviderError> {
    let data = confirmation.only_child(SAML, "SubjectConfirmationData")?.ok_or_else(|| {
        ProviderError::new(Reason::SamlSubject).saying("SubjectConfirmationData", "a bearer confirmation without it")
    })?;
    let recipient = data.attribute("Recipient");
    if recipient != Some(delivery.acs_url) {
        let found = recipient.unwrap_or("no Recipient");
        return Err(ProviderError::new(Reason::SamlRecipient).saying(delivery.acs_url, found));
    }
    if let Some(found) = data.attribute("NotBefore") {
        return Err(delivery.bad_time("no NotBefore in a bearer confirmation", found));
    }
    delivery.has_not_ended("NotOnOrAfter of the confirmation", required_time(data, "NotOnOrAfter")?)?;
    delivery.answers(data)
}

/// The conditions of an assertion for `audience` (S16, S18). Returns until when they hold, if they say so.
///
/// # Errors
///
/// [`Reason::SamlAudience`], [`Reason::SamlTime`], [`Reason::SamlStructure`]: a condition that nobody here knows, so
/// that nobody can tell whether it holds (SAML 2.0 Core, section 2.5.1).
pub(super) fn check(
    assertion: Element<'_>,
    audience: &str,
    delivery: &Delivery<'_>,
) -> Result<Option<Timestamp>, ProviderError> {
    let not_for_us = |found: &str| ProviderError::new(Reason::SamlAudience).saying(audience, found);
    let conditions = assertion.only_child(SAML, "Conditions")?.ok_or_else(|| not_for_us("no Conditions"))?;
    if let Some(not_before) = time(conditions, "NotBefore")? {
        delivery.has_begun("NotBefore of the conditions", not_before)?;
    }
    let until = time(conditions, "NotOnOrAfter")?;
    if let Some(until) = until {
        delivery.has_not_ended("NotOnOrAfter of the conditions", until)?;
    }
    let mut restricted = false;
    for condition in conditions.children() {
        if condition.is(SAML, "AudienceRestriction") {
            restricted = true;
            // Every restriction must hold; within one, any of its audiences is enough.
            let audiences: Vec<_> = condition.children_named(SAML, "Audience").map(Element::text).collect();
            if !audiences.iter().any(|found| trimmed(found) == audience) {
                return Err(not_for_us(audiences.first().map_or("no Audience", |found| trimmed(found))));
            }
            continue;
        }
        // Held by every assertion here: used once, and passed on to nobody.
        if !condition.is(SAML, "OneTimeUse") && !condition.is(SAML, "ProxyRestriction") {
            return Err(ProviderError::new(Reason::SamlStructure).saying("conditions that are known", condition.name()));
        }
    }
    if restricted { Ok(until) } else { Err(not_for_us("no AudienceRestriction")) }
}

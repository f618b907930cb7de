//! From an assertion's attributes to a person.

use std::collections::HashSet;

use super::entra;
use super::presets::{self, Preset};
use super::statement::{self, Statement};
use super::types::{Assertion, NameId};
use crate::base::email::{EmailAddress, EmailDomain};
use crate::base::role::Role;
use crate::config::{AttributeNames, SamlPreset};
use crate::connector::attributes::{Attributes, MAX_NAME, MAX_ROLES, is_own_name};
use crate::connector::error::{ProviderError, Reason};

/// More groups than this are refused, not cut (I10). Nobody is in more than 1,015 groups of one Active Directory, and
/// Entra sends 150.
const MAX_GROUPS: usize = 2_000;

/// Longest subject, in characters (SAML 2.0 Core, section 8.3.7).
const MAX_SUBJECT: usize = 256;

/// The one format of a name that is never given to another person (SAML 2.0 Core, section 8.3.7).
const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";

/// Formats of a name that is the same person's at each sign-in (SAML 2.0 Core, section 8.3). `transient` is another one
/// each time, and `entity` no person.
const LASTING_FORMATS: [&str; 6] = [
    PERSISTENT,
    "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
    "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
    "urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName",
    "urn:oasis:names:tc:SAML:1.1:nameid-format:WindowsDomainQualifiedName",
    "urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos",
];

/// How a connector's assertions are read.
pub(crate) struct Reader<'a> {
    pub(crate) preset: &'a SamlPreset,
    /// Over the preset.
    pub(crate) names: &'a AttributeNames,
    /// The e-mail domains of the connector.
    pub(crate) domains: &'a [EmailDomain],
    /// The provider whose keys signed.
    pub(crate) idp_entity_id: &'a str,
}

/// A person, as a connector over `OpenID` Connect gives one.
pub(crate) struct Person {
    pub(crate) attributes: Attributes,
    /// Without repetition, in the provider's order.
    pub(crate) groups: Vec<String>,
    /// The format of the `NameID` that is the subject, where the provider may give such a name to another person later.
    pub(crate) reassignable: Option<String>,
}

impl Reader<'_> {
    /// Reads a verified assertion.
    ///
    /// # Errors
    /// The address is missing (the error names what did arrive), no address, or in no domain of the connector; a name
    /// or address has several values (S25); no name of the person lasts (S24); the tenant or the organisation may not
    /// sign in; the groups are elsewhere or too many.
    pub(crate) fn read(&self, assertion: &Assertion) -> Result<Person, ProviderError> {
        let statement = Statement::of(assertion);
        let preset = presets::of(self.preset);
        let (subject, by_name) = match (self.preset, self.names.subject.as_deref().or(preset.subject)) {
            (SamlPreset::Entra { allowed_tenants }, named) => {
                let tid = entra::check_tenant(&statement, allowed_tenants, self.idp_entity_id)?;
                entra::check_member(&statement, tid, self.idp_entity_id)?;
                match named {
                    Some(named) => subject(&statement, named)?,
                    None => (entra::subject(&statement, tid)?, false),
                }
            }
            (_, named) => subject(&statement, named.unwrap_or(statement::NAME_ID))?,
        };
        let format = || statement.name_id().format.clone().unwrap_or_else(|| presets::UNSPECIFIED.to_owned());
        let email = self.email(&statement, preset)?;
        let preferred_username = statement.first_of(&self.names.preferred_username, preset.preferred_username)?;
        let own_name = |name: &str| is_own_name(name, self.domains).then(|| text(name)).flatten();
        Ok(Person {
            attributes: Attributes {
                subject,
                email,
                preferred_username: preferred_username.and_then(own_name),
                name: self.name(&statement, preset)?,
                role: self.role(&statement, preset),
            },
            groups: self.groups(&statement, preset)?,
            reassignable: by_name.then(format).filter(|format| format != PERSISTENT),
        })
    }

    /// By which means the person of a verified assertion signed in, in the words of RFC 8176 where it has one; empty where
    /// the provider does not say.
    pub(crate) fn methods(&self, assertion: &Assertion) -> Vec<String> {
        match self.preset {
            SamlPreset::Entra { .. } => entra::methods(&Statement::of(assertion)),
            _ => Vec::new(),
        }
    }

    fn email(&self, statement: &Statement<'_>, preset: &Preset) -> Result<EmailAddress, ProviderError> {
        let names = &self.names.email;
        let found = if names.is_empty() {
            self.usual_email(statement, preset)?.ok_or_else(|| statement.absent(Reason::EmailMissing, preset.email))?
        } else {
            statement.first(names)?.ok_or_else(|| statement.absent(Reason::EmailMissing, names))?
        };
        let invalid = |_| ProviderError::new(Reason::EmailInvalid).saying("an e-mail address", found);
        let email = found.parse::<EmailAddress>().map_err(invalid)?;
        let domain = email.domain();
        // A provider is one organisation's here, whose administrator chose what is sent as the address: one of its own
        // domains it must be.
        if let SamlPreset::Google { hosted_domains } = self.preset
            && !hosted_domains.contains(&domain)
        {
            return Err(ProviderError::new(Reason::HdMismatch)
                .saying(joined(hosted_domains), domain)
                .with_address(email));
        }
        if !self.domains.contains(&domain) {
            let refused = ProviderError::new(Reason::DomainNotAllowed).saying(joined(self.domains), domain);
            return Err(refused.with_address(email));
        }
        Ok(email)
    }

    fn usual_email<'s>(&self, statement: &Statement<'s>, preset: &Preset) -> Result<Option<&'s str>, ProviderError> {
        for name in preset.email {
            let found = statement.value(name)?;
            // Entra's `name` is the user principal name until an administrator makes a display name of it.
            let other = |found: &&str| *name != presets::NAME || found.contains('@');
            if let Some(found) = found.filter(other) {
                return Ok(Some(found));
            }
        }
        let name = statement.name_id();
        Ok(preset.names_by_address(name.format.as_deref()).then_some(name.person()))
    }

    fn name(&self, statement: &Statement<'_>, preset: &Preset) -> Result<Option<String>, ProviderError> {
        if let Some(name) = statement.first_of(&self.names.name, preset.name)? {
            return Ok(text(name));
        }
        if !self.names.name.is_empty() {
            return Ok(None);
        }
        // People have several given names; which of them to show is nobody's business here.
        let part = |names: &[&str]| statement.first(names).ok().flatten();
        let (given, surname) = (part(preset.name_parts.0), part(preset.name_parts.1));
        Ok(match (given, surname) {
            (Some(given), Some(surname)) => text(&format!("{given} {surname}")),
            (one, other) => one.or(other).and_then(text),
        })
    }

    /// The highest of the roles that we know.
    fn role(&self, statement: &Statement<'_>, preset: &Preset) -> Option<Role> {
        let roles = statement.all_of(&self.names.roles, preset.roles);
        if roles.len() > MAX_ROLES {
            return None;
        }
        roles.into_iter().filter_map(Role::from_name).max()
    }

    fn groups(&self, statement: &Statement<'_>, preset: &Preset) -> Result<Vec<String>, ProviderError> {
        let names = &self.names.groups;
        let entra = if names.is_empty() {
            preset.groups.contains(&presets::GROUPS)
        } else {
            names.iter().any(|name| name == presets::GROUPS)
        };
        if entra && statement.has(presets::GROUPS_LINK) {
            let expected = format_args!("{} in the assertion", presets::GROUPS);
            return Err(ProviderError::new(Reason::GroupsElsewhere).saying(expected, presets::GROUPS_LINK));
        }
        let groups = statement.all_of(names, preset.groups);
        if groups.len() > MAX_GROUPS {
            let expected = format_args!("at most {MAX_GROUPS}");
            return Err(ProviderError::new(Reason::GroupsTooMany).saying(expected, groups.len()));
        }
        Ok(groups.into_iter().map(str::to_owned).collect())
    }
}

impl<'a> Statement<'a> {
    /// [`first`](Self::first) of the operator's names, or, if there are none, of the preset's.
    fn first_of(&self, own: &[String], preset: &[&str]) -> Result<Option<&'a str>, ProviderError> {
        if own.is_empty() { self.first(preset) } else { self.first(own) }
    }

    /// The values of all of the operator's names together, or, if there are none, [`all`](Self::all) of the preset's, which
    /// are different names of one thing.
    fn all_of(&self, own: &[String], preset: &[&str]) -> Vec<&'a str> {
        if own.is_empty() {
            return self.all(preset);
        }
        let mut seen = HashSet::new();
        own.iter().flat_map(|name| self.values(name)).filter(|value| seen.insert(*value)).collect()
    }
}

/// The subject that this attribute names, or the `NameID`, and whether it is that. It does not fall back to another.
fn subject(statement: &Statement<'_>, name: &str) -> Result<(String, bool), ProviderError> {
    if name == statement::NAME_ID {
        return Ok((lasting(statement.name_id())?, true));
    }
    let absent = || statement.absent(Reason::SamlSubject, &[name]);
    let found = sound(statement.value(name)?.ok_or_else(absent)?)?;
    let without_case = presets::SUBJECT_IDENTIFIERS.contains(&name);
    Ok((if without_case { found.to_ascii_lowercase() } else { found }, false))
}

/// The `NameID` as the subject, if its format says that it stays the same (S24). No format is `unspecified`.
fn lasting(name_id: &NameId) -> Result<String, ProviderError> {
    match name_id.format.as_deref() {
        Some(format) if !LASTING_FORMATS.contains(&format) => {
            let expected = "a persistent NameID, or an attribute named in attributes.subject";
            Err(ProviderError::new(Reason::SamlSubject).saying(expected, format))
        }
        _ => sound(name_id.person()),
    }
}

fn sound(subject: &str) -> Result<String, ProviderError> {
    let length = subject.chars().count();
    if length == 0 || length > MAX_SUBJECT || subject.chars().any(char::is_control) {
        let expected = format_args!("a subject of 1 to {MAX_SUBJECT} characters");
        return Err(ProviderError::new(Reason::SamlSubject).saying(expected, format_args!("{length} characters")));
    }
    Ok(subject.to_owned())
}

fn text(text: &str) -> Option<String> {
    (text.chars().count() <= MAX_NAME).then(|| text.to_owned())
}

fn joined(domains: &[EmailDomain]) -> String {
    let domains: Vec<&str> = domains.iter().map(EmailDomain::as_str).collect();
    domains.join(" ")
}

#[cfg(test)]
pub(super) mod fixtures;
#[cfg(test)]
mod tests;

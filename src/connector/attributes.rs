//! From verified claims to an identity: the subject, the verified address, names, groups, role.

use serde_json::{Map, Value};

use super::entra;
use super::error::{ProviderError, Reason};
use super::google;
use super::groups::is_elsewhere;
use super::oidc::id_token::IdToken;
use crate::base::email::{EmailAddress, EmailDomain};
use crate::base::role::Role;
use crate::config::{ConnectorKind, OidcConnector};

/// More roles than this are none: no application was meant to get them.
pub(crate) const MAX_ROLES: usize = 1_000;

/// Longest display or user name that is passed on, in characters.
pub(crate) const MAX_NAME: usize = 255;

/// How a connector's claims are read.
pub(crate) struct Reader<'a> {
    pub(crate) connector: &'a OidcConnector,
    /// Entra: one tenant alone signs in here.
    pub(crate) single_tenant: bool,
}

/// What the claims say about a person, but their groups. All of it is verified.
pub(crate) struct Attributes {
    pub(crate) subject: String,
    pub(crate) email: EmailAddress,
    pub(crate) preferred_username: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) role: Option<Role>,
}

type Claims = Map<String, Value>;

impl Reader<'_> {
    /// Judges what must be in the ID token itself, whatever userinfo says (I04).
    pub(crate) fn check(&self, id_token: &IdToken) -> Result<(), ProviderError> {
        match &self.connector.kind {
            ConnectorKind::Google { hosted_domains } => google::check_organisation(&id_token.claims, hosted_domains),
            ConnectorKind::Entra { .. } => entra::subject(&id_token.claims).map(|_| ()),
            ConnectorKind::Oidc { .. } => Ok(()),
        }
    }

    /// Whether userinfo has to be asked: the address is not in the ID token, or a claim is not that the operator
    /// named.
    pub(crate) fn needs_userinfo(&self, claims: &Claims) -> bool {
        let OidcConnector { groups_claim, roles_claim, .. } = self.connector;
        let named = |claim: &str, default: &str| {
            claim != default && !claims.contains_key(claim) && !is_elsewhere(claims, claim)
        };
        matches!(self.address(claims), Ok(None)) || named(groups_claim, "groups") || named(roles_claim, "roles")
    }

    /// The claims of a session's ID token with what userinfo says by now. What userinfo does not speak of stays as it
    /// was, and so do the claims that say who somebody is, or which organisation answers for them.
    pub(crate) fn renew(&self, mut claims: Claims, mut userinfo: Claims) -> Claims {
        let email = self.email_claim();
        // An address and the word that it is verified come from one document.
        let other = userinfo.get(email).is_some_and(|now| Some(now) != claims.get(email));
        for marker in ["email_verified", "xms_edov"] {
            if other {
                claims.remove(marker);
            }
            claims.extend(userinfo.remove_entry(marker).filter(|_| userinfo.contains_key(email)));
        }
        for name in self.personal_claims() {
            claims.extend(userinfo.remove_entry(name));
        }
        claims
    }

    /// The claims that userinfo may say, beside the markers of an address.
    fn personal_claims(&self) -> [&str; 8] {
        let OidcConnector { groups_claim, roles_claim, .. } = self.connector;
        [self.email_claim(), "upn", "preferred_username", "name", "active", "_claim_names", groups_claim, roles_claim]
    }

    /// The ID token's claims with what only userinfo has. Claims that say who somebody is, or which organisation
    /// answers for them, are never taken from there.
    pub(crate) fn complete(&self, mut claims: Claims, mut userinfo: Claims) -> Claims {
        let email = self.email_claim();
        if !claims.contains_key(email) {
            // An address and the word that it is verified come from one document.
            for marker in ["email_verified", "xms_edov"] {
                claims.remove(marker);
                claims.extend(userinfo.remove_entry(marker));
            }
        }
        for name in self.personal_claims() {
            if !claims.contains_key(name) {
                claims.extend(userinfo.remove_entry(name));
            }
        }
        claims
    }

    /// Reads the attributes. The person must be active, where the provider says so, and the address verified and in one
    /// of `domains` (I03, I08, I09).
    pub(crate) fn read(
        &self,
        subject: String,
        claims: &Claims,
        domains: &[EmailDomain],
    ) -> Result<Attributes, ProviderError> {
        if matches!(claims.get("active"), Some(Value::Bool(false))) {
            return Err(ProviderError::new(Reason::AccountInactive).saying("active: true", "false"));
        }
        let subject = match self.connector.kind {
            ConnectorKind::Entra { .. } => entra::subject(claims)?,
            ConnectorKind::Google { .. } | ConnectorKind::Oidc { .. } => subject,
        };
        let email = match self.address(claims)? {
            None => return Err(ProviderError::new(Reason::EmailMissing).saying(self.email_claim(), "")),
            Some(Value::String(text)) => text.parse::<EmailAddress>().map_err(|_| email_invalid(text))?,
            Some(other) => return Err(email_invalid(&other.to_string())),
        };
        if !domains.contains(&email.domain()) {
            let expected: Vec<&str> = domains.iter().map(EmailDomain::as_str).collect();
            let refused = ProviderError::new(Reason::DomainNotAllowed).saying(expected.join(" "), email.domain());
            return Err(refused.with_address(email));
        }
        Ok(Attributes {
            subject,
            email,
            preferred_username: text(claims, "preferred_username").filter(|name| is_own_name(name, domains)),
            name: text(claims, "name"),
            role: roles(claims, &self.connector.roles_claim).max(),
        })
    }

    /// The verified address as it stands in the claims; None: it is not there.
    fn address<'c>(&self, claims: &'c Claims) -> Result<Option<&'c Value>, ProviderError> {
        let vouched = match &self.connector.kind {
            ConnectorKind::Entra { .. } => {
                return entra::address(claims, self.single_tenant, self.connector.email_claim.as_deref());
            }
            ConnectorKind::Google { .. } => false,
            ConnectorKind::Oidc { email_is_verified_by_operator } => *email_is_verified_by_operator,
        };
        let Some(email) = claims.get(self.email_claim()) else { return Ok(None) };
        // The marker speaks of `email` alone (Core section 5.1): another claim may be one that people edit themselves.
        let verified = self.email_claim() == "email"
            && match claims.get("email_verified") {
                Some(Value::Bool(verified)) => *verified,
                Some(Value::String(text)) => text == "true",
                _ => false,
            };
        if vouched || verified {
            Ok(Some(email))
        } else {
            let found = claims.get("email_verified").map_or_else(|| String::from("absent"), Value::to_string);
            Err(ProviderError::new(Reason::EmailUnverified).saying("email_verified: true", found))
        }
    }

    fn email_claim(&self) -> &str {
        match (&self.connector.kind, &self.connector.email_claim) {
            (ConnectorKind::Oidc { .. }, Some(claim)) => claim,
            _ => "email",
        }
    }
}

/// Whether a user name says nothing about somebody else's domain: applications take one that looks like an address for
/// an address, and one connector's people must not pass for another's.
pub(crate) fn is_own_name(name: &str, domains: &[EmailDomain]) -> bool {
    !name.contains('@') || name.parse::<EmailAddress>().is_ok_and(|address| domains.contains(&address.domain()))
}

fn email_invalid(found: &str) -> ProviderError {
    ProviderError::new(Reason::EmailInvalid).saying("an e-mail address", found)
}

fn text(claims: &Claims, name: &str) -> Option<String> {
    let text = claims.get(name)?.as_str()?;
    (!text.is_empty() && text.chars().count() <= MAX_NAME).then(|| text.to_owned())
}

/// The roles that we know in a claim that is a list of strings, or one.
fn roles(claims: &Claims, name: &str) -> impl Iterator<Item = Role> {
    let claim = claims.get(name).filter(|_| !is_elsewhere(claims, name));
    let names = match claim {
        Some(Value::Array(many)) if many.len() <= MAX_ROLES => many.as_slice(),
        Some(one @ Value::String(_)) => std::slice::from_ref(one),
        _ => &[],
    };
    names.iter().filter_map(Value::as_str).filter_map(Role::from_name)
}

#[cfg(test)]
mod tests;

//! Microsoft Entra ID. A person is `tid` + `oid`; the issuer is bound to the token's own tenant; and most claims that
//! look like an address can be set to anything by the administrator of some tenant (I01–I03, "nOAuth").

use serde_json::{Map, Value};
use url::Url;

use super::error::{ProviderError, Reason};
use super::oidc::id_token::string;
use super::oidc::metadata::{rejected, without_slash};

/// The tenant of personal Microsoft accounts. Nobody's organisation.
pub(crate) const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// Stands for the tenant in the issuer of a multi-tenant authority's document.
const TEMPLATE: &str = "{tenantid}";

const SUFFIX: &str = "/v2.0";

/// What stands before the tenant in the issuer of version 1.
const V1: &str = "https://sts.windows.net/";

/// The authority that the operator wrote.
pub(crate) struct Authority {
    /// What stands before the tenant, with its slash: `https://login.microsoftonline.com/`.
    prefix: String,
    tenant: Tenant,
    allowed: Vec<String>,
}

enum Tenant {
    Id(String),
    /// `common`, `organizations`: which tenants is for `allowed` alone.
    Any,
    /// A domain of the tenant; the document says its id.
    Domain,
}

impl Authority {
    /// `issuer` ends in `/<tenant>/v2.0`.
    pub(crate) fn new(issuer: &Url, tenant: &str, allowed: &[String]) -> Self {
        let base = without_slash(issuer.as_str());
        let base = base.strip_suffix(SUFFIX).unwrap_or(base);
        let prefix = base.rfind('/').and_then(|slash| base.get(..=slash)).unwrap_or(base).to_owned();
        let tenant = match tenant {
            "common" | "organizations" => Tenant::Any,
            id if is_id(id) => Tenant::Id(id.to_owned()),
            _ => Tenant::Domain,
        };
        let allowed = match &tenant {
            Tenant::Id(id) if allowed.is_empty() => vec![id.clone()],
            _ => allowed.to_vec(),
        };
        Self { prefix, tenant, allowed }
    }

    /// Judges the issuer of the discovery document.
    pub(crate) fn accepts_document(&self, found: &str) -> Result<(), ProviderError> {
        let tenant = self.tenant_in(found);
        let (good, expected) = match &self.tenant {
            Tenant::Id(id) => (tenant.is_some_and(|t| t.eq_ignore_ascii_case(id)), id.as_str()),
            Tenant::Any => (tenant == Some(TEMPLATE), TEMPLATE),
            Tenant::Domain => (tenant.is_some_and(is_id), "<tenant id>"),
        };
        let expected = || format!("{}{expected}{SUFFIX}", self.prefix);
        if good { Ok(()) } else { Err(rejected(&expected(), found)) }
    }

    /// Judges the issuer of a token, given that of the document: the one with the token's own `tid` in it, and that
    /// tenant may sign in.
    pub(crate) fn check_issuer(
        &self,
        document: &str,
        iss: &str,
        claims: &Map<String, Value>,
    ) -> Result<(), ProviderError> {
        let tid = string(claims, "tid")?;
        let expected = document.replace(TEMPLATE, tid);
        if iss != expected {
            let other_tenant = self.tenant_in(iss).is_some() || iss.starts_with(V1);
            let reason = if other_tenant { Reason::TenantMismatch } else { Reason::IssMismatch };
            return Err(ProviderError::new(reason).saying(expected, iss));
        }
        if !is_id(tid) || tid.eq_ignore_ascii_case(CONSUMERS) || self.tenant_in(iss) != Some(tid) {
            return Err(ProviderError::new(Reason::TenantMismatch).saying(iss, tid));
        }
        if self.allowed(document).any(|allowed| allowed.eq_ignore_ascii_case(tid)) {
            return Ok(());
        }
        let allowed: Vec<&str> = self.allowed(document).collect();
        Err(ProviderError::new(Reason::TenantNotAllowed).saying(allowed.join(" "), tid))
    }

    /// Whether `iss` on a callback may be this provider (RFC 9207): the document's, or one of its tenants'.
    pub(crate) fn is_callback_issuer(&self, document: &str, iss: &str) -> bool {
        iss == document || self.is_tenants_issuer(document, iss)
    }

    /// Whether `iss` may be that of a logout token, which names no `tid`: a tenant's that may sign in.
    pub(crate) fn is_tenants_issuer(&self, document: &str, iss: &str) -> bool {
        self.allowed(document).any(|tid| document.replace(TEMPLATE, tid) == iss)
    }

    /// Whether `iss` names a tenant that may sign in, by the issuer of either of Entra's versions, with or without `/v2.0`
    /// and a slash at the end. `document`: the document's issuer, if it was fetched.
    pub(crate) fn names_tenant(&self, document: Option<&str>, iss: &str) -> bool {
        let iss = without_slash(iss);
        let of_v2 = || iss.strip_suffix(SUFFIX).unwrap_or(iss).strip_prefix(self.prefix.as_str());
        let named = iss.strip_prefix(V1).or_else(of_v2);
        let mut known = self.allowed(document.unwrap_or_default());
        named.is_some_and(|named| known.any(|tenant| tenant.eq_ignore_ascii_case(named)))
    }

    /// Whether one tenant alone signs in here: then its members' user names are its own to give.
    pub(crate) fn is_single_tenant(&self, document: &str) -> bool {
        self.allowed(document).take(2).count() == 1
    }

    fn allowed<'s>(&'s self, document: &'s str) -> impl Iterator<Item = &'s str> {
        let learnt = match self.tenant {
            Tenant::Domain if self.allowed.is_empty() => self.tenant_in(document),
            _ => None,
        };
        self.allowed.iter().map(String::as_str).chain(learnt)
    }

    fn tenant_in<'i>(&self, issuer: &'i str) -> Option<&'i str> {
        let tenant = issuer.strip_prefix(self.prefix.as_str())?.strip_suffix(SUFFIX)?;
        (!tenant.is_empty() && !tenant.contains('/')).then_some(tenant)
    }
}

/// `tid.oid`: the same person in every application, unlike `sub`.
pub(crate) fn subject(claims: &Map<String, Value>) -> Result<String, ProviderError> {
    subject_of(string(claims, "tid")?, string(claims, "oid")?)
}

/// The subject, whatever protocol named tenant and object: a change of protocol keeps the person.
pub(crate) fn subject_of(tid: &str, oid: &str) -> Result<String, ProviderError> {
    if is_id(oid) {
        Ok(format!("{tid}.{oid}"))
    } else {
        Err(ProviderError::new(Reason::SubInvalid).saying("oid: an object id", oid))
    }
}

/// The claim that holds the verified address: for a member of the single tenant the user name, else `email` if its
/// domain's owner is verified (`xms_edov`). `claim` narrows which. None: the claims have no address.
pub(crate) fn address<'c>(
    claims: &'c Map<String, Value>,
    single_tenant: bool,
    claim: Option<&str>,
) -> Result<Option<&'c Value>, ProviderError> {
    let names: &[&str] = match claim {
        None => &["upn", "preferred_username"],
        Some("upn") => &["upn"],
        Some("preferred_username") => &["preferred_username"],
        Some(_) => &[],
    };
    let user_name = names.iter().find_map(|name| claims.get(*name));
    let external = user_name.and_then(Value::as_str).is_some_and(|name| name.to_ascii_uppercase().contains("#EXT#"));
    if single_tenant && is_member(claims) && !external && !names.is_empty() {
        return Ok(user_name);
    }
    if !matches!(claim, None | Some("email")) {
        let found = format!("{} of a guest, or not a claim that Entra verifies", claim.unwrap_or_default());
        return Err(ProviderError::new(Reason::EmailUnverified).saying("a verified address", found));
    }
    let Some(email) = claims.get("email") else { return Ok(None) };
    let verified = match claims.get("xms_edov") {
        Some(Value::Bool(verified)) => *verified,
        Some(Value::Number(number)) => number.as_i64() == Some(1),
        Some(Value::String(text)) => matches!(text.as_str(), "1" | "true"),
        _ => false,
    };
    if verified {
        Ok(Some(email))
    } else {
        Err(ProviderError::new(Reason::EmailUnverified).saying("xms_edov", "absent or false"))
    }
}

/// A member signs in with the tenant itself: `acct` is not 1 (guest), and `idp`, if present, is the issuer.
fn is_member(claims: &Map<String, Value>) -> bool {
    let account = match claims.get("acct") {
        None => true,
        Some(Value::Number(acct)) => acct.as_i64() == Some(0),
        Some(Value::String(acct)) => acct == "0",
        Some(_) => false,
    };
    account && claims.get("idp").is_none_or(|idp| Some(idp) == claims.get("iss"))
}

/// Whether this is an id of Entra's: a GUID with hyphens.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

#[cfg(test)]
mod tests;

//! Microsoft Entra ID over SAML: which tenant vouches, for whom, and whether for one of its own people (I01–I03). The
//! four attributes that decide are in every assertion, and no administrator of a tenant can change what they say.

use url::Url;

use super::presets::{IDENTITY_PROVIDER, NAME, OBJECT, TENANT, UPN};
use super::statement::Statement;
use crate::connector::entra::{CONSUMERS, is_id, subject_of};
use crate::connector::error::{ProviderError, Reason};

/// The tenant that issues as `entity_id`: `https://sts.windows.net/<tenant>/`, in each of Microsoft's clouds, and where
/// it is set so with the application's id behind.
pub(crate) fn tenant_of(entity_id: &str) -> Option<String> {
    let url = Url::parse(entity_id).ok()?;
    let tenant = url.path_segments()?.next()?;
    is_id(tenant).then(|| tenant.to_owned())
}

/// The tenant of the person: the one whose keys signed, and one that may sign in. With `allowed` empty that is the one
/// that issues as `entity_id`.
pub(super) fn check_tenant<'s>(
    statement: &Statement<'s>,
    allowed: &[String],
    entity_id: &str,
) -> Result<&'s str, ProviderError> {
    let tid = statement.required(TENANT)?;
    let issuer = tenant_of(entity_id);
    let issued_by_another = issuer.as_ref().is_some_and(|issuer| !issuer.eq_ignore_ascii_case(tid));
    if issued_by_another || !is_id(tid) || tid.eq_ignore_ascii_case(CONSUMERS) {
        return Err(ProviderError::new(Reason::TenantMismatch).saying(entity_id, tid));
    }
    let own = issuer.as_slice();
    let allowed = if allowed.is_empty() { own } else { allowed };
    if allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(tid)) {
        return Ok(tid);
    }
    Err(ProviderError::new(Reason::TenantNotAllowed).saying(allowed.join(" "), tid))
}

/// `tid.oid`, as over `OpenID` Connect.
pub(super) fn subject(statement: &Statement<'_>, tid: &str) -> Result<String, ProviderError> {
    subject_of(tid, statement.required(OBJECT)?)
}

/// The person is a member of the tenant. A guest's names come from elsewhere, and SAML has no word, like `xms_edov`, that
/// their domain's owner is known.
pub(super) fn check_member(statement: &Statement<'_>, tid: &str, entity_id: &str) -> Result<(), ProviderError> {
    let refused =
        |found: &str| Err(ProviderError::new(Reason::EmailUnverified).saying("a member of the tenant", found));
    for idp in statement.values(IDENTITY_PROVIDER) {
        let own = idp == entity_id || tenant_of(idp).is_some_and(|tenant| tenant.eq_ignore_ascii_case(tid));
        if !own {
            return refused(idp);
        }
    }
    let names = [UPN, NAME].into_iter().flat_map(|name| statement.values(name));
    let external = |name: &str| name.to_ascii_uppercase().contains("#EXT#");
    if names.chain([statement.name_id().value.as_str()]).any(external) {
        return refused("a user name with #EXT#");
    }
    Ok(())
}

//! The authority of Microsoft Entra ID, in the forms that administrators copy.

use url::Url;

use super::connector_values::issuer_url;
use super::connectors::ConnectorKind;
use super::parse::{Context, wrong};
use super::problem::Place;
use super::read::{At, Field};

const CLOUD: &str = "https://login.microsoftonline.com";
/// Authorities that let in more than one tenant.
const SHARED: [&str; 3] = ["common", "organizations", "consumers"];
const TENANT: &str = "allowed: the tenant's id (a GUID) or a domain of the tenant; or common, organizations or \
                      consumers, with allowed_tenants";
const AUTHORITY: &str = "allowed: https://login.microsoftonline.com/<tenant>, with or without /v2.0";

/// Issuer and tenant from `issuer` or `tenant_id`.
pub(super) fn resolve(
    issuer: Field<String>,
    tenant_id: Field<String>,
    allowed: Field<Vec<At<String>>>,
    place: &Place,
    cx: &mut Context<'_>,
) -> Option<(ConnectorKind, Url)> {
    let tenant_place = [tenant_id.set(), issuer.set()].into_iter().flatten().map(|at| at.place.clone()).next();
    let allowed_place = allowed.set().map_or_else(|| place.child("allowed_tenants"), |at| at.place.clone());
    let allowed = allowed.parse_each(cx.report, |text| {
        guid(text).ok_or_else(|| wrong(text, "allowed: a tenant id, which is a GUID; tokens name tenants by it"))
    });
    let both = issuer.is_written() && tenant_id.is_written();
    let from_issuer = issuer.parse(cx.report, |text| authority(text));
    let from_id = tenant_id.parse(cx.report, |text| {
        let tenant = tenant(text)?;
        let url = Url::parse(&format!("{CLOUD}/{tenant}/v2.0")).map_err(|_| wrong(text, TENANT))?;
        Ok((tenant, url))
    });
    if both {
        let text = "the tenant is given twice: issuer names it too; allowed: issuer or tenant_id";
        cx.report.problem(tenant_place.as_ref().unwrap_or(place), text);
        return None;
    }
    let (tenant, issuer) = match (from_issuer, from_id) {
        (Field::Set(at), _) | (_, Field::Set(at)) => at.value,
        (Field::Absent, Field::Absent) => {
            let text = format!("missing; {AUTHORITY}; or tenant_id in its place");
            cx.report.problem(&place.child("issuer"), text);
            return None;
        }
        (Field::Invalid, _) | (_, Field::Invalid) => return None,
    };
    let allowed = allowed.values_or(Vec::new)?;
    let allowed_tenants = match (guid(&tenant), allowed.is_empty()) {
        (Some(id), true) => vec![id],
        (Some(id), false) if !allowed.contains(&id) => {
            let text = format!(
                "does not contain {id:?}, the only tenant whose users the issuer lets in; add it, or \
                                leave allowed_tenants out"
            );
            cx.report.problem(&allowed_place, text);
            return None;
        }
        (None, true) => {
            let reason = if SHARED.contains(&tenant.as_str()) {
                "lets users of any tenant in"
            } else {
                "names the tenant by a domain, and tokens name it by its id"
            };
            let text =
                format!("missing; {tenant:?} {reason}; allowed: the ids (GUIDs) of the tenants that may sign in");
            cx.report.problem(&allowed_place, text);
            return None;
        }
        (_, false) => allowed,
    };
    Some((ConnectorKind::Entra { tenant, allowed_tenants }, issuer))
}

/// entra over SAML: ids of the tenants that may sign in; empty: the one that the metadata names.
pub(super) fn saml_tenants(
    tenant_id: Field<String>,
    allowed: Field<Vec<At<String>>>,
    place: &Place,
    cx: &mut Context<'_>,
) -> Option<Vec<String>> {
    let allowed_place = allowed.place_in(place, "allowed_tenants");
    let by_id = "allowed: the tenant's id, which is a GUID; assertions name tenants by it";
    let id = tenant_id.parse(cx.report, |text| guid(text).ok_or_else(|| wrong(text, by_id))).optional();
    let allowed = allowed.parse_each(cx.report, |text| guid(text).ok_or_else(|| wrong(text, by_id))).optional();
    let (id, allowed) = (id?, allowed?);
    let allowed: Option<Vec<String>> = allowed.map(|list| list.into_iter().map(|at| at.value).collect());
    match (id, allowed) {
        (_, Some(allowed)) if allowed.is_empty() => {
            let text = "found an empty list, so nobody could sign in; leave it out for the tenant of the metadata";
            cx.report.problem(&allowed_place, text);
            None
        }
        (Some(id), Some(allowed)) if !allowed.contains(&id) => {
            let text = format!("does not contain {id:?}, which tenant_id names; add it, or leave one of the two out");
            cx.report.problem(&allowed_place, text);
            None
        }
        (_, Some(allowed)) => Some(allowed),
        (id, None) => Some(id.into_iter().collect()),
    }
}

/// The tenant and the issuer, which ends in `/v2.0`. The tenant is the last segment before that; what comes before
/// it belongs to the authority.
fn authority(text: &str) -> Result<(String, Url), String> {
    let mut url = issuer_url(text)?;
    if url.host_str() == Some("sts.windows.net") {
        return Err(wrong(text, &format!("that is the issuer of version 1 tokens; {AUTHORITY}")));
    }
    let path = url.path().strip_suffix("/v2.0").unwrap_or(url.path()).trim_end_matches('/').to_owned();
    let (before, last) = path.rsplit_once('/').ok_or_else(|| wrong(text, AUTHORITY))?;
    if matches!(last, "" | "oauth2" | "authorize" | "token") {
        return Err(wrong(text, AUTHORITY));
    }
    let tenant = tenant(last).map_err(|_| wrong(text, &format!("{last:?} is no tenant; {TENANT}")))?;
    url.set_path(&format!("{before}/{tenant}/v2.0"));
    Ok((tenant, url))
}

fn tenant(text: &str) -> Result<String, String> {
    let lower = text.to_ascii_lowercase();
    let label = |l: &str| !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let domain = lower.contains('.') && lower.split('.').all(label);
    if guid(&lower).is_some() || domain || SHARED.contains(&lower.as_str()) {
        Ok(lower)
    } else {
        Err(wrong(text, TENANT))
    }
}

/// A GUID in the form that tokens have it in.
fn guid(text: &str) -> Option<String> {
    let id = uuid::Uuid::try_parse(text).ok()?;
    (text.len() == 36).then(|| id.hyphenated().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "11111111-2222-3333-4444-55555555abcd";

    #[test]
    fn every_form_of_an_authority_is_one_issuer() {
        let wanted = format!("https://login.microsoftonline.com/{ID}/v2.0");
        for form in ["", "/", "/v2.0", "/v2.0/"] {
            let (tenant, issuer) = authority(&format!("https://login.microsoftonline.com/{ID}{form}")).unwrap();
            assert_eq!((tenant.as_str(), issuer.as_str()), (ID, wanted.as_str()), "{form:?}");
        }
        let (tenant, _) = authority(&format!("https://login.microsoftonline.com/{}/", ID.to_uppercase())).unwrap();
        assert_eq!(tenant, ID);
    }

    #[test]
    fn an_authority_of_another_cloud_may_have_a_path_before_the_tenant() {
        let (tenant, issuer) = authority(&format!("http://entra.localhost:7000/cloud/{ID}")).unwrap();
        assert_eq!(tenant, ID);
        assert_eq!(issuer.as_str(), format!("http://entra.localhost:7000/cloud/{ID}/v2.0"));
    }

    #[test]
    fn what_is_no_authority_is_refused() {
        for bad in [
            "https://login.microsoftonline.com",
            "https://login.microsoftonline.com/v2.0",
            "https://login.microsoftonline.com/not-a-tenant/v2.0",
            "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
            "https://login.microsoftonline.com/common/oauth2/v2.0",
            "https://sts.windows.net/11111111-2222-3333-4444-55555555abcd/",
        ] {
            assert!(authority(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tenants_are_guids_domains_or_shared() {
        for good in [ID, "contoso.onmicrosoft.com", "common", "organizations", "Consumers"] {
            assert!(tenant(good).is_ok(), "{good}");
        }
        for bad in
            ["", "contoso", "a/b", "{11111111-2222-3333-4444-55555555abcd}", "111111112222333344445555555abcd", "."]
        {
            assert!(tenant(bad).is_err(), "{bad}");
        }
    }
}

//! Microsoft Entra ID over SAML: which tenant vouches, for whom, and whether for one of its own people (I01–I03). The
//! four attributes that decide are in every assertion, and no administrator of a tenant can change what they say.

use url::Url;

use super::presets::{IDENTITY_PROVIDER, METHODS, NAME, OBJECT, TENANT, UPN};
use super::statement::Statement;
use crate::connector::entra::{CONSUMERS, is_id, subject_of};
use crate::connector::error::{ProviderError, Reason};
use crate::connector::oidc::requirement;

/// Hosts that Microsoft's clouds issue from: the public one, that of the United States' government and that of China.
/// Anybody can have a path with a tenant's id on a host of their own.
const HOSTS: [&str; 11] = [
    "sts.windows.net",
    "login.microsoftonline.com",
    "login.microsoft.com",
    "login.windows.net",
    "login-us.microsoftonline.com",
    "login.microsoftonline.us",
    "login.usgovcloudapi.net",
    "sts.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "login.chinacloudapi.cn",
    "sts.chinacloudapi.cn",
];

/// The tenant that issues as `entity_id`: `https://sts.windows.net/<tenant>/`, in each of Microsoft's clouds, and where
/// it is set so with the application's id behind.
pub(crate) fn tenant_of(entity_id: &str) -> Option<String> {
    let url = Url::parse(entity_id).ok()?;
    let of_microsoft = url.scheme() == "https"
        && url.host_str().is_some_and(|host| HOSTS.contains(&host))
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    let tenant = url.path_segments()?.next().filter(|_| of_microsoft)?;
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

/// Before a method's name.
const METHOD: &str = "http://schemas.microsoft.com/ws/2008/06/identity/authenticationmethod/";

/// What `amr` says over `OpenID` Connect, in the same words as far as RFC 8176 and Entra's own tokens have them; other
/// methods keep Microsoft's name, and what is no name of Microsoft's stays as it is.
pub(super) fn methods(statement: &Statement<'_>) -> Vec<String> {
    let word = |method: &str| match method.strip_prefix(METHOD) {
        Some("password") => "pwd".to_owned(),
        Some("windows") => "wia".to_owned(),
        Some(other) => other.to_owned(),
        None if method == "http://schemas.microsoft.com/claims/multipleauthn" => "mfa".to_owned(),
        None => method.to_owned(),
    };
    requirement::methods(statement.values(METHODS).into_iter().map(word))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::saml::attributes::fixtures::assertion;
    use crate::connector::saml::types::{Assertion, Attribute};

    const TENANT: &str = "11111111-2222-4333-8444-555555555555";

    #[test]
    fn methods_have_the_words_of_openid_connect_o33() {
        let read = |values: &[&str]| {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            let attribute = Attribute { name: METHODS.into(), friendly_name: None, values };
            let assertion =
                Assertion { attributes: vec![attribute], ..assertion("<Subject><NameID>a</NameID></Subject>") };
            methods(&Statement::of(&assertion))
        };
        let mfa = "http://schemas.microsoft.com/claims/multipleauthn";
        let [password, windows, x509] = ["password", "windows", "x509"].map(|name| format!("{METHOD}{name}"));
        assert_eq!(read(&[&password, mfa, &password]), ["pwd", "mfa"]);
        assert_eq!(read(&[&windows, &x509]), ["wia", "x509"]);
        assert_eq!(read(&["https://refeds.org/profile/mfa"]), ["https://refeds.org/profile/mfa"]);
        // Nothing that is only like it.
        for other in [
            &format!("{mfa}/"),
            &mfa.to_uppercase(),
            &format!("{METHOD}multipleauthn"),
            &mfa.replace("http:", "https:"),
        ] {
            assert!(!read(&[other]).contains(&"mfa".to_owned()), "{other}");
        }
        assert_eq!(read(&[]), [""; 0]);
        assert_eq!(read(&[&"x".repeat(256), mfa]), ["mfa"], "nobody's method");
        let many: Vec<String> = (0..50).map(|n| format!("m{n}")).collect();
        let mut many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(read(&many).len(), 50);
        many.push(mfa);
        assert_eq!(read(&many), [""; 0], "as over OpenID Connect");
    }

    #[test]
    fn only_microsofts_own_hosts_name_a_tenant_i02() {
        for host in HOSTS {
            let of = |rest: &str| tenant_of(&format!("https://{host}/{TENANT}{rest}"));
            for rest in ["", "/", "/v2.0", "/99999999-2222-4333-8444-555555555555"] {
                assert_eq!(of(rest).as_deref(), Some(TENANT), "{host} {rest}");
            }
        }
        for stranger in [
            "https://evil.example/",
            "https://sts.windows.net.evil.example/",
            "https://evil.sts.windows.net/",
            "https://windows.net/",
            "https://sts.windows.net./",
            "https://sts.windows.net:8443/",
            "https://sts.windows.net@evil.example/",
            "https://me@sts.windows.net/",
            "https://:me@sts.windows.net/",
            "http://sts.windows.net/",
            "urn:sts.windows.net:",
            "https://sts.windows.net/x/",
            "",
        ] {
            assert_eq!(tenant_of(&format!("{stranger}{TENANT}/")), None, "{stranger}");
        }
        assert_eq!(tenant_of("https://sts.windows.net/acme.com/"), None, "a name is no id");
    }
}

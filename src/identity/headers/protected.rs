//! What a client may not send (X01): names that some application takes for proof of who is there.

use http::HeaderName;

/// Families that are protected whole, in lower case.
pub const PROTECTED_PREFIXES: &[&str] = &[
    "x-anteroom-",
    // oauth2-proxy behind nginx auth_request
    "x-auth-request-",
    // Authelia, and CGI's REMOTE_USER as a header
    "remote-",
    "x-remote-",
    // Grafana, Gitea
    "x-webauth-",
    // products that applications may have been moved from
    "x-authentik-",
    "x-pomerium-",
    "x-vouch-",
    // mod_auth_openidc's OIDC_CLAIM_…
    "oidc-claim-",
    // identity-aware proxies of clouds
    "cf-access-",
    "x-amzn-oidc-",
    "x-goog-authenticated-user-",
    "x-goog-iap-",
    "x-ms-client-principal",
];

/// Single names, in lower case. The rest of `x-forwarded-` tells about the connection and is set elsewhere.
const NAMES: &[&str] = &[
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-access-token",
    "x-forwarded-name",
    "x-forwarded-role",
    "x-forwarded-roles",
    "sm-user",
    "ssl-client-s-dn",
    "gap-auth",
    "gap-signature",
];

#[derive(Clone, Debug)]
pub(super) struct Protected {
    /// Sorted.
    names: Vec<HeaderName>,
    /// Bit `b` is set when something protected begins with the ASCII byte `b`. Asked for every header of every request,
    /// and most begin otherwise.
    first_bytes: u128,
}

impl Protected {
    pub(super) fn new(configured: impl Iterator<Item = HeaderName>) -> Self {
        let own = super::PRESETS.into_iter().flat_map(super::preset_headers).map(|(name, _)| name);
        let known = NAMES.iter().map(|name| HeaderName::from_static(name));
        let ours = [super::ACCOUNT, super::AUTH, super::CONNECTOR, super::PROPERTIES, super::ROLE];
        let mut names: Vec<HeaderName> = own.chain(known).chain(ours).chain(configured).collect();
        names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        let all = names.iter().map(HeaderName::as_str).chain(PROTECTED_PREFIXES.iter().copied());
        let first_bytes = all.filter_map(|text| text.bytes().next()).fold(0, |bits, byte| bits | bit(byte));
        Self { names, first_bytes }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.names.iter()
    }

    pub(super) fn contains(&self, name: &HeaderName) -> bool {
        let text = name.as_str();
        if text.bytes().next().is_some_and(|byte| self.first_bytes & bit(byte) == 0) {
            return false;
        }
        PROTECTED_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
            || self.names.binary_search_by(|known| known.as_str().cmp(text)).is_ok()
    }
}

/// Header names are ASCII (RFC 9110 section 5.6.2), so 128 bits are enough.
const fn bit(byte: u8) -> u128 {
    1 << (byte & 127)
}

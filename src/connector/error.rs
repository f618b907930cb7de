//! Why a sign-in ended at the connector: a stable reason code, how the page and the status follow from it, and what
//! an operator needs to find the cause.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::base::email::EmailAddress;

/// Longest text that a detail keeps, in characters.
const MAX_DETAIL: usize = 200;

/// Most names of attributes that an error keeps.
const MAX_ARRIVED: usize = 64;

/// What a refusal means for the person at the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The message is wrong: 400. A fresh start may help.
    Refused,
    /// The identity is genuine but may not sign in here: 403.
    NotAllowed,
    /// The provider is away: 503, try again.
    Unavailable,
    /// Only an administrator can help: the provider refuses our configuration, or we its.
    Misconfigured,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $kind:ident;)*) => {
        /// Every reason a connector may give. Two causes never share one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable code, snake_case.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What it means for the person at the browser.
            pub const fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)* }
            }
        }
    };
}

reasons! {
    /// The token has a shape that parsers may read differently, or no known shape (O36, O37).
    Malformed = "malformed", Refused;
    /// Not an ID token: another `typ`, or an `events` claim (O35).
    WrongTokenType = "wrong_token_type", Refused;
    /// The algorithm is not one configured for this connector, or the token is unsigned (O06–O08).
    AlgNotAllowed = "alg_not_allowed", Refused;
    /// A header that must be understood and is not (O10).
    CritUnsupported = "crit_unsupported", Refused;
    /// No key of the provider fits (O09, O11, O12).
    KeyUnknown = "key_unknown", Refused;
    /// The signature does not verify (O05).
    SigInvalid = "sig_invalid", Refused;
    /// A required claim is absent; the detail names it (O02).
    ClaimMissing = "claim_missing", Refused;
    /// A claim has another JSON type than it must have (O31).
    Type = "type", Refused;
    /// `iss` is not the provider's issuer (O01).
    IssMismatch = "iss_mismatch", Refused;
    /// `aud` does not name this client (O03).
    AudMismatch = "aud_mismatch", Refused;
    /// `azp` is not this client (O04).
    Azp = "azp", Refused;
    /// `exp` has passed (O31).
    Expired = "expired", Refused;
    /// `iat` or `nbf` lies ahead: check both clocks (O32).
    NotYetValid = "not_yet_valid", Refused;
    /// `iat` is too long ago: check both clocks (O32).
    Stale = "stale", Refused;
    /// `nonce` is not this attempt's (O16).
    NonceMismatch = "nonce_mismatch", Refused;
    /// `at_hash` does not fit the access token (O30).
    AtHash = "at_hash", Refused;
    /// `sub` is empty, blank or too long (O38).
    SubInvalid = "sub_invalid", Refused;
    /// The token endpoint's answer cannot be used (O27, O28).
    TokenResponseInvalid = "token_response_invalid", Refused;
    /// The code, the PKCE verifier or the refresh token is not accepted any more.
    InvalidGrant = "invalid_grant", Refused;
    /// The provider does not know this client or its secret.
    InvalidClient = "invalid_client", Misconfigured;
    /// The token endpoint answered another OAuth error; the detail names it.
    ProviderError = "provider_error", Refused;
    /// The token endpoint says that it has trouble of its own.
    ProviderUnavailable = "provider_unavailable", Unavailable;
    /// The userinfo answer cannot be used (O29).
    UserinfoInvalid = "userinfo_invalid", Refused;
    /// The userinfo answer is about somebody else (O29).
    UserinfoSubMismatch = "userinfo_sub_mismatch", Refused;
    /// The callback's `iss` is another provider's (O20).
    IdpMixup = "idp_mixup", Refused;
    /// The provider promised `iss` on the callback and it is absent (O21).
    IssParamMissing = "iss_param_missing", Refused;
    /// The token's issuer and its `tid` do not belong together (I02).
    TenantMismatch = "tenant_mismatch", Refused;
    /// The tenant may not sign in here (I01).
    TenantNotAllowed = "tenant_not_allowed", NotAllowed;
    /// The provider does not vouch for the address (I03).
    EmailUnverified = "email_unverified", NotAllowed;
    /// The provider gave no address.
    EmailMissing = "email_missing", NotAllowed;
    /// The claim is no e-mail address (I08).
    EmailInvalid = "email_invalid", Refused;
    /// The Google account is in no organisation that may sign in (I04).
    HdMismatch = "hd_mismatch", NotAllowed;
    /// The address is in no domain of this connector (I09).
    DomainNotAllowed = "domain_not_allowed", NotAllowed;
    /// The claim `active` says no.
    AccountInactive = "account_inactive", NotAllowed;
    /// `auth_time` is absent, or longer ago than was asked for (O33).
    AuthTooOld = "auth_too_old", Refused;
    /// `acr` is none of those wanted (O33).
    AcrInsufficient = "acr_insufficient", Refused;
    /// `amr` has none of those wanted (O33).
    AmrInsufficient = "amr_insufficient", Refused;
    /// A refreshed ID token, or the userinfo in its place, is not about the same sign-in (O39).
    RefreshIdentityChanged = "refresh_identity_changed", Refused;
    /// A logout token without the event that makes it one (L03).
    LogoutTokenEvents = "logout_token_events", Refused;
    /// A logout token with a nonce, which an ID token has (L04).
    LogoutTokenNonce = "logout_token_nonce", Refused;
    /// A logout token that names neither a person nor a session (L05).
    LogoutTokenSubject = "logout_token_subject", Refused;
    /// `jti` of a logout token is empty or too long (L05).
    LogoutTokenJti = "logout_token_jti", Refused;
    /// `sid` is empty, too long or not of visible characters.
    SidInvalid = "sid_invalid", Refused;
    /// More sign-ins wait for the provider's token endpoint than it answers (T22).
    ProviderBusy = "provider_busy", Unavailable;
    /// The token says that the groups are elsewhere, and this connector does not fetch them (I10).
    GroupsElsewhere = "groups_elsewhere", NotAllowed;
    /// More groups than are read: they are not cut (I10).
    GroupsTooMany = "groups_too_many", NotAllowed;
    /// The groups cannot be had now: Microsoft Graph or the Directory API is away, busy or slow.
    GroupsUnavailable = "groups_unavailable", Unavailable;
    /// The answer with the groups cannot be used; nothing is wrong with the person.
    GroupsInvalid = "groups_invalid", Unavailable;
    /// Graph or the Directory API does not let us read groups; the detail has its word for it. A consent, a role or the
    /// delegation is missing.
    GroupsDenied = "groups_denied", Misconfigured;
    /// The service account's key file cannot be read or is none.
    ServiceAccountUnreadable = "service_account_unreadable", Misconfigured;
    /// The provider's discovery document is not acceptable (O34).
    IdpConfigRejected = "idp_config_rejected", Misconfigured;
    /// The provider's key set is not acceptable (O13).
    JwksRejected = "jwks_rejected", Misconfigured;
    /// The provider cannot be reached.
    ProviderUnreachable = "provider_unreachable", Unavailable;
    /// Our own client secret cannot be read.
    ClientSecretUnreadable = "client_secret_unreadable", Misconfigured;
    /// Our own client certificate or its key cannot be read, or they do not belong together.
    ClientKeyUnusable = "client_key_unusable", Misconfigured;
    /// A SAML message is no XML of a shape that is read: bad Base64, not UTF-8, broken, or another document (S31).
    SamlMalformed = "saml_malformed", Refused;
    /// A SAML message is larger, deeper or wider than is read (S27, S28).
    SamlTooLarge = "saml_too_large", Refused;
    /// A SAML message has a document type (S10).
    XmlDoctype = "xml_doctype", Refused;
    /// Comments, processing instructions or CDATA in a SAML message, or text beside elements (S09).
    SamlContent = "saml_content", Refused;
    /// Elements where the profile has none, or more of them than it has (S04, S05).
    SamlStructure = "saml_structure", Refused;
    /// One ID twice, or an ID under another name (S06).
    SamlDuplicateId = "saml_duplicate_id", Refused;
    /// Nothing that is used is signed (S01, S14, S26).
    SamlUnsigned = "saml_unsigned", Refused;
    /// The signature's form is not the one that the profile has (S07).
    SamlSignatureShape = "saml_signature_shape", Refused;
    /// A transform or canonicalisation that is not taken (S08).
    SamlTransform = "saml_transform", Refused;
    /// A signature, digest or encryption algorithm that is not taken (S11, S12).
    SamlAlg = "saml_alg", Refused;
    /// The digest or the signature does not verify (S13).
    SamlSig = "saml_sig", Refused;
    /// Signed by a key that is not among the provider's (S02).
    SamlKeyUntrusted = "saml_key_untrusted", Refused;
    /// An encrypted assertion that does not open, for whatever reason (S15).
    SamlDecrypt = "saml_decrypt", Refused;
    /// The connector wants encrypted assertions, and this one is not.
    SamlNotEncrypted = "saml_not_encrypted", Refused;
    /// The assertion is for somebody else (S16).
    SamlAudience = "saml_audience", Refused;
    /// The message was sent to another address (S17).
    SamlDestination = "saml_destination", Refused;
    /// The assertion may be delivered elsewhere, not here (S17).
    SamlRecipient = "saml_recipient", Refused;
    /// It answers another request, or none (S17).
    SamlInResponseTo = "saml_in_response_to", Refused;
    /// It is not good at this time: check both clocks (S18).
    SamlTime = "saml_time", Refused;
    /// The assertion or message was used before (S19).
    SamlReplay = "saml_replay", Refused;
    /// The provider answered with an error; the detail has its words (S23).
    SamlStatus = "saml_status", Refused;
    /// No bearer confirmation, no authentication statement, or no name that stays the same (S24).
    SamlSubject = "saml_subject", Refused;
    /// A logout request names one person, and a session of another (S26).
    SamlLogoutSubject = "saml_logout_subject", Refused;
    /// An attribute that can have one value has several (S25).
    SamlAttributeAmbiguous = "saml_attribute_ambiguous", Refused;
    /// A response that answers no request of ours, and the connector takes none (S20).
    SamlUnsolicited = "saml_unsolicited", Refused;
    /// The provider's metadata is not acceptable (S29).
    SamlMetadataRejected = "saml_metadata_rejected", Misconfigured;
    /// The provider's metadata has expired (S29).
    SamlMetadataExpired = "saml_metadata_expired", Misconfigured;
    /// The provider's metadata names no usable signing key (S01, S29).
    SamlNoSigningKey = "saml_no_signing_key", Misconfigured;
    /// The provider's metadata cannot be fetched or read now.
    SamlMetadataUnavailable = "saml_metadata_unavailable", Unavailable;
    /// Our own signing or decryption key cannot be used.
    SamlKeyUnusable = "saml_key_unusable", Misconfigured;
    /// Our own settings make no valid request.
    ConnectorMisconfigured = "connector_misconfigured", Misconfigured;
}

/// Why a connector refused or could not do its work. Holds no token, code or secret. Cheap to clone.
#[derive(Clone)]
pub struct ProviderError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    reason: Reason,
    expected: String,
    found: String,
    address: Option<EmailAddress>,
    arrived: Vec<String>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl ProviderError {
    pub(crate) fn new(reason: Reason) -> Self {
        let (expected, found) = (String::new(), String::new());
        Self(Box::new(Inner { reason, expected, found, address: None, arrived: Vec::new(), source: None }))
    }

    /// With what was expected and what was found; cut to a length fit for a log line.
    pub(crate) fn saying(mut self, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        self.0.expected = short(&expected);
        self.0.found = short(&found);
        self
    }

    pub(crate) fn with_address(mut self, address: EmailAddress) -> Self {
        self.0.address = Some(address);
        self
    }

    /// With the names of the attributes that did arrive; the first [`MAX_ARRIVED`] of them.
    pub(crate) fn with_arrived<'n>(mut self, names: impl IntoIterator<Item = &'n str>) -> Self {
        self.0.arrived = names.into_iter().take(MAX_ARRIVED).map(|name| short(&name)).collect();
        self
    }

    pub(crate) fn caused_by(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// The reason as a value.
    pub fn why(&self) -> Reason {
        self.0.reason
    }

    /// The stable reason code.
    pub fn reason(&self) -> &'static str {
        self.0.reason.code()
    }

    /// What it means for the person at the browser.
    pub fn kind(&self) -> Kind {
        self.0.reason.kind()
    }

    /// Whether a session whose renewal failed for this reason is over (O40). True only where the provider has spoken
    /// about this session or this person:
    ///
    /// - `invalid_grant`: it takes the refresh token back (the person was disabled or signed out, the session at the
    ///   provider ended, the token is too old);
    /// - `refresh_identity_changed`: it answered for somebody or something else (O39);
    /// - any reason of kind [`NotAllowed`](Kind::NotAllowed): the person as the claims now tell may not sign in here
    ///   (`account_inactive`, `domain_not_allowed`, `hd_mismatch`, …).
    ///
    /// Everything else (an outage, a time-out, 429, a refused client secret, a key or document that does not fit, an
    /// answer that cannot be read) says nothing about the person: try again later, up to the session's own limit.
    pub fn ends_session(&self) -> bool {
        matches!(self.0.reason, Reason::InvalidGrant | Reason::RefreshIdentityChanged)
            || self.kind() == Kind::NotAllowed
    }

    /// What was expected and what was found, each at most 200 characters and never a secret. May hold text of a
    /// stranger: escape it.
    pub fn detail(&self) -> Option<(&str, &str)> {
        let Inner { expected, found, .. } = &*self.0;
        (!expected.is_empty() || !found.is_empty()).then_some((expected, found))
    }

    /// The provider's own error where it gave one: `error: AADSTS…`, without the rest of its description. `error` is an
    /// OAuth error, or the name of a SAML status code.
    pub fn provider_said(&self) -> Option<&str> {
        let own = matches!(
            self.0.reason,
            Reason::InvalidGrant | Reason::InvalidClient | Reason::ProviderError | Reason::SamlStatus
        );
        own.then_some(self.0.found.as_str())
    }

    /// The verified address, when it is the reason for the refusal.
    pub fn address(&self) -> Option<&EmailAddress> {
        self.0.address.as_ref()
    }

    /// The names of the attributes that did arrive, never their values, when one that did not is the reason for the
    /// refusal. Text of the provider: escape it.
    pub fn arrived(&self) -> &[String] {
        &self.0.arrived
    }
}

impl From<Reason> for ProviderError {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}

/// `AADSTS` and its digits, which administrators look up: all that is taken from a description, since it may name
/// persons and repeat what we sent.
pub(super) fn microsoft_number(description: &str) -> Option<&str> {
    let from = description.get(description.find("AADSTS")?..)?;
    let digits = from.bytes().skip(6).take_while(u8::is_ascii_digit).take(10).count();
    from.get(..6 + digits)
}

fn short(text: &impl fmt::Display) -> String {
    let text = text.to_string();
    match text.char_indices().nth(MAX_DETAIL) {
        Some((cut, _)) => format!("{}…", text.get(..cut).unwrap_or_default()),
        None => text,
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the connector refused: {}", self.reason())
    }
}

impl fmt::Debug for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { reason, expected, found, address, arrived, source } = &*self.0;
        f.debug_struct("ProviderError")
            .field("reason", &reason.code())
            .field("expected", expected)
            .field("found", found)
            .field("address", address)
            .field("arrived", arrived)
            .field("source", source)
            .finish()
    }
}

impl Error for ProviderError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_ref().map(|e| &**e as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_causes_never_share_a_code() {
        let mut codes: Vec<_> = Reason::ALL.iter().map(|r| r.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Reason::ALL.len());
    }

    #[test]
    fn a_detail_is_cut_between_characters() {
        let error = ProviderError::new(Reason::KeyUnknown).saying("", "ä".repeat(10_000));
        let (_, found) = error.detail().unwrap();
        assert_eq!(found.chars().count(), MAX_DETAIL + 1);
    }
}

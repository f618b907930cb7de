//! Which attributes of which product say what: what each sends if its administrator follows the product's own
//! defaults. The settings of a connector stand over them.

use crate::config::SamlPreset;

/// Claim types of WS-Federation, which Entra and AD FS use in SAML too.
macro_rules! claims {
    ($name:literal) => {
        concat!("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/", $name)
    };
}

/// Claim types that Microsoft added for Windows.
macro_rules! windows {
    ($name:literal) => {
        concat!("http://schemas.microsoft.com/ws/2008/06/identity/claims/", $name)
    };
}

/// Claim types of Entra ID.
macro_rules! entra {
    ($name:literal) => {
        concat!("http://schemas.microsoft.com/identity/claims/", $name)
    };
}

/// The user principal name. Entra sends it only where an administrator adds it.
pub(super) const UPN: &str = claims!("upn");
/// In Entra's default set the user principal name too; administrators make a display name of it at times.
pub(super) const NAME: &str = claims!("name");
/// In Entra `user.mail`, which somebody without a mailbox has not.
pub(super) const EMAIL_ADDRESS: &str = claims!("emailaddress");
/// Entra: the tenant of the account. Always sent, and no administrator can change it.
pub(super) const TENANT: &str = entra!("tenantid");
/// Entra: the account in its tenant. Always sent, and no administrator can change it.
pub(super) const OBJECT: &str = entra!("objectidentifier");
/// Entra: who checked the password; for a guest another than the tenant.
pub(super) const IDENTITY_PROVIDER: &str = entra!("identityprovider");
/// Entra: object ids of groups, at most 150 of them.
pub(super) const GROUPS: &str = windows!("groups");
/// Entra: stands in the place of [`GROUPS`] when there are more.
pub(super) const GROUPS_LINK: &str = "http://schemas.microsoft.com/claims/groups.link";

/// Entra: the methods by which the person signed in. No administrator can map it.
pub(super) const METHODS: &str = "http://schemas.microsoft.com/claims/authnmethodsreferences";
/// The same for every application (SAML 2.0 Subject Identifier Attributes Profile, section 3.3).
const SUBJECT_ID: &str = "urn:oasis:names:tc:SAML:attribute:subject-id";
/// Identifiers that are compared without case (the same, sections 3.3 and 3.4).
pub(super) const SUBJECT_IDENTIFIERS: [&str; 2] = [SUBJECT_ID, "urn:oasis:names:tc:SAML:attribute:pairwise-id"];

/// Formats of a name by which it is an address where the preset says so.
const EMAIL_FORMAT: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress";
pub(super) const UNSPECIFIED: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified";

/// Names of attributes, each list tried in order.
pub(super) struct Preset {
    pub(super) email: &'static [&'static str],
    pub(super) name: &'static [&'static str],
    /// Given name and surname, for a display name where none of [`name`](Self::name) is there.
    pub(super) name_parts: (&'static [&'static str], &'static [&'static str]),
    pub(super) preferred_username: &'static [&'static str],
    pub(super) groups: &'static [&'static str],
    /// Only names that hold what an administrator gave somebody in this application. Empty: the operator names them. What
    /// people edit themselves, or get in another application, makes nobody an administrator of this one.
    pub(super) roles: &'static [&'static str],
    /// One name, which the product never gives to a second person; none: the `NameID`. It does not depend on what arrives:
    /// somebody whose provider sends another attribute tomorrow would be somebody else, and one attribute's value may be
    /// another person's of a second attribute.
    pub(super) subject: Option<&'static str>,
    /// Formats in which the `NameID` is the address, if no attribute of [`email`](Self::email) is there.
    email_formats: &'static [&'static str],
}

impl Preset {
    /// Whether a `NameID` of this format is an address.
    pub(super) fn names_by_address(&self, format: Option<&str>) -> bool {
        self.email_formats.contains(&format.unwrap_or(UNSPECIFIED))
    }
}

/// The preset of `kind`.
pub(super) const fn of(kind: &SamlPreset) -> &'static Preset {
    match kind {
        SamlPreset::Entra { .. } => &ENTRA,
        SamlPreset::Google { .. } => &GOOGLE,
        SamlPreset::Okta => &OKTA,
        SamlPreset::Adfs => &ADFS,
        SamlPreset::Keycloak => &KEYCLOAK,
        SamlPreset::Shibboleth => &SHIBBOLETH,
        SamlPreset::Generic => &GENERIC,
    }
}

/// The address as for `kind = "entra"` over OpenID Connect: the user principal name before the mailbox (R3). The subject
/// is not looked up here: it is the tenant's id with the object's.
static ENTRA: Preset = Preset {
    email: &[UPN, NAME, EMAIL_ADDRESS],
    name: &[entra!("displayname")],
    name_parts: (&[claims!("givenname")], &[claims!("surname")]),
    preferred_username: &[UPN, NAME],
    groups: &[GROUPS],
    roles: &[windows!("role")],
    subject: None,
    email_formats: &[EMAIL_FORMAT],
};

/// Google sends no attributes but those that the administrator maps, under names of their choice; the `NameID` is the
/// primary address in any format that can be chosen for it.
static GOOGLE: Preset = Preset {
    email: &["email", "mail", "emailAddress", "Email", EMAIL_ADDRESS],
    name: &["displayName", "name"],
    name_parts: (&["firstName", "givenName", "first_name"], &["lastName", "surname", "last_name"]),
    preferred_username: &["username"],
    groups: &["groups", "Groups"],
    roles: &["role", "roles"],
    subject: None,
    email_formats: &[EMAIL_FORMAT, UNSPECIFIED],
};

/// The names that Okta's own forms propose.
static OKTA: Preset = Preset {
    email: &["email", "Email", "mail", "user.email"],
    name: &["displayName", "name"],
    name_parts: (&["firstName", "FirstName", "user.firstName"], &["lastName", "LastName", "user.lastName"]),
    preferred_username: &["login", "username", "user.login"],
    groups: &["groups", "Groups"],
    roles: &["roles", "role"],
    subject: None,
    email_formats: &[EMAIL_FORMAT],
};

/// AD FS, with its own claim descriptions. A user principal name is an address only if its domain is one of the
/// connector's.
static ADFS: Preset = Preset {
    email: &[EMAIL_ADDRESS, "http://schemas.xmlsoap.org/claims/EmailAddress", UPN],
    name: &["http://schemas.xmlsoap.org/claims/CommonName", entra!("displayname"), NAME],
    name_parts: (&[claims!("givenname")], &[claims!("surname")]),
    preferred_username: &[UPN, windows!("windowsaccountname")],
    groups: &["http://schemas.xmlsoap.org/claims/Group", GROUPS],
    roles: &[windows!("role")],
    subject: None,
    email_formats: &[EMAIL_FORMAT],
};

/// Keycloak's built-in mappers: the X.500 ones, and those of user properties under their own names. `Role` is no default:
/// while "Full scope allowed" is on, as it is at first, it holds the roles of every client of the realm, by their bare
/// names.
static KEYCLOAK: Preset = Preset {
    email: &["email", "urn:oid:1.2.840.113549.1.9.1", "mail"],
    name: &["name", "displayName"],
    name_parts: (&["firstName", "givenName", "urn:oid:2.5.4.42"], &["lastName", "surname", "urn:oid:2.5.4.4"]),
    preferred_username: &["username", "preferred_username"],
    groups: &["groups", "member"],
    roles: &[],
    subject: None,
    email_formats: &[EMAIL_FORMAT],
};

/// Shibboleth and the federations of universities: LDAP and eduPerson by object identifier. Its `NameID` is transient
/// unless somebody changed that, and `eduPersonPrincipalName` may be given to another person later, so it is a user name
/// here and no subject. Who needs no more than a pairwise-id, or still has an `eduPersonTargetedID`, names it.
static SHIBBOLETH: Preset = Preset {
    email: &["urn:oid:0.9.2342.19200300.100.1.3", "mail"],
    name: &["urn:oid:2.16.840.1.113730.3.1.241", "displayName"],
    name_parts: (&["urn:oid:2.5.4.42", "givenName"], &["urn:oid:2.5.4.4", "sn"]),
    preferred_username: &[
        "urn:oid:1.3.6.1.4.1.5923.1.1.1.6",
        "eduPersonPrincipalName",
        "urn:oid:0.9.2342.19200300.100.1.1",
        "uid",
    ],
    groups: &["urn:oid:1.3.6.1.4.1.5923.1.5.1.1", "isMemberOf"],
    roles: &[],
    subject: Some(SUBJECT_ID),
    email_formats: &[EMAIL_FORMAT],
};

/// Any other product: the names that are met most.
static GENERIC: Preset = Preset {
    email: &[
        "email",
        "mail",
        "emailAddress",
        "Email",
        "EmailAddress",
        "User.Email",
        EMAIL_ADDRESS,
        "urn:oid:0.9.2342.19200300.100.1.3",
        "urn:oid:1.2.840.113549.1.9.1",
    ],
    name: &["displayName", "name", "urn:oid:2.16.840.1.113730.3.1.241"],
    name_parts: (
        &["firstName", "givenName", "first_name", "User.FirstName", claims!("givenname"), "urn:oid:2.5.4.42"],
        &["lastName", "surname", "sn", "last_name", "User.LastName", claims!("surname"), "urn:oid:2.5.4.4"],
    ),
    preferred_username: &["username", "preferred_username", "login", "uid", UPN],
    groups: &["groups", "Groups", "group", "memberOf", GROUPS],
    roles: &[],
    subject: None,
    email_formats: &[EMAIL_FORMAT],
};

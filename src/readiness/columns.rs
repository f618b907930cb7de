//! Which column of a list is what: by the names that exports use, or as the caller says.

use super::sheet::ReadError;

/// Columns as the caller names them, over the names that are known: `email` → `E-Mail`, `session_ends` → `#7`, or
/// nothing, which leaves a column out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns(Vec<(&'static str, String)>);

/// A column that cannot be named so; the text says what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidColumn(String);

/// What a column is, the names that exports use for it (see [`keys`]), the likeliest first.
pub(super) type Known = (&'static str, &'static [&'static str]);

pub(super) const USERS: &[Known] = &[
    ("id", &["userid", "id", "uid", "user", "usernumber", "nativeuser", "accountuserid", "employeeid"]),
    (
        "username",
        &["username", "login", "loginname", "userlogin", "signinname", "logonname", "apiuser", "user", "name"],
    ),
    (
        "email",
        &["email", "emailaddress", "mail", "mailaddress", "useremail", "workemail", "primaryemail", "contactemail"],
    ),
    (
        "account",
        &[
            "account",
            "accountid",
            "accountname",
            "accountnumber",
            "tenant",
            "tenantid",
            "company",
            "companyname",
            "companyid",
            "customer",
            "customerid",
            "organization",
            "organisation",
            "organizationid",
            "org",
        ],
    ),
    ("kind", &["kind", "usertype", "type", "userkind"]),
    (
        "authentication",
        &[
            "authentication",
            "auth",
            "authmethod",
            "authtype",
            "authenticationmethod",
            "authenticationtype",
            "logintype",
        ],
    ),
    (
        "last_sign_in",
        &[
            "lastsignin",
            "lastlogin",
            "lastsigninat",
            "lastloginat",
            "lastsignindate",
            "lastlogindate",
            "lastsignindatetime",
            "lastlogintime",
            "lastlogon",
            "lastsignedin",
            "lastloggedin",
        ],
    ),
    (
        "session_ends",
        &[
            "sessionends",
            "sessionend",
            "sessionendsat",
            "sessionexpires",
            "sessionexpiresat",
            "sessionexpiry",
            "sessionexpiration",
        ],
    ),
    ("status", STATUS),
    ("blocked", BLOCKED),
];

pub(super) const ACCOUNTS: &[Known] = &[
    ("upn", &["userprincipalname", "upn", "preferredusername"]),
    ("mail", MAIL),
    (
        "aliases",
        &[
            "proxyaddresses",
            "emailaddresses",
            "aliases",
            "emailaliases",
            "aliassmtpaddresses",
            "noneditablealiases",
            "othermails",
            "alternateemailaddress",
            "alternateemailaddresses",
            "worksecondaryemail",
            "homesecondaryemail",
            "secondemail",
            "secondaryemail",
        ],
    ),
    ("login", &["username", "login", "loginname"]),
    ("type", &["usertype"]),
    ("status", STATUS),
    ("blocked", BLOCKED),
];

const MAIL: &[&str] = &["mail", "email", "emailaddress", "primaryemail", "primarysmtpaddress", "windowsemailaddress"];
const STATUS: &[&str] =
    &["accountenabled", "status", "userstatus", "accountstatus", "enabled", "active", "isactive", "isenabled"];
const BLOCKED: &[&str] = &[
    "blockcredential",
    "blocksigninyesno",
    "suspended",
    "archived",
    "disabled",
    "isdisabled",
    "deactivated",
    "accountdisabled",
    "blocked",
    "signinblocked",
    "isinactive",
];

impl Columns {
    /// From `what=HEADER` for the application's list of users.
    pub fn of_users<'a>(assignments: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidColumn> {
        Self::parse(assignments, USERS)
    }

    /// From `what=HEADER` for the provider's list of accounts.
    pub fn of_accounts<'a>(assignments: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidColumn> {
        Self::parse(assignments, ACCOUNTS)
    }

    fn parse<'a>(
        assignments: impl IntoIterator<Item = &'a str>,
        known: &'static [Known],
    ) -> Result<Self, InvalidColumn> {
        let mut given: Vec<(&'static str, String)> = Vec::new();
        for assignment in assignments {
            let (what, header) = assignment.split_once('=').unwrap_or((assignment, ""));
            let what = what.trim();
            let Some((what, _)) = known.iter().find(|(name, _)| *name == what && assignment.contains('=')) else {
                let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                let text = format!("found {assignment:?}; allowed: WHAT=HEADER, where WHAT is {}", names.join(", "));
                return Err(InvalidColumn(text));
            };
            if given.iter().any(|(earlier, _)| earlier == what) {
                return Err(InvalidColumn(format!("{what} is named twice")));
            }
            given.push((what, header.trim().to_owned()));
        }
        Ok(Self(given))
    }

    fn get(&self, what: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| *name == what).map(|(_, header)| header.as_str())
    }
}

/// The header of a list.
pub(super) struct Header {
    pub(super) titles: Vec<String>,
    keys: Vec<Vec<String>>,
}

impl Header {
    pub(super) fn new(titles: Vec<String>) -> Self {
        let keys = titles.iter().map(|title| keys(title)).collect();
        Self { titles, keys }
    }

    /// The one column that is `what`; none: the list has no such column, or the caller left it out.
    pub(super) fn one(&self, known: &[Known], what: &str, given: &Columns) -> Result<Option<usize>, ReadError> {
        if let Some(header) = given.get(what) {
            return self.given(what, header);
        }
        let names = known.iter().find(|(name, _)| *name == what).map(|(_, names)| *names).unwrap_or_default();
        for name in names {
            let found: Vec<usize> = self.at(name).collect();
            if let [first, second, ..] = found.as_slice() {
                let text = format!(
                    "the columns {} and {} may both be the {what}; say which with {what}=#{}",
                    first + 1,
                    second + 1,
                    first + 1
                );
                return Err(ReadError::Header(text));
            }
            if let Some(first) = found.first() {
                return Ok(Some(*first));
            }
        }
        Ok(None)
    }

    /// All columns that are `what`.
    pub(super) fn many(&self, known: &[Known], what: &str, given: &Columns) -> Result<Vec<usize>, ReadError> {
        if let Some(header) = given.get(what) {
            return Ok(self.given(what, header)?.into_iter().collect());
        }
        let names = known.iter().find(|(name, _)| *name == what).map(|(_, names)| *names).unwrap_or_default();
        Ok(names.iter().flat_map(|name| self.at(name)).collect())
    }

    /// The column that a claim of this name is exported as.
    pub(super) fn titled(&self, title: &str) -> Option<usize> {
        self.at(&plain(title)).next()
    }

    fn given(&self, what: &str, header: &str) -> Result<Option<usize>, ReadError> {
        if header.is_empty() {
            return Ok(None);
        }
        let number = header.strip_prefix('#').and_then(|number| number.parse::<usize>().ok());
        let at = match number {
            Some(number) => number.checked_sub(1).filter(|at| *at < self.titles.len()),
            None => self.titles.iter().position(|title| plain(title) == plain(header)),
        };
        at.map(Some).ok_or_else(|| self.missing(&format!("{what} is to be {header:?}, and there is no such column")))
    }

    /// A mistake of the header, with the columns that are there.
    pub(super) fn missing(&self, problem: &str) -> ReadError {
        ReadError::Header(format!("{problem}; found: {}", self.titles.join(", ")))
    }

    fn at(&self, key: &str) -> impl Iterator<Item = usize> {
        self.keys.iter().enumerate().filter(move |(_, keys)| keys.iter().any(|own| own == key)).map(|(at, _)| at)
    }
}

/// What a title may be known as: the letters and digits of the whole, in lower case; of what stands before a bracket
/// (Google: `Email Address [Required]`); of what stands in it (Entra's templates:
/// `User name [userPrincipalName] Required`); and without a list's number (`aliases.0`).
fn keys(title: &str) -> Vec<String> {
    let mut keys = vec![plain(title)];
    if let Some((before, rest)) = title.split_once('[') {
        let before = plain(before);
        // A template's "Block sign in (Yes/No) [accountEnabled]" means the opposite of what the brackets say.
        if !before.starts_with("block") {
            keys.extend(rest.split_once(']').map(|(inside, _)| plain(inside)));
        }
        keys.push(before);
    }
    if let Some((list, number)) = title.rsplit_once('.')
        && number.bytes().all(|b| b.is_ascii_digit())
    {
        keys.push(plain(list));
    }
    keys.retain(|key| !key.is_empty());
    keys.dedup();
    keys
}

fn plain(title: &str) -> String {
    title.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(titles: &[&str]) -> Header {
        Header::new(titles.iter().map(|title| (*title).to_owned()).collect())
    }

    #[test]
    fn titles_of_real_exports_are_known() {
        let none = Columns::default();
        let google = header(&["First Name [Required]", "Email Address [Required]", "Status [READ ONLY]"]);
        assert_eq!(google.one(ACCOUNTS, "mail", &none), Ok(Some(1)));
        assert_eq!(google.one(ACCOUNTS, "status", &none), Ok(Some(2)));
        let template = header(&["Name [displayName] Required", "User name [userPrincipalName] Required"]);
        assert_eq!(template.one(ACCOUNTS, "upn", &none), Ok(Some(1)));
        let block = header(&["Block sign in (Yes/No) [accountEnabled] Required"]);
        assert_eq!(block.one(ACCOUNTS, "status", &none), Ok(None));
        assert_eq!(block.many(ACCOUNTS, "blocked", &none), Ok(vec![0]));
        let center = header(&["Block credential", "Display name", "Proxy addresses", "User principal name"]);
        assert_eq!(center.one(ACCOUNTS, "upn", &none), Ok(Some(3)));
        assert_eq!(center.many(ACCOUNTS, "blocked", &none), Ok(vec![0]));
        assert_eq!(center.many(ACCOUNTS, "aliases", &none), Ok(vec![2]));
        let gam = header(&["primaryEmail", "aliases.0", "aliases.1", "suspended"]);
        assert_eq!(gam.many(ACCOUNTS, "aliases", &none), Ok(vec![1, 2]));
        let own = header(&["USER-ID", "E-Mail", "last_login"]);
        assert_eq!(own.one(USERS, "email", &none), Ok(Some(1)));
        assert_eq!(own.one(USERS, "last_sign_in", &none), Ok(Some(2)));
    }

    #[test]
    fn the_caller_has_the_last_word() {
        let list = header(&["email", "E-Mail", "work"]);
        let given = |text: &'static str| Columns::of_users([text]).unwrap();
        assert!(list.one(USERS, "email", &Columns::default()).is_err(), "two columns may be it");
        assert_eq!(list.one(USERS, "email", &given("email=Work")), Ok(Some(2)));
        assert_eq!(list.one(USERS, "email", &given("email=#2")), Ok(Some(1)));
        assert_eq!(list.one(USERS, "email", &given("email=")), Ok(None));
        let error = list.one(USERS, "email", &given("email=wrok")).unwrap_err().to_string();
        assert!(error.contains("wrok") && error.contains("work"), "{error}");
        for wrong in ["email=#0", "email=#4", "email=#x"] {
            assert!(list.one(USERS, "email", &given(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_column_is_refused_with_those_that_are() {
        for wrong in ["mail=x", "email", "", "=x"] {
            assert!(Columns::of_users([wrong]).unwrap_err().to_string().contains("session_ends"), "{wrong}");
        }
        assert!(Columns::of_users(["email=a", "email=b"]).is_err());
        assert!(Columns::of_accounts(["upn=a", "mail=b"]).is_ok());
    }
}

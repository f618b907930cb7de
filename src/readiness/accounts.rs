//! The provider's list: who is there, and which address it will assert for whom.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::Read;

use super::columns::{ACCOUNTS, Columns};
use super::sheet::{ReadError, Row, Sheet};
use super::users::Standing;
use super::{Asserted, Question};
use crate::base::email::EmailAddress;

/// The accounts that have to do with the domain, found by each of their addresses.
pub struct Accounts {
    accounts: Vec<Account>,
    by_address: HashMap<Box<str>, Hit>,
    /// Rows of the list.
    pub rows: u64,
    /// Rows without an address that could be asserted.
    pub without_address: u64,
    pub(super) notices: Vec<String>,
}

/// An account at the provider.
pub(super) struct Account {
    /// What the provider asserts, in normal form.
    pub(super) asserted: Option<Box<str>>,
    pub(super) enabled: bool,
    /// The address is a guest's, and never taken for verified.
    pub(super) guest: bool,
    /// The asserted address is in the domain that is asked about.
    pub(super) here: bool,
    /// The asserted address is in a domain of the connector.
    pub(super) ours: bool,
    /// A row of the application's list belongs to it.
    pub(super) seen: bool,
}

impl Account {
    /// Somebody can sign in here as this account.
    pub(super) fn works(&self) -> bool {
        self.enabled && !self.guest && self.here
    }
}

/// Which of an account's addresses this is; the first is the strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Which {
    Asserted,
    Mail,
    Alias,
}

/// An address of an account.
#[derive(Clone, Copy)]
pub(super) struct Hit {
    pub(super) account: usize,
    pub(super) which: Which,
    /// More than one working account asserts it.
    pub(super) several: bool,
}

/// Which column is what.
struct Layout {
    asserted: usize,
    mail: Option<usize>,
    aliases: Vec<usize>,
    kind: Option<usize>,
    standing: Standing,
    upn: bool,
}

/// Reads the provider's list. `progress` is told the rows read so far, now and then.
///
/// Memory: the accounts that assert an address of the domain, or have one among their others; the rest is counted.
pub fn read_accounts<R: Read>(
    input: R,
    columns: &Columns,
    question: &Question,
    progress: &mut dyn FnMut(u64),
) -> Result<Accounts, ReadError> {
    let mut sheet = Sheet::open(input)?;
    let layout = Layout::find(&sheet, columns, &question.asserted)?;
    let mut found =
        Accounts { accounts: Vec::new(), by_address: HashMap::new(), rows: 0, without_address: 0, notices: Vec::new() };
    let mut unreadable = 0_u64;
    let mut standing = layout.standing.clone();
    while let Some(row) = sheet.next()? {
        found.rows += 1;
        super::users::tell(found.rows, progress);
        found.add(&row, &layout, &mut standing, question, &mut unreadable);
    }
    if unreadable > 0 {
        found.notices.push(format!(
            "in {unreadable} rows a column of addresses holds the name of a type (\"System.String[]\") and no address: \
             export it with -join ';'"
        ));
    }
    found.notices.extend(standing.notice());
    Ok(found)
}

impl Layout {
    fn find<R: Read>(sheet: &Sheet<R>, given: &Columns, asserted: &Asserted) -> Result<Self, ReadError> {
        let header = &sheet.header;
        let one = |what| header.one(ACCOUNTS, what, given);
        let (upn, mail) = (one("upn")?, one("mail")?);
        let (column, missing) = match asserted {
            Asserted::UserPrincipalName => (upn, "no column for the UPN (upn)"),
            Asserted::EntraEmail | Asserted::Primary => (mail, "no column for the mail address (mail)"),
            Asserted::Email { claim } => {
                let claimed = claim.as_deref().and_then(|claim| header.titled(claim));
                (claimed.or(mail), "no column for the e-mail address (mail)")
            }
        };
        let Some(column) = column else { return Err(header.missing(missing)) };
        let mut aliases = header.many(ACCOUNTS, "aliases", given)?;
        aliases.extend([upn, mail, one("login")?].into_iter().flatten());
        let mail = mail.filter(|_| *asserted == Asserted::UserPrincipalName);
        aliases.retain(|alias| *alias != column && Some(*alias) != mail);
        aliases.sort_unstable();
        aliases.dedup();
        Ok(Self {
            asserted: column,
            mail,
            aliases,
            kind: one("type")?,
            standing: Standing::find(header, ACCOUNTS, given)?,
            upn: *asserted == Asserted::UserPrincipalName,
        })
    }
}

impl Accounts {
    fn add(
        &mut self,
        row: &Row<'_>,
        layout: &Layout,
        standing: &mut Standing,
        question: &Question,
        unreadable: &mut u64,
    ) {
        let written = row.cell(Some(layout.asserted));
        let asserted = written.parse::<EmailAddress>().ok();
        self.without_address += u64::from(asserted.is_none());
        let external = invited(written);
        let guest = layout.upn && (external.is_some() || row.cell(layout.kind).eq_ignore_ascii_case("guest"));
        let domain = asserted.as_ref().map(EmailAddress::domain);
        let here = domain.as_ref() == Some(&question.domain);
        let mut others: Vec<(Which, EmailAddress)> = Vec::new();
        others.extend(row.cell(layout.mail).parse().ok().map(|mail| (Which::Mail, mail)));
        others.extend(external.and_then(|text| text.parse().ok()).map(|home| (Which::Alias, home)));
        let mut typed = false;
        for column in &layout.aliases {
            let cell = row.cell(Some(*column));
            typed |= cell.starts_with("System.");
            others.extend(addresses(cell).filter_map(|(main, text)| {
                let which = if main && layout.upn { Which::Mail } else { Which::Alias };
                text.parse().ok().map(|address| (which, address))
            }));
        }
        *unreadable += u64::from(typed);
        let of_domain = |(_, address): &(Which, EmailAddress)| address.domain() == question.domain;
        if !here && !others.iter().any(of_domain) {
            return;
        }
        let account = self.accounts.len();
        self.accounts.push(Account {
            enabled: standing.works(row),
            guest,
            here,
            ours: here || domain.is_some_and(|domain| question.also.contains(&domain)),
            seen: false,
            asserted: asserted.as_ref().map(|address| address.as_str().into()),
        });
        for (which, address) in asserted.map(|address| (Which::Asserted, address)).into_iter().chain(others) {
            self.index(&address, Hit { account, which, several: false });
        }
    }

    /// The strongest meaning of an address wins; among equals a working account, then the first.
    fn index(&mut self, address: &EmailAddress, hit: Hit) {
        let works = |account: usize| self.accounts.get(account).is_some_and(Account::works);
        match self.by_address.entry(address.look_alike_key().into()) {
            Entry::Vacant(place) => {
                place.insert(hit);
            }
            Entry::Occupied(mut place) => {
                let earlier = place.get_mut();
                if earlier.account == hit.account {
                    return;
                }
                let both = works(earlier.account) && works(hit.account);
                if both && earlier.which == Which::Asserted && hit.which == Which::Asserted {
                    earlier.several = true;
                }
                let rank = |hit: &Hit| (hit.which, !works(hit.account));
                if rank(&hit) < rank(earlier) {
                    *earlier = hit;
                }
            }
        }
    }

    /// Who has this address, in whatever case.
    pub(super) fn find(&mut self, address: &EmailAddress) -> Option<(Hit, &mut Account)> {
        let hit = *self.by_address.get(address.look_alike_key().as_str())?;
        self.accounts.get_mut(hit.account).map(|account| (hit, account))
    }

    /// Accounts that can sign in with an address of the domain.
    pub(super) fn working(&self) -> u64 {
        self.count(Account::works)
    }

    /// Those of them that no row of the application's list belongs to.
    pub(super) fn unseen(&self) -> u64 {
        self.count(|account| account.works() && !account.seen)
    }

    fn count(&self, which: impl Fn(&Account) -> bool) -> u64 {
        self.accounts.iter().filter(|account| which(account)).count() as u64
    }
}

/// The home address in a guest's UPN: `ann_acme.com#EXT#@other.onmicrosoft.com` is `ann@acme.com`.
fn invited(upn: &str) -> Option<String> {
    let at = upn.to_ascii_uppercase().find("#EXT#")?;
    let local = upn.get(..at)?;
    let (name, domain) = local.rsplit_once('_').unwrap_or((local, ""));
    Some(format!("{name}@{domain}"))
}

/// The addresses of a cell: `SMTP:a@x;smtp:b@x`, also with `+`, commas or blanks between, and without `smtp:`. Other
/// schemes (`sip:`, `x500:`) are no mail addresses. True for the main one, which is the mail address: `SMTP:` in
/// capitals.
fn addresses(cell: &str) -> impl Iterator<Item = (bool, &str)> {
    let apart = |c: char| matches!(c, ';' | ',' | '|' | '{' | '}' | '[' | ']' | '"') || c.is_whitespace();
    cell.split(apart).flat_map(between_schemes).filter_map(|piece| match piece.split_once(':') {
        None => Some((false, piece)),
        Some((scheme, address)) => scheme.eq_ignore_ascii_case("smtp").then_some((scheme == "SMTP", address)),
    })
}

/// Splits at each `+` that a scheme follows: a `+` may also stand in an address.
fn between_schemes(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let cut = text.match_indices('+').map(|(at, _)| at).find(|at| {
            let after = text.get(at + 1..).unwrap_or_default();
            after
                .split_once(':')
                .is_some_and(|(scheme, _)| !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric()))
        });
        let (piece, after) = match cut {
            Some(at) => (text.get(..at)?, text.get(at + 1..)),
            None => (text, None),
        };
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxy_addresses_are_split_as_each_tool_joins_them() {
        let split =
            |text| addresses(text).map(|(_, piece)| piece).filter(|piece| !piece.is_empty()).collect::<Vec<_>>();
        let main: Vec<bool> = addresses("smtp:b@x.com+SMTP:a@x.com").map(|(main, _)| main).collect();
        assert_eq!(main, [false, true]);
        assert_eq!(split("SMTP:a@x.com;smtp:b@x.com"), ["a@x.com", "b@x.com"]);
        assert_eq!(split("smtp:b@x.com+SMTP:a@x.com+SIP:a@x.com"), ["b@x.com", "a@x.com"]);
        assert_eq!(split("SMTP:a+tag@x.com+smtp:b+1@x.com"), ["a+tag@x.com", "b+1@x.com"]);
        assert_eq!(split("{SMTP:a@x.com, smtp:b@x.com}"), ["a@x.com", "b@x.com"]);
        assert_eq!(split("a@x.com b@x.com"), ["a@x.com", "b@x.com"]);
        assert_eq!(split("[\"a@x.com\",\"b@x.com\"]"), ["a@x.com", "b@x.com"]);
        assert!(split("sip:a@x.com;spo:SPO_1@SPO_2").is_empty());
    }

    #[test]
    fn a_guests_upn_tells_the_home_address() {
        assert_eq!(invited("ann_lee_acme.com#EXT#@big.onmicrosoft.com").as_deref(), Some("ann_lee@acme.com"));
        assert_eq!(invited("ann_acme.com#ext#@big.onmicrosoft.com").as_deref(), Some("ann@acme.com"));
        assert_eq!(invited("ann@acme.com"), None);
        assert_eq!(invited("ı#EXT#@x").as_deref(), Some("ı@"));
    }
}

//! The comparison: what becomes of each row of the application's list.

use std::collections::BTreeMap;
use std::io::Read;

use super::accounts::{Account, Accounts, Hit, Which};
use super::calendar::Calendar;
use super::columns::Columns;
use super::finding::{Code, Detail, Finding, Outcome, Severity};
use super::sheet::{ReadError, Row, Sheet};
use super::users::{Layout, tell};
use super::{Asserted, Question};
use crate::base::clock::Timestamp;
use crate::base::email::{EmailAddress, EmailDomain};

/// How many other lines a duplicate names.
const LINES_NAMED: usize = 5;

/// What was found.
pub struct Report {
    /// The domain that was asked about.
    pub domain: EmailDomain,
    /// Which address the provider asserts.
    pub asserted: Asserted,
    /// Rows of the application's list.
    pub rows: u64,
    /// How many rows have each outcome. Together they are [`rows`](Self::rows).
    pub outcomes: BTreeMap<Outcome, u64>,
    /// In the order of [`Code::ALL`], then of the list.
    pub findings: Vec<Finding>,
    /// What the provider's list has; none: there was none.
    pub provider: Option<Provider>,
    /// Who meets the provider when; none: the list says nothing about sessions.
    pub calendar: Option<Calendar>,
    /// What the reader of the lists wants known.
    pub notices: Vec<String>,
    ignore_case: bool,
    users: Vec<User>,
}

/// What the provider's list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Rows of the list.
    pub rows: u64,
    /// Rows without an address that could be asserted.
    pub without_address: u64,
    /// Accounts that can sign in with an address of the domain.
    pub working: u64,
    /// Those of them that the application's list does not have: they arrive as new users.
    pub only_at_provider: u64,
}

/// A row about which something may be found.
pub(super) struct User {
    pub(super) line: u64,
    pub(super) id: Box<str>,
    pub(super) account: Box<str>,
    /// In normal form where it has one, else as written.
    pub(super) address: Box<str>,
    program: bool,
    of_domain: bool,
}

impl Report {
    /// Whether something was found that has to be put right before the cut-over.
    pub fn blocks(&self) -> bool {
        self.findings.iter().any(|finding| self.severity(finding.code) == Severity::Blocks)
    }

    /// How much a finding weighs here.
    pub fn severity(&self, code: Code) -> Severity {
        code.severity(self.ignore_case)
    }

    pub(super) fn user(&self, finding: &Finding) -> Option<&User> {
        self.users.get(finding.row)
    }
}

/// Reads the application's list and compares it with `accounts`. `progress` is told the rows read so far, now and then.
///
/// Memory: the rows of the domain; the others are counted.
pub fn compare<R: Read>(
    users: R,
    columns: &Columns,
    accounts: Option<Accounts>,
    question: &Question,
    progress: &mut dyn FnMut(u64),
) -> Result<Report, ReadError> {
    let mut sheet = Sheet::open(users)?;
    let mut layout = Layout::find(&sheet, columns)?;
    let calendar = layout.sessions().map(|source| Calendar::new(question.now, question.days, source));
    let mut comparison = Comparison { question, accounts, calendar, users: Vec::new(), findings: Vec::new() };
    let mut outcomes = BTreeMap::new();
    let mut rows = 0;
    while let Some(row) = sheet.next()? {
        rows += 1;
        tell(rows, progress);
        let outcome = comparison.row(&row, &mut layout)?;
        *outcomes.entry(outcome).or_insert(0) += 1;
    }
    comparison.duplicates();
    let Comparison { accounts, calendar, users, mut findings, .. } = comparison;
    findings.sort_by_key(|finding| (finding.code, finding.row));
    let mut notices = layout.notices();
    let provider = accounts.map(|accounts| {
        let provider = Provider {
            rows: accounts.rows,
            without_address: accounts.without_address,
            working: accounts.working(),
            only_at_provider: accounts.unseen(),
        };
        notices.extend(accounts.notices);
        provider
    });
    Ok(Report {
        domain: question.domain.clone(),
        asserted: question.asserted.clone(),
        rows,
        outcomes,
        findings,
        provider,
        calendar,
        notices,
        ignore_case: question.ignore_case,
        users,
    })
}

struct Comparison<'q> {
    question: &'q Question,
    accounts: Option<Accounts>,
    calendar: Option<Calendar>,
    users: Vec<User>,
    findings: Vec<Finding>,
}

impl Comparison<'_> {
    fn row(&mut self, row: &Row<'_>, layout: &mut Layout) -> Result<Outcome, ReadError> {
        let ends = layout.ends(row, self.question)?;
        if !layout.standing.works(row) {
            return Ok(Outcome::Inactive);
        }
        let program = layout.is_program(row);
        let written = row.cell(Some(layout.email));
        let address = written.parse::<EmailAddress>();
        let outcome = if program {
            self.program(row, layout, address.as_ref().ok())
        } else {
            match &address {
                Ok(address) if address.domain() == self.question.domain => self.person(address),
                Ok(address) => self.stranger(address),
                Err(_) if written.is_empty() => (Outcome::Found(Code::NoAddress), Detail::None),
                Err(_) if self.is_elsewhere(written) => (Outcome::OtherUsers, Detail::None),
                Err(_) => (Outcome::Found(Code::MalformedAddress), Detail::None),
            }
        };
        let (outcome, detail) = outcome;
        if outcome == Outcome::OtherUsers {
            return Ok(outcome);
        }
        let id = row.cell(layout.id);
        let username = row.cell(layout.username);
        let address = address.ok();
        let shown = address.as_ref().map_or(written, EmailAddress::as_str);
        // A program is known by the name that it signs in with, and that name may be what is wrong.
        let id = if id.is_empty() || (program && !username.is_empty()) { username } else { id };
        let user = self.users.len();
        let of_domain = address.as_ref().is_some_and(|address| address.domain() == self.question.domain);
        self.users.push(User {
            line: row.line,
            id: id.into(),
            account: row.cell(layout.account).into(),
            address: shown.into(),
            program,
            of_domain,
        });
        if let Outcome::Found(code) = outcome {
            self.findings.push(Finding { code, row: user, detail });
        }
        if of_domain && !program {
            self.meets(user, ends);
        }
        Ok(outcome)
    }

    /// Somebody whose address is in the domain.
    fn person(&mut self, address: &EmailAddress) -> (Outcome, Detail) {
        let Some(accounts) = &mut self.accounts else { return (Outcome::NotCompared, Detail::None) };
        let Some((hit, account)) = accounts.find(address) else {
            return (Outcome::Found(Code::NoCounterpart), Detail::None);
        };
        account.seen = true;
        let Some(code) = judge(address, hit, account, &self.question.asserted) else {
            return (Outcome::Ready, Detail::None);
        };
        let detail = account.asserted.clone().map_or(Detail::None, Detail::Asserted);
        (Outcome::Found(code), detail)
    }

    /// Somebody whose address is in another domain.
    fn stranger(&mut self, address: &EmailAddress) -> (Outcome, Detail) {
        let found = self.accounts.as_mut().and_then(|accounts| accounts.find(address));
        let Some((_, account)) = found.filter(|(_, account)| account.works()) else {
            return (Outcome::OtherUsers, Detail::None);
        };
        account.seen = true;
        let detail = account.asserted.clone().map_or(Detail::None, Detail::Asserted);
        (Outcome::Found(Code::AppAddressInOtherDomain), detail)
    }

    /// A program: its user name must be none of the addresses that are refused after the cut-over (R4).
    fn program(&self, row: &Row<'_>, layout: &Layout, contact: Option<&EmailAddress>) -> (Outcome, Detail) {
        let ours = |domain: EmailDomain| domain == self.question.domain;
        let name = [row.cell(layout.username), row.cell(layout.id)].into_iter().find(|name| !name.is_empty());
        let name = name.and_then(|name| name.parse::<EmailAddress>().ok());
        if name.is_some_and(|name| ours(name.domain())) {
            (Outcome::Found(Code::NativeUserIsAddress), Detail::None)
        } else if contact.is_some_and(|contact| ours(contact.domain())) {
            (Outcome::Native, Detail::None)
        } else {
            (Outcome::OtherUsers, Detail::None)
        }
    }

    /// Whether what is no address is at least no address of the domain.
    fn is_elsewhere(&self, written: &str) -> bool {
        let domain = written.rsplit_once('@').and_then(|(_, domain)| domain.parse::<EmailDomain>().ok());
        domain.is_some_and(|domain| domain != self.question.domain)
    }

    fn meets(&mut self, row: usize, ends: Option<Timestamp>) {
        if let Some(calendar) = &mut self.calendar
            && calendar.count(ends)
        {
            let detail = ends.map_or(Detail::None, Detail::Ends);
            self.findings.push(Finding { code: Code::MeetsProviderWithin, row, detail });
        }
    }

    /// Finds rows with one address (R6), and programs whose contact address is not theirs alone (R4).
    fn duplicates(&mut self) {
        let fold = self.question.ignore_case;
        let key = |user: &User| if fold { user.address.to_ascii_lowercase() } else { user.address.to_string() };
        let mut order: Vec<(String, usize)> = self
            .users
            .iter()
            .enumerate()
            .filter(|(_, user)| user.of_domain)
            .map(|(at, user)| (key(user), at))
            .collect();
        order.sort_unstable();
        for group in order.chunk_by(|(a, _), (b, _)| a == b).filter(|group| group.len() > 1) {
            let members = || group.iter().filter_map(|(_, at)| self.users.get(*at).map(|user| (*at, user)));
            let mut accounts: BTreeMap<&str, u64> = BTreeMap::new();
            for (_, person) in members().filter(|(_, user)| !user.program) {
                *accounts.entry(&person.account).or_default() += 1;
            }
            let mut found = Vec::new();
            for (at, user) in members() {
                let codes = if user.program {
                    [Some(Code::ContactNotUnique), None]
                } else {
                    let here = accounts.get(&*user.account).copied().unwrap_or_default();
                    let across = (accounts.len() > 1).then_some(Code::DuplicateAcrossAccounts);
                    [(here > 1).then_some(Code::DuplicateInAccount), across]
                };
                let lines = members().filter(|(other, _)| *other != at).map(|(_, other)| other.line);
                let lines: Box<[u64]> = lines.take(LINES_NAMED).collect();
                for code in codes.into_iter().flatten() {
                    found.push(Finding { code, row: at, detail: Detail::AlsoInLines(lines.clone()) });
                }
            }
            self.findings.append(&mut found);
        }
    }
}

/// What keeps the person of this address from signing in; none: the provider asserts this very address.
fn judge(address: &EmailAddress, hit: Hit, account: &Account, asserted: &Asserted) -> Option<Code> {
    if account.guest {
        return Some(Code::Guest);
    }
    if !account.enabled {
        return Some(Code::DisabledAtProvider);
    }
    match hit.which {
        Which::Asserted if hit.several => Some(Code::DuplicateAtProvider),
        Which::Asserted if account.asserted.as_deref() == Some(address.as_str()) => None,
        Which::Asserted => Some(Code::CaseDiffers),
        // Only another address is known, and none is asserted.
        _ if account.asserted.is_none() => Some(Code::NoCounterpart),
        _ if !account.ours => Some(Code::OtherDomain),
        Which::Mail if *asserted == Asserted::UserPrincipalName => Some(Code::UpnDiffers),
        Which::Mail | Which::Alias => Some(Code::AliasOnly),
    }
}

//! The application's list: what its columns are, and who is a person, who a program, who is not active.

use std::collections::BTreeSet;
use std::io::Read;

use super::Question;
use super::columns::{Columns, Header, Known, USERS};
use super::sheet::{ReadError, Row, Sheet};
use super::when::{NoDate, parse};
use crate::base::clock::Timestamp;

/// Rows between two reports of progress.
const EVERY: u64 = 4_096;

/// Tells of progress, now and then.
pub(super) fn tell(rows: u64, progress: &mut dyn FnMut(u64)) {
    if rows.is_multiple_of(EVERY) {
        progress(rows);
    }
}

/// Which column is what.
pub(super) struct Layout {
    pub(super) id: Option<usize>,
    pub(super) username: Option<usize>,
    pub(super) email: usize,
    pub(super) account: Option<usize>,
    kind: Option<usize>,
    authentication: Option<usize>,
    session_ends: Option<usize>,
    last_sign_in: Option<usize>,
    pub(super) standing: Standing,
    /// Kinds that mean nothing to us; their users are taken for people.
    unknown_kinds: BTreeSet<String>,
}

impl Layout {
    pub(super) fn find<R: Read>(sheet: &Sheet<R>, given: &Columns) -> Result<Self, ReadError> {
        let header = &sheet.header;
        let one = |what| header.one(USERS, what, given);
        let Some(email) = one("email")? else {
            return Err(header.missing("no column for the e-mail address (email)"));
        };
        let id = one("id")?;
        Ok(Self {
            id,
            // One column may be both, and is then the id: what a program signs in with is looked for there too.
            username: one("username")?.filter(|username| Some(*username) != id),
            email,
            account: one("account")?,
            kind: one("kind")?,
            authentication: one("authentication")?,
            session_ends: one("session_ends")?,
            last_sign_in: one("last_sign_in")?,
            standing: Standing::find(header, USERS, given)?,
            unknown_kinds: BTreeSet::new(),
        })
    }

    /// What sessions are told from.
    pub(super) fn sessions(&self) -> Option<&'static str> {
        match (self.session_ends, self.last_sign_in) {
            (Some(_), _) => Some("session end"),
            (None, Some(_)) => Some("last sign-in + absolute timeout"),
            (None, None) => None,
        }
    }

    /// Whether the row is a program's: by its kind, or without one by how it signs in.
    pub(super) fn is_program(&mut self, row: &Row<'_>) -> bool {
        let kind = row.cell(self.kind);
        match program(kind) {
            Some(program) => program,
            None if kind.is_empty() => {
                let way = row.cell(self.authentication).to_ascii_lowercase();
                ["api", "basic", "token", "key", "service", "script"].iter().any(|word| way.contains(word))
            }
            None => {
                self.unknown_kinds.insert(super::print::visible(kind).into_owned());
                false
            }
        }
    }

    /// When the session ends; none: there is none now.
    pub(super) fn ends(&self, row: &Row<'_>, question: &Question) -> Result<Option<Timestamp>, ReadError> {
        let column = self.session_ends.or(self.last_sign_in);
        let at = parse(row.cell(column), question.dates).map_err(|why| row.wrong(column, refusal(why)))?;
        let at = if self.session_ends.is_some() { at } else { at.map(|at| at.plus(question.absolute_timeout)) };
        Ok(at.filter(|at| *at > question.now))
    }

    pub(super) fn notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        if !self.unknown_kinds.is_empty() {
            let kinds: Vec<&str> = self.unknown_kinds.iter().take(5).map(String::as_str).collect();
            notices.push(format!(
                "taken for people: users of the kind {}; \"person\" and \"api\" are known",
                kinds.join(", ")
            ));
        }
        notices.extend(self.standing.notice());
        notices
    }
}

/// None: an unknown word.
fn program(kind: &str) -> Option<bool> {
    let kind: String = kind.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    match kind.as_str() {
        "api" | "apiuser" | "service" | "serviceaccount" | "serviceuser" | "system" | "integration" | "bot"
        | "machine" | "technical" | "robot" | "native" | "app" | "application" => Some(true),
        "person" | "people" | "user" | "human" | "member" | "employee" | "admin" | "administrator" | "technician"
        | "regular" | "standard" | "normal" | "staff" => Some(false),
        _ => None,
    }
}

fn refusal(why: NoDate) -> String {
    String::from(match why {
        NoDate::Unknown => {
            "is no date that is known; write 2026-01-31T09:30:00Z, or leave the column out (--column session_ends= \
             --column last_sign_in=)"
        }
        NoDate::Ambiguous => "may be two dates; say --dates dmy (31/01/2026) or --dates mdy (01/31/2026)",
    })
}

/// Which columns say whether an account works.
#[derive(Clone)]
pub(super) struct Standing {
    status: Option<usize>,
    blocked: Vec<usize>,
    unknown: BTreeSet<String>,
}

impl Standing {
    pub(super) fn find(header: &Header, known: &[Known], given: &Columns) -> Result<Self, ReadError> {
        Ok(Self {
            status: header.one(known, "status", given)?,
            blocked: header.many(known, "blocked", given)?,
            unknown: BTreeSet::new(),
        })
    }

    /// Unknown words and empty cells say nothing.
    pub(super) fn works(&mut self, row: &Row<'_>) -> bool {
        let status = row.cell(self.status);
        let works = match means(status) {
            None if status.is_empty() => true,
            None => {
                self.unknown.insert(super::print::visible(status).into_owned());
                true
            }
            Some(works) => works,
        };
        works && !self.blocked.iter().any(|column| means(row.cell(Some(*column))) == Some(true))
    }

    pub(super) fn notice(&self) -> Option<String> {
        let words: Vec<&str> = self.unknown.iter().take(5).map(String::as_str).collect();
        (!words.is_empty()).then(|| format!("taken for active: the status {}", words.join(", ")))
    }
}

/// Whether a word says yes (the account works; or, in a column of blocks, it is blocked). None: it says nothing.
fn means(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "yes" | "y" | "1" | "t" | "active" | "enabled" | "ok" | "provisioned" | "staged" | "recovery"
        | "password_expired" | "activated" | "locked_out" => Some(true),
        "false" | "no" | "n" | "0" | "f" | "inactive" | "disabled" | "suspended" | "archived" | "blocked"
        | "deprovisioned" | "deactivated" | "deleted" | "locked" | "terminated" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_kinds_and_states() {
        for (word, expected) in [
            ("API", Some(true)),
            ("service-account", Some(true)),
            ("Person", Some(false)),
            ("Service Account", Some(true)),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(program(word), expected, "{word}");
        }
        for (word, expected) in
            [("True", Some(true)), ("Suspended", Some(false)), ("ACTIVE", Some(true)), ("", None), ("?", None)]
        {
            assert_eq!(means(word), expected, "{word}");
        }
    }
}

//! The report for people (a table), for spreadsheets (CSV) and for programs (JSON).

mod table;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Serialize, Serializer};

use super::compare::Report;
use super::finding::{Detail, Finding};

pub use table::write_table;

/// How the lists are called in the report.
#[derive(Clone, Copy, Debug)]
pub struct Lists<'a> {
    /// The application's.
    pub users: &'a str,
    /// The provider's.
    pub provider: Option<&'a str>,
}

/// Text of a list as it may be shown: what a terminal obeys, or nobody sees, is written out.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{a0}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202f}'
                | '\u{2060}'..='\u{206f}' | '\u{3000}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if hidden(c) { c.escape_unicode().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(shown).collect())
}

/// One finding as a row of CSV or an object of JSON.
#[derive(Serialize)]
struct Flat<'a> {
    code: &'static str,
    severity: &'static str,
    line: u64,
    user: &'a str,
    account: &'a str,
    address: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    asserted: Option<&'a str>,
    #[serde(skip_serializing_if = "<[u64]>::is_empty")]
    also_in_lines: &'a [u64],
    #[serde(skip_serializing_if = "Option::is_none")]
    session_ends: Option<String>,
}

impl<'a> Flat<'a> {
    fn new(report: &'a Report, finding: &'a Finding) -> Option<Self> {
        let user = report.user(finding)?;
        let (mut asserted, mut also, mut ends) = (None, [].as_slice(), None);
        match &finding.detail {
            Detail::None => {}
            Detail::Asserted(address) => asserted = Some(&**address),
            Detail::AlsoInLines(lines) => also = lines,
            Detail::Ends(at) => ends = Some(at.rfc3339()),
        }
        Some(Self {
            code: finding.code.word(),
            severity: report.severity(finding.code).word(),
            line: user.line,
            user: &user.id,
            account: &user.account,
            address: &user.address,
            asserted,
            also_in_lines: also,
            session_ends: ends,
        })
    }
}

/// Every finding as CSV with a header. A cell that a spreadsheet would take for a formula begins with an apostrophe.
pub fn write_csv(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut rows = csv::Writer::from_writer(out);
    let titles = "code severity line user account address asserted also_in_lines session_ends what_to_do";
    rows.write_record(titles.split(' '))?;
    for finding in &report.findings {
        let Some(flat) = Flat::new(report, finding) else { continue };
        let lines: Vec<String> = flat.also_in_lines.iter().map(u64::to_string).collect();
        let advice = finding.code.advice(&report.domain);
        let cells = [
            flat.code,
            flat.severity,
            &flat.line.to_string(),
            &cell(flat.user),
            &cell(flat.account),
            &cell(flat.address),
            &cell(flat.asserted.unwrap_or_default()),
            &lines.join(" "),
            flat.session_ends.as_deref().unwrap_or_default(),
            &advice,
        ];
        rows.write_record(cells)?;
    }
    rows.flush()
}

/// Text of a list as a cell that runs nothing (OWASP, CSV injection).
fn cell(text: &str) -> Cow<'_, str> {
    let shown = visible(text);
    if shown.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']) {
        Cow::Owned(format!("'{shown}"))
    } else {
        shown
    }
}

/// Everything as one JSON object.
pub fn write_json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &Json(report))?;
    writeln!(out)
}

struct Json<'a>(&'a Report);

struct Findings<'a>(&'a Report);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let report = self.0;
        let outcomes: BTreeMap<&str, u64> =
            report.outcomes.iter().map(|(outcome, count)| (outcome.word(), *count)).collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("domain", report.domain.as_str())?;
        map.serialize_entry("asserted", report.asserted.words())?;
        map.serialize_entry("blocks", &report.blocks())?;
        map.serialize_entry("rows", &report.rows)?;
        map.serialize_entry("outcomes", &outcomes)?;
        if let Some(provider) = &report.provider {
            let counts = BTreeMap::from([
                ("rows", provider.rows),
                ("without_address", provider.without_address),
                ("can_sign_in", provider.working),
                ("only_at_provider", provider.only_at_provider),
            ]);
            map.serialize_entry("provider", &counts)?;
        }
        if let Some(calendar) = &report.calendar {
            let days: BTreeMap<String, u64> = calendar.dated().map(|(date, count)| (date.to_string(), count)).collect();
            map.serialize_entry("sessions_end", &days)?;
            map.serialize_entry("sessions_end_later", &calendar.later)?;
            map.serialize_entry("without_session", &calendar.none)?;
        }
        map.serialize_entry("notices", &report.notices)?;
        map.serialize_entry("findings", &Findings(report))?;
        map.end()
    }
}

impl Serialize for Findings<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for finding in self.0.findings.iter().filter_map(|finding| Flat::new(self.0, finding)) {
            list.serialize_element(&finding)?;
        }
        list.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_runs_nothing_in_a_spreadsheet() {
        for (text, expected) in [
            ("=HYPERLINK(\"http://x\")", "'=HYPERLINK(\"http://x\")"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("＝1", "'＝1"),
            ("ann@acme.com", "ann@acme.com"),
            ("", ""),
        ] {
            assert_eq!(cell(text), expected);
        }
        assert_eq!(cell("\t=1"), "\\u{9}=1", "what hides is written out");
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_shown() {
        assert_eq!(visible("a\u{1b}[2Jb\u{202e}c\u{a0}d\r"), "a\\u{1b}[2Jb\\u{202e}c\\u{a0}d\\u{d}");
        assert_eq!(visible("Änn 例"), "Änn 例");
    }
}

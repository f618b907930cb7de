//! The report for people: the verdict first, then every row once, the picture, and what to do.

use std::io::{self, Write};

use jiff::civil::Date;

use super::super::calendar::Calendar;
use super::super::compare::Report;
use super::super::finding::{Code, Detail, Finding, Outcome, Severity};
use super::{Lists, visible};

/// Columns of a terminal that the report takes at most.
const WIDTH: usize = 100;

/// Cells of the longest bar.
const BAR: u64 = 50;

/// More days than this are shown by the week.
const DAYS_SHOWN: usize = 31;

/// The report as text of at most 100 columns. Of each kind of finding at most `limit` rows are shown.
pub fn write_table(report: &Report, lists: Lists<'_>, limit: usize, out: &mut dyn Write) -> io::Result<()> {
    verdict(report, lists, out)?;
    rows(report, lists, out)?;
    if let Some(calendar) = &report.calendar {
        picture(calendar, out)?;
    }
    for notice in &report.notices {
        writeln!(out)?;
        wrapped("Note: ", notice, out)?;
    }
    for found in report.findings.chunk_by(|a, b| a.code == b.code) {
        // The picture says it; CSV and JSON have the names.
        if found.first().is_some_and(|first| first.code != Code::MeetsProviderWithin) {
            findings(report, found, limit, out)?;
        }
    }
    Ok(())
}

fn verdict(report: &Report, lists: Lists<'_>, out: &mut dyn Write) -> io::Result<()> {
    let blocked: u64 = count(report, Severity::Blocks);
    let choices: u64 = count(report, Severity::Choice);
    let verdict = match (blocked, choices) {
        (0, 0) => String::from("nothing blocks"),
        (0, choices) => format!("nothing blocks; {} to choose", grouped(choices)),
        (1, _) => String::from("1 finding blocks"),
        (blocked, _) => format!("{} findings block", grouped(blocked)),
    };
    writeln!(out, "{}: {verdict}", report.domain)?;
    wrapped("", &format!("{}. It must equal the address in the application.", upper(report.asserted.words())), out)?;
    let Some(provider) = &report.provider else {
        let text = format!("{} alone: without --provider nobody is compared.", visible(lists.users));
        return wrapped("", &text, out);
    };
    let name = lists.provider.unwrap_or("the provider");
    let text = format!(
        "{}: {} accounts, of which {} can sign in with an address of the domain; only at the provider, arriving as new \
         users: {}.",
        visible(name),
        grouped(provider.rows),
        grouped(provider.working),
        grouped(provider.only_at_provider),
    );
    wrapped("", &text, out)?;
    if provider.without_address > 0 {
        let text = format!("{} accounts have no address that could be asserted.", grouped(provider.without_address));
        wrapped("", &text, out)?;
    }
    Ok(())
}

fn count(report: &Report, severity: Severity) -> u64 {
    report.findings.iter().filter(|finding| report.severity(finding.code) == severity).count() as u64
}

fn rows(report: &Report, lists: Lists<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{} rows in {}, each once:", grouped(report.rows), visible(lists.users))?;
    for (outcome, count) in &report.outcomes {
        let weight = match outcome {
            Outcome::Found(code) => report.severity(*code).word(),
            _ => "",
        };
        line(&format!("{:>9}  {:<6}  {:<28} {}", grouped(*count), weight, outcome.word(), outcome.meaning()), out)?;
    }
    Ok(())
}

fn picture(calendar: &Calendar, out: &mut dyn Write) -> io::Result<()> {
    let days: Vec<(Date, u64)> = calendar.dated().collect();
    let count = days.len();
    let first = days.iter().map(|(_, count)| count).sum::<u64>();
    let weeks = count > DAYS_SHOWN;
    let mut bars: Vec<(String, u64)> = Vec::new();
    for chunk in days.chunks(if weeks { 7 } else { 1 }) {
        let Some((date, _)) = chunk.first() else { continue };
        let label = if weeks { format!("week of {date}") } else { date.strftime("%a %Y-%m-%d").to_string() };
        bars.push((label, chunk.iter().map(|(_, count)| count).sum()));
    }
    writeln!(out)?;
    let text = format!(
        "Who meets the provider when: {} sessions end within {count} days, {} later (UTC, by {}). {} people have none \
         now and meet it at their next sign-in.",
        grouped(first),
        grouped(calendar.later),
        calendar.source,
        grouped(calendar.none)
    );
    wrapped("", &text, out)?;
    let most = bars.iter().map(|(_, count)| *count).max().unwrap_or_default().max(1);
    for (label, count) in bars {
        // Somebody is never nobody.
        let length = count.saturating_mul(BAR).div_ceil(most);
        let bar = "█".repeat(usize::try_from(length).unwrap_or_default());
        line(format!("  {label:<18}{:>9}  {bar}", grouped(count)).trim_end(), out)?;
    }
    Ok(())
}

fn findings(report: &Report, found: &[Finding], limit: usize, out: &mut dyn Write) -> io::Result<()> {
    let Some(first) = found.first() else { return Ok(()) };
    let code = first.code;
    writeln!(out)?;
    let total = grouped(found.len() as u64);
    wrapped("", &format!("{} ({}, {total}): {}", code.word(), report.severity(code).word(), code.meaning()), out)?;
    wrapped("  ", &code.advice(&report.domain), out)?;
    let detail = match first.detail {
        Detail::None => "",
        Detail::Asserted(_) => "the provider asserts",
        Detail::AlsoInLines(_) => "also in line",
        Detail::Ends(_) => "session ends",
    };
    let mut table = vec![["line", "user", "account", "address in the application", detail].map(str::to_owned)];
    for finding in found.iter().take(limit) {
        let Some(user) = report.user(finding) else { continue };
        let detail = match &finding.detail {
            Detail::None => String::new(),
            Detail::Asserted(address) => visible(address).into_owned(),
            Detail::AlsoInLines(lines) => lines.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
            Detail::Ends(at) => at.rfc3339(),
        };
        let texts = [&user.id, &user.account, &user.address].map(|text| visible(text).into_owned());
        let [id, account, address] = texts;
        table.push([user.line.to_string(), id, account, address, detail]);
    }
    let widths = widths(&table);
    for cells in &table {
        let mut text = String::new();
        for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
            let cell = cut(cell, width);
            // Line numbers stand to the right.
            text.push_str(&if at == 0 { format!("  {cell:>width$}") } else { format!("  {cell:<width$}") });
        }
        line(&text, out)?;
    }
    let more = found.len().saturating_sub(limit);
    if more > 0 {
        writeln!(out, "  and {} more; --format csv lists all", grouped(more as u64))?;
    }
    Ok(())
}

/// As wide as the cells are; where that is too wide, user and account give way first, then whatever is widest.
fn widths(table: &[[String; 5]]) -> [usize; 5] {
    let mut widths = [0; 5];
    for cells in table {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let room = WIDTH - 2 * widths.len();
    while widths.iter().sum::<usize>() > room {
        let [_, user, account, ..] = widths;
        let least = if user.max(account) > NARROW { [NARROW, NARROW, WIDTH, WIDTH] } else { [0; 4] };
        let [_, shrink @ ..] = &mut widths;
        let spare = |(width, least): &(&mut usize, usize)| width.saturating_sub(*least);
        let Some((width, _)) = shrink.iter_mut().zip(least).max_by_key(spare) else { break };
        *width = width.saturating_sub(1);
    }
    widths
}

/// Characters of a user's or account's name that are kept while an address could be shown whole for the rest.
const NARROW: usize = 10;

/// At most `width` characters; what is left out stands for "…".
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

fn line(text: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", cut(text.trim_end(), WIDTH))
}

/// Breaks at blanks.
fn wrapped(indent: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut current = String::from(indent);
    let mut empty = true;
    for word in text.split(' ') {
        if !empty && current.chars().count() + 1 + word.chars().count() > WIDTH {
            line(&current, out)?;
            current.clear();
            current.push_str("  ");
            empty = true;
        }
        if !empty {
            current.push(' ');
        }
        current.push_str(word);
        empty = false;
    }
    line(&current, out)
}

fn upper(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_the_last_to_be_cut() {
        let row = |cells: [usize; 5]| widths(&[cells.map(|length| "x".repeat(length))]);
        assert_eq!(row([4, 8, 8, 30, 30]), [4, 8, 8, 30, 30]);
        assert_eq!(row([4, 36, 10, 30, 30]), [4, 16, 10, 30, 30]);
        assert_eq!(row([4, 36, 12, 33, 33]), [4, 10, 10, 33, 33]);
        assert_eq!(row([10, 36, 36, 100, 100]), [10, 10, 10, 30, 30]);
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("äöüß", 4), "äöüß");
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), expected);
        }
    }
}

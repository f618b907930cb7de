//! Text for people: tables of at most 100 columns, times, and nothing that a terminal would obey.

use std::fmt::Write as _;

/// A column: its title and how wide it may be.
pub(super) type Column = (&'static str, usize);

const GAP: &str = "  ";

/// Rows under their titles. What is wider than its column is cut, with `…` at its end.
pub(super) fn table<const N: usize>(columns: [Column; N], rows: &[[String; N]]) -> String {
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| clean(cell))).collect();
    let mut widths = columns.map(|(title, _)| title.chars().count());
    for row in &rows {
        for ((width, cell), (_, max)) in widths.iter_mut().zip(row).zip(columns) {
            *width = (*width).max(cell.chars().count()).min(max);
        }
    }
    let mut text = String::new();
    let titles = columns.map(|(title, _)| title.to_owned());
    for row in std::iter::once(&titles).chain(&rows) {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{:width$}", cut(cell, width)));
        let line = cells.collect::<Vec<_>>().join(GAP);
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Without control characters: what a provider or a browser said must not move the cursor.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// A length of time in at most seven characters: `45s`, `12m`, `23h05m`, `6d`.
pub(super) fn length(secs: u64) -> String {
    match secs {
        0..60 => format!("{secs}s"),
        60..3_600 => format!("{}m", secs / 60),
        3_600..172_800 => format!("{}h{:02}m", secs / 3_600, secs / 60 % 60),
        _ => format!("{}d", secs / 86_400),
    }
}

/// `2027-01-15 08:00` of an RFC 3339 time in UTC.
pub(super) fn minute(time: &str) -> String {
    time.get(..16).unwrap_or(time).replace('T', " ")
}

/// `1 session`, `2 sessions`.
pub(super) fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_as_wide_as_it_must_be_and_never_wider_than_its_columns() {
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        let text = table([("NAME", 6), ("X", 3)], &[row("ab", "1"), row("abcdefgh", "12345")]);
        assert_eq!(text, "NAME    X\nab      1\nabcde…  12…\n");
        assert_eq!(table([("NAME", 6), ("X", 3)], &[]), "NAME  X\n");
    }

    #[test]
    fn nothing_that_a_terminal_would_obey_is_printed() {
        let text = table([("A", 20)], &[["\u{1b}[2Jx\r\n\u{9b}y".to_owned()]]);
        assert_eq!(text.lines().count(), 2);
        assert!(!text.contains(['\u{1b}', '\r', '\u{9b}']), "{text:?}");
    }

    #[test]
    fn lengths_of_time_are_short() {
        let shown = [0, 59, 60, 3_599, 3_600, 83_100, 172_799, 172_800, 31_536_000].map(length);
        assert_eq!(shown, ["0s", "59s", "1m", "59m", "1h00m", "23h05m", "47h59m", "2d", "365d"]);
        assert_eq!(minute("2027-01-15T08:00:59.000Z"), "2027-01-15 08:00");
    }
}

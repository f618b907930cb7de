//! Dates of lists.

use jiff::civil;

use crate::base::clock::Timestamp;

/// How `01/02/2026` is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateOrder {
    /// 1 February, as in most of the world.
    DayFirst,
    /// 2 January, as in the United States.
    MonthFirst,
}

/// Why a text is no date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoDate {
    Unknown,
    /// Day and month could each be the other.
    Ambiguous,
}

/// Words for "not yet".
const NEVER: [&str; 9] = ["", "-", "never", "never logged in", "none", "null", "n/a", "na", "\\n"];

/// The moment that `text` names; none: never. Without an offset it is UTC, without a time midnight. Taken: RFC 3339,
/// ISO 8601 with a blank or slashes, `31.12.2026 23:59`, with `order` also `12/31/2026 11:59:00 PM`, Unix time in
/// seconds or milliseconds.
pub(super) fn parse(text: &str, order: Option<DateOrder>) -> Result<Option<Timestamp>, NoDate> {
    if NEVER.iter().any(|never| text.eq_ignore_ascii_case(never)) {
        return Ok(None);
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return unix(text).map(Some).ok_or(NoDate::Unknown);
    }
    let text = text.strip_suffix(" UTC").or_else(|| text.strip_suffix(" GMT")).unwrap_or(text);
    let iso = if text.get(4..5) == Some("/") { text.replacen('/', "-", 2) } else { text.to_owned() };
    if let Ok(at) = iso.parse::<jiff::Timestamp>() {
        return Ok(Some(Timestamp::from_millis(at.as_millisecond())));
    }
    let at = match iso.parse::<civil::DateTime>() {
        Ok(at) => at,
        Err(_) => written(text, order)?,
    };
    let at = at.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| NoDate::Unknown)?;
    Ok(Some(Timestamp::from_millis(at.timestamp().as_millisecond())))
}

/// Seconds have 9 or 10 digits, milliseconds 12 or 13: 1973 to 2286 either way.
fn unix(digits: &str) -> Option<Timestamp> {
    let number = digits.parse().ok()?;
    match digits.len() {
        9 | 10 => Some(Timestamp::from_secs(number)),
        12 | 13 => Some(Timestamp::from_millis(number)),
        _ => None,
    }
}

/// `31.12.2026` or, in the given order, `31/12/2026`; then a time perhaps, of 24 or 12 hours.
fn written(text: &str, order: Option<DateOrder>) -> Result<civil::DateTime, NoDate> {
    let (date, time) = text.split_once([' ', ',', 'T']).unwrap_or((text, ""));
    let dotted = date.contains('.');
    let parts: Vec<&str> = date.split(if dotted { '.' } else { '/' }).collect();
    let [first, second, year] = parts.as_slice() else { return Err(NoDate::Unknown) };
    let number = |part: &str, digits: std::ops::RangeInclusive<usize>| {
        let plain = digits.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if plain { part.parse::<i16>().map_err(|_| NoDate::Unknown) } else { Err(NoDate::Unknown) }
    };
    let (first, second, year) = (number(first, 1..=2)?, number(second, 1..=2)?, number(year, 4..=4)?);
    let (day, month) = match order {
        _ if dotted => (first, second),
        Some(DateOrder::DayFirst) => (first, second),
        Some(DateOrder::MonthFirst) => (second, first),
        None => return Err(NoDate::Ambiguous),
    };
    let small = |number: i16| i8::try_from(number).map_err(|_| NoDate::Unknown);
    let date = civil::Date::new(year, small(month)?, small(day)?).map_err(|_| NoDate::Unknown)?;
    Ok(date.to_datetime(time_of_day(time.trim_matches([' ', ',']))?))
}

fn time_of_day(text: &str) -> Result<civil::Time, NoDate> {
    if text.is_empty() {
        return Ok(civil::Time::midnight());
    }
    let upper = text.to_ascii_uppercase();
    let half = ["AM", "PM"].into_iter().find(|half| upper.ends_with(half));
    let clock = half.and_then(|half| upper.strip_suffix(half)).unwrap_or(&upper).trim();
    let padded = if clock.get(1..2) == Some(":") { format!("0{clock}") } else { clock.to_owned() };
    let time: civil::Time = padded.parse().map_err(|_| NoDate::Unknown)?;
    let hour = match (half, time.hour()) {
        (Some("AM"), 12) => 0,
        (None, hour) | (Some("AM"), hour @ 1..=11) => hour,
        (Some(_), 12) => 12,
        (Some(_), hour @ 1..=11) => hour + 12,
        _ => return Err(NoDate::Unknown),
    };
    time.with().hour(hour).build().map_err(|_| NoDate::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> String {
        parse(text, None).unwrap().map_or_else(|| String::from("never"), Timestamp::rfc3339)
    }

    #[test]
    fn dates_of_exports_are_read() {
        for (text, expected) in [
            ("2026-01-05T10:00:00Z", "2026-01-05T10:00:00.000Z"),
            ("2026-01-05T10:00:00+02:00", "2026-01-05T08:00:00.000Z"),
            ("2026-01-05 10:00:00+00", "2026-01-05T10:00:00.000Z"),
            ("2026-01-05 10:00", "2026-01-05T10:00:00.000Z"),
            ("2026-01-05 10:00:00 UTC", "2026-01-05T10:00:00.000Z"),
            ("2026-01-05 10:00:00.123456", "2026-01-05T10:00:00.123Z"),
            ("2016/04/04 00:24:13", "2016-04-04T00:24:13.000Z"),
            ("2026-01-05", "2026-01-05T00:00:00.000Z"),
            ("31.12.2026 23:59", "2026-12-31T23:59:00.000Z"),
            ("5.1.2026", "2026-01-05T00:00:00.000Z"),
            ("1767607200", "2026-01-05T10:00:00.000Z"),
            ("1767607200123", "2026-01-05T10:00:00.123Z"),
            ("Never logged in", "never"),
            ("", "never"),
            ("NULL", "never"),
        ] {
            assert_eq!(at(text), expected, "{text:?}");
        }
    }

    #[test]
    fn slashes_are_read_only_in_an_order_that_was_given() {
        let read = |order| parse("2/1/2026 3:04:05 PM", order).map(|at| at.unwrap().rfc3339());
        assert_eq!(read(None), Err(NoDate::Ambiguous));
        assert_eq!(read(Some(DateOrder::DayFirst)).as_deref(), Ok("2026-01-02T15:04:05.000Z"));
        assert_eq!(read(Some(DateOrder::MonthFirst)).as_deref(), Ok("2026-02-01T15:04:05.000Z"));
        let noon = |text| parse(text, Some(DateOrder::MonthFirst)).unwrap().unwrap().rfc3339();
        assert_eq!(noon("1/2/2026 12:00:00 AM"), "2026-01-02T00:00:00.000Z");
        assert_eq!(noon("1/2/2026, 12:00 PM"), "2026-01-02T12:00:00.000Z");
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "yesterday",
            "2026-13-01",
            "32.1.2026",
            "45000",
            "20260105100000",
            "1.1.26",
            "2026-01-05 25:00",
            "1/2",
            "2026-01-05T10:00:00Z x",
            "1.1.2026 13:00 PM",
        ] {
            assert!(parse(text, Some(DateOrder::DayFirst)).is_err(), "{text:?}");
        }
    }
}

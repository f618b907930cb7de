//! Who meets the provider when: by calendar day.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::base::clock::Timestamp;

/// People of the domain by the day on which their session ends (UTC).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// Today.
    pub first: Date,
    /// How many sessions end on each day, today first.
    pub days: Vec<u64>,
    /// Without a session now: they meet the provider at their next sign-in, whenever that is.
    pub none: u64,
    /// Sessions that end after the last day.
    pub later: u64,
    /// What the days were told from.
    pub source: &'static str,
}

impl Calendar {
    pub(super) fn new(now: Timestamp, days: u16, source: &'static str) -> Self {
        let days = vec![0; usize::from(days.clamp(1, 366))];
        Self { first: date(now), days, none: 0, later: 0, source }
    }

    /// Counts a session; true if it ends within the days.
    pub(super) fn count(&mut self, ends: Option<Timestamp>) -> bool {
        let Some(ends) = ends else {
            self.none += 1;
            return false;
        };
        let after = date(ends).since(self.first).map_or(0, |span| span.get_days());
        let day = usize::try_from(after).unwrap_or(0);
        match self.days.get_mut(day) {
            Some(count) => {
                *count += 1;
                true
            }
            None => {
                self.later += 1;
                false
            }
        }
    }

    /// The days with their dates.
    pub fn dated(&self) -> impl Iterator<Item = (Date, u64)> {
        let dates = self.first.series(jiff::Span::new().days(1));
        dates.zip(self.days.iter().copied())
    }
}

/// The day in UTC.
fn date(at: Timestamp) -> Date {
    let bound = if at.millis() < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    let at = jiff::Timestamp::from_millisecond(at.millis()).unwrap_or(bound);
    at.to_zoned(TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn today_is_the_first_day_and_the_last_one_ends_at_midnight() {
        let mut calendar = Calendar::new(at("2026-02-27T18:00:00Z"), 3, "session end");
        assert!(calendar.count(Some(at("2026-02-27T23:59:59Z"))));
        assert!(calendar.count(Some(at("2026-02-28T00:00:00Z"))));
        assert!(calendar.count(Some(at("2026-03-01T23:59:59Z"))));
        assert!(!calendar.count(Some(at("2026-03-02T00:00:00Z"))));
        assert!(!calendar.count(Some(at("9999-12-30T00:00:00Z"))));
        assert!(!calendar.count(Some(Timestamp::from_millis(i64::MAX))));
        assert!(!calendar.count(None));
        let days: Vec<String> = calendar.dated().map(|(date, count)| format!("{date} {count}")).collect();
        assert_eq!(days, ["2026-02-27 1", "2026-02-28 1", "2026-03-01 1"]);
        assert_eq!((calendar.later, calendar.none), (3, 1));
    }
}

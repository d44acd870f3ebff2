//! Times at which a connection's job starts by itself: a cron expression in a time zone. Pure.
//!
//! Times that passed while nobody was there are one run, not many: [`Times::follow`] counts them and returns the next one
//! that is still to come.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Longest expression and longest name of a time zone, in bytes.
const LONGEST: usize = 128;

/// Most missed times that are counted one by one.
const COUNTED: u64 = 10_000;

/// What does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The expression.
    #[error("{0}")]
    Cron(String),
    /// The time zone.
    #[error("{0:?} is not a time zone, such as UTC or Europe/Berlin")]
    Timezone(String),
}

/// The times of a schedule.
#[derive(Debug, Clone)]
pub struct Times {
    cron: Cron,
    zone: TimeZone,
}

/// What follows a time that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Following {
    /// The next time.
    pub next: Timestamp,
    /// Times between the one that is due and now.
    pub missed: u64,
}

impl Times {
    /// Reads an expression of five fields (minute, hour, day of the month, month, day of the week) and a time zone.
    ///
    /// # Errors
    /// When one of them does not fit, or the expression names no time that ever comes.
    pub fn parse(cron: &str, timezone: &str) -> Result<Self, Unfit> {
        if cron.len() > LONGEST {
            return Err(Unfit::Cron(format!("an expression has at most {LONGEST} bytes")));
        }
        let zone = Some(timezone)
            .filter(|name| name.len() <= LONGEST)
            .and_then(|name| TimeZone::get(name).ok())
            .ok_or_else(|| Unfit::Timezone(timezone.chars().take(LONGEST).collect()))?;
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser.parse(cron).map_err(|error| Unfit::Cron(error.to_string()))?;
        let times = Self { cron, zone };
        match times.after(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(times),
            None => Err(Unfit::Cron("the expression names no time that ever comes".to_owned())),
        }
    }

    /// Returns the first time after another one.
    #[must_use]
    pub fn after(&self, time: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&time.to_zoned(self.zone.clone()), false);
        next.ok().map(|next| next.timestamp())
    }

    /// Returns the first time after now, and how many passed between the one that is due and now.
    #[must_use]
    pub fn follow(&self, due: Timestamp, now: Timestamp) -> Option<Following> {
        let (mut next, mut missed) = (self.after(due)?, 0);
        while next <= now {
            missed += 1;
            next = if missed < COUNTED {
                self.after(next)?
            } else {
                self.after(now)?
            };
        }
        Some(Following { next, missed })
    }
}

/// Returns the name of the time zone that holds where none is named.
#[must_use]
pub fn utc() -> String {
    "UTC".to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn times(cron: &str, zone: &str) -> Times {
        Times::parse(cron, zone).expect("times")
    }

    #[test]
    fn an_expression_has_five_fields_and_names_times_that_come() {
        for cron in ["*/5 * * * *", "0 3 * * MON-FRI", "@daily", "0 0 29 2 *", "0 0 L * *"] {
            assert!(Times::parse(cron, "UTC").is_ok(), "{cron}");
        }
        let long = "*".repeat(200);
        for cron in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "0 0 31 2 *",
            "every day",
            &long,
        ] {
            assert!(matches!(Times::parse(cron, "UTC"), Err(Unfit::Cron(_))), "{cron}");
        }
        for zone in ["", "Mars/Olympus", "../../etc/passwd"] {
            assert!(
                matches!(Times::parse("@daily", zone), Err(Unfit::Timezone(_))),
                "{zone}"
            );
        }
    }

    #[test]
    fn a_time_is_one_of_its_zone_also_where_clocks_go_back() {
        let nightly = times("30 2 * * *", "Europe/Berlin");
        assert_eq!(
            nightly.after(at("2026-07-01T12:00:00Z")),
            Some(at("2026-07-02T00:30:00Z"))
        );
        assert_eq!(
            nightly.after(at("2026-12-01T12:00:00Z")),
            Some(at("2026-12-02T01:30:00Z"))
        );
        // The night in which half past two comes twice: it is one night.
        let before = at("2026-10-24T12:00:00Z");
        let night = nightly.after(before).expect("a time");
        let next = nightly.after(night).expect("a time");
        assert!(next.duration_since(night).as_hours() >= 24, "{night} {next}");
    }

    #[test]
    fn times_that_passed_are_counted_and_not_made_up_for() {
        let hourly = times("0 * * * *", "UTC");
        let following = hourly.follow(at("2026-01-01T00:00:00Z"), at("2026-01-01T05:30:00Z"));
        let expected = Following {
            next: at("2026-01-01T06:00:00Z"),
            missed: 5,
        };
        assert_eq!(following, Some(expected));
        let minutely = times("* * * * *", "UTC").follow(at("2020-01-01T00:00:00Z"), at("2026-01-01T00:00:30Z"));
        let expected = Following {
            next: at("2026-01-01T00:01:00Z"),
            missed: COUNTED,
        };
        assert_eq!(minutely, Some(expected));
    }

    proptest! {
        #[test]
        fn the_next_time_is_always_to_come(
            cron in prop::sample::select(&["*/7 * * * *", "0 3 * * 1", "15 10 1 * *", "@hourly"][..]),
            due in 0_i64..2_000_000_000, later in 0_i64..10_000_000,
        ) {
            let times = times(cron, "America/New_York");
            let due = times.after(Timestamp::from_second(due).expect("a time")).expect("a time");
            let now = Timestamp::from_second(due.as_second() + later).expect("a time");
            let following = times.follow(due, now).expect("a time");
            prop_assert!(following.next > now);
            prop_assert_eq!(times.after(now), Some(following.next));
        }

        #[test]
        fn no_text_breaks_the_reader(cron in ".{0,40}", zone in ".{0,20}") {
            drop(Times::parse(&cron, &zone));
        }
    }
}

//! Cron expressions on the clock of a place, over the days when that clock is changed.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use croner::Cron as Pattern;
use jiff::{
    Timestamp,
    tz::{AmbiguousOffset, Offset, TimeZone},
};

use crate::error::ScheduleError;

/// When the clock of a place shows certain times.
///
/// The expression is matched against local times alone, as if no clock were ever changed (a `DateTime<Utc>` called `local` is what the
/// clock shows); what a change means is decided here. The zones are compiled in, so that all workers mean the same.
#[derive(Debug, Clone)]
pub(crate) struct Cron {
    pattern: Pattern,
    zone: TimeZone,
    /// The hour is `*`: it goes by the time that passes, not by what the clock shows.
    every_hour: bool,
}

impl Cron {
    pub(crate) fn parse(pattern: &str, zone: &str) -> Result<Self, ScheduleError> {
        let place = TimeZone::get(zone).map_err(|_| ScheduleError::Zone { zone: zone.to_owned() })?;
        let parsed: Pattern = pattern.parse().map_err(|error: croner::errors::CronError| {
            ScheduleError::Cron { cron: pattern.to_owned(), why: error.to_string() }
        })?;
        let every_hour = parsed.pattern.hours.values().len() == 24;
        Ok(Self { pattern: parsed, zone: place, every_hour })
    }

    /// The first planned moment after this one; none when the years that are known have no more.
    pub(crate) fn after(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let at = at.trunc_subsecs(0);
        if self.every_hour { self.passing(at) } else { self.shown(at) }
    }

    /// The next local time of the pattern, whether or not it exists.
    fn next_local(&self, local: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.pattern.find_next_occurrence(&local, false).ok()
    }

    /// Named hours: each local time once. What falls into a gap comes right after it, what comes twice is the first of both.
    fn shown(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut local = at + self.offset(at)?;
        loop {
            local = self.next_local(local)?;
            let civil = Offset::UTC.to_datetime(timestamp(local)?);
            let moment = match self.zone.to_ambiguous_timestamp(civil).offset() {
                AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
                    local - seconds(offset)
                }
                AmbiguousOffset::Gap { before, after } => {
                    self.change(local - seconds(after), local - seconds(before))?
                }
            };
            // In the second pass of a doubled hour the first passes of what follows are over.
            if moment > at {
                return Some(moment);
            }
        }
    }

    /// Every hour: on through both passes of a doubled hour, and over a gap without a break.
    fn passing(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut known = at;
        let mut offset = self.offset(at)?;
        let mut local = at + offset;
        loop {
            let next = self.next_local(local)? - offset;
            if self.offset(next)? == offset {
                return Some(next);
            }
            known = self.change(known, next)?;
            offset = self.offset(known)?;
            local = known + offset - TimeDelta::seconds(1);
        }
    }

    fn offset(&self, at: DateTime<Utc>) -> Option<TimeDelta> {
        Some(seconds(self.zone.to_offset(timestamp(at)?)))
    }

    /// When between these moments the clock is changed: the first second of the new offset.
    fn change(&self, before: DateTime<Utc>, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let old = self.offset(before)?;
        let (mut low, mut high) = (before, after);
        while high - low > TimeDelta::seconds(1) {
            let middle = low + TimeDelta::seconds((high - low).num_seconds() / 2);
            if self.offset(middle)? == old {
                low = middle;
            } else {
                high = middle;
            }
        }
        Some(high)
    }
}

fn timestamp(at: DateTime<Utc>) -> Option<Timestamp> {
    Timestamp::from_second(at.timestamp()).ok()
}

fn seconds(offset: Offset) -> TimeDelta {
    TimeDelta::seconds(offset.seconds().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What comes after a moment, in the words of the place: offset and all.
    fn run(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let cron = Cron::parse(cron, zone).unwrap();
        let mut at: DateTime<Utc> = after.parse().unwrap();
        let mut planned = Vec::new();
        for _ in 0..count {
            at = cron.after(at).unwrap();
            planned.push(
                timestamp(at).unwrap().to_zoned(cron.zone.clone()).strftime("%m-%d %H:%M:%S%z").to_string(),
            );
        }
        planned
    }

    const BERLIN: &str = "Europe/Berlin";
    const NEW_YORK: &str = "America/New_York";

    // Berlin 2027: 28 March 02:00 -> 03:00, 31 October 03:00 -> 02:00. New York 2027: 14 March 02:00 -> 03:00, 7 November 02:00 -> 01:00.

    #[test]
    fn in_spring_what_does_not_exist_runs_once_right_after() {
        let daily = run("30 2 * * *", BERLIN, "2027-03-26T12:00:00Z", 3);
        assert_eq!(daily, ["03-27 02:30:00+0100", "03-28 03:00:00+0200", "03-29 02:30:00+0200"]);
        let daily = run("30 2 * * *", NEW_YORK, "2027-03-12T12:00:00Z", 3);
        assert_eq!(daily, ["03-13 02:30:00-0500", "03-14 03:00:00-0400", "03-15 02:30:00-0400"]);
        // Four of one hour become one, and one that is due at three anyway is that one.
        let quarters = run("*/15 2,3 * * *", BERLIN, "2027-03-28T00:59:00Z", 3);
        assert_eq!(quarters, ["03-28 03:00:00+0200", "03-28 03:15:00+0200", "03-28 03:30:00+0200"]);
        let weekly = run("0 2 * * SUN", BERLIN, "2027-03-21T12:00:00Z", 2);
        assert_eq!(weekly, ["03-28 03:00:00+0200", "04-04 02:00:00+0200"]);
    }

    #[test]
    fn in_autumn_what_comes_twice_runs_the_first_time() {
        let daily = run("30 2 * * *", BERLIN, "2027-10-29T12:00:00Z", 3);
        assert_eq!(daily, ["10-30 02:30:00+0200", "10-31 02:30:00+0200", "11-01 02:30:00+0100"]);
        let daily = run("30 1 * * *", NEW_YORK, "2027-11-05T12:00:00Z", 3);
        assert_eq!(daily, ["11-06 01:30:00-0400", "11-07 01:30:00-0400", "11-08 01:30:00-0500"]);
        let quarters = run("*/30 2,3 * * *", BERLIN, "2027-10-30T23:59:00Z", 5);
        let one_pass = ["10-31 02:00:00+0200", "10-31 02:30:00+0200", "10-31 03:00:00+0100"];
        assert_eq!(quarters[..3], one_pass);
        // From within the second pass nothing of it is planned any more.
        assert_eq!(run("45 2 * * *", BERLIN, "2027-10-31T01:10:00Z", 1), ["11-01 02:45:00+0100"]);
    }

    #[test]
    fn every_hour_goes_by_the_time_that_passes() {
        let spring = run("30 * * * *", BERLIN, "2027-03-27T23:45:00Z", 3);
        assert_eq!(spring, ["03-28 01:30:00+0100", "03-28 03:30:00+0200", "03-28 04:30:00+0200"]);
        let autumn = run("30 * * * *", BERLIN, "2027-10-30T23:45:00Z", 4);
        assert_eq!(
            autumn,
            ["10-31 02:30:00+0200", "10-31 02:30:00+0100", "10-31 03:30:00+0100", "10-31 04:30:00+0100"]
        );
        let autumn = run("0 */1 * * *", NEW_YORK, "2027-11-07T04:30:00Z", 3);
        assert_eq!(autumn, ["11-07 01:00:00-0400", "11-07 01:00:00-0500", "11-07 02:00:00-0500"]);
        // Half an hour is doubled on Lord Howe Island: 4 April 02:00 -> 01:30.
        let half = run("*/20 * * * *", "Australia/Lord_Howe", "2027-04-03T14:35:00Z", 4);
        assert_eq!(
            half,
            ["04-04 01:40:00+1100", "04-04 01:40:00+1030", "04-04 02:00:00+1030", "04-04 02:20:00+1030"]
        );
    }

    #[test]
    fn a_day_that_a_place_left_out_is_made_up_for() {
        // Samoa crossed the date line at the end of 2011-12-29; there was no 30 December.
        let daily = run("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", 3);
        assert_eq!(daily, ["12-29 12:00:00-1000", "12-31 00:00:00+1400", "12-31 12:00:00+1400"]);
    }

    #[test]
    fn seconds_and_names_are_understood_and_nonsense_is_not() {
        assert_eq!(
            run("*/20 0 0 1 JAN *", "UTC", "2027-02-01T00:00:00Z", 2),
            ["01-01 00:00:00+0000", "01-01 00:00:20+0000"]
        );
        assert_eq!(run("@daily", "Asia/Kolkata", "2027-02-01T00:00:00Z", 1), ["02-02 00:00:00+0530"]);
        assert!(matches!(Cron::parse("61 * * * *", "UTC"), Err(ScheduleError::Cron { .. })));
        assert!(matches!(Cron::parse("every day", "UTC"), Err(ScheduleError::Cron { .. })));
        assert!(matches!(Cron::parse("0 0 * * *", "Europe/Bielefeld"), Err(ScheduleError::Zone { .. })));
        assert_eq!(
            Cron::parse("0 0 30 2 *", "UTC").unwrap().after("2027-02-01T00:00:00Z".parse().unwrap()),
            None
        );
    }

    proptest! {
        /// From wherever one asks, the answer is the same: the search has no memory that a restart could lose.
        #[test]
        fn the_next_is_the_first_after(
            pattern in prop::sample::select(vec!["30 2 * * *", "*/15 2 * * *", "0 * * * *", "*/20 * * * *", "0 */3 * * *", "5 0 * * *", "59 23 * * SUN", "0 2,3 28-31 * *"]),
            zone in prop::sample::select(vec![BERLIN, NEW_YORK, "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Casablanca", "UTC"]),
            start in 1_790_000_000_i64..1_860_000_000,
            step in 1_i64..200_000,
        ) {
            let cron = Cron::parse(pattern, zone).unwrap();
            let at = DateTime::from_timestamp_secs(start).unwrap();
            let next = cron.after(at).unwrap();
            prop_assert!(next > at);
            let between = at + TimeDelta::seconds(step % (next - at).num_seconds());
            prop_assert_eq!(cron.after(between), Some(next));
        }
    }
}

//! When a schedule fires: the planned moments, and which of them are made up for when nobody was there to fire them.

use std::{collections::VecDeque, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    error::ScheduleError,
    schedule::{Missed, cron::Cron},
};

/// A firing that comes later than this was missed.
pub(crate) const GRACE: TimeDelta = TimeDelta::seconds(60);

#[derive(Debug, Clone)]
pub(crate) enum Timing {
    Cron(Box<Cron>),
    /// On the grid of the first moment, so that it does not drift.
    Every(TimeDelta),
}

/// What is to be done about a schedule whose moment has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// Planned moments to be fired, oldest first.
    pub(crate) fire: Vec<DateTime<Utc>>,
    /// Whether any was missed.
    pub(crate) missed: bool,
    /// The next planned moment, after now.
    pub(crate) next: Option<DateTime<Utc>>,
}

impl Timing {
    /// As it stands in a row.
    pub(crate) fn parse(
        cron: Option<&str>,
        zone: Option<&str>,
        every_ms: Option<i64>,
    ) -> Result<Self, ScheduleError> {
        match every_ms.and_then(TimeDelta::try_milliseconds) {
            Some(every) if every > TimeDelta::zero() => Ok(Self::Every(every)),
            _ => Ok(Self::Cron(Box::new(Cron::parse(cron.unwrap_or_default(), zone.unwrap_or_default())?))),
        }
    }

    /// The first planned moment after `at`, where `anchor` is any planned moment.
    pub(crate) fn after(&self, anchor: DateTime<Utc>, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Cron(cron) => cron.after(at),
            Self::Every(every) => {
                let every = every.num_milliseconds();
                let steps = (at - anchor).num_milliseconds().div_euclid(every) + 1;
                anchor.checked_add_signed(TimeDelta::try_milliseconds(steps.checked_mul(every)?)?)
            }
        }
    }

    /// `planned` is the moment that has come.
    pub(crate) fn due(&self, planned: DateTime<Utc>, now: DateTime<Utc>, missed: Missed) -> Due {
        let most = match missed {
            Missed::Skip | Missed::Once => 1,
            Missed::All { at_most } => usize::from(at_most.get()),
        };
        let mut fire = self.last_until(planned, now, most);
        let latest = fire.last().copied().unwrap_or(planned);
        let was_missed = latest != planned || now - latest > GRACE;
        if missed == Missed::Skip && now - latest > GRACE {
            fire.clear();
        }
        Due { fire, missed: was_missed, next: self.after(planned, now) }
    }

    /// The last planned moments from `first` on until now. It looks back in growing steps, so that a month of missed seconds is not counted through.
    fn last_until(&self, first: DateTime<Utc>, now: DateTime<Utc>, most: usize) -> Vec<DateTime<Utc>> {
        let mut back = TimeDelta::minutes(1);
        loop {
            let from = if now - first > back { now - back } else { first };
            let mut last = VecDeque::new();
            let mut at = if from == first { Some(first) } else { self.after(first, from) };
            while let Some(planned) = at.filter(|planned| *planned <= now) {
                if last.len() == most {
                    last.pop_front();
                }
                last.push_back(planned);
                at = self.after(first, planned);
            }
            if from == first || last.len() == most {
                return last.into();
            }
            back = back * 4;
        }
    }
}

pub(crate) fn every(interval: Duration) -> Result<TimeDelta, ScheduleError> {
    // Postgres and the grid know milliseconds.
    let ms = i64::try_from(interval.as_millis()).ok().filter(|ms| *ms > 0);
    ms.and_then(TimeDelta::try_milliseconds).ok_or(ScheduleError::Never)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2027-01-{text}Z").parse().unwrap()
    }

    fn all(n: u16) -> Missed {
        Missed::All { at_most: NonZeroU16::new(n).unwrap() }
    }

    #[test]
    fn each_policy_makes_up_for_what_it_says() {
        let daily = Timing::parse(Some("0 3 * * *"), Some("UTC"), None).unwrap();
        let hours = Timing::parse(None, None, Some(3_600_000)).unwrap();
        let table = [
            // On time, or nearly: every policy fires it.
            (&daily, "02T03:00:00", Missed::Skip, "02T03:00:01", &["02T03:00:00"][..], false),
            (&daily, "02T03:00:00", Missed::Once, "02T03:00:40", &["02T03:00:00"], false),
            (&daily, "02T03:00:00", all(9), "02T03:00:40", &["02T03:00:00"], false),
            // Five hours late.
            (&daily, "02T03:00:00", Missed::Skip, "02T08:00:00", &[], true),
            (&daily, "02T03:00:00", Missed::Once, "02T08:00:00", &["02T03:00:00"], true),
            // Four planned, none fired.
            (&daily, "02T03:00:00", Missed::Skip, "05T03:00:10", &["05T03:00:00"], true),
            (&daily, "02T03:00:00", Missed::Once, "05T12:00:00", &["05T03:00:00"], true),
            (&daily, "02T03:00:00", all(2), "05T12:00:00", &["04T03:00:00", "05T03:00:00"], true),
            (
                &daily,
                "02T03:00:00",
                all(9),
                "04T12:00:00",
                &["02T03:00:00", "03T03:00:00", "04T03:00:00"],
                true,
            ),
            (
                &hours,
                "02T00:30:10",
                all(3),
                "03T00:00:00",
                &["02T21:30:10", "02T22:30:10", "02T23:30:10"],
                true,
            ),
            (&hours, "02T00:30:10", Missed::Once, "03T00:00:00", &["02T23:30:10"], true),
        ];
        for (timing, planned, policy, now, fire, missed) in table {
            let due = timing.due(at(planned), at(now), policy);
            let expected: Vec<_> = fire.iter().map(|text| at(text)).collect();
            assert_eq!((&due.fire, due.missed), (&expected, missed), "{planned} {now} {policy:?}");
            assert!(due.next.unwrap() > at(now));
        }
    }

    #[test]
    fn a_year_of_missed_seconds_is_not_counted_through() {
        let seconds = Timing::parse(Some("* * * * * *"), Some("Europe/Berlin"), None).unwrap();
        let due = seconds.due(at("01T00:00:00"), at("01T00:00:00") + TimeDelta::days(365), all(100));
        assert_eq!(due.fire.len(), 100);
        assert_eq!(due.next, Some(at("01T00:00:01") + TimeDelta::days(365)));
    }

    #[test]
    fn intervals_keep_their_grid() {
        let timing = Timing::parse(None, None, Some(7_000)).unwrap();
        let anchor = at("01T00:00:00");
        assert_eq!(timing.after(anchor, anchor), Some(at("01T00:00:07")));
        assert_eq!(timing.after(anchor, at("01T00:00:13")), Some(at("01T00:00:14")));
        assert_eq!(timing.after(at("01T00:00:14"), at("01T00:00:03")), Some(at("01T00:00:07")));
    }
}

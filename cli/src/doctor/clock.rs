//! Whether clocks agree. Leases and budgets go by the database's alone; signed links, webhooks and what people read go by each machine's.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use spool_db::checkup;
use spool_job::clock::{Clock, SystemClock};
use sqlx::PgConnection;

use super::{Finding, Findings};

/// How far apart two clocks may be.
const NOTED: TimeDelta = TimeDelta::seconds(2);
const WARNED: TimeDelta = TimeDelta::seconds(10);
/// Webhooks that are five minutes old are refused, and links may be made for a minute.
const WRONG: TimeDelta = TimeDelta::seconds(60);

pub(super) async fn look(conn: &mut PgConnection) -> Findings {
    let before = SystemClock.now();
    let there = checkup::server(conn).await?.now;
    Ok(vec![judge("Postgres", there, before, SystemClock.now(), Duration::ZERO)])
}

/// What another clock showed somewhere between two moments of ours; `grain` is the smallest step in which it tells the time.
pub(super) fn judge(
    whose: &str,
    there: DateTime<Utc>,
    before: DateTime<Utc>,
    after: DateTime<Utc>,
    grain: Duration,
) -> Finding {
    let half = (after - before) / 2;
    let grain = TimeDelta::from_std(grain).unwrap_or_default() / 2;
    // A clock that is cut off to whole seconds is half a second further on average.
    let skew = there + grain - (before + half);
    let certain = (skew.abs() - half - grain).max(TimeDelta::zero());
    let seconds = skew.num_milliseconds() as f64 / 1000.0;
    if certain < NOTED {
        return Finding::ok(format!("the clocks of {whose} and of this machine agree"));
    }
    let direction = if seconds > 0.0 { "ahead of" } else { "behind" };
    let what = format!("the clock of {whose} is {:.1} s {direction} that of this machine", seconds.abs());
    if certain < WARNED {
        return Finding::note(what);
    }
    Finding::bad_if(certain >= WRONG, what, "set both by the network: `timedatectl set-ntp true`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn what_cannot_be_known_is_not_said() {
        let at = |ms: i64| DateTime::UNIX_EPOCH + TimeDelta::milliseconds(1_000_000 + ms);
        for (there, after, grain, severity) in [
            (5, 10, 0, Severity::Ok),
            (3_005, 10, 0, Severity::Note),
            (-11_005, 10, 0, Severity::Warning),
            (61_000, 10, 0, Severity::Error),
            // The answer took four seconds: it may have been given at once.
            (3_005, 4_000, 0, Severity::Ok),
            // Whole seconds.
            (-900, 10, 1, Severity::Ok),
            (-3_700, 10, 1, Severity::Note),
        ] {
            let finding = judge("it", at(there), at(0), at(after), Duration::from_secs(grain));
            assert_eq!(finding.severity, severity, "{there} {after} {grain}: {finding:?}");
        }
    }
}

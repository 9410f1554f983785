//! Whether the queue's history has its partitions. Workers make those of the next month ahead; without them rows go where pruning is slow.

use spool_queue::inspect::{self, Partitions};
use sqlx::PgConnection;

use super::finding::or_ok;
use super::{Finding, Findings};

const MAKE: &str =
    "`select queue.make_partitions(1)`; the log of a worker says why it has not done so (`maintain`)";
/// Days before the month ends.
const SOON: i32 = 3;

pub(super) async fn look(conn: &mut PgConnection) -> Findings {
    Ok(judge(&inspect::partitions(conn).await?))
}

fn judge(partitions: &Partitions) -> Vec<Finding> {
    let Partitions { missing, missing_next, days_left, stray } = partitions;
    let mut found = Vec::new();
    if !missing.is_empty() {
        found.push(Finding::error(format!("this month has no partitions {}", missing.join(", ")), MAKE));
    }
    if !missing_next.is_empty() {
        let what = format!(
            "next month has no partitions {}, and begins in {days_left} days",
            missing_next.join(", ")
        );
        found.push(Finding::bad_if(*days_left < SOON, what, MAKE));
    }
    if *stray > 0 {
        let many = if *stray >= 1000 { "1000 or more".to_owned() } else { stray.to_string() };
        found.push(Finding::note(format!(
            "{many} rows of the history came when their partition was missing; they are swept one by one once they are old"
        )));
    }
    or_ok(found, || "the partitions of this and of the next month are there".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn it_gets_urgent_as_the_month_ends() {
        let next = |days_left| Partitions {
            missing_next: vec!["run_2026_12".into()],
            days_left,
            ..Partitions::default()
        };
        assert_eq!(judge(&next(9))[0].severity, Severity::Warning);
        assert_eq!(judge(&next(2))[0].severity, Severity::Error);
        assert_eq!(judge(&Partitions::default())[0].severity, Severity::Ok);
    }
}

//! Every side through every workload, in turns, several rounds.

use std::collections::HashSet;

use super::{Bench, LATE, Trial};
use crate::{
    database::Backlog,
    report::{Row, Section},
    roster::{Side, Work},
};

/// A drain that collapses is not waited for, in seconds.
const GIVE_UP: u64 = 45;
const BACKLOG: Backlog = Backlog { finished: 1_000_000, future: 500_000, blocked: 100_000 };

/// What a side could not do in one round it is not asked again.
pub(crate) type GivenUp = HashSet<(Work, &'static str)>;

pub(crate) async fn run(
    bench: &mut Bench,
    sides: &[Side],
    works: &[Work],
    rounds: std::ops::RangeInclusive<usize>,
    given_up: &mut GivenUp,
) {
    for round in rounds {
        for &work in works {
            for side in sides {
                let Some(tasks) = side.tasks(work) else { continue };
                let is_enough = work == Work::SnapshotLong && round > 1;
                if given_up.contains(&(work, side.name)) || is_enough {
                    continue;
                }
                bench.say(&format!("round {round}: {}: {}", work.title(), side.name));
                let measured = bench.run(side, trial(work, tasks)).await;
                let row = bench.report.row(Section::Compare, work.title(), side.name, unit(work));
                match measured {
                    Ok(measured) if work.is_latency() => {
                        row.figures.extend(measured.answer.p50_ms);
                        row.p99.extend(measured.answer.p99_ms);
                        row.peak_mb.push(measured.answer.peak_mb);
                    }
                    Ok(measured) => {
                        if measured.answer.tasks < tasks && work == Work::SnapshotLong {
                            note(row, format!("{} of {tasks} done after {GIVE_UP} s", measured.answer.tasks));
                        }
                        row.figures.push(measured.rate());
                        row.cpu_per_10k.push(measured.cpu_per_10k());
                        row.peak_mb.push(measured.answer.peak_mb);
                    }
                    Err(why) => {
                        eprintln!("  {why}");
                        // What it did in an earlier round stands; that time ran out is no failure of its own.
                        if row.figures.is_empty() || why != LATE {
                            note(row, why);
                        }
                        given_up.insert((work, side.name));
                    }
                }
            }
        }
    }
}

pub(super) fn note(row: &mut Row, why: String) {
    row.note = Some(why);
}

const fn unit(work: Work) -> &'static str {
    if work.is_latency() { "ms" } else { "tasks/s" }
}

fn trial(work: Work, tasks: usize) -> Trial<'static> {
    let trial = Trial { config: work.config(), tasks, ..Trial::default() };
    match work {
        Work::Enqueue => Trial { action: "enqueue", ..trial },
        Work::Batches => Trial { action: "fill", ..trial },
        Work::DrainDefault | Work::DrainTuned => Trial { filled: tasks, ..trial },
        Work::DrainAlone => Trial { action: "drain-alone", filled: tasks, ..trial },
        Work::DrainBacklog => Trial { filled: tasks, backlog: BACKLOG, ..trial },
        Work::SnapshotShort => Trial { filled: tasks, snapshot: true, ..trial },
        Work::SnapshotLong => {
            let more = vec!["--give-up".to_owned(), GIVE_UP.to_string()];
            Trial { filled: tasks, snapshot: true, more, ..trial }
        }
        Work::Pickup | Work::PickupTuned => Trial { action: "pickup", ..trial },
    }
}

/// The pickup figures beside a past, a future and blocked tasks.
pub(crate) async fn pickup_beside_backlog(bench: &mut Bench, sides: &[Side]) {
    for side in sides.iter().filter(|side| side.is_own()) {
        let trial = Trial { action: "pickup", tasks: 250, backlog: BACKLOG, ..Trial::default() };
        let measured = bench.run(side, Trial { config: crate::contestant::Config::Tuned, ..trial }).await;
        let row = bench.report.row(
            Section::Compare,
            "pickup, beside 1,000,000 finished, 500,000 future, 100,000 blocked",
            side.name,
            "ms",
        );
        match measured {
            Ok(measured) => {
                row.figures.extend(measured.answer.p50_ms);
                row.p99.extend(measured.answer.p99_ms);
            }
            Err(why) => note(row, why),
        }
    }
}

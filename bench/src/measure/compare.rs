//! Every side through every workload, in turns, several rounds.

use std::collections::HashSet;

use super::{Bench, Trial};
use crate::{
    database::Backlog,
    report::{Row, Section},
    roster::{Side, Work},
};

const BACKLOG: Backlog = Backlog { finished: 1_000_000, future: 500_000, blocked: 100_000 };

pub(crate) async fn run(bench: &mut Bench, sides: &[Side], works: &[Work], rounds: usize) {
    let mut given_up = HashSet::new();
    for round in 1..=rounds {
        for &work in works {
            for side in sides {
                let Some(tasks) = side.tasks(work) else { continue };
                // What takes longest is done once less.
                let is_heavy = matches!(work, Work::SnapshotLong);
                if given_up.contains(&(work, side.name)) || (is_heavy && round == 3) {
                    continue;
                }
                eprintln!("round {round} of {rounds}: {}: {}", work.title(), side.name);
                let measured = bench.run(side, trial(work, tasks)).await;
                let row = bench.report.row(Section::Compare, work.title(), side.name, unit(work));
                match measured {
                    Ok(measured) if work.is_latency() => {
                        row.figures.extend(measured.answer.p50_ms);
                        row.p99.extend(measured.answer.p99_ms);
                        row.peak_mb.push(measured.answer.peak_mb);
                    }
                    Ok(measured) => {
                        row.figures.push(measured.rate());
                        row.cpu_per_10k.push(measured.cpu_per_10k());
                        row.peak_mb.push(measured.answer.peak_mb);
                    }
                    Err(why) => {
                        eprintln!("  {why}");
                        note(row, why);
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
        Work::SnapshotShort | Work::SnapshotLong => Trial { filled: tasks, snapshot: true, ..trial },
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

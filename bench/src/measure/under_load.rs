//! Latency at a part of what goes through at most: open loop, from the moment at which a task was due.

use super::{Bench, Trial};
use crate::{
    contestant::Config,
    report::Section,
    roster::{RAW, SPOOL, Side},
};

const SECONDS: u64 = 6;

/// Each at parts of its own capacity.
pub(crate) async fn run(bench: &mut Bench, sides: &[Side]) {
    for side in sides.iter().filter(|side| side.name != RAW) {
        match capacity(bench, side).await {
            Ok(capacity) => latencies(bench, side, capacity).await,
            Err(why) => bench.report.row(Section::Load, CAPACITY, side.name, "tasks/s").note = Some(why),
        }
    }
}

const CAPACITY: &str = "capacity: enqueued and done at once";

async fn latencies(bench: &mut Bench, side: &Side, capacity: f64) {
    for percent in [25, 50, 75] {
        let rate = (capacity * f64::from(percent) / 100.0) as u64;
        bench.say(&format!("load: {}: {percent} % of {capacity:.0}/s", side.name));
        let measured = bench.run(side, load(side, rate, SECONDS)).await;
        let row =
            bench.report.row(Section::Load, &format!("at {percent} % of its capacity"), side.name, "ms");
        match measured {
            Ok(measured) => {
                row.figures.extend(measured.answer.p50_ms);
                row.p99.extend(measured.answer.p99_ms);
                row.cpu_per_10k.push(measured.cpu_per_10k());
                row.peak_mb.push(measured.answer.peak_mb);
                row.note = Some(format!("{rate}/s"));
            }
            Err(why) => row.note = Some(why),
        }
    }
}

/// What goes through when senders and worker do all they can on the same machine.
pub(crate) async fn capacity(bench: &mut Bench, side: &Side) -> Result<f64, String> {
    bench.say(&format!("load: {}: capacity", side.name));
    let measured = bench.run(side, load(side, 0, 4)).await?;
    let row = bench.report.row(Section::Load, CAPACITY, side.name, "tasks/s");
    row.figures.push(measured.rate());
    row.cpu_per_10k.push(measured.cpu_per_10k());
    Ok(measured.rate())
}

/// Spool as it comes; the others tuned, where they can be, or most would be measured by how often they poll.
fn load(side: &Side, rate: u64, seconds: u64) -> Trial<'static> {
    let more = ["--rate", &rate.to_string(), "--seconds", &seconds.to_string()].map(str::to_owned);
    let config = if side.name == SPOOL || !side.can_be_tuned() { Config::Default } else { Config::Tuned };
    Trial { action: "load", config, more: more.into(), ..Trial::default() }
}

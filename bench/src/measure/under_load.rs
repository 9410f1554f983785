//! Latency at a part of what goes through at most: open loop, from the moment at which a task was due.

use super::{Bench, Trial};
use crate::{report::Section, roster::Side};

const SECONDS: u64 = 8;

pub(crate) async fn run(bench: &mut Bench, spool: &Side) {
    let capacity = match capacity(bench, spool).await {
        Ok(capacity) => capacity,
        Err(why) => {
            bench.report.row(Section::Load, "capacity", spool.name, "tasks/s").note = Some(why);
            return;
        }
    };
    for percent in [25, 50, 75] {
        let rate = (capacity * f64::from(percent) / 100.0) as u64;
        bench.say(&format!("load: {percent} % of {capacity:.0}/s"));
        let measured = bench.run(spool, load(rate, SECONDS)).await;
        let what = format!("at {percent} % of capacity, {rate}/s");
        let row = bench.report.row(Section::Load, &what, spool.name, "ms");
        match measured {
            Ok(measured) => {
                row.figures.extend(measured.answer.p50_ms);
                row.p99.extend(measured.answer.p99_ms);
                row.cpu_per_10k.push(measured.cpu_per_10k());
            }
            Err(why) => row.note = Some(why),
        }
    }
}

/// What goes through when senders and worker do all they can on the same machine.
pub(crate) async fn capacity(bench: &mut Bench, spool: &Side) -> Result<f64, String> {
    bench.say("load: capacity");
    let measured = bench.run(spool, load(0, 4)).await?;
    let row = bench.report.row(Section::Load, "capacity: enqueued and done at once", spool.name, "tasks/s");
    row.figures.push(measured.rate());
    row.cpu_per_10k.push(measured.cpu_per_10k());
    Ok(measured.rate())
}

fn load(rate: u64, seconds: u64) -> Trial<'static> {
    let more = ["--rate", &rate.to_string(), "--seconds", &seconds.to_string()].map(str::to_owned);
    Trial { action: "load", more: more.into(), ..Trial::default() }
}

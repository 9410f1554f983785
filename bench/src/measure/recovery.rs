//! What a killed worker costs: how long its tasks stay where nobody runs them, and how many of a batch run again.

use std::time::{Duration, Instant};

use super::{Bench, RUN_LIMIT, Trial};
use crate::{contestant::Config, database::Ends, program::Call, report::Section, roster::Side};

const HELD: usize = 24;
/// The slowest that is waited for; others are known from their documentation.
const LONGEST: Duration = Duration::from_secs(150);
const WHAT: &str = "kill -9 with 24 tasks running, until all run elsewhere";

/// Drained while the worker is killed.
const DRAINED: usize = 200_000;

/// Of Spool, whose rows tell it: in a drain that is cut off, which tasks ran a second time, and which were lost.
pub(crate) async fn cut_off(bench: &mut Bench, spool: &Side) {
    for (config, slots) in [(Config::Default, "default settings"), (Config::Tuned, "tuned")] {
        let what =
            format!("kill -9 in a drain of 200,000 no-op tasks, {slots}: tasks that began a second time");
        bench.say(&what);
        let ends = drain_cut_off(bench, spool, config).await;
        let row = bench.report.row(Section::Recovery, &what, spool.name, "tasks");
        match ends {
            Ok((before, Ends { done, again })) => {
                row.figures.push(again as f64);
                row.note = Some(format!("{before} done before, {done} of {DRAINED} in the end, each once"));
            }
            Err(why) => row.note = Some(why),
        }
    }
}

async fn drain_cut_off(bench: &mut Bench, spool: &Side, config: Config) -> Result<(i64, Ends), String> {
    let trial = Trial { filled: DRAINED, config, ..Trial::default() };
    let name = bench.database(spool, &trial).await?;
    let url = bench.server.url(&name);
    let call = |action| Call { action, config, url: &url, tasks: DRAINED, more: Vec::new(), log: None };
    let text = |error: crate::figures::BoxError| error.to_string();
    let first = spool.program.start(&call("drain")).map_err(text)?;
    let begun = Instant::now();
    // Not a figure: it is to be killed amid the work.
    let before = loop {
        let done = bench.server.ends(&name).await.map_err(text)?.done;
        if done > 0 && done >= DRAINED as i64 / 4 {
            break done;
        }
        if begun.elapsed() > RUN_LIMIT {
            return Err("the first worker did not get to a quarter in a minute".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    first.kill().await;
    let mut second = spool.program.start(&call("share")).map_err(text)?;
    let answer = second.answer(RUN_LIMIT).await;
    second.kill().await;
    answer?;
    let ends = bench.server.ends(&name).await.map_err(text)?;
    bench.server.drop(&name).await.map_err(text)?;
    if ends.done != DRAINED as i64 {
        return Err(format!("{} of {DRAINED} have ended: tasks were lost or ended twice", ends.done));
    }
    Ok((before, ends))
}

pub(crate) async fn run(bench: &mut Bench, sides: &[Side]) {
    for side in sides.iter().filter(|side| side.rescue != "never") {
        let recovered = if side.rescue_measured {
            bench.say(&format!("recovery: {}", side.name));
            recovery(bench, side).await
        } else {
            Err(format!("not waited for; documented: {}", side.rescue))
        };
        let row = bench.report.row(Section::Recovery, WHAT, side.name, "s");
        match recovered {
            Ok(seconds) => row.figures.push(seconds),
            Err(why) => row.note = Some(why),
        }
    }
}

async fn recovery(bench: &mut Bench, side: &Side) -> Result<f64, String> {
    let trial = Trial { filled: HELD, ..Trial::default() };
    let name = bench.database(side, &trial).await?;
    let url = bench.server.url(&name);
    let call = || Call {
        action: "hold",
        config: Config::Default,
        url: &url,
        tasks: HELD,
        more: Vec::new(),
        log: None,
    };
    let mut first = side.program.start(&call()).map_err(|error| error.to_string())?;
    first.began(HELD, RUN_LIMIT).await.map_err(|why| format!("the first worker: {why}"))?;
    // Heartbeats have begun.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut second = side.program.start(&call()).map_err(|error| error.to_string())?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let killed = Instant::now();
    first.kill().await;
    let running = second.began(HELD, LONGEST).await;
    second.kill().await;
    bench.server.drop(&name).await.map_err(|error| error.to_string())?;
    Ok((running? - killed).as_secs_f64())
}

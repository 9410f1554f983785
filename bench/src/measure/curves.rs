//! How Spool's figures change as something grows: history, depth, payload, worker processes, idle workers.

use std::time::{Duration, Instant};

use super::{Bench, RUN_LIMIT, Trial};
use crate::{
    contestant::Config, database::Backlog, figures::BoxError, program::Call, report::Section, roster::Side,
};

const TASKS: usize = 100_000;
/// For several processes: they must overlap.
const SHARED: usize = 240_000;

pub(crate) async fn run(bench: &mut Bench, spool: &Side) {
    for finished in [0, 100_000, 1_000_000] {
        let trial = Trial { backlog: Backlog { finished, ..Backlog::default() }, ..tuned(TASKS) };
        drain(bench, spool, trial, &format!("drain 100,000, tuned, history {finished}")).await;
    }
    for depth in [10_000, 100_000, 500_000] {
        drain(bench, spool, tuned(depth), &format!("drain, tuned, depth {depth}")).await;
    }
    for bytes in [0, 1_000, 10_000] {
        let tasks = if bytes > 1000 { 10_000 } else { 50_000 };
        let trial = Trial { payload_bytes: bytes, ..tuned(tasks) };
        drain(bench, spool, trial, &format!("drain, tuned, payload {} bytes", bytes + 60)).await;
        let trial = Trial { action: "fill", filled: 0, payload_bytes: bytes, ..tuned(tasks) };
        drain(bench, spool, trial, &format!("enqueue in batches, payload {} bytes", bytes + 60)).await;
    }
    for processes in [1, 2, 4, 8] {
        let shared = shared(bench, spool, processes).await;
        let what = format!("drain 240,000, default settings, {processes} worker processes");
        let row = bench.report.row(Section::Growth, &what, spool.name, "tasks/s");
        match shared {
            Ok((rate, spread)) => {
                row.figures.push(rate);
                row.note =
                    (processes > 1).then(|| format!("claims of one process: {spread} of its fair share"));
            }
            Err(why) => row.note = Some(why),
        }
    }
    // Each holds up to eight connections of the 500 that there are.
    for workers in [1, 45] {
        if let Err(why) = idle(bench, spool, workers).await {
            let row = bench.report.row(Section::Idle, &format!("{workers} idle"), spool.name, "");
            row.note = Some(why.to_string());
        }
    }
}

fn tuned(tasks: usize) -> Trial<'static> {
    Trial { config: Config::Tuned, tasks, filled: tasks, ..Trial::default() }
}

async fn drain(bench: &mut Bench, spool: &Side, trial: Trial<'_>, what: &str) {
    bench.say(&format!("growth: {what}"));
    let measured = bench.run(spool, trial).await;
    let row = bench.report.row(Section::Growth, what, spool.name, "tasks/s");
    match measured {
        Ok(measured) => {
            row.figures.push(measured.rate());
            row.cpu_per_10k.push(measured.cpu_per_10k());
            row.peak_mb.push(measured.answer.peak_mb);
        }
        Err(why) => row.note = Some(why),
    }
}

/// The rate of all together, from the start of the first to the end of the last, and the smallest and largest share.
async fn shared(bench: &mut Bench, spool: &Side, processes: usize) -> Result<(f64, String), String> {
    bench.say(&format!("growth: {processes} worker processes"));
    let name = bench.database(spool, &Trial { filled: SHARED, ..Trial::default() }).await?;
    let url = bench.server.url(&name);
    let call = || Call {
        action: "share",
        config: Config::Default,
        url: &url,
        tasks: 0,
        more: Vec::new(),
        log: None,
    };
    let started = Instant::now();
    let mut running = Vec::new();
    for _ in 0..processes {
        running.push(spool.program.start(&call()).map_err(|error| error.to_string())?);
    }
    let answers = futures::future::join_all(running.iter_mut().map(|one| one.answer(RUN_LIMIT))).await;
    let seconds = started.elapsed().as_secs_f64();
    for one in running {
        one.kill().await;
    }
    let answers = answers.into_iter().collect::<Result<Vec<_>, String>>()?;
    let fair = SHARED as f64 / processes as f64;
    let shares = answers.iter().map(|answer| answer.tasks as f64 / fair);
    let (low, high) = crate::figures::range(&shares.collect::<Vec<_>>());
    bench.server.drop(&name).await.map_err(|error| error.to_string())?;
    Ok((SHARED as f64 / seconds, format!("{low:.2} to {high:.2}")))
}

async fn idle(bench: &mut Bench, spool: &Side, workers: usize) -> Result<(), BoxError> {
    // Postgres counts what a session has done when it does something again, or ten seconds later: what the start did must not count.
    const BEFORE: u64 = 12;
    const SECONDS: u64 = 20;
    bench.say(&format!("idle: {workers} workers"));
    let name = bench.database(spool, &Trial::default()).await?;
    let url = bench.server.url(&name);
    let more = vec!["--seconds".to_owned(), (BEFORE + SECONDS + 3).to_string()];
    let call = Call { action: "idle", config: Config::Default, url: &url, tasks: workers, more, log: None };
    let mut running = spool.program.start(&call)?;
    running.began(workers, RUN_LIMIT).await?;
    tokio::time::sleep(Duration::from_secs(BEFORE)).await;
    let (count, cpu) = (bench.server.transactions(&name).await?, bench.server_cpu());
    let started = Instant::now();
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    let (count, cpu) = (bench.server.transactions(&name).await? - count, bench.server_cpu() - cpu);
    let seconds = started.elapsed().as_secs_f64();
    let answer = running.answer(RUN_LIMIT).await?;
    running.kill().await;
    bench.server.drop(&name).await?;
    let each = workers as f64;
    let mut row = |what: &str, unit: &'static str, figure: f64| {
        let row = bench.report.row(Section::Idle, &format!("{workers} idle: {what}"), spool.name, unit);
        row.figures.push(figure);
    };
    row("queries of each", "queries/s", count as f64 / seconds / each);
    row("CPU of the process", "% of a core", answer.cpu_seconds / answer.seconds * 100.0);
    row("CPU of Postgres", "% of a core", cpu / seconds * 100.0);
    Ok(())
}

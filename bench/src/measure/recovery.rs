//! How long tasks of a worker that was killed stay where nobody runs them.

use std::time::{Duration, Instant};

use super::{Bench, RUN_LIMIT, Trial};
use crate::{contestant::Config, program::Call, report::Section, roster::Side};

const HELD: usize = 24;
/// The slowest that is waited for; others are known from their documentation.
const LONGEST: Duration = Duration::from_secs(150);
const WHAT: &str = "kill -9 with 24 tasks running, until all run elsewhere";

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

//! Writes what runs say of their progress: all of a process together, about twice a second, and nothing while nobody says anything.

use std::{sync::Arc, time::Duration};

use crate::{
    progress::{self, News, Report},
    worker::core::{Backoff, Core},
};

/// Between two writes.
const GAP: Duration = Duration::from_millis(500);
/// What a shutdown waits for the last one; what is left behind is swept.
const LAST: Duration = Duration::from_secs(2);

pub(crate) async fn run(core: Arc<Core>) {
    let mut backoff = Backoff::new();
    while !core.ending.is_cancelled() {
        tokio::select! {
            () = core.board.changed.notified() => {}
            () = core.ending.cancelled() => break,
        }
        match write(&core).await {
            Ok(()) => backoff.reset(),
            Err(error) => {
                core.failed("progress", &error);
                backoff.pause().await;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(GAP) => {}
            () = core.ending.cancelled() => break,
        }
    }
    drop(tokio::time::timeout(LAST, write(&core)).await);
}

async fn write(core: &Core) -> Result<(), sqlx::Error> {
    let news = core.board.take();
    let result = try_write(core, &news).await;
    let mut left = News::default();
    match &result {
        Ok(written) => {
            // Locked at the moment, or stale: then the run is not long for this world.
            let live = core.with_live(|live| {
                let is_live = |token: &i64| live.contains_key(token) && !written.contains(token);
                news.reports.keys().copied().filter(is_live).collect::<Vec<i64>>()
            });
            left.reports = news.reports.into_iter().filter(|(token, _)| live.contains(token)).collect();
        }
        Err(_) => left = news,
    }
    core.board.put_back(left);
    result.map(drop)
}

async fn try_write(core: &Core, news: &News) -> Result<Vec<i64>, sqlx::Error> {
    let mut reports: Vec<Report> = news.reports.values().cloned().collect();
    reports.sort_unstable_by_key(|report| report.task);
    if reports.is_empty() && news.ended.is_empty() {
        return Ok(Vec::new());
    }
    let mut session = core.watch.open().await?;
    let mut written = Vec::new();
    if !reports.is_empty() {
        written = progress::write(&mut session, &reports).await?;
    }
    if !news.ended.is_empty() {
        progress::remove(&mut session, &news.ended).await?;
    }
    session.done().await?;
    Ok(written)
}

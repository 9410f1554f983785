//! Ends waiting tasks whose deadline has passed, and clears away progress that nobody was left to clear. Every worker can; one does at a time.

use std::{sync::Arc, time::Duration};

use crate::{
    bell::Bell,
    insert::milliseconds,
    metrics, progress,
    worker::core::{Core, jittered},
};

/// How often it is looked for tasks past their deadline.
const INTERVAL: Duration = Duration::from_secs(5);
/// Tasks per statement.
const LARGEST: i32 = 500;

pub(crate) async fn run(core: Arc<Core>) {
    let interval = INTERVAL.min(core.lease / 2);
    loop {
        tokio::select! {
            () = tokio::time::sleep(jittered(interval)) => {}
            () = core.stopping.cancelled() => return,
        }
        if let Err(error) = round(&core, interval).await {
            core.failed("expire", &error);
        }
    }
}

async fn round(core: &Core, interval: Duration) -> Result<(), sqlx::Error> {
    let mut session = core.watch.open().await?;
    let mine = sqlx::query_scalar!(
        r#"update queue.duty set done_at = now() where name = 'expire' and done_at <= now() - $1::bigint * interval '1 millisecond'
           returning 1 as "mine!""#,
        milliseconds(interval.mul_f64(0.7))
    )
    .fetch_optional(&mut *session)
    .await?;
    session.done().await?;
    if mine.is_none() {
        return Ok(());
    }
    while expire(core).await? >= LARGEST as usize {}
    let mut session = core.watch.open().await?;
    progress::sweep(&mut session).await?;
    session.done().await
}

async fn expire(core: &Core) -> Result<usize, sqlx::Error> {
    let mut session = core.watch.open().await?;
    let row = sqlx::query!(r#"select ended as "ended!", ring as "ring!" from queue.expire($1)"#, LARGEST)
        .fetch_one(&mut *session)
        .await?;
    session.done().await?;
    let count = row.ended.len();
    if count > 0 {
        tracing::warn!(worker = %core.name, tasks = count, "tasks were not done by their deadline: failed");
        metrics::expired(count as u64);
        let bell = Bell::of(row.ring);
        for lane in core.lanes.iter().filter(|lane| bell.names(&lane.queue)) {
            lane.wake.notify_one();
        }
        bell.ring(core.watch.pool()).await;
    }
    Ok(count)
}

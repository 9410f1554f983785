//! Ends waiting tasks whose deadline has passed, and clears away progress that nobody was left to clear. Every worker can; one does at a time.

use std::{sync::Arc, time::Duration};

use crate::{
    bell::Bell,
    insert::milliseconds,
    metrics, progress,
    worker::core::{Core, is_of_one_row, jittered},
};

/// How often it is looked for tasks past their deadline.
const INTERVAL: Duration = Duration::from_secs(5);
/// Tasks per statement.
const LARGEST: i64 = 500;
/// A statement that is not answered for so long stands still with its connection.
const PATIENCE: Duration = Duration::from_secs(30);

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
    expire_all(core).await?;
    let mut session = core.watch.open().await?;
    progress::sweep(&mut session).await?;
    session.done().await
}

/// Each late task is looked at once in a round: together with others, and if that is refused alone.
async fn expire_all(core: &Core) -> Result<(), sqlx::Error> {
    let mut left: Vec<i64> = Vec::new();
    loop {
        let late = look(core, &left).await?;
        match expire(core, &late).await {
            Ok(ended) => left.extend(late.iter().filter(|id| !ended.contains(id))),
            Err(error) if is_of_one_row(&error) => {
                for &id in &late {
                    match expire(core, &[id]).await {
                        Ok(ended) if ended.is_empty() => left.push(id),
                        Ok(_) => {}
                        Err(error) if is_of_one_row(&error) => {
                            tracing::warn!(worker = %core.name, task_id = id, %error, "a late task cannot be ended now; the others are");
                            metrics::database_error("expire");
                            left.push(id);
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
            Err(error) => return Err(error),
        }
        if late.len() < LARGEST as usize {
            return Ok(());
        }
    }
}

async fn look(core: &Core, but: &[i64]) -> Result<Vec<i64>, sqlx::Error> {
    let mut session = core.watch.open().await?;
    let asked = sqlx::query_scalar!(
        "select id from queue.task where expires_at <= now() and worker_id is null and id <> all($2::bigint[]) order by expires_at limit $1",
        LARGEST,
        but
    )
    .fetch_all(&mut *session);
    let answer = tokio::time::timeout(core.lease, asked).await;
    core.watch.close(session, answer, core.lease).await
}

/// Those of these tasks that ended.
async fn expire(core: &Core, late: &[i64]) -> Result<Vec<i64>, sqlx::Error> {
    if late.is_empty() {
        return Ok(Vec::new());
    }
    let mut session = core.watch.open().await?;
    let asked =
        sqlx::query!(r#"select ended as "ended!", ring as "ring!" from queue.expire_tasks($1)"#, late)
            .fetch_one(&mut *session);
    let answer = tokio::time::timeout(PATIENCE, asked).await;
    let row = core.watch.close(session, answer, PATIENCE).await?;
    let count = row.ended.len();
    if count > 0 {
        tracing::warn!(worker = %core.name, count, "tasks were not done by their deadline: failed");
        metrics::expired(count as u64);
        let bell = Bell::of(row.ring);
        for lane in core.lanes.iter().filter(|lane| bell.names(&lane.queue)) {
            lane.wake.notify_one();
        }
        bell.ring(&core.watch.pool()).await;
    }
    Ok(row.ended)
}

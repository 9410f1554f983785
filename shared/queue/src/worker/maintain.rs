//! Keeps house: partitions are made ahead and dropped when they are old, and what nobody needs any more is swept. One process at a time.

use std::{sync::Arc, time::Duration};

use sqlx::postgres::types::PgInterval;

use crate::{
    retention,
    worker::core::{Core, jittered},
};

/// A connection that stood still must not keep the worker from this for as long as TCP waits.
const LONGEST: Duration = Duration::from_secs(600);
/// How often it is done by somebody.
const INTERVAL: Duration = Duration::from_secs(6 * 3600);
/// Before what was in somebody's way is tried again; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(600);

pub(crate) async fn run(core: Arc<Core>) {
    loop {
        match is_our_turn(&core).await {
            Ok(true) => until_done(&core).await,
            Ok(false) => {}
            Err(error) => core.failed("maintain", &error),
        }
        tokio::select! {
            () = tokio::time::sleep(jittered(INTERVAL / 6)) => {}
            () = core.stopping.cancelled() => return,
        }
    }
}

async fn is_our_turn(core: &Core) -> Result<bool, sqlx::Error> {
    let mut session = core.watch.open().await?;
    let mine = sqlx::query_scalar!(
        r#"update queue.duty set done_at = now() where name = 'partitions' and done_at <= now() - $1::float8 * interval '1 second'
           returning 1 as "mine!""#,
        INTERVAL.as_secs_f64()
    )
    .fetch_optional(&mut *session)
    .await?;
    session.done().await?;
    Ok(mine.is_some())
}

/// Who has the turn goes on until it is done: nobody else will try for hours.
async fn until_done(core: &Core) {
    let mut pause = FIRST_PAUSE;
    loop {
        let kept = tokio::select! {
            kept = tokio::time::timeout(LONGEST, keep_house(core)) => kept.unwrap_or(Err(sqlx::Error::PoolTimedOut)),
            () = core.stopping.cancelled() => return,
        };
        let Err(error) = kept else { return };
        if retention::is_busy(&error) {
            tracing::debug!(worker = %core.name, "somebody reads the history; its partitions are left for later");
        } else {
            core.failed("maintain", &error);
        }
        tokio::select! {
            () = tokio::time::sleep(jittered(pause)) => {}
            () = core.stopping.cancelled() => return,
        }
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// Each step in a transaction of its own, so that none holds its locks while the next one waits. One that cannot be done keeps no
/// other from it.
async fn keep_house(core: &Core) -> Result<(), sqlx::Error> {
    let retention = retention::interval(core.retention);
    let made = made_ahead(core).await;
    let dropped = dropped(core, &retention).await;
    let swept = swept(core, &retention).await;
    let former = swept_former_keys(core).await;
    let shares = forget_shares(core).await;
    worst([made, dropped, swept, former, shares])
}

/// The first that is not just somebody in the way, else that somebody is.
fn worst<const N: usize>(results: [Result<(), sqlx::Error>; N]) -> Result<(), sqlx::Error> {
    let mut errors: Vec<sqlx::Error> = results.into_iter().filter_map(Result::err).collect();
    errors.sort_by_key(retention::is_busy);
    errors.into_iter().next().map_or(Ok(()), Err)
}

/// Shares of which nothing is said and that have no more than anybody: as good as none.
async fn forget_shares(core: &Core) -> Result<(), sqlx::Error> {
    let mut session = core.watch.open().await?;
    sqlx::query!(
        "delete from queue.share s using queue.queue q
         where q.name = s.queue and s.weight = 1 and s.max_running is null and s.served <= q.virtual_time"
    )
    .execute(&mut *session)
    .await?;
    session.done().await
}

async fn made_ahead(core: &Core) -> Result<(), sqlx::Error> {
    let mut session = core.watch.open().await?;
    sqlx::query!("select queue.make_partitions(1)").execute(&mut *session).await?;
    sqlx::query!("select queue.sample_little()").execute(&mut *session).await?;
    session.done().await
}

async fn dropped(core: &Core, retention: &PgInterval) -> Result<(), sqlx::Error> {
    let mut session = core.watch.open().await?;
    let old = retention::old_partitions(&mut session, retention).await?;
    session.done().await?;
    let mut result = Ok(());
    for partition in old {
        match drop_old(core, &partition, retention).await {
            Ok(true) => {
                tracing::info!(worker = %core.name, partition, "dropped, as everything in it is older than the retention");
            }
            Ok(false) => {}
            Err(error) => {
                if !retention::is_busy(&error) {
                    tracing::warn!(worker = %core.name, partition, %error, "an old partition cannot be dropped");
                }
                result = worst([result, Err(error)]);
            }
        }
    }
    result
}

async fn drop_old(core: &Core, partition: &str, retention: &PgInterval) -> Result<bool, sqlx::Error> {
    let mut session = core.watch.open().await?;
    let done = retention::drop_old(&mut session, partition, retention).await?;
    session.done().await?;
    Ok(done)
}

async fn swept_former_keys(core: &Core) -> Result<(), sqlx::Error> {
    let mut session = core.watch.open().await?;
    retention::sweep_former_keys(&mut session).await?;
    session.done().await
}

async fn swept(core: &Core, retention: &PgInterval) -> Result<(), sqlx::Error> {
    loop {
        let mut session = core.watch.open().await?;
        let more = retention::sweep(&mut session, retention).await?;
        session.done().await?;
        if !more {
            return Ok(());
        }
    }
}

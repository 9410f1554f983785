//! Clears away what claims and ends leave in the hot table, long before autovacuum does, which looks once a minute: until then each
//! claim reads past all of it, and the table grows out of memory. Only a worker that claims much asks whether it is time.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use crate::worker::core::{Core, jittered};

/// Claims of this worker before it asks, and dead rows before anything is done: some megabytes.
const MANY: u64 = 10_000;
/// With so many rows for each dead one, looking through all the indices costs more than is gained.
const LIVE_FOR_EACH: i64 = 5;
/// Between two of them.
const SHORTEST: Duration = Duration::from_secs(2);
/// While an old snapshot keeps the dead rows in place: each try reads all of them in vain.
const LONGEST: Duration = Duration::from_secs(16);
/// A connection that stood still must not keep the worker from this for as long as TCP waits.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn run(core: Arc<Core>) {
    let mut pause = SHORTEST;
    let mut asked_at = 0;
    loop {
        tokio::select! {
            () = tokio::time::sleep(jittered(pause)) => {}
            () = core.stopping.cancelled() => return,
        }
        let claimed = core.claimed.load(Ordering::Relaxed);
        if claimed.wrapping_sub(asked_at) < MANY {
            continue;
        }
        asked_at = claimed;
        match take_turn(&core, pause).await {
            Ok(None) => {}
            Ok(Some(dead)) => pause = next_pause(pause, &dead),
            Err(error) => core.failed("vacuum", &error),
        }
    }
}

/// Dead rows of the hot table, before and after it was cleared.
struct Dead {
    before: i64,
    left: i64,
}

/// What others have left meanwhile is no sign that something keeps dead rows in place, so only what is most of them counts.
fn next_pause(pause: Duration, dead: &Dead) -> Duration {
    if dead.left < dead.before / 2 { SHORTEST } else { (pause * 2).min(LONGEST) }
}

async fn take_turn(core: &Core, pause: Duration) -> Result<Option<Dead>, sqlx::Error> {
    let Some(before) = dead_if_our_turn(core, pause).await? else { return Ok(None) };
    let left = clear(core).await?;
    Ok(Some(Dead { before, left }))
}

async fn dead_if_our_turn(core: &Core, pause: Duration) -> Result<Option<i64>, sqlx::Error> {
    let mut session = core.watch.open().await?;
    let asked = sqlx::query_scalar!(
        r#"update queue.duty set done_at = now()
           where name = 'vacuum' and done_at <= now() - $1::float8 * interval '1 second'
             and pg_stat_get_dead_tuples('queue.task'::regclass)
                 > greatest($2::bigint, pg_stat_get_live_tuples('queue.task'::regclass) / $3::bigint)
           returning pg_stat_get_dead_tuples('queue.task'::regclass) as "dead!""#,
        pause.as_secs_f64() * 0.7,
        MANY as i64,
        LIVE_FOR_EACH
    )
    .fetch_optional(&mut *session);
    let answer = tokio::time::timeout(PATIENCE, asked).await;
    core.watch.close(session, answer, PATIENCE).await
}

/// How many dead rows are left, because somebody may still see them. Autovacuum that is at it already is not disturbed, and whoever is
/// not the table's owner is told so by Postgres and does nothing.
async fn clear(core: &Core) -> Result<i64, sqlx::Error> {
    // Not in a transaction, also behind PgBouncer.
    let mut connection = core.watch.pool().acquire().await?;
    let cleared = sqlx::raw_sql("vacuum (skip_locked, truncate false) queue.task").execute(&mut *connection);
    let Ok(cleared) = tokio::time::timeout(PATIENCE, cleared).await else {
        drop(connection.detach());
        return Err(sqlx::Error::PoolTimedOut);
    };
    cleared?;
    drop(connection);
    let mut session = core.watch.open().await?;
    let asked = sqlx::query_scalar!(r#"select pg_stat_get_dead_tuples('queue.task'::regclass) as "left!""#)
        .fetch_one(&mut *session);
    let answer = tokio::time::timeout(PATIENCE, asked).await;
    core.watch.close(session, answer, PATIENCE).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_cleared_is_tried_less_and_less_often() {
        let (mut pause, mut seen) = (SHORTEST, Vec::new());
        for _ in 0..4 {
            pause = next_pause(pause, &Dead { before: 1_000_000, left: 900_000 });
            seen.push(pause.as_secs());
        }
        assert_eq!(seen, [4, 8, 16, 16]);
        assert_eq!(
            next_pause(pause, &Dead { before: 100_000, left: 40_000 }),
            SHORTEST,
            "those are new ones"
        );
    }
}

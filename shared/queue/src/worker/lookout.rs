//! Looks for work without being told: makes due tasks ready, finds queues where something is ready. Polling is the truth.

use std::{sync::Arc, time::Duration};

use crate::{
    metrics,
    worker::core::{Backoff, Core, jittered},
};

/// Tasks made ready in one statement.
const LARGEST: i64 = 1000;
/// When tasks come due all the time it is looked no more often than this.
const SHORTEST: Duration = Duration::from_millis(50);

struct Seen {
    ready: Vec<String>,
    limited: Vec<String>,
    next: Option<Duration>,
    more: bool,
}

pub(crate) async fn run(core: Arc<Core>) {
    let mut backoff = Backoff::new();
    loop {
        let pause = match look(&core).await {
            Ok(seen) => {
                backoff.reset();
                for lane in &core.lanes {
                    lane.set_limited(seen.limited.contains(&lane.queue));
                }
                for queue in &seen.ready {
                    core.wake(queue);
                }
                if seen.more { Duration::ZERO } else { next_look(jittered(core.poll), seen.next) }
            }
            Err(error) => {
                core.failed("look", &error);
                backoff.pause().await;
                Duration::ZERO
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = core.stopping.cancelled() => return,
        }
    }
}

fn next_look(poll: Duration, due: Option<Duration>) -> Duration {
    due.map_or(poll, |due| due.max(SHORTEST).min(poll))
}

async fn look(core: &Core) -> Result<Seen, sqlx::Error> {
    let queues: Vec<&str> = core.lanes.iter().map(|lane| lane.queue.as_str()).collect();
    let mut session = core.watch.open().await?;
    let asked = sqlx::query!(
        r#"with due as materialized (
               select id from queue.task where state in (1, 2) and run_at <= now() order by run_at limit $2 for update skip locked),
           moved as (update queue.task t set state = 0, why = null where t.id = any(array(select id from due)) returning t.queue)
           select (select count(*) from moved) as "moved!",
                  (select extract(epoch from min(t.run_at) - now()) * 1000 from queue.task t where t.state in (1, 2) and t.run_at > now() and t.run_at < 'infinity')::float8 as next_ms,
                  array(select q from unnest($1::text[]) q
                        where (exists (select from moved m where m.queue = q) or exists (select from queue.task t where t.queue = q and t.state = 0))
                          and not exists (select from queue.queue p where p.name = q and p.paused_at is not null)) as "ready!",
                  array(select p.name from queue.queue p where p.name = any($1) and p.limited) as "limited!""#,
        &queues as &[&str],
        LARGEST
    )
    .fetch_one(&mut *session);
    let Ok(row) = tokio::time::timeout(core.lease, asked).await else {
        core.watch.abandon(session);
        return Err(sqlx::Error::PoolTimedOut);
    };
    let row = row?;
    session.done().await?;
    metrics::promoted(row.moved);
    let next = row.next_ms.map(|ms| Duration::from_secs_f64(ms.max(0.0) / 1000.0));
    Ok(Seen { ready: row.ready, limited: row.limited, next, more: row.moved >= LARGEST })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_look_is_when_something_comes_due_but_not_too_soon() {
        let ms = Duration::from_millis;
        assert_eq!(next_look(ms(600), None), ms(600));
        assert_eq!(next_look(ms(600), Some(ms(300))), ms(300));
        assert_eq!(next_look(ms(600), Some(ms(3))), SHORTEST);
        assert_eq!(next_look(ms(600), Some(ms(9000))), ms(600));
    }
}

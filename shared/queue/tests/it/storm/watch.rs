//! Looks on while the storm goes on: how many run of the queue with a limit, and how old the oldest transaction is.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use sqlx::PgPool;
use tokio::task::JoinHandle;

const EVERY: Duration = Duration::from_millis(25);

/// The most that was ever seen.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    pub(crate) running: i64,
    pub(crate) transaction_seconds: f64,
    /// What that transaction was at when it was seen.
    pub(crate) transaction: String,
}

/// Somebody who looks until the test ends.
pub(crate) struct Watch {
    most: Arc<Mutex<Seen>>,
    looking: JoinHandle<()>,
}

impl Watch {
    pub(crate) fn over(pool: &PgPool) -> Self {
        let most = Arc::<Mutex<Seen>>::default();
        let looking = tokio::spawn(look(pool.clone(), most.clone()));
        Self { most, looking }
    }

    pub(crate) fn seen(&self) -> Seen {
        assert!(!self.looking.is_finished(), "nobody looks on any more");
        self.most.lock().unwrap().clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

/// Each look is one statement, so one moment. A listener that takes its notifications counts as idle, and its time as that of its LISTEN.
async fn look(pool: PgPool, most: Arc<Mutex<Seen>>) {
    loop {
        let now = sqlx::query!(
            r#"select (select count(*) from queue.task where worker_id is not null and queue = 'side') as "running!",
                      coalesce(extract(epoch from a.age), 0)::float8 as "seconds!", coalesce(a.at, '') as "at!"
               from (select 1) one left join lateral (
                   select clock_timestamp() - xact_start as age, concat_ws(', ', state, wait_event_type, wait_event, query) as at
                   from pg_stat_activity
                   where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
                     and xact_start is not null and state <> 'idle'
                   order by xact_start limit 1) a on true"#
        );
        let now = now.fetch_one(&pool).await.unwrap();
        {
            let mut most = most.lock().unwrap();
            most.running = most.running.max(now.running);
            if now.seconds > most.transaction_seconds {
                most.transaction_seconds = now.seconds;
                most.transaction = now.at;
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

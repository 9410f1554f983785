//! Runs a worker until there is nothing left to do: for tests.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use crate::{
    error::{ControlError, WorkerError},
    inspect::{self, TaskView},
    worker::builder::WorkerBuilder,
};

/// How often it is looked whether the queues are empty, and for tasks that no bell told of.
const LOOK: Duration = Duration::from_millis(20);
const GRACE: Duration = Duration::from_secs(30);

fn sql(source: sqlx::Error) -> ControlError {
    ControlError::Sql { operation: "looking whether the queues are empty", source }
}

pub(crate) async fn drain(
    builder: WorkerBuilder,
    pool: PgPool,
    queues: Vec<String>,
) -> Result<Vec<TaskView>, WorkerError> {
    let mut conn = pool.acquire().await.map_err(sql)?;
    let before = sqlx::query_scalar!(r#"select now() as "now!""#).fetch_one(&mut *conn).await.map_err(sql)?;
    drop(conn);
    let stop = CancellationToken::new();
    let worker = builder.poll(LOOK).start(stop.clone(), GRACE).await?;
    // A test that is cut off leaves no worker behind.
    let guard = stop.drop_guard();
    let empty = until_empty(&pool, &queues).await;
    drop(guard);
    worker.finished().await;
    empty?;
    let mut conn = pool.acquire().await.map_err(sql)?;
    let ended = sqlx::query_scalar!(
        "select id from queue.task_history where queue = any($1) and finished_at >= $2 order by id",
        &queues,
        before
    )
    .fetch_all(&mut *conn)
    .await
    .map_err(sql)?;
    Ok(inspect::tasks(&mut conn, None, Some(&ended)).await?)
}

async fn until_empty(pool: &PgPool, queues: &[String]) -> Result<(), ControlError> {
    loop {
        let mut conn = pool.acquire().await.map_err(sql)?;
        if is_empty(&mut conn, queues).await.map_err(sql)? {
            return Ok(());
        }
        drop(conn);
        tokio::time::sleep(LOOK).await;
    }
}

async fn is_empty(conn: &mut PgConnection, queues: &[String]) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select not exists (
               select from queue.task t
               where t.queue = any($1) and (t.state = 4 or (t.state = 0 or (t.state in (1, 2) and t.run_at <= now()))
                     and not exists (select from queue.queue q where q.name = t.queue and q.paused_at is not null))) as "empty!""#,
        queues
    )
    .fetch_one(conn)
    .await
}

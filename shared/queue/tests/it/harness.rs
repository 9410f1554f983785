//! Handlers whose acts the tests give, workers that are quick to notice, and waiting for what must come.

use std::{future::Future, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};
use spool_queue::{
    Done, Enqueued, Failure, Handler, NewTask, RetryPolicy, Run, TaskId, Worker, WorkerBuilder, inspect,
    inspect::TaskView,
};
use sqlx::{AssertSqlSafe, PgPool, Row};
use tokio_util::sync::CancellationToken;

pub(crate) type Act = Arc<dyn Fn(Value, Run) -> BoxFuture<'static, Result<Done, Failure>> + Send + Sync>;

pub(crate) fn act<F, R>(act: F) -> Act
where
    F: Fn(Value, Run) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Done, Failure>> + Send + 'static,
{
    Arc::new(move |payload, run| act(payload, run).boxed())
}

macro_rules! step {
    ($name:ident, $kind:literal, $queue:literal, $timeout:expr, $retry:expr) => {
        pub(crate) struct $name(pub(crate) Act);

        impl Handler for $name {
            const KIND: &'static str = $kind;
            const QUEUE: &'static str = $queue;
            const TIMEOUT: Duration = $timeout;
            const RETRY: RetryPolicy = $retry;
            type Payload = Value;

            async fn run(&self, payload: Value, run: Run) -> Result<Done, Failure> {
                (self.0)(payload, run).await
            }
        }
    };
}

step!(Step, "step", "main", Duration::from_secs(30), RetryPolicy::new(3, &[0]));
step!(Hasty, "hasty", "main", Duration::from_millis(80), RetryPolicy::new(2, &[0]));
step!(Patient, "patient", "main", Duration::from_secs(30), RetryPolicy::new(2, &[5, 15, 45]));
step!(Other, "other", "side", Duration::from_secs(30), RetryPolicy::new(2, &[0]));

pub(crate) fn step(payload: Value) -> NewTask {
    NewTask::new("step", "main", 1, &payload)
}

pub(crate) fn task(kind: &str) -> NewTask {
    NewTask::new(kind, if kind == "other" { "side" } else { "main" }, 1, &json!({}))
}

pub(crate) async fn enqueue(pool: &PgPool, task: NewTask) -> TaskId {
    let Enqueued { ids, bell, .. } = task.enqueue(&mut pool.acquire().await.unwrap()).await.unwrap();
    bell.ring(pool).await;
    ids[0]
}

pub(crate) const LEASE: Duration = Duration::from_millis(600);

/// Notices within a fraction of a second what takes seconds by default.
pub(crate) fn quick(name: &str, pool: &PgPool) -> WorkerBuilder {
    WorkerBuilder::new(name, pool.clone())
        .lease(LEASE)
        .heartbeat(Duration::from_millis(100))
        .poll(Duration::from_millis(40))
}

/// A worker that can be stopped.
pub(crate) struct Running {
    pub(crate) worker: Worker,
    pub(crate) stop: CancellationToken,
}

impl Running {
    pub(crate) async fn start(builder: WorkerBuilder) -> Self {
        Self::with_grace(builder, Duration::from_secs(5)).await
    }

    pub(crate) async fn with_grace(builder: WorkerBuilder, grace: Duration) -> Self {
        let stop = CancellationToken::new();
        let worker = builder.start(stop.clone(), grace).await.unwrap();
        Self { worker, stop }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.worker.finished().await;
    }
}

/// Waits, up to twenty seconds, until it is so.
pub(crate) async fn until<F, R>(what: &str, mut is_so: F)
where
    F: FnMut() -> R,
    R: Future<Output = bool>,
{
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), wait).await.is_ok(), "never came: {what}");
}

pub(crate) async fn view(pool: &PgPool, id: TaskId) -> TaskView {
    inspect::task(&mut pool.acquire().await.unwrap(), id).await.unwrap().unwrap()
}

/// Every row is as it must be, at this moment. What waits for an end ([`until_final`], [`until_ended`]) looks too, with everything
/// still going on around it.
pub(crate) async fn sound(pool: &PgPool) {
    let violations = sqlx::query!(r#"select task_id as "task!", what as "what!" from queue.violation"#);
    let violations = violations.fetch_all(pool).await.unwrap();
    let said: Vec<_> = violations.into_iter().map(|row| format!("task {}: {}", row.task, row.what)).collect();
    assert_eq!(said, Vec::<String>::new(), "rows that are not as they must be");
}

pub(crate) async fn until_final(pool: &PgPool, id: TaskId) -> TaskView {
    until("the end of the task", || async { view(pool, id).await.state.is_final() }).await;
    sound(pool).await;
    view(pool, id).await
}

pub(crate) async fn outcomes(pool: &PgPool, id: TaskId) -> Vec<&'static str> {
    let runs = inspect::runs_of(&mut pool.acquire().await.unwrap(), id).await.unwrap();
    runs.iter().map(|run| run.outcome.map_or("running", spool_queue::RunOutcome::as_str)).collect()
}

/// Waits until a lease of time has passed since the claim of this running task, and its worker still renews.
pub(crate) async fn outlast_lease(pool: &PgPool, id: TaskId) {
    until("a lease of time and a heartbeat after it", || async {
        sqlx::query_scalar!(
            r#"select w.beat_at > t.claimed_at + 2 * interval '600 milliseconds' as "so!" from queue.task t join queue.worker w on w.id = t.worker_id
               where t.id = $1 and w.dead_at is null"#,
            id.0
        )
        .fetch_optional(pool)
        .await
        .unwrap()
            == Some(true)
    })
    .await;
}

/// Waits until so many tasks of the database have ended.
pub(crate) async fn until_ended(pool: &PgPool, tasks: i64) {
    until("more tasks to end", || async {
        sqlx::query_scalar!(r#"select count(*) as "n!" from queue.task_history"#)
            .fetch_one(pool)
            .await
            .is_ok_and(|ended| ended >= tasks)
    })
    .await;
    sound(pool).await;
}

/// Another claim of the same task, as a worker would make it that took the task over.
pub(crate) async fn take_over(pool: &PgPool, id: TaskId) {
    sqlx::query!(
        "with other as (insert into queue.worker (name, host, pid, slots, lease_until)
                        values ('other', 'elsewhere', 1, '{}', now() + interval '1 hour') returning id)
         update queue.task set lease_token = nextval('queue.lease_token'), worker_id = other.id from other where task.id = $1",
        id.0
    )
    .execute(pool)
    .await
    .unwrap();
}

/// The plan of a statement when whatever index it has is used: these tables are too small for the planner to care.
pub(crate) async fn plan_with_indexes(pool: &PgPool, statement: &str) -> String {
    let mut tx = pool.begin().await.unwrap();
    sqlx::raw_sql("set local enable_seqscan = off").execute(&mut *tx).await.unwrap();
    let explain = AssertSqlSafe(format!("explain {statement}"));
    let lines = sqlx::raw_sql(explain).fetch_all(&mut *tx).await.unwrap();
    lines.iter().map(|line| line.get::<String, _>(0) + "\n").collect()
}

/// Breaks every connection to the database but the one that asks.
pub(crate) async fn break_all(pool: &PgPool) {
    sqlx::query!("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
        .fetch_all(pool)
        .await
        .unwrap();
}

//! Dead workers, deadlines, and who may rescue when.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use spool_queue::{Done, TaskState, WorkerBuilder, inspect};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::sync::Notify;

use crate::harness::{
    Act, LEASE, Running, Step, act, enqueue, outcomes, quick, step, until, until_final, view,
};

/// A worker in a runtime of its own, which is thrown away like a killed process.
pub(crate) struct Doomed {
    runtime: tokio::runtime::Runtime,
}

impl Doomed {
    pub(crate) fn start(name: &'static str, pool: &PgPool, act: Act) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let options = pool.connect_options().as_ref().clone();
        runtime.spawn(async move {
            let pool = PgPoolOptions::new().max_connections(3).connect_lazy_with(options);
            Running::start(quick(name, &pool).handler(Step(act))).await.worker.finished().await;
        });
        Self { runtime }
    }

    pub(crate) fn kill(self) {
        self.runtime.shutdown_background();
    }
}

fn hang(started: &Arc<Notify>) -> Act {
    let started = started.clone();
    act(move |_, _| {
        started.notify_one();
        std::future::pending()
    })
}

fn done() -> Act {
    act(|_, _| async { Ok(Done::nothing()) })
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_killed_workers_task_runs_elsewhere_also_under_its_name(pool: PgPool) {
    let started = Arc::new(Notify::new());
    let doomed = Doomed::start("same", &pool, hang(&started));
    let id = enqueue(&pool, step(json!(1))).await;
    started.notified().await;
    doomed.kill();
    let heir = Running::start(quick("same", &pool).handler(Step(done()))).await;
    let view = until_final(&pool, id).await;
    assert_eq!((view.state, view.attempt), (TaskState::Succeeded, 2));
    assert_eq!(outcomes(&pool, id).await, ["lease_expired", "done"]);
    let live = inspect::workers(&mut pool.acquire().await.unwrap()).await.unwrap();
    assert_eq!(live.iter().map(|worker| worker.id).collect::<Vec<_>>(), [heir.worker.id()]);
    heir.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_task_that_kills_its_worker_does_not_do_so_for_ever(pool: PgPool) {
    let id = enqueue(&pool, step(json!(1)).max_attempts(2)).await;
    for _ in 0..2 {
        let started = Arc::new(Notify::new());
        let doomed = Doomed::start("poisoned", &pool, hang(&started));
        started.notified().await;
        doomed.kill();
    }
    let worker = Running::start(
        quick("last", &pool).handler(Step(act(|_, _| async { panic!("it must not run again") }))),
    )
    .await;
    let view = until_final(&pool, id).await;
    assert_eq!((view.state, view.attempt), (TaskState::Failed, 2));
    assert_eq!(outcomes(&pool, id).await, ["lease_expired", "failed"]);
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_worker_that_was_paused_past_its_lease_is_refused_and_comes_back(pool: PgPool) {
    let (started, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let runs = Arc::new(AtomicUsize::new(0));
    let (tell, wait, count) = (started.clone(), go.clone(), runs.clone());
    let slow = act(move |_, _| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        let (tell, wait) = (tell.clone(), wait.clone());
        async move {
            if first {
                tell.notify_one();
                wait.notified().await;
            }
            Done::output(&if first { "stale" } else { "fresh" })
        }
    });
    // It does not renew its lease for a long time, as if it had been stopped.
    let frozen = WorkerBuilder::new("frozen", pool.clone())
        .lease(Duration::from_secs(300))
        .heartbeat(Duration::from_secs(90));
    let frozen = Running::start(frozen.handler(Step(slow.clone()))).await;
    let id = enqueue(&pool, step(json!(1))).await;
    started.notified().await;
    let before = frozen.worker.id();
    let other = Running::start(quick("other", &pool).handler(Step(slow))).await;
    // Again until it is given up: a beat that was on its way may renew the lease once more.
    until("the frozen worker to be given up", || async {
        let row = sqlx::query!(
            "update queue.worker set lease_until = now() - interval '1 second' where id = $1 returning dead_at",
            before.0
        );
        row.fetch_one(&pool).await.unwrap().dead_at.is_some()
    })
    .await;
    assert_eq!(until_final(&pool, id).await.output, Some(json!("fresh")));
    go.notify_one();
    until("the refusal", || async { outcomes(&pool, id).await.contains(&"refused") }).await;
    assert_eq!(view(&pool, id).await.output, Some(json!("fresh")));
    let runs = inspect::runs_of(&mut pool.acquire().await.unwrap(), id).await.unwrap();
    let stale: Vec<_> = runs.iter().filter(|run| run.worker == Some(before)).collect();
    assert_eq!(
        stale.iter().map(|run| run.outcome.unwrap().as_str()).collect::<Vec<_>>(),
        ["lease_expired", "refused"]
    );
    assert_eq!(stale[0].token, stale[1].token);
    assert_eq!(stale[0].worker_name.as_deref(), Some("frozen"));
    other.stop().await;
    frozen.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_worker_given_up_for_dead_registers_anew_and_works_on(pool: PgPool) {
    let (started, told) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, lost) = (started.clone(), told.clone());
    let attentive = act(move |payload, run| {
        let (tell, lost) = (tell.clone(), lost.clone());
        async move {
            if payload == json!("first") && run.attempt() == 1 {
                tell.notify_one();
                run.canceled().cancelled().await;
                assert_eq!(run.stop_reason(), Some(spool_queue::StopReason::LeaseLost));
                lost.notify_one();
            }
            Ok(Done::nothing())
        }
    });
    let worker = Running::start(quick("w", &pool).handler(Step(attentive))).await;
    let first = enqueue(&pool, step(json!("first"))).await;
    started.notified().await;
    let before = worker.worker.id();
    sqlx::query!("update queue.worker set dead_at = now() where id = $1", before.0)
        .execute(&pool)
        .await
        .unwrap();
    told.notified().await;
    let second = enqueue(&pool, step(json!("second"))).await;
    until_final(&pool, second).await;
    assert_ne!(worker.worker.id(), before);
    assert_eq!(until_final(&pool, first).await.state, TaskState::Succeeded);
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_run_past_its_deadline_is_rescued_from_a_live_worker(pool: PgPool) {
    let runs = Arc::new(AtomicUsize::new(0));
    let count = runs.clone();
    let hangs_once = act(move |_, _| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if first {
                std::future::pending::<()>().await;
            }
            Ok(Done::nothing())
        }
    });
    let worker = Running::with_grace(quick("w", &pool).handler(Step(hangs_once)), Duration::ZERO).await;
    let id = enqueue(&pool, step(json!(1))).await;
    until("the task to run", || async { view(&pool, id).await.state == TaskState::Running }).await;
    sqlx::query!("update queue.task set deadline_at = now() - interval '1 second' where id = $1", id.0)
        .execute(&pool)
        .await
        .unwrap();
    until("the rescue", || async { view(&pool, id).await.state == TaskState::Scheduled }).await;
    assert_eq!(outcomes(&pool, id).await, ["deadline_passed"]);
    sqlx::query!("update queue.task set run_at = now() where id = $1", id.0).execute(&pool).await.unwrap();
    assert_eq!(until_final(&pool, id).await.state, TaskState::Succeeded);
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn nobody_rescues_before_one_lease_after_its_own_start(pool: PgPool) {
    sqlx::query!("insert into queue.worker (name, host, pid, slots, lease_until) values ('gone', 'h', 1, '{}', now() - interval '1 hour')")
        .execute(&pool)
        .await
        .unwrap();
    let worker = Running::start(quick("careful", &pool).handler(Step(done()))).await;
    let waited = || {
        sqlx::query_scalar!(
            r#"select extract(epoch from gone.dead_at - w.started_at)::float8 as "waited!" from queue.worker w, queue.worker gone
               where w.name = 'careful' and gone.name = 'gone' and gone.dead_at is not null"#
        )
        .fetch_optional(&pool)
    };
    until("the verdict", || async { waited().await.unwrap().is_some() }).await;
    let waited = waited().await.unwrap().unwrap();
    assert!(waited >= LEASE.as_secs_f64(), "rescued {waited} s after its own start");
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_claim_whose_answer_was_lost_is_handed_back(pool: PgPool) {
    let worker = Running::start(quick("w", &pool).handler(Step(done()))).await;
    // As if this worker had claimed it and never heard of it.
    let id = sqlx::query_scalar!(
        "insert into queue.task (queue, kind, payload, state, lease_token, worker_id, claimed_at, deadline_at, attempt)
         values ('main', 'step', '1', 4, nextval('queue.lease_token'), $1, now(), now() + interval '1 hour', 1) returning id",
        worker.worker.id().0
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    let view = until_final(&pool, spool_queue::TaskId(id)).await;
    assert_eq!((view.state, view.attempt), (TaskState::Succeeded, 1));
    assert_eq!(outcomes(&pool, view.id).await, ["handed_back", "done"]);
    worker.stop().await;
}

//! What tests of handlers use: a worker that runs until there is nothing to do, and runs without a database.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};
use spool_queue::{
    Done, Failure, Handler, LeaseToken, Outcome, Parent, Run, StopReason, TaskId, TaskState, TestRun, control,
};
use sqlx::PgPool;

use crate::harness::{Other, Step, act, enqueue, quick, step, task, view};

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_drain_ends_when_nothing_could_run(pool: PgPool) {
    let spawns = act(|payload, run| async move {
        match payload.as_u64() {
            Some(0) => Ok(Outcome::park_in(Duration::from_secs(3600), "outside").into()),
            Some(1) => Err(Failure::fail("told", "told to")),
            Some(n) => {
                let next = step(json!(n - 1)).enqueue(&mut *run.pool().acquire().await?).await?;
                next.bell.ring(run.pool()).await;
                Ok(Done::nothing())
            }
            None => Ok(Done::nothing()),
        }
    });
    let chain = enqueue(&pool, step(json!(4))).await;
    let parked = enqueue(&pool, step(json!(0))).await;
    let later = enqueue(&pool, step(json!("x")).delay(Duration::from_secs(3600))).await;
    let elsewhere = enqueue(&pool, task("other")).await;
    let ended = quick("w", &pool).handler(Step(spawns.clone())).drain().await.unwrap();
    assert_eq!(ended.len(), 4);
    assert_eq!((ended[0].id, ended[3].state), (chain, TaskState::Failed));
    assert_eq!(view(&pool, parked).await.state, TaskState::Parked);
    assert_eq!(view(&pool, later).await.state, TaskState::Scheduled);
    assert_eq!(view(&pool, elsewhere).await.state, TaskState::Ready);
    // Only what ended in this drain; a paused queue counts as empty.
    control::pause(&mut pool.acquire().await.unwrap(), "main", "no").await.unwrap();
    enqueue(&pool, step(json!("y"))).await;
    let quiet = act(|_, _| async { Ok(Done::nothing()) });
    let ended = quick("w", &pool).handler(Step(spawns)).handler(Other(quiet)).drain().await.unwrap();
    assert_eq!(ended.iter().map(|task| task.id).collect::<Vec<_>>(), [elsewhere]);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn the_clock_of_a_run_is_the_databases(pool: PgPool) {
    let tells = act(|_, run| async move {
        let before = run.now();
        let database =
            sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(run.pool()).await?;
        let after = run.now();
        // The answer to the claim takes a moment, so the run is a little behind at most.
        Done::output(&(before <= after && before <= database && (database - before).num_seconds() < 60))
    });
    let id = enqueue(&pool, step(json!(1))).await;
    quick("w", &pool).handler(Step(tells)).drain().await.unwrap();
    assert_eq!(view(&pool, id).await.output, Some(json!(true)));
}

/// Adds what its parents left; parks until noon; stops when told.
struct Sum;

impl Handler for Sum {
    const KIND: &'static str = "sum";
    const QUEUE: &'static str = "main";
    const TIMEOUT: Duration = Duration::from_secs(5);
    type Payload = u64;

    async fn run(&self, start: u64, run: Run) -> Result<Done, Failure> {
        let noon = DateTime::from_timestamp(43_200, 0).unwrap_or_default();
        if run.now() < noon {
            return Ok(Outcome::park_at(noon, "too early").into());
        }
        let mut sum = start;
        for parent in run.parents().await? {
            run.progress(50, parent.id.to_string());
            sum += parent.output::<u64>()?.unwrap_or(0);
        }
        if run.stop_reason() == Some(StopReason::Canceled) {
            return Err(Failure::retry("stopped", "half-way"));
        }
        Done::output(&json!([sum, run.attempt(), run.parks(), run.token(), run.is_last_attempt()]))
    }
}

fn parent(id: i64, output: Option<Value>) -> Parent {
    Parent { id: TaskId(id), kind: "part".into(), state: TaskState::Succeeded, output }
}

#[tokio::test]
async fn a_handler_runs_without_a_database() {
    let test = TestRun::new()
        .task(TaskId(5))
        .token(LeaseToken(9))
        .attempt(4)
        .parks(2)
        .group_key("g")
        .share_key("s")
        .parents(vec![parent(1, Some(json!(20))), parent(2, None)]);
    test.set_now(DateTime::from_timestamp(0, 0).unwrap());
    let early = test.perform(&Sum, &1).await.unwrap();
    assert!(matches!(early, Done::Outcome(Outcome::Park { .. })), "{early:?}");
    test.set_now(DateTime::from_timestamp(0, 0).unwrap() + TimeDelta::hours(13));
    let done = test.perform(&Sum, &1).await.unwrap();
    assert!(
        matches!(&done, Done::Outcome(Outcome::Done(sum)) if *sum == json!([21, 4, 2, 9, true])),
        "{done:?}"
    );
    assert_eq!(test.reports(), [(50, "1".to_owned()), (50, "2".to_owned())]);
    test.stop(StopReason::Canceled);
    assert_eq!(test.perform(&Sum, &1).await.unwrap_err().class(), "stopped");
    // A payload goes through JSON as in a worker.
    assert!(test.perform(&Sum, "one").await.unwrap_err().is_final());
    assert!(test.version(0).perform(&Sum, &1).await.unwrap_err().error().contains("version 0"));
}

#[tokio::test]
async fn a_run_of_a_test_has_no_database_by_itself() {
    let asks = Step(act(|_, run| async move {
        run.pool().acquire().await?;
        Ok(Done::nothing())
    }));
    assert!(TestRun::new().perform(&asks, &json!(1)).await.is_err());
}

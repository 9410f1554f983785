//! One process of the storm: a worker, and callers that disturb it and each other.

use std::time::Duration;

use rand::RngExt;
use spool_queue::{Batch, Done, Enqueued, Failure, Outcome, Run};
use sqlx::{AssertSqlSafe, PgConnection, postgres::PgPoolOptions};
use tokio_util::sync::CancellationToken;

use super::act;
use crate::harness::{Other, Step, act as handle, quick, step};

/// The database's URL; without it there is no storm.
pub(crate) const DATABASE: &str = "SPOOL_STORM_DATABASE";
const CALLERS: usize = 2;

/// Not a test of its own: what [`super`] starts many times. A line on its input ends the storm, the end of the input the process.
#[tokio::test]
async fn one_process_of_the_storm() {
    let Ok(url) = std::env::var(DATABASE) else { return };
    let pool = PgPoolOptions::new()
        .max_connections(4)
        .acquire_timeout(Duration::from_secs(60))
        .connect(&url)
        .await
        .unwrap();
    let (calm, stop) = (CancellationToken::new(), CancellationToken::new());
    let (is_calm, is_over) = (calm.clone(), stop.clone());
    std::thread::spawn(move || {
        for _ in std::io::stdin().lines() {
            is_calm.cancel();
        }
        is_over.cancel();
    });
    let worker = quick(&format!("storm {}", std::process::id()), &pool)
        .lease(Duration::from_millis(1500))
        .slots("main", 8)
        .slots("side", 4)
        .handler(Step(handle(handler)))
        .handler(Other(handle(handler)))
        .start(stop.clone(), Duration::from_secs(5))
        .await
        .unwrap();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (pool, calm) = (pool.clone(), calm.clone());
            tokio::spawn(async move {
                while !calm.is_cancelled() {
                    act::something(&pool).await;
                    let pause = rand::rng().random_range(0..60);
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    worker.finished().await;
}

/// Does what the payload says.
async fn handler(payload: serde_json::Value, run: Run) -> Result<Done, Failure> {
    match payload["do"].as_str() {
        Some("output") => Done::output(&payload),
        Some("retry") if run.attempt() == 1 => Err(Failure::retry("told", "told to")),
        Some("fail") => Err(Failure::fail("told", "told to fail")),
        Some("panic") if run.attempt() == 1 => std::panic::resume_unwind(Box::new("told to panic")),
        Some("park") if run.parks() < 2 => Ok(Outcome::park_in(Duration::from_millis(300), "told to").into()),
        Some("slow") => {
            run.progress(50, "half way");
            let canceled = run.canceled();
            tokio::select! {
                () = canceled.cancelled() => Err(Failure::retry("told", "to stop")),
                () = tokio::time::sleep(Duration::from_millis(400)) => Ok(Done::nothing()),
            }
        }
        Some("effect") => {
            let mut tx = run.pool().begin().await?;
            run.check(&mut tx).await?;
            let sql = format!("insert into storm_effect values ({}, {})", run.task_id(), run.token());
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *tx).await?;
            Ok(run.commit(tx, Outcome::done()).await?)
        }
        Some("split") => {
            let mut tx = run.pool().begin().await?;
            run.check(&mut tx).await?;
            let mut batch = Batch::new();
            for _ in 0..2 {
                let added = batch.add(step(act::payload()).group_key(act::group()));
                batch.in_place_of(added, run.task_id());
            }
            let made = batch.insert(&mut tx).await?;
            remember(&mut tx, &made).await?;
            Ok(run.commit_with(tx, Outcome::done(), made.bell).await?)
        }
        _ => Ok(Done::nothing()),
    }
}

/// In the transaction that enqueues: who is killed has done both or nothing.
pub(crate) async fn remember(tx: &mut PgConnection, made: &Enqueued) -> Result<(), sqlx::Error> {
    let taken: Vec<usize> = made.existing.iter().chain(&made.replaced).map(|slot| slot.index()).collect();
    for index in (0..made.ids.len()).filter(|index| !taken.contains(index)) {
        let id = made.ids[index];
        let sql = format!("insert into storm_task values ({id})");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *tx).await?;
    }
    if !made.existing.is_empty() {
        did(tx, "existing").await?;
    }
    if !made.replaced.is_empty() {
        did(tx, "replace").await?;
    }
    Ok(())
}

/// A command had an effect.
pub(crate) async fn did(conn: &mut PgConnection, what: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(format!("insert into storm_deed values ('{what}')"))).execute(conn).await?;
    Ok(())
}

//! What must always hold of tasks, jobs and money together, looked at as the watchdog does and as `spool doctor` does.

use serde_json::json;
use spool_db::invariants::Found;
use spool_db::predictions::{self, End, NewIntent, Slot};
use spool_explain::invariants::{self as watch, ALL};
use spool_job::money::Micros;
use spool_job::prediction::{PredictionState, Purpose};
use sqlx::PgPool;
use uuid::Uuid;

use crate::stage::Stage;

/// The next round, a minute later.
async fn round(stage: &Stage) -> Found {
    stage.sql("UPDATE invariants SET at = at - interval '2 minutes'").await;
    let mut tx = stage.pool.begin().await.unwrap();
    let found = watch::round(&mut tx).await.unwrap().expect("it is due");
    tx.commit().await.unwrap();
    found
}

async fn everything(stage: &Stage) -> Found {
    watch::everything(&mut *stage.conn().await, false).await.unwrap()
}

/// A purchase of the job, of which the task knows.
async fn buy(stage: &Stage, ordinal: i32, task_id: i64) -> Uuid {
    let (id, empty, digest) = (Uuid::now_v7(), json!({}), "0".repeat(64));
    let new = NewIntent {
        id,
        slot: Slot { job_id: stage.job, purpose: Purpose::Music, scene: None, ordinal },
        attempt: 1,
        task_id,
        lease_token: 1,
        provider: "replicate",
        model: "google/veo-3.1-fast",
        input: &empty,
        input_digest: &digest,
        memo_key: &digest,
        media: &empty,
        unit: "second",
        unit_price: Micros(100),
        list: Micros(100),
        estimate: Micros(100),
    };
    predictions::intend(&mut *stage.conn().await, &new).await.unwrap();
    id
}

async fn end(stage: &Stage, id: Uuid) {
    let mut conn = stage.conn().await;
    predictions::submitted(&mut conn, id, &id.to_string(), false).await.unwrap();
    let end = End {
        state: PredictionState::Succeeded,
        output_url: Some("x"),
        units: Some(1.0),
        cost: Micros(100),
        failure: None,
    };
    predictions::ended(&mut conn, id, &end).await.unwrap();
}

fn one(name: &str, subject: impl ToString) -> Found {
    Found::from([(name.to_owned(), vec![subject.to_string()])])
}

#[sqlx::test(migrations = false)]
async fn of_a_job_on_its_way_everything_holds(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let render = stage.id("render").await.0;
    let bought = buy(&stage, 0, render).await;
    end(&stage, bought).await;
    buy(&stage, 1, render).await;
    assert_eq!(everything(&stage).await, Found::new());
    assert_eq!(round(&stage).await, Found::new());
    assert_eq!(round(&stage).await, Found::new());
}

#[sqlx::test(migrations = false)]
async fn a_round_is_taken_once_a_minute_by_one_of_all(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let mut tx = stage.pool.begin().await.unwrap();
    assert!(watch::round(&mut tx).await.unwrap().is_some(), "there was none yet");
    let mut other = stage.pool.begin().await.unwrap();
    assert!(watch::round(&mut other).await.unwrap().is_none(), "somebody is at it");
    tx.commit().await.unwrap();
    assert!(watch::round(&mut other).await.unwrap().is_none(), "it is not due");
    let (found, age_s) = watch::last(&mut other).await.unwrap();
    assert!(found.is_empty() && age_s < 60.0, "{found:?} {age_s}");
}

#[sqlx::test(migrations = false)]
async fn what_is_found_in_the_past_stays_told_until_it_is_mended(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let render = stage.id("render").await.0;
    let old = buy(&stage, 0, render).await;
    end(&stage, old).await;
    // Booked long ago, and behind the place where the next round goes on. The day's budget would be another story.
    stage.sql("UPDATE ledger SET at = at - interval '1 hour'; DELETE FROM budgets").await;
    stage.sql("UPDATE ledger SET micros = 99 WHERE kind = 'settle'").await;
    let broken = one("ledger_amount", old);
    assert_eq!(round(&stage).await, broken);
    stage
        .sql("UPDATE invariants SET place = '{\"purchase\": \"ffffffff-ffff-ffff-ffff-ffffffffffff\"}'")
        .await;
    assert_eq!(round(&stage).await, broken, "its slice has passed");
    assert_eq!(everything(&stage).await, broken);
    stage.sql("UPDATE ledger SET micros = 100 WHERE kind = 'settle'").await;
    assert_eq!(round(&stage).await, Found::new());
    assert_eq!(everything(&stage).await, Found::new());
}

#[sqlx::test(migrations = false)]
async fn broken_tasks_and_leases_are_told(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let (render, stitch) = (stage.id("render").await.0, stage.id("stitch").await.0);
    stage.run("render").await;
    stage.sql("INSERT INTO queue.worker (name, host, pid, slots, lease_until) VALUES ('other', 'h', 2, '{}', now() + interval '1 hour')").await;
    stage.sql("UPDATE queue.worker SET beat_at = now() - interval '310 seconds', lease_until = now() - interval '300 seconds' WHERE name = 'w'").await;
    assert_eq!(round(&stage).await, one("lease_orphaned", render));
    assert_eq!(everything(&stage).await, one("lease_orphaned", render));
    stage.sql("UPDATE queue.worker SET lease_until = now() + interval '1 hour'").await;
    assert_eq!(round(&stage).await, Found::new());

    // The render ended, and nobody told the stitch.
    stage.sql(&format!("DELETE FROM queue.task WHERE id = {render}")).await;
    let found = round(&stage).await;
    assert_eq!(found["task_blocked"], [stitch.to_string()], "{found:?}");
    assert_eq!(found["edge_parent"], [render.to_string()], "{found:?}");
    assert_eq!(everything(&stage).await, found);
    assert_eq!(round(&stage).await, found, "once, however often");
}

#[sqlx::test(migrations = false)]
async fn jobs_and_purchases_that_the_queue_forgot_are_told(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let render = stage.id("render").await.0;
    let bought = buy(&stage, 0, render).await;
    let long_ago = "UPDATE jobs SET updated_at = now() - interval '1 hour'; UPDATE predictions SET intent_at = now() - interval '1 hour'";
    stage.sql(long_ago).await;
    assert_eq!(round(&stage).await, Found::new());
    // Its own task is gone; whatever else the job has looks after it.
    let gone = format!(
        "UPDATE queue.task t SET waits = waits - 1, state = CASE waits WHEN 1 THEN 0 ELSE 3 END FROM queue.edge e WHERE e.child = t.id AND e.parent = {render};
         DELETE FROM queue.edge WHERE parent = {render}; DELETE FROM queue.task WHERE id = {render}"
    );
    stage.sql(&gone).await;
    assert_eq!(round(&stage).await, Found::new());
    stage.sql("DELETE FROM queue.edge; DELETE FROM queue.task").await;
    let mut forgotten = one("job_forgotten", stage.job);
    forgotten.extend(one("prediction_forgotten", bought));
    assert_eq!(round(&stage).await, forgotten);
    assert_eq!(everything(&stage).await, forgotten);
    stage.sql("UPDATE jobs SET state = 'canceled', finished_at = now()").await;
    let mut ended = one("job_ended_open", stage.job);
    ended.extend(one("prediction_forgotten", bought));
    assert_eq!(round(&stage).await, ended);
    for name in ended.keys().chain(forgotten.keys()) {
        assert!(ALL.iter().any(|known| known.name == name), "{name}");
    }
}

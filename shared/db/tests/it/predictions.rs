//! Paid calls: one at a time per slot, each change with its money.

use crate::fixture;
use serde_json::json;
use spool_db::budgets::Decision;
use spool_db::error::DbError;
use spool_db::ledger::{self, JobMoney};
use spool_db::predictions::{self, End, Slot, Tries};
use spool_db::{scenes, webhooks};
use spool_job::money::Micros;
use spool_job::prediction::{PredictionState, Purpose};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

const ESTIMATE: Micros = Micros(400_000);

async fn slot(conn: &mut PgConnection) -> Slot {
    let campaign = fixture::campaign(conn).await;
    let job_id = fixture::job(conn, campaign).await;
    let scene = scenes::list(conn, job_id).await.unwrap()[0].id;
    Slot { job_id, purpose: Purpose::Render, scene: Some((scene, 1)), ordinal: 0 }
}

async fn intend(conn: &mut PgConnection, slot: Slot) -> Result<Uuid, DbError> {
    let id = Uuid::now_v7();
    let empty = json!({});
    let new = fixture::intent(id, slot, ESTIMATE, &empty);
    predictions::intend(conn, &new).await.map(|decision| {
        assert_eq!(decision, Decision::Held);
        id
    })
}

async fn slot_of_its_own(conn: &mut PgConnection) -> Uuid {
    let slot = slot(conn).await;
    intend(conn, slot).await.unwrap()
}

fn end(state: PredictionState, cost: Micros) -> End<'static> {
    End { state, output_url: Some("http://cdn/x.mp4"), units: Some(4.0), cost, failure: None }
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_slot_holds_one_standing_prediction(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let slot = slot(&mut conn).await;
    let first = intend(&mut conn, slot).await.unwrap();
    assert!(intend(&mut conn, slot).await.unwrap_err().is_constraint("predictions_live"));
    predictions::submitted(&mut conn, first, "ext1", false).await.unwrap();
    assert!(intend(&mut conn, slot).await.unwrap_err().is_constraint("predictions_live"));
    predictions::ended(&mut conn, first, &end(PredictionState::Failed, Micros::ZERO)).await.unwrap();
    assert_eq!(predictions::tries(&mut conn, slot).await.unwrap(), Tries { all: 1, counted: 1 });
    let second = intend(&mut conn, slot).await.unwrap();
    predictions::submitted(&mut conn, second, "ext2", false).await.unwrap();
    predictions::ended(&mut conn, second, &end(PredictionState::Succeeded, ESTIMATE)).await.unwrap();
    assert!(intend(&mut conn, slot).await.is_err(), "a success is never bought again");
    assert_eq!(predictions::standing(&mut conn, slot).await.unwrap().unwrap().id, second);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn money_is_held_then_settled_or_given_back_once(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let slot = slot(&mut conn).await;
    let id = intend(&mut conn, slot).await.unwrap();
    let held = ledger::of_job(&mut conn, slot.job_id).await.unwrap();
    assert_eq!(held, JobMoney { reserved: ESTIMATE, settled: Micros::ZERO });
    predictions::refused(&mut conn, id, "throttled", "429").await.unwrap();
    assert_eq!(ledger::of_job(&mut conn, slot.job_id).await.unwrap(), JobMoney::default());
    assert!(predictions::refused(&mut conn, id, "throttled", "429").await.is_err(), "not twice");

    let id = intend(&mut conn, slot).await.unwrap();
    predictions::submitted(&mut conn, id, "ext", false).await.unwrap();
    assert_eq!(predictions::in_flight(&mut conn, "replicate").await.unwrap(), 1);
    assert_eq!(predictions::in_flight(&mut conn, "another").await.unwrap(), 0);
    predictions::ended(&mut conn, id, &end(PredictionState::Succeeded, Micros(390_000))).await.unwrap();
    assert_eq!(predictions::in_flight(&mut conn, "replicate").await.unwrap(), 0);
    let spent = ledger::of_job(&mut conn, slot.job_id).await.unwrap();
    assert_eq!(spent, JobMoney { reserved: Micros::ZERO, settled: Micros(390_000) });
    let twice = predictions::ended(&mut conn, id, &end(PredictionState::Succeeded, Micros(1))).await;
    assert!(matches!(twice, Err(DbError::Moved { .. })));
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn an_unknown_outcome_is_adopted_or_ruled_out_never_both(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let slot = slot(&mut conn).await;
    let id = intend(&mut conn, slot).await.unwrap();
    predictions::unknown(&mut conn, id, "reset").await.unwrap();
    assert_eq!(predictions::scanned_empty(&mut conn, id).await.unwrap(), 1);
    assert!(predictions::submitted(&mut conn, id, "ext", true).await.unwrap());
    assert!(predictions::submitted(&mut conn, id, "ext", true).await.unwrap(), "the same id again is fine");
    assert!(!predictions::submitted(&mut conn, id, "other", true).await.unwrap(), "another id is not");
    assert!(matches!(predictions::void(&mut conn, id).await, Err(DbError::Moved { .. })));
    let bound = predictions::bound(&mut conn, "replicate", &["ext".into(), "x".into()]).await.unwrap();
    assert_eq!(bound, ["ext"]);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_webhook_may_bring_the_id_first_and_may_come_twice(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let slot = slot(&mut conn).await;
    let id = intend(&mut conn, slot).await.unwrap();
    let first = webhooks::record_webhook(&mut conn, "replicate", "msg_1", id, Some("ext")).await.unwrap();
    assert!(first.first && first.task_id == Some(1));
    let again = webhooks::record_webhook(&mut conn, "replicate", "msg_1", id, Some("ext")).await.unwrap();
    assert!(!again.first);
    // The same message with another prediction in its address binds nothing.
    let other = slot_of_its_own(&mut conn).await;
    webhooks::record_webhook(&mut conn, "replicate", "msg_1", other, Some("ext-2")).await.unwrap();
    assert_eq!(predictions::get(&mut conn, other).await.unwrap().unwrap().external_id, None);
    let row = predictions::get(&mut conn, id).await.unwrap().unwrap();
    assert_eq!((row.state, row.external_id.as_deref()), (PredictionState::Submitted, Some("ext")));
    predictions::ended(&mut conn, id, &end(PredictionState::Succeeded, ESTIMATE)).await.unwrap();
    let late = webhooks::record_webhook(&mut conn, "replicate", "msg_2", id, Some("ext")).await.unwrap();
    assert_eq!(late.task_id, None, "nothing to wake any more");
}

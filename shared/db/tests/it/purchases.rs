//! Purchases for tests: bought and ended in one call each.

use crate::fixture;
use serde_json::json;
use spool_db::budgets::Decision;
use spool_db::predictions::{self, End, NewIntent, Slot};
use spool_job::money::Micros;
use spool_job::prediction::{PredictionState, Purpose};
use sqlx::PgConnection;
use uuid::Uuid;

/// A stretch of music of a job.
pub(crate) const fn music(job_id: i64, ordinal: i32) -> Slot {
    Slot { job_id, purpose: Purpose::Music, scene: None, ordinal }
}

/// Holds `list` for the slot; `input` makes the digest of what is ordered.
pub(crate) async fn buy(conn: &mut PgConnection, slot: Slot, list: i64, input: u64) -> Uuid {
    let (id, empty) = (Uuid::now_v7(), json!({}));
    let digest = format!("{input:064x}");
    let intent = NewIntent { input_digest: &digest, ..fixture::intent(id, slot, Micros(list), &empty) };
    assert_eq!(predictions::intend(conn, &intent).await.unwrap(), Decision::Held);
    id
}

/// Ends it with a cost.
pub(crate) async fn end(conn: &mut PgConnection, id: Uuid, state: PredictionState, cost: i64) {
    predictions::submitted(conn, id, &id.to_string(), false).await.unwrap();
    let end = End { state, output_url: Some("x"), units: Some(1.0), cost: Micros(cost), failure: None };
    predictions::ended(conn, id, &end).await.unwrap();
}

/// Both, successfully, at the price that was held.
pub(crate) async fn bought(conn: &mut PgConnection, slot: Slot, micros: i64, input: u64) -> Uuid {
    let id = buy(conn, slot, micros, input).await;
    end(conn, id, PredictionState::Succeeded, micros).await;
    id
}

/// A new job of a new client and campaign.
pub(crate) async fn a_job(conn: &mut PgConnection) -> i64 {
    let campaign = fixture::campaign(conn).await;
    fixture::job(conn, campaign).await
}

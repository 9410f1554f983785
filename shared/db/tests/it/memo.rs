//! What was bought once fills other slots for nothing, and says where it comes from.

use crate::fixture;
use serde_json::json;
use spool_db::budgets::{self, Decision};
use spool_db::ledger::{self, JobMoney};
use spool_db::media::{self, MediaRow};
use spool_db::predictions::{self, End, Slot, memo};
use spool_db::scenes;
use spool_job::money::Micros;
use spool_job::prediction::{PredictionState, Purpose};
use spool_job::state::SceneState;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

const PRICE: Micros = Micros(400_000);
/// The memo key of the fixture's orders.
const KEY: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const CLIP: &str = "00000000000000000000000000000000000000000000000000000000000000aa";

async fn slot(conn: &mut PgConnection, campaign: Uuid) -> Slot {
    let job_id = fixture::job(conn, campaign).await;
    let scene = scenes::list(conn, job_id).await.unwrap()[0].id;
    Slot { job_id, purpose: Purpose::Render, scene: Some((scene, 1)), ordinal: 0 }
}

async fn bought(conn: &mut PgConnection, slot: Slot, external_id: &str) -> Uuid {
    let (id, empty) = (Uuid::now_v7(), json!({}));
    let intent = fixture::intent(id, slot, PRICE, &empty);
    assert_eq!(predictions::intend(conn, &intent).await.unwrap(), Decision::Held);
    predictions::submitted(conn, id, external_id, false).await.unwrap();
    let end = End {
        state: PredictionState::Succeeded,
        output_url: Some("http://cdn/x.mp4"),
        units: Some(4.0),
        cost: PRICE,
        failure: None,
    };
    predictions::ended(conn, id, &end).await.unwrap();
    id
}

async fn collected(conn: &mut PgConnection, id: Uuid) {
    let row = MediaRow {
        digest: CLIP.into(),
        bytes: 7,
        content_type: "video/mp4".into(),
        width: None,
        height: None,
        duration_ms: Some(4000),
    };
    media::record(conn, &row).await.unwrap();
    predictions::collected(conn, id, CLIP).await.unwrap();
}

async fn spent_today(conn: &mut PgConnection) -> (Micros, Micros) {
    let all = budgets::list(conn).await.unwrap();
    (all[0].reserved, all[0].settled)
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_stored_output_fills_another_slot_for_nothing(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let campaign = fixture::campaign(&mut conn).await;
    let first = slot(&mut conn, campaign).await;
    assert_eq!(memo::kept(&mut conn, KEY).await.unwrap(), None);
    let paid = bought(&mut conn, first, "ext").await;
    assert_eq!(memo::kept(&mut conn, KEY).await.unwrap(), None, "it is not stored yet");
    collected(&mut conn, paid).await;
    let kept = memo::kept(&mut conn, KEY).await.unwrap().unwrap();
    assert_eq!((kept.id, kept.digest.as_str(), kept.bytes, kept.cost), (paid, CLIP, 7, PRICE));
    assert_eq!(memo::kept(&mut conn, CLIP).await.unwrap(), None, "another order");

    let before = spent_today(&mut conn).await;
    let second = slot(&mut conn, campaign).await;
    let (id, empty) = (Uuid::now_v7(), json!({}));
    memo::reuse(&mut conn, &fixture::intent(id, second, Micros::ZERO, &empty), &kept).await.unwrap();
    let (scene, version) = second.scene.unwrap();
    scenes::move_to(&mut conn, scene, version, SceneState::Processing, None, None).await.unwrap();
    scenes::move_to(&mut conn, scene, version, SceneState::Completed, Some(CLIP), None).await.unwrap();

    let row = predictions::standing(&mut conn, second).await.unwrap().unwrap();
    assert_eq!((row.id, row.state), (id, PredictionState::Succeeded));
    assert_eq!(row.output_digest.as_deref(), Some(CLIP));
    assert_eq!(scenes::get(&mut conn, scene).await.unwrap().unwrap().reused_from, Some(paid));
    assert_eq!(ledger::of_job(&mut conn, second.job_id).await.unwrap(), JobMoney::default());
    assert_eq!(spent_today(&mut conn).await, before, "no budget knows of it");
    let spared = memo::of_job(&mut conn, second.job_id).await.unwrap();
    assert_eq!((spared.outputs, spared.saved), (1, PRICE));
    assert_eq!(memo::kept(&mut conn, KEY).await.unwrap().unwrap().id, paid, "always from where it was paid");

    let again = fixture::intent(Uuid::now_v7(), second, PRICE, &empty);
    let twice = predictions::intend(&mut conn, &again).await.unwrap_err();
    assert!(twice.is_constraint("predictions_live"), "the slot is filled: {twice:?}");
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn two_that_bought_at_the_same_time_both_count_and_the_newest_serves(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let campaign = fixture::campaign(&mut conn).await;
    let (one, two) = (slot(&mut conn, campaign).await, slot(&mut conn, campaign).await);
    let one = bought(&mut conn, one, "ext1").await;
    let two = bought(&mut conn, two, "ext2").await;
    collected(&mut conn, one).await;
    assert_eq!(memo::kept(&mut conn, KEY).await.unwrap().unwrap().id, one);
    collected(&mut conn, two).await;
    assert_eq!(memo::kept(&mut conn, KEY).await.unwrap().unwrap().id, two);
}

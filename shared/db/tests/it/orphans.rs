//! Orphans are noted once, looked after until they end, and counted with what they cost.

use crate::fixture;
use chrono::{DateTime, Utc};
use serde_json::json;
use spool_db::orphans::{self, Found, Totals};
use spool_db::predictions::{self, Slot};
use spool_job::money::Micros;
use spool_job::prediction::{PredictionState, Purpose};
use sqlx::PgPool;
use uuid::Uuid;

fn found(external_id: &str, adopted: bool) -> Found<'_> {
    Found {
        provider: "replicate",
        external_id,
        model: "google/veo-3.1-fast",
        prediction_id: Uuid::nil(),
        row_state: Some(PredictionState::Void),
        adopted,
        created_at: DateTime::<Utc>::UNIX_EPOCH,
    }
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn an_orphan_is_noted_once_and_costs_once(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    assert!(orphans::note(&mut conn, &found("a", false)).await.unwrap());
    assert!(!orphans::note(&mut conn, &found("a", false)).await.unwrap(), "the next sweep sees it again");
    assert!(orphans::note(&mut conn, &found("b", true)).await.unwrap());
    let open = orphans::open(&mut conn, "replicate", 10).await.unwrap();
    assert_eq!(open, [("a".to_owned(), "google/veo-3.1-fast".to_owned())], "an adopted one has its row");
    let (ended, cost) = (PredictionState::Canceled, Some(Micros(400_000)));
    assert!(orphans::ended(&mut conn, "replicate", "a", ended, cost).await.unwrap());
    assert!(!orphans::ended(&mut conn, "replicate", "a", ended, cost).await.unwrap());
    assert!(orphans::open(&mut conn, "replicate", 10).await.unwrap().is_empty());
    let totals = orphans::totals(&mut conn).await.unwrap();
    assert_eq!(totals, Totals { adopted: 1, canceled: 1, cost: Micros(400_000) });
    let listed = orphans::list(&mut conn, (10, 0)).await.unwrap();
    let canceled = listed.iter().find(|one| one.external_id == "a").unwrap();
    assert_eq!((canceled.state.as_deref(), canceled.cost), (Some("canceled"), Some(Micros(400_000))));
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn rows_are_found_by_their_mark_and_by_their_seed(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let campaign = fixture::campaign(&mut conn).await;
    let job_id = fixture::job(&mut conn, campaign).await;
    let slot = |ordinal| Slot { job_id, purpose: Purpose::Music, scene: None, ordinal };
    let (id, other, empty) = (Uuid::now_v7(), Uuid::now_v7(), json!({}));
    predictions::intend(&mut conn, &fixture::intent(id, slot(0), Micros(1), &empty)).await.unwrap();
    predictions::intend(&mut conn, &fixture::intent(other, slot(1), Micros(1), &empty)).await.unwrap();
    let marked = orphans::marked(&mut conn, "replicate", &[id, Uuid::nil()]).await.unwrap();
    assert_eq!(marked.len(), 1);
    assert_eq!((marked[0].id, marked[0].state, marked[0].task_id), (id, PredictionState::Intent, 1));
    let since = DateTime::<Utc>::UNIX_EPOCH;
    assert!(
        orphans::seeded(&mut conn, "replicate", since).await.unwrap().is_empty(),
        "its run may be posting"
    );
    predictions::unknown(&mut conn, id, "reset").await.unwrap();
    let seeded = orphans::seeded(&mut conn, "replicate", since).await.unwrap();
    assert_eq!(seeded.iter().map(|row| row.id).collect::<Vec<_>>(), [id]);
    predictions::submitted(&mut conn, id, "ext", true).await.unwrap();
    assert!(orphans::seeded(&mut conn, "replicate", since).await.unwrap().is_empty(), "it is bound");
}

//! Orphans are noted once, looked after until they end, and counted with what they cost.

use crate::{fixture, purchases};
use chrono::{DateTime, Utc};
use serde_json::json;
use spool_db::budgets::{self, Budget, Period, Scope};
use spool_db::orphans::{self, Found, Totals};
use spool_db::predictions::{self, Slot};
use spool_db::spend::{self, By};
use spool_db::waste;
use spool_job::money::Micros;
use spool_job::prediction::{PredictionState, Purpose};
use sqlx::{PgConnection, PgPool};
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
    assert_eq!(billed(&mut conn).await, [0], "nothing is known of its end");
    assert!(orphans::ended(&mut conn, "replicate", "a", ended, cost).await.unwrap());
    assert!(!orphans::ended(&mut conn, "replicate", "a", ended, cost).await.unwrap());
    assert!(orphans::open(&mut conn, "replicate", 10).await.unwrap().is_empty());
    assert_eq!(billed(&mut conn).await, [400_000], "once");
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

/// What the budgets for everything have counted as spent, the day first.
async fn billed(conn: &mut PgConnection) -> Vec<i64> {
    let all = budgets::list(conn).await.unwrap();
    all.iter().filter(|one| one.budget.scope == Scope::All).map(|one| one.settled.0).collect()
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn what_an_orphan_costs_is_beside_the_ledger_and_in_the_budgets(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = purchases::a_job(&mut conn).await;
    let kept = purchases::bought(&mut conn, purchases::music(job, 0), 10, 0).await;
    let tight = |period| Budget {
        scope: Scope::All,
        period,
        zone: "UTC".into(),
        soft: None,
        hard: Some(Micros(100)),
    };
    budgets::set(&mut conn, &tight(Period::Day)).await.unwrap();
    orphans::note(&mut conn, &Found { prediction_id: kept, ..found("a", false) }).await.unwrap();
    orphans::note(&mut conn, &found("b", false)).await.unwrap();
    for (id, cost) in [("a", Some(Micros(400_000))), ("b", Some(Micros(7)))] {
        assert!(orphans::ended(&mut conn, "replicate", id, PredictionState::Canceled, cost).await.unwrap());
    }
    let billed_now = [10 + 400_000 + 7];
    assert_eq!(billed(&mut conn).await, billed_now, "over the limit, for it is spent already");
    // A budget that is made later counts it, too; one of a client does not.
    budgets::set(&mut conn, &tight(Period::Month)).await.unwrap();
    let client = Budget { scope: Scope::Client(Uuid::now_v7()), ..tight(Period::Day) };
    budgets::set(&mut conn, &client).await.unwrap();
    assert_eq!(billed(&mut conn).await, [billed_now[0]; 2]);

    let span = spend::span(&mut conn, None, None).await.unwrap();
    let classes = waste::of_span(&mut conn, &span).await.unwrap();
    let told: Vec<_> =
        classes.iter().map(|one| (one.class, one.settled.0, one.beside_ledger.0, one.purchases)).collect();
    let none = |class| (class, 0, 0, 0);
    assert_eq!(
        told,
        [
            ("useful", 10, 0, 1),
            none("duplicate"),
            ("orphaned", 0, 400_007, 2),
            none("late_cancelled"),
            none("failed")
        ]
    );
    let by_client = spend::report(&mut conn, By::Client, &span).await.unwrap();
    let told: Vec<_> =
        by_client.iter().map(|line| (line.key.is_some(), line.settled.0, line.beside_ledger.0)).collect();
    assert_eq!(told, [(true, 10, 400_000), (false, 0, 7)], "whose mark it bears, or nobody's");
    for by in [By::Day, By::Campaign, By::Model] {
        let lines = spend::report(&mut conn, by, &span).await.unwrap();
        let sums = (
            lines.iter().map(|line| line.settled.0).sum::<i64>(),
            lines.iter().map(|line| line.beside_ledger.0).sum::<i64>(),
        );
        assert_eq!(sums, (10, 400_007), "{by:?}");
    }
}

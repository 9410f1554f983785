//! Budgets made and changed while money is being spent: nothing is missed, nothing counted twice.

use crate::fixture;
use serde_json::json;
use spool_db::budgets::{self, Budget, Decision, Period, Scope};
use spool_db::predictions::{self, End, Slot};
use spool_job::money::Micros;
use spool_job::prediction::{PredictionState, Purpose};
use sqlx::{PgConnection, PgPool};
use std::time::Duration;
use uuid::Uuid;

const DOLLAR: i64 = 1_000_000;

async fn set(conn: &mut PgConnection, scope: Scope, zone: &str, hard: i64) {
    let period = if scope == Scope::All { Period::Day } else { Period::Total };
    let budget = Budget { scope, period, zone: zone.into(), soft: None, hard: Some(Micros(hard)) };
    budgets::set(conn, &budget).await.unwrap();
}

async fn buy(conn: &mut PgConnection, job_id: i64, ordinal: i32) -> (Uuid, Decision) {
    let (id, empty) = (Uuid::now_v7(), json!({}));
    let slot = Slot { job_id, purpose: Purpose::Music, scene: None, ordinal };
    let intent = fixture::intent(id, slot, Micros(DOLLAR), &empty);
    (id, predictions::intend(conn, &intent).await.unwrap())
}

async fn end(conn: &mut PgConnection, id: Uuid, cost: i64) {
    predictions::submitted(conn, id, &id.to_string(), false).await.unwrap();
    let state = PredictionState::Succeeded;
    let end = End { state, output_url: Some("x"), units: None, cost: Micros(cost), failure: None };
    predictions::ended(conn, id, &end).await.unwrap();
}

/// Reserved and settled.
async fn sums(conn: &mut PgConnection, scope: &Scope) -> (i64, i64) {
    let all = budgets::list(conn).await.unwrap();
    let found = all.into_iter().find(|found| found.budget.scope == *scope).unwrap();
    (found.reserved.0, found.settled.0)
}

async fn a_job(conn: &mut PgConnection) -> i64 {
    let campaign = fixture::campaign(conn).await;
    fixture::job(conn, campaign).await
}

/// Waits until somebody waits for the lock on the budgets.
async fn somebody_waits(pool: &PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    for _ in 0..1000 {
        let waits = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'budgets'::regclass
                              AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS "waits!""#
        );
        if waits.fetch_one(&mut *conn).await.unwrap() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nobody waits for the lock");
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_new_budget_counts_the_purchase_that_was_just_being_made(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    let mut buying = pool.begin().await.unwrap();
    assert_eq!(buy(&mut buying, job, 0).await.1, Decision::Held);
    let setting = tokio::spawn({
        let pool = pool.clone();
        async move { set(&mut pool.acquire().await.unwrap(), Scope::Job(job), "UTC", DOLLAR).await }
    });
    somebody_waits(&pool).await;
    buying.commit().await.unwrap();
    setting.await.unwrap();
    assert_eq!(sums(&mut conn, &Scope::Job(job)).await, (DOLLAR, 0));
    assert!(matches!(buy(&mut conn, job, 1).await.1, Decision::Short(_)));
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_purchase_meets_the_budget_that_was_just_being_made(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    let mut setting = pool.begin().await.unwrap();
    set(&mut setting, Scope::Job(job), "UTC", DOLLAR / 2).await;
    let buying = tokio::spawn({
        let pool = pool.clone();
        async move { buy(&mut pool.acquire().await.unwrap(), job, 0).await.1 }
    });
    somebody_waits(&pool).await;
    setting.commit().await.unwrap();
    assert!(matches!(buying.await.unwrap(), Decision::Short(_)));
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_settlement_frees_what_a_new_budget_has_just_counted_as_held(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    let (open, _) = buy(&mut conn, job, 0).await;
    let mut setting = pool.begin().await.unwrap();
    set(&mut setting, Scope::Job(job), "UTC", 5 * DOLLAR).await;
    let ending = tokio::spawn({
        let pool = pool.clone();
        async move { end(&mut pool.acquire().await.unwrap(), open, DOLLAR / 4).await }
    });
    somebody_waits(&pool).await;
    setting.commit().await.unwrap();
    ending.await.unwrap();
    assert_eq!(sums(&mut conn, &Scope::Job(job)).await, (0, DOLLAR / 4));
    assert_eq!(sums(&mut conn, &Scope::All).await, (0, DOLLAR / 4));
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn another_zone_counts_its_own_day_anew(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    // 25 hours apart: whatever the time, they never have the same date.
    let (east, west) = ("Pacific/Kiritimati", "Pacific/Pago_Pago");
    set(&mut conn, Scope::All, east, 10 * DOLLAR).await;
    let (open, _) = buy(&mut conn, job, 0).await;
    let (spent, _) = buy(&mut conn, job, 1).await;
    let (long_ago, _) = buy(&mut conn, job, 2).await;
    end(&mut conn, spent, 2 * DOLLAR).await;
    end(&mut conn, long_ago, 3 * DOLLAR).await;
    sqlx::query!("UPDATE predictions SET intent_at = now() - interval '30 hours' WHERE id = $1", long_ago)
        .execute(&mut *conn)
        .await
        .unwrap();
    set(&mut conn, Scope::All, west, 3 * DOLLAR).await;
    assert_eq!(sums(&mut conn, &Scope::All).await, (DOLLAR, 2 * DOLLAR), "today's, by the new zone's day");
    assert!(matches!(buy(&mut conn, job, 3).await.1, Decision::Short(_)), "the limit holds");
    end(&mut conn, open, DOLLAR / 2).await;
    assert_eq!(sums(&mut conn, &Scope::All).await, (0, 2 * DOLLAR + DOLLAR / 2), "what was held is settled");
    // The same zone again leaves the sums alone.
    set(&mut conn, Scope::All, west, 4 * DOLLAR).await;
    assert_eq!(sums(&mut conn, &Scope::All).await, (0, 2 * DOLLAR + DOLLAR / 2));
}

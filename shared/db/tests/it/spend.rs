//! What was spent: reports that agree with the ledger, learned costs, variance, soft limits that are passed once.

use crate::fixture;
use crate::purchases::{a_job, bought, buy, end, music};
use spool_db::budgets::{self, Budget, Period, Scope};
use spool_db::learned;
use spool_db::spend::{self, By, Line};
use spool_job::money::Micros;
use spool_job::prediction::PredictionState;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

async fn zone(conn: &mut PgConnection, zone: &str, soft: Option<i64>) {
    let budget = Budget {
        scope: Scope::All,
        period: Period::Day,
        zone: zone.into(),
        soft: soft.map(Micros),
        hard: Some(Micros(150_000_000)),
    };
    budgets::set(conn, &budget).await.unwrap();
}

async fn report(conn: &mut PgConnection, by: By, from: &str, to: &str) -> Vec<Line> {
    let day = |text: &str| Some(text.parse().unwrap());
    let span = spend::span(conn, day(from), day(to)).await.unwrap();
    spend::report(conn, by, &span).await.unwrap()
}

/// Moves what was booked for a purchase.
async fn booked_at(conn: &mut PgConnection, id: Uuid, at: &str) {
    sqlx::query!("UPDATE ledger SET at = $2::text::timestamptz WHERE prediction_id = $1", id, at)
        .execute(&mut *conn)
        .await
        .unwrap();
    sqlx::query!("UPDATE predictions SET intent_at = $2::text::timestamptz WHERE id = $1", id, at)
        .execute(conn)
        .await
        .unwrap();
}

fn keyed(lines: &[Line]) -> Vec<(Option<&str>, i64, i64)> {
    lines.iter().map(|line| (line.key.as_deref(), line.settled.0, line.reserved.0)).collect()
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn days_are_those_of_the_daily_budget(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    zone(&mut conn, "Europe/Berlin", None).await;
    let job = a_job(&mut conn).await;
    let evening = bought(&mut conn, music(job, 0), 100, 0).await;
    booked_at(&mut conn, evening, "2026-11-20T22:59:59Z").await;
    let midnight = bought(&mut conn, music(job, 1), 20, 1).await;
    booked_at(&mut conn, midnight, "2026-11-20T23:00:00Z").await;
    let held = buy(&mut conn, music(job, 2), 7, 2).await;
    booked_at(&mut conn, held, "2026-11-21T22:59:59Z").await;
    let next = buy(&mut conn, music(job, 3), 9, 3).await;
    booked_at(&mut conn, next, "2026-11-21T23:00:00Z").await;

    let lines = report(&mut conn, By::Day, "2026-11-20", "2026-11-21").await;
    assert_eq!(keyed(&lines), [(Some("2026-11-20"), 100, 0), (Some("2026-11-21"), 20, 7)]);
    assert_eq!(lines[1].purchases, 1);
    let lines = report(&mut conn, By::Day, "2026-11-21", "2026-11-21").await;
    assert_eq!(keyed(&lines), [(Some("2026-11-21"), 20, 7)]);
    let span = spend::span(&mut conn, None, None).await.unwrap();
    assert_eq!((span.to - span.from).num_days(), 29, "thirty days unless told otherwise");
    assert_eq!(span.zone, "Europe/Berlin");
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn every_report_adds_up_to_the_ledger(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let (job, other) = (a_job(&mut conn).await, a_job(&mut conn).await);
    for n in 0..4 {
        bought(&mut conn, music(job, n), 1_000 + i64::from(n), n as u64).await;
    }
    bought(&mut conn, music(other, 0), 17, 0).await;
    buy(&mut conn, music(other, 1), 300, 1).await;
    let failed = buy(&mut conn, music(job, 9), 500, 9).await;
    end(&mut conn, failed, PredictionState::Failed, 0).await;
    let given_up = buy(&mut conn, music(job, 10), 500, 10).await;
    end(&mut conn, given_up, PredictionState::Canceled, 250).await;

    let sums = sqlx::query!(
        r#"SELECT sum(micros) FILTER (WHERE kind = 'settle')::bigint AS "settled!",
                  sum(micros) FILTER (WHERE kind = 'reserve' AND NOT EXISTS (
                      SELECT FROM ledger o WHERE o.prediction_id = l.prediction_id AND o.kind <> 'reserve'))::bigint AS "reserved!",
                  count(*) FILTER (WHERE kind = 'settle') AS "purchases!" FROM ledger l"#
    )
    .fetch_one(&mut *conn)
    .await
    .unwrap();
    assert_eq!((sums.settled, sums.reserved, sums.purchases), (4_006 + 17 + 250, 300, 6));
    let span = spend::span(&mut conn, None, None).await.unwrap();
    for by in [By::Day, By::Client, By::Campaign, By::Model] {
        let lines = spend::report(&mut conn, by, &span).await.unwrap();
        assert_eq!(lines.iter().map(|line| line.settled.0).sum::<i64>(), sums.settled, "{by:?}");
        assert_eq!(lines.iter().map(|line| line.reserved.0).sum::<i64>(), sums.reserved, "{by:?}");
        assert_eq!(lines.iter().map(|line| line.purchases).sum::<i64>(), sums.purchases, "{by:?}");
    }
    let clients = spend::report(&mut conn, By::Client, &span).await.unwrap();
    assert_eq!(clients.len(), 2);
    assert_eq!(
        (clients[0].name.as_deref(), clients[0].settled),
        (Some("Lodge"), Micros(4_256)),
        "dearest first"
    );
    assert_eq!((clients[1].settled, clients[1].reserved), (Micros(17), Micros(300)), "one row, not two");
    let campaigns = spend::report(&mut conn, By::Campaign, &span).await.unwrap();
    assert_eq!(campaigns[0].name.as_deref(), Some("Autumn"));
    let models = spend::report(&mut conn, By::Model, &span).await.unwrap();
    assert_eq!(models[0].key.as_deref(), Some("google/veo-3.1-fast"));
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn what_belongs_to_no_client_is_one_row(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    sqlx::query!("UPDATE jobs SET client_id = NULL, campaign_id = NULL WHERE id = $1", job)
        .execute(&mut *conn)
        .await
        .unwrap();
    bought(&mut conn, music(job, 0), 5, 0).await;
    buy(&mut conn, music(job, 1), 6, 1).await;
    let span = spend::span(&mut conn, None, None).await.unwrap();
    for by in [By::Client, By::Campaign] {
        let lines = spend::report(&mut conn, by, &span).await.unwrap();
        assert_eq!(keyed(&lines), [(None, 5, 6)], "{by:?}");
    }
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn what_things_cost_is_learned_from_twenty_of_them(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    let (model, unit) = ("google/veo-3.1-fast", "second");
    // 18 at 1.1 times their price, of different sizes, and two at five times.
    for n in 0..20 {
        let (list, times) = (1_000 * (1 + i64::from(n)), if n % 10 == 9 { 50 } else { 11 });
        assert_eq!(learned::of(&mut conn, model, unit).await.unwrap(), None, "after {n}");
        let id = buy(&mut conn, music(job, n), list, n as u64).await;
        end(&mut conn, id, PredictionState::Succeeded, list * times / 10).await;
    }
    assert_eq!(learned::of(&mut conn, model, unit).await.unwrap(), Some(5_000), "the 19th of 20");
    assert_eq!(learned::all(&mut conn).await.unwrap().p95_permille(model, unit), Some(5_000));
    assert_eq!(learned::all(&mut conn).await.unwrap().p95_permille(model, "image"), None);
    // Failures teach nothing, and within ten minutes nothing is worked out anew.
    let failed = buy(&mut conn, music(job, 30), 10, 30).await;
    end(&mut conn, failed, PredictionState::Failed, 10_000).await;
    for n in 40..60 {
        bought(&mut conn, music(job, n), 1_000, n as u64).await;
    }
    assert_eq!(learned::of(&mut conn, model, unit).await.unwrap(), Some(5_000));
    sqlx::query!("UPDATE learned_costs SET computed_at = now() - interval '11 minutes'")
        .execute(&mut *conn)
        .await
        .unwrap();
    bought(&mut conn, music(job, 60), 1_000, 60).await;
    assert_eq!(learned::of(&mut conn, model, unit).await.unwrap(), Some(1_100), "39 of 41 cost that at most");
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_cost_far_off_its_list_price_is_marked(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    for (n, state, cost, marked) in [
        (0, PredictionState::Succeeded, 1_200, None),
        (1, PredictionState::Succeeded, 1_250, Some(250)),
        (2, PredictionState::Succeeded, 500, Some(-500)),
        // What failed cost what it cost; that says nothing of the price.
        (3, PredictionState::Failed, 500, None),
    ] {
        let id = buy(&mut conn, music(job, n), 1_000, n as u64).await;
        end(&mut conn, id, state, cost).await;
        let found = sqlx::query_scalar!("SELECT variance_permille FROM predictions WHERE id = $1", id)
            .fetch_one(&mut *conn)
            .await
            .unwrap();
        assert_eq!(found, marked, "{cost}");
    }
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_soft_limit_is_passed_once_in_a_period(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    zone(&mut conn, "UTC", Some(1_000)).await;
    let passed = async |conn: &mut PgConnection| {
        let all = budgets::list(conn).await.unwrap();
        (all[0].soft_passed_at, all[0].left())
    };
    buy(&mut conn, music(job, 0), 1_000, 0).await;
    assert_eq!(passed(&mut conn).await.0, None, "at the limit is not above it");
    let over = buy(&mut conn, music(job, 1), 1, 1).await;
    let (first, left) = passed(&mut conn).await;
    assert!(first.is_some());
    assert_eq!(left, Some(Micros(150_000_000 - 1_001)));
    end(&mut conn, over, PredictionState::Succeeded, 50).await;
    buy(&mut conn, music(job, 2), 1_000, 2).await;
    assert_eq!(passed(&mut conn).await.0, first, "once");
    let alerts =
        sqlx::query!("SELECT soft_micros, spent_micros FROM budget_alerts").fetch_all(&mut *conn).await;
    let alerts = alerts.unwrap();
    assert_eq!(alerts.len(), 1);
    assert_eq!((alerts[0].soft_micros, alerts[0].spent_micros), (1_000, 1_001));

    let of_job = Budget {
        scope: Scope::Job(job),
        period: Period::Total,
        zone: "UTC".into(),
        soft: Some(Micros(10)),
        hard: None,
    };
    budgets::set(&mut conn, &of_job).await.unwrap();
    let all = budgets::list(&mut conn).await.unwrap();
    assert!(all[1].soft_passed_at.is_some(), "it had spent more before there was a limit");
    assert!(
        budgets::remove(&mut conn, &Scope::Job(job), Period::Total).await.unwrap(),
        "its alert is no hindrance"
    );
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn only_the_budgets_that_bind_a_job_apply(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let campaign = fixture::campaign(&mut conn).await;
    let (job, stranger) = (fixture::job(&mut conn, campaign).await, a_job(&mut conn).await);
    for scope in
        [Scope::Campaign(campaign), Scope::Job(job), Scope::Job(stranger), Scope::Client(Uuid::now_v7())]
    {
        let budget =
            Budget { scope, period: Period::Total, zone: "UTC".into(), soft: None, hard: Some(Micros(5)) };
        budgets::set(&mut conn, &budget).await.unwrap();
    }
    let applying = budgets::applying(&mut conn, None, Some(campaign), Some(job)).await.unwrap();
    let scopes: Vec<&Scope> = applying.iter().map(|standing| &standing.budget.scope).collect();
    assert_eq!(scopes, [&Scope::All, &Scope::Campaign(campaign), &Scope::Job(job)]);
    assert_eq!(budgets::applying(&mut conn, None, None, None).await.unwrap().len(), 1, "everybody's");
}

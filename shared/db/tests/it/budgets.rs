//! Limits on money: never passed, counted in the right period, for everybody or for one client.

use crate::fixture;
use serde_json::json;
use spool_db::budgets::{self, Budget, Decision, Period, Scope, Standing};
use spool_db::predictions::{self, End, Slot};
use spool_job::money::Micros;
use spool_job::prediction::{PredictionState, Purpose};
use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;

const DOLLAR: i64 = 1_000_000;

async fn set(conn: &mut PgConnection, scope: Scope, period: Period, hard: i64) {
    let budget = Budget { scope, period, zone: "Europe/Berlin".into(), soft: None, hard: Some(Micros(hard)) };
    budgets::set(conn, &budget).await.unwrap();
}

/// Buys in a transaction of its own, which is rolled back unless the money is held.
async fn buy(conn: &mut PgConnection, job_id: i64, ordinal: i32, micros: i64) -> (Uuid, Decision) {
    let mut tx = conn.begin().await.unwrap();
    let (id, empty) = (Uuid::now_v7(), json!({}));
    let slot = Slot { job_id, purpose: Purpose::Music, scene: None, ordinal };
    let intent = fixture::intent(id, slot, Micros(micros), &empty);
    let decision = predictions::intend(&mut tx, &intent).await.unwrap();
    if decision == Decision::Held {
        tx.commit().await.unwrap();
    }
    (id, decision)
}

async fn end(conn: &mut PgConnection, id: Uuid, state: PredictionState, cost: i64) {
    predictions::submitted(conn, id, &id.to_string(), false).await.unwrap();
    let end = End { state, output_url: Some("x"), units: None, cost: Micros(cost), failure: None };
    predictions::ended(conn, id, &end).await.unwrap();
}

async fn standing(conn: &mut PgConnection, scope: &Scope, period: Period) -> Standing {
    let all = budgets::list(conn).await.unwrap();
    all.into_iter().find(|found| found.budget.scope == *scope && found.budget.period == period).unwrap()
}

async fn sums(conn: &mut PgConnection, scope: &Scope, period: Period) -> (i64, i64) {
    let standing = standing(conn, scope, period).await;
    (standing.reserved.0, standing.settled.0)
}

async fn a_job(conn: &mut PgConnection) -> i64 {
    let campaign = fixture::campaign(conn).await;
    fixture::job(conn, campaign).await
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn hundreds_at_once_never_pass_the_limit_and_use_all_of_it(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    set(&mut conn, Scope::All, Period::Day, 10 * DOLLAR).await;
    let buyers = (0..300).map(|n| {
        let pool = pool.clone();
        // 0.40 each: 25 fit.
        tokio::spawn(async move { buy(&mut pool.acquire().await.unwrap(), job, n, 400_000).await.1 })
    });
    let mut held = 0;
    for buyer in buyers.collect::<Vec<_>>() {
        held += usize::from(buyer.await.unwrap() == Decision::Held);
    }
    assert_eq!(held, 25);
    assert_eq!(sums(&mut conn, &Scope::All, Period::Day).await, (10 * DOLLAR, 0));
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn all_budgets_that_apply_hold_it_or_none(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let (job, other) = (a_job(&mut conn).await, a_job(&mut conn).await);
    let row = spool_db::jobs::show(&mut conn, job, None).await.unwrap().unwrap();
    let client = Scope::Client(row.client_id.unwrap());
    set(&mut conn, client.clone(), Period::Month, 2 * DOLLAR).await;
    set(&mut conn, Scope::Job(job), Period::Total, DOLLAR).await;
    assert_eq!(buy(&mut conn, job, 0, DOLLAR).await.1, Decision::Held);
    let Decision::Short(short) = buy(&mut conn, job, 1, DOLLAR / 2).await.1 else { panic!("too much") };
    assert_eq!(short.len(), 1);
    assert_eq!(
        (&short[0].scope, short[0].missing, short[0].turns_at),
        (&Scope::Job(job), Micros(DOLLAR / 2), None)
    );
    // The refusal left nothing anywhere.
    for (scope, period) in
        [(Scope::All, Period::Day), (client, Period::Month), (Scope::Job(job), Period::Total)]
    {
        assert_eq!(sums(&mut conn, &scope, period).await, (DOLLAR, 0), "{scope:?}");
    }
    // Another client's job meets neither.
    assert_eq!(buy(&mut conn, other, 0, 5 * DOLLAR).await.1, Decision::Held);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn what_it_cost_takes_the_place_of_what_was_held(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    set(&mut conn, Scope::All, Period::Day, 4 * DOLLAR).await;
    let (dear, _) = buy(&mut conn, job, 0, DOLLAR).await;
    let (failed, _) = buy(&mut conn, job, 1, DOLLAR).await;
    let (refused, _) = buy(&mut conn, job, 2, DOLLAR).await;
    // The provider bills more than it said: that is booked, limit or not.
    end(&mut conn, dear, PredictionState::Succeeded, 5 * DOLLAR).await;
    end(&mut conn, failed, PredictionState::Failed, 0).await;
    predictions::refused(&mut conn, refused, "x", "x").await.unwrap();
    assert_eq!(sums(&mut conn, &Scope::All, Period::Day).await, (0, 5 * DOLLAR));
    assert!(matches!(buy(&mut conn, job, 3, 1).await.1, Decision::Short(_)));
    set(&mut conn, Scope::All, Period::Day, 6 * DOLLAR).await;
    assert_eq!(buy(&mut conn, job, 3, DOLLAR).await.1, Decision::Held);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn the_day_turns_at_midnight_of_its_zone_and_money_stays_in_its_day(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    set(&mut conn, Scope::All, Period::Day, DOLLAR).await;
    let (yesterdays, _) = buy(&mut conn, job, 0, DOLLAR).await;
    let Decision::Short(short) = buy(&mut conn, job, 1, DOLLAR).await.1 else { panic!("too much") };
    let turns_at = short[0].turns_at.unwrap();
    fixture::the_day_turns(&mut conn).await;
    assert_eq!(buy(&mut conn, job, 1, DOLLAR).await.1, Decision::Held);
    end(&mut conn, yesterdays, PredictionState::Succeeded, DOLLAR).await;
    assert_eq!(
        sums(&mut conn, &Scope::All, Period::Day).await,
        (DOLLAR, 0),
        "yesterday's money is not today's"
    );
    let midnight = sqlx::query_scalar!(
        r#"SELECT ($1::timestamptz AT TIME ZONE 'Europe/Berlin')::time = '00:00' AND $1 > now() AND $1 <= now() + interval '25 hours' AS "so!""#,
        turns_at
    );
    assert!(midnight.fetch_one(&mut *conn).await.unwrap(), "{turns_at}");
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn periods_follow_the_clocks_of_their_zone(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    for (period, at, starts_on, turns_at) in [
        // The day on which the clocks go forward has 23 hours, the one on which they go back 25.
        ("day", "2026-03-29T12:00:00Z", "2026-03-29", Some("2026-03-29 22:00:00+00")),
        ("day", "2026-10-25T12:00:00Z", "2026-10-25", Some("2026-10-25 23:00:00+00")),
        ("day", "2026-11-20T23:30:00Z", "2026-11-21", Some("2026-11-21 23:00:00+00")),
        ("month", "2026-12-31T23:30:00Z", "2027-01-01", Some("2027-01-31 23:00:00+00")),
        ("total", "2026-11-20T23:30:00Z", "-infinity", None),
    ] {
        let found = sqlx::query!(
            r#"SELECT starts_on = $3::text::date AS "begins!", turns_at IS NOT DISTINCT FROM $4::text::timestamptz AS "turns!"
               FROM budget_period($1, 'Europe/Berlin', $2::text::timestamptz)"#,
            period,
            at,
            starts_on,
            turns_at
        );
        let found = found.fetch_one(&mut *conn).await.unwrap();
        assert!(found.begins && found.turns, "{period} of {at}");
    }
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_new_budget_counts_what_its_period_has_seen(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    let (open, _) = buy(&mut conn, job, 0, DOLLAR).await;
    let (spent, _) = buy(&mut conn, job, 1, DOLLAR).await;
    end(&mut conn, spent, PredictionState::Succeeded, 2 * DOLLAR).await;
    set(&mut conn, Scope::Job(job), Period::Total, 3 * DOLLAR).await;
    assert_eq!(sums(&mut conn, &Scope::Job(job), Period::Total).await, (DOLLAR, 2 * DOLLAR));
    assert!(matches!(buy(&mut conn, job, 2, 1).await.1, Decision::Short(_)));
    end(&mut conn, open, PredictionState::Failed, 0).await;
    assert_eq!(buy(&mut conn, job, 2, DOLLAR).await.1, Decision::Held);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_stop_holds_until_it_is_lifted(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    budgets::stop(&mut conn, "prices look wrong", "ops").await.unwrap();
    assert_eq!(buy(&mut conn, job, 0, 1).await.1, Decision::Stopped { why: "prices look wrong".into() });
    assert_eq!(budgets::stopped(&mut conn).await.unwrap().unwrap().by, "ops");
    assert!(budgets::go_on(&mut conn).await.unwrap());
    assert!(!budgets::go_on(&mut conn).await.unwrap());
    assert_eq!(buy(&mut conn, job, 0, 1).await.1, Decision::Held);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn the_database_itself_refuses_to_hold_more_than_the_limit(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    buy(&mut conn, job, 0, DOLLAR).await;
    let forced =
        sqlx::query!("UPDATE budget_periods SET reserved_micros = 150000001").execute(&mut *conn).await;
    let refused = forced.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().constraint(), Some("budget_stays_within"));
}

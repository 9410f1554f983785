//! Limits of a provider under concurrency: the rate and the number in flight hold, feedback binds all, breakers open, probe and
//! close, and nobody starves.

use crate::fixture;
use serde_json::json;
use spool_db::limits::breaker::{self, By, Kind};
use spool_db::limits::line::{self, Ask, Place};
use spool_db::limits::plan::{Moment, Turn};
use spool_db::limits::standing::{self, Class, Standing};
use spool_db::limits::{self, WHOLE_ACCOUNT, feedback, obstacles};
use spool_db::predictions::{self, Slot};
use spool_job::money::Micros;
use spool_job::prediction::Purpose;
use sqlx::{Connection, PgConnection, PgPool};
use std::time::Duration;
use uuid::Uuid;

const PROVIDER: &str = "replicate";
/// The model of the fixture's intents.
const MODEL: &str = "google/veo-3.1-fast";

async fn a_job(conn: &mut PgConnection) -> i64 {
    let campaign = fixture::campaign(conn).await;
    fixture::job(conn, campaign).await
}

fn ask(task_id: i64, job_id: i64) -> Ask<'static> {
    Ask { task_id, job_id, provider: PROVIDER, model: MODEL, share: None, cost: Micros(1000 - task_id) }
}

async fn set(conn: &mut PgConnection, per_minute: i32, max_in_flight: Option<i32>) {
    standing::set(conn, PROVIDER, Class::Create, WHOLE_ACCOUNT, Some(per_minute), max_in_flight)
        .await
        .unwrap();
}

async fn standing_of(conn: &mut PgConnection, model: &str) -> Standing {
    let all = standing::list(conn).await.unwrap();
    all.into_iter().find(|one| one.class == Class::Create && one.model == model).unwrap()
}

async fn what(conn: &mut PgConnection) -> Vec<&'static str> {
    obstacles(conn, PROVIDER, MODEL).await.unwrap().into_iter().map(|one| one.what).collect()
}

async fn give(conn: &mut PgConnection) -> Vec<Turn> {
    let mut tx = conn.begin().await.unwrap();
    let given = line::give_turns(&mut tx, PROVIDER).await.unwrap();
    tx.commit().await.unwrap();
    given
}

async fn join(conn: &mut PgConnection, ask: &Ask<'_>) -> line::Joined {
    let mut tx = conn.begin().await.unwrap();
    let joined = line::join(&mut tx, ask).await.unwrap();
    tx.commit().await.unwrap();
    joined
}

async fn took(conn: &mut PgConnection, ask: &Ask<'_>) -> bool {
    let mut tx = conn.begin().await.unwrap();
    let taken = line::take(&mut tx, ask).await.unwrap();
    if taken.is_some() { tx.commit().await } else { tx.rollback().await }.unwrap();
    taken.is_some()
}

/// Buys as a worker does: the intent and the turn in one transaction, else into the line. Returns when, and how many were live then.
async fn buy(pool: &PgPool, task: i64, job: i64) -> (Uuid, Moment, i64) {
    let (id, empty) = (Uuid::now_v7(), json!({}));
    let slot = Slot { job_id: job, purpose: Purpose::Music, scene: None, ordinal: task as i32 };
    loop {
        let mut tx = pool.begin().await.unwrap();
        let intent = predictions::NewIntent { task_id: task, ..fixture::intent(id, slot, Micros(1), &empty) };
        predictions::intend(&mut tx, &intent).await.unwrap();
        if line::take(&mut tx, &ask(task, job)).await.unwrap().is_some() {
            let at = limits::now(&mut tx).await.unwrap();
            tx.commit().await.unwrap();
            let mut conn = pool.acquire().await.unwrap();
            let live = sqlx::query_scalar!(
                r#"SELECT count(*) AS "n!" FROM predictions WHERE state IN ('intent', 'submitted', 'unknown')"#
            );
            return (id, at, live.fetch_one(&mut *conn).await.unwrap());
        }
        tx.rollback().await.unwrap();
        let mut conn = pool.acquire().await.unwrap();
        let joined = join(&mut conn, &ask(task, job)).await;
        drop(conn);
        // What a worker does parked. Nobody else gives turns here, so it looks often.
        tokio::time::sleep(joined.turn_in.unwrap_or(Duration::from_millis(40))).await;
    }
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn no_window_holds_more_than_the_rate_whoever_takes(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    set(&mut conn, 1200, None).await;
    drop(conn);
    let buyers: Vec<_> = (0..80)
        .map(|task| {
            let pool = pool.clone();
            tokio::spawn(async move { buy(&pool, task, job).await.1 })
        })
        .collect();
    let mut times = Vec::new();
    for buyer in buyers {
        times.push(buyer.await.unwrap());
    }
    times.sort_unstable();
    // 1200 a minute is one in 50 ms. A turn may be used 1.5 s late and come 0.25 s early, whatever this machine does.
    for window in [500, 1000, 2000] {
        let most = 1 + (window + 1500 + 250) / 50;
        for (first, time) in times.iter().enumerate() {
            let end = *time + chrono::TimeDelta::milliseconds(window);
            let seen = times[first..].iter().take_while(|other| **other <= end).count() as i64;
            assert!(seen <= most, "{seen} within {window} ms");
        }
    }
    let mut conn = pool.acquire().await.unwrap();
    let left = sqlx::query_scalar!(r#"SELECT count(*) AS "n!" FROM limit_waits"#);
    assert_eq!(left.fetch_one(&mut *conn).await.unwrap(), 0, "nobody is left in the line");
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn no_more_are_in_flight_than_allowed_whatever_dies(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    set(&mut conn, 60_000, Some(3)).await;
    drop(conn);
    let buyers: Vec<_> = (0..30)
        .map(|task| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let (id, _, live) = buy(&pool, task, job).await;
                let mut conn = pool.acquire().await.unwrap();
                // Some die with their answer unknown; others end well.
                if task % 3 == 0 {
                    predictions::unknown(&mut conn, id, "lost").await.unwrap();
                    // What is in doubt is older than any deadline.
                    if task % 2 == 0 {
                        predictions::void(&mut conn, id).await.unwrap();
                    } else {
                        predictions::in_doubt(&mut conn, id).await.unwrap();
                    }
                } else {
                    predictions::refused(&mut conn, id, "x", "x").await.unwrap();
                }
                live
            })
        })
        .collect();
    for buyer in buyers {
        let live = buyer.await.unwrap();
        assert!(live <= 3, "{live} at once");
    }
    let mut conn = pool.acquire().await.unwrap();
    assert_eq!(standing_of(&mut conn, WHOLE_ACCOUNT).await.in_flight, 0);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_model_may_have_a_limit_of_its_own(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    set(&mut conn, 60_000, None).await;
    standing::set(&mut conn, PROVIDER, Class::Create, MODEL, None, Some(0)).await.unwrap();
    assert!(!took(&mut conn, &ask(1, job)).await);
    assert_eq!(what(&mut conn).await, ["in_flight"]);
    assert!(took(&mut conn, &Ask { model: "other/model", ..ask(2, job) }).await, "others go on");
    assert!(standing::reset(&mut conn, PROVIDER, Class::Create, MODEL).await.unwrap());
    assert!(took(&mut conn, &ask(1, job)).await);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn who_comes_later_stays_behind_and_a_flood_takes_only_its_part(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    set(&mut conn, 600, None).await;
    feedback::throttled(&mut conn, PROVIDER, Duration::from_secs(60), None).await.unwrap();
    for task in 0..100 {
        let asked = Ask { share: Some("flood"), ..ask(task, job) };
        assert_eq!(join(&mut conn, &asked).await.turn_in, None);
    }
    for task in 200..205 {
        join(&mut conn, &Ask { share: Some("other"), ..ask(task, job) }).await;
    }
    assert!(give(&mut conn).await.is_empty(), "it is paused");
    standing::reset(&mut conn, PROVIDER, Class::Create, WHOLE_ACCOUNT).await.unwrap();
    let given = give(&mut conn).await;
    let first: Vec<&str> = given.iter().take(10).map(|turn| turn.share.as_str()).collect();
    assert_eq!(first.iter().filter(|share| **share == "other").count(), 5, "{first:?}");
    assert!(given.len() < 40, "turns are given for some seconds only, not {}", given.len());
    // A newcomer has no chance while others wait, and need not try.
    assert_eq!(line::place(&mut conn, &ask(300, job)).await.unwrap(), Place::Behind);
    assert!(!took(&mut conn, &ask(300, job)).await);
    // Who has a turn that lies ahead waits for it.
    let last = given.last().unwrap().task;
    assert!(matches!(line::place(&mut conn, &ask(last, job)).await.unwrap(), Place::TurnIn(_)));
    assert!(!took(&mut conn, &ask(last, job)).await);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn who_cannot_be_next_for_a_while_need_not_try(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    set(&mut conn, 6, None).await;
    assert_eq!(line::place(&mut conn, &ask(1, job)).await.unwrap(), Place::Try);
    assert!(took(&mut conn, &ask(1, job)).await);
    // Nobody is in the line, and the next call is due in ten seconds.
    assert_eq!(line::place(&mut conn, &ask(2, job)).await.unwrap(), Place::Behind);
    assert!(!took(&mut conn, &ask(2, job)).await);
    run(&mut conn, "UPDATE provider_limits SET next_at = now() WHERE model = '*'").await;
    assert_eq!(line::place(&mut conn, &ask(2, job)).await.unwrap(), Place::Try);
    assert!(took(&mut conn, &ask(2, job)).await);
}

#[expect(clippy::disallowed_methods, reason = "time is moved by hand")]
async fn run(conn: &mut PgConnection, sql: &'static str) {
    sqlx::query(sql).execute(conn).await.unwrap();
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn what_missed_its_turns_is_forgotten_and_what_cannot_pay_gives_it_back(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    assert_eq!(
        join(&mut conn, &ask(1, job)).await.turn_in.map(|wait| wait < Duration::from_secs(3)),
        Some(true)
    );
    for missed in 1..=3 {
        run(
            &mut conn,
            "UPDATE limit_waits SET turn_at = now() - interval '10 s', turn_ends = now() - interval '5 s'",
        )
        .await;
        run(&mut conn, "UPDATE provider_limits SET next_at = '-infinity'").await;
        assert!(!took(&mut conn, &ask(2, job)).await, "an old turn keeps its place");
        assert_eq!(give(&mut conn).await.len(), usize::from(missed < 3), "missed {missed}");
    }
    set(&mut conn, 60, None).await;
    join(&mut conn, &ask(3, job)).await;
    join(&mut conn, &ask(4, job)).await;
    let before = standing_next_at(&mut conn).await;
    let mut tx = conn.begin().await.unwrap();
    line::leave(&mut tx, PROVIDER, 4).await.unwrap();
    line::leave(&mut tx, PROVIDER, 99).await.unwrap();
    tx.commit().await.unwrap();
    assert!(standing_next_at(&mut conn).await < before, "the turn is free for others");
}

async fn standing_next_at(conn: &mut PgConnection) -> Moment {
    sqlx::query_scalar!("SELECT next_at FROM provider_limits WHERE class = 'create' AND model = '*'")
        .fetch_one(conn)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_429_binds_everybody_and_a_shorter_pause_shortens_no_longer_one(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    join(&mut conn, &ask(1, job)).await;
    feedback::throttled(&mut conn, PROVIDER, Duration::from_secs(600), Some(6)).await.unwrap();
    feedback::throttled(&mut conn, PROVIDER, Duration::from_secs(1), None).await.unwrap();
    assert!(!took(&mut conn, &ask(1, job)).await, "the turn it had is taken back");
    assert!(!took(&mut conn, &Ask { model: "another/model", ..ask(2, job) }).await);
    let shown = standing_of(&mut conn, WHOLE_ACCOUNT).await;
    let left = shown.paused_until.unwrap() - limits::now(&mut conn).await.unwrap();
    assert!(left > chrono::TimeDelta::seconds(500), "{left}");
    assert_eq!((shown.per_minute, shown.per_minute_now), (Some(600), Some(6)), "low credit");
    assert_eq!(what(&mut conn).await[0], "pause");
    run(&mut conn, "UPDATE provider_limits SET paused_until = now() - interval '1 s', lowered_until = now() WHERE class = 'create'")
        .await;
    assert!(took(&mut conn, &ask(1, job)).await);
    assert_eq!(standing_of(&mut conn, WHOLE_ACCOUNT).await.per_minute_now, Some(600));
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_crowded_model_gets_fewer_and_more_again_with_time(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    set(&mut conn, 600_000, None).await;
    standing::set(&mut conn, PROVIDER, Class::Create, MODEL, None, Some(10)).await.unwrap();
    for task in 0..10 {
        buy(&pool, task, job).await;
    }
    feedback::crowded(&mut conn, PROVIDER, MODEL, Duration::from_secs(5), "E6716").await.unwrap();
    let cut = standing_of(&mut conn, MODEL).await;
    assert_eq!((cut.max_in_flight, cut.max_in_flight_now, cut.in_flight), (Some(10), Some(7), 10));
    feedback::crowded(&mut conn, PROVIDER, MODEL, Duration::from_secs(5), "E6716").await.unwrap();
    assert_eq!(
        standing_of(&mut conn, MODEL).await.max_in_flight_now,
        Some(7),
        "troubles of one moment count once"
    );
    run(&mut conn, "UPDATE provider_limits SET cut_at = cut_at - interval '40 s'").await;
    assert_eq!(standing_of(&mut conn, MODEL).await.max_in_flight_now, Some(9));
    run(&mut conn, "UPDATE provider_limits SET cut_at = cut_at - interval '10 minutes'").await;
    assert_eq!(standing_of(&mut conn, MODEL).await.max_in_flight_now, Some(10), "no more than there were");
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_breaker_opens_probes_with_the_cheapest_and_closes(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    set(&mut conn, 60_000, None).await;
    feedback::accepted(&mut conn, PROVIDER, MODEL).await.unwrap();
    for failure in 1..=4 {
        assert!(breaker::open(&mut conn, None).await.unwrap().is_empty(), "after {}", failure - 1);
        breaker::failed(&mut conn, PROVIDER, MODEL, Kind::Call, "503").await.unwrap();
    }
    let open = breaker::open(&mut conn, None).await.unwrap().remove(0);
    assert_eq!((open.model.as_str(), open.by, open.open_for_s), (MODEL, By::Call, 10));
    assert_eq!(open.why, "4 of the last 5 calls failed: 503");
    for task in 1..=3 {
        assert_eq!(join(&mut conn, &ask(task, job)).await.turn_in, None);
    }
    assert_eq!(what(&mut conn).await[0], "breaker");
    assert!(took(&mut conn, &Ask { model: "another/model", ..ask(9, job) }).await, "others go on");

    let half_open = "UPDATE breakers SET open_until = now() - interval '1 s'";
    run(&mut conn, half_open).await;
    let probe: Vec<i64> = give(&mut conn).await.iter().map(|turn| turn.task).collect();
    assert_eq!(probe, [3], "the cheapest, and it alone");
    assert!(give(&mut conn).await.is_empty(), "one at a time");
    buy(&pool, 3, job).await;
    assert!(give(&mut conn).await.is_empty(), "the probe is in flight");
    breaker::failed(&mut conn, PROVIDER, MODEL, Kind::Call, "503").await.unwrap();
    let open = breaker::open(&mut conn, None).await.unwrap().remove(0);
    assert_eq!((open.open_for_s, open.probe), (20, None), "longer than before");

    run(&mut conn, half_open).await;
    assert_eq!(give(&mut conn).await[0].task, 2);
    line::leave(&mut conn, PROVIDER, 2).await.unwrap();
    assert_eq!(give(&mut conn).await[0].task, 1, "a probe that came to nothing is followed by another");
    breaker::succeeded(&mut conn, PROVIDER, &[MODEL], Kind::Run).await.unwrap();
    assert_eq!(breaker::open(&mut conn, None).await.unwrap().len(), 1, "that says nothing about its calls");
    feedback::accepted(&mut conn, PROVIDER, MODEL).await.unwrap();
    assert!(breaker::open(&mut conn, None).await.unwrap().is_empty());
    breaker::failed(&mut conn, PROVIDER, MODEL, Kind::Call, "503").await.unwrap();
    assert!(breaker::open(&mut conn, None).await.unwrap().is_empty(), "what was before counts no more");
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn only_an_operator_closes_what_an_operator_opened(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    feedback::account_refused(&mut conn, PROVIDER, "no credit").await.unwrap();
    assert!(!took(&mut conn, &ask(1, job)).await);
    breaker::hold_open(&mut conn, PROVIDER, WHOLE_ACCOUNT, "prices changed").await.unwrap();
    feedback::account_refused(&mut conn, PROVIDER, "no credit").await.unwrap();
    run(&mut conn, "UPDATE breakers SET open_until = now() - interval '1 s'").await;
    assert_eq!(breaker::open(&mut conn, None).await.unwrap()[0].by, By::Operator);
    assert!(!took(&mut conn, &ask(1, job)).await, "never half open");
    assert!(breaker::close(&mut conn, PROVIDER, WHOLE_ACCOUNT).await.unwrap());
    assert!(!breaker::close(&mut conn, PROVIDER, WHOLE_ACCOUNT).await.unwrap());
    assert!(took(&mut conn, &ask(1, job)).await);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn settings_count_until_an_operator_says_otherwise(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let settings =
        limits::Settings { creates_per_minute: 60, others_per_minute: 120, max_in_flight: 4, gap_ms: 2000 };
    limits::announce(&mut conn, PROVIDER, settings).await.unwrap();
    let shown = standing_of(&mut conn, WHOLE_ACCOUNT).await;
    assert_eq!((shown.per_minute, shown.max_in_flight, shown.set_by_operator), (Some(60), Some(4), false));
    let job = a_job(&mut conn).await;
    assert!(took(&mut conn, &ask(1, job)).await);
    let second = join(&mut conn, &ask(2, job)).await.turn_in.unwrap();
    assert!(second > Duration::from_secs(1), "two starts are two seconds apart, not {second:?}");
    set(&mut conn, 600, None).await;
    limits::announce(&mut conn, PROVIDER, settings).await.unwrap();
    let shown = standing_of(&mut conn, WHOLE_ACCOUNT).await;
    assert_eq!((shown.per_minute, shown.max_in_flight, shown.set_by_operator), (Some(600), Some(4), true));
}

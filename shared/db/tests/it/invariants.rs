//! Each invariant of jobs and money, broken and found; and healthy books, in which nothing is.

use crate::purchases::{a_job, bought, buy, end, music};
use spool_db::budgets::{self, Budget, Period, Scope};
use spool_db::import::purchases::{OldPurchase, purchase};
use spool_db::invariants::{self as watch, Base, Broken, Budgets, Found, Kept, Place};
use spool_db::orphans;
use spool_db::predictions;
use spool_job::money::Micros;
use spool_job::prediction::PredictionState::{Failed, Succeeded};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use uuid::Uuid;

async fn sql(conn: &mut PgConnection, sql: impl Into<String>) {
    sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(conn).await.unwrap();
}

fn names(mut broken: Vec<Broken>) -> Vec<&'static str> {
    broken.sort_by_key(|broken| broken.invariant);
    broken.iter().map(|broken| broken.invariant).collect()
}

async fn purchases(conn: &mut PgConnection) -> Vec<&'static str> {
    let slice = watch::slice(conn, None, 1000).await.unwrap();
    assert_eq!(slice.last, None);
    let (mut open, recent) = (watch::open(conn).await.unwrap(), watch::recent(conn).await.unwrap());
    open.extend(recent);
    // What is under way or was just booked need not wait for its slice.
    for broken in &slice.broken {
        assert!(open.contains(broken), "{broken:?} not in {open:?}");
    }
    names(slice.broken)
}

/// From the first settlement on, in slices.
async fn settled(conn: &mut PgConnection) -> Vec<Broken> {
    let (budgets, mut bases) = (Budgets::read(conn).await.unwrap(), Vec::new());
    budgets.fit(&mut bases);
    while watch::next_slice(conn, &budgets, &mut bases).await.unwrap() {}
    watch::settled(conn, &budgets, &mut bases).await.unwrap()
}

async fn limit(conn: &mut PgConnection, scope: Scope, period: Period) {
    let budget = Budget { scope, period, zone: "UTC".into(), soft: None, hard: Some(Micros(1_000_000_000)) };
    budgets::set(conn, &budget).await.unwrap();
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn books_that_balance_break_nothing(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    limit(&mut conn, Scope::Job(job), Period::Total).await;
    bought(&mut conn, music(job, 0), 100, 1).await;
    let failed = buy(&mut conn, music(job, 1), 100, 2).await;
    end(&mut conn, failed, Failed, 0).await;
    let dearer = buy(&mut conn, music(job, 2), 100, 3).await;
    end(&mut conn, dearer, Failed, 130).await;
    let refused = buy(&mut conn, music(job, 3), 100, 4).await;
    predictions::refused(&mut conn, refused, "throttled", "later").await.unwrap();
    buy(&mut conn, music(job, 4), 100, 5).await;
    let reused =
        "INSERT INTO predictions (id, job_id, purpose, ordinal, attempt, task_id, lease_token, provider, model, input, input_digest, unit, state,
                                  reused_from, output_digest, estimate_micros, cost_micros, finished_at)
         SELECT gen_random_uuid(), job_id, purpose, 9, 1, 1, 1, provider, model, input, input_digest, unit, 'succeeded', id, repeat('a', 64), 0, 0, now()
         FROM predictions WHERE state = 'succeeded'";
    sql(
        &mut conn,
        "INSERT INTO media (digest, bytes, content_type) VALUES (repeat('a', 64), 1, 'audio/mpeg')",
    )
    .await;
    sql(&mut conn, reused).await;
    assert_eq!(purchases(&mut conn).await, Vec::<&str>::new());
    assert_eq!(settled(&mut conn).await, []);
    assert_eq!(watch::held(&mut conn).await.unwrap(), []);
    assert_eq!(watch::hold_ended(&mut conn).await.unwrap(), []);
    assert_eq!(watch::ended_open(&mut conn).await.unwrap(), []);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn each_difference_between_purchases_and_ledger_is_found(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    let open = buy(&mut conn, music(job, 0), 100, 1).await;
    let bought = bought(&mut conn, music(job, 1), 100, 2).await;
    let free = buy(&mut conn, music(job, 2), 100, 3).await;
    end(&mut conn, free, Failed, 0).await;
    assert_eq!(purchases(&mut conn).await, Vec::<&str>::new());
    for (id, change, expected) in [
        (open, "UPDATE ledger SET micros = 99 WHERE prediction_id = $", "ledger_open"),
        (open, "DELETE FROM ledger WHERE prediction_id = $", "ledger_open"),
        (
            open,
            "INSERT INTO ledger (prediction_id, job_id, model, kind, micros) SELECT id, job_id, model, 'release', 100 FROM predictions WHERE id = $",
            "ledger_open",
        ),
        (bought, "DELETE FROM ledger WHERE kind = 'settle' AND prediction_id = $", "ledger_closed"),
        (
            bought,
            "UPDATE ledger SET micros = 101 WHERE kind = 'settle' AND prediction_id = $",
            "ledger_amount",
        ),
        (
            bought,
            "UPDATE ledger SET kind = 'release' WHERE kind = 'settle' AND prediction_id = $",
            "ledger_amount",
        ),
        (bought, "DELETE FROM ledger WHERE kind = 'reserve' AND prediction_id = $", "ledger_amount"),
        (bought, "UPDATE predictions SET cost_micros = 7 WHERE id = $", "ledger_amount"),
        (free, "UPDATE ledger SET micros = 99 WHERE kind = 'release' AND prediction_id = $", "ledger_amount"),
        (free, "DELETE FROM ledger WHERE kind = 'release' AND prediction_id = $", "ledger_closed"),
    ] {
        let mut tx = sqlx::Connection::begin(&mut *conn).await.unwrap();
        sql(&mut tx, change.replace('$', &format!("'{id}'"))).await;
        let slice = watch::slice(&mut tx, None, 1000).await.unwrap();
        let again = watch::again(&mut tx, &[id]).await.unwrap();
        assert_eq!(slice.broken, [Broken { invariant: expected, subject: id.to_string() }], "{change}");
        assert_eq!(again, slice.broken, "{change}");
        tx.rollback().await.unwrap();
    }
    assert_eq!(purchases(&mut conn).await, Vec::<&str>::new());
    // In slices of one all are seen, each once.
    let mut after = None;
    let mut slices = 0;
    loop {
        after = watch::slice(&mut conn, after, 1).await.unwrap().last;
        slices += 1;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(slices, 4, "the last one is empty");
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn budgets_that_differ_are_named(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    limit(&mut conn, Scope::Job(job), Period::Total).await;
    limit(&mut conn, Scope::All, Period::Month).await;
    for ordinal in 0..5 {
        bought(&mut conn, music(job, ordinal), 100, 1).await;
    }
    let held = buy(&mut conn, music(job, 5), 100, 2).await;
    let empty = buy(&mut conn, music(job, 6), 100, 3).await;
    assert_eq!(settled(&mut conn).await, []);

    sql(&mut conn, "UPDATE budget_periods SET settled_micros = settled_micros - 1 FROM budgets b WHERE b.id = budget_id AND b.period <> 'day' AND settled_micros > 0").await;
    let broken = settled(&mut conn).await;
    let mut subjects: Vec<&str> = broken.iter().map(|broken| broken.subject.as_str()).collect();
    subjects.sort_unstable();
    assert_eq!(subjects, ["all month", &format!("job {job} total")]);
    sql(&mut conn, "UPDATE budget_periods SET settled_micros = settled_micros + 1 FROM budgets b WHERE b.id = budget_id AND b.period <> 'day' AND settled_micros > 0").await;
    assert_eq!(settled(&mut conn).await, []);

    // A hold is lost; another stays although its purchase is over.
    sql(&mut conn, format!("DELETE FROM budget_holds WHERE prediction_id = '{held}'")).await;
    let broken = watch::held(&mut conn).await.unwrap();
    assert_eq!((broken.len(), broken[0].invariant), (3, "budget_reserved"), "{broken:?}");
    sql(&mut conn, format!("UPDATE predictions SET state = 'void' WHERE id = '{empty}'")).await;
    let broken = watch::hold_ended(&mut conn).await.unwrap();
    assert_eq!(broken, [Broken { invariant: "hold_ended", subject: empty.to_string() }]);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn sums_are_carried_on_and_worked_out_anew_when_in_doubt(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    for ordinal in 0..3 {
        bought(&mut conn, music(job, ordinal), 100, 1).await;
    }
    // Three days ago, in a period of its own.
    sql(
        &mut conn,
        "UPDATE ledger SET at = at - interval '3 days'; UPDATE predictions SET intent_at = intent_at - interval '3 days';
         UPDATE budget_periods SET starts_on = starts_on - 3",
    )
    .await;
    let budgets = Budgets::read(&mut conn).await.unwrap();
    let mut bases: Vec<Base> = Vec::new();
    budgets.fit(&mut bases);
    while watch::next_slice(&mut conn, &budgets, &mut bases).await.unwrap() {}
    let kept = serde_json::to_value(&bases).unwrap();
    assert_eq!(kept[0]["settled"], 300, "{kept}");
    assert_eq!(watch::settled(&mut conn, &budgets, &mut bases).await.unwrap(), []);

    // What is new is added to what was kept.
    bought(&mut conn, music(job, 3), 100, 1).await;
    let budgets = Budgets::read(&mut conn).await.unwrap();
    budgets.fit(&mut bases);
    assert!(!watch::next_slice(&mut conn, &budgets, &mut bases).await.unwrap(), "young enough");
    assert_eq!(watch::settled(&mut conn, &budgets, &mut bases).await.unwrap(), []);

    // A base that is wrong is told once, worked out anew, and forgotten.
    let mut wrong = serde_json::to_value(&bases).unwrap();
    wrong[0]["settled"] = 299.into();
    let mut bases: Vec<Base> = serde_json::from_value(wrong).unwrap();
    let told = watch::settled(&mut conn, &budgets, &mut bases).await.unwrap();
    assert_eq!(told, [Broken { invariant: "budget_settled", subject: "all day".into() }]);
    assert_eq!(watch::settled(&mut conn, &budgets, &mut bases).await.unwrap(), told, "still in doubt");
    while watch::next_slice(&mut conn, &budgets, &mut bases).await.unwrap() {}
    assert_eq!(watch::settled(&mut conn, &budgets, &mut bases).await.unwrap(), []);

    // A budget that is wrong stays told.
    sql(&mut conn, "UPDATE budget_periods SET settled_micros = 1 WHERE settled_micros = 300").await;
    for _ in 0..3 {
        assert_eq!(watch::settled(&mut conn, &budgets, &mut bases).await.unwrap(), told);
        while watch::next_slice(&mut conn, &budgets, &mut bases).await.unwrap() {}
    }
    // With other days it begins anew, from what the present day has seen.
    let berlin = Budget {
        scope: Scope::All,
        period: Period::Day,
        zone: "Pacific/Kiritimati".into(),
        soft: None,
        hard: None,
    };
    budgets::set(&mut conn, &berlin).await.unwrap();
    let budgets = Budgets::read(&mut conn).await.unwrap();
    budgets.fit(&mut bases);
    while watch::next_slice(&mut conn, &budgets, &mut bases).await.unwrap() {}
    assert_eq!(watch::settled(&mut conn, &budgets, &mut bases).await.unwrap(), []);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn orphans_and_imports_stand_beside_the_ledger(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    let own = bought(&mut conn, music(job, 0), 100, 1).await;
    orphans::late(&mut conn, own, "stranger").await.unwrap();
    assert!(orphans::ended(&mut conn, "replicate", "stranger", Succeeded, Some(Micros(40))).await.unwrap());
    assert_eq!(settled(&mut conn).await, [], "the budget for everything counts the orphan");

    let old = OldPurchase {
        scene_id: None,
        model: "a/b".into(),
        input: serde_json::json!({}),
        external_id: "old".into(),
        output_url: None,
        output_digest: None,
        seconds: None,
        estimate: Micros(50),
        cost: Micros(50),
        error: None,
        started_at: None,
        finished_at: None,
    };
    assert!(purchase(&mut conn, Uuid::now_v7(), job, &old).await.unwrap());
    // Not counted by the budget that was there, counted by the one that comes after it.
    limit(&mut conn, Scope::All, Period::Total).await;
    assert_eq!(settled(&mut conn).await, []);
    assert_eq!(purchases(&mut conn).await, Vec::<&str>::new());
    sql(&mut conn, "UPDATE ledger SET micros = 49 WHERE micros = 50").await;
    assert_eq!(purchases(&mut conn).await, ["ledger_amount"]);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn jobs_end_when_nothing_of_them_is_bought_any_more(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    let open = buy(&mut conn, music(job, 0), 100, 1).await;
    sql(&mut conn, "UPDATE jobs SET state = 'processing'").await;
    assert_eq!(watch::ended_open(&mut conn).await.unwrap(), []);
    let quiet = watch::suspects(&mut conn).await.unwrap();
    assert!(quiet.jobs.is_empty() && quiet.purchases.is_empty(), "heard of just now: {quiet:?}");

    sql(&mut conn, "UPDATE jobs SET updated_at = now() - interval '1 hour'; UPDATE predictions SET intent_at = now() - interval '1 hour'").await;
    let suspects = watch::suspects(&mut conn).await.unwrap();
    assert_eq!(
        (suspects.jobs.as_slice(), suspects.purchases.as_slice()),
        (&[job][..], &[(open, job, 1)][..])
    );
    let broken = watch::still_forgotten(&mut conn, &suspects).await.unwrap();
    assert_eq!(names(broken), ["job_forgotten", "prediction_forgotten"]);

    sql(&mut conn, "UPDATE jobs SET state = 'canceled', finished_at = now()").await;
    assert_eq!(names(watch::ended_open(&mut conn).await.unwrap()), ["job_ended_open"]);
    let broken = watch::still_forgotten(&mut conn, &suspects).await.unwrap();
    assert_eq!(names(broken), ["prediction_forgotten"], "the job ended meanwhile");
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn one_at_a_time_takes_a_round(pool: PgPool) {
    let (mut one, mut other) = (pool.begin().await.unwrap(), pool.begin().await.unwrap());
    assert!(watch::claim(&mut one, 60.0).await.unwrap());
    assert!(!watch::claim(&mut other, 60.0).await.unwrap(), "somebody is at it");
    let found = Found::from([("ledger_open".to_owned(), vec!["x".to_owned()])]);
    let place = Place { task: Some(7), purchase: Some(Uuid::now_v7()) };
    let left = Kept { age_s: 0.0, found, place, bases: Vec::new() };
    watch::keep(&mut one, &left, 0.1).await.unwrap();
    one.commit().await.unwrap();
    assert!(!watch::claim(&mut other, 60.0).await.unwrap(), "it is young");
    let kept = watch::kept(&mut other).await.unwrap();
    assert!(kept.age_s < 60.0, "{kept:?}");
    assert_eq!(Kept { age_s: 0.0, ..kept }, left);
    assert!(watch::claim(&mut other, 0.0).await.unwrap(), "it is old enough");
}

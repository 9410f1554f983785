//! GET /metrics: figures of the database, worked out once for all processes, and bounded in number.

use std::collections::BTreeMap;

use axum::body::Body;
use http::{Method, Request};
use serde_json::json;
use spool_api::metrics::Held;
use spool_db::budgets;
use spool_db::limits::WHOLE_ACCOUNT;
use spool_db::limits::breaker::{self, By};
use spool_telemetry::declared;
use spool_telemetry::vocabulary;
use sqlx::PgPool;
use tower::ServiceExt;

use crate::app::{TestApp, start};

pub(crate) async fn page(app: &TestApp) -> String {
    String::from_utf8(app.get_bare("/metrics").await.body).expect("is text")
}

/// The value of a series, as it is written.
pub(crate) fn value<'a>(page: &'a str, series: &str) -> Option<&'a str> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
}

/// How many series each metric of the database has.
fn series(page: &str) -> BTreeMap<&'static str, usize> {
    let of = |name: &str| {
        page.lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
            .count()
    };
    let figures = vocabulary::all().filter(|metric| metric.by == declared::By::Database);
    figures.map(|metric| (metric.name, of(metric.name))).collect()
}

/// As if they had been worked out then.
pub(crate) async fn worked_out(pool: &PgPool, when: &str) {
    #[expect(clippy::disallowed_methods, reason = "a test turns the clock by hand")]
    sqlx::query("UPDATE figures SET at = clock_timestamp() + $1::interval")
        .bind(when)
        .execute(pool)
        .await
        .expect("changed");
}

#[sqlx::test(migrations = false)]
async fn all_figures_are_there(pool: PgPool) {
    let app = start(pool).await;
    app.job().await;
    let page = page(&app).await;
    // Of what there is nothing of, there is nothing to show: no tasks, no workers, nothing in flight.
    let empty = [
        "spool_queue_tasks",
        "spool_queue_oldest_ready_seconds",
        "spool_queue_workers",
        "spool_queue_slots",
        "spool_queue_paused",
        "spool_predictions_in_flight",
        "spool_limit_line",
        // Nobody has taken a look yet.
        "spool_invariants_age_seconds",
    ];
    let missing = series(&page).into_iter().filter(|(name, count)| *count == 0 && !empty.contains(name));
    assert_eq!(missing.collect::<Vec<_>>(), [], "{page}");
    for (series, wanted) in [
        ("spool_breaker_open{provider=\"replicate\",model=\"*\",by=\"nobody\"}", "0"),
        ("spool_custody_tightest_seconds", "3600"),
        ("spool_budget_limit_micros{period=\"day\",limit=\"hard\"}", "150000000"),
        ("spool_budget_used_micros{period=\"day\",part=\"settled\"}", "0"),
        ("spool_invariant_violations{invariant=\"task_edges\"}", "0"),
        ("spool_invariant_violations{invariant=\"job_forgotten\"}", "0"),
        ("spool_postgres_replicas", "0"),
    ] {
        assert_eq!(value(&page, series), Some(wanted), "{series} in {page}");
    }
    let photos =
        value(&page, "spool_storage_files{type=\"image\"}").and_then(|count| count.parse::<u32>().ok());
    assert!(photos.is_some_and(|count| count >= 4), "{photos:?}");
}

#[sqlx::test(migrations = false)]
async fn one_process_works_them_out_for_all(pool: PgPool) {
    let (one, other) = (start(pool.clone()).await, start(pool.clone()).await);
    assert_eq!(value(&page(&one).await, "spool_spend_stopped"), Some("0"));
    worked_out(&pool, "1 hour").await;
    let mut conn = pool.acquire().await.expect("a connection");
    budgets::stop(&mut conn, "a test", "test").await.expect("stopped");
    for app in [&one, &other] {
        assert_eq!(value(&page(app).await, "spool_spend_stopped"), Some("0"), "they are young enough");
    }
    worked_out(&pool, "-1 hour").await;
    assert_eq!(value(&page(&other).await, "spool_spend_stopped"), Some("1"));
    worked_out(&pool, "1 hour").await;
    assert_eq!(value(&page(&one).await, "spool_spend_stopped"), Some("1"), "the other one left them");
}

#[sqlx::test(migrations = false)]
async fn while_somebody_is_at_it_the_old_ones_are_shown_with_their_age(pool: PgPool) {
    let app = start(pool.clone()).await;
    page(&app).await;
    worked_out(&pool, "-1 hour").await;
    let mut tx = pool.begin().await.expect("a transaction");
    #[expect(clippy::disallowed_methods, reason = "a test claims them by hand")]
    sqlx::query("SELECT FROM figures FOR UPDATE").execute(&mut *tx).await.expect("locked");
    let old = page(&app).await;
    let age: f64 =
        value(&old, "spool_figures_age_seconds{part=\"quick\"}").expect("an age").parse().expect("a number");
    assert!(age >= 3600.0, "{age}");
    assert_eq!(value(&old, "spool_spend_stopped"), Some("0"));
    tx.rollback().await.expect("given up");
    let new = page(&app).await;
    let age: f64 =
        value(&new, "spool_figures_age_seconds{part=\"quick\"}").expect("an age").parse().expect("a number");
    assert!(age < 3600.0, "{age}");
}

#[sqlx::test(migrations = false)]
async fn a_breaker_says_by_whom_it_is_open(pool: PgPool) {
    let app = start(pool.clone()).await;
    page(&app).await;
    let mut tx = pool.begin().await.expect("a transaction");
    breaker::hold_open(&mut tx, "replicate", WHOLE_ACCOUNT, "a test").await.expect("opened");
    breaker::trip(&mut tx, "replicate", "owner/model", By::Run, "a test", 60).await.expect("opened");
    tx.commit().await.expect("committed");
    worked_out(&pool, "-1 hour").await;
    let page = page(&app).await;
    let open: Vec<&str> = page.lines().filter(|line| line.starts_with("spool_breaker_open{")).collect();
    assert_eq!(open.len(), 2, "{open:?}");
    for labels in ["model=\"*\",by=\"operator\"", "model=\"owner/model\",by=\"run\""] {
        let series = format!("spool_breaker_open{{provider=\"replicate\",{labels}}}");
        assert_eq!(value(&page, &series), Some("1"), "{open:?}");
    }
}

#[sqlx::test(migrations = false)]
async fn a_forgotten_transaction_is_called_by_its_application(pool: PgPool) {
    const LABELS: &str = "{holder=\"transaction\",application=\"forgotten report\"}";
    let app = start(pool.clone()).await;
    let mut forgotten = pool.begin().await.expect("a transaction");
    for statement in ["SET LOCAL application_name = 'forgotten report'", "SELECT pg_current_xact_id()"] {
        #[expect(clippy::disallowed_methods, reason = "a test does what no program of ours does")]
        sqlx::query(statement).execute(&mut *forgotten).await.expect("done");
    }
    let while_open = page(&app).await;
    let number = |series: &str| -> Option<f64> { value(&while_open, series)?.parse().ok() };
    for series in [
        format!("spool_postgres_pinned_xmin_transactions{LABELS}"),
        format!("spool_postgres_pinned_xmin_seconds{LABELS}"),
        "spool_postgres_oldest_transaction_seconds".to_owned(),
    ] {
        assert!(number(&series).is_some_and(|number| number > 0.0), "{series} in {while_open}");
    }
    forgotten.rollback().await.expect("remembered");
    worked_out(&pool, "-1 hour").await;
    assert!(!page(&app).await.contains("forgotten report"));
}

#[sqlx::test(migrations = false)]
async fn a_flood_of_whatever_callers_can_make_grows_no_series(pool: PgPool) {
    const FLOOD: i64 = 300;
    let app = start(pool.clone()).await;
    app.job().await;
    let before = series(&page(&app).await);
    for statement in [
        "INSERT INTO clients (id, name) SELECT gen_random_uuid(), 'flood-' || n FROM generate_series(1, $1) n",
        "INSERT INTO budgets (scope, scope_key, period, soft_micros, hard_micros)
         SELECT 'client', id, 'day', 5, 10 FROM clients LIMIT $1",
        "INSERT INTO media (digest, bytes, content_type)
         SELECT encode(sha256(n::text::bytea), 'hex'), 1, 'flood/' || n FROM generate_series(1, $1) n",
        "INSERT INTO spend_waits (task_id, job_id, micros, share) SELECT n, (SELECT min(id) FROM jobs), 1, 'flood-' || n
         FROM generate_series(1, $1) n",
        "INSERT INTO limit_waits (task_id, job_id, provider, model, share, cost_micros)
         SELECT n, 1, 'replicate', 'owner/model-' || n, 'flood-' || n, 1 FROM generate_series(1, $1) n",
        "INSERT INTO predictions (id, job_id, purpose, ordinal, attempt, task_id, lease_token, provider, model, input, input_digest, unit, state,
                                  external_id, error_class, error, estimate_micros, cost_micros, finished_at)
         SELECT gen_random_uuid(), (SELECT min(id) FROM jobs), 'music', n, 1, n, 1, 'replicate', 'meta/musicgen', '{}', repeat('0', 64),
                'second', 'failed', 'flood-' || n, 'flood-' || n, 'a flood of error ' || n, 1, 0, now()
         FROM generate_series(1, $1) n",
        "SELECT queue.enqueue('kind-' || n, 'queue-' || n % 20, '{}', group_key => 'flood-' || n, share_key => 'flood-' || n)
         FROM generate_series(1, $1) n",
        "UPDATE queue.task SET attempt = 1, last_error = 'a flood of error ' || id
         WHERE id IN (SELECT id FROM queue.task WHERE group_key LIKE 'flood-%' LIMIT $1)",
        "INSERT INTO queue.run (task_id, lease_token, attempt, outcome, counted, error_class, error)
         SELECT n, 1, 1, 2, true, 'flood-' || n, 'a flood of error ' || n FROM generate_series(1, $1) n",
    ] {
        #[expect(clippy::disallowed_methods, reason = "a test writes many rows by hand")]
        sqlx::query(statement).bind(FLOOD).execute(&pool).await.expect("written");
    }
    for n in 0..FLOOD {
        app.get(&format!("/api/v3/flood-{n}")).await;
        app.get_with("/api/v3/clients", "x-api-key", &format!("flood-{n}")).await;
        app.post_keyed("/api/v3/clients", &format!("flood-{n}"), &json!({"name": ""})).await;
    }
    worked_out(&pool, "-1 hour").await;
    let page = page(&app).await;
    assert!(!page.contains("flood"), "{page}");
    let new = ["spool_budget_headroom_micros", "spool_budget_soft_passed"];
    for (name, count) in series(&page) {
        let is_cut_off = [
            "spool_queue_tasks",
            "spool_queue_oldest_ready_seconds",
            "spool_limit_line",
            "spool_predictions_in_flight",
        ];
        let most = if is_cut_off.contains(&name) {
            200
        } else if new.contains(&name) {
            before[name] + 2
        } else {
            before[name]
        };
        assert!(count <= most, "{name}: {count} series, before {}", before[name]);
    }
    assert_eq!(value(&page, "spool_spend_waits"), Some("300"));
}

#[sqlx::test(migrations = false)]
async fn polls_that_are_held_say_nothing_of_our_speed(pool: PgPool) {
    let app = start(pool).await;
    let id = app.job().await;
    for (query, held) in [("", false), ("?wait=1ms", true)] {
        let request = app.request(Method::GET, &format!("/api/v3/jobs/{id}{query}"));
        let request: Request<Body> = request.body(Body::empty()).expect("a request");
        let response = app.router.clone().oneshot(request).await.expect("never fails");
        assert_eq!(response.status(), 200);
        assert_eq!(response.extensions().get::<Held>().is_some(), held, "{query}");
    }
}

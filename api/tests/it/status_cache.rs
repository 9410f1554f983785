//! GET /jobs/{id}: kept answers are taken away by changes of other processes, and `wait` comes back with them.

use std::time::Duration;

use axum::body::Body;
use http::{Method, Request};
use serde_json::json;
use spool_api::database::Database;
use spool_api::feed;
use spool_db::jobs;
use spool_db::keys::Scope;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::app::{PATIENCE, TestApp, start, start_keeping, wait_until};
use crate::videos::completed;

/// Nothing ends by itself within a test.
const LONG: Duration = Duration::from_secs(3600);

async fn listening(pool: PgPool) -> (TestApp, CancellationToken) {
    let app = start_keeping(pool, "", LONG).await;
    let stop = CancellationToken::new();
    tokio::spawn(feed::listen::keep(app.state.clone(), stop.clone()));
    wait_until("the listener hears", async || app.state.feed.is_live()).await;
    (app, stop)
}

/// As another process would.
async fn approve_elsewhere(pool: &PgPool, id: i64) {
    let db = Database::new(pool.clone(), false);
    let mut tx = db.begin().await.expect("a transaction");
    jobs::approve(&mut tx, id, None).await.expect("approved");
    tx.commit().await.expect("committed");
}

#[sqlx::test(migrations = false)]
async fn what_other_processes_change_is_seen(pool: PgPool) {
    let (app, _stop) = listening(pool.clone()).await;
    let id = app.job().await;
    let path = format!("/api/v3/jobs/{id}");
    let first = app.get(&path).await;
    assert_eq!(first.is(200)["status"], "pending");
    approve_elsewhere(&pool, id).await;
    wait_until("the change is heard of", async || app.get(&path).await.is(200)["status"] == "approved").await;
    let tag = first.header("etag").to_owned();
    assert_eq!(app.get_with(&path, "if-none-match", &tag).await.status, 200);
    // Through this process it is seen at once.
    app.post(&format!("{path}/cancel"), json!({})).await.is(200);
    assert!(app.get(&path).await.is(200)["cancel_requested_at"].is_string());
}

/// As the programs are shipped, but with no word between them: what is kept ends by itself.
#[sqlx::test(migrations = false)]
async fn without_a_listener_another_process_is_seen_all_the_same(pool: PgPool) {
    let app = start_keeping(pool.clone(), "", feed::LIFE).await;
    let elsewhere = start_keeping(pool, "", feed::LIFE).await;
    assert!(feed::LIFE < Duration::from_secs(1), "never stale by more than a second");
    let path = format!("/api/v3/jobs/{}", app.job().await);
    assert_eq!(app.get(&path).await.is(200)["status"], "pending");
    elsewhere.post(&format!("{path}/approve"), json!({})).await.is(200);
    assert_eq!(elsewhere.get(&path).await.is(200)["status"], "approved", "its own change at once");
    wait_until("the change is seen", async || app.get(&path).await.is(200)["status"] == "approved").await;
}

#[sqlx::test(migrations = false)]
async fn a_lost_listener_comes_back_and_forgets_what_it_missed(pool: PgPool) {
    let (app, _stop) = listening(pool.clone()).await;
    let id = app.job().await;
    let path = format!("/api/v3/jobs/{id}");
    app.get(&path).await.is(200);
    #[expect(clippy::disallowed_methods, reason = "a test cuts a connection by hand")]
    let cut = sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%' OR query = 'SELECT 1' AND datname = current_database() AND pid <> pg_backend_pid()")
        .execute(&pool)
        .await
        .expect("cut");
    assert!(cut.rows_affected() > 0, "somebody listened");
    approve_elsewhere(&pool, id).await;
    wait_until("the change is seen", async || app.get(&path).await.is(200)["status"] == "approved").await;
}

#[sqlx::test(migrations = false)]
async fn a_kept_answer_is_shown_only_to_whom_it_may(pool: PgPool) {
    let (mut app, _stop) = listening(pool).await;
    let id = completed(&app, b"a film").await;
    let path = format!("/api/v3/jobs/{id}");
    let mine = app.get(&path).await;
    let owner = mine.is(200)["client_id"].as_str().expect("an id").parse().expect("an id");
    let stranger = app.client("Somebody else").await;
    let theirs = app.new_key(&[Scope::Read], Some(owner)).await;
    let strange = app.new_key(&[Scope::Read], Some(stranger)).await;
    for key in [strange.clone(), theirs, strange] {
        let request =
            Request::get(&path).header("x-api-key", &key).header("if-none-match", mine.header("etag"));
        let answer = app.send(request.body(Body::empty()).expect("a request")).await;
        app.key.clone_from(&key);
        let whole = app.get(&path).await;
        if whole.status == 200 {
            assert_eq!(answer.status, 304);
        } else {
            answer.is_problem(404, "not_found");
            whole.is_problem(404, "not_found");
        }
    }
    // Its links end: then it is written anew.
    app.key = app.new_key(&[Scope::Read], None).await;
    app.clock.advance(chrono::TimeDelta::hours(2));
    let later = app.get_with(&path, "if-none-match", mine.header("etag")).await;
    assert_ne!(later.is(200)["video_url"], mine.json()["video_url"]);
}

#[sqlx::test(migrations = false)]
async fn wait_answers_at_once_with_news_and_else_when_it_comes(pool: PgPool) {
    let (app, _stop) = listening(pool.clone()).await;
    let id = app.job().await;
    let path = format!("/api/v3/jobs/{id}");
    let tag = app.get(&path).await.header("etag").to_owned();
    let held = format!("{path}?wait=60s");
    let news = app.get_with(&held, "if-none-match", "\"another\"").await;
    assert_eq!(news.is(200)["status"], "pending", "at once");
    let (with, without) = (app.get_with(&held, "if-none-match", &tag), app.get(&held));
    let change = async {
        wait_until("both wait", async || app.state.feed.streams.available_permits() == 10_000 - 2).await;
        approve_elsewhere(&pool, id).await;
    };
    let (with, without, ()) = tokio::time::timeout(PATIENCE, async { tokio::join!(with, without, change) })
        .await
        .expect("woken long before the minute is over");
    assert_eq!(with.is(200)["status"], "approved");
    assert_eq!(without.is(200)["status"], "approved");

    let tag = with.header("etag");
    let short = format!("{path}?wait=50ms");
    let nothing = app.get_with(&short, "if-none-match", tag).await;
    assert_eq!((nothing.status.as_u16(), nothing.body.len()), (304, 0));
    assert_eq!(
        app.get(&short).await.is(200)["status"],
        "approved",
        "without a tag the answer comes in the end"
    );
    for wait in ["61s", "x", "-1"] {
        app.get(&format!("{path}?wait={wait}")).await.is_problem(400, "invalid_query");
    }
    app.get("/api/v3/jobs/4711?wait=30s").await.is_problem(404, "not_found");
}

#[sqlx::test(migrations = false)]
async fn waits_end_with_the_server_and_work_without_a_listener(pool: PgPool) {
    let app = start(pool.clone()).await;
    let id = app.job().await;
    let held = format!("/api/v3/jobs/{id}?wait=60s");
    let change = async {
        wait_until("it waits", async || app.state.feed.streams.available_permits() < 10_000).await;
        approve_elsewhere(&pool, id).await;
    };
    let (answer, ()) = tokio::time::timeout(PATIENCE, async { tokio::join!(app.get(&held), change) })
        .await
        .expect("it looks by itself");
    assert_eq!(answer.is(200)["status"], "approved");
    let stop = async {
        wait_until("it waits", async || app.state.feed.streams.available_permits() < 10_000).await;
        app.state.feed.closing.cancel();
    };
    let (answer, ()) = tokio::time::timeout(PATIENCE, async { tokio::join!(app.get(&held), stop) })
        .await
        .expect("it ends with the server");
    assert_eq!(answer.status, 200);
}

#[sqlx::test(migrations = false)]
async fn what_the_budgets_leave_is_seen_without_a_change_of_the_job(pool: PgPool) {
    // Nothing stays young here: each poll looks whether the answer before it still holds.
    let app = start(pool).await;
    let path = format!("/api/v3/jobs/{}", app.job().await);
    let first = app.get(&path).await;
    assert_eq!(first.is(200)["costs"]["budgets"][0]["fits"], true);
    assert_eq!(app.get(&path).await.body, first.body);
    let limit = json!({"scope": "all", "period": "day", "soft_limit_micros": 1, "hard_limit_micros": 1});
    app.json(Method::PUT, "/api/v3/admin/budgets", &limit).await.is(200);
    assert_eq!(app.get(&path).await.is(200)["costs"]["budgets"][0]["fits"], false);
}

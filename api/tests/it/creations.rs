//! Jobs that are created at the same time are written together, and that is all they have to do with each other.
#![expect(clippy::disallowed_methods, reason = "tests hold rows and look at them from outside")]

use std::collections::HashSet;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use spool_db::keys::Scope;
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;

use crate::app::{Answer, PATIENCE, TestApp, id_of, start, wait_until};

const PATH: &str = "/api/v3/jobs/from-image-pairs";

fn order(campaign: Uuid, style: &str) -> Value {
    json!({"campaign_id": campaign, "num_pairs": 1, "clip_duration": 4, "style": style})
}

/// Asks on a task of its own.
fn ask(app: &Arc<TestApp>, key: &str, body: Value) -> JoinHandle<Answer> {
    let (app, key) = (Arc::clone(app), key.to_owned());
    tokio::spawn(async move { app.post_keyed(PATH, &key, &body).await })
}

async fn number(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.expect("a number")
}

async fn run(pool: &PgPool, sql: &'static str) {
    sqlx::raw_sql(sql).execute(pool).await.expect("a statement");
}

/// Jobs of this style are not written while the gate is shut; waiting for it is not waiting for a lock.
const HELD: &str = "held";

async fn shut_gate(pool: &PgPool) {
    run(
        pool,
        "CREATE TABLE gate ();
         CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             WHILE EXISTS (SELECT FROM gate) LOOP PERFORM pg_sleep(0.01); END LOOP;
             RETURN NEW;
         END $$;
         CREATE TRIGGER wait_at_gate BEFORE INSERT ON jobs FOR EACH ROW WHEN (NEW.parameters ->> 'style' = 'held')
             EXECUTE FUNCTION wait_at_gate();
         INSERT INTO gate DEFAULT VALUES",
    )
    .await;
}

async fn open_gate(pool: &PgPool) {
    run(pool, "DELETE FROM gate").await;
}

/// Cuts off those who stand at the gate, until they are gone.
async fn cut(pool: &PgPool) {
    let standing = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE 'WITH asked%'";
    let standing: Vec<i32> = sqlx::query_scalar(standing).fetch_all(pool).await.expect("who stands there");
    let cut = sqlx::query("SELECT pg_terminate_backend(pid) FROM unnest($1) AS pid").bind(&standing);
    cut.execute(pool).await.expect("they are cut off");
    wait_until("them to be gone", async || {
        let there = sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY ($1)");
        let there: i64 = there.bind(&standing).fetch_one(pool).await.expect("a number");
        there == 0
    })
    .await;
}

/// Until so many transactions stand at the gate.
async fn at_gate(pool: &PgPool, wanted: i64) {
    const THERE: &str = "SELECT count(DISTINCT pid) FROM pg_stat_activity WHERE datname = current_database()
         AND state = 'active' AND query LIKE 'WITH asked%'";
    wait_until("the writers to be held up", async || number(pool, THERE).await == wanted).await;
}

/// Both writers stand at the gate, so that what comes now waits for them; what they write.
async fn busy(app: &Arc<TestApp>) -> Vec<JoinHandle<Answer>> {
    shut_gate(&app.pool).await;
    let mut asked = Vec::new();
    for nth in 1..=2 {
        let campaign = app.lodge().await;
        asked.push(ask(app, &format!("busy-{nth}"), order(campaign, HELD)));
        at_gate(&app.pool, nth).await;
    }
    asked
}

/// Until so many wait for the two.
async fn waiting(app: &TestApp, orders: usize) {
    wait_until("orders to wait", async || app.state.group_commit.waiting() == orders).await;
}

async fn answers(asked: Vec<JoinHandle<Answer>>) -> Vec<Answer> {
    let mut answers = Vec::new();
    for one in asked {
        answers.push(answer(one).await);
    }
    answers
}

async fn answer(asked: JoinHandle<Answer>) -> Answer {
    timeout(PATIENCE, asked).await.expect("in time").expect("an answer")
}

#[sqlx::test(migrations = false)]
async fn what_comes_together_is_written_together_and_each_gets_its_own(pool: PgPool) {
    let app = Arc::new(start(pool.clone()).await);
    let (one, other) = (app.lodge().await, app.lodge().await);
    let held = busy(&app).await;
    let wanted: Vec<(String, Value)> = (0..20)
        .map(|nth| (if nth % 3 == 0 { other } else { one }, nth))
        .map(|(campaign, nth)| (format!("key-{nth}"), order(campaign, &format!("style {nth}"))))
        .collect();
    let asked = wanted.iter().map(|(key, body)| ask(&app, key, body.clone())).collect();
    waiting(&app, 20).await;
    // One that comes again before the first is answered.
    let again = ask(&app, &wanted[0].0, wanted[0].1.clone());
    waiting(&app, 21).await;
    open_gate(&pool).await;
    let answers = answers(asked).await;
    answer(again).await.is_problem(409, "idempotency_key_in_use");
    let mut names = HashSet::new();
    for (answer, (key, body)) in answers.iter().zip(&wanted) {
        let job = answer.is(201);
        assert!(names.insert((job["campaign_id"].to_string(), job["video_name"].to_string())), "{job}");
        let shown = app.get(&format!("/api/v3/jobs/{}", job["job_id"])).await.is(200);
        assert_eq!(shown["parameters"]["style"], body["style"]);
        assert_eq!((&shown["storyboard"], &shown["campaign_id"]), (&job["storyboard"], &body["campaign_id"]));
        let again = app.post_keyed(PATH, key, body).await;
        assert_eq!((again.status, &again.body), (StatusCode::CREATED, &answer.body));
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(again.header("content-type"), answer.header("content-type"));
    }
    for nth in 1..=13 {
        assert!(names.contains(&(format!("\"{one}\""), format!("\"Lodge {nth}\""))), "{nth} of {names:?}");
    }
    for held in held {
        answer(held).await.is(201);
    }
    app.post_keyed(PATH, &wanted[0].0, &order(other, "else")).await.is_problem(422, "idempotency_key_reused");
    assert_eq!(number(&pool, "SELECT count(*) FROM jobs").await, 22);
    assert_eq!(number(&pool, "SELECT count(*) FROM job_events WHERE seq = 1 AND type = 'created'").await, 22);
    let noted =
        "SELECT count(DISTINCT about ->> 'job') FROM audit WHERE route = '/api/v3/jobs/from-image-pairs'";
    assert_eq!(number(&pool, noted).await, 22);
    let transactions = number(&pool, "SELECT count(DISTINCT xmin::text) FROM jobs").await;
    assert!(transactions <= 4, "22 jobs in {transactions} transactions");
}

#[sqlx::test(migrations = false)]
async fn one_that_cannot_be_written_spoils_it_for_nobody(pool: PgPool) {
    let app = Arc::new(start(pool.clone()).await);
    let (campaign, gone) = (app.lodge().await, app.lodge().await);
    run(
        &pool,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no such style'; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON jobs FOR EACH ROW WHEN (NEW.parameters ->> 'style' = 'bad') EXECUTE FUNCTION refuse()",
    )
    .await;
    let held = busy(&app).await;
    let styles = ["a", "bad", "b", "c"];
    let mut asked: Vec<_> =
        styles.iter().map(|style| ask(&app, &format!("key-{style}"), order(campaign, style))).collect();
    asked.push(ask(&app, "key-gone", order(gone, "d")));
    let unkeyed = Arc::clone(&app);
    asked.push(tokio::spawn(async move { unkeyed.post(PATH, order(campaign, "e")).await }));
    waiting(&app, 6).await;
    let removed = sqlx::query("DELETE FROM campaigns WHERE id = $1").bind(gone);
    removed.execute(&pool).await.expect("the campaign is removed");
    open_gate(&pool).await;
    let answers = answers(asked).await;
    let problem = answers[1].is_problem(500, "internal");
    assert!(!problem.to_string().contains("no such style"), "{problem}");
    answers[4].is_problem(404, "not_found");
    for nth in [0, 2, 3, 5] {
        answers[nth].is(201);
    }
    for held in held {
        answer(held).await.is(201);
    }
    assert_eq!(number(&pool, "SELECT count(*) FROM jobs").await, 6);
    run(&pool, "DROP TRIGGER refuse ON jobs").await;
    app.post_keyed(PATH, "key-bad", &order(campaign, "bad")).await.is(201);
    assert_eq!(number(&pool, "SELECT count(*) FROM jobs").await, 7, "a key that did nothing is free");
}

#[sqlx::test(migrations = false)]
async fn a_campaign_that_somebody_holds_holds_up_no_other(pool: PgPool) {
    let app = Arc::new(start(pool.clone()).await);
    let (held, other) = (app.lodge().await, app.lodge().await);
    let mut hold = pool.begin().await.expect("a transaction");
    let lock = sqlx::query("SELECT FROM campaigns WHERE id = $1 FOR UPDATE").bind(held);
    lock.execute(&mut *hold).await.expect("a lock");
    let mut asked: Vec<_> =
        (0..2).map(|nth| ask(&app, &format!("held-{nth}"), order(held, "modern"))).collect();
    for nth in 0..8 {
        app.post_keyed(PATH, &format!("other-{nth}"), &order(other, "modern")).await.is(201);
    }
    assert!(asked.iter_mut().all(|one| !one.is_finished()));
    hold.rollback().await.expect("let go");
    for answer in answers(asked).await {
        answer.is(201);
    }
    assert_eq!(number(&pool, "SELECT count(*) FROM jobs").await, 10);
}

#[sqlx::test(migrations = false)]
async fn a_lost_connection_loses_and_doubles_nothing(pool: PgPool) {
    let app = Arc::new(start(pool.clone()).await);
    let (one, other) = (app.lodge().await, app.lodge().await);
    shut_gate(&pool).await;
    let mut asked = vec![ask(&app, "key-0", order(one, HELD))];
    at_gate(&pool, 1).await;
    // Cut off, they are tried again, alone, and once more.
    cut(&pool).await;
    at_gate(&pool, 1).await;
    let unkeyed = Arc::clone(&app);
    asked.push(tokio::spawn(async move { unkeyed.post(PATH, order(other, HELD)).await }));
    at_gate(&pool, 2).await;
    cut(&pool).await;
    at_gate(&pool, 2).await;
    open_gate(&pool).await;
    for answer in answers(asked).await {
        answer.is(201);
    }
    assert_eq!(number(&pool, "SELECT count(*) FROM jobs").await, 2);
    let again = app.post_keyed(PATH, "key-0", &order(one, HELD)).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (StatusCode::CREATED, "true"));
}

#[sqlx::test(migrations = false)]
async fn what_may_be_there_is_not_planned_anew(pool: PgPool) {
    let app = Arc::new(start(pool.clone()).await);
    let (one, other) = (app.lodge().await, app.lodge().await);
    for campaign in [one, other] {
        app.post(PATH, order(campaign, "modern")).await.is(201);
    }
    shut_gate(&pool).await;
    let keyed = ask(&app, "key", order(one, HELD));
    at_gate(&pool, 1).await;
    let unkeyed = Arc::clone(&app);
    let unkeyed = tokio::spawn(async move { unkeyed.post(PATH, order(other, HELD)).await });
    at_gate(&pool, 2).await;
    // Both were planned from what was kept, and it is not true any more when they are tried again.
    run(&pool, "UPDATE assets SET tags = '{late}'").await;
    cut(&pool).await;
    open_gate(&pool).await;
    answer(unkeyed).await.is_problem(503, "unavailable");
    answer(keyed).await.is(201);
    assert_eq!(number(&pool, "SELECT count(*) FROM jobs").await, 3);
    app.post(PATH, order(other, "modern")).await.is(201);
}

#[sqlx::test(migrations = false)]
async fn who_loses_every_connection_is_told(pool: PgPool) {
    let app = Arc::new(start(pool.clone()).await);
    let campaign = app.lodge().await;
    shut_gate(&pool).await;
    let asked = ask(&app, "key", order(campaign, HELD));
    wait_until("the caller to be told", async || {
        cut(&pool).await;
        asked.is_finished()
    })
    .await;
    answer(asked).await.is_problem(503, "unavailable");
    open_gate(&pool).await;
    app.post_keyed(PATH, "key", &order(campaign, HELD)).await.is(201);
    assert_eq!(number(&pool, "SELECT count(*) FROM jobs").await, 1);
}

#[sqlx::test(migrations = false)]
async fn what_fails_in_the_commit_is_told_to_the_one_it_is_about(pool: PgPool) {
    let app = Arc::new(start(pool.clone()).await);
    let campaign = app.lodge().await;
    run(
        &pool,
        "CREATE SEQUENCE commits;
         CREATE FUNCTION too_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('commits'); RAISE 'too late'; END $$;
         CREATE CONSTRAINT TRIGGER too_late AFTER INSERT ON jobs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
             WHEN (NEW.parameters ->> 'style' = 'late') EXECUTE FUNCTION too_late()",
    )
    .await;
    let held = busy(&app).await;
    let asked = ["a", "late", "b"].map(|style| ask(&app, &format!("key-{style}"), order(campaign, style)));
    waiting(&app, 3).await;
    open_gate(&pool).await;
    let answers = answers(asked.into()).await;
    answers[1].is_problem(500, "internal");
    for nth in [0, 2] {
        answers[nth].is(201);
    }
    for held in held {
        answer(held).await.is(201);
    }
    assert_eq!(number(&pool, "SELECT last_value FROM commits").await, 2, "in the group, and alone");
    assert_eq!(number(&pool, "SELECT count(*) FROM jobs").await, 4);
}

#[sqlx::test(migrations = false)]
async fn one_that_is_given_up_is_written_or_not_and_never_twice(pool: PgPool) {
    let app = Arc::new(start(pool.clone()).await);
    let campaign = app.lodge().await;
    let mut held = busy(&app).await;
    let late = ask(&app, "late", order(campaign, "modern"));
    waiting(&app, 1).await;
    for given_up in [held.remove(1), late] {
        given_up.abort();
        assert!(given_up.await.is_err_and(|error| error.is_cancelled()));
    }
    open_gate(&pool).await;
    answer(held.remove(0)).await.is(201);
    // What was being written is, what had not begun is not.
    wait_until("both to be written", async || number(&pool, "SELECT count(*) FROM jobs").await == 2).await;
    waiting(&app, 0).await;
    let first = "SELECT (campaign_id)::text FROM jobs WHERE id = 2";
    let there: String = sqlx::query_scalar(first).fetch_one(&pool).await.expect("a job");
    let again = app.post_keyed(PATH, "busy-2", &order(there.parse().expect("an id"), HELD)).await;
    again.is(201);
    assert_eq!(again.header("idempotency-replayed"), "true");
    let new = app.post_keyed(PATH, "late", &order(campaign, "modern")).await;
    new.is(201);
    assert_eq!(new.header("idempotency-replayed"), "");
    assert_eq!(number(&pool, "SELECT count(*) FROM jobs").await, 3);
}

#[sqlx::test(migrations = false)]
async fn an_answer_outlives_what_it_was_made_from(pool: PgPool) {
    let app = start(pool.clone()).await;
    let campaign = app.lodge().await;
    let first = app.post_keyed(PATH, "a", &order(campaign, "modern")).await;
    first.is(201);
    run(&pool, "UPDATE assets SET deleted_at = now()").await;
    let again = app.post_keyed(PATH, "a", &order(campaign, "modern")).await;
    assert_eq!((again.status, &again.body), (StatusCode::CREATED, &first.body));
    app.post_keyed(PATH, "b", &order(campaign, "modern")).await.is_problem(400, "no_assets");
    app.post_keyed(PATH, "a", &order(campaign, "else")).await.is_problem(422, "idempotency_key_reused");
    // Refused, it has not used its key.
    run(&pool, "UPDATE assets SET deleted_at = NULL").await;
    app.post_keyed(PATH, "b", &order(campaign, "modern")).await.is(201);
}

#[sqlx::test(migrations = false)]
async fn it_is_made_of_what_is_true_whichever_process_has_changed_it(pool: PgPool) {
    let (mut app, other) = (start(pool.clone()).await, start(pool.clone()).await);
    let (campaign, elsewhere) = (app.lodge().await, app.client("Elsewhere").await);
    let wanted = || order(campaign, "modern");
    assert_eq!(app.post(PATH, wanted()).await.is(201)["total_assets"], 4);
    // From what is kept, as often as one likes, with a key and without.
    for key in ["a", "b"] {
        assert_eq!(app.post(PATH, wanted()).await.is(201)["total_assets"], 4);
        assert_eq!(app.post_keyed(PATH, key, &wanted()).await.is(201)["total_assets"], 4);
    }
    other.upload(campaign, &["forest-stream.jpg"]).await;
    let job = app.post_keyed(PATH, "c", &wanted()).await;
    assert_eq!(job.is(201)["total_assets"], 5);
    let again = app.post_keyed(PATH, "c", &wanted()).await;
    assert_eq!((again.status, &again.body), (StatusCode::CREATED, &job.body));

    let path = format!("/api/v3/campaigns/{campaign}");
    other.json(Method::PATCH, &path, &json!({"name": "Chalet"})).await.is(200);
    assert_eq!(app.post(PATH, wanted()).await.is(201)["video_name"], "Chalet 7");

    let client = id_of(&app.get(&path).await.is(200)["data"]["clientId"]);
    app.key = app.new_key(&[Scope::Write], Some(client)).await;
    app.post(PATH, wanted()).await.is(201);
    let given_away = "UPDATE campaigns SET client_id = $1";
    sqlx::query(given_away).bind(elsewhere).execute(&pool).await.expect("changed");
    app.post(PATH, wanted()).await.is_problem(404, "not_found");
    app.key = app.new_key(&[Scope::Write], Some(elsewhere)).await;
    app.post(PATH, wanted()).await.is(201);

    run(&pool, "UPDATE assets SET deleted_at = now()").await;
    app.post(PATH, wanted()).await.is_problem(400, "no_assets");
    run(&pool, "DELETE FROM campaigns").await;
    app.post(PATH, wanted()).await.is_problem(404, "not_found");
    assert_eq!(number(&pool, "SELECT count(*) FROM jobs").await, 9);
    assert_eq!(number(&pool, "SELECT count(DISTINCT about ->> 'job') FROM audit").await, 9);
}

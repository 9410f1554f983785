//! Idempotency-Key: the same request twice is one request, whatever happens in between.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use spool_api::database::{Database, commit};
use spool_api::idempotency::{HoldsSecret, KeyedRequest};
use spool_api::idempotency_sweep;
use spool_db::clients::{self, NewClient};
use spool_db::idempotency::Use;
use spool_db::keys::Scope;
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use crate::app::{Form, TestApp, photo, start};

const CLIENTS: &str = "/api/v3/clients";

async fn count(app: &TestApp) -> i64 {
    app.get(CLIENTS).await.is(200)["meta"]["total"].as_i64().expect("a number")
}

#[sqlx::test(migrations = false)]
async fn the_same_request_twice_is_one(pool: PgPool) {
    let mut app = start(pool).await;
    let first = app.post_keyed(CLIENTS, "a", &json!({"name": "A"})).await;
    first.is(201);
    assert_eq!(first.header("idempotency-replayed"), "");
    let second = app.post_keyed(CLIENTS, "a", &json!({"name": "A"})).await;
    assert_eq!((second.status, &second.body), (StatusCode::CREATED, &first.body));
    assert_eq!(second.header("idempotency-replayed"), "true");
    assert_eq!(second.header("content-type"), first.header("content-type"));
    assert_eq!(count(&app).await, 1);
    app.post_keyed(CLIENTS, "\"a\"", &json!({"name": "A"})).await.is(201);
    assert_eq!(count(&app).await, 1, "quotes are not part of the key");

    let other = app.post_keyed(CLIENTS, "a", &json!({"name": "B"})).await;
    other.is_problem(422, "idempotency_key_reused");
    let campaign = json!({"name": "A", "client_id": first.json()["data"]["id"]});
    app.post_keyed("/api/v3/campaigns", "a", &campaign).await.is_problem(422, "idempotency_key_reused");
    app.post_keyed(CLIENTS, "b", &json!({"name": "A"})).await.is(201);
    assert_eq!(count(&app).await, 2, "another key is another request");
    app.post_keyed(CLIENTS, "two words", &json!({"name": "A"}))
        .await
        .is_problem(400, "invalid_idempotency_key");
    app.post_keyed(CLIENTS, &"x".repeat(256), &json!({})).await.is_problem(400, "invalid_idempotency_key");

    app.key = app.new_key(&[Scope::Write], None).await;
    app.post_keyed(CLIENTS, "a", &json!({"name": "C"})).await.is(201);
    assert_eq!(count(&app).await, 3, "the same word of another caller is another key");
}

#[sqlx::test(migrations = false)]
async fn a_refused_request_did_nothing_and_may_come_again(pool: PgPool) {
    let app = start(pool).await;
    app.post_keyed(CLIENTS, "a", &json!({})).await.is_problem(422, "validation_failed");
    app.post_keyed(CLIENTS, "a", &json!({"name": "A"})).await.is(201);
    let job = app.job().await;
    let (approve, retry) = (format!("/api/v3/jobs/{job}/approve"), format!("/api/v3/jobs/{job}/retry"));
    app.post_keyed(&retry, "b", &json!({})).await.is_problem(409, "already_running");
    let approved = app.post_keyed(&approve, "c", &json!({})).await.is(200);
    assert_eq!(app.post_keyed(&approve, "c", &json!({})).await.is(200), approved, "not 422");
    app.post_keyed(&approve, "d", &json!({})).await.is_problem(422, "not_pending");
}

#[sqlx::test(migrations = false)]
async fn of_many_at_once_one_does_it(pool: PgPool) {
    let app = start(pool).await;
    let campaign = app.lodge().await;
    let body = json!({"campaign_id": campaign, "num_pairs": 1, "clip_duration": 4, "auto_approve": true});
    let path = "/api/v3/jobs/from-image-pairs";
    let answers = futures::future::join_all((0..8).map(|_| app.post_keyed(path, "a", &body))).await;
    let made: Vec<Value> = answers
        .iter()
        .filter(|answer| answer.status == StatusCode::CREATED)
        .map(crate::app::Answer::json)
        .collect();
    assert!(!made.is_empty());
    for answer in &answers {
        if answer.status != StatusCode::CREATED {
            answer.is_problem(409, "idempotency_key_in_use");
            assert_eq!(answer.header("retry-after"), "1");
        }
    }
    let again = app.post_keyed(path, "a", &body).await.is(201);
    assert!(made.iter().all(|one| *one == again));
    assert_eq!(app.get("/api/v3/jobs").await.is(200)["meta"]["count"], 1);
}

#[sqlx::test(migrations = false)]
async fn uploads_and_routes_without_a_body_take_keys_too(pool: PgPool) {
    let app = start(pool).await;
    let client = app.client("A").await;
    let campaign = app.campaign(client, "C").await;
    let upload = async |name: &str| {
        let form =
            Form::new().text("campaign_id", &campaign.to_string()).file(name, &photo("living-room.jpg"));
        let (kind, body) = form.finish();
        let request = app.request(Method::POST, "/api/v3/assets").header("content-type", kind);
        let request = request.header("content-length", body.len()).header("idempotency-key", "up");
        app.send(request.body(body.into()).expect("a request")).await
    };
    let first = upload("a.jpg").await.is(201);
    assert_eq!(upload("a.jpg").await.is(201), first);
    upload("other.jpg").await.is_problem(422, "idempotency_key_reused");
    assert_eq!(app.get("/api/v3/assets").await.is(200)["meta"]["total"], 1);
}

fn keyed(key: &str) -> KeyedRequest {
    let digest = "0".repeat(64);
    KeyedRequest::new(Use { api_key: "test".into(), key: key.into(), request: Uuid::now_v7(), digest })
}

async fn add(db: &Database) {
    write(db.begin().await.expect("begins")).await;
}

async fn write(mut tx: Transaction<'static, Postgres>) {
    let new = NewClient {
        name: "N".into(),
        description: None,
        homepage: None,
        metadata: json!({}),
        brand_guidelines: None,
    };
    clients::create(&mut tx, Uuid::now_v7(), &new).await.expect("created");
    commit(tx).await.expect("kept");
}

/// The handler dies at each place where it can: what was done and what was answered are one.
#[sqlx::test(migrations = false)]
async fn a_crash_in_between_does_it_once_or_says_so(pool: PgPool) {
    let app = start(pool.clone()).await;
    let db = Database::new(pool.clone(), false);
    // After its commit and before its answer: nothing was done.
    let dies = keyed("a").run(&pool, async {
        add(&db).await;
        std::future::pending().await
    });
    assert!(tokio::time::timeout(Duration::from_millis(300), dies).await.is_err());
    assert_eq!(count(&app).await, 0, "rolled back");
    // The key is free again as soon as the connection is rolled back.
    let again = async || {
        let answer = keyed("a").run(&pool, async {
            match db.begin().await {
                Ok(tx) => {
                    write(tx).await;
                    axum::response::Response::new("done".into())
                }
                Err(refused) => axum::response::IntoResponse::into_response(refused),
            }
        });
        answer.await.status()
    };
    let freed = async {
        while again().await != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), freed).await.expect("it may come again");
    assert_eq!(count(&app).await, 1);

    // Between two transactions: the first is done, and the key says that it was begun.
    let dies = keyed("b").run(&pool, async {
        add(&db).await;
        add(&db).await;
        std::future::pending().await
    });
    assert!(tokio::time::timeout(Duration::from_millis(300), dies).await.is_err());
    assert_eq!(count(&app).await, 2);
    let again = keyed("b").run(&pool, async {
        let refused = db.begin().await.expect_err("is in use");
        axum::response::IntoResponse::into_response(refused)
    });
    assert_eq!(again.await.status(), StatusCode::CONFLICT);
    assert_eq!(count(&app).await, 2, "not done again");

    // A handler reads what it has written.
    let whole = keyed("c").run(&pool, async {
        add(&db).await;
        let seen = clients::list(&mut db.read().await.expect("reads"), None, 100, 0).await.expect("listed").1;
        add(&db).await;
        axum::response::Response::new(seen.to_string().into())
    });
    let body = axum::body::to_bytes(whole.await.into_body(), 100).await.expect("a body");
    assert_eq!((&body[..], count(&app).await), (&b"3"[..], 4));
}

#[sqlx::test(migrations = false)]
async fn secrets_are_not_kept_and_old_keys_are_forgotten(pool: PgPool) {
    let app = start(pool.clone()).await;
    let db = Database::new(pool.clone(), false);
    let secret = || {
        keyed("s").run(&pool, async {
            // Refused the second time: then its answer is not used.
            if let Ok(tx) = db.begin().await {
                commit(tx).await.expect("kept");
            }
            let mut answer = axum::response::Response::new("spool_secret".into());
            answer.extensions_mut().insert(HoldsSecret);
            answer
        })
    };
    assert_eq!(secret().await.status(), StatusCode::OK);
    let again = secret().await;
    assert_eq!(again.status(), StatusCode::CONFLICT);

    app.post_keyed(CLIENTS, "old", &json!({"name": "A"})).await.is(201);
    age(&pool).await;
    app.post_keyed(CLIENTS, "old", &json!({"name": "B"})).await.is(201);
    assert_eq!(count(&app).await, 2, "after a day a key is new");
    age(&pool).await;
    idempotency_sweep::sweep(&db).await.expect("swept");
    #[expect(clippy::disallowed_methods, reason = "a test counts rows by hand")]
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM idempotency_keys").fetch_one(&pool).await.expect("counted");
    assert_eq!(left, 0);
}

#[expect(clippy::disallowed_methods, reason = "a test makes rows old by hand")]
async fn age(pool: &PgPool) {
    sqlx::query("UPDATE idempotency_keys SET created_at = created_at - interval '25 hours'")
        .execute(pool)
        .await
        .expect("aged");
}

//! /webhooks: endpoints with secrets that are shown once, and the log of what they were told.

use http::Method;
use serde_json::{Value, json};
use spool_db::hooks::sending::{self, Answered, Next};
use spool_db::keys::Scope;
use sqlx::PgPool;
use uuid::Uuid;

use crate::app::{TestApp, id_of, start};

const ENDPOINTS: &str = "/api/v3/webhooks/endpoints";
const DELIVERIES: &str = "/api/v3/webhooks/deliveries";
/// No name to look up, and nobody is asked.
const URL: &str = "https://93.184.216.34/hook?token=hidden";

async fn endpoint(app: &TestApp, more: Value) -> Uuid {
    let mut body = json!({ "url": URL });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    id_of(&app.post(ENDPOINTS, body).await.is(201)["data"]["id"])
}

/// As a worker would, when the endpoint says no.
async fn fail(app: &TestApp, delivery: Uuid) {
    let mut conn = app.pool.acquire().await.expect("a connection");
    let number = sending::begin(&mut conn, delivery, 1).await.expect("begun");
    let answered = Answered { status: Some(500), answer: Some("boom".into()), ..Answered::default() };
    sending::answered(&mut conn, delivery, number, &answered, Next::GivenUp).await.expect("written");
}

async fn told(app: &TestApp, query: &str) -> Vec<Value> {
    app.get(&format!("{DELIVERIES}{query}")).await.is(200)["data"].as_array().expect("a list").clone()
}

#[sqlx::test(migrations = false)]
async fn a_secret_is_shown_once_and_stored_nowhere(pool: PgPool) {
    let app = start(pool).await;
    let body = json!({"url": URL, "eventTypes": ["job.failed", "job.failed"], "description": "website"});
    let made = app.post_keyed(ENDPOINTS, "word", &body).await;
    assert_eq!(made.header("cache-control"), "no-store");
    let made = made.is(201);
    let secret = made["secret"].as_str().expect("a secret").to_owned();
    assert!(secret.starts_with("whsec_") && secret.len() > 40);
    assert_eq!(made["data"]["event_types"], json!(["job.failed"]));
    assert_eq!((&made["data"]["enabled"], &made["data"]["client_id"]), (&json!(true), &Value::Null));
    let id = id_of(&made["data"]["id"]);
    // Not to be had by sending it again.
    app.post_keyed(ENDPOINTS, "word", &body).await.is_problem(409, "idempotency_key_in_use");

    let rotated = app.post(&format!("{ENDPOINTS}/{id}/rotate"), json!({})).await.is(200);
    let second = rotated["secret"].as_str().expect("a secret").to_owned();
    assert_ne!(second, secret);
    assert!(rotated["data"]["previous_secret_expires_at"].is_string());
    let rotated = app.post(&format!("{ENDPOINTS}/{id}/rotate"), json!({"overlap_hours": 0})).await.is(200);
    assert_eq!(rotated["data"]["previous_secret_expires_at"], Value::Null);
    app.post(&format!("{ENDPOINTS}/{id}/rotate"), json!({"overlap_hours": 169}))
        .await
        .is_problem(422, "validation_failed");

    let shown = app.get(&format!("{ENDPOINTS}/{id}")).await.is(200).to_string();
    let listed = app.get(ENDPOINTS).await.is(200).to_string();
    let audit = app.get("/api/v3/admin/audit").await.is(200).to_string();
    #[expect(clippy::disallowed_methods, reason = "what is in the rows")]
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT e::text FROM hook_endpoints e UNION ALL SELECT k::text || coalesce(convert_from(k.body, 'UTF8'), '') FROM idempotency_keys k",
    )
    .fetch_all(&app.pool)
    .await
    .expect("rows");
    for place in [shown, listed, audit, rows.concat()] {
        assert!(
            !place.contains("whsec_") && !place.contains(&secret[6..]) && !place.contains(&second[6..]),
            "{place}"
        );
    }
}

#[sqlx::test(migrations = false)]
async fn keys_too_are_not_kept_with_their_answers(pool: PgPool) {
    let app = start(pool).await;
    let body = json!({"name": "website", "scopes": ["read"]});
    app.post_keyed("/api/v3/admin/keys", "word", &body).await.is(201);
    app.post_keyed("/api/v3/admin/keys", "word", &body).await.is_problem(409, "idempotency_key_in_use");
}

#[sqlx::test(migrations = false)]
async fn endpoints_that_cannot_be_are_refused(pool: PgPool) {
    let app = start(pool).await;
    let long = format!("https://example.com/{}", "x".repeat(2048));
    for (body, field) in [
        (json!({}), "url"),
        (json!({"url": ""}), "url"),
        (json!({ "url": long }), "url"),
        (json!({"url": "nonsense"}), "url"),
        (json!({"url": "ftp://93.184.216.34/"}), "url"),
        (json!({"url": "https://me:pw@93.184.216.34/"}), "url"),
        (json!({"url": "https://93.184.216.34/#here"}), "url"),
        (json!({"url": "http://127.0.0.1:8080/"}), "url"),
        (json!({"url": "http://localhost/"}), "url"),
        (json!({"url": "http://[::ffff:10.0.0.1]/"}), "url"),
        (json!({"url": "http://169.254.169.254/latest"}), "url"),
        (json!({"url": URL, "event_types": ["job.lost"]}), "event_types"),
        (json!({"url": URL, "event_types": ["webhook.ping"]}), "event_types"),
        (json!({"url": URL, "client_id": Uuid::nil()}), "client_id"),
        (json!({"url": URL, "description": "x".repeat(1001)}), "description"),
    ] {
        let problem = app.post(ENDPOINTS, body.clone()).await.is_problem(422, "validation_failed");
        assert!(problem["details"][field].is_array(), "{body}: {problem}");
    }
    let id = endpoint(&app, json!({})).await;
    let path = format!("{ENDPOINTS}/{id}");
    for body in [json!({"url": "http://10.0.0.1/"}), json!({"url": null}), json!({"event_types": ["x"]})] {
        app.json(Method::PATCH, &path, &body).await.is_problem(422, "validation_failed");
    }
    for _ in 1..20 {
        endpoint(&app, json!({})).await;
    }
    app.post(ENDPOINTS, json!({ "url": URL })).await.is_problem(409, "too_many_endpoints");
    let client = app.client("A").await;
    endpoint(&app, json!({ "client_id": client })).await;
}

#[sqlx::test(migrations = false)]
async fn an_endpoint_is_changed_pinged_and_deleted(pool: PgPool) {
    let app = start(pool).await;
    let id = endpoint(&app, json!({"event_types": ["job.failed"]})).await;
    let path = format!("{ENDPOINTS}/{id}");
    let ping = app.post(&format!("{path}/ping"), json!({})).await.is(202);
    assert_eq!(
        (&ping["data"]["event_type"], &ping["data"]["state"]),
        (&json!("webhook.ping"), &json!("pending"))
    );
    let delivery = id_of(&ping["data"]["id"]);
    let shown = app.get(&format!("{DELIVERIES}/{delivery}")).await.is(200);
    assert_eq!(shown["data"]["payload"]["type"], "webhook.ping");
    assert_eq!(
        (&shown["data"]["payload"]["data"], &shown["data"]["log"]),
        (&json!({"endpoint_id": id}), &json!([]))
    );

    let body = json!({"enabled": false, "event_types": null, "description": null});
    let changed = app.json(Method::PATCH, &path, &body).await.is(200);
    assert_eq!(
        (&changed["data"]["disabled_reason"], &changed["data"]["event_types"]),
        (&json!("asked"), &json!([]))
    );
    app.post(&format!("{path}/ping"), json!({})).await.is_problem(409, "endpoint_disabled");
    app.post(&format!("{path}/resend"), json!({})).await.is_problem(409, "endpoint_disabled");
    app.post(&format!("{DELIVERIES}/{delivery}/resend"), json!({}))
        .await
        .is_problem(409, "endpoint_disabled");
    let changed = app
        .json(Method::PATCH, &path, &json!({"enabled": true, "url": "https://93.184.216.34/b"}))
        .await
        .is(200);
    assert_eq!(
        (&changed["data"]["disabled_at"], &changed["data"]["url"]),
        (&Value::Null, &json!("https://93.184.216.34/b"))
    );

    assert_eq!(app.json(Method::DELETE, &path, &json!({})).await.status, 204);
    for (method, path) in [
        (Method::GET, path.clone()),
        (Method::DELETE, path.clone()),
        (Method::PATCH, path.clone()),
        (Method::POST, format!("{path}/ping")),
        (Method::POST, format!("{path}/rotate")),
        (Method::POST, format!("{path}/resend")),
        (Method::GET, format!("{DELIVERIES}/{delivery}")),
        (Method::POST, format!("{DELIVERIES}/{delivery}/resend")),
    ] {
        app.json(method, &path, &json!({})).await.is_problem(404, "not_found");
    }
    assert_eq!(told(&app, "").await.len(), 0);
}

#[sqlx::test(migrations = false)]
async fn what_was_told_is_listed_filtered_and_sent_again(pool: PgPool) {
    let app = start(pool).await;
    let id = endpoint(&app, json!({})).await;
    let job = app.job().await;
    app.post(&format!("/api/v3/jobs/{job}/approve"), json!({})).await.is(200);
    let all = told(&app, "").await;
    let kinds: Vec<&str> = all.iter().filter_map(|one| one["event_type"].as_str()).collect();
    assert_eq!(kinds, ["job.approved", "job.created"], "newest first");
    let (approved, created) = (id_of(&all[0]["id"]), id_of(&all[1]["id"]));

    let first = app.get(&format!("{DELIVERIES}?limit=1")).await.is(200);
    let cursor = first["meta"]["next_cursor"].as_str().expect("another page").to_owned();
    let second = app.get(&format!("{DELIVERIES}?limit=1&cursor={cursor}")).await.is(200);
    assert_eq!((&second["data"][0]["id"], &second["meta"]["next_cursor"]), (&json!(created), &Value::Null));
    for (query, count) in [
        ("?event_type=job.created".to_owned(), 1),
        (format!("?job_id={job}&state=pending"), 2),
        ("?state=failed".to_owned(), 0),
        ("?job_id=999".to_owned(), 0),
        (format!("?endpoint_id={}", Uuid::nil()), 0),
    ] {
        assert_eq!(told(&app, &query).await.len(), count, "{query}");
    }
    for query in ["?state=lost", "?event_type=x", "?cursor=x", "?cursor=ffffffffffffffff", "?endpoint_id=x"] {
        app.get(&format!("{DELIVERIES}{query}")).await.is_problem(400, "invalid_query");
    }

    fail(&app, approved).await;
    let shown = app.get(&format!("{DELIVERIES}/{approved}")).await.is(200);
    assert_eq!((&shown["data"]["state"], &shown["data"]["last_status"]), (&json!("failed"), &json!(500)));
    assert_eq!(
        (&shown["data"]["log"][0]["number"], &shown["data"]["log"][0]["response"]),
        (&json!(1), &json!("boom"))
    );
    assert_eq!(shown["data"]["payload"]["data"]["job_id"], job);
    let again = app.post(&format!("{DELIVERIES}/{approved}/resend"), json!({})).await.is(202);
    assert_eq!((&again["data"]["state"], &again["data"]["attempts"]), (&json!("pending"), &json!(1)));

    fail(&app, approved).await;
    fail(&app, created).await;
    let path = format!("{ENDPOINTS}/{id}/resend");
    let later = app.post(&path, json!({"since": "2100-01-01T00:00:00Z"})).await.is(202);
    assert_eq!(later, json!({"resent": 0, "remaining": 0}));
    let resent = app.post(&path, json!({"since": "2020-01-01T00:00:00Z"})).await.is(202);
    assert_eq!(resent, json!({"resent": 2, "remaining": 0}));
    assert_eq!(told(&app, "?state=pending").await.len(), 2);
    #[expect(clippy::disallowed_methods, reason = "one task for each, whoever asked")]
    let tasks: i64 = sqlx::query_scalar("SELECT count(*) FROM queue.task WHERE kind = 'deliver'")
        .fetch_one(&app.pool)
        .await
        .expect("a number");
    assert_eq!(tasks, 2);
}

#[sqlx::test(migrations = false)]
async fn a_bound_key_is_told_of_its_own_jobs_only(pool: PgPool) {
    let mut app = start(pool).await;
    let operator = app.key.clone();
    let stranger = app.client("Stranger").await;
    app.key = app.new_key(&[Scope::Write], Some(stranger)).await;
    let made = app.post(ENDPOINTS, json!({ "url": URL })).await.is(201);
    assert_eq!(made["data"]["client_id"], json!(stranger), "it can want nothing else");
    let own = std::mem::replace(&mut app.key, operator);
    let everybody = endpoint(&app, json!({})).await;
    app.job().await;
    assert_eq!(told(&app, "").await.len(), 1);
    assert_eq!(told(&app, &format!("?endpoint_id={everybody}")).await.len(), 1);
    app.key = own;
    assert_eq!(told(&app, "").await.len(), 0);
    assert_eq!(app.get(ENDPOINTS).await.is(200)["meta"]["total"], 1);
    app.get(&format!("{ENDPOINTS}/{everybody}")).await.is_problem(404, "not_found");
}

//! POST /api/webhooks/replicate: only what is signed counts, once, and it only wakes.

use axum::body::Body;
use http::{Method, Request};
use secrecy::SecretString;
use spool_db::{orphans, predictions};
use spool_job::prediction::PredictionState;
use spool_provider::webhook::sign;
use sqlx::PgPool;
use uuid::Uuid;

use crate::app::{Answer, TestApp, WEBHOOK_SECRET, day, start};
use crate::media::prediction;

const BODY: &str = r#"{"id":"sim0001","status":"processing"}"#;

struct Message<'a> {
    id: &'a str,
    age_s: i64,
    body: &'a str,
    secret: &'a str,
}

impl Default for Message<'_> {
    fn default() -> Self {
        Self { id: "msg_1", age_s: 0, body: BODY, secret: WEBHOOK_SECRET }
    }
}

async fn send(app: &TestApp, query: &str, message: Message<'_>) -> Answer {
    let timestamp = day().timestamp() - message.age_s;
    let signature = sign(&SecretString::from(message.secret), message.id, timestamp, message.body.as_bytes())
        .expect("signed");
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("/api/webhooks/replicate{query}"))
        .header("content-type", "application/json")
        .header("webhook-id", message.id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", signature);
    app.send(request.body(Body::from(message.body.to_owned())).expect("a request")).await
}

async fn state_of(app: &TestApp, id: Uuid) -> (PredictionState, Option<String>) {
    let mut conn = app.pool.acquire().await.expect("a connection");
    let row = predictions::get(&mut conn, id).await.expect("read").expect("is there");
    (row.state, row.external_id)
}

#[sqlx::test(migrations = false)]
async fn a_signed_webhook_binds_the_id_once(pool: PgPool) {
    let app = start(pool).await;
    let (id, _) = prediction(&app).await;
    let query = format!("?prediction={id}");
    assert_eq!(send(&app, &query, Message::default()).await.is(200)["status"], "ok");
    assert_eq!(state_of(&app, id).await, (PredictionState::Submitted, Some("sim0001".to_owned())));
    // The same delivery again, and another one later: both fine, neither changes anything.
    assert_eq!(send(&app, &query, Message::default()).await.is(200)["status"], "ok");
    let other = Message { id: "msg_2", body: r#"{"id":"sim0002"}"#, ..Message::default() };
    assert_eq!(send(&app, &query, other).await.is(200)["status"], "ok");
    assert_eq!(state_of(&app, id).await, (PredictionState::Submitted, Some("sim0001".to_owned())));
    assert_eq!(orphaned(&app).await, ["sim0002"], "the second of that name is nobody's");
}

/// The provider's ids of what is to be called off.
async fn orphaned(app: &TestApp) -> Vec<String> {
    let mut conn = app.pool.acquire().await.expect("a connection");
    let open = orphans::open(&mut conn, "replicate", 10).await.expect("read");
    open.into_iter().map(|(external_id, _)| external_id).collect()
}

#[sqlx::test(migrations = false)]
async fn an_id_that_comes_too_late_is_an_orphan(pool: PgPool) {
    let app = start(pool).await;
    let (id, _) = prediction(&app).await;
    let mut conn = app.pool.acquire().await.expect("a connection");
    predictions::unknown(&mut conn, id, "timeout").await.expect("written");
    predictions::void(&mut conn, id).await.expect("written");
    let query = format!("?prediction={id}");
    // It is said at the start and at the end.
    for message in ["msg_1", "msg_2"] {
        send(&app, &query, Message { id: message, ..Message::default() }).await.is(200);
    }
    assert_eq!(state_of(&app, id).await, (PredictionState::Void, None), "given up is given up");
    assert_eq!(orphaned(&app).await, ["sim0001"]);
    // What is another row's is no orphan, whatever the address says; nor is what no row of ours is about.
    let (bound, _) = prediction(&app).await;
    predictions::submitted(&mut conn, bound, "sim0003", false).await.expect("written");
    let foreign = Message { id: "msg_3", body: r#"{"id":"sim0003"}"#, ..Message::default() };
    send(&app, &query, foreign).await.is(200);
    let nobodys = Message { id: "msg_4", body: r#"{"id":"sim0004"}"#, ..Message::default() };
    send(&app, &format!("?prediction={}", Uuid::nil()), nobodys).await.is(200);
    assert_eq!(orphaned(&app).await, ["sim0001"]);
}

#[sqlx::test(migrations = false)]
async fn what_is_not_signed_changes_nothing(pool: PgPool) {
    let app = start(pool).await;
    let (id, _) = prediction(&app).await;
    let query = format!("?prediction={id}");
    let foreign = Message { secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", ..Message::default() };
    send(&app, &query, foreign).await.is_problem(401, "bad_signature");
    for age_s in [301, -301] {
        send(&app, &query, Message { age_s, ..Message::default() }).await.is_problem(401, "bad_signature");
    }
    let unsigned = Request::post(format!("/api/webhooks/replicate{query}"));
    app.send(unsigned.body(Body::from(BODY)).expect("a request")).await.is_problem(401, "bad_signature");
    let changed = Request::post(format!("/api/webhooks/replicate{query}"))
        .header("webhook-id", "msg_1")
        .header("webhook-timestamp", day().timestamp())
        .header(
            "webhook-signature",
            sign(&SecretString::from(WEBHOOK_SECRET), "msg_1", day().timestamp(), BODY.as_bytes())
                .expect("signed"),
        );
    let body = Body::from(BODY.replace("sim0001", "sim0666"));
    app.send(changed.body(body).expect("a request")).await.is_problem(401, "bad_signature");
    assert_eq!(state_of(&app, id).await, (PredictionState::Intent, None));
}

#[sqlx::test(migrations = false)]
async fn a_wrong_address_is_taken_and_harms_nothing(pool: PgPool) {
    let app = start(pool).await;
    let (id, _) = prediction(&app).await;
    send(&app, "", Message::default()).await.is(200);
    let unknown = format!("?prediction={}", Uuid::nil());
    send(&app, &unknown, Message { id: "msg_3", ..Message::default() }).await.is(200);
    send(&app, "?prediction=x", Message { id: "msg_4", ..Message::default() })
        .await
        .is_problem(400, "invalid_query");
    let no_json = Message { id: "msg_5", body: "no json", ..Message::default() };
    send(&app, &format!("?prediction={id}"), no_json).await.is(200);
    assert_eq!(state_of(&app, id).await, (PredictionState::Intent, None));
}

//! /jobs/{id}/events: all that happened, then what happens, after what was seen, for whom it may be.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use futures::StreamExt;
use http::Method;
use serde_json::{Value, json};
use spool_api::feed;
use spool_db::keys::Scope;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::app::{TestApp, start};
use crate::videos::completed;

const PATIENCE: Duration = Duration::from_secs(20);

/// An open stream and what came of it so far.
struct Stream {
    body: BodyDataStream,
    text: String,
}

impl Stream {
    async fn open(app: &TestApp, id: i64, last: Option<i64>) -> Self {
        let mut request = app.request(Method::GET, &format!("/api/v3/jobs/{id}/events"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = app.router.clone().oneshot(request).await.expect("never fails");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// Reads until `wanted` came; false when the stream ended before.
    async fn until(&mut self, wanted: &str) -> bool {
        let read = async {
            while !self.text.contains(wanted) {
                match self.body.next().await {
                    Some(chunk) => self.text += &String::from_utf8_lossy(&chunk.expect("a chunk")),
                    None => return false,
                }
            }
            true
        };
        tokio::time::timeout(PATIENCE, read).await.expect("came in time")
    }

    async fn end(mut self) -> String {
        assert!(!self.until("there is no such text").await);
        self.text
    }
}

/// The data of each message in order.
fn messages(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).expect("JSON")).collect()
}

#[sqlx::test(migrations = false)]
async fn an_ended_job_tells_all_and_ends(pool: PgPool) {
    let app = start(pool).await;
    let id = completed(&app, b"a film").await;
    let text = Stream::open(&app, id, None).await.end().await;
    assert!(text.starts_with("retry: 2000\n") || text.contains("retry: 2000"), "{text}");
    let all = messages(&text);
    let seqs: Vec<i64> = all.iter().filter_map(|message| message["seq"].as_i64()).collect();
    assert_eq!(seqs, (1..=seqs.len() as i64).collect::<Vec<_>>(), "from 1, without gaps");
    assert_eq!((&all[0]["type"], &all[0]["job_id"]), (&json!("created"), &json!(id)));
    let last = &all[seqs.len() - 1];
    assert_eq!((&last["type"], &last["data"]["state"]), (&json!("completed"), &json!("completed")));
    assert!(last["at"].is_string());
    assert!(
        text.trim_end().ends_with(&format!("data: {}", json!({"job_id": id, "status": "completed"}))),
        "{text}"
    );
    assert!(text.contains("event: done"));
    for seq in &seqs {
        assert!(text.contains(&format!("id: {seq}\n")), "{seq}");
    }

    let rest = Stream::open(&app, id, Some(1)).await.end().await;
    assert_eq!(messages(&rest)[0]["seq"], 2, "after what was seen");
    let path = format!("/api/v3/jobs/{id}/events");
    let over = app.get_with(&path, "last-event-id", &seqs.len().to_string()).await;
    assert_eq!((over.status.as_u16(), over.body.len()), (204, 0), "browsers stop to come back");
    assert_eq!(app.get(&format!("{path}?lastEventId={}", seqs.len())).await.status, 204);
    app.get_with(&path, "last-event-id", "x").await.is_problem(400, "invalid_query");
    app.get_with(&path, "last-event-id", "-1").await.is_problem(400, "invalid_query");
}

#[sqlx::test(migrations = false)]
async fn a_live_job_is_followed_through_a_reconnect(pool: PgPool) {
    let app = start(pool).await;
    let stop = CancellationToken::new();
    let listener = tokio::spawn(feed::listen::keep(app.state.clone(), stop.clone()));
    let id = app.job().await;
    let mut stream = Stream::open(&app, id, None).await;
    assert!(stream.until("\"created\"").await);
    app.post(&format!("/api/v3/jobs/{id}/approve"), json!({})).await.is(200);
    assert!(stream.until("\"approved\"").await);
    let seen = messages(&stream.text).last().expect("a message")["seq"].as_i64().expect("a number");
    drop(stream);
    // Somebody else changes the job while nobody listens.
    let mut tx = app.pool.begin().await.expect("a transaction");
    spool_db::progress::refresh(&mut tx, id, "meanwhile", &json!({})).await.expect("told");
    tx.commit().await.expect("committed");
    let mut stream = Stream::open(&app, id, Some(seen)).await;
    assert!(stream.until("\"meanwhile\"").await);
    assert_eq!(messages(&stream.text).len(), 1, "only what was missed");
    let mut tx = app.pool.begin().await.expect("a transaction");
    spool_db::progress::refresh(&mut tx, id, "later", &json!({})).await.expect("told");
    tx.commit().await.expect("committed");
    assert!(stream.until("\"later\"").await, "what others do is heard of");

    // The server stops: the stream ends, and does not say that the job has.
    stop.cancel();
    let rest = stream.end().await;
    assert!(!rest.contains("event: done"), "{rest}");
    listener.await.expect("ends");
}

#[sqlx::test(migrations = false)]
async fn only_theirs_and_until_it_is_deleted(pool: PgPool) {
    let mut app = start(pool).await;
    let id = app.job().await;
    let admin = app.key.clone();
    let stranger = app.client("Somebody else").await;
    app.key = app.new_key(&[Scope::Read], Some(stranger)).await;
    app.get(&format!("/api/v3/jobs/{id}/events")).await.is_problem(404, "not_found");
    app.key = admin;
    app.get("/api/v3/jobs/4711/events").await.is_problem(404, "not_found");
    let mut stream = Stream::open(&app, id, None).await;
    assert!(stream.until("\"created\"").await);
    app.post(&format!("/api/v3/jobs/{id}/cancel"), json!({})).await.is(200);
    assert!(stream.until("event: done").await, "without a listener it looks by itself");
}

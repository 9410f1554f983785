//! What the doorbell says, whatever a queue is called.

use std::time::Duration;

use serde_json::json;
use spool_queue::NewTask;
use sqlx::{PgPool, postgres::PgListener};

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn any_name_of_a_queue_arrives_as_it_is(pool: PgPool) {
    let mut listener = PgListener::connect_with(&pool).await.unwrap();
    listener.listen("spool_queue").await.unwrap();
    for name in ["main", "five o'clock", r"back\slash", "'); select pg_notify('spool_queue', 'x"] {
        let made =
            NewTask::new("step", name, 1, &json!({})).enqueue(&mut pool.acquire().await.unwrap()).await;
        made.unwrap().bell.ring(&pool).await;
        let heard = tokio::time::timeout(Duration::from_secs(20), listener.recv()).await.unwrap().unwrap();
        assert_eq!(heard.payload(), format!("w {name}"));
    }
}

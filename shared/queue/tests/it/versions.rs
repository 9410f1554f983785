//! Payloads of other versions than the handler's.

use std::time::Duration;

use serde_json::{Value, json};
use spool_queue::{BoxError, Done, Failure, Handler, NewTask, Run, TaskState};
use sqlx::PgPool;

use crate::harness::{enqueue, quick, view};

/// Version 1 was a bare number, version 2 an object.
struct Sized;

#[derive(serde::Serialize, serde::Deserialize)]
struct Picture {
    width: u32,
}

impl Handler for Sized {
    const KIND: &'static str = "sized";
    const QUEUE: &'static str = "main";
    const TIMEOUT: Duration = Duration::from_secs(5);
    const VERSION: i16 = 2;
    type Payload = Picture;

    fn upcast(version: i16, payload: Value) -> Result<Value, BoxError> {
        match version {
            1 => Ok(json!({ "width": payload })),
            _ => Err(format!("version {version} never was").into()),
        }
    }

    async fn run(&self, picture: Picture, _: Run) -> Result<Done, Failure> {
        Done::output(&picture.width)
    }
}

fn sized(version: i16, payload: &Value) -> NewTask {
    NewTask::new("sized", "main", version, payload)
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn older_payloads_are_brought_up_to_date(pool: PgPool) {
    let old = enqueue(&pool, sized(1, &json!(7))).await;
    let new = enqueue(&pool, sized(2, &json!({"width": 8}))).await;
    let never = enqueue(&pool, sized(0, &json!(9))).await;
    let wrong = enqueue(&pool, sized(1, &json!("wide"))).await;
    quick("w", &pool).handler(Sized).drain().await.unwrap();
    assert_eq!(view(&pool, old).await.output, Some(json!(7)));
    assert_eq!(view(&pool, new).await.output, Some(json!(8)));
    for (id, part) in [(never, "version 0 never was"), (wrong, "invalid type")] {
        let view = view(&pool, id).await;
        assert_eq!((view.state, view.error_class.as_deref()), (TaskState::Failed, Some("payload")));
        assert!(view.last_error.as_deref().unwrap().contains(part), "{view:?}");
    }
    // What was enqueued stays as it was.
    assert_eq!(view(&pool, old).await.payload, json!(7));
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_newer_payload_waits_for_a_newer_worker(pool: PgPool) {
    let id = enqueue(&pool, sized(3, &json!({"width": 7, "height": 8}))).await;
    quick("w", &pool).handler(Sized).drain().await.unwrap();
    let view = view(&pool, id).await;
    assert_eq!((view.state, view.attempt), (TaskState::Parked, 0));
    assert_eq!(view.why.as_deref(), Some("worker w knows sized payloads up to version 2, this one has 3"));
}

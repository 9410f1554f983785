//! The life of a task, told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use spool_queue::{
    Batch, Done, Failure, OnFailure, Outcome, RunOutcome, TaskId, TaskState, control,
    control::Reach,
    inspect::{self, Event, What},
};
use sqlx::PgPool;

use crate::harness::{Running, Step, act, enqueue, quick, step, until, view};

async fn timeline(pool: &PgPool, id: TaskId) -> Vec<Event> {
    inspect::timeline(&mut pool.acquire().await.unwrap(), id).await.unwrap().unwrap()
}

fn word(event: &Event) -> String {
    match &event.what {
        What::Created => "created".to_owned(),
        What::Claimed { attempt, worker_name, .. } => {
            format!("claimed {attempt} by {}", worker_name.as_deref().unwrap_or("?"))
        }
        What::Parked { times } => format!("parked {times}"),
        What::RunEnded { outcome, counted, .. } => format!("{} {counted}", outcome.as_str()),
        What::Retried { error } => format!("retried {}", error.as_deref().unwrap_or("?")),
        What::AskedToStop { why } => format!("asked to stop: {why}"),
        What::Waits { state, tasks, .. } => format!("waits {} {}", state.as_str(), tasks.len()),
        What::Ended { state, error_class, .. } => {
            format!("ended {} {}", state.as_str(), error_class.as_deref().unwrap_or("-"))
        }
        _ => "new".to_owned(),
    }
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_life_is_told_in_order(pool: PgPool) {
    let runs = Arc::new(AtomicUsize::new(0));
    let handler = || {
        let runs = runs.clone();
        Step(act(move |_, _| {
            let n = runs.fetch_add(1, Ordering::SeqCst);
            async move {
                match n {
                    0 => Ok(Outcome::park_in(Duration::ZERO, "outside").into()),
                    1 => Err(Failure::retry("net", "down")),
                    2 => Err(Failure::fail("input", "no such picture")),
                    _ => Ok(Done::nothing()),
                }
            }
        }))
    };
    let id = enqueue(&pool, step(json!(1))).await;
    assert_eq!(timeline(&pool, id).await.iter().map(word).collect::<Vec<_>>(), ["created", "waits ready 0"]);
    quick("first", &pool).handler(handler()).drain().await.unwrap();
    let _ = control::retry(&mut pool.acquire().await.unwrap(), id, Reach::Alone).await.unwrap();
    quick("second", &pool).handler(handler()).drain().await.unwrap();
    let events = timeline(&pool, id).await;
    assert_eq!(
        events.iter().map(word).collect::<Vec<_>>(),
        [
            "created",
            "claimed 1 by first",
            "retry true",
            "claimed 2 by first",
            "failed true",
            "retried no such picture",
            "claimed 1 by second",
            "done true",
            "parked 1",
            "ended succeeded -",
        ]
    );
    let times: Vec<_> = events.iter().filter_map(|event| event.at).collect();
    assert!(times.is_sorted() && times.len() == events.len() - 1);
    let ended =
        events.iter().find(|event| matches!(event.what, What::RunEnded { outcome: RunOutcome::Failed, .. }));
    assert!(
        matches!(&ended.unwrap().what, What::RunEnded { error_class: Some(class), .. } if class == "input")
    );
    let json = serde_json::to_value(&events).unwrap();
    assert_eq!(json[0]["what"]["event"], "created");
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn waiting_and_being_canceled_are_told(pool: PgPool) {
    let mut batch = Batch::new();
    let parent = batch.add(step(json!(1)));
    let child = batch.add(step(json!(2)));
    batch.after(child, parent, OnFailure::Cancel);
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    let (parent, child) = (made.id(parent), made.id(child));
    assert_eq!(timeline(&pool, child).await.last().map(word).unwrap(), "waits blocked 1");
    let polite = act(|_, run| async move {
        run.canceled().cancelled().await;
        Ok(Outcome::Cancel { why: "as told".into() }.into())
    });
    let worker = Running::start(quick("w", &pool).handler(Step(polite))).await;
    until("the task to run", || async { view(&pool, parent).await.state == TaskState::Running }).await;
    // Without the doorbell the handler hears of it at the next heartbeat; the row says it at once.
    let mut tx = pool.begin().await.unwrap();
    let _ = control::cancel_task(&mut tx, parent, "no more").await.unwrap();
    let told = inspect::timeline(&mut tx, parent).await.unwrap().unwrap();
    assert_eq!(told.last().map(word).unwrap(), "asked to stop: no more");
    tx.commit().await.unwrap();
    until("the end", || async { view(&pool, child).await.state.is_final() }).await;
    assert_eq!(timeline(&pool, child).await.last().map(word).unwrap(), "ended canceled parent");
    assert!(inspect::timeline(&mut pool.acquire().await.unwrap(), TaskId(404)).await.unwrap().is_none());
    worker.stop().await;
}

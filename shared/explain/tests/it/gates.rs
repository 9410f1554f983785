//! Gates of the queue.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use spool_explain::{Gate, Order};
use spool_queue::control;
use spool_queue::limits::{self, Limits, Rate, Share};
use sqlx::PgPool;

use crate::stage::Stage;

/// As sentences write a moment of today, or of the next day.
fn clock(at: DateTime<Utc>) -> String {
    at.format("%H:%M:%S UTC").to_string().replace(":00 UTC", " UTC")
}

async fn set_limits(stage: &Stage, limits: Limits) {
    limits::set(&mut *stage.conn().await, "predict", &limits).await.unwrap();
}

#[sqlx::test(migrations = false)]
async fn approval(pool: PgPool) {
    let stage = Stage::pending(pool, 1, false).await;
    let found = stage.explain().await;
    assert_eq!(found.gates, [Gate::Approval { estimate_micros: 400_000 }]);
    assert_eq!(found.sentence, "Waits for approval: nothing is spent before; it is thought to cost $0.40.");
    assert_eq!((found.estimated_end.early, found.estimated_end.late), (None, None));
    assert_eq!(found.estimated_end.reason.as_deref(), Some("it waits for approval"));
    assert!(found.tasks.is_empty());
}

#[sqlx::test(migrations = false)]
async fn none(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let render = stage.task("render").await;
    assert_eq!((render.gates.len(), render.scene, render.state), (0, Some(1), "ready"));
    assert_eq!(render.sentence, "Render of scene 1 is ready: a worker takes it next.");
    assert_eq!(render.position.map(|at| (at.ahead, at.order)), Some((Some(0), Order::Age)));
    let found = stage.explain().await;
    assert_eq!(found.gates, []);
    assert_eq!(found.sentence, "In progress: 0 of 5 tasks are done, under way: render of scene 1.");
}

#[sqlx::test(migrations = false)]
async fn parents(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let (gate, sentence) = stage.only("stitch").await;
    let Gate::Parents { tasks } = gate else { panic!("{gate:?}") };
    assert_eq!(tasks.len(), 1);
    assert_eq!((tasks[0].kind.as_str(), tasks[0].scene, tasks[0].state), ("render", Some(1), "ready"));
    assert_eq!(sentence, "Stitch waits for render of scene 1 (ready).");
    let (_, sentence) = stage.only("close").await;
    assert_eq!(
        sentence,
        "Close waits for 4 tasks: render of scene 1 (ready), stitch (blocked), mix (blocked) and 1 more."
    );
}

#[sqlx::test(migrations = false)]
async fn no_worker(pool: PgPool) {
    let stage = Stage::new(pool).await;
    // The lease of the one that was there has run out.
    stage.sql("update queue.worker set lease_until = now() - interval '1 second'").await;
    let (gate, sentence) = stage.only("render").await;
    assert_eq!(gate, Gate::NoWorker { queue: "predict".into() });
    assert_eq!(sentence, "Render of scene 1 waits for a worker: none that serves queue predict is alive.");
    let found = stage.explain().await;
    assert_eq!(found.sentence, "Waits for a worker: none that serves queue predict is alive.");
    assert_eq!(found.estimated_end.early, None);
    assert_eq!(found.estimated_end.reason.as_deref(), Some("no worker that serves queue predict is alive"));
    // One that serves other queues is none.
    stage
        .sql("insert into queue.worker (name, host, pid, slots, lease_until) values ('w', 'h', 1, '{\"ffmpeg\": 1}', now() + interval '1 hour')")
        .await;
    assert_eq!(stage.only("render").await.0, Gate::NoWorker { queue: "predict".into() });
}

#[sqlx::test(migrations = false)]
async fn pause_of_the_queue(pool: PgPool) {
    let stage = Stage::new(pool).await;
    control::pause(&mut *stage.conn().await, "predict", "prices look wrong").await.unwrap();
    let (gate, sentence) = stage.only("render").await;
    let Gate::QueuePaused { queue, why, since } = gate else { panic!("{gate:?}") };
    assert_eq!((queue.as_str(), why.as_str()), ("predict", "prices look wrong"));
    assert_eq!(
        sentence,
        format!(
            "Render of scene 1 waits for queue predict to be resumed: it is paused since {}: prices look wrong.",
            clock(since)
        )
    );
    let found = stage.explain().await;
    assert_eq!(found.estimated_end.reason.as_deref(), Some("nobody knows when queue predict is resumed"));
    let _ = control::resume(&mut *stage.conn().await, "predict").await.unwrap();
    assert_eq!(stage.task("render").await.gates, []);
}

#[sqlx::test(migrations = false)]
async fn run_at(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let at = stage.explain().await.at + TimeDelta::try_minutes(20).unwrap();
    let id = stage.id("render").await;
    let _ = control::snooze(&mut *stage.conn().await, id, at).await.unwrap();
    let (gate, sentence) = stage.only("render").await;
    assert_eq!(gate, Gate::RunAt { at, error: None });
    assert_eq!(sentence, format!("Render of scene 1 waits for its time: {}.", clock(at)));
    let start = stage.task("render").await.estimated_start;
    assert_eq!((start.early, start.late), (Some(at), Some(at)));
    // A rest after a failed attempt.
    stage.set("render", "attempt = 1, last_error = 'connection refused'").await;
    let (gate, sentence) = stage.only("render").await;
    assert_eq!(gate, Gate::RunAt { at, error: Some("connection refused".into()) });
    assert_eq!(
        sentence,
        format!("Render of scene 1 rests until {} after a failed attempt: connection refused.", clock(at))
    );
}

#[sqlx::test(migrations = false)]
async fn parked(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage.set("render", "state = 2, why = 'not sent yet', run_at = now() + interval '5 minutes'").await;
    let (gate, sentence) = stage.only("render").await;
    let Gate::Parked { why, until } = gate else { panic!("{gate:?}") };
    assert_eq!(why, "not sent yet");
    assert_eq!(
        sentence,
        format!(
            "Render of scene 1 waits outside: not sent yet; looks again at {} at the latest.",
            clock(until)
        )
    );
}

#[sqlx::test(migrations = false)]
async fn slots(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage.sql("update queue.worker set slots = '{\"predict\": 1}'").await;
    stage.other_runs("predict", "somebody").await;
    stage.others("predict", "somebody", 2, 3600).await;
    let (gate, sentence) = stage.only("render").await;
    assert_eq!(gate, Gate::Slots { queue: "predict".into(), slots: 1, running: 1 });
    assert_eq!(
        sentence,
        "Render of scene 1 waits for a free slot of queue predict: 1 of 1 are taken; \
         2 ready tasks of queue predict go before it."
    );
}

#[sqlx::test(migrations = false)]
async fn limit_of_the_queue(pool: PgPool) {
    let stage = Stage::new(pool).await;
    set_limits(&stage, Limits { max_running: Some(1), ..Limits::default() }).await;
    assert_eq!(stage.task("render").await.gates, [], "there is room");
    stage.other_runs("predict", "somebody").await;
    let (gate, sentence) = stage.only("render").await;
    assert_eq!(gate, Gate::QueueLimit { queue: "predict".into(), limit: 1, running: 1 });
    assert_eq!(
        sentence,
        "Render of scene 1 waits for room in queue predict: it may run 1 at once and runs 1."
    );
}

#[sqlx::test(migrations = false)]
async fn limit_of_the_share(pool: PgPool) {
    let stage = Stage::new(pool).await;
    set_limits(&stage, Limits { max_running_per_share: Some(2), ..Limits::default() }).await;
    let client = stage.client.to_string();
    stage.other_runs("predict", "somebody").await;
    stage.other_runs("predict", &client).await;
    assert_eq!(stage.task("render").await.gates, [], "there is room");
    // What is said of one share goes before what is said of all.
    let one = Share { max_running: Some(1), ..Share::default() };
    limits::set_share(&mut *stage.conn().await, "predict", &client, one).await.unwrap();
    let (gate, sentence) = stage.only("render").await;
    assert_eq!(gate, Gate::ShareLimit { queue: "predict".into(), share: client, limit: 1, running: 1 });
    assert_eq!(
        sentence,
        "Render of scene 1 waits for room in queue predict: its client may have 1 running at once and has 1."
    );
}

#[sqlx::test(migrations = false)]
async fn rate_of_the_queue(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let rate = Rate { tasks: 6, per: Duration::from_secs(60), burst: 2 };
    set_limits(&stage, Limits { rate: Some(rate), ..Limits::default() }).await;
    assert_eq!(stage.task("render").await.gates, [], "nothing was started yet");
    // Two at once used up the burst: the second is free again 10 s after.
    stage.sql("update queue.queue set rate_next = date_trunc('second', now()) + interval '40 seconds'").await;
    let (gate, sentence) = stage.only("render").await;
    let Gate::QueueRate { queue, tasks, per_ms, opens_at } = gate else { panic!("{gate:?}") };
    assert_eq!((queue.as_str(), tasks, per_ms), ("predict", 6, 60_000));
    assert_eq!(
        sentence,
        format!(
            "Render of scene 1 waits for the rate of queue predict, 6 starts in 60 s: goes on at {}.",
            clock(opens_at)
        )
    );
    let start = stage.task("render").await.estimated_start;
    assert_eq!(start.early, Some(opens_at));
}

#[sqlx::test(migrations = false)]
async fn deadline(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage.set("render", "expires_at = now() + interval '1 hour'").await;
    assert_eq!(stage.task("render").await.gates, [], "it has not passed");
    stage.set("render", "expires_at = now() - interval '1 minute'").await;
    let (gate, sentence) = stage.only("render").await;
    let Gate::Deadline { at } = gate else { panic!("{gate:?}") };
    assert_eq!(sentence, format!("Render of scene 1 fails: it was not done by its deadline, {}.", clock(at)));
}

#[sqlx::test(migrations = false)]
async fn a_lost_worker(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage.run("render").await;
    let render = stage.task("render").await;
    assert_eq!((render.gates.len(), render.attempt), (0, 1));
    assert!(render.sentence.starts_with("Render of scene 1 runs since "), "{}", render.sentence);
    stage.sql("update queue.worker set lease_until = now() - interval '1 second'").await;
    stage.worker().await;
    let (gate, sentence) = stage.only("render").await;
    assert_eq!(gate, Gate::LostWorker { queue: "predict".into() });
    assert_eq!(
        sentence,
        "Render of scene 1 waits to be taken over: its worker is gone, another that serves queue predict does it again."
    );
}

#[sqlx::test(migrations = false)]
async fn asked_to_stop(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage.run("render").await;
    let id = stage.id("render").await;
    let _ = control::cancel_task(&mut *stage.conn().await, id, "changed my mind").await.unwrap();
    let (gate, sentence) = stage.only("render").await;
    assert_eq!(gate, Gate::Stopping { why: "changed my mind".into() });
    assert_eq!(sentence, "Render of scene 1 was asked to stop: changed my mind.");
}

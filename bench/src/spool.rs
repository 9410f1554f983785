//! The same workloads through Spool, as a program would use it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use spool_queue::{Batch, Completion, Done, Failure, Handler, NewTask, Run, Worker, WorkerBuilder, inspect};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    ceiling::{PAYLOAD, rate},
    database::Database,
    figures::{BoxError, Latency},
};

/// What "tuned" means: slots for tasks that take no time.
pub(crate) const TUNED_SLOTS: usize = 1000;

fn noop(queue: &str) -> NewTask {
    // A payload of the same size as the ceiling's.
    let payload = serde_json::json!({"job": 123_456, "scene": "0190f3a1-7c1e-7000-8000-0123456789ab"});
    debug_assert!(payload.to_string().len().abs_diff(PAYLOAD.len()) < 4);
    NewTask::new("noop", queue, 1, &payload)
}

struct Noop(Arc<AtomicUsize>);

impl Handler for Noop {
    const KIND: &'static str = "noop";
    const QUEUE: &'static str = "main";
    const TIMEOUT: Duration = Duration::from_secs(30);
    type Payload = serde::de::IgnoredAny;

    async fn run(&self, _: serde::de::IgnoredAny, _: Run) -> Result<Done, Failure> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Done::nothing())
    }
}

/// Stands for work that has cost money: it is recorded at once.
struct Paid(Arc<AtomicUsize>);

impl Handler for Paid {
    const KIND: &'static str = "noop";
    const QUEUE: &'static str = "main";
    const TIMEOUT: Duration = Duration::from_secs(30);
    const COMPLETION: Completion = Completion::Alone;
    type Payload = serde::de::IgnoredAny;

    async fn run(&self, _: serde::de::IgnoredAny, _: Run) -> Result<Done, Failure> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Done::nothing())
    }
}

pub(crate) async fn enqueue_one_by_one(database: &Database, tasks: usize) -> Result<f64, BoxError> {
    const CLIENTS: usize = 16;
    database.reset().await?;
    let pool = database.pool(CLIENTS as u32).await?;
    let bells = database.pool(1).await?;
    database.settle().await?;
    let started = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (mut conn, bells) = (pool.acquire().await?, bells.clone());
        clients.spawn(async move {
            for _ in 0..tasks / CLIENTS {
                noop("main").enqueue(&mut conn).await?.bell.ring(&bells).await;
            }
            Ok::<(), BoxError>(())
        });
    }
    while let Some(client) = clients.join_next().await {
        client??;
    }
    let rate = rate(tasks / CLIENTS * CLIENTS, started);
    pool.close().await;
    bells.close().await;
    Ok(rate)
}

pub(crate) async fn enqueue_in_batches(database: &Database, tasks: usize) -> Result<f64, BoxError> {
    database.reset().await?;
    let mut conn = PgConnection::connect_with(&database.options()).await?;
    let bells = database.pool(1).await?;
    database.settle().await?;
    let started = Instant::now();
    fill(&mut conn, &bells, tasks).await?;
    let rate = rate(tasks, started);
    conn.close().await?;
    bells.close().await;
    Ok(rate)
}

async fn fill(conn: &mut PgConnection, bells: &PgPool, tasks: usize) -> Result<(), BoxError> {
    for _ in 0..tasks / 1000 {
        let mut tx = conn.begin().await?;
        let mut batch = Batch::new();
        for _ in 0..1000 {
            batch.add(noop("main"));
        }
        let made = batch.insert(&mut tx).await?;
        tx.commit().await?;
        made.bell.ring(bells).await;
    }
    Ok(())
}

struct Started {
    worker: Worker,
    stop: CancellationToken,
}

impl Started {
    async fn new(builder: WorkerBuilder) -> Result<Self, BoxError> {
        let stop = CancellationToken::new();
        let worker = builder.start(stop.clone(), Duration::from_secs(5)).await?;
        Ok(Self { worker, stop })
    }

    async fn stop(self) {
        self.stop.cancel();
        self.worker.finished().await;
    }
}

/// From the start of the worker until the database shows that everything is done.
pub(crate) async fn drain(database: &Database, tasks: usize, slots: Option<usize>) -> Result<f64, BoxError> {
    let done = Arc::new(AtomicUsize::new(0));
    let pool = filled(database, tasks, 4).await?;
    let mut builder = WorkerBuilder::new("bench", pool.clone()).handler(Noop(Arc::clone(&done)));
    if let Some(slots) = slots {
        builder = builder.slots("main", slots);
    }
    timed(builder, &pool, &done, tasks).await
}

pub(crate) async fn drain_alone(database: &Database, tasks: usize) -> Result<f64, BoxError> {
    let done = Arc::new(AtomicUsize::new(0));
    let pool = filled(database, tasks, 24).await?;
    let builder =
        WorkerBuilder::new("bench", pool.clone()).slots("main", 24).handler(Paid(Arc::clone(&done)));
    timed(builder, &pool, &done, tasks).await
}

async fn filled(database: &Database, tasks: usize, connections: u32) -> Result<PgPool, BoxError> {
    database.reset().await?;
    let pool = database.pool(connections).await?;
    let mut conn = PgConnection::connect_with(&database.options()).await?;
    fill(&mut conn, &pool, tasks).await?;
    conn.close().await?;
    database.settle().await?;
    Ok(pool)
}

async fn timed(
    builder: WorkerBuilder,
    pool: &PgPool,
    done: &AtomicUsize,
    tasks: usize,
) -> Result<f64, BoxError> {
    let started = Instant::now();
    let worker = Started::new(builder).await?;
    while done.load(Ordering::Relaxed) < tasks {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    while !inspect::stats(&mut *pool.acquire().await?).await?.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let rate = rate(tasks, started);
    worker.stop().await;
    pool.close().await;
    Ok(rate)
}

struct Stamp(Arc<Mutex<Vec<(i64, Instant)>>>);

impl Handler for Stamp {
    const KIND: &'static str = "stamp";
    const QUEUE: &'static str = "main";
    const TIMEOUT: Duration = Duration::from_secs(30);
    type Payload = i64;

    async fn run(&self, number: i64, _: Run) -> Result<Done, Failure> {
        let now = Instant::now();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((number, now));
        Ok(Done::nothing())
    }
}

/// From before the enqueue to the start of the handler, in an idle worker with default settings.
pub(crate) async fn pickup(database: &Database, count: usize) -> Result<Latency, BoxError> {
    database.reset().await?;
    let pool = database.pool(4).await?;
    let stamps = Arc::new(Mutex::new(Vec::with_capacity(count)));
    let worker =
        Started::new(WorkerBuilder::new("bench", pool.clone()).handler(Stamp(Arc::clone(&stamps)))).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let mut sent = Vec::with_capacity(count);
    let mut conn = pool.acquire().await?;
    for number in 0..count as i64 {
        tick.tick().await;
        sent.push(Instant::now());
        NewTask::new("stamp", "main", 1, &number).enqueue(&mut conn).await?.bell.ring(&pool).await;
    }
    drop(conn);
    let seen = || stamps.lock().unwrap_or_else(PoisonError::into_inner).clone();
    while seen().len() < count {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    worker.stop().await;
    pool.close().await;
    let millis =
        seen().into_iter().map(|(number, at)| (at - sent[number as usize]).as_secs_f64() * 1e3).collect();
    Ok(Latency::of(millis))
}

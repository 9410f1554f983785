//! The same workloads through Spool, as a program would use it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use spool_queue::{Batch, Completion, Done, Failure, Handler, NewTask, Run, Worker, WorkerBuilder};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::told::{Telemetry, Told};
use super::{Action, Answer, BATCH, Began, CLIENTS, Clock, Config, Orders, load, say};
use crate::{
    database::{is_drained, pool},
    figures::{BoxError, Histogram},
};

/// What "tuned" means: slots for tasks that take no time.
const TUNED_SLOTS: usize = 2000;
const ALONE_SLOTS: usize = 24;

/// Of the same size as the ceiling's.
#[derive(Serialize, Deserialize)]
pub(super) struct Payload {
    pub(super) job: u64,
    pub(super) scene: String,
}

pub(super) fn noop(job: u64, bytes: usize) -> NewTask {
    let mut scene = "0190f3a1-7c1e-7000-8000-0123456789ab".to_owned();
    scene.extend(std::iter::repeat_n('x', bytes));
    NewTask::new("noop", "main", 1, &Payload { job, scene })
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

struct Stamp(Arc<Mutex<Vec<(u64, Instant)>>>);

impl Handler for Stamp {
    const KIND: &'static str = "noop";
    const QUEUE: &'static str = "main";
    const TIMEOUT: Duration = Duration::from_secs(30);
    type Payload = Payload;

    async fn run(&self, payload: Payload, _: Run) -> Result<Done, Failure> {
        let now = Instant::now();
        lock(&self.0).push((payload.job, now));
        Ok(Done::nothing())
    }
}

struct Hold(Arc<AtomicUsize>);

impl Handler for Hold {
    const KIND: &'static str = "noop";
    const QUEUE: &'static str = "main";
    const TIMEOUT: Duration = Duration::from_secs(3600);
    type Payload = serde::de::IgnoredAny;

    async fn run(&self, _: serde::de::IgnoredAny, _: Run) -> Result<Done, Failure> {
        let _ = say(&Began { started: self.0.fetch_add(1, Ordering::Relaxed) + 1 });
        std::future::pending().await
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct Started {
    worker: Worker,
    stop: CancellationToken,
}

impl Started {
    pub(super) async fn new(builder: WorkerBuilder) -> Result<Self, BoxError> {
        let stop = CancellationToken::new();
        let worker = builder.start(stop.clone(), Duration::from_secs(5)).await?;
        Ok(Self { worker, stop })
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.worker.finished().await;
    }
}

pub(super) async fn run(orders: &Orders) -> Result<Answer, BoxError> {
    let (url, tasks) = (orders.database_url.as_str(), orders.tasks);
    match orders.action {
        Action::Setup => {
            let clock = Clock::start();
            spool_queue::migrate(&pool(url, 1).await?).await?;
            Ok(clock.stop(0))
        }
        Action::Fill => fill(url, tasks, orders.payload_bytes).await,
        Action::Enqueue => enqueue(url, tasks).await,
        Action::Drain => drain(url, orders).await,
        Action::DrainAlone => {
            let done = Arc::new(AtomicUsize::new(0));
            let pool = pool(url, ALONE_SLOTS as u32).await?;
            let builder = WorkerBuilder::new("bench", pool.clone())
                .slots("main", ALONE_SLOTS)
                .handler(Paid(Arc::clone(&done)));
            timed(builder, &pool, &done, orders).await
        }
        Action::Pickup => pickup(url, tasks).await,
        Action::Hold => {
            let builder = WorkerBuilder::new("bench", pool(url, 4).await?).slots("main", tasks);
            let _started = Started::new(builder.handler(Hold(Arc::default()))).await?;
            std::future::pending().await
        }
        Action::Share => share(url).await,
        Action::Idle => idle(url, tasks, orders.seconds).await,
        Action::Load => load::run(orders).await,
    }
}

async fn fill(url: &str, tasks: usize, bytes: usize) -> Result<Answer, BoxError> {
    let mut conn = PgConnection::connect(url).await?;
    let bells = pool(url, 1).await?;
    let clock = Clock::start();
    for first in (0..tasks).step_by(BATCH) {
        let mut tx = conn.begin().await?;
        let mut batch = Batch::new();
        for job in first..tasks.min(first + BATCH) {
            batch.add(noop(job as u64, bytes));
        }
        let made = batch.insert(&mut tx).await?;
        tx.commit().await?;
        made.bell.ring(&bells).await;
    }
    Ok(clock.stop(tasks))
}

async fn enqueue(url: &str, tasks: usize) -> Result<Answer, BoxError> {
    let (pool, bells) = (pool(url, CLIENTS as u32).await?, pool(url, 1).await?);
    let clock = Clock::start();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (mut conn, bells) = (pool.acquire().await?, bells.clone());
        clients.spawn(async move {
            for job in 0..tasks / CLIENTS {
                noop(job as u64, 0).enqueue(&mut conn).await?.bell.ring(&bells).await;
            }
            Ok::<(), BoxError>(())
        });
    }
    while let Some(client) = clients.join_next().await {
        client??;
    }
    Ok(clock.stop(tasks / CLIENTS * CLIENTS))
}

async fn drain(url: &str, orders: &Orders) -> Result<Answer, BoxError> {
    let done = Arc::new(AtomicUsize::new(0));
    let pool = pool(url, 4).await?;
    let mut builder = WorkerBuilder::new("bench", pool.clone());
    let _lines = orders.telemetry.map(Telemetry::install).transpose()?;
    builder = match orders.telemetry {
        Some(_) => builder.handler(Told(Arc::clone(&done))),
        None => builder.handler(Noop(Arc::clone(&done))),
    };
    if orders.config == Config::Tuned {
        builder = builder.slots("main", TUNED_SLOTS);
    }
    timed(builder, &pool, &done, orders).await
}

async fn timed(
    builder: WorkerBuilder,
    pool: &PgPool,
    done: &AtomicUsize,
    orders: &Orders,
) -> Result<Answer, BoxError> {
    let clock = Clock::start();
    let worker = Started::new(builder).await?;
    while done.load(Ordering::Relaxed) < orders.tasks && !clock.is_over(orders.give_up) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let count = done.load(Ordering::Relaxed);
    while count >= orders.tasks && !is_drained(pool).await? {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let answer = clock.stop(count);
    worker.stop().await;
    Ok(answer)
}

/// Until nothing is left; the answer tells how much was its own.
async fn share(url: &str) -> Result<Answer, BoxError> {
    let done = Arc::new(AtomicUsize::new(0));
    let pool = pool(url, 2).await?;
    let builder = WorkerBuilder::new("bench", pool.clone()).handler(Noop(Arc::clone(&done)));
    let clock = Clock::start();
    let worker = Started::new(builder).await?;
    let mut before = usize::MAX;
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = done.load(Ordering::Relaxed);
        if now == before && is_drained(&pool).await? {
            break;
        }
        before = now;
    }
    let answer = clock.stop(done.load(Ordering::Relaxed));
    worker.stop().await;
    Ok(answer)
}

async fn pickup(url: &str, count: usize) -> Result<Answer, BoxError> {
    let pool = pool(url, 4).await?;
    let stamps = Arc::new(Mutex::new(Vec::with_capacity(count)));
    let builder = WorkerBuilder::new("bench", pool.clone()).handler(Stamp(Arc::clone(&stamps)));
    let worker = Started::new(builder).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let mut sent = Vec::with_capacity(count);
    let mut conn = pool.acquire().await?;
    let clock = Clock::start();
    for job in 0..count as u64 {
        tick.tick().await;
        sent.push(Instant::now());
        noop(job, 0).enqueue(&mut conn).await?.bell.ring(&pool).await;
    }
    while lock(&stamps).len() < count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut latencies = Histogram::default();
    for (job, at) in lock(&stamps).iter() {
        latencies.record(*at - sent[*job as usize]);
    }
    let answer = clock.stop_with(&latencies);
    worker.stop().await;
    Ok(answer)
}

/// That many workers in one process, without work.
async fn idle(url: &str, workers: usize, seconds: u64) -> Result<Answer, BoxError> {
    let mut started = Vec::with_capacity(workers);
    for _ in 0..workers {
        let pool = PgPool::connect_lazy(url)?;
        started.push(Started::new(WorkerBuilder::new("idle", pool).handler(Noop(Arc::default()))).await?);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    say(&Began { started: workers })?;
    let clock = Clock::start();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    Ok(clock.stop(workers))
}

//! Open loop: tasks are sent when they are due, whether or not those before them are done.
//!
//! Latency counts from the moment at which a task should have been sent, so that a stall of the sender is not forgotten.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use spool_queue::{Batch, Done, Failure, Handler, Run, WorkerBuilder};
use sqlx::PgPool;
use tokio::task::JoinSet;

use super::{
    Answer, Clock, Orders,
    spool::{Started, lock, noop},
};
use crate::{
    database::pool,
    figures::{BoxError, Histogram},
};

const SENDERS: usize = 4;
/// Tasks of one statement at most.
const LARGEST: u64 = 200;
/// Without a rate, as many may be on their way.
const OUTSTANDING: u64 = 4000;

#[derive(serde::Deserialize)]
struct Numbered {
    job: u64,
}

/// When each task is due.
#[derive(Clone, Copy)]
struct Schedule {
    started: Instant,
    rate: u64,
    end: Duration,
}

impl Schedule {
    fn due(&self, job: u64) -> Instant {
        self.started + Duration::from_secs_f64(job as f64 / self.rate as f64)
    }

    /// How many are due by now.
    fn by_now(&self, done: u64) -> u64 {
        if self.rate == 0 {
            return done + OUTSTANDING;
        }
        (self.started.elapsed().as_secs_f64() * self.rate as f64) as u64
    }

    fn is_over(&self) -> bool {
        self.started.elapsed() >= self.end
    }
}

struct Timed {
    schedule: Schedule,
    done: Arc<AtomicU64>,
    latencies: Arc<Mutex<Histogram>>,
}

impl Handler for Timed {
    const KIND: &'static str = "noop";
    const QUEUE: &'static str = "main";
    const TIMEOUT: Duration = Duration::from_secs(30);
    type Payload = Numbered;

    async fn run(&self, task: Numbered, _: Run) -> Result<Done, Failure> {
        self.done.fetch_add(1, Ordering::Relaxed);
        if self.schedule.rate > 0 {
            lock(&self.latencies).record(self.schedule.due(task.job).elapsed());
        }
        Ok(Done::nothing())
    }
}

/// A load that goes on in this process.
pub(crate) struct Running {
    worker: Started,
    senders: JoinSet<Result<(), BoxError>>,
    sent: Arc<AtomicU64>,
    done: Arc<AtomicU64>,
    latencies: Arc<Mutex<Histogram>>,
}

impl Running {
    pub(crate) async fn start(url: &str, rate: u64, lasting: Duration) -> Result<Self, BoxError> {
        let pool = pool(url, SENDERS as u32 + 2).await?;
        let schedule = Schedule { started: Instant::now(), rate, end: lasting };
        let (done, latencies) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::default()));
        let handler = Timed { schedule, done: Arc::clone(&done), latencies: Arc::clone(&latencies) };
        let worker = Started::new(WorkerBuilder::new("bench", pool.clone()).handler(handler)).await?;
        let sent = Arc::new(AtomicU64::new(0));
        let mut senders = JoinSet::new();
        for _ in 0..SENDERS {
            senders.spawn(send(pool.clone(), schedule, Arc::clone(&sent), Arc::clone(&done)));
        }
        Ok(Self { worker, senders, sent, done, latencies })
    }

    /// The latencies since the last time that this was asked.
    pub(crate) fn take(&self) -> Histogram {
        std::mem::take(&mut lock(&self.latencies))
    }

    pub(crate) async fn finish(mut self) -> Result<(), BoxError> {
        while let Some(sender) = self.senders.join_next().await {
            sender??;
        }
        while self.done.load(Ordering::Relaxed) < self.sent.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.worker.stop().await;
        Ok(())
    }
}

async fn send(
    pool: PgPool,
    schedule: Schedule,
    sent: Arc<AtomicU64>,
    done: Arc<AtomicU64>,
) -> Result<(), BoxError> {
    let mut conn = pool.acquire().await?;
    while !schedule.is_over() {
        let due = schedule.by_now(done.load(Ordering::Relaxed));
        let claim = |first: u64| (first < due).then(|| due.min(first + LARGEST));
        let Ok(first) = sent.fetch_update(Ordering::AcqRel, Ordering::Acquire, claim) else {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        let mut batch = Batch::new();
        for job in first..due.min(first + LARGEST) {
            batch.add(noop(job, 0));
        }
        let mut tx = sqlx::Connection::begin(&mut *conn).await?;
        let made = batch.insert(&mut tx).await?;
        tx.commit().await?;
        made.bell.ring(&pool).await;
    }
    Ok(())
}

pub(super) async fn run(orders: &Orders) -> Result<Answer, BoxError> {
    let clock = Clock::start();
    let running =
        Running::start(&orders.database_url, orders.rate, Duration::from_secs(orders.seconds)).await?;
    let (done, latencies) = (Arc::clone(&running.done), Arc::clone(&running.latencies));
    running.finish().await?;
    if orders.rate == 0 {
        return Ok(clock.stop(done.load(Ordering::Relaxed) as usize));
    }
    let latencies = std::mem::take(&mut *lock(&latencies));
    Ok(clock.stop_with(&latencies))
}

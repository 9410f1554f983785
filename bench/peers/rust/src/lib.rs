//! What every peer of the benchmark has in common: its command line, its workloads, and the one line of JSON that it answers with.
//!
//! `<peer> <action> --config default|tuned --database-url URL --tasks N`; see `bench/README.md`.

use std::{
    any::Any,
    future::Future,
    io::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use clap::{Parser, ValueEnum};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use load::Load;

mod load;

pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Clients that enqueue one by one.
pub const CLIENTS: usize = 16;
/// Tasks of one batch.
pub const BATCH: usize = 1000;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Action {
    Setup,
    Fill,
    Enqueue,
    Drain,
    Pickup,
    Hold,
    Load,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Config {
    Default,
    Tuned,
}

#[derive(Clone, Parser)]
pub struct Arguments {
    pub action: Action,
    #[arg(long, default_value = "default")]
    pub config: Config,
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    #[arg(long, default_value_t = 1000)]
    pub tasks: usize,
    /// Tasks a second of `load`; 0: as much as goes through.
    #[arg(long, default_value_t = 0)]
    pub rate: usize,
    /// Of `load`.
    #[arg(long, default_value_t = 5)]
    pub seconds: u64,
}

impl Arguments {
    pub fn tuned(&self) -> bool {
        self.config == Config::Tuned
    }
}

/// The payload of every task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Payload {
    pub job: u64,
    pub scene: String,
}

impl Payload {
    pub fn new(job: u64) -> Self {
        Self { job, scene: "0190f3a1-7c1e-7000-8000-0123456789ab".to_owned() }
    }
}

/// What a handler does with a task.
#[derive(Clone)]
pub struct Work(Arc<Mode>);

enum Mode {
    Count(AtomicUsize),
    Stamp(Mutex<Vec<(u64, Instant)>>),
    Hold(AtomicUsize),
    Load(Load),
}

impl Work {
    pub async fn handle(&self, job: u64) {
        match &*self.0 {
            Mode::Count(done) => {
                done.fetch_add(1, Ordering::Relaxed);
            }
            Mode::Stamp(stamps) => {
                let now = Instant::now();
                stamps.lock().expect("no handler panics").push((job, now));
            }
            Mode::Hold(started) => {
                say(&serde_json::json!({"started": started.fetch_add(1, Ordering::Relaxed) + 1}));
                std::future::pending::<()>().await;
            }
            Mode::Load(load) => load.done(job),
        }
    }

    fn done(&self) -> usize {
        match &*self.0 {
            Mode::Count(count) | Mode::Hold(count) => count.load(Ordering::Relaxed),
            Mode::Stamp(stamps) => stamps.lock().expect("no handler panics").len(),
            Mode::Load(load) => load.count(),
        }
    }
}

/// Keeps a worker alive.
pub type Working = Box<dyn Any>;

/// One job queue.
pub trait Peer: Clone + Send + Sync + Sized + 'static {
    fn connect(arguments: &Arguments) -> impl Future<Output = Outcome<Self>> + Send;
    fn setup(&self) -> impl Future<Output = Outcome<()>>;
    fn enqueue(&self, payload: Payload) -> impl Future<Output = Outcome<()>> + Send;
    fn enqueue_many(&self, payloads: Vec<Payload>) -> impl Future<Output = Outcome<()>> + Send;
    /// Starts a worker. `slots`: as many tasks at once, where that is not what the configuration is about.
    fn work(&self, work: Work, slots: Option<usize>) -> impl Future<Output = Outcome<Working>>;
    /// Tasks that are not done yet, as the database shows.
    fn left(&self) -> impl Future<Output = Outcome<i64>> + Send;
}

/// Runs one action and answers.
pub async fn run<P: Peer>() -> Outcome<()> {
    let arguments = Arguments::parse();
    let peer = P::connect(&arguments).await?;
    let tasks = arguments.tasks;
    match arguments.action {
        Action::Setup => peer.setup().await?,
        Action::Fill => {
            let cpu = cpu_seconds();
            let started = Instant::now();
            for first in (0..tasks).step_by(BATCH) {
                let last = (first + BATCH).min(tasks);
                peer.enqueue_many((first..last).map(|job| Payload::new(job as u64)).collect()).await?;
            }
            answer(tasks, started, cpu, None);
        }
        Action::Enqueue => {
            let cpu = cpu_seconds();
            let started = Instant::now();
            let mut clients = JoinSet::new();
            for _ in 0..CLIENTS {
                let peer = peer.clone();
                clients.spawn(async move {
                    for job in 0..tasks / CLIENTS {
                        peer.enqueue(Payload::new(job as u64)).await?;
                    }
                    Outcome::Ok(())
                });
            }
            while let Some(client) = clients.join_next().await {
                client??;
            }
            answer(tasks / CLIENTS * CLIENTS, started, cpu, None);
        }
        Action::Drain => {
            let work = Work(Arc::new(Mode::Count(AtomicUsize::new(0))));
            let cpu = cpu_seconds();
            let started = Instant::now();
            let working = peer.work(work.clone(), None).await?;
            while work.done() < tasks {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            while peer.left().await? > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            answer(tasks, started, cpu, None);
            drop(working);
        }
        Action::Pickup => {
            let work = Work(Arc::new(Mode::Stamp(Mutex::default())));
            let working = peer.work(work.clone(), None).await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let cpu = cpu_seconds();
            let started = Instant::now();
            let mut tick = tokio::time::interval(Duration::from_millis(20));
            let mut sent = Vec::with_capacity(tasks);
            for job in 0..tasks {
                tick.tick().await;
                sent.push(Instant::now());
                peer.enqueue(Payload::new(job as u64)).await?;
            }
            while work.done() < tasks {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let Mode::Stamp(stamps) = &*work.0 else { unreachable!("it was made so above") };
            let stamps = stamps.lock().expect("no handler panics").clone();
            let millis = stamps.iter().map(|(job, at)| (*at - sent[*job as usize]).as_secs_f64() * 1e3);
            answer(tasks, started, cpu, Some(millis.collect()));
            drop(working);
        }
        Action::Load => {
            let work = Work(Arc::new(Mode::Load(Load::new(arguments.rate, arguments.seconds))));
            let working = peer.work(work.clone(), None).await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let cpu = cpu_seconds();
            let started = Instant::now();
            let Mode::Load(load) = &*work.0 else { unreachable!("it was made so above") };
            let sent = load.send(&peer).await?;
            while work.done() < sent {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            answer(sent, started, cpu, (arguments.rate > 0).then(|| load.millis()));
            drop(working);
        }
        Action::Hold => {
            let work = Work(Arc::new(Mode::Hold(AtomicUsize::new(0))));
            let _working = peer.work(work, Some(tasks)).await?;
            std::future::pending::<()>().await;
        }
    }
    // Not every peer's worker can be stopped in bounded time.
    std::process::exit(0);
}

fn say(line: &serde_json::Value) {
    println!("{line}");
    let _ = std::io::stdout().flush();
}

fn answer(tasks: usize, started: Instant, cpu: f64, millis: Option<Vec<f64>>) {
    let seconds = started.elapsed().as_secs_f64();
    let mut answer = serde_json::json!({
        "tasks": tasks, "seconds": seconds, "cpu_seconds": cpu_seconds() - cpu, "peak_mb": peak_mb(),
    });
    if let Some(mut millis) = millis {
        millis.sort_by(f64::total_cmp);
        let at = |share: f64| millis[((millis.len() as f64 * share) as usize).min(millis.len() - 1)];
        answer["p50_ms"] = at(0.5).into();
        answer["p99_ms"] = at(0.99).into();
    }
    say(&answer);
}

/// User and system time of this process; the kernel's ticks are hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|text| text.trim().split(' ').next()?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

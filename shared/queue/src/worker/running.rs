//! A worker that runs, and how it stops.

use std::{io, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use apalis_core::worker::builder::WorkerBuilder as ApalisBuilder;
use futures::FutureExt;
use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    id::WorkerId,
    metrics,
    run::StopReason,
    worker::{
        backend::{LaneBackend, LaneService},
        beat, claimer, completer,
        core::{Backoff, Core},
        expire, listener, lookout, maintain, reaper, reporter, scheduler, vacuum,
    },
};

/// Ended runs that wait to be written.
const ENDED: usize = 2048;
/// After the grace: handlers are told to stop, then dropped; then what ended is written.
const HAND_BACK: Duration = Duration::from_secs(5);
const LAST_WRITES: Duration = Duration::from_secs(5);

/// A worker that runs until its shutdown token is triggered. Dropping this does not stop it.
#[derive(Debug)]
#[must_use = "wait for it with `finished`, or its tasks are not handed back when the program ends"]
pub struct Worker {
    core: CoreHandle,
    whole: JoinHandle<()>,
}

struct CoreHandle(Arc<Core>);

impl std::fmt::Debug for CoreHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Core").field(&self.0.name).field(&self.0.id()).finish()
    }
}

impl Worker {
    /// Starts everything and returns when the worker is registered.
    pub(crate) async fn start(core: Arc<Core>, shutdown: CancellationToken, grace: Duration) -> Self {
        let (healthy, since) = watch::channel(None);
        // A shutdown that comes while the database cannot be reached ends the attempt to register.
        let registered = tokio::select! {
            registered = beat::register(&core, &healthy) => registered,
            () = shutdown.cancelled() => false,
        };
        let whole = if registered {
            tokio::spawn(supervise(Arc::clone(&core), healthy, since, shutdown, grace))
        } else {
            tokio::spawn(async {})
        };
        Self { core: CoreHandle(core), whole }
    }

    /// The number of this process start; another one after the worker was given up for dead and came back.
    pub fn id(&self) -> WorkerId {
        self.core.0.id()
    }

    /// Waits until it has shut down.
    pub async fn finished(self) {
        if let Err(error) = self.whole.await {
            tracing::error!(worker = %self.core.0.name, error = %error, "the worker ended unexpectedly");
        }
    }
}

async fn supervise(
    core: Arc<Core>,
    healthy: beat::Healthy,
    since: watch::Receiver<Option<beat::Contact>>,
    shutdown: CancellationToken,
    grace: Duration,
) {
    let (ended, to_complete) = mpsc::channel(ENDED);
    let completer = tokio::spawn(completer::run(Arc::clone(&core), to_complete));
    let mut loops = JoinSet::new();
    let shared = || Arc::clone(&core);
    let kept = shared();
    loops.spawn(keep("heartbeat", shared(), move || beat::run(Arc::clone(&kept), healthy.clone())));
    let kept = shared();
    loops.spawn(keep("reap", shared(), move || reaper::run(Arc::clone(&kept), since.clone())));
    loops.spawn(keep_alone("look", shared(), lookout::run));
    loops.spawn(keep_alone("maintain", shared(), maintain::run));
    loops.spawn(keep_alone("vacuum", shared(), vacuum::run));
    loops.spawn(keep_alone("schedule", shared(), scheduler::run));
    loops.spawn(keep_alone("expire", shared(), expire::run));
    loops.spawn(keep_alone("progress", shared(), reporter::run));
    if core.listen {
        loops.spawn(keep_alone("listen", shared(), listener::run));
    }
    let mut claimers = JoinSet::new();
    let mut lanes = JoinSet::new();
    let stop_lanes = CancellationToken::new();
    for lane in &core.lanes {
        let (tasks, claimed) = mpsc::channel(lane.slots.clamp(1, 1024));
        claimers.spawn(claimer::run(Arc::clone(&core), Arc::clone(lane), tasks));
        let service = LaneService { core: Arc::clone(&core), lane: Arc::clone(lane), ended: ended.clone() };
        let worker = ApalisBuilder::new(format!("{}/{}", core.name, lane.queue))
            .backend(LaneBackend::new(claimed))
            .build(service);
        let stop = stop_lanes.clone();
        lanes.spawn(async move {
            worker
                .run_until(async move {
                    stop.cancelled().await;
                    Ok::<(), io::Error>(())
                })
                .await
        });
    }
    drop(ended);
    shutdown.cancelled().await;
    tracing::info!(worker = %core.name, "shutting down: no more claims");
    core.stopping.cancel();
    while claimers.join_next().await.is_some() {}
    if !wait_idle(&core, grace).await {
        tracing::warn!(worker = %core.name, "the grace is over: handing back what still runs");
        core.stop_all(StopReason::Shutdown);
        wait_idle(&core, HAND_BACK).await;
    }
    stop_lanes.cancel();
    core.ending.cancel();
    let lanes_ended = async { while lanes.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_WRITES, lanes_ended).await.is_err() {
        tracing::warn!(worker = %core.name, "handlers that cannot be stopped are left behind; their tasks will be rescued");
        lanes.abort_all();
    }
    drop(tokio::time::timeout(LAST_WRITES, completer).await);
    // What a loop is in the middle of may stand still with its connection.
    let loops_ended = async { while loops.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_WRITES, loops_ended).await.is_err() {
        loops.abort_all();
    }
    match tokio::time::timeout(LAST_WRITES, beat::hand_back_rest(&core)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => core.failed("hand back", &error),
        Err(_) => core.failed("hand back", &sqlx::Error::PoolTimedOut),
    }
    match tokio::time::timeout(LAST_WRITES, beat::sign_off(&core)).await {
        Ok(Ok(())) => tracing::info!(worker = %core.name, "signed off"),
        Ok(Err(error)) => core.failed("sign off", &error),
        Err(_) => core.failed("sign off", &sqlx::Error::PoolTimedOut),
    }
}

/// A row that a loop cannot even read (a time of another age) breaks it off; it goes on, and the worker with it.
async fn keep<F: Future<Output = ()>>(name: &'static str, core: Arc<Core>, start: impl Fn() -> F) {
    let mut backoff = Backoff::new();
    while AssertUnwindSafe(start()).catch_unwind().await.is_err() {
        tracing::error!(worker = %core.name, operation = name, "a loop of the worker panicked and is started again");
        metrics::database_error(name);
        if core.ending.is_cancelled() {
            return;
        }
        backoff.pause().await;
    }
}

async fn keep_alone<F: Future<Output = ()>>(name: &'static str, core: Arc<Core>, run: fn(Arc<Core>) -> F) {
    let own = Arc::clone(&core);
    keep(name, core, || run(Arc::clone(&own))).await;
}

/// Whether everything that ran has ended, and that is written, within the time.
async fn wait_idle(core: &Core, time: Duration) -> bool {
    let end = Instant::now() + time;
    while !core.is_idle() {
        if Instant::now() >= end {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    true
}

//! How a worker is put together and started.

use std::{collections::BTreeMap, time::Duration};

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{
    error::WorkerError,
    handler::{Handler, Registered},
    id::WorkerId,
};

/// Slots of a queue that was not given any.
pub const DEFAULT_SLOTS: usize = 256;

/// Puts a worker together.
#[must_use = "a worker does nothing until it is started"]
pub struct WorkerBuilder {
    pub(crate) name: String,
    pub(crate) pool: PgPool,
    pub(crate) lease: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) poll: Duration,
    pub(crate) pgbouncer: bool,
    pub(crate) slots: BTreeMap<String, usize>,
    pub(crate) handlers: Vec<Registered>,
}

impl WorkerBuilder {
    /// `name` is for people; restarts under the same name are different workers. `pool` is for the handlers; the worker
    /// opens a few connections of its own with the same options.
    pub fn new(name: impl Into<String>, pool: PgPool) -> Self {
        Self {
            name: name.into(),
            pool,
            lease: Duration::from_secs(10),
            heartbeat: Duration::from_secs(3),
            poll: Duration::from_millis(600),
            pgbouncer: false,
            slots: BTreeMap::new(),
            handlers: Vec::new(),
        }
    }

    /// How long the worker's tasks are safe without a heartbeat; 10 s by default.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How often the lease is renewed; 3 s by default.
    pub fn heartbeat(mut self, heartbeat: Duration) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    /// How often an idle worker looks without having heard the doorbell; 600 ms by default, with jitter.
    pub fn poll(mut self, poll: Duration) -> Self {
        self.poll = poll;
        self
    }

    /// Behind PgBouncer in transaction mode: no LISTEN, and every statement inside a transaction.
    pub fn pgbouncer(mut self, pgbouncer: bool) -> Self {
        self.pgbouncer = pgbouncer;
        self
    }

    /// How many tasks of a queue may run here at the same time; 256 by default.
    pub fn slots(mut self, queue: impl Into<String>, slots: usize) -> Self {
        self.slots.insert(queue.into(), slots);
        self
    }

    /// Adds the handler of a kind; its queue is served from then on.
    pub fn handler<H: Handler>(mut self, handler: H) -> Self {
        self.handlers.push(Registered::new(handler));
        self
    }

    /// Registers the worker and starts it. Returns when it can claim; a database that cannot be reached is waited for.
    ///
    /// # Errors
    /// When the worker was put together wrongly.
    pub async fn start(self, _shutdown: CancellationToken, _grace: Duration) -> Result<Worker, WorkerError> {
        Ok(Worker {})
    }

    /// Runs the worker until `shutdown` is triggered, then stops claiming, waits up to `grace` for what runs, and hands the rest back.
    ///
    /// # Errors
    /// When the worker was put together wrongly. Nothing else ends it: it survives the database.
    pub async fn run_until(self, shutdown: CancellationToken, grace: Duration) -> Result<(), WorkerError> {
        self.start(shutdown, grace).await?.finished().await;
        Ok(())
    }
}

/// A worker that runs.
pub struct Worker {}

impl Worker {
    /// The number of this process start; another one when the worker was given up for dead and came back.
    pub fn id(&self) -> WorkerId {
        WorkerId(0)
    }

    /// Waits until it has shut down.
    pub async fn finished(self) {}
}

//! How a worker is put together.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    claim::{DEADLINE_SLACK, Kinds},
    error::WorkerError,
    handler::{Handler, Registered},
    inspect::TaskView,
    worker::{
        core::{Core, Lane},
        drain,
        running::Worker,
    },
};

/// Slots of a queue that was not given any.
const DEFAULT_SLOTS: usize = 256;

/// History that is kept unless something else was said.
const DEFAULT_RETENTION: Duration = Duration::from_secs(90 * 86_400);

/// Puts a worker together.
#[must_use = "a worker does nothing until it is started"]
pub struct WorkerBuilder {
    name: String,
    pool: PgPool,
    lease: Duration,
    heartbeat: Duration,
    poll: Duration,
    retention: Duration,
    pgbouncer: bool,
    slots: BTreeMap<String, usize>,
    handlers: Vec<Registered>,
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
            poll: Duration::from_millis(750),
            retention: DEFAULT_RETENTION,
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

    /// How often the lease is renewed; 3 s by default. At most a third of the lease.
    pub fn heartbeat(mut self, heartbeat: Duration) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    /// How often an idle worker looks without having heard the doorbell; 750 ms by default, with jitter.
    pub fn poll(mut self, poll: Duration) -> Self {
        self.poll = poll;
        self
    }

    /// How long ended tasks and runs are kept at least; 90 days by default. They go by whole months, so up to a month later.
    ///
    /// Whichever worker has the turn does it for all, so give all the same. With the history go dead tasks, which can then not be retried any more,
    /// and outputs: a task that waits for longer than this must not need the output of another. `Duration::MAX` keeps everything.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
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
    pub async fn start(self, shutdown: CancellationToken, grace: Duration) -> Result<Worker, WorkerError> {
        let core = self.build()?;
        Ok(Worker::start(Arc::new(core), shutdown, grace).await)
    }

    /// Runs the worker until `shutdown` is triggered, then stops claiming, waits up to `grace` for what runs, and hands the rest back.
    ///
    /// # Errors
    /// When the worker was put together wrongly. Nothing else ends it: it outlives the database.
    pub async fn run_until(self, shutdown: CancellationToken, grace: Duration) -> Result<(), WorkerError> {
        self.start(shutdown, grace).await?.finished().await;
        Ok(())
    }

    /// For tests: runs the real worker until its queues are empty, that is, until nothing in them runs or could run now. Tasks that
    /// wait for a later time, for something outside or for tasks that do stay; paused queues count as empty. Returns the tasks of
    /// its queues that ended meanwhile, in the order of their numbers.
    ///
    /// ```no_run
    /// # async fn example(pool: sqlx::PgPool, handler: impl spool_queue::Handler) -> Result<(), spool_queue::WorkerError> {
    /// use spool_queue::{TaskState, WorkerBuilder};
    /// let ended = WorkerBuilder::new("test", pool).handler(handler).drain().await?;
    /// assert!(ended.iter().all(|task| task.state == TaskState::Succeeded));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the worker was put together wrongly, or the database refuses.
    pub async fn drain(self) -> Result<Vec<TaskView>, WorkerError> {
        let pool = self.pool.clone();
        let queues = self.handlers.iter().map(|handler| handler.queue.to_owned()).collect();
        drain::drain(self, pool, queues).await
    }

    fn build(self) -> Result<Core, WorkerError> {
        let setting = |why: &str| WorkerError::Setting { name: self.name.clone(), why: why.to_owned() };
        if self.handlers.is_empty() {
            return Err(WorkerError::NoHandlers(self.name));
        }
        if self.heartbeat > self.lease / 3 {
            return Err(setting("the heartbeat must be no longer than a third of the lease"));
        }
        if self.heartbeat.is_zero() || self.poll.is_zero() {
            return Err(setting("heartbeat and poll must be longer than nothing"));
        }
        let mut by_queue: BTreeMap<&'static str, Vec<&Registered>> = BTreeMap::new();
        for handler in &self.handlers {
            by_queue.entry(handler.queue).or_default().push(handler);
        }
        let mut lanes = Vec::with_capacity(by_queue.len());
        for (queue, handlers) in by_queue {
            let slots = self.slots.get(queue).copied().unwrap_or(DEFAULT_SLOTS);
            if slots == 0 || slots > Semaphore::MAX_PERMITS / 2 {
                return Err(setting(&format!("the slots of queue {queue} must be at least 1")));
            }
            lanes.push(Arc::new(Lane::new(queue, slots, kinds(&handlers))));
        }
        let mut handlers = HashMap::with_capacity(self.handlers.len());
        for handler in self.handlers {
            let kind = handler.kind;
            if handlers.insert(kind, handler).is_some() {
                return Err(WorkerError::TwoHandlers(kind.to_owned()));
            }
        }
        Ok(Core::new(
            self.name,
            self.lease,
            self.heartbeat,
            self.poll,
            self.retention,
            self.pgbouncer,
            handlers,
            lanes,
            self.pool,
        ))
    }
}

fn kinds(handlers: &[&Registered]) -> Kinds {
    let mut kinds = Kinds::default();
    for handler in handlers {
        let deadline = handler.timeout.saturating_add(DEADLINE_SLACK).as_millis();
        kinds.names.push(handler.kind.to_owned());
        kinds.deadlines_ms.push(i32::try_from(deadline).unwrap_or(i32::MAX));
        kinds.max_attempts.push(i16::try_from(handler.retry.max_attempts()).unwrap_or(i16::MAX));
    }
    kinds
}

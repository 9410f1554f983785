//! A run without a database: what a test of a handler needs.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    claim::Claim,
    handler::{Handler, read},
    id::{LeaseToken, TaskId, WorkerId},
    outcome::{Done, Failure},
    parents::Parent,
    run::{Around, Run, Shared, StopReason},
};

/// What a test says instead of the database, and what the handler said to it.
#[derive(Debug)]
pub(crate) struct Pretended {
    now: Mutex<DateTime<Utc>>,
    reports: Mutex<Vec<(u8, String)>>,
    pub(crate) parents: Vec<Parent>,
}

impl Pretended {
    pub(crate) fn now(&self) -> DateTime<Utc> {
        *lock(&self.now)
    }

    pub(crate) fn report(&self, percent: u8, note: String) {
        lock(&self.reports).push((percent, note));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a handler in a test, without a database and without a worker.
///
/// The clock stands still unless the test moves it. A handler that uses [`Run::pool`] needs a [`TestRun::pool`], and one that calls
/// [`Run::check`] or [`Run::commit`] a task that really runs: see [`crate::WorkerBuilder::drain`].
///
/// ```
/// use spool_queue::{Done, Failure, Handler, Outcome, Run, TestRun};
///
/// struct Count;
///
/// impl Handler for Count {
///     const KIND: &'static str = "count";
///     const QUEUE: &'static str = "main";
///     const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
///     type Payload = u8;
///
///     async fn run(&self, until: u8, run: Run) -> Result<Done, Failure> {
///         for n in 1..=until {
///             run.progress(n * 100 / until, format!("at {n}"));
///         }
///         Done::output(&until)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let test = TestRun::new();
/// let done = test.perform(&Count, &2).await.unwrap();
/// assert!(matches!(done, Done::Outcome(Outcome::Done(output)) if output == 2));
/// assert_eq!(test.reports(), [(50, "at 1".to_owned()), (100, "at 2".to_owned())]);
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a test run does nothing until a handler performs in it"]
pub struct TestRun {
    task: TaskId,
    token: LeaseToken,
    attempt: u16,
    max_attempts: Option<u16>,
    parks: u32,
    version: Option<i16>,
    group_key: Option<String>,
    share_key: Option<String>,
    pool: Option<PgPool>,
    shared: Arc<Shared>,
    pretended: Arc<Pretended>,
}

impl Default for TestRun {
    fn default() -> Self {
        Self::new()
    }
}

impl TestRun {
    /// The first attempt at task 1, claimed at the beginning of 2026.
    pub fn new() -> Self {
        let pretended = Pretended {
            now: Mutex::new(DateTime::from_timestamp(1_767_225_600, 0).unwrap_or_default()),
            reports: Mutex::default(),
            parents: Vec::new(),
        };
        Self {
            task: TaskId(1),
            token: LeaseToken(1),
            attempt: 1,
            max_attempts: None,
            parks: 0,
            version: None,
            group_key: None,
            share_key: None,
            pool: None,
            shared: Arc::new(Shared::new()),
            pretended: Arc::new(pretended),
        }
    }

    /// The task.
    pub fn task(mut self, task: TaskId) -> Self {
        self.task = task;
        self
    }

    /// The fence.
    pub fn token(mut self, token: LeaseToken) -> Self {
        self.token = token;
        self
    }

    /// The number of the attempt, from 1.
    pub fn attempt(mut self, attempt: u16) -> Self {
        self.attempt = attempt;
        self
    }

    /// Instead of what the handler's policy says.
    pub fn max_attempts(mut self, attempts: u16) -> Self {
        self.max_attempts = Some(attempts);
        self
    }

    /// How often the task has parked.
    pub fn parks(mut self, parks: u32) -> Self {
        self.parks = parks;
        self
    }

    /// The version of the payload, if not the handler's.
    pub fn version(mut self, version: i16) -> Self {
        self.version = Some(version);
        self
    }

    /// What the task belongs to.
    pub fn group_key(mut self, key: impl Into<String>) -> Self {
        self.group_key = Some(key.into());
        self
    }

    /// Whose work it is.
    pub fn share_key(mut self, key: impl Into<String>) -> Self {
        self.share_key = Some(key.into());
        self
    }

    /// The tasks that it waited for.
    pub fn parents(mut self, parents: Vec<Parent>) -> Self {
        let (now, reports) = (self.pretended.now(), self.reports());
        self.pretended = Arc::new(Pretended { now: Mutex::new(now), reports: Mutex::new(reports), parents });
        self
    }

    /// For a handler that needs a database of its own.
    pub fn pool(mut self, pool: PgPool) -> Self {
        self.pool = Some(pool);
        self
    }

    /// Sets the clock, before or while the handler performs.
    pub fn set_now(&self, now: DateTime<Utc>) {
        *lock(&self.pretended.now) = now;
    }

    /// Tells the handler to stop, before or while it performs.
    pub fn stop(&self, reason: StopReason) {
        self.shared.stop(reason);
    }

    /// What it has said of its progress, all of it, in order.
    pub fn reports(&self) -> Vec<(u8, String)> {
        lock(&self.pretended.reports).clone()
    }

    /// Lets a handler do a task with this payload, which goes through JSON and the handler's `upcast` as in a worker.
    ///
    /// # Errors
    /// What the handler says; [`Failure::fail`] when the payload is not one of its own.
    pub async fn perform<H: Handler>(
        &self,
        handler: &H,
        payload: &(impl Serialize + Sync + ?Sized),
    ) -> Result<Done, Failure> {
        let payload = serde_json::to_string(payload)?;
        let version = self.version.unwrap_or(H::VERSION);
        let read = read::<H>(version, &payload)?;
        let claim = Claim {
            task: self.task,
            token: self.token,
            worker: WorkerId(1),
            attempt: self.attempt,
            max_attempts: self.max_attempts,
            parks: self.parks,
            version,
            kind: H::KIND.to_owned(),
            payload,
            group_key: self.group_key.clone(),
            share_key: self.share_key.clone(),
            timeout: None,
            claimed_at: self.pretended.now(),
            has_children: false,
            waited: 0.0,
        };
        let pool = self.pool.clone().unwrap_or_else(nowhere);
        let around = Around::Test(Arc::clone(&self.pretended));
        let run = Run::new(claim, H::RETRY, H::TIMEOUT, pool, Arc::clone(&self.shared), around);
        handler.run(read, run).await
    }
}

/// A pool whose first use fails soon and says why.
fn nowhere() -> PgPool {
    let options = PgConnectOptions::new().host("a-test-run-has-no-database.invalid");
    PgPoolOptions::new().acquire_timeout(Duration::from_secs(1)).connect_lazy_with(options)
}

//! What a handler knows about its run, and how it writes within its own transaction.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use tokio_util::sync::CancellationToken;

use crate::{
    bell::Bell,
    claim::Claim,
    ending::{Attempt, End, Ending, writable},
    error::{CommitError, LeaseLost},
    finish::{self, Fence, Written},
    id::{LeaseToken, TaskId, WorkerId},
    metrics,
    outcome::{Committed, Done, Outcome},
    progress::{Board, Report},
    retry::RetryPolicy,
    testing::Pretended,
};

/// Why a run was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The task was canceled.
    Canceled,
    /// Another worker has the task, or will have it; nothing this run writes will be accepted.
    LeaseLost,
    /// The worker shuts down; the task goes back without using an attempt.
    Shutdown,
}

/// The shared part of a run: the handler's side and the worker's side look at the same.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) stop: CancellationToken,
    /// The answer to the claim came then.
    since: Instant,
    reason: AtomicU8,
    written: AtomicU8,
    percent: AtomicU8,
    reported: AtomicBool,
    /// The word for what the handler last tried to commit.
    word: Mutex<Option<&'static str>>,
}

const OPEN: u8 = 0;
const UNKNOWN: u8 = 1;
const WRITTEN: u8 = 2;
const REFUSED: u8 = 3;

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            stop: CancellationToken::new(),
            since: Instant::now(),
            reason: AtomicU8::new(0),
            written: AtomicU8::new(OPEN),
            percent: AtomicU8::new(0),
            reported: AtomicBool::new(false),
            word: Mutex::default(),
        }
    }

    /// The first reason stays.
    pub(crate) fn stop(&self, reason: StopReason) {
        let code = match reason {
            StopReason::Canceled => 1,
            StopReason::LeaseLost => 2,
            StopReason::Shutdown => 3,
        };
        let _ = self.reason.compare_exchange(0, code, Ordering::AcqRel, Ordering::Acquire);
        self.stop.cancel();
    }

    pub(crate) fn reason(&self) -> Option<StopReason> {
        match self.reason.load(Ordering::Acquire) {
            1 => Some(StopReason::Canceled),
            2 => Some(StopReason::LeaseLost),
            3 => Some(StopReason::Shutdown),
            _ => None,
        }
    }

    /// The handler has written, or tried to write, its own outcome: a stale answer is then no news.
    pub(crate) fn wrote_itself(&self) -> bool {
        self.written.load(Ordering::Acquire) != OPEN
    }

    /// The word for what the handler tried to commit, if it does not know whether it did.
    pub(crate) fn in_doubt(&self) -> Option<&'static str> {
        let unknown = self.written.load(Ordering::Acquire) == UNKNOWN;
        if unknown { *self.word.lock().unwrap_or_else(PoisonError::into_inner) } else { None }
    }

    /// Whether the handler has ever said how far it is.
    pub(crate) fn reported(&self) -> bool {
        self.reported.load(Ordering::Acquire)
    }
}

/// What a run lives in.
#[derive(Debug)]
pub(crate) enum Around {
    Worker(Arc<Board>),
    /// A test of the handler alone.
    Test(Arc<Pretended>),
}

/// One run of a task. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Run {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    claim: Claim,
    max_attempts: u16,
    policy: RetryPolicy,
    deadline: Instant,
    pool: PgPool,
    shared: Arc<Shared>,
    around: Around,
}

impl Run {
    pub(crate) fn new(
        claim: Claim,
        policy: RetryPolicy,
        timeout: Duration,
        pool: PgPool,
        shared: Arc<Shared>,
        around: Around,
    ) -> Self {
        let max_attempts = claim.max_attempts.unwrap_or(policy.max_attempts());
        let deadline = Instant::now() + timeout;
        Self { inner: Arc::new(Inner { claim, max_attempts, policy, deadline, pool, shared, around }) }
    }

    /// The task.
    pub fn task_id(&self) -> TaskId {
        self.inner.claim.task
    }

    /// The fence of this run.
    pub fn token(&self) -> LeaseToken {
        self.inner.claim.token
    }

    /// The worker process that runs it.
    pub fn worker_id(&self) -> WorkerId {
        self.inner.claim.worker
    }

    /// The kind of the task.
    pub fn kind(&self) -> &str {
        &self.inner.claim.kind
    }

    /// The version that the payload was enqueued with.
    pub fn version(&self) -> i16 {
        self.inner.claim.version
    }

    /// The number of this attempt, from 1. Runs that parked or were handed back do not count.
    pub fn attempt(&self) -> u16 {
        self.inner.claim.attempt
    }

    /// Whether a retry after this attempt would be the end.
    pub fn is_last_attempt(&self) -> bool {
        self.attempt() >= self.inner.max_attempts
    }

    /// How often the task has parked so far.
    pub fn parks(&self) -> u32 {
        self.inner.claim.parks
    }

    /// What the task belongs to.
    pub fn group_key(&self) -> Option<&str> {
        self.inner.claim.group_key.as_deref()
    }

    /// Whose work it is.
    pub fn share_key(&self) -> Option<&str> {
        self.inner.claim.share_key.as_deref()
    }

    /// How long the task was ready before this run claimed it.
    pub fn waited(&self) -> Duration {
        Duration::try_from_secs_f64(self.inner.claim.waited).unwrap_or_default()
    }

    /// The word for what this run has written with [`Run::commit`]: that of the queue's metrics, or `refused`. None while it has
    /// written nothing, or does not know whether it has.
    pub fn written(&self) -> Option<&'static str> {
        match self.shared().written.load(Ordering::Acquire) {
            WRITTEN => *self.shared().word.lock().unwrap_or_else(PoisonError::into_inner),
            REFUSED => Some("refused"),
            _ => None,
        }
    }

    /// The pool that the worker was given for its handlers.
    pub fn pool(&self) -> &PgPool {
        &self.inner.pool
    }

    /// Is triggered when the run should stop: the task was canceled, its lease lost, or the worker shuts down.
    /// A handler that does not stop soon after is dropped at its next await.
    pub fn canceled(&self) -> CancellationToken {
        self.inner.shared.stop.clone()
    }

    /// Why [`Run::canceled`] was triggered.
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.inner.shared.reason()
    }

    /// When the run is dropped if it has not ended.
    pub fn deadline(&self) -> Instant {
        self.inner.deadline
    }

    /// The time by the database's clock: that of the claim and what has passed since. A test sets it.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.inner.around {
            Around::Worker(_) => {
                let passed = TimeDelta::from_std(self.inner.shared.since.elapsed()).unwrap_or_default();
                self.inner.claim.claimed_at + passed
            }
            Around::Test(test) => test.now(),
        }
    }

    /// Says how far the run is, in percent, and what it is doing, for people: [`crate::inspect::task`] shows it.
    ///
    /// Costs nothing to call often: the last word is written about twice a second, together with those of other runs. Percent
    /// never goes back within a run. A run that has lost its lease reports in vain.
    pub fn progress(&self, percent: u8, note: impl Into<String>) {
        let percent = percent.min(100);
        let percent = self.shared().percent.fetch_max(percent, Ordering::AcqRel).max(percent);
        self.shared().reported.store(true, Ordering::Release);
        let note = writable(note.into());
        match &self.inner.around {
            Around::Worker(board) => {
                board.report(Report { task: self.task_id(), token: self.token(), percent, note });
            }
            Around::Test(test) => test.report(percent, note),
        }
    }

    pub(crate) fn around(&self) -> &Around {
        &self.inner.around
    }

    pub(crate) fn payload(&self) -> &str {
        &self.inner.claim.payload
    }

    pub(crate) fn fence(&self) -> Fence {
        Fence {
            task: self.inner.claim.task,
            token: self.inner.claim.token,
            worker: self.inner.claim.worker,
            attempt: self.inner.claim.attempt,
            claimed_at: self.inner.claim.claimed_at,
        }
    }

    pub(crate) fn has_children(&self) -> bool {
        self.inner.claim.has_children
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    pub(crate) fn ending(&self, end: End) -> Ending {
        let attempt =
            Attempt { number: self.attempt(), max: self.inner.max_attempts, policy: self.inner.policy };
        Ending::of(end, attempt, rand::random())
    }

    /// Guards an intermediate transaction: the lease is held now, and nobody can take it before the transaction ends.
    ///
    /// Call it after the rows that other transactions lock before the task (the job, for instance), never before.
    ///
    /// # Errors
    /// [`CommitError::LeaseLost`] when the lease was lost: roll back and stop.
    pub async fn check(&self, conn: &mut PgConnection) -> Result<(), CommitError> {
        let held = finish::hold(conn, self.task_id(), self.token())
            .await
            .map_err(|source| self.sql("checking the lease", source))?;
        if held { Ok(()) } else { Err(self.lost().into()) }
    }

    /// Writes the outcome in the caller's transaction, fenced by the lease, and commits. After it the queue writes nothing.
    ///
    /// # Errors
    /// When the lease was lost the transaction is rolled back, so none of its effects remain. When the commit itself fails
    /// the effect is unknown; return the error, the queue finds out by the token.
    pub async fn commit(
        &self,
        tx: Transaction<'_, Postgres>,
        outcome: impl Into<Outcome>,
    ) -> Result<Done, CommitError> {
        self.commit_with(tx, outcome, Bell::silent()).await
    }

    /// The same, and rings for tasks that were enqueued in the transaction.
    ///
    /// # Errors
    /// As [`Run::commit`].
    pub async fn commit_with(
        &self,
        mut tx: Transaction<'_, Postgres>,
        outcome: impl Into<Outcome>,
        mut bell: Bell,
    ) -> Result<Done, CommitError> {
        let shared = self.shared();
        let ending = self.ending(End::Said(outcome.into()));
        let written = finish::one(&mut tx, self.fence(), &ending)
            .await
            .map_err(|source| self.sql("writing the outcome", source))?;
        let Written::Yes(ring) = written else {
            drop(tx.rollback().await);
            shared.written.store(REFUSED, Ordering::Release);
            self.record_refused(&ending).await;
            return Err(self.lost().into());
        };
        *shared.word.lock().unwrap_or_else(PoisonError::into_inner) = Some(ending.word());
        shared.written.store(UNKNOWN, Ordering::Release);
        tx.commit().await.map_err(|source| self.sql("committing the outcome", source))?;
        shared.written.store(WRITTEN, Ordering::Release);
        metrics::ended(self.kind(), ending.word(), 1);
        bell.merge(Bell::of(ring));
        bell.ring(self.pool()).await;
        Ok(Done::Committed(Committed(())))
    }

    async fn record_refused(&self, ending: &Ending) {
        metrics::refused(self.kind());
        tracing::warn!(
            task_id = self.task_id().0,
            lease_token = self.token().0,
            "a late outcome was refused: the lease was lost"
        );
        let noted = match self.pool().acquire().await {
            Ok(mut conn) => finish::refused(&mut conn, self.fence(), ending.word()).await,
            Err(error) => Err(error),
        };
        if let Err(error) = noted {
            tracing::warn!(task_id = self.task_id().0, error = %error, "the refused outcome could not be recorded");
        }
    }

    pub(crate) fn lost(&self) -> LeaseLost {
        LeaseLost { task: self.task_id(), token: self.token() }
    }

    pub(crate) fn sql(&self, operation: &'static str, source: sqlx::Error) -> CommitError {
        CommitError::Sql { operation, task: self.task_id(), source }
    }
}

//! What the loops of one worker share.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::PgPool;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{
    bell::Bell,
    claim::{Claim, Kinds},
    handler::Registered,
    id::{TaskId, WorkerId},
    metrics,
    progress::Board,
    run::{Shared, StopReason},
    worker::{completer::FLUSHERS, session::Sessions},
};

pub(crate) struct Core {
    pub(crate) name: String,
    pub(crate) lease: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) poll: Duration,
    pub(crate) retention: Duration,
    pub(crate) listen: bool,
    pub(crate) handlers: HashMap<&'static str, Registered>,
    /// For the handlers.
    pub(crate) pool: PgPool,
    /// The same connections, for what must be written alone and at once.
    pub(crate) handlers_own: Sessions,
    /// For claims and completions.
    pub(crate) work: Sessions,
    /// For heartbeat, reaper, look-out, scheduler and housekeeping.
    pub(crate) watch: Sessions,
    pub(crate) lanes: Vec<Arc<Lane>>,
    pub(crate) beat_now: Notify,
    /// What its runs say of how far they are.
    pub(crate) board: Arc<Board>,
    /// Tasks that were claimed.
    pub(crate) claimed: AtomicU64,
    /// No more claims.
    pub(crate) stopping: CancellationToken,
    /// Everything of this worker ends.
    pub(crate) ending: CancellationToken,
    id: AtomicI64,
    live: Mutex<HashMap<i64, Live>>,
    /// Kinds and versions that came and that nobody here knows.
    strangers: Mutex<HashSet<(String, i16)>>,
}

/// One run that this process knows of, by its token, until its end is written.
pub(crate) struct Live {
    pub(crate) task: TaskId,
    pub(crate) shared: Arc<Shared>,
}

/// One queue of a worker.
pub(crate) struct Lane {
    pub(crate) queue: String,
    pub(crate) slots: usize,
    pub(crate) free: Semaphore,
    pub(crate) wake: Notify,
    pub(crate) kinds: Kinds,
    limited: AtomicBool,
}

impl Lane {
    pub(crate) fn new(queue: &str, slots: usize, kinds: Kinds) -> Self {
        Self {
            queue: queue.to_owned(),
            slots,
            free: Semaphore::new(slots),
            wake: Notify::new(),
            kinds,
            limited: AtomicBool::new(false),
        }
    }

    /// Whether the queue had limits when it was last looked at. One that has, without our knowing, gives nothing.
    pub(crate) fn is_limited(&self) -> bool {
        self.limited.load(Ordering::Relaxed)
    }

    pub(crate) fn set_limited(&self, limited: bool) {
        self.limited.store(limited, Ordering::Relaxed);
    }
}

/// A task on its way from the claimer to the handler.
pub(crate) struct Claimed {
    pub(crate) claim: Claim,
    pub(crate) shared: Arc<Shared>,
}

impl Core {
    #[expect(clippy::too_many_arguments, reason = "it is put together in one place")]
    pub(crate) fn new(
        name: String,
        lease: Duration,
        heartbeat: Duration,
        poll: Duration,
        retention: Duration,
        pgbouncer: bool,
        handlers: HashMap<&'static str, Registered>,
        lanes: Vec<Arc<Lane>>,
        pool: PgPool,
    ) -> Self {
        let work = Sessions::that_give_way(&pool, lanes.len() as u32 + 1 + FLUSHERS, pgbouncer);
        let watch = Sessions::for_rounds(&pool, 4, pgbouncer);
        let handlers_own = Sessions::over(pool.clone(), pgbouncer);
        Self {
            name,
            lease,
            heartbeat,
            poll,
            retention,
            listen: !pgbouncer,
            handlers,
            pool,
            handlers_own,
            work,
            watch,
            lanes,
            beat_now: Notify::new(),
            board: Arc::default(),
            claimed: AtomicU64::new(0),
            stopping: CancellationToken::new(),
            ending: CancellationToken::new(),
            id: AtomicI64::new(0),
            live: Mutex::default(),
            strangers: Mutex::default(),
        }
    }

    /// No answer for longer is an outage. A heartbeat is at most a third of the lease, so at any moment a living worker has
    /// more than this left: an outage that goes unnoticed costs nobody the lease.
    pub(crate) fn longest_silence(&self) -> Duration {
        self.lease / 2
    }

    pub(crate) fn id(&self) -> WorkerId {
        WorkerId(self.id.load(Ordering::Acquire))
    }

    pub(crate) fn set_id(&self, id: WorkerId) {
        self.id.store(id.0, Ordering::Release);
    }

    fn live(&self) -> MutexGuard<'_, HashMap<i64, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn admit(&self, claims: Vec<Claim>) -> Vec<Claimed> {
        let mut live = self.live();
        claims
            .into_iter()
            .map(|claim| {
                let shared = Arc::new(Shared::new());
                live.insert(claim.token.0, Live { task: claim.task, shared: Arc::clone(&shared) });
                Claimed { claim, shared }
            })
            .collect()
    }

    pub(crate) fn forget(&self, tokens: impl IntoIterator<Item = i64>) {
        let mut live = self.live();
        for token in tokens {
            live.remove(&token);
        }
    }

    pub(crate) fn with_live<T>(&self, look: impl FnOnce(&HashMap<i64, Live>) -> T) -> T {
        look(&self.live())
    }

    /// Whether nobody here has met this kind in this version before.
    pub(crate) fn is_new_stranger(&self, kind: &str, version: i16) -> bool {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        strangers.insert((kind.to_owned(), version))
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.live().is_empty()
    }

    pub(crate) fn stop_all(&self, reason: StopReason) {
        for live in self.live().values() {
            live.shared.stop(reason);
        }
    }

    /// Runs of these kinds have ended. In a queue with limits that makes room, of which other processes must hear.
    pub(crate) fn freed<'k>(&self, kinds: impl Iterator<Item = &'k str>) -> Bell {
        let mut bell = Bell::silent();
        if self.lanes.iter().any(|lane| lane.is_limited()) {
            for handler in kinds.filter_map(|kind| self.handlers.get(kind)) {
                if self.lanes.iter().any(|lane| lane.queue == handler.queue && lane.is_limited()) {
                    bell.add(handler.queue);
                }
            }
        }
        bell
    }

    /// Wakes this process's own claimers at once, those of others by the doorbell.
    pub(crate) async fn tell(&self, bell: Bell) {
        if !bell.is_silent() {
            for lane in &self.lanes {
                if bell.names(&lane.queue) {
                    lane.wake.notify_one();
                }
            }
            bell.ring(&self.work.pool()).await;
        }
    }

    /// Wakes the claimer of a queue, if this worker has it.
    pub(crate) fn wake(&self, queue: &str) {
        if let Some(lane) = self.lanes.iter().find(|lane| lane.queue == queue) {
            lane.wake.notify_one();
        }
    }

    pub(crate) fn wake_all(&self) {
        for lane in &self.lanes {
            lane.wake.notify_one();
        }
    }

    /// Counts and logs a failed statement of a loop, which goes on.
    pub(crate) fn failed(&self, operation: &'static str, error: &sqlx::Error) {
        metrics::database_error(operation);
        tracing::warn!(worker = %self.name, operation, error = %error, "the database did not answer; trying again");
    }
}

/// A pause between tries that does not hammer a database that is coming back, and does not beat in time with other workers.
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(50);
    const LAST: Duration = Duration::from_secs(1);

    pub(crate) const fn new() -> Self {
        Self { next: Self::FIRST }
    }

    pub(crate) fn reset(&mut self) {
        self.next = Self::FIRST;
    }

    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.next.mul_f64(0.5 + rand::random::<f64>())).await;
        self.next = (self.next * 2).min(Self::LAST);
    }
}

/// The database lives and refused this statement, or somebody held its rows for too long: others may go well.
pub(crate) fn is_of_one_row(error: &sqlx::Error) -> bool {
    // 57: the server shuts down. 08: the connection broke.
    let code = error.as_database_error().map(|error| error.code().unwrap_or_default());
    code.is_some_and(|code| !code.starts_with("57P") && !code.starts_with("08"))
}

pub(crate) fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(0.8 + 0.4 * rand::random::<f64>())
}

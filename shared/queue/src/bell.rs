//! The doorbell: tells sleeping workers that there is something to do. It carries no truth; polling finds the same.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{AssertSqlSafe, PgPool};

use crate::{metrics, task::NewTask};

/// The channel of NOTIFY. Messages: `w <queue>` something is ready there; `x` a running task was asked to stop.
pub(crate) const CHANNEL: &str = "spool_queue";
/// At most one NOTIFY per process and this long: its commit takes a lock that all databases of the server share.
const GAP: Duration = Duration::from_millis(2);

/// A connection that stands still must not silence the bell of this process.
const PATIENCE: Duration = Duration::from_secs(5);

/// What to tell the workers once the transaction is committed. A bell that is never rung costs latency, not tasks.
///
/// It also knows what was enqueued (`spool_queue_enqueued_total`) and what commands changed (`spool_queue_commands_total`), and counts
/// it when it is rung: only the caller knows that the transaction was committed. Drop it after a rollback, and ring it after a commit also when it is silent.
///
/// It is `#[must_use]`, and so is [`Enqueued`](crate::Enqueued), which has one: forgetting it is a warning.
///
/// ```compile_fail
/// #![deny(unused_must_use)]
/// # use spool_queue::{EnqueueError, NewTask};
/// # async fn example(conn: &mut sqlx::PgConnection) -> Result<(), EnqueueError> {
/// NewTask::new("mail", "light", 1, &"hello").enqueue(conn).await?;
/// # Ok(())
/// # }
/// ```
///
/// ```
/// #![deny(unused_must_use)]
/// # use spool_queue::{EnqueueError, NewTask};
/// # async fn example(pool: &sqlx::PgPool, conn: &mut sqlx::PgConnection) -> Result<(), EnqueueError> {
/// NewTask::new("mail", "light", 1, &"hello").enqueue(conn).await?.bell.ring(pool).await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
#[must_use = "ring it after the commit, or the task waits for the next poll"]
pub struct Bell {
    messages: BTreeSet<String>,
    enqueued: Vec<Tally>,
    commanded: BTreeMap<&'static str, u64>,
}

/// Tasks that were inserted, and not counted yet.
#[derive(Debug)]
struct Tally {
    queue: String,
    kind: String,
    tasks: u64,
}

impl Bell {
    /// Nothing to tell.
    pub const fn silent() -> Self {
        Self { messages: BTreeSet::new(), enqueued: Vec::new(), commanded: BTreeMap::new() }
    }

    /// Something is ready in these queues.
    pub(crate) fn of(queues: impl IntoIterator<Item = String>) -> Self {
        let messages = queues.into_iter().map(|queue| format!("w {queue}")).collect();
        Self { messages, ..Self::silent() }
    }

    /// These tasks count as enqueued when it is rung.
    pub(crate) fn count<'t>(&mut self, tasks: impl Iterator<Item = &'t NewTask>) {
        for task in tasks {
            match self.enqueued.last_mut() {
                Some(last) if last.queue == task.queue && last.kind == task.kind => last.tasks += 1,
                _ => {
                    self.enqueued.push(Tally {
                        queue: task.queue.clone(),
                        kind: task.kind.clone(),
                        tasks: 1,
                    });
                }
            }
        }
    }

    /// So many tasks count as changed by a command when it is rung.
    pub(crate) fn commanded(mut self, command: &'static str, tasks: usize) -> Self {
        if tasks > 0 {
            *self.commanded.entry(command).or_default() += tasks as u64;
        }
        self
    }

    fn counted(&mut self) {
        for Tally { queue, kind, tasks } in std::mem::take(&mut self.enqueued) {
            metrics::enqueued(queue, kind, tasks);
        }
        for (command, tasks) in std::mem::take(&mut self.commanded) {
            metrics::commanded(command, tasks);
        }
    }

    pub(crate) fn add(&mut self, queue: &str) {
        if !self.names(queue) {
            self.messages.insert(format!("w {queue}"));
        }
    }

    pub(crate) fn add_stop(&mut self) {
        self.messages.insert("x".to_owned());
    }

    pub(crate) fn names(&self, queue: &str) -> bool {
        self.messages.iter().any(|message| message.strip_prefix("w ") == Some(queue))
    }

    /// Both.
    pub fn merge(&mut self, other: Self) {
        self.messages.extend(other.messages);
        self.enqueued.extend(other.enqueued);
        for (command, tasks) in other.commanded {
            *self.commanded.entry(command).or_default() += tasks;
        }
    }

    /// Whether there is nothing to tell the workers.
    pub fn is_silent(&self) -> bool {
        self.messages.is_empty()
    }

    /// Tells the workers, in a statement of its own. Rings that come close together become one; a failure is only logged.
    ///
    /// Returns at once: the statement runs in the background on a connection of `pool`.
    #[expect(
        clippy::unused_async,
        reason = "callers await it, so that it may one day wait for the statement"
    )]
    pub async fn ring(mut self, pool: &PgPool) {
        self.counted();
        if self.messages.is_empty() {
            return;
        }
        let ringer = ringer(pool);
        lock(&ringer.waiting).extend(self.messages);
        if !ringer.busy.swap(true, Ordering::AcqRel) {
            tokio::spawn(drain(ringer, pool.clone()));
        }
    }

    /// The same for a program that is about to end: waits until it is told.
    ///
    /// # Errors
    /// When the database refuses; polling will find the tasks.
    pub async fn ring_now(mut self, pool: &PgPool) -> Result<(), sqlx::Error> {
        self.counted();
        if self.messages.is_empty() {
            return Ok(());
        }
        let messages: Vec<String> = self.messages.into_iter().collect();
        send(pool, &messages).await
    }
}

#[derive(Debug, Default)]
struct Ringer {
    waiting: Mutex<BTreeSet<String>>,
    busy: AtomicBool,
}

/// One per database that this process talks to.
static RINGERS: LazyLock<Mutex<HashMap<String, Arc<Ringer>>>> = LazyLock::new(Mutex::default);

fn ringer(pool: &PgPool) -> Arc<Ringer> {
    let options = pool.connect_options();
    let key = format!(
        "{}:{}/{}",
        options.get_host(),
        options.get_port(),
        options.get_database().unwrap_or_default()
    );
    Arc::clone(lock(&RINGERS).entry(key).or_default())
}

async fn drain(ringer: Arc<Ringer>, pool: PgPool) {
    /// A runtime that is shut down drops this task anywhere; the next ring must find the ringer free.
    struct Free(Arc<Ringer>);
    impl Drop for Free {
        fn drop(&mut self) {
            self.0.busy.store(false, Ordering::Release);
        }
    }
    loop {
        let free = Free(Arc::clone(&ringer));
        loop {
            let messages: Vec<String> = std::mem::take(&mut *lock(&ringer.waiting)).into_iter().collect();
            if messages.is_empty() {
                break;
            }
            let sent = tokio::time::timeout(PATIENCE, send(&pool, &messages)).await;
            if let Err(error) = sent.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
                tracing::debug!(error = %error, "the doorbell did not ring; polling will find the tasks");
            }
            tokio::time::sleep(GAP).await;
        }
        drop(free);
        // A message may have come between the last look and the release.
        if lock(&ringer.waiting).is_empty() || ringer.busy.swap(true, Ordering::AcqRel) {
            return;
        }
    }
}

/// By the simple protocol: one round trip, and nothing that PgBouncer would have to keep between two.
async fn send(pool: &PgPool, messages: &[String]) -> Result<(), sqlx::Error> {
    let calls: Vec<String> =
        messages.iter().map(|message| format!("pg_notify('{CHANNEL}', {})", literal(message))).collect();
    sqlx::raw_sql(AssertSqlSafe(format!("select {}", calls.join(", ")))).execute(pool).await?;
    Ok(())
}

/// As an escape string, which reads the same whatever `standard_conforming_strings` says.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_its_literal() {
        assert_eq!(literal("w main"), "E'w main'");
        assert_eq!(literal(r"w o'clock\"), r"E'w o''clock\\'");
    }

    #[test]
    fn a_queue_is_named_once() {
        let mut bell = Bell::silent();
        assert!(bell.is_silent());
        bell.add("light");
        bell.add("light");
        bell.merge(Bell::of(["light".to_owned(), "ffmpeg".to_owned()]));
        assert_eq!(bell.messages.into_iter().collect::<Vec<_>>(), ["w ffmpeg", "w light"]);
    }
}

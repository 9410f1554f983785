//! A task that is about to be enqueued.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use crate::{
    batch::{Batch, Enqueued},
    error::EnqueueError,
    unique::Unique,
};

/// Largest payload in bytes of JSON. Payloads name things; the things live elsewhere.
pub const PAYLOAD_LIMIT: usize = 64 * 1024;

/// One task, before it has a number.
///
/// ```
/// # use std::time::Duration;
/// # use spool_queue::NewTask;
/// # use sqlx::PgPool;
/// # async fn example(pool: &PgPool) -> Result<(), Box<dyn std::error::Error>> {
/// let mut tx = pool.begin().await?;
/// // ... what the task is about is written in the same transaction ...
/// let made = NewTask::new("mail", "light", 1, &serde_json::json!({ "to": "ann" }))
///     .priority(5)
///     .delay(Duration::from_secs(60))
///     .share_key("client 3")
///     .enqueue(&mut tx)
///     .await?;
/// tx.commit().await?;
/// made.bell.ring(pool).await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a task does nothing until it is enqueued"]
pub struct NewTask {
    pub(crate) kind: String,
    pub(crate) queue: String,
    pub(crate) version: i16,
    pub(crate) payload: Result<String, serde_json::Error>,
    pub(crate) priority: i16,
    pub(crate) start: Start,
    pub(crate) unique: Option<Unique>,
    pub(crate) group_key: Option<String>,
    pub(crate) share_key: Option<String>,
    pub(crate) max_attempts: Option<i16>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) deadline: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Now,
    In(Duration),
    At(DateTime<Utc>),
}

impl NewTask {
    /// A task of a kind in a queue. `version` is that of the payload's shape. A payload that is no JSON is reported when the task is enqueued.
    pub fn new(
        kind: impl Into<String>,
        queue: impl Into<String>,
        version: i16,
        payload: &(impl Serialize + ?Sized),
    ) -> Self {
        Self {
            kind: kind.into(),
            queue: queue.into(),
            version,
            payload: serde_json::to_string(payload),
            priority: 0,
            start: Start::Now,
            unique: None,
            group_key: None,
            share_key: None,
            max_attempts: None,
            timeout: None,
            deadline: None,
        }
    }

    /// A head start of one minute a point, before or (below 0) behind others; 0 is usual. What has waited long enough goes first.
    pub fn priority(mut self, priority: i16) -> Self {
        self.priority = priority;
        self
    }

    /// Not before this moment.
    pub fn run_at(mut self, at: DateTime<Utc>) -> Self {
        self.start = Start::At(at);
        self
    }

    /// Not before this long from now, by the database's clock.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.start = Start::In(delay);
        self
    }

    /// While a task of this kind with this key is in the queue, enqueuing another gives back the one that is there.
    /// Short for [`NewTask::unique`] with [`Unique::by_key`].
    pub fn unique_key(self, key: impl Into<String>) -> Self {
        self.unique(Unique::by_key(key))
    }

    /// What may be there only once: see [`Unique`].
    pub fn unique(mut self, unique: Unique) -> Self {
        self.unique = Some(unique);
        self
    }

    /// What the task belongs to: tasks of a group are listed and canceled together.
    pub fn group_key(mut self, key: impl Into<String>) -> Self {
        self.group_key = Some(key.into());
        self
    }

    /// Whose work it is: the key of fairness and of limits.
    pub fn share_key(mut self, key: impl Into<String>) -> Self {
        self.share_key = Some(key.into());
        self
    }

    /// Instead of what the handler's policy says; at least 1.
    pub fn max_attempts(mut self, attempts: u16) -> Self {
        self.max_attempts = Some(i16::try_from(attempts.max(1)).unwrap_or(i16::MAX));
        self
    }

    /// Instead of what the handler says.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Not worth doing after this moment. A task that still waits then (for its time, a slot, a signal or other tasks) fails with
    /// the class `deadline` within some seconds, and what waits for it is canceled unless its edge says otherwise.
    pub fn deadline(mut self, at: DateTime<Utc>) -> Self {
        self.deadline = Some(at);
        self
    }

    /// Enqueues this one task in the caller's transaction, in one statement.
    ///
    /// # Errors
    /// See [`EnqueueError`]; the transaction must then be rolled back.
    pub async fn enqueue(self, conn: &mut PgConnection) -> Result<Enqueued, EnqueueError> {
        let mut batch = Batch::new();
        batch.add(self);
        batch.insert(conn).await
    }

    pub(crate) fn checked_payload(&mut self) -> Result<String, EnqueueError> {
        let payload = std::mem::replace(&mut self.payload, Ok(String::new()))
            .map_err(|source| EnqueueError::Payload { kind: self.kind.clone(), source })?;
        if payload.len() > PAYLOAD_LIMIT {
            return Err(EnqueueError::TooLarge {
                kind: self.kind.clone(),
                bytes: payload.len(),
                limit: PAYLOAD_LIMIT,
            });
        }
        Ok(payload)
    }

    pub(crate) fn timeout_ms(&self) -> Option<i32> {
        self.timeout.map(|timeout| i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX).max(1))
    }
}

//! What may be in the queue only once, for how long, and what happens to the second.

use std::time::Duration;

/// What may be there only once among the tasks of a kind.
///
/// ```
/// use std::time::Duration;
/// use spool_queue::{Conflict, NewTask, Unique};
///
/// // One at a time: while it is in the queue, another gets its number.
/// let sync = NewTask::new("sync", "light", 1, &7).unique(Unique::by_key("account 7"));
/// // At most one mail of this text in a day, also when the first was sent long ago.
/// let mail = NewTask::new("mail", "light", 1, &"hello").unique(Unique::by_payload().within(Duration::from_secs(86_400)));
/// // Whoever changes the page wants one more index after the change: the waiting one is postponed, a running one does not count.
/// let index = NewTask::new("index", "light", 1, &"page 3")
///     .delay(Duration::from_secs(10))
///     .unique(Unique::by_key("page 3").while_waiting().on_conflict(Conflict::Replace));
/// # drop((sync, mail, index));
/// ```
///
/// | held | by | given up by |
/// | --- | --- | --- |
/// | (default) | a task in the queue, whatever its state | its end |
/// | [`while_waiting`](Self::while_waiting) | a task that waits to run, also between two attempts | its start |
/// | [`within`](Self::within) | a task in the queue, or enqueued less than the period ago | its end and the end of the period; failure; cancel |
/// | [`once_per`](Self::once_per) | a task enqueued in the running period | the end of the period; failure; cancel |
///
/// Two enqueuers at once: the second waits for the first one's commit, then finds the key taken. Keys of the default are apart from
/// the keys of the other three, so use one way for a key. A key longer than about 2,500 bytes is refused by Postgres.
///
/// A task that failed or was canceled and is [retried](crate::control::retry) takes its key again, unless another has it meanwhile.
///
/// A period does not depend on the retention of the history: the key is remembered by itself until the period is over. Only that its
/// holder failed cannot be known once the history has been dropped; then the key stays held until the end of the period.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "give it to NewTask::unique"]
pub struct Unique {
    pub(crate) by: By,
    pub(crate) span: Span,
    pub(crate) conflict: Conflict,
}

/// What happens when the key is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// Nothing is enqueued; the number of the task that has the key is given back.
    Skip,
    /// The task that has the key gets the payload, version, priority, start, deadline and all attempts of the new one, if it has not begun.
    /// One that runs or is parked is left as it is, as by `Skip`. [`Enqueued`](crate::Enqueued) says which of both happened.
    Replace,
    /// [`EnqueueError::Taken`](crate::EnqueueError::Taken).
    Report,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum By {
    Key(String),
    Payload,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    Queued,
    Waiting,
    Within(Duration),
    OncePer(Duration),
}

impl Unique {
    /// By a key of your choice.
    pub fn by_key(key: impl Into<String>) -> Self {
        Self { by: By::Key(key.into()), span: Span::Queued, conflict: Conflict::Skip }
    }

    /// By a digest of the payload. Payloads that are the same JSON are the same, in whatever order their fields stand; `1` and `1.0` are not.
    /// Postgres makes the digest (`queue.payload_key`), so every language gets the same; it refuses `\u0000` in such a payload.
    pub fn by_payload() -> Self {
        Self { by: By::Payload, span: Span::Queued, conflict: Conflict::Skip }
    }

    /// The key is held while its task waits to run. Once it runs another may be enqueued, and will see what the caller committed: finding the
    /// key taken locks the holder, so that it starts only after the caller's commit.
    pub fn while_waiting(mut self) -> Self {
        self.span = Span::Waiting;
        self
    }

    /// The key is held while its task is in the queue, and in any case for this long since it was enqueued.
    pub fn within(mut self, period: Duration) -> Self {
        self.span = Span::Within(period);
        self
    }

    /// One per period of the calendar: periods follow each other from 1970-01-01 UTC on, so hours and days are those of UTC. The last period's
    /// task does not hold the key in this one, even if it still waits.
    pub fn once_per(mut self, period: Duration) -> Self {
        self.span = Span::OncePer(period);
        self
    }

    /// Instead of [`Conflict::Skip`].
    pub fn on_conflict(mut self, conflict: Conflict) -> Self {
        self.conflict = conflict;
        self
    }
}

impl Span {
    /// The number of the span for `queue.take_keys`, and the period in milliseconds. None: the key is held by the task's own row.
    pub(crate) fn coded(self) -> Option<(i16, i64)> {
        let ms =
            |period: Duration| i64::try_from(period.as_millis()).unwrap_or(i64::MAX).clamp(1, LONGEST_MS);
        match self {
            Self::Queued => None,
            Self::Waiting => Some((1, 0)),
            Self::Within(period) => Some((2, ms(period))),
            Self::OncePer(period) => Some((3, ms(period))),
        }
    }
}

/// A thousand years: more is no timestamp.
const LONGEST_MS: i64 = 1000 * 366 * 86_400 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_timestamps_that_postgres_knows() {
        assert_eq!(Span::Queued.coded(), None);
        assert_eq!(Span::Within(Duration::from_secs(2)).coded(), Some((2, 2000)));
        assert_eq!(Span::OncePer(Duration::ZERO).coded(), Some((3, 1)));
        assert_eq!(Span::Within(Duration::MAX).coded(), Some((2, LONGEST_MS)));
    }
}
